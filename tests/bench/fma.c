/* SPDX-License-Identifier: Apache-2.0
 * What the machine itself gains by threads: fma THREADS SECONDS STEPS runs multiply-adds in registers on a pool and prints the
 * milliseconds, least and median, of so many steps, dealt out evenly. Clocks that fall when more cores work show here, and cores
 * that others use. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "mlcc_threads.h"

enum { LANES = 16, MAX_RUNS = 1 << 16 };

typedef struct Work { float from[2]; int steps; } Work;

typedef float vec __attribute__((vector_size(4 * LANES)));

static volatile float sink[MLCC_THREADS_MAX * 32];

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void work(void *arg, int part, int parts)
{
    const Work *w = arg;
    const float *from = w->from;
    vec c0 = {0}, c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0, c7 = c0, c8 = c0, c9 = c0, c10 = c0, c11 = c0, x = c0 + from[0], y = c0 + from[1];
    for (int k = 0; k < w->steps / parts; k++) {
        c0 = c0 * x + y, c1 = c1 * x + y, c2 = c2 * x + y, c3 = c3 * x + y, c4 = c4 * x + y, c5 = c5 * x + y;
        c6 = c6 * x + y, c7 = c7 * x + y, c8 = c8 * x + y, c9 = c9 * x + y, c10 = c10 * x + y, c11 = c11 * x + y;
    }
    const vec all = c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7 + c8 + c9 + c10 + c11;
    sink[32 * part] = all[0];
}

static int by_time(const void *p, const void *q)
{
    const double a = *(const double *)p, b = *(const double *)q;
    return (a > b) - (a < b);
}

int main(int argc, char **argv)
{
    static mlcc_pool pool;
    static double ms[MAX_RUNS];
    const int threads = argc == 4 ? atoi(argv[1]) : 0;
    Work w = {{0.5f, 0.25f}, argc == 4 ? atoi(argv[3]) : 0};
    int n = 0;
    if (mlcc_pool_start(&pool, threads) != 0)
        return 2;
    const double end = now_ms() + 1e3 * atof(argv[2]);
    do {
        const double t = now_ms();
        (void)mlcc_pool_run(&pool, work, &w, threads);
        ms[n++] = now_ms() - t;
    } while (now_ms() < end && n < MAX_RUNS);
    mlcc_pool_stop(&pool);
    qsort(ms, (size_t)n, sizeof *ms, by_time);
    printf("%.4f %.4f\n", ms[0], ms[n / 2]);
    return 0;
}

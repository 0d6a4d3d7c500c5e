/* SPDX-License-Identifier: Apache-2.0
 * What it costs that two cores work on one buffer in turns: GB/s at which a core reads what the other has just written, and at
 * which it writes what the other has just read, beside the same alone. JSON, one line for each size, sizes in bytes for each core.
 *
 *   gcc -std=gnu11 -O2 -march=native -pthread tests/bench/transfer.c -o transfer && ./transfer */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../../runtime-min/mlcc_threads.h"

enum { LARGEST = 1 << 20, RUNS = 400, LINE = 64 };

typedef float vec __attribute__((vector_size(LINE)));

typedef enum Phase { WRITE, READ, PHASES } Phase;

static vec *buffer[2]; /* by the core that writes it */
static atomic_int phase_of[2];
static double least[2][PHASES];
static vec sink[2];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void meet(int me, int phase)
{
    atomic_store(&phase_of[me], phase);
    while (atomic_load(&phase_of[!me]) < phase)
        mlcc_pause();
}

static void write_all(vec *to, size_t lines)
{
    const vec value = {1};
    for (size_t k = 0; k < lines; k++)
        to[k] = value;
    __asm__ volatile("" ::: "memory");
}

/* As a product of four rows reads: each row is a stream of its own. */
static vec read_all(const vec *from, size_t lines)
{
    vec sum[4] = {{0}};
    for (size_t k = 0; k < lines / 4; k++)
        for (size_t row = 0; row < 4; row++)
            sum[row] += from[row * (lines / 4) + k];
    return sum[0] + sum[1] + sum[2] + sum[3];
}

typedef struct Job { int me, foreign; size_t lines; } Job;

static void *work(void *arg)
{
    const Job *j = arg;
    for (int run = 0; run < RUNS; run++) {
        meet(j->me, PHASES * run + 1);
        const double t0 = now();
        write_all(buffer[j->me], j->lines);
        const double t1 = now();
        meet(j->me, PHASES * run + 2);
        const double t2 = now();
        sink[j->me] += read_all(buffer[j->foreign ? !j->me : j->me], j->lines);
        const double t3 = now(), took[PHASES] = {t1 - t0, t3 - t2};
        for (int p = 0; p < PHASES && run > 2; p++)
            least[j->me][p] = least[j->me][p] > 0 && least[j->me][p] < took[p] ? least[j->me][p] : took[p];
    }
    return NULL;
}

static void measure(size_t bytes, int foreign)
{
    Job job[2];
    pthread_t other;
    for (int me = 0; me < 2; me++) {
        job[me] = (Job){me, foreign, bytes / LINE};
        atomic_store(&phase_of[me], 0);
        least[me][WRITE] = least[me][READ] = 0;
    }
    if (pthread_create(&other, NULL, work, &job[1]) != 0)
        exit(1);
    (void)work(&job[0]);
    (void)pthread_join(other, NULL);
    printf("{\"bytes\": %zu, \"shared\": %s, \"write_gbs\": %.1f, \"read_gbs\": %.1f}\n", bytes, foreign ? "true" : "false",
           (double)bytes / least[0][WRITE], (double)bytes / least[0][READ]);
}

int main(void)
{
    for (int me = 0; me < 2; me++) {
        buffer[me] = aligned_alloc(4096, LARGEST);
        if (!buffer[me])
            return 1;
        write_all(buffer[me], LARGEST / LINE);
    }
    for (size_t bytes = 16 << 10; bytes <= LARGEST; bytes *= 2) {
        measure(bytes, 0);
        measure(bytes, 1);
    }
    return 0;
}

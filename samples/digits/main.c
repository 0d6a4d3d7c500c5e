/* SPDX-License-Identifier: Apache-2.0
 * Classifies the pictures of digits_test.bin with a network that mlcc compiled, and reports accuracy and latency. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "digits.h"

enum { IMAGES = 360, RUNS = 50 * IMAGES };
static _Alignas(DIGITS_ARENA_ALIGN) unsigned char arena[DIGITS_ARENA_BYTES];
static unsigned char test[IMAGES][65]; /* label, 64 pixels of 0..16 */
static double us[RUNS];

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    FILE *f = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!f || fread(test, sizeof test[0], IMAGES, f) != IMAGES) return fprintf(stderr, "usage: digits digits_test.bin\n"), 2;
    int right = 0;
    for (int run = 0; run < RUNS; run++) {
        float x[64], probs[10];
        struct timespec t0, t1;
        for (int i = 0; i < 64; i++) x[i] = test[run % IMAGES][i + 1];
        clock_gettime(CLOCK_MONOTONIC, &t0);
        if (digits_run(&(struct digits_io){.x = x, .probs = probs}, arena) != MLCC_OK) return 1;
        clock_gettime(CLOCK_MONOTONIC, &t1);
        us[run] = (double)(t1.tv_sec - t0.tv_sec) * 1e6 + (double)(t1.tv_nsec - t0.tv_nsec) * 1e-3;
        int best = 0;
        for (int i = 1; i < 10; i++) best = probs[i] > probs[best] ? i : best;
        right += run < IMAGES && best == test[run][0];
    }
    qsort(us, RUNS, sizeof us[0], by_value);
    printf("accuracy %.1f %% of %d, latency P50 %.2f us P99 %.2f us, ", 100.0 * right / IMAGES, IMAGES, us[RUNS / 2], us[RUNS * 99 / 100]);
    printf("arena %u B, stack %u B, weights %u B\n", (unsigned)DIGITS_ARENA_BYTES, (unsigned)DIGITS_STACK_BYTES, (unsigned)DIGITS_WEIGHT_BYTES);
}

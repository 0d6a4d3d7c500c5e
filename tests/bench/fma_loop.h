/* SPDX-License-Identifier: Apache-2.0
 * Multiply-adds in registers: what a core does at most, and with it the clock at which it runs at that moment. */
#ifndef FMA_LOOP_H
#define FMA_LOOP_H

enum { CHAINS = 12 };

#if defined(__AVX512F__)
#define WIDTH 64
#elif defined(__AVX__)
#define WIDTH 32
#else
#define WIDTH 16
#endif
typedef float Vector __attribute__((vector_size(WIDTH)));
#if defined(__x86_64__)
#define HELD "+v"
#else
#define HELD "+w"
#endif
#define EACH(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11)

static volatile float sink;

/* Operations of so many steps. Independent chains, so that the unit's rate counts and not its latency. */
static double fma_ops(long steps)
{
    Vector x = {0}, y = {0};
    x += 0.999f;
    y += 1e-3f;
#define START(i) Vector c##i = x + (float)(i);
    EACH(START)
#undef START
    for (long k = 0; k < steps; k++) {
#define STEP(i) c##i = c##i * x + y; __asm__ volatile("" : HELD(c##i));
        EACH(STEP)
#undef STEP
    }
#define END(i) sink = c##i[0];
    EACH(END)
#undef END
    return 2.0 * WIDTH / 4 * CHAINS * (double)steps;
}

#endif

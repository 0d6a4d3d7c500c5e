/* SPDX-License-Identifier: Apache-2.0
 * What one core can do at most, to set measurements against. Prints JSON: billions of operations a second (a multiplication
 * and an addition are two) of f32 FMA and, where the compiler targets them, of dots of bytes, of pairs of 16 bits and of bf16 and those of a matrix
 * unit; GB/s read from 16 KiB, 512 KiB and 256 MiB. The best of many rounds of under a millisecond, so that other work on the
 * machine seldom counts. cc -O2 -march=native -I. from the project's folder. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#include "fma_loop.h"
#include "runtime-min/mlcc_amx.h"

enum { ROUNDS = 300, STEPS = 150000, CHUNK = 8 << 20 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Dots of four bytes; before VNNI of two times four whose sums have 16 bits. */
#if defined(__AVX512VNNI__)
typedef __m512i Bytes;
enum { BYTE_DOTS = 1 };
#define BYTES(c, x, y) _mm512_dpbusd_epi32(c, x, y)
#elif defined(__AVX2__)
typedef __m256i Bytes;
enum { BYTE_DOTS = 2 };
static inline __m256i bytes_by_two(__m256i c, __m256i x, __m256i y)
{
    __m256i p = _mm256_maddubs_epi16(x, y), q;
    __asm__ volatile("" : HELD(x));
    q = _mm256_maddubs_epi16(x, y);
    return _mm256_add_epi32(c, _mm256_madd_epi16(_mm256_add_epi16(p, q), _mm256_set1_epi16(1)));
}
#define BYTES bytes_by_two
#endif
#ifdef BYTES
static double byte_ops(void)
{
    Bytes x, y;
    for (unsigned k = 0; k < sizeof x; k++)
        ((char *)&x)[k] = ((char *)&y)[k] = 1;
#define START(i) Bytes c##i = {i};
    EACH(START)
#undef START
    for (long k = 0; k < STEPS; k++) {
#define STEP(i) __asm__ volatile("" : HELD(x)); c##i = BYTES(c##i, x, y); __asm__ volatile("" : HELD(c##i));
        EACH(STEP)
#undef STEP
    }
#define END(i) sink = (float)c##i[0];
    EACH(END)
#undef END
    return 2.0 * sizeof(Bytes) * BYTE_DOTS * CHAINS * STEPS;
}
#else
static double byte_ops(void) { return 0; }
#endif

/* Pairs of 16 bits, whose sum is added to another; by two instructions before VNNI. */
#if defined(__AVX512VNNI__)
typedef __m512i Pairs;
#define PAIRS(c, x, y) _mm512_dpwssd_epi32(c, x, y)
#elif defined(__AVX2__)
typedef __m256i Pairs;
#define PAIRS(c, x, y) _mm256_add_epi32(c, _mm256_madd_epi16(x, y))
#endif
#ifdef PAIRS
static double pair_ops(void)
{
    Pairs x = {3}, y = {1};
#define START(i) Pairs c##i = {i};
    EACH(START)
#undef START
    for (long k = 0; k < STEPS; k++) {
#define STEP(i) __asm__ volatile("" : HELD(x)); c##i = PAIRS(c##i, x, y); __asm__ volatile("" : HELD(c##i));
        EACH(STEP)
#undef STEP
    }
#define END(i) sink = (float)c##i[0];
    EACH(END)
#undef END
    return 2.0 * sizeof(Pairs) / 2 * CHAINS * STEPS;
}
#else
static double pair_ops(void) { return 0; }
#endif

#if defined(__AVX512BF16__)
static double bf16_ops(void)
{
    const __m512bh x = (__m512bh)_mm512_set1_epi16(0x3f80);
#define START(i) __m512 c##i = _mm512_set1_ps(i);
    EACH(START)
#undef START
    for (long k = 0; k < STEPS; k++) {
#define STEP(i) c##i = _mm512_dpbf16_ps(c##i, x, x); __asm__ volatile("" : HELD(c##i));
        EACH(STEP)
#undef STEP
    }
#define END(i) sink = c##i[0];
    EACH(END)
#undef END
    return 2.0 * 32 * CHAINS * STEPS;
}
#else
static double bf16_ops(void) { return 0; }
#endif

#if MLCC_AMX
/* Four tiles of sums by two of each operand, as dense products use them: rows x lanes x elements of a row. Operands are ones and
 * minus ones in no order, since a unit that multiplies zeros takes less power and may run faster. */
#define TILES(NAME, DOT, ELEMENTS, ELEMENT, ONE, MINUS)                                                                                     \
    static double NAME(void)                                                                                           \
    {                                                                                                                  \
        mlcc_amx t;                                                                                                    \
        static ELEMENT some[2048];                                                                                     \
        mlcc_tilecfg shape = {.palette = 1};                                                                           \
        for (int n = 0; n < 8; n++) {                                                                                  \
            shape.rows[n] = 16;                                                                                        \
            shape.colsb[n] = 64;                                                                                       \
        }                                                                                                              \
        if (!mlcc_amx_usable())                                                                                        \
            return 0;                                                                                                  \
        AMX_CONFIG(&t, &shape);                                                                                        \
        for (int n = 0; n < 1024; n++)                                                                                 \
            some[n] = n * 2654435761u >> 20 & 1 ? (ONE) : (MINUS);                                                     \
        AMX_LD(&t, 4, some, 64);                                                                                       \
        AMX_LD(&t, 5, some + 256, 64);                                                                                 \
        AMX_LD(&t, 6, some + 512, 64);                                                                                 \
        AMX_LD(&t, 7, some + 64, 64);                                                                                  \
        for (long k = 0; k < STEPS / 16; k++) {                                                                        \
            DOT(&t, 0, 4, 6);                                                                                          \
            DOT(&t, 1, 4, 7);                                                                                          \
            DOT(&t, 2, 5, 6);                                                                                          \
            DOT(&t, 3, 5, 7);                                                                                          \
        }                                                                                                              \
        return 2.0 * 16 * 16 * (ELEMENTS) * 4 * (STEPS / 16);                                                          \
    }
TILES(byte_tile_ops, AMX_DPUS, 64, uint8_t, 1, 255)
TILES(bf16_tile_ops, AMX_DPBF, 32, uint16_t, 0x3f80, 0xbf80)
#else
static double byte_tile_ops(void) { return 0; }
static double bf16_tile_ops(void) { return 0; }
#endif

static double f32_ops(void) { return fma_ops(STEPS); }

static double best(double (*work)(void))
{
    double most = 0;
    for (int r = 0; r < ROUNDS; r++) {
        const double t = now(), ops = work(), rate = ops / (now() - t);
        most = rate > most ? rate : most;
    }
    return most * 1e-9;
}

/* Reads `bytes` of p again and again, or chunk after chunk of them when they are many. */
static double read_rate(const Vector *p, long bytes)
{
    double most = 0;
    const long chunk = bytes < CHUNK ? bytes : CHUNK, again = bytes < CHUNK ? CHUNK / bytes : 1;
    for (long r = 0; r < ROUNDS; r++) {
        const Vector *from = p + r * chunk % bytes / WIDTH;
        const double t = now();
        for (long n = 0; n < again; n++)
            for (long k = 0; k + CHAINS <= chunk / WIDTH; k += CHAINS) {
#define READ(i) { Vector v = from[k + (i)]; __asm__ volatile("" : HELD(v)); }
                EACH(READ)
#undef READ
            }
        const double rate = (double)(chunk * again) / (now() - t);
        most = rate > most ? rate : most;
    }
    return most * 1e-9;
}

int main(void)
{
    const long most = 256L << 20;
    Vector *p = aligned_alloc(64, (size_t)most);
    if (!p)
        return 1;
    for (long k = 0; k < most / WIDTH; k++)
        p[k] = (Vector){1};
    printf("{\"f32\": %.1f, \"i8\": %.1f, \"i16\": %.1f, \"bf16\": %.1f, \"i8_matrix\": %.1f, \"bf16_matrix\": %.1f, \"l1_gbs\": %.1f, \"l2_gbs\": %.1f, \"memory_gbs\": %.1f}\n", best(f32_ops), best(byte_ops), best(pair_ops),
           best(bf16_ops), best(byte_tile_ops), best(bf16_tile_ops), read_rate(p, 16 << 10), read_rate(p, 512 << 10), read_rate(p, most));
    free(p);
    return 0;
}

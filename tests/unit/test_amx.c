/* SPDX-License-Identifier: Apache-2.0
 * Tiles (runtime-min/mlcc_amx.h) against the plain definition: every number of rows, columns and reduction steps, random
 * data. This program holds the instructions to it, where there are any; test_amx_soft.c includes it for the model. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#if !defined(MLCC_AMX_SOFT) && defined(__GNUC__) && defined(__x86_64__) && defined(__linux__)
#define MLCC_AMX 1 /* whatever the target options are */
#endif
#include "runtime-min/mlcc_amx.h"
#include "runtime-min/mlcc_float.h"

enum { ROWS = 16, LANES = 16, WIDE = 80 }; /* WIDE: bytes from row to row of the operands, more than a tile has */

/* tmm0 += tmm1 * tmm2 of m rows, n lanes, k groups of four bytes. Guards behind the operands are not read. */
typedef struct Case { int m, n, k; uint8_t a[ROWS * WIDE], b[ROWS * WIDE]; int32_t c[ROWS][LANES + 1]; } Case;

static uint64_t seed;

static uint32_t next_random(void)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 32);
}

static void open_tiles(mlcc_amx *t, const Case *x)
{
    mlcc_tilecfg cfg = {.palette = 1};
    cfg.rows[0] = cfg.rows[1] = (uint8_t)x->m;
    cfg.rows[2] = (uint8_t)x->k;
    cfg.colsb[0] = cfg.colsb[2] = (uint16_t)(4 * x->n);
    cfg.colsb[1] = (uint16_t)(4 * x->k);
    AMX_CONFIG(t, &cfg);
}

#define PRODUCT(name)                                                                                                  \
    static void name(Case *x)                                                                                          \
    {                                                                                                                  \
        mlcc_amx t;                                                                                                    \
        open_tiles(&t, x);                                                                                             \
        AMX_LD(&t, 0, x->c, (int)sizeof x->c[0]);                                                                      \
        AMX_LD(&t, 1, x->a, WIDE);                                                                                     \
        AMX_LD(&t, 2, x->b, WIDE);                                                                                     \
        AMX_##name(&t, 0, 1, 2);                                                                                       \
        AMX_ST(&t, 0, x->c, (int)sizeof x->c[0]);                                                                      \
        AMX_RELEASE(&t);                                                                                               \
    }

PRODUCT(DPUS)
PRODUCT(DPSS)
PRODUCT(DPSU)
PRODUCT(DPUU)
PRODUCT(DPBF)

static int32_t byte(const uint8_t *p, bool is_signed) { return is_signed ? (int8_t)*p : *p; }

static int32_t plain_bytes(const Case *x, int m, int n, bool a_signed, bool b_signed)
{
    int64_t sum = x->c[m][n];
    for (int k = 0; k < 4 * x->k; k++)
        sum += byte(&x->a[m * WIDE + k], a_signed) * byte(&x->b[k / 4 * WIDE + 4 * n + k % 4], b_signed);
    return (int32_t)(uint32_t)(uint64_t)sum;
}

static void fill(Case *x)
{
    for (size_t i = 0; i < sizeof x->a; i++) {
        x->a[i] = (uint8_t)next_random();
        x->b[i] = (uint8_t)next_random();
    }
    for (int i = 0; i < ROWS * (LANES + 1); i++)
        x->c[i / (LANES + 1)][i % (LANES + 1)] = (int32_t)next_random();
}

/* Rows, lanes and groups, in turn all from 1 to 16 while the others are full, and random ones. */
static Case *make_case(int round)
{
    static Case x;
    const int part = round / 16, n = round % 16 + 1;
    x.m = part == 0 ? n : part > 2 ? (int)(next_random() % 16) + 1 : 16;
    x.n = part == 1 ? n : part > 2 ? (int)(next_random() % 16) + 1 : 16;
    x.k = part == 2 ? n : part > 2 ? (int)(next_random() % 16) + 1 : 16;
    fill(&x);
    return &x;
}

enum { ROUNDS = 6 * 16 };

static void check_bytes(void (*product)(Case *x), bool a_signed, bool b_signed)
{
    for (int round = 0; round < ROUNDS; round++) {
        Case *x = make_case(round);
        const Case before = *x;
        product(x);
        for (int m = 0; m < ROWS; m++)
            for (int n = 0; n <= LANES; n++)
                assert_int_equal(x->c[m][n], m < x->m && n < x->n ? plain_bytes(&before, m, n, a_signed, b_signed) : before.c[m][n]);
    }
}

static void need_tiles(void)
{
    if (mlcc_amx_usable())
        return;
    print_message("this processor or system has no AMX\n");
    skip();
}

static void test_bytes(void **state)
{
    (void)state;
    need_tiles();
    check_bytes(DPUS, false, true);
    check_bytes(DPSS, true, true);
    check_bytes(DPSU, true, false);
    check_bytes(DPUU, false, false);
}

static float bf16_at(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, 2);
    return mlcc_f32_of_bf16(h);
}

static float flush(float x) { return fpclassify(x) == FP_SUBNORMAL ? copysignf(0, x) : x; }

/* Intel's manual, TDPBF16PS: two sums of fused steps, of even and of odd elements, then their sum is added. */
static float plain_pairs(const Case *x, int m, int n)
{
    float even = 0, odd = 0, c;
    for (int k = 0; k < x->k; k++) {
        const uint8_t *a = &x->a[m * WIDE + 4 * k], *b = &x->b[k * WIDE + 4 * n];
        even = flush(fmaf(flush(bf16_at(a)), flush(bf16_at(b)), even));
        odd = flush(fmaf(flush(bf16_at(a + 2)), flush(bf16_at(b + 2)), odd));
    }
    memcpy(&c, &x->c[m][n], sizeof c);
    return flush(flush(c) + flush(even + odd));
}

/* Random signs and mantissas, exponents around 1 or, in every fourth round, so small that subnormals come up. */
static void fill_floats(Case *x, int round)
{
    const uint32_t middle = round % 4 == 3 ? 58 : 120;
    for (int i = 0; i < ROWS * WIDE; i += 2) {
        const uint16_t a = (uint16_t)((next_random() & 0x807f) | (middle + next_random() % 12) << 7);
        const uint16_t b = (uint16_t)((next_random() & 0x807f) | (middle + next_random() % 12) << 7);
        memcpy(&x->a[i], &a, 2);
        memcpy(&x->b[i], &b, 2);
    }
    for (int i = 0; i < ROWS * (LANES + 1); i++)
        x->c[i / (LANES + 1)][i % (LANES + 1)] = (int32_t)((next_random() & 0x807fffffu) | (middle + next_random() % 12) << 23);
}

static void test_bf16(void **state)
{
    (void)state;
    need_tiles();
    for (int round = 0; round < ROUNDS; round++) {
        Case *x = make_case(round);
        fill_floats(x, round);
        const Case before = *x;
        DPBF(x);
        for (int m = 0; m < ROWS; m++)
            for (int n = 0; n <= LANES; n++) {
                const float want = plain_pairs(&before, m, n);
                const bool inside = m < x->m && n < x->n;
                assert_memory_equal(&x->c[m][n], inside ? (const void *)&want : &before.c[m][n], sizeof want);
            }
    }
}

/* All eight tiles hold values of their own; configuring and AMX_ZERO clear them. */
static void test_tiles(void **state)
{
    (void)state;
    need_tiles();
    mlcc_amx t;
    mlcc_tilecfg cfg = {.palette = 1};
    int32_t from[8][3][2], to[8][3][2];
    for (int n = 0; n < 8; n++) {
        cfg.rows[n] = 3;
        cfg.colsb[n] = 8;
        for (int i = 0; i < 6; i++)
            from[n][i / 2][i % 2] = (int32_t)next_random();
    }
#define EACH(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7)
#define LOAD(n) AMX_LD(&t, n, from[n], 8);
#define LOAD2(n) AMX_LD2(&t, n, to[7 - n], 8);
#define STORE(n) AMX_ST(&t, n, to[n], 8);
    AMX_CONFIG(&t, &cfg);
    EACH(LOAD)
    EACH(STORE)
    assert_memory_equal(from, to, sizeof from);
    EACH(LOAD2)
    EACH(STORE)
    for (int n = 0; n < 8; n++)
        assert_memory_equal(from[7 - n], to[n], sizeof from[n]);
    EACH(LOAD)
    AMX_ZERO(&t, 5);
    memset(from[5], 0, sizeof from[5]);
    EACH(STORE)
    assert_memory_equal(from, to, sizeof from);
    AMX_CONFIG(&t, &cfg);
    memset(from, 0, sizeof from);
    EACH(STORE)
    assert_memory_equal(from, to, sizeof from);
    AMX_RELEASE(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bytes), cmocka_unit_test(test_bf16), cmocka_unit_test(test_tiles)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

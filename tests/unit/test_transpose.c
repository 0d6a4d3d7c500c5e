/* SPDX-License-Identifier: Apache-2.0
 * Blocks turned over, of words and of bytes, and rows zipped (runtime-min/mlcc_transpose.h), by every width, at places that are not aligned. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime-min/mlcc_transpose.h"

enum { FROM = 23, TO = 19, MOST = 37 };

typedef void Transpose(const void *from, ptrdiff_t fs, void *to, ptrdiff_t ts);

static void v4(const void *from, ptrdiff_t fs, void *to, ptrdiff_t ts) { V4_TRANSPOSE(from, fs, to, ts); }
static void v8(const void *from, ptrdiff_t fs, void *to, ptrdiff_t ts) { V8_TRANSPOSE(from, fs, to, ts); }
static void v16(const void *from, ptrdiff_t fs, void *to, ptrdiff_t ts) { V16_TRANSPOSE(from, fs, to, ts); }

/* The block is turned over, and nothing beside it is written. */
static void check(Transpose *turn, int w)
{
    char from[4 * 16 * FROM + 1], to[4 * 16 * TO + 1];
    for (int32_t k = 0; k < 16 * FROM; k++)
        memcpy(from + 1 + 4 * k, &k, 4);
    memset(to, -1, sizeof to);
    turn(from + 1, FROM, to + 1, TO);
    for (int32_t i = 0; i < 16; i++)
        for (int32_t j = 0; j < TO; j++) {
            const int32_t want = i < w && j < w ? j * FROM + i : -1;
            assert_memory_equal(to + 1 + 4 * (i * TO + j), &want, 4);
        }
}

/* Four columns of W rows each, of floats, words and bytes of both signs. */
#if MLCC_VECTOR
#define TURNS(W)                                                                                       \
    static void turns##W(void)                                                                         \
    {                                                                                                  \
        char from[4 * 16 * FROM + 1];                                                                  \
        float f;                                                                                       \
        v##W##f a, b, c, d;                                                                            \
        v##W##i u[4], s[4], n[4];                                                                      \
        for (int k = 0; k < 4 * 16 * FROM + 1; k++)                                                    \
            from[k] = (char)(k * 37 % 251 - 125);                                                      \
        V##W##_TURN(from + 1, FROM, &a, &b, &c, &d);                                                   \
        V##W##_TURNI(from + 1, FROM, &n[0], &n[1], &n[2], &n[3]);                                      \
        V##W##_TURNU8(from + 1, FROM, &u[0], &u[1], &u[2], &u[3]);                                     \
        V##W##_TURNI8(from + 1, FROM, &s[0], &s[1], &s[2], &s[3]);                                     \
        for (int j = 0; j < W; j++)                                                                    \
            for (int i = 0; i < 4; i++) {                                                              \
                const char *byte = from + 1 + FROM * j + i;                                            \
                f = i == 0 ? a[j] : i == 1 ? b[j] : i == 2 ? c[j] : d[j];                              \
                assert_memory_equal(&f, from + 1 + 4 * (FROM * j + i), 4);                             \
                const int32_t word = n[i][j];                                                          \
                assert_memory_equal(&word, from + 1 + 4 * (FROM * j + i), 4);                          \
                assert_int_equal(u[i][j], (unsigned char)*byte);                                       \
                assert_int_equal(s[i][j], (signed char)*byte);                                         \
            }                                                                                          \
    }
TURNS(4)
TURNS(8)
TURNS(16)
#endif

static void test_turns(void **state)
{
    (void)state;
#if MLCC_VECTOR
    turns4();
    turns8();
    turns16();
#endif
}

/* n elements of each row, of so many bytes, and nothing behind them. */
static void check_zip(int rows, int bytes, int n)
{
    unsigned char from[4 * 64 + 1], to[4 * 48 + 1];
    for (int k = 0; k < 4 * 64 + 1; k++)
        from[k] = (unsigned char)k;
    memset(to, 0xee, sizeof to);
    (rows == 4 ? mlcc_zip4 : mlcc_zip2)(from + 1, 50 / bytes, to + 1, n);
    for (int k = 0; k < 4 * 48; k++) {
        const int element = k / bytes, in_row = element / rows, row = element % rows;
        assert_int_equal(to[1 + k], k < 4 * n ? from[1 + 50 * row + bytes * in_row + k % bytes] : 0xee);
    }
}

static void test_zips(void **state)
{
    (void)state;
    for (int n = 1; n <= 40; n++) {
        check_zip(4, 1, n);
        if (n <= 25)
            check_zip(2, 2, n);
    }
}

/* Bytes between the rows of the result, before and behind them stay. */
static void check_turn16(int fs, int ts)
{
    unsigned char from[1 + 15 * MOST + 16], to[17 + 16 * MOST + 16];
    for (int k = 0; k < (int)sizeof from; k++)
        from[k] = (unsigned char)(k * 89 + k / 256);
    memset(to, 0xee, sizeof to);
    mlcc_turn16(from + 1, fs, to + 17, ts);
    for (int k = -17; k < (int)sizeof to - 17; k++) {
        const int i = k / ts, j = k % ts;
        assert_int_equal(to[17 + k], k >= 0 && i < 16 && j < 16 ? from[1 + j * fs + i] : 0xee);
    }
}

static void test_bytes(void **state)
{
    (void)state;
    static const int stride[][2] = {{16, 16}, {FROM, TO}, {16, MOST}, {MOST, 16}, {MOST, MOST}};
    for (size_t k = 0; k < sizeof stride / sizeof *stride; k++)
        check_turn16(stride[k][0], stride[k][1]);
}

static void test_widths(void **state)
{
    (void)state;
    check(v4, 4);
    check(v8, 8);
    check(v16, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_widths), cmocka_unit_test(test_turns), cmocka_unit_test(test_zips), cmocka_unit_test(test_bytes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * Products with lists (runtime-min/mlcc_lists.h), by both widths, of every length, at places that are not aligned. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime-min/mlcc_lists.h"

enum { ROWS = 6, QUADS = 46, MOST = 200, FRONT = 35, BEHIND = 64, GUARD = 0x5a5a5a5a };

static const uint32_t first[ROWS + 1] = {0, 0, 1, 3, 41, 41, QUADS};

typedef struct Quad { uint16_t k[4]; int8_t w[4]; } Quad;

typedef void Listed(int32_t *to, const uint8_t *x, ptrdiff_t xs, const void *lists, ptrdiff_t rows, ptrdiff_t row, ptrdiff_t n);

static const struct { Listed *product; ptrdiff_t least; } width[] = {{V4_LISTED, 16}, {V8_LISTED, 32}};
enum { WIDTHS = sizeof width / sizeof *width };

/* Those of one sign add up to 128 at most, and often to just that. */
static void fill_neighbours(int8_t *w)
{
    static const int8_t end[][2] = {{127, 1}, {1, 127}, {-128, 0}, {0, -128}, {-128, 127}, {127, -128}, {64, 64}, {-64, -64}, {1, 0}, {0, 0}};
    enum { ENDS = sizeof end / sizeof *end };
    const int at = rand() % (2 * ENDS);
    for (int i = 0; i < 2; i++)
        w[i] = (int8_t)(at < ENDS ? end[at][i] : rand() % 129 - 64);
}

/* The last column is frequent: the memory of x ends with it. */
static void fill(Quad *quad, int columns, uint8_t *x, size_t size)
{
    for (int k = 0; k < QUADS; k++) {
        for (int q = 0; q < 4; q++)
            quad[k].k[q] = (uint16_t)(rand() % 8 ? rand() % columns : columns - 1);
        fill_neighbours(quad[k].w);
        fill_neighbours(quad[k].w + 2);
    }
    for (size_t i = 0; i < size; i++)
        x[i] = (uint8_t)(rand() % 2 ? rand() & 255 : 255);
}

static int32_t plain(const Quad *quad, int row, const uint8_t *x, ptrdiff_t xs)
{
    int32_t sum = 0;
    for (uint32_t k = first[row]; k < first[row + 1]; k++)
        for (int q = 0; q < 4; q++)
            sum += x[quad[k].k[q] * xs] * quad[k].w[q];
    return sum;
}

/* Nothing before or behind the n of a row is written. */
static void check(Listed *product, ptrdiff_t n, ptrdiff_t xs, int columns)
{
    const size_t size = (size_t)(1 + xs * (columns - 1) + n);
    uint8_t *x = malloc(size), lists[1 + sizeof first + QUADS * MLCC_QUAD_BYTES];
    Quad quad[QUADS];
    assert_non_null(x);
    fill(quad, columns, x, size);
    memcpy(lists + 1, first, sizeof first);
    memcpy(lists + 1 + sizeof first, quad, sizeof quad);
    for (int row = 0; row < ROWS; row++) {
        int32_t to[FRONT + MOST + BEHIND];
        memset(to, GUARD & 255, sizeof to);
        product(to + FRONT, x + 1, xs, lists + 1, ROWS, row, n);
        for (int i = 0; i < FRONT + MOST + BEHIND; i++)
            assert_int_equal(to[i], i >= FRONT && i < FRONT + n ? plain(quad, row, x + 1 + (i - FRONT), xs) : GUARD);
    }
    free(x);
}

static void test_lengths(void **state)
{
    (void)state;
    for (int w = 0; w < WIDTHS; w++)
        for (ptrdiff_t n = width[w].least; n <= MOST; n++)
            check(width[w].product, n, n + 5, 50);
}

/* Rows of x that overlap, so that all columns which a list can name fit in little memory. */
static void test_far_columns(void **state)
{
    (void)state;
    for (int w = 0; w < WIDTHS; w++)
        check(width[w].product, 75, 1, UINT16_MAX + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lengths), cmocka_unit_test(test_far_columns)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

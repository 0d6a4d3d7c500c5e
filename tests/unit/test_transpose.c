/* SPDX-License-Identifier: Apache-2.0
 * Blocks turned over (runtime-min/mlcc_transpose.h), by every width. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime-min/mlcc_transpose.h"

enum { FROM = 23, TO = 19 };

typedef void Transpose(const float *from, ptrdiff_t fs, float *to, ptrdiff_t ts);

static void v4(const float *from, ptrdiff_t fs, float *to, ptrdiff_t ts) { V4_TRANSPOSE(from, fs, to, ts); }
static void v8(const float *from, ptrdiff_t fs, float *to, ptrdiff_t ts) { V8_TRANSPOSE(from, fs, to, ts); }
static void v16(const float *from, ptrdiff_t fs, float *to, ptrdiff_t ts) { V16_TRANSPOSE(from, fs, to, ts); }

/* The block is turned over, and nothing beside it is written. */
static void check(Transpose *turn, int w)
{
    float from[16 * FROM], to[16 * TO];
    for (int k = 0; k < 16 * FROM; k++)
        from[k] = (float)k;
    for (int k = 0; k < 16 * TO; k++)
        to[k] = -1;
    turn(from, FROM, to, TO);
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < TO; j++)
            assert_true(to[i * TO + j] == (i < w && j < w ? from[j * FROM + i] : -1));
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_widths)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

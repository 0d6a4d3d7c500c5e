/* SPDX-License-Identifier: Apache-2.0
 * runtime-min/mlcc_det.h: known determinants, a zero pivot, a singular matrix, a stack, no rows. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "runtime-min/mlcc_det.h"

static void check(const double *m, int64_t n, double want)
{
    double scratch[16], det = -1;
    const mlcc_tensor in = {.data = (double *)(uintptr_t)m, .dtype = 11, .rank = 2, .dim = {n, n}};
    mlcc_tensor out = {.data = &det, .dtype = 11, .rank = 0};
    mlcc_det(&in, &out, NULL, scratch);
    assert_true(fabs(det - want) <= 1e-12 * fabs(want));
}

static void test_known(void **state)
{
    (void)state;
    check((const double[]){7}, 1, 7);
    check((const double[]){1, 2, 3, 4}, 2, -2);
    check((const double[]){0, 1, 1, 0}, 2, -1);
    check((const double[]){0, 2, 0, 0, 0, 3, 4, 0, 0}, 3, 24);
    check((const double[]){2, -1, 0, 0, -1, 2, -1, 0, 0, -1, 2, -1, 0, 0, -1, 2}, 4, 5);
    check((const double[]){1, 2, 2, 4}, 2, 0);
    check((const double[]){0}, 0, 1);
}

static void test_stack(void **state)
{
    (void)state;
    double m[] = {1, 2, 3, 4, 2, 0, 0, 3}, scratch[4], det[2];
    const mlcc_tensor in = {.data = m, .dtype = 11, .rank = 3, .dim = {2, 2, 2}};
    mlcc_tensor out = {.data = det, .dtype = 11, .rank = 1, .dim = {2}};
    mlcc_det(&in, &out, NULL, scratch);
    assert_true(fabs(det[0] + 2) < 1e-12 && fabs(det[1] - 6) < 1e-12);
    assert_true(m[0] == 1 && m[3] == 4); /* the input is not changed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known), cmocka_unit_test(test_stack)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

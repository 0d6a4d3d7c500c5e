/* SPDX-License-Identifier: Apache-2.0
 * As much of cmocka as the unit tests of runtime-min use, for processors that have no library of it: see dialect.py. The first
 * failure ends the program. Included, as cmocka is, after the standard headers that it needs. */
#ifndef SMALL_CMOCKA_H
#define SMALL_CMOCKA_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
};

#define cmocka_unit_test(f) {#f, f}
#define cmocka_run_group_tests(tests, setup, teardown) small_run(tests, sizeof(tests) / sizeof *(tests))
#define print_message(...) printf(__VA_ARGS__)
#define fail_msg(...) (printf("%s:%d: ", __FILE__, __LINE__), printf(__VA_ARGS__), puts(""), exit(1))
#define assert_true(c) ((c) ? (void)0 : fail_msg("%s", #c))
#define assert_non_null(p) assert_true((p) != NULL)
#define assert_int_equal(a, b) ((long long)(a) == (long long)(b) ? (void)0 : fail_msg("%s is %lld, not %lld", #a, (long long)(a), (long long)(b)))
#define assert_memory_equal(a, b, n) assert_true(memcmp(a, b, n) == 0)

static inline int small_run(const struct CMUnitTest *tests, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        void *state = NULL;
        tests[k].run(&state);
    }
    printf("%zu tests\n", n);
    return 0;
}

#endif

/* SPDX-License-Identifier: Apache-2.0
 * What of runtime-min goes into an emitted file (codegen/paste.c). */
#include "codegen/emit.h"

#include <cmocka.h>

static void test_takes_what_is_used_and_no_more(void **state)
{
    (void)state;
    Arena *a = arena_new(0, NULL);
    const char *text = paste_runtime(a, "y = V4_SQRT(x);");
    assert_non_null(strstr(text, " V4_SQRT("));
    assert_non_null(strstr(text, "typedef float v4f"));
    assert_null(strstr(text, "V4_FLOOR"));
    assert_null(strstr(text, "mlcc_amx"));
    arena_free(a);
}

/* Members of a structure are no names that code could use. */
static void test_types_are_found_by_name(void **state)
{
    (void)state;
    Arena *a = arena_new(0, NULL);
    assert_non_null(strstr(paste_runtime(a, "mlcc_amx unit;"), "typedef struct mlcc_amx {"));
    assert_null(strstr(paste_runtime(a, "int unused, palette, cfg, even;"), "typedef"));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_what_is_used_and_no_more),
        cmocka_unit_test(test_types_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

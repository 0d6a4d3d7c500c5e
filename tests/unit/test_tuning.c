/* SPDX-License-Identifier: Apache-2.0
 * Ranked shapes of tiles and the text of measured choices (compiler/tuning.h). */
#include "compiler/tuning.h"

#include <setjmp.h>
#include <cmocka.h>

static const Machine machine = {.name = "x86_64_v4", .lanes_f32 = 16};

typedef struct Fixture { Arena *a; Diags d; Tuning t; } Fixture;

static int set_up(void **state)
{
    static Fixture f;
    static jmp_buf oom;
    f = (Fixture){.a = arena_new(0, &oom)};
    f.d = (Diags){.arena = f.a, .file = "test"};
    f.t = (Tuning){.a = f.a, .index = {.arena = f.a}};
    *state = &f;
    return f.a ? 0 : 1;
}

static int tear_down(void **state)
{
    arena_free(((Fixture *)*state)->a);
    return 0;
}

static ShapeList list_of(const double *cost, int n)
{
    ShapeList l = {0};
    for (int k = 0; k < n; k++)
        shapes_add(&l, (TileShape){1, k + 1, 16, cost[k]});
    return l;
}

/* Rows of the shapes are their place in the order of adding. */
static void assert_rows(const ShapeList *l, int n, const int *rows)
{
    assert_int_equal(l->n, n);
    for (int k = 0; k < n; k++)
        assert_int_equal(l->at[k].rows, rows[k]);
}

static void best_first(void **state)
{
    (void)state;
    const ShapeList l = list_of((double[]){5, 3, 4, 1, 2}, 5);
    assert_rows(&l, 3, (int[]){4, 5, 2});
}

static void equal_costs_keep_their_order(void **state)
{
    (void)state;
    const ShapeList l = list_of((double[]){2, 1.9999, 1, 0.9999}, 4);
    assert_rows(&l, 3, (int[]){3, 4, 1});
}

static void few_shapes(void **state)
{
    Fixture *f = *state;
    const ShapeList l = list_of((double[]){2, 1}, 2);
    f->t.rank = 2;
    assert_int_equal(tuning_choose(&f->t, "dense f32 1x1x1", &l).rows, 1); /* the last of two */
    assert_int_equal(tuning_choose(NULL, "dense f32 1x1x1", &l).rows, 2);
}

static void a_file_decides(void **state)
{
    Fixture *f = *state;
    const ShapeList l = list_of((double[]){1, 2, 3}, 3);
    assert_true(tuning_read(f->a, &f->d, "t", "mlcc tuning 1 x86_64_v4\n# remark\n\ndense f32 4x16x9: 1x3x16    # us 9.0 8.0 7.0\n", &machine, &f->t));
    assert_int_equal(tuning_choose(&f->t, "dense f32 4x16x9", &l).rows, 3);
    assert_int_equal(tuning_choose(&f->t, "dense f32 5x16x9", &l).rows, 1);
    tuning_stale(&f->d, &f->t);
    assert_int_equal(f->d.warnings, 0);
}

static void print_and_read(void **state)
{
    Fixture *f = *state;
    Tuning again = {.a = f->a, .index = {.arena = f->a}};
    const ShapeList l = list_of((double[]){1, 2, 3}, 3);
    Text out = {.arena = f->a};
    (void)tuning_choose(&f->t, "matrix i8 7x7x512x9x128", &l);
    (void)tuning_choose(&f->t, "dense f32 on the way", &l);
    TunedTile *tile = tuning_find(&f->t, "matrix i8 7x7x512x9x128");
    *tile = (TunedTile){tile->kind, tile->list, tile->pick, {30, 20, 10.5}, 2};
    tuning_print(&out, &f->t, &machine);
    assert_string_equal(text_str(&out), "mlcc tuning 1 x86_64_v4\nmatrix i8 7x7x512x9x128: 1x3x16    # us 30.0 20.0 10.5\n");
    assert_true(tuning_read(f->a, &f->d, "t", text_str(&out), &machine, &again));
    assert_int_equal(tuning_find(&again, "matrix i8 7x7x512x9x128")->pick.rows, 3);
}

static void what_is_no_tuning(void **state)
{
    static const char *const bad[] = {"", "mlcc tuning 2 x86_64_v4\n", "mlcc tuning 1 znver4\n", "mlcc tuning 1 x86_64_v4\ndense", "mlcc tuning 1 x86_64_v4\ndense: 1x2\n",
                                      "mlcc tuning 1 x86_64_v4\ndense: 0x2x3\n", "mlcc tuning 1 x86_64_v4\ndense: 1x2x3 more\n", "mlcc tuning 1 x86_64_v4\ndense: 1x2x-16\n"};
    Fixture *f = *state;
    for (size_t k = 0; k < COUNT(bad); k++) {
        const uint32_t before = f->d.errors;
        assert_false(tuning_read(f->a, &f->d, "t", bad[k], &machine, &f->t));
        assert_int_equal(f->d.errors, before + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(best_first),
        cmocka_unit_test(equal_costs_keep_their_order),
        cmocka_unit_test_setup_teardown(few_shapes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_decides, set_up, tear_down),
        cmocka_unit_test_setup_teardown(print_and_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_tuning, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

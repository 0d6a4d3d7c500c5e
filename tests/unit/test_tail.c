/* SPDX-License-Identifier: Apache-2.0
 * Dots whose last steps are made beside the stores of other points (codegen/ctile_tail.c), as emitted C against the interpreter. */
#include "emitted.h"

/* taps: of a loop outside the steps. */
typedef struct Form { int points, lanes, taps, steps, tail; const char *value; bool beside; } Form;

#define LONG "max(min(a*3i32 + 5i32, 9000i32), -9000i32) + i32(%1.x[p, l])*7i32 - a*a" /* reads what stores may not come before */

static const Form forms[] = {
    {13, 32, 1, 16, 16, LONG, true},
    {13, 32, 1, 9, 3, LONG, true},
    {12, 32, 3, 5, 16, LONG, true},  /* all but one step of the last tap */
    {7, 48, 2, 4, 2, LONG, true},
    {9, 16, 1, 6, 4, LONG, true},    /* eight points, and one */
    {14, 24, 1, 6, 4, LONG, true},   /* half a vector */
    {10, 20, 1, 6, 4, LONG, true},   /* a part of one */
    {5, 64, 1, 3, 1, LONG, true},
    {4, 32, 1, 6, 4, LONG, false},   /* all points at once */
    {13, 32, 1, 6, 4, "a + 1i32", false},
    {13, 32, 1, 1, 4, LONG, false},  /* one step */
    {13, 32, 1, 6, 0, LONG, false},
};

static const char *nest_of(const Form *f)
{
    Text t = {.arena = arena};
    const int columns = f->taps + f->lanes + 4 * f->steps;
    text_add(&t, "unit t\nbuf %%1.x input 0 u8[%d,%d]\nbuf %%2.w input 1 i8[%d,%d,%d,4]\nbuf %%3.y output 0 i32[%d,%d]\n", f->points, columns, f->taps, f->steps,
             f->lanes, f->points, f->lanes);
    text_add(&t, "func n000_product macs 0\nvar p < %d, l < %d, s < %d, k < %d, q < 4, a i32\ntile fence ", f->points, f->lanes, f->taps, f->steps);
    text_add(&t, f->tail ? "tail %d {\n" : "{\n", f->tail);
    text_add(&t, "point p %d\nlane l %d\nsum s %d, k %d, q 4\nacc a\nbody i32(%%1.x[p, s + 4*k + q])*i32(%%2.w[s, k, l, q])\n%%3.y[p, l] = %s\n}\n", f->points,
             f->lanes, f->taps, f->steps, f->value);
    return text_str(&t);
}

/* How often a stands before b in code. */
static int count_before(const char *code, const char *a, const char *b)
{
    int n = 0;
    const char *end = strstr(code, b);
    assert_non_null(end);
    for (const char *at = strstr(code, a); at && at < end; at = strstr(at + 1, a))
        n++;
    return n;
}

static void check_form(const Form *f, int number, int32_t lanes, const char *options)
{
    Unit *u = parsed(nest_of(f));
    mlcc_tensor in[2];
    random_inputs(u, in);
    const char *name = str_fmt(arena, "t%d_%d", number, lanes), *code = strstr(emitted(u, name, lanes), "n000_product(");
    mlcc_tensor want = {.data = arena_alloc(arena, (size_t)buf(u, 3)->bytes, 64)};
    assert_true(unit_run(arena, u, in, &want));
    run_as(u, name, options, in, &want, false);
    if (lanes == 16) /* each accumulator is stored before the last one has all its dots */
        assert_int_equal(count_before(code, "_DOTUS(", "_IST(") > f->points * ((f->lanes + 15) / 16), f->beside);
}

/* Vectors of 16 lanes take a compiler long that has shorter ones: for this processor alone. */
#if defined(__x86_64__)
#define HERE "-march=native"
#else
#define HERE ""
#endif

static void test_forms(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(forms); k++) {
        check_form(&forms[k], (int)k, 16, HERE);
        check_form(&forms[k], (int)k, 4, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
    };
    return cmocka_run_group_tests(tests, setup_folder, teardown_folder);
}

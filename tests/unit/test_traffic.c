/* SPDX-License-Identifier: Apache-2.0
 * What a run moves (ir/traffic.c), and that the plan gives the fast pool to what is moved most for its size. */
#include "context.h"
#include "compiler/memory.h"
#include "compiler/schedule.h"
#include "ir/traffic.h"

/* %p is read once, %q by every column of a product. */
static const char program[] = "input 0 %x f32[64,32]\n"
                              "input 1 %w f32[32,16]\n"
                              "%p f32[i:64,j:32] = %x[i,j]*2f32\n"
                              "%q f32[i:64,j:32] = %x[i,j]*3f32\n"
                              "%s f32[i:64] = sum(j:32) %p[i,j]\n"
                              "%y f32[i:64,k:16] = sum(j:32) %q[i,j]*%w[j,k]\n"
                              "%z f32[i:64,k:16] = %y[i,k] + %s[i]\n"
                              "output 0 %z\n";

static Unit *built_from(const char *text, const char *schedule)
{
    Te *te = te_parse(&cx, text);
    assert_non_null(te);
    Schedule *s = schedule_new(arena, te);
    assert_true(schedule_parse(s, &diags, schedule));
    Unit *u = build_nests(&cx, s, "test");
    assert_non_null(u);
    return u;
}

static Unit *built(const char *schedule) { return built_from(program, schedule); }

static uint32_t named(const Unit *u, const char *name)
{
    for (uint32_t k = 1; k < u->buf.n; k++)
        if (strcmp(buf(u, k)->name, name) == 0)
            return k;
    fail_msg("no buffer %s", name);
    return 0;
}

static void test_counts(void **state)
{
    (void)state;
    const Unit *u = built("");
    const int64_t *bytes = unit_traffic(arena, u), block = 64 * 32 * 4;
    assert_int_equal(bytes[named(u, "p")], block + block);
    assert_int_equal(bytes[named(u, "q")], block + 16 * block);
    assert_int_equal(bytes[named(u, "x")], 2 * block);
    assert_int_equal(bytes[named(u, "s")], 64 * 4 + 64 * 16 * 4);
    const Unit *t = built("%y root loop i 4; loop k 16; tile k\n"); /* a tile loads what its lanes share once */
    assert_int_equal(unit_traffic(arena, t)[named(t, "q")], block + block);
}

/* Of a table of 1000 rows four are looked up; what a product reads again and again it needs once. */
static void test_least(void **state)
{
    (void)state;
    const Unit *u = built_from("input 0 %t f32[1000,16]\n"
                               "input 1 %i i64[4]\n"
                               "input 2 %w f32[16,64]\n"
                               "%g f32[i:4,k:16] = %t[max(min(ix(%i[i]),999),0),k]\n"
                               "%y f32[i:4,l:64] = sum(k:16) %g[i,k]*%w[k,l]\n"
                               "output 0 %y\n", "");
    int64_t n = 0;
    for (uint32_t k = 0; k < u->func.n; k++)
        n += least_traffic(u, u->func.at[k]);
    assert_int_equal(n, 4 * 16 * 4 + 4 * 8 + 2 * 4 * 16 * 4 + 16 * 64 * 4 + 4 * 64 * 4);
}

static void test_fast_pool(void **state)
{
    (void)state;
    Unit *u = built("");
    const int64_t block = 64 * 32 * 4;
    const PlanPool pool[] = {{"dtcm", block}, {"ram", 0}};
    assert_true(plan_memory(u, pool, 2));
    assert_int_equal(buf(u, named(u, "q"))->pool, 0);
    assert_int_equal(buf(u, named(u, "p"))->pool, 1);
    assert_int_equal(u->pool_bytes[0], block);
    assert_true(u->pool_bound[1] <= u->pool_bytes[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_counts, setup, teardown), cmocka_unit_test_setup_teardown(test_least, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_fast_pool, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

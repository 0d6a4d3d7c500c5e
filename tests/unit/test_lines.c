/* SPDX-License-Identifier: Apache-2.0
 * Lines that stay with their part (compiler/memory_lines.c): what may share bytes, and how far apart the rest lies. */
#include "context.h"
#include "compiler/memory.h"
#include "ir/part.h"

/* Rows from rows, each time with the next part's first; then from every other row, all by part 0, and back by halves. */
static const char rows[] =
    "unit rows\n"
    "threads 2 4 scratch 0\n"
    "buf %1.x input 0 f32[16,64]\n"
    "buf %2.a arena f32[16,64]\n"
    "buf %3.b arena f32[16,64]\n"
    "buf %4.c arena f32[16,64]\n"
    "buf %5.d arena f32[8,64]\n"
    "buf %6.e arena f32[8]\n"
    "buf %7.g arena f32[8]\n"
    "buf %8.y output 0 f32[8]\n"
    "func n000_a macs 0 split\n"
    "  var i < 16, j < 64\n"
    "  for i = 0, 16 parallel 0 of 16 {\n"
    "    for j = 0, 64 {\n"
    "      %2.a[i,j] = %1.x[i,j]\n"
    "    }\n"
    "  }\n"
    "func n001_b macs 0 split meet 1 3\n"
    "  var i < 16, j < 64\n"
    "  for i = 0, 16 parallel 0 of 16 {\n"
    "    for j = 0, 64 {\n"
    "      %3.b[i,j] = %2.a[min(i + 1, 15),j]\n"
    "    }\n"
    "  }\n"
    "func n002_c macs 0 split meet 1 3\n"
    "  var i < 16, j < 64\n"
    "  for i = 0, 16 parallel 0 of 16 {\n"
    "    for j = 0, 64 {\n"
    "      %4.c[i,j] = %3.b[min(i + 1, 15),j]\n"
    "    }\n"
    "  }\n"
    "func n003_d macs 0 split meet 1 3\n"
    "  var i < 8, j < 64, j_2 < 64\n"
    "  buf %9.row scratch f32[64]\n"
    "  for i = 0, 8 parallel 0 of 8 {\n"
    "    for j = 0, 64 {\n"
    "      %9.row[j] = %4.c[min(2*i + 2, 15),j]\n"
    "    }\n"
    "    for j_2 = 0, 64 {\n"
    "      %5.d[i,j_2] = %9.row[j_2]\n"
    "    }\n"
    "  }\n"
    "func n004_e macs 0 meet 1 3\n"
    "  var i < 8\n"
    "  for i = 0, 8 {\n"
    "    %6.e[i] = %5.d[i,0]\n"
    "  }\n"
    "func n005_g macs 0\n"
    "  var i < 8\n"
    "  for i = 0, 8 {\n"
    "    %7.g[i] = %6.e[7 - i]\n"
    "  }\n"
    "func n006_y macs 0\n"
    "  var i < 8\n"
    "  for i = 0, 8 {\n"
    "    %8.y[i] = %7.g[7 - i]\n"
    "  }\n";

enum { A = 2, B, C, D, E, G, ROW = 9, ROWS = 4096, SCRATCH = 256, APART = 4096 };

static Unit *planned(void)
{
    Unit *u = unit_parse(&cx, rows);
    if (!u)
        fail_msg("%s", problems());
    assert_true(plan_memory(u, NULL, 0));
    assert_int_equal(u->part_bytes, SCRATCH);
    assert_int_equal(u->arena_bytes, 2 * ROWS + SCRATCH);
    assert_true(u->arena_optimal);
    return u;
}

static void test_owners(void **state)
{
    (void)state;
    const Unit *u = planned();
    uint32_t *block = NEWN(arena, uint32_t, u->buf.n);
    for (uint32_t k = 0; k < u->buf.n; k++)
        block[k] = k;
    const uint32_t *owner = part_owners(arena, u, block);
    assert_int_equal(owner[1], 0);
    assert_int_equal(owner[A], owner[B]);
    assert_int_equal(owner[A], owner[C]);
    assert_int_not_equal(owner[A], OWNED_BY_FIRST);
    assert_int_not_equal(owner[D], owner[A]);
    assert_int_not_equal(owner[D], OWNED_BY_FIRST);
    assert_int_equal(owner[E], OWNED_BY_FIRST);
    assert_int_equal(owner[G], OWNED_BY_FIRST);
}

static int64_t at(const Unit *u, uint32_t k) { return buf(u, k)->offset; }

static bool are_apart(const Unit *u, uint32_t p, uint32_t q)
{
    return at(u, p) + buf(u, p)->bytes + APART <= at(u, q) || at(u, q) + buf(u, q)->bytes + APART <= at(u, p);
}

static void test_places(void **state)
{
    (void)state;
    static const uint32_t apart[] = {A, B, D, E, ROW};
    Unit *u = planned();
    assert_true(plan_lines(u, INT64_MAX));
    assert_int_equal(at(u, C), at(u, A));
    for (size_t p = 0; p < COUNT(apart); p++)
        for (size_t q = 0; q < p; q++)
            assert_true(are_apart(u, apart[p], apart[q]));
    assert_false(are_apart(u, E, G));
    assert_int_equal(u->part_bytes, SCRATCH + APART);
    assert_int_equal(u->arena_bytes, 2 * ROWS + u->apart_bytes + u->part_bytes);
    assert_null(part_check(arena, u));
}

/* What is asked for is a limit: as much is enough, a byte less is not, and then scratch alone has moved. */
static void test_limit(void **state)
{
    (void)state;
    Unit *all = planned();
    assert_true(plan_lines(all, INT64_MAX));
    const int64_t enough = all->arena_bytes - all->part_bytes;
    assert_true(plan_lines(planned(), enough));
    Unit *u = planned();
    const int64_t before[] = {at(u, A), at(u, B), at(u, C), at(u, D), at(u, E), at(u, G)};
    assert_false(plan_lines(u, enough - 1));
    for (uint32_t k = A; k <= G; k++)
        assert_int_equal(at(u, k), before[k - A]);
    assert_int_equal(at(u, ROW), 2 * ROWS + APART);
    assert_int_equal(u->part_bytes, SCRATCH + APART);
    assert_int_equal(u->arena_bytes, 2 * ROWS + APART + u->part_bytes);
    assert_null(part_check(arena, u));
}

static void test_one_thread(void **state)
{
    (void)state;
    Unit *u = planned();
    u->threads.n = 0;
    assert_false(plan_lines(u, INT64_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_owners, setup, teardown),
        cmocka_unit_test_setup_teardown(test_places, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_thread, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

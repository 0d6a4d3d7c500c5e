/* SPDX-License-Identifier: Apache-2.0
 *
 * Chains of products in bands of rows (auto_chain.c) against the plain stages, on the interpreter: windows of stride 1 and 2, borders
 * on each side, heights that bands do not divide, a product of the result or none; rows that bands share in a ring, or made twice
 * where its last band would not meet all of the border; which goes column by column.
 */
#include "compiled.h"

/* side, window: of the first and of the depthwise product; out: 0, no product of the result; columns: these are walked outside the channels */
typedef struct Case { int in, side, wide, out, h, w, stride, top, bottom, window; bool ring, columns; } Case;

/* Small integers, so that sums are exact in any order. */
static void add_constant(Text *t, const char *name, int m, int c, int side)
{
    text_add(t, "const %%%s f32[%d,%d,%d,%d] (", name, m, c, side, side);
    for (int k = 0; k < m * c * side * side; k++)
        text_add(t, "%s%d", k ? ", " : "", rand() % 5 - 2);
    text_add(t, ")\n");
}

static const char *graph_of(const Case *c)
{
    Text t = {.arena = arena};
    text_add(&t, "graph g\ninput %%x f32[1,%d,%d,%d]\n", c->in, c->h, c->w);
    add_constant(&t, "k", c->wide, c->in, c->side);
    add_constant(&t, "d", c->wide, 1, c->window);
    if (c->out)
        add_constant(&t, "p", c->out, c->wide, 1);
    text_add(&t, "%%a f32 = Conv %%x %%k {pads=[%d,%d,%d,%d]}\n%%b f32 = Relu %%a\n", c->side / 2, c->side / 2, c->side / 2, c->side / 2);
    text_add(&t, "%%e f32 = Conv %%b %%d {group=%d, strides=[%d,%d], pads=[%d,%d,%d,%d]}\n%%f f32 = Relu %%e\n", c->wide, c->stride, c->stride, c->top, c->window / 2, c->bottom, c->window / 2);
    text_add(&t, c->out ? "%%y f32 = Conv %%f %%p\noutput %%y\n" : "output %%f\n");
    return text_str(&t);
}

static float *run(const Unit *u, const mlcc_tensor *in)
{
    mlcc_tensor out = {.data = arena_alloc(arena, (size_t)buf(u, u->output.at[0])->bytes, 64)};
    assert_true(unit_run(arena, u, in, &out));
    return out.data;
}

static void check(const Case *c, const Unit *u, const char *graph)
{
    const Unit *plain = compiled(graph, 0, "generic").unit;
    mlcc_tensor in = {NULL, 1, 4, {1, c->in, c->h, c->w}};
    float *x = NEWN(arena, float, (size_t)(c->in * c->h * c->w));
    for (int k = 0; k < c->in * c->h * c->w; k++)
        x[k] = (float)(rand() % 9 - 4);
    in.data = x;
    assert_null(nest_check(arena, u));
    assert_memory_equal(run(plain, &in), run(u, &in), (size_t)buf(u, u->output.at[0])->bytes);
}

/* Whether the tile of the depthwise result walks columns outside channels. */
static bool goes_by_columns(const char *schedule)
{
    const char *line = strstr(schedule, "%e  "), *columns = line ? strstr(line, "loop l") : NULL, *channels = line ? strstr(line, "loop j") : NULL;
    assert_non_null(columns);
    return channels && columns < channels;
}

static void test_values(void **state)
{
    (void)state;
    static const Case cases[] = {
        {4, 1, 40, 4, 41, 40, 1, 1, 1, 3, true, false},
        {4, 1, 40, 4, 96, 64, 2, 1, 1, 3, true, false},
        {3, 1, 32, 8, 97, 60, 2, 1, 1, 3, true, false}, /* the lower border is read */
        {4, 1, 36, 4, 44, 40, 1, 0, 2, 3, true, false},
        {4, 1, 40, 0, 41, 40, 1, 1, 1, 3, true, false},
        {3, 3, 8, 4, 96, 64, 1, 1, 1, 3, true, false}, /* rows with borders are made for each band */
        {3, 3, 24, 0, 64, 40, 1, 1, 1, 3, true, false},
        {4, 1, 40, 4, 44, 40, 1, 2, 2, 5, true, false},
        {4, 1, 40, 4, 45, 40, 1, 2, 2, 5, false, false}, /* one row is left, and two lie below */
        {4, 1, 40, 4, 91, 64, 2, 2, 2, 5, true, false},
        {4, 1, 40, 4, 44, 40, 1, 0, 0, 3, true, false}, /* no border above or below */
        {4, 1, 64, 4, 40, 48, 1, 1, 1, 3, true, true}, /* pixels are four lines apart: a block of channels has a quarter of the cache */
        {4, 1, 64, 4, 81, 69, 2, 1, 1, 3, true, true}, /* columns are left */
        {4, 1, 64, 0, 40, 48, 1, 1, 1, 3, true, true},
        {4, 1, 72, 4, 40, 48, 1, 1, 1, 3, true, false}, /* all of it: four and a half */
        {4, 1, 128, 4, 24, 40, 1, 2, 2, 5, true, false}, /* one tile's columns of all channels do not stay either */
    };
    for (size_t k = 0; k < COUNT(cases); k++) {
        const Case *c = &cases[k];
        const char *graph = graph_of(c);
        const Program p = compiled(graph, 3, "x86-64-v2");
        Text t = {.arena = arena};
        schedule_print(&t, p.schedule);
        const bool ring = strstr(text_str(&t), "; keep "), bands = strstr(text_str(&t), " at %y") || strstr(text_str(&t), " 2  loop");
        if (ring != c->ring || (!ring && !bands)) /* %f in bands of y's, or inside two loops */
            fail_msg("case %zu: ring %d, bands %d, expected ring %d:\n%s", k, ring, bands, c->ring, text_str(&t));
        if (goes_by_columns(text_str(&t)) != c->columns)
            fail_msg("case %zu: expected columns outside channels: %d:\n%s", k, c->columns, text_str(&t));
        check(c, p.unit, graph);
    }
}

/* Rows that the builder cannot keep are made again. */
static void test_loosely(void **state)
{
    (void)state;
    const Case c = {4, 1, 40, 4, 41, 40, 1, 1, 1, 3, true, false};
    const char *graph = graph_of(&c);
    const Program p = compiled(graph, 3, "x86-64-v2");
    StagePlan *maker = NULL;
    for (uint32_t k = 0; k < p.schedule->te->stage.n; k++)
        maker = p.schedule->stage[k].slide ? &p.schedule->stage[k] : maker;
    assert_non_null(maker);
    maker->keep--;
    const Unit *u = build_loosely(&cx, p.schedule, "test");
    assert_int_equal(maker->slide, 0);
    assert_int_equal(maker->keep, 0);
    check(&c, u, graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_loosely, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

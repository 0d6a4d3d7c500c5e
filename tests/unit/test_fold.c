/* SPDX-License-Identifier: Apache-2.0
 *
 * Large constants that the compiler computes: they stay recipes until they are asked for, and what comes out in pieces is
 * what the unfolded program computes.
 */
#include "compiled.h"

#include <stdlib.h>

enum { N = 300, ROWS = 4 };

/* Whole numbers, whose sums are exact in any order. */
static void add_constant(Text *t, const char *name, int rows, int columns)
{
    text_add(t, "const %%%s f32[%d,%d] (", name, rows, columns);
    for (int k = 0; k < rows * columns; k++)
        text_add(t, "%s%d.0", k ? ", " : "", rand() % 9 - 4);
    text_add(t, ")\n");
}

/* A chain of folded stages, its middle read too, and what is small after all. */
static const char *graph_text(void)
{
    Text t = {.arena = arena};
    text_add(&t, "graph g\ninput %%x f32[%d,%d]\n", ROWS, N);
    add_constant(&t, "w", N, N);
    add_constant(&t, "k", 1, N);
    text_add(&t, "%%t f32 = Transpose %%w {perm=[1,0]}\n%%s f32 = Mul %%t %%k\n%%a f32 = MatMul %%x %%s\n"
                 "%%m f32 = ReduceMax %%s {keepdims=1}\n%%b f32 = Add %%a %%m\n%%c f32 = MatMul %%x %%t\n%%y f32 = Add %%b %%c\noutput %%y\n");
    return text_str(&t);
}

static const float *run(const Unit *u, float *x)
{
    const mlcc_tensor in = {x, 1, 2, {ROWS, N}};
    mlcc_tensor out = {.data = NEWN(arena, float, ROWS * N)};
    assert_true(unit_run(arena, u, &in, &out));
    return out.data;
}

static uint32_t recipes(const Te *te)
{
    uint32_t n = 0;
    for (uint32_t t = 1; t < te->ten.n; t++)
        n += ten(te, t)->kind == TEN_const && ten(te, t)->data->recipe != NULL;
    return n;
}

static void test_large(void **state)
{
    (void)state;
    const char *graph = graph_text();
    float x[ROWS * N];
    for (int k = 0; k < ROWS * N; k++)
        x[k] = (float)(rand() % 9 - 4);
    const float *want = run(compiled(graph, 0, "generic").unit, x);
    static const struct { int level; const char *march; } form[] = {{1, "generic"}, {3, "generic"}, {3, "x86-64-v3"}};
    for (size_t k = 0; k < COUNT(form); k++) {
        const Program p = compiled(graph, form[k].level, form[k].march);
        assert_int_equal(recipes(p.te), 2);
        assert_memory_equal(run(p.unit, x), want, sizeof x);
    }
}

static void test_pieces(void **state)
{
    (void)state;
    const Unit *u = compiled(graph_text(), 3, "x86-64-v3").unit;
    uint32_t packed = 0;
    for (uint32_t k = 1; k < u->buf.n; k++) {
        const Buf *b = buf(u, k);
        if (b->cls != BC_const || !b->data->recipe)
            continue;
        Text t = {.arena = arena};
        const Sink to = text_sink(&t);
        const size_t used = arena_used(arena);
        blob_put(b->data, arena, &to);
        assert_true(arena_used(arena) <= used + 4 * t.cap); /* the text alone stays */
        assert_int_equal(t.n, b->bytes);
        assert_memory_equal(t.at, blob_all(b->data, arena), t.n);
        packed++;
    }
    assert_true(packed >= 2);
}

static uint32_t constants(const Unit *u)
{
    uint32_t n = 0;
    for (uint32_t k = 1; k < u->buf.n; k++)
        n += buf(u, k)->cls == BC_const;
    return n;
}

/* Products that walk one constant alike read one copy: of its lines for a row, of its thirds for sixteen and a table of its columns; of
 * floats for both. */
static void test_shared(void **state)
{
    (void)state;
    Text t = {.arena = arena};
    text_add(&t, "graph g\ninput %%x f32[1,%d]\ninput %%y f32[16,%d]\n", N, N);
    add_constant(&t, "w", N, N);
    text_add(&t, "%%a f32 = MatMul %%x %%w\n%%b f32 = Tanh %%a\n%%c f32 = MatMul %%b %%w\n%%d f32 = MatMul %%y %%w\n%%e f32 = Tanh %%d\n%%f f32 = MatMul %%e %%w\n"
                 "output %%c\noutput %%f\n");
    const char *graph = text_str(&t);
    assert_int_equal(constants(compiled(graph, 3, "znver4").unit), 3); /* all columns of lines are worth the same: a number */
    cx.fp = FP_strict;
    assert_int_equal(constants(compiled(graph, 3, "znver4").unit), 2); /* blocks of several widths */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shared, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pieces, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

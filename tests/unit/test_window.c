/* SPDX-License-Identifier: Apache-2.0
 * Sliding windows (ir/op/window.h) against counting: which inputs and taps meet at an output place, and how many
 * elements a window covers, for every small stride, dilation, kernel and pad. */
#include "ir/op/window.h"

#include <cmocka.h>

enum { PLACES = 12, INPUTS = 5 };

typedef struct World {
    Arena *arena;
    OpCtx c;
    Window w;
} World;

static World world_new(int64_t stride, int64_t dilation, int64_t kernel, int64_t pad)
{
    World v = {.arena = arena_new(0, NULL)};
    Exprs *x = exprs_new(v.arena);
    Ctx *cx = NEW(v.arena, Ctx);
    *cx = (Ctx){.arena = v.arena, .x = x};
    v.c = (OpCtx){.cx = cx, .x = x, .a = v.arena, .te = te_new(cx, NULL)};
    v.w = (Window){.n = 1, .stride = {stride}, .dilation = {dilation}, .in = {ex_int(x, INPUTS)}};
    v.w.kernel[0] = ex_int(x, kernel);
    v.w.begin[0] = v.w.end[0] = ex_int(x, pad);
    return v;
}

static int64_t value(const World *v, const Expr *e, const Expr *var, int64_t to)
{
    const Subst s = {var, ex_int(v->c.x, to)};
    const Expr *r = ex_subst(v->c.x, e, &s, 1);
    assert_true(ex_is_const(r));
    return r->v.i;
}

/* Each pair (input, tap) with input * stride + tap * dilation - pad = o is met once; the rest is outside. */
static void check_meet(World *v, int64_t o)
{
    const Window *w = &v->w;
    const int64_t kernel = w->kernel[0]->v.i;
    const Expr *place = ex_int(v->c.x, o);
    bool met[INPUTS][PLACES] = {{false}};
    Meet m;
    window_meet(&v->c, w, &place, &m);
    assert_true(ex_is_const(m.count[0]));
    for (int64_t q = 0; q < m.count[0]->v.i; q++) {
        const int64_t i = value(v, m.at[0], m.q[0], q), r = value(v, m.tap[0], m.q[0], q);
        if (i < 0 || i >= INPUTS || r < 0 || r >= kernel) continue;
        assert_false(met[i][r]);
        met[i][r] = true;
    }
    for (int64_t i = 0; i < INPUTS; i++) {
        for (int64_t r = 0; r < kernel; r++) {
            assert_int_equal(met[i][r], i * w->stride[0] + r * w->dilation[0] - w->begin[0]->v.i == o);
        }
    }
}

/* Taps of the window at o whose place is in the input, or also in the pads. */
static void check_count(World *v, int64_t o, bool padded)
{
    const int64_t pad = v->w.begin[0]->v.i, lo = padded ? -pad : 0, hi = padded ? INPUTS + pad : INPUTS;
    const Expr *place = ex_int(v->c.x, o), *n = window_count(&v->c, &v->w, padded, &place, DT_i64);
    int64_t want = 0;
    for (int64_t r = 0; r < v->w.kernel[0]->v.i; r++) {
        const int64_t at = o * v->w.stride[0] + r * v->w.dilation[0] - pad;
        want += at >= lo && at < hi;
    }
    assert_true(ex_is_const(n));
    assert_int_equal(n->v.i, want);
}

static void check_all(int64_t stride, int64_t dilation, int64_t kernel, int64_t pad)
{
    World v = world_new(stride, dilation, kernel, pad);
    for (int64_t o = 0; o < PLACES; o++) check_meet(&v, o);
    v.w.ceil = true; /* so that no window is taken for whole unseen */
    for (int64_t o = 0; o < INPUTS; o++) {
        check_count(&v, o, false);
        check_count(&v, o, true);
    }
    arena_free(v.arena);
}

static void test_windows(void **state)
{
    (void)state;
    for (int64_t stride = 1; stride <= 6; stride++) {
        for (int64_t dilation = 1; dilation <= 6; dilation++) {
            for (int64_t kernel = 1; kernel <= 5; kernel++) {
                check_all(stride, dilation, kernel, 0);
                check_all(stride, dilation, kernel, 3);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_windows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

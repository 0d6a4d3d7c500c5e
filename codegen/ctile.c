/* SPDX-License-Identifier: Apache-2.0
 *
 * Register tiles in vectors. Where every value along the lane variable has a vector form (cvec.h) and the target has
 * vectors, a tile becomes named vector accumulators, loads in the order of the nest, and the epilogue on the
 * accumulators (ctile_acc.c, ctile_across.c, ctile_fold.c), or without a reduction strips of vectors (ctile_map.c).
 */
#include "ctile.h"

/* ---- which tiles can be vectors ---- */

/* Accumulators are f32 or i32. */
static bool can_accumulate(const Tile *t)
{
    const DType dt = (DType)t->acc->dt;
    return (dt == DT_f32 || dt == DT_i32) && t->body->dt == dt && (!t->init || t->init->dt == dt);
}

/* Lanes along the last variable; with others outside, which the lanes' order then includes, they are whole vectors. */
static bool is_across_vectors(const CGen *g, const Tile *t)
{
    return t->lane == t->rvar[t->nr - 1] && (t->nr == 1 || (!t->open && t->lanes % g->lanes == 0));
}

/* Short rows take shorter vectors. */
static int32_t width_for(const CGen *g, const Tile *t)
{
    int32_t w = g->lanes;
    while (w > 4 && t->lanes <= w / 2)
        w /= 2;
    return w;
}

/* Accumulators are printed vector by vector, so that blocks of whole vectors may be anywhere: lane l of vector q stands for lane
 * width*q + l. */
static bool can_sum(CGen *g, const Tile *t)
{
    const int64_t width = width_for(g, t), vectors = (t->lanes + width - 1) / width;
    if (t->across || vectors < 2)
        return v_can(g, t->body, t->lane, NULL);
    const Expr *l = ex_var(g->x, VK_INDEX, DT_ix, "l", 0, width - 1), *q = ex_var(g->x, VK_INDEX, DT_ix, "q", 0, vectors - 1);
    const Subst s = {t->lane, ex_add(g->x, ex_mul(g->x, q, ex_int(g->x, width)), l)};
    return v_can(g, ex_subst(g->x, t->body, &s, 1), l, NULL);
}

static bool is_vector_tile(CGen *g, const Tile *t)
{
    if (g->lanes < 2 || !t->lane || (t->across && !is_across_vectors(g, t)))
        return false;
    if (t->body && (!can_accumulate(t) || !can_sum(g, t)))
        return false;
    for (int k = 0; k < t->nstore; k++) {
        const Buf *b = buf(g->u, t->store[k].buf);
        const Expr *flat = flat_index(g, b, t->store[k].idx);
        bool linear;
        (void)ex_coef(flat, t->lane, &linear);
        if (!linear || (!t->across && !v_can_store(g, b->dt, t->store[k].value, t->lane, t->acc)))
            return false;
    }
    return true;
}

/* ---- the tile ---- */

static void statements(VGen *v)
{
    const Tile *t = v->t;
    if (t->red != RED_none)
        (t->across ? v_across_tile : v_is_fold(v->g, t, v->width) ? v_fold_tile : v_accumulator_tile)(v);
    else
        (t->open ? v_open_map_tile : v_map_tile)(v);
}

static void release_all(CGen *g, const Map *names)
{
    for (uint32_t k = 0; k < names->slot.n; k++)
        c_release(g, (const char *)(uintptr_t)names->slot.at[k].val);
}

/* Variables of loops not before: pointers named later are declared round the loops. */
static void release(const VGen *v)
{
    CGen *g = v->g;
    release_all(g, &v->pointer);
    release_all(g, &v->counts);
    release_all(g, &v->divisor);
    for (int k = 0; k < v->t->nr; k++)
        if (k != v->tap)
            c_release(g, var_ident(g, v->t->rvar[k]));
}

bool c_vector_tile(CGen *g, const Tile *t)
{
    if (!is_vector_tile(g, t))
        return false;
    const Map none = {.arena = g->a};
    VGen v = {.g = g, .t = t, .width = width_for(g, t), .memo = none, .pointer = none, .counts = none, .divisor = none, .tap = tile_tap(t, 0)};
    v.full = ex_var(g->x, VK_INDEX, DT_ix, "lane", 0, v.width - 1);
    v.part = ex_var(g->x, VK_INDEX, DT_ix, "lane", 0, max_i64(t->lanes % v.width - 1, 1));
    v.lane = v.full;
    Out *outer = g->o, body;
    out_init(&body, g->a);
    out_init(&v.head, g->a);
    body.depth = v.head.depth = outer->depth + 1;
    g->o = &body;
    statements(&v);
    g->o = outer;
    open_block(outer, "%s", "");
    text_put(&outer->text, v.head.text.n ? text_str(&v.head.text) : "", v.head.text.n);
    text_put(&outer->text, text_str(&body.text), body.text.n);
    close_block(outer, "");
    release(&v);
    return true;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Depthwise products of bytes: lanes have channels of their own, so what multiplies is a dot of pairs of 16 bits, of which one tap fills half, behind
 * a load that widens. So what a dense product makes for such a window alone is stored in 16 bits, two columns side by side (auto_columns.h), by its epilogue:
 *
 *   v[m,i,j] = q(sum(c) x[c,i,j]*w[m,c])    becomes    v'[m,i,f,u] = i16(q(sum(c) x[c,i,2*f+u]*w[m,c]))
 *
 * and the sum of the window, which is the same, is one of pairs: six for nine taps of 3x3. Rows of such pairs are no tiles of a matrix unit, so there
 * the dense product has to be a short one.
 */
#include "auto_columns.h"

enum { MATRIX_STEPS = 64 }; /* of a row of a matrix unit's tile: sums of fewer leave some of it empty, and are stored and read again */

/* What map `map` makes of the sum of stage `product` and of constants that do not know the column. */
typedef struct Bytes { const Auto *g; const Expr *column, *sum; bool fits; } Bytes;

static void look_at_load(void *ctx, const Expr *e)
{
    Bytes *b = ctx;
    if (e->op != EX_load && e->op != EX_loadp)
        return;
    if (is_constant_load(b->g, e)) {
        b->fits = b->fits && !index_uses(e, b->column);
        return;
    }
    b->fits = b->fits && e->op == EX_load && (!b->sum || b->sum == e);
    b->sum = e;
}

/* The dense product whose sum alone map k makes elements of, one for one; NO_STAGE: there is none, or columns are more than rows of its tile. */
static uint32_t product_behind(const Auto *g, const Window *w, uint32_t k)
{
    const Stage *s = g->te->stage.at[k];
    Bytes b = {g, s->var[w->column], NULL, s->kind == ST_map};
    Dot d;
    ex_walk(g->body[k], look_at_load, &b);
    if (!b.fits || !b.sum || ten(g->te, b.sum->v.ref)->kind != TEN_stage || g->nreader[b.sum->v.ref] != 1 || !loads_element(g, b.sum, s->var))
        return NO_STAGE;
    const Ten *sum = ten(g->te, b.sum->v.ref);
    if (sum->rank != ten(g->te, s->out)->rank || !dot_of(g, sum->stage, &d) || d.lane < 0 || d.w->op != EX_load || !is_constant_load(g, d.w))
        return NO_STAGE;
    const bool vectors = !g->m->amx || reduction_steps(g, g->te->stage.at[sum->stage]) < MATRIX_STEPS;
    return vectors && d.group == extent_of(g, sum->dim[d.lane]) && window_follows(g, w, sum->stage, &d) ? sum->stage : NO_STAGE;
}

static bool gains(const Auto *g, const Window *w)
{
    return dtype_is_byte((DType)w->d.x->dt) && dtype_is_byte((DType)w->d.w->dt) && w->pairs < w->taps && may_store_words(g);
}

/* What the window reads beside v. */
static int64_t pad_of(const Window *w) { return w->d.x->op == EX_loadp ? w->d.x->a[ex_load_rank(w->d.x)]->v.i : 0; }

/* Returns the tensor that holds the sum, or its pairs of columns; y where columns are two variables of the product but not of v. */
static uint32_t pair_taps(Auto *g, const Window *w, uint32_t product, const WindowWeights *k)
{
    const uint32_t y = w->s->out, reader = g->te->stage.at[window_reader(g, w)]->out, pairs = split_columns(g, w, product);
    if (!dtype_is_byte(ten(g->te, pairs)->dt))
        return y;
    const uint32_t map = ten(g->te, pairs)->stage;
    (void)auto_replace(g, map, ex_cast(g->x, DT_i16, g->te->stage.at[map]->body));
    ten(g->te, pairs)->dt = DT_i16;
    const uint32_t n = sum_columns(g, w, k, pairs, pad_of(w), NULL, NULL), at = ten(g->te, reader)->stage;
    const Expr *old = ex_sole_load(g->te->stage.at[at]->body, y);
    const Subst of = {old, ex_load(g->x, DT_i32, n, old->n, old->a)};
    (void)auto_replace(g, at, ex_subst(g->x, g->te->stage.at[at]->body, &of, 1));
    return split_sums(g, w, n);
}

void auto_taps(Auto *g)
{
    auto_views(g);
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        Window w;
        WindowWeights weights;
        if (!find_window(g, k, &w) || !gains(g, &w) || !window_splits(g, &w) || window_reader(g, &w) == NO_STAGE || !find_window_weights(g, &w, &weights))
            continue;
        const uint32_t product = product_behind(g, &w, ten(g->te, w.d.x->v.ref)->stage);
        if (product != NO_STAGE)
            k = ten(g->te, pair_taps(g, &w, product, &weights))->stage;
    }
}

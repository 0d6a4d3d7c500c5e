/* SPDX-License-Identifier: Apache-2.0
 *
 * Depthwise products of bytes: lanes have channels of their own, so what multiplies is a dot of pairs of 16 bits, of which one tap fills half, behind
 * a load that widens. So what a dense product makes for such a window alone is stored in 16 bits, two columns side by side (auto_columns.h), by its epilogue:
 *
 *   v[m,i,j] = q(sum(c) x[c,i,j]*w[m,c])    becomes    v'[m,i,f,u] = i16(q(sum(c) x[c,i,2*f+u]*w[m,c]))
 *
 * and the sum of the window, which is the same, is one of pairs: six for nine taps of 3x3. Rows of such pairs are no tiles of a matrix unit, so there
 * the dense product has to be one whose sums leave some of a tile empty, to be stored and read again.
 */
#include "auto_columns.h"

/* What a map makes of one load, and of constants that do not know the column. */
typedef struct Bytes { const Auto *g; const Expr *column, *load; bool fits; } Bytes;

static void look_at_load(void *ctx, const Expr *e)
{
    Bytes *b = ctx;
    if (e->op != EX_load && e->op != EX_loadp)
        return;
    if (is_constant_load(b->g, e)) {
        b->fits = b->fits && !index_uses(e, b->column);
        return;
    }
    b->fits = b->fits && e->op == EX_load && (!b->load || b->load == e);
    b->load = e;
}

/* The stage of which map k alone makes elements, one for one; NO_STAGE: there is none. */
static uint32_t stage_behind(const Auto *g, const Window *w, uint32_t k)
{
    const Stage *s = g->te->stage.at[k];
    Bytes b = {g, s->var[w->column], NULL, true};
    ex_walk(g->body[k], look_at_load, &b);
    if (!b.fits || !b.load || !loads_element(g, b.load, s->var))
        return NO_STAGE;
    const Ten *t = ten(g->te, b.load->v.ref);
    const bool own = t->kind == TEN_stage && g->nreader[b.load->v.ref] == 1 && t->rank == ten(g->te, s->out)->rank;
    return own ? t->stage : NO_STAGE;
}

/* The dense product behind the maps that end in k; NO_STAGE: there is none, or columns are more than rows of its tile. */
static uint32_t product_behind(const Auto *g, const Window *w, uint32_t k)
{
    if (g->te->stage.at[k]->kind != ST_map)
        return NO_STAGE;
    while (k != NO_STAGE && g->te->stage.at[k]->kind == ST_map)
        k = stage_behind(g, w, k);
    Dot d;
    if (k == NO_STAGE || !dot_of(g, k, &d) || d.lane < 0 || d.w->op != EX_load || !is_constant_load(g, d.w))
        return NO_STAGE;
    const Stage *s = g->te->stage.at[k];
    const bool vectors = !g->m->amx || !fills_matrix(g, s, &d), dense = d.group == extent_of(g, ten(g->te, s->out)->dim[d.lane]);
    return vectors && dense && window_follows(g, w, k, &d) ? k : NO_STAGE;
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

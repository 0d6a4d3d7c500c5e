/* SPDX-License-Identifier: Apache-2.0
 *
 * Views that are no operands of products, and borders of constants. A window that reads beyond a view, as a convolution with a border beyond tokens that have become a picture, reads what
 * is behind the view by a guard of several comparisons, where the view joins or splits the dimensions that have the border:
 *
 *   y[h, w, c] = x[W h + w, c],  z = sum(r, s) y[h + r - 1, w + s - 1, c | 0] ..
 *
 * That is no operand of a product. So y is a tensor of its own, which may have a border: a copy, and a pass over memory, for windows that
 * are plain loads. With -Os both are left as they are: bytes count.
 *
 * A transposed convolution whose window is no multiple of its stride reads its constant beyond the end, where there are zeros: then the
 * constant gets these zeros.
 *
 *   y[i] = sum(q) x[i / 2 - q] w[2 q + i mod 2 | 0],  q = 0, 1, of three w
 */
#include "auto.h"

/* ---- views ---- */

static void find_guarded(void *ctx, const Expr *e)
{
    Auto *g = ctx;
    const Ten *t = e->op == EX_loadp ? ten(g->te, e->v.ref) : NULL;
    if (!t || t->kind != TEN_stage || g->s->stage[t->stage].place != PL_inline)
        return;
    if (!guard_through(g->te, g->te->stage.at[t->stage], g->body[t->stage], e))
        g->pinned.at[e->v.ref] = true;
}

/* ---- views of groups ---- */

/* Whether e has the quotient or the remainder of a variable that is summed over. */
typedef struct Split { const Stage *s; bool any; } Split;

static void find_split(void *ctx, const Expr *e)
{
    Split *p = ctx;
    for (uint8_t r = 0; r < p->s->nr && (e->op == EX_fdiv || e->op == EX_mod); r++)
        p->any = p->any || e->a[0] == p->s->rvar[r];
}

/* An index that has besides what the stage is indexed by: rows or columns joined with channels of a group. */
static bool joins_channels(const Auto *g, const Stage *s, const Expr *index)
{
    Split split = {s, false};
    bool beside = false;
    ex_walk(index, find_split, &split);
    for (uint8_t v = 0; v < ten(g->te, s->out)->rank; v++)
        beside = beside || ex_uses(index, s->var[v]);
    return split.any && beside;
}

typedef struct Product { Auto *g; const Stage *s; } Product;

/* What is computed for groups of channels, GroupNorm say, and read by a product through the view that takes them apart: the view is what is
 * computed, with channels last, for the groups would be in the product's order otherwise. */
static void find_grouped(void *ctx, const Expr *e)
{
    const Product *p = ctx;
    Auto *g = p->g;
    const Ten *t = e->op == EX_load ? ten(g->te, e->v.ref) : NULL;
    if (!t || t->kind != TEN_stage || g->s->stage[t->stage].place != PL_inline || g->body[t->stage]->op != EX_load)
        return;
    const Expr *through = auto_element(g, g->te->stage.at[t->stage], e->a);
    const Ten *from = through->op == EX_load ? ten(g->te, through->v.ref) : NULL;
    if (!from || from->kind != TEN_stage || g->te->stage.at[from->stage]->kind != ST_map || g->body[from->stage]->op == EX_load)
        return;
    for (uint16_t d = 0; d < through->n; d++)
        if (joins_channels(g, p->s, through->a[d]))
            g->pinned.at[e->v.ref] = true;
}

/* ---- constants ---- */

enum { MOST_TIMES = 4 }; /* elements for each one that there was */

/* w, and behind the last of each dimension zeros up to the extents of `to`. */
typedef struct Longer { Recipe r; const Ten *w, *to; } Longer;

/* First element of w in this row; -1: the row lies beyond. */
static int64_t row_of(const Longer *k, int64_t row)
{
    int64_t at = 0, run = k->w->dim[k->w->rank - 1]->v.i;
    for (int d = k->w->rank - 2; d >= 0; run *= k->w->dim[d--]->v.i) {
        const int64_t i = row % k->to->dim[d]->v.i;
        row /= k->to->dim[d]->v.i;
        if (i >= k->w->dim[d]->v.i)
            return -1;
        at += i * run;
    }
    return at;
}

static void make_longer(const Recipe *r, const char *from, int64_t first, int64_t n, char *out)
{
    const Longer *k = (const Longer *)r;
    const size_t size = dtype_bytes(k->w->dt), row = (size_t)r->unit * size;
    memset(out, 0, (size_t)n * size);
    for (int64_t q = 0; q < n / r->unit; q++) {
        const int64_t at = row_of(k, first / r->unit + q);
        if (at >= 0)
            memcpy(out + (size_t)q * row, from + (size_t)at * size, (size_t)k->w->dim[k->w->rank - 1]->v.i * size);
    }
}

/* Extents that hold all that e reads; false: it begins before the first, has none, or reads something else than 0 beyond, or much. */
static bool longer_extents(const Auto *g, const Expr *e, const Expr **dim)
{
    const Ten *w = ten(g->te, e->v.ref);
    const Expr *fill = e->a[w->rank];
    int64_t had = 1, has = 1, lo, hi;
    bool may = w->rank > 0 && ex_is_const(fill) && (dtype_is_float((DType)fill->dt) ? fill->v.f == 0 : fill->v.i == 0);
    for (uint8_t d = 0; d < w->rank && may; d++) {
        may = ex_range(g->x, e->a[d], &lo, &hi) && lo >= 0 && hi < INT32_MAX;
        dim[d] = may ? ex_int(g->x, max_i64(w->dim[d]->v.i, hi + 1)) : NULL;
        may = may && mul_i64(has, dim[d]->v.i, &has) && mul_i64(had, w->dim[d]->v.i, &had);
    }
    return may && has <= MOST_TIMES * had;
}

static const Expr *with_zeros(void *ctx, const Expr *e)
{
    Auto *g = ctx;
    const Ten *w = e->op == EX_loadp ? ten(g->te, e->v.ref) : NULL;
    const Expr *dim[MAX_RANK];
    if (!w || w->kind != TEN_const || w->dt == DT_str || !longer_extents(g, e, dim))
        return e;
    const uint32_t t = auto_tensor(g, str_fmt(g->a, "%s.longer%u", w->name, g->te->ten.n), TEN_const, w->rank, dim);
    Longer *k = NEW(g->a, Longer);
    int64_t count = 1;
    for (uint8_t d = 0; d < w->rank; d++)
        count *= dim[d]->v.i;
    w = ten(g->te, e->v.ref);
    *k = (Longer){{.arena = g->a, .from = w->data, .unit = dim[w->rank - 1]->v.i, .make = make_longer}, w, ten(g->te, t)};
    ten(g->te, t)->dt = w->dt;
    ten(g->te, t)->data = blob_made(g->a, w->dt, count, &k->r);
    return ex_load(g->x, w->dt, t, w->rank, e->a);
}

void auto_guard(Auto *g)
{
    auto_views(g);
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        const Stage *s = g->te->stage.at[k];
        if (s->kind != ST_reduce)
            continue;
        ex_walk(s->body, find_guarded, g);
        if (is_product(g, s) && g->m->lanes_f32 > 1)
            ex_walk(s->body, find_grouped, &(Product){g, s});
        const Expr *body = ex_map(g->x, s->body, with_zeros, g);
        if (body != s->body)
            (void)auto_replace(g, k, body);
    }
}

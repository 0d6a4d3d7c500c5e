/* SPDX-License-Identifier: Apache-2.0
 *
 * Tiles of products with constants that are stored as lists (ir/blob_lists.c), whose lanes lie side by side in the other factor: one function of
 * runtime-min/mlcc_lists.h for a row of them.
 */
#include "cgen.h"

/* The load behind a factor. */
static const Expr *factor_load(const Expr *e) { return e->op == EX_cast && e->a[0]->op == EX_load ? e->a[0] : NULL; }

/* Lists that a tile multiplies, and what with; false: it has none. */
static bool find_lists(const CGen *g, const Tile *t, const Expr **lists, const Expr **x)
{
    if (t->red != RED_sum || t->body->op != EX_mul)
        return false;
    for (int k = 0; k < 2; k++) {
        *lists = factor_load(t->body->a[k]);
        *x = factor_load(t->body->a[!k]);
        if (*lists && *x && buf(g->u, (*lists)->v.ref)->lists)
            return true;
    }
    return false;
}

/* Elements of flat from one value of v to the next; -1: not always as many. */
static int64_t stride(const Expr *flat, const Expr *v)
{
    bool linear;
    const int64_t s = ex_coef(flat, v, &linear);
    return linear ? s : -1;
}

static const Expr *first(CGen *g, const Tile *t, const Expr *e)
{
    const Subst s[] = {{t->lane, ex_int(g->x, 0)}, {t->rvar[0], ex_int(g->x, 0)}};
    return ex_subst(g->x, e, s, 2);
}

/* Nothing else can be made of such a tile: what it reads is nowhere but in lists. */
static void check(bool fits)
{
    if (!fits)
        ICE("a product with lists has another form than runtime-min has");
}

bool c_listed_tile(CGen *g, const Tile *t)
{
    const Expr *lists, *x;
    if (!find_lists(g, t, &lists, &x))
        return false;
    const Buf *w = buf(g->u, lists->v.ref);
    const Expr *from = flat_index(g, buf(g->u, x->v.ref), x->a), *to = flat_index(g, buf(g->u, t->store->buf), t->store->idx);
    const int64_t width = g->lanes >= 8 ? 8 : 4, by_step = stride(from, t->rvar[0]);
    check(g->lanes >= 4 && t->nr == 1 && t->np == 0 && t->nstore == 1 && t->lane && !t->open && t->lanes >= 4 * width && t->store->value == t->acc && !t->init);
    check(lists->a[1] == t->rvar[0] && stride(from, t->lane) == 1 && stride(to, t->lane) == 1 && by_step > 0 && x->dt == DT_u8);
    ln(g->o, "V%d_LISTED(%s, %s, %lld, %s, %lld, %s, %d);", (int)width, c_pointer(g, t->store->buf, first(g, t, to)), c_pointer(g, x->v.ref, first(g, t, from)), (long long)by_step,
       buf_name(g, lists->v.ref), (long long)w->dim[0]->v.i, c_expr(g, lists->a[0]), t->lanes);
    return true;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Borders of views. A window that reads beyond a view, as a convolution with a border beyond tokens that have become a picture, reads what
 * is behind the view by a guard of several comparisons, where the view joins or splits the dimensions that have the border:
 *
 *   y[h, w, c] = x[W h + w, c],  z = sum(r, s) y[h + r - 1, w + s - 1, c | 0] ..
 *
 * That is no operand of a product. So y is a tensor of its own, which may have a border: a copy, and a pass over memory, for windows that
 * are plain loads. What is small is left as it is: memory counts.
 */
#include "auto.h"

static void find_guarded(void *ctx, const Expr *e)
{
    Auto *g = ctx;
    const Ten *t = e->op == EX_loadp ? ten(g->te, e->v.ref) : NULL;
    if (!t || t->kind != TEN_stage || g->s->stage[t->stage].place != PL_inline)
        return;
    if (!guard_through(g->te, g->te->stage.at[t->stage], g->body[t->stage], e))
        g->pinned.at[e->v.ref] = true;
}

void auto_guard(Auto *g)
{
    auto_views(g);
    for (uint32_t k = 0; k < g->te->stage.n; k++)
        if (g->te->stage.at[k]->kind == ST_reduce)
            ex_walk(g->te->stage.at[k]->body, find_guarded, g);
}

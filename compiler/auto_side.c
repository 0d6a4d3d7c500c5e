/* SPDX-License-Identifier: Apache-2.0
 *
 * Reductions over rows that lie side by side, such as means over pictures that have channels first, become reductions over one variable:
 *
 *   y[c] = sum(h, w) f(x[c, h, w])   becomes   y[c] = sum(v < H W) f(x[c, v / W, v % W])
 *
 * whose vectors run on from row to row, where rows alone would leave a rest each.
 */
#include "auto_tile.h"

/* Two reduction variables of a stage, the outer one and the inner one. */
typedef struct Rows { const Auto *g; const Expr *a, *b; int64_t n; bool any, fits; } Rows;

static void follows_rows(void *ctx, const Expr *e)
{
    Rows *r = ctx;
    if ((e->op != EX_load && e->op != EX_loadp) || (!ex_uses(e, r->a) && !ex_uses(e, r->b)))
        return;
    const int64_t step = e->op == EX_load ? stride_of(r->g, e, r->b) : 0;
    r->any = true;
    r->fits = r->fits && step == 1 && stride_of(r->g, e, r->a) == r->n;
}

/* Whether the last two variables of stage k walk memory in one. */
static bool lies_beside(const Auto *g, uint32_t k)
{
    const Stage *s = g->te->stage.at[k];
    Dot d;
    if (s->kind != ST_reduce || s->nr < 2 || !ex_is_const(s->rext[s->nr - 1]) || !ex_is_const(s->rext[s->nr - 2]) || ex_is_int(s->rext[s->nr - 2], 1) ||
        dot_of(g, k, &d))
        return false;
    Rows r = {g, s->rvar[s->nr - 2], s->rvar[s->nr - 1], s->rext[s->nr - 1]->v.i, false, true};
    ex_walk(g->body[k], follows_rows, &r);
    return r.any && r.fits;
}

static void join(Auto *g, uint32_t k)
{
    const Stage *from = g->te->stage.at[k];
    Stage *s = arena_copy(g->a, from, sizeof *s);
    const uint8_t a = (uint8_t)(s->nr - 2), b = (uint8_t)(s->nr - 1);
    s->rext[a] = ex_mul(g->x, from->rext[a], from->rext[b]);
    s->rvar[a] = ex_index(g->x, ex_var_info(g->x, from->rvar[b])->name, s->rext[a]);
    const Subst of[] = {{from->rvar[a], ex_fdiv(g->x, s->rvar[a], from->rext[b])}, {from->rvar[b], ex_mod(g->x, s->rvar[a], from->rext[b])}};
    s->body = ex_subst(g->x, g->body[k], of, 2);
    s->nr = b;
    g->te->stage.at[k] = s;
    g->body[k] = s->body;
}

void auto_side(Auto *g)
{
    for (uint32_t k = 0; k < g->te->stage.n; k++)
        while (lies_beside(g, k))
            join(g, k);
}

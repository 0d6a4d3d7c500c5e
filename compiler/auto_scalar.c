/* SPDX-License-Identifier: Apache-2.0
 *
 * Operands of contractions on machines without vectors: channels innermost in activations, and in constants in the same
 * order, so that the innermost loop of the reduction walks both side by side. Results then come pixel by pixel, which
 * lets them lie over operands that die (overlap.h). No halo: it costs memory, and a guard costs little here.
 */
#include "auto.h"

typedef struct Operands { const Expr *load[2]; int n; } Operands;

static void find_operand(void *ctx, const Expr *e)
{
    Operands *o = ctx;
    if (e->op != EX_load && e->op != EX_loadp)
        return;
    if (o->n < 2)
        o->load[o->n] = e;
    o->n++;
}

/* Sum of x * w with a constant w; x may be the same for all that w differs in. */
static bool operands_of(const Auto *g, uint32_t k, const Expr **x, const Expr **w)
{
    const Stage *s = g->te->stage.at[k];
    Operands o = {.n = 0};
    if (s->kind != ST_reduce || s->op != RED_sum || s->body->op != EX_mul)
        return false;
    ex_walk(g->body[k], find_operand, &o);
    if (o.n != 2 || is_constant_load(g, o.load[0]) == is_constant_load(g, o.load[1]))
        return false;
    *x = o.load[is_constant_load(g, o.load[0])];
    *w = o.load[!is_constant_load(g, o.load[0])];
    return true;
}

static void set_innermost(Auto *g, uint32_t t, int dim)
{
    Layout *l = &g->layout.at[t];
    const uint8_t rank = ten(g->te, t)->rank;
    uint8_t n = 0;
    if (l->set || rank < 3 || dim < 0)
        return;
    for (uint8_t d = 0; d < rank; d++)
        if (d != dim)
            l->order[n++] = d;
    l->order[n] = (uint8_t)dim;
    l->set = true;
}

/* Variable of the result along which channels lie: in w and not in a window of x. */
static int channel_variable(const Auto *g, const Stage *s, const Expr *x, const Expr *w)
{
    for (uint8_t v = 0; v < ten(g->te, s->out)->rank; v++)
        if (dim_of(w, s->var[v]) >= 0 && !ex_is_int(ten(g->te, s->out)->dim[v], 1)) {
            bool windowed = false;
            for (uint8_t d = 0; d < ex_load_rank(x); d++)
                windowed = windowed || (x->a[d] != s->var[v] && ex_uses(x->a[d], s->var[v]));
            if (!windowed)
                return v;
        }
    return -1;
}

/* Reduction variable that is a dimension of both: channels summed over. */
static int summed_channel(const Stage *s, const Expr *x, const Expr *w)
{
    for (uint8_t r = 0; r < s->nr; r++)
        if (dim_of(x, s->rvar[r]) >= 0 && dim_of(w, s->rvar[r]) >= 0 && !ex_is_int(s->rext[r], 1))
            return r;
    return -1;
}

/* The stage with reduction variable r last. */
static void sum_last(Auto *g, uint32_t k, int r)
{
    Stage *s = NEW(g->a, Stage);
    *s = *g->te->stage.at[k];
    const Expr *var = s->rvar[r], *extent = s->rext[r];
    for (; r + 1 < s->nr; r++) {
        s->rvar[r] = s->rvar[r + 1];
        s->rext[r] = s->rext[r + 1];
    }
    s->rvar[r] = var;
    s->rext[r] = extent;
    g->te->stage.at[k] = s;
}

void auto_scalar(Auto *g)
{
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        const Stage *s = g->te->stage.at[k];
        const Expr *x, *w;
        if (!operands_of(g, k, &x, &w))
            continue;
        const int channel = channel_variable(g, s, x, w), summed = summed_channel(s, x, w);
        if (layout_free(g, s->out))
            set_innermost(g, s->out, channel);
        if (layout_free(g, x->v.ref))
            set_innermost(g, x->v.ref, dim_of(x, summed >= 0 ? s->rvar[summed] : channel >= 0 ? s->var[channel] : NULL));
        if (summed >= 0) {
            set_innermost(g, w->v.ref, dim_of(w, s->rvar[summed]));
            sum_last(g, k, summed);
        }
    }
}

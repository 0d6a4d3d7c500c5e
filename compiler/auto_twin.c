/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin steps. Where the lanes of a product of floats leave half of a vector empty or more, a vector takes two steps of the reduction
 * side by side, for half as many lanes as it has, and its halves are added at last (codegen/ctile_twin.c): 24 channels on 16 lanes are
 * three vectors for two steps, not four.
 *
 *   sum(k) x[i, k] * w[k, j]   becomes   sum(k, q) x[i, 2*k + q] * w'[k, j, q]        q < 2
 *
 * Of pairs of bf16, which a dot of vectors takes, two go side by side in the same way, q < 4.
 */
#include "auto.h"

enum {
    LEAST_LANES = 8, /* of a vector: where it has fewer, cores take its halves for half the price or have no broadcast of two floats */
    FEW_POINTS = 8,  /* outputs that share an element of w: fewer wait for it, not for multiply-adds */
    LEAST_GAIN = 8   /* one vector of so many is saved */
};

/* Whether so many lanes are more than one half of a vector, and twins save enough. */
static bool saves_vectors(const Auto *g, int64_t lanes)
{
    const int64_t width = g->m->lanes_f32, plain = TWIN * ((lanes + width - 1) / width), twins = (TWIN * lanes + width - 1) / width;
    return 2 * lanes > width && (plain - twins) * LEAST_GAIN >= plain;
}

/* Floats, or bf16 in pairs where vectors multiply those. */
static bool is_plain(const Auto *g, const Dot *d)
{
    const bool type = d->x->dt == d->w->dt && (d->x->dt == DT_f32 ? d->quad == 1 : d->x->dt == DT_bf16 && d->quad > 1 && !g->m->amx);
    return type && !d->thirds && d->x->op == EX_load && d->w->op == EX_load;
}

bool takes_twins(const Auto *g, const Stage *s, const Dot *d)
{
    if (g->m->lanes_f32 < LEAST_LANES || !g->m->fma || g->te->cx->small || d->lane < 0 || s->nr == 0 || s->nr == MAX_RANK)
        return false;
    const Expr *v = s->rvar[s->nr - 1], *steps = s->rext[s->nr - 1], *lanes = ten(g->te, s->out)->dim[d->lane];
    if (!is_plain(g, d) || !is_constant_load(g, d->w) || ten(g->te, d->w->v.ref)->data->fill || !index_uses(d->w, v))
        return false;
    if (!ex_is_const(steps) || steps->v.i % (TWIN * d->quad) || !ex_is_const(lanes) || d->group != lanes->v.i || !saves_vectors(g, lanes->v.i))
        return false;
    return points_sharing(g, s, d->w) >= FEW_POINTS && steps_lie_beside(g, s, d->x, v);
}

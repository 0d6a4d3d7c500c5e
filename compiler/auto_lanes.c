/* SPDX-License-Identifier: Apache-2.0
 *
 * Placement at a block of lanes. A depthwise contraction (the lanes index both operands, as channels do) needs of its
 * operand just the channels that it computes: what makes the operand is made one block of channels at a time, inside the
 * reader's outermost loop, into scratch that the second-level cache holds. Nothing is computed twice, and the expanded
 * tensor between the two (the largest of an inverted residual block) is never whole:
 *
 *     for each block of channels:  t[all rows, block] = act(sum(c) x w);  y[all rows, block] = act(sum(r,s) t w')
 */
#include "auto.h"

uint32_t product_in(const Auto *g, uint32_t k)
{
    Dot d;
    for (uint32_t q = 0; q < k; q++)
        if (g->s->stage[q].place == PL_register && g->s->stage[q].host == k)
            return dot_of(g, q, &d) ? q : NO_STAGE;
    return dot_of(g, k, &d) ? k : NO_STAGE;
}

bool same_variables(const Auto *g, uint32_t host, uint32_t k)
{
    const Ten *t = ten(g->te, g->te->stage.at[k]->out), *h = ten(g->te, g->te->stage.at[host]->out);
    const Expr *load = host == k ? NULL : ex_sole_load(g->body[host], g->te->stage.at[k]->out);
    if (host == k)
        return true;
    if (!load || t->rank != h->rank)
        return false;
    return loads_element(g, load, g->te->stage.at[host]->var);
}

/* Dimension of x that the lanes alone index; -1: none. */
static int lane_dimension(const Auto *g, const Expr *x, const Expr *lane)
{
    const uint8_t rank = ten(g->te, x->v.ref)->rank;
    int found = -1;
    for (uint8_t d = 0; d < rank; d++)
        if (ex_uses(x->a[d], lane))
            found = found < 0 && x->a[d] == lane ? d : -2;
    return found < 0 ? -1 : found;
}

/* Bytes of tensor t for each value of dimension d, halo included. */
static int64_t bytes_per_lane(const Auto *g, uint32_t t, int lane)
{
    const Layout *l = &g->layout.at[t];
    int64_t n = (int64_t)dtype_bytes(ten(g->te, t)->dt);
    for (uint8_t d = 0; d < ten(g->te, t)->rank; d++)
        if (d != lane)
            n *= extent_of(g, ten(g->te, t)->dim[d]) + (l->set ? l->lo[d] + l->hi[d] : 0);
    return n;
}

/* Lanes made at a time: those of the maker's tile when the cache holds them. A narrower block makes the maker slower, which
 * pays where the whole tensor would go through memory. 0: nothing pays. */
static int64_t block_of(const Auto *g, const Dot *maker, uint32_t k, int64_t lanes, int64_t per_lane)
{
    const int64_t width = g->m->lanes_f32, all = lanes_per_tile(g, maker, k), cache = g->m->l2_bytes;
    if (lanes * per_lane <= cache / 8) /* nothing is saved, and whole tensors can take the place of others */
        return 0;
    if (all * per_lane <= cache)
        return all;
    for (int64_t n = all / width; all % width == 0 && lanes * per_lane > 2 * cache && n > 0; n--)
        if (all / width % n == 0 && n * width * per_lane <= cache)
            return n * width;
    return 0;
}

/* Whether stage k, at root, hosts a depthwise product whose operand's maker can be placed in it. */
static bool find_maker(Auto *g, uint32_t k, uint32_t *maker, int64_t *block)
{
    const uint32_t p = product_in(g, k);
    Dot d, md;
    if (p == NO_STAGE || !dot_of(g, p, &d) || d.lane < 0 || d.group || !same_variables(g, k, p))
        return false;
    const uint32_t t = d.x->v.ref;
    if (ten(g->te, t)->kind != TEN_stage || ten(g->te, t)->output >= 0 || g->pinned.at[t] || g->nreader[t] != 1 || !ex_sole_load(g->body[p], t))
        return false;
    *maker = ten(g->te, t)->stage;
    const int dim = lane_dimension(g, d.x, g->te->stage.at[p]->var[d.lane]);
    const uint32_t mp = product_in(g, *maker);
    if (g->s->stage[*maker].place != PL_root || mp == NO_STAGE || !dot_of(g, mp, &md) || !same_variables(g, *maker, mp))
        return false;
    if (dim < 0 || md.lane != dim || md.group != extent_of(g, ten(g->te, t)->dim[dim]) || !ex_is_const(ten(g->te, t)->dim[dim]))
        return false;
    *block = block_of(g, &md, mp, md.group, bytes_per_lane(g, t, dim));
    return *block > 0;
}

void auto_lanes(Auto *g)
{
    for (uint32_t k = 0; k < g->te->stage.n && g->m->lanes_f32 > 1; k++) {
        uint32_t maker;
        int64_t block;
        if (g->s->stage[k].place != PL_root || !g->te->stage.at[k]->body || !find_maker(g, k, &maker, &block))
            continue;
        StagePlan *p = &g->s->stage[maker];
        p->place = PL_at;
        p->host = k;
        p->level = 1;
        g->host[k] = true;
        g->block[k] = block;
    }
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Tiles of what auto_clip.c adds: products with lists, whose lanes are all rows at once (runtime-min/mlcc_lists.h), and copies of bytes that are
 * turned over 16 by 16.
 */
#include "auto_tile.h"

enum { SIDE = 16 };

typedef struct Listed { const Auto *g; bool any; } Listed;

static void find_listed(void *ctx, const Expr *e)
{
    Listed *l = ctx;
    l->any = l->any || (e->op == EX_load && ten(l->g->te, e->v.ref)->lists);
}

static bool reads_lists(const Auto *g, uint32_t k)
{
    Listed l = {g, false};
    if (g->te->stage.at[k]->kind == ST_reduce)
        ex_walk(g->body[k], find_listed, &l);
    return l.any;
}

bool tile_listed(Auto *g, uint32_t k)
{
    StagePlan *p = &g->s->stage[k];
    if (!reads_lists(g, k))
        return false;
    p->tiled = true;
    p->lane = 1;
    add_loop(p, 0, 1);
    return true;
}

bool tile_bytes(Auto *g, uint32_t k, const Order *order)
{
    StagePlan *p = &g->s->stage[k];
    const Stage *s = g->te->stage.at[k];
    const Ten *t = ten(g->te, s->out);
    const int lane = innermost_dim(t, order);
    int across = -1;
    if (g->m->lanes_f32 < 4 || s->kind != ST_map || g->body[k]->op != EX_load || !dtype_is_byte(t->dt) || lane < 0 || !has_known_extents(g, s) || extent_of(g, t->dim[lane]) < SIDE)
        return false;
    for (uint8_t v = 0; v < t->rank; v++)
        if (v != lane && stride_of(g, g->body[k], s->var[v]) == 1 && extent_of(g, t->dim[v]) % SIDE == 0)
            across = v;
    if (across < 0 || stride_of(g, g->body[k], s->var[lane]) < SIDE)
        return false;
    p->tiled = true;
    p->lane = (int8_t)lane;
    for (uint8_t q = 0; q < t->rank; q++)
        if (order->at[q] != lane && !ex_is_int(t->dim[order->at[q]], 1))
            add_loop(p, order->at[q], order->at[q] == across ? SIDE : 1);
    return true;
}

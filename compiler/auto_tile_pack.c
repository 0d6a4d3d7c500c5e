/* SPDX-License-Identifier: Apache-2.0
 *
 * Tiles of copies into groups of four bytes (auto_pack.c), y[.., l, q] = x[..] with q within a group. Where what is read lies along q as
 * well, groups are words, and blocks of words are turned over; where it lies along l, the rows of a group are zipped. And of bytes that are turned over as they are.
 */
#include "auto_tile.h"

enum { WORD = 4, WIDEST = 16, SIDE = 16 }; /* bytes; words of a block's side; bytes of one */

/* Words of a block's side along variable v: as many as a vector has lanes, or fewer where they do not divide it. 0: it has no blocks. */
static int64_t side_along(const Auto *g, const Ten *t, uint8_t v)
{
    int64_t side = min_i64(g->m->lanes_f32, WIDEST);
    while (side >= 4 && (!ex_is_const(t->dim[v]) || t->dim[v]->v.i % side))
        side /= 2;
    return side >= 4 ? side : 0;
}

/* The variable along which words lie side by side in what is read; -1: none has blocks. */
static int words_along(const Auto *g, const Stage *s, const Expr *load, int64_t group)
{
    const Ten *t = ten(g->te, s->out);
    for (uint8_t v = 0; v < t->rank; v++)
        if (side_along(g, t, v) && stride_of(g, load, s->var[v]) == group)
            return v;
    return -1;
}

bool tile_pack(Auto *g, uint32_t k, const Order *order)
{
    StagePlan *p = &g->s->stage[k];
    const Stage *s = g->te->stage.at[k];
    const Ten *t = ten(g->te, s->out);
    const Expr *load = g->body[k];
    if (s->kind != ST_map || load->op != EX_load || load->dt != t->dt || t->rank < 2)
        return false;
    const uint8_t group = order->at[t->rank - 1], lane = order->at[t->rank - 2];
    const int64_t bytes = (int64_t)dtype_bytes(t->dt);
    if (bytes >= WORD || !ex_is_int(t->dim[group], WORD / bytes) || !ex_is_const(t->dim[lane]) || t->dim[lane]->v.i < g->m->lanes_f32)
        return false;
    const bool zips = stride_of(g, load, s->var[lane]) == 1, turns = !zips && stride_of(g, load, s->var[group]) == 1;
    const int across = turns ? words_along(g, s, load, WORD / bytes) : -1;
    if (!zips && across < 0)
        return false;
    p->tiled = true;
    p->lane = (int8_t)lane;
    for (uint8_t q = 0; q + 2 < t->rank; q++) {
        const uint8_t v = order->at[q];
        const int64_t step = v == across ? side_along(g, t, v) : 1;
        if (!ex_is_int(t->dim[v], step))
            add_loop(p, v, step);
    }
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

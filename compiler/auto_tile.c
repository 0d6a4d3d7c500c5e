/* SPDX-License-Identifier: Apache-2.0
 *
 * Loops and tiles of every stage that has a nest of its own. Contractions get a register tile (auto_tile_dot.c), everything else its
 * innermost storage dimension along the vectors (auto_tile_map.c).
 */
#include "auto_tile.h"

enum { ROWS_AT_ONCE = 4, ROWS_BYTES = 1 << 13, MANY_ROWS = 64 }; /* bytes of one statistic or operand in scratch */

/* ---- what tiles share ---- */

Order order_of(const Auto *g, uint32_t t)
{
    const Layout *l = &g->layout.at[t];
    Order o;
    for (uint8_t d = 0; d < MAX_RANK; d++)
        o.at[d] = l->set ? l->order[d] : d;
    return o;
}

int innermost_dim(const Ten *t, const Order *order)
{
    for (int q = t->rank - 1; q >= 0; q--)
        if (!ex_is_int(t->dim[order->at[q]], 1))
            return order->at[q];
    return -1;
}

bool may_lane(const Auto *g, const Ten *t, int v)
{
    return v >= 0 && extent_of(g, t->dim[v]) > 1;
}

void add_loop(StagePlan *p, int v, int64_t step)
{
    p->loop[p->nloop++] = (LoopStep){(uint8_t)v, (int32_t)step, 0};
}

void outer_loops(StagePlan *p, const Ten *t, const Order *order, int lane, int row)
{
    for (uint8_t q = 0; q < t->rank; q++)
        if (order->at[q] != lane && order->at[q] != row && !ex_is_int(t->dim[order->at[q]], 1))
            add_loop(p, order->at[q], 1);
}

void open_lanes(const Auto *g, StagePlan *p, const Ten *t, int lane)
{
    if (!ex_is_const(t->dim[lane]))
        add_loop(p, lane, g->m->lanes_f32);
}

/* ---- hosts ---- */

/* A host of `at` stages has one loop for each outer variable; the tile takes the rest. */
static uint8_t rows_inside(const Auto *g, const Lists *guest, uint32_t host)
{
    for (uint32_t k = guest->first[host]; k < guest->first[host + 1]; k++)
        if (g->s->stage[guest->at[k]].place == PL_at)
            return g->s->stage[guest->at[k]].level;
    return 0;
}

/* Rows whose statistics are made one after the other before any is used: each is a chain of results that wait for each other,
 * and the core works on the next row's meanwhile. Of many rows some may be left over. */
static int64_t rows_at_once(const Auto *g, const Ten *t, uint8_t level)
{
    int64_t row = (int64_t)sizeof(float), n = ROWS_AT_ONCE;
    for (uint8_t v = level; v < t->rank; v++)
        row *= extent_of(g, t->dim[v]);
    if (g->m->lanes_f32 < 2 || g->te->cx->small || level == 0 || !ex_is_const(t->dim[level - 1]))
        return 1;
    const int64_t rows = t->dim[level - 1]->v.i;
    while (n > 1 && ((rows % n && rows < MANY_ROWS) || n * row > ROWS_BYTES))
        n /= 2;
    return n;
}

static void host_loops(Auto *g, uint32_t k, uint8_t level)
{
    StagePlan *p = &g->s->stage[k];
    const Stage *s = g->te->stage.at[k];
    const Ten *t = ten(g->te, s->out);
    const int64_t rows = rows_at_once(g, t, level);
    for (uint8_t v = 0; v < level; v++)
        add_loop(p, v, v + 1 == level ? rows : 1);
    if (rows > 1)
        add_loop(p, level - 1, 1);
    const int lane = t->rank - 1;
    if (g->m->lanes_f32 < 2 || !has_lanes(g, k) || !may_lane(g, t, lane))
        return;
    for (uint8_t v = level; v < lane; v++)
        if (!ex_is_int(t->dim[v], 1))
            add_loop(p, v, 1);
    open_lanes(g, p, t, lane);
    p->lane = (int8_t)lane;
    p->tiled = true;
}

static int64_t register_of(const Auto *g, const Lists *guest, uint32_t host)
{
    for (uint32_t k = guest->first[host]; k < guest->first[host + 1]; k++)
        if (g->s->stage[guest->at[k]].place == PL_register)
            return guest->at[k];
    return -1;
}

static void tile_register_host(Auto *g, uint32_t host, uint32_t k)
{
    Dot d;
    if (dot_of(g, k, &d)) {
        tile_dot(g, host, k, &d);
        return;
    }
    StagePlan *p = &g->s->stage[host];
    const Ten *t = ten(g->te, g->te->stage.at[host]->out);
    const Order order = order_of(g, g->te->stage.at[host]->out);
    const int inner = innermost_dim(t, &order), lane = g->m->lanes_f32 > 1 && may_lane(g, t, inner) ? inner : -1;
    p->tiled = true;
    p->lane = (int8_t)lane;
    outer_loops(p, t, &order, lane, -1);
    if (lane >= 0)
        add_loop(p, lane, SUM_VECTORS * (int64_t)g->m->lanes_f32);
}

static void tile_stage(Auto *g, const Lists *guest, uint32_t k)
{
    const Stage *s = g->te->stage.at[k];
    const int64_t reg = register_of(g, guest, k);
    const uint8_t level = rows_inside(g, guest, k);
    Dot d;
    if (s->kind == ST_scatter || s->kind == ST_call || s->kind == ST_scan)
        return;
    g->s->stage[k].parts = (!g->te->cx->small || layout_holds(g, s->out)) && !dot_of(g, reg < 0 ? k : (uint32_t)reg, &d);
    if (reg >= 0)
        tile_register_host(g, k, (uint32_t)reg);
    else if (dot_of(g, k, &d))
        tile_dot(g, k, k, &d);
    else if (level && !g->band[k].step)
        host_loops(g, k, level);
    else
        tile_map(g, k);
}

void auto_tile(Auto *g)
{
    const Lists guest = schedule_guests(g->a, g->s);
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        const Placement place = g->s->stage[k].place;
        if (place == PL_root || place == PL_at)
            tile_stage(g, &guest, k);
    }
    for (uint32_t t = 1; t < g->te->ten.n; t++)
        g->s->layout[t] = g->layout.at[t];
}

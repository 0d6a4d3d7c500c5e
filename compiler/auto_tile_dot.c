/* SPDX-License-Identifier: Apache-2.0
 *
 * Tiles of contractions: the loops around a register tile. A constant that the second-level cache does
 * not keep is walked once, outside the rows, and fetched ahead.
 */
#include "auto_tile.h"

/* Variable of the host that stands for variable v of its register stage. */
static int host_variable(const Auto *g, uint32_t host, const Expr *load, int v)
{
    const Stage *s = g->te->stage.at[host];
    int h;
    return v >= 0 && is_pure_var(load->a[v], s->var, ten(g->te, s->out)->rank, &h) ? h : -1;
}

/* A depthwise product whose tensors the second-level cache holds goes one block of lanes after the other: the rows that
 * its window spans then stay in the first-level cache. */
static bool slices_fit(const Auto *g, const Dot *d, const Stage *s)
{
    return is_depthwise(d) && bytes_of_tensor(g, d->x->v.ref) + bytes_of_tensor(g, s->out) <= g->m->l2_bytes;
}

static TileVars vars_of(const Auto *g, uint32_t host, uint32_t k, const Dot *d, const MatrixShape *m)
{
    const Stage *s = g->te->stage.at[k];
    const TileVars v = {d->lane, d->row, m ? m->outer : outer_rows(s, ten(g->te, s->out), d)};
    const Expr *load = host == k ? NULL : ex_sole_load(g->body[host], g->te->stage.at[k]->out);
    if (host == k)
        return v;
    return (TileVars){host_variable(g, host, load, v.lane), host_variable(g, host, load, v.row), host_variable(g, host, load, v.outer)};
}

/* Others are walked once, too, where that cache keeps the operand and the result meanwhile; those that the first one keeps aside. */
static bool is_resident(const Auto *g, const Dot *d, const Stage *s)
{
    return constant_bytes(g, d) > g->m->l1_bytes / 2 && bytes_of_tensor(g, d->x->v.ref) + bytes_of_tensor(g, s->out) <= g->m->l2_bytes / 2;
}

uint32_t batch_of(const Auto *g, uint32_t host, const Stage *s, const Dot *d)
{
    const uint32_t k = ten(g->te, s->out)->stage;
    const Expr *load = host == k ? NULL : ex_sole_load(g->body[host], s->out);
    uint32_t batch = 0;
    for (uint8_t v = 0; v < ten(g->te, s->out)->rank; v++) {
        const int h = v == d->lane || !index_uses(d->w, s->var[v]) ? -1 : host == k ? v : host_variable(g, host, load, v);
        batch |= h >= 0 ? 1u << h : 0;
    }
    return batch;
}

/* Dots that one instruction makes leave units idle (target.h). */
static int16_t tail_of(const Auto *g, const Dot *d)
{
    const bool single = d->quad == 4 && dtype_is_byte((DType)d->x->dt) && byte_dot_rate(g->m, (DType)d->x->dt, (DType)d->w->dt) >= 1;
    return single ? (int16_t)g->m->tail_steps : 0;
}

void loops_over(StagePlan *p, const Ten *t, const Order *order, const TileVars *v, int32_t down, uint32_t which)
{
    for (uint8_t q = 0; q < t->rank; q++) {
        const uint8_t d = order->at[q];
        if (d != v->lane && d != v->row && (which >> d & 1) && !ex_is_int(t->dim[d], 1))
            add_loop(p, d, d == v->outer ? down : 1);
    }
}

static void tile_vectors(const Auto *g, uint32_t host, const Stage *s, const Order *order, const Dot *d, const TileVars *v)
{
    StagePlan *p = &g->s->stage[host];
    const Ten *t = ten(g->te, g->te->stage.at[host]->out);
    const int64_t n = extent_of(g, t->dim[v->lane]), all = d->group ? d->group : n, most = g->block[host] ? g->block[host] : all;
    const TileShape shape = is_folded(g, s, d) ? shape_of_fold(g) : shape_of_tile(g, d, s, most, &p->kind);
    const int64_t lanes = min_i64(shape.lanes, most);
    if (all < n)
        add_loop(p, v->lane, all);
    plan_fetches(g, p, d, s, &shape, lanes);
    if (!is_folded(g, s, d))
        plan_added(g, host, s);
    p->tail = tail_of(g, d);
    const int64_t first = g->block[host] ? g->block[host] : is_stream(g, d) || is_resident(g, d, s) || slices_fit(g, d, s) ? lanes : 0;
    const uint32_t batch = g->block[host] ? 0 : batch_of(g, host, s, d);
    loops_over(p, t, order, v, shape.down, batch);
    if (first)
        add_loop(p, v->lane, first);
    loops_over(p, t, order, v, shape.down, ~batch);
    if (first != lanes)
        add_loop(p, v->lane, lanes);
    if (v->row >= 0)
        add_loop(p, v->row, shape.rows);
}

void tile_dot(Auto *g, uint32_t host, uint32_t k, const Dot *d)
{
    StagePlan *p = &g->s->stage[host];
    const Stage *s = g->te->stage.at[k];
    const uint32_t out = g->te->stage.at[host]->out;
    const Ten *t = ten(g->te, out);
    const Order order = order_of(g, out);
    const MatrixShape *matrix = g->matrix.at[s->out];
    const TileVars v = vars_of(g, host, k, d, matrix);
    p->tiled = true;
    if (g->m->lanes_f32 < 2 || !may_lane(g, t, v.lane)) {
        p->lane = -1;
        outer_loops(p, t, &order, -1, -1);
        return;
    }
    p->lane = (int8_t)v.lane;
    if (g->band[host].step)
        p->loop[p->nloop++] = g->band[host];
    if (matrix && v.row >= 0 && !g->block[host])
        tile_matrix(g, host, s, &order, d, &v, matrix);
    else
        tile_vectors(g, host, s, &order, d, &v);
}

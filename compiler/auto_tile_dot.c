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

/* Elements of one dimension of x that n neighbouring values of variable v read; 0: unknown. */
static int64_t reads_along(const Auto *g, const Dot *d, const Stage *s, int v, int64_t n)
{
    const int dim = v >= 0 ? sole_dim(d->x, s->var[v]) : -1;
    bool linear = false;
    int64_t first, last;
    const int64_t step = dim >= 0 ? ex_coef(d->x->a[dim], s->var[v], &linear) : 0;
    if (!linear || step <= 0 || !ex_range(g->x, ex_sub(g->x, d->x->a[dim], ex_mul(g->x, s->var[v], ex_int(g->x, step))), &first, &last))
        return 0;
    return last - first + 1 + (n - 1) * step;
}

/* Whether stage `host` reads x out of a ring, which has all channels: no loop of the host makes it. */
static bool reads_ring(const Auto *g, uint32_t host, const Dot *d)
{
    const Ten *x = ten(g->te, d->x->v.ref);
    const StagePlan *maker = x->kind == TEN_stage ? &g->s->stage[x->stage] : NULL;
    return maker && maker->place == PL_at && maker->host == host && maker->slide;
}

/* A row of a depthwise result reads a window of rows, most of which the next row reads again. Block by block of lanes they stay in the
 * first-level cache where it holds all columns of one block: lines that lie `pixel` bytes apart, so that they take one set in gcd(pixel,
 * page) / line. Column by column it has to hold the columns of one tile, with all lanes of them and of the constant, but these lie side
 * by side, which the hardware fetches ahead. 3x3 of stride 2, 96 channels and 112 columns: 0.6 of the time so (Zen 3). */
static bool goes_by_columns(const Auto *g, uint32_t host, const Dot *d, const Stage *s, const TileShape *shape)
{
    const Ten *t = ten(g->te, s->out);
    const int outer = outer_rows(s, t, d);
    if (!is_depthwise(d) || outer < 0 || !reads_ring(g, host, d) || !ex_is_const(t->dim[d->row]) || !ex_is_const(t->dim[d->lane]))
        return false;
    const int64_t size = (int64_t)dtype_bytes(ten(g->te, d->x->v.ref)->dt), pixel = t->dim[d->lane]->v.i * size;
    const int64_t block = (g->block[host] * size + LINE - 1) / LINE * LINE, one_set_in = max_i64(gcd_i64(pixel, PAGE) / LINE, 1);
    const int64_t rows = reads_along(g, d, s, outer, 1), all = reads_along(g, d, s, d->row, t->dim[d->row]->v.i), some = reads_along(g, d, s, d->row, shape->rows);
    const bool blocks_stay = rows * all * block <= g->m->l1_bytes / one_set_in, columns_stay = rows * some * pixel + constant_bytes(g, d) <= g->m->l1_bytes;
    return !blocks_stay && columns_stay;
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
    if (v->row >= 0 && goes_by_columns(g, host, d, s, &shape)) {
        add_loop(p, v->row, shape.rows);
        loops_over(p, t, order, v, shape.down, UINT32_MAX);
        add_loop(p, v->lane, lanes);
        return;
    }
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

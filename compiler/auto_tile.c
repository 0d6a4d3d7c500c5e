/* SPDX-License-Identifier: Apache-2.0
 *
 * Loops and register tiles. For contractions an analytic model picks rows x vectors: a step of the reduction costs
 * max(FMAs, loads, latency) cycles, and rows and lanes that do not divide cost tiles of their own. Constants that do not
 * fit in half of the second-level cache are walked once, outside the rows. Everything else gets its innermost storage
 * dimension along the vectors.
 */
#include <inttypes.h>

#include "auto.h"

enum { ROWS_AT_ONCE = 4, ROWS_BYTES = 1 << 13 }; /* of one statistic or operand in scratch */
enum { COMPACT_TILE = 4 }; /* vectors of sums under -Os: enough to keep two multiply-add units busy for half of their latency */
enum { OPEN_VECTORS = 2 }; /* of a tile whose lanes are known at run time: a part of them is wasted */
enum { FETCH_AHEAD = 1024 };  /* bytes */
enum { TAP_REGISTERS = 8 };   /* of a depthwise tile: the constants of a row of taps and what they are multiplied with */
enum { TAP_VECTORS = 2 };     /* more would walk as many places of memory at a time */
enum { FMA_LATENCY = 8, STEP_OVERHEAD = 2, TILE_OVERHEAD = 48, OPEN_ROWS = 64, MAX_ROWS = 14, MAX_VECTORS = 4, MAX_CHOICES = 64 };

typedef struct Shape { int64_t rows, vectors; const char *kind; } Shape;

/* Half cycles of one reduction step of a rows x vectors tile: two FMAs, two loads (vector or broadcast) a cycle, and what
 * the step costs whatever its size (loop, start of the streams): larger tiles are better. */
static double step_cost(int64_t rows, int64_t vectors, bool depthwise)
{
    const double fma = (double)(rows * vectors), loads = depthwise ? (double)vectors : (double)(rows + vectors);
    double c = fma > loads ? fma : loads;
    return (c > FMA_LATENCY ? c : FMA_LATENCY) + STEP_OVERHEAD;
}

/* Cost of covering n rows and `lanes` lanes. */
static double cover_cost(const Auto *g, int64_t n, int64_t lanes, int64_t steps, int64_t rows, int64_t vectors, bool depthwise)
{
    const int64_t width = g->m->lanes_f32, nv = (lanes + width - 1) / width;
    double sum = 0;
    for (int row_part = 0; row_part < 2; row_part++)
        for (int lane_part = 0; lane_part < 2; lane_part++) {
            const int64_t r = row_part ? n % rows : rows, v = lane_part ? nv % vectors : vectors;
            const int64_t count = (row_part ? r > 0 : n / rows) * (lane_part ? v > 0 : nv / vectors);
            if (count)
                sum += (double)count * ((double)steps * step_cost(r, v, depthwise) + TILE_OVERHEAD + (double)(2 * r * v));
        }
    return sum;
}

/* -Os: no tile beside the one of the loop, and that one of few instructions. */
static bool is_compact(int64_t n, int64_t nv, int64_t rows, int64_t vectors)
{
    return n % rows == 0 && nv % vectors == 0 && rows * vectors <= COMPACT_TILE;
}

static ShapeList best_shapes(const Auto *g, int64_t n, int64_t lanes, int64_t steps, bool depthwise, int64_t most)
{
    ShapeList best = {0};
    const int64_t width = g->m->lanes_f32, nv = (lanes + width - 1) / width;
    for (int64_t v = 1; v <= min_i64(most, nv); v++)
        for (int64_t r = 1; r <= min_i64(MAX_ROWS, n); r++) {
            if (r * v + (depthwise ? TAP_REGISTERS : v + 1) > g->m->vregs)
                continue;
            if (g->te->cx->small && !is_compact(n, nv, r, v))
                continue;
            shapes_add(&best, (TileShape){1, (int32_t)r, (int32_t)(v * width), cover_cost(g, n, lanes, steps, r, v, depthwise)});
        }
    if (!best.n) /* -Os: nothing is small enough */
        shapes_add(&best, (TileShape){1, 1, (int32_t)width, 0});
    return best;
}

static bool is_depthwise(const Auto *g, const Stage *s, const Dot *d)
{
    (void)g;
    (void)s;
    return d->lane >= 0 && !d->group;
}

static int64_t reduction_steps(const Auto *g, const Stage *s)
{
    int64_t n = 1;
    for (uint8_t q = 0; q < s->nr; q++)
        n *= extent_of(g, s->rext[q]);
    return n;
}

/* Lanes in a row: those that share an operand, or all. */
static int64_t lanes_of(const Auto *g, const Dot *d, const Ten *t)
{
    return d->group ? d->group : extent_of(g, t->dim[d->lane]);
}

static Shape shape_for(const Auto *g, const Dot *d, const Stage *s, const Ten *t, int64_t lanes)
{
    const bool open = !ex_is_const(t->dim[d->lane]);
    const Expr *row = d->row >= 0 ? t->dim[d->row] : NULL;
    const int64_t rows = !row ? 1 : ex_is_const(row) ? row->v.i : OPEN_ROWS;
    const bool depthwise = is_depthwise(g, s, d);
    const int64_t steps = reduction_steps(g, s) / d->quad;
    const ShapeList best = best_shapes(g, rows, lanes, steps, depthwise, open ? OPEN_VECTORS : depthwise ? TAP_VECTORS : MAX_VECTORS);
    const char *kind = str_fmt(g->a, "%s %s %s%" PRId64 "x%" PRId64 "x%" PRId64, depthwise ? "depthwise" : "dense", dtype_info((DType)d->w->dt)->name, open ? "open " : "", rows, lanes, steps);
    const TileShape shape = tuning_choose(g->tuning, kind, &best);
    return (Shape){shape.rows, shape.lanes / g->m->lanes_f32, kind};
}

int64_t lanes_per_tile(const Auto *g, const Dot *d, uint32_t k)
{
    const Stage *s = g->te->stage.at[k];
    const Ten *t = ten(g->te, s->out);
    if (g->matrix.at[s->out])
        return g->matrix.at[s->out]->lanes;
    const int64_t lanes = lanes_of(g, d, t);
    return is_depthwise(g, s, d) ? lanes : min_i64(shape_for(g, d, s, t, lanes).vectors * g->m->lanes_f32, lanes);
}

/* ---- loops ---- */

static void add_loop(StagePlan *p, int v, int64_t step)
{
    p->loop[p->nloop++] = (LoopStep){(uint8_t)v, (int32_t)step, 0};
}

static const uint8_t *order_of(const Auto *g, uint32_t t, uint8_t *plain)
{
    if (g->layout.at[t].set)
        return g->layout.at[t].order;
    for (uint8_t d = 0; d < MAX_RANK; d++)
        plain[d] = d;
    return plain;
}

/* Variable of the host that stands for variable v of its register stage. */
static int host_variable(const Auto *g, uint32_t host, const Expr *load, int v)
{
    const Stage *s = g->te->stage.at[host];
    int h;
    return v >= 0 && is_pure_var(load->a[v], s->var, ten(g->te, s->out)->rank, &h) ? h : -1;
}

static int64_t constant_bytes(const Auto *g, const Dot *d)
{
    const Ten *w = ten(g->te, d->w->v.ref);
    int64_t n = w->kind == TEN_const ? (int64_t)dtype_bytes(w->dt) : 0;
    for (uint8_t q = 0; q < w->rank && n; q++)
        n *= extent_of(g, w->dim[q]);
    return n;
}

typedef struct Choices { const Expr *var; int64_t n; } Choices;

static void find_choices(void *ctx, const Expr *e)
{
    Choices *c = ctx;
    if (e->op != EX_select || e->a[0]->op != EX_eq || !ex_is_const(e->a[0]->a[1]))
        return;
    const Expr *by = e->a[0]->a[0];
    if (by == c->var)
        c->n = INT64_MAX;
    else if (by->op == EX_mod && by->a[0] == c->var && ex_is_const(by->a[1]))
        c->n = max_i64(c->n, by->a[1]->v.i);
}

/* Values of variable v after which choices by position repeat, when they are few: made by one tile, each is decided when
 * the tile is printed, and what several have in common is computed once. 1: there are none. */
static int64_t choices_of(const Auto *g, uint32_t k, int v)
{
    const Stage *s = g->te->stage.at[k];
    Choices c = {s->var[v], 1};
    ex_walk(g->body[k], find_choices, &c);
    const int64_t n = min_i64(c.n, extent_of(g, ten(g->te, s->out)->dim[v]));
    return n <= MAX_CHOICES ? n : 1;
}

/* Extents that are not the tile's: one value per iteration, in storage order; of a stage k >= 0 as many as it chooses between. */
static void outer_loops(const Auto *g, StagePlan *p, const Ten *t, const uint8_t *order, int lane, int row, int64_t k)
{
    for (uint8_t q = 0; q < t->rank; q++) {
        if (order[q] == lane || order[q] == row || ex_is_int(t->dim[order[q]], 1))
            continue;
        const int64_t n = k < 0 ? 1 : choices_of(g, (uint32_t)k, order[q]);
        if (!ex_is_int(t->dim[order[q]], n))
            add_loop(p, order[q], n);
    }
}

static bool may_lane(const Auto *g, const Ten *t, int v)
{
    return v >= 0 && extent_of(g, t->dim[v]) > 1;
}

/* Lanes that only run time knows are taken a vector at a time. */
static void open_lanes(const Auto *g, StagePlan *p, const Ten *t, int lane)
{
    if (!ex_is_const(t->dim[lane]))
        add_loop(p, lane, g->m->lanes_f32);
}

/* A block of lanes that the first-level cache does not hold is fetched ahead; what is walked once, the next block too. */
static void plan_fetches(const Auto *g, StagePlan *p, const Dot *d, const Stage *s, int64_t lanes, bool stream)
{
    const int64_t run = lanes * (int64_t)dtype_bytes((DType)d->w->dt);
    if ((d->w->dt != DT_f32 && d->w->dt != DT_bf16) || d->quad > 1 || !constant_bytes(g, d) || reduction_steps(g, s) * run < g->m->l1_bytes / 2)
        return;
    p->near = (int16_t)max_i64(FETCH_AHEAD / run, 1);
    p->far = stream;
}

static int64_t tensor_bytes(const Auto *g, uint32_t t)
{
    int64_t n = (int64_t)dtype_bytes(ten(g->te, t)->dt);
    for (uint8_t d = 0; d < ten(g->te, t)->rank; d++)
        n *= extent_of(g, ten(g->te, t)->dim[d]);
    return n;
}

/* A depthwise product whose tensors the second-level cache holds goes one block of lanes after the other: the rows that
 * its window spans then stay in the first-level cache. */
static bool slices_fit(const Auto *g, const Dot *d, const Stage *s)
{
    return is_depthwise(g, s, d) && tensor_bytes(g, d->x->v.ref) + tensor_bytes(g, s->out) <= g->m->l2_bytes;
}

/* Variables of a contraction's host that go along the lanes and down the rows of its tile; -1: none. */
typedef struct TileVars { int lane, row, outer; } TileVars;

/* As for vectors, with rows of two variables. */
static void tile_matrix(const Auto *g, StagePlan *p, const Ten *t, const uint8_t *order, const Dot *d, const TileVars *v, const MatrixShape *m)
{
    const bool stream = constant_bytes(g, d) > g->m->l2_bytes / 2;
    p->matrix = true;
    p->kind = m->kind;
    p->far = constant_bytes(g, d) > g->m->l1_bytes;
    if (stream)
        add_loop(p, v->lane, m->lanes);
    for (uint8_t q = 0; q < t->rank; q++)
        if (order[q] != v->lane && order[q] != v->row && !ex_is_int(t->dim[order[q]], 1))
            add_loop(p, order[q], order[q] == v->outer ? m->down : 1);
    if (!stream)
        add_loop(p, v->lane, m->lanes);
    add_loop(p, v->row, m->rows);
}

static void tile_dot(Auto *g, uint32_t host, uint32_t k, const Dot *d)
{
    StagePlan *p = &g->s->stage[host];
    const Stage *s = g->te->stage.at[host], *reg = g->te->stage.at[k];
    const Ten *t = ten(g->te, s->out);
    uint8_t plain[MAX_RANK];
    const uint8_t *order = order_of(g, s->out, plain);
    const MatrixShape *matrix = g->matrix.at[reg->out];
    int lane = d->lane, row = d->row, outer = matrix ? matrix->outer : -1;
    if (host != k) {
        const Expr *load = ex_sole_load(g->body[host], reg->out);
        lane = host_variable(g, host, load, d->lane);
        row = host_variable(g, host, load, d->row);
        outer = host_variable(g, host, load, outer);
    }
    p->tiled = true;
    if (g->m->lanes_f32 < 2 || !may_lane(g, t, lane)) {
        p->lane = -1;
        outer_loops(g, p, t, order, -1, -1, -1);
        return;
    }
    p->lane = (int8_t)lane;
    if (g->band[host].step)
        p->loop[p->nloop++] = g->band[host];
    if (matrix && row >= 0 && !g->block[host]) {
        tile_matrix(g, p, t, order, d, &(TileVars){lane, row, outer}, matrix);
        return;
    }
    const int64_t n = extent_of(g, t->dim[lane]), all = d->group ? d->group : n, most = g->block[host] ? g->block[host] : all;
    const Shape shape = shape_for(g, d, reg, ten(g->te, reg->out), most);
    const int64_t lanes = min_i64(shape.vectors * g->m->lanes_f32, most);
    p->kind = shape.kind;
    if (all < n)
        add_loop(p, lane, all);
    const bool stream = constant_bytes(g, d) > g->m->l2_bytes / 2;
    plan_fetches(g, p, d, reg, lanes, stream);
    const int64_t first = g->block[host] ? g->block[host] : stream || slices_fit(g, d, reg) ? lanes : 0;
    if (first)
        add_loop(p, lane, first);
    outer_loops(g, p, t, order, lane, row, -1);
    if (first != lanes)
        add_loop(p, lane, lanes);
    if (row >= 0)
        add_loop(p, row, shape.rows);
}

/* A reduction over the innermost dimension of what it reads runs across the lanes. */
typedef struct Across { const Auto *g; const Stage *s; bool yes; } Across;

static void reads_along(void *ctx, const Expr *e)
{
    Across *c = ctx;
    if (e->op != EX_load || !e->n)
        return;
    uint8_t plain[MAX_RANK];
    const uint8_t *order = order_of(c->g, e->v.ref, plain);
    c->yes = c->yes || ex_uses(e->a[order[e->n - 1]], c->s->rvar[c->s->nr - 1]);
}

/* Over whole vectors also with further variables outside, whose order is another one then: not for sums of floats. */
bool runs_across(const Auto *g, uint32_t k)
{
    const Stage *s = g->te->stage.at[k];
    if (s->kind != ST_reduce || s->nr == 0)
        return false;
    const Expr *n = s->rext[s->nr - 1];
    bool alone = true;
    for (uint8_t q = 0; q + 1 < s->nr; q++)
        alone = alone && ex_is_int(s->rext[q], 1);
    const bool any_order = s->op == RED_min || s->op == RED_max || (s->op == RED_sum && dtype_is_int((DType)s->body->dt));
    if (extent_of(g, n) < g->m->lanes_f32 || (!alone && !(any_order && ex_is_const(n) && n->v.i % g->m->lanes_f32 == 0)))
        return false;
    Across c = {g, s, false};
    ex_walk(g->body[k], reads_along, &c);
    return c.yes;
}

/* The innermost storage dimension, those of one element apart; -1: none. */
static int innermost(const Ten *t, const uint8_t *order)
{
    for (int q = t->rank - 1; q >= 0; q--)
        if (!ex_is_int(t->dim[order[q]], 1))
            return order[q];
    return -1;
}

/* The innermost dimension along which a map does not choose by position; the innermost one when there is none. */
static int without_choices(const Auto *g, uint32_t k, const Ten *t, const uint8_t *order)
{
    for (int q = t->rank - 1; q >= 0; q--)
        if (!ex_is_int(t->dim[order[q]], 1) && choices_of(g, k, order[q]) == 1)
            return order[q];
    return innermost(t, order);
}

typedef struct Period { const Expr *var; int64_t k; } Period;

static void find_period(void *ctx, const Expr *e)
{
    Period *p = ctx;
    if ((e->op == EX_fdiv || e->op == EX_mod) && e->a[0] == p->var && ex_is_const(e->a[1]) && (p->k == 0 || e->a[1]->v.i < p->k))
        p->k = e->a[1]->v.i;
}

/* Values of the lane variable after which indices turn over, as those of reshapes do: inside, they are affine. 0: none. */
static int64_t period_of(const Auto *g, uint32_t k, int lane)
{
    Period p = {g->te->stage.at[k]->var[lane], 0};
    ex_walk(g->body[k], find_period, &p);
    return p.k >= g->m->lanes_f32 / 2 && p.k < extent_of(g, ten(g->te, g->te->stage.at[k]->out)->dim[lane]) ? p.k : 0;
}

/* Variable along which the one load of a copy walks memory, when the lanes do not: blocks of both are turned over in
 * registers. -1: it is no such copy. */
static int copied_across(const Auto *g, uint32_t k, int lane)
{
    const Stage *s = g->te->stage.at[k];
    const Ten *t = ten(g->te, s->out);
    const Expr *e = g->body[k];
    int v = 0;
    if (s->kind != ST_map || e->op != EX_load || e->dt != DT_f32 || !e->n)
        return -1;
    uint8_t plain[MAX_RANK];
    const Expr *walk = e->a[order_of(g, e->v.ref, plain)[e->n - 1]];
    while (v < t->rank && !ex_uses(walk, s->var[v]))
        v++;
    if (v == t->rank || ex_uses(walk, s->var[lane]) || extent_of(g, t->dim[lane]) < g->m->lanes_f32)
        return -1;
    return extent_of(g, t->dim[v]) >= g->m->lanes_f32 ? v : -1;
}

/* The variable along which every load that depends on position walks memory; -1: there is none, or they differ. */
typedef struct Walked { const Auto *g; const Stage *s; int var; bool differ; } Walked;

static void walks_along(void *ctx, const Expr *e)
{
    Walked *w = ctx;
    const uint8_t rank = ten(w->g->te, w->s->out)->rank;
    uint8_t plain[MAX_RANK];
    int v = 0;
    if ((e->op != EX_load && e->op != EX_loadp) || ten(w->g->te, e->v.ref)->rank == 0)
        return;
    const uint8_t n = ten(w->g->te, e->v.ref)->rank;
    const Expr *walk = e->a[order_of(w->g, e->v.ref, plain)[n - 1]];
    while (v < rank && !ex_uses(walk, w->s->var[v]))
        v++;
    w->differ = w->differ || v == rank || (w->var >= 0 && w->var != v);
    w->var = v;
}

static int walked(const Auto *g, uint32_t k)
{
    Walked w = {g, g->te->stage.at[k], -1, false};
    ex_walk(g->body[k], walks_along, &w);
    return w.differ ? -1 : w.var;
}

/* Elements that vectors hold; what only moves bytes is left to the C compiler, which knows larger steps. */
static bool has_lanes(const Auto *g, uint32_t k)
{
    const DType dt = ten(g->te, g->te->stage.at[k]->out)->dt;
    const bool bytes = dt == DT_i8 || dt == DT_u8 || dt == DT_i16 || dt == DT_u16 || dt == DT_i32;
    return dt == DT_f32 || dt == DT_bf16 || (bytes && g->body[k]->op != EX_load && g->body[k]->op != EX_loadp);
}

/* v = n*q + p in the indices of loads: are they linear in q, one element from one q to the next? */
typedef struct Turn { const Auto *g; Subst v; const Expr *q; bool fits; } Turn;

static void load_turns(void *ctx, const Expr *e)
{
    Turn *t = ctx;
    if (e->op != EX_load && e->op != EX_loadp)
        return;
    const uint8_t rank = ten(t->g->te, e->v.ref)->rank;
    uint8_t plain[MAX_RANK];
    const uint8_t *order = order_of(t->g, e->v.ref, plain);
    for (uint8_t d = 0; d < rank; d++) {
        bool linear;
        const int64_t step = ex_coef(ex_subst(t->g->x, e->a[d], &t->v, 1), t->q, &linear);
        t->fits = t->fits && linear && step == (d == order[rank - 1]);
    }
}

/* As many values of variable v in a row as its quotient and remainder turn over together, what is read being side by side
 * from one turn to the next (a picture's row that interleaves channels); 1: it is not of that form. */
static int64_t turn_of(const Auto *g, uint32_t k, int v)
{
    const Stage *s = g->te->stage.at[k];
    const Expr *n = ten(g->te, s->out)->dim[v];
    Period p = {s->var[v], 0};
    ex_walk(g->body[k], find_period, &p);
    if (p.k < 2 || p.k > MAX_CHOICES || !ex_is_const(n) || n->v.i % p.k || n->v.i / p.k < g->m->lanes_f32)
        return 1;
    const Expr *turn = ex_int(g->x, p.k), *q = ex_index(g->x, "q", ex_int(g->x, n->v.i / p.k)), *point = ex_index(g->x, "p", turn);
    Turn t = {g, {s->var[v], ex_add(g->x, ex_mul(g->x, q, turn), point)}, q, true};
    ex_walk(g->body[k], load_turns, &t);
    return t.fits ? p.k : 1;
}

/* The lanes of a map: the innermost storage dimension or, where that is shorter than half a vector, the dimension that
 * what it reads lies along (the store then scatters, which still beats one element at a time). -1: neither is long enough. */
static int lane_of_map(const Auto *g, uint32_t k, const Ten *t, const uint8_t *order)
{
    const int inner = without_choices(g, k, t, order);
    if (may_lane(g, t, inner) && extent_of(g, t->dim[inner]) >= g->m->lanes_f32 / 2)
        return inner;
    const int along = walked(g, k);
    return along >= 0 && ex_is_const(t->dim[along]) && extent_of(g, t->dim[along]) >= g->m->lanes_f32 && choices_of(g, k, along) == 1 ? along : -1;
}

static void tile_map(Auto *g, uint32_t k, int lane, const uint8_t *order)
{
    StagePlan *p = &g->s->stage[k];
    const Ten *t = ten(g->te, g->te->stage.at[k]->out);
    const int across = copied_across(g, k, lane);
    p->turn = (uint8_t)turn_of(g, k, lane);
    outer_loops(g, p, t, order, lane, across, k);
    if (across >= 0)
        add_loop(p, across, g->m->lanes_f32);
    if (p->turn == 1 && period_of(g, k, lane) > 0)
        add_loop(p, lane, period_of(g, k, lane));
    else
        open_lanes(g, p, t, lane);
}

static void tile_reduction(Auto *g, uint32_t k, int lane, const uint8_t *order)
{
    StagePlan *p = &g->s->stage[k];
    outer_loops(g, p, ten(g->te, g->te->stage.at[k]->out), order, lane, -1, -1);
    add_loop(p, lane, 4 * (int64_t)g->m->lanes_f32);
}

/* Maps and plain reductions. */
static void tile_plain(Auto *g, uint32_t k)
{
    StagePlan *p = &g->s->stage[k];
    const Stage *s = g->te->stage.at[k];
    const Ten *t = ten(g->te, s->out);
    if (g->m->lanes_f32 < 2 || g->rows.at[s->out] || !has_lanes(g, k) || (s->kind != ST_map && s->kind != ST_reduce))
        return;
    uint8_t plain[MAX_RANK];
    const uint8_t *order = order_of(g, s->out, plain);
    const int inner = innermost(t, order);
    const bool wide = may_lane(g, t, inner) && extent_of(g, t->dim[inner]) >= g->m->lanes_f32 / 2;
    const int lane = s->kind == ST_map ? lane_of_map(g, k, t, order) : wide ? inner : -1;
    if (runs_across(g, k)) {
        p->lane = (int8_t)(t->rank + s->nr - 1);
        outer_loops(g, p, t, order, -1, -1, -1);
    } else if (lane < 0) {
        return;
    } else if (s->kind == ST_map) {
        p->lane = (int8_t)lane;
        tile_map(g, k, lane, order);
    } else {
        p->lane = (int8_t)lane;
        tile_reduction(g, k, lane, order);
    }
    p->tiled = true;
}

/* A host of `at` stages has one loop for each outer variable; the tile takes the rest. */
static uint8_t rows_inside(const Auto *g, uint32_t host)
{
    for (uint32_t k = 0; k < g->te->stage.n; k++)
        if (g->s->stage[k].place == PL_at && g->s->stage[k].host == host)
            return g->s->stage[k].level;
    return 0;
}

/* Rows whose statistics are made one after the other before any is used: each is a chain of results that wait for each other,
 * and the core works on the next row's meanwhile. */
static int64_t rows_at_once(const Auto *g, const Ten *t, uint8_t level)
{
    int64_t row = (int64_t)sizeof(float), n = ROWS_AT_ONCE;
    for (uint8_t v = level; v < t->rank; v++)
        row *= extent_of(g, t->dim[v]);
    if (g->m->lanes_f32 < 2 || g->te->cx->small || level == 0 || !ex_is_const(t->dim[level - 1]))
        return 1;
    while (n > 1 && (t->dim[level - 1]->v.i % n || n * row > ROWS_BYTES))
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

static int64_t register_of(const Auto *g, uint32_t host)
{
    for (uint32_t k = 0; k < g->te->stage.n; k++)
        if (g->s->stage[k].place == PL_register && g->s->stage[k].host == host)
            return k;
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
    uint8_t plain[MAX_RANK];
    const uint8_t *order = order_of(g, g->te->stage.at[host]->out, plain);
    const int lane = g->m->lanes_f32 > 1 && may_lane(g, t, innermost(t, order)) ? innermost(t, order) : -1;
    p->tiled = true;
    p->lane = (int8_t)lane;
    outer_loops(g, p, t, order, lane, -1, -1);
    if (lane >= 0)
        add_loop(p, lane, 4 * (int64_t)g->m->lanes_f32);
}

static void tile_stage(Auto *g, uint32_t k)
{
    const Stage *s = g->te->stage.at[k];
    const int64_t reg = register_of(g, k);
    const uint8_t level = rows_inside(g, k);
    Dot d;
    if (s->kind == ST_scatter || s->kind == ST_call || s->kind == ST_scan)
        return;
    g->s->stage[k].parts = !g->te->cx->small && !dot_of(g, reg < 0 ? k : (uint32_t)reg, &d);
    if (reg >= 0)
        tile_register_host(g, k, (uint32_t)reg);
    else if (dot_of(g, k, &d))
        tile_dot(g, k, k, &d);
    else if (level)
        host_loops(g, k, level);
    else
        tile_plain(g, k);
}

void auto_tile(Auto *g)
{
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        const Placement place = g->s->stage[k].place;
        if (place == PL_root || place == PL_at)
            tile_stage(g, k);
    }
    for (uint32_t t = 1; t < g->te->ten.n; t++)
        g->s->layout[t] = g->layout.at[t];
}

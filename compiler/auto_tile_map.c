/* SPDX-License-Identifier: Apache-2.0
 *
 * Tiles of maps and plain reductions: which dimension goes along the vectors, and how many values of the others one tile takes where
 * the body chooses by position, copies across, or turns over.
 */
#include "auto_tile.h"

enum { MAX_CHOICES = 81 }; /* points of a tile of auto_winograd.c at most */

typedef struct Choices { const Expr *var; int64_t n; } Choices;

const Expr *choice_by_position(const Expr *e)
{
    const bool choice = e->op == EX_select && e->a[0]->op == EX_eq && e->a[0]->a[0]->dt == DT_ix && ex_is_const(e->a[0]->a[1]);
    return choice ? e->a[0]->a[0] : NULL;
}

static void find_choices(void *ctx, const Expr *e)
{
    Choices *c = ctx;
    const Expr *by = choice_by_position(e);
    if (!by)
        return;
    if (by == c->var)
        c->n = INT64_MAX;
    else if (by->op == EX_mod && by->a[0] == c->var && ex_is_const(by->a[1]))
        c->n = max_i64(c->n, by->a[1]->v.i);
}

/* Made by one tile, each choice is decided when the tile is printed, and what several have in common is computed once. */
int64_t positions_of(const Auto *g, uint32_t k, int v)
{
    const Stage *s = g->te->stage.at[k];
    Choices c = {s->var[v], 1};
    ex_walk(g->body[k], find_choices, &c);
    const int64_t n = min_i64(c.n, extent_of(g, ten(g->te, s->out)->dim[v]));
    return n <= MAX_CHOICES ? n : 1;
}

/* A reduction over the innermost dimension of what it reads runs across the lanes. */
typedef struct Across { const Auto *g; const Stage *s; bool yes; } Across;

static void reads_along(void *ctx, const Expr *e)
{
    Across *c = ctx;
    const bool guarded = e->op == EX_loadp && layout_has_halo(&c->g->layout.at[e->v.ref], (uint8_t)ex_load_rank(e));
    const uint16_t rank = e->op == EX_load || guarded ? ex_load_rank(e) : 0;
    if (rank)
        c->yes = c->yes || ex_uses(e->a[order_of(c->g, e->v.ref).at[rank - 1]], c->s->rvar[c->s->nr - 1]);
}

/* Over whole vectors also with further variables outside, whose order is another one then: not for sums of floats, but those of auto_thirds.c. */
bool runs_across(const Auto *g, uint32_t k)
{
    const Stage *s = g->te->stage.at[k];
    if (s->kind != ST_reduce || s->nr == 0)
        return false;
    const Expr *n = s->rext[s->nr - 1];
    bool alone = true;
    for (uint8_t q = 0; q + 1 < s->nr; q++)
        alone = alone && ex_is_int(s->rext[q], 1);
    const bool any_order = s->op == RED_min || s->op == RED_max || (s->op == RED_sum && dtype_is_int((DType)s->body->dt)) || multiplies_row(s);
    if (extent_of(g, n) < g->m->lanes_f32 || (!alone && !(any_order && ex_is_const(n) && n->v.i % g->m->lanes_f32 == 0)))
        return false;
    Across c = {g, s, false};
    ex_walk(g->body[k], reads_along, &c);
    return c.yes;
}

/* The innermost dimension along which a map does not choose by position; the innermost one when there is none. */
static int without_choices(const Auto *g, uint32_t k, const Ten *t, const Order *order)
{
    for (int q = t->rank - 1; q >= 0; q--)
        if (!ex_is_int(t->dim[order->at[q]], 1) && positions_of(g, k, order->at[q]) == 1)
            return order->at[q];
    return innermost_dim(t, order);
}

typedef struct Period { const Expr *var; int64_t k; } Period;

static void find_period(void *ctx, const Expr *e)
{
    Period *p = ctx;
    if ((e->op == EX_fdiv || e->op == EX_mod) && e->a[0] == p->var && ex_is_const(e->a[1]) && (p->k == 0 || e->a[1]->v.i < p->k))
        p->k = e->a[1]->v.i;
}

static const Expr *without_walk(void *ctx, const Expr *e)
{
    const Auto *g = ctx;
    return e->op == EX_load && walks_memory(g, e) ? ex_num(g->x, (DType)e->dt, 0) : e;
}

/* Values of the lane variable after which indices turn over, as those of reshapes do: inside, they are affine. 0: none, or what
 * is read lies in memory as it is walked. */
static int64_t period_of(Auto *g, uint32_t k, int lane)
{
    Period p = {g->te->stage.at[k]->var[lane], 0};
    ex_walk(ex_map(g->x, g->body[k], without_walk, g), find_period, &p);
    return p.k >= g->m->lanes_f32 / 2 && p.k < extent_of(g, ten(g->te, g->te->stage.at[k]->out)->dim[lane]) ? p.k : 0;
}

/* v < constant */
static bool is_choice_along(const Expr *e, const Expr *v) { return e->op == EX_lt && e->a[0] == v && ex_is_const(e->a[1]); }

/* Variable along which the one load of a copy walks memory, when the lanes do not: blocks of both are turned over in
 * registers. Several tensors side by side along the lanes are as many copies. -1: it is no such copy. */
static int walked_across(const Auto *g, uint32_t k, int lane, const Expr *e)
{
    const Stage *s = g->te->stage.at[k];
    const Ten *t = ten(g->te, s->out);
    int v = 0;
    if (e->op == EX_select && is_choice_along(e->a[0], s->var[lane])) {
        const int one = walked_across(g, k, lane, e->a[1]);
        return one == walked_across(g, k, lane, e->a[2]) ? one : -1;
    }
    if (e->op != EX_load || (e->dt != DT_f32 && e->dt != DT_i32) || !e->n)
        return -1;
    const Expr *walk = e->a[order_of(g, e->v.ref).at[e->n - 1]];
    while (v < t->rank && !ex_uses(walk, s->var[v]))
        v++;
    if (v == t->rank || ex_uses(walk, s->var[lane]) || extent_of(g, t->dim[lane]) < g->m->lanes_f32)
        return -1;
    return extent_of(g, t->dim[v]) >= g->m->lanes_f32 ? v : -1;
}

static int copied_across(const Auto *g, uint32_t k, int lane)
{
    return g->te->stage.at[k]->kind == ST_map ? walked_across(g, k, lane, g->body[k]) : -1;
}

bool turns_over(const Auto *g, uint32_t k)
{
    const Order order = order_of(g, g->te->stage.at[k]->out);
    const int lane = innermost_dim(ten(g->te, g->te->stage.at[k]->out), &order);
    return lane >= 0 && g->m->lanes_f32 >= 4 && copied_across(g, k, lane) >= 0;
}

/* Variable along which loads walk memory whose lanes lie apart, and which are made in any case: a few elements of each lane are turned
 * over in registers (codegen/ctile_turn.c). -1: there are none, or they differ. */
typedef struct Apart { const Auto *g; const Stage *s; int lane, var; bool differ; Map always; } Apart;

static void find_apart(void *ctx, const Expr *e)
{
    Apart *a = ctx;
    const uint8_t rank = ten(a->g->te, a->s->out)->rank;
    const Expr *lane = a->s->var[a->lane];
    if (e->op != EX_load || !e->n || (e->dt != DT_f32 && e->dt != DT_i32 && e->dt != DT_u8 && e->dt != DT_i8) || !ex_uses(e, lane) || !map_u64(&a->always, e->id, false))
        return;
    const Expr *walk = e->a[order_of(a->g, e->v.ref).at[e->n - 1]];
    int v;
    if (ex_uses(walk, lane))
        return;
    const bool pure = is_pure_var(walk, a->s->var, rank, &v);
    a->differ = a->differ || !pure || (a->var >= 0 && a->var != v);
    a->var = v;
}

static int turned_across(const Auto *g, uint32_t k, int lane)
{
    Apart a = {g, g->te->stage.at[k], lane, -1, false, {.arena = g->a}};
    const Ten *t = ten(g->te, a.s->out);
    ex_always(&a.always, g->body[k]);
    ex_walk(g->body[k], find_apart, &a);
    const bool turned = a.var >= 0 && !a.differ && ex_is_const(t->dim[lane]) && extent_of(g, t->dim[lane]) >= g->m->lanes_f32;
    return turned && extent_of(g, t->dim[a.var]) >= g->m->lanes_f32 ? a.var : -1;
}

/* The variable along which every load that depends on position walks memory; -1: there is none, or they differ. */
typedef struct Walked { const Auto *g; const Stage *s; int var; bool differ; } Walked;

static void walks_along(void *ctx, const Expr *e)
{
    Walked *w = ctx;
    const uint8_t rank = ten(w->g->te, w->s->out)->rank;
    int v = 0;
    if ((e->op != EX_load && e->op != EX_loadp) || ten(w->g->te, e->v.ref)->rank == 0)
        return;
    const uint8_t n = ten(w->g->te, e->v.ref)->rank;
    const Expr *walk = e->a[order_of(w->g, e->v.ref).at[n - 1]];
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

/* Elements that vectors hold. What only moves bytes along memory is left to the C compiler, which knows larger steps. */
bool has_lanes(const Auto *g, uint32_t k)
{
    const DType dt = ten(g->te, g->te->stage.at[k]->out)->dt;
    const bool bytes = dt == DT_i8 || dt == DT_u8 || dt == DT_i16 || dt == DT_u16 || dt == DT_i32;
    return dt == DT_f32 || dt == DT_bf16 || (bytes && g->body[k]->op != EX_load && g->body[k]->op != EX_loadp);
}

/* Bytes that are moved from elsewhere than side by side, or a few in a row, and integers that are turned over. */
static bool moves_apart(Auto *g, uint32_t k, const Order *order)
{
    const Ten *t = ten(g->te, g->te->stage.at[k]->out);
    const int lane = innermost_dim(t, order);
    if (t->dt == DT_i32)
        return turns_over(g, k);
    return lane >= 0 && dtype_is_byte(t->dt) && g->body[k]->op == EX_load && (period_of(g, k, lane) > 0 || turned_across(g, k, lane) >= 0);
}

/* v = n*q + p in the indices of loads: are they linear in q, one element from one q to the next? */
typedef struct Turn { const Auto *g; Subst v; const Expr *q; bool fits; } Turn;

static void load_turns(void *ctx, const Expr *e)
{
    Turn *t = ctx;
    if (e->op != EX_load && e->op != EX_loadp)
        return;
    const uint8_t rank = ten(t->g->te, e->v.ref)->rank;
    const Order order = order_of(t->g, e->v.ref);
    for (uint8_t d = 0; d < rank; d++) {
        bool linear;
        const int64_t step = ex_coef(ex_subst(t->g->x, e->a[d], &t->v, 1), t->q, &linear);
        t->fits = t->fits && linear && step == (d == order.at[rank - 1]);
    }
}

/* As many values of variable v in a row as its quotient and remainder turn over together, what is read being side by side
 * from one turn to the next (a picture's row that interleaves channels); 1: it is not of that form. Rows with borders are built in
 * parts, of which the one that is no border has whole turns (lane_turn). */
static int64_t turn_of(const Auto *g, uint32_t k, int v)
{
    const Stage *s = g->te->stage.at[k];
    const Expr *n = ten(g->te, s->out)->dim[v];
    Period p = {s->var[v], 0};
    ex_walk(g->body[k], find_period, &p);
    if (p.k < 2 || p.k > MAX_CHOICES || !ex_is_const(n) || (n->v.i % p.k && !g->rows.at[s->out]) || n->v.i / p.k < g->m->lanes_f32)
        return 1;
    const Expr *turn = ex_int(g->x, p.k), *q = ex_index(g->x, "q", ex_int(g->x, n->v.i / p.k)), *point = ex_index(g->x, "p", turn);
    Turn t = {g, {s->var[v], ex_add(g->x, ex_mul(g->x, q, turn), point)}, q, true};
    ex_walk(g->body[k], load_turns, &t);
    return t.fits ? p.k : 1;
}

/* The lanes of a map: the innermost storage dimension or, where that is shorter than half a vector, the dimension that
 * what it reads lies along (the store then scatters, which still beats one element at a time). -1: neither is long enough. */
static int lane_of_map(const Auto *g, uint32_t k, const Ten *t, const Order *order)
{
    const int inner = without_choices(g, k, t, order);
    if (may_lane(g, t, inner) && extent_of(g, t->dim[inner]) >= g->m->lanes_f32 / 2)
        return inner;
    const int along = walked(g, k);
    return along >= 0 && ex_is_const(t->dim[along]) && extent_of(g, t->dim[along]) >= g->m->lanes_f32 && positions_of(g, k, along) == 1 ? along : -1;
}

/* As many values per iteration as the map chooses between. */
static void choice_loops(const Auto *g, uint32_t k, const Order *order, int lane, int across)
{
    const Ten *t = ten(g->te, g->te->stage.at[k]->out);
    for (uint8_t q = 0; q < t->rank; q++) {
        const int v = order->at[q];
        if (v == lane || v == across || ex_is_int(t->dim[v], 1))
            continue;
        const int64_t n = positions_of(g, k, v);
        if (!ex_is_int(t->dim[v], n))
            add_loop(&g->s->stage[k], v, n);
    }
}

static void along_lanes(Auto *g, uint32_t k, int lane, const Order *order)
{
    StagePlan *p = &g->s->stage[k];
    const int copied = copied_across(g, k, lane), across = copied >= 0 ? copied : turned_across(g, k, lane);
    p->turn = (uint8_t)turn_of(g, k, lane);
    choice_loops(g, k, order, lane, across);
    if (across >= 0)
        add_loop(p, across, g->m->lanes_f32);
    if (p->turn == 1 && period_of(g, k, lane) > 0)
        add_loop(p, lane, period_of(g, k, lane));
    else
        open_lanes(g, p, ten(g->te, g->te->stage.at[k]->out), lane);
}

/* The lanes of a reduction: the innermost storage dimension when it is long enough; -1: it is not. */
static int lane_of_reduction(const Auto *g, const Ten *t, const Order *order)
{
    const int inner = innermost_dim(t, order);
    return may_lane(g, t, inner) && extent_of(g, t->dim[inner]) >= g->m->lanes_f32 / 2 ? inner : -1;
}

static void tile_reduction(Auto *g, uint32_t k, const Order *order)
{
    StagePlan *p = &g->s->stage[k];
    const Stage *s = g->te->stage.at[k];
    const Ten *t = ten(g->te, s->out);
    const bool across = runs_across(g, k);
    const int lane = across ? -1 : lane_of_reduction(g, t, order);
    if (!across && lane < 0)
        return;
    p->tiled = true;
    p->lane = (int8_t)(across ? t->rank + s->nr - 1 : lane);
    outer_loops(p, t, order, lane, -1);
    if (lane >= 0)
        add_loop(p, lane, SUM_VECTORS * (int64_t)g->m->lanes_f32);
}

/* Rows with borders are copies, which the C compiler makes with larger steps, unless bytes are made of floats on the way. */
static bool is_copied(const Auto *g, uint32_t k) { return g->rows.at[g->te->stage.at[k]->out] && !makes_bytes(g, k); }

void tile_map(Auto *g, uint32_t k)
{
    StagePlan *p = &g->s->stage[k];
    const Stage *s = g->te->stage.at[k];
    const Order order = order_of(g, s->out);
    if (g->m->lanes_f32 < 2 || is_copied(g, k) || (s->kind != ST_map && s->kind != ST_reduce))
        return;
    if (tile_listed(g, k) || tile_pack(g, k, &order) || tile_bytes(g, k, &order) || !(has_lanes(g, k) || moves_apart(g, k, &order)))
        return;
    if (s->kind == ST_reduce) {
        tile_reduction(g, k, &order);
        return;
    }
    if (g->band[k].step)
        p->loop[p->nloop++] = g->band[k];
    const int lane = lane_of_map(g, k, ten(g->te, s->out), &order);
    if (lane < 0)
        return;
    p->tiled = true;
    p->lane = (int8_t)lane;
    along_lanes(g, k, lane, &order);
}

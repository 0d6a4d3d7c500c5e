/* SPDX-License-Identifier: Apache-2.0
 * See parallel_cost.h. */
#include "parallel_cost.h"

#include <math.h>

#include "../ir/call.h"

enum {
    ALL_CYCLES = 1200, /* a meeting of all parts: two transfers of a cache line there and back, and who is late */
    EACH_CYCLES = 60,  /* and of each of them, whose line must come */
    TAKE_CYCLES = 40,  /* of a share: 10 ns alone, 14 with a second thread (mlcc_pool_take, Sapphire Rapids), and the loops begin once more */
    LOOK_CYCLES = 10   /* for each part: who has nothing left looks at what the others have, a cache line each, every few shares */
};

typedef struct Work { double all, loads; bool choice; size_t widest; } Work; /* widest: bytes of an element loaded */

/* Index arithmetic is left out: it is done once for many elements. */
static void add_work(void *ctx, const Expr *e)
{
    Work *w = ctx;
    const bool indexes = e->dt == DT_ix || (e->n > 0 && e->a[0]->dt == DT_ix && e->op != EX_cast && e->op != EX_load && e->op != EX_loadp);
    const bool loads = !indexes && (e->op == EX_load || e->op == EX_loadp);
    w->all += indexes ? 0 : expr_info((ExprOp)e->op)->cost;
    w->loads += loads;
    w->widest = loads && dtype_bytes((DType)e->dt) > w->widest ? dtype_bytes((DType)e->dt) : w->widest;
    w->choice = w->choice || (e->op == EX_select && e->a[0]->n > 0 && e->a[0]->a[0]->dt == DT_ix);
}

static Work work_of(const Expr *e)
{
    Work w = {0};
    ex_walk(e, add_work, &w);
    return w;
}

/* Per point of a tile of so many: one that chooses by position evaluates each side once in all. */
static double store_work(const Expr *e, double points)
{
    const Work w = work_of(e);
    return (w.choice ? w.all / points : w.all) + 1;
}

/* Steps of a product of narrow operands that one instruction takes; 0: the tile is none. */
static double dot_steps(const Cost *s, const Tile *t, const Work *w)
{
    const int64_t group = w->widest == 1 ? 4 : w->widest == 2 ? 2 : 0;
    const bool product = t->red == RED_sum && t->body->op == EX_mul && t->nr > 0;
    return product && group && ex_is_int(t->rext[t->nr - 1], group) ? (double)group * (t->matrix ? s->m->amx_gain : 1) : 0;
}

/* Products that the combination of a sum takes along. */
static int products_of(const Tile *t)
{
    int n = 0;
    const Expr *e = t->body;
    for (; t->red == RED_sum && ex_adds_products(e); e = e->a[0])
        n++;
    return n + (t->red == RED_sum && e->op == EX_mul);
}

/* A step of a reduction: the combination, what else is computed, beside it where units for that lie apart, and loads where points do not share
 * them. */
static double step_work(const Cost *s, const Tile *t, double points)
{
    const Work w = work_of(t->body);
    const double dot = dot_steps(s, t, &w), loads = points > 2 ? 0 : w.loads / 2;
    const int products = products_of(t);
    if (dot > 0)
        return 1 / dot;
    if (!products)
        return fmax(w.all - w.loads + loads + 1, 1);
    const double others = w.all - w.loads - (2 * products - 1);
    return (s->m->adds_apart ? fmax(products, others) : products + others) + loads;
}

/* The constant of a product that is stored as lists; NULL: there is none. */
typedef struct Listed { const Unit *u; const Buf *buf; } Listed;

static void find_lists(void *ctx, const Expr *e)
{
    Listed *l = ctx;
    l->buf = e->op == EX_load && buf(l->u, e->v.ref)->lists ? buf(l->u, e->v.ref) : l->buf;
}

static const Buf *lists_of(const Cost *s, const Tile *t)
{
    Listed l = {s->u, NULL};
    if (t->body)
        ex_walk(t->body, find_lists, &l);
    return l.buf;
}

/* For each quad a vector of lanes takes five operations. */
static double list_cycles(const Cost *s, const Tile *t, const Buf *lists)
{
    enum { QUAD_WORK = 5 };
    const double quads = (double)lists->lists->count / (double)lists->dim[0]->v.i / LIST_QUAD_BYTES;
    return quads * QUAD_WORK * ceil((double)t->lanes / s->m->lanes_f32) / s->m->fma_rate;
}

static double tile_cycles(const Cost *s, const Tile *t)
{
    double points = 1, steps = 1, stores = 0;
    const Buf *lists = lists_of(s, t);
    if (lists)
        return list_cycles(s, t, lists);
    for (uint8_t k = 0; k < t->np; k++)
        points *= t->pext[k];
    for (uint8_t k = 0; k < t->nr; k++)
        steps *= (double)ex_upper(s->u->cx->x, t->rext[k]);
    for (uint8_t k = 0; k < t->nstore; k++)
        stores += store_work(t->store[k].value, points);
    const double vectors = t->lane ? ceil((double)t->lanes / s->m->lanes_f32) : 1, step = t->red ? step_work(s, t, points) : 0;
    if (t->across)
        steps *= vectors / t->lanes;
    else
        points *= vectors;
    return points * (steps * step + stores) / s->m->fma_rate;
}

static double call_cycles(const Cost *s, const Nest *n)
{
    double bytes = 0;
    for (uint8_t k = 0; k < n->call->nin + n->call->nout; k++)
        bytes += n->buf[k] ? (double)buf(s->u, n->buf[k])->bytes : 0;
    return bytes;
}

typedef struct Scope { const Cost *s; int32_t part, parts; bool outer; Units own; } Scope; /* own: of an outer loop around */

static double cycles(const Scope *at, const Nest *n);

static double cycles_of(const Scope *at, Nest *const *list, uint32_t n)
{
    double sum = 0;
    for (uint32_t k = 0; k < n; k++)
        sum += cycles(at, list[k]);
    return sum;
}

/* Of two sides the dearer. */
static double cycles_inside(const Scope *at, const Nest *n)
{
    return fmax(cycles_of(at, n->body.at, n->body.n), cycles_of(at, n->other.at, n->other.n));
}

static double length(Run r) { return r.last < r.first ? 0 : (double)(r.last - r.first + 1); }

static double parallel_cycles(const Scope *at, const Nest *n)
{
    const Exprs *x = at->s->u->cx->x;
    const Units own = at->outer ? at->own : part_units(&n->share, at->part, at->parts);
    Piece piece[PIECES];
    double sum = 0;
    if (own.from >= own.end)
        return 0;
    if (n->share.each <= 1)
        return length(part_inner_run(x, n, own)) * (cycles_inside(at, n) + 1);
    const int pieces = units_pieces(&n->share, own, piece);
    for (int k = 0; k < pieces; k++) {
        Scope in = *at;
        in.outer = true;
        in.own = piece[k].in;
        sum += length(part_outer_run(x, n, &piece[k])) * (cycles_inside(&in, n) + 1);
    }
    return sum;
}

/* Elements filled or copied one after the other: the C compiler makes vectors of it. */
static bool is_row(const Nest *n)
{
    const Nest *in = n->body.n == 1 ? n->body.at[0] : NULL;
    return n->op == NS_for && n->kind == FOR_serial && in && in->op == NS_store && (in->store.value->op == EX_const || in->store.value->op == EX_load);
}

static double row_cycles(const Cost *s, const Nest *n)
{
    const double size = (double)dtype_bytes(buf(s->u, n->body.at[0]->store.buf)->dt);
    return ceil((double)ex_upper(s->u->cx->x, n->extent) * size / (4 * s->m->lanes_f32));
}

static double cycles(const Scope *at, const Nest *n)
{
    const Cost *s = at->s;
    if (is_row(n))
        return row_cycles(s, n);
    if (nest_is_shared(n))
        return parallel_cycles(at, n);
    double sum = n->expr ? ex_cost(n->expr) : 0;
    sum += n->op == NS_store ? ex_cost(n->store.value) + 1 : 0;
    sum += n->op == NS_tile ? tile_cycles(s, n->tile) : n->op == NS_call ? call_cycles(s, n) : 0;
    sum += cycles_inside(at, n);
    return n->op == NS_for ? (double)ex_upper(s->u->cx->x, n->extent) * (sum + 1) : sum;
}

Cost cost_on(const Unit *u, const Machine *m)
{
    double constants = 0, all = 0;
    for (uint32_t k = 1; k < u->buf.n; k++) {
        const Buf *b = buf(u, k);
        constants += b->cls == BC_const ? (double)buf_stored_bytes(b) : 0;
        all += (double)buf_stored_bytes(b);
    }
    const double beyond = constants > m->l3_bytes ? m->ram_rate : m->l3_rate;
    return all > m->l2_bytes ? (Cost){u, m, m->l3_rate, beyond} : (Cost){u, m, m->l2_rate, m->l2_rate};
}

double share_cycles(const Cost *s, const Func *f, const Touches *touched, int32_t share, int32_t shares)
{
    const Scope at = {.s = s, .part = share, .parts = shares};
    return fmax(cycles(&at, f->body), touched_bytes(s->u, touched) / s->rate);
}

/* They come beside the arithmetic for the most part, but what is left over grows with them: BERT-base on two threads takes 9 ms more
 * when each reads 170 MB more. */
double constant_cycles(const Cost *s, const Touches *constants) { return touched_bytes(s->u, constants) / s->constant_rate; }

bool constants_stay(const Cost *s, const Touches *constants) { return 2 * touched_bytes(s->u, constants) <= s->m->l2_bytes; }

double meet_cycles(int32_t reach, int32_t parts)
{
    const int32_t awaited = 2 * reach < parts ? 2 * reach : parts - 1;
    return reach ? (reach < parts - 1 ? ALL_CYCLES / 2 : ALL_CYCLES) + EACH_CYCLES * awaited : 0;
}

typedef struct Dealt { int64_t all, well; } Dealt; /* units of a function; those of them that nothing is done for twice */
typedef struct Place { int64_t around; bool owned; } Place; /* units of the outer loops around, 0: in none; only their owner goes there */

/* What no loop of single units deals out, or one of those needed, each share does that has a unit of the iteration around. */
static void add_units(Dealt *u, const Nest *n, Place at)
{
    const Share *s = &n->share;
    if (nest_is_shared(n)) {
        u->all = max_i64(u->all, s->of * s->each);
        at.owned = at.owned || (s->each == 1 && !s->times);
        at.around = s->each > 1 ? max_i64(at.around, 1) * s->of : at.around;
    }
    if ((n->op == NS_store || n->op == NS_tile) && at.around && !at.owned)
        u->well = min_i64(u->well, at.around);
    for (uint32_t k = 0; k < n->body.n; k++)
        add_units(u, n->body.at[k], at);
    for (uint32_t k = 0; k < n->other.n; k++)
        add_units(u, n->other.at[k], at);
}

static Dealt dealt_by(const Func *f)
{
    Dealt u = {0, INT64_MAX};
    add_units(&u, f->body, (Place){0, false});
    return (Dealt){u.all, min_i64(u.all, u.well)};
}

int64_t units_dealt(const Func *f) { return dealt_by(f).all; }
int64_t units_dealt_well(const Func *f) { return dealt_by(f).well; }

double take_cycles(int32_t parts) { return TAKE_CYCLES + LOOK_CYCLES * parts; }

/* The slowest of more cores is further behind the others: SLOWER that of sixteen. To be dealt out takes a meeting more and the shares. Half
 * of the best number of them (parallel_deal.c) costs little more, and cuts that have no more keep together with others. */
double uneven_cycles(double cycles, int64_t units, int32_t parts)
{
    const double slower = SLOWER * log2(parts) / 4 * cycles, take = take_cycles(parts);
    const double shares = fmax(fmin((double)(units / parts), sqrt(slower / take) / 2), 1);
    return fmin(slower, slower / shares + shares * take + meet_cycles(parts - 1, parts));
}

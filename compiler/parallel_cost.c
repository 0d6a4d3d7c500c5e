/* SPDX-License-Identifier: Apache-2.0
 * See parallel_cost.h. */
#include "parallel_cost.h"

#include <math.h>

#include "../ir/call.h"

enum {
    ALL_CYCLES = 1200, /* a meeting of all parts: two transfers of a cache line there and back, and who is late */
    EACH_CYCLES = 60,  /* and of each of them, whose line must come */
    ENOUGH_SHARES = 3  /* of a part: cuts are not chosen for more, which would only keep functions from being dealt out together */
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

static double tile_cycles(const Cost *s, const Tile *t)
{
    double points = 1, steps = 1, stores = 0;
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

typedef struct Scope { const Cost *s; int32_t part, parts; const Piece *piece; } Scope; /* piece: of the outer loop around */

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
    Piece own[PIECES];
    double sum = 0;
    if (at->piece)
        return length(part_inner_run(x, n, at->piece)) * (cycles_inside(at, n) + 1);
    const int pieces = part_pieces(&n->share, at->part, at->parts, own);
    for (int k = 0; k < pieces; k++) {
        Scope in = *at;
        in.piece = n->share.each > 1 ? &own[k] : NULL;
        sum += length(n->share.each > 1 ? part_outer_run(x, n, &own[k]) : part_inner_run(x, n, &own[k])) * (cycles_inside(&in, n) + 1);
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
        constants += b->cls == BC_const ? (double)b->bytes : 0;
        all += (double)b->bytes;
    }
    const double beyond = constants > m->l3_bytes ? m->ram_rate : m->l3_rate;
    return all > m->l2_bytes ? (Cost){u, m, m->l3_rate, beyond} : (Cost){u, m, m->l2_rate, m->l2_rate};
}

double share_cycles(const Cost *s, const Func *f, const Touches *touched, int32_t share, int32_t shares)
{
    const Scope at = {s, share, shares, NULL};
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

typedef struct Units { int64_t all, outer; bool twice; } Units;

static void find_units(void *ctx, Nest *n)
{
    Units *u = ctx;
    if (n->op != NS_for || n->kind != FOR_parallel)
        return;
    u->all = max_i64(u->all, n->share.of * (n->share.each > 1 ? n->share.each : 1));
    u->outer = max_i64(u->outer, n->share.each > 1 ? n->share.of : 0);
    u->twice = u->twice || n->share.times;
}

static Units units_of(const Nest *body)
{
    Units u = {0};
    nest_walk((Nest *)(uintptr_t)body, find_units, &u);
    return u;
}

int64_t units_dealt(const Func *f) { return units_of(f->body).all; }

int64_t units_dealt_well(const Func *f)
{
    const Units u = units_of(f->body);
    return u.twice && u.outer ? u.outer : u.all;
}

/* The slowest of more cores is further behind the others: SLOWER that of sixteen. To be dealt out may take a meeting more. */
double uneven_cycles(double cycles, int64_t units, int32_t parts)
{
    const double slower = SLOWER * log2(parts) / 4 * cycles;
    return fmin(slower, slower / (double)max_i64(min_i64(units / parts, ENOUGH_SHARES), 1) + meet_cycles(parts - 1, parts));
}

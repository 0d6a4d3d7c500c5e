/* SPDX-License-Identifier: Apache-2.0
 *
 * Several threads. A function is cut along one dimension of the tensor that it makes: parts own its units (rows, blocks
 * of channels, heads), and in every tree of the function the loop that moves along that dimension becomes parallel;
 * what no such loop holds runs on the part that owns its place. A cut is kept when no two parts clash (ir/part.h), so a
 * reduction is never cut. Then parts must meet before a function whose part touches what other parts have touched since
 * they last met; where only neighbours have, as with the rows around a window, neighbours meet.
 */
#include <math.h>

#include "parallel_cost.h"
#include "pass.h"

enum {
    MEET_CYCLES = 1500,   /* all parts: two transfers of a cache line there and back, and who is late */
    START_CYCLES = 60000, /* of a run: a worker that sleeps is woken by the operating system */
    MAX_UNITS = 1 << 30   /* emitted code counts them in int */
};

typedef struct Cut { uint32_t buf; uint8_t d; int64_t unit, of; } Cut; /* unit: elements along d that stay together */

typedef struct Split {
    Program *p;
    Unit *u;
    Exprs *x;
    Arena *a;
    Cost cost;
    uint32_t first;           /* function behind the last meeting of all */
    Accesses **of;            /* by function */
    uint32_t split;           /* functions cut */
    double serial, parallel;  /* cycles of the whole run: on one part; on the fewest parts asked for */
} Split;

/* ---- cutting ---- */

typedef struct Stores { const Unit *u; bool shared, call; uint32_t largest; VEC(const Store *) v; Arena *a; } Stores;

static void note_store(Stores *s, const Store *st)
{
    const Buf *b = buf(s->u, st->buf);
    if (b->cls == BC_scratch)
        return;
    s->shared = true;
    PUSH(s->a, &s->v, st);
    if (!s->largest || b->bytes > buf(s->u, s->largest)->bytes)
        s->largest = st->buf;
}

static void find_stores(void *ctx, Nest *n)
{
    Stores *s = ctx;
    if (n->op == NS_store)
        note_store(s, &n->store);
    for (uint8_t k = 0; n->op == NS_tile && k < n->tile->nstore; k++)
        note_store(s, &n->tile->store[k]);
    s->call = s->call || n->op == NS_call;
}

static Stores stores_of(const Split *s, const Nest *n)
{
    Stores r = {.u = s->u, .a = s->a};
    nest_walk((Nest *)(uintptr_t)n, find_stores, &r);
    return r;
}

/* Elements along the cut that one iteration of the loop moves a store by; 0: none of its stores. */
static int64_t step_along(const Stores *in, const Cut *c, const Expr *var)
{
    for (uint32_t k = 0; k < in->v.n; k++) {
        bool linear;
        const int64_t step = in->v.at[k]->buf == c->buf ? ex_coef(in->v.at[k]->idx[c->d], var, &linear) : 0;
        if (step)
            return linear ? step : 0;
    }
    return 0;
}

/* Unit of the first element along the cut that the nest stores to. */
static int64_t place_along(const Split *s, const Stores *in, const Cut *c)
{
    int64_t least = INT64_MAX, lo, hi;
    for (uint32_t k = 0; k < in->v.n; k++)
        if (in->v.at[k]->buf == c->buf && ex_range(s->x, in->v.at[k]->idx[c->d], &lo, &hi))
            least = min_i64(least, lo);
    return least == INT64_MAX ? 0 : max_i64(least, 0) / c->unit;
}

static Nest *copy_nest(const Split *s, const Nest *n)
{
    Nest *c = NEW(s->a, Nest);
    *c = *n;
    memset(&c->body, 0, sizeof c->body);
    memset(&c->other, 0, sizeof c->other);
    return c;
}

static Nest *parallel_loop(const Split *s, Nest *loop, const Stores *in, const Cut *c)
{
    const int64_t n = ex_upper(s->x, loop->extent);
    loop->kind = FOR_parallel;
    loop->of = max_i64(c->of, n);
    loop->at = min_i64(place_along(s, in, c), loop->of - n);
    return loop;
}

/* for once = 0, 1 parallel: the owner of the place runs it. */
static Nest *owned(const Split *s, Nest *n, const Stores *in, const Cut *c)
{
    Nest *loop = NEW(s->a, Nest);
    loop->op = NS_for;
    loop->var = ex_var(s->x, VK_INDEX, DT_ix, "once", 0, 0);
    loop->lo = ex_int(s->x, 0);
    loop->extent = ex_int(s->x, 1);
    PUSH(s->a, &loop->body, n);
    return parallel_loop(s, loop, in, c);
}

/* n with the loops along the cut made parallel; what parts do not share is left to each. */
static Nest *cut_nest(const Split *s, Nest *n, const Cut *c)
{
    const Stores in = stores_of(s, n);
    if (!in.shared)
        return n;
    if (n->op == NS_store || n->op == NS_tile)
        return owned(s, n, &in, c);
    Nest *r = copy_nest(s, n);
    if (n->op == NS_for && ex_is_const(n->extent) && step_along(&in, c, n->var) == c->unit) {
        r->body = n->body;
        return parallel_loop(s, r, &in, c);
    }
    for (uint32_t k = 0; k < n->body.n; k++)
        PUSH(s->a, &r->body, cut_nest(s, n->body.at[k], c));
    for (uint32_t k = 0; k < n->other.n; k++)
        PUSH(s->a, &r->other, cut_nest(s, n->other.at[k], c));
    return r;
}

/* ---- meeting ---- */

static bool is_defined_since(const Split *s, uint32_t f)
{
    const Func *g = s->u->func.at[f];
    for (uint32_t k = s->first; k < f; k++)
        for (uint32_t q = 0; q < s->u->func.at[k]->defines.n; q++)
            for (uint32_t m = 0; m < g->sym.n; m++)
                if (g->sym.at[m] == s->u->func.at[k]->defines.at[q])
                    return true;
    return false;
}

typedef struct Touching { Arena *a; Touches *at; int32_t parts; } Touching;

static Touching touching(const Split *s, const Accesses *of, int32_t parts)
{
    Touching t = {arena_child(s->a), NULL, parts};
    t.at = NEWN(t.a, Touches, parts);
    for (int32_t p = 0; p < parts; p++)
        t.at[p] = part_touches(t.a, of, p, parts);
    return t;
}

/* Greatest distance of two parts of which one clashes in f with the other in g; 0: none does. */
static int32_t clash_distance(const Split *s, const Accesses *f, const Accesses *g, int32_t parts)
{
    int32_t most = 0;
    Touching tf = touching(s, f, parts), tg = touching(s, g, parts);
    for (int32_t p = 0; p < parts; p++)
        for (int32_t q = 0; q < parts; q++) {
            const int32_t apart = p < q ? q - p : p - q;
            if (apart > most && touches_clash(s->u, &tf.at[p], &tg.at[q]))
                most = apart;
        }
    arena_free(tf.a);
    arena_free(tg.a);
    return most;
}

/* What must precede function f, whose accesses are `of`. Neighbours meet once between meetings of all, as buffers keep
 * their bytes until all have met. */
static Meet meet_before(const Split *s, uint32_t f, const Accesses *of)
{
    Meet meet = MEET_none;
    int near = 0;
    const bool neighbours = s->u->threads.at[s->u->threads.n - 1] > 2; /* of two parts, both are all */
    if (is_defined_since(s, f))
        return MEET_all;
    for (uint32_t k = f; k-- > s->first && meet != MEET_all;) {
        for (uint32_t t = 0; t < s->u->threads.n && meet != MEET_all; t++) {
            const int32_t parts = s->u->threads.at[t], apart = clash_distance(s, s->of[k], of, parts);
            if (apart > near)
                meet = apart <= near + 1 && neighbours ? MEET_near : MEET_all;
        }
        near += s->u->func.at[k]->meet == MEET_near;
        if (near && meet == MEET_near)
            meet = MEET_all;
    }
    return meet;
}

/* ---- choosing ---- */

typedef struct Choice { Nest *body; Accesses *of; double cost; } Choice; /* cost: sum over the counts of parts of time, as shares of one part's */

static bool parts_clash(const Split *s, const Accesses *of)
{
    for (uint32_t t = 0; t < s->u->threads.n; t++)
        if (clash_distance(s, of, of, s->u->threads.at[t]))
            return true;
    return false;
}

/* Takes the cut when it is sound and better. */
static void consider(const Split *s, uint32_t k, const Cut *c, double alone, Choice *best)
{
    Func trial = *s->u->func.at[k];
    double cost = 0;
    trial.split = true;
    trial.body = cut_nest(s, trial.body, c);
    Accesses *of = part_accesses(s->a, s->u, &trial);
    if (parts_clash(s, of))
        return;
    const double meet = meet_before(s, k, of) ? MEET_CYCLES : 0;
    for (uint32_t t = 0; t < s->u->threads.n; t++)
        cost += (part_cycles(&s->cost, &trial, of, s->u->threads.at[t]) + meet) / alone;
    if (cost < best->cost)
        *best = (Choice){trial.body, of, cost};
}

typedef struct Steps { const Split *s; const Stores *in; Cut *c; VEC(int64_t) unit; } Steps;

static void find_steps(void *ctx, Nest *n)
{
    Steps *p = ctx;
    const int64_t step = n->op == NS_for && ex_is_const(n->extent) && n->extent->v.i > 1 ? step_along(p->in, p->c, n->var) : 0;
    for (uint32_t k = 0; k < p->unit.n; k++)
        if (p->unit.at[k] == step)
            return;
    if (step > 0)
        PUSH(p->s->a, &p->unit, step);
}

static void choose(const Split *s, uint32_t k, double alone, Choice *best)
{
    const Func *f = s->u->func.at[k];
    const Stores in = stores_of(s, f->body);
    if (in.call || !in.largest)
        return;
    const Buf *b = buf(s->u, in.largest);
    for (uint8_t d = 0; d < b->rank; d++) {
        Cut c = {.buf = in.largest, .d = d};
        Steps steps = {.s = s, .in = &in, .c = &c};
        nest_walk(f->body, find_steps, &steps);
        for (uint32_t q = 0; q < steps.unit.n; q++) {
            c.unit = steps.unit.at[q];
            c.of = (ex_upper(s->x, b->dim[d]) + c.unit - 1) / c.unit;
            if (c.of <= MAX_UNITS)
                consider(s, k, &c, alone, best);
        }
    }
}

static void split_function(Split *s, uint32_t k)
{
    Func *f = s->u->func.at[k];
    s->of[k] = part_accesses(s->a, s->u, f);
    const double alone = part_cycles(&s->cost, f, s->of[k], 1);
    const bool always = s->p->opt->always;
    Choice best = {.cost = always ? INFINITY : s->u->threads.n * (1 + 2 * MEET_CYCLES / alone)};
    choose(s, k, alone, &best);
    if (best.body) {
        f->body = best.body;
        f->split = true;
        s->split++;
        s->of[k] = best.of;
    }
    f->meet = k ? meet_before(s, k, s->of[k]) : MEET_none;
    s->first = f->meet == MEET_all ? k : s->first;
    f->cycles = alone;
    f->slowest = NEWN(s->a, double, s->u->threads.n);
    for (uint32_t t = 0; t < s->u->threads.n; t++)
        f->slowest[t] = part_cycles(&s->cost, f, s->of[k], s->u->threads.at[t]);
    s->serial += alone;
    s->parallel += f->slowest[0] + (f->meet ? MEET_CYCLES : 0);
}

/* A model that fewest parts do not make faster stays as it was. */
static bool pays(const Split *s)
{
    return s->split && (s->p->opt->always || s->parallel + START_CYCLES < s->serial);
}

bool pass_parallel(Program *p)
{
    Unit *u = p->unit;
    Split s = {.p = p, .u = u, .x = p->cx->x, .a = p->cx->arena, .cost = {u, p->cx->arena, p->machine.lanes_f32}};
    Nest **before = NEWN(s.a, Nest *, u->func.n + 1);
    for (uint32_t k = 0; k < p->threads.n; k++)
        PUSH(s.a, &u->threads, p->threads.at[k]);
    if (!u->threads.n)
        return true;
    s.of = NEWN(s.a, Accesses *, u->func.n + 1);
    for (uint32_t k = 0; k < u->func.n; k++) {
        before[k] = u->func.at[k]->body;
        split_function(&s, k);
    }
    const bool keep = pays(&s);
    remark(p, "parallel", keep, "%.0f thousand cycles on one thread, %.0f on %d%s", s.serial / 1e3, s.parallel / 1e3, u->threads.at[0], keep ? "" : ": too little to share");
    for (uint32_t k = 0; k < u->func.n && !keep; k++) {
        Func *f = u->func.at[k];
        f->body = before[k];
        f->split = false;
        f->meet = MEET_none;
    }
    u->threads.n = keep ? u->threads.n : 0;
    return true;
}

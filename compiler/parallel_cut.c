/* SPDX-License-Identifier: Apache-2.0
 * See parallel_cut.h. */
#include "parallel_cut.h"

typedef struct Cutter { Arena *a; const Unit *u; Exprs *x; const Cut *cut; } Cutter;

/* ---- what a nest stores to ---- */

typedef struct Stores { const Unit *u; Arena *a; bool shared, scratch, call; uint32_t largest; VEC(const Store *) v; } Stores;

static void note_store(Stores *s, const Store *st)
{
    const Buf *b = buf(s->u, st->buf);
    s->scratch = s->scratch || b->cls == BC_scratch;
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

static Stores stores_of(Arena *a, const Unit *u, const Nest *n)
{
    Stores r = {.u = u, .a = a};
    nest_walk((Nest *)(uintptr_t)n, find_stores, &r);
    return r;
}

/* ---- axes ---- */

/* Elements along dimension d of `to` that one iteration of the loop moves a store by; 0: none of its stores. */
static int64_t step_along(const Stores *in, uint32_t to, uint8_t d, const Expr *var)
{
    for (uint32_t k = 0; k < in->v.n; k++) {
        bool linear;
        const int64_t step = in->v.at[k]->buf == to ? ex_coef(in->v.at[k]->idx[d], var, &linear) : 0;
        if (step)
            return linear ? step : 0;
    }
    return 0;
}

/* First and last element of `to` along dimension d that is stored: of a tensor that lies within another some of that one's. */
static void stored_along(const Stores *in, uint32_t to, uint8_t d, int64_t *first, int64_t *last)
{
    const int64_t end = ex_upper(in->u->cx->x, buf(in->u, to)->dim[d]) - 1;
    *first = end;
    *last = 0;
    for (uint32_t k = 0; k < in->v.n; k++) {
        int64_t lo, hi;
        if (in->v.at[k]->buf != to)
            continue;
        const bool known = ex_range(in->u->cx->x, in->v.at[k]->idx[d], &lo, &hi);
        *first = known ? min_i64(*first, max_i64(lo, 0)) : 0;
        *last = known ? max_i64(*last, min_i64(hi, end)) : end;
    }
}

typedef struct Steps { const Stores *in; Axes *to; uint8_t d; int64_t first, last; } Steps;

static void find_steps(void *ctx, Nest *n)
{
    const Steps *p = ctx;
    const int64_t step = n->op == NS_for && ex_is_const(n->extent) && n->extent->v.i > 1 ? step_along(p->in, p->to->buf, p->d, n->var) : 0;
    for (uint32_t k = 0; k < p->to->v.n; k++)
        if (p->to->v.at[k].d == p->d && p->to->v.at[k].unit == step)
            return;
    const int64_t of = step > 0 ? (p->last - p->first + step) / step : 0;
    if (of > 1 && of <= MAX_SHARE_UNITS)
        PUSH(p->in->a, &p->to->v, ((Axis){p->d, step, of, p->first}));
}

Axes cut_axes(Arena *a, const Unit *u, const Func *f)
{
    const Stores in = stores_of(a, u, f->body);
    Axes r = {.buf = in.call ? 0 : in.largest};
    for (uint8_t d = 0; r.buf && d < buf(u, r.buf)->rank; d++) {
        Steps s = {.in = &in, .to = &r, .d = d};
        stored_along(&in, r.buf, d, &s.first, &s.last);
        nest_walk(f->body, find_steps, &s);
    }
    return r;
}

/* ---- loops along the cut ---- */

static Nest *copy_nest(Arena *a, const Nest *n)
{
    Nest *c = NEW(a, Nest);
    *c = *n;
    memset(&c->body, 0, sizeof c->body);
    memset(&c->other, 0, sizeof c->other);
    for (uint32_t k = 0; k < n->body.n; k++)
        PUSH(a, &c->body, copy_nest(a, n->body.at[k]));
    for (uint32_t k = 0; k < n->other.n; k++)
        PUSH(a, &c->other, copy_nest(a, n->other.at[k]));
    return c;
}

static bool is_along(const Cutter *c, const Stores *in, const Axis *x, const Nest *n)
{
    return n->op == NS_for && ex_is_const(n->extent) && step_along(in, c->cut->buf, x->d, n->var) == x->unit;
}

typedef struct Moves { const Cutter *c; const Stores *in; const Axis *x; bool yes; } Moves;

static void find_moves(void *ctx, Nest *n)
{
    Moves *m = ctx;
    m->yes = m->yes || is_along(m->c, m->in, m->x, n);
}

/* Whether loops along axis k and those behind it stand in each other. */
static bool nests(const Cutter *c, Nest *n, uint8_t k)
{
    const Stores in = stores_of(c->a, c->u, n);
    const bool along = is_along(c, &in, &c->cut->axis[k], n);
    bool yes = along && k + 1 == c->cut->n;
    for (uint32_t q = 0; q < n->body.n && !yes; q++)
        yes = nests(c, n->body.at[q], (uint8_t)(k + along));
    return yes;
}

bool cut_nests(Arena *a, const Unit *u, const Func *f, const Cut *cut)
{
    const Cutter c = {a, u, u->cx->x, cut};
    return nests(&c, f->body, 0);
}

/* Unit of the first element along the axis that the nest stores to. */
static int64_t place_along(const Cutter *c, const Stores *in, const Axis *x)
{
    int64_t least = INT64_MAX, lo, hi;
    for (uint32_t k = 0; k < in->v.n; k++)
        if (in->v.at[k]->buf == c->cut->buf && ex_range(c->x, in->v.at[k]->idx[x->d], &lo, &hi))
            least = min_i64(least, lo);
    return least == INT64_MAX ? 0 : max_i64(least - x->from, 0) / x->unit;
}

static void cut_children(const Cutter *c, Nest *n, uint8_t k);

/* Units that an iteration along axis k has. */
static int64_t units_each(const Cut *cut, uint8_t k)
{
    int64_t each = 1;
    for (k++; k < cut->n; k++)
        each *= cut->axis[k].of;
    return each;
}

/* The iterations of the loop are units of axis k; those of an outer axis are dealt out further inside. */
static Nest *parallel_loop(const Cutter *c, Nest *loop, const Stores *in, uint8_t k)
{
    const Axis *x = &c->cut->axis[k];
    const int64_t n = ex_upper(c->x, loop->extent), of = c->cut->n > 1 ? x->of : max_i64(x->of, n);
    loop->kind = FOR_parallel;
    loop->share = (Share){.at = min_i64(place_along(c, in, x), of - n), .of = of, .each = units_each(c->cut, k)};
    if (k + 1 < c->cut->n)
        cut_children(c, loop, (uint8_t)(k + 1));
    return loop;
}

/* for once = 0, 1 parallel: the owner of the place runs it. */
static Nest *owned(const Cutter *c, Nest *n, const Stores *in, uint8_t k)
{
    Nest *loop = NEW(c->a, Nest);
    loop->op = NS_for;
    loop->var = ex_var(c->x, VK_INDEX, DT_ix, "once", 0, 0);
    loop->lo = ex_int(c->x, 0);
    loop->extent = ex_int(c->x, 1);
    PUSH(c->a, &loop->body, n);
    return parallel_loop(c, loop, in, k);
}

/* n with the loops along axis k made parallel; what parts do not share is left to each. */
static Nest *cut_nest(const Cutter *c, Nest *n, uint8_t k)
{
    const Stores in = stores_of(c->a, c->u, n);
    const Axis *x = &c->cut->axis[k];
    if (!in.shared)
        return n;
    Moves m = {c, &in, x, false};
    nest_walk(n, find_moves, &m);
    if (n->op == NS_for && ex_is_int(n->extent, 1) && !m.yes)
        return parallel_loop(c, n, &in, k);
    if (n->op == NS_store || n->op == NS_tile || (!m.yes && !in.scratch && n->op == NS_for))
        return owned(c, n, &in, k);
    if (is_along(c, &in, x, n) && (c->cut->n == 1 || ex_upper(c->x, n->extent) <= x->of))
        return parallel_loop(c, n, &in, k);
    cut_children(c, n, k);
    return n;
}

static void cut_children(const Cutter *c, Nest *n, uint8_t k)
{
    for (uint32_t q = 0; q < n->body.n; q++)
        n->body.at[q] = cut_nest(c, n->body.at[q], k);
    for (uint32_t q = 0; q < n->other.n; q++)
        n->other.at[q] = cut_nest(c, n->other.at[q], k);
}

/* ---- scratch as needed ---- */

/* For unit v a part reads elements v*times - below .. v*times + above along a dimension. times 0: not known. */
typedef struct Need { int64_t times, below, above, of; const Nest *outer; bool any; } Need;

typedef struct Reads { const Cutter *c; uint32_t buf; uint8_t d; const Nest *outer, *inner; Need need; } Reads;

/* What the index reaches, over the units of the parallel loop around it. */
static Need need_of(const Reads *r, const Expr *idx)
{
    Need n = {.outer = r->outer, .any = true};
    bool linear = true;
    int64_t lo, hi;
    const int64_t coef = r->inner ? ex_coef(idx, r->inner->var, &linear) : 0;
    if (coef <= 0 || !linear || !ex_is_const(r->inner->lo))
        return n;
    Exprs *x = r->c->x;
    if (!ex_range(x, ex_sub(x, idx, ex_mul(x, ex_int(x, coef), r->inner->var)), &lo, &hi))
        return n;
    const Share *s = &r->inner->share;
    const int64_t from = r->inner->lo->v.i - s->at; /* the loop's variable for unit 0, times 1 */
    n.of = s->of;
    n.times = coef * (s->times ? s->times : 1);
    n.below = coef * (s->below - from) - lo;
    n.above = coef * (s->above + from) + hi;
    return n;
}

static void add_read(void *ctx, const Expr *e)
{
    Reads *r = ctx;
    if ((e->op != EX_load && e->op != EX_loadp) || e->v.ref != r->buf)
        return;
    const Need n = need_of(r, e->a[r->d]);
    Need *all = &r->need;
    if (!all->any)
        *all = n;
    if (all->times != n.times || all->of != n.of || !nest_same_outer(all->outer, n.outer))
        all->times = 0;
    all->below = max_i64(all->below, n.below);
    all->above = max_i64(all->above, n.above);
}

static void tile_reads(Reads *r, const Tile *t)
{
    if (t->init)
        ex_walk(t->init, add_read, r);
    if (t->body)
        ex_walk(t->body, add_read, r);
    for (uint8_t k = 0; k < t->nstore; k++)
        ex_walk(t->store[k].value, add_read, r);
}

static void find_reads(Reads *r, const Nest *n)
{
    const Nest *outer = r->outer, *inner = r->inner;
    if (nest_is_shared(n))
        *(n->share.each > 1 ? &r->outer : &r->inner) = n;
    if (n->expr)
        ex_walk(n->expr, add_read, r);
    if (n->op == NS_store)
        ex_walk(n->store.value, add_read, r);
    if (n->op == NS_tile)
        tile_reads(r, n->tile);
    for (uint32_t k = 0; k < n->body.n; k++)
        find_reads(r, n->body.at[k]);
    for (uint32_t k = 0; k < n->other.n; k++)
        find_reads(r, n->other.at[k]);
    r->outer = outer;
    r->inner = inner;
}

typedef struct Writes { const Cutter *c; uint32_t buf; uint8_t d; bool others; const Store *one; int64_t lo, hi, step; const Nest *loop; } Writes;

static void note_write(Writes *w, const Store *s)
{
    Exprs *x = w->c->x;
    bool linear = true;
    int64_t lo, hi;
    w->others = w->others || s->buf != w->buf;
    if (s->buf != w->buf)
        return;
    const int64_t step = ex_coef(s->idx[w->d], w->loop->var, &linear);
    if (step <= 0 || !linear || !ex_range(x, ex_sub(x, s->idx[w->d], ex_mul(x, ex_int(x, step), w->loop->var)), &lo, &hi) || (w->step && step != w->step)) {
        w->others = true;
        return;
    }
    w->lo = w->step ? min_i64(w->lo, lo) : lo;
    w->hi = w->step ? max_i64(w->hi, hi) : hi;
    w->step = step;
}

static void find_writes(void *ctx, Nest *n)
{
    Writes *w = ctx;
    if (n->op == NS_store)
        note_write(w, &n->store);
    for (uint8_t k = 0; n->op == NS_tile && k < n->tile->nstore; k++)
        note_write(w, &n->tile->store[k]);
    w->others = w->others || n->op == NS_call || nest_is_shared(n);
}

/* Makes the loop run as far as it is needed, when all that it does is store to the buffer along d. */
static bool limit_loop(const Cutter *c, Nest *loop, uint32_t id, uint8_t d, const Need *need)
{
    Writes w = {.c = c, .buf = id, .d = d, .loop = loop};
    if (loop->kind == FOR_parallel || !ex_is_const(loop->lo) || !ex_is_const(loop->extent))
        return false;
    nest_walk(loop, find_writes, &w);
    if (w.others || !w.step || need->times % w.step != 0)
        return false;
    loop->kind = FOR_parallel;
    loop->share = (Share){.of = need->of, .each = 1, .times = need->times / w.step,
                          .below = loop->lo->v.i - floor_div(-need->below - w.hi, w.step), .above = floor_div(need->above - w.lo, w.step) - loop->lo->v.i};
    return true;
}

static bool is_once(const Nest *outer) { return outer && ex_is_int(outer->extent, 1); }

/* The loop where `outer`, a single iteration elsewhere, is run. */
static Nest *run_with(const Cutter *c, Nest *loop, const Nest *outer)
{
    Nest *once = NEW(c->a, Nest);
    *once = (Nest){.op = NS_for, .kind = FOR_parallel, .share = outer->share, .lo = outer->lo, .extent = outer->extent};
    once->var = ex_var(c->x, VK_INDEX, DT_ix, "once", 0, 0);
    PUSH(c->a, &once->body, loop);
    return once;
}

static Nest *limit_writes(const Cutter *c, Nest *n, const Nest *outer, uint32_t id, uint8_t d, const Need *need)
{
    if (nest_is_shared(n) && n->share.each == 1)
        return n;
    const bool elsewhere = !outer && is_once(need->outer);
    if (n->op == NS_for && (outer == need->outer || elsewhere) && limit_loop(c, n, id, d, need))
        return elsewhere ? run_with(c, n, need->outer) : n;
    if (n->op == NS_for && n->kind == FOR_parallel)
        outer = n;
    for (uint32_t k = 0; k < n->body.n; k++)
        n->body.at[k] = limit_writes(c, n->body.at[k], outer, id, d, need);
    for (uint32_t k = 0; k < n->other.n; k++)
        n->other.at[k] = limit_writes(c, n->other.at[k], outer, id, d, need);
    return n;
}

typedef struct Made { Arena *a; const Unit *u; VEC(uint32_t) v; } Made; /* scratch in the order in which it is made first */

static void add_made(Made *m, uint32_t id)
{
    if (buf(m->u, id)->cls != BC_scratch)
        return;
    for (uint32_t k = 0; k < m->v.n; k++)
        if (m->v.at[k] == id)
            return;
    PUSH(m->a, &m->v, id);
}

static void find_made(void *ctx, Nest *n)
{
    if (n->op == NS_store)
        add_made(ctx, n->store.buf);
    for (uint8_t k = 0; n->op == NS_tile && k < n->tile->nstore; k++)
        add_made(ctx, n->tile->store[k].buf);
}

/* Readers before what makes their operands: a loop that is run as needed reads as needed. */
static void limit_scratch(const Cutter *c, Nest *body)
{
    Made m = {.a = c->a, .u = c->u};
    nest_walk(body, find_made, &m);
    for (uint32_t k = m.v.n; k-- > 0;)
        for (uint8_t d = 0; d < buf(c->u, m.v.at[k])->rank; d++) {
            Reads r = {.c = c, .buf = m.v.at[k], .d = d};
            find_reads(&r, body);
            if (r.need.any && r.need.times > 0)
                (void)limit_writes(c, body, NULL, m.v.at[k], d, &r.need);
        }
}

/* ---- leads ---- */

static bool leads(const Nest *lead, const Nest *loop)
{
    const Share *p = &lead->share, *q = &loop->share;
    return loop->op == NS_for && loop->kind == FOR_parallel && !q->times && p->each == q->each && p->at == q->at && p->of == q->of;
}

/* Whether parts begin where the leads are for: in the loops behind them. */
static bool is_led(const Nest *n)
{
    bool led = true;
    for (uint32_t k = 0; k < n->body.n; k++)
        led = led && is_led(n->body.at[k]) && (n->body.at[k]->kind != FOR_lead || (k + 1 < n->body.n && leads(n->body.at[k], n->body.at[k + 1])));
    return led;
}

/* Whether iterations that parts share out are independent of each other but for memory. */
static bool is_loose(const Nest *n)
{
    bool loose = !nest_is_shared(n) || !loop_carries(n);
    for (uint32_t k = 0; k < n->body.n && loose; k++)
        loose = is_loose(n->body.at[k]);
    for (uint32_t k = 0; k < n->other.n && loose; k++)
        loose = is_loose(n->other.at[k]);
    return loose;
}

Nest *cut_body(Arena *a, const Unit *u, const Func *f, const Cut *cut)
{
    const Cutter c = {a, u, u->cx->x, cut};
    Nest *body = copy_nest(a, f->body);
    cut_children(&c, body, 0);
    if (cut->n <= 2) /* a row of scratch that units of three loops need is made by whoever has one of them */
        limit_scratch(&c, body);
    return is_led(body) && is_loose(body) ? body : NULL;
}

void drop_leads(Nest *body)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < body->body.n; k++) {
        drop_leads(body->body.at[k]);
        if (body->body.at[k]->kind != FOR_lead)
            body->body.at[n++] = body->body.at[k];
    }
    body->body.n = n;
}

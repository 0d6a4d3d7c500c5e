/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs the loops of a function as far as the effort allows, outermost first, and keeps the end of the bytes of `out` that
 * are written. What is not run one by one is a box: its variables are intervals, its order is taken to be the worst. The
 * distance that is safe is then the largest one between what is written and what is loaded afterwards.
 */
#include "overlap.h"

#include "../ir/call.h"

enum { VISITS = 1 << 12, DEPTH = 8 * MAX_RANK };

typedef struct Span { int64_t lo, hi; } Span;

typedef struct Watch {
    const Unit *u;
    uint32_t in, out;
    const Expr *var[DEPTH];
    Span span[DEPTH];
    uint32_t n;
    int64_t end;   /* of what is written, bytes */
    int64_t need;
    bool boxed;    /* inside a box */
    bool ok;
} Watch;

/* ---- intervals ---- */

static Span value(const Watch *w, const Expr *e);

static Span known_range(const Watch *w, const Expr *e)
{
    Span s;
    return ex_range(w->u->cx->x, e, &s.lo, &s.hi) ? s : (Span){INT64_MIN, INT64_MAX};
}

static bool open_ended(Span s) { return s.lo == INT64_MIN || s.hi == INT64_MAX; }

static Span sum(Span a, Span b)
{
    Span r;
    if (open_ended(a) || open_ended(b) || !add_i64(a.lo, b.lo, &r.lo) || !add_i64(a.hi, b.hi, &r.hi))
        return (Span){INT64_MIN, INT64_MAX};
    return r;
}

static Span times(Span a, Span b)
{
    int64_t p[4];
    if (open_ended(a) || open_ended(b) || !mul_i64(a.lo, b.lo, &p[0]) || !mul_i64(a.lo, b.hi, &p[1]) || !mul_i64(a.hi, b.lo, &p[2]) ||
        !mul_i64(a.hi, b.hi, &p[3]))
        return (Span){INT64_MIN, INT64_MAX};
    return (Span){min_i64(min_i64(p[0], p[1]), min_i64(p[2], p[3])), max_i64(max_i64(p[0], p[1]), max_i64(p[2], p[3]))};
}

static Span variable(const Watch *w, const Expr *e)
{
    for (uint32_t k = w->n; k-- > 0;)
        if (w->var[k] == e)
            return w->span[k];
    return known_range(w, e);
}

static Span value(const Watch *w, const Expr *e)
{
    if (e->op == EX_const)
        return (Span){e->v.i, e->v.i};
    if (e->op == EX_var)
        return variable(w, e);
    if (e->n != 2)
        return known_range(w, e);
    const Span a = value(w, e->a[0]), b = value(w, e->a[1]);
    if (e->op == EX_add)
        return sum(a, b);
    if (e->op == EX_sub)
        return sum(a, times(b, (Span){-1, -1}));
    if (e->op == EX_mul)
        return times(a, b);
    if (e->op == EX_fdiv && b.lo == b.hi && b.lo > 0 && !open_ended(a))
        return (Span){floor_div(a.lo, b.lo), floor_div(a.hi, b.lo)};
    return known_range(w, e);
}

/* Bytes of an element, the last one not included. */
static Span bytes_of(const Watch *w, uint32_t id, const Expr *const *idx)
{
    const Buf *b = buf(w->u, id);
    const int64_t size = (int64_t)dtype_bytes(b->dt);
    Span s = {0, 0};
    for (uint8_t d = 0; d < b->rank; d++)
        s = sum(s, times(sum(value(w, idx[d]), (Span){b->lo[d], b->lo[d]}), value(w, b->stride[d])));
    return sum(times(s, (Span){size, size}), (Span){0, size});
}

/* ---- events ---- */

static void loaded(void *ctx, const Expr *e)
{
    Watch *w = ctx;
    if ((e->op != EX_load && e->op != EX_loadp) || e->v.ref != w->in || w->end == 0)
        return;
    const Span s = bytes_of(w, w->in, e->a);
    w->ok = w->ok && !open_ended(s);
    if (w->ok)
        w->need = max_i64(w->need, w->end - s.lo);
}

static void loads(Watch *w, const Expr *e)
{
    if (e)
        ex_walk(e, loaded, w);
}

static void stored(Watch *w, const Store *s)
{
    if (s->buf != w->out)
        return;
    const Span b = bytes_of(w, w->out, s->idx);
    w->ok = w->ok && !open_ended(b);
    w->end = max_i64(w->end, b.hi);
}

static void store_loads(Watch *w, const Store *s)
{
    loads(w, s->value);
    for (uint8_t d = 0; d < buf(w->u, s->buf)->rank; d++)
        loads(w, s->idx[d]);
}

static void bind(Watch *w, const Expr *var, int64_t from, int64_t n)
{
    w->ok = w->ok && w->n < DEPTH;
    if (!w->ok)
        return;
    w->var[w->n] = var;
    w->span[w->n++] = (Span){from, from + max_i64(n - 1, 0)};
}

static void tile_loads(Watch *w, const Tile *t)
{
    const uint32_t n = w->n;
    loads(w, t->init);
    for (int k = 0; k < t->nstore; k++)
        store_loads(w, &t->store[k]);
    for (int k = 0; k < t->nr; k++) {
        const Span extent = value(w, t->rext[k]);
        w->ok = w->ok && !open_ended(extent);
        bind(w, t->rvar[k], 0, extent.hi);
    }
    loads(w, t->body);
    w->n = n;
}

/* Its one element is loaded before it is stored; of several the last may be loaded when the first is stored. */
static void tile(Watch *w, const Tile *t)
{
    const uint32_t n = w->n;
    int64_t elements = 1;
    for (int k = 0; k < t->np; k++, elements *= t->pext[k - 1])
        bind(w, t->pvar[k], 0, t->pext[k]);
    if (t->lane && !t->across) {
        bind(w, t->lane, 0, t->lanes);
        elements *= t->lanes;
    }
    if (elements == 1)
        tile_loads(w, t);
    for (int k = 0; k < t->nstore; k++)
        stored(w, &t->store[k]);
    if (elements > 1)
        tile_loads(w, t);
    w->n = n;
}

static void run(Watch *w, const Nest *n, int64_t visits);

static void run_all(Watch *w, const Nest *n, int64_t visits)
{
    for (uint32_t k = 0; k < n->body.n; k++)
        run(w, n->body.at[k], visits);
    for (uint32_t k = 0; k < n->other.n; k++)
        run(w, n->other.at[k], visits);
}

/* A loop that is not run one by one. The second time everything is written that any iteration writes. */
static void box(Watch *w, const Nest *n, int64_t extent)
{
    const bool inner = w->boxed;
    bind(w, n->var, 0, extent);
    w->boxed = true;
    for (int time = inner; time < 2; time++)
        run_all(w, n, 0);
    w->boxed = inner;
}

static void loop(Watch *w, const Nest *n, int64_t visits)
{
    const Span extent = value(w, n->extent);
    const uint32_t before = w->n;
    w->ok = w->ok && !open_ended(extent) && ex_is_int(n->lo, 0);
    if (!w->ok || extent.hi <= 0)
        return;
    if (nest_is_shared(n) || extent.hi > visits)
        box(w, n, extent.hi);
    else
        for (int64_t i = 0; i < extent.hi; i++) {
            w->n = before;
            bind(w, n->var, i, 1);
            run_all(w, n, visits / extent.hi);
        }
    w->n = before;
    loads(w, n->lo);
    loads(w, n->extent);
}

static void call(Watch *w, const Nest *n)
{
    for (int k = 0; k < n->call->nin + n->call->nout; k++)
        w->ok = w->ok && n->buf[k] != w->in && n->buf[k] != w->out;
}

static void run(Watch *w, const Nest *n, int64_t visits)
{
    if (!w->ok)
        return;
    if (n->op == NS_for) {
        loop(w, n, visits);
        return;
    }
    loads(w, n->expr);
    if (n->op == NS_call)
        call(w, n);
    if (n->op == NS_tile)
        tile(w, n->tile);
    if (n->op == NS_store) {
        store_loads(w, &n->store);
        stored(w, &n->store);
    }
    run_all(w, n, visits);
}

int64_t overlap_seen(const Unit *u, const Func *f, uint32_t in, uint32_t out)
{
    Watch w = {.u = u, .in = in, .out = out, .need = -buf(u, in)->bytes, .ok = true};
    run(&w, f->body, VISITS);
    return w.ok ? min_i64(w.need, buf(u, out)->bytes) : buf(u, out)->bytes;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * See overlap.h. Addresses are affine in the loop variables around an access, so the largest w - r over all iterations of
 * a store and all later ones of a load is a linear program over boxes, and over a triangle t < t' for the loop that
 * carries the pair: its value is at a corner. What is not affine counts by its range.
 */
#include "overlap.h"

#include <stdlib.h>

#include "../ir/call.h"

enum { MAX_LEVELS = 4 * MAX_RANK };

typedef struct Level { const Expr *var; const Nest *loop; int64_t extent; } Level; /* loop NULL: variable of a tile */

typedef struct Access {
    bool store;
    const Nest *at;
    uint32_t seq;              /* order in the text of the nest */
    uint8_t nest, points, n;   /* loops around; then points and lanes of a tile; then its reduction */
    Level level[MAX_LEVELS];
    int64_t coef[MAX_LEVELS];  /* bytes per iteration */
    int64_t lo, hi;            /* bytes: of the rest of the address */
    const Expr *flat;          /* elements */
    const Expr *const *idx;
} Access;

typedef struct Find {
    const Unit *u;
    Exprs *x;
    Arena *a;
    uint32_t in, out;
    Level loop[MAX_LEVELS];
    uint8_t nloop;
    uint32_t seq;
    bool ok, parallel;
    const Nest *at;            /* statement whose expression is walked */
    VEC(Access *) load, store;
} Find;

/* ---- collecting ---- */

static const Expr *flat_element(const Find *f, uint32_t id, const Expr *const *idx)
{
    const Buf *b = buf(f->u, id);
    const Expr *e = ex_int(f->x, 0);
    for (uint8_t d = 0; d < b->rank; d++)
        e = ex_add(f->x, e, ex_mul(f->x, ex_add(f->x, idx[d], ex_int(f->x, b->lo[d])), b->stride[d]));
    return e;
}

static void push_level(Find *f, Access *c, const Expr *var, const Nest *loop, const Expr *extent)
{
    int64_t lo, hi;
    f->ok = f->ok && c->n < MAX_LEVELS && ex_range(f->x, extent, &lo, &hi) && hi < INT32_MAX;
    if (f->ok)
        c->level[c->n++] = (Level){var, loop, max_i64(hi, 0)};
}

static void tile_levels(Find *f, Access *c, const Tile *t, bool body)
{
    for (int k = 0; k < t->np; k++)
        push_level(f, c, t->pvar[k], NULL, ex_int(f->x, t->pext[k]));
    if (t->lane && !t->across)
        push_level(f, c, t->lane, NULL, ex_int(f->x, t->lanes));
    c->points = (uint8_t)(c->n - c->nest);
    for (int k = 0; body && k < t->nr; k++)
        push_level(f, c, t->rvar[k], NULL, t->rext[k]);
}

/* Adds coef * atom to the address: a loop's step, or a range. */
static void add_term(Find *f, Access *c, const Expr *atom, int64_t coef)
{
    int64_t lo, hi, p, q;
    for (uint8_t k = 0; k < c->n; k++)
        if (c->level[k].var == atom) {
            c->coef[k] = coef;
            return;
        }
    f->ok = f->ok && ex_range(f->x, atom, &lo, &hi) && mul_i64(lo, coef, &p) && mul_i64(hi, coef, &q) &&
            add_i64(c->lo, min_i64(p, q), &c->lo) && add_i64(c->hi, max_i64(p, q), &c->hi);
}

static void add_access(Find *f, uint32_t id, const Expr *const *idx, bool store, bool body)
{
    Access *c = NEW(f->a, Access);
    *c = (Access){.store = store, .at = f->at, .seq = f->seq, .nest = f->nloop, .n = f->nloop, .flat = flat_element(f, id, idx), .idx = idx};
    memcpy(c->level, f->loop, f->nloop * sizeof *f->loop);
    if (f->at->op == NS_tile)
        tile_levels(f, c, f->at->tile, body);
    const int64_t size = (int64_t)dtype_bytes(buf(f->u, id)->dt);
    const Affine e = ex_affine(f->a, c->flat);
    int64_t coef;
    c->lo = c->hi = e.c * size;
    for (uint32_t k = 0; f->ok && k < e.n; k++) {
        f->ok = mul_i64(e.t[k].coef, size, &coef);
        add_term(f, c, e.t[k].atom, coef);
    }
    if (store)
        PUSH(f->a, &f->store, c);
    else
        PUSH(f->a, &f->load, c);
}

typedef struct Loads { Find *f; bool body; } Loads;

static void find_load(void *ctx, const Expr *e)
{
    Loads *l = ctx;
    if ((e->op == EX_load || e->op == EX_loadp) && e->v.ref == l->f->in)
        add_access(l->f, l->f->in, e->a, false, l->body);
}

static void loads_of(Find *f, const Expr *e, bool body)
{
    Loads l = {f, body};
    if (e)
        ex_walk(e, find_load, &l);
}

/* Loads where C evaluates them more than once, or when it likes. */
static void no_loads(Find *f, const Expr *e)
{
    const uint32_t before = f->load.n;
    loads_of(f, e, false);
    f->ok = f->ok && f->load.n == before;
}

static void store_accesses(Find *f, const Store *s)
{
    loads_of(f, s->value, false);
    for (uint8_t d = 0; d < buf(f->u, s->buf)->rank; d++)
        loads_of(f, s->idx[d], false);
    if (s->buf == f->out)
        add_access(f, s->buf, s->idx, true, false);
    f->ok = f->ok && s->buf != f->in;
}

static void tile_accesses(Find *f, const Tile *t)
{
    no_loads(f, t->open);
    for (int k = 0; k < t->nr; k++)
        no_loads(f, t->rext[k]);
    loads_of(f, t->init, false);
    loads_of(f, t->body, true);
    for (int k = 0; k < t->nstore; k++)
        store_accesses(f, &t->store[k]);
}

static void call_accesses(Find *f, const Nest *n)
{
    for (int k = 0; k < n->call->nin + n->call->nout; k++)
        f->ok = f->ok && n->buf[k] != f->in && n->buf[k] != f->out;
    for (int k = 0; k < n->call->narg; k++)
        no_loads(f, n->arg[k]);
}

static void find_accesses(Find *f, const Nest *n);

static void loop_accesses(Find *f, const Nest *n)
{
    int64_t lo, hi;
    no_loads(f, n->lo);
    no_loads(f, n->extent);
    f->ok = f->ok && ex_is_int(n->lo, 0) && ex_range(f->x, n->extent, &lo, &hi) && hi < INT32_MAX && f->nloop < MAX_LEVELS;
    if (!f->ok)
        return;
    f->parallel = f->parallel || nest_is_shared(n);
    f->loop[f->nloop++] = (Level){n->var, n, max_i64(hi, 0)};
    for (uint32_t k = 0; k < n->body.n; k++)
        find_accesses(f, n->body.at[k]);
    f->nloop--;
}

static void find_accesses(Find *f, const Nest *n)
{
    if (!f->ok)
        return;
    f->at = n;
    f->seq++;
    if (n->op == NS_for) {
        loop_accesses(f, n);
        return;
    }
    loads_of(f, n->expr, false);
    if (n->op == NS_store)
        store_accesses(f, &n->store);
    if (n->op == NS_tile)
        tile_accesses(f, n->tile);
    if (n->op == NS_call)
        call_accesses(f, n);
    for (uint32_t k = 0; k < n->body.n; k++)
        find_accesses(f, n->body.at[k]);
    for (uint32_t k = 0; k < n->other.n; k++)
        find_accesses(f, n->other.at[k]);
}

/* ---- the largest distance ---- */

static uint8_t common_loops(const Access *s, const Access *l)
{
    uint8_t n = 0;
    while (n < s->nest && n < l->nest && s->level[n].loop == l->level[n].loop)
        n++;
    return n;
}

static int64_t at_end(int64_t coef, int64_t extent) { return coef * max_i64(extent - 1, 0); }

/* Most of cs*t - cl*t' for t < t' (or t > t', where the order is free) below the extent, at least 2. */
static int64_t carried(int64_t cs, int64_t cl, int64_t extent, bool any)
{
    const int64_t e = extent - 1;
    int64_t most = max_i64(-cl, max_i64(-cl * e, cs * (e - 1) - cl * e));
    if (any)
        most = max_i64(most, max_i64(cs, max_i64(cs * e, cs * e - cl * (e - 1))));
    return most;
}

/* Largest w - r when the loops before `level` are in the same iteration, and that one in an earlier one of the store;
 * level common: all are in the same. */
static int64_t largest(const Access *s, const Access *l, uint8_t common, uint8_t level)
{
    int64_t d = s->hi - l->lo;
    for (uint8_t k = 0; k < common; k++) {
        const int64_t cs = s->coef[k], cl = l->coef[k], extent = s->level[k].extent;
        if (k < level)
            d += max_i64(0, at_end(cs - cl, extent));
        else if (k == level)
            d += carried(cs, cl, extent, nest_is_shared(s->level[k].loop));
        else
            d += max_i64(0, at_end(cs, extent)) - min_i64(0, at_end(cl, extent));
    }
    for (uint8_t k = common; k < s->n; k++)
        d += max_i64(0, at_end(s->coef[k], s->level[k].extent));
    for (uint8_t k = common; k < l->n; k++)
        d -= min_i64(0, at_end(l->coef[k], l->level[k].extent));
    return d;
}

static bool never_runs(const Access *c)
{
    for (uint8_t k = 0; k < c->n; k++)
        if (c->level[k].extent == 0)
            return true;
    return false;
}

static bool several_points(const Access *c)
{
    for (uint8_t k = c->nest; k < c->nest + c->points; k++)
        if (c->level[k].extent > 1)
            return true;
    return false;
}

/* Whether the store may come before the load in one iteration of the loops around both. */
static bool may_precede(const Find *f, const Access *s, const Access *l, uint8_t common)
{
    bool inside = !f->parallel;
    for (uint8_t k = 0; k < common; k++)
        inside = inside || nest_is_shared(s->level[k].loop);
    if (s->at == l->at)
        return s->at->op == NS_tile && several_points(s);
    return s->seq < l->seq || !inside;
}

static int64_t distance_of_pair(const Find *f, const Access *s, const Access *l)
{
    int64_t most = INT64_MIN;
    const uint8_t common = common_loops(s, l);
    if (never_runs(s) || never_runs(l))
        return most;
    for (uint8_t k = 0; k < common; k++)
        if (s->level[k].extent > 1)
            most = max_i64(most, largest(s, l, common, k));
    return may_precede(f, s, l, common) ? max_i64(most, largest(s, l, common, common)) : most;
}

/* ---- in place ---- */

/* No two iterations store to the same element: each step is longer than all that the shorter ones reach. */
static bool injective(const Access *s, int64_t size)
{
    bool used[MAX_LEVELS] = {false};
    int64_t reach = size;
    if (s->lo != s->hi)
        return false;
    for (uint8_t round = 0; round < s->n; round++) {
        int best = -1;
        for (uint8_t k = 0; k < s->n; k++)
            if (!used[k] && s->level[k].extent > 1 && (best < 0 || llabs(s->coef[k]) < llabs(s->coef[best])))
                best = k;
        if (best < 0)
            return true;
        if (llabs(s->coef[best]) < reach)
            return false;
        reach += llabs(s->coef[best]) * (s->level[best].extent - 1);
        used[best] = true;
    }
    return true;
}

static bool same_element(const Find *f, const Access *s, const Access *l)
{
    const int64_t size = (int64_t)dtype_bytes(buf(f->u, f->out)->dt);
    return s->at == l->at && s->flat == l->flat && size == (int64_t)dtype_bytes(buf(f->u, f->in)->dt) && injective(s, size);
}

/* The two store to different elements: in some dimension to different places. */
static bool stores_apart(const Find *f, const Access *s, const Access *t)
{
    int64_t lo, hi, from, to;
    for (uint8_t d = 0; d < buf(f->u, f->out)->rank; d++)
        if (ex_range(f->x, s->idx[d], &lo, &hi) && ex_range(f->x, t->idx[d], &from, &to) && (hi < from || to < lo))
            return true;
    return false;
}

/* In place the store does not meet the load: that one is of the element which its own store replaces, as no other does. */
static bool replaces_alone(const Find *f, const Access *s, const Access *l)
{
    for (uint32_t k = 0; k < f->store.n; k++) {
        const Access *t = f->store.at[k];
        if (same_element(f, t, l) && (t == s || stores_apart(f, s, t)))
            return true;
    }
    return false;
}

/* C may take accesses of two types to be of different objects, unless one is a character type. */
static bool types_may_alias(DType a, DType b)
{
    const bool bytes = dtype_is_byte(a) || dtype_is_byte(b);
    return a != DT_str && b != DT_str && (a == b || bytes);
}

static bool sizes_small(const Find *f)
{
    const int64_t most = INT64_MAX >> 16; /* a sum of all levels does not overflow */
    for (uint32_t q = 0; q < f->load.n + f->store.n; q++) {
        const Access *c = q < f->load.n ? f->load.at[q] : f->store.at[q - f->load.n];
        if (c->lo < -most || c->hi > most)
            return false;
        for (uint8_t k = 0; k < c->n; k++)
            if (llabs(c->coef[k]) > most / max_i64(c->level[k].extent, 1))
                return false;
    }
    return true;
}

/* The whole of out lies between them when the accesses are not understood. */
Overlap overlap_of(const Unit *u, const Func *fn, uint32_t in, uint32_t out)
{
    const int64_t bytes = buf(u, out)->bytes, size = (int64_t)dtype_bytes(buf(u, out)->dt);
    Overlap r = {false, bytes};
    if (!types_may_alias(buf(u, in)->dt, buf(u, out)->dt))
        return r;
    Find f = {.u = u, .x = u->cx->x, .a = arena_child(u->cx->arena), .in = in, .out = out, .ok = true};
    find_accesses(&f, fn->body);
    if (f.ok && sizes_small(&f)) {
        int64_t all = -buf(u, in)->bytes, others = all;
        for (uint32_t i = 0; i < f.store.n; i++)
            for (uint32_t k = 0; k < f.load.n; k++) {
                const int64_t d = distance_of_pair(&f, f.store.at[i], f.load.at[k]);
                const int64_t need = d == INT64_MIN ? d : d + size;
                all = max_i64(all, need);
                if (!replaces_alone(&f, f.store.at[i], f.load.at[k]))
                    others = max_i64(others, need);
            }
        r = (Overlap){others <= 0, min_i64(all, bytes)};
    }
    arena_free(f.a);
    return r;
}

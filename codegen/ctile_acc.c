/* SPDX-License-Identifier: Apache-2.0
 *
 * Tiles of accumulators: points x vectors of them in registers, the reduction, the stores behind it.
 */
#include "ctile.h"

/* ---- the reduction ---- */

/* One step of the reduction for accumulator q of point p, the variables in `more` taken as given. */
static void accumulate(VGen *v, const char *acc, int32_t p, int32_t q, const Subst *more, uint32_t nmore)
{
    CGen *g = v->g;
    v_set_vector(v, q);
    Subst s[2 * MAX_RANK + 3];
    uint32_t n = v_place(v, p, ex_int(g->x, (int64_t)q * v->width), s);
    for (uint32_t k = 0; k < nmore; k++)
        s[n++] = more[k];
    v_accumulate(v, v->t->red, acc, ex_subst(g->x, v->t->body, s, n));
}

/* Of a point the unrolled taps follow each other, so that what neighbours share lives shortly. */
static void reduce_step(VGen *v, const Sums *sums, Points at, const Subst *given, uint32_t n)
{
    CGen *g = v->g;
    const Tile *t = v->t;
    const int32_t nv = sums->nv, count = at.count * nv;
    const bool taps = v->tap >= 0;
    const int64_t steps = taps ? t->rext[v->tap]->v.i : 1;
    Subst more[MAX_RANK + 1];
    for (uint32_t k = 0; k < n; k++)
        more[k] = given[k];
    for (int32_t i = 0; i < count; i++) {
        const int32_t p = at.first + (taps ? i % at.count : i / nv), q = taps ? i / at.count : i % nv;
        for (int64_t k = 0; k < steps; k++) {
            more[n] = (Subst){taps ? t->rvar[v->tap] : NULL, ex_int(g->x, k)};
            accumulate(v, sums->acc[p * nv + q].name, p, q, more, n + taps);
        }
    }
}

/* Whether a hint belongs to the first step: it stands in front of the sum. */
static bool is_first(const Tile *t, const Fetch *f) { return f->when && f->when == t->rvar[0]; }

static void fetch_first(VGen *v)
{
    const Tile *t = v->t;
    Subst none[MAX_RANK];
    for (uint8_t k = 0; k < t->nr; k++)
        none[k] = (Subst){t->rvar[k], ex_int(v->g->x, 0)};
    for (uint8_t f = 0; f < t->nfetch; f++)
        if (is_first(t, &t->fetch[f]))
            v_fetch(v, &t->fetch[f], none, t->nr);
}

/* What the step asks for ahead; variables that have no loop are 0. */
static void fetch_step(VGen *v, const Sums *sums, const Subst *given, uint32_t n)
{
    const Tile *t = v->t;
    Subst more[MAX_RANK + 2];
    for (uint32_t k = 0; k < n; k++)
        more[k] = given[k];
    if (sums->quads)
        more[n++] = (Subst){t->rvar[t->nr - 1], ex_int(v->g->x, 0)};
    if (v->tap >= 0)
        more[n++] = (Subst){t->rvar[v->tap], ex_int(v->g->x, 0)};
    for (uint8_t f = 0; f < t->nfetch; f++)
        if (!is_first(t, &t->fetch[f]))
            v_fetch(v, &t->fetch[f], more, n);
}

void v_sum_step(VGen *v, const Sums *sums, Points at, const Subst *given, uint32_t n)
{
    v->keep = true;
    if (sums->quads)
        v_dot_step(v, sums, at, given, n);
    else
        reduce_step(v, sums, at, given, n);
    if (at.first == 0)
        fetch_step(v, sums, given, n);
    if (sums->quads || v->t->fence)
        ln(v->g->o, "V%d_FENCE();", v->width);
    v->keep = false;
}

/* All steps but those that v_tail makes. */
static void reduction(VGen *v, const Sums *sums)
{
    CGen *g = v->g;
    const Tile *t = v->t;
    int opened = 0;
    fetch_first(v);
    for (int k = 0; k < t->nr - sums->quads; k++) {
        if (k == v->tap)
            continue;
        if (k == sums->inner)
            v_open_short_loop(v, sums);
        else
            c_open_loop(g, t->rvar[k], t->rext[k]);
        opened++;
    }
    v_sum_step(v, sums, (Points){0, sums->np}, NULL, 0);
    v_forget(v, opened > 0);
    while (opened-- > 0)
        close_block(g->o, "");
}

/* ---- begin and end ---- */

const char *v_start(VGen *v, int32_t p, int32_t q)
{
    CGen *g = v->g;
    const Expr *init = v->t->init ? v->t->init : red_identity(g->x, v->t->red, (DType)v->t->acc->dt);
    Subst s[MAX_RANK + 1];
    v_set_vector(v, q);
    const uint32_t n = v_place(v, p, ex_int(g->x, (int64_t)q * v->width), s);
    return ex_is_const(init) ? v_set(v, init) : v_text(v, ex_subst(g->x, init, s, n));
}

static void declare_accumulators(VGen *v, Acc *acc, int32_t np, int32_t nv)
{
    CGen *g = v->g;
    for (int32_t p = 0; p < np; p++)
        for (int32_t q = 0; q < nv; q++) {
            Acc *c = &acc[p * nv + q];
            c->var = v_register(v, "c");
            c->name = c_name(g, &g->var, c->var->id, str_fmt(g->a, "c%d_%d", p, q), "c");
            const char *value = v_start(v, p, q);
            ln(g->o, "%s %s = %s;", v_type(v, (DType)c->var->dt), c->name, value);
        }
}

/* Substitution of accumulator q of point p, which is what the epilogue reads now. */
static uint32_t place_acc(VGen *v, const Acc *acc, int32_t p, int32_t q, Subst *s)
{
    v_set_vector(v, q);
    uint32_t n = v_place(v, p, ex_int(v->g->x, (int64_t)q * v->width), s);
    *map_u64(&v->memo, acc->var->id, true) = (uint64_t)(uintptr_t)acc->name;
    v->acc = acc->var;
    s[n++] = (Subst){v->t->acc, v->acc};
    return n;
}

/* How many of n whole vectors are stored together, at most so many. */
static int32_t packed_of(int32_t n, int32_t most) { return n >= most ? most : n >= 2 ? 2 : 1; }

/* Accumulators q.. of point p whose values are stored together. */
typedef struct Group { int32_t p, q, count; } Group;

/* What store k of the i-th of a group stores. */
static const char *stored_value(VGen *v, const Acc *acc, const Group *at, int32_t i, int k)
{
    Subst s[MAX_RANK + 2];
    const uint32_t n = place_acc(v, &acc[i], at->p, at->q + i, s);
    return v_unpacked(v, &v->t->store[k], s, n);
}

static void store_packed(VGen *v, const Acc *acc, const Group *at, int k, const char *const *value)
{
    Subst s[MAX_RANK + 2];
    const uint32_t n = place_acc(v, acc, at->p, at->q, s);
    v_store_packed(v, &v->t->store[k], s, n, value, at->count);
}

static void store_alone(VGen *v, const Acc *acc, const Group *at)
{
    Subst s[MAX_RANK + 2];
    const uint32_t n = place_acc(v, acc, at->p, at->q, s);
    for (int k = 0; k < v->t->nstore; k++)
        v_store(v, &v->t->store[k], s, n);
}

static void store_group(VGen *v, const Acc *acc, const Group *at)
{
    if (at->count == 1)
        store_alone(v, acc, at);
    for (int k = 0; at->count > 1 && k < v->t->nstore; k++) {
        const char *value[MOST_PACKED];
        for (int32_t i = 0; i < at->count; i++)
            value[i] = stored_value(v, acc, at, i, k);
        store_packed(v, acc, at, k, value);
    }
}

/* A whole vector alone, of a store that takes two points together. */
static bool may_pair(const VGen *v, const Group *b)
{
    return b->count == 1 && v->t->nstore == 1 && !v->t->open && b->q < v->t->lanes / v->width && v_pairs(v, v->t->store);
}

/* The store of a point that may be paired: with *held, which waits for another, or this one waits. */
static void store_paired(VGen *v, const Acc *acc, const Group *b, const char *value, PointValue *held)
{
    PointValue p = {.value = value};
    p.n = place_acc(v, acc, b->p, b->q, p.s);
    if (held->value) {
        v_store_pair(v, v->t->store, held, &p);
        held->value = NULL;
    } else {
        *held = p;
    }
}

static void store_held(VGen *v, const PointValue *held)
{
    if (!held->value)
        return;
    v_set_count(v, v->width); /* it is whole; what was stored last may not be */
    v_store_single(v, v->t->store, held);
}

static void store_now(VGen *v, const Acc *acc, const Group *b, PointValue *held)
{
    if (may_pair(v, b))
        store_paired(v, acc, b, stored_value(v, acc, b, 0, 0), held);
    else
        store_group(v, acc, b);
}

/* The same of several groups whose values take long: each accumulator's statements by turns with those of the others. */
static void store_by_turns(VGen *v, const Acc *acc, int32_t nv, const Group *at, int32_t groups)
{
    CGen *g = v->g;
    Out *outer = g->o, part[MOST_TURNS];
    const char **value = NEWN(g->a, const char *, MOST_TURNS * v->t->nstore);
    int32_t n = 0;
    for (const Group *b = at; b < at + groups; b++)
        for (int32_t i = 0; i < b->count; i++, n++) {
            const bool apart = b->count > 1 || may_pair(v, b);
            v_begin_turn(v, &part[n], outer);
            if (!apart)
                store_alone(v, &acc[b->p * nv + b->q], b);
            for (int k = 0; apart && k < v->t->nstore; k++)
                value[k * MOST_TURNS + n] = stored_value(v, &acc[b->p * nv + b->q], b, i, k);
            v_forget(v, false);
        }
    g->o = outer;
    v_interleave(outer, part, n);
    PointValue held = {.value = NULL};
    n = 0;
    for (const Group *b = at; b < at + groups; n += b++->count) {
        if (may_pair(v, b))
            store_paired(v, &acc[b->p * nv + b->q], b, value[n], &held);
        for (int k = 0; b->count > 1 && k < v->t->nstore; k++)
            store_packed(v, &acc[b->p * nv + b->q], b, k, &value[k * MOST_TURNS + n]);
    }
    store_held(v, &held);
}

/* Accumulators of vector q of all points, `count` of which are stored together. */
typedef struct Column { const Acc *acc; int32_t q, nv, count; } Column;

static const char *column_point(VGen *v, const void *ctx, int32_t p)
{
    const Column *c = ctx;
    Subst s[MAX_RANK + 2];
    const uint32_t n = place_acc(v, &c->acc[p * c->nv + c->q], p, c->q, s);
    return v_to_zip(v, v->t->store, c->count, s, n);
}

/* How many points are stored together, of all of these; 0: it is not always as many. */
static int32_t zipped_points(VGen *v, Points at)
{
    if (v->t->open || v->t->lanes < v->width)
        return 0;
    v_set_vector(v, 0);
    const int32_t count = v_zipped(v, ex_int(v->g->x, 0), at.first);
    bool all = count && at.count % count == 0;
    for (int32_t p = count; all && p < at.count; p += count)
        all = v_zipped(v, ex_int(v->g->x, 0), at.first + p) == count;
    return all ? count : 0;
}

/* `count` points together, and one by one what is left of a vector. */
static void zipped_epilogue(VGen *v, const Acc *acc, Points at, int32_t nv, int32_t count)
{
    const int32_t whole = v->t->lanes / v->width;
    for (int32_t p = at.first; p < at.first + at.count; p += count)
        for (int32_t q = 0; q < nv; q++) {
            const Column c = {acc, q, nv, count};
            if (q < whole)
                v_zip(v, ex_int(v->g->x, (int64_t)q * v->width), p, count, column_point, &c);
            for (int32_t k = 0; q >= whole && k < count; k++)
                store_alone(v, &acc[(p + k) * nv + q], &(Group){p + k, q, 1});
        }
    v->acc = NULL;
    v_forget(v, false); /* sums may go on beside it (ctile_tail.c) */
}

void v_epilogue(VGen *v, const Acc *acc, Points at, int32_t nv)
{
    const int32_t zipped = zipped_points(v, at);
    if (zipped) {
        zipped_epilogue(v, acc, at, nv, zipped);
        return;
    }
    const int32_t most = v_packs_all(v), whole = v->t->open || most == 1 ? 0 : v->t->lanes / v->width;
    const bool turns = v_cost(v->t) >= LONG_EPILOGUE;
    Group held[MOST_TURNS];
    PointValue alone = {.value = NULL};
    int32_t groups = 0, vectors = 0;
    const int32_t end = at.first + at.count;
    for (int32_t p = at.first; p < end; p++)
        for (int32_t q = 0, count; q < nv; q += count) {
            count = packed_of(whole - q, most);
            const Group some = {p, q, count};
            if (!turns) {
                store_now(v, &acc[p * nv + q], &some, &alone);
                continue;
            }
            held[groups++] = some;
            vectors += count;
            if (vectors + MOST_PACKED > MOST_TURNS || (p == end - 1 && q + count >= nv)) {
                store_by_turns(v, acc, nv, held, groups);
                groups = vectors = 0;
            }
        }
    store_held(v, &alone);
    v->acc = NULL;
    v_forget(v, true);
}

static void twin_tile(VGen *v, Sums *sums)
{
    const int32_t np = sums->np, nv = sums->nv;
    Acc *acc = NEWN(v->g->a, Acc, np * nv), *twin = NEWN(v->g->a, Acc, np * v_twin_vectors(v));
    sums->nv = v_twin_vectors(v);
    sums->acc = twin;
    sums->inner = -1;
    v_declare_twins(v, twin, np);
    reduction(v, sums);
    v_join_twins(v, twin, acc, np, nv);
    v_epilogue(v, acc, (Points){0, np}, nv);
}

/* The variable of the reduction that has no loop; -1: there is none. */
static int tap_of(const Tile *t, const Sums *sums)
{
    if (!sums->quads || sums->dot.lanes)
        return tile_tap(t, sums->quads);
    return sums->dot.clipped ? t->nr - 2 : -1;
}

void v_accumulator_tile(VGen *v)
{
    const Tile *t = v->t;
    const int32_t np = tile_points(t), nv = (t->lanes + v->width - 1) / v->width;
    Sums sums = {.np = np, .nv = nv};
    sums.quads = v_find_dot(v->g, t, &sums.dot);
    v->tap = tap_of(t, &sums);
    if (sums.quads && sums.dot.twins) {
        twin_tile(v, &sums);
        return;
    }
    Acc *acc = NEWN(v->g->a, Acc, np * nv);
    sums.acc = acc;
    v_find_tail(v, &sums);
    declare_accumulators(v, acc, np, nv);
    v_forget(v, false);
    reduction(v, &sums);
    if (sums.tail)
        v_tail(v, &sums);
    else
        v_epilogue(v, acc, (Points){0, np}, nv);
}

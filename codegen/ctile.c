/* SPDX-License-Identifier: Apache-2.0
 *
 * Register tiles in vectors. Where every value along the lane variable has a vector form (cvec.h) and the target has vectors, a
 * tile becomes named vector accumulators (points x vectors), loads in the order of the nest, and the epilogue on the
 * accumulators.
 */
#include "cvec.h"

/* ---- which tiles can be vectors ---- */

/* Accumulators are f32 or i32. */
static bool can_accumulate(const Tile *t)
{
    const DType dt = (DType)t->acc->dt;
    return (dt == DT_f32 || dt == DT_i32) && t->body->dt == dt && (!t->init || t->init->dt == dt);
}

/* Lanes along the last variable; with others outside they are whole vectors, and their order makes no difference. */
static bool is_across_vectors(const CGen *g, const Tile *t)
{
    const bool any_order = t->red == RED_min || t->red == RED_max || (t->red == RED_sum && t->acc->dt == DT_i32);
    return t->lane == t->rvar[t->nr - 1] && (t->nr == 1 || (any_order && !t->open && t->lanes % g->lanes == 0));
}

static bool is_vector_tile(CGen *g, const Tile *t)
{
    if (g->lanes < 2 || !t->lane || (t->across && !is_across_vectors(g, t)))
        return false;
    if (t->body && (!can_accumulate(t) || !v_can(g, t->body, t->lane, NULL)))
        return false;
    for (int k = 0; k < t->nstore; k++) {
        const Buf *b = buf(g->u, t->store[k].buf);
        const Expr *flat = flat_index(g, b, t->store[k].idx);
        bool linear;
        (void)ex_coef(flat, t->lane, &linear);
        if (!linear || (!t->across && !v_can_store(g, b->dt, t->store[k].value, t->lane, t->acc)))
            return false;
    }
    return true;
}

/* ---- tiles of accumulators ---- */

typedef struct Acc { const Expr *var; const char *name; } Acc;

static int32_t points_of(const Tile *t)
{
    int32_t n = 1;
    for (int k = 0; k < t->np; k++)
        n *= t->pext[k];
    return n;
}

/* Substitution of point p, and of the lane variable by vector q's lanes. */
static uint32_t place(VGen *v, int32_t p, const Expr *lane_base, Subst *s)
{
    const Tile *t = v->t;
    uint32_t n = 0;
    for (int k = t->np - 1; k >= 0; k--) {
        s[n++] = (Subst){t->pvar[k], ex_int(v->g->x, p % t->pext[k])};
        p /= t->pext[k];
    }
    if (lane_base)
        s[n++] = (Subst){t->lane, ex_add(v->g->x, lane_base, v->lane)};
    return n;
}

/* The tap loop that is unrolled: short, and of a tile whose loads its neighbours share (depthwise). */
static bool unrolled(const Tile *t, int k)
{
    return !t->fence && k == t->nr - 1 && t->nr > 1 && ex_is_const(t->rext[k]) && t->rext[k]->v.i <= 8;
}

/* ---- dots: tiles whose innermost reduction is over the quads of bytes or pairs of bf16 that one instruction takes ---- */

typedef struct DotForm { const Expr *x, *w; const char *name; } DotForm;

static const Expr *narrow_load(const Expr *e)
{
    const Expr *load = e->op == EX_cast ? e->a[0] : NULL;
    const bool fits = load && (e->dt == DT_i32 ? dtype_is_byte((DType)load->dt) : e->dt == DT_f32 && load->dt == DT_bf16);
    return fits && load->op == EX_load ? load : NULL;
}

/* Elements side by side along the quad; lanes of w side by side too, x the same in all lanes. */
static bool fits_dot(const CGen *g, const Tile *t, const Expr *x, const Expr *w)
{
    const Expr *q = t->rvar[t->nr - 1], *xf = flat_index(g, buf(g->u, x->v.ref), x->a), *wf = flat_index(g, buf(g->u, w->v.ref), w->a);
    bool linear[3];
    const bool side = ex_coef(xf, q, &linear[0]) == 1 && ex_coef(wf, q, &linear[1]) == 1 && ex_coef(wf, t->lane, &linear[2]) == t->rext[t->nr - 1]->v.i;
    return side && linear[0] && linear[1] && linear[2] && !ex_uses(xf, t->lane);
}

static bool find_dot(const CGen *g, const Tile *t, DotForm *d)
{
    if (t->across || t->red != RED_sum || t->nr == 0 || t->body->op != EX_mul)
        return false;
    const Expr *p = narrow_load(t->body->a[0]), *q = narrow_load(t->body->a[1]);
    if (!p || !q || !ex_is_int(t->rext[t->nr - 1], 4 / (int64_t)dtype_bytes((DType)p->dt)))
        return false;
    const bool swap = ex_uses(p, t->lane);
    d->x = swap ? q : p;
    d->w = swap ? p : q;
    d->name = p->dt == DT_bf16 ? "DOTBF" : d->x->dt != d->w->dt ? "DOTUS" : d->x->dt == DT_u8 ? "DOTUU" : "DOTSS";
    return fits_dot(g, t, d->x, d->w);
}

static void dot_step(VGen *v, const DotForm *d, const Acc *acc, int32_t np, int32_t nv)
{
    CGen *g = v->g;
    const Subst first = {v->t->rvar[v->t->nr - 1], ex_int(g->x, 0)};
    for (int32_t p = 0; p < np; p++)
        for (int32_t q = 0; q < nv; q++) {
            Subst s[MAX_RANK + 2];
            v_set_vector(v, q);
            uint32_t n = place(v, p, ex_int(g->x, (int64_t)q * v->width), s);
            s[n++] = first;
            const char *x = v_quad(v, ex_subst(g->x, d->x, s, n), false), *w = v_quad(v, ex_subst(g->x, d->w, s, n), true);
            const bool swap = d->x->dt == DT_i8 && d->w->dt == DT_u8;
            const char *name = acc[p * nv + q].name;
            ln(g->o, "%s = V%d_%s(%s, %s, %s);", name, v->width, d->name, swap ? w : x, swap ? x : w, name);
        }
    ln(g->o, "V%d_FENCE();", v->width);
}

/* ---- the reduction ---- */

/* One step of the reduction for accumulator q of point p, the variables in `more` taken as given. */
static void accumulate(VGen *v, const char *acc, int32_t p, int32_t q, const Subst *more, uint32_t nmore)
{
    CGen *g = v->g;
    v_set_vector(v, q);
    Subst s[MAX_RANK + 3];
    uint32_t n = place(v, p, ex_int(g->x, (int64_t)q * v->width), s);
    for (uint32_t k = 0; k < nmore; k++)
        s[n++] = more[k];
    const char *value = v_combine(v, v->t->red, acc, ex_subst(g->x, v->t->body, s, n));
    ln(g->o, "%s = %s;", acc, value);
}

/* All accumulators; of a point the unrolled taps follow each other, so that what neighbours share lives shortly. */
static void reduce_step(VGen *v, const Acc *acc, int32_t np, int32_t nv)
{
    CGen *g = v->g;
    const Tile *t = v->t;
    const bool taps = t->nr > 0 && unrolled(t, t->nr - 1);
    const int64_t steps = taps ? t->rext[t->nr - 1]->v.i : 1;
    for (int32_t n = 0; n < np * nv; n++) {
        const int32_t p = taps ? n % np : n / nv, q = taps ? n / np : n % nv;
        for (int64_t k = 0; k < steps; k++) {
            const Subst tap = {taps ? t->rvar[t->nr - 1] : NULL, ex_int(g->x, k)};
            accumulate(v, acc[p * nv + q].name, p, q, &tap, taps);
        }
    }
    const Subst first = {taps ? t->rvar[t->nr - 1] : NULL, ex_int(g->x, 0)};
    for (uint8_t k = 0; k < t->nfetch; k++)
        v_fetch(v, &t->fetch[k], ex_subst(g->x, t->fetch[k].at, &first, taps));
    if (t->fence)
        ln(g->o, "V%d_FENCE();", v->width);
}

static void reduction(VGen *v, const Acc *acc, int32_t np, int32_t nv)
{
    CGen *g = v->g;
    const Tile *t = v->t;
    int opened = 0;
    DotForm dot;
    const bool quads = find_dot(g, t, &dot);
    const int loops = t->nr - quads;
    v->keep = true;
    for (int k = 0; k < loops; k++) {
        if (unrolled(t, k))
            continue;
        c_open_loop(g, t->rvar[k], t->rext[k]);
        opened++;
    }
    if (quads)
        dot_step(v, &dot, acc, np, nv);
    else
        reduce_step(v, acc, np, nv);
    v_forget(v, opened > 0);
    v->keep = false;
    while (opened-- > 0)
        close_block(g->o, "");
}

/* A register of its own with what is known of the tile's. */
static const Expr *accumulator(VGen *v, const char *name)
{
    const VarInfo *i = ex_var_info(v->g->x, v->t->acc);
    return ex_var(v->g->x, VK_REG, (DType)i->dt, name, i->lo, i->hi);
}

static void declare_accumulators(VGen *v, Acc *acc, int32_t np, int32_t nv)
{
    CGen *g = v->g;
    const Expr *init = v->t->init ? v->t->init : red_identity(g->x, v->t->red, (DType)v->t->acc->dt);
    for (int32_t p = 0; p < np; p++)
        for (int32_t q = 0; q < nv; q++) {
            Acc *c = &acc[p * nv + q];
            Subst s[MAX_RANK + 1];
            v_set_vector(v, q);
            const uint32_t n = place(v, p, ex_int(g->x, (int64_t)q * v->width), s);
            c->var = accumulator(v, "c");
            c->name = c_name(g, &g->var, c->var->id, str_fmt(g->a, "c%d_%d", p, q), "c");
            const char *value = ex_is_const(init) ? v_set(v, init) : v_text(v, ex_subst(g->x, init, s, n));
            ln(g->o, "%s %s = %s;", v_type(v, (DType)init->dt), c->name, value);
        }
}

/* Substitution of accumulator q of point p, which is what the epilogue reads now. */
static uint32_t place_acc(VGen *v, const Acc *acc, int32_t p, int32_t q, Subst *s)
{
    v_set_vector(v, q);
    uint32_t n = place(v, p, ex_int(v->g->x, (int64_t)q * v->width), s);
    *map_u64(&v->memo, acc->var->id, true) = (uint64_t)(uintptr_t)acc->name;
    v->acc = acc->var;
    s[n++] = (Subst){v->t->acc, v->acc};
    return n;
}

enum { MOST_PACKED = 4 };

static bool packs(VGen *v)
{
    bool all = v->t->nstore > 0;
    for (int k = 0; all && k < v->t->nstore; k++)
        all = v_packs(v, &v->t->store[k]);
    return all;
}

/* How many of n whole vectors are stored together. */
static int32_t packed_of(int32_t n) { return n >= 4 ? 4 : n >= 2 ? 2 : 1; }

/* The stores of accumulators q.. of point p, which lie side by side. */
static void store_together(VGen *v, const Acc *acc, int32_t p, int32_t q, int32_t count)
{
    for (int k = 0; k < v->t->nstore; k++) {
        const char *value[MOST_PACKED];
        Subst s[MAX_RANK + 2];
        for (int32_t i = 0; i < count; i++)
            value[i] = v_unpacked(v, &v->t->store[k], s, place_acc(v, &acc[i], p, q + i, s));
        v_store_packed(v, &v->t->store[k], s, place_acc(v, acc, p, q, s), value, count);
    }
}

static void epilogue(VGen *v, const Acc *acc, int32_t np, int32_t nv)
{
    const int32_t whole = v->t->open || !packs(v) ? 0 : v->t->lanes / v->width;
    for (int32_t p = 0; p < np; p++)
        for (int32_t q = 0, count; q < nv; q += count) {
            const Acc *at = &acc[p * nv + q];
            Subst s[MAX_RANK + 2];
            count = packed_of(whole - q);
            if (count > 1) {
                store_together(v, at, p, q, count);
                continue;
            }
            const uint32_t n = place_acc(v, at, p, q, s);
            for (int k = 0; k < v->t->nstore; k++)
                v_store(v, &v->t->store[k], s, n);
        }
    v->acc = NULL;
    v_forget(v, true);
}

static void accumulator_tile(VGen *v)
{
    CGen *g = v->g;
    const int32_t np = points_of(v->t), nv = (v->t->lanes + v->width - 1) / v->width;
    Acc *acc = NEWN(g->a, Acc, np * nv);
    declare_accumulators(v, acc, np, nv);
    v_forget(v, false);
    reduction(v, acc, np, nv);
    epilogue(v, acc, np, nv);
}

/* ---- tiles along the lanes: maps, and reductions across ---- */

static void map_strip(VGen *v, const Expr *base)
{
    const int32_t np = points_of(v->t);
    for (int32_t p = 0; p < np; p++) {
        Subst s[MAX_RANK + 1];
        const uint32_t n = place(v, p, base, s);
        for (int k = 0; k < v->t->nstore; k++)
            v_store(v, &v->t->store[k], s, n);
    }
}

/* As many strips as the tile may have, each with the lanes that are in use. */
static void open_map_tile(VGen *v)
{
    for (int64_t q = 0; q * v->width < v->t->lanes; q++) {
        v_set_vector(v, q);
        map_strip(v, ex_int(v->g->x, q * v->width));
        v_forget(v, false);
    }
}

enum { LONG_CHAIN = 30 }; /* operations one after the other, of which a core cannot look past more than a few */

/* Strips go side by side where each is a long chain: while one waits for a result, the other has work; or where they are
 * stored together. */
static int32_t strips_at_once(const Tile *t, bool packed)
{
    int cost = 0;
    for (int k = 0; k < t->nstore; k++)
        cost += ex_cost(t->store[k].value);
    return cost >= LONG_CHAIN ? 2 : packed ? MOST_PACKED : 1;
}

/* One line of each in turn. Loads come earlier by that, never later. */
static void interleave(Out *o, Out *part, int32_t n)
{
    const char *s[MOST_PACKED];
    for (int32_t k = 0; k < n; k++)
        s[k] = part[k].text.n ? text_str(&part[k].text) : "";
    for (bool more = true; more;) {
        more = false;
        for (int32_t k = 0; k < n; k++) {
            const char *end = strchr(s[k], '\n');
            const size_t length = end ? (size_t)(end - s[k]) + 1 : strlen(s[k]);
            text_put(&o->text, s[k], length);
            s[k] += length;
            more = more || *s[k];
        }
    }
}

/* What a strip stores at each point, before it is narrowed. */
static void strip_values(VGen *v, const Expr *base, const char **value)
{
    for (int32_t p = 0; p < points_of(v->t); p++) {
        Subst s[MAX_RANK + 1];
        const uint32_t n = place(v, p, base, s);
        for (int k = 0; k < v->t->nstore; k++)
            *value++ = v_unpacked(v, &v->t->store[k], s, n);
    }
}

static void store_strips(VGen *v, const Expr *base, const char **const value, int32_t count)
{
    const int32_t np = points_of(v->t), each = np * v->t->nstore;
    for (int32_t p = 0; p < np; p++) {
        Subst s[MAX_RANK + 1];
        const uint32_t n = place(v, p, base, s);
        for (int k = 0; k < v->t->nstore; k++) {
            const char *side[MOST_PACKED];
            for (int32_t i = 0; i < count; i++)
                side[i] = value[i * each + p * v->t->nstore + k];
            v_store_packed(v, &v->t->store[k], s, n, side, count);
        }
    }
}

static void several_strips(VGen *v, const Expr *base, int32_t count, bool packed)
{
    CGen *g = v->g;
    Out *outer = g->o, part[MOST_PACKED];
    const int32_t each = points_of(v->t) * v->t->nstore;
    const char **value = NEWN(g->a, const char *, (size_t)(count * each));
    for (int32_t k = 0; k < count; k++) {
        const Expr *at = ex_add(g->x, base, ex_int(g->x, (int64_t)k * v->width));
        out_init(&part[k], g->a);
        part[k].depth = outer->depth;
        g->o = &part[k];
        if (packed)
            strip_values(v, at, value + k * each);
        else
            map_strip(v, at);
        v_forget(v, false);
    }
    g->o = outer;
    interleave(outer, part, count);
    if (packed)
        store_strips(v, base, value, count);
}

/* The strips from lane `from`, `at_once` of them in a turn. Returns the lane behind. */
static int64_t map_strips(VGen *v, int64_t from, int64_t end, int32_t at_once, bool packed)
{
    CGen *g = v->g;
    const int64_t step = (int64_t)at_once * v->width, turns = (end - from) / step;
    if (turns == 0)
        return from;
    const Expr *q = turns > 1 ? ex_var(g->x, VK_INDEX, DT_ix, "l", from, from + (turns - 1) * step) : ex_int(g->x, from);
    const char *i = turns > 1 ? var_ident(g, q) : NULL;
    if (i)
        open_block(g->o, "for (%s %s = %lld; %s < %lld; %s += %lld)", c_type(g, DT_ix), i, (long long)from, i, (long long)(from + turns * step), i, (long long)step);
    v->strip = i ? q : NULL;
    if (at_once > 1)
        several_strips(v, q, at_once, packed);
    else
        map_strip(v, q);
    v_forget(v, i != NULL);
    v->strip = NULL;
    if (i) {
        close_block(g->o, "");
        c_release(g, i);
    }
    return from + turns * step;
}

static void map_tile(VGen *v)
{
    const int64_t whole = v->t->lanes / v->width * v->width;
    v_set_count(v, v->width);
    int64_t done = 0;
    const bool packed = packs(v);
    for (int32_t n = strips_at_once(v->t, packed); n > 0; n /= 2)
        done = map_strips(v, done, whole, n, packed);
    if (whole < v->t->lanes) {
        v_set_count(v, v->t->lanes - whole);
        map_strip(v, ex_int(v->g->x, whole));
    }
}

/* c = op(c, body) over whole vectors. */
static void across_vectors(VGen *v, int32_t p, const char *c, const Expr *whole)
{
    CGen *g = v->g;
    const Expr *q = ex_var(g->x, VK_INDEX, DT_ix, "l", 0, max_i64(ex_upper(g->x, whole) - v->width, 0));
    const char *i = var_ident(g, q);
    Subst s[MAX_RANK + 2];
    v_set_count(v, v->width);
    const uint32_t n = place(v, p, q, s);
    open_block(g->o, "for (%s %s = 0; %s < %s; %s += %d)", c_type(g, DT_ix), i, i, c_expr_prec(g, whole, P_LT + 1), i, v->width);
    v->strip = q;
    const char *value = v_combine(v, v->t->red, c, ex_subst(g->x, v->t->body, s, n));
    ln(g->o, "%s = %s;", c, value);
    v->strip = NULL;
    v_forget(v, true);
    close_block(g->o, "");
    c_release(g, i);
}

/* total = op(total, body) for the lanes behind the whole vectors, one by one. */
static void across_tail(VGen *v, int32_t p, const Expr *total, const Expr *whole)
{
    CGen *g = v->g;
    const Tile *t = v->t;
    const Expr *q = ex_var(g->x, VK_INDEX, DT_ix, "l", ex_is_const(whole) ? whole->v.i : 0, t->lanes - 1);
    const char *i = var_ident(g, q);
    Subst s[MAX_RANK + 2];
    uint32_t n = place(v, p, NULL, s);
    s[n++] = (Subst){t->lane, q};
    open_block(g->o, "for (%s %s = %s; %s < %s; %s++)", c_type(g, DT_ix), i, c_expr(g, whole), i, c_expr_prec(g, tile_lanes(g->x, t), P_LT + 1), i);
    ln(g->o, "%s = %s;", var_ident(g, total), c_expr(g, red_combine(g->x, t->red, total, ex_subst(g->x, t->body, s, n))));
    close_block(g->o, "");
    c_release(g, i);
}

static void across_store(VGen *v, int32_t p, const Expr *total)
{
    CGen *g = v->g;
    Subst s[MAX_RANK + 2];
    uint32_t n = place(v, p, NULL, s);
    s[n++] = (Subst){v->t->acc, total};
    for (int k = 0; k < v->t->nstore; k++) {
        const Store *st = &v->t->store[k];
        const Expr *flat = ex_subst(g->x, flat_index(g, buf(g->u, st->buf), st->idx), s, n);
        ln(g->o, "%s[%s] = %s;", buf_name(g, st->buf), c_expr(g, flat), c_expr(g, ex_subst(g->x, st->value, s, n)));
    }
}

/* One vector accumulator, combined across in the order of the dialect, then the tail one by one. */
static void across_point(VGen *v, int32_t p)
{
    CGen *g = v->g;
    const Tile *t = v->t;
    const Expr *width = ex_int(g->x, v->width), *lanes = tile_lanes(g->x, t), *whole = ex_mul(g->x, ex_fdiv(g->x, lanes, width), width);
    const DType dt = (DType)t->acc->dt;
    const Expr *vector = accumulator(v, "c"), *total = accumulator(v, "total");
    const char *c = var_ident(g, vector);
    ln(g->o, "%s %s = %s;", v_type(v, dt), c, v_set(v, red_identity(g->x, t->red, dt)));
    for (int k = 0; k + 1 < t->nr; k++)
        c_open_loop(g, t->rvar[k], t->rext[k]);
    if (!ex_is_int(whole, 0))
        across_vectors(v, p, c, whole);
    for (int k = 0; k + 1 < t->nr; k++)
        close_block(g->o, "");
    ln(g->o, "%s%s %s = %s;", whole != lanes ? "" : "const ", c_type(g, dt), var_ident(g, total), v_fold(v, t->red, dt, c));
    if (whole != lanes)
        across_tail(v, p, total, whole);
    across_store(v, p, total);
}

/* Short rows take shorter vectors. */
static int32_t width_for(const CGen *g, const Tile *t)
{
    int32_t w = g->lanes;
    while (w > 4 && t->lanes <= w / 2)
        w /= 2;
    return w;
}

bool c_vector_tile(CGen *g, const Tile *t)
{
    if (!is_vector_tile(g, t))
        return false;
    VGen v = {.g = g, .t = t, .width = width_for(g, t), .memo = {.arena = g->a}, .pointer = {.arena = g->a}, .counts = {.arena = g->a}, .divisor = {.arena = g->a}};
    v.full = ex_var(g->x, VK_INDEX, DT_ix, "lane", 0, v.width - 1);
    v.part = ex_var(g->x, VK_INDEX, DT_ix, "lane", 0, max_i64(t->lanes % v.width - 1, 1));
    v.lane = v.full;
    Out *outer = g->o, body;
    out_init(&body, g->a);
    out_init(&v.head, g->a);
    body.depth = v.head.depth = outer->depth + 1;
    g->o = &body;
    if (t->red == RED_none && t->open)
        open_map_tile(&v);
    else if (t->red == RED_none)
        map_tile(&v);
    else if (t->across)
        for (int32_t p = 0; p < points_of(t); p++)
            across_point(&v, p);
    else
        accumulator_tile(&v);
    g->o = outer;
    open_block(outer, "%s", "");
    text_put(&outer->text, v.head.text.n ? text_str(&v.head.text) : "", v.head.text.n);
    text_put(&outer->text, text_str(&body.text), body.text.n);
    close_block(outer, "");
    for (uint32_t k = 0; k < v.pointer.slot.n; k++)
        c_release(g, (const char *)(uintptr_t)v.pointer.slot.at[k].val);
    for (uint32_t k = 0; k < v.counts.slot.n; k++)
        c_release(g, (const char *)(uintptr_t)v.counts.slot.at[k].val);
    for (uint32_t k = 0; k < v.divisor.slot.n; k++)
        c_release(g, (const char *)(uintptr_t)v.divisor.slot.at[k].val);
    for (int k = 0; k < t->nr; k++) /* not before: pointers named later are declared round the loops */
        if (!unrolled(t, k))
            c_release(g, var_ident(g, t->rvar[k]));
    return true;
}

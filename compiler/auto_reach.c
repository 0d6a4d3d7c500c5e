/* SPDX-License-Identifier: Apache-2.0
 *
 * How large values get: intervals of integers and floats from the types of what is loaded and the constants themselves. Bounds of
 * floats are those of the exact values, so callers leave room for rounding. What is bounded is a number, too: nothing is known of
 * what is made from something unbounded, which may not be one.
 */
#include <math.h>

#include "auto.h"

enum { DEPTH = 64 }; /* operations and stages that are followed */

typedef struct Work { const Auto *g; Map seen; VEC(Reach) of; } Work; /* what is known, by node */

static const Reach nothing_known = {-INFINITY, INFINITY};

static Reach reach(Work *w, const Expr *e, int depth);

static Reach of_products(Reach a, Reach b)
{
    const double p = a.lo * b.lo, q = a.lo * b.hi, r = a.hi * b.lo, s = a.hi * b.hi;
    return (Reach){fmin(fmin(p, q), fmin(r, s)), fmax(fmax(p, q), fmax(r, s))};
}

static Reach of_sums(Reach a, Reach b) { return (Reach){a.lo + b.lo, a.hi + b.hi}; }

static Reach reach_of_stage(Work *w, const Stage *s, int depth)
{
    double n = 1;
    const Reach *known = auto_known_sums(w->g, s->out);
    if (known)
        return *known;
    if (s->kind == ST_map)
        return reach(w, s->body, depth);
    if (s->kind != ST_reduce || s->op != RED_sum)
        return nothing_known;
    for (uint8_t q = 0; q < s->nr; q++)
        n *= (double)extent_of(w->g, s->rext[q]);
    const Reach r = reach(w, s->body, depth);
    return (Reach){fmin(n * r.lo, 0), fmax(n * r.hi, 0)};
}

/* A vector of constants: few elements. */
static bool is_vector(const Ten *t, const Expr *e) { return t->kind == TEN_const && e->n == 1; }

static Reach reach_of_vector(const Blob *b)
{
    Reach r = {INFINITY, -INFINITY};
    for (int64_t k = 0; k < b->count; k++) {
        const double v = dtype_is_float(b->dt) ? blob_f(b, k) : (double)blob_i(b, k);
        if (!isfinite(v))
            return nothing_known;
        r = (Reach){fmin(r.lo, v), fmax(r.hi, v)};
    }
    return r;
}

static Reach either(Reach a, Reach b) { return (Reach){fmin(a.lo, b.lo), fmax(a.hi, b.hi)}; }

static Reach reach_of_load(Work *w, const Expr *e, int depth)
{
    const Auto *g = w->g;
    const Ten *t = ten(g->te, e->v.ref);
    int64_t lo, hi;
    if (is_vector(t, e) && e->op == EX_load && (dtype_is_float(t->dt) || (dtype_is_int(t->dt) && dtype_bytes(t->dt) > 1)))
        return reach_of_vector(t->data);
    if (t->kind == TEN_stage && dtype_bytes(t->dt) > 1) {
        const Reach inside = reach_of_stage(w, g->te->stage.at[t->stage], depth);
        return e->op == EX_load ? inside : either(inside, reach(w, e->a[e->n - 1], depth));
    }
    return ex_range(g->x, e, &lo, &hi) ? (Reach){(double)lo, (double)hi} : nothing_known;
}

static Reach of_quotients(const Expr *e, Reach a)
{
    const double by = dtype_is_float((DType)e->dt) && ex_is_const(e->a[1]) ? e->a[1]->v.f : 0;
    return by != 0 ? of_products(a, (Reach){1 / by, 1 / by}) : nothing_known;
}

/* Bits of floats that have no fraction: between 2^23 and 2^24 one is as far from the next as its bits are. */
static Reach of_bits(const Expr *e, Reach a)
{
    const double first = 0x4b000000, last = 0x4b7fffff;
    return e->dt == DT_f32 && a.lo >= first && a.hi <= last ? (Reach){0x1p23 + (a.lo - first), 0x1p23 + (a.hi - first)} : nothing_known;
}

/* The float a of which e is another power of two: bits_f32(power + bits_i32(a)), `power` a constant that is added to its exponent; NULL: of none. */
static const Expr *less_power(const Expr *e, const Expr **power)
{
    const Expr *sum = e->op == EX_bitcast && e->dt == DT_f32 && e->a[0]->op == EX_add ? e->a[0] : NULL;
    for (int k = 0; sum && k < 2; k++)
        if (sum->a[k]->op == EX_bitcast && sum->a[k]->a[0]->dt == DT_f32) {
            *power = sum->a[!k];
            return sum->a[k]->a[0];
        }
    return NULL;
}

static Reach of_power(Reach a, Reach power)
{
    const double one = 0x1p23;
    const bool up = power.lo >= 0 && power.hi < 64 * one && isfinite(a.lo) && isfinite(a.hi);
    return up ? of_products(a, (Reach){exp2(floor(power.lo / one)), exp2(ceil(power.hi / one))}) : nothing_known;
}

static Reach reach_of_operation(const Expr *e, const Reach *r)
{
    switch (e->op) {
    case EX_add: return of_sums(r[0], r[1]);
    case EX_sub: return of_sums(r[0], (Reach){-r[1].hi, -r[1].lo});
    case EX_mul: return of_products(r[0], r[1]);
    case EX_fma: return of_sums(of_products(r[0], r[1]), r[2]);
    case EX_div: return of_quotients(e, r[0]);
    case EX_neg: return (Reach){-r[0].hi, -r[0].lo};
    case EX_min: return (Reach){fmin(r[0].lo, r[1].lo), fmin(r[0].hi, r[1].hi)};
    case EX_max: return (Reach){fmax(r[0].lo, r[1].lo), fmax(r[0].hi, r[1].hi)};
    case EX_bitcast: return of_bits(e, r[0]);
    case EX_rint: return (Reach){rint(r[0].lo), rint(r[0].hi)};
    case EX_erf: case EX_erfq: case EX_tanh: return (Reach){-1, 1};
    default: return nothing_known;
    }
}

static Reach reach_of_operands(Work *w, const Expr *e, int depth)
{
    Reach r[3];
    for (uint16_t k = 0; k < e->n; k++) {
        if (k == COUNT(r))
            return nothing_known;
        r[k] = reach(w, e->a[k], depth);
        if (!isfinite(r[k].lo) || !isfinite(r[k].hi))
            return nothing_known;
    }
    return reach_of_operation(e, r);
}

static Reach reach_of_node(Work *w, const Expr *e, int depth)
{
    if (ex_is_const(e) && dtype_is_float((DType)e->dt))
        return (Reach){e->v.f, e->v.f};
    if (e->op == EX_load || e->op == EX_loadp)
        return reach_of_load(w, e, depth);
    if (e->op == EX_cast && dtype_is_int((DType)e->a[0]->dt))
        return reach(w, e->a[0], depth);
    const Reach *total = auto_known_total(w->g, e);
    if (total)
        return *total;
    const Expr *power, *a = less_power(e, &power);
    if (a)
        return of_power(reach(w, a, depth), reach(w, power, depth));
    return e->n > 0 ? reach_of_operands(w, e, depth) : nothing_known;
}

/* What leaves its type wraps. */
static Reach within_type(const Auto *g, const Expr *e, Reach r)
{
    int64_t lo, hi;
    if (!ex_range(g->x, e, &lo, &hi))
        return r;
    const bool wraps = r.lo < (double)dtype_min((DType)e->dt) || r.hi > (double)dtype_max((DType)e->dt);
    return wraps ? (Reach){(double)lo, (double)hi} : (Reach){fmax(r.lo, (double)lo), fmin(r.hi, (double)hi)};
}

static Reach reach(Work *w, const Expr *e, int depth)
{
    const uint64_t *known = map_u64(&w->seen, e->id, false);
    if (known)
        return w->of.at[*known];
    const Reach r = depth > 0 ? within_type(w->g, e, reach_of_node(w, e, depth - 1)) : nothing_known;
    *map_u64(&w->seen, e->id, true) = w->of.n;
    PUSH(w->g->a, &w->of, r);
    return r;
}

Reach auto_reach(const Auto *g, const Expr *e)
{
    Work w = {.g = g, .seen = {.arena = g->a}};
    return reach(&w, e, DEPTH);
}

double auto_magnitude(const Auto *g, const Expr *e)
{
    const Reach r = auto_reach(g, e);
    return fmax(fabs(r.lo), fabs(r.hi));
}

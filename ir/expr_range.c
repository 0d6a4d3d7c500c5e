/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounds of integer values, from the bounds of their operands. They are found once, when a node is made.
 *
 * Arithmetic on bounds saturates at int64 and treats both ends as infinite: what was without bound stays so. ix values
 * are taken never to overflow (sizes are checked where they enter); other integers wrap, so a result that may leave its
 * type has no bounds but the type's.
 */
#include "expr_pool.h"

static bool infinite(int64_t v)
{
    return v == INT64_MIN || v == INT64_MAX;
}

static int64_t signed_infinity(bool negative)
{
    return negative ? INT64_MIN : INT64_MAX;
}

static int64_t add_to(int64_t a, int64_t b, int64_t unbounded)
{
    int64_t r;
    if (a == unbounded || b == unbounded) return unbounded;
    return add_i64(a, b, &r) ? r : signed_infinity(a < 0);
}

Range range_add(Range a, Range b)
{
    return (Range){add_to(a.lo, b.lo, INT64_MIN), add_to(a.hi, b.hi, INT64_MAX)};
}

/* a * b, 0 * infinity being 0. */
static int64_t product(int64_t a, int64_t b)
{
    int64_t r;
    if (a == 0 || b == 0) return 0;
    if (infinite(a) || infinite(b) || !mul_i64(a, b, &r)) return signed_infinity((a < 0) != (b < 0));
    return r;
}

static int64_t negated(int64_t a)
{
    return infinite(a) ? signed_infinity(a > 0) : -a;
}

/* floor(a / b) and a / b truncated, b >= 1. */
static int64_t quotient_floor(int64_t a, int64_t b)
{
    return infinite(a) ? a : infinite(b) ? (a < 0 ? -1 : 0) : floor_div(a, b);
}

static int64_t quotient_trunc(int64_t a, int64_t b)
{
    return infinite(a) ? a : infinite(b) ? 0 : a / b;
}

static Range hull(const int64_t *v, int n)
{
    Range r = {v[0], v[0]};
    for (int i = 1; i < n; i++) {
        r.lo = min_i64(r.lo, v[i]);
        r.hi = max_i64(r.hi, v[i]);
    }
    return r;
}

/* A function monotone in each argument has its extremes at the corners. */
static Range corners(int64_t (*f)(int64_t, int64_t), Range a, Range b)
{
    int64_t v[] = {f(a.lo, b.lo), f(a.lo, b.hi), f(a.hi, b.lo), f(a.hi, b.hi)};
    return hull(v, 4);
}

static int64_t magnitude(Range r)
{
    return max_i64(negated(r.lo), r.hi);
}

static Range symmetric(int64_t m)
{
    return (Range){negated(m), m};
}

/* ------------------------------------------------------------------------------- one function per kind of operation */

static Range of_add(const Range *a)
{
    return range_add(a[0], a[1]);
}

static Range of_neg(const Range *a)
{
    return (Range){negated(a[0].hi), negated(a[0].lo)};
}

static Range of_sub(const Range *a)
{
    return range_add(a[0], of_neg(a + 1));
}

static Range of_mul(const Range *a)
{
    return corners(product, a[0], a[1]);
}

/* |a / b| <= |a| for every b, 0 included, whichever way it rounds. */
static Range of_fdiv(const Range *a)
{
    return a[1].lo >= 1 ? corners(quotient_floor, a[0], a[1]) : symmetric(magnitude(a[0]));
}

static Range of_div(const Range *a)
{
    return a[1].lo >= 1 ? corners(quotient_trunc, a[0], a[1]) : symmetric(magnitude(a[0]));
}

/* Between 0 and the divisor, and a itself when it is smaller than every divisor. */
static Range of_mod(const Range *a)
{
    if (a[0].lo >= 0 && a[0].hi < a[1].lo) return a[0];
    Range r = {min_i64(a[1].lo, -1) + 1, a[1].hi == INT64_MAX ? INT64_MAX : max_i64(a[1].hi, 1) - 1};
    if (a[0].lo >= 0 && a[1].lo >= 0) r.hi = min_i64(r.hi, a[0].hi);
    return r;
}

static Range of_rem(const Range *a)
{
    int64_t b = magnitude(a[1]), m = b == INT64_MAX ? b : max_i64(b, 1) - 1;
    m = min_i64(m, magnitude(a[0]));
    return (Range){a[0].lo >= 0 ? 0 : negated(m), a[0].hi <= 0 ? 0 : m};
}

static Range of_min(const Range *a)
{
    return (Range){min_i64(a[0].lo, a[1].lo), min_i64(a[0].hi, a[1].hi)};
}

static Range of_max(const Range *a)
{
    return (Range){max_i64(a[0].lo, a[1].lo), max_i64(a[0].hi, a[1].hi)};
}

static Range of_abs(const Range *a)
{
    int64_t lo = a[0].lo > 0 ? a[0].lo : a[0].hi < 0 ? negated(a[0].hi) : 0;
    return (Range){lo, magnitude(a[0])};
}

static Range of_sign(const Range *a)
{
    return (Range){a[0].lo > 0 ? 1 : a[0].lo == 0 ? 0 : -1, a[0].hi < 0 ? -1 : a[0].hi == 0 ? 0 : 1};
}

static Range of_band(const Range *a)
{
    if (a[0].lo >= 0 && a[1].lo >= 0) return (Range){0, min_i64(a[0].hi, a[1].hi)};
    if (a[0].lo >= 0 || a[1].lo >= 0) return (Range){0, a[0].lo >= 0 ? a[0].hi : a[1].hi};
    return (Range){INT64_MIN, INT64_MAX};
}

static Range of_shr(const Range *a)
{
    if (a[1].lo < 0 || a[1].hi > 31) return (Range){min_i64(a[0].lo, 0), max_i64(a[0].hi, 0)};
    const Range power = {INT64_C(1) << a[1].lo, INT64_C(1) << a[1].hi};
    return corners(quotient_floor, a[0], power);
}

/* Disjoint bounds decide a comparison. An upper end at INT64_MAX may stand for more, so it decides nothing. */
static Range of_eq(const Range *a)
{
    return (Range){0, a[0].hi >= a[1].lo && a[1].hi >= a[0].lo};
}

static Range of_ne(const Range *a)
{
    return (Range){!of_eq(a).hi, 1};
}

static Range of_lt(const Range *a)
{
    return (Range){a[0].hi < a[1].lo, !(a[0].lo >= a[1].hi && a[1].hi != INT64_MAX)};
}

static Range of_le(const Range *a)
{
    return (Range){a[0].hi <= a[1].lo && a[0].hi != INT64_MAX, !(a[0].lo > a[1].hi)};
}

typedef struct RangeRule { Range (*of)(const Range *a); bool wraps; } RangeRule;

static const RangeRule rules[EX_count] = {
    [EX_add] = {of_add, true},   [EX_sub] = {of_sub, true},   [EX_mul] = {of_mul, true},   [EX_neg] = {of_neg, true},
    [EX_div] = {of_div, true},   [EX_fdiv] = {of_fdiv, true}, [EX_abs] = {of_abs, true},   [EX_mod] = {of_mod, false},
    [EX_rem] = {of_rem, false},  [EX_min] = {of_min, false},  [EX_max] = {of_max, false},  [EX_sign] = {of_sign, false},
    [EX_band] = {of_band, false}, [EX_shr] = {of_shr, false}, [EX_eq] = {of_eq, false},    [EX_ne] = {of_ne, false},
    [EX_lt] = {of_lt, false},    [EX_le] = {of_le, false},
};

static bool has_range(DType dt)
{
    return dtype_is_int(dt) || dt == DT_bool || dt == DT_ix;
}

/* Bounds of a result computed without end; what may have wrapped is anything. */
static Range wrapped(DType dt, Range r)
{
    Range all = range_type(dt);
    bool saturated = dt != DT_ix && (r.lo == INT64_MIN || r.hi == INT64_MAX);
    return saturated || !range_within(r, all) ? all : r;
}

static Range of_cast(DType dt, const Expr *a)
{
    Range all = range_type(dt), r = range_of(a);
    if (!has_range((DType)a->dt)) return all;
    bool unknown = a->dt == DT_u64 && r.hi == INT64_MAX;
    return unknown || !range_within(r, all) ? all : r;
}

static Range of_castsat(DType dt, const Expr *a)
{
    Range all = range_type(dt), r = range_of(a);
    if (!has_range((DType)a->dt)) return all;
    return (Range){max_i64(all.lo, min_i64(r.lo, all.hi)), min_i64(all.hi, max_i64(r.hi, all.lo))};
}

static Range of_select(const Expr *const *a)
{
    Range p = range_of(a[1]), q = range_of(a[2]);
    return (Range){min_i64(p.lo, q.lo), max_i64(p.hi, q.hi)};
}

Range range_type(DType dt)
{
    if (dt == DT_ix || !has_range(dt)) return (Range){INT64_MIN, INT64_MAX};
    return (Range){dtype_min(dt), dtype_max(dt)};
}

/* An end of a Range cannot stand for itself where it also means infinity, nor for more than INT64_MAX. */
Range range_const(DType dt, int64_t v)
{
    return infinite(v) || (dt == DT_u64 && v < 0) ? range_type(dt) : (Range){v, v};
}

Range range_scale(Range r, int64_t k)
{
    return corners(product, r, (Range){k, k});
}

Range range_op(ExprOp op, DType dt, const Expr *const *a)
{
    if (!has_range(dt)) return range_type(dt);
    switch (op) {
    case EX_cast: return of_cast(dt, a[0]);
    case EX_castsat: return of_castsat(dt, a[0]);
    case EX_select: return of_select(a);
    default: break;
    }
    if (!rules[op].of || !has_range((DType)a[0]->dt)) return range_type(dt);
    const Range in[] = {range_of(a[0]), expr_info(op)->arity == 2 ? range_of(a[1]) : (Range){0, 0}};
    Range r = rules[op].of(in);
    return rules[op].wraps ? wrapped(dt, r) : r;
}

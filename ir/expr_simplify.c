/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules that make an operation simpler, other than index arithmetic (expr_affine.c). Each is exact for every value of
 * its operands: on floats only what keeps NaN, infinities and the sign of zero, so x*0 and x+0 stay. Tables hold the
 * rules of one operation with a constant, with itself, and on top of another; functions hold the rest.
 */
#include <math.h>

#include "expr_pool.h"

static bool is_index(const Expr *e)
{
    return e->dt == DT_ix;
}

static bool is_real(const Expr *e)
{
    return dtype_is_float((DType)e->dt);
}

static const Expr *zero(Exprs *x, const Expr *like)
{
    return ex_const_i(x, (DType)like->dt, 0);
}

/* --------------------------------------------------------------------------------------------- tables on operations */

typedef enum Result { R_OTHER, R_CONST, R_ZERO } Result; /* the other operand, the constant, zero */
typedef enum Side { LEFT, RIGHT } Side;                  /* where the constant is */

/* Integers, bool and ix; constants of commutative operations are on the right. */
typedef struct IntRule { uint8_t op; Side side; int64_t value; Result result; } IntRule;
static const IntRule int_rules[] = {
    {EX_add, RIGHT, 0, R_OTHER},  {EX_sub, RIGHT, 0, R_OTHER},  {EX_mul, RIGHT, 1, R_OTHER},
    {EX_mul, RIGHT, 0, R_CONST},  {EX_div, RIGHT, 1, R_OTHER},  {EX_div, RIGHT, 0, R_CONST},
    {EX_div, LEFT, 0, R_CONST},   {EX_fdiv, RIGHT, 1, R_OTHER}, {EX_fdiv, RIGHT, 0, R_CONST},
    {EX_fdiv, LEFT, 0, R_CONST},  {EX_mod, RIGHT, 1, R_ZERO},   {EX_mod, RIGHT, 0, R_CONST},
    {EX_mod, LEFT, 0, R_CONST},   {EX_rem, RIGHT, 1, R_ZERO},   {EX_rem, RIGHT, 0, R_CONST},
    {EX_rem, LEFT, 0, R_CONST},   {EX_band, RIGHT, 0, R_CONST}, {EX_bor, RIGHT, 0, R_OTHER},
    {EX_bxor, RIGHT, 0, R_OTHER}, {EX_pow, RIGHT, 1, R_OTHER},  {EX_shl, RIGHT, 0, R_OTHER},
    {EX_shl, LEFT, 0, R_CONST},   {EX_shr, RIGHT, 0, R_OTHER},  {EX_shr, LEFT, 0, R_CONST},
    {EX_and, RIGHT, 1, R_OTHER},  {EX_and, LEFT, 1, R_OTHER},   {EX_and, RIGHT, 0, R_CONST},
    {EX_and, LEFT, 0, R_CONST},   {EX_or, RIGHT, 0, R_OTHER},   {EX_or, LEFT, 0, R_OTHER},
    {EX_or, RIGHT, 1, R_CONST},   {EX_or, LEFT, 1, R_CONST},    {EX_xor, RIGHT, 0, R_OTHER},
    {EX_eq, RIGHT, 1, R_OTHER},   {EX_ne, RIGHT, 0, R_OTHER},
};

/* Floats. The sign of a zero constant counts. */
typedef struct FloatRule { uint8_t op; Side side; double value; } FloatRule;
static const FloatRule float_rules[] = {
    {EX_add, RIGHT, -0.0}, {EX_add, LEFT, -0.0}, {EX_sub, RIGHT, 0.0}, {EX_mul, RIGHT, 1.0},
    {EX_mul, LEFT, 1.0},   {EX_div, RIGHT, 1.0}, {EX_pow, RIGHT, 1.0},
};

/* op(a, a). `reals`: also of floats. */
typedef enum Same { S_OPERAND, S_ZERO, S_TRUE, S_FALSE } Same;
typedef struct SameRule { uint8_t op; bool reals; Same result; } SameRule;
static const SameRule same_rules[] = {
    {EX_min, true, S_OPERAND},  {EX_max, true, S_OPERAND},  {EX_sub, false, S_ZERO},    {EX_bxor, false, S_ZERO},
    {EX_band, false, S_OPERAND}, {EX_bor, false, S_OPERAND}, {EX_mod, false, S_ZERO},    {EX_rem, false, S_ZERO},
    {EX_and, false, S_OPERAND}, {EX_or, false, S_OPERAND},  {EX_xor, false, S_FALSE},   {EX_eq, false, S_TRUE},
    {EX_ne, false, S_FALSE},    {EX_lt, true, S_FALSE},     {EX_le, false, S_TRUE},
};

/* outer(inner(a)): a itself, inner(a), or outer(a). */
typedef enum Nested { N_OPERAND, N_INNER, N_OUTER } Nested;
typedef struct NestedRule { uint8_t outer, inner; Nested result; } NestedRule;
static const NestedRule nested_rules[] = {
    {EX_neg, EX_neg, N_OPERAND}, {EX_bnot, EX_bnot, N_OPERAND}, {EX_not, EX_not, N_OPERAND},
    {EX_abs, EX_abs, N_INNER},   {EX_abs, EX_neg, N_OUTER},
};

static const Expr *with_int(Exprs *x, ExprOp op, const Expr *const *a)
{
    for (size_t k = 0; k < COUNT(int_rules); k++) {
        const IntRule *r = &int_rules[k];
        if (r->op != op || !ex_is_int(a[r->side], r->value)) continue;
        if ((op == EX_eq || op == EX_ne) && a[0]->dt != DT_bool) continue;
        return r->result == R_OTHER ? a[!r->side] : r->result == R_CONST ? a[r->side] : zero(x, a[0]);
    }
    return NULL;
}

static const Expr *with_real(ExprOp op, const Expr *const *a)
{
    for (size_t k = 0; k < COUNT(float_rules); k++) {
        const FloatRule *r = &float_rules[k];
        const Expr *c = a[r->side];
        if (r->op != op || !ex_is_const(c)) continue;
        if (c->v.f == r->value && !signbit(c->v.f) == !signbit(r->value)) return a[!r->side];
    }
    return NULL;
}

static const Expr *with_same(Exprs *x, ExprOp op, const Expr *a)
{
    for (size_t k = 0; k < COUNT(same_rules); k++) {
        const SameRule *r = &same_rules[k];
        if (r->op != op || (is_real(a) && !r->reals)) continue;
        switch (r->result) {
        case S_OPERAND: return a;
        case S_ZERO: return zero(x, a);
        default: return pool_bool(x, r->result == S_TRUE);
        }
    }
    return NULL;
}

static bool makes_whole(ExprOp op)
{
    return op == EX_floor || op == EX_ceil || op == EX_rint || op == EX_trunc;
}

static const Expr *with_inner(Exprs *x, ExprOp op, const Expr *a)
{
    for (size_t k = 0; k < COUNT(nested_rules); k++) {
        const NestedRule *r = &nested_rules[k];
        if (r->outer != op || r->inner != a->op) continue;
        return r->result == N_OPERAND ? a->a[0] : r->result == N_INNER ? a : ex_unary(x, op, a->a[0]);
    }
    return makes_whole(op) && makes_whole((ExprOp)a->op) ? a : NULL;
}

/* ---------------------------------------------------------------------------------------------------------- unary */

/* not of a comparison; of floats not(a < b) is no comparison because of NaN. */
static const Expr *negated(Exprs *x, const Expr *e)
{
    bool real = e->n > 0 && is_real(e->a[0]);
    if (e->op == EX_eq) return ex_binary(x, EX_ne, e->a[0], e->a[1]);
    if (e->op == EX_ne) return ex_binary(x, EX_eq, e->a[0], e->a[1]);
    if (e->op == EX_lt && !real) return ex_binary(x, EX_le, e->a[1], e->a[0]);
    if (e->op == EX_le && !real) return ex_binary(x, EX_lt, e->a[1], e->a[0]);
    return NULL;
}

static const Expr *simplify_unary(Exprs *x, ExprOp op, const Expr *a)
{
    if (op == EX_abs && !is_real(a) && range_of(a).lo >= 0) return a; /* first: abs(-z) is not z for unsigned z */
    const Expr *r = with_inner(x, op, a);
    if (r) return r;
    if (op == EX_not) return negated(x, a);
    if (is_index(a) && op == EX_neg) return ix_linear(x, a, -1, a, 0, 0);
    return NULL;
}

/* --------------------------------------------------------------------------------------------------------- binary */

static bool commutes(ExprOp op)
{
    switch (op) {
    case EX_add: case EX_mul: case EX_min: case EX_max: case EX_band: case EX_bor: case EX_bxor: case EX_xor:
    case EX_eq: case EX_ne:
        return true;
    default: return false;
    }
}

/* Operands in the wrong order: constants go last, others by age. Of floats the order is kept as it was written. */
static bool must_swap(ExprOp op, const Expr *const *a)
{
    if (!commutes(op) || is_real(a[0]) || a[0]->dt == DT_str) return false;
    if (ex_is_const(a[0]) != ex_is_const(a[1])) return ex_is_const(a[0]);
    return a[0]->id > a[1]->id;
}

static const Expr *index_min_max(ExprOp op, Range d, const Expr *const *a)
{
    if (d.hi <= 0) return a[op == EX_max];
    return d.lo >= 0 ? a[op == EX_min] : NULL;
}

/* Comparisons and the like that the bounds of a - b decide. */
static const Expr *decided(Exprs *x, ExprOp op, const Expr *const *a)
{
    Range d = ix_difference(x, a[0], a[1]);
    bool apart = d.hi < 0 || d.lo > 0, equal = d.lo == 0 && d.hi == 0;
    switch (op) {
    case EX_min: case EX_max: return index_min_max(op, d, a);
    case EX_lt: return d.hi < 0 || d.lo >= 0 ? pool_bool(x, d.hi < 0) : NULL;
    case EX_le: return d.hi <= 0 || d.lo > 0 ? pool_bool(x, d.hi <= 0) : NULL;
    case EX_eq: return apart || equal ? pool_bool(x, equal) : NULL;
    case EX_ne: return apart || equal ? pool_bool(x, apart) : NULL;
    default: return NULL;
    }
}

/* div and rem of values that are not negative are fdiv and mod, which have rules. */
static const Expr *index_op(Exprs *x, ExprOp op, const Expr *const *a)
{
    bool positive = range_of(a[0]).lo >= 0 && range_of(a[1]).lo >= 0;
    switch (op) {
    case EX_add: return ix_linear(x, a[0], 1, a[1], 1, 0);
    case EX_sub: return ix_linear(x, a[0], 1, a[1], -1, 0);
    case EX_mul: return ix_mul(x, a[0], a[1]);
    case EX_fdiv: return ix_fdiv(x, a[0], a[1]);
    case EX_mod: return ix_mod(x, a[0], a[1]);
    case EX_div: return positive ? ix_fdiv(x, a[0], a[1]) : NULL;
    case EX_rem: return positive ? ix_mod(x, a[0], a[1]) : NULL;
    case EX_min: case EX_max: case EX_lt: case EX_le: case EX_eq: case EX_ne: return decided(x, op, a);
    default: return NULL;
    }
}

/* op(op(a, b), b) and op(a, op(a, b)) are op(a, b), and integer op(b, op(a, b)) too; not `and`, where a may be guarded
 * by b, and not floats, where the zero of the outer b may differ. */
static const Expr *absorbed(ExprOp op, const Expr *a, const Expr *b)
{
    bool ordered = is_real(a) || op == EX_and || op == EX_or;
    if (a->op == op && (a->a[0] == b || a->a[1] == b)) return a;
    if (b->op == op && (b->a[0] == a || (b->a[1] == a && !ordered))) return b;
    return NULL;
}

/* op(op(a, c), d) = op(a, op(c, d)) for constants c and d. */
static const Expr *constants_meet(Exprs *x, ExprOp op, const Expr *a, const Expr *b)
{
    bool applies = (op == EX_min || op == EX_max) && !is_real(a) && a->op == op;
    if (!applies || !ex_is_const(a->a[1]) || !ex_is_const(b)) return NULL;
    return ex_binary(x, op, a->a[0], ex_binary(x, op, a->a[1], b));
}

static bool is_idempotent(ExprOp op)
{
    return op == EX_min || op == EX_max || op == EX_and || op == EX_or || op == EX_band || op == EX_bor;
}

static bool is_complement(const Expr *a, const Expr *b)
{
    return (a->op == EX_not && a->a[0] == b) || (b->op == EX_not && b->a[0] == a);
}

static const Expr *bool_op(Exprs *x, ExprOp op, const Expr *const *a)
{
    bool flips = (op == EX_eq && ex_is_int(a[1], 0)) || ((op == EX_ne || op == EX_xor) && ex_is_int(a[1], 1));
    if (flips) return ex_unary(x, EX_not, a[0]);
    if (!is_complement(a[0], a[1])) return NULL;
    return op == EX_and || op == EX_eq ? pool_bool(x, false) : op == EX_lt || op == EX_le ? NULL : pool_bool(x, true);
}

/* (a & c) == d for constants of which d has bits that c has not. */
static const Expr *masked_op(Exprs *x, ExprOp op, const Expr *const *a)
{
    const bool applies = (op == EX_eq || op == EX_ne) && a[0]->op == EX_band && ex_is_const(a[0]->a[1]) && ex_is_const(a[1]);
    return applies && (a[1]->v.i & ~a[0]->a[1]->v.i) ? pool_bool(x, op == EX_ne) : NULL;
}

static const Expr *int_op(Exprs *x, ExprOp op, const Expr *const *a)
{
    const Expr *r = is_index(a[0]) ? index_op(x, op, a) : with_int(x, op, a);
    if (!r && is_index(a[0])) r = with_int(x, op, a);
    if (!r && a[0]->dt == DT_bool) r = bool_op(x, op, a);
    if (!r && op == EX_band && ex_is_int(a[1], -1)) r = a[0];
    return r ? r : masked_op(x, op, a);
}

static const Expr *simplify_binary(Exprs *x, ExprOp op, const Expr *const *a)
{
    const Expr *r;
    if (must_swap(op, a)) return ex_binary(x, op, a[1], a[0]);
    if (a[0] == a[1] && (r = with_same(x, op, a[0]))) return r;
    if (is_idempotent(op) && (r = absorbed(op, a[0], a[1]))) return r;
    if ((r = constants_meet(x, op, a[0], a[1]))) return r;
    if (a[0]->dt == DT_str) return NULL;
    return is_real(a[0]) ? with_real(op, a) : int_op(x, op, a);
}

/* ------------------------------------------------------------------------------------------------ select and casts */

static const Expr *bool_select(Exprs *x, const Expr *c, const Expr *a, const Expr *b)
{
    if (ex_is_int(a, 1) && ex_is_int(b, 0)) return c;
    if (ex_is_int(a, 0) && ex_is_int(b, 1)) return ex_unary(x, EX_not, c);
    return NULL;
}

const Expr *simplify_op(Exprs *x, ExprOp op, const Expr *const *a)
{
    const int arity = expr_info(op)->arity;
    return arity == 1 ? simplify_unary(x, op, a[0]) : arity == 2 ? simplify_binary(x, op, a) : NULL;
}

const Expr *simplify_select(Exprs *x, const Expr *const *all)
{
    const Expr *c = all[0], *a = all[1], *b = all[2];
    if (ex_is_const(c)) return c->v.i ? a : b;
    if (a == b) return a;
    if (c->op == EX_not) return ex_select(x, c->a[0], b, a);
    if (a->op == EX_select && a->a[0] == c) return ex_select(x, c, a->a[1], b);
    if (b->op == EX_select && b->a[0] == c) return ex_select(x, c, a, b->a[2]);
    return a->dt == DT_bool ? bool_select(x, c, a, b) : NULL;
}

/* Bits of the significand with the hidden one, and of the exponent's reach, of the types that hold integers exactly. */
typedef struct FloatForm { uint8_t digits, exponent; } FloatForm;
static const FloatForm float_form[DT_count] = {
    [DT_f32] = {24, 8}, [DT_f64] = {53, 11}, [DT_f16] = {11, 5}, [DT_bf16] = {8, 8},
};

/* The 8-bit and smaller floats are all values of these; the powers of two of f8e8m0 need eight bits of exponent. */
static bool float_holds(DType wide, DType dt)
{
    FloatForm w = float_form[wide], n = float_form[dt];
    if (n.digits == 0) return w.exponent >= (dt == DT_f8e8m0 ? 8 : 5);
    return w.digits >= n.digits && w.exponent >= n.exponent;
}

/* Whether the conversion of e to `wide` keeps every value it may have. */
static bool keeps_value(DType wide, const Expr *e)
{
    DType dt = (DType)e->dt;
    if (dtype_is_float(dt)) return float_holds(wide, dt);
    Range r = range_of(e);
    if (dt == DT_u64 && r.hi == INT64_MAX) return wide == DT_u64;
    if (!dtype_is_float(wide)) return wide != DT_bool && range_within(r, range_type(wide));
    int64_t limit = float_form[wide].digits ? INT64_C(1) << float_form[wide].digits : 0;
    return r.lo >= -limit && r.hi <= limit && limit > 0;
}

static bool is_integer(DType dt)
{
    return dtype_is_int(dt) || dt == DT_ix;
}

static unsigned width(DType dt)
{
    return dt == DT_ix ? 64 : dtype_info(dt)->bits;
}

/* dt(mid(e)) = dt(e)? Either mid keeps the value, and dt converts from its kind as from e's; or both cut integers. */
static bool skips(DType dt, DType mid, const Expr *e)
{
    DType from = (DType)e->dt;
    bool crosses = !dtype_is_float(from) && dtype_is_float(mid) && is_integer(dt) && from != DT_bool;
    if (keeps_value(mid, e) && (!crosses || keeps_value(dt, e))) return true;
    return is_integer(dt) && is_integer(mid) && is_integer(from) && width(dt) <= width(mid);
}

/* Whether an operation of integers may be done in ix as well: it was found not to wrap, or does not compute. */
static bool liftable(const Expr *e)
{
    Range all = range_type((DType)e->dt), r = range_of(e);
    bool known = r.lo > all.lo || r.hi < all.hi, is_u64 = e->dt == DT_u64;
    if (!is_integer((DType)e->dt)) return false;
    switch ((ExprOp)e->op) {
    case EX_add: case EX_sub: case EX_mul: case EX_neg: return known;
    case EX_fdiv: case EX_mod: return known && !is_u64;
    case EX_min: case EX_max: return !is_u64;
    case EX_select: return true;
    default: return false;
    }
}

/* Lifting is recursive; deep expressions keep their cast outside. */
static bool is_shallow(const Expr *e, int depth)
{
    if (!liftable(e)) return true;
    for (int i = 0; i < e->n; i++)
        if (depth == 0 || !is_shallow(e->a[i], depth - 1)) return false;
    return true;
}

/* ix(op(a, b)) = op(ix(a), ix(b)) */
static const Expr *lifted(Exprs *x, const Expr *e)
{
    const Expr *a[3];
    if (!liftable(e)) return ex_cast(x, DT_ix, e);
    for (int i = 0; i < e->n; i++) {
        bool condition = e->op == EX_select && i == 0;
        a[i] = condition ? e->a[i] : lifted(x, e->a[i]);
    }
    return ex_make(x, e, a);
}

const Expr *simplify_cast(Exprs *x, DType dt, const Expr *a)
{
    if (a->op == EX_cast && skips(dt, (DType)a->dt, a->a[0])) return ex_cast(x, dt, a->a[0]);
    return dt == DT_ix && liftable(a) && is_shallow(a, 8) ? lifted(x, a) : NULL;
}

/* Only conversions that may leave the type saturate; of floats the types of 16 bits and more have infinities. */
const Expr *simplify_castsat(Exprs *x, DType dt, const Expr *a)
{
    bool clamps_nothing = dt == DT_bool || (dtype_is_float(dt) && dtype_info(dt)->bits >= 16) || keeps_value(dt, a);
    return clamps_nothing ? ex_cast(x, dt, a) : NULL;
}

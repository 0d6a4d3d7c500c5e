/* SPDX-License-Identifier: Apache-2.0
 *
 * The meaning of every scalar operation. The interpreter calls scalar_op, constant folding calls it, and emitted C and
 * CUDA must give the same bits (libm functions: the same function). Arithmetic is written once as rows of expressions
 * and instantiated per class of type:
 *
 *   FLOAT_ROWS     float and double, in the type itself; M(f) is the libm function of that type
 *   WRAP_ROWS      integers whose low bits do not depend on the sign: computed modulo 2^64, then cut to the type
 *   SIGNED_ROWS    i32, i64 and ix (as 64 bits)
 *   UNSIGNED_ROWS  u32 and u64
 *   COMPARE_ROWS   every class; strings by strcmp
 *
 * min and max are (b < a || b != b) ? b : a, so that a constant second operand needs one machine instruction and no
 * test for NaN, and equal operands (-0 and 0 too) give the first.
 */
#include <math.h>
#include <string.h>

#include "expr.h"

#include "../runtime-min/mlcc_int.h"

/* ------------------------------------------------------------------------------------------------ helpers of rows */

/* Floor modulo as numpy.mod: sign of the divisor, also of a zero result. */
static double mod_f64(double a, double b)
{
    double r = fmod(a, b);
    if (b == 0) return r;
    if (r == 0) return copysign(0, b);
    return (b < 0) != (r < 0) ? r + b : r;
}

static float mod_f32(float a, float b)
{
    float r = fmodf(a, b);
    if (b == 0) return r;
    if (r == 0) return copysignf(0, b);
    return (b < 0) != (r < 0) ? r + b : r;
}

static uint64_t pow_u(uint64_t base, uint64_t e)
{
    uint64_t r = 1;
    for (; e; e >>= 1, base *= base)
        if (e & 1) r *= base;
    return r;
}

static int64_t pow_i(int64_t base, int64_t e)
{
    if (e >= 0) return (int64_t)pow_u((uint64_t)base, (uint64_t)e);
    if (base == 1) return 1;
    if (base == -1) return e % 2 ? -1 : 1;
    return 0;
}

static int64_t neg_i(int64_t a)
{
    return (int64_t)(0 - (uint64_t)a);
}

/* MIN / -1 has no value in C: -1 is a case of its own. */
static int64_t div_i(int64_t a, int64_t b)
{
    return b == 0 ? 0 : b == -1 ? neg_i(a) : a / b;
}

static int64_t fdiv_i(int64_t a, int64_t b)
{
    return b == 0 ? 0 : b == -1 ? neg_i(a) : floor_div(a, b);
}

static int64_t rem_i(int64_t a, int64_t b)
{
    return b == 0 || b == -1 ? 0 : a % b;
}

static int64_t mod_i(int64_t a, int64_t b)
{
    return b == 0 || b == -1 ? 0 : floor_mod(a, b);
}

/* ----------------------------------------------------------------------------------------------------------- rows */

#define FLOAT_ROWS(R)                           \
    R(add, a + b)                               \
    R(sub, a - b)                               \
    R(mul, a * b)                               \
    R(div, a / b)                               \
    R(fdiv, M(floor)(a / b))                    \
    R(mod, MOD(a, b))                           \
    R(rem, M(fmod)(a, b))                       \
    R(min, (b < a || b != b) ? b : a)           \
    R(max, (b > a || b != b) ? b : a)           \
    R(pow, M(pow)(a, b))                        \
    R(atan2, M(atan2)(a, b))                    \
    R(fma, M(fma)(a, b, c))                     \
    R(neg, -a)                                  \
    R(abs, M(fabs)(a))                          \
    R(sign, a != a ? a : (T)((a > 0) - (a < 0))) \
    R(floor, M(floor)(a))                       \
    R(ceil, M(ceil)(a))                         \
    R(rint, M(rint)(a))                         \
    R(trunc, M(trunc)(a))                       \
    R(sqrt, M(sqrt)(a))                         \
    R(exp, M(exp)(a))                           \
    R(log, M(log)(a))                           \
    R(log1p, M(log1p)(a))                       \
    R(sin, M(sin)(a))                           \
    R(cos, M(cos)(a))                           \
    R(tan, M(tan)(a))                           \
    R(asin, M(asin)(a))                         \
    R(acos, M(acos)(a))                         \
    R(atan, M(atan)(a))                         \
    R(sinh, M(sinh)(a))                         \
    R(cosh, M(cosh)(a))                         \
    R(tanh, M(tanh)(a))                         \
    R(asinh, M(asinh)(a))                       \
    R(acosh, M(acosh)(a))                       \
    R(atanh, M(atanh)(a))                       \
    R(erf, M(erf)(a))                           \
    R(erfq, M(erf)(a))

#define TEST_ROWS(R)    \
    R(isnan, a != a)    \
    R(isinf, a == INFINITY || a == -INFINITY)

#define COMPARE_ROWS(R) \
    R(eq, a == b)       \
    R(ne, a != b)       \
    R(lt, a < b)        \
    R(le, a <= b)

#define WRAP_ROWS(R)                    \
    R(add, a + b)                       \
    R(sub, a - b)                       \
    R(mul, a * b)                       \
    R(neg, 0 - a)                       \
    R(band, a & b)                      \
    R(bor, a | b)                       \
    R(bxor, a ^ b)                      \
    R(bnot, ~a)                         \
    R(shl, b < width ? a << b : 0)

#define SIGNED_ROWS(R)                                              \
    R(div, div_i(a, b))                                             \
    R(fdiv, fdiv_i(a, b))                                           \
    R(mod, mod_i(a, b))                                             \
    R(rem, rem_i(a, b))                                             \
    R(min, b < a ? b : a)                                           \
    R(max, b > a ? b : a)                                           \
    R(pow, pow_i(a, b))                                             \
    R(abs, a < 0 ? neg_i(a) : a)                                    \
    R(sign, (a > 0) - (a < 0))                                      \
    R(shr, (uint64_t)b < width ? a >> b : (a < 0 ? -1 : 0))

#define UNSIGNED_ROWS(R)                \
    R(div, b ? a / b : 0)               \
    R(fdiv, b ? a / b : 0)              \
    R(mod, b ? a % b : 0)               \
    R(rem, b ? a % b : 0)               \
    R(min, b < a ? b : a)               \
    R(max, b > a ? b : a)               \
    R(pow, pow_u(a, b))                 \
    R(abs, a)                           \
    R(sign, a > 0)                      \
    R(shr, b < width ? a >> b : 0)

#define BOOL_ROWS(R)    \
    R(and, a & b)       \
    R(or, a | b)        \
    R(xor, a ^ b)       \
    R(not, a ^ 1)

/* -------------------------------------------------------------------------------------------------- instantiation */

#define CASE(op, value) case EX_##op: return value;
#define NONE(type, op) default: ICE("%s is not defined on %s", expr_info(op)->name, type)

#define T float
#define M(name) name##f
#define MOD mod_f32
static float float_f32(ExprOp op, float a, float b, float c)
{
    switch (op) { FLOAT_ROWS(CASE) NONE("f32", op); }
}
#undef T
#undef M
#undef MOD

#define T double
#define M(name) name
#define MOD mod_f64
static double float_f64(ExprOp op, double a, double b, double c)
{
    switch (op) { FLOAT_ROWS(CASE) NONE("f64", op); }
}
#undef T
#undef M
#undef MOD

/* Comparison and tests in double are exact for float too. */
static bool test_float(ExprOp op, double a, double b)
{
    switch (op) { COMPARE_ROWS(CASE) TEST_ROWS(CASE) NONE("floats", op); }
}

static bool test_signed(ExprOp op, int64_t a, int64_t b)
{
    switch (op) { COMPARE_ROWS(CASE) NONE("integers", op); }
}

static bool test_unsigned(ExprOp op, uint64_t a, uint64_t b)
{
    switch (op) { COMPARE_ROWS(CASE) NONE("unsigned integers", op); }
}

static uint64_t int_wrap(ExprOp op, uint64_t a, uint64_t b, unsigned width)
{
    switch (op) { WRAP_ROWS(CASE) NONE("integers", op); }
}

static uint64_t int_unsigned(ExprOp op, uint64_t a, uint64_t b, unsigned width)
{
    switch (op) {
        UNSIGNED_ROWS(CASE)
        default: return int_wrap(op, a, b, width);
    }
}

static int64_t int_signed(ExprOp op, int64_t a, int64_t b, unsigned width)
{
    switch (op) {
        SIGNED_ROWS(CASE)
        default: return (int64_t)int_wrap(op, (uint64_t)a, (uint64_t)b, width);
    }
}

static int64_t logic(ExprOp op, int64_t a, int64_t b)
{
    switch (op) { BOOL_ROWS(CASE) NONE("bool", op); }
}

/* Which classes of operand type an operation has; bits of DClass. */
#define BIT(c) (1u << (c))
enum { INTS = BIT(DC_I) | BIT(DC_U) | BIT(DC_X), ALL = INTS | BIT(DC_F) | BIT(DC_B) };

static unsigned float_classes(ExprOp op)
{
#define HAS(name, value) case EX_##name: return BIT(DC_F);
    switch (op) { FLOAT_ROWS(HAS) TEST_ROWS(HAS) default: return 0; }
#undef HAS
}

static unsigned int_classes(ExprOp op)
{
#define HAS(name, value) case EX_##name: return INTS;
    switch (op) { SIGNED_ROWS(HAS) WRAP_ROWS(HAS) default: return 0; }
#undef HAS
}

static unsigned other_classes(ExprOp op)
{
#define HAS(name, value) case EX_##name: return ALL | BIT(DC_S);
#define HAS_BOOL(name, value) case EX_##name: return BIT(DC_B);
    switch (op) { COMPARE_ROWS(HAS) BOOL_ROWS(HAS_BOOL) default: return 0; }
#undef HAS
#undef HAS_BOOL
}

/* ---------------------------------------------------------------------------------------------------- conversions */

/* Low bits as a value of an integer type: sign or zero extended. */
static Scalar cut(DType dt, uint64_t v)
{
    const DTypeInfo *t = dtype_info(dt);
    unsigned spare = t->cls == DC_X ? 0 : 64u - t->bits;
    Scalar r = {.u = v << spare};
    if (t->cls == DC_U) r.u >>= spare;
    else r.i >>= spare;
    return r;
}

static bool held_as_unsigned(DType dt)
{
    return dt == DT_u32 || dt == DT_u64;
}

static int64_t int_low(DType dt)
{
    return dt == DT_ix ? INT64_MIN : dtype_min(dt);
}

static int64_t int_high(DType dt)
{
    return dt == DT_ix ? INT64_MAX : dtype_max(dt);
}

/* One rounding to the type, also from f64; `sat`: out of range is the greatest value of an 8-bit float. */
static Scalar to_narrow_float(DType dt, double v, bool sat)
{
    uint64_t bits = 0;
    if (sat) dtype_put_f_sat(dt, &bits, v);
    else dtype_put_f(dt, &bits, v);
    return (Scalar){.f32 = (float)dtype_get_f(dt, &bits)};
}

/* Truncated and saturated at 32 or 64 bits; narrower types take the low bits of i32, or the nearest value if `sat`. */
static Scalar float_to_int(DType dt, double v, bool sat)
{
    if (dt == DT_u64) return (Scalar){.u = mlcc_trunc_u64(v)};
    if (dt == DT_u32) return (Scalar){.u = mlcc_trunc_u32(v)};
    int64_t whole = mlcc_trunc_i64(v);
    if (dt == DT_ix || dt == DT_i64) return (Scalar){.i = whole};
    if (sat) return (Scalar){.i = max_i64(dtype_min(dt), min_i64(dtype_max(dt), whole))};
    return cut(dt, (uint64_t)mlcc_trunc_i32(v));
}

static Scalar from_float(DType dt, double v, bool sat)
{
    switch (dtype_info(dt)->cls) {
    case DC_B: return (Scalar){.i = v != 0};
    case DC_F:
        if (dt == DT_f64) return (Scalar){.f64 = v};
        return dt == DT_f32 ? (Scalar){.f32 = (float)v} : to_narrow_float(dt, v, sat);
    default: return float_to_int(dt, v, sat);
    }
}

static Scalar int_to_int(DType dt, Scalar v, bool is_u64, bool sat)
{
    bool huge = is_u64 && v.u > INT64_MAX;
    if (!sat || (huge && dt == DT_u64)) return cut(dt, v.u);
    int64_t lo = int_low(dt), hi = int_high(dt);
    return (Scalar){.i = huge || v.i > hi ? hi : v.i < lo ? lo : v.i};
}

/* Narrow floats by way of double: exact for 32 bits, so there is one rounding. */
static Scalar from_int(DType dt, Scalar v, bool is_u64, bool sat)
{
    double f = is_u64 ? (double)v.u : (double)v.i;
    switch (dtype_info(dt)->cls) {
    case DC_B: return (Scalar){.i = v.i != 0};
    case DC_F:
        if (dt == DT_f64) return (Scalar){.f64 = f};
        return dt == DT_f32 ? (Scalar){.f32 = is_u64 ? (float)v.u : (float)v.i} : to_narrow_float(dt, f, sat);
    default: return int_to_int(dt, v, is_u64, sat);
    }
}

static Scalar convert(DType to, DType from, Scalar v, bool sat)
{
    if (to == from) return v;
    if (dtype_is_float(from)) return from_float(to, from == DT_f64 ? v.f64 : (double)v.f32, sat);
    return from_int(to, v, from == DT_u64, sat);
}

static Scalar reinterpret(DType to, DType from, Scalar v)
{
    uint64_t bits = 0;
    scalar_store(from, &bits, v);
    return scalar_load(to, &bits);
}

/* ------------------------------------------------------------------------------------------------------- interface */

static Scalar op_float(ExprOp op, DType dt, const Scalar *a)
{
    const int arity = expr_info(op)->arity;
    const Scalar none = {.u = 0}, b = arity > 1 ? a[1] : none, c = arity > 2 ? a[2] : none;
    if (dt == DT_f64) return (Scalar){.f64 = float_f64(op, a[0].f64, b.f64, c.f64)};
    return (Scalar){.f32 = float_f32(op, a[0].f32, b.f32, c.f32)};
}

static Scalar op_int(ExprOp op, DType dt, const Scalar *a)
{
    const DTypeInfo *t = dtype_info(dt);
    unsigned width = t->cls == DC_X ? 64 : t->bits;
    Scalar b = expr_info(op)->arity == 2 ? a[1] : (Scalar){.u = 0};
    if (t->cls == DC_U) return cut(dt, int_unsigned(op, a[0].u, b.u, width));
    return cut(dt, (uint64_t)int_signed(op, a[0].i, b.i, width));
}

static bool op_test(ExprOp op, DType dt, const Scalar *a)
{
    Scalar b = expr_info(op)->arity == 2 ? a[1] : (Scalar){.u = 0};
    if (dt == DT_f64) return test_float(op, a[0].f64, b.f64);
    if (dtype_is_float(dt)) return test_float(op, (double)a[0].f32, (double)b.f32);
    if (dt == DT_str) return test_signed(op, strcmp(a[0].s, b.s), 0);
    return held_as_unsigned(dt) ? test_unsigned(op, a[0].u, b.u) : test_signed(op, a[0].i, b.i);
}

/* Whether an operation of kind T, B or L takes operands of this type (a compute type, or str for comparisons). */
bool expr_accepts(ExprOp op, DType operand)
{
    unsigned classes = float_classes(op) | int_classes(op) | other_classes(op);
    if (operand == DT_none || dtype_compute(operand) != operand) return false;
    return classes >> dtype_info(operand)->cls & 1;
}

/* The value of one operation of expr.def but the leaves. `operand` is the type of a[0]; of select, that of a[1] and
 * a[2]. Never fails on values; types are as expr_accepts says, casts take any two numeric types. */
Scalar scalar_op(ExprOp op, DType result, DType operand, const Scalar *a)
{
    switch (op) {
    case EX_cast: return convert(result, operand, a[0], false);
    case EX_castsat: return convert(result, operand, a[0], true);
    case EX_bitcast: return reinterpret(result, operand, a[0]);
    case EX_select: return a[0].i ? a[1] : a[2];
    default: break;
    }
    switch (expr_info(op)->kind) {
    case 'B': return (Scalar){.i = op_test(op, operand, a)};
    case 'L': return (Scalar){.i = logic(op, a[0].i, expr_info(op)->arity == 2 ? a[1].i : 0)};
    default: return dtype_is_float(operand) ? op_float(op, operand, a) : op_int(op, operand, a);
    }
}

/* One element of memory as a Scalar; p has the type's size and alignment does not matter. */
Scalar scalar_load(DType dt, const void *p)
{
    Scalar r = {.u = 0};
    uint32_t word;
    switch (dt) {
    case DT_f32: memcpy(&r.f32, p, sizeof r.f32); return r;
    case DT_f64: case DT_i64: case DT_u64: memcpy(&r.u, p, sizeof r.u); return r;
    case DT_str: memcpy(&r.s, p, sizeof r.s); return r;
    case DT_u32: memcpy(&word, p, sizeof word); r.u = word; return r;
    case DT_bool: r.i = *(const uint8_t *)p != 0; return r;
    default: break;
    }
    if (dtype_is_float(dt)) r.f32 = (float)dtype_get_f(dt, p);
    else r.i = dtype_get_i(dt, p);
    return r;
}

/* The inverse of scalar_load; narrow floats round (they are exact when v came from scalar_load or a cast). */
void scalar_store(DType dt, void *p, Scalar v)
{
    uint32_t word = (uint32_t)v.u;
    switch (dt) {
    case DT_f32: memcpy(p, &v.f32, sizeof v.f32); return;
    case DT_f64: case DT_i64: case DT_u64: memcpy(p, &v.u, sizeof v.u); return;
    case DT_str: memcpy(p, &v.s, sizeof v.s); return;
    case DT_u32: memcpy(p, &word, sizeof word); return;
    default: break;
    }
    if (dtype_is_float(dt)) dtype_put_f(dt, p, (double)v.f32);
    else dtype_put_i(dt, p, v.i);
}

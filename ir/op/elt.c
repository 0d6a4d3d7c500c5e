/* SPDX-License-Identifier: Apache-2.0
 *
 * Elementwise operators that one fixed expression does not define: an attribute or an absent operand chooses it, or the
 * types of operands and result differ. All others are rows of elt.def and nothing else.
 */
#include "../op.h"
#include "proto.h"

/* Numpy broadcasting of inputs first..first+n-1, absent ones left out, gives the shape of output 0. */
static bool infer_broadcast(OpCtx *c, int n)
{
    const Expr *dim[MAX_RANK];
    int in[4], m = 0, rank;
    for (int k = 0; k < n; k++) {
        if (has_in(c, k)) in[m++] = k;
    }
    return broadcast_shape(c, m, in, &rank, dim) && set_shape(c, 0, rank, dim);
}

/* Output 0 must keep the shape of input 0: the others broadcast to it only. */
static bool infer_unidirectional(OpCtx *c, int n)
{
    if (!infer_broadcast(c, n)) return false;
    const Tensor *x = in_t(c, 0), *y = out_t(c, 0);
    if (y->rank != x->rank)
        return op_error(c, 0, "broadcast", "'%s' has %d dimensions, the result would have %d", x->name, x->rank,
                        y->rank);
    for (int d = 0; d < x->rank; d++) {
        if (!require_dim(c, 0, d, y->dim[d], "broadcast")) return false;
    }
    return true;
}

static bool is_word(const OpCtx *c, const char *attr, const char *word)
{
    return strcmp(attr_s(c, attr), word) == 0;
}

/* One of two words, each with its expression. */
static bool check_word(const OpCtx *c, const char *attr, const char *a, const char *b)
{
    if (is_word(c, attr, a) || is_word(c, attr, b)) return true;
    return op_error(c, NO_OPERAND, "attribute-value", "%s is '%s', expected '%s' or '%s'", attr, attr_s(c, attr), a, b);
}

/* ---- conversions ---- */

static bool infer_to(OpCtx *c)
{
    const DType dt = dtype_by_onnx(attr_i(c, "to"));
    if (dt == DT_none)
        return op_error(c, NO_OPERAND, "cast-type", "%lld is not an element type", (long long)attr_i(c, "to"));
    return set_type(c, 0, dt) && same_shape(c, 0, 0);
}

static bool check_cast(OpCtx *c, DType from, DType to)
{
    if (from != to && (from == DT_str || to == DT_str))
        return op_error(c, NO_OPERAND, "unsupported-string-cast", "conversion from %s to %s is not supported",
                        dtype_info(from)->name, dtype_info(to)->name);
    if (to != DT_f8e8m0) return true;
    return is_word(c, "round_mode", "up") || op_error(c, NO_OPERAND, "unsupported-round-mode",
                                                      "round_mode '%s' is not supported", attr_s(c, "round_mode"));
}

static bool lower_conversion(OpCtx *c)
{
    const DType from = in_t(c, 0)->dt, to = out_t(c, 0)->dt;
    const bool sat = attr_i(c, "saturate") != 0 && dtype_is_float(to) && dtype_info(to)->bits <= 8;
    const Expr *i[MAX_RANK];
    out_vars(c, 0, i);
    const Expr *x = load_raw(c, in_ten(c, 0), i);
    if (from == to) return def_map(c, out_ten(c, 0), i, x);
    x = CAST(dtype_compute(from), x);
    return def_map(c, out_ten(c, 0), i, sat ? ex_castsat(c->x, to, x) : CAST(to, x));
}

bool infer_Cast(OpCtx *c)
{
    return infer_to(c) && check_cast(c, in_t(c, 0)->dt, out_t(c, 0)->dt);
}

bool lower_Cast(OpCtx *c)
{
    return lower_conversion(c);
}

bool infer_CastLike(OpCtx *c)
{
    return same_shape(c, 0, 0) && check_cast(c, in_t(c, 0)->dt, out_t(c, 0)->dt);
}

bool lower_CastLike(OpCtx *c)
{
    return lower_conversion(c);
}

bool infer_BitCast(OpCtx *c)
{
    if (!infer_to(c)) return false;
    const DTypeInfo *from = dtype_info(in_t(c, 0)->dt), *to = dtype_info(out_t(c, 0)->dt);
    if (to->cls == DC_S || to->cls == DC_C)
        return op_error(c, NO_OPERAND, "unsupported-bitcast", "a bit cast to %s is not supported", to->name);
    if (from->bits == to->bits) return true;
    return op_error(c, 0, "bitcast-width", "%s has %d bits, %s has %d", from->name, from->bits, to->name, to->bits);
}

bool lower_BitCast(OpCtx *c)
{
    const Expr *i[MAX_RANK];
    out_vars(c, 0, i);
    const Expr *x = load_raw(c, in_ten(c, 0), i);
    return def_map(c, out_ten(c, 0), i, ex_bitcast(c->x, out_t(c, 0)->dt, x));
}

/* ---- copies ---- */

static bool lower_copy(OpCtx *c)
{
    const Expr *i[MAX_RANK];
    out_vars(c, 0, i);
    return def_map(c, out_ten(c, 0), i, load_raw(c, in_ten(c, 0), i));
}

bool infer_Identity(OpCtx *c)
{
    return same_shape(c, 0, 0);
}

bool lower_Identity(OpCtx *c)
{
    return lower_copy(c);
}

/* Inference only: a training mode that is, or may be, on would draw random numbers. */
bool infer_Dropout(OpCtx *c)
{
    uint32_t n;
    const int64_t *on;
    if (has_in(c, 2)) {
        if (!in_ints(c, 2, &n, &on)) return false;
        double ratio = 0.5;
        if (n != 1) return op_error(c, 2, "dropout-mode", "training_mode has %u elements, expected 1", n);
        if (on[0] && has_in(c, 1) && !in_float(c, 1, &ratio)) return false;
        if (on[0] && ratio != 0)
            return op_error(c, 2, "unsupported-training", "Dropout in training mode is not supported");
    }
    return same_shape(c, 0, 0) && (!has_out(c, 1) || same_shape(c, 1, 0));
}

bool lower_Dropout(OpCtx *c)
{
    if (has_out(c, 1)) {
        const Expr *i[MAX_RANK];
        out_vars(c, 1, i);
        def_map(c, out_ten(c, 1), i, NUM(DT_bool, 1));
    }
    return lower_copy(c);
}

/* ---- expressions that attributes choose ---- */

bool infer_BitShift(OpCtx *c)
{
    return check_word(c, "direction", "LEFT", "RIGHT") && infer_broadcast(c, 2);
}

bool lower_BitShift(OpCtx *c)
{
    return lower_elt(c, is_word(c, "direction", "LEFT") ? "shl(X, Y)" : "shr(X, Y)");
}

bool infer_Clip(OpCtx *c)
{
    for (int k = 1; k < 3; k++) {
        if (has_in(c, k) && !in_rank(c, k, 0, 1)) return false;
    }
    return infer_unidirectional(c, 3);
}

/* min(max(x, lo), hi): hi wins where they cross. */
bool lower_Clip(OpCtx *c)
{
    const Expr *i[MAX_RANK];
    const int rank = out_t(c, 0)->rank;
    out_vars(c, 0, i);
    const Expr *x = load_at(c, in_ten(c, 0), i);
    if (has_in(c, 1)) x = MAX(x, load_bcast(c, 1, i, rank));
    if (has_in(c, 2)) x = MIN(x, load_bcast(c, 2, i, rank));
    return def_map(c, out_ten(c, 0), i, x);
}

bool infer_Gelu(OpCtx *c)
{
    return check_word(c, "approximate", "none", "tanh") && same_shape(c, 0, 0);
}

/* Constants: sqrt(1/2), sqrt(2/pi), sqrt(2/pi) * 0.044715. */
bool lower_Gelu(OpCtx *c)
{
    return lower_elt(c, is_word(c, "approximate", "none")
                            ? "X * 0.5 * (1 + erf(X * 0.70710678118654752))"
                            : "X * 0.5 * (1 + tanh(X * (0.79788456080286536 + 0.035677408136300125 * X * X)))");
}

bool infer_IsInf(OpCtx *c)
{
    return same_shape(c, 0, 0);
}

bool lower_IsInf(OpCtx *c)
{
    static const char *const expr[2][2] = {
        {"and(isinf(X), isnan(X))", "and(isinf(X), lt(0, X))"},
        {"and(isinf(X), lt(X, 0))", "isinf(X)"},
    };
    return lower_elt(c, expr[attr_i(c, "detect_negative") != 0][attr_i(c, "detect_positive") != 0]);
}

bool infer_Mod(OpCtx *c)
{
    return infer_broadcast(c, 2);
}

bool lower_Mod(OpCtx *c)
{
    return lower_elt(c, attr_i(c, "fmod") ? "rem(A, B)" : "mod(A, B)");
}

bool infer_PRelu(OpCtx *c)
{
    return infer_unidirectional(c, 2);
}

bool lower_PRelu(OpCtx *c)
{
    return lower_elt(c, "select(lt(X, 0), slope * X, X)");
}

/* ---- expressions that types choose ---- */

bool infer_Pow(OpCtx *c)
{
    return infer_broadcast(c, 2);
}

/* Type in which x^y is computed: both integers: x's; an integer to a float power: f64, as numpy promotes. */
static DType pow_type(DType x, DType y)
{
    if (dtype_is_int(x) && dtype_is_int(y)) return dtype_compute(x);
    return dtype_is_int(x) || x == DT_f64 || y == DT_f64 ? DT_f64 : DT_f32;
}

static bool is_number(const Expr *e, double v)
{
    return ex_is_const(e) && (dtype_is_float((DType)e->dt) ? e->v.f == v : (double)e->v.i == v);
}

/* Small constant powers are products: x^2 and x^3 in the definitions of variance and GELU. */
bool lower_Pow(OpCtx *c)
{
    const Expr *i[MAX_RANK];
    const int rank = out_t(c, 0)->rank;
    out_vars(c, 0, i);
    const Expr *x = load_bcast(c, 0, i, rank), *y = load_bcast(c, 1, i, rank);
    const DType t = pow_type(in_t(c, 0)->dt, in_t(c, 1)->dt);
    x = CAST(t, x);
    const Expr *r = is_number(y, 1)   ? x
                    : is_number(y, 2) ? MUL(x, x)
                    : is_number(y, 3) ? MUL(MUL(x, x), x)
                                      : ex_binary(c->x, EX_pow, x, CAST(t, y));
    return def_map(c, out_ten(c, 0), i, r);
}

bool infer_Shrink(OpCtx *c)
{
    return same_shape(c, 0, 0);
}

/* x < -lambd: x + bias; x > lambd: x - bias; else 0. Integers in f64: lambd and bias need not be whole. */
bool lower_Shrink(OpCtx *c)
{
    const DType t = dtype_is_int(in_t(c, 0)->dt) ? DT_f64 : dtype_compute(in_t(c, 0)->dt);
    const Expr *i[MAX_RANK];
    out_vars(c, 0, i);
    const Expr *x = CAST(t, load_at(c, in_ten(c, 0), i)), *bias = NUM(t, attr_f(c, "bias"));
    const double lambd = attr_f(c, "lambd");
    const Expr *small = SEL(LT(NUM(t, lambd), x), SUB(x, bias), NUM(t, 0));
    return def_map(c, out_ten(c, 0), i, SEL(LT(x, NUM(t, -lambd)), ADD(x, bias), small));
}

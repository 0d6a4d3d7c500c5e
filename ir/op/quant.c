/* SPDX-License-Identifier: Apache-2.0
 *
 * Quantized arithmetic of ONNX. Sums are exact in i32 (zero points subtracted from both factors, dot.h). Bringing a sum
 * to the output's scale is rint(sum * (x_scale * w_scale / y_scale)) in f32; with --int-rounding=tflite it is the
 * fixed-point product of TensorFlow Lite (gemmlowp's doubling high multiply, then a rounding shift), bit for bit.
 */
#include "../op.h"
#include "proto.h"
#include "dot.h"
#include "quant.h"
#include "red.h"

#include <math.h>

bool check_single(const OpCtx *c, int k)
{
    if (!has_in(c, k)) return true;
    const Tensor *t = in_t(c, k);
    for (int d = 0; d < t->rank; d++) {
        if (!ex_is_int(t->dim[d], 1)) return op_error(c, k, "quant-scalar", "operand has more than one element");
    }
    return true;
}

const Expr *load_single(OpCtx *c, int k)
{
    const Expr *at[MAX_RANK];
    for (int d = 0; d < in_t(c, k)->rank; d++) at[d] = IX(0);
    return load_at(c, in_ten(c, k), at);
}

const Expr *to_real(OpCtx *c, const Expr *v, int scale, int zero)
{
    if (has_in(c, zero)) v = SUB(v, load_single(c, zero));
    return MUL(CAST(DT_f32, v), load_single(c, scale));
}

static bool is_zero(const Expr *e)
{
    return ex_is_const(e) && (dtype_is_float((DType)e->dt) ? e->v.f == 0 : e->v.i == 0);
}

const Expr *to_quant(OpCtx *c, DType dt, const Expr *v, const Expr *zero, bool saturate)
{
    const bool narrow = dtype_is_float(dt);
    if (!narrow) v = UN(rint, v);
    if (zero && !is_zero(zero)) v = ADD(v, CAST((DType)v->dt, zero));
    return narrow && !saturate ? CAST(dt, v) : ex_castsat(c->x, dt, v);
}

const Expr *from_real(OpCtx *c, const Expr *v, int scale, int zero)
{
    const Expr *z = has_in(c, zero) ? load_single(c, zero) : NULL;
    return to_quant(c, out_t(c, 0)->dt, DIV(v, load_single(c, scale)), z, true);
}

/* ---- QuantizeLinear, DequantizeLinear ---- */

enum { Q_x, Q_scale, Q_zero };

static bool has_one_element(const Tensor *t)
{
    for (int d = 0; d < t->rank; d++) {
        if (!ex_is_int(t->dim[d], 1)) return false;
    }
    return true;
}

/* Blocks of `size` along the axis: operand k has the input's shape with ceil(extent / size) there. */
static bool check_blocks(OpCtx *c, int k, int64_t size)
{
    const Tensor *x = in_t(c, Q_x);
    int axis;
    if (size < 1 || size > INT32_MAX) {
        return op_error(c, NO_OPERAND, "quant-block", "block_size is %lld, expected 0 or more", (long long)size);
    }
    if (!norm_axis(c, attr_i(c, "axis"), x->rank, &axis) || !in_rank(c, k, x->rank, x->rank)) return false;
    for (int d = 0; d < x->rank; d++) {
        const Expr *want = d == axis ? FDIV(ADD(x->dim[d], IX(size - 1)), IX(size)) : x->dim[d];
        if (!require_dim(c, k, d, want, "quant-block")) return false;
    }
    return true;
}

/* Operand k (scale or zero point) is one element, a vector along the axis, or blocked. */
static bool check_granularity(OpCtx *c, int k)
{
    if (!has_in(c, k)) return true;
    const int64_t size = attr_i(c, "block_size");
    if (size != 0) return check_blocks(c, k, size);
    if (has_one_element(in_t(c, k))) return true;
    int axis;
    return in_rank(c, k, 1, 1) && norm_axis(c, attr_i(c, "axis"), in_t(c, Q_x)->rank, &axis) &&
           require_dim(c, k, 0, in_t(c, Q_x)->dim[axis], "quant-axis");
}

/* Scale or zero point that goes with element i of the input. */
static const Expr *load_for(OpCtx *c, int k, const Expr *const *i)
{
    const int64_t size = attr_i(c, "block_size");
    const Tensor *t = in_t(c, k), *x = in_t(c, Q_x);
    const Expr *at[MAX_RANK];
    int axis = 0;
    if (size == 0 && has_one_element(t)) return load_single(c, k);
    if (!norm_axis(c, attr_i(c, "axis"), x->rank, &axis)) ICE("lower: axis of %s changed", c->n->op->name);
    memcpy(at, i, sizeof *i * x->rank);
    if (size != 0) at[axis] = FDIV(i[axis], IX(size));
    return load_at(c, in_ten(c, k), size ? at : &i[axis]);
}

/* Type named by an attribute, one of those that are allowed; `fallback` when it is 0. */
static bool attr_type(OpCtx *c, const char *name, DType fallback, const DType *allowed, size_t n, DType *dt)
{
    const int64_t v = attr_i(c, name);
    *dt = v ? dtype_by_onnx(v) : fallback;
    for (size_t k = 0; k < n; k++) {
        if (allowed[k] == *dt && *dt != DT_none) return true;
    }
    return op_error(c, NO_OPERAND, "quant-type", "%s=%lld is not a type that the operator can have here", name,
                    (long long)v);
}

static const DType quant_types[] = {DT_i8, DT_u8,       DT_i16,        DT_u16,    DT_i4,         DT_u4,    DT_i2,
                                    DT_u2, DT_f8e4m3fn, DT_f8e4m3fnuz, DT_f8e5m2, DT_f8e5m2fnuz, DT_f4e2m1};
static const DType real_types[] = {DT_f32, DT_f16, DT_bf16};

/* Type in which x / scale is rounded: by default the scale's, where that is a real type. */
static bool division_type(OpCtx *c, DType *dt)
{
    const DType scale = in_t(c, Q_scale)->dt;
    const bool real = scale == DT_f16 || scale == DT_bf16;
    return attr_type(c, "precision", real ? scale : DT_f32, real_types, COUNT(real_types), dt);
}

bool infer_QuantizeLinear(OpCtx *c)
{
    DType dt, division;
    const DType zero = has_in(c, Q_zero) ? in_t(c, Q_zero)->dt : DT_none;
    if (!attr_type(c, "output_dtype", zero != DT_none ? zero : DT_u8, quant_types, COUNT(quant_types), &dt))
        return false;
    if (zero != DT_none && zero != dt) {
        return op_error(c, Q_zero, "quant-type", "zero point has type %s, but output_dtype is %s",
                        dtype_info(zero)->name, dtype_info(dt)->name);
    }
    return division_type(c, &division) && check_granularity(c, Q_scale) && check_granularity(c, Q_zero) &&
           set_type(c, 0, dt) && same_shape(c, 0, Q_x);
}

bool lower_QuantizeLinear(OpCtx *c)
{
    const Expr *i[MAX_RANK];
    DType division;
    if (!division_type(c, &division)) return false;
    out_vars(c, 0, i);
    const Expr *x = CAST(DT_f32, load_at(c, in_ten(c, Q_x), i)), *scale = CAST(DT_f32, load_for(c, Q_scale, i));
    const Expr *v = CAST(DT_f32, CAST(division, DIV(x, scale))),
               *zero = has_in(c, Q_zero) ? load_for(c, Q_zero, i) : NULL;
    return def_map(c, out_ten(c, 0), i, to_quant(c, out_t(c, 0)->dt, v, zero, attr_i(c, "saturate") != 0));
}

bool infer_DequantizeLinear(OpCtx *c)
{
    DType dt;
    return attr_type(c, "output_dtype", in_t(c, Q_scale)->dt, real_types, COUNT(real_types), &dt) &&
           check_granularity(c, Q_scale) && check_granularity(c, Q_zero) && set_type(c, 0, dt) && same_shape(c, 0, Q_x);
}

bool lower_DequantizeLinear(OpCtx *c)
{
    const Expr *i[MAX_RANK];
    out_vars(c, 0, i);
    const Expr *v = load_at(c, in_ten(c, Q_x), i);
    const Expr *zero = has_in(c, Q_zero) ? load_for(c, Q_zero, i) : NULL;
    if (zero && !is_zero(zero)) v = SUB(v, zero);
    return def_map(c, out_ten(c, 0), i, MUL(CAST(DT_f32, v), CAST(DT_f32, load_for(c, Q_scale, i))));
}

/* ---- DynamicQuantizeLinear ---- */

enum { DQ_y, DQ_scale, DQ_zero };

bool infer_DynamicQuantizeLinear(OpCtx *c)
{
    return same_shape(c, DQ_y, 0) && set_shape(c, DQ_scale, 0, NULL) && set_shape(c, DQ_zero, 0, NULL);
}

static const Expr *extreme(OpCtx *c, RedOp op)
{
    const Axes a = axes_from(in_t(c, 0)->rank, in_t(c, 0)->dim, 0);
    Sweep s;
    sweep(c, &a, &s);
    const uint32_t t = sweep_temp(c, op == RED_max ? "max" : "min", &a, &s, op, load_at(c, in_ten(c, 0), s.at));
    return load_at(c, t, s.i);
}

/* scale = (hi - lo) / 255 with 0 inside [lo, hi], 1 / 255 when that is empty; zero = rint(clamp(-lo / scale)). */
bool lower_DynamicQuantizeLinear(OpCtx *c)
{
    const Expr *none[MAX_RANK] = {NULL}, *i[MAX_RANK], *nil = NUM(DT_f32, 0), *top = NUM(DT_f32, 255);
    const Expr *hi = MAX(extreme(c, RED_max), nil), *lo = MIN(extreme(c, RED_min), nil);
    def_map(c, out_ten(c, DQ_scale), none, DIV(SEL(EQ(hi, lo), NUM(DT_f32, 1), SUB(hi, lo)), top));
    const Expr *scale = load_at(c, out_ten(c, DQ_scale), none);
    const Expr *zero = MIN(MAX(SUB(nil, DIV(lo, scale)), nil), top);
    def_map(c, out_ten(c, DQ_zero), none, to_quant(c, DT_u8, zero, NULL, true));
    out_vars(c, DQ_y, i);
    const Expr *v = DIV(load_at(c, in_ten(c, 0), i), scale);
    return def_map(c, out_ten(c, DQ_y), i, to_quant(c, DT_u8, v, load_at(c, out_ten(c, DQ_zero), none), true));
}

/* ---- from a sum to the output's scale ---- */

/* multiplier * 2^(shift - 31) is nearest to m, multiplier in [2^30, 2^31): TensorFlow Lite's QuantizeMultiplier. */
static void quantize_multiplier(double m, int32_t *multiplier, int32_t *shift)
{
    int e;
    const double q = frexp(m, &e);
    int64_t fixed = (int64_t)round(q * 2147483648.0);
    if (fixed == (int64_t)1 << 31) {
        fixed /= 2;
        e++;
    }
    if (e < -31) {
        e = 0;
        fixed = 0;
    }
    *multiplier = (int32_t)fixed;
    *shift = e;
}

/* The n multipliers and shifts as constants of the program. */
static uint32_t const_i32(OpCtx *c, const char *hint, int64_t n, const int32_t *v)
{
    const Expr *dim = IX(n);
    const uint32_t t = te_tensor(c->te, str_fmt(c->a, "%s.%s", out_t(c, 0)->name, hint), DT_i32, TEN_const, 1, &dim);
    ten(c->te, t)->data = blob_make(c->a, DT_i32, n, v);
    return t;
}

typedef struct Scales {
    int x, w, y;
} Scales; /* operands */

static bool const_scale(OpCtx *c, int k, const Blob **b)
{
    *b = in_t(c, k)->data;
    return *b ||
           op_error(c, k, "unsupported-scale", "TensorFlow Lite rounding needs a scale that is known when compiling");
}

/* sum * multiplier * 2^(shift - 31): 32-bit steps on 64-bit values, as in TensorFlow Lite's reference kernels. */
static const Expr *fixed_product(OpCtx *c, const Expr *sum, const Expr *multiplier, const Expr *shift)
{
    const Expr *nil = NUM(DT_i32, 0), *one = NUM(DT_i64, 1);
    const Expr *left = MAX(shift, nil), *right = CAST(DT_i64, MAX(SUB(nil, shift), nil));
    const Expr *raised = CAST(DT_i64, ex_binary(c->x, EX_shl, sum, left)), *ab = MUL(raised, CAST(DT_i64, multiplier));
    const Expr *up = ex_const_i(c->x, DT_i64, (int64_t)1 << 30),
               *down = ex_const_i(c->x, DT_i64, 1 - ((int64_t)1 << 30));
    const Expr *high = DIV(ADD(ab, SEL(LT(ab, NUM(DT_i64, 0)), down, up)), ex_const_i(c->x, DT_i64, (int64_t)1 << 31));
    const Expr *mask = SUB(ex_binary(c->x, EX_shl, one, right), one);
    const Expr *half = ADD(ex_binary(c->x, EX_shr, mask, one), SEL(LT(high, NUM(DT_i64, 0)), one, NUM(DT_i64, 0)));
    const Expr *over = SEL(LT(half, ex_binary(c->x, EX_band, high, mask)), one, NUM(DT_i64, 0));
    return CAST(DT_i32, ADD(ex_binary(c->x, EX_shr, high, right), over));
}

/* Output i from the sum t by fixed point; channel: index of the vector of w scales. */
static bool requantize_fixed(OpCtx *c, uint32_t t, const Expr *const *i, const Expr *channel, Scales s, int zero)
{
    const Blob *x, *w, *y;
    if (!const_scale(c, s.x, &x) || !const_scale(c, s.w, &w) || !const_scale(c, s.y, &y)) return false;
    const int64_t n = has_one_element(in_t(c, s.w)) ? 1 : w->count;
    int32_t *m = NEWN(c->a, int32_t, n), *e = NEWN(c->a, int32_t, n);
    for (int64_t k = 0; k < n; k++) {
        const double factor = blob_f(x, 0) * blob_f(w, k) / blob_f(y, 0);
        if (!(factor >= 0 && isfinite(factor)))
            return op_error(c, s.w, "quant-scale", "scales give the factor %g", factor);
        quantize_multiplier(factor, &m[k], &e[k]);
    }
    const Expr *at = n == 1 ? IX(0) : channel;
    const Expr *multiplier = load_at(c, const_i32(c, "multiplier", n, m), &at),
               *shift = load_at(c, const_i32(c, "shift", n, e), &at);
    const Expr *v =
        ADD(CAST(DT_i64, fixed_product(c, load_at(c, t, i), multiplier, shift)), CAST(DT_i64, load_single(c, zero)));
    return def_map(c, out_ten(c, 0), i, ex_castsat(c->x, out_t(c, 0)->dt, v));
}

/* ---- QLinearConv, ConvInteger ---- */

enum { QC_x, QC_xs, QC_xz, QC_w, QC_ws, QC_wz, QC_ys, QC_yz, QC_b };

static bool read_qconv(OpCtx *c, Conv *v)
{
    *v = (Conv){.x = QC_x, .w = QC_w, .xz = QC_xz, .wz = QC_wz};
    return conv_read(c, v);
}

bool infer_QLinearConv(OpCtx *c)
{
    Conv v;
    if (!read_qconv(c, &v)) return false;
    const Expr *m = in_t(c, QC_w)->dim[0];
    return check_single(c, QC_xs) && check_single(c, QC_xz) && check_channel(c, QC_ws, m) &&
           check_channel(c, QC_wz, m) && check_single(c, QC_ys) && check_single(c, QC_yz) &&
           check_channel(c, QC_b, m) && conv_shape(c, &v, 0);
}

/* x_scale * w_scale[m] / y_scale; of a vector of w scales a stage of its own. */
static const Expr *channel_factor(OpCtx *c, const Expr *m)
{
    const Expr *xs = load_single(c, QC_xs), *ys = load_single(c, QC_ys), *i[MAX_RANK];
    if (has_one_element(in_t(c, QC_ws))) return DIV(MUL(xs, load_single(c, QC_ws)), ys);
    const uint32_t t = temp_ten(c, "factor", DT_f32, 1, in_t(c, QC_ws)->dim);
    vars_for(c, "m", 1, in_t(c, QC_ws)->dim, i);
    def_map(c, t, i, DIV(MUL(xs, load_at(c, in_ten(c, QC_ws), i)), ys));
    return load_at(c, t, &m);
}

/* The sum with its bias, which has the scale x_scale * w_scale. */
static uint32_t biased_sum(OpCtx *c, uint32_t t)
{
    const Tensor *y = out_t(c, 0);
    const Expr *i[MAX_RANK];
    if (!has_in(c, QC_b)) return t;
    const uint32_t u = temp_ten(c, "biased", DT_i32, y->rank, y->dim);
    vars_for(c, "nmijk", y->rank, y->dim, i);
    def_map(c, u, i, ADD(load_at(c, t, i), load_channel(c, QC_b, i[1])));
    return u;
}

bool lower_QLinearConv(OpCtx *c)
{
    Conv v;
    const Tensor *y = out_t(c, 0);
    const Expr *i[MAX_RANK];
    if (!read_qconv(c, &v)) return false;
    const uint32_t sum = temp_ten(c, "dot", DT_i32, y->rank, y->dim);
    if (!conv_sum(c, sum, &v, DT_i32)) return false;
    const uint32_t t = biased_sum(c, sum);
    vars_for(c, "nmijk", y->rank, y->dim, i);
    if (c->cx->tflite_rounding) return requantize_fixed(c, t, i, i[1], (Scales){QC_xs, QC_ws, QC_ys}, QC_yz);
    const Expr *r = MUL(CAST(DT_f32, load_at(c, t, i)), channel_factor(c, i[1]));
    return def_map(c, out_ten(c, 0), i, to_quant(c, y->dt, r, load_single(c, QC_yz), true));
}

static bool read_conv_integer(OpCtx *c, Conv *v)
{
    *v = (Conv){.x = 0, .w = 1, .xz = 2, .wz = 3};
    return conv_read(c, v);
}

bool infer_ConvInteger(OpCtx *c)
{
    Conv v;
    return read_conv_integer(c, &v) && check_single(c, 2) && check_channel(c, 3, in_t(c, 1)->dim[0]) &&
           conv_shape(c, &v, 0);
}

bool lower_ConvInteger(OpCtx *c)
{
    Conv v;
    return read_conv_integer(c, &v) && conv_sum(c, out_ten(c, 0), &v, DT_i32);
}

/* ---- QLinearMatMul, MatMulInteger ---- */

enum { QM_a, QM_as, QM_az, QM_b, QM_bs, QM_bz, QM_ys, QM_yz };

static bool read_qmatmul(OpCtx *c, Product *p)
{
    *p = (Product){.a = QM_a, .b = QM_b, .az = QM_az, .bz = QM_bz};
    return product_read(c, p);
}

bool infer_QLinearMatMul(OpCtx *c)
{
    Product p;
    return read_qmatmul(c, &p) && check_along(c, &p, QM_as, QM_a) && check_along(c, &p, QM_az, QM_a) &&
           check_along(c, &p, QM_bs, QM_b) && check_along(c, &p, QM_bz, QM_b) && check_along(c, &p, QM_ys, QM_a) &&
           check_along(c, &p, QM_yz, QM_a) && set_shape(c, 0, p.rank, p.dim);
}

/* The fixed-point form has vectors only of b scales. */
static bool single_scales(OpCtx *c)
{
    return check_single(c, QM_as) && check_single(c, QM_ys) && check_single(c, QM_yz) &&
           (in_t(c, QM_bs)->rank <= 1 ||
            op_error(c, QM_bs, "unsupported-scale", "TensorFlow Lite rounding takes one scale or one for each column"));
}

/* a_scale * b_scale / y_scale; of one vector of b scales a stage of its own. */
static const Expr *product_factor(OpCtx *c, const Product *p, const Expr *const *i)
{
    const Tensor *as = in_t(c, QM_as), *bs = in_t(c, QM_bs), *ys = in_t(c, QM_ys);
    const Expr *j[MAX_RANK];
    if (bs->rank != 1 || has_one_element(bs) || !has_one_element(as) || !has_one_element(ys)) {
        const Expr *a = load_along(c, p, QM_as, QM_a, i), *b = load_along(c, p, QM_bs, QM_b, i);
        return DIV(MUL(a, b), load_along(c, p, QM_ys, QM_a, i));
    }
    const uint32_t t = temp_ten(c, "factor", DT_f32, 1, bs->dim);
    vars_for(c, "j", 1, bs->dim, j);
    const Expr *a = load_single(c, QM_as), *b = load_at(c, in_ten(c, QM_bs), j), *y = load_single(c, QM_ys);
    def_map(c, t, j, DIV(MUL(a, b), y));
    return load_at(c, t, &i[p->rank - 1]);
}

bool lower_QLinearMatMul(OpCtx *c)
{
    Product p;
    const Tensor *y = out_t(c, 0);
    const Expr *i[MAX_RANK];
    if (!read_qmatmul(c, &p)) return false;
    const bool real = dtype_is_float(in_t(c, QM_a)->dt) || dtype_is_float(in_t(c, QM_b)->dt);
    const uint32_t t = temp_ten(c, "dot", real ? DT_f32 : DT_i32, p.rank, p.dim);
    if (!product_sum(c, t, &p, real ? DT_f32 : DT_i32)) return false;
    out_vars(c, 0, i);
    if (c->cx->tflite_rounding && !real && !dtype_is_float(y->dt)) {
        return single_scales(c) &&
               requantize_fixed(c, t, i, p.rank ? i[p.rank - 1] : NULL, (Scales){QM_as, QM_bs, QM_ys}, QM_yz);
    }
    const Expr *r = MUL(CAST(DT_f32, load_at(c, t, i)), product_factor(c, &p, i));
    return def_map(c, out_ten(c, 0), i, to_quant(c, y->dt, r, load_along(c, &p, QM_yz, QM_a, i), true));
}

static bool read_matmul_integer(OpCtx *c, Product *p)
{
    *p = (Product){.a = 0, .b = 1, .az = 2, .bz = 3};
    return product_read(c, p);
}

bool infer_MatMulInteger(OpCtx *c)
{
    Product p;
    return read_matmul_integer(c, &p) && check_along(c, &p, 2, 0) && check_along(c, &p, 3, 1) &&
           set_shape(c, 0, p.rank, p.dim);
}

bool lower_MatMulInteger(OpCtx *c)
{
    Product p;
    return read_matmul_integer(c, &p) && product_sum(c, out_ten(c, 0), &p, DT_i32);
}

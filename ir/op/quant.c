/* SPDX-License-Identifier: Apache-2.0
 *
 * Quantized arithmetic of ONNX. Sums are exact in i32. With a constant weight they are of plain x * w: its zero points
 * are subtracted when compiling, and sum (x - xz) * w = sum x * w - xz * sum w, so the input's goes to the bias, and
 * padding reads as the zero point. Otherwise zero points are subtracted from both factors. requant.h brings sums to
 * the output's scale.
 */
#include "../op.h"
#include "proto.h"
#include "dot.h"
#include "quant.h"
#include "red.h"

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

/* ---- constant weights ---- */

/* The n numbers as a constant of the program. */
static uint32_t const_vector(OpCtx *c, const char *hint, int64_t n, const int32_t *v)
{
    const Expr *dim = IX(n);
    const uint32_t t = te_tensor(c->te, str_fmt(c->a, "%s.%s", out_t(c, 0)->name, hint), DT_i32, TEN_const, 1, &dim);
    ten(c->te, t)->data = blob_make(c->cx->arena, DT_i32, n, v);
    return t;
}

static bool const_integers(const OpCtx *c, int k, int64_t n)
{
    if (k < 0 || !has_in(c, k)) return true;
    const Blob *b = in_t(c, k)->data;
    return b && dtype_is_int(b->dt) && (b->count == 1 || b->count == n);
}

static int64_t integer_at(const OpCtx *c, int k, int64_t at)
{
    if (k < 0 || !has_in(c, k)) return 0;
    const Blob *b = in_t(c, k)->data;
    return blob_i(b, b->count == 1 ? 0 : at);
}

static bool in_i32(Span s)
{
    return s.lo >= INT32_MIN && s.hi <= INT32_MAX;
}

/* A weight of stored integers without its zero points, as a recipe from what is stored. */
typedef struct Centred {
    Recipe r;
    DType from, to;
    int64_t inner, channels;
    const int64_t *zero; /* by channel */
} Centred;

enum { RUN = 1024, SMALL = 1 << 16 }; /* elements at a time; in a constant that is made at once */

/* Centred elements first..first+n-1, and the channel of each. */
static void centre(const Centred *w, const char *from, int64_t first, int64_t n, int64_t *v, int64_t *channel)
{
    const size_t size = dtype_bytes(w->from);
    int64_t m = first / w->inner % w->channels, left = w->inner - first % w->inner;
    for (int64_t k = 0; k < n; k++) {
        channel[k] = m;
        v[k] = dtype_get_i(w->from, from + (size_t)(first + k) * size) - w->zero[m];
        if (--left > 0) continue;
        left = w->inner;
        m = m + 1 < w->channels ? m + 1 : 0;
    }
}

static void make_centred(const Recipe *r, const char *from, int64_t first, int64_t n, char *out)
{
    const Centred *w = (const Centred *)r;
    const size_t size = dtype_bytes(w->to);
    int64_t v[RUN], channel[RUN];
    for (int64_t at = 0; at < n; at += RUN) {
        const int64_t some = min_i64(RUN, n - at);
        centre(w, from, first + at, some, v, channel);
        for (int64_t k = 0; k < some; k++) dtype_put_i(w->to, out + (size_t)(at + k) * size, v[k]);
    }
}

static Centred *centred_of(OpCtx *c, const WeightOf *o)
{
    Arena *a = c->cx->arena;
    Centred *w = NEW(a, Centred);
    int64_t *zero = NEWN(a, int64_t, o->channels);
    const Blob *from = in_t(c, o->w)->data;
    for (int64_t m = 0; m < o->channels; m++) zero[m] = integer_at(c, o->wz, m);
    *w = (Centred){.r = {.arena = a, .from = from, .unit = 1, .make = make_centred},
                   .from = from->dt, .inner = o->inner, .channels = o->channels, .zero = zero};
    return w;
}

/* Bounds of the sum of x * weight for stored x, and the sum of the weights, by channel; returns bounds of the weight. */
static Span sums_of(const OpCtx *c, const WeightOf *o, const Centred *w, Span *span, int64_t *sum)
{
    const DType dt = in_t(c, o->x)->dt;
    const int64_t low = dtype_min(dt), high = dtype_max(dt), count = w->r.from->count;
    const char *from = blob_all(w->r.from, c->a);
    int64_t v[RUN], m[RUN];
    Span all = {0, 0};
    for (int64_t at = 0; at < count; at += RUN) {
        const int64_t n = min_i64(RUN, count - at);
        centre(w, from, at, n, v, m);
        for (int64_t k = 0; k < n; k++) {
            all = (Span){min_i64(all.lo, v[k]), max_i64(all.hi, v[k])};
            sum[m[k]] += v[k];
            span[m[k]].lo += v[k] * (v[k] < 0 ? high : low);
            span[m[k]].hi += v[k] * (v[k] < 0 ? low : high);
        }
    }
    return all;
}

/* The type of the weight with its zero points subtracted: the narrowest that holds it; its own where they are 0. */
static DType centred_type(const OpCtx *c, const WeightOf *o, Span range)
{
    if (!has_zero(c, o->wz)) return in_t(c, o->w)->dt;
    return range.lo >= INT8_MIN && range.hi <= INT8_MAX ? DT_i8 : DT_i16;
}

static uint32_t centred_weight(OpCtx *c, const WeightOf *o, Centred *w, Span range)
{
    const Tensor *t = in_t(c, o->w);
    if (!has_zero(c, o->wz)) return in_ten(c, o->w);
    w->to = centred_type(c, o, range);
    const Blob *b = blob_made(c->cx->arena, w->to, t->data->count, &w->r);
    if (b->count <= SMALL) b = blob_make(c->cx->arena, w->to, b->count, blob_all(b, c->a));
    const uint32_t at = te_tensor(c->te, str_fmt(c->a, "%s.centred", t->name), w->to, TEN_const, t->rank, t->dim);
    ten(c->te, at)->data = b;
    return at;
}

static bool foldable(const OpCtx *c, const WeightOf *o)
{
    const Blob *w = in_t(c, o->w)->data;
    return w && dtype_is_int(w->dt) && o->channels > 0 && w->count % o->channels == 0 && const_integers(c, o->xz, 1) &&
           const_integers(c, o->wz, o->channels) && const_integers(c, o->b, o->channels);
}

bool fold_weight(OpCtx *c, const WeightOf *o, Folded *f)
{
    *f = (Folded){.channels = o->channels};
    if (!foldable(c, o)) return false;
    int64_t *sum = NEWN(c->a, int64_t, o->channels);
    int32_t *bias = NEWN(c->a, int32_t, o->channels);
    bool any = false;
    f->span = NEWN(c->a, Span, o->channels);
    Centred *w = centred_of(c, o);
    const Span range = sums_of(c, o, w, f->span, sum);
    if (o->bytes && !dtype_is_byte(centred_type(c, o, range))) return false;
    for (int64_t m = 0; m < o->channels; m++) {
        const int64_t b = integer_at(c, o->b, m) - integer_at(c, o->xz, 0) * sum[m];
        const Span raw = f->span[m];
        f->span[m] = (Span){raw.lo + b, raw.hi + b};
        if (!in_i32(raw) || !in_i32(f->span[m]) || !in_i32((Span){b, b})) return false;
        bias[m] = (int32_t)b;
        any = any || b != 0;
    }
    f->weight = centred_weight(c, o, w, range);
    f->bias = any ? const_vector(c, "bias", o->channels, bias) : 0;
    return true;
}

const Expr *folded_sum(OpCtx *c, const Folded *f, const Expr *sum, const Expr *channel)
{
    return f->bias ? ADD(sum, load_at(c, f->bias, &channel)) : sum;
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

static int64_t constant_extent(const Expr *e)
{
    return ex_is_const(e) ? e->v.i : 0;
}

/* y = rescaled sum + bias, which has the scale x_scale * w_scale */
bool lower_QLinearConv(OpCtx *c)
{
    Conv v;
    Folded f;
    const Tensor *y = out_t(c, 0), *w = in_t(c, QC_w);
    const Expr *i[MAX_RANK];
    if (!read_qconv(c, &v)) return false;
    const int64_t m = constant_extent(w->dim[0]), inner = m > 0 && w->data ? w->data->count / m : 1;
    const bool folded = fold_weight(c, &(WeightOf){QC_x, QC_xz, QC_w, QC_wz, QC_b, m, inner, false}, &f);
    const uint32_t t = temp_ten(c, "dot", DT_i32, y->rank, y->dim);
    v.weight = folded ? f.weight : 0;
    if (!conv_sum(c, t, &v, DT_i32)) return false;
    vars_for(c, "nmijk", y->rank, y->dim, i);
    const Expr *sum = load_at(c, t, i);
    if (folded)
        sum = folded_sum(c, &f, sum, i[1]);
    else if (has_in(c, QC_b))
        sum = ADD(sum, load_channel(c, QC_b, i[1]));
    const Rescale r = {
        .x = QC_xs, .w = QC_ws, .y = QC_ys, .zero = QC_yz, .n = 1, .nspan = folded ? f.channels : 0, .span = f.span};
    const Expr *q = rescale(c, &r, sum, i[1]);
    return q && def_map(c, out_ten(c, 0), i, q);
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

/* Of constant weights and zero points sums of what is stored, and a constant for each channel. */
bool lower_ConvInteger(OpCtx *c)
{
    Conv v;
    Folded f;
    const Tensor *y = out_t(c, 0), *w = in_t(c, 1);
    const Expr *i[MAX_RANK];
    if (!read_conv_integer(c, &v)) return false;
    const int64_t m = constant_extent(w->dim[0]), inner = m > 0 && w->data ? w->data->count / m : 1;
    if (fold_weight(c, &(WeightOf){v.x, v.xz, v.w, v.wz, NO_ZERO, m, inner, true}, &f)) v.weight = f.weight;
    if (!f.bias) return conv_sum(c, out_ten(c, 0), &v, DT_i32);
    const uint32_t t = temp_ten(c, "dot", DT_i32, y->rank, y->dim);
    if (!conv_sum(c, t, &v, DT_i32)) return false;
    vars_for(c, "nmijk", y->rank, y->dim, i);
    return def_map(c, out_ten(c, 0), i, folded_sum(c, &f, load_at(c, t, i), i[1]));
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

/* Scales are one element, but of b perhaps a vector over the columns. */
static bool plain_scales(const OpCtx *c, const Product *p)
{
    return has_one_element(in_t(c, QM_as)) && has_one_element(in_t(c, QM_ys)) && has_one_element(in_t(c, QM_yz)) &&
           (has_one_element(in_t(c, QM_bs)) || (in_t(c, QM_bs)->rank == 1 && p->col));
}

/* a_scale * b_scale / y_scale in dt, of any granularity. */
static const Expr *product_factor(OpCtx *c, const Product *p, DType dt, const Expr *const *i)
{
    const Expr *a = load_along(c, p, QM_as, QM_a, i), *b = load_along(c, p, QM_bs, QM_b, i);
    return DIV(MUL(CAST(dt, a), CAST(dt, b)), CAST(dt, load_along(c, p, QM_ys, QM_a, i)));
}

static bool lower_product(OpCtx *c, const Product *p, DType sum, DType real)
{
    const Expr *i[MAX_RANK];
    const uint32_t t = temp_ten(c, "dot", sum, p->rank, p->dim);
    if (!product_sum(c, t, p, sum)) return false;
    out_vars(c, 0, i);
    const Expr *v = MUL(CAST(real, load_at(c, t, i)), product_factor(c, p, real, i));
    return def_map(c, out_ten(c, 0), i, to_quant(c, out_t(c, 0)->dt, v, load_along(c, p, QM_yz, QM_a, i), true));
}

static bool is_real(const OpCtx *c, int k)
{
    return dtype_is_float(in_t(c, k)->dt);
}

bool lower_QLinearMatMul(OpCtx *c)
{
    Product p;
    Folded f = {0};
    const Expr *i[MAX_RANK];
    if (!read_qmatmul(c, &p)) return false;
    if (is_real(c, QM_a) || is_real(c, QM_b) || dtype_is_float(out_t(c, 0)->dt))
        return lower_product(c, &p, DT_f32, DT_f32);
    if (!plain_scales(c, &p)) {
        return c->cx->tflite_rounding ? op_error(c, NO_OPERAND, "unsupported-scale",
                                                 "TensorFlow Lite rounding takes one scale or one for each column")
                                      : lower_product(c, &p, DT_i32, DT_f64);
    }
    const Tensor *b = in_t(c, QM_b);
    const int64_t n = b->rank == 2 ? constant_extent(b->dim[1]) : 0;
    const bool folded = fold_weight(c, &(WeightOf){QM_a, QM_az, QM_b, QM_bz, NO_ZERO, n, 1, false}, &f);
    const uint32_t t = temp_ten(c, "dot", DT_i32, p.rank, p.dim);
    p.weight = folded ? f.weight : 0;
    if (!product_sum(c, t, &p, DT_i32)) return false;
    out_vars(c, 0, i);
    const Expr *column = p.rank ? i[p.rank - 1] : NULL, *sum = load_at(c, t, i);
    const Rescale r = {
        .x = QM_as, .w = QM_bs, .y = QM_ys, .zero = QM_yz, .n = 1, .nspan = folded ? f.channels : 0, .span = f.span};
    const Expr *v = rescale(c, &r, folded ? folded_sum(c, &f, sum, column) : sum, column);
    return v && def_map(c, out_ten(c, 0), i, v);
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

/* SPDX-License-Identifier: Apache-2.0
 *
 * Products of dequantized operands whose result stays real: what is summed are integers, and the scales follow.
 *
 *   Conv(D(x), D(w), b)        ==  f32(ConvInteger(x, w))*k + b     k = sx*sw, by channel
 *   MatMul(D(x), D(w))         ==  f32(MatMulInteger(x, w))*k       k by column
 *   Gemm(D(x), D(w), c)        ==  f32(MatMulInteger(x, w))*k + c
 *   Norm(Conv(D(x), D(w), b))  ==  f32(ConvInteger(x, w))*k + o     k: scales of x, w and Norm; o: its offset and b
 *
 * The last is again a BatchNormalization, with mean 0 and variance 1. Both sides round reals, so they differ as two
 * orders of a sum do, which every -ffp allows: the sum of integers is exact where that of floats is rounded at each step.
 */
#include "integer.h"

#include <math.h>

/* A product of bytes: x with one scale, w with one or one for each channel. */
typedef struct Sum {
    Quant x;
    Vector w;
} Sum;

/* ---- what is summed ---- */

typedef struct Span {
    int64_t lo, hi;
} Span;

/* Of its values where it is a constant, else of its type; none: 0. */
static Span span_of(const Rw *rw, TensorId id)
{
    if (is_none(id)) return (Span){0, 0};
    const Tensor *t = tensor(rw->g, id);
    if (t->kind != TK_CONST) return (Span){dtype_min(t->dt), dtype_max(t->dt)};
    const Blob *b = blob_held(t->data, rw->a);
    Span s = {dtype_max(t->dt), dtype_min(t->dt)};
    for (int64_t k = 0; k < b->count; k++) s = (Span){min_i64(s.lo, blob_i(b, k)), max_i64(s.hi, blob_i(b, k))};
    return s;
}

/* Bounds of q - zero. */
static Span centred(const Rw *rw, TensorId q, TensorId zero)
{
    const Span s = span_of(rw, q), z = span_of(rw, zero);
    return (Span){s.lo - z.hi, s.hi - z.lo};
}

static int64_t largest(Span s)
{
    return max_i64(1, max_i64(s.hi, -s.lo));
}

/* No sum of so many products leaves i32. */
static bool fits(const Rw *rw, const Sum *s, TensorId x, int64_t inner)
{
    const int64_t byte = dtype_max(DT_u8);
    if (inner <= INT32_MAX / (byte * byte)) return true;
    const int64_t product = largest(centred(rw, x, s->x.at_zero)) * largest(centred(rw, s->w.data, s->w.zero));
    return inner <= INT32_MAX / product;
}

static double scale_of(const Rw *rw, const Sum *s, int64_t channel)
{
    return s->x.scale * vector_element(rw, s->w.scale, channel);
}

/* f32 has the scales with all their digits. */
static bool has_scales(const Rw *rw, const Sum *s)
{
    const int64_t n = tensor(rw->g, s->w.scale)->data->count;
    for (int64_t c = 0; c < n; c++)
        if (!isnormal((float)scale_of(rw, s, c))) return false;
    return true;
}

/* w has n channels along `axis`; a result sums `inner` products. */
static bool sum_of(Rw *rw, const Match *m, int64_t n, int axis, int64_t inner, Sum *s)
{
    return quant_of(rw, m->n['X'], &s->x) && vector_of(rw, m->n['W'], n, axis, &s->w) && is_byte(rw, m->t['x']) &&
           is_byte(rw, s->w.data) && fits(rw, s, m->t['x'], inner) && has_scales(rw, s);
}

/* ---- graphs ---- */

/* f32(op(x, w)) before the root, w the stored weight or its transpose. */
static TensorId real_sum(Rw *rw, const Match *m, const Sum *s, const char *op, TensorId w, uint16_t nattr,
                         const Attr *attr)
{
    const TensorId in[] = {m->t['x'], w, zero_of(rw, &s->x), vector_zero(rw, &s->w)};
    const Attr to = {.name = "to", .type = AT_i, .v.i = dtype_info(DT_f32)->onnx};
    Tensor like = *rw_tensor(rw, rw_node(rw, m->n['C'])->out[0]);
    like.dt = DT_i32;
    const TensorId sum = rw_add(rw, m->root, op_find("", op), COUNT(in), in, nattr, attr, &like);
    like.dt = DT_f32;
    return rw_add(rw, m->root, op_find("", "Cast"), 1, &sum, 1, &to, &like);
}

/* v as [n,1,..] of so many dimensions. */
static TensorId channels_const(Rw *rw, const char *hint, int rank, int64_t n, const double *v)
{
    float *f = NEWN(rw->a, float, n);
    int64_t dim[MAX_RANK];
    for (int64_t k = 0; k < n; k++) f[k] = (float)v[k];
    for (int d = 0; d < rank; d++) dim[d] = d ? 1 : n;
    return rw_const_f32(rw, hint, (uint8_t)rank, dim, f);
}

/* The root becomes sum*k + b, channels in the first of the last `rank` dimensions; b may be none. */
static void become_scaled(Rw *rw, const Match *m, const Sum *s, TensorId sum, int rank, TensorId b)
{
    const int64_t n = rw_tensor(rw, s->w.scale)->data->count;
    double *k = NEWN(rw->a, double, n);
    for (int64_t c = 0; c < n; c++) k[c] = scale_of(rw, s, c);
    const TensorId in[] = {sum, channels_const(rw, "scale", n == 1 ? 0 : rank, n, k)};
    if (is_none(b)) {
        rw_become(rw, m->root, op_find("", "Mul"), COUNT(in), in, 0, NULL);
        return;
    }
    const Tensor like = *rw_tensor(rw, sum);
    const TensorId terms[] = {rw_add(rw, m->root, op_find("", "Mul"), COUNT(in), in, 0, NULL, &like), b};
    rw_become(rw, m->root, op_find("", "Add"), COUNT(terms), terms, 0, NULL);
}

/* ---- convolutions ---- */

typedef struct ConvSum {
    Sum sum;
    Vector b;
    bool bias;
    int64_t n, inner;
} ConvSum;

static bool conv_of(Rw *rw, const Match *m, ConvSum *c)
{
    const Tensor *w = rw_tensor(rw, m->t['w']);
    *c = (ConvSum){.bias = !is_none(m->t['e']), .n = ex_is_const(w->dim[0]) ? w->dim[0]->v.i : 0};
    if (c->n < 1) return false;
    c->inner = w->data->count / c->n;
    return sum_of(rw, m, c->n, 0, c->inner, &c->sum) && (!c->bias || bias_of(rw, m->t['e'], c->n, &c->b));
}

static TensorId conv_sum(Rw *rw, const Match *m, const ConvSum *c)
{
    const Node *conv = rw_node(rw, m->n['C']);
    return real_sum(rw, m, &c->sum, "ConvInteger", c->sum.w.data, conv->nattr, conv->attr);
}

bool integer_norm(Rw *rw, const Match *m)
{
    ConvSum s;
    if (!conv_of(rw, m, &s)) return false;
    double *k = NEWN(rw->a, double, s.n), *o = NEWN(rw->a, double, s.n), *mean = NEWN(rw->a, double, s.n),
           *var = NEWN(rw->a, double, s.n);
    if (!rule_norm_affine(rw, m, s.n, k, o)) return false;
    for (int64_t c = 0; c < s.n; c++) {
        if (s.bias) o[c] += vector_value(rw, &s.b, c) * k[c];
        k[c] *= scale_of(rw, &s.sum, c);
        var[c] = 1;
    }
    const Attr exact = {.name = "epsilon", .type = AT_f, .v.f = 0};
    const TensorId in[] = {conv_sum(rw, m, &s), channels_const(rw, "scale", 1, s.n, k),
                           channels_const(rw, "offset", 1, s.n, o), channels_const(rw, "mean", 1, s.n, mean),
                           channels_const(rw, "var", 1, s.n, var)};
    rw_become(rw, m->root, rw_node(rw, m->root)->op, COUNT(in), in, 1, &exact);
    return true;
}

/* Where sums of integers are no faster, a product stays one of floats. Its time in integers over that in floats, on
 * four levels of x86-64: shorter sums, 8 to 13 steps 0.7 to 1.4, fewer up to 15; one input channel 1.1 to 2.3; groups
 * 1.4 to 2.1, depthwise 0.94 to 1.5 within a block; weights that are no bytes without their zero points, where windows
 * of x are summed too, 2.2 to 4.5. */
enum { MIN_STEPS = 16 };

static bool is_centred_byte(const Rw *rw, const Vector *w)
{
    const Span z = span_of(rw, w->zero);
    if (tensor(rw->g, w->data)->dt == DT_i8 && z.lo == 0 && z.hi == 0) return true;
    const Span c = centred(rw, w->data, w->zero);
    return c.lo >= INT8_MIN && c.hi <= INT8_MAX;
}

static bool is_dense(Rw *rw, const Match *m, const ConvSum *s)
{
    const OpCtx c = rw_ctx(rw, m->root);
    return attr_i(&c, "group") == 1 && !ex_is_int(rw_tensor(rw, m->t['w'])->dim[1], 1) && s->inner >= MIN_STEPS &&
           is_centred_byte(rw, &s->sum.w);
}

bool integer_conv_real(Rw *rw, const Match *m)
{
    ConvSum s;
    if (!conv_of(rw, m, &s) || !is_dense(rw, m, &s)) return false;
    const int rank = rw_tensor(rw, m->t['w'])->rank - 1;
    double *b = NEWN(rw->a, double, s.n);
    for (int64_t c = 0; c < s.n && s.bias; c++) b[c] = vector_value(rw, &s.b, c);
    const TensorId bias = s.bias ? channels_const(rw, "offset", rank, s.n, b) : (TensorId){0};
    become_scaled(rw, m, &s.sum, conv_sum(rw, m, &s), rank, bias);
    return true;
}

/* ---- matrix products ---- */

/* Of one column, they are slower with more than one row (1.5 to 2.3), and of lengths that are not known (1.5). */
static bool is_matrix(const Expr *inner, const Expr *columns)
{
    return ex_is_const(inner) && inner->v.i >= MIN_STEPS && !ex_is_int(columns, 1);
}

/* w is a constant, with one scale or one for each column, or an activation. */
bool integer_matmul_real(Rw *rw, const Match *m)
{
    const Tensor *x = rw_tensor(rw, m->t['x']), *w = rw_tensor(rw, m->t['w']);
    if (w->rank < 2) return false;
    const Expr *inner = x->dim[x->rank - 1], *columns = w->dim[w->rank - 1];
    const int64_t n = w->rank == 2 && ex_is_const(columns) ? columns->v.i : 1;
    Sum s;
    if (!is_matrix(inner, columns) || !sum_of(rw, m, n, w->rank - 1, inner->v.i, &s)) return false;
    become_scaled(rw, m, &s, real_sum(rw, m, &s, "MatMulInteger", s.w.data, 0, NULL), 1, (TensorId){0});
    return true;
}

/* The matrix w before the root, rows as columns. */
static TensorId transposed(Rw *rw, const Match *m, TensorId w)
{
    Tensor like = *rw_tensor(rw, w);
    const Expr *rows = like.dim[0];
    like.dim[0] = like.dim[1];
    like.dim[1] = rows;
    return rw_add(rw, m->root, op_find("", "Transpose"), 1, &w, 0, NULL, &like);
}

/* With alpha and beta 1. */
bool integer_gemm_real(Rw *rw, const Match *m)
{
    const OpCtx c = rw_ctx(rw, m->root);
    const bool rows = attr_i(&c, "transB") != 0;
    const Tensor *w = rw_tensor(rw, m->t['w']);
    const Expr *inner = w->dim[rows], *columns = w->dim[!rows];
    Sum s;
    if (attr_i(&c, "transA") != 0 || attr_f(&c, "alpha") != 1) return false;
    if (!is_none(m->t['e']) && attr_f(&c, "beta") != 1) return false;
    if (!ex_is_const(columns) || !is_matrix(inner, columns)) return false;
    if (!sum_of(rw, m, columns->v.i, !rows, inner->v.i, &s)) return false;
    const TensorId stored = rows ? transposed(rw, m, s.w.data) : s.w.data;
    become_scaled(rw, m, &s, real_sum(rw, m, &s, "MatMulInteger", stored, 0, NULL), 1, m->t['e']);
    return true;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Products of dequantized operands in front of a quantization become products of integers: a convolution QLinearConv, a
 * matrix product QGemm or QLinearMatMul.
 */
#include "integer.h"

#include <math.h>

/* A product: activation D(x), weight D(w) of n channels, perhaps a bias, result Q(..). */
typedef struct Product {
    Quant x, y;
    Vector w;
    TensorId bias; /* i32 on the scale of the sum, may be none */
} Product;

/* ---- bias ---- */

/* The bias is an i32 on the scale of the sum, x * w; tools round the product of scales to f32. */
static bool is_sum_bias(Rw *rw, const Vector *b, const Quant *x, const Vector *w)
{
    const Tensor *t = rw_tensor(rw, b->data);
    if (t->dt != DT_i32 || t->data->count != b->n) return false;
    for (int64_t k = 0; k < b->n; k++) {
        const double want = x->scale * vector_element(rw, w->scale, k), have = vector_element(rw, b->scale, k);
        if (vector_element(rw, b->zero, k) != 0 || fabs(have - want) > want * 0x1p-20) return false;
    }
    return true;
}

/* The largest with which no sum of products of bytes leaves i32: there are `inner`, each at most 255 * 255. */
static double largest_bias(const Rw *rw, const Product *p)
{
    const double inner = (double)rw_tensor(rw, p->w.data)->data->count / (double)p->w.n;
    return INT32_MAX - inner * 255 * 255;
}

/* v = round_half_even(b / u) by channel, u = sx * sw the unit of the sum: what ONNX Runtime stores where it quantizes a bias.
 * Before they are rounded to steps of sy, results move by |b - v*u| <= u/2, and u is a small part of sy wherever 8 bits
 * describe a sum of many products. A move of more than sy/2 is declined, so that no result is off by more than one step;
 * -ffp=strict declines any. */
static bool round_bias(const Rw *rw, const Product *p, const Vector *b, int32_t *v)
{
    const double most = largest_bias(rw, p), off = rw->p->cx->fp == FP_strict ? 0 : p->y.scale / 2;
    for (int64_t k = 0; k < b->n; k++) {
        const double u = p->x.scale * vector_element(rw, p->w.scale, k), real = vector_value(rw, b, k);
        const double units = nearbyint(real / u);
        if (!(fabs(units) <= most && fabs(real - units * u) <= off)) return false;
        v[k] = (int32_t)units;
    }
    return true;
}

/* The bias t of the product: as it is where that is on the scale of the sum, else rounded to it. */
static bool set_bias(Rw *rw, TensorId t, Product *p)
{
    Vector b;
    if (!bias_of(rw, t, p->w.n, &b)) return false;
    p->bias = b.data;
    if (is_sum_bias(rw, &b, &p->x, &p->w)) return true;
    int32_t *v = NEWN(rw->a, int32_t, b.n + 1);
    if (!round_bias(rw, p, &b, v)) return false;
    p->bias = graph_const(rw->g, str_fmt(rw->a, "%s.units", rw_tensor(rw, b.data)->name), DT_i32, 1, &b.n, v);
    return true;
}

/* ---- rules ---- */

/* The bias is last: where it is not declined, the graph changes. */
static bool product_of(Rw *rw, const Match *m, int64_t n, int axis, Product *p)
{
    *p = (Product){0};
    if (!quant_of(rw, m->n['X'], &p->x) || !quant_of(rw, m->root, &p->y) || !vector_of(rw, m->n['W'], n, axis, &p->w))
        return false;
    if (!is_byte(rw, m->t['x']) || !is_byte(rw, p->w.data) || dtype_info(p->y.dt)->bits != 8) return false;
    return is_none(m->t['e']) || set_bias(rw, m->t['e'], p);
}

/* Q(Conv(D(x), D(w), b))  ==  QLinearConv */
bool integer_conv(Rw *rw, const Match *m)
{
    const Node *conv = rw_node(rw, m->n['C']);
    const Tensor *w = rw_tensor(rw, m->t['w']);
    Product p;
    if (!ex_is_const(w->dim[0]) || !product_of(rw, m, w->dim[0]->v.i, 0, &p)) return false;
    const TensorId in[] = {m->t['x'],    p.x.at_scale,      zero_of(rw, &p.x),
                           p.w.data,     p.w.scale,         vector_zero(rw, &p.w),
                           p.y.at_scale, zero_of(rw, &p.y), p.bias};
    rw_become(rw, m->root, op_find("", "QLinearConv"), is_none(p.bias) ? 8 : 9, in, conv->nattr, conv->attr);
    return true;
}

/* Q(Gemm(D(x), D(w), b))  ==  QGemm, with alpha and beta 1 */
bool integer_gemm(Rw *rw, const Match *m)
{
    const OpCtx c = rw_ctx(rw, m->n['C']);
    const bool rows = attr_i(&c, "transB") != 0;
    const Tensor *w = rw_tensor(rw, m->t['w']);
    Product p;
    if (attr_i(&c, "transA") != 0 || attr_f(&c, "alpha") != 1 || (!is_none(m->t['e']) && attr_f(&c, "beta") != 1)) return false;
    if (!ex_is_const(w->dim[!rows]) || !product_of(rw, m, w->dim[!rows]->v.i, !rows, &p)) return false;
    const TensorId in[] = {m->t['x'],
                           p.x.at_scale,
                           zero_of(rw, &p.x),
                           p.w.data,
                           p.w.scale,
                           vector_zero(rw, &p.w),
                           p.bias,
                           p.y.at_scale,
                           zero_of(rw, &p.y)};
    const Attr attr = {.name = "transB", .type = AT_i, .v.i = rows};
    rw_become(rw, m->root, op_find("com.microsoft", "QGemm"), COUNT(in), in, 1, &attr);
    return true;
}

/* Q(MatMul(D(x), D(w)) + b)  ==  QGemm, of matrices */
bool integer_matmul_bias(Rw *rw, const Match *m)
{
    const Tensor *w = rw_tensor(rw, m->t['w']);
    Product p;
    if (w->rank != 2 || rw_tensor(rw, m->t['x'])->rank != 2 || rw_tensor(rw, m->t['e'])->rank > 2) return false;
    if (!ex_is_const(w->dim[1]) || !product_of(rw, m, w->dim[1]->v.i, 1, &p)) return false;
    const TensorId in[] = {m->t['x'], p.x.at_scale, zero_of(rw, &p.x), p.w.data, p.w.scale, vector_zero(rw, &p.w),
                           p.bias,    p.y.at_scale, zero_of(rw, &p.y)};
    rw_become(rw, m->root, op_find("com.microsoft", "QGemm"), COUNT(in), in, 0, NULL);
    return true;
}

/* Q(MatMul(D(x), D(w)))  ==  QLinearMatMul; w is a constant, with one scale or one for each column, or an activation */
bool integer_matmul(Rw *rw, const Match *m)
{
    const Tensor *w = rw_tensor(rw, m->t['w']);
    const Expr *columns = w->rank == 2 ? w->dim[1] : NULL;
    Product p;
    if (!product_of(rw, m, columns && ex_is_const(columns) ? columns->v.i : 1, w->rank - 1, &p)) return false;
    const TensorId in[] = {m->t['x'], p.x.at_scale,          zero_of(rw, &p.x), p.w.data,
                           p.w.scale, vector_zero(rw, &p.w), p.y.at_scale,      zero_of(rw, &p.y)};
    rw_become(rw, m->root, op_find("", "QLinearMatMul"), COUNT(in), in, 0, NULL);
    return true;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Products of dequantized operands in front of a quantization become products of integers: a convolution QLinearConv, a
 * matrix product QGemm or QLinearMatMul.
 */
#include "integer.h"

#include <math.h>

/* The bias is an i32 on the scale of the sum, x * w; tools round the product of scales to f32. */
static bool is_sum_bias(Rw *rw, const Vector *b, const Quant *x, const Vector *w)
{
    const Tensor *t = rw_tensor(rw, b->data);
    if (t->kind != TK_CONST || t->dt != DT_i32 || t->data->count != b->n) return false;
    for (int64_t k = 0; k < b->n; k++) {
        const double want = x->scale * vector_element(rw, w->scale, k), have = vector_element(rw, b->scale, k);
        if (vector_element(rw, b->zero, k) != 0 || fabs(have - want) > want * 0x1p-20) return false;
    }
    return true;
}

/* A product: activation D(x), weight D(w) of n channels along `axis`, perhaps bias D(b), result Q(..). */
typedef struct Product {
    Quant x, y;
    Vector w, b;
    bool bias;
} Product;

static bool product_of(Rw *rw, const Match *m, int64_t n, int axis, Product *p)
{
    p->bias = m->n['B'].i != 0;
    if (!quant_of(rw, m->n['X'], &p->x) || !quant_of(rw, m->root, &p->y) || !vector_of(rw, m->n['W'], n, axis, &p->w))
        return false;
    if (!is_byte(rw, m->t['x']) || !is_byte(rw, p->w.data) || dtype_info(p->y.dt)->bits != 8) return false;
    return !p->bias || (vector_of(rw, m->n['B'], n, 0, &p->b) && is_sum_bias(rw, &p->b, &p->x, &p->w));
}

/* Q(Conv(D(x), D(w), D(b)))  ==  QLinearConv */
bool integer_conv(Rw *rw, const Match *m)
{
    const Node *conv = rw_node(rw, m->n['C']);
    const Tensor *w = rw_tensor(rw, m->t['w']);
    Product p;
    if (!ex_is_const(w->dim[0]) || !product_of(rw, m, w->dim[0]->v.i, 0, &p)) return false;
    const TensorId in[] = {m->t['x'],    p.x.at_scale,      zero_of(rw, &p.x),
                           p.w.data,     p.w.scale,         vector_zero(rw, &p.w),
                           p.y.at_scale, zero_of(rw, &p.y), p.b.data};
    rw_become(rw, m->root, op_find("", "QLinearConv"), p.bias ? 9 : 8, in, conv->nattr, conv->attr);
    return true;
}

/* Q(Gemm(D(x), D(w), D(b)))  ==  QGemm, with alpha and beta 1 */
bool integer_gemm(Rw *rw, const Match *m)
{
    const OpCtx c = rw_ctx(rw, m->n['C']);
    const bool rows = attr_i(&c, "transB") != 0;
    const Tensor *w = rw_tensor(rw, m->t['w']);
    Product p;
    if (attr_i(&c, "transA") != 0 || attr_f(&c, "alpha") != 1 || (m->n['B'].i && attr_f(&c, "beta") != 1)) return false;
    if (!ex_is_const(w->dim[!rows]) || !product_of(rw, m, w->dim[!rows]->v.i, !rows, &p)) return false;
    const TensorId in[] = {m->t['x'],
                           p.x.at_scale,
                           zero_of(rw, &p.x),
                           p.w.data,
                           p.w.scale,
                           vector_zero(rw, &p.w),
                           p.bias ? p.b.data : (TensorId){0},
                           p.y.at_scale,
                           zero_of(rw, &p.y)};
    const Attr attr = {.name = "transB", .type = AT_i, .v.i = rows};
    rw_become(rw, m->root, op_find("com.microsoft", "QGemm"), COUNT(in), in, 1, &attr);
    return true;
}

/* Q(MatMul(D(x), D(w)) + D(b))  ==  QGemm, of matrices */
bool integer_matmul_bias(Rw *rw, const Match *m)
{
    const Tensor *w = rw_tensor(rw, m->t['w']);
    Product p;
    if (w->rank != 2 || rw_tensor(rw, m->t['x'])->rank != 2 || rw_tensor(rw, m->t['e'])->rank != 1) return false;
    if (!ex_is_const(w->dim[1]) || !product_of(rw, m, w->dim[1]->v.i, 1, &p)) return false;
    const TensorId in[] = {m->t['x'], p.x.at_scale, zero_of(rw, &p.x), p.w.data, p.w.scale, vector_zero(rw, &p.w),
                           p.b.data,  p.y.at_scale, zero_of(rw, &p.y)};
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

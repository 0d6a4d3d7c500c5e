/* SPDX-License-Identifier: Apache-2.0
 * Rules that fold constants into the weights of what they follow. */
#include <math.h>

#include "../../ir/op.h"
#include "../rewrite.h"

static bool static_dims(const Tensor *t, int64_t *dim)
{
    for (uint8_t d = 0; d < t->rank; d++) {
        if (!ex_is_const(t->dim[d])) return false;
        dim[d] = t->dim[d]->v.i;
    }
    return true;
}

/* The weight is large and nothing before emission needs its values but few of them, so it is computed when it is written. */
static TensorId scaled(Rw *rw, const Tensor *w, const int64_t *dim, double alpha, const double *k, int64_t n, int64_t each)
{
    return rw_const(rw, str_fmt(rw->a, "%s.scaled", w->name), w->rank, dim, blob_scaled(rw->g->cx->arena, w->data, alpha, k, n, each));
}

/* w[m,..] * k[m] and a bias, as new constants; b: old bias or none. */
static void scaled_conv(Rw *rw, const Match *m, TensorId w, TensorId b, const double *k, const double *offset,
                        int64_t channels)
{
    int64_t dim[MAX_RANK];
    const Tensor *t = rw_tensor(rw, w);
    (void)static_dims(t, dim);
    const int64_t each = t->data->count / channels;
    float *bias = NEWN(rw->a, float, channels);
    for (int64_t c = 0; c < channels; c++)
        bias[c] = (float)((is_none(b) ? 0 : blob_f(rw_tensor(rw, b)->data, c)) * k[c] + offset[c]);
    const Node *conv = rw_node(rw, m->n['C']);
    const TensorId in[] = {conv->in[0], scaled(rw, t, dim, 1, k, channels, each),
                           rw_const_f32(rw, str_fmt(rw->a, "%s.bias", t->name), 1, &channels, bias)};
    rw_become(rw, m->root, conv->op, 3, in, conv->nattr, conv->attr);
}

/* Output channels of convolution C when its weight can be rewritten, else 0. */
static int64_t channels_of(const Rw *rw, const Match *m)
{
    const Tensor *w = rw_tensor(rw, m->t['w']);
    int64_t dim[MAX_RANK];
    const bool good = w->dt == DT_f32 && static_dims(w, dim) && !w->data->fill && w->data->count > 0;
    return good ? dim[0] : 0;
}

/* One value per channel of dimension 1 of a rank-r tensor: shape [n], [n,1..], [1,n,1..] read against [N,n,..]. */
static bool per_channel(Rw *rw, TensorId t, uint8_t rank, int64_t n, double *v)
{
    const Tensor *c = rw_tensor(rw, t);
    int64_t dim[MAX_RANK];
    if (!static_dims(c, dim) || c->rank > rank) return false;
    for (uint8_t d = 0; d < c->rank; d++)
        if (dim[d] != 1 && (d + rank - c->rank != 1 || dim[d] != n)) return false;
    return rw_floats(rw, t, n, v);
}

bool rule_norm_affine(Rw *rw, const Match *m, int64_t n, double *s, double *o)
{
    const OpCtx bn = rw_ctx(rw, m->root);
    double *mean = NEWN(rw->a, double, n), *var = NEWN(rw->a, double, n);
    if (attr_i(&bn, "training_mode") || bn.n->nout > 1 || !rw_floats(rw, m->t['s'], n, s) ||
        !rw_floats(rw, m->t['o'], n, o) || !rw_floats(rw, m->t['m'], n, mean) || !rw_floats(rw, m->t['v'], n, var))
        return false;
    for (int64_t c = 0; c < n; c++) {
        s[c] = s[c] / sqrt(var[c] + attr_f(&bn, "epsilon"));
        o[c] -= mean[c] * s[c];
    }
    return true;
}

/* (conv(x,w)+b)*s + o  ==  conv(x, w*s) + b*s + o */
static bool fold_conv_bn(Rw *rw, const Match *m)
{
    const int64_t n = channels_of(rw, m);
    double *s = NEWN(rw->a, double, n), *o = NEWN(rw->a, double, n);
    if (!n || !rule_norm_affine(rw, m, n, s, o)) return false;
    scaled_conv(rw, m, m->t['w'], m->t['b'], s, o, n);
    return true;
}

typedef struct Line {
    double k, o;
} Line; /* z*k + o */

/* A convolution and then an affine map for each channel, which step makes from the channel's constant. */
static bool fold_conv(Rw *rw, const Match *m, Line (*step)(double c))
{
    const int64_t n = channels_of(rw, m);
    double *k = NEWN(rw->a, double, n), *o = NEWN(rw->a, double, n), *c = NEWN(rw->a, double, n);
    if (!n || !per_channel(rw, m->t['c'], rw_tensor(rw, m->t['w'])->rank, n, c)) return false;
    for (int64_t q = 0; q < n; q++) {
        k[q] = step(c[q]).k;
        o[q] = step(c[q]).o;
        if (!isfinite(k[q])) return false;
    }
    scaled_conv(rw, m, m->t['w'], m->t['b'], k, o, n);
    return true;
}

static Line plus(double c)
{
    return (Line){1, c};
}
static Line minus(double c)
{
    return (Line){1, -c};
}
static Line times(double c)
{
    return (Line){c, 0};
}
static Line over(double c)
{
    return (Line){1 / c, 0};
}

/* conv(x,w)+b + c  ==  conv(x, w) + (b+c),  c one value per output channel */
static bool fold_conv_add(Rw *rw, const Match *m)
{
    return fold_conv(rw, m, plus);
}

/* conv(x,w)+b - c  ==  conv(x, w) + (b-c) */
static bool fold_conv_sub(Rw *rw, const Match *m)
{
    return fold_conv(rw, m, minus);
}

/* (conv(x,w)+b) * c  ==  conv(x, w*c) + b*c */
static bool fold_conv_mul(Rw *rw, const Match *m)
{
    return fold_conv(rw, m, times);
}

/* (conv(x,w)+b) / c  ==  conv(x, w/c) + b/c,  c not 0 */
static bool fold_conv_div(Rw *rw, const Match *m)
{
    return fold_conv(rw, m, over);
}

/* ---- matrix products ---- */

/* y = (alpha*x*w + beta*b)*s + o  ==  x*(alpha*w*s) + (beta*b*s + o),  s and o one value per column; also of MatMul,
 * where alpha is 1 and b is absent. x and w are matrices. */
static bool fold_product_bn(Rw *rw, const Match *m)
{
    const OpCtx g = rw_ctx(rw, m->n['G']);
    const Tensor *w = rw_tensor(rw, m->t['w']);
    int64_t dim[MAX_RANK];
    if (w->dt != DT_f32 || w->rank != 2 || rw_tensor(rw, m->t['x'])->rank != 2 || !static_dims(w, dim) ||
        w->data->fill || w->data->count == 0)
        return false;
    const bool gemm = attr_has(&g, "alpha"), rows = gemm && attr_i(&g, "transB");
    const int64_t n = dim[rows ? 0 : 1], each = dim[rows ? 1 : 0];
    const double alpha = gemm ? attr_f(&g, "alpha") : 1, beta = gemm ? attr_f(&g, "beta") : 1;
    double *s = NEWN(rw->a, double, n), *o = NEWN(rw->a, double, n), *b = NEWN(rw->a, double, n);
    if (!rule_norm_affine(rw, m, n, s, o) || (!is_none(m->t['b']) && !per_channel(rw, m->t['b'], 2, n, b))) return false;
    float *bias = NEWN(rw->a, float, n);
    for (int64_t c = 0; c < n; c++) bias[c] = (float)(beta * b[c] * s[c] + o[c]);
    const Attr attr[] = {{.name = "transA", .type = AT_i, .v.i = gemm ? attr_i(&g, "transA") : 0},
                         {.name = "transB", .type = AT_i, .v.i = rows}};
    const TensorId in[] = {m->t['x'], scaled(rw, w, dim, alpha, s, n, rows ? each : 1),
                           rw_const_f32(rw, str_fmt(rw->a, "%s.bias", w->name), 1, &n, bias)};
    rw_become(rw, m->root, op_find("", "Gemm"), 3, in, COUNT(attr), attr);
    return true;
}

/* x*w + c  ==  gemm(x, w, c),  c one value per column */
static bool join_product_add(Rw *rw, const Match *m)
{
    const Tensor *w = rw_tensor(rw, m->t['w']);
    int64_t dim[MAX_RANK];
    if (w->dt != DT_f32 || w->rank != 2 || rw_tensor(rw, m->t['x'])->rank != 2 || !static_dims(w, dim)) return false;
    double *c = NEWN(rw->a, double, dim[1]);
    if (!per_channel(rw, m->t['c'], 2, dim[1], c)) return false;
    const TensorId in[] = {m->t['x'], m->t['w'], m->t['c']};
    rw_become(rw, m->root, op_find("", "Gemm"), 3, in, 0, NULL);
    return true;
}

const Rule rules_fuse[] = {
    {"conv-bn", "(BatchNormalization (Conv!:C x #w #?b) #s #o #m #v)", fold_conv_bn},
    {"conv-add", "(Add (Conv!:C x #w #?b) #c)", fold_conv_add},
    {"conv-mul", "(Mul (Conv!:C x #w #?b) #c)", fold_conv_mul},
    {"conv-sub", "(Sub (Conv!:C x #w #?b) #c)", fold_conv_sub},
    {"conv-div", "(Div (Conv!:C x #w #?b) #c)", fold_conv_div},
    {"gemm-bn", "(BatchNormalization (Gemm!:G x #w #?b) #s #o #m #v)", fold_product_bn},
    {"matmul-bn", "(BatchNormalization (MatMul!:G x #w) #s #o #m #v)", fold_product_bn},
    {"matmul-add", "(Add (MatMul! x #w) #c)", join_product_add},
    {0},
};

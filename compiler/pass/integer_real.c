/* SPDX-License-Identifier: Apache-2.0
 *
 * BatchNormalization that the quantizer left behind a convolution of dequantized operands:
 *
 *   Norm(Conv(D(x), D(w), b))  ==  f32(ConvInteger(x, w))*k + o      k: scales of x, w and Norm; o: its offset and b
 *
 * The right side is again a BatchNormalization, with mean 0 and variance 1. Both sides round reals, so they differ as two
 * orders of a sum do: the sum of integers is exact where that of floats is rounded at each step.
 */
#include "integer.h"

/* A convolution of bytes with a constant weight of n channels. */
typedef struct Sum {
    Quant x;
    Vector w, b;
    bool bias;
    int64_t n;
} Sum;

static bool sum_of(Rw *rw, const Match *m, Sum *s)
{
    const Expr *channels = rw_tensor(rw, m->t['w'])->dim[0];
    *s = (Sum){.bias = !is_none(m->t['e']), .n = ex_is_const(channels) ? channels->v.i : 0};
    if (s->n < 1 || !quant_of(rw, m->n['X'], &s->x) || !vector_of(rw, m->n['W'], s->n, 0, &s->w)) return false;
    if (!is_byte(rw, m->t['x']) || !is_byte(rw, s->w.data)) return false;
    return !s->bias || bias_of(rw, m->t['e'], s->n, &s->b);
}

static TensorId channels_const(Rw *rw, const char *hint, int64_t n, const double *v)
{
    float *f = NEWN(rw->a, float, n);
    for (int64_t k = 0; k < n; k++) f[k] = (float)v[k];
    return rw_const_f32(rw, hint, 1, &n, f);
}

/* f32(ConvInteger(x, w)) before the root. */
static TensorId real_sum(Rw *rw, const Match *m, const Sum *s)
{
    const Node *conv = rw_node(rw, m->n['C']);
    const TensorId in[] = {m->t['x'], s->w.data, zero_of(rw, &s->x), vector_zero(rw, &s->w)};
    const Attr to = {.name = "to", .type = AT_i, .v.i = dtype_info(DT_f32)->onnx};
    Tensor like = *rw_tensor(rw, conv->out[0]);
    like.dt = DT_i32;
    const TensorId sum = rw_add(rw, m->root, op_find("", "ConvInteger"), COUNT(in), in, conv->nattr, conv->attr, &like);
    like.dt = DT_f32;
    return rw_add(rw, m->root, op_find("", "Cast"), 1, &sum, 1, &to, &like);
}

bool integer_norm(Rw *rw, const Match *m)
{
    Sum s;
    if (!sum_of(rw, m, &s)) return false;
    double *k = NEWN(rw->a, double, s.n), *o = NEWN(rw->a, double, s.n), *mean = NEWN(rw->a, double, s.n),
           *var = NEWN(rw->a, double, s.n);
    if (!rule_norm_affine(rw, m, s.n, k, o)) return false;
    for (int64_t c = 0; c < s.n; c++) {
        if (s.bias) o[c] += vector_value(rw, &s.b, c) * k[c];
        k[c] *= s.x.scale * vector_element(rw, s.w.scale, c);
        var[c] = 1;
    }
    const Attr exact = {.name = "epsilon", .type = AT_f, .v.f = 0};
    const TensorId in[] = {real_sum(rw, m, &s), channels_const(rw, "scale", s.n, k),
                           channels_const(rw, "offset", s.n, o), channels_const(rw, "mean", s.n, mean),
                           channels_const(rw, "var", s.n, var)};
    rw_become(rw, m->root, rw_node(rw, m->root)->op, COUNT(in), in, 1, &exact);
    return true;
}

/* SPDX-License-Identifier: Apache-2.0
 * Rules that remove arithmetic without effect, and bring constants to the right so that others need one form. */
#include <math.h>

#include "../../ir/op.h"
#include "../rewrite.h"

static bool same_type_and_shape(const Rw *rw, TensorId p, TensorId q)
{
    const Tensor *a = rw_tensor(rw, p), *b = rw_tensor(rw, q);
    bool same = a->dt == b->dt && a->ranked && b->ranked && a->rank == b->rank;
    for (uint8_t d = 0; same && d < a->rank; d++) same = a->dim[d] == b->dim[d];
    return same;
}

/* Every element of constant t equals v, sign of zero included. */
static bool all_equal(const Rw *rw, TensorId t, double v)
{
    const Blob *b = rw_tensor(rw, t)->data;
    if (b->dt == DT_str || dtype_info(b->dt)->cls == DC_C || b->count == 0) return false;
    const int64_t n = b->fill ? 1 : b->count;
    for (int64_t k = 0; k < n; k++) {
        const double e = dtype_is_float(b->dt) ? blob_f(b, k) : (double)blob_i(b, k);
        if (e != v || signbit(e) != signbit(v)) return false;
    }
    return true;
}

static TensorId result(const Rw *rw, const Match *m)
{
    return rw_node(rw, m->root)->out[0];
}

static bool forward_x(Rw *rw, const Match *m)
{
    return same_type_and_shape(rw, m->t['x'], result(rw, m)) && rw_forward(rw, m->root, m->t['x']);
}

/* c + x == x + c */
static bool constant_right(Rw *rw, const Match *m)
{
    const Node *n = rw_node(rw, m->root);
    if (rw_tensor(rw, m->t['x'])->kind == TK_CONST) return false;
    const TensorId in[] = {m->t['x'], m->t['c']};
    rw_become(rw, m->root, n->op, 2, in, n->nattr, n->attr);
    return true;
}

/* x * 1 == x, x / 1 == x */
static bool drop_one(Rw *rw, const Match *m)
{
    return all_equal(rw, m->t['c'], 1) && forward_x(rw, m);
}

/* x - 0 == x; x + 0 is x for integers, but -0.0 + 0.0 is 0.0 */
static bool drop_zero_sub(Rw *rw, const Match *m)
{
    return all_equal(rw, m->t['c'], 0) && forward_x(rw, m);
}

static bool drop_zero_add(Rw *rw, const Match *m)
{
    const double zero = dtype_is_float(rw_tensor(rw, m->t['x'])->dt) ? -0.0 : 0.0;
    return all_equal(rw, m->t['c'], zero) && forward_x(rw, m);
}

/* Dropout outside training is the identity. */
static bool drop_dropout(Rw *rw, const Match *m)
{
    return rw_node(rw, m->root)->nout == 1 && forward_x(rw, m);
}

/* A cast to the type it has. */
static bool drop_cast(Rw *rw, const Match *m)
{
    return forward_x(rw, m);
}

/* x / c == x * (1/c) where 1/c is exact: c is a power of two, and neither overflows. Mul never becomes Div again. */
static bool divide_exactly(Rw *rw, const Match *m)
{
    const Tensor *c = rw_tensor(rw, m->t['c']);
    int64_t dim[MAX_RANK];
    if (c->dt != DT_f32 || c->data->count == 0) return false;
    float *v = NEWN(rw->a, float, c->data->count);
    for (int64_t k = 0; k < c->data->count; k++) {
        int e;
        const double d = blob_f(c->data, k);
        if (fabs(frexp(d, &e)) != 0.5 || e < -120 || e > 120) return false;
        v[k] = (float)(1 / d);
    }
    for (uint8_t d = 0; d < c->rank; d++) dim[d] = c->dim[d]->v.i;
    const TensorId in[] = {m->t['x'], rw_const_f32(rw, str_fmt(rw->a, "%s.inverse", c->name), c->rank, dim, v)};
    rw_become(rw, m->root, op_find("", "Mul"), 2, in, 0, NULL);
    return true;
}

/* ---- clamps: min(max(x, lo), hi) ---- */

/* A bound that is a constant, or absent: `none` then. A bound of -0 would clamp differently from Relu's. */
static bool bound(const Rw *rw, TensorId t, double none, double *v)
{
    *v = none;
    return is_none(t) ||
           (rw_tensor(rw, t)->dt == DT_f32 && rw_floats(rw, t, 1, v) && !isnan(*v) && !(*v == 0 && signbit(*v)));
}

static TensorId bound_const(Rw *rw, double v)
{
    const float f = (float)v;
    return isinf(v) ? (TensorId){0} : rw_const_f32(rw, "bound", 0, NULL, &f);
}

/* The root clamps x. */
static bool clamp(Rw *rw, const Match *m, double lo, double hi)
{
    if (lo == INFINITY || hi == -INFINITY) return false;
    const TensorId in[] = {m->t['x'], bound_const(rw, lo), bound_const(rw, hi)};
    rw_become(rw, m->root, op_find("", "Clip"), 3, in, 0, NULL);
    return true;
}

/* min(max(max(x, 0), l), h) == min(max(x, max(l, 0)), h) */
static bool clip_relu(Rw *rw, const Match *m)
{
    double l, h;
    return rw_tensor(rw, m->t['x'])->dt == DT_f32 && bound(rw, m->t['l'], 0, &l) &&
           bound(rw, m->t['h'], INFINITY, &h) && clamp(rw, m, fmax(l, 0), h);
}

/* max(min(max(x, l), h), 0) == min(max(x, max(l, 0)), max(h, 0)) */
static bool relu_clip(Rw *rw, const Match *m)
{
    double l, h;
    return rw_tensor(rw, m->t['x'])->dt == DT_f32 && bound(rw, m->t['l'], 0, &l) &&
           bound(rw, m->t['h'], INFINITY, &h) && clamp(rw, m, fmax(l, 0), fmax(h, 0));
}

/* min(max(min(max(x, a), b), l), h) == min(max(x, max(a, l)), min(max(b, l), h)) */
static bool clip_clip(Rw *rw, const Match *m)
{
    double a, b, l, h;
    return rw_tensor(rw, m->t['x'])->dt == DT_f32 && bound(rw, m->t['a'], -INFINITY, &a) &&
           bound(rw, m->t['b'], INFINITY, &b) && bound(rw, m->t['l'], -INFINITY, &l) &&
           bound(rw, m->t['h'], INFINITY, &h) && clamp(rw, m, fmax(a, l), fmin(fmax(b, l), h));
}

/* max(max(x, 0), 0) == max(x, 0) */
static bool relu_relu(Rw *rw, const Match *m)
{
    rw_become(rw, m->root, rw_node(rw, m->root)->op, 1, &m->t['x'], 0, NULL);
    return true;
}

const Rule rules_algebra[] = {
    {"identity", "(Identity x)", forward_x},
    {"dropout", "(Dropout x)", drop_dropout},
    {"dropout-ratio", "(Dropout x #r)", drop_dropout},
    {"cast-same", "(Cast x)", drop_cast},
    {"add-right", "(Add #c x)", constant_right},
    {"mul-right", "(Mul #c x)", constant_right},
    {"mul-one", "(Mul x #c)", drop_one},
    {"div-one", "(Div x #c)", drop_one},
    {"sub-zero", "(Sub x #c)", drop_zero_sub},
    {"add-zero", "(Add x #c)", drop_zero_add},
    {"div-exact", "(Div x #c)", divide_exactly},
    {"relu-relu", "(Relu (Relu! x))", relu_relu},
    {"clip-relu", "(Clip (Relu! x) #?l #?h)", clip_relu},
    {"relu-clip", "(Relu (Clip! x #?l #?h))", relu_clip},
    {"clip-clip", "(Clip (Clip! x #?a #?b) #?l #?h)", clip_clip},
    {0},
};

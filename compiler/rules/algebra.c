/* SPDX-License-Identifier: Apache-2.0
 * Rules that remove arithmetic without effect, and bring constants to the right so that others need one form. */
#include <math.h>

#include "../../ir/op.h"
#include "../rewrite.h"

static bool same_type_and_shape(const Rw *rw, TensorId p, TensorId q)
{
    const Tensor *a = rw_tensor(rw, p), *b = rw_tensor(rw, q);
    bool same = a->dt == b->dt && a->ranked && b->ranked && a->rank == b->rank;
    for (uint8_t d = 0; same && d < a->rank; d++)
        same = a->dim[d] == b->dim[d];
    return same;
}

/* Every element of constant t equals v, sign of zero included. */
static bool all_equal(const Rw *rw, TensorId t, double v)
{
    const Blob *b = rw_tensor(rw, t)->data;
    if (b->dt == DT_str || dtype_info(b->dt)->cls == DC_C || b->count == 0)
        return false;
    const int64_t n = b->fill ? 1 : b->count;
    for (int64_t k = 0; k < n; k++) {
        const double e = dtype_is_float(b->dt) ? blob_f(b, k) : (double)blob_i(b, k);
        if (e != v || signbit(e) != signbit(v))
            return false;
    }
    return true;
}

static TensorId result(const Rw *rw, const Match *m) { return rw_node(rw, m->root)->out[0]; }

static bool forward_x(Rw *rw, const Match *m)
{
    return same_type_and_shape(rw, m->t['x'], result(rw, m)) && rw_forward(rw, m->root, m->t['x']);
}

/* c + x == x + c */
static bool constant_right(Rw *rw, const Match *m)
{
    const Node *n = rw_node(rw, m->root);
    if (rw_tensor(rw, m->t['x'])->kind == TK_CONST)
        return false;
    const TensorId in[] = {m->t['x'], m->t['c']};
    rw_become(rw, m->root, n->op, 2, in, n->nattr, n->attr);
    return true;
}

/* x * 1 == x, x / 1 == x */
static bool drop_one(Rw *rw, const Match *m) { return all_equal(rw, m->t['c'], 1) && forward_x(rw, m); }

/* x - 0 == x; x + 0 is x for integers, but -0.0 + 0.0 is 0.0 */
static bool drop_zero_sub(Rw *rw, const Match *m) { return all_equal(rw, m->t['c'], 0) && forward_x(rw, m); }

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
static bool drop_cast(Rw *rw, const Match *m) { return forward_x(rw, m); }

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
    {0},
};

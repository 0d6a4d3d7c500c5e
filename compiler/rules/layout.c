/* SPDX-License-Identifier: Apache-2.0
 * Rules on data movement. Views cost nothing once they are stages; these keep chains of them short. */
#include "../../ir/op.h"
#include "../rewrite.h"

/* transpose(transpose(x, p), q) == transpose(x, r) with r[k] = p[q[k]] */
static bool join_transposes(Rw *rw, const Match *m)
{
    const OpCtx outer = rw_ctx(rw, m->root), inner = rw_ctx(rw, m->n['T']);
    uint32_t n, np;
    const int64_t *q = attr_is(&outer, "perm", &n), *p = attr_is(&inner, "perm", &np);
    const uint8_t rank = rw_tensor(rw, m->t['x'])->rank;
    if (!p || !q || n != rank || np != rank)
        return false;
    int64_t *r = NEWN(rw->p->cx->arena, int64_t, rank + 1);
    bool identity = true;
    for (uint8_t k = 0; k < rank; k++) {
        r[k] = p[q[k]];
        identity = identity && r[k] == k;
    }
    if (identity && rw_forward(rw, m->root, m->t['x']))
        return true;
    const Attr perm = {.name = "perm", .type = AT_is, .n = rank, .v.is = r};
    rw_become(rw, m->root, rw_node(rw, m->root)->op, 1, &m->t['x'], 1, &perm);
    return true;
}

/* reshape(reshape(x, p), q) == reshape(x, q); a 0 in q copies a dimension of the inner result, so it declines */
static bool join_reshapes(Rw *rw, const Match *m)
{
    const Blob *shape = rw_tensor(rw, m->t['q'])->data;
    for (int64_t k = 0; k < shape->count; k++)
        if (blob_i(shape, k) == 0)
            return false;
    const Node *n = rw_node(rw, m->root);
    const TensorId in[] = {m->t['x'], m->t['q']};
    rw_become(rw, m->root, n->op, 2, in, n->nattr, n->attr);
    return true;
}

static bool is_identity(const int64_t *p, const int64_t *q, uint32_t n)
{
    for (uint32_t k = 0; k < n; k++)
        if (p[q[k]] != (int64_t)k)
            return false;
    return true;
}

/* The constants of an elementwise node go with it: one element as it is, a vector of a broadcasting operator permuted. */
static bool permuted(Rw *rw, const Node *e, TensorId t, uint8_t rank, const int64_t *q, TensorId *out)
{
    const Tensor *c = rw_tensor(rw, t);
    const Blob *b = c->data;
    int64_t dim[MAX_RANK], wide = 0;
    *out = t;
    if (b->count == 1 && c->rank <= 1)
        return true;
    if (!e->op->expr || c->dt != DT_f32 || c->rank > rank)
        return false;
    for (uint8_t d = 0; d < rank; d++) {
        const int64_t from = q[d] - (rank - c->rank);
        dim[d] = from < 0 ? 1 : c->dim[from]->v.i;
        wide += dim[d] != 1;
    }
    float *v = NEWN(rw->a, float, b->count);
    blob_get(b, 0, b->count, v);
    if (wide > 1)
        return false;
    *out = rw_const_f32(rw, c->name, rank, dim, v);
    return true;
}

/* transpose(f(transpose(x, p), c), q) == f(x, transpose(c, q)) where p and q cancel and f is elementwise */
static bool cross_elementwise(Rw *rw, const Match *m)
{
    const OpCtx outer = rw_ctx(rw, m->root), inner = rw_ctx(rw, m->n['T']);
    const Node *e = rw_node(rw, m->n['E']);
    uint32_t n, np;
    const int64_t *q = attr_is(&outer, "perm", &n), *p = attr_is(&inner, "perm", &np);
    TensorId *in = NEWN(rw->a, TensorId, e->nin);
    if (!p || !q || n != np || !is_identity(p, q, n))
        return false;
    for (uint16_t k = 0; k < e->nin; k++) {
        const bool constant = !is_none(e->in[k]) && rw_tensor(rw, e->in[k])->kind == TK_CONST;
        in[k] = k == 0 ? m->t['x'] : (TensorId){0};
        if (constant && !permuted(rw, e, e->in[k], (uint8_t)n, q, &in[k]))
            return false;
    }
    rw_become(rw, m->root, e->op, e->nin, in, e->nattr, e->attr);
    return true;
}

/* transpose(f(transpose(x, p), transpose(y, p)), q) == f(x, y) where p and q cancel and x and y have the same rank */
static bool cross_binary(Rw *rw, const Match *m)
{
    const OpCtx outer = rw_ctx(rw, m->root), left = rw_ctx(rw, m->n['T']), right = rw_ctx(rw, m->n['U']);
    const Node *e = rw_node(rw, m->n['E']);
    uint32_t n, np, nr;
    const int64_t *q = attr_is(&outer, "perm", &n), *p = attr_is(&left, "perm", &np), *r = attr_is(&right, "perm", &nr);
    if (!p || !q || !r || n != np || n != nr || !is_identity(p, q, n) || !is_identity(r, q, n))
        return false;
    const TensorId in[] = {m->t['x'], m->t['y']};
    rw_become(rw, m->root, e->op, 2, in, e->nattr, e->attr);
    return true;
}

/* ---- pads ---- */

/* Pads of zeros, none negative, around the spatial dimensions alone: before and behind each, as the attribute has them. */
static bool spatial_pads(Rw *rw, const Match *m, uint8_t rank, int64_t *pads)
{
    const OpCtx c = rw_ctx(rw, m->n['P']);
    const Blob *b = rw_tensor(rw, m->t['p'])->data;
    double value = 0;
    if (strcmp(attr_s(&c, "mode"), "constant") != 0 || b->count != 2 * rank || rank < 3 ||
        (!is_none(m->t['v']) && !rw_floats(rw, m->t['v'], 1, &value)) || value != 0)
        return false;
    for (uint8_t k = 0; k < 2 * rank; k++) {
        const int64_t v = blob_i(b, k);
        const uint8_t d = k % rank;
        if (v < 0 || v > INT16_MAX || (d < 2 && v != 0))
            return false;
        if (d >= 2)
            pads[k < rank ? d - 2 : rank - 2 + d - 2] = v;
    }
    return true;
}

/* Adds the pads of window node W to those in pads; false when they are not explicit. */
static bool add_pads(const OpCtx *w, int64_t *pads, bool *some)
{
    uint32_t n = 0;
    const int64_t *own = attr_is(w, "pads", &n);
    *some = false;
    for (uint32_t k = 0; k < n; k++) {
        pads[k] += own[k];
        *some = *some || own[k] != 0;
    }
    return strcmp(attr_s(w, "auto_pad"), "NOTSET") == 0;
}

/* The node becomes one over x with these pads; `also`: one more attribute, or NULL. */
static void with_pads(Rw *rw, const Match *m, uint8_t rank, const int64_t *pads, const Attr *also)
{
    const Node *n = rw_node(rw, m->root);
    TensorId *in = arena_copy(rw->a, n->in, n->nin * sizeof *in);
    Attr *attr = NEWN(rw->a, Attr, n->nattr + 2);
    uint16_t count = 0;
    in[0] = m->t['x'];
    for (uint16_t k = 0; k < n->nattr; k++)
        if (strcmp(n->attr[k].name, "pads") != 0 && !(also && strcmp(n->attr[k].name, also->name) == 0))
            attr[count++] = n->attr[k];
    const uint32_t npads = 2u * (rank - 2u);
    attr[count++] = (Attr){.name = "pads", .type = AT_is, .n = npads, .v.is = arena_copy(rw->p->cx->arena, pads, npads * sizeof *pads)};
    if (also)
        attr[count++] = *also;
    rw_become(rw, m->root, n->op, n->nin, in, count, attr);
}

/* conv(pad(x, p, 0), w, pads q) == conv(x, w, pads p + q) */
static bool pad_into_conv(Rw *rw, const Match *m)
{
    const OpCtx conv = rw_ctx(rw, m->root);
    const uint8_t rank = rw_tensor(rw, m->t['x'])->rank;
    int64_t pads[2 * MAX_RANK] = {0};
    bool some;
    if (!spatial_pads(rw, m, rank, pads) || !add_pads(&conv, pads, &some))
        return false;
    with_pads(rw, m, rank, pads, NULL);
    return true;
}

/* average(pad(x, p, 0), pads q) == average(x, pads p + q) that counts pads, where it counts those of q or there are none */
static bool pad_into_average(Rw *rw, const Match *m)
{
    const OpCtx pool = rw_ctx(rw, m->root);
    const uint8_t rank = rw_tensor(rw, m->t['x'])->rank;
    const Attr count = {.name = "count_include_pad", .type = AT_i, .v.i = 1};
    int64_t pads[2 * MAX_RANK] = {0};
    bool some;
    if (!spatial_pads(rw, m, rank, pads) || !add_pads(&pool, pads, &some) || attr_i(&pool, "ceil_mode"))
        return false;
    if (some && !attr_i(&pool, "count_include_pad"))
        return false;
    with_pads(rw, m, rank, pads, &count);
    return true;
}

const Rule rules_layout[] = {
    {"transpose-transpose", "(Transpose (Transpose:T x))", join_transposes},
    {"reshape-reshape", "(Reshape (Reshape! x _) #q)", join_reshapes},
    {"transpose-relu", "(Transpose (Relu!:E (Transpose:T x)))", cross_elementwise},
    {"transpose-leaky-relu", "(Transpose (LeakyRelu!:E (Transpose:T x)))", cross_elementwise},
    {"transpose-sigmoid", "(Transpose (Sigmoid!:E (Transpose:T x)))", cross_elementwise},
    {"transpose-tanh", "(Transpose (Tanh!:E (Transpose:T x)))", cross_elementwise},
    {"transpose-hard-swish", "(Transpose (HardSwish!:E (Transpose:T x)))", cross_elementwise},
    {"transpose-clip", "(Transpose (Clip!:E (Transpose:T x) #?l #?h))", cross_elementwise},
    {"transpose-quantize", "(Transpose (QuantizeLinear!:E (Transpose:T x) #s #?z))", cross_elementwise},
    {"transpose-dequantize", "(Transpose (DequantizeLinear!:E (Transpose:T x) #s #?z))", cross_elementwise},
    {"transpose-add-constant", "(Transpose (Add!:E (Transpose:T x) #c))", cross_elementwise},
    {"transpose-mul-constant", "(Transpose (Mul!:E (Transpose:T x) #c))", cross_elementwise},
    {"transpose-add", "(Transpose (Add!:E (Transpose:T x) (Transpose:U y)))", cross_binary},
    {"transpose-mul", "(Transpose (Mul!:E (Transpose:T x) (Transpose:U y)))", cross_binary},
    {"pad-conv", "(Conv (Pad!:P x #p #?v) #w #?b)", pad_into_conv},
    {"pad-average", "(AveragePool (Pad!:P x #p #?v))", pad_into_average},
    {0},
};

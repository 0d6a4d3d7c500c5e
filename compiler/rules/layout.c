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
    if (!p || !q || n != rank || np != rank) return false;
    int64_t *r = NEWN(rw->p->cx->arena, int64_t, rank + 1);
    bool identity = true;
    for (uint8_t k = 0; k < rank; k++) {
        r[k] = p[q[k]];
        identity = identity && r[k] == k;
    }
    if (identity && rw_forward(rw, m->root, m->t['x'])) return true;
    const Attr perm = {.name = "perm", .type = AT_is, .n = rank, .v.is = r};
    rw_become(rw, m->root, rw_node(rw, m->root)->op, 1, &m->t['x'], 1, &perm);
    return true;
}

/* reshape(reshape(x, p), q) == reshape(x, q); a 0 in q copies a dimension of the inner result, so it declines */
static bool join_reshapes(Rw *rw, const Match *m)
{
    const Blob *shape = rw_tensor(rw, m->t['q'])->data;
    for (int64_t k = 0; k < shape->count; k++)
        if (blob_i(shape, k) == 0) return false;
    const Node *n = rw_node(rw, m->root);
    const TensorId in[] = {m->t['x'], m->t['q']};
    rw_become(rw, m->root, n->op, 2, in, n->nattr, n->attr);
    return true;
}

/* The extents that are not 1 stay in their order, so the elements do. */
static bool keeps_order(const Tensor *x, const int64_t *perm, uint32_t n)
{
    int64_t last = -1;
    for (uint32_t k = 0; k < n; k++) {
        if (ex_is_int(x->dim[perm[k]], 1)) continue;
        if (perm[k] < last) return false;
        last = perm[k];
    }
    return n == x->rank;
}

/* reshape(transpose(x, p), q) == reshape(x, q) where p moves extents of 1 alone; a 0 in q copies an extent: declined */
static bool reshape_alone(Rw *rw, const Match *m)
{
    const OpCtx c = rw_ctx(rw, m->n['T']);
    uint32_t n = 0;
    const int64_t *perm = attr_is(&c, "perm", &n);
    return perm && keeps_order(rw_tensor(rw, m->t['x']), perm, n) && join_reshapes(rw, m);
}

/* ---- transposes around elementwise operators ---- */

/* A tree of elementwise nodes below transpose q, each used once; its leaves are transposes that q cancels, or constants
 * of the kinds that turn with them. */
typedef struct Tree {
    Rw *rw;
    const int64_t *q;
    uint8_t rank;
} Tree;
enum { TREE_DEPTH = 16 };

static bool is_elementwise(const OpInfo *op)
{
    static const char *const name[] = {"Clip", "QuantizeLinear", "DequantizeLinear", "Cast"};
    bool found = op->expr != NULL;
    for (size_t k = 0; k < COUNT(name); k++) found = found || (*op->domain == 0 && strcmp(op->name, name[k]) == 0);
    return found;
}

static bool cancels(const Tree *t, NodeId n)
{
    const OpCtx c = rw_ctx(t->rw, n);
    uint32_t np = 0;
    const int64_t *p = strcmp(c.n->op->name, "Transpose") == 0 ? attr_is(&c, "perm", &np) : NULL;
    bool same = np == t->rank;
    for (uint8_t k = 0; same && k < t->rank; k++) same = p[t->q[k]] == k;
    return same;
}

/* A constant operand of e turns with it: one element as it is, a vector of a broadcasting operator as [1,..,n,..,1]. */
static bool turns(const Tree *t, const Node *e, const Tensor *c)
{
    int wide = 0;
    for (uint8_t d = 0; d < c->rank; d++) wide += !ex_is_int(c->dim[d], 1);
    return (wide == 0 && c->rank <= 1) || (wide <= 1 && e->op->expr && c->dt == DT_f32 && c->rank <= t->rank);
}

static bool can_cross(const Tree *t, TensorId id, int depth)
{
    const Tensor *v = rw_tensor(t->rw, id);
    const Node *e = v->kind == TK_ACT && v->producer.i ? rw_node(t->rw, v->producer) : NULL;
    if (!e || depth > TREE_DEPTH) return false;
    if (cancels(t, v->producer)) return true;
    bool good = is_elementwise(e->op) && e->nout == 1 && t->rw->uses.at[id.i] == 1, any = false;
    for (uint16_t k = 0; good && k < e->nin; k++) {
        const Tensor *x = is_none(e->in[k]) ? NULL : rw_tensor(t->rw, e->in[k]);
        const bool constant = x && x->kind == TK_CONST;
        good = !x || (constant ? turns(t, e, x) : can_cross(t, e->in[k], depth + 1));
        any = any || (x && !constant);
    }
    return good && any;
}

static TensorId turned_constant(const Tree *t, TensorId id)
{
    const Tensor *c = rw_tensor(t->rw, id);
    int64_t dim[MAX_RANK];
    if (c->data->count == 1 && c->rank <= 1) return id;
    for (uint8_t d = 0; d < t->rank; d++) {
        const int64_t from = t->q[d] - (t->rank - c->rank);
        dim[d] = from < 0 ? 1 : c->dim[from]->v.i;
    }
    float *v = NEWN(t->rw->a, float, c->data->count);
    blob_get(c->data, 0, c->data->count, v);
    return rw_const_f32(t->rw, c->name, t->rank, dim, v);
}

static TensorId crossed(const Tree *t, NodeId before, TensorId id);

static TensorId *crossed_operands(const Tree *t, NodeId before, const Node *e)
{
    TensorId *in = NEWN(t->rw->a, TensorId, e->nin + 1);
    for (uint16_t k = 0; k < e->nin; k++)
        if (!is_none(e->in[k]))
            in[k] = rw_tensor(t->rw, e->in[k])->kind == TK_CONST ? turned_constant(t, e->in[k])
                                                                 : crossed(t, before, e->in[k]);
    return in;
}

/* Tensor id of the tree as it is behind the transpose. */
static TensorId crossed(const Tree *t, NodeId before, TensorId id)
{
    const Tensor *v = rw_tensor(t->rw, id);
    const Node *e = rw_node(t->rw, v->producer);
    if (cancels(t, v->producer)) return e->in[0];
    Tensor like = *v;
    for (uint8_t d = 0; d < t->rank; d++) like.dim[d] = v->dim[t->q[d]];
    return rw_add(t->rw, before, e->op, e->nin, crossed_operands(t, before, e), e->nattr, e->attr, &like);
}

/* transpose(f(.., transpose(x, p), .., c), q) == f(.., x, .., transpose(c, q)), p and q cancel, f is elementwise */
static bool cross_elementwise(Rw *rw, const Match *m)
{
    const OpCtx outer = rw_ctx(rw, m->root);
    uint32_t n = 0;
    const int64_t *q = attr_is(&outer, "perm", &n);
    const Tree t = {rw, q, (uint8_t)n};
    const NodeId top = rw_tensor(rw, m->t['x'])->producer;
    if (!q || !top.i || cancels(&t, top) || !can_cross(&t, m->t['x'], 0)) return false;
    const Node *e = rw_node(rw, top);
    rw_become(rw, m->root, e->op, e->nin, crossed_operands(&t, m->root, e), e->nattr, e->attr);
    return true;
}

/* ---- pads ---- */

/* Pads of zeros, none negative, around the spatial dimensions alone, in the order of the attribute. */
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
        if (v < 0 || v > INT16_MAX || (d < 2 && v != 0)) return false;
        if (d >= 2) pads[k < rank ? d - 2 : rank - 2 + d - 2] = v;
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
    attr[count++] = (Attr){
        .name = "pads", .type = AT_is, .n = npads, .v.is = arena_copy(rw->p->cx->arena, pads, npads * sizeof *pads)};
    if (also) attr[count++] = *also;
    rw_become(rw, m->root, n->op, n->nin, in, count, attr);
}

/* conv(pad(x, p, 0), w, pads q) == conv(x, w, pads p + q) */
static bool pad_into_conv(Rw *rw, const Match *m)
{
    const OpCtx conv = rw_ctx(rw, m->root);
    const uint8_t rank = rw_tensor(rw, m->t['x'])->rank;
    int64_t pads[2 * MAX_RANK] = {0};
    bool some;
    if (!spatial_pads(rw, m, rank, pads) || !add_pads(&conv, pads, &some)) return false;
    with_pads(rw, m, rank, pads, NULL);
    return true;
}

/* average(pad(x, p, 0), pads q) == average(x, pads p + q) that counts pads; q is counted too, or zero */
static bool pad_into_average(Rw *rw, const Match *m)
{
    const OpCtx pool = rw_ctx(rw, m->root);
    const uint8_t rank = rw_tensor(rw, m->t['x'])->rank;
    const Attr count = {.name = "count_include_pad", .type = AT_i, .v.i = 1};
    int64_t pads[2 * MAX_RANK] = {0};
    bool some;
    if (!spatial_pads(rw, m, rank, pads) || !add_pads(&pool, pads, &some) || attr_i(&pool, "ceil_mode")) return false;
    if (some && !attr_i(&pool, "count_include_pad")) return false;
    with_pads(rw, m, rank, pads, &count);
    return true;
}

const Rule rules_layout[] = {
    {"transpose-transpose", "(Transpose (Transpose:T x))", join_transposes},
    {"reshape-reshape", "(Reshape (Reshape! x _) #q)", join_reshapes},
    {"transpose-reshape", "(Reshape (Transpose!:T x) #q)", reshape_alone},
    {"transpose-elementwise", "(Transpose x)", cross_elementwise},
    {"pad-conv", "(Conv (Pad!:P x #p #?v) #w #?b)", pad_into_conv},
    {"pad-average", "(AveragePool (Pad!:P x #p #?v))", pad_into_average},
    {0},
};

/* SPDX-License-Identifier: Apache-2.0
 *
 * Functions of 8 bits become tables: elementwise operators between DequantizeLinear and QuantizeLinear that read one
 * quantized tensor and single constants are evaluated for its 256 values, by the definition of the operators. Nodes
 * that read constants alone (quantized weights, their transposes) are evaluated the same way.
 */
#include "integer.h"

enum { VALUES = 256, MAX_NODES = 16 };

/* A cone of nodes, copied into a graph of its own. */
typedef struct Cone {
    Rw *rw;
    Graph *g;
    TensorId leaf; /* what stands for the values */
    const Blob *value;
    Map copy; /* tensor of the model -> tensor of the cone */
    int nodes;
} Cone;

static TensorId cone_const(Cone *c, TensorId t, const Blob *data, uint8_t rank, const Expr *const *dim)
{
    const TensorId id = graph_temp(c->g, tensor(c->rw->g, t)->name, data->dt, rank, dim);
    tensor(c->g, id)->kind = TK_CONST;
    tensor(c->g, id)->data = data;
    return id;
}

static TensorId cone_copy(Cone *c, TensorId t);

static TensorId cone_node(Cone *c, const Node *n)
{
    TensorId *in = NEWN(c->rw->a, TensorId, n->nin + 1);
    for (uint16_t k = 0; k < n->nin; k++) in[k] = is_none(n->in[k]) ? n->in[k] : cone_copy(c, n->in[k]);
    const Tensor *y = tensor(c->rw->g, n->out[0]);
    const TensorId out = graph_temp(c->g, y->name, DT_none, 0, NULL);
    tensor(c->g, out)->ranked = false;
    (void)graph_node(c->g, n->op, n->name, n->nin, in, 1, &out, n->nattr, n->attr);
    return out;
}

static TensorId cone_copy(Cone *c, TensorId t)
{
    const Tensor *v = tensor(c->rw->g, t);
    const uint64_t *known = map_u64(&c->copy, t.i, false);
    if (known) return (TensorId){(uint32_t)*known};
    const Expr *length = c->value ? ex_int(c->g->cx->x, c->value->count) : NULL;
    TensorId id;
    if (t.i == c->leaf.i) {
        id = cone_const(c, t, c->value, 1, &length);
    } else if (v->kind == TK_CONST) {
        id = cone_const(c, t, v->data, v->rank, v->dim);
    } else {
        id = cone_node(c, node(c->rw->g, v->producer));
    }
    *map_u64(&c->copy, t.i, true) = id.i;
    return id;
}

static const Blob *run(Rw *rw, Graph *g)
{
    Te *te = infer_graph(g) ? te_lower(g->cx, g) : NULL;
    const Unit *u = te ? build_nests(g->cx, schedule_O0(g->cx->arena, te), "constants") : NULL;
    if (!u) ICE("operators that were sound are not when evaluated");
    const Buf *b = buf(u, u->output.at[0]);
    const Tensor *y = tensor(g, g->output.at[0]);
    mlcc_tensor out = {.data = arena_alloc(rw->a, (size_t)b->bytes + 1, 64)};
    return unit_run(rw->a, u, NULL, &out) ? blob_make(g->cx->arena, y->dt, tensor_count(g, y), out.data) : NULL;
}

const Blob *integer_evaluate(Rw *rw, NodeId top, TensorId leaf, const Blob *value)
{
    Cone c = {
        .rw = rw, .g = graph_new(rw->g->cx, "constants", NULL), .leaf = leaf, .value = value, .copy = {.arena = rw->a}};
    const TensorId y = cone_copy(&c, node(rw->g, top)->out[0]);
    PUSH(rw->g->cx->arena, &c.g->output, y);
    return run(rw, c.g);
}

/* ---- tables ---- */

typedef struct Walk {
    Rw *rw;
    TensorId x; /* the integer tensor that is read */
    int nodes;
} Walk;

static bool is_single(const Tensor *t)
{
    return t->kind == TK_CONST && t->data->count == 1 && dtype_is_float(t->dt);
}

/* t is a function of one integer tensor of 8 bits by nodes that nothing else reads. */
static bool is_function(Walk *w, TensorId t)
{
    const Tensor *v = tensor(w->rw->g, t);
    if (is_single(v)) return true;
    Quant q;
    const TensorId x = dequantized(w->rw, t);
    if (!is_none(x)) {
        if (!quant_behind(w->rw, t, &q) || dtype_info(q.dt)->bits != 8 || (!is_none(w->x) && w->x.i != x.i))
            return false;
        w->x = x;
        return true;
    }
    if (v->kind != TK_ACT || !v->producer.i || v->slot != 0) return false;
    const Node *n = node(w->rw->g, v->producer);
    if (!(n->op->flags & OF_ELT) || n->nout != 1 || ++w->nodes > MAX_NODES) return false;
    for (uint16_t k = 0; k < n->nin; k++)
        if (!is_none(n->in[k]) && !is_function(w, n->in[k])) return false;
    return true;
}

static bool same_dims(const Tensor *p, const Tensor *q)
{
    for (uint8_t d = 0; d < p->rank && p->rank == q->rank; d++)
        if (p->dim[d] != q->dim[d]) return false;
    return p->rank == q->rank;
}

/* Q(f(D(x)))  ==  table[x - smallest x] */
bool integer_table(Rw *rw, const Match *m)
{
    const Node *root = rw_node(rw, m->root);
    Walk w = {.rw = rw};
    Quant q;
    if (!quant_of(rw, m->root, &q) || dtype_info(q.dt)->bits != 8 || !is_none(dequantized(rw, root->in[0])))
        return false;
    if (!is_function(&w, root->in[0]) || is_none(w.x) || rw_tensor(rw, w.x)->kind == TK_CONST) return false;
    const Tensor *x = rw_tensor(rw, w.x);
    if (!same_dims(x, rw_tensor(rw, root->out[0]))) return false;
    uint8_t values[VALUES];
    for (int k = 0; k < VALUES; k++) dtype_put_i(x->dt, &values[k], dtype_min(x->dt) + k);
    const Blob *table = integer_evaluate(rw, m->root, w.x, blob_make(rw->g->cx->arena, x->dt, VALUES, values));
    if (!table) return false;
    uint8_t data[VALUES];
    blob_get(table, 0, VALUES, data);
    const TensorId in[] = {w.x, graph_const(rw->g, "table", q.dt, 1, &(int64_t){VALUES}, data)};
    rw_become(rw, m->root, op_find("mlcc", "QTable"), COUNT(in), in, 0, NULL);
    return true;
}

/* ---- constants ---- */

static bool is_narrow(DType dt)
{
    return dtype_is_int(dt) && dtype_info(dt)->bits <= 16;
}

/* A node of constants with a narrow integer result becomes a constant. */
bool integer_constant(Rw *rw, const Match *m)
{
    const Node *n = rw_node(rw, m->root);
    const Tensor *y = rw_tensor(rw, n->out[0]);
    if (!is_narrow(y->dt) || n->nout != 1 || !tensor_static(y)) return false;
    for (uint16_t k = 0; k < n->nin; k++)
        if (!is_none(n->in[k]) && rw_tensor(rw, n->in[k])->kind != TK_CONST) return false;
    for (uint32_t k = 0; k < rw->g->output.n; k++)
        if (rw->g->output.at[k].i == n->out[0].i) return false;
    const Blob *value = integer_evaluate(rw, m->root, (TensorId){0}, NULL);
    if (!value) return false;
    const TensorId id = graph_temp(rw->g, y->name, y->dt, y->rank, y->dim);
    rw_tensor(rw, id)->kind = TK_CONST;
    rw_tensor(rw, id)->data = value;
    return rw_forward(rw, m->root, id);
}

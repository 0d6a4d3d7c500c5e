/* SPDX-License-Identifier: Apache-2.0
 *
 * The invariants of a graph, one check each. Run after import and after every pass; a failure is a bug of mlcc, so the
 * texts are for its developers. Unknown types and shapes are sound: they are what inference is for.
 */
#include "op.h"

typedef struct Verify {
    Arena *a;
    const Graph *g;
    uint8_t *defined; /* by tensor: an input, a constant, or made by a node seen so far */
} Verify;

typedef struct Leaves {
    const Exprs *x;
    bool ok;
} Leaves;

static void check_leaf(void *ctx, const Expr *e)
{
    Leaves *l = ctx;
    l->ok &= e->op != EX_load && e->op != EX_loadp;
    if (e->op == EX_var) l->ok &= ex_var_info(l->x, e)->kind == VK_SYM;
}

/* Only symbols and constants. */
static bool is_closed(const Exprs *x, const Expr *e)
{
    Leaves l = {x, true};
    ex_walk(e, check_leaf, &l);
    return l.ok;
}

static const char *verify_dims(const Verify *v, const Tensor *t)
{
    if (!t->ranked) return NULL;
    if (t->rank > MAX_RANK) return "its rank is too large";
    for (uint8_t d = 0; d < t->rank; d++) {
        if (!t->dim[d]) continue;
        if (t->dim[d]->dt != DT_ix) return "a dimension is not an index expression";
        if (!is_closed(v->g->cx->x, t->dim[d])) return "a dimension depends on more than symbols";
    }
    return NULL;
}

static const char *verify_data(const Verify *v, const Tensor *t)
{
    if (t->kind != TK_CONST) return t->data ? "it has data but is not a constant" : NULL;
    if (!t->data) return "a constant has no data";
    if (!tensor_static(t)) return "a constant's shape is not constant";
    if (t->data->dt != t->dt) return "type and type of the data differ";
    if (t->data->count != tensor_count(v->g, t)) return "shape and number of elements differ";
    return NULL;
}

static const char *verify_values(const Verify *v, const Tensor *t)
{
    if (!t->value) return NULL;
    if (!tensor_static(t)) return "it has values, but its shape is not constant";
    const int64_t n = tensor_count(v->g, t);
    const DType dt = dtype_is_float(t->dt) ? t->dt : DT_ix;
    if (n > MAX_VALUE) return "it has too many values";
    for (int64_t k = 0; k < n; k++) {
        if (!t->value[k] || t->value[k]->dt != dt) return "a value is not of the right type";
        if (!is_closed(v->g->cx->x, t->value[k])) return "a value depends on more than symbols";
    }
    return NULL;
}

static const char *verify_name(const Verify *v, const Tensor *t, TensorId id)
{
    if (!t->name || !t->name[0]) return "it has no name";
    return graph_find(v->g, t->name).i == id.i ? NULL : "its name means another tensor";
}

static const char *verify_tensor(Verify *v, TensorId id)
{
    const Tensor *t = tensor(v->g, id);
    const char *what = verify_name(v, t, id);
    if (!what) what = verify_dims(v, t);
    if (!what) what = verify_data(v, t);
    if (!what) what = verify_values(v, t);
    if (!what && t->kind != TK_ACT && t->producer.i) what = "an input or constant has a producer";
    v->defined[id.i] = t->kind != TK_ACT || (v->g->parent && !t->producer.i);
    return what ? str_fmt(v->a, "tensor %u '%s': %s", id.i, t->name ? t->name : "", what) : NULL;
}

static const char *verify_operands(const Verify *v, const Node *n)
{
    for (uint16_t k = 0; k < n->nin; k++) {
        if (n->in[k].i >= graph_ntensors(v->g)) return str_fmt(v->a, "input %d is not a tensor", k);
        if (!is_none(n->in[k]) && !v->defined[n->in[k].i])
            return str_fmt(v->a, "input %d, '%s', is not defined before its use", k, tensor(v->g, n->in[k])->name);
    }
    return NULL;
}

static const char *verify_results(Verify *v, const Node *n, NodeId id)
{
    for (uint16_t k = 0; k < n->nout; k++) {
        if (is_none(n->out[k])) continue;
        if (n->out[k].i >= graph_ntensors(v->g)) return str_fmt(v->a, "output %d is not a tensor", k);
        const Tensor *t = tensor(v->g, n->out[k]);
        if (v->defined[n->out[k].i]) return str_fmt(v->a, "output %d, '%s', is defined already", k, t->name);
        if (t->producer.i != id.i || t->slot != k)
            return str_fmt(v->a, "output %d, '%s', has another producer", k, t->name);
        v->defined[n->out[k].i] = 1;
    }
    return NULL;
}

static const char *verify_attrs(const Verify *v, const Node *n)
{
    for (uint16_t k = 0; k < n->nattr; k++) {
        const Attr *a = &n->attr[k];
        if (!a->name || a->type == AT_none) return str_fmt(v->a, "attribute %d has no name or no value", k);
        if (a->type != AT_g) continue;
        if (a->v.g->parent != v->g) return str_fmt(v->a, "graph '%s' has another parent", a->v.g->name);
        const char *what = graph_verify(v->a, a->v.g);
        if (what) return str_fmt(v->a, "in graph '%s': %s", a->v.g->name, what);
    }
    return NULL;
}

static const char *verify_node(Verify *v, NodeId id)
{
    if (id.i == 0 || id.i >= graph_nnodes(v->g))
        return str_fmt(v->a, "the order names node %u, which there is not", id.i);
    const Node *n = node(v->g, id);
    if (n->dead) return NULL;
    if (!n->op) return str_fmt(v->a, "node %u has no operator", id.i);
    const char *what = n->nout ? verify_operands(v, n) : "it has no outputs";
    if (!what) what = verify_attrs(v, n);
    if (!what) what = verify_results(v, n, id);
    return what ? str_fmt(v->a, "node %u, %s '%s': %s", id.i, n->op->name, n->name, what) : NULL;
}

static const char *verify_interface(const Verify *v)
{
    for (uint32_t k = 0; k < v->g->input.n; k++) {
        const TensorId t = v->g->input.at[k];
        if (is_none(t) || t.i >= graph_ntensors(v->g) || tensor(v->g, t)->kind != TK_INPUT)
            return str_fmt(v->a, "input %u is not of kind input", k);
    }
    for (uint32_t k = 0; k < v->g->output.n; k++) {
        const TensorId t = v->g->output.at[k];
        if (is_none(t) || t.i >= graph_ntensors(v->g) || !v->defined[t.i])
            return str_fmt(v->a, "output %u is not defined", k);
    }
    return NULL;
}

/* What is wrong with g, or NULL; the text lives in a. */
const char *graph_verify(Arena *a, const Graph *g)
{
    Verify v = {a, g, NEWN(a, uint8_t, graph_ntensors(g))};
    const char *what = NULL;
    for (uint32_t i = 1; i < graph_ntensors(g) && !what; i++) what = verify_tensor(&v, (TensorId){i});
    for (uint32_t k = 0; k < g->order.n && !what; k++) what = verify_node(&v, g->order.at[k]);
    return what ? what : verify_interface(&v);
}

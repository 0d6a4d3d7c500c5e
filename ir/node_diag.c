/* SPDX-License-Identifier: Apache-2.0
 *
 * Diagnostics of nodes, in clang's shape: the node's line of graph text is the source line, the operand is underlined
 * and labelled with its type, a note says where the node is in the model.
 */
#include "op.h"

static const char *subject_of(Arena *a, const Graph *g, const Node *n)
{
    if (n->name[0]) return str_fmt(a, "%s '%s'", n->op->name, n->name);
    for (uint16_t k = 0; k < n->nout; k++) {
        if (!is_none(n->out[k])) return str_fmt(a, "%s computing '%s'", n->op->name, tensor(g, n->out[k])->name);
    }
    return n->op->name;
}

/* Columns of the tensor's name that starts at s. */
static int32_t name_width(const char *s)
{
    if (s[0] != '%' || s[1] != '"') return (int32_t)strcspn(s, " ,");
    size_t n = 2;
    while (s[n] && s[n] != '"') n += s[n] == '\\' && s[n + 1] ? 2 : 1;
    return (int32_t)n + (s[n] == '"');
}

/* The tensor a diagnostic points at; id 0: none. */
static TensorId operand_of(const Node *n, int operand)
{
    const int out = operand - OUT(0);
    if (operand < 0) return (TensorId){0};
    if (out >= 0) return out < n->nout ? n->out[out] : (TensorId){0};
    return operand < n->nin ? n->in[operand] : (TensorId){0};
}

static const char *origin_of(const Graph *g, const Tensor *t)
{
    if (t->kind == TK_CONST) return "is an initializer";
    if (t->kind == TK_INPUT) return "is an input of the graph";
    if (!t->producer.i) return "comes from the enclosing graph";
    return str_fmt(g->cx->diags->arena, "is made by %s", subject_of(g->cx->diags->arena, g, node(g, t->producer)));
}

static void add_note(Diags *d, Diag *e, const Graph *g, const Node *n, TensorId operand, bool is_input)
{
    Text t = {.arena = d->arena};
    text_add(&t, "node %u of graph '%s'", n->src, g->name);
    if (n->opset > 0) text_add(&t, ", opset %d", n->opset);
    if (!is_none(operand) && is_input)
        text_add(&t, "; '%s' %s", tensor(g, operand)->name, origin_of(g, tensor(g, operand)));
    diag_note(d, e, "%s", text_str(&t));
}

/* Adds a problem of node n; returns it for notes and help. operand: see graph.h. */
Diag *node_diag(const Graph *g, NodeId id, int operand, Severity sev, const char *slug, const char *fmt, va_list ap)
{
    Diags *d = g->cx->diags;
    const Node *n = node(g, id);
    Diag *e = diag_add(d, sev, slug, subject_of(d->arena, g, n), "%s", str_vfmt(d->arena, fmt, ap));
    e->line = node_line(d->arena, g, id, &e->mark, operand);
    const TensorId t = operand_of(n, operand);
    if (e->mark >= 0 && !is_none(t)) {
        Text label = {.arena = d->arena};
        type_print(&label, g->cx->x, tensor(g, t));
        e->width = name_width(e->line + e->mark);
        e->label = text_str(&label);
    }
    add_note(d, e, g, n, t, operand < OUT(0));
    return e;
}

bool node_error(const Graph *g, NodeId n, int operand, const char *slug, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    node_diag(g, n, operand, SEV_ERROR, slug, fmt, ap);
    va_end(ap);
    return false;
}

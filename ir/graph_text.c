/* SPDX-License-Identifier: Apache-2.0
 *
 * Printing graphs; the format is described in graph_text.h. What is printed depends on nothing but the graph: symbols
 * come in the order of the table, constants in the order of their ids, and floats with the fewest digits that read back
 * as the same value.
 */
#include "graph_text.h"

#include <inttypes.h>

enum { LINE_DATA = 8 }; /* elements of a tensor attribute shown in a line for people */

typedef struct Printer {
    Text *out;
    const Graph *g;
    int64_t inline_max; /* 0: no limit */
    int depth;
    bool brief; /* one line per node: subgraphs are left out */
} Printer;

static void print_quoted(Text *out, const char *s, size_t n)
{
    text_add(out, "\"");
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '"' || s[i] == '\\')
            text_add(out, "\\%c", s[i]);
        else if (s[i] >= ' ' && s[i] <= '~')
            text_add(out, "%c", s[i]);
        else
            text_add(out, "\\x%02X", (unsigned char)s[i]);
    }
    text_add(out, "\"");
}

static void print_name(Text *out, const char *sigil, const char *name)
{
    const char *s = name;
    while (is_name_char(*s)) s++;
    text_add(out, "%s", sigil);
    if (*s || s == name)
        print_quoted(out, name, strlen(name));
    else
        text_add(out, "%s", name);
}

static void print_tensor(const Printer *p, TensorId t)
{
    if (is_none(t))
        text_add(p->out, "_");
    else
        print_name(p->out, "%", tensor(p->g, t)->name);
}

static void print_exprs(Text *out, const Exprs *x, const char *open, int64_t n, const Expr *const *e, const char *close)
{
    text_add(out, "%s", open);
    for (int64_t k = 0; k < n; k++) {
        text_add(out, "%s", k ? "," : "");
        if (e[k])
            ex_print(out, x, e[k], NULL, NULL);
        else
            text_add(out, "?");
    }
    text_add(out, "%s", close);
}

static void print_value(const Printer *p, const Tensor *t)
{
    if (t->value) print_exprs(p->out, p->g->cx->x, " <", tensor_count(p->g, t), t->value, ">");
}

static void print_lines(Printer *p);

static void print_subgraph(const Printer *p, const Graph *g)
{
    print_name(p->out, "graph ", g->name);
    if (p->brief) {
        text_add(p->out, " {...}");
        return;
    }
    Printer inner = {p->out, g, p->inline_max, p->depth + 1, false};
    text_add(p->out, " {\n");
    print_lines(&inner);
    text_add(p->out, "%*s}", 4 * p->depth, "");
}

static void print_tensor_attr(const Printer *p, const Attr *a)
{
    text_add(p->out, "%s[", dtype_info(a->v.t.blob->dt)->name);
    for (uint8_t d = 0; d < a->v.t.rank; d++) text_add(p->out, "%s%" PRId64, d ? "," : "", a->v.t.dim[d]);
    text_add(p->out, "] ");
    blob_print(p->out, a->v.t.blob, p->inline_max);
}

static void print_item(Text *out, const Attr *a, uint32_t k)
{
    if (a->type == AT_is)
        text_add(out, "%" PRId64, a->v.is[k]);
    else if (a->type == AT_fs)
        text_add_real(out, a->v.fs[k], false);
    else
        print_quoted(out, a->v.ss[k], strlen(a->v.ss[k]));
}

static void print_attr(const Printer *p, const Attr *a)
{
    Text *out = p->out;
    print_name(out, "", a->name);
    text_add(out, "=");
    switch (a->type) {
    case AT_none: text_add(out, "?"); break;
    case AT_i: text_add(out, "%" PRId64, a->v.i); break;
    case AT_f: text_add_real(out, a->v.f, false); break;
    case AT_s: print_quoted(out, a->v.s, a->n); break;
    case AT_t: print_tensor_attr(p, a); break;
    case AT_g: print_subgraph(p, a->v.g); break;
    case AT_is:
    case AT_fs:
    case AT_ss:
        text_add(out, "[");
        for (uint32_t k = 0; k < a->n; k++) {
            text_add(out, "%s", k ? "," : "");
            print_item(out, a, k);
        }
        text_add(out, "]");
        break;
    }
}

/* The node without indentation and end of line. mark: set to the column of `operand`, or -1. */
static void print_node(const Printer *p, const Node *n, int32_t operand, int32_t *mark)
{
    Text *out = p->out;
    *mark = -1;
    for (int k = 0; k < n->nout; k++) {
        text_add(out, "%s", k ? ", " : "");
        if (operand == OUT(k)) *mark = (int32_t)out->n;
        print_tensor(p, n->out[k]);
        if (is_none(n->out[k])) continue;
        text_add(out, " ");
        type_print(out, p->g->cx->x, tensor(p->g, n->out[k]));
        print_value(p, tensor(p->g, n->out[k]));
    }
    text_add(out, "%s= %s%s%s", n->nout ? " " : "", n->op->domain, n->op->domain[0] ? ":" : "", n->op->name);
    for (int k = 0; k < n->nin; k++) {
        text_add(out, " ");
        if (operand == k) *mark = (int32_t)out->n;
        print_tensor(p, n->in[k]);
    }
    for (int k = 0; k < n->nattr; k++) {
        text_add(out, k ? ", " : " {");
        print_attr(p, &n->attr[k]);
    }
    text_add(out, "%s", n->nattr ? "}" : "");
    if (n->name[0] && !p->brief) print_name(out, " @", n->name);
}

static void look_for_symbol(void *ctx, const Expr *e)
{
    if (e->op == EX_var) *map_u64(ctx, (uint64_t)(uintptr_t)e, true) = 1;
}

static void look_in_tensor(Map *used, const Graph *g, const Tensor *t)
{
    for (uint8_t d = 0; d < t->rank && t->ranked; d++) {
        if (t->dim[d]) ex_walk(t->dim[d], look_for_symbol, used);
    }
    for (int64_t k = 0; t->value && k < tensor_count(g, t); k++) ex_walk(t->value[k], look_for_symbol, used);
}

/* Subgraphs print no symbols of their own, so theirs are looked for too. */
static void look_in_graph(Map *used, const Graph *g)
{
    for (uint32_t i = 1; i < graph_ntensors(g); i++) look_in_tensor(used, g, tensor(g, (TensorId){i}));
    for (uint32_t i = 0; i < g->order.n; i++) {
        const Node *n = node(g, g->order.at[i]);
        for (uint16_t k = 0; k < n->nattr; k++) {
            if (n->attr[k].type == AT_g) look_in_graph(used, n->attr[k].v.g);
        }
    }
}

static void print_symbols(const Printer *p)
{
    const Ctx *cx = p->g->cx;
    Map used = {.arena = p->out->arena};
    look_in_graph(&used, p->g);
    for (uint32_t i = 0; i < cx->symbol.slot.n; i++) {
        const Expr *sym = ex_symbol_of(cx->x, (const Expr *)(uintptr_t)cx->symbol.slot.at[i].val);
        if (!sym || !map_u64(&used, (uint64_t)(uintptr_t)sym, false)) continue; /* none: it was pinned to a number */
        ex_print_symbol(p->out, ex_var_info(cx->x, sym)->name, ex_var_info(cx->x, sym));
        text_add(p->out, "\n");
    }
}

static void indent(const Printer *p)
{
    text_add(p->out, "%*s", 4 * p->depth, "");
}

/* A tensor that no node makes: "input" or "const" and its type, value and data. */
static void print_given(const Printer *p, const char *what, TensorId id)
{
    const Tensor *t = tensor(p->g, id);
    indent(p);
    print_name(p->out, what, t->name);
    text_add(p->out, " ");
    type_print(p->out, p->g->cx->x, t);
    print_value(p, t);
    if (t->data) {
        text_add(p->out, " ");
        blob_print(p->out, t->data, p->inline_max);
    }
    text_add(p->out, "\n");
}

/* Constants that something refers to, then nodes, in order. */
static void print_lines(Printer *p)
{
    const Graph *g = p->g;
    const uint32_t *uses = graph_uses(g, p->out->arena);
    for (uint32_t k = 0; k < g->input.n; k++) print_given(p, "input %", g->input.at[k]);
    for (uint32_t i = 1; i < graph_ntensors(g); i++) {
        if (tensor(g, (TensorId){i})->kind == TK_CONST && uses[i]) print_given(p, "const %", (TensorId){i});
    }
    for (uint32_t k = 0; k < g->order.n; k++) {
        int32_t mark;
        const Node *n = node(g, g->order.at[k]);
        if (n->dead) continue;
        indent(p);
        print_node(p, n, NO_OPERAND, &mark);
        text_add(p->out, "\n");
    }
    for (uint32_t k = 0; k < g->output.n; k++) {
        indent(p);
        print_name(p->out, "output %", tensor(g, g->output.at[k])->name);
        text_add(p->out, "\n");
    }
}

/* Type and shape as they stand in the text form. */
void type_print(Text *out, const Exprs *x, const Tensor *t)
{
    text_add(out, "%s", t->dt == DT_none ? "?" : dtype_info(t->dt)->name);
    if (t->ranked) print_exprs(out, x, "[", t->rank, t->dim, "]");
}

/* The text of one node on one line, as diagnostics show it: without its name, long data and subgraphs left out. */
const char *node_line(Arena *a, const Graph *g, NodeId n, int32_t *mark, int32_t operand)
{
    Text t = {.arena = a};
    const Printer p = {&t, g, LINE_DATA, 0, true};
    print_node(&p, node(g, n), operand, mark);
    return text_str(&t);
}

/* The whole graph; see graph_text.h for the format and graph.h for inline_max. */
void graph_print(Text *out, const Graph *g, int64_t inline_max)
{
    Printer p = {out, g, inline_max, 0, false};
    print_name(out, "graph ", g->name);
    text_add(out, "\n");
    print_symbols(&p);
    print_lines(&p);
}

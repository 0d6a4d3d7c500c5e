/* SPDX-License-Identifier: Apache-2.0
 *
 * Inference of types and shapes: what is common to all operators, read from their rows.
 *
 * A node is checked against its row (operands, attributes, types), then the operator's own function sets the shapes,
 * then the values of small results are looked for (value.c). A type variable of the signature is bound by the first
 * operand that has it; a class or type in place of a variable restricts an operand and binds nothing.
 */
#include "infer.h"

typedef struct Sig {
    Operand in[MAX_OPERANDS], out[MAX_OPERANDS];
    int nin, nout;
} Sig;

typedef struct Span {
    const char *at;
    int n;
} Span;

typedef struct Binding {
    Span var;
    DType dt;
    int operand;
} Binding;
typedef struct Types {
    const OpCtx *c;
    Binding b[MAX_OPERANDS];
    int n;
} Types;

static int read_operands(const OpInfo *op, const char **s, Operand *o)
{
    int n = 0;
    while (n < MAX_OPERANDS && next_operand(s, &o[n])) n++;
    for (int k = 0; k + 1 < n; k++) {
        if (o[k].variadic) ICE("row %s: only the last operand may be variadic", op->name);
    }
    return n;
}

static Sig read_sig(const OpInfo *op)
{
    Sig g;
    const char *s = op->sig;
    g.nin = read_operands(op, &s, g.in);
    s += strspn(s, " ");
    if (strncmp(s, "->", 2)) ICE("row %s: signature '%s' at '%s'", op->name, op->sig, s);
    s += 2;
    g.nout = read_operands(op, &s, g.out);
    return g;
}

/* The k-th operand of a list, the last one standing for all further ones when it is variadic; NULL: too many. */
static const Operand *operand_at(const Operand *o, int n, int k)
{
    if (k < n) return &o[k];
    return n && o[n - 1].variadic ? &o[n - 1] : NULL;
}

/* How many operands there must be at least: up to the last one that is not optional. */
static int required(const Operand *o, int n)
{
    while (n && o[n - 1].optional) n--;
    return n;
}

static bool check_count(const OpCtx *c, const Operand *o, int n, int given, const char *what)
{
    const int least = required(o, n);
    if (given < least)
        return op_error(c, NO_OPERAND, "operand-count", "there %s %d %s%s, '%.*s' is missing",
                        given == 1 ? "is" : "are", given, what, given == 1 ? "" : "s", o[given].nname, o[given].name);
    if (given && !operand_at(o, n, given - 1))
        return op_error(c, NO_OPERAND, "operand-count", "there are %d %ss, expected at most %d", given, what, n);
    return true;
}

static bool check_inputs(const OpCtx *c, const Sig *g)
{
    if (!check_count(c, g->in, g->nin, c->n->nin, "input")) return false;
    for (int k = 0; k < c->n->nin; k++) {
        const Operand *o = operand_at(g->in, g->nin, k);
        if (!has_in(c, k) && !o->optional)
            return op_error(c, NO_OPERAND, "operand-missing", "input '%.*s' is missing", o->nname, o->name);
        if (has_in(c, k) && (in_t(c, k)->dt == DT_none || !in_t(c, k)->ranked))
            return op_error(c, k, "operand-untyped", "type and shape of '%s' are not known", in_t(c, k)->name);
    }
    return true;
}

/* A result that the node leaves unnamed but the operator always makes gets a name, so that functions need not ask. */
static bool check_outputs(const OpCtx *c, const Sig *g)
{
    if (!check_count(c, g->out, g->nout, c->n->nout, "output")) return false;
    for (int k = 0; k < c->n->nout; k++) {
        const Operand *o = operand_at(g->out, g->nout, k);
        if (has_out(c, k) || o->optional) continue;
        c->n->out[k] = graph_temp(c->g, str_ndup(c->a, o->name, (size_t)o->nname), DT_none, 0, NULL);
        out_t(c, k)->ranked = false;
        out_t(c, k)->producer = c->id;
        out_t(c, k)->slot = (uint16_t)k;
    }
    return true;
}

/* What the row says about type `var`: the alternatives behind "var=", or `var` itself; *bound: it is a variable. */
static Span alternatives(const OpInfo *op, Span var, bool *bound)
{
    for (const char *s = op->types; *s; s += strcspn(s, " ")) {
        s += strspn(s, " ");
        if (strncmp(s, var.at, (size_t)var.n) || s[var.n] != '=') continue;
        s += var.n + 1;
        *bound = true;
        return (Span){s, (int)strcspn(s, " ")};
    }
    *bound = false;
    return var;
}

static bool in_class(Span s, DType dt)
{
    enum { F = 1 << DC_F, I = 1 << DC_I | 1 << DC_U, B = 1 << DC_B, S = 1 << DC_S, C = 1 << DC_C };
    static const struct {
        const char *name;
        int classes;
    } all[] = {
        {"any", F | I | B | S | C}, {"num", F | I}, {"float", F}, {"int", I}, {"bool", B}, {"str", S},
    };
    for (size_t k = 0; k < COUNT(all); k++) {
        if ((int)strlen(all[k].name) == s.n && !memcmp(all[k].name, s.at, (size_t)s.n))
            return all[k].classes >> dtype_info(dt)->cls & 1;
    }
    const char *name = dtype_info(dt)->name;
    return (int)strlen(name) == s.n && !memcmp(name, s.at, (size_t)s.n);
}

static bool allowed(Span alts, DType dt)
{
    for (int at = 0, n; at < alts.n; at += n + 1) {
        const char *bar = memchr(alts.at + at, '|', (size_t)(alts.n - at));
        n = bar ? (int)(bar - alts.at) - at : alts.n - at;
        if (in_class((Span){alts.at + at, n}, dt)) return true;
    }
    return false;
}

static const Binding *find_binding(const Types *t, Span var)
{
    for (int k = 0; k < t->n; k++) {
        if (t->b[k].var.n == var.n && !memcmp(t->b[k].var.at, var.at, (size_t)var.n)) return &t->b[k];
    }
    return NULL;
}

static bool bind_input(Types *t, const Operand *o, int k)
{
    const OpCtx *c = t->c;
    const DType dt = in_t(c, k)->dt;
    const Span var = {o->type, o->ntype};
    bool variable;
    const Span alts = alternatives(c->n->op, var, &variable);
    if (!allowed(alts, dt))
        return op_error(c, k, "operand-type", "input '%.*s' has type %s, expected %.*s", o->nname, o->name,
                        dtype_info(dt)->name, alts.n, alts.at);
    if (!variable) return true;
    const Binding *b = find_binding(t, var);
    if (!b) {
        if (t->n < MAX_OPERANDS) t->b[t->n++] = (Binding){var, dt, k};
        return true;
    }
    if (b->dt == dt) return true;
    return op_error(c, k, "operand-types", "input '%.*s' has type %s, but '%s' has type %s and they must agree",
                    o->nname, o->name, dtype_info(dt)->name, in_t(c, b->operand)->name, dtype_info(b->dt)->name);
}

/* Type of an output as far as the signature tells; DT_none: the operator's function sets it. */
static DType output_type(const Types *t, const Operand *o)
{
    const Span var = {o->type, o->ntype};
    const Binding *b = find_binding(t, var);
    bool variable;
    const Span alts = alternatives(t->c->n->op, var, &variable);
    return b ? b->dt : dtype_by_name(str_ndup(t->c->a, alts.at, (size_t)alts.n));
}

static bool bind_types(const OpCtx *c, const Sig *g)
{
    Types t = {.c = c};
    for (int k = 0; k < c->n->nin; k++) {
        if (has_in(c, k) && !bind_input(&t, operand_at(g->in, g->nin, k), k)) return false;
    }
    for (int k = 0; k < c->n->nout; k++) {
        const DType dt = has_out(c, k) ? output_type(&t, operand_at(g->out, g->nout, k)) : DT_none;
        if (dt != DT_none && !set_type(c, k, dt)) return false;
    }
    return true;
}

/* Elementwise operators: every output has the broadcast shape of the inputs. */
static bool infer_elt(const OpCtx *c)
{
    const Expr *dim[MAX_RANK];
    int in[MAX_OPERANDS], n = 0, rank;
    for (int k = 0; k < c->n->nin && n < MAX_OPERANDS; k++) {
        if (has_in(c, k)) in[n++] = k;
    }
    if (c->n->nin > MAX_OPERANDS)
        return op_error(c, NO_OPERAND, "operand-count", "there are %d inputs, at most %d are supported", c->n->nin,
                        MAX_OPERANDS);
    return broadcast_shape(c, n, in, &rank, dim) && set_shape(c, 0, rank, dim);
}

/* An attribute may have chosen a type that the row does not allow. */
static bool check_result(const OpCtx *c, const Sig *g)
{
    for (int k = 0; k < c->n->nout; k++) {
        if (!has_out(c, k)) continue;
        const DType dt = out_t(c, k)->dt;
        if (dt == DT_none || !out_t(c, k)->ranked)
            ICE("infer: %s left output %d without a type or shape", c->n->op->name, k);
        const Operand *o = operand_at(g->out, g->nout, k);
        bool variable;
        const Span alts = alternatives(c->n->op, (Span){o->type, o->ntype}, &variable);
        if (!allowed(alts, dt))
            return op_error(c, OUT(k), "result-type", "output '%.*s' would have type %s, expected %.*s", o->nname,
                            o->name, dtype_info(dt)->name, alts.n, alts.at);
    }
    return true;
}

/* Whether a graph's input stays within the limit that holds for every tensor, at the upper bounds of its symbols. */
static bool fits(const Graph *g, const Tensor *t)
{
    uint64_t count = 1;
    for (uint8_t d = 0; d < t->rank; d++) {
        int64_t lo, hi;
        if (!ex_range(g->cx->x, t->dim[d], &lo, &hi) || hi < 0 || hi == INT64_MAX) return false;
        if (count && hi && (uint64_t)hi > g->cx->max_elements / count) return false;
        count *= (uint64_t)hi;
    }
    return true;
}

static bool check_input(Graph *g, TensorId id)
{
    const Tensor *t = tensor(g, id);
    const char *subject = str_fmt(g->cx->diags->arena, "input '%s'", t->name), *what = NULL;
    if (t->dt == DT_none)
        what = "it has no element type";
    else if (!t->ranked)
        what = "it has no shape";
    for (uint8_t d = 0; !what && d < t->rank; d++) what = t->dim[d] ? NULL : "not all of its dimensions are known";
    if (what) diag_add(g->cx->diags, SEV_ERROR, "input-shape", subject, "%s", what);
    if (what || fits(g, t)) return !what;
    Diag *e = diag_add(g->cx->diags, SEV_ERROR, "tensor-too-large", subject, "it has more than %llu elements",
                       (unsigned long long)g->cx->max_elements);
    diag_help(g->cx->diags, e, "-D and --max bound free dimensions, --limits elements= raises the limit");
    return false;
}

static bool stands_alone(const Graph *g, const Expr *sym)
{
    const Expr *dim = ex_dimension(g->cx->x, sym);
    for (uint32_t k = 0; k < g->input.n; k++) {
        const Tensor *t = tensor(g, g->input.at[k]);
        for (uint8_t d = 0; d < t->rank; d++) {
            if (t->dim[d] == dim) return true;
        }
    }
    return false;
}

typedef struct Unsourced {
    const Graph *g;
    const Expr *sym;
} Unsourced;

static void look_for_source(void *ctx, const Expr *e)
{
    Unsourced *u = ctx;
    if (e->op == EX_var && !stands_alone(u->g, e)) u->sym = e;
}

/* The value of a symbol comes from an input that has it as an extent; 2*N alone does not tell N. */
static bool check_sources(const Graph *g, const Tensor *t)
{
    Unsourced u = {.g = g};
    for (uint8_t d = 0; d < t->rank; d++) ex_walk(t->dim[d], look_for_source, &u);
    if (u.sym)
        diag_add(g->cx->diags, SEV_ERROR, "symbol-source", str_fmt(g->cx->diags->arena, "input '%s'", t->name),
                 "the value of '%s' is not known: it is no extent of an input by itself", ex_var_info(g->cx->x, u.sym)->name);
    return !u.sym;
}

/* A subgraph's captured tensor is what the enclosing graph knows under its name. */
static bool bind_capture(Graph *g, Tensor *t)
{
    for (const Graph *p = g->parent; p; p = p->parent) {
        const TensorId id = graph_find(p, t->name);
        if (is_none(id)) continue;
        const Tensor *from = tensor(p, id);
        t->dt = from->dt;
        t->ranked = from->ranked;
        t->rank = from->rank;
        memcpy(t->dim, from->dim, sizeof t->dim);
        t->data = from->data;
        t->value = from->value;
        if (from->kind == TK_CONST) t->kind = TK_CONST;
        return true;
    }
    diag_add(g->cx->diags, SEV_ERROR, "name-undefined", str_fmt(g->cx->diags->arena, "'%s'", t->name),
             "nothing in graph '%s' or around it has this name", g->name);
    return false;
}

static bool bind_outer(Graph *g)
{
    bool ok = true;
    for (uint32_t i = 1; g->parent && i < graph_ntensors(g); i++) {
        Tensor *t = tensor(g, (TensorId){i});
        if (t->kind == TK_ACT && t->producer.i == 0) ok &= bind_capture(g, t);
    }
    for (uint32_t k = 0; k < g->input.n; k++) ok &= check_input(g, g->input.at[k]);
    for (uint32_t k = 0; k < g->input.n && ok && !g->parent; k++) ok = check_sources(g, tensor(g, g->input.at[k]));
    return ok;
}

static bool needs_failed(const Node *n, Map *failed)
{
    bool skip = false;
    for (uint16_t k = 0; k < n->nin; k++) skip |= map_u64(failed, n->in[k].i, false) != NULL;
    return skip;
}

bool next_operand(const char **s, Operand *o)
{
    const char *p = *s + strspn(*s, " ,");
    if (!*p || *p == '-') return false;
    *o = (Operand){.name = p, .nname = (int)strcspn(p, "?*:")};
    for (p += o->nname; *p && *p != ':'; p++) {
        o->optional |= *p == '?';
        o->variadic |= *p == '*';
    }
    if (*p) p++;
    p += strspn(p, " ");
    o->type = p;
    o->ntype = (int)strcspn(p, ", ");
    *s = p + o->ntype;
    return true;
}

bool op_takes(const OpInfo *op, int operand, DType dt)
{
    const Sig sig = read_sig(op);
    const Operand *o = operand_at(sig.in, sig.nin, operand);
    bool variable;
    return o && allowed(alternatives(op, (Span){o->type, o->ntype}, &variable), dt);
}

/* Types, shapes and values of the outputs of one node, whose inputs have them. May be repeated when inputs changed. */
bool infer_node(Graph *g, NodeId id)
{
    OpCtx c = {.cx = g->cx, .g = g, .id = id, .n = node(g, id), .x = g->cx->x, .a = g->cx->arena};
    c.nsym = g->cx->symbol.slot.n;
    const Sig sig = read_sig(c.n->op);
    if (!check_inputs(&c, &sig) || !check_outputs(&c, &sig) || !check_attrs(&c) || !bind_types(&c, &sig)) return false;
    if (!(c.n->op->infer ? c.n->op->infer(&c) : infer_elt(&c))) return false;
    return check_result(&c, &sig) && find_values(&c);
}

/* All nodes in order. Every problem is reported, but nothing that depends on a failed node is looked at. */
bool infer_graph(Graph *g)
{
    Map failed = {.arena = g->cx->arena};
    if (!bind_outer(g)) return false;
    bool ok = true;
    for (uint32_t i = 0; i < g->order.n; i++) {
        const Node *n = node(g, g->order.at[i]);
        if (n->dead || (!needs_failed(n, &failed) && infer_node(g, g->order.at[i]))) continue;
        ok = false;
        for (uint16_t k = 0; k < n->nout; k++) {
            if (!is_none(n->out[k])) map_u64(&failed, n->out[k].i, true);
        }
    }
    return ok;
}

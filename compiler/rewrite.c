/* SPDX-License-Identifier: Apache-2.0
 *
 * See rewrite.h. Patterns are matched as text: they are short, the graph decides most of them at the first operator name.
 */
#include "rewrite.h"

#include <limits.h>

#include "../ir/infer.h"

enum { FUEL = 64 };

/* ---- matching ---- */

typedef struct Matcher { const Rw *rw; Match *m; const char *at; } Matcher;

static void spaces(Matcher *k)
{
    while (*k->at == ' ')
        k->at++;
}

static bool bind_tensor(Matcher *k, char letter, TensorId t)
{
    TensorId *slot = &k->m->t[(unsigned char)letter];
    if (slot->i && slot->i != t.i)
        return false;
    *slot = t;
    return true;
}

/* x, #w, ?b, #?b, _ */
static bool leaf(Matcher *k, TensorId t)
{
    bool constant = false, optional = false;
    for (; *k->at == '#' || *k->at == '?'; k->at++) {
        constant = constant || *k->at == '#';
        optional = optional || *k->at == '?';
    }
    const char letter = *k->at++;
    if (is_none(t))
        return optional || letter == '_';
    if (constant && tensor(k->rw->g, t)->kind != TK_CONST)
        return false;
    return letter == '_' || bind_tensor(k, letter, t);
}

static bool pattern(Matcher *k, NodeId n, bool root);

static bool operand(Matcher *k, TensorId t)
{
    if (*k->at != '(')
        return leaf(k, t);
    const Tensor *v = is_none(t) ? NULL : tensor(k->rw->g, t);
    return v && v->kind == TK_ACT && v->producer.i && v->slot == 0 && pattern(k, v->producer, false);
}

static bool used_once(const Rw *rw, const Node *n)
{
    return n->out[0].i < rw->uses.n && rw->uses.at[n->out[0].i] == 1;
}

static bool pattern(Matcher *k, NodeId id, bool root)
{
    const Node *n = node(k->rw->g, id);
    k->at++; /* '(' */
    const size_t len = strcspn(k->at, " !:)");
    const bool same = strlen(n->op->name) == len && strncmp(n->op->name, k->at, len) == 0 && *n->op->domain == 0;
    if (!same || n->dead)
        return false;
    k->at += len;
    for (; *k->at == '!' || *k->at == ':'; k->at += 1 + (*k->at == ':')) {
        if (*k->at == '!' && !root && !used_once(k->rw, n))
            return false;
        if (*k->at == ':')
            k->m->n[(unsigned char)k->at[1]] = id;
    }
    uint16_t in = 0;
    for (spaces(k); *k->at != ')'; spaces(k), in++) {
        if (*k->at == '*') {
            k->at++;
            in = n->nin;
        } else if (!operand(k, in < n->nin ? n->in[in] : (TensorId){0})) {
            return false;
        }
    }
    k->at++;
    for (; in < n->nin; in++)
        if (!is_none(n->in[in]))
            return false;
    return true;
}

bool rule_matches(const Rw *rw, const char *text, NodeId n, Match *m)
{
    *m = (Match){.root = n};
    Matcher k = {rw, m, text};
    return pattern(&k, n, true);
}

/* ---- rows ---- */

/* Operands that an operator can have. */
static int most_operands(const OpInfo *op)
{
    Operand o;
    int n = 0;
    for (const char *s = op->sig; next_operand(&s, &o); n++)
        if (o.variadic)
            return INT_MAX;
    return n;
}

static const char *check_level(Arena *a, const char **s, int depth)
{
    ++*s;
    const size_t len = strcspn(*s, " !:)");
    const char *name = str_ndup(a, *s, len);
    const OpInfo *op = op_find("", name);
    int operands = 0;
    if (!op || depth > 8)
        return str_fmt(a, "there is no operator '%s'", name);
    for (*s += len; **s && **s != ')';) {
        const char *why = **s == '(' ? check_level(a, s, depth + 1) : NULL;
        if (why)
            return why;
        operands += **s == ')' || !strchr(" !:#?", **s);
        *s += **s == ':' && (*s)[1] ? 2 : 1;
    }
    if (**s != ')')
        return "a parenthesis is not closed";
    return operands > most_operands(op) ? str_fmt(a, "'%s' has no %d operands", name, operands) : NULL;
}

const char *rule_check(Arena *a, const Rule *r)
{
    const char *s = r->pattern;
    if (*s != '(')
        return "a pattern starts with '('";
    const char *why = check_level(a, &s, 0);
    return why ? why : s[1] ? "text behind the pattern" : NULL;
}

/* ---- changing the graph ---- */

Tensor *rw_tensor(const Rw *rw, TensorId t) { return tensor(rw->g, t); }
Node *rw_node(const Rw *rw, NodeId n) { return node(rw->g, n); }

OpCtx rw_ctx(const Rw *rw, NodeId n)
{
    return (OpCtx){.cx = rw->p->cx, .g = rw->g, .id = n, .n = node(rw->g, n), .x = rw->p->cx->x, .a = rw->a};
}

bool rw_floats(const Rw *rw, TensorId id, int64_t n, double *v)
{
    const Tensor *t = tensor(rw->g, id);
    if (t->kind != TK_CONST || !dtype_is_float(t->dt) || (t->data->count != n && t->data->count != 1))
        return false;
    for (int64_t k = 0; k < n; k++)
        v[k] = blob_f(t->data, t->data->count == 1 ? 0 : k);
    return true;
}

static uint32_t *use_of(Rw *rw, TensorId t)
{
    while (rw->uses.n <= t.i)
        PUSH(rw->a, &rw->uses, 0);
    return &rw->uses.at[t.i];
}

static void drop_use(Rw *rw, TensorId t)
{
    if (is_none(t) || *use_of(rw, t) == 0 || --*use_of(rw, t) > 0)
        return;
    const Tensor *v = tensor(rw->g, t);
    if (v->kind != TK_ACT || !v->producer.i || node(rw->g, v->producer)->dead)
        return;
    Node *n = node(rw->g, v->producer);
    for (uint16_t k = 0; k < n->nout; k++)
        if (!is_none(n->out[k]) && *use_of(rw, n->out[k]))
            return;
    const NodeId dead = v->producer;
    for (uint16_t k = 0; k < n->nin; k++)
        drop_use(rw, n->in[k]);
    graph_remove(rw->g, dead);
}

TensorId rw_const(Rw *rw, const char *hint, uint8_t rank, const int64_t *dim, const Blob *data)
{
    return graph_const_of(rw->g, hint, rank, dim, data);
}

TensorId rw_const_f32(Rw *rw, const char *hint, uint8_t rank, const int64_t *dim, const float *v)
{
    return graph_const(rw->g, hint, DT_f32, rank, dim, v);
}

TensorId rw_add(Rw *rw, NodeId before, const OpInfo *op, uint16_t nin, const TensorId *in, uint16_t nattr, const Attr *attr, const Tensor *like)
{
    const TensorId out = graph_temp(rw->g, like->name, like->dt, like->rank, like->dim);
    (void)graph_node_before(rw->g, before, op, node(rw->g, before)->name, nin, in, 1, &out, nattr, attr);
    for (uint16_t k = 0; k < nin; k++)
        ++*use_of(rw, in[k]);
    return out;
}

void rw_become(Rw *rw, NodeId id, const OpInfo *op, uint16_t nin, const TensorId *in, uint16_t nattr, const Attr *attr)
{
    Node *n = node(rw->g, id);
    const TensorId *old = n->in;
    const uint16_t nold = n->nin;
    for (uint16_t k = 0; k < nin; k++)
        if (!is_none(in[k]))
            ++*use_of(rw, in[k]);
    n->op = op;
    n->nin = nin;
    n->in = arena_copy(rw->p->cx->arena, in, nin * sizeof *in);
    n->nattr = nattr;
    n->attr = arena_copy(rw->p->cx->arena, attr, nattr * sizeof *attr);
    for (uint16_t k = 0; k < nold; k++)
        drop_use(rw, old[k]);
}

static bool is_output(const Graph *g, TensorId t)
{
    for (uint32_t k = 0; k < g->output.n; k++)
        if (g->output.at[k].i == t.i)
            return true;
    return false;
}

bool rw_forward(Rw *rw, NodeId id, TensorId t)
{
    Node *n = node(rw->g, id);
    if (is_output(rw->g, n->out[0]))
        return false;
    *use_of(rw, t) += *use_of(rw, n->out[0]);
    *use_of(rw, n->out[0]) = 0;
    graph_replace(rw->g, n->out[0], t);
    for (uint16_t k = 0; k < n->nin; k++)
        drop_use(rw, n->in[k]);
    graph_remove(rw->g, id);
    return true;
}

/* ---- driver ---- */

/* What a trace calls a node: its own name, or that of its result. */
static const char *subject(const Rw *rw, NodeId id)
{
    const Node *n = node(rw->g, id);
    return str_fmt(rw->a, "%s '%s'", n->op->name, n->name[0] ? n->name : tensor(rw->g, n->out[0])->name);
}

static bool try_rules(Rw *rw, const Rule *const *sets, uint32_t nsets, NodeId id)
{
    for (uint32_t s = 0; s < nsets; s++)
        for (const Rule *r = sets[s]; r->name; r++) {
            Match m;
            if (!rule_matches(rw, r->pattern, id, &m))
                continue;
            rw->rule = r->name;
            const char *what = subject(rw, id);
            if (!r->action(rw, &m))
                continue;
            rw->fired++;
            const Node *n = node(rw->g, id);
            remark(rw->p, "rewrite", true, "%s: %s becomes %s", r->name, what, n->dead ? "its operand" : n->op->name);
            return true;
        }
    return false;
}

bool rewrite(Program *p, const Rule *const *sets, uint32_t nsets)
{
    Rw rw = {.p = p, .g = p->graph, .a = arena_child(p->cx->arena)};
    const uint32_t *uses = graph_uses(p->graph, rw.a);
    for (uint32_t t = 0; t < graph_ntensors(p->graph); t++)
        PUSH(rw.a, &rw.uses, uses[t]);
    const uint64_t fuel = FUEL * ((uint64_t)graph_nnodes(p->graph) + 1);
    for (bool again = true; again;) {
        again = false;
        for (uint32_t k = 0; k < p->graph->order.n; k++) {
            const NodeId id = p->graph->order.at[k];
            while (!node(p->graph, id)->dead && node(p->graph, id)->nout && try_rules(&rw, sets, nsets, id)) {
                again = true;
                if (rw.fired > fuel)
                    ICE("rewriting does not end; the last rule was %s", rw.rule);
            }
        }
    }
    graph_sweep(p->graph);
    arena_free(rw.a);
    return true;
}

bool pass_rewrite(Program *p)
{
    static const Rule *const sets[] = {rules_algebra, rules_fuse, rules_layout};
    return rewrite(p, sets, COUNT(sets));
}

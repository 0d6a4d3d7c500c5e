/* SPDX-License-Identifier: Apache-2.0
 *
 * One rule on one graph: the laws of rewrite.h, and the outputs before and after on random inputs by the interpreter. A
 * test file has a table of cases for its tables of rules; a rule without a case fails.
 */
#ifndef MLCC_TEST_RULE_CASE_H
#define MLCC_TEST_RULE_CASE_H

#include "compiler/rewrite.h"

#include <math.h>

#include "eval.h"

enum { ROUNDS = 12 };

/* A graph on which the rule fires. tolerance: relative, 0 when the rule is exact. */
typedef struct Case {
    const char *rule;
    double tolerance;
    const char *graph;
} Case;

/* ---- values ---- */

static bool near(const mlcc_tensor *p, const mlcc_tensor *q, size_t bytes, double tolerance)
{
    const float *a = p->data, *b = q->data;
    if (dtype_by_onnx(p->dtype) != DT_f32) return memcmp(p->data, q->data, bytes) == 0;
    for (size_t k = 0; k < bytes / sizeof *a; k++) {
        const bool equal = memcmp(&a[k], &b[k], sizeof *a) == 0 || (isnan(a[k]) && isnan(b[k]));
        if (!equal && !(fabs((double)a[k] - (double)b[k]) <= tolerance * (1 + fabs((double)a[k])))) return false;
    }
    return true;
}

static bool equal_values(const Values *p, const Values *q, double tolerance)
{
    bool same = p->n == q->n;
    for (uint32_t k = 0; same && k < p->n; k++)
        same = p->bytes[k] == q->bytes[k] && near(&p->at[k], &q->at[k], p->bytes[k], tolerance);
    return same;
}

/* Outputs of a graph on several inputs, which are made the first time. */
typedef struct Runs {
    mlcc_tensor *in[ROUNDS];
    Values out[ROUNDS];
} Runs;

static void run_all(Graph *g, Runs *r)
{
    for (int k = 0; k < ROUNDS; k++) r->out[k] = evaluate(g, &r->in[k]);
}

static void assert_runs_equal(const Runs *p, const Runs *q, const Case *c, const char *what)
{
    for (int k = 0; k < ROUNDS; k++)
        if (!equal_values(&p->out[k], &q->out[k], c->tolerance)) fail_msg("%s: %s changes values of\n%s", c->rule, what, c->graph);
}

/* ---- laws ---- */

static bool is_op(const Node *n, const char *name) { return *n->op->domain == 0 && strcmp(n->op->name, name) == 0; }

static bool is_constant(const Graph *g, const Node *n, int k)
{
    return k < n->nin && !is_none(n->in[k]) && tensor(g, n->in[k])->kind == TK_CONST;
}

static bool reads(const Node *n, TensorId t)
{
    for (uint16_t k = 0; k < n->nin; k++)
        if (n->in[k].i == t.i) return true;
    return false;
}

/* Marks what n comes from (or what comes from it); returns how many nodes other than `same` are new among them. */
static int mark(const Graph *g, NodeId id, bool up, const char *same, bool *seen)
{
    const Node *n = node(g, id);
    int count = 0;
    for (uint32_t k = 0; k < g->order.n; k++) {
        const NodeId other = g->order.at[k];
        const Node *o = node(g, other);
        const bool joined = up ? reads(n, o->out[0]) : reads(o, n->out[0]);
        if (o->dead || !joined || seen[other.i]) continue;
        seen[other.i] = true;
        count += !is_op(o, same) + mark(g, other, up, same, seen);
    }
    return count;
}

static int reach(const Graph *g, NodeId id, bool up, const char *same)
{
    return mark(g, id, up, same, NEWN(arena, bool, graph_nnodes(g) + 1));
}

/* What every rule lowers (law 3): first how far quantization is from where it goes, and forms that others replace; then
 * the number of nodes. */
typedef struct Measure { int far, nodes; } Measure;

static Measure measure(const Graph *g)
{
    Measure m = {0};
    for (uint32_t k = 0; k < g->order.n; k++) {
        const NodeId id = g->order.at[k];
        const Node *n = node(g, id);
        if (n->dead) continue;
        m.nodes++;
        m.far += is_op(n, "Div") + ((is_op(n, "Add") || is_op(n, "Mul")) && is_constant(g, n, 0) && !is_constant(g, n, 1));
        m.far += is_op(n, "QuantizeLinear") ? reach(g, id, true, "QuantizeLinear") : 0;
        m.far += is_op(n, "DequantizeLinear") ? reach(g, id, false, "DequantizeLinear") : 0;
    }
    return m;
}

static bool is_less(Measure p, Measure q) { return p.far < q.far || (p.far == q.far && p.nodes < q.nodes); }

static bool fired(const Rule *r) { return strstr(text_str(&remarks), str_fmt(arena, "%s: ", r->name)) != NULL; }

static void assert_signature(const Tensor *before, const Graph *g, const char *rule)
{
    const Tensor *after = tensor(g, g->output.at[0]);
    bool same = before->dt == after->dt && before->rank == after->rank && strcmp(before->name, after->name) == 0;
    for (uint8_t d = 0; same && d < before->rank; d++) same = before->dim[d] == after->dim[d];
    if (!same) fail_msg("%s changes name, type or shape of the output", rule);
}

/* Fires; leaves a sound graph of the same signature and values, and less of it; and has nothing to do a second time. */
static void check_case(const Case *c, const Rule *r)
{
    const Rule alone[] = {*r, {0}};
    const Rule *const set[] = {alone};
    Graph *g = parsed(c->graph);
    Program p = program(g);
    Runs want = {0}, got;
    run_all(g, &want);
    got = want;
    const Tensor before = *tensor(g, g->output.at[0]);
    const Measure most = measure(g);
    const uint32_t inputs = g->input.n;
    remarks.n = 0;
    if (!rewrite(&p, set, 1) || !fired(r)) fail_msg("%s does not fire on\n%s", r->name, c->graph);
    const char *why = graph_verify(arena, g);
    if (why || !infer_graph(g)) fail_msg("%s: %s", r->name, why ? why : "inference fails afterwards");
    assert_signature(&before, g, r->name);
    assert_int_equal(g->input.n, inputs);
    if (!is_less(measure(g), most)) fail_msg("%s lowers nothing on\n%s", r->name, c->graph);
    run_all(g, &got);
    assert_runs_equal(&want, &got, c, "alone it");
    remarks.n = 0;
    if (!rewrite(&p, set, 1) || fired(r)) fail_msg("%s fires again on its own result of\n%s", r->name, c->graph);
}

/* All rules together keep the values too, and end. */
static void check_together(const Case *c, const Rule *const *sets, uint32_t nsets)
{
    Graph *g = parsed(c->graph);
    Program p = program(g);
    Runs want = {0}, got;
    run_all(g, &want);
    got = want;
    assert_true(rewrite(&p, sets, nsets));
    const char *why = graph_verify(arena, g);
    if (why || !infer_graph(g)) fail_msg("%s: %s", c->rule, why ? why : "inference fails afterwards");
    run_all(g, &got);
    assert_runs_equal(&want, &got, c, "with all other rules it");
    remarks.n = 0;
    assert_true(rewrite(&p, sets, nsets));
    if (remarks.n) fail_msg("rules go on after they ended: %s", text_str(&remarks));
}

static const Rule *rule_in(const Rule *const *sets, uint32_t nsets, const char *name)
{
    for (uint32_t s = 0; s < nsets; s++)
        for (const Rule *r = sets[s]; r->name; r++)
            if (strcmp(r->name, name) == 0) return r;
    fail_msg("there is no rule %s", name);
    return NULL;
}

/* Every case, and a case for every rule. */
static void check_rules(const Rule *const *sets, uint32_t nsets, const Case *cases, size_t ncases)
{
    Map has = {.arena = arena};
    srand(1);
    for (size_t k = 0; k < ncases; k++) {
        check_case(&cases[k], rule_in(sets, nsets, cases[k].rule));
        check_together(&cases[k], sets, nsets);
        *map_str(&has, cases[k].rule, true) = 1;
    }
    for (uint32_t s = 0; s < nsets; s++)
        for (const Rule *r = sets[s]; r->name; r++)
            if (!map_str(&has, r->name, false)) fail_msg("%s has no case", r->name);
}

/* A rule that declines leaves the graph as it was: law 4. */
static void check_declined(const Rule *const *sets, uint32_t nsets, const Case *c)
{
    const Rule alone[] = {*rule_in(sets, nsets, c->rule), {0}};
    const Rule *const set[] = {alone};
    Graph *g = parsed(c->graph);
    Program p = program(g);
    Text before = {.arena = arena}, after = {.arena = arena};
    graph_sweep(g);
    graph_print(&before, g, 0);
    const uint32_t tensors = graph_ntensors(g);
    remarks.n = 0;
    assert_true(rewrite(&p, set, 1));
    graph_print(&after, g, 0);
    if (remarks.n) fail_msg("%s fires on\n%s", c->rule, c->graph);
    if (strcmp(text_str(&before), text_str(&after)) != 0 || graph_ntensors(g) != tensors) fail_msg("%s declines but changes\n%s", c->rule, c->graph);
}

#endif

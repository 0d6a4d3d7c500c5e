/* SPDX-License-Identifier: Apache-2.0
 *
 * mlcc check: the whole pipeline without writing anything, then what the model is made of: a row per operator, and the
 * memory that the compiled model needs.
 */
#include "../codegen/emit.h"
#include "../ir/op.h"
#include "verb.h"

typedef struct Row { const char *op; int64_t nodes, parameters, macs; } Row;

typedef struct Table {
    const Program *p;
    VEC(Row) row;
    Map of;    /* operator name -> index of its row */
    Map seen;  /* constants already counted */
} Table;

static Row *row_of(Table *t, const OpInfo *op)
{
    Arena *a = t->p->cx->arena;
    const char *name = *op->domain ? str_fmt(a, "%s:%s", op->domain, op->name) : op->name;
    uint64_t *at = map_str(&t->of, name, false);
    if (!at) {
        at = map_str(&t->of, name, true);
        *at = t->row.n;
        PUSH(a, &t->row, ((Row){.op = name}));
    }
    return &t->row.at[*at];
}

/* Elements of the constants that node n is the first to read. */
static int64_t parameters(Table *t, const Node *n)
{
    int64_t count = 0;
    for (uint16_t k = 0; k < n->nin; k++) {
        const Tensor *c = is_none(n->in[k]) ? NULL : tensor(t->p->graph, n->in[k]);
        if (!c || c->kind != TK_CONST || map_u64(&t->seen, n->in[k].i, false))
            continue;
        *map_u64(&t->seen, n->in[k].i, true) = 1;
        count += c->data->count;
    }
    return count;
}

static void count_nodes(Table *t)
{
    for (uint32_t k = 0; k < t->p->graph->order.n; k++) {
        const Node *n = node(t->p->graph, t->p->graph->order.at[k]);
        Row *r = row_of(t, n->op);
        r->nodes++;
        r->parameters += parameters(t, n);
    }
}

/* A sum of products has one multiply-accumulate per element and step. */
static int64_t stage_macs(const Te *te, const Stage *s)
{
    if (s->kind != ST_reduce || s->op != RED_sum || s->body->op != EX_mul)
        return 0;
    int64_t n = 1;
    for (uint8_t d = 0; d < ten(te, s->out)->rank; d++)
        n *= ex_upper(te->cx->x, ten(te, s->out)->dim[d]);
    for (uint8_t d = 0; d < s->nr; d++)
        n *= ex_upper(te->cx->x, s->rext[d]);
    return n;
}

static void count_macs(Table *t)
{
    const Te *te = t->p->te;
    for (uint32_t k = 0; k < te->stage.n; k++)
        if (te->stage.at[k]->node.i)
            row_of(t, node(t->p->graph, te->stage.at[k]->node)->op)->macs += stage_macs(te, te->stage.at[k]);
}

static void print_operators(Text *out, const Table *t)
{
    Row sum = {.op = "total"};
    text_add(out, "%-28s %8s %14s %16s\n", "operator", "nodes", "parameters", "macs");
    for (uint32_t k = 0; k < t->row.n; k++) {
        const Row *r = &t->row.at[k];
        text_add(out, "%-28s %8lld %14lld %16lld\n", r->op, (long long)r->nodes, (long long)r->parameters, (long long)r->macs);
        sum.nodes += r->nodes;
        sum.parameters += r->parameters;
        sum.macs += r->macs;
    }
    text_add(out, "%-28s %8lld %14lld %16lld\n\n", sum.op, (long long)sum.nodes, (long long)sum.parameters, (long long)sum.macs);
}

static void print_memory(Text *out, const Unit *u)
{
    const struct { const char *what; int64_t bytes; } row[] = {
        {"weights", u->weight_bytes}, {"arena", u->arena_bytes}, {"arena, lower bound", u->arena_bound}, {"arena with inputs and outputs", u->ram_with_io}, {"stack", u->stack_bytes},
    };
    text_add(out, "%-30s %14s\n", "memory", "bytes");
    for (size_t k = 0; k < COUNT(row); k++)
        text_add(out, "%-30s %14lld%s\n", row[k].what, (long long)row[k].bytes, k == 1 && u->arena_optimal ? "  proven minimal" : "");
}

/* Weights and stack are facts of the emitted code. */
static void measure(Program *p)
{
    Unit *u = p->unit;
    EmitFiles files = {.arena = p->cx->arena};
    EmitOptions e = {.prefix = "model", .file = "model", .source = "model", .sha256 = "", .version = mlcc_version, .lanes = p->machine.lanes_f32};
    weights_layout(u);
    e.weights = weights_mode(u, WM_auto);
    u->ram_with_io = ram_with_io(u);
    emit_c(u, &e, &files);
}

bool verb_check(Program *p, Outputs *out)
{
    if (!passes_run(p, NULL))
        return false;
    Arena *a = p->cx->arena;
    Table t = {.p = p, .of = {.arena = a}, .seen = {.arena = a}};
    Text text = {.arena = a};
    count_nodes(&t);
    count_macs(&t);
    measure(p);
    print_operators(&text, &t);
    print_memory(&text, p->unit);
    out->text = text_str(&text);
    return within_budget(p->cx->diags, p->opt, p->unit);
}

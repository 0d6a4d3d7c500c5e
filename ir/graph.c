/* SPDX-License-Identifier: Apache-2.0
 *
 * The graph's store: entities in chunks that never move, names, edits, order.
 *
 * Ids index chunks of 256 entities; id 0 is a zeroed dummy, so "none" needs no special case when reading arrays. A
 * subgraph refers to tensors of an enclosing graph by name: such a *capture* is a tensor of the subgraph without a
 * producer. Captures count as uses of the outer tensor, so edits and sweeps of the outer graph keep them right.
 */
#include "graph.h"

#include "op.h"

enum { CHUNK = 256 };

/* Room for one more entity in chunks of CHUNK; returns its id. The list of chunks doubles when its length is 2^k. */
static uint32_t add_entity(Arena *a, void ***chunk, uint32_t *n, size_t size, size_t align)
{
    const uint32_t id = *n, c = id / CHUNK;
    if (id % CHUNK == 0) {
        if ((c & (c - 1)) == 0) {
            void **grown = NEWN(a, void *, c ? 2 * (size_t)c : 1);
            if (c) memcpy(grown, *chunk, c * sizeof *grown);
            *chunk = grown;
        }
        (*chunk)[c] = arena_alloc(a, CHUNK * size, align);
    }
    *n = id + 1;
    return id;
}

static TensorId add_tensor(Graph *g, const char *name)
{
    const TensorId id = {add_entity(g->cx->arena, &g->tensors.chunk, &g->tensors.n, sizeof(Tensor), _Alignof(Tensor))};
    Tensor *t = tensor(g, id);
    t->name = str_dup(g->cx->arena, name);
    *map_str(&g->by_name, t->name, true) = id.i;
    return id;
}

static const char *fresh_name(const Graph *g, const char *hint)
{
    const char *name = hint[0] ? hint : "t";
    for (uint32_t k = g->tensors.n; !is_none(graph_find(g, name)); k++) name = str_fmt(g->cx->arena, "%s.%u", hint, k);
    return name;
}

static TensorId *copy_ids(Arena *a, const TensorId *ids, uint16_t n)
{
    TensorId *copy = NEWN(a, TensorId, n);
    if (n) memcpy(copy, ids, n * sizeof *copy);
    return copy;
}

static NodeId add_node(Graph *g, const OpInfo *op, const char *name, uint16_t nin, const TensorId *in, uint16_t nout,
                       const TensorId *out, uint16_t nattr, const Attr *attr)
{
    Arena *a = g->cx->arena;
    const NodeId id = {add_entity(a, &g->nodes.chunk, &g->nodes.n, sizeof(Node), _Alignof(Node))};
    Node *n = node(g, id);
    *n = (Node){.op = op, .name = str_dup(a, name), .nin = nin, .nout = nout, .nattr = nattr, .src = id.i - 1};
    n->in = copy_ids(a, in, nin);
    n->out = copy_ids(a, out, nout);
    n->attr = NEWN(a, Attr, nattr);
    if (nattr) memcpy(n->attr, attr, nattr * sizeof *attr);
    for (uint16_t k = 0; k < nout; k++) {
        if (is_none(out[k])) continue;
        tensor(g, out[k])->producer = id;
        tensor(g, out[k])->slot = k;
    }
    return id;
}

static bool is_capture(const Graph *g, const Tensor *t)
{
    return g->parent && t->kind == TK_ACT && t->producer.i == 0;
}

typedef void (*CaptureFn)(void *ctx, TensorId outer, Graph *sub, TensorId inner);

static void node_captures(const Graph *g, const Node *n, CaptureFn fn, void *ctx);

static void use_of(const Graph *g, Graph *sub, TensorId inner, CaptureFn fn, void *ctx)
{
    if (is_none(inner) || !is_capture(sub, tensor(sub, inner))) return;
    const TensorId outer = graph_find(g, tensor(sub, inner)->name);
    if (!is_none(outer)) fn(ctx, outer, sub, inner);
}

/* Calls fn for every use of a tensor of g in sub and in the graphs inside sub. */
static void each_capture(const Graph *g, Graph *sub, CaptureFn fn, void *ctx)
{
    for (uint32_t k = 0; k < sub->order.n; k++) {
        const Node *n = node(sub, sub->order.at[k]);
        if (n->dead) continue;
        for (uint16_t j = 0; j < n->nin; j++) use_of(g, sub, n->in[j], fn, ctx);
        node_captures(g, n, fn, ctx);
    }
    for (uint32_t k = 0; k < sub->output.n; k++) use_of(g, sub, sub->output.at[k], fn, ctx);
}

static void node_captures(const Graph *g, const Node *n, CaptureFn fn, void *ctx)
{
    for (uint16_t j = 0; j < n->nattr; j++) {
        if (n->attr[j].type == AT_g) each_capture(g, n->attr[j].v.g, fn, ctx);
    }
}

static void count_capture(void *ctx, TensorId outer, Graph *sub, TensorId inner)
{
    (void)sub, (void)inner;
    ((uint32_t *)ctx)[outer.i]++;
}

static void uncount_capture(void *ctx, TensorId outer, Graph *sub, TensorId inner)
{
    (void)sub, (void)inner;
    ((uint32_t *)ctx)[outer.i]--;
}

typedef struct Rename {
    TensorId from;
    const char *to;
} Rename;

static void rename_tensor(Graph *g, TensorId id, const char *name)
{
    tensor(g, id)->name = name;
    *map_str(&g->by_name, name, true) = id.i;
}

/* A capture of `from` becomes one of `to`. A tensor of the subgraph's own that has this name gives it up. */
static void rename_capture(void *ctx, TensorId outer, Graph *sub, TensorId inner)
{
    const Rename *r = ctx;
    if (outer.i != r->from.i) return;
    const TensorId there = graph_find(sub, r->to);
    if (!is_none(there) && is_capture(sub, tensor(sub, there))) {
        graph_replace(sub, inner, there);
        return;
    }
    if (!is_none(there)) rename_tensor(sub, there, fresh_name(sub, r->to));
    rename_tensor(sub, inner, r->to);
}

static bool is_output(const Graph *g, TensorId t)
{
    for (uint32_t k = 0; k < g->output.n; k++) {
        if (g->output.at[k].i == t.i) return true;
    }
    return false;
}

static void swap_names(Graph *g, TensorId p, TensorId q)
{
    const char *name = tensor(g, p)->name;
    rename_tensor(g, p, tensor(g, q)->name);
    rename_tensor(g, q, name);
}

/* A depth-first walk over producers, by an explicit stack as models may be deep. */
typedef struct Sort {
    Graph *g;
    uint8_t *state;          /* by node: 0 new, 1 on the stack, 2 placed */
    VEC(NodeId) stack, need; /* need: producers that the top of the stack waits for */
    VEC(NodeId) order;
} Sort;

static void need_tensor(Sort *s, TensorId t)
{
    const NodeId p = is_none(t) ? (NodeId){0} : tensor(s->g, t)->producer;
    if (p.i && s->state[p.i] != 2) PUSH(s->g->cx->arena, &s->need, p);
}

static void need_capture(void *ctx, TensorId outer, Graph *sub, TensorId inner)
{
    (void)sub, (void)inner;
    need_tensor(ctx, outer);
}

/* Places n or pushes what it needs first; false: a producer it needs waits for n itself. */
static bool sort_step(Sort *s, NodeId id)
{
    const Node *n = node(s->g, id);
    s->need.n = 0;
    for (uint16_t k = 0; k < n->nin; k++) need_tensor(s, n->in[k]);
    node_captures(s->g, n, need_capture, s);
    for (uint32_t k = s->need.n; k-- > 0;) {
        const NodeId p = s->need.at[k];
        if (s->state[p.i] == 1) return node_error(s->g, p, NO_OPERAND, "graph-cycle", "the node needs its own result");
        PUSH(s->g->cx->arena, &s->stack, p);
    }
    s->state[id.i] = s->need.n ? 1 : 2;
    if (s->need.n) return true;
    s->stack.n--;
    PUSH(s->g->cx->arena, &s->order, id);
    return true;
}

static bool sort_from(Sort *s, NodeId root)
{
    PUSH(s->g->cx->arena, &s->stack, root);
    while (s->stack.n) {
        const NodeId id = s->stack.at[s->stack.n - 1];
        if (s->state[id.i] == 2)
            s->stack.n--; /* pushed twice, placed meanwhile */
        else if (!sort_step(s, id))
            return false;
    }
    return true;
}

const char *fp_name(FpMode m)
{
    static const char *const name[] = {[FP_fast] = "fast", [FP_strict] = "strict", [FP_bf16] = "bf16"};
    return name[m];
}

/* An empty graph in the arena of cx. parent: the graph whose names it may capture, or NULL. */
Graph *graph_new(Ctx *cx, const char *name, Graph *parent)
{
    Graph *g = NEW(cx->arena, Graph);
    g->cx = cx;
    g->name = str_dup(cx->arena, name);
    g->parent = parent;
    g->by_name.arena = cx->arena;
    add_entity(cx->arena, &g->tensors.chunk, &g->tensors.n, sizeof(Tensor), _Alignof(Tensor));
    add_entity(cx->arena, &g->nodes.chunk, &g->nodes.n, sizeof(Node), _Alignof(Node));
    return g;
}

/* The entity of an id; the pointer stays valid while the graph lives. */
Tensor *tensor(const Graph *g, TensorId id)
{
    if (id.i == 0 || id.i >= g->tensors.n) ICE("tensor %u of %u", id.i, g->tensors.n);
    return (Tensor *)g->tensors.chunk[id.i / CHUNK] + id.i % CHUNK;
}

Node *node(const Graph *g, NodeId id)
{
    if (id.i == 0 || id.i >= g->nodes.n) ICE("node %u of %u", id.i, g->nodes.n);
    return (Node *)g->nodes.chunk[id.i / CHUNK] + id.i % CHUNK;
}

TensorId graph_tensor(Graph *g, const char *name)
{
    if (!name[0]) return (TensorId){0};
    const TensorId id = graph_find(g, name);
    return is_none(id) ? add_tensor(g, name) : id;
}

TensorId graph_find(const Graph *g, const char *name)
{
    Map view = g->by_name; /* looking up changes nothing */
    const uint64_t *id = map_str(&view, name, false);
    return (TensorId){id ? (uint32_t)*id : 0};
}

/* A new activation without a producer; its name is `hint`, with a number when that is taken. */
TensorId graph_temp(Graph *g, const char *hint, DType dt, uint8_t rank, const Expr *const *dim)
{
    const TensorId id = add_tensor(g, fresh_name(g, hint));
    Tensor *t = tensor(g, id);
    t->dt = dt;
    t->ranked = true;
    t->rank = rank;
    for (uint8_t d = 0; d < rank; d++) t->dim[d] = dim[d];
    return id;
}

TensorId graph_const_of(Graph *g, const char *hint, uint8_t rank, const int64_t *dim, const Blob *data)
{
    const Expr *e[MAX_RANK];
    for (uint8_t d = 0; d < rank; d++) e[d] = ex_int(g->cx->x, dim[d]);
    const TensorId id = graph_temp(g, hint, data->dt, rank, e);
    tensor(g, id)->kind = TK_CONST;
    tensor(g, id)->data = data;
    return id;
}

/* A new constant; data holds the product of dim elements in memory form and is copied. */
TensorId graph_const(Graph *g, const char *hint, DType dt, uint8_t rank, const int64_t *dim, const void *data)
{
    int64_t count = 1;
    for (uint8_t d = 0; d < rank; d++)
        if (!mul_i64(count, dim[d], &count)) ICE("constant '%s' is too large", hint);
    return graph_const_of(g, hint, rank, dim, blob_make(g->cx->arena, dt, count, data));
}

NodeId graph_node(Graph *g, const OpInfo *op, const char *name, uint16_t nin, const TensorId *in, uint16_t nout,
                  const TensorId *out, uint16_t nattr, const Attr *attr)
{
    const NodeId id = add_node(g, op, name, nin, in, nout, out, nattr, attr);
    PUSH(g->cx->arena, &g->order, id);
    return id;
}

/* As graph_node, but placed right before the live node pos. */
NodeId graph_node_before(Graph *g, NodeId pos, const OpInfo *op, const char *name, uint16_t nin, const TensorId *in,
                         uint16_t nout, const TensorId *out, uint16_t nattr, const Attr *attr)
{
    const NodeId id = graph_node(g, op, name, nin, in, nout, out, nattr, attr);
    uint32_t k = g->order.n - 1;
    for (; k > 0 && g->order.at[k].i != pos.i; k--) g->order.at[k] = g->order.at[k - 1];
    /* what stood at k was copied to k + 1 by the step before */
    if (g->order.at[k].i != pos.i) ICE("node %u is not in the order of graph '%s'", pos.i, g->name);
    g->order.at[k] = id;
    node(g, id)->src = node(g, pos)->src;
    node(g, id)->opset = node(g, pos)->opset;
    return id;
}

/* Marks n as dead; it leaves the order with the next sweep. */
void graph_remove(Graph *g, NodeId n)
{
    Node *dead = node(g, n);
    dead->dead = true;
    for (uint16_t k = 0; k < dead->nout; k++) {
        if (!is_none(dead->out[k]) && tensor(g, dead->out[k])->producer.i == n.i)
            tensor(g, dead->out[k])->producer.i = 0;
    }
}

/* Every reader of `from` reads `to` instead. Names of graph outputs are part of the model's interface: when `from` is
 * one, `to` gets its name, unless `to` is an input, a constant or an output too and so has a name to keep. */
void graph_replace(Graph *g, TensorId from, TensorId to)
{
    if (is_output(g, from) && !is_output(g, to) && tensor(g, to)->kind == TK_ACT) swap_names(g, from, to);
    Rename r = {from, tensor(g, to)->name};
    for (uint32_t i = 0; i < g->order.n; i++) {
        Node *n = node(g, g->order.at[i]);
        for (uint16_t k = 0; k < n->nin; k++) {
            if (n->in[k].i == from.i) n->in[k] = to;
        }
        node_captures(g, n, rename_capture, &r);
    }
    for (uint32_t k = 0; k < g->output.n; k++) {
        if (g->output.at[k].i == from.i) g->output.at[k] = to;
    }
}

void graph_sweep(Graph *g)
{
    Arena *a = arena_child(g->cx->arena);
    uint32_t *uses = graph_uses(g, a);
    for (uint32_t i = g->order.n; i-- > 0;) {
        const Node *n = node(g, g->order.at[i]);
        bool used = n->dead;
        for (uint16_t k = 0; k < n->nout; k++) used |= uses[n->out[k].i] > 0 && !is_none(n->out[k]);
        if (used) continue;
        for (uint16_t k = 0; k < n->nin; k++) uses[n->in[k].i]--;
        node_captures(g, n, uncount_capture, uses);
        graph_remove(g, g->order.at[i]);
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < g->order.n; i++) {
        if (!node(g, g->order.at[i])->dead) g->order.at[kept++] = g->order.at[i];
    }
    g->order.n = kept;
    arena_free(a);
}

/* Stable: a node moves only behind what it needs. Dead nodes are dropped. */
bool graph_sort(Graph *g)
{
    Sort s = {.g = g, .state = NEWN(g->cx->arena, uint8_t, g->nodes.n)};
    for (uint32_t i = 0; i < g->order.n; i++) {
        if (!node(g, g->order.at[i])->dead && !sort_from(&s, g->order.at[i])) return false;
    }
    g->order.n = s.order.n;
    if (s.order.n) memcpy(g->order.at, s.order.at, s.order.n * sizeof *s.order.at);
    return true;
}

/* Captures by subgraphs are uses; place 0 counts absent operands and means nothing. */
uint32_t *graph_uses(const Graph *g, Arena *a)
{
    uint32_t *uses = NEWN(a, uint32_t, g->tensors.n);
    for (uint32_t i = 0; i < g->order.n; i++) {
        const Node *n = node(g, g->order.at[i]);
        if (n->dead) continue;
        for (uint16_t k = 0; k < n->nin; k++) uses[n->in[k].i]++;
        node_captures(g, n, count_capture, uses);
    }
    for (uint32_t k = 0; k < g->output.n; k++) uses[g->output.at[k].i]++;
    return uses;
}

uint32_t graph_ntensors(const Graph *g)
{
    return g->tensors.n;
}

uint32_t graph_nnodes(const Graph *g)
{
    return g->nodes.n;
}

bool tensor_static(const Tensor *t)
{
    for (uint8_t d = 0; d < t->rank && t->ranked; d++) {
        if (!t->dim[d] || !ex_is_const(t->dim[d])) return false;
    }
    return t->ranked;
}

/* Requires a known shape; INT64_MAX when the number is larger than that. */
int64_t tensor_count(const Graph *g, const Tensor *t)
{
    int64_t n = 1;
    bool fits = true;
    for (uint8_t d = 0; d < t->rank; d++) {
        const int64_t extent = ex_upper(g->cx->x, t->dim[d]);
        if (extent <= 0) return 0;
        fits = fits && mul_i64(n, extent, &n);
    }
    return fits ? n : INT64_MAX;
}

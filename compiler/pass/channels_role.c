/* SPDX-License-Identifier: Apache-2.0
 *
 * What operators do to channels: a row each; elementwise operators of the table need none. An operand that is neither a
 * constant nor an activation of a known form makes the node a barrier: the classes around it are fixed.
 */
#include "channels.h"

enum { MAX_CHANNELS = 1 << 16 }; /* a hostile extent is no channel */

#define NONE NO_CHANNEL_OPERAND

#define PLAIN(domain, name, role)                                                                                      \
    {                                                                                                                  \
        domain, name, role, 0, NONE, NONE, NONE, NONE, false                                                           \
    }

static const ChannelRow rows[] = {
    {"", "Conv", CR_mix, 0, 1, 2, NONE, NONE, true},
    {"", "Gemm", CR_mix, 0, 1, 2, NONE, NONE, false},
    {"", "MatMul", CR_mix, 0, 1, NONE, NONE, NONE, false},
    {"", "QLinearConv", CR_mix, 0, 3, 8, 2, 5, true},
    {"com.microsoft", "QGemm", CR_mix, 0, 3, 6, 2, 5, false},
    {"", "BatchNormalization", CR_each, 0, NONE, NONE, NONE, NONE, true},
    {"", "QuantizeLinear", CR_each, 0, NONE, NONE, NONE, NONE, true},
    {"", "DequantizeLinear", CR_each, 0, NONE, NONE, NONE, NONE, true},
    PLAIN("", "Cast", CR_each),
    PLAIN("", "Clip", CR_each),
    PLAIN("", "Gelu", CR_each),
    PLAIN("", "PRelu", CR_each),
    PLAIN("", "Pow", CR_each),
    {"mlcc", "QTable", CR_each, 0, 1, NONE, NONE, NONE, false},
    PLAIN("", "MaxPool", CR_window),
    PLAIN("", "AveragePool", CR_window),
    PLAIN("", "GlobalMaxPool", CR_window),
    PLAIN("", "GlobalAveragePool", CR_window),
    PLAIN("", "Flatten", CR_view),
    PLAIN("", "Reshape", CR_view),
    PLAIN("com.microsoft", "QLinearAdd", CR_each),
    PLAIN("com.microsoft", "QLinearMul", CR_each),
    PLAIN("com.microsoft", "QLinearSigmoid", CR_each),
    PLAIN("com.microsoft", "QLinearLeakyRelu", CR_each),
    PLAIN("com.microsoft", "QLinearAveragePool", CR_window),
    PLAIN("com.microsoft", "QLinearGlobalAveragePool", CR_window),
};
static const ChannelRow elementwise = PLAIN("", "", CR_each);

static const ChannelRow *row_of(const OpInfo *op)
{
    for (size_t k = 0; k < COUNT(rows); k++)
        if (strcmp(rows[k].domain, op->domain) == 0 && strcmp(rows[k].name, op->name) == 0) return &rows[k];
    return op->flags & OF_ELT ? &elementwise : NULL;
}

/* ---- classes ---- */

static uint32_t root(const Channels *k, uint32_t t)
{
    while (k->of[t].up != t) t = k->of[t].up = k->of[k->of[t].up].up;
    return t;
}

uint32_t channels_class(Channels *k, TensorId t)
{
    return root(k, t.i);
}

static void join(Channels *k, TensorId p, TensorId q)
{
    const uint32_t a = root(k, p.i), b = root(k, q.i);
    k->of[a].up = b;
    k->of[b].fixed = k->of[b].fixed || k->of[a].fixed;
}

/* ---- reading nodes ---- */

OpCtx channels_ctx(const Channels *k, NodeId n)
{
    return (OpCtx){.cx = k->p->cx, .g = k->g, .id = n, .n = node(k->g, n), .x = k->p->cx->x, .a = k->a};
}

static int64_t number(const OpCtx *c, const char *name, int64_t absent)
{
    return attr_has(c, name) ? attr_i(c, name) : absent;
}

static int64_t extent(const Tensor *t, int d)
{
    return t->dim[d]->v.i;
}

static bool is_const(const Channels *k, TensorId t)
{
    return !is_none(t) && tensor(k->g, t)->kind == TK_CONST;
}

static TensorId operand(const Node *n, int k)
{
    return k >= 0 && k < n->nin ? n->in[k] : (TensorId){0};
}

static const Blob *data(const Channels *k, const Node *n, int at)
{
    const TensorId t = operand(n, at);
    return is_none(t) ? NULL : tensor(k->g, t)->data;
}

Weight channels_weight(const Channels *k, NodeId id)
{
    const OpCtx c = channels_ctx(k, id);
    const ChannelRow *r = k->row[id.i];
    const Tensor *w = tensor(k->g, c.n->in[r->w]);
    Weight v = {.w = w->data, .wz = data(k, c.n, r->wz), .swapped = w->rank == 2 && !number(&c, "transB", 0)};
    v.m = extent(w, v.swapped);
    v.c = extent(w, !v.swapped);
    v.taps = v.m && v.c ? w->data->count / v.m / v.c : 0;
    return v;
}

double channels_factor(const Weight *w, int64_t m, int64_t c, int64_t tap)
{
    const double zero = w->wz ? blob_f(w->wz, w->wz->count == 1 ? 0 : m) : 0;
    return blob_f(w->w, (w->swapped ? c * w->m + m : m * w->c + c) * w->taps + tap) - zero;
}

bool channels_reads(const Weight *w, int64_t m, int64_t c)
{
    const int64_t taps = w->w->fill ? min_i64(w->taps, 1) : w->taps;
    for (int64_t t = 0; t < taps; t++)
        if (channels_factor(w, m, c, t) != 0) return true;
    return false;
}

int channels_axis(const Channels *k, NodeId id, TensorId t)
{
    const Tensor *p = tensor(k->g, t), *y = tensor(k->g, node(k->g, id)->out[0]);
    const int axis = k->row[id.i]->vectors ? 0 : p->rank - (y->rank - 1);
    return axis >= 0 && axis < p->rank && extent(p, axis) == k->of[node(k->g, id)->out[0].i].n ? axis : -1;
}

bool channels_padded(const Channels *k, NodeId id)
{
    const OpCtx c = channels_ctx(k, id);
    uint32_t n = 0;
    const char *how = attr_has(&c, "auto_pad") ? attr_s(&c, "auto_pad") : "NOTSET";
    const int64_t *pads = attr_has(&c, "pads") ? attr_is(&c, "pads", &n) : NULL;
    bool padded = (strcmp(how, "NOTSET") != 0 && strcmp(how, "VALID") != 0) || number(&c, "ceil_mode", 0);
    for (uint32_t d = 0; d < n; d++) padded = padded || pads[d] != 0;
    return padded;
}

double channels_zero(const Channels *k, NodeId id)
{
    const Blob *b = data(k, node(k->g, id), k->row[id.i]->xz);
    return b ? blob_f(b, 0) : 0;
}

bool channels_joined(const Channels *k, TensorId in, TensorId out)
{
    return !is_none(in) && !is_const(k, in) && k->of[in.i].n && k->of[in.i].n == k->of[out.i].n &&
           tensor(k->g, in)->rank == tensor(k->g, out)->rank;
}

/* ---- roles ---- */

/* Every operand but the activation is a constant or absent. */
static bool only_constants(const Channels *k, const Node *n, int x)
{
    for (uint16_t q = 0; q < n->nin; q++)
        if (q != x && !is_none(n->in[q]) && !is_const(k, n->in[q])) return false;
    return true;
}

/* What is added to each channel is one value everywhere. A matrix may be added to a product of matrices, row by row. */
static bool adds_by_channel(const Channels *k, const Node *n, const ChannelRow *r)
{
    const TensorId b = operand(n, r->b);
    if (is_none(b) || !is_const(k, b)) return true;
    const Tensor *t = tensor(k->g, b);
    return t->data->count == 1 || (t->data->count == k->of[n->out[0].i].n && extent(t, t->rank - 1) == t->data->count);
}

/* Matrix products (those without vectors) are of matrices; stacks of them mix what is not dimension 1. */
static ChannelRole mix_role(const Channels *k, NodeId id)
{
    const OpCtx c = channels_ctx(k, id);
    const ChannelRow *r = k->row[id.i];
    const Tensor *x = tensor(k->g, c.n->in[r->x]), *w = tensor(k->g, c.n->in[r->w]);
    const Blob *xz = data(k, c.n, r->xz);
    if (!adds_by_channel(k, c.n, r) || (!r->vectors && x->rank != 2)) return CR_none;
    if (!only_constants(k, c.n, r->x) || w->kind != TK_CONST || w->rank != x->rank || number(&c, "transA", 0) ||
        (xz && xz->count != 1))
        return CR_none;
    const int64_t in = k->of[c.n->in[r->x].i].n, out = k->of[c.n->out[0].i].n, group = number(&c, "group", 1);
    const Weight v = channels_weight(k, id);
    if (group == 1) return v.m == out && v.c == in ? CR_mix : CR_none;
    return group == in && in == out && v.c == 1 ? CR_depth : CR_none;
}

/* An activation operand of an elementwise node: of the class of the result, or the same for all channels. */
static bool fits(const Channels *k, NodeId id, TensorId in)
{
    const TensorId out = node(k->g, id)->out[0];
    const Tensor *t = tensor(k->g, in);
    const int axis = t->rank - (tensor(k->g, out)->rank - 1);
    if (k->row[id.i]->vectors) return channels_joined(k, in, out);
    return channels_joined(k, in, out) || axis < 0 || (axis < t->rank && ex_is_int(t->dim[axis], 1));
}

static ChannelRole each_role(const Channels *k, NodeId id)
{
    const OpCtx c = channels_ctx(k, id);
    const bool vector = k->row[id.i]->vectors && number(&c, "axis", 1) != 1;
    bool good = number(&c, "block_size", 0) == 0, any = false;
    for (uint16_t q = 0; q < c.n->nin; q++) {
        const TensorId t = c.n->in[q];
        if (is_none(t)) continue;
        good = good && (is_const(k, t) ? !vector || tensor(k->g, t)->data->count == 1 : fits(k, id, t));
        any = any || channels_joined(k, t, c.n->out[0]);
    }
    return good && any ? CR_each : CR_none;
}

static ChannelRole window_role(const Channels *k, NodeId id)
{
    const OpCtx c = channels_ctx(k, id);
    const bool global = !attr_has(&c, "kernel_shape");
    const bool good =
        only_constants(k, c.n, k->row[id.i]->x) && channels_joined(k, c.n->in[k->row[id.i]->x], c.n->out[0]);
    const bool known = !global || tensor_static(tensor(k->g, c.n->in[k->row[id.i]->x]));
    return good && known && !number(&c, "channels_last", 0) ? CR_window : CR_none;
}

static bool one_place(const Tensor *t)
{
    for (uint8_t d = 2; d < t->rank; d++)
        if (!ex_is_int(t->dim[d], 1)) return false;
    return true;
}

static ChannelRole view_role(const Channels *k, NodeId id)
{
    const Node *n = node(k->g, id);
    const Tensor *x = tensor(k->g, n->in[0]), *y = tensor(k->g, n->out[0]);
    const bool same = k->of[n->in[0].i].n == k->of[n->out[0].i].n;
    return same && one_place(x) && one_place(y) && tensor_static(x) && tensor_static(y) && x->kind != TK_CONST
               ? CR_view
               : CR_none;
}

static ChannelRole role_of(const Channels *k, NodeId id)
{
    static ChannelRole (*const of[])(const Channels *, NodeId) = {
        [CR_mix] = mix_role, [CR_each] = each_role, [CR_window] = window_role, [CR_view] = view_role};
    const Node *n = node(k->g, id);
    const ChannelRow *r = k->row[id.i];
    if (!r || n->nout == 0 || !k->of[n->out[0].i].n || is_none(operand(n, r->x))) return CR_none;
    for (uint16_t q = 1; q < n->nout; q++)
        if (!is_none(n->out[q])) return CR_none;
    return of[r->role](k, id);
}

static void follow(Channels *k)
{
    for (uint32_t t = 0; t < graph_ntensors(k->g); t++) {
        const Tensor *v = t ? tensor(k->g, (TensorId){t}) : NULL;
        k->of[t].up = t;
        if (v && v->kind != TK_CONST && v->ranked && v->rank >= 2 && v->rank <= MLCC_MAX_RANK &&
            ex_is_const(v->dim[1]) && v->dim[1]->v.i > 0)
            k->of[t].n = v->dim[1]->v.i <= MAX_CHANNELS ? v->dim[1]->v.i : 0;
    }
}

static void tie(Channels *k, NodeId id, uint32_t *seen)
{
    const Node *n = node(k->g, id);
    for (uint16_t q = 0; q < n->nin; q++) {
        const TensorId t = n->in[q];
        if (is_none(t) || is_const(k, t)) continue;
        const bool joined = k->role[id.i] == CR_view || channels_joined(k, t, n->out[0]);
        if (k->role[id.i] != CR_mix && joined) join(k, t, n->out[0]);
        if (k->role[id.i] == CR_mix || joined) seen[t.i]++;
    }
}

/* A class is fixed when something else than the nodes with a role makes or reads one of its tensors. */
static void fix(Channels *k, const uint32_t *seen)
{
    const uint32_t *uses = graph_uses(k->g, k->a);
    for (uint32_t t = 1; t < graph_ntensors(k->g); t++) {
        const Tensor *v = tensor(k->g, (TensorId){t});
        const bool made = v->kind == TK_ACT && v->producer.i && k->role[v->producer.i] != CR_none;
        if (k->of[t].n && (!made || seen[t] != uses[t])) k->of[root(k, t)].fixed = true;
    }
}

void channels_roles(Channels *k)
{
    uint32_t *seen = NEWN(k->a, uint32_t, graph_ntensors(k->g));
    k->of = NEWN(k->a, ChannelFacts, graph_ntensors(k->g));
    k->role = NEWN(k->a, ChannelRole, graph_nnodes(k->g));
    k->row = NEWN(k->a, const ChannelRow *, graph_nnodes(k->g));
    follow(k);
    for (uint32_t i = 0; i < k->g->order.n; i++) {
        const NodeId id = k->g->order.at[i];
        if (node(k->g, id)->dead) continue;
        k->row[id.i] = row_of(node(k->g, id)->op);
        k->role[id.i] = role_of(k, id);
        if (k->role[id.i] != CR_none) tie(k, id, seen);
    }
    fix(k, seen);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The pass `channels`: removes channels whose loss changes no bit of any output. A sum does not need an input channel
 *   - by a result channel whose weights on it are all zero, because its products add nothing;
 *   - when it holds the constant v everywhere: integers with bias'[m] = bias[m] + sum (w[m,c,..] - wz) * (v - xz), when
 *     no pad with another value takes part; reals when v is 0, since acc + 0 * w is acc (a sum starts at +0 and never
 *     becomes -0).
 * Need runs backward from what is fixed (results of the graph, operators without a row) through the sums until nothing
 * changes. A product of a real 0 is 0 for finite values alone: a model that relies on infinities or NaN in removed
 * channels is not the same model afterwards. Runs behind `integer`, where quantized arithmetic is integer arithmetic.
 */
#include "channels.h"

#include "../onnx.h"

#include <math.h>

/* ---- which stay ---- */

/* What the constant channels (without those that stay, unless that is NULL) add to result channel m: the sum of
 * (w - wz) * (v - xz), or of its absolute values. */
static double contribution(const Channels *k, NodeId id, const Weight *w, const bool *stays, int64_t m, bool absolute)
{
    const ChannelFacts *x = &k->of[node(k->g, id)->in[k->row[id.i]->x].i];
    const double xz = channels_zero(k, id);
    double sum = 0;
    for (int64_t c = 0; c < w->c; c++)
        for (int64_t t = 0; x->known[c] && !(stays && stays[c]) && t < w->taps; t++) {
            const double product = channels_factor(w, m, c, t) * (x->value[c] - xz);
            sum += absolute ? fabs(product) : product;
        }
    return sum;
}

static int64_t bias_at(const Tensor *b, int64_t m)
{
    return b ? blob_i(b->data, b->data->count == 1 ? 0 : m) : 0;
}

static const Tensor *bias_of(const Channels *k, NodeId id)
{
    const Node *n = node(k->g, id);
    const int at = k->row[id.i]->b;
    return at < n->nin && !is_none(n->in[at]) ? tensor(k->g, n->in[at]) : NULL;
}

/* Whatever constants move, every bias fits i32. */
static bool bias_holds(const Channels *k, NodeId id, const Weight *w)
{
    for (int64_t m = 0; m < w->m; m++)
        if (fabs((double)bias_at(bias_of(k, id), m)) + contribution(k, id, w, NULL, m, true) > INT32_MAX) return false;
    return true;
}

/* By input channel: it need not be there, whatever the weights on it. */
static bool *foldable(const Channels *k, NodeId id, const Weight *w)
{
    const ChannelRow *r = k->row[id.i];
    const ChannelFacts *x = &k->of[node(k->g, id)->in[r->x].i];
    bool *fold = NEWN(k->a, bool, w->c);
    const bool moves = x->known && r->xz >= 0 && r->b >= 0 && !channels_padded(k, id) && bias_holds(k, id, w);
    for (int64_t c = 0; x->known && c < w->c; c++)
        fold[c] = x->known[c] && (moves || x->value[c] == channels_zero(k, id));
    return fold;
}

static bool *keep_of(Channels *k, TensorId t)
{
    return k->of[channels_class(k, t)].keep;
}

static bool is_needed(const Weight *w, const bool *out, int64_t c)
{
    for (int64_t m = 0; m < w->m; m++)
        if (out[m] && channels_reads(w, m, c)) return true;
    return false;
}

/* Marks what the needed results of one sum need; true when something new was marked. */
static bool need_through(Channels *k, NodeId id)
{
    const Node *n = node(k->g, id);
    const Weight w = channels_weight(k, id);
    const bool *out = keep_of(k, n->out[0]), *fold = foldable(k, id, &w);
    bool *in = keep_of(k, n->in[k->row[id.i]->x]), news = false;
    for (int64_t c = 0; c < w.c; c++)
        if (!in[c] && !fold[c] && is_needed(&w, out, c)) in[c] = news = true;
    return news;
}

static void need_all(Channels *k)
{
    for (bool news = true; news;) {
        news = false;
        for (uint32_t i = k->g->order.n; i-- > 0;) {
            const NodeId id = k->g->order.at[i];
            if (k->role[id.i] != CR_mix) continue;
            news = need_through(k, id) || news;
            onnx_release(k->p->maps);
        }
    }
}

static bool any(const bool *v, int64_t n)
{
    for (int64_t c = 0; c < n; c++)
        if (v[c]) return true;
    return false;
}

static int64_t kept(const bool *keep, int64_t n)
{
    int64_t sum = 0;
    for (int64_t c = 0; c < n; c++) sum += keep[c];
    return sum;
}

/* Channels that were whole vectors, or halves or quarters of one, are so again: some that may go stay, for 63 cost more than 64. True when one
 * more stays. */
static bool fill_vectors(Channels *k, int64_t lanes)
{
    bool news = false;
    const uint32_t n = graph_ntensors(k->g);
    for (uint32_t t = 1; t < n && lanes > 1; t++) {
        ChannelFacts *f = &k->of[t];
        const int64_t unit = f->keep ? min_i64(lanes, f->n & -f->n) : 1;
        int64_t more = f->keep ? (unit - kept(f->keep, f->n) % unit) % unit : 0;
        news = news || more > 0;
        for (int64_t c = 0; c < f->n && more > 0; c++) {
            more -= !f->keep[c];
            f->keep[c] = true;
        }
    }
    return news;
}

/* keep of every class. One channel at least stays, as there are no tensors without elements to compute with. */
static void decide(Channels *k)
{
    const uint32_t n = graph_ntensors(k->g);
    for (uint32_t t = 1; t < n; t++) {
        ChannelFacts *f = &k->of[t];
        if (f->n && f->up == t) f->keep = NEWN(k->a, bool, f->n);
        for (int64_t c = 0; f->up == t && f->fixed && c < f->n; c++) f->keep[c] = true;
    }
    need_all(k);
    for (uint32_t t = 1; t < n; t++)
        if (k->of[t].keep && !any(k->of[t].keep, k->of[t].n)) k->of[t].keep[0] = true;
    need_all(k);
    while (!k->p->cx->small && fill_vectors(k, k->p->machine.lanes_f32)) need_all(k);
}

/* ---- cutting ---- */

/* Constant t without the places of its dimensions that keep[d] leaves out; keep[d] NULL: all stay. */
static TensorId cut_constant(Channels *k, TensorId t, const bool *const *keep)
{
    const Tensor *v = tensor(k->g, t);
    const size_t size = dtype_bytes(v->dt);
    int64_t dim[MAX_RANK], n = 0;
    for (uint8_t d = 0; d < v->rank; d++) dim[d] = keep[d] ? kept(keep[d], v->dim[d]->v.i) : v->dim[d]->v.i;
    char *data = arena_alloc(k->a, mul_size_or_oom(k->a, (size_t)v->data->count, size), 16);
    for (int64_t e = 0; e < v->data->count; e++) {
        bool stays = true;
        int64_t rest = e;
        for (uint8_t d = v->rank; d-- > 0; rest /= v->dim[d]->v.i)
            stays = stays && (!keep[d] || keep[d][rest % v->dim[d]->v.i]);
        if (stays) blob_get(v->data, e, 1, data + (size_t)n++ * size);
    }
    return graph_const(k->g, v->name, v->dt, v->rank, dim, data);
}

/* Brings what the removed channels contributed into the bias; reals contribute nothing. */
static void move_constants(Channels *k, NodeId id, const Weight *w, const bool *in)
{
    Node *n = node(k->g, id);
    const int8_t at = k->row[id.i]->b;
    if (k->row[id.i]->xz < 0 || at < 0 || !k->of[n->in[k->row[id.i]->x].i].known) return;
    const Tensor *old = bias_of(k, id);
    int32_t *bias = NEWN(k->a, int32_t, w->m);
    for (int64_t m = 0; m < w->m; m++)
        bias[m] = (int32_t)(bias_at(old, m) + (int64_t)contribution(k, id, w, in, m, false));
    TensorId *operands = NEWN(k->p->cx->arena, TensorId, max_i64(n->nin, at + 1));
    memcpy(operands, n->in, n->nin * sizeof *operands);
    operands[at] = graph_const(k->g, old ? old->name : str_fmt(k->a, "%s.bias", n->name), DT_i32, 1, &w->m, bias);
    n->in = operands;
    n->nin = (uint16_t)max_i64(n->nin, at + 1);
}

/* Constant operands but the weight follow the result's channels. */
static void cut_operands(Channels *k, NodeId id, const bool *out)
{
    Node *n = node(k->g, id);
    for (uint16_t q = 0; q < n->nin; q++) {
        const bool constant = !is_none(n->in[q]) && q != k->row[id.i]->w && tensor(k->g, n->in[q])->kind == TK_CONST;
        const int axis = constant ? channels_axis(k, id, n->in[q]) : -1;
        const bool *keep[MAX_RANK] = {NULL};
        if (axis < 0) continue;
        keep[axis] = out;
        n->in[q] = cut_constant(k, n->in[q], keep);
    }
}

static void say(Channels *k, NodeId id, const Weight *w, const bool *in, const bool *out)
{
    const Node *n = node(k->g, id);
    const int64_t m = kept(out, w->m), c = in ? kept(in, w->c) : w->c;
    if (m < w->m || c < w->c)
        remark(k->p, "channels", true, "%s '%s': %lld of %lld input channels, %lld of %lld output channels stay",
               n->op->name, n->name, (long long)c, (long long)w->c, (long long)m, (long long)w->m);
}

static void cut_mix(Channels *k, NodeId id)
{
    Node *n = node(k->g, id);
    const int8_t at = k->row[id.i]->w;
    const Weight w = channels_weight(k, id);
    const bool *in = keep_of(k, n->in[k->row[id.i]->x]), *out = keep_of(k, n->out[0]);
    const bool *keep[MAX_RANK] = {w.swapped ? in : out, w.swapped ? out : in};
    say(k, id, &w, in, out);
    move_constants(k, id, &w, in);
    node(k->g, id)->in[at] = cut_constant(k, n->in[at], keep);
    cut_operands(k, id, out);
}

static void cut_depth(Channels *k, NodeId id)
{
    Node *n = node(k->g, id);
    const int8_t at = k->row[id.i]->w;
    const Weight w = channels_weight(k, id);
    const bool *out = keep_of(k, n->out[0]), *keep[MAX_RANK] = {out};
    say(k, id, &w, NULL, out);
    n->in[at] = cut_constant(k, n->in[at], keep);
    n->attr = arena_copy(k->p->cx->arena, n->attr, n->nattr * sizeof *n->attr);
    for (uint16_t q = 0; q < n->nattr; q++)
        if (strcmp(n->attr[q].name, "group") == 0) n->attr[q].v.i = kept(out, w.m);
    cut_operands(k, id, out);
}

static void cut_each(Channels *k, NodeId id)
{
    cut_operands(k, id, keep_of(k, node(k->g, id)->out[0]));
}

/* The shape operand of Reshape becomes the shape of the result as it is now. */
static void cut_view(Channels *k, NodeId id)
{
    Node *n = node(k->g, id);
    const Tensor *y = tensor(k->g, n->out[0]);
    int64_t shape[MAX_RANK], rank = y->rank;
    if (n->nin < 2) return;
    for (uint8_t d = 0; d < y->rank; d++)
        shape[d] = d == 1 ? kept(keep_of(k, n->out[0]), k->of[n->out[0].i].n) : y->dim[d]->v.i;
    n->in[1] = graph_const(k->g, tensor(k->g, n->in[1])->name, DT_i64, 1, &rank, shape);
}

/* The class of tensor t keeps fewer channels than it has. */
static bool shrinks(Channels *k, uint32_t t)
{
    return k->of[t].n && kept(keep_of(k, (TensorId){t}), k->of[t].n) < k->of[t].n;
}

/* Something of the node's input or result goes. */
static bool touched(Channels *k, NodeId id)
{
    const Node *n = node(k->g, id);
    const TensorId t[] = {n->in[k->row[id.i]->x], n->out[0]};
    for (int q = k->role[id.i] == CR_mix ? 0 : 1; q < 2; q++)
        if (shrinks(k, t[q].i)) return true;
    return false;
}

static void cut_nodes(Channels *k)
{
    static void (*const cut[])(Channels *, NodeId) = {
        [CR_mix] = cut_mix, [CR_depth] = cut_depth, [CR_each] = cut_each, [CR_view] = cut_view};
    for (uint32_t i = 0; i < k->g->order.n; i++) {
        const NodeId id = k->g->order.at[i];
        if (cut[k->role[id.i]] && touched(k, id)) cut[k->role[id.i]](k, id);
    }
}

static void cut_tensors(Channels *k, uint32_t n)
{
    for (uint32_t t = 1; t < n; t++) {
        Tensor *v = tensor(k->g, (TensorId){t});
        if (!shrinks(k, t)) continue;
        v->dim[1] = ex_int(k->p->cx->x, kept(keep_of(k, (TensorId){t}), k->of[t].n));
        v->value = NULL;
    }
}

/* ---- the pass ---- */

/* Multiply-accumulates of the sums and depthwise convolutions, of all channels or of those that stay. */
static double macs(Channels *k, bool all)
{
    double sum = 0;
    for (uint32_t i = 0; i < k->g->order.n; i++) {
        const NodeId id = k->g->order.at[i];
        const Node *n = node(k->g, id);
        if (k->role[id.i] != CR_mix && k->role[id.i] != CR_depth) continue;
        const Weight w = channels_weight(k, id);
        const int64_t in = all || k->role[id.i] == CR_depth ? w.c : kept(keep_of(k, n->in[k->row[id.i]->x]), w.c);
        const int64_t out = all ? w.m : kept(keep_of(k, n->out[0]), w.m);
        sum += (double)tensor_count(k->g, tensor(k->g, n->out[0])) / (double)w.m * (double)(out * in * w.taps);
    }
    return sum;
}

static void cut(Channels *k)
{
    const uint32_t n = graph_ntensors(k->g);
    const double before = macs(k, true), after = macs(k, false);
    int64_t gone = 0;
    for (uint32_t t = 1; t < n; t++) gone += k->of[t].keep ? k->of[t].n - kept(k->of[t].keep, k->of[t].n) : 0;
    if (gone == 0) return;
    cut_nodes(k);
    cut_tensors(k, n);
    remark(k->p, "channels", true, "%lld channels and %.0f of %.0f multiply-accumulates removed (%.1f %%)",
           (long long)gone, before - after, before, 100 * (before - after) / before);
}

bool pass_channels(Program *p)
{
    Channels k = {.p = p, .g = p->graph, .a = arena_child(p->cx->arena)};
    channels_roles(&k);
    const bool ok = channels_values(&k);
    if (ok) {
        decide(&k);
        cut(&k);
    }
    arena_free(k.a);
    return ok;
}

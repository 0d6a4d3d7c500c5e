/* SPDX-License-Identifier: Apache-2.0
 *
 * Channels that hold one constant everywhere. A sum does when everything it reads that is not multiplied by zero is
 * constant, and no pad of another value takes part; elementwise operators and pools pass constants on. What the
 * constant is, the operator itself says: the node is evaluated at one place by the interpreter, so that its rounding,
 * bias and clamp are meant here exactly as they are in the compiled program.
 */
#include "channels.h"

#include "../onnx.h"

/* ---- which ---- */

static bool known(const Channels *k, TensorId t, int64_t c)
{
    return k->of[t.i].known && k->of[t.i].known[c];
}

/* Channel c of the input contributes the same everywhere to a sum: its constant, or nothing. */
static bool steady(const Channels *k, NodeId id, int64_t c, bool padded)
{
    const TensorId x = node(k->g, id)->in[k->row[id.i]->x];
    return known(k, x, c) && (!padded || k->of[x.i].value[c] == channels_zero(k, id));
}

static bool mix_known(const Channels *k, NodeId id, int64_t m)
{
    const Weight w = channels_weight(k, id);
    const bool padded = channels_padded(k, id);
    for (int64_t c = 0; c < w.c; c++)
        if (channels_reads(&w, m, c) && !steady(k, id, c, padded)) return false;
    return true;
}

static bool depth_known(const Channels *k, NodeId id, int64_t m)
{
    const Weight w = channels_weight(k, id);
    return !channels_reads(&w, m, 0) || steady(k, id, m, channels_padded(k, id));
}

/* The elements of constant operand t that meet a channel are one. */
static bool uniform(const Channels *k, NodeId id, TensorId t)
{
    const Tensor *v = tensor(k->g, t);
    const int axis = channels_axis(k, id, t);
    return v->data->count == 1 || (axis >= 0 && v->data->count == v->dim[axis]->v.i);
}

static bool each_known(const Channels *k, NodeId id, int64_t m)
{
    const Node *n = node(k->g, id);
    for (uint16_t q = 0; q < n->nin; q++) {
        const TensorId t = n->in[q];
        if (is_none(t)) continue;
        const bool constant = tensor(k->g, t)->kind == TK_CONST;
        if (constant ? q != k->row[id.i]->w && !uniform(k, id, t)
                     : !channels_joined(k, t, n->out[0]) || !known(k, t, m))
            return false;
    }
    return true;
}

/* Every window holds an element of the input: pads are smaller than the kernel, whose taps are neighbours. */
static bool reaches_input(const Channels *k, NodeId id)
{
    const OpCtx c = channels_ctx(k, id);
    uint32_t n = 0, npads = 0, nd = 0;
    const int64_t *kernel = attr_is(&c, "kernel_shape", &n), *pads = attr_is(&c, "pads", &npads);
    const int64_t *dilation = attr_is(&c, "dilations", &nd);
    bool good = true;
    for (uint32_t d = 0; d < npads; d++) good = good && pads[d] < kernel[d % n];
    for (uint32_t d = 0; d < nd; d++) good = good && dilation[d] == 1;
    return good;
}

/* A pad never wins a maximum against an element; in an average it may count. */
static bool window_known(const Channels *k, NodeId id, int64_t m)
{
    const Node *n = node(k->g, id);
    const bool passes = strcmp(n->op->name, "MaxPool") == 0 && reaches_input(k, id);
    return known(k, n->in[k->row[id.i]->x], m) && (passes || !channels_padded(k, id));
}

static bool view_known(const Channels *k, NodeId id, int64_t m)
{
    return known(k, node(k->g, id)->in[0], m);
}

/* ---- what ---- */

/* Extents of the input that give one place of the result. */
static const Expr *reach(const Channels *k, NodeId id, uint8_t d)
{
    const OpCtx c = channels_ctx(k, id);
    const ChannelRow *r = k->row[id.i];
    Exprs *x = k->p->cx->x;
    uint32_t n = 0, nd = 0;
    const int64_t *shape = attr_has(&c, "kernel_shape") ? attr_is(&c, "kernel_shape", &n) : NULL;
    const int64_t *dilation = attr_has(&c, "dilations") ? attr_is(&c, "dilations", &nd) : NULL;
    if (k->role[id.i] == CR_each) return ex_int(x, 1);
    if (k->role[id.i] == CR_window && !shape) return tensor(k->g, c.n->in[r->x])->dim[d];
    const int64_t taps = r->w >= 0 ? tensor(k->g, c.n->in[r->w])->dim[d]->v.i : shape[d - 2];
    return ex_int(x, (taps - 1) * (dilation ? dilation[d - 2] : 1) + 1);
}

/* A node on its own: its graph, and the values of its activations as inputs. Inputs, so that inference does not try to
 * compute with them. */
typedef struct Alone {
    const Channels *k;
    NodeId id;
    Graph *g;
    mlcc_tensor *in;
} Alone;

/* Elements of activation t at one place of the result; what is not known reads as the zero point. */
static void *sample(const Alone *e, TensorId t, int64_t each)
{
    const Channels *k = e->k;
    const ChannelFacts *f = &k->of[t.i];
    const DType dt = tensor(k->g, t)->dt;
    const size_t size = dtype_bytes(dt);
    char *data = arena_alloc(k->a, mul_size_or_oom(k->a, (size_t)(f->n * each), size), 64);
    for (int64_t q = 0; q < f->n * each; q++) {
        const double value = known(k, t, q / each) ? f->value[q / each] : channels_zero(k, e->id);
        if (dtype_is_float(dt))
            dtype_put_f(dt, data + (size_t)q * size, value);
        else
            dtype_put_i(dt, data + (size_t)q * size, (int64_t)value);
    }
    return data;
}

static TensorId add_input(Alone *e, TensorId t)
{
    const Tensor *v = tensor(e->k->g, t);
    Exprs *x = e->k->p->cx->x;
    const Expr *dim[MAX_RANK] = {ex_int(x, 1), v->dim[1]};
    mlcc_tensor *in = &e->in[e->g->input.n];
    int64_t each = 1;
    *in = (mlcc_tensor){.dtype = dtype_info(v->dt)->onnx, .rank = v->rank, .dim = {1, e->k->of[t.i].n}};
    for (uint8_t d = 2; d < v->rank; d++) {
        dim[d] = reach(e->k, e->id, d);
        each *= in->dim[d] = dim[d]->v.i;
    }
    in->data = sample(e, t, each);
    const TensorId id = graph_temp(e->g, v->name, v->dt, v->rank, dim);
    tensor(e->g, id)->kind = TK_INPUT;
    PUSH(e->k->p->cx->arena, &e->g->input, id);
    return id;
}

static TensorId share(Graph *to, const Tensor *from)
{
    const TensorId id = graph_temp(to, from->name, from->dt, from->rank, from->dim);
    tensor(to, id)->kind = TK_CONST;
    tensor(to, id)->data = from->data;
    return id;
}

static bool says_where(const Attr *a)
{
    static const char *const name[] = {"pads", "auto_pad", "strides", "ceil_mode"};
    for (size_t q = 0; q < COUNT(name); q++)
        if (strcmp(a->name, name[q]) == 0) return true;
    return false;
}

/* The node over one place: no pads, one step. */
static Alone alone(const Channels *k, NodeId id)
{
    const Node *n = node(k->g, id);
    Alone e = {k, id, graph_new(k->p->cx, "channels", NULL), NEWN(k->a, mlcc_tensor, n->nin)};
    TensorId *in = NEWN(k->a, TensorId, n->nin);
    Attr *attr = NEWN(k->a, Attr, n->nattr + 1);
    uint16_t nattr = 0;
    for (uint16_t q = 0; q < n->nin; q++)
        if (!is_none(n->in[q]))
            in[q] =
                tensor(k->g, n->in[q])->kind == TK_CONST ? share(e.g, tensor(k->g, n->in[q])) : add_input(&e, n->in[q]);
    for (uint16_t q = 0; q < n->nattr; q++)
        if (!says_where(&n->attr[q])) attr[nattr++] = n->attr[q];
    const TensorId out = graph_tensor(e.g, "result");
    graph_node(e.g, n->op, n->name, n->nin, in, 1, &out, nattr, attr);
    PUSH(k->p->cx->arena, &e.g->output, out);
    return e;
}

static bool evaluate(const Channels *k, NodeId id, ChannelFacts *f, DType dt)
{
    const Alone e = alone(k, id);
    Te *te = infer_graph(e.g) ? te_lower(k->p->cx, e.g) : NULL;
    const Unit *u = te ? build_nests(k->p->cx, schedule_O0(k->a, te), "channels") : NULL;
    const size_t size = dtype_bytes(dt);
    mlcc_tensor out = {.data = arena_alloc(k->a, (size_t)f->n * size, 64)};
    Arena *scratch = arena_child(k->a);
    const bool ok = u && unit_run(scratch, u, e.in, &out);
    arena_free(scratch);
    for (int64_t c = 0; ok && c < f->n; c++) {
        const char *v = (const char *)out.data + (size_t)c * size;
        f->value[c] = dtype_is_float(dt) ? dtype_get_f(dt, v) : (double)dtype_get_i(dt, v);
    }
    return ok;
}

/* Types whose every value is a double. */
static bool exact_in_double(DType dt)
{
    return dtype_is_float(dt) || (dtype_is_int(dt) && dtype_bytes(dt) <= 4);
}

/* No channel can be known: those of an operand are not. */
static bool hopeless(const Channels *k, NodeId id)
{
    const Node *n = node(k->g, id);
    bool unknown = !exact_in_double(tensor(k->g, n->out[0])->dt);
    for (uint16_t q = 0; q < n->nin && k->role[id.i] != CR_mix && k->role[id.i] != CR_depth; q++)
        unknown =
            unknown || (!is_none(n->in[q]) && tensor(k->g, n->in[q])->kind != TK_CONST && !k->of[n->in[q].i].known);
    return unknown;
}

/* A window that cannot be tried over one place: over a constant, which has its own extents and is folded, or without taps. */
static bool has_no_place(const Channels *k, NodeId id)
{
    const Node *n = node(k->g, id);
    if (k->role[id.i] != CR_mix && k->role[id.i] != CR_depth && k->role[id.i] != CR_window) return false;
    const Tensor *x = tensor(k->g, n->in[k->row[id.i]->x]);
    bool none = x->kind == TK_CONST;
    for (uint8_t d = 2; d < x->rank && !none; d++) {
        const Expr *e = reach(k, id, d);
        none = ex_is_const(e) && e->v.i < 1;
    }
    return none;
}

static bool value_of(Channels *k, NodeId id)
{
    static bool (*const is_known[])(const Channels *, NodeId, int64_t) = {[CR_mix] = mix_known,
                                                                          [CR_depth] = depth_known,
                                                                          [CR_each] = each_known,
                                                                          [CR_window] = window_known,
                                                                          [CR_view] = view_known};
    const Node *n = node(k->g, id);
    ChannelFacts *f = &k->of[n->out[0].i];
    const DType dt = tensor(k->g, n->out[0])->dt;
    if (hopeless(k, id)) return true;
    bool *some = NEWN(k->a, bool, f->n), any = false;
    for (int64_t m = 0; m < f->n; m++) {
        some[m] = is_known[k->role[id.i]](k, id, m);
        any = any || some[m];
    }
    if (!any || has_no_place(k, id)) return true;
    f->known = some;
    f->value = NEWN(k->a, double, f->n);
    if (k->role[id.i] == CR_view) memcpy(f->value, k->of[n->in[0].i].value, (size_t)f->n * sizeof *f->value);
    return k->role[id.i] == CR_view || evaluate(k, id, f, dt);
}

bool channels_values(Channels *k)
{
    for (uint32_t i = 0; i < k->g->order.n; i++) {
        const NodeId id = k->g->order.at[i];
        if (node(k->g, id)->dead || k->role[id.i] == CR_none) continue;
        if (!value_of(k, id)) return false;
        onnx_release(k->p->maps);
    }
    return true;
}

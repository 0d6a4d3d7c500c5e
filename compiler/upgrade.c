/* SPDX-License-Identifier: Apache-2.0
 *
 * Old opsets end here: a table of changes (upgrade.def), and one function for each kind of change.
 *
 * A function edits the node, and may put nodes of the newest opset before it; the node itself always becomes the last
 * one of its replacement, so it keeps its outputs. Ranks and element types are not known yet: where a change depends on
 * them, it is expressed by shape arithmetic that folds away once they are.
 */
#include "import.h"

typedef bool (*UpgradeFn)(OldNode *n);

static Attr *find_attr(OldNode *n, const char *name)
{
    for (uint32_t i = 0; i < n->attr.n; i++) {
        if (strcmp(n->attr.at[i].name, name) == 0) return &n->attr.at[i];
    }
    return NULL;
}

/* Removes an attribute of the given type; false when there is none. */
static bool take_attr(OldNode *n, const char *name, AttrType type, Attr *out)
{
    Attr *a = find_attr(n, name);
    if (!a || a->type != type) return false;
    *out = *a;
    *a = n->attr.at[--n->attr.n];
    return true;
}

static void add_attr(OldNode *n, Attr a)
{
    PUSH(n->im->cx->arena, &n->attr, a);
}

static Attr attr_int(const char *name, int64_t v)
{
    return (Attr){.name = name, .type = AT_i, .v.i = v};
}

static Attr attr_text(const char *name, const char *v)
{
    return (Attr){.name = name, .type = AT_s, .n = (uint32_t)strlen(v), .v.s = v};
}

/* Sets a text attribute whatever it was. */
static void set_text(OldNode *n, const char *name, const char *v)
{
    Attr *a = find_attr(n, name);
    if (a)
        *a = attr_text(name, v);
    else
        add_attr(n, attr_text(name, v));
}

/* Removes an integer attribute; its value, or `absent`. */
static int64_t take_int(OldNode *n, const char *name, int64_t absent)
{
    Attr a;
    return take_attr(n, name, AT_i, &a) ? a.v.i : absent;
}

static bool has_input(const OldNode *n, uint32_t k)
{
    return k < n->in.n && !is_none(n->in.at[k]);
}

static void set_input(OldNode *n, uint32_t k, TensorId t)
{
    while (n->in.n <= k) PUSH(n->im->cx->arena, &n->in, (TensorId){0});
    n->in.at[k] = t;
}

static const char *hint(const OldNode *n, const char *what)
{
    const bool named = n->out.n && !is_none(n->out.at[0]);
    return str_fmt(n->im->scratch, "%s.%s", named ? tensor(n->g, n->out.at[0])->name : n->op, what);
}

static TensorId const_ints(OldNode *n, const char *what, int64_t count, const int64_t *v)
{
    return graph_const(n->g, hint(n, what), DT_i64, 1, &count, v);
}

static TensorId const_int(OldNode *n, const char *what, int64_t v)
{
    return const_ints(n, what, 1, &v);
}

/* A new node of the newest opset; its output, unknown as yet. */
static TensorId add_op(OldNode *n, const char *op, uint16_t nin, const TensorId *in, uint16_t nattr, const Attr *attr)
{
    const OpInfo *info = op_find("", op);
    if (!info) ICE("upgrading %s needs %s", n->op, op);
    const TensorId out = graph_temp(n->g, hint(n, op), DT_none, 0, NULL);
    tensor(n->g, out)->ranked = false;
    const NodeId id = graph_node(n->g, info, n->name, nin, in, 1, &out, nattr, attr);
    node(n->g, id)->src = n->src;
    node(n->g, id)->opset = n->opset;
    n->im->nnodes++;
    return out;
}

static TensorId add1(OldNode *n, const char *op, TensorId a)
{
    return add_op(n, op, 1, &a, 0, NULL);
}

static TensorId add2(OldNode *n, const char *op, TensorId a, TensorId b)
{
    return add_op(n, op, 2, (TensorId[]){a, b}, 0, NULL);
}

/* A scalar of the element type of x. */
static TensorId const_like(OldNode *n, const char *what, TensorId x, double v)
{
    const float f = (float)v;
    const TensorId c = graph_const(n->g, hint(n, what), DT_f32, 0, NULL, &f);
    return tensor(n->g, x)->dt == DT_f32 ? c : add2(n, "CastLike", c, x);
}

/* `count` ones, count being a tensor of one element. */
static TensorId ones(OldNode *n, TensorId count)
{
    static const int64_t one = 1, dim = 1;
    Attr value = {.name = "value", .type = AT_t, .v.t = {blob_make(n->im->cx->arena, DT_i64, 1, &one), 1, &dim}};
    return add_op(n, "ConstantOfShape", 1, &count, 1, &value);
}

/* Moves a list attribute to input k. */
static void ints_to_input(OldNode *n, const char *name, uint32_t k)
{
    Attr a;
    if (take_attr(n, name, AT_is, &a)) set_input(n, k, const_ints(n, name, a.n, a.v.is));
}

static bool drop_consumed_inputs(OldNode *n)
{
    Attr a;
    take_attr(n, "consumed_inputs", AT_is, &a);
    return true;
}

static bool drop_broadcast(OldNode *n)
{
    take_int(n, "broadcast", 0);
    return true;
}

static bool drop_output_sequence(OldNode *n)
{
    take_int(n, "output_sequence", 0);
    return true;
}

/* Before opset 7 a node said itself whether it trains, and did so by default. */
static bool drop_is_test(OldNode *n)
{
    if (take_int(n, "is_test", 0) == 0)
        diag_add(n->im->cx->diags, SEV_WARNING, "training-mode", old_node_subject(n),
                 "the node asks for training (is_test = 0) and is compiled for inference");
    return true;
}

/* Inserts axes of extent 1 behind those of input 1, so that its first one meets `axis` of input 0. */
static void align_axis(OldNode *n, int64_t axis)
{
    const TensorId a = n->in.at[0], b = n->in.at[1], shape = add1(n, "Shape", b);
    TensorId room = const_int(n, "axis", axis < 0 ? -axis : axis);
    if (axis >= 0) room = add2(n, "Sub", add1(n, "Shape", add1(n, "Shape", a)), room);
    const TensorId tail = ones(n, add2(n, "Sub", room, add1(n, "Shape", shape)));
    const Attr dim0 = attr_int("axis", 0), zero = attr_int("allowzero", 1);
    const TensorId dims = add_op(n, "Concat", 2, (TensorId[]){shape, tail}, 1, &dim0);
    n->in.at[1] = add_op(n, "Reshape", 2, (TensorId[]){b, dims}, 1, &zero);
}

static bool legacy_broadcast(OldNode *n)
{
    Attr axis;
    const bool broadcast = take_int(n, "broadcast", 0) != 0, aligned = take_attr(n, "axis", AT_i, &axis);
    if (broadcast && aligned && has_input(n, 0) && has_input(n, 1)) align_axis(n, axis.v.i);
    return true;
}

/* The slope has one element, or one for each channel. */
static bool prelu_channels(OldNode *n)
{
    if (has_input(n, 0) && has_input(n, 1)) align_axis(n, 1);
    return true;
}

static bool axes_input(OldNode *n)
{
    ints_to_input(n, "axes", 1);
    return true;
}

/* Statistics for every element of a sample instead of every channel: plain arithmetic with broadcasting. */
static bool batchnorm_spatial(OldNode *n)
{
    Attr eps = {.v.f = 1e-5};
    if (take_int(n, "spatial", 1) != 0) return true;
    for (uint32_t k = 0; k < 5; k++) {
        if (!has_input(n, k)) return old_node_error(n, "operands", "input %u is missing", k);
    }
    if (n->out.n > 1)
        return old_node_error(n, "unsupported-training", "spatial = 0 with running statistics is not supported");
    take_attr(n, "epsilon", AT_f, &eps);
    const TensorId *in = n->in.at;
    const TensorId var = add2(n, "Add", in[4], const_like(n, "epsilon", in[4], eps.v.f));
    const TensorId dev = add1(n, "Sqrt", var), centred = add2(n, "Sub", in[0], in[3]);
    n->in.at[0] = add2(n, "Mul", add2(n, "Div", centred, dev), in[1]);
    n->in.at[1] = in[2];
    n->in.n = 2;
    n->attr.n = 0;
    n->op = "Add";
    return true;
}

/* More than one output meant training; the saved batch statistics are gone. */
static bool batchnorm_outputs(OldNode *n)
{
    uint32_t used = 0;
    for (uint32_t k = 1; k < n->out.n; k++) used = is_none(n->out.at[k]) ? used : k;
    if (strcmp(n->op, "BatchNormalization") != 0 || used == 0) return true;
    if (used > 2)
        return old_node_error(n, "unsupported-training", "output %u (saved statistics) is not supported", used);
    add_attr(n, attr_int("training_mode", 1));
    return true;
}

static bool cast_to_name(OldNode *n)
{
    static const char *const name[] = {"UNDEFINED", "FLOAT",  "UINT8",     "INT8",      "UINT16",  "INT16",
                                       "INT32",     "INT64",  "STRING",    "BOOL",      "FLOAT16", "DOUBLE",
                                       "UINT32",    "UINT64", "COMPLEX64", "COMPLEX128"};
    Attr to;
    if (!take_attr(n, "to", AT_s, &to)) return true;
    for (int64_t k = 1; k < (int64_t)COUNT(name); k++) {
        if (strcmp(to.v.s, name[k]) == 0) {
            add_attr(n, attr_int("to", k));
            return true;
        }
    }
    return old_node_error(n, "unsupported-type", "type '%s' is not known", to.v.s);
}

/* Moves a float attribute to input k, as a scalar of input 0's type. */
static void float_to_input(OldNode *n, const char *name, uint32_t k)
{
    Attr a;
    if (take_attr(n, name, AT_f, &a) && has_input(n, 0)) set_input(n, k, const_like(n, name, n->in.at[0], a.v.f));
}

static bool clip_limits(OldNode *n)
{
    float_to_input(n, "min", 1);
    float_to_input(n, "max", 2);
    return true;
}

static bool concat_axis(OldNode *n)
{
    if (!find_attr(n, "axis")) add_attr(n, attr_int("axis", 1));
    return true;
}

static bool dft_axis(OldNode *n)
{
    const int64_t axis = take_int(n, "axis", 1);
    set_input(n, 2, graph_const(n->g, hint(n, "axis"), DT_i64, 0, NULL, &axis));
    return true;
}

/* Before opset 10 the mask had the type of the data. */
static bool dropout_mask(OldNode *n)
{
    if (n->out.n < 2 || is_none(n->out.at[1]) || !has_input(n, 0)) return true;
    const TensorId x = n->in.at[0], mask = graph_temp(n->g, hint(n, "mask"), DT_bool, 0, NULL);
    tensor(n->g, mask)->ranked = false;
    const TensorId out[2] = {n->out.at[0], mask};
    graph_node(n->g, op_find("", "Dropout"), n->name, 1, &x, 2, out, 0, NULL);
    n->op = "CastLike";
    n->in.n = n->attr.n = 0;
    set_input(n, 0, mask);
    set_input(n, 1, x);
    n->out.at[0] = n->out.at[1];
    n->out.n = 1;
    return true;
}

/* The ratio matters for training only, which old nodes cannot ask for. */
static bool dropout_ratio(OldNode *n)
{
    Attr ratio;
    take_attr(n, "ratio", AT_f, &ratio);
    return true;
}

static bool integer_p(OldNode *n)
{
    Attr p;
    if (!take_attr(n, "p", AT_f, &p)) return true;
    if (p.v.f != (double)(int)p.v.f)
        return old_node_error(n, "unsupported-p", "a norm of order %g is not supported", p.v.f);
    add_attr(n, attr_int("p", (int64_t)p.v.f));
    return true;
}

static bool gridsample_mode(OldNode *n)
{
    const Attr *mode = find_attr(n, "mode");
    if (mode && mode->type == AT_s && strcmp(mode->v.s, "bicubic") == 0)
        set_text(n, "mode", "cubic");
    else if (mode && mode->type == AT_s && strcmp(mode->v.s, "bilinear") == 0)
        set_text(n, "mode", "linear");
    return true;
}

/* One scale or bias per group becomes one per channel: [G] -> [G, 1] -> [G, C/G] -> [C]. */
static TensorId per_channel(OldNode *n, TensorId t, TensorId dims)
{
    const TensorId column = add2(n, "Unsqueeze", t, const_int(n, "axes", 1)), all = add2(n, "Expand", column, dims);
    return add2(n, "Reshape", all, const_int(n, "shape", -1));
}

static bool groupnorm_channels(OldNode *n)
{
    const Attr *g = find_attr(n, "num_groups");
    if (!g || g->type != AT_i || g->v.i <= 0 || !has_input(n, 0) || !has_input(n, 1) || !has_input(n, 2))
        return old_node_error(n, "operands", "three inputs and a positive num_groups are needed");
    const TensorId groups = const_int(n, "groups", g->v.i);
    const Attr range[2] = {attr_int("start", 1), attr_int("end", 2)}, axis = attr_int("axis", 0);
    const TensorId channels = add_op(n, "Shape", 1, n->in.at, 2, range);
    const TensorId dims = add_op(n, "Concat", 2, (TensorId[]){groups, add2(n, "Div", channels, groups)}, 1, &axis);
    for (uint32_t k = 1; k <= 2; k++) n->in.at[k] = per_channel(n, n->in.at[k], dims);
    return true;
}

/* Softmax and its kin treated their input as a matrix whose rows begin at `axis`. */
static bool rows_of_matrix(OldNode *n)
{
    const int64_t axis = take_int(n, "axis", 1);
    if (axis == -1 || !has_input(n, 0)) return true;
    const TensorId x = n->in.at[0], shape = add1(n, "Shape", x);
    const Attr cut = attr_int("axis", axis), last = attr_int("axis", -1);
    const TensorId matrix = add_op(n, "Flatten", 1, &x, 1, &cut);
    n->in.at[0] = add_op(n, n->op, 1, &matrix, 1, &last);
    set_input(n, 1, shape);
    n->op = "Reshape";
    n->attr.n = 0;
    add_attr(n, attr_int("allowzero", 1));
    return true;
}

static bool pad_paddings(OldNode *n)
{
    Attr *a = find_attr(n, "paddings");
    if (a) a->name = "pads";
    return true;
}

static bool pad_inputs(OldNode *n)
{
    ints_to_input(n, "pads", 1);
    float_to_input(n, "value", 2);
    return true;
}

static bool reshape_shape(OldNode *n)
{
    ints_to_input(n, "shape", 1);
    return true;
}

static bool upsample_factors(OldNode *n)
{
    Attr h, w;
    const bool found = take_attr(n, "height_scale", AT_f, &h);
    if (!found || !take_attr(n, "width_scale", AT_f, &w))
        return old_node_error(n, "attribute", "height_scale and width_scale are needed");
    double *scale = NEWN(n->im->cx->arena, double, 4);
    memcpy(scale, (const double[]){1, 1, h.v.f, w.v.f}, 4 * sizeof *scale);
    add_attr(n, (Attr){.name = "scales", .type = AT_fs, .n = 4, .v.fs = scale});
    return true;
}

static bool upsample_scales(OldNode *n)
{
    Attr a;
    if (!take_attr(n, "scales", AT_fs, &a)) return old_node_error(n, "attribute", "scales are needed");
    float *scale = NEWN(n->im->scratch, float, a.n);
    for (uint32_t i = 0; i < a.n; i++) scale[i] = (float)a.v.fs[i];
    set_input(n, 1, graph_const(n->g, hint(n, "scales"), DT_f32, 1, &(int64_t){a.n}, scale));
    return true;
}

static bool upsample_resize(OldNode *n)
{
    const Attr *mode = find_attr(n, "mode");
    if (mode && mode->type == AT_s && strcmp(mode->v.s, "bilinear") == 0) set_text(n, "mode", "linear");
    n->op = "Resize";
    return true;
}

/* Output pixel x was always taken from x / scale, rounded down. */
static bool resize_corners(OldNode *n)
{
    set_input(n, 2, has_input(n, 1) ? n->in.at[1] : (TensorId){0});
    n->in.at[1] = (TensorId){0};
    set_text(n, "coordinate_transformation_mode", "asymmetric");
    set_text(n, "nearest_mode", "floor");
    return true;
}

/* An empty tensor for roi, scales or sizes means that there is none. */
static bool resize_absent(OldNode *n)
{
    for (uint32_t k = 1; k < n->in.n; k++) {
        const Tensor *t = has_input(n, k) ? tensor(n->g, n->in.at[k]) : NULL;
        if (t && t->kind == TK_CONST && t->data->count == 0) n->in.at[k] = (TensorId){0};
    }
    return true;
}

static bool roialign_corners(OldNode *n)
{
    set_text(n, "coordinate_transformation_mode", "output_half_pixel");
    return true;
}

static bool scatter_elements(OldNode *n)
{
    n->op = "ScatterElements";
    return true;
}

/* The constants had fewer digits. */
static bool selu_defaults(OldNode *n)
{
    if (!find_attr(n, "alpha")) add_attr(n, (Attr){.name = "alpha", .type = AT_f, .v.f = (double)1.6732f});
    if (!find_attr(n, "gamma")) add_attr(n, (Attr){.name = "gamma", .type = AT_f, .v.f = (double)1.0507f});
    return true;
}

static bool slice_inputs(OldNode *n)
{
    ints_to_input(n, "starts", 1);
    ints_to_input(n, "ends", 2);
    ints_to_input(n, "axes", 3);
    return true;
}

static bool split_input(OldNode *n)
{
    ints_to_input(n, "split", 1);
    return true;
}

static bool split_count(OldNode *n)
{
    if (!has_input(n, 1)) add_attr(n, attr_int("num_outputs", n->out.n));
    return true;
}

/* Repeats one axis: a list of ones with `tiles` at `axis`. */
static bool tile_repeats(OldNode *n)
{
    if (!has_input(n, 2)) return true;
    const Attr to = attr_int("to", dtype_info(DT_i64)->onnx);
    TensorId part[2];
    for (uint32_t k = 0; k < 2; k++) {
        part[k] = add_op(n, "Cast", 1, &n->in.at[1 + k], 1, &to);
        part[k] = add2(n, "Reshape", part[k], const_int(n, "shape", 1));
    }
    const TensorId all = ones(n, add1(n, "Shape", add1(n, "Shape", n->in.at[0])));
    n->in.at[1] = add_op(n, "ScatterElements", 3, (TensorId[]){all, part[1], part[0]}, 0, NULL);
    n->in.n = 2;
    return true;
}

static bool topk_input(OldNode *n)
{
    Attr k;
    if (take_attr(n, "k", AT_i, &k)) set_input(n, 1, const_int(n, "k", k.v.i));
    return true;
}

static bool check_scan(OldNode *n, const Attr *body)
{
    if (has_input(n, 0)) return old_node_error(n, "unsupported-scan", "sequence_lens of Scan-8 is not supported");
    if (!body || body->type != AT_g || n->in.n < 2)
        return old_node_error(n, "operands", "a body and inputs are needed");
    const Graph *g = body->v.g;
    if (n->in.n - 1 != g->input.n || n->out.n != g->output.n)
        return old_node_error(n, "operands", "%u inputs and %u outputs, the body has %u and %u", n->in.n - 1, n->out.n,
                              g->input.n, g->output.n);
    return true;
}

/* The body of a Scan over the batch: the Scan-8 node for one sample, with tensors of its own around it. */
static Graph *sample_body(OldNode *n, Graph *inner)
{
    Arena *a = n->im->cx->arena;
    Graph *g = graph_new(n->im->cx, inner->name, n->g);
    for (uint32_t k = 0; k < inner->input.n; k++) {
        const TensorId t = graph_tensor(g, str_fmt(a, "%s.sample_in%u", hint(n, "scan"), k));
        tensor(g, t)->kind = TK_INPUT;
        PUSH(a, &g->input, t);
    }
    for (uint32_t k = 0; k < inner->output.n; k++)
        PUSH(a, &g->output, graph_tensor(g, str_fmt(a, "%s.sample_out%u", hint(n, "scan"), k)));
    const NodeId id = graph_node(g, op_find("", "Scan"), n->name, (uint16_t)g->input.n, g->input.at,
                                 (uint16_t)g->output.n, g->output.at, (uint16_t)n->attr.n, n->attr.at);
    node(g, id)->src = n->src;
    node(g, id)->opset = n->opset;
    inner->parent = g;
    return g;
}

/* Scan-8 ran over the second axis for each sample of a batch, the first axis of everything: a Scan over the batch, of
 * no state, around the Scan over one sample. */
static bool scan_batch(OldNode *n)
{
    const Attr *body = find_attr(n, "body");
    if (!check_scan(n, body)) return false;
    Attr *directions = find_attr(n, "directions");
    if (directions) directions->name = "scan_input_directions";
    Graph *g = sample_body(n, body->v.g);
    n->attr.n = 0;
    add_attr(n, (Attr){.name = "body", .type = AT_g, .v.g = g});
    add_attr(n, attr_int("num_scan_inputs", g->input.n));
    n->in.n--;
    memmove(n->in.at, n->in.at + 1, n->in.n * sizeof *n->in.at);
    return true;
}

typedef struct Upgrade {
    const char *op;
    int32_t from, to;
    UpgradeFn fn;
} Upgrade;

static const Upgrade table[] = {
#define UPGRADE(op, from, to, fn) {#op, from, to, fn},
#include "upgrade.def"
#undef UPGRADE
};

static bool is_core(const char *domain)
{
    return domain[0] == 0 || strcmp(domain, "ai.onnx") == 0;
}

const char *old_node_subject(const OldNode *n)
{
    Arena *a = n->im->cx->diags->arena;
    if (n->name[0]) return str_fmt(a, "%s '%s'", n->op, n->name);
    return n->result[0] ? str_fmt(a, "%s computing '%s'", n->op, n->result) : n->op;
}

/* Reports a problem of the node, with its place and opset. */
bool old_node_error(const OldNode *n, const char *slug, const char *fmt, ...)
{
    Diags *d = n->im->cx->diags;
    va_list ap;
    va_start(ap, fmt);
    const char *text = str_vfmt(n->im->scratch, fmt, ap);
    va_end(ap);
    Diag *g = diag_add(d, SEV_ERROR, slug, old_node_subject(n), "%s", text);
    diag_note(d, g, "node %u of graph '%s'%s", n->src, n->g->name,
              n->opset > 0 ? str_fmt(n->im->scratch, ", opset %d", n->opset) : "");
    return false;
}

bool upgrade_knows(const char *domain, const char *op)
{
    for (size_t i = 0; is_core(domain) && i < COUNT(table); i++) {
        if (strcmp(table[i].op, op) == 0) return true;
    }
    return false;
}

bool upgrade_node(OldNode *n)
{
    int32_t v = n->opset;
    for (size_t i = 0; is_core(n->domain) && i < COUNT(table); i++) {
        const Upgrade *u = &table[i];
        if (v < u->from || v >= u->to || (strcmp(u->op, n->op) != 0 && strcmp(u->op, "ANY") != 0)) continue;
        if (!u->fn(n)) return false;
        if (strcmp(u->op, "ANY") != 0) v = u->to;
    }
    return true;
}

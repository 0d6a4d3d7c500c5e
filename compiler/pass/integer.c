/* SPDX-License-Identifier: Apache-2.0
 *
 * Quantized models become integer arithmetic. Three kinds of rules meet: DequantizeLinear moves down through operators
 * that only move data, QuantizeLinear moves up through them and through clamps (exact on integers, as rounding is
 * monotone), and where an operator stands between the two it becomes its integer form (QLinearConv, QGemm, .., whose
 * meaning is in ir/op). What is not matched stays in float arithmetic, as ONNX says.
 */
#include "integer.h"

#include <math.h>

/* ---- parameters ---- */

static bool single(const Rw *rw, TensorId t)
{
    return !is_none(t) && tensor(rw->g, t)->kind == TK_CONST && tensor(rw->g, t)->data->count == 1;
}

static TensorId operand(const Node *n, int k)
{
    return k < n->nin ? n->in[k] : (TensorId){0};
}

static bool is_quantized(DType dt)
{
    return dt == DT_i8 || dt == DT_u8 || dt == DT_i16 || dt == DT_u16;
}

bool quant_of(Rw *rw, NodeId id, Quant *q)
{
    const OpCtx c = rw_ctx(rw, id);
    const bool down = strcmp(c.n->op->name, "DequantizeLinear") == 0;
    const Tensor *real = tensor(rw->g, down ? c.n->out[0] : c.n->in[0]);
    *q = (Quant){.dt = tensor(rw->g, down ? c.n->in[0] : c.n->out[0])->dt,
                 .at_scale = operand(c.n, 1),
                 .at_zero = operand(c.n, 2)};
    if (real->dt != DT_f32 || !is_quantized(q->dt) || attr_i(&c, "block_size") != 0 || !single(rw, q->at_scale))
        return false;
    if (tensor(rw->g, q->at_scale)->dt != DT_f32) return false;
    if (!is_none(q->at_zero) && !single(rw, q->at_zero)) return false;
    q->scale = blob_f(tensor(rw->g, q->at_scale)->data, 0);
    q->zero = is_none(q->at_zero) ? 0 : blob_i(tensor(rw->g, q->at_zero)->data, 0);
    return q->scale > 0 && isfinite(q->scale);
}

/* Its operand, or a new constant 0 in its place. */
static TensorId zero_operand(Rw *rw, TensorId zero, DType dt)
{
    const int64_t none = 0;
    return is_none(zero) ? graph_const(rw->g, "zero_point", dt, 0, NULL, &none) : zero;
}

TensorId zero_of(Rw *rw, const Quant *q)
{
    return zero_operand(rw, q->at_zero, q->dt);
}

static NodeId maker(const Rw *rw, TensorId t, const char *op)
{
    const Tensor *v = is_none(t) ? NULL : tensor(rw->g, t);
    if (!v || v->kind != TK_ACT || !v->producer.i || v->slot != 0) return (NodeId){0};
    const OpInfo *made = node(rw->g, v->producer)->op;
    return *made->domain == 0 && strcmp(made->name, op) == 0 ? v->producer : (NodeId){0};
}

TensorId dequantized(const Rw *rw, TensorId t)
{
    const NodeId n = maker(rw, t, "DequantizeLinear");
    return n.i ? node(rw->g, n)->in[0] : (TensorId){0};
}

bool quant_behind(Rw *rw, TensorId t, Quant *q)
{
    const NodeId n = maker(rw, t, "DequantizeLinear");
    return n.i && quant_of(rw, n, q);
}

bool same_quant(const Quant *p, const Quant *q)
{
    return p->scale == q->scale && p->zero == q->zero && p->dt == q->dt;
}

bool vector_of(Rw *rw, NodeId id, int64_t n, int axis, Vector *v)
{
    const OpCtx c = rw_ctx(rw, id);
    const Tensor *data = tensor(rw->g, c.n->in[0]);
    *v = (Vector){c.n->in[0], operand(c.n, 1), operand(c.n, 2), n};
    const Tensor *scale = tensor(rw->g, v->scale), *zero = is_none(v->zero) ? NULL : tensor(rw->g, v->zero);
    if (scale->kind != TK_CONST || scale->dt != DT_f32 || tensor(rw->g, c.n->out[0])->dt != DT_f32 ||
        attr_i(&c, "block_size") != 0)
        return false;
    if ((zero && zero->kind != TK_CONST) || scale->rank > 1 || (zero && zero->rank > 1)) return false;
    const int64_t nscale = scale->data->count, nzero = zero ? zero->data->count : 1, at = attr_i(&c, "axis");
    if ((nscale != 1 && nscale != n) || (nzero != 1 && nzero != n)) return false;
    if (nscale != 1 && at != axis && at + data->rank != axis) return false;
    for (int64_t k = 0; k < nscale; k++) {
        const double s = blob_f(scale->data, k);
        if (!(s > 0 && isfinite(s))) return false;
    }
    return true;
}

double vector_element(const Rw *rw, TensorId t, int64_t k)
{
    if (is_none(t)) return 0;
    const Blob *b = tensor(rw->g, t)->data;
    return dtype_is_float(b->dt) ? blob_f(b, b->count == 1 ? 0 : k) : (double)blob_i(b, b->count == 1 ? 0 : k);
}

double vector_value(const Rw *rw, const Vector *v, int64_t k)
{
    const double stored = vector_element(rw, v->data, k);
    return is_none(v->scale) ? stored : (stored - vector_element(rw, v->zero, k)) * vector_element(rw, v->scale, k);
}

TensorId vector_zero(Rw *rw, const Vector *v)
{
    return zero_operand(rw, v->zero, tensor(rw->g, v->data)->dt);
}

/* Shape [n], [1], or these behind dimensions of 1; a single value has no dimension perhaps. */
static bool is_row(const Tensor *t, int64_t n)
{
    const int64_t count = t->data->count;
    return (count == n || count == 1) && (t->rank == 0 || ex_is_int(t->dim[t->rank - 1], count));
}

bool bias_of(Rw *rw, TensorId t, int64_t n, Vector *b)
{
    const NodeId down = maker(rw, t, "DequantizeLinear");
    *b = (Vector){.data = t, .n = n};
    if (down.i && !vector_of(rw, down, n, tensor(rw->g, t)->rank - 1, b)) return false;
    const Tensor *data = tensor(rw->g, b->data);
    return data->kind == TK_CONST && is_row(data, n);
}

bool is_byte(const Rw *rw, TensorId t) { return dtype_is_byte(tensor(rw->g, t)->dt); }

static const OpInfo *op(const char *domain, const char *name)
{
    const OpInfo *o = op_find(domain, name);
    if (!o) ICE("there is no operator %s", name);
    return o;
}

static void become(Rw *rw, NodeId n, const OpInfo *to, uint16_t nin, const TensorId *in)
{
    rw_become(rw, n, to, nin, in, 0, NULL);
}

/* New QuantizeLinear of t before n, with the parameters q. */
static TensorId quantize(Rw *rw, NodeId n, TensorId t, const Quant *q)
{
    Tensor like = *rw_tensor(rw, t);
    like.dt = q->dt;
    const TensorId in[] = {t, q->at_scale, zero_of(rw, q)};
    return rw_add(rw, n, op("", "QuantizeLinear"), COUNT(in), in, 0, NULL, &like);
}

/* n is DequantizeLinear of t with the parameters q. */
static void become_dequantized(Rw *rw, NodeId n, TensorId t, const Quant *q)
{
    const TensorId in[] = {t, q->at_scale, zero_of(rw, q)};
    become(rw, n, op("", "DequantizeLinear"), COUNT(in), in);
}

/* ---- clamps ---- */

/* round_half_even(v / scale) + zero, saturated. */
static int64_t quantized_value(const Quant *q, double v)
{
    const double r = nearbyint((double)((float)v / (float)q->scale)) + (double)q->zero;
    return r <= (double)dtype_min(q->dt)   ? dtype_min(q->dt)
           : r >= (double)dtype_max(q->dt) ? dtype_max(q->dt)
                                           : (int64_t)r;
}

static TensorId integer_const(Rw *rw, const char *hint, DType dt, int64_t v)
{
    int64_t data = 0;
    dtype_put_i(dt, &data, v);
    return graph_const(rw->g, hint, dt, 0, NULL, &data);
}

/* n clamps the integer tensor t, where the bounds are not those of its type. */
static void become_clamp(Rw *rw, NodeId n, TensorId t, DType dt, int64_t lo, int64_t hi)
{
    if (hi == dtype_max(dt)) {
        const TensorId in[] = {t, integer_const(rw, "low", dt, lo)};
        become(rw, n, op("", "Max"), COUNT(in), in);
        return;
    }
    const TensorId in[] = {t, integer_const(rw, "low", dt, lo), integer_const(rw, "high", dt, hi)};
    become(rw, n, op("", "Clip"), COUNT(in), in);
}

/* Bounds of a clamping operator on real values; absent ones are infinite. */
static bool real_bounds(Rw *rw, TensorId low, TensorId high, double *lo, double *hi)
{
    if ((!is_none(low) && !single(rw, low)) || (!is_none(high) && !single(rw, high))) return false;
    *lo = is_none(low) ? -INFINITY : blob_f(rw_tensor(rw, low)->data, 0);
    *hi = is_none(high) ? INFINITY : blob_f(rw_tensor(rw, high)->data, 0);
    return *lo <= *hi;
}

/* Q(min(max(x, lo), hi))  ==  min(max(Q(x), Q(lo)), Q(hi)) */
static bool clamp_up(Rw *rw, const Match *m, double real_lo, double real_hi)
{
    Quant q;
    if (!quant_of(rw, m->root, &q)) return false;
    const int64_t lo = quantized_value(&q, real_lo), hi = quantized_value(&q, real_hi);
    if (lo == dtype_min(q.dt) && hi == dtype_max(q.dt)) {
        const TensorId in[] = {m->t['x'], q.at_scale, zero_of(rw, &q)};
        become(rw, m->root, op("", "QuantizeLinear"), COUNT(in), in);
    } else {
        become_clamp(rw, m->root, quantize(rw, m->root, m->t['x'], &q), q.dt, lo, hi);
    }
    return true;
}

static bool relu_up(Rw *rw, const Match *m)
{
    return clamp_up(rw, m, 0, INFINITY);
}

static bool clip_up(Rw *rw, const Match *m)
{
    double lo, hi;
    return real_bounds(rw, m->t['l'], m->t['h'], &lo, &hi) && clamp_up(rw, m, lo, hi);
}

/* max(D(x), 0)  ==  D(max(x, zero)) */
static bool relu_down(Rw *rw, const Match *m)
{
    Quant q;
    const Node *root = rw_node(rw, m->root);
    if (!quant_behind(rw, root->in[0], &q)) return false;
    Tensor like = *rw_tensor(rw, root->out[0]);
    like.dt = q.dt;
    const TensorId in[] = {dequantized(rw, root->in[0]), zero_of(rw, &q)};
    become_dequantized(rw, m->root, rw_add(rw, m->root, op("", "Max"), COUNT(in), in, 0, NULL, &like), &q);
    return true;
}

/* ---- operators that move data ---- */

static bool has_text(const OpCtx *c, const char *attr, const char *want)
{
    return attr_has(c, attr) && strcmp(attr_s(c, attr), want) == 0;
}

/* Resize that takes one element for each of its results. */
static bool picks_elements(const OpCtx *c)
{
    return has_text(c, "mode", "nearest") && !has_text(c, "coordinate_transformation_mode", "tf_crop_and_resize");
}

/* Pad whose value is 0 or copied from the data. */
static bool pads_zero(const Rw *rw, const OpCtx *c)
{
    const TensorId v = operand(c->n, 2);
    return is_none(v) || (single(rw, v) && blob_f(tensor(rw->g, v)->data, 0) == 0);
}

/* Operands of the data-moving node n when it moves `data`, integers with the parameters q. NULL: n computes. */
static TensorId *moving(Rw *rw, NodeId n, TensorId data, const Quant *q, uint16_t *nin)
{
    const OpCtx c = rw_ctx(rw, n);
    const bool pad = strcmp(c.n->op->name, "Pad") == 0;
    if (c.n->nout != 1 || !op_takes(c.n->op, 0, q->dt) || (pad && !pads_zero(rw, &c)) || (strcmp(c.n->op->name, "Resize") == 0 && !picks_elements(&c)))
        return NULL;
    *nin = (uint16_t)max_i64(c.n->nin, pad && has_text(&c, "mode", "constant") ? 3 : 1);
    TensorId *in = NEWN(rw->a, TensorId, *nin);
    memcpy(in, c.n->in, c.n->nin * sizeof *in);
    in[0] = data;
    if (*nin > 2 && pad) in[2] = zero_of(rw, q);
    return in;
}

/* View(D(x))  ==  D(View(x)) */
static bool view_down(Rw *rw, const Match *m)
{
    const Node *root = rw_node(rw, m->root);
    Quant q;
    uint16_t nin;
    if (!quant_behind(rw, root->in[0], &q)) return false;
    const TensorId *in = moving(rw, m->root, dequantized(rw, root->in[0]), &q, &nin);
    if (!in) return false;
    Tensor like = *rw_tensor(rw, root->out[0]);
    like.dt = q.dt;
    become_dequantized(rw, m->root, rw_add(rw, m->root, root->op, nin, in, root->nattr, root->attr, &like), &q);
    return true;
}

/* Transpose(D(w))  ==  D(Transpose(w)), its parameters along the axis that theirs becomes */
static bool weight_down(Rw *rw, const Match *m)
{
    const OpCtx down = rw_ctx(rw, m->n['W']), c = rw_ctx(rw, m->root);
    const Tensor *w = rw_tensor(rw, m->t['w']);
    const int64_t given = attr_i(&down, "axis"), axis = given < 0 ? given + w->rank : given;
    uint32_t n = 0;
    const int64_t *perm = attr_has(&c, "perm") ? attr_is(&c, "perm", &n) : NULL;
    Attr to = {.name = "axis", .type = AT_i, .v.i = w->rank - 1 - axis};
    Vector v;
    if (!is_byte(rw, m->t['w']) || axis < 0 || axis >= w->rank) return false;
    if (!vector_of(rw, m->n['W'], w->dim[axis]->v.i, (int)axis, &v)) return false;
    for (uint32_t d = 0; d < n; d++)
        if (perm[d] == axis) to.v.i = d;
    Tensor like = *rw_tensor(rw, c.n->out[0]);
    like.dt = w->dt;
    const TensorId in[] = {rw_add(rw, m->root, c.n->op, 1, &v.data, c.n->nattr, c.n->attr, &like), v.scale, v.zero};
    rw_become(rw, m->root, op("", "DequantizeLinear"), is_none(v.zero) ? 2 : 3, in, 1, &to);
    return true;
}

/* Q(View(x))  ==  View(Q(x)) */
static bool view_up(Rw *rw, const Match *m)
{
    const NodeId view = tensor(rw->g, rw_node(rw, m->root)->in[0])->producer;
    const Node *v = rw_node(rw, view);
    Quant q;
    uint16_t nin;
    if (!quant_of(rw, m->root, &q) || rw_tensor(rw, v->in[0])->kind == TK_CONST ||
        !moving(rw, view, v->in[0], &q, &nin))
        return false;
    const TensorId x = quantize(rw, m->root, v->in[0], &q), *in = moving(rw, view, x, &q, &nin);
    rw_become(rw, m->root, v->op, nin, in, v->nattr, v->attr);
    return true;
}

/* Q(D(x))  ==  x with the same parameters, else x brought to the other scale */
static bool pair(Rw *rw, const Match *m)
{
    Quant p, q;
    const Node *root = rw_node(rw, m->root);
    const TensorId x = dequantized(rw, root->in[0]);
    if (!quant_behind(rw, root->in[0], &p) || !quant_of(rw, m->root, &q) || p.dt != q.dt) return false;
    if (same_quant(&p, &q)) {
        if (!rw_forward(rw, m->root, x)) become(rw, m->root, op("", "Identity"), 1, &x);
        return true;
    }
    const TensorId in[] = {q.at_scale, zero_of(rw, &q), x, p.at_scale, zero_of(rw, &p)};
    const Attr attr = {.name = "axis", .type = AT_i, .v.i = 0};
    if (rw_tensor(rw, x)->rank == 0 || dtype_info(q.dt)->bits != 8) return false;
    rw_become(rw, m->root, op("com.microsoft", "QLinearConcat"), COUNT(in), in, 1, &attr);
    return true;
}

/* ---- concatenation ---- */

/* Concat(D(x), D(y), ..)  ==  D(Concat(x, y, ..)), all with the same parameters */
static bool concat_down(Rw *rw, const Match *m)
{
    const Node *root = rw_node(rw, m->root);
    TensorId *in = NEWN(rw->a, TensorId, root->nin + 1);
    Quant first, q;
    for (uint16_t k = 0; k < root->nin; k++) {
        if (!quant_behind(rw, root->in[k], &q) || (k && !same_quant(&first, &q))) return false;
        if (k == 0) first = q;
        in[k] = dequantized(rw, root->in[k]);
    }
    if (root->nin == 0) return false;
    Tensor like = *rw_tensor(rw, root->out[0]);
    like.dt = first.dt;
    become_dequantized(rw, m->root, rw_add(rw, m->root, root->op, root->nin, in, root->nattr, root->attr, &like),
                       &first);
    return true;
}

/* Q(Concat(D(x), D(y), ..))  ==  QLinearConcat */
static bool concat_integer(Rw *rw, const Match *m)
{
    const Node *cat = rw_node(rw, m->n['C']);
    const uint16_t nin = (uint16_t)(2 + 3 * cat->nin);
    TensorId *in = NEWN(rw->a, TensorId, nin);
    Quant y, q;
    if (!quant_of(rw, m->root, &y) || dtype_info(y.dt)->bits != 8) return false;
    in[0] = y.at_scale;
    in[1] = zero_of(rw, &y);
    for (uint16_t k = 0; k < cat->nin; k++) {
        if (!quant_behind(rw, cat->in[k], &q) || q.dt != y.dt) return false;
        in[2 + 3 * k] = dequantized(rw, cat->in[k]);
        in[3 + 3 * k] = q.at_scale;
        in[4 + 3 * k] = zero_of(rw, &q);
    }
    rw_become(rw, m->root, op("com.microsoft", "QLinearConcat"), nin, in, cat->nattr, cat->attr);
    return true;
}

/* ---- two terms, means ---- */

static bool binary_integer(Rw *rw, const Match *m, const char *name)
{
    Quant a, b, y;
    if (!quant_of(rw, m->n['X'], &a) || !quant_of(rw, m->n['W'], &b) || !quant_of(rw, m->root, &y)) return false;
    if (a.dt != b.dt || a.dt != y.dt || dtype_info(y.dt)->bits != 8) return false;
    const TensorId in[] = {m->t['x'],  a.at_scale,      zero_of(rw, &a), m->t['w'],
                           b.at_scale, zero_of(rw, &b), y.at_scale,      zero_of(rw, &y)};
    become(rw, m->root, op("com.microsoft", name), COUNT(in), in);
    return true;
}

static bool add_integer(Rw *rw, const Match *m)
{
    return binary_integer(rw, m, "QLinearAdd");
}

static bool mul_integer(Rw *rw, const Match *m)
{
    return binary_integer(rw, m, "QLinearMul");
}

static bool mean_integer(Rw *rw, const Match *m, const char *name, uint16_t nattr, const Attr *attr)
{
    Quant x, y;
    if (!quant_of(rw, m->n['X'], &x) || !quant_of(rw, m->root, &y) || x.dt != y.dt || dtype_info(y.dt)->bits != 8)
        return false;
    const TensorId in[] = {m->t['x'], x.at_scale, zero_of(rw, &x), y.at_scale, zero_of(rw, &y)};
    rw_become(rw, m->root, op("com.microsoft", name), COUNT(in), in, nattr, attr);
    return true;
}

/* Attributes without `dilations`, which must be 1. */
static bool pool_attrs(Rw *rw, NodeId n, uint16_t *nattr, Attr **attr)
{
    const OpCtx c = rw_ctx(rw, n);
    uint32_t nd = 0;
    const int64_t *d = attr_has(&c, "dilations") ? attr_is(&c, "dilations", &nd) : NULL;
    for (uint32_t k = 0; k < nd; k++)
        if (d[k] != 1) return false;
    *attr = NEWN(rw->a, Attr, c.n->nattr + 1);
    *nattr = 0;
    for (uint16_t k = 0; k < c.n->nattr; k++)
        if (strcmp(c.n->attr[k].name, "dilations") != 0) (*attr)[(*nattr)++] = c.n->attr[k];
    return true;
}

static bool pool_integer(Rw *rw, const Match *m)
{
    uint16_t nattr;
    Attr *attr;
    return pool_attrs(rw, m->n['C'], &nattr, &attr) && mean_integer(rw, m, "QLinearAveragePool", nattr, attr);
}

static bool global_pool_integer(Rw *rw, const Match *m)
{
    return mean_integer(rw, m, "QLinearGlobalAveragePool", 0, NULL);
}

/* ---- rules ---- */

#define X       "(DequantizeLinear:X x #a #?b)"
#define W       "(DequantizeLinear:W w #c #?d)"
#define CW      "(DequantizeLinear:W #w #c #?d)"
#define Q(what) "(QuantizeLinear " what " #s #?z)"
#define D       "(DequantizeLinear x #a #?b)"

const Rule rules_integer[] = {
    {"constant-quantize", "(QuantizeLinear #x #s #?z)", integer_constant},
    {"constant-transpose", "(Transpose #x)", integer_constant},
    {"constant-reshape", "(Reshape #x #r)", integer_constant},
    {"pair", Q(D), pair},
    {"relu-up", Q("(Relu! x)"), relu_up},
    {"clip-up", Q("(Clip! x #?l #?h)"), clip_up},
    {"conv", Q("(Conv!:C " X " " CW " ?e)"), integer_conv},
    {"conv-norm", "(BatchNormalization (Conv!:C " X " " CW " ?e) #s #o #m #v)", integer_norm},
    {"gemm", Q("(Gemm!:C " X " " CW " ?e)"), integer_gemm},
    {"matmul", Q("(MatMul! " X " " W ")"), integer_matmul},
    {"matmul-bias", Q("(Add! (MatMul! " X " " CW ") e)"), integer_matmul_bias},
    {"bias-matmul", Q("(Add! e (MatMul! " X " " CW "))"), integer_matmul_bias},
    {"add", Q("(Add! " X " " W ")"), add_integer},
    {"mul", Q("(Mul! " X " " W ")"), mul_integer},
    {"average-pool", Q("(AveragePool!:C " X ")"), pool_integer},
    {"global-average-pool", Q("(GlobalAveragePool!:C " X ")"), global_pool_integer},
    {"concat", Q("(Concat!:C *)"), concat_integer},
    {"table", Q("x"), integer_table},
    {"relu-down", "(Relu " D ")", relu_down},
    {"concat-down", "(Concat *)", concat_down},
    {"transpose-down", "(Transpose " D ")", view_down},
    {"transpose-weight", "(Transpose " CW ")", weight_down},
    {"reshape-down", "(Reshape " D " r)", view_down},
    {"flatten-down", "(Flatten " D ")", view_down},
    {"squeeze-down", "(Squeeze " D " ?r)", view_down},
    {"unsqueeze-down", "(Unsqueeze " D " r)", view_down},
    {"expand-down", "(Expand " D " r)", view_down},
    {"tile-down", "(Tile " D " r)", view_down},
    {"slice-down", "(Slice " D " *)", view_down},
    {"gather-down", "(Gather " D " r)", view_down},
    {"pad-down", "(Pad " D " *)", view_down},
    {"depth-to-space-down", "(DepthToSpace " D ")", view_down},
    {"space-to-depth-down", "(SpaceToDepth " D ")", view_down},
    {"resize-down", "(Resize " D " *)", view_down},
    {"max-pool-down", "(MaxPool " D ")", view_down},
    {"global-max-pool-down", "(GlobalMaxPool " D ")", view_down},
    {"transpose-up", Q("(Transpose! x)"), view_up},
    {"reshape-up", Q("(Reshape! x r)"), view_up},
    {"flatten-up", Q("(Flatten! x)"), view_up},
    {"squeeze-up", Q("(Squeeze! x ?r)"), view_up},
    {"unsqueeze-up", Q("(Unsqueeze! x r)"), view_up},
    {"max-pool-up", Q("(MaxPool! x)"), view_up},
    {NULL, NULL, NULL},
};

/* Products whose result stays real: for what the rules above have left, which come again for what these leave (transposed
 * constants). */
const Rule rules_integer_real[] = {
    {"conv-real", "(Conv:C " X " " CW " ?e)", integer_conv_real},
    {"matmul-real", "(MatMul:C " X " " W ")", integer_matmul_real},
    {"gemm-real", "(Gemm:C " X " " CW " ?e)", integer_gemm_real},
    {NULL, NULL, NULL},
};

bool pass_integer(Program *p)
{
    static const Rule *const sets[] = {rules_integer, rules_integer_real};
    return rewrite(p, sets, 1) && rewrite(p, sets, COUNT(sets));
}

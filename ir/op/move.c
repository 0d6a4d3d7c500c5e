/* SPDX-License-Identifier: Apache-2.0
 *
 * Parts of tensors: put together (Concat), taken out (Slice, Split, Compress), extended (Pad, Tile), looked up by
 * indices that are data (Gather and its kin), and written at such places (Scatter and its kin). Indices that are data
 * are brought into range, or the write is skipped, so any data is safe.
 */
#include "../op.h"
#include "proto.h"

/* Extents and steps of a model are cut to this: larger ones mean the same, and sums cannot overflow. */
#define FAR (INT64_C(1) << 40)

static const Expr *clamp(OpCtx *c, const Expr *v, const Expr *lo, const Expr *hi)
{
    return MAX(MIN(v, hi), lo);
}

/* A vector of known sizes for input k, with as many elements as wanted. */
static bool sizes(const OpCtx *c, int k, uint32_t want, const Expr *const **v)
{
    uint32_t n;
    if (!in_rank(c, k, 1, 1) || !in_dims(c, k, &n, v)) return false;
    return n == want || op_error(c, k, "element-count", "'%s' has %u elements, expected %u", in_t(c, k)->name, n, want);
}

/* An axis that indices pick from holds something, as far as that is known. */
static bool check_pick(const OpCtx *c, int d)
{
    if (!ex_is_int(in_t(c, 0)->dim[d], 0)) return true;
    return op_error(c, 0, "gather-empty", "dimension %d of '%s', from which elements are picked, is 0", d,
                    in_t(c, 0)->name);
}

/* ---- Concat ---- */

bool infer_Concat(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    const Expr *dim[MAX_RANK];
    int axis;
    if (!norm_axis(c, attr_i(c, "axis"), x->rank, &axis)) return false;
    memcpy(dim, x->dim, sizeof dim);
    for (int k = 1; k < c->n->nin; k++) {
        if (!in_rank(c, k, x->rank, x->rank)) return false;
        for (int d = 0; d < x->rank; d++) {
            if (d != axis && !require_dim(c, k, d, x->dim[d], "concat-extent")) return false;
        }
        dim[axis] = ADD(dim[axis], in_t(c, k)->dim[axis]);
    }
    return set_shape(c, 0, x->rank, dim);
}

typedef struct Parts {
    const Expr *i[MAX_RANK];
    const Expr **first;
    int axis;
} Parts;

/* The element from parts lo..hi-1: a balanced tree of comparisons. first[k]: where part k begins. */
static const Expr *concat_pick(OpCtx *c, const Parts *p, int lo, int hi)
{
    if (hi - lo > 1) {
        const int mid = (lo + hi) / 2;
        const Expr *low = concat_pick(c, p, lo, mid), *high = concat_pick(c, p, mid, hi);
        return SEL(LT(p->i[p->axis], p->first[mid]), low, high);
    }
    const Expr *j[MAX_RANK];
    memcpy(j, p->i, sizeof j);
    j[p->axis] = SUB(p->i[p->axis], p->first[lo]);
    return load_raw(c, in_ten(c, lo), j);
}

/* Empty parts are kept: their range of the axis is empty, so they are never read. */
bool lower_Concat(OpCtx *c)
{
    Parts p = {.first = NEWN(c->a, const Expr *, c->n->nin)};
    norm_axis(c, attr_i(c, "axis"), in_t(c, 0)->rank, &p.axis);
    p.first[0] = IX(0);
    for (int k = 1; k < c->n->nin; k++) p.first[k] = ADD(p.first[k - 1], in_t(c, k - 1)->dim[p.axis]);
    out_vars(c, 0, p.i);
    return def_map(c, out_ten(c, 0), p.i, concat_pick(c, &p, 0, c->n->nin));
}

/* ---- Split ---- */

/* Extents of the outputs along the axis. */
static bool split_sizes(const OpCtx *c, const Expr *dim, const Expr **size)
{
    const int n = c->n->nout;
    const Expr *const *v, *sum = IX(0);
    if (has_in(c, 1)) {
        if (!sizes(c, 1, (uint32_t)n, &v)) return false;
        for (int k = 0; k < n; k++) sum = ADD(sum, size[k] = v[k]);
        return dim_equal(c, sum, dim) ||
               op_error(c, 1, "split-sum", "the parts do not add up to the extent of the axis");
    }
    if (attr_has(c, "num_outputs") && attr_i(c, "num_outputs") != n)
        return op_error(c, NO_OPERAND, "split-outputs", "num_outputs is %lld, there are %d outputs",
                        (long long)attr_i(c, "num_outputs"), n);
    const Expr *chunk = FDIV(ADD(dim, IX(n - 1)), IX(n));
    for (int k = 0; k < n; k++) size[k] = MAX(MIN(SUB(dim, MUL(IX(k), chunk)), chunk), IX(0));
    return true;
}

bool infer_Split(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    const Expr *dim[MAX_RANK], **size = NEWN(c->a, const Expr *, c->n->nout);
    int axis;
    if (!norm_axis(c, attr_i(c, "axis"), x->rank, &axis) || !split_sizes(c, x->dim[axis], size)) return false;
    memcpy(dim, x->dim, sizeof dim);
    for (int k = 0; k < c->n->nout; k++) {
        dim[axis] = size[k];
        if (has_out(c, k) && !set_shape(c, k, x->rank, dim)) return false;
    }
    return true;
}

bool lower_Split(OpCtx *c)
{
    const Expr *i[MAX_RANK], *first = IX(0), **size = NEWN(c->a, const Expr *, c->n->nout);
    int axis;
    norm_axis(c, attr_i(c, "axis"), in_t(c, 0)->rank, &axis);
    split_sizes(c, in_t(c, 0)->dim[axis], size);
    for (int k = 0; k < c->n->nout; k++) {
        if (has_out(c, k)) {
            const Expr *j[MAX_RANK];
            out_vars(c, k, i);
            memcpy(j, i, in_t(c, 0)->rank * sizeof *j);
            j[axis] = ADD(i[axis], first);
            def_map(c, out_ten(c, k), i, load_raw(c, in_ten(c, 0), j));
        }
        first = ADD(first, size[k]);
    }
    return true;
}

/* ---- Slice ---- */

/* Along one dimension: element k of the result is element start + k * step. */
typedef struct Cut {
    const Expr *start, *n;
    int64_t step;
} Cut;

/* A bound of a slice as a place: negative ones count from the end; then into lo..hi. */
static const Expr *place(OpCtx *c, const Expr *v, const Expr *dim, const Expr *lo, const Expr *hi)
{
    if (ex_is_const(v)) v = IX(v->v.i > FAR ? FAR : v->v.i < -FAR ? -FAR : v->v.i);
    return clamp(c, SEL(LT(v, IX(0)), ADD(v, dim), v), lo, hi);
}

static Cut make_cut(OpCtx *c, const Expr *dim, const Expr *start, const Expr *end, int64_t step)
{
    const bool down = step < 0;
    const Expr *lo = IX(down ? -1 : 0), *hi = down ? SUB(dim, IX(1)) : dim, *most = IX((down ? -step : step) - 1);
    start = place(c, start, dim, IX(0), hi);
    end = place(c, end, dim, lo, hi);
    const Expr *way = MAX(down ? SUB(start, end) : SUB(end, start), IX(0));
    return (Cut){start, FDIV(ADD(way, most), ADD(most, IX(1))), step};
}

/* Axis and step of the k-th bound; defaults k and 1. */
static bool read_ints(const OpCtx *c, int operand, uint32_t want, const int64_t **v)
{
    uint32_t n;
    *v = NULL;
    if (!has_in(c, operand)) return true;
    if (!in_rank(c, operand, 1, 1) || !in_ints(c, operand, &n, v)) return false;
    return n == want ||
           op_error(c, operand, "element-count", "'%s' has %u elements, expected %u", in_t(c, operand)->name, n, want);
}

static bool read_cuts(OpCtx *c, Cut *cut)
{
    const Tensor *x = in_t(c, 0);
    const Expr *const *start, *const *end;
    const int64_t *axes, *steps;
    bool seen[MAX_RANK] = {false};
    uint32_t n;
    int d;
    if (!in_rank(c, 1, 1, 1) || !in_dims(c, 1, &n, &start) || !sizes(c, 2, n, &end)) return false;
    if (!read_ints(c, 3, n, &axes) || !read_ints(c, 4, n, &steps)) return false;
    for (d = 0; d < x->rank; d++) cut[d] = (Cut){IX(0), x->dim[d], 1};
    for (uint32_t k = 0; k < n; k++) {
        if (!norm_axis(c, axes ? axes[k] : k, x->rank, &d)) return false;
        if (seen[d]) return op_error(c, 3, "axis", "axis %d is given twice", d);
        seen[d] = true;
        const int64_t step = steps ? min_i64(max_i64(steps[k], -FAR), FAR) : 1;
        if (step == 0) return op_error(c, 4, "slice-step", "step %u is 0", k);
        cut[d] = make_cut(c, x->dim[d], start[k], end[k], step);
    }
    return true;
}

bool infer_Slice(OpCtx *c)
{
    Cut cut[MAX_RANK];
    const Expr *dim[MAX_RANK];
    const int rank = in_t(c, 0)->rank;
    if (!read_cuts(c, cut)) return false;
    for (int d = 0; d < rank; d++) dim[d] = cut[d].n;
    return set_shape(c, 0, rank, dim);
}

bool lower_Slice(OpCtx *c)
{
    Cut cut[MAX_RANK];
    const Expr *i[MAX_RANK], *j[MAX_RANK];
    if (!read_cuts(c, cut)) return false;
    out_vars(c, 0, i);
    for (int d = 0; d < in_t(c, 0)->rank; d++) j[d] = ADD(cut[d].start, MUL(i[d], IX(cut[d].step)));
    return def_map(c, out_ten(c, 0), i, load_raw(c, in_ten(c, 0), j));
}

/* ---- Pad ---- */

typedef enum PadMode { PAD_constant, PAD_edge, PAD_reflect, PAD_wrap, PAD_count } PadMode;
static const char *const pad_modes[] = {"constant", "edge", "reflect", "wrap"};

static PadMode pad_mode(const OpCtx *c)
{
    int m = 0;
    while (m < PAD_count && strcmp(pad_modes[m], attr_s(c, "mode"))) m++;
    return (PadMode)m;
}

/* Elements added before and behind every dimension; negative: taken away. */
static bool read_pads(const OpCtx *c, const Expr **before, const Expr **behind)
{
    const Tensor *x = in_t(c, 0);
    const int64_t *axes = NULL;
    const Expr *const *v;
    uint32_t n = x->rank;
    bool is_axis[MAX_RANK];
    int d;
    if (has_in(c, 3) && (!in_rank(c, 3, 1, 1) || !in_ints(c, 3, &n, &axes) || !norm_axes(c, axes, n, x->rank, is_axis)))
        return false;
    if (!sizes(c, 1, 2 * n, &v)) return false;
    for (d = 0; d < x->rank; d++) before[d] = behind[d] = IX(0);
    for (uint32_t k = 0; k < n; k++) {
        if (!norm_axis(c, axes ? axes[k] : k, x->rank, &d)) return false;
        before[d] = v[k];
        behind[d] = v[n + k];
        if ((ex_is_const(v[k]) && (v[k]->v.i > FAR || v[k]->v.i < -FAR)) ||
            (ex_is_const(v[n + k]) && (v[n + k]->v.i > FAR || v[n + k]->v.i < -FAR)))
            return op_error(c, 1, "pad-size", "the padding of dimension %d is too large", d);
    }
    return true;
}

/* What is left of a dimension when negative pads are taken away, and where it begins. */
typedef struct Core {
    const Expr *first, *n;
} Core;

static Core pad_core(OpCtx *c, const Expr *dim, const Expr *before, const Expr *behind)
{
    const Expr *first = MAX(SUB(IX(0), before), IX(0)), *cut = MAX(SUB(IX(0), behind), IX(0));
    return (Core){first, SUB(SUB(dim, first), cut)};
}

static bool check_pads(OpCtx *c, PadMode mode, const Expr *const *before, const Expr *const *behind)
{
    const Tensor *x = in_t(c, 0);
    const DClass cls = dtype_info(x->dt)->cls;
    if (mode == PAD_count)
        return op_error(c, NO_OPERAND, "attribute-value",
                        "mode is '%s', expected 'constant', 'edge', 'reflect' or 'wrap'", attr_s(c, "mode"));
    if (has_in(c, 2) && tensor_count(c->g, in_t(c, 2)) != 1)
        return op_error(c, 2, "pad-value", "'%s' must be a single value", in_t(c, 2)->name);
    if (mode == PAD_constant && !has_in(c, 2) && (cls == DC_S || cls == DC_C))
        return op_error(c, 0, "unsupported-pad-type", "padding %s without a value is not supported",
                        dtype_info(x->dt)->name);
    for (int d = 0; d < x->rank && mode != PAD_constant; d++) {
        int64_t lo, hi;
        if (ex_is_int(before[d], 0) && ex_is_int(behind[d], 0)) continue;
        if (ex_range(c->x, pad_core(c, x->dim[d], before[d], behind[d]).n, &lo, &hi) && hi < 1)
            return op_error(c, 0, "pad-empty", "dimension %d of '%s' has no element to pad with", d, x->name);
    }
    return true;
}

bool infer_Pad(OpCtx *c)
{
    const Expr *before[MAX_RANK], *behind[MAX_RANK], *dim[MAX_RANK];
    const Tensor *x = in_t(c, 0);
    if (!read_pads(c, before, behind) || !check_pads(c, pad_mode(c), before, behind)) return false;
    for (int d = 0; d < x->rank; d++) dim[d] = ADD(x->dim[d], ADD(before[d], behind[d]));
    return set_shape(c, 0, x->rank, dim);
}

/* Place in 0..n-1 that position v of an endless line shows. Reflection has period 2(n - 1), and that of one element is the element. Of an extent
 * that may be 0 some place outside. */
static const Expr *extended(OpCtx *c, PadMode mode, const Expr *v, const Expr *n)
{
    const Expr *last = SUB(n, IX(1));
    if (mode == PAD_edge) return clamp(c, v, IX(0), last);
    if (mode == PAD_wrap) return MOD(v, MAX(n, IX(1)));
    const Expr *m = MOD(v, MAX(MUL(last, IX(2)), IX(1)));
    return MIN(m, SUB(MUL(last, IX(2)), m));
}

static const Expr *pad_value(OpCtx *c)
{
    const Expr *zero[MAX_RANK];
    if (!has_in(c, 2)) return NUM(dtype_compute(in_t(c, 0)->dt), 0);
    for (int d = 0; d < in_t(c, 2)->rank; d++) zero[d] = IX(0);
    return load_at(c, in_ten(c, 2), zero);
}

/* Whether negative pads may leave nothing of a dimension that is extended. */
static bool may_vanish(OpCtx *c, const Expr *dim, Core core)
{
    int64_t lo, hi;
    return core.n != dim && (!ex_range(c->x, core.n, &lo, &hi) || lo < 1);
}

bool lower_Pad(OpCtx *c)
{
    const Expr *before[MAX_RANK], *behind[MAX_RANK], *i[MAX_RANK], *j[MAX_RANK];
    const PadMode mode = pad_mode(c);
    const DClass cls = dtype_info(in_t(c, 0)->dt)->cls;
    bool none = false;
    if (!read_pads(c, before, behind)) return false;
    out_vars(c, 0, i);
    for (int d = 0; d < in_t(c, 0)->rank; d++) {
        const Core core = pad_core(c, in_t(c, 0)->dim[d], before[d], behind[d]);
        j[d] = SUB(i[d], before[d]);
        if (mode == PAD_constant || (ex_is_int(before[d], 0) && ex_is_int(behind[d], 0))) continue;
        j[d] = ADD(extended(c, mode, SUB(j[d], core.first), core.n), core.first);
        none |= may_vanish(c, in_t(c, 0)->dim[d], core);
    }
    if (none && cls != DC_S && cls != DC_C)
        return def_map(c, out_ten(c, 0), i, load_pad(c, in_ten(c, 0), j, NUM(dtype_compute(in_t(c, 0)->dt), 0)));
    if (mode == PAD_constant) return def_map(c, out_ten(c, 0), i, load_pad(c, in_ten(c, 0), j, pad_value(c)));
    return def_map(c, out_ten(c, 0), i, load_raw(c, in_ten(c, 0), j));
}

/* ---- Tile ---- */

bool infer_Tile(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    const Expr *const *v, *dim[MAX_RANK];
    if (!sizes(c, 1, x->rank, &v)) return false;
    for (int d = 0; d < x->rank; d++) {
        if (ex_is_const(v[d]) && (v[d]->v.i < 0 || v[d]->v.i > FAR))
            return op_error(c, 1, "tile-repeats", "repeat %d is %lld", d, (long long)v[d]->v.i);
        dim[d] = MUL(x->dim[d], v[d]);
    }
    return set_shape(c, 0, x->rank, dim);
}

bool lower_Tile(OpCtx *c)
{
    const Expr *i[MAX_RANK], *j[MAX_RANK], *const *v;
    if (!sizes(c, 1, in_t(c, 0)->rank, &v)) return false;
    out_vars(c, 0, i);
    for (int d = 0; d < in_t(c, 0)->rank; d++) j[d] = ex_is_int(v[d], 1) ? i[d] : MOD(i[d], in_t(c, 0)->dim[d]);
    return def_map(c, out_ten(c, 0), i, load_raw(c, in_ten(c, 0), j));
}

/* ---- Gather and its kin ---- */

bool infer_Gather(OpCtx *c)
{
    const Tensor *x = in_t(c, 0), *index = in_t(c, 1);
    const Expr *dim[2 * MAX_RANK];
    int axis;
    if (!norm_axis(c, attr_i(c, "axis"), x->rank, &axis) || !check_pick(c, axis)) return false;
    int n = 0;
    for (int d = 0; d < axis; d++) dim[n++] = x->dim[d];
    for (int d = 0; d < index->rank; d++) dim[n++] = index->dim[d];
    for (int d = axis + 1; d < x->rank; d++) dim[n++] = x->dim[d];
    return set_shape(c, 0, n, dim);
}

bool lower_Gather(OpCtx *c)
{
    const Expr *i[MAX_RANK], *j[MAX_RANK];
    const Tensor *x = in_t(c, 0);
    const int q = in_t(c, 1)->rank;
    int axis;
    norm_axis(c, attr_i(c, "axis"), x->rank, &axis);
    out_vars(c, 0, i);
    for (int d = 0; d < x->rank; d++) j[d] = d < axis ? i[d] : i[d + q - (d > axis)];
    j[axis] = load_index(c, in_ten(c, 1), i + axis, x->dim[axis]);
    return def_map(c, out_ten(c, 0), i, load_raw(c, in_ten(c, 0), j));
}

/* Extents of `index` off the axis must not exceed those of input 0, as far as both are known. */
static bool check_within(const OpCtx *c, int index, int axis)
{
    const Tensor *x = in_t(c, 0), *p = in_t(c, index);
    for (int d = 0; d < x->rank; d++) {
        if (d == axis || !ex_is_const(x->dim[d]) || !ex_is_const(p->dim[d]) || p->dim[d]->v.i <= x->dim[d]->v.i)
            continue;
        return op_error(c, index, "index-extent", "dimension %d of '%s' is %lld, expected at most %lld", d, p->name,
                        (long long)p->dim[d]->v.i, (long long)x->dim[d]->v.i);
    }
    return true;
}

bool infer_GatherElements(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    int axis;
    return norm_axis(c, attr_i(c, "axis"), x->rank, &axis) && in_rank(c, 1, x->rank, x->rank) &&
           check_within(c, 1, axis) && check_pick(c, axis) && same_shape(c, 0, 1);
}

bool lower_GatherElements(OpCtx *c)
{
    const Expr *i[MAX_RANK], *j[MAX_RANK];
    const Tensor *x = in_t(c, 0);
    int axis;
    norm_axis(c, attr_i(c, "axis"), x->rank, &axis);
    out_vars(c, 0, i);
    for (int d = 0; d < x->rank; d++) {
        const bool known = ex_is_const(x->dim[d]) && ex_is_const(in_t(c, 1)->dim[d]);
        j[d] =
            known || dim_equal(c, x->dim[d], in_t(c, 1)->dim[d]) ? i[d] : clamp(c, i[d], IX(0), SUB(x->dim[d], IX(1)));
    }
    j[axis] = load_index(c, in_ten(c, 1), i, x->dim[axis]);
    return def_map(c, out_ten(c, 0), i, load_raw(c, in_ten(c, 0), j));
}

/* How many leading dimensions one row of an index tensor addresses: its constant last extent, 1 (or 0) to most. */
static bool tuple_size(const OpCtx *c, int k, int most, int *n)
{
    const Tensor *p = in_t(c, k);
    if (!in_rank(c, k, 1, MAX_RANK)) return false;
    const Expr *last = p->dim[p->rank - 1];
    if (!ex_is_const(last) || last->v.i < 1 || last->v.i > most)
        return op_error(c, k, "index-tuple", "the last dimension of '%s' must be constant and 1 to %d", p->name, most);
    *n = (int)last->v.i;
    return true;
}

bool infer_GatherND(OpCtx *c)
{
    const Tensor *x = in_t(c, 0), *p = in_t(c, 1);
    const Expr *dim[2 * MAX_RANK];
    const int64_t b = attr_i(c, "batch_dims");
    int size, n = 0;
    if (b < 0 || b >= x->rank || b >= p->rank)
        return op_error(c, NO_OPERAND, "gather-batch", "batch_dims is %lld, expected less than the ranks %d and %d",
                        (long long)b, x->rank, p->rank);
    if (!tuple_size(c, 1, x->rank - (int)b, &size)) return false;
    for (int d = 0; d < b; d++) {
        if (!require_dim(c, 1, d, x->dim[d], "gather-batch")) return false;
    }
    for (int d = 0; d < size; d++) {
        if (!check_pick(c, (int)b + d)) return false;
    }
    for (int d = 0; d + 1 < p->rank; d++) dim[n++] = p->dim[d];
    for (int d = (int)b + size; d < x->rank; d++) dim[n++] = x->dim[d];
    return set_shape(c, 0, n, dim);
}

bool lower_GatherND(OpCtx *c)
{
    const Expr *i[MAX_RANK], *row[MAX_RANK], *j[MAX_RANK];
    const Tensor *x = in_t(c, 0);
    const int b = (int)attr_i(c, "batch_dims"), q = in_t(c, 1)->rank;
    int size;
    if (!tuple_size(c, 1, x->rank - b, &size)) return false;
    out_vars(c, 0, i);
    memcpy(row, i, sizeof row);
    for (int d = 0; d < x->rank; d++) {
        if (d < b) {
            j[d] = i[d];
        } else if (d < b + size) {
            row[q - 1] = IX(d - b);
            j[d] = load_index(c, in_ten(c, 1), row, x->dim[d]);
        } else {
            j[d] = i[q - 1 + d - b - size];
        }
    }
    return def_map(c, out_ten(c, 0), i, load_raw(c, in_ten(c, 0), j));
}

/* ---- Scatter and its kin ---- */

typedef struct Reduction {
    const char *name;
    RedOp op;
} Reduction;
static const Reduction reductions[] = {
    {"none", RED_none}, {"add", RED_sum}, {"mul", RED_prod}, {"max", RED_max}, {"min", RED_min}};

static const Reduction *reduction(const OpCtx *c)
{
    for (size_t k = 0; k < COUNT(reductions); k++) {
        if (!strcmp(reductions[k].name, attr_s(c, "reduction"))) return &reductions[k];
    }
    return NULL;
}

static bool check_reduction(const OpCtx *c)
{
    const Reduction *r = reduction(c);
    const DType dt = in_t(c, 0)->dt;
    if (!r)
        return op_error(c, NO_OPERAND, "attribute-value",
                        "reduction is '%s', expected 'none', 'add', 'mul', 'max' or 'min'", attr_s(c, "reduction"));
    if (r->op == RED_none || dtype_is_float(dt) || dtype_is_int(dt)) return true;
    return op_error(c, 0, "unsupported-scatter-type", "reduction '%s' of %s is not supported", r->name,
                    dtype_info(dt)->name);
}

/* Index that is data, for writing: negative ones count from the end; one outside skips the write. */
static const Expr *write_index(OpCtx *c, uint32_t t, const Expr *const *i, const Expr *extent)
{
    const Expr *v = CAST(DT_ix, load_raw(c, t, i));
    return SEL(LT(v, IX(0)), ADD(v, extent), v);
}

/* The data, then every update in row-major order at the place given. */
static bool lower_scatter(OpCtx *c, const Expr *const *r, const Expr *const *at)
{
    const Expr *i[MAX_RANK];
    const Tensor *u = in_t(c, 2);
    out_vars(c, 0, i);
    const Expr *init = load_raw(c, in_ten(c, 0), i), *body = load_raw(c, in_ten(c, 2), r);
    return def_scatter(c, out_ten(c, 0), i, init, u->rank, r, u->dim, at, reduction(c)->op, body);
}

bool infer_ScatterElements(OpCtx *c)
{
    const Tensor *x = in_t(c, 0), *p = in_t(c, 1);
    int axis;
    if (!norm_axis(c, attr_i(c, "axis"), x->rank, &axis) || !check_reduction(c)) return false;
    if (!in_rank(c, 1, x->rank, x->rank) || !in_rank(c, 2, x->rank, x->rank) || !check_within(c, 1, axis)) return false;
    for (int d = 0; d < x->rank; d++) {
        if (!require_dim(c, 2, d, p->dim[d], "scatter-updates")) return false;
    }
    return same_shape(c, 0, 0);
}

bool lower_ScatterElements(OpCtx *c)
{
    const Expr *r[MAX_RANK], *at[MAX_RANK];
    const Tensor *x = in_t(c, 0), *u = in_t(c, 2);
    int axis;
    norm_axis(c, attr_i(c, "axis"), x->rank, &axis);
    vars_for(c, "rstuvwxyzabc", u->rank, u->dim, r);
    memcpy(at, r, sizeof at);
    at[axis] = write_index(c, in_ten(c, 1), r, x->dim[axis]);
    return lower_scatter(c, r, at);
}

bool infer_ScatterND(OpCtx *c)
{
    const Tensor *x = in_t(c, 0), *p = in_t(c, 1), *u = in_t(c, 2);
    int size;
    if (!check_reduction(c) || !tuple_size(c, 1, x->rank, &size)) return false;
    const int rank = p->rank - 1 + x->rank - size;
    if (rank > MAX_RANK)
        return op_error(c, 1, "rank", "the updates would have %d dimensions, at most %d are supported", rank, MAX_RANK);
    if (!in_rank(c, 2, rank, rank)) return false;
    for (int d = 0; d < u->rank; d++) {
        const Expr *want = d < p->rank - 1 ? p->dim[d] : x->dim[d - (p->rank - 1) + size];
        if (!require_dim(c, 2, d, want, "scatter-updates")) return false;
    }
    return same_shape(c, 0, 0);
}

bool lower_ScatterND(OpCtx *c)
{
    const Expr *r[MAX_RANK], *row[MAX_RANK], *at[MAX_RANK];
    const Tensor *x = in_t(c, 0), *u = in_t(c, 2);
    const int q = in_t(c, 1)->rank;
    int size;
    if (!tuple_size(c, 1, x->rank, &size)) return false;
    vars_for(c, "rstuvwxyzabc", u->rank, u->dim, r);
    memcpy(row, r, sizeof row);
    for (int d = 0; d < x->rank; d++) {
        row[q - 1] = IX(d);
        at[d] = d < size ? write_index(c, in_ten(c, 1), row, x->dim[d]) : r[q - 1 + d - size];
    }
    return lower_scatter(c, r, at);
}

bool infer_TensorScatter(OpCtx *c)
{
    const Tensor *x = in_t(c, 0), *u = in_t(c, 1);
    const char *mode = attr_s(c, "mode");
    int axis;
    if (strcmp(mode, "linear") && strcmp(mode, "circular"))
        return op_error(c, NO_OPERAND, "attribute-value", "mode is '%s', expected 'linear' or 'circular'", mode);
    if (!norm_axis(c, attr_i(c, "axis"), x->rank, &axis) || !in_rank(c, 1, x->rank, x->rank)) return false;
    if (axis == 0) return op_error(c, NO_OPERAND, "axis", "axis is 0, the batch dimension");
    for (int d = 0; d < x->rank; d++) {
        if (d != axis && !require_dim(c, 1, d, x->dim[d], "scatter-updates")) return false;
    }
    if (ex_is_const(x->dim[axis]) && ex_is_const(u->dim[axis]) && u->dim[axis]->v.i > x->dim[axis]->v.i)
        return op_error(c, 1, "scatter-updates", "dimension %d of '%s' is %lld, the cache has %lld", axis, u->name,
                        (long long)u->dim[axis]->v.i, (long long)x->dim[axis]->v.i);
    if (has_in(c, 2) && (!in_rank(c, 2, 1, 1) || !require_dim(c, 2, 0, x->dim[0], "scatter-batch"))) return false;
    return same_shape(c, 0, 0);
}

/* present[.., s, ..] = update[.., s - w, ..] where that exists, else past[.., s, ..]; circular: (s - w) mod extent. */
bool lower_TensorScatter(OpCtx *c)
{
    const Expr *i[MAX_RANK], *j[MAX_RANK], *first = IX(0);
    const Tensor *x = in_t(c, 0);
    int axis;
    norm_axis(c, attr_i(c, "axis"), x->rank, &axis);
    out_vars(c, 0, i);
    memcpy(j, i, sizeof j);
    const Expr *extent = x->dim[axis];
    if (has_in(c, 2)) first = CAST(DT_ix, load_raw(c, in_ten(c, 2), i));
    if (strcmp(attr_s(c, "mode"), "linear"))
        j[axis] = MOD(SUB(i[axis], MOD(first, extent)), extent);
    else
        j[axis] = SUB(i[axis], clamp(c, first, SUB(IX(0), extent), extent));
    return def_map(c, out_ten(c, 0), i, load_pad(c, in_ten(c, 1), j, load_at(c, in_ten(c, 0), i)));
}

/* ---- OneHot ---- */

/* The extent `depth`, known when compiling. */
static bool one_hot_depth(const OpCtx *c, const Expr **depth)
{
    const Expr *const *v;
    uint32_t n;
    double f;
    if (tensor_count(c->g, in_t(c, 1)) != 1)
        return op_error(c, 1, "one-hot-depth", "'%s' must be a single value", in_t(c, 1)->name);
    if (!dtype_is_float(in_t(c, 1)->dt)) {
        if (!in_dims(c, 1, &n, &v)) return false;
        *depth = v[0];
    } else {
        if (!in_float(c, 1, &f)) return false;
        if (!(f >= 0 && f < 0x1p31)) return op_error(c, 1, "one-hot-depth", "the depth is %g", f);
        *depth = IX((int64_t)f);
    }
    return true;
}

bool infer_OneHot(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    const Expr *dim[MAX_RANK + 1];
    int axis;
    if (!norm_axis(c, attr_i(c, "axis"), x->rank + 1, &axis)) return false;
    if (!in_rank(c, 2, 1, 1) || !require_dim(c, 2, 0, IX(2), "one-hot-values") || !one_hot_depth(c, &dim[axis]))
        return false;
    for (int d = 0; d < x->rank; d++) dim[d + (d >= axis)] = x->dim[d];
    return set_shape(c, 0, x->rank + 1, dim);
}

bool lower_OneHot(OpCtx *c)
{
    const Expr *i[MAX_RANK], *j[MAX_RANK], *zero = IX(0), *one = IX(1);
    const Tensor *x = in_t(c, 0);
    int axis;
    norm_axis(c, attr_i(c, "axis"), x->rank + 1, &axis);
    out_vars(c, 0, i);
    for (int d = 0; d < x->rank; d++) j[d] = i[d + (d >= axis)];
    const Expr *v = CAST(DT_ix, load_at(c, in_ten(c, 0), j));
    v = SEL(LT(v, IX(0)), ADD(v, out_t(c, 0)->dim[axis]), v);
    return def_map(c, out_ten(c, 0), i,
                   SEL(EQ(v, i[axis]), load_raw(c, in_ten(c, 2), &one), load_raw(c, in_ten(c, 2), &zero)));
}

/* ---- ReverseSequence ---- */

bool infer_ReverseSequence(OpCtx *c)
{
    int batch, time;
    if (!in_rank(c, 0, 2, MAX_RANK)) return false;
    if (!norm_axis(c, attr_i(c, "batch_axis"), in_t(c, 0)->rank, &batch) ||
        !norm_axis(c, attr_i(c, "time_axis"), in_t(c, 0)->rank, &time))
        return false;
    if (batch == time) return op_error(c, NO_OPERAND, "axis", "batch_axis and time_axis are both %d", batch);
    return in_rank(c, 1, 1, 1) && require_dim(c, 1, 0, in_t(c, 0)->dim[batch], "sequence-lens") && same_shape(c, 0, 0);
}

bool lower_ReverseSequence(OpCtx *c)
{
    const Expr *i[MAX_RANK], *j[MAX_RANK];
    const int rank = in_t(c, 0)->rank;
    int batch, time;
    norm_axis(c, attr_i(c, "batch_axis"), rank, &batch);
    norm_axis(c, attr_i(c, "time_axis"), rank, &time);
    out_vars(c, 0, i);
    memcpy(j, i, sizeof j);
    const Expr *len = clamp(c, CAST(DT_ix, load_raw(c, in_ten(c, 1), &i[batch])), IX(0), in_t(c, 0)->dim[time]);
    j[time] = SEL(LT(i[time], len), SUB(SUB(len, IX(1)), i[time]), i[time]);
    return def_map(c, out_ten(c, 0), i, load_raw(c, in_ten(c, 0), j));
}

/* ---- Compress ---- */

/* The extent selected from: that of the axis, or of the flattened input. */
static bool compress_axis(const OpCtx *c, int *axis, const Expr **extent)
{
    const Tensor *x = in_t(c, 0);
    *axis = -1;
    if (attr_has(c, "axis")) {
        if (!norm_axis(c, attr_i(c, "axis"), x->rank, axis)) return false;
        *extent = x->dim[*axis];
        return true;
    }
    *extent = IX(1);
    for (int d = 0; d < x->rank; d++) *extent = MUL(*extent, x->dim[d]);
    return true;
}

/* Places of the true elements of a constant condition that lie inside the extent; their number. */
static int64_t selected(const OpCtx *c, const Expr *extent, int64_t *at)
{
    const Blob *b = in_t(c, 1)->data;
    const int64_t most = min_i64(b->count, ex_is_const(extent) ? extent->v.i : 0);
    int64_t n = 0;
    for (int64_t k = 0; k < most; k++) {
        if (!blob_i(b, k)) continue;
        if (at) at[n] = k;
        n++;
    }
    return n;
}

static bool is_constant_choice(const OpCtx *c, const Expr *extent)
{
    return in_t(c, 1)->data && ex_is_const(extent);
}

bool infer_Compress(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    const Expr *dim[MAX_RANK], *extent;
    int axis;
    if (!in_rank(c, 1, 1, 1) || !compress_axis(c, &axis, &extent)) return false;
    const Expr *n = is_constant_choice(c, extent) ? IX(selected(c, extent, NULL))
                                                  : fresh_symbol(c, "compress", 0, ex_upper(c->x, extent));
    memcpy(dim, x->dim, sizeof dim);
    dim[axis < 0 ? 0 : axis] = n;
    return set_shape(c, 0, axis < 0 ? 1 : x->rank, dim);
}

/* Tensor of the places selected: a constant, or the result of a call. */
static uint32_t places(OpCtx *c, const Expr *extent, const Expr *n)
{
    if (!is_constant_choice(c, extent)) {
        const uint32_t t = temp_ten(c, "places", DT_i64, 1, &n), condition = in_ten(c, 1);
        def_call(c, "compress", 1, &condition, 1, &t, 1, &extent, 1, &n);
        return t;
    }
    int64_t *at = NEWN(c->a, int64_t, max_i64(n->v.i, 1));
    selected(c, extent, at);
    const uint32_t t = te_tensor(c->te, str_fmt(c->a, "%s.places", out_t(c, 0)->name), DT_i64, TEN_const, 1, &n);
    ten(c->te, t)->data = blob_make(c->a, DT_i64, n->v.i, at);
    return t;
}

bool lower_Compress(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    const Expr *i[MAX_RANK], *j[MAX_RANK], *extent;
    int axis;
    if (!compress_axis(c, &axis, &extent)) return false;
    out_vars(c, 0, i);
    const int d = axis < 0 ? 0 : axis;
    const Expr *at = CAST(DT_ix, load_raw(c, places(c, extent, out_t(c, 0)->dim[d]), &i[d]));
    at = clamp(c, at, IX(0), SUB(extent, IX(1)));
    memcpy(j, i, x->rank * sizeof *j);
    if (axis < 0)
        reshape_index(c, 1, &extent, &at, x->rank, x->dim, j);
    else
        j[axis] = at;
    return def_map(c, out_ten(c, 0), i, load_raw(c, in_ten(c, 0), j));
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Selections: TopK, NonZero, Unique, NonMaxSuppression. What sorts is a call (mlcc_select.h) that gives places; taking
 * the elements from there is a view, so it fuses like any other. Places read back are brought into range.
 */
#include "../call.h"
#include "proto.h"
#include "sample.h"

/* ---- TopK ---- */

/* Number of elements wanted: known, or as the model declares the result. */
static const Expr *topk_count(const OpCtx *c, int axis)
{
    uint32_t n;
    const Expr *const *v;
    const int rank = in_t(c, 0)->rank;
    if (in_known(c, 1)) return in_dims(c, 1, &n, &v) && n == 1 ? v[0] : NULL;
    for (int k = 0; k < 2; k++) {
        const Expr *e = declared_dim(c, k, rank, axis);
        if (e) return e;
    }
    in_dims(c, 1, &n, &v);
    return NULL;
}

bool infer_TopK(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    const Expr *dim[MAX_RANK];
    int64_t lo, hi;
    int axis;
    if (!in_rank(c, 0, 1, MLCC_MAX_RANK) || !norm_axis(c, attr_i(c, "axis"), x->rank, &axis)) return false;
    if (tensor_count(c->g, in_t(c, 1)) != 1)
        return op_error(c, 1, "topk-k", "'%s' must be a single value", in_t(c, 1)->name);
    memcpy(dim, x->dim, sizeof dim);
    dim[axis] = topk_count(c, axis);
    if (!dim[axis]) return false;
    if (!ex_range(c->x, SUB(x->dim[axis], dim[axis]), &lo, &hi) || hi < 0 ||
        (ex_is_const(dim[axis]) && dim[axis]->v.i < 0)) {
        return op_error(c, 1, "topk-k", "k is outside of dimension %d of '%s'", axis, x->name);
    }
    return set_shape(c, 0, x->rank, dim) && set_shape(c, 1, x->rank, dim);
}

bool lower_TopK(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    const Expr *i[MAX_RANK], *j[MAX_RANK];
    int axis;
    norm_axis(c, attr_i(c, "axis"), x->rank, &axis);
    const uint32_t in = in_ten(c, 0), places = out_ten(c, 1);
    const Expr *arg[] = {IX(axis), IX(attr_i(c, "largest") != 0), out_t(c, 1)->dim[axis]};
    if (!def_call(c, "topk", 1, &in, 1, &places, 3, arg, 0, NULL)) return false;
    out_vars(c, 0, i);
    memcpy(j, i, sizeof j);
    j[axis] = load_index(c, places, i, x->dim[axis]);
    return def_map(c, out_ten(c, 0), i, load_raw(c, in, j));
}

/* ---- NonZero ---- */

static const Expr *element_count(OpCtx *c, const Tensor *x)
{
    const Expr *n = IX(1);
    for (int d = 0; d < x->rank; d++) n = MUL(n, x->dim[d]);
    return n;
}

bool infer_NonZero(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    const Expr *dim[] = {IX(x->rank), fresh_symbol(c, "nonzero", 0, ex_upper(c->x, element_count(c, x)))};
    return set_shape(c, 0, 2, dim);
}

/* Flattened: whether the element is not zero. */
static uint32_t truth(OpCtx *c, const Expr *count)
{
    const Tensor *x = in_t(c, 0);
    const uint32_t t = temp_ten(c, "truth", DT_bool, 1, &count);
    const Expr *i[1], *j[MAX_RANK];
    vars_for(c, "i", 1, &count, i);
    reshape_index(c, 1, &count, i, x->rank, x->dim, j);
    const Expr *v = load_at(c, in_ten(c, 0), j);
    def_map(c, t, i, v->dt == DT_bool ? v : NE(v, NUM((DType)v->dt, 0)));
    return t;
}

bool lower_NonZero(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    const Expr *count = element_count(c, x), *n = out_t(c, 0)->dim[1], *i[2], *j[MAX_RANK], *v = IX(0);
    const uint32_t on = truth(c, count), places = temp_ten(c, "places", DT_i64, 1, &n);
    if (!def_call(c, "compress", 1, &on, 1, &places, 1, &count, 1, &n)) return false;
    out_vars(c, 0, i);
    const Expr *at = load_index(c, places, &i[1], count);
    reshape_index(c, 1, &count, &at, x->rank, x->dim, j);
    for (int d = x->rank - 1; d >= 0; d--) v = d == x->rank - 1 ? j[d] : SEL(EQ(i[0], IX(d)), j[d], v);
    return def_map(c, out_ten(c, 0), i, CAST(DT_i64, v));
}

/* ---- Unique ---- */

/* What is compared: whole slices along an axis, or (-1) single elements. rows: how many there are. */
static bool unique_rows(OpCtx *c, int *axis, const Expr **rows)
{
    const Tensor *x = in_t(c, 0);
    *axis = -1;
    if (!in_rank(c, 0, 0, MLCC_MAX_RANK)) return false;
    if (attr_has(c, "axis") && !norm_axis(c, attr_i(c, "axis"), x->rank, axis)) return false;
    *rows = *axis < 0 ? element_count(c, x) : x->dim[*axis];
    return true;
}

/* Extent that the model declares for the distinct rows, through any of the outputs; NULL: none. */
static const Expr *declared_rows(const OpCtx *c, int axis)
{
    for (int k = 0; k < c->n->nout; k++) {
        const int rank = k || axis < 0 ? 1 : in_t(c, 0)->rank;
        const Expr *e = has_out(c, k) && k != 2 ? declared_dim(c, k, rank, k || axis < 0 ? 0 : axis) : NULL;
        if (e) return e;
    }
    return NULL;
}

bool infer_Unique(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    const Expr *rows, *dim[MAX_RANK], *n;
    int axis;
    if (!unique_rows(c, &axis, &rows)) return false;
    n = declared_rows(c, axis);
    if (!n) n = fresh_symbol(c, "unique", 0, ex_upper(c->x, rows));
    memcpy(dim, x->dim, sizeof dim);
    dim[axis < 0 ? 0 : axis] = n;
    if (!set_shape(c, 0, axis < 0 ? 1 : x->rank, dim)) return false;
    const Expr *extent[] = {NULL, n, rows, n};
    for (int k = 1; k < c->n->nout; k++) {
        if (has_out(c, k) && !set_shape(c, k, 1, &extent[k])) return false;
    }
    return true;
}

/* Output k, or a temporary when it is not wanted. */
static uint32_t out_or_temp(OpCtx *c, int k, const char *hint, const Expr *extent)
{
    return has_out(c, k) ? out_ten(c, k) : temp_ten(c, hint, DT_i64, 1, &extent);
}

bool lower_Unique(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    const Expr *rows, *i[MAX_RANK], *j[MAX_RANK];
    int axis;
    if (!unique_rows(c, &axis, &rows)) return false;
    const int d = axis < 0 ? 0 : axis;
    const Expr *n = out_t(c, 0)->dim[d];
    const uint32_t in = in_ten(c, 0), out[] = {out_or_temp(c, 1, "first", n), out_or_temp(c, 2, "inverse", rows),
                                               out_or_temp(c, 3, "counts", n)};
    const Expr *arg[] = {rows, IX(axis), IX(attr_i(c, "sorted") != 0)};
    if (!def_call(c, "unique", 1, &in, 3, out, 3, arg, 1, &n)) return false;
    out_vars(c, 0, i);
    const Expr *at = load_index(c, out[0], &i[d], rows);
    memcpy(j, i, x->rank * sizeof *j);
    if (axis < 0)
        reshape_index(c, 1, &rows, &at, x->rank, x->dim, j);
    else
        j[axis] = at;
    return def_map(c, out_ten(c, 0), i, load_raw(c, in, j));
}

/* ---- NonMaxSuppression ---- */

enum { NMS_boxes, NMS_scores, NMS_most, NMS_iou, NMS_score, NMS_inputs };

/* The most boxes that one class can give. */
static int64_t nms_limit(OpCtx *c)
{
    const int64_t n = ex_upper(c->x, in_t(c, NMS_scores)->dim[2]);
    uint32_t count;
    const Expr *const *v;
    if (!has_in(c, NMS_most)) return 0;
    if (!in_known(c, NMS_most) || !in_dims(c, NMS_most, &count, &v) || !ex_is_const(v[0])) return n;
    return min_i64(max_i64(v[0]->v.i, 0), n);
}

bool infer_NonMaxSuppression(OpCtx *c)
{
    if (!in_rank(c, NMS_boxes, 3, 3) || !in_rank(c, NMS_scores, 3, 3)) return false;
    const Expr *const *s = in_t(c, NMS_scores)->dim;
    int64_t most;
    if (!require_dim(c, NMS_boxes, 0, s[0], "nms-boxes") || !require_dim(c, NMS_boxes, 1, s[2], "nms-boxes") ||
        !require_dim(c, NMS_boxes, 2, IX(4), "nms-boxes"))
        return false;
    for (int k = NMS_most; k < c->n->nin; k++) {
        if (has_in(c, k) && tensor_count(c->g, in_t(c, k)) != 1)
            return op_error(c, k, "nms-limit", "'%s' must be a single value", in_t(c, k)->name);
    }
    if (!mul_i64(ex_upper(c->x, MUL(s[0], s[1])), nms_limit(c), &most) || most > INT32_MAX)
        return op_error(c, NMS_scores, "tensor-too-large", "more than %d boxes could be selected", INT32_MAX);
    const Expr *dim[] = {fresh_symbol(c, "selected", 0, most), IX(3)};
    return set_shape(c, 0, 2, dim);
}

bool lower_NonMaxSuppression(OpCtx *c)
{
    uint32_t in[NMS_inputs];
    const uint32_t out = out_ten(c, 0);
    int64_t given = 0;
    for (int k = 0; k < NMS_inputs; k++) {
        given |= (int64_t)has_in(c, k) << k;
        in[k] = in_ten(c, has_in(c, k) ? k : NMS_boxes);
    }
    const Expr *arg[] = {in_t(c, NMS_scores)->dim[2], IX(attr_i(c, "center_point_box") != 0), IX(given)};
    return def_call(c, "nms", NMS_inputs, in, 1, &out, 3, arg, 1, out_t(c, 0)->dim);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Reductions along axes (Reduce*, ArgMax, ArgMin) and running sums and products. A Reduce* is a row of a table: what is
 * done to each element, how elements are combined, what is done to the result. ArgMax finds the maximum first and then
 * the smallest (or largest) place that holds it. Over no elements a reduction gives the identity of its operation.
 */
#include "../op.h"
#include "proto.h"
#include "red.h"

/* ---- Reduce* ---- */

typedef struct Reduction {
    RedOp op;
    bool real;                                                    /* integers take part as f64 */
    const Expr *(*before)(OpCtx *c, const Expr *x);               /* NULL: the element itself */
    const Expr *(*after)(OpCtx *c, const Expr *x, const Axes *a); /* NULL: the result itself */
} Reduction;

static bool read_axes(OpCtx *c, bool *is_red)
{
    const int rank = in_t(c, 0)->rank;
    uint32_t n = 0;
    const int64_t *v = NULL;
    if (has_in(c, 1) && !in_ints(c, 1, &n, &v)) return false;
    const bool all = n == 0 && attr_i(c, "noop_with_empty_axes") == 0;
    for (int d = 0; d < rank; d++) is_red[d] = all;
    return n == 0 || norm_axes(c, v, n, rank, is_red);
}

/* Shape of input 0 without the reduced dimensions, or with 1 in their places. */
static bool reduced_shape(OpCtx *c, const bool *is_red, bool keep)
{
    const Tensor *x = in_t(c, 0);
    const Expr *dim[MAX_RANK];
    int n = 0;
    for (int d = 0; d < x->rank; d++) {
        if (!is_red[d] || keep) dim[n++] = is_red[d] ? IX(1) : x->dim[d];
    }
    return set_shape(c, 0, n, dim);
}

static bool infer_reduce(OpCtx *c)
{
    bool is_red[MAX_RANK] = {false};
    return read_axes(c, is_red) && reduced_shape(c, is_red, attr_i(c, "keepdims") != 0);
}

/* Variables i of the output and the index `kept` into a tensor without the reduced dimensions. */
static void out_kept(OpCtx *c, const Axes *a, bool keep, const Expr **i, const Expr **kept)
{
    out_vars(c, 0, i);
    if (keep) {
        axes_keep(a, i, kept);
    } else {
        memcpy(kept, i, (size_t)a->nkept * sizeof *i);
    }
}

static DType reduce_type(OpCtx *c, const Reduction *d)
{
    const DType dt = in_t(c, 0)->dt, wide = dtype_compute(dt);
    if (dt == DT_bool) return DT_i32;
    return d->real && !dtype_is_float(wide) ? DT_f64 : wide;
}

/* The identity of a wide integer is no value of a narrow one or of bool: the nearest is. */
static const Expr *into_range(OpCtx *c, DType dt, const Expr *v)
{
    if (dt == DT_bool) return NE(MAX(v, NUM(DT_i32, 0)), NUM(DT_i32, 0));
    if (dtype_is_float(dt) || dtype_info(dt)->bits >= 32) return v;
    const DType wide = (DType)v->dt;
    return MIN(MAX(v, ex_const_i(c->x, wide, dtype_min(dt))), ex_const_i(c->x, wide, dtype_max(dt)));
}

/* Whether the reduction needs nothing done to its result. */
static bool is_plain(const OpCtx *c, const Reduction *d)
{
    const DType dt = in_t(c, 0)->dt;
    return !d->after && dt != DT_bool && (dtype_is_float(dt) || dtype_info(dt)->bits >= 32);
}

static bool lower_reduce(OpCtx *c, const Reduction *d)
{
    const Tensor *x = in_t(c, 0);
    bool is_red[MAX_RANK] = {false};
    if (!read_axes(c, is_red)) return false;
    const Axes a = axes_of(x->rank, x->dim, is_red);
    const bool plain = is_plain(c, d), keep = attr_i(c, "keepdims") != 0;
    const Expr *i[MAX_RANK], *kept[MAX_RANK];
    Sweep s;
    out_kept(c, &a, keep, i, kept);
    if (plain) {
        sweep_at(c, &a, kept, &s);
    } else {
        sweep(c, &a, &s);
    }
    const Expr *v = CAST(reduce_type(c, d), load_at(c, in_ten(c, 0), s.at));
    if (d->before) v = d->before(c, v);
    if (plain) {
        memcpy(s.i, i, sizeof *i * out_t(c, 0)->rank);
        return sweep_into(c, out_ten(c, 0), &a, &s, d->op, v);
    }
    v = load_at(c, sweep_temp(c, "red", &a, &s, d->op, v), kept);
    return def_map(c, out_ten(c, 0), i, d->after ? d->after(c, v, &a) : into_range(c, x->dt, v));
}

static const Expr *magnitude(OpCtx *c, const Expr *x)
{
    return UN(abs, x);
}

static const Expr *square(OpCtx *c, const Expr *x)
{
    return MUL(x, x);
}

static const Expr *average(OpCtx *c, const Expr *x, const Axes *a)
{
    return DIV(x, axes_count(c, a, (DType)x->dt));
}

static const Expr *root(OpCtx *c, const Expr *x, const Axes *a)
{
    (void)a;
    return UN(sqrt, x);
}

static const Expr *logarithm(OpCtx *c, const Expr *x, const Axes *a)
{
    (void)a;
    return UN(log, x);
}

bool infer_ReduceSum(OpCtx *c)
{
    return infer_reduce(c);
}
bool infer_ReduceMean(OpCtx *c)
{
    return infer_reduce(c);
}
bool infer_ReduceProd(OpCtx *c)
{
    return infer_reduce(c);
}
bool infer_ReduceMax(OpCtx *c)
{
    return infer_reduce(c);
}
bool infer_ReduceMin(OpCtx *c)
{
    return infer_reduce(c);
}
bool infer_ReduceL1(OpCtx *c)
{
    return infer_reduce(c);
}
bool infer_ReduceL2(OpCtx *c)
{
    return infer_reduce(c);
}
bool infer_ReduceLogSum(OpCtx *c)
{
    return infer_reduce(c);
}
bool infer_ReduceLogSumExp(OpCtx *c)
{
    return infer_reduce(c);
}
bool infer_ReduceSumSquare(OpCtx *c)
{
    return infer_reduce(c);
}

bool lower_ReduceSum(OpCtx *c)
{
    return lower_reduce(c, &(Reduction){.op = RED_sum});
}
bool lower_ReduceMean(OpCtx *c)
{
    return lower_reduce(c, &(Reduction){.op = RED_sum, .after = average});
}
bool lower_ReduceProd(OpCtx *c)
{
    return lower_reduce(c, &(Reduction){.op = RED_prod});
}
bool lower_ReduceMax(OpCtx *c)
{
    return lower_reduce(c, &(Reduction){.op = RED_max});
}
bool lower_ReduceMin(OpCtx *c)
{
    return lower_reduce(c, &(Reduction){.op = RED_min});
}
bool lower_ReduceL1(OpCtx *c)
{
    return lower_reduce(c, &(Reduction){.op = RED_sum, .before = magnitude});
}
bool lower_ReduceL2(OpCtx *c)
{
    return lower_reduce(c, &(Reduction){RED_sum, true, square, root});
}
bool lower_ReduceLogSum(OpCtx *c)
{
    return lower_reduce(c, &(Reduction){RED_sum, true, NULL, logarithm});
}
bool lower_ReduceSumSquare(OpCtx *c)
{
    return lower_reduce(c, &(Reduction){.op = RED_sum, .before = square});
}

/* log(sum(exp(x - m))) + m with m the maximum, or 0 where that is infinite and a difference would not be a number. */
bool lower_ReduceLogSumExp(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    bool is_red[MAX_RANK] = {false};
    if (!read_axes(c, is_red)) return false;
    const Axes a = axes_of(x->rank, x->dim, is_red);
    const DType dt = reduce_type(c, &(Reduction){.real = true});
    const Expr *i[MAX_RANK], *kept[MAX_RANK];
    Sweep s;
    sweep(c, &a, &s);
    const uint32_t top = sweep_temp(c, "max", &a, &s, RED_max, CAST(dt, load_at(c, in_ten(c, 0), s.at)));
    const uint32_t shift = temp_ten(c, "shift", dt, a.nkept, a.kept);
    vars_for(c, "ijklmn", a.nkept, a.kept, i);
    const Expr *m = load_at(c, top, i);
    def_map(c, shift, i, SEL(UN(isinf, m), NUM(dt, 0), m));
    sweep(c, &a, &s);
    const Expr *far = SUB(CAST(dt, load_at(c, in_ten(c, 0), s.at)), load_at(c, shift, s.i));
    const uint32_t sum = sweep_temp(c, "sum", &a, &s, RED_sum, UN(exp, far));
    out_kept(c, &a, attr_i(c, "keepdims") != 0, i, kept);
    return def_map(c, out_ten(c, 0), i, ADD(UN(log, load_at(c, sum, kept)), load_at(c, shift, kept)));
}

/* ---- ArgMax, ArgMin ---- */

static bool infer_arg(OpCtx *c)
{
    bool is_red[MAX_RANK] = {false};
    const Tensor *x = in_t(c, 0);
    int axis;
    if (!norm_axis(c, attr_i(c, "axis"), x->rank, &axis)) return false;
    if (ex_is_int(x->dim[axis], 0)) return op_error(c, 0, "arg-empty", "axis %d has no elements to choose from", axis);
    is_red[axis] = true;
    return reduced_shape(c, is_red, attr_i(c, "keepdims") != 0);
}

/* A NaN is the extreme of a row that holds one, as for numpy. */
static const Expr *is_extreme(OpCtx *c, const Expr *v, const Expr *extreme)
{
    const Expr *same = EQ(v, extreme);
    return dtype_is_float((DType)v->dt) ? OR(same, UN(isnan, v)) : same;
}

static bool lower_arg(OpCtx *c, RedOp op)
{
    const Tensor *x = in_t(c, 0);
    int axis;
    if (!norm_axis(c, attr_i(c, "axis"), x->rank, &axis)) return false;
    const bool last = attr_i(c, "select_last_index") != 0;
    const Axes a = axes_one(x->rank, x->dim, axis);
    const Expr *i[MAX_RANK], *kept[MAX_RANK];
    Sweep s;
    sweep(c, &a, &s);
    const uint32_t best = sweep_temp(c, "best", &a, &s, op, load_at(c, in_ten(c, 0), s.at));
    sweep(c, &a, &s);
    const Expr *hit = is_extreme(c, load_at(c, in_ten(c, 0), s.at), load_at(c, best, s.i));
    const Expr *place = SEL(hit, CAST(DT_i64, s.r[0]), last ? NUM(DT_i64, -1) : CAST(DT_i64, x->dim[axis]));
    const uint32_t at = sweep_temp(c, "at", &a, &s, last ? RED_max : RED_min, place);
    out_kept(c, &a, attr_i(c, "keepdims") != 0, i, kept);
    return def_map(c, out_ten(c, 0), i, load_at(c, at, kept));
}

bool infer_ArgMax(OpCtx *c)
{
    return infer_arg(c);
}
bool infer_ArgMin(OpCtx *c)
{
    return infer_arg(c);
}
bool lower_ArgMax(OpCtx *c)
{
    return lower_arg(c, RED_max);
}
bool lower_ArgMin(OpCtx *c)
{
    return lower_arg(c, RED_min);
}

/* ---- CumSum, CumProd ---- */

static bool read_axis(OpCtx *c, int *axis)
{
    uint32_t n;
    const int64_t *v;
    if (!in_ints(c, 1, &n, &v)) return false;
    if (n != 1) return op_error(c, 1, "axis", "axis has %u elements, expected 1", n);
    return norm_axis(c, v[0], in_t(c, 0)->rank, axis);
}

static bool infer_running(OpCtx *c)
{
    int axis;
    return read_axis(c, &axis) && same_shape(c, 0, 0);
}

/* Scans t[j] = t[j-1] op x[j'], j' counted from the end in reverse; exclusive: one place late, first the identity. */
static bool lower_running(OpCtx *c, RedOp op, double identity)
{
    const Tensor *x = in_t(c, 0);
    const DType dt = dtype_compute(x->dt);
    const bool late = attr_i(c, "exclusive") != 0, reverse = attr_i(c, "reverse") != 0,
               direct = !reverse && dt == x->dt;
    int axis;
    if (!read_axis(c, &axis)) return false;
    const uint32_t t = direct ? out_ten(c, 0) : temp_ten(c, "run", dt, x->rank, x->dim);
    const Expr *i[MAX_RANK], *at[MAX_RANK], *last = SUB(x->dim[axis], IX(1));
    out_vars(c, 0, i);
    memcpy(at, i, sizeof *i * x->rank);
    if (late) at[axis] = SUB(at[axis], IX(1));
    if (reverse) at[axis] = SUB(last, at[axis]);
    def_scan(c, t, i, op, axis, load_pad(c, in_ten(c, 0), at, NUM(dt, identity)));
    if (direct) return true;
    out_vars(c, 0, i);
    memcpy(at, i, sizeof *i * x->rank);
    if (reverse) at[axis] = SUB(last, at[axis]);
    return def_map(c, out_ten(c, 0), i, load_at(c, t, at));
}

bool infer_CumSum(OpCtx *c)
{
    return infer_running(c);
}
bool infer_CumProd(OpCtx *c)
{
    return infer_running(c);
}
bool lower_CumSum(OpCtx *c)
{
    return lower_running(c, RED_sum, 0);
}
bool lower_CumProd(OpCtx *c)
{
    return lower_running(c, RED_prod, 1);
}

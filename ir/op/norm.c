/* SPDX-License-Identifier: Apache-2.0
 *
 * Normalisations and softmax. Statistics are stages of their own over the kept dimensions; what divides a whole row or
 * channel is computed once in them, so the stage over all elements multiplies and adds. Narrow floats are computed in
 * f32 throughout and rounded once, whatever stash_type says of the precision that is enough.
 */
#include "../op.h"
#include "proto.h"
#include "dot.h"
#include "red.h"

/* Type in which the node computes: that of its first input. */
static DType own_type(const OpCtx *c)
{
    return dtype_compute(in_t(c, 0)->dt);
}

/* Fresh variables over a tensor's extents. */
static void vars_of(OpCtx *c, uint32_t t, const Expr **i)
{
    vars_for(c, "ijklmn", ten(c->te, t)->rank, ten(c->te, t)->dim, i);
}

/* t = 1 / sqrt(v + epsilon) over the kept dimensions. */
static uint32_t inverse_root(OpCtx *c, uint32_t v, DType dt)
{
    const Ten *p = ten(c->te, v);
    const uint32_t t = temp_ten(c, "rstd", dt, p->rank, p->dim);
    const Expr *i[MAX_RANK];
    vars_of(c, v, i);
    def_map(c, t, i, DIV(NUM(dt, 1), UN(sqrt, ADD(load_at(c, v, i), NUM(dt, attr_f(c, "epsilon"))))));
    return t;
}

/* Operand k has the channels of input 0. */
static bool check_channels(OpCtx *c, int first, int last)
{
    for (int k = first; k <= last; k++) {
        if (!check_channel(c, k, in_t(c, 0)->dim[1])) return false;
    }
    return true;
}

/* ---- BatchNormalization: y = x * k + o with k = scale / sqrt(var + epsilon), o = B - mean * k ---- */

bool infer_BatchNormalization(OpCtx *c)
{
    if (!in_rank(c, 0, 2, MAX_RANK) || !check_channels(c, 1, 4) || !same_shape(c, 0, 0)) return false;
    for (int k = 1; k <= 2; k++) {
        if (!has_out(c, k)) continue;
        if (attr_i(c, "training_mode") == 0) {
            return op_error(c, OUT(k), "batchnorm-outputs", "running statistics are outputs only with training_mode=1");
        }
        if (!set_shape(c, k, 1, in_t(c, 0)->dim + 1)) return false;
    }
    return true;
}

static Axes channel_axes(const OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    bool is_red[MAX_RANK];
    for (int d = 0; d < x->rank; d++) is_red[d] = d != 1;
    return axes_of(x->rank, x->dim, is_red);
}

/* Output k = input k + 2, moved by 1 - momentum towards the statistic of this batch. */
static bool running(OpCtx *c, int k, uint32_t now)
{
    if (!has_out(c, k)) return true;
    const DType dt = own_type(c);
    const Expr *i[MAX_RANK], *m = NUM(dt, attr_f(c, "momentum"));
    out_vars(c, k, i);
    const Expr *before = CAST(dt, load_channel(c, k + 2, i[0]));
    return def_map(c, out_ten(c, k), i, ADD(MUL(before, m), MUL(load_at(c, now, i), SUB(NUM(dt, 1), m))));
}

static bool scale_channels(OpCtx *c, const Expr *mean, const Expr *var, const Expr *const *i)
{
    const DType dt = own_type(c);
    const Expr *const *channels = in_t(c, 0)->dim + 1;
    const uint32_t scale = temp_ten(c, "scale", dt, 1, channels), offset = temp_ten(c, "offset", dt, 1, channels);
    const Expr *o[MAX_RANK];
    const Expr *spread = UN(sqrt, ADD(CAST(dt, var), NUM(dt, attr_f(c, "epsilon"))));
    def_map(c, scale, i, DIV(CAST(dt, load_channel(c, 1, i[0])), spread));
    const Expr *shift = MUL(CAST(dt, mean), load_at(c, scale, i));
    def_map(c, offset, i, SUB(CAST(dt, load_channel(c, 2, i[0])), shift));
    out_vars(c, 0, o);
    return def_map(c, out_ten(c, 0), o,
                   ADD(MUL(load_at(c, in_ten(c, 0), o), load_at(c, scale, o + 1)), load_at(c, offset, o + 1)));
}

bool lower_BatchNormalization(OpCtx *c)
{
    const Expr *i[MAX_RANK];
    vars_for(c, "m", 1, in_t(c, 0)->dim + 1, i);
    if (attr_i(c, "training_mode") == 0) {
        const Expr *mean = load_channel(c, 3, i[0]), *var = load_channel(c, 4, i[0]);
        return scale_channels(c, mean, var, i);
    }
    const Axes a = channel_axes(c);
    const Moments m = moments(c, &a, in_ten(c, 0), own_type(c));
    return running(c, 1, m.mean) && running(c, 2, m.var) &&
           scale_channels(c, load_at(c, m.mean, i), load_at(c, m.var, i), i);
}

/* ---- InstanceNormalization, GroupNormalization ---- */

bool infer_InstanceNormalization(OpCtx *c)
{
    return in_rank(c, 0, 3, MAX_RANK) && check_channels(c, 1, 2) && same_shape(c, 0, 0);
}

/* y = (x - mean) * k + b, k = scale / sqrt(var + epsilon); statistics are over [n, group] of `per` channels each. */
static bool normalize_groups(OpCtx *c, const Moments *m, const Expr *per)
{
    const Tensor *x = in_t(c, 0);
    const DType dt = own_type(c);
    const uint32_t rstd = inverse_root(c, m->var, dt), factor = temp_ten(c, "scale", dt, 2, x->dim);
    const Expr *i[MAX_RANK], *g[2];
    vars_for(c, "nm", 2, x->dim, i);
    g[0] = i[0];
    g[1] = FDIV(i[1], per);
    def_map(c, factor, i, MUL(load_channel(c, 1, i[1]), load_at(c, rstd, g)));
    vars_for(c, "nmijk", x->rank, x->dim, i);
    g[0] = i[0];
    g[1] = FDIV(i[1], per);
    const Expr *far = SUB(load_at(c, in_ten(c, 0), i), load_at(c, m->mean, g));
    return def_map(c, out_ten(c, 0), i, ADD(MUL(far, load_at(c, factor, i)), load_channel(c, 2, i[1])));
}

bool lower_InstanceNormalization(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    const Axes a = axes_from(x->rank, x->dim, 2);
    const Moments m = moments(c, &a, in_ten(c, 0), own_type(c));
    return normalize_groups(c, &m, IX(1));
}

bool infer_GroupNormalization(OpCtx *c)
{
    if (!in_rank(c, 0, 2, MAX_RANK - 1)) return false;
    const int64_t groups = attr_i(c, "num_groups");
    if (groups < 1 || groups > INT32_MAX || !ex_is_int(MOD(in_t(c, 0)->dim[1], IX(groups)), 0)) {
        return op_error(c, 0, "groupnorm-groups", "channels do not divide evenly into num_groups=%lld",
                        (long long)groups);
    }
    return check_channels(c, 1, 2) && same_shape(c, 0, 0);
}

/* The view v[n,g,k,..] = x[n, g*K + k, ..] has the groups as a dimension. */
static uint32_t split_groups(OpCtx *c, const Expr *groups, const Expr *per, Axes *a)
{
    const Tensor *x = in_t(c, 0);
    const Expr *dim[MAX_RANK] = {x->dim[0], groups, per}, *i[MAX_RANK], *at[MAX_RANK];
    memcpy(dim + 3, x->dim + 2, (size_t)(x->rank - 2) * sizeof *dim);
    const uint32_t v = temp_ten(c, "groups", x->dt, x->rank + 1, dim);
    vars_for(c, "ngkij", x->rank + 1, dim, i);
    at[0] = i[0];
    at[1] = ADD(MUL(i[1], per), i[2]);
    memcpy(at + 2, i + 3, (size_t)(x->rank - 2) * sizeof *at);
    def_map(c, v, i, load_raw(c, in_ten(c, 0), at));
    *a = axes_from(x->rank + 1, dim, 2);
    return v;
}

bool lower_GroupNormalization(OpCtx *c)
{
    const Expr *groups = IX(attr_i(c, "num_groups")), *per = FDIV(in_t(c, 0)->dim[1], groups);
    Axes a;
    const uint32_t v = split_groups(c, groups, per, &a);
    const Moments m = moments(c, &a, v, own_type(c));
    return normalize_groups(c, &m, per);
}

/* ---- LayerNormalization, RMSNormalization ---- */

/* Operand k broadcasts to the shape of input 0 without enlarging it. */
static bool check_trailing(OpCtx *c, int k)
{
    if (!has_in(c, k)) return true;
    const Tensor *x = in_t(c, 0), *t = in_t(c, k);
    if (!in_rank(c, k, 0, x->rank)) return false;
    for (int d = 0; d < t->rank; d++) {
        const Expr *want = x->dim[x->rank - t->rank + d];
        if (!ex_is_int(t->dim[d], 1) && !require_dim(c, k, d, want, "norm-scale")) return false;
    }
    return true;
}

static bool stash_type(OpCtx *c, DType *dt)
{
    *dt = dtype_by_onnx(attr_i(c, "stash_type"));
    if (*dt == DT_f32 || *dt == DT_bf16) return true;
    return op_error(c, NO_OPERAND, "stash-type", "stash_type is %lld, expected 1 (float) or 16 (bfloat16)",
                    (long long)attr_i(c, "stash_type"));
}

static bool infer_rows(OpCtx *c, DType *stash, int *axis)
{
    const int rank = in_t(c, 0)->rank;
    return in_rank(c, 0, 1, MAX_RANK) && norm_axis(c, attr_i(c, "axis"), rank, axis) && stash_type(c, stash) &&
           check_trailing(c, 1) && same_shape(c, 0, 0);
}

bool infer_LayerNormalization(OpCtx *c)
{
    DType stash;
    int axis;
    if (!infer_rows(c, &stash, &axis) || !check_trailing(c, 2)) return false;
    const Tensor *x = in_t(c, 0);
    const Expr *dim[MAX_RANK];
    for (int d = 0; d < x->rank; d++) dim[d] = d < axis ? x->dim[d] : IX(1);
    for (int k = 1; k <= 2; k++) {
        if (has_out(c, k) && !(set_type(c, k, stash) && set_shape(c, k, x->rank, dim))) return false;
    }
    return true;
}

/* Output k, if wanted, is t with ones for the dimensions that t lacks. */
static bool give_statistic(OpCtx *c, int k, uint32_t t)
{
    const Expr *i[MAX_RANK];
    if (!has_out(c, k)) return true;
    out_vars(c, k, i);
    return def_map(c, out_ten(c, k), i, load_at(c, t, i));
}

bool lower_LayerNormalization(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    const DType dt = own_type(c);
    const Expr *i[MAX_RANK];
    int axis;
    if (!norm_axis(c, attr_i(c, "axis"), x->rank, &axis)) return false;
    const Axes a = axes_from(x->rank, x->dim, axis);
    const Moments m = moments(c, &a, in_ten(c, 0), dt);
    const uint32_t rstd = inverse_root(c, m.var, dt);
    out_vars(c, 0, i);
    const Expr *far = SUB(load_at(c, in_ten(c, 0), i), load_at(c, m.mean, i));
    const Expr *y = MUL(MUL(far, load_at(c, rstd, i)), load_bcast(c, 1, i, x->rank));
    if (has_in(c, 2)) y = ADD(y, load_bcast(c, 2, i, x->rank));
    return def_map(c, out_ten(c, 0), i, y) && give_statistic(c, 1, m.mean) && give_statistic(c, 2, rstd);
}

bool infer_RMSNormalization(OpCtx *c)
{
    DType stash;
    int axis;
    return infer_rows(c, &stash, &axis);
}

bool lower_RMSNormalization(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    const DType dt = own_type(c);
    const Expr *i[MAX_RANK];
    int axis;
    if (!norm_axis(c, attr_i(c, "axis"), x->rank, &axis)) return false;
    const Axes a = axes_from(x->rank, x->dim, axis);
    const uint32_t rms = inverse_root(c, mean_square(c, &a, in_ten(c, 0), dt), dt);
    out_vars(c, 0, i);
    const Expr *y = MUL(load_at(c, in_ten(c, 0), i), load_at(c, rms, i));
    return def_map(c, out_ten(c, 0), i, MUL(y, CAST(dt, load_bcast(c, 1, i, x->rank))));
}

/* ---- LpNormalization, MeanVarianceNormalization, LRN ---- */

static bool infer_axis(OpCtx *c)
{
    int axis;
    return norm_axis(c, attr_i(c, "axis"), in_t(c, 0)->rank, &axis) && same_shape(c, 0, 0);
}

bool infer_LpNormalization(OpCtx *c)
{
    const int64_t p = attr_i(c, "p");
    if (p != 1 && p != 2) return op_error(c, NO_OPERAND, "lp-norm", "p is %lld, expected 1 or 2", (long long)p);
    return infer_axis(c);
}

/* The one reduced axis of a node with the attribute `axis`. */
static Axes attr_axis(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    int axis = 0;
    if (!norm_axis(c, attr_i(c, "axis"), x->rank, &axis)) ICE("lower: axis of %s changed", c->n->op->name);
    return axes_one(x->rank, x->dim, axis);
}

/* y = x / norm, 0 where the norm is 0. */
bool lower_LpNormalization(OpCtx *c)
{
    const DType dt = own_type(c);
    const bool two = attr_i(c, "p") == 2;
    const Axes a = attr_axis(c);
    Sweep s;
    sweep(c, &a, &s);
    const Expr *x = load_at(c, in_ten(c, 0), s.at);
    const uint32_t sum = sweep_temp(c, "sum", &a, &s, RED_sum, two ? MUL(x, x) : UN(abs, x));
    const uint32_t size = temp_ten(c, "norm", dt, a.nkept, a.kept);
    const Expr *i[MAX_RANK], *kept[MAX_RANK];
    vars_of(c, size, i);
    def_map(c, size, i, two ? UN(sqrt, load_at(c, sum, i)) : load_at(c, sum, i));
    out_vars(c, 0, i);
    axes_keep(&a, i, kept);
    const Expr *n = load_at(c, size, kept);
    return def_map(c, out_ten(c, 0), i, SEL(EQ(n, NUM(dt, 0)), NUM(dt, 0), DIV(load_at(c, in_ten(c, 0), i), n)));
}

static bool read_mvn_axes(OpCtx *c, bool *is_red)
{
    uint32_t n;
    const int64_t *v = attr_is(c, "axes", &n);
    return norm_axes(c, v, n, in_t(c, 0)->rank, is_red);
}

bool infer_MeanVarianceNormalization(OpCtx *c)
{
    bool is_red[MAX_RANK];
    return read_mvn_axes(c, is_red) && same_shape(c, 0, 0);
}

/* y = (x - mean) / (sqrt(var) + 1e-9), the function body of ONNX. */
bool lower_MeanVarianceNormalization(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    const DType dt = own_type(c);
    bool is_red[MAX_RANK];
    if (!read_mvn_axes(c, is_red)) return false;
    const Axes a = axes_of(x->rank, x->dim, is_red);
    const Moments m = moments(c, &a, in_ten(c, 0), dt);
    const uint32_t spread = temp_ten(c, "std", dt, a.nkept, a.kept);
    const Expr *i[MAX_RANK], *kept[MAX_RANK];
    vars_of(c, spread, i);
    def_map(c, spread, i, ADD(UN(sqrt, load_at(c, m.var, i)), NUM(dt, 1e-9)));
    out_vars(c, 0, i);
    axes_keep(&a, i, kept);
    const Expr *far = SUB(load_at(c, in_ten(c, 0), i), load_at(c, m.mean, kept));
    return def_map(c, out_ten(c, 0), i, DIV(far, load_at(c, spread, kept)));
}

bool infer_LRN(OpCtx *c)
{
    const int64_t size = attr_i(c, "size");
    if (size < 1 || size > INT32_MAX) {
        return op_error(c, NO_OPERAND, "lrn-size", "size is %lld, expected 1 or more", (long long)size);
    }
    return in_rank(c, 0, 2, MAX_RANK) && same_shape(c, 0, 0);
}

/* A power by quarters is made of square roots, which targets have as instructions. */
static const Expr *power_of(OpCtx *c, const Expr *x, double e)
{
    const int quarters = e >= 0.25 && e <= 1 ? (int)(e * 4) : 0;
    if (quarters == 0 || quarters != e * 4) return ex_binary(c->x, EX_pow, x, NUM((DType)x->dt, e));
    const Expr *half = ex_unary(c->x, EX_sqrt, x), *quarter = ex_unary(c->x, EX_sqrt, half);
    const Expr *const by[] = {quarter, half, MUL(half, quarter), x};
    return by[quarters - 1];
}

/* y = x / (bias + alpha/size * s)^beta, s the sum of squares over `size` channels around the element's. */
bool lower_LRN(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    const DType dt = own_type(c);
    const int64_t size = attr_i(c, "size");
    const Expr *i[MAX_RANK], *at[MAX_RANK], *extent = IX(size), *r = red_var(c, "r", extent);
    const uint32_t sum = temp_ten(c, "sumsq", dt, x->rank, x->dim);
    vars_for(c, "nmijk", x->rank, x->dim, i);
    memcpy(at, i, sizeof *i * x->rank);
    at[1] = SUB(ADD(i[1], r), IX((size - 1) / 2));
    const Expr *v = load_pad(c, in_ten(c, 0), at, NUM(dt, 0));
    def_reduce(c, sum, i, RED_sum, 1, &r, &extent, MUL(v, v));
    vars_for(c, "nmijk", x->rank, x->dim, i);
    const Expr *scaled = MUL(NUM(dt, attr_f(c, "alpha") / (double)size), load_at(c, sum, i));
    const Expr *base = ADD(NUM(dt, attr_f(c, "bias")), scaled);
    return def_map(c, out_ten(c, 0), i, DIV(load_at(c, in_ten(c, 0), i), power_of(c, base, attr_f(c, "beta"))));
}

/* ---- Softmax, LogSoftmax, Hardmax ---- */

bool infer_Softmax(OpCtx *c)
{
    return infer_axis(c);
}
bool infer_LogSoftmax(OpCtx *c)
{
    return infer_axis(c);
}
bool infer_Hardmax(OpCtx *c)
{
    return infer_axis(c);
}

static uint32_t row_max(OpCtx *c, const Axes *a)
{
    Sweep s;
    sweep(c, a, &s);
    return sweep_temp(c, "max", a, &s, RED_max, load_at(c, in_ten(c, 0), s.at));
}

/* exp(x - max) over all elements. */
static uint32_t shifted_exp(OpCtx *c, const Axes *a, uint32_t max)
{
    const uint32_t t = temp_ten(c, "exp", own_type(c), a->rank, a->dim);
    const Expr *i[MAX_RANK], *kept[MAX_RANK];
    vars_of(c, t, i);
    axes_keep(a, i, kept);
    def_map(c, t, i, UN(exp, SUB(load_at(c, in_ten(c, 0), i), load_at(c, max, kept))));
    return t;
}

static uint32_t row_sum(OpCtx *c, const Axes *a, uint32_t t)
{
    Sweep s;
    sweep(c, a, &s);
    return sweep_temp(c, "sum", a, &s, RED_sum, load_at(c, t, s.at));
}

bool lower_Softmax(OpCtx *c)
{
    const Axes a = attr_axis(c);
    const uint32_t e = shifted_exp(c, &a, row_max(c, &a)), sum = row_sum(c, &a, e);
    const Expr *i[MAX_RANK], *kept[MAX_RANK];
    out_vars(c, 0, i);
    axes_keep(&a, i, kept);
    return def_map(c, out_ten(c, 0), i, DIV(load_at(c, e, i), load_at(c, sum, kept)));
}

/* y = (x - max) - log(sum(exp(x - max))) */
bool lower_LogSoftmax(OpCtx *c)
{
    const Axes a = attr_axis(c);
    const uint32_t max = row_max(c, &a), sum = row_sum(c, &a, shifted_exp(c, &a, max));
    const uint32_t shift = temp_ten(c, "log", own_type(c), a.nkept, a.kept);
    const Expr *i[MAX_RANK], *kept[MAX_RANK];
    vars_of(c, shift, i);
    def_map(c, shift, i, UN(log, load_at(c, sum, i)));
    out_vars(c, 0, i);
    axes_keep(&a, i, kept);
    const Expr *far = SUB(load_at(c, in_ten(c, 0), i), load_at(c, max, kept));
    return def_map(c, out_ten(c, 0), i, SUB(far, load_at(c, shift, kept)));
}

/* 1 at the first place of the maximum, 0 elsewhere. */
bool lower_Hardmax(OpCtx *c)
{
    const Axes a = attr_axis(c);
    const DType dt = own_type(c);
    const uint32_t max = row_max(c, &a);
    const Expr *i[MAX_RANK], *kept[MAX_RANK];
    Sweep s;
    sweep(c, &a, &s);
    const Expr *v = load_at(c, in_ten(c, 0), s.at), *none = CAST(DT_i64, a.red[0]);
    const Expr *hit = OR(EQ(v, load_at(c, max, s.i)), UN(isnan, v));
    const uint32_t first = sweep_temp(c, "first", &a, &s, RED_min, SEL(hit, CAST(DT_i64, s.r[0]), none));
    out_vars(c, 0, i);
    axes_keep(&a, i, kept);
    const Expr *place = NUM(DT_i64, 0);
    for (int d = 0; d < a.rank; d++) {
        if (a.is_red[d]) place = CAST(DT_i64, i[d]);
    }
    return def_map(c, out_ten(c, 0), i, SEL(EQ(place, load_at(c, first, kept)), NUM(dt, 1), NUM(dt, 0)));
}

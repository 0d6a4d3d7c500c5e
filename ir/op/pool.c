/* SPDX-License-Identifier: Apache-2.0
 *
 * Pooling: one reduction over the taps of a window, with the pad reading as the identity of the operation, and a map
 * behind it. Global pooling is a reduction over all spatial dimensions.
 */
#include "../op.h"
#include "proto.h"
#include "red.h"
#include "window.h"

#include <math.h>

static bool read_pool(OpCtx *c, Window *w)
{
    const Tensor *x = in_t(c, 0);
    const Expr *kernel[MAX_SPATIAL];
    return in_rank(c, 0, 3, MAX_SPATIAL + 2) && attr_kernel(c, x->rank - 2, kernel) &&
           window_read(c, x->rank - 2, x->dim + 2, kernel, w);
}

static bool pool_shape(OpCtx *c, const Window *w, int out)
{
    const Tensor *x = in_t(c, 0);
    const Expr *dim[MAX_RANK] = {x->dim[0], x->dim[1]};
    memcpy(dim + 2, w->out, (size_t)w->n * sizeof *dim);
    return set_shape(c, out, x->rank, dim);
}

static bool infer_pool(OpCtx *c)
{
    Window w;
    return read_pool(c, &w) && pool_shape(c, &w, 0);
}

/* One stage over windows: i of the output, r of the taps, at of the input. */
typedef struct Pool {
    Window w;
    const Expr *i[MAX_RANK], *r[MAX_RANK], *at[MAX_RANK];
} Pool;

static void pool_vars(OpCtx *c, Pool *p)
{
    vars_for(c, "ncijk", out_t(c, 0)->rank, out_t(c, 0)->dim, p->i);
    window_taps(c, &p->w, p->r);
    p->at[0] = p->i[0];
    p->at[1] = p->i[1];
    window_at(c, &p->w, p->i + 2, p->r, p->at + 2);
}

static bool pool_into(OpCtx *c, uint32_t t, const Pool *p, RedOp op, const Expr *body)
{
    return def_reduce(c, t, p->i, op, p->w.n, p->r, p->w.kernel, body);
}

/* Temporary of the output's shape. */
static uint32_t pool_temp(OpCtx *c, const char *hint, DType dt)
{
    return temp_ten(c, hint, dt, out_t(c, 0)->rank, out_t(c, 0)->dim);
}

/* ---- MaxPool ---- */

bool infer_MaxPool(OpCtx *c)
{
    Window w;
    const int64_t order = attr_i(c, "storage_order");
    if (order != 0 && order != 1) {
        return op_error(c, NO_OPERAND, "storage-order", "storage_order is %lld, expected 0 or 1", (long long)order);
    }
    return read_pool(c, &w) && pool_shape(c, &w, 0) && (!has_out(c, 1) || pool_shape(c, &w, 1));
}

/* Smallest value of type dt. */
static const Expr *lowest(OpCtx *c, DType dt)
{
    const DType wide = dtype_compute(dt);
    return dtype_is_float(dt) ? ex_const_f(c->x, wide, -INFINITY) : ex_const_i(c->x, wide, dtype_min(dt));
}

/* Position in the whole input tensor; storage_order=1 counts the first spatial dimension fastest. */
static const Expr *flat_place(OpCtx *c, const Pool *p)
{
    const Tensor *x = in_t(c, 0);
    const bool column = attr_i(c, "storage_order") == 1;
    const Expr *at = ADD(MUL(p->at[0], x->dim[1]), p->at[1]);
    for (int d = 0; d < p->w.n; d++) {
        const int k = 2 + (column ? p->w.n - 1 - d : d);
        at = ADD(MUL(at, x->dim[k]), p->at[k]);
    }
    return at;
}

static const Expr *is_inside(OpCtx *c, const Pool *p)
{
    const Tensor *x = in_t(c, 0);
    const Expr *in = ex_const_i(c->x, DT_bool, 1);
    for (int k = 2; k < x->rank; k++) {
        in = AND(in, AND(LE(IX(0), p->at[k]), LT(p->at[k], x->dim[k])));
    }
    return in;
}

/* The first place in the window, in order of the taps, that holds its maximum `best`: the smallest row-major number. */
static bool max_indices(OpCtx *c, Pool *p, uint32_t best)
{
    pool_vars(c, p);
    const Expr *v = load_pad(c, in_ten(c, 0), p->at, lowest(c, in_t(c, 0)->dt));
    const Expr *hit = EQ(v, load_at(c, best, p->i));
    if (dtype_is_float((DType)v->dt)) hit = OR(hit, UN(isnan, v));
    const Expr *none = ex_const_i(c->x, DT_i64, INT64_MAX);
    const Expr *place = SEL(AND(is_inside(c, p), hit), CAST(DT_i64, flat_place(c, p)), none);
    return pool_into(c, out_ten(c, 1), p, RED_min, place);
}

bool lower_MaxPool(OpCtx *c)
{
    Pool p;
    if (!read_pool(c, &p.w)) return false;
    pool_vars(c, &p);
    const Expr *v = load_pad(c, in_ten(c, 0), p.at, lowest(c, in_t(c, 0)->dt));
    const uint32_t y = out_ten(c, 0);
    return pool_into(c, y, &p, RED_max, v) && (!has_out(c, 1) || max_indices(c, &p, y));
}

/* ---- AveragePool, LpPool ---- */

bool infer_AveragePool(OpCtx *c)
{
    return infer_pool(c);
}

bool lower_AveragePool(OpCtx *c)
{
    Pool p;
    if (!read_pool(c, &p.w)) return false;
    pool_vars(c, &p);
    const Expr *v = load_pad(c, in_ten(c, 0), p.at, NUM(dtype_compute(in_t(c, 0)->dt), 0));
    const DType dt = (DType)v->dt;
    const uint32_t t = pool_temp(c, "sum", dt);
    pool_into(c, t, &p, RED_sum, v);
    pool_vars(c, &p);
    const Expr *n = window_count(c, &p.w, attr_i(c, "count_include_pad") != 0, p.i + 2, dt);
    return def_map(c, out_ten(c, 0), p.i, DIV(load_at(c, t, p.i), n));
}

static bool check_power(OpCtx *c)
{
    const int64_t p = attr_i(c, "p");
    return (p >= 1 && p <= 1024) || op_error(c, NO_OPERAND, "lp-norm", "p is %lld, expected 1 to 1024", (long long)p);
}

bool infer_LpPool(OpCtx *c)
{
    return check_power(c) && infer_pool(c);
}

/* |x|^p, and the p-th root of a sum of them. */
static const Expr *to_power(OpCtx *c, const Expr *x)
{
    const int64_t p = attr_i(c, "p");
    if (p == 1) return UN(abs, x);
    if (p == 2) return MUL(x, x);
    return ex_binary(c->x, EX_pow, UN(abs, x), NUM((DType)x->dt, (double)p));
}

static const Expr *from_power(OpCtx *c, const Expr *x)
{
    const int64_t p = attr_i(c, "p");
    if (p == 1) return x;
    if (p == 2) return UN(sqrt, x);
    return ex_binary(c->x, EX_pow, x, NUM((DType)x->dt, 1 / (double)p));
}

bool lower_LpPool(OpCtx *c)
{
    Pool p;
    if (!read_pool(c, &p.w)) return false;
    pool_vars(c, &p);
    const Expr *v = load_pad(c, in_ten(c, 0), p.at, NUM(dtype_compute(in_t(c, 0)->dt), 0));
    const uint32_t t = pool_temp(c, "sum", (DType)v->dt);
    pool_into(c, t, &p, RED_sum, to_power(c, v));
    pool_vars(c, &p);
    return def_map(c, out_ten(c, 0), p.i, from_power(c, load_at(c, t, p.i)));
}

/* ---- global ---- */

static bool infer_global(OpCtx *c)
{
    if (!in_rank(c, 0, 2, MAX_RANK)) return false;
    const Tensor *x = in_t(c, 0);
    const Expr *dim[MAX_RANK] = {x->dim[0], x->dim[1]};
    for (int d = 2; d < x->rank; d++) dim[d] = IX(1);
    return set_shape(c, 0, x->rank, dim);
}

bool infer_GlobalAveragePool(OpCtx *c)
{
    return infer_global(c);
}
bool infer_GlobalMaxPool(OpCtx *c)
{
    return infer_global(c);
}

bool infer_GlobalLpPool(OpCtx *c)
{
    return check_power(c) && infer_global(c);
}

/* Sum over the spatial dimensions of the elements, or of their powers. */
static uint32_t global_sum(OpCtx *c, const Axes *a, bool powers)
{
    Sweep s;
    sweep(c, a, &s);
    const Expr *v = load_at(c, in_ten(c, 0), s.at);
    return sweep_temp(c, "sum", a, &s, RED_sum, powers ? to_power(c, v) : v);
}

static Axes spatial_axes(const OpCtx *c)
{
    return axes_from(in_t(c, 0)->rank, in_t(c, 0)->dim, 2);
}

bool lower_GlobalAveragePool(OpCtx *c)
{
    const Axes a = spatial_axes(c);
    const Expr *i[MAX_RANK];
    out_vars(c, 0, i);
    const Expr *sum = load_at(c, global_sum(c, &a, false), i);
    return def_map(c, out_ten(c, 0), i, DIV(sum, axes_count(c, &a, (DType)sum->dt)));
}

bool lower_GlobalLpPool(OpCtx *c)
{
    const Axes a = spatial_axes(c);
    const Expr *i[MAX_RANK];
    out_vars(c, 0, i);
    return def_map(c, out_ten(c, 0), i, from_power(c, load_at(c, global_sum(c, &a, true), i)));
}

bool lower_GlobalMaxPool(OpCtx *c)
{
    const Axes a = spatial_axes(c);
    const Expr *i[MAX_RANK];
    Sweep s;
    out_vars(c, 0, i);
    sweep_at(c, &a, i, &s);
    memcpy(s.i, i, sizeof *i * in_t(c, 0)->rank);
    return sweep_into(c, out_ten(c, 0), &a, &s, RED_max, load_at(c, in_ten(c, 0), s.at));
}

/* ---- MaxUnpool ---- */

/* Extent that the window geometry gives: (in - 1) * stride - pads + kernel. */
static bool unpooled_shape(OpCtx *c, const Expr **dim)
{
    const Tensor *x = in_t(c, 0);
    const int n = x->rank - 2;
    const Expr *kernel[MAX_SPATIAL];
    int64_t stride[MAX_SPATIAL], pad[2 * MAX_SPATIAL];
    if (!attr_kernel(c, n, kernel) || !attr_list(c, "strides", n, 1, 1, stride) ||
        !attr_list(c, "pads", 2 * n, 0, 0, pad)) {
        return false;
    }
    dim[0] = x->dim[0];
    dim[1] = x->dim[1];
    for (int d = 0; d < n; d++) {
        const Expr *full = ADD(MUL(SUB(x->dim[d + 2], IX(1)), IX(stride[d])), kernel[d]);
        dim[d + 2] = MAX(SUB(full, IX(pad[d] + pad[n + d])), IX(0));
    }
    return true;
}

static bool given_shape(OpCtx *c, const Expr **dim)
{
    const Tensor *x = in_t(c, 0);
    const Expr *const *v;
    uint32_t n;
    if (!in_dims(c, 2, &n, &v)) return false;
    if (n != x->rank) {
        return op_error(c, 2, "unpool-shape", "output_shape has %u elements, expected %d", n, x->rank);
    }
    memcpy(dim, v, n * sizeof *v);
    return true;
}

bool infer_MaxUnpool(OpCtx *c)
{
    const Expr *dim[MAX_RANK];
    if (!in_rank(c, 0, 3, MAX_SPATIAL + 2)) return false;
    const Tensor *x = in_t(c, 0);
    if (!in_rank(c, 1, x->rank, x->rank)) return false;
    for (int d = 0; d < x->rank; d++) {
        if (!require_dim(c, 1, d, x->dim[d], "unpool-indices")) return false;
    }
    return unpooled_shape(c, dim) && (!has_in(c, 2) || given_shape(c, dim)) && set_shape(c, 0, x->rank, dim);
}

/* Indices number the places of the unpooled tensor of the window geometry, which stands at the origin of a larger
 * output_shape. */
bool lower_MaxUnpool(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    const Expr *i[MAX_RANK], *r[MAX_RANK], *at[MAX_RANK], *dim[MAX_RANK], *total = IX(1);
    if (!unpooled_shape(c, dim)) return false;
    for (int d = 0; d < x->rank; d++) total = MUL(total, dim[d]);
    out_vars(c, 0, i);
    for (int d = 0; d < x->rank; d++) r[d] = red_var(c, "r", x->dim[d]);
    const Expr *flat = load_index(c, in_ten(c, 1), r, total);
    for (int d = x->rank - 1; d >= 0; d--) {
        at[d] = d ? MOD(flat, dim[d]) : flat;
        flat = FDIV(flat, dim[d]);
    }
    const Expr *v = load_raw(c, in_ten(c, 0), r), *zero = NUM(dtype_compute(x->dt), 0);
    return def_scatter(c, out_ten(c, 0), i, zero, x->rank, r, x->dim, at, RED_none, v);
}

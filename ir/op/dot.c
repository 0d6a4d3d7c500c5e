/* SPDX-License-Identifier: Apache-2.0
 *
 * Contractions: see dot.h. Zero points are subtracted from each operand where it is read, so that the body stays a
 * product of two loads; a padded place of a convolution reads as the zero point, which makes it count as zero.
 */
#include "dot.h"

/* ---- convolution ---- */

const Expr *load_channel(OpCtx *c, int k, const Expr *m)
{
    const Tensor *t = in_t(c, k);
    const Expr *at[MAX_RANK];
    for (int d = 0; d < t->rank; d++) at[d] = ex_is_int(t->dim[d], 1) ? IX(0) : m;
    return load_at(c, in_ten(c, k), at);
}

bool check_channel(OpCtx *c, int k, const Expr *channels)
{
    if (k < 0 || !has_in(c, k)) return true;
    const Tensor *t = in_t(c, k);
    if (t->rank == 0) return true;
    if (t->rank == 1 && (ex_is_int(t->dim[0], 1) || dim_equal(c, t->dim[0], channels))) return true;
    return op_error(c, k, "channel-operand", "operand has rank %d, expected one element or a vector over the channels",
                    t->rank);
}

bool has_zero(const OpCtx *c, int k)
{
    if (k < 0 || !has_in(c, k)) return false;
    const Blob *b = in_t(c, k)->data;
    const int64_t n = !b ? 0 : b->fill ? 1 : b->count;
    for (int64_t j = 0; j < n; j++) {
        if (dtype_is_float(b->dt) ? blob_f(b, j) != 0 : blob_i(b, j) != 0) return true;
    }
    return !b;
}

/* What the weight says of the input's channels, as the user would. */
static bool channels_error(OpCtx *c, const Conv *v, const Expr *want)
{
    const Expr *own = in_t(c, v->w)->dim[1], *have = in_t(c, v->x)->dim[1];
    if (!ex_is_const(own) || !ex_is_const(have)) return require_dim(c, v->x, 1, want, "conv-channels");
    return op_error(c, v->w, "conv-channels", "weight has %lld input channels%s, input '%s' has %lld",
                    (long long)own->v.i,
                    v->group == 1 ? "" : str_fmt(c->a, " for each of %lld groups", (long long)v->group),
                    printable(c->a, in_t(c, v->x)->name), (long long)have->v.i);
}

static bool check_group(OpCtx *c, const Conv *v)
{
    const Expr *channels = in_t(c, v->x)->dim[1], *m = in_t(c, v->w)->dim[0];
    if (v->group < 1) {
        return op_error(c, NO_OPERAND, "conv-group", "group is %lld, expected 1 or more", (long long)v->group);
    }
    const Expr *want = MUL(in_t(c, v->w)->dim[1], IX(v->group));
    if (!dim_equal(c, want, channels)) return channels_error(c, v, want);
    if (v->group > 1 && !ex_is_int(MOD(m, IX(v->group)), 0)) {
        return op_error(c, v->w, "conv-group", "weight has output channels that %lld groups do not divide evenly",
                        (long long)v->group);
    }
    return true;
}

/* kernel_shape, when given, repeats what the weight says. */
static bool check_kernel(OpCtx *c, int w, int n)
{
    const Expr *kernel[MAX_SPATIAL];
    if (!attr_find(c, "kernel_shape")) return true;
    if (!attr_kernel(c, n, kernel)) return false;
    for (int d = 0; d < n; d++) {
        if (!require_dim(c, w, d + 2, kernel[d], "conv-kernel")) return false;
    }
    return true;
}

bool conv_read(OpCtx *c, Conv *v)
{
    const int rank = in_t(c, v->x)->rank;
    if (!in_rank(c, v->x, 3, MAX_SPATIAL + 2) || !in_rank(c, v->w, rank, rank)) return false;
    v->group = attr_i(c, "group");
    return check_group(c, v) && check_kernel(c, v->w, rank - 2) &&
           window_read(c, rank - 2, in_t(c, v->x)->dim + 2, in_t(c, v->w)->dim + 2, &v->win);
}

bool conv_shape(OpCtx *c, const Conv *v, int out)
{
    const Expr *dim[MAX_RANK] = {in_t(c, v->x)->dim[0], in_t(c, v->w)->dim[0]};
    memcpy(dim + 2, v->win.out, (size_t)v->win.n * sizeof *dim);
    return set_shape(c, out, v->win.n + 2, dim);
}

/* First input channel of the group that output channel m belongs to. */
static const Expr *group_base(OpCtx *c, const Conv *v, const Expr *m)
{
    if (v->group == 1) return IX(0);
    const Tensor *w = in_t(c, v->w);
    return MUL(FDIV(m, FDIV(w->dim[0], IX(v->group))), w->dim[1]);
}

bool conv_sum(OpCtx *c, uint32_t t, const Conv *v, DType dt)
{
    const Expr *i[MAX_RANK], *r[MAX_RANK], *extent[MAX_RANK], *at[MAX_RANK], *wat[MAX_RANK];
    const Ten *y = ten(c->te, t);
    const int n = v->win.n;
    vars_for(c, "nmijk", y->rank, y->dim, i);
    extent[0] = in_t(c, v->w)->dim[1];
    memcpy(extent + 1, v->win.kernel, (size_t)n * sizeof *extent);
    r[0] = wat[1] = red_var(c, "c", extent[0]);
    window_taps(c, &v->win, r + 1);
    memcpy(wat + 2, r + 1, (size_t)n * sizeof *wat);
    wat[0] = i[1];
    at[0] = i[0];
    at[1] = ADD(group_base(c, v, i[1]), r[0]);
    window_at(c, &v->win, i + 2, r + 1, at + 2);

    const bool xz = has_zero(c, v->xz), wz = has_zero(c, v->wz), raw = v->weight != 0;
    const Expr *zero = xz ? load_channel(c, v->xz, IX(0)) : NUM(dtype_compute(in_t(c, v->x)->dt), 0);
    const Expr *p = load_pad(c, in_ten(c, v->x), at, zero), *q = load_at(c, raw ? v->weight : in_ten(c, v->w), wat);
    if (xz && !raw) p = SUB(p, zero);
    if (wz && !raw) q = SUB(q, load_channel(c, v->wz, i[1]));
    return def_reduce(c, t, i, RED_sum, n + 1, r, extent, MUL(CAST(dt, p), CAST(dt, q)));
}

/* ---- matrix product ---- */

/* Right-aligned dimension of the stack of operand k, counted over a stack of n; 1 where it has none. */
static const Expr *stack_dim(OpCtx *c, int k, int d, int n)
{
    const Tensor *t = in_t(c, k);
    const int at = d - n + t->rank - 2;
    return at >= 0 ? t->dim[at] : IX(1);
}

static bool broadcast_stack(OpCtx *c, Product *p, int n)
{
    for (int d = 0; d < n; d++) {
        const Expr *a = stack_dim(c, p->a, d, n), *b = stack_dim(c, p->b, d, n);
        if (!ex_is_int(a, 1) && !ex_is_int(b, 1) && !dim_equal(c, a, b)) {
            return op_error(c, p->b, "matmul-stack", "stacks of matrices differ in dimension %d of the result", d);
        }
        p->dim[d] = ex_is_int(a, 1) ? b : a;
    }
    return true;
}

bool product_read(OpCtx *c, Product *p)
{
    if (!in_rank(c, p->a, 1, MAX_RANK - 1) || !in_rank(c, p->b, 1, MAX_RANK - 1)) return false;
    const Tensor *a = in_t(c, p->a), *b = in_t(c, p->b);
    const int n = max_i64(a->rank, b->rank) > 2 ? (int)max_i64(a->rank, b->rank) - 2 : 0;
    p->row = a->rank > 1;
    p->col = b->rank > 1;
    p->inner = a->dim[a->rank - 1];
    p->rank = n;
    if (!require_dim(c, p->b, p->col ? b->rank - 2 : 0, p->inner, "matmul-inner")) return false;
    if (!broadcast_stack(c, p, n)) return false;
    if (p->row) p->dim[p->rank++] = a->dim[a->rank - 2];
    if (p->col) p->dim[p->rank++] = b->dim[b->rank - 1];
    return true;
}

/* Index into operand t, laid out as operand `of`, that goes with place i of the result and inner place k; dimensions of
 * 1 are broadcast. */
static void product_at(OpCtx *c, const Product *p, const Tensor *t, int of, const Expr *const *i, const Expr *k,
                       const Expr **at)
{
    const int stack = p->rank - p->row - p->col, own = t->rank - 2;
    if (t->rank == 1) {
        at[0] = k;
        return;
    }
    for (int d = 0; d < own; d++) at[d] = i[stack - own + d];
    at[own] = of == p->a ? i[stack] : k;
    at[own + 1] = of == p->a ? k : i[p->rank - 1];
    for (int d = 0; d < t->rank; d++) {
        if (ex_is_int(t->dim[d], 1)) at[d] = IX(0);
    }
}

static bool is_single(const Tensor *t)
{
    for (int d = 0; d < t->rank; d++) {
        if (!ex_is_int(t->dim[d], 1)) return false;
    }
    return true;
}

bool check_along(OpCtx *c, const Product *p, int k, int of)
{
    if (k < 0 || !has_in(c, k) || is_single(in_t(c, k))) return true;
    const Tensor *t = in_t(c, k), *o = in_t(c, of);
    const int place = of == p->a ? o->rank - 2 : o->rank - 1, inner = of == p->a ? o->rank - 1 : o->rank - 2;
    if (o->rank > 1 && t->rank == 1 && dim_equal(c, t->dim[0], o->dim[place])) return true;
    bool ok = o->rank > 1 && t->rank == o->rank;
    for (int d = 0; d < t->rank && ok; d++) {
        ok = ex_is_int(t->dim[d], 1) || (d != inner && dim_equal(c, t->dim[d], o->dim[d]));
    }
    return ok || op_error(c, k, "zero-point-shape",
                          "operand is neither one element, nor a vector over the %s, nor of their rank",
                          of == p->a ? "rows" : "columns");
}

const Expr *load_along(OpCtx *c, const Product *p, int k, int of, const Expr *const *i)
{
    const Tensor *t = in_t(c, k);
    const Expr *at[MAX_RANK];
    const int stack = p->rank - p->row - p->col;
    if (is_single(t)) {
        for (int d = 0; d < t->rank; d++) at[d] = IX(0);
    } else if (t->rank == 1) {
        at[0] = of == p->a ? i[stack] : i[p->rank - 1];
    } else {
        product_at(c, p, t, of, i, IX(0), at);
    }
    return load_at(c, in_ten(c, k), at);
}

static const Expr *factor(OpCtx *c, const Product *p, int of, int zero, const Expr *const *i, const Expr *k)
{
    const Expr *at[MAX_RANK];
    product_at(c, p, in_t(c, of), of, i, k, at);
    const Expr *v = load_at(c, of == p->b && p->weight ? p->weight : in_ten(c, of), at);
    return has_zero(c, zero) && !p->weight ? SUB(v, load_along(c, p, zero, of, i)) : v;
}

bool product_sum(OpCtx *c, uint32_t t, const Product *p, DType dt)
{
    static const char *const names[] = {"", "i", "ij", "bij", "abij"};
    const Expr *i[MAX_RANK];
    vars_for(c, p->rank < 5 ? names[p->rank] : "", p->rank, p->dim, i);
    const Expr *k = red_var(c, "k", p->inner);
    const Expr *x = factor(c, p, p->a, p->az, i, k), *w = factor(c, p, p->b, p->bz, i, k);
    return def_reduce(c, t, i, RED_sum, 1, &k, &p->inner, MUL(CAST(dt, x), CAST(dt, w)));
}

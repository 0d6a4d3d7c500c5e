/* SPDX-License-Identifier: Apache-2.0
 *
 * Quantized operators of the com.microsoft domain: each is its real counterpart between dequantization and
 * quantization. Products, sums, means and copies are integers brought to the output's scale (requant.h), functions are
 * computed as reals. QTable is mlcc's own: what functions become when their scales are known.
 */
#include "../op.h"
#include "proto.h"
#include "quant.h"
#include "red.h"
#include "window.h"

static bool all_single(const OpCtx *c, const int *k, int n)
{
    for (int j = 0; j < n; j++) {
        if (!check_single(c, k[j])) return false;
    }
    return true;
}

/* ---- elementwise ---- */

enum { B2_a, B2_as, B2_az, B2_b, B2_bs, B2_bz, B2_cs, B2_cz };

static bool infer_binary(OpCtx *c)
{
    static const int scales[] = {B2_as, B2_az, B2_bs, B2_bz, B2_cs, B2_cz}, values[] = {B2_a, B2_b};
    const Expr *dim[MAX_RANK];
    int rank;
    return all_single(c, scales, 6) && broadcast_shape(c, 2, values, &rank, dim) && set_shape(c, 0, rank, dim);
}

/* Stored value of operand k at the output's element i, less its zero point. */
static const Expr *binary_term(OpCtx *c, int k, int zero, const Expr *const *i)
{
    const Expr *v = load_bcast(c, k, i, out_t(c, 0)->rank);
    return has_zero(c, zero) ? SUB(v, load_single(c, zero)) : v;
}

static bool lower_binary(OpCtx *c, bool product)
{
    const Expr *i[MAX_RANK];
    const Rescale r = {.x = B2_as, .w = B2_bs, .y = B2_cs, .zero = B2_cz, .n = 1};
    out_vars(c, 0, i);
    const Expr *a = binary_term(c, B2_a, B2_az, i), *b = binary_term(c, B2_b, B2_bz, i);
    const Expr *v = product ? rescale(c, &r, MUL(a, b), NULL) : rescale_pair(c, &r, a, b);
    return v && def_map(c, out_ten(c, 0), i, v);
}

bool infer_QLinearAdd(OpCtx *c)
{
    return infer_binary(c);
}
bool infer_QLinearMul(OpCtx *c)
{
    return infer_binary(c);
}
bool lower_QLinearAdd(OpCtx *c)
{
    return lower_binary(c, false);
}
bool lower_QLinearMul(OpCtx *c)
{
    return lower_binary(c, true);
}

enum { U_x, U_xs, U_xz, U_ys, U_yz };

static const int unary_scales[] = {U_xs, U_xz, U_ys, U_yz};

static bool infer_unary(OpCtx *c)
{
    return all_single(c, unary_scales, 4) && same_shape(c, 0, U_x);
}

bool infer_QLinearSigmoid(OpCtx *c)
{
    return infer_unary(c);
}
bool infer_QLinearLeakyRelu(OpCtx *c)
{
    return infer_unary(c);
}

/* Real value of the input at the output's element i. */
static const Expr *real_input(OpCtx *c, const Expr **i)
{
    out_vars(c, 0, i);
    return to_real(c, load_at(c, in_ten(c, U_x), i), U_xs, U_xz);
}

bool lower_QLinearSigmoid(OpCtx *c)
{
    const Expr *i[MAX_RANK], *one = NUM(DT_f32, 1), *x = real_input(c, i);
    const Expr *v = DIV(one, ADD(one, UN(exp, UN(neg, x))));
    return def_map(c, out_ten(c, 0), i, from_real(c, v, U_ys, U_yz));
}

bool lower_QLinearLeakyRelu(OpCtx *c)
{
    const Expr *i[MAX_RANK], *x = real_input(c, i);
    const Expr *v = SEL(LT(x, NUM(DT_f32, 0)), MUL(NUM(DT_f32, attr_f(c, "alpha")), x), x);
    return def_map(c, out_ten(c, 0), i, from_real(c, v, U_ys, U_yz));
}

/* ---- pools ---- */

/* First spatial dimension, and the dimension behind the last one. */
static int first_spatial(const OpCtx *c)
{
    return attr_i(c, "channels_last") != 0 ? 1 : 2;
}

static Axes spatial_axes(const OpCtx *c)
{
    const Tensor *x = in_t(c, U_x);
    bool is_red[MAX_RANK] = {false};
    for (int d = 0; d < x->rank - 2; d++) is_red[first_spatial(c) + d] = true;
    return axes_of(x->rank, x->dim, is_red);
}

bool infer_QLinearGlobalAveragePool(OpCtx *c)
{
    const Tensor *x = in_t(c, U_x);
    const Expr *dim[MAX_RANK];
    if (!all_single(c, unary_scales, 4) || !in_rank(c, U_x, 3, MAX_RANK)) return false;
    const Axes a = spatial_axes(c);
    for (int d = 0; d < x->rank; d++) dim[d] = a.is_red[d] ? IX(1) : x->dim[d];
    return set_shape(c, 0, x->rank, dim);
}

/* x - zero, the integer that is scaled. */
static const Expr *centred(OpCtx *c, const Expr *v)
{
    return has_in(c, U_xz) ? SUB(v, load_single(c, U_xz)) : v;
}

/* Output for a sum of n (an index) centred integers. */
static bool def_mean(OpCtx *c, const Expr *const *i, const Expr *sum, const Expr *n)
{
    const Expr *v = rescale_mean(c, &(Rescale){.x = U_xs, .w = NO_SCALE, .y = U_ys, .zero = U_yz, .n = 1}, sum, n);
    return v && def_map(c, out_ten(c, 0), i, v);
}

bool lower_QLinearGlobalAveragePool(OpCtx *c)
{
    const Axes a = spatial_axes(c);
    const Expr *i[MAX_RANK], *kept[MAX_RANK];
    Sweep s;
    sweep(c, &a, &s);
    const uint32_t t = sweep_temp(c, "sum", &a, &s, RED_sum, centred(c, load_at(c, in_ten(c, U_x), s.at)));
    out_vars(c, 0, i);
    axes_keep(&a, i, kept);
    return def_mean(c, i, load_at(c, t, kept), axes_count(c, &a, DT_ix));
}

static bool read_pool(OpCtx *c, Window *w)
{
    const Tensor *x = in_t(c, U_x);
    const Expr *kernel[MAX_SPATIAL];
    return in_rank(c, U_x, 3, MAX_SPATIAL + 2) && attr_kernel(c, x->rank - 2, kernel) &&
           window_read(c, x->rank - 2, x->dim + first_spatial(c), kernel, w);
}

bool infer_QLinearAveragePool(OpCtx *c)
{
    const Tensor *x = in_t(c, U_x);
    const Expr *dim[MAX_RANK];
    Window w;
    if (!all_single(c, unary_scales, 4) || !read_pool(c, &w)) return false;
    memcpy(dim, x->dim, sizeof *dim * x->rank);
    memcpy(dim + first_spatial(c), w.out, (size_t)w.n * sizeof *dim);
    return set_shape(c, 0, x->rank, dim);
}

bool lower_QLinearAveragePool(OpCtx *c)
{
    const Tensor *x = in_t(c, U_x), *y = out_t(c, 0);
    const int first = first_spatial(c);
    const Expr *i[MAX_RANK], *r[MAX_RANK], *at[MAX_RANK];
    Window w;
    if (!read_pool(c, &w)) return false;
    const uint32_t t = temp_ten(c, "sum", DT_i32, y->rank, y->dim);
    const Expr *zero = has_in(c, U_xz) ? load_single(c, U_xz) : NUM(DT_i32, 0);
    out_vars(c, 0, i);
    window_taps(c, &w, r);
    memcpy(at, i, sizeof *i * x->rank);
    window_at(c, &w, i + first, r, at + first);
    def_reduce(c, t, i, RED_sum, w.n, r, w.kernel, centred(c, load_pad(c, in_ten(c, U_x), at, zero)));
    out_vars(c, 0, i);
    const Expr *n = window_count(c, &w, attr_i(c, "count_include_pad") != 0, i + first, DT_ix);
    return def_mean(c, i, load_at(c, t, i), n);
}

/* ---- QLinearConcat: scale and zero point of the output, then triples of input, scale, zero point ---- */

enum { CAT_ys, CAT_yz, CAT_first };

static bool check_triple(OpCtx *c, int k, int axis)
{
    const Tensor *x = in_t(c, k), *first = in_t(c, CAT_first);
    if (x->dt != out_t(c, 0)->dt || in_t(c, k + 1)->dt != DT_f32 || in_t(c, k + 2)->dt != x->dt) {
        return op_error(c, k, "qconcat-type", "types of an input, its scale and its zero point do not go together");
    }
    if (!check_single(c, k + 1) || !check_single(c, k + 2) || !in_rank(c, k, first->rank, first->rank)) return false;
    for (int d = 0; d < x->rank; d++) {
        if (d != axis && !require_dim(c, k, d, first->dim[d], "qconcat-shape")) return false;
    }
    return true;
}

bool infer_QLinearConcat(OpCtx *c)
{
    const Expr *dim[MAX_RANK], *extent = IX(0);
    int axis;
    if (c->n->nin < CAT_first + 3 || (c->n->nin - CAT_first) % 3 != 0) {
        return op_error(c, NO_OPERAND, "qconcat-inputs", "there are %d inputs, expected 2 and triples behind them",
                        c->n->nin);
    }
    const Tensor *first = in_t(c, CAT_first);
    if (!norm_axis(c, attr_i(c, "axis"), first->rank, &axis)) return false;
    for (int k = CAT_first; k < c->n->nin; k += 3) {
        if (!check_triple(c, k, axis)) return false;
        extent = ADD(extent, in_t(c, k)->dim[axis]);
    }
    memcpy(dim, first->dim, sizeof *dim * first->rank);
    dim[axis] = extent;
    return all_single(c, (const int[]){CAT_ys, CAT_yz}, 2) && set_shape(c, 0, first->rank, dim);
}

/* Element of input k, brought to the output's scale. */
static const Expr *concat_input(OpCtx *c, int k, const Expr *const *at)
{
    const Rescale r = {.x = k + 1, .w = NO_SCALE, .y = CAT_ys, .zero = CAT_yz, .n = 1};
    const Expr *v = load_pad(c, in_ten(c, k), at, NUM(DT_i32, 0));
    return rescale(c, &r, has_zero(c, k + 2) ? SUB(v, load_single(c, k + 2)) : v, NULL);
}

/* Inputs from the last to the first: the first whose end is behind the place is the one that is read. */
bool lower_QLinearConcat(OpCtx *c)
{
    const Expr *i[MAX_RANK], *at[MAX_RANK], *v = NULL;
    int axis;
    if (!norm_axis(c, attr_i(c, "axis"), out_t(c, 0)->rank, &axis)) return false;
    out_vars(c, 0, i);
    memcpy(at, i, sizeof *i * out_t(c, 0)->rank);
    const Expr *end = out_t(c, 0)->dim[axis];
    for (int k = c->n->nin - 3; k >= CAT_first; k -= 3) {
        const Expr *start = SUB(end, in_t(c, k)->dim[axis]);
        at[axis] = SUB(i[axis], start);
        const Expr *x = concat_input(c, k, at);
        if (!x) return false;
        v = v ? SEL(LT(i[axis], end), x, v) : x;
        end = start;
    }
    return def_map(c, out_ten(c, 0), i, v);
}

/* ---- QGemm: alpha * a_scale * b_scale * (A' B' + C), real, or quantized when there is a y_scale ---- */

enum { G_a, G_as, G_az, G_b, G_bs, G_bz, G_c, G_ys, G_yz };

/* One element, or a vector over the columns. */
static bool check_columns(OpCtx *c, int k, const Expr *columns)
{
    const Tensor *t = in_t(c, k);
    if (t->rank == 0 || (t->rank == 1 && ex_is_int(t->dim[0], 1))) return true;
    return in_rank(c, k, 1, 1) && require_dim(c, k, 0, columns, "qgemm-columns");
}

static bool check_sum_bias(OpCtx *c, const Expr *const *dim)
{
    if (!has_in(c, G_c)) return true;
    if (!in_rank(c, G_c, 0, 2)) return false;
    const Tensor *t = in_t(c, G_c);
    for (int d = 0; d < t->rank; d++) {
        if (!ex_is_int(t->dim[d], 1) && !require_dim(c, G_c, d, dim[2 - t->rank + d], "gemm-bias")) return false;
    }
    return true;
}

bool infer_QGemm(OpCtx *c)
{
    static const int single[] = {G_as, G_az, G_ys, G_yz};
    if (!in_rank(c, G_a, 2, 2) || !in_rank(c, G_b, 2, 2)) return false;
    const Tensor *a = in_t(c, G_a), *b = in_t(c, G_b);
    const int ta = attr_i(c, "transA") != 0, tb = attr_i(c, "transB") != 0;
    const Expr *dim[] = {a->dim[ta], b->dim[!tb]};
    if (has_in(c, G_ys) != has_in(c, G_yz)) {
        return op_error(c, NO_OPERAND, "qgemm-output", "y_scale and y_zero_point are given together or not at all");
    }
    return require_dim(c, G_b, tb, a->dim[!ta], "gemm-inner") && all_single(c, single, 4) &&
           check_columns(c, G_bs, dim[1]) && check_columns(c, G_bz, dim[1]) && check_sum_bias(c, dim) &&
           set_type(c, 0, has_in(c, G_yz) ? in_t(c, G_yz)->dt : DT_f32) && set_shape(c, 0, 2, dim);
}

static const Expr *qgemm_factor(OpCtx *c, uint32_t t, bool transposed, const Expr *row, const Expr *col)
{
    const Expr *at[] = {transposed ? col : row, transposed ? row : col};
    return load_at(c, t, at);
}

static bool fold_columns(OpCtx *c, Folded *f)
{
    const Tensor *b = in_t(c, G_b), *bias = has_in(c, G_c) ? in_t(c, G_c) : NULL;
    const bool tb = attr_i(c, "transB") != 0, rows = bias && bias->rank == 2 && !ex_is_int(bias->dim[0], 1);
    if (rows || !ex_is_const(b->dim[0]) || !ex_is_const(b->dim[1])) return false;
    return fold_weight(c, &(WeightOf){G_a, G_az, G_b, G_bz, G_c, b->dim[!tb]->v.i, tb ? b->dim[1]->v.i : 1, false}, f);
}

/* t[i,j] = sum(k) A'[i,k] * B'[k,j], A' and B' less their zero points, or A as it is stored when they are folded. */
static bool qgemm_sum(OpCtx *c, uint32_t t, const Folded *f)
{
    const bool ta = attr_i(c, "transA") != 0, tb = attr_i(c, "transB") != 0;
    const Expr *i[MAX_RANK], *inner = in_t(c, G_a)->dim[!ta], *k = red_var(c, "k", inner);
    out_vars(c, 0, i);
    const Expr *p = qgemm_factor(c, in_ten(c, G_a), ta, i[0], k);
    const Expr *q = qgemm_factor(c, f ? f->weight : in_ten(c, G_b), tb, k, i[1]);
    if (!f) {
        p = SUB(p, load_single(c, G_az));
        q = SUB(q, load_bcast(c, G_bz, i, 2));
    }
    return def_reduce(c, t, i, RED_sum, 1, &k, &inner, MUL(p, q));
}

/* With alpha, or a real result: alpha * a_scale * b_scale * sum in reals. */
static bool qgemm_real(OpCtx *c, const Expr *const *i, const Expr *sum)
{
    const DType dt = has_in(c, G_ys) ? DT_f64 : DT_f32;
    const Expr *as = CAST(dt, load_single(c, G_as)), *bs = CAST(dt, load_bcast(c, G_bs, i, 2));
    const Expr *v = MUL(CAST(dt, sum), MUL(NUM(dt, attr_f(c, "alpha")), MUL(as, bs)));
    if (!has_in(c, G_ys)) return def_map(c, out_ten(c, 0), i, v);
    v = DIV(v, CAST(dt, load_single(c, G_ys)));
    return def_map(c, out_ten(c, 0), i, to_quant(c, out_t(c, 0)->dt, v, load_single(c, G_yz), true));
}

bool lower_QGemm(OpCtx *c)
{
    const Expr *i[MAX_RANK];
    const uint32_t t = temp_ten(c, "dot", DT_i32, 2, out_t(c, 0)->dim);
    Folded f;
    const bool folded = fold_columns(c, &f);
    if (!qgemm_sum(c, t, folded ? &f : NULL)) return false;
    out_vars(c, 0, i);
    const Expr *sum = load_at(c, t, i);
    if (folded)
        sum = folded_sum(c, &f, sum, i[1]);
    else if (has_in(c, G_c))
        sum = ADD(sum, load_bcast(c, G_c, i, 2));
    if (!has_in(c, G_ys) || attr_f(c, "alpha") != 1) return qgemm_real(c, i, sum);
    const Rescale r = {
        .x = G_as, .w = G_bs, .y = G_ys, .zero = G_yz, .n = 1, .nspan = folded ? f.channels : 0, .span = f.span};
    const Expr *v = rescale(c, &r, sum, i[1]);
    return v && def_map(c, out_ten(c, 0), i, v);
}

/* ---- QTable: y = table[x - smallest x], a function of 8 bits ---- */

bool infer_QTable(OpCtx *c)
{
    const Tensor *t = in_t(c, 1);
    if (t->rank != 1 || !ex_is_int(t->dim[0], 256))
        return op_error(c, 1, "qtable-size", "table does not have 256 elements");
    return same_shape(c, 0, 0);
}

bool lower_QTable(OpCtx *c)
{
    const Expr *i[MAX_RANK];
    out_vars(c, 0, i);
    const Expr *at = CAST(DT_ix, SUB(load_at(c, in_ten(c, 0), i), NUM(DT_i32, (double)dtype_min(in_t(c, 0)->dt))));
    return def_map(c, out_ten(c, 0), i, load_raw(c, in_ten(c, 1), &at));
}

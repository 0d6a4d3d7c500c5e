/* SPDX-License-Identifier: Apache-2.0
 *
 * Shapes as data (Shape, Size, Range, ConstantOfShape) and new arrangements of one input (Reshape, Transpose, Expand,
 * DepthToSpace, ...). All results are index arithmetic over symbolic extents; nothing here moves an element.
 */
#include "../op.h"
#include "proto.h"

static const Expr *product(const OpCtx *c, int n, const Expr *const *dim)
{
    const Expr *p = IX(1);
    for (int k = 0; k < n; k++) p = MUL(p, dim[k]);
    return p;
}

/* Elements of output 0 in the order of input 0. Where the sizes are not provably equal (they depend on symbols) the
 * position is clamped, so that no value of a symbol reads outside the input. */
static bool lower_rearranged(OpCtx *c)
{
    const Expr *i[MAX_RANK], *j[MAX_RANK];
    const Tensor *x = in_t(c, 0), *y = out_t(c, 0);
    const Expr *nx = product(c, x->rank, x->dim), *ny = product(c, y->rank, y->dim);
    out_vars(c, 0, i);
    if (dim_equal(c, nx, ny)) {
        reshape_index(c, y->rank, y->dim, i, x->rank, x->dim, j);
    } else {
        const Expr *at[1];
        reshape_index(c, y->rank, y->dim, i, 1, &ny, at);
        at[0] = MAX(MIN(at[0], SUB(nx, IX(1))), IX(0));
        reshape_index(c, 1, &nx, at, x->rank, x->dim, j);
    }
    return def_map(c, out_ten(c, 0), i, load_raw(c, in_ten(c, 0), j));
}

/* Fixed number of elements of a vector of axes or sizes. */
static bool check_count(const OpCtx *c, int k, uint32_t n, uint32_t want)
{
    return n == want || op_error(c, k, "element-count", "'%s' has %u elements, expected %u", in_t(c, k)->name, n, want);
}

/* ---- shapes as data ---- */

typedef struct Range {
    int first, n;
} Range;

static int clamp_axis(int64_t v, int rank)
{
    if (v < 0) v += rank;
    return (int)(v < 0 ? 0 : v > rank ? rank : v);
}

static Range shape_range(const OpCtx *c)
{
    const int rank = in_t(c, 0)->rank, first = clamp_axis(attr_i(c, "start"), rank);
    const int end = attr_has(c, "end") ? clamp_axis(attr_i(c, "end"), rank) : rank;
    return (Range){first, end > first ? end - first : 0};
}

bool infer_Shape(OpCtx *c)
{
    const Expr *n = IX(shape_range(c).n);
    return set_shape(c, 0, 1, &n);
}

bool lower_Shape(OpCtx *c)
{
    const Range r = shape_range(c);
    const Expr *i[MAX_RANK], *e = IX(0);
    out_vars(c, 0, i);
    for (int k = r.n - 1; k >= 0; k--) {
        const Expr *dim = in_t(c, 0)->dim[r.first + k];
        e = k == r.n - 1 ? dim : SEL(EQ(i[0], IX(k)), dim, e);
    }
    return def_map(c, out_ten(c, 0), i, CAST(DT_i64, e));
}

bool infer_Size(OpCtx *c)
{
    return set_shape(c, 0, 0, NULL);
}

bool lower_Size(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    return def_map(c, out_ten(c, 0), NULL, CAST(DT_i64, product(c, x->rank, x->dim)));
}

bool infer_ConstantOfShape(OpCtx *c)
{
    uint32_t n;
    const Expr *const *dim;
    const Attr *v = attr_find(c, "value");
    if (!in_rank(c, 0, 1, 1) || !in_dims(c, 0, &n, &dim)) return false;
    if (v && v->v.t.blob->count != 1)
        return op_error(c, NO_OPERAND, "constant-value", "value has %lld elements, expected 1",
                        (long long)v->v.t.blob->count);
    return set_type(c, 0, v ? v->v.t.blob->dt : DT_f32) && set_shape(c, 0, (int)n, dim);
}

/* A program constant with the data of a blob. */
static uint32_t const_ten(OpCtx *c, const Blob *b, int rank, const Expr *const *dim)
{
    const uint32_t t = te_tensor(c->te, out_t(c, 0)->name, b->dt, TEN_const, (uint8_t)rank, dim);
    ten(c->te, t)->data = b;
    return t;
}

bool lower_ConstantOfShape(OpCtx *c)
{
    const Expr *i[MAX_RANK], *zero = IX(0);
    const Attr *v = attr_find(c, "value");
    out_vars(c, 0, i);
    if (!v) return def_map(c, out_ten(c, 0), i, NUM(DT_f32, 0));
    const Expr *one = IX(1);
    return def_map(c, out_ten(c, 0), i, load_raw(c, const_ten(c, v->v.t.blob, 1, &one), &zero));
}

/* Number of a Constant's elements that are lists or single values; they become a blob of the type ONNX gives them. */
static const Blob *list_blob(const OpCtx *c, const Attr *v)
{
    const int64_t n = v->type >= AT_is ? v->n : 1;
    switch (v->type) {
    case AT_i: return blob_make(c->a, DT_i64, 1, &v->v.i);
    case AT_is: return blob_make(c->a, DT_i64, n, v->v.is);
    case AT_s: return blob_make(c->a, DT_str, 1, &v->v.s);
    case AT_ss: return blob_make(c->a, DT_str, n, v->v.ss);
    default: break;
    }
    float *f = NEWN(c->a, float, n);
    for (int64_t k = 0; k < n; k++) f[k] = (float)(v->type == AT_f ? v->v.f : v->v.fs[k]);
    return blob_make(c->a, DT_f32, n, f);
}

/* The constant's data and shape; NULL after a diagnostic. */
static const Blob *constant_data(const OpCtx *c, int *rank, const Expr **dim)
{
    if (c->n->nattr != 1) {
        op_error(c, NO_OPERAND, "constant-value", "there are %d values, expected 1", c->n->nattr);
        return NULL;
    }
    const Attr *v = c->n->attr;
    if (v->type != AT_t) {
        *rank = v->type >= AT_is;
        dim[0] = IX(v->n);
        return list_blob(c, v);
    }
    *rank = v->v.t.rank;
    if (*rank > MAX_RANK) {
        op_error(c, NO_OPERAND, "rank", "value has %d dimensions, at most %d are supported", *rank, MAX_RANK);
        return NULL;
    }
    for (int k = 0; k < *rank; k++) dim[k] = IX(v->v.t.dim[k]);
    return v->v.t.blob;
}

bool infer_Constant(OpCtx *c)
{
    const Expr *dim[MAX_RANK];
    int rank;
    const Blob *b = constant_data(c, &rank, dim);
    return b && set_type(c, 0, b->dt) && set_shape(c, 0, rank, dim);
}

bool lower_Constant(OpCtx *c)
{
    const Expr *dim[MAX_RANK], *i[MAX_RANK];
    int rank;
    const Blob *b = constant_data(c, &rank, dim);
    out_vars(c, 0, i);
    return def_map(c, out_ten(c, 0), i, load_raw(c, const_ten(c, b, rank, dim), i));
}

/* ---- Range ---- */

static bool is_scalar(const OpCtx *c, int k)
{
    const Tensor *t = in_t(c, k);
    return t->rank == 0 || (t->rank == 1 && ex_is_int(t->dim[0], 1));
}

/* Integers: ceil((limit - start) / delta), for a constant delta. NULL: not known when compiling. */
static const Expr *int_steps(OpCtx *c)
{
    const Expr *const *v[3];
    uint32_t n;
    for (int k = 0; k < 3; k++) {
        if (!in_known(c, k) || !in_dims(c, k, &n, &v[k])) return NULL;
    }
    const Expr *start = v[0][0], *limit = v[1][0], *delta = v[2][0];
    if (!ex_is_const(delta)) return NULL;
    const bool down = delta->v.i < 0;
    const Expr *way = down ? SUB(start, limit) : SUB(limit, start), *step = down ? SUB(IX(0), delta) : delta;
    return MAX(FDIV(ADD(way, SUB(step, IX(1))), step), IX(0));
}

/* Floats: the same in double; more than 2^53 steps count as 2^53. NULL: not known when compiling. */
static const Expr *float_steps(OpCtx *c)
{
    double v[3];
    for (int k = 0; k < 3; k++) {
        if (!dtype_is_float(in_t(c, k)->dt) || !in_t(c, k)->data) return NULL;
        v[k] = blob_f(in_t(c, k)->data, 0);
    }
    const double n = (v[1] - v[0]) / v[2];
    if (!(n > 0)) return IX(0);
    const int64_t whole = n < 0x1p53 ? (int64_t)n : INT64_C(1) << 53;
    return IX(whole + ((double)whole < n));
}

static const Expr *known_steps(OpCtx *c)
{
    const Expr *n = int_steps(c);
    return n ? n : float_steps(c);
}

bool infer_Range(OpCtx *c)
{
    for (int k = 0; k < 3; k++) {
        if (!is_scalar(c, k)) return op_error(c, k, "range-scalar", "'%s' must be a scalar", in_t(c, k)->name);
    }
    if (attr_i(c, "stash_type") != 1)
        return op_error(c, NO_OPERAND, "unsupported-stash-type", "stash_type %lld is not supported, expected 1",
                        (long long)attr_i(c, "stash_type"));
    const Blob *delta = in_t(c, 2)->data;
    if (delta && blob_f(delta, 0) == 0) return op_error(c, 2, "range-delta", "the step of the range is 0");
    const Expr *n = known_steps(c);
    if (!n) {
        n = fresh_symbol(c, "range", 0, c->cx->default_max);
        PUSH(c->cx->arena, &c->cx->assumed, n);
    }
    return set_shape(c, 0, 1, &n);
}

/* Operand k in a type that calls know: of narrow floats f32. 0: failed. */
static uint32_t scalar_of(OpCtx *c, int k)
{
    const DType dt = in_t(c, k)->dt, wide = dtype_is_float(dt) ? dtype_compute(dt) : dt;
    const Expr *zero[1] = {IX(0)};
    if (wide == dt) return in_ten(c, k);
    const uint32_t t = temp_ten(c, "wide", wide, 0, NULL);
    return def_map(c, t, NULL, load_at(c, in_ten(c, k), zero)) ? t : 0;
}

/* An extent that only data decides is found by a call, whose other result is not read. */
static bool count_steps(OpCtx *c)
{
    const uint32_t in[3] = {scalar_of(c, 0), scalar_of(c, 1), scalar_of(c, 2)};
    const Expr *n = out_t(c, 0)->dim[0];
    const uint32_t steps = temp_ten(c, "steps", DT_u8, 1, &n);
    return def_call(c, "range_count", 3, in, 1, &steps, 0, NULL, 1, &n);
}

bool lower_Range(OpCtx *c)
{
    const Expr *i[MAX_RANK], *zero[1] = {IX(0)};
    const DType t = dtype_compute(out_t(c, 0)->dt);
    if (!known_steps(c) && !ex_is_const(out_t(c, 0)->dim[0]) && !count_steps(c)) return false;
    out_vars(c, 0, i);
    const Expr *start = load_at(c, in_ten(c, 0), zero), *delta = load_at(c, in_ten(c, 2), zero);
    return def_map(c, out_ten(c, 0), i, ADD(start, MUL(CAST(t, i[0]), delta)));
}

/* ---- diagonals ---- */

bool infer_EyeLike(OpCtx *c)
{
    const DType dt = attr_has(c, "dtype") ? dtype_by_onnx(attr_i(c, "dtype")) : in_t(c, 0)->dt;
    if (dt == DT_none)
        return op_error(c, NO_OPERAND, "cast-type", "%lld is not an element type", (long long)attr_i(c, "dtype"));
    if (!dtype_is_float(dt) && !dtype_is_int(dt) && dt != DT_bool)
        return op_error(c, NO_OPERAND, "unsupported-eye-type", "an identity of %s is not supported",
                        dtype_info(dt)->name);
    return in_rank(c, 0, 2, 2) && set_type(c, 0, dt) && same_shape(c, 0, 0);
}

/* Clamped to the sizes a tensor can have: sums with an index cannot overflow. */
static int64_t diagonal(int64_t k)
{
    const int64_t most = INT64_C(1) << 31;
    return k > most ? most : k < -most ? -most : k;
}

bool lower_EyeLike(OpCtx *c)
{
    const Expr *i[MAX_RANK];
    const DType t = dtype_compute(out_t(c, 0)->dt);
    out_vars(c, 0, i);
    const Expr *on = EQ(i[1], ADD(i[0], IX(diagonal(attr_i(c, "k")))));
    return def_map(c, out_ten(c, 0), i, SEL(on, NUM(t, 1), NUM(t, 0)));
}

bool infer_Trilu(OpCtx *c)
{
    if (has_in(c, 1) && !is_scalar(c, 1))
        return op_error(c, 1, "trilu-scalar", "'%s' must be a scalar", in_t(c, 1)->name);
    return in_rank(c, 0, 2, MAX_RANK) && same_shape(c, 0, 0);
}

bool lower_Trilu(OpCtx *c)
{
    const Expr *i[MAX_RANK], *zero[1] = {IX(0)}, *k = IX(0);
    const int rank = in_t(c, 0)->rank;
    out_vars(c, 0, i);
    if (has_in(c, 1)) k = CAST(DT_ix, load_raw(c, in_ten(c, 1), zero));
    k = MAX(MIN(k, in_t(c, 0)->dim[rank - 1]), SUB(IX(0), in_t(c, 0)->dim[rank - 2]));
    const Expr *edge = ADD(i[rank - 2], k), *x = load_at(c, in_ten(c, 0), i);
    const Expr *keep = attr_i(c, "upper") ? LE(edge, i[rank - 1]) : LE(i[rank - 1], edge);
    return def_map(c, out_ten(c, 0), i, SEL(keep, x, NUM((DType)x->dt, 0)));
}

/* ---- Reshape and its kin ---- */

/* Factors of two products with what they have in common taken out. */
typedef struct Factors {
    int64_t num;
    const Expr *sym[MAX_RANK];
    int n;
} Factors;

/* False when the constant factor overflows. */
static bool factors_of(Factors *f, int n, const Expr *const *dim, int skip)
{
    *f = (Factors){.num = 1};
    for (int k = 0; k < n; k++) {
        if (k == skip) continue;
        if (!ex_is_const(dim[k]))
            f->sym[f->n++] = dim[k];
        else if (!mul_i64(f->num, dim[k]->v.i, &f->num))
            return false;
    }
    return true;
}

static void cancel(Factors *p, Factors *q)
{
    for (int k = 0; k < p->n; k++) {
        int m = 0;
        while (m < q->n && q->sym[m] != p->sym[k]) m++;
        if (m == q->n) continue;
        q->sym[m] = q->sym[--q->n];
        p->sym[k--] = p->sym[--p->n];
    }
}

/* The extent that -1 at `hole` stands for; NULL after a diagnostic. */
static const Expr *missing_extent(const OpCtx *c, int n, const Expr *const *dim, int hole)
{
    const Tensor *x = in_t(c, 0);
    Factors p, q;
    const bool fits = factors_of(&p, x->rank, x->dim, -1) && factors_of(&q, n, dim, hole);
    if (!fits || q.num == 0) {
        op_error(c, 1, "reshape-size", "the extent of dimension %d cannot be found", hole);
        return NULL;
    }
    cancel(&p, &q);
    if (p.n == 0 && q.n == 0 && p.num % q.num != 0) {
        op_error(c, 1, "reshape-size", "%lld elements do not divide into rows of %lld", (long long)p.num,
                 (long long)q.num);
        return NULL;
    }
    const Expr *num = MUL(IX(p.num), product(c, p.n, p.sym)), *den = MUL(IX(q.num), product(c, q.n, q.sym));
    return ex_is_int(den, 1) ? num : FDIV(num, den);
}

/* Zeros replaced by the input's extents; *hole: place of -1, or -1. */
static bool read_target(const OpCtx *c, uint32_t n, const Expr *const *v, const Expr **dim, int *hole)
{
    const Tensor *x = in_t(c, 0);
    *hole = -1;
    for (uint32_t k = 0; k < n; k++) {
        dim[k] = v[k];
        if (ex_is_int(v[k], -1)) {
            if (*hole >= 0) return op_error(c, 1, "reshape-target", "dimensions %d and %u are both -1", *hole, k);
            *hole = (int)k;
        } else if (ex_is_const(v[k]) && v[k]->v.i < 0) {
            return op_error(c, 1, "reshape-target", "dimension %u is %lld", k, (long long)v[k]->v.i);
        } else if (ex_is_int(v[k], 0) && !attr_i(c, "allowzero")) {
            if (k >= x->rank)
                return op_error(c, 1, "reshape-target", "dimension %u copies one of '%s', which has %d", k, x->name,
                                x->rank);
            dim[k] = x->dim[k];
        }
    }
    return true;
}

bool infer_Reshape(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    const Expr *const *v, *dim[MAX_RANK];
    uint32_t n;
    int hole;
    if (!in_rank(c, 1, 1, 1) || !in_dims(c, 1, &n, &v)) return false;
    if (n > MAX_RANK)
        return op_error(c, 1, "rank", "the result would have %u dimensions, at most %d are supported", n, MAX_RANK);
    if (!read_target(c, n, v, dim, &hole)) return false;
    if (hole >= 0 && !(dim[hole] = missing_extent(c, (int)n, dim, hole))) return false;
    if (!set_shape(c, 0, (int)n, dim)) return false;
    const Expr *from = product(c, x->rank, x->dim), *to = product(c, (int)n, dim);
    if (!ex_is_const(from) || !ex_is_const(to) || from->v.i == to->v.i) return true;
    return op_error(c, 1, "reshape-size", "'%s' has %lld elements, the result would have %lld", x->name,
                    (long long)from->v.i, (long long)to->v.i);
}

bool lower_Reshape(OpCtx *c)
{
    return lower_rearranged(c);
}

bool infer_Flatten(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    const int64_t axis = attr_i(c, "axis");
    if (axis < -x->rank || axis > x->rank)
        return op_error(c, NO_OPERAND, "axis", "axis %lld is outside of %d dimensions", (long long)axis, x->rank);
    const int a = (int)(axis < 0 ? axis + x->rank : axis);
    const Expr *dim[2] = {product(c, a, x->dim), product(c, x->rank - a, x->dim + a)};
    return set_shape(c, 0, 2, dim);
}

bool lower_Flatten(OpCtx *c)
{
    return lower_rearranged(c);
}

/* Which dimensions of input 0 go: those of `axes`, else all that are 1. */
static bool squeezed(const OpCtx *c, bool *gone)
{
    const Tensor *x = in_t(c, 0);
    const int64_t *v;
    uint32_t n;
    if (!has_in(c, 1)) {
        for (int k = 0; k < x->rank; k++) gone[k] = ex_is_int(x->dim[k], 1);
        return true;
    }
    if (!in_rank(c, 1, 0, 1) || !in_ints(c, 1, &n, &v) || !norm_axes(c, v, n, x->rank, gone)) return false;
    for (int k = 0; k < x->rank; k++) {
        if (gone[k] && !require_dim(c, 0, k, IX(1), "squeeze-extent")) return false;
    }
    return true;
}

bool infer_Squeeze(OpCtx *c)
{
    bool gone[MAX_RANK];
    const Expr *dim[MAX_RANK];
    const Tensor *x = in_t(c, 0);
    int n = 0;
    if (!squeezed(c, gone)) return false;
    for (int k = 0; k < x->rank; k++) {
        if (!gone[k]) dim[n++] = x->dim[k];
    }
    return set_shape(c, 0, n, dim);
}

bool lower_Squeeze(OpCtx *c)
{
    return lower_rearranged(c);
}

bool infer_Unsqueeze(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    const int64_t *v;
    uint32_t n;
    bool added[MAX_RANK];
    const Expr *dim[MAX_RANK];
    if (!in_rank(c, 1, 0, 1) || !in_ints(c, 1, &n, &v)) return false;
    if (n > (uint32_t)(MAX_RANK - x->rank))
        return op_error(c, 1, "rank", "the result would have %u dimensions, at most %d are supported", n + x->rank,
                        MAX_RANK);
    const int rank = x->rank + (int)n;
    if (!norm_axes(c, v, n, rank, added)) return false;
    for (int d = 0, k = 0; d < rank; d++) dim[d] = added[d] ? IX(1) : x->dim[k++];
    return set_shape(c, 0, rank, dim);
}

bool lower_Unsqueeze(OpCtx *c)
{
    return lower_rearranged(c);
}

bool infer_Expand(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    const Expr *const *v, *dim[MAX_RANK];
    uint32_t n;
    if (!in_rank(c, 1, 1, 1) || !in_dims(c, 1, &n, &v)) return false;
    if (n > MAX_RANK)
        return op_error(c, 1, "rank", "the result would have %u dimensions, at most %d are supported", n, MAX_RANK);
    const int rank = (int)n > x->rank ? (int)n : x->rank;
    for (int d = 0; d < rank; d++) {
        const int dx = d - (rank - x->rank), dv = d - (rank - (int)n);
        const Expr *from = dx < 0 ? IX(1) : x->dim[dx], *to = dv < 0 ? IX(1) : v[dv];
        dim[d] = ex_is_int(to, 1) ? from : to;
        if (!ex_is_int(from, 1) && !require_dim(c, 0, dx, dim[d], "broadcast")) return false;
    }
    return set_shape(c, 0, rank, dim);
}

bool lower_Expand(OpCtx *c)
{
    const Expr *i[MAX_RANK], *j[MAX_RANK];
    const Tensor *x = in_t(c, 0);
    const int skip = out_t(c, 0)->rank - x->rank;
    out_vars(c, 0, i);
    for (int d = 0; d < x->rank; d++) j[d] = ex_is_int(x->dim[d], 1) ? IX(0) : i[skip + d];
    return def_map(c, out_ten(c, 0), i, load_raw(c, in_ten(c, 0), j));
}

/* ---- permutations ---- */

/* perm[d]: dimension of the input that dimension d of the result is. */
static bool permutation(const OpCtx *c, int *perm)
{
    const int rank = in_t(c, 0)->rank;
    uint32_t n;
    const int64_t *v = attr_is(c, "perm", &n);
    bool seen[MAX_RANK] = {false};
    if (attr_find(c, "perm") && n != (uint32_t)rank)
        return op_error(c, 0, "transpose-perm", "perm has %u entries, '%s' has %d dimensions", n, in_t(c, 0)->name,
                        rank);
    for (int d = 0; d < rank; d++) {
        const int64_t p = v ? v[d] : rank - 1 - d;
        if (p < 0 || p >= rank || seen[p])
            return op_error(c, NO_OPERAND, "transpose-perm", "perm is not a permutation: entry %d is %lld", d,
                            (long long)p);
        seen[p] = true;
        perm[d] = (int)p;
    }
    return true;
}

bool infer_Transpose(OpCtx *c)
{
    int perm[MAX_RANK];
    const Expr *dim[MAX_RANK];
    const Tensor *x = in_t(c, 0);
    if (!permutation(c, perm)) return false;
    for (int d = 0; d < x->rank; d++) dim[d] = x->dim[perm[d]];
    return set_shape(c, 0, x->rank, dim);
}

bool lower_Transpose(OpCtx *c)
{
    int perm[MAX_RANK];
    const Expr *i[MAX_RANK], *j[MAX_RANK];
    permutation(c, perm);
    out_vars(c, 0, i);
    for (int d = 0; d < in_t(c, 0)->rank; d++) j[perm[d]] = i[d];
    return def_map(c, out_ten(c, 0), i, load_raw(c, in_ten(c, 0), j));
}

/* A positive block size whose square is below 2^31, of an input of four dimensions. */
static bool check_block(const OpCtx *c)
{
    const int64_t b = attr_i(c, "blocksize");
    if (!in_rank(c, 0, 4, 4)) return false;
    return (b >= 1 && b <= 46340) ||
           op_error(c, NO_OPERAND, "block-size", "blocksize is %lld, expected 1 to 46340", (long long)b);
}

static bool divides(const OpCtx *c, int d, int64_t b)
{
    const Expr *rest = MOD(in_t(c, 0)->dim[d], IX(b));
    return ex_is_int(rest, 0) || op_error(c, 0, "block-extent", "dimension %d of '%s' is not a multiple of %lld", d,
                                          in_t(c, 0)->name, (long long)b);
}

bool infer_DepthToSpace(OpCtx *c)
{
    const int64_t b = attr_i(c, "blocksize");
    const char *mode = attr_s(c, "mode");
    if (strcmp(mode, "DCR") && strcmp(mode, "CRD"))
        return op_error(c, NO_OPERAND, "attribute-value", "mode is '%s', expected 'DCR' or 'CRD'", mode);
    if (!check_block(c) || !divides(c, 1, b * b)) return false;
    const Expr *const *x = in_t(c, 0)->dim;
    const Expr *dim[4] = {x[0], FDIV(x[1], IX(b * b)), MUL(x[2], IX(b)), MUL(x[3], IX(b))};
    return set_shape(c, 0, 4, dim);
}

/* DCR: channel (row, column, c); CRD: channel (c, row, column), row and column being those inside a block. */
bool lower_DepthToSpace(OpCtx *c)
{
    const Expr *i[MAX_RANK], *b = IX(attr_i(c, "blocksize"));
    out_vars(c, 0, i);
    const Expr *cell = ADD(MUL(MOD(i[2], b), b), MOD(i[3], b));
    const Expr *dcr = ADD(MUL(cell, out_t(c, 0)->dim[1]), i[1]), *crd = ADD(MUL(i[1], MUL(b, b)), cell);
    const Expr *j[4] = {i[0], strcmp(attr_s(c, "mode"), "DCR") ? crd : dcr, FDIV(i[2], b), FDIV(i[3], b)};
    return def_map(c, out_ten(c, 0), i, load_raw(c, in_ten(c, 0), j));
}

bool infer_SpaceToDepth(OpCtx *c)
{
    const int64_t b = attr_i(c, "blocksize");
    if (!check_block(c) || !divides(c, 2, b) || !divides(c, 3, b)) return false;
    const Expr *const *x = in_t(c, 0)->dim;
    const Expr *dim[4] = {x[0], MUL(x[1], IX(b * b)), FDIV(x[2], IX(b)), FDIV(x[3], IX(b))};
    return set_shape(c, 0, 4, dim);
}

bool lower_SpaceToDepth(OpCtx *c)
{
    const Expr *i[MAX_RANK], *b = IX(attr_i(c, "blocksize")), *channels = in_t(c, 0)->dim[1];
    out_vars(c, 0, i);
    const Expr *cell = FDIV(i[1], channels);
    const Expr *j[4] = {i[0], MOD(i[1], channels), ADD(MUL(i[2], b), FDIV(cell, b)), ADD(MUL(i[3], b), MOD(cell, b))};
    return def_map(c, out_ten(c, 0), i, load_raw(c, in_ten(c, 0), j));
}

/* ---- CenterCropPad ---- */

/* Extents of the result: those of `shape` at the axes, the input's elsewhere. */
static bool centred_shape(const OpCtx *c, const Expr **dim)
{
    const Tensor *x = in_t(c, 0);
    const Expr *const *v;
    uint32_t n, naxes;
    int d;
    bool is_axis[MAX_RANK];
    const int64_t *axes = attr_is(c, "axes", &naxes);
    if (!in_rank(c, 1, 1, 1) || !in_dims(c, 1, &n, &v)) return false;
    if (!axes) naxes = x->rank;
    if (!check_count(c, 1, n, naxes) || (axes && !norm_axes(c, axes, naxes, x->rank, is_axis))) return false;
    for (int k = 0; k < x->rank; k++) dim[k] = x->dim[k];
    for (uint32_t k = 0; k < naxes; k++) {
        if (!norm_axis(c, axes ? axes[k] : k, x->rank, &d)) return false;
        dim[d] = v[k];
    }
    return true;
}

bool infer_CenterCropPad(OpCtx *c)
{
    const Expr *dim[MAX_RANK];
    return centred_shape(c, dim) && set_shape(c, 0, in_t(c, 0)->rank, dim);
}

/* Crop: starts at half the excess, rounded down; pad: half the gap, rounded down, stands before the data. */
bool lower_CenterCropPad(OpCtx *c)
{
    const Expr *i[MAX_RANK], *j[MAX_RANK];
    const Tensor *x = in_t(c, 0), *y = out_t(c, 0);
    out_vars(c, 0, i);
    for (int d = 0; d < x->rank; d++) {
        const Expr *excess = SUB(x->dim[d], y->dim[d]), *gap = SUB(y->dim[d], x->dim[d]);
        j[d] = ADD(i[d], SUB(FDIV(MAX(excess, IX(0)), IX(2)), FDIV(MAX(gap, IX(0)), IX(2))));
    }
    const DType t = dtype_compute(x->dt);
    return def_map(c, out_ten(c, 0), i, load_pad(c, in_ten(c, 0), j, NUM(t, 0)));
}

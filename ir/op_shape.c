/* SPDX-License-Identifier: Apache-2.0
 *
 * What operators' infer functions say about operands and shapes: known values, ranks, axes, broadcasting, results.
 *
 * A shape that the model declares (value_info) is a hint: it must not contradict what is inferred, and it decides only
 * the extents that depend on data. Two dimensions are equal when that can be proved, never because they should be.
 */
#include "infer.h"

static const char *dim_text(const OpCtx *c, const Expr *dim)
{
    Text t = {.arena = c->a};
    ex_print(&t, c->x, dim, NULL, NULL);
    return text_str(&t);
}

static const char *shape_text(const OpCtx *c, int rank, const Expr *const *dim)
{
    Text t = {.arena = c->a};
    for (int d = 0; d < rank; d++) text_add(&t, "%s%s", d ? "," : "", dim[d] ? dim_text(c, dim[d]) : "?");
    return str_fmt(c->a, "[%s]", text_str(&t));
}

/* Constants and values of integer and bool inputs are known; small floats may have values too, but not as sizes. */
static bool is_integer(const Tensor *t)
{
    return dtype_is_int(t->dt) || t->dt == DT_bool;
}

static Diag *problem(const OpCtx *c, int operand, const char *slug, const char *fmt, ...) PRINTF(4, 5);

/* As op_error; returns the diagnostic, for help. */
static Diag *problem(const OpCtx *c, int operand, const char *slug, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    Diag *g = node_diag(c->g, c->id, operand, SEV_ERROR, slug, fmt, ap);
    va_end(ap);
    return g;
}

static bool value_unknown(const OpCtx *c, int k)
{
    if (!has_in(c, k)) return op_error(c, NO_OPERAND, "operand-missing", "input %d is missing", k);
    const Tensor *t = in_t(c, k);
    Diag *g = problem(c, k, "value-unknown", "the elements of '%s' must be known when compiling", t->name);
    if (t->kind == TK_INPUT) diag_help(c->cx->diags, g, "give them with --bind '%s=FILE'", t->name);
    return false;
}

static bool is_new_symbol(const OpCtx *c, const Expr *e)
{
    for (uint32_t k = c->nsym; k < c->cx->symbol.slot.n; k++) {
        if ((const Expr *)(uintptr_t)c->cx->symbol.slot.at[k].val == e) return true;
    }
    return false;
}

typedef struct Fresh {
    const OpCtx *c;
    bool found;
} Fresh;

static void look_for_new(void *ctx, const Expr *e)
{
    Fresh *f = ctx;
    f->found |= e->op == EX_var && is_new_symbol(f->c, e);
}

/* Whether the extent depends on a symbol that this very call of infer made: one that only data decides. */
static bool is_fresh(const OpCtx *c, const Expr *e)
{
    Fresh f = {.c = c};
    if (c->cx->symbol.slot.n > c->nsym) ex_walk(e, look_for_new, &f);
    return f.found;
}

/* *dim: the inferred extent, replaced by the declared one where that decides. False: they contradict each other. */
static bool unify(const OpCtx *c, const Expr *declared, const Expr **dim)
{
    int64_t lo, hi, dlo, dhi;
    if (!declared || declared == *dim || !ex_range(c->x, declared, &dlo, &dhi) || !ex_range(c->x, *dim, &lo, &hi))
        return true;
    if (ex_is_const(declared) && (dlo < lo || dlo > hi)) return false;
    if (is_fresh(c, *dim) && (ex_is_const(declared) || (dlo <= lo && dhi >= hi))) *dim = declared;
    return true;
}

static bool unify_shape(const OpCtx *c, int out, int rank, const Expr **dim)
{
    const Tensor *t = out_t(c, out);
    if (!t->ranked) return true;
    bool same = t->rank == rank;
    for (int d = 0; same && d < rank; d++) same = unify(c, t->dim[d], &dim[d]);
    if (same) return true;
    return op_error(c, OUT(out), "shape-mismatch", "the shape of '%s' is %s, but the model declares %s", t->name,
                    shape_text(c, rank, dim), shape_text(c, t->rank, t->dim));
}

static bool check_extent(const OpCtx *c, int out, int d, const Expr *dim, uint64_t *count)
{
    int64_t lo, hi;
    const char *name = out_t(c, out)->name;
    if (!ex_range(c->x, dim, &lo, &hi) || hi == INT64_MAX)
        return op_error(c, OUT(out), "dimension-unbounded", "dimension %d of '%s' is %s, which has no upper bound", d,
                        name, dim_text(c, dim));
    if (hi < 0)
        return op_error(c, OUT(out), "dimension-negative", "dimension %d of '%s' would be %s", d, name,
                        dim_text(c, dim));
    if (*count && hi && (uint64_t)hi > c->cx->max_elements / *count) {
        Diag *g = problem(c, OUT(out), "tensor-too-large", "'%s' would have more than %llu elements", name,
                          (unsigned long long)c->cx->max_elements);
        diag_help(c->cx->diags, g, "-D and --max bound free dimensions, --limits elements= raises the limit");
        return false;
    }
    *count *= (uint64_t)hi;
    return true;
}

bool op_error(const OpCtx *c, int operand, const char *slug, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    node_diag(c->g, c->id, operand, SEV_ERROR, slug, fmt, ap);
    va_end(ap);
    return false;
}

bool in_known(const OpCtx *c, int k)
{
    if (!has_in(c, k)) return false;
    const Tensor *t = in_t(c, k);
    return is_integer(t) && tensor_static(t) && (t->value || (t->data && t->data->count <= MAX_VALUE));
}

/* Elements of input k in row-major order as ix expressions over symbols; lives in c->a. */
bool in_dims(const OpCtx *c, int k, uint32_t *n, const Expr *const **v)
{
    if (!in_known(c, k)) return value_unknown(c, k);
    const Tensor *t = in_t(c, k);
    *n = (uint32_t)(t->value ? tensor_count(c->g, t) : t->data->count);
    *v = t->value;
    if (t->value) return true;
    const Expr **e = NEWN(c->a, const Expr *, *n);
    for (uint32_t j = 0; j < *n; j++) e[j] = ex_int(c->x, blob_i(t->data, j));
    *v = e;
    return true;
}

/* Constant elements of input k in row-major order; lives in c->a. */
bool in_ints(const OpCtx *c, int k, uint32_t *n, const int64_t **v)
{
    const Tensor *t = has_in(c, k) ? in_t(c, k) : NULL;
    if (!t || !is_integer(t) || !tensor_static(t) || !(t->value || t->data)) return value_unknown(c, k);
    const int64_t count = t->data ? t->data->count : tensor_count(c->g, t);
    if (count > UINT32_MAX) return value_unknown(c, k);
    int64_t *e = NEWN(c->a, int64_t, count);
    for (int64_t j = 0; j < count; j++) {
        if (!t->data && !ex_is_const(t->value[j])) return value_unknown(c, k);
        e[j] = t->data ? blob_i(t->data, j) : t->value[j]->v.i;
    }
    *n = (uint32_t)count;
    *v = e;
    return true;
}

bool in_float(const OpCtx *c, int k, double *v)
{
    if (!has_in(c, k)) return value_unknown(c, k);
    const Tensor *t = in_t(c, k);
    const Expr *e = t->value && tensor_count(c->g, t) == 1 ? t->value[0] : NULL;
    if (t->data && t->data->count == 1)
        *v = blob_f(t->data, 0);
    else if (e && ex_is_const(e))
        *v = dtype_is_float((DType)e->dt) ? e->v.f : (double)e->v.i;
    else
        return op_error(c, k, "value-unknown", "'%s' must be a single constant", t->name);
    return true;
}

bool in_rank(const OpCtx *c, int k, int lo, int hi)
{
    const int rank = in_t(c, k)->rank;
    if (rank >= lo && rank <= hi) return true;
    const char *want = lo == hi         ? str_fmt(c->a, "%d", lo)
                       : hi >= MAX_RANK ? str_fmt(c->a, "at least %d", lo)
                                        : str_fmt(c->a, "%d to %d", lo, hi);
    return op_error(c, k, "rank", "'%s' has %d dimension%s, expected %s", in_t(c, k)->name, rank, rank == 1 ? "" : "s",
                    want);
}

/* Sets the shape of output `out` after checking it against limits and against a shape declared by the model. */
bool set_shape(const OpCtx *c, int out, int rank, const Expr *const *dim)
{
    if (rank > MAX_RANK)
        return op_error(c, OUT(out), "rank", "the result would have %d dimensions, at most %d are supported", rank,
                        MAX_RANK);
    const Expr *unified[MAX_RANK];
    for (int d = 0; d < rank; d++) unified[d] = dim[d];
    if (!unify_shape(c, out, rank, unified)) return false;
    uint64_t count = 1;
    for (int d = 0; d < rank; d++) {
        if (!check_extent(c, out, d, unified[d], &count)) return false;
    }
    Tensor *t = out_t(c, out);
    t->ranked = true;
    t->rank = (uint8_t)rank;
    for (int d = 0; d < rank; d++) t->dim[d] = unified[d];
    return true;
}

/* Sets the element type of output `out`; one declared by the model must be the same. */
bool set_type(const OpCtx *c, int out, DType dt)
{
    Tensor *t = out_t(c, out);
    if (t->dt != DT_none && t->dt != dt)
        return op_error(c, OUT(out), "type-mismatch", "the type of '%s' is %s, but the model declares %s", t->name,
                        dtype_info(dt)->name, dtype_info(t->dt)->name);
    t->dt = dt;
    return true;
}

bool same_shape(const OpCtx *c, int out, int in)
{
    return set_shape(c, out, in_t(c, in)->rank, in_t(c, in)->dim);
}

bool norm_axis(const OpCtx *c, int64_t axis, int rank, int *r)
{
    if (axis < -rank || axis >= rank)
        return op_error(c, NO_OPERAND, "axis", "axis %lld is outside of %d dimension%s", (long long)axis, rank,
                        rank == 1 ? "" : "s");
    *r = (int)(axis < 0 ? axis + rank : axis);
    return true;
}

/* is_axis: rank places, set to whether the dimension is among the n axes. */
bool norm_axes(const OpCtx *c, const int64_t *v, uint32_t n, int rank, bool *is_axis)
{
    memset(is_axis, 0, (size_t)rank * sizeof *is_axis);
    for (uint32_t k = 0; k < n; k++) {
        int d;
        if (!norm_axis(c, v[k], rank, &d)) return false;
        if (is_axis[d]) return op_error(c, NO_OPERAND, "axis", "axis %lld is given twice", (long long)v[k]);
        is_axis[d] = true;
    }
    return true;
}

/* What the user can say of sizes so that extents a and b are equal. */
static void help_sizes(const OpCtx *c, Diag *g, const Expr *a, const Expr *b)
{
    const Expr *dim;
    const int64_t times = multiple_that_equals(c->x, a, b, &dim);
    const char *name = times ? dimension_name(c->cx, dim) : NULL;
    if (name)
        diag_help(c->cx->diags, g, "they are equal where '%s' is a multiple of %lld; say so with --multiple '%s=%lld'", name, (long long)times, name, (long long)times);
    else if (!ex_is_const(a) || !ex_is_const(b))
        diag_help(c->cx->diags, g, "fix the sizes with -D NAME=N");
}

/* Dimension d of input k is neither 1 nor the extent `want` that input `other` has there. */
static bool not_broadcast(const OpCtx *c, int k, int d, int other, const Expr *want)
{
    const Tensor *t = in_t(c, k);
    Diag *g = problem(c, k, "broadcast",
                      "dimension %d of '%s' is %s, that of '%s' is %s; they must be equal or one of them 1", d, t->name,
                      dim_text(c, t->dim[d]), in_t(c, other)->name, dim_text(c, want));
    help_sizes(c, g, t->dim[d], want);
    return false;
}

/* Numpy broadcasting of the n inputs listed in `in`. A symbol and another extent that is not 1 must be provably equal:
 * which of the two broadcasts would be known only at run time. */
bool broadcast_shape(const OpCtx *c, int n, const int *in, int *rank, const Expr **dim)
{
    int from[MAX_RANK] = {0};
    *rank = 0;
    for (int k = 0; k < n; k++) *rank = *rank > in_t(c, in[k])->rank ? *rank : in_t(c, in[k])->rank;
    for (int d = 0; d < *rank; d++) dim[d] = ex_int(c->x, 1);
    for (int k = 0; k < n; k++) {
        const Tensor *t = in_t(c, in[k]);
        for (int e = 0, d = *rank - t->rank; e < t->rank; e++, d++) {
            if (ex_is_int(t->dim[e], 1) || dim_equal(c, t->dim[e], dim[d])) continue;
            if (!ex_is_int(dim[d], 1)) return not_broadcast(c, in[k], e, in[from[d]], dim[d]);
            dim[d] = t->dim[e];
            from[d] = k;
        }
    }
    return true;
}

bool dim_equal(const OpCtx *c, const Expr *a, const Expr *b)
{
    return a == b || ex_is_int(ex_sub(c->x, a, b), 0);
}

/* Dimension d of an operand (input or OUT(k)) must be `want`. */
bool require_dim(const OpCtx *c, int operand, int d, const Expr *want, const char *slug)
{
    const Tensor *t = operand >= OUT(0) ? out_t(c, operand - OUT(0)) : in_t(c, operand);
    if (dim_equal(c, t->dim[d], want)) return true;
    return op_error(c, operand, slug, "dimension %d of '%s' is %s, expected %s", d, t->name, dim_text(c, t->dim[d]),
                    dim_text(c, want));
}

/* A new symbol for an extent that only data decides. It takes part in re-inference as any
 * other symbol: a result that has a symbol of at least these bounds already keeps it. */
const Expr *fresh_symbol(const OpCtx *c, const char *hint, int64_t lo, int64_t hi)
{
    const char *name = NULL;
    for (uint32_t k = c->cx->symbol.slot.n; !name || map_str(&c->cx->symbol, name, false); k++)
        name = str_fmt(c->a, "%s.%u", hint, k);
    return graph_symbol(c->cx, name, lo, max_i64(hi, 1));
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Resize. Interpolation is separable: one stage per resized axis, over tables of places and weights that depend on the
 * position along that axis only, so for fixed sizes they are constants. Places are computed in f64 and brought into the
 * input, whatever roi and scales hold. Nearest is a view; where the factor is whole its index is a division.
 *
 * An output position o lies at x = coordinate(o) of the input. With x0 = ceil(x) - 1 and ratio = x - x0 in (0, 1], the
 * tap at x0 + i has weight kernel(|i - ratio| * s); s < 1 widens the kernel when antialiasing.
 */
#include "proto.h"
#include "sample.h"

/* ---- shared helpers (sample.h) ---- */

int attr_word(const OpCtx *c, const char *name, int n, const char *const *words)
{
    Text t = {.arena = c->a};
    for (int k = 0; k < n; k++) {
        if (!strcmp(attr_s(c, name), words[k])) return k;
        text_add(&t, "%s'%s'", k ? ", " : "", words[k]);
    }
    op_error(c, NO_OPERAND, "attribute-value", "%s is '%s', expected one of %s", name, attr_s(c, name), text_str(&t));
    return -1;
}

bool in_floats(const OpCtx *c, int k, uint32_t *n, const double **v)
{
    const Tensor *t = has_in(c, k) ? in_t(c, k) : NULL;
    if (!t || !tensor_static(t) || !(t->data || t->value)) return false;
    const int64_t count = t->data ? t->data->count : tensor_count(c->g, t);
    if (count > MAX_VALUE) return false;
    double *e = NEWN(c->a, double, count);
    for (int64_t j = 0; j < count; j++) {
        if (!t->data && !ex_is_const(t->value[j])) return false;
        const bool real = !t->data && dtype_is_float((DType)t->value[j]->dt);
        e[j] = t->data ? blob_f(t->data, j) : real ? t->value[j]->v.f : (double)t->value[j]->v.i;
    }
    *n = (uint32_t)count;
    *v = e;
    return true;
}

const Expr *load_item(OpCtx *c, int k, int64_t at)
{
    const Expr *i = IX(at);
    return load_at(c, in_ten(c, k), &i);
}

const Expr *declared_dim(const OpCtx *c, int out, int rank, int d)
{
    const Tensor *t = out_t(c, out);
    if (!t->ranked || t->rank != rank || !t->dim[d] || !ex_is_const(t->dim[d])) return NULL;
    return t->dim[d];
}

/* ---- what the node says ---- */

enum { R_x, R_roi, R_scales, R_sizes };
enum { MAX_TAPS = 1 << 16 };

typedef enum ResizeMode { MODE_nearest, MODE_linear, MODE_cubic, MODE_count } ResizeMode;
typedef enum Nearest { NEAR_prefer_floor, NEAR_prefer_ceil, NEAR_floor, NEAR_ceil, NEAR_count } Nearest;
typedef enum Where { AT_half, AT_symmetric, AT_pytorch, AT_corners, AT_asymmetric, AT_crop, AT_count } Where;
typedef enum Keep { KEEP_stretch, KEEP_not_larger, KEEP_not_smaller, KEEP_count } Keep;

static const char *const mode_words[] = {"nearest", "linear", "cubic"};
static const char *const nearest_words[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
static const char *const where_words[] = {"half_pixel",    "half_pixel_symmetric", "pytorch_half_pixel",
                                          "align_corners", "asymmetric",           "tf_crop_and_resize"};
static const char *const keep_words[] = {"stretch", "not_larger", "not_smaller"};

/* One axis. place: its number in the lists of scales, sizes and roi; -1: not resized. */
typedef struct Along {
    int place;
    const Expr *in, *out;
    double scale; /* constant factor; 0: see Resize.from_data, otherwise out / in */
} Along;

typedef struct Resize {
    int mode, nearest, where, keep;
    bool antialias, exclude;
    bool from_data; /* factors are read when the model runs */
    int rank, n;    /* n: axes in the lists */
    Along along[MAX_RANK];
} Resize;

/* The list of sizes or scales; older models give an empty one instead of none. */
static bool has_list(const OpCtx *c, int k)
{
    return has_in(c, k) && !(in_t(c, k)->rank == 1 && ex_is_int(in_t(c, k)->dim[0], 0));
}

static bool read_words(const OpCtx *c, Resize *r)
{
    r->antialias = attr_i(c, "antialias") != 0;
    r->exclude = attr_i(c, "exclude_outside") != 0;
    r->mode = attr_word(c, "mode", MODE_count, mode_words);
    r->nearest = attr_word(c, "nearest_mode", NEAR_count, nearest_words);
    r->where = attr_word(c, "coordinate_transformation_mode", AT_count, where_words);
    r->keep = attr_word(c, "keep_aspect_ratio_policy", KEEP_count, keep_words);
    if (r->mode < 0 || r->nearest < 0 || r->where < 0 || r->keep < 0) return false;
    if (r->antialias && r->mode == MODE_nearest)
        return op_error(c, NO_OPERAND, "resize-antialias", "antialias needs mode 'linear' or 'cubic'");
    return true;
}

static bool read_axes(const OpCtx *c, Resize *r)
{
    const Tensor *x = in_t(c, R_x);
    uint32_t n;
    const int64_t *axes = attr_is(c, "axes", &n);
    bool is_axis[MAX_RANK];
    r->rank = x->rank;
    r->n = axes ? (int)n : x->rank;
    if (axes && !norm_axes(c, axes, n, x->rank, is_axis)) return false;
    for (int d = 0; d < x->rank; d++) r->along[d] = (Along){axes ? -1 : d, x->dim[d], x->dim[d], 1};
    for (int k = 0; axes && k < r->n; k++) r->along[axes[k] < 0 ? axes[k] + x->rank : axes[k]].place = k;
    return true;
}

static bool check_list(const OpCtx *c, const Resize *r, int k, int want)
{
    return in_rank(c, k, 1, 1) &&
           (ex_is_int(in_t(c, k)->dim[0], want) ||
            op_error(c, k, "resize-list", "'%s' must have %d elements for %d axes", in_t(c, k)->name, want, r->n));
}

/* Extents of the result as the model declares them, where scales or sizes are known only when it runs. */
static bool take_declared(const OpCtx *c, Resize *r, int k)
{
    uint32_t n;
    const int64_t *v;
    for (int d = 0; d < r->rank; d++) {
        if (r->along[d].place < 0) continue;
        r->along[d].out = declared_dim(c, 0, r->rank, d);
        r->along[d].scale = 0;
        if (!r->along[d].out) return in_ints(c, k, &n, &v) && false;
    }
    return true;
}

/* p / q of a factor as a fraction with a small denominator, as symbolic extents need it. */
static bool as_fraction(double scale, int64_t *p, int64_t *q)
{
    for (*q = 1; *q <= 64; ++*q) {
        const double v = scale * (double)*q, whole = (double)(int64_t)(v + 0.5);
        *p = (int64_t)whole;
        if (whole >= 1 && (v > whole ? v - whole : whole - v) <= whole * 0x1p-22) return true;
    }
    return false;
}

/* floor(extent * scale), the product rounded to f32. */
static bool scaled_extent(const OpCtx *c, Along *a)
{
    const double s = a->scale;
    int64_t p, q;
    if (!(s > 0 && s < 0x1p31)) return op_error(c, R_scales, "resize-scale", "scale %d is %g", a->place, s);
    if (!ex_is_const(a->in)) {
        if (!as_fraction(s, &p, &q))
            return op_error(c, R_scales, "unsupported-resize-scale",
                            "scale %g of a dimension that is not fixed is not a simple fraction", s);
        a->out = FDIV(MUL(a->in, IX(p)), IX(q));
        return true;
    }
    const double v = (double)((float)s * (float)a->in->v.i);
    if (v >= 0x1p31) return op_error(c, R_scales, "resize-scale", "scale %d is %g, which is too large", a->place, s);
    a->out = IX((int64_t)v);
    return true;
}

static bool read_scales(const OpCtx *c, Resize *r)
{
    uint32_t n;
    const double *v;
    if (!check_list(c, r, R_scales, r->n)) return false;
    r->from_data = !in_floats(c, R_scales, &n, &v);
    if (r->from_data) return take_declared(c, r, R_scales);
    for (int d = 0; d < r->rank; d++) {
        Along *a = &r->along[d];
        if (a->place < 0) continue;
        a->scale = v[a->place];
        if (!scaled_extent(c, a)) return false;
    }
    return true;
}

/* One factor for all axes: the least or the greatest of what the sizes ask for. */
static bool keep_aspect(const OpCtx *c, Resize *r)
{
    double scale = 0;
    for (int d = 0; d < r->rank; d++) {
        const Along *a = &r->along[d];
        if (a->place < 0) continue;
        if (!ex_is_const(a->in) || !ex_is_const(a->out) || a->in->v.i == 0)
            return op_error(c, R_x, "unsupported-resize-aspect", "keep_aspect_ratio_policy '%s' needs fixed dimensions",
                            keep_words[r->keep]);
        const double s = (double)a->out->v.i / (double)a->in->v.i;
        if (scale == 0 || (r->keep == KEEP_not_larger ? s < scale : s > scale)) scale = s;
    }
    for (int d = 0; d < r->rank; d++) {
        Along *a = &r->along[d];
        if (a->place < 0) continue;
        a->scale = scale;
        a->out = IX((int64_t)(scale * (double)a->in->v.i + 0.5));
    }
    return true;
}

static bool read_sizes(const OpCtx *c, Resize *r)
{
    uint32_t n;
    const Expr *const *v;
    if (!check_list(c, r, R_sizes, r->n)) return false;
    if (!in_known(c, R_sizes) && r->keep == KEEP_stretch) return take_declared(c, r, R_sizes);
    if (!in_dims(c, R_sizes, &n, &v)) return false;
    for (int d = 0; d < r->rank; d++) {
        Along *a = &r->along[d];
        if (a->place < 0) continue;
        int64_t lo, hi;
        a->out = v[a->place];
        a->scale = 0;
        if (!ex_range(c->x, a->out, &lo, &hi) || hi > INT32_MAX || hi < 1)
            return op_error(c, R_sizes, "resize-size", "size %d is not positive or has no bound", a->place);
    }
    return r->keep == KEEP_stretch || keep_aspect(c, r);
}

static bool read_resize(OpCtx *c, Resize *r)
{
    *r = (Resize){.rank = 0};
    if (!read_words(c, r) || !read_axes(c, r)) return false;
    const bool sizes = has_list(c, R_sizes), scales = has_list(c, R_scales);
    if (sizes == scales)
        return op_error(c, NO_OPERAND, "resize-list", "%s",
                        sizes ? "there are both scales and sizes" : "there are neither scales nor sizes");
    if (r->where == AT_crop && (!has_in(c, R_roi) || !check_list(c, r, R_roi, 2 * r->n)))
        return has_in(c, R_roi) ? false : op_error(c, NO_OPERAND, "resize-roi", "tf_crop_and_resize needs a roi");
    if (!(sizes ? read_sizes(c, r) : read_scales(c, r))) return false;
    for (int d = 0; d < r->rank; d++) {
        if (ex_is_int(r->along[d].in, 0) && !ex_is_int(r->along[d].out, 0))
            return op_error(c, R_x, "resize-empty", "dimension %d is 0", d);
    }
    return true;
}

bool infer_Resize(OpCtx *c)
{
    Resize r;
    const Expr *dim[MAX_RANK];
    if (!read_resize(c, &r)) return false;
    const DClass cls = dtype_info(in_t(c, R_x)->dt)->cls;
    if (r.mode != MODE_nearest && cls != DC_F && cls != DC_I && cls != DC_U)
        return op_error(c, R_x, "unsupported-resize-type", "interpolation of %s is not supported",
                        dtype_info(in_t(c, R_x)->dt)->name);
    for (int d = 0; d < r.rank; d++) dim[d] = r.along[d].out;
    return set_shape(c, 0, r.rank, dim);
}

/* ---- coordinates ---- */

#define D(v) NUM(DT_f64, (v))

/* Factor, input extent and scaled extent of one axis as f64. */
typedef struct Ruler {
    const Expr *scale, *in, *width, *first, *end;
} Ruler; /* first, end: of the roi */

static Ruler ruler(OpCtx *c, const Resize *r, const Along *a)
{
    Ruler m = {.in = CAST(DT_f64, a->in)};
    if (a->scale > 0)
        m.scale = D(a->scale);
    else if (r->from_data)
        m.scale = CAST(DT_f64, load_item(c, R_scales, a->place));
    else
        m.scale = DIV(CAST(DT_f64, a->out), m.in);
    m.width = a->scale > 0 || r->from_data ? MUL(m.scale, m.in) : CAST(DT_f64, a->out);
    if (r->where == AT_crop) {
        m.first = CAST(DT_f64, load_item(c, R_roi, a->place));
        m.end = CAST(DT_f64, load_item(c, R_roi, a->place + r->n));
    }
    return m;
}

/* Place in the input of output position o. */
static const Expr *coordinate(OpCtx *c, const Resize *r, const Along *a, const Expr *o)
{
    const Ruler m = ruler(c, r, a);
    const Expr *x = CAST(DT_f64, o), *last = SUB(m.in, D(1)), *one = EQ(m.width, D(1));
    const Expr *half = SUB(DIV(ADD(x, D(0.5)), m.scale), D(0.5)), *step = DIV(last, SUB(m.width, D(1)));
    switch ((Where)r->where) {
    case AT_pytorch: return SEL(LT(D(1), m.width), half, D(0));
    case AT_corners: return SEL(one, D(0), MUL(x, step));
    case AT_asymmetric: return DIV(x, m.scale);
    case AT_symmetric: return ADD(MUL(DIV(m.in, D(2)), SUB(D(1), DIV(CAST(DT_f64, a->out), m.width))), half);
    case AT_crop: {
        const Expr *way = SUB(m.end, m.first), *in = SEL(one, DIV(MUL(way, last), D(2)), MUL(MUL(x, way), step));
        return ADD(in, MUL(m.first, last));
    }
    default: return half;
    }
}

/* A float place as an index that cannot overflow when taps are added. */
static const Expr *to_index(OpCtx *c, const Expr *v, const Expr *extent)
{
    return CAST(DT_ix, MAX(MIN(v, ADD(CAST(DT_f64, extent), D(MAX_TAPS))), D(-MAX_TAPS)));
}

static const Expr *inside(OpCtx *c, const Expr *v, const Expr *extent)
{
    return MAX(MIN(v, SUB(extent, IX(1))), IX(0));
}

/* Type of a table of places along an extent: unsigned, so that places need no test for being negative. */
static DType place_type(OpCtx *c, const Expr *extent)
{
    return ex_upper(c->x, extent) <= UINT16_MAX ? DT_u16 : DT_u32;
}

/* Whether the whole factor alone says where nearest looks: o / factor. */
static bool is_division(const Resize *r, const Along *a)
{
    if (!(a->scale >= 1 && a->scale == (double)(int64_t)a->scale)) return false;
    if (r->where == AT_asymmetric) return r->nearest == NEAR_floor;
    if (r->where > AT_pytorch) return false;
    return r->nearest == NEAR_prefer_floor || r->nearest == NEAR_prefer_ceil;
}

static const Expr *nearest_of(OpCtx *c, const Resize *r, const Expr *x)
{
    switch ((Nearest)r->nearest) {
    case NEAR_prefer_ceil: return UN(floor, ADD(x, D(0.5)));
    case NEAR_floor: return UN(floor, x);
    case NEAR_ceil: return UN(ceil, x);
    default: return UN(ceil, SUB(x, D(0.5)));
    }
}

/* Whether a position of the axis lies outside the input, where tf_crop_and_resize fills in a value; NULL: none does. */
static const Expr *outside(OpCtx *c, const Resize *r, const Along *a, const Expr *o)
{
    const Expr *dim[] = {a->out}, *i[1];
    if (r->where != AT_crop) return NULL;
    const uint32_t t = temp_ten(c, "outside", DT_bool, 1, dim);
    vars_for(c, "o", 1, dim, i);
    const Expr *x = coordinate(c, r, a, i[0]);
    def_map(c, t, i, OR(LT(x, D(0)), LT(SUB(CAST(DT_f64, a->in), D(1)), x)));
    return load_at(c, t, &o);
}

/* Axes along which nothing changes. */
static bool is_still(const OpCtx *c, const Resize *r, const Along *a)
{
    return a->place < 0 ||
           (r->where != AT_crop && !r->from_data && dim_equal(c, a->in, a->out) && (a->scale == 0 || a->scale == 1));
}

/* ---- nearest ---- */

static const Expr *nearest_index(OpCtx *c, const Resize *r, const Along *a, const Expr *o)
{
    const Expr *dim[] = {a->out}, *i[1];
    if (is_still(c, r, a)) return o;
    if (is_division(r, a)) return FDIV(o, IX((int64_t)a->scale));
    const uint32_t t = temp_ten(c, "place", place_type(c, a->in), 1, dim);
    vars_for(c, "o", 1, dim, i);
    def_map(c, t, i, inside(c, to_index(c, nearest_of(c, r, coordinate(c, r, a, i[0])), a->in), a->in));
    return load_index(c, t, &o, a->in);
}

static bool lower_nearest(OpCtx *c, const Resize *r)
{
    const Expr *i[MAX_RANK], *j[MAX_RANK], *out = NULL;
    out_vars(c, 0, i);
    for (int d = 0; d < r->rank; d++) {
        const Along *a = &r->along[d];
        const Expr *o = a->place < 0 ? NULL : outside(c, r, a, i[d]);
        j[d] = nearest_index(c, r, a, i[d]);
        if (o) out = out ? OR(out, o) : o;
    }
    const Expr *v = load_raw(c, in_ten(c, R_x), j);
    if (out) v = SEL(out, CAST((DType)v->dt, NUM(dtype_compute((DType)v->dt), attr_f(c, "extrapolation_value"))), v);
    return def_map(c, out_ten(c, 0), i, v);
}

/* ---- linear and cubic ---- */

/* Taps of one axis: the first at x0 + first, n of them; their tables [out, n]. */
typedef struct Taps {
    int64_t first, n;
    DType dt;
    uint32_t at, weight;
} Taps;

/* The least factor that the axis can have; it decides how wide the kernel is. */
static double least_scale(const Along *a)
{
    int64_t in = 1, out = 0;
    if (a->scale > 0) return a->scale;
    if (ex_is_const(a->in) && ex_is_const(a->out)) in = a->in->v.i, out = a->out->v.i;
    return in > 0 ? (double)out / (double)in : 0;
}

static bool count_taps(OpCtx *c, const Resize *r, const Along *a, Taps *t)
{
    const int64_t reach = r->mode == MODE_linear ? 1 : 2;
    double s = 1;
    if (r->antialias) s = least_scale(a) < 1 ? least_scale(a) : 1;
    if (s == 0 && ex_is_int(a->out, 0)) s = 1;
    if (!(s > 4.0 / MAX_TAPS))
        return op_error(c, R_x, "unsupported-resize-antialias",
                        "antialias of dimension %d needs fixed sizes and a factor above %g", (int)(a - r->along),
                        4.0 / MAX_TAPS);
    const double wide = (double)reach / s;
    const int64_t up = (int64_t)wide + ((double)(int64_t)wide < wide);
    t->first = 1 - up;
    t->n = 2 * up;
    return true;
}

/* Keys' kernel, or the triangle, at distance d >= 0. */
static const Expr *kernel(OpCtx *c, const Resize *r, const Expr *d)
{
    if (r->mode == MODE_linear) return MAX(SUB(D(1), d), D(0));
    const double k = attr_f(c, "cubic_coeff_a");
    const Expr *near = ADD(MUL(MUL(SUB(MUL(D(k + 2), d), D(k + 3)), d), d), D(1));
    const Expr *far = SUB(MUL(ADD(MUL(SUB(MUL(D(k), d), D(5 * k)), d), D(8 * k)), d), D(4 * k));
    return SEL(LE(d, D(1)), near, SEL(LT(d, D(2)), far, D(0)));
}

/* x0 = ceil(x) - 1 as f64. */
static const Expr *left_of(OpCtx *c, const Expr *x)
{
    return SUB(UN(ceil, x), D(1));
}

static const Expr *tap_index(OpCtx *c, const Along *a, const Taps *t, const Expr *x, const Expr *k)
{
    return ADD(to_index(c, left_of(c, x), a->in), ADD(k, IX(t->first)));
}

/* Weights before they are made to add up to one; outside ones count as zero when excluded. */
static uint32_t raw_weights(OpCtx *c, const Resize *r, const Along *a, const Taps *t)
{
    const Expr *dim[] = {a->out, IX(t->n)}, *i[2];
    const uint32_t raw = temp_ten(c, "kernel", DT_f64, 2, dim);
    vars_for(c, "ok", 2, dim, i);
    const Expr *x = coordinate(c, r, a, i[0]), *ratio = SUB(x, left_of(c, x));
    const Expr *d = UN(abs, SUB(ADD(CAST(DT_f64, i[1]), D((double)t->first)), ratio));
    if (r->antialias) d = MUL(d, MIN(ruler(c, r, a).scale, D(1)));
    const Expr *w = kernel(c, r, d), *at = tap_index(c, a, t, x, i[1]);
    if (r->exclude) w = SEL(AND(LE(IX(0), at), LT(at, a->in)), w, D(0));
    def_map(c, raw, i, w);
    return raw;
}

/* weight = raw / sum of the raw ones. */
static void tap_weights(OpCtx *c, const Resize *r, const Along *a, Taps *t)
{
    const Expr *dim[] = {a->out, IX(t->n)}, *i[2];
    const uint32_t raw = raw_weights(c, r, a, t);
    t->weight = temp_ten(c, "weight", t->dt, 2, dim);
    vars_for(c, "ok", 2, dim, i);
    const Expr *w = load_at(c, raw, i);
    if (r->antialias || r->exclude) {
        const uint32_t total = temp_ten(c, "total", DT_f64, 1, dim);
        const Expr *o[1], *k = red_var(c, "k", dim[1]);
        vars_for(c, "o", 1, dim, o);
        const Expr *at[] = {o[0], k};
        def_reduce(c, total, o, RED_sum, 1, &k, dim + 1, load_at(c, raw, at));
        const Expr *sum = load_at(c, total, i);
        w = DIV(w, SEL(EQ(sum, D(0)), D(1), sum));
    }
    def_map(c, t->weight, i, w);
}

static bool make_taps(OpCtx *c, const Resize *r, const Along *a, DType dt, Taps *t)
{
    const Expr *i[2];
    t->dt = dt;
    if (!count_taps(c, r, a, t)) return false;
    const Expr *dim[] = {a->out, IX(t->n)};
    t->at = temp_ten(c, "place", place_type(c, a->in), 2, dim);
    vars_for(c, "ok", 2, dim, i);
    def_map(c, t->at, i, inside(c, tap_index(c, a, t, coordinate(c, r, a, i[0]), i[1]), a->in));
    tap_weights(c, r, a, t);
    return true;
}

/* One tap: x at its place times its weight. */
static const Expr *tap(OpCtx *c, uint32_t x, int d, const Taps *t, const Expr *const *i, const Expr *k)
{
    const Expr *j[MAX_RANK], *ok[] = {i[d], k};
    memcpy(j, i, sizeof j);
    j[d] = load_index(c, t->at, ok, ten(c->te, x)->dim[d]);
    return MUL(CAST(t->dt, load_at(c, x, j)), load_at(c, t->weight, ok));
}

/* y along axis d: a sum written out for the few taps of a fixed kernel, a reduction for a wide one. */
static bool resize_axis(OpCtx *c, const Resize *r, int d, uint32_t x, uint32_t y)
{
    enum { FEW = 4 };
    const Along *a = &r->along[d];
    const Ten *p = ten(c->te, y);
    const Expr *i[MAX_RANK], *sum = NULL;
    Taps t = {0};
    if (!make_taps(c, r, a, dtype_compute(p->dt), &t)) return false;
    vars_for(c, "ncijk", p->rank, p->dim, i);
    if (t.n > FEW) {
        const uint32_t s = temp_ten(c, "sum", t.dt, p->rank, p->dim);
        const Expr *k = red_var(c, "k", IX(t.n)), *n = IX(t.n);
        def_reduce(c, s, i, RED_sum, 1, &k, &n, tap(c, x, d, &t, i, k));
        vars_for(c, "ncijk", p->rank, p->dim, i);
        sum = load_at(c, s, i);
    }
    for (int64_t k = 0; k < t.n && t.n <= FEW; k++) {
        const Expr *v = tap(c, x, d, &t, i, IX(k));
        sum = sum ? ADD(sum, v) : v;
    }
    const Expr *out = outside(c, r, a, i[d]);
    if (out) sum = SEL(out, NUM(t.dt, attr_f(c, "extrapolation_value")), sum);
    return def_map(c, y, i, sum);
}

/* The last axis first: its taps do not lie side by side, and the fewest rows are there then when enlarging. */
static bool lower_smooth(OpCtx *c, const Resize *r)
{
    const Tensor *xt = in_t(c, R_x);
    const DType dt = xt->dt == DT_f64 ? DT_f64 : DT_f32;
    const Expr *dim[MAX_RANK], *i[MAX_RANK];
    uint32_t x = in_ten(c, R_x);
    memcpy(dim, xt->dim, sizeof dim);
    for (int d = r->rank - 1; d >= 0; d--) {
        if (is_still(c, r, &r->along[d])) continue;
        dim[d] = r->along[d].out;
        const uint32_t y = temp_ten(c, "resized", dt, r->rank, dim);
        if (!resize_axis(c, r, d, x, y)) return false;
        x = y;
    }
    out_vars(c, 0, i);
    const Expr *v = load_at(c, x, i);
    if (dtype_is_int(xt->dt) && x != in_ten(c, R_x)) v = ex_castsat(c->x, xt->dt, UN(rint, v));
    return def_map(c, out_ten(c, 0), i, v);
}

bool lower_Resize(OpCtx *c)
{
    Resize r;
    if (!read_resize(c, &r)) return false;
    return r.mode == MODE_nearest ? lower_nearest(c, &r) : lower_smooth(c, &r);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Sampling at places that are data: GridSample, AffineGrid, RoiAlign, MaxRoiPool. GridSample first computes each place
 * in elements of the input, once for all channels; then every channel sums its neighbours. Regions of interest are
 * calls (mlcc_roi.h): how many samples a bin has depends on data.
 */
#include "proto.h"
#include "sample.h"

/* ---- GridSample ---- */

enum { GRID_nearest, GRID_linear, GRID_cubic, GRID_modes };
enum { PAD_zeros, PAD_border, PAD_reflection, PAD_modes };
enum { MAX_SPATIAL = 3 };

static const char *const grid_words[] = {"nearest", "linear", "cubic"};
static const char *const pad_words[] = {"zeros", "border", "reflection"};

typedef struct Grid {
    int n, mode, pad; /* n: spatial dimensions */
    bool corners;
    DType dt; /* type of the places */
    const Expr *in[MAX_SPATIAL];
} Grid;

static bool read_grid(const OpCtx *c, Grid *g)
{
    const Tensor *x = in_t(c, 0);
    g->n = x->rank - 2;
    g->mode = attr_word(c, "mode", GRID_modes, grid_words);
    g->pad = attr_word(c, "padding_mode", PAD_modes, pad_words);
    g->corners = attr_i(c, "align_corners") != 0;
    g->dt = dtype_compute(in_t(c, 1)->dt);
    if (g->mode < 0 || g->pad < 0 || !in_rank(c, 0, 3, MAX_SPATIAL + 2) || !in_rank(c, 1, x->rank, x->rank) ||
        !require_dim(c, 1, 0, x->dim[0], "grid-batch") || !require_dim(c, 1, x->rank - 1, IX(g->n), "grid-width"))
        return false;
    if (g->mode == GRID_cubic && g->n > 2)
        return op_error(c, 0, "unsupported-grid-cubic", "cubic sampling of %d dimensions is not supported", g->n);
    for (int d = 0; d < g->n; d++) {
        g->in[d] = x->dim[d + 2];
        if (ex_is_int(g->in[d], 0)) return op_error(c, 0, "grid-empty", "dimension %d of '%s' is 0", d + 2, x->name);
    }
    return true;
}

bool infer_GridSample(OpCtx *c)
{
    Grid g;
    if (!read_grid(c, &g)) return false;
    const Expr *dim[MAX_RANK] = {in_t(c, 0)->dim[0], in_t(c, 0)->dim[1]};
    memcpy(dim + 2, in_t(c, 1)->dim + 1, (size_t)g.n * sizeof *dim);
    return set_shape(c, 0, g.n + 2, dim);
}

#define G(v) NUM(g->dt, (v))

/* The least and the greatest place inside dimension d: its first and last element, or their outer edges. */
static const Expr *edge(OpCtx *c, const Grid *g, int d, bool last)
{
    const double half = g->corners ? 0 : 0.5;
    return last ? ADD(SUB(CAST(g->dt, g->in[d]), G(1)), G(half)) : G(-half);
}

/* v reflected at both edges: a triangle wave. An input of one element has no width between its corners; one is used. */
static const Expr *reflect(OpCtx *c, const Grid *g, int d, const Expr *v)
{
    const Expr *lo = edge(c, g, d, false), *way = MAX(SUB(edge(c, g, d, true), lo), G(1)), *twice = MUL(way, G(2));
    const Expr *m = MOD(SUB(v, lo), twice);
    return ADD(lo, SEL(LT(way, m), SUB(twice, m), m));
}

/* A place of grid, -1..1, in elements of dimension d, moved inside as padding_mode says. */
static const Expr *grid_place(OpCtx *c, const Grid *g, int d, const Expr *v)
{
    const Expr *n = CAST(g->dt, g->in[d]), *lo = edge(c, g, d, false), *hi = edge(c, g, d, true);
    v = ADD(v, G(1));
    v = g->corners ? MUL(DIV(v, G(2)), SUB(n, G(1))) : DIV(SUB(MUL(v, n), G(1)), G(2));
    if (g->mode == GRID_nearest) v = UN(rint, v);
    if (g->pad == PAD_zeros) return v;
    const Expr *moved = g->pad == PAD_border ? MAX(MIN(v, SUB(n, G(1))), G(0)) : reflect(c, g, d, v);
    return SEL(OR(LT(v, lo), LT(hi, v)), moved, v);
}

/* place[n,o..,d]: the coordinates of a grid point come in reverse order of the dimensions. */
static uint32_t grid_places(OpCtx *c, const Grid *g)
{
    const Tensor *t = in_t(c, 1);
    const uint32_t place = temp_ten(c, "place", g->dt, t->rank, t->dim);
    const Expr *i[MAX_RANK], *at[MAX_RANK], *v = NULL;
    vars_for(c, "nijk", t->rank, t->dim, i);
    memcpy(at, i, sizeof at);
    at[t->rank - 1] = SUB(IX(g->n - 1), i[t->rank - 1]);
    const Expr *raw = load_at(c, in_ten(c, 1), at);
    for (int d = g->n - 1; d >= 0; d--) {
        const Expr *p = grid_place(c, g, d, raw);
        v = v ? SEL(EQ(i[t->rank - 1], IX(d)), p, v) : p;
    }
    def_map(c, place, i, v);
    return place;
}

/* Neighbours along one dimension: their indices and weights; weight NULL: one neighbour. */
typedef struct Side {
    int n;
    const Expr *at[4], *weight[4];
} Side;

/* Keys' kernel with a = -0.75 at distance d. */
static const Expr *keys(OpCtx *c, const Grid *g, const Expr *d, bool near)
{
    const double a = -0.75;
    if (near) return ADD(MUL(MUL(SUB(MUL(G(a + 2), d), G(a + 3)), d), d), G(1));
    return SUB(MUL(ADD(MUL(SUB(MUL(G(a), d), G(5 * a)), d), G(8 * a)), d), G(4 * a));
}

/* A neighbour's index brought inside; with zeros it stays outside, where loads are guarded. */
static const Expr *neighbour(OpCtx *c, const Grid *g, int d, const Expr *k)
{
    if (g->pad == PAD_zeros) return k;
    if (g->pad == PAD_reflection) k = CAST(DT_ix, reflect(c, g, d, CAST(g->dt, k)));
    return MAX(MIN(k, SUB(g->in[d], IX(1))), IX(0));
}

static Side side_of(OpCtx *c, const Grid *g, int d, const Expr *v)
{
    enum { FAR = 8 };
    Side s = {.n = g->mode == GRID_nearest ? 1 : g->mode == GRID_linear ? 2 : 4};
    const Expr *low = UN(floor, v), *part = SUB(v, low), *rest = SUB(G(1), part);
    const Expr *near = MIN(MAX(low, G(-FAR)), ADD(CAST(g->dt, g->in[d]), G(FAR)));
    const Expr *first = ADD(CAST(DT_ix, near), IX(s.n == 4 ? -1 : 0));
    for (int k = 0; k < s.n; k++) s.at[k] = neighbour(c, g, d, ADD(first, IX(k)));
    if (s.n == 2) {
        s.weight[0] = rest;
        s.weight[1] = part;
    } else if (s.n == 4) {
        s.weight[0] = keys(c, g, ADD(part, G(1)), false);
        s.weight[1] = keys(c, g, part, true);
        s.weight[2] = keys(c, g, rest, true);
        s.weight[3] = keys(c, g, ADD(rest, G(1)), false);
    }
    return s;
}

/* Sum over the neighbours along dimensions d and behind; at[0..d+1] are set. */
static const Expr *blend(OpCtx *c, const Grid *g, const Side *side, int d, const Expr **at)
{
    const DType dt = (DType)(in_t(c, 0)->dt == DT_f64 ? DT_f64 : DT_f32);
    if (d == g->n) return CAST(dt, load_pad(c, in_ten(c, 0), at, NUM(dtype_compute(in_t(c, 0)->dt), 0)));
    const Expr *sum = NULL;
    for (int k = 0; k < side[d].n; k++) {
        at[d + 2] = side[d].at[k];
        const Expr *v = MUL(CAST(dt, side[d].weight[k]), blend(c, g, side, d + 1, at));
        sum = sum ? ADD(sum, v) : v;
    }
    return sum;
}

bool lower_GridSample(OpCtx *c)
{
    Grid grid, *g = &grid;
    Side side[MAX_SPATIAL];
    const Expr *i[MAX_RANK], *at[MAX_RANK], *place[MAX_RANK];
    if (!read_grid(c, g)) return false;
    const uint32_t t = grid_places(c, g);
    out_vars(c, 0, i);
    place[0] = i[0];
    memcpy(place + 1, i + 2, (size_t)g->n * sizeof *place);
    for (int d = 0; d < g->n; d++) {
        place[g->n + 1] = IX(d);
        side[d] = side_of(c, g, d, load_at(c, t, place));
        at[d + 2] = side[d].at[0];
    }
    at[0] = i[0];
    at[1] = i[1];
    const DType xt = in_t(c, 0)->dt;
    const Expr *v =
        g->mode == GRID_nearest ? load_pad(c, in_ten(c, 0), at, NUM(dtype_compute(xt), 0)) : blend(c, g, side, 0, at);
    return def_map(c, out_ten(c, 0), i, v);
}

/* ---- AffineGrid: grid[n,o..,k] = sum(j) theta[n,k,j] * (place of o, reversed; 1)[j] ---- */

/* Extents of the grid, from size or as the model declares them. */
static bool affine_dims(OpCtx *c, int n, const Expr **dim)
{
    uint32_t count;
    const Expr *const *v = NULL;
    if (in_known(c, 1)) {
        if (!in_dims(c, 1, &count, &v)) return false;
        if (count != (uint32_t)n + 2)
            return op_error(c, 1, "grid-size", "size has %u elements, expected %d", count, n + 2);
    }
    dim[0] = in_t(c, 0)->dim[0];
    dim[n + 1] = IX(n);
    for (int d = 0; d < n; d++) {
        dim[d + 1] = v ? v[d + 2] : declared_dim(c, 0, n + 2, d + 1);
        if (!dim[d + 1]) return in_dims(c, 1, &count, &v) && false;
        if (ex_is_const(dim[d + 1]) && dim[d + 1]->v.i < 0)
            return op_error(c, 1, "grid-size", "size %d is %lld", d + 2, (long long)dim[d + 1]->v.i);
    }
    return true;
}

bool infer_AffineGrid(OpCtx *c)
{
    const Expr *dim[MAX_RANK];
    if (!in_rank(c, 0, 3, 3) || !in_rank(c, 1, 1, 1)) return false;
    const Expr *rows = in_t(c, 0)->dim[1];
    const int n = ex_is_int(rows, 3) ? 3 : 2;
    return require_dim(c, 0, 1, IX(n), "grid-theta") && require_dim(c, 0, 2, IX(n + 1), "grid-theta") &&
           affine_dims(c, n, dim) && set_shape(c, 0, n + 2, dim);
}

/* Place of element o of n in -1..1: centres of equal cells, or with the corners at the ends. */
static const Expr *base_place(OpCtx *c, DType dt, const Expr *o, const Expr *n)
{
    const Expr *v = CAST(dt, o), *count = CAST(dt, n);
    if (attr_i(c, "align_corners"))
        return SUB(DIV(MUL(v, NUM(dt, 2)), MAX(SUB(count, NUM(dt, 1)), NUM(dt, 1))), NUM(dt, 1));
    return SUB(DIV(ADD(MUL(v, NUM(dt, 2)), NUM(dt, 1)), count), NUM(dt, 1));
}

bool lower_AffineGrid(OpCtx *c)
{
    const Tensor *y = out_t(c, 0);
    const int n = y->rank - 2;
    const DType dt = dtype_compute(y->dt);
    const Expr *i[MAX_RANK];
    out_vars(c, 0, i);
    const Expr *last[] = {i[0], i[n + 1], IX(n)}, *sum = load_at(c, in_ten(c, 0), last);
    for (int d = 0; d < n; d++) {
        const Expr *at[] = {i[0], i[n + 1], IX(n - 1 - d)};
        sum = ADD(sum, MUL(load_at(c, in_ten(c, 0), at), base_place(c, dt, i[d + 1], y->dim[d + 1])));
    }
    return def_map(c, out_ten(c, 0), i, sum);
}

/* ---- regions of interest ---- */

static const char *const roi_modes[] = {"avg", "max"};
static const char *const roi_where[] = {"output_half_pixel", "half_pixel"};

static bool roi_shape(OpCtx *c, int width, int64_t h, int64_t w)
{
    const Tensor *x = in_t(c, 0), *r = in_t(c, 1);
    if (!in_rank(c, 0, 4, 4) || !in_rank(c, 1, 2, 2) || !require_dim(c, 1, 1, IX(width), "roi-width")) return false;
    if (h < 1 || w < 1 || h > INT32_MAX || w > INT32_MAX)
        return op_error(c, NO_OPERAND, "roi-size", "the result would be %lld by %lld", (long long)h, (long long)w);
    for (int d = 0; d < 4; d++) {
        if (ex_is_int(x->dim[d], 0)) return op_error(c, 0, "roi-empty", "dimension %d of '%s' is 0", d, x->name);
    }
    const Expr *dim[] = {r->dim[0], x->dim[1], IX(h), IX(w)};
    return set_shape(c, 0, 4, dim);
}

bool infer_RoiAlign(OpCtx *c)
{
    if (attr_word(c, "mode", COUNT(roi_modes), roi_modes) < 0 ||
        attr_word(c, "coordinate_transformation_mode", COUNT(roi_where), roi_where) < 0)
        return false;
    const int64_t ratio = attr_i(c, "sampling_ratio");
    if (ratio < 0 || ratio > 1024)
        return op_error(c, NO_OPERAND, "roi-sampling", "sampling_ratio is %lld, expected 0 to 1024", (long long)ratio);
    return roi_shape(c, 4, attr_i(c, "output_height"), attr_i(c, "output_width")) && in_rank(c, 2, 1, 1) &&
           require_dim(c, 2, 0, in_t(c, 1)->dim[0], "roi-batch");
}

bool infer_MaxRoiPool(OpCtx *c)
{
    uint32_t n;
    const int64_t *v = attr_is(c, "pooled_shape", &n);
    if (n != 2) return op_error(c, NO_OPERAND, "roi-size", "pooled_shape has %u elements, expected 2", n);
    return roi_shape(c, 5, v[0], v[1]);
}

/* Input k as f32. */
static uint32_t narrow(OpCtx *c, int k)
{
    const Tensor *x = in_t(c, k);
    const Expr *i[MAX_RANK];
    if (x->dt == DT_f32) return in_ten(c, k);
    const uint32_t t = temp_ten(c, "f32", DT_f32, x->rank, x->dim);
    vars_for(c, "nchw", x->rank, x->dim, i);
    def_map(c, t, i, CAST(DT_f32, load_at(c, in_ten(c, k), i)));
    return t;
}

/* rois times spatial_scale, as f32 [n,4], from the columns behind `skip`. */
static uint32_t scaled_rois(OpCtx *c, int skip)
{
    const Expr *dim[] = {in_t(c, 1)->dim[0], IX(4)}, *i[2];
    const uint32_t t = temp_ten(c, "rois", DT_f32, 2, dim);
    vars_for(c, "rk", 2, dim, i);
    const Expr *at[] = {i[0], ADD(i[1], IX(skip))};
    def_map(c, t, i, MUL(CAST(DT_f32, load_at(c, in_ten(c, 1), at)), NUM(DT_f32, attr_f(c, "spatial_scale"))));
    return t;
}

/* Image of each region, from column 0 of rois or from batch_indices, inside the batch. */
static uint32_t roi_images(OpCtx *c, bool column)
{
    const Expr *dim[] = {in_t(c, 1)->dim[0]}, *batch = in_t(c, 0)->dim[0], *i[1];
    const uint32_t t = temp_ten(c, "image", DT_i64, 1, dim);
    vars_for(c, "r", 1, dim, i);
    const Expr *at[] = {i[0], IX(0)};
    const Expr *v = column ? CAST(DT_ix, load_at(c, in_ten(c, 1), at)) : load_index(c, in_ten(c, 2), i, batch);
    def_map(c, t, i, CAST(DT_i64, MAX(MIN(v, SUB(batch, IX(1))), IX(0))));
    return t;
}

static bool call_roi(OpCtx *c, const char *fn, int skip, int narg, const Expr *const *arg)
{
    const Tensor *y = out_t(c, 0);
    const uint32_t in[] = {narrow(c, 0), scaled_rois(c, skip), roi_images(c, skip != 0)};
    const uint32_t t = temp_ten(c, "pooled", DT_f32, 4, y->dim);
    const Expr *i[MAX_RANK];
    if (!def_call(c, fn, 3, in, 1, &t, narg, arg, 0, NULL)) return false;
    out_vars(c, 0, i);
    return def_map(c, out_ten(c, 0), i, load_at(c, t, i));
}

bool lower_RoiAlign(OpCtx *c)
{
    const Expr *arg[] = {IX(attr_i(c, "sampling_ratio")), IX(attr_word(c, "mode", COUNT(roi_modes), roi_modes)),
                         IX(attr_word(c, "coordinate_transformation_mode", COUNT(roi_where), roi_where))};
    return call_roi(c, "roi_align", 0, 3, arg);
}

bool lower_MaxRoiPool(OpCtx *c)
{
    return call_roi(c, "roi_max", 1, 0, NULL);
}

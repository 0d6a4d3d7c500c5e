/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolutions: Conv, ConvTranspose, DeformConv, Col2Im. A sum of products in the compute type, then the bias in a map
 * behind it. The transposed forms gather: each output place sums the inputs and taps that meet there (window_meet), so
 * they are reductions like any other and need no scattering.
 */
#include "../op.h"
#include "proto.h"
#include "dot.h"

/* Tensor that a sum goes to: the output itself, or a temporary in the compute type when a bias follows. */
static uint32_t sum_ten(OpCtx *c, bool bias)
{
    const Tensor *y = out_t(c, 0);
    return bias ? temp_ten(c, "dot", dtype_compute(y->dt), y->rank, y->dim) : out_ten(c, 0);
}

/* y = t + b[m] */
static bool add_bias(OpCtx *c, uint32_t t, int b)
{
    const Tensor *y = out_t(c, 0);
    const Expr *i[MAX_RANK];
    if (!has_in(c, b)) return true;
    vars_for(c, "nmijk", y->rank, y->dim, i);
    return def_map(c, out_ten(c, 0), i, ADD(load_at(c, t, i), load_channel(c, b, i[1])));
}

/* ---- Conv ---- */

static bool read_conv(OpCtx *c, Conv *v)
{
    *v = (Conv){.x = 0, .w = 1, .xz = NO_ZERO, .wz = NO_ZERO};
    return conv_read(c, v);
}

bool infer_Conv(OpCtx *c)
{
    Conv v;
    return read_conv(c, &v) && check_channel(c, 2, in_t(c, 1)->dim[0]) && conv_shape(c, &v, 0);
}

bool lower_Conv(OpCtx *c)
{
    Conv v;
    if (!read_conv(c, &v)) return false;
    const uint32_t t = sum_ten(c, has_in(c, 2));
    return conv_sum(c, t, &v, dtype_compute(out_t(c, 0)->dt)) && add_bias(c, t, 2);
}

/* ---- ConvTranspose: x [N,C,..], w [C,M/G,..] ---- */

typedef struct Transposed {
    Window w;
    int64_t group;
    const Expr *per_in, *per_out;
} Transposed; /* channels to a group */

static bool read_transposed(OpCtx *c, Transposed *v)
{
    const Tensor *x = in_t(c, 0), *w = in_t(c, 1);
    const Expr *kernel[MAX_SPATIAL];
    v->group = attr_i(c, "group");
    if (!in_rank(c, 0, 3, MAX_SPATIAL + 2) || !in_rank(c, 1, x->rank, x->rank)) return false;
    if (v->group < 1 || v->group > INT32_MAX || !ex_is_int(MOD(x->dim[1], IX(v->group)), 0)) {
        return op_error(c, 0, "conv-group", "input channels do not divide evenly into group=%lld", (long long)v->group);
    }
    if (!require_dim(c, 1, 0, x->dim[1], "conv-channels")) return false;
    if (attr_find(c, "kernel_shape")) {
        if (!attr_kernel(c, x->rank - 2, kernel)) return false;
        for (int d = 0; d < x->rank - 2; d++) {
            if (!require_dim(c, 1, d + 2, kernel[d], "conv-kernel")) return false;
        }
    }
    v->per_in = FDIV(x->dim[1], IX(v->group));
    v->per_out = w->dim[1];
    return window_read_transposed(c, x->rank - 2, x->dim + 2, w->dim + 2, &v->w);
}

bool infer_ConvTranspose(OpCtx *c)
{
    Transposed v;
    if (!read_transposed(c, &v)) return false;
    const Expr *dim[MAX_RANK] = {in_t(c, 0)->dim[0], MUL(v.per_out, IX(v.group))};
    memcpy(dim + 2, v.w.out, (size_t)v.w.n * sizeof *dim);
    return check_channel(c, 2, dim[1]) && set_shape(c, 0, v.w.n + 2, dim);
}

/* t[n,m,o..] = sum(c,q..) x[n, g*C/G + c, at..] * w[g*C/G + c, m mod M/G, tap..]; what is outside counts as zero. */
static bool transposed_sum(OpCtx *c, uint32_t t, const Transposed *v)
{
    const Ten *y = ten(c->te, t);
    const DType dt = dtype_compute(in_t(c, 0)->dt);
    const Expr *i[MAX_RANK], *r[MAX_RANK], *extent[MAX_RANK], *xat[MAX_RANK], *wat[MAX_RANK];
    const size_t spatial = (size_t)v->w.n * sizeof *i;
    Meet m;
    vars_for(c, "nmijk", y->rank, y->dim, i);
    window_meet(c, &v->w, i + 2, &m);
    r[0] = red_var(c, "c", v->per_in);
    extent[0] = v->per_in;
    memcpy(r + 1, m.q, spatial);
    memcpy(extent + 1, m.count, spatial);
    xat[0] = i[0];
    xat[1] = wat[0] = v->group == 1 ? r[0] : ADD(MUL(FDIV(i[1], v->per_out), v->per_in), r[0]);
    wat[1] = v->group == 1 ? i[1] : MOD(i[1], v->per_out);
    memcpy(xat + 2, m.at, spatial);
    memcpy(wat + 2, m.tap, spatial);
    const Expr *x = load_pad(c, in_ten(c, 0), xat, NUM(dt, 0)), *w = load_pad(c, in_ten(c, 1), wat, NUM(dt, 0));
    return def_reduce(c, t, i, RED_sum, v->w.n + 1, r, extent, MUL(x, w));
}

bool lower_ConvTranspose(OpCtx *c)
{
    Transposed v;
    if (!read_transposed(c, &v)) return false;
    const uint32_t t = sum_ten(c, has_in(c, 2));
    return transposed_sum(c, t, &v) && add_bias(c, t, 2);
}

/* ---- Col2Im: input [N, C * taps, positions] ---- */

enum { MAX_IMAGE = (MAX_RANK - 2) / 2 }; /* the columns as a tensor have taps and positions as dimensions */

typedef struct Image {
    Window w;
    const Expr *taps, *positions;
    const Expr *count[MAX_SPATIAL];
} Image;

static bool read_extents(OpCtx *c, int k, uint32_t *n, const Expr *const **v)
{
    if (!in_dims(c, k, n, v)) return false;
    if (*n < 1 || *n > MAX_IMAGE)
        return op_error(c, k, "col2im-shape", "shape has %u dimensions, expected 1 to %d", *n, MAX_IMAGE);
    for (uint32_t d = 0; d < *n; d++) {
        int64_t lo, hi;
        if (!ex_range(c->x, (*v)[d], &lo, &hi) || hi > INT32_MAX || lo < 0) {
            return op_error(c, k, "col2im-shape", "dimension %u of the shape is negative or has no bound", d);
        }
    }
    return true;
}

/* The window slides over the image, which is the padded output; count: its positions along each dimension. */
static bool read_image(OpCtx *c, Image *m)
{
    const Expr *const *image, *const *block;
    uint32_t n, nblock;
    if (!in_rank(c, 0, 3, 3) || !read_extents(c, 1, &n, &image) || !read_extents(c, 2, &nblock, &block)) return false;
    if (nblock != n)
        return op_error(c, 2, "col2im-shape", "block_shape has %u dimensions, image_shape has %u", nblock, n);
    if (!window_read(c, (int)n, image, block, &m->w)) return false;
    m->taps = m->positions = IX(1);
    for (uint32_t d = 0; d < n; d++) {
        m->taps = MUL(m->taps, block[d]);
        m->count[d] = m->w.out[d];
        m->positions = MUL(m->positions, m->count[d]);
    }
    if (!ex_is_const(m->taps) || m->taps->v.i == 0 || !ex_is_int(MOD(in_t(c, 0)->dim[1], m->taps), 0)) {
        return op_error(c, 0, "col2im-channels", "dimension 1 is not a multiple of the number of elements of a block");
    }
    return require_dim(c, 0, 2, m->positions, "col2im-positions");
}

bool infer_Col2Im(OpCtx *c)
{
    Image m;
    if (!read_image(c, &m)) return false;
    const Expr *dim[MAX_RANK] = {in_t(c, 0)->dim[0], FDIV(in_t(c, 0)->dim[1], m.taps)};
    memcpy(dim + 2, m.w.in, (size_t)m.w.n * sizeof *dim);
    return set_shape(c, 0, m.w.n + 2, dim);
}

/* The columns as [N, C, taps.., positions..]: a view in which a place and a tap that do not exist can be guarded. */
static uint32_t unfold_columns(OpCtx *c, const Image *m)
{
    const Tensor *x = in_t(c, 0);
    const int n = m->w.n, rank = 2 + 2 * n;
    const Expr *dim[MAX_RANK] = {x->dim[0], FDIV(x->dim[1], m->taps)}, *i[MAX_RANK], *at[MAX_RANK];
    memcpy(dim + 2, m->w.kernel, (size_t)n * sizeof *dim);
    memcpy(dim + 2 + n, m->count, (size_t)n * sizeof *dim);
    const uint32_t t = temp_ten(c, "columns", x->dt, rank, dim);
    vars_for(c, "nc", rank, dim, i);
    reshape_index(c, rank, dim, i, 3, x->dim, at);
    def_map(c, t, i, load_raw(c, in_ten(c, 0), at));
    return t;
}

bool lower_Col2Im(OpCtx *c)
{
    Image m;
    if (!read_image(c, &m)) return false;
    const DType dt = dtype_compute(in_t(c, 0)->dt);
    const uint32_t columns = unfold_columns(c, &m);
    const size_t spatial = (size_t)m.w.n * sizeof(const Expr *);
    const Expr *i[MAX_RANK], *at[MAX_RANK];
    Meet meet;
    out_vars(c, 0, i);
    window_meet(c, &m.w, i + 2, &meet);
    at[0] = i[0];
    at[1] = i[1];
    memcpy(at + 2, meet.tap, spatial);
    memcpy(at + 2 + m.w.n, meet.at, spatial);
    return def_reduce(c, out_ten(c, 0), i, RED_sum, m.w.n, meet.q, meet.count, load_pad(c, columns, at, NUM(dt, 0)));
}

/* ---- DeformConv ---- */

enum { DC_x, DC_w, DC_offset, DC_bias, DC_mask };

typedef struct Deform {
    Conv v;
    int64_t groups;
    const Expr *per;
    const Expr *taps;
} Deform; /* per: channels to an offset group */

/* offset [N, OG * taps * 2, out..], mask [N, OG * taps, out..]. */
static bool check_maps(OpCtx *c, const Deform *d, int k, int64_t per_tap)
{
    if (!has_in(c, k)) return true;
    const int n = d->v.win.n;
    const Expr *channels = MUL(d->taps, IX(d->groups * per_tap));
    if (!in_rank(c, k, n + 2, n + 2) || !require_dim(c, k, 0, in_t(c, DC_x)->dim[0], "deform-map") ||
        !require_dim(c, k, 1, channels, "deform-map")) {
        return false;
    }
    for (int s = 0; s < n; s++) {
        if (!require_dim(c, k, s + 2, d->v.win.out[s], "deform-map")) return false;
    }
    return true;
}

static bool read_deform(OpCtx *c, Deform *d)
{
    *d = (Deform){
        .v = {.x = DC_x, .w = DC_w, .xz = NO_ZERO, .wz = NO_ZERO}, .groups = attr_i(c, "offset_group"), .taps = IX(1)};
    const Tensor *x = in_t(c, DC_x);
    if (!in_rank(c, DC_x, 4, 4)) return false;
    if (d->groups < 1 || d->groups > INT32_MAX || !ex_is_int(MOD(x->dim[1], IX(d->groups)), 0)) {
        return op_error(c, DC_x, "deform-group", "channels do not divide evenly into offset_group=%lld",
                        (long long)d->groups);
    }
    if (!conv_read(c, &d->v)) return false;
    d->per = FDIV(x->dim[1], IX(d->groups));
    for (int s = 0; s < d->v.win.n; s++) d->taps = MUL(d->taps, d->v.win.kernel[s]);
    return check_maps(c, d, DC_offset, 2) && check_maps(c, d, DC_mask, 1);
}

bool infer_DeformConv(OpCtx *c)
{
    Deform d;
    return read_deform(c, &d) && check_channel(c, DC_bias, in_t(c, DC_w)->dim[0]) && conv_shape(c, &d.v, 0);
}

/* Variables of the sampled columns [N, C, kh, kw, oh, ow]. */
typedef struct Sample {
    const Expr *i[MAX_RANK], *tap;
} Sample;

/* Element of a map (offset, mask) for the sample: channel (group * taps + tap) * per_tap + which. */
static const Expr *load_map(OpCtx *c, const Deform *d, const Sample *s, int k, int64_t per_tap, int64_t which)
{
    const Expr *group = FDIV(s->i[1], d->per);
    const Expr *channel = ADD(MUL(ADD(MUL(group, d->taps), s->tap), IX(per_tap)), IX(which));
    const Expr *at[] = {s->i[0], channel, s->i[4], s->i[5]};
    return load_at(c, in_ten(c, k), at);
}

/* Coordinate along spatial dimension k: o * stride + r * dilation - begin + offset. */
static const Expr *sample_at(OpCtx *c, const Deform *d, const Sample *s, int k)
{
    const Window *w = &d->v.win;
    const Expr *grid = SUB(ADD(MUL(s->i[4 + k], IX(w->stride[k])), MUL(s->i[2 + k], IX(w->dilation[k]))), w->begin[k]);
    const Expr *off = load_map(c, d, s, DC_offset, 2, k);
    return ADD(CAST((DType)off->dt, grid), off);
}

/* Two neighbours along one dimension and their weights; a coordinate far outside stays outside as an index. */
typedef struct Side {
    const Expr *at[2], *weight[2];
} Side;

static Side neighbours(OpCtx *c, const Expr *v, const Expr *extent)
{
    const DType dt = (DType)v->dt;
    const Expr *low = UN(floor, v), *part = SUB(v, low);
    const Expr *near = MIN(MAX(low, NUM(dt, -2)), CAST(dt, ADD(extent, IX(1))));
    Side s;
    s.at[0] = CAST(DT_ix, near);
    s.at[1] = ADD(s.at[0], IX(1));
    s.weight[0] = SUB(NUM(dt, 1), part);
    s.weight[1] = part;
    return s;
}

/* Bilinear value of x at a place between elements; outside the image it is zero. */
static const Expr *bilinear(OpCtx *c, const Sample *s, const Side *row, const Side *col)
{
    const DType dt = dtype_compute(in_t(c, DC_x)->dt);
    const Expr *sum = NULL;
    for (int k = 0; k < 4; k++) {
        const Expr *at[] = {s->i[0], s->i[1], row->at[k / 2], col->at[k % 2]};
        const Expr *v = load_pad(c, in_ten(c, DC_x), at, NUM(dt, 0));
        v = MUL(v, MUL(row->weight[k / 2], col->weight[k % 2]));
        sum = sum ? ADD(sum, v) : v;
    }
    return sum;
}

static uint32_t sample_columns(OpCtx *c, const Deform *d)
{
    const Window *w = &d->v.win;
    const Tensor *x = in_t(c, DC_x);
    const Expr *dim[] = {x->dim[0], x->dim[1], w->kernel[0], w->kernel[1], w->out[0], w->out[1]};
    const uint32_t t = temp_ten(c, "columns", dtype_compute(x->dt), 6, dim);
    Sample s;
    vars_for(c, "ncrsij", 6, dim, s.i);
    s.tap = ADD(MUL(s.i[2], w->kernel[1]), s.i[3]);
    const Side row = neighbours(c, sample_at(c, d, &s, 0), x->dim[2]),
               col = neighbours(c, sample_at(c, d, &s, 1), x->dim[3]);
    const Expr *v = bilinear(c, &s, &row, &col);
    if (has_in(c, DC_mask)) v = MUL(v, load_map(c, d, &s, DC_mask, 1, 0));
    def_map(c, t, s.i, v);
    return t;
}

/* y[n,m,i,j] = sum(c,r,s) columns[n, g*C/G + c, r, s, i, j] * w[m,c,r,s] */
bool lower_DeformConv(OpCtx *c)
{
    Deform d;
    if (!read_deform(c, &d)) return false;
    const Tensor *w = in_t(c, DC_w), *y = out_t(c, 0);
    const uint32_t columns = sample_columns(c, &d), t = sum_ten(c, has_in(c, DC_bias));
    const Expr *i[MAX_RANK];
    vars_for(c, "nmij", 4, y->dim, i);
    const Expr *r[] = {red_var(c, "c", w->dim[1]), red_var(c, "r", w->dim[2]), red_var(c, "s", w->dim[3])};
    const Expr *first = d.v.group == 1 ? IX(0) : MUL(FDIV(i[1], FDIV(w->dim[0], IX(d.v.group))), w->dim[1]);
    const Expr *xat[] = {i[0], ADD(first, r[0]), r[1], r[2], i[2], i[3]}, *wat[] = {i[1], r[0], r[1], r[2]};
    const Expr *body = MUL(load_at(c, columns, xat), load_at(c, in_ten(c, DC_w), wat));
    return def_reduce(c, t, i, RED_sum, 3, r, w->dim + 1, body) && add_bias(c, t, DC_bias);
}

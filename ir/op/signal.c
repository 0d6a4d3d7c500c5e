/* SPDX-License-Identifier: Apache-2.0
 *
 * Signal processing: windows, the discrete Fourier transform, its short-time form, mel filters. A transform is a sum of
 * products with a table of sines that is indexed modulo its length; tables are stages in f64, constants when the length
 * is. Complex numbers are a last dimension of two: real part, imaginary part.
 */
#include <math.h>

#include "proto.h"
#include "sample.h"

#define D(v) NUM(DT_f64, (v))
static const double pi = 3.14159265358979323846;

/* Type that attribute `name` asks for output 0. */
static bool type_from(const OpCtx *c, const char *name)
{
    const DType dt = dtype_by_onnx(attr_i(c, name));
    if (dt != DT_none && dt != DT_str && dtype_info(dt)->cls != DC_C) return set_type(c, 0, dt);
    return op_error(c, NO_OPERAND, "attribute-value", "%s is %lld, which is no number type", name,
                    (long long)attr_i(c, name));
}

/* Single value of input k as an extent: known, or `declared`, what the model says; NULL after a diagnostic. */
static const Expr *size_input(const OpCtx *c, int k, const Expr *declared)
{
    uint32_t n;
    int64_t lo, hi;
    const Expr *const *v;
    if (!in_known(c, k) && declared) return declared;
    if (!in_dims(c, k, &n, &v)) return NULL;
    if (n == 1 && ex_range(c->x, v[0], &lo, &hi) && lo >= 0 && hi <= INT32_MAX) return v[0];
    op_error(c, k, "signal-size", "'%s' is not a single size, or negative or without a bound", in_t(c, k)->name);
    return NULL;
}

/* ---- windows ---- */

static bool infer_window(OpCtx *c)
{
    const Expr *size = size_input(c, 0, declared_dim(c, 0, 1, 0));
    return size && type_from(c, "output_datatype") && set_shape(c, 0, 1, &size);
}

bool infer_HannWindow(OpCtx *c)
{
    return infer_window(c);
}
bool infer_HammingWindow(OpCtx *c)
{
    return infer_window(c);
}
bool infer_BlackmanWindow(OpCtx *c)
{
    return infer_window(c);
}

/* w[i] = a - b cos(2 pi i / n) + c cos(4 pi i / n), n the size or, for a symmetric window, one less. */
static bool lower_window(OpCtx *c, double w0, double w1, double w2)
{
    const Expr *i[1], *size = out_t(c, 0)->dim[0];
    const Expr *n = CAST(DT_f64, attr_i(c, "periodic") ? size : MAX(SUB(size, IX(1)), IX(1)));
    out_vars(c, 0, i);
    const Expr *turn = DIV(MUL(CAST(DT_f64, i[0]), D(2 * pi)), n);
    const Expr *v = SUB(D(w0), MUL(D(w1), UN(cos, turn)));
    return def_map(c, out_ten(c, 0), i, w2 == 0 ? v : ADD(v, MUL(D(w2), UN(cos, MUL(turn, D(2))))));
}

bool lower_HannWindow(OpCtx *c)
{
    return lower_window(c, 0.5, 0.5, 0);
}
bool lower_HammingWindow(OpCtx *c)
{
    return lower_window(c, 25.0 / 46, 21.0 / 46, 0);
}
bool lower_BlackmanWindow(OpCtx *c)
{
    return lower_window(c, 0.42, 0.5, 0.08);
}

/* ---- MelWeightMatrix ---- */

enum { MEL_bins, MEL_length, MEL_rate, MEL_lower, MEL_upper };

static bool read_mel(const OpCtx *c, double *v)
{
    for (int k = MEL_bins; k <= MEL_upper; k++) {
        if (!in_float(c, k, &v[k])) return false;
    }
    if (v[MEL_bins] >= 0 && v[MEL_bins] < 0x1p20 && v[MEL_length] >= 0 && v[MEL_length] < 0x1p30 && v[MEL_rate] >= 1 &&
        v[MEL_lower] >= 0 && v[MEL_upper] >= v[MEL_lower] && v[MEL_upper] < 0x1p30)
        return true;
    return op_error(c, NO_OPERAND, "mel-range", "%g bins, length %g, rate %g, edges %g to %g make no filters",
                    v[MEL_bins], v[MEL_length], v[MEL_rate], v[MEL_lower], v[MEL_upper]);
}

bool infer_MelWeightMatrix(OpCtx *c)
{
    double v[5];
    if (!read_mel(c, v)) return false;
    const Expr *dim[] = {IX((int64_t)v[MEL_length] / 2 + 1), IX((int64_t)v[MEL_bins])};
    return type_from(c, "output_datatype") && set_shape(c, 0, 2, dim);
}

/* Spectrum bins of the edges and centres, equally far from each other in mels: a constant. */
static uint32_t mel_edges(OpCtx *c, const double *v)
{
    const int64_t n = (int64_t)v[MEL_bins] + 2;
    int64_t *edge = NEWN(c->a, int64_t, n);
    const double low = 2595 * log10(1 + v[MEL_lower] / 700), high = 2595 * log10(1 + v[MEL_upper] / 700);
    for (int64_t k = 0; k < n; k++) {
        const double hertz = 700 * (pow(10, (low + (double)k * (high - low) / (double)n) / 2595) - 1);
        edge[k] = (int64_t)floor((v[MEL_length] + 1) * hertz / v[MEL_rate]);
    }
    const Expr *dim[] = {IX(n)};
    const uint32_t t = te_tensor(c->te, str_fmt(c->a, "%s.edges", out_t(c, 0)->name), DT_i64, TEN_const, 1, dim);
    ten(c->te, t)->data = blob_make(c->a, DT_i64, n, edge);
    return t;
}

/* A triangle over each three edges: up from the left one to the centre, down to the right one. */
bool lower_MelWeightMatrix(OpCtx *c)
{
    double v[5];
    const Expr *i[2], *edge[3];
    if (!read_mel(c, v)) return false;
    const uint32_t edges = mel_edges(c, v);
    out_vars(c, 0, i);
    for (int k = 0; k < 3; k++) {
        const Expr *at = ADD(i[1], IX(k));
        edge[k] = load_at(c, edges, &at);
    }
    const Expr *j = CAST(DT_i64, i[0]), *one = D(1);
    const Expr *up = DIV(CAST(DT_f64, SUB(j, edge[0])), CAST(DT_f64, SUB(edge[1], edge[0])));
    const Expr *down = DIV(CAST(DT_f64, SUB(edge[2], j)), CAST(DT_f64, SUB(edge[2], edge[1])));
    const Expr *rising = AND(LE(edge[0], j), LE(j, edge[1])), *falling = AND(LE(edge[1], j), LT(j, edge[2]));
    up = SEL(EQ(edge[0], edge[1]), one, up);
    return def_map(c, out_ten(c, 0), i, SEL(falling, down, SEL(rising, up, D(0))));
}

/* ---- DFT ---- */

/* A transform along one dimension of [.., n, .., parts]. */
typedef struct Dft {
    int axis, rank;
    bool inverse, onesided;
    const Expr *n;     /* length of the transform */
    const Expr *terms; /* how many elements it sums */
    const Expr *dim[MAX_RANK];
} Dft; /* dim: of the result */

static bool check_length(const OpCtx *c, int k, const Expr *n)
{
    enum { LONGEST = 46340 }; /* its square is an index */
    int64_t lo, hi;
    if (!ex_range(c->x, n, &lo, &hi) || lo < 1 || hi > LONGEST)
        return op_error(c, k, "dft-length", "the length of the transform is not within 1 to %d", LONGEST);
    return true;
}

static bool read_dft_axis(OpCtx *c, Dft *d)
{
    uint32_t n;
    const int64_t *v;
    int64_t axis = -2;
    if (has_in(c, 2)) {
        if (!in_ints(c, 2, &n, &v)) return false;
        if (n != 1) return op_error(c, 2, "axis", "'%s' must be a single value", in_t(c, 2)->name);
        axis = v[0];
    }
    if (!norm_axis(c, axis, d->rank, &d->axis)) return false;
    return d->axis < d->rank - 1 || op_error(c, 2, "axis", "the last dimension holds the parts of a number");
}

static bool read_dft(OpCtx *c, Dft *d)
{
    const Tensor *x = in_t(c, 0);
    *d = (Dft){.rank = x->rank, .inverse = attr_i(c, "inverse") != 0, .onesided = attr_i(c, "onesided") != 0};
    if (!in_rank(c, 0, 2, MAX_RANK) || !read_dft_axis(c, d)) return false;
    const Expr *parts = x->dim[d->rank - 1], *have = x->dim[d->axis], *one = IX(1);
    if (!ex_is_int(parts, 1) && !ex_is_int(parts, 2))
        return op_error(c, 0, "dft-parts", "the last dimension of '%s' must be 1 or 2", x->name);
    if (d->inverse && d->onesided && ex_is_int(parts, 1))
        return op_error(c, 0, "dft-parts", "the inverse of a one-sided transform needs complex input");
    d->n = d->inverse && d->onesided ? MUL(SUB(have, one), IX(2)) : have;
    if (has_in(c, 1)) {
        const bool whole = !d->onesided || d->inverse;
        d->n = size_input(c, 1, whole ? declared_dim(c, 0, d->rank, d->axis) : NULL);
        if (!d->n) return false;
    }
    if (!check_length(c, has_in(c, 1) ? 1 : 0, d->n)) return false;
    const Expr *half = ADD(FDIV(d->n, IX(2)), one);
    memcpy(d->dim, x->dim, sizeof d->dim);
    d->dim[d->rank - 1] = d->inverse && d->onesided ? one : IX(2);
    d->dim[d->axis] = d->onesided && !d->inverse ? half : d->n;
    d->terms = MIN(have, d->inverse && d->onesided ? half : d->n);
    return true;
}

bool infer_DFT(OpCtx *c)
{
    Dft d;
    return read_dft(c, &d) && set_shape(c, 0, d.rank, d.dim);
}

/* turn[j,p,q]: what part p of an element gives to part q of a frequency at angle 2 pi j / n. */
static uint32_t turns(OpCtx *c, const Expr *n, bool inverse, const Expr *parts_in, const Expr *parts_out, DType dt)
{
    const Expr *dim[] = {n, parts_in, parts_out}, *i[3];
    const uint32_t t = temp_ten(c, "turn", dt, 3, dim);
    vars_for(c, "jpq", 3, dim, i);
    const Expr *angle = DIV(MUL(CAST(DT_f64, i[0]), D(2 * pi)), CAST(DT_f64, n)), *sine = UN(sin, angle);
    const Expr *up = inverse ? UN(neg, sine) : sine;
    def_map(c, t, i, SEL(EQ(i[1], i[2]), UN(cos, angle), SEL(EQ(i[2], IX(0)), up, UN(neg, up))));
    return t;
}

/* Weight of frequency k of a one-sided spectrum: those whose mirror image is left out count twice. */
static const Expr *mirror(OpCtx *c, const Dft *d, DType dt, const Expr *k)
{
    const Expr *once = OR(EQ(k, IX(0)), EQ(MUL(k, IX(2)), d->n));
    return SEL(once, NUM(dt, 1), NUM(dt, 2));
}

static uint32_t mirrored(OpCtx *c, const Dft *d, uint32_t x)
{
    const Ten *p = ten(c->te, x);
    const DType dt = dtype_compute(p->dt);
    const uint32_t t = temp_ten(c, "mirrored", dt, p->rank, p->dim);
    const Expr *i[MAX_RANK];
    vars_for(c, "ijkl", p->rank, p->dim, i);
    def_map(c, t, i, MUL(load_at(c, x, i), mirror(c, d, dt, i[d->axis])));
    return t;
}

/* y[..k..,q] = sum(m,p) x[..m..,p] * turn[k*m mod n,p,q], for an inverse divided by n. */
static bool transform(OpCtx *c, const Dft *d, uint32_t x)
{
    const Ten *p = ten(c->te, x);
    const DType dt = dtype_compute(p->dt);
    const Expr *parts = p->dim[d->rank - 1], *i[MAX_RANK], *at[MAX_RANK];
    const uint32_t turn = turns(c, d->n, d->inverse, parts, d->dim[d->rank - 1], dt);
    const uint32_t sum = temp_ten(c, "sum", dt, d->rank, d->dim);
    const Expr *r[] = {red_var(c, "m", d->terms), red_var(c, "p", parts)}, *extent[] = {d->terms, parts};
    vars_for(c, "ijkl", d->rank, d->dim, i);
    memcpy(at, i, sizeof at);
    at[d->axis] = r[0];
    at[d->rank - 1] = r[1];
    const Expr *tat[] = {MOD(MUL(i[d->axis], r[0]), d->n), r[1], i[d->rank - 1]};
    def_reduce(c, sum, i, RED_sum, 2, r, extent, MUL(load_at(c, x, at), load_at(c, turn, tat)));
    out_vars(c, 0, i);
    const Expr *v = load_at(c, sum, i);
    return def_map(c, out_ten(c, 0), i, d->inverse ? DIV(v, CAST(dt, d->n)) : v);
}

bool lower_DFT(OpCtx *c)
{
    Dft d;
    if (!read_dft(c, &d)) return false;
    const uint32_t x = in_ten(c, 0);
    return transform(c, &d, d.inverse && d.onesided ? mirrored(c, &d, x) : x);
}

/* ---- STFT ---- */

enum { ST_signal, ST_step, ST_window, ST_length };

typedef struct Frames {
    Dft d; /* of the frames [b,frame,n,parts] along dimension 2 */
    const Expr *step, *count;
} Frames;

static bool read_frames(OpCtx *c, Frames *f)
{
    const Tensor *x = in_t(c, ST_signal);
    int64_t lo, hi;
    *f = (Frames){.d = {.axis = 2, .rank = 4, .onesided = attr_i(c, "onesided") != 0}};
    if (!in_rank(c, ST_signal, 3, 3) || (has_in(c, ST_window) && !in_rank(c, ST_window, 1, 1))) return false;
    if (!ex_is_int(x->dim[2], 1) && !ex_is_int(x->dim[2], 2))
        return op_error(c, ST_signal, "dft-parts", "the last dimension of '%s' must be 1 or 2", x->name);
    f->step = size_input(c, ST_step, NULL);
    f->d.n = has_in(c, ST_length)   ? size_input(c, ST_length, has_in(c, ST_window) ? in_t(c, ST_window)->dim[0] : NULL)
             : has_in(c, ST_window) ? in_t(c, ST_window)->dim[0]
                                    : x->dim[1];
    if (!f->step || !f->d.n || !check_length(c, ST_length, f->d.n)) return false;
    if (has_in(c, ST_window) && !require_dim(c, ST_window, 0, f->d.n, "stft-window")) return false;
    if (!ex_range(c->x, f->step, &lo, &hi) || lo < 1 || !ex_range(c->x, SUB(x->dim[1], f->d.n), &lo, &hi) || lo < 0)
        return op_error(c, ST_step, "stft-frames", "frame_step is 0, or the signal is shorter than a frame");
    f->count = ADD(FDIV(SUB(x->dim[1], f->d.n), f->step), IX(1));
    f->d.terms = f->d.n;
    f->d.dim[0] = x->dim[0];
    f->d.dim[1] = f->count;
    f->d.dim[2] = f->d.onesided ? ADD(FDIV(f->d.n, IX(2)), IX(1)) : f->d.n;
    f->d.dim[3] = IX(2);
    return true;
}

bool infer_STFT(OpCtx *c)
{
    Frames f;
    return read_frames(c, &f) && set_shape(c, 0, 4, f.d.dim);
}

/* frame[b,f,m,p] = signal[b, f*step + m, p] * window[m] */
bool lower_STFT(OpCtx *c)
{
    Frames f;
    const Expr *i[4];
    if (!read_frames(c, &f)) return false;
    const Tensor *x = in_t(c, ST_signal);
    const Expr *dim[] = {x->dim[0], f.count, f.d.n, x->dim[2]};
    const uint32_t t = temp_ten(c, "frame", dtype_compute(x->dt), 4, dim);
    vars_for(c, "bfmp", 4, dim, i);
    const Expr *at[] = {i[0], ADD(MUL(i[1], f.step), i[2]), i[3]}, *v = load_at(c, in_ten(c, ST_signal), at);
    if (has_in(c, ST_window)) v = MUL(v, load_at(c, in_ten(c, ST_window), &i[2]));
    def_map(c, t, i, v);
    return transform(c, &f.d, t);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Geometry of sliding windows: attributes to extents and pads, places to places. Formulas are those of the ONNX
 * operators Conv, MaxPool and ConvTranspose; reading never indexes an attribute before its length is checked.
 */
#include "window.h"

enum { MAX_STEP = 1 << 30 }; /* of strides, dilations, pads: products of two stay far inside 64 bits */

bool attr_list(const OpCtx *c, const char *name, int n, int64_t lo, int64_t fallback, int64_t *v)
{
    uint32_t have = 0;
    const int64_t *given = attr_has(c, name) ? attr_is(c, name, &have) : NULL;
    if (have != 0 && have != (uint32_t)n) {
        return op_error(c, NO_OPERAND, "attr-length", "attribute '%s' has length %u, expected %d", name, have, n);
    }
    for (int k = 0; k < n; k++) {
        v[k] = have ? given[k] : fallback;
        if (v[k] < lo || v[k] > MAX_STEP) {
            return op_error(c, NO_OPERAND, "attr-range", "attribute '%s' holds %lld, expected %lld to %d", name,
                            (long long)v[k], (long long)lo, MAX_STEP);
        }
    }
    return true;
}

bool attr_kernel(const OpCtx *c, int n, const Expr **kernel)
{
    int64_t v[MAX_SPATIAL];
    if (n > MAX_SPATIAL) {
        return op_error(c, 0, "unsupported-rank", "input has %d spatial dimensions, at most %d are supported", n,
                        MAX_SPATIAL);
    }
    if (!attr_list(c, "kernel_shape", n, 1, 0, v)) return false;
    for (int d = 0; d < n; d++) kernel[d] = IX(v[d]);
    return true;
}

const Expr *window_reach(OpCtx *c, const Window *w, int d)
{
    return ADD(MUL(SUB(w->kernel[d], IX(1)), IX(w->dilation[d])), IX(1));
}

typedef enum AutoPad { PAD_given, PAD_valid, PAD_upper, PAD_lower, PAD_count } AutoPad;

static bool read_auto_pad(OpCtx *c, AutoPad *p)
{
    static const char *const names[PAD_count] = {"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"};
    const char *s = attr_has(c, "auto_pad") ? attr_s(c, "auto_pad") : "NOTSET";
    for (int k = 0; k < PAD_count; k++) {
        *p = (AutoPad)k;
        if (strcmp(s, names[k]) == 0) return true;
    }
    return op_error(c, NO_OPERAND, "auto-pad", "auto_pad is '%s', expected NOTSET, VALID, SAME_UPPER or SAME_LOWER",
                    printable(c->a, s));
}

static bool read_steps(OpCtx *c, int n, const Expr *const *in, const Expr *const *kernel, Window *w)
{
    if (n < 1 || n > MAX_SPATIAL) {
        return op_error(c, 0, "unsupported-rank", "input has %d spatial dimensions, 1 to %d are supported", n,
                        MAX_SPATIAL);
    }
    *w = (Window){.n = n, .ceil = attr_has(c, "ceil_mode") && attr_i(c, "ceil_mode") != 0};
    memcpy(w->in, in, (size_t)n * sizeof *in);
    memcpy(w->kernel, kernel, (size_t)n * sizeof *kernel);
    return attr_list(c, "strides", n, 1, 1, w->stride) && attr_list(c, "dilations", n, 1, 1, w->dilation);
}

static bool read_pads(OpCtx *c, Window *w)
{
    int64_t v[2 * MAX_SPATIAL];
    if (!attr_list(c, "pads", 2 * w->n, 0, 0, v)) return false;
    for (int d = 0; d < w->n; d++) {
        w->begin[d] = IX(v[d]);
        w->end[d] = IX(v[w->n + d]);
    }
    return true;
}

/* The smaller half goes to the side that is not named: SAME_UPPER puts the extra pad at the end. */
static void split_pad(OpCtx *c, Window *w, int d, const Expr *total, bool upper)
{
    const Expr *half = FDIV(total, IX(2)), *rest = SUB(total, half);
    w->begin[d] = upper ? half : rest;
    w->end[d] = upper ? rest : half;
}

/* Number of whole windows in the padded input; with ceil also a last partial one that starts before the end pad. */
static bool count_windows(OpCtx *c, Window *w, int d)
{
    const Expr *padded = ADD(ADD(w->in[d], w->begin[d]), w->end[d]), *s = IX(w->stride[d]);
    const Expr *room = SUB(padded, window_reach(c, w, d));
    int64_t lo, hi;
    const bool known = ex_range(c->x, room, &lo, &hi);
    if (known && hi < 0) {
        return op_error(c, 0, "window-size", "the window covers %lld more elements than dimension %d with its pads has",
                        (long long)-hi, d + 2);
    }
    w->out[d] = ADD(FDIV(w->ceil ? ADD(room, SUB(s, IX(1))) : room, s), IX(1));
    if (w->ceil) {
        const Expr *last = SUB(ADD(w->in[d], w->begin[d]), IX(1));
        w->out[d] = MIN(w->out[d], ADD(FDIV(last, s), IX(1)));
    }
    if (!known || lo < 0) w->out[d] = MAX(w->out[d], IX(0));
    return true;
}

/* out = ceil(in / stride); the pad is what the last window lacks. */
static void pad_to_same(OpCtx *c, Window *w, int d, bool upper)
{
    const Expr *s = IX(w->stride[d]);
    w->out[d] = FDIV(ADD(w->in[d], SUB(s, IX(1))), s);
    const Expr *need = ADD(MUL(SUB(w->out[d], IX(1)), s), window_reach(c, w, d));
    split_pad(c, w, d, MAX(SUB(need, w->in[d]), IX(0)), upper);
}

bool window_read(OpCtx *c, int n, const Expr *const *in, const Expr *const *kernel, Window *w)
{
    AutoPad mode;
    if (!read_steps(c, n, in, kernel, w) || !read_auto_pad(c, &mode) || !read_pads(c, w)) return false;
    for (int d = 0; d < n; d++) {
        if (mode == PAD_valid) w->begin[d] = w->end[d] = IX(0);
        if (mode == PAD_upper || mode == PAD_lower) {
            pad_to_same(c, w, d, mode == PAD_upper);
        } else if (!count_windows(c, w, d)) {
            return false;
        }
    }
    return true;
}

/* Extent without pads: stride * (in - 1) + output_padding + reach. */
static const Expr *full_extent(OpCtx *c, const Window *w, int d, int64_t extra)
{
    return ADD(ADD(MUL(SUB(w->in[d], IX(1)), IX(w->stride[d])), window_reach(c, w, d)), IX(extra));
}

/* With output_shape, or with SAME (out = in * stride), pads follow from the output; else the output from the pads. */
static void transposed_extent(OpCtx *c, Window *w, int d, AutoPad mode, int64_t extra, int64_t shape)
{
    const Expr *full = full_extent(c, w, d, extra);
    const bool same = mode == PAD_upper || mode == PAD_lower;
    if (mode == PAD_valid) w->begin[d] = w->end[d] = IX(0);
    if (shape == 0 && !same) {
        w->out[d] = SUB(SUB(full, w->begin[d]), w->end[d]);
    } else {
        w->out[d] = shape ? IX(shape) : MUL(w->in[d], IX(w->stride[d]));
        split_pad(c, w, d, SUB(full, w->out[d]), mode == PAD_upper);
    }
}

bool window_read_transposed(OpCtx *c, int n, const Expr *const *in, const Expr *const *kernel, Window *w)
{
    AutoPad mode;
    int64_t extra[MAX_SPATIAL], shape[MAX_SPATIAL];
    if (!read_steps(c, n, in, kernel, w) || !read_auto_pad(c, &mode) || !read_pads(c, w)) return false;
    if (!attr_list(c, "output_padding", n, 0, 0, extra)) return false;
    if (!attr_list(c, "output_shape", n, 0, 0, shape)) return false;
    for (int d = 0; d < n; d++) {
        transposed_extent(c, w, d, mode, extra[d], shape[d]);
        int64_t lo, hi;
        const bool known = ex_range(c->x, w->out[d], &lo, &hi);
        if (known && hi < 0) {
            return op_error(c, 0, "window-size", "pads of dimension %d exceed the output by %lld elements", d + 2,
                            (long long)-hi);
        }
        if (!known || lo < 0) w->out[d] = MAX(w->out[d], IX(0));
    }
    return true;
}

void window_taps(OpCtx *c, const Window *w, const Expr **r)
{
    static const char *const names[] = {"r", "s", "t"};
    for (int d = 0; d < w->n; d++) r[d] = red_var(c, d < 3 ? names[d] : "u", w->kernel[d]);
}

void window_at(OpCtx *c, const Window *w, const Expr *const *o, const Expr *const *r, const Expr **at)
{
    for (int d = 0; d < w->n; d++) {
        at[d] = SUB(ADD(MUL(o[d], IX(w->stride[d])), MUL(r[d], IX(w->dilation[d]))), w->begin[d]);
    }
}

/* Number of taps of output place o with lo <= o * stride + r * dilation - begin < hi. */
static const Expr *taps_between(OpCtx *c, const Window *w, int d, const Expr *o, const Expr *lo, const Expr *hi)
{
    const Expr *step = IX(w->dilation[d]), *up = IX(w->dilation[d] - 1);
    const Expr *start = SUB(MUL(o, IX(w->stride[d])), w->begin[d]);
    const Expr *first = MAX(FDIV(ADD(SUB(lo, start), up), step), IX(0));
    const Expr *end = MIN(FDIV(ADD(SUB(hi, start), up), step), w->kernel[d]);
    return MAX(SUB(end, first), IX(0));
}

const Expr *window_count(OpCtx *c, const Window *w, bool padded, const Expr *const *o, DType dt)
{
    const Expr *n = NUM(dt, 1);
    for (int d = 0; d < w->n; d++) {
        const Expr *lo = padded ? SUB(IX(0), w->begin[d]) : IX(0), *hi = padded ? ADD(w->in[d], w->end[d]) : w->in[d];
        const bool whole = !w->ceil && (padded || (ex_is_int(w->begin[d], 0) && ex_is_int(w->end[d], 0)));
        n = MUL(n, CAST(dt, whole ? w->kernel[d] : taps_between(c, w, d, o[d], lo, hi)));
    }
    return n;
}

/* x with a * x = 1 modulo m, for coprime a and m: extended Euclid. */
static int64_t inverse(int64_t a, int64_t m)
{
    int64_t r0 = m, r1 = a % m, x0 = 0, x1 = 1;
    while (r1 > 1) {
        const int64_t q = r0 / r1, r = r0 % r1, x = x0 - q * x1;
        r0 = r1;
        r1 = r;
        x0 = x1;
        x1 = x;
    }
    return m == 1 ? 0 : floor_mod(x1, m);
}

/* Input i and tap r meet at e = o + begin = i * s + r * d. With g = gcd(s, d) that needs g | e; then all solutions are
 * r = r0 + q * s/g, i = (e - r * d) / s with r0 = e/g * inverse(d/g) mod s/g, q = 0, 1, ..: no tap is tried in vain.
 * As e and r0 * d leave the same rest modulo s, (e - r0 * d) / s is the difference of their quotients. */
static void meet_dim(OpCtx *c, const Window *w, int d, const Expr *o, Meet *m)
{
    const int64_t s = w->stride[d], dil = w->dilation[d], g = gcd_i64(s, dil), period = s / g;
    const Expr *e = ADD(o, w->begin[d]);
    const Expr *r0 = MOD(MUL(FDIV(e, IX(g)), IX(inverse(dil / g, period))), IX(period));
    m->count[d] = FDIV(ADD(w->kernel[d], IX(period - 1)), IX(period));
    m->q[d] = red_var(c, "q", m->count[d]);
    m->tap[d] = ADD(r0, MUL(m->q[d], IX(period)));
    m->at[d] = SUB(SUB(FDIV(e, IX(s)), FDIV(MUL(r0, IX(dil)), IX(s))), MUL(m->q[d], IX(dil / g)));
    if (g > 1) m->at[d] = SEL(EQ(MOD(e, IX(g)), IX(0)), m->at[d], IX(-1));
}

void window_meet(OpCtx *c, const Window *w, const Expr *const *o, Meet *m)
{
    for (int d = 0; d < w->n; d++) meet_dim(c, w, d, o[d], m);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * See requant.h. The proof: a result of 8 or 16 bits has few steps. The smallest sum whose rounded product exceeds k is
 * found exactly, by 128-bit integers, for every k of the result's range; both the rounded product and the fixed-point
 * form grow with the sum, so they are equal everywhere when they are equal on both sides of each step. The factor is
 * tried rounded down and up, with 31 bits and then with as many as the product has room for; ties, which occur when the
 * ratio is a simple one, need the form that rounds half to even. Sums of two products (QLinearAdd) are all tried.
 */
#include "requant.h"

#include <math.h>

#include "quant.h"

__extension__ typedef __int128 Wide;

enum { TERM = 255 };            /* terms of a pair lie in -TERM .. TERM */
enum { ROOM = 62, SHORT = 31 }; /* bits of a product with its rounding; bits of a factor that is kept as i32 */

/* ---- ratios ---- */

static int64_t make_odd(int64_t v, int *exp)
{
    for (; v % 2 == 0; v /= 2) ++*exp;
    return v;
}

/* Odd mantissa of a float, and its exponent. */
static int64_t mantissa(double v, int *exp)
{
    const double m = frexp(v, exp);
    *exp -= 24;
    return make_odd((int64_t)ldexp(m, 24), exp);
}

bool ratio_of(double x, double w, double y, int64_t n, Ratio *r)
{
    int ex, ew, ey, en = 0;
    const double all = x * w / (y * (double)n);
    if (!(x > 0 && w > 0 && y > 0 && isfinite(x) && isfinite(w) && isfinite(y)) || n < 1 || n > INT32_MAX) return false;
    if (!(all > ldexp(1, -48) && all < ldexp(1, 24))) return false;
    r->num = mantissa(x, &ex) * mantissa(w, &ew);
    r->den = mantissa(y, &ey) * make_odd(n, &en);
    r->exp = ex + ew - ey - en;
    const int64_t g = gcd_i64(r->num, r->den);
    r->num /= g;
    r->den /= g;
    return true;
}

static double ratio_value(const Ratio *r)
{
    return ldexp((double)r->num / (double)r->den, r->exp);
}

/* v >= 0 */
static int bits_of(Wide v)
{
    const uint64_t high = (uint64_t)(v >> 64), low = (uint64_t)v;
    return high ? 128 - __builtin_clzll(high) : low ? 64 - __builtin_clzll(low) : 0;
}

/* v * 2^n for v > 0, saturated at 2^126. */
static Wide raise(Wide v, int n)
{
    return bits_of(v) + n > 126 ? (Wide)1 << 126 : v << n;
}

static Wide floor_wide(Wide a, Wide b, bool *exact)
{
    const Wide q = a / b, r = a % b;
    *exact = r == 0;
    return q - (r < 0);
}

/* The smallest integer s with round_half_even(s * f) > k: s * f reaches k + 1/2, which rounds up when k is odd. */
static Wide step_behind(const Ratio *f, int64_t k)
{
    const int up = f->exp + 1;
    const int64_t odd = 2 * k + 1;
    bool exact;
    const Wide per = raise(f->num, up > 0 ? up : 0),
               level = raise((Wide)(odd < 0 ? -odd : odd) * f->den, up < 0 ? -up : 0);
    const Wide t = floor_wide(odd < 0 ? -level : level, per, &exact);
    return exact && (k & 1) ? t : t + 1;
}

/* ---- fixed point ---- */

static Wide fixed_wide(int64_t factor, int shift, bool even, Wide sum)
{
    const Wide v = sum * factor, half = (Wide)1 << (shift - 1);
    return (v + (even ? half - 1 + ((v >> shift) & 1) : half)) >> shift;
}

int64_t fixed_value(const FixedForm *form, int64_t k, int64_t sum)
{
    return (int64_t)fixed_wide(form->factor[k], form->shift, form->even, sum);
}

static bool proved(const Ratio *f, Span sum, Span out, int64_t factor, int shift, bool even)
{
    for (int64_t k = out.lo; k < out.hi; k++) {
        const Wide t = step_behind(f, k), below = t - 1 < sum.hi ? t - 1 : sum.hi, above = t > sum.lo ? t : sum.lo;
        if (below >= sum.lo && fixed_wide(factor, shift, even, below) > k) return false;
        if (above <= sum.hi && fixed_wide(factor, shift, even, above) <= k) return false;
    }
    return true;
}

/* floor(f * 2^shift) */
static Wide floor_factor(const Ratio *f, int shift)
{
    const int up = f->exp + shift;
    bool exact;
    return floor_wide(raise(f->num, up > 0 ? up : 0), raise(f->den, up < 0 ? -up : 0), &exact);
}

static bool choose_factor(const Ratio *f, Span sum, Span out, int shift, bool even, int64_t *factor)
{
    const Wide m = floor_factor(f, shift);
    for (int up = 0; up < 2; up++) {
        *factor = (int64_t)(m + up);
        if (proved(f, sum, out, *factor, shift, even)) return true;
    }
    return false;
}

/* The largest shift at which factors have `bits` bits and no product with its rounding and zero point exceeds ROOM. */
static int widest_shift(int64_t n, const Ratio *f, const Span *span, Span out, int bits)
{
    double top = 0, reach = 0;
    for (int64_t k = 0; k < n; k++) {
        const double v = ratio_value(&f[k]), far = fmax(fabs((double)span[k].lo), fabs((double)span[k].hi));
        top = fmax(top, v);
        reach = fmax(reach, v * far + far * 0x1p-32);
    }
    reach += fabs((double)out.lo) + fabs((double)out.hi) + 2;
    return (int)min_i64(bits - 1 - ilogb(top), ROOM - 1 - ilogb(reach));
}

/* Factors without powers of two that all have: the same numbers. */
static int reduce(int64_t n, int64_t *factor, int shift)
{
    int64_t all = 0;
    for (int64_t k = 0; k < n; k++) all |= factor[k];
    for (; shift > 1 && all != 0 && all % 2 == 0; all /= 2, shift--)
        for (int64_t k = 0; k < n; k++) factor[k] /= 2;
    return shift;
}

bool fixed_form(Arena *a, int64_t n, const Ratio *f, const Span *span, Span out, FixedForm *form)
{
    static const struct {
        int bits;
        bool even;
    } tries[] = {{SHORT, false}, {SHORT, true}, {ROOM, false}, {ROOM, true}};
    int64_t *factor = NEWN(a, int64_t, n + 1);
    for (size_t t = 0; t < COUNT(tries); t++) {
        const int shift = (int)min_i64(widest_shift(n, f, span, out, tries[t].bits), ROOM - 2);
        bool good = shift >= 1;
        for (int64_t k = 0; k < n && good; k++)
            good = choose_factor(&f[k], span[k], out, shift, tries[t].even, &factor[k]);
        if (!good) continue;
        *form = (FixedForm){reduce(n, factor, shift), tries[t].even, factor};
        return true;
    }
    return false;
}

/* ---- constants of the program ---- */

static bool all_equal(int64_t n, const int64_t *v)
{
    for (int64_t k = 1; k < n; k++) {
        if (v[k] != v[0]) return false;
    }
    return true;
}

/* Element `at` of n constants as a value of dt; kept as i32 where they fit. */
static const Expr *const_at(OpCtx *c, const char *hint, DType dt, int64_t n, const int64_t *v, const Expr *at)
{
    if (all_equal(n, v)) return ex_const_i(c->x, dt, v[0]);
    bool narrow = true;
    int32_t *low = NEWN(c->a, int32_t, n);
    for (int64_t k = 0; k < n; k++) {
        low[k] = (int32_t)v[k];
        narrow = narrow && low[k] == v[k];
    }
    const Expr *dim = IX(n);
    const DType kept = narrow ? DT_i32 : DT_i64;
    const uint32_t t = te_tensor(c->te, str_fmt(c->a, "%s.%s", out_t(c, 0)->name, hint), kept, TEN_const, 1, &dim);
    ten(c->te, t)->data = blob_make(c->cx->arena, kept, n, narrow ? (const void *)low : (const void *)v);
    return CAST(dt, load_at(c, t, &at));
}

static const Expr *shift_right(OpCtx *c, const Expr *v, const Expr *by)
{
    return ex_binary(c->x, EX_shr, v, by);
}

static const Expr *shift_left(OpCtx *c, const Expr *v, const Expr *by)
{
    return ex_binary(c->x, EX_shl, v, by);
}

static const Expr *wide(OpCtx *c, int64_t v)
{
    return ex_const_i(c->x, DT_i64, v);
}

/* ---- what the operands say ---- */

/* Everything that the form depends on, when all of it is a constant. */
typedef struct Known {
    int64_t n, zero;
    const Blob *x, *w, *y;
    Span out; /* range of the result before the zero point */
} Known;

static bool known(OpCtx *c, const Rescale *r, Known *k)
{
    const DType dt = out_t(c, 0)->dt;
    *k = (Known){.n = 1, .x = in_t(c, r->x)->data, .y = in_t(c, r->y)->data};
    if (r->w != NO_SCALE) k->w = in_t(c, r->w)->data;
    if (!k->x || !k->y || (r->w != NO_SCALE && !k->w) || k->x->count != 1 || k->y->count != 1) return false;
    if (k->w) k->n = k->w->count;
    if (r->zero >= 0 && has_in(c, r->zero)) {
        const Blob *zero = in_t(c, r->zero)->data;
        if (!zero || zero->count != 1) return false;
        k->zero = blob_i(zero, 0);
    }
    if (!dtype_is_int(dt) || dtype_info(dt)->bits > 16) return false;
    k->out = (Span){dtype_min(dt) - k->zero, dtype_max(dt) - k->zero};
    return true;
}

static double weight_scale(const Known *k, int64_t channel)
{
    return k->w ? blob_f(k->w, channel) : 1;
}

/* What the sum is divided by besides. There is no mean of no elements: its factor is never used. */
static int64_t divisor(const Rescale *r, int64_t channel)
{
    return r->n == BY_CHANNEL ? max_i64(channel, 1) : r->n;
}

/* Bounds of the sum by channel; of all channels together where there is one factor. */
static Span span_of(const Rescale *r, int64_t n, int64_t channel)
{
    if (r->nspan == n) return r->span[channel];
    Span s = r->span[0];
    for (int64_t k = 1; k < r->nspan; k++) s = (Span){min_i64(s.lo, r->span[k].lo), max_i64(s.hi, r->span[k].hi)};
    return s;
}

/* ---- real arithmetic ---- */

static const Expr *saturated(OpCtx *c, const Expr *v, const Rescale *r)
{
    const Expr *zero = r->zero >= 0 && has_in(c, r->zero) ? load_single(c, r->zero) : NULL;
    return to_quant(c, out_t(c, 0)->dt, v, zero, true);
}

static const Expr *real_scale(OpCtx *c, int k, const Expr *channel)
{
    const Expr *v = channel && in_t(c, k)->rank == 1 && !ex_is_int(in_t(c, k)->dim[0], 1)
                        ? load_at(c, in_ten(c, k), &channel)
                        : load_single(c, k);
    return CAST(DT_f64, v);
}

/* rint(sum * (x * w) / (y * n)). A product of two scales is exact in f64, so at most three roundings come before rint:
 * the result is the exact one unless sum * x * w / (y * n) is within 2^-51 of itself of a tie. count: n, NULL: r->n. */
static const Expr *real_value(OpCtx *c, const Rescale *r, const Expr *sum, const Expr *channel, const Expr *count)
{
    const Expr *up = real_scale(c, r->x, NULL), *down = real_scale(c, r->y, NULL);
    if (r->w != NO_SCALE) up = MUL(up, real_scale(c, r->w, channel));
    if (count || r->n != 1) down = MUL(down, count ? CAST(DT_f64, count) : NUM(DT_f64, (double)r->n));
    return saturated(c, DIV(MUL(CAST(DT_f64, sum), up), down), r);
}

/* ---- fixed-point forms of the rounded product ---- */

/* v >> shift, rounded, plus the zero point: both are added before the shift. */
static const Expr *rounded_shift(OpCtx *c, const Expr *v, int shift, bool even, int64_t zero)
{
    const int64_t half = (int64_t)1 << (shift - 1), add = zero * ((int64_t)1 << shift) + half - even;
    if (even) v = ADD(v, ex_binary(c->x, EX_band, shift_right(c, v, wide(c, shift)), wide(c, 1)));
    return shift_right(c, ADD(v, wide(c, add)), wide(c, shift));
}

/* As i32 when no sum leads outside. */
static const Expr *narrowed(OpCtx *c, const Expr *v, double reach)
{
    return reach < 0x1p30 ? CAST(DT_i32, v) : v;
}

/* Numbers of one scale keep their steps: no rounding. */
static bool is_one(const Ratio *f) { return f->num == 1 && f->den == 1 && f->exp == 0; }

static const Expr *exact_value(OpCtx *c, const Rescale *r, const Known *k, const Expr *sum, const Expr *channel)
{
    Ratio *f = NEWN(c->a, Ratio, k->n + 1);
    Span *span = NEWN(c->a, Span, k->n + 1);
    double reach = 0;
    FixedForm form;
    for (int64_t m = 0; m < k->n; m++) {
        if (!ratio_of(blob_f(k->x, 0), weight_scale(k, m), blob_f(k->y, 0), divisor(r, m), &f[m])) return NULL;
        span[m] = span_of(r, k->n, m);
        reach = fmax(reach, ratio_value(&f[m]) * fmax(fabs((double)span[m].lo), fabs((double)span[m].hi)));
    }
    if (k->n == 1 && is_one(&f[0])) {
        const DType dt = reach + fabs((double)k->zero) < 0x1p30 ? DT_i32 : DT_i64;
        return ex_castsat(c->x, out_t(c, 0)->dt, ADD(CAST(dt, sum), ex_const_i(c->x, dt, k->zero)));
    }
    if (!fixed_form(c->a, k->n, f, span, k->out, &form)) return NULL;
    const Expr *factor = const_at(c, "factor", DT_i64, k->n, form.factor, channel);
    const Expr *v = rounded_shift(c, MUL(CAST(DT_i64, sum), factor), form.shift, form.even, k->zero);
    return ex_castsat(c->x, out_t(c, 0)->dt, narrowed(c, v, reach + fabs((double)k->zero)));
}

/* ---- TensorFlow Lite ---- */

/* factor * 2^(shift - 31) is nearest to m, factor in [2^30, 2^31): TensorFlow Lite's QuantizeMultiplier. */
static void quantize_multiplier(double m, int64_t *factor, int64_t *shift)
{
    int e;
    int64_t fixed = (int64_t)round(frexp(m, &e) * 2147483648.0);
    if (fixed == (int64_t)1 << 31) {
        fixed /= 2;
        e++;
    }
    if (e < -31) {
        e = 0;
        fixed = 0;
    }
    *factor = fixed;
    *shift = e;
}

/* MultiplyByQuantizedMultiplier: of 32-bit sum << left, high = (2^30 + sum * factor) >> 31, then high / 2^right rounded
 * half away from zero, as i64. The doubling high multiply divides with a nudge by sign, which is the same number; and
 * high has the sign of the sum or is 0, where the sign does not matter. shifts: right is never 0. */
static const Expr *fixed_product(OpCtx *c, const Expr *sum, const Expr *factor, const Expr *left, const Expr *right,
                                 bool shifts)
{
    const Expr *one = wide(c, 1), *raised = CAST(DT_i64, ex_is_int(left, 0) ? sum : shift_left(c, sum, left));
    const Expr *high = shift_right(c, ADD(MUL(raised, factor), wide(c, (int64_t)1 << 30)), wide(c, 31));
    if (ex_is_int(right, 0)) return high;
    const Expr *half = shifts ? shift_left(c, one, SUB(right, one)) : shift_right(c, shift_left(c, one, right), one);
    const Expr *sign = shift_right(c, raised, wide(c, 63));
    if (!shifts) sign = SEL(EQ(right, wide(c, 0)), wide(c, 0), sign);
    return shift_right(c, ADD(ADD(high, half), sign), right);
}

/* The same by n factors, one for each channel. */
static const Expr *fixed_products(OpCtx *c, int64_t n, const double *m, const Expr *sum, const Expr *channel)
{
    int64_t *factor = NEWN(c->a, int64_t, n + 1), *left = NEWN(c->a, int64_t, n + 1),
            *right = NEWN(c->a, int64_t, n + 1);
    bool shifts = true;
    for (int64_t k = 0; k < n; k++) {
        int64_t shift;
        quantize_multiplier(m[k], &factor[k], &shift);
        left[k] = max_i64(shift, 0);
        right[k] = max_i64(-shift, 0);
        shifts = shifts && right[k] > 0;
    }
    /* one after the other: C does not say in which order it evaluates arguments, and constants keep theirs */
    const Expr *r = const_at(c, "right", DT_i64, n, right, channel);
    const Expr *l = const_at(c, "left", DT_i32, n, left, channel);
    return fixed_product(c, sum, const_at(c, "factor", DT_i64, n, factor, channel), l, r, shifts);
}

static const Expr *with_zero(OpCtx *c, const Expr *v, int64_t zero)
{
    return ex_castsat(c->x, out_t(c, 0)->dt, ADD(v, wide(c, zero)));
}

static const Expr *lacks_constant(OpCtx *c)
{
    (void)op_error(c, NO_OPERAND, "unsupported-scale",
                   "TensorFlow Lite rounding needs scales and zero points of results that are known when compiling");
    return NULL;
}

static const Expr *tflite_value(OpCtx *c, const Rescale *r, const Known *k, const Expr *sum, const Expr *channel)
{
    double *m = NEWN(c->a, double, k->n + 1);
    for (int64_t q = 0; q < k->n; q++) {
        m[q] = blob_f(k->x, 0) * weight_scale(k, q) / (blob_f(k->y, 0) * (double)r->n);
        if (!(m[q] >= 0 && m[q] < 0x1p30)) {
            (void)op_error(c, NO_OPERAND, "quant-scale", "scales give the factor %g", m[q]);
            return NULL;
        }
    }
    return with_zero(c, fixed_products(c, k->n, m, sum, channel), k->zero);
}

/* AVERAGE_POOL_2D does not rescale: (s + n/2) / n away from zero, s the sum of the integers as they are stored. */
static const Expr *tflite_mean(OpCtx *c, const Known *k, const Expr *sum, const Expr *n)
{
    const Expr *s = ADD(CAST(DT_i64, sum), MUL(n, wide(c, k->zero))), *half = DIV(n, wide(c, 2));
    const Expr *away = SEL(LT(wide(c, 0), s), ADD(s, half), SUB(s, half));
    return ex_castsat(c->x, out_t(c, 0)->dt, DIV(away, n));
}

const Expr *rescale(OpCtx *c, const Rescale *r, const Expr *sum, const Expr *channel)
{
    Known k;
    Span all = {INT32_MIN, INT32_MAX};
    Rescale spanned = *r;
    const bool is = known(c, r, &k);
    if (c->cx->tflite_rounding) return is ? tflite_value(c, r, &k, sum, channel) : lacks_constant(c);
    if (r->nspan == 0) {
        (void)ex_range(c->x, sum, &all.lo, &all.hi);
        spanned.nspan = 1;
        spanned.span = &all;
    }
    const Expr *v = is ? exact_value(c, &spanned, &k, sum, channel) : NULL;
    return v ? v : real_value(c, r, sum, channel, NULL);
}

enum { MOST_COUNTS = 1024 }; /* elements of a window that borders cut short */

/* A mean of n elements, 0 to most of them: the factors of all these numbers are a vector. NULL: they have no common form. */
static const Expr *counted_mean(OpCtx *c, const Rescale *r, const Known *k, const Expr *sum, const Expr *n, int64_t most)
{
    Rescale mean = *r;
    Known counts = *k;
    Span *span = NEWN(c->a, Span, most + 1);
    for (int64_t m = 0; m <= most; m++) span[m] = (Span){-TERM * m, TERM * m};
    mean.n = BY_CHANNEL;
    counts.n = mean.nspan = most + 1;
    mean.span = span;
    return exact_value(c, &mean, &counts, sum, n);
}

/* Where both scales are one: rint(sum / n) in floats. A quotient of a sum below 2^24 that lies on a tie is a float, and others are further
 * from one than floats are from each other, so this is exact where 1 / n has no fixed-point form (n = 6: ties of which it is a third). */
static const Expr *quotient_mean(OpCtx *c, const Rescale *r, const Expr *sum, const Expr *n)
{
    return saturated(c, DIV(CAST(DT_f32, sum), CAST(DT_f32, n)), r);
}

const Expr *rescale_mean(OpCtx *c, const Rescale *r, const Expr *sum, const Expr *n)
{
    Known k;
    int64_t least, most;
    const bool is = known(c, r, &k), fixed = ex_is_const(n) && n->v.i > 0 && n->v.i <= INT32_MAX / TERM;
    const bool few = is && ex_range(c->x, n, &least, &most) && least >= 0 && most <= MOST_COUNTS;
    const bool same = is && blob_f(k.x, 0) == blob_f(k.y, 0);
    if (c->cx->tflite_rounding && same) return tflite_mean(c, &k, sum, CAST(DT_i64, n));
    if (!fixed) {
        const Expr *v = !few || c->cx->tflite_rounding ? NULL : same ? quotient_mean(c, r, sum, n) : counted_mean(c, r, &k, sum, n, most);
        return v ? v : real_value(c, r, sum, NULL, n);
    }
    const Span span = {-TERM * n->v.i, TERM * n->v.i};
    Rescale mean = *r;
    mean.n = n->v.i;
    mean.nspan = 1;
    mean.span = &span;
    return rescale(c, &mean, sum, NULL);
}

/* ---- two terms ---- */

/* Both ratios over one denominator: (s * a + t * b) / den for s and t of these bounds. */
typedef struct PairRatio {
    Wide a, b, den;
    Span s, t;
} PairRatio;

static bool pair_ratio(double x, double w, double y, PairRatio *p)
{
    Ratio a, b;
    if (!ratio_of(x, 1, y, 1, &a) || !ratio_of(w, 1, y, 1, &b)) return false;
    const int low = (int)min_i64(min_i64(a.exp, b.exp), 0);
    if (bits_of(a.num) + bits_of(b.den) + a.exp - low > 100 || bits_of(b.num) + bits_of(a.den) + b.exp - low > 100 ||
        bits_of(a.den) + bits_of(b.den) - low > 100)
        return false;
    p->a = (Wide)a.num * b.den << (a.exp - low);
    p->b = (Wide)b.num * a.den << (b.exp - low);
    p->den = (Wide)a.den * b.den << -low;
    return true;
}

static int64_t clamp_to(Wide v, Span out)
{
    return v < out.lo ? out.lo : v > out.hi ? out.hi : (int64_t)v;
}

/* round_half_even(n / d) */
static Wide nearest(Wide n, Wide d)
{
    bool exact;
    const Wide q = floor_wide(n, d, &exact), twice = 2 * (n - q * d);
    return q + (twice > d || (twice == d && (q & 1)));
}

static bool pair_proved(const PairRatio *p, Span out, const int64_t *m, int shift, bool even)
{
    for (int64_t s = p->s.lo; s <= p->s.hi; s++) {
        for (int64_t t = p->t.lo; t <= p->t.hi; t++) {
            const Wide fixed = fixed_wide(1, shift, even, (Wide)m[0] * s + (Wide)m[1] * t);
            if (clamp_to(fixed, out) != clamp_to(nearest(p->a * s + p->b * t, p->den), out)) return false;
        }
    }
    return true;
}

/* Factors of at most SHORT bits and a shift that give every sum of two terms right. */
static bool pair_form(const PairRatio *p, Span out, int64_t *m, int *shift, bool *even)
{
    bool exact;
    const Wide top = p->a > p->b ? p->a : p->b;
    *shift = 0;
    while (*shift < 44 && floor_wide(top << (*shift + 1), p->den, &exact) < (Wide)1 << SHORT &&
           bits_of(top) + *shift < 120)
        ++*shift;
    if (*shift < 1) return false;
    m[0] = (int64_t)nearest(p->a << *shift, p->den);
    m[1] = (int64_t)nearest(p->b << *shift, p->den);
    *shift = reduce(2, m, *shift);
    *even = !pair_proved(p, out, m, *shift, false);
    return !*even || pair_proved(p, out, m, *shift, true);
}

/* ADD of TensorFlow Lite: terms with 20 more bits are brought to twice the larger scale, added, brought to y. */
static const Expr *tflite_pair(OpCtx *c, const Known *k, const Expr *p, const Expr *q)
{
    enum { EXTRA = 20 };
    const double x = blob_f(k->x, 0), w = blob_f(k->w, 0), common = 2 * fmax(x, w);
    const double ma = x / common, mb = w / common, my = common / (ldexp(1, EXTRA) * blob_f(k->y, 0));
    if (!(x > 0 && w > 0 && my > 0 && my < 0x1p30)) {
        (void)op_error(c, NO_OPERAND, "quant-scale", "scales %g, %g and %g do not go together", x, w, blob_f(k->y, 0));
        return NULL;
    }
    const Expr *up = ex_const_i(c->x, DT_i32, 1 << EXTRA);
    const Expr *a = fixed_products(c, 1, &ma, MUL(p, up), NULL), *b = fixed_products(c, 1, &mb, MUL(q, up), NULL);
    return with_zero(c, fixed_products(c, 1, &my, CAST(DT_i32, ADD(a, b)), NULL), k->zero);
}

static bool is_term(Span s)
{
    return s.lo >= -TERM && s.hi <= TERM;
}

static const Expr *exact_pair(OpCtx *c, const Known *k, const Expr *p, const Expr *q)
{
    PairRatio f;
    int64_t m[2];
    int shift;
    bool even;
    if (!ex_range(c->x, p, &f.s.lo, &f.s.hi) || !ex_range(c->x, q, &f.t.lo, &f.t.hi) || !is_term(f.s) || !is_term(f.t))
        return NULL;
    if (!pair_ratio(blob_f(k->x, 0), blob_f(k->w, 0), blob_f(k->y, 0), &f) || !pair_form(&f, k->out, m, &shift, &even))
        return NULL;
    const Expr *a = MUL(CAST(DT_i64, p), wide(c, m[0])), *b = MUL(CAST(DT_i64, q), wide(c, m[1]));
    const double reach = TERM * ldexp((double)(m[0] + m[1]), -shift) + fabs((double)k->zero);
    return ex_castsat(c->x, out_t(c, 0)->dt, narrowed(c, rounded_shift(c, ADD(a, b), shift, even, k->zero), reach));
}

const Expr *rescale_pair(OpCtx *c, const Rescale *r, const Expr *p, const Expr *q)
{
    Known k;
    const bool is = known(c, r, &k) && k.n == 1;
    if (c->cx->tflite_rounding) return is ? tflite_pair(c, &k, p, q) : lacks_constant(c);
    const Expr *v = is && dtype_info(out_t(c, 0)->dt)->bits == 8 ? exact_pair(c, &k, p, q) : NULL;
    if (v) return v;
    const Expr *a = MUL(CAST(DT_f64, p), real_scale(c, r->x, NULL)),
               *b = MUL(CAST(DT_f64, q), real_scale(c, r->w, NULL));
    return saturated(c, DIV(ADD(a, b), real_scale(c, r->y, NULL)), r);
}

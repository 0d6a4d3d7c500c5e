/* SPDX-License-Identifier: Apache-2.0
 *
 * The numbers of a scaled sum in floats (auto_scale.c), and the proof that they give what the integers give: both grow with the sum, so they are equal
 * everywhere when they are equal on both sides of each of the result's 255 steps.
 *
 * Of a moved sum, x = 1.5*2^23 + moved + sum,
 *
 *   rint(x*scale + offset) = 1.5*2^23 + rint(sum*scale + e)      e = (1.5*2^23 + moved)*scale + offset - 1.5*2^23
 *
 * offset is a whole number, as floats of its size are, so e is the fraction of (1.5*2^23 + moved)*scale, or what that lacks to 1. The steps bound e from
 * both sides, and `moved` is the least for which it lies between: scale is n / 2^p, so k*n modulo 2^p is what has to be in an interval.
 */
#include <math.h>

#include "auto_scale.h"

__extension__ typedef __int128 Wide;

enum { MOST_GAIN = 4096, MOST_POWER = 24, EXPONENT_AT = 23 };
enum { NEAR_SCALES = 16 }; /* half of them to each side */
enum { FLOAT_BITS = 24, MOST_FRACTION = 50 };

/* Not saturated; sum with its bias. */
static Wide integer_value(const Scaled *s, const Channel *c, int64_t sum)
{
    const Wide v = (Wide)sum * c->factor;
    return (v + s->add + (s->even ? (v >> s->shift) & 1 : 0)) >> s->shift;
}

int64_t whole_part(const Scaled *s) { return s->add >> s->shift; }

static int32_t bits_of(float v)
{
    int32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

/* a + bits_f32(bits_i32(a) + power) */
static float with_power(float a, int32_t power)
{
    const int32_t bits = bits_of(a) + power;
    float b;
    memcpy(&b, &bits, sizeof b);
    return a + b;
}

static int64_t float_value(const Scaled *s, const Floats *f, int64_t sum)
{
    const float a = (float)(sum - f->apart);
    if (f->form == FORM_moved)
        return (int64_t)bits_of(fmaf(a, f->scale, f->offset)) - AUTO_ROUNDER_BITS + whole_part(s);
    const float multiple = f->form == FORM_plain ? a : f->form == FORM_power ? with_power(a, f->power) : fmaf(a, f->gain, f->offset);
    return (int64_t)bits_of(fmaf(multiple, f->scale, (float)AUTO_ROUNDER)) - AUTO_ROUNDER_BITS + whole_part(s);
}

static void find_steps(const Scaled *s, Channel *c)
{
    const double unit = ldexp(1, s->shift);
    for (int q = 0; q < STEPS; q++) {
        const int64_t result = dtype_min(s->dt) + q;
        int64_t t = (int64_t)ceil((((double)result + 1) * unit - (double)s->add) / (double)c->factor);
        while (integer_value(s, c, t) <= result)
            t++;
        while (integer_value(s, c, t - 1) > result)
            t--;
        c->step[q] = t;
    }
}

/* Sums on both sides of step q that can occur. */
typedef struct Sides { int64_t below, above; } Sides;

static Sides sides_of(const Scaled *s, const Channel *c, int q)
{
    const int64_t lo = c->bias - s->most, hi = c->bias + s->most;
    return (Sides){max_i64(min_i64(c->step[q] - 1, hi), lo), min_i64(max_i64(c->step[q], lo), hi)};
}

static bool agrees(const Scaled *s, const Channel *c, const Floats *f)
{
    for (int q = STEPS; q-- > 0;) {
        const Sides at = sides_of(s, c, q);
        const int64_t result = dtype_min(s->dt) + q;
        for (int k = 0; k < 2; k++) {
            const int64_t sum = k ? at.above : at.below;
            if ((float_value(s, f, sum) > result) != (sum >= c->step[q]))
                return false;
        }
    }
    return true;
}

/* ---- a moved sum ---- */

/* The least k >= 0 for which a*k modulo m lies in lo..hi, where 0 <= lo <= hi < m; -1: there is none. By Euclid: between lo and hi + m*y there is a
 * multiple of a where m*y modulo a is in an interval of the same kind. */
static Wide least_multiple(Wide a, Wide m, Wide lo, Wide hi)
{
    if (lo == 0)
        return 0;
    if (a == 0)
        return -1;
    const Wide k = (lo + a - 1) / a;
    if (a * k <= hi)
        return k;
    const Wide y = least_multiple(m % a, a, a - hi % a, a - lo % a);
    return y < 0 ? y : (lo + m * y + a - 1) / a;
}

/* Between what e must lie for a scale. Differences are exact: a sum has 23 bits, a scale 24. */
static void error_bounds(const Scaled *s, const Channel *c, double scale, double *lo, double *hi)
{
    *lo = -0.5;
    *hi = 0.5;
    for (int q = STEPS; q-- > 0 && *lo < *hi;) { /* the largest sums say first that a scale is too coarse */
        const Sides at = sides_of(s, c, q);
        const double level = (double)(dtype_min(s->dt) + q - whole_part(s)) + 0.5;
        if (at.below < c->step[q])
            *hi = fmin(*hi, level - (double)at.below * scale);
        if (at.above >= c->step[q])
            *lo = fmax(*lo, level - (double)at.above * scale);
    }
}

/* scale = *n / 2^*p, n of 24 bits; false: it is no fraction, or too fine for error_bounds to be exact. */
static bool as_quotient(float scale, int64_t *n, int *p)
{
    int exponent;
    *n = (int64_t)ldexp(frexp((double)scale, &exponent), FLOAT_BITS);
    *p = FLOAT_BITS - exponent;
    return *p >= 1 && *p <= MOST_FRACTION;
}

/* The numbers for one scale. */
static bool find_moved_by(const Scaled *s, const Channel *c, float scale, Floats *f)
{
    double least, most;
    int64_t n;
    int p;
    error_bounds(s, c, (double)scale, &least, &most);
    if (!as_quotient(scale, &n, &p))
        return false;
    const Wide m = (Wide)1 << p, first = (Wide)AUTO_ROUNDER - s->down, lo = (Wide)floor(ldexp(least, p)) + 1, hi = (Wide)ceil(ldexp(most, p)) - 1;
    if (lo > hi)
        return false;
    const Wide from = ((lo - first * n) % m + m) % m, k = from + (hi - lo) >= m ? 0 : least_multiple(n % m, m, from, from + (hi - lo));
    if (k < 0 || k > s->down + s->up)
        return false;
    const Wide at = first + k, whole = (at * n - lo) >> p; /* at*n less what lies in lo..hi */
    *f = (Floats){.form = FORM_moved, .scale = scale, .apart = -(int64_t)at, .moved = (int32_t)(at - (Wide)AUTO_ROUNDER)};
    f->offset = (float)((Wide)AUTO_ROUNDER - whole);
    return (Wide)f->offset == (Wide)AUTO_ROUNDER - whole && agrees(s, c, f);
}

/* Scales next to the factor, the nearest first. */
static bool find_moved(const Scaled *s, const Channel *c, Floats *f)
{
    float above = (float)ldexp((double)c->factor, -s->shift), below = above;
    bool found = find_moved_by(s, c, above, f);
    for (int k = 0; k < NEAR_SCALES && !found; k++) {
        float *scale = k % 2 ? &below : &above;
        *scale = nextafterf(*scale, k % 2 ? 0 : INFINITY);
        found = find_moved_by(s, c, *scale, f);
    }
    return found;
}

/* ---- a sum, or a multiple of it ---- */

/* Bounds of gain * scale: below every step sum * gain * scale must be rounded down, above it up. */
static void slope_bounds(const Scaled *s, const Channel *c, double *lo, double *hi)
{
    *lo = 0;
    *hi = INFINITY;
    for (int q = 0; q < STEPS; q++) {
        const Sides at = sides_of(s, c, q);
        const double level = (double)(dtype_min(s->dt) + q - whole_part(s)) + 0.5;
        if (at.below < c->step[q] && at.below != 0)
            *(at.below > 0 ? hi : lo) = at.below > 0 ? fmin(*hi, level / (double)at.below) : fmax(*lo, level / (double)at.below);
        if (at.above >= c->step[q] && at.above != 0)
            *(at.above > 0 ? lo : hi) = at.above > 0 ? fmax(*lo, level / (double)at.above) : fmin(*hi, level / (double)at.above);
    }
}

/* Try k of a form, before its scale is known; returns what it multiplies a sum with. Exponents begin with the sum's own, twice which is
 * as good as the sum: all channels are computed alike. */
static double take_try(const Scaled *s, const Channel *c, Form form, int k, Floats *f)
{
    *f = (Floats){.form = form, .gain = (float)(k + 1), .power = k << EXPONENT_AT};
    if (form == FORM_gain) {
        f->apart = s->starts ? -(int64_t)AUTO_ROUNDER : c->bias;
        f->offset = (float)((k + 1) * f->apart);
    }
    return form == FORM_plain ? 1 : form == FORM_power ? 1 + ldexp(1, k) : k + 1;
}

/* The first try with a scale that gives every step right. */
static bool find_multiple(const Scaled *s, const Channel *c, Form form, Floats *f)
{
    static const int tries[FORMS] = {[FORM_plain] = 1, [FORM_power] = MOST_POWER + 1, [FORM_gain] = MOST_GAIN};
    double lo, hi;
    slope_bounds(s, c, &lo, &hi);
    const double near = ldexp((double)c->factor, -s->shift), slope = lo <= hi && hi < INFINITY ? (lo + hi) / 2 : near;
    for (int k = 0; k < tries[form]; k++) {
        const double by = take_try(s, c, form, k, f);
        f->scale = (float)(slope / by);
        const double have = (double)f->scale * by;
        if ((have == slope || (have >= lo && have <= hi)) && agrees(s, c, f))
            return true;
    }
    return false;
}

bool find_floats(const Scaled *s, Channel *c, Form form, Floats *f)
{
    find_steps(s, c);
    return form == FORM_moved ? find_moved(s, c, f) : find_multiple(s, c, form, f);
}

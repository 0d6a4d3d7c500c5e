/* SPDX-License-Identifier: Apache-2.0
 *
 * From an integer sum to the scale of a result: saturate(round_half_even(sum * x * w / (y * n)) + zero).
 *
 * The factor is a rational number, for scales are floats. Where it is known when compiling, the result is written as an
 * integer multiply, add and shift that is proved to equal the rounded real product for every sum that can occur (see
 * requant.c); otherwise as a product and a quotient of f64. With --int-rounding=tflite it is the fixed-point product of
 * TensorFlow Lite (gemmlowp's doubling high multiply, then a rounding shift), bit for bit.
 */
#ifndef MLCC_OP_REQUANT_H
#define MLCC_OP_REQUANT_H

#include "../op.h"

enum { NO_SCALE = -1, BY_CHANNEL = 0 };

/* num / den * 2^exp, num and den odd. */
typedef struct Ratio {
    int64_t num, den;
    int exp;
} Ratio;

/* Bounds of a sum. */
typedef struct Span {
    int64_t lo, hi;
} Span;

/* How integers come to the scale of output 0. */
typedef struct Rescale {
    int x, w, y;   /* operands: scales of one element, w also a vector; w may be NO_SCALE */
    int zero;      /* operand: zero point of the output, one element; may be absent */
    int64_t n;     /* what the sum is divided by besides: 1, or the elements of a mean; BY_CHANNEL: the number of the channel */
    int64_t nspan; /* bounds of the sum: one or one for each channel; 0: those of the expression */
    const Span *span;
} Rescale;

/* Value of output 0 (its type, saturated) for a sum of type i32; channel: index into a vector of w scales, else NULL.
 * NULL after a diagnostic: "quant-scale", or "unsupported-scale" when TensorFlow Lite rounding lacks a constant. */
const Expr *rescale(OpCtx *c, const Rescale *r, const Expr *sum, const Expr *channel);

/* Value of output 0 for the mean of n (an index) integers of 8 bits less their zero points, whose sum is given; no w. */
const Expr *rescale_mean(OpCtx *c, const Rescale *r, const Expr *sum, const Expr *n);
/* Value of output 0 for p * a + q * b, p and q such integers, a and b the scales x and w of r. */
const Expr *rescale_pair(OpCtx *c, const Rescale *r, const Expr *p, const Expr *q);

/* The parts, for tests. */
bool ratio_of(double x, double w, double y, int64_t n, Ratio *r); /* false: not positive, not finite or out of reach */
typedef struct FixedForm {
    int shift;
    bool even;
    const int64_t *factor;
} FixedForm;
/* Finds factors and a shift such that (s * factor[k] + half) >> shift, clamped into `out`, equals the rounded product
 * s * f[k] for all s of span[k]; half is 2^(shift - 1), less 1 - bit 0 of the quotient when `even`. The factors have at
 * most 31 bits where that suffices. False: there are none. */
bool fixed_form(Arena *a, int64_t n, const Ratio *f, const Span *span, Span out, FixedForm *form);
int64_t fixed_value(const FixedForm *form, int64_t k, int64_t sum);

#endif

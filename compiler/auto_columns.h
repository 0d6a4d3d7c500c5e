/* SPDX-License-Identifier: Apache-2.0
 *
 * Windows over pairs of columns: a depthwise product whose operand lies two columns side by side behind each channel, so that a dot of vectors
 * takes two taps,
 *
 *   y[m,i,j] = sum(r,s) v[m, .., t*j + s + o | pad] * k[m,r,s]                                    t 1 or 2
 *   n[m,i,j] = sum(r,e,u) i32(v'[m, .., f + e, u | pad]) * i32(k'[m,p,r,e,u])                     v'[m,i,f,u] = v[m,i,2*f+u], f = (t*j + o) div 2
 *
 * k' holds k[m,r, 2*e + u - q], 0 beyond its taps, q being where the window begins in a pair: of t = 1 there are two such windows, for p = j mod 2.
 * What v' holds of v (auto_fixed.c) is the business of who asks.
 */
#ifndef MLCC_AUTO_COLUMNS_H
#define MLCC_AUTO_COLUMNS_H

#include "auto.h"

enum { COLUMNS = 2 }; /* of a pair */

/* y: stage s sums over a window that moves along dimension `column` of v by `step`, as variable var of the stage and rvar `tap`: it reads
 * step * var + tap + at. */
typedef struct Window { const Stage *s; Dot d; int column, var, tap; int64_t step, at, taps, pairs; } Window;

/* Weights of a depthwise product: element `lane`, place, tap of the walk over k, places being those of the other variables of its sum. */
typedef struct WindowWeights { const Blob *from; ElementWalk walk[MAX_RANK + 2]; uint8_t n; int64_t at, lanes, places, taps; } WindowWeights;

/* Stage k as a window; false: it is none. Whether v may lie by pairs, of whose making the window is the only reader; whether they are rows of the
 * tile of the product d of stage k, which makes v; and the map that alone reads y, NO_STAGE: there is none. */
bool find_window(const Auto *g, uint32_t k, Window *w);
bool window_splits(const Auto *g, const Window *w);
bool window_follows(const Auto *g, const Window *w, uint32_t k, const Dot *d);
uint32_t window_reader(const Auto *g, const Window *w);

bool find_window_weights(const Auto *g, const Window *w, WindowWeights *k); /* false: they are too many, or not a walk over memory */
double window_weight(const WindowWeights *k, int64_t lane, int64_t i);      /* of place and tap as one number */

/* The product that makes v, and the maps behind it, by pairs of columns. Returns the tensor that holds them. */
uint32_t split_columns(Auto *g, const Window *w, uint32_t product);

/* n, before the stage of y, of tensor t, whose element is i16 by now; k' counts step[lane] each (NULL: 1), of which zero[lane] becomes the sum
 * (NULL: not wanted). Returns its tensor. And, once nobody reads y, the same by pairs of columns where the window moves by one. */
uint32_t sum_columns(Auto *g, const Window *w, const WindowWeights *k, uint32_t t, int64_t pad, const double *step, int64_t *zero);
uint32_t split_sums(Auto *g, const Window *w, uint32_t n);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs: columns and channels of a window as one reduction. Where both lie side by side in a copy f of x, what one output reads
 * of a row of its window is one run of elements. A column of f may have more elements than x has channels, and a run more than
 * the window has columns: there the constant is zero.
 *
 *   y[m,i,j] = sum(c:C,r:R,s:S) x[c,i+r,2*j+s-1] * w[m,c,r,s]
 *
 *   f[i,p] = x[p mod E, i, p div E - 1]                              E elements of a column
 *   y[m,i,j] = sum(r:R,e:n) f[i+r,2*E*j+e] * w'[m,r,e]               e = E*s + c
 *
 * Where f pays, and what it holds on its borders, is decided in auto_flatten.c and auto_rows.c.
 */
#ifndef MLCC_AUTO_RUN_H
#define MLCC_AUTO_RUN_H

#include "auto.h"

typedef struct Run {
    const Stage *s;
    const Expr *x, *w;         /* loads */
    int row, column, channel;  /* dimensions of x; row -1: f has no borders above and below; channel -1: it stays where it is */
    const Expr *tap, *depth;   /* reduction variables of column and channel; depth NULL: it stays, or there is one channel */
    int wtap, wdepth;          /* dimensions of w that they walk; wdepth -1: there is none */
    int64_t taps, channels;
    int64_t each, length;      /* elements of a column of f, of a run */
    int64_t left, top;         /* columns and rows of f before those of x */
    int64_t width, height;     /* elements of a row of f, its rows */
} Run;

/* Completes r, whose stage, loads and dimensions are given: columns are a multiple of `beside` elements, runs one of `whole`.
 * False: columns and channels are not such. */
bool run_of(const Auto *g, Run *r, int64_t beside, int64_t whole);

/* The stage of f but for its body: dimensions of x that stay, named after kept[0..3], then rows i and elements p. index: where in
 * x, or beside it, an element comes from. */
Stage *run_copy(Auto *g, const Run *r, const char *name, const char *const *kept, const Expr **index);

uint32_t run_constant(Auto *g, const Run *r, const char *name);                   /* w' */
Stage *run_product(Auto *g, const Run *r, const Expr *body, uint32_t f, uint32_t w); /* body: of the product of x and w */

#endif

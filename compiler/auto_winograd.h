/* SPDX-License-Identifier: Apache-2.0
 * Convolutions that minimal filtering does (auto_winograd.c): what they look like, and whether it pays. */
#ifndef MLCC_AUTO_WINOGRAD_H
#define MLCC_AUTO_WINOGRAD_H

#include "auto.h"

enum { TAPS = 3 };

/* bt[p][p], at[t][p], g[p][3], with stride 2 and a row for the tap between; growth: of a value's magnitude by both of bt. The output transform gives
 * y << shift, modulo 2^32 times what `inverse` undoes. */
typedef struct Filtering { int stride, tile, points; const double *bt, *at, *g; int32_t growth, shift, inverse; } Filtering;

/* Products along one side of a tile, of which its input has as many numbers: of points, and of what lies between every other number. */
static inline int winograd_side(const Filtering *f) { return f->points + (f->stride - 1) * f->tile; }
static inline int64_t winograd_products(const Filtering *f) { return (int64_t)winograd_side(f) * winograd_side(f); }

/* Matrices of the constant: what lies between has one row of G for all. */
static inline int64_t winograd_matrices(const Filtering *f) { return (int64_t)(f->points + f->stride - 1) * (f->points + f->stride - 1); }

/* y[.., out, .., row, col] = sum(channel, tap, tap) x * w, as found in a stage. Numbers of variables and dimensions. */
typedef struct Conv {
    const Stage *s;
    const Expr *x, *w;          /* loads */
    const Expr *zero;           /* of bytes: what is taken from x; NULL: nothing */
    DType sum, factor;          /* of the sums, and of the numbers that are multiplied instead */
    int out, channel;           /* variable of the output channel, reduction variable of the input channel */
    int side[2], tap[2];        /* variables of row and column, reduction variables of the taps */
    int dim[2], channel_dim;    /* dimensions of x */
    int64_t stride, from[2];    /* x is read at stride * side + tap + from, */
    int64_t channel_from;       /* and at channel + channel_from */
} Conv;

/* auto_winograd_conv.c: whether stage k is such a sum, of floats with zeros around x, or of bytes. */
bool winograd_conv(const Auto *g, uint32_t k, Conv *c);
bool winograd_conv_of_bytes(Auto *g, uint32_t k, Conv *c);
const Expr *winograd_without_zero(const Auto *g, const Conv *c, const Expr *load); /* a byte less its zero point */
bool winograd_is_exact(const Auto *g, const Conv *c, const Filtering *f);          /* what is added and multiplied stays within its bits */

/* Values of a variable of the output; tiles along side 0 or 1; elements of the output that are not one channel's image; tiles of all of them. */
static inline int64_t winograd_extent(const Auto *g, const Conv *c, int v) { return ten(g->te, c->s->out)->dim[v]->v.i; }
static inline int64_t winograd_tiles(const Auto *g, const Conv *c, int side, int t) { return (winograd_extent(g, c, c->side[side]) + t - 1) / t; }
int64_t winograd_images(const Auto *g, const Conv *c);
static inline int64_t winograd_all_tiles(const Auto *g, const Conv *c, int t) { return winograd_images(g, c) * winograd_tiles(g, c, 0, t) * winograd_tiles(g, c, 1, t); }

/* auto_winograd_cost.c: cycles that filtering gains, 0 where not enough; the fastest of n, NULL where none gains; bytes that the constant grows by. */
double winograd_gain(const Auto *g, const Conv *c, const Filtering *f);
const Filtering *winograd_choose(const Auto *g, const Conv *c, const Filtering *f, size_t n);
int64_t winograd_growth(const Auto *g, const Conv *c, const Filtering *f);

#endif

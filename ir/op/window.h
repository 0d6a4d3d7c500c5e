/* SPDX-License-Identifier: Apache-2.0
 *
 * Sliding windows: the geometry that convolution, pooling and their transposed forms share. Along each spatial
 * dimension, output o and kernel tap r meet input o * stride + r * dilation - begin.
 *
 * Sizes are expressions over symbols; strides, dilations and explicit pads are checked numbers of at most 2^30.
 */
#ifndef MLCC_OP_WINDOW_H
#define MLCC_OP_WINDOW_H

#include "../op.h"

enum { MAX_SPATIAL = MAX_RANK - 3 }; /* room for channels among the variables of a reduction */

typedef struct Window {
    int n;                             /* spatial dimensions */
    int64_t stride[MAX_SPATIAL], dilation[MAX_SPATIAL];
    const Expr *in[MAX_SPATIAL];       /* extents of the input, of the kernel, of the output */
    const Expr *kernel[MAX_SPATIAL], *out[MAX_SPATIAL];
    const Expr *begin[MAX_SPATIAL], *end[MAX_SPATIAL]; /* pads; negative ones crop (transposed windows only) */
    bool ceil;                         /* the last window may reach behind the end pad */
} Window;

/* List attribute of exactly n numbers in lo..2^30; `fallback` for each when it is absent. Diagnostic "attr-length" or
 * "attr-range". */
bool attr_list(const OpCtx *c, const char *name, int n, int64_t lo, int64_t fallback, int64_t *v);
/* Required attribute kernel_shape of n numbers as extents. */
bool attr_kernel(const OpCtx *c, int n, const Expr **kernel);
/* Smallest number of taps that a window covers: (kernel - 1) * dilation + 1. */
const Expr *window_reach(OpCtx *c, const Window *w, int d);

/* Fills *w from the attributes strides, dilations, pads, auto_pad and ceil_mode (each optional in the row). in, kernel:
 * n extents. Diagnostics "attr-...", "auto-pad", "window-size". */
bool window_read(OpCtx *c, int n, const Expr *const *in, const Expr *const *kernel, Window *w);
/* The same for the transposed form, where `in` slides over `out`; output_padding and output_shape count. */
bool window_read_transposed(OpCtx *c, int n, const Expr *const *in, const Expr *const *kernel, Window *w);

/* One reduction variable per tap dimension. */
void window_taps(OpCtx *c, const Window *w, const Expr **r);
/* Input place that output o meets at tap r, may lie in the pad. */
void window_at(OpCtx *c, const Window *w, const Expr *const *o, const Expr *const *r, const Expr **at);
/* Number of elements that the window at output place o covers, as a value of dt: of the input, or with its pads. */
const Expr *window_count(OpCtx *c, const Window *w, bool padded, const Expr *const *o, DType dt);

/* Transposed: the inputs and taps that meet output place o are numbered q = 0.. along each dimension; there are at most
 * `count` of them. Input place and tap of number q; either may lie outside its extent, then there is no such pair. */
typedef struct Meet { const Expr *at[MAX_SPATIAL], *tap[MAX_SPATIAL], *q[MAX_SPATIAL], *count[MAX_SPATIAL]; } Meet;
void window_meet(OpCtx *c, const Window *w, const Expr *const *o, Meet *m);

#endif

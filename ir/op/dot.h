/* SPDX-License-Identifier: Apache-2.0
 *
 * Contractions: convolution and matrix product, shared by the real, integer and quantized operators. The stages have
 * the form sum (x - xz) * (w - wz) with zero points only where there are any.
 */
#ifndef MLCC_OP_DOT_H
#define MLCC_OP_DOT_H

#include "window.h"

enum { NO_ZERO = -1 };

/* Operands by number; xz, wz: zero points or NO_ZERO. weight: tensor that stands for w - wz, 0: none. With it the sum is
 * of x * weight: x keeps its zero point, which is what padding reads as, and its share is left to the caller's bias. */
typedef struct Conv {
    int x, w, xz, wz;
    uint32_t weight;
    int64_t group;
    Window win;
} Conv;

/* y[n,m,o..] = sum(c,r..) x[n, g*C/G + c, at..] * w[m,c,r..], g the group of m. conv_read checks shapes and the
 * attributes group, kernel_shape and those of window_read; conv_shape gives the shape of y (its rank is x's). */
bool conv_read(OpCtx *c, Conv *v);
bool conv_shape(OpCtx *c, const Conv *v, int out);
/* Whether operand k (may be NO_ZERO) is there and not known to be all zero. */
bool has_zero(const OpCtx *c, int k);
/* Element of the per-channel operand k ([M] or one element) for channel m. */
const Expr *load_channel(OpCtx *c, int k, const Expr *m);
/* Whether operand k, if there, has one element or is a vector of `channels`. Diagnostic "channel-operand". */
bool check_channel(OpCtx *c, int k, const Expr *channels);
/* Defines t, of y's shape, in compute type dt. */
bool conv_sum(OpCtx *c, uint32_t t, const Conv *v, DType dt);

/* Numpy's matrix product of operands a and b: stacks broadcast; a vector is a row left, a column right. weight: stands
 * for b - bz, as in Conv. */
typedef struct Product {
    int a, b, az, bz;
    uint32_t weight;
    int rank;                   /* of the result */
    bool row, col;              /* the result has a dimension of rows, of columns */
    const Expr *dim[MAX_RANK], *inner;
} Product;

bool product_read(OpCtx *c, Product *p);
/* Defines t, of shape p->dim, in compute type dt. */
bool product_sum(OpCtx *c, uint32_t t, const Product *p, DType dt);
/* Element of an operand k that goes with the rows (or columns) of the operand `of`: one element, a vector over them, or
 * of the rank of `of` with ones. i: index of the result. */
const Expr *load_along(OpCtx *c, const Product *p, int k, int of, const Expr *const *i);
/* Diagnostic "zero-point-shape" unless load_along can be used. */
bool check_along(OpCtx *c, const Product *p, int k, int of);

#endif

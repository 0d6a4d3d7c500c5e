/* SPDX-License-Identifier: Apache-2.0
 *
 * Reductions over some dimensions of one tensor: which dimensions stay, the variables of such a stage, and the mean and
 * variance that the normalisations share. Results of these helpers drop the reduced dimensions.
 */
#ifndef MLCC_OP_RED_H
#define MLCC_OP_RED_H

#include "../op.h"

typedef struct Axes {
    int rank, nred, nkept;
    bool is_red[MAX_RANK];
    const Expr *dim[MAX_RANK];              /* all extents */
    const Expr *kept[MAX_RANK], *red[MAX_RANK]; /* those that stay, those that go */
} Axes;

Axes axes_of(int rank, const Expr *const *dim, const bool *is_red);
/* Last dimensions from `first` on. */
Axes axes_from(int rank, const Expr *const *dim, int first);
Axes axes_one(int rank, const Expr *const *dim, int axis);
/* Product of the reduced extents, as a value of type dt. */
const Expr *axes_count(OpCtx *c, const Axes *a, DType dt);
/* Full index -> index of what is kept. */
void axes_keep(const Axes *a, const Expr *const *full, const Expr **kept);

/* Variables of one stage: i over what is kept, r over what is reduced, at: both in the tensor's order. */
typedef struct Sweep { const Expr *i[MAX_RANK], *r[MAX_RANK], *at[MAX_RANK]; } Sweep;
void sweep(OpCtx *c, const Axes *a, Sweep *s);
void sweep_at(OpCtx *c, const Axes *a, const Expr *const *kept, Sweep *s); /* the kept ones are given */
/* t[kept] = op over the reduced of body; a map when nothing is reduced. */
bool sweep_into(OpCtx *c, uint32_t t, const Axes *a, const Sweep *s, RedOp op, const Expr *body);
/* The same into a new tensor of the body's type. */
uint32_t sweep_temp(OpCtx *c, const char *hint, const Axes *a, const Sweep *s, RedOp op, const Expr *body);

/* Mean and population variance of tensor x over the reduced dimensions, computed in dt: new tensors of type dt. */
typedef struct Moments { uint32_t mean, var; } Moments;
Moments moments(OpCtx *c, const Axes *a, uint32_t x, DType dt);
/* Mean of the squares of x over the reduced dimensions. */
uint32_t mean_square(OpCtx *c, const Axes *a, uint32_t x, DType dt);

#endif

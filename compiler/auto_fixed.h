/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files share that make fixed point of clips (auto_fixed.c): names are those used there.
 */
#ifndef MLCC_AUTO_FIXED_H
#define MLCC_AUTO_FIXED_H

#include "auto_columns.h"

#define STEPS ((double)UINT16_MAX) /* of v, from 0 to its top */

/* Stage `map` clips the sum of stage `product`, and what else is added to it (NULL: nothing), to 0 .. top. */
typedef struct Clip { uint32_t map, product; const Expr *sum, *bias; double top; } Clip;

/* By lane: what one number of k' stands for, one of n, what is added to n, the sum of k'. */
typedef struct Steps { double *weight; float *scale; int32_t *start; int64_t *sum; } Steps;

/* auto_fixed.c: whether map k clips a sum that nothing else reads. */
bool find_clip(const Auto *g, uint32_t k, Clip *c);
Steps new_steps(Auto *g, int64_t lanes);
/* What one whole number of a lane's weights stands for: v - least is 0 .. 65535, so that sums of what is above 0, and of what is below, stay
 * within 32 bits, with a bias of so many tops of v. */
double step_of(const WindowWeights *k, int64_t lane, double bias);
/* A vector of constants, of which `at` says the lane. */
const Expr *by_lane(Auto *g, const Window *w, DType dt, const void *v, const Expr *at);

/* auto_fixed_fold.c. z: y plus a bias behind a second clip, `top` for each lane in numbers of n; the product `reader` alone reads it, with a
 * constant w that has the lanes in dimension `dim`. */
typedef struct Folded { Clip c; uint32_t z, reader; const Expr *w; int dim; Steps steps; float *top; } Folded;

bool find_folded(Auto *g, const Window *w, const WindowWeights *k, double top, Folded *f); /* with its steps, but for the sums of k' */
void fold_steps(Auto *g, const Folded *f);                                                 /* into the reader's constant */
void read_folded(Auto *g, const Window *w, const Folded *f, uint32_t n);                   /* z of n, once steps.start is whole */

#endif

/* SPDX-License-Identifier: Apache-2.0
 * Stages that put tensors side by side (concatenation): which elements of the result are those of which tensor. */
#ifndef MLCC_SLICES_H
#define MLCC_SLICES_H

#include "schedule.h"

/* Where dimension `along` is lo .. hi-1 the result holds element [.., i - at, ..] of tensor t; t 0: something else. */
typedef struct Slice { uint32_t t; int64_t lo, hi, at; } Slice;
typedef struct Slices { const Te *te; const Stage *s; uint8_t along; VEC(Slice) v; } Slices;

/* body: that of stage s, maybe with other stages substituted. False: it is no choice by position along one dimension. */
bool slices_of(Arena *a, const Te *te, const Stage *s, const Expr *body, Slices *r);

/* Whether the result holds all of tensor t, from *at of dimension `along` on. */
bool slices_hold(const Slices *s, uint32_t t, int64_t *at);

/* Whether a load, guarded or not, stays inside dimension d of its tensor: beside it others may lie. */
bool load_stays_inside(const Te *te, const Expr *load, uint8_t d);

#endif

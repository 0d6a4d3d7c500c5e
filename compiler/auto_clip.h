/* SPDX-License-Identifier: Apache-2.0
 * Products with clipped constants (auto_clip.c): what its parts share. */
#ifndef MLCC_AUTO_CLIP_H
#define MLCC_AUTO_CLIP_H

#include "auto_product.h"

/* step: dimension of x that the steps walk; plain: x has rows one after the other. */
typedef struct Clip { Product p; int64_t rows, lanes, step; bool plain; } Clip;

/* auto_clip_constant.c: w = a + r. a, as w is; r[lane, step], also as lists; and how many elements r has. */
uint32_t clip_constant(Auto *g, const Clip *c);
uint32_t clip_rest(Auto *g, const Clip *c);
int64_t clip_count(const Auto *g, const Clip *c);

#endif

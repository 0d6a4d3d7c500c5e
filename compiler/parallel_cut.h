/* SPDX-License-Identifier: Apache-2.0
 *
 * Cutting one function for threads: which dimensions of what it makes could be dealt out to parts, and the function with
 * its loops along them made parallel.
 */
#ifndef MLCC_PARALLEL_CUT_H
#define MLCC_PARALLEL_CUT_H

#include "../ir/part.h"

typedef struct Axis { uint8_t d; int64_t unit, of, from; } Axis; /* dimension; elements that stay together; how many such units, from that element on */

/* Of the tensor `buf`, along n axes, the outermost first. A unit is one of the last axis within one of each before. */
enum { CUT_AXES = OUTER_LOOPS + 1 };
typedef struct Cut { uint32_t buf; Axis axis[CUT_AXES]; uint8_t n; } Cut;

typedef struct Axes { uint32_t buf; VEC(Axis) v; } Axes; /* buf 0: nothing can be cut */

/* Steps of loops over the largest tensor that the function stores to. */
Axes cut_axes(Arena *a, const Unit *u, const Func *f);

bool cut_nests(Arena *a, const Unit *u, const Func *f, const Cut *c); /* somewhere loops along all of its axes stand in each other */

/* Body of f with the loops along the cut parallel. What no such loop holds is run by the part that owns its place; what
 * stores to scratch alone by every part, as far as the part reads it where that is known. The cut need not be sound:
 * parts may clash, and scratch may be read where it is not filled (ir/part.h). NULL: parts would begin where a lead does not, or where
 * a register comes from the iteration before. */
Nest *cut_body(Arena *a, const Unit *u, const Func *f, const Cut *c);

/* Takes out what only parts run, of a function that is not cut. */
void drop_leads(Nest *body);

#endif

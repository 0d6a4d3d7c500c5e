/* SPDX-License-Identifier: Apache-2.0
 *
 * The ways in which one function can be cut for threads, and what each costs: the work of each part, and the bytes that it has to
 * get from caches of others, which depends on how the functions before it are cut.
 */
#ifndef MLCC_PARALLEL_CHOICE_H
#define MLCC_PARALLEL_CHOICE_H

#include "parallel_cost.h"
#include "parallel_meet.h"

/* body NULL: part 0 alone does it. cycles: of its own work, by count of parts and part; slowest: the most of them, by count;
 * units: that it deals out well. All of it is in the arena, which is the choice's own. */
typedef struct Choice { Arena *arena; Nest *body; Touched *of; double **cycles, *slowest; int64_t units; } Choice;
typedef struct Choices { VEC(Choice *) v; double alone; } Choices; /* alone: cycles on one part */

/* Sound ones, least work first, a few for each dimension that comes outermost; and none, unless `always` and there is another. */
Choices choices_of(Arena *a, const Cost *cost, const Func *f, bool always);
void choices_drop(Choices *c, const Choice *but); /* frees the others */

/* Functions 0 .. n-1 as they are cut: what they touch; by buffer, those of all functions that store to it, in order. */
typedef struct Stored { VEC(uint32_t) v; } Stored;
typedef struct Before { uint32_t n; Touched **by; const Stored *from; } Before;

/* Cycles at a count of parts of the part that takes longest, for what is cut like that as function n. */
double choice_cycles(const Cost *cost, const Choice *c, const Before *before, uint32_t count);

#endif

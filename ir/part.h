/* SPDX-License-Identifier: Apache-2.0
 *
 * What one part of a run touches. A run of several parts executes every split function on each part; a parallel loop
 * gives part p the iterations whose units it owns (part_first), everything outside of parallel loops runs on all parts.
 * Functions that are not split run on part 0 alone. Scratch and constants are not looked at: each part has scratch of its
 * own, and nobody writes a constant.
 */
#ifndef MLCC_PART_H
#define MLCC_PART_H

#include "nest.h"

/* Elements lo .. hi, in each dimension, of a buffer: a hull of what one load or store reaches. */
typedef struct Touch { uint32_t buf; bool write; int64_t lo[MAX_RANK], hi[MAX_RANK]; } Touch;
typedef struct Touches { VEC(Touch) v; } Touches;

/* Loads and stores of shared buffers in a function, as they follow from the part. */
typedef struct Accesses Accesses;
Accesses *part_accesses(Arena *a, const Unit *u, const Func *f);
Touches part_touches(Arena *a, const Accesses *of, int32_t part, int32_t parts);
bool touches_clash(const Unit *u, const Touches *p, const Touches *q); /* an element that both touch and one of them writes */
double touched_bytes(const Unit *u, const Touches *t);                 /* hull of each buffer, once */

/* part_check.c: the proof that parts do not disturb each other, on the planned unit. For every count of parts: two parts
 * never touch one element, at whichever buffer's name its bytes are known, that one of them writes, unless they have met
 * in between. NULL, or what could not be proved. */
const char *part_check(Arena *a, const Unit *u);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of functions touch, and whom a part must have met before it enters a function.
 */
#ifndef MLCC_PARALLEL_MEET_H
#define MLCC_PARALLEL_MEET_H

#include "../ir/part.h"

/* Of one function, at each count of parts of the unit, each part. */
typedef struct Touched { Accesses *of; Touches **at; } Touched;

Touched *touched_by(Arena *a, const Unit *u, const Func *f);
bool touched_clash(const Unit *u, const Touched *of); /* two parts are in each other's way within the function */
bool touched_unfilled(Arena *a, const Unit *u, const Touched *of); /* a part reads scratch that it has not filled */

/* Distances for Func.meet of function f, which touches `of`; by[k]: what each function before it touches. NULL: none. */
int32_t *meeting_before(Arena *a, const Unit *u, Touched *const *by, uint32_t f, const Touched *of);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * Memory of a unit: lifetimes of its buffers, then exact offsets by plan_pack, proved by plan_check. */
#ifndef MLCC_MEMORY_H
#define MLCC_MEMORY_H

#include "../ir/nest.h"
#include "plan_pack.h"

/* Gives every arena and scratch buffer of u its pool and offset and sets the unit's arena figures. False: does not fit
 * in the pools, with a diagnostic that says what is needed. npool 0: one pool without limit. */
bool plan_memory(Unit *u, const PlanPool *pool, uint32_t npool);

/* On a unit that has been planned for several parts: puts the scratch of parts a page apart, and what they share so that lines stay with
 * their part where that takes at most so many bytes. False: what they share lies as it did. */
bool plan_lines(Unit *u, int64_t most);

/* Peak bytes when the caller's inputs and outputs share one memory with the arena: each input lives from the start to
 * its last reader, each output from its first writer to the end. For reports and for --max-ram. */
int64_t ram_with_io(Unit *u);

#endif

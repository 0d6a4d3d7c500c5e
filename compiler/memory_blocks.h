/* SPDX-License-Identifier: Apache-2.0
 * What memory is planned of: blocks, of one buffer or of several that lie in one place (memory.c). */
#ifndef MLCC_MEMORY_BLOCKS_H
#define MLCC_MEMORY_BLOCKS_H

#include "memory.h"

typedef struct Life { int32_t first, last; } Life; /* functions, both included; last < first: it has none */

/* b[k], at[k]: the block of buffer id[k]. root: by buffer, the one whose block it lies in. life: by buffer, the block's by its root. */
typedef struct Blocks { Life *life; const uint32_t *root; PlanBuf *b; PlanPlace *at; uint32_t *id; uint32_t n; } Blocks;

bool memory_plans(const Buf *b);                         /* the buffer has a place in the arena */
Blocks memory_blocks(const Unit *u, Arena *a);          /* of what parts share, or of everything where there are none */
void memory_place(Unit *u, const Blocks *j);            /* buffers where their blocks are */
void memory_prove(const Blocks *j, const PlanPool *pool, uint32_t npool, const PlanResult *r); /* plan_check, or an internal error */

#endif

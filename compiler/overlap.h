/* SPDX-License-Identifier: Apache-2.0
 *
 * Results over operands. A function that reads `in` for the last time may write `out` into the same memory as far as no
 * byte is written that is still to be read. How far follows from the order of its loops: with D the distance from the
 * beginning of `out` to that of `in`, a store at byte w of `out` and a load that may come later at byte r of `in` want
 * w + bytes of the store <= D + r. The least D that satisfies all such pairs is the gap; every larger D does too.
 *
 * Emission may load earlier than the nest says, never later; within one visit of a register tile it may take points and
 * lanes in any order. Parts of a parallel loop come in any order.
 */
#ifndef MLCC_OVERLAP_H
#define MLCC_OVERLAP_H

#include "../ir/nest.h"

typedef struct Overlap {
    bool in_place; /* D = 0 is safe: what is loaded of in where out is written is the element itself */
    int64_t gap;   /* least safe D in bytes, at most the bytes of out; negative: in may begin before out */
} Overlap;

Overlap overlap_of(const Unit *u, const Func *f, uint32_t in, uint32_t out);

/* overlap_seen.c: a safe D found by running the loops and watching the highest byte written; shares no code with the
 * above and is the proof of it: plans use the larger of the two. */
int64_t overlap_seen(const Unit *u, const Func *f, uint32_t in, uint32_t out);

#endif

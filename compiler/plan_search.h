/* SPDX-License-Identifier: Apache-2.0
 *
 * The exact part of the memory planner: can these items be packed below a given height? Private to plan_pack.c.
 *
 * Items are rectangles whose horizontal position is given: sections lo..hi-1 of a time axis cut down to the moments at
 * which the set of live buffers is maximal. Vertical numbers are in units, the largest step that all offsets share.
 */
#ifndef MLCC_PLAN_SEARCH_H
#define MLCC_PLAN_SEARCH_H

#include "../ir/base.h"

typedef struct PackItem {
    int64_t size;   /* units, at least 1 */
    int64_t align;  /* units, at least 1 */
    int64_t fixed;  /* units, or -1 */
    int64_t tail;   /* bytes that the last unit has too many: size * unit - tail is the size in bytes */
    int32_t lo, hi; /* sections, hi excluded */
    uint32_t id;    /* the caller's */
} PackItem;

typedef struct PackPiece {
    const PackItem *item; /* sorted by lo */
    uint32_t n;
    int32_t nsec;
    int64_t unit; /* bytes */
} PackPiece;

/* What a search may spend, lowered by what it did spend. A node costs as many steps as its part of the piece has items,
 * sections, and sections of items. */
typedef struct PackEffort {
    uint64_t nodes, steps;
} PackEffort;

typedef enum PackAnswer { PACK_FOUND, PACK_NONE, PACK_GAVE_UP } PackAnswer;

typedef struct PackSearch PackSearch;

/* height: peak in bytes of some packing known, above which nothing is looked for. NULL when the piece is too large for
 * an exact search. */
PackSearch *pack_search_new(Arena *a, const PackPiece *p, int64_t height);
uint32_t pack_strategies(void);
/* Looks for a packing whose peak is at most `target` bytes. FOUND: off[i] is set, in units. NONE: there is none, and
 * *need is a lower bound of the peak above target. GAVE_UP: the effort, or the depth that the stack allows, is used. */
PackAnswer pack_search_run(PackSearch *s, int64_t target, uint32_t strategy, PackEffort *effort, int64_t *off,
                           int64_t *need) MUST_USE;

#endif

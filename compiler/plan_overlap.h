/* SPDX-License-Identifier: Apache-2.0
 *
 * Packing where some buffers may overlap those they are written over. Private to plan_pack.c.
 */
#ifndef MLCC_PLAN_OVERLAP_H
#define MLCC_PLAN_OVERLAP_H

#include "plan_pack.h"

/* Buffers id[0..n-1] of b, all in one pool. */
typedef struct OverlapJob {
    const PlanBuf *buf;
    const uint32_t *id;
    uint32_t n;
    int64_t bound;  /* out: no packing is lower, overlaps included */
    int64_t apart;  /* out: none is lower in which nothing overlaps */
    int64_t peak;   /* out: of off */
    int64_t *off;   /* out, by position in id */
} OverlapJob;

/* Any buffer of the job may lie over another one. */
bool overlap_any(const OverlapJob *j);
void overlap_bounds(Arena *a, OverlapJob *j);
/* Sets off and peak. False: too many buffers, or fixed ones in each other's way. */
bool overlap_pack(Arena *a, OverlapJob *j) MUST_USE;

#endif

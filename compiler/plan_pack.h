/* SPDX-License-Identifier: Apache-2.0
 *
 * Static memory allocation: offsets for buffers whose lifetimes are known, in one or several pools of memory.
 *
 * A buffer occupies [offset, offset + bytes) of one pool during the steps first..last. Two buffers of a pool that are
 * live in a common step must not overlap, but for results over operands (`over`). The planner minimises the peak (the end of the highest buffer) of each pool
 * and says how far it is from a proven lower bound. It uses no clock and no random source: equal input, equal plan.
 */
#ifndef MLCC_PLAN_PACK_H
#define MLCC_PLAN_PACK_H

#include "../ir/base.h"

typedef struct PlanBuf {
    int64_t bytes;       /* 0 is fine: such a buffer takes no room */
    int64_t align;       /* at least 1; any integer */
    int32_t first, last; /* steps, both included */
    uint32_t pools;      /* bit p: pool p is allowed */
    int64_t fixed;       /* offset prescribed by the user, or -1 */
    uint32_t over;       /* 1 + number of the buffer that begins in this one's last step and may be written over it; 0: none */
    int64_t gap;         /* of those two: this one may begin so many bytes after the other, or later; negative: before it */
    int64_t traffic;     /* bytes read and written in one run, for the choice of pool; 0: twice its bytes */
} PlanBuf;

typedef struct PlanPool {
    const char *name;
    int64_t capacity; /* bytes; 0: no limit */
} PlanPool;

typedef struct PlanPlace {
    int32_t pool;
    int64_t offset;
} PlanPlace;

typedef struct PlanResult {
    int64_t *peak;  /* per pool: bytes in use at most */
    int64_t *bound; /* per pool: proven lower bound of the peak for the buffers the pool was given */
    bool optimal;   /* peak == bound in every pool */
    uint64_t nodes; /* search nodes spent */
} PlanResult;

bool plan_pack(Arena *a, const PlanBuf *b, uint32_t n, const PlanPool *pool, uint32_t npool, uint64_t node_limit,
               PlanPlace *out, PlanResult *res) MUST_USE;

#endif

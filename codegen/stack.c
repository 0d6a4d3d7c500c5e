/* SPDX-License-Identifier: Apache-2.0
 *
 * Upper bound of the stack that emitted code needs. Calls are one deep: run, a node, a function of runtime-min;
 * there is no recursion and no variable-length array. A frame holds its scratch arrays, at most one slot per name
 * that the function declares (two for a vector: where registers are narrower, the compiler keeps a lowered copy),
 * the registers it saves and the outgoing arguments.
 */
#include "emit.h"

enum { THREAD_FRAMES = 3, /* run, the parallel-for, a step */ FRAME = 176, RUNTIME_FRAMES = 512, SLOT = 8 };

int64_t stack_bound(const Unit *u)
{
    int64_t deepest = 0;
    for (uint32_t f = 0; f < u->func.n; f++)
        deepest = max_i64(deepest, u->func.at[f]->frame_bytes);
    int64_t run = FRAME;
    for (uint32_t k = 0; k < u->func.n; k++) {
        const Func *f = u->func.at[k];
        run = max_i64(run, FRAME + SLOT * (int64_t)(f->param.n + f->sym.n + f->defines.n + f->number.n + u->sym.n + 4));
    }
    const int64_t between = u->threads.n ? THREAD_FRAMES * FRAME : 0;
    return align_up(run + between + FRAME + deepest + RUNTIME_FRAMES, 16);
}

/* Frame of a function that declares `names` names, of which vector_bytes is the size of one vector (0: none). */
int64_t frame_bound(int64_t names, int64_t vector_bytes, int64_t array_bytes)
{
    return align_up(FRAME + names * max_i64(SLOT, 2 * vector_bytes) + array_bytes, 64);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Checks a memory plan by a sweep over time: at each step the buffers that are live are kept in a list, one list per
 * pool, and a buffer that comes in is compared with all of them.
 */
#include "plan_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static bool fail(char *why, size_t n, const char *fmt, ...) PRINTF(3, 4);

static bool fail(char *why, size_t n, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, n, fmt, ap);
    va_end(ap);
    return false;
}

/* What can be said of one buffer without looking at the others. */
static bool check_alone(const PlanBuf *b, uint32_t i, const PlanPool *pool, uint32_t npool, PlanPlace at,
                        const int64_t *peak, char *why, size_t n)
{
    if (b->bytes < 0 || b->align < 1 || b->first > b->last)
        return fail(why, n, "buffer %" PRIu32 " is not described properly", i);
    if (at.pool < 0 || (uint32_t)at.pool >= npool || at.pool >= 32 || !(b->pools & UINT32_C(1) << at.pool))
        return fail(why, n, "buffer %" PRIu32 " is in pool %" PRId32 ", which it does not allow", i, at.pool);
    if (at.offset < 0 || at.offset % b->align != 0)
        return fail(why, n, "buffer %" PRIu32 " is at %" PRId64 ", not a multiple of %" PRId64, i, at.offset, b->align);
    if (b->fixed >= 0 && at.offset != b->fixed)
        return fail(why, n, "buffer %" PRIu32 " is at %" PRId64 ", prescribed is %" PRId64, i, at.offset, b->fixed);
    const int64_t room = pool[at.pool].capacity > 0 ? pool[at.pool].capacity : INT64_MAX;
    if (b->bytes > INT64_MAX - at.offset || at.offset + b->bytes > room)
        return fail(why, n, "buffer %" PRIu32 " ends above the %" PRId64 " bytes of pool '%s'", i, room,
                    pool[at.pool].name);
    if (b->bytes > 0 && at.offset + b->bytes > peak[at.pool])
        return fail(why, n, "buffer %" PRIu32 " ends above the peak of %" PRId64 " bytes", i, peak[at.pool]);
    return true;
}

typedef struct Change {
    int64_t step;
    uint32_t buf;
    bool begins;
} Change;

/* By step; what ends at a step makes room before anything begins there. */
static int change_order(const void *pa, const void *pb)
{
    const Change *a = pa, *b = pb;
    if (a->step != b->step) return a->step < b->step ? -1 : 1;
    if (a->begins != b->begins) return a->begins ? 1 : -1;
    return a->buf < b->buf ? -1 : a->buf > b->buf;
}

typedef struct Live {
    uint32_t *buf;
    uint32_t n;
} Live;

/* Buffer `in` ends where `out` begins, and is as far above it as the two want to be. */
static bool written_over(const PlanBuf *b, const PlanPlace *at, uint32_t in, uint32_t out)
{
    return b[in].over == out + 1 && b[in].last == b[out].first && at[in].offset >= at[out].offset + b[in].gap;
}

static bool collide(const PlanBuf *b, const PlanPlace *at, uint32_t i, uint32_t k)
{
    const bool apart = at[i].offset + b[i].bytes <= at[k].offset || at[k].offset + b[k].bytes <= at[i].offset;
    return !apart && !written_over(b, at, i, k) && !written_over(b, at, k, i);
}

/* Adds buffer i; returns the buffer it collides with, or i when there is none. */
static uint32_t enter(Live *l, const PlanBuf *b, const PlanPlace *at, uint32_t i)
{
    for (uint32_t k = 0; k < l->n; k++)
        if (collide(b, at, i, l->buf[k])) return l->buf[k];
    l->buf[l->n++] = i;
    return i;
}

static void leave(Live *l, uint32_t i)
{
    uint32_t k = 0;
    while (l->buf[k] != i) k++;
    l->buf[k] = l->buf[--l->n];
}

static bool sweep(const PlanBuf *b, const PlanPlace *at, const Change *c, size_t n, Live *live, char *why, size_t n_why)
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t k = c[i].buf;
        Live *l = &live[at[k].pool];
        if (!c[i].begins) {
            leave(l, k);
            continue;
        }
        const uint32_t other = enter(l, b, at, k);
        if (other != k)
            return fail(why, n_why, "buffers %" PRIu32 " and %" PRIu32 " overlap in step %" PRId64 " of pool %" PRId32,
                        other < k ? other : k, other < k ? k : other, c[i].step, at[k].pool);
    }
    return true;
}

/* True when the plan keeps every promise: each buffer in a pool it allows, aligned, at its fixed offset if it has one,
 * within the capacity and the peak stated for the pool, and no two of them overlapping while both are live. Otherwise
 * `why` says what is wrong first. Takes n log n + n * (most buffers live at once) steps. */
bool plan_check(const PlanBuf *b, uint32_t n, const PlanPool *pool, uint32_t npool, const PlanPlace *at,
                const int64_t *peak, char *why, size_t n_why)
{
    for (uint32_t i = 0; i < n; i++)
        if (!check_alone(&b[i], i, pool, npool, at[i], peak, why, n_why)) return false;
    Arena *a = arena_new(0, NULL);
    if (!a) return fail(why, n_why, "out of memory");
    Change *c = NEWN(a, Change, 2 * (size_t)n);
    size_t nc = 0;
    for (uint32_t i = 0; i < n; i++)
        if (b[i].bytes > 0) {
            c[nc++] = (Change){b[i].first, i, true};
            c[nc++] = (Change){(int64_t)b[i].last + 1, i, false};
        }
    qsort(c, nc, sizeof *c, change_order);
    Live *live = NEWN(a, Live, npool);
    for (uint32_t p = 0; p < npool; p++) live[p].buf = NEWN(a, uint32_t, n);
    const bool sound = sweep(b, at, c, nc, live, why, n_why);
    arena_free(a);
    return sound;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * See part.h. How much parts touch. Boxes of one buffer overlap (the taps of a window) or lie apart (the pieces of a part), so
 * what is reached is taken as the hull of all boxes, or as one box after the other where that is less.
 */
#include "part.h"

/* What both reach; false: nothing. */
static bool intersect(const Touch *p, const Touch *q, uint8_t rank, Touch *r)
{
    *r = *p;
    for (uint8_t d = 0; d < rank; d++) {
        r->lo[d] = max_i64(p->lo[d], q->lo[d]);
        r->hi[d] = min_i64(p->hi[d], q->hi[d]);
        if (r->hi[d] < r->lo[d])
            return false;
    }
    return true;
}

static double box_bytes(const Buf *b, const Touch *t)
{
    double n = (double)dtype_bytes(b->dt);
    for (uint8_t d = 0; d < b->rank; d++)
        n *= (double)(t->hi[d] - t->lo[d] + 1);
    return n;
}

/* Boxes that are looked at one after the other: their sum, their hull. */
typedef struct Reach { double sum; bool any; Touch hull; } Reach;

static void reach_add(Reach *r, const Buf *b, const Touch *t)
{
    r->sum += box_bytes(b, t);
    if (!r->any)
        r->hull = *t;
    r->any = true;
    for (uint8_t d = 0; d < b->rank; d++) {
        r->hull.lo[d] = min_i64(r->hull.lo[d], t->lo[d]);
        r->hull.hi[d] = max_i64(r->hull.hi[d], t->hi[d]);
    }
}

static double reach_bytes(const Reach *r, const Buf *b)
{
    const double all = r->any ? box_bytes(b, &r->hull) : 0;
    return r->sum < all ? r->sum : all;
}

static bool comes_first(const Touches *t, uint32_t k)
{
    for (uint32_t m = 0; m < k; m++)
        if (t->v.at[m].buf == t->v.at[k].buf)
            return false;
    return true;
}

double touched_bytes(const Unit *u, const Touches *t)
{
    double bytes = 0;
    for (uint32_t k = 0; k < t->v.n; k++) {
        Reach r = {0};
        if (!comes_first(t, k))
            continue;
        for (uint32_t m = k; m < t->v.n; m++)
            if (t->v.at[m].buf == t->v.at[k].buf)
                reach_add(&r, buf(u, t->v.at[k].buf), &t->v.at[m]);
        const Buf *b = buf(u, t->v.at[k].buf);
        bytes += b->lists ? reach_bytes(&r, b) * (double)b->lists->count / (double)b->bytes : reach_bytes(&r, b);
    }
    return bytes;
}

/* Of the box, what is written. */
static double written_bytes(const Buf *b, const Touch *box, const Touches *const *by, uint32_t n)
{
    double bytes = 0;
    for (uint32_t k = 0; k < n; k++) {
        Reach r = {0};
        for (uint32_t m = 0; m < by[k]->v.n; m++) {
            Touch both;
            if (by[k]->v.at[m].write && by[k]->v.at[m].buf == box->buf && intersect(box, &by[k]->v.at[m], b->rank, &both))
                reach_add(&r, b, &both);
        }
        bytes += reach_bytes(&r, b);
    }
    return bytes;
}

static double left_of(const Buf *b, const Touch *box, const Touches *const *by, uint32_t n)
{
    const double left = box_bytes(b, box) - written_bytes(b, box, by, n);
    return left > 0 ? left : 0;
}

double touched_missing(const Unit *u, const Touches *t, uint32_t id, const Touches *const *by, uint32_t n)
{
    const Buf *b = buf(u, id);
    Reach all = {0};
    double each = 0;
    for (uint32_t k = 0; k < t->v.n; k++) {
        if (t->v.at[k].buf != id || t->v.at[k].write)
            continue;
        reach_add(&all, b, &t->v.at[k]);
        each += left_of(b, &t->v.at[k], by, n);
    }
    const double hull = all.any ? left_of(b, &all.hull, by, n) : 0;
    return each < hull ? each : hull;
}

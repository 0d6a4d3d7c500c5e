/* SPDX-License-Identifier: Apache-2.0
 *
 * See part.h. Shares are many, so whether two disturb each other is not asked of all pairs: what they touch of a buffer is
 * swept along the dimension in which it is spread most.
 */
#include "part.h"

#include <math.h>
#include <stdlib.h>

uint32_t step_end(const Unit *u, uint32_t f)
{
    for (f++; f < u->func.n && !u->func.at[f]->meet;)
        f++;
    return f;
}

/* ---- sweep ---- */

/* A touch of a share; from, end: along the dimension of the sweep. */
typedef struct Reach { int64_t from, end; int32_t share; const Touch *touch; } Reach;
typedef struct Sweep { const Unit *u; uint32_t rank; VEC(Reach) v; } Sweep;

static int by_place(const void *p, const void *q)
{
    const Reach *s = p, *t = q;
    return s->from != t->from ? (s->from < t->from ? -1 : 1) : (s->share > t->share) - (s->share < t->share);
}

static bool meet_in_box(const Reach *p, const Reach *q, uint32_t rank)
{
    for (uint32_t d = 0; d < rank; d++)
        if (p->touch->hi[d] < q->touch->lo[d] || q->touch->hi[d] < p->touch->lo[d])
            return false;
    return p->share != q->share && (p->touch->write || q->touch->write);
}

/* The dimension along which boxes are short beside what all of them reach. */
static uint32_t spread_along(const Sweep *s)
{
    uint32_t best = 0;
    double least = INFINITY;
    for (uint32_t d = 0; d < s->rank; d++) {
        int64_t lo = INT64_MAX, hi = INT64_MIN;
        double sum = 0;
        for (uint32_t k = 0; k < s->v.n; k++) {
            const Touch *t = s->v.at[k].touch;
            lo = min_i64(lo, t->lo[d]);
            hi = max_i64(hi, t->hi[d]);
            sum += (double)(t->hi[d] - t->lo[d] + 1);
        }
        const double part = sum / (double)(hi - lo + 1);
        best = part < least ? d : best;
        least = part < least ? part : least;
    }
    return best;
}

static bool sweep(Sweep *s, int32_t pair[2])
{
    const uint32_t d = s->rank ? spread_along(s) : 0;
    for (uint32_t k = 0; k < s->v.n && s->rank; k++) {
        s->v.at[k].from = s->v.at[k].touch->lo[d];
        s->v.at[k].end = s->v.at[k].touch->hi[d];
    }
    qsort(s->v.at, s->v.n, sizeof *s->v.at, by_place);
    for (uint32_t k = 0; k < s->v.n; k++)
        for (uint32_t m = k + 1; m < s->v.n && s->v.at[m].from <= s->v.at[k].end; m++)
            if (meet_in_box(&s->v.at[k], &s->v.at[m], s->rank)) {
                pair[0] = s->v.at[k].share;
                pair[1] = s->v.at[m].share;
                return true;
            }
    return false;
}

bool shares_clash(Arena *a, const Unit *u, const Touches *by_share, int32_t shares, int32_t pair[2])
{
    bool *written = NEWN(a, bool, u->buf.n);
    Sweep *of = NEWN(a, Sweep, u->buf.n);
    for (int32_t s = 0; s < shares; s++)
        for (uint32_t k = 0; k < by_share[s].v.n; k++)
            written[by_share[s].v.at[k].buf] |= by_share[s].v.at[k].write;
    for (int32_t s = 0; s < shares; s++)
        for (uint32_t k = 0; k < by_share[s].v.n; k++) {
            const Touch *t = &by_share[s].v.at[k];
            if (t->buf && written[t->buf])
                PUSH(a, &of[t->buf].v, ((Reach){0, 0, s, t}));
        }
    for (uint32_t b = 1; b < u->buf.n; b++) {
        of[b].rank = buf(u, b)->rank;
        if (of[b].v.n && sweep(&of[b], pair))
            return true;
    }
    return false;
}

/* ---- a step ---- */

static void add_touches(Arena *a, Touches *to, const Touches *from, const uint32_t *name)
{
    for (uint32_t k = 0; k < from->v.n; k++) {
        Touch t = from->v.at[k];
        t.buf = name ? name[t.buf] : t.buf;
        PUSH(a, &to->v, t);
    }
}

static const char *fault(Arena *a, Arena *work, const Unit *u, uint32_t f, uint32_t end, Accesses *const *of, int32_t shares, const uint32_t *name)
{
    Touches *by = NEWN(work, Touches, shares);
    int32_t pair[2];
    for (uint32_t k = f; k < end; k++) {
        if (!u->func.at[k]->split)
            return str_fmt(a, "%s is dealt out but not cut", u->func.at[k]->name);
        for (int32_t s = 0; s < shares; s++) {
            const Touches t = part_touches(work, of[k - f], s, shares);
            const uint32_t bad = part_unfilled(work, of[k - f], s, shares);
            add_touches(work, &by[s], &t, name);
            if (bad)
                return str_fmt(a, "share %d of %d in %s reads of buffer %u what it has not written", s, shares, u->func.at[k]->name, bad);
        }
    }
    return shares_clash(work, u, by, shares, pair) ? str_fmt(a, "shares %d and %d of %d in %s touch the same element", pair[0], pair[1], shares, u->func.at[f]->name) : NULL;
}

const char *deal_fault(Arena *a, const Unit *u, uint32_t f, uint32_t end, Accesses *const *of, int32_t shares, const uint32_t *name)
{
    Arena *work = arena_child(a);
    const char *why = fault(a, work, u, f, end, of, shares, name);
    arena_free(work);
    return why;
}

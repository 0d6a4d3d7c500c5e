/* SPDX-License-Identifier: Apache-2.0
 * See parallel_meet.h. */
#include "parallel_meet.h"

/* Meetings of some between two of all. Buffers keep their bytes until all have met: two more take ResNet-50 from 10.7 to
 * 12.5 MB. */
enum { MOST_NEAR = 1 };

Touched *touched_by(Arena *a, const Unit *u, const Func *f)
{
    Touched *r = NEW(a, Touched);
    r->of = part_accesses(a, u, f);
    r->at = NEWN(a, Touches *, u->threads.n);
    for (uint32_t t = 0; t < u->threads.n; t++) {
        const int32_t parts = u->threads.at[t];
        r->at[t] = NEWN(a, Touches, parts);
        for (int32_t p = 0; p < parts; p++)
            r->at[t][p] = part_touches(a, r->of, p, parts);
    }
    return r;
}

/* Greatest distance of two parts of which one clashes in f with the other in g; 0: none does. */
static int32_t clash_distance(const Unit *u, const Touches *f, const Touches *g, int32_t parts)
{
    for (int32_t apart = parts - 1; apart > 0; apart--)
        for (int32_t p = 0; p + apart < parts; p++)
            if (touches_clash(u, &f[p], &g[p + apart]) || touches_clash(u, &f[p + apart], &g[p]))
                return apart;
    return 0;
}

bool touched_clash(const Unit *u, const Touched *of)
{
    for (uint32_t t = 0; t < u->threads.n; t++)
        if (clash_distance(u, of->at[t], of->at[t], u->threads.at[t]))
            return true;
    return false;
}

bool touched_unfilled(Arena *a, const Unit *u, const Touched *of)
{
    for (uint32_t t = 0; t < u->threads.n; t++)
        for (int32_t p = 0, parts = u->threads.at[t]; p < parts; p++)
            if (part_unfilled(a, of->of, p, parts))
                return true;
    return false;
}

static bool uses_extent(const Func *f, const Func *later)
{
    for (uint32_t q = 0; q < f->defines.n; q++)
        for (uint32_t m = 0; m < later->sym.n; m++)
            if (later->sym.at[m] == f->defines.at[q])
                return true;
    return false;
}

/* Distance at one count. */
static int32_t distance_before(const Unit *u, Touched *const *by, uint32_t f, const Touched *of, uint32_t count)
{
    const int32_t parts = u->threads.at[count];
    int32_t far = 0, reach = 0, near = 0;
    for (uint32_t k = f; k-- > 0 && reach < parts - 1;) {
        const int32_t apart = uses_extent(u->func.at[k], u->func.at[f]) ? parts - 1 : clash_distance(u, by[k]->at[count], of->at[count], parts);
        const int32_t met = func_meet(u->func.at[k], count);
        far = apart - reach > far ? apart - reach : far;
        reach += met;
        near += met > 0 && met < parts - 1;
    }
    return far && near >= MOST_NEAR ? parts - 1 : far;
}

int32_t *meeting_before(Arena *a, const Unit *u, Touched *const *by, uint32_t f, const Touched *of)
{
    int32_t *meet = NEWN(a, int32_t, u->threads.n), any = 0;
    for (uint32_t t = 0; t < u->threads.n; t++) {
        meet[t] = distance_before(u, by, f, of, t);
        any |= meet[t];
    }
    return any ? meet : NULL;
}

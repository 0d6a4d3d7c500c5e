/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines stay with their part. A line that another core has written, or read, is fetched from there before it can be written,
 * so what one part writes shall not come to lie where another has been. Of a small model, for whose memory the caches have
 * room anyway, only blocks share bytes that the same parts write and read; each kind has memory of its own, and between what
 * lies side by side is room for what a core fetches ahead.
 */
#include "memory_blocks.h"

#include "../ir/part.h"

/* Bytes between what different parts of a run use: a core fetches ahead as far as the page ends, and takes lines of the next
 * part's from the core that writes them (ARCHITECTURE.md, 50). */
enum { LINES_APART = 4096 };

/* Blocks of one number, behind `base`; how far they reach. */
static int64_t pack_kind(Arena *a, Blocks *all, const uint32_t *owner, uint32_t number, int64_t base)
{
    static const PlanPool pool = {"arena", 0};
    /* id: the number of the block among all */
    Blocks j = {.b = NEWN(a, PlanBuf, all->n), .at = NEWN(a, PlanPlace, all->n), .id = NEWN(a, uint32_t, all->n)};
    for (uint32_t k = 0; k < all->n; k++)
        if (owner[all->id[k]] == number) {
            j.b[j.n] = all->b[k];
            j.b[j.n].bytes += number == OWNED_BY_FIRST ? 0 : LINES_APART;
            j.id[j.n++] = k;
        }
    PlanResult r = {0};
    if (!j.n)
        return base;
    if (!plan_pack(a, j.b, j.n, &pool, 1, 0, j.at, &r))
        return INT64_MAX;
    memory_prove(&j, &pool, 1, &r);
    for (uint32_t k = 0; k < j.n; k++)
        all->at[j.id[k]].offset = base + j.at[k].offset;
    return base + align_up(r.peak[0], all->b[0].align) + (number == OWNED_BY_FIRST ? LINES_APART : 0);
}

/* What parts share, each kind of owners by itself; how far that reaches, INT64_MAX where it is further than `most`. */
static int64_t pack_kinds(Unit *u, int64_t most)
{
    Arena *a = u->cx->arena;
    Blocks j = memory_blocks(u, a);
    const uint32_t *owner = part_owners(a, u, j.root);
    uint32_t last = 0;
    int64_t end = 0;
    for (uint32_t k = 0; k < j.n; k++)
        last = owner[j.id[k]] > last ? owner[j.id[k]] : last;
    for (uint32_t number = 1; number <= last && end <= most; number++)
        end = pack_kind(a, &j, owner, number, end);
    if (end > most)
        return INT64_MAX;
    memory_place(u, &j);
    return end;
}

static void move_scratch(Unit *u, int64_t by)
{
    for (uint32_t k = 1; k < u->buf.n; k++)
        if (buf(u, k)->cls == BC_scratch && memory_plans(buf(u, k)))
            buf(u, k)->offset += by;
}

bool plan_lines(Unit *u, int64_t most)
{
    const int64_t shared = u->arena_bytes - u->part_bytes;
    if (!u->threads.n)
        return false;
    const int64_t kinds = shared && shared <= most ? pack_kinds(u, most) : INT64_MAX;
    const bool done = kinds < INT64_MAX;
    if (done)
        u->apart_bytes = kinds - shared;
    else if (shared && u->part_bytes)
        u->apart_bytes = LINES_APART;
    move_scratch(u, u->apart_bytes);
    u->part_bytes += u->part_bytes ? LINES_APART : 0;
    u->arena_bytes = shared + u->apart_bytes + u->part_bytes;
    return done;
}

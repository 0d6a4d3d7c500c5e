/* SPDX-License-Identifier: Apache-2.0
 *
 * The steps of the automatic scheduler in their order, and whether to take them again. Borders around tensors are decided
 * before it is known what lives at the same time; where they make the fullest moment of the program fuller, a second
 * schedule leaves those tensors without, and their readers make rows with borders for themselves (auto_rows.c). In the same way
 * tensors that lie within another one get memory of their own where that would be in the way before it is complete.
 */
#include "auto.h"

/* The scheduler's own program; expressions and constants are shared. */
static Te *own_copy(Arena *a, const Te *from)
{
    Te *te = NEW(a, Te);
    *te = *from;
    te->names = (Map){.arena = a};
    te->ten.at = NULL;
    te->stage.at = NULL;
    te->ten.n = te->ten.cap = te->stage.n = te->stage.cap = 0;
    for (uint32_t k = 0; k < from->ten.n; k++) {
        Ten *t = k ? arena_copy(a, from->ten.at[k], sizeof(Ten)) : NULL;
        PUSH(a, &te->ten, t);
        if (t)
            *map_str(&te->names, t->name, true) = 1;
    }
    for (uint32_t k = 0; k < from->stage.n; k++)
        PUSH(a, &te->stage, arena_copy(a, from->stage.at[k], sizeof(Stage)));
    return te;
}

static Auto new_scheduler(Arena *a, const Te *te, const Machine *m, Tuning *t, int32_t parts)
{
    Auto g = {.a = a, .x = te->cx->x, .te = own_copy(a, te), .m = m, .tuning = t, .parts = parts, .sums = NEW(a, Map), .totals = NEW(a, Map), .made = NEW(a, Map)};
    g.sums->arena = g.totals->arena = g.made->arena = a;
    for (uint32_t k = 0; k < te->ten.n; k++) {
        PUSH(a, &g.pinned, false);
        PUSH(a, &g.layout, ((Layout){0}));
        PUSH(a, &g.packed, false);
        PUSH(a, &g.panel, false);
        PUSH(a, &g.lane, NULL);
        PUSH(a, &g.twins, false);
        PUSH(a, &g.thirds, NULL);
        PUSH(a, &g.start, 0);
        PUSH(a, &g.slim, false);
        PUSH(a, &g.scaled, false);
        PUSH(a, &g.matrix, NULL);
        PUSH(a, &g.rows, 0);
    }
    return g;
}

#define COPY(a, v) ((v)->at = (v)->n ? arena_copy((a), (v)->at, (v)->n * sizeof *(v)->at) : NULL, (v)->cap = (v)->n)

static Map *copy_map(Arena *a, const Map *from)
{
    Map *m = NEW(a, Map);
    m->arena = a;
    for (uint32_t k = 0; k < from->slot.n; k++)
        *(from->slot.at[k].str ? map_str(m, from->slot.at[k].str, true) : map_u64(m, from->slot.at[k].key, true)) = from->slot.at[k].val;
    return m;
}

/* One that goes on from there and leaves `from` as it is. */
static Auto copy_of(const Auto *from)
{
    Auto g = *from;
    g.te = own_copy(g.a, from->te);
    g.sums = copy_map(g.a, from->sums);
    g.totals = copy_map(g.a, from->totals);
    g.made = copy_map(g.a, from->made);
    COPY(g.a, &g.pinned);
    COPY(g.a, &g.packed);
    COPY(g.a, &g.panel);
    COPY(g.a, &g.lane);
    COPY(g.a, &g.twins);
    COPY(g.a, &g.thirds);
    COPY(g.a, &g.layout);
    COPY(g.a, &g.start);
    COPY(g.a, &g.slim);
    COPY(g.a, &g.scaled);
    COPY(g.a, &g.rows);
    COPY(g.a, &g.matrix);
    return g;
}

/* Rewrites that do not ask what memory has room for. */
static void rewrite(Auto *g)
{
    if (!g->te->cx->small)
        auto_guard(g);
    if (g->m->lanes_f32 > 1)
        auto_join(g);
    if (g->te->cx->fp == FP_bf16) {
        auto_views(g);
        auto_winograd(g);
        auto_fixed(g);
        auto_narrow(g);
    }
    if (g->m->lanes_f32 > 1) {
        auto_pair(g);
        auto_sign(g);
        auto_winograd_bytes(g);
        auto_zero(g);
        auto_taps(g);
    }
    if (g->m->lanes_f32 > 1 && g->m->fma)
        auto_scale(g);
    if (g->m->lanes_f32 > 1)
        auto_clip(g);
}

/* All else, by the first `count` tensors: those without borders and those that hold no others. */
static Auto scheduled(const Auto *start, uint32_t count, const bool *tight, const bool *early)
{
    Auto of = copy_of(start), *g = &of;
    g->tight = tight;
    g->ntight = tight ? count : 0;
    g->sole = early;
    g->nsole = early ? count : 0;
    if (g->m->lanes_f32 > 1)
        auto_words(g);
    auto_prepare(g);
    if (g->m->lanes_f32 > 1 && !g->te->cx->small) {
        auto_side(g);
        auto_group(g);
        auto_spread(g);
    }
    auto_outputs(g);
    g->s = schedule_new(g->a, g->te);
    g->s->parts = g->parts;
    auto_place(g);
    if (g->m->lanes_f32 > 1)
        auto_round(g);
    if (g->te->cx->fp == FP_bf16)
        auto_narrow_rest(g);
    auto_tile(g);
    return of;
}

/* More than once where the schedule shows that memory has no room for all that it wants. */
Schedule *schedule_auto(Arena *a, const Te *te, const Machine *m, Tuning *t, int32_t parts)
{
    const uint32_t count = te->ten.n;
    Auto start = new_scheduler(a, te, m, t, parts);
    rewrite(&start);
    Auto g = scheduled(&start, count, NULL, NULL);
    const bool *early = auto_early(&g, count);
    if (early)
        g = scheduled(&start, count, NULL, early);
    for (bool *tight = m->lanes_f32 > 1 ? auto_tight(&g, count) : NULL; tight; tight = auto_tight_rest(&g, tight, count))
        g = scheduled(&start, count, tight, early);
    return g.s;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The steps of the automatic scheduler in their order, and whether to take them again. Borders around tensors are decided
 * before it is known what lives at the same time; where they make the fullest moment of the program fuller, a second
 * schedule leaves those tensors without, and their readers make rows with borders for themselves (auto_rows.c). In the same way
 * tensors that lie within another one get memory of their own where that would be in the way before it is complete.
 */
#include "auto.h"

/* The scheduler's own program: the model's stages are shared, the lists are not. */
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
        PUSH(a, &te->stage, from->stage.at[k]);
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
        PUSH(a, &g.twins, false);
        PUSH(a, &g.thirds, NULL);
        PUSH(a, &g.slim, false);
        PUSH(a, &g.scaled, false);
        PUSH(a, &g.matrix, NULL);
        PUSH(a, &g.rows, 0);
    }
    return g;
}

static void make_schedule(Auto *g)
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
}

/* The same again with what the last one has shown: by the first `count` tensors, those without borders and those that hold no others. */
static void schedule_again(Auto *g, const Te *te, uint32_t count, const bool *tight, const bool *early)
{
    *g = new_scheduler(g->a, te, g->m, g->tuning, g->parts);
    g->tight = tight;
    g->ntight = tight ? count : 0;
    g->sole = early;
    g->nsole = early ? count : 0;
    make_schedule(g);
}

Schedule *schedule_auto(Arena *a, const Te *te, const Machine *m, Tuning *t, int32_t parts)
{
    const uint32_t count = te->ten.n;
    Auto g = new_scheduler(a, te, m, t, parts);
    make_schedule(&g);
    const bool *early = auto_early(&g, count);
    if (early)
        schedule_again(&g, te, count, NULL, early);
    for (bool *tight = m->lanes_f32 > 1 ? auto_tight(&g, count) : NULL; tight; tight = auto_tight_rest(&g, tight, count))
        schedule_again(&g, te, count, tight, early);
    return g.s;
}

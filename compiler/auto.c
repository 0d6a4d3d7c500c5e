/* SPDX-License-Identifier: Apache-2.0
 *
 * The steps of the automatic scheduler in their order, and whether to take them again. Borders around tensors are decided
 * before it is known what lives at the same time; where they make the fullest moment of the program fuller, a second
 * schedule leaves those tensors without, and their readers make rows with borders for themselves (auto_rows.c).
 */
#include "auto.h"

enum { SMALL_BORDER = 16 }; /* a border of that share of its tensor, as of large pictures, is not worth anything */

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
    Auto g = {.a = a, .x = te->cx->x, .te = own_copy(a, te), .m = m, .tuning = t, .parts = parts};
    for (uint32_t k = 0; k < te->ten.n; k++) {
        PUSH(a, &g.pinned, false);
        PUSH(a, &g.layout, ((Layout){0}));
        PUSH(a, &g.packed, false);
        PUSH(a, &g.matrix, NULL);
        PUSH(a, &g.rows, 0);
    }
    return g;
}

static void make_schedule(Auto *g)
{
    if (g->m->lanes_f32 > 1)
        auto_join(g);
    if (g->te->cx->fp == FP_bf16)
        auto_narrow(g);
    if (g->m->lanes_f32 > 1) {
        auto_pair(g);
        auto_sign(g);
        auto_zero(g);
    }
    if (g->m->lanes_f32 > 1 && g->m->fma)
        auto_scale(g);
    auto_prepare(g);
    auto_outputs(g);
    g->s = schedule_new(g->a, g->te);
    auto_place(g);
    if (g->te->cx->fp == FP_bf16)
        auto_narrow_rest(g);
    auto_tile(g);
}

/* ---- what lives when ---- */

typedef struct Alive { const Auto *g; uint32_t *last; } Alive; /* last: by tensor, the stage at root in which it is read last */

/* The stage whose function stage k is part of. */
static uint32_t root_of(const Auto *g, uint32_t k)
{
    while (g->s->stage[k].place == PL_register || g->s->stage[k].place == PL_at)
        k = g->s->stage[k].host;
    return k;
}

static bool is_stored(const Auto *g, uint32_t t)
{
    const Ten *n = ten(g->te, t);
    return n->kind == TEN_stage && n->output < 0 && n->stage != NO_STAGE && g->s->stage[n->stage].place == PL_root;
}

static Alive lives(const Auto *g)
{
    Alive l = {g, NEWN(g->a, uint32_t, g->te->ten.n)};
    for (uint32_t t = 1; t < g->te->ten.n; t++)
        for (uint32_t q = 0; q < g->nreader[t]; q++)
            l.last[t] = (uint32_t)max_i64(l.last[t], root_of(g, g->reader[t][q]));
    return l;
}

static bool is_alive(const Alive *l, uint32_t t, uint32_t k)
{
    return is_stored(l->g, t) && ten(l->g->te, t)->stage <= k && l->last[t] >= k;
}

static int64_t bytes_of(const Auto *g, uint32_t t, bool bordered)
{
    const Layout *l = &g->layout.at[t];
    int64_t n = (int64_t)dtype_bytes(ten(g->te, t)->dt);
    for (uint8_t d = 0; d < ten(g->te, t)->rank; d++)
        n *= extent_of(g, ten(g->te, t)->dim[d]) + (bordered && l->set ? l->lo[d] + l->hi[d] : 0);
    return n;
}

/* Whether stage k reads t, which dies there, just where it writes, so that its result can take the place. */
static bool is_replaced(const Alive *l, uint32_t t, uint32_t k)
{
    const Stage *s = l->g->te->stage.at[k];
    const Expr *at = l->g->body[k] && s->kind == ST_map ? ex_sole_load(l->g->body[k], t) : NULL;
    const uint8_t rank = ten(l->g->te, t)->rank;
    bool same = at && l->last[t] == k && l->g->nreader[t] > 0 && l->g->reader[t][l->g->nreader[t] - 1] == k && rank == ten(l->g->te, s->out)->rank;
    for (uint8_t d = 0; same && d < rank; d++)
        same = at->a[d] == s->var[d] || ex_is_int(ten(l->g->te, t)->dim[d], 1);
    return same && bytes_of(l->g, t, false) == bytes_of(l->g, s->out, false);
}

/* Bytes of the tensors that live while stage k at root runs. */
static int64_t load_at(const Alive *l, uint32_t k, bool bordered)
{
    int64_t sum = 0;
    bool replaced = false;
    for (uint32_t t = 1; t < l->g->te->ten.n; t++) {
        sum += is_alive(l, t, k) ? bytes_of(l->g, t, bordered) : 0;
        replaced = replaced || (is_alive(l, t, k) && is_replaced(l, t, k));
    }
    return sum - (replaced ? bytes_of(l->g, l->g->te->stage.at[k]->out, bordered) : 0);
}

/* Whether stage k is a dense product of t in a function of its own, which could make the rows that it reads. */
static bool can_make_rows(const Auto *g, uint32_t k, uint32_t t)
{
    const StagePlan *p = &g->s->stage[k];
    const uint32_t host = p->place == PL_register ? p->host : k;
    Dot d;
    return g->s->stage[host].place == PL_root && dot_of(g, k, &d) && d.x->v.ref == t && d.lane >= 0 && d.group;
}

/* A border of bytes that readers could make, and no small part of its tensor. */
static bool has_costly_border(const Auto *g, uint32_t t)
{
    const int64_t plain = bytes_of(g, t, false), more = bytes_of(g, t, true) - plain;
    bool yes = false;
    for (uint32_t q = 0; q < g->nreader[t]; q++)
        yes = yes || can_make_rows(g, g->reader[t][q], t);
    return yes && dtype_bytes(ten(g->te, t)->dt) == 1 && more * SMALL_BORDER >= plain;
}

/* The tensors whose borders make the largest load larger, by number; NULL: none. */
static bool *tight_tensors(const Auto *g, uint32_t count)
{
    bool *costly = NEWN(g->a, bool, count), *tight = NEWN(g->a, bool, count), any = false;
    for (uint32_t t = 1; t < count; t++)
        any = (costly[t] = is_stored(g, t) && has_costly_border(g, t)) || any;
    if (!any) /* of most networks */
        return NULL;
    const Alive l = lives(g);
    int64_t most = 0;
    for (uint32_t k = 0; k < g->te->stage.n; k++)
        most = g->s->stage[k].place == PL_root ? max_i64(most, load_at(&l, k, false)) : most;
    any = false;
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        const bool full = g->s->stage[k].place == PL_root && load_at(&l, k, true) > most;
        for (uint32_t t = 1; full && t < count; t++)
            if (costly[t] && is_alive(&l, t, k))
                any = tight[t] = true;
    }
    return any ? tight : NULL;
}

/* Without those of which rows are made whole, which takes more than a border: as many as before, NULL: there were none. */
static bool *without_whole(const Auto *g, const bool *tight, uint32_t count)
{
    bool *left = arena_copy(g->a, tight, count * sizeof *tight), any = false;
    for (uint32_t t = 1; t < g->te->ten.n; t++)
        if (g->rows.at[t] && layout_free(g, g->rows.at[t]) && is_stored(g, t)) {
            left[g->rows.at[t]] = false;
            any = true;
        }
    return any ? left : NULL;
}

Schedule *schedule_auto(Arena *a, const Te *te, const Machine *m, Tuning *t, int32_t parts)
{
    const uint32_t count = te->ten.n;
    Auto g = new_scheduler(a, te, m, t, parts);
    make_schedule(&g);
    for (bool *tight = m->lanes_f32 > 1 ? tight_tensors(&g, count) : NULL; tight; tight = without_whole(&g, tight, count)) {
        g = new_scheduler(a, te, m, t, parts);
        g.tight = tight;
        g.ntight = count;
        make_schedule(&g);
    }
    return g.s;
}

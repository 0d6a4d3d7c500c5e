/* SPDX-License-Identifier: Apache-2.0
 *
 * Tensors that a concatenation puts side by side are made in its memory, which saves the copy, and their own memory:
 *
 *   a[..] = ..                            a, in the memory of y
 *   b[..] = ..                     ->     b, in the memory of y
 *   y[.., m, ..] = m < M ? a[.., m, ..] : b[.., m - M, ..]
 *
 * Whoever else reads a reads it there, in longer strides. A tensor lies within one other at most, which may lie within a third; what
 * cannot (an input, what is computed on the way, what lies in another order) is copied as before. A border that one of them needs
 * is one of y. Where y would be in the way before it is complete, schedule_auto (auto.c) asks again without.
 */
#include "auto_tile.h"
#include "slices.h"

enum { LONG_ROW = 14 }; /* points of a tile, as a border keeps rows from being joined: those of 20 gain in YOLOv8n (0.992), shorter ones were not measured */

/* Whether the dimensions of more than one element lie in the same order. */
static bool same_order(const Auto *g, uint32_t p, uint32_t q)
{
    const Ten *t = ten(g->te, q);
    const Order a = order_of(g, p), b = order_of(g, q);
    uint8_t m = 0;
    for (uint8_t k = 0; k < t->rank; k++) {
        if (ex_is_int(t->dim[a.at[k]], 1))
            continue;
        while (ex_is_int(t->dim[b.at[m]], 1))
            m++;
        if (a.at[k] != b.at[m++])
            return false;
    }
    return true;
}

/* What is asked of the loads of a tensor: none that walks several of its dimensions as one, nothing beside it. */
typedef struct Loads { const Auto *g; uint32_t t; int along; bool bad; } Loads;

static void check_load(void *ctx, const Expr *e)
{
    Loads *l = ctx;
    if ((e->op != EX_load && e->op != EX_loadp) || e->v.ref != l->t)
        return;
    l->bad = l->bad || (!has_affine_indices(e) && walks_memory(l->g, e)) || (l->along >= 0 && !load_stays_inside(l->g->te, e, (uint8_t)l->along));
}

static bool has_plain_readers(const Auto *g, uint32_t t, int along)
{
    Loads l = {g, t, along, is_operand_of_call(g->te, t)};
    for (uint32_t q = 0; q < g->nreader[t]; q++)
        walk_scheduled(g->s, g->body, g->reader[t][q], check_load, &l);
    return !l.bad;
}

/* Rows of a matrix unit's tiles lie evenly in what they read, as was decided: in t, or what lies within it already. */
static bool is_read_evenly(const Auto *g, uint32_t t)
{
    bool yes = false;
    for (uint32_t q = 0; q < g->nreader[t]; q++)
        yes = yes || g->matrix.at[g->te->stage.at[g->reader[t][q]]->out];
    for (uint32_t q = 1; q < g->te->ten.n && !yes; q++)
        yes = g->layout.at[q].within == t && is_read_evenly(g, q);
    return yes;
}

static bool has_long_rows(const Auto *g, uint32_t t)
{
    const Ten *n = ten(g->te, t);
    const Order o = order_of(g, t);
    return n->rank >= 2 && extent_of(g, n->dim[o.at[n->rank - 2]]) >= LONG_ROW;
}

/* Whether tensor y, which is to hold t, has the border that t wants, or may get it. */
static bool borders_agree(const Auto *g, uint32_t t, uint32_t y, uint8_t along)
{
    const Layout *in = &g->layout.at[t], *out = &g->layout.at[y];
    const uint8_t rank = ten(g->te, y)->rank;
    const bool inner = layout_has_halo(in, rank), outer = layout_has_halo(out, rank);
    if (in->lo[along] || in->hi[along] || (inner && (out->lo[along] || out->hi[along])))
        return false;
    if (inner && outer)
        return in->pad == out->pad;
    if (inner)
        return layout_free(g, y) && has_long_rows(g, y) && !is_read_evenly(g, y) && has_plain_readers(g, y, -1);
    return !outer || !is_read_evenly(g, t);
}

/* Whether t is made by a stage at root that may store anywhere. */
static bool may_move(const Auto *g, uint32_t t)
{
    const Ten *n = ten(g->te, t);
    if (n->kind != TEN_stage || n->output >= 0 || g->layout.at[t].within || g->rows.at[t] || g->packed.at[t])
        return false;
    const StageKind kind = g->te->stage.at[n->stage]->kind;
    return g->s->stage[n->stage].place == PL_root && (kind == ST_map || kind == ST_reduce);
}

static bool may_hold(const Auto *g, uint32_t y)
{
    return !(g->sole && y < g->nsole && g->sole[y]) && !g->rows.at[y] && !g->packed.at[y];
}

static void put_within(Auto *g, uint32_t t, uint32_t y, uint8_t along, int64_t at)
{
    Layout *in = &g->layout.at[t], want = *in;
    const Order own = order_of(g, t), held = order_of(g, y);
    memcpy(want.order, held.at, sizeof want.order);
    if (layout_has_halo(in, ten(g->te, t)->rank))
        layout_merge(g, y, &want);
    memcpy(in->order, own.at, sizeof in->order);
    in->set = true;
    in->within = y;
    in->along = along;
    in->at = at;
    g->pinned.at[t] = g->pinned.at[y] = true;
}

bool is_put_beside(const Auto *g, uint32_t t)
{
    for (uint32_t q = 0; q < g->nreader[t]; q++) {
        const uint32_t k = g->reader[t][q];
        Slices parts;
        int64_t at;
        if (slices_of(g->a, g->te, g->te->stage.at[k], g->body[k], &parts) && slices_hold(&parts, t, &at))
            return true;
    }
    return false;
}

void auto_within(Auto *g)
{
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        const Stage *s = g->te->stage.at[k];
        Slices parts;
        int64_t at;
        if (g->s->stage[k].place != PL_root || !may_hold(g, s->out) || !slices_of(g->a, g->te, s, g->body[k], &parts))
            continue;
        for (uint32_t q = 0; q < parts.v.n; q++) {
            const uint32_t t = parts.v.at[q].t;
            if (t && may_move(g, t) && slices_hold(&parts, t, &at) && same_order(g, t, s->out) && borders_agree(g, t, s->out, parts.along) && has_plain_readers(g, t, parts.along))
                put_within(g, t, s->out, parts.along, at);
        }
    }
}

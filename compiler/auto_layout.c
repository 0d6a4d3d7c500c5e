/* SPDX-License-Identifier: Apache-2.0
 *
 * Layouts: in which order a tensor's elements lie, and with which halo. Wishes of its readers are merged; tensors that are made or
 * read element by element beside one that has a layout take its order.
 */
#include "slices.h"
#include "auto.h"

void layout_innermost(Layout *l, uint8_t rank, int d)
{
    uint8_t n = 0;
    for (uint8_t q = 0; q < rank; q++)
        if (q != d)
            l->order[n++] = q;
    l->order[n] = (uint8_t)d;
    l->set = true;
}

Layout layout_channels_last(const Auto *g, uint32_t t, int c)
{
    const uint8_t rank = ten(g->te, t)->rank;
    Layout l = {0};
    for (uint8_t q = 0; q < rank; q++)
        l.order[q] = q;
    if (c >= 0 && rank >= 3)
        layout_innermost(&l, rank, c);
    return l;
}

void layout_want_halo(const Auto *g, const Expr *load, Layout *l)
{
    if (load->op != EX_loadp)
        return;
    const Ten *t = ten(g->te, load->v.ref);
    for (uint8_t d = 0; d < t->rank; d++) {
        int64_t lo, hi, unused;
        const Expr *past = ex_sub(g->x, load->a[d], ex_sub(g->x, t->dim[d], ex_int(g->x, 1)));
        if (!ex_range(g->x, load->a[d], &lo, &unused) || !ex_range(g->x, past, &unused, &hi) || lo < -64 || hi > 64)
            continue;
        l->lo[d] = (int32_t)max_i64(l->lo[d], -lo);
        l->hi[d] = (int32_t)max_i64(l->hi[d], hi);
    }
}

bool layout_has_halo(const Layout *l, uint8_t rank)
{
    for (uint8_t d = 0; d < rank; d++)
        if (l->lo[d] || l->hi[d])
            return true;
    return false;
}

bool layout_is_plain(const Layout *l, uint8_t rank)
{
    for (uint8_t d = 0; d < rank; d++)
        if (l->order[d] != d || l->lo[d] || l->hi[d])
            return false;
    return true;
}

bool layout_free(const Auto *g, uint32_t t)
{
    const Ten *n = ten(g->te, t);
    if (n->kind != TEN_stage || n->output >= 0 || is_operand_of_call(g->te, t))
        return false;
    const StageKind made = (StageKind)g->te->stage.at[n->stage]->kind;
    return made != ST_call && made != ST_scatter;
}

/* Of zeros where floats are read, of the first reader's zero point where bytes are. */
bool layout_may_pad(const Auto *g, uint32_t t, double fill)
{
    const Layout *l = &g->layout.at[t];
    return (fill == 0 || ten(g->te, t)->dt != DT_f32) && (fill == l->pad || !layout_has_halo(l, ten(g->te, t)->rank));
}

void layout_merge(Auto *g, uint32_t t, const Layout *want)
{
    Layout *into = &g->layout.at[t];
    const uint8_t rank = ten(g->te, t)->rank;
    memcpy(into->order, want->order, rank);
    into->set = true;
    into->pad = want->pad;
    for (uint8_t d = 0; d < rank; d++) {
        into->lo[d] = (int32_t)max_i64(into->lo[d], want->lo[d]);
        into->hi[d] = (int32_t)max_i64(into->hi[d], want->hi[d]);
    }
}

uint32_t layout_home(const Auto *g, uint32_t t)
{
    while (g->layout.at[t].within)
        t = g->layout.at[t].within;
    return t;
}

bool layout_holds(const Auto *g, uint32_t t)
{
    bool yes = false;
    for (uint32_t q = 1; q < g->te->ten.n; q++)
        yes = yes || g->layout.at[q].within == t;
    return yes;
}

/* ---- by their neighbours ---- */

void layout_parts(Auto *g)
{
    for (uint32_t k = g->te->stage.n; k-- > 0;) { /* the whole first: parts may have parts */
        const uint32_t y = g->te->stage.at[k]->out;
        const uint8_t rank = ten(g->te, y)->rank;
        Slices parts;
        int64_t at;
        if (!g->layout.at[y].set || !slices_of(g->a, g->te, g->te->stage.at[k], g->body[k], &parts))
            continue;
        for (uint32_t q = 0; q < parts.v.n; q++) {
            const uint32_t t = parts.v.at[q].t;
            if (t && layout_free(g, t) && g->nreader[t] == 1 && slices_hold(&parts, t, &at) && !layout_has_halo(&g->layout.at[t], rank)) {
                memcpy(g->layout.at[t].order, g->layout.at[y].order, rank);
                g->layout.at[t].set = true;
            }
        }
    }
}

typedef struct Follow { Auto *g; const Stage *s; uint8_t order[MAX_RANK]; bool found; } Follow;

/* Which variable of the stage, alone or shifted, is the index of dimension d; -1: none, -2: several. */
static int variable_of(const Follow *f, const Expr *e, uint8_t d)
{
    int found = -1;
    for (uint8_t v = 0; v < ten(f->g->te, f->s->out)->rank; v++)
        if (ex_uses(e->a[d], f->s->var[v]))
            found = found == -1 ? v : -2;
    return found;
}

/* The variables in the order in which the load walks memory; it must have all that take more than one value. */
static void follow_load(void *ctx, const Expr *e)
{
    Follow *f = ctx;
    if ((e->op != EX_load && e->op != EX_loadp) || !f->g->layout.at[e->v.ref].set)
        return;
    const uint8_t rank = ten(f->g->te, f->s->out)->rank, from = ten(f->g->te, e->v.ref)->rank;
    uint8_t order[MAX_RANK], n = 0;
    uint32_t seen = 0;
    for (int q = from - 1; q >= 0; q--) {
        const int v = variable_of(f, e, f->g->layout.at[e->v.ref].order[q]);
        if (v == -2 || (v >= 0 && (seen >> v & 1)))
            return;
        if (v >= 0)
            order[rank - ++n] = (uint8_t)v;
        seen |= v >= 0 ? 1u << v : 0;
    }
    for (int v = rank - 1; v >= 0; v--) {
        if (seen >> v & 1)
            continue;
        if (!ex_is_int(ten(f->g->te, f->s->out)->dim[v], 1))
            return;
        order[rank - ++n] = (uint8_t)v;
    }
    memcpy(f->order, order, rank);
    f->found = true;
}

void layout_follow(Auto *g)
{
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        const Stage *s = g->te->stage.at[k];
        const uint8_t rank = ten(g->te, s->out)->rank;
        if (!s->body || !layout_free(g, s->out) || g->layout.at[s->out].set || rank < 3)
            continue;
        Follow f = {.g = g, .s = s};
        ex_walk(g->body[k], follow_load, &f);
        if (f.found) {
            memcpy(g->layout.at[s->out].order, f.order, rank);
            g->layout.at[s->out].set = true;
        }
    }
}

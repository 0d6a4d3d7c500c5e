/* SPDX-License-Identifier: Apache-2.0
 *
 * Placement. Views and cheap maps are inline (auto_inline.c); what is left and put side by side lies there (auto_within.c); a map that reads one reduction element for element becomes its
 * epilogue; what depthwise products and rows of windows read is made in blocks (auto_lanes.c, auto_bands.c), statistics of rows
 * inside the row loop of what reads them (auto_statistic.c); the rest is at root.
 */
#include "auto.h"

/* The lanes and the points of a contraction's tile must be variables of the host. */
static bool host_has_tile(const Auto *g, uint32_t host, uint32_t k, const Expr *load)
{
    const Stage *h = g->te->stage.at[host];
    const uint8_t rank = ten(g->te, h->out)->rank;
    int v;
    Dot d;
    if (!dot_of(g, k, &d))
        return true;
    return (d.lane < 0 || is_pure_var(load->a[d.lane], h->var, rank, &v)) && (d.row < 0 || is_pure_var(load->a[d.row], h->var, rank, &v));
}

/* A load at what tensor t says, but of bytes of a table, which vectors look up: a tile of t with such an epilogue would have none. */
typedef struct Lookup { const Auto *g; uint32_t t; bool any; } Lookup;

static void find_lookup(void *ctx, const Expr *e)
{
    Lookup *l = ctx;
    if (e->op != EX_load && e->op != EX_loadp)
        return;
    const Ten *t = ten(l->g->te, e->v.ref);
    const bool table = t->kind == TEN_const && t->rank == 1 && dtype_is_byte(t->dt) && ex_is_int(t->dim[0], 256);
    for (uint16_t d = 0; d < ex_load_rank(e); d++)
        l->any = l->any || (!table && ex_sole_load(e->a[d], l->t));
}

static bool looks_up(const Auto *g, const Expr *body, uint32_t t)
{
    Lookup l = {g, t, false};
    ex_walk(body, find_lookup, &l);
    return l.any;
}

/* Whether stage k's one reader is a map that takes each element just once, and has its registers free. */
static bool has_host(const Auto *g, uint32_t k)
{
    const uint32_t t = g->te->stage.at[k]->out, host = g->reader[t][0];
    if (g->te->stage.at[host]->kind != ST_map || g->s->stage[host].place != PL_root || g->host[host])
        return false;
    const Expr *load = ex_sole_load(g->body[host], t);
    if (!load || load->op != EX_load)
        return false;
    return has_affine_indices(load) && !looks_up(g, g->body[host], t) && points_of_stage(g, host) == points_of_stage(g, k) && host_has_tile(g, host, k, load);
}

/* Products before rows are looked for; other reductions when they are not statistics of rows. */
static void decide_register(Auto *g, bool products)
{
    for (uint32_t k = g->te->stage.n; k-- > 0;) {
        const Stage *s = g->te->stage.at[k];
        StagePlan *p = &g->s->stage[k];
        if (s->kind != ST_reduce || is_product(g, s) != products || ten(g->te, s->out)->output >= 0 || g->nreader[s->out] != 1 || p->place != PL_root || g->host[k])
            continue;
        if (!products && runs_across(g, k)) {
            p->why = "it runs across vectors";
        } else if (g->pinned.at[s->out]) {
            p->why = g->layout.at[s->out].within ? "it lies within another" : "it has memory of its own";
        } else if (!has_host(g, k)) {
            p->why = "its reader does not use each element once";
        } else {
            p->place = PL_register;
            p->host = g->reader[s->out][0];
            g->host[p->host] = true;
        }
    }
}

void auto_place(Auto *g)
{
    auto_inline(g);
    auto_within(g);
    g->host = NEWN(g->a, bool, g->te->stage.n);
    g->block = NEWN(g->a, int64_t, g->te->stage.n);
    g->band = NEWN(g->a, LoopStep, g->te->stage.n);
    decide_register(g, true);
    auto_panels(g);
    auto_starts(g);
    auto_lanes(g);
    auto_chain(g);
    auto_bands(g);
    auto_strips(g);
    auto_statistics(g);
    decide_register(g, false);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Windows over pictures that have channels first: pools, samples and reflected borders read them at places that vectors along a row have
 * not side by side, or guard some lanes of. With channels last, in a copy where the picture is given, the channels are the lanes.
 */
#include "auto.h"

/* Of a stage: the picture, which of its dimensions the channels are, and their variable. */
typedef struct Windows { const Auto *g; const Stage *s; const Expr *along; uint32_t x; int channels, var; bool differ; } Windows; /* x: 0 where there is none */

/* Whether lanes along a row are not simply side by side, where data may say, or not all inside. */
static bool is_apart(const Windows *w, const Expr *load)
{
    if (load->op == EX_load && walks_memory(w->g, load))
        return false;
    for (uint16_t d = 0; d < ex_load_rank(load); d++) {
        bool linear;
        (void)ex_coef(load->a[d], w->along, &linear);
        if (ex_uses(load->a[d], w->along) && (!linear || load->op == EX_loadp))
            return true;
    }
    return false;
}

/* The dimension of a load whose index is a variable of the stage and nothing else, neither the innermost of the one nor of the other. */
static int channels_of(const Windows *w, const Expr *load, int *var)
{
    const uint8_t rank = ten(w->g->te, w->s->out)->rank;
    for (uint16_t d = 0; d + 1 < ex_load_rank(load); d++)
        if (is_pure_var(load->a[d], w->s->var, rank, var) && w->s->var[*var] != w->along && sole_dim(load, w->s->var[*var]) == d &&
            extent_of(w->g, ten(w->g->te, w->s->out)->dim[*var]) >= w->g->m->lanes_f32)
            return d;
    return -1;
}

static void find_picture(void *ctx, const Expr *e)
{
    Windows *w = ctx;
    if ((e->op != EX_load && e->op != EX_loadp) || !is_apart(w, e) || is_constant_load(w->g, e))
        return;
    w->differ = w->differ || (w->x && w->x != e->v.ref);
    w->x = e->v.ref;
}

static void find_channels(void *ctx, const Expr *e)
{
    Windows *w = ctx;
    int var = -1;
    if ((e->op != EX_load && e->op != EX_loadp) || e->v.ref != w->x)
        return;
    const int d = channels_of(w, e, &var);
    w->differ = w->differ || d < 0 || (w->channels >= 0 && (w->channels != d || w->var != var));
    w->channels = d;
    w->var = var;
}

static bool find_windows(const Auto *g, uint32_t k, Windows *w)
{
    const Stage *s = g->te->stage.at[k];
    const Ten *t = ten(g->te, s->out);
    *w = (Windows){.g = g, .s = s, .channels = -1};
    if ((s->kind != ST_map && s->kind != ST_reduce) || t->rank < 3 || t->dt != DT_f32 || !layout_free(g, s->out) || g->layout.at[s->out].set)
        return false;
    w->along = s->var[t->rank - 1];
    ex_walk(g->body[k], find_picture, w);
    if (!w->x || w->differ || ten(g->te, w->x)->rank < 3 || ten(g->te, w->x)->dt != DT_f32 || g->layout.at[w->x].set)
        return false;
    ex_walk(g->body[k], find_channels, w);
    return !w->differ && w->channels >= 0;
}

typedef struct Swap { Exprs *x; uint32_t from, to; } Swap;

static const Expr *of_copy(void *ctx, const Expr *e)
{
    const Swap *s = ctx;
    if ((e->op != EX_load && e->op != EX_loadp) || e->v.ref != s->from)
        return e;
    const uint16_t rank = ex_load_rank(e);
    return e->op == EX_load ? ex_load(s->x, (DType)e->dt, s->to, rank, e->a) : ex_loadp(s->x, (DType)e->dt, s->to, rank, e->a, e->a[rank]);
}

/* Stage k reads channels last and makes them. Returns the number of stages put before it. */
uint32_t auto_windows(Auto *g, uint32_t k)
{
    Windows w;
    if (!find_windows(g, k, &w))
        return 0;
    const uint32_t out = g->te->stage.at[k]->out;
    const Layout last = layout_channels_last(g, w.x, w.channels);
    layout_innermost(&g->layout.at[out], ten(g->te, out)->rank, w.var);
    if (layout_free(g, w.x)) {
        layout_merge(g, w.x, &last);
        return 0;
    }
    const uint32_t copy = auto_copy(g, k, w.x, NULL, g->te->stage.at[k]->node);
    layout_merge(g, copy, &last);
    auto_views(g);
    (void)auto_replace(g, k + 1, ex_map(g->x, g->body[k + 1], of_copy, &(Swap){g->x, w.x, copy}));
    auto_views(g);
    return 1;
}

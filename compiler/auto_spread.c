/* SPDX-License-Identifier: Apache-2.0
 *
 * What is the same for a group of channels, such as the mean of GroupNorm, where maps read it by vectors of channels:
 *
 *   y[n, c, h, w] = f(x[n, c, h, w], m[n, c / G])
 *
 * Groups that are no whole vectors would cut the lanes, so it is laid out once with an element for each channel, e[n, c] = m[n, c / G].
 */
#include "auto_tile.h"

enum { LARGER = 8 }; /* elements of what reads it for each of those laid out */

/* Of a load: the variable beside the channel that moves it, NULL where there is none. */
typedef struct Grouped { const Expr *load, *beside; } Grouped;

typedef struct Find { const Auto *g; const Stage *s; int lane; Grouped *to; } Find;

/* lane / G in one dimension, a variable in another at most, and nothing else. */
static bool is_grouped(const Find *f, const Expr *e, const Expr **beside)
{
    const Expr *c = f->s->var[f->lane];
    const uint8_t rank = ten(f->g->te, f->s->out)->rank;
    bool grouped = false;
    *beside = NULL;
    for (uint16_t d = 0; d < ex_load_rank(e); d++) {
        const Expr *i = e->a[d];
        int v;
        if (i->op == EX_fdiv && i->a[0] == c && ex_is_const(i->a[1]) && i->a[1]->v.i % f->g->m->lanes_f32 && !grouped)
            grouped = true;
        else if (is_pure_var(i, f->s->var, rank, &v) && v != f->lane && !*beside)
            *beside = i;
        else if (!ex_is_const(i))
            return false;
    }
    return grouped;
}

static void find_grouped(void *ctx, const Expr *e)
{
    Find *f = ctx;
    const Expr *beside;
    if (!f->to->load && e->op == EX_load && is_grouped(f, e, &beside))
        *f->to = (Grouped){e, beside};
}

/* Elements of a constant for each of n lanes. A fill is one, too: its index would cut the lanes all the same. */
static const Blob *constant_lanes(const Auto *g, const Expr *load, const Expr *lane, int64_t n)
{
    const Ten *from = ten(g->te, load->v.ref);
    const size_t size = dtype_bytes(from->dt);
    char *to = NEWN(g->a, char, (size_t)n * size);
    for (int64_t c = 0; c < n; c++) {
        const Subst at = {lane, ex_int(g->x, c)};
        int64_t flat = 0;
        for (uint8_t d = 0; d < from->rank; d++)
            flat = flat * from->dim[d]->v.i + ex_subst(g->x, load->a[d], &at, 1)->v.i;
        blob_get(from->data, flat, 1, to + (size_t)c * size);
    }
    return blob_view(g->a, from->dt, n, to);
}

/* Stage k, whose lanes are variable `lane`, reads an element for each of them, which a stage put before it makes of q, or a constant has. */
static void spread(Auto *g, uint32_t k, int lane, const Grouped *q)
{
    const Stage *s = g->te->stage.at[k];
    const bool constant = is_constant_load(g, q->load) && !q->beside;
    Stage *e = NEW(g->a, Stage);
    const Expr *dim[2], *index[2];
    Subst to[2];
    uint8_t rank = 0;
    if (q->beside) {
        index[rank] = q->beside;
        dim[rank++] = ex_int(g->x, ex_upper(g->x, q->beside) + 1);
    }
    index[rank] = s->var[lane];
    dim[rank++] = ten(g->te, s->out)->dim[lane];
    *e = (Stage){.kind = ST_map, .node = s->node};
    for (uint8_t d = 0; d < rank; d++) {
        e->var[d] = ex_index(g->x, ex_var_info(g->x, index[d])->name, dim[d]);
        to[d] = (Subst){index[d], e->var[d]};
    }
    e->out = auto_tensor(g, str_fmt(g->a, "%s.each%u", ten(g->te, q->load->v.ref)->name, g->te->ten.n), constant ? TEN_const : TEN_stage, rank, dim);
    ten(g->te, e->out)->dt = (DType)q->load->dt;
    if (constant)
        ten(g->te, e->out)->data = constant_lanes(g, q->load, s->var[lane], dim[0]->v.i);
    e->body = ex_subst(g->x, q->load, to, rank);
    auto_exchange(g, k, q->load, ex_load(g->x, (DType)q->load->dt, e->out, rank, index));
    if (!constant)
        auto_insert(g, k, e);
}

/* The next load of stage k that is to be spread. */
static bool find_next(const Auto *g, uint32_t k, int *lane, Grouped *q)
{
    const Stage *s = g->te->stage.at[k];
    const Ten *t = ten(g->te, s->out);
    const Order order = order_of(g, s->out);
    *lane = innermost_dim(t, &order);
    *q = (Grouped){NULL, NULL};
    if (s->kind != ST_map || g->s->stage[k].place != PL_root || *lane < 0 || !ex_is_const(t->dim[*lane]))
        return false;
    Find f = {g, s, *lane, q};
    ex_walk(g->body[k], find_grouped, &f);
    const int64_t channels = extent_of(g, t->dim[*lane]), each = q->beside ? ex_upper(g->x, q->beside) + 1 : 1;
    return q->load && channels >= g->m->lanes_f32 && points_of_stage(g, k) / channels >= LARGER * each;
}

/* One load is spread, if there is one: bodies and readers are others then. */
static bool spread_one(Auto *g)
{
    g->s = schedule_new(g->a, g->te);
    auto_inline(g);
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        int lane;
        Grouped q;
        if (!find_next(g, k, &lane, &q))
            continue;
        spread(g, k, lane, &q);
        return true;
    }
    return false;
}

void auto_spread(Auto *g)
{
    bool any = false;
    while (spread_one(g))
        any = true;
    if (any)
        auto_drop_unread(g);
    auto_views(g);
}

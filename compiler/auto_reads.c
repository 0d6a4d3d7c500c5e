/* SPDX-License-Identifier: Apache-2.0
 *
 * What the scheduler asks of stages: how large they are, and who reads what once views and cheap maps are substituted.
 */
#include "auto.h"

int64_t extent_of(const Auto *g, const Expr *e)
{
    return ex_upper(g->x, e);
}

int64_t points_of_tensor(const Auto *g, uint32_t t)
{
    int64_t n = 1;
    for (uint8_t d = 0; d < ten(g->te, t)->rank; d++)
        n *= extent_of(g, ten(g->te, t)->dim[d]);
    return n;
}

int64_t bytes_of_tensor(const Auto *g, uint32_t t)
{
    const Ten *n = ten(g->te, t);
    return n->lists ? n->lists->count : points_of_tensor(g, t) * (int64_t)dtype_bytes(n->dt);
}

int64_t points_of_stage(const Auto *g, uint32_t k)
{
    return points_of_tensor(g, g->te->stage.at[k]->out);
}

bool is_operand_of_call(const Te *te, uint32_t t)
{
    for (uint32_t k = 0; k < te->stage.n; k++)
        for (uint8_t q = 0; q < te->stage.at[k]->nin; q++)
            if (te->stage.at[k]->in[q] == t)
                return true;
    return false;
}

bool has_known_extents(const Auto *g, const Stage *s)
{
    const Ten *t = ten(g->te, s->out);
    bool known = true;
    for (uint8_t d = 0; d < t->rank; d++)
        known = known && ex_is_const(t->dim[d]);
    for (uint8_t r = 0; r < s->nr; r++)
        known = known && ex_is_const(s->rext[r]);
    return known;
}

int64_t reduction_steps(const Auto *g, const Stage *s)
{
    int64_t n = 1;
    for (uint8_t q = 0; q < s->nr; q++)
        n *= extent_of(g, s->rext[q]);
    return n;
}

int64_t steps_of_stage(const Auto *g, uint32_t k)
{
    const Stage *s = g->te->stage.at[k];
    return (s->kind == ST_scatter ? 1 : points_of_stage(g, k)) * reduction_steps(g, s);
}

bool is_pure_var(const Expr *e, const Expr *const *var, int n, int *which)
{
    for (*which = 0; *which < n; ++*which)
        if (var[*which] == e)
            return true;
    return false;
}

/* ---- who reads what ---- */

typedef struct Seen { Auto *g; uint32_t stage; } Seen;

static void note_read(void *ctx, const Expr *e)
{
    Seen *s = ctx;
    if (e->op != EX_load && e->op != EX_loadp)
        return;
    uint32_t *n = &s->g->nreader[e->v.ref], **list = &s->g->reader[e->v.ref];
    if (*n && (*list)[*n - 1] == s->stage)
        return;
    if ((*n & (*n - 1)) == 0) { /* a full power of two: double */
        uint32_t *more = NEWN(s->g->a, uint32_t, *n ? 2 * *n : 1);
        if (*n)
            memcpy(more, *list, *n * sizeof **list);
        *list = more;
    }
    (*list)[(*n)++] = s->stage;
}

void walk_stage(const Te *te, const Stage *s, const Expr *body, void (*fn)(void *ctx, const Expr *e), void *ctx)
{
    if (body)
        ex_walk(body, fn, ctx);
    if (s->init)
        ex_walk(s->init, fn, ctx);
    for (uint8_t d = 0; s->kind == ST_scatter && d < ten(te, s->out)->rank; d++)
        ex_walk(s->at[d], fn, ctx);
}

typedef struct Through { const Schedule *s; const Expr *const *body; void (*fn)(void *ctx, const Expr *e); void *ctx; } Through;

static void walk_inline(void *ctx, const Expr *e)
{
    const Through *w = ctx;
    w->fn(w->ctx, e);
    if ((e->op != EX_load && e->op != EX_loadp) || ten(w->s->te, e->v.ref)->kind != TEN_stage)
        return;
    const uint32_t k = ten(w->s->te, e->v.ref)->stage;
    if (w->s->stage[k].place == PL_inline)
        ex_walk(w->body[k], w->fn, w->ctx);
}

void walk_scheduled(const Schedule *s, const Expr *const *body, uint32_t k, void (*fn)(void *ctx, const Expr *e), void *ctx)
{
    Through w = {s, body, fn, ctx};
    walk_stage(s->te, s->te->stage.at[k], body[k], walk_inline, &w);
}

static void reads_of(Auto *g, uint32_t k)
{
    const Stage *s = g->te->stage.at[k];
    Seen seen = {g, k};
    walk_scheduled(g->s, g->body, k, note_read, &seen);
    for (uint8_t q = 0; q < s->nin; q++)
        if (s->in[q])
            note_read(&seen, ex_load(g->x, ten(g->te, s->in[q])->dt, s->in[q], 0, NULL));
}

void auto_bodies(Auto *g)
{
    g->body = schedule_bodies(g->a, g->te->cx, g->s);
    g->reader = NEWN(g->a, uint32_t *, g->te->ten.n);
    g->nreader = NEWN(g->a, uint32_t, g->te->ten.n);
    for (uint32_t k = 0; k < g->te->stage.n; k++)
        if (g->s->stage[k].place != PL_inline)
            reads_of(g, k);
}

typedef struct Guarded { uint32_t t; bool yes; } Guarded;

static void find_guarded(void *ctx, const Expr *e)
{
    Guarded *q = ctx;
    q->yes = q->yes || (e->op == EX_loadp && e->v.ref == q->t);
}

bool is_guarded(const Auto *g, uint32_t t)
{
    Guarded q = {.t = t};
    for (uint32_t k = 0; k < g->te->stage.n; k++)
        walk_stage(g->te, g->te->stage.at[k], g->body[k], find_guarded, &q);
    return q.yes;
}

bool rows_join(const Auto *g, const Stage *s, const Dot *d, int outer)
{
    const Ten *t = ten(g->te, s->out), *x = ten(g->te, d->x->v.ref);
    const int p = outer >= 0 ? dim_of(d->x, s->var[outer]) : -1, q = dim_of(d->x, s->var[d->row]);
    return d->x->op == EX_load && p >= 0 && q == p + 1 && x->dim[p] == t->dim[outer] && x->dim[q] == t->dim[d->row] && layout_free(g, d->x->v.ref) && !is_guarded(g, d->x->v.ref);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums over groups of channels of pictures that have channels last, as GroupNorm has them behind a Reshape. A view has joined the channels
 * of a group, rows and columns to one variable, along which memory lies in pieces of a group. Channels are summed by themselves, side by
 * side, and those of a group in the end:
 *
 *   s[j] = sum(k < G H W) f(x[G j + k / (H W), k / W % H, k % W], m[j])
 *   p[c] = sum(h, w) f(x[c, h, w], n[c]),   n[c] = m[c / G],   s[j] = sum(c < G) p[G j + c]
 */
#include "auto_tile.h"

/* A load, of a view as like as not, and what it reads of a picture: G channels, H rows, W columns along one variable; out: variable j of the
 * stage. */
typedef struct Groups { const Expr *load, *x; int64_t g, h, w; uint8_t out; } Groups;

/* Extent of quotients or remainders of v by whole numbers that e is: v / by % *of; false: it is none. */
static bool digit_of(const Expr *e, const Expr *v, int64_t *by, int64_t *of)
{
    *of = 0;
    *by = 1;
    if (e->op == EX_mod && ex_is_const(e->a[1])) {
        *of = e->a[1]->v.i;
        e = e->a[0];
    }
    if (e->op == EX_fdiv && ex_is_const(e->a[1])) {
        *by = e->a[1]->v.i;
        e = e->a[0];
    }
    return e == v;
}

typedef struct Find { const Auto *g; const Stage *s; Groups *to; bool found; } Find;

/* G*j + v / (H W): the variable j of the stage; -1: it is something else. */
static int group_variable(const Find *f, const Expr *e, int64_t *times, const Expr **rest)
{
    for (uint8_t d = 0; d < ten(f->g->te, f->s->out)->rank; d++) {
        bool linear;
        *times = ex_coef(e, f->s->var[d], &linear);
        *rest = ex_sub(f->g->x, e, ex_mul(f->g->x, f->s->var[d], ex_int(f->g->x, *times)));
        if (linear && *times > 0)
            return d;
    }
    return -1;
}

/* What a load reads, through a view. */
static const Expr *seen_through(const Auto *g, const Expr *e)
{
    const Ten *t = e->op == EX_load ? ten(g->te, e->v.ref) : NULL;
    const Stage *s = t && t->kind == TEN_stage ? g->te->stage.at[t->stage] : NULL;
    return s && s->kind == ST_map && g->body[t->stage]->op == EX_load && !g->pinned.at[e->v.ref] ? auto_element(g, s, e->a) : e;
}

enum { MAX_SEEN = 12 }; /* operations: what is made of bytes where they are read */

/* What a map between makes of each element of a picture, such as floats of bytes, in the place of a load of it. */
static const Expr *through_map(void *ctx, const Expr *e)
{
    const Auto *g = ctx;
    const Ten *t = e->op == EX_load ? ten(g->te, e->v.ref) : NULL;
    const Stage *s = t && t->kind == TEN_stage ? g->te->stage.at[t->stage] : NULL;
    const bool map = s && s->kind == ST_map && g->body[t->stage]->op != EX_load && !g->pinned.at[e->v.ref];
    return map && ex_cost(g->body[t->stage]) <= MAX_SEEN ? auto_element(g, s, e->a) : e;
}

static void find_groups(void *ctx, const Expr *load)
{
    Find *f = ctx;
    const Expr *e = seen_through(f->g, load);
    const Ten *t = e->op == EX_load ? ten(f->g->te, e->v.ref) : NULL;
    const Expr *v = f->s->rvar[0], *rest;
    Groups q = {.load = load, .x = e};
    int64_t by[3], of[3];
    if (f->found || !t || t->rank != 4 || !f->g->layout.at[e->v.ref].set || f->g->layout.at[e->v.ref].order[3] != 1)
        return;
    const int j = group_variable(f, e->a[1], &q.g, &rest);
    if (j < 0 || !digit_of(rest, v, &by[0], &of[0]) || !digit_of(e->a[2], v, &by[1], &of[1]) || !digit_of(e->a[3], v, &by[2], &of[2]))
        return;
    q.h = of[1];
    q.w = of[2];
    q.out = (uint8_t)j;
    f->found = of[0] == 0 && by[2] == 1 && q.h > 0 && q.w > 0 && by[1] == q.w && by[0] == q.h * q.w && ex_is_int(f->s->rext[0], q.g * q.h * q.w) &&
               ex_is_int(t->dim[1], q.g * extent_of(f->g, ten(f->g->te, f->s->out)->dim[j])) && ex_is_int(t->dim[2], q.h) && ex_is_int(t->dim[3], q.w);
    *f->to = q;
}

/* ---- the stages ---- */

/* Variables of s with the channels of all groups in the place of variable j: those of a tensor like its own, with such an extent. */
static uint32_t by_channel(Auto *g, const Stage *s, const Groups *q, const char *what, Stage *c, Subst *of)
{
    const Ten *t = ten(g->te, s->out);
    const Expr *dim[MAX_RANK];
    memcpy(dim, t->dim, t->rank * sizeof *dim);
    dim[q->out] = ex_int(g->x, q->g * t->dim[q->out]->v.i);
    *c = (Stage){.kind = ST_map, .node = s->node};
    for (uint8_t d = 0; d < t->rank; d++) {
        c->var[d] = ex_index(g->x, ex_var_info(g->x, s->var[d])->name, dim[d]);
        of[d] = (Subst){s->var[d], d == q->out ? ex_fdiv(g->x, c->var[d], ex_int(g->x, q->g)) : c->var[d]};
    }
    return c->out = auto_tensor(g, str_fmt(g->a, "%s.%s%u", t->name, what, g->te->ten.n), TEN_stage, t->rank, dim);
}

/* A load that is the same for all of a group. */
static bool is_of_group(const Stage *s, const Groups *q, const Expr *e)
{
    return e->op == EX_load && e != q->load && ex_uses(e, s->var[q->out]) && !ex_uses(e, s->rvar[0]);
}

typedef struct Rest { Exprs *x; const Stage *s; const Groups *q; } Rest;

static const Expr *without_loads(void *ctx, const Expr *e)
{
    const Rest *r = ctx;
    return e == r->q->load || is_of_group(r->s, r->q, e) ? ex_num(r->x, (DType)e->dt, 0) : e;
}

/* Whether nothing else in the body of s follows from the group or from where in it: no second picture, say. */
static bool walks_one(const Auto *g, const Stage *s, const Groups *q, const Expr *body)
{
    const Expr *rest = ex_map(g->x, body, without_loads, &(Rest){g->x, s, q});
    return !ex_uses(rest, s->var[q->out]) && !ex_uses(rest, s->rvar[0]);
}

typedef struct Spread { Auto *g; uint32_t *k; const Stage *s; const Groups *q; } Spread;

/* What is the same for a group comes from a tensor with an element for each channel. */
static const Expr *spread_load(void *ctx, const Expr *e)
{
    Spread *p = ctx;
    Auto *g = p->g;
    Stage c;
    Subst of[MAX_RANK];
    const uint8_t rank = ten(g->te, p->s->out)->rank;
    if (!is_of_group(p->s, p->q, e))
        return e;
    by_channel(g, p->s, p->q, "each", &c, of);
    ten(g->te, c.out)->dt = ten(g->te, e->v.ref)->dt;
    c.body = ex_subst(g->x, e, of, rank);
    auto_insert(g, (*p->k)++, arena_copy(g->a, &c, sizeof c));
    return ex_load(g->x, (DType)e->dt, c.out, rank, p->s->var); /* variable j stands for the channel here */
}

/* Stage k, whose body is `whole`, becomes the sum over channels of a group; before it, the one of each channel. Returns the number of stages put before it. */
static uint32_t split_groups(Auto *g, uint32_t k, const Groups *q, const Expr *whole)
{
    const uint32_t first = k;
    const Stage *s = g->te->stage.at[k];
    const uint8_t rank = ten(g->te, s->out)->rank;
    const Expr *body = ex_map(g->x, whole, spread_load, &(Spread){g, &k, s, q}), *index[MAX_RANK];
    Stage each, *total = arena_copy(g->a, s, sizeof *s);
    Subst of[MAX_RANK + 1], picture[2];
    by_channel(g, s, q, "channels", &each, of);
    ten(g->te, each.out)->dt = ten(g->te, s->out)->dt;
    each.kind = ST_reduce;
    each.op = s->op;
    each.nr = 2;
    for (int d = 0; d < 2; d++)
        each.rvar[d] = ex_index(g->x, d ? "w" : "h", each.rext[d] = ex_int(g->x, d ? q->w : q->h));
    memcpy(index, q->x->a, 4 * sizeof *index);
    index[1] = s->var[q->out];
    index[2] = each.rvar[0];
    index[3] = each.rvar[1];
    picture[0] = (Subst){q->load, ex_load(g->x, (DType)q->x->dt, q->x->v.ref, 4, index)};
    of[q->out].to = each.var[q->out];
    each.body = ex_subst(g->x, ex_subst(g->x, body, picture, 1), of, rank);
    auto_insert(g, k++, arena_copy(g->a, &each, sizeof each));
    total->rvar[0] = ex_index(g->x, "c", total->rext[0] = ex_int(g->x, q->g));
    memcpy(index, s->var, rank * sizeof *index);
    index[q->out] = ex_add(g->x, ex_mul(g->x, s->var[q->out], ex_int(g->x, q->g)), total->rvar[0]);
    total->body = ex_load(g->x, DT_f32, each.out, rank, index);
    g->te->stage.at[k] = total;
    return k - first;
}

void auto_group(Auto *g)
{
    auto_views(g);
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        const Stage *s = g->te->stage.at[k];
        Groups q;
        Find f = {g, s, &q, false};
        if (s->kind != ST_reduce || s->nr != 1 || s->op != RED_sum || s->body->dt != DT_f32)
            continue;
        const Expr *body = ex_map(g->x, g->body[k], through_map, g);
        ex_walk(body, find_groups, &f);
        if (!f.found || !walks_one(g, s, &q, body))
            continue;
        k += split_groups(g, k, &q, body);
        auto_views(g);
    }
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The scheduler's own tensors and stages: new ones, others in their place, and what nothing reads any more.
 */
#include "auto.h"

uint32_t auto_tensor(Auto *g, const char *name, TenKind kind, uint8_t rank, const Expr *const *dim)
{
    const uint32_t t = te_tensor(g->te, name, DT_f32, kind, rank, dim);
    PUSH(g->a, &g->pinned, kind == TEN_stage);
    PUSH(g->a, &g->layout, ((Layout){0}));
    PUSH(g->a, &g->packed, false);
    PUSH(g->a, &g->panel, false);
    PUSH(g->a, &g->lane, NULL);
    PUSH(g->a, &g->twins, false);
    PUSH(g->a, &g->thirds, NULL);
    PUSH(g->a, &g->start, 0);
    PUSH(g->a, &g->slim, false);
    PUSH(g->a, &g->scaled, false);
    PUSH(g->a, &g->matrix, NULL);
    PUSH(g->a, &g->rows, 0);
    return t;
}

const Expr *auto_floats(Auto *g, const char *what, int64_t n, const float *v, const Expr *dim, const Expr *at)
{
    bool same = true;
    for (int64_t k = 1; k < n; k++)
        same = same && v[k] == v[0];
    if (same)
        return ex_const_f(g->x, DT_f32, (double)v[0]);
    const uint32_t t = auto_tensor(g, str_fmt(g->a, "%s%u", what, g->te->ten.n), TEN_const, 1, &dim);
    ten(g->te, t)->data = blob_make(g->a, DT_f32, n, v);
    return ex_load(g->x, DT_f32, t, 1, &at);
}

const Expr *auto_unfold(Auto *g, const Expr *w, int dim, const char *what, uint8_t n, const Expr *const *size, const Expr *const *index)
{
    const Ten *from = ten(g->te, w->v.ref);
    const Expr *to[MAX_RANK], *at[MAX_RANK];
    uint8_t rank = 0;
    for (uint8_t d = 0; d < from->rank; d++) {
        const bool here = d == dim;
        for (uint8_t e = 0; e < (here ? n : 1); e++) {
            to[rank] = here ? size[e] : from->dim[d];
            at[rank++] = here ? index[e] : w->a[d];
        }
    }
    const uint32_t t = auto_tensor(g, str_fmt(g->a, "%s.%s%u", from->name, what, g->te->ten.n), TEN_const, rank, to);
    ten(g->te, t)->dt = ten(g->te, w->v.ref)->dt;
    ten(g->te, t)->data = ten(g->te, w->v.ref)->data;
    return ex_load(g->x, (DType)w->dt, t, rank, at);
}

void auto_insert(Auto *g, uint32_t k, Stage *s)
{
    PUSH(g->a, &g->te->stage, s);
    for (uint32_t q = g->te->stage.n - 1; q > k; q--)
        g->te->stage.at[q] = g->te->stage.at[q - 1];
    g->te->stage.at[k] = s;
    for (uint32_t q = 0; q < g->te->stage.n; q++)
        for (uint8_t o = 0; o < max_i64(g->te->stage.at[q]->nout, 1); o++)
            ten(g->te, g->te->stage.at[q]->kind == ST_call ? g->te->stage.at[q]->outs[o] : g->te->stage.at[q]->out)->stage = q;
}

uint32_t auto_copy(Auto *g, uint32_t k, uint32_t from, const uint8_t *perm, NodeId node)
{
    const Ten *n = ten(g->te, from);
    const uint8_t rank = n->rank;
    const Expr *dim[MAX_RANK], *index[MAX_RANK];
    Stage *s = NEW(g->a, Stage);
    for (uint8_t d = 0; d < rank; d++)
        dim[d] = n->dim[perm ? perm[d] : d];
    const uint32_t t = auto_tensor(g, str_fmt(g->a, "%s.copy%u", n->name, g->te->ten.n), TEN_stage, rank, dim);
    s->kind = ST_map;
    s->out = t;
    s->node = node;
    for (uint8_t d = 0; d < rank; d++) {
        s->var[d] = ex_var(g->x, VK_INDEX, DT_ix, (const char *const[]){"i", "j", "k", "l", "m", "n"}[d % 6], 0, extent_of(g, dim[d]) - 1);
        index[perm ? perm[d] : d] = s->var[d];
    }
    s->body = ex_load(g->x, n->dt, from, rank, index);
    ten(g->te, t)->dt = n->dt;
    auto_insert(g, k, s);
    for (uint8_t d = 0; d < rank; d++) /* made for its order: it follows no other */
        g->layout.at[t].order[d] = d;
    g->layout.at[t].set = true;
    return t;
}

const Expr *auto_load_from(const Auto *g, const Expr *e, DType dt, uint32_t to)
{
    const uint16_t rank = ex_load_rank(e);
    return e->op == EX_load ? ex_load(g->x, dt, to, rank, e->a) : ex_loadp(g->x, dt, to, rank, e->a, ex_cast(g->x, dt, e->a[rank]));
}

void auto_cast_copy(Auto *g, uint32_t t, uint32_t to)
{
    const Ten *from = ten(g->te, t);
    const uint32_t at = from->kind == TEN_stage ? from->stage + 1 : 0;
    Stage *s = NEW(g->a, Stage);
    s->kind = ST_map;
    s->out = to;
    s->node = g->te->stage.at[at ? at - 1 : 0]->node;
    for (uint8_t d = 0; d < from->rank; d++)
        s->var[d] = ex_index(g->x, (const char *const[]){"i", "j", "k", "l", "m", "n"}[d % 6], from->dim[d]);
    s->body = ex_cast(g->x, ten(g->te, to)->dt, ex_load(g->x, from->dt, t, from->rank, s->var));
    auto_insert(g, at, s);
}

Stage *auto_replace(Auto *g, uint32_t k, const Expr *body)
{
    Stage *s = arena_copy(g->a, g->te->stage.at[k], sizeof *s);
    s->body = body;
    return g->te->stage.at[k] = s;
}

void auto_view(Auto *g, uint32_t k, uint32_t t, const Expr *const *index)
{
    Stage *s = auto_replace(g, k, ex_load(g->x, ten(g->te, t)->dt, t, ten(g->te, t)->rank, index));
    s->kind = ST_map;
    s->op = RED_none;
    s->nr = 0;
}

const Expr *auto_element(const Auto *g, const Stage *s, const Expr *const *index)
{
    const uint8_t rank = ten(g->te, s->out)->rank;
    Subst at[MAX_RANK];
    for (uint8_t d = 0; d < rank; d++)
        at[d] = (Subst){s->var[d], index[d]};
    return ex_subst(g->x, s->body, at, rank);
}

typedef struct Swap { const Expr *from, *to; } Swap;

static const Expr *swap_load(void *ctx, const Expr *e)
{
    const Swap *s = ctx;
    return e == s->from ? s->to : e;
}

void auto_exchange(Auto *g, uint32_t k, const Expr *from, const Expr *to)
{
    Swap s = {from, to};
    (void)auto_replace(g, k, ex_map(g->x, g->body[k], swap_load, &s));
    g->body[k] = g->te->stage.at[k]->body;
}

void auto_map_bodies(Auto *g, const Expr *(*fn)(void *g, const Expr *e))
{
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        const Stage *s = g->te->stage.at[k];
        const Expr *body = s->kind == ST_map ? ex_map(g->x, s->body, fn, g) : s->body;
        if (body != s->body)
            (void)auto_replace(g, k, body);
    }
}

/* ---- what nothing reads any more ---- */

static void mark_read(void *ctx, const Expr *e)
{
    bool *read = ctx;
    if (e->op == EX_load || e->op == EX_loadp)
        read[e->v.ref] = true;
}

static bool is_needed(const Te *te, const Stage *s, const bool *read)
{
    bool yes = ten(te, s->out)->output >= 0 || read[s->out];
    for (uint8_t q = 0; q < s->nout; q++)
        yes = yes || ten(te, s->outs[q])->output >= 0 || read[s->outs[q]] || s->nresult;
    return yes;
}

void auto_drop_unread(Auto *g)
{
    Te *te = g->te;
    bool *read = NEWN(g->a, bool, te->ten.n), *keep = NEWN(g->a, bool, te->stage.n + 1);
    uint32_t n = 0;
    for (uint32_t k = te->stage.n; k-- > 0;) {
        const Stage *s = te->stage.at[k];
        keep[k] = is_needed(te, s, read);
        if (keep[k])
            walk_stage(te, s, s->body, mark_read, read);
        for (uint8_t q = 0; keep[k] && q < s->nin; q++)
            read[s->in[q]] = true;
    }
    for (uint32_t k = 0; k < te->stage.n; k++) {
        Stage *s = te->stage.at[k];
        for (uint8_t q = 0; q < s->nout; q++)
            ten(te, s->outs[q])->stage = keep[k] ? n : NO_STAGE;
        ten(te, s->out)->stage = keep[k] ? n : NO_STAGE;
        if (keep[k])
            te->stage.at[n++] = s;
    }
    te->stage.n = n;
}

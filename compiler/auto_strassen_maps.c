/* SPDX-License-Identifier: Apache-2.0
 *
 * What maps make of a product by halves (auto_strassen.c) is made of its blocks, each of which a product then has as its epilogue. Blocks lie where the
 * whole has them, in the memory of tensors that put them beside each other (auto_within.c).
 */
#include "auto_strassen.h"

/* Before stage k. */
typedef struct Work { Auto *g; const Blocks *b; uint32_t k; } Work;

/* e[.., v, ..] = v < at ? lo[.., v, ..] : hi[.., v - at, ..], over these variables */
static const Expr *beside(const Work *w, const Expr *const *var, int v, int64_t at, uint32_t lo, uint32_t hi)
{
    const Expr *index[MAX_RANK], *first = ex_int(w->g->x, at);
    const DType dt = ten(w->g->te, lo)->dt;
    const uint8_t rank = ten(w->g->te, lo)->rank;
    memcpy(index, var, rank * sizeof *index);
    index[v] = ex_sub(w->g->x, var[v], first);
    return ex_select(w->g->x, ex_binary(w->g->x, EX_lt, var[v], first), ex_load(w->g->x, dt, lo, rank, var), ex_load(w->g->x, dt, hi, rank, index));
}

/* A tensor, and its blocks. */
typedef struct Split { uint32_t t, part[HALF][HALF]; } Split;
typedef VEC(Split) SplitList;

static const Split *split_of(const SplitList *all, uint32_t t)
{
    for (uint32_t k = 0; k < all->n; k++)
        if (all->at[k].t == t)
            return &all->at[k];
    return NULL;
}

/* Both blocks of these rows of a tensor of type dt. */
static uint32_t whole_rows(Work *w, const char *name, int row, const Split *of)
{
    Place p = strassen_place(w->g, w->b, w->b->rows[row]);
    const int lane = w->b->p.d.lane;
    p.dim[lane] = ex_int(w->g->x, w->b->lanes * HALF);
    p.var[lane] = ex_index(w->g->x, "n", p.dim[lane]);
    Stage *s = strassen_stage(w->g, w->b, name, &p);
    s->body = beside(w, p.var, lane, w->b->lanes, of->part[row][0], of->part[row][1]);
    strassen_put(w->g, w->b, &w->k, s, ten(w->g->te, of->t)->dt);
    return s->out;
}

/* Stage w->k, which makes that tensor, puts its blocks beside each other. */
static void put_beside(Work *w, const Split *of)
{
    const uint32_t upper = whole_rows(w, "upper", 0, of), lower = whole_rows(w, "lower", 1, of);
    const Stage *old = w->g->te->stage.at[w->k];
    Stage *s = NEW(w->g->a, Stage);
    *s = (Stage){.kind = ST_map, .out = of->t, .node = old->node, .body = beside(w, old->var, w->b->row, w->b->rows[0], upper, lower)};
    memcpy(s->var, old->var, sizeof s->var);
    w->g->te->stage.at[w->k] = s;
    w->g->pinned.at[of->t] = true;
    const uint8_t rank = ten(w->g->te, of->t)->rank;
    if (rank >= 3 && layout_free(w->g, of->t) && !w->g->layout.at[of->t].set)
        layout_innermost(&w->g->layout.at[of->t], rank, w->b->p.d.lane);
}

/* Whether a map can be made block by block: it reads elements of what is split at its own place, and else what is there before the product. */
typedef struct Reads { const Work *w; const SplitList *all; const Stage *s; uint32_t first; bool some, bad; } Reads;

static void check_read(void *ctx, const Expr *e)
{
    Reads *r = ctx;
    if (e->op != EX_load && e->op != EX_loadp)
        return;
    const Ten *t = ten(r->w->g->te, e->v.ref);
    if (split_of(r->all, e->v.ref)) {
        r->some = true;
        r->bad = r->bad || e->op != EX_load || !loads_element(r->w->g, e, r->s->var);
    } else {
        r->bad = r->bad || (t->kind == TEN_stage && t->stage >= r->first);
    }
}

/* A map behind the product, with its body. */
typedef struct Behind { const Stage *s; const Expr *body; } Behind;
typedef VEC(Behind) BehindList;

static bool goes_by_blocks(const Work *w, const SplitList *all, const Behind *m, uint32_t first)
{
    const Ten *t = ten(w->g->te, m->s->out), *y = ten(w->g->te, w->b->p.s->out);
    if (t->rank != y->rank)
        return false;
    for (uint8_t d = 0; d < t->rank; d++)
        if (t->dim[d] != y->dim[d])
            return false;
    Reads r = {w, all, m->s, first, false, false};
    ex_walk(m->body, check_read, &r);
    return r.some && !r.bad;
}

typedef struct InBlock { const Auto *g; const SplitList *all; const Place *p; int row, lane; } InBlock;

static const Expr *read_block(void *ctx, const Expr *e)
{
    const InBlock *b = ctx;
    const Split *s = e->op == EX_load ? split_of(b->all, e->v.ref) : NULL;
    return s ? ex_load(b->g->x, (DType)e->dt, s->part[b->row][b->lane], b->p->rank, b->p->var) : e;
}

/* Block (row, lane) of a map with that body, before stage w->k. */
static uint32_t map_of_block(Work *w, const SplitList *all, const Stage *of, const Expr *body, int row, int lane)
{
    static const char *const name[HALF][HALF] = {{"z11", "z12"}, {"z21", "z22"}};
    Auto *g = w->g;
    const Place p = strassen_place(g, w->b, w->b->rows[row]);
    Subst at[MAX_RANK];
    for (int v = 0; v < p.rank; v++) {
        const int64_t first = v == w->b->row ? row * w->b->rows[0] : v == w->b->p.d.lane ? lane * w->b->lanes : 0;
        at[v] = (Subst){of->var[v], ex_add(g->x, p.var[v], ex_int(g->x, first))};
    }
    InBlock in = {g, all, &p, row, lane};
    Stage *s = strassen_stage(g, w->b, name[row][lane], &p);
    s->body = ex_map(g->x, ex_subst(g->x, body, at, p.rank), read_block, &in);
    g->pinned.at[s->out] = false;
    strassen_put(w->g, w->b, &w->k, s, ten(g->te, of->out)->dt);
    return s->out;
}

static bool is_read_elsewhere(const Work *w, const SplitList *all, uint32_t t)
{
    for (uint32_t q = 0; q < w->g->nreader[t]; q++)
        if (!split_of(all, w->g->te->stage.at[w->g->reader[t][q]]->out))
            return true;
    return ten(w->g->te, t)->output >= 0;
}

/* Maps of y, and of those, that can be made block by block, so that a product has its epilogue. Stages are put before them, so each is looked for by its tensor. */
static void split_maps(Work *w, SplitList *all, const BehindList *maps, uint32_t first)
{
    for (uint32_t m = 0; m < maps->n; m++) {
        const Behind *of = &maps->at[m];
        if (!goes_by_blocks(w, all, of, first))
            continue;
        Split s = {.t = of->s->out};
        w->k = ten(w->g->te, s.t)->stage;
        for (int q = 0; q < HALF * HALF; q++)
            s.part[q / HALF][q % HALF] = map_of_block(w, all, of->s, of->body, q / HALF, q % HALF);
        put_beside(w, &s);
        PUSH(w->g->a, all, s);
    }
}

/* Blocks of what others read lie in memory. */
static void pin_blocks(Work *w, const SplitList *all)
{
    for (uint32_t q = 0; q < all->n; q++)
        for (int p = 0; p < HALF * HALF; p++)
            w->g->pinned.at[all->at[q].part[p / HALF][p % HALF]] = is_read_elsewhere(w, all, all->at[q].t);
}

static BehindList maps_behind(const Auto *g, uint32_t k)
{
    BehindList maps = {0};
    for (uint32_t m = k + 1; m < g->te->stage.n; m++)
        if (g->te->stage.at[m]->kind == ST_map)
            PUSH(g->a, &maps, ((Behind){g->te->stage.at[m], g->body[m]}));
    return maps;
}

uint32_t strassen_maps(Auto *g, const Blocks *b, uint32_t k, uint32_t first, uint32_t part[HALF][HALF])
{
    Work w = {g, b, k};
    SplitList all = {0};
    auto_views(g);
    const BehindList maps = maps_behind(g, k);
    PUSH(g->a, &all, ((Split){b->p.s->out, {{part[0][0], part[0][1]}, {part[1][0], part[1][1]}}}));
    put_beside(&w, &all.at[0]);
    const uint32_t last = w.k;
    split_maps(&w, &all, &maps, first);
    auto_views(g);
    pin_blocks(&w, &all);
    return last - k;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Which maps are substituted into their readers. That costs arithmetic when elements are read more than once, and saves a buffer
 * and two passes over it. Products and functions of runtime-min take their operands from memory, and the map behind a product is
 * its epilogue rather than part of the next one.
 */
#include "auto.h"

enum { CHEAP = 3, MAX_INLINE_COST = 160, MAX_FUSED_COST = 1000 }; /* the last where that copies nothing: F(4,3)'s output has 230 */

/* ---- inline ---- */

typedef struct Loads { uint32_t ref, count; } Loads;

static void count_load(void *ctx, const Expr *e)
{
    Loads *l = ctx;
    l->count += (e->op == EX_load || e->op == EX_loadp) && e->v.ref == l->ref;
}

static bool is_view(const Expr *e)
{
    while (e->op == EX_cast || e->op == EX_bitcast)
        e = e->a[0];
    if (e->op != EX_load)
        return e->op == EX_const;
    for (uint16_t d = 0; d < e->n; d++)
        if (dtype_info((DType)e->a[d]->dt)->cls != DC_X)
            return false;
    return true;
}

/* A view whose indices are affine: free wherever it is read. */
static bool is_affine_view(const Expr *e)
{
    return is_view(e) && e->op != EX_cast && e->op != EX_bitcast && has_affine_indices(e);
}

/* Or what it reads lies in memory as it walks it. */
static bool is_free_view(const Auto *g, const Expr *e) { return is_affine_view(e) || (e->op == EX_load && walks_memory(g, e)); }

static uint32_t loads_in(const Auto *g, uint32_t k, uint32_t t)
{
    Loads l = {.ref = t};
    walk_scheduled(g->s, g->body, k, count_load, &l);
    return l.count;
}

static bool may_inline(const Auto *g, uint32_t k)
{
    const Stage *s = g->te->stage.at[k];
    return s->kind == ST_map && ten(g->te, s->out)->output < 0 && !g->pinned.at[s->out];
}

/* What becomes of a tensor's elements, seen through the views of it. */
typedef struct Use { double reads; bool product, scatter, call; } Use;

static void add_use(const Auto *g, Use *use, uint32_t t, uint32_t k)
{
    const Stage *s = g->te->stage.at[k];
    const bool view = may_inline(g, k) && is_free_view(g, g->body[k]);
    const Use *u = &use[s->out];
    use[t].reads += view ? u->reads : loads_in(g, k, t) * (double)steps_of_stage(g, k);
    use[t].product = use[t].product || (s->body && is_product(g, s)) || g->packed.at[s->out] || g->scaled.at[s->out] || (view && u->product);
    use[t].scatter = use[t].scatter || s->kind == ST_scatter || (view && u->scatter);
    use[t].call = use[t].call || s->kind == ST_call || (view && u->call);
}

/* By tensor, readers first. */
static Use *uses(const Auto *g)
{
    Use *use = NEWN(g->a, Use, g->te->ten.n);
    for (uint32_t k = g->te->stage.n; k-- > 0;) {
        const uint32_t t = g->te->stage.at[k]->out;
        for (uint32_t q = 0; q < g->nreader[t]; q++)
            add_use(g, use, t, g->reader[t][q]);
    }
    return use;
}

/* Products take their operands from memory, calls too. */
static bool readers_accept(const Auto *g, const Use *u, const Expr *body, int64_t cost)
{
    return u->reads > 0 && !u->call && !(u->scatter && cost > CHEAP) && !(u->product && !is_free_view(g, body));
}

typedef struct CostOf { const Auto *g; const int64_t *cost; int64_t sum; } CostOf;

static void add_inline_cost(void *ctx, const Expr *e)
{
    CostOf *c = ctx;
    if ((e->op == EX_load || e->op == EX_loadp) && ten(c->g->te, e->v.ref)->kind == TEN_stage)
        c->sum += c->cost[e->v.ref];
}

/* What one element costs: of a choice by position the dearer side. */
static int64_t cost_of_element(const Expr *e)
{
    if (e->op != EX_select)
        return ex_cost(e);
    return ex_reads_data(e->a[0]) ? ex_cost(e) : max_i64(cost_of_element(e->a[1]), cost_of_element(e->a[2]));
}

/* The map is the natural epilogue of a product: it alone reads it, element for element, itself or through what is inline. */
typedef struct Product { const Auto *g; int64_t points; bool found; } Product;

static void find_product(void *ctx, const Expr *e)
{
    Product *p = ctx;
    if (e->op != EX_load || ten(p->g->te, e->v.ref)->kind != TEN_stage)
        return;
    const uint32_t k = ten(p->g->te, e->v.ref)->stage;
    if (p->g->nreader[e->v.ref] != 1 || points_of_stage(p->g, k) != p->points)
        return;
    if (p->g->s->stage[k].place == PL_inline)
        ex_walk(p->g->body[k], find_product, p);
    else
        p->found = p->found || is_product(p->g, p->g->te->stage.at[k]);
}

static bool is_epilogue(const Auto *g, uint32_t k)
{
    Product p = {g, points_of_stage(g, k), false};
    if (g->te->stage.at[k]->kind == ST_map)
        ex_walk(g->body[k], find_product, &p);
    return p.found;
}

/* Epilogues among what a map reads that are inline in it or may still become so: those of stages behind `behind`. */
typedef struct Guests { const Auto *g; uint32_t behind; bool any; } Guests;

static void find_guest(void *ctx, const Expr *e)
{
    Guests *q = ctx;
    if (e->op != EX_load || ten(q->g->te, e->v.ref)->kind != TEN_stage)
        return;
    const uint32_t k = ten(q->g->te, e->v.ref)->stage;
    if (k != q->behind && (k > q->behind || q->g->s->stage[k].place == PL_inline))
        q->any = q->any || is_epilogue(q->g, k);
}

typedef struct Choice { const Auto *g; bool any; } Choice;

static void find_choice(void *ctx, const Expr *e)
{
    Choice *c = ctx;
    c->any = c->any || choice_by_position(e);
    if (e->op == EX_load && ten(c->g->te, e->v.ref)->kind == TEN_stage && c->g->s->stage[ten(c->g->te, e->v.ref)->stage].place == PL_inline)
        ex_walk(c->g->body[ten(c->g->te, e->v.ref)->stage], find_choice, c);
}

/* Positions have parts in common, which a tile of its own computes once. */
static bool chooses_by_position(const Auto *g, uint32_t k)
{
    Choice c = {g, false};
    ex_walk(g->body[k], find_choice, &c);
    return c.any;
}

/* The map that reads it hosts another product already, or will: it has registers for one. */
static bool second_product(const Auto *g, uint32_t k)
{
    const uint32_t t = g->te->stage.at[k]->out, r = g->nreader[t] == 1 ? g->reader[t][0] : NO_STAGE;
    if (r == NO_STAGE || g->te->stage.at[r]->kind != ST_map || !(is_epilogue(g, k) || chooses_by_position(g, k)))
        return false;
    Guests q = {g, k, false};
    ex_walk(g->body[r], find_guest, &q);
    return q.any || is_epilogue(g, r);
}

typedef struct Apart { const Auto *g; uint32_t ref; bool yes; } Apart;

static void is_load_apart(void *ctx, const Expr *e)
{
    Apart *p = ctx;
    p->yes = p->yes || ((e->op == EX_load || e->op == EX_loadp) && e->v.ref == p->ref && !has_affine_indices(e) && !walks_memory(p->g, e));
}

/* Some reader, or one behind a view, reads it at quotients and remainders (heads that are joined): it hosts no product. */
static bool is_read_apart(const Auto *g, uint32_t t)
{
    for (uint32_t q = 0; q < g->nreader[t]; q++) {
        const uint32_t k = g->reader[t][q];
        Apart p = {g, t, false};
        if (g->te->stage.at[k]->kind == ST_map)
            ex_walk(g->body[k], is_load_apart, &p);
        if (p.yes || (may_inline(g, k) && is_free_view(g, g->body[k]) && is_read_apart(g, g->te->stage.at[k]->out)))
            return true;
    }
    return false;
}

/* Inline in a reduction, where it is read apart or put beside others, it would leave the product without an epilogue, and the tensor
 * between them longer than its own. */
static bool better_as_epilogue(const Auto *g, uint32_t k)
{
    const Stage *s = g->te->stage.at[k];
    for (uint32_t q = 0; q < g->nreader[s->out]; q++)
        if (g->te->stage.at[g->reader[s->out][q]]->kind == ST_reduce)
            return is_epilogue(g, k);
    return second_product(g, k) || (is_epilogue(g, k) && (is_read_apart(g, s->out) || is_put_beside(g, s->out)));
}

/* Blocks that are turned over come from memory: what is computed on the way would be gathered, one element at a time. */
static bool is_turned_over(const Auto *g, uint32_t t)
{
    bool yes = false;
    for (uint32_t q = 0; q < g->nreader[t]; q++)
        yes = yes || turns_over(g, g->reader[t][q]);
    return yes;
}

/* One map alone reads what stage k makes, element for element. */
static bool is_fused(const Auto *g, uint32_t k)
{
    const uint32_t t = g->te->stage.at[k]->out, r = g->nreader[t] == 1 ? g->reader[t][0] : NO_STAGE;
    return r != NO_STAGE && g->te->stage.at[r]->kind == ST_map && same_variables(g, r, k);
}

/* Why stage k, a map, is not inline; NULL: it is. cost: of an element, with what is inline in it. */
static const char *objection(const Auto *g, uint32_t k, const Use *use, int64_t cost)
{
    const Expr *body = g->body[k];
    if (cost > (is_fused(g, k) ? MAX_FUSED_COST : MAX_INLINE_COST))
        return "expression too large to inline";
    if (!readers_accept(g, use, body, cost))
        return "read by a product or a call";
    if (is_view(body))
        return NULL;
    if (better_as_epilogue(g, k))
        return "the epilogue of a product";
    if (is_turned_over(g, g->te->stage.at[k]->out) && !is_epilogue(g, k))
        return "turned over from memory";
    return use->reads / (double)max_i64(points_of_stage(g, k), 1) > 1.01 && cost > CHEAP ? "elements are read more than once" : NULL;
}

static void decide_inline(Auto *g)
{
    int64_t *cost = NEWN(g->a, int64_t, g->te->ten.n); /* of inlined bodies, by tensor */
    auto_bodies(g);
    const Use *use = uses(g);
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        const uint32_t t = g->te->stage.at[k]->out;
        StagePlan *p = &g->s->stage[k];
        if (!may_inline(g, k) || p->place != PL_root)
            continue;
        CostOf c = {g, cost, cost_of_element(g->body[k])};
        ex_walk(g->body[k], add_inline_cost, &c);
        p->why = objection(g, k, &use[t], c.sum);
        if (p->why)
            continue;
        p->place = PL_inline;
        cost[t] = c.sum;
    }
}

/* A second round finds what only stages that became one read twice. */
void auto_inline(Auto *g)
{
    decide_inline(g);
    decide_inline(g);
    auto_bodies(g);
}

void auto_views(Auto *g)
{
    g->s = schedule_new(g->a, g->te);
    for (uint32_t k = 0; k < g->te->stage.n; k++)
        if (may_inline(g, k) && is_free_view(g, g->te->stage.at[k]->body))
            g->s->stage[k].place = PL_inline;
    for (uint32_t k = 0; k < g->te->stage.n; k++) /* functions of runtime-min read memory */
        for (uint8_t q = 0; q < g->te->stage.at[k]->nin; q++) {
            const uint32_t t = g->te->stage.at[k]->in[q];
            if (t && ten(g->te, t)->kind == TEN_stage)
                g->s->stage[ten(g->te, t)->stage].place = PL_root;
        }
    auto_bodies(g);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Placement. Views and cheap maps are inline; a map that reads one reduction element for element becomes its epilogue;
 * statistics of rows (softmax, normalisations) are made inside the row loop of what reads them; the rest is at root.
 */
#include "auto.h"

enum { CHEAP = 3, MAX_INLINE_COST = 160, ROW_BYTES = 1 << 16 };

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

int64_t steps_of_stage(const Auto *g, uint32_t k)
{
    const Stage *s = g->te->stage.at[k];
    int64_t n = s->kind == ST_scatter ? 1 : points_of_stage(g, k);
    for (uint8_t d = 0; d < s->nr; d++)
        n *= extent_of(g, s->rext[d]);
    return n;
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

static void has_data_index(void *ctx, const Expr *e)
{
    bool *yes = ctx;
    *yes = *yes || e->op == EX_load || e->op == EX_loadp || e->op == EX_fdiv || e->op == EX_mod || e->op == EX_select;
}

static bool affine_indices(const Expr *load)
{
    bool costly = false;
    for (uint16_t d = 0; d < load->n; d++)
        ex_walk(load->a[d], has_data_index, &costly);
    return !costly;
}

/* A view whose indices are affine: free wherever it is read. */
static bool is_affine_view(const Expr *e)
{
    bool costly = false;
    if (!is_view(e) || e->op == EX_cast || e->op == EX_bitcast)
        return false;
    for (uint16_t d = 0; d < e->n; d++)
        ex_walk(e->a[d], has_data_index, &costly);
    return !costly;
}

/* Or what it reads lies in memory as it walks it. */
static bool is_free_view(const Auto *g, const Expr *e) { return is_affine_view(e) || (e->op == EX_load && walks_memory(g, e)); }

/* A contraction; a sum of squares is a statistic. */
static bool is_product(const Stage *s)
{
    return s->kind == ST_reduce && s->op == RED_sum && s->body->op == EX_mul && s->body->a[0] != s->body->a[1];
}

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
    use[t].product = use[t].product || (s->body && is_product(s)) || g->packed.at[s->out] || (view && u->product);
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

static void has_load(void *ctx, const Expr *e)
{
    bool *yes = ctx;
    *yes = *yes || e->op == EX_load || e->op == EX_loadp;
}

/* What one element costs: of a choice by position the dearer side. */
static int64_t cost_of_element(const Expr *e)
{
    bool data = false;
    if (e->op != EX_select)
        return ex_cost(e);
    ex_walk(e->a[0], has_load, &data);
    return data ? ex_cost(e) : max_i64(cost_of_element(e->a[1]), cost_of_element(e->a[2]));
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
        p->found = p->found || is_product(p->g->te->stage.at[k]);
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

/* The map that reads it hosts another product already, or will: it has registers for one. */
static bool second_product(const Auto *g, uint32_t k)
{
    const uint32_t t = g->te->stage.at[k]->out, r = g->nreader[t] == 1 ? g->reader[t][0] : NO_STAGE;
    if (r == NO_STAGE || g->te->stage.at[r]->kind != ST_map || !is_epilogue(g, k))
        return false;
    Guests q = {g, k, false};
    ex_walk(g->body[r], find_guest, &q);
    return q.any || is_epilogue(g, r);
}

typedef struct Apart { const Auto *g; uint32_t ref; bool yes; } Apart;

static void is_load_apart(void *ctx, const Expr *e)
{
    Apart *p = ctx;
    p->yes = p->yes || ((e->op == EX_load || e->op == EX_loadp) && e->v.ref == p->ref && !affine_indices(e) && !walks_memory(p->g, e));
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

/* Inline in a reduction, or where it is read apart, it would leave the product without an epilogue, and the tensor between
 * them longer than its own. */
static bool better_as_epilogue(const Auto *g, uint32_t k)
{
    const Stage *s = g->te->stage.at[k];
    for (uint32_t q = 0; q < g->nreader[s->out]; q++)
        if (g->te->stage.at[g->reader[s->out][q]]->kind == ST_reduce)
            return is_epilogue(g, k);
    return second_product(g, k) || (is_epilogue(g, k) && is_read_apart(g, s->out));
}

/* Substituting costs arithmetic when elements are read more than once, and saves a buffer and two passes over it. A
 * second round finds what only stages that became one read twice. */
static void decide_inline(Auto *g)
{
    int64_t *cost = NEWN(g->a, int64_t, g->te->ten.n); /* of inlined bodies, by tensor */
    auto_bodies(g);
    const Use *use = uses(g);
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        const Stage *s = g->te->stage.at[k];
        const Expr *body = g->body[k];
        if (!may_inline(g, k) || g->s->stage[k].place != PL_root)
            continue;
        CostOf c = {g, cost, cost_of_element(body)};
        ex_walk(body, add_inline_cost, &c);
        if (c.sum > MAX_INLINE_COST || !readers_accept(g, &use[s->out], body, c.sum)) {
            g->s->stage[k].why = c.sum > MAX_INLINE_COST ? "expression too large to inline" : "read by a product or a call";
            continue;
        }
        if (!is_view(body) && better_as_epilogue(g, k)) {
            g->s->stage[k].why = "the epilogue of a product";
            continue;
        }
        const double factor = use[s->out].reads / (double)max_i64(points_of_stage(g, k), 1);
        if (!is_view(body) && factor > 1.01 && c.sum > CHEAP) {
            g->s->stage[k].why = "elements are read more than once";
            continue;
        }
        g->s->stage[k].place = PL_inline;
        g->s->stage[k].why = NULL;
        cost[s->out] = c.sum;
    }
}

/* Only what is free wherever it is read: the form in which operands of contractions are looked at. */
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

/* ---- register ---- */

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

/* Products before rows are looked for; other reductions when they are not statistics of rows. */
static void decide_register(Auto *g, bool products)
{
    for (uint32_t k = g->te->stage.n; k-- > 0;) {
        const Stage *s = g->te->stage.at[k];
        const uint32_t t = s->out;
        if (s->kind != ST_reduce || is_product(s) != products || ten(g->te, t)->output >= 0 || g->nreader[t] != 1 || g->s->stage[k].place != PL_root || g->host[k])
            continue;
        if (!products && runs_across(g, k)) {
            g->s->stage[k].why = "it runs across vectors";
            continue;
        }
        const uint32_t host = g->reader[t][0];
        const Expr *load = ex_sole_load(g->body[host], t);
        const bool once = load && load->op == EX_load && affine_indices(load) && points_of_stage(g, host) == points_of_stage(g, k) && host_has_tile(g, host, k, load);
        if (g->te->stage.at[host]->kind == ST_map && once && !g->host[host] && g->s->stage[host].place == PL_root) {
            g->s->stage[k].place = PL_register;
            g->s->stage[k].host = host;
            g->host[host] = true;
        } else {
            g->s->stage[k].why = "its reader does not use each element once";
        }
    }
}

/* ---- rows ---- */

typedef struct Row {
    Auto *g;
    uint32_t host;
    int8_t **map;       /* by stage: dimension -> variable of the host, -1 inner; NULL: not in the group */
    uint32_t outer;     /* bit set of host variables */
} Row;

static int host_var(const Row *r, uint32_t stage, const Expr *index)
{
    const Stage *s = r->g->te->stage.at[stage];
    int v;
    if (!is_pure_var(index, s->var, ten(r->g->te, s->out)->rank, &v))
        return -1;
    return r->map[stage][v];
}

typedef struct Agree { Row *r; uint32_t ref, stage; int8_t *map; bool ok, first; } Agree;

static void agree(void *ctx, const Expr *e)
{
    Agree *a = ctx;
    if ((e->op != EX_load && e->op != EX_loadp) || e->v.ref != a->ref)
        return;
    for (uint8_t d = 0; d < ten(a->r->g->te, a->ref)->rank; d++) {
        int v = host_var(a->r, a->stage, e->a[d]);
        v = v >= 0 && (a->r->outer >> v & 1) ? v : -1;
        a->ok = a->ok && (a->first || a->map[d] == v);
        a->map[d] = (int8_t)v;
    }
    a->first = false;
}

/* Variables of the host that index a row statistic it reads. */
typedef struct Outer { Row *r; uint32_t set; bool any; } Outer;

typedef struct Statistic { const Auto *g; int64_t points; bool found; } Statistic;

/* A reduction that is no product, or a map of fewer elements than the host's that reads one: mean, deviation. */
static void find_statistic(void *ctx, const Expr *e)
{
    Statistic *f = ctx;
    const Auto *g = f->g;
    if (f->found || e->op != EX_load || ten(g->te, e->v.ref)->kind != TEN_stage)
        return;
    const uint32_t k = ten(g->te, e->v.ref)->stage;
    const Stage *s = g->te->stage.at[k];
    if (g->s->stage[k].place != PL_root || is_product(s))
        return;
    if (s->kind == ST_reduce)
        f->found = true;
    else if (s->kind == ST_map && points_of_stage(g, k) < f->points)
        ex_walk(g->body[k], find_statistic, f);
}

/* Whether rows of the host are contiguous when its variables in `outer` are fixed. */
static bool rows_contiguous(const Auto *g, uint32_t host, uint32_t outer)
{
    const uint32_t t = g->te->stage.at[host]->out;
    const uint8_t rank = ten(g->te, t)->rank;
    return !g->layout.at[t].set || !(outer >> g->layout.at[t].order[rank - 1] & 1);
}

static uint32_t host_vars(const Row *r, const Expr *load)
{
    uint32_t set = 0;
    for (uint16_t d = 0; d < load->n; d++) {
        const int v = host_var(r, r->host, load->a[d]);
        set |= v >= 0 ? 1u << v : 0;
    }
    return set;
}

static void outer_vars(void *ctx, const Expr *e)
{
    Outer *o = ctx;
    const Auto *g = o->r->g;
    if (e->op != EX_load || ten(g->te, e->v.ref)->kind != TEN_stage)
        return;
    const uint32_t k = ten(g->te, e->v.ref)->stage;
    const uint32_t set = host_vars(o->r, e);
    Statistic f = {g, points_of_stage(g, o->r->host), false};
    find_statistic(&f, e);
    if (!f.found || (g->te->stage.at[k]->kind == ST_map && !(set && rows_contiguous(g, o->r->host, set))))
        return;
    o->any = true;
    o->set |= set;
}

static bool covers(const Row *r, uint32_t k, const int8_t *map)
{
    const Ten *t = ten(r->g->te, r->g->te->stage.at[k]->out), *h = ten(r->g->te, r->g->te->stage.at[r->host]->out);
    uint32_t seen = 0;
    int64_t inner = (int64_t)dtype_bytes(t->dt);
    for (uint8_t d = 0; d < t->rank; d++) {
        if (map[d] >= 0 && t->dim[d] != h->dim[map[d]])
            return false;
        if (map[d] < 0)
            inner *= extent_of(r->g, t->dim[d]);
        else
            seen |= 1u << map[d];
    }
    for (uint8_t v = 0; v < h->rank; v++)
        if (ex_is_int(h->dim[v], 1))
            seen |= r->outer & 1u << v;
    return seen == r->outer && inner <= ROW_BYTES;
}

static bool joins(Row *r, uint32_t k)
{
    Auto *g = r->g;
    const Stage *s = g->te->stage.at[k];
    const uint32_t t = s->out;
    if ((s->kind != ST_map && s->kind != ST_reduce) || is_product(s) || ten(g->te, t)->output >= 0 || g->s->stage[k].place != PL_root || g->pinned.at[t] || g->host[k])
        return false;
    int8_t *map = NEWN(g->a, int8_t, MAX_RANK);
    bool first = true;
    for (uint32_t q = 0; q < g->nreader[t]; q++) {
        const uint32_t reader = g->reader[t][q];
        if (!r->map[reader])
            return false;
        Agree a = {r, t, reader, map, true, first};
        ex_walk(g->body[reader], agree, &a);
        if (!a.ok)
            return false;
        first = a.first;
    }
    if (first || !covers(r, k, map))
        return false;
    r->map[k] = map;
    return true;
}

static int64_t row_length(const Row *r, uint8_t rank)
{
    int64_t n = 1;
    for (uint8_t v = 0; v < rank; v++)
        n *= r->outer >> v & 1 ? 1 : extent_of(r->g, ten(r->g->te, r->g->te->stage.at[r->host]->out)->dim[v]);
    return n;
}

static bool trailing(const Row *r, uint8_t rank)
{
    const uint32_t all = (1u << rank) - 1;
    return r->outer != all && (r->outer & (r->outer + 1)) == 0 && row_length(r, rank) > 1; /* outer variables are the leading ones */
}

static void decide_rows(Auto *g, uint32_t host)
{
    const Stage *s = g->te->stage.at[host];
    const uint8_t rank = ten(g->te, s->out)->rank;
    Row r = {.g = g, .host = host, .map = NEWN(g->a, int8_t *, g->te->stage.n)};
    r.map[host] = NEWN(g->a, int8_t, MAX_RANK);
    for (uint8_t d = 0; d < rank; d++)
        r.map[host][d] = (int8_t)d;
    Outer o = {.r = &r};
    ex_walk(g->body[host], outer_vars, &o);
    for (uint8_t v = 0; v < rank; v++) /* dimensions of 1 in front are outer in any case */
        if (ex_is_int(ten(g->te, s->out)->dim[v], 1) && (o.set >> v) > 0)
            o.set |= 1u << v;
    r.outer = o.set;
    if (!o.any || !trailing(&r, rank))
        return;
    uint8_t level = 0;
    for (uint8_t v = 0; v < rank; v++)
        level = (uint8_t)(level + (r.outer >> v & 1));
    for (uint32_t k = host; k-- > 0;)
        if (joins(&r, k)) {
            g->s->stage[k].place = PL_at;
            g->s->stage[k].host = host;
            g->host[host] = true;
            g->s->stage[k].level = level;
        }
}

enum { CHAIN_PARTS = 2 }; /* the caches of more hold what goes between functions, and bands divide badly among them */

void auto_place(Auto *g)
{
    decide_inline(g);
    decide_inline(g);
    auto_bodies(g);
    g->host = NEWN(g->a, bool, g->te->stage.n);
    g->block = NEWN(g->a, int64_t, g->te->stage.n);
    g->band = NEWN(g->a, LoopStep, g->te->stage.n);
    decide_register(g, true);
    auto_lanes(g);
    if (g->parts <= CHAIN_PARTS)
        auto_chain(g);
    auto_bands(g);
    for (uint32_t k = g->te->stage.n; k-- > 0;)
        if (g->te->stage.at[k]->kind == ST_map && g->s->stage[k].place == PL_root && !g->host[k])
            decide_rows(g, k);
    decide_register(g, false);
}

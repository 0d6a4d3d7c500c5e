/* SPDX-License-Identifier: Apache-2.0
 *
 * Statistics of rows: what a softmax or a normalisation needs of a row (largest value, sum, mean, deviation) is made inside the row
 * loop of what reads it, in scratch of one row.
 */
#include "auto.h"

enum { ROW_BYTES = 1 << 16 };

typedef struct Row {
    Auto *g;
    uint32_t host;
    Map map;            /* by stage of the group: dimension -> variable of the host, -1 inner */
    uint32_t outer;     /* bit set of host variables */
} Row;

/* NULL: not in the group. */
static int8_t *map_of(const Row *r, uint32_t stage)
{
    const uint64_t *at = map_u64((Map *)(uintptr_t)&r->map, stage, false);
    return at ? (int8_t *)(uintptr_t)*at : NULL;
}

static int host_var(const Row *r, uint32_t stage, const Expr *index)
{
    const Stage *s = r->g->te->stage.at[stage];
    int v;
    if (!is_pure_var(index, s->var, ten(r->g->te, s->out)->rank, &v))
        return -1;
    return map_of(r, stage)[v];
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
    if (g->s->stage[k].place != PL_root || is_product(g, s))
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

/* Variables of the host that index a row statistic it reads. */
typedef struct Outer { Row *r; uint32_t set; bool any; } Outer;

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
    if (!f.found || (set ? !rows_contiguous(g, o->r->host, set) : g->te->stage.at[k]->kind == ST_map))
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
    if ((s->kind != ST_map && s->kind != ST_reduce) || is_product(g, s) || ten(g->te, t)->output >= 0 || g->s->stage[k].place != PL_root || g->pinned.at[t] || g->host[k])
        return false;
    int8_t *map = NEWN(g->a, int8_t, MAX_RANK);
    bool first = true;
    for (uint32_t q = 0; q < g->nreader[t]; q++) {
        const uint32_t reader = g->reader[t][q];
        if (!map_of(r, reader))
            return false;
        Agree a = {r, t, reader, map, true, first};
        ex_walk(g->body[reader], agree, &a);
        if (!a.ok)
            return false;
        first = a.first;
    }
    if (first || !covers(r, k, map))
        return false;
    *map_u64(&r->map, k, true) = (uint64_t)(uintptr_t)map;
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

static void make_inside(Auto *g, uint32_t host)
{
    const Stage *s = g->te->stage.at[host];
    const uint8_t rank = ten(g->te, s->out)->rank;
    Row r = {.g = g, .host = host, .map = {.arena = g->a}};
    int8_t *own = NEWN(g->a, int8_t, MAX_RANK);
    *map_u64(&r.map, host, true) = (uint64_t)(uintptr_t)own;
    for (uint8_t d = 0; d < rank; d++)
        own[d] = (int8_t)d;
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


void auto_statistics(Auto *g)
{
    for (uint32_t k = g->te->stage.n; k-- > 0;)
        if (g->te->stage.at[k]->kind == ST_map && g->s->stage[k].place == PL_root && !g->host[k])
            make_inside(g, k);
}

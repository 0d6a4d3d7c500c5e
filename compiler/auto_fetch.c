/* SPDX-License-Identifier: Apache-2.0
 *
 * What tiles of products ask for before they need it (build_fetch.c). The constants of most networks come from memory in each
 * run, in one order: while a function computes, as much as its own constant has is fetched from a fixed distance ahead, whichever
 * function that is for. MobileNetV2 on one core: 6 % of the time.
 */
#include "auto_tile.h"

int64_t constant_bytes(const Auto *g, const Dot *d)
{
    return is_constant_load(g, d->w) ? bytes_of_tensor(g, d->w->v.ref) : 0;
}

/* Whether data say which elements are read: few rows of a table, as a rule. */
static bool is_looked_up(const Expr *load)
{
    bool yes = false;
    for (uint16_t d = 0; d < ex_load_rank(load); d++)
        yes = yes || ex_reads_data(load->a[d]);
    return yes;
}

static void find_walked(void *ctx, const Expr *e)
{
    bool *walked = ctx; /* by tensor */
    if (e->op == EX_load || e->op == EX_loadp)
        walked[e->v.ref] = walked[e->v.ref] || !is_looked_up(e);
}

int64_t all_constants(const Auto *g)
{
    Arena *a = arena_child(g->a);
    bool *walked = NEWN(a, bool, g->te->ten.n);
    int64_t n = 0;
    for (uint32_t k = 0; k < g->te->stage.n; k++)
        walk_stage(g->te, g->te->stage.at[k], g->body[k], find_walked, walked);
    for (uint32_t t = 1; t < g->te->ten.n; t++)
        if (ten(g->te, t)->kind == TEN_const && (walked[t] || is_operand_of_call(g->te, t)))
            n += bytes_of_tensor(g, t);
    arena_free(a);
    return n;
}

int32_t fetch_distance(const Auto *g, const Dot *d, int64_t block)
{
    const int64_t n = max_i64(block, g->m->l2_bytes / 16);
    return constant_bytes(g, d) >= g->m->l1_bytes / 4 && g->outgrown && n <= INT32_MAX ? (int32_t)n : 0;
}

/* A tile of one row waits for loads alone, and a hint takes the place of one: where the cache has all constants from run to run,
 * it reads them at 44 bytes a cycle without hints and at 39 with them (Sapphire Rapids; plain loads alone: 45). With hints a line takes
 * three cycles on Zen 4, from wherever, and the last level gives it sooner (27 bytes a cycle for 22 and 23). */
static bool is_bound_by_loads(const Auto *g, int64_t rows)
{
    const bool fast = g->constants <= g->m->l3_bytes && g->m->hint_cycles * g->m->l3_rate > LINE;
    return rows == 1 && (!g->outgrown || fast);
}

/* Lines of 24 bits are unpacked meanwhile, which leaves no cycles for hints that take some. */
static bool takes_hints(const Auto *g, const Dot *d)
{
    return d->w->dt == DT_f32 || d->w->dt == DT_bf16 || d->quad > 1 || (d->slim && !g->m->hint_cycles);
}

/* A step whose loads take as long as its multiply-adds has no place for a hint that names a line for the sixteenth time: 14 rows of one
 * vector of eight in a picture of 14 x 14, whose share of 32 bytes is two. */
static bool is_hint_dear(const Auto *g, int64_t rows, int64_t lanes, int64_t share)
{
    const int64_t vectors = (lanes + g->m->lanes_f32 - 1) / g->m->lanes_f32;
    return load_cost(g, rows, vectors) >= fma_cost(g, rows * vectors) && 16 * share <= LINE;
}

/* Steps by thirds load as much as a core can beside what they compute: hints for each row tile halve their speed where a panel comes from the
 * last level. */
void plan_fetches(const Auto *g, StagePlan *p, const Dot *d, const Stage *s, const TileShape *shape, int64_t lanes)
{
    const int64_t block_lanes = min_i64(lanes, lanes_per_block(g, d, ten(g->te, s->out)->stage));
    const int64_t run = block_lanes * dot_lines(d) * (int64_t)dtype_bytes((DType)d->w->dt), block = reduction_steps(g, s) * run;
    const int64_t points = points_sharing(g, s, d->w);
    if (g->panel.at[d->w->v.ref])
        p->far = (int32_t)panel_bytes(g, d->w->v.ref);
    if (!takes_hints(g, d) || !constant_bytes(g, d) || !points)
        return;
    if (block >= g->m->l1_bytes / 2 && !d->thirds && !is_bound_by_loads(g, shape->down * shape->rows))
        p->near = (int16_t)max_i64(g->m->fetch_ahead / (run * d->quad), 1);
    const int64_t rows = shape->down * shape->rows, tiles = (points + rows - 1) / rows;
    if (!d->slim && d->group && block_lanes == lanes && !is_hint_dear(g, rows, lanes, run / tiles)) /* several blocks are streams enough */
        p->far = fetch_distance(g, d, block);
}

/* ---- what sums are added to ---- */

enum { LONG_SUM = 64 }; /* steps, which hide a line from the last level */

typedef struct Added { const Auto *g; const Stage *host; uint32_t sum; bool far; } Added;

static void find_added(void *ctx, const Expr *e)
{
    Added *a = ctx;
    const Ten *t = e->op == EX_load && e->v.ref != a->sum ? ten(a->g->te, e->v.ref) : NULL;
    if (t && t->kind == TEN_stage && a->g->s->stage[t->stage].place == PL_root && loads_element(a->g, e, a->host->var))
        a->far = a->far || bytes_of_tensor(a->g, e->v.ref) > a->g->m->l2_bytes / 2;
}

/* Lines that a tile adds its sums to, one for each of its points, lie apart: nothing but hints has them in time. On Zen 3 a product of 99 x 384 x 1536 takes
 * 1.16 of its time without. */
void plan_added(const Auto *g, uint32_t host, const Stage *s)
{
    Added a = {g, g->te->stage.at[host], s->out, false};
    if (a.host == s || g->m->hint_cycles || reduction_steps(g, s) < LONG_SUM)
        return;
    ex_walk(g->body[host], find_added, &a);
    g->s->stage[host].added = a.far;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * What a finished schedule says about memory, for the next one: which borders make the fullest moment of the program fuller, and
 * which tensors are there too early when others are made within them.
 */
#include "auto.h"
#include "plan_order.h"

enum { SMALL_BORDER = 16 }; /* a border of that share of its tensor, as of large pictures, is not worth anything */

/* ---- what lives when ---- */

/* By tensor: the stages at root in which it is first made and last read, in part too; inside: it lies within another one. */
typedef struct Alive { const Auto *g; uint32_t *first, *last; bool *inside; } Alive;

/* The stage whose function stage k is part of. */
static uint32_t root_of(const Auto *g, uint32_t k)
{
    while (g->s->stage[k].place == PL_register || g->s->stage[k].place == PL_at)
        k = g->s->stage[k].host;
    return k;
}

static bool is_stored(const Auto *g, uint32_t t)
{
    const Ten *n = ten(g->te, t);
    return n->kind == TEN_stage && n->output < 0 && n->stage != NO_STAGE && g->s->stage[n->stage].place == PL_root;
}

/* joined: as tensors lie within each other; else as if each had memory of its own. */
static Alive lives(const Auto *g, bool joined)
{
    const uint32_t n = g->te->ten.n;
    Alive l = {g, NEWN(g->a, uint32_t, n), NEWN(g->a, uint32_t, n), NEWN(g->a, bool, n)};
    for (uint32_t t = 1; t < n; t++) {
        l.first[t] = ten(g->te, t)->stage;
        for (uint32_t q = 0; q < g->nreader[t]; q++)
            l.last[t] = (uint32_t)max_i64(l.last[t], root_of(g, g->reader[t][q]));
    }
    for (uint32_t k = 0; k < g->te->stage.n && joined; k++) { /* what lies within another is made before that */
        const uint32_t t = g->te->stage.at[k]->out, y = g->layout.at[t].within;
        l.inside[t] = y;
        l.first[y] = (uint32_t)min_i64(l.first[y], l.first[t]);
        l.last[y] = (uint32_t)max_i64(l.last[y], l.last[t]);
    }
    return l;
}

static bool is_alive(const Alive *l, uint32_t t, uint32_t k)
{
    return is_stored(l->g, t) && !l->inside[t] && l->first[t] <= k && l->last[t] >= k;
}

static int64_t bytes_of(const Auto *g, uint32_t t, bool bordered)
{
    const Layout *l = &g->layout.at[t];
    int64_t n = (int64_t)dtype_bytes(ten(g->te, t)->dt);
    for (uint8_t d = 0; d < ten(g->te, t)->rank; d++)
        n *= extent_of(g, ten(g->te, t)->dim[d]) + (bordered && l->set ? l->lo[d] + l->hi[d] : 0);
    return n;
}

/* Whether stage k reads t, which dies there, just where it writes, so that its result can take the place. */
static bool is_replaced(const Alive *l, uint32_t t, uint32_t k)
{
    const Stage *s = l->g->te->stage.at[k];
    const Expr *at = l->g->body[k] && s->kind == ST_map ? ex_sole_load(l->g->body[k], t) : NULL;
    const uint8_t rank = ten(l->g->te, t)->rank;
    bool same = at && l->last[t] == k && l->g->nreader[t] > 0 && l->g->reader[t][l->g->nreader[t] - 1] == k && rank == ten(l->g->te, s->out)->rank;
    for (uint8_t d = 0; same && d < rank; d++)
        same = at->a[d] == s->var[d] || ex_is_int(ten(l->g->te, t)->dim[d], 1);
    return same && !l->inside[s->out] && l->first[s->out] == k && bytes_of(l->g, t, false) == bytes_of(l->g, s->out, false);
}

/* Bytes of the tensors that live while stage k at root runs. */
static int64_t load_at(const Alive *l, uint32_t k, bool bordered)
{
    int64_t sum = 0;
    bool replaced = false;
    for (uint32_t t = 1; t < l->g->te->ten.n; t++) {
        sum += is_alive(l, t, k) ? bytes_of(l->g, t, bordered) : 0;
        replaced = replaced || (is_alive(l, t, k) && is_replaced(l, t, k));
    }
    return sum - (replaced ? bytes_of(l->g, l->g->te->stage.at[k]->out, bordered) : 0);
}

static int64_t largest_load(const Alive *l, bool bordered)
{
    int64_t most = 0;
    for (uint32_t k = 0; k < l->g->te->stage.n; k++)
        most = l->g->s->stage[k].place == PL_root ? max_i64(most, load_at(l, k, bordered)) : most;
    return most;
}

/* ---- what holds others too early ---- */

static bool has(const uint32_t *at, uint32_t n, uint32_t v)
{
    while (n > 0 && at[n - 1] != v)
        n--;
    return n > 0;
}

static void touch_in(Arena *a, OrderStep *s, uint32_t home)
{
    if (!has(s->touch.at, s->touch.n, home))
        PUSH(a, &s->touch, home);
}

static void come_before(Arena *a, OrderStep *s, uint32_t made)
{
    if (!has(s->before.at, s->before.n, made))
        PUSH(a, &s->before, made);
}

/* Least load of any order of the stages at root that was found, borders included. */
static int64_t least_load(const Auto *g, bool joined)
{
    Arena *a = arena_child(g->a);
    const uint32_t n = g->te->stage.n, count = g->te->ten.n;
    const Alive l = lives(g, joined);
    OrderStep *step = NEWN(a, OrderStep, n + 1);
    int64_t *bytes = NEWN(a, int64_t, count);
    uint32_t *order = NEWN(a, uint32_t, n + 1);
    for (uint32_t t = 1; t < count; t++) {
        if (!is_stored(g, t))
            continue;
        const uint32_t home = joined ? layout_home(g, t) : t, made = ten(g->te, t)->stage;
        bytes[t] = l.inside[t] ? 0 : bytes_of(g, t, true);
        touch_in(a, &step[made], home);
        for (uint32_t q = 0; q < g->nreader[t]; q++) {
            const uint32_t k = root_of(g, g->reader[t][q]);
            touch_in(a, &step[k], home);
            if (k != made)
                come_before(a, &step[k], made);
        }
    }
    const OrderProblem p = {step, n, bytes, count};
    const int64_t peak = plan_order(a, &p, order).peak;
    arena_free(a);
    return peak;
}

/* The tensors, by number, in whose memory others must not be made, since the program would need more of it; NULL: none. */
bool *auto_early(const Auto *g, uint32_t count)
{
    const Alive apart = lives(g, false), joined = lives(g, true);
    bool *early = NEWN(g->a, bool, count), any = false;
    for (uint32_t t = 1; t < g->te->ten.n; t++)
        any = any || joined.inside[t];
    if (!any || least_load(g, true) <= least_load(g, false))
        return NULL;
    const int64_t most = min_i64(largest_load(&apart, true), largest_load(&joined, true) - 1);
    any = false;
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        const bool full = g->s->stage[k].place == PL_root && load_at(&joined, k, true) > most;
        for (uint32_t t = 1; full && t < count; t++)
            if (joined.first[t] <= k && ten(g->te, t)->kind == TEN_stage && k < ten(g->te, t)->stage)
                any = early[t] = true;
    }
    return any ? early : NULL;
}

/* ---- borders ---- */

/* Whether stage k is a dense product of t in a function of its own, which could make the rows that it reads. */
static bool can_make_rows(const Auto *g, uint32_t k, uint32_t t)
{
    const StagePlan *p = &g->s->stage[k];
    const uint32_t host = p->place == PL_register ? p->host : k;
    Dot d;
    return g->s->stage[host].place == PL_root && dot_of(g, k, &d) && d.x->v.ref == t && d.lane >= 0 && d.group;
}

/* A border of bytes that readers could make, and no small part of its tensor. */
static bool has_costly_border(const Auto *g, uint32_t t)
{
    const int64_t plain = bytes_of(g, t, false), more = bytes_of(g, t, true) - plain;
    bool yes = false;
    for (uint32_t q = 0; q < g->nreader[t]; q++)
        yes = yes || can_make_rows(g, g->reader[t][q], t);
    return yes && dtype_bytes(ten(g->te, t)->dt) == 1 && more * SMALL_BORDER >= plain;
}

bool *auto_tight(const Auto *g, uint32_t count)
{
    bool *costly = NEWN(g->a, bool, count), *tight = NEWN(g->a, bool, count), any = false;
    for (uint32_t t = 1; t < count; t++)
        any = (costly[t] = is_stored(g, t) && has_costly_border(g, t)) || any;
    if (!any) /* of most networks */
        return NULL;
    const Alive l = lives(g, true);
    const int64_t most = largest_load(&l, false);
    any = false;
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        const bool full = g->s->stage[k].place == PL_root && load_at(&l, k, true) > most;
        for (uint32_t t = 1; full && t < count; t++)
            if (costly[t] && is_alive(&l, t, k))
                any = tight[t] = true;
    }
    return any ? tight : NULL;
}

bool *auto_tight_rest(const Auto *g, const bool *tight, uint32_t count)
{
    bool *left = arena_copy(g->a, tight, count * sizeof *tight), any = false;
    for (uint32_t t = 1; t < g->te->ten.n; t++)
        if (g->rows.at[t] && layout_free(g, g->rows.at[t]) && is_stored(g, t)) {
            left[g->rows.at[t]] = false;
            any = true;
        }
    return any ? left : NULL;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Cores are not alike: one is shared with somebody, or has another clock, and at a meeting all wait for it. So a step that is
 * long enough is cut into more shares than there are parts, and parts take them while they run. A part has what it would have
 * had before, so that nothing moves between caches where cores are alike, and takes from others only when it has nothing left.
 *
 * For T cycles of the part that has most of the step, in g shares for each part, where a core may be slower by S:
 *   static  T + S T          the others wait for the slow part
 *   dealt   T + S T/g + g C  for its last share; C: to take one, and to begin its loops
 * of which the best g is sqrt(S T / C).
 */
#include <math.h>

#include "parallel_cost.h"
#include "pass.h"

static const double SLOWER = 0.125;
enum { TAKE_CYCLES = 400, MOST_EACH = 64 };

typedef struct Deal {
    Program *p;
    Unit *u;
    Arena *a;
    Cost cost;
    uint32_t first, end, count; /* the step: functions first .. end-1, at the count-th number of parts */
    int32_t parts;
    Accesses **of; /* of its functions */
} Deal;

typedef struct Widest { int64_t units; } Widest;

static void find_units(void *ctx, Nest *n)
{
    Widest *w = ctx;
    if (n->op == NS_for && n->kind == FOR_parallel)
        w->units = max_i64(w->units, n->share.of * (n->share.each > 1 ? n->share.each : 1));
}

/* Units of the function that takes longest; 0: one of the step is not cut. */
static int64_t units_of(const Deal *d)
{
    Widest w = {0};
    double most = -1;
    for (uint32_t k = d->first; k < d->end; k++) {
        const Func *f = d->u->func.at[k];
        if (!f->split)
            return 0;
        if (f->cycles <= most)
            continue;
        most = f->cycles;
        w.units = 0;
        nest_walk(f->body, find_units, &w);
    }
    return w.units;
}

static double slowest_part(const Deal *d)
{
    double sum = 0;
    for (uint32_t k = d->first; k < d->end; k++)
        sum += d->u->func.at[k]->slowest[d->count];
    return sum;
}

/* Shares for each part, of as many whole units each as the best number has about. */
static int32_t shares_each(const Deal *d)
{
    const double best = d->p->opt->always ? 4 : fmin(sqrt(SLOWER * slowest_part(d) / TAKE_CYCLES), MOST_EACH);
    const double units = (double)units_of(d) / d->parts;
    return (int32_t)ceil(units / fmax(round(units / best), 1));
}

typedef struct Dealt { double slowest, last; } Dealt; /* cycles of the part that has most of it, and of the longest share */

static Dealt dealt(const Deal *d, uint32_t k, int32_t each)
{
    const int32_t shares = each * d->parts;
    Dealt r = {0};
    double sum = 0;
    for (int32_t s = 0; s < shares; s++) {
        const Touches touched = part_touches(d->a, d->of[k - d->first], s, shares);
        const double cycles = share_cycles(&d->cost, d->u->func.at[k], &touched, s, shares);
        sum = s % each ? sum + cycles : cycles;
        r.slowest = fmax(r.slowest, sum);
        r.last = fmax(r.last, cycles);
    }
    return r;
}

/* What the meetings before and behind cost more when all parts take part in them. */
static double more_meeting(const Deal *d)
{
    const double all = meet_cycles(d->parts - 1, d->parts);
    double more = 0;
    for (uint32_t k = d->first ? d->first : d->end; k < d->u->func.n && k <= d->end; k += d->end - d->first)
        more += all - meet_cycles(func_meet(d->u->func.at[k], d->count), d->parts);
    return more;
}

static bool pays(const Deal *d, int32_t each)
{
    Dealt sum = {0};
    for (uint32_t k = d->first; k < d->end; k++) {
        const Dealt f = dealt(d, k, each);
        sum.slowest += f.slowest;
        sum.last += f.last;
    }
    return sum.slowest + SLOWER * sum.last + each * TAKE_CYCLES + more_meeting(d) < slowest_part(d) * (1 + SLOWER);
}

static void all_meet(const Deal *d, uint32_t f)
{
    if (f > 0 && f < d->u->func.n)
        d->u->func.at[f]->meet[d->count] = d->parts - 1;
}

static void deal_out(const Deal *d, int32_t shares)
{
    for (uint32_t k = d->first; k < d->end; k++) {
        Func *f = d->u->func.at[k];
        f->shares = f->shares ? f->shares : NEWN(d->u->cx->arena, int32_t, d->u->threads.n);
        f->shares[d->count] = shares;
    }
    all_meet(d, d->first);
    all_meet(d, d->end);
}

/* Whether the step is dealt out now. */
static bool deal(const Deal *d)
{
    const int32_t each = shares_each(d);
    if (each < 2 || each * d->parts > MAX_SHARES || (!d->p->opt->always && !pays(d, each)) || deal_fault(d->a, d->u, d->first, d->of, each * d->parts, NULL))
        return false;
    deal_out(d, each * d->parts);
    return true;
}

/* At how many counts the step is. */
static uint32_t deal_step(Deal *d)
{
    uint32_t n = 0;
    d->of = NEWN(d->a, Accesses *, d->end - d->first);
    for (uint32_t k = d->first; k < d->end; k++)
        d->of[k - d->first] = part_accesses(d->a, d->u, d->u->func.at[k]);
    for (d->count = 0; d->count < d->u->threads.n; d->count++) {
        d->parts = d->u->threads.at[d->count];
        n += deal(d);
    }
    return n;
}

bool pass_deal(Program *p)
{
    uint32_t steps = 0, n = 0;
    for (uint32_t f = 0, end; p->unit->threads.n && f < p->unit->func.n; f = end, steps++) {
        end = step_end(p->unit, f);
        Deal d = {.p = p, .u = p->unit, .a = arena_child(p->cx->arena), .cost = cost_on(p->unit, &p->machine), .first = f, .end = end};
        n += deal_step(&d) > 0;
        arena_free(d.a);
    }
    if (p->unit->threads.n)
        remark(p, "deal", n > 0, "%u of %u steps are dealt out", n, steps);
    return true;
}

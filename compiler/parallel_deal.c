/* SPDX-License-Identifier: Apache-2.0
 *
 * Cores are not alike: one is shared with somebody, or has another clock, and at a meeting all wait for it. So a step that is
 * long enough is cut into more shares than there are parts, and parts take them while they run. A part has what it would have
 * had before, so that nothing moves between caches where cores are alike, and takes from others only when it has nothing left.
 *
 * For T cycles of the part that has most of the step, in g shares for each part, where a core may be slower by S:
 *   static  T + S T          the others wait for the slow part
 *   dealt   T + S T/g + g C  for its last share; C: to take one, and to begin its loops
 * of which the best g is sqrt(S T / C); fewer where shares do work twice, as with rows around a window.
 *
 * Functions between two meetings are dealt out together as far as that is sound, a share of each in turn, if need be in as many as
 * they have units in common; what cannot be with them keeps its parts, and all meet in between.
 */
#include <math.h>

#include "parallel_cost.h"
#include "pass.h"

enum { MOST_EACH = 64 };

typedef struct Deal {
    const Program *p;
    Unit *u;
    Arena *a;
    Cost cost;
    Accesses **of; /* by function */
    uint32_t count;
    int32_t parts;
    uint32_t first, end; /* functions to be dealt out together */
} Deal;

static double slowest_part(const Deal *d)
{
    double sum = 0;
    for (uint32_t k = d->first; k < d->end; k++)
        sum += d->u->func.at[k]->slowest[d->count];
    return sum;
}

/* ---- shares for each part ---- */

/* Units of the function that takes longest. */
static int64_t units_of(const Deal *d)
{
    const Func *most = d->u->func.at[d->first];
    for (uint32_t k = d->first; k < d->end; k++)
        most = d->u->func.at[k]->cycles > most->cycles ? d->u->func.at[k] : most;
    return units_dealt(most);
}

/* As many whole units each as the best number has about. */
static int32_t shares_each(const Deal *d)
{
    const double best = d->p->opt->always ? 4 : fmin(sqrt(SLOWER * slowest_part(d) / take_cycles(d->parts)), MOST_EACH);
    const double units = (double)units_of(d) / d->parts;
    return (int32_t)ceil(units / fmax(round(units / best), 1));
}

/* A unit each of the function that has the fewest: shares that begin where finer functions have units, too; 0: parts do not have as many each. */
static int32_t common_each(const Deal *d)
{
    int64_t fewest = INT32_MAX;
    for (uint32_t k = d->first; k < d->end; k++)
        fewest = min_i64(fewest, units_dealt_well(d->u->func.at[k]));
    return fewest % d->parts ? 0 : (int32_t)(fewest / d->parts);
}

static bool is_sound(const Deal *d, int32_t each)
{
    return each * d->parts <= MAX_SHARES && !deal_fault(d->a, d->u, d->first, d->end, d->of + d->first, each * d->parts, NULL);
}

/* The most that is sound, of those that may be good; 0: none. */
static int32_t sound_each(const Deal *d)
{
    const int32_t each = (int32_t)max_i64(shares_each(d), 2), common = common_each(d);
    return is_sound(d, each) ? each : common > 1 && common < each && is_sound(d, common) ? common : 0;
}

/* ---- what it costs ---- */

/* Cycles of share s of function k. Constants that stay in cache from share to share are read once by a part, others by each. */
static double cycles_of_share(const Deal *d, Arena *a, uint32_t k, int32_t s, int32_t shares)
{
    const Touches touched = part_touches(a, d->of[k], s, shares), constants = part_constants(a, d->of[k], s, shares);
    const double again = constants_stay(&d->cost, &constants) ? 0 : constant_cycles(&d->cost, &constants);
    return share_cycles(&d->cost, d->u->func.at[k], &touched, s, shares) + again;
}

static double first_read(const Deal *d, Arena *a, uint32_t k, int32_t each)
{
    const Touches share = part_constants(a, d->of[k], 0, each * d->parts), part = part_constants(a, d->of[k], 0, d->parts);
    return constants_stay(&d->cost, &share) ? constant_cycles(&d->cost, &part) : 0;
}

/* Cycles of function k: of the part that has most of its shares, and of its longest share in those of a slower core. */
static double function_cycles(const Deal *d, uint32_t k, int32_t each)
{
    Arena *a = arena_child(d->a);
    double sum = 0, slowest = 0, last = 0;
    for (int32_t s = 0, shares = each * d->parts; s < shares; s++) {
        const double cycles = cycles_of_share(d, a, k, s, shares);
        sum = s % each ? sum + cycles : cycles;
        slowest = fmax(slowest, sum);
        last = fmax(last, cycles);
    }
    slowest += first_read(d, a, k, each);
    arena_free(a);
    return slowest + SLOWER * last;
}

/* What a meeting of all before function f costs more than what there is now. */
static double more_meeting(const Deal *d, uint32_t f)
{
    const bool between = f > 0 && f < d->u->func.n;
    return between ? meet_cycles(d->parts - 1, d->parts) - meet_cycles(func_meet(d->u->func.at[f], d->count), d->parts) : 0;
}

static double cycles_dealt(const Deal *d, int32_t each)
{
    double sum = each * take_cycles(d->parts) + more_meeting(d, d->first) + more_meeting(d, d->end);
    for (uint32_t k = d->first; k < d->end; k++)
        sum += function_cycles(d, k, each);
    return sum;
}

typedef struct Best { int32_t each; double cycles; } Best; /* each 0: it does not pay */

/* So many, and halves of them. */
static void try_halves(const Deal *d, int32_t each, Best *b)
{
    for (; each > 1; each /= 2) {
        const double cycles = cycles_dealt(d, each);
        if (cycles < b->cycles && is_sound(d, each))
            *b = (Best){each, cycles};
    }
}

static int32_t best_each(const Deal *d)
{
    const int32_t each = shares_each(d), common = common_each(d);
    if (d->p->opt->always)
        return (int32_t)min_i64(sound_each(d), each);
    Best b = {0, slowest_part(d) * (1 + SLOWER)};
    try_halves(d, each, &b);
    if (common < each)
        try_halves(d, common, &b);
    return b.each;
}

/* ---- dealing ---- */

static void all_meet(const Deal *d, uint32_t f)
{
    if (f == 0 || f == d->u->func.n)
        return;
    Func *at = d->u->func.at[f];
    at->meet = at->meet ? at->meet : NEWN(d->u->cx->arena, int32_t, d->u->threads.n);
    at->meet[d->count] = d->parts - 1;
}

static void deal_out(const Deal *d, int32_t each)
{
    for (uint32_t k = d->first; k < d->end; k++) {
        Func *f = d->u->func.at[k];
        f->shares = f->shares ? f->shares : NEWN(d->u->cx->arena, int32_t, d->u->threads.n);
        f->shares[d->count] = each * d->parts;
    }
    all_meet(d, d->first);
    all_meet(d, d->end);
}

static bool goes_together(Deal *d, uint32_t end)
{
    d->end = end;
    return sound_each(d) > 0;
}

/* What follows the functions from d->first on that can be dealt out together: twice as many each time, then in halves between. */
static uint32_t together(Deal *d, uint32_t step)
{
    uint32_t good = d->first, bad = step + 1;
    while (good + 1 < bad) {
        const uint32_t twice = (uint32_t)min_i64(2 * (int64_t)good - d->first + 1, step), end = bad > step ? twice : good + (bad - good) / 2;
        *(goes_together(d, end) ? &good : &bad) = end;
    }
    return good;
}

/* Deals out as many functions from f on as can be together; what follows those that have been decided. */
static uint32_t deal_from(Deal *d, uint32_t f)
{
    d->first = f;
    d->end = together(d, step_end(d->u, f));
    const int32_t each = d->end > f ? best_each(d) : 0;
    if (each < 2)
        return f + 1;
    deal_out(d, each);
    return d->end;
}

/* A step that some count divides is dealt out as several at the others. */
static void meet_around(Deal *d)
{
    for (uint32_t f = 1; f < d->u->func.n; f++)
        if (d->u->func.at[f]->meet && (func_shares(d->u->func.at[f], d->count) || func_shares(d->u->func.at[f - 1], d->count)))
            all_meet(d, f);
}

static void at_each_count(Deal *d, void (*fn)(Deal *d))
{
    for (d->count = 0; d->count < d->u->threads.n; d->count++) {
        d->parts = d->u->threads.at[d->count];
        fn(d);
    }
}

static void deal_all(Deal *d)
{
    for (uint32_t f = 0; f < d->u->func.n;)
        f = deal_from(d, f);
}

bool pass_deal(Program *p)
{
    Unit *u = p->unit;
    Deal d = {.p = p, .u = u, .a = arena_child(p->cx->arena), .cost = cost_on(u, &p->machine)};
    uint32_t n = 0;
    d.of = NEWN(d.a, Accesses *, u->func.n + 1);
    for (uint32_t k = 0; k < u->func.n && u->threads.n; k++)
        d.of[k] = part_accesses(d.a, u, u->func.at[k]);
    at_each_count(&d, deal_all);
    at_each_count(&d, meet_around);
    for (uint32_t k = 0; k < u->func.n; k++)
        n += u->func.at[k]->shares != NULL;
    if (u->threads.n)
        remark(p, "deal", n > 0, "%u of %u functions are dealt out", n, u->func.n);
    arena_free(d.a);
    return true;
}

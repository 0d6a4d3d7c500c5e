/* SPDX-License-Identifier: Apache-2.0
 *
 * Several threads. A function is cut along one dimension of the tensor that it makes, or along two where that gives more
 * even parts: parts own its units (rows, blocks of channels, heads, rows of a block), and in every tree of the function the
 * loops that move along those dimensions become parallel (parallel_cut.h). A cut is kept when no two parts clash
 * (ir/part.h), so a reduction is never cut. Then parts must meet before a function whose part touches what other parts have
 * touched since they last met; where only neighbours have, as with the rows around a window, neighbours meet.
 *
 * What a part reads and another has written comes from the other's cache, which costs more than most work saves: 51 us for
 * 150 KB in a block of MobileNetV2 that computes for 100. So functions are not cut one by one: of the cuts of the functions so
 * far, the few that cost least together are each continued by every choice for the next function (a beam).
 */
#include <math.h>
#include <stdlib.h>

#include "parallel_choice.h"
#include "parallel_cut.h"
#include "pass.h"

enum {
    START_CYCLES = 60000, /* of a run: a worker that sleeps is woken by the operating system */
    /* What threads that are awake must gain, and the part of the time on one that they may take. To begin and end a run with them is 0.2 us,
     * but runs that find them asleep pay for those that wake them (MLCC_REFUSALS), so models of 1 us stay on one; and estimates
     * are not exact: 0.71 were 0.83, 0.66 were 0.56. */
    AWAKE_CYCLES = 10000,
    AWAKE_PERCENT = 80,
    BEAM = 8,
    BEAM_ALIKE = 2        /* of them with the same choice for the last function */
};

/* Choices for functions 0 .. one of them, by way of those before. cost: cycles times parts, with what a slower core may add, summed over functions and counts. */
typedef struct State { const struct State *before; const Choice *is; int32_t *meet; double cost; } State;
typedef struct States { VEC(State *) v; } States;

typedef struct Split {
    Program *p;
    Unit *u;
    Arena *a, *work; /* work: of one search */
    Cost cost;
    Choices *choice; /* by function */
    Before before;
    const State **entered; /* by function: whose choice is in before and in the unit */
    double serial;   /* cycles of the whole run on one part */
    double *shared;  /* by count of parts */
    bool any;        /* a function is cut */
} Split;

/* ---- the search ---- */

/* Functions 0 .. n-1 as the state has them; those of a state that was entered before it branched off are so. */
static void enter(Split *s, const State *at, uint32_t n)
{
    s->before.n = n;
    for (uint32_t k = n; k-- > 0 && s->entered[k] != at; at = at->before) {
        s->entered[k] = at;
        s->before.by[k] = at->is->of;
        s->u->func.at[k]->meet = at->meet;
    }
}

static double meeting_cost(const Split *s, const int32_t *meet)
{
    double cost = 0;
    for (uint32_t t = 0; t < s->u->threads.n && meet; t++)
        cost += meet_cycles(meet[t], s->u->threads.at[t]) * s->u->threads.at[t];
    return cost;
}

static State *continued(Split *s, const State *at, const Choice *c)
{
    State *next = NEW(s->work, State);
    *next = (State){at, c, meeting_before(s->work, s->u, s->before.by, s->before.n, c->of), at ? at->cost : 0};
    next->cost += meeting_cost(s, next->meet);
    for (uint32_t t = 0; t < s->u->threads.n; t++) {
        const int32_t parts = s->u->threads.at[t];
        const double cycles = choice_cycles(&s->cost, c, &s->before, t);
        next->cost += (cycles + (c->body ? uneven_cycles(cycles, c->units, parts) : 0)) * parts;
    }
    return next;
}

static int by_cost(const void *p, const void *q)
{
    const State *s = *(State *const *)p, *t = *(State *const *)q;
    return (s->cost > t->cost) - (s->cost < t->cost);
}

static uint32_t alike(const States *in, const Choice *c)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < in->v.n; k++)
        n += in->v.at[k]->is == c;
    return n;
}

static States best_of(Arena *a, States *all)
{
    States best = {0};
    qsort(all->v.at, all->v.n, sizeof *all->v.at, by_cost);
    for (uint32_t k = 0; k < all->v.n && best.v.n < BEAM; k++)
        if (alike(&best, all->v.at[k]->is) < BEAM_ALIKE)
            PUSH(a, &best.v, all->v.at[k]);
    return best;
}

static States step(Split *s, const States *beam, uint32_t k)
{
    States all = {0};
    for (uint32_t b = 0; b < beam->v.n; b++) {
        enter(s, beam->v.at[b], k);
        for (uint32_t c = 0; c < s->choice[k].v.n; c++)
            PUSH(s->work, &all.v, continued(s, beam->v.at[b], s->choice[k].v.at[c]));
    }
    return best_of(s->work, &all);
}

/* ---- the result ---- */

static void take(Split *s, uint32_t k, const Choice *c)
{
    Func *f = s->u->func.at[k];
    f->body = c->body ? c->body : f->body;
    f->split = c->body != NULL;
    f->meet = f->meet ? arena_copy(s->a, f->meet, s->u->threads.n * sizeof *f->meet) : NULL;
    f->cycles = s->choice[k].alone;
    f->slowest = NEWN(s->a, double, s->u->threads.n);
    s->any = s->any || f->split;
    s->serial += f->cycles;
    s->before.n = k;
    for (uint32_t t = 0; t < s->u->threads.n; t++) {
        f->slowest[t] = choice_cycles(&s->cost, c, &s->before, t);
        s->shared[t] += f->slowest[t] + meet_cycles(func_meet(f, t), s->u->threads.at[t]);
    }
}

static void split_unit(Split *s)
{
    const uint32_t n = s->u->func.n;
    States beam = {0};
    s->work = arena_child(s->a);
    PUSH(s->work, &beam.v, NULL);
    for (uint32_t k = 0; k < n; k++) {
        s->choice[k] = choices_of(s->a, &s->cost, s->u->func.at[k], s->p->opt->always);
        beam = step(s, &beam, k);
    }
    const State *at = beam.v.at[0];
    enter(s, at, n);
    const Choice **is = NEWN(s->work, const Choice *, n + 1);
    for (uint32_t k = n; k-- > 0; at = at->before)
        is[k] = at->is;
    for (uint32_t k = 0; k < n; k++)
        take(s, k, is[k]);
    for (uint32_t k = 0; k < n; k++)
        choices_drop(&s->choice[k], is[k]);
    arena_free(s->work);
}

/* As it was, for the counts given. */
static void start(Split *s, Nest *const *before)
{
    s->shared = NEWN(s->a, double, s->u->threads.n + 1);
    s->serial = 0;
    s->any = false;
    for (uint32_t k = 0; k < s->u->func.n; k++) {
        Func *f = s->u->func.at[k];
        f->body = before[k];
        f->split = false;
        f->meet = NULL;
        s->entered[k] = NULL;
    }
}

/* Leaves the counts that make the run faster than every smaller one does, the first of them where threads are awake; true: all of them. */
static bool keep_useful(const Split *s)
{
    Unit *u = s->u;
    const bool always = s->p->opt->always;
    const double waking = s->serial - START_CYCLES;
    double least = fmax(waking, fmin(s->serial - AWAKE_CYCLES, s->serial * AWAKE_PERCENT / 100));
    uint32_t n = 0, awake = 0;
    for (uint32_t t = 0; t < u->threads.n; t++) {
        if (!always && s->shared[t] >= least)
            continue;
        least = s->shared[t];
        u->threads.at[n++] = u->threads.at[t];
        awake += !always && least >= waking;
    }
    const bool all = n == u->threads.n;
    u->threads.n = s->any ? n : 0;
    u->awake = s->any ? awake : 0;
    return all && s->any;
}

/* Only a run on one thread can give up when a function finds more elements than there is memory for. */
static bool may_give_up(const Unit *u)
{
    for (uint32_t k = 0; k < u->func.n; k++)
        for (uint32_t q = 0; q < u->func.at[k]->defines.n; q++)
            if (symbol_assumed(u->cx, u->func.at[k]->defines.at[q]))
                return true;
    return false;
}

/* By buffer: functions that store to it. */
static Stored *stores_of(Arena *a, const Unit *u)
{
    Stored *from = NEWN(a, Stored, u->buf.n + 1);
    for (uint32_t k = 0; k < u->func.n; k++) {
        const Touches t = part_touches(a, part_accesses(a, u, u->func.at[k]), 0, 1);
        for (uint32_t m = 0; m < t.v.n; m++) {
            Stored *to = &from[t.v.at[m].buf];
            if (t.v.at[m].write && (!to->v.n || to->v.at[to->v.n - 1] != k))
                PUSH(a, &to->v, k);
        }
    }
    return from;
}

bool pass_parallel(Program *p)
{
    Unit *u = p->unit;
    Split s = {.p = p, .u = u, .a = p->cx->arena, .cost = cost_on(u, &p->machine)};
    Nest **before = NEWN(s.a, Nest *, u->func.n + 1);
    for (uint32_t k = 0; k < p->threads.n && !may_give_up(u); k++)
        PUSH(s.a, &u->threads, p->threads.at[k]);
    for (uint32_t k = 0; k < u->func.n; k++)
        before[k] = u->func.at[k]->body;
    s.choice = NEWN(s.a, Choices, u->func.n + 1);
    s.before.by = NEWN(s.a, Touched *, u->func.n + 1);
    s.entered = NEWN(s.a, const State *, u->func.n + 1);
    s.before.from = u->threads.n ? stores_of(s.a, u) : NULL;
    bool done = !u->threads.n;
    while (!done) {
        const int32_t fewest = u->threads.at[0];
        start(&s, before);
        split_unit(&s);
        done = keep_useful(&s);
        remark(p, "parallel", u->threads.n > 0, "%.0f thousand cycles on one thread, %.0f on %d%s", s.serial / 1e3, s.shared[0] / 1e3, fewest,
               done ? u->awake ? ", if they are awake" : "" : u->threads.n ? ": some counts gain nothing over smaller ones" : ": too little to share");
        if (!u->threads.n)
            start(&s, before);
        done = done || !u->threads.n;
    }
    for (uint32_t k = 0; k < u->func.n; k++)
        if (!u->func.at[k]->split)
            drop_leads(u->func.at[k]->body);
    return true;
}

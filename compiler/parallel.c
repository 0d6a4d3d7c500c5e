/* SPDX-License-Identifier: Apache-2.0
 *
 * Several threads. A function is cut along one dimension of the tensor that it makes, or along two where that gives more
 * even parts: parts own its units (rows, blocks of channels, heads, rows of a block), and in every tree of the function the
 * loops that move along those dimensions become parallel (parallel_cut.h). A cut is kept when no two parts clash
 * (ir/part.h), so a reduction is never cut. Then parts must meet before a function whose part touches what other parts have
 * touched since they last met; where only neighbours have, as with the rows around a window, neighbours meet.
 */
#include <math.h>

#include "parallel_cost.h"
#include "parallel_cut.h"
#include "parallel_meet.h"
#include "pass.h"

enum { START_CYCLES = 60000 }; /* of a run: a worker that sleeps is woken by the operating system */

typedef struct Split {
    Program *p;
    Unit *u;
    Arena *a;
    Cost cost;
    Touched **by;   /* by function */
    uint32_t split; /* functions cut */
    double serial;  /* cycles of the whole run on one part */
    double *shared; /* by count of parts */
} Split;

/* ---- choosing ---- */

typedef struct Choice { Nest *body; Touched *of; double cost; } Choice; /* cost: sum over the counts of parts of time over that of an even share */

static double share_of_even(double cycles, double alone, int32_t parts) { return cycles * parts / alone; }

/* What the function costs when it is cut like that; INFINITY: more than `most`, or parts are in each other's way. */
static double cost_of(const Split *s, uint32_t k, const Func *trial, const Touched *of, double alone, double most)
{
    double cost = 0;
    for (uint32_t t = 0; t < s->u->threads.n; t++)
        cost += share_of_even(slowest_cycles(&s->cost, trial, of->at[t], s->u->threads.at[t]), alone, s->u->threads.at[t]);
    if (cost >= most || touched_clash(s->u, of) || touched_unfilled(s->a, s->u, of))
        return INFINITY;
    const int32_t *meet = meeting_before(s->a, s->u, s->by, k, of);
    for (uint32_t t = 0; t < s->u->threads.n && meet; t++)
        cost += share_of_even(meet_cycles(meet[t], s->u->threads.at[t]), alone, s->u->threads.at[t]);
    return cost;
}

/* Takes the cut when it is sound and better. */
static void consider(const Split *s, uint32_t k, const Cut *c, double alone, Choice *best)
{
    Arena *a = arena_child(s->a);
    Func trial = *s->u->func.at[k];
    trial.split = true;
    trial.body = cut_body(a, s->u, &trial, c);
    Touched *of = touched_by(a, s->u, &trial);
    const double cost = cost_of(s, k, &trial, of, alone, best->cost);
    if (cost < best->cost)
        *best = (Choice){trial.body, of, cost};
    else
        arena_free(a);
}

/* Two axes: more even parts, or such as own what those of the functions before own. */
static void choose_two(const Split *s, uint32_t k, const Axes *axes, double alone, Choice *best)
{
    for (uint32_t p = 0; p < axes->v.n; p++)
        for (uint32_t q = 0; q < axes->v.n; q++) {
            const Axis outer = axes->v.at[p], inner = axes->v.at[q];
            const Cut c = {axes->buf, outer, inner};
            if (outer.d != inner.d && outer.of <= MAX_SHARE_UNITS / inner.of && cut_nests(s->a, s->u, s->u->func.at[k], &c))
                consider(s, k, &c, alone, best);
        }
}

static void choose(const Split *s, uint32_t k, double alone, Choice *best)
{
    const Axes axes = cut_axes(s->a, s->u, s->u->func.at[k]);
    for (uint32_t p = 0; p < axes.v.n; p++)
        consider(s, k, &(Cut){.buf = axes.buf, .inner = axes.v.at[p]}, alone, best);
    choose_two(s, k, &axes, alone, best);
}

/* What the function takes on one part, between two meetings of all. */
static double cost_of_none(const Split *s, double alone)
{
    double cost = 0;
    for (uint32_t t = 0; t < s->u->threads.n; t++) {
        const int32_t parts = s->u->threads.at[t];
        cost += share_of_even(alone + 2 * meet_cycles(parts - 1, parts), alone, parts);
    }
    return cost;
}

static void split_function(Split *s, uint32_t k)
{
    Func *f = s->u->func.at[k];
    const Touches whole = part_touches(s->a, part_accesses(s->a, s->u, f), 0, 1);
    const double alone = slowest_cycles(&s->cost, f, &whole, 1);
    Choice best = {.of = touched_by(s->a, s->u, f), .cost = s->p->opt->always ? INFINITY : cost_of_none(s, alone)};
    choose(s, k, alone, &best);
    if (best.body) {
        f->body = best.body;
        f->split = true;
        s->split++;
    }
    s->by[k] = best.of;
    f->meet = meeting_before(s->a, s->u, s->by, k, best.of);
    f->cycles = alone;
    f->slowest = NEWN(s->a, double, s->u->threads.n);
    s->serial += alone;
    for (uint32_t t = 0; t < s->u->threads.n; t++) {
        f->slowest[t] = slowest_cycles(&s->cost, f, best.of->at[t], s->u->threads.at[t]);
        s->shared[t] += f->slowest[t] + meet_cycles(func_meet(f, t), s->u->threads.at[t]);
    }
}

static void split_unit(Split *s)
{
    for (uint32_t k = 0; k < s->u->func.n; k++)
        split_function(s, k);
}

/* As it was, for the counts given. */
static void start(Split *s, Nest *const *before)
{
    s->shared = NEWN(s->a, double, s->u->threads.n + 1);
    s->serial = s->split = 0;
    for (uint32_t k = 0; k < s->u->func.n; k++) {
        Func *f = s->u->func.at[k];
        f->body = before[k];
        f->split = false;
        f->meet = NULL;
    }
}

/* Leaves the counts that make the run faster than every smaller one does; true: all of them. */
static bool keep_useful(const Split *s)
{
    double least = s->serial - START_CYCLES;
    uint32_t n = 0;
    for (uint32_t t = 0; t < s->u->threads.n; t++) {
        if (!s->p->opt->always && s->shared[t] >= least)
            continue;
        least = s->shared[t];
        s->u->threads.at[n++] = s->u->threads.at[t];
    }
    const bool all = n == s->u->threads.n;
    s->u->threads.n = s->split ? n : 0;
    return all && s->split;
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

bool pass_parallel(Program *p)
{
    Unit *u = p->unit;
    Split s = {.p = p, .u = u, .a = p->cx->arena, .cost = cost_on(u, &p->machine)};
    Nest **before = NEWN(s.a, Nest *, u->func.n + 1);
    for (uint32_t k = 0; k < p->threads.n && !may_give_up(u); k++)
        PUSH(s.a, &u->threads, p->threads.at[k]);
    for (uint32_t k = 0; k < u->func.n; k++)
        before[k] = u->func.at[k]->body;
    s.by = NEWN(s.a, Touched *, u->func.n + 1);
    bool done = !u->threads.n;
    while (!done) {
        const int32_t fewest = u->threads.at[0];
        start(&s, before);
        split_unit(&s);
        done = keep_useful(&s);
        remark(p, "parallel", u->threads.n > 0, "%.0f thousand cycles on one thread, %.0f on %d%s", s.serial / 1e3, s.shared[0] / 1e3, fewest,
               done ? "" : u->threads.n ? ": some counts gain nothing over smaller ones" : ": too little to share");
        if (!u->threads.n)
            start(&s, before);
        done = done || !u->threads.n;
    }
    return true;
}

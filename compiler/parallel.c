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
#include "pass.h"

enum {
    MEET_CYCLES = 1500,   /* all parts: two transfers of a cache line there and back, and who is late */
    START_CYCLES = 60000, /* of a run: a worker that sleeps is woken by the operating system */
    MAX_UNITS = 1 << 30   /* emitted code counts them in int */
};

static const double UNEVEN = 1.02; /* largest part over the mean: below it a second axis is not looked for */

typedef struct Split {
    Program *p;
    Unit *u;
    Exprs *x;
    Arena *a;
    Cost cost;
    uint32_t first;           /* function behind the last meeting of all */
    Accesses **of;            /* by function */
    uint32_t split;           /* functions cut */
    double serial, parallel;  /* cycles of the whole run: on one part; on the fewest parts asked for */
} Split;

/* ---- meeting ---- */

static bool is_defined_since(const Split *s, uint32_t f)
{
    const Func *g = s->u->func.at[f];
    for (uint32_t k = s->first; k < f; k++)
        for (uint32_t q = 0; q < s->u->func.at[k]->defines.n; q++)
            for (uint32_t m = 0; m < g->sym.n; m++)
                if (g->sym.at[m] == s->u->func.at[k]->defines.at[q])
                    return true;
    return false;
}

typedef struct Touching { Arena *a; Touches *at; int32_t parts; } Touching;

static Touching touching(const Split *s, const Accesses *of, int32_t parts)
{
    Touching t = {arena_child(s->a), NULL, parts};
    t.at = NEWN(t.a, Touches, parts);
    for (int32_t p = 0; p < parts; p++)
        t.at[p] = part_touches(t.a, of, p, parts);
    return t;
}

/* Greatest distance of two parts of which one clashes in f with the other in g; 0: none does. */
static int32_t clash_distance(const Split *s, const Accesses *f, const Accesses *g, int32_t parts)
{
    int32_t most = 0;
    Touching tf = touching(s, f, parts), tg = touching(s, g, parts);
    for (int32_t p = 0; p < parts; p++)
        for (int32_t q = 0; q < parts; q++) {
            const int32_t apart = p < q ? q - p : p - q;
            if (apart > most && touches_clash(s->u, &tf.at[p], &tg.at[q]))
                most = apart;
        }
    arena_free(tf.a);
    arena_free(tg.a);
    return most;
}

/* What must precede function f, whose accesses are `of`. Neighbours meet once between meetings of all, as buffers keep
 * their bytes until all have met. */
static Meet meet_before(const Split *s, uint32_t f, const Accesses *of)
{
    Meet meet = MEET_none;
    int near = 0;
    const bool neighbours = s->u->threads.at[s->u->threads.n - 1] > 2; /* of two parts, both are all */
    if (is_defined_since(s, f))
        return MEET_all;
    for (uint32_t k = f; k-- > s->first && meet != MEET_all;) {
        for (uint32_t t = 0; t < s->u->threads.n && meet != MEET_all; t++) {
            const int32_t parts = s->u->threads.at[t], apart = clash_distance(s, s->of[k], of, parts);
            if (apart > near)
                meet = apart <= near + 1 && neighbours ? MEET_near : MEET_all;
        }
        near += s->u->func.at[k]->meet == MEET_near;
        if (near && meet == MEET_near)
            meet = MEET_all;
    }
    return meet;
}

/* ---- choosing ---- */

typedef struct Choice { Nest *body; Accesses *of; double cost; } Choice; /* cost: sum over the counts of parts of time over that of an even share */

static double share_of_even(double cycles, double alone, int32_t parts) { return cycles * parts / alone; }

static bool parts_clash(const Split *s, const Accesses *of)
{
    for (uint32_t t = 0; t < s->u->threads.n; t++)
        if (clash_distance(s, of, of, s->u->threads.at[t]))
            return true;
    return false;
}

static bool scratch_unfilled(const Split *s, const Accesses *of)
{
    for (uint32_t t = 0; t < s->u->threads.n; t++)
        for (int32_t p = 0, parts = s->u->threads.at[t]; p < parts; p++)
            if (part_unfilled(s->a, of, p, parts))
                return true;
    return false;
}

/* Takes the cut when it is sound and better. */
static void consider(const Split *s, uint32_t k, const Cut *c, double alone, Choice *best)
{
    Func trial = *s->u->func.at[k];
    double cost = 0;
    trial.split = true;
    trial.body = cut_body(s->a, s->u, &trial, c);
    Accesses *of = part_accesses(s->a, s->u, &trial);
    for (uint32_t t = 0; t < s->u->threads.n; t++)
        cost += share_of_even(part_cycles(&s->cost, &trial, of, s->u->threads.at[t]), alone, s->u->threads.at[t]);
    if (cost >= best->cost || parts_clash(s, of) || scratch_unfilled(s, of))
        return;
    if (meet_before(s, k, of))
        for (uint32_t t = 0; t < s->u->threads.n; t++)
            cost += share_of_even(MEET_CYCLES, alone, s->u->threads.at[t]);
    if (cost < best->cost)
        *best = (Choice){trial.body, of, cost};
}

/* Two axes where none alone comes near an even share. */
static void choose_two(const Split *s, uint32_t k, const Axes *axes, double alone, Choice *best)
{
    for (uint32_t p = 0; p < axes->v.n; p++)
        for (uint32_t q = 0; q < axes->v.n; q++) {
            const Axis outer = axes->v.at[p], inner = axes->v.at[q];
            const Cut c = {axes->buf, outer, inner};
            if (outer.d != inner.d && outer.of <= MAX_UNITS / inner.of && cut_nests(s->a, s->u, s->u->func.at[k], &c))
                consider(s, k, &c, alone, best);
        }
}

static void choose(const Split *s, uint32_t k, double alone, Choice *best)
{
    const Axes axes = cut_axes(s->a, s->u, s->u->func.at[k]);
    for (uint32_t p = 0; axes.buf && p < axes.v.n; p++)
        consider(s, k, &(Cut){.buf = axes.buf, .inner = axes.v.at[p]}, alone, best);
    if (axes.buf && (!best->body || best->cost > s->u->threads.n * UNEVEN))
        choose_two(s, k, &axes, alone, best);
}

/* What the run takes on one part, between two meetings. */
static double cost_of_none(const Split *s, double alone)
{
    double cost = 0;
    for (uint32_t t = 0; t < s->u->threads.n; t++)
        cost += share_of_even(alone + 2 * MEET_CYCLES, alone, s->u->threads.at[t]);
    return cost;
}

static void split_function(Split *s, uint32_t k)
{
    Func *f = s->u->func.at[k];
    s->of[k] = part_accesses(s->a, s->u, f);
    const double alone = part_cycles(&s->cost, f, s->of[k], 1);
    const bool always = s->p->opt->always;
    Choice best = {.cost = always ? INFINITY : cost_of_none(s, alone)};
    choose(s, k, alone, &best);
    if (best.body) {
        f->body = best.body;
        f->split = true;
        s->split++;
        s->of[k] = best.of;
    }
    f->meet = k ? meet_before(s, k, s->of[k]) : MEET_none;
    s->first = f->meet == MEET_all ? k : s->first;
    f->cycles = alone;
    f->slowest = NEWN(s->a, double, s->u->threads.n);
    for (uint32_t t = 0; t < s->u->threads.n; t++)
        f->slowest[t] = part_cycles(&s->cost, f, s->of[k], s->u->threads.at[t]);
    s->serial += alone;
    s->parallel += f->slowest[0] + (f->meet ? MEET_CYCLES : 0);
}

/* A model that fewest parts do not make faster stays as it was. */
static bool pays(const Split *s)
{
    return s->split && (s->p->opt->always || s->parallel + START_CYCLES < s->serial);
}

bool pass_parallel(Program *p)
{
    Unit *u = p->unit;
    Split s = {.p = p, .u = u, .x = p->cx->x, .a = p->cx->arena, .cost = {u, p->cx->arena, p->machine.lanes_f32}};
    Nest **before = NEWN(s.a, Nest *, u->func.n + 1);
    for (uint32_t k = 0; k < p->threads.n; k++)
        PUSH(s.a, &u->threads, p->threads.at[k]);
    if (!u->threads.n)
        return true;
    s.of = NEWN(s.a, Accesses *, u->func.n + 1);
    for (uint32_t k = 0; k < u->func.n; k++) {
        before[k] = u->func.at[k]->body;
        split_function(&s, k);
    }
    const bool keep = pays(&s);
    remark(p, "parallel", keep, "%.0f thousand cycles on one thread, %.0f on %d%s", s.serial / 1e3, s.parallel / 1e3, u->threads.at[0], keep ? "" : ": too little to share");
    for (uint32_t k = 0; k < u->func.n && !keep; k++) {
        Func *f = u->func.at[k];
        f->body = before[k];
        f->split = false;
        f->meet = MEET_none;
    }
    u->threads.n = keep ? u->threads.n : 0;
    return true;
}

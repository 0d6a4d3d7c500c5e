/* SPDX-License-Identifier: Apache-2.0
 * See parallel_choice.h. */
#include "parallel_choice.h"

#include <math.h>
#include <stdlib.h>

#include "parallel_cut.h"

enum {
    EACH_DIMENSION = 2, /* choices that cut along it first */
    MOST_MORE = 2       /* work of a choice over the least: the rest is not worth what it could spare */
};

/* A cut that may not be sound. outermost: dimension. work: sum over the counts of parts of what all have of the slowest part's. */
typedef struct Trial { Choice *is; Func f; uint8_t outermost; double work; } Trial;
typedef struct Trials { Arena *a; const Cost *cost; const Func *f; VEC(Trial) v; } Trials;

/* ---- the work of parts ---- */

static Choice *new_choice(Arena *a)
{
    Arena *own = arena_child(a);
    Choice *c = NEW(own, Choice);
    c->arena = own;
    return c;
}

static void measure(const Cost *cost, const Func *f, Choice *c)
{
    const Unit *u = cost->u;
    Arena *a = c->arena;
    c->of = touched_by(a, u, f);
    c->cycles = NEWN(a, double *, u->threads.n);
    c->slowest = NEWN(a, double, u->threads.n);
    c->units = units_dealt_well(f);
    for (uint32_t t = 0; t < u->threads.n; t++) {
        const int32_t parts = u->threads.at[t];
        c->cycles[t] = NEWN(a, double, parts);
        for (int32_t p = 0; p < (f->split ? parts : 1); p++) {
            const Touches constants = part_constants(a, c->of->of, p, parts);
            c->cycles[t][p] = share_cycles(cost, f, &c->of->at[t][p], p, parts) + constant_cycles(cost, &constants);
            c->slowest[t] = fmax(c->slowest[t], c->cycles[t][p]);
        }
    }
}

static double all_work(const Unit *u, const Choice *c)
{
    double sum = 0;
    for (uint32_t t = 0; t < u->threads.n; t++)
        sum += c->slowest[t] * u->threads.at[t];
    return sum;
}

/* ---- cuts ---- */

static void add_trial(Trials *s, const Cut *cut)
{
    Trial t = {.is = new_choice(s->a), .f = *s->f, .outermost = cut->axis[0].d};
    t.f.split = true;
    t.f.body = t.is->body = cut_body(t.is->arena, s->cost->u, &t.f, cut);
    if (!t.f.body) {
        arena_free(t.is->arena);
        return;
    }
    measure(s->cost, &t.f, t.is);
    t.work = all_work(s->cost->u, t.is);
    PUSH(s->a, &s->v, t);
}

static bool goes_along(const Cut *cut, const Axis *x)
{
    int64_t units = x->of;
    for (uint8_t k = 0; k < cut->n; k++) {
        if (cut->axis[k].d == x->d)
            return false;
        units *= cut->axis[k].of;
    }
    return units <= MAX_SHARE_UNITS;
}

/* The cut, and those along one axis more inside it: more even parts, finer shares, or such as own what those of the functions before own. */
static void add_trials(Trials *s, const Axes *axes, const Cut *cut)
{
    if (cut->n > 1 && !cut_nests(s->a, s->cost->u, s->f, cut))
        return;
    if (cut->n)
        add_trial(s, cut);
    for (uint32_t p = 0; p < axes->v.n && cut->n < CUT_AXES; p++) {
        Cut more = *cut;
        more.axis[more.n++] = axes->v.at[p];
        if (goes_along(cut, &axes->v.at[p]))
            add_trials(s, axes, &more);
    }
}

static int by_work(const void *p, const void *q)
{
    const Trial *s = p, *t = q;
    return (s->work > t->work) - (s->work < t->work);
}

static bool is_sound(const Trials *s, const Trial *t)
{
    return !touched_clash(s->cost->u, t->is->of) && !touched_unfilled(t->is->arena, s->cost->u, t->is->of);
}

static void keep_sound(Trials *s, Choices *to)
{
    uint8_t taken[MAX_RANK] = {0};
    double least = INFINITY;
    if (s->v.n)
        qsort(s->v.at, s->v.n, sizeof *s->v.at, by_work);
    for (uint32_t k = 0; k < s->v.n; k++) {
        const Trial *t = &s->v.at[k];
        const bool kept = t->work <= MOST_MORE * least && taken[t->outermost] < EACH_DIMENSION && is_sound(s, t);
        if (!kept) {
            arena_free(t->is->arena);
            continue;
        }
        least = fmin(least, t->work);
        taken[t->outermost]++;
        PUSH(s->a, &to->v, t->is);
    }
}

Choices choices_of(Arena *a, const Cost *cost, const Func *f, bool always)
{
    Choices r = {0};
    Trials s = {.a = a, .cost = cost, .f = f};
    Choice *none = new_choice(a);
    measure(cost, f, none);
    r.alone = none->slowest[0];
    const Axes axes = cut_axes(a, cost->u, f);
    add_trials(&s, &axes, &(Cut){.buf = axes.buf});
    keep_sound(&s, &r);
    if (!always || !r.v.n)
        PUSH(a, &r.v, none);
    return r;
}

void choices_drop(Choices *c, const Choice *but)
{
    for (uint32_t k = 0; k < c->v.n; k++)
        if (c->v.at[k] != but)
            arena_free(c->v.at[k]->arena);
}

/* ---- what comes from others ---- */

/* Bytes that a part reads which functions of this run have written, but not this part. A tensor that the caches of all do not hold
 * comes from the last level for everybody. */
static double pulled_bytes(const Cost *cost, const Touches *t, const Touches *const *own, uint32_t n, uint32_t id, int32_t parts)
{
    return (double)buf(cost->u, id)->bytes > (double)cost->m->l2_bytes * parts ? 0 : touched_missing(cost->u, t, id, own, n);
}

static double pulled_from(Arena *a, const Cost *cost, const Choice *c, const Before *before, uint32_t count, int32_t part, uint32_t id)
{
    const Stored *from = &before->from[id];
    const Touches **own = NEWN(a, const Touches *, from->v.n + 1);
    uint32_t n = 0;
    for (uint32_t g = 0; g < from->v.n && from->v.at[g] <= before->n; g++)
        own[n++] = &(from->v.at[g] == before->n ? c->of : before->by[from->v.at[g]])->at[count][part];
    return n > 0 && from->v.at[0] < before->n ? pulled_bytes(cost, &c->of->at[count][part], own, n, id, cost->u->threads.at[count]) : 0;
}

static double pulled(const Cost *cost, const Choice *c, const Before *before, uint32_t count, int32_t part)
{
    const Touches *t = &c->of->at[count][part];
    Arena *a = arena_child(c->arena);
    double bytes = 0;
    for (uint32_t m = 0; m < t->v.n; m++) {
        bool first = !t->v.at[m].write;
        for (uint32_t q = 0; q < m && first; q++)
            first = t->v.at[q].write || t->v.at[q].buf != t->v.at[m].buf;
        bytes += first ? pulled_from(a, cost, c, before, count, part, t->v.at[m].buf) : 0;
    }
    arena_free(a);
    return bytes;
}

double choice_cycles(const Cost *cost, const Choice *c, const Before *before, uint32_t count)
{
    double most = 0;
    for (int32_t p = 0; p < (c->body ? cost->u->threads.at[count] : 1); p++)
        most = fmax(most, c->cycles[count][p] + pulled(cost, c, before, count, p) / cost->m->pull_rate);
    return most;
}

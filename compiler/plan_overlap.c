/* SPDX-License-Identifier: Apache-2.0
 *
 * Each buffer in turn goes to the lowest place that those before it leave. An overlap only shortens the stretch that one
 * buffer denies to another. A few orders are tried; then, in the best of them, what lies on top moves forward, again and
 * again. Placing in the order of the offsets of any packing without gaps gives one that is as low, so the orders contain
 * the optimum; the bound says when it is found.
 */
#include "plan_overlap.h"

#include <stdlib.h>

enum { MAX_BUFFERS = 8192, ROUNDS = 400, STEPS = 1 << 23 };

typedef struct Taken { int64_t from, to; } Taken; /* offsets denied: from < offset < to */

typedef struct Pack {
    Arena *a;
    OverlapJob *j;
    uint32_t *near, *start;  /* buffers live together with i: near[start[i] .. start[i+1]-1] */
    uint32_t *order, *best_order;
    bool *placed;
    int64_t *off;
    Taken *taken;
    int64_t steps;
} Pack;

static const PlanBuf *at(const OverlapJob *j, uint32_t i) { return &j->buf[j->id[i]]; }

bool overlap_any(const OverlapJob *j)
{
    for (uint32_t i = 0; i < j->n; i++)
        if (at(j, i)->over)
            return true;
    return false;
}

/* ---- bounds ---- */

typedef struct Load { int64_t sum, out, shared; } Load; /* bytes live; of a buffer that begins; of those that end, over it */

static int by_step(const void *p, const void *q)
{
    const int32_t a = *(const int32_t *)p, b = *(const int32_t *)q;
    return (a > b) - (a < b);
}

/* Most bytes that in and out have in common. */
static int64_t common_bytes(const PlanBuf *in, const PlanBuf *out)
{
    return max_i64(min_i64(min_i64(in->bytes, out->bytes), out->bytes - max_i64(in->gap, 0)), 0);
}

/* Of one step. Buffers over one output have at most its bytes in common with it. */
static void bound_at(OverlapJob *j, int32_t step, const int64_t *shared)
{
    int64_t sum = 0, less = 0;
    for (uint32_t i = 0; i < j->n; i++) {
        const PlanBuf *b = at(j, i);
        if (b->first > step || b->last < step)
            continue;
        sum += b->bytes;
        if (b->first == step)
            less += min_i64(shared[i], b->bytes);
    }
    j->apart = max_i64(j->apart, sum);
    j->bound = max_i64(j->bound, sum - less);
}

/* position[k]: of buffer k in the job, plus one; 0: it is not in it. */
static uint32_t *positions(Arena *a, const OverlapJob *j)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < j->n; i++)
        most = j->id[i] > most ? j->id[i] : most;
    uint32_t *position = NEWN(a, uint32_t, most + 1);
    for (uint32_t i = 0; i < j->n; i++)
        position[j->id[i]] = i + 1;
    return position;
}

static bool pair_in_job(const OverlapJob *j, const uint32_t *position, uint32_t most, uint32_t i, uint32_t *out)
{
    const uint32_t k = at(j, i)->over;
    if (!k || k - 1 > most || !position[k - 1])
        return false;
    *out = position[k - 1] - 1;
    return true;
}

static uint32_t greatest_id(const OverlapJob *j)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < j->n; i++)
        most = j->id[i] > most ? j->id[i] : most;
    return most;
}

void overlap_bounds(Arena *parent, OverlapJob *j)
{
    Arena *a = arena_child(parent);
    const uint32_t *position = positions(a, j), most = greatest_id(j);
    int64_t *shared = NEWN(a, int64_t, j->n);
    int32_t *step = NEWN(a, int32_t, j->n);
    uint32_t out;
    j->bound = j->apart = 0;
    for (uint32_t i = 0; i < j->n; i++) {
        step[i] = at(j, i)->first; /* loads have their maxima where something begins */
        if (pair_in_job(j, position, most, i, &out))
            shared[out] += common_bytes(at(j, i), at(j, out));
    }
    qsort(step, j->n, sizeof *step, by_step);
    for (uint32_t i = 0; i < j->n; i++)
        if (i == 0 || step[i] != step[i - 1])
            bound_at(j, step[i], shared);
    arena_free(a);
}

/* ---- placing ---- */

static bool together(const PlanBuf *x, const PlanBuf *y) { return x->first <= y->last && y->first <= x->last; }

/* Offsets that buffer i may not have because k has its own. */
static Taken taken_by(const Pack *p, uint32_t i, uint32_t k)
{
    const PlanBuf *x = at(p->j, i), *y = at(p->j, k);
    Taken t = {p->off[k] - x->bytes, p->off[k] + y->bytes};
    if (x->over == p->j->id[k] + 1)
        t.to = p->off[k] + x->gap;
    if (y->over == p->j->id[i] + 1)
        t.from = p->off[k] - y->gap;
    return t;
}

/* Lowest offset of buffer i; the stretches denied are put in order by insertion, most come nearly sorted. */
static int64_t lowest(Pack *p, uint32_t i)
{
    const PlanBuf *x = at(p->j, i);
    uint32_t n = 0;
    for (uint32_t q = p->start[i]; q < p->start[i + 1]; q++) {
        if (!p->placed[p->near[q]])
            continue;
        const Taken t = taken_by(p, i, p->near[q]);
        uint32_t k = n;
        if (t.to <= t.from + 1)
            continue;
        for (; k > 0 && p->taken[k - 1].from > t.from; k--)
            p->taken[k] = p->taken[k - 1];
        p->taken[k] = t;
        n++;
    }
    p->steps -= n + p->start[i + 1] - p->start[i];
    int64_t off = 0;
    for (uint32_t k = 0; k < n && p->taken[k].from < off; k++)
        off = p->taken[k].to > off ? align_up(p->taken[k].to, x->align) : off;
    return off;
}

static bool fixed_fits(const Pack *p, uint32_t i)
{
    const int64_t off = at(p->j, i)->fixed;
    for (uint32_t q = p->start[i]; q < p->start[i + 1]; q++) {
        const Taken t = taken_by(p, i, p->near[q]);
        if (p->placed[p->near[q]] && t.from < off && off < t.to)
            return false;
    }
    return off % at(p->j, i)->align == 0;
}

/* INT64_MAX: fixed buffers are in each other's way. */
static int64_t place_all(Pack *p)
{
    int64_t peak = 0;
    memset(p->placed, 0, p->j->n * sizeof *p->placed);
    for (int fixed = 1; fixed >= 0; fixed--)
        for (uint32_t q = 0; q < p->j->n; q++) {
            const uint32_t i = p->order[q];
            const PlanBuf *x = at(p->j, i);
            if ((x->fixed >= 0) != fixed)
                continue;
            if (fixed && x->bytes && !fixed_fits(p, i))
                return INT64_MAX;
            p->off[i] = fixed ? x->fixed : x->bytes ? lowest(p, i) : 0;
            p->placed[i] = x->bytes > 0;
            peak = max_i64(peak, x->bytes ? p->off[i] + x->bytes : 0);
        }
    return peak;
}

static bool try_order(Pack *p)
{
    const int64_t peak = place_all(p);
    if (peak >= p->j->peak)
        return false;
    p->j->peak = peak;
    memcpy(p->j->off, p->off, p->j->n * sizeof *p->off);
    memcpy(p->best_order, p->order, p->j->n * sizeof *p->order);
    return true;
}

/* ---- orders ---- */

typedef struct Key { int64_t v[2]; uint32_t i; } Key;

static int by_key(const void *pa, const void *pb)
{
    const Key *a = pa, *b = pb;
    for (size_t k = 0; k < COUNT(a->v); k++)
        if (a->v[k] != b->v[k])
            return a->v[k] < b->v[k] ? 1 : -1;
    return (a->i > b->i) - (a->i < b->i);
}

/* What is written over lies above what is written, so the later of two goes first unless size decides. */
static void sort_order(Pack *p, int how)
{
    Key *key = NEWN(p->a, Key, p->j->n);
    for (uint32_t i = 0; i < p->j->n; i++) {
        const PlanBuf *b = at(p->j, i);
        const int64_t width = (int64_t)b->last - b->first + 1, area = (b->bytes >> 8) * width;
        const int64_t v[][2] = {{b->bytes, b->first}, {area, b->first}, {b->first, b->bytes}, {width, b->bytes}, {b->last, b->bytes}, {-b->first, b->bytes}};
        key[i] = (Key){{v[how][0], v[how][1]}, i};
    }
    qsort(key, p->j->n, sizeof *key, by_key);
    for (uint32_t i = 0; i < p->j->n; i++)
        p->order[i] = key[i].i;
}

static uint32_t position_of_top(const Pack *p)
{
    uint32_t top = 0;
    for (uint32_t q = 1; q < p->j->n; q++) {
        const uint32_t i = p->order[q], t = p->order[top];
        if (p->off[i] + at(p->j, i)->bytes > p->off[t] + at(p->j, t)->bytes)
            top = q;
    }
    return top;
}

static void move_forward(Pack *p, uint32_t from, uint32_t to)
{
    const uint32_t i = p->order[from];
    memmove(p->order + to + 1, p->order + to, (from - to) * sizeof *p->order);
    p->order[to] = i;
}

/* What lies on top goes halfway to the front, and to the front when that has not helped. */
static void improve(Pack *p)
{
    memcpy(p->order, p->best_order, p->j->n * sizeof *p->order);
    (void)place_all(p);
    for (uint32_t round = 0; round < ROUNDS && p->steps > 0 && p->j->peak > p->j->bound; round++) {
        const uint32_t top = position_of_top(p);
        move_forward(p, top, round % 2 ? 0 : top / 2);
        (void)try_order(p);
    }
}

static void find_near(Pack *p)
{
    const OverlapJob *j = p->j;
    uint32_t count = 0;
    for (int pass = 0; pass < 2; pass++) {
        if (pass)
            p->near = NEWN(p->a, uint32_t, count);
        count = 0;
        for (uint32_t i = 0; i < j->n; i++) {
            p->start[i] = count;
            for (uint32_t k = 0; k < j->n; k++) {
                if (k == i || !together(at(j, i), at(j, k)))
                    continue;
                if (pass)
                    p->near[count] = k;
                count++;
            }
        }
        p->start[j->n] = count;
    }
}

bool overlap_pack(Arena *parent, OverlapJob *j)
{
    if (j->n > MAX_BUFFERS)
        return false;
    Arena *a = arena_child(parent);
    Pack p = {.a = a, .j = j, .steps = STEPS};
    p.start = NEWN(a, uint32_t, j->n + 1);
    p.order = NEWN(a, uint32_t, j->n);
    p.best_order = NEWN(a, uint32_t, j->n);
    p.placed = NEWN(a, bool, j->n);
    p.off = NEWN(a, int64_t, j->n);
    p.taken = NEWN(a, Taken, j->n);
    find_near(&p);
    j->peak = INT64_MAX;
    for (int how = 0; how < 6 && j->peak > j->bound; how++) {
        sort_order(&p, how);
        (void)try_order(&p);
    }
    if (j->peak < INT64_MAX)
        improve(&p);
    arena_free(a);
    return j->peak < INT64_MAX;
}

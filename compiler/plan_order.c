/* SPDX-License-Identifier: Apache-2.0
 *
 * A state is the set of steps done: how they came about does not matter for what follows. Best first over states, by the
 * greatest load on the way, finds an optimal order; a step that frees at least as much as it takes, and whose own load
 * is not above that, is taken without looking at others, since doing it first makes no later load larger. When that
 * takes too many states the order on demand is taken, and a beam of the best states by number of steps tries to be
 * better; neither proves anything.
 */
#include "plan_order.h"

#include <stdlib.h>

enum { MAX_STEPS = 1 << 12, MAX_STATES = 1 << 13, MAX_WORDS = 1 << 16, BEAM = 32, BEAM_WORK = 1 << 25, MAX_WORK = 1 << 25 };

typedef struct State State;
struct State {
    const State *from;
    uint64_t *done;
    uint64_t hash;
    uint32_t step, count, serial;
    int64_t live, peak;
};

typedef struct Search {
    Arena *a;
    const OrderProblem *p;
    VEC(uint32_t) *toucher; /* by buffer */
    uint64_t *name;         /* by step, random bits of the hash */
    size_t words;
    int64_t floor;          /* no order has less */
    int64_t below;          /* only lower peaks are of interest */
    Map seen;               /* hash -> state taken */
    VEC(State *) open;      /* exact: a heap; beam: what is new */
    uint32_t serial;
    int64_t work;
} Search;

static uint64_t mix(uint64_t h)
{
    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
    h = (h ^ h >> 27) * 0x94d049bb133111ebu;
    return h ^ h >> 31;
}

static bool has(const State *s, uint32_t step) { return s->done[step / 64] >> step % 64 & 1; }

static bool ready(const Search *q, const State *s, uint32_t step)
{
    const OrderStep *o = &q->p->step[step];
    for (uint32_t k = 0; k < o->before.n; k++)
        if (!has(s, o->before.at[k]))
            return false;
    return true;
}

/* Whether a step other than this one has touched the buffer, and whether one will. */
static void others(const Search *q, const State *s, uint32_t buffer, uint32_t step, bool *earlier, bool *later)
{
    *earlier = *later = false;
    for (uint32_t k = 0; k < q->toucher[buffer].n; k++) {
        const uint32_t other = q->toucher[buffer].at[k];
        const bool done = has(s, other);
        *earlier = *earlier || (other != step && done);
        *later = *later || (other != step && !done);
    }
}

static int64_t saved(const Search *q, const State *s, uint32_t step)
{
    const OrderStep *o = &q->p->step[step];
    int64_t sum = 0, most = 0;
    bool earlier, later;
    for (uint32_t k = 0; k < o->saving.n; k++) {
        const OrderSaving *v = &o->saving.at[k];
        others(q, s, v->in, step, &earlier, &later);
        if (!earlier || later)
            continue;
        others(q, s, v->out, step, &earlier, &later);
        sum += earlier ? 0 : v->bytes;
        most = max_i64(most, earlier ? 0 : q->p->bytes[v->out]);
    }
    return min_i64(sum, most);
}

/* Load of the step, and what is live behind it. */
static int64_t load_of(Search *q, const State *s, uint32_t step, int64_t *after)
{
    const OrderStep *o = &q->p->step[step];
    int64_t load = s->live;
    *after = s->live;
    bool earlier, later;
    for (uint32_t k = 0; k < o->touch.n; k++) {
        const int64_t bytes = q->p->bytes[o->touch.at[k]];
        others(q, s, o->touch.at[k], step, &earlier, &later);
        load += earlier ? 0 : bytes;
        *after += (later ? bytes : 0) - (earlier ? bytes : 0);
        q->work -= q->toucher[o->touch.at[k]].n;
    }
    return load - saved(q, s, step);
}

static State *first_state(Search *q)
{
    State *s = NEW(q->a, State);
    s->done = NEWN(q->a, uint64_t, q->words);
    return s;
}

static State *child(Search *q, const State *s, uint32_t step, int64_t load, int64_t after)
{
    State *c = NEW(q->a, State);
    *c = (State){.from = s, .done = NEWN(q->a, uint64_t, q->words), .hash = s->hash ^ q->name[step], .step = step, .count = s->count + 1};
    memcpy(c->done, s->done, q->words * sizeof *c->done);
    c->done[step / 64] |= UINT64_C(1) << step % 64;
    c->live = after;
    c->peak = max_i64(s->peak, load);
    c->serial = q->serial++;
    return c;
}

/* ---- best first ---- */

static bool better(const State *a, const State *b)
{
    if (a->peak != b->peak)
        return a->peak < b->peak;
    if (a->count != b->count)
        return a->count > b->count;
    return a->live != b->live ? a->live < b->live : a->serial < b->serial;
}

static void heap_push(Search *q, State *s)
{
    PUSH(q->a, &q->open, s);
    uint32_t k = q->open.n - 1;
    for (; k > 0 && better(s, q->open.at[(k - 1) / 2]); k = (k - 1) / 2)
        q->open.at[k] = q->open.at[(k - 1) / 2];
    q->open.at[k] = s;
}

static State *heap_pop(Search *q)
{
    State *top = q->open.at[0], *last = q->open.at[--q->open.n];
    uint32_t k = 0;
    for (;;) {
        uint32_t c = 2 * k + 1;
        if (c >= q->open.n)
            break;
        c += c + 1 < q->open.n && better(q->open.at[c + 1], q->open.at[c]);
        if (!better(q->open.at[c], last))
            break;
        q->open.at[k] = q->open.at[c];
        k = c;
    }
    q->open.at[k] = last;
    return top;
}

/* False: seen before. Two sets of one hash are two states, of which only the first is remembered. */
static bool is_new(Search *q, State *s)
{
    uint64_t *known = map_u64(&q->seen, s->hash | 1, false);
    if (known) {
        const State *o = (const State *)(uintptr_t)*known;
        return memcmp(o->done, s->done, q->words * sizeof *s->done) != 0;
    }
    *map_u64(&q->seen, s->hash | 1, true) = (uint64_t)(uintptr_t)s;
    return true;
}

typedef void (*Add)(Search *q, State *s);

static void expand(Search *q, const State *s, Add add)
{
    VEC(State *) next = {0};
    for (uint32_t f = 0; f < q->p->n; f++) {
        int64_t after;
        if (has(s, f) || !ready(q, s, f))
            continue;
        const int64_t load = load_of(q, s, f, &after);
        if (after <= s->live && load <= max_i64(s->peak, q->floor)) {
            add(q, child(q, s, f, load, after));
            return;
        }
        if (load < q->below)
            PUSH(q->a, &next, child(q, s, f, load, after));
    }
    q->work -= q->p->n / 8;
    for (uint32_t k = 0; k < next.n; k++)
        add(q, next.at[k]);
}

/* NULL: no order is lower than `below`, or *gave_up. */
static const State *best_first(Search *q, bool *gave_up)
{
    heap_push(q, first_state(q));
    uint32_t taken = 0;
    while (q->open.n > 0) {
        State *s = heap_pop(q);
        if (s->count == q->p->n)
            return s;
        if (!is_new(q, s))
            continue;
        if (++taken > MAX_STATES || taken * q->words > MAX_WORDS || q->work < 0) {
            *gave_up = true;
            return NULL;
        }
        expand(q, s, heap_push);
    }
    return NULL;
}

/* ---- beam ---- */

static void add_new(Search *q, State *s)
{
    if (is_new(q, s))
        PUSH(q->a, &q->open, s);
}

/* All of them are below what is wanted, so the one that leaves the most room for what follows is best. */
static int by_worth(const void *pa, const void *pb)
{
    const State *a = *(State *const *)pa, *b = *(State *const *)pb;
    if (a->live != b->live)
        return a->live < b->live ? -1 : 1;
    if (a->peak != b->peak)
        return a->peak < b->peak ? -1 : 1;
    return a->serial < b->serial ? -1 : a->serial > b->serial;
}

static const State *beam(Search *q)
{
    const uint32_t width = (uint32_t)max_i64(min_i64(BEAM, BEAM_WORK / ((int64_t)q->p->n * q->p->n)), 2);
    VEC(State *) level = {0};
    PUSH(q->a, &level, first_state(q));
    for (uint32_t k = 0; k < q->p->n && level.n > 0; k++) {
        q->open.n = 0;
        q->seen = (Map){.arena = q->a};
        for (uint32_t s = 0; s < level.n; s++)
            expand(q, level.at[s], add_new);
        qsort(q->open.at, q->open.n, sizeof *q->open.at, by_worth);
        level.n = 0;
        for (uint32_t s = 0; s < q->open.n && s < width; s++)
            PUSH(q->a, &level, q->open.at[s]);
    }
    return level.n ? level.at[0] : NULL;
}

/* ---- on demand ---- */

/* Each step as late as what follows allows: inputs of a step one after the other, first those whose making needs most
 * beside what they leave (Sethi and Ullman's order, exact for trees). */
typedef struct Demand { const OrderProblem *p; int64_t *need, *left; uint32_t **input; bool *done; uint32_t *order, n; } Demand;

static void sort_inputs(Demand *d, uint32_t step)
{
    const OrderStep *o = &d->p->step[step];
    uint32_t *in = d->input[step];
    for (uint32_t k = 0; k < o->before.n; k++) {
        uint32_t at = k;
        const uint32_t f = o->before.at[k];
        for (; at > 0 && d->need[in[at - 1]] - d->left[in[at - 1]] < d->need[f] - d->left[f]; at--)
            in[at] = in[at - 1];
        in[at] = f;
    }
}

static void measure_step(Demand *d, uint32_t step)
{
    const OrderStep *o = &d->p->step[step];
    int64_t held = 0, own = 0;
    sort_inputs(d, step);
    for (uint32_t k = 0; k < o->before.n; k++) {
        const uint32_t f = d->input[step][k];
        d->need[step] = max_i64(d->need[step], held + d->need[f]);
        held += d->left[f];
    }
    for (uint32_t k = 0; k < o->touch.n; k++)
        own += d->p->bytes[o->touch.at[k]];
    d->need[step] = max_i64(d->need[step], own);
    d->left[step] = max_i64(own - held, 0); /* its results, and its scratch for want of knowing */
}

/* Inputs before the step, without recursion: a step is looked at again when its inputs are done. */
static void demand(Demand *d, uint32_t root, uint32_t *stack, uint32_t *next)
{
    uint32_t depth = 0;
    stack[depth++] = root;
    while (depth > 0) {
        const uint32_t f = stack[depth - 1];
        const uint32_t k = next[f]++;
        if (k < d->p->step[f].before.n) {
            if (!d->done[d->input[f][k]] && next[d->input[f][k]] == 0)
                stack[depth++] = d->input[f][k];
            continue;
        }
        d->done[f] = true;
        d->order[d->n++] = f;
        depth--;
    }
}

static void on_demand(Arena *a, const OrderProblem *p, uint32_t *order)
{
    Demand d = {p, NEWN(a, int64_t, p->n), NEWN(a, int64_t, p->n), NEWN(a, uint32_t *, p->n), NEWN(a, bool, p->n), order, 0};
    uint32_t *stack = NEWN(a, uint32_t, p->n), *next = NEWN(a, uint32_t, p->n);
    bool *inner = NEWN(a, bool, p->n);
    for (uint32_t f = 0; f < p->n; f++) {
        d.input[f] = NEWN(a, uint32_t, p->step[f].before.n + 1);
        measure_step(&d, f);
        for (uint32_t k = 0; k < p->step[f].before.n; k++)
            inner[p->step[f].before.at[k]] = true;
    }
    for (uint32_t f = 0; f < p->n; f++)
        if (!inner[f])
            demand(&d, f, stack, next);
}

/* ---- setting up ---- */

static void start_search(Search *q, Arena *a, const OrderProblem *p)
{
    *q = (Search){.a = a, .p = p, .words = p->n / 64 + 1, .work = MAX_WORK, .below = INT64_MAX, .seen = {.arena = a}};
    q->toucher = arena_alloc(a, (p->nbuf + 1) * sizeof *q->toucher, 16);
    memset(q->toucher, 0, (p->nbuf + 1) * sizeof *q->toucher);
    q->name = NEWN(a, uint64_t, p->n + 1);
    for (uint32_t f = 0; f < p->n; f++) {
        q->name[f] = mix(f + UINT64_C(0x9e3779b97f4a7c15));
        for (uint32_t k = 0; k < p->step[f].touch.n; k++)
            PUSH(a, &q->toucher[p->step[f].touch.at[k]], f);
    }
}

static int64_t given_load(Search *q, const uint32_t *order)
{
    const State *s = first_state(q);
    for (uint32_t k = 0; k < q->p->n; k++) {
        int64_t after;
        const int64_t load = load_of(q, s, order[k], &after);
        s = child(q, s, order[k], load, after);
    }
    return s->peak;
}

int64_t order_load(Arena *parent, const OrderProblem *p, const uint32_t *order)
{
    Arena *a = arena_child(parent);
    Search q;
    start_search(&q, a, p);
    const int64_t load = given_load(&q, order);
    arena_free(a);
    return load;
}

/* What a step needs by itself, whatever it follows. */
static int64_t least_load(const OrderProblem *p)
{
    int64_t least = 0;
    for (uint32_t f = 0; f < p->n; f++) {
        const OrderStep *o = &p->step[f];
        int64_t sum = 0, less = 0, most = 0;
        for (uint32_t k = 0; k < o->touch.n; k++)
            sum += p->bytes[o->touch.at[k]];
        for (uint32_t k = 0; k < o->saving.n; k++) {
            less += o->saving.at[k].bytes;
            most = max_i64(most, p->bytes[o->saving.at[k].out]);
        }
        least = max_i64(least, sum - min_i64(less, most));
    }
    return least;
}

/* Longer programs than MAX_STEPS stay as they are. */
OrderResult plan_order(Arena *parent, const OrderProblem *p, uint32_t *order)
{
    Arena *a = arena_child(parent);
    Search q;
    start_search(&q, a, p);
    for (uint32_t k = 0; k < p->n; k++)
        order[k] = k;
    OrderResult r = {.bound = least_load(p)};
    r.given = r.peak = p->n ? given_load(&q, order) : 0;
    q.floor = r.bound;
    q.below = r.given;
    bool gave_up = false;
    if (p->n > MAX_STEPS)
        q.floor = r.given;
    const State *s = q.floor < r.given ? best_first(&q, &gave_up) : NULL;
    if (q.floor < r.given && !gave_up)
        r.bound = s ? s->peak : r.given;
    uint32_t *wanted = NEWN(a, uint32_t, p->n + 1);
    if (gave_up) {
        on_demand(a, p, wanted);
        q.below = given_load(&q, wanted);
        if (q.below < r.given) {
            r.peak = q.below;
            memcpy(order, wanted, p->n * sizeof *order);
        }
        q.below = r.peak;
    }
    for (const State *t = s; gave_up && q.below > q.floor && (t = beam(&q)) != NULL; q.below = t->peak)
        s = t;
    if (s && s->peak < r.peak) {
        r.peak = s->peak;
        for (; s->from; s = s->from)
            order[s->count - 1] = s->step;
    }
    arena_free(a);
    return r;
}

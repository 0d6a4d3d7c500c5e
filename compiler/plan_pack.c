/* SPDX-License-Identifier: Apache-2.0
 *
 * Static memory allocation: choice of pools, lower bounds, greedy packings, and how much exact search to spend where.
 *
 * One pool is packed like this. Offsets and sizes are counted in the largest unit that sizes and alignments allow.
 * Time is cut to sections, the moments at which the set of live buffers is maximal; stretches of time that no buffer
 * crosses are packed apart. The lower bound of the peak is the largest load of a section. A few greedy packings give an
 * upper bound. While the two differ, the exact search (plan_search.c) is asked for a packing at the lower bound, then
 * halfway between the bounds, each time with all its strategies and with a budget of nodes that doubles every round. An
 * answer of "none" raises the lower bound, so that a search that has run to its end is a proof.
 *
 * Pools are filled in order, fastest first. A buffer that no later pool may hold must go into this one; of the others
 * those go in that move the most bytes per byte and step of memory they hold, as long as the load of every step fits.
 * If no packing within the capacity is found, the least useful buffers that stand in the way move on to later pools.
 */
#include "plan_pack.h"

#include "plan_overlap.h"
#include "plan_search.h"

#include <stdlib.h>

static const uint64_t DEFAULT_STEPS = UINT64_C(1) << 31;

enum {
    FIRST_BUDGET = 1000,     /* nodes of one strategy in the first round, besides two per item */
    FIRST_SHIFT = 5,         /* the first step down is 2^-5 of the way from the peak to the bound */
    GREEDY_ORDERS_MAX = 8192 /* above this many items only the first greedy packing is made: it takes n * n steps */
};

typedef struct Piece {
    PackPiece p;
    int64_t *off;    /* best offsets known, units */
    int64_t peak;    /* bytes */
    uint32_t winner; /* strategy that found it; tried first next time */
} Piece;

/* What is to be put into one pool, and the answer. */
typedef struct Job {
    Arena *arena;
    const PlanBuf *buf;
    const uint32_t *id; /* buffers of the pool */
    uint32_t n;
    int64_t capacity; /* bytes; INT64_MAX: none */
    bool minimise;    /* otherwise a peak within the capacity is enough */
    PlanPlace *out;   /* by buffer */
    int64_t peak, bound;
} Job;

/* --- items, sections, pieces ------------------------------------------------------------------------------------ */

/* Largest step such that every left-justified offset is a multiple. With a common alignment unit U, sizes can be taken
 * as multiples of U; where all of these are multiples of all alignments, padding never occurs. */
static int64_t common_unit(const Job *job)
{
    int64_t u = 0, g = 0;
    for (uint32_t i = 0; i < job->n; i++) u = gcd_i64(u, job->buf[job->id[i]].align);
    for (uint32_t i = 0; i < job->n; i++) {
        const PlanBuf *b = &job->buf[job->id[i]];
        g = gcd_i64(gcd_i64(g, align_up(b->bytes, u)), b->fixed >= 0 ? b->fixed : 0);
    }
    for (uint32_t i = 0; i < job->n; i++)
        if (g % job->buf[job->id[i]].align != 0) return u;
    return g;
}

static PackItem *make_items(Job *job, int64_t unit, uint32_t *n)
{
    PackItem *item = NEWN(job->arena, PackItem, job->n);
    *n = 0;
    for (uint32_t i = 0; i < job->n; i++) {
        const PlanBuf *b = &job->buf[job->id[i]];
        job->out[job->id[i]].offset = b->fixed >= 0 ? b->fixed : 0;
        if (b->bytes == 0) continue;
        const int64_t size = (b->bytes - 1) / unit + 1;
        item[(*n)++] = (PackItem){.size = size,
                                  .align = max_i64(b->align / unit, 1),
                                  .fixed = b->fixed >= 0 ? b->fixed / unit : -1,
                                  .tail = size * unit - b->bytes,
                                  .id = job->id[i]};
    }
    return item;
}

typedef struct Event {
    int64_t time;
    bool start;
    uint32_t item;
} Event;

static int by_time(const void *pa, const void *pb)
{
    const Event *a = pa, *b = pb;
    if (a->time != b->time) return a->time < b->time ? -1 : 1;
    if (a->start != b->start) return a->start ? 1 : -1;
    return (a->item > b->item) - (a->item < b->item);
}

/* A section ends where the first buffer ends after at least one has started. */
static void find_sections(Arena *a, const PlanBuf *buf, PackItem *item, uint32_t n)
{
    Event *e = NEWN(a, Event, 2 * (size_t)n);
    for (uint32_t i = 0; i < n; i++) {
        e[2 * i] = (Event){buf[item[i].id].first, true, i};
        e[2 * i + 1] = (Event){(int64_t)buf[item[i].id].last + 1, false, i};
    }
    qsort(e, 2 * (size_t)n, sizeof *e, by_time);
    int32_t nsec = 0;
    bool open = false;
    for (size_t i = 0; i < 2 * (size_t)n; i++) {
        if (e[i].start)
            item[e[i].item].lo = nsec;
        else
            item[e[i].item].hi = nsec += open;
        open = e[i].start;
    }
}

static int by_section(const void *pa, const void *pb)
{
    const PackItem *a = pa, *b = pb;
    if (a->lo != b->lo) return a->lo < b->lo ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

/* Cuts items, sorted here, where no item crosses from one section to the next. Returns how many pieces there are. */
static uint32_t cut_pieces(Arena *a, PackItem *item, uint32_t n, int64_t unit, Piece *piece)
{
    qsort(item, n, sizeof *item, by_section);
    uint32_t np = 0;
    int32_t from = 0, end = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i == 0 || item[i].lo >= end) {
            from = item[i].lo;
            piece[np++] = (Piece){.p = {.item = &item[i], .unit = unit}};
        }
        end = item[i].hi > end ? item[i].hi : end;
        Piece *p = &piece[np - 1];
        p->p.n++;
        p->p.nsec = end - from;
        item[i].lo -= from;
        item[i].hi -= from;
    }
    for (uint32_t i = 0; i < np; i++) piece[i].off = NEWN(a, int64_t, piece[i].p.n);
    return np;
}

static int64_t end_of(const PackPiece *p, uint32_t j, int64_t off)
{
    return (off + p->item[j].size) * p->unit - p->item[j].tail;
}

static int64_t peak_of(const PackPiece *p, const int64_t *off)
{
    int64_t peak = 0;
    for (uint32_t j = 0; j < p->n; j++) peak = max_i64(peak, end_of(p, j, off[j]));
    return peak;
}

/* Largest load of a section; of its items one lies on top, whose tail takes no room. */
static int64_t load_bound(Arena *a, const PackPiece *p)
{
    int64_t *change = NEWN(a, int64_t, p->nsec + 1), *tail = NEWN(a, int64_t, p->nsec), load = 0, bound = 0;
    for (uint32_t j = 0; j < p->n; j++) {
        const PackItem *it = &p->item[j];
        change[it->lo] += it->size;
        change[it->hi] -= it->size;
        for (int32_t s = it->lo; it->tail > 0 && s < it->hi; s++) tail[s] = max_i64(tail[s], it->tail);
        bound = max_i64(bound, end_of(p, j, max_i64(it->fixed, 0)));
    }
    for (int32_t s = 0; s < p->nsec; s++) {
        load += change[s];
        bound = max_i64(bound, load * p->unit - tail[s]);
    }
    return bound;
}

/* --- greedy packings -------------------------------------------------------------------------------------------- */

typedef enum GreedyKey { G_SIZE, G_AREA, G_WIDTH, G_START } GreedyKey;

static const struct {
    GreedyKey key;
    bool best_fit;
} greedy[] = {
    {G_SIZE, false}, {G_AREA, false}, {G_WIDTH, false}, {G_SIZE, true},
    {G_AREA, true},  {G_WIDTH, true}, {G_START, true},
};

typedef struct Ordered {
    int64_t key;
    uint32_t item;
} Ordered;

static int by_key(const void *pa, const void *pb)
{
    const Ordered *a = pa, *b = pb;
    if (a->key != b->key) return a->key < b->key ? 1 : -1;
    return (a->item > b->item) - (a->item < b->item);
}

static int64_t greedy_key(const PackItem *it, GreedyKey key)
{
    const int64_t width = it->hi - it->lo;
    int64_t area = 0;
    if (it->fixed >= 0) return INT64_MAX;
    if (!mul_i64(it->size, width, &area)) area = INT64_MAX - 1;
    return key == G_SIZE ? it->size : key == G_AREA ? area : key == G_WIDTH ? width : -it->lo;
}

/* Offset for an item among those placed, which are in order of offset: the lowest gap or the tightest one. */
static int64_t find_gap(const PackPiece *p, const int64_t *off, const uint32_t *placed, uint32_t n, uint32_t j,
                        bool best)
{
    const PackItem *it = &p->item[j];
    int64_t end = 0, at = -1, least = INT64_MAX;
    for (uint32_t i = 0; i < n; i++) {
        const PackItem *o = &p->item[placed[i]];
        if (o->lo >= it->hi || it->lo >= o->hi) continue;
        const int64_t start = off[placed[i]], gap = start - end;
        if (start - align_up(end, it->align) >= it->size && gap < least) {
            at = align_up(end, it->align);
            least = best ? gap : 0;
        }
        end = max_i64(end, start + o->size);
    }
    return at >= 0 ? at : align_up(end, it->align);
}

static void greedy_pack(Arena *a, const PackPiece *p, size_t how, int64_t *off)
{
    Ordered *order = NEWN(a, Ordered, p->n);
    uint32_t *placed = NEWN(a, uint32_t, p->n);
    for (uint32_t j = 0; j < p->n; j++) order[j] = (Ordered){greedy_key(&p->item[j], greedy[how].key), j};
    qsort(order, p->n, sizeof *order, by_key);
    for (uint32_t i = 0; i < p->n; i++) {
        const uint32_t j = order[i].item;
        const int64_t fixed = p->item[j].fixed;
        off[j] = fixed >= 0 ? fixed : find_gap(p, off, placed, i, j, greedy[how].best_fit);
        uint32_t k = i;
        for (; k > 0 && off[placed[k - 1]] > off[j]; k--) placed[k] = placed[k - 1];
        placed[k] = j;
    }
}

static void best_greedy(Arena *a, Piece *piece, int64_t enough)
{
    const PackPiece *p = &piece->p;
    int64_t *off = NEWN(a, int64_t, p->n);
    piece->peak = INT64_MAX;
    for (size_t how = 0; how < COUNT(greedy) && piece->peak > enough; how++) {
        if (how > 0 && p->n > GREEDY_ORDERS_MAX) break;
        greedy_pack(a, p, how, off);
        const int64_t peak = peak_of(p, off);
        if (peak < piece->peak) {
            piece->peak = peak;
            memcpy(piece->off, off, p->n * sizeof *off);
        }
    }
}

/* --- exact search ----------------------------------------------------------------------------------------------- */

/* Takes one of `parts` equal parts out of an effort; what is left of it is given back. */
static PackEffort part_of(PackEffort *e, uint32_t parts)
{
    const PackEffort part = {e->nodes / parts, e->steps / parts};
    *e = (PackEffort){e->nodes - part.nodes, e->steps - part.steps};
    return part;
}

static void give_back(PackEffort *e, PackEffort rest)
{
    *e = (PackEffort){e->nodes + rest.nodes, e->steps + rest.steps};
}

/* Asks for a packing of at most `target` bytes with every strategy until one has an answer. NONE raises *bound. */
static PackAnswer attempt(PackSearch *s, Piece *piece, int64_t target, uint64_t budget, PackEffort *e, int64_t *bound)
{
    PackAnswer answer = PACK_GAVE_UP;
    const uint32_t n = pack_strategies(), first = piece->winner;
    for (uint32_t i = 0; i < n && answer == PACK_GAVE_UP && e->nodes > 0; i++) {
        const uint64_t nodes = budget < e->nodes ? budget : e->nodes;
        PackEffort run = {nodes, e->steps};
        int64_t need = 0;
        answer = pack_search_run(s, target, (first + i) % n, &run, piece->off, &need);
        *e = (PackEffort){e->nodes - (nodes - run.nodes), run.steps};
        if (answer == PACK_FOUND) {
            piece->peak = peak_of(&piece->p, piece->off);
            piece->winner = (first + i) % n;
        }
        if (answer == PACK_NONE) *bound = min_i64(need, piece->peak);
    }
    return answer;
}

/* Tries heights between the bounds: the capacity while it is not reached, then in growing steps down from the peak. */
static void try_between(PackSearch *s, Piece *piece, int64_t capacity, uint64_t budget, PackEffort *e, int64_t *bound)
{
    PackAnswer answer = PACK_FOUND;
    for (int shift = FIRST_SHIFT; answer != PACK_GAVE_UP && *bound<piece->peak; shift -= shift> 1) {
        const int64_t step = max_i64((piece->peak - *bound) >> shift, 1);
        const bool short_of = *bound < capacity && capacity < piece->peak;
        answer = attempt(s, piece, short_of ? capacity : piece->peak - step, budget, e, bound);
    }
}

/* Brings the peak of the piece and *bound together as far as the effort allows. A round that spent nothing was the
 * last. */
static void tighten(Arena *parent, Piece *piece, int64_t capacity, PackEffort *e, int64_t *bound)
{
    Arena *a = arena_child(parent);
    PackSearch *s = pack_search_new(a, &piece->p, piece->peak);
    bool spent = s != NULL;
    for (uint64_t budget = FIRST_BUDGET + 2 * piece->p.n; spent && *bound < piece->peak; budget += budget / 4) {
        const uint64_t before = e->nodes;
        while (*bound < piece->peak && attempt(s, piece, *bound, budget, e, bound) == PACK_NONE) continue;
        try_between(s, piece, capacity, budget, e, bound);
        spent = e->nodes < before;
    }
    arena_free(a);
}

/* --- one pool --------------------------------------------------------------------------------------------------- */

static bool together(const PlanBuf *x, const PlanBuf *y)
{
    return x->first <= y->last && y->first <= x->last;
}

/* Prescribed offsets must be aligned and must not collide; no peak helps if they do. */
static bool fixed_agree(const Job *job)
{
    VEC(const PlanBuf *) fixed = {0};
    for (uint32_t i = 0; i < job->n; i++) {
        const PlanBuf *x = &job->buf[job->id[i]];
        if (x->fixed < 0 || x->bytes == 0) continue;
        if (x->fixed % x->align != 0) return false;
        for (uint32_t k = 0; k < fixed.n; k++) {
            const PlanBuf *y = fixed.at[k];
            if (together(x, y) && x->fixed < y->fixed + y->bytes && y->fixed < x->fixed + x->bytes) return false;
        }
        PUSH(job->arena, &fixed, x);
    }
    return true;
}

static int by_peak(const void *pa, const void *pb)
{
    const Piece *a = pa, *b = pb;
    if (a->peak != b->peak) return a->peak < b->peak ? 1 : -1;
    return (a->p.item->id > b->p.item->id) - (a->p.item->id < b->p.item->id);
}

/* Improves the pieces above the bound of all, highest first; each may use its share of what effort is left. */
static void tighten_all(Job *job, Piece *piece, uint32_t np, PackEffort *e)
{
    qsort(piece, np, sizeof *piece, by_peak);
    const int64_t enough = job->minimise ? 0 : job->capacity;
    uint32_t high = 0;
    while (high < np && piece[high].peak > max_i64(job->bound, enough)) high++;
    for (uint32_t i = 0; i < high; i++) {
        PackEffort share = part_of(e, high - i);
        int64_t bound = max_i64(job->bound, enough);
        const int64_t before = bound;
        tighten(job->arena, &piece[i], job->capacity, &share, &bound);
        job->bound = bound > before ? bound : job->bound;
        give_back(e, share);
    }
}

static void pack_job(Job *job, PackEffort *e)
{
    job->peak = job->bound = 0;
    const int64_t unit = common_unit(job);
    uint32_t n = 0;
    PackItem *item = make_items(job, unit, &n);
    if (n == 0) return;
    find_sections(job->arena, job->buf, item, n);
    Piece *piece = NEWN(job->arena, Piece, n);
    const uint32_t np = cut_pieces(job->arena, item, n, unit, piece);
    for (uint32_t i = 0; i < np; i++) job->bound = max_i64(job->bound, load_bound(job->arena, &piece[i].p));
    for (uint32_t i = 0; i < np; i++) best_greedy(job->arena, &piece[i], job->bound);
    if (fixed_agree(job))
        tighten_all(job, piece, np, e);
    else
        job->bound = INT64_MAX;
    for (uint32_t i = 0; i < np; i++) {
        job->peak = max_i64(job->peak, piece[i].peak);
        for (uint32_t j = 0; j < piece[i].p.n; j++) job->out[piece[i].p.item[j].id].offset = piece[i].off[j] * unit;
    }
}

/* Packs with overlaps, and without them unless that is known to be no better; of equal packings the one without. */
static void pack_over(Job *job, OverlapJob *over, PackEffort *e)
{
    overlap_bounds(job->arena, over);
    if (over->bound == over->apart) {
        pack_job(job, e);
        if (job->peak == over->bound) return;
    }
    over->off = NEWN(job->arena, int64_t, job->n);
    const bool packed = overlap_pack(job->arena, over);
    if (over->bound < over->apart && !(packed && over->peak < over->apart)) pack_job(job, e);
    if (packed && (job->peak == 0 || over->peak < job->peak)) {
        job->peak = over->peak;
        for (uint32_t i = 0; i < job->n; i++) job->out[job->id[i]].offset = over->off[i];
    }
    job->bound = job->bound < INT64_MAX ? over->bound : INT64_MAX;
}

static void pack_pool(Arena *a, Job *job, PackEffort *e)
{
    job->arena = arena_child(a);
    job->peak = job->bound = 0;
    OverlapJob over = {.buf = job->buf, .id = job->id, .n = job->n};
    if (overlap_any(&over))
        pack_over(job, &over, e);
    else
        pack_job(job, e);
    arena_free(job->arena);
    job->arena = NULL;
}

/* --- choice of pools -------------------------------------------------------------------------------------------- */

typedef struct Member {
    double gain; /* bytes moved per byte and step held; mandatory ones first */
    bool must;   /* no later pool may hold it */
    uint32_t id;
} Member;

static int by_gain(const void *pa, const void *pb)
{
    const Member *a = pa, *b = pb;
    if (a->must != b->must) return a->must ? -1 : 1;
    if (a->gain != b->gain) return a->gain < b->gain ? 1 : -1;
    return (a->id > b->id) - (a->id < b->id);
}

static uint32_t list_members(const PlanBuf *b, uint32_t n, uint32_t p, uint32_t npool, const PlanPlace *out, Member *m)
{
    uint32_t count = 0;
    const uint32_t known = npool < 32 ? (1u << npool) - 1 : UINT32_MAX;
    for (uint32_t i = 0; i < n; i++) {
        if (out[i].pool >= 0 || !(b[i].pools >> p & 1)) continue;
        const double held = (double)max_i64(b[i].bytes, 1) * ((double)b[i].last - (double)b[i].first + 1);
        const double moved = b[i].traffic > 0 ? (double)b[i].traffic : 2 * (double)b[i].bytes;
        m[count++] = (Member){moved / held, ((b[i].pools & known) >> p) == 1, i};
    }
    qsort(m, count, sizeof *m, by_gain);
    return count;
}

/* Bytes taken at the steps at which some buffer starts; loads have their maxima there. */
typedef struct Loads {
    int32_t *step;
    int64_t *load;
    uint32_t n;
} Loads;

static int by_step(const void *pa, const void *pb)
{
    const int32_t a = *(const int32_t *)pa, b = *(const int32_t *)pb;
    return (a > b) - (a < b);
}

static Loads make_loads(Arena *a, const PlanBuf *b, const Member *m, uint32_t n)
{
    Loads l = {NEWN(a, int32_t, n), NEWN(a, int64_t, n), n};
    for (uint32_t i = 0; i < n; i++) l.step[i] = b[m[i].id].first;
    qsort(l.step, n, sizeof *l.step, by_step);
    return l;
}

/* Adds the buffer to the loads of its steps if that leaves all within the limit. */
static bool add_load(Loads *l, const PlanBuf *x, int64_t limit)
{
    uint32_t from = 0, to = l->n;
    while (from < to) {
        const uint32_t mid = from + (to - from) / 2;
        if (l->step[mid] < x->first)
            from = mid + 1;
        else
            to = mid;
    }
    for (to = from; to < l->n && l->step[to] <= x->last; to++)
        if (x->bytes > limit || l->load[to] > limit - x->bytes) return false;
    while (to-- > from) l->load[to] += x->bytes;
    return true;
}

/* Keeps the members whose load fits, in order of gain. */
static uint32_t choose_members(Arena *a, const PlanBuf *b, Member *m, uint32_t n, int64_t capacity)
{
    uint32_t kept = 0;
    Loads l = make_loads(a, b, m, n);
    for (uint32_t i = 0; i < n; i++)
        if (add_load(&l, &b[m[i].id], m[i].must ? INT64_MAX : capacity)) m[kept++] = m[i];
    return kept;
}

/* Takes out, for each buffer that ends above the capacity, the least useful one that is live with it. */
static uint32_t evict(const PlanBuf *b, Member *m, uint32_t n, const PlanPlace *out, int64_t capacity, bool *gone)
{
    bool any = false;
    for (uint32_t i = 0; i < n; i++) {
        const PlanBuf *x = &b[m[i].id];
        if (out[m[i].id].offset + x->bytes <= capacity) continue;
        uint32_t k = n;
        while (k > 0 && (m[k - 1].must || !together(x, &b[m[k - 1].id]))) k--;
        if (k > 0) gone[k - 1] = any = true;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!gone[i]) m[kept++] = m[i];
        gone[i] = false;
    }
    return any ? kept : n;
}

typedef struct Planner {
    Arena *arena;
    const PlanBuf *buf;
    uint32_t n;
    PlanPlace *out;
    PackEffort effort;
} Planner;

/* Packs the members, spending at most one part in `parts` of what is left. */
static void pack_members(Planner *pl, Job *job, const Member *m, uint32_t n, uint32_t parts)
{
    uint32_t *id = NEWN(pl->arena, uint32_t, n);
    for (uint32_t i = 0; i < n; i++) id[i] = m[i].id;
    job->id = id;
    job->n = n;
    PackEffort share = part_of(&pl->effort, parts);
    pack_pool(pl->arena, job, &share);
    give_back(&pl->effort, share);
}

/* Makes the choice for a pool of limited size: packs, and takes buffers out until what is left fits. */
static uint32_t fit_members(Planner *pl, Job *job, Member *m, uint32_t n)
{
    bool *gone = NEWN(pl->arena, bool, n);
    n = choose_members(pl->arena, pl->buf, m, n, job->capacity);
    for (uint32_t before = n + 1; n < before;) {
        pack_members(pl, job, m, n, 8);
        before = n;
        if (job->peak > job->capacity) n = evict(pl->buf, m, n, pl->out, job->capacity, gone);
    }
    return n;
}

/* Packs once more for the least peak; keeps the packing there is when that is better. */
static void minimise(Planner *pl, Job *job, const Member *m, uint32_t n, uint32_t parts)
{
    const Job before = *job;
    int64_t *off = NEWN(pl->arena, int64_t, n);
    for (uint32_t i = 0; i < n; i++) off[i] = pl->out[m[i].id].offset;
    job->minimise = true;
    pack_members(pl, job, m, n, parts);
    job->bound = max_i64(job->bound, before.bound);
    if (before.peak == 0 || job->peak <= before.peak) return;
    job->peak = before.peak;
    for (uint32_t i = 0; i < n; i++) pl->out[m[i].id].offset = off[i];
}

/* Decides what goes into pool p and packs it. */
static void fill_pool(Planner *pl, uint32_t p, uint32_t npool, int64_t capacity, int64_t *peak, int64_t *bound)
{
    Member *m = NEWN(pl->arena, Member, pl->n);
    uint32_t n = list_members(pl->buf, pl->n, p, npool, pl->out, m);
    Job job = {.buf = pl->buf, .out = pl->out, .capacity = capacity > 0 ? capacity : INT64_MAX};
    if (capacity > 0 && n > 0 && !m[n - 1].must) n = fit_members(pl, &job, m, n);
    minimise(pl, &job, m, n, npool - p);
    for (uint32_t i = 0; i < n; i++) pl->out[m[i].id].pool = (int32_t)p;
    *peak = job.peak;
    *bound = job.bound;
}

/* True when no sum of the planner can overflow. */
static bool sums_fit(const PlanBuf *b, uint32_t n)
{
    int64_t sum = 0, top = 0, padded = 0;
    for (uint32_t i = 0; i < n; i++) {
        top = max_i64(top, b[i].fixed);
        if (!add_i64(b[i].bytes, b[i].align, &padded) || !add_i64(padded, b[i].align, &padded) ||
            !add_i64(sum, padded, &sum))
            return false;
    }
    return add_i64(sum, top, &sum) && sum < INT64_MAX / 4;
}

/* Places the n buffers in at most 32 pools: out[i] is set, and res with arrays from `a`. False when a capacity is not
 * kept, or cannot be: then its bound is above it, INT64_MAX when fixed offsets contradict each other or sizes overflow;
 * out is the best that was found. A buffer that allows none of the pools gets pool -1 and makes the result false. With
 * node_limit 0 the search ends after some three seconds at most. Each greedy packing takes n * n short steps. Optimal
 * speaks of offsets: which pool a buffer is in is a greedy choice. */
bool plan_pack(Arena *a, const PlanBuf *b, uint32_t n, const PlanPool *pool, uint32_t npool, uint64_t node_limit,
               PlanPlace *out, PlanResult *res)
{
    *res = (PlanResult){.peak = NEWN(a, int64_t, npool), .bound = NEWN(a, int64_t, npool), .optimal = true};
    for (uint32_t i = 0; i < n; i++) out[i] = (PlanPlace){-1, 0};
    if (!sums_fit(b, n)) {
        for (uint32_t p = 0; p < npool; p++) res->peak[p] = res->bound[p] = INT64_MAX;
        return res->optimal = false;
    }
    const bool limited = node_limit > 0;
    const PackEffort all = {limited ? node_limit : UINT64_MAX, limited ? UINT64_MAX : DEFAULT_STEPS};
    Planner pl = {arena_child(a), b, n, out, all};
    bool fits = true;
    for (uint32_t p = 0; p < npool; p++) {
        fill_pool(&pl, p, npool, pool[p].capacity, &res->peak[p], &res->bound[p]);
        res->optimal = res->optimal && res->peak[p] == res->bound[p];
        fits = fits && res->bound[p] < INT64_MAX && (pool[p].capacity == 0 || res->peak[p] <= pool[p].capacity);
    }
    for (uint32_t i = 0; i < n; i++) fits = fits && out[i].pool >= 0;
    res->nodes = all.nodes - pl.effort.nodes;
    arena_free(pl.arena);
    return fits;
}

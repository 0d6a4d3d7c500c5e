/* SPDX-License-Identifier: Apache-2.0
 *
 * Exact packing below a given height: a depth-first search over the skyline.
 *
 * Solutions are looked for among the left-justified ones, in which every item lies at 0 or on another item; if there is
 * a solution at all, letting its items fall one after the other gives one of these. The state is a skyline: `floor[s]`,
 * below which nothing more will be put in section s, and `base[j]`, the lowest place left for item j, which is the
 * highest floor over its sections, aligned. A section's floor is kept at the least base of its remaining items, so
 * there always is an item that would start exactly there.
 *
 * A node picks one section and asks which item has its bottom at this section's floor: each item whose whole range has
 * that floor in turn, and last "none", which wastes the strip and raises the floor to the next height at which
 * anything could start. These cases exclude each other and leave nothing out, so no order of placements is ever tried
 * twice. This is sound in every section none of whose items at the floor reaches into a lower section; the lowest
 * section of all is such a one. Among them the search takes the one with the fewest choices, weighted by
 * how low its floor is and by how often attempts failed there lately. Where the load leaves nothing to waste, "none" is
 * no choice.
 *
 * A state fails when floor + remaining load of a section exceeds the height. Equal states are recognised by a hash
 * table of failed ones, and where no remaining item crosses, the two sides are solved one by one. Twins (items equal in
 * all respects) are placed in order of index, and of two items with the same range the larger goes below when one lies
 * on the other.
 *
 * Sources: M. Moffitt, "MiniMalloc", ASPLOS 2023 (sections, floors, canonical solutions, decomposition); F. Boussemart
 * et al., "Boosting systematic search by weighting constraints", ECAI 2004 (weights of failures); fewest choices first
 * and the niche as the place to branch come from perfect rectangle packing.
 */
#include "plan_search.h"

#include <stdlib.h>

enum {
    MAX_UNITS = 1 << 29,   /* heights and sums fit an int32_t with room to add */
    MAX_ENTRIES = 1 << 23, /* sum of the items' widths */
    MAX_DEPTH = 10000,     /* nested nodes: bounds the C stack */
    MEMO_BITS = 18,
    BLAME = 1 << 8,  /* weight of a failure at first; it grows, so that recent failures count more */
    BLAME_SHIFT = 7, /* by a factor of 1 + 2^-7 each time */
    MAX_WEIGHT = 1 << 30
};

/* How a strategy sorts the items that could start at a section's floor. An item is flush on a side where the
 * section next to it is not open at the same height, so that it leaves no gap there. */
typedef enum Flush { FLUSH_IGNORED, FLUSH_SIDES, FLUSH_BOTH } Flush;

typedef struct Strategy {
    Flush flush;       /* first the items flush on more sides, or on both */
    const char *order; /* then by these keys, largest first: Area, siZe, Width, Total load of its fullest section */
} Strategy;

enum { STRATEGIES = 8 };

static const Strategy strategy[STRATEGIES] = {
    {FLUSH_SIDES, "AZT"}, {FLUSH_BOTH, "ZWT"},    {FLUSH_SIDES, "TZW"}, {FLUSH_IGNORED, "ZWT"},
    {FLUSH_SIDES, "ZWT"}, {FLUSH_IGNORED, "WAT"}, {FLUSH_SIDES, "TWZ"}, {FLUSH_BOTH, "AZT"},
};

/* What a strategy has learned in its earlier runs: where attempts failed, recent failures counting more. */
typedef struct Memory {
    uint32_t *weight; /* by section */
    uint32_t blame;   /* weight of the next failure */
} Memory;

typedef struct Cell {
    int32_t *at, old;
} Cell;

struct PackSearch {
    Arena *arena;
    const PackPiece *piece;
    int32_t n, nsec;
    /* items */
    int32_t *size, *align, *fixed, *lo, *hi;
    int32_t *twin;    /* item that must be placed before, or -1 */
    int32_t *family;  /* an item of the same range with which order in a stack is free, the same for all; or -1 */
    int32_t *members; /* by that item: how many of the family remain */
    int32_t *highest; /* offset at which the item reaches the target, or that is prescribed */
    int32_t *off;     /* -1: remaining */
    int32_t *base;
    int32_t *rank;  /* order in which the strategy tries items */
    uint64_t *name; /* for the hash */
    bool *ready;    /* may start at its base now; of the current node */
    /* sections */
    int32_t *floor;
    int32_t *top;      /* end of the highest item placed */
    int32_t *top_item; /* that item, or -1 */
    int32_t *load;     /* units remaining */
    int32_t *cross;    /* remaining items in common with the section before */
    int32_t *cap;      /* units within the target */
    int64_t *tail;     /* largest tail of an item */
    int32_t *choices;  /* items that may start at the floor; negative: not to be branched on; of the current node */
    int32_t *from;     /* first item that starts in the section or later: items are sorted by lo */
    int32_t *count;    /* remaining items: in[start[s]] .. in[start[s] + count[s] - 1] */
    uint32_t *start, *in;
    uint32_t *at, *at_start; /* place in `in` of item j in section s: at[at_start[j] + s - lo[j]] */
    /* search */
    int32_t *dirty, ndirty; /* sections whose floor may have to rise */
    bool *is_dirty;
    VEC(Cell) trail;     /* old values, newest last */
    VEC(int32_t) choice; /* the candidate lists of the nodes being tried, one after the other */
    uint64_t *failed;    /* keys of states that cannot be completed, by their highest bits */
    uint64_t generation; /* part of the keys; changes with the target */
    int64_t target;
    int64_t need; /* least height that made a state fail */
    PackEffort *effort;
    int32_t depth;
    bool gave_up;
    const Strategy *strategy;
    Memory *memory; /* of the strategy in use */
    Memory memories[STRATEGIES];
};

/* --- state that can be taken back ------------------------------------------------------------------------------- */

static void set(PackSearch *s, int32_t *at, int32_t v)
{
    PUSH(s->arena, &s->trail, ((Cell){at, *at}));
    *at = v;
}

static void take_back(PackSearch *s, uint32_t mark)
{
    while (s->trail.n > mark) {
        const Cell c = s->trail.at[--s->trail.n];
        *c.at = c.old;
    }
}

static void mark_dirty(PackSearch *s, int32_t sec)
{
    if (!s->is_dirty[sec]) {
        s->is_dirty[sec] = true;
        s->dirty[s->ndirty++] = sec;
    }
}

/* The current state cannot be completed: forgets pending work. Always false. */
static bool dead_end(PackSearch *s)
{
    while (s->ndirty > 0) s->is_dirty[s->dirty[--s->ndirty]] = false;
    return false;
}

static void blame(PackSearch *s, int32_t sec, uint32_t much)
{
    uint32_t *w = s->memory->weight;
    w[sec] += much;
    if (w[sec] < MAX_WEIGHT) return;
    for (int32_t t = 0; t < s->nsec; t++) w[t] = (w[t] >> 12) + 1;
    s->memory->blame = (s->memory->blame >> 12) + BLAME;
}

static bool item_too_high(PackSearch *s, int32_t j)
{
    const PackPiece *p = s->piece;
    if (s->fixed[j] < 0 || s->base[j] == s->fixed[j])
        s->need = min_i64(s->need, (s->base[j] + p->item[j].size) * p->unit - p->item[j].tail);
    for (int32_t t = s->lo[j]; t < s->hi[j]; t++) blame(s, t, s->memory->blame / (uint32_t)(s->hi[j] - s->lo[j]) + 1);
    return dead_end(s);
}

static bool section_too_high(PackSearch *s, int32_t sec, int32_t height)
{
    s->need = min_i64(s->need, height * s->piece->unit - s->tail[sec]);
    blame(s, sec, s->memory->blame);
    s->memory->blame += s->memory->blame >> BLAME_SHIFT;
    return dead_end(s);
}

static bool raise_base(PackSearch *s, int32_t j, int32_t v)
{
    if (s->base[j] >= v) return true;
    set(s, &s->base[j], s->align[j] == 1 ? v : (v + s->align[j] - 1) / s->align[j] * s->align[j]);
    if (s->base[j] > s->highest[j]) return item_too_high(s, j);
    for (int32_t t = s->lo[j]; t < s->hi[j]; t++) mark_dirty(s, t);
    return true;
}

/* Lifts floors to the least base above them. No base changes: it already is the highest floor of its range. */
static bool settle(PackSearch *s)
{
    while (s->ndirty > 0) {
        const int32_t sec = s->dirty[--s->ndirty];
        s->is_dirty[sec] = false;
        if (s->count[sec] == 0) continue;
        const uint32_t *in = s->in + s->start[sec];
        int32_t least = INT32_MAX;
        for (int32_t i = 0; i < s->count[sec]; i++)
            if (s->base[in[i]] < least) least = s->base[in[i]];
        if (least > s->floor[sec]) set(s, &s->floor[sec], least);
        if (s->floor[sec] + s->load[sec] > s->cap[sec]) return section_too_high(s, sec, s->floor[sec] + s->load[sec]);
    }
    return true;
}

static void drop_from_section(PackSearch *s, int32_t j, int32_t sec)
{
    uint32_t *in = s->in + s->start[sec], *at = &s->at[s->at_start[j] + (uint32_t)(sec - s->lo[j])];
    set(s, &s->count[sec], s->count[sec] - 1);
    const uint32_t last = (uint32_t)s->count[sec], other = in[last];
    in[last] = (uint32_t)j;
    in[*at] = other;
    s->at[s->at_start[other] + (uint32_t)(sec - s->lo[other])] = *at;
    *at = last;
}

/* Puts the item at its base; all that overlaps it starts in section `first` or later. */
static bool place(PackSearch *s, int32_t j, int32_t first)
{
    const int32_t end = s->base[j] + s->size[j];
    set(s, &s->off[j], s->base[j]);
    if (s->family[j] >= 0) set(s, &s->members[s->family[j]], s->members[s->family[j]] - 1);
    for (int32_t t = s->lo[j]; t < s->hi[j]; t++) {
        drop_from_section(s, j, t);
        set(s, &s->floor[t], end);
        set(s, &s->top[t], end);
        set(s, &s->top_item[t], j);
        set(s, &s->load[t], s->load[t] - s->size[j]);
        if (t > s->lo[j]) set(s, &s->cross[t], s->cross[t] - 1);
        mark_dirty(s, t);
    }
    for (int32_t k = s->from[first]; k < s->from[s->hi[j]]; k++)
        if (s->off[k] < 0 && s->lo[j] < s->hi[k] && !raise_base(s, k, end)) return false;
    return settle(s);
}

static bool waste(PackSearch *s, int32_t sec, int32_t v)
{
    set(s, &s->floor[sec], v);
    const uint32_t *in = s->in + s->start[sec];
    for (int32_t i = 0; i < s->count[sec]; i++)
        if (!raise_base(s, (int32_t)in[i], v)) return false;
    mark_dirty(s, sec);
    return settle(s);
}

/* --- one node --------------------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* The item on top matters only while members of its family could be put on it. */
static uint64_t top_key(const PackSearch *s, int32_t sec)
{
    const int32_t j = s->top_item[sec];
    const bool matters = j >= 0 && s->family[j] >= 0 && s->members[s->family[j]] > 0 && s->top[sec] == s->floor[sec];
    return matters ? (uint64_t)j + 1 : 0;
}

static uint64_t state_key(const PackSearch *s, int32_t lo, int32_t hi)
{
    uint64_t h = mix(s->generation ^ ((uint64_t)lo << 32 | (uint32_t)hi));
    for (int32_t t = lo; t < hi; t++)
        if (s->count[t] > 0) {
            h = mix(h + ((uint64_t)t << 32 | (uint32_t)s->floor[t]));
            h = mix(h + ((uint64_t)s->top[t] << 32 | (uint32_t)top_key(s, t)));
        }
    for (int32_t j = s->from[lo]; j < s->from[hi]; j++) h ^= s->off[j] < 0 ? s->name[j] : 0;
    return mix(h) | 1;
}

/* The item lies on another one, or at 0, and the rules of twins and of stacks hold. */
static bool may_start(const PackSearch *s, int32_t j)
{
    if (s->fixed[j] >= 0) return true;
    if (s->twin[j] >= 0 && s->off[s->twin[j]] < 0) return false;
    int32_t rest = 0;
    for (int32_t t = s->lo[j]; t < s->hi[j]; t++) rest = s->top[t] > rest ? s->top[t] : rest;
    if (s->base[j] - rest >= s->align[j]) return false;
    const int32_t below = s->top_item[s->lo[j]];
    if (below < 0 || s->family[j] < 0 || s->family[below] != s->family[j] || s->top[s->lo[j]] != s->base[j])
        return true;
    return s->size[below] >= s->size[j];
}

/* Counts item j in its sections when it is flat there and may start; closes the sections where it is not flat. */
static void survey_item(PackSearch *s, int32_t j)
{
    const int32_t b = s->base[j], width = s->hi[j] - s->lo[j], *floor = s->floor + s->lo[j];
    int32_t *restrict choices = s->choices + s->lo[j];
    int32_t t = 0;
    while (t < width && floor[t] == b) t++;
    const bool flat = t == width;
    s->ready[j] = flat && may_start(s, j);
    if (s->ready[j])
        for (t = 0; t < width; t++) choices[t]++;
    else if (!flat)
        for (t = 0; t < width; t++) choices[t] |= floor[t] == b ? INT32_MIN : 0;
}

/* Sets choices[] and ready[] for the part lo..hi-1. */
static void survey(PackSearch *s, int32_t lo, int32_t hi)
{
    for (int32_t t = lo; t < hi; t++) s->choices[t] = s->count[t] > 0 ? 0 : INT32_MIN;
    for (int32_t j = s->from[lo]; j < s->from[hi]; j++)
        if (s->off[j] < 0) survey_item(s, j);
}

static int32_t pick_section(const PackSearch *s, int32_t lo, int32_t hi)
{
    int32_t best = -1;
    uint64_t best_score = 0;
    for (int32_t t = lo; t < hi; t++) {
        if (s->choices[t] < 0) continue;
        const uint64_t cases = (uint64_t)s->choices[t] + (s->floor[t] + s->load[t] < s->cap[t]);
        const uint64_t level = (uint64_t)s->floor[t] * 1024 / (uint64_t)(s->cap[t] + 1) + 1;
        const uint64_t score = (cases * level << 32) / s->memory->weight[t];
        if (best < 0 || score < best_score) {
            best = t;
            best_score = score;
        }
    }
    return best;
}

static bool overlap(const PackSearch *s, int32_t j, int32_t k)
{
    return s->lo[j] < s->hi[k] && s->lo[k] < s->hi[j];
}

/* Least height above the floor at which an item of the section may start when none starts at the floor: its base if
 * that is higher, else the end of a remaining item beside the section. INT32_MAX: there is none. */
static int32_t next_level(const PackSearch *s, int32_t sec, int32_t lo, int32_t hi)
{
    const int32_t f = s->floor[sec];
    const uint32_t *in = s->in + s->start[sec];
    int32_t next = INT32_MAX;
    for (int32_t i = 0; i < s->count[sec]; i++)
        if (s->base[in[i]] > f && s->base[in[i]] < next) next = s->base[in[i]];
    for (int32_t k = s->from[lo]; k < s->from[hi]; k++) {
        const int32_t end = s->base[k] + s->size[k];
        if (s->off[k] >= 0 || end <= f || end >= next || (s->lo[k] <= sec && sec < s->hi[k])) continue;
        for (int32_t q = 0; q < s->count[sec]; q++)
            if (s->base[in[q]] == f && overlap(s, (int32_t)in[q], k)) {
                next = end;
                break;
            }
    }
    return next;
}

static int32_t flush_sides(const PackSearch *s, int32_t j)
{
    const int32_t l = s->lo[j] - 1, r = s->hi[j], b = s->base[j];
    const int32_t left = l < 0 || s->count[l] == 0 || s->floor[l] != b;
    const int32_t right = r == s->nsec || s->count[r] == 0 || s->floor[r] != b;
    return s->strategy->flush == FLUSH_SIDES ? left + right : s->strategy->flush == FLUSH_BOTH ? left & right : 0;
}

static bool goes_before(const PackSearch *s, int32_t j, int32_t k)
{
    const int32_t a = flush_sides(s, j), b = flush_sides(s, k);
    return a != b ? a > b : s->rank[j] < s->rank[k];
}

/* Pushes the candidates of a section, best first; returns how many. */
static uint32_t push_choices(PackSearch *s, int32_t sec)
{
    const uint32_t *in = s->in + s->start[sec];
    const uint32_t first = s->choice.n;
    for (int32_t i = 0; i < s->count[sec]; i++) {
        const int32_t j = (int32_t)in[i];
        if (!s->ready[j]) continue;
        PUSH(s->arena, &s->choice, j);
        uint32_t p = s->choice.n - 1;
        for (int32_t *c = s->choice.at; p > first && goes_before(s, j, c[p - 1]); p--) c[p] = c[p - 1];
        s->choice.at[p] = j;
    }
    return s->choice.n - first;
}

static bool solve(PackSearch *s, int32_t lo, int32_t hi);

static bool try_waste(PackSearch *s, int32_t sec, int32_t lo, int32_t hi)
{
    const int32_t next = next_level(s, sec, lo, hi);
    if (next == INT32_MAX) return false;
    if (next + s->load[sec] > s->cap[sec]) return section_too_high(s, sec, next + s->load[sec]);
    return waste(s, sec, next) && solve(s, lo, hi);
}

static bool branch(PackSearch *s, int32_t lo, int32_t hi)
{
    survey(s, lo, hi);
    const int32_t sec = pick_section(s, lo, hi);
    const uint32_t mark = s->trail.n, first = s->choice.n, n = push_choices(s, sec);
    bool found = false;
    for (uint32_t i = 0; i <= n && !found && !s->gave_up; i++) {
        take_back(s, mark);
        found = i < n ? place(s, s->choice.at[first + i], lo) && solve(s, lo, hi) : try_waste(s, sec, lo, hi);
    }
    s->choice.n = first;
    return found;
}

static bool pay(PackSearch *s, int32_t lo, int32_t hi)
{
    const int32_t first = s->from[lo], last = s->from[hi];
    const uint32_t cost = s->at_start[last] - s->at_start[first] + (uint32_t)(last - first) + (uint32_t)(hi - lo);
    if (s->effort->nodes == 0 || s->effort->steps < cost) return false;
    s->effort->nodes--;
    s->effort->steps -= cost;
    return true;
}

/* Solves the sections lo..hi-1, which no item crosses. True leaves the items placed; false leaves a mess above the
 * caller's mark of the trail. */
static bool solve_part(PackSearch *s, int32_t lo, int32_t hi)
{
    if (s->depth == MAX_DEPTH || !pay(s, lo, hi)) {
        s->gave_up = true;
        return false;
    }
    const uint64_t key = state_key(s, lo, hi);
    uint64_t *slot = &s->failed[key >> (64 - MEMO_BITS)];
    if (*slot == key) return false;
    s->depth++;
    const bool found = branch(s, lo, hi);
    s->depth--;
    if (!found && !s->gave_up) *slot = key;
    return found;
}

static bool solve(PackSearch *s, int32_t lo, int32_t hi)
{
    for (int32_t t = lo; t < hi;) {
        int32_t end = t + 1;
        while (end < hi && s->cross[end] > 0) end++;
        if (s->count[t] > 0 || end > t + 1)
            if (!solve_part(s, t, end)) return false;
        t = end;
    }
    return true;
}

/* --- setting up ------------------------------------------------------------------------------------------------- */

static bool same_range(const PackItem *a, const PackItem *b)
{
    return a->lo == b->lo && a->hi == b->hi;
}

/* Items of one range together, equal ones side by side. */
static int by_range(const void *pa, const void *pb)
{
    const PackItem *a = *(const PackItem *const *)pa, *b = *(const PackItem *const *)pb;
    const int64_t x[] = {a->lo, a->hi, a->align, a->size, a->tail, a->fixed, a - b};
    const int64_t y[] = {b->lo, b->hi, b->align, b->size, b->tail, b->fixed, 0};
    size_t i = 0;
    while (i < COUNT(x) - 1 && x[i] == y[i]) i++;
    return (x[i] > y[i]) - (x[i] < y[i]);
}

/* Two items of one range may swap places in a stack when no padding or tail can come between. */
static bool swaps(const PackItem *p)
{
    return p->fixed < 0 && p->tail == 0 && p->size % p->align == 0;
}

static void find_twins(PackSearch *s, const PackPiece *p)
{
    const PackItem **v = NEWN(s->arena, const PackItem *, p->n);
    for (uint32_t i = 0; i < p->n; i++) v[i] = &p->item[i];
    qsort(v, p->n, sizeof *v, by_range);
    int32_t family = -1;
    for (uint32_t i = 0; i < p->n; i++) {
        const PackItem *a = v[i], *b = i > 0 ? v[i - 1] : NULL;
        const int32_t j = (int32_t)(a - p->item);
        const bool kin = b && same_range(a, b);
        const bool twin = kin && a->size == b->size && a->align == b->align && a->tail == b->tail;
        s->twin[j] = twin && a->fixed < 0 && b->fixed < 0 ? (int32_t)(b - p->item) : -1;
        if (!kin) family = -1;
        s->family[j] = -1;
        if (!swaps(a)) continue;
        if (family < 0 || p->item[family].align != a->align) family = j;
        s->family[j] = family;
        s->members[family]++;
    }
}

static void copy_items(PackSearch *s, const PackPiece *p)
{
    uint32_t at = 0;
    for (int32_t j = 0; j < s->n; j++) {
        const PackItem *it = &p->item[j];
        s->size[j] = (int32_t)it->size;
        s->align[j] = (int32_t)it->align;
        s->fixed[j] = (int32_t)it->fixed;
        s->lo[j] = it->lo;
        s->hi[j] = it->hi;
        s->off[j] = -1;
        s->base[j] = it->fixed >= 0 ? (int32_t)it->fixed : 0;
        s->name[j] = mix((uint64_t)j + 0x9e3779b97f4a7c15u);
        s->at_start[j] = at;
        at += (uint32_t)(it->hi - it->lo);
        for (int32_t t = it->lo; t < it->hi; t++) {
            s->load[t] += s->size[j];
            s->tail[t] = max_i64(s->tail[t], it->tail);
            s->cross[t] += t > it->lo;
            s->count[t]++;
        }
    }
    s->at_start[s->n] = at;
}

static void fill_sections(PackSearch *s)
{
    for (int32_t t = 1; t < s->nsec; t++) s->start[t] = s->start[t - 1] + (uint32_t)s->count[t - 1];
    memset(s->count, 0, (size_t)s->nsec * sizeof *s->count);
    for (int32_t j = 0; j < s->n; j++)
        for (int32_t t = s->lo[j]; t < s->hi[j]; t++) {
            s->at[s->at_start[j] + (uint32_t)(t - s->lo[j])] = (uint32_t)s->count[t];
            s->in[s->start[t] + (uint32_t)s->count[t]++] = (uint32_t)j;
        }
    for (int32_t t = 0, j = 0; t <= s->nsec; t++) {
        while (j < s->n && s->lo[j] < t) j++;
        s->from[t] = j;
    }
    for (int32_t t = 0; t < s->nsec; t++) s->top_item[t] = -1;
}

/* Sum of the widths, or 0 when the piece is out of the search's range. No size or load is above `height`. */
static size_t entries_of(const PackPiece *p, int64_t height)
{
    size_t entries = 0;
    for (uint32_t i = 0; i < p->n; i++) {
        entries += (size_t)(p->item[i].hi - p->item[i].lo);
        if (entries > MAX_ENTRIES || p->item[i].align > MAX_UNITS) return 0;
    }
    return height / p->unit < MAX_UNITS ? entries : 0;
}

typedef struct Key {
    int64_t v[3];
    int32_t item;
} Key;

static int by_key(const void *pa, const void *pb)
{
    const Key *a = pa, *b = pb;
    for (size_t i = 0; i < COUNT(a->v); i++)
        if (a->v[i] != b->v[i]) return a->v[i] < b->v[i] ? 1 : -1;
    return (a->item > b->item) - (a->item < b->item);
}

static int64_t key_of(const PackItem *it, const int64_t *load, char kind)
{
    int64_t most = 0;
    switch (kind) {
    case 'W': return it->hi - it->lo;
    case 'Z': return it->size;
    case 'A': return it->size * (it->hi - it->lo);
    default:
        for (int32_t t = it->lo; t < it->hi; t++) most = max_i64(most, load[t]);
        return most;
    }
}

static void rank_items(PackSearch *s, const char *order)
{
    Arena *tmp = arena_child(s->arena);
    Key *k = NEWN(tmp, Key, s->n);
    int64_t *load = NEWN(tmp, int64_t, s->nsec);
    for (int32_t t = 0; t < s->nsec; t++) load[t] = s->load[t];
    for (int32_t j = 0; j < s->n; j++) {
        k[j].item = j;
        for (size_t i = 0; i < COUNT(k->v); i++) k[j].v[i] = key_of(&s->piece->item[j], load, order[i]);
    }
    qsort(k, (size_t)s->n, sizeof *k, by_key);
    for (int32_t j = 0; j < s->n; j++) s->rank[k[j].item] = j;
    arena_free(tmp);
}

/* A new target makes the table of failed states void. */
static void set_target(PackSearch *s, int64_t target)
{
    if (target == s->target) return;
    const PackPiece *p = s->piece;
    s->target = target;
    s->need = INT64_MAX;
    s->generation = mix(s->generation + 1);
    for (int32_t t = 0; t < s->nsec; t++)
        s->cap[t] = (int32_t)min_i64(floor_div(target + s->tail[t], p->unit), MAX_UNITS);
    for (int32_t j = 0; j < s->n; j++) {
        const int64_t over = target - p->item[j].size * p->unit + p->item[j].tail;
        const int64_t most = s->fixed[j] >= 0 ? s->fixed[j] : MAX_UNITS;
        s->highest[j] = (int32_t)min_i64(floor_div(over, p->unit), most);
    }
}

static bool search(PackSearch *s)
{
    for (int32_t j = 0; j < s->n; j++)
        if (s->base[j] > s->highest[j]) return item_too_high(s, j);
    for (int32_t t = 0; t < s->nsec; t++) mark_dirty(s, t);
    return settle(s) && solve(s, 0, s->nsec);
}

uint32_t pack_strategies(void)
{
    return STRATEGIES;
}

PackAnswer pack_search_run(PackSearch *s, int64_t target, uint32_t which, PackEffort *effort, int64_t *off,
                           int64_t *need)
{
    set_target(s, target);
    s->strategy = &strategy[which];
    s->memory = &s->memories[which];
    rank_items(s, s->strategy->order);
    s->effort = effort;
    s->gave_up = false;
    s->depth = 0;
    const bool found = search(s);
    for (int32_t j = 0; found && j < s->n; j++) off[j] = s->off[j];
    take_back(s, 0);
    *need = s->need;
    return found ? PACK_FOUND : s->gave_up ? PACK_GAVE_UP : PACK_NONE;
}

PackSearch *pack_search_new(Arena *a, const PackPiece *p, int64_t height)
{
    const size_t entries = entries_of(p, height);
    if (entries == 0) return NULL;
    PackSearch *s = NEW(a, PackSearch);
    s->arena = a;
    s->piece = p;
    s->n = (int32_t)p->n;
    s->nsec = p->nsec;
    int32_t **const of_item[] = {&s->size,   &s->align,   &s->fixed, &s->lo,   &s->hi,   &s->twin,
                                 &s->family, &s->highest, &s->off,   &s->base, &s->rank, &s->members};
    int32_t **const of_section[] = {&s->floor, &s->top,     &s->top_item, &s->load, &s->cross,
                                    &s->cap,   &s->choices, &s->count,    &s->dirty};
    for (size_t i = 0; i < COUNT(of_item); i++) *of_item[i] = NEWN(a, int32_t, p->n);
    for (size_t i = 0; i < COUNT(of_section); i++) *of_section[i] = NEWN(a, int32_t, p->nsec);
    s->name = NEWN(a, uint64_t, p->n);
    s->ready = NEWN(a, bool, p->n);
    s->at_start = NEWN(a, uint32_t, p->n + 1);
    s->tail = NEWN(a, int64_t, p->nsec);
    s->start = NEWN(a, uint32_t, p->nsec);
    s->from = NEWN(a, int32_t, p->nsec + 1);
    s->is_dirty = NEWN(a, bool, p->nsec);
    s->in = NEWN(a, uint32_t, entries);
    s->at = NEWN(a, uint32_t, entries);
    s->failed = NEWN(a, uint64_t, 1 << MEMO_BITS);
    s->target = -1;
    copy_items(s, p);
    fill_sections(s);
    find_twins(s, p);
    for (size_t i = 0; i < STRATEGIES; i++) {
        s->memories[i] = (Memory){NEWN(a, uint32_t, p->nsec), BLAME};
        for (int32_t t = 0; t < p->nsec; t++) s->memories[i].weight[t] = BLAME;
    }
    return s;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * How large sums of narrow integers times a constant get: sum(k) x[k]*w[k], x within lo .. hi, is at most hi*P + lo*N, and at least lo*P + hi*N, for P and N
 * the sums of what is above and below 0 in w; most weights are small, so that is a third or a fifth of what the types alone say.
 */
#include <math.h>

#include "auto.h"

enum { MOST_ELEMENTS = 1 << 27 }; /* of the constant that are looked at */

/* The load of a constant of bytes, or of 16 bits, that e is, widened or not. */
static const Expr *narrow_constant(const Auto *g, const Expr *e)
{
    while (e->op == EX_cast && dtype_is_int((DType)e->a[0]->dt))
        e = e->a[0];
    return e->op == EX_load && (dtype_is_byte((DType)e->dt) || e->dt == DT_i16) && is_constant_load(g, e) ? e : NULL;
}

/* Adds variables that have a known extent; how many there are. -1: not all have. */
static int64_t add_walk(const Expr *v, const Expr *extent, const Expr **var, const Expr **of, uint8_t *n, int64_t values)
{
    var[*n] = v;
    of[(*n)++] = extent;
    return values < 0 || !ex_is_const(extent) || !mul_i64(values, extent->v.i, &values) ? -1 : values;
}

/* Walks from `inner` on are summed over: what is above 0 and what is below, apart. r: of the numbers that they are multiplied with. */
typedef struct Sums { const Blob *from; const ElementWalk *walk; uint8_t inner, n; int64_t above, below; Reach r, all; } Sums;

static void add_bytes(Sums *s, const ElementWalk *w, int64_t at)
{
    const uint8_t *p = (const uint8_t *)s->from->data + at;
    const int less = s->from->dt == DT_i8 ? 256 : 0;
    for (int64_t k = 0; k < w->extent; k++, p += w->stride)
        *(*p >= 128 && less ? &s->below : &s->above) += *p >= 128 ? *p - less : *p;
}

static void add_elements(Sums *s, uint8_t q, int64_t at)
{
    const ElementWalk *w = &s->walk[q];
    for (int64_t k = 0; k < w->extent && q + 1 < s->n; k++)
        add_elements(s, q + 1, at + k * w->stride);
    if (q + 1 < s->n)
        return;
    if (dtype_is_byte(s->from->dt))
        add_bytes(s, w, at);
    for (int64_t k = 0; k < w->extent && !dtype_is_byte(s->from->dt); k++) {
        const int64_t v = blob_i(s->from, at + k * w->stride);
        *(v < 0 ? &s->below : &s->above) += v;
    }
}

static void add_sums(Sums *s, uint8_t q, int64_t at)
{
    for (int64_t k = 0; q < s->inner && k < s->walk[q].extent; k++)
        add_sums(s, q + 1, at + k * s->walk[q].stride);
    if (q < s->inner)
        return;
    s->above = s->below = 0;
    add_elements(s, q, at);
    const double above = (double)s->above, below = (double)s->below;
    s->all.lo = fmin(s->all.lo, above * s->r.lo + below * s->r.hi);
    s->all.hi = fmax(s->all.hi, above * s->r.hi + below * s->r.lo);
}

/* Whether stage s sums products with a constant; its bounds. */
static bool sums_of(const Auto *g, const Stage *s, Reach *all)
{
    const Expr *c = NULL, *other = NULL, *var[2 * MAX_RANK], *extent[2 * MAX_RANK];
    ElementWalk walk[2 * MAX_RANK];
    int64_t count = 1, steps = 1, at;
    uint8_t n = 0, inner;
    for (int k = 0; k < 2 && s->body->op == EX_mul && !c; k++) {
        c = narrow_constant(g, s->body->a[k]);
        other = s->body->a[!k];
    }
    for (uint8_t v = 0; v < ten(g->te, s->out)->rank && c; v++)
        count = ex_uses(c, s->var[v]) ? add_walk(s->var[v], ten(g->te, s->out)->dim[v], var, extent, &n, count) : count;
    inner = n;
    for (uint8_t q = 0; q < s->nr && c; q++)
        steps = add_walk(s->rvar[q], s->rext[q], var, extent, &n, steps);
    const Reach r = c ? auto_reach(g, other) : (Reach){-INFINITY, INFINITY};
    if (count < 0 || steps < 0 || count > MOST_ELEMENTS / max_i64(steps, 1) || !isfinite(r.lo) || !isfinite(r.hi) || !auto_walks(g, c, var, extent, n, walk, &at))
        return false;
    Arena *scratch = arena_child(g->a);
    const Blob *from = blob_held(ten(g->te, c->v.ref)->data, scratch);
    for (uint8_t q = 0; q < n && from->fill; q++) /* of which there is one element */
        walk[q].stride = at = 0;
    Sums sums = {.from = from, .walk = walk, .inner = inner, .n = n, .r = r};
    add_sums(&sums, 0, at);
    arena_free(scratch);
    *all = sums.all;
    return true;
}

Reach auto_sums(const Auto *g, const Expr *sum)
{
    Reach all;
    const Ten *t = sum->op == EX_load ? ten(g->te, sum->v.ref) : NULL;
    const Stage *s = t && t->kind == TEN_stage ? g->te->stage.at[t->stage] : NULL;
    if (!s || s->kind != ST_reduce || s->op != RED_sum || auto_known_sums(g, s->out) || !sums_of(g, s, &all))
        return auto_reach(g, sum);
    *map_u64(g->sums, s->out, true) = (uint64_t)(uintptr_t)arena_copy(g->a, &all, sizeof all);
    return all;
}

const Reach *auto_known_sums(const Auto *g, uint32_t t)
{
    const uint64_t *known = map_u64(g->sums, t, false);
    return known ? (const Reach *)(uintptr_t)*known : NULL;
}

/* ---- what is known of a sum that others add up to ---- */

enum { MOST_PARTS = 3 };

/* Loads of one place, by tensor. */
typedef struct Parts { const Expr *load[MOST_PARTS]; int n; } Parts;

/* A part of another rank counts rows otherwise (auto_clip.c). */
static bool is_at(const Expr *p, const Expr *q) { return p->n != q->n || memcmp(p->a, q->a, p->n * sizeof *p->a) == 0; }

static bool add_parts(Parts *p, const Expr *e)
{
    if (e->op == EX_add)
        return add_parts(p, e->a[0]) && add_parts(p, e->a[1]);
    if (e->op != EX_load || p->n == MOST_PARTS || (p->n && !is_at(p->load[0], e)))
        return false;
    int k = p->n++;
    for (; k > 0 && p->load[k - 1]->v.ref > e->v.ref; k--)
        p->load[k] = p->load[k - 1];
    p->load[k] = e;
    return true;
}

/* What a total of such parts is known by; NULL: e is none. */
static const char *total_key(const Auto *g, const Expr *e)
{
    Parts p = {.n = 0};
    Text t = {.arena = g->a};
    if (e->op != EX_add || e->dt != DT_i32 || !add_parts(&p, e))
        return NULL;
    for (int k = 0; k < p.n; k++)
        text_add(&t, "%u ", p.load[k]->v.ref);
    return text_str(&t);
}

void auto_know_total(Auto *g, const Expr *total, const Reach *r)
{
    const char *key = total_key(g, total);
    if (key)
        *map_str(g->totals, key, true) = (uint64_t)(uintptr_t)r;
}

const Reach *auto_known_total(const Auto *g, const Expr *e)
{
    const char *key = g->totals->slot.n ? total_key(g, e) : NULL;
    const uint64_t *known = key ? map_str(g->totals, key, false) : NULL;
    return known ? (const Reach *)(uintptr_t)*known : NULL;
}

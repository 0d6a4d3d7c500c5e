/* SPDX-License-Identifier: Apache-2.0
 *
 * Tiles without a reduction: strips of one vector along the lanes, several side by side where that is faster.
 */
#include "ctile.h"

/* What the strip from lane `base` on stores at point p, of all of which one store takes care. */
static const char *strip_point(VGen *v, const void *base, int32_t p)
{
    Subst s[MAX_RANK + 1];
    const uint32_t n = v_place(v, p, base, s);
    v_turn_loads(v, p, base);
    return v_to_zip(v, v->t->store, tile_points(v->t), s, n);
}

static void map_strip(VGen *v, const Expr *base)
{
    const int32_t np = tile_points(v->t);
    if (v_zipped(v, base, 0) == np) {
        v_zip(v, base, 0, np, strip_point, base);
        return;
    }
    for (int32_t p = 0; p < np; p++) {
        Subst s[MAX_RANK + 1];
        const uint32_t n = v_place(v, p, base, s);
        v_turn_loads(v, p, base);
        for (int k = 0; k < v->t->nstore; k++)
            v_store(v, &v->t->store[k], s, n);
    }
}

void v_open_map_tile(VGen *v)
{
    for (int64_t q = 0; q * v->width < v->t->lanes; q++) {
        v_set_vector(v, q);
        map_strip(v, ex_int(v->g->x, q * v->width));
        v_forget(v, false);
    }
}

enum { LONG_CHAIN = 30 }; /* operations one after the other, of which a core cannot look past more than a few */

int v_cost(const Tile *t)
{
    int cost = 0;
    for (int k = 0; k < t->nstore; k++)
        cost += ex_cost(t->store[k].value);
    return cost;
}

/* Strips go side by side where each is a long chain, or where they are stored together. */
static int32_t strips_at_once(const Tile *t, int32_t packed) { return v_cost(t) >= LONG_CHAIN ? 2 : packed; }

void v_begin_turn(VGen *v, Out *part, const Out *outer)
{
    out_init(part, v->g->a);
    part->depth = outer->depth;
    v->g->o = part;
}

/* Loads come earlier by that, never later. */
void v_interleave(Out *o, Out *part, int32_t n)
{
    const char *s[MOST_TURNS];
    for (int32_t k = 0; k < n; k++)
        s[k] = part[k].text.n ? text_str(&part[k].text) : "";
    for (bool more = true; more;) {
        more = false;
        for (int32_t k = 0; k < n; k++) {
            const char *end = strchr(s[k], '\n');
            const size_t length = end ? (size_t)(end - s[k]) + 1 : strlen(s[k]);
            text_put(&o->text, s[k], length);
            s[k] += length;
            more = more || *s[k];
        }
    }
}

/* What a strip stores at each point, before it is narrowed. */
static void strip_values(VGen *v, const Expr *base, const char **value)
{
    for (int32_t p = 0; p < tile_points(v->t); p++) {
        Subst s[MAX_RANK + 1];
        const uint32_t n = v_place(v, p, base, s);
        for (int k = 0; k < v->t->nstore; k++)
            *value++ = v_unpacked(v, &v->t->store[k], s, n);
    }
}

static void store_strips(VGen *v, const Expr *base, const char **const value, int32_t count)
{
    const int32_t np = tile_points(v->t), each = np * v->t->nstore;
    for (int32_t p = 0; p < np; p++) {
        Subst s[MAX_RANK + 1];
        const uint32_t n = v_place(v, p, base, s);
        for (int k = 0; k < v->t->nstore; k++) {
            const char *side[MOST_PACKED];
            for (int32_t i = 0; i < count; i++)
                side[i] = value[i * each + p * v->t->nstore + k];
            v_store_packed(v, &v->t->store[k], s, n, side, count);
        }
    }
}

static void several_strips(VGen *v, const Expr *base, int32_t count, bool packed)
{
    CGen *g = v->g;
    Out *outer = g->o, part[MOST_PACKED];
    const int32_t each = tile_points(v->t) * v->t->nstore;
    const char **value = NEWN(g->a, const char *, (size_t)(count * each));
    for (int32_t k = 0; k < count; k++) {
        const Expr *at = ex_add(g->x, base, ex_int(g->x, (int64_t)k * v->width));
        v_begin_turn(v, &part[k], outer);
        if (packed)
            strip_values(v, at, value + k * each);
        else
            map_strip(v, at);
        v_forget(v, false);
    }
    g->o = outer;
    v_interleave(outer, part, count);
    if (packed)
        store_strips(v, base, value, count);
}

enum { WORDS = 2 }; /* 16-bit numbers of a lane */

static bool sums_words(VGen *v)
{
    bool all = v->t->nstore > 0;
    for (int k = 0; k < v->t->nstore; k++)
        all = all && v_sums_words(v, &v->t->store[k]);
    return all;
}

static void strip_of_words(VGen *v, const Expr *base)
{
    for (int32_t p = 0; p < tile_points(v->t); p++) {
        Subst s[MAX_RANK + 1];
        const uint32_t n = v_place(v, p, base, s);
        for (int k = 0; k < v->t->nstore; k++)
            v_store_words(v, &v->t->store[k], s, n);
    }
}

/* How strips of several vectors go: side by side, those stored together, or as one of lanes half as wide. */
typedef enum StripForm { SF_beside, SF_packed, SF_words } StripForm;

/* The strips from lane `from`, `at_once` of them in a turn. Returns the lane behind. */
static int64_t map_strips(VGen *v, int64_t from, int64_t end, int32_t at_once, StripForm form)
{
    CGen *g = v->g;
    const int64_t step = (int64_t)at_once * v->width, turns = (end - from) / step;
    if (turns == 0)
        return from;
    const Expr *q =
        turns > 1 ? ex_var(g->x, VK_INDEX, DT_ix, "l", from, from + (turns - 1) * step) : ex_int(g->x, from);
    const char *i = turns > 1 ? var_ident(g, q) : NULL;
    if (i)
        open_block(g->o, "for (%s %s = %lld; %s < %lld; %s += %lld)", c_type(g, DT_ix), i, (long long)from, i,
                   (long long)(from + turns * step), i, (long long)step);
    v->strip = i ? q : NULL;
    if (form == SF_words)
        strip_of_words(v, q);
    else if (at_once > 1)
        several_strips(v, q, at_once, form == SF_packed);
    else
        map_strip(v, q);
    v_forget(v, i != NULL);
    v->strip = NULL;
    if (i) {
        close_block(g->o, "");
        c_release(g, i);
    }
    return from + turns * step;
}

void v_map_tile(VGen *v)
{
    const int64_t whole = v->t->lanes / v->width * v->width;
    v_set_count(v, v->width);
    const int32_t packed = v_packs_all(v);
    int64_t done = sums_words(v) ? map_strips(v, 0, whole, WORDS, SF_words) : 0;
    for (int32_t n = v_turns_loads(v) ? 1 : strips_at_once(v->t, packed); n > 0; n /= 2)
        done = map_strips(v, done, whole, n, packed > 1 ? SF_packed : SF_beside);
    if (whole < v->t->lanes) {
        v_set_count(v, v->t->lanes - whole);
        map_strip(v, ex_int(v->g->x, whole));
    }
}

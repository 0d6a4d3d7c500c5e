/* SPDX-License-Identifier: Apache-2.0
 *
 * A constant w of signed bytes as a + r, for auto_clip.c. a has no eight steps of a column of which those that a lane of 16 bits adds up, 0, 1, 4, 5 and 2, 3, 6, 7,
 * are more than 128 together, those of one sign; r is what was cut off, as recipes, and as lists of what is not 0.
 */
#include <inttypes.h>

#include "auto_clip.h"

enum { OCT = 8, MOST = 128 };

/* Cuts the largest of those that one lane adds up until they fit. */
static void clip_lane(int8_t *w, const uint8_t *lane, int sign)
{
    for (;;) {
        int sum = 0, large = lane[0];
        for (int q = 0; q < OCT / 2; q++) {
            sum += w[lane[q]] * sign > 0 ? w[lane[q]] * sign : 0;
            large = w[lane[q]] * sign > w[large] * sign ? lane[q] : large;
        }
        if (sum <= MOST)
            return;
        w[large] = (int8_t)(w[large] - sign * min_i32(sum - MOST, w[large] * sign));
    }
}

static void clip(int8_t *w)
{
    static const uint8_t lane[2][OCT / 2] = {{0, 1, 4, 5}, {2, 3, 6, 7}};
    for (int h = 0; h < 2; h++)
        for (int sign = 1; sign >= -1; sign -= 2)
            clip_lane(w, lane[h], sign);
}

/* The constant as the product walks it. */
typedef struct Walk { Recipe r; ElementWalk step, lane; int64_t at; } Walk;

typedef void (*SeeOct)(void *ctx, int64_t lane, int64_t step, const int8_t *w, const int8_t *clipped);

/* fn for all eights of steps of all columns. */
static void walk_octs(const Walk *c, const int8_t *from, SeeOct fn, void *ctx)
{
    for (int64_t k = 0; k < c->step.extent; k += OCT)
        for (int64_t l = 0; l < c->lane.extent; l++) {
            int8_t w[OCT], a[OCT];
            for (int q = 0; q < OCT; q++)
                w[q] = from[c->at + (k + q) * c->step.stride + l * c->lane.stride];
            memcpy(a, w, sizeof a);
            clip(a);
            fn(ctx, l, k, w, a);
        }
}

typedef struct Target { const Walk *c; int8_t *out; } Target;

static void put_clipped(void *ctx, int64_t lane, int64_t step, const int8_t *w, const int8_t *clipped)
{
    const Target *t = ctx;
    (void)w;
    for (int q = 0; q < OCT; q++)
        t->out[t->c->at + (step + q) * t->c->step.stride + lane * t->c->lane.stride] = clipped[q];
}

static void put_rest(void *ctx, int64_t lane, int64_t step, const int8_t *w, const int8_t *clipped)
{
    const Target *t = ctx;
    for (int q = 0; q < OCT; q++)
        t->out[lane * t->c->step.extent + step + q] = (int8_t)(w[q] - clipped[q]);
}

static void count_rest(void *ctx, int64_t lane, int64_t step, const int8_t *w, const int8_t *clipped)
{
    int64_t *n = ctx;
    (void)lane;
    (void)step;
    for (int q = 0; q < OCT; q++)
        *n += w[q] != clipped[q];
}

static void make_clipped(const Recipe *r, const char *from, int64_t first, int64_t n, char *out)
{
    memcpy(out, from + first, (size_t)n);
    walk_octs((const Walk *)r, (const int8_t *)from, put_clipped, &(Target){(const Walk *)r, (int8_t *)out});
}

static void make_rest(const Recipe *r, const char *from, int64_t first, int64_t n, char *out)
{
    (void)first;
    (void)n;
    walk_octs((const Walk *)r, (const int8_t *)from, put_rest, &(Target){(const Walk *)r, (int8_t *)out});
}

int64_t clip_count(const Auto *g, const Clip *c)
{
    Arena *scratch = arena_child(g->a);
    const Walk w = {.step = c->p.walk[0], .lane = c->p.walk[1], .at = c->p.at};
    int64_t n = 0;
    walk_octs(&w, blob_all(ten(g->te, c->p.w->v.ref)->data, scratch), count_rest, &n);
    arena_free(scratch);
    return n;
}

static const Walk *walk_of(Auto *g, const Clip *c, int64_t unit, void (*make)(const Recipe *r, const char *from, int64_t first, int64_t n, char *out))
{
    Walk *w = NEW(g->a, Walk);
    *w = (Walk){.r = {.arena = g->a, .from = ten(g->te, c->p.w->v.ref)->data, .unit = unit, .make = make}, .step = c->p.walk[0], .lane = c->p.walk[1], .at = c->p.at};
    return w;
}

/* A constant made of w, which products that walk it alike share. */
static uint32_t constant(Auto *g, const Clip *c, const char *what, uint8_t rank, const Expr *const *dim, void (*make)(const Recipe *r, const char *from, int64_t first, int64_t n, char *out))
{
    const Ten *w = ten(g->te, c->p.w->v.ref);
    uint64_t *made = map_str(g->made, str_fmt(g->a, "%s %u %" PRId64 " %" PRId64 "*%" PRId64 " %" PRId64 "*%" PRId64, what, c->p.w->v.ref, c->p.at, c->p.steps, c->p.walk[0].stride, c->lanes, c->p.walk[1].stride), true);
    int64_t n = 1;
    if (*made)
        return (uint32_t)*made;
    for (uint8_t d = 0; d < rank; d++)
        n *= dim[d]->v.i;
    *made = auto_tensor(g, str_fmt(g->a, "%s.%s%u", w->name, what, g->te->ten.n), TEN_const, rank, dim);
    ten(g->te, (uint32_t)*made)->dt = DT_i8;
    ten(g->te, (uint32_t)*made)->data = blob_made(g->a, DT_i8, n, &walk_of(g, c, n, make)->r);
    return (uint32_t)*made;
}

uint32_t clip_constant(Auto *g, const Clip *c)
{
    const Ten *w = ten(g->te, c->p.w->v.ref);
    return constant(g, c, "clipped", w->rank, w->dim, make_clipped);
}

uint32_t clip_rest(Auto *g, const Clip *c)
{
    const Expr *dim[] = {ex_int(g->x, c->lanes), ex_int(g->x, c->p.steps)};
    const uint32_t t = constant(g, c, "rest", 2, dim, make_rest);
    Ten *r = ten(g->te, t);
    r->lists = r->lists ? r->lists : blob_lists(g->a, r->data, c->lanes, c->p.steps);
    return t;
}

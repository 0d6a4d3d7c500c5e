/* SPDX-License-Identifier: Apache-2.0
 * See auto_winograd.h: cycles of the direct sum and of filtering. */
#include <math.h>

#include "auto_winograd.h"
#include "parallel_cost.h"

static const double LEAST_GAIN = 0.1; /* of the direct sum */

enum {
    MIN_CHANNELS = 16,
    MIN_TILES = 8,     /* rows of a product whose constant comes from memory: fewer wait for it, and cores together (512 channels at 7 pixels, four tiles: 1.12 of the time, on two threads 1.26) */
    NARROW_GROWTH = 4  /* what is rounded to bf16 behind transforms must not be larger than so many times what they read */
};

int64_t winograd_images(const Auto *g, const Conv *c)
{
    return points_of_stage(g, ten(g->te, c->s->out)->stage) / winograd_extent(g, c, c->out) / winograd_extent(g, c, c->side[0]) / winograd_extent(g, c, c->side[1]);
}

/* Products are as slow as the arithmetic or the constant, which is asked for ahead, whichever takes longer.
 * Cycles to read n bytes once, when they do not stay in the second-level cache between uses: of constants, which come from memory
 * where the last level does not hold those of the model; of what is made shortly before. */
static double stream_cost(const Auto *g, double bytes, double rate) { return bytes > g->m->l2_bytes / 2.0 ? bytes / rate : 0; }
static bool comes_from_memory(const Auto *g, double bytes) { return fmax(bytes, (double)all_constants(g)) > (double)g->m->l3_bytes; }
static double constant_cost(const Auto *g, double bytes) { return stream_cost(g, bytes, comes_from_memory(g, bytes) ? g->m->ram_rate : g->m->l3_rate); }
static double made_cost(const Auto *g, double bytes) { return stream_cost(g, bytes, bytes > g->m->l3_bytes ? g->m->ram_rate : g->m->l3_rate); }

/* Products of floats become those of pairs of bf16 (auto_narrow.c), as the direct ones would. */
static bool multiplies_in_bf16(const Auto *g) { return g->te->cx->fp == FP_bf16 && multiplies_pairs(g->m); }

/* Multiply-adds of a cycle, and bytes of an operand: of the direct sum, and of the products that take its place. */
typedef struct Rate { double macs, bytes; } Rate;

static Rate rate_of(const Auto *g, double by_lane, double bytes) { return (Rate){g->m->fma_rate * g->m->lanes_f32 * by_lane, bytes}; }
static Rate rate_of_floats(const Auto *g) { return multiplies_in_bf16(g) ? rate_of(g, 2 * g->m->dot_bf16, 2) : rate_of(g, 1, 4); }
static Rate rate_of_words(const Auto *g, double bytes) { return rate_of(g, 2 * g->m->dot_i16, bytes); }
static Rate product_rate(const Auto *g, const Conv *c) { return c->sum == DT_f32 ? rate_of_floats(g) : rate_of_words(g, 2); }

static Rate direct_rate(const Auto *g, const Conv *c)
{
    const DType x = (DType)c->x->dt, w = (DType)c->w->dt;
    return c->sum == DT_f32 ? rate_of_floats(g) : multiplies_words(g, x, w) ? rate_of_words(g, 1) : rate_of(g, 4 * byte_dot_rate(g->m, x, w), 1);
}

static double direct_cost(const Auto *g, const Conv *c)
{
    const double in = (double)c->s->rext[c->channel]->v.i, out = (double)winograd_extent(g, c, c->out);
    const double pixels = (double)(winograd_images(g, c) * winograd_extent(g, c, c->side[0]) * winograd_extent(g, c, c->side[1]));
    const Rate r = direct_rate(g, c);
    return fmax(pixels * in * out * TAPS * TAPS / r.macs, constant_cost(g, in * out * TAPS * TAPS * r.bytes));
}

/* What is made of a row of tiles stays in the second-level cache beside the constant, so that all goes by strips (auto_strips.c). */
static double between_cost(const Auto *g, const Conv *c, const Filtering *f, double constant, double all)
{
    return winograd_images(g, c) == 1 && constant + all / (double)winograd_tiles(g, c, 0, f->tile) <= (double)g->m->l2_bytes ? 0 : 2 * made_cost(g, all);
}

static double points_bytes(const Auto *g, const Conv *c, const Filtering *f)
{
    return (double)(winograd_matrices(f) * c->s->rext[c->channel]->v.i * winograd_extent(g, c, c->out)) * product_rate(g, c).bytes;
}

/* Bytes that the constant grows by: of bytes eightfold, where floats grow fourfold. */
int64_t winograd_growth(const Auto *g, const Conv *c, const Filtering *f)
{
    const int64_t taps = TAPS * TAPS * (int64_t)dtype_bytes((DType)c->w->dt);
    return (winograd_matrices(f) * (int64_t)dtype_bytes(c->factor) - taps) * c->s->rext[c->channel]->v.i * winograd_extent(g, c, c->out);
}

/* So those of bytes have to be worth what it takes to read them from memory once: on Zen 4 ResNet-50 would take 0.98 of the time with twice its constants. */
static double growth_cost(const Auto *g, const Conv *c, const Filtering *f) { return c->sum == DT_f32 ? 0 : (double)winograd_growth(g, c, f) / g->m->ram_rate; }

/* A transform's steps are some three operations for each of its points, and as many loads and stores beside them. */
static double winograd_cost(const Auto *g, const Conv *c, const Filtering *f)
{
    enum { STEPS = 3 };
    const double in = (double)c->s->rext[c->channel]->v.i, out = (double)winograd_extent(g, c, c->out), lanes = g->m->lanes_f32;
    const double q = (double)winograd_all_tiles(g, c, f->tile), points = (double)winograd_products(f);
    const Rate r = product_rate(g, c);
    const double products = points * q * in * out / r.macs, transforms = 2 * STEPS * points * q * (in + out) / (g->m->fma_rate * lanes);
    const double constant = points_bytes(g, c, f), all = points * q * (in * r.bytes + out * 4);
    return fmax(products, constant_cost(g, constant)) + transforms + between_cost(g, c, f, constant, all) + growth_cost(g, c, f);
}

/* Where a run is cut, its parts wait for each other behind both stages that are new. */
static double meetings_cost(const Auto *g) { return 2 * meet_cycles(g->parts - 1, g->parts) * g->parts; }

static bool may_filter(const Auto *g, const Conv *c, const Filtering *f)
{
    const bool rounds = c->sum == DT_f32 && multiplies_in_bf16(g);
    const bool waits = winograd_all_tiles(g, c, f->tile) < MIN_TILES && comes_from_memory(g, points_bytes(g, c, f));
    return f->stride == c->stride && !(rounds && f->growth > NARROW_GROWTH) && !waits;
}

double winograd_gain(const Auto *g, const Conv *c, const Filtering *f)
{
    const bool few = c->s->rext[c->channel]->v.i < MIN_CHANNELS || winograd_extent(g, c, c->out) < MIN_CHANNELS;
    if (few || !may_filter(g, c, f))
        return 0;
    const double direct = direct_cost(g, c), gain = direct - winograd_cost(g, c, f);
    return gain > LEAST_GAIN * direct + meetings_cost(g) ? gain : 0;
}

const Filtering *winograd_choose(const Auto *g, const Conv *c, const Filtering *f, size_t n)
{
    const Filtering *best = NULL;
    double most = 0;
    for (size_t k = 0; k < n; k++) {
        const double gain = winograd_gain(g, c, &f[k]);
        best = gain > most ? &f[k] : best;
        most = fmax(gain, most);
    }
    return best;
}

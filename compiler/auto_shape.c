/* SPDX-License-Identifier: Apache-2.0
 *
 * Shapes of register tiles of contractions. An analytic model picks rows x vectors: a step of the reduction costs max(FMAs, loads,
 * latency) cycles, and rows and lanes that do not divide cost tiles of their own. Tuning can take one of the next best.
 */
#include <inttypes.h>

#include "auto_tile.h"

enum { COMPACT_TILE = 4 };    /* vectors of sums under -Os: enough to keep two multiply-add units busy for half of their latency */
enum { OPEN_VECTORS = 2 };    /* of a tile whose lanes are known at run time: a part of them is wasted */
enum { TAP_REGISTERS = 8 };   /* of a depthwise tile: the constants of a row of taps and what they are multiplied with */
enum { TAP_VECTORS = 2 };     /* more would walk as many places of memory at a time */
enum { FMA_LATENCY = 8, STEP_OVERHEAD = 2, TILE_OVERHEAD = 48, OPEN_ROWS = 64, MAX_ROWS = 14, MAX_VECTORS = 4 };

/* Half cycles of one reduction step of a rows x vectors tile: two FMAs of four cycles, two loads (vector or broadcast) a cycle, as
 * every core with a row of vectors does (Haswell to Sapphire Rapids, Zen, Cortex-A76 and later), and what the step costs whatever
 * its size (loop, start of the streams): larger tiles are better. */
static double step_cost(int64_t rows, int64_t vectors, bool depthwise)
{
    const double fma = (double)(rows * vectors), loads = depthwise ? (double)vectors : (double)(rows + vectors);
    double c = fma > loads ? fma : loads;
    return (c > FMA_LATENCY ? c : FMA_LATENCY) + STEP_OVERHEAD;
}

/* Cost of covering n rows and `lanes` lanes. */
static double cover_cost(const Auto *g, int64_t n, int64_t lanes, int64_t steps, int64_t rows, int64_t vectors, bool depthwise)
{
    const int64_t width = g->m->lanes_f32, nv = (lanes + width - 1) / width;
    double sum = 0;
    for (int row_part = 0; row_part < 2; row_part++)
        for (int lane_part = 0; lane_part < 2; lane_part++) {
            const int64_t r = row_part ? n % rows : rows, v = lane_part ? nv % vectors : vectors;
            const int64_t count = (row_part ? r > 0 : n / rows) * (lane_part ? v > 0 : nv / vectors);
            if (count)
                sum += (double)count * ((double)steps * step_cost(r, v, depthwise) + TILE_OVERHEAD + (double)(2 * r * v));
        }
    return sum;
}

/* -Os: no tile beside the one of the loop, and that one of few instructions. */
static bool is_compact(int64_t n, int64_t nv, int64_t rows, int64_t vectors)
{
    return n % rows == 0 && nv % vectors == 0 && rows * vectors <= COMPACT_TILE;
}

static ShapeList best_shapes(const Auto *g, int64_t n, int64_t lanes, int64_t steps, bool depthwise, int64_t most)
{
    ShapeList best = {0};
    const int64_t width = g->m->lanes_f32, nv = (lanes + width - 1) / width;
    for (int64_t v = 1; v <= min_i64(most, nv); v++)
        for (int64_t r = 1; r <= min_i64(MAX_ROWS, n); r++) {
            if (r * v + (depthwise ? TAP_REGISTERS : v + 1) > g->m->vregs)
                continue;
            if (g->te->cx->small && !is_compact(n, nv, r, v))
                continue;
            shapes_add(&best, (TileShape){1, (int32_t)r, (int32_t)(v * width), cover_cost(g, n, lanes, steps, r, v, depthwise)});
        }
    if (!best.n) /* -Os: nothing is small enough */
        shapes_add(&best, (TileShape){1, 1, (int32_t)width, 0});
    return best;
}

/* Lanes in a row: those that share an operand, or all. */
static int64_t lanes_of(const Auto *g, const Dot *d, const Ten *t)
{
    return d->group ? d->group : extent_of(g, t->dim[d->lane]);
}

TileShape shape_of_tile(const Auto *g, const Dot *d, const Stage *s, int64_t lanes, const char **kind)
{
    const Ten *t = ten(g->te, s->out);
    const bool open = !ex_is_const(t->dim[d->lane]);
    const Expr *row = d->row >= 0 ? t->dim[d->row] : NULL;
    const int64_t rows = !row ? 1 : ex_is_const(row) ? row->v.i : OPEN_ROWS;
    const bool depthwise = is_depthwise(d);
    const int64_t steps = reduction_steps(g, s) / d->quad;
    const ShapeList best = best_shapes(g, rows, lanes, steps, depthwise, open ? OPEN_VECTORS : depthwise ? TAP_VECTORS : MAX_VECTORS);
    *kind = str_fmt(g->a, "%s %s %s%" PRId64 "x%" PRId64 "x%" PRId64, depthwise ? "depthwise" : "dense", dtype_info((DType)d->w->dt)->name, open ? "open " : "", rows, lanes, steps);
    return tuning_choose(g->tuning, *kind, &best);
}

int64_t lanes_per_tile(const Auto *g, const Dot *d, uint32_t k)
{
    const Stage *s = g->te->stage.at[k];
    const int64_t lanes = lanes_of(g, d, ten(g->te, s->out));
    const char *kind;
    if (g->matrix.at[s->out])
        return g->matrix.at[s->out]->lanes;
    return is_depthwise(d) ? lanes : min_i64(shape_of_tile(g, d, s, lanes, &kind).lanes, lanes);
}

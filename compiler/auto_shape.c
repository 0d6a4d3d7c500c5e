/* SPDX-License-Identifier: Apache-2.0
 *
 * Shapes of register tiles of contractions. An analytic model picks rows x vectors: a step of the reduction costs max(FMAs, loads,
 * latency) cycles, and rows and lanes that do not divide cost tiles of their own. Tuning can take one of the next best.
 */
#include <inttypes.h>
#include <math.h>

#include "auto_tile.h"

enum { COMPACT_TILE = 4 };    /* vectors of sums under -Os: enough to keep two multiply-add units busy for half of their latency */
enum { OPEN_VECTORS = 2 };    /* of a tile whose lanes are known at run time: a part of them is wasted */
enum { TAP_REGISTERS = 8 };   /* of a depthwise tile: the constants of a row of taps and what they are multiplied with */
enum { STREAM = 9 };          /* half cycles for a line out of the second-level cache */
enum { TAP_VECTORS = 2 };     /* more would walk as many places of memory at a time */
/* Tiles of few rows wait for their constant alone. A core reads memory faster at several places than at one, some lines after each
 * other at each: 16.2 GB/s at one, 17.8, 18.1 and 18.1 at two, three and four in pages of 4 KB; at one 13.3 where the pages lay worse
 * (1536 columns, Sapphire Rapids). Blocks of four vectors beside two: a step of Llama-135M in 0.97 of the time. The costs of whole
 * tiles follow that order; between two and four places they only break ties. For every machine, until others are measured. */
enum { STREAM_ROWS = 4 };
#define CROWDED (12.0 * 4 / LINE) /* of such a row in a step of four bytes: half cycles, six for a line of the second-level cache */
static const struct Places { uint8_t vectors, block; double cost; } places[] = {{2, 2, 1.14}, {4, 2, 1.03}, {6, 2, 1.02}, {8, 4, 1.01}, {12, 4, 1}};
enum { ROWS_OF_PHASE = 4 };   /* of a tile that keeps the constant of each phase in registers (k 16, stride 8, 128 -> 64 channels: 1.35 of the time) */
enum { TWIN_VECTORS = 7 };    /* of a tile of twin steps: all lanes that take them (auto_twin.c) */
enum { FMA_LATENCY = 8, STEP_OVERHEAD = 2, TILE_OVERHEAD = 48, OPEN_ROWS = 64, MAX_ROWS = 14, MAX_VECTORS = 4 };
/* Where all but multiplications has units of its own (Zen 4), what is stored of a tile goes beside the multiplications of the next, as far as the
 * core looks ahead, and a step costs nothing beside its dots. Of n sums 0.04 n^2 cycles are left: 8 steps of pairs of bf16 in 14x2 vectors take
 * 1.15 of what their dots do, in 4x2 1.01, in 8x1, with as many sums and more loads, 1.08. In half cycles: of the latency of dots, of a load
 * (0.1 to 0.3 make no difference for networks), of a sum by each other. */
enum { DOT_LATENCY = 14 };
#define BESIDE_LOAD 0.15
#define BESIDE_SUM 0.08

/* What a tile covers: rows of one variable, and those of an outer one that could join them; 1: none could. Lanes of one vector: half of
 * what it has where steps are twins. Bytes of x from one row to the next, of each; 0: not always the same.
 * lines, products: of a step, vectors of the constant for each of lanes, and multiply-adds for each sum.
 * parts: registers of what a dot of several instructions adds up.
 * phases: constants of one step, each of which every phases-th row takes. beside: what is stored goes beside multiplications, though no steps are
 * made apart for it (auto_tile_dot.c). */
typedef struct ShapeWork { int64_t outer, rows, lanes, width, steps, lines, products, parts; bool depthwise, beside; int64_t outer_bytes, row_bytes, phases; } ShapeWork;

/* Registers beside those of sums: of the constant, what a step has of each vector, where rows that share four numbers of 24 bits find them made,
 * and what x and those numbers are made in. */
static int64_t beside_sums(const Auto *g, const ShapeWork *w, int64_t rows, int64_t vectors)
{
    if (w->depthwise)
        return TAP_REGISTERS;
    return w->products == SLIM_STEPS && rows > 1 ? slim_registers(g->m, vectors) : vectors * min_i64(w->phases, rows) + 1 + w->parts;
}

static int64_t vectors_of(const ShapeWork *w) { return (w->lanes + w->width - 1) / w->width; }

/* Rows of a tile that do not stay in the first-level cache while they are walked: of lines that are whole pages apart it keeps one
 * for each of its ways (a page each, on x86), of which the constant's take one. 128x3072x768 with 13 rows of 12 KB side by side: 80 %
 * of the peak where there are 8 ways (Zen 4), 92 % and more with five. */
static int64_t crowded_rows(const Auto *g, const ShapeWork *w, int64_t down, int64_t rows)
{
    uint8_t lines[PAGE / LINE] = {0};
    int64_t crowded = 0;
    for (int64_t i = 0; i < down; i++)
        for (int64_t j = 0; j < rows; j++)
            lines[(i * (w->outer_bytes % PAGE) + j * (w->row_bytes % PAGE)) % PAGE / LINE]++;
    for (size_t k = 0; k < COUNT(lines); k++)
        crowded += lines[k] > g->m->l1_bytes / PAGE - 1 ? lines[k] : 0;
    return w->row_bytes >= LINE ? crowded : 0;
}

/* Half cycles of one reduction step of a rows x vectors tile: FMAs of four cycles, as many loads of vectors and two of one element a
 * cycle, as every core with a row of vectors does (Haswell to Sapphire Rapids, Zen, Cortex-A76 and later), and what the step costs
 * whatever its size (loop, start of the streams): larger tiles are better. Vectors of a block that the first-level cache does not hold
 * come from the second for each row tile: a step of 7 x 3 vectors, 10.5 cycles of FMAs, takes 13.8 (Sapphire Rapids). */
static double step_cost(const Auto *g, const ShapeWork *w, int64_t rows, int64_t vectors)
{
    const int64_t elements = w->depthwise ? 0 : (rows + w->phases - 1) / w->phases + (w->phases > 1); /* rows between two of x share one */
    const int64_t whole = vectors * min_i64(w->phases, rows);
    const double fma = fma_cost(g, rows * vectors * w->products), loads = load_cost(g, w->lines * elements, w->lines * whole), latency = w->beside ? DOT_LATENCY : FMA_LATENCY;
    const int64_t bytes = vectors * g->m->lanes_f32 * (int64_t)sizeof(float); /* of a step */
    const bool streams = !w->depthwise && w->steps * w->lines * bytes > g->m->l1_bytes;
    const double least = streams ? fmax(latency, (double)(STREAM * bytes) / LINE) : latency;
    return fmax(fmax(fma, loads), least) + (w->beside ? BESIDE_LOAD * (double)(elements + whole) : STEP_OVERHEAD);
}

/* What a tile of n sums costs beside its steps: addresses, first values, stores. */
static double tile_cost(const ShapeWork *w, int64_t n) { return w->beside ? BESIDE_SUM * (double)(n * n) : TILE_OVERHEAD + (double)(2 * n); }

/* Cost of covering n rows and all lanes with tiles of so many rows, `down` values of the outer variable in each. */
static double cover_cost(const Auto *g, const ShapeWork *w, int64_t n, int64_t down, int64_t rows, int64_t vectors)
{
    const double waits = CROWDED * (double)crowded_rows(g, w, down, rows / down);
    const int64_t nv = vectors_of(w);
    double sum = 0;
    for (int row_part = 0; row_part < 2; row_part++)
        for (int lane_part = 0; lane_part < 2; lane_part++) {
            const int64_t r = row_part ? n % rows : rows, v = lane_part ? nv % vectors : vectors;
            const int64_t count = (row_part ? r > 0 : n / rows) * (lane_part ? v > 0 : nv / vectors);
            if (count)
                sum += (double)count * ((double)w->steps * (step_cost(g, w, r, v) + (row_part ? 0 : waits)) + tile_cost(w, r * v));
        }
    return sum;
}

/* -Os: no tile beside the one of the loop, and that one of few instructions. */
static bool is_compact(int64_t n, int64_t nv, int64_t rows, int64_t vectors)
{
    return n % rows == 0 && nv % vectors == 0 && rows * vectors <= COMPACT_TILE;
}

/* Rows of `down` values of the outer variable in one tile; what is left of them is a tile of its own. */
static double shape_cost(const Auto *g, const ShapeWork *w, int64_t down, int64_t rows, int64_t vectors)
{
    const int64_t left = w->outer % down * w->rows;
    return (double)(w->outer / down) * cover_cost(g, w, down * w->rows, down, down * rows, vectors) + (left ? cover_cost(g, w, left, w->outer % down, left, vectors) : 0);
}

static void try_shape(const Auto *g, const ShapeWork *w, int64_t down, int64_t rows, int64_t vectors, ShapeList *best)
{
    if (down * rows * vectors + beside_sums(g, w, down * rows, vectors) > g->m->vregs)
        return;
    if (rows % w->phases && rows < w->rows) /* which constant a row takes is known in each tile */
        return;
    if (g->te->cx->small && (down > 1 || !is_compact(w->rows, vectors_of(w), rows, vectors)))
        return;
    shapes_add(best, (TileShape){(int32_t)down, (int32_t)rows, (int32_t)(vectors * w->width), shape_cost(g, w, down, rows, vectors)});
}

static ShapeList best_shapes(const Auto *g, const ShapeWork *w, int64_t most)
{
    ShapeList best = {0};
    for (int64_t v = 1; v <= min_i64(most, vectors_of(w)); v++) {
        for (int64_t r = 1; r <= min_i64(MAX_ROWS, w->rows); r++)
            try_shape(g, w, 1, r, v, &best);
        for (int64_t down = 2; down <= min_i64(MAX_ROWS / w->rows, w->outer); down++)
            try_shape(g, w, down, w->rows, v, &best);
    }
    if (!best.n) /* -Os: nothing is small enough */
        shapes_add(&best, (TileShape){1, 1, (int32_t)w->width, 0});
    return best;
}

/* ---- streams ---- */

static bool is_streamed(const Auto *g, const ShapeWork *w, const Dot *d)
{
    const bool plain = is_constant_load(g, d->w) && d->w->op == EX_load && d->quad == 1 && d->group == w->lanes;
    const int64_t run = places[0].block * g->m->lanes_f32 * dot_lines(d) * (int64_t)dtype_bytes((DType)d->w->dt);
    return plain && !g->te->cx->small && w->outer * w->rows <= STREAM_ROWS && w->steps * run >= PAGE && g->outgrown;
}

/* What the part of a run that has most to do takes: vectors of one row. */
static double streams_cost(const Auto *g, const ShapeWork *w, const struct Places *p)
{
    const int64_t all = vectors_of(w), left = all % p->vectors, tiles = (all + p->vectors - 1) / p->vectors;
    const int64_t turns = (tiles + g->parts - 1) / g->parts;
    return p->cost * (double)(left && g->parts == 1 ? all : turns * p->vectors);
}

static ShapeList stream_shapes(const Auto *g, const ShapeWork *w)
{
    ShapeList best = {0};
    for (size_t k = 0; k < COUNT(places); k++) {
        const int64_t n = places[k].vectors, lanes = n * g->m->lanes_f32;
        if (w->outer * w->rows * n + beside_sums(g, w, w->outer * w->rows, n) <= g->m->vregs && lanes <= w->lanes)
            shapes_add(&best, (TileShape){(int32_t)w->outer, (int32_t)w->rows, (int32_t)lanes, streams_cost(g, w, &places[k])});
    }
    return best;
}

/* Lanes of a block of a constant that is walked so: tiles of so many have several. */
static int64_t stream_block(const Auto *g, int64_t lanes)
{
    for (size_t k = 0; k < COUNT(places); k++)
        if (places[k].vectors * g->m->lanes_f32 == lanes)
            return places[k].block * g->m->lanes_f32;
    return lanes;
}

/* ---- the shape of a product's tile ---- */

/* Lanes in a row: those that share an operand, or all. */
static int64_t lanes_of(const Auto *g, const Dot *d, const Ten *t)
{
    return d->group ? d->group : extent_of(g, t->dim[d->lane]);
}

int outer_rows(const Stage *s, const Ten *t, const Dot *d)
{
    for (int v = d->row - 1; v >= 0; v--)
        if (v != d->lane && !ex_is_int(t->dim[v], 1) && index_uses(d->x, s->var[v]) && !index_uses(d->w, s->var[v]))
            return v;
    return -1;
}

/* Few rows of one variable are joined by those of another. */
static int64_t joined_rows(const Stage *s, const Ten *t, const Dot *d, int64_t rows)
{
    const int outer = rows > 1 && 2 * rows <= MAX_ROWS && (!is_depthwise(d) || dots_lanes(d)) ? outer_rows(s, t, d) : -1;
    return outer >= 0 && ex_is_const(t->dim[outer]) ? t->dim[outer]->v.i : 1;
}

/* Bytes of memory from one value of v to the next; 0: not always as many. */
static int64_t bytes_between(const Auto *g, const Expr *load, const Expr *v)
{
    const uint32_t home = layout_home(g, load->v.ref);
    const Ten *t = ten(g->te, home);
    const Layout *l = &g->layout.at[home];
    int64_t each = (int64_t)dtype_bytes((DType)load->dt), sum = 0;
    for (int q = t->rank - 1; q >= 0; q--) {
        const uint8_t d = l->set ? l->order[q] : (uint8_t)q;
        bool linear;
        int64_t step = ex_coef(load->a[d], v, &linear);
        if (!linear || !mul_i64(step, each, &step) || !add_i64(sum, step, &sum) || !mul_i64(each, extent_of(g, t->dim[d]) + (l->set ? l->lo[d] + l->hi[d] : 0), &each))
            return 0;
    }
    return max_i64(sum, 0);
}

typedef struct Phases { const Expr *row; int64_t n; } Phases;

static void find_phases(void *ctx, const Expr *e)
{
    Phases *p = ctx;
    if (e->op == EX_mod && ex_is_const(e->a[1]) && ex_uses(e->a[0], p->row))
        p->n = max_i64(p->n, e->a[1]->v.i);
}

/* Rows after which the constant repeats: a transposed convolution has one for each pixel between two of x. 1: all share one, or a tile has so
 * few of each that nothing is kept for the next. */
static int64_t phases_of(const Stage *s, const Dot *d)
{
    Phases p = {d->row >= 0 ? s->var[d->row] : NULL, 1};
    for (uint16_t k = 0; k < ex_load_rank(d->w) && p.row; k++)
        ex_walk(d->w->a[k], find_phases, &p);
    return p.n <= MAX_ROWS / ROWS_OF_PHASE ? p.n : 1;
}

/* Pairs of 16 bits are multiplied, then added; bytes are taken apart to such pairs before. */
static int64_t parts_of_dot(const Auto *g, const Dot *d, const Stage *s)
{
    enum { OF_PAIRS = 1, OF_CLIPPED = 2, OF_BYTES = 3 };
    if (is_clipped(g, s))
        return OF_CLIPPED;
    if (g->m->dot_us8 >= 1 || g->m->dot_ss8 >= 1 || d->quad == 1)
        return 0;
    return dtype_is_byte((DType)d->x->dt) ? OF_BYTES : d->x->dt == DT_i16 ? OF_PAIRS : 0;
}

static ShapeWork work_of(const Auto *g, const Dot *d, const Stage *s, int64_t lanes)
{
    const Ten *t = ten(g->te, s->out);
    const Expr *row = d->row >= 0 ? t->dim[d->row] : NULL;
    const int64_t rows = !row ? 1 : ex_is_const(row) ? row->v.i : OPEN_ROWS;
    const int outer = d->row >= 0 ? outer_rows(s, t, d) : -1;
    const int64_t width = g->m->lanes_f32 / (g->twins.at[s->out] ? TWIN : 1);
    const bool beside = g->m->adds_apart && !dtype_is_byte((DType)d->x->dt);
    return (ShapeWork){joined_rows(s, t, d, rows), rows, lanes, width, reduction_steps(g, s) / d->quad, dot_lines(d), d->slim ? SLIM_STEPS : d->thirds ? 2 : 1, parts_of_dot(g, d, s), is_depthwise(d), beside,
                       outer >= 0 ? bytes_between(g, d->x, s->var[outer]) : 0, row ? bytes_between(g, d->x, s->var[d->row]) : 0, phases_of(s, d)};
}

TileShape shape_of_tile(const Auto *g, const Dot *d, const Stage *s, int64_t lanes, const char **kind)
{
    const bool open = !ex_is_const(ten(g->te, s->out)->dim[d->lane]), depthwise = is_depthwise(d), twin = g->twins.at[s->out];
    const ShapeWork w = work_of(g, d, s, lanes);
    const ShapeList few = is_streamed(g, &w, d) ? stream_shapes(g, &w) : (ShapeList){0};
    const ShapeList best = few.n ? few : best_shapes(g, &w, open ? OPEN_VECTORS : depthwise ? TAP_VECTORS : twin ? TWIN_VECTORS : d->thirds ? 1 : MAX_VECTORS);
    const char *outer = w.outer > 1 ? str_fmt(g->a, "%" PRId64 "*", w.outer) : "";
    const char *unit = few.n ? "streamed" : depthwise ? "depthwise" : twin ? "twin" : d->thirds ? "thirds" : d->slim ? "slim" : "dense", *type = dtype_info((DType)d->w->dt)->name;
    *kind = str_fmt(g->a, "%s %s %s%s%" PRId64 "x%" PRId64 "x%" PRId64, unit, type, open ? "open " : "", outer, w.rows, lanes, w.steps);
    return tuning_choose(g->tuning, *kind, &best);
}

double fused_rows_cost(const Auto *g, const Dot *d, const Stage *s)
{
    ShapeWork w = work_of(g, d, s, lanes_of(g, d, ten(g->te, s->out)));
    if (w.outer < 2 || g->te->cx->small || is_streamed(g, &w, d))
        return 1;
    const double apart = best_shapes(g, &w, MAX_VECTORS).at[0].cost;
    w.rows *= w.outer;
    w.outer = 1;
    return best_shapes(g, &w, MAX_VECTORS).at[0].cost / apart;
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

int64_t lanes_per_block(const Auto *g, const Dot *d, uint32_t k)
{
    const Stage *s = g->te->stage.at[k];
    const int64_t lanes = lanes_per_tile(g, d, k);
    if (d->lane < 0)
        return lanes;
    const ShapeWork w = work_of(g, d, s, lanes_of(g, d, ten(g->te, s->out)));
    return is_streamed(g, &w, d) ? stream_block(g, lanes) : lanes;
}

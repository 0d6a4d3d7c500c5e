/* SPDX-License-Identifier: Apache-2.0
 *
 * Shapes of tiles for a matrix unit whose tiles have 16 rows of 64 bytes (AMX). Costs are cycles, as tests/bench/amx_rates.c
 * measures them on Sapphire and Granite Rapids. A tile has up to four sums of 16 x 16: two down and two along, one down and four
 * along where there are few rows, or four down where the constant comes from the second-level cache. Rows of two variables may lie
 * evenly in memory, as those of a picture without a border: then they are joined, and a picture of 7 x 7 is 28 + 21 rows, not seven
 * times 7.
 */
#include <inttypes.h>

#include "auto.h"

enum { SIDE = 16, SUMS = 4, LOAD = 8, LOAD_FAR = 20, WAIT_FAR = 6, STORE = 15, BLOCK = 60, CONFIGURE = 160 };
enum { FEW_ROWS = 4 }; /* left to vectors */
enum { GROUP_BYTES = 4 }; /* of the reduction, side by side in a row of a tile */

/* A product takes a cycle a row, but not less than the loading of the other operand into the unit. */
static double product_cost(int64_t rows)
{
    return (double)max_i64(rows, 8) * 0.8 + 3.2;
}

/* What a contraction asks for: rows of two variables, which lie evenly when they join, lanes, windows of groups of the
 * reduction, of which `overlap` read the same element of x along the rows. */
typedef struct MatrixWork { int64_t rows, outer, lanes, windows, groups, l1_bytes; bool joins; int64_t overlap; } MatrixWork;

/* Of one lane of the constant, and of a row of x as often as windows read it. */
static int64_t bytes_of(const MatrixWork *w) { return GROUP_BYTES * w->windows * w->groups; }

/* Of x, what so many rows read. */
static int64_t bytes_of_rows(const MatrixWork *w, int64_t rows) { return bytes_of(w) * rows / w->overlap; }

/* A block of the constant that fills the first-level cache comes from the second. */
static bool is_far(const MatrixWork *w, int64_t lanes) { return bytes_of(w) * lanes > w->l1_bytes / 2; }

/* Down tiles of rows, along lanes, of so many steps; the sums are stored, and read again by the epilogue. A load from afar is waited
 * for even where products take longer: 3x3x128 takes 1.24 of its products with two beside four products, 1.10 with one. */
static double block_cost(const MatrixWork *w, int64_t down, int64_t rows, int64_t lanes, int64_t steps)
{
    const int64_t along = (lanes + SIDE - 1) / SIDE;
    const bool far = is_far(w, lanes);
    const double products = (double)(down * along) * product_cost(rows), loads = (double)(LOAD * down + (far ? LOAD_FAR : LOAD) * along);
    const double wait = far ? (double)(WAIT_FAR * along) : 0;
    return (double)steps * ((products > loads ? products : loads) + wait) + (double)(down * along * (STORE + rows)) + BLOCK;
}

/* What is left needs no shape of its own: it is one tile like the first of two. */
static bool agrees(int64_t rows, int64_t left) { return rows > SIDE && left == (rows + 1) / 2; }

/* So many rows of one or two tiles that follow each other. */
static double run_cost(const MatrixWork *w, int64_t rows, int64_t lanes, int64_t steps)
{
    const int64_t tiles = rows > SIDE ? 2 : 1;
    return block_cost(w, tiles, (rows + tiles - 1) / tiles, lanes, steps);
}

/* s->down values of the outer variable joined; what is left has a shape of its own. */
static double joined_cost(const MatrixWork *w, const TileShape *s, int64_t lanes, int64_t steps)
{
    const int64_t rows = s->down * s->rows, left = w->outer % s->down * s->rows;
    double sum = (double)(w->outer / s->down) * run_cost(w, rows, lanes, steps);
    if (left)
        sum += run_cost(w, left, lanes, steps) + (agrees(rows, left) ? 0 : 2 * CONFIGURE);
    return sum;
}

/* The rows in tiles of s->rows, of which what is left has a shape of its own. */
static double rows_cost(const MatrixWork *w, const TileShape *s, int64_t lanes, int64_t steps)
{
    if (w->joins && s->down > 1)
        return joined_cost(w, s, lanes, steps);
    const int64_t tiles = (s->rows + SIDE - 1) / SIDE, left = w->rows % s->rows, left_tiles = left > SIDE ? 2 : 1;
    double sum = (double)(w->rows / s->rows) * block_cost(w, tiles * s->down, s->rows / tiles, lanes, steps);
    if (left)
        sum += block_cost(w, left_tiles * s->down, left / left_tiles, lanes, steps) + (agrees(s->rows, left) ? 0 : 2 * CONFIGURE);
    return sum * (double)((w->outer + s->down - 1) / s->down);
}

/* Steps of 16 groups or less that go into all of them without a rest. */
static int64_t steps_of(int64_t groups)
{
    int64_t step = SIDE;
    while (groups % step)
        step--;
    return groups / step;
}

static void try_shape(ShapeList *best, const MatrixWork *w, int64_t down, int64_t rows, int64_t lanes)
{
    TileShape s = {.down = (int32_t)down, .rows = (int32_t)rows, .lanes = (int32_t)min_i64(lanes, w->lanes)};
    const int64_t blocks = w->lanes / s.lanes, left = w->lanes % s.lanes, steps = w->windows * steps_of(w->groups);
    s.cost = (double)blocks * rows_cost(w, &s, s.lanes, steps);
    if (left)
        s.cost += rows_cost(w, &s, left, steps) + (left % SIDE ? 2 * CONFIGURE : 0);
    shapes_add(best, s);
}

/* Three or four tiles down and one along, which are alike: `down` values of the outer variable, the rows of each cut evenly. They
 * read the constant half as often as two by two do, and x twice as often, which the first-level cache has to hold. */
static void try_columns(ShapeList *best, const MatrixWork *w)
{
    for (int64_t down = 1; down <= min_i64(SUMS, w->outer); down++)
        for (int64_t rows = min_i64(w->rows, SUMS * SIDE); rows > FEW_ROWS; rows--) {
            const int64_t cuts = (rows + SIDE - 1) / SIDE;
            const bool holds = bytes_of_rows(w, down * rows) <= w->l1_bytes;
            if (holds && w->rows % rows == 0 && rows % cuts == 0 && cuts * down > 2 && cuts * down <= SUMS)
                try_shape(best, w, down, rows, SIDE);
        }
}

static ShapeList matrix_shapes(const MatrixWork *w)
{
    ShapeList best = {0};
    for (int64_t rows = min_i64(w->rows, 2 * SIDE); rows > FEW_ROWS; rows--)
        try_shape(&best, w, 1, rows, 2 * SIDE);
    for (int64_t rows = min_i64(w->rows, SIDE); rows > FEW_ROWS; rows--)
        try_shape(&best, w, 1, rows, 4 * SIDE);
    const int64_t most = w->rows > SIDE ? 1 : w->joins ? 2 * SIDE / w->rows : 2;
    for (int64_t down = min_i64(most, w->outer); down > 1; down--)
        for (int64_t lanes = 2 * SIDE; lanes <= (w->joins && down * w->rows <= SIDE ? 4 : 2) * SIDE; lanes *= 2)
            try_shape(&best, w, down, w->rows, lanes);
    if (!w->joins && w->overlap > 1 && w->lanes % SIDE == 0 && is_far(w, 2 * SIDE))
        try_columns(&best, w);
    return best;
}

/* Of the windows' innermost variable so many values read an element of x for one or another row. */
static int64_t overlap_of(const Stage *s, const Dot *d)
{
    const int along = s->nr > 2 ? dim_using(d->x, s->rvar[s->nr - 3]) : -1;
    bool linear = false;
    const int64_t stride = along >= 0 ? ex_coef(d->x->a[along], s->var[d->row], &linear) : 0;
    return linear && stride > 0 ? max_i64(s->rext[s->nr - 3]->v.i / stride, 1) : 1;
}

/* A guard that a halo makes needless. */
static bool halo_reads(const Auto *g, const Expr *load)
{
    return load->op == EX_load || layout_has_halo(&g->layout.at[load->v.ref], ten(g->te, load->v.ref)->rank);
}

static bool fits(const Auto *g, const Stage *s, const Dot *d)
{
    const Ten *t = ten(g->te, s->out);
    return g->m->amx && d->lane >= 0 && d->row >= 0 && d->quad > 1 && d->x->dt != DT_i16 && !g->twins.at[s->out] && s->nr > 1 && has_known_extents(g, s) && halo_reads(g, d->x) && d->w->op == EX_load &&
           d->group == t->dim[d->lane]->v.i && !index_uses(d->w, s->var[d->row]);
}

/* Whether the rows of both variables, few of one, lie one after the other. */
static bool may_join(const Auto *g, const Stage *s, const Dot *d, int outer)
{
    return ten(g->te, s->out)->dim[d->row]->v.i <= SIDE && rows_join(g, s, d, outer);
}

/* Whether the rows of variable outer and of the dot's lie evenly in x. */
static bool joins(const Auto *g, const Stage *s, const Dot *d, int outer)
{
    const Expr *n = ten(g->te, s->out)->dim[d->row];
    const int64_t stride = stride_of(g, d->x, s->var[d->row]);
    return outer >= 0 && stride && ex_is_const(n) && stride_of(g, d->x, s->var[outer]) == stride * n->v.i;
}

int32_t matrix_down(const Auto *g, const Stage *s, const Dot *d, const MatrixShape *m)
{
    const int32_t tiles = m->lanes > SIDE ? SUMS / 2 : SUMS;
    return joins(g, s, d, m->outer) ? m->down : (int32_t)min_i64(m->down, tiles);
}

bool left_to_vectors(const Auto *g, const Stage *s, const Dot *d)
{
    const Expr *rows = ten(g->te, s->out)->dim[d->row];
    return ex_is_const(rows) && rows->v.i <= FEW_ROWS;
}

bool fills_matrix(const Auto *g, const Stage *s, const Dot *d) { return reduction_steps(g, s) >= SIDE * GROUP_BYTES / (int64_t)dtype_bytes((DType)d->w->dt); }

bool auto_matrix(Auto *g, uint32_t k, const Dot *d)
{
    const Stage *s = g->te->stage.at[k];
    const Ten *t = ten(g->te, s->out);
    if (!fits(g, s, d) || left_to_vectors(g, s, d))
        return false;
    const int outer = outer_rows(s, t, d);
    MatrixWork w = {t->dim[d->row]->v.i, outer >= 0 ? t->dim[outer]->v.i : 1, t->dim[d->lane]->v.i, 1, s->rext[s->nr - 2]->v.i, g->m->l1_bytes, may_join(g, s, d, outer),
                    overlap_of(s, d)};
    for (int q = 0; q < s->nr - 2; q++)
        w.windows *= s->rext[q]->v.i;
    const ShapeList best = matrix_shapes(&w);
    const char *kind = str_fmt(g->a, "matrix %s %" PRId64 "%s%" PRId64 "x%" PRId64 "x%" PRId64 "x%" PRId64, dtype_info((DType)d->w->dt)->name, w.outer, w.joins ? "*" : "x", w.rows,
                               w.lanes, w.windows, w.groups);
    const TileShape pick = tuning_choose(g->tuning, kind, &best);
    MatrixShape *shape = NEW(g->a, MatrixShape);
    *shape = (MatrixShape){pick.down, pick.rows, pick.lanes, pick.down > 1 ? outer : -1, bytes_of_rows(&w, pick.down * pick.rows), w.overlap > 1, kind};
    g->matrix.at[s->out] = shape;
    return true;
}

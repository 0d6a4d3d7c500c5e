/* SPDX-License-Identifier: Apache-2.0
 *
 * Two multiplications for three steps. Of two steps of a sum one multiplication gives both products, and two that belong to one operand each
 * (Winograd, "A New Algorithm for Inner Product", IEEE Trans. Computers C-17, 1968):
 *
 *   (y1 + w2) * (y2 + w1) = y1*w1 + y2*w2 + y1*y2 + w1*w2
 *
 * Where additions have units of their own (Zen 4), a third of the steps as they stand and two thirds so take as many multiply-adds as
 * additions, which run side by side: 1.5 times the products of a core that multiplies and adds in every cycle. Steps go in groups of
 * three blocks of B, y and w being x and the constant over a power of two of each row and each column, so that both have magnitudes up to 1:
 *
 *   sum(k) x[i, k] * w[k, j] = (sum(b, e) (y0*w0 + (y1 + w2) * (y2 + w1)) - sum(b, e) y1*y2 - sum(b, e) w1*w2) * row[i] * column[j]
 *
 *   y_q = y[i, (3*b + q) * B + e],  w_q = w[(3*b + q) * B + e, j],  e < B
 *
 * Without the scales the larger operand would drown the smaller. With them errors are 1 to 5 times those of the plain sum, whose last bits
 * depend on its order anyway, by random rows and columns, and in networks not larger at all (ARCHITECTURE.md, 47).
 */
#include <float.h>
#include <math.h>

#include "auto_product.h"
#include "auto_tile.h"

enum {
    THIRDS = LINES,
    BLOCK = 16,       /* of a long sum, so that rows of a tile read memory at one place each */
    LONG = 400,       /* steps from which on it is: thirds of a row that lie far apart share sets of the first-level cache (768 steps; 258 do not) */
    LEAST_POINTS = 9, /* that share an element of w: fewer wait for it, not for multiply-adds */
    PASS = 6, ROW = 24, /* cycles for a vector of x and for a row of it, the largest, y, the sum of y1*y2: 64 steps take 38 of the 48 */
    FAR_PASS = 18,    /* where the last level has it, 27 bytes a cycle: x comes twice, y goes there, comes and is fetched for that */
    LEAST_GAIN = 10,  /* one cycle of so many is saved */
    MEETINGS = 1000   /* cycles for each part of a run, where all meet once more as parts do not make rows for themselves */
};

/* A product, and how its steps go in groups of three blocks; of a single group up to two are left, which its result adds. */
typedef struct Blocks { int64_t block, blocks, left; } Blocks;
typedef struct Work { Product p; Blocks in; } Work;

/* ---- which products ---- */

static Blocks blocks_of(int64_t steps)
{
    if (steps > LONG || steps % (THIRDS * BLOCK) == 0)
        return (Blocks){BLOCK, (steps + THIRDS * BLOCK - 1) / (THIRDS * BLOCK), 0};
    return (Blocks){steps / THIRDS, 1, steps % THIRDS};
}

/* Whether rows are so many that a part makes those that it reads (auto_bands.c). */
static bool parts_make_rows(const Auto *g, const Product *p)
{
    const Ten *t = ten(g->te, p->s->out);
    uint8_t q = 0;
    while (q < p->nrow && ex_is_int(t->dim[p->row[q]], 1))
        q++;
    return q < p->nrow && extent_of(g, t->dim[p->row[q]]) >= FEW_BLOCKS;
}

/* In cycles of a row. */
static bool pays(const Auto *g, const Work *w)
{
    const Product *p = &w->p;
    const int64_t width = g->m->lanes_f32, vectors = (extent_of(g, ten(g->te, p->s->out)->dim[p->d.lane]) + width - 1) / width;
    const bool far = p->nbatch && bytes_of_tensor(g, p->x->v.ref) > g->m->l2_bytes / 2; /* what is no batch is made by a few rows (auto_bands.c) */
    const int64_t plain = p->steps * vectors, thirds = (w->in.blocks * w->in.block * 2 + w->in.left) * vectors + (p->steps + width - 1) / width * (far ? FAR_PASS : PASS) + ROW;
    return (plain - thirds) * LEAST_GAIN >= plain && (g->parts == 1 || parts_make_rows(g, p) || (plain - thirds) * points_sharing(g, p->s, p->d.w) >= g->parts * MEETINGS);
}

static bool find(const Auto *g, uint32_t k, Work *w)
{
    if (!auto_product(g, k, &w->p) || w->p.d.row < 0 || points_sharing(g, w->p.s, w->p.d.w) < LEAST_POINTS)
        return false;
    w->in = blocks_of(w->p.steps);
    return w->p.nrow < MAX_RANK - 2 && pays(g, w);
}

/* ---- the constants ---- */

/* By thirds, [batch..][blocks][block][third][lanes], and what goes with its columns, [batch..][COLUMN, CORRECTION, LEFT..][lanes]. */
enum { COLUMN, CORRECTION, LEFT };

/* For each column a power of two that it is multiplied by: one over that above all of it, or over the largest there is. */
static void find_powers(const Columns *c, double *by)
{
    float most[COLUMN_STRIP];
    largest_of_columns(c, most);
    for (int64_t l = 0; l < c->count; l++) {
        int e = 0;
        (void)frexpf(most[l], &e);
        by[l] = ldexp(1, e < FLT_MAX_EXP ? -e : 1 - FLT_MAX_EXP);
    }
}

/* Step k of a column times `by`; 0 past the end. */
static double scaled_at(const Columns *c, int64_t lane, int64_t k, double by) { return k < c->step.extent ? by * (double)column_at(c, lane, k) : 0; }

static void put(const Columns *c, int64_t row, int64_t lane, double u, char *out)
{
    const float v = (float)u;
    put_column(c, row, lane, &v, out);
}

static void make_thirds(const Columns *c, char *out)
{
    const Blocks *in = c->how;
    double by[COLUMN_STRIP];
    find_powers(c, by);
    for (int64_t b = 0, row = 0; b < in->blocks; b++)
        for (int64_t e = 0; e < in->block; e++)
            for (int64_t q = 0; q < THIRDS; q++, row++)
                for (int64_t l = 0; l < c->count; l++)
                    put(c, row, l, scaled_at(c, l, (THIRDS * b + q) * in->block + e, by[l]), out);
}

/* What w1*w2 add has the other sign here. */
static void make_columns(const Columns *c, char *out)
{
    const Blocks *in = c->how;
    double by[COLUMN_STRIP], sum[COLUMN_STRIP] = {0};
    find_powers(c, by);
    for (int64_t b = 0; b < in->blocks; b++)
        for (int64_t k = (THIRDS * b + 1) * in->block; k < (THIRDS * b + 2) * in->block; k++)
            for (int64_t l = 0; l < c->count; l++)
                sum[l] += scaled_at(c, l, k, by[l]) * scaled_at(c, l, k + in->block, by[l]);
    for (int64_t l = 0; l < c->count; l++) {
        put(c, COLUMN, l, 1 / by[l], out);
        put(c, CORRECTION, l, -sum[l], out);
        for (int64_t q = 0; q < in->left; q++)
            put(c, LEFT + q, l, scaled_at(c, l, THIRDS * in->block + q, by[l]), out);
    }
}

/* ---- the rows ---- */

typedef struct Place { const Expr *dim[MAX_RANK], *var[MAX_RANK]; Subst of[MAX_RANK]; } Place;

/* Variables for the rows of one more stage. */
static Place place_of(const Auto *g, const Product *p)
{
    Place at;
    for (uint8_t q = 0; q < p->nrow; q++) {
        at.dim[q] = ten(g->te, p->s->out)->dim[p->row[q]];
        at.var[q] = ex_index(g->x, ex_var_info(g->x, p->s->var[p->row[q]])->name, at.dim[q]);
        at.of[q] = (Subst){p->s->var[p->row[q]], at.var[q]};
    }
    return at;
}

static Stage *new_stage(Auto *g, const Product *p, StageKind kind, const char *what, uint8_t rank, const Place *at)
{
    Stage *s = NEW(g->a, Stage);
    const uint32_t t = auto_tensor(g, str_fmt(g->a, "%s.%s", ten(g->te, p->s->out)->name, what), TEN_stage, rank, at->dim);
    *s = (Stage){.kind = kind, .out = t, .node = p->s->node};
    memcpy(s->var, at->var, rank * sizeof *s->var);
    return s;
}

static const Expr *x_at(const Auto *g, const Product *p, const Place *at, const Expr *k)
{
    Subst of[MAX_RANK + 1];
    memcpy(of, at->of, p->nrow * sizeof *of);
    of[p->nrow] = (Subst){p->k, k};
    return ex_subst(g->x, p->x, of, p->nrow + 1u);
}

/* max(k) |x| as its bits, among which those of NaN are the largest. */
static Stage *largest(Auto *g, const Product *p)
{
    const Place at = place_of(g, p);
    Stage *s = new_stage(g, p, ST_reduce, "largest", p->nrow, &at);
    s->op = RED_max;
    s->nr = 1;
    s->rext[0] = ex_int(g->x, p->steps);
    s->rvar[0] = ex_index(g->x, "k", s->rext[0]);
    ten(g->te, s->out)->dt = DT_i32;
    s->body = ex_binary(g->x, EX_band, ex_bitcast(g->x, DT_i32, x_at(g, p, &at, s->rvar[0])), ex_const_i(g->x, DT_i32, INT32_MAX));
    return s;
}

/* The power of two above the largest, and from that its inverse, by their exponents: both are normal numbers. */
enum { EXPONENT_BITS = 0x7f800000, ONE_STEP = 1 << 23, MOST_EXPONENT = 252 * ONE_STEP, BOTH_EXPONENTS = 254 * ONE_STEP };

static Stage *row_scale(Auto *g, const Product *p, uint32_t most)
{
    const Place at = place_of(g, p);
    Stage *s = new_stage(g, p, ST_map, "scale", p->nrow, &at);
    const Expr *bits = ex_binary(g->x, EX_band, ex_load(g->x, DT_i32, most, p->nrow, at.var), ex_const_i(g->x, DT_i32, EXPONENT_BITS));
    bits = ex_binary(g->x, EX_min, bits, ex_const_i(g->x, DT_i32, MOST_EXPONENT));
    s->body = ex_bitcast(g->x, DT_f32, ex_add(g->x, bits, ex_const_i(g->x, DT_i32, ONE_STEP)));
    return s;
}

static const Expr *inverse(const Auto *g, const Expr *scale)
{
    const Expr *bits = ex_bitcast(g->x, DT_i32, scale);
    return ex_bitcast(g->x, DT_f32, ex_sub(g->x, ex_const_i(g->x, DT_i32, BOTH_EXPONENTS), bits));
}

static Stage *scaled_rows(Auto *g, const Product *p, uint32_t scale)
{
    Place at = place_of(g, p);
    at.dim[p->nrow] = ex_int(g->x, p->steps);
    at.var[p->nrow] = ex_index(g->x, "k", at.dim[p->nrow]);
    Stage *s = new_stage(g, p, ST_map, "scaled", (uint8_t)(p->nrow + 1), &at);
    s->body = ex_mul(g->x, x_at(g, p, &at, at.var[p->nrow]), inverse(g, ex_load(g->x, DT_f32, scale, p->nrow, at.var)));
    return s;
}

/* y_q at steps b and e of the row at var. */
static const Expr *third_of(const Auto *g, const Work *w, uint32_t y, const Expr *const *var, int q, const Expr *b, const Expr *e)
{
    const uint8_t n = w->p.nrow;
    const Expr *index[MAX_RANK], *k = ex_add(g->x, ex_mul(g->x, b, ex_int(g->x, THIRDS)), ex_int(g->x, q));
    memcpy(index, var, n * sizeof *index);
    index[n] = ex_add(g->x, ex_mul(g->x, k, ex_int(g->x, w->in.block)), e);
    const bool whole = w->in.blocks * w->in.block * THIRDS <= w->p.steps;
    return whole ? ex_load(g->x, DT_f32, y, (uint16_t)(n + 1), index) : ex_loadp(g->x, DT_f32, y, (uint16_t)(n + 1), index, ex_const_f(g->x, DT_f32, 0));
}

static void take_steps(const Auto *g, const Work *w, Stage *s)
{
    s->kind = ST_reduce;
    s->op = RED_sum;
    s->nr = 2;
    s->rext[0] = ex_int(g->x, w->in.blocks);
    s->rext[1] = ex_int(g->x, w->in.block);
    s->rvar[0] = ex_index(g->x, "b", s->rext[0]);
    s->rvar[1] = ex_index(g->x, "e", s->rext[1]);
}

static Stage *sum_of_pairs(Auto *g, const Work *w, uint32_t y)
{
    const Place at = place_of(g, &w->p);
    Stage *s = new_stage(g, &w->p, ST_reduce, "pairs", w->p.nrow, &at);
    take_steps(g, w, s);
    s->body = ex_mul(g->x, third_of(g, w, y, s->var, 1, s->rvar[0], s->rvar[1]), third_of(g, w, y, s->var, 2, s->rvar[0], s->rvar[1]));
    return s;
}

/* A border behind each row: for what the last block has beyond it, and so that rows begin at lines and not all in the same sets of a cache. */
static void want_border(Auto *g, const Work *w, uint32_t y)
{
    const int64_t line = LINE / (int64_t)sizeof(float), end = max_i64(w->in.blocks * w->in.block * THIRDS, w->p.steps);
    int64_t pitch = (end + line - 1) / line * line;
    if (pitch * (int64_t)sizeof(float) % (PAGE / 2) == 0)
        pitch += line;
    Layout want = layout_channels_last(g, y, -1);
    want.hi[w->p.nrow] = (int32_t)(pitch - w->p.steps);
    layout_merge(g, y, &want);
}

/* Stages before k, which moves on. */
static ThirdsRows rows_of(Auto *g, uint32_t *k, const Work *w)
{
    const Product *p = &w->p;
    Stage *most = largest(g, p), *scale = row_scale(g, p, most->out), *y = scaled_rows(g, p, scale->out), *pairs = sum_of_pairs(g, w, y->out);
    g->scaled.at[most->out] = g->scaled.at[y->out] = true;
    auto_insert(g, (*k)++, most);
    auto_insert(g, (*k)++, scale);
    auto_insert(g, (*k)++, y);
    auto_insert(g, (*k)++, pairs);
    return (ThirdsRows){p->x->v.ref, {[ROW_LARGEST] = most->out, [ROW_SCALE] = scale->out, [ROW_SCALED] = y->out, [ROW_PAIRS] = pairs->out}, w->in.left > 0};
}

/* ---- the product ---- */

static const Expr *constant_by_thirds(Auto *g, const Work *w, const Stage *s)
{
    const Expr *at[] = {s->rvar[0], s->rvar[1], ex_int(g->x, 0)};
    const int64_t extent[] = {w->in.blocks, w->in.block, THIRDS};
    return product_constant(g, &w->p, "thirds", DT_f32, make_thirds, arena_copy(g->a, &w->in, sizeof w->in), at, extent, COUNT(at));
}

static Stage *thirds_product(Auto *g, const Work *work, const ThirdsRows *r)
{
    const Product *p = &work->p;
    Stage *s = arena_copy(g->a, p->s, sizeof *s);
    const Ten *t = ten(g->te, p->s->out);
    const Expr *row[MAX_RANK], *y[THIRDS], *w[THIRDS];
    s->out = auto_tensor(g, str_fmt(g->a, "%s.thirds", t->name), TEN_stage, t->rank, t->dim);
    g->pinned.at[s->out] = false;
    g->thirds.at[s->out] = arena_copy(g->a, r, sizeof *r);
    take_steps(g, work, s);
    for (uint8_t q = 0; q < p->nrow; q++)
        row[q] = s->var[p->row[q]];
    w[0] = constant_by_thirds(g, work, s);
    for (int q = 0; q < THIRDS; q++) {
        y[q] = third_of(g, work, r->made[ROW_SCALED], row, q, s->rvar[0], s->rvar[1]);
        w[q] = constant_line(g, w[0], q);
    }
    s->body = ex_add(g->x, ex_mul(g->x, y[0], w[0]), ex_mul(g->x, ex_add(g->x, y[1], w[2]), ex_add(g->x, y[2], w[1])));
    want_border(g, work, r->made[ROW_SCALED]);
    return s;
}

/* What it was, of the sum of its thirds. */
static const Expr *result_of(Auto *g, const Work *w, const ThirdsRows *r, uint32_t sum)
{
    const Product *p = &w->p;
    const Expr *row[MAX_RANK], *first = ex_int(g->x, COLUMN);
    const Expr *column = product_constant(g, p, "columns", DT_f32, make_columns, arena_copy(g->a, &w->in, sizeof w->in), &first, &(const int64_t){LEFT + w->in.left}, 1);
    for (uint8_t q = 0; q < p->nrow; q++)
        row[q] = p->s->var[p->row[q]];
    const Expr *e = ex_load(g->x, DT_f32, sum, ten(g->te, sum)->rank, p->s->var);
    e = ex_add(g->x, e, constant_line(g, column, CORRECTION)); /* what the sum starts with */
    for (int q = 0; q < w->in.left; q++) {
        row[p->nrow] = ex_int(g->x, THIRDS * w->in.block + q);
        e = ex_add(g->x, e, ex_mul(g->x, ex_load(g->x, DT_f32, r->made[ROW_SCALED], p->nrow + 1, row), constant_line(g, column, LEFT + q)));
    }
    e = ex_sub(g->x, e, ex_load(g->x, DT_f32, r->made[ROW_PAIRS], p->nrow, row));
    return ex_mul(g->x, e, ex_mul(g->x, ex_load(g->x, DT_f32, r->made[ROW_SCALE], p->nrow, row), column));
}

static bool has_thirds(const Auto *g) { return g->te->cx->fp == FP_fast && !g->te->cx->small && g->m->adds_apart && g->m->lanes_f32 >= BLOCK; }

bool takes_thirds(const Auto *g, uint32_t k)
{
    Work w;
    return has_thirds(g) && find(g, k, &w);
}

void auto_thirds(Auto *g)
{
    Work w;
    if (!has_thirds(g))
        return;
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        if (!find(g, k, &w))
            continue;
        const ThirdsRows r = rows_of(g, &k, &w);
        Stage *product = thirds_product(g, &w, &r);
        auto_insert(g, k++, product);
        g->te->stage.at[k] = product_result(g, &w.p, result_of(g, &w, &r, product->out));
        auto_views(g);
    }
}

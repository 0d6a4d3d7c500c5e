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
#include "auto_tile.h"

#include <float.h>
#include <math.h>

enum {
    BLOCK = 16,       /* of a long sum, so that rows of a tile read memory at one place each */
    LONG = 400,       /* steps from which on it is: thirds of a row that lie far apart share sets of the first-level cache (768 steps; 258 do not) */
    LEAST_POINTS = 9, /* that share an element of w: fewer wait for it, not for multiply-adds */
    PASS = 6, ROW = 24, /* cycles for a vector of x and for a row of it, the largest, y, the sum of y1*y2: 64 steps take 38 of the 48 */
    FAR_PASS = 18,    /* where the last level has it, 27 bytes a cycle: x comes twice, y goes there, comes and is fetched for that */
    LEAST_GAIN = 10,  /* one cycle of so many is saved */
    MEETINGS = 4000   /* cycles for each part of a run, which meet once more: with 2000 each keyword spotting on two threads took 1.02 to 1.04 */
};

/* What there is of a product: its stage, with variables of one value at 0, and the steps. */
typedef struct Work {
    const Stage *s;
    Dot d;
    const Expr *x, *w, *k;
    int64_t steps, block, blocks;
    int row[MAX_RANK], batch[MAX_RANK]; /* variables that x uses, and of those that w uses, too */
    uint8_t nrow, nbatch;
    ElementWalk walk[MAX_RANK + 2];     /* of the constant: by batch, step, lane */
    int64_t at;
} Work;

/* ---- which products ---- */

/* The one reduction variable of more than one value; false: there are several. The others are 0 in the operands. */
static bool find_step(const Auto *g, Work *p)
{
    Subst zero[MAX_RANK];
    uint32_t n = 0;
    for (uint8_t q = 0; q < p->s->nr; q++) {
        const bool trivial = ex_is_int(p->s->rext[q], 1);
        if (!ex_is_const(p->s->rext[q]) || (!trivial && p->k))
            return false;
        if (trivial)
            zero[n++] = (Subst){p->s->rvar[q], ex_int(g->x, 0)};
        else {
            p->k = p->s->rvar[q];
            p->steps = p->s->rext[q]->v.i;
        }
    }
    p->x = ex_subst(g->x, p->d.x, zero, n);
    p->w = ex_subst(g->x, p->d.w, zero, n);
    return p->k && p->x->op == EX_load && p->w->op == EX_load;
}

static void find_variables(const Auto *g, Work *p)
{
    for (uint8_t v = 0; v < ten(g->te, p->s->out)->rank; v++)
        if (v != p->d.lane && (ex_uses(p->x, p->s->var[v]) || ex_uses(p->w, p->s->var[v]))) {
            p->row[p->nrow++] = v;
            if (ex_uses(p->w, p->s->var[v]))
                p->batch[p->nbatch++] = v;
        }
}

/* How the constant is walked; false: it is no sum of multiples of the variables. */
static bool find_walk(const Auto *g, Work *p)
{
    const Ten *t = ten(g->te, p->s->out);
    const Expr *var[MAX_RANK + 2], *extent[MAX_RANK + 2];
    uint8_t n = 0;
    for (; n < p->nbatch; n++) {
        var[n] = p->s->var[p->batch[n]];
        extent[n] = t->dim[p->batch[n]];
    }
    var[n] = p->k;
    extent[n++] = ex_int(g->x, p->steps);
    var[n] = p->s->var[p->d.lane];
    extent[n++] = t->dim[p->d.lane];
    return auto_walks(g, p->w, var, extent, n, p->walk, &p->at);
}

static void choose_blocks(Work *p)
{
    p->block = p->steps > LONG || p->steps % (THIRDS * BLOCK) == 0 ? BLOCK : (p->steps + THIRDS - 1) / THIRDS;
    p->blocks = (p->steps + THIRDS * p->block - 1) / (THIRDS * p->block);
}

/* In cycles of a row. */
static bool pays(const Auto *g, const Work *p)
{
    const int64_t width = g->m->lanes_f32, vectors = (extent_of(g, ten(g->te, p->s->out)->dim[p->d.lane]) + width - 1) / width;
    const bool far = p->nbatch && bytes_of_tensor(g, p->x->v.ref) > g->m->l2_bytes / 2; /* what is no batch is made by a few rows (auto_bands.c) */
    const int64_t plain = p->steps * vectors, thirds = p->blocks * p->block * 2 * vectors + (p->steps + width - 1) / width * (far ? FAR_PASS : PASS) + ROW;
    return (plain - thirds) * LEAST_GAIN >= plain && (g->parts == 1 || (plain - thirds) * points_sharing(g, p->s, p->d.w) >= g->parts * MEETINGS);
}

static bool find(const Auto *g, uint32_t k, Work *p)
{
    *p = (Work){.s = g->te->stage.at[k]};
    if (!dot_of(g, k, &p->d) || p->d.lane < 0 || p->d.row < 0 || p->d.quad != 1 || p->d.x->dt != DT_f32 || p->d.w->dt != DT_f32)
        return false;
    const Ten *t = ten(g->te, p->s->out);
    if (!is_constant_load(g, p->d.w) || ten(g->te, p->d.w->v.ref)->data->fill || !has_known_extents(g, p->s) || p->d.group != extent_of(g, t->dim[p->d.lane]))
        return false;
    if (points_sharing(g, p->s, p->d.w) < LEAST_POINTS || !find_step(g, p))
        return false;
    find_variables(g, p);
    choose_blocks(p);
    return p->nrow < MAX_RANK - 2 && find_walk(g, p) && pays(g, p);
}

/* ---- the constants ---- */

/* The constant by thirds, [batch..][blocks][block][third][lanes], or what goes with its columns, [batch..][COLUMN, CORRECTION][lanes]. */
typedef struct Made { Recipe r; bool columns; ElementWalk step, lane; int64_t block, blocks, nbatch; ElementWalk batch[MAX_RANK]; int64_t at; } Made;

enum { COLUMN, CORRECTION, COLUMN_ROWS, STRIP = 16 }; /* lanes made at a time: a line of each row, or a place of memory for each */

/* Some lanes of one batch, and for each a power of two that its column is multiplied by. */
typedef struct Columns { const Made *m; const char *w; int64_t first, count; double by[STRIP]; } Columns;

static float weight_at(const Columns *c, int64_t lane, int64_t k)
{
    float v;
    memcpy(&v, c->w + (size_t)((c->first + lane) * c->m->lane.stride + k * c->m->step.stride) * sizeof v, sizeof v);
    return v;
}

/* One over the power of two above all of a column, or over the largest there is. */
static void find_powers(Columns *c)
{
    float most[STRIP] = {0};
    for (int64_t k = 0; k < c->m->step.extent; k++)
        for (int64_t l = 0; l < c->count; l++) {
            const float v = fabsf(weight_at(c, l, k));
            most[l] = v > most[l] ? v : most[l];
        }
    for (int64_t l = 0; l < c->count; l++) {
        int e = 0;
        (void)frexpf(most[l], &e);
        c->by[l] = ldexp(1, e < FLT_MAX_EXP ? -e : 1 - FLT_MAX_EXP);
    }
}

/* Step k of a column; 0 past the end. */
static double scaled_at(const Columns *c, int64_t lane, int64_t k)
{
    return k < c->m->step.extent ? c->by[lane] * (double)weight_at(c, lane, k) : 0;
}

static void put(const Columns *c, int64_t row, int64_t lane, double u, char *out)
{
    const float v = (float)u;
    memcpy(out + (size_t)(row * c->m->lane.extent + c->first + lane) * sizeof v, &v, sizeof v);
}

static void make_thirds(const Columns *c, char *out)
{
    const int64_t block = c->m->block;
    for (int64_t b = 0, row = 0; b < c->m->blocks; b++)
        for (int64_t e = 0; e < block; e++)
            for (int64_t q = 0; q < THIRDS; q++, row++)
                for (int64_t l = 0; l < c->count; l++)
                    put(c, row, l, scaled_at(c, l, (THIRDS * b + q) * block + e), out);
}

/* What w1*w2 add has the other sign here. */
static void make_columns(const Columns *c, char *out)
{
    double sum[STRIP] = {0};
    for (int64_t b = 0; b < c->m->blocks; b++)
        for (int64_t k = (THIRDS * b + 1) * c->m->block; k < (THIRDS * b + 2) * c->m->block; k++)
            for (int64_t l = 0; l < c->count; l++)
                sum[l] += scaled_at(c, l, k) * scaled_at(c, l, k + c->m->block);
    for (int64_t l = 0; l < c->count; l++) {
        put(c, COLUMN, l, 1 / c->by[l], out);
        put(c, CORRECTION, l, -sum[l], out);
    }
}

static void make_batches(const Recipe *r, const char *from, int64_t first, int64_t n, char *out)
{
    const Made *m = (const Made *)r;
    for (int64_t b = first / r->unit; b < (first + n) / r->unit; b++, out += (size_t)r->unit * sizeof(float)) {
        int64_t at = m->at, rest = b;
        for (int64_t q = m->nbatch; q-- > 0; rest /= m->batch[q].extent)
            at += rest % m->batch[q].extent * m->batch[q].stride;
        for (int64_t lane = 0; lane < m->lane.extent; lane += STRIP) {
            Columns c = {.m = m, .w = from + (size_t)at * sizeof(float), .first = lane, .count = min_i64(STRIP, m->lane.extent - lane)};
            find_powers(&c);
            (m->columns ? make_columns : make_thirds)(&c, out);
        }
    }
}

static const Expr *dim_of_var(const Auto *g, const Work *p, int v) { return ten(g->te, p->s->out)->dim[v]; }

/* Its load at n indices between those of the batch and the lane, of dimensions of such extents. */
static const Expr *constant(Auto *g, const Work *p, bool columns, const Expr *const *at, const int64_t *extent, uint8_t n)
{
    const Expr *dim[MAX_RANK], *index[MAX_RANK];
    uint8_t rank = 0;
    int64_t batches = 1, unit = p->walk[p->nbatch + 1].extent;
    Made *m = NEW(g->a, Made);
    *m = (Made){.columns = columns, .step = p->walk[p->nbatch], .lane = p->walk[p->nbatch + 1], .block = p->block, .blocks = p->blocks, .nbatch = p->nbatch, .at = p->at};
    for (; rank < p->nbatch; rank++) {
        m->batch[rank] = p->walk[rank];
        batches *= p->walk[rank].extent;
        dim[rank] = dim_of_var(g, p, p->batch[rank]);
        index[rank] = p->s->var[p->batch[rank]];
    }
    for (uint8_t q = 0; q < n; q++, rank++) {
        dim[rank] = ex_int(g->x, extent[q]);
        index[rank] = at[q];
        unit *= extent[q];
    }
    dim[rank] = dim_of_var(g, p, p->d.lane);
    index[rank++] = p->s->var[p->d.lane];
    m->r = (Recipe){.arena = g->a, .from = ten(g->te, p->w->v.ref)->data, .unit = unit, .make = make_batches};
    const uint32_t t = auto_tensor(g, str_fmt(g->a, "%s.%s%u", ten(g->te, p->w->v.ref)->name, columns ? "columns" : "thirds", g->te->ten.n), TEN_const, rank, dim);
    ten(g->te, t)->data = blob_made(g->a, DT_f32, batches * unit, &m->r);
    return ex_load(g->x, DT_f32, t, rank, index);
}

/* ---- the rows ---- */

typedef struct Place { const Expr *dim[MAX_RANK], *var[MAX_RANK]; Subst of[MAX_RANK]; } Place;

/* Variables for the rows of one more stage. */
static Place place_of(const Auto *g, const Work *p)
{
    Place at;
    for (uint8_t q = 0; q < p->nrow; q++) {
        at.dim[q] = dim_of_var(g, p, p->row[q]);
        at.var[q] = ex_index(g->x, ex_var_info(g->x, p->s->var[p->row[q]])->name, at.dim[q]);
        at.of[q] = (Subst){p->s->var[p->row[q]], at.var[q]};
    }
    return at;
}

static Stage *new_stage(Auto *g, const Work *p, StageKind kind, const char *what, uint8_t rank, const Place *at)
{
    Stage *s = NEW(g->a, Stage);
    const uint32_t t = auto_tensor(g, str_fmt(g->a, "%s.%s", ten(g->te, p->s->out)->name, what), TEN_stage, rank, at->dim);
    *s = (Stage){.kind = kind, .out = t, .node = p->s->node};
    memcpy(s->var, at->var, rank * sizeof *s->var);
    return s;
}

static const Expr *x_at(const Auto *g, const Work *p, const Place *at, const Expr *k)
{
    Subst of[MAX_RANK + 1];
    memcpy(of, at->of, p->nrow * sizeof *of);
    of[p->nrow] = (Subst){p->k, k};
    return ex_subst(g->x, p->x, of, p->nrow + 1u);
}

/* max(k) |x| as its bits, among which those of NaN are the largest. */
static Stage *largest(Auto *g, const Work *p)
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

static Stage *row_scale(Auto *g, const Work *p, uint32_t most)
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

static Stage *scaled_rows(Auto *g, const Work *p, uint32_t scale)
{
    Place at = place_of(g, p);
    at.dim[p->nrow] = ex_int(g->x, p->steps);
    at.var[p->nrow] = ex_index(g->x, "k", at.dim[p->nrow]);
    Stage *s = new_stage(g, p, ST_map, "scaled", (uint8_t)(p->nrow + 1), &at);
    s->body = ex_mul(g->x, x_at(g, p, &at, at.var[p->nrow]), inverse(g, ex_load(g->x, DT_f32, scale, p->nrow, at.var)));
    return s;
}

/* The load of third q, of that of the first, or of another row of a table: their number comes before the lanes. */
const Expr *third_constant(const Auto *g, const Expr *first, int q)
{
    const Expr *index[MAX_RANK];
    memcpy(index, first->a, first->n * sizeof *index);
    index[first->n - 2] = ex_int(g->x, q);
    return ex_load(g->x, (DType)first->dt, first->v.ref, first->n, index);
}

/* y_q at steps b and e of the row at var. */
static const Expr *third_of(const Auto *g, const Work *p, uint32_t y, const Expr *const *var, int q, const Expr *b, const Expr *e)
{
    const Expr *index[MAX_RANK], *k = ex_add(g->x, ex_mul(g->x, b, ex_int(g->x, THIRDS)), ex_int(g->x, q));
    memcpy(index, var, p->nrow * sizeof *index);
    index[p->nrow] = ex_add(g->x, ex_mul(g->x, k, ex_int(g->x, p->block)), e);
    const bool whole = p->blocks * p->block * THIRDS == p->steps;
    return whole ? ex_load(g->x, DT_f32, y, (uint16_t)(p->nrow + 1), index)
                 : ex_loadp(g->x, DT_f32, y, (uint16_t)(p->nrow + 1), index, ex_const_f(g->x, DT_f32, 0));
}

static void take_steps(const Auto *g, const Work *p, Stage *s)
{
    s->kind = ST_reduce;
    s->op = RED_sum;
    s->nr = 2;
    s->rext[0] = ex_int(g->x, p->blocks);
    s->rext[1] = ex_int(g->x, p->block);
    s->rvar[0] = ex_index(g->x, "b", s->rext[0]);
    s->rvar[1] = ex_index(g->x, "e", s->rext[1]);
}

static Stage *sum_of_pairs(Auto *g, const Work *p, uint32_t y)
{
    const Place at = place_of(g, p);
    Stage *s = new_stage(g, p, ST_reduce, "pairs", p->nrow, &at);
    take_steps(g, p, s);
    if (p->blocks == 1) { /* behind the last step all is 0 */
        s->rext[1] = ex_int(g->x, p->steps - 2 * p->block);
        s->rvar[1] = ex_index(g->x, "e", s->rext[1]);
    }
    s->body = ex_mul(g->x, third_of(g, p, y, s->var, 1, s->rvar[0], s->rvar[1]), third_of(g, p, y, s->var, 2, s->rvar[0], s->rvar[1]));
    return s;
}

/* A border behind each row: for what the last block has beyond it, and so that rows begin at lines and not all in the same sets of a cache. */
static void want_border(Auto *g, const Work *p, uint32_t y)
{
    const int64_t line = LINE / (int64_t)sizeof(float), end = p->blocks * p->block * THIRDS;
    int64_t pitch = (end + line - 1) / line * line;
    if (pitch * (int64_t)sizeof(float) % (PAGE / 2) == 0)
        pitch += line;
    Layout want = layout_channels_last(g, y, -1);
    want.hi[p->nrow] = (int32_t)(pitch - p->steps);
    layout_merge(g, y, &want);
}

/* Stages before k, which moves on. */
static ThirdsRows rows_of(Auto *g, uint32_t *k, const Work *p)
{
    Stage *most = largest(g, p), *scale = row_scale(g, p, most->out), *y = scaled_rows(g, p, scale->out), *pairs = sum_of_pairs(g, p, y->out);
    g->scaled.at[most->out] = g->scaled.at[y->out] = true;
    auto_insert(g, (*k)++, most);
    auto_insert(g, (*k)++, scale);
    auto_insert(g, (*k)++, y);
    auto_insert(g, (*k)++, pairs);
    return (ThirdsRows){p->x->v.ref, {[ROW_LARGEST] = most->out, [ROW_SCALE] = scale->out, [ROW_SCALED] = y->out, [ROW_PAIRS] = pairs->out}};
}

/* ---- the product ---- */

static Stage *thirds_product(Auto *g, const Work *p, const ThirdsRows *r)
{
    Stage *s = arena_copy(g->a, p->s, sizeof *s);
    const Ten *t = ten(g->te, p->s->out);
    const Expr *row[MAX_RANK], *y[THIRDS], *w[THIRDS];
    s->out = auto_tensor(g, str_fmt(g->a, "%s.thirds", t->name), TEN_stage, t->rank, t->dim);
    g->pinned.at[s->out] = false;
    g->thirds.at[s->out] = arena_copy(g->a, r, sizeof *r);
    take_steps(g, p, s);
    for (uint8_t q = 0; q < p->nrow; q++)
        row[q] = s->var[p->row[q]];
    w[0] = constant(g, p, false, (const Expr *const[]){s->rvar[0], s->rvar[1], ex_int(g->x, 0)}, (const int64_t[]){p->blocks, p->block, THIRDS}, 3);
    for (int q = 0; q < THIRDS; q++) {
        y[q] = third_of(g, p, r->made[ROW_SCALED], row, q, s->rvar[0], s->rvar[1]);
        w[q] = third_constant(g, w[0], q);
    }
    s->body = ex_add(g->x, ex_mul(g->x, y[0], w[0]), ex_mul(g->x, ex_add(g->x, y[1], w[2]), ex_add(g->x, y[2], w[1])));
    want_border(g, p, r->made[ROW_SCALED]);
    return s;
}

/* What p was, of the sum of its thirds. */
static Stage *result_of(Auto *g, const Work *p, const ThirdsRows *r, uint32_t sum)
{
    const Expr *row[MAX_RANK], *first = ex_int(g->x, COLUMN), *column = constant(g, p, true, &first, &(const int64_t){COLUMN_ROWS}, 1);
    for (uint8_t q = 0; q < p->nrow; q++)
        row[q] = p->s->var[p->row[q]];
    const Expr *e = ex_load(g->x, DT_f32, sum, ten(g->te, sum)->rank, p->s->var);
    e = ex_add(g->x, e, third_constant(g, column, CORRECTION)); /* what the sum starts with */
    e = ex_sub(g->x, e, ex_load(g->x, DT_f32, r->made[ROW_PAIRS], p->nrow, row));
    e = ex_mul(g->x, e, ex_mul(g->x, ex_load(g->x, DT_f32, r->made[ROW_SCALE], p->nrow, row), column));
    Stage *s = NEW(g->a, Stage);
    *s = (Stage){.kind = ST_map, .out = p->s->out, .node = p->s->node, .body = e};
    memcpy(s->var, p->s->var, sizeof s->var);
    return s;
}

static bool has_thirds(const Auto *g) { return g->te->cx->fp == FP_fast && !g->te->cx->small && g->m->adds_apart && g->m->lanes_f32 >= BLOCK; }

bool takes_thirds(const Auto *g, uint32_t k)
{
    Work p;
    return has_thirds(g) && find(g, k, &p);
}

void auto_thirds(Auto *g)
{
    Work p;
    if (!has_thirds(g))
        return;
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        if (!find(g, k, &p))
            continue;
        const ThirdsRows r = rows_of(g, &k, &p);
        Stage *product = thirds_product(g, &p, &r);
        auto_insert(g, k++, product);
        g->te->stage.at[k] = result_of(g, &p, &r, product->out);
        auto_views(g);
    }
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Seven products of halves for eight (V. Strassen, "Gaussian Elimination is not Optimal", Numer. Math. 13, 1969; by the sums of S. Winograd,
 * "On multiplication of 2 x 2 matrices", Linear Algebra Appl. 4, 1971). Of a product y = x w with a constant, whose rows, steps and columns are halved,
 * so that x, w and y are two by two blocks each:
 *
 *   s1 = x21 + x22    t1 = w22 - t2          p1 = x11 w11           y11 = p1 + x12 w21
 *   s2 = s1 - x11     t2 = w11 - w12 + w22   u2 = p1 + s2 t2        y12 = u2 + p5 + s4 w22
 *   s3 = x11 - x21    t3 = t2 - w11          u3 = u2 + s3 t3        y21 = u3 + x22 t4
 *   s4 = x12 - s2     t4 = w21 - t2          p5 = s1 t1             y22 = u3 + p5
 *
 * The constant has t2 in the place of w12, of which all other sums are differences of two (E. Karstadt, O. Schwartz, "Matrix Multiplication, a Little
 * Faster", SPAA 2017), so it stays as large as it is. A panel of t1, t3 or t4, some columns of it, is made in scratch where the loop over columns of its
 * product begins, and all rows read it there. What maps make of y they make of its blocks, so that products have their epilogues, and blocks lie
 * where the whole has them (auto_within.c). Sums of floats are associated otherwise, so those are for the mode that allows more than that of one sum.
 *
 * Of bytes in 16 bits (auto_words.c) all of it is exact: sums of x and of w have 11 and 10 bits, those of products are right modulo 2^32. Bytes of the constant
 * stay bytes, so t2 is made of w11, w12 and w22 as the others are of two or four of them; how far y reaches is known of the parts that add up to it, too.
 */
#include "auto_strassen.h"
#include "parallel_cost.h"

/* What is done beside products, as dots (multiply-adds of floats), for each of steps * columns (panels), rows * steps and rows * columns; of the last so many
 * bytes come from the last level. */
typedef struct Added { double row, lane, step, step_bytes; } Added;

static const Added of_f32 = {6, 12, 16, 12}, of_words = {5, 6, 2, 6};

enum {
    LEAST_GAIN = 40, /* of so many dots one is saved */
    FEW_PARTS = 2,   /* of a run: more of them have too few panels each, and all read all sums of x */
    MEETINGS = 11    /* of those parts: sums of x, products and what is made of y, each a function, less the one that there was */
};

/* ---- which products ---- */

static const Expr *extent(const Auto *g, const Stage *s, int v) { return ten(g->te, s->out)->dim[v]; }

/* The outermost variable of rows. */
static int rows_variable(const Auto *g, const Product *p)
{
    for (uint8_t q = 0; q < p->nrow; q++)
        if (!ex_is_int(extent(g, p->s, p->row[q]), 1))
            return p->row[q];
    return -1;
}

/* Whether a row past the last one is past the end of x. */
static bool ends_with_rows(const Auto *g, const Blocks *b, int64_t rows)
{
    const int d = sole_dim(b->p.x, b->p.s->var[b->row]);
    const Subst past = {b->p.s->var[b->row], ex_int(g->x, rows)};
    const Expr *at = d < 0 ? NULL : ex_subst(g->x, b->p.x->a[d], &past, 1), *end = d < 0 ? NULL : ten(g->te, b->p.x->v.ref)->dim[d];
    return at && ex_is_const(at) && ex_is_const(end) && at->v.i >= end->v.i;
}

static bool halve(const Auto *g, Blocks *b)
{
    const int64_t rows = extent_of(g, extent(g, b->p.s, b->row)), lanes = extent_of(g, extent(g, b->p.s, b->p.d.lane)), steps = b->p.steps;
    b->rows[0] = (rows + 1) / HALF;
    b->rows[1] = rows / HALF;
    b->steps = steps / HALF;
    b->lanes = lanes / HALF;
    b->pads = rows % HALF != 0;
    return lanes % (HALF * g->m->lanes_f32) == 0 && steps % (HALF * b->p.d.quad) == 0 && (!b->pads || ends_with_rows(g, b, rows));
}

/* Zen 3 by rows, steps and columns: 128 * 768 * 3072 takes 0.92 of the time, 512 * 768 * 768 0.87, 196 * 256 * 1024 would take 1.01 and 784 * 128 * 512 1.09; of
 * words 128 * 384 * 384 takes 0.94, 128 * 3072 * 768 0.92, 196 * 256 * 1024 0.94 and 784 * 512 * 128 0.98. Granite Rapids with AVX-512: 512 * 768 * 768 0.91,
 * 197 * 768 * 3072 would take 1.06, and on 16 threads 1.7. */
static bool pays(const Auto *g, const Blocks *b)
{
    const bool floats = b->p.d.quad == 1;
    const Added *c = floats ? &of_f32 : &of_words;
    const double all = (double)points_sharing(g, b->p.s, b->p.d.w), lanes = (double)b->lanes * HALF, steps = (double)(b->steps * HALF / b->p.d.quad);
    const double rows = all / (double)(b->rows[0] + b->rows[1]) * (double)b->rows[0] * HALF;
    const double saved = all * lanes * steps - 7.0 / 8.0 * rows * lanes * steps;
    const double rate = g->m->fma_rate * g->m->lanes_f32 * (floats ? 1 : g->m->dot_i16), met = MEETINGS * meet_cycles(g->parts - 1, g->parts) * g->parts * rate;
    const double added = met + c->row * steps * lanes + (c->step + c->step_bytes * 2.0 * (double)g->m->lanes_f32 / g->m->l3_rate) * rows * lanes + c->lane * rows * steps;
    return (saved - added) * LEAST_GAIN > all * lanes * steps;
}

static bool find_blocks(const Auto *g, uint32_t k, Blocks *b)
{
    const bool floats = g->te->cx->fp == FP_fast && !takes_thirds(g, k);
    if (g->te->cx->small || g->m->lanes_f32 < 2 || g->parts > FEW_PARTS)
        return false;
    if (!(floats && auto_product(g, k, &b->p)) && !auto_product_of_words(g, k, &b->p))
        return false;
    if (b->p.nbatch || dim_of(b->p.x, b->p.k) < 0)
        return false;
    b->dt = (DType)b->p.x->dt;
    b->sum = ten(g->te, b->p.s->out)->dt;
    b->row = rows_variable(g, &b->p);
    return b->row >= 0 && halve(g, b) && pays(g, b);
}

bool takes_strassen(const Auto *g, uint32_t k)
{
    Blocks b;
    return find_blocks(g, k, &b);
}

/* ---- blocks ---- */

Place strassen_place(const Auto *g, const Blocks *b, int64_t rows)
{
    Place p = {.rank = ten(g->te, b->p.s->out)->rank};
    for (int v = 0; v < p.rank; v++) {
        p.dim[v] = v == b->row ? ex_int(g->x, rows) : v == b->p.d.lane ? ex_int(g->x, b->lanes) : extent(g, b->p.s, v);
        p.var[v] = ex_index(g->x, ex_var_info(g->x, b->p.s->var[v])->name, p.dim[v]);
    }
    p.k = ex_index(g->x, "k", ex_int(g->x, b->steps));
    return p;
}

/* x at p, in these halves of the rows and steps; 0 where a half has a row less. */
static const Expr *x_block(const Auto *g, const Blocks *b, const Place *p, int row, int step)
{
    Subst of[MAX_RANK + 1];
    for (int v = 0; v < p->rank; v++)
        of[v] = (Subst){b->p.s->var[v], ex_add(g->x, p->var[v], ex_int(g->x, v == b->row ? row * b->rows[0] : 0))};
    of[p->rank] = (Subst){b->p.k, ex_add(g->x, p->k, ex_int(g->x, step * b->steps))};
    const Expr *e = ex_subst(g->x, b->p.x, of, p->rank + 1u);
    if (!row || !b->pads || !ex_is_int(p->dim[b->row], b->rows[0]))
        return e;
    return ex_loadp(g->x, b->dt, e->v.ref, e->n, e->a, ex_num(g->x, b->dt, 0));
}

Stage *strassen_stage(Auto *g, const Blocks *b, const char *what, const Place *p)
{
    Stage *s = NEW(g->a, Stage);
    const uint32_t t = auto_tensor(g, str_fmt(g->a, "%s.%s", ten(g->te, b->p.s->out)->name, what), TEN_stage, p->rank, p->dim);
    *s = (Stage){.kind = ST_map, .out = t, .node = b->p.s->node};
    memcpy(s->var, p->var, p->rank * sizeof *s->var);
    return s;
}

void strassen_put(Auto *g, const Blocks *b, uint32_t *k, Stage *s, DType dt)
{
    const uint8_t rank = ten(g->te, s->out)->rank;
    ten(g->te, s->out)->dt = dt;
    if (rank >= 3)
        layout_innermost(&g->layout.at[s->out], rank, b->p.d.lane);
    auto_insert(g, (*k)++, s);
}

/* ---- sums of blocks ---- */

static const Terms of_x[] = {{"s2", {-1, 0, 1, 1}}, {"s1", {0, 0, 1, 1}}, {"s3", {1, 0, -1, 0}}, {"s4", {0, 1, 0, 0, -1}}}; /* of x11, x12, x21, x22, s2 */

/* Constants, of w11, w12, w21, w22, and what panels are made of them. Bytes stay bytes, so t2, which is none, is one of those; of floats it is the last constant. */
typedef struct Weights { Terms stored[BLOCKS], made[BLOCKS]; } Weights;

static const Weights of_floats = {{{"w11", {1}}, {"w21", {0, 0, 1}}, {"w22", {0, 0, 0, 1}}, {"t2", {1, -1, 0, 1}}},
                                  {{"t1", {0, 0, 1, -1}}, {"t3", {-1, 0, 0, 1}}, {"t4", {0, 1, 0, -1}}}};
static const Weights of_bytes = {{{"w11", {1}}, {"w21", {0, 0, 1}}, {"w22", {0, 0, 0, 1}}, {"w12", {0, 1}}},
                                 {{"t1", {-1, 0, 0, 1}}, {"t3", {0, 0, 1, -1}}, {"t4", {-1, 1, -1, 1}}, {"t2", {1, 0, 1, -1}}}};

static const Expr *plus(const Auto *g, const Expr *sum, const Expr *e, int sign)
{
    return !sum ? e : sign < 0 ? ex_sub(g->x, sum, e) : ex_add(g->x, sum, e);
}

/* What is added comes before what is taken away. */
const Expr *strassen_sum(const Auto *g, const Blocks *b, const Terms *t, const Expr *const *term)
{
    const Expr *sum = NULL;
    for (int sign = 1; sign >= -1; sign -= 2)
        for (int q = 0; q < TERMS; q++)
            if (t->sign[q] == sign)
                sum = plus(g, sum, ex_cast(g->x, b->sum, term[q]), sign);
    return ex_cast(g->x, b->dt, sum);
}

/* ---- of x ---- */

/* Element (row, k) of such a sum. */
static const Expr *sum_at(const Auto *g, const Blocks *b, uint32_t s, const Place *p)
{
    const Expr *index[MAX_RANK];
    memcpy(index, p->var, p->rank * sizeof *index);
    index[b->p.d.lane] = p->k;
    return ex_load(g->x, b->dt, s, p->rank, index);
}

/* Before stage *k, which moves on; s2: one that is made already, or 0. */
static uint32_t sum_of_x(Auto *g, const Blocks *b, uint32_t *k, const Terms *t, uint32_t s2)
{
    Place p = strassen_place(g, b, b->rows[0]);
    const Expr *term[TERMS];
    p.dim[b->p.d.lane] = ex_int(g->x, b->steps);
    p.var[b->p.d.lane] = p.k;
    for (int q = 0; q < BLOCKS; q++)
        term[q] = x_block(g, b, &p, q / HALF, q % HALF);
    term[BLOCKS] = s2 ? sum_at(g, b, s2, &p) : NULL;
    Stage *s = strassen_stage(g, b, t->name, &p);
    s->body = strassen_sum(g, b, t, term);
    strassen_put(g, b, k, s, b->dt);
    return s->out;
}

/* ---- y ---- */

/* Operands of products: blocks of x, then sums of them; constants, the last of which may be t2, then panels. */
enum { X11, X12, X21, X22, S2, S1, S3, S4, OPERANDS, W11 = 0, W21, W22, LAST, T1, T3, T4, T2 };
typedef enum Part { P1, U2, U3, P5, Y11, Y12, Y21, Y22, PARTS, NONE = PARTS } Part;

/* A product, and up to two parts that it is added to; x < 0: there is none. */
typedef struct Step { Part out; const char *name; int8_t x, w; Part add[2]; } Step;

static const Step steps[] = {{P1, "p1", X11, W11, {NONE, NONE}}, {Y11, "y11", X12, W21, {P1, NONE}}, {U2, "u2", S2, T2, {P1, NONE}}, {U3, "u3", S3, T3, {U2, NONE}},
                             {P5, "p5", S1, T1, {NONE, NONE}}, {Y12, "y12", S4, W22, {U2, P5}}, {Y21, "y21", X22, T4, {U3, NONE}}, {Y22, "y22", -1, -1, {U3, P5}}};

/* All that is made for a product, before stage k; known: how far y reaches, or NULL. */
typedef struct Work { Auto *g; const Blocks *b; const Reach *known; uint32_t k, sum[OPERANDS], part[PARTS]; } Work;

static const Expr *load_part(const Work *w, uint32_t t, const Place *p) { return ex_load(w->g->x, w->b->sum, t, p->rank, p->var); }

/* Element (k, lane) of operand n. */
static const Expr *constant_at(Work *w, const Place *p, int n)
{
    const Weights *of = w->b->p.d.quad == 1 ? &of_floats : &of_bytes;
    n = n == T2 && !of->made[T2 - T1].name ? LAST : n;
    return n < BLOCKS ? strassen_constant(w->g, w->b, p, &of->stored[n]) : strassen_panel(w->g, w->b, p, &w->k, &of->made[n - T1], of->stored);
}

/* sum(k) x * w over these rows. */
static uint32_t product(Work *w, const Step *of, const char *name, int64_t rows)
{
    Auto *g = w->g;
    const Place p = strassen_place(g, w->b, rows);
    const Expr *x = of->x < BLOCKS ? x_block(g, w->b, &p, of->x / HALF, of->x % HALF) : sum_at(g, w->b, w->sum[of->x], &p);
    const Expr *by = constant_at(w, &p, of->w);
    Stage *s = strassen_stage(g, w->b, name, &p);
    s->kind = ST_reduce;
    s->op = RED_sum;
    s->nr = 1;
    s->rvar[0] = p.k;
    s->rext[0] = ex_int(g->x, w->b->steps);
    s->body = ex_mul(g->x, ex_cast(g->x, w->b->sum, x), ex_cast(g->x, w->b->sum, by));
    ten(g->te, s->out)->dt = w->b->sum;
    g->pinned.at[s->out] = false;
    auto_insert(g, w->k++, s);
    return s->out;
}

static void take_step(Work *w, const Step *s)
{
    const int64_t rows = w->b->rows[s->out == Y21 || s->out == Y22];
    const bool alone = s->add[0] == NONE;
    const uint32_t sum = s->x < 0 ? 0 : product(w, s, alone ? s->name : "product", rows);
    w->part[s->out] = sum;
    if (alone) {
        w->g->pinned.at[sum] = true;
        return;
    }
    const Place p = strassen_place(w->g, w->b, rows);
    Stage *total = strassen_stage(w->g, w->b, s->name, &p);
    for (int q = 0; q < 2 && s->add[q] != NONE; q++)
        total->body = plus(w->g, total->body, load_part(w, w->part[s->add[q]], &p), 1);
    if (sum)
        total->body = plus(w->g, total->body, load_part(w, sum, &p), 1);
    w->part[s->out] = total->out;
    if (s->out >= Y11 && w->known)
        auto_know_total(w->g, total->body, w->known);
    strassen_put(w->g, w->b, &w->k, total, w->b->sum);
}

/* Returns the last stage that is made of it. */
static uint32_t take_blocks(Auto *g, uint32_t k, Blocks *b)
{
    b->block = min_i64(lanes_per_block(g, &b->p.d, k), b->lanes);
    Work w = {.g = g, .b = b, .known = auto_known_sums(g, b->p.s->out), .k = k};
    for (size_t q = 0; q < COUNT(of_x); q++)
        w.sum[S2 + q] = sum_of_x(g, b, &w.k, &of_x[q], w.sum[S2]);
    for (size_t q = 0; q < COUNT(steps); q++)
        take_step(&w, &steps[q]);
    uint32_t y[HALF][HALF] = {{w.part[Y11], w.part[Y12]}, {w.part[Y21], w.part[Y22]}};
    return w.k + strassen_maps(g, b, w.k, k, y);
}

void auto_strassen(Auto *g)
{
    Blocks b;
    for (uint32_t k = 0; k < g->te->stage.n; k++)
        if (find_blocks(g, k, &b))
            k = take_blocks(g, k, &b);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Constants of 24 bits. A product of one row, or of a few, waits for its constant: 64 bytes of it come from the second level in two cycles or more, from
 * memory in nine and more, and are used once. Four steps of a column take three lines here, as whole numbers v0 .. v3 of 24 bits above the
 * place of a byte, times one float for each column:
 *
 *   sum(k) x[k] * w[k, j] = sum(b) (x[4b]*f32(c0) + x[4b+1]*f32(c1) + x[4b+2]*f32(c2) + x[4b+3]*f32(c3)) * column[j]
 *
 *   c_q = line q at b and j,   c3 = c0 << 24 ^ c1 << 16 ^ c2 << 8
 *
 * One unit is 2^-23 of the largest of its column. The low byte of a line is what c3 needs there. What 24 bits hold as it
 * is (whole numbers, a table of few bits) stays as it is, each line less that byte; anything else is rounded, and that byte is part of
 * the number: since it is known, the upper three are those nearest to what the line should be with it. So errors are those of a float of the
 * size of the largest, where floats themselves have finer ones for what is smaller: two to seven units of 2^-24 of a sum's size in columns of
 * most networks, beside two to seven of the sum itself in floats (ARCHITECTURE.md, 48). Not where some are much larger than the rest.
 * With -Os, too: a quarter of such a constant is more than the code that unpacks it.
 */
#include <float.h>
#include <math.h>

#include "auto_product.h"
#include "auto_tile.h"

enum {
    UNPACK = 8,      /* operations on vectors beside the multiply-adds of four steps: conversions, shifts, what joins them (and three masks) */
    LEAST_GAIN = 10, /* one cycle of so many is saved */
    LEAST_SHARE = 4  /* of the first level that it takes at least: what is smaller is a trifle */
};

/* Of the rounding of columns to their own size, squared and in the mean, in units of 2^-24: a number is rounded by a unit over the square root of
 * 12, that is by two of these over it for a column whose largest is 1. */
#define MOST_ERROR (8.0 * 8.0)
#define ROUNDING (2.0 * 2.0 / 12)

/* ---- which products ---- */

/* Bytes a cycle of constants that are walked in each run, by each core its part. */
static double rate_of_constants(const Auto *g, int64_t bytes)
{
    const int64_t part = bytes / g->parts;
    return part <= g->m->l2_bytes ? g->m->l2_rate : bytes <= g->m->l3_bytes ? g->m->l3_rate : g->m->ram_rate;
}

/* Cycles for four steps of a vector of lanes: for so many bytes, or so many operations of which two go at a time. */
static double cycles_of(const Auto *g, double rate, int lines, int64_t products, int64_t others)
{
    const double bytes = (double)lines * g->m->lanes_f32 * sizeof(float);
    return fmax(bytes / rate, fmax((double)products / g->m->fma_rate, (double)(products + others) / 2));
}

/* Rows that share numbers have registers for three vectors of them: a sum takes four steps one after the other, and too few sums wait for
 * each other (two rows by two vectors with AVX2, from a last level of 27 bytes a cycle: 1.20 of the time; six rows, from memory: 1.17). */
static bool has_registers(const Auto *g, int64_t rows) { return rows == 1 || 3 * rows + slim_registers(g->m, 3) <= g->m->vregs; }

static bool pays(const Auto *g, const Product *p, double rate)
{
    const int64_t rows = points_sharing(g, p->s, p->d.w);
    if (!has_registers(g, rows))
        return false;
    const double plain = cycles_of(g, rate, SLIM_STEPS, SLIM_STEPS * rows, 0), slim = cycles_of(g, rate, LINES, SLIM_STEPS * rows, UNPACK);
    return LEAST_SHARE * constant_bytes(g, &p->d) >= g->m->l1_bytes && (plain - slim) * LEAST_GAIN >= plain;
}

/* ---- the numbers ---- */

enum { BYTE = 256, MOST_UPPER = (1 << 23) - 1 }; /* places of 32 bits below those of 24, and the largest of those */

/* exact: 24 bits hold all numbers. most: the largest magnitude of each column. */
typedef struct Numbers { bool exact; float *most; } Numbers;

/* What a number of 32 bits is worth in a column: a power of two, or so much that the largest has a margin for what its low byte and the
 * rounding of this float move it by. */
#define MOST_UNITS (0x1p31 - 0x1p10)
static float worth_of(float most, bool exact)
{
    int e = 0;
    if (!exact)
        return (float)((double)most / MOST_UNITS);
    (void)frexpf(most, &e);
    return most > 0 ? ldexpf(1, e - 31) : 0;
}

/* Numbers of a column are its numbers of 32 bits times this. */
static double units_of(float most, bool exact)
{
    const double worth = (double)worth_of(most, exact);
    return worth > 0 ? 1 / worth : 0;
}

/* spread: over columns, of the square of their largest over that of their mean size; not a number where what the largest is worth has less than
 * the 24 bits of a float, or something is no number. */
typedef struct Look { Numbers to; double spread; } Look;

static void look_at(const Columns *c, void *ctx)
{
    Look *s = ctx;
    float *most = s->to.most + number_of_columns(c);
    double units[COLUMN_STRIP], squares[COLUMN_STRIP] = {0};
    largest_of_columns(c, most);
    for (int64_t l = 0; l < c->count; l++)
        units[l] = units_of(most[l], true);
    for (int64_t k = 0; k < c->step.extent; k++)
        for (int64_t l = 0; l < c->count; l++) {
            const double w = (double)column_at(c, l, k), v = units[l] * w / BYTE;
            squares[l] += w * w;
            s->to.exact = s->to.exact && v == rint(v);
        }
    for (int64_t l = 0; l < c->count; l++) {
        const bool fits = worth_of(most[l], false) >= FLT_MIN && isfinite(most[l]);
        s->spread += most[l] == 0 ? 0 : fits ? (double)c->step.extent * (double)most[l] * (double)most[l] / squares[l] : NAN;
    }
}

/* Whether errors stay within what is said above; the numbers are in the arena then. */
static bool find_numbers(Auto *g, const Product *p, Numbers *n)
{
    const int64_t columns = count_columns(p);
    Look s = {.to = {true, NEWN(g->a, float, columns)}};
    product_columns(g, p, look_at, &s);
    *n = s.to;
    return s.to.exact ? !isnan(s.spread) : s.spread * ROUNDING <= MOST_ERROR * (double)columns;
}

/* -Os: what other stages read as it is would be stored twice. */
static bool may_store(const Auto *g, const Product *p) { return !g->te->cx->small || g->nreader[p->w->v.ref] == 1; }

static bool find(Auto *g, uint32_t k, double rate, Product *p, Numbers *n)
{
    return auto_product(g, k, p) && may_store(g, p) && p->steps % SLIM_STEPS == 0 && p->nbatch < MAX_RANK - 3 && pays(g, p, rate) && find_numbers(g, p, n);
}

/* The number nearest to v whose low byte is this, or, when that is none of the number's, v with it. */
static uint32_t with_low_byte(double v, uint32_t low, bool exact)
{
    const double upper = rint((exact ? v : v - (double)low) / BYTE);
    return (uint32_t)(int32_t)(upper < MOST_UPPER ? upper : MOST_UPPER) * BYTE + low;
}

static uint32_t byte_of(uint32_t v, int k) { return v >> 8 * k & 255; }

/* Lines of four numbers: each low byte follows from bytes of the lines behind it. */
static void put_four(const Columns *c, int64_t row, int64_t lane, const double *v, char *out)
{
    const bool exact = ((const Numbers *)c->how)->exact;
    const uint32_t last = with_low_byte(v[3], 0, exact);
    uint32_t line[LINES];
    line[2] = with_low_byte(v[2], byte_of(last, 1), exact);
    line[1] = with_low_byte(v[1], byte_of(last, 2) ^ byte_of(line[2], 1), exact);
    line[0] = with_low_byte(v[0], byte_of(last, 3) ^ byte_of(line[1], 1) ^ byte_of(line[2], 2), exact);
    for (int q = 0; q < LINES; q++)
        put_column(c, row + q, lane, &line[q], out);
}

/* [batch..][steps/4][line][lanes] */
static void make_lines(const Columns *c, char *out)
{
    const Numbers *n = c->how;
    double units[COLUMN_STRIP];
    for (int64_t l = 0; l < c->count; l++)
        units[l] = units_of(n->most[number_of_columns(c) + l], n->exact);
    for (int64_t b = 0; b < c->step.extent / SLIM_STEPS; b++)
        for (int64_t l = 0; l < c->count; l++) {
            double v[SLIM_STEPS];
            for (int q = 0; q < SLIM_STEPS; q++)
                v[q] = units[l] * (double)column_at(c, l, b * SLIM_STEPS + q);
            put_four(c, b * LINES, l, v, out);
        }
}

/* ---- the product ---- */

/* Number q of the four whose first line is loaded so. */
static const Expr *number_of(const Auto *g, const Expr *first, int q, bool exact)
{
    Exprs *x = g->x;
    const Expr *e = NULL;
    if (q < LINES)
        return exact ? ex_binary(x, EX_band, constant_line(g, first, q), ex_const_i(x, DT_i32, -BYTE)) : constant_line(g, first, q);
    for (int k = 0; k < LINES; k++) {
        const Expr *part = ex_binary(x, EX_shl, constant_line(g, first, k), ex_const_i(x, DT_i32, 8 * (LINES - k)));
        e = e ? ex_binary(x, EX_bxor, e, part) : part;
    }
    return e;
}

static const Expr *constant_of_lines(Auto *g, const Product *p, const Stage *s, const Numbers *n)
{
    const Expr *at[] = {s->rvar[0], ex_int(g->x, 0)};
    const int64_t extent[] = {p->steps / SLIM_STEPS, LINES};
    return product_constant(g, p, "lines", DT_i32, make_lines, arena_copy(g->a, n, sizeof *n), at, extent, COUNT(at));
}

static const Expr *column_worth(Auto *g, const Product *p, const Numbers *n)
{
    const int64_t columns = count_columns(p);
    float *worth = NEWN(g->a, float, columns);
    for (int64_t k = 0; k < columns; k++)
        worth[k] = worth_of(n->most[k], n->exact);
    return product_table(g, p, "worth", worth);
}

static Stage *slim_product(Auto *g, const Product *p, const Numbers *n)
{
    Exprs *x = g->x;
    Stage *s = arena_copy(g->a, p->s, sizeof *s);
    const Ten *t = ten(g->te, p->s->out);
    s->out = auto_tensor(g, str_fmt(g->a, "%s.slim", t->name), TEN_stage, t->rank, t->dim);
    g->pinned.at[s->out] = false;
    g->slim.at[s->out] = true;
    s->nr = 1;
    s->rext[0] = ex_int(x, p->steps / SLIM_STEPS);
    s->rvar[0] = ex_index(x, "b", s->rext[0]);
    s->body = NULL;
    const Expr *first = constant_of_lines(g, p, s, n);
    for (int q = 0; q < SLIM_STEPS; q++) {
        const Subst step = {p->k, ex_add(x, ex_mul(x, s->rvar[0], ex_int(x, SLIM_STEPS)), ex_int(x, q))};
        const Expr *product = ex_mul(x, ex_subst(x, p->x, &step, 1), ex_cast(x, DT_f32, number_of(g, first, q, n->exact)));
        s->body = s->body ? ex_add(x, s->body, product) : product;
    }
    return s;
}

void auto_slim(Auto *g)
{
    Product p;
    Numbers n;
    if (g->te->cx->fp != FP_fast)
        return;
    const double rate = rate_of_constants(g, all_constants(g));
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        if (!find(g, k, rate, &p, &n))
            continue;
        Stage *product = slim_product(g, &p, &n);
        auto_insert(g, k++, product);
        const Expr *sum = ex_load(g->x, DT_f32, product->out, ten(g->te, product->out)->rank, p.s->var);
        g->te->stage.at[k] = product_result(g, &p, ex_mul(g->x, sum, column_worth(g, &p, &n)));
        auto_views(g);
    }
}

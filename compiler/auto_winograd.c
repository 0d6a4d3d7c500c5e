/* SPDX-License-Identifier: Apache-2.0
 *
 * 3x3 convolutions below their own arithmetic: Winograd's minimal filtering F(t x t, 3 x 3) (A. Lavin, S. Gray,
 * Fast Algorithms for Convolutional Neural Networks, arXiv 1509.09308). With p = t + 2 points a side, z = p*a + b a point
 * and q a tile of t x t outputs, one stage becomes three, and the constant is transformed here:
 *
 *   U[z,c,m] = (G w[m,c] G^T)[a,b]                     constant
 *   V[z,q,c] = (B^T x[c, tile q with its border] B)[a,b]
 *   M[z,q,m] = sum(c) V[z,q,c] * U[z,c,m]              p*p products of matrices
 *   y[m,i,j] = (A^T M[.,q,m] A)[i mod t, j mod t]
 *
 * With stride 2 an output has two taps of every other number of a line, and one of those between them: t + 1 points of F(t, 2) take care of
 * the former, and the latter are t points as they are, so p = 2*t + 1, of which x has as many for a tile.
 *
 *   y[i] = x[2i]*w[0] + x[2i+2]*w[2]  +  x[2i+1]*w[1]
 *
 * Of bytes V and U are whole numbers of 16 bits, whose products dots take by pairs, and y is exact: G and A are multiplied by what makes them whole,
 * so that the output transform gives s*s*y modulo 2^32, with s = 1, 2, 6 or 24. Of it the odd part is taken out by its inverse modulo 2^32 (9 of 24*24)
 * and the power of two by a shift, which is right as long as 4*y or 64*y has 31 bits; so the weights are looked at (auto_sums.c).
 * A byte less its zero point has 9 bits, B makes at most 10 * 10 times as much of it, and G, of weights, 7 * 7.
 *
 * p*p multiplications take the place of 9*t*t. The transforms are written as choices by position (select on z, and on i and
 * j mod t) between expressions that share their parts; the tile that makes all positions at once pays each part once.
 * It reassociates the sums of a tile, so it is for the modes that allow more than that of one sum. Where products are of bf16, V and
 * U are rounded to it: F(2x2, 3x3) of 64 channels is off by 3.4e-3 for 1.6e-3 of the direct sum (root mean square, random numbers),
 * of which little is left behind a network (largest error of ResNet-50 3.2e-3 for 2.8e-3 of the largest output); F(4x4, 3x3), whose
 * transforms take differences of numbers ten times as large, by 2.0e-2, so it is left out.
 */
#include "auto_winograd.h"

enum { MAX_SIDE = 9, SMALL_PART = 4, STRIP = 16 };

/* Points 0, 1, -1, infinity; and 0, 1, -1, 2, -2, infinity. Whole: row r of G and column r of A times whole numbers whose product is 2 or 24.
 * Among the even columns of a row of B some number is positive, if any is not 0: every_other begins with it. */
static const double bt2[] = {1, 0, -1, 0, 0, 1, 1, 0, 0, -1, 1, 0, 0, 1, 0, -1};
static const double at2[] = {1, 1, 1, 0, 0, 1, -1, -1};
static const double g2[] = {1, 0, 0, 0.5, 0.5, 0.5, 0.5, -0.5, 0.5, 0, 0, 1};
static const double bt4[] = {4, 0, -5, 0, 1, 0, 0, -4, -4, 1, 1, 0, 0, 4, -4, -1, 1, 0,
                             0, -2, -1, 2, 1, 0, 0, 2, -1, -2, 1, 0, 0, 4, 0, -5, 0, 1};
static const double at4[] = {1, 1, 1, 1, 1, 0, 0, 1, -1, 2, -2, 0, 0, 1, 1, 4, 4, 0, 0, 1, -1, 8, -8, 1};
static const double g4[] = {1 / 4.0, 0, 0, -1 / 6.0, -1 / 6.0, -1 / 6.0, -1 / 6.0, 1 / 6.0, -1 / 6.0,
                            1 / 24.0, 1 / 12.0, 1 / 6.0, 1 / 24.0, -1 / 12.0, 1 / 6.0, 0, 0, 1};

static const double whole_at2[] = {2, 1, 1, 0, 0, 1, -1, -2};
static const double whole_g2[] = {1, 0, 0, 1, 1, 1, 1, -1, 1, 0, 0, 1};
static const double whole_at4[] = {2, 4, 4, 1, 1, 0, 0, 4, -4, 2, -2, 0, 0, 4, 4, 4, 4, 0, 0, 4, -4, 8, -8, 8};
static const double whole_g4[] = {3, 0, 0, -1, -1, -1, -1, 1, -1, 1, 2, 4, 1, -2, 4, 0, 0, 3};

/* Two taps: points 0, 1, infinity; 0, 1, -1, infinity, whose B is that of F(2, 3); and 0, 1, -1, 2, infinity. The last row of G is of the tap between them.
 * Whole: G times 2 or 6. */
static const double two_bt2[] = {1, -1, 0, 0, 1, 0, 0, -1, 1};
static const double two_at2[] = {1, 1, 0, 0, 1, 1};
static const double two_g2[] = {1, 0, 0, 1, 0, 1, 0, 0, 1, 0, 1, 0};
static const double two_at3[] = {1, 1, 1, 0, 0, 1, -1, 0, 0, 1, 1, -1};
static const double two_g3[] = {1, 0, 0, 0.5, 0, 0.5, 0.5, 0, -0.5, 0, 0, 1, 0, 1, 0};
static const double two_bt4[] = {2, -1, -2, 1, 0, 0, 2, 1, -1, 0, 0, -2, 3, -1, 0, 0, 1, 0, -1, 0, 0, 2, -1, -2, 1};
static const double two_at4[] = {1, 1, 1, 1, 0, 0, 1, -1, 2, 0, 0, 1, 1, 4, 0, 0, 1, -1, 8, 1};
static const double two_g4[] = {1 / 2.0, 0, 0, 1 / 2.0, 0, 1 / 2.0, 1 / 6.0, 0, -1 / 6.0, -1 / 6.0, 0, -1 / 3.0, 0, 0, 1, 0, 1, 0};

static const double whole_two_g3[] = {2, 0, 0, 1, 0, 1, 1, 0, -1, 0, 0, 2, 0, 2, 0};
static const double whole_two_g4[] = {3, 0, 0, 3, 0, 3, 1, 0, -1, -1, 0, -2, 0, 0, 6, 0, 6, 0};

enum { INVERSE_OF_9 = 0x38e38e39 };
static const Filtering of_floats[] = {{1, 2, 4, bt2, at2, g2, 4, 0, 1}, {1, 4, 6, bt4, at4, g4, 100, 0, 1},
                                      {2, 2, 3, two_bt2, two_at2, two_g2, 4, 0, 1}, {2, 3, 4, bt2, two_at3, two_g3, 4, 0, 1}, {2, 4, 5, two_bt4, two_at4, two_g4, 36, 0, 1}};
static const Filtering of_bytes[] = {{1, 2, 4, bt2, whole_at2, whole_g2, 4, 2, 1}, {1, 4, 6, bt4, whole_at4, whole_g4, 100, 6, INVERSE_OF_9},
                                     {2, 2, 3, two_bt2, two_at2, two_g2, 4, 0, 1}, {2, 3, 4, bt2, two_at3, whole_two_g3, 4, 2, 1}, {2, 4, 5, two_bt4, two_at4, whole_two_g4, 36, 2, INVERSE_OF_9}};

/* ---- the transforms as expressions ---- */

/* An integer times k: the sum of its shifts. */
static const Expr *shifted(const Auto *g, const Expr *e, int64_t k)
{
    const Expr *sum = NULL;
    for (int bit = 0; k >> bit; bit++) {
        if (!(k >> bit & 1))
            continue;
        const Expr *one = bit ? ex_binary(g->x, EX_shl, e, ex_const_i(g->x, DT_i32, bit)) : e;
        sum = sum ? ex_add(g->x, sum, one) : one;
    }
    return sum;
}

static const Expr *scaled(const Auto *g, const Expr *e, double k)
{
    return k == 1 ? e : e->dt == DT_i32 ? shifted(g, e, (int64_t)k) : ex_mul(g->x, e, ex_const_f(g->x, DT_f32, k));
}

/* sum + k*e; NULL is an empty sum. */
static const Expr *plus(const Auto *g, const Expr *sum, const Expr *e, double k)
{
    if (k == 0 || !e)
        return sum;
    if (!sum)
        return scaled(g, e, k);
    return k < 0 ? ex_sub(g->x, sum, scaled(g, e, -k)) : ex_add(g->x, sum, scaled(g, e, k));
}

/* sign * row * in over every other column; the first one that is not taken from the others stands in front. */
static const Expr *every_other(const Auto *g, const double *row, int from, int points, double sign, const Expr *const *in)
{
    int first = from;
    while (first < points && sign * row[first] <= 0)
        first += 2;
    const Expr *sum = first < points ? plus(g, NULL, in[first], sign * row[first]) : NULL;
    for (int c = from; c < points; c += 2)
        sum = c == first ? sum : plus(g, sum, in[c], sign * row[c]);
    return sum;
}

/* out = bt * in. Rows that are alike but for the sign of their odd columns share the sums of even and of odd ones. */
static void by_parity(const Auto *g, const double *bt, int points, const Expr *const *in, const Expr **out)
{
    for (int r = 0; r < points; r++) {
        const double *row = &bt[r * points];
        double sign = 0;
        for (int c = 1; c < points && sign == 0; c += 2)
            sign = row[c] < 0 ? -1 : row[c] > 0 ? 1 : 0;
        out[r] = plus(g, every_other(g, row, 0, points, 1, in), every_other(g, row, 1, points, sign, in), sign);
    }
}

/* out = at * in. Columns of opposite points, 2k-1 and 2k, come as their sum or their difference; the one before the last may have no opposite. */
static void by_pairs(const Auto *g, const double *at, int rows, int points, const Expr *const *in, const Expr **out)
{
    for (int r = 0; r < rows; r++) {
        const double *row = &at[r * points];
        const Expr *sum = plus(g, NULL, in[0], row[0]);
        for (int c = 1; c < points - 1; c += 2) {
            const Expr *pair = c + 1 == points - 1 ? in[c] : ex_binary(g->x, row[c] == row[c + 1] ? EX_add : EX_sub, in[c], in[c + 1]);
            sum = plus(g, sum, pair, row[c]);
        }
        out[r] = plus(g, sum, in[points - 1], row[points - 1]);
    }
}

/* Along one side of a tile: of x to points, and of products to y. What lies between every other number goes as it is. */
static void to_points(const Auto *g, const Filtering *f, const Expr *const *in, const Expr **out)
{
    const Expr *every[MAX_SIDE];
    for (int k = 0; k < f->points; k++)
        every[k] = in[k * f->stride];
    by_parity(g, f->bt, f->points, every, out);
    for (int k = f->points; k < winograd_side(f); k++)
        out[k] = in[(k - f->points) * f->stride + 1];
}

static void from_points(const Auto *g, const Filtering *f, const Expr *const *in, const Expr **out)
{
    by_pairs(g, f->at, f->tile, f->points, in, out);
    for (int k = f->points; k < winograd_side(f); k++)
        out[k - f->points] = ex_add(g->x, out[k - f->points], in[k]);
}

/* ---- tiles ---- */

/* Extents of what a tile's number q counts: images (the variables of the output that are neither channel nor side), then
 * rows and columns of tiles. */
typedef struct Grid { const Auto *g; const Conv *c; int64_t rows, cols; } Grid;

static bool is_image(const Conv *c, int v) { return v != c->out && v != c->side[0] && v != c->side[1]; }

/* Value of variable v of the output in tile q; of a side, the tile's number along it. */
static const Expr *of_tile(const Grid *t, const Expr *q, int v)
{
    Exprs *x = t->g->x;
    if (v == t->c->side[1])
        return ex_mod(x, q, ex_int(x, t->cols));
    q = ex_fdiv(x, q, ex_int(x, t->cols));
    if (v == t->c->side[0])
        return ex_mod(x, q, ex_int(x, t->rows));
    q = ex_fdiv(x, q, ex_int(x, t->rows));
    for (int e = ten(t->g->te, t->c->s->out)->rank - 1; e > v; e--)
        if (is_image(t->c, e))
            q = ex_fdiv(x, q, ex_int(x, winograd_extent(t->g, t->c, e)));
    return ex_mod(x, q, ex_int(x, winograd_extent(t->g, t->c, v)));
}

/* The tile that holds element var of the output. */
static const Expr *tile_of(const Grid *t, const Expr *const *var, const Filtering *f)
{
    Exprs *x = t->g->x;
    const Expr *q = ex_int(x, 0), *size = ex_int(x, f->tile);
    for (int v = 0; v < ten(t->g->te, t->c->s->out)->rank; v++)
        if (is_image(t->c, v))
            q = ex_add(x, ex_mul(x, q, ex_int(x, winograd_extent(t->g, t->c, v))), var[v]);
    q = ex_add(x, ex_mul(x, q, ex_int(x, t->rows)), ex_fdiv(x, var[t->c->side[0]], size));
    return ex_add(x, ex_mul(x, q, ex_int(x, t->cols)), ex_fdiv(x, var[t->c->side[1]], size));
}

/* choice[k] where which is k. */
static const Expr *choose_by(const Auto *g, const Expr *which, const Expr *const *choice, int n)
{
    const Expr *e = choice[n - 1];
    for (int k = n - 2; k >= 0; k--)
        e = ex_select(g->x, ex_binary(g->x, EX_eq, which, ex_int(g->x, k)), choice[k], e);
    return e;
}

/* The number z of product (a, b). With stride 2 those of two points come first, each with a matrix of its own; then, a tile's side together, those that
 * share one; and what lies between in both directions, which has a single one. */
static int product_at(const Filtering *f, int a, int b)
{
    const int n = f->points, t = f->tile, row = a - n, col = b - n;
    if (row < 0 && col < 0)
        return a * n + b;
    if (row < 0)
        return n * n + a * t + col;
    if (col < 0)
        return n * n + (n + b) * t + row;
    return n * n + (2 * n + row) * t + col;
}

/* ---- the three stages ---- */

static const Expr *variable(const Auto *g, const char *name, int64_t n) { return ex_index(g->x, name, ex_int(g->x, n)); }

static Stage *new_stage(const Auto *g, const Conv *c, StageKind kind, uint32_t out)
{
    Stage *s = NEW(g->a, Stage);
    *s = (Stage){.kind = kind, .out = out, .node = c->s->node};
    return s;
}

/* What x has beyond its edge. */
static const Expr *fill_of(const Auto *g, const Conv *c)
{
    if (c->sum == DT_f32)
        return ex_const_f(g->x, DT_f32, 0);
    return c->x->op == EX_loadp ? c->x->a[c->x->n - 1] : ex_const_i(g->x, (DType)c->x->dt, 0);
}

/* Element (a, b) of the input of tile q in channel ch. */
static const Expr *input_of(const Grid *t, const Filtering *f, const Expr *q, const Expr *ch, int a, int b)
{
    const Conv *c = t->c;
    Exprs *x = t->g->x;
    const Expr *index[MAX_RANK];
    int v;
    for (int d = 0; d < ex_load_rank(c->x); d++)
        index[d] = is_pure_var(c->x->a[d], c->s->var, ten(t->g->te, c->s->out)->rank, &v) ? of_tile(t, q, v) : c->x->a[d];
    for (int k = 0; k < 2; k++)
        index[c->dim[k]] = ex_add(x, ex_mul(x, of_tile(t, q, c->side[k]), ex_int(x, f->stride * f->tile)), ex_int(x, (k ? b : a) + c->from[k]));
    index[c->channel_dim] = ex_add(x, ch, ex_int(x, c->channel_from));
    return ex_loadp(x, (DType)c->x->dt, c->x->v.ref, ex_load_rank(c->x), index, fill_of(t->g, c));
}

static Stage *input_stage(Auto *g, const Grid *t, const Filtering *f, int64_t q, uint32_t v)
{
    const Expr *in[MAX_SIDE], *half[MAX_SIDE][MAX_SIDE], *all[MAX_SIDE * MAX_SIDE];
    const int n = winograd_side(f);
    const uint32_t x = t->c->x->v.ref;
    const double fill = t->c->sum == DT_f32 ? 0 : (double)fill_of(g, t->c)->v.i;
    const bool may_pad = layout_may_pad(g, x, fill);
    Stage *s = new_stage(g, t->c, ST_map, v);
    Layout want = layout_channels_last(g, x, t->c->channel_dim);
    want.pad = may_pad ? fill : g->layout.at[x].pad;
    s->var[0] = variable(g, "z", n * n);
    s->var[1] = variable(g, "q", q);
    s->var[2] = variable(g, "c", t->c->s->rext[t->c->channel]->v.i);
    for (int b = 0; b < n; b++) {
        const Expr *column[MAX_SIDE];
        for (int a = 0; a < n; a++) {
            const Expr *load = input_of(t, f, s->var[1], s->var[2], a, b);
            if (may_pad)
                layout_want_halo(g, load, &want);
            in[a] = t->c->sum == DT_f32 ? load : winograd_without_zero(g, t->c, load);
        }
        to_points(g, f, in, column);
        for (int a = 0; a < n; a++)
            half[a][b] = column[a];
    }
    for (int a = 0; a < n; a++) {
        const Expr *row[MAX_SIDE];
        to_points(g, f, half[a], row);
        for (int b = 0; b < n; b++)
            all[product_at(f, a, b)] = row[b];
    }
    s->body = ex_cast(g->x, t->c->factor, choose_by(g, s->var[0], all, n * n));
    layout_merge(g, x, &want);
    return s;
}

/* The matrix of product z. */
static const Expr *matrix_of(const Auto *g, const Filtering *f, const Expr *z)
{
    const Expr *own = ex_int(g->x, f->points * f->points), *last = ex_int(g->x, winograd_matrices(f) - 1);
    if (f->stride == 1)
        return z;
    const Expr *shared = ex_add(g->x, own, ex_fdiv(g->x, ex_sub(g->x, z, own), ex_int(g->x, f->tile)));
    return ex_binary(g->x, EX_min, ex_binary(g->x, EX_min, z, shared), last);
}

/* sum(c) V[z,q,c] * U[matrix of z,c,m] */
static Stage *product_stage(Auto *g, const Conv *c, const Filtering *f, uint32_t v, uint32_t u, uint32_t m)
{
    Exprs *x = g->x;
    Stage *s = new_stage(g, c, ST_reduce, m);
    const Ten *t = ten(g->te, m);
    s->op = RED_sum;
    for (int d = 0; d < 3; d++)
        s->var[d] = ex_index(x, (const char *const[]){"z", "q", "m"}[d], t->dim[d]);
    s->nr = 1;
    s->rext[0] = c->s->rext[c->channel];
    s->rvar[0] = ex_index(x, "c", s->rext[0]);
    const Expr *const from[] = {s->var[0], s->var[1], s->rvar[0]}, *const by[] = {matrix_of(g, f, s->var[0]), s->rvar[0], s->var[2]};
    s->body = ex_mul(x, ex_cast(x, c->sum, ex_load(x, c->factor, v, 3, from)), ex_cast(x, c->sum, ex_load(x, c->factor, u, 3, by)));
    return s;
}

static Stage *output_stage(Auto *g, const Grid *t, const Filtering *f, uint32_t m)
{
    const Conv *c = t->c;
    const Expr *q = tile_of(t, c->s->var, f), *half[MAX_SIDE][MAX_SIDE], *row[MAX_SIDE], *cell[MAX_SIDE];
    const int n = winograd_side(f);
    for (int b = 0; b < n; b++) {
        const Expr *in[MAX_SIDE], *column[MAX_SIDE];
        for (int a = 0; a < n; a++)
            in[a] = ex_load(g->x, c->sum, m, 3, (const Expr *const[]){ex_int(g->x, product_at(f, a, b)), q, c->s->var[c->out]});
        from_points(g, f, in, column);
        for (int u = 0; u < f->tile; u++)
            half[u][b] = column[u];
    }
    for (int u = 0; u < f->tile; u++) {
        from_points(g, f, half[u], cell);
        row[u] = choose_by(g, ex_mod(g->x, c->s->var[c->side[1]], ex_int(g->x, f->tile)), cell, f->tile);
    }
    Stage *s = new_stage(g, c, ST_map, c->s->out);
    memcpy(s->var, c->s->var, sizeof s->var);
    s->body = choose_by(g, ex_mod(g->x, c->s->var[c->side[0]], ex_int(g->x, f->tile)), row, f->tile);
    if (f->inverse != 1)
        s->body = ex_mul(g->x, s->body, ex_const_i(g->x, DT_i32, f->inverse));
    if (f->shift)
        s->body = ex_binary(g->x, EX_shr, s->body, ex_const_i(g->x, DT_i32, f->shift));
    return s;
}

/* ---- the constant ---- */

/* Elements of w from one value of stage variable v to the next. */
static int64_t step_of(const Auto *g, const Conv *c, const Expr *v)
{
    const Ten *w = ten(g->te, c->w->v.ref);
    int64_t step = 1;
    for (int d = w->rank - 1; d >= 0; step *= w->dim[d--]->v.i)
        if (c->w->a[d] == v)
            return step;
    ICE("'%s' has no such index", w->name);
}

typedef struct Points {
    Recipe r;
    const Filtering *f;
    DType dt;                                 /* of w; of bytes the points are i16 */
    int64_t in, out, by_in, by_out, row, col; /* channels, and elements of w from one to the next */
} Points;

static double tap_of(DType dt, const char *w, int64_t k)
{
    float v;
    if (dt == DT_i8 || dt == DT_u8)
        return dt == DT_i8 ? (double)((const int8_t *)w)[k] : (double)((const uint8_t *)w)[k];
    memcpy(&v, w + (size_t)k * sizeof v, sizeof v);
    return (double)v;
}

static void put_point(DType dt, char *out, int64_t k, double u)
{
    if (dt == DT_f32) {
        const float v = (float)u;
        memcpy(out + (size_t)k * sizeof v, &v, sizeof v);
    } else {
        const int16_t v = (int16_t)u;
        memcpy(out + (size_t)k * sizeof v, &v, sizeof v);
    }
}

/* The number of matrix (a, b), in the order of the products that it is the first for. */
static int matrix_at(int n, int a, int b)
{
    if (a < n && b < n)
        return a * n + b;
    return a < n ? n * n + a : n * n + n + b;
}

/* A row of G times the taps of a line. */
static double point_of(const double *g, const double *w) { return g[0] * w[0] + g[1] * w[1] + g[2] * w[2]; }

/* u = G w G^T for one pair of channels, whose first tap is at w, in double. */
static void transform_taps(const Points *p, const char *w, double *u)
{
    double half[MAX_SIDE][TAPS];
    const int n = p->f->points, rows = n + p->f->stride - 1;
    for (int s = 0; s < TAPS; s++) {
        double column[TAPS];
        for (int r = 0; r < TAPS; r++)
            column[r] = tap_of(p->dt, w, r * p->row + s * p->col);
        for (int a = 0; a < rows; a++)
            half[a][s] = point_of(&p->f->g[a * TAPS], column);
    }
    for (int a = 0; a < rows; a++)
        for (int b = 0; b < rows; b++)
            u[matrix_at(n, a, b)] = point_of(&p->f->g[b * TAPS], half[a]);
}

/* The points of input channel c and `count` output channels from m on, each matrix after the other. */
static void make_strip(const Points *p, const char *from, int64_t c, int64_t m, int64_t count, char *out)
{
    double u[STRIP][MAX_SIDE * MAX_SIDE];
    for (int64_t k = 0; k < count; k++)
        transform_taps(p, from + (size_t)(c * p->by_in + (m + k) * p->by_out) * dtype_bytes(p->dt), u[k]);
    for (int64_t z = 0; z < winograd_matrices(p->f); z++)
        for (int64_t k = 0; k < count; k++)
            put_point(p->dt, out, (z * p->in + c) * p->out + m + k, u[k][z]);
}

/* All of them: whatever one point takes, the others take too. By strips, as matrices lie powers of two apart and share sets of a cache. */
static void make_points(const Recipe *r, const char *from, int64_t first, int64_t n, char *out)
{
    const Points *p = (const Points *)r;
    (void)first;
    (void)n;
    for (int64_t m = 0; m < p->out; m += STRIP)
        for (int64_t c = 0; c < p->in; c++)
            make_strip(p, from, c, m, min_i64(STRIP, p->out - m), out);
}

static const Blob *transformed(Auto *g, const Conv *c, const Filtering *f)
{
    const int64_t in = c->s->rext[c->channel]->v.i, out = winograd_extent(g, c, c->out), count = winograd_matrices(f) * in * out;
    Points *p = NEW(g->a, Points);
    *p = (Points){.r = {.arena = g->a, .from = ten(g->te, c->w->v.ref)->data, .unit = count, .make = make_points},
                  .f = f, .dt = (DType)c->w->dt, .in = in, .out = out,
                  .by_in = step_of(g, c, c->s->rvar[c->channel]), .by_out = step_of(g, c, c->s->var[c->out]),
                  .row = step_of(g, c, c->s->rvar[c->tap[0]]), .col = step_of(g, c, c->s->rvar[c->tap[1]])};
    return blob_made(g->a, c->factor, count, &p->r);
}

static uint32_t tensor_of(Auto *g, const Conv *c, const char *what, TenKind kind, DType dt, const int64_t *n)
{
    const Expr *dim[3];
    for (int d = 0; d < 3; d++)
        dim[d] = ex_int(g->x, n[d]);
    const uint32_t t = auto_tensor(g, str_fmt(g->a, "%s.%s", ten(g->te, c->s->out)->name, what), kind, 3, dim);
    ten(g->te, t)->dt = dt;
    return t;
}

/* Stage k as three; returns how many were put before it. */
static uint32_t split(Auto *g, uint32_t k, const Conv *c, const Filtering *f)
{
    const Grid t = {g, c, winograd_tiles(g, c, 0, f->tile), winograd_tiles(g, c, 1, f->tile)};
    const int64_t q = winograd_all_tiles(g, c, f->tile), points = winograd_products(f);
    const int64_t in = c->s->rext[c->channel]->v.i, out = winograd_extent(g, c, c->out);
    const uint32_t u = tensor_of(g, c, "points", TEN_const, c->factor, (const int64_t[]){winograd_matrices(f), in, out});
    const uint32_t v = tensor_of(g, c, "tiles", TEN_stage, c->factor, (const int64_t[]){points, q, in});
    const uint32_t m = tensor_of(g, c, "products", TEN_stage, c->sum, (const int64_t[]){points, q, out});
    ten(g->te, u)->data = transformed(g, c, f);
    g->te->stage.at[k] = output_stage(g, &t, f, m);
    if (layout_free(g, c->s->out) && !g->layout.at[c->s->out].set) /* as the products lie */
        layout_innermost(&g->layout.at[c->s->out], ten(g->te, c->s->out)->rank, c->out);
    auto_insert(g, k, product_stage(g, c, f, v, u, m));
    auto_insert(g, k, input_stage(g, &t, f, q, v));
    return 2;
}

void auto_winograd(Auto *g)
{
    Conv c;
    if (g->m->lanes_f32 < 2 || g->te->cx->small || (g->m->amx && g->te->cx->fp == FP_bf16)) /* a matrix unit is done before the transforms are */
        return;
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        const Filtering *f = winograd_conv(g, k, &c) ? winograd_choose(g, &c, of_floats, COUNT(of_floats)) : NULL;
        if (!f)
            continue;
        k += split(g, k, &c, f);
        auto_views(g);
    }
}

/* What is made in between is a small part of what the model takes in memory anyway: one of few constants is for small memories. */
static bool has_room(const Auto *g, const Conv *c, const Filtering *f, int64_t room)
{
    const int64_t in = c->s->rext[c->channel]->v.i * (int64_t)dtype_bytes(c->factor), out = winograd_extent(g, c, c->out) * (int64_t)dtype_bytes(c->sum);
    return winograd_products(f) * winograd_all_tiles(g, c, f->tile) * (in + out) <= room;
}

/* A way to filter a convolution of bytes: the sum that it makes, cycles that it gains, bytes that its constant grows by; and whether it is the one to take. */
typedef struct Way { uint32_t out; const Filtering *f; double gain; int64_t growth; bool taken; } Way;
typedef VEC(Way) WayList;

static void find_ways(Auto *g, int64_t room, WayList *all)
{
    Conv c;
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        if (!winograd_conv_of_bytes(g, k, &c))
            continue;
        for (size_t q = 0; q < COUNT(of_bytes); q++) {
            const Filtering *f = &of_bytes[q];
            const Way way = {c.s->out, f, winograd_gain(g, &c, f), winograd_growth(g, &c, f), false};
            if (way.gain > 0 && has_room(g, &c, f, room / SMALL_PART) && winograd_is_exact(g, &c, f))
                PUSH(g->a, all, way);
        }
    }
}

/* The way that is taken for the same sum so far; one that gains nothing and takes nothing where there is none. */
static Way *taken_for(const WayList *all, uint32_t out, Way *none)
{
    for (uint32_t k = 0; k < all->n; k++)
        if (all->at[k].taken && all->at[k].out == out)
            return &all->at[k];
    *none = (Way){.out = out};
    return none;
}

/* Takes the way that gains most for what constants grow by, both against what is taken for its sum so far; false: none of those that fit gains. */
static bool take_best(WayList *all, int64_t *room)
{
    Way none, *best = NULL;
    double most = 0;
    for (uint32_t k = 0; k < all->n; k++) {
        Way *w = &all->at[k];
        const Way *now = taken_for(all, w->out, &none);
        const int64_t more = w->growth - now->growth;
        const double rate = (w->gain - now->gain) / (double)max_i64(more, 1);
        if (!w->taken && more <= *room && rate > most) {
            most = rate;
            best = w;
        }
    }
    if (!best)
        return false;
    Way *now = taken_for(all, best->out, &none);
    *room -= best->growth - now->growth;
    now->taken = false;
    best->taken = true;
    return true;
}

/* Constants of the model are twice as large at most. */
void auto_winograd_bytes(Auto *g)
{
    Conv c;
    WayList all = {0};
    if (g->te->cx->small || g->m->amx || g->m->dot_i16 <= 0)
        return;
    auto_views(g);
    int64_t room = all_constants(g);
    find_ways(g, room, &all);
    while (take_best(&all, &room)) {
    }
    for (uint32_t w = 0; w < all.n; w++) {
        if (!all.at[w].taken)
            continue;
        const uint32_t k = ten(g->te, all.at[w].out)->stage;
        (void)winograd_conv_of_bytes(g, k, &c);
        (void)split(g, k, &c, all.at[w].f);
        auto_views(g);
    }
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Long sums in pieces. A product that walks a large constant once passes over its rows for every block of lanes, and what the
 * second-level cache has to keep meanwhile is the rows and two blocks of the constant: the one in use and the one that is
 * fetched. Where that is more than it keeps beside what streams through, the sum is cut, so that each piece is:
 *
 *   y[i, j] = sum(k < K) x[i, k] * w[k, j]     becomes     p[i, j] = sum(k < K/2) x[i, k] * w[k, j]
 *                                                          y[i, j] = sum(k < K/2) x[i, k + K/2] * w[k + K/2, j] + p[i, j]
 *
 * (the loop over blocks of the reduction in Goto, van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 34,
 * 2008). Sapphire Rapids, constants from memory: 128 x 768 x 3072 in 0.86 of the time, 3x3 x 512 x 512 on 7 x 7 in 0.92.
 *
 * Several threads would wait for each other once more for each piece. But each of them needs all of x, most of which others have
 * made, so there pieces lie side by side and are dealt out with the lanes, and who makes piece p reads that of x alone:
 *
 *   part[p, i, j] = sum(k < K/n) x[i, p*K/n + k] * w[p*K/n + k, j],   y[i, j] = part[0, i, j] + .. + part[n-1, i, j]
 *
 * A product of one column has no variable along the vectors. There the lanes are pieces, one step of each side by side, and added in the
 * end (l < L; y = x w with a vector w, a convolution to one channel):
 *
 *   part[i, l] = sum(k < K/L) x[i, k*L + l] * w[k*L + l],   y[i] = sum(l) part[i, l]
 *
 * Sums by thirds (auto_thirds.c) are cut one after the other there, too: what they read is made by all parts anyway.
 *
 * In the same way a large picture that is summed to one value a channel is summed in groups of rows, each by who has made them:
 * there are not always as many blocks of channels as threads.
 */
#include "auto_tile.h"

enum {
    FEW_ROWS = 16,     /* no more than one tile: nothing is walked again */
    SHORT_PIECE = 512, /* steps, beside which a sum stored and loaded is nothing */
    LEAST_PIECE = 256, /* where the cache is small: 512 KB of Zen 3, where BERT-base takes 0.93 of the time by it */
    SMALL_CACHE = 512 << 10,
    PICTURE = 1 << 18, /* bytes, which take one thread as long as several meetings */
    MOST_PIECES = 8
};

/* Bytes that the cache has to keep while one block of lanes is made; half: 2 where rows and steps go by halves (auto_strassen.c), 1. */
static int64_t kept_bytes(const Auto *g, const Dot *d, const Stage *s, int64_t lanes, int64_t pieces, bool walked, int64_t half)
{
    const int64_t x = bytes_of_tensor(g, d->x->v.ref) / (half * half), block = reduction_steps(g, s) / half * lanes * (int64_t)sizeof(float);
    return (walked ? x / pieces : x) + 2 * block / pieces;
}

/* The reduction variable with most steps: it walks the channels where there are any. */
static int longest_variable(const Auto *g, const Stage *s)
{
    int best = -1;
    for (uint8_t q = 0; q < s->nr; q++)
        if (ex_is_const(s->rext[q]) && (best < 0 || extent_of(g, s->rext[q]) > extent_of(g, s->rext[best])))
            best = q;
    return best;
}

/* Whether rows pass by a constant that the second-level cache does not keep beside them. */
static bool is_long_stream(const Auto *g, const Stage *s, const Dot *d)
{
    const bool plain = d->w->dt == DT_f32 && d->x->dt == DT_f32 && d->quad == 1 && d->lane >= 0;
    const Ten *t = ten(g->te, s->out);
    return plain && d->group == extent_of(g, t->dim[d->lane]) && constant_bytes(g, d) > g->m->l2_bytes / 2 && points_sharing(g, s, d->w) > FEW_ROWS;
}

/* Pieces that the longest variable is cut into: the fewest that fit, or as many as are worth it. 1: it stays whole. */
static int pieces_behind(const Auto *g, uint32_t k, const Dot *d, int q)
{
    const Stage *s = g->te->stage.at[k];
    const int64_t n = extent_of(g, s->rext[q]), room = g->m->l2_bytes / 2, lanes = lanes_per_tile(g, d, k);
    const int64_t half = takes_strassen(g, k) ? 2 : 1, least = half * (g->m->l2_bytes > SMALL_CACHE ? SHORT_PIECE : LEAST_PIECE);
    const bool walked = index_uses(d->x, s->rvar[q]);
    int best = 1;
    for (int p = 2; p <= MOST_PIECES && kept_bytes(g, d, s, lanes, best, walked, half) > room; p++)
        if (n % p == 0 && reduction_steps(g, s) / p >= least)
            best = p;
    return best;
}

/* ---- stages like s ---- */

/* Stage s with variables of its own behind the first ones, which are another's, that makes tensor `to`; *of: old variables and new ones. */
static Stage *copy_of(Auto *g, const Stage *s, uint32_t to, uint8_t first, Subst *of, uint32_t *n)
{
    Stage *c = arena_copy(g->a, s, sizeof *s);
    const uint8_t rank = ten(g->te, s->out)->rank;
    *n = 0;
    c->out = to;
    for (uint8_t v = 0; v < rank; v++) {
        c->var[first + v] = ex_index(g->x, ex_var_info(g->x, s->var[v])->name, ten(g->te, s->out)->dim[v]);
        of[(*n)++] = (Subst){s->var[v], c->var[first + v]};
    }
    return c;
}

/* Of the steps of variable q those from `at` on, n of them, `stride` apart. */
static void take_steps(Auto *g, const Stage *s, Stage *c, uint8_t q, const Expr *at, int64_t stride, int64_t n, Subst *of, uint32_t *count)
{
    for (uint8_t r = 0; r < s->nr; r++) {
        c->rext[r] = r == q ? ex_int(g->x, n) : s->rext[r];
        c->rvar[r] = ex_index(g->x, ex_var_info(g->x, s->rvar[r])->name, c->rext[r]);
        of[(*count)++] = (Subst){s->rvar[r], r == q ? ex_add(g->x, ex_mul(g->x, c->rvar[r], ex_int(g->x, stride)), at) : c->rvar[r]};
    }
}

static void become_map(Stage *c, const Expr *body)
{
    c->kind = ST_map;
    c->op = RED_none;
    c->nr = 0;
    c->body = body;
}

/* ---- one after the other ---- */

static uint32_t like_output(Auto *g, const Stage *s, const char *what, int piece, bool pinned)
{
    const Ten *t = ten(g->te, s->out);
    const uint32_t to = auto_tensor(g, str_fmt(g->a, "%s.%s%d", t->name, what, piece), TEN_stage, t->rank, t->dim);
    g->pinned.at[to] = pinned;
    return to;
}

static Stage *sum_of(Auto *g, const Stage *s, const Expr *body, uint8_t q, int64_t at, int64_t n, uint32_t to)
{
    Subst of[2 * MAX_RANK];
    uint32_t count;
    Stage *c = copy_of(g, s, to, 0, of, &count);
    take_steps(g, s, c, q, ex_int(g->x, at), 1, n, of, &count);
    c->body = ex_subst(g->x, body, of, count);
    return c;
}

/* sum[v..] + before[v..] */
static Stage *total_of(Auto *g, const Stage *s, uint32_t sum, uint32_t before, uint32_t to)
{
    Subst of[MAX_RANK];
    uint32_t count;
    Stage *c = copy_of(g, s, to, 0, of, &count);
    const uint8_t rank = ten(g->te, to)->rank;
    become_map(c, ex_add(g->x, ex_load(g->x, DT_f32, sum, rank, c->var), ex_load(g->x, DT_f32, before, rank, c->var)));
    return c;
}

/* Stage k becomes the total of its last piece; returns the number of stages put before it. */
static uint32_t split_behind(Auto *g, uint32_t k, uint8_t q, int pieces)
{
    const uint32_t first = k;
    const Stage *s = g->te->stage.at[k];
    const Expr *body = g->body[k];
    const int64_t n = extent_of(g, s->rext[q]) / pieces;
    uint32_t before = like_output(g, s, "part", 0, true);
    auto_insert(g, k++, sum_of(g, s, body, q, 0, n, before));
    for (int p = 1; p < pieces; p++) {
        const uint32_t sum = like_output(g, s, "sum", p, false), to = p + 1 < pieces ? like_output(g, s, "part", p, true) : s->out;
        auto_insert(g, k++, sum_of(g, s, body, q, p * n, n, sum));
        Stage *total = total_of(g, s, sum, before, to);
        if (to == s->out)
            g->te->stage.at[k] = total;
        else
            auto_insert(g, k++, total);
        before = to;
    }
    return k - first;
}

/* ---- side by side ---- */

/* Bytes that a part takes from others: of the piece of x that parts / pieces parts have made, and of partial sums of what it owns. */
static double exchanged_bytes(const Auto *g, const Stage *s, const Dot *d, int pieces)
{
    const double x = (double)bytes_of_tensor(g, d->x->v.ref), out = (double)bytes_of_tensor(g, s->out), parts = g->parts;
    return x * (1.0 / pieces - 1.0 / parts) + out * (pieces - 1) / parts;
}

/* Whether variable q walks x and a whole dimension of the constant, which is the larger, so that lanes are dealt out and not rows. */
static bool goes_beside(const Auto *g, const Stage *s, const Dot *d, int q)
{
    const Ten *w = ten(g->te, d->w->v.ref);
    const int dim = dim_of(d->w, s->rvar[q]);
    const bool walks = d->w->op == EX_load && index_uses(d->x, s->rvar[q]) && dim >= 0 && extent_of(g, w->dim[dim]) == extent_of(g, s->rext[q]);
    return walks && ten(g->te, s->out)->rank < MAX_RANK && w->rank < MAX_RANK && constant_bytes(g, d) > bytes_of_tensor(g, d->x->v.ref);
}

/* As many as there is least to exchange with, if that is half of what a whole sum has. 1: it stays whole. */
static int pieces_beside(const Auto *g, const Stage *s, const Dot *d, int q)
{
    const int64_t n = extent_of(g, s->rext[q]), most = goes_beside(g, s, d, q) ? min_i64(MOST_PIECES, g->parts) : 1;
    int best = 1;
    for (int p = 2; p <= most; p++)
        if (n % p == 0 && g->parts % p == 0 && reduction_steps(g, s) / p >= SHORT_PIECE && exchanged_bytes(g, s, d, p) < exchanged_bytes(g, s, d, best))
            best = p;
    return 2 * exchanged_bytes(g, s, d, best) <= exchanged_bytes(g, s, d, 1) ? best : 1;
}

/* part[p, v..]; constant: of a product, or NULL. */
static Stage *partial_sums(Auto *g, const Stage *s, const Expr *body, const Expr *constant, uint8_t q, int pieces)
{
    const int64_t n = extent_of(g, s->rext[q]) / pieces;
    const Ten *t = ten(g->te, s->out);
    const Expr *dim[MAX_RANK] = {ex_int(g->x, pieces)}, *p = ex_index(g->x, "p", dim[0]);
    for (uint8_t v = 0; v < t->rank; v++)
        dim[v + 1] = t->dim[v];
    Subst of[2 * MAX_RANK];
    uint32_t count;
    Stage *c = copy_of(g, s, auto_tensor(g, str_fmt(g->a, "%s.partial", t->name), TEN_stage, (uint8_t)(t->rank + 1), dim), 1, of, &count);
    c->var[0] = p;
    ten(g->te, c->out)->dt = (DType)body->dt; /* which is wider where bytes are summed */
    take_steps(g, s, c, q, ex_mul(g->x, p, ex_int(g->x, n)), 1, n, of, &count);
    c->body = ex_subst(g->x, body, of, count);
    if (!constant)
        return c;
    const Expr *w = ex_subst(g->x, constant, of, count);
    const Expr *size[] = {ex_int(g->x, pieces), ex_int(g->x, n)}, *index[] = {p, c->rvar[q]};
    const Subst piece = {w, auto_unfold(g, w, dim_of(constant, s->rvar[q]), "pieces", 2, size, index)};
    c->body = ex_subst(g->x, c->body, &piece, 1);
    return c;
}

/* part[0, v..] + part[1, v..] + .. */
static Stage *total_of_partial(Auto *g, const Stage *s, uint32_t partial, int pieces)
{
    Subst of[MAX_RANK];
    uint32_t count;
    Stage *c = copy_of(g, s, s->out, 0, of, &count);
    const uint8_t rank = ten(g->te, s->out)->rank;
    const Expr *index[MAX_RANK], *sum = NULL;
    memcpy(index + 1, c->var, rank * sizeof *index);
    for (int p = 0; p < pieces; p++) {
        index[0] = ex_int(g->x, p);
        const Expr *part = ex_load(g->x, ten(g->te, partial)->dt, partial, (uint8_t)(rank + 1), index);
        sum = sum ? ex_add(g->x, sum, part) : part;
    }
    become_map(c, sum);
    return c;
}

/* Stage k becomes the total; returns the number of stages put before it. */
static uint32_t split_beside(Auto *g, uint32_t k, const Expr *constant, uint8_t q, int pieces)
{
    const Stage *s = g->te->stage.at[k];
    Stage *part = partial_sums(g, s, g->body[k], constant, q, pieces);
    auto_insert(g, k, part);
    g->te->stage.at[k + 1] = total_of_partial(g, s, part->out, pieces);
    return 1;
}

/* ---- one column ---- */

/* The reduction variable with most steps that walks, alone, a dimension of x and all of one of the constant, in whole vectors; -1: none does. */
static int lanes_variable(const Auto *g, const Stage *s, const Dot *d)
{
    const Ten *w = ten(g->te, d->w->v.ref);
    int best = -1;
    for (uint8_t q = 0; q < s->nr; q++) {
        const int x_dim = sole_dim(d->x, s->rvar[q]), dim = dim_of(d->w, s->rvar[q]);
        const bool whole = x_dim >= 0 && d->x->a[x_dim] == s->rvar[q] && dim >= 0 && extent_of(g, w->dim[dim]) == extent_of(g, s->rext[q]);
        if (whole && ex_is_const(s->rext[q]) && s->rext[q]->v.i % g->m->lanes_f32 == 0 && (best < 0 || s->rext[q]->v.i > s->rext[best]->v.i))
            best = q;
    }
    return best;
}

/* Variable of a product of floats or of bytes that becomes lanes; -1: it has some. */
static int column_variable(const Auto *g, const Stage *s, const Dot *d)
{
    const Ten *t = ten(g->te, s->out), *w = ten(g->te, d->w->v.ref);
    const bool floats = d->x->dt == DT_f32 && d->w->dt == DT_f32, bytes = dtype_is_byte((DType)d->x->dt) && dtype_is_byte((DType)d->w->dt);
    const bool constant = d->w->op == EX_load && is_constant_load(g, d->w);
    const bool column = d->lane < 0 || ex_is_int(t->dim[d->lane], 1);
    return (floats || bytes) && constant && column && t->rank < MAX_RANK && w->rank < MAX_RANK ? lanes_variable(g, s, d) : -1;
}

/* part[v.., l] */
static Stage *sums_by_lane(Auto *g, const Stage *s, const Dot *d, uint8_t q)
{
    const Ten *t = ten(g->te, s->out);
    const int64_t lanes = g->m->lanes_f32, n = s->rext[q]->v.i / lanes;
    const Expr *dim[MAX_RANK];
    Subst of[2 * MAX_RANK];
    uint32_t count;
    memcpy(dim, t->dim, t->rank * sizeof *dim);
    dim[t->rank] = ex_int(g->x, lanes);
    const uint32_t to = auto_tensor(g, str_fmt(g->a, "%s.lanes", t->name), TEN_stage, (uint8_t)(t->rank + 1), dim);
    ten(g->te, to)->dt = (DType)g->body[t->stage]->dt;
    Stage *c = copy_of(g, s, to, 0, of, &count);
    const Expr *l = c->var[t->rank] = ex_index(g->x, "l", dim[t->rank]);
    take_steps(g, s, c, q, l, lanes, n, of, &count);
    const Expr *size[] = {ex_int(g->x, n), dim[t->rank]}, *index[] = {c->rvar[q], l}, *w = ex_subst(g->x, d->w, of, count);
    const Subst lane = {w, auto_unfold(g, w, dim_of(d->w, s->rvar[q]), "lanes", 2, size, index)};
    c->body = ex_subst(g->x, ex_subst(g->x, g->body[ten(g->te, s->out)->stage], of, count), &lane, 1);
    return c;
}

/* sum(l) part[v.., l] */
static Stage *sum_of_lanes(Auto *g, const Stage *s, const Stage *part)
{
    Subst of[MAX_RANK];
    uint32_t count;
    Stage *c = copy_of(g, s, s->out, 0, of, &count);
    const uint8_t rank = ten(g->te, s->out)->rank;
    const Expr *index[MAX_RANK];
    memcpy(index, c->var, rank * sizeof *index);
    c->nr = 1;
    c->rext[0] = ten(g->te, part->out)->dim[rank];
    c->rvar[0] = index[rank] = ex_index(g->x, "l", c->rext[0]);
    c->body = ex_load(g->x, ten(g->te, part->out)->dt, part->out, (uint8_t)(rank + 1), index);
    return c;
}

static uint32_t split_column(Auto *g, uint32_t k)
{
    const Stage *s = g->te->stage.at[k];
    Dot d;
    const int q = dot_of(g, k, &d) ? column_variable(g, s, &d) : -1;
    if (q < 0)
        return 0;
    Stage *part = sums_by_lane(g, s, &d, (uint8_t)q);
    auto_insert(g, k, part);
    g->te->stage.at[k + 1] = sum_of_lanes(g, s, part);
    return 1;
}

/* ---- pictures ---- */

/* The load that a sum over rows and columns walks, for one value a channel; NULL: it is no such sum, or of too little. *q: rows. */
static const Expr *picture_of(const Auto *g, uint32_t k, uint8_t *q)
{
    const Stage *s = g->te->stage.at[k];
    const Ten *t = ten(g->te, s->out);
    const Expr *x = s->kind == ST_reduce && s->op == RED_sum ? g->body[k] : NULL;
    int walked = 0, kept = 0;
    for (uint8_t r = s->nr; x && r-- > 0;)
        if (!ex_is_int(s->rext[r], 1)) {
            *q = r;
            walked++;
        }
    for (uint8_t v = 0; v < t->rank; v++)
        kept += !ex_is_int(t->dim[v], 1);
    x = x && x->op == EX_cast ? x->a[0] : x;
    const bool fits = x && x->op == EX_load && walked > 1 && kept == 1 && t->rank < MAX_RANK && ex_is_const(s->rext[*q]);
    return fits && dim_of(x, s->rvar[*q]) >= 0 && bytes_of_tensor(g, x->v.ref) >= PICTURE ? x : NULL;
}

/* As many groups of rows as there are parts, or fewer where those do not divide them. */
static int pieces_of_picture(const Auto *g, const Stage *s, uint8_t q)
{
    int n = g->parts;
    while (s->rext[q]->v.i % n || g->parts % n)
        n--;
    return n;
}

static uint32_t split_picture(Auto *g, uint32_t k)
{
    uint8_t q = 0;
    const int pieces = picture_of(g, k, &q) ? pieces_of_picture(g, g->te->stage.at[k], q) : 1;
    return pieces > 1 ? split_beside(g, k, NULL, q, pieces) : 0;
}

/* ---- all of them ---- */

static uint32_t split_product(Auto *g, uint32_t k)
{
    const Stage *s = g->te->stage.at[k];
    Dot d;
    if (!dot_of(g, k, &d) || !is_long_stream(g, s, &d))
        return 0;
    const bool beside = g->parts > 1 && !takes_thirds(g, k) && !takes_strassen(g, k);
    const int q = longest_variable(g, s), pieces = q < 0 ? 1 : beside ? pieces_beside(g, s, &d, q) : pieces_behind(g, k, &d, q);
    if (pieces < 2)
        return 0;
    return beside ? split_beside(g, k, d.w, (uint8_t)q, pieces) : split_behind(g, k, (uint8_t)q, pieces);
}

void auto_split(Auto *g)
{
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        uint32_t more = split_product(g, k);
        more = more ? more : split_column(g, k);
        more = !more && g->parts > 1 ? split_picture(g, k) : more;
        if (more)
            auto_views(g);
        k += more;
    }
}

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
 * 2008). Sapphire Rapids, constants from memory: 128 x 768 x 3072 in 0.86 of the time, 3x3 x 512 x 512 on 7 x 7 in 0.92. Not for
 * several threads: they wait for each other once more for each piece, which takes what it gives (ResNet-50 on two: 2 % more).
 */
#include "auto_tile.h"

enum {
    FEW_ROWS = 16,     /* no more than one tile: nothing is walked again */
    SHORT_PIECE = 512, /* steps, beside which a sum stored and loaded is nothing */
    MOST_PIECES = 8
};

/* Bytes that the cache has to keep while one block of lanes is made. */
static int64_t kept_bytes(const Auto *g, const Dot *d, const Stage *s, int64_t lanes, int64_t pieces, bool walked)
{
    const int64_t x = bytes_of_tensor(g, d->x->v.ref), block = reduction_steps(g, s) * lanes * (int64_t)sizeof(float);
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

static bool is_long_stream(const Auto *g, const Stage *s, const Dot *d)
{
    const bool plain = d->w->dt == DT_f32 && d->x->dt == DT_f32 && d->quad == 1 && d->lane >= 0;
    const Ten *t = ten(g->te, s->out);
    return plain && d->group == extent_of(g, t->dim[d->lane]) && constant_bytes(g, d) > g->m->l2_bytes / 2 && points_sharing(g, s, d->w) > FEW_ROWS;
}

/* Pieces that the longest variable is cut into: the fewest that fit, or as many as are worth it. 1: it stays whole. */
static int pieces_of(const Auto *g, uint32_t k, const Dot *d, int q)
{
    const Stage *s = g->te->stage.at[k];
    const int64_t n = extent_of(g, s->rext[q]), room = g->m->l2_bytes / 2, lanes = lanes_per_tile(g, d, k);
    const bool walked = index_uses(d->x, s->rvar[q]);
    int best = 1;
    for (int p = 2; p <= MOST_PIECES && kept_bytes(g, d, s, lanes, best, walked) > room; p++)
        if (n % p == 0 && reduction_steps(g, s) / p >= SHORT_PIECE)
            best = p;
    return best;
}

/* ---- the pieces ---- */

static uint32_t like_output(Auto *g, const Stage *s, const char *what, int piece, bool pinned)
{
    const Ten *t = ten(g->te, s->out);
    const uint32_t to = auto_tensor(g, str_fmt(g->a, "%s.%s%d", t->name, what, piece), TEN_stage, t->rank, t->dim);
    g->pinned.at[to] = pinned;
    return to;
}

/* Stage s with variables of its own, that makes tensor `to`; *of: old variables and new ones. */
static Stage *copy_of(Auto *g, const Stage *s, uint32_t to, Subst *of, uint32_t *n)
{
    Stage *c = arena_copy(g->a, s, sizeof *s);
    *n = 0;
    c->out = to;
    for (uint8_t v = 0; v < ten(g->te, to)->rank; v++) {
        c->var[v] = ex_index(g->x, ex_var_info(g->x, s->var[v])->name, ten(g->te, to)->dim[v]);
        of[(*n)++] = (Subst){s->var[v], c->var[v]};
    }
    return c;
}

/* The steps of variable q of stage s from at on, n of them. */
static Stage *sum_of(Auto *g, const Stage *s, const Expr *body, uint8_t q, int64_t at, int64_t n, uint32_t to)
{
    Subst of[2 * MAX_RANK];
    uint32_t count;
    Stage *c = copy_of(g, s, to, of, &count);
    for (uint8_t r = 0; r < s->nr; r++) {
        c->rext[r] = r == q ? ex_int(g->x, n) : s->rext[r];
        c->rvar[r] = ex_index(g->x, ex_var_info(g->x, s->rvar[r])->name, c->rext[r]);
        of[count++] = (Subst){s->rvar[r], r == q ? ex_add(g->x, c->rvar[r], ex_int(g->x, at)) : c->rvar[r]};
    }
    c->body = ex_subst(g->x, body, of, count);
    return c;
}

/* sum[v..] + before[v..] */
static Stage *total_of(Auto *g, const Stage *s, uint32_t sum, uint32_t before, uint32_t to)
{
    Subst of[MAX_RANK];
    uint32_t count;
    Stage *c = copy_of(g, s, to, of, &count);
    const uint8_t rank = ten(g->te, to)->rank;
    c->kind = ST_map;
    c->op = RED_none;
    c->nr = 0;
    c->body = ex_add(g->x, ex_load(g->x, DT_f32, sum, rank, c->var), ex_load(g->x, DT_f32, before, rank, c->var));
    return c;
}

/* Stage k becomes the total of its last piece; returns the number of stages put before it. */
static uint32_t split(Auto *g, uint32_t k, uint8_t q, int pieces)
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

void auto_split(Auto *g)
{
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        const Stage *s = g->te->stage.at[k];
        Dot d;
        if (!dot_of(g, k, &d) || !is_long_stream(g, s, &d))
            continue;
        const int q = longest_variable(g, s);
        const int pieces = q < 0 ? 1 : pieces_of(g, k, &d, q);
        if (pieces < 2)
            continue;
        k += split(g, k, (uint8_t)q, pieces);
        auto_views(g);
    }
}

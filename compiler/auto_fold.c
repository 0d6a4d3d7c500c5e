/* SPDX-License-Identifier: Apache-2.0
 *
 * Products of few rows whose operands both lie along the reduction, as the scores of one query against the keys of a cache.
 * Their sums are taken in vectors along it, one for each output, and as many of them as a vector has lanes are folded
 * together (codegen/ctile_fold.c). That needs no copy of the keys with the lanes innermost, which costs several passes over them.
 *
 *   y[i, j] = sum(k) x[i, k] * w[j, k]
 */
#include "auto_tile.h"

/* Folds cost as much for every row, turning w over costs once: even at 8 rows of 32 steps, 13 of 64, 14 of 128 (64 or 256 lanes,
 * Sapphire Rapids). */
enum {
    FEW_ROWS = 12,
    STEPS_OF_ROW = 4,
    MIN_SUMS = 8 /* at a time: two multiply-adds of four cycles */
};

/* Outputs for each element of w, be it by rows or by heads that share w; views of a part of w count by the first. */
static int64_t rows_of(const Auto *g, const Stage *s, const Expr *w)
{
    return max_i64(points_sharing(g, s, w), points_of_tensor(g, s->out) * reduction_steps(g, s) / max_i64(points_of_tensor(g, w->v.ref), 1));
}

static bool has_few_rows(const Auto *g, const Stage *s, const Expr *w)
{
    const int64_t rows = rows_of(g, s, w);
    return rows <= FEW_ROWS && STEPS_OF_ROW * rows <= s->rext[0]->v.i;
}

bool is_folded(const Auto *g, const Stage *s, const Dot *d)
{
    if (g->m->lanes_f32 < 2 || !dtype_is_float((DType)d->w->dt) || d->quad > 1 || is_constant_load(g, d->w) || s->nr != 1)
        return false;
    if (d->lane < 0 || index_uses(d->x, s->var[d->lane]))
        return false;
    const bool along = stride_of(g, d->x, s->rvar[0]) == 1 && stride_of(g, d->w, s->rvar[0]) == 1;
    const bool whole = ex_is_const(s->rext[0]) && s->rext[0]->v.i >= g->m->lanes_f32;
    return along && whole && stride_of(g, d->w, s->var[d->lane]) > 1 && has_few_rows(g, s, d->w);
}

TileShape shape_of_fold(const Auto *g)
{
    return (TileShape){1, 1, (int32_t)max_i64(g->m->lanes_f32, MIN_SUMS), 0};
}

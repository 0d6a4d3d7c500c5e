/* SPDX-License-Identifier: Apache-2.0
 *
 * Reductions over some dimensions: see red.h. The variance is the mean of squared distances from the mean, in a second
 * sweep, which does not cancel as the mean of squares does.
 */
#include "red.h"

Axes axes_of(int rank, const Expr *const *dim, const bool *is_red)
{
    Axes a = {.rank = rank};
    for (int d = 0; d < rank; d++) {
        a.is_red[d] = is_red[d];
        a.dim[d] = dim[d];
        if (is_red[d]) {
            a.red[a.nred++] = dim[d];
        } else {
            a.kept[a.nkept++] = dim[d];
        }
    }
    return a;
}

Axes axes_from(int rank, const Expr *const *dim, int first)
{
    bool is_red[MAX_RANK] = {false};
    for (int d = first; d < rank; d++) is_red[d] = true;
    return axes_of(rank, dim, is_red);
}

Axes axes_one(int rank, const Expr *const *dim, int axis)
{
    bool is_red[MAX_RANK] = {false};
    is_red[axis] = true;
    return axes_of(rank, dim, is_red);
}

const Expr *axes_count(OpCtx *c, const Axes *a, DType dt)
{
    const Expr *n = IX(1);
    for (int d = 0; d < a->nred; d++) n = MUL(n, a->red[d]);
    return CAST(dt, n);
}

void axes_keep(const Axes *a, const Expr *const *full, const Expr **kept)
{
    int n = 0;
    for (int d = 0; d < a->rank; d++) {
        if (!a->is_red[d]) kept[n++] = full[d];
    }
}

void sweep_at(OpCtx *c, const Axes *a, const Expr *const *kept, Sweep *s)
{
    static const char *const names[] = {"r", "s", "t", "u"};
    int i = 0, r = 0;
    memcpy(s->i, kept, (size_t)a->nkept * sizeof *kept);
    for (int d = 0; d < a->nred; d++) s->r[d] = red_var(c, names[d < 4 ? d : 3], a->red[d]);
    for (int d = 0; d < a->rank; d++) s->at[d] = a->is_red[d] ? s->r[r++] : s->i[i++];
}

void sweep(OpCtx *c, const Axes *a, Sweep *s)
{
    const Expr *i[MAX_RANK];
    vars_for(c, "ijklmn", a->nkept, a->kept, i);
    sweep_at(c, a, i, s);
}

bool sweep_into(OpCtx *c, uint32_t t, const Axes *a, const Sweep *s, RedOp op, const Expr *body)
{
    if (a->nred == 0) return def_map(c, t, s->i, body);
    return def_reduce(c, t, s->i, op, a->nred, s->r, a->red, body);
}

uint32_t sweep_temp(OpCtx *c, const char *hint, const Axes *a, const Sweep *s, RedOp op, const Expr *body)
{
    const uint32_t t = temp_ten(c, hint, (DType)body->dt, a->nkept, a->kept);
    sweep_into(c, t, a, s, op, body);
    return t;
}

/* Sum divided by the number of its terms. */
static uint32_t mean_of(OpCtx *c, const char *hint, const Axes *a, uint32_t sum, DType dt)
{
    const uint32_t t = temp_ten(c, hint, dt, a->nkept, a->kept);
    const Expr *i[MAX_RANK];
    vars_for(c, "ijklmn", a->nkept, a->kept, i);
    def_map(c, t, i, DIV(load_at(c, sum, i), axes_count(c, a, dt)));
    return t;
}

Moments moments(OpCtx *c, const Axes *a, uint32_t x, DType dt)
{
    Sweep s;
    Moments m;
    sweep(c, a, &s);
    m.mean = mean_of(c, "mean", a, sweep_temp(c, "sum", a, &s, RED_sum, CAST(dt, load_at(c, x, s.at))), dt);
    sweep(c, a, &s);
    const Expr *far = SUB(CAST(dt, load_at(c, x, s.at)), load_at(c, m.mean, s.i));
    m.var = mean_of(c, "var", a, sweep_temp(c, "far", a, &s, RED_sum, MUL(far, far)), dt);
    return m;
}

uint32_t mean_square(OpCtx *c, const Axes *a, uint32_t x, DType dt)
{
    Sweep s;
    sweep(c, a, &s);
    const Expr *v = CAST(dt, load_at(c, x, s.at));
    return mean_of(c, "meansq", a, sweep_temp(c, "sumsq", a, &s, RED_sum, MUL(v, v)), dt);
}

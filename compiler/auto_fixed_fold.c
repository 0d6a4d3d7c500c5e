/* SPDX-License-Identifier: Apache-2.0
 *
 * -ffp=bf16: what a number of a fixed-point sum stands for goes into the product that reads it.
 *
 * A sum n of auto_fixed.c stands for y[m,i,j] = f32(n + 2^15 * sum k') * scale[m]. Where a bias is added and the result clipped, too, and one product
 * of constants w reads that, the bias goes into n and scale into w, in the place of a multiply-add for each element, which a core makes where it makes dots:
 *
 *   z[m,i,j] = min(max(f32(n + (2^15 * sum k' + rint(b[m] / scale[m]))), 0), top / scale[m])
 *   w'[o,m]  = w[o,m] * scale[m]
 *
 * with scale such that top / scale is a number of bf16: what is clipped is exact, as it was.
 */
#include <math.h>

#include "runtime-min/mlcc_float.h"

#include "auto_fixed.h"

/* ---- which ---- */

/* The map that clips what tensor y, and maps behind it, hold. */
static bool find_map(const Auto *g, uint32_t y, Clip *c)
{
    for (uint32_t t = y; g->nreader[t] == 1 && g->te->stage.at[g->reader[t][0]]->kind == ST_map; t = g->te->stage.at[g->reader[t][0]]->out)
        if (find_clip(g, g->reader[t][0], c))
            return c->sum->v.ref == y;
    return false;
}

/* The dimension of w that walks with dimension `lane` of x, alone and along the sum; -1: there is none. */
static int dim_beside(const Stage *s, const Dot *d, int lane)
{
    for (uint8_t r = 0; r < s->nr; r++)
        if (d->x->a[lane] == s->rvar[r])
            return dim_of(d->w, s->rvar[r]) == sole_dim(d->w, s->rvar[r]) && sole_dim(d->x, s->rvar[r]) == lane ? dim_of(d->w, s->rvar[r]) : -1;
    return -1;
}

/* The product that alone reads z, with a constant of floats. */
static bool find_reader(const Auto *g, int lane, Folded *f)
{
    Dot d;
    const uint32_t z = f->z = g->te->stage.at[f->c.map]->out;
    if (!layout_free(g, z) || g->nreader[z] != 1 || !dot_of(g, f->reader = g->reader[z][0], &d))
        return false;
    if (d.x->v.ref != z || d.x->dt != DT_f32 || !is_zero_outside(d.x))
        return false;
    f->w = d.w;
    f->dim = d.w->op == EX_load && d.w->dt == DT_f32 && is_constant_load(g, d.w) ? dim_beside(g->te->stage.at[f->reader], &d, lane) : -1;
    return f->dim >= 0 && !ten(g->te, d.w->v.ref)->data->fill && ten(g->te, d.w->v.ref)->dim[f->dim] == ten(g->te, z)->dim[lane];
}

/* Bias of each lane; NULL: it is not a number for each. */
static const double *biases(Auto *g, const Clip *c, const Expr *lane, int64_t lanes)
{
    double *v = NEWN(g->a, double, lanes);
    const Expr *extent = ex_int(g->x, lanes), *b = c->bias;
    const Blob *from = !b || ex_is_const(b) ? NULL : blob_held(ten(g->te, b->v.ref)->data, g->a);
    ElementWalk walk = {0};
    int64_t at = 0;
    if (from && !auto_walks(g, b, &lane, &extent, 1, &walk, &at))
        return NULL;
    for (int64_t m = 0; m < lanes; m++)
        v[m] = !b ? 0 : !from ? b->v.f : blob_f(from, from->fill ? 0 : at + m * walk.stride);
    return v;
}

/* ---- steps ---- */

/* Rounded down. */
static float whole_bf16(double v) { return mlcc_f32_of_bf16((uint16_t)(mlcc_bits_of_f32((float)v) >> 16)); }

/* Of lane m, unit being a step of v. false: floats do not hold them. */
static bool set_steps(Folded *f, const WindowWeights *k, int64_t m, double unit, double bias)
{
    const Steps *s = &f->steps;
    f->top[m] = whole_bf16(f->c.top / (step_of(k, m, bias / (unit * STEPS)) * unit));
    s->scale[m] = (float)(f->c.top / f->top[m]);
    s->weight[m] = s->scale[m] / unit;
    if (!isnormal(f->top[m]) || !isnormal(s->scale[m]) || !isfinite(bias))
        return false;
    s->start[m] = (int32_t)lrint(bias / s->scale[m]);
    return true;
}

bool find_folded(Auto *g, const Window *w, const WindowWeights *k, double top, Folded *f)
{
    *f = (Folded){.steps = new_steps(g, k->lanes), .top = NEWN(g->a, float, k->lanes)};
    if (!find_map(g, w->s->out, &f->c) || !find_reader(g, w->d.lane, f))
        return false;
    const double *bias = biases(g, &f->c, g->te->stage.at[f->c.map]->var[w->d.lane], k->lanes);
    bool holds = bias != NULL;
    for (int64_t m = 0; m < k->lanes && holds; m++)
        holds = set_steps(f, k, m, top / STEPS, bias[m]);
    return holds;
}

/* ---- stages ---- */

/* Constant w with dimension dim in those steps. */
static const Expr *scaled_lanes(Auto *g, const Expr *w, int dim, const float *factor)
{
    const Ten *from = ten(g->te, w->v.ref);
    const int64_t lanes = from->dim[dim]->v.i;
    int64_t each = 1;
    double *k = NEWN(g->a, double, lanes);
    for (int64_t m = 0; m < lanes; m++)
        k[m] = (double)factor[m];
    for (int d = from->rank - 1; d > dim; d--)
        each *= from->dim[d]->v.i;
    const uint32_t t = auto_tensor(g, str_fmt(g->a, "%s.steps%u", from->name, g->te->ten.n), TEN_const, from->rank, from->dim);
    ten(g->te, t)->data = blob_scaled(g->a, from->data, 1, k, lanes, each);
    return ex_load(g->x, DT_f32, t, w->n, w->a);
}

void fold_steps(Auto *g, const Folded *f) { auto_exchange(g, f->reader, f->w, scaled_lanes(g, f->w, f->dim, f->steps.scale)); }

void read_folded(Auto *g, const Window *w, const Folded *f, uint32_t n)
{
    Exprs *x = g->x;
    const Expr *y = f->c.sum, *lane = y->a[w->d.lane], *zero = ex_const_f(x, DT_f32, 0);
    const Expr *sum = ex_add(x, ex_load(x, DT_i32, n, y->n, y->a), by_lane(g, w, DT_i32, f->steps.start, lane));
    const Expr *least = ex_binary(x, EX_max, ex_cast(x, DT_f32, sum), zero);
    (void)auto_replace(g, ten(g->te, f->z)->stage, ex_binary(x, EX_min, least, by_lane(g, w, DT_f32, f->top, lane)));
}

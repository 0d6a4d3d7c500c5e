/* SPDX-License-Identifier: Apache-2.0
 *
 * -ffp=bf16: what a clip bounds and a depthwise product alone reads is kept in 16 bits of fixed point, two columns side by side, so that a
 * dot of vectors takes two taps:
 *
 *   v[m,i,j] = min(max(sum(c) x[c,i,j]*w[m,c] + b[m], 0), top)
 *   y[m,i,j] = sum(r,s) v[m, .., t*j + s + o | 0] * k[m,r,s]                                      t 1 or 2
 *
 * becomes, with S = 65535 / top and the pairs of auto_columns.h,
 *
 *   v'[m,i,f,u] = sat_i16(rint(sum(c) x[c,i,2*f+u]*(w[m,c]*S) + (b[m]*S - 2^15)))                 what saturates is the clip
 *   y[m,i,j] = f32(n + 2^15 * sum k') * scale[m]                                                  n with pad -2^15
 *
 * Numbers of k' are as large as sums of 32 bits allow. Half a step of v is top * 2^-17, where bf16 is off by up to 2^-9 of the value, which would
 * be a part of what the few taps of such a product cancel (auto_narrow.c). What is not a number becomes 0.
 */
#include <math.h>

#include "auto_fixed.h"

#define LEAST ((double)INT16_MIN)
#define MOST_TOP 32.0 /* half a step is what bf16 is off by at 1/8; above, a clip is a guard, which says nothing of how large values get */

/* v: a clip of a dense product. */
typedef struct DenseClip { Clip c; Dot d; } DenseClip;

/* ---- which ---- */

/* A value behind the maps that only it is made of. */
static const Expr *made_of(const Auto *g, const Expr *e)
{
    while (e->op == EX_load && ten(g->te, e->v.ref)->kind == TEN_stage && g->nreader[e->v.ref] == 1 && layout_free(g, e->v.ref) &&
           g->te->stage.at[ten(g->te, e->v.ref)->stage]->kind == ST_map)
        e = auto_element(g, g->te->stage.at[ten(g->te, e->v.ref)->stage], e->a);
    return e;
}

/* The operand of a choice between it and a number; NULL: e is something else. */
static const Expr *chosen(const Expr *e, ExprOp op, double *number)
{
    const Expr *c = e->op == op && ex_is_const(e->a[1]) ? e->a[1] : NULL;
    *number = c ? c->v.f : NAN;
    return c ? e->a[0] : NULL;
}

/* The operand of a clip to 0 .. top; NULL: e is none. */
static const Expr *clipped(const Expr *e, double *top)
{
    double least;
    const Expr *in = chosen(e, EX_min, top);
    in = in ? chosen(in, EX_max, &least) : NULL;
    return in && least == 0 && *top > 0x1p-100 && *top < 0x1p100 ? in : NULL;
}

/* A number or an element of a constant. */
static bool is_bias(const Auto *g, const Expr *e) { return ex_is_const(e) || (is_constant_load(g, e) && e->op == EX_load); }

static bool find_sum(const Auto *g, const Expr *e, Clip *c)
{
    for (int k = 0; k < 2 && e->op == EX_add; k++)
        if (is_bias(g, e->a[!k])) {
            c->bias = e->a[!k];
            e = e->a[k];
            break;
        }
    c->sum = e;
    return e->op == EX_load && ten(g->te, e->v.ref)->kind == TEN_stage && g->nreader[e->v.ref] == 1;
}

bool find_clip(const Auto *g, uint32_t k, Clip *c)
{
    *c = (Clip){.map = k};
    const Expr *in = g->te->stage.at[k]->kind == ST_map ? clipped(made_of(g, g->body[k]), &c->top) : NULL;
    if (!in || !find_sum(g, made_of(g, in), c))
        return false;
    const Stage *s = g->te->stage.at[k];
    c->product = ten(g->te, c->sum->v.ref)->stage;
    return ten(g->te, c->sum->v.ref)->rank == ten(g->te, s->out)->rank && loads_element(g, c->sum, s->var);
}

/* Whether that is a dense product with a constant. */
static bool find_dense(const Auto *g, uint32_t k, DenseClip *v)
{
    if (!find_clip(g, k, &v->c) || v->c.top > MOST_TOP || !dot_of(g, v->c.product, &v->d) || v->d.lane < 0)
        return false;
    if (v->d.x->dt != DT_f32 || v->d.w->dt != DT_f32 || v->d.w->op != EX_load || !is_constant_load(g, v->d.w))
        return false;
    return v->d.group == extent_of(g, ten(g->te, v->c.sum->v.ref)->dim[v->d.lane]);
}

/* Whether v is such a clip. */
static bool makes_pairs(const Auto *g, const Window *w)
{
    DenseClip v;
    if (!window_splits(g, w) || !find_dense(g, ten(g->te, w->d.x->v.ref)->stage, &v))
        return false;
    if (v.c.bias && !ex_is_const(v.c.bias) && index_uses(v.c.bias, g->te->stage.at[v.c.map]->var[w->column]))
        return false;
    return window_follows(g, w, v.c.product, &v.d);
}

/* Whether it takes floats, and fewer dots than taps. */
static bool gains(const Auto *g, const Window *w)
{
    const bool floats = w->d.x->dt == DT_f32 && w->d.w->dt == DT_f32 && is_zero_outside(w->d.x);
    return floats && (double)w->pairs < (double)w->taps * g->m->dot_i16;
}

/* ---- constants ---- */

/* from * factor + add */
typedef struct Scale { Recipe r; float factor, add; } Scale;

static void make_scaled(const Recipe *r, const char *from, int64_t first, int64_t n, char *out)
{
    const Scale *s = (const Scale *)r;
    for (int64_t k = 0; k < n; k++) {
        float v;
        memcpy(&v, from + (size_t)(first + k) * sizeof v, sizeof v);
        v = v * s->factor + s->add;
        memcpy(out + (size_t)k * sizeof v, &v, sizeof v);
    }
}

static const Expr *scaled(Auto *g, const Expr *e, double factor, double add)
{
    const Ten *from = ex_is_const(e) ? NULL : ten(g->te, e->v.ref);
    if (!from || from->data->fill)
        return ex_const_f(g->x, DT_f32, (from ? blob_f(from->data, 0) : e->v.f) * factor + add);
    Scale *s = NEW(g->a, Scale);
    *s = (Scale){.r = {.arena = g->a, .from = from->data, .unit = 1, .make = make_scaled}, .factor = (float)factor, .add = (float)add};
    const uint32_t t = auto_tensor(g, str_fmt(g->a, "%s.fixed%u", from->name, g->te->ten.n), TEN_const, from->rank, from->dim);
    ten(g->te, t)->data = blob_made(g->a, DT_f32, from->data->count, &s->r);
    return ex_load(g->x, DT_f32, t, e->n, e->a);
}

double step_of(const WindowWeights *k, int64_t lane, double bias)
{
    double above = fmax(bias, 0), below = fmax(-bias, 0), most = 0;
    for (int64_t i = 0; i < k->places * k->taps; i++) {
        const double v = window_weight(k, lane, i);
        *(v < 0 ? &below : &above) += fabs(v);
        most = fmax(most, fabs(v));
    }
    const double rounded = (double)(k->places * k->taps), step = fmax(fmax(above, below) / (INT32_MAX / STEPS - rounded), most / INT16_MAX);
    return step > 0 ? step : 1;
}

static bool is_finite(const WindowWeights *k)
{
    for (int64_t m = 0; m < k->lanes; m++)
        for (int64_t i = 0; i < k->places * k->taps; i++)
            if (!(fabs(window_weight(k, m, i)) < 0x1p100))
                return false;
    return true;
}

const Expr *by_lane(Auto *g, const Window *w, DType dt, const void *v, const Expr *at)
{
    const Expr *dim = ten(g->te, w->s->out)->dim[w->d.lane];
    const uint32_t t = auto_tensor(g, str_fmt(g->a, "%s.fixed%u", ten(g->te, w->d.w->v.ref)->name, g->te->ten.n), TEN_const, 1, &dim);
    ten(g->te, t)->dt = dt;
    ten(g->te, t)->data = blob_make(g->a, dt, dim->v.i, v);
    return ex_load(g->x, dt, t, 1, &at);
}

Steps new_steps(Auto *g, int64_t lanes)
{
    return (Steps){NEWN(g->a, double, lanes), NEWN(g->a, float, lanes), NEWN(g->a, int32_t, lanes), NEWN(g->a, int64_t, lanes)};
}

/* ---- stages ---- */

/* The sum before the clip counts steps of v, and saturates. */
static void count_steps(Auto *g, const DenseClip *v)
{
    const Clip *c = &v->c;
    const double factor = STEPS / c->top;
    const Expr *bias = c->bias ? scaled(g, c->bias, factor, LEAST) : ex_const_f(g->x, DT_f32, LEAST);
    auto_exchange(g, c->product, v->d.w, scaled(g, v->d.w, factor, 0));
    const Stage *s = auto_replace(g, c->map, ex_castsat(g->x, DT_i16, ex_unary(g->x, EX_rint, ex_add(g->x, c->sum, bias))));
    ten(g->te, s->out)->dt = DT_i16;
}

typedef struct Fma { Exprs *x; const Expr *product; } Fma;

static const Expr *fused(void *ctx, const Expr *e)
{
    const Fma *f = ctx;
    for (int k = 0; k < 2 && e->op == EX_add; k++)
        if (e->a[k] == f->product)
            return ex_fma(f->x, e->a[k]->a[0], e->a[k]->a[1], e->a[!k]);
    return e;
}

/* Map k reads (n + start) * scale for y. */
static void read_fixed(Auto *g, const Window *w, uint32_t k, uint32_t n, const Steps *s)
{
    Exprs *x = g->x;
    const Expr *old = ex_sole_load(g->te->stage.at[k]->body, w->s->out), *lane = old->a[w->d.lane];
    const Expr *sum = ex_add(x, ex_load(x, DT_i32, n, old->n, old->a), by_lane(g, w, DT_i32, s->start, lane));
    Fma f = {x, ex_mul(x, ex_cast(x, DT_f32, sum), by_lane(g, w, DT_f32, s->scale, lane))};
    const Subst of = {old, f.product};
    const Expr *body = ex_subst(x, g->te->stage.at[k]->body, &of, 1);
    (void)auto_replace(g, k, g->m->fma ? ex_map(x, body, fused, &f) : body);
}

static Steps steps_of(Auto *g, const WindowWeights *k, double top)
{
    const Steps s = new_steps(g, k->lanes);
    for (int64_t m = 0; m < k->lanes; m++) {
        s.weight[m] = step_of(k, m, 0);
        s.scale[m] = (float)(s.weight[m] * top / STEPS);
    }
    return s;
}

/* 2^15 times the sums of k'. */
static void add_zeros(const Steps *s, int64_t lanes)
{
    for (int64_t m = 0; m < lanes; m++)
        s->start[m] += (int32_t)(-(int64_t)LEAST * s->sum[m]);
}

/* Returns the tensor that holds n, or its pairs of columns; y where v's columns are two variables but not all that makes it has followed. */
static uint32_t store_fixed(Auto *g, const Window *w, const WindowWeights *k)
{
    DenseClip v;
    (void)find_dense(g, ten(g->te, w->d.x->v.ref)->stage, &v);
    const uint32_t reader = g->te->stage.at[window_reader(g, w)]->out, pairs = split_columns(g, w, v.c.product);
    if (!find_dense(g, ten(g->te, pairs)->stage, &v))
        return w->s->out;
    Folded f;
    const bool folds = find_folded(g, w, k, v.c.top, &f);
    const Steps steps = folds ? f.steps : steps_of(g, k, v.c.top);
    count_steps(g, &v);
    if (folds)
        fold_steps(g, &f);
    const uint32_t n = sum_columns(g, w, k, pairs, INT16_MIN, steps.weight, steps.sum);
    add_zeros(&steps, k->lanes);
    if (folds)
        read_folded(g, w, &f, n);
    else
        read_fixed(g, w, ten(g->te, reader)->stage, n, &steps);
    return split_sums(g, w, n);
}

void auto_fixed(Auto *g)
{
    if (g->m->amx || g->m->lanes_f32 < 2 || g->te->cx->small)
        return;
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        Window w;
        WindowWeights weights;
        if (find_window(g, k, &w) && gains(g, &w) && makes_pairs(g, &w) && window_reader(g, &w) != NO_STAGE && find_window_weights(g, &w, &weights) && is_finite(&weights))
            k = ten(g->te, store_fixed(g, &w, &weights))->stage;
    }
}

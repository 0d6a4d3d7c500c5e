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

#include "auto_columns.h"

#define LEAST ((double)INT16_MIN)
#define STEPS ((double)UINT16_MAX)

/* v: stage `map` clips the sum of stage `product`, and what else is added to it; NULL: nothing. */
typedef struct Clip { uint32_t map, product; Dot d; const Expr *sum, *bias; double top; } Clip;

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

/* Whether map k clips a dense product with a constant. */
static bool find_clip(const Auto *g, uint32_t k, Clip *c)
{
    *c = (Clip){.map = k};
    const Expr *in = g->te->stage.at[k]->kind == ST_map ? clipped(made_of(g, g->body[k]), &c->top) : NULL;
    if (!in || !find_sum(g, made_of(g, in), c))
        return false;
    const Stage *s = g->te->stage.at[k];
    if (ten(g->te, c->sum->v.ref)->rank != ten(g->te, s->out)->rank || !loads_element(g, c->sum, s->var))
        return false;
    c->product = ten(g->te, c->sum->v.ref)->stage;
    if (!dot_of(g, c->product, &c->d) || c->d.lane < 0 || c->d.x->dt != DT_f32 || c->d.w->dt != DT_f32 || c->d.w->op != EX_load || !is_constant_load(g, c->d.w))
        return false;
    return c->d.group == extent_of(g, ten(g->te, c->sum->v.ref)->dim[c->d.lane]);
}

/* Whether v is such a clip. */
static bool makes_pairs(const Auto *g, const Window *w)
{
    Clip c;
    if (!window_splits(g, w) || !find_clip(g, ten(g->te, w->d.x->v.ref)->stage, &c))
        return false;
    if (c.bias && !ex_is_const(c.bias) && index_uses(c.bias, g->te->stage.at[c.map]->var[w->column]))
        return false;
    return window_follows(g, w, c.product, &c.d);
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

/* What one whole number of a lane's weights stands for: v - least is 0 .. 65535, so that sums of what is above 0, and of what is below, stay
 * within 32 bits. */
static double step_of(const WindowWeights *k, int64_t lane)
{
    double above = 0, below = 0, most = 0;
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

/* A vector of constants, of which `at` says the lane. */
static const Expr *by_lane(Auto *g, const Window *w, DType dt, const void *v, const Expr *at)
{
    const Expr *dim = ten(g->te, w->s->out)->dim[w->d.lane];
    const uint32_t t = auto_tensor(g, str_fmt(g->a, "%s.fixed%u", ten(g->te, w->d.w->v.ref)->name, g->te->ten.n), TEN_const, 1, &dim);
    ten(g->te, t)->dt = dt;
    ten(g->te, t)->data = blob_make(g->a, dt, dim->v.i, v);
    return ex_load(g->x, dt, t, 1, &at);
}

/* ---- stages ---- */

/* The sum before the clip counts steps of v, and saturates. */
static void count_steps(Auto *g, const Clip *c)
{
    const double factor = STEPS / c->top;
    const Expr *bias = c->bias ? scaled(g, c->bias, factor, LEAST) : ex_const_f(g->x, DT_f32, LEAST);
    auto_exchange(g, c->product, c->d.w, scaled(g, c->d.w, factor, 0));
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

/* Map k reads (n + zero) * scale for y. */
static void read_fixed(Auto *g, const Window *w, uint32_t k, uint32_t n, const int32_t *zero, const float *scale)
{
    Exprs *x = g->x;
    const Expr *old = ex_sole_load(g->te->stage.at[k]->body, w->s->out), *lane = old->a[w->d.lane];
    const Expr *sum = ex_add(x, ex_load(x, DT_i32, n, old->n, old->a), by_lane(g, w, DT_i32, zero, lane));
    Fma f = {x, ex_mul(x, ex_cast(x, DT_f32, sum), by_lane(g, w, DT_f32, scale, lane))};
    const Subst of = {old, f.product};
    const Expr *body = ex_subst(x, g->te->stage.at[k]->body, &of, 1);
    (void)auto_replace(g, k, g->m->fma ? ex_map(x, body, fused, &f) : body);
}

/* The lanes' steps, those of y, and the sums of k'. */
typedef struct Steps { double *weight; float *scale; int64_t *sum; } Steps;

static Steps steps_of(Auto *g, const WindowWeights *k, double top)
{
    const Steps s = {NEWN(g->a, double, k->lanes), NEWN(g->a, float, k->lanes), NEWN(g->a, int64_t, k->lanes)};
    for (int64_t m = 0; m < k->lanes; m++) {
        s.weight[m] = step_of(k, m);
        s.scale[m] = (float)(s.weight[m] * top / STEPS);
    }
    return s;
}

/* 2^15 times sums. */
static const int32_t *zeros(Auto *g, const WindowWeights *k, const int64_t *sum)
{
    int32_t *zero = NEWN(g->a, int32_t, k->lanes);
    for (int64_t m = 0; m < k->lanes; m++)
        zero[m] = (int32_t)(-(int64_t)LEAST * sum[m]);
    return zero;
}

/* Returns the tensor that holds n, or its pairs of columns; y where v's columns are two variables but not all that makes it has followed. */
static uint32_t store_fixed(Auto *g, const Window *w, const WindowWeights *k)
{
    Clip c;
    (void)find_clip(g, ten(g->te, w->d.x->v.ref)->stage, &c);
    const uint32_t reader = g->te->stage.at[window_reader(g, w)]->out, pairs = split_columns(g, w, c.product);
    if (!find_clip(g, ten(g->te, pairs)->stage, &c))
        return w->s->out;
    const Steps steps = steps_of(g, k, c.top);
    count_steps(g, &c);
    const uint32_t n = sum_columns(g, w, k, pairs, INT16_MIN, steps.weight, steps.sum);
    read_fixed(g, w, ten(g->te, reader)->stage, n, zeros(g, k, steps.sum), steps.scale);
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

/* SPDX-License-Identifier: Apache-2.0
 *
 * -ffp=bf16: what a clip bounds and a depthwise product alone reads is kept in 16 bits of fixed point, two columns side by side, so that a
 * dot of vectors takes two taps:
 *
 *   v[m,i,j] = min(max(sum(c) x[c,i,j]*w[m,c] + b[m], 0), top)
 *   y[m,i,j] = sum(r,s) v[m, .., t*j + s + o | 0] * k[m,r,s]                                      t 1 or 2
 *
 * becomes, with S = 65535 / top,
 *
 *   v'[m,i,f,u] = sat_i16(rint(sum(c) x[c,i,2*f+u]*(w[m,c]*S) + (b[m]*S - 2^15)))                 what saturates is the clip
 *   n[m,i,j] = sum(r,e,u) i32(v'[m, .., f + e, u | -2^15]) * i32(k'[m,p,r,e,u])                   f = (t*j + o) div 2
 *   y[m,i,j] = f32(n + 2^15 * sum k') * scale[m]
 *
 * k' holds k[m,r, 2*e + u - q], 0 beyond its taps, q being where the window begins in a pair: of t = 1 there are two such windows, for p = j mod 2.
 * Its numbers are as large as sums of 32 bits allow. Half a step of v is top * 2^-17, where bf16 is off by up to 2^-9 of the value, which would
 * be a part of what the few taps of such a product cancel (auto_narrow.c). What is not a number becomes 0.
 */
#include <math.h>

#include "auto.h"

enum { PAIR = 2, MOST_TAPS = 8, MOST_WEIGHTS = 1 << 12 }; /* in a row, of a lane */
#define LEAST ((double)INT16_MIN)
#define STEPS ((double)UINT16_MAX)

/* y: stage s sums over a window that moves along dimension `column` of v by `step`, as variable var of the stage and rvar `tap`: it reads
 * step * var + tap + at. */
typedef struct Window { const Stage *s; Dot d; int column, var, tap; int64_t step, at, taps, pairs; } Window;

/* v: stage `map` clips the sum of stage `product`, and what else is added to it; NULL: nothing. */
typedef struct Clip { uint32_t map, product; Dot d; const Expr *sum, *bias; double top; } Clip;

/* ---- which ---- */

/* What remains of the index of the column less a variable and a tap: a number. */
static bool find_tap(const Auto *g, Window *w)
{
    const Expr *e = ex_sub(g->x, w->d.x->a[w->column], ex_mul(g->x, w->s->var[w->var], ex_int(g->x, w->step)));
    for (w->tap = 0; w->tap < w->s->nr; w->tap++) {
        const Expr *rest = ex_sub(g->x, e, w->s->rvar[w->tap]);
        if (!ex_is_const(rest) || sole_dim(w->d.x, w->s->rvar[w->tap]) != w->column)
            continue;
        w->at = rest->v.i;
        w->taps = w->s->rext[w->tap]->v.i;
        return w->taps <= MOST_TAPS;
    }
    return false;
}

/* Taps of a pair's first element before the first tap of the window: of column p of a pair where the step is 1. */
static int64_t lead(const Window *w, int64_t p) { return (p + w->at) & 1; }

/* Pairs that the window of one column spans. */
static int64_t pairs_of(const Window *w) { return ((w->step == 1 ? 1 : lead(w, 0)) + w->taps - 1) / PAIR + 1; }

/* Whether k has an element for each lane and tap, and no others. */
static bool has_weights(const Auto *g, const Window *w)
{
    const uint8_t rank = ten(g->te, w->s->out)->rank;
    bool yes = is_constant_load(g, w->d.w) && w->d.w->op == EX_load && w->s->nr + 6 <= MAX_RANK;
    for (uint8_t v = 0; v < rank; v++)
        yes = yes && (v == w->d.lane || !index_uses(w->d.w, w->s->var[v]));
    for (uint8_t r = 0; r < w->s->nr; r++)
        yes = yes && (index_uses(w->d.w, w->s->rvar[r]) || ex_is_int(w->s->rext[r], 1));
    return yes;
}

static bool find_window(const Auto *g, uint32_t k, Window *w)
{
    bool linear;
    *w = (Window){.s = g->te->stage.at[k]};
    if (!dot_of(g, k, &w->d) || w->d.lane < 0 || w->d.group || w->d.row < 0 || w->d.x->dt != DT_f32 || w->d.w->dt != DT_f32 || !is_zero_outside(w->d.x))
        return false;
    w->var = w->d.row;
    w->column = sole_dim(w->d.x, w->s->var[w->var]);
    w->step = w->column < 0 ? 0 : ex_coef(w->d.x->a[w->column], w->s->var[w->var], &linear);
    if ((w->step != 1 && w->step != PAIR) || !linear || !has_known_extents(g, w->s) || !has_weights(g, w) || !find_tap(g, w))
        return false;
    const Expr *lane = w->s->var[w->d.lane];
    w->pairs = pairs_of(w);
    return dim_of(w->d.x, lane) >= 0 && sole_dim(w->d.x, lane) >= 0 && (double)w->pairs < (double)w->taps * g->m->dot_i16;
}

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

/* Whether v is such a clip, of a product whose operand one dimension alone moves with the columns: pairs of them are rows of its tile then. */
static bool makes_pairs(const Auto *g, const Window *w)
{
    const uint32_t v = w->d.x->v.ref;
    const Ten *t = ten(g->te, v);
    const bool tight = g->tight && v < g->ntight && g->tight[v];
    Clip c;
    if (t->kind != TEN_stage || tight || !layout_free(g, v) || g->nreader[v] != 1 || t->rank >= MAX_RANK || !ex_is_const(t->dim[w->column]) || t->dim[w->column]->v.i % PAIR)
        return false;
    if (!find_clip(g, t->stage, &c))
        return false;
    const Expr *column = g->te->stage.at[c.product]->var[w->column];
    if (c.bias && !ex_is_const(c.bias) && index_uses(c.bias, g->te->stage.at[c.map]->var[w->column]))
        return false;
    return sole_dim(c.d.x, column) >= 0 && !index_uses(c.d.w, column);
}

/* The map that alone reads the sum of the window; NO_STAGE: there is none. */
static uint32_t reader_of(const Auto *g, const Window *w)
{
    const uint32_t y = w->s->out, k = g->nreader[y] == 1 ? g->reader[y][0] : NO_STAGE;
    const Stage *s = k == NO_STAGE ? NULL : g->te->stage.at[k];
    const Expr *load = s && s->kind == ST_map ? ex_sole_load(s->body, y) : NULL;
    const bool columns = w->step != 1 || ten(g->te, y)->dim[w->var]->v.i % PAIR == 0;
    return load && load->op == EX_load && columns && layout_free(g, y) ? k : NO_STAGE;
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

/* Weights of a depthwise product: element `lane`, place, tap of the walk over k, places being those of the other variables of its sum. */
typedef struct Weights { const Blob *from; ElementWalk walk[MAX_RANK + 2]; uint8_t n; int64_t at, lanes, places, taps; } Weights;

static bool walk_weights(const Auto *g, const Window *w, Weights *k)
{
    const Expr *var[MAX_RANK + 2] = {w->s->var[w->d.lane]}, *extent[MAX_RANK + 2] = {ten(g->te, w->s->out)->dim[w->d.lane]};
    *k = (Weights){.from = blob_held(ten(g->te, w->d.w->v.ref)->data, g->a), .n = 1, .lanes = extent[0]->v.i, .places = 1, .taps = w->taps};
    for (uint8_t r = 0; r < w->s->nr; r++)
        if (r != w->tap) {
            var[k->n] = w->s->rvar[r];
            extent[k->n++] = w->s->rext[r];
            k->places *= w->s->rext[r]->v.i;
        }
    var[k->n] = w->s->rvar[w->tap];
    extent[k->n++] = w->s->rext[w->tap];
    return k->places * k->taps <= MOST_WEIGHTS && auto_walks(g, w->d.w, var, extent, k->n, k->walk, &k->at);
}

/* Of place and tap as one number, and lane. */
static double weight(const Weights *k, int64_t lane, int64_t i)
{
    int64_t at = k->at + lane * k->walk[0].stride;
    for (uint8_t q = k->n; q-- > 1; i /= k->walk[q].extent)
        at += i % k->walk[q].extent * k->walk[q].stride;
    return blob_f(k->from, k->from->fill ? 0 : at);
}

/* What one whole number of a lane's weights stands for: v - least is 0 .. 65535, so that sums of what is above 0, and of what is below, stay
 * within 32 bits. */
static double step_of(const Weights *k, int64_t lane)
{
    double above = 0, below = 0, most = 0;
    for (int64_t i = 0; i < k->places * k->taps; i++) {
        const double v = weight(k, lane, i);
        *(v < 0 ? &below : &above) += fabs(v);
        most = fmax(most, fabs(v));
    }
    const double rounded = (double)(k->places * k->taps), step = fmax(fmax(above, below) / (INT32_MAX / STEPS - rounded), most / INT16_MAX);
    return step > 0 ? step : 1;
}

/* k'[m, p, places.., e, u] */
static void fill_weights(const Window *w, const Weights *k, int64_t columns, const double *step, int16_t *out, int32_t *zero)
{
    for (int64_t m = 0; m < k->lanes; m++)
        for (int64_t p = 0; p < columns; p++) {
            int64_t sum = 0;
            for (int64_t i = 0; i < k->places; i++)
                for (int64_t e = 0; e < w->pairs * PAIR; e++) {
                    const int64_t tap = e - lead(w, p);
                    const int64_t v = tap < 0 || tap >= k->taps ? 0 : llrint(weight(k, m, i * k->taps + tap) / step[m]);
                    *out++ = (int16_t)v;
                    sum += v;
                }
            zero[m] = (int32_t)(-(int64_t)LEAST * sum);
        }
}

static bool is_finite(const Weights *k)
{
    for (int64_t m = 0; m < k->lanes; m++)
        for (int64_t i = 0; i < k->places * k->taps; i++)
            if (!(fabs(weight(k, m, i)) < 0x1p100))
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

/* Variables of pair and element in what is read, and the column of a pair that is summed; NULL: there is one. */
typedef struct Inside { const Expr *pair, *element, *column; } Inside;

/* Dimensions of a constant, and where it is read. */
typedef struct Place { const Expr *dim[MAX_RANK + 2], *at[MAX_RANK + 2]; uint8_t n; } Place;

static void add_dim(Place *p, const Expr *size, const Expr *at)
{
    p->dim[p->n] = size;
    p->at[p->n++] = at;
}

static const Expr *load_weights(Auto *g, const Window *w, const Inside *in, int64_t count, const int16_t *v)
{
    Place p = {.n = 0};
    add_dim(&p, ten(g->te, w->s->out)->dim[w->d.lane], w->s->var[w->d.lane]);
    if (in->column)
        add_dim(&p, ex_int(g->x, PAIR), in->column);
    for (uint8_t r = 0; r < w->s->nr; r++)
        if (r != w->tap)
            add_dim(&p, w->s->rext[r], w->s->rvar[r]);
    add_dim(&p, ex_int(g->x, w->pairs), in->pair);
    add_dim(&p, ex_int(g->x, PAIR), in->element);
    const uint32_t t = auto_tensor(g, str_fmt(g->a, "%s.fixed%u", ten(g->te, w->d.w->v.ref)->name, g->te->ten.n), TEN_const, p.n, p.dim);
    ten(g->te, t)->dt = DT_i16;
    ten(g->te, t)->data = blob_make(g->a, DT_i16, count, v);
    return ex_load(g->x, DT_i16, t, p.n, p.at);
}

/* Those of steps[lane] each, and 2^15 times their sum. */
static const Expr *fixed_weights(Auto *g, const Window *w, const Weights *k, const Inside *in, const double *step, int32_t *zero)
{
    const int64_t columns = in->column ? PAIR : 1, count = k->lanes * columns * k->places * w->pairs * PAIR;
    int16_t *v = NEWN(g->a, int16_t, count);
    fill_weights(w, k, columns, step, v, zero);
    return load_weights(g, w, in, count, v);
}

/* ---- stages ---- */

/* v by pairs, still in floats; returns the tensor that holds it. */
static uint32_t split_columns(Auto *g, const Window *w)
{
    const Phase p = {w->column, 0, PAIR};
    Clip c;
    (void)find_clip(g, ten(g->te, w->d.x->v.ref)->stage, &c);
    const uint32_t pairs = auto_phase_product(g, c.product, &p);
    auto_views(g);
    return auto_phase_maps(g, pairs, &p);
}

/* The sum before the clip counts steps of v, and saturates. */
static void count_steps(Auto *g, const Clip *c)
{
    const double factor = STEPS / c->top;
    const Expr *bias = c->bias ? scaled(g, c->bias, factor, LEAST) : ex_const_f(g->x, DT_f32, LEAST);
    auto_exchange(g, c->product, c->d.w, scaled(g, c->d.w, factor, 0));
    const Stage *s = auto_replace(g, c->map, ex_castsat(g->x, DT_i16, ex_unary(g->x, EX_rint, ex_add(g->x, c->sum, bias))));
    ten(g->te, s->out)->dt = DT_i16;
}

/* The load of what tensor t holds by pairs, at the window's place. */
static const Expr *load_pairs(Auto *g, const Window *w, uint32_t t, const Inside *in)
{
    const Expr *x = w->d.x, *at[MAX_RANK], *v = w->s->var[w->var], *first = ex_int(g->x, (w->at - lead(w, 0)) / PAIR);
    const uint8_t rank = ten(g->te, t)->rank;
    uint8_t n = 0;
    first = ex_add(g->x, first, in->column ? ex_fdiv(g->x, v, ex_int(g->x, PAIR)) : v);
    if (in->column && lead(w, 0))
        first = ex_add(g->x, first, in->column);
    for (uint8_t d = 0; d + 1 < rank; d++) {
        at[n++] = d == w->column ? ex_add(g->x, first, in->pair) : x->a[d];
        if (d == w->column)
            at[n++] = in->element;
    }
    return ex_loadp(g->x, DT_i16, t, rank, at, ex_const_i(g->x, DT_i16, INT16_MIN));
}

/* Lanes hold pairs: columns, channels, elements of a pair. */
static void set_layout(Auto *g, const Window *w, const Expr *load)
{
    Layout *l = &g->layout.at[load->v.ref];
    const int lane = dim_of(w->d.x, w->s->var[w->d.lane]), element = w->column + 1, channel = lane > w->column ? lane + 1 : lane;
    uint8_t n = 0;
    for (uint8_t d = 0; d < ten(g->te, load->v.ref)->rank; d++)
        if (d != channel && d != element)
            l->order[n++] = d;
    l->order[n++] = (uint8_t)channel;
    l->order[n] = (uint8_t)element;
    l->set = true;
    l->pad = LEAST;
    layout_want_halo(g, load, l);
}

/* n, a stage before that of y; returns its tensor. */
static uint32_t add_sum(Auto *g, const Window *w, const Inside *in, const Expr *body)
{
    Stage *s = arena_copy(g->a, w->s, sizeof *s);
    const Ten *y = ten(g->te, w->s->out);
    for (uint8_t r = (uint8_t)w->tap; r + 1 < s->nr; r++) {
        s->rvar[r] = s->rvar[r + 1];
        s->rext[r] = s->rext[r + 1];
    }
    s->rvar[s->nr - 1] = in->pair;
    s->rext[s->nr - 1] = ex_int(g->x, w->pairs);
    s->rvar[s->nr] = in->element;
    s->rext[s->nr++] = ex_int(g->x, PAIR);
    s->out = auto_tensor(g, str_fmt(g->a, "%s.fixed%u", y->name, g->te->ten.n), TEN_stage, y->rank, y->dim);
    s->body = body;
    ten(g->te, s->out)->dt = DT_i32;
    g->pinned.at[s->out] = false;
    auto_insert(g, y->stage, s);
    return s->out;
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

/* The lanes' steps, and of y. */
typedef struct Steps { double *weight; float *scale; int32_t *zero; } Steps;

static Steps steps_of(Auto *g, const Weights *k, double top)
{
    const Steps s = {NEWN(g->a, double, k->lanes), NEWN(g->a, float, k->lanes), NEWN(g->a, int32_t, k->lanes)};
    for (int64_t m = 0; m < k->lanes; m++) {
        s.weight[m] = step_of(k, m);
        s.scale[m] = (float)(s.weight[m] * top / STEPS);
    }
    return s;
}

/* Returns the tensor that holds n, or its pairs of columns; y where v's columns are two variables but not all that makes it has followed. */
static uint32_t store_fixed(Auto *g, const Window *w, const Weights *k)
{
    const Phase columns = {w->var, 0, PAIR};
    const uint32_t reader = g->te->stage.at[reader_of(g, w)]->out, pairs = split_columns(g, w);
    const Expr *two = ex_int(g->x, PAIR);
    const Inside in = {ex_index(g->x, "e", ex_int(g->x, w->pairs)), ex_index(g->x, "u", two), w->step == 1 ? ex_mod(g->x, w->s->var[w->var], two) : NULL};
    const Expr *load = load_pairs(g, w, pairs, &in);
    Clip c;
    if (!find_clip(g, ten(g->te, pairs)->stage, &c))
        return w->s->out;
    const Steps steps = steps_of(g, k, c.top);
    const Expr *weights = fixed_weights(g, w, k, &in, steps.weight, steps.zero);
    set_layout(g, w, load);
    count_steps(g, &c);
    const uint32_t n = add_sum(g, w, &in, ex_mul(g->x, ex_cast(g->x, DT_i32, load), ex_cast(g->x, DT_i32, weights)));
    read_fixed(g, w, ten(g->te, reader)->stage, n, steps.zero, steps.scale);
    auto_drop_unread(g);
    auto_views(g);
    if (w->step != 1)
        return n;
    const uint32_t sum = auto_phase_product(g, ten(g->te, n)->stage, &columns);
    auto_views(g);
    (void)auto_phase_maps(g, sum, &columns);
    return sum;
}

void auto_fixed(Auto *g)
{
    if (g->m->amx || g->m->lanes_f32 < 2 || g->te->cx->small)
        return;
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        Window w;
        Weights weights;
        if (find_window(g, k, &w) && makes_pairs(g, &w) && reader_of(g, &w) != NO_STAGE && walk_weights(g, &w, &weights) && is_finite(&weights))
            k = ten(g->te, store_fixed(g, &w, &weights))->stage;
    }
}

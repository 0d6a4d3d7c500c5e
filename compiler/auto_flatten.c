/* SPDX-License-Identifier: Apache-2.0
 *
 * Few channels: the first convolution of a network of images reduces over three of them and over the columns of a window,
 * x[c, 2*i+r, 2*j+s]. Where products take operands in groups (pairs of bf16 and more), runs of three are too short. With
 * channels innermost the window's columns and their channels lie side by side, so they become one reduction:
 *
 *   y[m,i,j] = sum(c:3,r:7,s:7) x[c,2*i+r-3,2*j+s-3 | 0] * w[m,c,r,s]
 *
 *   f[i,p] = x[p mod 4, i, p div 4 - 3 | 0]                          channels padded with zeros, columns with the border
 *   y[m,i,j] = sum(r:7,e:28) f[2*i+r-3, 8*j+e | 0] * w'[m,r,e]       e = 4*s + c
 */
#include "auto.h"

enum { FEW_CHANNELS = 8 };

typedef struct Flat {
    const Stage *s;
    const Expr *x, *w;       /* loads */
    int channel, tap;        /* reduction variables */
    int xc, xs, wc, ws;      /* dimensions that they index */
    int64_t channels, group; /* those of x, and rounded up */
    int64_t lo, hi;          /* columns beside those of x */
} Flat;

/* The dimension of the load whose index is v, which no other uses; -1: none. */
static int walks_alone(const Expr *load, const Expr *v)
{
    const int d = sole_dim(load, v);
    return d >= 0 && load->a[d] == v ? d : -1;
}

static bool find_channel(const Auto *g, Flat *f)
{
    for (f->channel = 0; f->channel < f->s->nr; f->channel++) {
        const Expr *v = f->s->rvar[f->channel], *n = f->s->rext[f->channel];
        f->xc = walks_alone(f->x, v);
        f->wc = walks_alone(f->w, v);
        if (f->xc < 0 || f->wc < 0 || !ex_is_const(n) || n->v.i < 2 || n->v.i > FEW_CHANNELS)
            continue;
        f->channels = n->v.i;
        return ten(g->te, f->x->v.ref)->dim[f->xc] == n && ten(g->te, f->w->v.ref)->dim[f->wc] == n;
    }
    return false;
}

/* Columns: the last window, whose taps are one apart. */
static bool find_tap(const Auto *g, Flat *f)
{
    for (f->tap = f->s->nr - 1; f->tap >= 0; f->tap--) {
        const Expr *v = f->s->rvar[f->tap], *n = f->s->rext[f->tap];
        bool linear;
        f->xs = sole_dim(f->x, v);
        f->ws = walks_alone(f->w, v);
        if (f->tap == f->channel || f->xs < 0 || f->ws < 0 || !ex_is_const(n) || n->v.i < 2)
            continue;
        return ex_coef(f->x->a[f->xs], v, &linear) == 1 && linear && ten(g->te, f->w->v.ref)->dim[f->ws] == n;
    }
    return false;
}

static bool find_border(const Auto *g, Flat *f)
{
    const Expr *dim = ten(g->te, f->x->v.ref)->dim[f->xs], *at = f->x->a[f->xs];
    int64_t least, most;
    if (!ex_is_const(dim) || !ex_range(g->x, at, &least, &most))
        return false;
    f->lo = max_i64(-least, 0);
    f->hi = max_i64(most - (dim->v.i - 1), 0);
    return f->lo <= 64 && f->hi <= 64;
}

static bool is_zero(const Expr *e) { return ex_is_const(e) && dtype_is_float((DType)e->dt) && e->v.f == 0; }

static bool flat_of(const Auto *g, uint32_t k, int64_t group, Flat *f)
{
    Dot d;
    if (!dot_of(g, k, &d) || d.lane < 0 || !d.group || d.w->op != EX_load || d.w->dt != DT_f32 || !is_constant_load(g, d.w) || ten(g->te, d.w->v.ref)->data->fill)
        return false;
    *f = (Flat){.s = g->te->stage.at[k], .x = d.x, .w = d.w};
    if ((d.x->op == EX_loadp && !is_zero(d.x->a[ex_load_rank(d.x)])) || !find_channel(g, f) || !find_tap(g, f) || !find_border(g, f))
        return false;
    f->group = (f->channels + group - 1) / group * group;
    return true;
}

/* f[..,p], dimensions of x but those of channel and column, then both. */
static uint32_t insert_flat(Auto *g, uint32_t k, const Flat *f)
{
    const Ten *x = ten(g->te, f->x->v.ref);
    const Expr *dim[MAX_RANK], *index[MAX_RANK];
    Stage *s = NEW(g->a, Stage);
    uint8_t n = 0;
    for (int d = 0; d < x->rank; d++) {
        if (d == f->xc || d == f->xs)
            continue;
        dim[n] = x->dim[d];
        index[d] = s->var[n] = ex_index(g->x, (const char *const[]){"n", "i", "j", "k"}[n % 4], x->dim[d]);
        n++;
    }
    const Expr *group = ex_int(g->x, f->group), *columns = ex_int(g->x, x->dim[f->xs]->v.i + f->lo + f->hi);
    dim[n] = ex_mul(g->x, columns, group);
    const Expr *p = s->var[n] = ex_index(g->x, "p", dim[n]);
    index[f->xc] = ex_mod(g->x, p, group);
    index[f->xs] = ex_sub(g->x, ex_fdiv(g->x, p, group), ex_int(g->x, f->lo));
    s->kind = ST_map;
    s->out = auto_tensor(g, str_fmt(g->a, "%s.flat", x->name), TEN_stage, (uint8_t)(n + 1), dim);
    s->node = f->s->node;
    s->body = ex_loadp(g->x, DT_f32, f->x->v.ref, x->rank, index, ex_const_f(g->x, DT_f32, 0));
    auto_insert(g, k, s);
    return s->out;
}

/* w'[..,e], dimensions of w but those of channel and column, then both. */
static uint32_t flat_weights(Auto *g, const Flat *f)
{
    const Ten *w = ten(g->te, f->w->v.ref);
    const int64_t taps = w->dim[f->ws]->v.i, run = taps * f->group;
    const Expr *dim[MAX_RANK];
    int64_t stride[MAX_RANK], rows = 1, step = 1;
    uint8_t kept[MAX_RANK], n = 0;
    for (int d = w->rank - 1; d >= 0; step *= w->dim[d--]->v.i)
        stride[d] = step;
    for (uint8_t d = 0; d < w->rank; d++)
        if (d != f->wc && d != f->ws) {
            kept[n] = d;
            dim[n++] = w->dim[d];
            rows *= w->dim[d]->v.i;
        }
    dim[n] = ex_int(g->x, run);
    float *from = NEWN(g->a, float, w->data->count), *to = NEWN(g->a, float, rows * run);
    blob_get(w->data, 0, w->data->count, from);
    for (int64_t r = 0; r < rows; r++) {
        int64_t at = 0, rest = r;
        for (int q = n - 1; q >= 0; rest /= dim[q]->v.i, q--)
            at += rest % dim[q]->v.i * stride[kept[q]];
        for (int64_t e = 0; e < run; e++)
            to[r * run + e] = e % f->group < f->channels ? from[at + e % f->group * stride[f->wc] + e / f->group * stride[f->ws]] : 0;
    }
    const uint32_t t = auto_tensor(g, str_fmt(g->a, "%s.flat", w->name), TEN_const, (uint8_t)(n + 1), dim);
    ten(g->te, t)->data = blob_view(g->a, DT_f32, rows * run, to);
    return t;
}

/* Indices of a load but those of dimensions a and b, then `last`. */
static uint16_t without(const Expr *load, int a, int b, const Expr *last, const Expr **index)
{
    uint16_t n = 0;
    for (int d = 0; d < ex_load_rank(load); d++)
        if (d != a && d != b)
            index[n++] = load->a[d];
    index[n++] = last;
    return n;
}

static Stage *flat_stage(Auto *g, const Flat *f, uint32_t x, uint32_t w)
{
    Stage *s = arena_copy(g->a, f->s, sizeof *f->s);
    const Expr *extent = ex_mul(g->x, f->s->rext[f->tap], ex_int(g->x, f->group)), *e = ex_index(g->x, "e", extent), *index[MAX_RANK];
    const Subst first = {f->s->rvar[f->tap], ex_int(g->x, 0)};
    const Expr *column = ex_add(g->x, ex_subst(g->x, f->x->a[f->xs], &first, 1), ex_int(g->x, f->lo));
    uint16_t n = without(f->x, f->xc, f->xs, ex_add(g->x, ex_mul(g->x, column, ex_int(g->x, f->group)), e), index);
    const Expr *xs = f->x->op == EX_load ? ex_load(g->x, DT_f32, x, n, index) : ex_loadp(g->x, DT_f32, x, n, index, f->x->a[ex_load_rank(f->x)]);
    n = without(f->w, f->wc, f->ws, e, index);
    s->body = ex_mul(g->x, xs, ex_load(g->x, DT_f32, w, n, index));
    s->nr = 0;
    for (uint8_t r = 0; r < f->s->nr; r++)
        if (r != f->channel && r != f->tap) {
            s->rvar[s->nr] = f->s->rvar[r];
            s->rext[s->nr++] = f->s->rext[r];
        }
    s->rvar[s->nr] = e;
    s->rext[s->nr++] = extent;
    return s;
}

void auto_flatten(Auto *g, int64_t group)
{
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        Flat f;
        if (!flat_of(g, k, group, &f))
            continue;
        const uint32_t w = flat_weights(g, &f), x = insert_flat(g, k, &f);
        k++;
        g->te->stage.at[k] = flat_stage(g, &f, x, w);
        auto_views(g);
    }
}

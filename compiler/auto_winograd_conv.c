/* SPDX-License-Identifier: Apache-2.0
 * See auto_winograd.h: 3x3 convolutions of stride 1 and 2 among the stages. */
#include <math.h>

#include "auto_winograd.h"

static bool has_window(const Auto *g, Conv *c, int d, int k)
{
    const Expr *e = c->x->a[d];
    bool linear;
    for (int r = 0; r < c->s->nr; r++) {
        if (!ex_is_int(c->s->rext[r], TAPS) || ex_coef(e, c->s->rvar[r], &linear) != 1 || !linear)
            continue;
        for (int v = 0; v < ten(g->te, c->s->out)->rank; v++) {
            const int64_t stride = ex_coef(e, c->s->var[v], &linear);
            if (stride < 1 || stride >= TAPS || !linear || (k && stride != c->stride))
                continue;
            const Expr *rest = ex_sub(g->x, ex_sub(g->x, e, ex_mul(g->x, c->s->var[v], ex_int(g->x, stride))), c->s->rvar[r]);
            c->stride = stride;
            c->side[k] = v;
            c->tap[k] = r;
            c->dim[k] = d;
            c->from[k] = ex_is_const(rest) ? rest->v.i : 0;
            return ex_is_const(rest);
        }
    }
    return false;
}

/* The channel, which may begin anywhere: of a part of a tensor (a split). */
static bool has_channel(const Auto *g, Conv *c, int d)
{
    const Expr *e = c->x->a[d];
    for (int r = 0; r < c->s->nr; r++) {
        const Expr *from = ex_sub(g->x, e, c->s->rvar[r]);
        if (!ex_is_const(from))
            continue;
        c->channel = r;
        c->channel_dim = d;
        c->channel_from = from->v.i;
        return true;
    }
    return false;
}

/* Every index of x is a window, the channel, another variable of the output alone, or a number. */
static bool has_windows(const Auto *g, Conv *c)
{
    int windows = 0, v;
    c->channel = -1;
    for (int d = 0; d < ex_load_rank(c->x); d++) {
        const Expr *e = c->x->a[d];
        if (ex_is_const(e) || is_pure_var(e, c->s->var, ten(g->te, c->s->out)->rank, &v))
            continue;
        if (c->channel < 0 && has_channel(g, c, d))
            continue;
        if (windows == 2 || !has_window(g, c, d, windows++))
            return false;
    }
    return windows == 2 && c->channel >= 0 && c->side[0] != c->side[1];
}

/* w has one element for each output channel, input channel and tap. */
static bool has_weights(const Auto *g, Conv *c)
{
    int used = 0;
    c->out = -1;
    for (int d = 0; d < ex_load_rank(c->w); d++) {
        int v;
        if (is_pure_var(c->w->a[d], c->s->rvar, c->s->nr, &v))
            used |= 1 << v;
        else if (c->out < 0 && is_pure_var(c->w->a[d], c->s->var, ten(g->te, c->s->out)->rank, &v))
            c->out = v;
        else if (!ex_is_int(c->w->a[d], 0))
            return false;
    }
    const int need = 1 << c->channel | 1 << c->tap[0] | 1 << c->tap[1];
    return c->out >= 0 && (used & need) == need && !ex_uses(c->x, c->s->var[c->out]) && ex_load_rank(c->w) == (uint16_t)__builtin_popcount((unsigned)used) + 1;
}

static bool is_known(const Auto *g, const Conv *c)
{
    const Ten *t = ten(g->te, c->s->out);
    for (uint8_t d = 0; d < t->rank; d++)
        if (!ex_is_const(t->dim[d]))
            return false;
    for (uint8_t r = 0; r < c->s->nr; r++)
        if (!ex_is_const(c->s->rext[r]) || (r != c->channel && r != c->tap[0] && r != c->tap[1] && !ex_is_int(c->s->rext[r], 1)))
            return false;
    return true;
}

static bool is_conv(const Auto *g, Conv *c, const Dot *d)
{
    const Ten *w = ten(g->te, d->w->v.ref);
    c->x = d->x;
    c->w = d->w;
    return w->kind == TEN_const && !w->data->fill && d->w->op == EX_load && layout_free(g, d->x->v.ref) && has_windows(g, c) && has_weights(g, c) && is_known(g, c);
}

bool winograd_conv(const Auto *g, uint32_t k, Conv *c)
{
    Dot d;
    *c = (Conv){.s = g->te->stage.at[k], .sum = DT_f32, .factor = DT_f32};
    return dot_of(g, k, &d) && d.w->dt == DT_f32 && is_zero_outside(d.x) && is_conv(g, c, &d);
}

/* Of x less its zero point, a number, and w as it is, with a border of any number. */
bool winograd_conv_of_bytes(Auto *g, uint32_t k, Conv *c)
{
    Factor p, q;
    Dot d;
    *c = (Conv){.s = g->te->stage.at[k], .sum = DT_i32, .factor = DT_i16};
    if (!byte_product(g, k, &p, &q, &d) || !is_conv(g, c, &d))
        return false;
    const Factor *x = p.load == d.x ? &p : &q, *w = p.load == d.x ? &q : &p;
    c->zero = x->zero;
    return !w->zero && (!x->zero || ex_is_const(x->zero)) && (d.x->op == EX_load || ex_is_const(d.x->a[d.x->n - 1])) && c->s->rext[c->channel]->v.i % 2 == 0;
}

const Expr *winograd_without_zero(const Auto *g, const Conv *c, const Expr *load)
{
    const Expr *e = ex_cast(g->x, DT_i32, load);
    return c->zero ? ex_sub(g->x, e, c->zero) : e;
}

bool winograd_is_exact(const Auto *g, const Conv *c, const Filtering *f)
{
    const Reach y = auto_sums(g, ex_load(g->x, DT_i32, c->s->out, ten(g->te, c->s->out)->rank, c->s->var));
    int64_t lo, hi;
    const bool narrow = ex_range(g->x, winograd_without_zero(g, c, c->x), &lo, &hi) && max_i64(-lo, hi) * f->growth <= INT16_MAX;
    return narrow && ldexp(fmax(-y.lo, y.hi), f->shift) < 0x1p31;
}

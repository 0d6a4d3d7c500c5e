/* SPDX-License-Identifier: Apache-2.0
 *
 * Products with a picture that a view has flattened, as behind the convolutions of a classifier. The reduction gets a variable for
 * each dimension of the picture, the longest (channels) innermost, and the constant the same dimensions: then the picture may
 * be stored channels last, as the product of a convolution is, and both operands are walked as they lie.
 *
 *   y[j] = sum(k) x[0, k / (H W), k / W % H, k % W] * w[j, k]
 *   y[j] = sum(h, w, c) x[0, c, h, w] * w[j, c, h, w]
 */
#include "auto.h"

enum { PICTURE = 3 }; /* dimensions of more than one element: fewer are walked as they lie by one variable */

/* Reduction variable number q of a stage, which indexes dimension `dim` of w and the dimensions of x from `first` on. */
typedef struct Flat { uint8_t q, first; int dim; } Flat;

/* Whether the dimensions of x from `first` on, one row after the other, are walked by v one element after the other. */
static bool walks_flat(const Auto *g, const Expr *x, uint8_t first, const Expr *v)
{
    const Ten *t = ten(g->te, x->v.ref);
    const Expr *flat = ex_int(g->x, 0);
    for (uint8_t d = first; d < t->rank; d++)
        flat = ex_add(g->x, ex_mul(g->x, flat, t->dim[d]), x->a[d]);
    for (uint8_t d = 0; d < first; d++)
        if (ex_uses(x->a[d], v))
            return false;
    return flat == v;
}

/* First of the last dimensions of x, PICTURE of them with more than one element, that have n elements together; -1: none. */
static int picture_in(const Auto *g, const Expr *x, int64_t n)
{
    const Ten *t = ten(g->te, x->v.ref);
    int longer = 0;
    for (int d = t->rank - 1; d >= 0 && ex_is_const(t->dim[d]) && t->dim[d]->v.i > 0 && n % t->dim[d]->v.i == 0; d--) {
        longer += t->dim[d]->v.i > 1;
        n /= t->dim[d]->v.i;
        if (n == 1)
            return longer >= PICTURE ? d : -1;
    }
    return -1;
}

static bool find_flat(const Auto *g, const Stage *s, const Dot *d, Flat *f)
{
    if (d->x->op != EX_load || d->w->op != EX_load || !is_constant_load(g, d->w) || !layout_free(g, d->x->v.ref))
        return false;
    for (f->q = 0; f->q < s->nr; f->q++) {
        const Expr *v = s->rvar[f->q];
        const int first = ex_is_const(s->rext[f->q]) ? picture_in(g, d->x, s->rext[f->q]->v.i) : -1;
        f->first = (uint8_t)max_i64(first, 0);
        f->dim = dim_of(d->w, v);
        if (first >= 0 && f->dim >= 0 && sole_dim(d->w, v) == f->dim && walks_flat(g, d->x, f->first, v))
            return true;
    }
    return false;
}

static void add_variable(Stage *s, const Expr *var, const Expr *extent)
{
    s->rvar[s->nr] = var;
    s->rext[s->nr++] = extent;
}

/* The variables of the picture, the longest last. */
static void add_picture(Stage *s, const Ten *picture, uint8_t first, const Expr *const *var)
{
    uint8_t longest = first;
    for (uint8_t d = first; d < picture->rank; d++)
        longest = picture->dim[d]->v.i >= picture->dim[longest]->v.i ? d : longest;
    for (uint8_t d = first; d < picture->rank; d++)
        if (d != longest && !ex_is_int(picture->dim[d], 1))
            add_variable(s, var[d], picture->dim[d]);
    add_variable(s, var[longest], picture->dim[longest]);
}

/* They stand in the place of variable q. */
static void replace_variable(Auto *g, uint32_t k, uint8_t q, const Ten *picture, uint8_t first, const Expr *const *var)
{
    const Stage *old = g->te->stage.at[k];
    Stage *s = auto_replace(g, k, g->body[k]);
    s->nr = 0;
    for (uint8_t r = 0; r < old->nr; r++)
        if (r == q)
            add_picture(s, picture, first, var);
        else
            add_variable(s, old->rvar[r], old->rext[r]);
}

static void unflatten(Auto *g, uint32_t k, const Dot *d, const Flat *f)
{
    const Ten *x = ten(g->te, d->x->v.ref);
    const Expr *var[MAX_RANK], *index[MAX_RANK];
    for (uint8_t e = 0; e < x->rank; e++) {
        var[e] = ex_is_int(x->dim[e], 1) ? ex_int(g->x, 0) : ex_index(g->x, (const char *const[]){"c", "h", "w"}[max_i64(e - f->first, 0) % 3], x->dim[e]);
        index[e] = e < f->first ? d->x->a[e] : var[e];
    }
    const Expr *w = auto_unfold(g, d->w, f->dim, "picture", (uint8_t)(x->rank - f->first), x->dim + f->first, var + f->first);
    auto_exchange(g, k, d->x, ex_load(g->x, (DType)d->x->dt, d->x->v.ref, x->rank, index));
    auto_exchange(g, k, d->w, w);
    replace_variable(g, k, f->q, x, f->first, var);
}

void auto_picture(Auto *g)
{
    bool any = false;
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        const Stage *s = g->te->stage.at[k];
        Dot d;
        Flat f;
        if (!dot_of(g, k, &d) || !find_flat(g, s, &d, &f))
            continue;
        const int more = ten(g->te, d.x->v.ref)->rank - f.first - 1;
        if (s->nr + more + 1 >= MAX_RANK || ten(g->te, d.w->v.ref)->rank + more + 3 > MAX_RANK)
            continue;
        unflatten(g, k, &d, &f);
        any = true;
    }
    if (any)
        auto_views(g);
}

/* SPDX-License-Identifier: Apache-2.0
 * See auto_run.h. */
#include "auto_run.h"

enum { MOST_BEFORE = 64 }; /* columns or rows in front of x */

/* ---- what is a run ---- */

/* The reduction variable with which dimension d of x moves one element a step; NULL: there is none, or several. */
static const Expr *moves(const Run *r, int d)
{
    const Expr *found = NULL;
    for (uint8_t q = 0; q < r->s->nr; q++) {
        bool linear;
        if (!ex_uses(r->x->a[d], r->s->rvar[q]))
            continue;
        if (found || sole_dim(r->x, r->s->rvar[q]) != d || ex_coef(r->x->a[d], r->s->rvar[q], &linear) != 1 || !linear)
            return NULL;
        found = r->s->rvar[q];
    }
    return found;
}

/* Its dimension of w, all of which it walks; -1: it does not. */
static int walked(const Auto *g, const Run *r, const Expr *v, int64_t *extent)
{
    const int d = sole_dim(r->w, v);
    for (uint8_t q = 0; q < r->s->nr; q++)
        if (r->s->rvar[q] == v && d >= 0 && r->w->a[d] == v && ex_is_const(r->s->rext[q])) {
            *extent = r->s->rext[q]->v.i;
            return ex_is_int(ten(g->te, r->w->v.ref)->dim[d], *extent) ? d : -1;
        }
    return -1;
}

static bool find_columns(const Auto *g, Run *r)
{
    r->tap = moves(r, r->column);
    r->wtap = r->tap ? walked(g, r, r->tap, &r->taps) : -1;
    return r->wtap >= 0;
}

static bool find_channels(const Auto *g, Run *r)
{
    const Expr *const *dim = ten(g->te, r->x->v.ref)->dim;
    r->channels = 1;
    r->depth = NULL;
    r->wdepth = -1;
    if (r->channel < 0)
        return true;
    if (ex_is_int(dim[r->channel], 1))
        return ex_is_int(r->x->a[r->channel], 0);
    r->depth = moves(r, r->channel);
    r->wdepth = r->depth ? walked(g, r, r->depth, &r->channels) : -1;
    return r->wdepth >= 0 && r->x->a[r->channel] == r->depth && ex_is_int(dim[r->channel], r->channels);
}

/* Elements before those of x, and in all, that an index reaches. */
static bool reach(const Auto *g, const Expr *at, int64_t *before, int64_t *all)
{
    int64_t least, most;
    if (!ex_range(g->x, at, &least, &most) || least < -MOST_BEFORE)
        return false;
    *before = max_i64(-least, 0);
    *all = most + *before + 1;
    return true;
}

static int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

/* Where the window of an output begins, in columns of x. */
static const Expr *first_column(const Auto *g, const Run *r)
{
    const Subst first = {r->tap, ex_int(g->x, 0)};
    return ex_subst(g->x, r->x->a[r->column], &first, 1);
}

bool run_of(const Auto *g, Run *r, int64_t beside, int64_t whole)
{
    int64_t columns;
    if (!find_columns(g, r) || !find_channels(g, r) || !reach(g, first_column(g, r), &r->left, &columns))
        return false;
    if (r->row >= 0 && !reach(g, r->x->a[r->row], &r->top, &r->height))
        return false;
    r->each = round_up(r->channels, beside);
    r->length = round_up(r->taps * r->each, whole);
    r->width = (columns - 1) * r->each + r->length;
    return true;
}

/* ---- the rewrite ---- */

Stage *run_copy(Auto *g, const Run *r, const char *name, const char *const *kept, const Expr **index)
{
    const Ten *x = ten(g->te, r->x->v.ref);
    const Expr *dim[MAX_RANK];
    Stage *s = NEW(g->a, Stage);
    uint8_t n = 0;
    for (int d = 0; d < x->rank; d++)
        if (d != r->row && d != r->column && d != r->channel) {
            dim[n] = x->dim[d];
            index[d] = s->var[n] = ex_index(g->x, kept[n % 4], x->dim[d]);
            n++;
        }
    if (r->row >= 0) {
        dim[n] = ex_int(g->x, r->height);
        s->var[n] = ex_index(g->x, "i", dim[n]);
        index[r->row] = ex_sub(g->x, s->var[n++], ex_int(g->x, r->top));
    }
    dim[n] = ex_int(g->x, r->width);
    s->var[n] = ex_index(g->x, "p", dim[n]);
    const Expr *each = ex_int(g->x, r->each), *at = ex_sub(g->x, s->var[n++], ex_int(g->x, r->left * r->each));
    index[r->column] = ex_fdiv(g->x, at, each);
    if (r->channel >= 0)
        index[r->channel] = ex_mod(g->x, at, each);
    s->kind = ST_map;
    s->node = r->s->node;
    s->out = auto_tensor(g, name, TEN_stage, n, dim);
    ten(g->te, s->out)->dt = x->dt;
    return s;
}

/* Dimensions of w that stay, with their strides in elements, and how many elements that makes. */
typedef struct Kept { const Expr *dim[MAX_RANK]; int64_t stride[MAX_RANK], tap, depth, count; uint8_t n; } Kept;

static Kept kept_of(const Run *r, const Ten *w)
{
    Kept k = {.count = 1};
    int64_t stride[MAX_RANK], step = 1;
    for (int d = w->rank - 1; d >= 0; step *= w->dim[d--]->v.i)
        stride[d] = step;
    for (uint8_t d = 0; d < w->rank; d++)
        if (d != r->wtap && d != r->wdepth) {
            k.dim[k.n] = w->dim[d];
            k.stride[k.n++] = stride[d];
            k.count *= w->dim[d]->v.i;
        }
    k.tap = stride[r->wtap];
    k.depth = r->wdepth < 0 ? 0 : stride[r->wdepth];
    return k;
}

/* One run of w', of which the elements in w begin at `from`. */
static void copy_run(const Run *r, const Kept *k, size_t size, const char *from, char *to)
{
    for (int64_t tap = 0; tap < r->taps; tap++)
        for (int64_t c = 0; c < r->channels; c++)
            memcpy(to + (size_t)(tap * r->each + c) * size, from + (size_t)(tap * k->tap + c * k->depth) * size, size);
}

uint32_t run_constant(Auto *g, const Run *r, const char *name)
{
    const Ten *w = ten(g->te, r->w->v.ref);
    const size_t size = dtype_bytes(w->dt);
    Kept k = kept_of(r, w);
    const char *from = blob_all(w->data, g->a);
    char *to = arena_alloc(g->a, (size_t)(k.count * r->length) * size, 64);
    for (int64_t n = 0; n < k.count; n++) {
        int64_t at = 0, rest = n;
        for (int q = k.n - 1; q >= 0; rest /= k.dim[q]->v.i, q--)
            at += rest % k.dim[q]->v.i * k.stride[q];
        copy_run(r, &k, size, from + (size_t)at * size, to + (size_t)(n * r->length) * size);
    }
    k.dim[k.n] = ex_int(g->x, r->length);
    const uint32_t t = auto_tensor(g, name, TEN_const, (uint8_t)(k.n + 1), k.dim);
    ten(g->te, t)->dt = w->dt;
    ten(g->te, t)->data = blob_view(g->a, w->dt, k.count * r->length, to);
    return t;
}

/* x as read from f. Above and below, where f has no border, the fill of x's load is still needed. */
static const Expr *load_of_copy(Auto *g, const Run *r, uint32_t f, const Expr *e)
{
    const Expr *index[MAX_RANK], *column = ex_add(g->x, first_column(g, r), ex_int(g->x, r->left));
    const DType dt = (DType)r->x->dt;
    uint16_t n = 0;
    for (int d = 0; d < ex_load_rank(r->x); d++)
        if (d != r->row && d != r->column && d != r->channel)
            index[n++] = r->x->a[d];
    if (r->row >= 0)
        index[n++] = ex_add(g->x, r->x->a[r->row], ex_int(g->x, r->top));
    index[n++] = ex_add(g->x, ex_mul(g->x, column, ex_int(g->x, r->each)), e);
    const bool inside = r->row >= 0 || r->x->op == EX_load;
    return inside ? ex_load(g->x, dt, f, n, index) : ex_loadp(g->x, dt, f, n, index, r->x->a[ex_load_rank(r->x)]);
}

static const Expr *load_of_constant(Auto *g, const Run *r, uint32_t w, const Expr *e)
{
    const Expr *index[MAX_RANK];
    uint16_t n = 0;
    for (int d = 0; d < ex_load_rank(r->w); d++)
        if (d != r->wtap && d != r->wdepth)
            index[n++] = r->w->a[d];
    index[n++] = e;
    return ex_load(g->x, (DType)r->w->dt, w, n, index);
}

typedef struct Swap { const Run *r; const Expr *x, *w; } Swap;

static const Expr *swap_operand(void *ctx, const Expr *e)
{
    const Swap *s = ctx;
    return e == s->r->x ? s->x : e == s->r->w ? s->w : e;
}

Stage *run_product(Auto *g, const Run *r, const Expr *body, uint32_t f, uint32_t w)
{
    Stage *s = arena_copy(g->a, r->s, sizeof *r->s);
    const Expr *extent = ex_int(g->x, r->length), *e = ex_index(g->x, "e", extent);
    Swap swap = {r, load_of_copy(g, r, f, e), load_of_constant(g, r, w, e)};
    s->body = ex_map(g->x, body, swap_operand, &swap);
    s->nr = 0;
    for (uint8_t q = 0; q < r->s->nr; q++)
        if (r->s->rvar[q] != r->tap && r->s->rvar[q] != r->depth) {
            s->rvar[s->nr] = r->s->rvar[q];
            s->rext[s->nr++] = r->s->rext[q];
        }
    s->rvar[s->nr] = e;
    s->rext[s->nr++] = extent;
    return s;
}

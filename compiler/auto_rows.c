/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of a window. Where columns and channels of x lie side by side, what a contraction reads of one row of its window is
 * one run of elements, so both reductions are one. A copy of x gives the rows their borders, which makes reads plain; runs
 * are rounded up to what a dot product takes at a time, with zeros in the constant:
 *
 *   y[m,i,j] = sum(r:3,s:3,c:3) x[2*i+r-1, 2*j+s-1, c | z] * w[m,c,r,s]
 *
 *   f[i,p] = x[i-1, p div 3 - 1, p mod 3], z on the border
 *   y[m,i,j] = sum(r:3,e:12) f[2*i+r, 6*j+e] * w'[m,r,e]             e = 3*s + c
 *
 * Floats are read one by one for all lanes, so few channels may lie anywhere, and are rows with borders of their own:
 *
 *   f[c,i,j] = x[c,i-1,j-1], z on the border
 *
 * Nothing but the contraction reads f, so it is made at a few rows of y, in scratch that the first-level cache holds: the
 * rows that two windows share are copied again, which costs less than a pass over all of f through the second level. The same
 * is done, of any number of channels and row by row, where memory has no room for a border around x.
 */
#include "auto.h"

enum { FEW_CHANNELS = 8 };
enum { FEW_BLOCKS = 8 };     /* blocks of rows that parts of a run can share */
enum { MOST_ROWS = 16 };     /* of y made of one block of f */

typedef struct Window {
    const Stage *s;
    const Expr *x, *w;       /* loads */
    const Expr *tap, *channel; /* reduction variables; channel NULL: there is one, or it stays */
    int xr, xs, xc, ws, wc;  /* dimensions: rows, columns, channels; xc -1: they lie elsewhere */
    int64_t taps, channels;
    int64_t run;             /* elements of a row that one output reads */
    int64_t left, top;       /* columns and rows before those of x */
    int64_t width, height;   /* elements of a row of f, rows */
} Window;

/* The reduction variable with which dimension d of x moves one element a step; NULL: there is none, or several. */
static const Expr *moves(const Window *f, int d)
{
    const Expr *found = NULL;
    for (uint8_t q = 0; q < f->s->nr; q++) {
        bool linear;
        if (!ex_uses(f->x->a[d], f->s->rvar[q]))
            continue;
        if (found || sole_dim(f->x, f->s->rvar[q]) != d || ex_coef(f->x->a[d], f->s->rvar[q], &linear) != 1 || !linear)
            return NULL;
        found = f->s->rvar[q];
    }
    return found;
}

/* Its dimension of w, all of which it walks; -1: it does not. */
static int walked(const Auto *g, const Window *f, const Expr *v, int64_t *extent)
{
    const int d = sole_dim(f->w, v);
    for (uint8_t q = 0; q < f->s->nr; q++)
        if (f->s->rvar[q] == v && d >= 0 && f->w->a[d] == v && ex_is_const(f->s->rext[q])) {
            *extent = f->s->rext[q]->v.i;
            return ex_is_int(ten(g->te, f->w->v.ref)->dim[d], *extent) ? d : -1;
        }
    return -1;
}

static bool find_columns(const Auto *g, Window *f)
{
    const Ten *x = ten(g->te, f->x->v.ref);
    f->tap = moves(f, f->xs);
    f->ws = f->tap ? walked(g, f, f->tap, &f->taps) : -1;
    f->channels = 1;
    f->wc = -1;
    if (f->xc < 0)
        return f->ws >= 0;
    if (ex_is_int(x->dim[f->xc], 1))
        return f->ws >= 0 && ex_is_int(f->x->a[f->xc], 0);
    f->channel = moves(f, f->xc);
    f->wc = f->channel ? walked(g, f, f->channel, &f->channels) : -1;
    return f->ws >= 0 && f->wc >= 0 && f->x->a[f->xc] == f->channel && ex_is_int(x->dim[f->xc], f->channels);
}

/* Elements before those of x, and in all, that an index reaches. */
static bool reach(const Auto *g, const Expr *at, int64_t *before, int64_t *all)
{
    int64_t least, most;
    if (!ex_range(g->x, at, &least, &most) || least < -64)
        return false;
    *before = max_i64(-least, 0);
    *all = most + *before + 1;
    return true;
}

/* Whether only rows and columns reach beyond x. */
static bool stays_inside(const Auto *g, const Window *f)
{
    const Ten *x = ten(g->te, f->x->v.ref);
    for (int d = 0; f->x->op == EX_loadp && d < x->rank; d++) {
        int64_t least, most;
        if (d != f->xr && d != f->xs && (!ex_range(g->x, f->x->a[d], &least, &most) || least < 0 || most >= extent_of(g, x->dim[d])))
            return false;
    }
    return true;
}

static bool find_borders(const Auto *g, Window *f, int64_t group)
{
    const Subst first = {f->tap, ex_int(g->x, 0)};
    int64_t columns;
    f->run = (f->taps * f->channels + group - 1) / group * group;
    if (!reach(g, f->x->a[f->xr], &f->top, &f->height) || !reach(g, ex_subst(g->x, f->x->a[f->xs], &first, 1), &f->left, &columns))
        return false;
    f->width = (columns - 1) * f->channels + f->run;
    return true;
}

/* Whether t is stored in that order, or can be, without a border: rows of it are runs. */
static bool is_stored_so(const Auto *g, uint32_t t, const Layout *last)
{
    const Layout *l = &g->layout.at[t];
    const uint8_t rank = ten(g->te, t)->rank;
    for (uint8_t d = 0; d < rank; d++)
        if ((l->set || !layout_free(g, t)) && ((l->set ? l->order[d] : d) != last->order[d] || l->lo[d] || l->hi[d]))
            return false;
    return true;
}

static bool constant_dims(const Ten *t)
{
    for (uint8_t d = 0; d < t->rank; d++)
        if (!ex_is_const(t->dim[d]))
            return false;
    return true;
}

/* Rows, columns and channels as they lie in memory. Dots take channels that lie side by side; floats are read one by one, so
 * that few channels may lie anywhere. */
static bool find_dims(const Auto *g, const Layout *last, Window *f)
{
    const Ten *x = ten(g->te, f->x->v.ref);
    const uint8_t *order = last->order + x->rank - 3;
    Layout plain = {0};
    for (uint8_t d = 0; d < x->rank; d++)
        plain.order[d] = d;
    if (is_stored_so(g, f->x->v.ref, last)) {
        f->xr = order[0];
        f->xs = order[1];
        f->xc = order[2];
        return true;
    }
    f->xr = x->rank - 2;
    f->xs = x->rank - 1;
    f->xc = -1;
    return x->dt == DT_f32 && !layout_free(g, f->x->v.ref) && is_stored_so(g, f->x->v.ref, &plain) && extent_of(g, x->dim[order[2]]) < FEW_CHANNELS;
}

/* Whether rows are worth making: of few channels where a copy is made in any case, of others where a border has no room. */
static bool is_worth(const Auto *g, const Window *f)
{
    const uint32_t t = f->x->v.ref;
    const bool tight = g->tight && t < g->ntight && g->tight[t] && f->x->op == EX_loadp;
    return f->taps > 1 && (layout_free(g, t) ? tight : f->channels < FEW_CHANNELS);
}

/* The window of contraction k, of which x would be stored as `last` says. */
static bool window_of(const Auto *g, uint32_t k, const Dot *d, const Layout *last, Window *f)
{
    const Ten *x = ten(g->te, d->x->v.ref), *w = ten(g->te, d->w->v.ref);
    const bool bytes = x->dt == DT_i8 || x->dt == DT_u8;
    if (d->lane < 0 || d->row < 0 || !d->group || w->kind != TEN_const || w->data->fill || d->w->op != EX_load || x->rank < 3 || w->rank == MAX_RANK)
        return false;
    *f = (Window){.s = g->te->stage.at[k], .x = d->x, .w = d->w};
    if (!constant_dims(x) || !constant_dims(w) || !(bytes || x->dt == DT_f32) || (d->x->op == EX_loadp && !ex_is_const(d->x->a[x->rank])))
        return false;
    return find_dims(g, last, f) && find_columns(g, f) && stays_inside(g, f) && find_borders(g, f, bytes ? 4 : 1) && is_worth(g, f);
}

/* ---- the rewrite ---- */

static const Expr *below(const Auto *g, const Expr *v, int64_t n) { return ex_binary(g->x, EX_lt, v, ex_int(g->x, n)); }

/* f[.., i, p]: x inside, the fill on its border. Choices by row are outside those by place. */
static const Expr *bordered(const Auto *g, const Window *f, const Expr *inside, const Expr *i, const Expr *p)
{
    const Ten *x = ten(g->te, f->x->v.ref);
    const int64_t from = f->left * f->channels, to = from + x->dim[f->xs]->v.i * f->channels, last = f->top + x->dim[f->xr]->v.i;
    const Expr *fill = f->x->op == EX_loadp ? f->x->a[x->rank] : dtype_is_float(x->dt) ? ex_const_f(g->x, x->dt, 0) : ex_const_i(g->x, x->dt, 0);
    const Expr *e = inside;
    if (to < f->width)
        e = ex_select(g->x, below(g, p, to), e, fill);
    if (from > 0)
        e = ex_select(g->x, below(g, p, from), fill, e);
    if (last < f->height)
        e = ex_select(g->x, below(g, i, last), e, fill);
    return f->top > 0 ? ex_select(g->x, below(g, i, f->top), fill, e) : e;
}

/* f[others.., rows, run] */
static uint32_t insert_rows(Auto *g, uint32_t k, const Window *f)
{
    const Ten *x = ten(g->te, f->x->v.ref);
    const Expr *dim[MAX_RANK], *index[MAX_RANK];
    Stage *s = NEW(g->a, Stage);
    uint8_t n = 0;
    for (int d = 0; d < x->rank; d++)
        if (d != f->xr && d != f->xs && d != f->xc) {
            dim[n] = x->dim[d];
            index[d] = s->var[n] = ex_index(g->x, (const char *const[]){"n", "c", "d", "g"}[n % 4], x->dim[d]);
            n++;
        }
    const Expr *i = s->var[n] = ex_index(g->x, "i", dim[n] = ex_int(g->x, f->height));
    n++;
    const Expr *p = s->var[n] = ex_index(g->x, "p", dim[n] = ex_int(g->x, f->width));
    n++;
    const Expr *channels = ex_int(g->x, f->channels), *at = ex_sub(g->x, p, ex_int(g->x, f->left * f->channels));
    index[f->xr] = ex_sub(g->x, i, ex_int(g->x, f->top));
    index[f->xs] = ex_fdiv(g->x, at, channels);
    if (f->xc >= 0)
        index[f->xc] = ex_mod(g->x, at, channels);
    s->kind = ST_map;
    s->out = auto_tensor(g, str_fmt(g->a, "%s.rows%u", x->name, g->te->ten.n), TEN_stage, n, dim);
    ten(g->te, s->out)->dt = x->dt;
    g->rows.at[s->out] = f->x->v.ref;
    s->node = f->s->node;
    s->body = bordered(g, f, ex_load(g->x, x->dt, f->x->v.ref, x->rank, index), i, p);
    auto_insert(g, k, s);
    for (uint8_t d = 0; d < n; d++)
        g->layout.at[s->out].order[d] = d;
    g->layout.at[s->out].set = true;
    return s->out;
}

/* w'[..,e], dimensions of w but those of channel and column, then both. */
static uint32_t run_weights(Auto *g, const Window *f)
{
    const Ten *w = ten(g->te, f->w->v.ref);
    const size_t size = dtype_bytes(w->dt);
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
    dim[n] = ex_int(g->x, f->run);
    const char *from = blob_all(w->data, g->a);
    char *to = arena_alloc(g->a, (size_t)(rows * f->run) * size, 64);
    for (int64_t r = 0; r < rows; r++) {
        int64_t at = 0, rest = r;
        for (int q = n - 1; q >= 0; rest /= dim[q]->v.i, q--)
            at += rest % dim[q]->v.i * stride[kept[q]];
        for (int64_t e = 0; e < f->taps * f->channels; e++) {
            const int64_t place = at + e / f->channels * stride[f->ws] + (f->wc < 0 ? 0 : e % f->channels * stride[f->wc]);
            memcpy(to + (size_t)(r * f->run + e) * size, from + (size_t)place * size, size);
        }
    }
    const uint32_t t = auto_tensor(g, str_fmt(g->a, "%s.rows%u", w->name, g->te->ten.n), TEN_const, (uint8_t)(n + 1), dim);
    ten(g->te, t)->dt = w->dt;
    ten(g->te, t)->data = blob_view(g->a, w->dt, rows * f->run, to);
    return t;
}

typedef struct Swap { Exprs *x; const Window *f; const Expr *xs, *ws; } Swap;

static const Expr *swap_operand(void *ctx, const Expr *e)
{
    const Swap *s = ctx;
    return e == s->f->x ? s->xs : e == s->f->w ? s->ws : e;
}

/* The contraction of f and w'. */
static Stage *run_stage(Auto *g, const Window *f, const Expr *body, uint32_t x, uint32_t w)
{
    Stage *s = arena_copy(g->a, f->s, sizeof *f->s);
    const Expr *e = ex_index(g->x, "e", ex_int(g->x, f->run)), *xi[MAX_RANK], *wi[MAX_RANK];
    const Subst first = {f->tap, ex_int(g->x, 0)};
    const Expr *column = ex_add(g->x, ex_subst(g->x, f->x->a[f->xs], &first, 1), ex_int(g->x, f->left));
    uint16_t nx = 0, nw = 0;
    for (int d = 0; d < ex_load_rank(f->x); d++)
        if (d != f->xr && d != f->xs && d != f->xc)
            xi[nx++] = f->x->a[d];
    xi[nx++] = ex_add(g->x, f->x->a[f->xr], ex_int(g->x, f->top));
    xi[nx++] = ex_add(g->x, ex_mul(g->x, column, ex_int(g->x, f->channels)), e);
    for (int d = 0; d < ex_load_rank(f->w); d++)
        if (d != f->wc && d != f->ws)
            wi[nw++] = f->w->a[d];
    wi[nw++] = e;
    Swap swap = {g->x, f, ex_load(g->x, (DType)f->x->dt, x, nx, xi), ex_load(g->x, (DType)f->w->dt, w, nw, wi)};
    s->body = ex_map(g->x, body, swap_operand, &swap);
    s->nr = 0;
    for (uint8_t r = 0; r < f->s->nr; r++)
        if (f->s->rvar[r] != f->channel && f->s->rvar[r] != f->tap) {
            s->rvar[s->nr] = f->s->rvar[r];
            s->rext[s->nr++] = f->s->rext[r];
        }
    s->rvar[s->nr] = e;
    s->rext[s->nr++] = ex_int(g->x, f->run);
    return s;
}

uint32_t auto_rows(Auto *g, uint32_t k, const Dot *d, const Layout *last)
{
    Window f;
    if (!window_of(g, k, d, last, &f))
        return 0;
    if (layout_free(g, d->x->v.ref))
        layout_merge(g, d->x->v.ref, last);
    const Expr *body = g->body[k];
    const uint32_t w = run_weights(g, &f), x = insert_rows(g, k, &f);
    g->te->stage.at[k + 1] = run_stage(g, &f, body, x, w);
    auto_views(g);
    return 1;
}

/* ---- bands ---- */

/* Rows of f that so many rows of y read. */
typedef struct Band { uint32_t f, product, host; int var; int64_t step, taps, row_bytes; bool tight; } Band;

/* The variable of the host that moves the rows of f, by way of that of the product. */
static bool find_rows(const Auto *g, Band *b)
{
    const Stage *p = g->te->stage.at[b->product], *h = g->te->stage.at[b->host];
    const Ten *f = ten(g->te, b->f);
    const Expr *at = ex_sole_load(g->body[b->product], b->f)->a[f->rank - 2];
    int64_t least, most;
    bool linear = false;
    int v = 0;
    while (v < ten(g->te, p->out)->rank && !ex_uses(at, p->var[v]))
        v++;
    if (v == ten(g->te, p->out)->rank || !ex_is_const(ten(g->te, p->out)->dim[v]))
        return false;
    const Subst first = {p->var[v], ex_int(g->x, 0)};
    b->step = ex_coef(at, p->var[v], &linear);
    if (!linear || b->step < 1 || !ex_range(g->x, ex_subst(g->x, at, &first, 1), &least, &most))
        return false;
    b->taps = most - least + 1;
    b->row_bytes = points_of_tensor(g, b->f) / extent_of(g, f->dim[f->rank - 2]) * (int64_t)dtype_bytes(f->dt);
    b->var = v;
    const Expr *load = b->host == b->product ? NULL : ex_sole_load(g->body[b->host], p->out);
    return b->host == b->product || (load && is_pure_var(load->a[v], h->var, ten(g->te, h->out)->rank, &b->var));
}

static int64_t scratch_of(const Band *b, int64_t rows) { return ((rows - 1) * b->step + b->taps) * b->row_bytes; }

/* Rows of y of one band: copying least, in scratch that leaves room in the first-level cache or, where a row is too long for it, in
 * the second; the smallest where memory is what counts. 0: f whole is as small. */
static int64_t rows_of_band(const Auto *g, const Band *b)
{
    const MatrixShape *m = g->matrix.at[g->te->stage.at[b->product]->out];
    const int64_t n = extent_of(g, ten(g->te, g->te->stage.at[b->host]->out)->dim[b->var]), unit = m ? m->down : 1, near = g->m->l1_bytes / 4;
    const int64_t room = scratch_of(b, unit) <= near ? near : g->m->l2_bytes / 8;
    int64_t best = 0;
    if (!b->tight && points_of_tensor(g, b->f) * (int64_t)dtype_bytes(ten(g->te, b->f)->dt) <= room)
        return 0;
    if (b->tight)
        return n > unit && scratch_of(b, unit) <= room ? unit : 0;
    for (int64_t r = unit; r <= min_i64(n / FEW_BLOCKS, MOST_ROWS); r += unit)
        best = n % r == 0 && scratch_of(b, r) <= room ? r : best;
    return best;
}

/* Whether the constant of a product stays in the second-level cache from band to band. */
static bool constant_stays(const Auto *g, const Dot *d)
{
    return points_of_tensor(g, d->w->v.ref) * (int64_t)dtype_bytes((DType)d->w->dt) <= g->m->l2_bytes / 2;
}

static void place_rows(Auto *g, uint32_t f)
{
    Band b = {.f = f, .product = g->reader[f][0], .tight = layout_free(g, g->rows.at[f])};
    StagePlan *p = &g->s->stage[b.product];
    b.host = p->place == PL_register ? p->host : b.product;
    Dot d;
    if (g->nreader[f] != 1 || g->s->stage[b.host].place != PL_root || g->block[b.host] || !dot_of(g, b.product, &d) || d.x->v.ref != f || !constant_stays(g, &d))
        return;
    const int64_t rows = find_rows(g, &b) ? rows_of_band(g, &b) : 0;
    if (!rows)
        return;
    g->band[b.host] = (LoopStep){(uint8_t)b.var, (int32_t)rows};
    g->host[b.host] = true;
    StagePlan *of = &g->s->stage[ten(g->te, f)->stage];
    of->place = PL_at;
    of->host = b.host;
    of->level = 1;
}

void auto_bands(Auto *g)
{
    for (uint32_t t = 1; t < g->te->ten.n; t++)
        if (g->rows.at[t] && g->nreader[t])
            place_rows(g, t);
}

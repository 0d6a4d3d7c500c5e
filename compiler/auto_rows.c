/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of a window. Where columns and channels of x lie side by side, what a contraction reads of one row of its window is
 * one run of elements, so both reductions are one (auto_run.h). A copy of x gives the rows their borders, which makes reads
 * plain; runs are rounded up to what a dot product takes at a time, with zeros in the constant:
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
 * The same is done, of any number of channels, where memory has no room for a border around x. How much of f is made at a time is
 * decided in auto_bands.c.
 */
#include "auto_run.h"

enum { FEW_CHANNELS = 8 };

/* Whether only rows and columns reach beyond x. */
static bool stays_inside(const Auto *g, const Run *r)
{
    const Ten *x = ten(g->te, r->x->v.ref);
    for (int d = 0; r->x->op == EX_loadp && d < x->rank; d++) {
        int64_t least, most;
        if (d != r->row && d != r->column && (!ex_range(g->x, r->x->a[d], &least, &most) || least < 0 || most >= extent_of(g, x->dim[d])))
            return false;
    }
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
static bool find_dims(const Auto *g, const Layout *last, Run *r)
{
    const Ten *x = ten(g->te, r->x->v.ref);
    const uint8_t *order = last->order + x->rank - 3;
    Layout plain = {0};
    for (uint8_t d = 0; d < x->rank; d++)
        plain.order[d] = d;
    if (is_stored_so(g, r->x->v.ref, last)) {
        r->row = order[0];
        r->column = order[1];
        r->channel = order[2];
        return true;
    }
    r->row = x->rank - 2;
    r->column = x->rank - 1;
    r->channel = -1;
    return x->dt == DT_f32 && !layout_free(g, r->x->v.ref) && is_stored_so(g, r->x->v.ref, &plain) && extent_of(g, x->dim[order[2]]) < FEW_CHANNELS;
}

typedef struct Sole { const Auto *g; const Expr *load; int n; } Sole;

static void find_input(void *ctx, const Expr *e)
{
    Sole *f = ctx;
    if ((e->op != EX_load && e->op != EX_loadp) || ten(f->g->te, e->v.ref)->kind == TEN_const)
        return;
    f->n++;
    f->load = e->op == EX_load && ten(f->g->te, e->v.ref)->kind == TEN_input ? e : NULL;
}

/* The load of an input of the model, which is all that e loads but constants; NULL: there is no such. */
static const Expr *sole_input(const Auto *g, const Expr *e)
{
    Sole f = {.g = g};
    ex_walk(e, find_input, &f);
    return f.n == 1 ? f.load : NULL;
}

/* Whether a run of bytes takes fewer dots than its columns do, whose channels are groups of four each (7 columns of 3: six for seven). Where
 * a dot takes bytes apart, more of them read what a group was made for once (AVX2: the first of ResNet-50 1.55 of the time). */
static bool is_shorter(const Auto *g, const Run *r)
{
    const DType x = ten(g->te, r->x->v.ref)->dt;
    const bool dots = dtype_is_byte(x) && (g->m->dot_us8 >= 1 || multiplies_words(g, x, (DType)r->w->dt));
    return dots && r->length < r->taps * ((r->channels + 3) / 4 * 4);
}

/* Whether x, which the product alone reads, is made element for element of an input, which may have no border: then the rows are made of
 * that, where it lies so or they are shorter. */
static bool is_made_of_input(const Auto *g, const Run *r, const Layout *last)
{
    const uint32_t t = r->x->v.ref;
    const Stage *s = ten(g->te, t)->kind == TEN_stage ? g->te->stage.at[ten(g->te, t)->stage] : NULL;
    if (!s || s->kind != ST_map || g->nreader[t] != 1)
        return false;
    const Expr *load = sole_input(g, s->body);
    bool same = load && load->n == ten(g->te, t)->rank;
    for (uint8_t d = 0; same && d < load->n; d++)
        same = load->a[d] == s->var[d] || (ex_is_int(load->a[d], 0) && ex_is_int(ten(g->te, t)->dim[d], 1));
    return same && !layout_free(g, load->v.ref) && (is_stored_so(g, load->v.ref, last) || is_shorter(g, r));
}

/* Whether rows are worth making: of few channels where a copy is made in any case, of others where a border has no room. */
static bool is_worth(const Auto *g, const Run *r, const Layout *last)
{
    const uint32_t t = r->x->v.ref;
    const bool tight = g->tight && t < g->ntight && g->tight[t] && r->x->op == EX_loadp, few = r->channels < FEW_CHANNELS;
    return r->taps > 1 && (layout_free(g, t) ? tight || (few && is_made_of_input(g, r, last)) : few);
}

/* The window of contraction k, of which x would be stored as `last` says. */
static bool window_of(const Auto *g, uint32_t k, const Dot *d, const Layout *last, Run *r)
{
    const Ten *x = ten(g->te, d->x->v.ref), *w = ten(g->te, d->w->v.ref);
    const bool bytes = dtype_is_byte(x->dt);
    const int64_t group = bytes && !multiplies_words(g, x->dt, w->dt) ? 4 : bytes || x->dt == DT_i16 ? 2 : 1; /* steps of a dot */
    if (d->lane < 0 || d->row < 0 || !d->group || w->kind != TEN_const || w->data->fill || d->w->op != EX_load || x->rank < 3 || w->rank == MAX_RANK)
        return false;
    *r = (Run){.s = g->te->stage.at[k], .x = d->x, .w = d->w};
    if (!constant_dims(x) || !constant_dims(w) || (group == 1 && x->dt != DT_f32) || (d->x->op == EX_loadp && !ex_is_const(d->x->a[x->rank])))
        return false;
    return find_dims(g, last, r) && run_of(g, r, 1, group) && stays_inside(g, r) && is_worth(g, r, last);
}

/* ---- the rewrite ---- */

static const Expr *below(const Auto *g, const Expr *v, int64_t n) { return ex_binary(g->x, EX_lt, v, ex_int(g->x, n)); }

/* f[.., i, p]: x inside, the fill on its border. Choices by row are outside those by place. */
static const Expr *bordered(const Auto *g, const Run *r, const Expr *inside, const Expr *i, const Expr *p)
{
    const Ten *x = ten(g->te, r->x->v.ref);
    const int64_t from = r->left * r->channels, to = from + x->dim[r->column]->v.i * r->channels, last = r->top + x->dim[r->row]->v.i;
    const Expr *fill = r->x->op == EX_loadp ? r->x->a[x->rank] : dtype_is_float(x->dt) ? ex_const_f(g->x, x->dt, 0) : ex_const_i(g->x, x->dt, 0);
    const Expr *e = inside;
    if (to < r->width)
        e = ex_select(g->x, below(g, p, to), e, fill);
    if (from > 0)
        e = ex_select(g->x, below(g, p, from), fill, e);
    if (last < r->height)
        e = ex_select(g->x, below(g, i, last), e, fill);
    return r->top > 0 ? ex_select(g->x, below(g, i, r->top), fill, e) : e;
}

/* An element of t; of one that is made of an input it is made here. */
static const Expr *element_of(const Auto *g, uint32_t t, const Expr *const *index)
{
    const Stage *s = ten(g->te, t)->kind == TEN_stage ? g->te->stage.at[ten(g->te, t)->stage] : NULL;
    const Expr *input = s && s->kind == ST_map && g->nreader[t] == 1 ? sole_input(g, s->body) : NULL;
    const bool apart = !input || layout_free(g, input->v.ref);
    return apart ? ex_load(g->x, ten(g->te, t)->dt, t, ten(g->te, t)->rank, index) : auto_element(g, s, index);
}

/* f[others.., rows, run] */
static uint32_t insert_rows(Auto *g, uint32_t k, const Run *r)
{
    const Ten *x = ten(g->te, r->x->v.ref);
    const Expr *index[MAX_RANK];
    Stage *s = run_copy(g, r, str_fmt(g->a, "%s.rows%u", x->name, g->te->ten.n), (const char *const[]){"n", "c", "d", "g"}, index);
    const uint8_t rank = ten(g->te, s->out)->rank;
    const Expr *inside = element_of(g, r->x->v.ref, index);
    s->body = bordered(g, r, inside, s->var[rank - 2], s->var[rank - 1]);
    g->rows.at[s->out] = sole_input(g, inside) ? sole_input(g, inside)->v.ref : r->x->v.ref;
    auto_insert(g, k, s);
    for (uint8_t d = 0; d < rank; d++)
        g->layout.at[s->out].order[d] = d;
    g->layout.at[s->out].set = true;
    return s->out;
}

uint32_t auto_rows(Auto *g, uint32_t k, const Dot *d, const Layout *last)
{
    Run r;
    if (!window_of(g, k, d, last, &r))
        return 0;
    if (layout_free(g, d->x->v.ref))
        layout_merge(g, d->x->v.ref, last);
    const Ten *w = ten(g->te, d->w->v.ref);
    const Expr *body = g->body[k];
    const uint32_t constant = run_constant(g, &r, str_fmt(g->a, "%s.rows%u", w->name, g->te->ten.n)), rows = insert_rows(g, k, &r);
    g->te->stage.at[k + 1] = run_product(g, &r, body, rows, constant);
    auto_views(g);
    return 1;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Transposed convolutions of large strides: places of the output that are a stride P apart are of one phase and share their constants,
 *
 *   y[m, i] = sum(c, q) x[c, (i + a) / P - q] * w[c, m, P q + (i + a) % P]
 *
 * so each phase is a product of its own, whose rows are those places:
 *
 *   t[m, f, r] = sum(c, q) x[c, f - q] * w'[c, m, q, r],   y[m, i] = t[m, (i + a) / P, (i + a) % P]
 *
 * The last is a view of memory as it lies; maps of y that nothing else in them moves with are made of t in its place.
 */
#include "auto.h"

/* A few phases stay in registers as they are (auto_shape.c). */
enum { LEAST_PHASES = 4, LEAST_PLACES = 4 };

typedef struct Find { const Auto *g; const Expr *v; int64_t a, p; } Find;

static void find_phase(void *ctx, const Expr *e)
{
    Find *f = ctx;
    if (e->op != EX_mod || !ex_is_const(e->a[1]))
        return;
    const Expr *a = ex_sub(f->g->x, e->a[0], f->v);
    if (ex_is_const(a) && a->v.i >= 0 && e->a[1]->v.i >= LEAST_PHASES) {
        f->a = a->v.i;
        f->p = e->a[1]->v.i;
    }
}

static bool find_variable(const Auto *g, uint32_t k, Phase *p)
{
    const Stage *s = g->te->stage.at[k];
    const Ten *t = ten(g->te, s->out);
    Dot d;
    if (!dot_of(g, k, &d) || !is_constant_load(g, d.w) || d.w->op != EX_load || t->rank >= MAX_RANK || !layout_free(g, s->out))
        return false;
    for (uint8_t v = 0; v < t->rank; v++) {
        Find f = {g, s->var[v], 0, 0};
        for (uint16_t q = 0; q < d.w->n; q++)
            ex_walk(d.w->a[q], find_phase, &f);
        *p = (Phase){v, f.a, f.p};
        if (f.p && ex_is_const(t->dim[v]) && t->dim[v]->v.i >= LEAST_PLACES * f.p)
            return true;
    }
    return false;
}

/* A stage like s whose variable p->v is two, and a tensor for it. */
static Stage *with_phases(Auto *g, const Stage *s, const Phase *p, Subst *of)
{
    const Ten *t = ten(g->te, s->out);
    const int64_t places = (t->dim[p->v]->v.i - 1 + p->a) / p->p + 1;
    const Expr *dim[MAX_RANK];
    Stage *c = arena_copy(g->a, s, sizeof *s);
    uint8_t n = 0;
    for (uint8_t v = 0; v < t->rank; v++) {
        dim[n] = v == p->v ? ex_int(g->x, places) : t->dim[v];
        c->var[n] = ex_index(g->x, v == p->v ? "f" : ex_var_info(g->x, s->var[v])->name, dim[n]);
        of[v] = (Subst){s->var[v], c->var[n++]};
        if (v != p->v)
            continue;
        dim[n] = ex_int(g->x, p->p);
        c->var[n] = ex_index(g->x, "r", dim[n]);
        of[v].to = ex_sub(g->x, ex_add(g->x, ex_mul(g->x, of[v].to, dim[n]), c->var[n]), ex_int(g->x, p->a));
        n++;
    }
    c->out = auto_tensor(g, str_fmt(g->a, "%s.phases%u", t->name, g->te->ten.n), TEN_stage, n, dim);
    ten(g->te, c->out)->dt = t->dt;
    g->pinned.at[c->out] = false;
    return c;
}

/* Elements of s in those of tensor t: index[v] of each variable. */
static void places_of(const Auto *g, const Stage *s, const Phase *p, const Expr **index)
{
    const uint8_t rank = ten(g->te, s->out)->rank;
    uint8_t n = 0;
    for (uint8_t v = 0; v < rank; v++) {
        const Expr *i = v == p->v ? ex_add(g->x, s->var[v], ex_int(g->x, p->a)) : s->var[v], *by = ex_int(g->x, p->p);
        index[n++] = v == p->v ? ex_fdiv(g->x, i, by) : i;
        if (v == p->v)
            index[n++] = ex_mod(g->x, i, by);
    }
}

/* Stage k becomes a view of tensor t. */
static void become_view(Auto *g, uint32_t k, uint32_t t, const Phase *p)
{
    const Expr *index[MAX_RANK];
    places_of(g, g->te->stage.at[k], p, index);
    auto_view(g, k, t, index);
}

/* The constant's dimension of P q + r as one of q and one of r; as it is where it has other places as well. */
static const Expr *unfolded(Auto *g, const Stage *c, const Phase *p, const Expr *w)
{
    const Expr *r = c->var[p->v + 1];
    for (uint16_t d = 0; d < w->n; d++) {
        bool linear;
        const int64_t extent = extent_of(g, ten(g->te, w->v.ref)->dim[d]);
        const Expr *q = ex_sub(g->x, w->a[d], r);
        if (!ex_uses(w->a[d], r) || ex_uses(q, r) || extent % p->p || ten(g->te, w->v.ref)->rank >= MAX_RANK)
            continue;
        for (uint8_t v = 0; v < c->nr; v++)
            if (ex_coef(q, c->rvar[v], &linear) == p->p && linear && ex_is_int(ex_sub(g->x, q, ex_mul(g->x, c->rvar[v], ex_int(g->x, p->p))), 0) &&
                ex_is_int(c->rext[v], extent / p->p)) {
                const Expr *size[] = {c->rext[v], ex_int(g->x, p->p)}, *index[] = {c->rvar[v], r};
                return auto_unfold(g, w, d, "phases", 2, size, index);
            }
    }
    return w;
}

uint32_t auto_phase_product(Auto *g, uint32_t k, const Phase *p)
{
    const Stage *s = g->te->stage.at[k];
    const uint8_t rank = ten(g->te, s->out)->rank;
    Subst of[MAX_RANK];
    Dot d;
    (void)dot_of(g, k, &d);
    Stage *c = with_phases(g, s, p, of);
    const Expr *w = ex_subst(g->x, d.w, of, rank);
    const Subst constant = {w, unfolded(g, c, p, w)};
    c->body = ex_subst(g->x, ex_subst(g->x, g->body[k], of, rank), &constant, 1);
    auto_insert(g, k, c);
    become_view(g, k + 1, c->out, p);
    return c->out;
}

/* The stage that alone reads what tensor t holds by phases, a map, element for element, in which nothing else follows from variable p->v;
 * NO_STAGE: none. */
static uint32_t map_of(const Auto *g, uint32_t t, const Phase *p)
{
    const uint32_t k = g->nreader[t] == 1 ? g->reader[t][0] : NO_STAGE;
    const Stage *s = k == NO_STAGE ? NULL : g->te->stage.at[k];
    const Expr *index[MAX_RANK], *load = s && s->kind == ST_map && layout_free(g, s->out) ? ex_sole_load(g->body[k], t) : NULL;
    const uint8_t rank = ten(g->te, t)->rank;
    if (!load || load->op != EX_load || load == g->body[k] || ten(g->te, s->out)->rank + 1 != rank)
        return NO_STAGE;
    places_of(g, s, p, index);
    if (!loads_element(g, load, index))
        return NO_STAGE;
    const Subst gone = {load, ex_num(g->x, (DType)load->dt, 0)};
    return ex_uses(ex_subst(g->x, g->body[k], &gone, 1), s->var[p->v]) ? NO_STAGE : k;
}

/* Stage k, which reads t so, by phases, too, before it; returns what it makes there. */
static uint32_t split_map(Auto *g, uint32_t k, uint32_t t, const Phase *p)
{
    const Stage *s = g->te->stage.at[k];
    Subst of[MAX_RANK];
    const Expr *load = ex_sole_load(g->body[k], t);
    Stage *c = with_phases(g, s, p, of);
    const Subst from = {load, ex_load(g->x, (DType)load->dt, t, ten(g->te, t)->rank, c->var)};
    c->body = ex_subst(g->x, ex_subst(g->x, g->body[k], &from, 1), of, ten(g->te, s->out)->rank);
    auto_insert(g, k, c);
    become_view(g, k + 1, c->out, p);
    return c->out;
}

uint32_t auto_phase_maps(Auto *g, uint32_t t, const Phase *p)
{
    for (uint32_t m = map_of(g, t, p); m != NO_STAGE; m = map_of(g, t, p)) {
        t = split_map(g, m, t, p);
        auto_views(g);
    }
    return t;
}

void auto_phases(Auto *g)
{
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        Phase p;
        if (!find_variable(g, k, &p))
            continue;
        const uint32_t t = auto_phase_product(g, k, &p);
        auto_views(g);
        (void)auto_phase_maps(g, t, &p);
        k++;
    }
    auto_drop_unread(g);
    auto_views(g);
}

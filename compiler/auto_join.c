/* SPDX-License-Identifier: Apache-2.0
 *
 * Dimensions that a view joins: y[.., k] = x[.., k / P, .., k % P], as heads of attention are. Where x may be stored as we
 * like it is stored in the order in which y is walked, and the view is free: whoever reads y walks the memory of x.
 */
#include "auto.h"

/* Element offset in memory of a plain load, but for where its tensor begins in another one, as tensors are wanted to lie, or only what v moves of it: extents outside that may be
 * known at run time alone. NULL: an extent or a halo is in the way. */
static const Expr *offset_of(const Auto *g, const Expr *load, const Expr *v)
{
    if (load->op != EX_load)
        return NULL;
    const uint32_t home = layout_home(g, load->v.ref);
    const Ten *t = ten(g->te, home);
    const Layout *l = &g->layout.at[home];
    const Expr *flat = ex_int(g->x, 0);
    int64_t stride = 1;
    if (l->set && layout_has_halo(l, t->rank))
        return NULL;
    for (int q = t->rank - 1; q >= 0; q--) {
        const uint8_t d = l->set ? l->order[q] : (uint8_t)q;
        const bool counts = !v || ex_uses(load->a[d], v);
        if (counts && !stride)
            return NULL;
        flat = counts ? ex_add(g->x, flat, ex_mul(g->x, load->a[d], ex_int(g->x, stride))) : flat;
        stride = ex_is_const(t->dim[d]) && mul_i64(stride, t->dim[d]->v.i, &stride) ? stride : 0; /* 0: not known */
    }
    return flat;
}

int64_t stride_of(const Auto *g, const Expr *load, const Expr *v)
{
    bool linear;
    const Expr *flat = offset_of(g, load, v);
    const int64_t c = flat ? ex_coef(flat, v, &linear) : 0;
    return flat && linear ? c : 0;
}

static void has_quotient(void *ctx, const Expr *e)
{
    bool *yes = ctx;
    *yes = *yes || e->op == EX_fdiv || e->op == EX_mod || e->op == EX_select || e->op == EX_load || e->op == EX_loadp;
}

bool walks_memory(const Auto *g, const Expr *load)
{
    bool costly = false;
    const Expr *flat = offset_of(g, load, NULL);
    if (flat)
        ex_walk(flat, has_quotient, &costly);
    return flat && !costly;
}

typedef struct Join { const Auto *g; const Expr *load; uint8_t order[MAX_RANK], n; bool joined; } Join;

/* Appends the dimensions of the load that v moves: one, or quotient and remainder. */
static bool append(Join *j, const Expr *v)
{
    const Ten *t = ten(j->g->te, j->load->v.ref);
    int whole = -1, quotient = -1, remainder = -1, others = 0;
    for (uint8_t d = 0; d < t->rank; d++) {
        const Expr *e = j->load->a[d];
        const bool part = (e->op == EX_fdiv || e->op == EX_mod) && e->a[0] == v && ex_is_const(e->a[1]);
        if (e == v)
            whole = d;
        else if (part && e->op == EX_fdiv)
            quotient = d;
        else if (part && ex_is_int(t->dim[d], e->a[1]->v.i))
            remainder = d;
        else
            others += ex_uses(e, v);
    }
    if (others || (whole >= 0) == (quotient >= 0) || (quotient >= 0) != (remainder >= 0))
        return false;
    if (quotient >= 0)
        j->order[j->n++] = (uint8_t)quotient;
    j->order[j->n++] = (uint8_t)(whole >= 0 ? whole : remainder);
    j->joined = j->joined || quotient >= 0;
    return j->joined || whole >= 0;
}

/* The order in which stage s walks what it copies; dimensions of one element are first. */
static bool find_order(Join *j, const Stage *s)
{
    const Ten *t = ten(j->g->te, j->load->v.ref), *y = ten(j->g->te, s->out);
    for (uint8_t d = 0; d < t->rank; d++)
        if (ex_is_int(j->load->a[d], 0) && ex_is_int(t->dim[d], 1))
            j->order[j->n++] = d;
    for (uint8_t v = 0; v < y->rank; v++)
        if (!ex_is_int(y->dim[v], 1) && !append(j, s->var[v]))
            return false;
    return j->joined && j->n == t->rank;
}

/* Several tensors side by side, in the order in which they are walked anyway: it may as well be stored as they are, as pictures with
 * channels last, whose rows and columns join too. */
static bool may_follow(const Join *j)
{
    const Ten *t = ten(j->g->te, j->load->v.ref);
    bool plain = j->g->te->stage.at[t->stage]->kind == ST_map && j->g->te->stage.at[t->stage]->body->op == EX_select;
    for (uint8_t d = 0; d < t->rank; d++)
        plain = plain && j->order[d] == d;
    return plain;
}

void auto_join(Auto *g)
{
    auto_views(g);
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        const Stage *s = g->te->stage.at[k];
        Join j = {.g = g, .load = g->body[k]};
        if (s->kind != ST_map || j.load->op != EX_load || !layout_free(g, j.load->v.ref) || g->layout.at[j.load->v.ref].set || !find_order(&j, s) || may_follow(&j))
            continue;
        Layout *l = &g->layout.at[j.load->v.ref];
        memcpy(l->order, j.order, sizeof l->order);
        l->set = true;
    }
}

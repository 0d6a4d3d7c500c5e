/* SPDX-License-Identifier: Apache-2.0
 * See slices.h. */
#include "slices.h"

/* v < constant, v one of the stage's variables */
static bool is_choice(const Slices *r, const Expr *e, uint8_t *along)
{
    if (e->op != EX_select || e->a[0]->op != EX_lt || !ex_is_const(e->a[0]->a[1]))
        return false;
    for (uint8_t d = 0; d < ten(r->te, r->s->out)->rank; d++)
        if (e->a[0]->a[0] == r->s->var[d]) {
            *along = d;
            return true;
        }
    return false;
}

/* The tensor of which e is the element at the stage's variables, but *at less along one dimension; 0: it is something else. */
static uint32_t moved(const Slices *r, const Expr *e, int64_t *at)
{
    const Ten *o = ten(r->te, r->s->out), *t = e->op == EX_load ? ten(r->te, e->v.ref) : NULL;
    Exprs *x = r->te->cx->x;
    if (!t || t->rank != o->rank || t->dt != o->dt)
        return 0;
    for (uint8_t d = 0; d < o->rank; d++) {
        const Expr *less = ex_sub(x, r->s->var[d], e->a[d]);
        if (d == r->along && ex_is_const(less) && ex_is_const(t->dim[d]))
            *at = less->v.i;
        else if (d == r->along || t->dim[d] != o->dim[d] || (e->a[d] != r->s->var[d] && !ex_is_int(o->dim[d], 1)))
            return 0;
    }
    return e->v.ref;
}

static void add_slices(Arena *a, Slices *r, const Expr *e, int64_t lo, int64_t hi)
{
    uint8_t along;
    if (lo >= hi)
        return;
    if (is_choice(r, e, &along) && along == r->along) {
        const int64_t turn = max_i64(min_i64(e->a[0]->a[1]->v.i, hi), lo);
        add_slices(a, r, e->a[1], lo, turn);
        add_slices(a, r, e->a[2], turn, hi);
        return;
    }
    Slice s = {.lo = lo, .hi = hi};
    s.t = moved(r, e, &s.at);
    PUSH(a, &r->v, s);
}

bool slices_of(Arena *a, const Te *te, const Stage *s, const Expr *body, Slices *r)
{
    *r = (Slices){.te = te, .s = s};
    if (s->kind != ST_map || !is_choice(r, body, &r->along) || !ex_is_const(ten(te, s->out)->dim[r->along]))
        return false;
    add_slices(a, r, body, 0, ten(te, s->out)->dim[r->along]->v.i);
    return true;
}

bool slices_hold(const Slices *s, uint32_t t, int64_t *at)
{
    int64_t n = 0;
    for (uint32_t k = 0; k < s->v.n; k++) {
        const Slice *e = &s->v.at[k];
        if (e->t != t)
            continue;
        if (n && e->at != *at)
            return false;
        *at = e->at;
        n += e->hi - e->lo;
    }
    return n && ex_is_int(ten(s->te, t)->dim[s->along], n);
}

bool load_stays_inside(const Te *te, const Expr *load, uint8_t d)
{
    const Expr *dim = ten(te, load->v.ref)->dim[d];
    int64_t lo, hi;
    return load->op == EX_load || (ex_is_const(dim) && ex_range(te->cx->x, load->a[d], &lo, &hi) && lo >= 0 && hi < dim->v.i);
}

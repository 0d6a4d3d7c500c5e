/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounds inference: the box of a tensor that its readers inside a host need while the host covers a box of its own.
 */
#include "build.h"

typedef struct Region { Build *b; uint32_t t; Box box; const Expr **inner, **last; uint32_t ninner; } Region;

static void find_memory(void *ctx, const Expr *e)
{
    bool *yes = ctx;
    *yes = *yes || e->op == EX_load || e->op == EX_loadp;
}

/* Whether atom, a part of an index, grows with v: it is v, or a quotient of what grows. */
static bool grows(const Expr *atom, const Expr *v)
{
    bool linear = false;
    return atom == v || (atom->op == EX_fdiv && ex_is_const(atom->a[1]) && atom->a[1]->v.i > 0 && ex_coef(atom->a[0], v, &linear) > 0 && linear);
}

/* 1 or -1 where e grows or falls with v (or does not have it), 0 where it may do both. */
static int direction(Region *r, const Expr *e, const Expr *v)
{
    const Affine f = ex_affine(r->b->a, e);
    int all = 0;
    for (uint32_t k = 0; k < f.n; k++) {
        if (!ex_uses(f.t[k].atom, v))
            continue;
        const int one = f.t[k].coef > 0 ? 1 : -1;
        if (!grows(f.t[k].atom, v) || all == -one)
            return 0;
        all = one;
    }
    return all ? all : 1;
}

/* Extreme of e over inner variables (each 0..last around a base that is already substituted). NULL: it is not known where in them, or
 * it comes from data, of which bounds of a box are not made. */
static const Expr *extreme(Region *r, const Expr *e, bool upper)
{
    bool data = false;
    ex_walk(e, find_memory, &data);
    if (data)
        return NULL;
    for (uint32_t k = 0; k < r->ninner; k++) {
        const int up = direction(r, e, r->inner[k]);
        if (!up)
            return NULL;
        const Subst s = {r->inner[k], (up > 0) == upper ? r->last[k] : ex_int(r->b->x, 0)};
        e = ex_subst(r->b->x, e, &s, 1);
    }
    return e;
}

static void grow(Region *r, uint8_t d, const Expr *lo, const Expr *hi)
{
    Exprs *x = r->b->x;
    const Expr *n = ex_add(x, ex_sub(x, hi, lo), ex_int(x, 1));
    if (!r->box.lo[d]) {
        r->box.lo[d] = lo;
        r->box.ext[d] = n;
        return;
    }
    const Expr *old_end = ex_add(x, r->box.lo[d], r->box.ext[d]), *end = ex_add(x, lo, n);
    const Expr *low = ex_binary(x, EX_min, r->box.lo[d], lo);
    r->box.ext[d] = ex_sub(x, ex_binary(x, EX_max, old_end, end), low);
    r->box.lo[d] = low;
}

/* A guarded load may reach beyond the tensor, where there is nothing to compute. False: it is not known how far it reaches. */
static bool clip(const Expr *dim, Exprs *x, const Expr **lo, const Expr **hi)
{
    int64_t least, most;
    const Expr *room = ex_sub(x, ex_sub(x, dim, ex_int(x, 1)), *hi);
    if (ex_range(x, *lo, &least, &most) && least >= 0 && ex_range(x, room, &least, &most) && least >= 0)
        return true;
    if (!ex_is_const(*lo) || !ex_is_const(*hi) || !ex_is_const(dim))
        return false;
    *lo = ex_int(x, max_i64((*lo)->v.i, 0));
    *hi = ex_int(x, min_i64((*hi)->v.i, dim->v.i - 1));
    return (*hi)->v.i >= (*lo)->v.i;
}

static void region_load(void *ctx, const Expr *e)
{
    Region *r = ctx;
    if ((e->op != EX_load && e->op != EX_loadp) || e->v.ref != r->t)
        return;
    const Ten *t = ten(r->b->te, r->t);
    for (uint8_t d = 0; d < t->rank; d++) {
        const Expr *lo = extreme(r, e->a[d], false), *hi = extreme(r, e->a[d], true);
        if (!lo || !hi || (e->op == EX_loadp && !clip(t->dim[d], r->b->x, &lo, &hi))) { /* the whole dimension */
            lo = ex_int(r->b->x, 0);
            hi = ex_sub(r->b->x, t->dim[d], ex_int(r->b->x, 1));
        }
        grow(r, d, lo, hi);
    }
    r->box.known = true;
}

static const Expr *inner_var(Region *r, const Expr *extent)
{
    Exprs *x = r->b->x;
    r->last[r->ninner] = ex_sub(x, extent, ex_int(x, 1));
    return r->inner[r->ninner++] = ex_index(x, "q", extent);
}

/* Adds what stage k, computed over `box`, reads of the region's tensor. */
static void region_of_stage(Region *r, uint32_t k, const Box *box)
{
    Build *b = r->b;
    const Stage *s = b->te->stage.at[k];
    const uint8_t rank = out_of(b, s)->rank;
    Subst sub[2 * MAX_RANK];
    const Expr *inner[2 * MAX_RANK], *last[2 * MAX_RANK];
    r->inner = inner;
    r->last = last;
    r->ninner = 0;
    for (uint8_t d = 0; d < rank; d++)
        sub[d] = (Subst){s->var[d], ex_add(b->x, box->lo[d], inner_var(r, box->ext[d]))};
    for (uint8_t d = 0; d < s->nr; d++)
        sub[rank + d] = (Subst){s->rvar[d], inner_var(r, s->rext[d])};
    ex_walk(ex_subst(b->x, b->body[k], sub, (uint32_t)rank + s->nr), region_load, r);
}

/* Region of tensor t that its readers inside host need while the host covers `box`: readers are the host itself, `at` stages whose
 * own region is known (they are visited from the host backwards), and what lies in the registers of either, which covers what these do.
 * Not known: this part of the host reads nothing of it. */
Box region(Build *b, uint32_t t, uint32_t host, const Box *box)
{
    Region r = {.b = b, .t = t};
    uint32_t last = NO_STAGE;
    for (uint32_t q = b->reader.first[t + 1]; q-- > b->reader.first[t]; last = b->reader.at[q]) {
        const uint32_t k = b->reader.at[q], tile = plan_of(b, k)->place == PL_register ? plan_of(b, k)->host : k, out = b->te->stage.at[tile]->out;
        const StagePlan *p = plan_of(b, tile);
        if (k == last)
            continue;
        if (tile == host)
            region_of_stage(&r, k, box);
        else if (p->place == PL_at && p->host == host && out != t && b->made[out].known)
            region_of_stage(&r, k, &b->made[out]);
    }
    return r.box;
}

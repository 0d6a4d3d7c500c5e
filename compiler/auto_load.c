/* SPDX-License-Identifier: Apache-2.0
 *
 * What the scheduler asks about the indices of a load.
 */
#include "auto.h"

bool is_constant_load(const Auto *g, const Expr *load) { return ten(g->te, load->v.ref)->kind == TEN_const; }

int dim_using(const Expr *load, const Expr *v)
{
    for (uint16_t d = 0; d < ex_load_rank(load); d++)
        if (ex_uses(load->a[d], v))
            return d;
    return -1;
}

bool index_uses(const Expr *load, const Expr *v) { return dim_using(load, v) >= 0; }

int dim_of(const Expr *load, const Expr *v)
{
    for (uint16_t d = 0; d < ex_load_rank(load); d++)
        if (load->a[d] == v)
            return d;
    return -1;
}

int sole_dim(const Expr *load, const Expr *v)
{
    const int found = dim_using(load, v);
    for (int d = found + 1; found >= 0 && d < ex_load_rank(load); d++)
        if (ex_uses(load->a[d], v))
            return -1;
    return found;
}

bool loads_element(const Auto *g, const Expr *load, const Expr *const *index)
{
    const Ten *t = ten(g->te, load->v.ref);
    for (uint8_t d = 0; d < t->rank; d++)
        if (load->a[d] != index[d] && !(ex_is_int(load->a[d], 0) && ex_is_int(t->dim[d], 1)))
            return false;
    return true;
}

bool is_zero_outside(const Expr *load)
{
    const Expr *fill = load->op == EX_loadp ? load->a[ex_load_rank(load)] : NULL;
    return !fill || (ex_is_const(fill) && dtype_is_float((DType)fill->dt) && fill->v.f == 0);
}

static void costs_to_walk(void *ctx, const Expr *e)
{
    bool *yes = ctx;
    *yes = *yes || e->op == EX_load || e->op == EX_loadp || e->op == EX_fdiv || e->op == EX_mod || e->op == EX_select;
}

bool has_affine_indices(const Expr *load)
{
    bool costly = false;
    for (uint16_t d = 0; d < load->n; d++)
        ex_walk(load->a[d], costs_to_walk, &costly);
    return !costly;
}

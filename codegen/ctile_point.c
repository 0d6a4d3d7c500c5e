/* SPDX-License-Identifier: Apache-2.0
 *
 * Points and vectors of a register tile: what its expressions are at one of them.
 */
#include "ctile.h"

uint32_t v_place(VGen *v, int32_t p, const Expr *lane_base, Subst *s)
{
    const Tile *t = v->t;
    uint32_t n = 0;
    for (int k = t->np - 1; k >= 0; k--) {
        s[n++] = (Subst){t->pvar[k], ex_int(v->g->x, p % t->pext[k])};
        p /= t->pext[k];
    }
    if (lane_base)
        s[n++] = (Subst){t->lane, ex_add(v->g->x, lane_base, v->lane)};
    return n;
}

int tile_tap(const Tile *t, int inner)
{
    const int k = t->nr - 1 - inner;
    return !t->fence && k > 0 && ex_is_const(t->rext[k]) && t->rext[k]->v.i <= 8 ? k : -1;
}

const Expr *v_register(VGen *v, const char *name)
{
    const VarInfo *i = ex_var_info(v->g->x, v->t->acc);
    return ex_var(v->g->x, VK_REG, (DType)i->dt, name, i->lo, i->hi);
}

int32_t v_packs_all(VGen *v)
{
    int32_t all = v->t->nstore > 0 ? MOST_PACKED : 1;
    for (int k = 0; k < v->t->nstore; k++)
        all = min_i32(all, v_packs(v, &v->t->store[k]));
    return all;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Products of two activations as dots: the operand with the lanes is brought into groups at run time, in a stage of its own
 * that is stored as a packed constant is. Of w[v.., r.., k, j], lanes j, reduction r.., k, groups of G = 4 bytes or 2 bf16:
 *
 *   wp[v.., j/B, r.., k/G, j%B, k%G] = w[v.., r.., k, j]          B lanes of a tile
 *
 * Indices are the variables of the product, not the dimensions of w, so heads and views of it need no form of their own.
 */
#include "auto.h"

enum { FEW_ROWS = 8 }; /* outputs that share an element of w: fewer do not pay for moving it */

bool may_pack_at_run_time(const Auto *g, const Stage *s, const Expr *w)
{
    const Ten *t = ten(g->te, s->out);
    uint8_t rank = 3;
    for (uint8_t v = 0; v < t->rank; v++) {
        if (!ex_is_const(t->dim[v]))
            return false;
        rank = (uint8_t)(rank + ex_uses(w, s->var[v]));
    }
    for (uint8_t q = 0; q < s->nr; q++) {
        if (!ex_is_const(s->rext[q]))
            return false;
        rank++;
    }
    return w->op == EX_load && rank <= MAX_RANK && points_sharing(g, s, w) >= FEW_ROWS;
}

/* One dimension of wp: its extent, its variable in the stage that makes wp, and its index in the product. */
typedef struct Packed { const Expr *dim[MAX_RANK], *var[MAX_RANK], *index[MAX_RANK]; uint8_t rank; } Packed;

static const Expr *add_dim(Auto *g, Packed *p, const char *name, int64_t extent, const Expr *index)
{
    p->dim[p->rank] = ex_int(g->x, extent);
    p->var[p->rank] = ex_index(g->x, name, p->dim[p->rank]);
    p->index[p->rank] = index;
    return p->var[p->rank++];
}

/* Dimensions in storage order, and what the variables of the product are in the stage. Returns how many. */
static uint32_t packed_dims(Auto *g, const Stage *s, const Dot *d, int64_t block, Packed *p, Subst *sub)
{
    const Ten *t = ten(g->te, s->out);
    const Expr *lane = s->var[d->lane], *size = ex_int(g->x, block);
    uint32_t n = 0;
    for (uint8_t v = 0; v < t->rank; v++)
        if (v != d->lane && ex_uses(d->w, s->var[v])) {
            sub[n].from = s->var[v];
            sub[n++].to = add_dim(g, p, ex_var_info(g->x, s->var[v])->name, t->dim[v]->v.i, s->var[v]);
        }
    const int64_t blocks = (t->dim[d->lane]->v.i + block - 1) / block;
    const Expr *outer = add_dim(g, p, "o", blocks, ex_fdiv(g->x, lane, size));
    for (uint8_t q = 0; q + 1 < s->nr; q++) {
        sub[n].from = s->rvar[q];
        sub[n++].to = add_dim(g, p, ex_var_info(g->x, s->rvar[q])->name, s->rext[q]->v.i, s->rvar[q]);
    }
    const Expr *inner = add_dim(g, p, "l", block, ex_mod(g->x, lane, size));
    sub[n++] = (Subst){lane, ex_add(g->x, ex_mul(g->x, outer, size), inner)};
    sub[n].from = s->rvar[s->nr - 1];
    sub[n++].to = add_dim(g, p, "q", d->quad, s->rvar[s->nr - 1]);
    return n;
}

static bool inside(const Auto *g, const Expr *load)
{
    for (uint16_t d = 0; d < load->n; d++) {
        int64_t lo, hi;
        if (!ex_range(g->x, load->a[d], &lo, &hi) || lo < 0 || hi >= extent_of(g, ten(g->te, load->v.ref)->dim[d]))
            return false;
    }
    return true;
}

/* The load in the stage; lanes and steps past the end are 0, or what lies there: no sum that is used has them. */
static const Expr *packed_body(Auto *g, const Expr *w, const Subst *sub, uint32_t n)
{
    const Expr *e = ex_subst(g->x, w, sub, n);
    const DType dt = (DType)w->dt;
    if (inside(g, e))
        return e;
    return ex_loadp(g->x, dt, w->v.ref, w->n, e->a, dtype_is_float(dt) ? ex_const_f(g->x, dt, 0) : ex_const_i(g->x, dt, 0));
}

uint32_t auto_pack(Auto *g, uint32_t k, const Dot *d, const Expr **packed)
{
    const Stage *s = g->te->stage.at[k];
    const int64_t block = lanes_per_tile(g, d, k);
    Packed p = {.rank = 0};
    Subst sub[2 * MAX_RANK];
    const uint32_t n = packed_dims(g, s, d, block, &p, sub);
    const uint32_t t = auto_tensor(g, str_fmt(g->a, "%s.packed%u", ten(g->te, d->w->v.ref)->name, g->te->ten.n), TEN_stage, p.rank, p.dim);
    ten(g->te, t)->dt = (DType)d->w->dt;
    Stage *map = NEW(g->a, Stage);
    *map = (Stage){.kind = ST_map, .out = t, .node = s->node};
    memcpy(map->var, p.var, sizeof map->var);
    map->body = packed_body(g, d->w, sub, n);
    for (uint8_t q = 0; q < p.rank; q++) /* made for its order */
        g->layout.at[t].order[q] = q;
    g->layout.at[t].set = true;
    g->packed.at[t] = true;
    *packed = ex_load(g->x, (DType)d->w->dt, t, p.rank, p.index);
    auto_insert(g, k, map);
    return 1;
}

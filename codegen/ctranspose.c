/* SPDX-License-Identifier: Apache-2.0
 *
 * Tiles that copy across: as many points as a vector has lanes, the source contiguous along the points and the target
 * along the lanes. They become square blocks turned over in registers (runtime-min/mlcc_transpose.h), and a plain loop
 * over the lanes behind the last whole block.
 */
#include "cgen.h"

typedef struct Across { CGen *g; const Tile *t; const Expr *from, *to, *fs, *ts; int32_t points; } Across;

/* Elements from one value of v to the next; NULL: not always as many. */
static const Expr *stride(const Across *c, const Expr *e, const Expr *v)
{
    Exprs *x = c->g->x;
    const Subst next = {v, ex_add(x, v, ex_int(x, 1))};
    const Expr *s = ex_sub(x, ex_subst(x, e, &next, 1), e);
    return ex_uses(s, c->t->lane) || ex_uses(s, c->t->pvar[0]) ? NULL : s;
}

static bool find_across(Across *c)
{
    const Tile *t = c->t;
    if (t->red != RED_none || t->nstore != 1 || t->np != 1 || !t->lane || t->open)
        return false;
    const Store *s = t->store;
    if (s->value->op != EX_load || s->value->dt != DT_f32)
        return false;
    c->points = t->pext[0];
    c->from = flat_index(c->g, buf(c->g->u, s->value->v.ref), s->value->a);
    c->to = flat_index(c->g, buf(c->g->u, s->buf), s->idx);
    const Expr *one = stride(c, c->from, t->pvar[0]), *unit = stride(c, c->to, t->lane);
    c->fs = stride(c, c->from, t->lane);
    c->ts = stride(c, c->to, t->pvar[0]);
    return one && unit && ex_is_int(one, 1) && ex_is_int(unit, 1) && c->fs && c->ts && !ex_is_int(c->fs, 1);
}

static const char *place(CGen *g, uint32_t id, const Expr *flat, const Tile *t, const Expr *lane)
{
    const Subst s[] = {{t->pvar[0], ex_int(g->x, 0)}, {t->lane, lane}};
    return c_pointer(g, id, ex_subst(g->x, flat, s, 2));
}

static void blocks(const Across *c, int32_t width, int64_t whole)
{
    CGen *g = c->g;
    const Store *s = c->t->store;
    const Expr *q = whole > width ? ex_var(g->x, VK_INDEX, DT_ix, "l", 0, whole - width) : ex_int(g->x, 0);
    const char *i = whole > width ? var_ident(g, q) : NULL;
    if (i)
        open_block(g->o, "for (%s %s = 0; %s < %lld; %s += %d)", c_type(g, DT_ix), i, i, (long long)whole, i, width);
    ln(g->o, "V%d_TRANSPOSE(%s, %s, %s, %s);", width, place(g, s->value->v.ref, c->from, c->t, q), c_expr(g, c->fs),
       place(g, s->buf, c->to, c->t, q), c_expr(g, c->ts));
    if (!i)
        return;
    close_block(g->o, "");
    c_release(g, i);
}

/* The lanes behind the blocks, point by point. */
static void rest(const Across *c, int64_t from)
{
    CGen *g = c->g;
    const Tile *t = c->t;
    Nest *root = nest_block(g->a), *in = nest_for(g->a, root, t->pvar[0], ex_int(g->x, 0), ex_int(g->x, c->points));
    const Expr *q = ex_var(g->x, VK_INDEX, DT_ix, "l", 0, t->lanes - from - 1);
    in = nest_for(g->a, in, q, ex_int(g->x, 0), ex_int(g->x, t->lanes - from));
    const Subst s = {t->lane, ex_add(g->x, q, ex_int(g->x, from))};
    const Expr *idx[MAX_RANK];
    const uint8_t rank = buf(g->u, t->store->buf)->rank;
    for (uint8_t d = 0; d < rank; d++)
        idx[d] = ex_subst(g->x, t->store->idx[d], &s, 1);
    nest_store(g->a, in, t->store->buf, rank, idx, ex_subst(g->x, t->store->value, &s, 1));
    c_nest(g, root);
}

bool c_transpose_tile(CGen *g, const Tile *t)
{
    Across c = {.g = g, .t = t};
    if (g->lanes < 4 || !find_across(&c) || c.points != g->lanes || t->lanes < g->lanes)
        return false;
    const int64_t whole = t->lanes / g->lanes * g->lanes;
    open_block(g->o, "%s", "");
    blocks(&c, g->lanes, whole);
    if (whole < t->lanes)
        rest(&c, whole);
    close_block(g->o, "");
    return true;
}

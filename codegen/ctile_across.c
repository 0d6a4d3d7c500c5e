/* SPDX-License-Identifier: Apache-2.0
 *
 * Reductions along the lanes: vectors of them, combined at last, then the lanes that make no whole vector: of sums in a part of a vector where
 * loads have masks, otherwise one by one.
 */
#include "ctile.h"

enum {
    MOST_SUMS = 4,   /* vectors of sums that do not wait for each other */
    MASKS_WIDTH = 8, /* of vectors whose loads have masks (AVX2, AVX-512) */
    LEAST_PART = 3   /* lanes that take longer one by one */
};

/* Vectors of sums: as many as divide the vectors that are taken, which have to be known. */
static int32_t sums_of(const VGen *v, const Expr *whole)
{
    const int64_t n = ex_is_const(whole) ? whole->v.i / v->width : 1;
    for (int32_t sums = MOST_SUMS; sums > 1 && !v->g->u->cx->small; sums--)
        if (n % sums == 0 && n > sums)
            return sums;
    return 1;
}

/* c[k] = op(c[k], body) over whole vectors, of n sums by turns. */
static void across_vectors(VGen *v, int32_t p, const Acc *c, int32_t sums, const Expr *whole)
{
    CGen *g = v->g;
    const int32_t step = sums * v->width;
    const Expr *q = ex_var(g->x, VK_INDEX, DT_ix, "l", 0, max_i64(ex_upper(g->x, whole) - step, 0));
    const char *i = var_ident(g, q);
    v_set_count(v, v->width);
    open_block(g->o, "for (%s %s = 0; %s < %s; %s += %d)", c_type(g, DT_ix), i, i, c_expr_prec(g, whole, P_LT + 1), i, step);
    v->strip = q;
    for (int32_t k = 0; k < sums; k++) {
        Subst s[MAX_RANK + 2];
        const uint32_t n = v_place(v, p, ex_add(g->x, q, ex_int(g->x, (int64_t)k * v->width)), s);
        v_accumulate(v, v->t->red, c[k].name, ex_subst(g->x, v->t->body, s, n));
    }
    v->strip = NULL;
    v_forget(v, true);
    close_block(g->o, "");
    c_release(g, i);
}

/* All sums in the first: pairs, then pairs of those. */
static void join_sums(VGen *v, const Acc *c, int32_t sums)
{
    for (int32_t half = 1; half < sums; half *= 2)
        for (int32_t k = 0; k + half < sums; k += 2 * half) {
            *map_u64(&v->memo, c[k + half].var->id, true) = (uint64_t)(uintptr_t)c[k + half].name;
            v_accumulate(v, v->t->red, c[k].name, c[k + half].var);
        }
    v->memo = (Map){.arena = v->g->a};
}

/* Whether e is 0 in lanes whose loads are. A factor that has one value for all lanes may be infinite. */
static bool is_zero_at_zero(const VGen *v, const Expr *e)
{
    switch (e->op) {
    case EX_load: return ex_uses(e, v->t->lane);
    case EX_mul: case EX_add: case EX_sub: return is_zero_at_zero(v, e->a[0]) && is_zero_at_zero(v, e->a[1]);
    case EX_neg: case EX_abs: case EX_cast: return is_zero_at_zero(v, e->a[0]);
    default: return false;
    }
}

/* Lanes behind the whole vectors that a part of one takes; 0: they go one by one. */
static int64_t part_of(const VGen *v, const Expr *lanes)
{
    const int64_t n = ex_is_const(lanes) ? lanes->v.i % v->width : 0;
    const bool fits = v->t->red == RED_sum && v->width >= MASKS_WIDTH && !v->g->u->cx->small && n >= LEAST_PART;
    return fits && is_zero_at_zero(v, v->t->body) ? n : 0;
}

static void across_part(VGen *v, int32_t p, const Acc *c, const Expr *whole, int64_t count)
{
    Subst s[MAX_RANK + 2];
    v_set_count(v, count);
    const uint32_t n = v_place(v, p, whole, s);
    v_accumulate(v, v->t->red, c->name, ex_subst(v->g->x, v->t->body, s, n));
    v_forget(v, true);
}

/* total = op(total, body) for the lanes behind the whole vectors, one by one. */
static void across_tail(VGen *v, int32_t p, const Expr *total, const Expr *whole)
{
    CGen *g = v->g;
    const Tile *t = v->t;
    const Expr *q = ex_var(g->x, VK_INDEX, DT_ix, "l", ex_is_const(whole) ? whole->v.i : 0, t->lanes - 1);
    const char *i = var_ident(g, q);
    Subst s[MAX_RANK + 2];
    uint32_t n = v_place(v, p, NULL, s);
    s[n++] = (Subst){t->lane, q};
    open_block(g->o, "for (%s %s = %s; %s < %s; %s++)", c_type(g, DT_ix), i, c_expr(g, whole), i,
               c_expr_prec(g, tile_lanes(g->x, t), P_LT + 1), i);
    ln(g->o, "%s = %s;", var_ident(g, total),
       c_expr(g, red_combine(g->x, t->red, total, ex_subst(g->x, t->body, s, n))));
    close_block(g->o, "");
    c_release(g, i);
}

static void across_store(VGen *v, int32_t p, const Expr *total)
{
    CGen *g = v->g;
    Subst s[MAX_RANK + 2];
    uint32_t n = v_place(v, p, NULL, s);
    s[n++] = (Subst){v->t->acc, total};
    for (int k = 0; k < v->t->nstore; k++) {
        const Store *st = &v->t->store[k];
        const Expr *flat = ex_subst(g->x, flat_index(g, buf(g->u, st->buf), st->idx), s, n);
        ln(g->o, "%s[%s] = %s;", buf_name(g, st->buf), c_expr(g, flat), c_expr(g, ex_subst(g->x, st->value, s, n)));
    }
}

/* Vector accumulators, combined across in the order of the dialect, then the tail one by one. */
static void across_point(VGen *v, int32_t p)
{
    CGen *g = v->g;
    const Tile *t = v->t;
    const Expr *width = ex_int(g->x, v->width), *lanes = tile_lanes(g->x, t),
               *whole = ex_mul(g->x, ex_fdiv(g->x, lanes, width), width);
    const DType dt = (DType)t->acc->dt;
    const int64_t part = part_of(v, lanes);
    const bool tail = whole != lanes && !part;
    const Expr *total = v_register(v, "total");
    const int32_t sums = sums_of(v, whole);
    Acc c[MOST_SUMS];
    for (int32_t k = 0; k < sums; k++) {
        c[k].var = v_register(v, "c");
        c[k].name = var_ident(g, c[k].var);
        ln(g->o, "%s %s = %s;", v_type(v, dt), c[k].name, v_set(v, red_identity(g->x, t->red, dt)));
    }
    for (int k = 0; k + 1 < t->nr; k++)
        c_open_loop(g, t->rvar[k], t->rext[k]);
    if (!ex_is_int(whole, 0))
        across_vectors(v, p, c, sums, whole);
    if (part)
        across_part(v, p, &c[sums - 1], whole, part);
    for (int k = 0; k + 1 < t->nr; k++)
        close_block(g->o, "");
    join_sums(v, c, sums);
    ln(g->o, "%s%s %s = %s;", tail ? "" : "const ", c_type(g, dt), var_ident(g, total),
       v_fold(v, t->red, dt, c[0].name));
    if (tail)
        across_tail(v, p, total, whole);
    across_store(v, p, total);
}

void v_across_tile(VGen *v)
{
    for (int32_t p = 0; p < tile_points(v->t); p++)
        across_point(v, p);
}

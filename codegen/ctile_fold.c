/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums of products whose two operands lie along the reduction: the lanes' elements of the one are rows apart in memory.
 * Each sum is a vector along the reduction; the sums of a vector of lanes are then folded together (V16_SUMS).
 */
#include "ctile.h"

enum { MOST_SUMS = 16 }; /* vectors of sums in registers */

static const Expr *operand(const Expr *e)
{
    const Expr *load = e->op == EX_cast ? e->a[0] : e;
    return load->op == EX_load && dtype_is_float((DType)load->dt) ? load : NULL;
}

static bool lies_along(const CGen *g, const Expr *load, const Expr *k)
{
    int64_t stride = 0;
    return v_stride(g, load, k, &stride) && stride == 1;
}

bool v_is_fold(CGen *g, const Tile *t, int32_t width)
{
    if (t->red != RED_sum || t->across || t->open || t->init || t->nfetch || t->nr != 1)
        return false;
    const bool product = t->body->op == EX_mul && t->body->dt == DT_f32;
    const Expr *p = product ? operand(t->body->a[0]) : NULL, *q = product ? operand(t->body->a[1]) : NULL;
    if (!p || !q || ex_uses(p, t->lane) == ex_uses(q, t->lane) || !ex_is_const(t->rext[0]) || t->rext[0]->v.i < width)
        return false;
    int64_t apart;
    const bool rows = v_stride(g, ex_uses(p, t->lane) ? p : q, t->lane, &apart) && apart != 1;
    return rows && lies_along(g, p, t->rvar[0]) && lies_along(g, q, t->rvar[0]) && v_can(g, t->body, t->rvar[0], NULL) &&
           tile_points(t) * t->lanes <= MOST_SUMS;
}

/* sum[p][i] += body at lane i, for the lanes of one vector from step k on. */
static void fold_step(VGen *v, const char *const *sum, const Expr *k)
{
    CGen *g = v->g;
    const Tile *t = v->t;
    for (int32_t p = 0; p < tile_points(t); p++)
        for (int32_t i = 0; i < t->lanes; i++) {
            Subst s[MAX_RANK + 3];
            uint32_t n = v_place(v, p, NULL, s);
            s[n++] = (Subst){t->lane, ex_int(g->x, i)};
            s[n++] = (Subst){t->rvar[0], ex_add(g->x, k, v->lane)};
            v_accumulate(v, t->red, sum[p * t->lanes + i], ex_subst(g->x, t->body, s, n));
        }
}

/* Whole vectors of steps, then the steps behind. */
static void fold_steps(VGen *v, const char *const *sum)
{
    CGen *g = v->g;
    const int64_t steps = v->t->rext[0]->v.i, left = steps % v->width, whole = steps - left;
    const Expr *k = ex_var(g->x, VK_INDEX, DT_ix, "k", 0, whole - v->width), *part = v->part;
    const char *i = var_ident(g, k);
    v_set_count(v, v->width);
    open_block(g->o, "for (%s %s = 0; %s < %lld; %s += %d)", c_type(g, DT_ix), i, i, (long long)whole, i, v->width);
    v->strip = k;
    fold_step(v, sum, k);
    v->strip = NULL;
    v_forget(v, true);
    close_block(g->o, "");
    c_release(g, i);
    if (!left)
        return;
    v->part = ex_var(g->x, VK_INDEX, DT_ix, "lane", 0, max_i64(left - 1, 1));
    v_set_count(v, left);
    fold_step(v, sum, ex_int(g->x, whole));
    v_forget(v, false);
    v->part = part;
}

/* The sums of vector q of point p in the lanes of one; lanes that are not in use have any. */
static Acc folded(VGen *v, const char *const *sum, int32_t p, int32_t q)
{
    CGen *g = v->g;
    Text all = {.arena = g->a};
    for (int32_t i = 0; i < v->width; i++)
        text_add(&all, "%s%s", i ? ", " : "", sum[p * v->t->lanes + min_i64(q * v->width + i, v->t->lanes - 1)]);
    const Expr *var = v_register(v, "c");
    const Acc acc = {var, c_name(g, &g->var, var->id, str_fmt(g->a, "c%d_%d", p, q), "c")};
    ln(g->o, "const %s %s = V%d_SUMS(%s);", v_type(v, DT_f32), acc.name, v->width, text_str(&all));
    return acc;
}

void v_fold_tile(VGen *v)
{
    CGen *g = v->g;
    const Tile *t = v->t;
    const int32_t np = tile_points(t), nv = (t->lanes + v->width - 1) / v->width;
    const char **sum = NEWN(g->a, const char *, np * t->lanes);
    Acc *acc = NEWN(g->a, Acc, np * nv);
    for (int32_t k = 0; k < np * t->lanes; k++) {
        const Expr *var = v_register(v, "s");
        sum[k] = c_name(g, &g->var, var->id, str_fmt(g->a, "s%d_%d", k / t->lanes, k % t->lanes), "s");
        ln(g->o, "%s %s = %s;", v_type(v, DT_f32), sum[k], v_set(v, ex_const_f(g->x, DT_f32, 0)));
    }
    fold_steps(v, sum);
    for (int32_t k = 0; k < np * nv; k++)
        acc[k] = folded(v, sum, k / nv, k % nv);
    v_epilogue(v, acc, (Points){0, np}, nv);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps and folds of reductions in vectors (cvec.h): multiply-adds where the operands let them be.
 */
#include "cvec.h"

static bool in_range(const CGen *g, const Expr *e, int64_t least, int64_t most)
{
    int64_t lo, hi;
    return ex_range(g->x, e, &lo, &hi) && lo >= least && hi <= most;
}

static bool is_weight(const VGen *v, const Expr *e)
{
    while (e->op == EX_cast)
        e = e->a[0];
    return e->op == EX_load && buf(v->g->u, e->v.ref)->cls == BC_const;
}

/* Whether a load lies in the halo of its buffer, whose value is 0, wherever the tile is. */
static bool lies_in_halo(const VGen *v, const Expr *e)
{
    while (e->op == EX_cast)
        e = e->a[0];
    const Buf *b = e->op == EX_load ? buf(v->g->u, e->v.ref) : NULL;
    bool outside = false;
    for (uint8_t d = 0; b && d < b->rank; d++) {
        int64_t lo, hi;
        const bool known = ex_range(v->g->x, e->a[d], &lo, &hi);
        outside = outside || (known && (hi < 0 || (ex_is_const(b->dim[d]) && lo >= b->dim[d]->v.i)));
    }
    return outside && b->pad == 0;
}

/* A weight times what lies beside a picture; as the model writes it, an infinite one makes NaN of that. */
static bool adds_nothing(const VGen *v, RedOp op, const Expr *body)
{
    if (op != RED_sum || body->op != EX_mul || v->g->u->cx->fp == FP_strict)
        return false;
    return (is_weight(v, body->a[0]) && lies_in_halo(v, body->a[1])) || (is_weight(v, body->a[1]) && lies_in_halo(v, body->a[0]));
}

/* acc + p * q for factors of 16 bits. The high half of the first must be 0, also where it is negative: then it is
 * cut off, once for the weight, which other points share. */
static const char *short_product(VGen *v, const char *acc, const Expr *p, const Expr *q)
{
    const bool plain = in_range(v->g, p, 0, INT16_MAX) || in_range(v->g, q, 0, INT16_MAX);
    const bool swap = plain ? !in_range(v->g, p, 0, INT16_MAX) : is_weight(v, q);
    const Expr *first = swap ? q : p, *second = swap ? p : q;
    const char *b = v_text(v, second);
    if (!plain)
        first = ex_binary(v->g->x, EX_band, first, ex_const_i(v->g->x, DT_i32, UINT16_MAX));
    const char *a = v_text(v, first);
    return str_fmt(v->g->a, "V%d_IMAC(%s, %s, %s)", v->width, a, b, acc);
}

/* How a reduction combines, and folds lanes. */
typedef struct Reducer { const char *combine, *fold; } Reducer;

static const Reducer *reducer(RedOp op, DType dt)
{
    static const Reducer f32[] = {[RED_sum] = {"ADD", "HSUM"},
                                  [RED_prod] = {"MUL", "HPROD"},
                                  [RED_min] = {"MINN", "HMIN"},
                                  [RED_max] = {"MAXN", "HMAX"}};
    static const Reducer i32[] = {[RED_sum] = {"IADD", "IHSUM"},
                                  [RED_prod] = {"IMUL", "IHPROD"},
                                  [RED_min] = {"IMIN", "IHMIN"},
                                  [RED_max] = {"IMAX", "IHMAX"}};
    return lane_kind(dt) == LK_f32 ? &f32[op] : &i32[op];
}

const char *v_combine(VGen *v, RedOp op, const char *acc, const Expr *body)
{
    const CGen *g = v->g;
    if (op == RED_sum && ex_adds_products(body))
        return v_combine(v, op, v_combine(v, op, acc, body->a[0]), body->a[1]);
    if (adds_nothing(v, op, body))
        return acc;
    const bool product = op == RED_sum && body->op == EX_mul && !ex_is_const(body->a[1]);
    if (product && body->dt == DT_f32) {
        const char *a = v_text(v, body->a[0]), *b = v_text(v, body->a[1]);
        return str_fmt(g->a, "V%d_FMA(%s, %s, %s)", v->width, a, b, acc);
    }
    if (product && in_range(g, body->a[0], INT16_MIN, INT16_MAX) && in_range(g, body->a[1], INT16_MIN, INT16_MAX))
        return short_product(v, acc, body->a[0], body->a[1]);
    return str_fmt(g->a, "V%d_%s(%s, %s)", v->width, reducer(op, (DType)body->dt)->combine, acc, v_text(v, body));
}

void v_accumulate(VGen *v, RedOp op, const char *acc, const Expr *body)
{
    const char *value = v_combine(v, op, acc, body);
    if (value != acc)
        ln(v->g->o, "%s = %s;", acc, value);
}

const char *v_fold(VGen *v, RedOp op, DType dt, const char *acc)
{
    return str_fmt(v->g->a, "V%d_%s(%s)", v->width, reducer(op, dt)->fold, acc);
}

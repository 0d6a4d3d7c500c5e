/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums of narrow integers that are stored in 16 bits, in lanes of 16 bits, two for each lane of 32: sums, differences and shifts to the left modulo
 * 2^16 are the low halves of those of wider numbers, so nothing is widened and narrowed on the way.
 */
#include "cvec_part.h"

/* ---- which stores ---- */

/* Elements that lie side by side along the lanes. */
static bool is_narrow_load(const VGen *v, const Expr *e)
{
    int64_t stride;
    return (dtype_is_byte((DType)e->dt) || e->dt == DT_i16) && v_stride(v->g, e, v->t->lane, &stride) && stride == 1;
}

typedef struct Decided { const Tile *t; bool yes; } Decided;

static void is_point(void *ctx, const Expr *e)
{
    Decided *d = ctx;
    bool point = e->op != EX_var;
    for (uint8_t k = 0; k < d->t->np; k++)
        point = point || e == d->t->pvar[k];
    d->yes = d->yes && point && e->op != EX_load && e->op != EX_loadp;
}

/* Whether points alone choose: no choice is left where a point is printed. */
static bool is_decided(const VGen *v, const Expr *choice)
{
    Decided d = {v->t, true};
    ex_walk(choice, is_point, &d);
    return d.yes;
}

static bool is_word_sum(const VGen *v, const Expr *e)
{
    switch (e->op) {
    case EX_load: return is_narrow_load(v, e);
    case EX_loadp: return is_narrow_load(v, e) && ex_is_const(e->a[e->n - 1]);
    case EX_const: return dtype_is_int((DType)e->dt);
    case EX_cast: return (e->dt == DT_i32 || e->dt == DT_i16) && is_word_sum(v, e->a[0]);
    case EX_add:
    case EX_sub: return is_word_sum(v, e->a[0]) && is_word_sum(v, e->a[1]);
    case EX_shl: return is_word_sum(v, e->a[0]) && ex_is_const(e->a[1]) && e->a[1]->v.i >= 0 && e->a[1]->v.i < 16;
    case EX_select: return is_decided(v, e->a[0]) && is_word_sum(v, e->a[1]) && is_word_sum(v, e->a[2]);
    default: return false;
    }
}

bool v_sums_words(VGen *v, const Store *st)
{
    const Expr *e = st->value, *sum = e->op == EX_cast && e->dt == DT_i16 ? e->a[0] : e;
    bool linear;
    if (buf(v->g->u, st->buf)->dt != DT_i16 || (sum->op != EX_add && sum->op != EX_sub && sum->op != EX_select))
        return false;
    return ex_coef(flat_index(v->g, buf(v->g->u, st->buf), st->idx), v->t->lane, &linear) == 1 && linear && is_word_sum(v, e);
}

/* ---- their values ---- */

static const char *word_value(VGen *v, const Expr *e);

static const char *word_load(VGen *v, const Expr *load)
{
    const char *at = v_address(v, load->v.ref, flat_index(v->g, buf(v->g->u, load->v.ref), load->a), false);
    return v_call1(v, load->dt == DT_i16 ? "LDQ" : load->dt == DT_i8 ? "LDWI8" : "LDWU8", at);
}

static const char *word_constant(const VGen *v, const Expr *e)
{
    return str_fmt(v->g->a, "V%d_WSET(%d)", v->width, (int)(int16_t)(uint16_t)(uint64_t)e->v.i);
}

/* As of wider lanes, what decides is the same in all of them. */
static const char *guarded_words(VGen *v, const Expr *e)
{
    CGen *g = v->g;
    const Expr *in = c_guard(g, e);
    const char *inside = word_load(v, ex_load(g->x, (DType)e->dt, e->v.ref, (uint16_t)(e->n - 1), e->a)), *outside = word_constant(v, e->a[e->n - 1]);
    if (!in || ex_is_const(in))
        return in && !in->v.i ? outside : inside;
    const Subst first = {v->lane, ex_int(g->x, 0)};
    return str_fmt(g->a, "%s ? %s : %s", c_expr_prec(g, ex_subst(g->x, in, &first, 1), P_OR), inside, outside);
}

static const char *word_operation(VGen *v, const Expr *e)
{
    const char *a = word_value(v, e->a[0]);
    if (e->op == EX_shl)
        return v_call2(v, "WSHL", a, str_fmt(v->g->a, "%d", (int)e->a[1]->v.i));
    return v_call2(v, e->op == EX_add ? "WADD" : "WSUB", a, word_value(v, e->a[1]));
}

static const char *word_value(VGen *v, const Expr *e)
{
    const uint64_t *known = map_u64(&v->memo, e->id, false);
    if (known)
        return (const char *)(uintptr_t)*known;
    switch (e->op) {
    case EX_cast: return word_value(v, e->a[0]);
    case EX_const: return v_temp(v, e, word_constant(v, e), false);
    case EX_load: return v_temp(v, e, word_load(v, e), false);
    case EX_loadp: return v_temp(v, e, guarded_words(v, e), false);
    default: return v_temp(v, e, word_operation(v, e), false);
    }
}

void v_store_words(VGen *v, const Store *st, const Subst *s, uint32_t n)
{
    const char *value = word_value(v, ex_subst(v->g->x, st->value, s, n));
    const char *at = v_address(v, st->buf, ex_subst(v->g->x, flat_index(v->g, buf(v->g->u, st->buf), st->idx), s, n), true);
    ln(v->g->o, "V%d_STQ(%s, %s);", v->width, at, value);
}

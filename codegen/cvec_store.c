/* SPDX-License-Identifier: Apache-2.0
 *
 * Stores of vectors, which narrow what they store.
 */
#include "cvec_part.h"

/* The saturation to a byte that e ends with, or is in 16 bits; NULL: neither. */
static const Expr *saturated_byte(const Expr *e)
{
    const Expr *s = e->op == EX_cast && e->dt == DT_i16 ? e->a[0] : e;
    return s->op == EX_castsat && dtype_is_byte((DType)s->dt) ? s : NULL;
}

/* The saturation that stores of whole vectors do themselves; NULL: none, or the conversion of floats does it. */
static const Expr *saturation(const VGen *v, const Expr *e)
{
    const Expr *byte = saturated_byte(e), *s = byte ? byte : e;
    if (s->op != EX_castsat || !v_element((DType)s->dt)->saturates || !v_by_lane(s, v->lane, v->acc))
        return NULL;
    return byte && lane_kind((DType)s->a[0]->dt) == LK_f32 ? NULL : s;
}

/* Word behind ST of a store that saturates: to a byte that is stored in 16 bits, or to what is stored. */
static const char *saturating_suffix(const CGen *g, const Store *st, const Expr *s, int32_t count)
{
    const char *many = count > 1 ? str_fmt(g->a, "%d", count) : "";
    return str_fmt(g->a, "%s%s%s", buf(g->u, st->buf)->dt == (DType)s->dt ? "S" : "W", many, v_element((DType)s->dt)->suffix);
}

/* What is stored, in the lanes of its element: narrow floats are rounded and whole vectors saturated by the store
 * itself. */
static const char *stored_lanes(VGen *v, const Expr *e, const Expr **saturates)
{
    const Element *m = v_element((DType)e->dt);
    *saturates = saturation(v, e);
    if (*saturates)
        return v_text(v, ex_castsat(v->g->x, DT_i32, (*saturates)->a[0]));
    if (dtype_is_narrow_float(m->dt)) /* of one choice by position, a constant may be left of the conversion */
        return v_text(v, e->op == EX_cast ? e->a[0] : ex_cast(v->g->x, DT_f32, e));
    return m->kind == LK_mask ? v_call2(v, "IAND", v_text(v, e), str_fmt(v->g->a, "V%d_ISET(1)", v->width))
                              : v_text(v, e);
}

/* Word behind ST: the mode that rounds what the model leaves in f32 may also take numbers below the normal range for
 * 0. */
static const char *store_suffix(const CGen *g, const Element *m)
{
    return m->dt == DT_bf16 && g->u->cx->fp == FP_bf16 ? "BFZ" : m->suffix;
}

static bool converts(const VGen *v, const Expr *e, DType to, DType from)
{
    return e->op == EX_cast && e->dt == to && e->a[0]->dt == from && v_by_lane(e->a[0], v->t->lane, v->t->acc);
}

/* Constants that compare as their bits do once they have 16. */
static bool orders_as_bits(const CGen *g, const Expr *e)
{
    const Blob *data = e->op == EX_load ? buf(g->u, e->v.ref)->data : NULL;
    const Blob *held = data ? blob_held(data, g->a) : NULL;
    bool all = held && e->dt == DT_f32;
    for (int64_t k = 0; all && k < (held->fill ? 1 : held->count); k++)
        all = blob_f(held, k) > 0;
    return all || (ex_is_const(e) && e->dt == DT_f32 && e->v.f > 0);
}

/* With -ffp=bf16: integers as floats, clipped to 0 .. top and rounded to bf16, of which two vectors are clipped together once they have 16 bits;
 * no integer is NaN. NULL: st stores something else. */
static const Expr *clipped_integers(const VGen *v, const Store *st, const Expr **top)
{
    const Expr *e = st->value, *low;
    if (v->g->u->cx->fp != FP_bf16 || buf(v->g->u, st->buf)->dt != DT_bf16 || !converts(v, e, DT_bf16, DT_f32) || e->a[0]->op != EX_min)
        return NULL;
    low = e->a[0]->a[0];
    *top = e->a[0]->a[1];
    if (low->op != EX_max || !ex_is_const(low->a[1]) || low->a[1]->v.f != 0 || !converts(v, low->a[0], DT_f32, DT_i32))
        return NULL;
    return orders_as_bits(v->g, *top) ? low->a[0]->a[0] : NULL;
}

void v_store(VGen *v, const Store *st, const Subst *s, uint32_t n)
{
    CGen *g = v->g;
    const Buf *b = buf(g->u, st->buf);
    const Expr *flat = ex_subst(g->x, flat_index(g, b, st->idx), s, n);
    const Element *m = v_element(b->dt);
    const Expr *saturates;
    bool linear;
    const int64_t stride = ex_coef(flat, v->lane, &linear);
    const char *value = stored_lanes(v, ex_subst(g->x, st->value, s, n), &saturates);
    const char *at = v_address(v, st->buf, flat, true);
    if (saturates && (stride != 1 || !v_is_whole(v)))
        value = v_call1(v, str_fmt(g->a, "SAT%s", v_element((DType)saturates->dt)->suffix), value);
    if (stride != 1)
        ln(g->o, "V%d_%sSCATTER%s(%s, %lld, %s, %s);", v->width, m->prefix, m->suffix, at, (long long)stride, value,
           v_count_text(v));
    else if (!v_is_whole(v))
        ln(g->o, "V%d_%sSTN%s(%s, %s, %s);", v->width, m->prefix, store_suffix(g, m), at, value, v_count_text(v));
    else
        ln(g->o, "V%d_%sST%s(%s, %s);", v->width, m->prefix, saturates ? saturating_suffix(g, st, saturates, 1) : store_suffix(g, m), at, value);
}

int32_t v_packs(VGen *v, const Store *st)
{
    const Buf *b = buf(v->g->u, st->buf);
    bool linear;
    const bool side = ex_coef(flat_index(v->g, b, st->idx), v->t->lane, &linear) == 1 && linear;
    const Expr *byte = saturated_byte(st->value);
    return !side || !byte || !v_by_lane(byte, v->t->lane, v->t->acc) ? 1 : dtype_is_byte(b->dt) ? 4 : 2;
}

const char *v_unpacked(VGen *v, const Store *st, const Subst *s, uint32_t n)
{
    const Expr *saturates, *top, *clipped = clipped_integers(v, st, &top);
    return clipped ? v_text(v, ex_subst(v->g->x, clipped, s, n)) : stored_lanes(v, ex_subst(v->g->x, st->value, s, n), &saturates);
}

/* With -ffp=bf16: not every way to store NaN gives the same. */
static bool is_rounded_i16(const VGen *v, const Store *st)
{
    const Expr *e = st->value, *whole = buf(v->g->u, st->buf)->dt == DT_i16 && e->op == EX_castsat ? e->a[0] : NULL;
    return v->g->u->cx->fp == FP_bf16 && whole && whole->op == EX_rint && whole->dt == DT_f32 && v_by_lane(whole, v->t->lane, v->t->acc);
}

/* A byte that is stored in 16 bits. */
static bool is_word(const VGen *v, const Store *st)
{
    const Expr *byte = saturated_byte(st->value);
    return byte && buf(v->g->u, st->buf)->dt == DT_i16 && v_by_lane(byte, v->t->lane, v->t->acc);
}

bool v_pairs(const VGen *v, const Store *st)
{
    const Expr *top;
    bool linear;
    return (is_word(v, st) || clipped_integers(v, st, &top)) && ex_coef(flat_index(v->g, buf(v->g->u, st->buf), st->idx), v->t->lane, &linear) == 1 && linear;
}

static const char *point_address(VGen *v, const Store *st, const PointValue *p)
{
    return v_address(v, st->buf, ex_subst(v->g->x, flat_index(v->g, buf(v->g->u, st->buf), st->idx), p->s, p->n), true);
}

void v_store_pair(VGen *v, const Store *st, const PointValue *p, const PointValue *q)
{
    CGen *g = v->g;
    const Expr *top;
    const char *at = point_address(v, st, p), *other = point_address(v, st, q);
    if (clipped_integers(v, st, &top))
        ln(g->o, "V%d_STABFC(%s, %s, %s, %s, %s, %s);", v->width, at, other, p->value, q->value, v_text(v, ex_subst(g->x, top, p->s, p->n)), v_text(v, ex_subst(g->x, top, q->s, q->n)));
    else
        ln(g->o, "V%d_STWA%s(%s, %s, %s, %s);", v->width, v_element((DType)saturated_byte(st->value)->dt)->suffix, at, other, p->value, q->value);
}

bool v_zips(const VGen *v, const Store *st, int64_t count)
{
    const DType dt = buf(v->g->u, st->buf)->dt;
    switch (count) {
    case 2: return is_rounded_i16(v, st) || is_word(v, st);
    case 3: return dtype_is_byte(dt) || dt == DT_i16;
    case 4: return dt == DT_bf16;
    default: return false;
    }
}

/* Word behind ZIP and the count, and whether it saturates. */
static const char *zip_suffix(const VGen *v, const Store *st, int32_t count)
{
    if (count == 2 && is_word(v, st))
        return str_fmt(v->g->a, "W%s", v_element((DType)saturated_byte(st->value)->dt)->suffix);
    return count == 2 ? "RI16" : store_suffix(v->g, v_element(buf(v->g->u, st->buf)->dt));
}

const char *v_to_zip(VGen *v, const Store *st, int32_t count, const Subst *s, uint32_t n)
{
    const Expr *saturates;
    if (count == 2 && is_rounded_i16(v, st))
        return v_text(v, ex_subst(v->g->x, st->value->a[0]->a[0], s, n));
    const char *value = stored_lanes(v, ex_subst(v->g->x, st->value, s, n), &saturates);
    return saturates && count != 2 ? v_call1(v, str_fmt(v->g->a, "SAT%s", v_element((DType)saturates->dt)->suffix), value) : value;
}

static const char *arguments(const CGen *g, const char *const *value, int32_t count)
{
    Text all = {.arena = g->a};
    for (int32_t k = 0; k < count; k++)
        text_add(&all, ", %s", value[k]);
    return text_str(&all);
}

void v_store_zipped(VGen *v, const Store *st, const Subst *s, uint32_t n, const char *const *value, int32_t count)
{
    CGen *g = v->g;
    const Buf *b = buf(g->u, st->buf);
    const char *at = v_address(v, st->buf, ex_subst(g->x, flat_index(g, b, st->idx), s, n), true);
    ln(g->o, "V%d_ZIP%d%s(%s%s);", v->width, count, zip_suffix(v, st, count), at, arguments(g, value, count));
}

void v_store_packed(VGen *v, const Store *st, const Subst *s, uint32_t n, const char *const *value, int32_t count)
{
    CGen *g = v->g;
    const Buf *b = buf(g->u, st->buf);
    const char *at = v_address(v, st->buf, ex_subst(g->x, flat_index(g, b, st->idx), s, n), true);
    ln(g->o, "V%d_ST%s(%s%s);", v->width, saturating_suffix(g, st, saturated_byte(st->value), count), at, arguments(g, value, count));
}

void v_store_single(VGen *v, const Store *st, const PointValue *p)
{
    CGen *g = v->g;
    const Expr *top;
    if (!clipped_integers(v, st, &top)) {
        v_store_packed(v, st, p->s, p->n, &p->value, 1);
        return;
    }
    const char *low = v_call2(v, "MAX", v_call1(v, "ITOF", p->value), str_fmt(g->a, "V%d_SET(0.0f)", v->width)), *at = point_address(v, st, p);
    ln(g->o, "V%d_STBFZ(%s, %s);", v->width, at, v_call2(v, "MIN", low, v_text(v, ex_subst(g->x, top, p->s, p->n))));
}

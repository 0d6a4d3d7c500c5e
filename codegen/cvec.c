/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of register tiles in the vector dialect of runtime-min/mlcc_vec.h: V8_LD, V8_FMA, V8_KEEP, ... A lane holds
 * f32, i32 or i64; loads widen narrow elements and stores narrow them again (cvec_store.c).
 */
#include <math.h>

#include "cvec_part.h"

/* Those that the dialect approximates: what -ffp=strict calls lane by lane. */
static const bool function[EX_count] = {[EX_exp] = true, [EX_log] = true, [EX_log1p] = true, [EX_tanh] = true, [EX_erf] = true, [EX_erfq] = true,
                                        [EX_sin] = true, [EX_cos] = true, [EX_atan] = true, [EX_pow] = true};

/* Those that have a shorter form for -ffp=bf16. */
static const char *const rounded[EX_count] = {[EX_erf] = "ERFB"};

const char *v_call1(const VGen *v, const char *op, const char *a)
{
    return str_fmt(v->g->a, "V%d_%s(%s)", v->width, op, a);
}

const char *v_call2(const VGen *v, const char *op, const char *a, const char *b)
{
    return str_fmt(v->g->a, "V%d_%s(%s, %s)", v->width, op, a, b);
}

const char *v_type(const VGen *v, DType dt)
{
    static const char letter[] = {[LK_f32] = 'f', [LK_i32] = 'i', [LK_i64] = 'l', [LK_mask] = 'i'};
    return str_fmt(v->g->a, "v%d%c", v->width, letter[lane_kind(dt)]);
}

const char *v_temp(VGen *v, const Expr *e, const char *value, bool keep)
{
    CGen *g = v->g;
    const char *name = c_name(g, &v->memo, e->id, "r", "r");
    ln(g->o, "%s%s %s = %s;%s", keep ? "" : "const ", v_type(v, (DType)e->dt), name, value,
       keep ? str_fmt(g->a, " V%d_KEEP(%s);", v->width, name) : "");
    return name;
}

static const char *v_load(VGen *v, const Expr *e)
{
    CGen *g = v->g;
    int64_t stride;
    const Expr *flat = flat_index(g, buf(g->u, e->v.ref), e->a);
    const Element *m = v_element((DType)e->dt);
    (void)v_stride(g, e, v->lane, &stride);
    const char *at = v_address(v, e->v.ref, flat, false), *value;
    if (stride != 1)
        value = str_fmt(g->a, "V%d_%sGATHER%s(%s, %lld, %s)", v->width, m->prefix, m->suffix, at, (long long)stride,
                        v_count_text(v));
    else if (!v_is_whole(v))
        value = str_fmt(g->a, "V%d_%sLDN%s(%s, %s)", v->width, m->prefix, m->suffix, at, v_count_text(v));
    else
        value = str_fmt(g->a, "V%d_%sLD%s(%s)", v->width, m->prefix, m->suffix, at);
    return m->kind == LK_mask ? v_call2(v, "INE", value, str_fmt(g->a, "V%d_ISET(0)", v->width)) : value;
}

static const char *v_nested(VGen *v, const Expr *e);

static const char *v_guarded(VGen *v, const Expr *e)
{
    CGen *g = v->g;
    const Expr *in = c_guard(g, e), *plain = ex_load(g->x, (DType)e->dt, e->v.ref, (uint16_t)(e->n - 1), e->a);
    if (!in)
        return v_load(v, plain);
    if (ex_is_int(in, 0))
        return v_nested(v, v_outside(g, e));
    const Subst first = {v->lane, ex_int(g->x, 0)}; /* all lanes in use agree, and the first is in use */
    in = ex_subst(g->x, in, &first, 1);
    return str_fmt(g->a, "%s ? %s : %s", c_expr_prec(g, in, P_OR), v_load(v, plain), v_nested(v, v_outside(g, e)));
}

typedef const char *(*VText)(VGen *v, const Expr *e);

/* Every value of type from is one of type to. */
static bool holds(DType to, DType from)
{
    return dtype_is_int(to) && dtype_is_int(from) && dtype_min(to) <= dtype_min(from) &&
           dtype_max(to) >= dtype_max(from);
}

/* i32 lanes of an operand of another kind. */
static const char *to_i32(VGen *v, const Expr *from, bool saturate, VText operand)
{
    CGen *g = v->g;
    const LaneKind kind = lane_kind((DType)from->dt);
    const bool shift = from->op == EX_shr && ex_is_const(from->a[1]) && from->a[1]->v.i >= 0 && from->a[1]->v.i < 64;
    int64_t lo, hi;
    saturate = saturate && !(kind == LK_i64 && ex_range(g->x, from, &lo, &hi) && lo >= INT32_MIN && hi <= INT32_MAX);
    if (kind == LK_i64 && !saturate && shift && v_by_lane(from, v->lane, v->acc))
        return v_call2(v, "ISHRL", operand(v, from->a[0]), str_fmt(g->a, "%lld", (long long)from->a[1]->v.i));
    const char *s = operand(v, from);
    if (kind == LK_mask)
        return v_call2(v, "IAND", s, str_fmt(g->a, "V%d_ISET(1)", v->width));
    if (kind == LK_i64)
        return v_call1(v, saturate ? "LSAT" : "IOFL", s);
    return kind == LK_f32 ? v_call1(v, "FTOI", s) : s;
}

static const char *v_convert(VGen *v, const Expr *e, VText operand)
{
    const Expr *from = e->a[0];
    const DType to = (DType)e->dt;
    const LaneKind kind = lane_kind(to), has = lane_kind((DType)from->dt);
    if (kind == LK_mask)
        return v_call2(v, has == LK_f32 ? "NE" : "INE", operand(v, from),
                       str_fmt(v->g->a, has == LK_f32 ? "V%d_SET(0.0f)" : "V%d_ISET(0)", v->width));
    if (kind == has && kind != LK_i32)
        return operand(v, from);
    if (has == LK_f32 && e->op == EX_castsat && (to == DT_u8 || to == DT_i8)) {
        const bool rounds = from->op == EX_rint && v_by_lane(from, v->lane, v->acc);
        return v_call1(v, str_fmt(v->g->a, "%sTO%s", rounds ? "R" : "F", to == DT_u8 ? "U8" : "I8"),
                       operand(v, rounds ? from->a[0] : from));
    }
    const char *s = to_i32(v, from, e->op == EX_castsat, operand);
    if (kind == LK_f32)
        return v_call1(v, "ITOF", s);
    if (kind == LK_i64)
        return v_call1(v, "LOFI", s);
    if (to == DT_i32 || holds(to, (DType)from->dt))
        return s;
    return v_call1(v, str_fmt(v->g->a, "%s%s", e->op == EX_castsat ? "SAT" : "WRAP", v_element(to)->suffix), s);
}

static const char *v_select(VGen *v, const Expr *e, VText operand)
{
    const char *m = operand(v, e->a[0]), *p = operand(v, e->a[1]), *q = operand(v, e->a[2]);
    return str_fmt(v->g->a, "V%d_%s(%s, %s, %s)", v->width, lane_kind((DType)e->dt) == LK_f32 ? "SEL" : "ISEL", m, p,
                   q);
}

static bool is_one(const Expr *e) { return e->op == EX_const && e->dt == DT_f32 && e->v.f == 1; }

/* The x of 1 / (1 + exp(-x)); NULL: e is something else. */
static const Expr *sigmoid_of(const Expr *e)
{
    if (e->op != EX_div || !is_one(e->a[0]) || e->a[1]->op != EX_add)
        return NULL;
    const Expr *sum = e->a[1], *p = is_one(sum->a[0]) ? sum->a[1] : is_one(sum->a[1]) ? sum->a[0] : NULL;
    return p && p->op == EX_exp && p->a[0]->op == EX_neg ? p->a[0]->a[0] : NULL;
}

static void has_varying(void *ctx, const Expr *e)
{
    struct Fixed { const VGen *v; bool yes; } *f = ctx;
    f->yes = f->yes &&
             !(e->op == EX_var && (v_varies(f->v, e) || e == f->v->acc || ex_var_info(f->v->g->x, e)->kind == VK_REG));
}

static bool divides_by_number(const Expr *e)
{
    return e->op == EX_div && e->dt == DT_f32 && ex_is_const(e->a[1]) && isnormal((float)(1 / e->a[1]->v.f));
}

/* Whether e has one value in the whole tile. Not of operands that may not be evaluated. */
static bool is_fixed(const VGen *v, const Expr *e)
{
    struct Fixed { const VGen *v; bool yes; } f = {v, !ex_is_const(e)};
    ex_walk(e, has_varying, &f);
    return f.yes;
}

/* The name of such a value, read before the tile: a result may lie over what it is made of. */
static const char *v_fixed(VGen *v, const Expr *e)
{
    const bool known = map_u64(&v->divisor, e->id, false) != NULL;
    const char *name = c_name(v->g, &v->divisor, e->id, "by", "by");
    if (!known)
        ln(&v->head, "const float %s = %s;", name, c_expr(v->g, e));
    return name;
}

/* A quotient whose divisor is the same in all lanes; -ffp=bf16 multiplies by the reciprocal of one that is found once, but for whole numbers,
 * whose quotients may be rounded to such. */
static const char *v_quotient(VGen *v, const Expr *e, VText operand)
{
    CGen *g = v->g;
    const Expr *s = e->a[1], *by = ex_binary(g->x, EX_div, ex_const_f(g->x, DT_f32, 1), s);
    const char *a = operand(v, e->a[0]);
    const bool fixed = operand == v_text && is_fixed(v, s);
    const bool whole = e->a[0]->op == EX_cast && dtype_is_int((DType)e->a[0]->a[0]->dt);
    if (g->u->cx->fp == FP_bf16 && !whole && (fixed || ex_is_const(s)))
        return v_call2(v, "MUL", a, fixed ? str_fmt(g->a, "V%d_SET(%s)", v->width, v_fixed(v, by)) : v_set(v, by));
    return v_call2(v, "DIVS", a, fixed ? v_fixed(v, s) : c_expr(g, s));
}

/* The argument of a function that is approximated: by the reciprocal of a number instead of divided by it. */
static const Expr *v_argument(const VGen *v, const Expr *e)
{
    Exprs *x = v->g->x;
    if (v->g->u->cx->fp == FP_strict || !divides_by_number(e))
        return e;
    return ex_mul(x, e->a[0], ex_const_f(x, DT_f32, 1 / e->a[1]->v.f));
}

/* One value in each lane. */
static const char *v_spread(VGen *v, DType dt, const char *value)
{
    static const char *const set[] = {
        [LK_f32] = "V%d_SET(%s)", [LK_i32] = "V%d_ISET(%s)", [LK_i64] = "V%d_LSET(%s)", [LK_mask] = "V%d_ISET(-(%s))"};
    return str_fmt(v->g->a, set[lane_kind(dt)], v->width, value);
}

static const char *v_operation(VGen *v, const Expr *e, VText operand)
{
    CGen *g = v->g;
    const Expr *x = g->u->cx->fp == FP_strict ? NULL : sigmoid_of(e);
    if (x)
        return v_call1(v, g->u->cx->fp == FP_bf16 ? "SIGMOIDB" : "SIGMOID", operand(v, x));
    if (e->op == EX_select && !v_by_lane(e->a[0], v->lane, v->acc)) /* the side not taken is not evaluated */
        return str_fmt(g->a, "%s ? %s : %s", c_expr_prec(g, e->a[0], P_OR), v_nested(v, e->a[1]), v_nested(v, e->a[2]));
    if (e->op == EX_select)
        return v_select(v, e, operand);
    if (e->op == EX_cast || e->op == EX_castsat)
        return v_convert(v, e, operand);
    if (v_is_long_product(g, e)) {
        const char *p = operand(v, v_factor(g->x, e->a[0])), *q = operand(v, v_factor(g->x, e->a[1]));
        return v_call2(v, "LMUL", p, q);
    }
    if (e->op == EX_div && g->u->cx->fp != FP_strict && !v_by_lane(e->a[1], v->lane, v->acc))
        return v_quotient(v, e, operand);
    const char *p = operand(v, function[e->op] ? v_argument(v, e->a[0]) : e->a[0]);
    if (e->op == EX_bitcast)
        return v_call1(v, e->dt == DT_i32 ? "BITS" : "FBITS", p);
    if (e->op == EX_isnan) /* differs from itself */
        return v_call2(v, v_op_name(e), p, p);
    if (v_is_each(e) || (g->u->cx->fp == FP_strict && function[e->op])) {
        const char *name = str_fmt(g->a, "%sf", c_libm((ExprOp)e->op));
        return e->n == 1 ? v_call2(v, "EACH", name, p) : str_fmt(g->a, "V%d_EACH2(%s, %s, %s)", v->width, name, p, operand(v, e->a[1]));
    }
    if (g->u->cx->fp == FP_bf16 && rounded[e->op])
        return v_call1(v, rounded[e->op], p);
    if (e->n == 1)
        return v_call1(v, v_op_name(e), p);
    const char *known = c_known(g, e), *q = known ? v_spread(v, (DType)e->a[1]->dt, known) : operand(v, e->a[1]);
    return e->n == 2 ? v_call2(v, v_op_name(e), p, q)
                     : str_fmt(g->a, "V%d_%s(%s, %s, %s)", v->width, v_op_name(e), p, q, operand(v, e->a[2]));
}

const char *v_set(VGen *v, const Expr *e) { return v_spread(v, (DType)e->dt, c_expr(v->g, e)); }

/* Bytes of a table, at what the byte is in each lane. */
static const char *v_lookup(VGen *v, const Expr *e, const Expr *byte, int64_t by, VText operand)
{
    CGen *g = v->g;
    const char *at = operand(v, byte);
    if (by)
        at = v_call2(v, "IADD", at, str_fmt(g->a, "V%d_ISET(%lld)", v->width, (long long)by));
    return v_call2(v, str_fmt(g->a, "LOOKUP%s", v_element((DType)e->dt)->suffix), c_pointer(g, e->v.ref, ex_int(g->x, 0)), at);
}

static const char *v_value(VGen *v, const Expr *e, VText operand)
{
    int64_t by;
    const Expr *byte = v_by_lane(e, v->lane, v->acc) ? v_looked_up(v->g, e, &by) : NULL;
    if (byte)
        return v_lookup(v, e, byte, by, operand);
    if (!v_by_lane(e, v->lane, v->acc) && e->op == EX_div && e->dt == DT_f32 && operand == v_text && is_fixed(v, e))
        return str_fmt(v->g->a, "V%d_SET(%s)", v->width, v_fixed(v, e));
    if (!v_by_lane(e, v->lane, v->acc) && e->op != EX_loadp)
        return v_set(v, e);
    if (e->op == EX_load)
        return v_load(v, e);
    return e->op == EX_loadp ? v_guarded(v, e) : v_operation(v, e, operand);
}

/* One expression without temporaries: for operands that may not be evaluated. */
static const char *v_nested(VGen *v, const Expr *e)
{
    const uint64_t *known = map_u64(&v->memo, e->id, false);
    if (known)
        return (const char *)(uintptr_t)*known;
    const char *s = v_value(v, e, v_nested);
    return e->op == EX_select || e->op == EX_loadp ? str_fmt(v->g->a, "(%s)", s) : s;
}

/* A conversion that leaves the lanes as they are. */
static bool is_free(const Expr *e)
{
    return e->op == EX_cast && (holds((DType)e->dt, (DType)e->a[0]->dt) || dtype_is_narrow_float((DType)e->a[0]->dt)) &&
           lane_kind((DType)e->dt) == lane_kind((DType)e->a[0]->dt);
}

const char *v_text(VGen *v, const Expr *e)
{
    const uint64_t *known = map_u64(&v->memo, e->id, false);
    if (known)
        return (const char *)(uintptr_t)*known;
    if (is_free(e) && v_by_lane(e, v->lane, v->acc))
        return v_text(v, e->a[0]);
    const bool keep = v->keep && e->op == EX_load && ex_uses(e, v->lane);
    return v_temp(v, e, v_value(v, e, v_text), keep);
}

/* The address of a load that is not made yet; NULL: *made is its name. */
static const char *address_of(VGen *v, const Expr *load, const char **made)
{
    const uint64_t *known = map_u64(&v->memo, load->id, false);
    *made = known ? (const char *)(uintptr_t)*known : NULL;
    return known ? NULL : v_address(v, load->v.ref, flat_index(v->g, buf(v->g->u, load->v.ref), load->a), false);
}

/* What is loaded for all lanes (`keep`) stays in its register. */
static const char *loaded(VGen *v, const Expr *load, const char *value, bool keep)
{
    CGen *g = v->g;
    const char *name = c_name(g, &v->memo, load->id, "r", "r");
    ln(g->o, "%sv%d%c %s = %s;%s", keep ? "" : "const ", v->width, load->dt == DT_f32 ? 'f' : 'i', name, value,
       keep ? str_fmt(g->a, " V%d_KEEP(%s);", v->width, name) : "");
    return name;
}

const char *v_quad(VGen *v, const Expr *load, bool lanes, bool twins)
{
    const char *made, *at = address_of(v, load, &made);
    const bool floats = load->dt == DT_f32;
    if (!at)
        return made;
    const char *value = !lanes          ? v_call1(v, floats ? "SET2" : twins ? "SET2Q" : "SETQ", at)
                        : v_is_whole(v) ? v_call1(v, floats ? "LD" : "LDQ", at)
                                        : v_call2(v, floats ? "LDN" : "LDNQ", at, v_count_text(v));
    return loaded(v, load, value, lanes && !v->t->clipped); /* of which it has no register */
}

const char *v_words(VGen *v, const Expr *load)
{
    const char *made, *at = address_of(v, load, &made), *type = load->dt == DT_i8 ? "I8" : "U8";
    if (!at)
        return made;
    const char *value = v_is_whole(v) ? v_call1(v, str_fmt(v->g->a, "LDW%s", type), at) : v_call2(v, str_fmt(v->g->a, "LDNW%s", type), at, v_count_text(v));
    return loaded(v, load, value, true);
}

void v_forget(VGen *v, bool block_ends)
{
    for (uint32_t k = 0; block_ends && k < v->memo.slot.n; k++)
        c_release(v->g, (const char *)(uintptr_t)v->memo.slot.at[k].val);
    v->memo = (Map){.arena = v->g->a};
}

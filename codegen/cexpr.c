/* SPDX-License-Identifier: Apache-2.0
 *
 * Expressions as C. Operators that C has with the right meaning are printed infix, libm functions by their name, and
 * everything else as mlcc_<operation>_<type> of runtime-min/mlcc_op.h, which says what is defined where C is not.
 */
#include "cgen.h"

typedef struct Form { const char *text; int8_t prec; } Form; /* infix operator with its precedence, or function stem */

static const Form infix[EX_count] = {
    [EX_add] = {"+", P_ADD},   [EX_sub] = {"-", P_ADD},  [EX_mul] = {"*", P_MUL},   [EX_div] = {"/", P_MUL},
    [EX_band] = {"&", P_BAND}, [EX_bor] = {"|", P_BOR},  [EX_bxor] = {"^", P_BXOR}, [EX_eq] = {"==", P_EQ},
    [EX_ne] = {"!=", P_EQ},    [EX_lt] = {"<", P_LT},    [EX_le] = {"<=", P_LT},    [EX_and] = {"&&", P_AND},
    [EX_or] = {"||", P_OR},    [EX_xor] = {"!=", P_EQ},
};

/* libm functions by their double name; f32 takes the f suffix. */
static const char *const libm[EX_count] = {
    [EX_rem] = "fmod",      [EX_pow] = "pow",       [EX_atan2] = "atan2",   [EX_abs] = "fabs",      [EX_floor] = "floor",
    [EX_ceil] = "ceil",     [EX_rint] = "rint",     [EX_trunc] = "trunc",   [EX_sqrt] = "sqrt",     [EX_exp] = "exp",
    [EX_log] = "log",       [EX_log1p] = "log1p",   [EX_sin] = "sin",       [EX_cos] = "cos",       [EX_tan] = "tan",
    [EX_asin] = "asin",     [EX_acos] = "acos",     [EX_atan] = "atan",     [EX_sinh] = "sinh",     [EX_cosh] = "cosh",
    [EX_tanh] = "tanh",     [EX_asinh] = "asinh",   [EX_acosh] = "acosh",   [EX_atanh] = "atanh",   [EX_erf] = "erf",
    [EX_erfq] = "erf",      [EX_fma] = "fma",
};

const char *c_libm(ExprOp op) { return libm[op]; }

const char *c_type(const CGen *g, DType dt)
{
    if (dt == DT_ix)
        return g->wide ? "int64_t" : "int";
    return dt == DT_bool ? "int" : dtype_info(dt)->ctype;
}

const Expr *flat_index(const CGen *g, const Buf *b, const Expr *const *idx)
{
    return buf_offset(g->x, b, idx);
}

static const char *paren(CGen *g, const char *s, int have, int want)
{
    return have < want ? str_fmt(g->a, "(%s)", s) : s;
}

/* C's own arithmetic gives the result without overflow; what may wrap has the whole range of its type
 * (expr_range.c). */
static bool fits(const CGen *g, const Expr *e)
{
    int64_t lo, hi;
    if (e->dt == DT_ix || e->dt == DT_u32 || e->dt == DT_u64 || e->dt == DT_bool || dtype_is_float((DType)e->dt))
        return true;
    return ex_range(g->x, e, &lo, &hi) && (lo > dtype_min((DType)e->dt) || hi < dtype_max((DType)e->dt));
}

/* ---- literals and casts ---- */

static const char *number(CGen *g, const Expr *e)
{
    const DType dt = (DType)e->dt;
    if (dt == DT_f32)
        return f32_literal(g->a, e->v.f);
    if (dt == DT_f64)
        return f64_literal(g->a, e->v.f);
    if (!dtype_is_float(dt))
        return int_literal(g->a, dt, e->v.i);
    uint16_t bits = 0;
    dtype_put_f(dt, &bits, e->v.f);
    return str_fmt(g->a, "0x%xu", bits);
}

static const char *literal(CGen *g, const Expr *e, int *prec)
{
    const char *s = number(g, e);
    *prec = *s == '-' ? P_UNARY : P_POST;
    return c_number(g, (DType)e->dt, s);
}

static const char *call1(CGen *g, const char *fn, const Expr *e)
{
    return str_fmt(g->a, "%s(%s)", fn, c_expr(g, e));
}

static const char *c_cast(CGen *g, const char *type, const char *operand)
{
    return str_fmt(g->a, "(%s)%s", type, operand);
}

/* An operand on its way through a conversion: text, how tightly it binds, and its type now. */
typedef struct Part { const char *text; int prec; DType dt; } Part;

static const char *at_least(CGen *g, Part p, int prec) { return paren(g, p.text, p.prec, prec); }

static Part called(CGen *g, const char *fn, Part p, DType to)
{
    return (Part){str_fmt(g->a, "%s(%s)", fn, p.text), P_POST, to};
}

static Part casted(CGen *g, const char *type, Part p, DType to)
{
    return (Part){c_cast(g, type, at_least(g, p, P_UNARY)), P_UNARY, to};
}

/* One rounding to a narrow float: a double is first rounded to odd, so the second rounding is exact. */
static Part to_narrow_float(CGen *g, Part p, DType to, bool saturate)
{
    const bool eight = dtype_info(to)->bits == 8;
    if (p.dt != DT_f32 && p.dt != DT_f64)
        p = casted(g, "double", p, DT_f64);
    if (p.dt == DT_f64)
        p = called(g, "mlcc_odd_f32", p, DT_f32);
    return called(g, str_fmt(g->a, "mlcc_%s_of_f32%s", dtype_info(to)->name, saturate && eight ? "_sat" : ""), p, to);
}

/* Truncates to 32 or 64 bits, saturated; fewer bits are the low ones of 32, or clamped. */
static Part float_to_int(CGen *g, Part p, DType to, bool saturate)
{
    if (p.dt == DT_f32)
        p = casted(g, "double", p, DT_f64);
    if (to == DT_i32 || to == DT_i64 || to == DT_u32 || to == DT_u64)
        return called(g, str_fmt(g->a, "mlcc_trunc_%s", dtype_info(to)->name), p, to);
    if (to == DT_ix)
        return called(g, g->wide ? "mlcc_trunc_i64" : "mlcc_trunc_i32", p, to);
    p = called(g, "mlcc_trunc_i32", p, DT_i32);
    if (saturate || dtype_info(to)->bits < 8)
        return called(g, str_fmt(g->a, "mlcc_%s_%s", saturate ? "sat" : "wrap", dtype_info(to)->name), p, to);
    return casted(g, c_type(g, to), p, to);
}

/* Integers of less than 32 bits are promoted by C itself. */
static bool promoted(DType from, DType to)
{
    return dtype_info(from)->bits < 32 && dtype_info(from)->cls != DC_F && (to == DT_i32 || to == DT_ix);
}

static Part int_to_int(CGen *g, Part p, DType to, bool saturate)
{
    const DTypeInfo *t = dtype_info(to);
    const bool wide = p.dt == DT_i64 || p.dt == DT_u32 || p.dt == DT_u64;
    if (saturate && wide && t->bits <= 32 && to != DT_u32)
        p = called(g, "mlcc_sat_i32", p, DT_i32);
    if (to == DT_ix && !g->wide && wide) /* an index from data that int does not hold is still outside */
        return called(g, "mlcc_sat_i32", p.dt == DT_u64 ? casted(g, "int64_t", p, DT_i64) : p, to);
    if (saturate && t->bits < 32)
        return called(g, str_fmt(g->a, "mlcc_sat_%s", t->name), p, to);
    if (t->bits < 8)
        return called(g, str_fmt(g->a, "mlcc_wrap_%s", t->name), casted(g, "int32_t", p, DT_i32), to);
    return p.dt == to ? p : casted(g, c_type(g, to), p, to);
}

static Part convert(CGen *g, Part p, DType to, bool saturate)
{
    if (dtype_is_narrow_float(p.dt))
        p = called(g, str_fmt(g->a, "mlcc_f32_of_%s", dtype_info(p.dt)->name), p, DT_f32);
    if (p.dt == to)
        return p;
    if (to == DT_bool)
        return (Part){str_fmt(g->a, "%s != 0", at_least(g, p, P_EQ + 1)), P_EQ, to};
    if (dtype_is_narrow_float(to))
        return to_narrow_float(g, p, to, saturate);
    if (dtype_is_float(to))
        return casted(g, c_type(g, to), p, to);
    return dtype_is_float(p.dt) ? float_to_int(g, p, to, saturate) : int_to_int(g, p, to, saturate);
}

/* The complement of a small unsigned integer as one: ~x & 255. A cast of ~x is what compilers warn about in a
 * comparison. */
static bool is_complement(CGen *g, const Expr *e)
{
    const Expr *inner = e->a[0]->op == EX_bnot && e->a[0]->a[0]->op == EX_cast ? e->a[0]->a[0]->a[0] : NULL;
    const DTypeInfo *t = dtype_info((DType)e->dt);
    return inner && inner->dt == e->dt && t->cls == DC_U && (t->bits == 8 || t->bits == 16) &&
           !map_u64(&g->temp, e->a[0]->id, false);
}

static const char *cast_text(CGen *g, const Expr *e, int *prec)
{
    if (promoted((DType)e->a[0]->dt, (DType)e->dt))
        return c_expr_prec(g, e->a[0], P_UNARY);
    if (is_complement(g, e)) {
        *prec = P_BAND;
        return str_fmt(g->a, "~%s & %lld", c_expr_prec(g, e->a[0]->a[0], P_POST), (long long)dtype_max((DType)e->dt));
    }
    const Part from = {c_expr_prec(g, e->a[0], P_UNARY), P_UNARY, (DType)e->a[0]->dt};
    const Part p = convert(g, from, (DType)e->dt, e->op == EX_castsat);
    *prec = p.prec;
    return p.text;
}

/* ---- operators ---- */

const char *c_known(CGen *g, const Expr *e)
{
    const bool shift = e->op == EX_shl || e->op == EX_shr, quotient = e->op == EX_div || e->op == EX_rem || e->op == EX_fdiv || e->op == EX_mod;
    return ex_is_const(e->a[1]) && (shift || (quotient && dtype_is_int((DType)e->dt))) ? number(g, e->a[1]) : NULL;
}

static const char *second(CGen *g, const Expr *e, int prec)
{
    const char *known = c_known(g, e);
    return known ? paren(g, known, P_UNARY, prec) : c_expr_prec(g, e->a[1], prec);
}

static const char *function_form(CGen *g, const Expr *e)
{
    const DType dt = (DType)e->a[0]->dt;
    const char *stem = libm[e->op];
    const char *fn;
    if (stem && dtype_is_float(dt))
        fn = str_fmt(g->a, "%s%s", stem, dt == DT_f32 ? "f" : "");
    else
        fn = str_fmt(g->a, "mlcc_%s_%s", expr_info((ExprOp)e->op)->name,
                     dtype_info(dt == DT_ix ? g->wide ? DT_i64 : DT_i32 : dt)->name);
    if (e->n == 1)
        return call1(g, fn, e->a[0]);
    const char *a = c_expr(g, e->a[0]), *b = second(g, e, P_ANY);
    return e->n == 2 ? str_fmt(g->a, "%s(%s, %s)", fn, a, b)
                     : str_fmt(g->a, "%s(%s, %s, %s)", fn, a, b, c_expr(g, e->a[2]));
}

/* Parentheses wherever another weak operator is an operand, of & | ^ sums too: compilers warn, people misread. */
static const char *infix_text(CGen *g, const Expr *e, const char *op, int prec)
{
    const bool mixes = prec < P_ADD;
    const int strong = prec >= P_BOR && prec <= P_BAND ? P_MUL : P_ADD;
    const bool negated = (prec == P_EQ || prec == P_LT) && e->a[0]->op == EX_not; /* !a == b */
    const char *l = c_expr_prec(g, e->a[0], negated ? P_POST : mixes && e->a[0]->op != e->op ? strong : prec);
    const char *r = second(g, e, mixes ? strong : prec + 1);
    return str_fmt(g->a, "%s %s %s", l, op, r);
}

/* a + -b and a + (-3)*b read better as differences. */
static const char *sum_text(CGen *g, const Expr *e)
{
    const Expr *r = e->a[1];
    const char *l = c_expr_prec(g, e->a[0], P_ADD);
    const bool exact = e->dt == DT_ix;
    if (exact && r->op == EX_const && r->v.i < 0 && r->v.i != INT64_MIN)
        return str_fmt(g->a, "%s - %s", l, int_literal(g->a, DT_i64, -r->v.i));
    if (exact && r->op == EX_mul && ex_is_const(r->a[1]) && r->a[1]->v.i < 0) {
        const Expr *positive = ex_mul(g->x, r->a[0], ex_int(g->x, -r->a[1]->v.i));
        return str_fmt(g->a, "%s - %s", l, c_expr_prec(g, positive, P_ADD + 1));
    }
    return infix_text(g, e, "+", P_ADD);
}

/* The fastest exact form of floor division and modulo of indices: C's own when nothing is negative. */
static const char *index_division(CGen *g, const Expr *e, int *prec)
{
    int64_t lo, hi, dlo, dhi;
    const bool plain = e->dt == DT_ix && ex_range(g->x, e->a[0], &lo, &hi) && lo >= 0 &&
                       ex_range(g->x, e->a[1], &dlo, &dhi) && dlo > 0;
    *prec = plain ? P_MUL : P_POST;
    return plain ? infix_text(g, e, e->op == EX_fdiv ? "/" : "%", P_MUL) : function_form(g, e);
}

static bool is_infix(const CGen *g, const Expr *e)
{
    if (!infix[e->op].text)
        return false;
    const DType dt = (DType)e->a[0]->dt;
    if (e->op == EX_div)
        return dtype_is_float(dt);
    return (e->op != EX_add && e->op != EX_sub && e->op != EX_mul) || fits(g, e);
}

static const char *unary_text(CGen *g, const Expr *e, int *prec)
{
    const char *sign = e->op == EX_not ? "!" : e->op == EX_bnot ? "~" : "-";
    const bool native = e->op != EX_neg || dtype_is_float((DType)e->dt) || fits(g, e);
    *prec = native ? P_UNARY : P_POST;
    return native ? str_fmt(g->a, "%s%s", sign, c_expr_prec(g, e->a[0], P_POST)) : function_form(g, e);
}

/* ---- loads ---- */

const char *c_pointer(CGen *g, uint32_t id, const Expr *flat)
{
    const char *base = buf_name(g, id);
    return ex_is_int(flat, 0) ? base : str_fmt(g->a, "%s + %s", base, c_expr_prec(g, flat, P_ADD + 1));
}

static const char *element(CGen *g, const Expr *e, int *prec)
{
    (void)prec;
    const Buf *b = buf(g->u, e->v.ref);
    return str_fmt(g->a, "%s[%s]", buf_name(g, e->v.ref), c_expr(g, flat_index(g, b, e->a)));
}

const Expr *c_guard(CGen *g, const Expr *e)
{
    const Buf *b = buf(g->u, e->v.ref);
    const Expr *in = NULL;
    for (uint8_t d = 0; d < b->rank; d++) {
        const Expr *c = ex_binary(g->x, EX_and, ex_binary(g->x, EX_le, ex_int(g->x, 0), e->a[d]),
                                  ex_binary(g->x, EX_lt, e->a[d], b->dim[d]));
        if (!ex_is_int(c, 1))
            in = in ? ex_binary(g->x, EX_and, in, c) : c;
    }
    return in;
}

static const char *guarded_element(CGen *g, const Expr *e, int *prec)
{
    const Expr *in = c_guard(g, e);
    *prec = in && !ex_is_const(in) ? P_COND : P_POST;
    if (!in)
        return element(g, e, prec);
    if (ex_is_const(in))
        return c_expr_prec(g, e->a[e->n - 1], P_POST);
    const char *inside = element(g, e, prec);
    return str_fmt(g->a, "%s ? %s : %s", c_expr_prec(g, in, P_OR), inside, c_expr_prec(g, e->a[e->n - 1], P_COND + 1));
}

static const char *bitcast_text(CGen *g, const Expr *e, int *prec)
{
    const DType from = (DType)e->a[0]->dt, to = (DType)e->dt;
    const bool same_kind = dtype_is_float(from) == dtype_is_float(to) || dtype_info(to)->bits < 32;
    *prec = same_kind ? P_UNARY : P_POST;
    if (same_kind)
        return c_cast(g, dtype_info(to)->ctype, c_expr_prec(g, e->a[0], P_UNARY));
    return str_fmt(g->a, "mlcc_bits_%s_of_%s(%s)", dtype_info(to)->name, dtype_info(from)->name, c_expr(g, e->a[0]));
}

/* ---- any expression ---- */

static const char *variable(CGen *g, const Expr *e, int *prec)
{
    (void)prec;
    return var_ident(g, e);
}

static const char *choice(CGen *g, const Expr *e, int *prec)
{
    *prec = P_COND;
    const char *p = c_expr_prec(g, e->a[0], P_OR), *yes = c_expr_prec(g, e->a[1], P_COND + 1),
               *no = c_expr_prec(g, e->a[2], P_COND + 1);
    return str_fmt(g->a, "%s ? %s : %s", p, yes, no);
}

/* isnan and isinf are macros for any type. */
static const char *classified(CGen *g, const Expr *e, int *prec)
{
    (void)prec;
    return call1(g, e->op == EX_isnan ? "isnan" : "isinf", e->a[0]);
}

static const char *operation(CGen *g, const Expr *e, int *prec)
{
    if (e->a[0]->dt == DT_str && (e->op == EX_eq || e->op == EX_ne)) {
        *prec = P_EQ;
        return str_fmt(g->a, "strcmp(%s, %s) %s 0", c_expr(g, e->a[0]), c_expr(g, e->a[1]), infix[e->op].text);
    }
    if (!is_infix(g, e))
        return function_form(g, e);
    *prec = infix[e->op].prec;
    return e->op == EX_add ? sum_text(g, e) : infix_text(g, e, infix[e->op].text, *prec);
}

/* Text of e, and in *prec, which is P_POST before, how tightly it binds. */
typedef const char *(*Printer)(CGen *g, const Expr *e, int *prec);

/* Those that are not printed as operations are. */
static const Printer printer[EX_count] = {
    [EX_const] = literal,     [EX_var] = variable,      [EX_load] = element,      [EX_loadp] = guarded_element,
    [EX_cast] = cast_text,    [EX_castsat] = cast_text, [EX_bitcast] = bitcast_text, [EX_select] = choice,
    [EX_neg] = unary_text,    [EX_not] = unary_text,    [EX_bnot] = unary_text,   [EX_isnan] = classified,
    [EX_isinf] = classified,  [EX_fdiv] = index_division, [EX_mod] = index_division,
};

const char *c_expr_prec(CGen *g, const Expr *e, int want)
{
    const uint64_t *known = map_u64(&g->temp, e->id, false);
    if (known)
        return (const char *)(uintptr_t)*known;
    int have = P_POST;
    const char *s = (printer[e->op] ? printer[e->op] : operation)(g, e, &have);
    return paren(g, s, have, want);
}

const char *c_expr(CGen *g, const Expr *e)
{
    return c_expr_prec(g, e, P_ANY);
}

/* ---- temporaries ---- */

typedef struct Count { Map uses, always; } Count;

/* One use per edge of the DAG. */
static void count_uses(Count *c, const Expr *e)
{
    if (++*map_u64(&c->uses, e->id, true) > 1)
        return;
    for (uint16_t k = 0; k < e->n; k++)
        count_uses(c, e->a[k]);
}

static void declare_shared(CGen *g, Count *c, const Expr *e)
{
    if (e->n == 0 || map_u64(&g->temp, e->id, false))
        return;
    if (!map_u64(&c->always, e->id, false))
        return;
    for (uint16_t k = 0; k < e->n; k++)
        declare_shared(g, c, e->a[k]);
    if (*map_u64(&c->uses, e->id, false) < 2 || e->dt == DT_ix ||
        (e->op == EX_cast && promoted((DType)e->a[0]->dt, (DType)e->dt)))
        return;
    const char *value = c_expr(g, e);
    const char *name = c_name(g, &g->temp, e->id, "q", "q");
    ln(g->o, "const %s %s = %s;", c_type(g, (DType)e->dt), name, value);
}

void c_temporaries(CGen *g, const Expr *const *e, uint32_t n)
{
    Count c = {.uses = {.arena = g->a}, .always = {.arena = g->a}};
    for (uint32_t k = 0; k < n; k++) {
        count_uses(&c, e[k]);
        ex_always(&c.always, e[k]);
    }
    for (uint32_t k = 0; k < n; k++)
        declare_shared(g, &c, e[k]);
}

void c_forget(CGen *g)
{
    g->temp = (Map){.arena = g->a};
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Expressions of register tiles in the vector dialect of runtime-min/mlcc_vec.h: V8_LD, V8_FMA, V8_KEEP, ... A lane holds
 * f32, i32 or i64; loads widen narrow elements and stores narrow them again.
 */
#include "cvec.h"

/* How an operation is said for lanes of each kind; NULL: it has no vector form. */
typedef struct VectorOp { const char *f32, *i32, *i64; } VectorOp;

static const VectorOp vector_op[EX_count] = {
    [EX_add] = {"ADD", "IADD", "LADD"},   [EX_sub] = {"SUB", "ISUB", "LSUB"},   [EX_mul] = {"MUL", "IMUL", NULL},
    [EX_div] = {"DIV", NULL, NULL},       [EX_min] = {"MINN", "IMIN", "LMIN"},  [EX_max] = {"MAXN", "IMAX", "LMAX"},
    [EX_neg] = {"NEG", "INEG", NULL},     [EX_abs] = {"ABS", "IABS", NULL},     [EX_sqrt] = {"SQRT", NULL, NULL},
    [EX_exp] = {"EXP", NULL, NULL},       [EX_log] = {"LOG", NULL, NULL},       [EX_tanh] = {"TANH", NULL, NULL},
    [EX_erf] = {"ERF", NULL, NULL},       [EX_floor] = {"FLOOR", NULL, NULL},   [EX_ceil] = {"CEIL", NULL, NULL},
    [EX_rint] = {"RINT", NULL, NULL},     [EX_lt] = {"LT", "ILT", NULL},        [EX_le] = {"LE", "ILE", NULL},
    [EX_eq] = {"EQ", "IEQ", NULL},        [EX_ne] = {"NE", "INE", NULL},        [EX_isnan] = {"NE", NULL, NULL},
    [EX_band] = {NULL, "IAND", NULL},     [EX_bor] = {NULL, "IOR", NULL},       [EX_bxor] = {NULL, "IXOR", NULL},
    [EX_fma] = {"FUSED", NULL, NULL},     [EX_bnot] = {NULL, "INOT", NULL},     [EX_shl] = {NULL, "ISHL", "LSHL"},    [EX_shr] = {NULL, "ISHR", "LSHR"},
};

/* Those that the dialect approximates, as libm names them: what -ffp=strict calls lane by lane. */
static const char *const function[EX_count] = {[EX_exp] = "expf", [EX_log] = "logf", [EX_tanh] = "tanhf", [EX_erf] = "erff"};

/* Those that have a shorter form for -ffp=bf16. */
static const char *const rounded[EX_count] = {[EX_erf] = "ERFB"};

/* Elements in memory: their lanes, words around LD and ST, whether stores may saturate. */
typedef struct Element { DType dt; LaneKind kind; const char *prefix, *suffix; bool saturates; } Element;

static const Element element[] = {
    {DT_f32, LK_f32, "", "", false},     {DT_i32, LK_i32, "I", "", false},    {DT_i8, LK_i32, "", "I8", true},
    {DT_u8, LK_i32, "", "U8", true},     {DT_i16, LK_i32, "", "I16", true},   {DT_u16, LK_i32, "", "U16", true},
    {DT_bf16, LK_f32, "", "BF", false},  {DT_f16, LK_f32, "", "HF", false},   {DT_bool, LK_mask, "", "U8", false},
};

static const Element *element_of(DType dt)
{
    for (int k = 0; k < (int)COUNT(element); k++)
        if (element[k].dt == dt)
            return &element[k];
    return NULL;
}

LaneKind lane_kind(DType dt)
{
    const Element *e = element_of(dt);
    return e ? e->kind : dt == DT_i64 ? LK_i64 : LK_none;
}

static const char *op_name(const Expr *e)
{
    const VectorOp *op = &vector_op[e->op];
    const LaneKind k = lane_kind((DType)e->a[0]->dt);
    return k == LK_f32 ? op->f32 : k == LK_i32 ? op->i32 : k == LK_i64 ? op->i64 : NULL;
}

/* ---- which expressions have a vector form ---- */

static bool lane_stride(const CGen *g, const Expr *load, const Expr *lane, int64_t *stride)
{
    const Expr *flat = flat_index(g, buf(g->u, load->v.ref), load->a);
    bool linear;
    *stride = ex_coef(flat, lane, &linear);
    return linear;
}

static bool is_load(const Expr *e) { return e->op == EX_load || e->op == EX_loadp; }

static bool is_narrow_float(DType dt) { return dtype_is_float(dt) && dt != DT_f32; }

/* What a guarded load gives outside, in the type of its lanes. */
static const Expr *lanes_outside(const CGen *g, const Expr *e)
{
    const Expr *fill = e->a[e->n - 1];
    return is_narrow_float((DType)e->dt) ? ex_cast(g->x, DT_f32, fill) : fill;
}

/* A guarded load whose guard does not depend on the lane is a scalar choice between two vectors. */
static bool is_invariant_guard(CGen *g, const Expr *e, const Expr *lane)
{
    int64_t stride;
    const Expr *in = c_guard(g, e);
    return !(in && ex_uses(in, lane)) && lane_stride(g, e, lane, &stride);
}

typedef struct Check { CGen *g; const Expr *lane, *acc; Map seen, always; bool ok; } Check;

/* Its value differs between lanes. */
static bool by_lane(const Expr *e, const Expr *lane, const Expr *acc)
{
    return ex_uses(e, lane) || (acc && ex_uses(e, acc));
}

static void check_load(void *ctx, const Expr *e)
{
    Check *c = ctx;
    if (is_load(e))
        c->ok = c->ok && map_u64(&c->always, e->id, false);
}

/* A choice by lane evaluates both sides, so neither may load what would not be loaded otherwise. */
static bool safe_choice(Check *c, const Expr *e)
{
    if (!by_lane(e->a[0], c->lane, c->acc))
        return true;
    c->ok = true;
    ex_walk(e->a[1], check_load, c);
    ex_walk(e->a[2], check_load, c);
    return c->ok;
}

/* Conversions go by way of i32; to a narrow float only a store converts. */
static bool can_convert(const Expr *e)
{
    const DType to = (DType)e->dt;
    const LaneKind from = lane_kind((DType)e->a[0]->dt), kind = lane_kind(to);
    if (from == LK_none || kind == LK_none || is_narrow_float(to))
        return false;
    if (e->op == EX_castsat)
        return kind == LK_i32 && from != LK_mask;
    return from == kind || from == LK_i32 || kind == LK_i32 || (from == LK_mask && kind == LK_f32) || (from == LK_f32 && kind == LK_mask);
}

/* A value of 32 bits as the factor of a 64-bit product. */
static const Expr *narrow_factor(Exprs *x, const Expr *e)
{
    if (ex_is_const(e) && e->v.i >= INT32_MIN && e->v.i <= INT32_MAX)
        return ex_const_i(x, DT_i32, e->v.i);
    return e->op == EX_cast && lane_kind((DType)e->a[0]->dt) == LK_i32 ? e->a[0] : NULL;
}

static bool is_long_product(const CGen *g, const Expr *e)
{
    return e->op == EX_mul && e->dt == DT_i64 && narrow_factor(g->x, e->a[0]) && narrow_factor(g->x, e->a[1]);
}

static bool can_operation(Check *c, const Expr *e)
{
    if (e->op == EX_select)
        return (lane_kind((DType)e->dt) == LK_f32 || lane_kind((DType)e->dt) == LK_i32) && e->a[0]->dt == DT_bool && safe_choice(c, e);
    if (e->op == EX_cast || e->op == EX_castsat)
        return can_convert(e);
    if (e->op == EX_bitcast)
        return e->dt == DT_i32 && e->a[0]->dt == DT_f32;
    return e->n > 0 && !is_narrow_float((DType)e->dt) && (op_name(e) || is_long_product(c->g, e));
}

static bool can_vector(Check *c, const Expr *e)
{
    if (!by_lane(e, c->lane, c->acc) || e == c->acc)
        return lane_kind((DType)e->dt) != LK_none && !is_narrow_float((DType)e->dt);
    uint64_t *known = map_u64(&c->seen, e->id, false);
    if (known)
        return *known;
    int64_t stride;
    bool ok = is_load(e) ? element_of((DType)e->dt) != NULL : can_operation(c, e);
    if (e->op == EX_load)
        ok = ok && lane_stride(c->g, e, c->lane, &stride);
    else if (e->op == EX_loadp)
        ok = ok && is_invariant_guard(c->g, e, c->lane) && can_vector(c, lanes_outside(c->g, e));
    for (uint16_t k = 0; ok && !is_load(e) && k < e->n; k++)
        ok = can_vector(c, e->a[k]);
    *map_u64(&c->seen, e->id, true) = ok;
    return ok;
}

bool v_can(CGen *g, const Expr *e, const Expr *lane, const Expr *acc)
{
    Check c = {.g = g, .lane = lane, .acc = acc, .seen = {.arena = g->a}, .always = {.arena = g->a}};
    c_always(&c.always, e);
    return can_vector(&c, e);
}

bool v_can_store(CGen *g, DType dt, const Expr *e, const Expr *lane, const Expr *acc)
{
    if (!element_of(dt))
        return false;
    if (is_narrow_float(dt)) /* rounding is the store's */
        return e->op == EX_cast && e->a[0]->dt == DT_f32 && v_can(g, e->a[0], lane, acc);
    return v_can(g, e, lane, acc);
}

/* ---- lanes in use ---- */

void v_set_count(VGen *v, int64_t n)
{
    v->count = (int32_t)min_i64(n, v->width);
    v->lane = v->count == v->width ? v->full : v->part;
    v->some = NULL;
}

void v_set_vector(VGen *v, int64_t q)
{
    CGen *g = v->g;
    v_set_count(v, v->t->lanes - q * v->width);
    if (!v->t->open)
        return;
    const Expr *left = ex_sub(g->x, v->t->open, ex_int(g->x, q * v->width));
    const Expr *n = ex_binary(g->x, EX_max, ex_binary(g->x, EX_min, left, ex_int(g->x, v->width)), ex_int(g->x, 0));
    const bool known = map_u64(&v->counts, (uint64_t)q, false) != NULL;
    v->count = v->width;
    v->lane = v->full;
    v->some = c_name(g, &v->counts, (uint64_t)q, "some", "some");
    if (!known)
        ln(&v->head, "const int %s = %s%s;", v->some, g->wide ? "(int)" : "", c_expr_prec(g, n, g->wide ? P_UNARY : P_ANY));
}

static bool is_whole(const VGen *v) { return !v->some && v->count == v->width; }

static const char *count_text(const VGen *v) { return v->some ? v->some : str_fmt(v->g->a, "%d", v->count); }

/* ---- values ---- */

/* V8_<op>(a) or V8_<op>(a, b). */
static const char *call1(const VGen *v, const char *op, const char *a) { return str_fmt(v->g->a, "V%d_%s(%s)", v->width, op, a); }

static const char *call2(const VGen *v, const char *op, const char *a, const char *b)
{
    return str_fmt(v->g->a, "V%d_%s(%s, %s)", v->width, op, a, b);
}

const char *v_type(const VGen *v, DType dt)
{
    static const char letter[] = {[LK_f32] = 'f', [LK_i32] = 'i', [LK_i64] = 'l', [LK_mask] = 'i'};
    return str_fmt(v->g->a, "v%d%c", v->width, letter[lane_kind(dt)]);
}

static const char *temp(VGen *v, const Expr *e, const char *value, bool keep)
{
    CGen *g = v->g;
    const char *name = c_name(g, &v->memo, e->id, "r", "r");
    ln(g->o, "%s%s %s = %s;%s", keep ? "" : "const ", v_type(v, (DType)e->dt), name, value, keep ? str_fmt(g->a, " V%d_KEEP(%s);", v->width, name) : "");
    return name;
}

static bool varies(const VGen *v, const Expr *atom)
{
    for (int k = 0; k < v->t->nr; k++)
        if (ex_uses(atom, v->t->rvar[k]))
            return true;
    return ex_uses(atom, v->lane) || (v->strip && ex_uses(atom, v->strip));
}

/* Offset of the element with the lane at 0: what is fixed during the reduction, and what moves. */
static const Expr *split_offset(VGen *v, const Expr *flat, const Expr **moving)
{
    Exprs *x = v->g->x;
    const Subst zero = {v->lane, ex_int(x, 0)};
    const Expr *fixed = ex_int(x, 0);
    const Affine f = ex_affine(v->g->a, ex_subst(x, flat, &zero, 1));
    *moving = fixed;
    for (uint32_t k = 0; k < f.n; k++) {
        const Expr **part = varies(v, f.t[k].atom) ? moving : &fixed;
        *part = ex_add(x, *part, ex_mul(x, f.t[k].atom, ex_int(x, f.t[k].coef)));
    }
    *moving = ex_add(x, *moving, ex_int(x, f.c));
    return fixed;
}

static uint64_t pointer_key(uint32_t id, const Expr *fixed) { return (uint64_t)id << 32 | fixed->id; }

/* A pointer that is fixed during the reduction, plus what moves. */
static const char *address(VGen *v, uint32_t id, const Expr *flat, bool store)
{
    CGen *g = v->g;
    const Expr *moving, *fixed = split_offset(v, flat, &moving);
    const char *base = buf_name(g, id);
    if (!ex_is_int(fixed, 0)) {
        const uint64_t key = pointer_key(id, fixed);
        const bool known = map_u64(&v->pointer, key, false) != NULL;
        const char *name = c_name(g, &v->pointer, key, "p", "p");
        if (!known)
            ln(&v->head, "%s%s *%s = %s + %s;", store ? "" : "const ", dtype_info(buf(g->u, id)->dt)->ctype, name, base, c_expr_prec(g, fixed, P_ADD + 1));
        base = name;
    }
    if (ex_is_const(moving) && moving->v.i <= 0)
        return moving->v.i ? str_fmt(g->a, "%s - %lld", base, (long long)-moving->v.i) : base;
    return str_fmt(g->a, "%s + %s", base, c_expr_prec(g, moving, P_ADD));
}

void v_fetch(VGen *v, const Fetch *f, const Expr *at)
{
    CGen *g = v->g;
    const Expr *moving, *fixed = split_offset(v, at, &moving);
    const uint64_t key = pointer_key(f->buf, fixed);
    const bool known = map_u64(&v->pointer, key, false) != NULL;
    const char *base = known ? c_name(g, &v->pointer, key, "p", "p") : buf_name(g, f->buf);
    ln(g->o, "MLCC_FETCH%s(%s, %s);", f->far ? "2" : "", base, c_expr(g, known ? moving : at));
}

static const char *v_load(VGen *v, const Expr *e)
{
    CGen *g = v->g;
    int64_t stride;
    const Expr *flat = flat_index(g, buf(g->u, e->v.ref), e->a);
    const Element *m = element_of((DType)e->dt);
    (void)lane_stride(g, e, v->lane, &stride);
    const char *at = address(v, e->v.ref, flat, false), *value;
    if (stride != 1)
        value = str_fmt(g->a, "V%d_%sGATHER%s(%s, %lld, %s)", v->width, m->prefix, m->suffix, at, (long long)stride, count_text(v));
    else if (!is_whole(v))
        value = str_fmt(g->a, "V%d_%sLDN%s(%s, %s)", v->width, m->prefix, m->suffix, at, count_text(v));
    else
        value = str_fmt(g->a, "V%d_%sLD%s(%s)", v->width, m->prefix, m->suffix, at);
    return m->kind == LK_mask ? call2(v, "INE", value, str_fmt(g->a, "V%d_ISET(0)", v->width)) : value;
}

static const char *v_nested(VGen *v, const Expr *e);

static const char *v_guarded(VGen *v, const Expr *e)
{
    CGen *g = v->g;
    const Expr *in = c_guard(g, e), *plain = ex_load(g->x, (DType)e->dt, e->v.ref, (uint16_t)(e->n - 1), e->a);
    if (!in)
        return v_load(v, plain);
    if (ex_is_int(in, 0))
        return v_nested(v, lanes_outside(g, e));
    const Subst first = {v->lane, ex_int(g->x, 0)}; /* all lanes in use agree, and the first is in use */
    in = ex_subst(g->x, in, &first, 1);
    return str_fmt(g->a, "%s ? %s : %s", c_expr_prec(g, in, P_OR), v_load(v, plain), v_nested(v, lanes_outside(g, e)));
}

typedef const char *(*VText)(VGen *v, const Expr *e);

/* Every value of type from is one of type to. */
static bool holds(DType to, DType from)
{
    return dtype_is_int(to) && dtype_is_int(from) && dtype_min(to) <= dtype_min(from) && dtype_max(to) >= dtype_max(from);
}

/* i32 lanes of an operand of another kind. */
static const char *to_i32(VGen *v, const Expr *from, bool saturate, VText operand)
{
    CGen *g = v->g;
    const LaneKind kind = lane_kind((DType)from->dt);
    const bool shift = from->op == EX_shr && ex_is_const(from->a[1]) && from->a[1]->v.i >= 0 && from->a[1]->v.i < 64;
    int64_t lo, hi;
    saturate = saturate && !(kind == LK_i64 && ex_range(g->x, from, &lo, &hi) && lo >= INT32_MIN && hi <= INT32_MAX);
    if (kind == LK_i64 && !saturate && shift && by_lane(from, v->lane, v->acc))
        return call2(v, "ISHRL", operand(v, from->a[0]), str_fmt(g->a, "%lld", (long long)from->a[1]->v.i));
    const char *s = operand(v, from);
    if (kind == LK_mask)
        return call2(v, "IAND", s, str_fmt(g->a, "V%d_ISET(1)", v->width));
    if (kind == LK_i64)
        return call1(v, saturate ? "LSAT" : "IOFL", s);
    return kind == LK_f32 ? call1(v, "FTOI", s) : s;
}

static const char *v_convert(VGen *v, const Expr *e, VText operand)
{
    const Expr *from = e->a[0];
    const DType to = (DType)e->dt;
    const LaneKind kind = lane_kind(to), has = lane_kind((DType)from->dt);
    if (kind == LK_mask)
        return call2(v, has == LK_f32 ? "NE" : "INE", operand(v, from), str_fmt(v->g->a, has == LK_f32 ? "V%d_SET(0.0f)" : "V%d_ISET(0)", v->width));
    if (kind == has && kind != LK_i32)
        return operand(v, from);
    if (has == LK_f32 && e->op == EX_castsat && (to == DT_u8 || to == DT_i8)) {
        const bool rounds = from->op == EX_rint && by_lane(from, v->lane, v->acc);
        return call1(v, str_fmt(v->g->a, "%sTO%s", rounds ? "R" : "F", to == DT_u8 ? "U8" : "I8"), operand(v, rounds ? from->a[0] : from));
    }
    const char *s = to_i32(v, from, e->op == EX_castsat, operand);
    if (kind == LK_f32)
        return call1(v, "ITOF", s);
    if (kind == LK_i64)
        return call1(v, "LOFI", s);
    if (to == DT_i32 || holds(to, (DType)from->dt))
        return s;
    return call1(v, str_fmt(v->g->a, "%s%s", e->op == EX_castsat ? "SAT" : "WRAP", element_of(to)->suffix), s);
}

static const char *v_select(VGen *v, const Expr *e, VText operand)
{
    const char *m = operand(v, e->a[0]), *p = operand(v, e->a[1]), *q = operand(v, e->a[2]);
    return str_fmt(v->g->a, "V%d_%s(%s, %s, %s)", v->width, lane_kind((DType)e->dt) == LK_f32 ? "SEL" : "ISEL", m, p, q);
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
    f->yes = f->yes && !(e->op == EX_var && (varies(f->v, e) || e == f->v->acc || ex_var_info(f->v->g->x, e)->kind == VK_REG));
}

/* A quotient whose divisor is the same in all lanes. Where it is the same in the whole tile, too, it is read before: a result
 * may lie over what it is made of, and its reciprocal is found once; -ffp=bf16 multiplies by that. Not of operands that may not be evaluated. */
static const char *v_quotient(VGen *v, const Expr *e, VText operand)
{
    CGen *g = v->g;
    const Expr *s = e->a[1];
    const bool rounds = g->u->cx->fp == FP_bf16;
    struct Fixed { const VGen *v; bool yes; } f = {v, !ex_is_const(s) && operand == v_text};
    ex_walk(s, has_varying, &f);
    const char *a = operand(v, e->a[0]);
    const Expr *by = rounds ? ex_binary(g->x, EX_div, ex_const_f(g->x, DT_f32, 1), s) : s;
    if (rounds && ex_is_const(s))
        return call2(v, "MUL", a, v_set(v, by));
    if (!f.yes)
        return call2(v, "DIVS", a, c_expr(g, s));
    const bool known = map_u64(&v->divisor, s->id, false) != NULL;
    const char *name = c_name(g, &v->divisor, s->id, "by", "by");
    if (!known)
        ln(&v->head, "const float %s = %s;", name, c_expr(g, by));
    return rounds ? call2(v, "MUL", a, str_fmt(g->a, "V%d_SET(%s)", v->width, name)) : call2(v, "DIVS", a, name);
}

static const char *v_operation(VGen *v, const Expr *e, VText operand)
{
    CGen *g = v->g;
    const Expr *x = g->u->cx->fp == FP_strict ? NULL : sigmoid_of(e);
    if (x)
        return call1(v, g->u->cx->fp == FP_bf16 ? "SIGMOIDB" : "SIGMOID", operand(v, x));
    if (e->op == EX_select && !by_lane(e->a[0], v->lane, v->acc)) /* the side not taken is not evaluated */
        return str_fmt(g->a, "%s ? %s : %s", c_expr_prec(g, e->a[0], P_OR), v_nested(v, e->a[1]), v_nested(v, e->a[2]));
    if (e->op == EX_select)
        return v_select(v, e, operand);
    if (e->op == EX_cast || e->op == EX_castsat)
        return v_convert(v, e, operand);
    if (is_long_product(g, e)) {
        const char *p = operand(v, narrow_factor(g->x, e->a[0])), *q = operand(v, narrow_factor(g->x, e->a[1]));
        return call2(v, "LMUL", p, q);
    }
    if (e->op == EX_div && g->u->cx->fp != FP_strict && !by_lane(e->a[1], v->lane, v->acc))
        return v_quotient(v, e, operand);
    const char *p = operand(v, e->a[0]);
    if (e->op == EX_bitcast)
        return call1(v, "BITS", p);
    if (e->op == EX_isnan) /* differs from itself */
        return call2(v, op_name(e), p, p);
    if (g->u->cx->fp == FP_strict && function[e->op])
        return call2(v, "EACH", function[e->op], p);
    if (g->u->cx->fp == FP_bf16 && rounded[e->op])
        return call1(v, rounded[e->op], p);
    if (e->n == 1)
        return call1(v, op_name(e), p);
    const char *q = operand(v, e->a[1]);
    return e->n == 2 ? call2(v, op_name(e), p, q) : str_fmt(g->a, "V%d_%s(%s, %s, %s)", v->width, op_name(e), p, q, operand(v, e->a[2]));
}

const char *v_set(VGen *v, const Expr *e)
{
    static const char *const set[] = {[LK_f32] = "V%d_SET(%s)", [LK_i32] = "V%d_ISET(%s)", [LK_i64] = "V%d_LSET(%s)", [LK_mask] = "V%d_ISET(-(%s))"};
    return str_fmt(v->g->a, set[lane_kind((DType)e->dt)], v->width, c_expr(v->g, e));
}

static const char *v_value(VGen *v, const Expr *e, VText operand)
{
    if (!by_lane(e, v->lane, v->acc) && e->op != EX_loadp)
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
    return e->op == EX_cast && (holds((DType)e->dt, (DType)e->a[0]->dt) || is_narrow_float((DType)e->a[0]->dt)) && lane_kind((DType)e->dt) == lane_kind((DType)e->a[0]->dt);
}

const char *v_text(VGen *v, const Expr *e)
{
    const uint64_t *known = map_u64(&v->memo, e->id, false);
    if (known)
        return (const char *)(uintptr_t)*known;
    if (is_free(e) && by_lane(e, v->lane, v->acc))
        return v_text(v, e->a[0]);
    const bool keep = v->keep && e->op == EX_load && ex_uses(e, v->lane);
    return temp(v, e, v_value(v, e, v_text), keep);
}

const char *v_quad(VGen *v, const Expr *load, bool lanes)
{
    CGen *g = v->g;
    const uint64_t *known = map_u64(&v->memo, load->id, false);
    if (known)
        return (const char *)(uintptr_t)*known;
    const char *at = address(v, load->v.ref, flat_index(g, buf(g->u, load->v.ref), load->a), false);
    const char *value = !lanes ? call1(v, "SETQ", at) : is_whole(v) ? call1(v, "LDQ", at) : call2(v, "LDNQ", at, count_text(v));
    const char *name = c_name(g, &v->memo, load->id, "r", "r");
    ln(g->o, "%sv%di %s = %s;%s", lanes ? "" : "const ", v->width, name, value, lanes ? str_fmt(g->a, " V%d_KEEP(%s);", v->width, name) : "");
    return name;
}

void v_forget(VGen *v, bool block_ends)
{
    for (uint32_t k = 0; block_ends && k < v->memo.slot.n; k++)
        c_release(v->g, (const char *)(uintptr_t)v->memo.slot.at[k].val);
    v->memo = (Map){.arena = v->g->a};
}

/* ---- stores ---- */

/* What is stored, in the lanes of its element: narrow floats are rounded and whole vectors saturated by the store itself. */
static const char *stored_lanes(VGen *v, const Expr *e, bool *saturates)
{
    const Element *m = element_of((DType)e->dt);
    *saturates = e->op == EX_castsat && m->saturates && by_lane(e, v->lane, v->acc);
    if (*saturates && lane_kind((DType)e->a[0]->dt) == LK_f32 && dtype_bytes(m->dt) == 1)
        *saturates = false; /* the conversion of floats does */
    if (*saturates)
        return v_text(v, ex_castsat(v->g->x, DT_i32, e->a[0]));
    if (is_narrow_float(m->dt))
        return v_text(v, e->a[0]);
    return m->kind == LK_mask ? call2(v, "IAND", v_text(v, e), str_fmt(v->g->a, "V%d_ISET(1)", v->width)) : v_text(v, e);
}

/* Word behind ST: the mode that rounds what the model leaves in f32 may also take numbers below the normal range for 0. */
static const char *store_suffix(const CGen *g, const Element *m)
{
    return m->dt == DT_bf16 && g->u->cx->fp == FP_bf16 ? "BFZ" : m->suffix;
}

void v_store(VGen *v, const Store *st, const Subst *s, uint32_t n)
{
    CGen *g = v->g;
    const Buf *b = buf(g->u, st->buf);
    const Expr *flat = ex_subst(g->x, flat_index(g, b, st->idx), s, n);
    const Element *m = element_of(b->dt);
    bool linear, saturates;
    const int64_t stride = ex_coef(flat, v->lane, &linear);
    const char *value = stored_lanes(v, ex_subst(g->x, st->value, s, n), &saturates);
    const char *at = address(v, st->buf, flat, true);
    if (saturates && (stride != 1 || !is_whole(v)))
        value = call1(v, str_fmt(g->a, "SAT%s", m->suffix), value);
    if (stride != 1)
        ln(g->o, "V%d_%sSCATTER%s(%s, %lld, %s, %s);", v->width, m->prefix, m->suffix, at, (long long)stride, value, count_text(v));
    else if (!is_whole(v))
        ln(g->o, "V%d_%sSTN%s(%s, %s, %s);", v->width, m->prefix, store_suffix(g, m), at, value, count_text(v));
    else
        ln(g->o, "V%d_%sST%s%s(%s, %s);", v->width, m->prefix, saturates ? "S" : "", store_suffix(g, m), at, value);
}

bool v_packs(VGen *v, const Store *st)
{
    const Buf *b = buf(v->g->u, st->buf);
    bool linear;
    const bool side = ex_coef(flat_index(v->g, b, st->idx), v->t->lane, &linear) == 1 && linear;
    return side && (b->dt == DT_u8 || b->dt == DT_i8) && st->value->op == EX_castsat && by_lane(st->value, v->t->lane, v->t->acc);
}

const char *v_unpacked(VGen *v, const Store *st, const Subst *s, uint32_t n)
{
    bool saturates;
    return stored_lanes(v, ex_subst(v->g->x, st->value, s, n), &saturates);
}

void v_store_packed(VGen *v, const Store *st, const Subst *s, uint32_t n, const char *const *value, int32_t count)
{
    CGen *g = v->g;
    const Buf *b = buf(g->u, st->buf);
    Text all = {.arena = g->a};
    for (int32_t k = 0; k < count; k++)
        text_add(&all, ", %s", value[k]);
    const char *at = address(v, st->buf, ex_subst(g->x, flat_index(g, b, st->idx), s, n), true);
    ln(g->o, "V%d_STS%d%s(%s%s);", v->width, count, element_of(b->dt)->suffix, at, text_str(&all));
}

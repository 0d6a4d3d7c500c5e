/* SPDX-License-Identifier: Apache-2.0
 *
 * Which expressions have a vector form: operations that the dialect has for their lanes, loads at an even stride.
 */
#include <math.h>

#include "cvec_part.h"

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
    [EX_band] = {NULL, "IAND", "LAND"},   [EX_bor] = {NULL, "IOR", NULL},       [EX_bxor] = {NULL, "IXOR", NULL},
    [EX_fma] = {"FUSED", NULL, NULL},     [EX_bnot] = {NULL, "INOT", NULL},     [EX_shl] = {NULL, "ISHL", "LSHL"},
    [EX_shr] = {NULL, "ISHR", "LSHR"},    [EX_erfq] = {"ERFQ", NULL, NULL},   [EX_log1p] = {"LOG1P", NULL, NULL},
    [EX_sign] = {"SIGN", NULL, NULL},     [EX_sin] = {"SIN", NULL, NULL},       [EX_cos] = {"COS", NULL, NULL},
    [EX_atan] = {"ATAN", NULL, NULL},     [EX_pow] = {"POW", NULL, NULL},
};

static const Element element[] = {
    {DT_f32, LK_f32, "", "", false},     {DT_i32, LK_i32, "I", "", false},    {DT_i8, LK_i32, "", "I8", true},
    {DT_u8, LK_i32, "", "U8", true},     {DT_i16, LK_i32, "", "I16", true},   {DT_u16, LK_i32, "", "U16", true},
    {DT_bf16, LK_f32, "", "BF", false},  {DT_f16, LK_f32, "", "HF", false},   {DT_bool, LK_mask, "", "U8", false},
};

const Element *v_element(DType dt)
{
    for (int k = 0; k < (int)COUNT(element); k++)
        if (element[k].dt == dt)
            return &element[k];
    return NULL;
}

LaneKind lane_kind(DType dt)
{
    const Element *e = v_element(dt);
    return e ? e->kind : dt == DT_i64 ? LK_i64 : LK_none;
}

/* The larger or smaller of a float and a number: then MAX and MIN keep what is not one. */
static bool is_clamp(const Expr *e)
{
    return (e->op == EX_min || e->op == EX_max) && e->a[1]->op == EX_const && e->a[1]->dt == DT_f32 && !isnan(e->a[1]->v.f);
}

const char *v_op_name(const Expr *e)
{
    if (is_clamp(e))
        return e->op == EX_min ? "MIN" : "MAX";
    const VectorOp *op = &vector_op[e->op];
    const LaneKind k = lane_kind((DType)e->a[0]->dt);
    return k == LK_f32 ? op->f32 : k == LK_i32 ? op->i32 : k == LK_i64 ? op->i64 : NULL;
}

/* Functions of libm that the dialect has no form for: lane by lane, so that what is beside them stays in vectors. */
bool v_is_each(const Expr *e) { return e->dt == DT_f32 && e->n > 0 && e->n <= 2 && !v_op_name(e) && c_libm((ExprOp)e->op); }

/* ---- which expressions have a vector form ---- */

bool v_stride(const CGen *g, const Expr *load, const Expr *lane, int64_t *stride)
{
    const Expr *flat = flat_index(g, buf(g->u, load->v.ref), load->a);
    bool linear;
    *stride = ex_coef(flat, lane, &linear);
    return linear;
}

static bool is_load(const Expr *e) { return e->op == EX_load || e->op == EX_loadp; }

const Expr *v_outside(const CGen *g, const Expr *e)
{
    const Expr *fill = e->a[e->n - 1];
    return dtype_is_narrow_float((DType)e->dt) ? ex_cast(g->x, DT_f32, fill) : fill;
}

/* A guarded load whose guard does not depend on the lane is a scalar choice between two vectors. */
static bool is_invariant_guard(CGen *g, const Expr *e, const Expr *lane)
{
    int64_t stride;
    const Expr *in = c_guard(g, e);
    return !(in && ex_uses(in, lane)) && v_stride(g, e, lane, &stride);
}

typedef struct Check { CGen *g; const Expr *lane, *acc; Map seen, always; bool ok; } Check;

bool v_by_lane(const Expr *e, const Expr *lane, const Expr *acc)
{
    return ex_uses(e, lane) || (acc && ex_uses(e, acc));
}

/* Whether a load without a guard lies in its buffer whatever is chosen. */
static bool is_inside(const CGen *g, const Expr *e)
{
    const Buf *b = buf(g->u, e->v.ref);
    bool inside = e->op == EX_load;
    for (uint8_t d = 0; d < b->rank && inside; d++) {
        int64_t lo, hi, left, most;
        const Expr *rest = ex_sub(g->x, b->dim[d], e->a[d]);
        inside = ex_range(g->x, e->a[d], &lo, &hi) && lo >= -b->lo[d] && ex_range(g->x, rest, &left, &most) && left > -b->hi[d];
    }
    return inside;
}

static void check_load(void *ctx, const Expr *e)
{
    Check *c = ctx;
    if (is_load(e))
        c->ok = c->ok && (map_u64(&c->always, e->id, false) || is_inside(c->g, e));
}

/* A choice by lane evaluates both sides, so neither may load beyond its buffer what would not be loaded otherwise. */
static bool safe_choice(Check *c, const Expr *e)
{
    if (!v_by_lane(e->a[0], c->lane, c->acc))
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
    if (from == LK_none || kind == LK_none || dtype_is_narrow_float(to))
        return false;
    if (e->op == EX_castsat)
        return kind == LK_i32 && from != LK_mask;
    return from == kind || from == LK_i32 || kind == LK_i32 || (from == LK_mask && kind == LK_f32) ||
           (from == LK_f32 && kind == LK_mask);
}

const Expr *v_factor(Exprs *x, const Expr *e)
{
    if (ex_is_const(e) && e->v.i >= INT32_MIN && e->v.i <= INT32_MAX)
        return ex_const_i(x, DT_i32, e->v.i);
    return e->op == EX_cast && lane_kind((DType)e->a[0]->dt) == LK_i32 ? e->a[0] : NULL;
}

bool v_is_long_product(const CGen *g, const Expr *e)
{
    return e->op == EX_mul && e->dt == DT_i64 && v_factor(g->x, e->a[0]) && v_factor(g->x, e->a[1]);
}

static bool can_operation(Check *c, const Expr *e)
{
    if (e->op == EX_select)
        return (lane_kind((DType)e->dt) == LK_f32 || lane_kind((DType)e->dt) == LK_i32) && e->a[0]->dt == DT_bool &&
               safe_choice(c, e);
    if (e->op == EX_cast || e->op == EX_castsat)
        return can_convert(e);
    if (e->op == EX_bitcast)
        return (e->dt == DT_i32 && e->a[0]->dt == DT_f32) || (e->dt == DT_f32 && e->a[0]->dt == DT_i32);
    return e->n > 0 && !dtype_is_narrow_float((DType)e->dt) && (v_op_name(e) || v_is_each(e) || v_is_long_product(c->g, e));
}

/* The byte that says which element of a table of bytes is read, less `by`: table[ix(v) + by]; NULL: it is no such load. */
const Expr *v_looked_up(const CGen *g, const Expr *e, int64_t *by)
{
    const Buf *b = e->op == EX_load ? buf(g->u, e->v.ref) : NULL;
    *by = 0;
    if (!b || b->cls != BC_const || b->rank != 1 || b->bytes != 256 || !dtype_is_byte(b->dt))
        return NULL;
    const Expr *i = e->a[0];
    if (i->op == EX_add && ex_is_const(i->a[1])) {
        *by = i->a[1]->v.i;
        i = i->a[0];
    }
    const Expr *v = i->op == EX_cast && dtype_is_byte((DType)i->a[0]->dt) ? i->a[0] : NULL;
    return v && *by == -dtype_min((DType)v->dt) ? v : NULL;
}

/* Whether where it loads follows from the sum, which is in lanes. */
static bool at_sum(const Check *c, const Expr *load)
{
    bool yes = false;
    for (uint16_t d = 0; d < ex_load_rank(load) && c->acc; d++)
        yes = yes || ex_uses(load->a[d], c->acc);
    return yes;
}

static bool can_vector(Check *c, const Expr *e)
{
    if (!v_by_lane(e, c->lane, c->acc) || e == c->acc)
        return lane_kind((DType)e->dt) != LK_none && !dtype_is_narrow_float((DType)e->dt);
    uint64_t *known = map_u64(&c->seen, e->id, false);
    if (known)
        return *known;
    int64_t stride, by;
    const Expr *looked_up = v_looked_up(c->g, e, &by);
    bool ok = is_load(e) ? v_element((DType)e->dt) != NULL : can_operation(c, e);
    if (looked_up)
        ok = ok && can_vector(c, looked_up);
    else if (e->op == EX_load)
        ok = ok && !at_sum(c, e) && v_stride(c->g, e, c->lane, &stride);
    else if (e->op == EX_loadp)
        ok = ok && !at_sum(c, e) && is_invariant_guard(c->g, e, c->lane) && can_vector(c, v_outside(c->g, e));
    for (uint16_t k = 0; ok && !is_load(e) && k < e->n; k++)
        ok = can_vector(c, e->a[k]);
    *map_u64(&c->seen, e->id, true) = ok;
    return ok;
}

bool v_can(CGen *g, const Expr *e, const Expr *lane, const Expr *acc)
{
    Check c = {.g = g, .lane = lane, .acc = acc, .seen = {.arena = g->a}, .always = {.arena = g->a}};
    ex_always(&c.always, e);
    return can_vector(&c, e);
}

bool v_can_store(CGen *g, DType dt, const Expr *e, const Expr *lane, const Expr *acc)
{
    if (!v_element(dt))
        return false;
    if (dtype_is_narrow_float(dt)) /* rounding is the store's */
        return e->op == EX_cast && e->a[0]->dt == DT_f32 && v_can(g, e->a[0], lane, acc);
    return v_can(g, e, lane, acc);
}

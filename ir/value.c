/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of small tensors as expressions over symbols: shape arithmetic without a line per operator.
 *
 * A node is lowered into a program of its own; its stages are then evaluated element by element: index variables become
 * constants, loads become the known value of what they load, and integer operations on values move into index
 * arithmetic, where they simplify. What is not an expression over symbols in the end is simply not known. Integers are
 * assumed not to overflow, as sizes do not. Floats are followed only where they hold integers exactly, which is what
 * models do that scale sizes.
 */
#include "infer.h"

enum { MAX_FLOATS = MAX_RANK, MAX_INNER = 4096, FUEL = 1 << 16 };

typedef struct Eval {
    Exprs *x;
    Arena *a;
    Te *te;
    const Expr ***memo; /* by tensor, then by element; NULL: nothing yet */
    uint32_t nmemo;
    int fuel; /* terms that may still be evaluated */
} Eval;

/* ---- integers in index arithmetic ---- */

/* The ix expression that an integer expression holds; NULL: none. */
static const Expr *as_ix(Exprs *x, const Expr *e)
{
    if (e->dt == DT_ix) return e;
    if (!dtype_is_int((DType)e->dt)) return NULL;
    if (ex_is_const(e)) return ex_int(x, e->v.i);
    return e->op == EX_cast && e->a[0]->dt == DT_ix ? e->a[0] : NULL;
}

static bool within(Exprs *x, const Expr *e, int64_t lo, int64_t hi)
{
    int64_t a, b;
    return ex_range(x, e, &a, &b) && a >= lo && b <= hi;
}

/* The ix expression whose value a float expression holds exactly; NULL: none. */
static const Expr *float_ix(Exprs *x, const Expr *e)
{
    const int64_t exact = e->dt == DT_f32 ? 1 << 24 : e->dt == DT_f64 ? INT64_C(1) << 53 : 0;
    if (!exact) return NULL;
    if (ex_is_const(e)) {
        const bool whole = e->v.f >= (double)-exact && e->v.f <= (double)exact && (double)(int64_t)e->v.f == e->v.f;
        return whole ? ex_int(x, (int64_t)e->v.f) : NULL;
    }
    const Expr *v = e->op == EX_cast ? e->a[0] : NULL;
    return v && v->dt == DT_ix && within(x, v, -exact, exact) ? v : NULL;
}

/* 1 true, 0 false, -1 not decided by the range of p - q. Models write "to the end" as the largest integer: differences
 * that may overflow decide nothing. */
static int decide(Exprs *x, ExprOp op, const Expr *p, const Expr *q)
{
    const int64_t safe = INT64_MAX / 2;
    int64_t lo, hi;
    if (!within(x, p, -safe, safe) || !within(x, q, -safe, safe) || !ex_range(x, ex_sub(x, p, q), &lo, &hi)) return -1;
    switch (op) {
    case EX_lt: return hi < 0 ? 1 : lo >= 0 ? 0 : -1;
    case EX_le: return hi <= 0 ? 1 : lo > 0 ? 0 : -1;
    case EX_eq: return lo > 0 || hi < 0 ? 0 : lo == 0 && hi == 0 ? 1 : -1;
    case EX_ne: return lo > 0 || hi < 0 ? 1 : lo == 0 && hi == 0 ? 0 : -1;
    default: return -1;
    }
}

/* Truncating division and its remainder are the flooring ones where nothing is negative. */
static ExprOp flooring(Exprs *x, ExprOp op, const Expr *p, const Expr *q)
{
    if (!within(x, p, 0, INT64_MAX) || !within(x, q, 1, INT64_MAX)) return op;
    return op == EX_div ? EX_fdiv : op == EX_rem ? EX_mod : op;
}

static const Expr *ix_binary(Exprs *x, ExprOp op, const Expr *p, const Expr *q)
{
    const int known = decide(x, op, p, q);
    if (known >= 0) return ex_const_i(x, DT_bool, known);
    if (op == EX_min || op == EX_max) {
        const int less = decide(x, EX_le, p, q), more = decide(x, EX_le, q, p);
        if (less == 1) return op == EX_min ? p : q;
        if (more == 1) return op == EX_min ? q : p;
    }
    if (op == EX_ne && ex_is_int(q, 0) && p->op == EX_cast && p->a[0]->dt == DT_bool) return p->a[0];
    return ex_binary(x, flooring(x, op, p, q), p, q);
}

static bool is_lifted(ExprOp op)
{
    static const bool lifted[EX_count] = {
        [EX_add] = true, [EX_sub] = true, [EX_mul] = true, [EX_div] = true, [EX_fdiv] = true,
        [EX_mod] = true, [EX_rem] = true, [EX_min] = true, [EX_max] = true, [EX_eq] = true,
        [EX_ne] = true,  [EX_lt] = true,  [EX_le] = true,
    };
    return lifted[op];
}

/* Sums, differences, products and comparisons of floats that hold integers; the result must be exact too. */
static const Expr *lift_float(Exprs *x, const Expr *e)
{
    const Expr *p = float_ix(x, e->a[0]), *q = float_ix(x, e->a[1]);
    if (!p || !q || !is_lifted((ExprOp)e->op)) return e;
    if (e->dt == DT_bool) return ix_binary(x, (ExprOp)e->op, p, q);
    if (e->op == EX_div || e->op == EX_fdiv || e->op == EX_mod || e->op == EX_rem) return e;
    const Expr *r = ex_cast(x, (DType)e->dt, ix_binary(x, (ExprOp)e->op, p, q));
    return float_ix(x, r) ? r : e;
}

static const Expr *lift_binary(Exprs *x, const Expr *e)
{
    if (dtype_is_float((DType)e->a[0]->dt)) return lift_float(x, e);
    const Expr *p = as_ix(x, e->a[0]), *q = as_ix(x, e->a[1]);
    if (!p || !q || !is_lifted((ExprOp)e->op)) return e;
    const Expr *r = ix_binary(x, (ExprOp)e->op, p, q);
    return e->dt == DT_bool ? r : ex_cast(x, (DType)e->dt, r);
}

static const Expr *lift_select(Exprs *x, const Expr *e)
{
    const Expr *p = as_ix(x, e->a[1]), *q = as_ix(x, e->a[2]);
    return p && q && e->dt != DT_ix ? ex_cast(x, (DType)e->dt, ex_select(x, e->a[0], p, q)) : e;
}

/* floor, or with up ceil, of a quotient of two integers held by floats; the quotient's rounding cannot reach the next
 * integer while both are exact. */
static const Expr *whole_quotient(Exprs *x, const Expr *e, bool up)
{
    if (e->op != EX_div) return NULL;
    const Expr *p = float_ix(x, e->a[0]), *q = float_ix(x, e->a[1]);
    if (!p || !q || !within(x, p, 0, INT64_MAX) || !within(x, q, 1, INT64_MAX)) return NULL;
    return ex_fdiv(x, up ? ex_add(x, p, ex_sub(x, q, ex_int(x, 1))) : p, q);
}

static const Expr *lift_unary(Exprs *x, const Expr *e)
{
    const Expr *a = e->a[0];
    const bool rounds = e->op == EX_floor || e->op == EX_ceil || e->op == EX_trunc || e->op == EX_rint;
    if (rounds && dtype_is_float((DType)a->dt)) {
        if (float_ix(x, a)) return a;
        const Expr *q = e->op == EX_rint ? NULL : whole_quotient(x, a, e->op == EX_ceil);
        return q ? ex_cast(x, (DType)e->dt, q) : e;
    }
    const Expr *p = as_ix(x, a);
    if (!p || e->dt == DT_ix) return e;
    if (e->op == EX_neg) return ex_cast(x, (DType)e->dt, ex_unary(x, EX_neg, p));
    return e->op == EX_abs && within(x, p, 0, INT64_MAX) ? a : e;
}

static bool holds(Exprs *x, DType dt, const Expr *v)
{
    return dtype_bytes(dt) >= 4 || within(x, v, dtype_min(dt), dtype_max(dt));
}

/* Conversions of what holds an integer. */
static const Expr *lift_cast(Exprs *x, const Expr *e)
{
    const Expr *a = e->a[0], *v = dtype_is_float((DType)a->dt) ? float_ix(x, a) : as_ix(x, a);
    const DType dt = (DType)e->dt;
    if (a->dt == DT_bool) return dtype_is_int(dt) && !ex_is_const(a) ? ex_cast(x, dt, ex_cast(x, DT_ix, a)) : e;
    if (!v && (dtype_is_int(dt) || dt == DT_ix)) v = whole_quotient(x, a, false);
    if (!v || a->dt == DT_ix) return e;
    if (dt == DT_bool) return ix_binary(x, EX_ne, v, ex_int(x, 0));
    return dt == DT_ix || dtype_is_float(dt) || holds(x, dt, v) ? ex_cast(x, dt, v) : e;
}

/* ---- elements ---- */

static const Expr *element(Eval *v, uint32_t id, int64_t at);

/* Number of elements of a tensor of constant shape; -1: too many, or not constant. */
static int64_t count_of(const Ten *t)
{
    int64_t n = 1;
    for (uint8_t d = 0; d < t->rank; d++) {
        if (!ex_is_const(t->dim[d]) || !mul_i64(n, t->dim[d]->v.i, &n) || n < 0) return -1;
    }
    return n;
}

typedef enum Place { PL_unknown, PL_inside, PL_outside } Place;

/* Row-major position of an index; PL_unknown: not constant. */
static Place position(const Ten *t, const Expr *const *i, int64_t *at)
{
    bool inside = true;
    *at = 0;
    for (uint8_t d = 0; d < t->rank; d++) {
        if (!ex_is_const(i[d]) || !ex_is_const(t->dim[d])) return PL_unknown;
        inside &= i[d]->v.i >= 0 && i[d]->v.i < t->dim[d]->v.i;
        *at = inside ? *at * t->dim[d]->v.i + i[d]->v.i : 0;
    }
    return inside ? PL_inside : PL_outside;
}

/* The element that a load names; the load itself when it is not known. */
static const Expr *lift_load(Eval *v, const Expr *e)
{
    const Ten *t = ten(v->te, e->v.ref);
    int64_t at;
    const Place p = position(t, e->a, &at);
    if (p == PL_outside && e->op == EX_loadp) return e->a[t->rank];
    const Expr *known = p == PL_inside ? element(v, e->v.ref, at) : NULL;
    return known ? known : e;
}

static const Expr *lift(void *ctx, const Expr *e)
{
    Eval *v = ctx;
    switch ((ExprOp)e->op) {
    case EX_load:
    case EX_loadp: return lift_load(v, e);
    case EX_cast:
    case EX_castsat: return lift_cast(v->x, e);
    case EX_select: return lift_select(v->x, e);
    default: break;
    }
    if (e->n == 1) return lift_unary(v->x, e);
    return e->n == 2 ? lift_binary(v->x, e) : e;
}

typedef struct Known {
    const Exprs *x;
    bool ok;
} Known;

static void look_for_unknown(void *ctx, const Expr *e)
{
    Known *k = ctx;
    if (e->op == EX_load || e->op == EX_loadp) k->ok = false;
    if (e->op == EX_var && ex_var_info(k->x, e)->kind != VK_SYM) k->ok = false;
}

/* e with the variables replaced and everything known; NULL: something is not. */
static const Expr *evaluate(Eval *v, const Expr *e, const Subst *s, uint32_t n)
{
    if (v->fuel-- <= 0) return NULL;
    e = ex_map(v->x, ex_subst(v->x, e, s, n), lift, v);
    Known k = {v->x, true};
    ex_walk(e, look_for_unknown, &k);
    return k.ok ? e : NULL;
}

/* Index variables of st at element `at` of its tensor; the number of substitutions. */
static uint32_t bind_index(Eval *v, const Stage *st, int64_t at, Subst *s)
{
    const Ten *t = ten(v->te, st->out);
    for (int d = t->rank - 1; d >= 0; d--) {
        const int64_t n = t->dim[d]->v.i;
        s[d] = (Subst){st->var[d], ex_int(v->x, at % n)};
        at /= n;
    }
    return t->rank;
}

/* Number of terms of a reduction or scatter; -1: not constant or too many. */
static int64_t count_terms(const Stage *st)
{
    int64_t n = 1;
    for (uint8_t r = 0; r < st->nr; r++) {
        if (!ex_is_const(st->rext[r]) || !mul_i64(n, st->rext[r]->v.i, &n) || n < 0 || n > FUEL) return -1;
    }
    return n;
}

/* Reduction variables at term k, the last variable running fastest. */
static void bind_term(Eval *v, const Stage *st, int64_t k, Subst *s)
{
    for (int r = st->nr - 1; r >= 0; r--) {
        s[r] = (Subst){st->rvar[r], ex_int(v->x, k % st->rext[r]->v.i)};
        k /= st->rext[r]->v.i;
    }
}

static const Expr *combine(Eval *v, RedOp op, const Expr *acc, const Expr *e)
{
    static const ExprOp ops[] = {[RED_sum] = EX_add, [RED_prod] = EX_mul, [RED_min] = EX_min, [RED_max] = EX_max};
    if (op == RED_none || !acc) return e;
    const DType dt = (DType)acc->dt, compute = dtype_compute(dt);
    const Expr *r = ex_binary(v->x, ops[op], ex_cast(v->x, compute, acc), ex_cast(v->x, compute, e));
    return ex_map(v->x, ex_cast(v->x, dt, r), lift, v);
}

static const Expr *reduce_element(Eval *v, const Stage *st, int64_t at)
{
    Subst s[2 * MAX_RANK];
    const uint32_t n = bind_index(v, st, at, s);
    const int64_t terms = count_terms(st);
    const bool empty = terms == 0 && (st->op == RED_sum || st->op == RED_prod);
    const Expr *acc = empty ? ex_num(v->x, (DType)st->body->dt, st->op == RED_prod) : NULL;
    for (int64_t k = 0; k < terms; k++) {
        bind_term(v, st, k, s + n);
        const Expr *e = evaluate(v, st->body, s, n + st->nr);
        if (!e) return NULL;
        acc = combine(v, st->op, acc, e);
    }
    return acc;
}

static const Expr *scan_element(Eval *v, const Stage *st, int64_t at)
{
    Subst s[MAX_RANK];
    const uint32_t n = bind_index(v, st, at, s);
    const Ten *t = ten(v->te, st->out);
    int64_t stride = 1;
    for (int d = st->axis + 1; d < t->rank; d++) stride *= t->dim[d]->v.i;
    const Expr *e = evaluate(v, st->body, s, n), *before = NULL;
    if (!e || ex_is_int(s[st->axis].to, 0)) return e;
    before = element(v, st->out, at - stride);
    return before ? combine(v, st->op, ex_map(v->x, ex_cast(v->x, (DType)e->dt, before), lift, v), e) : NULL;
}

/* Applies term k of a scatter to the elements in memo. */
static bool scatter_term(Eval *v, const Stage *st, int64_t k)
{
    const Ten *t = ten(v->te, st->out);
    const Expr **all = v->memo[st->out], *i[MAX_RANK];
    Subst s[MAX_RANK];
    int64_t at;
    bind_term(v, st, k, s);
    for (uint8_t d = 0; d < t->rank; d++) {
        i[d] = evaluate(v, st->at[d], s, st->nr);
        if (!i[d]) return false;
    }
    const Place p = position(t, i, &at);
    const Expr *e = p == PL_inside ? evaluate(v, st->body, s, st->nr) : NULL;
    if (e) all[at] = combine(v, st->op, all[at], e);
    return e || p == PL_outside;
}

/* A scatter defines all elements at once. */
static const Expr *scatter_element(Eval *v, const Stage *st, int64_t at)
{
    const int64_t n = count_of(ten(v->te, st->out)), terms = count_terms(st);
    const Expr **all = v->memo[st->out];
    Subst s[MAX_RANK];
    bool ok = terms >= 0;
    for (int64_t k = 0; k < n && ok; k++) {
        all[k] = evaluate(v, st->init, s, bind_index(v, st, k, s));
        ok = all[k] != NULL;
    }
    for (int64_t k = 0; k < terms && ok; k++) ok = scatter_term(v, st, k);
    for (int64_t k = 0; k < n && !ok; k++) all[k] = NULL;
    return all[at];
}

static const Expr *stage_element(Eval *v, const Stage *st, int64_t at)
{
    Subst s[MAX_RANK];
    switch (st->kind) {
    case ST_map: return evaluate(v, st->body, s, bind_index(v, st, at, s));
    case ST_reduce: return reduce_element(v, st, at);
    case ST_scan: return scan_element(v, st, at);
    case ST_scatter: return scatter_element(v, st, at);
    case ST_call: break;
    }
    return NULL;
}

/* What inference or the model knows about an element. */
static const Expr *given_element(Eval *v, const Ten *t, int64_t at)
{
    if (t->data && dtype_is_float(t->dt)) return ex_const_f(v->x, t->dt, blob_f(t->data, at));
    if (t->data && (dtype_is_int(t->dt) || t->dt == DT_bool)) return ex_const_i(v->x, t->dt, blob_i(t->data, at));
    if (!t->value) return NULL;
    return t->dt == DT_bool ? ix_binary(v->x, EX_ne, t->value[at], ex_int(v->x, 0))
                            : ex_cast(v->x, t->dt, t->value[at]);
}

/* Element `at` of a tensor, of the tensor's type; NULL: not known. */
static const Expr *element(Eval *v, uint32_t id, int64_t at)
{
    const Ten *t = ten(v->te, id);
    if (t->data || t->value || t->kind != TEN_stage || t->stage == NO_STAGE) return given_element(v, t, at);
    const int64_t n = count_of(t);
    if (n < 0 || n > MAX_INNER) return NULL;
    if (!v->memo[id]) v->memo[id] = NEWN(v->a, const Expr *, n);
    if (v->memo[id][at]) return v->memo[id][at];
    const Expr *e = stage_element(v, v->te->stage.at[t->stage], at);
    return v->memo[id][at] = e ? ex_map(v->x, ex_cast(v->x, t->dt, e), lift, v) : NULL;
}

/* ---- nodes ---- */

/* Whether values of an output are worth knowing: integers and bools, and floats few enough to be sizes. */
static bool is_wanted(const OpCtx *c, int k)
{
    const Tensor *t = has_out(c, k) ? out_t(c, k) : NULL;
    if (!t || !tensor_static(t)) return false;
    const bool sizes = dtype_is_int(t->dt) || t->dt == DT_bool;
    return (sizes || dtype_is_float(t->dt)) && tensor_count(c->g, t) <= (sizes ? MAX_VALUE : MAX_FLOATS);
}

/* An element in the form of Tensor.value: integers and bools as ix. */
static const Expr *as_value(Exprs *x, const Expr *e)
{
    if (dtype_is_float((DType)e->dt)) return e;
    if (ex_is_const(e)) return ex_int(x, e->v.i);
    const Expr *v = as_ix(x, e);
    if (!v && e->op == EX_cast && dtype_is_float((DType)e->a[0]->dt)) e = e->a[0];
    return v ? v : ex_cast(x, DT_ix, e);
}

static const Expr **find_value(Eval *v, const OpCtx *c, int k)
{
    const int64_t n = tensor_count(c->g, out_t(c, k));
    const uint32_t id = te_of(v->te, c->n->out[k]);
    const Expr **value = NEWN(c->a, const Expr *, n);
    for (int64_t at = 0; at < n; at++) {
        const Expr *e = element(v, id, at);
        if (!e) return NULL;
        value[at] = as_value(v->x, e);
    }
    return value;
}

static bool evaluate_node(OpCtx *c, Ctx *scratch)
{
    Te *te = te_new(scratch, c->g);
    if (!te_lower_node(te, c->g, c->id)) return false;
    Eval v = {.x = c->x, .a = scratch->arena, .te = te, .nmemo = te->ten.n + c->n->nout, .fuel = FUEL};
    v.memo = NEWN(v.a, const Expr **, v.nmemo);
    for (int k = 0; k < c->n->nout; k++) {
        if (is_wanted(c, k)) out_t(c, k)->value = find_value(&v, c, k);
    }
    return true;
}

bool find_values(OpCtx *c)
{
    bool wanted = false;
    for (int k = 0; k < c->n->nout; k++) {
        if (has_out(c, k)) out_t(c, k)->value = NULL;
        wanted |= is_wanted(c, k);
    }
    if (!wanted || (c->n->op->flags & OF_RANDOM)) return true;
    Ctx scratch = *c->cx;
    scratch.arena = arena_child(c->cx->arena);
    const bool ok = evaluate_node(c, &scratch);
    arena_free(scratch.arena);
    return ok;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Register tiles as C. Where every value along the lane variable is f32 and the target has vectors, a tile becomes named
 * vector accumulators (points x vectors), loads in the order of the nest, and the epilogue on the accumulators;
 * otherwise plain loops with the tile's meaning. The dialect is runtime-min/mlcc_vec.h: V8_LD, V8_FMA, V8_KEEP, ...
 */
#include "cgen.h"

/* How an operation is said in the vector dialect; NULL: it has no vector form. */
static const char *const vector_op[EX_count] = {
    [EX_add] = "ADD", [EX_sub] = "SUB",   [EX_mul] = "MUL",   [EX_div] = "DIV",   [EX_min] = "MINN", [EX_max] = "MAXN", [EX_neg] = "NEG",
    [EX_abs] = "ABS", [EX_sqrt] = "SQRT", [EX_exp] = "EXP",   [EX_log] = "LOG",   [EX_tanh] = "TANH", [EX_erf] = "ERF", [EX_floor] = "FLOOR",
    [EX_ceil] = "CEIL", [EX_rint] = "RINT", [EX_lt] = "LT",   [EX_le] = "LE",     [EX_eq] = "EQ",    [EX_ne] = "NE", [EX_isnan] = "NE",
};

/* Those that the dialect approximates, as libm names them: what -ffp=strict calls lane by lane. */
static const char *const function[EX_count] = {[EX_exp] = "expf", [EX_log] = "logf", [EX_tanh] = "tanhf", [EX_erf] = "erff"};

typedef struct VGen {
    CGen *g;
    const Tile *t;
    const Expr *lane;      /* variable of one vector: 0..count-1 */
    const Expr *full, *part; /* that variable for whole vectors and for the last, shorter one */
    const Expr *strip;     /* loop variable over vectors, NULL outside such a loop */
    const Expr *acc;       /* accumulator that the epilogue reads now, NULL outside it */
    int32_t width, count;  /* lanes of a vector; of them in use now */
    const char *some;      /* how many where run time decides, NULL: count */
    Map counts;            /* of a tile with open lanes: vector -> lanes in use */
    Map memo;              /* expression id -> vector text */
    Map pointer;           /* buffer and invariant part -> pointer name */
    Out head;              /* pointer declarations */
    bool keep;             /* inside a reduction: hold loads in registers */
} VGen;

/* ---- which tiles can be vectors ---- */

static bool lane_stride(const CGen *g, const Expr *load, const Expr *lane, int64_t *stride)
{
    const Expr *flat = flat_index(g, buf(g->u, load->v.ref), load->a);
    bool linear;
    *stride = ex_coef(flat, lane, &linear);
    return linear;
}

/* A guarded load whose guard does not depend on the lane is a scalar choice between two vectors. */
static bool is_invariant_guard(CGen *g, const Expr *e, const Expr *lane)
{
    int64_t stride;
    const Expr *in = c_guard(g, e);
    return e->dt == DT_f32 && !(in && ex_uses(in, lane)) && lane_stride(g, e, lane, &stride);
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
    if (e->op == EX_load || e->op == EX_loadp)
        c->ok = c->ok && map_u64(&c->always, e->id, false);
}

/* A choice by lane evaluates both sides, so neither may load what would not be loaded otherwise. */
static bool safe_choice(Check *c, const Expr *e)
{
    if (e->op != EX_select || !by_lane(e->a[0], c->lane, c->acc))
        return true;
    c->ok = true;
    ex_walk(e->a[1], check_load, c);
    ex_walk(e->a[2], check_load, c);
    return c->ok;
}

static bool can_vector(Check *c, const Expr *e)
{
    if (!by_lane(e, c->lane, c->acc) || e == c->acc)
        return e->dt == DT_f32 || e->dt == DT_bool;
    uint64_t *known = map_u64(&c->seen, e->id, false);
    if (known)
        return *known;
    int64_t stride;
    const bool load = e->op == EX_load || e->op == EX_loadp;
    bool ok = load ? e->dt == DT_f32 : (e->op == EX_select || vector_op[e->op]) && (e->dt == DT_f32 || e->dt == DT_bool) && safe_choice(c, e);
    if (e->op == EX_load)
        ok = ok && lane_stride(c->g, e, c->lane, &stride);
    else if (e->op == EX_loadp)
        ok = ok && is_invariant_guard(c->g, e, c->lane) && can_vector(c, e->a[e->n - 1]);
    for (uint16_t k = 0; ok && !load && k < e->n; k++)
        ok = can_vector(c, e->a[k]);
    *map_u64(&c->seen, e->id, true) = ok;
    return ok;
}

static bool vector_value(CGen *g, const Expr *e, const Expr *lane, const Expr *acc)
{
    Check c = {.g = g, .lane = lane, .acc = acc, .seen = {.arena = g->a}, .always = {.arena = g->a}};
    c_always(&c.always, e);
    return e->dt == DT_f32 && can_vector(&c, e);
}

static bool is_vector_tile(CGen *g, const Tile *t)
{
    if (g->lanes < 2 || !t->lane || (t->across && t->nr != 1))
        return false;
    if (t->body && !vector_value(g, t->body, t->lane, NULL))
        return false;
    for (int k = 0; k < t->nstore; k++) {
        const Expr *flat = flat_index(g, buf(g->u, t->store[k].buf), t->store[k].idx);
        bool linear;
        (void)ex_coef(flat, t->lane, &linear);
        if (!linear || t->store[k].value->dt != DT_f32 || (!t->across && !vector_value(g, t->store[k].value, t->lane, t->acc)))
            return false;
    }
    return !t->init || t->init->dt == DT_f32;
}

/* ---- vector expressions ---- */

static void set_count(VGen *v, int64_t n)
{
    v->count = (int32_t)min_i64(n, v->width);
    v->lane = v->count == v->width ? v->full : v->part;
    v->some = NULL;
}

/* Lanes of vector q of the tile. */
static void set_vector(VGen *v, int64_t q)
{
    CGen *g = v->g;
    set_count(v, v->t->lanes - q * v->width);
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

static const char *v_text(VGen *v, const Expr *e);

static const char *v_type(const VGen *v) { return str_fmt(v->g->a, "v%df", v->width); }

static const char *temp(VGen *v, const Expr *e, const char *value, bool keep)
{
    CGen *g = v->g;
    const char *name = c_name(g, &v->memo, e->id, "r", "r");
    const bool mask = e->dt == DT_bool;
    ln(g->o, "%s%s %s = %s;%s", keep ? "" : "const ", mask ? str_fmt(g->a, "v%di", v->width) : v_type(v), name, value,
       keep ? str_fmt(g->a, " V%d_KEEP(%s);", v->width, name) : "");
    return name;
}

static bool varies(const VGen *v, const Expr *atom)
{
    for (int k = 0; k < v->t->nr; k++)
        if (ex_uses(atom, v->t->rvar[k]))
            return true;
    return ex_uses(atom, v->lane) || (v->strip && ex_uses(atom, v->strip));
}

/* Address of the element with the lane at 0: a pointer that is fixed during the reduction, plus what moves. */
static const char *address(VGen *v, uint32_t id, const Expr *flat, bool store)
{
    CGen *g = v->g;
    const Subst zero = {v->lane, ex_int(g->x, 0)};
    const Expr *fixed = ex_int(g->x, 0), *moving = ex_int(g->x, 0);
    const Affine f = ex_affine(g->a, ex_subst(g->x, flat, &zero, 1));
    for (uint32_t k = 0; k < f.n; k++) {
        const Expr **part = varies(v, f.t[k].atom) ? &moving : &fixed;
        *part = ex_add(g->x, *part, ex_mul(g->x, f.t[k].atom, ex_int(g->x, f.t[k].coef)));
    }
    moving = ex_add(g->x, moving, ex_int(g->x, f.c));
    const char *base = buf_name(g, id);
    if (!ex_is_int(fixed, 0)) {
        const uint64_t key = (uint64_t)id << 32 | fixed->id;
        const bool known = map_u64(&v->pointer, key, false) != NULL;
        const char *name = c_name(g, &v->pointer, key, "p", "p");
        if (!known)
            ln(&v->head, "%sfloat *%s = %s + %s;", store ? "" : "const ", name, base, c_expr_prec(g, fixed, P_ADD + 1));
        base = name;
    }
    if (ex_is_const(moving) && moving->v.i <= 0)
        return moving->v.i ? str_fmt(g->a, "%s - %lld", base, (long long)-moving->v.i) : base;
    return str_fmt(g->a, "%s + %s", base, c_expr_prec(g, moving, P_ADD));
}

static const char *v_load(VGen *v, const Expr *e)
{
    CGen *g = v->g;
    int64_t stride;
    const Expr *flat = flat_index(g, buf(g->u, e->v.ref), e->a);
    (void)lane_stride(g, e, v->lane, &stride);
    const char *at = address(v, e->v.ref, flat, false);
    if (stride != 1)
        return str_fmt(g->a, "V%d_GATHER(%s, %lld, %s)", v->width, at, (long long)stride, count_text(v));
    if (!is_whole(v))
        return str_fmt(g->a, "V%d_LDN(%s, %s)", v->width, at, count_text(v));
    return str_fmt(g->a, "V%d_LD(%s)", v->width, at);
}

static const char *v_nested(VGen *v, const Expr *e);

static const char *v_guarded(VGen *v, const Expr *e)
{
    CGen *g = v->g;
    const Expr *in = c_guard(g, e), *plain = ex_load(g->x, DT_f32, e->v.ref, (uint16_t)(e->n - 1), e->a);
    if (!in)
        return v_load(v, plain);
    return str_fmt(g->a, "%s ? %s : %s", c_expr_prec(g, in, P_OR), v_load(v, plain), v_nested(v, e->a[e->n - 1]));
}

typedef const char *(*VText)(VGen *v, const Expr *e);

static bool is_one(const Expr *e) { return e->op == EX_const && e->dt == DT_f32 && e->v.f == 1; }

/* The x of 1 / (1 + exp(-x)); NULL: e is something else. */
static const Expr *sigmoid_of(const Expr *e)
{
    if (e->op != EX_div || !is_one(e->a[0]) || e->a[1]->op != EX_add)
        return NULL;
    const Expr *sum = e->a[1], *p = is_one(sum->a[0]) ? sum->a[1] : is_one(sum->a[1]) ? sum->a[0] : NULL;
    return p && p->op == EX_exp && p->a[0]->op == EX_neg ? p->a[0]->a[0] : NULL;
}

static const char *v_operation(VGen *v, const Expr *e, VText operand)
{
    CGen *g = v->g;
    const Expr *x = g->u->cx->fp == FP_strict ? NULL : sigmoid_of(e);
    if (x)
        return str_fmt(g->a, "V%d_SIGMOID(%s)", v->width, operand(v, x));
    if (e->op == EX_select && !by_lane(e->a[0], v->lane, v->acc)) /* the side not taken is not evaluated */
        return str_fmt(g->a, "%s ? %s : %s", c_expr_prec(g, e->a[0], P_OR), v_nested(v, e->a[1]), v_nested(v, e->a[2]));
    const char *arg[3] = {0};
    for (uint16_t k = 0; k < e->n; k++)
        arg[k] = operand(v, e->a[k]);
    if (e->op == EX_select)
        return str_fmt(g->a, "V%d_SEL(%s, %s, %s)", v->width, arg[0], arg[1], arg[2]);
    if (e->op == EX_isnan) /* differs from itself */
        arg[1] = arg[0];
    if (g->u->cx->fp == FP_strict && function[e->op])
        return str_fmt(g->a, "V%d_EACH(%s, %s)", v->width, function[e->op], arg[0]);
    if (!arg[1])
        return str_fmt(g->a, "V%d_%s(%s)", v->width, vector_op[e->op], arg[0]);
    return str_fmt(g->a, "V%d_%s(%s, %s)", v->width, vector_op[e->op], arg[0], arg[1]);
}

static const char *v_value(VGen *v, const Expr *e, VText operand)
{
    if (!by_lane(e, v->lane, v->acc) && e->op != EX_loadp)
        return str_fmt(v->g->a, e->dt == DT_bool ? "V%d_ISET(-(%s))" : "V%d_SET(%s)", v->width, c_expr(v->g, e));
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

/* Name of a temporary that holds e for the lanes of one vector; equal expressions share one. */
static const char *v_text(VGen *v, const Expr *e)
{
    const uint64_t *known = map_u64(&v->memo, e->id, false);
    if (known)
        return (const char *)(uintptr_t)*known;
    const bool keep = v->keep && e->op == EX_load && ex_uses(e, v->lane);
    return temp(v, e, v_value(v, e, v_text), keep);
}

/* Values change; where a C block ends too, the names are free again. */
static void forget(VGen *v, bool block_ends)
{
    for (uint32_t k = 0; block_ends && k < v->memo.slot.n; k++)
        c_release(v->g, (const char *)(uintptr_t)v->memo.slot.at[k].val);
    v->memo = (Map){.arena = v->g->a};
}

/* ---- tiles of accumulators ---- */

typedef struct Acc { const Expr *var; const char *name; } Acc;

static int32_t points_of(const Tile *t)
{
    int32_t n = 1;
    for (int k = 0; k < t->np; k++)
        n *= t->pext[k];
    return n;
}

/* Substitution of point p, and of the lane variable by vector q's lanes. */
static uint32_t place(VGen *v, int32_t p, const Expr *lane_base, Subst *s)
{
    const Tile *t = v->t;
    uint32_t n = 0;
    for (int k = t->np - 1; k >= 0; k--) {
        s[n++] = (Subst){t->pvar[k], ex_int(v->g->x, p % t->pext[k])};
        p /= t->pext[k];
    }
    if (lane_base)
        s[n++] = (Subst){t->lane, ex_add(v->g->x, lane_base, v->lane)};
    return n;
}

static void v_store(VGen *v, const Store *st, const Subst *s, uint32_t n)
{
    CGen *g = v->g;
    const Buf *b = buf(g->u, st->buf);
    const Expr *flat = ex_subst(g->x, flat_index(g, b, st->idx), s, n);
    bool linear;
    const int64_t stride = ex_coef(flat, v->lane, &linear);
    const char *value = v_text(v, ex_subst(g->x, st->value, s, n));
    const char *at = address(v, st->buf, flat, true);
    if (stride != 1)
        ln(g->o, "V%d_SCATTER(%s, %lld, %s, %s);", v->width, at, (long long)stride, value, count_text(v));
    else if (!is_whole(v))
        ln(g->o, "V%d_STN(%s, %s, %s);", v->width, at, value, count_text(v));
    else
        ln(g->o, "V%d_ST(%s, %s);", v->width, at, value);
}

static const char *combine(VGen *v, const char *acc, const Expr *body)
{
    CGen *g = v->g;
    if (v->t->red == RED_sum && body->op == EX_mul && !ex_is_const(body->a[1])) {
        const char *a = v_text(v, body->a[0]), *b = v_text(v, body->a[1]);
        return str_fmt(g->a, "V%d_FMA(%s, %s, %s)", v->width, a, b, acc);
    }
    static const char *const op[] = {[RED_sum] = "ADD", [RED_prod] = "MUL", [RED_min] = "MINN", [RED_max] = "MAXN"};
    return str_fmt(g->a, "V%d_%s(%s, %s)", v->width, op[v->t->red], acc, v_text(v, body));
}

/* The tap loop that is unrolled: short, and of a tile whose loads its neighbours share (depthwise). */
static bool unrolled(const Tile *t, int k)
{
    return !t->fence && k == t->nr - 1 && t->nr > 1 && ex_is_const(t->rext[k]) && t->rext[k]->v.i <= 8;
}

/* One step of the reduction for accumulator q of point p, the variables in `more` taken as given. */
static void accumulate(VGen *v, const char *acc, int32_t p, int32_t q, const Subst *more, uint32_t nmore)
{
    CGen *g = v->g;
    set_vector(v, q);
    Subst s[MAX_RANK + 3];
    uint32_t n = place(v, p, ex_int(g->x, (int64_t)q * v->width), s);
    for (uint32_t k = 0; k < nmore; k++)
        s[n++] = more[k];
    const char *value = combine(v, acc, ex_subst(g->x, v->t->body, s, n));
    ln(g->o, "%s = %s;", acc, value);
}

/* All accumulators; of a point the unrolled taps follow each other, so that what neighbours share lives shortly. */
static void reduce_step(VGen *v, const Acc *acc, int32_t np, int32_t nv)
{
    CGen *g = v->g;
    const Tile *t = v->t;
    const bool taps = t->nr > 0 && unrolled(t, t->nr - 1);
    const int64_t steps = taps ? t->rext[t->nr - 1]->v.i : 1;
    for (int32_t n = 0; n < np * nv; n++) {
        const int32_t p = taps ? n % np : n / nv, q = taps ? n / np : n % nv;
        for (int64_t k = 0; k < steps; k++) {
            const Subst tap = {taps ? t->rvar[t->nr - 1] : NULL, ex_int(g->x, k)};
            accumulate(v, acc[p * nv + q].name, p, q, &tap, taps);
        }
    }
    const Subst first = {taps ? t->rvar[t->nr - 1] : NULL, ex_int(g->x, 0)};
    for (uint8_t k = 0; k < t->nfetch; k++)
        ln(g->o, "MLCC_FETCH%s(%s, %s);", t->fetch[k].far ? "2" : "", buf_name(g, t->fetch[k].buf), c_expr(g, ex_subst(g->x, t->fetch[k].at, &first, taps)));
    if (t->fence)
        ln(g->o, "V%d_FENCE();", v->width);
}

static void reduction(VGen *v, const Acc *acc, int32_t np, int32_t nv)
{
    CGen *g = v->g;
    const Tile *t = v->t;
    int opened = 0;
    v->keep = true;
    for (int k = 0; k < t->nr; k++) {
        if (unrolled(t, k))
            continue;
        const char *i = var_ident(g, t->rvar[k]);
        open_block(g->o, "for (%s %s = 0; %s < %s; %s++)", c_type(g, DT_ix), i, i, c_expr_prec(g, t->rext[k], P_LT + 1), i);
        opened++;
    }
    reduce_step(v, acc, np, nv);
    forget(v, opened > 0);
    v->keep = false;
    while (opened-- > 0)
        close_block(g->o, "");
}

static void declare_accumulators(VGen *v, Acc *acc, int32_t np, int32_t nv)
{
    CGen *g = v->g;
    const Expr *init = v->t->init ? v->t->init : red_identity(g->x, v->t->red, DT_f32);
    for (int32_t p = 0; p < np; p++)
        for (int32_t q = 0; q < nv; q++) {
            Acc *c = &acc[p * nv + q];
            Subst s[MAX_RANK + 1];
            set_vector(v, q);
            const uint32_t n = place(v, p, ex_int(g->x, (int64_t)q * v->width), s);
            c->var = ex_var(g->x, VK_REG, DT_f32, "c", 0, 0);
            c->name = c_name(g, &g->var, c->var->id, str_fmt(g->a, "c%d_%d", p, q), "c");
            const char *value = ex_is_const(init) ? str_fmt(g->a, "V%d_SET(%s)", v->width, c_expr(g, init)) : v_text(v, ex_subst(g->x, init, s, n));
            ln(g->o, "%s %s = %s;", v_type(v), c->name, value);
        }
}

static void epilogue(VGen *v, const Acc *acc, int32_t np, int32_t nv)
{
    CGen *g = v->g;
    for (int32_t p = 0; p < np; p++)
        for (int32_t q = 0; q < nv; q++) {
            set_vector(v, q);
            Subst s[MAX_RANK + 2];
            uint32_t n = place(v, p, ex_int(g->x, (int64_t)q * v->width), s);
            *map_u64(&v->memo, acc[p * nv + q].var->id, true) = (uint64_t)(uintptr_t)acc[p * nv + q].name;
            v->acc = acc[p * nv + q].var;
            s[n++] = (Subst){v->t->acc, v->acc};
            for (int k = 0; k < v->t->nstore; k++)
                v_store(v, &v->t->store[k], s, n);
        }
    v->acc = NULL;
    forget(v, true);
}

static void accumulator_tile(VGen *v)
{
    CGen *g = v->g;
    const int32_t np = points_of(v->t), nv = (v->t->lanes + v->width - 1) / v->width;
    Acc *acc = NEWN(g->a, Acc, np * nv);
    declare_accumulators(v, acc, np, nv);
    forget(v, false);
    reduction(v, acc, np, nv);
    epilogue(v, acc, np, nv);
}

/* ---- tiles along the lanes: maps, and reductions across ---- */

static void map_strip(VGen *v, const Expr *base)
{
    const int32_t np = points_of(v->t);
    for (int32_t p = 0; p < np; p++) {
        Subst s[MAX_RANK + 1];
        const uint32_t n = place(v, p, base, s);
        for (int k = 0; k < v->t->nstore; k++)
            v_store(v, &v->t->store[k], s, n);
    }
}

/* As many strips as the tile may have, each with the lanes that are in use. */
static void open_map_tile(VGen *v)
{
    for (int64_t q = 0; q * v->width < v->t->lanes; q++) {
        set_vector(v, q);
        map_strip(v, ex_int(v->g->x, q * v->width));
        forget(v, false);
    }
}

static void map_tile(VGen *v)
{
    CGen *g = v->g;
    const int64_t whole = v->t->lanes / v->width * v->width;
    set_count(v, v->width);
    if (whole > v->width) {
        const Expr *q = ex_var(g->x, VK_INDEX, DT_ix, "l", 0, whole - v->width);
        const char *i = var_ident(g, q);
        open_block(g->o, "for (%s %s = 0; %s < %lld; %s += %d)", c_type(g, DT_ix), i, i, (long long)whole, i, v->width);
        v->strip = q;
        map_strip(v, q);
        forget(v, true);
        v->strip = NULL;
        close_block(g->o, "");
        c_release(g, i);
    } else if (whole) {
        map_strip(v, ex_int(g->x, 0));
        forget(v, false);
    }
    if (whole < v->t->lanes) {
        set_count(v, v->t->lanes - whole);
        map_strip(v, ex_int(g->x, whole));
    }
}

/* c = op(c, body) over whole vectors. */
static void across_vectors(VGen *v, int32_t p, const char *c, const Expr *whole)
{
    CGen *g = v->g;
    const Expr *q = ex_var(g->x, VK_INDEX, DT_ix, "l", 0, max_i64(ex_upper(g->x, whole) - v->width, 0));
    const char *i = var_ident(g, q);
    Subst s[MAX_RANK + 2];
    set_count(v, v->width);
    const uint32_t n = place(v, p, q, s);
    open_block(g->o, "for (%s %s = 0; %s < %s; %s += %d)", c_type(g, DT_ix), i, i, c_expr_prec(g, whole, P_LT + 1), i, v->width);
    v->strip = q;
    const char *value = combine(v, c, ex_subst(g->x, v->t->body, s, n));
    ln(g->o, "%s = %s;", c, value);
    v->strip = NULL;
    forget(v, true);
    close_block(g->o, "");
    c_release(g, i);
}

/* total = op(total, body) for the lanes behind the whole vectors, one by one. */
static void across_tail(VGen *v, int32_t p, const Expr *total, const Expr *whole)
{
    CGen *g = v->g;
    const Tile *t = v->t;
    const Expr *q = ex_var(g->x, VK_INDEX, DT_ix, "l", ex_is_const(whole) ? whole->v.i : 0, t->lanes - 1);
    const char *i = var_ident(g, q);
    Subst s[MAX_RANK + 2];
    uint32_t n = place(v, p, NULL, s);
    s[n++] = (Subst){t->lane, q};
    open_block(g->o, "for (%s %s = %s; %s < %s; %s++)", c_type(g, DT_ix), i, c_expr(g, whole), i, c_expr_prec(g, tile_lanes(g->x, t), P_LT + 1), i);
    ln(g->o, "%s = %s;", var_ident(g, total), c_expr(g, red_combine(g->x, t->red, total, ex_subst(g->x, t->body, s, n))));
    close_block(g->o, "");
    c_release(g, i);
}

static void across_store(VGen *v, int32_t p, const Expr *total)
{
    CGen *g = v->g;
    Subst s[MAX_RANK + 2];
    uint32_t n = place(v, p, NULL, s);
    s[n++] = (Subst){v->t->acc, total};
    for (int k = 0; k < v->t->nstore; k++) {
        const Store *st = &v->t->store[k];
        const Expr *flat = ex_subst(g->x, flat_index(g, buf(g->u, st->buf), st->idx), s, n);
        ln(g->o, "%s[%s] = %s;", buf_name(g, st->buf), c_expr(g, flat), c_expr(g, ex_subst(g->x, st->value, s, n)));
    }
}

/* One vector accumulator, combined across in the order of the dialect, then the tail one by one. */
static void across_point(VGen *v, int32_t p)
{
    static const char *const fold[] = {[RED_sum] = "HSUM", [RED_prod] = "HPROD", [RED_min] = "HMIN", [RED_max] = "HMAX"};
    CGen *g = v->g;
    const Tile *t = v->t;
    const Expr *width = ex_int(g->x, v->width), *lanes = tile_lanes(g->x, t), *whole = ex_mul(g->x, ex_fdiv(g->x, lanes, width), width);
    const Expr *vector = ex_var(g->x, VK_REG, DT_f32, "c", 0, 0), *total = ex_var(g->x, VK_REG, DT_f32, "total", 0, 0);
    const char *c = var_ident(g, vector);
    ln(g->o, "%s %s = V%d_SET(%s);", v_type(v), c, v->width, c_expr(g, red_identity(g->x, t->red, DT_f32)));
    if (!ex_is_int(whole, 0))
        across_vectors(v, p, c, whole);
    ln(g->o, "%sfloat %s = V%d_%s(%s);", whole != lanes ? "" : "const ", var_ident(g, total), v->width, fold[t->red], c);
    if (whole != lanes)
        across_tail(v, p, total, whole);
    across_store(v, p, total);
}

/* Short rows take shorter vectors. */
static int32_t width_for(const CGen *g, const Tile *t)
{
    int32_t w = g->lanes;
    while (w > 4 && t->lanes <= w / 2)
        w /= 2;
    return w;
}

static void vector_tile(CGen *g, const Tile *t)
{
    VGen v = {.g = g, .t = t, .width = width_for(g, t), .memo = {.arena = g->a}, .pointer = {.arena = g->a}, .counts = {.arena = g->a}};
    v.full = ex_var(g->x, VK_INDEX, DT_ix, "lane", 0, v.width - 1);
    v.part = ex_var(g->x, VK_INDEX, DT_ix, "lane", 0, max_i64(t->lanes % v.width - 1, 1));
    v.lane = v.full;
    Out *outer = g->o, body;
    out_init(&body, g->a);
    out_init(&v.head, g->a);
    body.depth = v.head.depth = outer->depth + 1;
    g->o = &body;
    if (t->red == RED_none && t->open)
        open_map_tile(&v);
    else if (t->red == RED_none)
        map_tile(&v);
    else if (t->across)
        for (int32_t p = 0; p < points_of(t); p++)
            across_point(&v, p);
    else
        accumulator_tile(&v);
    g->o = outer;
    open_block(outer, "%s", "");
    text_put(&outer->text, v.head.text.n ? text_str(&v.head.text) : "", v.head.text.n);
    text_put(&outer->text, text_str(&body.text), body.text.n);
    close_block(outer, "");
    for (uint32_t k = 0; k < v.pointer.slot.n; k++)
        c_release(g, (const char *)(uintptr_t)v.pointer.slot.at[k].val);
    for (uint32_t k = 0; k < v.counts.slot.n; k++)
        c_release(g, (const char *)(uintptr_t)v.counts.slot.at[k].val);
    for (int k = 0; k < t->nr; k++) /* not before: pointers named later are declared round the loops */
        if (!unrolled(t, k))
            c_release(g, var_ident(g, t->rvar[k]));
}

/* ---- plain loops with the tile's meaning ---- */

static Nest *tile_as_nest(CGen *g, const Tile *t)
{
    Nest *root = nest_block(g->a), *in = root;
    for (int k = 0; k < t->np; k++)
        in = nest_for(g->a, in, t->pvar[k], ex_int(g->x, 0), ex_int(g->x, t->pext[k]));
    if (t->lane && !t->across)
        in = nest_for(g->a, in, t->lane, ex_int(g->x, 0), tile_lanes(g->x, t));
    if (t->red != RED_none) {
        nest_let(g->a, in, t->acc, t->init ? t->init : red_identity(g->x, t->red, (DType)t->acc->dt));
        Nest *inner = in;
        for (int k = 0; k < t->nr; k++)
            inner = nest_for(g->a, inner, t->rvar[k], ex_int(g->x, 0), t->rext[k]);
        nest_set(g->a, inner, t->acc, red_combine(g->x, t->red, t->acc, t->body));
    }
    for (int k = 0; k < t->nstore; k++)
        nest_store(g->a, in, t->store[k].buf, buf(g->u, t->store[k].buf)->rank, t->store[k].idx, t->store[k].value);
    return root;
}

void c_tile(CGen *g, const Tile *t)
{
    if (c_matrix_tile(g, t) || c_transpose_tile(g, t))
        return;
    if (is_vector_tile(g, t)) {
        vector_tile(g, t);
        return;
    }
    const Nest *n = tile_as_nest(g, t);
    open_block(g->o, "%s", "");
    c_nest(g, n);
    close_block(g->o, "");
}

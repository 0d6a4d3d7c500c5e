/* SPDX-License-Identifier: Apache-2.0
 * Expressions (ir/expr.h).
 *
 * The random tests grow expressions step by step and keep, beside each, its values under several assignments, found by
 * scalar_op from the values of the operands alone. So what the rules did to an expression is compared with what was
 * asked for; the same run checks bounds, that nodes are fixed points of their constructors, and the text form. */
#include "ir/expr.h"

#include <math.h>
#include <stdlib.h>

#include <cmocka.h>

enum { CASES = 12, POOL = 48, STEPS = 4000, NVAR = 7 };

static uint64_t random_u64(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static int64_t random_in(uint64_t *state, int64_t lo, int64_t hi)
{
    return lo + (int64_t)(random_u64(state) % ((uint64_t)(hi - lo) + 1));
}

/* A pool with variables, and a scope in which text finds them. */
typedef struct World {
    Arena *arena;
    Exprs *x;
    const Expr *var[NVAR];
    Scalar value[NVAR][CASES];
    int nvar;
    uint64_t seed;
} World;

static const Expr *scope_var(void *ctx, const char *name, size_t n)
{
    World *w = ctx;
    for (int i = 0; i < w->nvar; i++) {
        const char *v = ex_var_info(w->x, w->var[i])->name;
        if (strlen(v) == n && memcmp(v, name, n) == 0) return w->var[i];
    }
    return NULL;
}

/* %t of rank 2 and type f32, %q of rank 1 and type u8, %s of rank 0 and type i64. */
static bool scope_tensor(void *ctx, const char *name, size_t n, uint32_t *ref, DType *dt, uint16_t *rank)
{
    (void)ctx;
    static const struct { char name; uint16_t rank; DType dt; } known[] = {
        {'t', 2, DT_f32}, {'q', 1, DT_u8}, {'s', 0, DT_i64}, {'h', 1, DT_f16}, {'b', 1, DT_bool},
    };
    for (uint32_t i = 0; i < COUNT(known); i++) {
        if (n != 1 || name[0] != known[i].name) continue;
        *ref = i;
        *dt = known[i].dt;
        *rank = known[i].rank;
        return true;
    }
    return false;
}

static const char *ref_name(void *ctx, const Expr *e)
{
    World *w = ctx;
    static const char *const tensor[] = {"t", "q", "s", "h", "b"};
    return e->op == EX_var ? ex_var_info(w->x, e)->name : tensor[e->v.ref];
}

static World world(uint64_t seed)
{
    World w = {.arena = arena_new(0, NULL), .seed = seed};
    w.x = exprs_new(w.arena);
    return w;
}

static const Expr *add_var(World *w, VarKind kind, DType dt, const char *name, int64_t lo, int64_t hi)
{
    return w->var[w->nvar++] = ex_var(w->x, kind, dt, name, lo, hi);
}

/* i, j, k, l of 0..11, 0..2, 0..3, 0..23 and n of -9..9 */
static World index_world(void)
{
    World w = world(1);
    add_var(&w, VK_INDEX, DT_ix, "i", 0, 11);
    add_var(&w, VK_INDEX, DT_ix, "j", 0, 2);
    add_var(&w, VK_INDEX, DT_ix, "k", 0, 3);
    add_var(&w, VK_INDEX, DT_ix, "l", 0, 23);
    add_var(&w, VK_SYM, DT_ix, "n", -9, 9);
    return w;
}

/* Registers x, y of f32, u, v of i32, a of i64, c of bool. */
static World value_world(void)
{
    World w = world(2);
    add_var(&w, VK_REG, DT_f32, "x", 0, 0);
    add_var(&w, VK_REG, DT_f32, "y", 0, 0);
    add_var(&w, VK_REG, DT_i32, "u", 0, 0);
    add_var(&w, VK_REG, DT_i32, "v", 0, 0);
    add_var(&w, VK_REG, DT_i64, "a", 0, 0);
    add_var(&w, VK_REG, DT_bool, "c", 0, 0);
    add_var(&w, VK_REG, DT_u32, "z", 0, 0);
    return w;
}

static const Expr *parse_bare(World *w, const char *text, DType bare)
{
    const char *error = NULL, *s = text;
    const ExprScope scope = {scope_var, scope_tensor, bare, w};
    const Expr *e = ex_parse(w->x, &s, &scope, &error);
    if (!e) fail_msg("'%s': %s at '%s'", text, error, s);
    if (*s) fail_msg("'%s': stopped at '%s'", text, s);
    return e;
}

static const Expr *parse(World *w, const char *text)
{
    return parse_bare(w, text, DT_ix);
}

static const char *print(World *w, const Expr *e)
{
    Text t = {.arena = w->arena};
    ex_print(&t, w->x, e, ref_name, w);
    return text_str(&t);
}

/* What `from` simplifies to, as text, and that the text means the same expression. */
static void simplifies(World *w, const char *from, const char *to)
{
    const Expr *e = parse(w, from);
    const char *text = print(w, e);
    if (strcmp(text, to) != 0) fail_msg("'%s' became '%s', not '%s'", from, text, to);
    assert_ptr_equal(parse(w, text), e);
}

/* ------------------------------------------------------------------------------------------------------ evaluation */

static Scalar eval(const World *w, const Expr *e, int k);

static Scalar eval_const(const Expr *e)
{
    if (e->dt == DT_f64) return (Scalar){.f64 = e->v.f};
    return dtype_is_float((DType)e->dt) ? (Scalar){.f32 = (float)e->v.f} : (Scalar){.i = e->v.i};
}

static Scalar eval(const World *w, const Expr *e, int k)
{
    Scalar a[3];
    if (e->op == EX_const) return eval_const(e);
    for (int i = 0; e->op == EX_var && i < w->nvar; i++)
        if (w->var[i] == e) return w->value[i][k];
    for (int i = 0; i < e->n; i++) a[i] = eval(w, e->a[i], k);
    return scalar_op((ExprOp)e->op, (DType)e->dt, (DType)e->a[0]->dt, a);
}

static bool same_value(DType dt, Scalar a, Scalar b)
{
    if (dt == DT_f64) return a.u == b.u || (a.f64 != a.f64 && b.f64 != b.f64);
    if (dtype_is_float(dt)) return memcmp(&a.f32, &b.f32, sizeof a.f32) == 0 || (a.f32 != a.f32 && b.f32 != b.f32);
    return a.i == b.i;
}

/* ----------------------------------------------------------------------------------------------------- random tests */

/* An expression and the values it must have. */
typedef struct Sample { const Expr *e; Scalar v[CASES]; } Sample;

typedef struct Grower { World *w; Sample at[POOL]; int n; } Grower;

static void check_fixed_point(void *ctx, const Expr *e)
{
    World *w = ctx;
    if (ex_make(w->x, e, e->a) != e) fail_msg("rebuilt, '%s' is '%s'", print(w, e), print(w, ex_make(w->x, e, e->a)));
}

static void check_values(World *w, const Sample *s)
{
    int64_t lo, hi;
    bool known = ex_range(w->x, s->e, &lo, &hi) && !dtype_is_float((DType)s->e->dt);
    for (int k = 0; k < CASES; k++) {
        Scalar v = eval(w, s->e, k);
        if (!same_value((DType)s->e->dt, v, s->v[k]))
            fail_msg("'%s' is %lld (%g) in case %d, not %lld (%g)", print(w, s->e), (long long)v.i, (double)v.f32, k,
                     (long long)s->v[k].i, (double)s->v[k].f32);
        bool huge = s->e->dt == DT_u64 && v.i < 0;
        if (known && !huge && (v.i < lo || v.i > hi))
            fail_msg("'%s' is %lld, not in %lld..%lld", print(w, s->e), (long long)v.i, (long long)lo, (long long)hi);
    }
}

static void check_text(World *w, const Expr *e)
{
    const char *text = print(w, e);
    const Expr *back = parse(w, text);
    if (back != e) fail_msg("'%s' parses as '%s'", text, print(w, back));
}

static void check_sample(World *w, const Sample *s)
{
    check_values(w, s);
    ex_walk(s->e, check_fixed_point, w);
    check_text(w, s->e);
}

/* Keeps a sample; when there is no room, in the place of another that is not a variable. */
static void keep(Grower *g, const Sample *s)
{
    int at = g->n < POOL ? g->n++ : (int)random_in(&g->w->seed, g->w->nvar, POOL - 1);
    g->at[at] = *s;
}

static const Sample *pick(Grower *g)
{
    return &g->at[random_in(&g->w->seed, 0, g->n - 1)];
}

static Sample constant(Grower *g, const Expr *e)
{
    (void)g;
    Sample s = {.e = e};
    for (int k = 0; k < CASES; k++) s.v[k] = eval_const(e);
    return s;
}

static Sample apply(Grower *g, ExprOp op, const Sample *a, const Sample *b)
{
    Exprs *x = g->w->x;
    const int arity = expr_info(op)->arity; /* the third operand of three is the first again */
    Sample s = {.e = arity == 3 ? ex_fma(x, a->e, b->e, a->e) : arity == 2 ? ex_binary(x, op, a->e, b->e) : ex_unary(x, op, a->e)};
    for (int k = 0; k < CASES; k++) {
        const Scalar v[] = {a->v[k], arity > 1 ? b->v[k] : (Scalar){.u = 0}, a->v[k]};
        s.v[k] = scalar_op(op, (DType)s.e->dt, (DType)a->e->dt, v);
    }
    return s;
}

static Sample convert(Grower *g, ExprOp op, DType to, const Sample *a)
{
    Sample s = {.e = op == EX_cast ? ex_cast(g->w->x, to, a->e) : ex_castsat(g->w->x, to, a->e)};
    for (int k = 0; k < CASES; k++) s.v[k] = scalar_op(op, to, (DType)a->e->dt, &a->v[k]);
    return s;
}

static Sample choose(Grower *g, const Sample *c, const Sample *a, const Sample *b)
{
    Sample s = {.e = ex_select(g->w->x, c->e, a->e, b->e)};
    for (int k = 0; k < CASES; k++) s.v[k] = c->v[k].i ? a->v[k] : b->v[k];
    return s;
}

static void start(Grower *g, World *w)
{
    g->w = w;
    for (int i = 0; i < w->nvar; i++) {
        Sample s = {.e = w->var[i]};
        memcpy(s.v, w->value[i], sizeof s.v);
        keep(g, &s);
    }
}

static void assign_bounds(World *w)
{
    for (int i = 0; i < w->nvar; i++) {
        const VarInfo *v = ex_var_info(w->x, w->var[i]);
        for (int k = 0; k < CASES; k++) w->value[i][k].i = random_in(&w->seed, v->lo, v->hi);
        w->value[i][0].i = v->lo;
        w->value[i][1].i = v->hi;
    }
}

static bool small(const Sample *s)
{
    for (int k = 0; k < CASES; k++)
        if (s->v[k].i > 1 << 20 || s->v[k].i < -(1 << 20)) return false;
    return ex_cost(s->e) < 100;
}

static Sample random_index_step(Grower *g)
{
    static const ExprOp ops[] = {
        EX_add, EX_add, EX_sub, EX_sub, EX_mul, EX_fdiv, EX_fdiv, EX_fdiv, EX_mod, EX_mod, EX_mod,
        EX_min, EX_max, EX_div, EX_rem, EX_neg, EX_abs, EX_sign, EX_band, EX_shr,
    };
    uint64_t *seed = &g->w->seed;
    ExprOp op = ops[random_in(seed, 0, COUNT(ops) - 1)];
    const Sample *a = pick(g), c = constant(g, ex_int(g->w->x, random_in(seed, -2, 12)));
    if (random_in(seed, 0, 15) == 0) {
        static const ExprOp compare[] = {EX_lt, EX_le, EX_eq, EX_ne};
        Sample cond = apply(g, compare[random_in(seed, 0, 3)], a, pick(g));
        check_sample(g->w, &cond);
        return choose(g, &cond, pick(g), pick(g));
    }
    return apply(g, op, a, random_in(seed, 0, 1) ? &c : pick(g));
}

static void grow_index(World *w, int steps)
{
    Grower g = {.n = 0};
    assign_bounds(w);
    start(&g, w);
    for (int i = 0; i < steps; i++) {
        Sample s = random_index_step(&g);
        if (!small(&s)) continue;
        check_sample(w, &s);
        keep(&g, &s);
    }
}

static void test_random_index(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 10; round++) {
        World w = index_world();
        w.seed = round;
        grow_index(&w, STEPS / 10);
        arena_free(w.arena);
    }
}

/* Extents as symbols: indices below them take values that fit the symbols' values. */
static World symbolic_world(uint64_t seed)
{
    World w = world(seed);
    const Expr *s = add_var(&w, VK_SYM, DT_ix, "s", 1, 40), *t = add_var(&w, VK_SYM, DT_ix, "t", 1, 9);
    w.var[w.nvar++] = ex_index(w.x, "i", s);
    w.var[w.nvar++] = ex_index(w.x, "j", t);
    w.var[w.nvar++] = ex_index(w.x, "p", ex_mul(w.x, s, t));
    add_var(&w, VK_INDEX, DT_ix, "k", 0, 3);
    for (int k = 0; k < CASES; k++) {
        int64_t vs = k == 0 ? 1 : random_in(&w.seed, 1, 40), vt = k == 1 ? 1 : random_in(&w.seed, 1, 9);
        const int64_t v[] = {vs, vt, random_in(&w.seed, 0, vs - 1), random_in(&w.seed, 0, vt - 1),
                             random_in(&w.seed, 0, vs * vt - 1), random_in(&w.seed, 0, 3)};
        for (int i = 0; i < w.nvar; i++) w.value[i][k].i = v[i];
    }
    return w;
}

static void test_random_symbolic(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 10; round++) {
        World w = symbolic_world(round + 100);
        Grower g = {.n = 0};
        start(&g, &w);
        for (int i = 0; i < STEPS / 10; i++) {
            Sample s = random_index_step(&g);
            if (!small(&s)) continue;
            check_sample(&w, &s);
            keep(&g, &s);
        }
        arena_free(w.arena);
    }
}

static const float edges[] = {0.0f, -0.0f, 1, -1, 0.5f, 2.5f, 1e-45f, 3e38f, INFINITY, -INFINITY, NAN, 300, -7.75f};

static const Expr *random_const(World *w, DType dt)
{
    static const int64_t ints[] = {0, 1, -1, 2, 7, 31, 32, 127, 255, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
    if (dtype_is_float(dt)) return ex_const_f(w->x, dt, (double)edges[random_in(&w->seed, 0, COUNT(edges) - 1)]);
    return ex_const_i(w->x, dt, ints[random_in(&w->seed, 0, COUNT(ints) - 1)]);
}

static void assign_values(World *w)
{
    for (int i = 0; i < w->nvar; i++)
        for (int k = 0; k < CASES; k++) w->value[i][k] = eval_const(random_const(w, (DType)w->var[i]->dt));
}

static DType random_type(World *w)
{
    static const DType types[] = {DT_f32, DT_f64, DT_i32, DT_i64, DT_u32, DT_u64, DT_bool, DT_i8, DT_u8, DT_f16,
                                  DT_bf16, DT_i4, DT_u2, DT_f8e4m3fn, DT_f8e5m2, DT_f8e8m0, DT_ix, DT_i32, DT_f32};
    return types[random_in(&w->seed, 0, COUNT(types) - 1)];
}

static const Sample *pick_type(Grower *g, DType dt)
{
    const Sample *s = pick(g);
    for (int tries = 0; s->e->dt != dt && tries < 200; tries++) s = pick(g);
    return s;
}

/* Functions of libm are left out, they have no rules, and ix arithmetic, which must not overflow. */
static bool usable(ExprOp op, DType dt)
{
    bool rounds = op == EX_floor || op == EX_ceil || op == EX_rint || op == EX_trunc;
    if (!expr_accepts(op, dt) || dt == DT_ix) return false;
    return expr_info(op)->cost < 5 || rounds;
}

static Sample random_value_step(Grower *g)
{
    World *w = g->w;
    const Sample *a = pick(g);
    DType dt = (DType)a->e->dt;
    int64_t kind = random_in(&w->seed, 0, 9);
    if (kind < 3) return convert(g, kind ? EX_cast : EX_castsat, random_type(w), a);
    const Sample *b = pick_type(g, dt), *c = pick_type(g, DT_bool);
    Sample fresh = constant(g, random_const(w, dt));
    if (b->e->dt != dt || random_in(&w->seed, 0, 2) == 0) b = &fresh;
    if (kind == 3 && c->e->dt == DT_bool) return choose(g, c, a, b);
    for (int tries = 0; tries < 100; tries++) {
        ExprOp op = (ExprOp)random_in(&w->seed, EX_add, EX_count - 1);
        if (usable(op, dt)) return kind & 1 ? apply(g, op, a, b) : apply(g, op, b, a);
    }
    return *a;
}

static void test_random_values(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 10; round++) {
        World w = value_world();
        Grower g = {.n = 0};
        w.seed = round + 1000;
        assign_values(&w);
        start(&g, &w);
        for (int i = 0; i < STEPS / 4; i++) {
            Sample s = random_value_step(&g);
            if (ex_cost(s.e) > 60) continue;
            check_sample(&w, &s);
            keep(&g, &s);
        }
        arena_free(w.arena);
    }
}

/* ---------------------------------------------------------------------------------------------------------- indices */

static void test_sums(void **state)
{
    (void)state;
    World w = index_world();
    simplifies(&w, "j + i", "i + j");
    simplifies(&w, "i + j - i", "j");
    simplifies(&w, "2*(i + 3) - i - 6", "i");
    simplifies(&w, "-(i - j)", "-i + j");
    simplifies(&w, "3 - 2*i - 5", "-2*i - 2");
    simplifies(&w, "(i + 1)*(j + 2)", "(i + 1)*(j + 2)");
    simplifies(&w, "(2*i + 2)*(1 - j)", "-2*((i + 1)*(j - 1))");
    simplifies(&w, "i*(j + 2)", "2*i + i*j");
    simplifies(&w, "j*n*i - n*i*j", "0");
    simplifies(&w, "0*i", "0");
    assert_ptr_equal(parse(&w, "i + (j + k)"), parse(&w, "(k + i) + j"));
    assert_ptr_equal(parse(&w, "i*j*k"), parse(&w, "k*(j*i)"));
    arena_free(w.arena);
}

static void test_division(void **state)
{
    (void)state;
    World w = index_world();
    simplifies(&w, "fdiv(4*i + k, 4)", "i");
    simplifies(&w, "mod(4*i + k, 4)", "k");
    simplifies(&w, "fdiv(12*i + 4*j + k, 12)", "i");
    simplifies(&w, "fdiv(4*l + k, 8)", "fdiv(l, 2)");
    simplifies(&w, "mod(4*l + k, 8)", "k + 4*mod(l, 2)");
    simplifies(&w, "fdiv(fdiv(l, 3), 4)", "fdiv(l, 12)");
    simplifies(&w, "fdiv(fdiv(n, 3) + 1, 4)", "fdiv(n + 3, 12)");
    simplifies(&w, "mod(mod(l, 12), 4)", "mod(l, 4)");
    simplifies(&w, "fdiv(mod(l, 12), 4)", "mod(fdiv(l, 4), 3)");
    simplifies(&w, "l - 4*fdiv(l, 4)", "mod(l, 4)");
    simplifies(&w, "4*fdiv(l, 4) + mod(l, 4)", "l");
    simplifies(&w, "12*fdiv(l, 12) + 4*mod(fdiv(l, 4), 3) + mod(l, 4)", "l");
    simplifies(&w, "4*mod(fdiv(l, 4), 3) + mod(l, 4)", "mod(l, 12)");
    simplifies(&w, "fdiv(l, 2) - 3*fdiv(l, 6)", "mod(fdiv(l, 2), 3)");
    simplifies(&w, "fdiv(6*n, 4)", "fdiv(3*n, 2)");
    simplifies(&w, "mod(6*n, 4)", "2*mod(3*n, 2)");
    simplifies(&w, "fdiv(n, 0)", "0");
    simplifies(&w, "mod(n, 0)", "0");
    simplifies(&w, "fdiv(n, -2)", "fdiv(-n, 2)");
    simplifies(&w, "i/4", "fdiv(i, 4)");
    simplifies(&w, "rem(i, 4)", "mod(i, 4)");
    simplifies(&w, "fdiv(k, 4)", "0");
    simplifies(&w, "mod(k - 4, 4)", "k");
    arena_free(w.arena);
}

static void test_symbolic_division(void **state)
{
    (void)state;
    World w = symbolic_world(1);
    simplifies(&w, "fdiv(s*k, s)", "k");
    simplifies(&w, "mod(s*k, s)", "0");
    simplifies(&w, "fdiv(i*t + j, t)", "i");
    simplifies(&w, "mod(i*t + j, t)", "j");
    simplifies(&w, "fdiv(s*t*k, t*s)", "k");
    simplifies(&w, "fdiv((s + 1)*k, s + 1)", "k");
    simplifies(&w, "t*fdiv(p, t) + mod(p, t)", "p");
    simplifies(&w, "fdiv(p, s*t)", "0");
    simplifies(&w, "fdiv(4*i + k, 4*s)", "0");
    simplifies(&w, "fdiv(t*i + j, t*k + t)", "fdiv(i, k + 1)");
    simplifies(&w, "lt(i, s)", "true");
    simplifies(&w, "lt(t*i + j, s*t)", "true");
    simplifies(&w, "le(s, i)", "false");
    simplifies(&w, "min(i, s)", "i");
    arena_free(w.arena);
}

/* Reshape [12,3,4] -> [9,16] -> [12,3,4] is the identity, and [24] -> [4,6] -> [24]. */
static void test_reshape_of_reshape(void **state)
{
    (void)state;
    World w = index_world();
    const Expr *flat = parse(&w, "12*i + 4*j + k"), *v[3];
    v[0] = ex_fdiv(w.x, flat, ex_int(w.x, 16));
    v[1] = ex_mod(w.x, flat, ex_int(w.x, 16));
    flat = ex_add(w.x, ex_mul(w.x, v[0], ex_int(w.x, 16)), v[1]);
    assert_string_equal(print(&w, ex_fdiv(w.x, flat, ex_int(w.x, 12))), "i");
    assert_string_equal(print(&w, ex_mod(w.x, ex_fdiv(w.x, flat, ex_int(w.x, 4)), ex_int(w.x, 3))), "j");
    assert_string_equal(print(&w, ex_mod(w.x, flat, ex_int(w.x, 4))), "k");
    simplifies(&w, "6*fdiv(l, 6) + mod(l, 6)", "l");
    arena_free(w.arena);
}

static void test_decided(void **state)
{
    (void)state;
    World w = index_world();
    simplifies(&w, "lt(k, 4)", "true");
    simplifies(&w, "lt(i, 4)", "lt(i, 4)");
    simplifies(&w, "gt(i, 11)", "false");
    simplifies(&w, "ge(i, 4)", "le(4, i)");
    simplifies(&w, "lt(i, i + 1)", "true");
    simplifies(&w, "eq(i, i + 1)", "false");
    simplifies(&w, "min(i, i + k)", "i");
    simplifies(&w, "max(k, 3)", "3");
    simplifies(&w, "min(min(n, 5), 3)", "min(n, 3)");
    simplifies(&w, "select(lt(k, 9), i, j)", "i");
    simplifies(&w, "select(lt(i, 4), j, j)", "j");
    simplifies(&w, "not(lt(i, 4))", "le(4, i)");
    simplifies(&w, "and(lt(k, 9), lt(i, 4))", "lt(i, 4)");
    simplifies(&w, "or(lt(i, 4), not(lt(i, 4)))", "or(lt(i, 4), le(4, i))");
    arena_free(w.arena);
}

static void test_extent_one(void **state)
{
    (void)state;
    World w = world(1);
    const Expr *one = add_var(&w, VK_INDEX, DT_ix, "o", 0, 0);
    const Expr *index[] = {one, one};
    assert_true(ex_is_int(ex_add(w.x, one, ex_int(w.x, 7)), 7));
    assert_true(ex_is_int(ex_load(w.x, DT_f32, 0, 2, index)->a[1], 0));
    assert_ptr_equal(one->op, EX_var);
    arena_free(w.arena);
}

static void test_affine_view(void **state)
{
    (void)state;
    World w = index_world();
    bool linear;
    const Expr *e = parse(&w, "2*i - 3*j + fdiv(l, 2) + 5");
    Affine f = ex_affine(w.arena, e);
    assert_int_equal(f.n, 3);
    assert_int_equal(f.c, 5);
    assert_int_equal(f.t[0].coef, 2);
    assert_int_equal(f.t[1].coef, -3);
    assert_ptr_equal(ex_from_affine(w.x, &f), e);
    assert_int_equal(ex_coef(e, w.var[1], &linear), -3);
    assert_true(linear);
    assert_int_equal(ex_coef(e, w.var[3], &linear), 0);
    assert_false(linear);
    assert_true(ex_uses(e, w.var[3]));
    assert_false(ex_uses(e, w.var[2]));
    assert_int_equal(ex_upper(w.x, e), 22 + 11 + 5);
    arena_free(w.arena);
}

/* ----------------------------------------------------------------------------------------------------------- values */

static void test_float_rules(void **state)
{
    (void)state;
    World w = value_world();
    simplifies(&w, "x*1f32", "x");
    simplifies(&w, "1f32*x", "x");
    simplifies(&w, "x/1f32", "x");
    simplifies(&w, "x + -0f32", "x");
    simplifies(&w, "x - 0f32", "x");
    simplifies(&w, "x + 0f32", "x + 0f32");
    simplifies(&w, "x - -0f32", "x - -0f32");
    simplifies(&w, "x*0f32", "x*0f32");
    simplifies(&w, "x - x", "x - x");
    simplifies(&w, "eq(x, x)", "eq(x, x)");
    simplifies(&w, "not(lt(x, y))", "not(lt(x, y))");
    simplifies(&w, "not(eq(x, y))", "ne(x, y)");
    simplifies(&w, "--x", "x");
    simplifies(&w, "max(x, x)", "x");
    simplifies(&w, "max(max(x, y), y)", "max(x, y)");
    simplifies(&w, "max(y, max(x, y))", "max(y, max(x, y))");
    simplifies(&w, "y + x", "y + x");
    simplifies(&w, "x + y + x", "x + y + x");
    simplifies(&w, "x + (y + x)", "x + (y + x)");
    simplifies(&w, "abs(-x)", "abs(x)");
    simplifies(&w, "floor(ceil(x))", "ceil(x)");
    simplifies(&w, "select(c, x, x)", "x");
    simplifies(&w, "select(not(c), x, y)", "select(c, y, x)");
    simplifies(&w, "2f32*3f32", "6f32");
    simplifies(&w, "0f32/0f32", "nanf32");
    simplifies(&w, "-1f32/0f32", "-inff32");
    simplifies(&w, "-0f32", "-0f32");
    arena_free(w.arena);
}

static void test_casts(void **state)
{
    (void)state;
    World w = value_world();
    simplifies(&w, "f16(f32(%h[0]))", "%h[0]");
    simplifies(&w, "f64(f32(%h[0]))", "f64(%h[0])");
    simplifies(&w, "f32(f16(x))", "f32(f16(x))");
    simplifies(&w, "bf16(f32(%h[0]))", "bf16(%h[0])");
    simplifies(&w, "u8(i32(%q[0]))", "%q[0]");
    simplifies(&w, "i8(i32(a))", "i8(a)");
    simplifies(&w, "i64(i32(a))", "i64(i32(a))");
    simplifies(&w, "i32(f32(%q[0]))", "i32(%q[0])");
    simplifies(&w, "i32(f64(a))", "i32(f64(a))");
    simplifies(&w, "i8(f32(%q[0]))", "i8(f32(%q[0]))");
    simplifies(&w, "bool(i32(c))", "c");
    simplifies(&w, "sat_i32(i32(%q[0]))", "i32(%q[0])");
    simplifies(&w, "sat_i8(u)", "sat_i8(u)");
    simplifies(&w, "sat_u8(300i32)", "255u8");
    simplifies(&w, "u8(300i32)", "44u8");
    simplifies(&w, "bits_f32(bits_i32(x))", "x");
    simplifies(&w, "bits_i32(1f32)", "1065353216i32");
    simplifies(&w, "ix(i64(%q[0]) + 3i64)", "ix(%q[0]) + 3");
    simplifies(&w, "ix(a + 3i64)", "ix(a + 3i64)");
    arena_free(w.arena);
}

static void test_int_rules(void **state)
{
    (void)state;
    World w = value_world();
    simplifies(&w, "u - u", "0i32");
    simplifies(&w, "0i32*u", "0i32");
    simplifies(&w, "u + 0i32", "u");
    simplifies(&w, "v + u", "u + v");
    simplifies(&w, "u & -1i32", "u");
    simplifies(&w, "u + 1i32 - 1i32", "u + 1i32 - 1i32");
    simplifies(&w, "le(u, u)", "true");
    simplifies(&w, "lt(i32(%q[0]), 256i32)", "true");
    simplifies(&w, "mod(i32(%q[0]), 256i32)", "mod(i32(%q[0]), 256i32)");
    simplifies(&w, "eq(c, true)", "c");
    simplifies(&w, "eq(c, false)", "not(c)");
    simplifies(&w, "select(c, true, false)", "c");
    arena_free(w.arena);
}

/* ---------------------------------------------------------------------------------------------- operators versus C */

static Scalar op2(ExprOp op, DType dt, Scalar a, Scalar b)
{
    const Scalar v[] = {a, b};
    return scalar_op(op, expr_info(op)->kind == 'T' ? dt : DT_bool, dt, v);
}

static int64_t op_i32(ExprOp op, int64_t a, int64_t b)
{
    return op2(op, DT_i32, (Scalar){.i = a}, (Scalar){.i = b}).i;
}

static uint64_t op_u32(ExprOp op, uint64_t a, uint64_t b)
{
    return op2(op, DT_u32, (Scalar){.u = a}, (Scalar){.u = b}).u;
}

static float op_f32(ExprOp op, float a, float b)
{
    return op2(op, DT_f32, (Scalar){.f32 = a}, (Scalar){.f32 = b}).f32;
}

/* i8 has few enough values to compare i32 arithmetic on all pairs with the definitions in C. */
static void test_integer_ops(void **state)
{
    (void)state;
    for (int a = -40; a <= 40; a++) {
        for (int b = -40; b <= 40; b++) {
            int floor_q = b ? (int)floor((double)a / b) : 0;
            assert_int_equal(op_i32(EX_add, a, b), a + b);
            assert_int_equal(op_i32(EX_mul, a, b), a * b);
            assert_int_equal(op_i32(EX_div, a, b), b ? a / b : 0);
            assert_int_equal(op_i32(EX_rem, a, b), b ? a % b : 0);
            assert_int_equal(op_i32(EX_fdiv, a, b), floor_q);
            assert_int_equal(op_i32(EX_mod, a, b), b ? a - b * floor_q : 0);
            assert_int_equal(op_i32(EX_min, a, b), a < b ? a : b);
            assert_int_equal(op_i32(EX_bxor, a, b), a ^ b);
            assert_int_equal(op_i32(EX_lt, a, b), a < b);
            assert_int_equal(op_i32(EX_shl, a, b), b < 0 || b > 31 ? 0 : (int32_t)((uint32_t)a << b));
            assert_int_equal(op_i32(EX_shr, a, b), b < 0 || b > 31 ? (a < 0 ? -1 : 0) : (int)floor(ldexp(a, -b)));
        }
    }
}

static void test_integer_edges(void **state)
{
    (void)state;
    assert_int_equal(op_i32(EX_add, INT32_MAX, 1), INT32_MIN);
    assert_int_equal(op_i32(EX_div, INT32_MIN, -1), INT32_MIN);
    assert_int_equal(op_i32(EX_rem, INT32_MIN, -1), 0);
    assert_int_equal(op_i32(EX_abs, INT32_MIN, 0), INT32_MIN);
    assert_int_equal(op_i32(EX_neg, INT32_MIN, 0), INT32_MIN);
    assert_int_equal(op_i32(EX_pow, 3, 4), 81);
    assert_int_equal(op_i32(EX_pow, 3, -1), 0);
    assert_int_equal(op_i32(EX_pow, -1, -3), -1);
    assert_int_equal(op_i32(EX_pow, 3, 31), 0x4b5f6a2b); /* 617673396283947 modulo 2^32 */
    assert_int_equal(op_u32(EX_sub, 0, 1), UINT32_MAX);
    assert_int_equal(op_u32(EX_lt, 1, UINT32_MAX), 1);
    assert_int_equal(op_u32(EX_shr, UINT32_MAX, 31), 1);
    assert_int_equal(op_u32(EX_shr, UINT32_MAX, 32), 0);
    assert_int_equal(op2(EX_div, DT_i64, (Scalar){.i = INT64_MIN}, (Scalar){.i = -1}).i, INT64_MIN);
    assert_int_equal(op2(EX_mod, DT_i64, (Scalar){.i = INT64_MIN}, (Scalar){.i = -1}).i, 0);
    assert_int_equal(op2(EX_max, DT_u64, (Scalar){.u = UINT64_MAX}, (Scalar){.u = 1}).u, UINT64_MAX);
}

static void test_float_ops(void **state)
{
    (void)state;
    assert_true(isnan(op_f32(EX_min, NAN, 1)) && isnan(op_f32(EX_min, 1, NAN)));
    assert_true(isnan(op_f32(EX_max, NAN, 1)) && isnan(op_f32(EX_max, 1, NAN)));
    assert_true(signbit(op_f32(EX_max, -0.0f, 0.0f)) && !signbit(op_f32(EX_max, 0.0f, -0.0f)));
    assert_true(op_f32(EX_mod, -1, 3) == 2 && op_f32(EX_mod, 1, -3) == -2 && op_f32(EX_rem, -1, 3) == -1);
    assert_true(signbit(op_f32(EX_mod, 3, -3)) && isnan(op_f32(EX_mod, 1, 0)));
    assert_true(op_f32(EX_rint, 2.5f, 0) == 2 && op_f32(EX_rint, -1.5f, 0) == -2);
    const Scalar near[] = {{.f32 = 1 + 0x1p-20f}, {.f32 = 1 - 0x1p-20f}, {.f32 = -1}};
    assert_true(scalar_op(EX_fma, DT_f32, DT_f32, near).f32 == -0x1p-40f);
    assert_true(isnan(op_f32(EX_sign, NAN, 0)) && op_f32(EX_sign, -3, 0) == -1 && op_f32(EX_sign, -0.0f, 0) == 0);
    assert_true(op_f32(EX_exp, 1.25f, 0) == expf(1.25f) && op_f32(EX_erf, 0.3f, 0) == erff(0.3f));
    assert_true(op2(EX_log, DT_f64, (Scalar){.f64 = 3}, (Scalar){.u = 0}).f64 == log(3));
    assert_int_equal(op2(EX_isinf, DT_f32, (Scalar){.f32 = -INFINITY}, (Scalar){.u = 0}).i, 1);
    assert_int_equal(op2(EX_isnan, DT_f64, (Scalar){.f64 = NAN}, (Scalar){.u = 0}).i, 1);
    assert_int_equal(op2(EX_le, DT_f32, (Scalar){.f32 = NAN}, (Scalar){.f32 = NAN}).i, 0);
    assert_int_equal(op2(EX_eq, DT_str, (Scalar){.s = "ab"}, (Scalar){.s = "ab"}).i, 1);
    assert_int_equal(op2(EX_lt, DT_str, (Scalar){.s = "ab"}, (Scalar){.s = "b"}).i, 1);
}

static int64_t to_int(DType dt, bool sat, float v)
{
    const Scalar s = {.f32 = v};
    return scalar_op(sat ? EX_castsat : EX_cast, dt, DT_f32, &s).i;
}

static float to_f32(DType dt, bool sat, float v)
{
    const Scalar s = {.f32 = v};
    return scalar_op(sat ? EX_castsat : EX_cast, dt, DT_f32, &s).f32;
}

static void test_conversions(void **state)
{
    (void)state;
    assert_int_equal(to_int(DT_i32, false, -2.9f), -2);
    assert_int_equal(to_int(DT_i32, false, NAN), 0);
    assert_int_equal(to_int(DT_i32, false, 3e9f), INT32_MAX);
    assert_int_equal(to_int(DT_i64, false, -INFINITY), INT64_MIN);
    assert_int_equal(to_int(DT_u64, false, INFINITY), UINT64_MAX);
    assert_int_equal(to_int(DT_u8, false, 300), 44);
    assert_int_equal(to_int(DT_u8, true, 300), 255);
    assert_int_equal(to_int(DT_i4, true, -100), -8);
    assert_int_equal(to_int(DT_bool, false, NAN), 1);
    assert_int_equal(to_int(DT_bool, false, -0.0f), 0);
    assert_true(to_f32(DT_f16, false, 70000) == INFINITY);
    assert_true(to_f32(DT_f16, false, 1 + 0x1p-11f) == 1);
    assert_true(to_f32(DT_f8e4m3fn, true, 1000) == 448 && isnan(to_f32(DT_f8e4m3fn, false, 1000)));
    assert_true(to_f32(DT_f8e5m2, true, INFINITY) == 57344 && isinf(to_f32(DT_f8e5m2, false, INFINITY)));
    const Scalar big = {.u = UINT64_MAX}, minus = {.i = -1};
    assert_true(scalar_op(EX_cast, DT_f32, DT_u64, &big).f32 == 0x1p64f);
    assert_int_equal(scalar_op(EX_castsat, DT_i32, DT_u64, &big).i, INT32_MAX);
    assert_int_equal(scalar_op(EX_castsat, DT_u64, DT_i64, &minus).u, 0);
    assert_int_equal(scalar_op(EX_cast, DT_u64, DT_i32, &minus).u, UINT64_MAX);
    assert_int_equal(scalar_op(EX_cast, DT_i2, DT_i32, &(Scalar){.i = 6}).i, -2);
}

/* Every type in memory comes back as it went, and from every numeric type to every other there is a conversion. */
static void test_all_types(void **state)
{
    (void)state;
    for (DType from = 1; from < DT_count; from++) {
        DClass c = dtype_info(from)->cls;
        if (c == DC_S || c == DC_C) continue;
        unsigned char memory[8], again[8] = {0};
        const Scalar two = {.i = 2};
        dtype_put_i(from, memory, 1);
        Scalar v = scalar_load(from, memory);
        scalar_store(from, again, v);
        assert_memory_equal(memory, again, dtype_bytes(from));
        for (DType to = 1; to < DT_count; to++) {
            c = dtype_info(to)->cls;
            if (c == DC_S || c == DC_C) continue;
            Scalar r = scalar_op(EX_cast, to, from, &v);
            assert_int_equal(scalar_op(EX_cast, DT_i32, to, &r).i, dtype_max(DT_i2) > 1 ? two.i : 1);
        }
    }
}

/* ------------------------------------------------------------------------------------------------------------- text */

static void test_text(void **state)
{
    (void)state;
    World w = index_world();
    simplifies(&w, "%t[2*i + k - 1, j]", "%t[2*i+k-1,j]");
    simplifies(&w, "%t[i, j - 1 | -inff32]", "%t[i,j-1 | -inff32]");
    simplifies(&w, "%q[(n | 1) | 7]", "%q[(n|1) | 7u8]");
    simplifies(&w, "%s[]", "%s[]");
    simplifies(&w, "f32(%q[i])*0.1f32 + 1e10f32", "f32(%q[i])*0.1f32 + 1e+10f32");
    simplifies(&w, "-0x1.8p3f64", "-12f64");
    simplifies(&w, "-2147483648i32", "-2147483648i32");
    simplifies(&w, "18446744073709551615u64", "18446744073709551615u64");
    simplifies(&w, "-9223372036854775808", "-9223372036854775808");
    simplifies(&w, "select(lt(i, 4), %t[i, 0], -%t[0, i])", "select(lt(i, 4), %t[i,0], -%t[0,i])");
    assert_string_equal(print(&w, parse_bare(&w, "%t[i, 2*j]*2 + 0.5", DT_f32)), "%t[i,2*j]*2f32 + 0.5f32");
    arena_free(w.arena);
}

static void rejects(World *w, const char *text, const char *why, int column)
{
    const char *error = NULL, *s = text;
    const ExprScope scope = {scope_var, scope_tensor, DT_ix, w};
    assert_null(ex_parse(w->x, &s, &scope, &error));
    assert_string_equal(error, why);
    assert_int_equal(s - text, column);
}

static void test_text_errors(void **state)
{
    (void)state;
    World w = index_world();
    rejects(&w, "", "an expression is expected", 0);
    rejects(&w, "i + ", "an expression is expected", 4);
    rejects(&w, "i + 1f32", "the operands have different types", 2);
    rejects(&w, "sqrt(i)", "the operation is not defined on this type", 0);
    rejects(&w, "foo(i)", "the function is not known", 0);
    rejects(&w, "min(i)", "the function has another number of operands", 0);
    rejects(&w, "min(i, j", "a closing parenthesis is expected", 8);
    rejects(&w, "w + 1", "the variable is not known", 0);
    rejects(&w, "%w[1]", "the tensor is not known", 0);
    rejects(&w, "%t[1]", "the tensor has more dimensions", 4);
    rejects(&w, "%q[1, 2]", "a closing bracket is expected", 4);
    rejects(&w, "%q[1f32]", "an index is of type ix", 3);
    rejects(&w, "%q[1 | 2f32]", "the fill has not the type of the tensor", 7);
    rejects(&w, "1.5", "a literal with a fraction needs a float type", 0);
    rejects(&w, "3foo", "the literal's type is not a number type", 1);
    rejects(&w, "300u8", "the literal does not fit its type", 0);
    rejects(&w, "99999999999999999999", "the literal does not fit its type", 0);
    rejects(&w, "select(i, j, k)", "the condition is not of type bool", 0);
    rejects(&w, "bits_f64(1f32)", "bits are taken from a type of the same width", 0);
    arena_free(w.arena);
}

static void test_deep_text(void **state)
{
    (void)state;
    World w = index_world();
    Text t = {.arena = w.arena};
    for (int k = 0; k < 100000; k++) text_add(&t, "(");
    const char *error = NULL, *s = text_str(&t);
    const ExprScope scope = {scope_var, scope_tensor, DT_ix, &w};
    assert_null(ex_parse(w.x, &s, &scope, &error));
    assert_string_equal(error, "the expression is nested too deeply");
    arena_free(w.arena);
}

static void test_shared_names(void **state)
{
    (void)state;
    World w = index_world();
    const Expr *other = ex_var(w.x, VK_INDEX, DT_ix, "i", 0, 5);
    Text t = {.arena = w.arena};
    ex_print(&t, w.x, ex_add(w.x, ex_mul(w.x, w.var[0], other), w.var[1]), NULL, NULL);
    assert_string_equal(text_str(&t), "j + i#0*i#5");
    arena_free(w.arena);
}

/* -------------------------------------------------------------------------------------------------------- rewriting */

enum { DEEP = 100000 };

static const Expr *deep_chain(World *w, const Expr *leaf)
{
    const Expr *e = leaf;
    for (int k = 0; k < DEEP; k++)
        e = ex_binary(w->x, k & 1 ? EX_max : EX_add, e, ex_const_f(w->x, DT_f32, k));
    return e;
}

static void test_deep_chain(void **state)
{
    (void)state;
    World w = value_world();
    const Expr *e = deep_chain(&w, w.var[0]);
    const Subst s = {w.var[0], w.var[1]};
    assert_ptr_equal(ex_subst(w.x, e, &s, 1), deep_chain(&w, w.var[1]));
    assert_true(ex_uses(e, w.var[0]) && !ex_uses(e, w.var[1]));
    assert_true(ex_cost(e) >= DEEP);
    Text t = {.arena = w.arena};
    ex_print(&t, w.x, e, NULL, NULL);
    assert_true(t.n > DEEP);
    arena_free(w.arena);
}

/* x_n = x_(n-1) * x_(n-1) has 2^n paths. */
static void test_shared_nodes(void **state)
{
    (void)state;
    World w = value_world();
    const Expr *e = w.var[0], *f = w.var[1];
    for (int k = 0; k < 200; k++) {
        e = ex_mul(w.x, e, e);
        f = ex_mul(w.x, f, f);
    }
    const Subst s = {w.var[0], w.var[1]};
    assert_ptr_equal(ex_subst(w.x, e, &s, 1), f);
    assert_int_equal(ex_cost(e), 200);
    arena_free(w.arena);
    w = index_world();
    e = w.var[4];
    for (int k = 0; k < 200; k++) e = ex_mul(w.x, e, ex_add(w.x, e, e));
    assert_true(ex_cost(e) < 100000);
    arena_free(w.arena);
}

static void test_subst(void **state)
{
    (void)state;
    World w = index_world();
    const Subst swap[] = {{w.var[0], w.var[1]}, {w.var[1], w.var[0]}};
    assert_string_equal(print(&w, ex_subst(w.x, parse(&w, "2*i + 3*j + n"), NULL, 0)), "2*i + 3*j + n");
    assert_string_equal(print(&w, ex_subst(w.x, parse(&w, "2*i + 3*j"), swap, 2)), "3*i + 2*j");
    const Subst whole[] = {{parse(&w, "fdiv(l, 4)"), parse(&w, "i + 1")}};
    assert_string_equal(print(&w, ex_subst(w.x, parse(&w, "fdiv(l, 4) + mod(l, 4)"), whole, 1)), "i + mod(l, 4) + 1");
    const Expr *load = parse(&w, "%t[i, j]");
    const Subst body[] = {{load, parse(&w, "f32(%q[l])")}};
    assert_string_equal(print(&w, ex_subst(w.x, parse(&w, "%t[i,j]*%t[i,j]"), body, 1)), "f32(%q[l])*f32(%q[l])");
    arena_free(w.arena);
}

/* A callback that rewrites again, over nodes of the walk it is called from. */
static const Expr *nested(void *ctx, const Expr *e)
{
    World *w = ctx;
    const Subst s = {w->var[0], ex_int(w->x, 5)};
    const Expr *r = ex_subst(w->x, e, &s, 1);
    assert_true(ex_cost(e) >= 0 && !ex_uses(r, w->var[0]));
    return r;
}

static void test_nested_walks(void **state)
{
    (void)state;
    World w = index_world();
    const Expr *e = parse(&w, "%t[fdiv(i + l, 3), i]*%t[i, fdiv(i + l, 3)]");
    assert_string_equal(print(&w, ex_map(w.x, e, nested, &w)), "%t[fdiv(l+2,3)+1,5]*%t[5,fdiv(l+2,3)+1]");
    arena_free(w.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integer_ops), cmocka_unit_test(test_integer_edges), cmocka_unit_test(test_float_ops),
        cmocka_unit_test(test_conversions), cmocka_unit_test(test_all_types), cmocka_unit_test(test_sums),
        cmocka_unit_test(test_division), cmocka_unit_test(test_symbolic_division),
        cmocka_unit_test(test_reshape_of_reshape), cmocka_unit_test(test_decided), cmocka_unit_test(test_extent_one),
        cmocka_unit_test(test_affine_view), cmocka_unit_test(test_float_rules), cmocka_unit_test(test_casts),
        cmocka_unit_test(test_int_rules), cmocka_unit_test(test_text), cmocka_unit_test(test_text_errors),
        cmocka_unit_test(test_deep_text), cmocka_unit_test(test_shared_names), cmocka_unit_test(test_subst),
        cmocka_unit_test(test_nested_walks), cmocka_unit_test(test_deep_chain), cmocka_unit_test(test_shared_nodes),
        cmocka_unit_test(test_random_index), cmocka_unit_test(test_random_symbolic),
        cmocka_unit_test(test_random_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

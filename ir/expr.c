/* SPDX-License-Identifier: Apache-2.0
 *
 * The pool of expressions: interning, the constructors, questions and rewriting. Rules are elsewhere (expr_pool.h).
 *
 * A node lies behind a Head with its bounds. Equal nodes are found by a hash table over (operation, type, payload,
 * operand ids), so structure never depends on addresses. Walks keep no table: they stamp the nodes they meet with the
 * walk's number and keep their stack, order and edges in growable scratch of the pool, so depth costs no C stack and a
 * walk is linear in the distinct nodes below its root.
 */
#include "expr_pool.h"

static const ExprInfo info[EX_count] = {
#define EXPR(name, arity, kind, prec, cost, text, what) [EX_##name] = {#name, text, arity, #kind[0], prec, cost},
#include "expr.def"
#undef EXPR
};

const ExprInfo *expr_info(ExprOp op)
{
    return &info[op];
}

/* ------------------------------------------------------------------------------------------------------ interning */

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 32;
}

static uint64_t hash_node(ExprOp op, DType dt, uint16_t n, int64_t payload, const Expr *const *a)
{
    uint64_t h = mix((uint64_t)op << 32 | (uint64_t)dt << 16 | n, (uint64_t)payload);
    for (uint16_t i = 0; i < n; i++) h = mix(h, a[i]->id);
    return h;
}

static bool same_node(const Expr *e, ExprOp op, DType dt, uint16_t n, int64_t payload, const Expr *const *a)
{
    if (e->op != op || e->dt != dt || e->n != n || e->v.i != payload) return false;
    for (uint16_t i = 0; i < n; i++)
        if (e->a[i] != a[i]) return false;
    return true;
}

static void rehash(Exprs *x)
{
    const Expr **old = x->table;
    uint32_t size = x->mask + 1;
    if (size > UINT32_MAX / 4) ICE("%u expressions in one pool", x->n);
    x->mask = size * 2 - 1;
    x->table = NEWN(x->arena, const Expr *, (size_t)size * 2);
    for (uint32_t k = 0; k < size; k++) {
        const Expr *e = old[k];
        if (!e) continue;
        uint32_t h = (uint32_t)hash_node((ExprOp)e->op, (DType)e->dt, e->n, e->v.i, e->a) & x->mask;
        while (x->table[h]) h = (h + 1) & x->mask;
        x->table[h] = e;
    }
}

static Expr *new_node(Exprs *x, ExprOp op, DType dt, uint16_t n, int64_t payload, const Expr *const *a)
{
    Head *h = arena_alloc(x->arena, sizeof(Head) + sizeof(Expr) + n * sizeof(const Expr *), _Alignof(Head));
    Expr *e = (Expr *)(h + 1);
    h->pool = x;
    e->op = (uint8_t)op;
    e->dt = (uint8_t)dt;
    e->n = n;
    e->id = x->n++;
    e->v.i = payload;
    for (uint16_t i = 0; i < n; i++) e->a[i] = a[i];
    return e;
}

/* The node with these parts; `r` are its bounds when it is new. */
static const Expr *intern(Exprs *x, ExprOp op, DType dt, uint16_t n, int64_t payload, const Expr *const *a, Range r)
{
    if (x->n > x->mask / 2) rehash(x);
    uint32_t h = (uint32_t)hash_node(op, dt, n, payload, a) & x->mask;
    for (; x->table[h]; h = (h + 1) & x->mask)
        if (same_node(x->table[h], op, dt, n, payload, a)) return x->table[h];
    Expr *e = new_node(x, op, dt, n, payload, a);
    head_of(e)->range = r;
    x->table[h] = e;
    return e;
}

/* The node of an operation to which no rule applies; a constant when its bounds leave one value. */
const Expr *pool_node(Exprs *x, ExprOp op, DType dt, uint16_t n, const Expr *const *a)
{
    Range r = range_op(op, dt, a);
    if (range_is_point(r) && !dtype_is_float(dt)) return ex_const_i(x, dt, r.lo);
    return intern(x, op, dt, n, 0, a, r);
}

const Expr *pool_bool(Exprs *x, bool v)
{
    return ex_const_i(x, DT_bool, v);
}

/* ---------------------------------------------------------------------------------------------- constant operands */

static Scalar scalar_of(const Expr *e)
{
    if (e->dt == DT_f64) return (Scalar){.f64 = e->v.f};
    if (dtype_is_float((DType)e->dt)) return (Scalar){.f32 = (float)e->v.f};
    return (Scalar){.i = e->v.i};
}

static const Expr *const_of(Exprs *x, DType dt, Scalar v)
{
    if (dt == DT_f64) return ex_const_f(x, dt, v.f64);
    return dtype_is_float(dt) ? ex_const_f(x, dt, (double)v.f32) : ex_const_i(x, dt, v.i);
}

static bool all_const(const Expr *const *a, int n)
{
    for (int i = 0; i < n; i++)
        if (!ex_is_const(a[i])) return false;
    return true;
}

static const Expr *fold(Exprs *x, ExprOp op, DType dt, const Expr *const *a)
{
    Scalar v[3];
    for (int i = 0; i < expr_info(op)->arity; i++) v[i] = scalar_of(a[i]);
    return const_of(x, dt, scalar_op(op, dt, (DType)a[0]->dt, v));
}

/* Constants keep one NaN, so the bits of another one must not become a constant. */
static bool fold_keeps_bits(DType dt, const Expr *a)
{
    Scalar v = scalar_of(a), r = scalar_op(EX_bitcast, dt, (DType)a->dt, &v);
    if (!dtype_is_float(dt) || (dt == DT_f64 ? r.f64 == r.f64 : r.f32 == r.f32)) return true;
    return false;
}

/* ---------------------------------------------------------------------------------------------------- construction */

static DType result_type(ExprOp op, DType operand)
{
    return expr_info(op)->kind == 'T' ? operand : DT_bool;
}

static const Expr *operation(Exprs *x, ExprOp op, const Expr *const *a)
{
    uint16_t n = (uint16_t)expr_info(op)->arity;
    DType dt = result_type(op, (DType)a[0]->dt);
    if (all_const(a, n)) return fold(x, op, dt, a);
    const Expr *r = simplify_op(x, op, a);
    return r ? r : pool_node(x, op, dt, n, a);
}

static void check_operand(ExprOp op, const Expr *a, int arity)
{
    if (expr_info(op)->arity != arity || expr_info(op)->kind == 'K')
        ICE("%s is not an operation of %d operands", expr_info(op)->name, arity);
    if (!expr_accepts(op, (DType)a->dt)) ICE("%s of %s", expr_info(op)->name, dtype_info((DType)a->dt)->name);
}

static bool numeric(DType dt)
{
    DClass c = dtype_info(dt)->cls;
    return c == DC_F || c == DC_I || c == DC_U || c == DC_B || c == DC_X;
}

static void check_cast(const char *what, DType to, const Expr *a)
{
    if (!numeric(to) || !numeric((DType)a->dt))
        ICE("%s of %s to %s", what, dtype_info((DType)a->dt)->name, dtype_info(to)->name);
}

/* A variable whose bounds leave one value is that value, so that loops of extent 1 vanish from indices. */
static const Expr *index_value(Exprs *x, const Expr *e)
{
    if (e->dt != DT_ix) ICE("an index of type %s", dtype_info((DType)e->dt)->name);
    return range_is_point(range_of(e)) ? ex_int(x, range_of(e).lo) : e;
}

static const Expr *load(Exprs *x, ExprOp op, DType dt, uint32_t ref, uint16_t rank, const Expr *const *index,
                        const Expr *fill)
{
    const Expr *a[MAX_RANK + 1];
    uint16_t n = (uint16_t)(rank + (fill != NULL));
    if (rank > MAX_RANK) ICE("a load of rank %d", rank);
    for (uint16_t i = 0; i < rank; i++) a[i] = index_value(x, index[i]);
    if (fill) a[rank] = fill;
    return intern(x, op, dt, n, ref, a, range_type(dt));
}

Exprs *exprs_new(Arena *a)
{
    Exprs *x = NEW(a, Exprs);
    x->arena = a;
    x->mask = 1023;
    x->table = NEWN(a, const Expr *, x->mask + 1);
    return x;
}

Arena *exprs_arena(Exprs *x)
{
    return x->arena;
}

static const Expr *new_var(Exprs *x, VarInfo v)
{
    const bool bounded = v.dt == DT_ix || (dtype_is_int((DType)v.dt) && v.lo < v.hi);
    Range r = bounded ? (Range){v.lo, v.hi} : range_type((DType)v.dt);
    PUSH(x->arena, &x->var, v);
    return intern(x, EX_var, (DType)v.dt, 0, x->var.n - 1, NULL, r);
}

/* A variable of its own, whatever its name. lo and hi bound index variables, where an empty range counts as lo..lo, and
 * integer registers when lo < hi; other types have their own range. */
const Expr *ex_var(Exprs *x, VarKind kind, DType dt, const char *name, int64_t lo, int64_t hi)
{
    return new_var(x, (VarInfo){.name = str_dup(x->arena, name), .kind = (uint8_t)kind, .dt = (uint8_t)dt,
                                .lo = lo, .hi = max_i64(lo, hi)});
}

const Expr *ex_multiple(Exprs *x, const char *name, int64_t lo, int64_t hi, int64_t times, const char *whole)
{
    return new_var(x, (VarInfo){.name = str_dup(x->arena, name), .kind = VK_SYM, .dt = DT_ix, .lo = lo,
                                .hi = max_i64(lo, hi), .times = times, .whole = str_dup(x->arena, whole)});
}

/* An index variable of 0 .. extent - 1; rules know that it is less than the extent also where that is symbolic. */
const Expr *ex_index(Exprs *x, const char *name, const Expr *extent)
{
    int64_t hi = range_of(extent).hi;
    return new_var(x, (VarInfo){.name = str_dup(x->arena, name), .kind = VK_INDEX, .dt = DT_ix, .lo = 0,
                                .hi = hi == INT64_MAX ? hi : max_i64(hi, 1) - 1, .below = extent});
}

const VarInfo *ex_var_info(const Exprs *x, const Expr *var)
{
    if (var->op != EX_var) ICE("%s is not a variable", expr_info((ExprOp)var->op)->name);
    return &x->var.at[var->v.ref];
}

const Expr *ex_dimension(Exprs *x, const Expr *sym)
{
    const VarInfo *v = ex_var_info(x, sym);
    return v->whole ? ex_mul(x, ex_int(x, v->times), sym) : sym;
}

const Expr *ex_symbol_of(const Exprs *x, const Expr *dim)
{
    const bool scaled = dim->op == EX_mul && dim->dt == DT_ix && ex_is_const(dim->a[0]);
    const Expr *sym = scaled ? dim->a[1] : dim;
    if (sym->op != EX_var || ex_var_info(x, sym)->kind != VK_SYM) return NULL;
    return var_times(ex_var_info(x, sym)) == (scaled ? dim->a[0]->v.i : 1) ? sym : NULL;
}

const Expr *ex_int(Exprs *x, int64_t v)
{
    return intern(x, EX_const, DT_ix, 0, v, NULL, range_const(DT_ix, v));
}

/* Wraps v into the type; of u64 v is the bits. */
const Expr *ex_const_i(Exprs *x, DType dt, int64_t v)
{
    Scalar wide = {.i = v};
    if (dt == DT_ix) return ex_int(x, v);
    if (dtype_is_float(dt) || !numeric(dt)) ICE("an integer constant of type %s", dtype_info(dt)->name);
    v = scalar_op(EX_cast, dt, DT_i64, &wide).i;
    return intern(x, EX_const, dt, 0, v, NULL, range_const(dt, v));
}

/* Rounds v to the type; every NaN is the same constant. */
const Expr *ex_const_f(Exprs *x, DType dt, double v)
{
    static const uint64_t quiet = UINT64_C(0x7ff8) << 48;
    if (!dtype_is_float(dt)) ICE("a real constant of type %s", dtype_info(dt)->name);
    Scalar r = {.f64 = v};
    r = scalar_op(EX_cast, dt, DT_f64, &r);
    if (dt != DT_f64) r.f64 = (double)r.f32;
    if (r.f64 != r.f64) r.u = quiet;
    return intern(x, EX_const, dt, 0, r.i, NULL, range_type(dt));
}

/* v in whatever numeric type dt is: floats round, integers truncate and saturate, bool is v != 0. */
const Expr *ex_num(Exprs *x, DType dt, double v)
{
    if (dtype_is_float(dt)) return ex_const_f(x, dt, v);
    Scalar r = {.f64 = v};
    return ex_const_i(x, dt, scalar_op(EX_cast, dt, DT_f64, &r).i);
}

/* Element of a tensor or buffer; rank index expressions of type ix. */
const Expr *ex_load(Exprs *x, DType dt, uint32_t ref, uint16_t rank, const Expr *const *index)
{
    return load(x, EX_load, dt, ref, rank, index, NULL);
}

/* As ex_load, but `fill` (of the same type) where an index is outside the tensor. */
const Expr *ex_loadp(Exprs *x, DType dt, uint32_t ref, uint16_t rank, const Expr *const *index, const Expr *fill)
{
    if (fill->dt != dt) ICE("%s to fill a load of %s", dtype_info((DType)fill->dt)->name, dtype_info(dt)->name);
    return load(x, EX_loadp, dt, ref, rank, index, fill);
}

const Expr *ex_unary(Exprs *x, ExprOp op, const Expr *a)
{
    check_operand(op, a, 1);
    return operation(x, op, &a);
}

const Expr *ex_binary(Exprs *x, ExprOp op, const Expr *a, const Expr *b)
{
    const Expr *both[] = {a, b};
    check_operand(op, a, 2);
    if (a->dt != b->dt)
        ICE("%s of %s and %s", expr_info(op)->name, dtype_info((DType)a->dt)->name, dtype_info((DType)b->dt)->name);
    return operation(x, op, both);
}

const Expr *ex_fma(Exprs *x, const Expr *a, const Expr *b, const Expr *c)
{
    const Expr *all[] = {a, b, c};
    check_operand(EX_fma, a, 3);
    if (a->dt != b->dt || a->dt != c->dt)
        ICE("fma of %s, %s and %s", dtype_info((DType)a->dt)->name, dtype_info((DType)b->dt)->name,
            dtype_info((DType)c->dt)->name);
    return operation(x, EX_fma, all);
}

const Expr *ex_select(Exprs *x, const Expr *c, const Expr *a, const Expr *b)
{
    const Expr *all[] = {c, a, b};
    if (c->dt != DT_bool || a->dt != b->dt)
        ICE("select of %s, %s and %s", dtype_info((DType)c->dt)->name, dtype_info((DType)a->dt)->name,
            dtype_info((DType)b->dt)->name);
    const Expr *r = simplify_select(x, all);
    return r ? r : pool_node(x, EX_select, (DType)a->dt, 3, all);
}

const Expr *ex_cast(Exprs *x, DType dt, const Expr *a)
{
    if (a->dt == dt) return a;
    check_cast("cast", dt, a);
    if (ex_is_const(a)) return fold(x, EX_cast, dt, &a);
    const Expr *r = simplify_cast(x, dt, a);
    return r ? r : pool_node(x, EX_cast, dt, 1, &a);
}

const Expr *ex_castsat(Exprs *x, DType dt, const Expr *a)
{
    if (a->dt == dt) return a;
    check_cast("saturating cast", dt, a);
    if (ex_is_const(a)) return fold(x, EX_castsat, dt, &a);
    const Expr *r = simplify_castsat(x, dt, a);
    return r ? r : pool_node(x, EX_castsat, dt, 1, &a);
}

/* Types of equal width, not ix, whose width is mlcc's own affair. */
const Expr *ex_bitcast(Exprs *x, DType dt, const Expr *a)
{
    if (a->dt == dt) return a;
    check_cast("bitcast", dt, a);
    if (dt == DT_ix || a->dt == DT_ix || dtype_info(dt)->bits != dtype_info((DType)a->dt)->bits)
        ICE("bitcast of %s to %s", dtype_info((DType)a->dt)->name, dtype_info(dt)->name);
    if (a->op == EX_bitcast) return ex_bitcast(x, dt, a->a[0]);
    if (ex_is_const(a) && fold_keeps_bits(dt, a)) return fold(x, EX_bitcast, dt, &a);
    return pool_node(x, EX_bitcast, dt, 1, &a);
}

const Expr *ex_make(Exprs *x, const Expr *like, const Expr *const *operands)
{
    const Expr *const *a = operands;
    DType dt = (DType)like->dt;
    switch ((ExprOp)like->op) {
    case EX_const: case EX_var: return like;
    case EX_load: return ex_load(x, dt, like->v.ref, like->n, a);
    case EX_loadp: return ex_loadp(x, dt, like->v.ref, (uint16_t)(like->n - 1), a, a[like->n - 1]);
    case EX_cast: return ex_cast(x, dt, a[0]);
    case EX_castsat: return ex_castsat(x, dt, a[0]);
    case EX_bitcast: return ex_bitcast(x, dt, a[0]);
    case EX_select: return ex_select(x, a[0], a[1], a[2]);
    case EX_fma: return ex_fma(x, a[0], a[1], a[2]);
    default: break;
    }
    return like->n == 1 ? ex_unary(x, (ExprOp)like->op, a[0]) : ex_binary(x, (ExprOp)like->op, a[0], a[1]);
}

/* ----------------------------------------------------------------------------------------------------------- walks */

/* A walk's part of the pool's scratch: visit[from..to), operands before their users. */
typedef struct Walk { uint32_t from, to, edges; } Walk;

static void visit(Exprs *x, const Expr *e, const Expr *to, uint32_t from)
{
    head_of(e)->mark = x->walks;
    head_of(e)->slot = x->visit.n - from;
    PUSH(x->arena, &x->visit, ((Visit){e, to, x->edge.n}));
}

static void leave(Exprs *x, const Expr *e, uint32_t from)
{
    visit(x, e, NULL, from);
    for (uint16_t i = 0; i < e->n; i++) PUSH(x->arena, &x->edge, head_of(e->a[i])->slot);
}

static void enter(Exprs *x, const Expr *e)
{
    if (head_of(e)->mark == x->walks) return;
    head_of(e)->mark = x->walks;
    PUSH(x->arena, &x->stack, ((Frame){e, 0}));
}

/* Adds what is below e and not yet met in this walk. Nodes older than `oldest` count as leaves. */
static void collect(Exprs *x, const Expr *e, uint32_t from, uint32_t oldest)
{
    uint32_t base = x->stack.n;
    enter(x, e);
    while (x->stack.n > base) {
        Frame *f = &x->stack.at[x->stack.n - 1];
        if (f->e->id < oldest) {
            visit(x, f->e, f->e, from);
            x->stack.n--;
        } else if (f->next < f->e->n) {
            enter(x, f->e->a[f->next++]);
        } else {
            leave(x, f->e, from);
            x->stack.n--;
        }
    }
}

static Walk walk_begin(Exprs *x)
{
    x->walks++;
    return (Walk){x->visit.n, x->visit.n, x->edge.n};
}

static void walk_end(Exprs *x, Walk w)
{
    x->visit.n = w.from;
    x->edge.n = w.edges;
}

static Walk walk_all(const Expr *e)
{
    Exprs *x = head_of(e)->pool;
    Walk w = walk_begin(x);
    collect(x, e, w.from, 0);
    w.to = x->visit.n;
    return w;
}

/* The node rebuilt from its operands' replacements; itself when there are none. */
static const Expr *rebuilt(Exprs *x, const Walk *w, const Visit *v)
{
    const Expr *a[MAX_RANK + 1];
    bool same = true;
    for (uint16_t i = 0; i < v->e->n; i++) {
        a[i] = x->visit.at[w->from + x->edge.at[v->edge + i]].to;
        same &= a[i] == v->e->a[i];
    }
    return same ? v->e : ex_make(x, v->e, a);
}

static void rewrite(Exprs *x, const Walk *w, ExprFn fn, void *ctx)
{
    for (uint32_t k = w->from; k < w->to; k++) {
        if (x->visit.at[k].to) continue;
        const Visit v = x->visit.at[k];
        const Expr *r = rebuilt(x, w, &v);
        if (fn) r = fn(ctx, r);
        x->visit.at[k].to = r;
    }
}

static const Expr *result_of(const Exprs *x, const Walk *w, const Expr *root, uint32_t slot)
{
    const Visit *v = &x->visit.at[w->from + slot];
    if (v->e != root) ICE("a walk lost its root");
    return v->to;
}

bool ex_uses(const Expr *e, const Expr *var)
{
    if (e->id < var->id) return false;
    Exprs *x = head_of(e)->pool;
    Walk w = walk_begin(x);
    collect(x, e, w.from, var->id);
    walk_end(x, w);
    return head_of(var)->mark == x->walks;
}

static void has_load(void *ctx, const Expr *e)
{
    bool *yes = ctx;
    *yes = *yes || e->op == EX_load || e->op == EX_loadp;
}

bool ex_reads_data(const Expr *e)
{
    bool yes = false;
    ex_walk(e, has_load, &yes);
    return yes;
}

int ex_cost(const Expr *e)
{
    Exprs *x = head_of(e)->pool;
    Walk w = walk_all(e);
    int64_t sum = 0;
    for (uint32_t k = w.from; k < w.to; k++) sum += expr_info((ExprOp)x->visit.at[k].e->op)->cost;
    walk_end(x, w);
    return (int)min_i64(sum, INT32_MAX);
}

/* Bounds of an integer, bool or ix value. One end may be INT64_MIN or INT64_MAX: none known; false: neither is. */
bool ex_range(const Exprs *x, const Expr *e, int64_t *lo, int64_t *hi)
{
    (void)x;
    Range r = range_of(e);
    *lo = r.lo;
    *hi = r.hi;
    return r.lo != INT64_MIN || r.hi != INT64_MAX;
}

int64_t ex_upper(const Exprs *x, const Expr *e)
{
    int64_t lo, hi;
    if (!ex_range(x, e, &lo, &hi) || hi == INT64_MAX) ICE("a dimension without upper bound");
    return hi;
}

/* Replaces every occurrence of s[i].from (any expression, the first of equal ones counts) at once; replacements are
 * not searched again. Linear in the distinct nodes of e that are not older than every `from`. */
const Expr *ex_subst(Exprs *x, const Expr *e, const Subst *s, uint32_t n)
{
    uint32_t oldest = UINT32_MAX;
    Walk w = walk_begin(x);
    for (uint32_t i = 0; i < n; i++) {
        if (s[i].from->id < oldest) oldest = s[i].from->id;
        if (head_of(s[i].from)->mark != x->walks) visit(x, s[i].from, s[i].to, w.from);
    }
    collect(x, e, w.from, oldest);
    uint32_t slot = head_of(e)->slot;
    w.to = x->visit.n;
    rewrite(x, &w, NULL, NULL);
    const Expr *r = result_of(x, &w, e, slot);
    walk_end(x, w);
    return r;
}

const Expr *ex_map(Exprs *x, const Expr *e, ExprFn fn, void *ctx)
{
    Walk w = walk_all(e);
    uint32_t slot = head_of(e)->slot;
    rewrite(x, &w, fn, ctx);
    const Expr *r = result_of(x, &w, e, slot);
    walk_end(x, w);
    return r;
}

void ex_walk(const Expr *e, void (*fn)(void *ctx, const Expr *e), void *ctx)
{
    Exprs *x = head_of(e)->pool;
    Walk w = walk_all(e);
    for (uint32_t k = w.from; k < w.to; k++) fn(ctx, x->visit.at[k].e);
    walk_end(x, w);
}

/* Operand k may not be evaluated. */
static bool conditional(const Expr *e, uint16_t k)
{
    const bool chooses = e->op == EX_select || e->op == EX_and || e->op == EX_or;
    return chooses ? k > 0 : e->op == EX_loadp && k == e->n - 1;
}

void ex_always(Map *ids, const Expr *e)
{
    if ((*map_u64(ids, e->id, true))++)
        return;
    for (uint16_t k = 0; k < e->n; k++)
        if (!conditional(e, k))
            ex_always(ids, e->a[k]);
}

typedef struct SoleLoad { uint32_t ref; const Expr *at; bool several; } SoleLoad;

static void find_load(void *ctx, const Expr *e)
{
    SoleLoad *s = ctx;
    if ((e->op != EX_load && e->op != EX_loadp) || e->v.ref != s->ref)
        return;
    s->several = s->several || s->at;
    s->at = e;
}

const Expr *ex_sole_load(const Expr *e, uint32_t ref)
{
    SoleLoad s = {.ref = ref};
    ex_walk(e, find_load, &s);
    return s.several ? NULL : s.at;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Loop nests to the interpreter's code, once per function.
 *
 * Bands: the innermost loops of a perfect chain whose iterations do not hear of each other run side by side as lanes,
 * whatever is inside them (accumulators become one per lane), so the order of operations on each element is the nest's.
 * A register tile is first written as the loops that it stands for.
 *
 * Scopes: every loop, let and statement opens one. Pure operations are emitted into the scope of the innermost variable
 * that they depend on, hence leave loops by themselves; operations are total, so it does not matter that they may run
 * where the nest would not evaluate them. Loads are emitted at their statement. What select, and, or and guarded loads do
 * not evaluate is jumped over, and where lanes disagree its loads are masked.
 */
#include "interp.h"

#include "call.h"

typedef struct Value { void *slot; uint32_t depth; bool each, measured; } Value;

typedef struct Scope Scope;
struct Scope {
    Scope *up;
    uint32_t depth;
    Code *code;
    Map memo;             /* expression id -> Value * */
    const uint8_t *mask;  /* lanes that take part; NULL: all */
};

typedef struct Maker {
    Arena *a;
    Exprs *x;
    const Machinery *m;
    Scope *scope;
    uint32_t statement;   /* depth of the scope of the statement at hand */
    uint32_t band;        /* depth of the band around; 0: none */
    Map var;              /* variable id -> Value * */
    Map impure;           /* expression id -> whether it has a load or register */
} Maker;

/* ---- scopes ---- */

static void open_scope(Maker *k, Scope *s, Code *code)
{
    *s = (Scope){.up = k->scope, .depth = k->scope ? k->scope->depth + 1 : 0, .code = code, .memo = {.arena = k->a}, .mask = k->scope ? k->scope->mask : NULL};
    k->scope = s;
}

static void close_scope(Maker *k) { k->scope = k->scope->up; }

static Step *add_step(Maker *k, Steps *to, StepOp op)
{
    Step *s = NEW(k->a, Step);
    s->op = op;
    PUSH(k->a, &to->v, s);
    return s;
}

static void open_statement(Maker *k, Scope *s, Steps *to)
{
    open_scope(k, s, &add_step(k, to, SP_code)->code);
    k->statement = s->depth;
}

/* Where an operation belongs whose operands are known from `depth` on. */
static Scope *home(const Maker *k, uint32_t depth)
{
    Scope *s = k->scope;
    while (depth < k->statement && s->depth > depth)
        s = s->up;
    return s;
}

/* ---- values ---- */

static void *new_slot(Maker *k, bool each)
{
    return arena_alloc(k->a, each ? sizeof(Offsets) : sizeof(int64_t), _Alignof(Offsets));
}

static Value *new_value(Maker *k, bool each, uint32_t depth)
{
    Value *v = NEW(k->a, Value);
    *v = (Value){.slot = new_slot(k, each), .depth = depth, .each = each};
    return v;
}

static void bind(Maker *k, const Expr *var, Value *v) { *map_u64(&k->var, var->id, true) = (uint64_t)(uintptr_t)v; }

static Value *remember(Scope *s, const Expr *e, Value *v)
{
    *map_u64(&s->memo, e->id, true) = (uint64_t)(uintptr_t)v;
    return v;
}

static Value *recall(const Maker *k, const Expr *e)
{
    for (Scope *s = k->scope; s; s = s->up) {
        uint64_t *known = map_u64(&s->memo, e->id, false);
        if (known)
            return (Value *)(uintptr_t)*known;
    }
    return NULL;
}

static bool is_impure(Maker *k, const Expr *e)
{
    uint64_t *known = map_u64(&k->impure, e->id, false);
    if (known)
        return *known;
    bool yes = e->op == EX_load || e->op == EX_loadp || (e->op == EX_var && ex_var_info(k->x, e)->kind == VK_REG);
    for (uint16_t q = 0; q < e->n && !yes; q++)
        yes = is_impure(k, e->a[q]);
    *map_u64(&k->impure, e->id, true) = yes;
    return yes;
}

static Value *value_of(Maker *k, const Expr *e);

static Value *constant(Maker *k, const Expr *e)
{
    Scope *root = home(k, 0);
    const DType dt = (DType)e->dt;
    Value *v = new_value(k, false, 0);
    Scalar s = {.i = e->v.i};
    if (dtype_is_float(dt))
        s = dt == DT_f64 ? (Scalar){.f64 = e->v.f} : (Scalar){.f32 = (float)e->v.f};
    rep_put(rep_of(dt), v->slot, 0, s);
    return remember(root, e, v);
}

static Value *variable(Maker *k, const Expr *e)
{
    const VarInfo *info = ex_var_info(k->x, e);
    if (info->kind == VK_SYM) {
        uint64_t *at = map_u64(k->m->sym, e->id, false);
        if (!at)
            ICE("symbol '%s' has no value", info->name);
        Value *v = NEW(k->a, Value);
        *v = (Value){.slot = (void *)(uintptr_t)*at};
        return remember(home(k, 0), e, v);
    }
    uint64_t *at = map_u64(&k->var, e->id, false);
    if (!at)
        ICE("variable '%s' is used outside its scope", info->name);
    Value *v = (Value *)(uintptr_t)*at;
    if (info->kind != VK_REG)
        return v;
    Value *now = NEW(k->a, Value); /* a register may change from statement to statement */
    *now = *v;
    now->depth = k->statement;
    return now;
}

/* Emits the operation `op` on values of type `from`; the result has type dt. */
static Value *emit(Maker *k, ExprOp op, DType dt, DType from, int n, Value *const *in)
{
    uint32_t depth = 0;
    bool each = false;
    for (int q = 0; q < n; q++) {
        depth = in[q]->depth > depth ? in[q]->depth : depth;
        each = each || in[q]->each;
    }
    Scope *s = home(k, depth);
    Value *v = new_value(k, each, s->depth);
    Ins i = {.run = kernel_op(op, dt, from), .dst = v->slot, .lanes = each, .op = (uint8_t)op, .dt = (uint8_t)dt, .from = (uint8_t)from};
    for (int q = 0; q < n; q++) {
        i.a[q] = in[q]->slot;
        i.each[q] = in[q]->each;
    }
    PUSH(k->a, &s->code->ins, i);
    return v;
}

static Value *ix_op(Maker *k, ExprOp op, Value *a, Value *b)
{
    Value *const in[2] = {a, b};
    return emit(k, op, DT_ix, DT_ix, 2, in);
}

/* Sum of an affine form from the outermost scope inwards, so that each loop adds only what it changes. */
static Value *sum(Maker *k, const Expr *e)
{
    const Affine f = ex_affine(k->a, e);
    Value *total = f.c || !f.n ? value_of(k, ex_int(k->x, f.c)) : NULL;
    Value **term = NEWN(k->a, Value *, f.n + 1);
    for (uint32_t t = 0; t < f.n; t++) {
        Value *v = value_of(k, f.t[t].atom);
        term[t] = f.t[t].coef == 1 ? v : ix_op(k, EX_mul, v, value_of(k, ex_int(k->x, f.t[t].coef)));
    }
    for (uint32_t done = 0; done < f.n; done++) {
        uint32_t next = f.n;
        for (uint32_t t = 0; t < f.n; t++)
            if (term[t] && (next == f.n || term[t]->depth < term[next]->depth))
                next = t;
        total = total ? ix_op(k, EX_add, total, term[next]) : term[next];
        term[next] = NULL;
    }
    return total;
}

/* ---- what is evaluated only for some lanes ---- */

typedef struct Guard { Scope scope; uint32_t skip; bool jumps; } Guard;

static const uint8_t *new_mask(Maker *k, const Value *c, bool sense, const uint8_t *parent)
{
    uint8_t *mask = new_slot(k, true);
    PUSH(k->a, &k->scope->code->ins, ((Ins){.run = kernel_mask, .dst = mask, .a = {c->slot, parent}, .lanes = true, .sense = sense}));
    return mask;
}

/* Code up to leave() is done where c is `sense`. */
static void enter(Maker *k, Guard *g, const Value *c, bool sense, bool jumps)
{
    Code *code = k->scope->code;
    const uint8_t *parent = k->scope->mask;
    open_scope(k, &g->scope, code);
    Ins jump = {.a = {c->slot}, .sense = sense};
    if (c->each) {
        g->scope.mask = sense && !parent ? c->slot : new_mask(k, c, sense, parent);
        jump = (Ins){.a = {g->scope.mask}, .lanes = true, .sense = true};
    }
    g->jumps = jumps || !c->each;
    g->skip = code->ins.n;
    if (g->jumps)
        PUSH(k->a, &code->ins, jump);
}

static void leave(Maker *k, Guard *g)
{
    Code *code = k->scope->code;
    if (g->jumps)
        code->ins.at[g->skip].skip = code->ins.n - g->skip - 1;
    close_scope(k);
}

/* e, evaluated where c is `sense`; its value may be used by the caller, who looks at it only there. */
static Value *value_where(Maker *k, const Value *c, bool sense, const Expr *e)
{
    if (!is_impure(k, e))
        return value_of(k, e);
    Guard g;
    enter(k, &g, c, sense, true);
    Value *v = NEW(k->a, Value);
    *v = *value_of(k, e);
    leave(k, &g);
    v->depth = v->depth < k->scope->depth ? v->depth : k->scope->depth;
    return v;
}

static Value *choice(Maker *k, const Expr *e)
{
    Value *c = value_of(k, e->a[0]);
    Value *const in[3] = {c, value_where(k, c, true, e->a[1]), value_where(k, c, false, e->a[2])};
    return emit(k, EX_select, (DType)e->dt, (DType)e->dt, 3, in);
}

static Value *logical(Maker *k, const Expr *e)
{
    Value *c = value_of(k, e->a[0]);
    Value *const in[2] = {c, value_where(k, c, e->op == EX_and, e->a[1])};
    return emit(k, (ExprOp)e->op, DT_bool, DT_bool, 2, in);
}

/* ---- memory ---- */

static const Expr *flat(const Maker *k, const Buf *b, const Expr *const *idx)
{
    const Expr *e = ex_int(k->x, 0);
    for (uint8_t d = 0; d < b->rank; d++)
        e = ex_add(k->x, e, ex_mul(k->x, ex_add(k->x, idx[d], ex_int(k->x, b->lo[d])), b->stride[d]));
    return e;
}

/* Offset of an element: what is the same for all lanes, and what is not (NULL: nothing). */
typedef struct Place { Value *base, *lanes; } Place;

static Place place_of(Maker *k, uint32_t id, const Expr *const *idx)
{
    const Affine f = ex_affine(k->a, flat(k, buf(k->m->u, id), idx));
    Affine part[2] = {{.c = f.c, .t = NEWN(k->a, Term, f.n + 1)}, {.t = NEWN(k->a, Term, f.n + 1)}};
    for (uint32_t t = 0; t < f.n; t++) {
        Affine *to = &part[value_of(k, f.t[t].atom)->each];
        to->t[to->n++] = f.t[t];
    }
    Place p = {.base = value_of(k, ex_from_affine(k->x, &part[0]))};
    if (!part[1].n)
        return p;
    p.lanes = value_of(k, ex_from_affine(k->x, &part[1]));
    if (p.lanes->depth == k->band && !p.lanes->measured) {
        PUSH(k->a, &home(k, k->band)->code->ins, ((Ins){.run = kernel_measure, .dst = p.lanes->slot, .lanes = true}));
        p.lanes->measured = true;
    }
    return p;
}

static Value *load(Maker *k, const Expr *e)
{
    const Place p = place_of(k, e->v.ref, e->a);
    Value *v = new_value(k, p.lanes != NULL, k->scope->depth);
    const Ins i = {.run = kernel_load((DType)e->dt), .dst = v->slot, .a = {p.base->slot, p.lanes ? p.lanes->slot : NULL}, .lanes = p.lanes != NULL,
                   .dt = e->dt, .mask = p.lanes ? k->scope->mask : NULL, .mem = &k->m->memory[e->v.ref]};
    PUSH(k->a, &k->scope->code->ins, i);
    return v;
}

static const Expr *guard_of(const Maker *k, const Expr *e)
{
    const Buf *b = buf(k->m->u, e->v.ref);
    const Expr *in = ex_const_i(k->x, DT_bool, 1);
    for (uint8_t d = 0; d < b->rank; d++) {
        in = ex_binary(k->x, EX_and, in, ex_binary(k->x, EX_le, ex_int(k->x, 0), e->a[d]));
        in = ex_binary(k->x, EX_and, in, ex_binary(k->x, EX_lt, e->a[d], b->dim[d]));
    }
    return in;
}

static bool is_zero(const Expr *e)
{
    return e->op == EX_const && e->dt != DT_str && (dtype_is_float((DType)e->dt) ? e->v.f == 0 && !__builtin_signbit(e->v.f) : e->v.i == 0);
}

static bool is_pure_index(Maker *k, const Expr *e)
{
    for (uint16_t d = 0; d + 1 < e->n; d++)
        if (is_impure(k, e->a[d]))
            return false;
    return true;
}

/* Masked loads give 0, so a zero fill needs no choice; then the load must not be jumped over. */
static Value *guarded_load(Maker *k, const Expr *e)
{
    const Expr *fill = e->a[e->n - 1], *guard = guard_of(k, e);
    if (ex_is_int(guard, 1))
        return load(k, e);
    Value *c = value_of(k, guard);
    const bool masked = is_zero(fill) && is_pure_index(k, e) && place_of(k, e->v.ref, e->a).lanes;
    Guard g;
    enter(k, &g, c, true, !masked);
    Value *v = load(k, e);
    leave(k, &g);
    v->depth = k->scope->depth;
    if (!g.jumps && v->each)
        return v;
    Value *const in[3] = {c, v, value_where(k, c, false, fill)};
    return emit(k, EX_select, (DType)e->dt, (DType)e->dt, 3, in);
}

/* ---- expressions ---- */

static Value *operation(Maker *k, const Expr *e)
{
    Value *in[3];
    for (uint16_t q = 0; q < e->n; q++)
        in[q] = value_of(k, e->a[q]);
    return emit(k, (ExprOp)e->op, (DType)e->dt, (DType)e->a[0]->dt, e->n, in);
}

static Value *evaluate(Maker *k, const Expr *e)
{
    switch ((ExprOp)e->op) {
    case EX_load: return load(k, e);
    case EX_loadp: return guarded_load(k, e);
    case EX_select: return choice(k, e);
    case EX_and: case EX_or: return logical(k, e);
    default: return e->dt == DT_ix && (e->op == EX_add || e->op == EX_sub) ? sum(k, e) : operation(k, e);
    }
}

static Value *value_of(Maker *k, const Expr *e)
{
    Value *known = recall(k, e);
    if (known)
        return known;
    if (e->op == EX_const)
        return constant(k, e);
    if (e->op == EX_var)
        return variable(k, e);
    Value *v = evaluate(k, e);
    return remember(home(k, v->depth), e, v);
}

/* ---- tiles as loops ---- */

static Nest *plain(Maker *k, const Nest *n);

static void plain_list(Maker *k, Nest *to, bool other, Nest *const *from, uint32_t n)
{
    for (uint32_t q = 0; q < n; q++) {
        Nest *s = plain(k, from[q]);
        if (other)
            PUSH(k->a, &to->other, s);
        else
            PUSH(k->a, &to->body, s);
    }
}

static Nest *plain_tile(Maker *k, const Tile *t)
{
    const Expr *zero = ex_int(k->x, 0);
    Nest *all = nest_block(k->a), *in = all;
    for (uint8_t p = 0; p < t->np; p++)
        in = nest_for(k->a, in, t->pvar[p], zero, ex_int(k->x, t->pext[p]));
    if (t->lane && !t->across)
        in = nest_for(k->a, in, t->lane, zero, tile_lanes(k->x, t));
    if (t->red != RED_none) {
        nest_let(k->a, in, t->acc, t->init ? t->init : red_identity(k->x, t->red, (DType)t->acc->dt));
        Nest *r = in;
        for (uint8_t q = 0; q < t->nr; q++)
            r = nest_for(k->a, r, t->rvar[q], zero, t->rext[q]);
        nest_set(k->a, r, t->acc, red_combine(k->x, t->red, t->acc, t->body));
    }
    for (uint8_t s = 0; s < t->nstore; s++)
        nest_store(k->a, in, t->store[s].buf, buf(k->m->u, t->store[s].buf)->rank, t->store[s].idx, t->store[s].value);
    return all;
}

static Nest *plain(Maker *k, const Nest *n)
{
    if (n->op == NS_tile)
        return plain_tile(k, n->tile);
    Nest *c = NEW(k->a, Nest);
    *c = *n;
    c->body.n = c->body.cap = c->other.n = c->other.cap = 0;
    plain_list(k, c, false, n->body.at, n->body.n);
    plain_list(k, c, true, n->other.at, n->other.n);
    return c;
}

/* ---- bands ---- */

enum { MAX_BAND = 2 * MAX_RANK, WIDE = LANES / 2 };

typedef struct Chain { const Nest *loop[MAX_BAND]; uint8_t n; } Chain;

static const Nest *only(const Nest *n)
{
    while (n->body.n == 1 && n->body.at[0]->op == NS_block)
        n = n->body.at[0];
    return n->body.n == 1 ? n->body.at[0] : NULL;
}

static Chain chain_from(const Nest *n)
{
    Chain c = {.loop = {n}, .n = 1};
    for (const Nest *next = only(n); next && next->op == NS_for && next->kind != FOR_lead && c.n < MAX_BAND; next = only(next))
        c.loop[c.n++] = next;
    return c;
}

/* What the loops of a band contain. */
typedef struct Inside {
    Maker *k;
    const Chain *c;
    uint8_t first;
    Map varies;  /* variables that differ between lanes */
    Map own;     /* variables that an iteration has for itself -> those of another iteration; 0: not asked for yet */
    Map stored;  /* buffer -> its element's offset as an expression */
    bool ok;
} Inside;

static void differs(void *ctx, const Expr *e)
{
    Inside *s = ctx;
    if (e->op == EX_load || e->op == EX_loadp || (e->op == EX_var && map_u64(&s->varies, e->id, false)))
        s->ok = false;
}

static void inside_store(Inside *s, const Store *st)
{
    uint64_t *at = map_u64(&s->stored, st->buf, false);
    if (at)
        s->ok = false;
    *map_u64(&s->stored, st->buf, true) = (uint64_t)(uintptr_t)flat(s->k, buf(s->k->m->u, st->buf), st->idx);
}

static void inside_nest(void *ctx, Nest *n)
{
    Inside *s = ctx;
    switch (n->op) {
    case NS_for:
        ex_walk(n->lo, differs, s);
        ex_walk(n->extent, differs, s);
        *map_u64(&s->own, n->var->id, true) = 0;
        for (uint8_t q = s->first; q < s->c->n; q++)
            if (s->c->loop[q] == n)
                *map_u64(&s->varies, n->var->id, true) = 1;
        return;
    case NS_let:
        *map_u64(&s->own, n->var->id, true) = 0;
        *map_u64(&s->varies, n->var->id, true) = 1;
        return;
    case NS_set:
        s->ok = s->ok && map_u64(&s->varies, n->var->id, false);
        return;
    case NS_store:
        inside_store(s, &n->store);
        return;
    case NS_call:
        s->ok = false;
        return;
    default:
        return;
    }
}

static bool overlap(const Memory *a, const Memory *b, size_t size_a, size_t size_b)
{
    const uintptr_t p = (uintptr_t)a->data, q = (uintptr_t)b->data;
    return p < q + (uintptr_t)b->count * size_b && q < p + (uintptr_t)a->count * size_a;
}

static const Expr *of_another(void *ctx, const Expr *e)
{
    Inside *s = ctx;
    uint64_t *at = e->op == EX_var ? map_u64(&s->own, e->id, false) : NULL;
    if (!at)
        return e;
    if (!*at) {
        const VarInfo *v = ex_var_info(s->k->x, e);
        *at = (uint64_t)(uintptr_t)ex_var(s->k->x, (VarKind)v->kind, (DType)v->dt, v->name, v->lo, v->hi);
    }
    return (const Expr *)(uintptr_t)*at;
}

/* Whether no iteration reads bytes that another one writes: their distance, from the first byte read to the first written, is never so
 * small. Both have what lies outside the band in common: rows of a result may take the place of rows that are no longer read. */
static bool lies_apart(Inside *s, const MapSlot *stored, const Expr *load)
{
    Exprs *x = s->k->x;
    const uint32_t id = (uint32_t)stored->key;
    const Unit *u = s->k->m->u;
    const int64_t wrote = (int64_t)dtype_bytes(buf(u, id)->dt), read = (int64_t)dtype_bytes((DType)load->dt);
    const intptr_t between = (intptr_t)s->k->m->memory[id].data - (intptr_t)s->k->m->memory[load->v.ref].data;
    const Expr *from = ex_map(x, flat(s->k, buf(u, load->v.ref), load->a), of_another, s), *to = (const Expr *)(uintptr_t)stored->val;
    const Expr *distance = ex_sub(x, ex_add(x, ex_mul(x, to, ex_int(x, wrote)), ex_int(x, between)), ex_mul(x, from, ex_int(x, read)));
    int64_t least, most;
    return ex_range(x, distance, &least, &most) && (least >= read || most <= -wrote);
}

/* A lane may read what it writes itself, in a buffer that shares the other's memory element by element. */
static bool is_own_element(const Inside *s, const MapSlot *stored, const Expr *load)
{
    const Unit *u = s->k->m->u;
    const Memory *mem = s->k->m->memory;
    const uint32_t id = (uint32_t)stored->key;
    return id != load->v.ref && dtype_bytes(buf(u, id)->dt) == dtype_bytes((DType)load->dt) && mem[id].data == mem[load->v.ref].data &&
           (uint64_t)(uintptr_t)flat(s->k, buf(u, load->v.ref), load->a) == stored->val;
}

static void inside_load(void *ctx, const Expr *e)
{
    Inside *s = ctx;
    if (e->op != EX_load && e->op != EX_loadp)
        return;
    const Memory *mem = s->k->m->memory;
    for (uint32_t q = 0; q < s->stored.slot.n && s->ok; q++) {
        const uint32_t id = (uint32_t)s->stored.slot.at[q].key;
        const bool shared = overlap(&mem[id], &mem[e->v.ref], dtype_bytes(buf(s->k->m->u, id)->dt), dtype_bytes((DType)e->dt));
        s->ok = !shared || is_own_element(s, &s->stored.slot.at[q], e) || lies_apart(s, &s->stored.slot.at[q], e);
    }
}

static void inside_expr(void *ctx, const Nest *at, const Expr *e, bool store)
{
    (void)at;
    (void)store;
    ex_walk(e, inside_load, ctx);
}

/* Whether the loops of the chain from `first` on may run side by side. */
static bool is_band(Maker *k, const Chain *c, uint8_t first)
{
    Inside s = {.k = k, .c = c, .first = first, .varies = {.arena = k->a}, .own = {.arena = k->a}, .stored = {.arena = k->a}, .ok = true};
    Nest *outer = (Nest *)(uintptr_t)c->loop[first];
    nest_walk(outer, inside_nest, &s);
    if (s.ok)
        nest_exprs(outer, inside_expr, &s);
    return s.ok;
}

/* First loop of the chain's band: as few loops as fill the lanes, so that the others stay the same for all; n: none. */
static uint8_t band_start(Maker *k, const Chain *c)
{
    uint8_t least = 0;
    while (least < c->n && !is_band(k, c, least))
        least++;
    if (least == c->n)
        return least;
    uint8_t first = (uint8_t)(c->n - 1);
    int64_t lanes = 1, lo, hi;
    for (;; first--) {
        if (!ex_range(k->x, c->loop[first]->extent, &lo, &hi) || first == least)
            return first;
        lanes = min_i64(hi, WIDE) * lanes;
        if (lanes >= WIDE)
            return first;
    }
}

/* ---- statements ---- */

static void block(Maker *k, Nest *const *list, uint32_t n, Steps *to);

static const int64_t *scalar(Maker *k, const Expr *e) { return value_of(k, e)->slot; }

static void loop(Maker *k, const Nest *n, Steps *to)
{
    Scope s;
    open_statement(k, &s, to);
    const int64_t *lo = scalar(k, n->lo), *extent = scalar(k, n->extent);
    close_scope(k);
    Step *step = add_step(k, to, SP_loop);
    open_scope(k, &s, &step->code);
    Value *v = new_value(k, false, s.depth);
    bind(k, n->var, v);
    step->lo[0] = lo;
    step->extent[0] = extent;
    step->var[0] = v->slot;
    block(k, n->body.at, n->body.n, &step->body);
    close_scope(k);
}

static void band(Maker *k, const Chain *c, Steps *to)
{
    Scope s;
    Step *step = NEW(k->a, Step);
    step->op = SP_band;
    step->n = c->n;
    open_statement(k, &s, to);
    for (uint8_t q = 0; q < c->n; q++) {
        step->lo[q] = scalar(k, c->loop[q]->lo);
        step->extent[q] = scalar(k, c->loop[q]->extent);
    }
    close_scope(k);
    PUSH(k->a, &to->v, step);
    open_scope(k, &s, &step->code);
    k->band = s.depth;
    for (uint8_t q = 0; q < c->n; q++) {
        Value *v = new_value(k, true, s.depth);
        bind(k, c->loop[q]->var, v);
        step->var[q] = v->slot;
    }
    const Nest *in = c->loop[c->n - 1];
    block(k, in->body.at, in->body.n, &step->body);
    k->band = 0;
    close_scope(k);
}

static void loops(Maker *k, const Nest *n, Steps *to)
{
    if (n->kind == FOR_lead) /* a run of one part has none */
        return;
    const Chain c = chain_from(n);
    if (!k->band && band_start(k, &c) == 0)
        band(k, &c, to);
    else
        loop(k, n, to);
}

/* Writes v to a register; the operation that made it does so itself where it can. */
static void assign(Maker *k, Value *reg, const Value *v, DType dt)
{
    Code *code = k->scope->code;
    Ins *last = code->ins.n ? &code->ins.at[code->ins.n - 1] : NULL;
    if (last && last->run && last->dst == v->slot && v->each == reg->each && !k->scope->mask) {
        last->dst = reg->slot;
        return;
    }
    PUSH(k->a, &code->ins, ((Ins){.run = kernel_copy(dt), .dst = reg->slot, .a = {v->slot}, .each = {v->each}, .lanes = reg->each, .mask = k->scope->mask}));
}

static void set(Maker *k, const Nest *n, Steps *to)
{
    Scope s;
    open_statement(k, &s, to);
    const Value *v = value_of(k, n->expr);
    uint64_t *at = map_u64(&k->var, n->var->id, false);
    if (!at)
        ICE("register '%s' is set outside its scope", ex_var_info(k->x, n->var)->name);
    assign(k, (Value *)(uintptr_t)*at, v, (DType)n->var->dt);
    close_scope(k);
}

/* Opens the scope of what follows; block() closes it. */
static void let(Maker *k, const Nest *n, Steps *to)
{
    Scope s, *after = NEW(k->a, Scope);
    open_statement(k, &s, to);
    Value *v = NEW(k->a, Value);
    *v = *value_of(k, n->expr);
    const bool from_register = n->expr->op == EX_var && ex_var_info(k->x, n->expr)->kind == VK_REG;
    if (from_register || ex_var_info(k->x, n->var)->kind == VK_REG) {
        Value *reg = new_value(k, k->band != 0, 0);
        assign(k, reg, v, (DType)n->var->dt);
        v = reg;
    }
    close_scope(k);
    open_scope(k, after, &add_step(k, to, SP_code)->code);
    v->depth = from_register || v->depth >= s.depth ? after->depth : v->depth;
    bind(k, n->var, v);
}

static void store(Maker *k, const Store *st, Steps *to)
{
    Scope s;
    open_statement(k, &s, to);
    const Value *v = value_of(k, st->value);
    const Place p = place_of(k, st->buf, st->idx);
    const Ins i = {.run = kernel_store(buf(k->m->u, st->buf)->dt), .a = {p.base->slot, p.lanes ? p.lanes->slot : NULL, v->slot}, .each = {[2] = v->each},
                   .lanes = p.lanes || v->each || s.mask, .dt = (uint8_t)buf(k->m->u, st->buf)->dt, .mask = s.mask, .mem = &k->m->memory[st->buf]};
    PUSH(k->a, &s.code->ins, i);
    close_scope(k);
}

static void branch(Maker *k, const Nest *n, Steps *to, Step *step, bool sense, const Value *c)
{
    Scope s;
    open_statement(k, &s, to);
    const uint8_t *mask = s.mask;
    uint8_t *cond = new_slot(k, c->each);
    PUSH(k->a, &s.code->ins, ((Ins){.run = kernel_mask, .dst = cond, .a = {c->slot, c->each ? mask : NULL}, .lanes = c->each, .sense = sense}));
    close_scope(k);
    step->cond[!sense] = cond;
    open_scope(k, &s, &add_step(k, sense ? &step->body : &step->other, SP_code)->code);
    s.mask = c->each ? cond : mask;
    if (sense)
        block(k, n->body.at, n->body.n, &step->body);
    else
        block(k, n->other.at, n->other.n, &step->other);
    close_scope(k);
}

static void condition(Maker *k, const Nest *n, Steps *to)
{
    Scope s;
    open_statement(k, &s, to);
    const Value *c = value_of(k, n->expr);
    close_scope(k);
    Step *step = NEW(k->a, Step);
    step->op = SP_if;
    step->each = c->each;
    branch(k, n, to, step, true, c);
    branch(k, n, to, step, false, c);
    PUSH(k->a, &to->v, step);
}

static void call(Maker *k, const Nest *n, Steps *to)
{
    Scope s;
    const int64_t **arg = NEWN(k->a, const int64_t *, n->call->narg + 1);
    open_statement(k, &s, to);
    for (uint8_t q = 0; q < n->call->narg; q++)
        arg[q] = scalar(k, n->arg[q]);
    close_scope(k);
    Step *step = add_step(k, to, SP_call);
    step->call = n;
    step->arg = arg;
}

static void statement(Maker *k, const Nest *n, Steps *to)
{
    switch (n->op) {
    case NS_block: block(k, n->body.at, n->body.n, to); return;
    case NS_for: loops(k, n, to); return;
    case NS_let: let(k, n, to); return;
    case NS_set: set(k, n, to); return;
    case NS_store: store(k, &n->store, to); return;
    case NS_if: condition(k, n, to); return;
    case NS_call: call(k, n, to); return;
    case NS_tile: break;
    }
    ICE("a tile is left");
}

static void block(Maker *k, Nest *const *list, uint32_t n, Steps *to)
{
    Scope *outer = k->scope;
    for (uint32_t q = 0; q < n; q++)
        statement(k, list[q], to);
    k->scope = outer;
}

/* Steps of function f; `head` is to be run once before them. Code, slots and all live in the arena. */
Steps code_of(Arena *a, const Machinery *m, const Func *f, Code *head)
{
    Maker k = {.a = a, .x = m->u->cx->x, .m = m, .var = {.arena = a}, .impure = {.arena = a}};
    Scope root;
    Steps steps = {0};
    open_scope(&k, &root, head);
    const Nest *n = plain(&k, f->body);
    block(&k, n->body.at, n->body.n, &steps);
    return steps;
}

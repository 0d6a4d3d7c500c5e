/* SPDX-License-Identifier: Apache-2.0
 *
 * Units and loop nests: building, walking, and the facts every consumer needs (layout of buffers, parameters of
 * functions). Nothing here decides how a stage is computed.
 */
#include "nest.h"

#include "call.h"

Unit *unit_new(Ctx *cx, const char *name, const Te *te)
{
    Unit *u = NEW(cx->arena, Unit);
    u->cx = cx;
    u->name = name;
    u->te = te;
    u->arena_align = 64;
    PUSH(cx->arena, &u->buf, NULL);
    return u;
}

uint32_t unit_buf(Unit *u, const char *name, DType dt, BufClass cls, uint8_t rank, const Expr *const *dim)
{
    Buf *b = NEW(u->cx->arena, Buf);
    b->name = name;
    b->dt = dt;
    b->cls = cls;
    b->rank = rank;
    b->offset = -1;
    b->io = -1;
    for (uint8_t d = 0; d < rank; d++) {
        b->dim[d] = dim[d];
        b->order[d] = d;
    }
    PUSH(u->cx->arena, &u->buf, b);
    return u->buf.n - 1;
}

/* Strides and bytes from extents, halo and storage order. Bytes are at the upper bounds of the symbols; import has
 * limited the elements of every tensor, so an overflow here is a mistake of a pass. */
void buf_layout(Unit *u, Buf *b)
{
    Exprs *x = u->cx->x;
    const Expr *stride = ex_int(x, 1);
    int64_t bytes = (int64_t)dtype_bytes(b->dt);
    for (int k = b->rank - 1; k >= 0; k--) {
        const uint8_t d = b->order[k];
        const int64_t halo = b->lo[d] + b->hi[d];
        b->stride[d] = stride;
        stride = ex_mul(x, stride, ex_add(x, b->dim[d], ex_int(x, halo)));
        if (!mul_i64(bytes, ex_upper(x, b->dim[d]) + halo, &bytes))
            ICE("buffer '%s' is larger than memory", b->name);
    }
    b->bytes = bytes;
}

Func *unit_func(Unit *u, const char *hint)
{
    Func *f = NEW(u->cx->arena, Func);
    f->name = str_fmt(u->cx->arena, "n%03u_%s", u->func.n, hint);
    f->body = nest_block(u->cx->arena);
    PUSH(u->cx->arena, &u->func, f);
    return f;
}

static Nest *make(Arena *a, NestOp op)
{
    Nest *n = NEW(a, Nest);
    n->op = op;
    return n;
}

static Nest *append(Arena *a, Nest *in, Nest *n)
{
    PUSH(a, &in->body, n);
    return n;
}

Nest *nest_block(Arena *a)
{
    return make(a, NS_block);
}

Nest *nest_for(Arena *a, Nest *in, const Expr *var, const Expr *lo, const Expr *extent)
{
    Nest *n = append(a, in, make(a, NS_for));
    n->var = var;
    n->lo = lo;
    n->extent = extent;
    return n;
}

Nest *nest_let(Arena *a, Nest *in, const Expr *var, const Expr *value)
{
    Nest *n = append(a, in, make(a, NS_let));
    n->var = var;
    n->expr = value;
    return n;
}

Nest *nest_set(Arena *a, Nest *in, const Expr *var, const Expr *value)
{
    Nest *n = append(a, in, make(a, NS_set));
    n->var = var;
    n->expr = value;
    return n;
}

Nest *nest_store(Arena *a, Nest *in, uint32_t id, uint8_t rank, const Expr *const *idx, const Expr *value)
{
    Nest *n = append(a, in, make(a, NS_store));
    n->store.buf = id;
    n->store.value = value;
    memcpy(n->store.idx, idx, rank * sizeof *idx);
    return n;
}

Nest *nest_if(Arena *a, Nest *in, const Expr *cond)
{
    Nest *n = append(a, in, make(a, NS_if));
    n->expr = cond;
    return n;
}

void nest_else(Nest *n, const Nest *block)
{
    n->other.at = block->body.at;
    n->other.n = block->body.n;
    n->other.cap = block->body.cap;
}

Nest *nest_tile(Arena *a, Nest *in, Tile *t)
{
    Nest *n = append(a, in, make(a, NS_tile));
    n->tile = t;
    return n;
}

Nest *nest_call(Arena *a, Nest *in, const CallInfo *call)
{
    Nest *n = append(a, in, make(a, NS_call));
    n->call = call;
    return n;
}

const Expr *red_combine(Exprs *x, RedOp op, const Expr *p, const Expr *q)
{
    static const ExprOp by[] = {[RED_sum] = EX_add, [RED_prod] = EX_mul, [RED_min] = EX_min, [RED_max] = EX_max};
    return op == RED_none ? q : ex_binary(x, by[op], p, q);
}

void nest_walk(Nest *n, void (*pre)(void *ctx, Nest *n), void *ctx)
{
    pre(ctx, n);
    for (uint32_t k = 0; k < n->body.n; k++)
        nest_walk(n->body.at[k], pre, ctx);
    for (uint32_t k = 0; k < n->other.n; k++)
        nest_walk(n->other.at[k], pre, ctx);
}

typedef void (*NestExprFn)(void *ctx, const Nest *at, const Expr *e, bool store);

static void visit(const Nest *at, const Expr *e, bool store, NestExprFn fn, void *ctx)
{
    if (e)
        fn(ctx, at, e, store);
}

static void tile_exprs(const Nest *n, NestExprFn fn, void *ctx)
{
    const Tile *t = n->tile;
    visit(n, t->open, false, fn, ctx);
    visit(n, t->init, false, fn, ctx);
    visit(n, t->body, false, fn, ctx);
    for (int k = 0; k < t->nr; k++)
        visit(n, t->rext[k], false, fn, ctx);
    for (int k = 0; k < t->nfetch; k++) {
        visit(n, t->fetch[k].at, false, fn, ctx);
        visit(n, t->fetch[k].when, false, fn, ctx);
    }
    for (int k = 0; k < t->nstore; k++) {
        visit(n, t->store[k].value, false, fn, ctx);
        for (int d = 0; d < MAX_RANK; d++)
            visit(n, t->store[k].idx[d], true, fn, ctx);
    }
}

void nest_exprs(const Nest *n, NestExprFn fn, void *ctx)
{
    visit(n, n->lo, false, fn, ctx);
    visit(n, n->extent, false, fn, ctx);
    visit(n, n->expr, false, fn, ctx);
    if (n->op == NS_store) {
        visit(n, n->store.value, false, fn, ctx);
        for (int d = 0; d < MAX_RANK; d++)
            visit(n, n->store.idx[d], true, fn, ctx);
    }
    if (n->op == NS_tile)
        tile_exprs(n, fn, ctx);
    for (int k = 0; n->call && k < n->call->narg; k++)
        visit(n, n->arg[k], false, fn, ctx);
    for (uint32_t k = 0; k < n->body.n; k++)
        nest_exprs(n->body.at[k], fn, ctx);
    for (uint32_t k = 0; k < n->other.n; k++)
        nest_exprs(n->other.at[k], fn, ctx);
}

/* What one function touches. */
typedef struct Uses {
    Unit *u;
    Func *f;
    uint8_t *read, *written; /* by buffer */
    Map sym, defined;        /* by expression id -> expression */
} Uses;

static void use_symbol(void *ctx, const Expr *e)
{
    Uses *s = ctx;
    if (e->op == EX_var && ex_var_info(s->u->cx->x, e)->kind == VK_SYM)
        *map_u64(&s->sym, e->id, true) = (uint64_t)(uintptr_t)e;
}

const Expr *buf_offset(Exprs *x, const Buf *b, const Expr *const *idx)
{
    const Expr *e = ex_int(x, 0);
    for (uint8_t d = 0; d < b->rank; d++)
        e = ex_add(x, e, ex_mul(x, ex_add(x, idx[d], ex_int(x, b->lo[d])), b->stride[d]));
    return e;
}

/* Of an access only what its offset mentions is needed, where symbols of indices and strides may cancel; of a guarded one
 * also what is compared. */
static const Expr *by_offset(void *ctx, const Expr *e)
{
    Uses *s = ctx;
    if (e->op != EX_load && e->op != EX_loadp)
        return e;
    Exprs *x = s->u->cx->x;
    const Buf *b = buf(s->u, e->v.ref);
    const Expr *at = buf_offset(x, b, e->a);
    s->read[e->v.ref] = 1;
    if (e->op == EX_load)
        return ex_load(x, (DType)e->dt, e->v.ref, 1, &at);
    for (uint8_t d = 0; d < b->rank; d++)
        ex_walk(ex_binary(x, EX_and, ex_binary(x, EX_le, ex_int(x, 0), e->a[d]), ex_binary(x, EX_lt, e->a[d], b->dim[d])), use_symbol, s);
    return ex_loadp(x, (DType)e->dt, e->v.ref, 1, &at, e->a[b->rank]);
}

static void use_value(Uses *s, const Expr *e)
{
    ex_walk(ex_map(s->u->cx->x, e, by_offset, s), use_symbol, s);
}

static void use_expr(void *ctx, const Nest *at, const Expr *e, bool store)
{
    (void)at;
    if (!store) /* indices of stores are in their offsets */
        use_value(ctx, e);
}

static void use_extents(Uses *s, uint32_t id)
{
    const Buf *b = buf(s->u, id);
    for (uint8_t d = 0; id && d < b->rank; d++)
        ex_walk(b->dim[d], use_symbol, s);
}

static void use_store(Uses *s, const Store *st)
{
    s->written[st->buf] = 1;
    use_value(s, buf_offset(s->u->cx->x, buf(s->u, st->buf), st->idx));
}

static void use_call(Uses *s, const Nest *n)
{
    for (int k = 0; k < n->call->nin; k++)
        s->read[n->buf[k]] = 1;
    for (int k = 0; k < n->call->nout; k++)
        s->written[n->buf[n->call->nin + k]] = 1;
    for (int k = 0; k < n->call->nin + n->call->nout; k++)
        use_extents(s, n->buf[k]);
    if (n->scratch)
        s->written[n->scratch] = 1;
    for (int k = 0; k < n->call->nresult; k++)
        if (!ex_is_const(n->result[k]))
            *map_u64(&s->defined, n->result[k]->id, true) = (uint64_t)(uintptr_t)n->result[k];
}

static void use_nest(void *ctx, Nest *n)
{
    Uses *s = ctx;
    if (n->op == NS_store)
        use_store(s, &n->store);
    for (int k = 0; n->op == NS_tile && k < n->tile->nstore; k++)
        use_store(s, &n->tile->store[k]);
    if (n->op == NS_call)
        use_call(s, n);
}

const bool *unit_used(Unit *u)
{
    Arena *a = u->cx->arena;
    Uses s = {.u = u, .read = NEWN(a, uint8_t, u->buf.n), .written = NEWN(a, uint8_t, u->buf.n), .sym = {.arena = a}, .defined = {.arena = a}};
    bool *used = NEWN(a, bool, u->buf.n);
    for (uint32_t k = 0; k < u->func.n; k++) {
        s.f = u->func.at[k];
        nest_walk(s.f->body, use_nest, &s);
        nest_exprs(s.f->body, use_expr, &s);
    }
    for (uint32_t k = 1; k < u->buf.n; k++)
        used[k] = s.read[k] || s.written[k];
    return used;
}

static void finish_func(Unit *u, Func *f)
{
    Arena *a = u->cx->arena;
    Uses s = {.u = u, .f = f, .read = NEWN(a, uint8_t, u->buf.n), .written = NEWN(a, uint8_t, u->buf.n), .sym = {.arena = a}, .defined = {.arena = a}};
    nest_walk(f->body, use_nest, &s);
    nest_exprs(f->body, use_expr, &s);
    f->param.n = f->sym.n = f->defines.n = 0;
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t k = 1; k < u->buf.n; k++)
            if ((s.read[k] || s.written[k]) && s.written[k] == pass && !(buf(u, k)->cls == BC_scratch && buf(u, k)->on_stack))
                PUSH(a, &f->param, k);
    for (uint32_t k = 0; k < s.defined.slot.n; k++)
        PUSH(a, &f->defines, (const Expr *)(uintptr_t)s.defined.slot.at[k].val);
    for (uint32_t k = 0; k < s.sym.slot.n; k++)
        if (!map_u64(&s.defined, s.sym.slot.at[k].key, false))
            PUSH(a, &f->sym, (const Expr *)(uintptr_t)s.sym.slot.at[k].val);
}

/* Symbols of which an extent of an input is the dimension; others come from calls. */
static void unit_symbols(Unit *u)
{
    Arena *a = u->cx->arena;
    Map seen = {.arena = a};
    for (uint32_t k = 0; k < u->input.n; k++) {
        const Buf *b = buf(u, u->input.at[k]);
        for (int d = 0; d < b->rank; d++) {
            const Expr *sym = ex_symbol_of(u->cx->x, b->dim[d]);
            if (!sym || map_u64(&seen, sym->id, false))
                continue;
            *map_u64(&seen, sym->id, true) = 1;
            PUSH(a, &u->sym, sym);
            PUSH(a, &u->sym_input, (int32_t)k);
            PUSH(a, &u->sym_dim, d);
        }
    }
    for (uint32_t k = 0; k < u->func.n; k++)
        for (uint32_t s = 0; s < u->func.at[k]->defines.n; s++) {
            PUSH(a, &u->sym, u->func.at[k]->defines.at[s]);
            PUSH(a, &u->sym_input, -1);
            PUSH(a, &u->sym_dim, -1);
        }
}

/* Fills what consumers of a unit read but no builder sets by hand: parameters and symbols of every function. */
void unit_finish(Unit *u)
{
    for (uint32_t k = 0; k < u->func.n; k++)
        finish_func(u, u->func.at[k]);
    u->sym.n = u->sym_input.n = u->sym_dim.n = 0;
    unit_symbols(u);
}

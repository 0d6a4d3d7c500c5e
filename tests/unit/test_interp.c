/* SPDX-License-Identifier: Apache-2.0
 *
 * The interpreter (ir/interp*.c) against the plain meaning of nests: a walker that does one scalar operation at a time.
 * Units come from text, and from graphs at -O0 and -O3, planned and not; outputs must have the same bits.
 */
#include "context.h"
#include "compiler/pass.h"
#include "ir/call.h"
#include "ir/op.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- the walker ---- */

typedef struct Walker {
    const Unit *u;
    char **memory;
    Map value;    /* variable or symbol id -> Scalar * */
} Walker;

static Scalar *place(Walker *w, const Expr *var)
{
    uint64_t *at = map_u64(&w->value, var->id, true);
    if (!*at)
        *at = (uint64_t)(uintptr_t)NEW(arena, Scalar);
    return (Scalar *)(uintptr_t)*at;
}

static Scalar eval(Walker *w, const Expr *e);

/* Address of an element; NULL: outside the extents (halo included when `halo`). */
static char *element(Walker *w, uint32_t id, const Expr *const *idx, bool halo)
{
    const Buf *b = buf(w->u, id);
    int64_t at = 0;
    for (uint8_t d = 0; d < b->rank; d++) {
        const int64_t i = eval(w, idx[d]).i, n = eval(w, b->dim[d]).i;
        if (i < (halo ? -b->lo[d] : 0) || i >= n + (halo ? b->hi[d] : 0))
            return NULL;
        at += (i + b->lo[d]) * eval(w, b->stride[d]).i;
    }
    return w->memory[id] + at * (int64_t)dtype_bytes(b->dt);
}

static char *inside(Walker *w, uint32_t id, const Expr *const *idx)
{
    char *p = element(w, id, idx, true);
    if (!p)
        fail_msg("the nest leaves buffer '%s'", buf(w->u, id)->name);
    return p;
}

static Scalar leaf(Walker *w, const Expr *e)
{
    if (e->op == EX_var)
        return *place(w, e);
    if (!dtype_is_float((DType)e->dt))
        return (Scalar){.i = e->v.i};
    return e->dt == DT_f64 ? (Scalar){.f64 = e->v.f} : (Scalar){.f32 = (float)e->v.f};
}

static Scalar eval(Walker *w, const Expr *e)
{
    if (e->op == EX_const || e->op == EX_var)
        return leaf(w, e);
    if (e->op == EX_load)
        return scalar_load((DType)e->dt, inside(w, e->v.ref, e->a));
    if (e->op == EX_loadp) {
        const char *p = element(w, e->v.ref, e->a, false);
        return p ? scalar_load((DType)e->dt, p) : eval(w, e->a[e->n - 1]);
    }
    Scalar a[3] = {eval(w, e->a[0])};
    if (e->op == EX_select)
        return eval(w, e->a[a[0].i ? 1 : 2]);
    if ((e->op == EX_and && !a[0].i) || (e->op == EX_or && a[0].i))
        return a[0];
    for (uint16_t k = 1; k < e->n; k++)
        a[k] = eval(w, e->a[k]);
    return scalar_op((ExprOp)e->op, (DType)e->dt, (DType)e->a[0]->dt, a);
}

static void walk(Walker *w, const Nest *n);

static void walk_list(Walker *w, Nest *const *list, uint32_t n)
{
    for (uint32_t k = 0; k < n; k++)
        walk(w, list[k]);
}

static void walk_store(Walker *w, const Store *s)
{
    const Scalar v = eval(w, s->value);
    scalar_store(buf(w->u, s->buf)->dt, inside(w, s->buf, s->idx), v);
}

/* fn for every combination of n variables, the last running fastest. */
static void each(Walker *w, const Tile *t, const Expr *const *var, const int64_t *ext, int n, void (*fn)(Walker *w, const Tile *t))
{
    if (n == 0) {
        fn(w, t);
        return;
    }
    for (int64_t k = 0; k < ext[0]; k++) {
        place(w, var[0])->i = k;
        each(w, t, var + 1, ext + 1, n - 1, fn);
    }
}

static void walk_step(Walker *w, const Tile *t)
{
    const Scalar body = eval(w, t->body);
    const Scalar a[2] = {*place(w, t->acc), body};
    static const ExprOp op[] = {[RED_sum] = EX_add, [RED_prod] = EX_mul, [RED_min] = EX_min, [RED_max] = EX_max};
    *place(w, t->acc) = scalar_op(op[t->red], (DType)t->acc->dt, (DType)t->acc->dt, a);
}

static void walk_point(Walker *w, const Tile *t)
{
    if (t->red != RED_none) {
        int64_t ext[MAX_RANK];
        for (int k = 0; k < t->nr; k++)
            ext[k] = eval(w, t->rext[k]).i;
        *place(w, t->acc) = eval(w, t->init ? t->init : red_identity(cx.x, t->red, (DType)t->acc->dt));
        each(w, t, t->rvar, ext, t->nr, walk_step);
    }
    for (int k = 0; k < t->nstore; k++)
        walk_store(w, &t->store[k]);
}

static void walk_tile(Walker *w, const Tile *t)
{
    const Expr *var[MAX_RANK + 1];
    int64_t ext[MAX_RANK + 1];
    int n = 0;
    for (; n < t->np; n++) {
        var[n] = t->pvar[n];
        ext[n] = t->pext[n];
    }
    if (t->lane && !t->across) {
        var[n] = t->lane;
        ext[n++] = eval(w, tile_lanes(cx.x, t)).i;
    }
    each(w, t, var, ext, n, walk_point);
}

static mlcc_tensor whole(Walker *w, uint32_t id)
{
    const Buf *b = buf(w->u, id);
    mlcc_tensor t = {.data = w->memory[id], .dtype = dtype_info(b->dt)->onnx, .rank = b->rank};
    for (uint8_t d = 0; d < b->rank; d++)
        t.dim[d] = eval(w, b->dim[d]).i;
    return t;
}

/* Calls of these tests report one extent, dimension 0 of output 0. */
static void walk_call(Walker *w, const Nest *n)
{
    mlcc_tensor in[4], out[4];
    int64_t arg[4];
    const CallInfo *c = n->call;
    for (int k = 0; k < c->nresult; k++)
        if (n->result[k]->op == EX_var)
            place(w, n->result[k])->i = ex_var_info(cx.x, n->result[k])->hi;
    for (int k = 0; k < c->nin; k++)
        in[k] = whole(w, n->buf[k]);
    for (int k = 0; k < c->nout; k++)
        out[k] = whole(w, n->buf[c->nin + k]);
    for (int k = 0; k < c->narg; k++)
        arg[k] = eval(w, n->arg[k]).i;
    c->fn(in, out, arg, n->scratch ? w->memory[n->scratch] : NULL);
    for (int k = 0; k < c->nresult; k++)
        if (n->result[k]->op == EX_var)
            place(w, n->result[k])->i = out[0].dim[0];
}

static void walk(Walker *w, const Nest *n)
{
    switch (n->op) {
    case NS_block: walk_list(w, n->body.at, n->body.n); return;
    case NS_let: case NS_set: *place(w, n->var) = eval(w, n->expr); return;
    case NS_store: walk_store(w, &n->store); return;
    case NS_tile: walk_tile(w, n->tile); return;
    case NS_call: walk_call(w, n); return;
    case NS_if:
        if (eval(w, n->expr).i)
            walk_list(w, n->body.at, n->body.n);
        else
            walk_list(w, n->other.at, n->other.n);
        return;
    case NS_for: {
        const int64_t lo = eval(w, n->lo).i, extent = eval(w, n->extent).i;
        for (int64_t k = 0; k < extent; k++) {
            place(w, n->var)->i = lo + k;
            walk_list(w, n->body.at, n->body.n);
        }
        return;
    }
    }
}

/* Memory of the buffers that a plan has put there; every unit here has one such pool. */
static char *pool_of(const Unit *u)
{
    int64_t bytes = 0;
    for (uint32_t k = 1; k < u->buf.n; k++)
        bytes = max_i64(bytes, buf(u, k)->offset + buf(u, k)->bytes);
    return arena_alloc(arena, (size_t)bytes + 1, 64);
}

static void walk_unit(const Unit *u, const mlcc_tensor *in, mlcc_tensor *out)
{
    Walker w = {.u = u, .memory = NEWN(arena, char *, u->buf.n), .value = {.arena = arena}};
    char *pool = pool_of(u);
    for (uint32_t k = 1; k < u->buf.n; k++) {
        const Buf *b = buf(u, k);
        w.memory[k] = b->offset >= 0 ? pool + b->offset : arena_alloc(arena, (size_t)b->bytes + 1, 64);
        if (b->cls == BC_const)
            blob_get(b->data, 0, b->data->count, w.memory[k]);
    }
    for (uint32_t k = 0; k < u->input.n; k++)
        w.memory[u->input.at[k]] = in[k].data;
    for (uint32_t k = 0; k < u->output.n; k++)
        w.memory[u->output.at[k]] = out[k].data;
    for (uint32_t k = 0; k < u->sym.n; k++)
        if (u->sym_input.at[k] >= 0)
            place(&w, u->sym.at[k])->i = in[u->sym_input.at[k]].dim[u->sym_dim.at[k]];
    for (uint32_t k = 0; k < u->func.n; k++)
        walk(&w, u->func.at[k]->body);
    for (uint32_t k = 0; k < u->output.n; k++)
        out[k] = whole(&w, u->output.at[k]);
}

/* ---- comparing ---- */

static void randomize(DType dt, void *to)
{
    const int r = rand();
    if (!dtype_is_float(dt))
        dtype_put_i(dt, to, dt == DT_bool ? r & 1 : r % 23 - (dtype_min(dt) ? 11 : 0));
    else
        dtype_put_f(dt, to, r % 16 == 0 ? 0.0 : r % 16 == 1 ? -0.0 : (r % 6001 - 3000) / 1000.0);
}

/* Inputs whose symbols all have the value n, at most its bound. */
static mlcc_tensor *random_inputs(const Unit *u, int64_t n)
{
    Walker w = {.u = u, .value = {.arena = arena}};
    mlcc_tensor *in = NEWN(arena, mlcc_tensor, u->input.n + 1);
    for (uint32_t k = 0; k < u->sym.n; k++)
        place(&w, u->sym.at[k])->i = min_i64(n, ex_upper(cx.x, u->sym.at[k]));
    for (uint32_t k = 0; k < u->input.n; k++) {
        const Buf *b = buf(u, u->input.at[k]);
        const size_t size = dtype_bytes(b->dt);
        in[k] = (mlcc_tensor){.data = arena_alloc(arena, (size_t)b->bytes + 1, 64), .dtype = dtype_info(b->dt)->onnx, .rank = b->rank};
        for (uint8_t d = 0; d < b->rank; d++)
            in[k].dim[d] = eval(&w, b->dim[d]).i;
        for (size_t at = 0; at + size <= (size_t)b->bytes; at += size)
            randomize(b->dt, (char *)in[k].data + at);
    }
    return in;
}

static mlcc_tensor *room(const Unit *u)
{
    mlcc_tensor *out = NEWN(arena, mlcc_tensor, u->output.n + 1);
    for (uint32_t k = 0; k < u->output.n; k++)
        out[k].data = arena_alloc(arena, (size_t)buf(u, u->output.at[k])->bytes + 1, 64);
    return out;
}

static size_t bytes_of(const mlcc_tensor *t)
{
    size_t n = dtype_bytes(dtype_by_onnx(t->dtype));
    for (int32_t d = 0; d < t->rank; d++)
        n *= (size_t)t->dim[d];
    return n;
}

static void compare(const Unit *u, const mlcc_tensor *in, const char *what)
{
    mlcc_tensor *want = room(u), *got = room(u);
    walk_unit(u, in, want);
    if (!unit_run(arena, u, in, got))
        fail_msg("%s: %s", what, problems());
    for (uint32_t k = 0; k < u->output.n; k++) {
        assert_int_equal(got[k].rank, want[k].rank);
        assert_memory_equal(got[k].dim, want[k].dim, (size_t)want[k].rank * sizeof *want[k].dim);
        if (memcmp(got[k].data, want[k].data, bytes_of(&want[k])) != 0)
            fail_msg("output %u differs: %s", k, what);
    }
}

static void check_unit(const Unit *u, const char *what)
{
    static const int64_t sizes[] = {1, 7, 40};
    const char *why = nest_check(arena, u);
    if (why)
        fail_msg("%s\n%s", why, what);
    for (size_t k = 0; k < (u->sym.n ? COUNT(sizes) : 1); k++)
        compare(u, random_inputs(u, sizes[k]), what);
}

static Unit *parsed(const char *text)
{
    Unit *u = unit_parse(&cx, text);
    if (!u)
        fail_msg("%s%s", problems(), text);
    return u;
}

/* ---- units from text: what builders make seldom ---- */

/* p[i,j], the sum of row i of a and its columns j and j + 8; copies of x and of p. */
#define ROWS ROWS_OF("s")
#define ROWS_OF(stored) "func f macs 0\nvar i < 8, j < 20\nfor i = 0, 8 {\nfor j = 0, 20 {\n%2.a[i,j] = %1.x[i,j]\n}\n}\n" \
    "func g macs 0\nvar i < 8, j < 12, k < 20, s f32\nfor i = 0, 8 {\nfor j = 0, 12 {\nlet s = %2.a[i,j]*%2.a[i,j + 8]\nfor k = 0, 20 {\ns = s + %2.a[i,k]\n}\n%3.p[i,j] = " stored "\n}\n}\n" \
    "func h macs 0\nvar i < 8, j < 12\nfor i = 0, 8 {\nfor j = 0, 12 {\n%4.y[i,j] = %3.p[i,j]\n}\n}\n"

static const char *const units[] = {
    /* more lanes than a strip, indices from a let */
    "unit a\nbuf %1.x input 0 f32[700]\nbuf %2.y output 0 f32[700]\nfunc f macs 0\nvar i 0..699, q any\n"
    "for i = 0, 700 {\nlet q = 699 - i\n%2.y[i] = exp(%1.x[q])*%1.x[i]\n}\n",
    /* the other side of select, and, or reads outside */
    "unit a\nbuf %1.x input 0 f32[9]\nbuf %2.y output 0 f32[12]\nfunc f macs 0\nvar i 0..11\n"
    "for i = 0, 12 {\n%2.y[i] = select(and(lt(i, 9), lt(0f32, %1.x[i])), %1.x[i], select(or(le(9, i), lt(%1.x[i], -1f32)), 5f32, 6f32))\n}\n",
    /* a whole strip on one side, and a condition that is the same for all lanes */
    "unit a\nbuf %1.x input 0 f32[300]\nbuf %2.y output 0 f32[4,600]\nfunc f macs 0\nvar k 0..3, i 0..599\n"
    "for k = 0, 4 {\nfor i = 0, 600 {\n%2.y[k,i] = select(lt(k, 2), select(lt(i, 300), %1.x[i], 1f32), select(lt(i, 300), 2f32, %1.x[i - 300]))\n}\n}\n",
    /* the side not taken by any lane reads outside at the same place for all */
    "unit a\nbuf %1.x input 0 f32[300]\nbuf %2.y output 0 f32[4,200]\nfunc f macs 0\nvar k 0..3, i 0..199\n"
    "for k = 0, 4 {\nfor i = 0, 200 {\n%2.y[k,i] = select(lt(k, 2), %1.x[150*k + mod(i, 150)] + %1.x[250*k], select(lt(i, 300 - 90*k), 2f32, %1.x[0]))\n}\n}\n",
    "unit a\nbuf %1.x input 0 f32[3]\nbuf %2.y output 0 f32[4,200]\nfunc f macs 0\nvar k 0..3, i 0..199\n"
    "for k = 0, 4 {\nfor i = 0, 200 {\nif lt(i + 100*k, 300) {\n%2.y[k,i] = %1.x[k]\n}\n}\n}\n",
    /* stores of some lanes */
    "unit a\nbuf %1.x input 0 i32[40]\nbuf %2.y output 0 i32[20]\nfunc f macs 0\nvar i 0..39, z 0..19\nfor z = 0, 20 {\n%2.y[z] = -1i32\n}\n"
    "for i = 0, 40 {\nif and(lt(0i32, %1.x[i]), lt(i, 20)) {\n%2.y[i] = %1.x[i] + %1.x[2*i]\n}\n}\n",
    /* guarded loads: fills of every kind, an index from data */
    "unit a\nbuf %1.x input 0 i8[5,5]\nbuf %2.y output 0 i8[7,7]\nbuf %3.z output 1 i8[7,7]\nfunc f macs 0\nvar i 0..6, j 0..6\n"
    "for i = 0, 7 {\nfor j = 0, 7 {\n%2.y[i,j] = %1.x[i - 1,j - 1 | 0i8]\n%3.z[i,j] = %1.x[ix(%1.x[i - 1,2 | 9i8]),j | 7i8]\n}\n}\n",
    /* if with different lanes, else, a register that keeps its value where it is not set */
    "unit a\nbuf %1.x input 0 f32[50]\nbuf %2.y output 0 f32[50]\nfunc f macs 0\nvar i 0..49, k 0..2, acc f32\n"
    "for i = 0, 50 {\nlet acc = 1f32\nif lt(0f32, %1.x[i]) {\nfor k = 0, 3 {\nacc = acc*%1.x[i] + f32(k)\n}\n} else {\nif lt(i, 25) {\nacc = -1f32\n}\n}\n%2.y[i] = acc\n}\n",
    /* a later store of the same element wins; reading back what was stored */
    "unit a\nbuf %1.x input 0 f32[40]\nbuf %2.y output 0 f32[5]\nfunc f macs 0\nvar i 0..39\n"
    "for i = 0, 40 {\n%2.y[mod(i, 5)] = %1.x[i]\n}\nfor i = 0, 4 {\n%2.y[i + 1] = %2.y[i] + %2.y[i + 1]\n}\n",
    /* halo, storage order, an outer extent that depends on an outer variable */
    "unit a\nbuf %1.x input 0 f32[6,4]\nbuf %2.t arena f32[6,4] order 1,0 halo 1+2,0+1 pad (0.0)\nbuf %3.y output 0 f32[6]\n"
    "func f macs 0\nvar i 0..8, j 0..4\nfor i = 0, 9 {\nfor j = 0, 5 {\n%2.t[i - 1,j] = 2f32\n}\n}\nfor i = 0, 6 {\nfor j = 0, 4 {\n%2.t[i,j] = %1.x[i,j]\n}\n}\n"
    "func g macs 0\nvar i 0..5, k 0..5, s f32\nfor i = 0, 6 {\nlet s = 0f32\nfor k = 0, i + 1 {\ns = s + %2.t[k - 1,4]*%2.t[k + 2,1]\n}\n%3.y[i] = s\n}\n",
    /* tiles: points, lanes, an initial value, several stores; across the lanes of a reduction */
    "unit a\nbuf %1.x input 0 f32[6,32]\nbuf %2.w input 1 f32[32,16]\nbuf %3.y output 0 f32[6,16]\nbuf %4.z output 1 f32[6]\n"
    "func f macs 0\nvar p 0..5, l 0..15, r 0..31, a f32\n"
    "tile fence {\npoint p 6\nlane l 16\nsum r 32\nacc a = %1.x[p,l]\nbody %1.x[p,r]*%2.w[r,l]\n%3.y[p,l] = max(a, 0f32)\n}\n"
    "func g macs 0\nvar p 0..5, r 0..31, a f32\ntile {\npoint p 6\nacross r 32\nmax r 32\nacc a\nbody %1.x[p,r]\n%4.z[p] = a\n}\n",
    /* rows in place of rows that were read, of elements of one size and of two; of rows that later ones read; of the last columns of a row itself */
    "unit a\nbuf %1.x input 0 f32[8,20]\nbuf %2.a arena f32[8,20] at 48 pool 0\nbuf %3.p arena f32[8,12] at 0 pool 0\nbuf %4.y output 0 f32[8,12]\n" ROWS,
    "unit a\nbuf %1.x input 0 f32[8,20]\nbuf %2.a arena f32[8,20] at 96 pool 0\nbuf %3.p arena f64[8,12] at 0 pool 0\nbuf %4.y output 0 f64[8,12]\n" ROWS_OF("f64(s)"),
    "unit a\nbuf %1.x input 0 f32[8,20]\nbuf %2.a arena f32[8,20] at 0 pool 0\nbuf %3.p arena f32[8,12] at 64 pool 0\nbuf %4.y output 0 f32[8,12]\n" ROWS,
    "unit a\nbuf %1.x input 0 f32[8,20]\nbuf %2.a arena f32[8,20] at 40 pool 0\nbuf %3.p arena f32[8,12] at 0 pool 0\nbuf %4.y output 0 f32[8,12]\n" ROWS,
    /* what an iteration writes, the fourth after it reads; at a place from a let */
    "unit a\nbuf %1.x input 0 i32[99]\nbuf %2.a arena i32[99] at 0 pool 0\nbuf %3.p arena i32[90] at 16 pool 0\nbuf %4.y output 0 i32[90]\nfunc f macs 0\nvar i < 99\n"
    "for i = 0, 99 {\n%2.a[i] = %1.x[i]\n}\nfunc g macs 0\nvar i < 90\nfor i = 0, 90 {\n%3.p[i] = %2.a[i]*3i32 + 1i32\n}\nfunc h macs 0\nvar i < 90\nfor i = 0, 90 {\n%4.y[i] = %3.p[i]\n}\n",
    "unit a\nbuf %1.x input 0 i32[99]\nbuf %2.a arena i32[99] at 0 pool 0\nbuf %3.p arena i32[90] at 4 pool 0\nbuf %4.y output 0 i32[90]\nfunc f macs 0\nvar i < 99\n"
    "for i = 0, 99 {\n%2.a[i] = %1.x[i]\n}\nfunc g macs 0\nvar i < 90, q 0..98\nfor i = 0, 90 {\nlet q = i + 3\n%3.p[q - 3] = %2.a[q - 3]*3i32 + 1i32\n}\nfunc h macs 0\nvar i < 90\nfor i = 0, 90 {\n%4.y[i] = %3.p[i]\n}\n",
    /* registers that leave no room for lanes outside, one loop at a time */
    "unit a\nbuf %1.x input 0 i32[300]\nbuf %2.y output 0 i32[300]\nfunc f macs 0\nvar i 0..299, s i32\nlet s = 0i32\nfor i = 0, 300 {\ns = s*3i32 + %1.x[i]\n%2.y[i] = s\n}\n",
    /* symbols: extents, strides, an empty loop */
    "unit a\nsym N 0..40 = input 0 0\nsym M 0..40 = input 0 1\nbuf %1.x input 0 f64[N,M]\nbuf %2.y output 0 f64[M,N]\n"
    "func f macs 0\nvar i < M, j < N\nfor i = 0, M {\nfor j = 0, N {\n%2.y[i,j] = %1.x[j,i] + f64(M)\n}\n}\n",
    /* an extent that a call decides */
    "unit a\nsym C 0..30 = call\nbuf %1.x input 0 bool[30]\nbuf %2.p arena i64[C]\nbuf %3.y output 0 i64[C]\n"
    "func f macs 0\ncall compress(%1.x, %2.p; 30; C; _)\nfunc g macs 0\nvar i < C\nfor i = 0, C {\n%3.y[i] = %2.p[i]*10i64\n}\n",
    /* every layout of a slot */
    "unit a\nbuf %1.a input 0 u8[64]\nbuf %2.b input 1 f16[64]\nbuf %3.c input 2 u64[64]\nbuf %4.d input 3 bf16[64]\n"
    "buf %5.y output 0 i8[64]\nbuf %6.z output 1 f16[64]\nbuf %7.q output 2 u64[64]\nbuf %8.r output 3 bool[64]\nbuf %9.s output 4 u32[64]\n"
    "func f macs 0\nvar i 0..63\nfor i = 0, 64 {\n%5.y[i] = sat_i8(f32(%1.a[i])*f32(%2.b[i]))\n%6.z[i] = f16(f32(%2.b[i]) + f32(%4.d[i]))\n"
    "%7.q[i] = shr(%3.c[i], 1u64) + u64(i32(%1.a[i]))\n%8.r[i] = or(lt(f32(%4.d[i]), 0f32), eq(%3.c[i], 3u64))\n%9.s[i] = bits_u32(f32(%4.d[i]))\n}\n",
};

static void test_units(void **state)
{
    (void)state;
    srand(1);
    for (size_t k = 0; k < COUNT(units); k++)
        check_unit(parsed(units[k]), units[k]);
}

/* ---- units from graphs ---- */

static const char *const graphs[] = {
    "input %x f32[2,3,9,11]\nconst %w f32[4,3,3,3] (fill 0.5)\nconst %b f32[4] (1.0, -2.0, 3.0, 0.25)\n%c f32 = Conv %x %w %b {pads=[1,1,1,1], strides=[2,1]}\n%y f32 = Relu %c\noutput %y\n",
    "sym N 1..40\ninput %x f32[N,24]\ninput %w f32[24,33]\n%m f32 = MatMul %x %w\n%y f32 = Softmax %m\noutput %y\n",
    "sym N 1..40\nsym M 1..40\ninput %x f32[N,M]\ninput %z f32[N,4]\n%c f32 = Concat %x %z {axis=1}\n%t f32 = Transpose %c {perm=[1,0]}\n%y f32 = Tanh %t\noutput %y\n",
    "input %x f32[1,4,10,10]\n%m f32 = MaxPool %x {kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]}\n%y f32 = AveragePool %m {kernel_shape=[2,2]}\noutput %y\n",
    "input %x f32[5,6]\ninput %i i64[4,1]\ninput %u f32[4,6]\n%y f32 = ScatterND %x %i %u {reduction=\"add\"}\noutput %y\n",
    "sym N 1..40\ninput %x f32[3,N]\nconst %a i64[] (1)\n%y f32 = CumSum %x %a\noutput %y\n",
    "input %x f32[4,5]\n%n i64 = NonZero %x\n%y i64 = Neg %n\noutput %y\n",
    "input %x f32[2,3,8]\nconst %s f32[8] (fill 2.0)\nconst %b f32[8] (fill 0.5)\n%l f32 = LayerNormalization %x %s %b\n%y f32 = Mul %l %x\noutput %y\n",
    "input %x u8[3,7]\ninput %y u8[7,5]\n%z i32 = MatMulInteger %x %y\noutput %z\n",
};

static const Unit *built(const char *graph, int level)
{
    static Options options;
    Text *log = NEW(arena, Text);
    log->arena = arena;
    options = (Options){.level = level};
    Program p = {.cx = &cx, .opt = &options, .name = "test", .log = log, .graph = graph_parse(&cx, str_fmt(arena, "graph g\n%s", graph))};
    cx.symbol = (Map){.arena = arena};
    if (!p.graph || !machine_for(&diags, "host", "generic", &p.machine) || !passes_run(&p, NULL))
        fail_msg("%s%s", problems(), graph);
    return p.unit;
}

/* Without places every buffer has memory of its own. */
static void unplan(const Unit *u)
{
    for (uint32_t k = 1; k < u->buf.n; k++)
        if (buf(u, k)->cls != BC_const)
            buf(u, k)->offset = -1;
}

static void test_graphs(void **state)
{
    (void)state;
    srand(2);
    for (size_t k = 0; k < COUNT(graphs); k++)
        for (int level = 0; level <= 3; level += 3) {
            const Unit *u = built(graphs[k], level);
            check_unit(u, graphs[k]);
            unplan(u);
            check_unit(u, graphs[k]);
        }
}

/* ---- inputs that do not fit ---- */

static void test_inputs(void **state)
{
    (void)state;
    const Unit *u = parsed("unit a\nsym N 2..9 = input 0 0\nbuf %1.x input 0 f32[N]\nbuf %2.z input 1 f32[N]\nbuf %3.y output 0 f32[N]\n"
                           "func f macs 0\nvar i < N\nfor i = 0, N {\n%3.y[i] = %1.x[i] + %2.z[i]\n}\n");
    float data[9] = {0}, result[9];
    mlcc_tensor in[2], out = {.data = result};
    const struct { int64_t n, m; int32_t dtype, rank; const char *slug; } bad[] = {
        {1, 1, 1, 1, "input-shape"}, {10, 10, 1, 1, "input-shape"}, {3, 4, 1, 1, "input-shape"}, {3, 3, 11, 1, "input-type"}, {3, 3, 1, 2, "input-type"},
    };
    for (size_t k = 0; k < COUNT(bad); k++) {
        diags = (Diags){.arena = arena, .file = "test"};
        in[0] = (mlcc_tensor){data, 1, 1, {bad[k].n}};
        in[1] = (mlcc_tensor){data, bad[k].dtype, bad[k].rank, {bad[k].m}};
        assert_false(unit_run(arena, u, in, &out));
        assert_int_equal(diags.list.n, 1);
        assert_string_equal(diags.list.at[0].slug, bad[k].slug);
    }
    in[0] = in[1] = (mlcc_tensor){data, 1, 1, {9}};
    assert_true(unit_run(arena, u, in, &out));
    assert_int_equal(out.dim[0], 9);
}

/* The extent of an input is a multiple of the symbol. */
static void test_multiple(void **state)
{
    (void)state;
    const Unit *u = parsed("unit a\nsym k 1..3 times 4 as h = input 0 0\nbuf %1.x input 0 f32[4*k]\nbuf %2.y output 0 f32[k]\n"
                           "func f macs 0\nvar i < k\nfor i = 0, k {\n%2.y[i] = %1.x[4*i]\n}\n");
    float data[16] = {0, 1, 2, 3, 4}, result[3];
    mlcc_tensor in = {data, 1, 1, {8}}, out = {.data = result};
    assert_true(unit_run(arena, u, &in, &out));
    assert_int_equal(out.dim[0], 2);
    assert_true(result[1] == 4);
    static const int64_t bad[] = {0, 2, 6, 16};
    for (size_t k = 0; k < COUNT(bad); k++) {
        in.dim[0] = bad[k];
        diags = (Diags){.arena = arena, .file = "test"};
        assert_false(unit_run(arena, u, &in, &out));
        assert_string_equal(diags.list.at[0].slug, "input-shape");
        assert_non_null(strstr(diags.list.at[0].text, "a multiple of 4 from 4 to 12"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_units, setup, teardown),
        cmocka_unit_test_setup_teardown(test_graphs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_inputs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_multiple, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The interpreter of units: memory, symbols and the walk over the steps that interp_code.c makes. It is the oracle for
 * emitted code and folds constants, so it computes element by element what the nest says, in the nest's order; the lanes
 * of a reduction across them are combined one after the other. Memory that nothing has written holds a pattern
 * and every access is checked against its buffer, so that mistakes of other passes show.
 */
#include "interp.h"

#include "call.h"

#include <stdio.h>

typedef struct Run {
    const Unit *u;
    Arena *a;
    Map sym;          /* symbol id -> int64_t * */
    Memory *memory;   /* by buffer */
    int32_t lanes;    /* of the strip at hand */
    const Expr *over; /* a symbol for which a call found more than its bound; NULL: none */
} Run;

/* ---- symbols ---- */

static int64_t *sym_place(Run *r, const Expr *s)
{
    uint64_t *at = map_u64(&r->sym, s->id, false);
    if (at)
        return (int64_t *)(uintptr_t)*at;
    int64_t *p = NEW(r->a, int64_t);
    *map_u64(&r->sym, s->id, true) = (uint64_t)(uintptr_t)p;
    return p;
}

/* Value of an extent or argument over symbols. */
static int64_t extent_now(Run *r, const Expr *e)
{
    if (e->op == EX_const)
        return e->v.i;
    if (e->op == EX_var)
        return *sym_place(r, e);
    Scalar a[3];
    for (uint16_t k = 0; k < e->n && k < 3; k++)
        a[k].i = extent_now(r, e->a[k]);
    return scalar_op((ExprOp)e->op, (DType)e->dt, (DType)e->a[e->op == EX_select]->dt, a).i;
}

static bool bad_input(const Run *r, const Buf *b, uint8_t d, int64_t have, const char *want)
{
    return diag_error(r->u->cx->diags, "input-shape", "input '%s' has extent %lld in dimension %u, expected %s", printable(r->a, b->name),
                      (long long)have, d, want);
}

static const char *bounds_text(Arena *a, const VarInfo *v)
{
    const int64_t times = var_times(v);
    return str_fmt(a, "%s%lld to %lld", times > 1 ? str_fmt(a, "a multiple of %lld from ", (long long)times) : "", (long long)(v->lo * times), (long long)(v->hi * times));
}

/* Symbols take their values where they stand alone; then every extent must agree. */
static bool take_symbols(Run *r, const mlcc_tensor *in)
{
    const Unit *u = r->u;
    for (uint32_t k = 0; k < u->sym.n; k++) {
        if (u->sym_input.at[k] < 0) {
            *sym_place(r, u->sym.at[k]) = 0;
            continue;
        }
        const int32_t d = u->sym_dim.at[k];
        const int64_t v = in[u->sym_input.at[k]].dim[d];
        const VarInfo *info = ex_var_info(u->cx->x, u->sym.at[k]);
        const int64_t times = var_times(info);
        if (v < info->lo * times || v > info->hi * times || v % times)
            return bad_input(r, buf(u, u->input.at[u->sym_input.at[k]]), (uint8_t)d, v, bounds_text(r->a, info));
        *sym_place(r, u->sym.at[k]) = v / times;
    }
    return true;
}

static bool check_inputs(Run *r, const mlcc_tensor *in)
{
    for (uint32_t k = 0; k < r->u->input.n; k++) {
        const Buf *b = buf(r->u, r->u->input.at[k]);
        if (in[k].dtype != dtype_info(b->dt)->onnx || in[k].rank != b->rank)
            return diag_error(r->u->cx->diags, "input-type", "input '%s' has type %d and rank %d, expected %d and %d", printable(r->a, b->name),
                              in[k].dtype, in[k].rank, dtype_info(b->dt)->onnx, b->rank);
    }
    if (!take_symbols(r, in))
        return false;
    for (uint32_t k = 0; k < r->u->input.n; k++) {
        const Buf *b = buf(r->u, r->u->input.at[k]);
        for (uint8_t d = 0; d < b->rank; d++) {
            const int64_t want = extent_now(r, b->dim[d]);
            if (in[k].dim[d] != want)
                return bad_input(r, b, d, in[k].dim[d], str_fmt(r->a, "%lld", (long long)want));
        }
    }
    return true;
}

/* ---- memory ---- */

enum { UNWRITTEN = 0xA5, MARKED = 1 << 24 };

/* Large blocks are marked at their start only: at the bounds of the symbols they are mostly never touched. */
static char *fresh(Run *r, int64_t bytes)
{
    char *p = arena_alloc(r->a, (size_t)max_i64(bytes, 1), 64);
    memset(p, UNWRITTEN, (size_t)min_i64(bytes, MARKED));
    return p;
}

static char *constant_data(Run *r, const Buf *b)
{
    if (b->data->count * (int64_t)dtype_bytes(b->dt) != b->bytes)
        ICE("constant '%s' has %lld elements for %lld bytes", b->name, (long long)b->data->count, (long long)b->bytes);
    return (char *)(uintptr_t)blob_all(b->data, r->a);
}

static bool in_pool(const Buf *b) { return (b->cls == BC_arena || (b->cls == BC_scratch && !b->on_stack)) && b->offset >= 0; }

/* Memory of each pool of a planned unit. */
static char **pools_of(Run *r)
{
    int32_t n = 0;
    for (uint32_t k = 1; k < r->u->buf.n; k++)
        if (in_pool(buf(r->u, k)) && buf(r->u, k)->pool >= n)
            n = buf(r->u, k)->pool + 1;
    char **pool = NEWN(r->a, char *, n + 1);
    int64_t *bytes = NEWN(r->a, int64_t, n + 1);
    for (uint32_t k = 1; k < r->u->buf.n; k++) {
        const Buf *b = buf(r->u, k);
        if (in_pool(b))
            bytes[b->pool] = max_i64(bytes[b->pool], b->offset + b->bytes);
    }
    for (int32_t k = 0; k < n; k++)
        pool[k] = fresh(r, bytes[k]);
    return pool;
}

static void place_buffers(Run *r, const mlcc_tensor *in, const mlcc_tensor *out)
{
    const Unit *u = r->u;
    char **pool = pools_of(r);
    r->memory = NEWN(r->a, Memory, u->buf.n);
    for (uint32_t k = 1; k < u->buf.n; k++) {
        const Buf *b = buf(u, k);
        Memory *m = &r->memory[k];
        *m = (Memory){.count = b->bytes / (int64_t)dtype_bytes(b->dt), .name = b->name};
        if (b->cls == BC_const)
            m->data = constant_data(r, b);
        else if (in_pool(b))
            m->data = pool[b->pool] + b->offset;
        else if (b->cls == BC_arena || b->cls == BC_scratch)
            m->data = fresh(r, b->bytes);
    }
    for (uint32_t k = 0; k < u->input.n; k++) {
        Memory *m = &r->memory[u->input.at[k]];
        m->data = in[k].data;
        m->count = 1;
        for (int32_t d = 0; d < in[k].rank; d++)
            m->count *= in[k].dim[d];
    }
    for (uint32_t k = 0; k < u->output.n; k++)
        r->memory[u->output.at[k]].data = out[k].data;
}

/* ---- steps ---- */

static bool none(const uint8_t *on, int32_t n, bool sense)
{
    return memchr(on, sense, (size_t)n) == NULL;
}

static void run_code(const Run *r, const Code *c)
{
    for (uint32_t k = 0; k < c->ins.n; k++) {
        const Ins *i = &c->ins.at[k];
        const int32_t n = i->lanes ? r->lanes : 1;
        if (i->run)
            i->run(i, n);
        else if (none(i->a[0], n, i->sense))
            k += i->skip;
    }
}

static void run_steps(Run *r, const Steps *s);

static void run_loop(Run *r, const Step *s)
{
    const int64_t lo = *s->lo[0], extent = *s->extent[0];
    for (int64_t k = 0; k < extent; k++) {
        *s->var[0] = lo + k;
        run_code(r, &s->code);
        run_steps(r, &s->body);
    }
}

/* Fills the variables of the next n lanes; at: indices of the first lane, which move on. */
static void next_lanes(const Step *s, int64_t *at, int32_t n)
{
    const uint8_t last = (uint8_t)(s->n - 1);
    for (int32_t l = 0; l < n;) {
        const int32_t run = (int32_t)min_i64(n - l, *s->extent[last] - at[last]);
        for (uint8_t q = 0; q < last; q++)
            for (int32_t k = 0; k < run; k++)
                s->var[q][l + k] = *s->lo[q] + at[q];
        for (int32_t k = 0; k < run; k++)
            s->var[last][l + k] = *s->lo[last] + at[last] + k;
        l += run;
        at[last] += run;
        for (uint8_t q = last; q > 0 && at[q] == *s->extent[q]; q--) {
            at[q] = 0;
            at[q - 1]++;
        }
    }
}

static void run_band(Run *r, const Step *s)
{
    int64_t total = 1, at[MAX_RANK * 2] = {0};
    for (uint8_t q = 0; q < s->n; q++)
        total *= max_i64(*s->extent[q], 0);
    while (total > 0) {
        r->lanes = (int32_t)min_i64(total, LANES);
        total -= r->lanes;
        next_lanes(s, at, r->lanes);
        run_code(r, &s->code);
        run_steps(r, &s->body);
    }
    r->lanes = 1;
}

static void run_if(Run *r, const Step *s)
{
    const int32_t n = s->each ? r->lanes : 1;
    const bool body = !none(s->cond[0], n, true), other = !none(s->cond[1], n, true);
    if (body)
        run_steps(r, &s->body);
    if (other)
        run_steps(r, &s->other);
}

/* ---- calls ---- */

static mlcc_tensor tensor_now(Run *r, uint32_t id)
{
    if (!id)
        return (mlcc_tensor){0};
    const Buf *b = buf(r->u, id);
    if (b->rank > MLCC_MAX_RANK)
        ICE("buffer '%s' of a call has rank %u", b->name, b->rank);
    mlcc_tensor t = {.data = r->memory[id].data, .dtype = dtype_info(b->dt)->onnx, .rank = b->rank};
    for (uint8_t d = 0; d < b->rank; d++)
        t.dim[d] = extent_now(r, b->dim[d]);
    return t;
}

static bool is_symbol(const Expr *e) { return e->op == EX_var; }

/* Extents that the call decides stand at their bounds while it runs. */
static void run_call(Run *r, const Step *s)
{
    const Nest *n = s->call;
    const CallInfo *c = n->call;
    mlcc_tensor in[UINT8_MAX], out[UINT8_MAX];
    int64_t arg[UINT8_MAX];
    for (uint8_t k = 0; k < c->nresult; k++)
        if (is_symbol(n->result[k]))
            *sym_place(r, n->result[k]) = ex_var_info(r->u->cx->x, n->result[k])->hi;
    for (uint8_t k = 0; k < c->nin; k++)
        in[k] = tensor_now(r, n->buf[k]);
    for (uint8_t k = 0; k < c->nout; k++)
        out[k] = tensor_now(r, n->buf[c->nin + k]);
    for (uint8_t k = 0; k < c->narg; k++)
        arg[k] = *s->arg[k];
    c->fn(in, out, arg, n->scratch ? r->memory[n->scratch].data : NULL);
    const char *where = c->result;
    for (uint8_t k = 0; k < c->nresult; k++) {
        int o = 0, d = 0, used = 0;
        if (sscanf(where, " %d.%d%n", &o, &d, &used) != 2)
            ICE("result %u of %s is not described", k, c->name);
        where += used;
        if (!is_symbol(n->result[k]))
            continue;
        const int64_t hi = ex_var_info(r->u->cx->x, n->result[k])->hi;
        *sym_place(r, n->result[k]) = min_i64(out[o].dim[d], hi);
        r->over = out[o].dim[d] > hi ? n->result[k] : r->over;
    }
}

static void run_steps(Run *r, const Steps *s)
{
    for (uint32_t k = 0; k < s->v.n; k++) {
        const Step *p = s->v.at[k];
        switch (p->op) {
        case SP_code: run_code(r, &p->code); break;
        case SP_loop: run_loop(r, p); break;
        case SP_band: run_band(r, p); break;
        case SP_if: run_if(r, p); break;
        case SP_call: run_call(r, p); break;
        }
    }
}

/* ---- units ---- */

static void run_function(Run *r, const Func *f)
{
    Arena *a = arena_child(r->a);
    Code head = {0};
    const Machinery m = {.u = r->u, .memory = r->memory, .sym = &r->sym};
    const Steps steps = code_of(a, &m, f, &head);
    r->lanes = 1;
    run_code(r, &head);
    run_steps(r, &steps);
    arena_free(a);
}

/* An extent such as N - 3 may be negative for an input that its bounds allow; the symbols of calls are 0 here. */
static bool check_outputs(Run *r)
{
    bool ok = true;
    for (uint32_t k = 0; k < r->u->output.n; k++) {
        const Buf *b = buf(r->u, r->u->output.at[k]);
        for (uint8_t d = 0; d < b->rank && ok; d++)
            if (extent_now(r, b->dim[d]) < 0)
                ok = diag_error(r->u->cx->diags, "output-shape", "output '%s' has extent %lld in dimension %u for these inputs",
                                printable(r->a, b->name), (long long)extent_now(r, b->dim[d]), d);
    }
    return ok;
}

static void report_extents(Run *r, mlcc_tensor *out)
{
    for (uint32_t k = 0; k < r->u->output.n; k++) {
        const Buf *b = buf(r->u, r->u->output.at[k]);
        out[k].dtype = dtype_info(b->dt)->onnx;
        out[k].rank = b->rank;
        for (uint8_t d = 0; d < b->rank; d++)
            out[k].dim[d] = extent_now(r, b->dim[d]);
    }
}

/* Runs u. in[k]: data and actual extents of input k; out[k].data: room for output k at its bounds, type and extents are
 * filled. Buffers stand where the plan put them, or each in memory of its own when there is no plan. All memory is a's
 * and lives until a is freed. False, with a diagnostic: an input's type or extents do not
 * fit, or give an output no extents, or data make more elements than an assumed bound allows. */
bool unit_run(Arena *a, const Unit *u, const mlcc_tensor *in, mlcc_tensor *out)
{
    Run r = {.u = u, .a = a, .sym = {.arena = a}};
    if (!check_inputs(&r, in) || !check_outputs(&r))
        return false;
    place_buffers(&r, in, out);
    for (uint32_t k = 0; k < u->func.n; k++)
        run_function(&r, u->func.at[k]);
    if (r.over)
        return diag_error(u->cx->diags, "extent-bound", "the data make more than %lld elements, for which memory was planned",
                          (long long)ex_var_info(u->cx->x, r.over)->hi);
    report_extents(&r, out);
    return true;
}

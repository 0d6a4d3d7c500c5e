/* SPDX-License-Identifier: Apache-2.0
 *
 * See order.h. A function follows those that write what it reads or writes, that read what it writes, and that define
 * its symbols. Inputs, outputs and constants are the caller's memory: they do not count, but they bind.
 */
#include "order.h"

#include "../ir/call.h"
#include "overlap.h"
#include "plan_order.h"

typedef struct Order {
    Unit *u;
    Arena *a;
    OrderStep *step;
    uint32_t *writer, *wrote; /* by buffer: last function that wrote it plus one; function being looked at that does */
    VEC(uint32_t) *reader;    /* by buffer, since it was written */
    Map defined;              /* symbol -> function plus one */
    uint32_t now;
} Order;

static void writes(Order *o, uint32_t id) { o->wrote[id] = o->now + 1; }

static void find_writes(void *ctx, Nest *n)
{
    Order *o = ctx;
    if (n->op == NS_store)
        writes(o, n->store.buf);
    for (int k = 0; n->op == NS_tile && k < n->tile->nstore; k++)
        writes(o, n->tile->store[k].buf);
    for (int k = 0; n->op == NS_call && k < n->call->nout; k++)
        writes(o, n->buf[n->call->nin + k]);
    if (n->op == NS_call && n->scratch)
        writes(o, n->scratch);
}

static void after(Order *o, uint32_t f)
{
    OrderStep *s = &o->step[o->now];
    for (uint32_t k = 0; k < s->before.n; k++)
        if (s->before.at[k] == f)
            return;
    if (f != o->now)
        PUSH(o->a, &s->before, f);
}

static void use_buffer(Order *o, uint32_t id)
{
    if (o->writer[id])
        after(o, o->writer[id] - 1);
    if (o->wrote[id] != o->now + 1) {
        PUSH(o->a, &o->reader[id], o->now);
        return;
    }
    for (uint32_t k = 0; k < o->reader[id].n; k++)
        after(o, o->reader[id].at[k]);
    o->reader[id].n = 0;
    o->writer[id] = o->now + 1;
}

static void use_symbols(Order *o, const Func *f)
{
    for (uint32_t k = 0; k < f->sym.n; k++) {
        const uint64_t *by = map_u64(&o->defined, f->sym.at[k]->id, false);
        if (by)
            after(o, (uint32_t)*by - 1);
    }
    for (uint32_t k = 0; k < f->defines.n; k++)
        *map_u64(&o->defined, f->defines.at[k]->id, true) = o->now + 1;
}

static void savings(Order *o, const Func *f)
{
    const Unit *u = o->u;
    const uint32_t out = f->param.n ? f->param.at[f->param.n - 1] : 0;
    for (uint32_t k = 0; out && buf(u, out)->cls == BC_arena && k + 1 < f->param.n; k++) {
        const uint32_t in = f->param.at[k];
        if (buf(u, in)->cls != BC_arena)
            continue;
        const Overlap v = overlap_of(u, f, in, out);
        const int64_t both = min_i64(buf(u, in)->bytes, buf(u, out)->bytes), gap = v.in_place ? 0 : max_i64(v.gap, 0);
        const int64_t bytes = min_i64(both, buf(u, out)->bytes - gap);
        if (bytes > 0)
            PUSH(o->a, &o->step[o->now].saving, ((OrderSaving){in, out, bytes}));
    }
}

static void describe_function(Order *o, uint32_t k)
{
    const Func *f = o->u->func.at[k];
    o->now = k;
    nest_walk(f->body, find_writes, o);
    for (uint32_t p = 0; p < f->param.n; p++) {
        const uint32_t id = f->param.at[p];
        const BufClass cls = buf(o->u, id)->cls;
        if (cls == BC_const)
            continue;
        use_buffer(o, id);
        if (cls == BC_arena || cls == BC_scratch)
            PUSH(o->a, &o->step[k].touch, id);
    }
    use_symbols(o, f);
    savings(o, f);
}

void order_functions(Unit *u)
{
    const uint32_t n = u->func.n;
    Arena *a = arena_child(u->cx->arena);
    Order o = {.u = u, .a = a, .step = NEWN(a, OrderStep, n + 1), .writer = NEWN(a, uint32_t, u->buf.n), .wrote = NEWN(a, uint32_t, u->buf.n), .defined = {.arena = a}};
    o.reader = arena_alloc(a, u->buf.n * sizeof *o.reader, 16);
    memset(o.reader, 0, u->buf.n * sizeof *o.reader);
    int64_t *bytes = NEWN(a, int64_t, u->buf.n);
    for (uint32_t k = 1; k < u->buf.n; k++)
        bytes[k] = buf(u, k)->bytes;
    for (uint32_t k = 0; k < n; k++)
        describe_function(&o, k);
    uint32_t *order = NEWN(a, uint32_t, n + 1);
    const OrderProblem p = {o.step, n, bytes, u->buf.n};
    const OrderResult r = plan_order(a, &p, order);
    u->load_given = r.given;
    u->load = r.peak;
    u->load_bound = r.bound;
    Func **func = NEWN(a, Func *, n + 1);
    for (uint32_t k = 0; k < n; k++)
        func[k] = u->func.at[order[k]];
    if (n)
        memcpy(u->func.at, func, n * sizeof *func);
    if (r.peak < r.given)
        unit_finish(u);
    arena_free(a);
}

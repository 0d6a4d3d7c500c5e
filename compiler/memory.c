/* SPDX-License-Identifier: Apache-2.0
 *
 * See memory.h. Time is the number of the function in the run. A buffer lives from the first function that has it as a
 * parameter to the last; scratch lives in one function. A function that reads each element of an input only where it
 * writes the same element of its output may do so in place when that input dies there: both then are one block.
 */
#include "memory.h"

#include "plan_check.h"

enum { REPORT_NODES = 1 << 14 }; /* search effort for a figure that nothing depends on */

typedef struct Life { int32_t first, last; } Life;

static Life *lifetimes(const Unit *u, Arena *a)
{
    Life *life = NEWN(a, Life, u->buf.n);
    for (uint32_t k = 0; k < u->buf.n; k++)
        life[k] = (Life){INT32_MAX, -1};
    for (uint32_t f = 0; f < u->func.n; f++)
        for (uint32_t p = 0; p < u->func.at[f]->param.n; p++) {
            Life *l = &life[u->func.at[f]->param.at[p]];
            l->first = l->first == INT32_MAX ? (int32_t)f : l->first;
            l->last = (int32_t)f;
        }
    return life;
}

static bool planned(const Buf *b)
{
    return b->cls == BC_arena || (b->cls == BC_scratch && !b->on_stack);
}

/* ---- in place ---- */

typedef struct InPlace { const Unit *u; uint32_t in, out; bool ok; uint32_t stores; const Expr *at; } InPlace;

static const Expr *flat(const Unit *u, const Buf *b, const Expr *const *idx)
{
    Exprs *x = u->cx->x;
    const Expr *e = ex_int(x, 0);
    for (uint8_t d = 0; d < b->rank; d++)
        e = ex_add(x, e, ex_mul(x, ex_add(x, idx[d], ex_int(x, b->lo[d])), b->stride[d]));
    return e;
}

static void count_store(void *ctx, Nest *n)
{
    InPlace *p = ctx;
    const Store *s = n->op == NS_store ? &n->store : NULL;
    if (n->op == NS_tile) {
        for (int k = 0; k < n->tile->nstore; k++)
            p->stores += n->tile->store[k].buf == p->out;
        s = n->tile->nstore == 1 ? &n->tile->store[0] : NULL;
        p->ok = p->ok && s;
    }
    p->ok = p->ok && n->op != NS_call && n->op != NS_set;
    if (!s)
        return;
    p->stores += n->op == NS_store && s->buf == p->out;
    if (s->buf == p->out)
        p->at = flat(p->u, buf(p->u, p->out), s->idx);
}

static void check_load(void *ctx, const Expr *e)
{
    InPlace *p = ctx;
    if (e->op == EX_loadp && e->v.ref == p->in)
        p->ok = false;
    if (e->op == EX_load && e->v.ref == p->in)
        p->ok = p->ok && flat(p->u, buf(p->u, p->in), e->a) == p->at;
}

static void check_value(void *ctx, const Nest *at, const Expr *e, bool store)
{
    (void)at;
    (void)store;
    ex_walk(e, check_load, ctx);
}

/* One store in the whole function, and every load of `in` is of the element that the store replaces. A register tile may
 * reduce something else in between: its loads come before its store. */
static bool same_element(const Unit *u, const Func *f, uint32_t in, uint32_t out)
{
    InPlace p = {.u = u, .in = in, .out = out, .ok = dtype_bytes(buf(u, in)->dt) == dtype_bytes(buf(u, out)->dt)};
    nest_walk(f->body, count_store, &p);
    if (p.ok && p.stores == 1)
        nest_exprs(f->body, check_value, &p);
    return p.ok && p.stores == 1;
}

/* root[k]: the buffer whose block k uses. */
static uint32_t *share(const Unit *u, Arena *a, Life *life)
{
    uint32_t *root = NEWN(a, uint32_t, u->buf.n);
    for (uint32_t k = 0; k < u->buf.n; k++)
        root[k] = k;
    for (uint32_t f = 0; f < u->func.n; f++) {
        const Func *fn = u->func.at[f];
        const uint32_t out = fn->param.n ? fn->param.at[fn->param.n - 1] : 0;
        for (uint32_t p = 0; out && buf(u, out)->cls == BC_arena && root[out] == out && p + 1 < fn->param.n; p++) {
            const uint32_t in = fn->param.at[p];
            const Buf *b = buf(u, in);
            if (b->cls != BC_arena || life[in].last != (int32_t)f || life[out].first != (int32_t)f || b->bytes < buf(u, out)->bytes || !same_element(u, fn, in, out))
                continue;
            root[out] = root[in];
            life[root[in]].last = life[out].last;
        }
    }
    return root;
}

/* ---- packing ---- */

static void no_room(const Unit *u, const PlanPool *pool, uint32_t npool, const PlanResult *r)
{
    Diag *g = diag_add(u->cx->diags, SEV_ERROR, "pool-full", NULL, "the activations do not fit in the memory pools");
    for (uint32_t k = 0; k < npool; k++)
        diag_note(u->cx->diags, g, "pool '%s' has %lld bytes, the plan needs %lld", pool[k].name, (long long)pool[k].capacity, (long long)r->peak[k]);
    diag_help(u->cx->diags, g, "enlarge a pool, or add a slower one behind it");
}

typedef struct Jobs { PlanBuf *b; PlanPlace *at; uint32_t *id; uint32_t n; } Jobs;

static Jobs collect(const Unit *u, Arena *a, const uint32_t *root, const Life *life)
{
    Jobs j = {NEWN(a, PlanBuf, u->buf.n), NEWN(a, PlanPlace, u->buf.n), NEWN(a, uint32_t, u->buf.n), 0};
    for (uint32_t k = 1; k < u->buf.n; k++)
        if (planned(buf(u, k)) && root[k] == k && life[k].last >= 0) {
            j.b[j.n] = (PlanBuf){.bytes = buf(u, k)->bytes, .align = u->arena_align, .first = life[k].first, .last = life[k].last, .pools = 1, .fixed = -1};
            j.id[j.n++] = k;
        }
    return j;
}

static void prove(const Jobs *j, const PlanPool *pool, uint32_t npool, const PlanResult *r)
{
    char why[256];
    if (!plan_check(j->b, j->n, pool, npool, j->at, r->peak, why, sizeof why))
        ICE("memory plan: %s", why);
}

bool plan_memory(Unit *u, const PlanPool *pool, uint32_t npool)
{
    static const PlanPool unlimited = {"arena", 0};
    Arena *a = u->cx->arena;
    pool = npool ? pool : &unlimited;
    npool = npool ? npool : 1;
    Life *life = lifetimes(u, a);
    const uint32_t *root = share(u, a, life);
    Jobs j = collect(u, a, root, life);
    for (uint32_t k = 0; k < j.n; k++)
        j.b[k].pools = npool >= 32 ? UINT32_MAX : (1u << npool) - 1;
    PlanResult r = {0};
    const bool fits = plan_pack(a, j.b, j.n, pool, npool, 0, j.at, &r);
    if (!fits) {
        no_room(u, pool, npool, &r);
        return false;
    }
    prove(&j, pool, npool, &r);
    for (uint32_t k = 0; k < j.n; k++) {
        buf(u, j.id[k])->offset = j.at[k].offset;
        buf(u, j.id[k])->pool = j.at[k].pool;
    }
    for (uint32_t k = 1; k < u->buf.n; k++)
        if (planned(buf(u, k)) && root[k] != k) {
            buf(u, k)->offset = buf(u, root[k])->offset;
            buf(u, k)->pool = buf(u, root[k])->pool;
        }
    u->npool = npool - 1;
    u->pool_name = NEWN(a, const char *, npool);
    u->pool_bytes = arena_copy(a, r.peak, npool * sizeof *r.peak);
    for (uint32_t k = 0; k < npool; k++)
        u->pool_name[k] = pool[k].name;
    u->arena_bytes = r.peak[0];
    u->arena_bound = r.bound[0];
    u->arena_optimal = r.optimal;
    return true;
}

int64_t ram_with_io(Unit *u)
{
    Arena *a = arena_child(u->cx->arena);
    Life *life = lifetimes(u, a);
    const uint32_t *root = share(u, a, life);
    Jobs j = collect(u, a, root, life);
    for (uint32_t k = 0; k < j.n; k++)
        j.b[k].align = 1;
    for (uint32_t k = 1; k < u->buf.n; k++) {
        const Buf *b = buf(u, k);
        const int32_t end = u->func.n ? (int32_t)u->func.n - 1 : 0;
        if (b->cls == BC_input && life[k].last >= 0)
            j.b[j.n++] = (PlanBuf){.bytes = b->bytes, .align = 1, .first = 0, .last = life[k].last, .pools = 1, .fixed = -1};
        else if (b->cls == BC_output && life[k].last >= 0)
            j.b[j.n++] = (PlanBuf){.bytes = b->bytes, .align = 1, .first = life[k].first, .last = end, .pools = 1, .fixed = -1};
    }
    static const PlanPool one = {"ram", 0};
    PlanResult r = {0};
    const int64_t peak = plan_pack(a, j.b, j.n, &one, 1, REPORT_NODES, j.at, &r) ? r.peak[0] : -1;
    arena_free(a);
    return peak;
}

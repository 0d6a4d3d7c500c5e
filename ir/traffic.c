/* SPDX-License-Identifier: Apache-2.0
 *
 * See traffic.h. In a register tile an access counts once for every value of the variables that its address has: what is
 * the same for all lanes or points is loaded once. A call moves each of its buffers once.
 */
#include "traffic.h"

#include "call.h"

typedef struct Count {
    const Unit *u;
    int64_t *bytes;
    double times;       /* iterations of the loops around */
    const Tile *tile;   /* NULL: a plain statement */
} Count;

static double extent_of(const Count *c, const Expr *e)
{
    int64_t lo, hi;
    return ex_range(c->u->cx->x, e, &lo, &hi) && hi < INT64_MAX ? (double)max_i64(hi, 0) : 1;
}

static bool uses(const Buf *b, const Expr *const *idx, const Expr *var)
{
    for (uint8_t d = 0; d < b->rank; d++)
        if (ex_uses(idx[d], var))
            return true;
    return false;
}

static void access(Count *c, uint32_t id, const Expr *const *idx)
{
    const Buf *b = buf(c->u, id);
    const Tile *t = c->tile;
    double n = c->times * (double)dtype_bytes(b->dt);
    for (int k = 0; t && k < t->np; k++)
        n *= uses(b, idx, t->pvar[k]) ? t->pext[k] : 1;
    if (t && t->lane && !t->across && uses(b, idx, t->lane))
        n *= t->lanes;
    for (int k = 0; t && k < t->nr; k++)
        n *= uses(b, idx, t->rvar[k]) ? extent_of(c, t->rext[k]) : 1;
    if (b->lists)
        n *= (double)b->lists->count / (double)b->bytes;
    const double most = (double)(INT64_MAX / 4), sum = (double)c->bytes[id] + n;
    c->bytes[id] = sum < most ? (int64_t)sum : INT64_MAX / 4;
}

static void load(void *ctx, const Expr *e)
{
    if (e->op == EX_load || e->op == EX_loadp)
        access(ctx, e->v.ref, e->a);
}

static void loads(Count *c, const Expr *e)
{
    if (e)
        ex_walk(e, load, c);
}

static void store(Count *c, const Store *s)
{
    loads(c, s->value);
    access(c, s->buf, s->idx);
}

static void tile(Count *c, const Tile *t)
{
    c->tile = t;
    loads(c, t->init);
    loads(c, t->body);
    for (int k = 0; k < t->nstore; k++)
        store(c, &t->store[k]);
    c->tile = NULL;
}

static void statements(Count *c, const Nest *n)
{
    const double times = c->times;
    if (n->kind == FOR_lead)
        return;
    loads(c, n->expr);
    if (n->op == NS_store)
        store(c, &n->store);
    if (n->op == NS_tile)
        tile(c, n->tile);
    for (int k = 0; n->op == NS_call && k < n->call->nin + n->call->nout; k++)
        c->bytes[n->buf[k]] += buf(c->u, n->buf[k])->bytes;
    if (n->op == NS_for)
        c->times *= extent_of(c, n->extent);
    for (uint32_t k = 0; k < n->body.n; k++)
        statements(c, n->body.at[k]);
    for (uint32_t k = 0; k < n->other.n; k++)
        statements(c, n->other.at[k]);
    c->times = times;
}

static void function(const Unit *u, const Func *f, int64_t *bytes)
{
    Count c = {.u = u, .bytes = bytes, .times = 1};
    statements(&c, f->body);
}

int64_t *unit_traffic(Arena *a, const Unit *u)
{
    int64_t *bytes = NEWN(a, int64_t, u->buf.n);
    for (uint32_t k = 0; k < u->func.n; k++)
        function(u, u->func.at[k], bytes);
    return bytes;
}

int64_t least_traffic(const Unit *u, const Func *f)
{
    Arena *a = arena_child(u->cx->arena);
    int64_t *bytes = NEWN(a, int64_t, u->buf.n), n = 0;
    function(u, f, bytes);
    for (uint32_t k = 0; k < f->param.n; k++)
        n += min_i64(buf(u, f->param.at[k])->bytes, bytes[f->param.at[k]]);
    arena_free(a);
    return n;
}

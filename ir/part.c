/* SPDX-License-Identifier: Apache-2.0
 *
 * See part.h. An index is the affine part in the variable of the parallel loop around it, and a range of the rest; where
 * it is not affine there, the range follows from a variable of the part's own bounds.
 */
#include "part.h"

#include "call.h"

typedef struct Access {
    uint32_t buf;
    bool write, whole;         /* whole: where is not known */
    const Nest *loop;          /* parallel, around it; NULL: every part does it */
    const Expr *idx[MAX_RANK];
    bool linear[MAX_RANK];     /* coef * variable + lo..hi */
    int64_t coef[MAX_RANK], lo[MAX_RANK], hi[MAX_RANK];
} Access;

struct Accesses { const Unit *u; bool split; VEC(Access) v; };

typedef struct Collect { Arena *a; Accesses *to; const Nest *loop; } Collect;

/* Elements of dimension d, halo included. */
static void whole_dimension(const Unit *u, const Buf *b, uint8_t d, int64_t *lo, int64_t *hi)
{
    *lo = -b->lo[d];
    *hi = ex_upper(u->cx->x, b->dim[d]) + b->hi[d] - 1;
}

static void clip(const Unit *u, const Buf *b, uint8_t d, int64_t *lo, int64_t *hi)
{
    int64_t first, last;
    whole_dimension(u, b, d, &first, &last);
    *lo = max_i64(*lo, first);
    *hi = min_i64(*hi, last);
}

static void split_index(const Collect *c, Access *x, uint8_t d)
{
    Exprs *pool = c->to->u->cx->x;
    x->linear[d] = true;
    x->coef[d] = c->loop ? ex_coef(x->idx[d], c->loop->var, &x->linear[d]) : 0;
    const Expr *rest = x->linear[d] && c->loop ? ex_sub(pool, x->idx[d], ex_mul(pool, ex_int(pool, x->coef[d]), c->loop->var)) : x->idx[d];
    if (!ex_range(pool, rest, &x->lo[d], &x->hi[d]) || x->lo[d] == INT64_MIN || x->hi[d] == INT64_MAX) {
        x->coef[d] = 0;
        x->linear[d] = true;
        whole_dimension(c->to->u, buf(c->to->u, x->buf), d, &x->lo[d], &x->hi[d]);
    }
}

static bool is_shared(const Buf *b) { return b->cls != BC_scratch && b->cls != BC_const; }

static void add(const Collect *c, uint32_t id, const Expr *const *idx, bool write)
{
    const Buf *b = buf(c->to->u, id);
    if (!id || !is_shared(b))
        return;
    Access x = {.buf = id, .write = write, .loop = c->loop, .whole = !idx || (c->loop && !ex_is_const(c->loop->lo))};
    for (uint8_t d = 0; d < b->rank && idx; d++) {
        x.idx[d] = idx[d];
        split_index(c, &x, d);
    }
    PUSH(c->a, &c->to->v, x);
}

static void add_load(void *ctx, const Expr *e)
{
    if (e->op == EX_load || e->op == EX_loadp)
        add(ctx, e->v.ref, e->a, false);
}

static void add_loads(Collect *c, const Expr *e)
{
    if (e)
        ex_walk(e, add_load, c);
}

static void add_store(Collect *c, const Store *s)
{
    add_loads(c, s->value);
    for (uint8_t d = 0; d < buf(c->to->u, s->buf)->rank; d++)
        add_loads(c, s->idx[d]);
    add(c, s->buf, s->idx, true);
}

static void add_tile(Collect *c, const Tile *t)
{
    add_loads(c, t->init);
    add_loads(c, t->body);
    for (uint8_t k = 0; k < t->nstore; k++)
        add_store(c, &t->store[k]);
}

static void add_call(const Collect *c, const Nest *n)
{
    for (uint8_t k = 0; k < n->call->nin + n->call->nout; k++)
        add(c, n->buf[k], NULL, k >= n->call->nin);
}

static void collect(const Collect *up, const Nest *n)
{
    Collect c = *up;
    if (n->op == NS_for && n->kind == FOR_parallel)
        c.loop = n;
    add_loads(&c, n->expr);
    add_loads(&c, n->lo);
    add_loads(&c, n->extent);
    if (n->op == NS_store)
        add_store(&c, &n->store);
    if (n->op == NS_tile)
        add_tile(&c, n->tile);
    if (n->op == NS_call)
        add_call(&c, n);
    for (uint32_t k = 0; k < n->body.n; k++)
        collect(&c, n->body.at[k]);
    for (uint32_t k = 0; k < n->other.n; k++)
        collect(&c, n->other.at[k]);
}

Accesses *part_accesses(Arena *a, const Unit *u, const Func *f)
{
    Accesses *to = NEW(a, Accesses);
    to->u = u;
    to->split = f->split;
    const Collect c = {a, to, NULL};
    collect(&c, f->body);
    return to;
}

/* Iterations of a parallel loop that the part runs, from 0; last < first: none. */
static void own_iterations(const Exprs *x, const Nest *loop, int32_t part, int32_t parts, int64_t *first, int64_t *last)
{
    *first = max_i64(part_first(loop->of, part, parts) - loop->at, 0);
    *last = min_i64(part_first(loop->of, part + 1, parts) - loop->at, ex_upper(x, loop->extent)) - 1;
}

static void index_range(const Accesses *of, const Access *x, uint8_t d, int64_t first, int64_t last, int64_t *lo, int64_t *hi)
{
    Exprs *pool = of->u->cx->x;
    if (x->linear[d]) {
        *lo = x->lo[d] + x->coef[d] * (x->coef[d] < 0 ? last : first);
        *hi = x->hi[d] + x->coef[d] * (x->coef[d] < 0 ? first : last);
        return;
    }
    const Subst s = {x->loop->var, ex_var(pool, VK_INDEX, DT_ix, "own", first, last)};
    if (!ex_range(pool, ex_subst(pool, x->idx[d], &s, 1), lo, hi))
        *lo = INT64_MIN, *hi = INT64_MAX;
}

static bool touch(const Accesses *of, const Access *x, int32_t part, int32_t parts, Touch *t)
{
    const Buf *b = buf(of->u, x->buf);
    int64_t first = 0, last = 0;
    *t = (Touch){.buf = x->buf, .write = x->write};
    if (x->loop) {
        own_iterations(of->u->cx->x, x->loop, part, parts, &first, &last);
        if (last < first)
            return false;
        first += x->whole ? 0 : x->loop->lo->v.i;
        last += x->whole ? 0 : x->loop->lo->v.i;
    }
    for (uint8_t d = 0; d < b->rank; d++) {
        if (x->whole)
            whole_dimension(of->u, b, d, &t->lo[d], &t->hi[d]);
        else
            index_range(of, x, d, first, last, &t->lo[d], &t->hi[d]);
        clip(of->u, b, d, &t->lo[d], &t->hi[d]);
        if (t->hi[d] < t->lo[d])
            return false;
    }
    return true;
}

Touches part_touches(Arena *a, const Accesses *of, int32_t part, int32_t parts)
{
    Touches r = {0};
    for (uint32_t k = 0; k < of->v.n && (of->split || part == 0); k++) {
        Touch t;
        if (touch(of, &of->v.at[k], part, parts, &t))
            PUSH(a, &r.v, t);
    }
    return r;
}

static bool overlap(const Touch *p, const Touch *q, uint8_t rank)
{
    for (uint8_t d = 0; d < rank; d++)
        if (p->hi[d] < q->lo[d] || q->hi[d] < p->lo[d])
            return false;
    return true;
}

bool touches_clash(const Unit *u, const Touches *p, const Touches *q)
{
    for (uint32_t k = 0; k < p->v.n; k++)
        for (uint32_t m = 0; m < q->v.n; m++) {
            const Touch *s = &p->v.at[k], *t = &q->v.at[m];
            if (s->buf == t->buf && (s->write || t->write) && overlap(s, t, buf(u, s->buf)->rank))
                return true;
        }
    return false;
}

/* The touches of one buffer as one box. */
static double hull_bytes(const Unit *u, const Touches *t, uint32_t from)
{
    const Buf *b = buf(u, t->v.at[from].buf);
    Touch hull = t->v.at[from];
    double n = (double)dtype_bytes(b->dt);
    for (uint32_t k = from + 1; k < t->v.n; k++)
        for (uint8_t d = 0; d < b->rank && t->v.at[k].buf == hull.buf; d++) {
            hull.lo[d] = min_i64(hull.lo[d], t->v.at[k].lo[d]);
            hull.hi[d] = max_i64(hull.hi[d], t->v.at[k].hi[d]);
        }
    for (uint8_t d = 0; d < b->rank; d++)
        n *= (double)(hull.hi[d] - hull.lo[d] + 1);
    return n;
}

double touched_bytes(const Unit *u, const Touches *t)
{
    double bytes = 0;
    for (uint32_t k = 0; k < t->v.n; k++) {
        bool first = true;
        for (uint32_t m = 0; m < k; m++)
            first = first && t->v.at[m].buf != t->v.at[k].buf;
        bytes += first ? hull_bytes(u, t, k) : 0;
    }
    return bytes;
}

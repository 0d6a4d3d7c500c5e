/* SPDX-License-Identifier: Apache-2.0
 *
 * See part.h. An index is the affine part in the variables of the parallel loops around it, and a range of the rest; where
 * it is not affine there, the range follows from variables of the part's own bounds.
 */
#include "part.h"

#include "call.h"

typedef struct Access {
    uint32_t buf;
    bool write, whole;          /* whole: where is not known */
    const Nest *outer, *inner;  /* parallel loops around it; neither: every part does it */
    const Expr *idx[MAX_RANK];
    bool linear[MAX_RANK];      /* sum of coef * variable, + lo..hi */
    int64_t coef[MAX_RANK][2], lo[MAX_RANK], hi[MAX_RANK]; /* of the outer loop's variable, of the inner one's */
} Access;

/* own: variables of an outer loop's values and of an inner one's, by first and last of them: ranges come again and again. */
struct Accesses { const Unit *u; bool split; VEC(Access) v; Map *own; };

typedef struct Collect { Arena *a; Accesses *to; const Nest *outer, *inner; } Collect;

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

/* idx less what is linear in the loop's variable. */
static const Expr *without(Exprs *pool, const Expr *idx, const Nest *loop, int64_t *coef, bool *linear)
{
    if (!loop || !*linear)
        return idx;
    *coef = ex_coef(idx, loop->var, linear);
    return *linear ? ex_sub(pool, idx, ex_mul(pool, ex_int(pool, *coef), loop->var)) : idx;
}

static void split_index(const Collect *c, Access *x, uint8_t d)
{
    Exprs *pool = c->to->u->cx->x;
    x->linear[d] = true;
    const Expr *rest = without(pool, x->idx[d], c->outer, &x->coef[d][0], &x->linear[d]);
    rest = without(pool, rest, c->inner, &x->coef[d][1], &x->linear[d]);
    if (!x->linear[d])
        return;
    if (!ex_range(pool, rest, &x->lo[d], &x->hi[d]) || x->lo[d] == INT64_MIN || x->hi[d] == INT64_MAX) {
        x->coef[d][0] = x->coef[d][1] = 0;
        whole_dimension(c->to->u, buf(c->to->u, x->buf), d, &x->lo[d], &x->hi[d]);
    }
}

static bool starts_anywhere(const Nest *loop) { return loop && !ex_is_const(loop->lo); }

static void add(const Collect *c, uint32_t id, const Expr *const *idx, bool write)
{
    const Buf *b = buf(c->to->u, id);
    if (!id)
        return;
    Access x = {.buf = id, .write = write, .outer = c->outer, .inner = c->inner, .whole = !idx || starts_anywhere(c->outer) || starts_anywhere(c->inner)};
    for (uint8_t d = 0; d < b->rank && !x.whole; d++) {
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
    if (nest_is_shared(n))
        *(n->share.each > 1 ? &c.outer : &c.inner) = n;
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
    to->own = NEWN(a, Map, 2);
    to->own[0].arena = to->own[1].arena = a;
    const Collect c = {a, to, NULL, NULL};
    collect(&c, f->body);
    return to;
}

int32_t part_reach_on(const Unit *u, int32_t reach, uint32_t g, uint32_t count)
{
    return (int32_t)min_i64((int64_t)reach + func_meet(u->func.at[g], count), u->threads.at[count]);
}

int32_t part_reach(const Unit *u, uint32_t f, uint32_t g, uint32_t count)
{
    int32_t reach = 0;
    for (uint32_t k = f + 1; k <= g; k++)
        reach = part_reach_on(u, reach, k, count);
    return reach;
}

bool part_ordered(const Unit *u, uint32_t f, uint32_t g)
{
    for (uint32_t t = 0; t < u->threads.n; t++)
        if (part_reach(u, f, g, t) < u->threads.at[t] - 1)
            return false;
    return true;
}

int part_pieces(const Share *s, int32_t part, int32_t parts, Piece piece[PIECES])
{
    const int64_t each = s->each > 1 ? s->each : s->of, units = s->each > 1 ? s->of * each : s->of;
    const int64_t end = part_first(units, part + 1, parts);
    int n = 0;
    for (int64_t at = part_first(units, part, parts); at < end; n++) {
        const int64_t from = at % each, rows = from ? 0 : (end - at) / each;
        piece[n] = (Piece){at / each, at / each + max_i64(rows, 1) - 1, from, rows ? each : min_i64(from + end - at, each)};
        at += rows ? rows * each : piece[n].end - from;
    }
    return n;
}

Run part_outer_run(const Exprs *x, const Nest *outer, const Piece *p)
{
    return (Run){max_i64(p->first - outer->share.at, 0), min_i64(p->last - outer->share.at, ex_upper(x, outer->extent) - 1)};
}

Run part_inner_run(const Exprs *x, const Nest *inner, const Piece *p)
{
    const Share *s = &inner->share;
    const int64_t times = s->times ? s->times : 1, lead = p->from - s->at;
    if (inner->kind == FOR_lead)
        return lead >= 0 && lead < ex_upper(x, inner->extent) ? (Run){lead, lead} : (Run){0, -1};
    return (Run){max_i64(times * p->from - s->below - s->at, 0), min_i64(times * (p->end - 1) + s->above - s->at, ex_upper(x, inner->extent) - 1)};
}

/* Values of a loop's variable. */
static Run values(const Nest *loop, Run r)
{
    return loop && ex_is_const(loop->lo) ? (Run){r.first + loop->lo->v.i, r.last + loop->lo->v.i} : r;
}

static const Expr *own_values(const Accesses *of, int inner, Run r)
{
    Exprs *x = of->u->cx->x;
    if (r.first < 0 || r.last > INT32_MAX)
        return ex_var(x, VK_INDEX, DT_ix, "own", r.first, r.last);
    uint64_t *at = map_u64(&of->own[inner], (uint64_t)r.first << 32 | (uint64_t)r.last, true);
    if (!*at)
        *at = (uint64_t)(uintptr_t)ex_var(x, VK_INDEX, DT_ix, "own", r.first, r.last);
    return (const Expr *)(uintptr_t)*at;
}

static void index_range(const Accesses *of, const Access *x, uint8_t d, Run outer, Run inner, int64_t *lo, int64_t *hi)
{
    Exprs *pool = of->u->cx->x;
    const int64_t *c = x->coef[d];
    if (x->linear[d]) {
        *lo = x->lo[d] + c[0] * (c[0] < 0 ? outer.last : outer.first) + c[1] * (c[1] < 0 ? inner.last : inner.first);
        *hi = x->hi[d] + c[0] * (c[0] < 0 ? outer.first : outer.last) + c[1] * (c[1] < 0 ? inner.first : inner.last);
        return;
    }
    Subst s[2];
    uint32_t n = 0;
    if (x->outer)
        s[n++] = (Subst){x->outer->var, own_values(of, 0, outer)};
    if (x->inner)
        s[n++] = (Subst){x->inner->var, own_values(of, 1, inner)};
    if (!ex_range(pool, ex_subst(pool, x->idx[d], s, n), lo, hi))
        *lo = INT64_MIN, *hi = INT64_MAX;
}

/* What the access reaches in one piece; false: nothing. */
static bool touch(const Accesses *of, const Access *x, const Piece *p, Touch *t)
{
    const Buf *b = buf(of->u, x->buf);
    Run outer = {0, 0}, inner = {0, 0};
    *t = (Touch){.buf = x->buf, .write = x->write};
    if (x->outer)
        outer = values(x->outer, part_outer_run(of->u->cx->x, x->outer, p));
    if (x->inner)
        inner = values(x->inner, part_inner_run(of->u->cx->x, x->inner, p));
    if (outer.last < outer.first || inner.last < inner.first)
        return false;
    for (uint8_t d = 0; d < b->rank; d++) {
        if (x->whole)
            whole_dimension(of->u, b, d, &t->lo[d], &t->hi[d]);
        else
            index_range(of, x, d, outer, inner, &t->lo[d], &t->hi[d]);
        clip(of->u, b, d, &t->lo[d], &t->hi[d]);
        if (t->hi[d] < t->lo[d])
            return false;
    }
    return true;
}

/* Of an access that every part does, one piece that is everything. */
static int pieces_of(const Access *x, int32_t part, int32_t parts, Piece piece[PIECES])
{
    if (x->outer || x->inner)
        return part_pieces(&(x->outer ? x->outer : x->inner)->share, part, parts, piece);
    piece[0] = (Piece){0, 0, 0, 1};
    return 1;
}

/* What a part touches of buffers of some classes. */
static Touches touches_of(Arena *a, const Accesses *of, int32_t part, int32_t parts, bool constants)
{
    Touches r = {0};
    Piece piece[PIECES];
    for (uint32_t k = 0; k < of->v.n && (of->split || part == 0); k++) {
        const Access *x = &of->v.at[k];
        const BufClass cls = buf(of->u, x->buf)->cls;
        const int n = cls == BC_scratch || (cls == BC_const) != constants ? 0 : pieces_of(x, part, parts, piece);
        for (int q = 0; q < n; q++) {
            Touch t;
            if (touch(of, x, &piece[q], &t))
                PUSH(a, &r.v, t);
        }
    }
    return r;
}

Touches part_touches(Arena *a, const Accesses *of, int32_t part, int32_t parts) { return touches_of(a, of, part, parts, false); }
Touches part_constants(Arena *a, const Accesses *of, int32_t part, int32_t parts) { return touches_of(a, of, part, parts, true); }

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
            if (s->buf && s->buf == t->buf && (s->write || t->write) && overlap(s, t, buf(u, s->buf)->rank))
                return true;
        }
    return false;
}

/* ---- scratch ---- */

/* Whether the boxes leave nothing of this one. */
static bool covered(const Touch *box, const Touch *by, uint32_t n, uint8_t rank)
{
    Touch rest = *box;
    while (n > 0 && !overlap(box, by, rank))
        by++, n--;
    for (uint8_t d = 0; d < rank && n > 0; d++) {
        Touch below = rest, above = rest;
        below.hi[d] = by->lo[d] - 1;
        above.lo[d] = by->hi[d] + 1;
        if ((below.lo[d] <= below.hi[d] && !covered(&below, by + 1, n - 1, rank)) || (above.lo[d] <= above.hi[d] && !covered(&above, by + 1, n - 1, rank)))
            return false;
        rest.lo[d] = max_i64(rest.lo[d], by->lo[d]);
        rest.hi[d] = min_i64(rest.hi[d], by->hi[d]);
    }
    return n > 0;
}

bool nest_same_outer(const Nest *p, const Nest *q)
{
    const bool once = p && q && ex_is_int(p->extent, 1) && ex_is_int(q->extent, 1);
    return p == q || (once && p->share.at == q->share.at && p->share.of == q->share.of && p->share.each == q->share.each);
}

/* Every part does all of it. */
static bool is_everywhere(const Access *x) { return !x->outer && !x->inner; }

/* Whether a part has written what this read of scratch reaches in a piece, in the same iterations of an outer loop. */
static bool is_filled(Arena *a, const Accesses *of, const Access *read, const Piece *p, int32_t part, int32_t parts)
{
    Touches by = {0};
    Touch want;
    if (!touch(of, read, p, &want))
        return true;
    for (uint32_t k = 0; k < of->v.n; k++) {
        const Access *w = &of->v.at[k];
        Piece own[PIECES] = {*p};
        Touch t;
        if (!w->write || w->buf != read->buf || !(nest_same_outer(w->outer, read->outer) || is_everywhere(w)) || (!w->outer && !pieces_of(w, part, parts, own)))
            continue;
        if (touch(of, w, own, &t))
            PUSH(a, &by.v, t);
    }
    return covered(&want, by.v.at, by.v.n, buf(of->u, read->buf)->rank);
}

/* What one iteration writes and reads follows from no part. */
static bool stays_inside(const Accesses *of, const Access *read)
{
    for (uint32_t k = 0; k < of->v.n; k++) {
        const Access *w = &of->v.at[k];
        if (w->write && w->buf == read->buf && (w->outer != read->outer || w->inner != read->inner))
            return false;
    }
    return true;
}

uint32_t part_unfilled(Arena *a, const Accesses *of, int32_t part, int32_t parts)
{
    Piece piece[PIECES];
    for (uint32_t k = 0; k < of->v.n && of->split; k++) {
        const Access *x = &of->v.at[k];
        const int n = x->write || buf(of->u, x->buf)->cls != BC_scratch || stays_inside(of, x) ? 0 : pieces_of(x, part, parts, piece);
        for (int q = 0; q < n; q++)
            if (!is_filled(a, of, x, &piece[q], part, parts))
                return x->buf;
    }
    return 0;
}

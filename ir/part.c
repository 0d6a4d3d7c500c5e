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
    const Nest *loop[OUTER_LOOPS + 1]; /* parallel loops around it, the outermost first; none: every part does it */
    uint8_t loops;
    const Expr *idx[MAX_RANK];
    bool linear[MAX_RANK];      /* sum of coef * variable, + lo..hi */
    bool looked_up[MAX_RANK];   /* depends on values, as the row of a table does */
    int64_t coef[MAX_RANK][OUTER_LOOPS + 1], lo[MAX_RANK], hi[MAX_RANK]; /* coef: by loop */
} Access;

/* own: by loop around an access, variables of its values, by first and last of them: ranges come again and again. */
struct Accesses { const Unit *u; bool split; VEC(Access) v; Map *own; };

typedef struct Collect { Arena *a; Accesses *to; const Nest *loop[OUTER_LOOPS + 1]; uint8_t loops; } Collect;

/* Part of what a part does, by the loops around an access: the iterations of each outer one, counted from unit 0; the units of the innermost. */
typedef struct Box { Run outer[OUTER_LOOPS]; Units own; } Box;
enum { BOXES = 7 }; /* PIECES of an outer loop, of which two are PIECES of the next */
typedef struct Boxes { Box at[BOXES]; int n; } Boxes;

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

static bool is_outer(const Nest *loop) { return loop->share.each > 1; }

/* idx less what is linear in the loop's variable. */
static const Expr *without(Exprs *pool, const Expr *idx, const Nest *loop, int64_t *coef, bool *linear)
{
    if (!*linear)
        return idx;
    *coef = ex_coef(idx, loop->var, linear);
    return *linear ? ex_sub(pool, idx, ex_mul(pool, ex_int(pool, *coef), loop->var)) : idx;
}

static void split_index(const Collect *c, Access *x, uint8_t d)
{
    Exprs *pool = c->to->u->cx->x;
    x->looked_up[d] = ex_reads_data(x->idx[d]);
    x->linear[d] = true;
    const Expr *rest = x->idx[d];
    for (uint8_t k = 0; k < c->loops; k++)
        rest = without(pool, rest, c->loop[k], &x->coef[d][k], &x->linear[d]);
    if (!x->linear[d])
        return;
    if (!ex_range(pool, rest, &x->lo[d], &x->hi[d]) || x->lo[d] == INT64_MIN || x->hi[d] == INT64_MAX) {
        memset(x->coef[d], 0, sizeof x->coef[d]);
        whole_dimension(c->to->u, buf(c->to->u, x->buf), d, &x->lo[d], &x->hi[d]);
    }
}

/* A loop begins where only a run knows. */
static bool starts_anywhere(const Collect *c)
{
    for (uint8_t k = 0; k < c->loops; k++)
        if (!ex_is_const(c->loop[k]->lo))
            return true;
    return false;
}

static void add(const Collect *c, uint32_t id, const Expr *const *idx, bool write)
{
    const Buf *b = buf(c->to->u, id);
    if (!id)
        return;
    Access x = {.buf = id, .write = write, .loops = c->loops, .whole = !idx || starts_anywhere(c)};
    memcpy(x.loop, c->loop, sizeof x.loop);
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
    if (nest_is_shared(n) && c.loops < (is_outer(n) ? OUTER_LOOPS : OUTER_LOOPS + 1))
        c.loop[c.loops++] = n;
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
    to->own = NEWN(a, Map, OUTER_LOOPS + 1);
    for (int k = 0; k <= OUTER_LOOPS; k++)
        to->own[k].arena = a;
    const Collect c = {.a = a, .to = to};
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

Units part_units(const Share *s, int32_t part, int32_t parts)
{
    const int64_t units = s->of * (s->each > 1 ? s->each : 1);
    return (Units){part_first(units, part, parts), part_first(units, part + 1, parts)};
}

int units_pieces(const Share *s, Units own, Piece piece[PIECES])
{
    int n = 0;
    for (int64_t at = own.from; at < own.end; n++) {
        const int64_t from = at % s->each, rows = from ? 0 : (own.end - at) / s->each;
        piece[n] = (Piece){at / s->each, at / s->each + max_i64(rows, 1) - 1, {from, rows ? s->each : min_i64(from + own.end - at, s->each)}};
        at += rows ? rows * s->each : piece[n].in.end - from;
    }
    return n;
}

static Run outer_run(const Exprs *x, const Nest *outer, Run units)
{
    return (Run){max_i64(units.first - outer->share.at, 0), min_i64(units.last - outer->share.at, ex_upper(x, outer->extent) - 1)};
}

Run part_outer_run(const Exprs *x, const Nest *outer, const Piece *p) { return outer_run(x, outer, (Run){p->first, p->last}); }

Run part_inner_run(const Exprs *x, const Nest *inner, Units own)
{
    const Share *s = &inner->share;
    const int64_t times = s->times ? s->times : 1, lead = own.from - s->at;
    if (inner->kind == FOR_lead)
        return lead >= 0 && lead < ex_upper(x, inner->extent) ? (Run){lead, lead} : (Run){0, -1};
    return (Run){max_i64(times * own.from - s->below - s->at, 0), min_i64(times * (own.end - 1) + s->above - s->at, ex_upper(x, inner->extent) - 1)};
}

/* Values of a loop's variable. */
static Run values(const Nest *loop, Run r)
{
    return ex_is_const(loop->lo) ? (Run){r.first + loop->lo->v.i, r.last + loop->lo->v.i} : r;
}

static const Expr *own_values(const Accesses *of, int loop, Run r)
{
    Exprs *x = of->u->cx->x;
    if (r.first < 0 || r.last > INT32_MAX)
        return ex_var(x, VK_INDEX, DT_ix, "own", r.first, r.last);
    uint64_t *at = map_u64(&of->own[loop], (uint64_t)r.first << 32 | (uint64_t)r.last, true);
    if (!*at)
        *at = (uint64_t)(uintptr_t)ex_var(x, VK_INDEX, DT_ix, "own", r.first, r.last);
    return (const Expr *)(uintptr_t)*at;
}

/* r: values, by loop */
static void index_range(const Accesses *of, const Access *x, uint8_t d, const Run *r, int64_t *lo, int64_t *hi)
{
    Exprs *pool = of->u->cx->x;
    Subst s[OUTER_LOOPS + 1];
    *lo = x->lo[d];
    *hi = x->hi[d];
    for (uint8_t k = 0; k < x->loops && x->linear[d]; k++) {
        const int64_t c = x->coef[d][k];
        *lo += c * (c < 0 ? r[k].last : r[k].first);
        *hi += c * (c < 0 ? r[k].first : r[k].last);
    }
    if (x->linear[d])
        return;
    for (uint8_t k = 0; k < x->loops; k++)
        s[k] = (Subst){x->loop[k]->var, own_values(of, k, r[k])};
    if (!ex_range(pool, ex_subst(pool, x->idx[d], s, x->loops), lo, hi))
        *lo = INT64_MIN, *hi = INT64_MAX;
}

/* What the access reaches in one box; false: nothing. */
static bool touch(const Accesses *of, const Access *x, const Box *box, Touch *t)
{
    const Exprs *pool = of->u->cx->x;
    const Buf *b = buf(of->u, x->buf);
    Run r[OUTER_LOOPS + 1];
    *t = (Touch){.buf = x->buf, .write = x->write};
    for (uint8_t k = 0; k < x->loops; k++) {
        const Nest *loop = x->loop[k];
        r[k] = values(loop, is_outer(loop) ? outer_run(pool, loop, box->outer[k]) : part_inner_run(pool, loop, box->own));
        if (r[k].last < r[k].first)
            return false;
    }
    for (uint8_t d = 0; d < b->rank; d++) {
        if (x->whole)
            whole_dimension(of->u, b, d, &t->lo[d], &t->hi[d]);
        else
            index_range(of, x, d, r, &t->lo[d], &t->hi[d]);
        clip(of->u, b, d, &t->lo[d], &t->hi[d]);
        if (t->hi[d] < t->lo[d])
            return false;
    }
    return true;
}

/* Adds the units of loop k and those inside it to what the box says of the loops around. */
static void add_boxes(Boxes *to, const Access *x, uint8_t k, const Box *around, Units own)
{
    Box box = *around;
    Piece piece[PIECES];
    box.own = own;
    if (k >= x->loops || !is_outer(x->loop[k])) {
        if (own.from < own.end)
            to->at[to->n++] = box;
        return;
    }
    const int n = units_pieces(&x->loop[k]->share, own, piece);
    for (int q = 0; q < n; q++) {
        box.outer[k] = (Run){piece[q].first, piece[q].last};
        add_boxes(to, x, k + 1, &box, piece[q].in);
    }
}

/* Of an access that every part does, one box that is everything. */
static Boxes boxes_of(const Access *x, int32_t part, int32_t parts)
{
    Boxes r = {.n = 0};
    add_boxes(&r, x, 0, &(Box){.own = {0, 1}}, x->loops ? part_units(&x->loop[0]->share, part, parts) : (Units){0, 1});
    return r;
}

/* What a part touches of buffers of some classes. */
static Touches touches_of(Arena *a, const Accesses *of, int32_t part, int32_t parts, bool constants)
{
    Touches r = {0};
    for (uint32_t k = 0; k < of->v.n && (of->split || part == 0); k++) {
        const Access *x = &of->v.at[k];
        const BufClass cls = buf(of->u, x->buf)->cls;
        if (cls == BC_scratch || (cls == BC_const) != constants)
            continue;
        const Boxes boxes = boxes_of(x, part, parts);
        for (int q = 0; q < boxes.n; q++) {
            Touch t;
            if (!touch(of, x, &boxes.at[q], &t))
                continue;
            for (uint8_t d = 0; d < MAX_RANK && constants; d++)
                t.hi[d] = x->looked_up[d] ? t.lo[d] : t.hi[d];
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

/* ---- registers ---- */

typedef struct Own { const Expr *var; bool yes; } Own;

static void find_let(void *ctx, Nest *n)
{
    Own *o = ctx;
    o->yes = o->yes || (n->op == NS_let && n->var == o->var);
}

typedef struct Carries { const Nest *loop; bool yes; } Carries;

static void find_set(void *ctx, Nest *n)
{
    Carries *c = ctx;
    Own o = {.var = n->var};
    if (n->op != NS_set || c->yes)
        return;
    nest_walk((Nest *)(uintptr_t)c->loop, find_let, &o);
    c->yes = !o.yes;
}

bool loop_carries(const Nest *loop)
{
    Carries c = {.loop = loop};
    nest_walk((Nest *)(uintptr_t)loop, find_set, &c);
    return c.yes;
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

static uint8_t outer_loops(const Access *x) { return (uint8_t)(x->loops - (x->loops && !is_outer(x->loop[x->loops - 1]))); }

/* Where in a box of the read the part does w: in the same iterations of outer loops, or its own units of a single loop; false: not known. */
static bool box_of_write(const Access *w, const Access *read, const Box *box, int32_t part, int32_t parts, Box *own)
{
    const uint8_t outer = outer_loops(w), around = outer_loops(read);
    const bool inner = w->loops > outer;
    *own = *box;
    if (inner && !outer)
        own->own = part_units(&w->loop[0]->share, part, parts);
    bool same = !w->loops || (inner ? outer == around : outer <= around);
    for (uint8_t k = 0; k < outer && same; k++)
        same = nest_same_outer(w->loop[k], read->loop[k]);
    return same && own->own.from < own->own.end;
}

/* Whether a part has written what this read of scratch reaches in a box. */
static bool is_filled(Arena *a, const Accesses *of, const Access *read, const Box *box, int32_t part, int32_t parts)
{
    Touches by = {0};
    Touch want;
    if (!touch(of, read, box, &want))
        return true;
    for (uint32_t k = 0; k < of->v.n; k++) {
        const Access *w = &of->v.at[k];
        Box own;
        Touch t;
        if (w->write && w->buf == read->buf && box_of_write(w, read, box, part, parts, &own) && touch(of, w, &own, &t))
            PUSH(a, &by.v, t);
    }
    return covered(&want, by.v.at, by.v.n, buf(of->u, read->buf)->rank);
}

static bool same_loops(const Access *p, const Access *q) { return p->loops == q->loops && memcmp(p->loop, q->loop, p->loops * sizeof *p->loop) == 0; }

/* What one iteration writes and reads follows from no part. */
static bool stays_inside(const Accesses *of, const Access *read)
{
    for (uint32_t k = 0; k < of->v.n; k++) {
        const Access *w = &of->v.at[k];
        if (w->write && w->buf == read->buf && !same_loops(w, read))
            return false;
    }
    return true;
}

uint32_t part_unfilled(Arena *a, const Accesses *of, int32_t part, int32_t parts)
{
    for (uint32_t k = 0; k < of->v.n && of->split; k++) {
        const Access *x = &of->v.at[k];
        if (x->write || buf(of->u, x->buf)->cls != BC_scratch || stays_inside(of, x))
            continue;
        const Boxes boxes = boxes_of(x, part, parts);
        for (int q = 0; q < boxes.n; q++)
            if (!is_filled(a, of, x, &boxes.at[q], part, parts))
                return x->buf;
    }
    return 0;
}

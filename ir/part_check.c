/* SPDX-License-Identifier: Apache-2.0
 *
 * See part.h. A part that meets those up to m away has seen them finish what lies before, and whom they had met earlier; by
 * such meetings between functions f <= g it has seen those within the sum of the distances leave f when it enters g. So:
 * parts further apart than that must not clash, one in f, the other in g; and where it is not all parts, no buffer that f
 * uses may share bytes with another that g uses, whoever uses them. Scratch that a part fills only where it needs it must be
 * filled wherever it is read. Shares of a dealt step are proved as parts are, each against each.
 */
#include "part.h"

typedef struct Prove {
    Arena *a;
    const Unit *u;
    Touches *at;          /* by function and part */
    uint32_t *name;       /* by buffer: the first one of those of its layout in its place */
    int32_t parts;
    uint32_t count;       /* its number among the unit's */
    const char *why;
} Prove;

static Touches *touches_of(const Prove *c, uint32_t f, int32_t part) { return &c->at[f * (uint32_t)c->parts + (uint32_t)part]; }

static bool is_planned(const Buf *b) { return b->offset >= 0 && (b->cls == BC_arena || (b->cls == BC_scratch && !b->on_stack)); }

static bool share_bytes(const Buf *p, const Buf *q)
{
    return p->pool == q->pool && p->offset < q->offset + q->bytes && q->offset < p->offset + p->bytes;
}

/* First and last function that has the buffer as a parameter; last < first: none. */
typedef struct Uses { uint32_t first, last; } Uses;

static Uses *uses_of(const Prove *c)
{
    Uses *use = NEWN(c->a, Uses, c->u->buf.n);
    for (uint32_t k = 0; k < c->u->buf.n; k++)
        use[k].first = UINT32_MAX;
    for (uint32_t f = 0; f < c->u->func.n; f++)
        for (uint32_t k = 0; k < c->u->func.at[f]->param.n; k++) {
            Uses *s = &use[c->u->func.at[f]->param.at[k]];
            s->first = s->first == UINT32_MAX ? f : s->first;
            s->last = f;
        }
    return use;
}

/* One is used before the other, and all parts have met in between. */
static bool follow(const Prove *c, const Uses *p, const Uses *q)
{
    return p->last < q->first && part_reach(c->u, p->last, q->first, c->count) >= c->parts - 1;
}

static void check_bytes(Prove *c)
{
    const Uses *use = uses_of(c);
    VEC(uint32_t) live = {0};
    for (uint32_t k = 1; k < c->u->buf.n; k++)
        if (buf(c->u, k)->cls == BC_arena && is_planned(buf(c->u, k)) && use[k].first != UINT32_MAX)
            PUSH(c->a, &live, k);
    for (uint32_t k = 0; k < live.n; k++)
        for (uint32_t m = 0; m < k && !c->why; m++) {
            const uint32_t p = live.at[k], q = live.at[m];
            if (c->name[p] != c->name[q] && share_bytes(buf(c->u, p), buf(c->u, q)) && !follow(c, &use[p], &use[q]) && !follow(c, &use[q], &use[p]))
                c->why = str_fmt(c->a, "buffers %u and %u share bytes while parts have not met", p, q);
        }
}

static bool defines(const Func *f, const Expr *sym)
{
    for (uint32_t k = 0; k < f->defines.n; k++)
        if (f->defines.at[k] == sym)
            return true;
    return false;
}

static void check_symbols(Prove *c, uint32_t f, uint32_t g)
{
    const Func *later = c->u->func.at[g];
    for (uint32_t k = 0; k < later->sym.n && later->split; k++)
        if (defines(c->u->func.at[f], later->sym.at[k]))
            c->why = str_fmt(c->a, "%s uses an extent that %s decides, and parts have not met", later->name, c->u->func.at[f]->name);
}

/* Parts at most `reach` apart have met between f and g. */
static void check_pair(Prove *c, uint32_t f, uint32_t g, int32_t reach)
{
    check_symbols(c, f, g);
    for (int32_t p = 0; p < c->parts && !c->why; p++)
        for (int32_t q = 0; q < c->parts && !c->why; q++) {
            const int32_t apart = p < q ? q - p : p - q;
            if (apart > reach && touches_clash(c->u, touches_of(c, f, p), touches_of(c, g, q)))
                c->why = str_fmt(c->a, "part %d of %d in %s and part %d in %s touch the same element", p, c->parts, c->u->func.at[f]->name, q, c->u->func.at[g]->name);
        }
}

static void check_from(Prove *c, uint32_t f)
{
    int32_t reach = 0;
    for (uint32_t g = f; g < c->u->func.n && !c->why; g++) {
        reach = g == f ? 0 : part_reach_on(c->u, reach, g, c->count);
        if (reach >= c->parts - 1)
            return;
        if (c->u->func.at[f]->split || c->u->func.at[g]->split)
            check_pair(c, f, g, reach);
    }
}

static void collect_touches(Prove *c, uint32_t f)
{
    const Accesses *of = part_accesses(c->a, c->u, c->u->func.at[f]);
    for (int32_t p = 0; p < c->parts; p++) {
        *touches_of(c, f, p) = part_touches(c->a, of, p, c->parts);
        touches_rename(touches_of(c, f, p), c->name);
        const uint32_t bad = part_unfilled(c->a, of, p, c->parts);
        if (bad)
            c->why = str_fmt(c->a, "part %d of %d in %s reads of buffer %u what it has not written", p, c->parts, c->u->func.at[f]->name, bad);
    }
}

/* All parts meet before a step that is dealt out and behind it. */
static const char *deal_of(const Prove *c, uint32_t f, uint32_t end)
{
    const Func *first = c->u->func.at[f];
    const int32_t shares = func_shares(first, c->count);
    for (uint32_t k = f; k < end; k++)
        if (func_shares(c->u->func.at[k], c->count) != shares)
            return str_fmt(c->a, "%s is cut into other shares than %s, which parts have not met behind", c->u->func.at[k]->name, first->name);
    if (!shares)
        return NULL;
    if (shares < c->parts || shares > MAX_SHARES)
        return str_fmt(c->a, "%s is dealt out in %d shares", first->name, shares);
    if ((f > 0 && func_meet(first, c->count) < c->parts - 1) || (end < c->u->func.n && func_meet(c->u->func.at[end], c->count) < c->parts - 1))
        return str_fmt(c->a, "%s is dealt out where not all parts meet", first->name);
    Accesses **of = NEWN(c->a, Accesses *, end - f);
    for (uint32_t k = f; k < end; k++)
        of[k - f] = part_accesses(c->a, c->u, c->u->func.at[k]);
    return deal_fault(c->a, c->u, f, end, of, shares, c->name);
}

static void check_deals(Prove *c)
{
    for (uint32_t f = 0, end; f < c->u->func.n && !c->why; f = end) {
        end = step_end(c->u, f);
        c->why = deal_of(c, f, end);
    }
}

static void check_count(Prove *c)
{
    const uint32_t n = c->u->func.n;
    c->at = NEWN(c->a, Touches, n * (uint32_t)c->parts + 1);
    for (uint32_t f = 0; f < n; f++)
        collect_touches(c, f);
    check_bytes(c);
    for (uint32_t f = 0; f < n && !c->why; f++)
        check_from(c, f);
    if (!c->why)
        check_deals(c);
}

/* Scratch lies in a block that each part has for itself, behind all that is shared. */
static void check_scratch(Prove *c)
{
    const int64_t shared = c->u->arena_bytes - c->u->part_bytes;
    for (uint32_t k = 1; k < c->u->buf.n && !c->why; k++) {
        const Buf *b = buf(c->u, k);
        const bool scratch = b->cls == BC_scratch;
        if (is_planned(b) && (scratch ? b->offset < shared || b->offset + b->bytes > c->u->arena_bytes : b->offset + b->bytes > shared))
            c->why = str_fmt(c->a, "buffer %u lies on the border between what is shared and what parts have for themselves", k);
    }
}

/* What lies in one place in one layout is one buffer for whoever touches it. */
static void name_places(Prove *c)
{
    c->name = NEWN(c->a, uint32_t, c->u->buf.n);
    for (uint32_t k = 1; k < c->u->buf.n; k++) {
        const Buf *b = buf(c->u, k);
        c->name[k] = k;
        for (uint32_t m = 1; m < k && b->cls == BC_arena && is_planned(b) && c->name[k] == k; m++) {
            const Buf *other = buf(c->u, m);
            if (other->cls == BC_arena && is_planned(other) && other->offset == b->offset && other->pool == b->pool && buf_same_layout(other, b))
                c->name[k] = c->name[m];
        }
    }
}

typedef struct Around { const Func *f; const Nest *outer, *inner; int outers; } Around; /* parallel loops; outer: the next one of so many */

static const char *wrong_loop(const Around *at, const Nest *n)
{
    const Share *s = &n->share;
    if (!at->f->split)
        return "in a function that part 0 alone runs";
    if (at->inner || (s->each > 1 && at->outers == OUTER_LOOPS))
        return "inside one that deals out the same units";
    if (at->outer && s->of * s->each != at->outer->share.each)
        return "of other units than the loop around it has";
    if (loop_carries(n))
        return "that hands a register on from one iteration to the next";
    return s->each > 1 && s->times ? "of units that it both deals out and needs" : NULL;
}

static void check_loops(Prove *c, const Nest *n, Around at)
{
    if (nest_is_shared(n)) {
        const char *wrong = wrong_loop(&at, n);
        if (wrong)
            c->why = str_fmt(c->a, "%s has a parallel loop over '%s' %s", at.f->name, ex_var_info(c->u->cx->x, n->var)->name, wrong);
        *(n->share.each > 1 ? &at.outer : &at.inner) = n;
        at.outers += n->share.each > 1;
    }
    for (uint32_t k = 0; k < n->body.n && !c->why; k++)
        check_loops(c, n->body.at[k], at);
    for (uint32_t k = 0; k < n->other.n && !c->why; k++)
        check_loops(c, n->other.at[k], at);
}

const char *part_check(Arena *a, const Unit *u)
{
    Arena *work = arena_child(a);
    Prove c = {.a = work, .u = u};
    if (u->threads.n)
        check_scratch(&c);
    name_places(&c);
    for (uint32_t f = 0; f < u->func.n && !c.why; f++)
        check_loops(&c, u->func.at[f]->body, (Around){.f = u->func.at[f]});
    for (uint32_t k = 0; k < u->threads.n && !c.why; k++) {
        c.parts = u->threads.at[k];
        c.count = k;
        check_count(&c);
    }
    const char *why = c.why ? str_dup(a, c.why) : NULL;
    arena_free(work);
    return why;
}

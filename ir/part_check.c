/* SPDX-License-Identifier: Apache-2.0
 *
 * See part.h. Between two meetings of all parts (an epoch) nothing orders what different parts do, but that a part that
 * has met its neighbours m times has seen those up to m away finish what lies before. So in each epoch: functions f <= g
 * and parts p != q, further apart than the meetings of neighbours between f and g, must not clash; and no two buffers in
 * use may share bytes, whoever uses them. Scratch that a part fills only where it needs it must be filled wherever it is read.
 */
#include "part.h"

typedef struct Prove {
    Arena *a;
    const Unit *u;
    uint32_t first, end;  /* functions of the epoch */
    Touches *at;          /* by function and part */
    int32_t parts;
    const char *why;
} Prove;

static Touches *touches_of(const Prove *c, uint32_t f, int32_t part) { return &c->at[f * (uint32_t)c->parts + (uint32_t)part]; }

static bool is_planned(const Buf *b) { return b->offset >= 0 && (b->cls == BC_arena || (b->cls == BC_scratch && !b->on_stack)); }

static bool share_bytes(const Buf *p, const Buf *q)
{
    return p->pool == q->pool && p->offset < q->offset + q->bytes && q->offset < p->offset + p->bytes;
}

static bool used_in(const Prove *c, uint32_t id)
{
    for (uint32_t f = c->first; f < c->end; f++)
        for (uint32_t k = 0; k < c->u->func.at[f]->param.n; k++)
            if (c->u->func.at[f]->param.at[k] == id)
                return true;
    return false;
}

static void check_bytes(Prove *c)
{
    VEC(uint32_t) live = {0};
    for (uint32_t k = 1; k < c->u->buf.n; k++)
        if (buf(c->u, k)->cls == BC_arena && is_planned(buf(c->u, k)) && used_in(c, k))
            PUSH(c->a, &live, k);
    for (uint32_t k = 0; k < live.n; k++)
        for (uint32_t m = 0; m < k && !c->why; m++)
            if (share_bytes(buf(c->u, live.at[k]), buf(c->u, live.at[m])))
                c->why = str_fmt(c->a, "buffers %u and %u share bytes while parts have not met, from %s on", live.at[k], live.at[m], c->u->func.at[c->first]->name);
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

/* near: meetings of neighbours between f and g. */
static void check_pair(Prove *c, uint32_t f, uint32_t g, int near)
{
    check_symbols(c, f, g);
    for (int32_t p = 0; p < c->parts && !c->why; p++)
        for (int32_t q = 0; q < c->parts && !c->why; q++) {
            const int32_t apart = p < q ? q - p : p - q;
            if (apart > (f == g ? 0 : near) && touches_clash(c->u, touches_of(c, f, p), touches_of(c, g, q)))
                c->why = str_fmt(c->a, "part %d of %d in %s and part %d in %s touch the same element", p, c->parts, c->u->func.at[f]->name, q, c->u->func.at[g]->name);
        }
}

static void check_epoch(Prove *c)
{
    check_bytes(c);
    for (uint32_t f = c->first; f < c->end; f++) {
        int near = 0;
        for (uint32_t g = f; g < c->end && !c->why; g++) {
            near += g > f && c->u->func.at[g]->meet == MEET_near;
            if (c->u->func.at[f]->split || c->u->func.at[g]->split)
                check_pair(c, f, g, near);
        }
    }
}

static void collect_touches(Prove *c, uint32_t f)
{
    const Accesses *of = part_accesses(c->a, c->u, c->u->func.at[f]);
    for (int32_t p = 0; p < c->parts; p++) {
        *touches_of(c, f, p) = part_touches(c->a, of, p, c->parts);
        const uint32_t bad = part_unfilled(c->a, of, p, c->parts);
        if (bad)
            c->why = str_fmt(c->a, "part %d of %d in %s reads of buffer %u what it has not written", p, c->parts, c->u->func.at[f]->name, bad);
    }
}

static void check_count(Prove *c)
{
    const uint32_t n = c->u->func.n;
    c->at = NEWN(c->a, Touches, n * (uint32_t)c->parts + 1);
    for (uint32_t f = 0; f < n; f++)
        collect_touches(c, f);
    for (c->first = 0; c->first < n && !c->why; c->first = c->end) {
        for (c->end = c->first + 1; c->end < n && c->u->func.at[c->end]->meet != MEET_all; c->end++)
            continue;
        check_epoch(c);
    }
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

typedef struct Around { const Func *f; const Nest *outer, *inner; } Around; /* parallel loops */

static const char *wrong_loop(const Around *at, const Nest *n)
{
    const Share *s = &n->share;
    if (!at->f->split)
        return "in a function that part 0 alone runs";
    if (at->inner || (at->outer && s->each > 1))
        return "inside one that deals out the same units";
    if (at->outer && s->of != at->outer->share.each)
        return "of other units than the loop around it has";
    return s->each > 1 && s->times ? "of units that it both deals out and needs" : NULL;
}

static void check_loops(Prove *c, const Nest *n, Around at)
{
    if (n->op == NS_for && n->kind == FOR_parallel) {
        const char *wrong = wrong_loop(&at, n);
        if (wrong)
            c->why = str_fmt(c->a, "%s has a parallel loop over '%s' %s", at.f->name, ex_var_info(c->u->cx->x, n->var)->name, wrong);
        *(n->share.each > 1 ? &at.outer : &at.inner) = n;
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
    for (uint32_t f = 0; f < u->func.n && !c.why; f++)
        check_loops(&c, u->func.at[f]->body, (Around){.f = u->func.at[f]});
    for (uint32_t k = 0; k < u->threads.n && !c.why; k++) {
        c.parts = u->threads.at[k];
        check_count(&c);
    }
    const char *why = c.why ? str_dup(a, c.why) : NULL;
    arena_free(work);
    return why;
}

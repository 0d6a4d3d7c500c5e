/* SPDX-License-Identifier: Apache-2.0
 * See part.h. */
#include "part.h"

bool buf_same_layout(const Buf *p, const Buf *q)
{
    bool same = p->dt == q->dt && p->rank == q->rank && p->bytes == q->bytes;
    for (uint8_t d = 0; d < p->rank && same; d++)
        same = p->dim[d] == q->dim[d] && p->stride[d] == q->stride[d] && p->lo[d] == q->lo[d] && p->hi[d] == q->hi[d];
    return same;
}

void touches_rename(Touches *t, const uint32_t *name)
{
    for (uint32_t k = 0; k < t->v.n; k++)
        t->v.at[k].buf = name[t->v.at[k].buf];
}

/* A function that uses the block, with what parts, or shares when there are any, touch of it. */
typedef struct User { uint32_t f; int32_t parts, shares; Touches *part; } User;
typedef struct Block { Arena *a; const Unit *u; const uint32_t *name; uint32_t count; VEC(User) user; } Block;

static bool uses(const Func *f, const uint32_t *name)
{
    for (uint32_t k = 0; k < f->param.n; k++)
        if (name[f->param.at[k]])
            return true;
    return false;
}

static void find_users(Block *b)
{
    for (uint32_t f = 0; f < b->u->func.n; f++) {
        if (!uses(b->u->func.at[f], b->name))
            continue;
        const Accesses *of = part_accesses(b->a, b->u, b->u->func.at[f]);
        const int32_t shares = func_shares(b->u->func.at[f], b->count), parts = shares ? shares : b->u->threads.at[b->count];
        User user = {f, parts, shares, NEWN(b->a, Touches, parts)};
        for (int32_t p = 0; p < parts; p++) {
            user.part[p] = part_touches(b->a, of, p, parts);
            touches_rename(&user.part[p], b->name);
        }
        PUSH(b->a, &b->user, user);
    }
}

/* Whether parts that have not met are in each other's way, one in f, the other in g. */
static bool clash(const Block *b, const User *f, const User *g)
{
    if (f->shares || g->shares)
        return false;
    const int32_t parts = f->parts, reach = f == g ? 0 : part_reach(b->u, f->f, g->f, b->count);
    for (int32_t p = 0; p < parts; p++)
        for (int32_t q = 0; q < parts; q++)
            if ((p < q ? q - p : p - q) > reach && touches_clash(b->u, &f->part[p], &g->part[q]))
                return true;
    return false;
}

/* Whether shares of the dealt step that begins with user k are in each other's way, k then behind the step. */
static bool shares_do(const Block *b, uint32_t *k)
{
    const User *first = &b->user.at[*k];
    const uint32_t end = step_end(b->u, first->f);
    Touches *all = NEWN(b->a, Touches, first->parts);
    int32_t pair[2];
    for (; *k < b->user.n && b->user.at[*k].f < end; ++*k)
        for (int32_t s = 0; s < first->shares; s++)
            for (uint32_t m = 0; m < b->user.at[*k].part[s].v.n; m++)
                PUSH(b->a, &all[s].v, b->user.at[*k].part[s].v.at[m]);
    return shares_clash(b->a, b->u, all, first->shares, pair);
}

static bool dealt_clash(const Block *b)
{
    bool yes = false;
    for (uint32_t k = 0; k < b->user.n && !yes;)
        if (b->user.at[k].shares)
            yes = shares_do(b, &k);
        else
            k++;
    return yes;
}

bool part_may_share(Arena *a, const Unit *u, const uint32_t *name)
{
    bool ok = true;
    for (uint32_t t = 0; t < u->threads.n && ok; t++) {
        Block b = {.a = arena_child(a), .u = u, .name = name, .count = t};
        find_users(&b);
        for (uint32_t k = 0; k < b.user.n; k++)
            for (uint32_t m = k; m < b.user.n && ok; m++)
                ok = !clash(&b, &b.user.at[k], &b.user.at[m]);
        ok = ok && !dealt_clash(&b);
        arena_free(b.a);
    }
    return ok;
}

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

/* A function that uses the block, with what parts touch of it. */
typedef struct User { uint32_t f; Touches *part; } User;
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
    const int32_t parts = b->u->threads.at[b->count];
    for (uint32_t f = 0; f < b->u->func.n; f++) {
        if (!uses(b->u->func.at[f], b->name))
            continue;
        const Accesses *of = part_accesses(b->a, b->u, b->u->func.at[f]);
        User user = {f, NEWN(b->a, Touches, parts)};
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
    const int32_t parts = b->u->threads.at[b->count], reach = f == g ? 0 : part_reach(b->u, f->f, g->f, b->count);
    for (int32_t p = 0; p < parts; p++)
        for (int32_t q = 0; q < parts; q++)
            if ((p < q ? q - p : p - q) > reach && touches_clash(b->u, &f->part[p], &g->part[q]))
                return true;
    return false;
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
        arena_free(b.a);
    }
    return ok;
}

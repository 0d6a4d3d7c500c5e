/* SPDX-License-Identifier: Apache-2.0
 * See schedule.h: which stages are made in which, and who reads what, each looked up once for a whole program. */
#include "schedule.h"

typedef struct Pair { uint32_t key, stage; } Pair;
typedef struct Pairs { Arena *a; VEC(Pair) v; } Pairs;

/* A sort by counting: stages keep the order in which they were put. */
static Lists by_key(const Pairs *p, uint32_t keys)
{
    Lists l = {.at = NEWN(p->a, uint32_t, p->v.n + 1), .first = NEWN(p->a, uint32_t, keys + 2)};
    for (uint32_t k = 0; k < p->v.n; k++)
        l.first[p->v.at[k].key + 2]++;
    for (uint32_t k = 2; k < keys + 2; k++)
        l.first[k] += l.first[k - 1];
    for (uint32_t k = 0; k < p->v.n; k++)
        l.at[l.first[p->v.at[k].key + 1]++] = p->v.at[k].stage;
    return l;
}

Lists schedule_guests(Arena *a, const Schedule *s)
{
    Pairs p = {.a = a};
    for (uint32_t k = 0; k < s->te->stage.n; k++)
        if (is_guest(&s->stage[k]))
            PUSH(a, &p.v, ((Pair){s->stage[k].host, k}));
    return by_key(&p, s->te->stage.n);
}

Lists schedule_nests(Arena *a, const Schedule *s)
{
    Pairs p = {.a = a};
    for (uint32_t k = 0; k < s->te->stage.n; k++) {
        uint32_t root = k;
        while (is_guest(&s->stage[root]))
            root = s->stage[root].host;
        if (s->stage[root].place == PL_root)
            PUSH(a, &p.v, ((Pair){root, k}));
    }
    return by_key(&p, s->te->stage.n);
}

typedef struct Reads { Pairs *p; uint32_t stage; } Reads;

static void note_load(void *ctx, const Expr *e)
{
    Reads *r = ctx;
    if (e->op == EX_load || e->op == EX_loadp)
        PUSH(r->p->a, &r->p->v, ((Pair){e->v.ref, r->stage}));
}

Lists schedule_readers(Arena *a, const Schedule *s, const Expr *const *body)
{
    Pairs p = {.a = a};
    for (uint32_t k = 0; k < s->te->stage.n; k++)
        if (body[k] && s->stage[k].place != PL_inline)
            ex_walk(body[k], note_load, &(Reads){&p, k});
    return by_key(&p, s->te->ten.n);
}

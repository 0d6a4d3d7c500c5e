/* SPDX-License-Identifier: Apache-2.0
 *
 * Plainer schedules. Extents that only run time knows can make a tile or a substituted index that stays inside its buffer
 * for reasons which the bounds proof does not find. Such a function is made again: first without tile, blocks and guests,
 * then without what is inline in it, which is how -O0 makes it.
 */
#include "auto.h"

static void make_plain(StagePlan *p)
{
    *p = (StagePlan){.place = PL_root, .lane = -1, .why = "its accesses are not proved in a faster form"};
}

static bool is_plain(const StagePlan *p)
{
    return p->nloop == 0 && !p->tiled && !p->parts;
}

/* Stage k as plain loops, and what lives in it, or in what lives in it, at root. */
static bool without_tile(Schedule *s, uint32_t k)
{
    bool any = !is_plain(&s->stage[k]);
    for (uint32_t q = k; q-- > 0;) { /* hosts come later than their guests */
        if (!is_guest(&s->stage[q]) || s->stage[q].host != k)
            continue;
        (void)without_tile(s, q);
        make_plain(&s->stage[q]);
        any = true;
    }
    if (any)
        make_plain(&s->stage[k]);
    return any;
}

typedef struct Inline { Schedule *s; bool any; } Inline;

static void to_root(void *ctx, const Expr *e)
{
    Inline *in = ctx;
    if ((e->op != EX_load && e->op != EX_loadp) || ten(in->s->te, e->v.ref)->kind != TEN_stage)
        return;
    StagePlan *p = &in->s->stage[ten(in->s->te, e->v.ref)->stage];
    in->any = in->any || p->place == PL_inline;
    if (p->place == PL_inline)
        make_plain(p);
}

bool schedule_plainer(Schedule *s, uint32_t k)
{
    if (s->stage[k].place != PL_root)
        return false;
    if (without_tile(s, k))
        return true;
    Inline in = {s, false};
    walk_stage(s->te, s->te->stage.at[k], s->te->stage.at[k]->body, to_root, &in);
    return in.any;
}

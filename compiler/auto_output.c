/* SPDX-License-Identifier: Apache-2.0
 *
 * Outputs that copy a tensor of the program: the tensor is made in the output's memory and read there, which saves the copy
 * and the tensor's own memory. So the keys and values of attention that a model gives back are those that its products read.
 *
 *   t[v..] = ..                          t[v..] = ..      is the output
 *   output[v..] = t[v..]         ->
 *   y[v..] = f(t[..])                    y[v..] = f(t[..])
 *
 * A tensor is one output at most, others copy it; one in an order of its own or with a border is copied in any case.
 */
#include "auto.h"

/* Whether body is t[v..], the variables of stage s in their order. */
static bool is_copy(const Auto *g, const Stage *s, const Expr *body)
{
    const Ten *o = ten(g->te, s->out);
    if (s->kind != ST_map || body->op != EX_load || ten(g->te, body->v.ref)->rank != o->rank || body->dt != o->dt)
        return false;
    const Ten *t = ten(g->te, body->v.ref);
    for (uint8_t d = 0; d < o->rank; d++)
        if (t->dim[d] != o->dim[d] || (body->a[d] != s->var[d] && !ex_is_int(o->dim[d], 1)))
            return false;
    return true;
}

/* Whether it has memory of its own that may as well be the caller's: no view, no input, no constant, no other output. */
static bool may_be_output(const Auto *g, uint32_t t)
{
    const Ten *n = ten(g->te, t);
    const bool plain = !g->layout.at[t].set || layout_is_plain(&g->layout.at[t], n->rank);
    return n->kind == TEN_stage && n->output < 0 && g->s->stage[n->stage].place == PL_root && plain && !g->packed.at[t] && !g->rows.at[t];
}

static void become_output(Ten *t, Ten *o)
{
    const char *name = t->name;
    t->name = o->name;
    t->output = o->output;
    o->name = name;
    o->output = -1;
}

void auto_outputs(Auto *g)
{
    bool any = false;
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        const Stage *s = g->te->stage.at[k];
        Ten *o = ten(g->te, s->out);
        if (o->output < 0 || g->nreader[s->out] || !is_copy(g, s, g->body[k]) || !may_be_output(g, g->body[k]->v.ref))
            continue;
        become_output(ten(g->te, g->body[k]->v.ref), o);
        any = true;
    }
    if (!any)
        return;
    auto_drop_unread(g);
    auto_views(g);
}

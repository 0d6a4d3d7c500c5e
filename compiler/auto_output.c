/* SPDX-License-Identifier: Apache-2.0
 *
 * Outputs that copy a tensor of the program: the tensor is made in the output's memory and read there, which saves the copy
 * and the tensor's own memory. So the keys and values of attention that a model gives back are those that its products read.
 *
 *   t[v..] = ..                          t[v..] = ..      is the output
 *   output[v..] = t[v..]         ->
 *   y[v..] = f(t[..])                    y[v..] = f(t[..])
 *
 * A tensor is one output at most, others copy it; one in an order of its own or with a border is copied in any case. Outputs that are
 * computed get such a copy first, so that what computes them may choose an order.
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

/* Whether its elements lie in the order of its dimensions, of which those of one element may stand anywhere. */
static bool lies_plain(const Auto *g, uint32_t t)
{
    const Ten *n = ten(g->te, t);
    const Layout *l = &g->layout.at[t];
    int before = -1;
    for (uint8_t q = 0; l->set && q < n->rank; q++) {
        if (ex_is_int(n->dim[l->order[q]], 1))
            continue;
        if (l->order[q] < before)
            return false;
        before = l->order[q];
    }
    return !l->set || !layout_has_halo(l, n->rank);
}

/* Set apart by auto_outputs_apart in vain: it is turned over element by element, having too few of them in a row. */
static bool is_apart_in_vain(const Auto *g, uint32_t t)
{
    return g->pinned.at[t] && g->nreader[t] == 1 && !layout_has_halo(&g->layout.at[t], ten(g->te, t)->rank) && !turns_over(g, g->reader[t][0]);
}

/* Whether it has memory of its own that may as well be the caller's: no view, no input, no constant, no other output. */
static bool may_be_output(const Auto *g, uint32_t t)
{
    const Ten *n = ten(g->te, t);
    const bool plain = lies_plain(g, t) || is_apart_in_vain(g, t);
    return n->kind == TEN_stage && n->output < 0 && g->s->stage[n->stage].place == PL_root && plain && !g->packed.at[t] && !g->rows.at[t];
}

/* t takes the place of output o. */
static void become_output(Auto *g, uint32_t t, uint32_t o)
{
    Ten *to = ten(g->te, t), *from = ten(g->te, o);
    const char *name = to->name;
    to->name = from->name;
    to->output = from->output;
    from->name = name;
    from->output = -1;
    g->layout.at[t] = (Layout){0};
    g->pinned.at[t] = false;
}

/* Whether stage k computes an output that has rows or columns beside its channels and is larger than the first-level cache. */
static bool computes_output(const Auto *g, uint32_t k)
{
    const Stage *s = g->te->stage.at[k];
    const Ten *t = ten(g->te, s->out);
    const bool computed = s->kind == ST_reduce || (s->kind == ST_map && s->body->op != EX_load);
    return computed && t->output >= 0 && t->rank >= 3 && t->dt == DT_f32 && bytes_of_tensor(g, s->out) > g->m->l1_bytes;
}

/* Pictures are computed channels last and turned over into the caller's order by a copy, in blocks: stored one channel after the
 * other far apart, a pooling took four times as long, a 1x1 convolution 1.15 times. What turns out to lie as the caller wants it is made there (auto_outputs). */
void auto_outputs_apart(Auto *g)
{
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        const uint32_t t = g->te->stage.at[k]->out;
        if (!computes_output(g, k))
            continue;
        become_output(g, auto_copy(g, k + 1, t, NULL, g->te->stage.at[k]->node), t);
        g->pinned.at[t] = true;
    }
}

void auto_outputs(Auto *g)
{
    bool any = false;
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        const Stage *s = g->te->stage.at[k];
        Ten *o = ten(g->te, s->out);
        if (o->output < 0 || g->nreader[s->out] || !is_copy(g, s, g->body[k]) || !may_be_output(g, g->body[k]->v.ref))
            continue;
        become_output(g, g->body[k]->v.ref, s->out);
        any = true;
    }
    if (!any)
        return;
    auto_drop_unread(g);
    auto_views(g);
}

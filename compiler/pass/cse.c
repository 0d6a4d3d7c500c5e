/* SPDX-License-Identifier: Apache-2.0
 * Common subexpressions: of nodes with the same operator, operands and attributes the first serves all. */
#include "../pass.h"

#include "../../ir/op.h"

static uint64_t hash_attr(uint64_t h, const Attr *a)
{
    h = hash_bytes(h, a->name, strlen(a->name));
    h = hash_bytes(h, &a->type, sizeof a->type);
    switch (a->type) {
    case AT_i:
        return hash_bytes(h, &a->v.i, sizeof a->v.i);
    case AT_f:
        return hash_bytes(h, &a->v.f, sizeof a->v.f);
    case AT_s:
        return hash_bytes(h, a->v.s, strlen(a->v.s));
    case AT_is:
        return hash_bytes(h, a->v.is, a->n * sizeof *a->v.is);
    case AT_fs:
        return hash_bytes(h, a->v.fs, a->n * sizeof *a->v.fs);
    default:
        return h;
    }
}

/* Attributes that are compared by value; tensors, graphs and lists of text are not, so such nodes stay apart. */
static bool same_attr(const Attr *p, const Attr *q)
{
    if (strcmp(p->name, q->name) != 0 || p->type != q->type || p->n != q->n)
        return false;
    switch (p->type) {
    case AT_i:
        return p->v.i == q->v.i;
    case AT_f:
        return memcmp(&p->v.f, &q->v.f, sizeof p->v.f) == 0;
    case AT_s:
        return strcmp(p->v.s, q->v.s) == 0;
    case AT_is:
        return memcmp(p->v.is, q->v.is, p->n * sizeof *p->v.is) == 0;
    case AT_fs:
        return memcmp(p->v.fs, q->v.fs, p->n * sizeof *p->v.fs) == 0;
    default:
        return false;
    }
}

static uint64_t hash_node(const Node *n)
{
    uint64_t h = hash_bytes(n->nout, &n->op, sizeof n->op);
    h = hash_bytes(h, n->in, n->nin * sizeof *n->in);
    for (uint16_t k = 0; k < n->nattr; k++)
        h = hash_attr(h, &n->attr[k]);
    return h;
}

static bool same_node(const Node *p, const Node *q)
{
    if (p->op != q->op || p->nin != q->nin || p->nout != q->nout || p->nattr != q->nattr || memcmp(p->in, q->in, p->nin * sizeof *p->in) != 0)
        return false;
    for (uint16_t k = 0; k < p->nattr; k++)
        if (!same_attr(&p->attr[k], &q->attr[k]))
            return false;
    for (uint16_t k = 0; k < p->nout; k++)
        if (is_none(p->out[k]) != is_none(q->out[k]))
            return false;
    return true;
}

static bool is_output(const Graph *g, TensorId t)
{
    for (uint32_t k = 0; k < g->output.n; k++)
        if (g->output.at[k].i == t.i)
            return true;
    return false;
}

static bool may_go(const Graph *g, const Node *n)
{
    for (uint16_t k = 0; k < n->nout; k++)
        if (is_output(g, n->out[k]))
            return false;
    return !(n->op->flags & OF_RANDOM);
}

bool pass_cse(Program *p)
{
    Graph *g = p->graph;
    Map first = {.arena = p->cx->arena};
    for (uint32_t k = 0; k < g->order.n; k++) {
        const NodeId id = g->order.at[k];
        const Node *n = node(g, id);
        if (n->dead)
            continue;
        uint64_t *seen = map_u64(&first, hash_node(n), true);
        const NodeId other = {(uint32_t)*seen};
        if (!*seen) {
            *seen = id.i;
        } else if (same_node(n, node(g, other)) && may_go(g, n)) {
            for (uint16_t o = 0; o < n->nout; o++)
                if (!is_none(n->out[o]))
                    graph_replace(g, n->out[o], node(g, other)->out[o]);
            remark(p, "cse", true, "%s '%s' is the same as '%s'", n->op->name, n->name, node(g, other)->name);
            graph_remove(g, id);
        }
    }
    graph_sweep(g);
    return true;
}

/* SPDX-License-Identifier: Apache-2.0
 * Rules on data movement. Views cost nothing once they are stages; these keep chains of them short. */
#include "../../ir/op.h"
#include "../rewrite.h"

/* transpose(transpose(x, p), q) == transpose(x, r) with r[k] = p[q[k]] */
static bool join_transposes(Rw *rw, const Match *m)
{
    const OpCtx outer = rw_ctx(rw, m->root), inner = rw_ctx(rw, m->n['T']);
    uint32_t n, np;
    const int64_t *q = attr_is(&outer, "perm", &n), *p = attr_is(&inner, "perm", &np);
    const uint8_t rank = rw_tensor(rw, m->t['x'])->rank;
    if (!p || !q || n != rank || np != rank)
        return false;
    int64_t *r = NEWN(rw->p->cx->arena, int64_t, rank + 1);
    bool identity = true;
    for (uint8_t k = 0; k < rank; k++) {
        r[k] = p[q[k]];
        identity = identity && r[k] == k;
    }
    if (identity && rw_forward(rw, m->root, m->t['x']))
        return true;
    const Attr perm = {.name = "perm", .type = AT_is, .n = rank, .v.is = r};
    rw_become(rw, m->root, rw_node(rw, m->root)->op, 1, &m->t['x'], 1, &perm);
    return true;
}

/* reshape(reshape(x, p), q) == reshape(x, q); a 0 in q copies a dimension of the inner result, so it declines */
static bool join_reshapes(Rw *rw, const Match *m)
{
    const Blob *shape = rw_tensor(rw, m->t['q'])->data;
    for (int64_t k = 0; k < shape->count; k++)
        if (blob_i(shape, k) == 0)
            return false;
    const Node *n = rw_node(rw, m->root);
    const TensorId in[] = {m->t['x'], m->t['q']};
    rw_become(rw, m->root, n->op, 2, in, n->nattr, n->attr);
    return true;
}

const Rule rules_layout[] = {
    {"transpose-transpose", "(Transpose (Transpose:T x))", join_transposes},
    {"reshape-reshape", "(Reshape (Reshape! x _) #q)", join_reshapes},
    {0},
};

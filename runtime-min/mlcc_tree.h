/* SPDX-License-Identifier: 0BSD
 *
 * Decision trees as tables. A row of the node table says what is asked and where to go: a node, or ~k for leaf k. The
 * compiler has checked every index; a walk takes at most as many steps as there are nodes.
 */
#ifndef MLCC_TREE_H
#define MLCC_TREE_H

#include "mlcc.h"

/* Columns of the node table. */
#define MLCC_TREE_FEATURE 0
#define MLCC_TREE_MODE    1
#define MLCC_TREE_YES     2
#define MLCC_TREE_NO      3
#define MLCC_TREE_MISSING 4
#define MLCC_TREE_SET     5
#define MLCC_TREE_COLUMNS 6

/* Questions, in ONNX's numbering. */
#define MLCC_TREE_LEQ    0
#define MLCC_TREE_LT     1
#define MLCC_TREE_GTE    2
#define MLCC_TREE_GT     3
#define MLCC_TREE_EQ     4
#define MLCC_TREE_NEQ    5
#define MLCC_TREE_MEMBER 6

/* Greatest finite number: where the search for the least begins. */
#define MLCC_TREE_FAR 1.7976931348623157e308

/* Whether v is in a set that ends with NaN. */
static inline int mlcc_tree_member(const double *set, double v)
{
    for (; *set == *set; set++) {
        if (*set == v) return 1;
    }
    return 0;
}

/* Whether the answer to a node's question about v is yes. */
static inline int mlcc_tree_yes(const int64_t *node, double split, const double *members, double v)
{
    if (v != v && node[MLCC_TREE_MISSING]) return 1;
    switch (node[MLCC_TREE_MODE]) {
    case MLCC_TREE_LEQ: return v <= split;
    case MLCC_TREE_LT: return v < split;
    case MLCC_TREE_GTE: return v >= split;
    case MLCC_TREE_GT: return v > split;
    case MLCC_TREE_EQ: return v == split;
    case MLCC_TREE_NEQ: return v != split;
    default: return mlcc_tree_member(members + node[MLCC_TREE_SET], v);
    }
}

/* Leaf that row x reaches from a root; -1: none, in a cycle. in: as of mlcc_tree_ensemble. */
static inline int64_t mlcc_tree_leaf(const mlcc_tensor *in, const double *x, int64_t at)
{
    const int64_t *nodes = (const int64_t *)in[1].data;
    const double *splits = (const double *)in[2].data, *members = (const double *)in[3].data;
    for (int64_t step = 0; step < in[1].dim[0]; step++) {
        const int64_t *node = nodes + at * MLCC_TREE_COLUMNS;
        const int yes = mlcc_tree_yes(node, splits[at], members, x[node[MLCC_TREE_FEATURE]]);
        at = node[yes ? MLCC_TREE_YES : MLCC_TREE_NO];
        if (at < 0) return ~at;
    }
    return -1;
}

/* in: x f64 [n,features], nodes i64 [nodes,columns], splits f64 [nodes], members f64, roots i64 [trees], weights f64
 * and targets i64 [leaves]. arg: how a target's leaves are put together: 0 mean over the trees, 1 sum, 2 least, 3
 * greatest. out[0]: f64 [n,targets]. */
static inline void mlcc_tree_ensemble(const mlcc_tensor *in, mlcc_tensor *out, const int64_t *arg, void *scratch)
{
    const int64_t features = in[0].dim[1], trees = in[4].dim[0], targets = out[0].dim[1];
    const double first = arg[0] == 2 ? MLCC_TREE_FAR : arg[0] == 3 ? -MLCC_TREE_FAR : 0.0;
    const double *weight = (const double *)in[5].data;
    const int64_t *root = (const int64_t *)in[4].data, *target = (const int64_t *)in[6].data;
    (void)scratch;
    for (int64_t n = 0; n < in[0].dim[0]; n++) {
        double *y = (double *)out[0].data + n * targets;
        for (int64_t k = 0; k < targets; k++) y[k] = first;
        for (int64_t k = 0; k < trees; k++) {
            const int64_t leaf = mlcc_tree_leaf(in, (const double *)in[0].data + n * features, root[k]);
            if (leaf < 0) continue;
            const double w = weight[leaf];
            double *v = y + target[leaf];
            if (arg[0] < 2)
                *v += arg[0] ? w : w / (double)trees;
            else if (arg[0] == 2 ? w < *v : w > *v)
                *v = w;
        }
    }
}

#endif

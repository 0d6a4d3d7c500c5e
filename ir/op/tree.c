/* SPDX-License-Identifier: Apache-2.0
 *
 * TreeEnsemble: decision trees as tables of a call (mlcc_tree.h). Indices of the tables are checked here, so the walk
 * reads nothing outside them; a cycle ends after as many steps as there are nodes.
 */
#include "../../runtime-min/mlcc_tree.h"

#include "proto.h"
#include "sample.h"

enum { IN_x, IN_nodes, IN_splits, IN_members, IN_roots, IN_weights, IN_targets, IN_count };
enum { TREE_average, TREE_sum, TREE_min, TREE_max, TREE_aggregates };
enum { POST_none, POST_logistic = 2 };

/* Lists of the attributes; nodes: how many there are. */
typedef struct Trees {
    uint32_t nodes, leaves, roots, missing;
    const int64_t *feature, *yes, *no, *yes_leaf, *no_leaf, *track, *target, *root;
    const Blob *split, *mode, *weight, *member;
    int64_t targets;
} Trees;

static const Blob *tensor_attr(const OpCtx *c, const char *name)
{
    const Attr *a = attr_find(c, name);
    return a && a->type == AT_t ? a->v.t.blob : NULL;
}

/* A list of as many integers as there are nodes. */
static bool node_list(const OpCtx *c, const char *name, Trees *t, const int64_t **v)
{
    uint32_t n;
    *v = attr_is(c, name, &n);
    if (*v && (!t->nodes || n == t->nodes)) {
        t->nodes = n;
        return true;
    }
    return op_error(c, NO_OPERAND, "tree-lists", "%s has %u elements, there are %u nodes", name, n, t->nodes);
}

static bool read_lists(const OpCtx *c, Trees *t)
{
    *t = (Trees){.nodes = 0};
    if (!node_list(c, "nodes_featureids", t, &t->feature) || !node_list(c, "nodes_truenodeids", t, &t->yes) ||
        !node_list(c, "nodes_falsenodeids", t, &t->no) || !node_list(c, "nodes_trueleafs", t, &t->yes_leaf) ||
        !node_list(c, "nodes_falseleafs", t, &t->no_leaf))
        return false;
    t->track = attr_is(c, "nodes_missing_value_tracks_true", &t->missing);
    t->target = attr_is(c, "leaf_targetids", &t->leaves);
    t->root = attr_is(c, "tree_roots", &t->roots);
    t->split = tensor_attr(c, "nodes_splits");
    t->mode = tensor_attr(c, "nodes_modes");
    t->weight = tensor_attr(c, "leaf_weights");
    t->member = tensor_attr(c, "membership_values");
    const bool fit = t->split && t->mode && t->weight && t->leaves && t->roots && t->split->count == t->nodes &&
                     t->mode->count == t->nodes && t->weight->count == t->leaves &&
                     (t->missing == 0 || t->missing == t->nodes);
    return fit || op_error(c, NO_OPERAND, "tree-lists", "the lists of nodes or leaves differ in length");
}

/* Sets of members end with NaN, one for each node that asks for membership. */
static bool check_members(const OpCtx *c, const Trees *t)
{
    int64_t sets = 0, asked = 0;
    for (int64_t k = 0; t->member && k < t->member->count; k++) sets += blob_f(t->member, k) != blob_f(t->member, k);
    for (uint32_t k = 0; k < t->nodes; k++) asked += blob_i(t->mode, k) == MLCC_TREE_MEMBER;
    return sets == asked || op_error(c, NO_OPERAND, "tree-members", "%lld nodes ask for membership in %lld sets",
                                     (long long)asked, (long long)sets);
}

static bool within(int64_t v, int64_t n)
{
    return v >= 0 && v < n;
}

static bool check_indices(const OpCtx *c, const Trees *t)
{
    const Expr *width = in_t(c, 0)->dim[1];
    const int64_t features = ex_is_const(width) ? width->v.i : 0;
    bool ok = true;
    for (uint32_t k = 0; k < t->nodes; k++) {
        ok = ok && within(t->yes[k], t->yes_leaf[k] ? t->leaves : t->nodes) &&
             within(t->no[k], t->no_leaf[k] ? t->leaves : t->nodes) && within(t->feature[k], features) &&
             within(blob_i(t->mode, k), MLCC_TREE_MEMBER + 1);
    }
    for (uint32_t k = 0; k < t->roots; k++) ok = ok && within(t->root[k], t->nodes);
    for (uint32_t k = 0; k < t->leaves; k++) ok = ok && within(t->target[k], t->targets);
    return ok || op_error(c, NO_OPERAND, "tree-index", "a node, leaf, feature, target or mode does not exist");
}

static bool read_trees(const OpCtx *c, Trees *t)
{
    if (!in_rank(c, 0, 2, 2) || !read_lists(c, t)) return false;
    const int64_t aggregate = attr_i(c, "aggregate_function"), post = attr_i(c, "post_transform");
    t->targets = attr_has(c, "n_targets") ? attr_i(c, "n_targets") : 1;
    if (t->targets < 1 || t->targets > INT32_MAX || aggregate < 0 || aggregate >= TREE_aggregates)
        return op_error(c, NO_OPERAND, "attribute-value", "n_targets is %lld, aggregate_function %lld",
                        (long long)t->targets, (long long)aggregate);
    if (post != POST_none && post != POST_logistic)
        return op_error(c, NO_OPERAND, "unsupported-post-transform", "post_transform %lld is not supported",
                        (long long)post);
    return check_members(c, t) && check_indices(c, t);
}

bool infer_TreeEnsemble(OpCtx *c)
{
    Trees t;
    if (!read_trees(c, &t)) return false;
    const Expr *dim[] = {in_t(c, 0)->dim[0], IX(t.targets)};
    return set_shape(c, 0, 2, dim);
}

/* ---- tables ---- */

static uint32_t table(OpCtx *c, const char *hint, DType dt, int64_t rows, int64_t columns, const void *data)
{
    const Expr *dim[] = {IX(rows), IX(columns)};
    const char *name = str_fmt(c->a, "%s.%s", out_t(c, 0)->name, hint);
    const uint32_t t = te_tensor(c->te, name, dt, TEN_const, 2, dim);
    ten(c->te, t)->data = blob_make(c->a, dt, rows * columns, data);
    return t;
}

static uint32_t reals(OpCtx *c, const char *hint, const Blob *b)
{
    const int64_t n = b ? max_i64(b->count, 1) : 1;
    double *v = NEWN(c->a, double, n);
    for (int64_t k = 0; b && k < b->count; k++) v[k] = blob_f(b, k);
    return table(c, hint, DT_f64, n, 1, v);
}

/* One row per node, in the columns of mlcc_tree.h. Nodes take the sets of members in turn. */
static uint32_t node_table(OpCtx *c, const Trees *t)
{
    int64_t *v = NEWN(c->a, int64_t, (size_t)t->nodes * MLCC_TREE_COLUMNS), member = 0;
    for (uint32_t k = 0; k < t->nodes; k++) {
        int64_t *row = v + (size_t)k * MLCC_TREE_COLUMNS;
        row[MLCC_TREE_FEATURE] = t->feature[k];
        row[MLCC_TREE_MODE] = blob_i(t->mode, k);
        row[MLCC_TREE_YES] = t->yes_leaf[k] ? ~t->yes[k] : t->yes[k];
        row[MLCC_TREE_NO] = t->no_leaf[k] ? ~t->no[k] : t->no[k];
        row[MLCC_TREE_MISSING] = t->track && t->track[k];
        row[MLCC_TREE_SET] = member;
        if (row[MLCC_TREE_MODE] != MLCC_TREE_MEMBER) continue;
        while (blob_f(t->member, member) == blob_f(t->member, member)) member++;
        member++;
    }
    return table(c, "nodes", DT_i64, t->nodes, MLCC_TREE_COLUMNS, v);
}

static uint32_t wide(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    const Expr *i[2];
    if (x->dt == DT_f64) return in_ten(c, 0);
    const uint32_t t = temp_ten(c, "wide", DT_f64, 2, x->dim);
    vars_for(c, "nf", 2, x->dim, i);
    def_map(c, t, i, CAST(DT_f64, load_at(c, in_ten(c, 0), i)));
    return t;
}

bool lower_TreeEnsemble(OpCtx *c)
{
    Trees t;
    if (!read_trees(c, &t)) return false;
    const uint32_t in[IN_count] = {
        [IN_x] = wide(c),
        [IN_nodes] = node_table(c, &t),
        [IN_splits] = reals(c, "splits", t.split),
        [IN_members] = reals(c, "members", t.member),
        [IN_roots] = table(c, "roots", DT_i64, t.roots, 1, t.root),
        [IN_weights] = reals(c, "weights", t.weight),
        [IN_targets] = table(c, "targets", DT_i64, t.leaves, 1, t.target),
    };
    const uint32_t votes = temp_ten(c, "votes", DT_f64, 2, out_t(c, 0)->dim);
    const Expr *arg = IX(attr_i(c, "aggregate_function")), *i[2];
    if (!def_call(c, "tree_ensemble", IN_count, in, 1, &votes, 1, &arg, 0, NULL)) return false;
    out_vars(c, 0, i);
    const Expr *v = load_at(c, votes, i), *one = NUM(DT_f64, 1);
    return def_map(c, out_ten(c, 0), i,
                   attr_i(c, "post_transform") == POST_logistic ? DIV(one, ADD(one, UN(exp, UN(neg, v)))) : v);
}

/* SPDX-License-Identifier: Apache-2.0
 * Nodes of old opsets. */
#include "onnx_case.h"

/* Imports one node of the opset. */
static const Graph *upgraded(Test *t, int64_t version, const Text *n)
{
    t->graph = text(t);
    t->opset = version;
    one_node(t, n);
    add_input(t, "b", 1, "3");
    add_input(t, "i", 7, "1");
    return assert_loads(t);
}

static void assert_ints(const Graph *g, const Node *n, int k, int count, const int64_t *want)
{
    assert_true(k < n->nin);
    const Tensor *t = tensor(g, n->in[k]);
    assert_int_equal(t->kind, TK_CONST);
    assert_int_equal(t->data->count, count);
    for (int i = 0; i < count; i++) assert_int_equal(blob_i(t->data, i), want[i]);
}

static void test_upgrade_lists(void **state)
{
    static const struct {
        const char *op, *attr;
        int version, input;
    } moved[] = {{"Squeeze", "axes", 12, 1},    {"Unsqueeze", "axes", 11, 1}, {"ReduceSum", "axes", 12, 1},
                 {"ReduceMean", "axes", 17, 1}, {"ReduceMax", "axes", 13, 1}, {"Split", "split", 11, 1},
                 {"Pad", "pads", 10, 1},        {"Pad", "paddings", 1, 1},    {"Reshape", "shape", 4, 1},
                 {"Slice", "starts", 9, 1},     {"Slice", "ends", 9, 2},      {"Slice", "axes", 9, 3}};
    Test *t = *state;
    for (size_t i = 0; i < COUNT(moved); i++) {
        Text n = make_node(t, moved[i].op, "x", "y");
        put_ints(&n, moved[i].attr, 2, (int64_t[]){1, 2});
        const Graph *g = upgraded(t, moved[i].version, &n);
        assert_string_equal(ops_of(t, g), moved[i].op);
        assert_null(attr_of(last_node(g), moved[i].attr));
        assert_ints(g, last_node(g), moved[i].input, 2, (int64_t[]){1, 2});
    }
}

static void test_upgrade_scalars(void **state)
{
    Test *t = *state;
    Text n = make_node(t, "Clip", "x", "y");
    put_f(&n, "max", 6.0f);
    const Graph *g = upgraded(t, 6, &n);
    assert_string_equal(ops_of(t, g), "Clip");
    assert_true(is_none(last_node(g)->in[1]));
    assert_true(blob_f(tensor(g, last_node(g)->in[2])->data, 0) == 6.0);
    n = make_node(t, "TopK", "x", "y,z");
    put_i(&n, "k", 3);
    g = upgraded(t, 9, &n);
    assert_ints(g, last_node(g), 1, 1, (int64_t[]){3});
    n = make_node(t, "Split", "x", "y,z,w");
    g = upgraded(t, 13, &n);
    assert_int_equal(attr_of(last_node(g), "num_outputs")->v.i, 3);
    n = make_node(t, "Concat", "x,x", "y");
    g = upgraded(t, 3, &n);
    assert_int_equal(attr_of(last_node(g), "axis")->v.i, 1);
    n = make_node(t, "Cast", "x", "y");
    put_s(&n, "to", "DOUBLE");
    g = upgraded(t, 5, &n);
    assert_int_equal(attr_of(last_node(g), "to")->v.i, 11);
    n = make_node(t, "Relu", "x", "y");
    put_ints(&n, "consumed_inputs", 1, (int64_t[]){0});
    g = upgraded(t, 1, &n);
    assert_int_equal(last_node(g)->nattr, 0);
}

static void test_upgrade_softmax(void **state)
{
    static const char *const op[] = {"Softmax", "LogSoftmax", "Hardmax"};
    Test *t = *state;
    for (size_t i = 0; i < COUNT(op); i++) {
        Text n = make_node(t, op[i], "x", "y");
        put_i(&n, "axis", 2);
        const Graph *g = upgraded(t, 11, &n);
        assert_string_equal(ops_of(t, g), str_fmt(t->a, "Shape Flatten %s Reshape", op[i]));
        assert_int_equal(attr_of(node(g, g->order.at[1]), "axis")->v.i, 2);
        assert_int_equal(attr_of(node(g, g->order.at[2]), "axis")->v.i, -1);
        assert_string_equal(ops_of(t, upgraded(t, 13, &n)), op[i]);
    }
}

static void test_upgrade_broadcast(void **state)
{
    Test *t = *state;
    Text n = make_node(t, "Add", "x,b", "y");
    put_i(&n, "broadcast", 1);
    const Graph *g = upgraded(t, 6, &n);
    assert_string_equal(ops_of(t, g), "Add");
    assert_int_equal(last_node(g)->nattr, 0);
    put_i(&n, "axis", 1);
    g = upgraded(t, 6, &n);
    assert_string_equal(tensor(g, last_node(g)->in[0])->name, "x");
    assert_string_equal(node(g, tensor(g, last_node(g)->in[1])->producer)->op->name, "Reshape");
    assert_int_equal(last_node(g)->nattr, 0);
}

static void test_upgrade_resize(void **state)
{
    Test *t = *state;
    Text n = make_node(t, "Upsample", "x", "y"), body = text(t);
    for (int i = 0; i < 4; i++) pb_float(&body, ATTR_floats, i < 2 ? 1.0f : 2.0f);
    put_attr(&n, "scales", 6, &body);
    put_s(&n, "mode", "linear");
    const Graph *g = upgraded(t, 7, &n);
    assert_string_equal(ops_of(t, g), "Resize");
    const Node *r = last_node(g);
    assert_int_equal(r->nin, 3);
    assert_true(is_none(r->in[1]));
    assert_true(blob_f(tensor(g, r->in[2])->data, 3) == 2.0);
    assert_string_equal(attr_of(r, "coordinate_transformation_mode")->v.s, "asymmetric");
    assert_string_equal(attr_of(r, "nearest_mode")->v.s, "floor");
    assert_string_equal(attr_of(r, "mode")->v.s, "linear");
}

static void test_upgrade_training(void **state)
{
    Test *t = *state;
    Text n = make_node(t, "Dropout", "x", "y");
    put_f(&n, "ratio", 0.5f);
    const Graph *g = upgraded(t, 7, &n);
    assert_int_equal(last_node(g)->nattr, 0);
    assert_false(has_slug(t, "training-mode"));
    put_i(&n, "is_test", 1);
    upgraded(t, 6, &n);
    assert_false(has_slug(t, "training-mode"));
    n = make_node(t, "Dropout", "x", "y");
    upgraded(t, 6, &n);
    assert_slug(t, "training-mode");
    n = make_node(t, "BatchNormalization", "x,b,b,b,b", "y");
    put_i(&n, "spatial", 0);
    g = upgraded(t, 7, &n);
    assert_string_equal(ops_of(t, g), "Add Sqrt Sub Div Mul Add");
    n = make_node(t, "BatchNormalization", "x,b,b,b,b", "y,m,v");
    g = upgraded(t, 9, &n);
    assert_int_equal(attr_of(last_node(g), "training_mode")->v.i, 1);
}

static void test_upgrade_groups(void **state)
{
    Test *t = *state;
    Text n = make_node(t, "GroupNormalization", "x,b,b", "y");
    put_i(&n, "num_groups", 3);
    const Graph *g = upgraded(t, 18, &n);
    assert_string_equal(ops_of(t, g),
                        "Shape Div Concat Unsqueeze Expand Reshape Unsqueeze Expand Reshape GroupNormalization");
    assert_string_equal(ops_of(t, upgraded(t, 21, &n)), "GroupNormalization");
    n = make_node(t, "Tile", "x,i,i", "y");
    g = upgraded(t, 5, &n);
    assert_int_equal(last_node(g)->nin, 2);
    assert_string_equal(node(g, tensor(g, last_node(g)->in[1])->producer)->op->name, "ScatterElements");
}

/* Scan-8 over a batch becomes a Scan in a Scan. */
/* Needs a row for Scan; without one the importer refuses the model before it looks inside. */
static void test_upgrade_scan(void **state)
{
    Test *t = *state;
    if (!op_find("", "Scan")) skip();
    Text body = text(t), n = make_node(t, "Identity", "p", "q"), v = value_info(t, "p", 1, NULL), o = text(t);
    pb_msg(&body, GRAPH_node, &n);
    pb_msg(&body, GRAPH_input, &v);
    pb_str(&o, 1, "q");
    pb_msg(&body, GRAPH_output, &o);
    Text scan = make_node(t, "Scan", ",x", "y"), attr = wrap(t, ATTR_g, &body);
    put_attr(&scan, "body", 5, &attr);
    put_i(&scan, "num_scan_inputs", 1);
    put_ints(&scan, "directions", 1, (int64_t[]){1});
    const Graph *g = upgraded(t, 8, &scan);
    assert_string_equal(ops_of(t, g), "Scan");
    assert_int_equal(last_node(g)->nin, 1);
    assert_null(attr_of(last_node(g), "scan_input_directions"));
    const Graph *sample = attr_of(last_node(g), "body")->v.g;
    assert_string_equal(ops_of(t, sample), "Scan");
    assert_int_equal(attr_of(last_node(sample), "scan_input_directions")->v.is[0], 1);
    assert_string_equal(ops_of(t, attr_of(last_node(sample), "body")->v.g), "Identity");
    scan = make_node(t, "Scan", "i,x", "y");
    put_attr(&scan, "body", 5, &attr);
    t->graph = text(t);
    one_node(t, &scan);
    add_input(t, "i", 7, "1");
    assert_refused(t, "unsupported-scan");
}

/* One tensor that cannot be read is one diagnostic, not one for each node that uses it. */
static void test_no_cascade(void **state)
{
    Test *t = *state;
    Text c = make_tensor(t, "c", 1, 1, (int64_t[]){4});
    pb_msg(&t->graph, GRAPH_initializer, &c);
    add_input(t, "x", 1, "4");
    add_input(t, "c", 1, "4");
    add_output(t, "y");
    add_op(t, "Add", "x,c", "y");
    assert_refused(t, "tensor-size");
    assert_int_equal(t->diags.errors, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_upgrade_lists),
        TEST(test_upgrade_scalars),
        TEST(test_upgrade_softmax),
        TEST(test_upgrade_broadcast),
        TEST(test_upgrade_resize),
        TEST(test_upgrade_training),
        TEST(test_upgrade_groups),
        TEST(test_upgrade_scan),
        TEST(test_no_cascade),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

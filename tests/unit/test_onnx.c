/* SPDX-License-Identifier: Apache-2.0
 * Models as a whole: their nodes, options, versions, and bytes that are none. */
#include "onnx_case.h"

static void test_small_model(void **state)
{
    Test *t = *state;
    add_input(t, "x", 1, "n,3,-");
    add_input(t, "w", 10, "n,0,-5");
    add_output(t, "y");
    add_op(t, "Relu", "s", "y"); /* before its producer: mlcc sorts */
    add_op(t, "Add", "x,x", "s");
    const Graph *g = assert_loads(t);
    assert_string_equal(ops_of(t, g), "Add Relu");
    assert_int_equal(g->input.n, 2);
    const Tensor *x = named(g, "x"), *w = named(g, "w");
    assert_int_equal(w->dt, DT_f16);
    assert_ptr_equal(x->dim[0], w->dim[0]); /* one name, one symbol */
    assert_ptr_equal(x->dim[0], graph_symbol(&t->cx, "n", 0, 0));
    assert_ptr_equal(x->dim[2], graph_symbol(&t->cx, "x.2", 0, 0));
    assert_ptr_equal(w->dim[2], graph_symbol(&t->cx, "w.2", 0, 0)); /* a negative number says nothing */
    assert_true(ex_is_int(w->dim[1], 0));
    assert_int_equal(t->info.opset, ONNX_OPSET);
    assert_int_equal(t->info.files.n, 1);
    assert_int_equal(strlen(t->info.sha256), 64);
}

static void test_options(void **state)
{
    Test *t = *state;
    add_input(t, "x", 1, "n,m");
    add_input(t, "v", 1, NULL);
    add_output(t, "x");
    PUSH(t->a, &t->opt.pin, ((OnnxPin){.name = "n", .fixed = 7}));
    PUSH(t->a, &t->opt.pin, ((OnnxPin){.name = "m", .max = 99, .times = 10}));
    PUSH(t->a, &t->opt.pin, ((OnnxPin){.name = "v.1", .max = 8}));
    PUSH(t->a, &t->opt.shape, ((OnnxShape){"v", 2, {4, -1}}));
    const Graph *g = assert_loads(t);
    assert_true(ex_is_int(named(g, "x")->dim[0], 7));
    assert_int_equal(ex_upper(t->cx.x, named(g, "x")->dim[1]), 90);
    assert_true(ex_is_int(ex_mod(t->cx.x, named(g, "x")->dim[1], ex_int(t->cx.x, 10)), 0));
    assert_int_equal(named(g, "v")->rank, 2);
    assert_true(ex_is_int(named(g, "v")->dim[0], 4));
    assert_int_equal(ex_upper(t->cx.x, named(g, "v")->dim[1]), 8);
    PUSH(t->a, &t->opt.pin, ((OnnxPin){.name = "k", .fixed = 7}));
    assert_refused(t, "symbol-option");
    t->opt.pin.n--;
    PUSH(t->a, &t->opt.shape, ((OnnxShape){"z", 0, {0}}));
    assert_refused(t, "shape-option");
}

static void test_initializer_is_constant(void **state)
{
    Test *t = *state;
    add_input(t, "x", 1, "2");
    add_input(t, "w", 1, "2"); /* listed as an input too, as before IR version 4 */
    Text w = make_tensor(t, "w", 1, 1, (int64_t[]){2});
    pb_data(&w, TENSOR_raw, "\0\0\x80?\0\0\0@", 8);
    pb_msg(&t->graph, GRAPH_initializer, &w);
    add_output(t, "y");
    add_op(t, "Add", "x,w", "y");
    const Graph *g = assert_loads(t);
    assert_int_equal(g->input.n, 1);
    assert_int_equal(named(g, "w")->kind, TK_CONST);
    assert_true(blob_f(named(g, "w")->data, 1) == 2.0);
}

static void test_bind(void **state)
{
    Test *t = *state;
    add_input(t, "x", 1, "2");
    add_input(t, "k", 7, "n");
    add_output(t, "x");
    const TensorValue v = {DT_i64, 1, {3}, blob_make(t->a, DT_i64, 3, (int64_t[]){5, 6, 7})};
    Text npy = text(t), pb = text(t);
    npy_write(&npy, &v);
    pb_write(&pb, "k", &v);
    write_file(path_in(t, "k.npy"), npy.at, npy.n);
    write_file(path_in(t, "k.pb"), pb.at, pb.n);
    const char *const file[] = {"k.npy", "k.pb"};
    for (size_t i = 0; i < COUNT(file); i++) {
        t->opt.bind.n = 0;
        PUSH(t->a, &t->opt.bind, ((OnnxBind){"k", path_in(t, file[i])}));
        const Graph *g = assert_loads(t);
        assert_int_equal(g->input.n, 1);
        assert_int_equal(named(g, "k")->kind, TK_CONST);
        assert_int_equal(blob_i(named(g, "k")->data, 2), 7);
        assert_int_equal(t->info.files.n, 2);
    }
    t->opt.bind.at[0].name = "x";
    assert_refused(t, "value-type");
}

static void test_rejections(void **state)
{
    static const struct {
        const char *in, *out, *op, *slug;
    } bad[] = {{"x,q", "y", "Add", "missing-input"}, {"x", "x", "Relu", "duplicate-name"},
               {"y", "y", "Relu", "graph-cycle"},    {"x", "y", "Frobnicate", "unsupported-op"},
               {"x", "z", "Relu", "missing-output"}, {"x", "y,y", "Relu", "duplicate-name"}};
    Test *t = *state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        t->graph = text(t);
        forget(t);
        add_input(t, "x", 1, "2");
        add_output(t, "y");
        add_op(t, bad[i].op, bad[i].in, bad[i].out);
        assert_refused(t, bad[i].slug);
    }
}

static void test_every_unsupported_op(void **state)
{
    Test *t = *state;
    add_input(t, "x", 1, "2");
    add_output(t, "x");
    add_op(t, "Alpha", "x", "a");
    add_op(t, "Beta", "x", "b");
    assert_null(load(t));
    assert_int_equal(t->diags.errors, 2);
    assert_non_null(strstr(t->diags.list.at[1].text, "Beta of domain 'ai.onnx', opset 27, is not supported"));
}

static void test_versions(void **state)
{
    Test *t = *state;
    add_input(t, "x", 1, "2");
    add_output(t, "y");
    add_op(t, "Relu", "x", "y");
    t->opset = INT64_MAX;
    assert_refused(t, "opset");
    t->opset = 0;
    assert_refused(t, "opset");
    t->opset = ONNX_OPSET;
    t->ir = ONNX_IR_VERSION + 1;
    assert_refused(t, "ir-version");
    t->ir = 0;
    assert_refused(t, "ir-version");
    t->ir = 4;
    assert_non_null(load(t));
    Text m = text(t); /* no opset at all: allowed before IR version 3 */
    pb_msg(&m, MODEL_graph, &t->graph);
    pb_int(&m, MODEL_ir_version, 2);
    assert_non_null(load_bytes(t, m.at, m.n));
    pb_int(&m, MODEL_ir_version, 3);
    forget(t);
    assert_null(load_bytes(t, m.at, m.n));
    assert_slug(t, "opset");
}

static void test_not_a_model(void **state)
{
    Test *t = *state;
    assert_null(load_bytes(t, "", 0));
    assert_slug(t, "ir-version");
    assert_null(load_bytes(t, "GIF89a, and more", 16));
    assert_slug(t, "onnx-format");
    assert_false(t->io_error);
    t->model = path_in(t, "none.onnx");
    assert_null(onnx_load(&t->cx, t->model, &t->opt, &t->info, &t->maps, &t->io_error));
    assert_true(t->io_error);
    t->model = t->dir;
    assert_null(onnx_load(&t->cx, t->model, &t->opt, &t->info, &t->maps, &t->io_error));
    assert_true(t->io_error);
    t->model = path_in(t, "model.onnx");
    add_input(t, "x", 1, "2");
    assert_refused(t, "empty-graph");
    pb_data(&t->graph, GRAPH_name, "a\0b", 3);
    forget(t);
    assert_refused(t, "onnx-format");
}

static void test_nested_subgraphs(void **state)
{
    Test *t = *state;
    Text g = text(t);
    for (int i = 0; i < 3000; i++) {
        g = wrap(t, ATTR_g, &g);
        g = wrap(t, NODE_attribute, &g);
        g = wrap(t, GRAPH_node, &g);
    }
    t->graph = g;
    assert_refused(t, "limit");
}

static void test_amplification(void **state)
{
    Test *t = *state;
    for (int i = 0; i < 5000000; i++) text_put(&t->graph, "\x2a\x00", 2); /* an empty initializer */
    assert_refused(t, "limit");
    assert_true(arena_used(t->a) < 100 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_small_model),
        TEST(test_options),
        TEST(test_initializer_is_constant),
        TEST(test_bind),
        TEST(test_rejections),
        TEST(test_every_unsupported_op),
        TEST(test_versions),
        TEST(test_not_a_model),
        TEST(test_nested_subgraphs),
        TEST(test_amplification),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

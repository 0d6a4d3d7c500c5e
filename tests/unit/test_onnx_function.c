/* SPDX-License-Identifier: Apache-2.0
 * Functions of a model, put in place, and subgraphs. */
#include "onnx_case.h"

static Text make_function(Test *t, const char *name, const char *in, const char *out)
{
    Text f = text(t), o = opset(t, "", 13), own = opset(t, "f", 1);
    pb_str(&f, FUNCTION_name, name);
    pb_str(&f, FUNCTION_domain, "f");
    put_names(t, &f, FUNCTION_input, in);
    put_names(t, &f, FUNCTION_output, out);
    pb_msg(&f, FUNCTION_opset_import, &o);
    pb_msg(&f, FUNCTION_opset_import, &own);
    return f;
}

static void call_function(Test *t, const char *name, const char *in, const char *out, Text *n)
{
    *n = make_node(t, name, in, out);
    pb_str(n, NODE_domain, "f");
}

static void use_functions(Test *t)
{
    Text o = opset(t, "f", 1);
    pb_msg(&t->tail, MODEL_opset_import, &o);
}

/* g(p, a = 2): Selu(Elu(p, alpha = a)); h(p): g(g(p), a = 3), with locals called like tensors of the model. */
static void test_functions(void **state)
{
    Test *t = *state;
    Text g = make_function(t, "g", "p", "q"), n = make_node(t, "Elu", "p", "x"), dflt = text(t);
    put_ref(&n, "alpha", 1, "a");
    pb_msg(&g, FUNCTION_node, &n);
    n = make_node(t, "Selu", "x", "q");
    put_ref(&n, "gamma", 1, "nobody");
    pb_msg(&g, FUNCTION_node, &n);
    pb_str(&dflt, ATTR_name, "a");
    pb_int(&dflt, ATTR_type, 1);
    pb_float(&dflt, ATTR_f, 2.0f);
    pb_msg(&g, FUNCTION_attribute_proto, &dflt);
    Text h = make_function(t, "h", "p", "q");
    call_function(t, "g", "p", "y", &n);
    pb_msg(&h, FUNCTION_node, &n);
    call_function(t, "g", "y", "q", &n);
    put_f(&n, "a", 3.0f);
    pb_msg(&h, FUNCTION_node, &n);
    pb_msg(&t->tail, MODEL_functions, &g);
    pb_msg(&t->tail, MODEL_functions, &h);
    use_functions(t);
    add_input(t, "x", 1, "2");
    add_output(t, "y");
    call_function(t, "h", "x", "y", &n);
    add_node(t, &n);
    const Graph *gr = assert_loads(t);
    assert_string_equal(ops_of(t, gr), "Elu Selu Elu Selu");
    assert_true(attr_of(node(gr, gr->order.at[0]), "alpha")->v.f == 2.0);
    assert_true(attr_of(node(gr, gr->order.at[2]), "alpha")->v.f == 3.0);
    assert_null(attr_of(node(gr, gr->order.at[1]), "gamma"));
    assert_string_equal(tensor(gr, last_node(gr)->out[0])->name, "y");
    assert_string_equal(tensor(gr, node(gr, gr->order.at[0])->in[0])->name, "x");
}

/* An output that is an input needs a node; an optional input that is not given is absent inside too. */
static void test_function_operands(void **state)
{
    Test *t = *state;
    Text f = make_function(t, "f", "p,lo,hi", "p,q"), n = make_node(t, "Clip", "p,lo,hi", "q");
    pb_msg(&f, FUNCTION_node, &n);
    pb_msg(&t->tail, MODEL_functions, &f);
    use_functions(t);
    add_input(t, "x", 1, "2");
    add_input(t, "m", 1, "");
    add_output(t, "y");
    add_output(t, "z");
    call_function(t, "f", "x,,m", "y,z", &n);
    add_node(t, &n);
    const Graph *g = assert_loads(t);
    assert_string_equal(ops_of(t, g), "Clip Identity");
    const Node *clip = node(g, g->order.at[0]);
    assert_int_equal(clip->nin, 3);
    assert_true(is_none(clip->in[1]));
    assert_string_equal(tensor(g, clip->in[2])->name, "m");
}

static void test_function_rejections(void **state)
{
    Test *t = *state;
    Text n, f = make_function(t, "f", "p", "q"), g = make_function(t, "g", "p", "q"),
            e = make_function(t, "e", "p", "q");
    call_function(t, "g", "p", "q", &n);
    pb_msg(&f, FUNCTION_node, &n);
    call_function(t, "f", "p", "q", &n);
    pb_msg(&g, FUNCTION_node, &n);
    pb_msg(&t->tail, MODEL_functions, &f);
    pb_msg(&t->tail, MODEL_functions, &g);
    pb_msg(&t->tail, MODEL_functions, &e);
    use_functions(t);
    const char *const name[] = {"f", "e"}; /* f and g call each other; e defines no result */
    for (size_t i = 0; i < COUNT(name); i++) {
        t->graph = text(t);
        forget(t);
        add_input(t, "x", 1, "2");
        add_output(t, "y");
        call_function(t, name[i], "x", "y", &n);
        add_node(t, &n);
        assert_refused(t, "function");
    }
    pb_msg(&t->tail, MODEL_functions, &e); /* again */
    forget(t);
    assert_refused(t, "function");
}

/* 40 functions that each call the one before twice. */
static void test_function_explosion(void **state)
{
    Test *t = *state;
    use_functions(t);
    for (int i = 0; i < 40; i++) {
        Text f = make_function(t, str_fmt(t->a, "f%d", i), "p", "q"), n;
        if (i == 0)
            n = make_node(t, "Relu", "p", "m");
        else
            call_function(t, str_fmt(t->a, "f%d", i - 1), "p", "m", &n);
        pb_msg(&f, FUNCTION_node, &n);
        if (i == 0)
            n = make_node(t, "Relu", "m", "q");
        else
            call_function(t, str_fmt(t->a, "f%d", i - 1), "m", "q", &n);
        pb_msg(&f, FUNCTION_node, &n);
        pb_msg(&t->tail, MODEL_functions, &f);
    }
    Text n;
    add_input(t, "x", 1, "2");
    add_output(t, "y");
    call_function(t, "f39", "x", "y", &n);
    add_node(t, &n);
    t->opt.max_nodes = 10000;
    assert_refused(t, "limit");
}

/* If whose branches use outer tensors, one of them hiding an outer name. */
/* Needs a row for If; without one the importer refuses the model before it looks inside. */
static void test_subgraphs(void **state)
{
    Test *t = *state;
    if (!op_find("", "If")) skip();
    Text then = text(t), other = text(t), n = make_node(t, "Relu", "x", "t"), v = text(t);
    pb_msg(&then, GRAPH_node, &n);
    pb_str(&v, 1, "t");
    pb_msg(&then, GRAPH_output, &v);
    n = make_node(t, "Neg", "s", "x");
    pb_msg(&other, GRAPH_node, &n);
    v = text(t);
    pb_str(&v, 1, "x");
    pb_msg(&other, GRAPH_output, &v);
    Text node_if = make_node(t, "If", "c", "y"), b1 = wrap(t, ATTR_g, &then), b2 = wrap(t, ATTR_g, &other);
    put_attr(&node_if, "then_branch", 5, &b1);
    put_attr(&node_if, "else_branch", 5, &b2);
    add_input(t, "x", 1, "2");
    add_input(t, "c", 9, "");
    add_output(t, "y");
    add_node(t, &node_if); /* before the producer of what a branch uses */
    add_op(t, "Abs", "x", "s");
    const Graph *g = assert_loads(t);
    assert_string_equal(ops_of(t, g), "Abs If");
    const Graph *sub = attr_of(last_node(g), "then_branch")->v.g;
    assert_ptr_equal(sub->parent, g);
    assert_string_equal(tensor(sub, node(sub, sub->order.at[0])->in[0])->name, "x");
    sub = attr_of(last_node(g), "else_branch")->v.g;
    assert_string_equal(tensor(sub, node(sub, sub->order.at[0])->in[0])->name, "s");
    assert_string_not_equal(tensor(sub, sub->output.at[0])->name, "x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_functions),
        TEST(test_function_operands),
        TEST(test_function_rejections),
        TEST(test_function_explosion),
        TEST(test_subgraphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

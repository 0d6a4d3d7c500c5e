/* SPDX-License-Identifier: Apache-2.0
 *
 * The importer: models written byte by byte, what becomes of them, and what is refused with which diagnostic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compiler/import.h"
#include "compiler/sha256.h"
#include "pb.h"

typedef struct Test {
    Arena *a;
    Diags diags;
    Ctx cx;
    OnnxOptions opt;
    OnnxFile info;
    Maps *maps;
    bool io_error;
    char dir[32];
    const char *model; /* path of the model file */
    Text graph, tail;  /* of the model: the graph, and fields that follow it */
    int64_t opset, ir;
    jmp_buf oom;
} Test;

static const char *path_in(Test *t, const char *name)
{
    return str_fmt(t->a, "%s/%s", t->dir, name);
}

static void write_file(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    fclose(f);
}

static int set_up(void **state)
{
    Test *t = calloc(1, sizeof *t);
    t->a = arena_new((size_t)2 << 30, &t->oom);
    t->diags = (Diags){.arena = t->a, .file = "test"};
    t->cx = (Ctx){.arena = t->a, .diags = &t->diags, .default_max = 4096};
    t->cx.x = exprs_new(t->a);
    t->cx.symbol.arena = t->a;
    t->graph = t->tail = (Text){.arena = t->a};
    t->opset = ONNX_OPSET;
    t->ir = 10;
    strcpy(t->dir, "/tmp/mlcc-test-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    t->model = path_in(t, "model.onnx");
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    Test *t = *state;
    onnx_unmap(t->maps);
    const char *cmd = str_fmt(t->a, "rm -rf '%s'", t->dir);
    const int rc = system(cmd);
    arena_free(t->a);
    free(t);
    return rc;
}

static Text text(Test *t)
{
    return (Text){.arena = t->a};
}

/* Imports the bytes. */
static Graph *load_bytes(Test *t, const void *p, size_t n)
{
    onnx_unmap(t->maps);
    write_file(t->model, p, n);
    return onnx_load(&t->cx, t->model, &t->opt, &t->info, &t->maps, &t->io_error);
}

static Text opset(Test *t, const char *domain, int64_t version)
{
    Text o = text(t);
    pb_str(&o, OPSET_domain, domain);
    pb_int(&o, OPSET_version, version);
    return o;
}

/* Imports the model whose graph is t->graph. */
static Graph *load(Test *t)
{
    Text m = text(t), o = opset(t, "", t->opset);
    pb_int(&m, MODEL_ir_version, t->ir);
    pb_msg(&m, MODEL_graph, &t->graph);
    pb_msg(&m, MODEL_opset_import, &o);
    text_put(&m, t->tail.at, t->tail.n);
    return load_bytes(t, m.at, m.n);
}

static bool has_slug(const Test *t, const char *slug)
{
    for (uint32_t i = 0; i < t->diags.list.n; i++) {
        if (strcmp(t->diags.list.at[i].slug, slug) == 0) return true;
    }
    return false;
}

static void forget(Test *t)
{
    t->diags.list.n = t->diags.errors = t->diags.warnings = 0;
}

static void print_diags(Test *t)
{
    Text out = text(t);
    diag_print(&t->diags, &out, "text");
    print_message("%s\n", text_str(&out));
}

static void assert_slug(Test *t, const char *slug)
{
    if (!has_slug(t, slug)) {
        print_diags(t);
        fail_msg("no diagnostic '%s'", slug);
    }
}

static void assert_refused(Test *t, const char *slug)
{
    assert_null(load(t));
    assert_slug(t, slug);
}

static Graph *assert_loads(Test *t)
{
    Graph *g = load(t);
    if (!g) print_diags(t);
    assert_non_null(g);
    assert_null(graph_verify(t->a, g));
    return g;
}

/* dims: text such as "2,n,-" (a number, a name, nothing); NULL: no shape. */
static Text value_info(Test *t, const char *name, int type, const char *dims)
{
    Text v = text(t), ty = text(t), te = text(t), sh = text(t);
    for (const char *p = dims; p && *p; p += strcspn(p, ",") + (p[strcspn(p, ",")] == ',')) {
        Text d = text(t);
        if ((*p >= '0' && *p <= '9') || (*p == '-' && p[1] >= '1' && p[1] <= '9'))
            pb_int(&d, 1, strtoll(p, NULL, 10));
        else if (*p != '-')
            pb_str(&d, 2, str_ndup(t->a, p, strcspn(p, ",")));
        pb_msg(&sh, 1, &d);
    }
    pb_int(&te, 1, type);
    if (dims) pb_msg(&te, 2, &sh);
    pb_msg(&ty, 1, &te);
    pb_str(&v, 1, name);
    pb_msg(&v, 2, &ty);
    return v;
}

static void add_input(Test *t, const char *name, int type, const char *dims)
{
    Text v = value_info(t, name, type, dims);
    pb_msg(&t->graph, GRAPH_input, &v);
}

static void add_output(Test *t, const char *name)
{
    Text v = text(t);
    pb_str(&v, 1, name);
    pb_msg(&t->graph, GRAPH_output, &v);
}

/* in, out: names separated by commas. */
static void put_names(Test *t, Text *to, unsigned field, const char *names)
{
    for (const char *p = names;; p++) {
        const size_t n = strcspn(p, ",");
        pb_str(to, field, str_ndup(t->a, p, n));
        p += n;
        if (!*p) return;
    }
}

static Text make_node(Test *t, const char *op, const char *in, const char *out)
{
    Text n = text(t);
    if (in) put_names(t, &n, NODE_input, in);
    if (out) put_names(t, &n, NODE_output, out);
    pb_str(&n, NODE_op_type, op);
    return n;
}

static void put_attr(Text *n, const char *name, int type, const Text *body)
{
    Text a = {.arena = n->arena};
    pb_str(&a, ATTR_name, name);
    pb_int(&a, ATTR_type, type);
    text_put(&a, body->at, body->n);
    pb_msg(n, NODE_attribute, &a);
}

static void put_i(Text *n, const char *name, int64_t v)
{
    Text b = {.arena = n->arena};
    pb_int(&b, ATTR_i, v);
    put_attr(n, name, 2, &b);
}

static void put_f(Text *n, const char *name, float v)
{
    Text b = {.arena = n->arena};
    pb_float(&b, ATTR_f, v);
    put_attr(n, name, 1, &b);
}

static void put_s(Text *n, const char *name, const char *v)
{
    Text b = {.arena = n->arena};
    pb_str(&b, ATTR_s, v);
    put_attr(n, name, 3, &b);
}

static void put_ints(Text *n, const char *name, int count, const int64_t *v)
{
    Text b = {.arena = n->arena};
    for (int i = 0; i < count; i++) pb_int(&b, ATTR_ints, v[i]);
    put_attr(n, name, 7, &b);
}

static void put_ref(Text *n, const char *name, int type, const char *ref)
{
    Text b = {.arena = n->arena};
    pb_str(&b, ATTR_ref, ref);
    put_attr(n, name, type, &b);
}

static void add_node(Test *t, const Text *n)
{
    pb_msg(&t->graph, GRAPH_node, n);
}

static void add_op(Test *t, const char *op, const char *in, const char *out)
{
    Text n = make_node(t, op, in, out);
    add_node(t, &n);
}

/* A model of one node of x (and what init holds) to y. */
static void one_node(Test *t, const Text *n)
{
    add_input(t, "x", 1, "2,3,4,5");
    add_output(t, "y");
    add_node(t, n);
}

static Text make_tensor(Test *t, const char *name, int type, int rank, const int64_t *dim)
{
    Text v = text(t);
    for (int i = 0; i < rank; i++) pb_int(&v, TENSOR_dims, dim[i]);
    pb_int(&v, TENSOR_type, type);
    pb_str(&v, TENSOR_name, name);
    return v;
}

/* Names of the operators in order, of constants only the count: "Shape Flatten Softmax Reshape". */
static const char *ops_of(Test *t, const Graph *g)
{
    Text s = text(t);
    for (uint32_t i = 0; i < g->order.n; i++) text_add(&s, "%s%s", i ? " " : "", node(g, g->order.at[i])->op->name);
    return text_str(&s);
}

static const Tensor *named(const Graph *g, const char *name)
{
    const TensorId id = graph_find(g, name);
    assert_int_not_equal(id.i, 0);
    return tensor(g, id);
}

static const Attr *attr_of(const Node *n, const char *name)
{
    for (uint16_t i = 0; i < n->nattr; i++) {
        if (strcmp(n->attr[i].name, name) == 0) return &n->attr[i];
    }
    return NULL;
}

static const Node *last_node(const Graph *g)
{
    return node(g, g->order.at[g->order.n - 1]);
}

/* ---- graphs ---- */

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
    PUSH(t->a, &t->opt.shape, ((OnnxShape){"v", 2, {4, -1}}));
    const Graph *g = assert_loads(t);
    assert_true(ex_is_int(named(g, "x")->dim[0], 7));
    assert_int_equal(ex_upper(t->cx.x, named(g, "x")->dim[1]), 90);
    assert_true(ex_is_int(ex_mod(t->cx.x, named(g, "x")->dim[1], ex_int(t->cx.x, 10)), 0));
    assert_int_equal(named(g, "v")->rank, 2);
    assert_true(ex_is_int(named(g, "v")->dim[0], 4));
    assert_false(ex_is_const(named(g, "v")->dim[1]));
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

static Text wrap(Test *t, unsigned field, const Text *m)
{
    Text w = text(t);
    pb_msg(&w, field, m);
    return w;
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

/* ---- constants ---- */

static const Blob *constant(Test *t, const Text *attr_body, int type, const char *name, TensorValue *v)
{
    t->graph = text(t);
    Text n = make_node(t, "Constant", NULL, "c");
    put_attr(&n, name, type, attr_body);
    add_node(t, &n);
    add_output(t, "c");
    const Graph *g = assert_loads(t);
    assert_int_equal(g->order.n, 0);
    const Tensor *c = named(g, "c");
    assert_int_equal(c->kind, TK_CONST);
    *v = (TensorValue){.dt = c->dt, .rank = c->rank, .blob = c->data};
    for (int d = 0; d < c->rank; d++) v->dim[d] = c->dim[d]->v.i;
    return c->data;
}

static void test_constant_forms(void **state)
{
    Test *t = *state;
    TensorValue v;
    Text b = text(t);
    pb_int(&b, ATTR_i, -3);
    assert_int_equal(blob_i(constant(t, &b, 2, "value_int", &v), 0), -3);
    assert_true(v.dt == DT_i64 && v.rank == 0);
    b = text(t);
    pb_int(&b, ATTR_ints, 4);
    pb_int(&b, ATTR_ints, 5);
    assert_int_equal(blob_i(constant(t, &b, 7, "value_ints", &v), 1), 5);
    assert_true(v.dt == DT_i64 && v.rank == 1 && v.dim[0] == 2);
    b = text(t);
    pb_float(&b, ATTR_floats, 0.5f);
    assert_true(blob_f(constant(t, &b, 6, "value_floats", &v), 0) == 0.5);
    assert_true(v.dt == DT_f32 && v.rank == 1 && v.dim[0] == 1);
    b = text(t);
    pb_float(&b, ATTR_f, 2.5f);
    assert_true(blob_f(constant(t, &b, 1, "value_float", &v), 0) == 2.5 && v.rank == 0);
    b = text(t);
    pb_str(&b, ATTR_strings, "p");
    pb_str(&b, ATTR_strings, "q");
    const char *s;
    blob_get(constant(t, &b, 8, "value_strings", &v), 1, 1, &s);
    assert_string_equal(s, "q");
    b = text(t);
    pb_str(&b, ATTR_s, "one");
    blob_get(constant(t, &b, 3, "value_string", &v), 0, 1, &s);
    assert_string_equal(s, "one");
    assert_int_equal(v.rank, 0);
}

static Text sparse(Test *t, int64_t index, const int64_t *dim)
{
    Text s = text(t), values = make_tensor(t, "c", 1, 1, (int64_t[]){1}),
         indices = make_tensor(t, "", 7, 1, (int64_t[]){1});
    pb_data(&values, TENSOR_float, "\0\0\x80?", 4);
    pb_data(&indices, TENSOR_raw, &index, 8);
    pb_msg(&s, 1, &values);
    pb_msg(&s, 2, &indices);
    pb_int(&s, 3, dim[0]);
    pb_int(&s, 3, dim[1]);
    return s;
}

static void test_sparse(void **state)
{
    Test *t = *state;
    TensorValue v;
    Text s = sparse(t, 4, (int64_t[]){2, 3}), b = wrap(t, ATTR_sparse, &s);
    const Blob *c = constant(t, &b, 11, "sparse_value", &v);
    assert_true(v.rank == 2 && v.dim[0] == 2 && v.dim[1] == 3);
    for (int64_t i = 0; i < 6; i++) assert_true(blob_f(c, i) == (i == 4 ? 1.0 : 0.0));
    static const struct {
        int64_t index, dim[2];
        const char *slug;
    } bad[] = {{6, {2, 3}, "tensor-size"},
               {-1, {2, 3}, "tensor-size"},
               {0, {1 << 20, 1 << 20}, "limit"},
               {0, {INT64_MAX, INT64_MAX}, "tensor-size"},
               {0, {-2, -3}, "tensor-size"}};
    for (size_t i = 0; i < COUNT(bad); i++) {
        t->graph = text(t);
        forget(t);
        s = sparse(t, bad[i].index, bad[i].dim);
        pb_msg(&t->graph, GRAPH_sparse_initializer, &s);
        add_output(t, "c");
        assert_refused(t, bad[i].slug);
    }
}

/* A tensor of n elements in one field; expects the elements as integers. */
static void assert_elements(Test *t, int type, int n, unsigned field, const char *data, size_t bytes,
                            const int64_t *want)
{
    t->graph = text(t);
    Text c = make_tensor(t, "c", type, 1, (int64_t[]){n});
    pb_data(&c, field, data, bytes);
    pb_msg(&t->graph, GRAPH_initializer, &c);
    add_output(t, "c");
    const Blob *b = named(assert_loads(t), "c")->data;
    assert_int_equal(b->count, n);
    for (int i = 0; i < n; i++) assert_int_equal(dtype_is_float(b->dt) ? (int64_t)blob_f(b, i) : blob_i(b, i), want[i]);
}

static void test_tensor_storage(void **state)
{
    Test *t = *state;
    assert_elements(t, 1, 2, TENSOR_float, "\0\0\x80?\0\0\0@", 8, (int64_t[]){1, 2});
    assert_elements(t, 11, 1, TENSOR_double, "\0\0\0\0\0\0\xf0?", 8, (int64_t[]){1});
    assert_elements(t, 10, 2, TENSOR_int32, "\x80\x78\x80\x80\x01", 5, (int64_t[]){1, 2}); /* 0x3c00, 0x4000 */
    assert_elements(t, 3, 2, TENSOR_int32, "\x05\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, (int64_t[]){5, -1});
    assert_elements(t, 9, 3, TENSOR_int32, "\x01\x00\x02", 3, (int64_t[]){1, 0, 1});
    assert_elements(t, 7, 2, TENSOR_int64, "\xac\x02\x00", 3, (int64_t[]){300, 0});
    assert_elements(t, 12, 1, TENSOR_uint64, "\xff\xff\xff\xff\x0f", 5, (int64_t[]){UINT32_MAX});
    assert_elements(t, 21, 3, TENSOR_int32, "\xa5\x01\x0f", 3, (int64_t[]){5, 10, 15});  /* u4, two to a byte */
    assert_elements(t, 22, 3, TENSOR_raw, "\xa5\x0f", 2, (int64_t[]){5, -6, -1});        /* i4 */
    assert_elements(t, 26, 5, TENSOR_raw, "\xe4\x03", 2, (int64_t[]){0, 1, -2, -1, -1}); /* i2, four to a byte */
    assert_elements(t, 25, 4, TENSOR_raw, "\xe4", 1, (int64_t[]){0, 1, 2, 3});
    assert_elements(t, 9, 2, TENSOR_raw, "\x07\x00", 2, (int64_t[]){1, 0});
    assert_elements(t, 1, 0, TENSOR_raw, "", 0, NULL);
}

static void test_tensor_rejections(void **state)
{
    static const struct {
        int type;
        int64_t dim;
        unsigned field;
        const char *data;
        size_t n;
        const char *slug;
    } bad[] = {{1, 3, TENSOR_raw, "12345678", 8, "tensor-size"},   {1, 1, TENSOR_raw, "12345678", 8, "tensor-size"},
               {1, 2, TENSOR_float, "1234", 4, "tensor-size"},     {7, 2, TENSOR_int64, "\x01", 1, "tensor-size"},
               {7, 1, TENSOR_int64, "\x01\x02", 2, "tensor-size"}, {7, 1, TENSOR_int64, "\x80", 1, "tensor-size"},
               {99, 1, TENSOR_raw, "1", 1, "unsupported-type"},    {0, 1, TENSOR_raw, "1", 1, "unsupported-type"},
               {1, -1, TENSOR_raw, "", 0, "tensor-size"},          {1, INT64_MAX, TENSOR_raw, "", 0, "tensor-size"},
               {8, 1, TENSOR_raw, "12345678", 8, "tensor-size"},   {8, 1, TENSOR_string, "a\0b", 3, "text"},
               {21, 3, TENSOR_raw, "1", 1, "tensor-size"},         {1, 2, TENSOR_int32, "\1\2", 2, "tensor-size"}};
    Test *t = *state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        t->graph = text(t);
        forget(t);
        Text c = make_tensor(t, "c", bad[i].type, 1, &bad[i].dim);
        pb_data(&c, bad[i].field, bad[i].data, bad[i].n);
        pb_msg(&t->graph, GRAPH_initializer, &c);
        add_output(t, "c");
        assert_refused(t, bad[i].slug);
    }
}

static void test_weights_are_views(void **state)
{
    Test *t = *state;
    const size_t n = 1 << 20;
    char *data = NEWN(t->a, char, n);
    for (size_t i = 0; i < n; i++) data[i] = (char)(i * 7);
    Text c = make_tensor(t, "c", 3, 1, (int64_t[]){1 << 20});
    pb_data(&c, TENSOR_raw, data, n);
    pb_msg(&t->graph, GRAPH_initializer, &c);
    add_output(t, "c");
    Text m = text(t), o = opset(t, "", 20);
    pb_int(&m, MODEL_ir_version, 8);
    pb_msg(&m, MODEL_graph, &t->graph);
    pb_msg(&m, MODEL_opset_import, &o);
    const size_t before = arena_used(t->a);
    const Graph *g = load_bytes(t, m.at, m.n);
    assert_non_null(g);
    assert_true(arena_used(t->a) - before < n / 4);
    const uint8_t *at = named(g, "c")->data->data, *map = t->maps->file.at[0].data.p;
    assert_true(at > map && at + n <= map + m.n);
    assert_memory_equal(at, data, n);
}

/* ---- external data ---- */

typedef struct Entry {
    const char *key, *val;
} Entry;

static void put_external(Text *v, int n, const Entry *e)
{
    pb_int(v, TENSOR_location, 1);
    for (int i = 0; i < n && e[i].key; i++) {
        Text kv = {.arena = v->arena};
        pb_str(&kv, 1, e[i].key);
        pb_str(&kv, 2, e[i].val);
        pb_msg(v, TENSOR_external, &kv);
    }
}

static Graph *load_external(Test *t, const Entry e[4])
{
    t->graph = text(t);
    forget(t);
    Text c = make_tensor(t, "c", 3, 1, (int64_t[]){4});
    put_external(&c, 4, e);
    pb_msg(&t->graph, GRAPH_initializer, &c);
    add_output(t, "c");
    return load(t);
}

static void test_external(void **state)
{
    Test *t = *state;
    mkdir(path_in(t, "sub"), 0700);
    write_file(path_in(t, "sub/w.bin"), "0123456789", 10);
    const Graph *g = load_external(
        t, (const Entry[4]){{"location", "sub/w.bin"}, {"offset", "6"}, {"length", "4"}, {"checksum", "x"}});
    assert_non_null(g);
    assert_memory_equal(named(g, "c")->data->data, "6789", 4);
    assert_int_equal(t->info.files.n, 2);
    assert_string_equal(t->info.files.at[1], path_in(t, "sub/w.bin"));
    g = load_external(t, (const Entry[4]){{"location", "./sub/w.bin"}});
    assert_non_null(g); /* no length: as much as the shape needs */
    assert_memory_equal(named(g, "c")->data->data, "0123", 4);
}

/* What CVE-2022-25882, -2024-27318, -2026-27489, -2026-34445, -2026-34446 and -2026-34447 were about. */
static void test_external_attacks(void **state)
{
    static const Entry bad[][4] = {{{"location", "../secret"}},
                                   {{"location", "sub/../../secret"}},
                                   {{"location", "sub/../w.bin"}},
                                   {{"location", ".."}},
                                   {{"location", "/etc/passwd"}},
                                   {{"location", "//etc/passwd"}},
                                   {{"location", "out/secret"}},
                                   {{"location", "link.bin"}},
                                   {{"location", "hard.bin"}},
                                   {{"location", "fifo"}},
                                   {{"location", "sub"}},
                                   {{"location", "sub/"}},
                                   {{"location", ""}},
                                   {{"location", "none.bin"}},
                                   {{"location", "w.bin/x"}},
                                   {{"offset", "0"}},
                                   {{"location", "w.bin"}, {"offset", "-1"}},
                                   {{"location", "w.bin"}, {"length", "-4"}},
                                   {{"location", "w.bin"}, {"offset", "7"}},
                                   {{"location", "w.bin"}, {"offset", "11"}},
                                   {{"location", "w.bin"}, {"length", "1125899906842624"}},
                                   {{"location", "w.bin"}, {"offset", "18446744073709551614"}},
                                   {{"location", "w.bin"}, {"offset", "4"}, {"length", "18446744073709551612"}},
                                   {{"location", "w.bin"}, {"length", "99999999999999999999999"}},
                                   {{"location", "w.bin"}, {"length", "0x4"}},
                                   {{"location", "w.bin"}, {"offset", ""}},
                                   {{"location", "w.bin"}, {"basepath", "/etc"}},
                                   {{"location", "w.bin"}, {"", ""}},
                                   {{"location", "/dev/stdin"}},
                                   {{"location", "."}}};
    Test *t = *state;
    char *dir = NEWN(t->a, char, 64);
    snprintf(dir, 64, "%s", t->dir);
    mkdir(path_in(t, "in"), 0700);
    write_file(path_in(t, "secret"), "0123456789", 10);
    snprintf(t->dir, sizeof t->dir, "%s/in", dir);
    t->model = path_in(t, "model.onnx");
    mkdir(path_in(t, "sub"), 0700);
    write_file(path_in(t, "w.bin"), "0123456789", 10);
    assert_int_equal(symlink("..", path_in(t, "out")), 0);
    assert_int_equal(symlink("../secret", path_in(t, "link.bin")), 0);
    assert_int_equal(link(str_fmt(t->a, "%s/secret", dir), path_in(t, "hard.bin")), 0);
    assert_int_equal(mkfifo(path_in(t, "fifo"), 0600), 0);
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (load_external(t, bad[i]) || !has_slug(t, "external-data"))
            fail_msg("attack %zu: %s %s was not refused", i, bad[i][0].val, bad[i][1].key ? bad[i][1].val : "");
        assert_int_equal(t->maps->file.n, 1 + (strcmp(bad[i][0].val, "w.bin") == 0 && t->maps->file.n > 1));
    }
    assert_non_null(load_external(t, (const Entry[4]){{"location", "w.bin"}, {"offset", "6"}}));
    snprintf(t->dir, sizeof t->dir, "%s", dir);
}

/* The values of sparse tensors go the same way as all others. */
static void test_external_sparse(void **state)
{
    Test *t = *state;
    Text s = text(t), values = make_tensor(t, "c", 3, 1, (int64_t[]){1}),
         indices = make_tensor(t, "", 7, 1, (int64_t[]){1});
    put_external(&values, 1, &(Entry){"location", "../../../../../../etc/passwd"});
    pb_data(&indices, TENSOR_int64, "", 1);
    pb_msg(&s, 1, &values);
    pb_msg(&s, 2, &indices);
    pb_int(&s, 3, 4);
    pb_msg(&t->graph, GRAPH_sparse_initializer, &s);
    add_output(t, "c");
    assert_refused(t, "external-data");
    Text n = make_node(t, "Constant", NULL, "c"), body = wrap(t, ATTR_sparse, &s);
    put_attr(&n, "sparse_value", 11, &body);
    t->graph = text(t);
    forget(t);
    add_node(t, &n);
    add_output(t, "c");
    assert_refused(t, "external-data");
}

/* ---- functions and subgraphs ---- */

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

/* ---- opsets ---- */

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

/* ---- digest ---- */

static void count_step(const void *ctx)
{
    ++*(int *)(uintptr_t)ctx;
}

static void test_sha256(void **state)
{
    (void)state;
    static const struct {
        const char *text, *hex;
    } vector[] = {{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
                  {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
                  {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                   "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"}};
    char hex[65], portable[65];
    for (size_t i = 0; i < COUNT(vector); i++) {
        sha256_hex(vector[i].text, strlen(vector[i].text), NULL, NULL, hex);
        sha256_hex_portable(vector[i].text, strlen(vector[i].text), portable);
        assert_string_equal(hex, vector[i].hex);
        assert_string_equal(portable, vector[i].hex);
    }
    unsigned char data[300];
    for (size_t n = 0; n < sizeof data; n++) {
        data[n] = (unsigned char)(n * 31);
        sha256_hex(data, n, NULL, NULL, hex);
        sha256_hex_portable(data, n, portable);
        assert_string_equal(hex, portable);
    }
    int steps = 0;
    char *million = malloc(1000000); /* FIPS 180-2, B.3 */
    assert_non_null(memset(million, 'a', 1000000));
    sha256_hex(million, 1000000, count_step, &steps, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    assert_true(steps > 1);
    free(million);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_small_model),
                                       TEST(test_options),
                                       TEST(test_initializer_is_constant),
                                       TEST(test_bind),
                                       TEST(test_rejections),
                                       TEST(test_every_unsupported_op),
                                       TEST(test_versions),
                                       TEST(test_not_a_model),
                                       TEST(test_nested_subgraphs),
                                       TEST(test_amplification),
                                       TEST(test_constant_forms),
                                       TEST(test_sparse),
                                       TEST(test_tensor_storage),
                                       TEST(test_tensor_rejections),
                                       TEST(test_weights_are_views),
                                       TEST(test_external),
                                       TEST(test_external_attacks),
                                       TEST(test_external_sparse),
                                       TEST(test_functions),
                                       TEST(test_function_operands),
                                       TEST(test_function_rejections),
                                       TEST(test_function_explosion),
                                       TEST(test_subgraphs),
                                       TEST(test_upgrade_lists),
                                       TEST(test_upgrade_scalars),
                                       TEST(test_upgrade_softmax),
                                       TEST(test_upgrade_broadcast),
                                       TEST(test_upgrade_resize),
                                       TEST(test_upgrade_training),
                                       TEST(test_upgrade_groups),
                                       TEST(test_upgrade_scan),
                                       TEST(test_no_cascade),
                                       TEST(test_sha256)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

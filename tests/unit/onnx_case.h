/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the importer share: models written as protobuf bytes, loaded, and what was said about them.
 */
#ifndef MLCC_ONNX_CASE_H
#define MLCC_ONNX_CASE_H

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

static inline const char *path_in(Test *t, const char *name)
{
    return str_fmt(t->a, "%s/%s", t->dir, name);
}

static inline void write_file(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    fclose(f);
}

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
{
    Test *t = *state;
    onnx_unmap(t->maps);
    const char *cmd = str_fmt(t->a, "rm -rf '%s'", t->dir);
    const int rc = system(cmd);
    arena_free(t->a);
    free(t);
    return rc;
}

static inline Text text(Test *t)
{
    return (Text){.arena = t->a};
}

/* Imports the bytes. */
static inline Graph *load_bytes(Test *t, const void *p, size_t n)
{
    onnx_unmap(t->maps);
    write_file(t->model, p, n);
    return onnx_load(&t->cx, t->model, &t->opt, &t->info, &t->maps, &t->io_error);
}

static inline Text opset(Test *t, const char *domain, int64_t version)
{
    Text o = text(t);
    pb_str(&o, OPSET_domain, domain);
    pb_int(&o, OPSET_version, version);
    return o;
}

/* Imports the model whose graph is t->graph. */
static inline Graph *load(Test *t)
{
    Text m = text(t), o = opset(t, "", t->opset);
    pb_int(&m, MODEL_ir_version, t->ir);
    pb_msg(&m, MODEL_graph, &t->graph);
    pb_msg(&m, MODEL_opset_import, &o);
    text_put(&m, t->tail.at, t->tail.n);
    return load_bytes(t, m.at, m.n);
}

static inline bool has_slug(const Test *t, const char *slug)
{
    for (uint32_t i = 0; i < t->diags.list.n; i++) {
        if (strcmp(t->diags.list.at[i].slug, slug) == 0) return true;
    }
    return false;
}

static inline void forget(Test *t)
{
    t->diags.list.n = t->diags.errors = t->diags.warnings = 0;
}

static inline void print_diags(Test *t)
{
    Text out = text(t);
    diag_print(&t->diags, &out, "text");
    print_message("%s\n", text_str(&out));
}

static inline void assert_slug(Test *t, const char *slug)
{
    if (!has_slug(t, slug)) {
        print_diags(t);
        fail_msg("no diagnostic '%s'", slug);
    }
}

static inline void assert_refused(Test *t, const char *slug)
{
    assert_null(load(t));
    assert_slug(t, slug);
}

static inline Graph *assert_loads(Test *t)
{
    Graph *g = load(t);
    if (!g) print_diags(t);
    assert_non_null(g);
    assert_null(graph_verify(t->a, g));
    return g;
}

/* dims: text such as "2,n,-" (a number, a name, nothing); NULL: no shape. */
static inline Text value_info(Test *t, const char *name, int type, const char *dims)
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

static inline void add_input(Test *t, const char *name, int type, const char *dims)
{
    Text v = value_info(t, name, type, dims);
    pb_msg(&t->graph, GRAPH_input, &v);
}

static inline void add_output(Test *t, const char *name)
{
    Text v = text(t);
    pb_str(&v, 1, name);
    pb_msg(&t->graph, GRAPH_output, &v);
}

/* in, out: names separated by commas. */
static inline void put_names(Test *t, Text *to, unsigned field, const char *names)
{
    for (const char *p = names;; p++) {
        const size_t n = strcspn(p, ",");
        pb_str(to, field, str_ndup(t->a, p, n));
        p += n;
        if (!*p) return;
    }
}

static inline Text make_node(Test *t, const char *op, const char *in, const char *out)
{
    Text n = text(t);
    if (in) put_names(t, &n, NODE_input, in);
    if (out) put_names(t, &n, NODE_output, out);
    pb_str(&n, NODE_op_type, op);
    return n;
}

static inline void put_attr(Text *n, const char *name, int type, const Text *body)
{
    Text a = {.arena = n->arena};
    pb_str(&a, ATTR_name, name);
    pb_int(&a, ATTR_type, type);
    text_put(&a, body->at, body->n);
    pb_msg(n, NODE_attribute, &a);
}

static inline void put_i(Text *n, const char *name, int64_t v)
{
    Text b = {.arena = n->arena};
    pb_int(&b, ATTR_i, v);
    put_attr(n, name, 2, &b);
}

static inline void put_f(Text *n, const char *name, float v)
{
    Text b = {.arena = n->arena};
    pb_float(&b, ATTR_f, v);
    put_attr(n, name, 1, &b);
}

static inline void put_s(Text *n, const char *name, const char *v)
{
    Text b = {.arena = n->arena};
    pb_str(&b, ATTR_s, v);
    put_attr(n, name, 3, &b);
}

static inline void put_ints(Text *n, const char *name, int count, const int64_t *v)
{
    Text b = {.arena = n->arena};
    for (int i = 0; i < count; i++) pb_int(&b, ATTR_ints, v[i]);
    put_attr(n, name, 7, &b);
}

static inline void put_ref(Text *n, const char *name, int type, const char *ref)
{
    Text b = {.arena = n->arena};
    pb_str(&b, ATTR_ref, ref);
    put_attr(n, name, type, &b);
}

static inline void add_node(Test *t, const Text *n)
{
    pb_msg(&t->graph, GRAPH_node, n);
}

static inline void add_op(Test *t, const char *op, const char *in, const char *out)
{
    Text n = make_node(t, op, in, out);
    add_node(t, &n);
}

/* A model of one node of x (and what init holds) to y. */
static inline void one_node(Test *t, const Text *n)
{
    add_input(t, "x", 1, "2,3,4,5");
    add_output(t, "y");
    add_node(t, n);
}

static inline Text make_tensor(Test *t, const char *name, int type, int rank, const int64_t *dim)
{
    Text v = text(t);
    for (int i = 0; i < rank; i++) pb_int(&v, TENSOR_dims, dim[i]);
    pb_int(&v, TENSOR_type, type);
    pb_str(&v, TENSOR_name, name);
    return v;
}

/* Names of the operators in order, of constants only the count: "Shape Flatten Softmax Reshape". */
static inline const char *ops_of(Test *t, const Graph *g)
{
    Text s = text(t);
    for (uint32_t i = 0; i < g->order.n; i++) text_add(&s, "%s%s", i ? " " : "", node(g, g->order.at[i])->op->name);
    return text_str(&s);
}

static inline const Tensor *named(const Graph *g, const char *name)
{
    const TensorId id = graph_find(g, name);
    assert_int_not_equal(id.i, 0);
    return tensor(g, id);
}

static inline const Attr *attr_of(const Node *n, const char *name)
{
    for (uint16_t i = 0; i < n->nattr; i++) {
        if (strcmp(n->attr[i].name, name) == 0) return &n->attr[i];
    }
    return NULL;
}

static inline const Node *last_node(const Graph *g)
{
    return node(g, g->order.at[g->order.n - 1]);
}

static inline Text wrap(Test *t, unsigned field, const Text *m)
{
    Text w = text(t);
    pb_msg(&w, field, m);
    return w;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

#endif

/* SPDX-License-Identifier: Apache-2.0
 * Constants in all their forms, and what lies in other files. */
#include "onnx_case.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_constant_forms),
        TEST(test_sparse),
        TEST(test_tensor_storage),
        TEST(test_tensor_rejections),
        TEST(test_weights_are_views),
        TEST(test_external),
        TEST(test_external_attacks),
        TEST(test_external_sparse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

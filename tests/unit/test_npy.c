/* SPDX-License-Identifier: Apache-2.0
 *
 * Tensor files: every element type goes to .npy, .pb and raw bytes and comes back; broken files are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "compiler/npy.h"

typedef struct Test {
    Arena *a;
    Diags diags;
    Ctx cx;
    Maps *maps;
    char file[40];
} Test;

static int set_up(void **state)
{
    Test *t = calloc(1, sizeof *t);
    t->a = arena_new(0, NULL);
    t->diags = (Diags){.arena = t->a};
    t->cx = (Ctx){.arena = t->a, .diags = &t->diags};
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    Test *t = *state;
    onnx_unmap(t->maps);
    arena_free(t->a);
    free(t);
    return 0;
}

static bool read_back(Test *t, const char *suffix, const void *p, size_t n, const TensorValue *expect, TensorValue *v)
{
    snprintf(t->file, sizeof t->file, "/tmp/mlcc-test-XXXXXX%s", suffix);
    const int fd = mkstemps(t->file, (int)strlen(suffix));
    assert_int_equal(write(fd, p, n), n);
    close(fd);
    onnx_unmap(t->maps);
    t->maps = maps_new(t->a);
    bool io_error = false;
    const bool ok = value_read(&t->cx, t->maps, t->file, expect, v, &io_error);
    assert_false(io_error);
    unlink(t->file);
    return ok;
}

static void assert_same(const TensorValue *v, const TensorValue *w)
{
    assert_int_equal(v->dt, w->dt);
    assert_int_equal(v->rank, w->rank);
    assert_memory_equal(v->dim, w->dim, v->rank * sizeof *v->dim);
    assert_int_equal(v->blob->count, w->blob->count);
    for (int64_t i = 0; i < v->blob->count; i++) {
        char a[16] = {0}, b[16] = {0};
        blob_get(v->blob, i, 1, a);
        blob_get(w->blob, i, 1, b);
        if (v->dt == DT_str)
            assert_string_equal(*(char *const *)(void *)a, *(char *const *)(void *)b);
        else
            assert_memory_equal(a, b, sizeof a);
    }
}

/* Six elements 0..5 modulo what the type holds. */
static TensorValue sample(Test *t, DType dt)
{
    static const char *const word[] = {"", "a", "Gr\xc3\xbc\xc3\x9f", "\xe2\x82\xac", "\xf0\x9f\x99\x82", "x y"};
    const size_t size = dtype_bytes(dt);
    char *data = NEWN(t->a, char, 6 * size);
    for (size_t i = 0; i < 6; i++) {
        if (dt == DT_str)
            memcpy(data + i * size, &word[i], size);
        else
            data[i * size] = (char)(i & ((1u << min_i64(dtype_info(dt)->bits, 8)) - 1) & (dt == DT_bool ? 1 : 7) &
                                    (dt == DT_i2 ? 1 : 7));
    }
    return (TensorValue){dt, 2, {2, 3}, blob_make(t->a, dt, 6, data)};
}

static void test_round_trip(void **state)
{
    Test *t = *state;
    for (DType dt = DT_none + 1; dt < DT_ix; dt++) {
        const TensorValue v = sample(t, dt);
        TensorValue w;
        Text npy = {.arena = t->a}, pb = {.arena = t->a};
        npy_write(&npy, &v);
        assert_int_equal(npy.n % 64, dt == DT_str ? npy.n % 64 : 6 * dtype_bytes(dt) % 64);
        assert_true(read_back(t, ".npy", npy.at, npy.n, &v, &w));
        assert_same(&v, &w);
        pb_write(&pb, "v", &v);
        assert_true(read_back(t, ".pb", pb.at, pb.n, &v, &w));
        assert_same(&v, &w);
        if (dt == DT_str) continue;
        TensorValue open = v;
        open.dim[0] = -1;
        assert_true(read_back(t, ".bin", v.blob->data, v.blob->fill ? 0 : 6 * dtype_bytes(dt), &open, &w));
        assert_same(&v, &w);
    }
}

static void test_fills_and_scalars(void **state)
{
    Test *t = *state;
    const float seven[4] = {7, 7, 7, 7};
    const TensorValue fill = {DT_f32, 1, {4}, blob_make(t->a, DT_f32, 4, seven)},
                      one = {DT_f32, 0, {0}, blob_make(t->a, DT_f32, 1, seven)};
    const TensorValue none = {DT_f32, 2, {0, 3}, blob_make(t->a, DT_f32, 0, seven)};
    const TensorValue *const all[] = {&fill, &one, &none};
    for (size_t i = 0; i < COUNT(all); i++) {
        TensorValue w;
        Text npy = {.arena = t->a}, pb = {.arena = t->a};
        npy_write(&npy, all[i]);
        assert_true(read_back(t, ".npy", npy.at, npy.n, NULL, &w));
        assert_same(all[i], &w);
        pb_write(&pb, "", all[i]);
        assert_true(read_back(t, ".pb", pb.at, pb.n, NULL, &w));
        assert_same(all[i], &w);
    }
}

static void refuse_npy(Test *t, const char *dict, const char *slug)
{
    Text f = {.arena = t->a};
    TensorValue v;
    const size_t n = strlen(dict);
    const char head[10] = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, (char)n, 0};
    text_put(&f, head, sizeof head);
    text_put(&f, dict, n);
    text_put(&f, "12345678", 8);
    t->diags.list.n = t->diags.errors = 0;
    assert_false(read_back(t, ".npy", f.at, f.n, NULL, &v));
    assert_string_equal(t->diags.list.at[0].slug, slug);
}

static void test_refused(void **state)
{
    Test *t = *state;
    TensorValue v;
    refuse_npy(t, "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", "npy");
    refuse_npy(t, "{'descr': '<f4', 'fortran_order': False, 'shape': (2", "npy");
    refuse_npy(t, "{'descr': '<f4', 'fortran_order': False, }", "npy");
    refuse_npy(t, "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }", "npy");
    refuse_npy(t, "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", "npy");
    refuse_npy(t, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1,1,1,1,2), }", "npy");
    refuse_npy(t, "{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", "unsupported-npy");
    refuse_npy(t, "{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2), }", "unsupported-npy");
    refuse_npy(t, "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "npy");
    refuse_npy(t, "{'descr': '<M8', 'fortran_order': False, 'shape': (1,), }", "unsupported-type");
    assert_false(read_back(t, ".npy", "\x93NUMPY\1\0\xff\xff....", 14, NULL, &v));
    assert_false(read_back(t, ".npy", "", 0, NULL, &v));
    assert_false(read_back(t, ".bin", "1234", 4, NULL, &v));
    assert_false(read_back(t, ".bin", "1234", 4, &(TensorValue){.dt = DT_f32, .rank = 1, .dim = {2}}, &v));
    assert_false(read_back(t, ".bin", "12345", 5, &(TensorValue){.dt = DT_f32, .rank = 1, .dim = {-1}}, &v));
    assert_false(read_back(t, ".pb", "\x0a\x05", 2, NULL, &v));
    /* an external tensor must not make a value file read others */
    assert_false(read_back(t, ".pb", "\x10\x01\x70\x01\x6a\x12\x0a\x08location\x12\x06/etc/x", 24, NULL, &v));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
                                       cmocka_unit_test_setup_teardown(test_fills_and_scalars, set_up, tear_down),
                                       cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

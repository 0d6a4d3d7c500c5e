/* SPDX-License-Identifier: Apache-2.0
 * runtime-min/mlcc_select.h: keys in the order of the values, the first k against a plain search, ties by place, rows
 * that are equal, boxes that overlap; results that are cut to the room there is. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime-min/mlcc_select.h"

static void test_keys(void **state)
{
    const double v[] = {-INFINITY, -2, -0x1p-1074, 0, 0x1p-1074, 3, INFINITY, NAN};
    (void)state;
    for (size_t k = 1; k < sizeof v / sizeof *v; k++) assert_true(mlcc_key_f(v[k - 1]) < mlcc_key_f(v[k]));
    assert_true(mlcc_key_f(-0.0) == mlcc_key_f(0.0));
    assert_true(mlcc_key_f(-NAN) == mlcc_key_f(NAN));
    assert_true(mlcc_key_i(INT64_MIN) < mlcc_key_i(-1) && mlcc_key_i(-1) < mlcc_key_i(0));
}

/* One element per byte whatever its bits, signed ones sign-extended. */
static void test_keys_of_narrow_types(void **state)
{
    static const struct { int32_t dtype; int8_t v[4]; } row[] = {
        {22, {-8, -1, 0, 7}}, {26, {-2, -1, 0, 1}}, {21, {0, 1, 8, 15}}, {25, {0, 1, 2, 3}}, {3, {-128, -1, 0, 127}},
    };
    (void)state;
    for (size_t r = 0; r < sizeof row / sizeof *row; r++) {
        int64_t v[4]; /* room for a key of any type */
        memcpy(v, row[r].v, sizeof row[r].v);
        const mlcc_tensor t = {.data = v, .dtype = row[r].dtype, .rank = 1, .dim = {4}};
        for (int k = 1; k < 4; k++) assert_true(mlcc_key(&t, k - 1) < mlcc_key(&t, k));
    }
}

/* The k first by repeated search: no heap, no keys. */
static void plain_topk(const float *x, int64_t n, int64_t k, int largest, int64_t *at)
{
    char taken[64] = {0};
    for (int64_t j = 0; j < k; j++) {
        int64_t best = -1;
        for (int64_t i = 0; i < n; i++) {
            if (!taken[i] && (best < 0 || (largest ? x[i] > x[best] : x[i] < x[best]))) best = i;
        }
        taken[best] = 1;
        at[j] = best;
    }
}

static void test_topk_rows(void **state)
{
    float x[64];
    int64_t at[64], want[64];
    mlcc_ranked scratch[64];
    (void)state;
    for (int round = 0; round < 200; round++) {
        const int64_t n = 1 + rand() % 64, k = rand() % (n + 1), arg[] = {0, round % 2, k};
        for (int64_t i = 0; i < n; i++) x[i] = (float)(rand() % 9); /* many ties */
        const mlcc_tensor in = {.data = x, .dtype = 1, .rank = 1, .dim = {n}};
        mlcc_tensor out = {.data = at, .dtype = 7, .rank = 1, .dim = {k}};
        mlcc_topk(&in, &out, arg, scratch);
        plain_topk(x, n, k, round % 2, want);
        for (int64_t j = 0; j < k; j++) assert_int_equal(at[j], want[j]);
    }
}

/* Along the middle dimension; more wanted than there are. */
static void test_topk_axis(void **state)
{
    int32_t x[] = {1, 9, 5, 2, /**/ 7, 7, 8, 0};
    int64_t at[12];
    const int64_t arg[] = {1, 1, 3}, want[] = {1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0};
    mlcc_ranked scratch[3];
    const mlcc_tensor in = {.data = x, .dtype = 6, .rank = 3, .dim = {2, 2, 2}};
    mlcc_tensor out = {.data = at, .dtype = 7, .rank = 3, .dim = {2, 3, 2}};
    (void)state;
    mlcc_topk(&in, &out, arg, scratch);
    assert_memory_equal(at, want, sizeof want);
}

typedef struct Distinct {
    int64_t first[8], group[8], count[8], n;
} Distinct;

static Distinct distinct(const int8_t *x, int64_t rows, int64_t width, int64_t room, int sorted)
{
    Distinct d;
    int64_t scratch[24];
    const int64_t arg[] = {rows, 0, sorted};
    const mlcc_tensor in = {.data = (int8_t *)(uintptr_t)x, .dtype = 3, .rank = 2, .dim = {rows, width}};
    mlcc_tensor out[] = {{.data = d.first, .dtype = 7, .rank = 1, .dim = {room}},
                         {.data = d.group, .dtype = 7, .rank = 1, .dim = {rows}},
                         {.data = d.count, .dtype = 7, .rank = 1, .dim = {room}}};
    mlcc_unique(&in, out, arg, scratch);
    d.n = out[0].dim[0];
    return d;
}

static void test_unique(void **state)
{
    const int8_t x[] = {3, 1, /**/ -2, 5, /**/ 3, 1, /**/ 3, 0, /**/ -2, 5};
    (void)state;
    Distinct d = distinct(x, 5, 2, 5, 1);
    assert_int_equal(d.n, 3);
    assert_memory_equal(d.first, ((int64_t[]){1, 3, 0}), 24);
    assert_memory_equal(d.group, ((int64_t[]){2, 0, 2, 1, 0}), 40);
    assert_memory_equal(d.count, ((int64_t[]){2, 1, 2}), 24);
    d = distinct(x, 5, 2, 5, 0);
    assert_memory_equal(d.first, ((int64_t[]){0, 1, 3}), 24);
    assert_memory_equal(d.group, ((int64_t[]){0, 1, 0, 2, 1}), 40);
    d = distinct(x, 5, 2, 2, 1); /* less room than groups */
    assert_int_equal(d.n, 2);
    assert_int_equal(distinct(x, 0, 2, 0, 1).n, 0);
}

/* Boxes 0 and 1 are nearly the same, 2 lies apart; corners may be swapped. */
static int64_t nms(int64_t most, float iou, float threshold, int64_t given, int64_t room, int64_t *y)
{
    float boxes[] = {0, 0, 1, 1, /**/ 1, 1.1f, 0, 0, /**/ 5, 5, 6, 6}, scores[] = {0.5f, 0.9f, 0.4f};
    const int64_t arg[] = {3, 0, given};
    mlcc_ranked scratch[3];
    const mlcc_tensor in[] = {{.data = boxes, .dtype = 1, .rank = 3, .dim = {1, 3, 4}},
                              {.data = scores, .dtype = 1, .rank = 3, .dim = {1, 1, 3}},
                              {.data = &most, .dtype = 7, .rank = 0},
                              {.data = &iou, .dtype = 1, .rank = 0},
                              {.data = &threshold, .dtype = 1, .rank = 0}};
    mlcc_tensor out = {.data = y, .dtype = 7, .rank = 2, .dim = {room, 3}};
    mlcc_nms(in, &out, arg, scratch);
    return out.dim[0];
}

static void test_nms(void **state)
{
    int64_t y[9];
    (void)state;
    assert_int_equal(nms(3, 0.5f, 0, 31, 3, y), 2);
    assert_memory_equal(y, ((int64_t[]){0, 0, 1, 0, 0, 2, 0, 0, 0}), 72);
    assert_int_equal(nms(3, 0.95f, 0, 31, 3, y), 3);
    assert_int_equal(nms(1, 0.5f, 0, 31, 3, y), 1);
    assert_int_equal(nms(3, 0.95f, 0.45f, 31, 3, y), 2);
    assert_int_equal(nms(3, 0.95f, 0.45f, 15, 3, y), 3); /* no score threshold */
    assert_int_equal(nms(3, 0.95f, 0, 27, 3, y), 0);     /* no limit given: none is selected */
    assert_int_equal(nms(3, 0.95f, NAN, 31, 3, y), 0);
    assert_int_equal(nms(3, 0.95f, 0, 31, 2, y), 2); /* less room */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys), cmocka_unit_test(test_keys_of_narrow_types), cmocka_unit_test(test_topk_rows),
        cmocka_unit_test(test_topk_axis), cmocka_unit_test(test_unique), cmocka_unit_test(test_nms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

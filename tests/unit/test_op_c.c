/* SPDX-License-Identifier: Apache-2.0
 * runtime-min/mlcc_op.h, which emitted code calls, against scalar_op, which defines the operations: the same bits. */
#include "ir/expr.h"

#include <math.h>

#include <cmocka.h>

#include "runtime-min/mlcc_op.h"

#define FLOAT_OPS(X, t) X(min, t) X(max, t) X(mod, t)
#define INT_OPS(X, t) X(div, t) X(fdiv, t) X(mod, t) X(rem, t) X(min, t) X(max, t) X(pow, t) X(shl, t) X(shr, t)
#define WRAP_OPS(X, t) X(add, t) X(sub, t) X(mul, t)

static const double real[] = {
    0.0, -0.0, 1, -1, 0.5, -0.5, 3, -3, 7.25, -7.25, 2.5, -2.5, INFINITY, -INFINITY, NAN, 1e30, -1e30, 1e-40, 0.1, -5.5,
};

static const int64_t whole[] = {
    0, 1, -1, 2, -2, 3, -3, 5, -5, 7, 31, 32, 33, 63, 64, 65, -7, 100, -100, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN,
    46341, INT64_C(3037000500), 12345678901,
};

#define CHECK_F(op, t)                                                                                      \
    assert_true(same_##t(mlcc_##op##_##t(a, b), scalar_op(EX_##op, DT_##t, DT_##t, (Scalar[]){{.t = a}, {.t = b}}).t));

static bool same_f32(float x, float y)
{
    return x != x ? y != y : x == y && !signbit(x) == !signbit(y);
}

static bool same_f64(double x, double y)
{
    return x != x ? y != y : x == y && !signbit(x) == !signbit(y);
}

static void test_f32(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(real); i++) {
        for (size_t k = 0; k < COUNT(real); k++) {
            const float a = (float)real[i], b = (float)real[k];
            FLOAT_OPS(CHECK_F, f32)
            assert_true(same_f32(mlcc_sign_f32(a), scalar_op(EX_sign, DT_f32, DT_f32, &(Scalar){.f32 = a}).f32));
        }
    }
}

static void test_f64(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(real); i++) {
        for (size_t k = 0; k < COUNT(real); k++) {
            const double a = real[i], b = real[k];
            FLOAT_OPS(CHECK_F, f64)
            assert_true(same_f64(mlcc_sign_f64(a), scalar_op(EX_sign, DT_f64, DT_f64, &(Scalar){.f64 = a}).f64));
        }
    }
}

#define CHECK_I(op, t) \
    assert_int_equal(mlcc_##op##_##t(a, b), scalar_op(EX_##op, DT_##t, DT_##t, (Scalar[]){{.i = a}, {.i = b}}).i);
#define CHECK_U(op, t) \
    assert_int_equal(mlcc_##op##_##t(a, b), scalar_op(EX_##op, DT_##t, DT_##t, (Scalar[]){{.u = a}, {.u = b}}).u);
#define CHECK_I1(op, t) assert_int_equal(mlcc_##op##_##t(a), scalar_op(EX_##op, DT_##t, DT_##t, &(Scalar){.i = a}).i);
#define UNARY_OPS(X, t) X(neg, t) X(abs, t) X(sign, t)

static void test_signed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(whole); i++) {
        for (size_t k = 0; k < COUNT(whole); k++) {
            {
                const int32_t a = (int32_t)whole[i], b = (int32_t)whole[k];
                INT_OPS(CHECK_I, i32)
                WRAP_OPS(CHECK_I, i32)
                UNARY_OPS(CHECK_I1, i32)
            }
            const int64_t a = whole[i], b = whole[k];
            INT_OPS(CHECK_I, i64)
            WRAP_OPS(CHECK_I, i64)
            UNARY_OPS(CHECK_I1, i64)
        }
    }
}

static void test_unsigned(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(whole); i++) {
        for (size_t k = 0; k < COUNT(whole); k++) {
            {
                const uint32_t a = (uint32_t)whole[i], b = (uint32_t)whole[k];
                INT_OPS(CHECK_U, u32)
            }
            const uint64_t a = (uint64_t)whole[i], b = (uint64_t)whole[k];
            INT_OPS(CHECK_U, u64)
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f32), cmocka_unit_test(test_f64), cmocka_unit_test(test_signed),
        cmocka_unit_test(test_unsigned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

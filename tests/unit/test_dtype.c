/* SPDX-License-Identifier: Apache-2.0
 * Element types (ir/dtype.h) and the conversions of runtime-min (mlcc_float.h, mlcc_int.h).
 *
 * Every code of every narrow float is decoded by a formula of its own, with ldexp, and rounding is compared with a
 * search for the nearest code among all of them. */
#include "ir/dtype.h"

#include <math.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime-min/mlcc_float.h"
#include "runtime-min/mlcc_int.h"

/* A narrow format as its definition has it: ieee has infinities, fn only NaN at the top, uz NaN at -0. */
typedef struct Format {
    DType dt;
    int exponent, mantissa, bias;
    enum { IEEE, FN, UZ, NO_NAN } kind;
} Format;

static const Format format[] = {
    {DT_f16, 5, 10, 15, IEEE}, {DT_bf16, 8, 7, 127, IEEE}, {DT_f8e5m2, 5, 2, 15, IEEE}, {DT_f8e4m3fn, 4, 3, 7, FN},
    {DT_f8e4m3fnuz, 4, 3, 8, UZ}, {DT_f8e5m2fnuz, 5, 2, 16, UZ}, {DT_f4e2m1, 2, 1, 1, NO_NAN},
};

static unsigned sign_bit(const Format *f)
{
    return 1u << (f->exponent + f->mantissa);
}

static double decode(const Format *f, unsigned code)
{
    const int e = (int)(code >> f->mantissa) & ((1 << f->exponent) - 1), top = (1 << f->exponent) - 1;
    const int m = (int)code & ((1 << f->mantissa) - 1);
    const double sign = code & sign_bit(f) ? -1 : 1;
    if (f->kind == IEEE && e == top)
        return m ? NAN : sign * INFINITY;
    if (f->kind == FN && e == top && m == (1 << f->mantissa) - 1)
        return NAN;
    if (f->kind == UZ && code == sign_bit(f))
        return NAN;
    return sign * (e ? ldexp(1 + ldexp(m, -f->mantissa), e - f->bias) : ldexp(m, 1 - f->bias - f->mantissa));
}

static unsigned load(DType dt, const void *p)
{
    uint16_t h;
    if (dtype_bytes(dt) == 1)
        return *(const uint8_t *)p;
    memcpy(&h, p, sizeof h);
    return h;
}

static double get(DType dt, unsigned code)
{
    const uint16_t h = (uint16_t)code;
    const uint8_t b = (uint8_t)code;
    return dtype_bytes(dt) == 2 ? dtype_get_f(dt, &h) : dtype_get_f(dt, &b);
}

static unsigned put(DType dt, double v)
{
    uint16_t h = 0;
    dtype_put_f(dt, &h, v);
    return load(dt, &h);
}

static void assert_same(double got, double want, unsigned code)
{
    if (isnan(want) ? !isnan(got) : got != want || !signbit(got) != !signbit(want))
        fail_msg("code 0x%x: %.17g instead of %.17g", code, got, want);
}

static void test_decode(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(format); i++) {
        for (unsigned c = 0; c < 2 * sign_bit(&format[i]); c++)
            assert_same(get(format[i].dt, c), decode(&format[i], c), c);
    }
}

static void test_round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(format); i++) {
        const Format *f = &format[i];
        for (unsigned c = 0; c < 2 * sign_bit(f); c++) {
            const double v = decode(f, c);
            if (isnan(v))
                assert_true(isnan(get(f->dt, put(f->dt, v))));
            else
                assert_int_equal(put(f->dt, v), c);
        }
    }
}

/* Between neighbouring codes c and c + 1: the middle goes to the even code, a little beside it to the nearer one; the
 * little is far below what a float can hold, so rounding twice would be seen. */
static void test_halves(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(format); i++) {
        const Format *f = &format[i];
        for (unsigned c = 0; isfinite(decode(f, c + 1)) && c + 1 < sign_bit(f); c++) {
            const double lo = decode(f, c), hi = decode(f, c + 1), mid = (lo + hi) / 2, little = (hi - lo) * 0x1p-40;
            const unsigned minus = f->kind == UZ && c + (c & 1) == 0 ? 0 : sign_bit(f);
            assert_int_equal(put(f->dt, mid), c + (c & 1));
            assert_int_equal(put(f->dt, mid - little), c);
            assert_int_equal(put(f->dt, mid + little), c + 1);
            assert_int_equal(put(f->dt, -mid), (c + (c & 1)) | minus);
            assert_int_equal(put(f->dt, (float)mid), c + (c & 1));
        }
    }
}

static void test_overflow(void **state)
{
    (void)state;
    assert_int_equal(put(DT_f16, 65519.999999), 0x7bff);
    assert_int_equal(put(DT_f16, 65520), 0x7c00);
    assert_int_equal(put(DT_f16, -1e300), 0xfc00);
    assert_int_equal(put(DT_bf16, 3.5e38), 0x7f80);
    assert_int_equal(put(DT_bf16, -INFINITY), 0xff80);
    assert_int_equal(put(DT_f16, 1e-300), 0);
    assert_int_equal(put(DT_f16, -1e-300), 0x8000);
    assert_int_equal(put(DT_f4e2m1, 1e30), 7);
    assert_int_equal(put(DT_f4e2m1, -INFINITY), 15);
}

/* x, code when saturating, code when not; per format */
static void test_saturate(void **state)
{
    (void)state;
    static const struct { DType dt; uint8_t (*sat)(float), (*nosat)(float); uint8_t greatest, over, nan; float edge; }
    row[] = { /* edge: half way beyond the greatest value, which still rounds to it when that is even */
        {DT_f8e4m3fn, mlcc_f8e4m3fn_of_f32_sat, mlcc_f8e4m3fn_of_f32, 0x7e, 0x7f, 0x7f, 464},
        {DT_f8e4m3fnuz, mlcc_f8e4m3fnuz_of_f32_sat, mlcc_f8e4m3fnuz_of_f32, 0x7f, 0x80, 0x80, 248},
        {DT_f8e5m2, mlcc_f8e5m2_of_f32_sat, mlcc_f8e5m2_of_f32, 0x7b, 0x7c, 0x7e, 61440},
        {DT_f8e5m2fnuz, mlcc_f8e5m2fnuz_of_f32_sat, mlcc_f8e5m2fnuz_of_f32, 0x7f, 0x80, 0x80, 61440},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        const float past[] = {nextafterf(row[i].edge, INFINITY), 1e6f, 1e38f, INFINITY};
        const uint8_t minus = row[i].over == 0x80 ? 0 : 0x80;
        for (size_t k = 0; k < COUNT(past); k++) {
            assert_int_equal(row[i].sat(past[k]), row[i].greatest);
            assert_int_equal(row[i].sat(-past[k]), row[i].greatest | 0x80);
            assert_int_equal(row[i].nosat(past[k]), row[i].over);
            assert_int_equal(row[i].nosat(-past[k]), row[i].over | minus);
        }
        assert_int_equal(row[i].sat(NAN), row[i].nan);
        assert_int_equal(row[i].nosat(NAN), row[i].nan);
        const uint8_t tie = row[i].greatest & 1 ? row[i].over : row[i].greatest;
        assert_int_equal(row[i].nosat(row[i].edge), tie);
        assert_int_equal(row[i].nosat(nextafterf(row[i].edge, 0)), row[i].greatest);
        uint8_t h;
        dtype_put_f_sat(row[i].dt, &h, -1e300);
        assert_int_equal(h, row[i].greatest | 0x80);
        assert_int_equal(put(row[i].dt, 1e300), row[i].over);
    }
}

static void test_e8m0(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 255; c++) {
        const float v = (float)ldexp(1, (int)c - 127), up = nextafterf(v, INFINITY);
        const uint8_t next = (uint8_t)(c < 254 ? c + 1 : 254), lost = (uint8_t)(c + 1);
        assert_same(mlcc_f32_of_f8e8m0((uint8_t)c), v, c);
        assert_int_equal(mlcc_f8e8m0_of_f32_sat(v), c);
        assert_int_equal(mlcc_f8e8m0_of_f32_sat(up), next);
        assert_int_equal(mlcc_f8e8m0_of_f32(up), lost);
        assert_int_equal(mlcc_f8e8m0_of_f32_round_sat(up, 0x800000), c);
        assert_int_equal(mlcc_f8e8m0_of_f32_round_sat(1.5f * v, 0x400000), next);
        assert_int_equal(mlcc_f8e8m0_of_f32_round_sat(1.4375f * v, 0x400000), c);
        assert_int_equal(mlcc_f8e8m0_of_f32_round(1.5f * v, 0x400000), lost);
    }
    assert_true(isnan(mlcc_f32_of_f8e8m0(255)));
    static const struct { float x; uint8_t sat, nosat; } row[] = {
        {0, 0, 255}, {1e-40f, 0, 255}, {INFINITY, 254, 255}, {3.4e38f, 254, 255}, {-1, 255, 255}, {NAN, 255, 255},
        {1.1f, 128, 128}, {0.124f, 124, 124},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        assert_int_equal(mlcc_f8e8m0_of_f32_sat(row[i].x), row[i].sat);
        assert_int_equal(mlcc_f8e8m0_of_f32(row[i].x), row[i].nosat);
    }
}

static void test_odd(void **state)
{
    (void)state;
    static const double exact[] = {0, -0.0, 1, -1.5, 0x1p-149, 0x1p-126, 0x1.fffffep127, INFINITY, -INFINITY, 3e-45f};
    for (size_t i = 0; i < COUNT(exact); i++)
        assert_same(mlcc_odd_f32(exact[i]), exact[i], (unsigned)i);
    assert_true(isnan(mlcc_odd_f32(NAN)));
    assert_true(mlcc_odd_f32(1e300) == 0x1.fffffep127f);
    assert_true(mlcc_odd_f32(5e-324) == 0x1p-149f);
    uint64_t seed = 1;
    for (int i = 0; i < 1000000; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        const double x = mlcc_f64_of_bits((seed & UINT64_C(0x800fffffffffffff)) | (uint64_t)(860 + i % 300) << 52);
        const float f = mlcc_odd_f32(x), near = (float)x;
        if ((double)near == x || isinf(near)) {
            assert_true(isinf(near) ? fabsf(f) == 0x1.fffffep127f : f == near);
            continue;
        }
        assert_int_equal(mlcc_bits_of_f32(f) & 1, 1);
        const float beyond = nextafterf(f, x > (double)f ? INFINITY : -INFINITY);
        assert_true(fabs((double)f - x) < fabs((double)beyond - (double)f));
    }
}

static void test_table(void **state)
{
    (void)state;
    for (DType dt = 1; dt < DT_count; dt++) {
        assert_int_equal(dtype_by_name(dtype_info(dt)->name), dt);
        if (dtype_info(dt)->onnx)
            assert_int_equal(dtype_by_onnx(dtype_info(dt)->onnx), dt);
    }
    assert_int_equal(dtype_by_name("f33"), DT_none);
    assert_int_equal(dtype_by_onnx(0), DT_none);
    assert_int_equal(dtype_by_onnx(27), DT_none);
    assert_int_equal(dtype_by_onnx(-1), DT_none);
    assert_int_equal(dtype_bytes(DT_i4), 1);
    assert_int_equal(dtype_bytes(DT_c128), 16);
    assert_int_equal(dtype_compute(DT_f8e5m2), DT_f32);
    assert_int_equal(dtype_compute(DT_f64), DT_f64);
    assert_int_equal(dtype_compute(DT_u4), DT_i32);
    assert_int_equal(dtype_compute(DT_u32), DT_u32);
    assert_int_equal(dtype_compute(DT_bool), DT_bool);
}

static void test_integers(void **state)
{
    (void)state;
    static const struct { DType dt; int64_t min, max; } row[] = {
        {DT_i8, -128, 127}, {DT_u8, 0, 255}, {DT_i16, -32768, 32767}, {DT_u16, 0, 65535},
        {DT_i32, INT32_MIN, INT32_MAX}, {DT_u32, 0, UINT32_MAX}, {DT_i64, INT64_MIN, INT64_MAX}, {DT_u64, 0, INT64_MAX},
        {DT_i4, -8, 7}, {DT_u4, 0, 15}, {DT_i2, -2, 1}, {DT_u2, 0, 3}, {DT_ix, INT32_MIN, INT32_MAX}, {DT_bool, 0, 1},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        uint64_t p = UINT64_C(0x5555555555555555);
        assert_int_equal(dtype_min(row[i].dt), row[i].min);
        assert_int_equal(dtype_max(row[i].dt), row[i].max);
        dtype_put_i(row[i].dt, &p, row[i].max);
        assert_int_equal(dtype_get_i(row[i].dt, &p), row[i].max);
        dtype_put_i(row[i].dt, &p, row[i].min);
        assert_int_equal(dtype_get_i(row[i].dt, &p), row[i].min);
        assert_true(dtype_get_f(row[i].dt, &p) == (double)row[i].min);
        if (row[i].dt != DT_bool && dtype_info(row[i].dt)->bits < 64) {
            dtype_put_i(row[i].dt, &p, row[i].max + 1);
            assert_int_equal(dtype_get_i(row[i].dt, &p), row[i].min);
        }
    }
}

static void test_float_to_int(void **state)
{
    (void)state;
    static const struct { DType dt; double v; int64_t want; } row[] = {
        {DT_i32, 2.9, 2}, {DT_i32, -2.9, -2}, {DT_i32, 3e9, INT32_MAX}, {DT_i32, -INFINITY, INT32_MIN},
        {DT_i32, NAN, 0}, {DT_i32, 2147483647.5, INT32_MAX}, {DT_i32, -2147483648.5, INT32_MIN},
        {DT_u32, 4e9, 4000000000}, {DT_u32, -0.5, 0}, {DT_u32, -5, 0}, {DT_u32, 1e10, UINT32_MAX},
        {DT_i64, 9.3e18, INT64_MAX}, {DT_i64, -9.3e18, INT64_MIN}, {DT_i64, NAN, 0},
        {DT_u64, 1e19, (int64_t)UINT64_C(10000000000000000000)},
        {DT_u64, -1, 0}, {DT_u64, 1e30, -1}, {DT_i8, 300, 44}, {DT_u8, -1, 255}, {DT_i4, -9, 7}, {DT_u4, 17, 1},
        {DT_bool, 0.1, 1}, {DT_bool, NAN, 1}, {DT_bool, -0.0, 0},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        uint64_t p = 0;
        dtype_put_f(row[i].dt, &p, row[i].v);
        assert_int_equal(dtype_get_i(row[i].dt, &p), row[i].want);
        if (row[i].dt != DT_bool && row[i].dt != DT_u64) {
            const double lo = (double)dtype_min(row[i].dt), hi = (double)dtype_max(row[i].dt);
            dtype_put_f_sat(row[i].dt, &p, row[i].v);
            const double kept = dtype_get_f(row[i].dt, &p);
            assert_true(kept == (isnan(row[i].v) ? 0 : fmin(fmax(trunc(row[i].v), lo), hi)));
        }
    }
    const float x[] = {2.9f, -2.9f, 3e9f, -3e9f, NAN, INFINITY, 2147483520.0f, -2147483648.0f};
    for (size_t i = 0; i < COUNT(x); i++)
        assert_int_equal(mlcc_trunc_i32_f(x[i]), mlcc_trunc_i32(x[i]));
    assert_int_equal(mlcc_rint_i32(2.5f), 2);
    assert_int_equal(mlcc_rint_i32(3.5f), 4);
    assert_int_equal(mlcc_rint_i64(-2.5), -2);
}

static void test_int_to_float(void **state)
{
    (void)state;
    float f;
    double d;
    uint16_t h;
    dtype_put_i(DT_f32, &f, (INT64_C(1) << 24) + 1);
    assert_true(f == 0x1p24f);
    dtype_put_i(DT_f32, &f, (INT64_C(1) << 60) + (INT64_C(1) << 36) + 1); /* twice rounded it would be 2^60 */
    assert_true(f == 0x1.000002p60f);
    dtype_put_i(DT_f64, &d, INT64_MIN);
    assert_true(d == -0x1p63);
    dtype_put_i(DT_bf16, &h, (INT64_C(1) << 60) + (INT64_C(1) << 52) + 1);
    assert_int_equal(h, 0x5d81);
    dtype_put_i(DT_bf16, &h, -((INT64_C(1) << 60) + (INT64_C(1) << 52) + 1));
    assert_int_equal(h, 0xdd81);
    const uint64_t u = UINT64_MAX;
    assert_true(dtype_get_f(DT_u64, &u) == 0x1p64);
    assert_int_equal(dtype_get_i(DT_f32, &(const float){-7.9f}), -7);
}

static int64_t round_half_away(int64_t num, int64_t den)
{
    return num < 0 ? -((-num * 2 + den) / (2 * den)) : (num * 2 + den) / (2 * den);
}

static void test_fixed_point(void **state)
{
    (void)state;
    assert_int_equal(mlcc_srdhm(INT32_MIN, INT32_MIN), INT32_MAX);
    assert_int_equal(mlcc_srdhm(1 << 30, 1 << 30), 1 << 29);
    assert_int_equal(mlcc_srdhm(1, 1 << 30), 1);   /* 0.5 */
    assert_int_equal(mlcc_srdhm(-1, 1 << 30), 0);  /* -0.5 */
    assert_int_equal(mlcc_srdhm(-3, 1 << 30), -1); /* -1.5 */
    const int32_t x[] = {0, 1, -1, 2, -2, 3, -3, 5, -5, 6, -6, 7, 1000003, -1000003, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < COUNT(x); i++) {
        for (int n = 0; n <= 31; n++)
            assert_int_equal(mlcc_rdbpot(x[i], n), round_half_away(x[i], INT64_C(1) << n));
    }
    assert_int_equal(mlcc_mul_by_quantized(1000, 1 << 30, 1), 1000);
    assert_int_equal(mlcc_mul_by_quantized(1000, 1 << 30, -2), 125);
    assert_int_equal(mlcc_mul_by_quantized(-1001, 1 << 30, 0), -500);
    assert_int_equal(mlcc_asr(-5, 1), -3);
    assert_int_equal(mlcc_asr(INT64_MIN, 63), -1);
}

static void test_small_ints(void **state)
{
    (void)state;
    for (int32_t v = -40; v <= 40; v++) {
        int8_t s;
        uint8_t u;
        dtype_put_i(DT_i4, &s, v);
        assert_int_equal(mlcc_wrap_i4(v), s);
        dtype_put_i(DT_i2, &s, v);
        assert_int_equal(mlcc_wrap_i2(v), s);
        dtype_put_i(DT_u4, &u, v);
        assert_int_equal(mlcc_wrap_u4(v), u);
        dtype_put_i(DT_u2, &u, v);
        assert_int_equal(mlcc_wrap_u2(v), u);
        assert_int_equal(mlcc_sat_i4(v), min_i64(max_i64(v, -8), 7));
        assert_int_equal(mlcc_sat_u2(v), min_i64(max_i64(v, 0), 3));
        assert_int_equal(mlcc_sat_i8(v * 10), min_i64(max_i64(v * 10, -128), 127));
        assert_int_equal(mlcc_sat_u8(v * 10), min_i64(max_i64(v * 10, 0), 255));
    }
    assert_int_equal(mlcc_sat_i32(INT64_MAX), INT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode), cmocka_unit_test(test_round_trip), cmocka_unit_test(test_halves),
        cmocka_unit_test(test_overflow), cmocka_unit_test(test_saturate), cmocka_unit_test(test_e8m0),
        cmocka_unit_test(test_odd), cmocka_unit_test(test_table), cmocka_unit_test(test_integers),
        cmocka_unit_test(test_float_to_int), cmocka_unit_test(test_int_to_float), cmocka_unit_test(test_fixed_point),
        cmocka_unit_test(test_small_ints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

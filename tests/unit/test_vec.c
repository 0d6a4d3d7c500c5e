/* SPDX-License-Identifier: Apache-2.0
 * The vector dialect (runtime-min/mlcc_vec.h): every operation of every width against its scalar meaning.
 *
 * The file includes itself once per width W to make the tests of that width; those of functions step through all
 * floats. Which instructions a width becomes depends on the compiler's target options. */
#ifndef W

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime-min/mlcc_vec.h"

#ifndef STRIDE
#define STRIDE 4001 /* of the sweeps through all 2^32 floats */
#endif

static const float edge[] = {
    0.0f, -0.0f, 1, -1, 0.5f, -0.5f, 1.5f, -1.5f, 2.5f, -2.5f, 0.49999997f, -0.49999997f, 8388607.5f, -8388607.5f,
    1e10f, -1e10f, 0x1p31f, -0x1p31f, 2147483520.0f, 1e-45f, -1e-45f, 1.17549435e-38f, 3.4028235e38f, -3.4028235e38f,
    INFINITY, -INFINITY, NAN, 3, -3, 0.1f, 100,
};
enum { NEDGE = sizeof edge / sizeof *edge };

static uint32_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 32);
}

/* Edge values in all combinations of two, then random bits. */
static void fill(float *a, float *b, int n, int round, uint64_t *seed)
{
    for (int i = 0; i < n; i++) {
        const int k = round * n + i;
        const int is_edge = k < NEDGE * NEDGE;
        a[i] = is_edge ? edge[k / NEDGE] : mlcc_f32_of_bits(next_random(seed));
        b[i] = is_edge ? edge[k % NEDGE] : mlcc_f32_of_bits(next_random(seed));
    }
}

static void assert_same(const char *what, float got, float want, float a, float b)
{
    if (isnan(want) ? !isnan(got) : mlcc_bits_of_f32(got) != mlcc_bits_of_f32(want))
        fail_msg("%s(%.9g, %.9g) is %.9g, not %.9g", what, (double)a, (double)b, (double)got, (double)want);
}

/* Distance of y from the exact value in units of the last place of a float there; huge when the class differs. */
static double ulps(float y, double exact)
{
    if (isnan(exact))
        return isnan(y) ? 0 : 1e9;
    if (isinf((float)exact) || isinf(y))
        return y == (float)exact ? 0 : fabs(exact) > 0x1.fffffdp127 && fabs((double)y) > 0x1.fffffdp127 ? 1 : 1e9;
    int e;
    frexp(exact, &e);
    return fabs((double)y - exact) / ldexp(1, (e < -125 ? -125 : e) - 24);
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(x < -32 ? 32 : -x)); /* where the dialect's ends */
}

typedef void Map1(const float *x, float *y);

static void assert_ulps(const char *name, int width, Map1 *map, double (*exact)(double), double bound)
{
    float x[16], y[16], worst_x = 0;
    double worst = 0;
    for (uint64_t k = 0; k < UINT64_C(1) << 32; k += (uint64_t)width * STRIDE) {
        for (int i = 0; i < width; i++)
            x[i] = mlcc_f32_of_bits((uint32_t)(k + (uint64_t)i * STRIDE));
        map(x, y);
        for (int i = 0; i < width; i++) {
            const double u = ulps(y[i], exact((double)x[i]));
            if (u > worst) {
                worst = u;
                worst_x = x[i];
            }
        }
    }
    print_message("V%d_%s: %.3f ulp at %.9g\n", width, name, worst, (double)worst_x);
    if (worst > bound)
        fail_msg("V%d_%s(%.9g) is off by %g ulp, more than %g", width, name, (double)worst_x, worst, bound);
}

static void test_target(void **state)
{
    (void)state;
    float x[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, y[16];
    VF v = VF_LD(x);
    VF_KEEP(v);
    VF_FENCE();
    VF_PIN(v);
    const VI m = VF_GT(v, VF_SET(2.5f));
    VF_ST(y, VF_SEL(m, VF_ADD(v, VF_SET(1)), VF_SET(0)));
    for (int i = 0; i < MLCC_VW; i++)
        assert_true(y[i] == (x[i] > 2.5f ? x[i] + 1 : 0));
    assert_int_equal(sizeof(VF), 4 * MLCC_VW);
}

#define NAME_(test, w) test##_##w
#define NAME(test, w) NAME_(test, w)

#define W 1
#include "test_vec.c"
#undef W
#if MLCC_VECTOR
#define W 4
#include "test_vec.c"
#undef W
#define W 8
#include "test_vec.c"
#undef W
#define W 16
#include "test_vec.c"
#undef W
#define WIDE(test) , cmocka_unit_test(NAME(test, 4)), cmocka_unit_test(NAME(test, 8)), cmocka_unit_test(NAME(test, 16))
#define VECTORS(test) cmocka_unit_test(NAME(test, 4)), cmocka_unit_test(NAME(test, 8)), cmocka_unit_test(NAME(test, 16)),
#define WIDTHS(test) \
    cmocka_unit_test(NAME(test, 1)), cmocka_unit_test(NAME(test, 4)), cmocka_unit_test(NAME(test, 8)), \
    cmocka_unit_test(NAME(test, 16))
#else
#define WIDE(test)
#define WIDTHS(test) cmocka_unit_test(NAME(test, 1))
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_target), WIDTHS(test_unary), WIDTHS(test_quotients), WIDTHS(test_each), WIDTHS(test_binary), WIDTHS(test_fma), WIDTHS(test_masks),
        WIDTHS(test_fold), WIDTHS(test_partial), WIDTHS(test_strided), WIDTHS(test_integers), WIDTHS(test_bf16),
        VECTORS(test_pairs) VECTORS(test_words) VECTORS(test_word_sums) VECTORS(test_lookup) WIDTHS(test_barriers), WIDTHS(test_functions), WIDTHS(test_pow), WIDTHS(test_short_functions), WIDTHS(test_special)
            WIDE(test_sums) WIDE(test_twins) WIDE(test_ints) WIDE(test_two_dots) WIDE(test_longs) WIDE(test_saturated) WIDE(test_packed) WIDE(test_clipped) WIDE(test_zip2) WIDE(test_zip4) WIDE(test_narrow) WIDE(test_halves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else /* W: one width */

#define V(op) MLCC_JOIN(V, W, _##op)
#define T(test) NAME(test, W)
#if W == 1
#define F float
#define I int32_t
#else
#define F MLCC_JOIN(v, W, f)
#define I MLCC_JOIN(v, W, i)
#endif

#define UNARY(X) X(NEG) X(ABS) X(SQRT) X(FLOOR) X(CEIL) X(RINT) X(TRUNC)
#define BINARY(X) X(ADD) X(SUB) X(MUL) X(DIV) X(MAX) X(MIN) X(MAXN) X(MINN) X(COPYSIGN)
#define COMPARE(X) X(EQ, ==) X(NE, !=) X(LT, <) X(LE, <=) X(GT, >) X(GE, >=)

static void T(test_unary)(void **state)
{
    (void)state;
    float a[W], b[W], y[W];
    uint64_t seed = 1;
    for (int round = 0; round < 20000 / W; round++) {
        fill(a, b, W, round, &seed);
#define CHECK(op)                                         \
    V(ST)(y, V(op)(V(LD)(a)));                            \
    for (int i = 0; i < W; i++)                           \
        assert_same(#op, y[i], V1_##op(a[i]), a[i], 0);
        UNARY(CHECK)
#undef CHECK
    }
}

/* Quotients by one number: all combinations of edges, then numbers near 1, whose quotients are rounded every way. */
static void T(test_quotients)(void **state)
{
    (void)state;
    float a[W], b[W], y[W];
    uint64_t seed = 7;
    for (int round = 0; round < 400000 / W; round++) {
        const float s = round < NEDGE * NEDGE ? edge[round % NEDGE] : mlcc_f32_of_bits(0x3f000000u | next_random(&seed) >> 8);
        fill(a, b, W, round, &seed);
        for (int i = 0; i < W; i++)
            a[i] = round < NEDGE * NEDGE ? edge[(round / NEDGE + i) % NEDGE] : mlcc_f32_of_bits(0x3f000000u | next_random(&seed) >> 8);
        V(ST)(y, V(DIVS)(V(LD)(a), s));
        for (int i = 0; i < W; i++)
            if (isnan(a[i] / s) || isinf(a[i] / s) || fabsf(a[i] / s) > 0x1p-100f || a[i] == 0)
                assert_same("DIVS", y[i], a[i] / s, a[i], s);
    }
}

static void T(test_each)(void **state)
{
    (void)state;
    float a[W], b[W], y[W];
    uint64_t seed = 3;
    for (int round = 0; round < 2000 / W; round++) {
        fill(a, b, W, round, &seed);
        V(ST)(y, V(EACH)(expf, V(LD)(a)));
        for (int i = 0; i < W; i++)
            assert_same("EACH", y[i], expf(a[i]), a[i], 0);
        V(ST)(y, V(EACH2)(fmodf, V(LD)(a), V(LD)(b)));
        for (int i = 0; i < W; i++)
            assert_same("EACH2", y[i], fmodf(a[i], b[i]), a[i], b[i]);
        V(ST)(y, V(SIGN)(V(LD)(a)));
        for (int i = 0; i < W; i++)
            assert_same("SIGN", y[i], a[i] != a[i] ? a[i] : (float)((a[i] > 0) - (a[i] < 0)), a[i], 0);
    }
}

static void T(test_binary)(void **state)
{
    (void)state;
    float a[W], b[W], y[W];
    uint64_t seed = 2;
    for (int round = 0; round < 20000 / W; round++) {
        fill(a, b, W, round, &seed);
#define CHECK(op)                                             \
    V(ST)(y, V(op)(V(LD)(a), V(LD)(b)));                      \
    for (int i = 0; i < W; i++)                               \
        assert_same(#op, y[i], V1_##op(a[i], b[i]), a[i], b[i]);
        BINARY(CHECK)
#undef CHECK
    }
}

static void T(test_fma)(void **state)
{
    (void)state;
    float a[W], b[W], c[W], y[W];
    for (int i = 0; i < W; i++) {
        a[i] = 1 + (float)(i + 1) * 0x1p-20f;
        b[i] = 1 - (float)(i + 1) * 0x1p-20f;
        c[i] = -1;
    }
    float exact[W], back[W];
    int32_t bits[W];
    V(IST)(bits, V(BITS)(V(LD)(a)));
    V(ST)(back, V(FBITS)(V(ILD)(bits)));
    V(ST)(exact, V(FUSED)(V(LD)(a), V(LD)(b), V(LD)(c)));
    V(ST)(y, V(FMA)(V(LD)(a), V(LD)(b), V(LD)(c)));
    for (int i = 0; i < W; i++) {
        const float once = fmaf(a[i], b[i], c[i]);
        assert_true(exact[i] == once);
        assert_int_equal(bits[i], mlcc_bits_of_f32(a[i]));
        assert_true(back[i] == a[i]);
#if defined(__FMA__) || defined(__aarch64__)
        assert_true(y[i] == once);
#else
        assert_true(y[i] == once || y[i] == 0); /* a * b rounds to 1 */
#endif
    }
}

static void T(test_masks)(void **state)
{
    (void)state;
    float a[W], b[W], y[W];
    int32_t m[W];
    uint64_t seed = 3;
    for (int round = 0; round < 5000 / W; round++) {
        fill(a, b, W, round, &seed);
#define CHECK(op, c)                                                        \
    V(IST)(m, V(op)(V(LD)(a), V(LD)(b)));                                   \
    V(ST)(y, V(SEL)(V(op)(V(LD)(a), V(LD)(b)), V(LD)(a), V(SET)(7)));       \
    for (int i = 0; i < W; i++) {                                           \
        assert_int_equal(m[i], a[i] c b[i] ? -1 : 0);                       \
        assert_same("SEL", y[i], a[i] c b[i] ? a[i] : 7, a[i], b[i]);       \
    }
        COMPARE(CHECK)
#undef CHECK
    }
}

/* The documented order: lane i with lane i + W/2, until one is left. */
static float T(fold)(const float *x, int op)
{
    float t[W];
    memcpy(t, x, sizeof t);
    for (int h = W / 2; h > 0; h /= 2) {
        for (int i = 0; i < h; i++)
            t[i] = op == 0 ? t[i] + t[i + h] : op == 1 ? t[i] * t[i + h] : op == 2 ? mlcc_max_f32(t[i], t[i + h])
                                                                                : mlcc_min_f32(t[i], t[i + h]);
    }
    return t[0];
}

static void T(test_fold)(void **state)
{
    (void)state;
    float x[W];
    uint64_t seed = 4;
    for (int round = 0; round < 1000; round++) {
        for (int i = 0; i < W; i++)
            x[i] = ldexpf((float)(int32_t)next_random(&seed), (int)(next_random(&seed) % 8) - 32);
        if (round >= 900)
            x[round % W] = round % 2 ? NAN : 0;
        const F v = V(LD)(x);
        assert_same("HSUM", V(HSUM)(v), T(fold)(x, 0), x[0], 0);
        assert_same("HPROD", V(HPROD)(v), T(fold)(x, 1), x[0], 0);
        assert_same("HMAX", V(HMAX)(v), T(fold)(x, 2), x[0], 0);
        assert_same("HMIN", V(HMIN)(v), T(fold)(x, 3), x[0], 0);
    }
}

/* Buffers of n floats to the byte, for the address sanitizer; guards for everybody else. */
static void T(test_partial)(void **state)
{
    (void)state;
    for (int n = 0; n <= W; n++) {
        float *p = malloc(n ? (size_t)n * sizeof *p : 1), y[W], to[W + 2];
        assert_non_null(p);
        for (int i = 0; i < n; i++)
            p[i] = (float)(i + 1);
        V(ST)(y, V(LDN)(p, n));
        for (int i = 0; i < W; i++)
            assert_same("LDN", y[i], i < n ? (float)(i + 1) : 0, (float)n, 0);
        V(STN)(p, V(SET)(9), n);
        for (int i = 0; i < n; i++)
            assert_true(p[i] == 9);
        for (int i = 0; i < W + 2; i++)
            to[i] = -1;
        V(STN)(to + 1, V(SET)(5), n);
        for (int i = 0; i < W + 2; i++)
            assert_same("STN", to[i], i >= 1 && i < n + 1 ? 5 : -1, (float)n, (float)i);
        free(p);
    }
}

static void T(test_strided)(void **state)
{
    (void)state;
    enum { S = 3 };
    float x[S * W], y[W], to[S * W];
    for (int i = 0; i < S * W; i++)
        x[i] = (float)i;
    for (int n = 0; n <= W; n++) {
        V(ST)(y, V(GATHER)(x + 1, S, n));
        for (int i = 0; i < W; i++)
            assert_same("GATHER", y[i], i < n ? (float)(1 + S * i) : 0, (float)n, 0);
        V(ST)(y, V(GATHER)(x + S * (n ? n - 1 : 0), -S, n));
        for (int i = 0; i < W; i++)
            assert_same("GATHER", y[i], i < n ? (float)(S * (n - 1 - i)) : 0, (float)n, 0);
        memset(to, 0, sizeof to);
        V(SCATTER)(to, S, V(SET)(2), n);
        for (int i = 0; i < S * W; i++)
            assert_same("SCATTER", to[i], i % S == 0 && i / S < n ? 2 : 0, (float)n, (float)i);
    }
    for (int s = 1; s <= 5; s++)
        for (int n = 1; n <= W; n++) { /* memory that ends with the last element */
            float *p = malloc(sizeof *p * (size_t)(s * (n - 1) + 1));
            assert_non_null(p);
            for (int i = 0; i <= s * (n - 1); i++)
                p[i] = (float)i;
            V(ST)(y, V(GATHER)(p, s, n));
            for (int i = 0; i < W; i++)
                assert_same("GATHER", y[i], i < n ? (float)(s * i) : 0, (float)n, (float)s);
            free(p);
        }
}

static void T(test_integers)(void **state)
{
    (void)state;
    int32_t a[W], b[W], y[W];
    float f[W], g[W];
    int8_t s[W];
    uint8_t u[W];
    uint64_t seed = 5;
    for (int round = 0; round < 5000 / W; round++) {
        fill(f, g, W, round, &seed);
        for (int i = 0; i < W; i++) {
            a[i] = (int32_t)next_random(&seed);
            b[i] = (int32_t)next_random(&seed);
            s[i] = (int8_t)a[i];
            u[i] = (uint8_t)b[i];
        }
#define CHECK(value, want)              \
    V(IST)(y, value);                   \
    for (int i = 0; i < W; i++)         \
        assert_int_equal(y[i], want);
        CHECK(V(IADD)(V(ILD)(a), V(ILD)(b)), mlcc_add_i32(a[i], b[i]))
        CHECK(V(ISUB)(V(ILD)(a), V(ILD)(b)), mlcc_sub_i32(a[i], b[i]))
        CHECK(V(IMUL)(V(ILD)(a), V(ISET)(12345)), mlcc_mul_i32(a[i], 12345))
        CHECK(V(FTOI)(V(LD)(f)), mlcc_trunc_i32((double)f[i]))
        CHECK(V(LDI8)(s), s[i])
        CHECK(V(LDU8)(u), u[i])
#undef CHECK
        V(ST)(g, V(ITOF)(V(ILD)(a)));
        for (int i = 0; i < W; i++)
            assert_true(g[i] == (float)a[i]);
    }
}

#if W > 1
#define L MLCC_JOIN(v, W, l)
#define STORE_LONG(to, v)                                           \
    do {                                                            \
        const L l_ = (v);                                           \
        for (int i_ = 0; i_ < W; i_++)                              \
            (to)[i_] = i_ % 2 ? l_.odd[i_ / 2] : l_.even[i_ / 2];   \
    } while (0)

static int32_t T(byte)(int32_t lane, int k, bool is_signed)
{
    const int32_t b = (int32_t)((uint32_t)lane >> 8 * k & 255);
    return is_signed ? (int8_t)b : b;
}

static int32_t T(dot)(int32_t x, int32_t w, int32_t c, bool xs, bool ws)
{
    for (int k = 0; k < 4; k++)
        c = mlcc_add_i32(c, T(byte)(x, k, xs) * T(byte)(w, k, ws));
    return c;
}

/* As many vectors as there are lanes, each summed in the order of HSUM. */
static void T(test_sums)(void **state)
{
    (void)state;
    F v[W];
    uint64_t seed = 21;
    for (int round = 0; round < 1000; round++) {
        float x[W], y[W];
        for (int k = 0; k < W; k++) {
            for (int i = 0; i < W; i++)
                x[i] = ldexpf((float)(int32_t)next_random(&seed), (int)(next_random(&seed) % 8) - 32);
            v[k] = V(LD)(x);
        }
#if W == 4
        V(ST)(y, V4_SUMS(v[0], v[1], v[2], v[3]));
#elif W == 8
        V(ST)(y, V8_SUMS(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]));
#else
        V(ST)(y, V16_SUMS(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11], v[12], v[13], v[14], v[15]));
#endif
        for (int k = 0; k < W; k++)
            assert_same("SUMS", y[k], V(HSUM)(v[k]), (float)k, 0);
    }
}

/* Neighbours of two vectors added up; two floats by turns, also where they are aligned to four bytes alone. */
static void T(test_twins)(void **state)
{
    (void)state;
    float x[2 * W + 1], y[W], z[W];
    for (int k = 0; k <= 2 * W; k++)
        x[k] = (float)(1 << k % 20) + 0.25f * (float)k;
    V(ST)(y, V(TWINS)(V(LD)(x), V(LD)(x + W)));
    V(ST)(z, V(SET2)(x + 1));
    for (int k = 0; k < W; k++) {
        assert_same("TWINS", y[k], x[2 * k] + x[2 * k + 1], (float)k, 0);
        assert_same("SET2", z[k], x[1 + k % 2], (float)k, 0);
    }
}

/* Shifts, choices, sums of products; edge values are frequent. */
static void T(test_ints)(void **state)
{
    (void)state;
    static const int32_t edges[] = {0, 1, -1, INT32_MIN, INT32_MAX, 127, -128, 128, 255, 256, -129, 32767, -32768, 31, 32, 33};
    int32_t a[W], b[W], c[W], y[W];
    uint64_t seed = 6;
    for (int round = 0; round < 20000 / W; round++) {
        for (int i = 0; i < W; i++) {
            a[i] = next_random(&seed) % 3 ? (int32_t)next_random(&seed) : edges[next_random(&seed) % 16];
            b[i] = next_random(&seed) % 3 ? (int32_t)next_random(&seed) : edges[next_random(&seed) % 16];
            c[i] = (int32_t)next_random(&seed);
        }
        const I va = V(ILD)(a), vb = V(ILD)(b), vc = V(ILD)(c);
#define CHECK(value, want)              \
    V(IST)(y, value);                   \
    for (int i = 0; i < W; i++)         \
        assert_int_equal(y[i], want);
        CHECK(V(INEG)(va), mlcc_sub_i32(0, a[i]))
        CHECK(V(IABS)(va), a[i] < 0 ? mlcc_sub_i32(0, a[i]) : a[i])
        CHECK(V(INOT)(va), ~a[i])
        CHECK(V(IAND)(va, vb), a[i] & b[i])
        CHECK(V(IOR)(va, vb), a[i] | b[i])
        CHECK(V(IXOR)(va, vb), a[i] ^ b[i])
        CHECK(V(IMIN)(va, vb), a[i] < b[i] ? a[i] : b[i])
        CHECK(V(IMAX)(va, vb), a[i] > b[i] ? a[i] : b[i])
        CHECK(V(IEQ)(va, vb), -(a[i] == b[i]))
        CHECK(V(INE)(va, vb), -(a[i] != b[i]))
        CHECK(V(ILT)(va, vb), -(a[i] < b[i]))
        CHECK(V(ILE)(va, vb), -(a[i] <= b[i]))
        CHECK(V(ISEL)(V(ILT)(va, vb), vc, va), a[i] < b[i] ? c[i] : a[i])
        CHECK(V(ISHL)(va, vb), mlcc_shl_i32(a[i], b[i]))
        CHECK(V(ISHR)(va, vb), mlcc_shr_i32(a[i], b[i]))
        CHECK(V(SATI8)(va), mlcc_sat_i8(a[i]))
        CHECK(V(SATU8)(va), mlcc_sat_u8(a[i]))
        CHECK(V(SATI16)(va), mlcc_sat_i16(a[i]))
        CHECK(V(SATU16)(va), mlcc_sat_u16(a[i]))
        CHECK(V(WRAPI8)(va), (int8_t)(a[i] & 255))
        CHECK(V(WRAPU8)(va), (uint8_t)a[i])
        CHECK(V(WRAPI16)(va), (int16_t)(a[i] & 65535))
        CHECK(V(WRAPU16)(va), (uint16_t)a[i])
        CHECK(V(IMAC)(V(WRAPU16)(va), vb, vc), mlcc_add_i32(c[i], (int16_t)(a[i] & 65535) * (int16_t)(b[i] & 65535)))
        CHECK(V(DOTUS)(va, vb, vc), T(dot)(a[i], b[i], c[i], false, true))
        CHECK(V(DOTSS)(va, vb, vc), T(dot)(a[i], b[i], c[i], true, true))
        CHECK(V(DOTUU)(va, vb, vc), T(dot)(a[i], b[i], c[i], false, false))
        CHECK(V(DOTI16)(va, vb, vc), mlcc_add_i32(c[i], mlcc_add_i32((int16_t)(a[i] & 65535) * (int16_t)(b[i] & 65535), (a[i] >> 16) * (b[i] >> 16))))
        int32_t sum = 0, prod = 1, least = a[0], most = a[0];
        for (int i = 0; i < W; i++) {
            sum = mlcc_add_i32(sum, a[i]);
            prod = mlcc_mul_i32(prod, a[i]);
            least = a[i] < least ? a[i] : least;
            most = a[i] > most ? a[i] : most;
        }
        assert_int_equal(V(IHSUM)(va), sum);
        assert_int_equal(V(IHPROD)(va), prod);
        assert_int_equal(V(IHMIN)(va), least);
        assert_int_equal(V(IHMAX)(va), most);
    }
}

static int32_t T(six_bits)(uint32_t bits) { return (int32_t)((bits & 0x1f1f1f1f) | (bits & 0x20202020) * 7); }

/* Weights from -32 to 31, or with -128 and 127 + 1 in one sum, met by 0 and 255: all sums of the four products have 16 bits. */
static void T(test_two_dots)(void **state)
{
    (void)state;
    int32_t x[W], w[W], u[W], v[W], c[W], y[W];
    uint64_t seed = 22;
    for (int round = 0; round < 20000 / W; round++) {
        for (int i = 0; i < W; i++) {
            const bool ends = next_random(&seed) % 2;
            x[i] = (int32_t)(ends ? (next_random(&seed) & 0x01010101) * 255 : next_random(&seed));
            u[i] = (int32_t)(ends ? (next_random(&seed) & 0x01010101) * 255 : next_random(&seed));
            w[i] = ends ? 0x7f807f80 : T(six_bits)(next_random(&seed));
            v[i] = ends ? 0x01000100 : T(six_bits)(next_random(&seed));
            c[i] = (int32_t)next_random(&seed);
        }
        const I vx = V(ILD)(x), vw = V(ILD)(w), vu = V(ILD)(u), vv = V(ILD)(v), vc = V(ILD)(c);
        CHECK(V(DOTUS2)(vx, vw, vu, vv, vc), T(dot)(u[i], v[i], T(dot)(x[i], w[i], c[i], false, true), false, true))
        CHECK(V(DOTUS2)(vu, vv, vx, vw, vc), T(dot)(u[i], v[i], T(dot)(x[i], w[i], c[i], false, true), false, true))
    }
}

static void T(test_longs)(void **state)
{
    (void)state;
    int32_t a[W], b[W], y[W];
    int64_t y64[W], n[W];
    uint64_t seed = 7;
    for (int round = 0; round < 20000 / W; round++) {
        for (int i = 0; i < W; i++) {
            a[i] = next_random(&seed) % 16 ? (int32_t)next_random(&seed) : INT32_MIN;
            b[i] = next_random(&seed) % 16 ? (int32_t)next_random(&seed) : INT32_MAX;
            n[i] = b[i] % 70;
        }
        const I va = V(ILD)(a), vb = V(ILD)(b);
        const L p = V(LMUL)(va, vb), wa = V(LOFI)(va), k = V(LSET)(-35046933135360);
#define LCHECK(value, want)             \
    STORE_LONG(y64, value);             \
    for (int i = 0; i < W; i++)         \
        assert_true(y64[i] == (want));
        LCHECK(p, (int64_t)a[i] * b[i])
        LCHECK(wa, a[i])
        LCHECK(k, -35046933135360)
        LCHECK(V(LADD)(p, k), (int64_t)a[i] * b[i] - 35046933135360)
        LCHECK(V(LSUB)(p, k), (int64_t)a[i] * b[i] + 35046933135360)
        LCHECK(V(LAND)(p, k), ((int64_t)a[i] * b[i]) & -35046933135360)
        LCHECK(V(LMIN)(p, k), (int64_t)a[i] * b[i] < -35046933135360 ? (int64_t)a[i] * b[i] : -35046933135360)
        LCHECK(V(LMAX)(p, k), (int64_t)a[i] * b[i] > -35046933135360 ? (int64_t)a[i] * b[i] : -35046933135360)
        for (int i = 0; i < W; i++)
            y[i] = (int32_t)n[i];
        const L count = V(LOFI)(V(ILD)(y));
        LCHECK(V(LSHR)(p, count), mlcc_shr_i64((int64_t)a[i] * b[i], n[i]))
        LCHECK(V(LSHL)(p, count), mlcc_shl_i64((int64_t)a[i] * b[i], n[i]))
        CHECK(V(IOFL)(p), mlcc_mul_i32(a[i], b[i]))
        CHECK(V(LSAT)(p), mlcc_sat_i32((int64_t)a[i] * b[i]))
#define SHIFT(s) CHECK(V(ISHRL)(p, s), (int32_t)(uint32_t)(uint64_t)mlcc_shr_i64((int64_t)a[i] * b[i], s))
        SHIFT(0) SHIFT(1) SHIFT(15) SHIFT(31) SHIFT(32) SHIFT(37) SHIFT(63)
    }
}

/* Floats to bytes: edges, halves of whole numbers near the ends, random bits. */
static void T(test_saturated)(void **state)
{
    (void)state;
    float a[W], b[W];
    int32_t y[W];
    uint64_t seed = 9;
    for (int round = 0; round < 20000 / W; round++) {
        fill(a, b, W, round, &seed);
        for (int i = 0; i < W && round % 2; i++)
            a[i] = (float)(int32_t)(next_random(&seed) % 2048 - 1024) / 2;
        CHECK(V(FTOU8)(V(LD)(a)), mlcc_sat_u8(mlcc_trunc_i32((double)a[i])))
        CHECK(V(FTOI8)(V(LD)(a)), mlcc_sat_i8(mlcc_trunc_i32((double)a[i])))
        CHECK(V(RTOU8)(V(LD)(a)), mlcc_sat_u8(mlcc_trunc_i32((double)rintf(a[i]))))
        CHECK(V(RTOI8)(V(LD)(a)), mlcc_sat_i8(mlcc_trunc_i32((double)rintf(a[i]))))
    }
}

/* Bytes of several vectors, saturated: edges and values near them. */
static void T(test_packed)(void **state)
{
    (void)state;
    int32_t v[4 * W];
    uint64_t seed = 10;
    for (int round = 0; round < 2000; round++) {
        for (int i = 0; i < 4 * W; i++)
            v[i] = round % 2 ? (int32_t)next_random(&seed) : (int32_t)(next_random(&seed) % 800) - 400;
        const I a = V(ILD)(v), b = V(ILD)(v + W), c = V(ILD)(v + 2 * W), d = V(ILD)(v + 3 * W);
#define PACKED(t, type)                                          \
    {                                                            \
        type two[2 * W + 1], three[3 * W + 1], four[4 * W + 1];  \
        two[2 * W] = three[3 * W] = four[4 * W] = 77;            \
        V(ZIP3##t)(three, a, b, c);                              \
        for (int i = 0; i < 3 * W; i++)                          \
            assert_int_equal(three[i], (type)v[i % 3 * W + i / 3]); \
        V(STS2##t)(two, a, b);                                   \
        V(STS4##t)(four, a, b, c, d);                            \
        for (int i = 0; i < 4 * W; i++)                          \
            assert_int_equal(four[i], V(SAT##t)(V(ISET)(v[i]))[0]); \
        for (int i = 0; i < 2 * W; i++)                          \
            assert_int_equal(two[i], four[i]);                   \
        assert_true(two[2 * W] == 77 && three[3 * W] == 77 && four[4 * W] == 77); \
        int16_t words[7 * W + 1];                                \
        words[7 * W] = 77;                                       \
        V(STW2##t)(words, a, b);                                 \
        V(ZIP2W##t)(words + 2 * W, a, b);                        \
        V(STW##t)(words + 4 * W, a);                             \
        V(STWA##t)(words + 6 * W, words + 5 * W, a, b);          \
        for (int i = 0; i < 2 * W; i++)                          \
            assert_true(words[i] == four[i] && words[2 * W + i] == four[i % 2 * W + i / 2] && words[4 * W + i % W] == four[i % W]); \
        for (int i = 0; i < W; i++)                              \
            assert_true(words[6 * W + i] == four[i] && words[5 * W + i] == four[W + i]); \
        assert_int_equal(words[7 * W], 77);                      \
    }
        PACKED(U8, uint8_t)
        PACKED(I8, int8_t)
#undef PACKED
        int16_t three[3 * W + 1];
        three[3 * W] = 77;
        V(ZIP3I16)(three, a, b, c);
        for (int i = 0; i < 3 * W; i++)
            assert_int_equal(three[i], (int16_t)v[i % 3 * W + i / 3]);
        assert_int_equal(three[3 * W], 77);
    }
}

/* Integers to bf16, clipped: of all sizes, and tops that have no 16 bits. */
static void T(test_clipped)(void **state)
{
    (void)state;
    int32_t v[2 * W];
    float top[2 * W];
    uint64_t seed = 11;
    for (int round = 0; round < 2000; round++) {
        for (int i = 0; i < 2 * W; i++) {
            v[i] = (int32_t)next_random(&seed) >> next_random(&seed) % 32;
            top[i] = ldexpf(1 + (float)(next_random(&seed) % 4096) / 4096, (int)(next_random(&seed) % 34));
        }
        const I a = V(ILD)(v), b = V(ILD)(v + W);
        const F s = V(LD)(top), t = V(LD)(top + W);
        uint16_t apart[3 * W], each[2 * W];
        memset(apart, 77, sizeof apart);
        V(STABFC)(apart + 2 * W, apart, a, b, s, t);
        V(STBFZ)(each, V(MIN)(V(MAX)(V(ITOF)(a), V(SET)(0.0f)), s));
        V(STBFZ)(each + W, V(MIN)(V(MAX)(V(ITOF)(b), V(SET)(0.0f)), t));
        for (int i = 0; i < W; i++) {
            assert_int_equal(apart[2 * W + i], each[i]);
            assert_int_equal(apart[i], each[W + i]);
            assert_int_equal(apart[W + i], 0x4d4d);
        }
    }
}

/* Narrow elements: all lanes and some, side by side and apart, nothing beyond them touched. */
#define NARROW(X) X(I8, int8_t) X(U8, uint8_t) X(I16, int16_t) X(U16, uint16_t)

static void T(test_narrow)(void **state)
{
    (void)state;
    enum { MOST = 4 };
    int32_t v[W], y[W];
    uint64_t seed = 8;
    for (int k = 0; k < 2 * (W + 1); k++) {
        const int n = k / 2, S = 3 + k % 2;
        for (int i = 0; i < W; i++)
            v[i] = (int32_t)next_random(&seed) >> (i % 3 ? 20 : 0);
#define EACH(name, type)                                                            \
    {                                                                               \
        type *p = malloc(n ? (size_t)n * sizeof *p : 1), all[W], to[MOST * W + 2];  \
        assert_non_null(p);                                                         \
        V(ST##name)(all, V(ILD)(v));                                                \
        CHECK(V(LD##name)(all), (type)v[i])                                         \
        V(STS##name)(all, V(ILD)(v));                                               \
        CHECK(V(LD##name)(all), (type)V(SAT##name)(V(ISET)(v[i]))[0])               \
        V(STN##name)(p, V(ILD)(v), n);                                              \
        CHECK(V(LDN##name)(p, n), i < n ? (type)v[i] : 0)                           \
        memset(to, 77, sizeof to);                                                  \
        V(STN##name)(to + 1, V(ILD)(v), n);                                         \
        for (int i = 0; i < W + 2; i++)                                             \
            assert_int_equal(to[i], i >= 1 && i <= n ? (type)v[i - 1] : to[MOST * W + 1]); \
        memset(to, 77, sizeof to);                                                  \
        V(SCATTER##name)(to, S, V(ILD)(v), n);                                      \
        for (int i = 0; i < S * W; i++)                                             \
            assert_int_equal(to[i], i % S == 0 && i / S < n ? (type)v[i / S] : to[MOST * W + 1]); \
        CHECK(V(GATHER##name)(to, S, n), i < n ? (type)v[i] : 0)                    \
        free(p);                                                                    \
    }
        NARROW(EACH)
#undef EACH
        int32_t *p = malloc(n ? (size_t)n * sizeof *p : 1), to[MOST * W];
        assert_non_null(p);
        V(ISTN)(p, V(ILD)(v), n);
        CHECK(V(ILDN)(p, n), i < n ? v[i] : 0)
        free(p);
        memset(to, 77, sizeof to);
        V(ISCATTER)(to, S, V(ILD)(v), n);
        CHECK(V(IGATHER)(to, S, n), i < n ? v[i] : 0)
        assert_true(n == W || to[S * n] == 0x4d4d4d4d);
    }
}

static void T(test_halves)(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h += W) {
        uint16_t from[W], to[3 * W];
        float y[W];
        const int n = (int)(h / W) % (W + 1);
        for (uint32_t i = 0; i < W; i++)
            from[i] = (uint16_t)(h + i);
        V(ST)(y, V(LDHF)(from));
        for (int i = 0; i < W; i++)
            assert_same("LDHF", y[i], mlcc_f32_of_f16(from[i]), 0, 0);
        V(STHF)(to, V(LD)(y));
        for (int i = 0; i < W; i++)
            assert_int_equal(to[i], mlcc_f16_of_f32(y[i]));
        V(STNBF)(to, V(LD)(y), n);
        for (int i = 0; i < n; i++)
            assert_int_equal(to[i], mlcc_bf16_of_f32(y[i]));
        to[n] = 0x5a5a;
        V(STNBFZ)(to, V(LD)(y), n);
        for (int i = 0; i < n; i++)
            assert_int_equal(to[i], mlcc_bf16_of_f32(y[i])); /* halves are in the normal range of f32 */
        assert_int_equal(to[n], 0x5a5a);
        V(SCATTERHF)(to, 3, V(LD)(y), n);
        V(ST)(y, V(GATHERHF)(to, 3, n));
        for (int i = 0; i < W; i++)
            assert_same("GATHERHF", y[i], i < n ? mlcc_f32_of_f16(from[i]) : 0, 0, 0);
        V(ST)(y, V(LDNHF)(from, n));
        for (int i = 0; i < W; i++)
            assert_same("LDNHF", y[i], i < n ? mlcc_f32_of_f16(from[i]) : 0, 0, 0);
        V(ST)(y, V(LDNBF)(from, n));
        for (int i = 0; i < W; i++)
            assert_same("LDNBF", y[i], i < n ? mlcc_f32_of_bf16(from[i]) : 0, 0, 0);
    }
}
#undef CHECK
#undef LCHECK
#undef SHIFT
#undef NARROW
#undef STORE_LONG
#undef L
#endif

static void T(test_bf16)(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h += W) {
        uint16_t from[W], to[W];
        float y[W];
        for (uint32_t i = 0; i < W; i++)
            from[i] = (uint16_t)(h + i);
        V(ST)(y, V(LDBF)(from));
        for (int i = 0; i < W; i++) {
            assert_same("LDBF", y[i], mlcc_f32_of_bf16(from[i]), 0, 0);
            y[i] = mlcc_f32_of_bits((uint32_t)from[i] << 16 | (uint32_t)((h * 77 + (uint32_t)i * 0x8000) & 0xffff));
        }
        V(STBF)(to, V(LD)(y));
        for (int i = 0; i < W; i++)
            assert_int_equal(to[i], mlcc_bf16_of_f32(y[i]));
        V(STBFZ)(to, V(LD)(y));
        for (int i = 0; i < W; i++)
            assert_true(to[i] == mlcc_bf16_of_f32(y[i]) || (fabsf(y[i]) < 0x1p-126f && (to[i] & 0x7fff) == 0));
    }
}

#if W > 1
/* Four vectors by turns, as each is stored alone. */
static void T(test_zip4)(void **state)
{
    (void)state;
    float x[4 * W];
    uint16_t alone[4 * W], by_turns[4 * W + 1];
    uint64_t seed = 11;
    by_turns[4 * W] = 77;
    for (int round = 0; round < 2000; round++) {
        for (int i = 0; i < 4 * W; i++)
            x[i] = mlcc_f32_of_bits((uint32_t)next_random(&seed));
#define ZIPPED(t)                                                                           \
    {                                                                                       \
        for (int k = 0; k < 4; k++)                                                         \
            V(ST##t)(alone + k * W, V(LD)(x + k * W));                                      \
        V(ZIP4##t)(by_turns, V(LD)(x), V(LD)(x + W), V(LD)(x + 2 * W), V(LD)(x + 3 * W));   \
        for (int i = 0; i < 4 * W; i++)                                                     \
            assert_int_equal(by_turns[i], alone[i % 4 * W + i / 4]);                        \
    }
        ZIPPED(BF)
        ZIPPED(BFZ)
#undef ZIPPED
    }
    assert_int_equal(by_turns[4 * W], 77);
}

/* Floats by twos: whole numbers of 16 bits, beyond them the nearest, of NaN the least; nothing behind them touched. */
static void T(test_zip2)(void **state)
{
    (void)state;
    float x[2 * W];
    int16_t y[2 * W + 1];
    uint64_t seed = 12;
    y[2 * W] = 77;
    for (int round = 0; round < 20000 / W; round++) {
        fill(x, x + W, W, round, &seed);
        for (int i = 0; i < 2 * W && round % 2; i++)
            x[i] = (float)(int32_t)(next_random(&seed) % 140000 - 70000) / 2;
        V(ZIP2RI16)(y, V(LD)(x), V(LD)(x + W));
        for (int i = 0; i < 2 * W; i++) {
            const float v = x[i % 2 * W + i / 2];
            assert_int_equal(y[i], v == v ? mlcc_sat_i16(mlcc_trunc_i32((double)rintf(v))) : -32768);
        }
    }
    assert_int_equal(y[2 * W], 77);
}

static void T(test_pairs)(void **state)
{
    (void)state;
    uint16_t x[2 * W], w[2 * W];
    float c[W], y[W];
    int32_t words[W];
    uint64_t seed = 9;
    for (int round = 0; round < 20000 / W; round++) {
        for (int i = 0; i < 2 * W; i++) {
            x[i] = mlcc_bf16_of_f32(ldexpf((float)(int32_t)next_random(&seed), -31));
            w[i] = mlcc_bf16_of_f32(ldexpf((float)(int32_t)next_random(&seed), -31));
        }
        for (int i = 0; i < W; i++)
            c[i] = ldexpf((float)(int32_t)next_random(&seed), -30);
        V(ST)(y, V(DOTBF)(V(LDQ)(x), V(LDQ)(w), V(LD)(c)));
        for (int i = 0; i < W; i++) {
            const double p = (double)mlcc_f32_of_bf16(x[2 * i]) * (double)mlcc_f32_of_bf16(w[2 * i]);
            const double q = (double)mlcc_f32_of_bf16(x[2 * i + 1]) * (double)mlcc_f32_of_bf16(w[2 * i + 1]);
            assert_true(fabs((double)y[i] - ((double)c[i] + p + q)) <= 0x1p-23 * (fabs((double)c[i]) + fabs(p) + fabs(q)));
        }
        V(IST)(words, V(SETQ)(x + 2));
        for (int i = 0; i < W; i++)
            assert_memory_equal(&words[i], x + 2, 4);
        V(IST)(words, V(SET2Q)(x + 1));
        for (int i = 0; i < W; i++)
            assert_memory_equal(&words[i], x + 1 + 2 * (i % 2), 4);
        const int n = round % (W + 1);
        V(IST)(words, V(LDNQ)(x, n));
        assert_memory_equal(words, x, 4 * (size_t)n);
        for (int i = n; i < W; i++)
            assert_int_equal(words[i], 0);
    }
}

/* Bytes as they are in memory, for whole vectors and for the first lanes; nothing behind those is read. */
static void T(test_words)(void **state)
{
    (void)state;
    int16_t words[2 * W];
    uint8_t bytes[2 * W];
    for (int i = 0; i < 2 * W; i++)
        bytes[i] = (uint8_t)(i * 37 + 100);
    for (int n = 0; n <= W; n++) {
        uint8_t *some = malloc(2 * (size_t)n + 1);
        memcpy(some, bytes, 2 * (size_t)n);
        for (int sign = 0; sign < 2; sign++) {
            const I v = n < W ? (sign ? V(LDNWI8)(some, n) : V(LDNWU8)(some, n)) : sign ? V(LDWI8)(some) : V(LDWU8)(some);
            memcpy(words, &v, sizeof v);
            for (int i = 0; i < 2 * W; i++)
                assert_int_equal(words[i], i >= 2 * n ? 0 : sign ? (int8_t)bytes[i] : bytes[i]);
        }
        free(some);
    }
}

/* Sums of 16 bits, against those of 32 bits of which the low halves are stored. */
static void T(test_word_sums)(void **state)
{
    (void)state;
    int16_t x[2 * W + 1], y[2 * W], out[2 * W + 2];
    uint64_t seed = 11;
    for (int round = 0; round < 2000; round++) {
        for (int i = 0; i < 2 * W; i++) {
            x[i + 1] = (int16_t)next_random(&seed);
            y[i] = (int16_t)next_random(&seed);
        }
        const int16_t k = x[1];
        const I a = V(LDQ)(x + 1), b = V(LDQ)(y);
        out[0] = out[2 * W + 1] = 77;
        V(STQ)(out + 1, V(WADD)(V(WSUB)(a, b), V(WSHL)(V(WSET)(k), 3)));
        for (int i = 0; i < 2 * W; i++)
            assert_int_equal(out[i + 1], (int16_t)(uint16_t)((uint32_t)x[i + 1] - (uint32_t)y[i] + ((uint32_t)k << 3)));
        assert_true(out[0] == 77 && out[2 * W + 1] == 77);
    }
}
#endif

static void T(test_barriers)(void **state)
{
    (void)state;
    float x[W], y[W];
    for (int i = 0; i < W; i++)
        x[i] = (float)i;
    F v = V(LD)(x);
    V(KEEP)(v);
    V(FENCE)();
    V(PIN)(v);
    V(ST)(y, v);
    assert_memory_equal(x, y, sizeof x);
}

#define FUNCTIONS(X) X(EXP, exp, 1.2) X(LOG, log, 1.0) X(LOG1P, log1p, 2.0) X(TANH, tanh, 3.0) X(SIGMOID, sigmoid, 2.5) X(ERF, erf, 1.5) \
    X(SIN, sin, 1.6) X(COS, cos, 1.6) X(ATAN, atan, 1.9)

#define WRAP(op, exact, bound) static void T(map_##op)(const float *x, float *y) { V(ST)(y, V(op)(V(LD)(x))); }
FUNCTIONS(WRAP)
#undef WRAP

static void T(test_functions)(void **state)
{
    (void)state;
#define CHECK(op, exact, bound) assert_ulps(#op, W, T(map_##op), exact, bound);
    FUNCTIONS(CHECK)
#undef CHECK
}

/* Powers: edges with edges, random bits, and bases and exponents most of whose powers neither overflow nor vanish. */
static void T(test_pow)(void **state)
{
    (void)state;
    float a[W], b[W], y[W];
    double worst = 0;
    uint64_t seed = 11;
    for (int round = 0; round < 2000000 / W; round++) {
        fill(a, b, W, round, &seed);
        for (int i = 0; i < W && round * W > NEDGE * NEDGE && round % 4; i++) {
            b[i] = ldexpf((float)(int32_t)next_random(&seed), -28);
            a[i] = round % 4 == 1 ? fabsf(a[i]) : expf(ldexpf((float)(int32_t)next_random(&seed), round % 4 == 2 ? -28 : -34));
        }
        V(ST)(y, V(POW)(V(LD)(a), V(LD)(b)));
        for (int i = 0; i < W; i++) {
            const double exact = pow((double)a[i], (double)b[i]), u = ulps(y[i], exact);
            worst = u > worst ? u : worst;
            if (u > 0.6 || (y[i] == y[i] && signbit(y[i]) != signbit((float)exact)))
                fail_msg("V%d_POW(%.9g, %.9g) is %.9g, not %.17g", W, (double)a[i], (double)b[i], (double)y[i], exact);
        }
    }
    print_message("V%d_POW: %.3f ulp\n", W, worst);
}

/* The short forms, from where they end to where they end, and at what is no number. */
static void T(test_short_functions)(void **state)
{
    (void)state;
    float x[W], y[W], z[W];
    for (float from = -40; from < 40; from += 0.001f * W) {
        for (int i = 0; i < W; i++)
            x[i] = from + 0.001f * (float)i;
        V(ST)(y, V(SIGMOIDB)(V(LD)(x)));
        V(ST)(z, V(ERFQ)(V(LD)(x)));
        for (int i = 0; i < W; i++)
            assert_true(fabs((double)z[i] - erf((double)x[i])) <= 0x1p-17);
        V(ST)(z, V(ERFB)(V(LD)(x)));
        for (int i = 0; i < W; i++) {
            const double s = sigmoid((double)fmaxf(x[i], -32.0f));
            assert_true(fabs((double)y[i] - s) <= 0x1p-12 * s);
            assert_true(fabs((double)z[i] - erf((double)x[i])) <= 0x1p-14);
        }
    }
    for (int i = 0; i < W; i++)
        x[i] = i % 3 == 0 ? NAN : i % 3 == 1 ? INFINITY : -INFINITY;
    V(ST)(y, V(SIGMOIDB)(V(LD)(x)));
    V(ST)(z, V(ERFB)(V(LD)(x)));
    for (int i = 0; i < W; i++) {
        assert_true(x[i] != x[i] ? y[i] != y[i] && z[i] != z[i] : fabsf(z[i] - copysignf(1, x[i])) < 0x1p-14f);
        assert_true(x[i] != x[i] || fabsf(y[i] - (float)(x[i] > 0)) < 0x1p-12f);
    }
}

#if W > 1
static void T(test_lookup)(void **state)
{
    (void)state;
    uint8_t table[256];
    int32_t at[W], y[W], z[W];
    for (int k = 0; k < 256; k++)
        table[k] = (uint8_t)(k * 77 + 5);
    for (int k = 0; k < 256; k++) {
        for (int i = 0; i < W; i++)
            at[i] = (k * 31 + i * 53) & 255;
        V(IST)(y, V(LOOKUPU8)(table, V(ILD)(at)));
        V(IST)(z, V(LOOKUPI8)((const int8_t *)table, V(ILD)(at)));
        for (int i = 0; i < W; i++) {
            assert_int_equal(y[i], table[at[i]]);
            assert_int_equal(z[i], (int8_t)table[at[i]]);
        }
    }
}
#endif

/* Values that a sweep steps over. */
static void T(test_special)(void **state)
{
    (void)state;
    static const float more[] = {88.72283f, 88.722839f, -87.33655f, -103.97207f, -103.97209f, 9.02f, -9.02f, 0.92f,
                                 3.92f, 0.70710678f, 1.41421356f, 0.99999994f, 1.0000001f, 1e-30f, -17, 17};
    for (size_t k = 0; k < NEDGE + sizeof more / sizeof *more; k++) {
        float x[W], y[W];
        for (int i = 0; i < W; i++)
            x[i] = k < NEDGE ? edge[k] : more[k - NEDGE];
#define CHECK(op, exact, bound)                                                                     \
    T(map_##op)(x, y);                                                                              \
    for (int i = 0; i < W; i++)                                                                     \
        if (ulps(y[i], exact((double)x[i])) > (bound))                                              \
            fail_msg("%s(%.9g) is %.9g, not %.9g", #op, (double)x[i], (double)y[i], exact((double)x[i]));
        FUNCTIONS(CHECK)
#undef CHECK
    }
    float zero[W], y[W];
    for (int i = 0; i < W; i++)
        zero[i] = -0.0f;
    T(map_TANH)(zero, y);
    assert_same("TANH", y[0], -0.0f, 0, 0);
    T(map_ERF)(zero, y);
    assert_same("ERF", y[0], -0.0f, 0, 0);
}

#undef FUNCTIONS
#undef UNARY
#undef BINARY
#undef COMPARE
#undef V
#undef T
#undef F
#undef I

#endif

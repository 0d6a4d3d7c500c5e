/* SPDX-License-Identifier: 0BSD
 *
 * mlcc_op.h - the operations of emitted expressions that C does not have as an operator or libm function with the
 * meaning that ONNX gives them: named mlcc_<operation>_<type>. Every integer operation is defined for every value.
 */
#ifndef MLCC_OP_H
#define MLCC_OP_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* NaN if either is NaN; of equal operands the first. */
static inline float mlcc_min_f32(float a, float b) { return b < a || b != b ? b : a; }

static inline float mlcc_max_f32(float a, float b) { return b > a || b != b ? b : a; }

static inline float mlcc_sign_f32(float a) { return a != a ? a : (float)((a > 0) - (a < 0)); }

/* a - b * floor(a / b): the sign of b, as numpy.mod. */
static inline float mlcc_mod_f32(float a, float b)
{
    const float r = fmodf(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r != 0 ? r : copysignf(0, b);
}

/* NaN if either is NaN; of equal operands the first. */
static inline double mlcc_min_f64(double a, double b) { return b < a || b != b ? b : a; }

static inline double mlcc_max_f64(double a, double b) { return b > a || b != b ? b : a; }

static inline double mlcc_sign_f64(double a) { return a != a ? a : (double)((a > 0) - (a < 0)); }

/* a - b * floor(a / b): the sign of b, as numpy.mod. */
static inline double mlcc_mod_f64(double a, double b)
{
    const double r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r != 0 ? r : copysign(0, b);
}

static inline int32_t mlcc_add_i32(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }

static inline int32_t mlcc_sub_i32(int32_t a, int32_t b) { return (int32_t)((uint32_t)a - (uint32_t)b); }

static inline int32_t mlcc_mul_i32(int32_t a, int32_t b) { return (int32_t)((uint32_t)a * (uint32_t)b); }

static inline int32_t mlcc_neg_i32(int32_t a) { return (int32_t)(0u - (uint32_t)a); }

static inline int32_t mlcc_abs_i32(int32_t a) { return a < 0 ? (int32_t)(0u - (uint32_t)a) : a; }

static inline int32_t mlcc_sign_i32(int32_t a) { return (a > 0) - (a < 0); }

/* Truncates; a / 0 is 0. */
static inline int32_t mlcc_div_i32(int32_t a, int32_t b)
{
    return b == 0 ? 0 : b == -1 ? (int32_t)(0u - (uint32_t)a) : a / b;
}

/* Sign of the dividend; rem(a, 0) is 0. */
static inline int32_t mlcc_rem_i32(int32_t a, int32_t b) { return b == 0 || b == -1 ? 0 : a % b; }

/* Rounds to minus infinity; fdiv(a, 0) is 0. */
static inline int32_t mlcc_fdiv_i32(int32_t a, int32_t b)
{
    if (b == 0 || b == -1)
        return b == 0 ? 0 : (int32_t)(0u - (uint32_t)a);
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/* Sign of the divisor; mod(a, 0) is 0. */
static inline int32_t mlcc_mod_i32(int32_t a, int32_t b)
{
    const int32_t r = b == 0 || b == -1 ? 0 : a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static inline int32_t mlcc_shr_i32(int32_t a, int32_t n)
{
    const int k = n < 0 || n > 31 ? 31 : (int)n;
    return a < 0 ? (int32_t)~(~(uint32_t)a >> k) : a >> k;
}

static inline int32_t mlcc_shl_i32(int32_t a, int32_t n) { return n < 0 || n > 31 ? 0 : (int32_t)((uint32_t)a << n); }

static inline int32_t mlcc_min_i32(int32_t a, int32_t b) { return a < b ? a : b; }

static inline int32_t mlcc_max_i32(int32_t a, int32_t b) { return a > b ? a : b; }

/* By squaring, wrapping; a negative exponent gives 0 but for bases 1 and -1. */
static inline int32_t mlcc_pow_i32(int32_t a, int32_t n)
{
    uint32_t r = 1, base = (uint32_t)a;
    if (n < 0)
        return a == 1 ? 1 : a == -1 ? (n % 2 == 0 ? 1 : -1) : 0;
    for (uint32_t k = (uint32_t)n; k != 0; k >>= 1) {
        if (k & 1)
            r *= base;
        base *= base;
    }
    return (int32_t)r;
}

static inline int64_t mlcc_add_i64(int64_t a, int64_t b) { return (int64_t)((uint64_t)a + (uint64_t)b); }

static inline int64_t mlcc_sub_i64(int64_t a, int64_t b) { return (int64_t)((uint64_t)a - (uint64_t)b); }

static inline int64_t mlcc_mul_i64(int64_t a, int64_t b) { return (int64_t)((uint64_t)a * (uint64_t)b); }

static inline int64_t mlcc_neg_i64(int64_t a) { return (int64_t)(0u - (uint64_t)a); }

static inline int64_t mlcc_abs_i64(int64_t a) { return a < 0 ? (int64_t)(0u - (uint64_t)a) : a; }

static inline int64_t mlcc_sign_i64(int64_t a) { return (a > 0) - (a < 0); }

/* Truncates; a / 0 is 0. */
static inline int64_t mlcc_div_i64(int64_t a, int64_t b)
{
    return b == 0 ? 0 : b == -1 ? (int64_t)(0u - (uint64_t)a) : a / b;
}

/* Sign of the dividend; rem(a, 0) is 0. */
static inline int64_t mlcc_rem_i64(int64_t a, int64_t b) { return b == 0 || b == -1 ? 0 : a % b; }

/* Rounds to minus infinity; fdiv(a, 0) is 0. */
static inline int64_t mlcc_fdiv_i64(int64_t a, int64_t b)
{
    if (b == 0 || b == -1)
        return b == 0 ? 0 : (int64_t)(0u - (uint64_t)a);
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/* Sign of the divisor; mod(a, 0) is 0. */
static inline int64_t mlcc_mod_i64(int64_t a, int64_t b)
{
    const int64_t r = b == 0 || b == -1 ? 0 : a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static inline int64_t mlcc_shr_i64(int64_t a, int64_t n)
{
    const int k = n < 0 || n > 63 ? 63 : (int)n;
    return a < 0 ? (int64_t)~(~(uint64_t)a >> k) : a >> k;
}

static inline int64_t mlcc_shl_i64(int64_t a, int64_t n) { return n < 0 || n > 63 ? 0 : (int64_t)((uint64_t)a << n); }

static inline int64_t mlcc_min_i64(int64_t a, int64_t b) { return a < b ? a : b; }

static inline int64_t mlcc_max_i64(int64_t a, int64_t b) { return a > b ? a : b; }

/* By squaring, wrapping; a negative exponent gives 0 but for bases 1 and -1. */
static inline int64_t mlcc_pow_i64(int64_t a, int64_t n)
{
    uint64_t r = 1, base = (uint64_t)a;
    if (n < 0)
        return a == 1 ? 1 : a == -1 ? (n % 2 == 0 ? 1 : -1) : 0;
    for (uint64_t k = (uint64_t)n; k != 0; k >>= 1) {
        if (k & 1)
            r *= base;
        base *= base;
    }
    return (int64_t)r;
}

static inline uint32_t mlcc_abs_u32(uint32_t a) { return a; }

static inline uint32_t mlcc_neg_u32(uint32_t a) { return 0u - a; }

static inline uint32_t mlcc_sign_u32(uint32_t a) { return a > 0; }

static inline uint32_t mlcc_div_u32(uint32_t a, uint32_t b) { return b == 0 ? 0 : a / b; }

static inline uint32_t mlcc_fdiv_u32(uint32_t a, uint32_t b) { return b == 0 ? 0 : a / b; }

static inline uint32_t mlcc_rem_u32(uint32_t a, uint32_t b) { return b == 0 ? 0 : a % b; }

static inline uint32_t mlcc_mod_u32(uint32_t a, uint32_t b) { return b == 0 ? 0 : a % b; }

static inline uint32_t mlcc_shr_u32(uint32_t a, uint32_t n) { return n > 31 ? 0 : a >> n; }

static inline uint32_t mlcc_shl_u32(uint32_t a, uint32_t n) { return n > 31 ? 0 : a << n; }

static inline uint32_t mlcc_min_u32(uint32_t a, uint32_t b) { return a < b ? a : b; }

static inline uint32_t mlcc_max_u32(uint32_t a, uint32_t b) { return a > b ? a : b; }

/* By squaring, wrapping. */
static inline uint32_t mlcc_pow_u32(uint32_t a, uint32_t n)
{
    uint32_t r = 1, base = a;
    for (uint32_t k = (uint32_t)n; k != 0; k >>= 1) {
        if (k & 1)
            r *= base;
        base *= base;
    }
    return (uint32_t)r;
}

static inline uint64_t mlcc_abs_u64(uint64_t a) { return a; }

static inline uint64_t mlcc_neg_u64(uint64_t a) { return 0u - a; }

static inline uint64_t mlcc_sign_u64(uint64_t a) { return a > 0; }

static inline uint64_t mlcc_div_u64(uint64_t a, uint64_t b) { return b == 0 ? 0 : a / b; }

static inline uint64_t mlcc_fdiv_u64(uint64_t a, uint64_t b) { return b == 0 ? 0 : a / b; }

static inline uint64_t mlcc_rem_u64(uint64_t a, uint64_t b) { return b == 0 ? 0 : a % b; }

static inline uint64_t mlcc_mod_u64(uint64_t a, uint64_t b) { return b == 0 ? 0 : a % b; }

static inline uint64_t mlcc_shr_u64(uint64_t a, uint64_t n) { return n > 63 ? 0 : a >> n; }

static inline uint64_t mlcc_shl_u64(uint64_t a, uint64_t n) { return n > 63 ? 0 : a << n; }

static inline uint64_t mlcc_min_u64(uint64_t a, uint64_t b) { return a < b ? a : b; }

static inline uint64_t mlcc_max_u64(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* By squaring, wrapping. */
static inline uint64_t mlcc_pow_u64(uint64_t a, uint64_t n)
{
    uint64_t r = 1, base = a;
    for (uint64_t k = (uint64_t)n; k != 0; k >>= 1) {
        if (k & 1)
            r *= base;
        base *= base;
    }
    return (uint64_t)r;
}

static inline int32_t mlcc_bits_i32_of_f32(float a)
{
    int32_t r;
    memcpy(&r, &a, sizeof r);
    return r;
}

static inline float mlcc_bits_f32_of_i32(int32_t a)
{
    float r;
    memcpy(&r, &a, sizeof r);
    return r;
}

static inline int64_t mlcc_bits_i64_of_f64(double a)
{
    int64_t r;
    memcpy(&r, &a, sizeof r);
    return r;
}

static inline double mlcc_bits_f64_of_i64(int64_t a)
{
    double r;
    memcpy(&r, &a, sizeof r);
    return r;
}

static inline uint32_t mlcc_bits_u32_of_f32(float a)
{
    uint32_t r;
    memcpy(&r, &a, sizeof r);
    return r;
}

static inline float mlcc_bits_f32_of_u32(uint32_t a)
{
    float r;
    memcpy(&r, &a, sizeof r);
    return r;
}

static inline uint64_t mlcc_bits_u64_of_f64(double a)
{
    uint64_t r;
    memcpy(&r, &a, sizeof r);
    return r;
}

static inline double mlcc_bits_f64_of_u64(uint64_t a)
{
    double r;
    memcpy(&r, &a, sizeof r);
    return r;
}

#endif

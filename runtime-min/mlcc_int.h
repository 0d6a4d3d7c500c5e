/* SPDX-License-Identifier: 0BSD
 *
 * Integers: conversions that are defined for every value, saturation, and the fixed-point steps of TensorFlow Lite's
 * quantized kernels.
 *
 * Float to integer: mlcc_trunc_* drop the fraction as a C cast does, mlcc_rint_* round to nearest, half to even. Both
 * saturate, and NaN gives 0. Types narrower than 32 bits take the low bits of the 32-bit result, as a C cast from int
 * does, or the nearest value of the type by way of mlcc_sat_*.
 */
#ifndef MLCC_INT_H
#define MLCC_INT_H

#include <math.h>
#include <stdint.h>

static inline int32_t mlcc_trunc_i32(double x)
{
    if (!(x > -2147483649.0))
        return x == x ? INT32_MIN : 0;
    return x < 2147483648.0 ? (int32_t)x : INT32_MAX;
}

/* As mlcc_trunc_i32 without arithmetic in double. */
static inline int32_t mlcc_trunc_i32_f(float x)
{
    if (!(x >= -2147483648.0f))
        return x == x ? INT32_MIN : 0;
    return x < 2147483648.0f ? (int32_t)x : INT32_MAX;
}

static inline uint32_t mlcc_trunc_u32(double x)
{
    if (!(x > -1.0))
        return 0;
    return x < 4294967296.0 ? (uint32_t)x : UINT32_MAX;
}

static inline int64_t mlcc_trunc_i64(double x)
{
    if (!(x >= -9223372036854775808.0))
        return x == x ? INT64_MIN : 0;
    return x < 9223372036854775808.0 ? (int64_t)x : INT64_MAX;
}

static inline uint64_t mlcc_trunc_u64(double x)
{
    if (!(x > -1.0))
        return 0;
    return x < 18446744073709551616.0 ? (uint64_t)x : UINT64_MAX;
}

static inline int32_t mlcc_rint_i32(float x)
{
    return mlcc_trunc_i32_f(rintf(x));
}

static inline int64_t mlcc_rint_i64(double x)
{
    return mlcc_trunc_i64(rint(x));
}

static inline int32_t mlcc_clamp_i32(int32_t x, int32_t lo, int32_t hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

static inline int64_t mlcc_clamp_i64(int64_t x, int64_t lo, int64_t hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

static inline int8_t mlcc_sat_i8(int32_t x) { return (int8_t)mlcc_clamp_i32(x, -128, 127); }

static inline uint8_t mlcc_sat_u8(int32_t x) { return (uint8_t)mlcc_clamp_i32(x, 0, 255); }

static inline int16_t mlcc_sat_i16(int32_t x) { return (int16_t)mlcc_clamp_i32(x, -32768, 32767); }

static inline uint16_t mlcc_sat_u16(int32_t x) { return (uint16_t)mlcc_clamp_i32(x, 0, 65535); }

static inline int32_t mlcc_sat_i32(int64_t x) { return (int32_t)mlcc_clamp_i64(x, INT32_MIN, INT32_MAX); }

/* Types of four and two bits have one value per byte. */
static inline int8_t mlcc_sat_i4(int32_t x) { return (int8_t)mlcc_clamp_i32(x, -8, 7); }

static inline uint8_t mlcc_sat_u4(int32_t x) { return (uint8_t)mlcc_clamp_i32(x, 0, 15); }

static inline int8_t mlcc_sat_i2(int32_t x) { return (int8_t)mlcc_clamp_i32(x, -2, 1); }

static inline uint8_t mlcc_sat_u2(int32_t x) { return (uint8_t)mlcc_clamp_i32(x, 0, 3); }

/* Low bits of x as a value of the type. */
static inline int8_t mlcc_wrap_i4(int32_t x) { return (int8_t)((int32_t)(((uint32_t)x & 15u) ^ 8u) - 8); }

static inline uint8_t mlcc_wrap_u4(int32_t x) { return (uint8_t)((uint32_t)x & 15u); }

static inline int8_t mlcc_wrap_i2(int32_t x) { return (int8_t)((int32_t)(((uint32_t)x & 3u) ^ 2u) - 2); }

static inline uint8_t mlcc_wrap_u2(int32_t x) { return (uint8_t)((uint32_t)x & 3u); }

/* v / 2^n rounded down, also for negative v, where C leaves >> to the implementation; 0 <= n < 64. */
static inline int64_t mlcc_asr(int64_t v, int n)
{
    return v < 0 ? ~(~v >> n) : v >> n;
}

/* 2*a*b / 2^32 to nearest, half away from minus infinity (half up on the positive side, half towards zero on the
 * negative one), saturated in its one overflow: gemmlowp's SaturatingRoundingDoublingHighMul. */
static inline int32_t mlcc_srdhm(int32_t a, int32_t b)
{
    if (a == INT32_MIN && b == INT32_MIN)
        return INT32_MAX;
    const int64_t ab = (int64_t)a * b, nudge = ab >= 0 ? (int64_t)1 << 30 : 1 - ((int64_t)1 << 30);
    return (int32_t)((ab + nudge) / ((int64_t)1 << 31));
}

/* x / 2^n to nearest, half away from zero, 0 <= n <= 31: gemmlowp's RoundingDivideByPOT. */
static inline int32_t mlcc_rdbpot(int32_t x, int n)
{
    const int64_t mask = ((int64_t)1 << n) - 1, rest = (int64_t)x & mask, half = (mask >> 1) + (x < 0);
    return (int32_t)(mlcc_asr(x, n) + (rest > half));
}

/* x * multiplier * 2^(shift-31) in TensorFlow Lite's way, multiplier in [2^30, 2^31), -31 <= shift <= 30; a left shift
 * wraps around. */
static inline int32_t mlcc_mul_by_quantized(int32_t x, int32_t multiplier, int shift)
{
    const int left = shift > 0 ? shift : 0, right = shift > 0 ? 0 : -shift;
    return mlcc_rdbpot(mlcc_srdhm((int32_t)((uint32_t)x << left), multiplier), right);
}

#endif

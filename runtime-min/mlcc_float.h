/* SPDX-License-Identifier: 0BSD
 *
 * Narrow floats as bit patterns, to and from float: f16, bf16, four 8-bit formats, f8e8m0 and f4e2m1.
 *
 *   mlcc_f32_of_T(bits)        exact
 *   mlcc_T_of_f32(x)           nearest, half to even; out of range is infinity where the format has one, else NaN
 *   mlcc_T_of_f32_sat(x)       8-bit formats: out of range, infinities too, is the greatest value
 *
 * From double go by way of mlcc_odd_f32: rounding to odd keeps what the second rounding needs, so the result is that of
 * a single rounding. Only integer arithmetic is used, so that the result is the same on every machine and under every
 * rounding mode; this is the one definition that mlcc's interpreter and emitted code share.
 *
 *   format      sign exponent mantissa bias  greatest  infinity  NaN
 *   f16            1        5       10   15     65504  yes       exponent 31, mantissa not 0
 *   bf16           1        8        7  127   3.39e38  yes       exponent 255, mantissa not 0
 *   f8e4m3fn       1        4        3    7       448  no        0x7f, 0xff
 *   f8e4m3fnuz     1        4        3    8       240  no        0x80; there is no -0
 *   f8e5m2         1        5        2   15     57344  yes       exponent 31, mantissa not 0
 *   f8e5m2fnuz     1        5        2   16     57344  no        0x80; there is no -0
 *   f8e8m0         0        8        0  127     2^127  no        0xff; there is no 0
 *   f4e2m1         1        2        1    1         6  no        none
 */
#ifndef MLCC_FLOAT_H
#define MLCC_FLOAT_H

#include <stdint.h>
#include <string.h>

static inline uint32_t mlcc_bits_of_f32(float x)
{
    uint32_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

static inline float mlcc_f32_of_bits(uint32_t b)
{
    float x;
    memcpy(&x, &b, sizeof x);
    return x;
}

static inline uint64_t mlcc_bits_of_f64(double x)
{
    uint64_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

static inline double mlcc_f64_of_bits(uint64_t b)
{
    double x;
    memcpy(&x, &b, sizeof x);
    return x;
}

/* v / 2^n to nearest, half to even; 1 <= n, v below 2^31. */
static inline uint32_t mlcc_shift_rne(uint32_t v, unsigned n)
{
    if (n > 31)
        return 0;
    return (v + (((uint32_t)1 << (n - 1)) - 1) + (v >> n & 1)) >> n;
}

/* Code of the finite magnitude a (bits of a float without its sign) in a format of `mant` mantissa bits and this bias.
 * The exponent may run past the format's own: larger codes are larger magnitudes, so compare with the greatest. */
static inline uint32_t mlcc_narrow(uint32_t a, unsigned mant, unsigned bias)
{
    const uint32_t exponent = a >> 23, lift = 127 - bias;
    if (exponent > lift)
        return mlcc_shift_rne(a - (lift << 23), 23 - mant);
    return mlcc_shift_rne((a & 0x7fffff) | (exponent ? 0x800000u : 0), 24 - mant + lift - (exponent ? exponent : 1));
}

/* Inverse of mlcc_narrow for bias below 127: bits of the float with this magnitude. */
static inline uint32_t mlcc_widen(uint32_t code, unsigned mant, unsigned bias)
{
    uint32_t exponent = (code >> mant) + 127 - bias, m = code << (23 - mant) & 0x7fffff;
    if (code >> mant)
        return exponent << 23 | m;
    if (!m)
        return 0;
    for (m <<= 1; !(m & 0x800000); m <<= 1)
        exponent--;
    return exponent << 23 | (m & 0x7fffff);
}

/* A double as a float rounded to odd: exact, or the neighbour with an odd last bit. */
static inline float mlcc_odd_f32(double x)
{
    const uint64_t b = mlcc_bits_of_f64(x), a = b & UINT64_C(0x7fffffffffffffff);
    const uint32_t sign = (uint32_t)(b >> 32) & 0x80000000u;
    const unsigned exponent = (unsigned)(a >> 52);
    if (exponent == 0x7ff)
        return mlcc_f32_of_bits(sign | 0x7f800000u | (uint32_t)(a >> 29 & 0x7fffff) |
                                ((a & UINT64_C(0xfffffffffffff)) ? 0x400000u : 0));
    if (exponent > 1023 + 127)
        return mlcc_f32_of_bits(sign | 0x7f7fffffu);
    if (exponent > 1023 - 127)
        return mlcc_f32_of_bits(sign | ((uint32_t)((a >> 29) - ((uint64_t)(1023 - 127) << 23)) |
                                        ((a & 0x1fffffff) != 0)));
    const uint64_t m = (a & UINT64_C(0xfffffffffffff)) | (exponent ? UINT64_C(0x10000000000000) : 0);
    const unsigned drop = 29 + (1023 - 127) + 1 - exponent;
    if (drop > 53)
        return mlcc_f32_of_bits(sign | (a != 0));
    return mlcc_f32_of_bits(sign | ((uint32_t)(m >> drop) | ((m & (((uint64_t)1 << drop) - 1)) != 0)));
}

static inline float mlcc_f32_of_f16(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16, a = h & 0x7fffu;
    if (a > 0x7c00)
        return mlcc_f32_of_bits(sign | 0x7fc00000u | (a & 0x3ff) << 13);
    if (a == 0x7c00)
        return mlcc_f32_of_bits(sign | 0x7f800000u);
    return mlcc_f32_of_bits(sign | mlcc_widen(a, 10, 15));
}

/* NaN stays NaN: quiet, with the upper bits of its payload. */
static inline uint16_t mlcc_f16_of_f32(float x)
{
    const uint32_t b = mlcc_bits_of_f32(x), a = b & 0x7fffffffu, sign = b >> 16 & 0x8000u;
    if (a > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u | (a >> 13 & 0x3ff));
    if (a >= 0x47800000u) /* 65536 */
        return (uint16_t)(sign | 0x7c00u);
    return (uint16_t)(sign | mlcc_narrow(a, 10, 15)); /* rounds up to infinity from 65520 */
}

static inline float mlcc_f32_of_bf16(uint16_t h)
{
    return mlcc_f32_of_bits((uint32_t)h << 16);
}

static inline uint16_t mlcc_bf16_of_f32(float x)
{
    const uint32_t b = mlcc_bits_of_f32(x);
    if ((b & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(b >> 16 | 0x40u);
    return (uint16_t)((b + 0x7fffu + (b >> 16 & 1)) >> 16);
}

/* 8 bits with sign: code of |x|, or `over` beyond `greatest`, or `nan`. */
static inline uint32_t mlcc_narrow8(uint32_t a, unsigned mant, unsigned bias, uint32_t greatest, uint32_t over,
                                    uint32_t nan)
{
    if (a > 0x7f800000u)
        return nan;
    if (a > 0x4f000000u) /* far beyond all greatest values */
        return over;
    const uint32_t code = mlcc_narrow(a, mant, bias);
    return code > greatest ? over : code;
}

static inline uint8_t mlcc_with_sign(uint32_t code, float x)
{
    return (uint8_t)(code | (mlcc_bits_of_f32(x) >> 24 & 0x80u));
}

/* fnuz: zero and NaN have no sign. */
static inline uint8_t mlcc_with_sign_uz(uint32_t code, float x)
{
    return code & 0x7f ? mlcc_with_sign(code, x) : (uint8_t)code;
}

static inline uint32_t mlcc_magnitude(float x)
{
    return mlcc_bits_of_f32(x) & 0x7fffffffu;
}

static inline uint8_t mlcc_f8e4m3fn_of_f32_sat(float x)
{
    return mlcc_with_sign(mlcc_narrow8(mlcc_magnitude(x), 3, 7, 0x7e, 0x7e, 0x7f), x);
}

static inline uint8_t mlcc_f8e4m3fn_of_f32(float x)
{
    return mlcc_with_sign(mlcc_narrow8(mlcc_magnitude(x), 3, 7, 0x7e, 0x7f, 0x7f), x);
}

static inline uint8_t mlcc_f8e4m3fnuz_of_f32_sat(float x)
{
    const uint32_t code = mlcc_narrow8(mlcc_magnitude(x), 3, 8, 0x7f, 0x7f, 0x80);
    return mlcc_with_sign_uz(code, x);
}

static inline uint8_t mlcc_f8e4m3fnuz_of_f32(float x)
{
    const uint32_t code = mlcc_narrow8(mlcc_magnitude(x), 3, 8, 0x7f, 0x80, 0x80);
    return mlcc_with_sign_uz(code, x);
}

static inline uint8_t mlcc_f8e5m2_of_f32_sat(float x)
{
    return mlcc_with_sign(mlcc_narrow8(mlcc_magnitude(x), 2, 15, 0x7b, 0x7b, 0x7e), x);
}

static inline uint8_t mlcc_f8e5m2_of_f32(float x)
{
    return mlcc_with_sign(mlcc_narrow8(mlcc_magnitude(x), 2, 15, 0x7b, 0x7c, 0x7e), x);
}

static inline uint8_t mlcc_f8e5m2fnuz_of_f32_sat(float x)
{
    const uint32_t code = mlcc_narrow8(mlcc_magnitude(x), 2, 16, 0x7f, 0x7f, 0x80);
    return mlcc_with_sign_uz(code, x);
}

static inline uint8_t mlcc_f8e5m2fnuz_of_f32(float x)
{
    const uint32_t code = mlcc_narrow8(mlcc_magnitude(x), 2, 16, 0x7f, 0x80, 0x80);
    return mlcc_with_sign_uz(code, x);
}

static inline float mlcc_f32_of_f8e4m3fn(uint8_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x80u) << 24, a = h & 0x7fu;
    return mlcc_f32_of_bits(sign | (a == 0x7f ? 0x7fc00000u : mlcc_widen(a, 3, 7)));
}

static inline float mlcc_f32_of_f8e4m3fnuz(uint8_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x80u) << 24;
    return mlcc_f32_of_bits(h == 0x80 ? 0x7fc00000u : (sign | mlcc_widen(h & 0x7fu, 3, 8)));
}

/* f8e5m2 is the upper half of f16. */
static inline float mlcc_f32_of_f8e5m2(uint8_t h)
{
    return mlcc_f32_of_f16((uint16_t)(h << 8));
}

static inline float mlcc_f32_of_f8e5m2fnuz(uint8_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x80u) << 24;
    return mlcc_f32_of_bits(h == 0x80 ? 0x7fc00000u : (sign | mlcc_widen(h & 0x7fu, 2, 16)));
}

static inline float mlcc_f32_of_f8e8m0(uint8_t h)
{
    if (h == 0xff)
        return mlcc_f32_of_bits(0x7fc00000u);
    return mlcc_f32_of_bits(h ? (uint32_t)h << 23 : 0x400000u);
}

/* Code of a positive finite magnitude when `fraction` (of the lower power's mantissa) and more round up; 256 is 2^128.
 * round_at: 1 is up, 0x400000 nearest with ties up, 0x800000 down. Below the least power the result is -1. */
static inline int mlcc_e8m0_code(uint32_t a, uint32_t round_at)
{
    if (a < 0x400000u) /* below 2^-127, where there is no lower power */
        return -1;
    if (a < 0x800000u) /* between 2^-127 and 2^-126: the fraction is of a mantissa one bit shorter */
        return (a & 0x3fffffu) * 2 >= round_at;
    return (int)(a >> 23) + ((a & 0x7fffffu) >= round_at);
}

/* Zero and other values below 2^-127 give 2^-127, infinity 2^127; negative values and NaN give NaN. round_at: 1 rounds
 * up (the usual choice), 0x400000 to nearest with ties up, 0x800000 down. */
static inline uint8_t mlcc_f8e8m0_of_f32_round_sat(float x, uint32_t round_at)
{
    const uint32_t a = mlcc_magnitude(x);
    if (a > 0x7f800000u || (a && a != mlcc_bits_of_f32(x)))
        return 0xff;
    const int code = a == 0x7f800000u ? 255 : mlcc_e8m0_code(a, round_at);
    return (uint8_t)(code < 0 ? 0 : code > 254 ? 254 : code);
}

/* As above, but what is out of range is NaN. */
static inline uint8_t mlcc_f8e8m0_of_f32_round(float x, uint32_t round_at)
{
    const uint32_t a = mlcc_magnitude(x);
    if (a >= 0x7f800000u || a != mlcc_bits_of_f32(x))
        return 0xff;
    const int code = mlcc_e8m0_code(a, round_at);
    return (uint8_t)(code < 0 || code > 254 ? 255 : code);
}

static inline uint8_t mlcc_f8e8m0_of_f32_sat(float x)
{
    return mlcc_f8e8m0_of_f32_round_sat(x, 1);
}

static inline uint8_t mlcc_f8e8m0_of_f32(float x)
{
    return mlcc_f8e8m0_of_f32_round(x, 1);
}

/* 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives. */
static inline float mlcc_f32_of_f4e2m1(uint8_t h)
{
    return mlcc_f32_of_bits((uint32_t)(h & 8u) << 28 | mlcc_widen(h & 7u, 1, 1));
}

/* Always saturates, as there is nothing else; NaN, which has no code, gives zero with the other sign. */
static inline uint8_t mlcc_f4e2m1_of_f32(float x)
{
    const uint32_t a = mlcc_magnitude(x), sign = mlcc_bits_of_f32(x) >> 28 & 8u;
    if (a > 0x7f800000u)
        return (uint8_t)(sign ^ 8u);
    if (a > 0x40c00000u) /* 6 */
        return (uint8_t)(sign | 7u);
    return (uint8_t)(sign | mlcc_narrow(a, 1, 1));
}

#endif

/* SPDX-License-Identifier: 0BSD
 *
 * 4 lanes of dots, of bytes and of 16 bits, and what they take: quads and words, of the vector dialect; mlcc_vec.h says what each operation means.
 * As in mlcc_vec4.h every width is written out, and what a processor lacks is made lane by lane.
 */
#ifndef MLCC_DOT4_H
#define MLCC_DOT4_H

/* Four bytes in each lane: side by side in memory, or the same ones. */
static MLCC_INLINE v4i V4_LDQ(const void *p)
{
    v4i v;
    memcpy(&v, p, sizeof v);
    return v;
}

static MLCC_INLINE v4i V4_LDNQ(const void *p, int n)
{
    v4i v = {0};
    memcpy(&v, p, 4 * (size_t)n);
    return v;
}

static MLCC_INLINE v4i V4_SETQ(const void *p)
{
    int32_t q;
    memcpy(&q, p, sizeof q);
    return V4_ISET(q);
}

static MLCC_INLINE v4i V4_SET2Q(const void *p)
{
    float both[2];
    memcpy(both, p, sizeof both);
    return (v4i)V4_SET2(both);
}

/* c + the product of the low halves as signed numbers, where the high half of a is 0. */
#if MLCC_X86 && defined(__AVX512VNNI__) && defined(__AVX512VL__)
static MLCC_INLINE v4i V4_IMAC(v4i a, v4i b, v4i c) { return (v4i)_mm_dpwssd_epi32((__m128i)c, (__m128i)a, (__m128i)b); }
#elif MLCC_X86
static MLCC_INLINE v4i V4_IMAC(v4i a, v4i b, v4i c)
{
    return (v4i)((v4u)c + (v4u)_mm_madd_epi16((__m128i)a, (__m128i)b));
}
#else
static MLCC_INLINE v4i V4_IMAC(v4i a, v4i b, v4i c) { return V4_IADD(c, V4_IMUL(V4_WRAPI16(a), V4_WRAPI16(b))); }
#endif

/* Bytes 0 and 2 of each lane as two 16-bit numbers, and bytes 1 and 3. */
static MLCC_INLINE v4i mlcc_v4_even_u8(v4i a) { return a & 0x00ff00ff; }

typedef int16_t v4ss __attribute__((vector_size(16), aligned(4), may_alias));
typedef uint16_t v4hh __attribute__((vector_size(16), aligned(4), may_alias));

static MLCC_INLINE v4i mlcc_v4_odd_u8(v4i a) { return (v4i)((v4hh)a >> 8); }

typedef int8_t v4bb __attribute__((vector_size(8), aligned(1), may_alias));
typedef uint8_t v4cc __attribute__((vector_size(8), aligned(1), may_alias));

/* Two bytes for each lane as numbers of 16 bits. gcc 12 makes three instructions of a conversion that is one. */
#if MLCC_X86 && defined(__SSE4_1__)
static MLCC_INLINE v4i V4_LDWI8(const void *p) { return (v4i)_mm_cvtepi8_epi16(_mm_loadl_epi64((const __m128i *)p)); }
static MLCC_INLINE v4i V4_LDWU8(const void *p) { return (v4i)_mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)p)); }
#else
static MLCC_INLINE v4i V4_LDWI8(const void *p) { return (v4i)__builtin_convertvector(*(const v4bb *)p, v4ss); }
static MLCC_INLINE v4i V4_LDWU8(const void *p) { return (v4i)__builtin_convertvector(*(const v4cc *)p, v4ss); }
#endif

static MLCC_INLINE v4i V4_LDNWI8(const void *p, int n)
{
    char some[8] = {0};
    memcpy(some, p, 2 * (size_t)n);
    return V4_LDWI8(some);
}

static MLCC_INLINE v4i V4_LDNWU8(const void *p, int n)
{
    char some[8] = {0};
    memcpy(some, p, 2 * (size_t)n);
    return V4_LDWU8(some);
}

/* Of lanes of 16 bits, two for each of 32: all modulo 2^16. */
static MLCC_INLINE v4i V4_WADD(v4i a, v4i b) { return (v4i)((v4hh)a + (v4hh)b); }

static MLCC_INLINE v4i V4_WSUB(v4i a, v4i b) { return (v4i)((v4hh)a - (v4hh)b); }

static MLCC_INLINE v4i V4_WSHL(v4i a, int n) { return (v4i)((v4hh)a << n); }

static MLCC_INLINE v4i V4_WSET(int a) { return (v4i)((v4hh){0} + (uint16_t)a); }

static MLCC_INLINE void V4_STQ(void *p, v4i v) { memcpy(p, &v, sizeof v); }

static MLCC_INLINE v4i mlcc_v4_even_i8(v4i a) { return (v4i)((v4ss)((v4hh)a << 8) >> 8); }

static MLCC_INLINE v4i mlcc_v4_odd_i8(v4i a) { return (v4i)((v4ss)a >> 8); }

/* Sum of the products of the 16-bit halves. */
#if MLCC_X86
static MLCC_INLINE v4i mlcc_v4_madd(v4i a, v4i b) { return (v4i)_mm_madd_epi16((__m128i)a, (__m128i)b); }
#elif MLCC_NEON
static MLCC_INLINE v4i mlcc_v4_madd(v4i a, v4i b)
{
    const int16x8_t x = (int16x8_t)a, w = (int16x8_t)b;
    return (v4i)vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(w)), vmull_high_s16(x, w));
}
#else
static MLCC_INLINE v4i mlcc_v4_madd(v4i a, v4i b)
{
    const v4i low = V4_IMUL(V4_WRAPI16(a), V4_WRAPI16(b));
    return V4_IADD(low, V4_IMUL(a >> 16, b >> 16));
}
#endif

/* c + the products of signed bytes. */
#if MLCC_NEON && defined(__ARM_FEATURE_DOTPROD)
static MLCC_INLINE v4i mlcc_v4_dot(v4i x, v4i w, v4i c) { return (v4i)vdotq_s32((int32x4_t)c, (int8x16_t)x, (int8x16_t)w); }
#elif MLCC_NEON
static MLCC_INLINE v4i mlcc_v4_dot(v4i x, v4i w, v4i c)
{
    const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8((int8x16_t)x), vget_low_s8((int8x16_t)w)));
    const int32x4_t high = vpaddlq_s16(vmull_high_s8((int8x16_t)x, (int8x16_t)w));
    return V4_IADD(c, (v4i)vpaddq_s32(low, high));
}
#endif

#if MLCC_X86 && defined(__AVX512VNNI__) && defined(__AVX512VL__)
static MLCC_INLINE v4i V4_DOTUS(v4i x, v4i w, v4i c) { return (v4i)_mm_dpbusd_epi32((__m128i)c, (__m128i)x, (__m128i)w); }
#elif MLCC_X86 && defined(__AVXVNNI__)
static MLCC_INLINE v4i V4_DOTUS(v4i x, v4i w, v4i c)
{
    return (v4i)_mm_dpbusd_avx_epi32((__m128i)c, (__m128i)x, (__m128i)w);
}
#elif MLCC_NEON && defined(__ARM_FEATURE_MATMUL_INT8)
static MLCC_INLINE v4i V4_DOTUS(v4i x, v4i w, v4i c)
{
    return (v4i)vusdotq_s32((int32x4_t)c, (uint8x16_t)x, (int8x16_t)w);
}
#elif MLCC_NEON /* (x - 128) * w + 128 * w, where the second product is the same for all x */
static MLCC_INLINE v4i V4_DOTUS(v4i x, v4i w, v4i c)
{
    const v4i flip = V4_ISET(INT32_C(-0x7f7f7f80));
    return V4_ISUB(mlcc_v4_dot(x ^ flip, w, c), mlcc_v4_dot(flip, w, V4_ISET(0)));
}
#else
static MLCC_INLINE v4i V4_DOTUS(v4i x, v4i w, v4i c)
{
    const v4i even = mlcc_v4_madd(mlcc_v4_even_u8(x), mlcc_v4_even_i8(w));
    return V4_IADD(c, V4_IADD(even, mlcc_v4_madd(mlcc_v4_odd_u8(x), mlcc_v4_odd_i8(w))));
}
#endif

#if MLCC_X86 && defined(__SSSE3__)
static MLCC_INLINE v4i V4_DOTUS2(v4i x, v4i w, v4i y, v4i v, v4i c)
{
    const __m128i sums = _mm_add_epi16(_mm_maddubs_epi16((__m128i)x, (__m128i)w), _mm_maddubs_epi16((__m128i)y, (__m128i)v));
    return V4_IADD(c, (v4i)_mm_madd_epi16(sums, _mm_set1_epi16(1)));
}
#else
static MLCC_INLINE v4i V4_DOTUS2(v4i x, v4i w, v4i y, v4i v, v4i c) { return V4_DOTUS(y, v, V4_DOTUS(x, w, c)); }
#endif

/* (x + 128) * w - 128 * w where only that has an instruction; the second product is the same for all x. */
#if MLCC_X86 && defined(__AVX512VNNI__) && defined(__AVX512VL__) || (MLCC_X86 && defined(__AVXVNNI__))
static MLCC_INLINE v4i V4_DOTSS(v4i x, v4i w, v4i c)
{
    const v4i flip = V4_ISET(INT32_C(-0x7f7f7f80));
    return V4_ISUB(V4_DOTUS(x ^ flip, w, c), V4_DOTUS(flip, w, V4_ISET(0)));
}
#elif MLCC_NEON
static MLCC_INLINE v4i V4_DOTSS(v4i x, v4i w, v4i c) { return mlcc_v4_dot(x, w, c); }
#else
static MLCC_INLINE v4i V4_DOTSS(v4i x, v4i w, v4i c)
{
    const v4i even = mlcc_v4_madd(mlcc_v4_even_i8(x), mlcc_v4_even_i8(w));
    return V4_IADD(c, V4_IADD(even, mlcc_v4_madd(mlcc_v4_odd_i8(x), mlcc_v4_odd_i8(w))));
}
#endif

#if MLCC_NEON && defined(__ARM_FEATURE_DOTPROD)
static MLCC_INLINE v4i V4_DOTUU(v4i x, v4i w, v4i c)
{
    return (v4i)vdotq_u32((uint32x4_t)c, (uint8x16_t)x, (uint8x16_t)w);
}
#elif MLCC_NEON
static MLCC_INLINE v4i V4_DOTUU(v4i x, v4i w, v4i c)
{
    const uint32x4_t low = vpaddlq_u16(vmull_u8(vget_low_u8((uint8x16_t)x), vget_low_u8((uint8x16_t)w)));
    const uint32x4_t high = vpaddlq_u16(vmull_high_u8((uint8x16_t)x, (uint8x16_t)w));
    return V4_IADD(c, (v4i)vpaddq_u32(low, high));
}
#else
static MLCC_INLINE v4i V4_DOTUU(v4i x, v4i w, v4i c)
{
    const v4i even = mlcc_v4_madd(mlcc_v4_even_u8(x), mlcc_v4_even_u8(w));
    return V4_IADD(c, V4_IADD(even, mlcc_v4_madd(mlcc_v4_odd_u8(x), mlcc_v4_odd_u8(w))));
}
#endif

#if MLCC_X86 && defined(__AVX512VNNI__) && defined(__AVX512VL__)
static MLCC_INLINE v4i V4_DOTI16(v4i x, v4i w, v4i c) { return (v4i)_mm_dpwssd_epi32((__m128i)c, (__m128i)x, (__m128i)w); }
#elif MLCC_X86 && defined(__AVXVNNI__)
static MLCC_INLINE v4i V4_DOTI16(v4i x, v4i w, v4i c)
{
    return (v4i)_mm_dpwssd_avx_epi32((__m128i)c, (__m128i)x, (__m128i)w);
}
#else
static MLCC_INLINE v4i V4_DOTI16(v4i x, v4i w, v4i c) { return V4_IADD(c, mlcc_v4_madd(x, w)); }
#endif

/* c and the products of two pairs of bf16; the processor's instruction takes numbers below the normal range for 0. */
#if MLCC_X86 && defined(__AVX512BF16__) && defined(__AVX512VL__)
static MLCC_INLINE v4f V4_DOTBF(v4i x, v4i w, v4f c)
{
    return (v4f)_mm_dpbf16_ps((__m128)c, (__m128bh)x, (__m128bh)w);
}
#elif MLCC_NEON && defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
static MLCC_INLINE v4f V4_DOTBF(v4i x, v4i w, v4f c)
{
    return (v4f)vbfdotq_f32((float32x4_t)c, (bfloat16x8_t)x, (bfloat16x8_t)w);
}
#else
static MLCC_INLINE v4f V4_DOTBF(v4i x, v4i w, v4f c)
{
    const v4i high = V4_ISET(-0x10000);
    c = V4_FMA((v4f)(x & high), (v4f)(w & high), c);
    return V4_FMA((v4f)((v4u)x << 16), (v4f)((v4u)w << 16), c);
}
#endif

#endif

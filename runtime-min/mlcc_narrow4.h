/* SPDX-License-Identifier: 0BSD
 *
 * Narrow loads and stores of 4 lanes: bytes, 16 bits, bfloat16 and half floats, of the vector dialect; mlcc_vec.h says what each operation means.
 * As in mlcc_vec4.h every width is written out, and what a processor lacks is made lane by lane.
 */
#ifndef MLCC_NARROW4_H
#define MLCC_NARROW4_H

typedef int16_t v4s __attribute__((vector_size(8), aligned(2), may_alias));

static MLCC_INLINE v4i V4_LDNI8(const int8_t *p, int n)
{
    v4i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i];
    return v;
}

static MLCC_INLINE v4i V4_GATHERI8(const int8_t *p, ptrdiff_t s, int n)
{
    v4i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i * s];
    return v;
}

#if MLCC_NEON
/* The first byte of each half. */
static MLCC_INLINE void mlcc_v4_put(void *p, int16x4_t v)
{
    const uint32_t q = vget_lane_u32((uint32x2_t)vmovn_s16(vcombine_s16(v, v)), 0);
    memcpy(p, &q, sizeof q);
}
static MLCC_INLINE void V4_STI8(int8_t *p, v4i v) { mlcc_v4_put(p, vmovn_s32((int32x4_t)v)); }
#else
static MLCC_INLINE void V4_STI8(int8_t *p, v4i v)
{
    *(v4b *)(void *)p = __builtin_convertvector(v, v4b);
}
#endif

static MLCC_INLINE void V4_STNI8(int8_t *p, v4i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = (int8_t)v[i];
}

static MLCC_INLINE void V4_SCATTERI8(int8_t *p, ptrdiff_t s, v4i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i * s] = (int8_t)v[i];
}

#if MLCC_X86 && defined(__SSE4_1__)
static MLCC_INLINE void V4_STSI8(int8_t *p, v4i v)
{
    const __m128i w = _mm_packs_epi32((__m128i)v, (__m128i)v);
    const int32_t q = _mm_cvtsi128_si32(_mm_packs_epi16(w, w));
    memcpy(p, &q, sizeof q);
}
#elif MLCC_NEON
static MLCC_INLINE void V4_STSI8(int8_t *p, v4i v)
{
    const int16x4_t w = vqmovn_s32((int32x4_t)v);
    const uint32_t q = vget_lane_u32((uint32x2_t)vqmovn_s16(vcombine_s16(w, w)), 0);
    memcpy(p, &q, sizeof q);
}
#else
static MLCC_INLINE void V4_STSI8(int8_t *p, v4i v) { V4_STI8(p, V4_SATI8(v)); }
#endif

#if MLCC_X86 && defined(__SSE4_1__)
static MLCC_INLINE void V4_STS2I8(int8_t *p, v4i a, v4i b)
{
    const __m128i w = _mm_packs_epi32((__m128i)a, (__m128i)b);
    _mm_storel_epi64((__m128i *)(void *)p, _mm_packs_epi16(w, w));
}
#elif MLCC_NEON
static MLCC_INLINE void V4_STS2I8(int8_t *p, v4i a, v4i b)
{
    vst1_s8(p, vqmovn_s16(vcombine_s16(vqmovn_s32((int32x4_t)a), vqmovn_s32((int32x4_t)b))));
}
#else
static MLCC_INLINE void V4_STS2I8(int8_t *p, v4i a, v4i b)
{
    V4_STSI8(p, a);
    V4_STSI8(p + 4, b);
}
#endif

#if MLCC_X86 && defined(__SSE4_1__)
static MLCC_INLINE void V4_STS4I8(int8_t *p, v4i a, v4i b, v4i c, v4i d)
{
    const __m128i w = _mm_packs_epi32((__m128i)a, (__m128i)b), x = _mm_packs_epi32((__m128i)c, (__m128i)d);
    _mm_storeu_si128((__m128i *)(void *)p, _mm_packs_epi16(w, x));
}
#elif MLCC_NEON
static MLCC_INLINE void V4_STS4I8(int8_t *p, v4i a, v4i b, v4i c, v4i d)
{
    const int16x8_t w = vcombine_s16(vqmovn_s32((int32x4_t)a), vqmovn_s32((int32x4_t)b));
    const int16x8_t x = vcombine_s16(vqmovn_s32((int32x4_t)c), vqmovn_s32((int32x4_t)d));
    vst1q_s8(p, vcombine_s8(vqmovn_s16(w), vqmovn_s16(x)));
}
#else
static MLCC_INLINE void V4_STS4I8(int8_t *p, v4i a, v4i b, v4i c, v4i d)
{
    V4_STSI8(p, a);
    V4_STSI8(p + 4, b);
    V4_STSI8(p + 8, c);
    V4_STSI8(p + 12, d);
}
#endif

static MLCC_INLINE v4i V4_LDNU8(const uint8_t *p, int n)
{
    v4i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i];
    return v;
}

static MLCC_INLINE v4i V4_GATHERU8(const uint8_t *p, ptrdiff_t s, int n)
{
    v4i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i * s];
    return v;
}

static MLCC_INLINE v4i V4_LOOKUPU8(const uint8_t *t, v4i at)
{
    for (int i = 0; i < 4; i++)
        at[i] = t[at[i]];
    return at;
}

static MLCC_INLINE v4i V4_LOOKUPI8(const int8_t *t, v4i at)
{
    return V4_WRAPI8(V4_LOOKUPU8((const uint8_t *)t, at));
}

#if MLCC_NEON
static MLCC_INLINE void V4_STU8(uint8_t *p, v4i v) { mlcc_v4_put(p, vmovn_s32((int32x4_t)v)); }
#else
static MLCC_INLINE void V4_STU8(uint8_t *p, v4i v)
{
    *(v4c *)(void *)p = __builtin_convertvector(v, v4c);
}
#endif

static MLCC_INLINE void V4_STNU8(uint8_t *p, v4i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = (uint8_t)v[i];
}

static MLCC_INLINE void V4_SCATTERU8(uint8_t *p, ptrdiff_t s, v4i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i * s] = (uint8_t)v[i];
}

#if MLCC_X86 && defined(__SSE4_1__)
static MLCC_INLINE void V4_STSU8(uint8_t *p, v4i v)
{
    const __m128i w = _mm_packs_epi32((__m128i)v, (__m128i)v);
    const int32_t q = _mm_cvtsi128_si32(_mm_packus_epi16(w, w));
    memcpy(p, &q, sizeof q);
}
#elif MLCC_NEON
static MLCC_INLINE void V4_STSU8(uint8_t *p, v4i v)
{
    const int16x4_t w = vqmovn_s32((int32x4_t)v);
    const uint32_t q = vget_lane_u32((uint32x2_t)vqmovun_s16(vcombine_s16(w, w)), 0);
    memcpy(p, &q, sizeof q);
}
#else
static MLCC_INLINE void V4_STSU8(uint8_t *p, v4i v) { V4_STU8(p, V4_SATU8(v)); }
#endif

#if MLCC_X86 && defined(__SSE4_1__)
static MLCC_INLINE void V4_STS2U8(uint8_t *p, v4i a, v4i b)
{
    const __m128i w = _mm_packs_epi32((__m128i)a, (__m128i)b);
    _mm_storel_epi64((__m128i *)(void *)p, _mm_packus_epi16(w, w));
}
#elif MLCC_NEON
static MLCC_INLINE void V4_STS2U8(uint8_t *p, v4i a, v4i b)
{
    vst1_u8(p, vqmovun_s16(vcombine_s16(vqmovn_s32((int32x4_t)a), vqmovn_s32((int32x4_t)b))));
}
#else
static MLCC_INLINE void V4_STS2U8(uint8_t *p, v4i a, v4i b)
{
    V4_STSU8(p, a);
    V4_STSU8(p + 4, b);
}
#endif

#if MLCC_X86 && defined(__SSE4_1__)
static MLCC_INLINE void V4_STS4U8(uint8_t *p, v4i a, v4i b, v4i c, v4i d)
{
    const __m128i w = _mm_packs_epi32((__m128i)a, (__m128i)b), x = _mm_packs_epi32((__m128i)c, (__m128i)d);
    _mm_storeu_si128((__m128i *)(void *)p, _mm_packus_epi16(w, x));
}
#elif MLCC_NEON
static MLCC_INLINE void V4_STS4U8(uint8_t *p, v4i a, v4i b, v4i c, v4i d)
{
    const int16x8_t w = vcombine_s16(vqmovn_s32((int32x4_t)a), vqmovn_s32((int32x4_t)b));
    const int16x8_t x = vcombine_s16(vqmovn_s32((int32x4_t)c), vqmovn_s32((int32x4_t)d));
    vst1q_u8(p, vcombine_u8(vqmovun_s16(w), vqmovun_s16(x)));
}
#else
static MLCC_INLINE void V4_STS4U8(uint8_t *p, v4i a, v4i b, v4i c, v4i d)
{
    V4_STSU8(p, a);
    V4_STSU8(p + 4, b);
    V4_STSU8(p + 8, c);
    V4_STSU8(p + 12, d);
}
#endif

/* Low bytes of lane i of a, b and c at p[3 * i], p[3 * i + 1] and p[3 * i + 2]: the channels of pixels. */
#if MLCC_X86 && defined(__SSE4_1__)
static MLCC_INLINE void V4_ZIP3U8(uint8_t *p, v4i a, v4i b, v4i c)
{
    const v4i all = (a & 255) | (b & 255) << 8 | (v4i)((v4u)c << 16);
    const __m128i side = _mm_shuffle_epi8((__m128i)all, _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
    const int32_t last = _mm_extract_epi32(side, 2);
    _mm_storel_epi64((__m128i *)(void *)p, side);
    memcpy(p + 8, &last, sizeof last);
}
#else
static MLCC_INLINE void V4_ZIP3U8(uint8_t *p, v4i a, v4i b, v4i c)
{
    for (int i = 0; i < 4; i++) {
        p[3 * i] = (uint8_t)a[i];
        p[3 * i + 1] = (uint8_t)b[i];
        p[3 * i + 2] = (uint8_t)c[i];
    }
}
#endif

static MLCC_INLINE void V4_ZIP3I8(int8_t *p, v4i a, v4i b, v4i c) { V4_ZIP3U8((uint8_t *)p, a, b, c); }

/* Low halves of lane i of a, b and c at p[3 * i], p[3 * i + 1] and p[3 * i + 2]. */
#if MLCC_X86 && defined(__SSE4_1__)
static MLCC_INLINE void V4_ZIP3I16(int16_t *p, v4i a, v4i b, v4i c)
{
    const __m128i ab = (__m128i)((a & 65535) | (v4i)((v4u)b << 16)), each = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, -1, -1, -1, -1);
    const __m128i last = _mm_shuffle_epi8(_mm_unpackhi_epi32(ab, (__m128i)c), each);
    const int32_t end = _mm_extract_epi32(last, 2);
    _mm_storeu_si128((__m128i *)(void *)p, _mm_shuffle_epi8(_mm_unpacklo_epi32(ab, (__m128i)c), each));
    _mm_storel_epi64((__m128i *)(void *)(p + 6), last);
    memcpy(p + 10, &end, sizeof end);
}
#else
static MLCC_INLINE void V4_ZIP3I16(int16_t *p, v4i a, v4i b, v4i c)
{
    for (int i = 0; i < 4; i++) {
        p[3 * i] = (int16_t)a[i];
        p[3 * i + 1] = (int16_t)b[i];
        p[3 * i + 2] = (int16_t)c[i];
    }
}
#endif

/* The nearest of -32768 to 32767, halves to even, of lane i of a and b at p[2 * i] and p[2 * i + 1]; of NaN the least. Floats below all whole
 * numbers of 32 bits become the least of those. */
#if MLCC_X86 && defined(__SSE4_1__)
static MLCC_INLINE void mlcc_v4_st_turns(int16_t *p, __m128i v)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm_shuffle_epi8(v, _mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15)));
}

static MLCC_INLINE void V4_ZIP2RI16(int16_t *p, v4f a, v4f b)
{
    const __m128 most = _mm_set1_ps(32767.0f);
    const __m128i x = _mm_cvtps_epi32(_mm_min_ps(most, (__m128)a)), y = _mm_cvtps_epi32(_mm_min_ps(most, (__m128)b));
    mlcc_v4_st_turns(p, _mm_packs_epi32(x, y));
}
#else
static MLCC_INLINE int16_t mlcc_rint_i16(float x) { return (int16_t)(x >= -32768.0f ? rintf(x < 32767.0f ? x : 32767.0f) : -32768.0f); }

static MLCC_INLINE void V4_ZIP2RI16(int16_t *p, v4f a, v4f b)
{
    for (int i = 0; i < 4; i++) {
        p[2 * i] = mlcc_rint_i16(a[i]);
        p[2 * i + 1] = mlcc_rint_i16(b[i]);
    }
}
#endif

#if MLCC_NEON
static MLCC_INLINE v4i V4_LDI16(const int16_t *p) { return (v4i)vmovl_s16(vld1_s16(p)); }
#else
static MLCC_INLINE v4i V4_LDI16(const int16_t *p)
{
    return __builtin_convertvector(*(const v4s *)(const void *)p, v4i);
}
#endif

static MLCC_INLINE v4i V4_LDNI16(const int16_t *p, int n)
{
    v4i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i];
    return v;
}

static MLCC_INLINE v4i V4_GATHERI16(const int16_t *p, ptrdiff_t s, int n)
{
    v4i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i * s];
    return v;
}

static MLCC_INLINE void V4_STI16(int16_t *p, v4i v)
{
    *(v4s *)(void *)p = __builtin_convertvector(v, v4s);
}

static MLCC_INLINE void V4_STNI16(int16_t *p, v4i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = (int16_t)v[i];
}

static MLCC_INLINE void V4_SCATTERI16(int16_t *p, ptrdiff_t s, v4i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i * s] = (int16_t)v[i];
}

static MLCC_INLINE void V4_STSI16(int16_t *p, v4i v) { V4_STI16(p, V4_SATI16(v)); }

/* Saturated to bytes and stored as 16 bits: one vector, two side by side, two apart, or lanes of two by turns. */
static MLCC_INLINE void V4_STWU8(int16_t *p, v4i v) { V4_STI16(p, V4_SATU8(v)); }

static MLCC_INLINE void V4_STWI8(int16_t *p, v4i v) { V4_STI16(p, V4_SATI8(v)); }

#if MLCC_X86 && defined(__SSE4_1__)
static MLCC_INLINE __m128i mlcc_v4_words_u8(v4i a, v4i b) { return _mm_min_epu16(_mm_packus_epi32((__m128i)a, (__m128i)b), _mm_set1_epi16(255)); }

static MLCC_INLINE __m128i mlcc_v4_words_i8(v4i a, v4i b)
{
    return _mm_min_epi16(_mm_max_epi16(_mm_packs_epi32((__m128i)a, (__m128i)b), _mm_set1_epi16(-128)), _mm_set1_epi16(127));
}

static MLCC_INLINE void V4_STW2U8(int16_t *p, v4i a, v4i b) { _mm_storeu_si128((__m128i *)(void *)p, mlcc_v4_words_u8(a, b)); }

static MLCC_INLINE void V4_STW2I8(int16_t *p, v4i a, v4i b) { _mm_storeu_si128((__m128i *)(void *)p, mlcc_v4_words_i8(a, b)); }

static MLCC_INLINE void mlcc_v4_st_apart(int16_t *p, int16_t *q, __m128i v)
{
    _mm_storel_epi64((__m128i *)(void *)p, v);
    _mm_storel_epi64((__m128i *)(void *)q, _mm_unpackhi_epi64(v, v));
}

static MLCC_INLINE void V4_STWAU8(int16_t *p, int16_t *q, v4i a, v4i b) { mlcc_v4_st_apart(p, q, mlcc_v4_words_u8(a, b)); }

static MLCC_INLINE void V4_STWAI8(int16_t *p, int16_t *q, v4i a, v4i b) { mlcc_v4_st_apart(p, q, mlcc_v4_words_i8(a, b)); }

static MLCC_INLINE void V4_ZIP2WU8(int16_t *p, v4i a, v4i b) { mlcc_v4_st_turns(p, mlcc_v4_words_u8(a, b)); }

static MLCC_INLINE void V4_ZIP2WI8(int16_t *p, v4i a, v4i b) { mlcc_v4_st_turns(p, mlcc_v4_words_i8(a, b)); }
#else
static MLCC_INLINE void V4_STW2U8(int16_t *p, v4i a, v4i b)
{
    V4_STWU8(p, a);
    V4_STWU8(p + 4, b);
}

static MLCC_INLINE void V4_STW2I8(int16_t *p, v4i a, v4i b)
{
    V4_STWI8(p, a);
    V4_STWI8(p + 4, b);
}

static MLCC_INLINE void V4_STWAU8(int16_t *p, int16_t *q, v4i a, v4i b)
{
    V4_STWU8(p, a);
    V4_STWU8(q, b);
}

static MLCC_INLINE void V4_STWAI8(int16_t *p, int16_t *q, v4i a, v4i b)
{
    V4_STWI8(p, a);
    V4_STWI8(q, b);
}

static MLCC_INLINE void V4_ZIP2WU8(int16_t *p, v4i a, v4i b)
{
    const v4i all = V4_SATU8(a) | (v4i)((v4u)V4_SATU8(b) << 16);
    memcpy(p, &all, sizeof all);
}

static MLCC_INLINE void V4_ZIP2WI8(int16_t *p, v4i a, v4i b)
{
    const v4i all = (V4_SATI8(a) & 65535) | (v4i)((v4u)V4_SATI8(b) << 16);
    memcpy(p, &all, sizeof all);
}
#endif

#if MLCC_NEON
static MLCC_INLINE v4i V4_LDU16(const uint16_t *p) { return (v4i)vmovl_u16(vld1_u16(p)); }
#else
static MLCC_INLINE v4i V4_LDU16(const uint16_t *p)
{
    return __builtin_convertvector(*(const v4h *)(const void *)p, v4i);
}
#endif

static MLCC_INLINE v4i V4_LDNU16(const uint16_t *p, int n)
{
    v4i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i];
    return v;
}

static MLCC_INLINE v4i V4_GATHERU16(const uint16_t *p, ptrdiff_t s, int n)
{
    v4i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i * s];
    return v;
}

static MLCC_INLINE void V4_STU16(uint16_t *p, v4i v)
{
    *(v4h *)(void *)p = __builtin_convertvector(v, v4h);
}

static MLCC_INLINE void V4_STNU16(uint16_t *p, v4i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = (uint16_t)v[i];
}

static MLCC_INLINE void V4_SCATTERU16(uint16_t *p, ptrdiff_t s, v4i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i * s] = (uint16_t)v[i];
}

static MLCC_INLINE void V4_STSU16(uint16_t *p, v4i v) { V4_STU16(p, V4_SATU16(v)); }

static MLCC_INLINE v4f V4_LDNBF(const uint16_t *p, int n)
{
    v4f v = {0};
    for (int i = 0; i < n; i++)
        v[i] = mlcc_f32_of_bf16(p[i]);
    return v;
}

static MLCC_INLINE v4f V4_GATHERBF(const uint16_t *p, ptrdiff_t s, int n)
{
    v4f v = {0};
    for (int i = 0; i < n; i++)
        v[i] = mlcc_f32_of_bf16(p[i * s]);
    return v;
}

static MLCC_INLINE void V4_STNBF(uint16_t *p, v4f v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = mlcc_bf16_of_f32(v[i]);
}

static MLCC_INLINE void V4_STNBFZ(uint16_t *p, v4f v, int n) { V4_STNBF(p, v, n); }

static MLCC_INLINE void V4_SCATTERBF(uint16_t *p, ptrdiff_t s, v4f v, int n)
{
    for (int i = 0; i < n; i++)
        p[i * s] = mlcc_bf16_of_f32(v[i]);
}

/* Lane i of both at p[4 * i]. */
#if MLCC_X86 && defined(__SSE2__)
static MLCC_INLINE void mlcc_v4_by_turns(uint16_t *p, v4u ab, v4u cd)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm_unpacklo_epi32((__m128i)ab, (__m128i)cd));
    _mm_storeu_si128((__m128i *)(void *)(p + 8), _mm_unpackhi_epi32((__m128i)ab, (__m128i)cd));
}
#else
static MLCC_INLINE void mlcc_v4_by_turns(uint16_t *p, v4u ab, v4u cd)
{
    for (int i = 0; i < 4; i++) {
        const uint32_t two[] = {ab[i], cd[i]};
        memcpy(p + 4 * i, two, sizeof two);
    }
}
#endif

static MLCC_INLINE void V4_ZIP4BF(uint16_t *p, v4f a, v4f b, v4f c, v4f d)
{
    mlcc_v4_by_turns(p, mlcc_v4_bf(a) | mlcc_v4_bf(b) << 16, mlcc_v4_bf(c) | mlcc_v4_bf(d) << 16);
}

static MLCC_INLINE void V4_ZIP4BFZ(uint16_t *p, v4f a, v4f b, v4f c, v4f d) { V4_ZIP4BF(p, a, b, c, d); }

#if MLCC_X86 && defined(__F16C__)
static MLCC_INLINE v4f V4_LDHF(const uint16_t *p) { return (v4f)_mm_cvtph_ps(_mm_loadl_epi64((const __m128i *)(const void *)p)); }
#elif MLCC_NEON
static MLCC_INLINE v4f V4_LDHF(const uint16_t *p) { return (v4f)vcvt_f32_f16((float16x4_t)vld1_u16(p)); }
#else
static MLCC_INLINE v4f V4_LDHF(const uint16_t *p)
{
    v4f v;
    for (int i = 0; i < 4; i++)
        v[i] = mlcc_f32_of_f16(p[i]);
    return v;
}
#endif

static MLCC_INLINE v4f V4_LDNHF(const uint16_t *p, int n)
{
    v4f v = {0};
    for (int i = 0; i < n; i++)
        v[i] = mlcc_f32_of_f16(p[i]);
    return v;
}

static MLCC_INLINE v4f V4_GATHERHF(const uint16_t *p, ptrdiff_t s, int n)
{
    v4f v = {0};
    for (int i = 0; i < n; i++)
        v[i] = mlcc_f32_of_f16(p[i * s]);
    return v;
}

static MLCC_INLINE void V4_STNHF(uint16_t *p, v4f v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = mlcc_f16_of_f32(v[i]);
}

static MLCC_INLINE void V4_STHF(uint16_t *p, v4f v) { V4_STNHF(p, v, 4); }

static MLCC_INLINE void V4_SCATTERHF(uint16_t *p, ptrdiff_t s, v4f v, int n)
{
    for (int i = 0; i < n; i++)
        p[i * s] = mlcc_f16_of_f32(v[i]);
}

static MLCC_INLINE void V4_STABFC(uint16_t *p, uint16_t *q, v4i a, v4i b, v4f s, v4f t)
{
    const v4f zero = V4_SET(0.0f);
    V4_STBFZ(p, V4_MIN(V4_MAX(V4_ITOF(a), zero), s));
    V4_STBFZ(q, V4_MIN(V4_MAX(V4_ITOF(b), zero), t));
}

#endif

/* SPDX-License-Identifier: 0BSD
 *
 * 4 lanes of integers, and narrow loads and stores, of the vector dialect; mlcc_vec.h says what each operation means.
 * As in mlcc_vec4.h every width is written out, and what a processor lacks is made lane by lane.
 */
#ifndef MLCC_IVEC4_H
#define MLCC_IVEC4_H

typedef int16_t v4s __attribute__((vector_size(8), aligned(2), may_alias));

/* int64_t lanes: the even ones and the odd ones, as multiplication makes them. */
typedef struct v4l {
    v4q even, odd;
} v4l;

static MLCC_INLINE v4i V4_IEQ(v4i a, v4i b) { return (v4i)(a == b); }

static MLCC_INLINE v4i V4_INE(v4i a, v4i b) { return (v4i)(a != b); }

static MLCC_INLINE v4i V4_ILT(v4i a, v4i b) { return (v4i)(a < b); }

static MLCC_INLINE v4i V4_ILE(v4i a, v4i b) { return (v4i)(a <= b); }

static MLCC_INLINE v4i V4_IAND(v4i a, v4i b) { return a & b; }

static MLCC_INLINE v4i V4_IOR(v4i a, v4i b) { return a | b; }

static MLCC_INLINE v4i V4_IXOR(v4i a, v4i b) { return a ^ b; }

static MLCC_INLINE v4i V4_INOT(v4i a) { return ~a; }

static MLCC_INLINE v4i V4_INEG(v4i a) { return (v4i)(-(v4u)a); }

#if MLCC_NEON
static MLCC_INLINE v4i V4_IABS(v4i a) { return (v4i)vabsq_s32((int32x4_t)a); }
#else
static MLCC_INLINE v4i V4_IABS(v4i a) { return (v4i)(((v4u)a ^ (v4u)(a >> 31)) - (v4u)(a >> 31)); }
#endif

static MLCC_INLINE v4i V4_ISEL(v4i m, v4i a, v4i b) { return (v4i)V4_SEL(m, (v4f)a, (v4f)b); }

#if MLCC_X86 && defined(__SSE4_1__)
static MLCC_INLINE v4i V4_IMIN(v4i a, v4i b) { return (v4i)_mm_min_epi32((__m128i)a, (__m128i)b); }
#elif MLCC_NEON
static MLCC_INLINE v4i V4_IMIN(v4i a, v4i b) { return (v4i)vminq_s32((int32x4_t)a, (int32x4_t)b); }
#else
static MLCC_INLINE v4i V4_IMIN(v4i a, v4i b)
{
    const v4i m = (v4i)(a < b);
    return (m & a) | (~m & b);
}
#endif

#if MLCC_X86 && defined(__SSE4_1__)
static MLCC_INLINE v4i V4_IMAX(v4i a, v4i b) { return (v4i)_mm_max_epi32((__m128i)a, (__m128i)b); }
#elif MLCC_NEON
static MLCC_INLINE v4i V4_IMAX(v4i a, v4i b) { return (v4i)vmaxq_s32((int32x4_t)a, (int32x4_t)b); }
#else
static MLCC_INLINE v4i V4_IMAX(v4i a, v4i b)
{
    const v4i m = (v4i)(a > b);
    return (m & a) | (~m & b);
}
#endif

static MLCC_INLINE v4i V4_ISHL(v4i a, v4i b)
{
    const v4u in = (v4u)((v4u)b < 32u);
    return (v4i)(((v4u)a << ((v4u)b & 31u)) & in);
}

static MLCC_INLINE v4i V4_ISHR(v4i a, v4i b)
{
    const v4u n = (v4u)b, out = (v4u)(n > 31u);
    return a >> (v4i)((n | out) & 31u);
}

static MLCC_INLINE v4i V4_SATI8(v4i a) { return V4_IMIN(V4_IMAX(a, V4_ISET(-128)), V4_ISET(127)); }

static MLCC_INLINE v4i V4_SATU8(v4i a) { return V4_IMIN(V4_IMAX(a, V4_ISET(0)), V4_ISET(255)); }

static MLCC_INLINE v4i V4_SATI16(v4i a) { return V4_IMIN(V4_IMAX(a, V4_ISET(-32768)), V4_ISET(32767)); }

static MLCC_INLINE v4i V4_SATU16(v4i a) { return V4_IMIN(V4_IMAX(a, V4_ISET(0)), V4_ISET(65535)); }

static MLCC_INLINE v4i V4_WRAPI8(v4i a) { return (v4i)((v4u)a << 24) >> 24; }

static MLCC_INLINE v4i V4_WRAPI16(v4i a) { return (v4i)((v4u)a << 16) >> 16; }

static MLCC_INLINE v4i V4_WRAPU8(v4i a) { return a & 255; }

static MLCC_INLINE v4i V4_WRAPU16(v4i a) { return a & 65535; }

static MLCC_INLINE int32_t V4_IHSUM(v4i v)
{
    int32_t s = v[0];
    for (int i = 1; i < 4; i++)
        s = mlcc_add_i32(s, v[i]);
    return s;
}

static MLCC_INLINE int32_t V4_IHMIN(v4i v)
{
    int32_t s = v[0];
    for (int i = 1; i < 4; i++)
        s = v[i] < s ? v[i] : s;
    return s;
}

static MLCC_INLINE int32_t V4_IHMAX(v4i v)
{
    int32_t s = v[0];
    for (int i = 1; i < 4; i++)
        s = v[i] > s ? v[i] : s;
    return s;
}

static MLCC_INLINE int32_t V4_IHPROD(v4i v)
{
    int32_t s = v[0];
    for (int i = 1; i < 4; i++)
        s = mlcc_mul_i32(s, v[i]);
    return s;
}

static MLCC_INLINE v4i V4_ILDN(const int32_t *p, int n)
{
    v4i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i];
    return v;
}

static MLCC_INLINE void V4_ISTN(int32_t *p, v4i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = v[i];
}

static MLCC_INLINE v4i V4_IGATHER(const int32_t *p, ptrdiff_t s, int n)
{
    v4i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i * s];
    return v;
}

static MLCC_INLINE void V4_ISCATTER(int32_t *p, ptrdiff_t s, v4i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i * s] = v[i];
}

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

static MLCC_INLINE v4l V4_LSET(int64_t x)
{
    const v4q v = (v4q){0} + x;
    return (v4l){v, v};
}

/* Lane 2i in the low half of 64-bit lane i: sign extended, and the high half of it likewise. */
static MLCC_INLINE v4l V4_LOFI(v4i a)
{
    const v4q q = (v4q)a;
    return (v4l){(v4q)((v4uq)q << 32) >> 32, q >> 32};
}

/* Products of 32-bit lanes. */
#if MLCC_X86 && defined(__SSE4_1__)
static MLCC_INLINE v4l V4_LMUL(v4i a, v4i b)
{
    const v4q even = (v4q)_mm_mul_epi32((__m128i)a, (__m128i)b);
    const v4q odd = (v4q)_mm_mul_epi32(_mm_srli_epi64((__m128i)a, 32), _mm_srli_epi64((__m128i)b, 32));
    return (v4l){even, odd};
}
#elif MLCC_NEON
static MLCC_INLINE v4l V4_LMUL(v4i a, v4i b)
{
    const int64x2_t p = (int64x2_t)a, q = (int64x2_t)b;
    return (v4l){(v4q)vmull_s32(vmovn_s64(p), vmovn_s64(q)), (v4q)vmull_s32(vshrn_n_s64(p, 32), vshrn_n_s64(q, 32))};
}
#else
static MLCC_INLINE v4l V4_LMUL(v4i a, v4i b)
{
    const v4l p = V4_LOFI(a), q = V4_LOFI(b);
    return (v4l){p.even * q.even, p.odd * q.odd};
}
#endif

static MLCC_INLINE v4l V4_LADD(v4l a, v4l b)
{
    return (v4l){(v4q)((v4uq)a.even + (v4uq)b.even), (v4q)((v4uq)a.odd + (v4uq)b.odd)};
}

static MLCC_INLINE v4l V4_LAND(v4l a, v4l b) { return (v4l){a.even & b.even, a.odd & b.odd}; }

static MLCC_INLINE v4l V4_LSUB(v4l a, v4l b)
{
    return (v4l){(v4q)((v4uq)a.even - (v4uq)b.even), (v4q)((v4uq)a.odd - (v4uq)b.odd)};
}

static MLCC_INLINE v4q mlcc_v4_min_q(v4q a, v4q b)
{
    const v4q m = (v4q)(a < b);
    return (m & a) | (~m & b);
}

static MLCC_INLINE v4l V4_LMIN(v4l a, v4l b)
{
    return (v4l){mlcc_v4_min_q(a.even, b.even), mlcc_v4_min_q(a.odd, b.odd)};
}

static MLCC_INLINE v4q mlcc_v4_max_q(v4q a, v4q b)
{
    const v4q m = (v4q)(a > b);
    return (m & a) | (~m & b);
}

static MLCC_INLINE v4l V4_LMAX(v4l a, v4l b)
{
    return (v4l){mlcc_v4_max_q(a.even, b.even), mlcc_v4_max_q(a.odd, b.odd)};
}

static MLCC_INLINE v4q mlcc_v4_shr_q(v4q a, v4q n)
{
    for (int i = 0; i < 2; i++)
        a[i] = mlcc_shr_i64(a[i], n[i]);
    return a;
}

static MLCC_INLINE v4q mlcc_v4_shl_q(v4q a, v4q n)
{
    for (int i = 0; i < 2; i++)
        a[i] = mlcc_shl_i64(a[i], n[i]);
    return a;
}

static MLCC_INLINE v4l V4_LSHR(v4l a, v4l n)
{
    return (v4l){mlcc_v4_shr_q(a.even, n.even), mlcc_v4_shr_q(a.odd, n.odd)};
}

static MLCC_INLINE v4l V4_LSHL(v4l a, v4l n)
{
    return (v4l){mlcc_v4_shl_q(a.even, n.even), mlcc_v4_shl_q(a.odd, n.odd)};
}

/* The low halves of even, the high halves of odd. */
#if MLCC_X86 && defined(__SSE4_1__)
static MLCC_INLINE v4i mlcc_v4_zip(v4uq even, v4uq odd) { return (v4i)_mm_blend_epi16((__m128i)even, (__m128i)odd, 0xcc); }
#elif MLCC_NEON
static MLCC_INLINE v4i mlcc_v4_zip(v4uq even, v4uq odd) { return (v4i)vbslq_u64(vdupq_n_u64(0xffffffff), (uint64x2_t)even, (uint64x2_t)odd); }
#else
static MLCC_INLINE v4i mlcc_v4_zip(v4uq even, v4uq odd)
{
    const v4uq low = (v4uq){0} + 0xffffffffu;
    return (v4i)((even & low) | (odd & ~low));
}
#endif

/* i32(a): the low halves. */
static MLCC_INLINE v4i V4_IOFL(v4l a) { return mlcc_v4_zip((v4uq)a.even, (v4uq)a.odd << 32); }

/* i32(a >> n), 0 <= n <= 63: of the high halves where none of the low ones is left. */
static MLCC_INLINE v4i V4_ISHRL(v4l a, int n)
{
    if (n >= 32)
        return mlcc_v4_zip((v4uq)a.even >> 32, (v4uq)a.odd) >> (n - 32);
    return mlcc_v4_zip((v4uq)a.even >> n, (v4uq)a.odd << (32 - n));
}

static MLCC_INLINE v4i V4_LSAT(v4l a)
{
    return V4_IOFL(V4_LMIN(V4_LMAX(a, V4_LSET(INT32_MIN)), V4_LSET(INT32_MAX)));
}

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

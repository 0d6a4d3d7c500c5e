/* SPDX-License-Identifier: 0BSD
 *
 * 8 lanes of integers, and narrow loads and stores, of the vector dialect; mlcc_vec.h says what each operation means.
 * As in mlcc_vec8.h every width is written out, and what a processor lacks is made lane by lane.
 */
#ifndef MLCC_IVEC8_H
#define MLCC_IVEC8_H

typedef int16_t v8s __attribute__((vector_size(16), aligned(2), may_alias));

/* int64_t lanes: the even ones and the odd ones, as multiplication makes them. */
typedef struct v8l {
    v8q even, odd;
} v8l;

static MLCC_INLINE v8i V8_IEQ(v8i a, v8i b) { return (v8i)(a == b); }

static MLCC_INLINE v8i V8_INE(v8i a, v8i b) { return (v8i)(a != b); }

static MLCC_INLINE v8i V8_ILT(v8i a, v8i b) { return (v8i)(a < b); }

static MLCC_INLINE v8i V8_ILE(v8i a, v8i b) { return (v8i)(a <= b); }

static MLCC_INLINE v8i V8_IAND(v8i a, v8i b) { return a & b; }

static MLCC_INLINE v8i V8_IOR(v8i a, v8i b) { return a | b; }

static MLCC_INLINE v8i V8_IXOR(v8i a, v8i b) { return a ^ b; }

static MLCC_INLINE v8i V8_INOT(v8i a) { return ~a; }

static MLCC_INLINE v8i V8_INEG(v8i a) { return (v8i)(-(v8u)a); }

static MLCC_INLINE v8i V8_IABS(v8i a) { return (v8i)(((v8u)a ^ (v8u)(a >> 31)) - (v8u)(a >> 31)); }

static MLCC_INLINE v8i V8_ISEL(v8i m, v8i a, v8i b) { return (v8i)V8_SEL(m, (v8f)a, (v8f)b); }

#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE v8i V8_IMIN(v8i a, v8i b) { return (v8i)_mm256_min_epi32((__m256i)a, (__m256i)b); }
#else
static MLCC_INLINE v8i V8_IMIN(v8i a, v8i b)
{
    const v8i m = (v8i)(a < b);
    return (m & a) | (~m & b);
}
#endif

#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE v8i V8_IMAX(v8i a, v8i b) { return (v8i)_mm256_max_epi32((__m256i)a, (__m256i)b); }
#else
static MLCC_INLINE v8i V8_IMAX(v8i a, v8i b)
{
    const v8i m = (v8i)(a > b);
    return (m & a) | (~m & b);
}
#endif

static MLCC_INLINE v8i V8_ISHL(v8i a, v8i b)
{
    const v8u in = (v8u)((v8u)b < 32u);
    return (v8i)(((v8u)a << ((v8u)b & 31u)) & in);
}

static MLCC_INLINE v8i V8_ISHR(v8i a, v8i b)
{
    const v8u n = (v8u)b, out = (v8u)(n > 31u);
    return a >> (v8i)((n | out) & 31u);
}

static MLCC_INLINE v8i V8_SATI8(v8i a) { return V8_IMIN(V8_IMAX(a, V8_ISET(-128)), V8_ISET(127)); }

static MLCC_INLINE v8i V8_SATU8(v8i a) { return V8_IMIN(V8_IMAX(a, V8_ISET(0)), V8_ISET(255)); }

static MLCC_INLINE v8i V8_SATI16(v8i a) { return V8_IMIN(V8_IMAX(a, V8_ISET(-32768)), V8_ISET(32767)); }

static MLCC_INLINE v8i V8_SATU16(v8i a) { return V8_IMIN(V8_IMAX(a, V8_ISET(0)), V8_ISET(65535)); }

static MLCC_INLINE v8i V8_WRAPI8(v8i a) { return (v8i)((v8u)a << 24) >> 24; }

static MLCC_INLINE v8i V8_WRAPI16(v8i a) { return (v8i)((v8u)a << 16) >> 16; }

static MLCC_INLINE v8i V8_WRAPU8(v8i a) { return a & 255; }

static MLCC_INLINE v8i V8_WRAPU16(v8i a) { return a & 65535; }

static MLCC_INLINE int32_t V8_IHSUM(v8i v)
{
    return V4_IHSUM(V4_IADD((v4i)mlcc_v8_lo((v8f)v), (v4i)mlcc_v8_hi((v8f)v)));
}

static MLCC_INLINE int32_t V8_IHMIN(v8i v)
{
    return V4_IHMIN(V4_IMIN((v4i)mlcc_v8_lo((v8f)v), (v4i)mlcc_v8_hi((v8f)v)));
}

static MLCC_INLINE int32_t V8_IHMAX(v8i v)
{
    return V4_IHMAX(V4_IMAX((v4i)mlcc_v8_lo((v8f)v), (v4i)mlcc_v8_hi((v8f)v)));
}

static MLCC_INLINE int32_t V8_IHPROD(v8i v)
{
    return V4_IHPROD(V4_IMUL((v4i)mlcc_v8_lo((v8f)v), (v4i)mlcc_v8_hi((v8f)v)));
}

#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE v8i V8_ILDN(const int32_t *p, int n) { return (v8i)_mm256_maskload_epi32(p, mlcc_v8_first(n)); }
#else
static MLCC_INLINE v8i V8_ILDN(const int32_t *p, int n)
{
    v8i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i];
    return v;
}
#endif

#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE void V8_ISTN(int32_t *p, v8i v, int n) { _mm256_maskstore_epi32(p, mlcc_v8_first(n), (__m256i)v); }
#else
static MLCC_INLINE void V8_ISTN(int32_t *p, v8i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = v[i];
}
#endif

static MLCC_INLINE v8i V8_IGATHER(const int32_t *p, ptrdiff_t s, int n)
{
    v8i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i * s];
    return v;
}

static MLCC_INLINE void V8_ISCATTER(int32_t *p, ptrdiff_t s, v8i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i * s] = v[i];
}

static MLCC_INLINE v8i V8_LDNI8(const int8_t *p, int n)
{
    v8i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i];
    return v;
}

static MLCC_INLINE v8i V8_GATHERI8(const int8_t *p, ptrdiff_t s, int n)
{
    v8i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i * s];
    return v;
}

static MLCC_INLINE void V8_STI8(int8_t *p, v8i v)
{
    *(v8b *)(void *)p = __builtin_convertvector(v, v8b);
}

static MLCC_INLINE void V8_STNI8(int8_t *p, v8i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = (int8_t)v[i];
}

static MLCC_INLINE void V8_SCATTERI8(int8_t *p, ptrdiff_t s, v8i v, int n)
{
    const v8c b = __builtin_convertvector(v, v8c);
    for (int i = 0; i < n; i++)
        p[i * s] = (int8_t)b[i];
}

#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE void V8_STSI8(int8_t *p, v8i v)
{
    const __m128i w = _mm_packs_epi32(_mm256_castsi256_si128((__m256i)v), _mm256_extracti128_si256((__m256i)v, 1));
    _mm_storel_epi64((__m128i *)(void *)p, _mm_packs_epi16(w, w));
}
#else
static MLCC_INLINE void V8_STSI8(int8_t *p, v8i v) { V8_STI8(p, V8_SATI8(v)); }
#endif

#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE void V8_STS2I8(int8_t *p, v8i a, v8i b)
{
    const __m256i w = _mm256_permute4x64_epi64(_mm256_packs_epi32((__m256i)a, (__m256i)b), 0xd8);
    const __m128i low = _mm256_castsi256_si128(w), high = _mm256_extracti128_si256(w, 1);
    _mm_storeu_si128((__m128i *)(void *)p, _mm_packs_epi16(low, high));
}
#else
static MLCC_INLINE void V8_STS2I8(int8_t *p, v8i a, v8i b)
{
    V8_STSI8(p, a);
    V8_STSI8(p + 8, b);
}
#endif

#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE void V8_STS4I8(int8_t *p, v8i a, v8i b, v8i c, v8i d)
{
    const __m256i w = _mm256_packs_epi32((__m256i)a, (__m256i)b), x = _mm256_packs_epi32((__m256i)c, (__m256i)d);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    _mm256_storeu_si256((__m256i *)(void *)p, _mm256_permutevar8x32_epi32(_mm256_packs_epi16(w, x), order));
}
#else
static MLCC_INLINE void V8_STS4I8(int8_t *p, v8i a, v8i b, v8i c, v8i d)
{
    V8_STSI8(p, a);
    V8_STSI8(p + 8, b);
    V8_STSI8(p + 16, c);
    V8_STSI8(p + 24, d);
}
#endif

static MLCC_INLINE v8i V8_LDNU8(const uint8_t *p, int n)
{
    v8i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i];
    return v;
}

static MLCC_INLINE v8i V8_GATHERU8(const uint8_t *p, ptrdiff_t s, int n)
{
    v8i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i * s];
    return v;
}

#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE v8i V8_LOOKUPU8(const uint8_t *t, v8i at)
{
    const __m256i i = (__m256i)at, word = _mm256_i32gather_epi32((const int *)(const void *)t, _mm256_srli_epi32(i, 2), 4);
    const __m256i byte = _mm256_slli_epi32(_mm256_and_si256(i, _mm256_set1_epi32(3)), 3);
    return (v8i)_mm256_and_si256(_mm256_srlv_epi32(word, byte), _mm256_set1_epi32(255));
}
#else
static MLCC_INLINE v8i V8_LOOKUPU8(const uint8_t *t, v8i at)
{
    for (int i = 0; i < 8; i++)
        at[i] = t[at[i]];
    return at;
}
#endif

static MLCC_INLINE v8i V8_LOOKUPI8(const int8_t *t, v8i at)
{
    return V8_WRAPI8(V8_LOOKUPU8((const uint8_t *)t, at));
}

static MLCC_INLINE void V8_STU8(uint8_t *p, v8i v)
{
    *(v8c *)(void *)p = __builtin_convertvector(v, v8c);
}

static MLCC_INLINE void V8_STNU8(uint8_t *p, v8i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = (uint8_t)v[i];
}

static MLCC_INLINE void V8_SCATTERU8(uint8_t *p, ptrdiff_t s, v8i v, int n)
{
    const v8c b = __builtin_convertvector(v, v8c);
    for (int i = 0; i < n; i++)
        p[i * s] = b[i];
}

#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE void V8_STSU8(uint8_t *p, v8i v)
{
    const __m128i w = _mm_packs_epi32(_mm256_castsi256_si128((__m256i)v), _mm256_extracti128_si256((__m256i)v, 1));
    _mm_storel_epi64((__m128i *)(void *)p, _mm_packus_epi16(w, w));
}
#else
static MLCC_INLINE void V8_STSU8(uint8_t *p, v8i v) { V8_STU8(p, V8_SATU8(v)); }
#endif

#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE void V8_STS2U8(uint8_t *p, v8i a, v8i b)
{
    const __m256i w = _mm256_permute4x64_epi64(_mm256_packs_epi32((__m256i)a, (__m256i)b), 0xd8);
    const __m128i low = _mm256_castsi256_si128(w), high = _mm256_extracti128_si256(w, 1);
    _mm_storeu_si128((__m128i *)(void *)p, _mm_packus_epi16(low, high));
}
#else
static MLCC_INLINE void V8_STS2U8(uint8_t *p, v8i a, v8i b)
{
    V8_STSU8(p, a);
    V8_STSU8(p + 8, b);
}
#endif

#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE void V8_STS4U8(uint8_t *p, v8i a, v8i b, v8i c, v8i d)
{
    const __m256i w = _mm256_packs_epi32((__m256i)a, (__m256i)b), x = _mm256_packs_epi32((__m256i)c, (__m256i)d);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    _mm256_storeu_si256((__m256i *)(void *)p, _mm256_permutevar8x32_epi32(_mm256_packus_epi16(w, x), order));
}
#else
static MLCC_INLINE void V8_STS4U8(uint8_t *p, v8i a, v8i b, v8i c, v8i d)
{
    V8_STSU8(p, a);
    V8_STSU8(p + 8, b);
    V8_STSU8(p + 16, c);
    V8_STSU8(p + 24, d);
}
#endif

/* Low bytes of lane i of a, b and c at p[3 * i], p[3 * i + 1] and p[3 * i + 2]: the channels of pixels. */
#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE void V8_ZIP3U8(uint8_t *p, v8i a, v8i b, v8i c)
{
    const v8i all = (a & 255) | (b & 255) << 8 | (v8i)((v8u)c << 16);
    const __m256i each = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
    const __m256i order = _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7);
    const __m256i side = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8((__m256i)all, each), order);
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_castsi256_si128(side));
    _mm_storel_epi64((__m128i *)(void *)(p + 16), _mm256_extracti128_si256(side, 1));
}
#else
static MLCC_INLINE void V8_ZIP3U8(uint8_t *p, v8i a, v8i b, v8i c)
{
    for (int i = 0; i < 8; i++) {
        p[3 * i] = (uint8_t)a[i];
        p[3 * i + 1] = (uint8_t)b[i];
        p[3 * i + 2] = (uint8_t)c[i];
    }
}
#endif

static MLCC_INLINE void V8_ZIP3I8(int8_t *p, v8i a, v8i b, v8i c) { V8_ZIP3U8((uint8_t *)p, a, b, c); }

/* Low halves of lane i of a, b and c at p[3 * i], p[3 * i + 1] and p[3 * i + 2]. Of each store but the last the next one writes over what is too much. */
#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE void V8_ZIP3I16(int16_t *p, v8i a, v8i b, v8i c)
{
    const __m256i ab = (__m256i)((a & 65535) | (v8i)((v8u)b << 16));
    const __m256i each = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, -1, -1, -1, -1));
    const __m256i x = _mm256_shuffle_epi8(_mm256_unpacklo_epi32(ab, (__m256i)c), each), y = _mm256_shuffle_epi8(_mm256_unpackhi_epi32(ab, (__m256i)c), each);
    const __m128i last = _mm256_extracti128_si256(y, 1);
    const int32_t end = _mm_extract_epi32(last, 2);
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_castsi256_si128(x));
    _mm_storeu_si128((__m128i *)(void *)(p + 6), _mm256_castsi256_si128(y));
    _mm_storeu_si128((__m128i *)(void *)(p + 12), _mm256_extracti128_si256(x, 1));
    _mm_storel_epi64((__m128i *)(void *)(p + 18), last);
    memcpy(p + 22, &end, sizeof end);
}
#else
static MLCC_INLINE void V8_ZIP3I16(int16_t *p, v8i a, v8i b, v8i c)
{
    V4_ZIP3I16(p, (v4i)mlcc_v8_lo((v8f)a), (v4i)mlcc_v8_lo((v8f)b), (v4i)mlcc_v8_lo((v8f)c));
    V4_ZIP3I16(p + 12, (v4i)mlcc_v8_hi((v8f)a), (v4i)mlcc_v8_hi((v8f)b), (v4i)mlcc_v8_hi((v8f)c));
}
#endif

/* The nearest of -32768 to 32767, halves to even, of lane i of a and b at p[2 * i] and p[2 * i + 1]; of NaN the least. Floats below all whole
 * numbers of 32 bits become the least of those. */
#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE void mlcc_v8_st_turns(int16_t *p, __m256i v)
{
    const __m256i order = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15));
    _mm256_storeu_si256((__m256i *)(void *)p, _mm256_shuffle_epi8(v, order));
}

static MLCC_INLINE void V8_ZIP2RI16(int16_t *p, v8f a, v8f b)
{
    const __m256 most = _mm256_set1_ps(32767.0f);
    const __m256i x = _mm256_cvtps_epi32(_mm256_min_ps(most, (__m256)a)), y = _mm256_cvtps_epi32(_mm256_min_ps(most, (__m256)b));
    mlcc_v8_st_turns(p, _mm256_packs_epi32(x, y));
}
#else
static MLCC_INLINE void V8_ZIP2RI16(int16_t *p, v8f a, v8f b)
{
    V4_ZIP2RI16(p, mlcc_v8_lo(a), mlcc_v8_lo(b));
    V4_ZIP2RI16(p + 8, mlcc_v8_hi(a), mlcc_v8_hi(b));
}
#endif

#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE v8i V8_LDI16(const int16_t *p)
{
    return (v8i)_mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
}
#else
static MLCC_INLINE v8i V8_LDI16(const int16_t *p)
{
    return __builtin_convertvector(*(const v8s *)(const void *)p, v8i);
}
#endif

static MLCC_INLINE v8i V8_LDNI16(const int16_t *p, int n)
{
    v8i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i];
    return v;
}

static MLCC_INLINE v8i V8_GATHERI16(const int16_t *p, ptrdiff_t s, int n)
{
    v8i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i * s];
    return v;
}

static MLCC_INLINE void V8_STI16(int16_t *p, v8i v)
{
    *(v8s *)(void *)p = __builtin_convertvector(v, v8s);
}

static MLCC_INLINE void V8_STNI16(int16_t *p, v8i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = (int16_t)v[i];
}

static MLCC_INLINE void V8_SCATTERI16(int16_t *p, ptrdiff_t s, v8i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i * s] = (int16_t)v[i];
}

static MLCC_INLINE void V8_STSI16(int16_t *p, v8i v) { V8_STI16(p, V8_SATI16(v)); }

/* Saturated to bytes and stored as 16 bits: one vector, two side by side, two apart, or lanes of two by turns. */
static MLCC_INLINE void V8_STWU8(int16_t *p, v8i v) { V4_STW2U8(p, (v4i)mlcc_v8_lo((v8f)v), (v4i)mlcc_v8_hi((v8f)v)); }

static MLCC_INLINE void V8_STWI8(int16_t *p, v8i v) { V4_STW2I8(p, (v4i)mlcc_v8_lo((v8f)v), (v4i)mlcc_v8_hi((v8f)v)); }

#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE __m256i mlcc_v8_words_u8(v8i a, v8i b)
{
    return _mm256_min_epu16(_mm256_packus_epi32((__m256i)a, (__m256i)b), _mm256_set1_epi16(255));
}

static MLCC_INLINE __m256i mlcc_v8_words_i8(v8i a, v8i b)
{
    const __m256i all = _mm256_packs_epi32((__m256i)a, (__m256i)b);
    return _mm256_min_epi16(_mm256_max_epi16(all, _mm256_set1_epi16(-128)), _mm256_set1_epi16(127));
}

static MLCC_INLINE void V8_STW2U8(int16_t *p, v8i a, v8i b) { _mm256_storeu_si256((__m256i *)(void *)p, _mm256_permute4x64_epi64(mlcc_v8_words_u8(a, b), 0xd8)); }

static MLCC_INLINE void V8_STW2I8(int16_t *p, v8i a, v8i b) { _mm256_storeu_si256((__m256i *)(void *)p, _mm256_permute4x64_epi64(mlcc_v8_words_i8(a, b), 0xd8)); }

static MLCC_INLINE void mlcc_v8_st_apart(int16_t *p, int16_t *q, __m256i v)
{
    const __m256i side = _mm256_permute4x64_epi64(v, 0xd8);
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_castsi256_si128(side));
    _mm_storeu_si128((__m128i *)(void *)q, _mm256_extracti128_si256(side, 1));
}

static MLCC_INLINE void V8_STWAU8(int16_t *p, int16_t *q, v8i a, v8i b) { mlcc_v8_st_apart(p, q, mlcc_v8_words_u8(a, b)); }

static MLCC_INLINE void V8_STWAI8(int16_t *p, int16_t *q, v8i a, v8i b) { mlcc_v8_st_apart(p, q, mlcc_v8_words_i8(a, b)); }

static MLCC_INLINE void V8_ZIP2WU8(int16_t *p, v8i a, v8i b) { mlcc_v8_st_turns(p, mlcc_v8_words_u8(a, b)); }

static MLCC_INLINE void V8_ZIP2WI8(int16_t *p, v8i a, v8i b) { mlcc_v8_st_turns(p, mlcc_v8_words_i8(a, b)); }
#else
static MLCC_INLINE void V8_STW2U8(int16_t *p, v8i a, v8i b)
{
    V8_STWU8(p, a);
    V8_STWU8(p + 8, b);
}

static MLCC_INLINE void V8_STW2I8(int16_t *p, v8i a, v8i b)
{
    V8_STWI8(p, a);
    V8_STWI8(p + 8, b);
}

static MLCC_INLINE void V8_STWAU8(int16_t *p, int16_t *q, v8i a, v8i b)
{
    V8_STWU8(p, a);
    V8_STWU8(q, b);
}

static MLCC_INLINE void V8_STWAI8(int16_t *p, int16_t *q, v8i a, v8i b)
{
    V8_STWI8(p, a);
    V8_STWI8(q, b);
}

static MLCC_INLINE void V8_ZIP2WU8(int16_t *p, v8i a, v8i b)
{
    V4_ZIP2WU8(p, (v4i)mlcc_v8_lo((v8f)a), (v4i)mlcc_v8_lo((v8f)b));
    V4_ZIP2WU8(p + 8, (v4i)mlcc_v8_hi((v8f)a), (v4i)mlcc_v8_hi((v8f)b));
}

static MLCC_INLINE void V8_ZIP2WI8(int16_t *p, v8i a, v8i b)
{
    V4_ZIP2WI8(p, (v4i)mlcc_v8_lo((v8f)a), (v4i)mlcc_v8_lo((v8f)b));
    V4_ZIP2WI8(p + 8, (v4i)mlcc_v8_hi((v8f)a), (v4i)mlcc_v8_hi((v8f)b));
}
#endif

#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE v8i V8_LDU16(const uint16_t *p)
{
    return (v8i)_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
}
#else
static MLCC_INLINE v8i V8_LDU16(const uint16_t *p)
{
    return __builtin_convertvector(*(const v8h *)(const void *)p, v8i);
}
#endif

static MLCC_INLINE v8i V8_LDNU16(const uint16_t *p, int n)
{
    v8i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i];
    return v;
}

static MLCC_INLINE v8i V8_GATHERU16(const uint16_t *p, ptrdiff_t s, int n)
{
    v8i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i * s];
    return v;
}

static MLCC_INLINE void V8_STU16(uint16_t *p, v8i v)
{
    *(v8h *)(void *)p = __builtin_convertvector(v, v8h);
}

static MLCC_INLINE void V8_STNU16(uint16_t *p, v8i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = (uint16_t)v[i];
}

static MLCC_INLINE void V8_SCATTERU16(uint16_t *p, ptrdiff_t s, v8i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i * s] = (uint16_t)v[i];
}

static MLCC_INLINE void V8_STSU16(uint16_t *p, v8i v) { V8_STU16(p, V8_SATU16(v)); }

static MLCC_INLINE v8f V8_LDNBF(const uint16_t *p, int n)
{
    v8f v = {0};
    for (int i = 0; i < n; i++)
        v[i] = mlcc_f32_of_bf16(p[i]);
    return v;
}

static MLCC_INLINE v8f V8_GATHERBF(const uint16_t *p, ptrdiff_t s, int n)
{
    v8f v = {0};
    for (int i = 0; i < n; i++)
        v[i] = mlcc_f32_of_bf16(p[i * s]);
    return v;
}

static MLCC_INLINE void V8_STNBF(uint16_t *p, v8f v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = mlcc_bf16_of_f32(v[i]);
}

static MLCC_INLINE void V8_STNBFZ(uint16_t *p, v8f v, int n) { V8_STNBF(p, v, n); }

static MLCC_INLINE void V8_SCATTERBF(uint16_t *p, ptrdiff_t s, v8f v, int n)
{
    for (int i = 0; i < n; i++)
        p[i * s] = mlcc_bf16_of_f32(v[i]);
}

/* Lane i of both at p[4 * i]. */
#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE void mlcc_v8_by_turns(uint16_t *p, v8u ab, v8u cd)
{
    const __m256i low = _mm256_unpacklo_epi32((__m256i)ab, (__m256i)cd), high = _mm256_unpackhi_epi32((__m256i)ab, (__m256i)cd);
    _mm256_storeu_si256((__m256i *)(void *)p, _mm256_permute2x128_si256(low, high, 0x20));
    _mm256_storeu_si256((__m256i *)(void *)(p + 16), _mm256_permute2x128_si256(low, high, 0x31));
}
#else
static MLCC_INLINE void mlcc_v8_by_turns(uint16_t *p, v8u ab, v8u cd)
{
    for (int i = 0; i < 8; i++) {
        const uint32_t two[] = {ab[i], cd[i]};
        memcpy(p + 4 * i, two, sizeof two);
    }
}
#endif

static MLCC_INLINE void V8_ZIP4BF(uint16_t *p, v8f a, v8f b, v8f c, v8f d)
{
    mlcc_v8_by_turns(p, mlcc_v8_bf(a) | mlcc_v8_bf(b) << 16, mlcc_v8_bf(c) | mlcc_v8_bf(d) << 16);
}

static MLCC_INLINE void V8_ZIP4BFZ(uint16_t *p, v8f a, v8f b, v8f c, v8f d) { V8_ZIP4BF(p, a, b, c, d); }

#if MLCC_X86 && defined(__F16C__)
static MLCC_INLINE v8f V8_LDHF(const uint16_t *p) { return (v8f)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p)); }
#else
static MLCC_INLINE v8f V8_LDHF(const uint16_t *p)
{
    v8f v;
    for (int i = 0; i < 8; i++)
        v[i] = mlcc_f32_of_f16(p[i]);
    return v;
}
#endif

static MLCC_INLINE v8f V8_LDNHF(const uint16_t *p, int n)
{
    v8f v = {0};
    for (int i = 0; i < n; i++)
        v[i] = mlcc_f32_of_f16(p[i]);
    return v;
}

static MLCC_INLINE v8f V8_GATHERHF(const uint16_t *p, ptrdiff_t s, int n)
{
    v8f v = {0};
    for (int i = 0; i < n; i++)
        v[i] = mlcc_f32_of_f16(p[i * s]);
    return v;
}

static MLCC_INLINE void V8_STNHF(uint16_t *p, v8f v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = mlcc_f16_of_f32(v[i]);
}

static MLCC_INLINE void V8_STHF(uint16_t *p, v8f v) { V8_STNHF(p, v, 8); }

static MLCC_INLINE void V8_SCATTERHF(uint16_t *p, ptrdiff_t s, v8f v, int n)
{
    for (int i = 0; i < n; i++)
        p[i * s] = mlcc_f16_of_f32(v[i]);
}

static MLCC_INLINE v8l V8_LSET(int64_t x)
{
    const v8q v = (v8q){0} + x;
    return (v8l){v, v};
}

/* Lane 2i in the low half of 64-bit lane i: sign extended, and the high half of it likewise. */
static MLCC_INLINE v8l V8_LOFI(v8i a)
{
    const v8q q = (v8q)a;
    return (v8l){(v8q)((v8uq)q << 32) >> 32, q >> 32};
}

/* Products of 32-bit lanes. */
#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE v8l V8_LMUL(v8i a, v8i b)
{
    const v8q even = (v8q)_mm256_mul_epi32((__m256i)a, (__m256i)b);
    const v8q odd = (v8q)_mm256_mul_epi32(_mm256_srli_epi64((__m256i)a, 32), _mm256_srli_epi64((__m256i)b, 32));
    return (v8l){even, odd};
}
#else
static MLCC_INLINE v8l V8_LMUL(v8i a, v8i b)
{
    const v8l p = V8_LOFI(a), q = V8_LOFI(b);
    return (v8l){p.even * q.even, p.odd * q.odd};
}
#endif

static MLCC_INLINE v8l V8_LADD(v8l a, v8l b)
{
    return (v8l){(v8q)((v8uq)a.even + (v8uq)b.even), (v8q)((v8uq)a.odd + (v8uq)b.odd)};
}

static MLCC_INLINE v8l V8_LAND(v8l a, v8l b) { return (v8l){a.even & b.even, a.odd & b.odd}; }

static MLCC_INLINE v8l V8_LSUB(v8l a, v8l b)
{
    return (v8l){(v8q)((v8uq)a.even - (v8uq)b.even), (v8q)((v8uq)a.odd - (v8uq)b.odd)};
}

static MLCC_INLINE v8q mlcc_v8_min_q(v8q a, v8q b)
{
    const v8q m = (v8q)(a < b);
    return (m & a) | (~m & b);
}

static MLCC_INLINE v8l V8_LMIN(v8l a, v8l b)
{
    return (v8l){mlcc_v8_min_q(a.even, b.even), mlcc_v8_min_q(a.odd, b.odd)};
}

static MLCC_INLINE v8q mlcc_v8_max_q(v8q a, v8q b)
{
    const v8q m = (v8q)(a > b);
    return (m & a) | (~m & b);
}

static MLCC_INLINE v8l V8_LMAX(v8l a, v8l b)
{
    return (v8l){mlcc_v8_max_q(a.even, b.even), mlcc_v8_max_q(a.odd, b.odd)};
}

/* A negative number shifts as its complement does. */
#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE v8q mlcc_v8_shr_q(v8q a, v8q n)
{
    const v8q sign = (v8q)(a < 0);
    return (v8q)_mm256_srlv_epi64((__m256i)(a ^ sign), (__m256i)n) ^ sign;
}
#else
static MLCC_INLINE v8q mlcc_v8_shr_q(v8q a, v8q n)
{
    for (int i = 0; i < 4; i++)
        a[i] = mlcc_shr_i64(a[i], n[i]);
    return a;
}
#endif

#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE v8q mlcc_v8_shl_q(v8q a, v8q n) { return (v8q)_mm256_sllv_epi64((__m256i)a, (__m256i)n); }
#else
static MLCC_INLINE v8q mlcc_v8_shl_q(v8q a, v8q n)
{
    for (int i = 0; i < 4; i++)
        a[i] = mlcc_shl_i64(a[i], n[i]);
    return a;
}
#endif

static MLCC_INLINE v8l V8_LSHR(v8l a, v8l n)
{
    return (v8l){mlcc_v8_shr_q(a.even, n.even), mlcc_v8_shr_q(a.odd, n.odd)};
}

static MLCC_INLINE v8l V8_LSHL(v8l a, v8l n)
{
    return (v8l){mlcc_v8_shl_q(a.even, n.even), mlcc_v8_shl_q(a.odd, n.odd)};
}

/* The low halves of even, the high halves of odd. */
#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE v8i mlcc_v8_zip(v8uq even, v8uq odd) { return (v8i)_mm256_blend_epi32((__m256i)even, (__m256i)odd, 0xaa); }
#else
static MLCC_INLINE v8i mlcc_v8_zip(v8uq even, v8uq odd)
{
    const v8uq low = (v8uq){0} + 0xffffffffu;
    return (v8i)((even & low) | (odd & ~low));
}
#endif

/* i32(a): the low halves. */
static MLCC_INLINE v8i V8_IOFL(v8l a) { return mlcc_v8_zip((v8uq)a.even, (v8uq)a.odd << 32); }

/* i32(a >> n), 0 <= n <= 63: of the high halves where none of the low ones is left. */
static MLCC_INLINE v8i V8_ISHRL(v8l a, int n)
{
    if (n >= 32)
        return mlcc_v8_zip((v8uq)a.even >> 32, (v8uq)a.odd) >> (n - 32);
    return mlcc_v8_zip((v8uq)a.even >> n, (v8uq)a.odd << (32 - n));
}

static MLCC_INLINE v8i V8_LSAT(v8l a)
{
    return V8_IOFL(V8_LMIN(V8_LMAX(a, V8_LSET(INT32_MIN)), V8_LSET(INT32_MAX)));
}

/* Four bytes in each lane: side by side in memory, or the same ones. */
static MLCC_INLINE v8i V8_LDQ(const void *p)
{
    v8i v;
    memcpy(&v, p, sizeof v);
    return v;
}

#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE v8i V8_LDNQ(const void *p, int n) { return (v8i)_mm256_maskload_epi32((const int *)p, mlcc_v8_first(n)); }
#else
static MLCC_INLINE v8i V8_LDNQ(const void *p, int n)
{
    v8i v = {0};
    memcpy(&v, p, 4 * (size_t)n);
    return v;
}
#endif

static MLCC_INLINE v8i V8_SETQ(const void *p)
{
    int32_t q;
    memcpy(&q, p, sizeof q);
    return V8_ISET(q);
}

static MLCC_INLINE v8i V8_SET2Q(const void *p)
{
    float both[2];
    memcpy(both, p, sizeof both);
    return (v8i)V8_SET2(both);
}

/* Bytes 0 and 2 of each lane as two 16-bit numbers, and bytes 1 and 3. */
static MLCC_INLINE v8i mlcc_v8_even_u8(v8i a) { return a & 0x00ff00ff; }

typedef int16_t v8ss __attribute__((vector_size(32), aligned(4), may_alias));
typedef uint16_t v8hh __attribute__((vector_size(32), aligned(4), may_alias));

static MLCC_INLINE v8i mlcc_v8_odd_u8(v8i a) { return (v8i)((v8hh)a >> 8); }

typedef int8_t v8bb __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint8_t v8cc __attribute__((vector_size(16), aligned(1), may_alias));

/* Two bytes for each lane as numbers of 16 bits. gcc 12 makes three instructions of a conversion that is one. */
#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE v8i V8_LDWI8(const void *p) { return (v8i)_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p)); }
static MLCC_INLINE v8i V8_LDWU8(const void *p) { return (v8i)_mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)p)); }
#else
static MLCC_INLINE v8i V8_LDWI8(const void *p) { return (v8i)__builtin_convertvector(*(const v8bb *)p, v8ss); }
static MLCC_INLINE v8i V8_LDWU8(const void *p) { return (v8i)__builtin_convertvector(*(const v8cc *)p, v8ss); }
#endif

static MLCC_INLINE v8i V8_LDNWI8(const void *p, int n)
{
    char some[16] = {0};
    memcpy(some, p, 2 * (size_t)n);
    return V8_LDWI8(some);
}

static MLCC_INLINE v8i V8_LDNWU8(const void *p, int n)
{
    char some[16] = {0};
    memcpy(some, p, 2 * (size_t)n);
    return V8_LDWU8(some);
}

/* Of lanes of 16 bits, two for each of 32: all modulo 2^16. */
static MLCC_INLINE v8i V8_WADD(v8i a, v8i b) { return (v8i)((v8hh)a + (v8hh)b); }

static MLCC_INLINE v8i V8_WSUB(v8i a, v8i b) { return (v8i)((v8hh)a - (v8hh)b); }

static MLCC_INLINE v8i V8_WSHL(v8i a, int n) { return (v8i)((v8hh)a << n); }

static MLCC_INLINE v8i V8_WSET(int a) { return (v8i)((v8hh){0} + (uint16_t)a); }

static MLCC_INLINE void V8_STQ(void *p, v8i v) { memcpy(p, &v, sizeof v); }

static MLCC_INLINE v8i mlcc_v8_even_i8(v8i a) { return (v8i)((v8ss)((v8hh)a << 8) >> 8); }

static MLCC_INLINE v8i mlcc_v8_odd_i8(v8i a) { return (v8i)((v8ss)a >> 8); }

/* Sum of the products of the 16-bit halves. */
#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE v8i mlcc_v8_madd(v8i a, v8i b) { return (v8i)_mm256_madd_epi16((__m256i)a, (__m256i)b); }
#else /* code for other processors is compiled without the features that it was made for, too: few operations for each sum */
static MLCC_INLINE v8i mlcc_v8_madd(v8i a, v8i b)
{
    const v4i lo = mlcc_v4_madd((v4i)mlcc_v8_lo((v8f)a), (v4i)mlcc_v8_lo((v8f)b));
    const v4i hi = mlcc_v4_madd((v4i)mlcc_v8_hi((v8f)a), (v4i)mlcc_v8_hi((v8f)b));
    return (v8i)mlcc_v8_join((v4f)lo, (v4f)hi);
}
#endif

/* c + the product of the low halves as signed numbers, where the high half of a is 0. */
#if MLCC_X86 && defined(__AVX512VNNI__) && defined(__AVX512VL__)
static MLCC_INLINE v8i V8_IMAC(v8i a, v8i b, v8i c) { return (v8i)_mm256_dpwssd_epi32((__m256i)c, (__m256i)a, (__m256i)b); }
#else
static MLCC_INLINE v8i V8_IMAC(v8i a, v8i b, v8i c) { return V8_IADD(c, mlcc_v8_madd(a, b)); }
#endif

#if MLCC_X86 && defined(__AVX512VNNI__) && defined(__AVX512VL__)
static MLCC_INLINE v8i V8_DOTUS(v8i x, v8i w, v8i c) { return (v8i)_mm256_dpbusd_epi32((__m256i)c, (__m256i)x, (__m256i)w); }
#elif MLCC_X86 && defined(__AVXVNNI__)
static MLCC_INLINE v8i V8_DOTUS(v8i x, v8i w, v8i c)
{
    return (v8i)_mm256_dpbusd_avx_epi32((__m256i)c, (__m256i)x, (__m256i)w);
}
#else
static MLCC_INLINE v8i V8_DOTUS(v8i x, v8i w, v8i c)
{
    const v8i even = mlcc_v8_madd(mlcc_v8_even_u8(x), mlcc_v8_even_i8(w));
    return V8_IADD(c, V8_IADD(even, mlcc_v8_madd(mlcc_v8_odd_u8(x), mlcc_v8_odd_i8(w))));
}
#endif

/* (x + 128) * w - 128 * w where only that has an instruction; the second product is the same for all x. */
#if MLCC_X86 && defined(__AVX512VNNI__) && defined(__AVX512VL__) || (MLCC_X86 && defined(__AVXVNNI__))
static MLCC_INLINE v8i V8_DOTSS(v8i x, v8i w, v8i c)
{
    const v8i flip = V8_ISET(INT32_C(-0x7f7f7f80));
    return V8_ISUB(V8_DOTUS(x ^ flip, w, c), V8_DOTUS(flip, w, V8_ISET(0)));
}
#else
static MLCC_INLINE v8i V8_DOTSS(v8i x, v8i w, v8i c)
{
    const v8i even = mlcc_v8_madd(mlcc_v8_even_i8(x), mlcc_v8_even_i8(w));
    return V8_IADD(c, V8_IADD(even, mlcc_v8_madd(mlcc_v8_odd_i8(x), mlcc_v8_odd_i8(w))));
}
#endif

static MLCC_INLINE v8i V8_DOTUU(v8i x, v8i w, v8i c)
{
    const v8i even = mlcc_v8_madd(mlcc_v8_even_u8(x), mlcc_v8_even_u8(w));
    return V8_IADD(c, V8_IADD(even, mlcc_v8_madd(mlcc_v8_odd_u8(x), mlcc_v8_odd_u8(w))));
}

#if MLCC_X86 && defined(__AVX512VNNI__) && defined(__AVX512VL__)
static MLCC_INLINE v8i V8_DOTI16(v8i x, v8i w, v8i c) { return (v8i)_mm256_dpwssd_epi32((__m256i)c, (__m256i)x, (__m256i)w); }
#elif MLCC_X86 && defined(__AVXVNNI__)
static MLCC_INLINE v8i V8_DOTI16(v8i x, v8i w, v8i c)
{
    return (v8i)_mm256_dpwssd_avx_epi32((__m256i)c, (__m256i)x, (__m256i)w);
}
#else
static MLCC_INLINE v8i V8_DOTI16(v8i x, v8i w, v8i c) { return V8_IADD(c, mlcc_v8_madd(x, w)); }
#endif

/* c and the products of two pairs of bf16; the processor's instruction takes numbers below the normal range for 0. */
#if MLCC_X86 && defined(__AVX512BF16__) && defined(__AVX512VL__)
static MLCC_INLINE v8f V8_DOTBF(v8i x, v8i w, v8f c)
{
    return (v8f)_mm256_dpbf16_ps((__m256)c, (__m256bh)x, (__m256bh)w);
}
#else
static MLCC_INLINE v8f V8_DOTBF(v8i x, v8i w, v8f c)
{
    const v8i high = V8_ISET(-0x10000);
    c = V8_FMA((v8f)(x & high), (v8f)(w & high), c);
    return V8_FMA((v8f)((v8u)x << 16), (v8f)((v8u)w << 16), c);
}
#endif

#endif

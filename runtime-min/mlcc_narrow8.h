/* SPDX-License-Identifier: 0BSD
 *
 * Narrow loads and stores of 8 lanes: bytes, 16 bits, bfloat16 and half floats, of the vector dialect; mlcc_vec.h says what each operation means.
 * As in mlcc_vec8.h every width is written out, and what a processor lacks is made lane by lane.
 */
#ifndef MLCC_NARROW8_H
#define MLCC_NARROW8_H

typedef int16_t v8s __attribute__((vector_size(16), aligned(2), may_alias));

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

static MLCC_INLINE void V8_STABFC(uint16_t *p, uint16_t *q, v8i a, v8i b, v8f s, v8f t)
{
    const v8f zero = V8_SET(0.0f);
    V8_STBFZ(p, V8_MIN(V8_MAX(V8_ITOF(a), zero), s));
    V8_STBFZ(q, V8_MIN(V8_MAX(V8_ITOF(b), zero), t));
}

#endif

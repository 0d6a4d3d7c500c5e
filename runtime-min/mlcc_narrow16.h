/* SPDX-License-Identifier: 0BSD
 *
 * Narrow loads and stores of 16 lanes: bytes, 16 bits, bfloat16 and half floats, of the vector dialect; mlcc_vec.h says what each operation means.
 * As in mlcc_vec16.h every width is written out, and what a processor lacks is made lane by lane.
 */
#ifndef MLCC_NARROW16_H
#define MLCC_NARROW16_H

typedef int16_t v16s __attribute__((vector_size(32), aligned(2), may_alias));

#if MLCC_X86 && defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
static MLCC_INLINE v16i V16_LDNI8(const int8_t *p, int n)
{
    return (v16i)_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(mlcc_v16_first(n), p));
}
#else
static MLCC_INLINE v16i V16_LDNI8(const int8_t *p, int n)
{
    v16i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i];
    return v;
}
#endif

static MLCC_INLINE v16i V16_GATHERI8(const int8_t *p, ptrdiff_t s, int n)
{
    v16i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i * s];
    return v;
}

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE void V16_STI8(int8_t *p, v16i v)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8((__m512i)v));
}
#else
static MLCC_INLINE void V16_STI8(int8_t *p, v16i v)
{
    *(v16b *)(void *)p = __builtin_convertvector(v, v16b);
}
#endif

#if MLCC_X86 && defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
/* Of n bytes. A masked store holds up loads of the bytes that it leaves alone, as those of the next row are. */
static MLCC_INLINE void mlcc_v16_stn_bytes(void *p, __m128i b, int n)
{
    if (__builtin_constant_p(n) && n == 8)
        _mm_storel_epi64((__m128i *)p, b);
    else
        _mm_mask_storeu_epi8(p, mlcc_v16_first(n), b);
}
#endif

#if MLCC_X86 && defined(__AVX512BW__)
/* The first bytes of n lanes. */
static MLCC_INLINE __mmask64 mlcc_v16_every_fourth(int n)
{
    return n == 16 ? (__mmask64)0x1111111111111111u : (__mmask64)(0x1111111111111111u & ((1ull << (4 * n)) - 1));
}
#endif

#if MLCC_X86 && defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
static MLCC_INLINE void V16_STNI8(int8_t *p, v16i v, int n) { mlcc_v16_stn_bytes(p, _mm512_cvtepi32_epi8((__m512i)v), n); }
#else
static MLCC_INLINE void V16_STNI8(int8_t *p, v16i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = (int8_t)v[i];
}
#endif

#if MLCC_X86 && defined(__AVX512BW__)
static MLCC_INLINE void V16_SCATTERI8(int8_t *p, ptrdiff_t s, v16i v, int n)
{
    const v16c b = __builtin_convertvector(v, v16c);
    if (s == 4)
        _mm512_mask_storeu_epi8(p, mlcc_v16_every_fourth(n), (__m512i)v);
    else
        for (int i = 0; i < n; i++)
            p[i * s] = (int8_t)b[i];
}
#else
static MLCC_INLINE void V16_SCATTERI8(int8_t *p, ptrdiff_t s, v16i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i * s] = (int8_t)v[i];
}
#endif

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE void V16_STSI8(int8_t *p, v16i v)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtsepi32_epi8((__m512i)v));
}
#else
static MLCC_INLINE void V16_STSI8(int8_t *p, v16i v) { V16_STI8(p, V16_SATI8(v)); }
#endif

#if MLCC_X86 && defined(__AVX512BW__)
static MLCC_INLINE void V16_STS2I8(int8_t *p, v16i a, v16i b)
{
    const __m512i w = _mm512_packs_epi32((__m512i)a, (__m512i)b), q = _mm512_packs_epi16(w, w);
    const __m512i all = _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 0, 4, 8, 12, 1, 5, 9, 13), q);
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_castsi512_si256(all));
}
#else
static MLCC_INLINE void V16_STS2I8(int8_t *p, v16i a, v16i b)
{
    V16_STSI8(p, a);
    V16_STSI8(p + 16, b);
}
#endif

#if MLCC_X86 && defined(__AVX512BW__)
static MLCC_INLINE void V16_STS4I8(int8_t *p, v16i a, v16i b, v16i c, v16i d)
{
    const __m512i w = _mm512_packs_epi32((__m512i)a, (__m512i)b), x = _mm512_packs_epi32((__m512i)c, (__m512i)d);
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_storeu_si512(p, _mm512_permutexvar_epi32(order, _mm512_packs_epi16(w, x)));
}
#else
static MLCC_INLINE void V16_STS4I8(int8_t *p, v16i a, v16i b, v16i c, v16i d)
{
    V16_STSI8(p, a);
    V16_STSI8(p + 16, b);
    V16_STSI8(p + 32, c);
    V16_STSI8(p + 48, d);
}
#endif

#if MLCC_X86 && defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
static MLCC_INLINE v16i V16_LDNU8(const uint8_t *p, int n)
{
    return (v16i)_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mlcc_v16_first(n), p));
}
#else
static MLCC_INLINE v16i V16_LDNU8(const uint8_t *p, int n)
{
    v16i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i];
    return v;
}
#endif

static MLCC_INLINE v16i V16_GATHERU8(const uint8_t *p, ptrdiff_t s, int n)
{
    v16i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i * s];
    return v;
}

#if MLCC_X86 && defined(__AVX512VBMI__)
/* By the low seven bits from either half of the table. */
static MLCC_INLINE v16i V16_LOOKUPU8(const uint8_t *t, v16i at)
{
    const __m512i i = (__m512i)at, low = _mm512_permutex2var_epi8(_mm512_loadu_si512(t), i, _mm512_loadu_si512(t + 64));
    const __m512i high = _mm512_permutex2var_epi8(_mm512_loadu_si512(t + 128), i, _mm512_loadu_si512(t + 192));
    return (v16i)_mm512_and_si512(_mm512_mask_mov_epi32(low, _mm512_test_epi32_mask(i, _mm512_set1_epi32(128)), high), _mm512_set1_epi32(255));
}
#elif MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16i V16_LOOKUPU8(const uint8_t *t, v16i at)
{
    const __m512i i = (__m512i)at, word = _mm512_i32gather_epi32(_mm512_srli_epi32(i, 2), (const int *)(const void *)t, 4);
    const __m512i byte = _mm512_slli_epi32(_mm512_and_si512(i, _mm512_set1_epi32(3)), 3);
    return (v16i)_mm512_and_si512(_mm512_srlv_epi32(word, byte), _mm512_set1_epi32(255));
}
#else
static MLCC_INLINE v16i V16_LOOKUPU8(const uint8_t *t, v16i at)
{
    for (int i = 0; i < 16; i++)
        at[i] = t[at[i]];
    return at;
}
#endif

static MLCC_INLINE v16i V16_LOOKUPI8(const int8_t *t, v16i at)
{
    return V16_WRAPI8(V16_LOOKUPU8((const uint8_t *)t, at));
}

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE void V16_STU8(uint8_t *p, v16i v)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8((__m512i)v));
}
#else
static MLCC_INLINE void V16_STU8(uint8_t *p, v16i v)
{
    *(v16c *)(void *)p = __builtin_convertvector(v, v16c);
}
#endif

#if MLCC_X86 && defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
static MLCC_INLINE void V16_STNU8(uint8_t *p, v16i v, int n) { mlcc_v16_stn_bytes(p, _mm512_cvtepi32_epi8((__m512i)v), n); }
#else
static MLCC_INLINE void V16_STNU8(uint8_t *p, v16i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = (uint8_t)v[i];
}
#endif

#if MLCC_X86 && defined(__AVX512BW__)
static MLCC_INLINE void V16_SCATTERU8(uint8_t *p, ptrdiff_t s, v16i v, int n)
{
    const v16c b = __builtin_convertvector(v, v16c);
    if (s == 4)
        _mm512_mask_storeu_epi8(p, mlcc_v16_every_fourth(n), (__m512i)v);
    else
        for (int i = 0; i < n; i++)
            p[i * s] = b[i];
}
#else
static MLCC_INLINE void V16_SCATTERU8(uint8_t *p, ptrdiff_t s, v16i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i * s] = (uint8_t)v[i];
}
#endif

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE void V16_STSU8(uint8_t *p, v16i v)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtusepi32_epi8((__m512i)V16_IMAX(v, V16_ISET(0))));
}
#else
static MLCC_INLINE void V16_STSU8(uint8_t *p, v16i v) { V16_STU8(p, V16_SATU8(v)); }
#endif

#if MLCC_X86 && defined(__AVX512BW__)
static MLCC_INLINE void V16_STS2U8(uint8_t *p, v16i a, v16i b)
{
    const __m512i w = _mm512_packs_epi32((__m512i)a, (__m512i)b), q = _mm512_packus_epi16(w, w);
    const __m512i all = _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 0, 4, 8, 12, 1, 5, 9, 13), q);
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_castsi512_si256(all));
}
#else
static MLCC_INLINE void V16_STS2U8(uint8_t *p, v16i a, v16i b)
{
    V16_STSU8(p, a);
    V16_STSU8(p + 16, b);
}
#endif

#if MLCC_X86 && defined(__AVX512BW__)
static MLCC_INLINE void V16_STS4U8(uint8_t *p, v16i a, v16i b, v16i c, v16i d)
{
    const __m512i w = _mm512_packs_epi32((__m512i)a, (__m512i)b), x = _mm512_packs_epi32((__m512i)c, (__m512i)d);
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_storeu_si512(p, _mm512_permutexvar_epi32(order, _mm512_packus_epi16(w, x)));
}
#else
static MLCC_INLINE void V16_STS4U8(uint8_t *p, v16i a, v16i b, v16i c, v16i d)
{
    V16_STSU8(p, a);
    V16_STSU8(p + 16, b);
    V16_STSU8(p + 32, c);
    V16_STSU8(p + 48, d);
}
#endif

/* Low bytes of lane i of a, b and c at p[3 * i], p[3 * i + 1] and p[3 * i + 2]: the channels of pixels. */
#if MLCC_X86 && defined(__AVX512BW__)
static MLCC_INLINE void V16_ZIP3U8(uint8_t *p, v16i a, v16i b, v16i c)
{
    const v16i all = (a & 255) | (b & 255) << 8 | (v16i)((v16u)c << 16);
    const __m512i each = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
    const __m512i order = _mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 3, 7, 11, 15);
    const __m512i side = _mm512_permutexvar_epi32(order, _mm512_shuffle_epi8((__m512i)all, each));
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_castsi512_si256(side));
    _mm_storeu_si128((__m128i *)(void *)(p + 32), _mm512_extracti32x4_epi32(side, 2));
}
#else
static MLCC_INLINE void V16_ZIP3U8(uint8_t *p, v16i a, v16i b, v16i c)
{
    for (int i = 0; i < 16; i++) {
        p[3 * i] = (uint8_t)a[i];
        p[3 * i + 1] = (uint8_t)b[i];
        p[3 * i + 2] = (uint8_t)c[i];
    }
}
#endif

static MLCC_INLINE void V16_ZIP3I8(int8_t *p, v16i a, v16i b, v16i c) { V16_ZIP3U8((uint8_t *)p, a, b, c); }

static MLCC_INLINE void V16_ZIP3I16(int16_t *p, v16i a, v16i b, v16i c)
{
    V8_ZIP3I16(p, (v8i)mlcc_v16_lo((v16f)a), (v8i)mlcc_v16_lo((v16f)b), (v8i)mlcc_v16_lo((v16f)c));
    V8_ZIP3I16(p + 24, (v8i)mlcc_v16_hi((v16f)a), (v8i)mlcc_v16_hi((v16f)b), (v8i)mlcc_v16_hi((v16f)c));
}

/* The nearest of -32768 to 32767, halves to even, of lane i of a and b at p[2 * i] and p[2 * i + 1]; of NaN the least. Floats below all whole
 * numbers of 32 bits become the least of those. */
#if MLCC_X86 && defined(__AVX512BW__)
static MLCC_INLINE void mlcc_v16_st_turns(int16_t *p, __m512i v)
{
    const __m512i order = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15));
    _mm512_storeu_si512(p, _mm512_shuffle_epi8(v, order));
}

static MLCC_INLINE void V16_ZIP2RI16(int16_t *p, v16f a, v16f b)
{
    const __m512 most = _mm512_set1_ps(32767.0f);
    const __m512i x = _mm512_cvtps_epi32(_mm512_min_ps(most, (__m512)a)), y = _mm512_cvtps_epi32(_mm512_min_ps(most, (__m512)b));
    mlcc_v16_st_turns(p, _mm512_packs_epi32(x, y));
}
#else
static MLCC_INLINE void V16_ZIP2RI16(int16_t *p, v16f a, v16f b)
{
    V8_ZIP2RI16(p, mlcc_v16_lo(a), mlcc_v16_lo(b));
    V8_ZIP2RI16(p + 16, mlcc_v16_hi(a), mlcc_v16_hi(b));
}
#endif

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16i V16_LDI16(const int16_t *p)
{
    return (v16i)_mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
#else
static MLCC_INLINE v16i V16_LDI16(const int16_t *p)
{
    return __builtin_convertvector(*(const v16s *)(const void *)p, v16i);
}
#endif

#if MLCC_X86 && defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
static MLCC_INLINE v16i V16_LDNI16(const int16_t *p, int n)
{
    return (v16i)_mm512_cvtepi16_epi32(_mm256_maskz_loadu_epi16(mlcc_v16_first(n), p));
}
#else
static MLCC_INLINE v16i V16_LDNI16(const int16_t *p, int n)
{
    v16i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i];
    return v;
}
#endif

static MLCC_INLINE v16i V16_GATHERI16(const int16_t *p, ptrdiff_t s, int n)
{
    v16i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i * s];
    return v;
}

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE void V16_STI16(int16_t *p, v16i v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtepi32_epi16((__m512i)v));
}
#else
static MLCC_INLINE void V16_STI16(int16_t *p, v16i v)
{
    *(v16s *)(void *)p = __builtin_convertvector(v, v16s);
}
#endif

#if MLCC_X86 && defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
static MLCC_INLINE void V16_STNI16(int16_t *p, v16i v, int n)
{
    _mm512_mask_cvtepi32_storeu_epi16(p, mlcc_v16_first(n), (__m512i)v);
}
#else
static MLCC_INLINE void V16_STNI16(int16_t *p, v16i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = (int16_t)v[i];
}
#endif

static MLCC_INLINE void V16_SCATTERI16(int16_t *p, ptrdiff_t s, v16i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i * s] = (int16_t)v[i];
}

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE void V16_STSI16(int16_t *p, v16i v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtsepi32_epi16((__m512i)v));
}
#else
static MLCC_INLINE void V16_STSI16(int16_t *p, v16i v) { V16_STI16(p, V16_SATI16(v)); }
#endif

/* Saturated to bytes and stored as 16 bits: one vector, two side by side, two apart, or lanes of two by turns. */
static MLCC_INLINE void V16_STWU8(int16_t *p, v16i v) { V16_STI16(p, V16_SATU8(v)); }

static MLCC_INLINE void V16_STWI8(int16_t *p, v16i v) { V16_STI16(p, V16_SATI8(v)); }

#if MLCC_X86 && defined(__AVX512BW__)
static MLCC_INLINE __m512i mlcc_v16_words_u8(v16i a, v16i b)
{
    return _mm512_min_epu16(_mm512_packus_epi32((__m512i)a, (__m512i)b), _mm512_set1_epi16(255));
}

static MLCC_INLINE __m512i mlcc_v16_words_i8(v16i a, v16i b)
{
    const __m512i all = _mm512_packs_epi32((__m512i)a, (__m512i)b);
    return _mm512_min_epi16(_mm512_max_epi16(all, _mm512_set1_epi16(-128)), _mm512_set1_epi16(127));
}

static MLCC_INLINE void mlcc_v16_st_side(int16_t *p, __m512i v) { _mm512_storeu_si512(p, _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), v)); }

static MLCC_INLINE void V16_STW2U8(int16_t *p, v16i a, v16i b) { mlcc_v16_st_side(p, mlcc_v16_words_u8(a, b)); }

static MLCC_INLINE void V16_STW2I8(int16_t *p, v16i a, v16i b) { mlcc_v16_st_side(p, mlcc_v16_words_i8(a, b)); }

static MLCC_INLINE void mlcc_v16_st_apart(int16_t *p, int16_t *q, __m512i v)
{
    const __m512i side = _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), v);
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_castsi512_si256(side));
    _mm256_storeu_si256((__m256i *)(void *)q, _mm512_extracti64x4_epi64(side, 1));
}

static MLCC_INLINE void V16_STWAU8(int16_t *p, int16_t *q, v16i a, v16i b) { mlcc_v16_st_apart(p, q, mlcc_v16_words_u8(a, b)); }

static MLCC_INLINE void V16_STWAI8(int16_t *p, int16_t *q, v16i a, v16i b) { mlcc_v16_st_apart(p, q, mlcc_v16_words_i8(a, b)); }

static MLCC_INLINE void V16_ZIP2WU8(int16_t *p, v16i a, v16i b) { mlcc_v16_st_turns(p, mlcc_v16_words_u8(a, b)); }

static MLCC_INLINE void V16_ZIP2WI8(int16_t *p, v16i a, v16i b) { mlcc_v16_st_turns(p, mlcc_v16_words_i8(a, b)); }
#else
static MLCC_INLINE void V16_STW2U8(int16_t *p, v16i a, v16i b)
{
    V16_STWU8(p, a);
    V16_STWU8(p + 16, b);
}

static MLCC_INLINE void V16_STW2I8(int16_t *p, v16i a, v16i b)
{
    V16_STWI8(p, a);
    V16_STWI8(p + 16, b);
}

static MLCC_INLINE void V16_STWAU8(int16_t *p, int16_t *q, v16i a, v16i b)
{
    V16_STWU8(p, a);
    V16_STWU8(q, b);
}

static MLCC_INLINE void V16_STWAI8(int16_t *p, int16_t *q, v16i a, v16i b)
{
    V16_STWI8(p, a);
    V16_STWI8(q, b);
}

static MLCC_INLINE void V16_ZIP2WU8(int16_t *p, v16i a, v16i b)
{
    V8_ZIP2WU8(p, (v8i)mlcc_v16_lo((v16f)a), (v8i)mlcc_v16_lo((v16f)b));
    V8_ZIP2WU8(p + 16, (v8i)mlcc_v16_hi((v16f)a), (v8i)mlcc_v16_hi((v16f)b));
}

static MLCC_INLINE void V16_ZIP2WI8(int16_t *p, v16i a, v16i b)
{
    V8_ZIP2WI8(p, (v8i)mlcc_v16_lo((v16f)a), (v8i)mlcc_v16_lo((v16f)b));
    V8_ZIP2WI8(p + 16, (v8i)mlcc_v16_hi((v16f)a), (v8i)mlcc_v16_hi((v16f)b));
}
#endif

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16i V16_LDU16(const uint16_t *p)
{
    return (v16i)_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
#else
static MLCC_INLINE v16i V16_LDU16(const uint16_t *p)
{
    return __builtin_convertvector(*(const v16h *)(const void *)p, v16i);
}
#endif

#if MLCC_X86 && defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
static MLCC_INLINE v16i V16_LDNU16(const uint16_t *p, int n)
{
    return (v16i)_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mlcc_v16_first(n), p));
}
#else
static MLCC_INLINE v16i V16_LDNU16(const uint16_t *p, int n)
{
    v16i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i];
    return v;
}
#endif

static MLCC_INLINE v16i V16_GATHERU16(const uint16_t *p, ptrdiff_t s, int n)
{
    v16i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i * s];
    return v;
}

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE void V16_STU16(uint16_t *p, v16i v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtepi32_epi16((__m512i)v));
}
#else
static MLCC_INLINE void V16_STU16(uint16_t *p, v16i v)
{
    *(v16h *)(void *)p = __builtin_convertvector(v, v16h);
}
#endif

#if MLCC_X86 && defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
static MLCC_INLINE void V16_STNU16(uint16_t *p, v16i v, int n)
{
    _mm512_mask_cvtepi32_storeu_epi16(p, mlcc_v16_first(n), (__m512i)v);
}
#else
static MLCC_INLINE void V16_STNU16(uint16_t *p, v16i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = (uint16_t)v[i];
}
#endif

static MLCC_INLINE void V16_SCATTERU16(uint16_t *p, ptrdiff_t s, v16i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i * s] = (uint16_t)v[i];
}

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE void V16_STSU16(uint16_t *p, v16i v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtusepi32_epi16((__m512i)V16_IMAX(v, V16_ISET(0))));
}
#else
static MLCC_INLINE void V16_STSU16(uint16_t *p, v16i v) { V16_STU16(p, V16_SATU16(v)); }
#endif

#if MLCC_X86 && defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
static MLCC_INLINE v16f V16_LDNBF(const uint16_t *p, int n)
{
    const __m256i h = _mm256_maskz_loadu_epi16((__mmask16)((1u << n) - 1), p);
    return (v16f)_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16);
}
#else
static MLCC_INLINE v16f V16_LDNBF(const uint16_t *p, int n)
{
    v16u v = {0};
    for (int i = 0; i < n; i++)
        v[i] = (uint32_t)p[i] << 16;
    return (v16f)v;
}
#endif

static MLCC_INLINE v16f V16_GATHERBF(const uint16_t *p, ptrdiff_t s, int n)
{
    v16f v = {0};
    for (int i = 0; i < n; i++)
        v[i] = mlcc_f32_of_bf16(p[i * s]);
    return v;
}

static MLCC_INLINE void V16_STNBF(uint16_t *p, v16f v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = mlcc_bf16_of_f32(v[i]);
}

#if MLCC_X86 && defined(__AVX512BF16__) && defined(__AVX512BW__) && defined(__AVX512VL__)
static MLCC_INLINE void V16_STNBFZ(uint16_t *p, v16f v, int n)
{
    _mm256_mask_storeu_epi16(p, (__mmask16)((1u << n) - 1), (__m256i)_mm512_cvtneps_pbh((__m512)v));
}
#else
static MLCC_INLINE void V16_STNBFZ(uint16_t *p, v16f v, int n) { V16_STNBF(p, v, n); }
#endif

static MLCC_INLINE void V16_SCATTERBF(uint16_t *p, ptrdiff_t s, v16f v, int n)
{
    for (int i = 0; i < n; i++)
        p[i * s] = mlcc_bf16_of_f32(v[i]);
}

/* Lane i of both at p[4 * i]. */
#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE void mlcc_v16_by_turns(uint16_t *p, v16u ab, v16u cd)
{
    const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i high = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    _mm512_storeu_si512(p, _mm512_permutex2var_epi32((__m512i)ab, low, (__m512i)cd));
    _mm512_storeu_si512(p + 32, _mm512_permutex2var_epi32((__m512i)ab, high, (__m512i)cd));
}
#else
static MLCC_INLINE void mlcc_v16_by_turns(uint16_t *p, v16u ab, v16u cd)
{
    for (int i = 0; i < 16; i++) {
        const uint32_t two[] = {ab[i], cd[i]};
        memcpy(p + 4 * i, two, sizeof two);
    }
}
#endif

static MLCC_INLINE void V16_ZIP4BF(uint16_t *p, v16f a, v16f b, v16f c, v16f d)
{
    mlcc_v16_by_turns(p, mlcc_v16_bf(a) | mlcc_v16_bf(b) << 16, mlcc_v16_bf(c) | mlcc_v16_bf(d) << 16);
}

#if MLCC_X86 && defined(__AVX512BF16__)
static MLCC_INLINE v16u mlcc_v16_bfz(v16f v) { return (v16u)_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)v)); }

static MLCC_INLINE void V16_ZIP4BFZ(uint16_t *p, v16f a, v16f b, v16f c, v16f d)
{
    mlcc_v16_by_turns(p, mlcc_v16_bfz(a) | mlcc_v16_bfz(b) << 16, mlcc_v16_bfz(c) | mlcc_v16_bfz(d) << 16);
}
#else
static MLCC_INLINE void V16_ZIP4BFZ(uint16_t *p, v16f a, v16f b, v16f c, v16f d) { V16_ZIP4BF(p, a, b, c, d); }
#endif

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16f V16_LDHF(const uint16_t *p) { return (v16f)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p)); }
#else
static MLCC_INLINE v16f V16_LDHF(const uint16_t *p)
{
    v16f v;
    for (int i = 0; i < 16; i++)
        v[i] = mlcc_f32_of_f16(p[i]);
    return v;
}
#endif

static MLCC_INLINE v16f V16_LDNHF(const uint16_t *p, int n)
{
    v16f v = {0};
    for (int i = 0; i < n; i++)
        v[i] = mlcc_f32_of_f16(p[i]);
    return v;
}

static MLCC_INLINE v16f V16_GATHERHF(const uint16_t *p, ptrdiff_t s, int n)
{
    v16f v = {0};
    for (int i = 0; i < n; i++)
        v[i] = mlcc_f32_of_f16(p[i * s]);
    return v;
}

static MLCC_INLINE void V16_STNHF(uint16_t *p, v16f v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = mlcc_f16_of_f32(v[i]);
}

static MLCC_INLINE void V16_STHF(uint16_t *p, v16f v) { V16_STNHF(p, v, 16); }

static MLCC_INLINE void V16_SCATTERHF(uint16_t *p, ptrdiff_t s, v16f v, int n)
{
    for (int i = 0; i < n; i++)
        p[i * s] = mlcc_f16_of_f32(v[i]);
}

/* Rounding keeps the order, and bits of bf16 above 0 have that of their values. */
#if MLCC_X86 && defined(__AVX512BF16__) && defined(__AVX512BW__)
static MLCC_INLINE void V16_STABFC(uint16_t *p, uint16_t *q, v16i a, v16i b, v16f s, v16f t)
{
    const __m512i top = (__m512i)_mm512_cvtne2ps_pbh((__m512)t, (__m512)s);
    const __m512i x = (__m512i)_mm512_cvtne2ps_pbh((__m512)V16_ITOF(b), (__m512)V16_ITOF(a));
    const __m512i y = _mm512_min_epi16(_mm512_max_epi16(x, _mm512_setzero_si512()), top);
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_castsi512_si256(y));
    _mm256_storeu_si256((__m256i *)(void *)q, _mm512_extracti64x4_epi64(y, 1));
}
#else
static MLCC_INLINE void V16_STABFC(uint16_t *p, uint16_t *q, v16i a, v16i b, v16f s, v16f t)
{
    const v16f zero = V16_SET(0.0f);
    V16_STBFZ(p, V16_MIN(V16_MAX(V16_ITOF(a), zero), s));
    V16_STBFZ(q, V16_MIN(V16_MAX(V16_ITOF(b), zero), t));
}
#endif

#endif

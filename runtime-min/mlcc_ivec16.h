/* SPDX-License-Identifier: 0BSD
 *
 * 16 lanes of integers, and narrow loads and stores, of the vector dialect; mlcc_vec.h says what each operation means.
 * As in mlcc_vec16.h every width is written out, and what a processor lacks is made lane by lane.
 */
#ifndef MLCC_IVEC16_H
#define MLCC_IVEC16_H

typedef int16_t v16s __attribute__((vector_size(32), aligned(2), may_alias));

/* int64_t lanes: the even ones and the odd ones, as multiplication makes them. */
typedef struct v16l {
    v16q even, odd;
} v16l;

static MLCC_INLINE v16i V16_IEQ(v16i a, v16i b) { return (v16i)(a == b); }

static MLCC_INLINE v16i V16_INE(v16i a, v16i b) { return (v16i)(a != b); }

static MLCC_INLINE v16i V16_ILT(v16i a, v16i b) { return (v16i)(a < b); }

static MLCC_INLINE v16i V16_ILE(v16i a, v16i b) { return (v16i)(a <= b); }

static MLCC_INLINE v16i V16_IAND(v16i a, v16i b) { return a & b; }

static MLCC_INLINE v16i V16_IOR(v16i a, v16i b) { return a | b; }

static MLCC_INLINE v16i V16_IXOR(v16i a, v16i b) { return a ^ b; }

static MLCC_INLINE v16i V16_INOT(v16i a) { return ~a; }

static MLCC_INLINE v16i V16_INEG(v16i a) { return (v16i)(-(v16u)a); }

static MLCC_INLINE v16i V16_IABS(v16i a) { return (v16i)(((v16u)a ^ (v16u)(a >> 31)) - (v16u)(a >> 31)); }

static MLCC_INLINE v16i V16_ISEL(v16i m, v16i a, v16i b) { return (v16i)V16_SEL(m, (v16f)a, (v16f)b); }

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16i V16_IMIN(v16i a, v16i b) { return (v16i)_mm512_min_epi32((__m512i)a, (__m512i)b); }
#else
static MLCC_INLINE v16i V16_IMIN(v16i a, v16i b)
{
    const v16i m = (v16i)(a < b);
    return (m & a) | (~m & b);
}
#endif

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16i V16_IMAX(v16i a, v16i b) { return (v16i)_mm512_max_epi32((__m512i)a, (__m512i)b); }
#else
static MLCC_INLINE v16i V16_IMAX(v16i a, v16i b)
{
    const v16i m = (v16i)(a > b);
    return (m & a) | (~m & b);
}
#endif

static MLCC_INLINE v16i V16_ISHL(v16i a, v16i b)
{
    const v16u in = (v16u)((v16u)b < 32u);
    return (v16i)(((v16u)a << ((v16u)b & 31u)) & in);
}

static MLCC_INLINE v16i V16_ISHR(v16i a, v16i b)
{
    const v16u n = (v16u)b, out = (v16u)(n > 31u);
    return a >> (v16i)((n | out) & 31u);
}

static MLCC_INLINE v16i V16_SATI8(v16i a) { return V16_IMIN(V16_IMAX(a, V16_ISET(-128)), V16_ISET(127)); }

static MLCC_INLINE v16i V16_SATU8(v16i a) { return V16_IMIN(V16_IMAX(a, V16_ISET(0)), V16_ISET(255)); }

static MLCC_INLINE v16i V16_SATI16(v16i a) { return V16_IMIN(V16_IMAX(a, V16_ISET(-32768)), V16_ISET(32767)); }

static MLCC_INLINE v16i V16_SATU16(v16i a) { return V16_IMIN(V16_IMAX(a, V16_ISET(0)), V16_ISET(65535)); }

static MLCC_INLINE v16i V16_WRAPI8(v16i a) { return (v16i)((v16u)a << 24) >> 24; }

static MLCC_INLINE v16i V16_WRAPI16(v16i a) { return (v16i)((v16u)a << 16) >> 16; }

static MLCC_INLINE v16i V16_WRAPU8(v16i a) { return a & 255; }

static MLCC_INLINE v16i V16_WRAPU16(v16i a) { return a & 65535; }

static MLCC_INLINE int32_t V16_IHSUM(v16i v)
{
    return V8_IHSUM(V8_IADD((v8i)mlcc_v16_lo((v16f)v), (v8i)mlcc_v16_hi((v16f)v)));
}

static MLCC_INLINE int32_t V16_IHMIN(v16i v)
{
    return V8_IHMIN(V8_IMIN((v8i)mlcc_v16_lo((v16f)v), (v8i)mlcc_v16_hi((v16f)v)));
}

static MLCC_INLINE int32_t V16_IHMAX(v16i v)
{
    return V8_IHMAX(V8_IMAX((v8i)mlcc_v16_lo((v16f)v), (v8i)mlcc_v16_hi((v16f)v)));
}

static MLCC_INLINE int32_t V16_IHPROD(v16i v)
{
    return V8_IHPROD(V8_IMUL((v8i)mlcc_v16_lo((v16f)v), (v8i)mlcc_v16_hi((v16f)v)));
}

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16i V16_ILDN(const int32_t *p, int n) { return (v16i)_mm512_maskz_loadu_epi32(mlcc_v16_first(n), p); }
#else
static MLCC_INLINE v16i V16_ILDN(const int32_t *p, int n)
{
    v16i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i];
    return v;
}
#endif

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE void V16_ISTN(int32_t *p, v16i v, int n) { _mm512_mask_storeu_epi32(p, mlcc_v16_first(n), (__m512i)v); }
#else
static MLCC_INLINE void V16_ISTN(int32_t *p, v16i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = v[i];
}
#endif

static MLCC_INLINE v16i V16_IGATHER(const int32_t *p, ptrdiff_t s, int n)
{
    v16i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i * s];
    return v;
}

static MLCC_INLINE void V16_ISCATTER(int32_t *p, ptrdiff_t s, v16i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i * s] = v[i];
}

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

static MLCC_INLINE v16l V16_LSET(int64_t x)
{
    const v16q v = (v16q){0} + x;
    return (v16l){v, v};
}

/* Lane 2i in the low half of 64-bit lane i: sign extended, and the high half of it likewise. */
static MLCC_INLINE v16l V16_LOFI(v16i a)
{
    const v16q q = (v16q)a;
    return (v16l){(v16q)((v16uq)q << 32) >> 32, q >> 32};
}

/* Products of 32-bit lanes. */
#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16l V16_LMUL(v16i a, v16i b)
{
    const v16q even = (v16q)_mm512_mul_epi32((__m512i)a, (__m512i)b);
    const v16q odd = (v16q)_mm512_mul_epi32(_mm512_srli_epi64((__m512i)a, 32), _mm512_srli_epi64((__m512i)b, 32));
    return (v16l){even, odd};
}
#else
static MLCC_INLINE v16l V16_LMUL(v16i a, v16i b)
{
    const v16l p = V16_LOFI(a), q = V16_LOFI(b);
    return (v16l){p.even * q.even, p.odd * q.odd};
}
#endif

static MLCC_INLINE v16l V16_LADD(v16l a, v16l b)
{
    return (v16l){(v16q)((v16uq)a.even + (v16uq)b.even), (v16q)((v16uq)a.odd + (v16uq)b.odd)};
}

static MLCC_INLINE v16l V16_LAND(v16l a, v16l b) { return (v16l){a.even & b.even, a.odd & b.odd}; }

static MLCC_INLINE v16l V16_LSUB(v16l a, v16l b)
{
    return (v16l){(v16q)((v16uq)a.even - (v16uq)b.even), (v16q)((v16uq)a.odd - (v16uq)b.odd)};
}

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16q mlcc_v16_min_q(v16q a, v16q b) { return (v16q)_mm512_min_epi64((__m512i)a, (__m512i)b); }
#else
static MLCC_INLINE v16q mlcc_v16_min_q(v16q a, v16q b)
{
    const v16q m = (v16q)(a < b);
    return (m & a) | (~m & b);
}
#endif

static MLCC_INLINE v16l V16_LMIN(v16l a, v16l b)
{
    return (v16l){mlcc_v16_min_q(a.even, b.even), mlcc_v16_min_q(a.odd, b.odd)};
}

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16q mlcc_v16_max_q(v16q a, v16q b) { return (v16q)_mm512_max_epi64((__m512i)a, (__m512i)b); }
#else
static MLCC_INLINE v16q mlcc_v16_max_q(v16q a, v16q b)
{
    const v16q m = (v16q)(a > b);
    return (m & a) | (~m & b);
}
#endif

static MLCC_INLINE v16l V16_LMAX(v16l a, v16l b)
{
    return (v16l){mlcc_v16_max_q(a.even, b.even), mlcc_v16_max_q(a.odd, b.odd)};
}

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16q mlcc_v16_shr_q(v16q a, v16q n) { return (v16q)_mm512_srav_epi64((__m512i)a, (__m512i)n); }
#else
static MLCC_INLINE v16q mlcc_v16_shr_q(v16q a, v16q n)
{
    for (int i = 0; i < 8; i++)
        a[i] = mlcc_shr_i64(a[i], n[i]);
    return a;
}
#endif

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16q mlcc_v16_shl_q(v16q a, v16q n) { return (v16q)_mm512_sllv_epi64((__m512i)a, (__m512i)n); }
#else
static MLCC_INLINE v16q mlcc_v16_shl_q(v16q a, v16q n)
{
    for (int i = 0; i < 8; i++)
        a[i] = mlcc_shl_i64(a[i], n[i]);
    return a;
}
#endif

static MLCC_INLINE v16l V16_LSHR(v16l a, v16l n)
{
    return (v16l){mlcc_v16_shr_q(a.even, n.even), mlcc_v16_shr_q(a.odd, n.odd)};
}

static MLCC_INLINE v16l V16_LSHL(v16l a, v16l n)
{
    return (v16l){mlcc_v16_shl_q(a.even, n.even), mlcc_v16_shl_q(a.odd, n.odd)};
}

/* The low halves of even, the high halves of odd. */
#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16i mlcc_v16_zip(v16uq even, v16uq odd) { return (v16i)_mm512_mask_blend_epi32(0xaaaa, (__m512i)even, (__m512i)odd); }
#else
static MLCC_INLINE v16i mlcc_v16_zip(v16uq even, v16uq odd)
{
    const v16uq low = (v16uq){0} + 0xffffffffu;
    return (v16i)((even & low) | (odd & ~low));
}
#endif

/* i32(a): the low halves. */
static MLCC_INLINE v16i V16_IOFL(v16l a) { return mlcc_v16_zip((v16uq)a.even, (v16uq)a.odd << 32); }

/* i32(a >> n), 0 <= n <= 63: of the high halves where none of the low ones is left. */
static MLCC_INLINE v16i V16_ISHRL(v16l a, int n)
{
    if (n >= 32)
        return mlcc_v16_zip((v16uq)a.even >> 32, (v16uq)a.odd) >> (n - 32);
    return mlcc_v16_zip((v16uq)a.even >> n, (v16uq)a.odd << (32 - n));
}

static MLCC_INLINE v16i V16_LSAT(v16l a)
{
    return V16_IOFL(V16_LMIN(V16_LMAX(a, V16_LSET(INT32_MIN)), V16_LSET(INT32_MAX)));
}

/* Four bytes in each lane: side by side in memory, or the same ones. */
static MLCC_INLINE v16i V16_LDQ(const void *p)
{
    v16i v;
    memcpy(&v, p, sizeof v);
    return v;
}

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16i V16_LDNQ(const void *p, int n) { return (v16i)_mm512_maskz_loadu_epi32(mlcc_v16_first(n), p); }
#else
static MLCC_INLINE v16i V16_LDNQ(const void *p, int n)
{
    v16i v = {0};
    memcpy(&v, p, 4 * (size_t)n);
    return v;
}
#endif

static MLCC_INLINE v16i V16_SETQ(const void *p)
{
    int32_t q;
    memcpy(&q, p, sizeof q);
    return V16_ISET(q);
}

static MLCC_INLINE v16i V16_SET2Q(const void *p)
{
    float both[2];
    memcpy(both, p, sizeof both);
    return (v16i)V16_SET2(both);
}

/* Bytes 0 and 2 of each lane as two 16-bit numbers, and bytes 1 and 3. */
static MLCC_INLINE v16i mlcc_v16_even_u8(v16i a) { return a & 0x00ff00ff; }

typedef int16_t v16ss __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint16_t v16hh __attribute__((vector_size(64), aligned(4), may_alias));

static MLCC_INLINE v16i mlcc_v16_odd_u8(v16i a) { return (v16i)((v16hh)a >> 8); }

typedef int8_t v16bb __attribute__((vector_size(32), aligned(1), may_alias));
typedef uint8_t v16cc __attribute__((vector_size(32), aligned(1), may_alias));

/* Two bytes for each lane as numbers of 16 bits. gcc 12 makes three instructions of a conversion that is one. */
#if MLCC_X86 && defined(__AVX512BW__)
static MLCC_INLINE v16i V16_LDWI8(const void *p) { return (v16i)_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)p)); }
static MLCC_INLINE v16i V16_LDWU8(const void *p) { return (v16i)_mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)p)); }
#else
static MLCC_INLINE v16i V16_LDWI8(const void *p) { return (v16i)__builtin_convertvector(*(const v16bb *)p, v16ss); }
static MLCC_INLINE v16i V16_LDWU8(const void *p) { return (v16i)__builtin_convertvector(*(const v16cc *)p, v16ss); }
#endif

static MLCC_INLINE v16i V16_LDNWI8(const void *p, int n)
{
    char some[32] = {0};
    memcpy(some, p, 2 * (size_t)n);
    return V16_LDWI8(some);
}

static MLCC_INLINE v16i V16_LDNWU8(const void *p, int n)
{
    char some[32] = {0};
    memcpy(some, p, 2 * (size_t)n);
    return V16_LDWU8(some);
}

/* Of lanes of 16 bits, two for each of 32: all modulo 2^16. */
static MLCC_INLINE v16i V16_WADD(v16i a, v16i b) { return (v16i)((v16hh)a + (v16hh)b); }

static MLCC_INLINE v16i V16_WSUB(v16i a, v16i b) { return (v16i)((v16hh)a - (v16hh)b); }

static MLCC_INLINE v16i V16_WSHL(v16i a, int n) { return (v16i)((v16hh)a << n); }

static MLCC_INLINE v16i V16_WSET(int a) { return (v16i)((v16hh){0} + (uint16_t)a); }

static MLCC_INLINE void V16_STQ(void *p, v16i v) { memcpy(p, &v, sizeof v); }

static MLCC_INLINE v16i mlcc_v16_even_i8(v16i a) { return (v16i)((v16ss)((v16hh)a << 8) >> 8); }

static MLCC_INLINE v16i mlcc_v16_odd_i8(v16i a) { return (v16i)((v16ss)a >> 8); }

/* Sum of the products of the 16-bit halves. */
#if MLCC_X86 && defined(__AVX512BW__)
static MLCC_INLINE v16i mlcc_v16_madd(v16i a, v16i b) { return (v16i)_mm512_madd_epi16((__m512i)a, (__m512i)b); }
#else /* code for other processors is compiled without the features that it was made for, too: few operations for each sum */
static MLCC_INLINE v16i mlcc_v16_madd(v16i a, v16i b)
{
    const v8i lo = mlcc_v8_madd((v8i)mlcc_v16_lo((v16f)a), (v8i)mlcc_v16_lo((v16f)b));
    const v8i hi = mlcc_v8_madd((v8i)mlcc_v16_hi((v16f)a), (v8i)mlcc_v16_hi((v16f)b));
    return (v16i)mlcc_v16_join((v8f)lo, (v8f)hi);
}
#endif

/* c + the product of the low halves as signed numbers, where the high half of a is 0. */
#if MLCC_X86 && defined(__AVX512VNNI__)
static MLCC_INLINE v16i V16_IMAC(v16i a, v16i b, v16i c) { return (v16i)_mm512_dpwssd_epi32((__m512i)c, (__m512i)a, (__m512i)b); }
#else
static MLCC_INLINE v16i V16_IMAC(v16i a, v16i b, v16i c) { return V16_IADD(c, mlcc_v16_madd(a, b)); }
#endif

/* c + the products of signed bytes with what is made of the other factor's even and odd ones. */
static MLCC_ONCE16 void mlcc_v16_add_dot(const v16i *even, const v16i *odd, const v16i *w, v16i *c)
{
    *c = V16_IADD(*c, V16_IADD(mlcc_v16_madd(*even, mlcc_v16_even_i8(*w)), mlcc_v16_madd(*odd, mlcc_v16_odd_i8(*w))));
}

static MLCC_INLINE v16i mlcc_v16_dot(v16i even, v16i odd, v16i w, v16i c)
{
    mlcc_v16_add_dot(&even, &odd, &w, &c);
    return c;
}

#if MLCC_X86 && defined(__AVX512VNNI__)
static MLCC_INLINE v16i V16_DOTUS(v16i x, v16i w, v16i c) { return (v16i)_mm512_dpbusd_epi32((__m512i)c, (__m512i)x, (__m512i)w); }
#else
static MLCC_INLINE v16i V16_DOTUS(v16i x, v16i w, v16i c) { return mlcc_v16_dot(mlcc_v16_even_u8(x), mlcc_v16_odd_u8(x), w, c); }
#endif

/* (x + 128) * w - 128 * w where only that has an instruction; the second product is the same for all x. */
#if MLCC_X86 && defined(__AVX512VNNI__)
static MLCC_INLINE v16i V16_DOTSS(v16i x, v16i w, v16i c)
{
    const v16i flip = V16_ISET(INT32_C(-0x7f7f7f80));
    return V16_ISUB(V16_DOTUS(x ^ flip, w, c), V16_DOTUS(flip, w, V16_ISET(0)));
}
#else
static MLCC_INLINE v16i V16_DOTSS(v16i x, v16i w, v16i c) { return mlcc_v16_dot(mlcc_v16_even_i8(x), mlcc_v16_odd_i8(x), w, c); }
#endif

static MLCC_INLINE v16i V16_DOTUU(v16i x, v16i w, v16i c)
{
    const v16i even = mlcc_v16_madd(mlcc_v16_even_u8(x), mlcc_v16_even_u8(w));
    return V16_IADD(c, V16_IADD(even, mlcc_v16_madd(mlcc_v16_odd_u8(x), mlcc_v16_odd_u8(w))));
}

#if MLCC_X86 && defined(__AVX512VNNI__)
static MLCC_INLINE v16i V16_DOTI16(v16i x, v16i w, v16i c) { return (v16i)_mm512_dpwssd_epi32((__m512i)c, (__m512i)x, (__m512i)w); }
#else
static MLCC_INLINE v16i V16_DOTI16(v16i x, v16i w, v16i c) { return V16_IADD(c, mlcc_v16_madd(x, w)); }
#endif

/* c and the products of two pairs of bf16; the processor's instruction takes numbers below the normal range for 0. */
#if MLCC_X86 && defined(__AVX512BF16__)
static MLCC_INLINE v16f V16_DOTBF(v16i x, v16i w, v16f c)
{
    return (v16f)_mm512_dpbf16_ps((__m512)c, (__m512bh)x, (__m512bh)w);
}
#else
static MLCC_INLINE v16f V16_DOTBF(v16i x, v16i w, v16f c)
{
    const v16i high = V16_ISET(-0x10000);
    c = V16_FMA((v16f)(x & high), (v16f)(w & high), c);
    return V16_FMA((v16f)((v16u)x << 16), (v16f)((v16u)w << 16), c);
}
#endif

#endif

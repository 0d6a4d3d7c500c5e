/* SPDX-License-Identifier: 0BSD
 *
 * 8 lanes of dots, of bytes and of 16 bits, and what they take: quads and words, of the vector dialect; mlcc_vec.h says what each operation means.
 * As in mlcc_vec8.h every width is written out, and what a processor lacks is made lane by lane.
 */
#ifndef MLCC_DOT8_H
#define MLCC_DOT8_H

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

#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE v8i V8_DOTUS2(v8i x, v8i w, v8i y, v8i v, v8i c)
{
    const __m256i sums = _mm256_add_epi16(_mm256_maddubs_epi16((__m256i)x, (__m256i)w), _mm256_maddubs_epi16((__m256i)y, (__m256i)v));
    return V8_IADD(c, (v8i)_mm256_madd_epi16(sums, _mm256_set1_epi16(1)));
}
#else
static MLCC_INLINE v8i V8_DOTUS2(v8i x, v8i w, v8i y, v8i v, v8i c) { return V8_DOTUS(y, v, V8_DOTUS(x, w, c)); }
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

/* SPDX-License-Identifier: 0BSD
 *
 * 16 lanes of dots, of bytes and of 16 bits, and what they take: quads and words, of the vector dialect; mlcc_vec.h says what each operation means.
 * As in mlcc_vec16.h every width is written out, and what a processor lacks is made lane by lane.
 */
#ifndef MLCC_DOT16_H
#define MLCC_DOT16_H

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

#if MLCC_X86 && defined(__AVX512BW__)
static MLCC_INLINE v16i V16_DOTUS2(v16i x, v16i w, v16i y, v16i v, v16i c)
{
    const __m512i sums = _mm512_add_epi16(_mm512_maddubs_epi16((__m512i)x, (__m512i)w), _mm512_maddubs_epi16((__m512i)y, (__m512i)v));
    return V16_IADD(c, (v16i)_mm512_madd_epi16(sums, _mm512_set1_epi16(1)));
}
#else
static MLCC_INLINE v16i V16_DOTUS2(v16i x, v16i w, v16i y, v16i v, v16i c) { return V16_DOTUS(y, v, V16_DOTUS(x, w, c)); }
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

/* SPDX-License-Identifier: 0BSD
 *
 * 16 lanes of the vector dialect; mlcc_vec.h says what each operation means. The widths are written out, not made by
 * macros, because emitted files carry the functions that they use and people read them there; one test holds all widths
 * to the same results. Where there is no instruction they go lane by lane.
 *
 * Functions: range reduction, then a polynomial fitted to minimise the largest relative error (Lawson's iteration on
 * Chebyshev nodes, coefficients rounded to float one by one); the fit's own error is below 2^-27 everywhere.
 */
#ifndef MLCC_VEC16_H
#define MLCC_VEC16_H

/* Vectors wider than the registers are passed to functions that are always inlined, so the calling convention that
 * -Wpsabi is about does not matter. */
#pragma GCC diagnostic ignored "-Wpsabi"
typedef float v16f __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t v16i __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint32_t v16u __attribute__((vector_size(64), aligned(4), may_alias));
typedef int64_t v16q __attribute__((vector_size(64), aligned(8), may_alias));
typedef uint64_t v16uq __attribute__((vector_size(64), aligned(8), may_alias));
typedef double v16d __attribute__((vector_size(64), aligned(8), may_alias));

typedef uint16_t v16h __attribute__((vector_size(32), aligned(2), may_alias));

typedef int8_t v16b __attribute__((vector_size(16), aligned(1), may_alias));

typedef uint8_t v16c __attribute__((vector_size(16), aligned(1), may_alias));

static MLCC_INLINE v16f V16_SET(float x) { return (v16f){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }

static MLCC_INLINE v16i V16_ISET(int32_t x) { return (v16i){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }

/* Barriers: only where one register holds the vector. */
#if MLCC_X86 && defined(__AVX512F__)
#define V16_KEEP(v) __asm__("" : "+v"(v))
#define V16_PIN(v) __asm__ volatile("" : "+v"(v))
#else
#define V16_KEEP(v) ((void)(v))
#define V16_PIN(v) ((void)(v))
#endif

#define V16_FENCE() V1_FENCE()

static MLCC_INLINE v16f V16_LD(const float *p) { return *(const v16f *)(const void *)p; }

static MLCC_INLINE void V16_ST(float *p, v16f v) { *(v16f *)(void *)p = v; }

static MLCC_INLINE v16f V16_ADD(v16f a, v16f b) { return a + b; }

static MLCC_INLINE v16f V16_SUB(v16f a, v16f b) { return a - b; }

static MLCC_INLINE v16f V16_MUL(v16f a, v16f b) { return a * b; }

static MLCC_INLINE v16f V16_DIV(v16f a, v16f b) { return a / b; }

static MLCC_INLINE v16i V16_EQ(v16f a, v16f b) { return (v16i)(a == b); }

static MLCC_INLINE v16i V16_NE(v16f a, v16f b) { return (v16i)(a != b); }

static MLCC_INLINE v16i V16_LT(v16f a, v16f b) { return (v16i)(a < b); }

static MLCC_INLINE v16i V16_LE(v16f a, v16f b) { return (v16i)(a <= b); }

static MLCC_INLINE v16i V16_GT(v16f a, v16f b) { return (v16i)(a > b); }

static MLCC_INLINE v16i V16_GE(v16f a, v16f b) { return (v16i)(a >= b); }

static MLCC_INLINE v16f V16_EACH(float (*f)(float), v16f a)
{
    for (int i = 0; i < 16; i++)
        a[i] = f(a[i]);
    return a;
}

static MLCC_INLINE v16f V16_EACH2(float (*f)(float, float), v16f a, v16f b)
{
    for (int i = 0; i < 16; i++)
        a[i] = f(a[i], b[i]);
    return a;
}

static MLCC_INLINE v16i V16_ILD(const int32_t *p) { return *(const v16i *)(const void *)p; }

static MLCC_INLINE void V16_IST(int32_t *p, v16i v) { *(v16i *)(void *)p = v; }

static MLCC_INLINE v16i V16_IADD(v16i a, v16i b) { return (v16i)((v16u)a + (v16u)b); }

static MLCC_INLINE v16i V16_ISUB(v16i a, v16i b) { return (v16i)((v16u)a - (v16u)b); }

static MLCC_INLINE v16i V16_IMUL(v16i a, v16i b) { return (v16i)((v16u)a * (v16u)b); }

static MLCC_INLINE v16f V16_ITOF(v16i a) { return __builtin_convertvector(a, v16f); }

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16i V16_LDI8(const int8_t *p)
{
    return (v16i)_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
}
#else
static MLCC_INLINE v16i V16_LDI8(const int8_t *p)
{
    return __builtin_convertvector(*(const v16b *)(const void *)p, v16i);
}
#endif

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16i V16_LDU8(const uint8_t *p)
{
    return (v16i)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
}
#else
static MLCC_INLINE v16i V16_LDU8(const uint8_t *p)
{
    return __builtin_convertvector(*(const v16c *)(const void *)p, v16i);
}
#endif

#if MLCC_X86 && defined(__AVX512F__) /* bit by bit: m ? a : b */
static MLCC_INLINE v16f V16_SEL(v16i m, v16f a, v16f b)
{
    return (v16f)_mm512_ternarylogic_epi32((__m512i)m, (__m512i)a, (__m512i)b, 0xca);
}
#else
static MLCC_INLINE v16f V16_SEL(v16i m, v16f a, v16f b) { return (v16f)((m & (v16i)a) | (~m & (v16i)b)); }
#endif

static MLCC_INLINE v16f V16_ABS(v16f a) { return (v16f)((v16i)a & V16_ISET(INT32_MAX)); }

static MLCC_INLINE v16f V16_NEG(v16f a) { return (v16f)((v16i)a ^ V16_ISET(INT32_MIN)); }

static MLCC_INLINE v16f V16_COPYSIGN(v16f a, v16f s)
{
    const v16i sign = V16_ISET(INT32_MIN);
    return (v16f)(((v16i)a & ~sign) | ((v16i)s & sign));
}

/* Halves: for reductions, and for what the processor lacks at this width. */
#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v8f mlcc_v16_lo(v16f a) { return (v8f)_mm512_castps512_ps256((__m512)a); }
#else
static MLCC_INLINE v8f mlcc_v16_lo(v16f a)
{
    v8f h;
    memcpy(&h, &a, sizeof h);
    return h;
}
#endif

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v8f mlcc_v16_hi(v16f a) { return (v8f)(__m256d)_mm512_extractf64x4_pd((__m512d)a, 1); }
#else
static MLCC_INLINE v8f mlcc_v16_hi(v16f a)
{
    v8f h;
    memcpy(&h, (const char *)&a + sizeof h, sizeof h);
    return h;
}
#endif

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16f V16_MAX(v16f a, v16f b) { return (v16f)_mm512_max_ps((__m512)b, (__m512)a); }
#else
static MLCC_INLINE v16f V16_MAX(v16f a, v16f b)
{
    const v16i m = (v16i)(b > a);
    return (v16f)((m & (v16i)b) | (~m & (v16i)a));
}
#endif

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16f V16_MIN(v16f a, v16f b) { return (v16f)_mm512_min_ps((__m512)b, (__m512)a); }
#else
static MLCC_INLINE v16f V16_MIN(v16f a, v16f b)
{
    const v16i m = (v16i)(b < a);
    return (v16f)((m & (v16i)b) | (~m & (v16i)a));
}
#endif

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16f V16_FMA(v16f a, v16f b, v16f c)
{
    return (v16f)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
#else
static MLCC_INLINE v16f mlcc_v16_join(v8f lo, v8f hi)
{
    v16f a;
    memcpy(&a, &lo, sizeof lo);
    memcpy((char *)&a + sizeof lo, &hi, sizeof hi);
    return a;
}

static MLCC_INLINE v16f V16_FMA(v16f a, v16f b, v16f c)
{
    return mlcc_v16_join(V8_FMA(mlcc_v16_lo(a), mlcc_v16_lo(b), mlcc_v16_lo(c)),
                         V8_FMA(mlcc_v16_hi(a), mlcc_v16_hi(b), mlcc_v16_hi(c)));
}
#endif

/* Rounded once on every machine. */
#if (MLCC_X86 && (defined(__AVX512F__) || (defined(__AVX__) && defined(__FMA__)))) || MLCC_NEON
static MLCC_INLINE v16f V16_FUSED(v16f a, v16f b, v16f c) { return V16_FMA(a, b, c); }
#else
static MLCC_INLINE v16f V16_FUSED(v16f a, v16f b, v16f c)
{
    for (int i = 0; i < 16; i++)
        c[i] = fmaf(a[i], b[i], c[i]);
    return c;
}
#endif

static MLCC_INLINE v16i V16_BITS(v16f a) { return (v16i)a; }
static MLCC_INLINE v16f V16_FBITS(v16i a) { return (v16f)a; }

static MLCC_INLINE v16f V16_SIGN(v16f a)
{
    const v16i one = (v16i)V16_SET(1.0f), above = (v16i)(a > V16_SET(0.0f)), below = (v16i)(a < V16_SET(0.0f));
    return V16_SEL((v16i)(a == a), (v16f)(above & one) - (v16f)(below & one), a);
}

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16f V16_SQRT(v16f a) { return (v16f)_mm512_sqrt_ps((__m512)a); }
#else
static MLCC_INLINE v16f V16_SQRT(v16f a)
{
    for (int i = 0; i < 16; i++)
        a[i] = sqrtf(a[i]);
    return a;
}
#endif

#if MLCC_X86 && defined(__AVX512F__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion" /* GCC's header makes a mask of -1 */
static MLCC_INLINE v16f V16_FLOOR(v16f a) { return (v16f)_mm512_roundscale_ps((__m512)a, 9); }
#pragma GCC diagnostic pop
#else
static MLCC_INLINE v16f V16_FLOOR(v16f a)
{
    for (int i = 0; i < 16; i++)
        a[i] = floorf(a[i]);
    return a;
}
#endif

#if MLCC_X86 && defined(__AVX512F__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion" /* GCC's header makes a mask of -1 */
static MLCC_INLINE v16f V16_CEIL(v16f a) { return (v16f)_mm512_roundscale_ps((__m512)a, 10); }
#pragma GCC diagnostic pop
#else
static MLCC_INLINE v16f V16_CEIL(v16f a)
{
    for (int i = 0; i < 16; i++)
        a[i] = ceilf(a[i]);
    return a;
}
#endif

#if MLCC_X86 && defined(__AVX512F__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion" /* GCC's header makes a mask of -1 */
static MLCC_INLINE v16f V16_RINT(v16f a) { return (v16f)_mm512_roundscale_ps((__m512)a, 8); }
#pragma GCC diagnostic pop
#else
static MLCC_INLINE v16f V16_RINT(v16f a)
{
    for (int i = 0; i < 16; i++)
        a[i] = rintf(a[i]);
    return a;
}
#endif

#if MLCC_X86 && defined(__AVX512F__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion" /* GCC's header makes a mask of -1 */
static MLCC_INLINE v16f V16_TRUNC(v16f a) { return (v16f)_mm512_roundscale_ps((__m512)a, 11); }
#pragma GCC diagnostic pop
#else
static MLCC_INLINE v16f V16_TRUNC(v16f a)
{
    for (int i = 0; i < 16; i++)
        a[i] = truncf(a[i]);
    return a;
}
#endif

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE __mmask16 mlcc_v16_first(int n) { return (__mmask16)((1u << n) - 1u); }
static MLCC_INLINE v16f V16_LDN(const float *p, int n) { return (v16f)_mm512_maskz_loadu_ps(mlcc_v16_first(n), p); }
static MLCC_INLINE void V16_STN(float *p, v16f v, int n) { _mm512_mask_storeu_ps(p, mlcc_v16_first(n), (__m512)v); }
#else
static MLCC_INLINE v16f V16_LDN(const float *p, int n)
{
    v16f v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i];
    return v;
}
static MLCC_INLINE void V16_STN(float *p, v16f v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = v[i];
}
#endif

/* Every other float comes by two loads, of which the second begins one early: nothing behind the last may be read. */
#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16f mlcc_v16_evens(const float *p)
{
    const __m512i at = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 17, 19, 21, 23, 25, 27, 29, 31);
    return (v16f)_mm512_permutex2var_ps(_mm512_loadu_ps(p), at, _mm512_loadu_ps(p + 15));
}
#endif

static MLCC_INLINE v16f V16_GATHER(const float *p, ptrdiff_t s, int n)
{
    v16f v = {0};
#if MLCC_X86 && defined(__AVX512F__)
    if (s == 2 && n == 16)
        return mlcc_v16_evens(p);
#endif
    for (int i = 0; i < n; i++)
        v[i] = p[i * s];
    return v;
}

static MLCC_INLINE void V16_SCATTER(float *p, ptrdiff_t s, v16f v, int n)
{
    for (int i = 0; i < n; i++)
        p[i * s] = v[i];
}

#if MLCC_X86 && defined(__AVX512F__) /* the instruction keeps a second operand that is no number; the mask keeps a first one */
static MLCC_INLINE v16f V16_MAXN(v16f a, v16f b)
{
    return (v16f)_mm512_mask_max_ps((__m512)b, _mm512_cmp_ps_mask((__m512)b, (__m512)b, _CMP_ORD_Q), (__m512)b, (__m512)a);
}

static MLCC_INLINE v16f V16_MINN(v16f a, v16f b)
{
    return (v16f)_mm512_mask_min_ps((__m512)b, _mm512_cmp_ps_mask((__m512)b, (__m512)b, _CMP_ORD_Q), (__m512)b, (__m512)a);
}
#else
static MLCC_INLINE v16f V16_MAXN(v16f a, v16f b)
{
    return V16_SEL((v16i)(b != b), b, V16_MAX(a, b));
}

static MLCC_INLINE v16f V16_MINN(v16f a, v16f b)
{
    return V16_SEL((v16i)(b != b), b, V16_MIN(a, b));
}
#endif

static MLCC_INLINE float V16_HSUM(v16f v) { return V8_HSUM(mlcc_v16_lo(v) + mlcc_v16_hi(v)); }

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16f mlcc_v16_halves(v16f a, v16f b)
{
    return (v16f)_mm512_shuffle_f32x4((__m512)a, (__m512)b, 0x44) +
           (v16f)_mm512_shuffle_f32x4((__m512)a, (__m512)b, 0xee);
}

static MLCC_INLINE __m512 mlcc_v16_quarters(v16f a, v16f b, v16f c, v16f d)
{
    const __m512 p = (__m512)mlcc_v16_halves(a, b), q = (__m512)mlcc_v16_halves(c, d);
    return (__m512)((v16f)_mm512_shuffle_f32x4(p, q, 0x88) + (v16f)_mm512_shuffle_f32x4(p, q, 0xdd));
}

static MLCC_INLINE __m512 mlcc_v16_pairs(__m512 a, __m512 b)
{
    return (__m512)((v16f)_mm512_shuffle_ps(a, b, 0x44) + (v16f)_mm512_shuffle_ps(a, b, 0xee));
}

static MLCC_INLINE v16f V16_SUMS(v16f a, v16f b, v16f c, v16f d, v16f e, v16f f, v16f g, v16f h, v16f i, v16f j, v16f k,
                                 v16f l, v16f m, v16f n, v16f o, v16f p)
{
    const __m512 s = mlcc_v16_pairs(mlcc_v16_quarters(a, e, i, m), mlcc_v16_quarters(b, f, j, n));
    const __m512 t = mlcc_v16_pairs(mlcc_v16_quarters(c, g, k, o), mlcc_v16_quarters(d, h, l, p));
    return (v16f)_mm512_shuffle_ps(s, t, 0x88) + (v16f)_mm512_shuffle_ps(s, t, 0xdd);
}
#else
static MLCC_INLINE v8f mlcc_v16_half_sum(v16f a) { return mlcc_v16_lo(a) + mlcc_v16_hi(a); }

static MLCC_INLINE v8f mlcc_v16_half_sums(v16f a, v16f b, v16f c, v16f d, v16f e, v16f f, v16f g, v16f h)
{
    return V8_SUMS(mlcc_v16_half_sum(a), mlcc_v16_half_sum(b), mlcc_v16_half_sum(c), mlcc_v16_half_sum(d),
                   mlcc_v16_half_sum(e), mlcc_v16_half_sum(f), mlcc_v16_half_sum(g), mlcc_v16_half_sum(h));
}

static MLCC_INLINE v16f V16_SUMS(v16f a, v16f b, v16f c, v16f d, v16f e, v16f f, v16f g, v16f h, v16f i, v16f j, v16f k,
                                 v16f l, v16f m, v16f n, v16f o, v16f p)
{
    const v8f lo = mlcc_v16_half_sums(a, b, c, d, e, f, g, h), hi = mlcc_v16_half_sums(i, j, k, l, m, n, o, p);
    return mlcc_v16_join(lo, hi);
}
#endif

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16f V16_SET2(const float *p)
{
    double both;
    memcpy(&both, p, sizeof both);
    return (v16f)_mm512_set1_pd(both);
}

static MLCC_INLINE v16f V16_TWINS(v16f a, v16f b)
{
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    return (v16f)_mm512_permutex2var_ps((__m512)a, even, (__m512)b) + (v16f)_mm512_permutex2var_ps((__m512)a, odd, (__m512)b);
}
#else
static MLCC_INLINE v16f V16_SET2(const float *p) { return mlcc_v16_join(V8_SET2(p), V8_SET2(p)); }

static MLCC_INLINE v16f V16_TWINS(v16f a, v16f b)
{
    return mlcc_v16_join(V8_TWINS(mlcc_v16_lo(a), mlcc_v16_hi(a)), V8_TWINS(mlcc_v16_lo(b), mlcc_v16_hi(b)));
}
#endif

static MLCC_INLINE float V16_HPROD(v16f v) { return V8_HPROD(mlcc_v16_lo(v) * mlcc_v16_hi(v)); }

static MLCC_INLINE float V16_HMAX(v16f v) { return V8_HMAX(V8_MAXN(mlcc_v16_lo(v), mlcc_v16_hi(v))); }

static MLCC_INLINE float V16_HMIN(v16f v) { return V8_HMIN(V8_MINN(mlcc_v16_lo(v), mlcc_v16_hi(v))); }

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16i V16_FTOI(v16f a) /* the instruction gives INT32_MIN where there is no answer */
{
    const __mmask16 number = _mm512_cmp_ps_mask((__m512)a, (__m512)a, _CMP_ORD_Q), high = _mm512_cmp_ps_mask((__m512)a, _mm512_set1_ps(0x1p31f), _CMP_GE_OQ);
    return (v16i)_mm512_mask_mov_epi32(_mm512_maskz_cvttps_epi32(number, (__m512)a), high, _mm512_set1_epi32(INT32_MAX));
}
#else
static MLCC_INLINE v16i V16_FTOI(v16f a)
{
    const v16i low = (v16i)(a < V16_SET(-0x1p31f)), high = (v16i)(a >= V16_SET(0x1p31f));
    const v16i in = (v16i)(a == a) & ~low & ~high;
    const v16i i = __builtin_convertvector((v16f)((v16i)a & in), v16i);
    return i | (low & V16_ISET(INT32_MIN)) | (high & V16_ISET(INT32_MAX));
}
#endif

#if MLCC_X86 && defined(__AVX512F__) && defined(__OPTIMIZE__) /* a macro without it, whose constants -Wconversion sees */
static MLCC_INLINE v16f V16_DIVS(v16f a, float s)
{
    const __m512 d = _mm512_set1_ps(s), y = _mm512_set1_ps(1.0f / s), q = _mm512_mul_ps((__m512)a, y);
    if (!mlcc_has_inverse(s))
        return a / V16_SET(s);
    const __m512 p = _mm512_fmadd_ps(_mm512_fnmadd_ps(q, d, (__m512)a), y, q);
    return (v16f)_mm512_fixupimm_ps(q, p, _mm512_set1_epi32(0x11111000), 0); /* q where p is NaN or 0 */
}
#elif MLCC_FUSED
static MLCC_INLINE v16f V16_DIVS(v16f a, float s)
{
    const v16f y = V16_SET(1.0f / s), q = a * y, p = V16_FMA(V16_FMA(-q, V16_SET(s), a), y, q);
    if (!mlcc_has_inverse(s))
        return a / V16_SET(s);
    return V16_SEL((v16i)(p < V16_SET(0.0f)) | (v16i)(p > V16_SET(0.0f)), p, q);
}
#else
static MLCC_INLINE v16f V16_DIVS(v16f a, float s) { return a / V16_SET(s); }
#endif

/* SAT<T>(FTOI(a)): what is clamped first is in range. NaN is 0. */
static MLCC_INLINE v16i V16_FTOU8(v16f a)
{
    return __builtin_convertvector(V16_MIN(V16_SET(255.0f), V16_MAX(V16_SET(0.0f), a)), v16i);
}

static MLCC_INLINE v16i V16_FTOI8(v16f a)
{
    const v16f number = (v16f)((v16i)a & (v16i)(a == a));
    return __builtin_convertvector(V16_MIN(V16_SET(127.0f), V16_MAX(V16_SET(-128.0f), number)), v16i);
}

/* The same of RINT(a): the conversion rounds, the ends are whole numbers. */
#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16i V16_RTOU8(v16f a)
{
    return (v16i)_mm512_cvtps_epi32((__m512)V16_MIN(V16_SET(255.0f), V16_MAX(V16_SET(0.0f), a)));
}

static MLCC_INLINE v16i V16_RTOI8(v16f a)
{
    const v16f number = (v16f)((v16i)a & (v16i)(a == a));
    return (v16i)_mm512_cvtps_epi32((__m512)V16_MIN(V16_SET(127.0f), V16_MAX(V16_SET(-128.0f), number)));
}
#else
static MLCC_INLINE v16i V16_RTOU8(v16f a) { return V16_FTOU8(V16_RINT(a)); }

static MLCC_INLINE v16i V16_RTOI8(v16f a) { return V16_FTOI8(V16_RINT(a)); }
#endif

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16f V16_LDBF(const uint16_t *p)
{
    return (v16f)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p)), 16);
}
#else
static MLCC_INLINE v16f V16_LDBF(const uint16_t *p)
{
    const v16u u = __builtin_convertvector(*(const v16h *)(const void *)p, v16u);
    return (v16f)(u << 16);
}
#endif

/* bfloat16 in the low half of each lane. */
static MLCC_INLINE v16u mlcc_v16_bf(v16f v)
{
    const v16u u = (v16u)v, up = (u + 0x7fff + (u >> 16 & 1)) >> 16, quiet = u >> 16 | 0x40;
    const v16u nan = (v16u)(v != v);
    return (nan & quiet) | (~nan & up);
}

static MLCC_INLINE void V16_STBF(uint16_t *p, v16f v) { *(v16h *)(void *)p = __builtin_convertvector(mlcc_v16_bf(v), v16h); }

#if MLCC_X86 && defined(__AVX512BF16__)
static MLCC_INLINE void V16_STBFZ(uint16_t *p, v16f v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, (__m256i)_mm512_cvtneps_pbh((__m512)v));
}
#else
static MLCC_INLINE void V16_STBFZ(uint16_t *p, v16f v) { V16_STBF(p, v); }
#endif

/* p * 2^n for integral -252 <= n <= 252: by two factors, so that neither leaves the range of float. Adding 1.5 * 2^23
 * brings an integer to the low bits. */
#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16f mlcc_v16_scale(v16f p, v16f n) { return (v16f)_mm512_scalef_ps((__m512)p, (__m512)n); }
#else
static MLCC_INLINE v16f mlcc_v16_scale(v16f p, v16f n)
{
    const v16i i = (v16i)((v16u)(n + V16_SET(12582912.0f)) - 0x4b400000u), half = i >> 1;
    const v16f a = (v16f)((v16u)(half + 127) << 23), b = (v16f)((v16u)(i - half + 127) << 23);
    return p * a * b;
}
#endif

/* x = n ln 2 + r with integral n and |r| <= ln 2 / 2: returns r + r^2 q(r) = exp(r) - 1. ln 2 is taken in two parts,
 * the upper one of ten bits, so that n times it is exact. */
static MLCC_INLINE v16f mlcc_v16_reduce(v16f x, v16f *n)
{
    const v16f shift = V16_SET(12582912.0f);
    *n = V16_FMA(x, V16_SET(1.442695041f), shift) - shift;
    const v16f r = V16_FMA(*n, V16_SET(2.12194440e-4f), V16_FMA(*n, V16_SET(-0.693359375f), x));
    v16f q = V16_SET(1.382300048e-3f);
    q = V16_FMA(q, r, V16_SET(8.368840441e-3f));
    q = V16_FMA(q, r, V16_SET(4.166824371e-2f));
    q = V16_FMA(q, r, V16_SET(1.666651964e-1f));
    q = V16_FMA(q, r, V16_SET(4.999999404e-1f));
    return V16_FMA(q, r * r, r);
}

/* Beyond the clamps the result is 0 or infinity anyway. */
static MLCC_INLINE v16f V16_EXP(v16f x)
{
    v16f n;
    x = V16_MIN(V16_MAX(x, V16_SET(-104.0f)), V16_SET(89.0f));
    const v16f p = mlcc_v16_reduce(x, &n) + V16_SET(1.0f);
    return mlcc_v16_scale(p, n);
}

/* 1 / d for d of at least 1: one step of Newton's iteration from fourteen bits. */
#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16f mlcc_v16_inverse(v16f d)
{
    const __m512 r = _mm512_rcp14_ps((__m512)d), e = _mm512_fnmadd_ps((__m512)d, r, _mm512_set1_ps(1.0f));
    return (v16f)_mm512_fmadd_ps(r, e, r);
}
#else
static MLCC_INLINE v16f mlcc_v16_inverse(v16f d) { return V16_SET(1.0f) / d; }
#endif

/* exp(-a) is what is returned times *power, for |a| <= 64: -a = n ln 2 - u, and 1.5 * 2^23 + 127 leaves the exponent of 2^n in the low
 * bits of n. */
static MLCC_INLINE v16f mlcc_v16_decay(v16f a, v16f *power)
{
    const v16f shift = V16_SET(12583039.0f), m = V16_FMA(a, V16_SET(-1.442695041f), shift), n = m - shift;
    const v16f u = V16_FMA(n, V16_SET(-2.12194440e-4f), V16_FMA(n, V16_SET(0.693359375f), a));
    v16f p = V16_SET(1.382300048e-3f);
    p = V16_FMA(p, u, V16_SET(-8.368840441e-3f));
    p = V16_FMA(p, u, V16_SET(4.166824371e-2f));
    p = V16_FMA(p, u, V16_SET(-1.666651964e-1f));
    p = V16_FMA(p, u, V16_SET(4.999999404e-1f));
    p = V16_FMA(p, u, V16_SET(-1.0f));
    *power = (v16f)((v16u)m << 23);
    return V16_FMA(p, u, V16_SET(1.0f));
}

/* 1 / (1 + exp(-x)) with x held to -32..32: products of what is nearly nothing do not become subnormal, which is slow. */
static MLCC_INLINE v16f V16_SIGMOID(v16f x)
{
    v16f power;
    const v16f p = mlcc_v16_decay(V16_MIN(V16_MAX(x, V16_SET(-32.0f)), V16_SET(32.0f)), &power);
    const v16f d = V16_FMA(p, power, V16_SET(1.0f));
    return mlcc_v16_inverse(d);
}

/* 1 / (1 + 2^t) with t = -x log2(e): 2^(t - n) by a polynomial of four coefficients, the inverse from fourteen bits. */
#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16f V16_SIGMOIDB(v16f x)
{
    const v16f a = V16_MIN(V16_MAX(x, V16_SET(-32.0f)), V16_SET(32.0f)), shift = V16_SET(12583039.0f);
    const v16f m = V16_FMA(a, V16_SET(-1.442695041f), shift), n = m - shift, power = (v16f)((v16u)m << 23), r = V16_FMA(a, V16_SET(-1.442695041f), V16_NEG(n));
    v16f p = V16_SET(5.517166853e-2f);
    p = V16_FMA(p, r, V16_SET(2.426111251e-1f));
    p = V16_FMA(p, r, V16_SET(6.932609677e-1f));
    p = V16_FMA(p, r, V16_SET(9.999280572e-1f));
    return (v16f)_mm512_rcp14_ps((__m512)V16_FMA(p, power, V16_SET(1.0f)));
}
#else
static MLCC_INLINE v16f V16_SIGMOIDB(v16f x) { return V16_SIGMOID(x); }
#endif

/* e / (e + 2) with e = exp(2|x|) - 1 = 2^n (exp(r) - 1) + (2^n - 1); 1 from |x| = 9.05 on. */
static MLCC_INLINE v16f V16_TANH(v16f x)
{
    v16f n;
    const v16f a = V16_ABS(x), p = mlcc_v16_reduce(V16_MIN(a + a, V16_SET(18.1f)), &n);
    const v16f s = mlcc_v16_scale(V16_SET(1.0f), n), e = V16_FMA(s, p, s - V16_SET(1.0f));
    return V16_COPYSIGN(e / (e + V16_SET(2.0f)), x);
}

/* x p(|x|) with p of degree five about a middle of one of 16 pieces of 0..4, where p is a float but for 1e-11 of it; of the least
 * largest relative error, 6e-9. Off by 0.7 ulp at most (all floats from 2^-25 to 4.5). The piece's number is the low bits of m, which are
 * all that vpermps looks at. */
#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16f V16_ERF(v16f x)
{
    static const float table[7][16] = {
        {8.915919461e-04f, 2.662167549e-01f, 5.299892426e-01f, 7.974858284e-01f, 1.061415195e+00f, 1.326869965e+00f, 1.594742298e+00f, 1.858385086e+00f,
         2.124285698e+00f, 2.391495228e+00f, 2.655022144e+00f, 2.920629501e+00f, 3.186614037e+00f, 3.452456474e+00f, 3.719538689e+00f, 3.984518528e+00f},
        {1.128378868e+00f, 1.102279902e+00f, 1.031067967e+00f, 9.286711216e-01f, 8.165155053e-01f, 7.079896927e-01f, 6.119395494e-01f, 5.334820151e-01f,
         4.694929421e-01f, 4.178476334e-01f, 3.765793443e-01f, 3.423795402e-01f, 3.138106465e-01f, 2.896485329e-01f, 2.688505054e-01f, 2.509713471e-01f},
        {-6.707287976e-04f, -1.919582039e-01f, -3.377706409e-01f, -4.154191017e-01f, -4.246885478e-01f, -3.873561025e-01f, -3.280987442e-01f, -2.678613067e-01f,
         -2.151850909e-01f, -1.731737107e-01f, -1.414676458e-01f, -1.171517149e-01f, -9.846399724e-02f, -8.389418572e-02f, -7.228031009e-02f, -6.298658252e-02f},
        {-3.761230409e-01f, -3.301152289e-01f, -2.147374153e-01f, -7.647144049e-02f, 3.436866403e-02f, 9.791272879e-02f, 1.170312762e-01f, 1.084445938e-01f,
         8.891977370e-02f, 6.870903820e-02f, 5.230351537e-02f, 3.988901898e-02f, 3.085534275e-02f, 2.429232001e-02f, 1.943148114e-02f, 1.580767520e-02f},
        {3.043447505e-04f, 1.103977486e-01f, 1.703280956e-01f, 1.637946516e-01f, 1.115595922e-01f, 4.909105226e-02f, 2.383427229e-03f, -2.053464204e-02f,
         -2.627040073e-02f, -2.334231697e-02f, -1.808892190e-02f, -1.324936748e-02f, -9.594175033e-03f, -7.019687910e-03f, -5.221513566e-03f, -3.966903780e-03f},
        {1.143312231e-01f, 8.562612534e-02f, 2.491614036e-02f, -3.294932470e-02f, -5.919317529e-02f, -5.367132276e-02f, -3.236287087e-02f, -1.229517534e-02f,
         -1.525641273e-04f, 4.504782613e-03f, 4.985772073e-03f, 4.013601691e-03f, 2.887353068e-03f, 2.010365250e-03f, 1.401565736e-03f, 9.963905904e-04f},
        {-1.050078962e-02f, -3.732471168e-02f, -4.948847368e-02f, -3.331236541e-02f, -6.301119924e-03f, 1.257862151e-02f, 1.711915433e-02f, 1.243171189e-02f,
         5.912490189e-03f, 1.495193457e-03f, -4.327141505e-04f, -8.816341870e-04f, -7.682864089e-04f, -5.499860854e-04f, -3.710998280e-04f, -2.490957850e-04f}};
    const v16f c = V16_MIN(V16_MAX(x, V16_SET(-4.0f)), V16_SET(4.0f)), a = V16_ABS(c), m = V16_FMA(a, V16_SET(64 / 17.0f), V16_SET(12582912.0f));
#define MLCC_PIECE(k) (v16f)_mm512_permutexvar_ps((__m512i)m, _mm512_loadu_ps(table[k]))
    const v16f r = a - MLCC_PIECE(0);
    v16f p = MLCC_PIECE(6);
    p = V16_FMA(p, r, MLCC_PIECE(5));
    p = V16_FMA(p, r, MLCC_PIECE(4));
    p = V16_FMA(p, r, MLCC_PIECE(3));
    p = V16_FMA(p, r, MLCC_PIECE(2));
    return V16_FMA(c, MLCC_PIECE(1), c * r * p);
#undef MLCC_PIECE
}
#else
/* |x| < 0.92: x + x p(x^2). Above: 1 - exp(-g(|x|)). */
static MLCC_INLINE v16f V16_ERF(v16f x)
{
    const v16f a = V16_MIN(V16_ABS(x), V16_SET(4.0f)), s = a * a;
    v16f p = V16_SET(8.330975106e-5f);
    p = V16_FMA(p, s, V16_SET(-8.131411159e-4f));
    p = V16_FMA(p, s, V16_SET(5.199781619e-3f));
    p = V16_FMA(p, s, V16_SET(-2.685873583e-2f));
    p = V16_FMA(p, s, V16_SET(1.128367856e-1f));
    p = V16_FMA(p, s, V16_SET(-3.761263192e-1f));
    p = V16_FMA(p, s, V16_SET(1.283791661e-1f));
    v16f g = V16_SET(-1.959337678e-4f);
    g = V16_FMA(g, a, V16_SET(3.043195233e-3f));
    g = V16_FMA(g, a, V16_SET(-2.222687192e-2f));
    g = V16_FMA(g, a, V16_SET(1.039315611e-1f));
    g = V16_FMA(g, a, V16_SET(6.371822357e-1f));
    g = V16_FMA(g, a, V16_SET(1.127675653f));
    g = V16_FMA(g, a, V16_SET(1.956670894e-4f));
    v16f power;
    const v16f q = mlcc_v16_decay(g, &power), small = V16_FMA(a, p, a), large = V16_FMA(V16_NEG(q), power, V16_SET(1.0f));
    return V16_COPYSIGN(V16_SEL((v16i)(a < V16_SET(0.92f)), small, large), x);
}
#endif

/* By 16 pieces of 0..4 as ERF, of degree three in |x| itself: off by 7.2e-6. */
#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16f V16_ERFQ(v16f x)
{
    static const float table[4][16] = {
        {0.000000000e+00f, -4.235344823e-04f, -1.266813464e-02f, -6.376278400e-02f, -1.388109326e-01f, -1.503190249e-01f, -1.784517057e-02f, 2.415505648e-01f,
         5.304266810e-01f, 7.587413788e-01f, 8.967902660e-01f, 9.630670547e-01f, 9.888942838e-01f, 9.971821904e-01f, 9.993945956e-01f, 9.998443723e-01f},
        {1.128393173e+00f, 1.135341644e+00f, 1.223155737e+00f, 1.453073263e+00f, 1.699229121e+00f, 1.733687162e+00f, 1.465006471e+00f, 1.014447689e+00f,
         5.777882338e-01f, 2.726311684e-01f, 1.073338762e-01f, 3.547453135e-02f, 9.892783128e-03f, 2.337452490e-03f, 4.695279640e-04f, 1.148159208e-04f},
        {-5.548833869e-04f, -3.867879137e-02f, -2.518635690e-01f, -5.989840031e-01f, -8.689650297e-01f, -9.025474787e-01f, -7.206972241e-01f, -4.595791996e-01f,
         -2.394041568e-01f, -1.033747867e-01f, -3.737167269e-02f, -1.139214355e-02f, -2.943637082e-03f, -6.473074318e-04f, -1.215149532e-04f, -2.826758464e-05f},
        {-3.708050549e-01f, -2.990362644e-01f, -1.235844865e-01f, 5.224545673e-02f, 1.512480676e-01f, 1.619660258e-01f, 1.208911240e-01f, 7.039958984e-02f,
         3.336697817e-02f, 1.314340997e-02f, 4.354693927e-03f, 1.222832245e-03f, 2.925310691e-04f, 5.983630763e-05f, 1.049354978e-05f, 2.321979537e-06f}};
    const v16f a = V16_MIN(V16_ABS(x), V16_SET(4.0f)), m = V16_FMA(a, V16_SET(64 / 17.0f), V16_SET(12582912.0f));
#define MLCC_PIECE(k) (v16f)_mm512_permutexvar_ps((__m512i)m, _mm512_loadu_ps(table[k]))
    v16f p = MLCC_PIECE(3);
    p = V16_FMA(p, a, MLCC_PIECE(2));
    p = V16_FMA(p, a, MLCC_PIECE(1));
    p = V16_FMA(p, a, MLCC_PIECE(0));
    return V16_COPYSIGN(p, x);
#undef MLCC_PIECE
}
#else
static MLCC_INLINE v16f V16_ERFQ(v16f x) { return V16_ERF(x); }
#endif

/* x p(x^2), 1 from |x| = 3 on. */
static MLCC_INLINE v16f V16_ERFB(v16f x)
{
    const v16f a = V16_MIN(V16_MAX(x, V16_SET(-3.0f)), V16_SET(3.0f)), s = a * a;
    v16f p = V16_SET(4.074217586e-8f);
    p = V16_FMA(p, s, V16_SET(-1.944825271e-6f));
    p = V16_FMA(p, s, V16_SET(4.106056076e-5f));
    p = V16_FMA(p, s, V16_SET(-5.110371276e-4f));
    p = V16_FMA(p, s, V16_SET(4.235428758e-3f));
    p = V16_FMA(p, s, V16_SET(-2.510286309e-2f));
    p = V16_FMA(p, s, V16_SET(1.110793352e-1f));
    p = V16_FMA(p, s, V16_SET(-3.753148615e-1f));
    p = V16_FMA(p, s, V16_SET(1.128268480f));
    return p * a;
}

/* x = 2^e (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2): e ln 2 + f - f^2/2 + f^3 p(f). */
static MLCC_INLINE v16f V16_LOG(v16f x)
{
    const v16i tiny = (v16i)(x < V16_SET(1.17549435e-38f));
    const v16u u = (v16u)V16_SEL(tiny, x * V16_SET(8388608.0f), x);
    const v16i e = (v16i)(u - 0x3f3504f3u) >> 23;
    const v16f k = V16_ITOF(e) - (v16f)(tiny & (v16i)V16_SET(23.0f));
    const v16f f = (v16f)(u - ((v16u)e << 23)) - V16_SET(1.0f), f2 = f * f;
    v16f p = V16_SET(-7.637470961e-2f);
    p = V16_FMA(p, f, V16_SET(1.276273131e-1f));
    p = V16_FMA(p, f, V16_SET(-1.315947175e-1f));
    p = V16_FMA(p, f, V16_SET(1.420150101e-1f));
    p = V16_FMA(p, f, V16_SET(-1.662341356e-1f));
    p = V16_FMA(p, f, V16_SET(2.000124454e-1f));
    p = V16_FMA(p, f, V16_SET(-2.500081956e-1f));
    p = V16_FMA(p, f, V16_SET(3.333333135e-1f));
    v16f y = V16_FMA(k, V16_SET(-2.12194440e-4f), f2 * f * p);
    y = f + V16_FMA(f2, V16_SET(-0.5f), y);
    y = V16_FMA(k, V16_SET(0.693359375f), y);
    y = V16_SEL((v16i)(x < V16_SET(INFINITY)), y, x);
    y = V16_SEL((v16i)(x == V16_SET(0.0f)), V16_SET(-INFINITY), y);
    return V16_SEL((v16i)(x < V16_SET(0.0f)), V16_SET(NAN), y);
}

/* log(1 + x) from what rounding of the sum w takes away, c: log(w) + c/w. */
static MLCC_INLINE v16f V16_LOG1P(v16f x)
{
    const v16f one = V16_SET(1.0f), w = one + x, y = V16_LOG(w), c = (x - (w - one)) / w;
    return V16_SEL((v16i)(w == one), x, V16_SEL((v16i)(c == c), y + c, y));
}

/* Lanes 0..7 and 8..15 as doubles, and back. */
#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16d mlcc_v16_low(v16f a) { return (v16d)_mm512_cvtps_pd(_mm512_castps512_ps256((__m512)a)); }
static MLCC_INLINE v16d mlcc_v16_high(v16f a) { return (v16d)_mm512_cvtps_pd(_mm256_castpd_ps(_mm512_extractf64x4_pd((__m512d)a, 1))); }
static MLCC_INLINE v16f mlcc_v16_float(v16d low, v16d high)
{
    const __m256d a = _mm256_castps_pd(_mm512_cvtpd_ps((__m512d)low)), b = _mm256_castps_pd(_mm512_cvtpd_ps((__m512d)high));
    return (v16f)_mm512_insertf64x4(_mm512_castpd256_pd512(a), b, 1);
}
#else
static MLCC_INLINE v16d mlcc_v16_low(v16f a) { return (v16d){a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]}; }
static MLCC_INLINE v16d mlcc_v16_high(v16f a) { return (v16d){a[8], a[9], a[10], a[11], a[12], a[13], a[14], a[15]}; }
static MLCC_INLINE v16f mlcc_v16_float(v16d low, v16d high)
{
    v16f y = {0};
    for (int i = 0; i < 8; i++) {
        y[i] = (float)low[i];
        y[i + 8] = (float)high[i];
    }
    return y;
}
#endif

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16d mlcc_v16_fma_d(v16d a, v16d b, v16d c) { return (v16d)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c); }
#else
static MLCC_INLINE v16d mlcc_v16_fma_d(v16d a, v16d b, v16d c) { return a * b + c; }
#endif

/* a held to -1000..1000. */
#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16d mlcc_v16_hold_d(v16d a)
{
    return (v16d)_mm512_min_pd(_mm512_set1_pd(1000.0), _mm512_max_pd(_mm512_set1_pd(-1000.0), (__m512d)a));
}
#else
static MLCC_INLINE v16d mlcc_v16_hold_d(v16d a)
{
    for (int i = 0; i < 8; i++)
        a[i] = a[i] > 1000.0 ? 1000.0 : a[i] < -1000.0 ? -1000.0 : a[i];
    return a;
}
#endif

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE int mlcc_v16_any(v16i m) { return _mm512_test_epi32_mask((__m512i)m, (__m512i)m) != 0; }
#else
static MLCC_INLINE int mlcc_v16_any(v16i m)
{
    int any = 0;
    for (int i = 0; i < 16; i++)
        any |= m[i];
    return any != 0;
}
#endif

static MLCC_INLINE v16d mlcc_v16_set_d(double x) { return (v16d){0} + x; }

/* x = n pi/2 + r with integral n and |r| < 0.786, for |x| <= 8192: returns r, and n in the low bits of *n. The first part of pi/2 has 33 bits,
 * so that n times it is exact. */
static MLCC_INLINE v16d mlcc_v16_turn_d(v16d x, v16d n)
{
    return mlcc_v16_fma_d(n, mlcc_v16_set_d(-6.077100506506192e-11), mlcc_v16_fma_d(n, mlcc_v16_set_d(-1.5707963267341256), x));
}

static MLCC_INLINE v16f mlcc_v16_turn(v16f x, v16u *n)
{
    const v16f shift = V16_SET(12582912.0f), m = V16_FMA(x, V16_SET(0.6366197724f), shift), k = m - shift;
    *n = (v16u)m;
    return mlcc_v16_float(mlcc_v16_turn_d(mlcc_v16_low(x), mlcc_v16_low(k)), mlcc_v16_turn_d(mlcc_v16_high(x), mlcc_v16_high(k)));
}

/* sin(r + n pi/2): the sine or the cosine of r, with the sign of the quadrant. */
static MLCC_INLINE v16f mlcc_v16_wave(v16f r, v16u n)
{
    const v16f s = r * r;
    v16f p = V16_SET(-1.951789512e-4f), q = V16_SET(2.443233097e-5f);
    p = V16_FMA(p, s, V16_SET(8.332187310e-3f));
    q = V16_FMA(q, s, V16_SET(-1.388730947e-3f));
    p = V16_FMA(p, s, V16_SET(-1.666665524e-1f));
    q = V16_FMA(q, s, V16_SET(4.166664556e-2f));
    const v16f sine = V16_COPYSIGN(V16_FMA(p, s * r, r), r), cosine = V16_FMA(q, s * s, V16_FMA(s, V16_SET(-0.5f), V16_SET(1.0f)));
    const v16i turned = (v16i)(n << 31) >> 31;
    return (v16f)((v16u)V16_SEL(turned, cosine, sine) ^ (n & 2u) << 30);
}

static MLCC_INLINE v16f V16_SIN(v16f x)
{
    v16u n;
    if (MLCC_SELDOM(mlcc_v16_any(~(v16i)(V16_ABS(x) <= V16_SET(8192.0f)))))
        return V16_EACH(sinf, x);
    const v16f r = mlcc_v16_turn(x, &n);
    return mlcc_v16_wave(r, n);
}

static MLCC_INLINE v16f V16_COS(v16f x)
{
    v16u n;
    if (MLCC_SELDOM(mlcc_v16_any(~(v16i)(V16_ABS(x) <= V16_SET(8192.0f)))))
        return V16_EACH(cosf, x);
    const v16f r = mlcc_v16_turn(x, &n);
    return mlcc_v16_wave(r, n + 1u);
}

/* t + t^3 p(t^2) with t = |x|, from 1 on pi/2 and t = -1/|x|. */
static MLCC_INLINE v16f V16_ATAN(v16f x)
{
    const v16f a = V16_MIN(V16_ABS(x), V16_SET(1e9f)), one = V16_SET(1.0f);
    const v16i large = (v16i)(a > one);
    const v16f t = V16_SEL(large, V16_SET(-1.0f) / a, a), s = t * t;
    v16f p = V16_SET(-1.782820676e-3f);
    p = V16_FMA(p, s, V16_SET(1.086868532e-2f));
    p = V16_FMA(p, s, V16_SET(-3.109698556e-2f));
    p = V16_FMA(p, s, V16_SET(5.788138881e-2f));
    p = V16_FMA(p, s, V16_SET(-8.399306238e-2f));
    p = V16_FMA(p, s, V16_SET(1.095088050e-1f));
    p = V16_FMA(p, s, V16_SET(-1.426401585e-1f));
    p = V16_FMA(p, s, V16_SET(1.999852955e-1f));
    p = V16_FMA(p, s, V16_SET(-3.333329856e-1f));
    const v16f y = V16_FMA(p, s * t, t) + (v16f)(large & (v16i)V16_SET(1.570796371f));
    return V16_COPYSIGN(y, x);
}

/* 2^(y log2(x)) for finite x > 0, held to 2^-1000..2^1000. x = 2^e (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2): log2(x) = e + f p(f); 1.5 * 2^52
 * leaves the whole part of the exponent in the low bits. */
static MLCC_INLINE v16d mlcc_v16_pow_d(v16d x, v16d y)
{
    const v16uq u = (v16uq)x, t = u - 0x3fe6a09e667f3bcdu + 0x3ff0000000000000u, e = t >> 52;
    const v16d k = (v16d)(e | 0x4330000000000000u) - mlcc_v16_set_d(4503599627371519.0);
    const v16d f = (v16d)(u - (e << 52) + 0x3ff0000000000000u) - mlcc_v16_set_d(1.0), shift = mlcc_v16_set_d(6755399441055744.0);
    v16d p = mlcc_v16_set_d(-0.08634597289516496);
    p = mlcc_v16_fma_d(p, f, mlcc_v16_set_d(0.15485751517088084));
    p = mlcc_v16_fma_d(p, f, mlcc_v16_set_d(-0.15698226398520182));
    p = mlcc_v16_fma_d(p, f, mlcc_v16_set_d(0.15900150080015654));
    p = mlcc_v16_fma_d(p, f, mlcc_v16_set_d(-0.17904695245786267));
    p = mlcc_v16_fma_d(p, f, mlcc_v16_set_d(0.20609625591113376));
    p = mlcc_v16_fma_d(p, f, mlcc_v16_set_d(-0.24050417410027927));
    p = mlcc_v16_fma_d(p, f, mlcc_v16_set_d(0.28854064357518505));
    p = mlcc_v16_fma_d(p, f, mlcc_v16_set_d(-0.36067280054742507));
    p = mlcc_v16_fma_d(p, f, mlcc_v16_set_d(0.480898320729169));
    p = mlcc_v16_fma_d(p, f, mlcc_v16_set_d(-0.7213475252132093));
    p = mlcc_v16_fma_d(p, f, mlcc_v16_set_d(1.4426950409393464));
    const v16d z = mlcc_v16_hold_d(y * mlcc_v16_fma_d(p, f, k)), n = z + shift, r = z - (n - shift);
    v16d q = mlcc_v16_set_d(1.5345811559391718e-4);
    q = mlcc_v16_fma_d(q, r, mlcc_v16_set_d(1.3399931214872365e-3));
    q = mlcc_v16_fma_d(q, r, mlcc_v16_set_d(9.618488958737214e-3));
    q = mlcc_v16_fma_d(q, r, mlcc_v16_set_d(5.550328776977668e-2));
    q = mlcc_v16_fma_d(q, r, mlcc_v16_set_d(0.24022646890619365));
    q = mlcc_v16_fma_d(q, r, mlcc_v16_set_d(0.6931472057372593));
    q = mlcc_v16_fma_d(q, r, mlcc_v16_set_d(1.0000000005541672));
    return (v16d)((v16uq)q + ((v16uq)n << 52));
}

/* In doubles of |x|; then what zeros, infinities and NaN give, and the sign: that of x where y is odd (C, F.10.4.4). */
static MLCC_INLINE v16f V16_POW(v16f x, v16f y)
{
    const v16f a = V16_ABS(x), half = y * V16_SET(0.5f), none = V16_SET(0.0f), one = V16_SET(1.0f), most = V16_SET(INFINITY);
    const v16f p = mlcc_v16_float(mlcc_v16_pow_d(mlcc_v16_low(a), mlcc_v16_low(y)), mlcc_v16_pow_d(mlcc_v16_high(a), mlcc_v16_high(y)));
    const v16i whole = (v16i)(V16_RINT(y) == y), odd = whole & (v16i)(V16_RINT(half) != half);
    const v16i endless = (v16i)(a == most), up = ~(endless ^ (v16i)(y > none));
    const v16f r = V16_SEL((v16i)(a == none) | endless, (v16f)(up & (v16i)most), p);
    const v16f s = (v16f)((v16i)r | (odd & (v16i)x & (v16i)V16_SET(-0.0f)));
    const v16i wrong = (v16i)(x < none) & ~whole & ~endless, is_one = (v16i)(y == none) | (v16i)(x == one) | ((v16i)(a == one) & (v16i)(V16_ABS(y) == most));
    const v16f n = V16_SEL(wrong, V16_SET(NAN), V16_SEL((v16i)(x != x) | (v16i)(y != y), x + y, s));
    return V16_SEL(is_one, one, n);
}

#endif

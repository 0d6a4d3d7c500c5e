/* SPDX-License-Identifier: 0BSD
 *
 * 8 lanes of the vector dialect; mlcc_vec.h says what each operation means. The widths are written out, not made by
 * macros, because emitted files carry the functions that they use and people read them there; one test holds all widths
 * to the same results. Where there is no instruction they go lane by lane.
 *
 * Functions: range reduction, then a polynomial fitted to minimise the largest relative error (Lawson's iteration on
 * Chebyshev nodes, coefficients rounded to float one by one); the fit's own error is below 2^-27 everywhere.
 */
#ifndef MLCC_VEC8_H
#define MLCC_VEC8_H

/* Vectors wider than the registers are passed to functions that are always inlined, so the calling convention that
 * -Wpsabi is about does not matter. */
#pragma GCC diagnostic ignored "-Wpsabi"
typedef float v8f __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t v8i __attribute__((vector_size(32), aligned(4), may_alias));
typedef uint32_t v8u __attribute__((vector_size(32), aligned(4), may_alias));
typedef int64_t v8q __attribute__((vector_size(32), aligned(8), may_alias));
typedef uint64_t v8uq __attribute__((vector_size(32), aligned(8), may_alias));
typedef double v8d __attribute__((vector_size(32), aligned(8), may_alias));

typedef uint16_t v8h __attribute__((vector_size(16), aligned(2), may_alias));

typedef int8_t v8b __attribute__((vector_size(8), aligned(1), may_alias));

typedef uint8_t v8c __attribute__((vector_size(8), aligned(1), may_alias));

static MLCC_INLINE v8f V8_SET(float x) { return (v8f){x, x, x, x, x, x, x, x}; }

static MLCC_INLINE v8i V8_ISET(int32_t x) { return (v8i){x, x, x, x, x, x, x, x}; }

/* Barriers: only where one register holds the vector. */
#if MLCC_X86 && defined(__AVX__)
#define V8_KEEP(v) __asm__("" : MLCC_REG(v))
#define V8_PIN(v) __asm__ volatile("" : MLCC_REG(v))
#else
#define V8_KEEP(v) ((void)(v))
#define V8_PIN(v) ((void)(v))
#endif

#define V8_FENCE() V1_FENCE()

static MLCC_INLINE v8f V8_LD(const float *p) { return *(const v8f *)(const void *)p; }

static MLCC_INLINE void V8_ST(float *p, v8f v) { *(v8f *)(void *)p = v; }

static MLCC_INLINE v8f V8_ADD(v8f a, v8f b) { return a + b; }

static MLCC_INLINE v8f V8_SUB(v8f a, v8f b) { return a - b; }

static MLCC_INLINE v8f V8_MUL(v8f a, v8f b) { return a * b; }

static MLCC_INLINE v8f V8_DIV(v8f a, v8f b) { return a / b; }

static MLCC_INLINE v8i V8_EQ(v8f a, v8f b) { return (v8i)(a == b); }

static MLCC_INLINE v8i V8_NE(v8f a, v8f b) { return (v8i)(a != b); }

static MLCC_INLINE v8i V8_LT(v8f a, v8f b) { return (v8i)(a < b); }

static MLCC_INLINE v8i V8_LE(v8f a, v8f b) { return (v8i)(a <= b); }

static MLCC_INLINE v8i V8_GT(v8f a, v8f b) { return (v8i)(a > b); }

static MLCC_INLINE v8i V8_GE(v8f a, v8f b) { return (v8i)(a >= b); }

static MLCC_INLINE v8f V8_EACH(float (*f)(float), v8f a)
{
    for (int i = 0; i < 8; i++)
        a[i] = f(a[i]);
    return a;
}

static MLCC_INLINE v8f V8_EACH2(float (*f)(float, float), v8f a, v8f b)
{
    for (int i = 0; i < 8; i++)
        a[i] = f(a[i], b[i]);
    return a;
}

static MLCC_INLINE v8i V8_ILD(const int32_t *p) { return *(const v8i *)(const void *)p; }

static MLCC_INLINE void V8_IST(int32_t *p, v8i v) { *(v8i *)(void *)p = v; }

static MLCC_INLINE v8i V8_IADD(v8i a, v8i b) { return (v8i)((v8u)a + (v8u)b); }

static MLCC_INLINE v8i V8_ISUB(v8i a, v8i b) { return (v8i)((v8u)a - (v8u)b); }

static MLCC_INLINE v8i V8_IMUL(v8i a, v8i b) { return (v8i)((v8u)a * (v8u)b); }

static MLCC_INLINE v8f V8_ITOF(v8i a) { return __builtin_convertvector(a, v8f); }

#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE v8i V8_LDI8(const int8_t *p)
{
    return (v8i)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
}
#else
static MLCC_INLINE v8i V8_LDI8(const int8_t *p)
{
    return __builtin_convertvector(*(const v8b *)(const void *)p, v8i);
}
#endif

#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE v8i V8_LDU8(const uint8_t *p)
{
    return (v8i)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
}
#else
static MLCC_INLINE v8i V8_LDU8(const uint8_t *p)
{
    return __builtin_convertvector(*(const v8c *)(const void *)p, v8i);
}
#endif

#if MLCC_X86 && defined(__AVX__)
static MLCC_INLINE v8f V8_SEL(v8i m, v8f a, v8f b) { return (v8f)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)m); }
#else
static MLCC_INLINE v8f V8_SEL(v8i m, v8f a, v8f b) { return (v8f)((m & (v8i)a) | (~m & (v8i)b)); }
#endif

static MLCC_INLINE v8f V8_ABS(v8f a) { return (v8f)((v8i)a & V8_ISET(INT32_MAX)); }

static MLCC_INLINE v8f V8_NEG(v8f a) { return (v8f)((v8i)a ^ V8_ISET(INT32_MIN)); }

static MLCC_INLINE v8f V8_COPYSIGN(v8f a, v8f s)
{
    const v8i sign = V8_ISET(INT32_MIN);
    return (v8f)(((v8i)a & ~sign) | ((v8i)s & sign));
}

/* Halves: for reductions, and for what the processor lacks at this width. */
#if MLCC_X86 && defined(__AVX__)
static MLCC_INLINE v4f mlcc_v8_lo(v8f a) { return (v4f)_mm256_castps256_ps128((__m256)a); }
#else
static MLCC_INLINE v4f mlcc_v8_lo(v8f a)
{
    v4f h;
    memcpy(&h, &a, sizeof h);
    return h;
}
#endif

#if MLCC_X86 && defined(__AVX__)
static MLCC_INLINE v4f mlcc_v8_hi(v8f a) { return (v4f)_mm256_extractf128_ps((__m256)a, 1); }
#else
static MLCC_INLINE v4f mlcc_v8_hi(v8f a)
{
    v4f h;
    memcpy(&h, (const char *)&a + sizeof h, sizeof h);
    return h;
}
#endif

#if MLCC_X86 && defined(__AVX__)
static MLCC_INLINE v8f V8_MAX(v8f a, v8f b) { return (v8f)_mm256_max_ps((__m256)b, (__m256)a); }
#else
static MLCC_INLINE v8f V8_MAX(v8f a, v8f b)
{
    const v8i m = (v8i)(b > a);
    return (v8f)((m & (v8i)b) | (~m & (v8i)a));
}
#endif

#if MLCC_X86 && defined(__AVX__)
static MLCC_INLINE v8f V8_MIN(v8f a, v8f b) { return (v8f)_mm256_min_ps((__m256)b, (__m256)a); }
#else
static MLCC_INLINE v8f V8_MIN(v8f a, v8f b)
{
    const v8i m = (v8i)(b < a);
    return (v8f)((m & (v8i)b) | (~m & (v8i)a));
}
#endif

#if MLCC_X86 && defined(__AVX__) && defined(__FMA__)
static MLCC_INLINE v8f V8_FMA(v8f a, v8f b, v8f c) { return (v8f)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
#elif MLCC_X86 && defined(__AVX__)
static MLCC_INLINE v8f V8_FMA(v8f a, v8f b, v8f c) { return a * b + c; }
#else
static MLCC_INLINE v8f mlcc_v8_join(v4f lo, v4f hi)
{
    v8f a;
    memcpy(&a, &lo, sizeof lo);
    memcpy((char *)&a + sizeof lo, &hi, sizeof hi);
    return a;
}

static MLCC_INLINE v8f V8_FMA(v8f a, v8f b, v8f c)
{
    return mlcc_v8_join(V4_FMA(mlcc_v8_lo(a), mlcc_v8_lo(b), mlcc_v8_lo(c)),
                        V4_FMA(mlcc_v8_hi(a), mlcc_v8_hi(b), mlcc_v8_hi(c)));
}
#endif

/* Rounded once on every machine. */
#if (MLCC_X86 && defined(__AVX__) && defined(__FMA__)) || MLCC_NEON
static MLCC_INLINE v8f V8_FUSED(v8f a, v8f b, v8f c) { return V8_FMA(a, b, c); }
#else
static MLCC_INLINE v8f V8_FUSED(v8f a, v8f b, v8f c)
{
    for (int i = 0; i < 8; i++)
        c[i] = fmaf(a[i], b[i], c[i]);
    return c;
}
#endif

static MLCC_INLINE v8i V8_BITS(v8f a) { return (v8i)a; }
static MLCC_INLINE v8f V8_FBITS(v8i a) { return (v8f)a; }

static MLCC_INLINE v8f V8_SIGN(v8f a)
{
    const v8i one = (v8i)V8_SET(1.0f), above = (v8i)(a > V8_SET(0.0f)), below = (v8i)(a < V8_SET(0.0f));
    return V8_SEL((v8i)(a == a), (v8f)(above & one) - (v8f)(below & one), a);
}

#if MLCC_X86 && defined(__AVX__)
static MLCC_INLINE v8f V8_SQRT(v8f a) { return (v8f)_mm256_sqrt_ps((__m256)a); }
#else
static MLCC_INLINE v8f V8_SQRT(v8f a)
{
    for (int i = 0; i < 8; i++)
        a[i] = sqrtf(a[i]);
    return a;
}
#endif

#if MLCC_X86 && defined(__AVX__)
static MLCC_INLINE v8f V8_FLOOR(v8f a)
{
    return (v8f)_mm256_round_ps((__m256)a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
#else
static MLCC_INLINE v8f V8_FLOOR(v8f a)
{
    for (int i = 0; i < 8; i++)
        a[i] = floorf(a[i]);
    return a;
}
#endif

#if MLCC_X86 && defined(__AVX__)
static MLCC_INLINE v8f V8_CEIL(v8f a)
{
    return (v8f)_mm256_round_ps((__m256)a, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
}
#else
static MLCC_INLINE v8f V8_CEIL(v8f a)
{
    for (int i = 0; i < 8; i++)
        a[i] = ceilf(a[i]);
    return a;
}
#endif

#if MLCC_X86 && defined(__AVX__)
static MLCC_INLINE v8f V8_RINT(v8f a)
{
    return (v8f)_mm256_round_ps((__m256)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
#else
static MLCC_INLINE v8f V8_RINT(v8f a)
{
    for (int i = 0; i < 8; i++)
        a[i] = rintf(a[i]);
    return a;
}
#endif

#if MLCC_X86 && defined(__AVX__)
static MLCC_INLINE v8f V8_TRUNC(v8f a)
{
    return (v8f)_mm256_round_ps((__m256)a, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
}
#else
static MLCC_INLINE v8f V8_TRUNC(v8f a)
{
    for (int i = 0; i < 8; i++)
        a[i] = truncf(a[i]);
    return a;
}
#endif

#if MLCC_X86 && defined(__AVX__)
static MLCC_INLINE __m256i mlcc_v8_first(int n) { return (__m256i)((v8i){0, 1, 2, 3, 4, 5, 6, 7} < V8_ISET(n)); }
static MLCC_INLINE v8f V8_LDN(const float *p, int n) { return (v8f)_mm256_maskload_ps(p, mlcc_v8_first(n)); }
static MLCC_INLINE void V8_STN(float *p, v8f v, int n) { _mm256_maskstore_ps(p, mlcc_v8_first(n), (__m256)v); }
#else
static MLCC_INLINE v8f V8_LDN(const float *p, int n)
{
    v8f v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i];
    return v;
}
static MLCC_INLINE void V8_STN(float *p, v8f v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = v[i];
}
#endif

/* Every other float comes by two loads, of which the second begins one early: nothing behind the last may be read. */
static MLCC_INLINE v8f V8_GATHER(const float *p, ptrdiff_t s, int n)
{
    v8f v = {0};
#if MLCC_X86 && defined(__AVX2__)
    const __m256i row = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    if (s == 2 && n == 8) {
        const __m256 pairs = _mm256_shuffle_ps(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 7), 0xd8);
        return (v8f)_mm256_permute4x64_pd(_mm256_castps_pd(pairs), 0xd8);
    }
    if (s >= 0 && s <= 1 << 26) {
        const __m256i in = _mm256_cmpgt_epi32(_mm256_set1_epi32(n), row), at = _mm256_mullo_epi32(row, _mm256_set1_epi32((int)s));
        return (v8f)_mm256_mask_i32gather_ps((__m256)v, p, at, _mm256_castsi256_ps(in), 4);
    }
#endif
    for (int i = 0; i < n; i++)
        v[i] = p[i * s];
    return v;
}

static MLCC_INLINE void V8_SCATTER(float *p, ptrdiff_t s, v8f v, int n)
{
    for (int i = 0; i < n; i++)
        p[i * s] = v[i];
}

static MLCC_INLINE v8f V8_MAXN(v8f a, v8f b)
{
    return V8_SEL((v8i)(b != b), b, V8_MAX(a, b));
}

static MLCC_INLINE v8f V8_MINN(v8f a, v8f b)
{
    return V8_SEL((v8i)(b != b), b, V8_MIN(a, b));
}

static MLCC_INLINE float V8_HSUM(v8f v) { return V4_HSUM(mlcc_v8_lo(v) + mlcc_v8_hi(v)); }

#if MLCC_X86 && defined(__AVX__)
static MLCC_INLINE v8f mlcc_v8_halves(v8f a, v8f b)
{
    return (v8f)_mm256_permute2f128_ps((__m256)a, (__m256)b, 0x20) +
           (v8f)_mm256_permute2f128_ps((__m256)a, (__m256)b, 0x31);
}

static MLCC_INLINE v8f mlcc_v8_pairs(v8f a, v8f b)
{
    return (v8f)_mm256_shuffle_ps((__m256)a, (__m256)b, 0x44) + (v8f)_mm256_shuffle_ps((__m256)a, (__m256)b, 0xee);
}

static MLCC_INLINE v8f V8_SUMS(v8f a, v8f b, v8f c, v8f d, v8f e, v8f f, v8f g, v8f h)
{
    const __m256 p = (__m256)mlcc_v8_pairs(mlcc_v8_halves(a, e), mlcc_v8_halves(b, f));
    const __m256 q = (__m256)mlcc_v8_pairs(mlcc_v8_halves(c, g), mlcc_v8_halves(d, h));
    return (v8f)_mm256_shuffle_ps(p, q, 0x88) + (v8f)_mm256_shuffle_ps(p, q, 0xdd);
}
#else
static MLCC_INLINE v4f mlcc_v8_half_sum(v8f a) { return mlcc_v8_lo(a) + mlcc_v8_hi(a); }

static MLCC_INLINE v8f V8_SUMS(v8f a, v8f b, v8f c, v8f d, v8f e, v8f f, v8f g, v8f h)
{
    const v4f lo = V4_SUMS(mlcc_v8_half_sum(a), mlcc_v8_half_sum(b), mlcc_v8_half_sum(c), mlcc_v8_half_sum(d));
    const v4f hi = V4_SUMS(mlcc_v8_half_sum(e), mlcc_v8_half_sum(f), mlcc_v8_half_sum(g), mlcc_v8_half_sum(h));
    return mlcc_v8_join(lo, hi);
}
#endif

#if MLCC_X86 && defined(__AVX__)
static MLCC_INLINE v8f V8_SET2(const float *p)
{
    double both;
    memcpy(&both, p, sizeof both);
    return (v8f)_mm256_set1_pd(both);
}

static MLCC_INLINE v8f V8_TWINS(v8f a, v8f b)
{
    const __m256 lo = _mm256_permute2f128_ps((__m256)a, (__m256)b, 0x20), hi = _mm256_permute2f128_ps((__m256)a, (__m256)b, 0x31);
    return (v8f)_mm256_shuffle_ps(lo, hi, 0x88) + (v8f)_mm256_shuffle_ps(lo, hi, 0xdd);
}
#else
static MLCC_INLINE v8f V8_SET2(const float *p) { return mlcc_v8_join(V4_SET2(p), V4_SET2(p)); }

static MLCC_INLINE v8f V8_TWINS(v8f a, v8f b)
{
    return mlcc_v8_join(V4_TWINS(mlcc_v8_lo(a), mlcc_v8_hi(a)), V4_TWINS(mlcc_v8_lo(b), mlcc_v8_hi(b)));
}
#endif

static MLCC_INLINE float V8_HPROD(v8f v) { return V4_HPROD(mlcc_v8_lo(v) * mlcc_v8_hi(v)); }

static MLCC_INLINE float V8_HMAX(v8f v) { return V4_HMAX(V4_MAXN(mlcc_v8_lo(v), mlcc_v8_hi(v))); }

static MLCC_INLINE float V8_HMIN(v8f v) { return V4_HMIN(V4_MINN(mlcc_v8_lo(v), mlcc_v8_hi(v))); }

static MLCC_INLINE v8i V8_FTOI(v8f a)
{
    const v8i low = (v8i)(a < V8_SET(-0x1p31f)), high = (v8i)(a >= V8_SET(0x1p31f));
    const v8i in = (v8i)(a == a) & ~low & ~high;
    const v8i i = __builtin_convertvector((v8f)((v8i)a & in), v8i);
    return i | (low & V8_ISET(INT32_MIN)) | (high & V8_ISET(INT32_MAX));
}

#if MLCC_FUSED
static MLCC_INLINE v8f V8_DIVS(v8f a, float s)
{
    const v8f y = V8_SET(1.0f / s), q = a * y, p = V8_FMA(V8_FMA(-q, V8_SET(s), a), y, q);
    if (!mlcc_has_inverse(s))
        return a / V8_SET(s);
    return V8_SEL((v8i)(p < V8_SET(0.0f)) | (v8i)(p > V8_SET(0.0f)), p, q);
}
#else
static MLCC_INLINE v8f V8_DIVS(v8f a, float s) { return a / V8_SET(s); }
#endif

/* SAT<T>(FTOI(a)): what is clamped first is in range. NaN is 0. */
static MLCC_INLINE v8i V8_FTOU8(v8f a)
{
    return __builtin_convertvector(V8_MIN(V8_SET(255.0f), V8_MAX(V8_SET(0.0f), a)), v8i);
}

static MLCC_INLINE v8i V8_FTOI8(v8f a)
{
    const v8f number = (v8f)((v8i)a & (v8i)(a == a));
    return __builtin_convertvector(V8_MIN(V8_SET(127.0f), V8_MAX(V8_SET(-128.0f), number)), v8i);
}

/* The same of RINT(a): the conversion rounds, the ends are whole numbers. */
#if MLCC_X86 && defined(__AVX__)
static MLCC_INLINE v8i V8_RTOU8(v8f a)
{
    return (v8i)_mm256_cvtps_epi32((__m256)V8_MIN(V8_SET(255.0f), V8_MAX(V8_SET(0.0f), a)));
}

static MLCC_INLINE v8i V8_RTOI8(v8f a)
{
    const v8f number = (v8f)((v8i)a & (v8i)(a == a));
    return (v8i)_mm256_cvtps_epi32((__m256)V8_MIN(V8_SET(127.0f), V8_MAX(V8_SET(-128.0f), number)));
}
#else
static MLCC_INLINE v8i V8_RTOU8(v8f a) { return V8_FTOU8(V8_RINT(a)); }

static MLCC_INLINE v8i V8_RTOI8(v8f a) { return V8_FTOI8(V8_RINT(a)); }
#endif

static MLCC_INLINE v8f V8_LDBF(const uint16_t *p)
{
    const v8u u = __builtin_convertvector(*(const v8h *)(const void *)p, v8u);
    return (v8f)(u << 16);
}

/* bfloat16 in the low half of each lane. */
static MLCC_INLINE v8u mlcc_v8_bf(v8f v)
{
    const v8u u = (v8u)v, up = (u + 0x7fff + (u >> 16 & 1)) >> 16, quiet = u >> 16 | 0x40;
    const v8u nan = (v8u)(v != v);
    return (nan & quiet) | (~nan & up);
}

static MLCC_INLINE void V8_STBF(uint16_t *p, v8f v) { *(v8h *)(void *)p = __builtin_convertvector(mlcc_v8_bf(v), v8h); }

static MLCC_INLINE void V8_STBFZ(uint16_t *p, v8f v) { V8_STBF(p, v); }

/* p * 2^n for integral -252 <= n <= 252: by two factors, so that neither leaves the range of float. Adding 1.5 * 2^23
 * brings an integer to the low bits. */
static MLCC_INLINE v8f mlcc_v8_scale(v8f p, v8f n)
{
    const v8i i = (v8i)((v8u)(n + V8_SET(12582912.0f)) - 0x4b400000u), half = i >> 1;
    const v8f a = (v8f)((v8u)(half + 127) << 23), b = (v8f)((v8u)(i - half + 127) << 23);
    return p * a * b;
}

/* x = n ln 2 + r with integral n and |r| <= ln 2 / 2: returns r + r^2 q(r) = exp(r) - 1. ln 2 is taken in two parts,
 * the upper one of ten bits, so that n times it is exact. */
static MLCC_INLINE v8f mlcc_v8_reduce(v8f x, v8f *n)
{
    const v8f shift = V8_SET(12582912.0f);
    *n = V8_FMA(x, V8_SET(1.442695041f), shift) - shift;
    const v8f r = V8_FMA(*n, V8_SET(2.12194440e-4f), V8_FMA(*n, V8_SET(-0.693359375f), x));
    v8f q = V8_SET(1.382300048e-3f);
    q = V8_FMA(q, r, V8_SET(8.368840441e-3f));
    q = V8_FMA(q, r, V8_SET(4.166824371e-2f));
    q = V8_FMA(q, r, V8_SET(1.666651964e-1f));
    q = V8_FMA(q, r, V8_SET(4.999999404e-1f));
    return V8_FMA(q, r * r, r);
}

/* Beyond the clamps the result is 0 or infinity anyway. */
static MLCC_INLINE v8f V8_EXP(v8f x)
{
    v8f n;
    x = V8_MIN(V8_MAX(x, V8_SET(-104.0f)), V8_SET(89.0f));
    const v8f p = mlcc_v8_reduce(x, &n) + V8_SET(1.0f);
    return mlcc_v8_scale(p, n);
}

/* exp(-a) is what is returned times *power, for |a| <= 64: -a = n ln 2 - u, and 1.5 * 2^23 + 127 leaves the exponent of 2^n in the low
 * bits of n. */
static MLCC_INLINE v8f mlcc_v8_decay(v8f a, v8f *power)
{
    const v8f shift = V8_SET(12583039.0f), m = V8_FMA(a, V8_SET(-1.442695041f), shift), n = m - shift;
    const v8f u = V8_FMA(n, V8_SET(-2.12194440e-4f), V8_FMA(n, V8_SET(0.693359375f), a));
    v8f p = V8_SET(1.382300048e-3f);
    p = V8_FMA(p, u, V8_SET(-8.368840441e-3f));
    p = V8_FMA(p, u, V8_SET(4.166824371e-2f));
    p = V8_FMA(p, u, V8_SET(-1.666651964e-1f));
    p = V8_FMA(p, u, V8_SET(4.999999404e-1f));
    p = V8_FMA(p, u, V8_SET(-1.0f));
    *power = (v8f)((v8u)m << 23);
    return V8_FMA(p, u, V8_SET(1.0f));
}

/* 1 / (1 + exp(-x)) with x held to -32..32: products of what is nearly nothing do not become subnormal, which is slow. */
static MLCC_INLINE v8f V8_SIGMOID(v8f x)
{
    v8f power;
    const v8f p = mlcc_v8_decay(V8_MIN(V8_MAX(x, V8_SET(-32.0f)), V8_SET(32.0f)), &power);
    const v8f d = V8_FMA(p, power, V8_SET(1.0f));
    return V8_SET(1.0f) / d;
}

/* e / (e + 2) with e = exp(2|x|) - 1 = 2^n (exp(r) - 1) + (2^n - 1); 1 from |x| = 9.05 on. */
static MLCC_INLINE v8f V8_TANH(v8f x)
{
    v8f n;
    const v8f a = V8_ABS(x), p = mlcc_v8_reduce(V8_MIN(a + a, V8_SET(18.1f)), &n);
    const v8f s = mlcc_v8_scale(V8_SET(1.0f), n), e = V8_FMA(s, p, s - V8_SET(1.0f));
    return V8_COPYSIGN(e / (e + V8_SET(2.0f)), x);
}

/* By eight pieces of 0..4 around multiples of 8/15, of degree six in r, by which |x| is beyond one: off by at most 1.2 ulp, with FMA. From 3.99 on
 * it is 1; 4 would begin a ninth. Otherwise |x| < 0.92: x + x p(x^2). Above: 1 - exp(-g(|x|)). */
#if MLCC_X86 && defined(__AVX2__) && defined(__FMA__)
static MLCC_INLINE v8f V8_ERF(v8f x)
{
    static const float table[7][8] = {
        {0.000000000e+00f, 5.492992401e-01f, 8.685719967e-01f, 9.763484001e-01f, 9.974470139e-01f, 9.998375773e-01f, 9.999939799e-01f, 9.999998808e-01f},
        {1.283791661e-01f, -1.509709656e-01f, -6.383196115e-01f, -9.127710462e-01f, -9.880894423e-01f, -9.990792274e-01f, -9.999597073e-01f, -9.999989867e-01f},
        {-7.351919749e-07f, -4.528141320e-01f, -3.857921362e-01f, -1.395672709e-01f, -2.540941536e-02f, -2.459756332e-03f, -1.302969613e-04f, -6.208267223e-06f},
        {-3.760843873e-01f, -1.220420301e-01f, 1.537279189e-01f, 1.198137701e-01f, 3.217243776e-02f, 4.055247176e-03f, 2.617882856e-04f, 7.848255336e-06f},
        {-7.473129663e-04f, 1.834004968e-01f, 4.661083594e-02f, -4.929129779e-02f, -2.584383078e-02f, -4.428774584e-03f, -3.277545038e-04f, 7.534556062e-05f},
        {1.185990050e-01f, -1.578566851e-03f, -6.449659914e-02f, -5.044805817e-03f, 1.220723893e-02f, 3.760160878e-03f, 4.133817565e-04f, 3.653345630e-05f},
        {-2.022689581e-02f, -4.701749235e-02f, 1.027361117e-02f, 1.524028182e-02f, -1.777333207e-03f, -3.556504846e-03f, -7.633761270e-04f, -8.547024336e-04f}};
    const v8f a = V8_MIN(V8_ABS(x), V8_SET(3.99f)), m = V8_FMA(a, V8_SET(15 / 8.0f), V8_SET(12582912.0f));
    const v8f r = V8_FMA(V8_SET(12582912.0f) - m, V8_SET(8 / 15.0f), a);
#define MLCC_PIECE(k) (v8f)_mm256_permutevar8x32_ps(_mm256_loadu_ps(table[k]), (__m256i)m)
    v8f p = MLCC_PIECE(6);
    p = V8_FMA(p, r, MLCC_PIECE(5));
    p = V8_FMA(p, r, MLCC_PIECE(4));
    p = V8_FMA(p, r, MLCC_PIECE(3));
    p = V8_FMA(p, r, MLCC_PIECE(2));
    p = V8_FMA(p, r, MLCC_PIECE(1));
    p = V8_FMA(p, r, r) + MLCC_PIECE(0);
    return V8_COPYSIGN(p, x);
#undef MLCC_PIECE
}
#else
static MLCC_INLINE v8f V8_ERF(v8f x)
{
    const v8f a = V8_MIN(V8_ABS(x), V8_SET(4.0f)), s = a * a;
    v8f p = V8_SET(8.330975106e-5f);
    p = V8_FMA(p, s, V8_SET(-8.131411159e-4f));
    p = V8_FMA(p, s, V8_SET(5.199781619e-3f));
    p = V8_FMA(p, s, V8_SET(-2.685873583e-2f));
    p = V8_FMA(p, s, V8_SET(1.128367856e-1f));
    p = V8_FMA(p, s, V8_SET(-3.761263192e-1f));
    p = V8_FMA(p, s, V8_SET(1.283791661e-1f));
    v8f g = V8_SET(-1.959337678e-4f);
    g = V8_FMA(g, a, V8_SET(3.043195233e-3f));
    g = V8_FMA(g, a, V8_SET(-2.222687192e-2f));
    g = V8_FMA(g, a, V8_SET(1.039315611e-1f));
    g = V8_FMA(g, a, V8_SET(6.371822357e-1f));
    g = V8_FMA(g, a, V8_SET(1.127675653f));
    g = V8_FMA(g, a, V8_SET(1.956670894e-4f));
    v8f power;
    const v8f q = mlcc_v8_decay(g, &power), small = V8_FMA(a, p, a), large = V8_FMA(V8_NEG(q), power, V8_SET(1.0f));
    return V8_COPYSIGN(V8_SEL((v8i)(a < V8_SET(0.92f)), small, large), x);
}
#endif

static MLCC_INLINE v8f V8_SIGMOIDB(v8f x) { return V8_SIGMOID(x); }

static MLCC_INLINE v8f V8_ERFB(v8f x) { return V8_ERF(x); }

/* By eight pieces of 0..4 around multiples of 8/15, of degree four in |x|: off by 5.7e-6. From 3.99 on it is 1; 4 would begin a ninth. */
#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE v8f V8_ERFQ(v8f x)
{
    static const float table[5][8] = {
        {0.000000000e+00f, 6.739551318e-04f, -7.394260168e-02f, -3.204291761e-01f, -6.326496601e-03f, 6.516429782e-01f, 9.449700117e-01f, 9.958353639e-01f},
        {1.128342628e+00f, 1.119491696e+00f, 1.457580209e+00f, 2.227824450e+00f, 1.586662650e+00f, 4.752820134e-01f, 6.478514522e-02f, 4.280343186e-03f},
        {1.347966609e-03f, 4.694217816e-02f, -5.324982405e-01f, -1.441043496e+00f, -9.500342607e-01f, -2.443792075e-01f, -2.866018750e-02f, -1.651207451e-03f},
        {-3.916069269e-01f, -5.023556352e-01f, -5.633450672e-02f, 4.228804410e-01f, 2.556904256e-01f, 5.609343946e-02f, 5.645513535e-03f, 2.833313483e-04f},
        {7.055296749e-02f, 1.782162338e-01f, 4.789074510e-02f, -4.742252827e-02f, -2.606640011e-02f, -4.847231787e-03f, -4.177131632e-04f, -1.824462925e-05f}};
    const v8f a = V8_MIN(V8_ABS(x), V8_SET(3.99f)), m = V8_FMA(a, V8_SET(15 / 8.0f), V8_SET(12582912.0f));
#define MLCC_PIECE(k) (v8f)_mm256_permutevar8x32_ps(_mm256_loadu_ps(table[k]), (__m256i)m)
    v8f p = MLCC_PIECE(4);
    p = V8_FMA(p, a, MLCC_PIECE(3));
    p = V8_FMA(p, a, MLCC_PIECE(2));
    p = V8_FMA(p, a, MLCC_PIECE(1));
    p = V8_FMA(p, a, MLCC_PIECE(0));
    return V8_COPYSIGN(p, x);
#undef MLCC_PIECE
}
#else
static MLCC_INLINE v8f V8_ERFQ(v8f x) { return V8_ERF(x); }
#endif

/* x = 2^e (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2): e ln 2 + f - f^2/2 + f^3 p(f). */
static MLCC_INLINE v8f V8_LOG(v8f x)
{
    const v8i tiny = (v8i)(x < V8_SET(1.17549435e-38f));
    const v8u u = (v8u)V8_SEL(tiny, x * V8_SET(8388608.0f), x);
    const v8i e = (v8i)(u - 0x3f3504f3u) >> 23;
    const v8f k = V8_ITOF(e) - (v8f)(tiny & (v8i)V8_SET(23.0f));
    const v8f f = (v8f)(u - ((v8u)e << 23)) - V8_SET(1.0f), f2 = f * f;
    v8f p = V8_SET(-7.637470961e-2f);
    p = V8_FMA(p, f, V8_SET(1.276273131e-1f));
    p = V8_FMA(p, f, V8_SET(-1.315947175e-1f));
    p = V8_FMA(p, f, V8_SET(1.420150101e-1f));
    p = V8_FMA(p, f, V8_SET(-1.662341356e-1f));
    p = V8_FMA(p, f, V8_SET(2.000124454e-1f));
    p = V8_FMA(p, f, V8_SET(-2.500081956e-1f));
    p = V8_FMA(p, f, V8_SET(3.333333135e-1f));
    v8f y = V8_FMA(k, V8_SET(-2.12194440e-4f), f2 * f * p);
    y = f + V8_FMA(f2, V8_SET(-0.5f), y);
    y = V8_FMA(k, V8_SET(0.693359375f), y);
    y = V8_SEL((v8i)(x < V8_SET(INFINITY)), y, x);
    y = V8_SEL((v8i)(x == V8_SET(0.0f)), V8_SET(-INFINITY), y);
    return V8_SEL((v8i)(x < V8_SET(0.0f)), V8_SET(NAN), y);
}

/* log(1 + x) from what rounding of the sum w takes away, c: log(w) + c/w. */
static MLCC_INLINE v8f V8_LOG1P(v8f x)
{
    const v8f one = V8_SET(1.0f), w = one + x, y = V8_LOG(w), c = (x - (w - one)) / w;
    return V8_SEL((v8i)(w == one), x, V8_SEL((v8i)(c == c), y + c, y));
}

/* Lanes 0..3 and 4..7 as doubles, and back. */
#if MLCC_X86 && defined(__AVX__)
static MLCC_INLINE v8d mlcc_v8_low(v8f a) { return (v8d)_mm256_cvtps_pd(_mm256_castps256_ps128((__m256)a)); }
static MLCC_INLINE v8d mlcc_v8_high(v8f a) { return (v8d)_mm256_cvtps_pd(_mm256_extractf128_ps((__m256)a, 1)); }
static MLCC_INLINE v8f mlcc_v8_float(v8d low, v8d high)
{
    return (v8f)_mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps((__m256d)low)), _mm256_cvtpd_ps((__m256d)high), 1);
}
#else
static MLCC_INLINE v8d mlcc_v8_low(v8f a) { return (v8d){a[0], a[1], a[2], a[3]}; }
static MLCC_INLINE v8d mlcc_v8_high(v8f a) { return (v8d){a[4], a[5], a[6], a[7]}; }
static MLCC_INLINE v8f mlcc_v8_float(v8d low, v8d high)
{
    v8f y = {0};
    for (int i = 0; i < 4; i++) {
        y[i] = (float)low[i];
        y[i + 4] = (float)high[i];
    }
    return y;
}
#endif

#if MLCC_X86 && defined(__AVX__) && defined(__FMA__)
static MLCC_INLINE v8d mlcc_v8_fma_d(v8d a, v8d b, v8d c) { return (v8d)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c); }
#else
static MLCC_INLINE v8d mlcc_v8_fma_d(v8d a, v8d b, v8d c) { return a * b + c; }
#endif

/* a held to -1000..1000. */
#if MLCC_X86 && defined(__AVX__)
static MLCC_INLINE v8d mlcc_v8_hold_d(v8d a)
{
    return (v8d)_mm256_min_pd(_mm256_set1_pd(1000.0), _mm256_max_pd(_mm256_set1_pd(-1000.0), (__m256d)a));
}
#else
static MLCC_INLINE v8d mlcc_v8_hold_d(v8d a)
{
    for (int i = 0; i < 4; i++)
        a[i] = a[i] > 1000.0 ? 1000.0 : a[i] < -1000.0 ? -1000.0 : a[i];
    return a;
}
#endif

#if MLCC_X86 && defined(__AVX__)
static MLCC_INLINE int mlcc_v8_any(v8i m) { return _mm256_movemask_ps((__m256)m) != 0; }
#else
static MLCC_INLINE int mlcc_v8_any(v8i m)
{
    int any = 0;
    for (int i = 0; i < 8; i++)
        any |= m[i];
    return any != 0;
}
#endif

static MLCC_INLINE v8d mlcc_v8_set_d(double x) { return (v8d){0} + x; }

/* x = n pi/2 + r with integral n and |r| < 0.786, for |x| <= 8192: returns r, and n in the low bits of *n. The first part of pi/2 has 33 bits,
 * so that n times it is exact. */
static MLCC_INLINE v8d mlcc_v8_turn_d(v8d x, v8d n)
{
    return mlcc_v8_fma_d(n, mlcc_v8_set_d(-6.077100506506192e-11), mlcc_v8_fma_d(n, mlcc_v8_set_d(-1.5707963267341256), x));
}

static MLCC_INLINE v8f mlcc_v8_turn(v8f x, v8u *n)
{
    const v8f shift = V8_SET(12582912.0f), m = V8_FMA(x, V8_SET(0.6366197724f), shift), k = m - shift;
    *n = (v8u)m;
    return mlcc_v8_float(mlcc_v8_turn_d(mlcc_v8_low(x), mlcc_v8_low(k)), mlcc_v8_turn_d(mlcc_v8_high(x), mlcc_v8_high(k)));
}

/* sin(r + n pi/2): the sine or the cosine of r, with the sign of the quadrant. */
static MLCC_INLINE v8f mlcc_v8_wave(v8f r, v8u n)
{
    const v8f s = r * r;
    v8f p = V8_SET(-1.951789512e-4f), q = V8_SET(2.443233097e-5f);
    p = V8_FMA(p, s, V8_SET(8.332187310e-3f));
    q = V8_FMA(q, s, V8_SET(-1.388730947e-3f));
    p = V8_FMA(p, s, V8_SET(-1.666665524e-1f));
    q = V8_FMA(q, s, V8_SET(4.166664556e-2f));
    const v8f sine = V8_COPYSIGN(V8_FMA(p, s * r, r), r), cosine = V8_FMA(q, s * s, V8_FMA(s, V8_SET(-0.5f), V8_SET(1.0f)));
    const v8i turned = (v8i)(n << 31) >> 31;
    return (v8f)((v8u)V8_SEL(turned, cosine, sine) ^ (n & 2u) << 30);
}

static MLCC_INLINE v8f V8_SIN(v8f x)
{
    v8u n;
    if (MLCC_SELDOM(mlcc_v8_any(~(v8i)(V8_ABS(x) <= V8_SET(8192.0f)))))
        return V8_EACH(sinf, x);
    const v8f r = mlcc_v8_turn(x, &n);
    return mlcc_v8_wave(r, n);
}

static MLCC_INLINE v8f V8_COS(v8f x)
{
    v8u n;
    if (MLCC_SELDOM(mlcc_v8_any(~(v8i)(V8_ABS(x) <= V8_SET(8192.0f)))))
        return V8_EACH(cosf, x);
    const v8f r = mlcc_v8_turn(x, &n);
    return mlcc_v8_wave(r, n + 1u);
}

/* t + t^3 p(t^2) with t = |x|, from 1 on pi/2 and t = -1/|x|. */
static MLCC_INLINE v8f V8_ATAN(v8f x)
{
    const v8f a = V8_MIN(V8_ABS(x), V8_SET(1e9f)), one = V8_SET(1.0f);
    const v8i large = (v8i)(a > one);
    const v8f t = V8_SEL(large, V8_SET(-1.0f) / a, a), s = t * t;
    v8f p = V8_SET(-1.782820676e-3f);
    p = V8_FMA(p, s, V8_SET(1.086868532e-2f));
    p = V8_FMA(p, s, V8_SET(-3.109698556e-2f));
    p = V8_FMA(p, s, V8_SET(5.788138881e-2f));
    p = V8_FMA(p, s, V8_SET(-8.399306238e-2f));
    p = V8_FMA(p, s, V8_SET(1.095088050e-1f));
    p = V8_FMA(p, s, V8_SET(-1.426401585e-1f));
    p = V8_FMA(p, s, V8_SET(1.999852955e-1f));
    p = V8_FMA(p, s, V8_SET(-3.333329856e-1f));
    const v8f y = V8_FMA(p, s * t, t) + (v8f)(large & (v8i)V8_SET(1.570796371f));
    return V8_COPYSIGN(y, x);
}

/* 2^(y log2(x)) for finite x > 0, held to 2^-1000..2^1000. x = 2^e (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2): log2(x) = e + f p(f); 1.5 * 2^52
 * leaves the whole part of the exponent in the low bits. */
static MLCC_INLINE v8d mlcc_v8_pow_d(v8d x, v8d y)
{
    const v8uq u = (v8uq)x, t = u - 0x3fe6a09e667f3bcdu + 0x3ff0000000000000u, e = t >> 52;
    const v8d k = (v8d)(e | 0x4330000000000000u) - mlcc_v8_set_d(4503599627371519.0);
    const v8d f = (v8d)(u - (e << 52) + 0x3ff0000000000000u) - mlcc_v8_set_d(1.0), shift = mlcc_v8_set_d(6755399441055744.0);
    v8d p = mlcc_v8_set_d(-0.08634597289516496);
    p = mlcc_v8_fma_d(p, f, mlcc_v8_set_d(0.15485751517088084));
    p = mlcc_v8_fma_d(p, f, mlcc_v8_set_d(-0.15698226398520182));
    p = mlcc_v8_fma_d(p, f, mlcc_v8_set_d(0.15900150080015654));
    p = mlcc_v8_fma_d(p, f, mlcc_v8_set_d(-0.17904695245786267));
    p = mlcc_v8_fma_d(p, f, mlcc_v8_set_d(0.20609625591113376));
    p = mlcc_v8_fma_d(p, f, mlcc_v8_set_d(-0.24050417410027927));
    p = mlcc_v8_fma_d(p, f, mlcc_v8_set_d(0.28854064357518505));
    p = mlcc_v8_fma_d(p, f, mlcc_v8_set_d(-0.36067280054742507));
    p = mlcc_v8_fma_d(p, f, mlcc_v8_set_d(0.480898320729169));
    p = mlcc_v8_fma_d(p, f, mlcc_v8_set_d(-0.7213475252132093));
    p = mlcc_v8_fma_d(p, f, mlcc_v8_set_d(1.4426950409393464));
    const v8d z = mlcc_v8_hold_d(y * mlcc_v8_fma_d(p, f, k)), n = z + shift, r = z - (n - shift);
    v8d q = mlcc_v8_set_d(1.5345811559391718e-4);
    q = mlcc_v8_fma_d(q, r, mlcc_v8_set_d(1.3399931214872365e-3));
    q = mlcc_v8_fma_d(q, r, mlcc_v8_set_d(9.618488958737214e-3));
    q = mlcc_v8_fma_d(q, r, mlcc_v8_set_d(5.550328776977668e-2));
    q = mlcc_v8_fma_d(q, r, mlcc_v8_set_d(0.24022646890619365));
    q = mlcc_v8_fma_d(q, r, mlcc_v8_set_d(0.6931472057372593));
    q = mlcc_v8_fma_d(q, r, mlcc_v8_set_d(1.0000000005541672));
    return (v8d)((v8uq)q + ((v8uq)n << 52));
}

/* In doubles of |x|; then what zeros, infinities and NaN give, and the sign: that of x where y is odd (C, F.10.4.4). */
static MLCC_INLINE v8f V8_POW(v8f x, v8f y)
{
    const v8f a = V8_ABS(x), half = y * V8_SET(0.5f), none = V8_SET(0.0f), one = V8_SET(1.0f), most = V8_SET(INFINITY);
    const v8f p = mlcc_v8_float(mlcc_v8_pow_d(mlcc_v8_low(a), mlcc_v8_low(y)), mlcc_v8_pow_d(mlcc_v8_high(a), mlcc_v8_high(y)));
    const v8i whole = (v8i)(V8_RINT(y) == y), odd = whole & (v8i)(V8_RINT(half) != half);
    const v8i endless = (v8i)(a == most), up = ~(endless ^ (v8i)(y > none));
    const v8f r = V8_SEL((v8i)(a == none) | endless, (v8f)(up & (v8i)most), p);
    const v8f s = (v8f)((v8i)r | (odd & (v8i)x & (v8i)V8_SET(-0.0f)));
    const v8i wrong = (v8i)(x < none) & ~whole & ~endless, is_one = (v8i)(y == none) | (v8i)(x == one) | ((v8i)(a == one) & (v8i)(V8_ABS(y) == most));
    const v8f n = V8_SEL(wrong, V8_SET(NAN), V8_SEL((v8i)(x != x) | (v8i)(y != y), x + y, s));
    return V8_SEL(is_one, one, n);
}

#endif

/* SPDX-License-Identifier: 0BSD
 *
 * 4 lanes of the vector dialect; mlcc_vec.h says what each operation means. The widths are written out, not made by
 * macros, because emitted files carry the functions that they use and people read them there; one test holds all widths
 * to the same results. Where there is no instruction they go lane by lane.
 *
 * Functions: range reduction, then a polynomial fitted to minimise the largest relative error (Lawson's iteration on
 * Chebyshev nodes, coefficients rounded to float one by one); the fit's own error is below 2^-27 everywhere.
 */
#ifndef MLCC_VEC4_H
#define MLCC_VEC4_H

/* Vectors wider than the registers are passed to functions that are always inlined, so the calling convention that
 * -Wpsabi is about does not matter. */
#pragma GCC diagnostic ignored "-Wpsabi"
typedef float v4f __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t v4i __attribute__((vector_size(16), aligned(4), may_alias));
typedef uint32_t v4u __attribute__((vector_size(16), aligned(4), may_alias));
typedef int64_t v4q __attribute__((vector_size(16), aligned(8), may_alias));
typedef uint64_t v4uq __attribute__((vector_size(16), aligned(8), may_alias));
typedef double v4d __attribute__((vector_size(16), aligned(8), may_alias));

typedef uint16_t v4h __attribute__((vector_size(8), aligned(2), may_alias));

typedef int8_t v4b __attribute__((vector_size(4), aligned(1), may_alias));

typedef uint8_t v4c __attribute__((vector_size(4), aligned(1), may_alias));

static MLCC_INLINE v4f V4_SET(float x) { return (v4f){x, x, x, x}; }

static MLCC_INLINE v4i V4_ISET(int32_t x) { return (v4i){x, x, x, x}; }

/* Barriers: only where one register holds the vector. */
#if MLCC_X86 || MLCC_NEON
#define V4_KEEP(v) __asm__("" : MLCC_REG(v))
#define V4_PIN(v) __asm__ volatile("" : MLCC_REG(v))
#else
#define V4_KEEP(v) ((void)(v))
#define V4_PIN(v) ((void)(v))
#endif

#define V4_FENCE() V1_FENCE()

static MLCC_INLINE v4f V4_LD(const float *p) { return *(const v4f *)(const void *)p; }

static MLCC_INLINE void V4_ST(float *p, v4f v) { *(v4f *)(void *)p = v; }

static MLCC_INLINE v4f V4_ADD(v4f a, v4f b) { return a + b; }

static MLCC_INLINE v4f V4_SUB(v4f a, v4f b) { return a - b; }

static MLCC_INLINE v4f V4_MUL(v4f a, v4f b) { return a * b; }

static MLCC_INLINE v4f V4_DIV(v4f a, v4f b) { return a / b; }

static MLCC_INLINE v4i V4_EQ(v4f a, v4f b) { return (v4i)(a == b); }

static MLCC_INLINE v4i V4_NE(v4f a, v4f b) { return (v4i)(a != b); }

static MLCC_INLINE v4i V4_LT(v4f a, v4f b) { return (v4i)(a < b); }

static MLCC_INLINE v4i V4_LE(v4f a, v4f b) { return (v4i)(a <= b); }

static MLCC_INLINE v4i V4_GT(v4f a, v4f b) { return (v4i)(a > b); }

static MLCC_INLINE v4i V4_GE(v4f a, v4f b) { return (v4i)(a >= b); }

static MLCC_INLINE v4f V4_EACH(float (*f)(float), v4f a)
{
    for (int i = 0; i < 4; i++)
        a[i] = f(a[i]);
    return a;
}

static MLCC_INLINE v4f V4_EACH2(float (*f)(float, float), v4f a, v4f b)
{
    for (int i = 0; i < 4; i++)
        a[i] = f(a[i], b[i]);
    return a;
}

static MLCC_INLINE v4i V4_ILD(const int32_t *p) { return *(const v4i *)(const void *)p; }

static MLCC_INLINE void V4_IST(int32_t *p, v4i v) { *(v4i *)(void *)p = v; }

static MLCC_INLINE v4i V4_IADD(v4i a, v4i b) { return (v4i)((v4u)a + (v4u)b); }

static MLCC_INLINE v4i V4_ISUB(v4i a, v4i b) { return (v4i)((v4u)a - (v4u)b); }

static MLCC_INLINE v4i V4_IMUL(v4i a, v4i b) { return (v4i)((v4u)a * (v4u)b); }

static MLCC_INLINE v4f V4_ITOF(v4i a) { return __builtin_convertvector(a, v4f); }

#if MLCC_NEON
static MLCC_INLINE uint8x8_t mlcc_v4_bytes(const void *p)
{
    uint32_t q;
    memcpy(&q, p, sizeof q);
    return vcreate_u8(q);
}
static MLCC_INLINE v4i V4_LDI8(const int8_t *p) { return (v4i)vmovl_s16(vget_low_s16(vmovl_s8((int8x8_t)mlcc_v4_bytes(p)))); }
static MLCC_INLINE v4i V4_LDU8(const uint8_t *p) { return (v4i)vmovl_u16(vget_low_u16(vmovl_u8(mlcc_v4_bytes(p)))); }
#else
static MLCC_INLINE v4i V4_LDI8(const int8_t *p)
{
    return __builtin_convertvector(*(const v4b *)(const void *)p, v4i);
}
static MLCC_INLINE v4i V4_LDU8(const uint8_t *p)
{
    return __builtin_convertvector(*(const v4c *)(const void *)p, v4i);
}
#endif

static MLCC_INLINE v4f V4_SEL(v4i m, v4f a, v4f b) { return (v4f)((m & (v4i)a) | (~m & (v4i)b)); }

static MLCC_INLINE v4f V4_ABS(v4f a) { return (v4f)((v4i)a & V4_ISET(INT32_MAX)); }

static MLCC_INLINE v4f V4_NEG(v4f a) { return (v4f)((v4i)a ^ V4_ISET(INT32_MIN)); }

static MLCC_INLINE v4f V4_COPYSIGN(v4f a, v4f s)
{
    const v4i sign = V4_ISET(INT32_MIN);
    return (v4f)(((v4i)a & ~sign) | ((v4i)s & sign));
}

#if MLCC_X86
static MLCC_INLINE v4f V4_MAX(v4f a, v4f b) { return (v4f)_mm_max_ps((__m128)b, (__m128)a); }
#else
static MLCC_INLINE v4f V4_MAX(v4f a, v4f b)
{
    const v4i m = (v4i)(b > a);
    return (v4f)((m & (v4i)b) | (~m & (v4i)a));
}
#endif

#if MLCC_X86
static MLCC_INLINE v4f V4_MIN(v4f a, v4f b) { return (v4f)_mm_min_ps((__m128)b, (__m128)a); }
#else
static MLCC_INLINE v4f V4_MIN(v4f a, v4f b)
{
    const v4i m = (v4i)(b < a);
    return (v4f)((m & (v4i)b) | (~m & (v4i)a));
}
#endif

#if MLCC_X86 && defined(__FMA__)
static MLCC_INLINE v4f V4_FMA(v4f a, v4f b, v4f c) { return (v4f)_mm_fmadd_ps((__m128)a, (__m128)b, (__m128)c); }
#elif MLCC_NEON
static MLCC_INLINE v4f V4_FMA(v4f a, v4f b, v4f c)
{
    return (v4f)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
#else
static MLCC_INLINE v4f V4_FMA(v4f a, v4f b, v4f c) { return a * b + c; }
#endif

/* Rounded once on every machine. */
#if (MLCC_X86 && defined(__FMA__)) || MLCC_NEON
static MLCC_INLINE v4f V4_FUSED(v4f a, v4f b, v4f c) { return V4_FMA(a, b, c); }
#else
static MLCC_INLINE v4f V4_FUSED(v4f a, v4f b, v4f c)
{
    for (int i = 0; i < 4; i++)
        c[i] = fmaf(a[i], b[i], c[i]);
    return c;
}
#endif

static MLCC_INLINE v4i V4_BITS(v4f a) { return (v4i)a; }
static MLCC_INLINE v4f V4_FBITS(v4i a) { return (v4f)a; }

static MLCC_INLINE v4f V4_SIGN(v4f a)
{
    const v4i one = (v4i)V4_SET(1.0f), above = (v4i)(a > V4_SET(0.0f)), below = (v4i)(a < V4_SET(0.0f));
    return V4_SEL((v4i)(a == a), (v4f)(above & one) - (v4f)(below & one), a);
}

#if MLCC_X86
static MLCC_INLINE v4f V4_SQRT(v4f a) { return (v4f)_mm_sqrt_ps((__m128)a); }
#elif MLCC_NEON
static MLCC_INLINE v4f V4_SQRT(v4f a) { return (v4f)vsqrtq_f32((float32x4_t)a); }
#else
static MLCC_INLINE v4f V4_SQRT(v4f a)
{
    for (int i = 0; i < 4; i++)
        a[i] = sqrtf(a[i]);
    return a;
}
#endif

#if MLCC_X86 && defined(__SSE4_1__)
static MLCC_INLINE v4f V4_FLOOR(v4f a)
{
    return (v4f)_mm_round_ps((__m128)a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
#elif MLCC_NEON
static MLCC_INLINE v4f V4_FLOOR(v4f a) { return (v4f)vrndmq_f32((float32x4_t)a); }
#else
static MLCC_INLINE v4f V4_FLOOR(v4f a)
{
    for (int i = 0; i < 4; i++)
        a[i] = floorf(a[i]);
    return a;
}
#endif

#if MLCC_X86 && defined(__SSE4_1__)
static MLCC_INLINE v4f V4_CEIL(v4f a)
{
    return (v4f)_mm_round_ps((__m128)a, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
}
#elif MLCC_NEON
static MLCC_INLINE v4f V4_CEIL(v4f a) { return (v4f)vrndpq_f32((float32x4_t)a); }
#else
static MLCC_INLINE v4f V4_CEIL(v4f a)
{
    for (int i = 0; i < 4; i++)
        a[i] = ceilf(a[i]);
    return a;
}
#endif

#if MLCC_X86 && defined(__SSE4_1__)
static MLCC_INLINE v4f V4_RINT(v4f a)
{
    return (v4f)_mm_round_ps((__m128)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
#elif MLCC_NEON
static MLCC_INLINE v4f V4_RINT(v4f a) { return (v4f)vrndnq_f32((float32x4_t)a); }
#else
static MLCC_INLINE v4f V4_RINT(v4f a)
{
    for (int i = 0; i < 4; i++)
        a[i] = rintf(a[i]);
    return a;
}
#endif

#if MLCC_X86 && defined(__SSE4_1__)
static MLCC_INLINE v4f V4_TRUNC(v4f a) { return (v4f)_mm_round_ps((__m128)a, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
#elif MLCC_NEON
static MLCC_INLINE v4f V4_TRUNC(v4f a) { return (v4f)vrndq_f32((float32x4_t)a); }
#else
static MLCC_INLINE v4f V4_TRUNC(v4f a)
{
    for (int i = 0; i < 4; i++)
        a[i] = truncf(a[i]);
    return a;
}
#endif

#if MLCC_X86 && defined(__AVX__)
static MLCC_INLINE __m128i mlcc_v4_first(int n) { return (__m128i)((v4i){0, 1, 2, 3} < V4_ISET(n)); }
static MLCC_INLINE v4f V4_LDN(const float *p, int n) { return (v4f)_mm_maskload_ps(p, mlcc_v4_first(n)); }
static MLCC_INLINE void V4_STN(float *p, v4f v, int n) { _mm_maskstore_ps(p, mlcc_v4_first(n), (__m128)v); }
#else
static MLCC_INLINE v4f V4_LDN(const float *p, int n)
{
    v4f v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i];
    return v;
}
static MLCC_INLINE void V4_STN(float *p, v4f v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = v[i];
}
#endif

static MLCC_INLINE v4f V4_GATHER(const float *p, ptrdiff_t s, int n)
{
    v4f v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i * s];
    return v;
}

static MLCC_INLINE void V4_SCATTER(float *p, ptrdiff_t s, v4f v, int n)
{
    for (int i = 0; i < n; i++)
        p[i * s] = v[i];
}

static MLCC_INLINE v4f V4_MAXN(v4f a, v4f b)
{
    return V4_SEL((v4i)(b != b), b, V4_MAX(a, b));
}

static MLCC_INLINE v4f V4_MINN(v4f a, v4f b)
{
    return V4_SEL((v4i)(b != b), b, V4_MIN(a, b));
}

static MLCC_INLINE float V4_HSUM(v4f v) { return (v[0] + v[2]) + (v[1] + v[3]); }

#if MLCC_X86
static MLCC_INLINE v4f V4_SUMS(v4f a, v4f b, v4f c, v4f d)
{
    const __m128 p = (__m128)((v4f)_mm_movelh_ps((__m128)a, (__m128)b) + (v4f)_mm_movehl_ps((__m128)b, (__m128)a));
    const __m128 q = (__m128)((v4f)_mm_movelh_ps((__m128)c, (__m128)d) + (v4f)_mm_movehl_ps((__m128)d, (__m128)c));
    return (v4f)_mm_shuffle_ps(p, q, 0x88) + (v4f)_mm_shuffle_ps(p, q, 0xdd);
}
#else
static MLCC_INLINE v4f V4_SUMS(v4f a, v4f b, v4f c, v4f d)
{
    const v4f p = (v4f){a[0], a[1], b[0], b[1]} + (v4f){a[2], a[3], b[2], b[3]};
    const v4f q = (v4f){c[0], c[1], d[0], d[1]} + (v4f){c[2], c[3], d[2], d[3]};
    return (v4f){p[0], p[2], q[0], q[2]} + (v4f){p[1], p[3], q[1], q[3]};
}
#endif

static MLCC_INLINE v4f V4_SET2(const float *p) { return (v4f){p[0], p[1], p[0], p[1]}; }

static MLCC_INLINE v4f V4_TWINS(v4f a, v4f b) { return (v4f){a[0] + a[1], a[2] + a[3], b[0] + b[1], b[2] + b[3]}; }

static MLCC_INLINE float V4_HPROD(v4f v) { return (v[0] * v[2]) * (v[1] * v[3]); }

static MLCC_INLINE float V4_HMAX(v4f v) { return mlcc_max_f32(mlcc_max_f32(v[0], v[2]), mlcc_max_f32(v[1], v[3])); }

static MLCC_INLINE float V4_HMIN(v4f v) { return mlcc_min_f32(mlcc_min_f32(v[0], v[2]), mlcc_min_f32(v[1], v[3])); }

#if MLCC_NEON
static MLCC_INLINE v4i V4_FTOI(v4f a) { return (v4i)vcvtq_s32_f32((float32x4_t)a); }
#else
static MLCC_INLINE v4i V4_FTOI(v4f a)
{
    const v4i low = (v4i)(a < V4_SET(-0x1p31f)), high = (v4i)(a >= V4_SET(0x1p31f));
    const v4i in = (v4i)(a == a) & ~low & ~high;
    const v4i i = __builtin_convertvector((v4f)((v4i)a & in), v4i);
    return i | (low & V4_ISET(INT32_MIN)) | (high & V4_ISET(INT32_MAX));
}
#endif

#if MLCC_FUSED
static MLCC_INLINE v4f V4_DIVS(v4f a, float s)
{
    const v4f y = V4_SET(1.0f / s), q = a * y, p = V4_FMA(V4_FMA(-q, V4_SET(s), a), y, q);
    if (!mlcc_has_inverse(s))
        return a / V4_SET(s);
    return V4_SEL((v4i)(p < V4_SET(0.0f)) | (v4i)(p > V4_SET(0.0f)), p, q);
}
#else
static MLCC_INLINE v4f V4_DIVS(v4f a, float s) { return a / V4_SET(s); }
#endif

/* SAT<T>(FTOI(a)): what is clamped first is in range. NaN is 0. */
static MLCC_INLINE v4i V4_FTOU8(v4f a)
{
    return __builtin_convertvector(V4_MIN(V4_SET(255.0f), V4_MAX(V4_SET(0.0f), a)), v4i);
}

static MLCC_INLINE v4i V4_FTOI8(v4f a)
{
    const v4f number = (v4f)((v4i)a & (v4i)(a == a));
    return __builtin_convertvector(V4_MIN(V4_SET(127.0f), V4_MAX(V4_SET(-128.0f), number)), v4i);
}

/* The same of RINT(a). */
static MLCC_INLINE v4i V4_RTOU8(v4f a) { return V4_FTOU8(V4_RINT(a)); }

static MLCC_INLINE v4i V4_RTOI8(v4f a) { return V4_FTOI8(V4_RINT(a)); }

#if MLCC_NEON
static MLCC_INLINE v4f V4_LDBF(const uint16_t *p) { return (v4f)vshll_n_u16(vld1_u16(p), 16); }
#else
static MLCC_INLINE v4f V4_LDBF(const uint16_t *p)
{
    const v4u u = __builtin_convertvector(*(const v4h *)(const void *)p, v4u);
    return (v4f)(u << 16);
}
#endif

/* bfloat16 in the low half of each lane. */
static MLCC_INLINE v4u mlcc_v4_bf(v4f v)
{
    const v4u u = (v4u)v, up = (u + 0x7fff + (u >> 16 & 1)) >> 16, quiet = u >> 16 | 0x40;
    const v4u nan = (v4u)(v != v);
    return (nan & quiet) | (~nan & up);
}

#if MLCC_NEON && defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
static MLCC_INLINE void V4_STBF(uint16_t *p, v4f v) { vst1_u16(p, (uint16x4_t)vcvt_bf16_f32((float32x4_t)v)); }
#else
static MLCC_INLINE void V4_STBF(uint16_t *p, v4f v) { *(v4h *)(void *)p = __builtin_convertvector(mlcc_v4_bf(v), v4h); }
#endif

static MLCC_INLINE void V4_STBFZ(uint16_t *p, v4f v) { V4_STBF(p, v); }

/* p * 2^n for integral -252 <= n <= 252: by two factors, so that neither leaves the range of float. Adding 1.5 * 2^23
 * brings an integer to the low bits. */
static MLCC_INLINE v4f mlcc_v4_scale(v4f p, v4f n)
{
    const v4i i = (v4i)((v4u)(n + V4_SET(12582912.0f)) - 0x4b400000u), half = i >> 1;
    const v4f a = (v4f)((v4u)(half + 127) << 23), b = (v4f)((v4u)(i - half + 127) << 23);
    return p * a * b;
}

/* x = n ln 2 + r with integral n and |r| <= ln 2 / 2: returns r + r^2 q(r) = exp(r) - 1. ln 2 is taken in two parts,
 * the upper one of ten bits, so that n times it is exact. */
static MLCC_INLINE v4f mlcc_v4_reduce(v4f x, v4f *n)
{
    const v4f shift = V4_SET(12582912.0f);
    *n = V4_FMA(x, V4_SET(1.442695041f), shift) - shift;
    const v4f r = V4_FMA(*n, V4_SET(2.12194440e-4f), V4_FMA(*n, V4_SET(-0.693359375f), x));
    v4f q = V4_SET(1.382300048e-3f);
    q = V4_FMA(q, r, V4_SET(8.368840441e-3f));
    q = V4_FMA(q, r, V4_SET(4.166824371e-2f));
    q = V4_FMA(q, r, V4_SET(1.666651964e-1f));
    q = V4_FMA(q, r, V4_SET(4.999999404e-1f));
    return V4_FMA(q, r * r, r);
}

/* Beyond the clamps the result is 0 or infinity anyway. */
static MLCC_INLINE v4f V4_EXP(v4f x)
{
    v4f n;
    x = V4_MIN(V4_MAX(x, V4_SET(-104.0f)), V4_SET(89.0f));
    const v4f p = mlcc_v4_reduce(x, &n) + V4_SET(1.0f);
    return mlcc_v4_scale(p, n);
}

/* exp(-a) is what is returned times *power, for |a| <= 64: -a = n ln 2 - u, and 1.5 * 2^23 + 127 leaves the exponent of 2^n in the low
 * bits of n. */
static MLCC_INLINE v4f mlcc_v4_decay(v4f a, v4f *power)
{
    const v4f shift = V4_SET(12583039.0f), m = V4_FMA(a, V4_SET(-1.442695041f), shift), n = m - shift;
    const v4f u = V4_FMA(n, V4_SET(-2.12194440e-4f), V4_FMA(n, V4_SET(0.693359375f), a));
    v4f p = V4_SET(1.382300048e-3f);
    p = V4_FMA(p, u, V4_SET(-8.368840441e-3f));
    p = V4_FMA(p, u, V4_SET(4.166824371e-2f));
    p = V4_FMA(p, u, V4_SET(-1.666651964e-1f));
    p = V4_FMA(p, u, V4_SET(4.999999404e-1f));
    p = V4_FMA(p, u, V4_SET(-1.0f));
    *power = (v4f)((v4u)m << 23);
    return V4_FMA(p, u, V4_SET(1.0f));
}

/* 1 / (1 + exp(-x)) with x held to -32..32: products of what is nearly nothing do not become subnormal, which is slow. */
static MLCC_INLINE v4f V4_SIGMOID(v4f x)
{
    v4f power;
    const v4f p = mlcc_v4_decay(V4_MIN(V4_MAX(x, V4_SET(-32.0f)), V4_SET(32.0f)), &power);
    const v4f d = V4_FMA(p, power, V4_SET(1.0f));
    return V4_SET(1.0f) / d;
}

/* e / (e + 2) with e = exp(2|x|) - 1 = 2^n (exp(r) - 1) + (2^n - 1); 1 from |x| = 9.05 on. */
static MLCC_INLINE v4f V4_TANH(v4f x)
{
    v4f n;
    const v4f a = V4_ABS(x), p = mlcc_v4_reduce(V4_MIN(a + a, V4_SET(18.1f)), &n);
    const v4f s = mlcc_v4_scale(V4_SET(1.0f), n), e = V4_FMA(s, p, s - V4_SET(1.0f));
    return V4_COPYSIGN(e / (e + V4_SET(2.0f)), x);
}

/* |x| < 0.92: x + x p(x^2). Above: 1 - exp(-g(|x|)). */
static MLCC_INLINE v4f V4_ERF(v4f x)
{
    const v4f a = V4_MIN(V4_ABS(x), V4_SET(4.0f)), s = a * a;
    v4f p = V4_SET(8.330975106e-5f);
    p = V4_FMA(p, s, V4_SET(-8.131411159e-4f));
    p = V4_FMA(p, s, V4_SET(5.199781619e-3f));
    p = V4_FMA(p, s, V4_SET(-2.685873583e-2f));
    p = V4_FMA(p, s, V4_SET(1.128367856e-1f));
    p = V4_FMA(p, s, V4_SET(-3.761263192e-1f));
    p = V4_FMA(p, s, V4_SET(1.283791661e-1f));
    v4f g = V4_SET(-1.959337678e-4f);
    g = V4_FMA(g, a, V4_SET(3.043195233e-3f));
    g = V4_FMA(g, a, V4_SET(-2.222687192e-2f));
    g = V4_FMA(g, a, V4_SET(1.039315611e-1f));
    g = V4_FMA(g, a, V4_SET(6.371822357e-1f));
    g = V4_FMA(g, a, V4_SET(1.127675653f));
    g = V4_FMA(g, a, V4_SET(1.956670894e-4f));
    v4f power;
    const v4f q = mlcc_v4_decay(g, &power), small = V4_FMA(a, p, a), large = V4_FMA(V4_NEG(q), power, V4_SET(1.0f));
    return V4_COPYSIGN(V4_SEL((v4i)(a < V4_SET(0.92f)), small, large), x);
}

static MLCC_INLINE v4f V4_SIGMOIDB(v4f x) { return V4_SIGMOID(x); }

static MLCC_INLINE v4f V4_ERFB(v4f x) { return V4_ERF(x); }

static MLCC_INLINE v4f V4_ERFQ(v4f x) { return V4_ERF(x); }

/* x = 2^e (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2): e ln 2 + f - f^2/2 + f^3 p(f). */
static MLCC_INLINE v4f V4_LOG(v4f x)
{
    const v4i tiny = (v4i)(x < V4_SET(1.17549435e-38f));
    const v4u u = (v4u)V4_SEL(tiny, x * V4_SET(8388608.0f), x);
    const v4i e = (v4i)(u - 0x3f3504f3u) >> 23;
    const v4f k = V4_ITOF(e) - (v4f)(tiny & (v4i)V4_SET(23.0f));
    const v4f f = (v4f)(u - ((v4u)e << 23)) - V4_SET(1.0f), f2 = f * f;
    v4f p = V4_SET(-7.637470961e-2f);
    p = V4_FMA(p, f, V4_SET(1.276273131e-1f));
    p = V4_FMA(p, f, V4_SET(-1.315947175e-1f));
    p = V4_FMA(p, f, V4_SET(1.420150101e-1f));
    p = V4_FMA(p, f, V4_SET(-1.662341356e-1f));
    p = V4_FMA(p, f, V4_SET(2.000124454e-1f));
    p = V4_FMA(p, f, V4_SET(-2.500081956e-1f));
    p = V4_FMA(p, f, V4_SET(3.333333135e-1f));
    v4f y = V4_FMA(k, V4_SET(-2.12194440e-4f), f2 * f * p);
    y = f + V4_FMA(f2, V4_SET(-0.5f), y);
    y = V4_FMA(k, V4_SET(0.693359375f), y);
    y = V4_SEL((v4i)(x < V4_SET(INFINITY)), y, x);
    y = V4_SEL((v4i)(x == V4_SET(0.0f)), V4_SET(-INFINITY), y);
    return V4_SEL((v4i)(x < V4_SET(0.0f)), V4_SET(NAN), y);
}

/* log(1 + x) from what rounding of the sum w takes away, c: log(w) + c/w. */
static MLCC_INLINE v4f V4_LOG1P(v4f x)
{
    const v4f one = V4_SET(1.0f), w = one + x, y = V4_LOG(w), c = (x - (w - one)) / w;
    return V4_SEL((v4i)(w == one), x, V4_SEL((v4i)(c == c), y + c, y));
}

/* Lanes 0, 1 and 2, 3 as doubles, and back. */
#if MLCC_X86
static MLCC_INLINE v4d mlcc_v4_low(v4f a) { return (v4d)_mm_cvtps_pd((__m128)a); }
static MLCC_INLINE v4d mlcc_v4_high(v4f a) { return (v4d)_mm_cvtps_pd(_mm_movehl_ps((__m128)a, (__m128)a)); }
static MLCC_INLINE v4f mlcc_v4_float(v4d low, v4d high)
{
    return (v4f)_mm_movelh_ps(_mm_cvtpd_ps((__m128d)low), _mm_cvtpd_ps((__m128d)high));
}
#elif MLCC_NEON
static MLCC_INLINE v4d mlcc_v4_low(v4f a) { return (v4d)vcvt_f64_f32(vget_low_f32((float32x4_t)a)); }
static MLCC_INLINE v4d mlcc_v4_high(v4f a) { return (v4d)vcvt_high_f64_f32((float32x4_t)a); }
static MLCC_INLINE v4f mlcc_v4_float(v4d low, v4d high)
{
    return (v4f)vcvt_high_f32_f64(vcvt_f32_f64((float64x2_t)low), (float64x2_t)high);
}
#else
static MLCC_INLINE v4d mlcc_v4_low(v4f a) { return (v4d){a[0], a[1]}; }
static MLCC_INLINE v4d mlcc_v4_high(v4f a) { return (v4d){a[2], a[3]}; }
static MLCC_INLINE v4f mlcc_v4_float(v4d low, v4d high) { return (v4f){(float)low[0], (float)low[1], (float)high[0], (float)high[1]}; }
#endif

#if MLCC_X86 && defined(__FMA__)
static MLCC_INLINE v4d mlcc_v4_fma_d(v4d a, v4d b, v4d c) { return (v4d)_mm_fmadd_pd((__m128d)a, (__m128d)b, (__m128d)c); }
#elif MLCC_NEON
static MLCC_INLINE v4d mlcc_v4_fma_d(v4d a, v4d b, v4d c) { return (v4d)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b); }
#else
static MLCC_INLINE v4d mlcc_v4_fma_d(v4d a, v4d b, v4d c) { return a * b + c; }
#endif

/* a held to -1000..1000. */
#if MLCC_X86
static MLCC_INLINE v4d mlcc_v4_hold_d(v4d a)
{
    return (v4d)_mm_min_pd(_mm_set1_pd(1000.0), _mm_max_pd(_mm_set1_pd(-1000.0), (__m128d)a));
}
#elif MLCC_NEON
static MLCC_INLINE v4d mlcc_v4_hold_d(v4d a)
{
    return (v4d)vminq_f64(vmaxq_f64((float64x2_t)a, vdupq_n_f64(-1000.0)), vdupq_n_f64(1000.0));
}
#else
static MLCC_INLINE v4d mlcc_v4_hold_d(v4d a)
{
    for (int i = 0; i < 2; i++)
        a[i] = a[i] > 1000.0 ? 1000.0 : a[i] < -1000.0 ? -1000.0 : a[i];
    return a;
}
#endif

#if MLCC_X86
static MLCC_INLINE int mlcc_v4_any(v4i m) { return _mm_movemask_ps((__m128)m) != 0; }
#elif MLCC_NEON
static MLCC_INLINE int mlcc_v4_any(v4i m) { return vmaxvq_u32((uint32x4_t)m) != 0; }
#else
static MLCC_INLINE int mlcc_v4_any(v4i m) { return (m[0] | m[1] | m[2] | m[3]) != 0; }
#endif

static MLCC_INLINE v4d mlcc_v4_set_d(double x) { return (v4d){0} + x; }

/* x = n pi/2 + r with integral n and |r| < 0.786, for |x| <= 8192: returns r, and n in the low bits of *n. The first part of pi/2 has 33 bits,
 * so that n times it is exact. */
static MLCC_INLINE v4d mlcc_v4_turn_d(v4d x, v4d n)
{
    return mlcc_v4_fma_d(n, mlcc_v4_set_d(-6.077100506506192e-11), mlcc_v4_fma_d(n, mlcc_v4_set_d(-1.5707963267341256), x));
}

static MLCC_INLINE v4f mlcc_v4_turn(v4f x, v4u *n)
{
    const v4f shift = V4_SET(12582912.0f), m = V4_FMA(x, V4_SET(0.6366197724f), shift), k = m - shift;
    *n = (v4u)m;
    return mlcc_v4_float(mlcc_v4_turn_d(mlcc_v4_low(x), mlcc_v4_low(k)), mlcc_v4_turn_d(mlcc_v4_high(x), mlcc_v4_high(k)));
}

/* sin(r + n pi/2): the sine or the cosine of r, with the sign of the quadrant. */
static MLCC_INLINE v4f mlcc_v4_wave(v4f r, v4u n)
{
    const v4f s = r * r;
    v4f p = V4_SET(-1.951789512e-4f), q = V4_SET(2.443233097e-5f);
    p = V4_FMA(p, s, V4_SET(8.332187310e-3f));
    q = V4_FMA(q, s, V4_SET(-1.388730947e-3f));
    p = V4_FMA(p, s, V4_SET(-1.666665524e-1f));
    q = V4_FMA(q, s, V4_SET(4.166664556e-2f));
    const v4f sine = V4_COPYSIGN(V4_FMA(p, s * r, r), r), cosine = V4_FMA(q, s * s, V4_FMA(s, V4_SET(-0.5f), V4_SET(1.0f)));
    const v4i turned = (v4i)(n << 31) >> 31;
    return (v4f)((v4u)V4_SEL(turned, cosine, sine) ^ (n & 2u) << 30);
}

static MLCC_INLINE v4f V4_SIN(v4f x)
{
    v4u n;
    if (MLCC_SELDOM(mlcc_v4_any(~(v4i)(V4_ABS(x) <= V4_SET(8192.0f)))))
        return V4_EACH(sinf, x);
    const v4f r = mlcc_v4_turn(x, &n);
    return mlcc_v4_wave(r, n);
}

static MLCC_INLINE v4f V4_COS(v4f x)
{
    v4u n;
    if (MLCC_SELDOM(mlcc_v4_any(~(v4i)(V4_ABS(x) <= V4_SET(8192.0f)))))
        return V4_EACH(cosf, x);
    const v4f r = mlcc_v4_turn(x, &n);
    return mlcc_v4_wave(r, n + 1u);
}

/* t + t^3 p(t^2) with t = |x|, from 1 on pi/2 and t = -1/|x|. */
static MLCC_INLINE v4f V4_ATAN(v4f x)
{
    const v4f a = V4_MIN(V4_ABS(x), V4_SET(1e9f)), one = V4_SET(1.0f);
    const v4i large = (v4i)(a > one);
    const v4f t = V4_SEL(large, V4_SET(-1.0f) / a, a), s = t * t;
    v4f p = V4_SET(-1.782820676e-3f);
    p = V4_FMA(p, s, V4_SET(1.086868532e-2f));
    p = V4_FMA(p, s, V4_SET(-3.109698556e-2f));
    p = V4_FMA(p, s, V4_SET(5.788138881e-2f));
    p = V4_FMA(p, s, V4_SET(-8.399306238e-2f));
    p = V4_FMA(p, s, V4_SET(1.095088050e-1f));
    p = V4_FMA(p, s, V4_SET(-1.426401585e-1f));
    p = V4_FMA(p, s, V4_SET(1.999852955e-1f));
    p = V4_FMA(p, s, V4_SET(-3.333329856e-1f));
    const v4f y = V4_FMA(p, s * t, t) + (v4f)(large & (v4i)V4_SET(1.570796371f));
    return V4_COPYSIGN(y, x);
}

/* 2^(y log2(x)) for finite x > 0, held to 2^-1000..2^1000. x = 2^e (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2): log2(x) = e + f p(f); 1.5 * 2^52
 * leaves the whole part of the exponent in the low bits. */
static MLCC_INLINE v4d mlcc_v4_pow_d(v4d x, v4d y)
{
    const v4uq u = (v4uq)x, t = u - 0x3fe6a09e667f3bcdu + 0x3ff0000000000000u, e = t >> 52;
    const v4d k = (v4d)(e | 0x4330000000000000u) - mlcc_v4_set_d(4503599627371519.0);
    const v4d f = (v4d)(u - (e << 52) + 0x3ff0000000000000u) - mlcc_v4_set_d(1.0), shift = mlcc_v4_set_d(6755399441055744.0);
    v4d p = mlcc_v4_set_d(-0.08634597289516496);
    p = mlcc_v4_fma_d(p, f, mlcc_v4_set_d(0.15485751517088084));
    p = mlcc_v4_fma_d(p, f, mlcc_v4_set_d(-0.15698226398520182));
    p = mlcc_v4_fma_d(p, f, mlcc_v4_set_d(0.15900150080015654));
    p = mlcc_v4_fma_d(p, f, mlcc_v4_set_d(-0.17904695245786267));
    p = mlcc_v4_fma_d(p, f, mlcc_v4_set_d(0.20609625591113376));
    p = mlcc_v4_fma_d(p, f, mlcc_v4_set_d(-0.24050417410027927));
    p = mlcc_v4_fma_d(p, f, mlcc_v4_set_d(0.28854064357518505));
    p = mlcc_v4_fma_d(p, f, mlcc_v4_set_d(-0.36067280054742507));
    p = mlcc_v4_fma_d(p, f, mlcc_v4_set_d(0.480898320729169));
    p = mlcc_v4_fma_d(p, f, mlcc_v4_set_d(-0.7213475252132093));
    p = mlcc_v4_fma_d(p, f, mlcc_v4_set_d(1.4426950409393464));
    const v4d z = mlcc_v4_hold_d(y * mlcc_v4_fma_d(p, f, k)), n = z + shift, r = z - (n - shift);
    v4d q = mlcc_v4_set_d(1.5345811559391718e-4);
    q = mlcc_v4_fma_d(q, r, mlcc_v4_set_d(1.3399931214872365e-3));
    q = mlcc_v4_fma_d(q, r, mlcc_v4_set_d(9.618488958737214e-3));
    q = mlcc_v4_fma_d(q, r, mlcc_v4_set_d(5.550328776977668e-2));
    q = mlcc_v4_fma_d(q, r, mlcc_v4_set_d(0.24022646890619365));
    q = mlcc_v4_fma_d(q, r, mlcc_v4_set_d(0.6931472057372593));
    q = mlcc_v4_fma_d(q, r, mlcc_v4_set_d(1.0000000005541672));
    return (v4d)((v4uq)q + ((v4uq)n << 52));
}

/* In doubles of |x|; then what zeros, infinities and NaN give, and the sign: that of x where y is odd (C, F.10.4.4). */
static MLCC_INLINE v4f V4_POW(v4f x, v4f y)
{
    const v4f a = V4_ABS(x), half = y * V4_SET(0.5f), none = V4_SET(0.0f), one = V4_SET(1.0f), most = V4_SET(INFINITY);
    const v4f p = mlcc_v4_float(mlcc_v4_pow_d(mlcc_v4_low(a), mlcc_v4_low(y)), mlcc_v4_pow_d(mlcc_v4_high(a), mlcc_v4_high(y)));
    const v4i whole = (v4i)(V4_RINT(y) == y), odd = whole & (v4i)(V4_RINT(half) != half);
    const v4i endless = (v4i)(a == most), up = ~(endless ^ (v4i)(y > none));
    const v4f r = V4_SEL((v4i)(a == none) | endless, (v4f)(up & (v4i)most), p);
    const v4f s = (v4f)((v4i)r | (odd & (v4i)x & (v4i)V4_SET(-0.0f)));
    const v4i wrong = (v4i)(x < none) & ~whole & ~endless, is_one = (v4i)(y == none) | (v4i)(x == one) | ((v4i)(a == one) & (v4i)(V4_ABS(y) == most));
    const v4f n = V4_SEL(wrong, V4_SET(NAN), V4_SEL((v4i)(x != x) | (v4i)(y != y), x + y, s));
    return V4_SEL(is_one, one, n);
}

#endif

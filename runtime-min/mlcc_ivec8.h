/* SPDX-License-Identifier: 0BSD
 *
 * 8 lanes of integers of 32 and of 64 bits, of the vector dialect; mlcc_vec.h says what each operation means.
 * As in mlcc_vec8.h every width is written out, and what a processor lacks is made lane by lane.
 */
#ifndef MLCC_IVEC8_H
#define MLCC_IVEC8_H

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

#endif

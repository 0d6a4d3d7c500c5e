/* SPDX-License-Identifier: 0BSD
 *
 * 16 lanes of integers of 32 and of 64 bits, of the vector dialect; mlcc_vec.h says what each operation means.
 * As in mlcc_vec16.h every width is written out, and what a processor lacks is made lane by lane.
 */
#ifndef MLCC_IVEC16_H
#define MLCC_IVEC16_H

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

#endif

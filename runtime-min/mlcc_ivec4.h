/* SPDX-License-Identifier: 0BSD
 *
 * 4 lanes of integers of 32 and of 64 bits, of the vector dialect; mlcc_vec.h says what each operation means.
 * As in mlcc_vec4.h every width is written out, and what a processor lacks is made lane by lane.
 */
#ifndef MLCC_IVEC4_H
#define MLCC_IVEC4_H

/* int64_t lanes: the even ones and the odd ones, as multiplication makes them. */
typedef struct v4l {
    v4q even, odd;
} v4l;

static MLCC_INLINE v4i V4_IEQ(v4i a, v4i b) { return (v4i)(a == b); }

static MLCC_INLINE v4i V4_INE(v4i a, v4i b) { return (v4i)(a != b); }

static MLCC_INLINE v4i V4_ILT(v4i a, v4i b) { return (v4i)(a < b); }

static MLCC_INLINE v4i V4_ILE(v4i a, v4i b) { return (v4i)(a <= b); }

static MLCC_INLINE v4i V4_IAND(v4i a, v4i b) { return a & b; }

static MLCC_INLINE v4i V4_IOR(v4i a, v4i b) { return a | b; }

static MLCC_INLINE v4i V4_IXOR(v4i a, v4i b) { return a ^ b; }

static MLCC_INLINE v4i V4_INOT(v4i a) { return ~a; }

static MLCC_INLINE v4i V4_INEG(v4i a) { return (v4i)(-(v4u)a); }

#if MLCC_NEON
static MLCC_INLINE v4i V4_IABS(v4i a) { return (v4i)vabsq_s32((int32x4_t)a); }
#else
static MLCC_INLINE v4i V4_IABS(v4i a) { return (v4i)(((v4u)a ^ (v4u)(a >> 31)) - (v4u)(a >> 31)); }
#endif

static MLCC_INLINE v4i V4_ISEL(v4i m, v4i a, v4i b) { return (v4i)V4_SEL(m, (v4f)a, (v4f)b); }

#if MLCC_X86 && defined(__SSE4_1__)
static MLCC_INLINE v4i V4_IMIN(v4i a, v4i b) { return (v4i)_mm_min_epi32((__m128i)a, (__m128i)b); }
#elif MLCC_NEON
static MLCC_INLINE v4i V4_IMIN(v4i a, v4i b) { return (v4i)vminq_s32((int32x4_t)a, (int32x4_t)b); }
#else
static MLCC_INLINE v4i V4_IMIN(v4i a, v4i b)
{
    const v4i m = (v4i)(a < b);
    return (m & a) | (~m & b);
}
#endif

#if MLCC_X86 && defined(__SSE4_1__)
static MLCC_INLINE v4i V4_IMAX(v4i a, v4i b) { return (v4i)_mm_max_epi32((__m128i)a, (__m128i)b); }
#elif MLCC_NEON
static MLCC_INLINE v4i V4_IMAX(v4i a, v4i b) { return (v4i)vmaxq_s32((int32x4_t)a, (int32x4_t)b); }
#else
static MLCC_INLINE v4i V4_IMAX(v4i a, v4i b)
{
    const v4i m = (v4i)(a > b);
    return (m & a) | (~m & b);
}
#endif

static MLCC_INLINE v4i V4_ISHL(v4i a, v4i b)
{
    const v4u in = (v4u)((v4u)b < 32u);
    return (v4i)(((v4u)a << ((v4u)b & 31u)) & in);
}

static MLCC_INLINE v4i V4_ISHR(v4i a, v4i b)
{
    const v4u n = (v4u)b, out = (v4u)(n > 31u);
    return a >> (v4i)((n | out) & 31u);
}

static MLCC_INLINE v4i V4_SATI8(v4i a) { return V4_IMIN(V4_IMAX(a, V4_ISET(-128)), V4_ISET(127)); }

static MLCC_INLINE v4i V4_SATU8(v4i a) { return V4_IMIN(V4_IMAX(a, V4_ISET(0)), V4_ISET(255)); }

static MLCC_INLINE v4i V4_SATI16(v4i a) { return V4_IMIN(V4_IMAX(a, V4_ISET(-32768)), V4_ISET(32767)); }

static MLCC_INLINE v4i V4_SATU16(v4i a) { return V4_IMIN(V4_IMAX(a, V4_ISET(0)), V4_ISET(65535)); }

static MLCC_INLINE v4i V4_WRAPI8(v4i a) { return (v4i)((v4u)a << 24) >> 24; }

static MLCC_INLINE v4i V4_WRAPI16(v4i a) { return (v4i)((v4u)a << 16) >> 16; }

static MLCC_INLINE v4i V4_WRAPU8(v4i a) { return a & 255; }

static MLCC_INLINE v4i V4_WRAPU16(v4i a) { return a & 65535; }

static MLCC_INLINE int32_t V4_IHSUM(v4i v)
{
    int32_t s = v[0];
    for (int i = 1; i < 4; i++)
        s = mlcc_add_i32(s, v[i]);
    return s;
}

static MLCC_INLINE int32_t V4_IHMIN(v4i v)
{
    int32_t s = v[0];
    for (int i = 1; i < 4; i++)
        s = v[i] < s ? v[i] : s;
    return s;
}

static MLCC_INLINE int32_t V4_IHMAX(v4i v)
{
    int32_t s = v[0];
    for (int i = 1; i < 4; i++)
        s = v[i] > s ? v[i] : s;
    return s;
}

static MLCC_INLINE int32_t V4_IHPROD(v4i v)
{
    int32_t s = v[0];
    for (int i = 1; i < 4; i++)
        s = mlcc_mul_i32(s, v[i]);
    return s;
}

static MLCC_INLINE v4i V4_ILDN(const int32_t *p, int n)
{
    v4i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i];
    return v;
}

static MLCC_INLINE void V4_ISTN(int32_t *p, v4i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = v[i];
}

static MLCC_INLINE v4i V4_IGATHER(const int32_t *p, ptrdiff_t s, int n)
{
    v4i v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i * s];
    return v;
}

static MLCC_INLINE void V4_ISCATTER(int32_t *p, ptrdiff_t s, v4i v, int n)
{
    for (int i = 0; i < n; i++)
        p[i * s] = v[i];
}

static MLCC_INLINE v4l V4_LSET(int64_t x)
{
    const v4q v = (v4q){0} + x;
    return (v4l){v, v};
}

/* Lane 2i in the low half of 64-bit lane i: sign extended, and the high half of it likewise. */
static MLCC_INLINE v4l V4_LOFI(v4i a)
{
    const v4q q = (v4q)a;
    return (v4l){(v4q)((v4uq)q << 32) >> 32, q >> 32};
}

/* Products of 32-bit lanes. */
#if MLCC_X86 && defined(__SSE4_1__)
static MLCC_INLINE v4l V4_LMUL(v4i a, v4i b)
{
    const v4q even = (v4q)_mm_mul_epi32((__m128i)a, (__m128i)b);
    const v4q odd = (v4q)_mm_mul_epi32(_mm_srli_epi64((__m128i)a, 32), _mm_srli_epi64((__m128i)b, 32));
    return (v4l){even, odd};
}
#elif MLCC_NEON
static MLCC_INLINE v4l V4_LMUL(v4i a, v4i b)
{
    const int64x2_t p = (int64x2_t)a, q = (int64x2_t)b;
    return (v4l){(v4q)vmull_s32(vmovn_s64(p), vmovn_s64(q)), (v4q)vmull_s32(vshrn_n_s64(p, 32), vshrn_n_s64(q, 32))};
}
#else
static MLCC_INLINE v4l V4_LMUL(v4i a, v4i b)
{
    const v4l p = V4_LOFI(a), q = V4_LOFI(b);
    return (v4l){p.even * q.even, p.odd * q.odd};
}
#endif

static MLCC_INLINE v4l V4_LADD(v4l a, v4l b)
{
    return (v4l){(v4q)((v4uq)a.even + (v4uq)b.even), (v4q)((v4uq)a.odd + (v4uq)b.odd)};
}

static MLCC_INLINE v4l V4_LAND(v4l a, v4l b) { return (v4l){a.even & b.even, a.odd & b.odd}; }

static MLCC_INLINE v4l V4_LSUB(v4l a, v4l b)
{
    return (v4l){(v4q)((v4uq)a.even - (v4uq)b.even), (v4q)((v4uq)a.odd - (v4uq)b.odd)};
}

static MLCC_INLINE v4q mlcc_v4_min_q(v4q a, v4q b)
{
    const v4q m = (v4q)(a < b);
    return (m & a) | (~m & b);
}

static MLCC_INLINE v4l V4_LMIN(v4l a, v4l b)
{
    return (v4l){mlcc_v4_min_q(a.even, b.even), mlcc_v4_min_q(a.odd, b.odd)};
}

static MLCC_INLINE v4q mlcc_v4_max_q(v4q a, v4q b)
{
    const v4q m = (v4q)(a > b);
    return (m & a) | (~m & b);
}

static MLCC_INLINE v4l V4_LMAX(v4l a, v4l b)
{
    return (v4l){mlcc_v4_max_q(a.even, b.even), mlcc_v4_max_q(a.odd, b.odd)};
}

static MLCC_INLINE v4q mlcc_v4_shr_q(v4q a, v4q n)
{
    for (int i = 0; i < 2; i++)
        a[i] = mlcc_shr_i64(a[i], n[i]);
    return a;
}

static MLCC_INLINE v4q mlcc_v4_shl_q(v4q a, v4q n)
{
    for (int i = 0; i < 2; i++)
        a[i] = mlcc_shl_i64(a[i], n[i]);
    return a;
}

static MLCC_INLINE v4l V4_LSHR(v4l a, v4l n)
{
    return (v4l){mlcc_v4_shr_q(a.even, n.even), mlcc_v4_shr_q(a.odd, n.odd)};
}

static MLCC_INLINE v4l V4_LSHL(v4l a, v4l n)
{
    return (v4l){mlcc_v4_shl_q(a.even, n.even), mlcc_v4_shl_q(a.odd, n.odd)};
}

/* The low halves of even, the high halves of odd. */
#if MLCC_X86 && defined(__SSE4_1__)
static MLCC_INLINE v4i mlcc_v4_zip(v4uq even, v4uq odd) { return (v4i)_mm_blend_epi16((__m128i)even, (__m128i)odd, 0xcc); }
#elif MLCC_NEON
static MLCC_INLINE v4i mlcc_v4_zip(v4uq even, v4uq odd) { return (v4i)vbslq_u64(vdupq_n_u64(0xffffffff), (uint64x2_t)even, (uint64x2_t)odd); }
#else
static MLCC_INLINE v4i mlcc_v4_zip(v4uq even, v4uq odd)
{
    const v4uq low = (v4uq){0} + 0xffffffffu;
    return (v4i)((even & low) | (odd & ~low));
}
#endif

/* i32(a): the low halves. */
static MLCC_INLINE v4i V4_IOFL(v4l a) { return mlcc_v4_zip((v4uq)a.even, (v4uq)a.odd << 32); }

/* i32(a >> n), 0 <= n <= 63: of the high halves where none of the low ones is left. */
static MLCC_INLINE v4i V4_ISHRL(v4l a, int n)
{
    if (n >= 32)
        return mlcc_v4_zip((v4uq)a.even >> 32, (v4uq)a.odd) >> (n - 32);
    return mlcc_v4_zip((v4uq)a.even >> n, (v4uq)a.odd << (32 - n));
}

static MLCC_INLINE v4i V4_LSAT(v4l a)
{
    return V4_IOFL(V4_LMIN(V4_LMAX(a, V4_LSET(INT32_MIN)), V4_LSET(INT32_MAX)));
}

#endif

/* SPDX-License-Identifier: 0BSD
 *
 * The vector dialect of emitted loops: W floats, W = 16, 8, 4, by the vector extensions of GCC and Clang.
 *
 * Every name exists for each width, V16_ADD, V8_ADD, V4_ADD, and lowers to what the processor has; V1_* is the same
 * dialect on plain floats. VF_* (types VF, VI) is the width that suits the target, MLCC_VW: 16 with AVX-512, 8 with
 * AVX, 4 with other vectors, 1 for compilers without them or with MLCC_NO_VECTOR defined. Code written in VF_* compiles
 * everywhere. p: float *, without alignment beyond that of float. Masks are VI, each lane -1 or 0.
 *
 *   LD(p) ST(p, v) SET(x)      load, store, the same x in each lane
 *   LDN(p, n) STN(p, v, n)     lanes 0..n-1 only, 0 <= n <= W; other lanes are loaded as 0 and not stored
 *   GATHER(p, s, n)            lane i is p[i * s] for i < n, else 0;  SCATTER(p, s, v, n) stores so
 *   ADD SUB MUL DIV(a, b) NEG ABS(a) COPYSIGN(a, s)
 *   DIVS(a, s)                 a / s for one float s: the same where a and a / s are above 2^-100, otherwise off by an ulp at most
 *   FMA(a, b, c)               a * b + c, rounded once where the target can;  FUSED(a, b, c) once everywhere, as fmaf
 *   MAX(a, b) MIN(a, b)        (b > a) ? b : a and (b < a) ? b : a: NaN in a stays, NaN in b is passed over
 *   MAXN(a, b) MINN(a, b)      NaN in either gives NaN; equal operands give a
 *   SQRT FLOOR CEIL RINT TRUNC(a)      exact; RINT rounds half to even
 *   EQ NE LT LE GT GE(a, b)    masks, combined with & | ~;  SEL(m, a, b)  a where m is -1, b where it is 0
 *   HSUM HPROD HMAX HMIN(v)    one float from all lanes, always in this order: lane i with lane i + W/2, then the same
 *                              on W/2 lanes, until one is left; HMAX and HMIN give NaN when any lane is NaN
 *   EXP LOG LOG1P TANH SIGMOID ERF(a)  off by at most 1.2, 1.0, 2.0, 3.0, 2.5, 1.5 ulp with and without FMA (70 million
 *                              floats tried); NaN and infinities as libm has them, results below the normal range are
 *                              rounded, not flushed, but SIGMOID ends at that of -32, 1.3e-14. V1 calls libm
 *   SIN COS ATAN(a) POW(a, b)  off by at most 1.6, 1.6, 1.9, 0.6 ulp; special values and signs as libm has them
 *   SIGMOIDB ERFB(a)           what is rounded to bfloat16 next: within 2^-12 of the result, within 2^-14
 *   ERFQ(a)                    what becomes part of a byte: within 2^-17
 *   EACH(f, a) EACH2(f, a, b)  f of each lane, a function of libm;  SIGN(a) is -1, 0 or 1, or NaN
 *   ILD(p) IST(p, v) ISET(x) IADD ISUB IMUL(a, b)      int32_t lanes, wrapping
 *   ITOF(i) FTOI(a)            FTOI drops the fraction and saturates, NaN gives 0, as mlcc_trunc_i32;  BITS(a) FBITS(i) the same bits
 *   LDI8(p) LDU8(p)            bytes as VI;  LDBF(p) STBF(p, v)  bfloat16, rounded half to even;  STBFZ(p, v) as STBF, but
 *                              numbers below the normal range may count as 0, as the processor's instruction takes them
 *
 * For W = 16, 8, 4 there are integers, i32 in VI and i64 in VL (type v<W>l), and narrow elements; T is I8, U8, I16 or U16:
 *   SUMS(a, b, ..)             HSUM of each of W vectors, in the lanes of one
 *   SET2(p) TWINS(a, b)        p[0], p[1], p[0], ..;  what lanes 2*i and 2*i + 1 of a, then of b, add up to
 *   ILDN ISTN IGATHER ISCATTER as of floats;  LD<T> LDN<T> GATHER<T> widen to i32, ST<T> STN<T> SCATTER<T> store the low
 *   bits, STS<T> saturates;  STS2I8 STS2U8(p, a, b) STS4I8 STS4U8(p, a, b, c, d) several side by side;  BF and HF for T are bfloat16 and IEEE half, from and to floats
 *   STWI8 STWU8(p, v)          as STS, but each byte as 16 bits;  STW2I8 STW2U8(p, a, b)  two side by side;  STWAI8 STWAU8(p, q, a, b)  a there, b at q
 *   STABFC(p, q, a, b, s, t)   integers clipped to 0 .. s, s > 0, as STBFZ of MIN(MAX(ITOF(a), 0), s) at p, and so of b and t at q
 *   ZIP3I8 ZIP3U8 ZIP3I16(p, a, b, c)  low bits, lane i of each side by side;  ZIP4BF ZIP4BFZ(p, a, b, c, d)  so of four, as STBF and STBFZ;
 *                              ZIP2RI16(p, a, b)  of two floats the nearest values of I16, -32768 for NaN;  ZIP2WI8 ZIP2WU8(p, a, b)  of two as STWI8 and STWU8
 *   INEG IABS INOT(a) IAND IOR IXOR IMIN IMAX(a, b) IEQ INE ILT ILE(a, b) ISEL(m, a, b)
 *   LOOKUPU8 LOOKUPI8(t, i)    bytes of a table of 256, i from 0 to 255
 *   ISHL ISHR LSHL LSHR(a, n)  by lane: counts at the width and above leave 0, or the sign
 *   SAT<T>(a) WRAP<T>(a)       the nearest value of T, its low bits as a value of T;  FTOU8 FTOI8(f) are SAT of FTOI,
 *                              RTOU8 RTOI8(f) of the nearest whole number
 *   IMAC(a, b, c)              c + a * b of the low halves, signed; the high half of a must be 0
 *   DOTBF(x, w, c)             c + x0*w0 + x1*w1 of the two bf16 of each lane: products are exact, sums round twice, in
 *                              either order; numbers below the normal range may count as 0
 *   DOTUS DOTSS DOTUU(x, w, c) c + x0*w0 + x1*w1 + x2*w2 + x3*w3 of the bytes of each lane, S signed, U unsigned; exact
 *   DOTUS2(x, w, y, v, c)      DOTUS of x and w and of y and v, where x0*w0 + x1*w1, y0*v0 + y1*v1 and the sum of these have 16 bits, and so of 2 and 3
 *   DOTI16(x, w, c)            c + x0*w0 + x1*w1 of the two 16-bit numbers of each lane; all sums wrap
 *   LDQ(p) LDNQ(p, n) SETQ(p)  four bytes in each lane: side by side in memory, of n lanes, the same four;  SET2Q(p)  eight bytes in two lanes, by turns
 *   LDWI8 LDWU8(p) LDNWI8 LDNWU8(p, n)   two bytes for each lane, or for n of them, as 16-bit numbers
 *   WADD WSUB(a, b) WSHL(a, n) WSET(x)    of the two 16-bit numbers of each lane, n from 0 to 15, x from -2^15 to 2^16 - 1; all wrap;  STQ(p, v) as LDQ
 *   LMUL(a, b)                 64-bit products of VI;  LOFI(a) widens, IOFL(l) takes the low half, LSAT(l) saturates to
 *                              VI, ISHRL(l, n) is IOFL of l >> n for a constant n of 0..63
 *   LADD LSUB LMIN LMAX LAND(a, b) LSET(x);  IHSUM IHPROD IHMAX IHMIN(v)
 *
 *   KEEP(v) FENCE() PIN(v)     statements that hold the compiler to the order of loads: a loaded vector stays in a
 *                              register, no load moves across, a constant is made where it is used. They cost no
 *                              instruction and are empty where there is no such register or no GNU asm
 *
 *   MLCC_FETCH(p, i) MLCC_FETCH2(p, i)   hints: the cache line of p[i] will be read soon (first-level
 *                              cache), later (second level); it may lie outside the array
 *
 * The functions rely on IEEE arithmetic: do not compile with -ffast-math.
 */
#ifndef MLCC_VEC_H
#define MLCC_VEC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "mlcc_float.h"
#include "mlcc_int.h"
#include "mlcc_op.h"

#if (defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 9)) && !defined(MLCC_NO_VECTOR)
#define MLCC_VECTOR 1
#else
#define MLCC_VECTOR 0
#endif

/* Without AVX only what SSE has: gcc takes longer to read the whole of immintrin.h than for most models. */
#if MLCC_VECTOR && (defined(__x86_64__) || defined(__i386__)) && defined(__SSE2__)
#if defined(__AVX__)
#include <immintrin.h>
#else
#include <nmmintrin.h>
#endif
#define MLCC_X86 1
#else
#define MLCC_X86 0
#endif

/* gcc would bring all loads of a tile to its front before it gives out registers, and then has too few. Said after the header,
 * which gcc reads in half the time without it. */
#if MLCC_VECTOR && defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
#if !defined(__clang__)
#pragma GCC optimize("no-schedule-insns")
#endif
#define MLCC_NEON 1
#else
#define MLCC_NEON 0
#endif

#if MLCC_NEON || (MLCC_X86 && defined(__FMA__)) /* FMA rounds once */
#define MLCC_FUSED 1
#else
#define MLCC_FUSED 0
#endif

#if !MLCC_VECTOR
#define MLCC_VW 1
#elif defined(__AVX512F__)
#define MLCC_VW 16
#elif defined(__AVX__)
#define MLCC_VW 8
#else
#define MLCC_VW 4
#endif

/* unused: a function may serve only one side of an #if. */
#if defined(__GNUC__)
#define MLCC_INLINE inline __attribute__((always_inline, unused))
#else
#define MLCC_INLINE inline
#endif

/* What takes many operations of a processor without vectors of 64 bytes: once in a file there, behind pointers. Compiled without the
 * features it was made for, a small network of bytes takes gcc 90 s otherwise. */
#if defined(__GNUC__) && !defined(__AVX512F__)
#define MLCC_ONCE16 __attribute__((noinline, unused))
#else
#define MLCC_ONCE16 MLCC_INLINE
#endif

/* Registers of 16 and 32 bytes: AVX-512 has more of them. */
#if MLCC_NEON
#define MLCC_REG "+w"
#elif defined(__AVX512VL__)
#define MLCC_REG "+v"
#else
#define MLCC_REG "+x"
#endif

#if MLCC_X86 || MLCC_NEON
#define V1_FENCE() __asm__ volatile("" ::: "memory")
#else
#define V1_FENCE() ((void)0)
#endif

#define V1_KEEP(v) ((void)(v))

#if defined(__GNUC__)
#define MLCC_SELDOM(x) __builtin_expect(x, 0)
#else
#define MLCC_SELDOM(x) (x)
#endif

/* By way of integers, so that no pointer is formed that lies outside its array. */
#if defined(__GNUC__)
#define MLCC_FETCH(p, i) __builtin_prefetch((const void *)((uintptr_t)(p) + sizeof *(p) * (size_t)(i)), 0, 3)
#define MLCC_FETCH2(p, i) __builtin_prefetch((const void *)((uintptr_t)(p) + sizeof *(p) * (size_t)(i)), 0, 2)
#else
#define MLCC_FETCH(p, i) ((void)0)
#define MLCC_FETCH2(p, i) ((void)0)
#endif

#define V1_PIN(v) ((void)(v))

/* --------------------------------------------------------------------------------------------------------- 1 lane */

static inline float V1_LD(const float *p) { return *p; }

static inline void V1_ST(float *p, float v) { *p = v; }

static inline float V1_LDN(const float *p, int n) { return n > 0 ? *p : 0; }

static inline float V1_GATHER(const float *p, ptrdiff_t s, int n) { return (void)s, V1_LDN(p, n); }

static inline float V1_SET(float x) { return x; }

static inline float V1_ADD(float a, float b) { return a + b; }

static inline float V1_SUB(float a, float b) { return a - b; }

static inline float V1_MUL(float a, float b) { return a * b; }

static inline float V1_DIV(float a, float b) { return a / b; }

/* As vectors have it: a * (1/s) corrected by its remainder (Markstein, IBM J. Res. Dev. 34(1), 1990), which is the nearest
 * float where nothing overflows or is subnormal. Of infinities that is NaN, of zeros without its sign: the
 * product is right there. */
static inline float V1_DIVS(float a, float s) { return a / s; }

#if MLCC_FUSED || (MLCC_X86 && defined(__AVX512F__))
static inline int mlcc_has_inverse(float s) { return fabsf(s) >= 0x1p-126f && fabsf(s) <= 0x1p126f; }
#endif

static inline float V1_MAX(float a, float b) { return b > a ? b : a; }

static inline float V1_MIN(float a, float b) { return b < a ? b : a; }

static inline float V1_MAXN(float a, float b) { return mlcc_max_f32(a, b); }

static inline float V1_MINN(float a, float b) { return mlcc_min_f32(a, b); }

static inline float V1_NEG(float a) { return -a; }

static inline float V1_ABS(float a) { return fabsf(a); }

static inline float V1_COPYSIGN(float a, float s) { return copysignf(a, s); }

static inline float V1_SQRT(float a) { return sqrtf(a); }

static inline float V1_FLOOR(float a) { return floorf(a); }

static inline float V1_CEIL(float a) { return ceilf(a); }

static inline float V1_RINT(float a) { return rintf(a); }

static inline float V1_TRUNC(float a) { return truncf(a); }

static inline int32_t V1_EQ(float a, float b) { return -(a == b); }

static inline int32_t V1_NE(float a, float b) { return -(a != b); }

static inline int32_t V1_LT(float a, float b) { return -(a < b); }

static inline int32_t V1_LE(float a, float b) { return -(a <= b); }

static inline int32_t V1_GT(float a, float b) { return -(a > b); }

static inline int32_t V1_GE(float a, float b) { return -(a >= b); }

static inline float V1_SEL(int32_t m, float a, float b) { return m ? a : b; }

static inline float V1_HSUM(float v) { return v; }

static inline float V1_HPROD(float v) { return v; }

static inline float V1_HMAX(float v) { return v; }

static inline float V1_HMIN(float v) { return v; }

static inline float V1_EXP(float a) { return expf(a); }

static inline float V1_LOG(float a) { return logf(a); }

static inline float V1_LOG1P(float a) { return log1pf(a); }

static inline float V1_TANH(float a) { return tanhf(a); }

static inline float V1_ERF(float a) { return erff(a); }

static inline float V1_SIN(float a) { return sinf(a); }

static inline float V1_COS(float a) { return cosf(a); }

static inline float V1_ATAN(float a) { return atanf(a); }

static inline float V1_POW(float a, float b) { return powf(a, b); }

static inline float V1_EACH(float (*f)(float), float a) { return f(a); }

static inline float V1_EACH2(float (*f)(float, float), float a, float b) { return f(a, b); }

static inline float V1_SIGN(float a) { return a != a ? a : (float)((a > 0) - (a < 0)); }

static inline int32_t V1_ILD(const int32_t *p) { return *p; }

static inline void V1_IST(int32_t *p, int32_t v) { *p = v; }

static inline int32_t V1_ISET(int32_t x) { return x; }

static inline int32_t V1_IADD(int32_t a, int32_t b) { return mlcc_add_i32(a, b); }

static inline int32_t V1_ISUB(int32_t a, int32_t b) { return mlcc_sub_i32(a, b); }

static inline int32_t V1_IMUL(int32_t a, int32_t b) { return mlcc_mul_i32(a, b); }

static inline float V1_ITOF(int32_t a) { return (float)a; }

static inline int32_t V1_FTOI(float a) { return mlcc_trunc_i32_f(a); }

static inline int32_t V1_LDI8(const int8_t *p) { return *p; }

static inline int32_t V1_LDU8(const uint8_t *p) { return *p; }

static inline float V1_LDBF(const uint16_t *p) { return mlcc_f32_of_bf16(*p); }

static inline void V1_STBF(uint16_t *p, float v) { *p = mlcc_bf16_of_f32(v); }

static inline void V1_STBFZ(uint16_t *p, float v) { V1_STBF(p, v); }

static inline void V1_STN(float *p, float v, int n)
{
    if (n > 0)
        *p = v;
}

static inline void V1_SCATTER(float *p, ptrdiff_t s, float v, int n)
{
    (void)s;
    V1_STN(p, v, n);
}

static inline float V1_FMA(float a, float b, float c)
{
#ifdef FP_FAST_FMAF
    return fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

static inline float V1_FUSED(float a, float b, float c) { return fmaf(a, b, c); }

static inline int32_t V1_BITS(float a) { return (int32_t)mlcc_bits_of_f32(a); }
static inline float V1_FBITS(int32_t a) { return mlcc_f32_of_bits((uint32_t)a); }

/* What is below -32 counts as -32: products of what is nearly nothing do not become subnormal. */
static inline float V1_SIGMOID(float a)
{
    return 1.0f / (1.0f + expf(a < -32.0f ? 32.0f : -a));
}

static inline float V1_SIGMOIDB(float a) { return V1_SIGMOID(a); }

static inline float V1_ERFB(float a) { return V1_ERF(a); }

static inline float V1_ERFQ(float a) { return V1_ERF(a); }

#if MLCC_VECTOR
#include "mlcc_vec4.h"
#include "mlcc_vec8.h"
#include "mlcc_vec16.h"
#include "mlcc_ivec4.h"
#include "mlcc_ivec8.h"
#include "mlcc_ivec16.h"
#include "mlcc_narrow4.h"
#include "mlcc_narrow8.h"
#include "mlcc_narrow16.h"
#include "mlcc_dot4.h"
#include "mlcc_dot8.h"
#include "mlcc_dot16.h"
#endif

/* ------------------------------------------------------------------------------------------- the target's own width */

#define MLCC_JOIN3(a, b, c) a##b##c
#define MLCC_JOIN(a, b, c) MLCC_JOIN3(a, b, c)

#if MLCC_VW == 1
typedef float VF;
typedef int32_t VI;
#else
typedef MLCC_JOIN(v, MLCC_VW, f) VF;
typedef MLCC_JOIN(v, MLCC_VW, i) VI;
#endif
#define VF_LD MLCC_JOIN(V, MLCC_VW, _LD)
#define VF_ST MLCC_JOIN(V, MLCC_VW, _ST)
#define VF_GATHER MLCC_JOIN(V, MLCC_VW, _GATHER)
#define VF_SCATTER MLCC_JOIN(V, MLCC_VW, _SCATTER)
#define VF_LDN MLCC_JOIN(V, MLCC_VW, _LDN)
#define VF_STN MLCC_JOIN(V, MLCC_VW, _STN)
#define VF_SET MLCC_JOIN(V, MLCC_VW, _SET)
#define VF_ADD MLCC_JOIN(V, MLCC_VW, _ADD)
#define VF_SUB MLCC_JOIN(V, MLCC_VW, _SUB)
#define VF_MUL MLCC_JOIN(V, MLCC_VW, _MUL)
#define VF_DIV MLCC_JOIN(V, MLCC_VW, _DIV)
#define VF_DIVS MLCC_JOIN(V, MLCC_VW, _DIVS)
#define VF_FMA MLCC_JOIN(V, MLCC_VW, _FMA)
#define VF_MIN MLCC_JOIN(V, MLCC_VW, _MIN)
#define VF_MAX MLCC_JOIN(V, MLCC_VW, _MAX)
#define VF_MINN MLCC_JOIN(V, MLCC_VW, _MINN)
#define VF_MAXN MLCC_JOIN(V, MLCC_VW, _MAXN)
#define VF_NEG MLCC_JOIN(V, MLCC_VW, _NEG)
#define VF_ABS MLCC_JOIN(V, MLCC_VW, _ABS)
#define VF_COPYSIGN MLCC_JOIN(V, MLCC_VW, _COPYSIGN)
#define VF_SQRT MLCC_JOIN(V, MLCC_VW, _SQRT)
#define VF_FLOOR MLCC_JOIN(V, MLCC_VW, _FLOOR)
#define VF_CEIL MLCC_JOIN(V, MLCC_VW, _CEIL)
#define VF_RINT MLCC_JOIN(V, MLCC_VW, _RINT)
#define VF_TRUNC MLCC_JOIN(V, MLCC_VW, _TRUNC)
#define VF_EQ MLCC_JOIN(V, MLCC_VW, _EQ)
#define VF_NE MLCC_JOIN(V, MLCC_VW, _NE)
#define VF_LT MLCC_JOIN(V, MLCC_VW, _LT)
#define VF_LE MLCC_JOIN(V, MLCC_VW, _LE)
#define VF_GT MLCC_JOIN(V, MLCC_VW, _GT)
#define VF_GE MLCC_JOIN(V, MLCC_VW, _GE)
#define VF_SEL MLCC_JOIN(V, MLCC_VW, _SEL)
#define VF_HSUM MLCC_JOIN(V, MLCC_VW, _HSUM)
#define VF_HPROD MLCC_JOIN(V, MLCC_VW, _HPROD)
#define VF_HMIN MLCC_JOIN(V, MLCC_VW, _HMIN)
#define VF_HMAX MLCC_JOIN(V, MLCC_VW, _HMAX)
#define VF_EXP MLCC_JOIN(V, MLCC_VW, _EXP)
#define VF_LOG MLCC_JOIN(V, MLCC_VW, _LOG)
#define VF_TANH MLCC_JOIN(V, MLCC_VW, _TANH)
#define VF_SIGMOID MLCC_JOIN(V, MLCC_VW, _SIGMOID)
#define VF_ERF MLCC_JOIN(V, MLCC_VW, _ERF)
#define VF_SIGMOIDB MLCC_JOIN(V, MLCC_VW, _SIGMOIDB)
#define VF_ERFB MLCC_JOIN(V, MLCC_VW, _ERFB)
#define VF_ERFQ MLCC_JOIN(V, MLCC_VW, _ERFQ)
#define VF_ILD MLCC_JOIN(V, MLCC_VW, _ILD)
#define VF_IST MLCC_JOIN(V, MLCC_VW, _IST)
#define VF_ISET MLCC_JOIN(V, MLCC_VW, _ISET)
#define VF_IADD MLCC_JOIN(V, MLCC_VW, _IADD)
#define VF_ISUB MLCC_JOIN(V, MLCC_VW, _ISUB)
#define VF_IMUL MLCC_JOIN(V, MLCC_VW, _IMUL)
#define VF_ITOF MLCC_JOIN(V, MLCC_VW, _ITOF)
#define VF_FTOI MLCC_JOIN(V, MLCC_VW, _FTOI)
#define VF_LDI8 MLCC_JOIN(V, MLCC_VW, _LDI8)
#define VF_LDU8 MLCC_JOIN(V, MLCC_VW, _LDU8)
#define VF_LDBF MLCC_JOIN(V, MLCC_VW, _LDBF)
#define VF_STBF MLCC_JOIN(V, MLCC_VW, _STBF)
#define VF_STBFZ MLCC_JOIN(V, MLCC_VW, _STBFZ)
#define VF_KEEP MLCC_JOIN(V, MLCC_VW, _KEEP)
#define VF_FENCE MLCC_JOIN(V, MLCC_VW, _FENCE)
#define VF_PIN MLCC_JOIN(V, MLCC_VW, _PIN)

#endif

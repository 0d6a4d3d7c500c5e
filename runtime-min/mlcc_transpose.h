/* SPDX-License-Identifier: 0BSD
 *
 * Square blocks of floats turned over: V16_TRANSPOSE, V8_TRANSPOSE, V4_TRANSPOSE(from, fs, to, ts) set
 * to[i * ts + j] = from[j * fs + i] for i, j < W. Four columns at a time: quarters of W rows are brought side by side,
 * so that unpacking within quarters finishes four rows of the result. The two must not overlap.
 */
#ifndef MLCC_TRANSPOSE_H
#define MLCC_TRANSPOSE_H

#include "mlcc_vec.h"

#if MLCC_X86
static MLCC_INLINE void V4_TRANSPOSE(const float *from, ptrdiff_t fs, float *to, ptrdiff_t ts)
{
    const __m128 a = _mm_loadu_ps(from), b = _mm_loadu_ps(from + fs), c = _mm_loadu_ps(from + 2 * fs), d = _mm_loadu_ps(from + 3 * fs);
    const __m128 p = _mm_unpacklo_ps(a, b), q = _mm_unpackhi_ps(a, b), r = _mm_unpacklo_ps(c, d), s = _mm_unpackhi_ps(c, d);
    _mm_storeu_ps(to, _mm_movelh_ps(p, r));
    _mm_storeu_ps(to + ts, _mm_movehl_ps(r, p));
    _mm_storeu_ps(to + 2 * ts, _mm_movelh_ps(q, s));
    _mm_storeu_ps(to + 3 * ts, _mm_movehl_ps(s, q));
}
#elif MLCC_NEON
static MLCC_INLINE void V4_TRANSPOSE(const float *from, ptrdiff_t fs, float *to, ptrdiff_t ts)
{
    const float32x4x2_t p = vtrnq_f32(vld1q_f32(from), vld1q_f32(from + fs));
    const float32x4x2_t q = vtrnq_f32(vld1q_f32(from + 2 * fs), vld1q_f32(from + 3 * fs));
    vst1q_f32(to, vcombine_f32(vget_low_f32(p.val[0]), vget_low_f32(q.val[0])));
    vst1q_f32(to + ts, vcombine_f32(vget_low_f32(p.val[1]), vget_low_f32(q.val[1])));
    vst1q_f32(to + 2 * ts, vcombine_f32(vget_high_f32(p.val[0]), vget_high_f32(q.val[0])));
    vst1q_f32(to + 3 * ts, vcombine_f32(vget_high_f32(p.val[1]), vget_high_f32(q.val[1])));
}
#else
static inline void V4_TRANSPOSE(const float *from, ptrdiff_t fs, float *to, ptrdiff_t ts)
{
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            to[i * ts + j] = from[j * fs + i];
}
#endif

#if MLCC_X86 && defined(__AVX__)
static MLCC_INLINE __m256 mlcc_rows8(const float *p, ptrdiff_t s)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(p + 4 * s), 1);
}

static MLCC_INLINE void V8_TRANSPOSE(const float *from, ptrdiff_t fs, float *to, ptrdiff_t ts)
{
    for (int i = 0; i < 8; i += 4, from += 4, to += 4 * ts) {
        const __m256 a = mlcc_rows8(from, fs), b = mlcc_rows8(from + fs, fs);
        const __m256 c = mlcc_rows8(from + 2 * fs, fs), d = mlcc_rows8(from + 3 * fs, fs);
        const __m256 p = _mm256_unpacklo_ps(a, b), q = _mm256_unpackhi_ps(a, b), r = _mm256_unpacklo_ps(c, d), s = _mm256_unpackhi_ps(c, d);
        _mm256_storeu_ps(to, _mm256_shuffle_ps(p, r, 0x44));
        _mm256_storeu_ps(to + ts, _mm256_shuffle_ps(p, r, 0xee));
        _mm256_storeu_ps(to + 2 * ts, _mm256_shuffle_ps(q, s, 0x44));
        _mm256_storeu_ps(to + 3 * ts, _mm256_shuffle_ps(q, s, 0xee));
    }
}
#else
static inline void V8_TRANSPOSE(const float *from, ptrdiff_t fs, float *to, ptrdiff_t ts)
{
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 8; j += 4)
            V4_TRANSPOSE(from + (j * fs + i), fs, to + (i * ts + j), ts);
}
#endif

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE __m512 mlcc_rows16(const float *p, ptrdiff_t s)
{
    const __m512 a = _mm512_insertf32x4(_mm512_castps128_ps512(_mm_loadu_ps(p)), _mm_loadu_ps(p + 4 * s), 1);
    return _mm512_insertf32x4(_mm512_insertf32x4(a, _mm_loadu_ps(p + 8 * s), 2), _mm_loadu_ps(p + 12 * s), 3);
}

static MLCC_INLINE void V16_TRANSPOSE(const float *from, ptrdiff_t fs, float *to, ptrdiff_t ts)
{
    for (int i = 0; i < 16; i += 4, from += 4, to += 4 * ts) {
        const __m512 a = mlcc_rows16(from, fs), b = mlcc_rows16(from + fs, fs);
        const __m512 c = mlcc_rows16(from + 2 * fs, fs), d = mlcc_rows16(from + 3 * fs, fs);
        const __m512 p = _mm512_unpacklo_ps(a, b), q = _mm512_unpackhi_ps(a, b), r = _mm512_unpacklo_ps(c, d), s = _mm512_unpackhi_ps(c, d);
        _mm512_storeu_ps(to, _mm512_shuffle_ps(p, r, 0x44));
        _mm512_storeu_ps(to + ts, _mm512_shuffle_ps(p, r, 0xee));
        _mm512_storeu_ps(to + 2 * ts, _mm512_shuffle_ps(q, s, 0x44));
        _mm512_storeu_ps(to + 3 * ts, _mm512_shuffle_ps(q, s, 0xee));
    }
}
#else
static inline void V16_TRANSPOSE(const float *from, ptrdiff_t fs, float *to, ptrdiff_t ts)
{
    for (int i = 0; i < 16; i += 8)
        for (int j = 0; j < 16; j += 8)
            V8_TRANSPOSE(from + (j * fs + i), fs, to + (i * ts + j), ts);
}
#endif

#endif

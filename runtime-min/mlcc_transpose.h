/* SPDX-License-Identifier: 0BSD
 *
 * Square blocks of words of four bytes turned over: V16_TRANSPOSE, V8_TRANSPOSE, V4_TRANSPOSE(from, fs, to, ts) set
 * to[i * ts + j] = from[j * fs + i] for i, j < W; words are moved as they are. Four columns at a time: quarters of W rows are brought
 * side by side, so that unpacking within quarters finishes four rows of the result. V16_TURN(from, fs, a, b, c, d) is one such step: lane j of
 * *a, *b, *c, *d is from[j * fs], from[j * fs + 1], .. + 3; TURNI likewise of i32, TURNU8 and TURNI8 of bytes, widened to 32 bits.
 * Rows zipped: mlcc_zip4(from, fs, to, n) sets to[4 * i + q] = from[q * fs + i] for i < n, q < 4, bytes, and mlcc_zip2 the same of two rows
 * of halves, two bytes each. mlcc_turn16(from, fs, to, ts) turns 16 rows of 16 bytes over. What is read and what is written must not overlap, and need not
 * be aligned.
 */
#ifndef MLCC_TRANSPOSE_H
#define MLCC_TRANSPOSE_H

#include "mlcc_vec.h"

#if MLCC_X86
static MLCC_INLINE __m128 mlcc_row4(const void *p, ptrdiff_t k) { return _mm_castsi128_ps(_mm_loadu_si128((const __m128i *)(const void *)((const char *)p + 4 * k))); }

static MLCC_INLINE void mlcc_put4(void *p, ptrdiff_t k, v4f x) { _mm_storeu_si128((__m128i *)(void *)((char *)p + 4 * k), (__m128i)x); }

static MLCC_INLINE void V4_TURN(const void *from, ptrdiff_t fs, v4f *y0, v4f *y1, v4f *y2, v4f *y3)
{
    const __m128 a = mlcc_row4(from, 0), b = mlcc_row4(from, fs), c = mlcc_row4(from, 2 * fs), d = mlcc_row4(from, 3 * fs);
    const __m128 p = _mm_unpacklo_ps(a, b), q = _mm_unpackhi_ps(a, b), r = _mm_unpacklo_ps(c, d), s = _mm_unpackhi_ps(c, d);
    *y0 = (v4f)_mm_movelh_ps(p, r);
    *y1 = (v4f)_mm_movehl_ps(r, p);
    *y2 = (v4f)_mm_movelh_ps(q, s);
    *y3 = (v4f)_mm_movehl_ps(s, q);
}
#elif MLCC_NEON
static MLCC_INLINE float32x4_t mlcc_row4(const void *p, ptrdiff_t k) { return vreinterpretq_f32_u8(vld1q_u8((const uint8_t *)p + 4 * k)); }

static MLCC_INLINE void mlcc_put4(void *p, ptrdiff_t k, v4f x) { vst1q_u8((uint8_t *)p + 4 * k, vreinterpretq_u8_f32((float32x4_t)x)); }

static MLCC_INLINE void V4_TURN(const void *from, ptrdiff_t fs, v4f *y0, v4f *y1, v4f *y2, v4f *y3)
{
    const float32x4x2_t p = vtrnq_f32(mlcc_row4(from, 0), mlcc_row4(from, fs)), q = vtrnq_f32(mlcc_row4(from, 2 * fs), mlcc_row4(from, 3 * fs));
    *y0 = (v4f)vcombine_f32(vget_low_f32(p.val[0]), vget_low_f32(q.val[0]));
    *y1 = (v4f)vcombine_f32(vget_low_f32(p.val[1]), vget_low_f32(q.val[1]));
    *y2 = (v4f)vcombine_f32(vget_high_f32(p.val[0]), vget_high_f32(q.val[0]));
    *y3 = (v4f)vcombine_f32(vget_high_f32(p.val[1]), vget_high_f32(q.val[1]));
}
#elif MLCC_VECTOR
static MLCC_INLINE void V4_TURN(const void *from, ptrdiff_t fs, v4f *y0, v4f *y1, v4f *y2, v4f *y3)
{
    for (int j = 0; j < 4; j++) {
        float row[4];
        memcpy(row, (const char *)from + 4 * j * fs, sizeof row);
        (*y0)[j] = row[0];
        (*y1)[j] = row[1];
        (*y2)[j] = row[2];
        (*y3)[j] = row[3];
    }
}
#endif

#if MLCC_X86 || MLCC_NEON
static MLCC_INLINE void V4_TRANSPOSE(const void *from, ptrdiff_t fs, void *to, ptrdiff_t ts)
{
    v4f a, b, c, d;
    V4_TURN(from, fs, &a, &b, &c, &d);
    mlcc_put4(to, 0, a);
    mlcc_put4(to, ts, b);
    mlcc_put4(to, 2 * ts, c);
    mlcc_put4(to, 3 * ts, d);
}
#else
static inline void V4_TRANSPOSE(const void *from, ptrdiff_t fs, void *to, ptrdiff_t ts)
{
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            memcpy((char *)to + 4 * (i * ts + j), (const char *)from + 4 * (j * fs + i), 4);
}
#endif

#if MLCC_X86 && defined(__AVX__)
static MLCC_INLINE __m256 mlcc_rows8(const void *p, ptrdiff_t k, ptrdiff_t s)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(mlcc_row4(p, k)), mlcc_row4(p, k + 4 * s), 1);
}

static MLCC_INLINE void mlcc_put8(void *p, ptrdiff_t k, v8f x) { _mm256_storeu_si256((__m256i *)(void *)((char *)p + 4 * k), (__m256i)x); }

static MLCC_INLINE void V8_TURN(const void *from, ptrdiff_t fs, v8f *y0, v8f *y1, v8f *y2, v8f *y3)
{
    const __m256 a = mlcc_rows8(from, 0, fs), b = mlcc_rows8(from, fs, fs), c = mlcc_rows8(from, 2 * fs, fs), d = mlcc_rows8(from, 3 * fs, fs);
    const __m256 p = _mm256_unpacklo_ps(a, b), q = _mm256_unpackhi_ps(a, b), r = _mm256_unpacklo_ps(c, d), s = _mm256_unpackhi_ps(c, d);
    *y0 = (v8f)_mm256_shuffle_ps(p, r, 0x44);
    *y1 = (v8f)_mm256_shuffle_ps(p, r, 0xee);
    *y2 = (v8f)_mm256_shuffle_ps(q, s, 0x44);
    *y3 = (v8f)_mm256_shuffle_ps(q, s, 0xee);
}

static MLCC_INLINE void V8_TRANSPOSE(const void *from, ptrdiff_t fs, void *to, ptrdiff_t ts)
{
    for (ptrdiff_t i = 0; i < 8; i += 4) {
        v8f a, b, c, d;
        V8_TURN((const char *)from + 4 * i, fs, &a, &b, &c, &d);
        mlcc_put8(to, i * ts, a);
        mlcc_put8(to, (i + 1) * ts, b);
        mlcc_put8(to, (i + 2) * ts, c);
        mlcc_put8(to, (i + 3) * ts, d);
    }
}
#else
#if MLCC_VECTOR
static MLCC_INLINE void V8_TURN(const void *from, ptrdiff_t fs, v8f *y0, v8f *y1, v8f *y2, v8f *y3)
{
    for (int j = 0; j < 8; j++) {
        float row[4];
        memcpy(row, (const char *)from + 4 * j * fs, sizeof row);
        (*y0)[j] = row[0];
        (*y1)[j] = row[1];
        (*y2)[j] = row[2];
        (*y3)[j] = row[3];
    }
}
#endif

static inline void V8_TRANSPOSE(const void *from, ptrdiff_t fs, void *to, ptrdiff_t ts)
{
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 8; j += 4)
            V4_TRANSPOSE((const char *)from + 4 * (j * fs + i), fs, (char *)to + 4 * (i * ts + j), ts);
}
#endif

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE __m512 mlcc_rows16(const void *p, ptrdiff_t k, ptrdiff_t s)
{
    const __m512 a = _mm512_insertf32x4(_mm512_castps128_ps512(mlcc_row4(p, k)), mlcc_row4(p, k + 4 * s), 1);
    return _mm512_insertf32x4(_mm512_insertf32x4(a, mlcc_row4(p, k + 8 * s), 2), mlcc_row4(p, k + 12 * s), 3);
}

static MLCC_INLINE void mlcc_put16(void *p, ptrdiff_t k, v16f x) { _mm512_storeu_ps((char *)p + 4 * k, (__m512)x); }

static MLCC_INLINE void V16_TURN(const void *from, ptrdiff_t fs, v16f *y0, v16f *y1, v16f *y2, v16f *y3)
{
    const __m512 a = mlcc_rows16(from, 0, fs), b = mlcc_rows16(from, fs, fs), c = mlcc_rows16(from, 2 * fs, fs), d = mlcc_rows16(from, 3 * fs, fs);
    const __m512 p = _mm512_unpacklo_ps(a, b), q = _mm512_unpackhi_ps(a, b), r = _mm512_unpacklo_ps(c, d), s = _mm512_unpackhi_ps(c, d);
    *y0 = (v16f)_mm512_shuffle_ps(p, r, 0x44);
    *y1 = (v16f)_mm512_shuffle_ps(p, r, 0xee);
    *y2 = (v16f)_mm512_shuffle_ps(q, s, 0x44);
    *y3 = (v16f)_mm512_shuffle_ps(q, s, 0xee);
}

static MLCC_INLINE void V16_TRANSPOSE(const void *from, ptrdiff_t fs, void *to, ptrdiff_t ts)
{
    for (ptrdiff_t i = 0; i < 16; i += 4) {
        v16f a, b, c, d;
        V16_TURN((const char *)from + 4 * i, fs, &a, &b, &c, &d);
        mlcc_put16(to, i * ts, a);
        mlcc_put16(to, (i + 1) * ts, b);
        mlcc_put16(to, (i + 2) * ts, c);
        mlcc_put16(to, (i + 3) * ts, d);
    }
}
#else
#if MLCC_VECTOR
static MLCC_INLINE void V16_TURN(const void *from, ptrdiff_t fs, v16f *y0, v16f *y1, v16f *y2, v16f *y3)
{
    for (int j = 0; j < 16; j++) {
        float row[4];
        memcpy(row, (const char *)from + 4 * j * fs, sizeof row);
        (*y0)[j] = row[0];
        (*y1)[j] = row[1];
        (*y2)[j] = row[2];
        (*y3)[j] = row[3];
    }
}
#endif

static inline void V16_TRANSPOSE(const void *from, ptrdiff_t fs, void *to, ptrdiff_t ts)
{
    for (int i = 0; i < 16; i += 8)
        for (int j = 0; j < 16; j += 8)
            V8_TRANSPOSE((const char *)from + 4 * (j * fs + i), fs, (char *)to + 4 * (i * ts + j), ts);
}
#endif

/* Four bytes of each row, fs bytes apart (less than 2^27). */
#if MLCC_VECTOR
static MLCC_INLINE v4i mlcc_v4_words(const void *from, ptrdiff_t fs)
{
    int32_t word[4];
    for (int j = 0; j < 4; j++)
        memcpy(&word[j], (const char *)from + j * fs, 4);
    return V4_ILD(word);
}
#endif

#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE v8i mlcc_v8_words(const void *from, ptrdiff_t fs)
{
    const __m256i row = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return (v8i)_mm256_i32gather_epi32((const int *)from, _mm256_mullo_epi32(row, _mm256_set1_epi32((int)fs)), 1);
}
#elif MLCC_VECTOR
static MLCC_INLINE v8i mlcc_v8_words(const void *from, ptrdiff_t fs)
{
    int32_t word[8];
    for (int j = 0; j < 8; j++)
        memcpy(&word[j], (const char *)from + j * fs, 4);
    return V8_ILD(word);
}
#endif

#if MLCC_X86 && defined(__AVX512F__)
static MLCC_INLINE v16i mlcc_v16_words(const void *from, ptrdiff_t fs)
{
    const __m512i low = _mm512_castsi256_si512((__m256i)mlcc_v8_words(from, fs));
    return (v16i)_mm512_inserti64x4(low, (__m256i)mlcc_v8_words((const char *)from + 8 * fs, fs), 1);
}
#elif MLCC_VECTOR
static MLCC_INLINE v16i mlcc_v16_words(const void *from, ptrdiff_t fs)
{
    int32_t word[16];
    for (int j = 0; j < 16; j++)
        memcpy(&word[j], (const char *)from + j * fs, 4);
    return V16_ILD(word);
}
#endif

#if MLCC_VECTOR
static MLCC_INLINE void V4_TURNI(const void *from, ptrdiff_t fs, v4i *y0, v4i *y1, v4i *y2, v4i *y3)
{
    v4f a, b, c, d;
    V4_TURN(from, fs, &a, &b, &c, &d);
    *y0 = (v4i)a;
    *y1 = (v4i)b;
    *y2 = (v4i)c;
    *y3 = (v4i)d;
}

static MLCC_INLINE void V4_TURNU8(const void *from, ptrdiff_t fs, v4i *y0, v4i *y1, v4i *y2, v4i *y3)
{
    const v4i word = mlcc_v4_words(from, fs), low = V4_ISET(255);
    *y0 = word & low;
    *y1 = word >> 8 & low;
    *y2 = word >> 16 & low;
    *y3 = word >> 24 & low;
}

static MLCC_INLINE void V4_TURNI8(const void *from, ptrdiff_t fs, v4i *y0, v4i *y1, v4i *y2, v4i *y3)
{
    const v4u word = (v4u)mlcc_v4_words(from, fs);
    *y0 = (v4i)(word << 24) >> 24;
    *y1 = (v4i)(word << 16) >> 24;
    *y2 = (v4i)(word << 8) >> 24;
    *y3 = (v4i)word >> 24;
}
#endif

#if MLCC_VECTOR
static MLCC_INLINE void V8_TURNI(const void *from, ptrdiff_t fs, v8i *y0, v8i *y1, v8i *y2, v8i *y3)
{
    v8f a, b, c, d;
    V8_TURN(from, fs, &a, &b, &c, &d);
    *y0 = (v8i)a;
    *y1 = (v8i)b;
    *y2 = (v8i)c;
    *y3 = (v8i)d;
}

static MLCC_INLINE void V8_TURNU8(const void *from, ptrdiff_t fs, v8i *y0, v8i *y1, v8i *y2, v8i *y3)
{
    const v8i word = mlcc_v8_words(from, fs), low = V8_ISET(255);
    *y0 = word & low;
    *y1 = word >> 8 & low;
    *y2 = word >> 16 & low;
    *y3 = word >> 24 & low;
}

static MLCC_INLINE void V8_TURNI8(const void *from, ptrdiff_t fs, v8i *y0, v8i *y1, v8i *y2, v8i *y3)
{
    const v8u word = (v8u)mlcc_v8_words(from, fs);
    *y0 = (v8i)(word << 24) >> 24;
    *y1 = (v8i)(word << 16) >> 24;
    *y2 = (v8i)(word << 8) >> 24;
    *y3 = (v8i)word >> 24;
}
#endif

#if MLCC_VECTOR
static MLCC_INLINE void V16_TURNI(const void *from, ptrdiff_t fs, v16i *y0, v16i *y1, v16i *y2, v16i *y3)
{
    v16f a, b, c, d;
    V16_TURN(from, fs, &a, &b, &c, &d);
    *y0 = (v16i)a;
    *y1 = (v16i)b;
    *y2 = (v16i)c;
    *y3 = (v16i)d;
}

static MLCC_INLINE void V16_TURNU8(const void *from, ptrdiff_t fs, v16i *y0, v16i *y1, v16i *y2, v16i *y3)
{
    const v16i word = mlcc_v16_words(from, fs), low = V16_ISET(255);
    *y0 = word & low;
    *y1 = word >> 8 & low;
    *y2 = word >> 16 & low;
    *y3 = word >> 24 & low;
}

static MLCC_INLINE void V16_TURNI8(const void *from, ptrdiff_t fs, v16i *y0, v16i *y1, v16i *y2, v16i *y3)
{
    const v16u word = (v16u)mlcc_v16_words(from, fs);
    *y0 = (v16i)(word << 24) >> 24;
    *y1 = (v16i)(word << 16) >> 24;
    *y2 = (v16i)(word << 8) >> 24;
    *y3 = (v16i)word >> 24;
}
#endif

/* Vectors of 16 bytes: four rows of bytes, two of halves. */
#if MLCC_X86
static MLCC_INLINE __m128i mlcc_row(const void *p, ptrdiff_t bytes) { return _mm_loadu_si128((const __m128i *)(const void *)((const char *)p + bytes)); }

static MLCC_INLINE void mlcc_zip4_vector(const void *from, ptrdiff_t fs, void *to)
{
    const __m128i a = mlcc_row(from, 0), b = mlcc_row(from, fs), c = mlcc_row(from, 2 * fs), d = mlcc_row(from, 3 * fs);
    const __m128i p = _mm_unpacklo_epi8(a, b), q = _mm_unpackhi_epi8(a, b), r = _mm_unpacklo_epi8(c, d), s = _mm_unpackhi_epi8(c, d);
    __m128i *t = (__m128i *)to;
    _mm_storeu_si128(t, _mm_unpacklo_epi16(p, r));
    _mm_storeu_si128(t + 1, _mm_unpackhi_epi16(p, r));
    _mm_storeu_si128(t + 2, _mm_unpacklo_epi16(q, s));
    _mm_storeu_si128(t + 3, _mm_unpackhi_epi16(q, s));
}

static MLCC_INLINE void mlcc_zip2_vector(const void *from, ptrdiff_t fs, void *to)
{
    const __m128i a = mlcc_row(from, 0), b = mlcc_row(from, 2 * fs);
    __m128i *t = (__m128i *)to;
    _mm_storeu_si128(t, _mm_unpacklo_epi16(a, b));
    _mm_storeu_si128(t + 1, _mm_unpackhi_epi16(a, b));
}
#elif MLCC_NEON
static MLCC_INLINE void mlcc_zip4_vector(const void *from, ptrdiff_t fs, void *to)
{
    const uint8_t *f = (const uint8_t *)from;
    const uint8x16x4_t rows = {{vld1q_u8(f), vld1q_u8(f + fs), vld1q_u8(f + 2 * fs), vld1q_u8(f + 3 * fs)}};
    vst4q_u8((uint8_t *)to, rows);
}

static MLCC_INLINE void mlcc_zip2_vector(const void *from, ptrdiff_t fs, void *to)
{
    const uint8_t *f = (const uint8_t *)from;
    const uint16x8x2_t rows = vzipq_u16(vreinterpretq_u16_u8(vld1q_u8(f)), vreinterpretq_u16_u8(vld1q_u8(f + 2 * fs)));
    vst1q_u8((uint8_t *)to, vreinterpretq_u8_u16(rows.val[0]));
    vst1q_u8((uint8_t *)to + 16, vreinterpretq_u8_u16(rows.val[1]));
}
#else
static inline void mlcc_zip4_vector(const void *from, ptrdiff_t fs, void *to)
{
    for (int i = 0; i < 16; i++)
        for (int q = 0; q < 4; q++)
            ((char *)to)[4 * i + q] = ((const char *)from)[q * fs + i];
}

static inline void mlcc_zip2_vector(const void *from, ptrdiff_t fs, void *to)
{
    for (int i = 0; i < 8; i++)
        for (int q = 0; q < 2; q++)
            memcpy((char *)to + 4 * i + 2 * q, (const char *)from + 2 * (q * fs + i), 2);
}
#endif

static inline void mlcc_zip4(const void *from, ptrdiff_t fs, void *to, ptrdiff_t n)
{
    const ptrdiff_t whole = n - n % 16;
    for (ptrdiff_t i = 0; i < whole; i += 16)
        mlcc_zip4_vector((const char *)from + i, fs, (char *)to + 4 * i);
    for (ptrdiff_t i = whole; i < n; i++)
        for (int q = 0; q < 4; q++)
            ((char *)to)[4 * i + q] = ((const char *)from)[q * fs + i];
}

static inline void mlcc_zip2(const void *from, ptrdiff_t fs, void *to, ptrdiff_t n)
{
    const ptrdiff_t whole = n - n % 8;
    for (ptrdiff_t i = 0; i < whole; i += 8)
        mlcc_zip2_vector((const char *)from + 2 * i, fs, (char *)to + 4 * i);
    for (ptrdiff_t i = whole; i < n; i++)
        for (int q = 0; q < 2; q++)
            memcpy((char *)to + 4 * i + 2 * q, (const char *)from + 2 * (q * fs + i), 2);
}

/* Rows i and i + 8 zipped, four times: then each has one byte of every row. Loops would keep them in memory. */
#if MLCC_X86
static MLCC_INLINE void mlcc_zip_pair(__m128i a, __m128i b, __m128i *to)
{
    to[0] = _mm_unpacklo_epi8(a, b);
    to[1] = _mm_unpackhi_epi8(a, b);
}

static MLCC_INLINE void mlcc_zip_rows(const __m128i *r, __m128i *to)
{
    mlcc_zip_pair(r[0], r[8], to);
    mlcc_zip_pair(r[1], r[9], to + 2);
    mlcc_zip_pair(r[2], r[10], to + 4);
    mlcc_zip_pair(r[3], r[11], to + 6);
    mlcc_zip_pair(r[4], r[12], to + 8);
    mlcc_zip_pair(r[5], r[13], to + 10);
    mlcc_zip_pair(r[6], r[14], to + 12);
    mlcc_zip_pair(r[7], r[15], to + 14);
}

static MLCC_INLINE void mlcc_load_rows(const void *from, ptrdiff_t fs, __m128i *r)
{
    r[0] = mlcc_row(from, 0);
    r[1] = mlcc_row(from, fs);
    r[2] = mlcc_row(from, 2 * fs);
    r[3] = mlcc_row(from, 3 * fs);
    r[4] = mlcc_row(from, 4 * fs);
    r[5] = mlcc_row(from, 5 * fs);
    r[6] = mlcc_row(from, 6 * fs);
    r[7] = mlcc_row(from, 7 * fs);
}

static MLCC_INLINE void mlcc_store_rows(const __m128i *r, void *to, ptrdiff_t ts)
{
    _mm_storeu_si128((__m128i *)(void *)((char *)to), r[0]);
    _mm_storeu_si128((__m128i *)(void *)((char *)to + ts), r[1]);
    _mm_storeu_si128((__m128i *)(void *)((char *)to + 2 * ts), r[2]);
    _mm_storeu_si128((__m128i *)(void *)((char *)to + 3 * ts), r[3]);
    _mm_storeu_si128((__m128i *)(void *)((char *)to + 4 * ts), r[4]);
    _mm_storeu_si128((__m128i *)(void *)((char *)to + 5 * ts), r[5]);
    _mm_storeu_si128((__m128i *)(void *)((char *)to + 6 * ts), r[6]);
    _mm_storeu_si128((__m128i *)(void *)((char *)to + 7 * ts), r[7]);
}

static inline void mlcc_turn16(const void *from, ptrdiff_t fs, void *to, ptrdiff_t ts)
{
    __m128i r[16], t[16];
    mlcc_load_rows(from, fs, r);
    mlcc_load_rows((const char *)from + 8 * fs, fs, r + 8);
    mlcc_zip_rows(r, t);
    mlcc_zip_rows(t, r);
    mlcc_zip_rows(r, t);
    mlcc_zip_rows(t, r);
    mlcc_store_rows(r, to, ts);
    mlcc_store_rows(r + 8, (char *)to + 8 * ts, ts);
}
#else
static inline void mlcc_turn16(const void *from, ptrdiff_t fs, void *to, ptrdiff_t ts)
{
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++)
            ((char *)to)[i * ts + j] = ((const char *)from)[j * fs + i];
}
#endif

#endif

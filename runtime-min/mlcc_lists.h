/* SPDX-License-Identifier: 0BSD
 *
 * Products with a constant of bytes of which few are not 0, held as lists (ir/blob_lists.c):
 *
 *   to[i] = sum(k) x[k * xs + i] * w[row][k]      i < n, x unsigned, w signed
 *
 * lists: where the list of each row begins, rows + 1 of uint32_t, in quads; then the quads, four k of uint16_t and the four bytes there, which fill a row's
 * last one with 0. Of neighbours of a quad, 0 and 1, 2 and 3, those of one sign add up to 128 at most, so that the sum of two products has 16 bits.
 * Four rows of x are zipped, so lanes are i. n is one vector of bytes or more, 32 with V8, 16 with V4; what is left is made with the last.
 */
#ifndef MLCC_LISTS_H
#define MLCC_LISTS_H

#include "mlcc_vec.h"

#define MLCC_QUAD_BYTES 12

typedef struct mlcc_list { const unsigned char *at, *end; } mlcc_list;

static inline mlcc_list mlcc_list_of(const void *lists, ptrdiff_t rows, ptrdiff_t row)
{
    const unsigned char *p = (const unsigned char *)lists, *quads = p + 4 * (rows + 1);
    uint32_t range[2];
    memcpy(range, p + 4 * row, sizeof range);
    const mlcc_list l = {quads + (size_t)MLCC_QUAD_BYTES * range[0], quads + (size_t)MLCC_QUAD_BYTES * range[1]};
    return l;
}

/* Element by element, where there is nothing better. */
static inline void mlcc_listed(int32_t *to, const uint8_t *x, ptrdiff_t xs, const void *lists, ptrdiff_t rows, ptrdiff_t row, ptrdiff_t n)
{
    const mlcc_list l = mlcc_list_of(lists, rows, row);
    for (ptrdiff_t i = 0; i < n; i++)
        to[i] = 0;
    for (const unsigned char *p = l.at; p < l.end; p += MLCC_QUAD_BYTES) {
        uint16_t k[4];
        int8_t w[4];
        memcpy(k, p, sizeof k);
        memcpy(w, p + sizeof k, sizeof w);
        for (int q = 0; q < 4; q++)
            for (ptrdiff_t i = 0; i < n; i++)
                to[i] += x[k[q] * xs + i] * w[q];
    }
}

/* The four k of a quad, and its bytes. */
static MLCC_INLINE int32_t mlcc_list_quad(const unsigned char *p, uint16_t *k)
{
    int32_t w;
    memcpy(k, p, 8);
    memcpy(&w, p + 8, sizeof w);
    return w;
}

#if MLCC_X86 && defined(__SSSE3__)
/* 16 rows of products of a quad, lanes in order. */
static MLCC_INLINE __m128i mlcc_v4_add_quad(__m128i quads, __m128i w, __m128i c)
{
    return _mm_add_epi32(c, _mm_madd_epi16(_mm_maddubs_epi16(quads, w), _mm_set1_epi16(1)));
}

static MLCC_INLINE void mlcc_v4_listed(const uint8_t *x, ptrdiff_t xs, const uint16_t *k, __m128i w, __m128i *c0, __m128i *c1, __m128i *c2, __m128i *c3)
{
    const __m128i a = _mm_loadu_si128((const __m128i *)(const void *)(x + k[0] * xs)), b = _mm_loadu_si128((const __m128i *)(const void *)(x + k[1] * xs));
    const __m128i c = _mm_loadu_si128((const __m128i *)(const void *)(x + k[2] * xs)), d = _mm_loadu_si128((const __m128i *)(const void *)(x + k[3] * xs));
    const __m128i p = _mm_unpacklo_epi8(a, b), q = _mm_unpackhi_epi8(a, b), r = _mm_unpacklo_epi8(c, d), s = _mm_unpackhi_epi8(c, d);
    *c0 = mlcc_v4_add_quad(_mm_unpacklo_epi16(p, r), w, *c0);
    *c1 = mlcc_v4_add_quad(_mm_unpackhi_epi16(p, r), w, *c1);
    *c2 = mlcc_v4_add_quad(_mm_unpacklo_epi16(q, s), w, *c2);
    *c3 = mlcc_v4_add_quad(_mm_unpackhi_epi16(q, s), w, *c3);
}

static inline void V4_LISTED(int32_t *to, const uint8_t *x, ptrdiff_t xs, const void *lists, ptrdiff_t rows, ptrdiff_t row, ptrdiff_t n)
{
    const mlcc_list l = mlcc_list_of(lists, rows, row);
    for (ptrdiff_t at = 0; at < n; at += 16) {
        const ptrdiff_t i = at + 16 <= n ? at : n - 16;
        __m128i c0 = _mm_setzero_si128(), c1 = c0, c2 = c0, c3 = c0;
        for (const unsigned char *p = l.at; p < l.end; p += MLCC_QUAD_BYTES) {
            uint16_t k[4];
            const int32_t w = mlcc_list_quad(p, k);
            mlcc_v4_listed(x + i, xs, k, _mm_set1_epi32(w), &c0, &c1, &c2, &c3);
        }
        __m128i *t = (__m128i *)(void *)(to + i);
        _mm_storeu_si128(t, c0);
        _mm_storeu_si128(t + 1, c1);
        _mm_storeu_si128(t + 2, c2);
        _mm_storeu_si128(t + 3, c3);
    }
}
#else
static inline void V4_LISTED(int32_t *to, const uint8_t *x, ptrdiff_t xs, const void *lists, ptrdiff_t rows, ptrdiff_t row, ptrdiff_t n) { mlcc_listed(to, x, xs, lists, rows, row, n); }
#endif

#if MLCC_X86 && defined(__AVX2__)
static MLCC_INLINE __m256i mlcc_v8_add_quad(__m256i quads, __m256i w, __m256i c)
{
    return _mm256_add_epi32(c, _mm256_madd_epi16(_mm256_maddubs_epi16(quads, w), _mm256_set1_epi16(1)));
}

/* 32 rows, halves of c0 those 0 to 3 and 16 to 19, of c1 4 to 7 and 20 to 23, and so on. */
static MLCC_INLINE void mlcc_v8_listed(const uint8_t *x, ptrdiff_t xs, const uint16_t *k, __m256i w, __m256i *c0, __m256i *c1, __m256i *c2, __m256i *c3)
{
    const __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)(x + k[0] * xs)), b = _mm256_loadu_si256((const __m256i *)(const void *)(x + k[1] * xs));
    const __m256i c = _mm256_loadu_si256((const __m256i *)(const void *)(x + k[2] * xs)), d = _mm256_loadu_si256((const __m256i *)(const void *)(x + k[3] * xs));
    const __m256i p = _mm256_unpacklo_epi8(a, b), q = _mm256_unpackhi_epi8(a, b), r = _mm256_unpacklo_epi8(c, d), s = _mm256_unpackhi_epi8(c, d);
    *c0 = mlcc_v8_add_quad(_mm256_unpacklo_epi16(p, r), w, *c0);
    *c1 = mlcc_v8_add_quad(_mm256_unpackhi_epi16(p, r), w, *c1);
    *c2 = mlcc_v8_add_quad(_mm256_unpacklo_epi16(q, s), w, *c2);
    *c3 = mlcc_v8_add_quad(_mm256_unpackhi_epi16(q, s), w, *c3);
}

static MLCC_INLINE void mlcc_v8_put_listed(int32_t *to, __m256i c0, __m256i c1, __m256i c2, __m256i c3)
{
    __m256i *t = (__m256i *)(void *)to;
    _mm256_storeu_si256(t, _mm256_permute2x128_si256(c0, c1, 0x20));
    _mm256_storeu_si256(t + 1, _mm256_permute2x128_si256(c2, c3, 0x20));
    _mm256_storeu_si256(t + 2, _mm256_permute2x128_si256(c0, c1, 0x31));
    _mm256_storeu_si256(t + 3, _mm256_permute2x128_si256(c2, c3, 0x31));
}

static inline void mlcc_v8_listed32(int32_t *to, const uint8_t *x, ptrdiff_t xs, mlcc_list l)
{
    __m256i c0 = _mm256_setzero_si256(), c1 = c0, c2 = c0, c3 = c0;
    for (const unsigned char *p = l.at; p < l.end; p += MLCC_QUAD_BYTES) {
        uint16_t k[4];
        const int32_t w = mlcc_list_quad(p, k);
        mlcc_v8_listed(x, xs, k, _mm256_set1_epi32(w), &c0, &c1, &c2, &c3);
    }
    mlcc_v8_put_listed(to, c0, c1, c2, c3);
}

/* Twice as many: the quads are read half as often, and two lines of a row of x together. */
static inline void mlcc_v8_listed64(int32_t *to, const uint8_t *x, ptrdiff_t xs, mlcc_list l)
{
    __m256i c0 = _mm256_setzero_si256(), c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0, c7 = c0;
    for (const unsigned char *p = l.at; p < l.end; p += MLCC_QUAD_BYTES) {
        uint16_t k[4];
        const int32_t w = mlcc_list_quad(p, k);
        mlcc_v8_listed(x, xs, k, _mm256_set1_epi32(w), &c0, &c1, &c2, &c3);
        mlcc_v8_listed(x + 32, xs, k, _mm256_set1_epi32(w), &c4, &c5, &c6, &c7);
    }
    mlcc_v8_put_listed(to, c0, c1, c2, c3);
    mlcc_v8_put_listed(to + 32, c4, c5, c6, c7);
}

static inline void V8_LISTED(int32_t *to, const uint8_t *x, ptrdiff_t xs, const void *lists, ptrdiff_t rows, ptrdiff_t row, ptrdiff_t n)
{
    const mlcc_list l = mlcc_list_of(lists, rows, row);
    ptrdiff_t at = 0;
    for (; at + 64 <= n; at += 64)
        mlcc_v8_listed64(to + at, x + at, xs, l);
    for (; at < n; at += 32) {
        const ptrdiff_t i = at + 32 <= n ? at : n - 32;
        mlcc_v8_listed32(to + i, x + i, xs, l);
    }
}
#else
static inline void V8_LISTED(int32_t *to, const uint8_t *x, ptrdiff_t xs, const void *lists, ptrdiff_t rows, ptrdiff_t row, ptrdiff_t n) { mlcc_listed(to, x, xs, lists, rows, row, n); }
#endif

#endif

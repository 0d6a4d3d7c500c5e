/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 (FIPS 180-4). Models have hundreds of megabytes, so x86 processors that have instructions for it use them:
 * five times as fast. Both ways are held to the same test vectors.
 */
#include "sha256.h"

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

enum { BLOCK = 64, STEP = 1 << 13 }; /* bytes; blocks between two calls of seen */

static const uint32_t k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

typedef void (*BlocksFn)(uint32_t h[8], const uint8_t *p, size_t blocks);

static uint32_t rotr(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static uint32_t load_be(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* One round; the caller turns the names of the eight words instead of moving them. */
static inline void one_round(uint32_t a, uint32_t b, uint32_t c, uint32_t *d, uint32_t e, uint32_t f, uint32_t g,
                             uint32_t *h, uint32_t kw)
{
    const uint32_t t = *h + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & f) ^ (~e & g)) + kw;
    *d += t;
    *h = t + (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
}

static void one_block(uint32_t h[8], const uint8_t *p)
{
    uint32_t w[64], s[8];
    for (int t = 0; t < 16; t++) w[t] = load_be(p + 4 * t);
    for (int t = 16; t < 64; t++) {
        const uint32_t a = w[t - 15], b = w[t - 2];
        w[t] = (rotr(b, 17) ^ rotr(b, 19) ^ b >> 10) + w[t - 7] + (rotr(a, 7) ^ rotr(a, 18) ^ a >> 3) + w[t - 16];
    }
    memcpy(s, h, sizeof s);
    for (int t = 0; t < 64; t += 8)
        for (int i = 0; i < 8; i++)
            one_round(s[(8 - i) & 7], s[(9 - i) & 7], s[(10 - i) & 7], &s[(11 - i) & 7], s[(12 - i) & 7],
                      s[(13 - i) & 7], s[(14 - i) & 7], &s[(15 - i) & 7], k[t + i] + w[t + i]);
    for (int i = 0; i < 8; i++) h[i] += s[i];
}

static void blocks_c(uint32_t h[8], const uint8_t *p, size_t blocks)
{
    for (; blocks; blocks--, p += BLOCK) one_block(h, p);
}

#if defined(__x86_64__)
/* The instructions keep the state as the words (a b e f) and (c d g h), highest lane first, and do two rounds each. */
__attribute__((target("sha,sse4.1"))) static void blocks_x86(uint32_t h[8], const uint8_t *p, size_t blocks)
{
    const __m128i swap = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
    __m128i abef = _mm_set_epi32((int)h[0], (int)h[1], (int)h[4], (int)h[5]);
    __m128i cdgh = _mm_set_epi32((int)h[2], (int)h[3], (int)h[6], (int)h[7]);
    for (; blocks; blocks--, p += BLOCK) {
        const __m128i abef0 = abef, cdgh0 = cdgh;
        __m128i w[4];
        for (int i = 0; i < 16; i++) {
            if (i < 4) {
                w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)p + i), swap);
            } else { /* w[t] from w[t-16], w[t-15], w[t-7], w[t-2], four at a time in a ring of four vectors */
                const __m128i last = w[(i + 3) & 3], seven = _mm_alignr_epi8(last, w[(i + 2) & 3], 4);
                const __m128i part = _mm_add_epi32(_mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]), seven);
                w[i & 3] = _mm_sha256msg2_epu32(part, last);
            }
            const __m128i kw = _mm_add_epi32(w[i & 3], _mm_loadu_si128((const __m128i *)(const void *)(k + 4 * i)));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, kw);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(kw, 0x0e));
        }
        abef = _mm_add_epi32(abef, abef0);
        cdgh = _mm_add_epi32(cdgh, cdgh0);
    }
    uint32_t s[8];
    _mm_storeu_si128((__m128i *)(void *)s, abef);
    _mm_storeu_si128((__m128i *)(void *)(s + 4), cdgh);
    const uint8_t from[8] = {3, 2, 7, 6, 1, 0, 5, 4};
    for (int i = 0; i < 8; i++) h[i] = s[from[i]];
}

static BlocksFn choose(void)
{
    unsigned a, b, c, d;
    const int has_sse41 = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSE4_1) && (c & bit_SSSE3);
    const int has_sha = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
    return has_sse41 && has_sha ? blocks_x86 : blocks_c;
}
#else
static BlocksFn choose(void)
{
    return blocks_c;
}
#endif

static void digest(BlocksFn blocks, const uint8_t *p, size_t n, void (*seen)(const void *ctx), const void *ctx, char hex[65])
{
    uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint8_t tail[2 * BLOCK] = {0};
    const size_t whole = n / BLOCK, rest = n % BLOCK, ntail = rest < BLOCK - 8 ? 1 : 2;
    for (size_t done = 0; done < whole; done += STEP) {
        blocks(h, p + done * BLOCK, whole - done < STEP ? whole - done : STEP);
        if (seen) seen(ctx);
    }
    if (rest) memcpy(tail, p + whole * BLOCK, rest);
    tail[rest] = 0x80; /* then zeros, then the length in bits */
    for (int i = 0; i < 8; i++) tail[ntail * BLOCK - 1 - (size_t)i] = (uint8_t)((uint64_t)n * 8 >> 8 * i);
    blocks(h, tail, ntail);
    for (int i = 0; i < 64; i++) hex[i] = "0123456789abcdef"[h[i / 8] >> (28 - i % 8 * 4) & 15];
    hex[64] = 0;
}

void sha256_hex(const void *p, size_t n, void (*seen)(const void *ctx), const void *ctx, char hex[65])
{
    digest(choose(), p, n, seen, ctx, hex);
}

void sha256_hex_portable(const void *p, size_t n, char hex[65])
{
    digest(blocks_c, p, n, NULL, NULL, hex);
}

/* SPDX-License-Identifier: 0BSD
 *
 * Tiles of Intel AMX: eight registers of up to 16 rows of 64 bytes. One instruction adds the product of two tiles,
 *
 *   c[m][n] += sum(k, q) a[m][k][q] * b[k][n][q]      q < 4: bytes into i32, wrapping;  q < 2: bf16 into f32
 *
 * so rows of `a` are rows of a matrix as it lies in memory and b is packed in quads or pairs. In this file:
 *
 *   int  mlcc_amx_usable(void)              asks the system for the tiles; 0: it has none or refuses
 *   AMX_CONFIG(t, cfg) AMX_RELEASE(t)       shapes of the tiles, all zero afterwards; back to the unused state
 *   AMX_ZERO(t, n)                          tile n = 0
 *   AMX_LD(t, n, p, s) AMX_ST(t, n, p, s)   rows s bytes apart
 *   AMX_LD2(t, n, p, s)                     loads what the second-level cache is to keep, not the first
 *   AMX_DPUS SS SU UU BF(t, c, a, b)        the product; letters: signs of the bytes of a and b; BF: bf16
 *
 * t is a `mlcc_amx *`, tile numbers are literals. Where the compiler is told of AMX (-mamx-int8, -march=sapphirerapids)
 * on Linux the names are instructions, by assembly of our own because compilers' macros lack clobbers (GCC PR 122446);
 * elsewhere, or with MLCC_AMX_SOFT, a model of them in plain C whose tiles are in *t. The model is for tests: it is a
 * hundred times slower, so a compiler that falls back to it without MLCC_AMX_SOFT says so in a note. It calls nothing
 * outside this file, so that nothing is left without a use where the tiles are there.
 *
 * Linux grants tiles to a process, not to a thread: mlcc_amx_usable may be called by any thread, before or after others
 * start, and costs one system call when the answer is known. An emitted model calls it at the start of NAME_run and
 * returns MLCC_BAD_CPU when it says no. Shapes belong to a thread and are lost to whoever configures next, so a function
 * that uses tiles configures them itself and releases them at its end.
 */
#ifndef MLCC_AMX_H
#define MLCC_AMX_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if !defined(MLCC_AMX)
#if defined(__GNUC__) && defined(__x86_64__) && defined(__linux__) && !defined(MLCC_AMX_SOFT) && \
    ((defined(__AMX_INT8__) && defined(__AMX_BF16__)) || (defined(__AMXINT8__) && defined(__AMXBF16__)))
#define MLCC_AMX 1
#else
#define MLCC_AMX 0
#if defined(__GNUC__) && !defined(MLCC_AMX_SOFT)
#pragma message("made for AMX but compiled without it: a slow model in plain C takes its place. Compile with -march=sapphirerapids, \
or let mlcc make the code for another -march=; -DMLCC_AMX_SOFT silences this")
#endif
#endif
#endif

/* As ldtilecfg reads it: palette 1, bytes of a row and rows of every tile, 0 where a tile is not used. */
typedef struct mlcc_tilecfg {
    uint8_t palette, start_row, reserved[14];
    uint16_t colsb[16];
    uint8_t rows[16];
} mlcc_tilecfg;

#if MLCC_AMX
typedef struct mlcc_amx { uint8_t unused; } mlcc_amx;
#else
typedef struct mlcc_amx {
    mlcc_tilecfg cfg;
    uint8_t tile[8][16][64];
} mlcc_amx;
#endif

#if MLCC_AMX
static inline long mlcc_arch_prctl(long code, long arg)
{
    long r;
    __asm__ volatile("syscall" : "=a"(r) : "0"(158L), "D"(code), "S"(arg) : "rcx", "r11", "memory");
    return r;
}
#endif

#if MLCC_AMX
/* Leaf 7: EDX has AMX-BF16 in bit 22, AMX-TILE in 24, AMX-INT8 in 25. */
static inline int mlcc_amx_in_cpu(void)
{
    const uint32_t need = UINT32_C(1) << 22 | UINT32_C(1) << 24 | UINT32_C(1) << 25;
    uint32_t a = 0, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (a < 7)
        return 0;
    a = 7;
    c = 0;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return (d & need) == need;
}
#endif

/* ARCH_GET_XCOMP_PERM (0x1022) says what was granted before; ARCH_REQ_XCOMP_PERM (0x1023) fails where the processor or
 * its XCR0 has no tile data (state 18), before Linux 5.16, or when a thread's signal stack is too small for it. */
#if MLCC_AMX
static inline int mlcc_amx_usable(void)
{
    uint64_t granted = 0;
    const long known = mlcc_arch_prctl(0x1022, (long)(intptr_t)&granted);
    if (known == 0 && (granted >> 18 & 1) != 0)
        return 1;
    return mlcc_amx_in_cpu() && mlcc_arch_prctl(0x1023, 18) == 0;
}
#else
static inline int mlcc_amx_usable(void) { return 1; }
#endif

/* ---- the model ---- */

#if !MLCC_AMX
static inline void mlcc_amx_config(mlcc_amx *t, const mlcc_tilecfg *cfg)
{
    memset(t, 0, sizeof *t);
    t->cfg = *cfg;
}
#endif

#if !MLCC_AMX
static inline void mlcc_amx_load(mlcc_amx *t, int n, const void *p, ptrdiff_t s)
{
    memset(t->tile[n], 0, sizeof t->tile[n]);
    for (int m = 0; m < t->cfg.rows[n]; m++)
        memcpy(t->tile[n][m], (const uint8_t *)p + m * s, t->cfg.colsb[n]);
}
#endif

#if !MLCC_AMX
static inline void mlcc_amx_store(const mlcc_amx *t, int n, void *p, ptrdiff_t s)
{
    for (int m = 0; m < t->cfg.rows[n]; m++)
        memcpy((uint8_t *)p + m * s, t->tile[n][m], t->cfg.colsb[n]);
}
#endif

/* A byte of a row as signed or unsigned. */
#if !MLCC_AMX
static inline int32_t mlcc_amx_byte(const uint8_t *row, int i, int is_signed)
{
    return is_signed ? (int8_t)row[i] : row[i];
}
#endif

#if !MLCC_AMX
static inline void mlcc_amx_dot(mlcc_amx *t, int c, int a, int b, int a_signed, int b_signed)
{
    for (int m = 0; m < t->cfg.rows[c]; m++)
        for (int n = 0; n < t->cfg.colsb[c] / 4; n++) {
            uint32_t sum;
            memcpy(&sum, t->tile[c][m] + 4 * n, 4);
            for (int k = 0; k < t->cfg.colsb[a]; k++)
                sum += (uint32_t)(mlcc_amx_byte(t->tile[a][m], k, a_signed) * mlcc_amx_byte(t->tile[b][k / 4], 4 * n + k % 4, b_signed));
            memcpy(t->tile[c][m] + 4 * n, &sum, 4);
        }
}
#endif

#if !MLCC_AMX
static inline float mlcc_amx_flush(float x) { return fabsf(x) < 0x1p-126f ? copysignf(0, x) : x; }
#endif

#if !MLCC_AMX
static inline float mlcc_amx_bf16(const uint8_t *row, int i)
{
    const uint32_t bits = (uint32_t)row[2 * i] << 16 | (uint32_t)row[2 * i + 1] << 24;
    float x;
    memcpy(&x, &bits, 4);
    return mlcc_amx_flush(x);
}
#endif

/* Even and odd elements are summed apart, from zero and with one rounding a step; subnormals count as zero. */
#if !MLCC_AMX
static inline void mlcc_amx_dot_bf16(mlcc_amx *t, int c, int a, int b)
{
    for (int m = 0; m < t->cfg.rows[c]; m++)
        for (int n = 0; n < t->cfg.colsb[c] / 4; n++) {
            float sum, part[2] = {0, 0};
            for (int k = 0; k < t->cfg.colsb[a] / 2; k++)
                part[k & 1] = mlcc_amx_flush(fmaf(mlcc_amx_bf16(t->tile[a][m], k), mlcc_amx_bf16(t->tile[b][k / 2], 2 * n + (k & 1)), part[k & 1]));
            memcpy(&sum, t->tile[c][m] + 4 * n, 4);
            sum = mlcc_amx_flush(mlcc_amx_flush(sum) + mlcc_amx_flush(part[0] + part[1]));
            memcpy(t->tile[c][m] + 4 * n, &sum, 4);
        }
}
#endif

/* ---- the names ---- */

/* A statement of AMX: no compiler knows the tile registers, so none needs to hear of them. */
#if MLCC_AMX
#define AMX_ASM(t, ...) do { (void)(t); __asm__ volatile(__VA_ARGS__); } while (0)
#endif

#if MLCC_AMX
#define AMX_CONFIG(t, cfg) AMX_ASM(t, "ldtilecfg %0" : : "m"(*(cfg)))
#else
#define AMX_CONFIG(t, cfg) mlcc_amx_config(t, cfg)
#endif

#if MLCC_AMX
#define AMX_RELEASE(t) AMX_ASM(t, "tilerelease" : :)
#else
#define AMX_RELEASE(t) ((void)(t))
#endif

#if MLCC_AMX
#define AMX_ZERO(t, n) AMX_ASM(t, "tilezero %%tmm" #n : :)
#else
#define AMX_ZERO(t, n) ((void)memset((t)->tile[n], 0, sizeof (t)->tile[n]))
#endif

#if MLCC_AMX
#define AMX_LD(t, n, p, s) AMX_ASM(t, "tileloadd (%0,%1,1), %%tmm" #n : : "r"((const void *)(p)), "r"((ptrdiff_t)(s)) : "memory")
#else
#define AMX_LD(t, n, p, s) mlcc_amx_load(t, n, p, s)
#endif

#if MLCC_AMX
#define AMX_LD2(t, n, p, s) AMX_ASM(t, "tileloaddt1 (%0,%1,1), %%tmm" #n : : "r"((const void *)(p)), "r"((ptrdiff_t)(s)) : "memory")
#else
#define AMX_LD2(t, n, p, s) mlcc_amx_load(t, n, p, s)
#endif

#if MLCC_AMX
#define AMX_ST(t, n, p, s) AMX_ASM(t, "tilestored %%tmm" #n ", (%0,%1,1)" : : "r"((void *)(p)), "r"((ptrdiff_t)(s)) : "memory")
#else
#define AMX_ST(t, n, p, s) mlcc_amx_store(t, n, p, s)
#endif

#if MLCC_AMX
#define AMX_DPUS(t, c, a, b) AMX_ASM(t, "tdpbusd %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)
#else
#define AMX_DPUS(t, c, a, b) mlcc_amx_dot(t, c, a, b, 0, 1)
#endif

#if MLCC_AMX
#define AMX_DPSS(t, c, a, b) AMX_ASM(t, "tdpbssd %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)
#else
#define AMX_DPSS(t, c, a, b) mlcc_amx_dot(t, c, a, b, 1, 1)
#endif

#if MLCC_AMX
#define AMX_DPSU(t, c, a, b) AMX_ASM(t, "tdpbsud %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)
#else
#define AMX_DPSU(t, c, a, b) mlcc_amx_dot(t, c, a, b, 1, 0)
#endif

#if MLCC_AMX
#define AMX_DPUU(t, c, a, b) AMX_ASM(t, "tdpbuud %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)
#else
#define AMX_DPUU(t, c, a, b) mlcc_amx_dot(t, c, a, b, 0, 0)
#endif

#if MLCC_AMX
#define AMX_DPBF(t, c, a, b) AMX_ASM(t, "tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)
#else
#define AMX_DPBF(t, c, a, b) mlcc_amx_dot_bf16(t, c, a, b)
#endif

#endif

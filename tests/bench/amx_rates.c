/* SPDX-License-Identifier: Apache-2.0
 * What the tiles of this processor cost, in nanoseconds and in units of a sixteenth of one product (its cycles where a row
 * of a tile takes one): the figures behind the rows of targets/target.def that have a matrix unit.
 *
 *     cc -O2 -I. tests/bench/amx_rates.c -o amx_rates && ./amx_rates */
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MLCC_AMX 1
#include "runtime-min/mlcc_amx.h"

enum { REPEAT = 1000, TRIES = 200 };

static unsigned char memory[1 << 17] __attribute__((aligned(4096)));

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The least time of one round of the statements, in ns. */
#define LEAST(best, ...)                                                                                               \
    do {                                                                                                               \
        best = 1e9;                                                                                                    \
        for (int try = 0; try < TRIES; try++) {                                                                        \
            const double start = now();                                                                                \
            for (int round = 0; round < REPEAT; round++) {                                                             \
                __VA_ARGS__                                                                                            \
            }                                                                                                          \
            const double took = (now() - start) / REPEAT;                                                              \
            best = took < best ? took : best;                                                                          \
        }                                                                                                              \
    } while (0)

static void shape(mlcc_amx *t, int rows, int bytes)
{
    mlcc_tilecfg cfg = {.palette = 1};
    for (int n = 0; n < 8; n++) {
        cfg.rows[n] = (uint8_t)(n < 6 ? rows : bytes / 4);
        cfg.colsb[n] = (uint16_t)(n == 4 || n == 5 ? bytes : 64);
    }
    AMX_CONFIG(t, &cfg);
}

static double unit; /* ns */

static void row(const char *what, double ns) { printf("%-44s %8.2f ns %8.1f\n", what, ns, ns / unit); }

static void products(mlcc_amx *t)
{
    double ns;
    static const int rows[] = {16, 14, 12, 8, 7, 4};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        char what[64];
        (void)snprintf(what, sizeof what, "tdpbusd, %d rows", rows[k]);
        shape(t, rows[k], 64);
        LEAST(ns, AMX_DPUS(t, 0, 4, 6); AMX_DPUS(t, 1, 4, 7); AMX_DPUS(t, 2, 5, 6); AMX_DPUS(t, 3, 5, 7););
        row(what, ns / 4);
    }
    shape(t, 16, 32);
    LEAST(ns, AMX_DPUS(t, 0, 4, 6); AMX_DPUS(t, 1, 4, 7); AMX_DPUS(t, 2, 5, 6); AMX_DPUS(t, 3, 5, 7););
    row("tdpbusd, 16 rows, 32 of 64 bytes", ns / 4);
    shape(t, 16, 64);
    LEAST(ns, AMX_DPUS(t, 0, 4, 6););
    row("tdpbusd, one chain", ns);
    LEAST(ns, AMX_DPBF(t, 0, 4, 6); AMX_DPBF(t, 1, 4, 7); AMX_DPBF(t, 2, 5, 6); AMX_DPBF(t, 3, 5, 7););
    row("tdpbf16ps, 16 rows", ns / 4);
}

static void moves(mlcc_amx *t)
{
    double ns;
    unsigned char *p = memory;
    LEAST(ns, AMX_LD(t, 4, p, 192); AMX_LD(t, 5, p, 192););
    row("load from L1, one line a row", ns / 2);
    LEAST(ns, AMX_LD(t, 4, p + 16, 192); AMX_LD(t, 5, p + 16, 192););
    row("load from L1, two lines a row", ns / 2);
    LEAST(ns, AMX_LD(t, 4, p, 4096); AMX_LD(t, 5, p, 4096););
    row("load, rows 4096 bytes apart", ns / 2);
    LEAST(ns, p = p < memory + sizeof memory - 2048 ? p + 1024 : memory; AMX_LD(t, 4, p, 64););
    row("load from L2", ns);
    LEAST(ns, p = p < memory + sizeof memory - 2048 ? p + 1024 : memory; AMX_LD2(t, 4, p, 64););
    row("load from L2 past L1", ns);
    p = memory;
    LEAST(ns, AMX_ST(t, 0, p, 128); AMX_ST(t, 1, p + 64, 128););
    row("store to L1", ns / 2);
    LEAST(ns, AMX_ST(t, 0, p, 64); AMX_LD(t, 0, p, 64););
    row("store and load of the same", ns);
    LEAST(ns, AMX_ZERO(t, 0); AMX_ZERO(t, 1););
    row("zero", ns / 2);
}

/* A tile of 2 x 2 products, operands in L1. Of numbers it takes longer than of zeros: the core holds the unit back, not its clock (a chain of
 * multiplications beside it goes on as before), so no order of loads and products comes nearer to the peak. */
static void steps(mlcc_amx *t, const char *of, int value)
{
    double ns;
    char what[64];
    memset(memory, value, sizeof memory);
    (void)snprintf(what, sizeof what, "four products and their four loads, of %s", of);
    const unsigned char *x = memory, *w = memory + 20480;
    LEAST(ns, const ptrdiff_t o = round % 8; AMX_LD(t, 6, w + 2048 * o, 128); AMX_LD(t, 4, x + 64 * o, 576); AMX_DPUS(t, 0, 4, 6);
          AMX_LD(t, 7, w + 2048 * o + 64, 128); AMX_DPUS(t, 1, 4, 7); AMX_LD(t, 5, x + 64 * o + 16 * 576, 576);
          AMX_DPUS(t, 2, 5, 6); AMX_DPUS(t, 3, 5, 7););
    row(what, ns);
}

static unsigned char x[128 * 768 * 2] __attribute__((aligned(4096))), w[768 * 768 * 2] __attribute__((aligned(4096)));
static float y[128 * 32] __attribute__((aligned(4096)));

/* Sums over `bytes` of 32 rows of x from row i on and of 32 columns of w from column n on, of which load LW brings the columns. */
#define TILE(LW, i, n)                                                                                                 \
    do {                                                                                                               \
        AMX_ZERO(t, 0); AMX_ZERO(t, 1); AMX_ZERO(t, 2); AMX_ZERO(t, 3);                                                \
        for (int k = 0; k < bytes; k += 64) {                                                                          \
            const unsigned char *a = x + (i) * bytes + k, *b = w + ((n) * bytes + 32 * k);                             \
            LW(t, 6, b, 128); AMX_LD(t, 4, a, bytes); AMX_DPBF(t, 0, 4, 6);                                            \
            LW(t, 7, b + 64, 128); AMX_DPBF(t, 1, 4, 7);                                                               \
            AMX_LD(t, 5, a + 16 * bytes, bytes); AMX_DPBF(t, 2, 5, 6); AMX_DPBF(t, 3, 5, 7);                           \
        }                                                                                                              \
        AMX_ST(t, 0, y + (i) * 32, 128); AMX_ST(t, 1, y + (i) * 32 + 16, 128);                                         \
        AMX_ST(t, 2, y + (i) * 32 + 512, 128); AMX_ST(t, 3, y + (i) * 32 + 528, 128);                                  \
    } while (0)

/* Columns outside, and inside in groups that pass by the first-level cache; as many tiles in each case. */
static void columns_outside(mlcc_amx *t, int rows, int columns, int bytes)
{
    for (int n = 0; n < 768; n += 32)
        for (int i = 0; i < rows; i += 32)
            TILE(AMX_LD, i, n % columns);
}

static void columns_inside(mlcc_amx *t, int rows, int columns, int bytes)
{
    for (int first = 0; first < 768; first += 128)
        for (int i = 0; i < rows; i += 32)
            for (int n = first; n < first + 128; n += 32)
                TILE(AMX_LD2, i, n % columns);
}

typedef void Walk(mlcc_amx *t, int rows, int columns, int bytes);

/* Rows of x by columns of w in tiles of 2 x 2: how near the products come to their own time where operands lie in the first-level
 * cache, w alone does, or both come from the second. A step of four products of 16 rows takes 64 cycles and reads 4 KB. */
static void whole(mlcc_amx *t, const char *what, Walk *walk, int rows, int columns, int bytes)
{
    double best = 1e12;
    memset(x, 0x3c, sizeof x); /* pages that were never written are one page of zeros */
    memset(w, 0x3c, sizeof w);
    for (int try = 0; try < TRIES; try++) {
        const double start = now();
        walk(t, rows, columns, bytes);
        const double took = now() - start;
        best = took < best ? took : best;
    }
    const double steps = (double)rows / 32 * 768 / 32 * bytes / 64; /* of four products of 16 rows, a cycle a row */
    printf("%3d x %3d, %3d steps of bf16, columns %s: %.0f %% of the peak\n", rows, columns, bytes / 2, what, 100 * steps * 64 * unit / best);
}

int main(void)
{
    mlcc_amx t;
    double ns;
    if (!mlcc_amx_usable()) {
        printf("skipped: this processor or system has no AMX\n");
        return 0;
    }
    shape(&t, 16, 64);
    LEAST(ns, AMX_DPUS(&t, 0, 4, 6); AMX_DPUS(&t, 1, 4, 7); AMX_DPUS(&t, 2, 5, 6); AMX_DPUS(&t, 3, 5, 7););
    unit = ns / 4 / 16;
    printf("peak of tdpbusd %.2f T operations a second\n", 2 * 16384 / (ns / 4) / 1e3);
    memset(memory, 1, sizeof memory); /* as above */
    products(&t);
    moves(&t);
    steps(&t, "zeros", 0);
    steps(&t, "numbers", 0x3c);
    whole(&t, "outside", columns_outside, 32, 32, 512);
    whole(&t, "outside", columns_outside, 128, 32, 512);
    for (int bytes = 512; bytes <= 1536; bytes += 512) {
        whole(&t, "outside", columns_outside, 128, 768, bytes);
        whole(&t, "inside", columns_inside, 128, 768, bytes);
    }
    LEAST(ns, shape(&t, 16, 64););
    row("configuration", ns);
    LEAST(ns, (void)mlcc_amx_usable(););
    row("mlcc_amx_usable, granted before", ns);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files share that print register tiles of the matrix unit: which form a tile has (camx.c) for its statements
 * (camx_tile.c).
 */
#ifndef MLCC_CAMX_H
#define MLCC_CAMX_H

#include "cgen.h"

/* rows and lanes of a tile; numbers of tiles: sums, rows of x, groups of w */
enum { SIDE = 16, FIRST_X = 4, FIRST_W = 6, LAST = 7, TILES = 8 };

typedef struct Matrix {
    const Expr *x, *w;       /* loads */
    const char *dot;         /* which product */
    int32_t size, group;     /* bytes of an element, elements of a group: together four bytes */
    int32_t nrow, nlane;     /* tiles down and along; at most four together */
    int32_t rows[2], lanes;  /* of the tiles down, more than two are alike; in all */
    int32_t cuts;            /* tiles for the values of row, in each part when they are not joined */
    int32_t step;            /* groups of one product: 4 * step bytes of a row of x */
    const Expr *row, *part;  /* points along the rows; part is the outer one, NULL: there is none */
    int32_t run;             /* values of row */
    bool joined;             /* rows of x lie evenly through all parts; otherwise each part is a tile */
    int64_t row_bytes, group_bytes; /* from row to row of x, from group to group of w */
    bool bypass;             /* w is loaded past the first-level cache */
} Matrix;

bool amx_form(const CGen *g, const Tile *t, Matrix *m); /* false: not a form of the matrix unit */
int64_t amx_along(const Expr *e, const Expr *var);     /* the coefficient of var, or -1: not linear, or negative */
const Expr *amx_flat(const CGen *g, const Expr *load); /* where in its buffer a load reads */

/* Tile r down: its rows, and the number of the tile that x comes to: the third of them makes room for the fourth. */
static inline int32_t amx_rows(const Matrix *m, int32_t r) { return m->rows[m->nrow == 2 ? r : 0]; }
static inline int32_t amx_x(int32_t r) { return FIRST_X + r % (LAST - FIRST_X); }

/* Number of the tile that lanes l of w come to: the last where there is one along, so that three are left for x. */
static inline int32_t amx_w(const Matrix *m, int32_t l) { return m->nlane == 1 ? LAST : FIRST_W + l % 2; }

#endif

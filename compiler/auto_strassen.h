/* SPDX-License-Identifier: Apache-2.0
 * Products by halves (auto_strassen.c): what its parts share. */
#ifndef MLCC_AUTO_STRASSEN_H
#define MLCC_AUTO_STRASSEN_H

#include "auto_product.h"

enum { HALF = 2, BLOCKS = HALF * HALF, TERMS = BLOCKS + 1 };

/* sum(k) x[row.., k] * w[k, lane], and its halves. */
typedef struct Blocks {
    Product p;
    DType dt, sum;                        /* dt: of x and of sums of blocks of x or w; sum: of y */
    int row;                              /* the variable of rows that is halved */
    int64_t rows[HALF], steps, lanes;     /* of a half; the second one may have a row less */
    bool pads;                            /* which is past the end of x */
    int64_t block;                        /* columns that lie together */
} Blocks;

/* Variables of a stage whose rows, columns and steps are those of a half, and what those of the product are by them. */
typedef struct Place { const Expr *dim[MAX_RANK], *var[MAX_RANK], *k; uint8_t rank; } Place;

Place strassen_place(const Auto *g, const Blocks *b, int64_t rows);

/* A map at p, without a body, whose tensor is called after the product's; put: before stage *k, which moves on, that tensor having columns innermost. */
Stage *strassen_stage(Auto *g, const Blocks *b, const char *what, const Place *p);
void strassen_put(Auto *g, const Blocks *b, uint32_t *k, Stage *s, DType dt);

/* The sign of each term of a sum, and that sum, which has the type of x. */
typedef struct Terms { const char *name; int8_t sign[TERMS]; } Terms;
const Expr *strassen_sum(const Auto *g, const Blocks *b, const Terms *t, const Expr *const *term);

/* auto_strassen_panels.c: element (k, lane) of a sum of the blocks of w, a constant that takes the place of one of them; and of a sum of
 * those, `of`, which a stage before *k makes for some columns at a time. */
const Expr *strassen_constant(Auto *g, const Blocks *b, const Place *p, const Terms *t);
const Expr *strassen_panel(Auto *g, const Blocks *b, const Place *at, uint32_t *k, const Terms *t, const Terms *of);

/* auto_strassen_maps.c: stage k, which makes y, puts these blocks of it beside each other, and what maps make of y is made of its blocks. Returns
 * the number of stages put before it. */
uint32_t strassen_maps(Auto *g, const Blocks *b, uint32_t k, uint32_t first, uint32_t part[HALF][HALF]);

#endif

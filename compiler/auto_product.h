/* SPDX-License-Identifier: Apache-2.0
 * Products with a constant, for rewrites that make another constant of each of its columns. */
#ifndef MLCC_AUTO_PRODUCT_H
#define MLCC_AUTO_PRODUCT_H

#include <string.h>

#include "auto.h"

/* Columns of the constant that lie apart: a variable that stands for their number in w, the index that it is, and how many there are. */
typedef struct Batch { const Expr *number, *index, *extent; } Batch;

/* sum(k) x[rows.., k] * w[batch.., k, lane]: its stage, and the operands with variables of one value at 0. */
typedef struct Product {
    const Stage *s;
    Dot d;
    const Expr *x, *w, *k;
    int64_t steps;
    int row[MAX_RANK];                  /* variables but the lane's that an operand uses */
    Batch batch[MAX_RANK];              /* of those that w uses */
    uint8_t nrow, nbatch;
    ElementWalk walk[MAX_RANK + 2];     /* of the constant: by batch, step, lane */
    int64_t at;
} Product;

/* Whether stage k is such a product over one variable, of a constant that all lanes walk alike; of floats, or of 16 bits with bytes, whose dots take
 * PAIR_STEPS. */
enum { PAIR_STEPS = 2, QUAD_STEPS = 4 };
bool auto_product(const Auto *g, uint32_t k, Product *p);
bool auto_product_of_bytes(const Auto *g, uint32_t k, Product *p); /* unsigned ones by signed ones */
bool auto_product_of_words(const Auto *g, uint32_t k, Product *p);

enum { COLUMN_STRIP = 64 }; /* columns at most that are made at a time */

/* Some columns of one batch, behind each other; how: what product_constant was given. */
typedef struct Columns { const void *how; const char *w; ElementWalk step, lane; int64_t batch, first, count; } Columns;

/* Number of the first among those of all batches. */
static inline int64_t number_of_columns(const Columns *c) { return c->batch * c->lane.extent + c->first; }

static inline float column_at(const Columns *c, int64_t lane, int64_t k)
{
    float v;
    memcpy(&v, c->w + (size_t)((c->first + lane) * c->lane.stride + k * c->step.stride) * sizeof v, sizeof v);
    return v;
}

/* Four bytes of row `row` of what is made. */
static inline void put_column(const Columns *c, int64_t row, int64_t lane, const void *v, char *out)
{
    memcpy(out + (size_t)(row * c->lane.extent + c->first + lane) * sizeof(float), v, sizeof(float));
}

/* max(k) |w[k, lane]|, by column; NaN where one is in it. */
void largest_of_columns(const Columns *c, float *most);

typedef void (*MakeColumns)(const Columns *c, char *out); /* out: where that batch begins */
typedef void (*SeeColumns)(const Columns *c, void *ctx);

/* The load of a constant, which products of one constant that is walked alike share by the name `what`, of n dimensions of such extents between those of the batch and the lane, at these indices; f32 or i32. */
const Expr *product_constant(Auto *g, const Product *p, const char *what, DType dt, MakeColumns make, const void *how, const Expr *const *at, const int64_t *extent, uint8_t n);

/* Columns in all, and the load of a number for each, which the constant then holds. */
int64_t count_columns(const Product *p);
const Expr *product_table(Auto *g, const Product *p, const char *what, const float *v);

/* The map that is in the product's place, of a value by its variables. */
Stage *product_result(Auto *g, const Product *p, const Expr *value);

/* Calls fn for all columns that there are now. */
void product_columns(const Auto *g, const Product *p, SeeColumns fn, void *ctx);

#endif

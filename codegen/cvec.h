/* SPDX-License-Identifier: Apache-2.0
 *
 * Expressions in vectors: what ctile*.c use to print values along the lane variable of a register tile.
 */
#ifndef MLCC_CVEC_H
#define MLCC_CVEC_H

#include "cgen.h"

/* What a lane holds. Narrow integers are held as i32, narrow floats as f32, once loaded; bool is a mask. */
typedef enum LaneKind { LK_none, LK_f32, LK_i32, LK_i64, LK_mask } LaneKind;

typedef struct VGen {
    CGen *g;
    const Tile *t;
    const Expr *lane;      /* variable of one vector: 0..count-1 */
    const Expr *full, *part; /* that variable for whole vectors and for the last, shorter one */
    const Expr *strip;     /* loop variable over vectors, NULL outside such a loop */
    const Expr *acc;       /* accumulator that the epilogue reads now, NULL outside it */
    int32_t width, count;  /* lanes of a vector; of them in use now */
    const char *some;      /* how many where run time decides, NULL: count */
    Map counts;            /* of a tile with open lanes: vector -> lanes in use */
    Map memo;              /* expression id -> vector text */
    Map pointer;           /* buffer and invariant part -> pointer name */
    Map divisor;           /* expression id -> name of a number that does not change in the tile */
    Out head;              /* declarations of both */
    bool keep;             /* inside a reduction: hold loads in registers */
    int tap;               /* variable of the reduction without a loop: its values follow each other; -1: none */
} VGen;

LaneKind lane_kind(DType dt);
/* elements from lane to lane; false: not always as many */
bool v_stride(const CGen *g, const Expr *load, const Expr *lane, int64_t *stride);
/* Whether e, whose lanes differ by `lane` and by `acc` (NULL: there is none), can be printed as a vector. */
bool v_can(CGen *g, const Expr *e, const Expr *lane, const Expr *acc);
/* Whether it can be stored to elements of type dt along the lanes. */
bool v_can_store(CGen *g, DType dt, const Expr *e, const Expr *lane, const Expr *acc);

void v_set_count(VGen *v, int64_t n);          /* lanes of the vectors that follow */
void v_set_vector(VGen *v, int64_t q);         /* they are those of vector q of the tile */
const char *v_type(const VGen *v, DType dt);   /* "v8f" */
const char *v_set(VGen *v, const Expr *e);     /* the same value in each lane */
const char *v_text(VGen *v, const Expr *e);    /* name of a temporary that holds e; equal expressions share one */
/* four bytes, or for two lanes eight (twins), from there: the same in each lane, or lanes side by side */
const char *v_quad(VGen *v, const Expr *load, bool lanes, bool twins);
const char *v_words(VGen *v, const Expr *load); /* two bytes for each lane, as numbers of 16 bits */
/* A hint, from the pointer that the loads use: one of its own would cost a register. */
void v_fetch(VGen *v, const Fetch *f, const Subst *s, uint32_t n); /* n variables of it substituted */
void v_store(VGen *v, const Store *st, const Subst *s, uint32_t n); /* with the tile's variables substituted */
/* Whole vectors of saturated bytes that lie side by side are narrowed and stored together: how many st takes at most, four or, of bytes in
 * 16 bits, two (1: it is no such store), what it stores before it is narrowed, and the store of the values of `count` (2 or 4) vectors, with the
 * substitution of the first. */
int32_t v_packs(VGen *v, const Store *st);
const char *v_unpacked(VGen *v, const Store *st, const Subst *s, uint32_t n);
void v_store_packed(VGen *v, const Store *st, const Subst *s, uint32_t n, const char *const *value, int32_t count);
/* cvec_word.c: sums of narrow integers that are stored in 16 bits, two elements for each lane: whether st is such a store, and what it stores
 * from there on. */
bool v_sums_words(VGen *v, const Store *st);
void v_store_words(VGen *v, const Store *st, const Subst *s, uint32_t n);
/* Vectors of two points, which lie apart, of bytes in 16 bits or of clipped integers as bf16: whether st stores them together, and the store of such
 * values (v_unpacked), each with its own substitution, and of one that is left. */
bool v_pairs(const VGen *v, const Store *st);
typedef struct PointValue { Subst s[MAX_RANK + 2]; uint32_t n; const char *value; } PointValue;
void v_store_pair(VGen *v, const Store *st, const PointValue *p, const PointValue *q);
void v_store_single(VGen *v, const Store *st, const PointValue *p);
/* Points by turns: whether the dialect stores so many of such elements side by side, three of bytes or i16, four of bf16, or two of floats that are
 * rounded to i16 and saturated and of bytes in 16 bits; what it takes of one; and the store, with the substitution of the first. */
bool v_zips(const VGen *v, const Store *st, int64_t count);
const char *v_to_zip(VGen *v, const Store *st, int32_t count, const Subst *s, uint32_t n);
void v_store_zipped(VGen *v, const Store *st, const Subst *s, uint32_t n, const char *const *value, int32_t count);
const char *v_combine(VGen *v, RedOp op, const char *acc, const Expr *body); /* op(acc, body); acc itself when it is that */
void v_accumulate(VGen *v, RedOp op, const char *acc, const Expr *body);      /* acc = op(acc, body) */
const char *v_fold(VGen *v, RedOp op, DType dt, const char *acc);            /* one value from all lanes */
void v_forget(VGen *v, bool block_ends);       /* values change; where a C block ends too, the names are free again */

#endif

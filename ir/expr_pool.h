/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files behind expr.h share: the pool, the bounds kept with every node, and the rules by family.
 *
 * A node is made in one place, pool_node. A constructor of expr.c checks types, asks the rules (expr_affine.c for ix,
 * expr_simplify.c for the rest) for something simpler, and otherwise calls pool_node. Rules build their results with
 * constructors, so every node of the pool is a fixed point of them: rebuilding it from its operands gives itself.
 */
#ifndef MLCC_EXPR_POOL_H
#define MLCC_EXPR_POOL_H

#include "expr.h"

/* Inclusive bounds; INT64_MIN and INT64_MAX are also "no bound". Of u64 they are of the value, saturated. */
typedef struct Range { int64_t lo, hi; } Range;

/* Lies in front of every Expr. mark and slot are for walks: the last walk that met the node, and its place there. */
typedef struct Head {
    Range range;
    Exprs *pool;
    uint64_t mark;
    uint32_t slot;
} Head;

typedef struct Frame { const Expr *e; uint32_t next; } Frame;             /* of a walk: next operand to enter */
typedef struct Visit { const Expr *e, *to; uint32_t edge; } Visit;        /* edge: first of its operands' places */

struct Exprs {
    Arena *arena;
    const Expr **table; /* open addressing; at most half full */
    uint32_t mask, n;
    uint64_t walks;
    int rejoining;      /* depth of expr_affine.c's search for quotients that meet again */
    VEC(VarInfo) var;
    VEC(Frame) stack;   /* scratch of walks; a walk inside a callback of another uses what lies above */
    VEC(Visit) visit;
    VEC(uint32_t) edge;
};

static inline Head *head_of(const Expr *e)
{
    return (Head *)(uintptr_t)e - 1;
}

static inline Range range_of(const Expr *e)
{
    return head_of(e)->range;
}

/* Of an integer, bool or ix value that is known at compile time although it may not be a constant node. */
static inline bool range_is_point(Range r)
{
    return r.lo == r.hi && r.lo != INT64_MAX;
}

static inline bool range_within(Range r, Range outer)
{
    return r.lo >= outer.lo && r.hi <= outer.hi;
}

/* expr.c */
const Expr *pool_node(Exprs *x, ExprOp op, DType dt, uint16_t n, const Expr *const *a); /* interns what rules leave */
const Expr *pool_bool(Exprs *x, bool v);

/* expr_range.c */
Range range_type(DType dt);                                        /* every value of the type */
Range range_const(DType dt, int64_t v);                            /* of an integer constant */
Range range_op(ExprOp op, DType dt, const Expr *const *a);         /* of an operation's result */
Range range_add(Range a, Range b);                                 /* of a sum, without end */
Range range_scale(Range r, int64_t k);                             /* of a product by k, without end */

/* expr_affine.c: ix arithmetic; each returns a canonical expression. */
const Expr *ix_linear(Exprs *x, const Expr *a, int64_t ka, const Expr *b, int64_t kb, int64_t c); /* a*ka + b*kb + c */
const Expr *ix_mul(Exprs *x, const Expr *a, const Expr *b);
const Expr *ix_fdiv(Exprs *x, const Expr *a, const Expr *b);
const Expr *ix_mod(Exprs *x, const Expr *a, const Expr *b);
Range ix_difference(Exprs *x, const Expr *a, const Expr *b);       /* bounds of a - b, from symbolic bounds too */

/* expr_simplify.c: exact rules; NULL: none applies. a: operands. */
const Expr *simplify_op(Exprs *x, ExprOp op, const Expr *const *a);   /* kinds T, B and L */
const Expr *simplify_select(Exprs *x, const Expr *const *a);
const Expr *simplify_cast(Exprs *x, DType dt, const Expr *a);
const Expr *simplify_castsat(Exprs *x, DType dt, const Expr *a);

#endif

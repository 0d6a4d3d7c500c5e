/* SPDX-License-Identifier: Apache-2.0
 *
 * For tests that walk the accesses of a nest: loop variables with their values, and what an index is at them. Millions of them are asked
 * for, so that none is made into an expression.
 */
#ifndef MLCC_TEST_INDICES_H
#define MLCC_TEST_INDICES_H

#include "context.h"

/* The inner variables last. */
typedef struct Indices { struct { const Expr *var; int64_t value; } at[4 * MAX_RANK]; uint32_t n; } Indices;

static inline void indices_push(Indices *i, const Expr *var, int64_t value)
{
    assert_in_range(i->n, 0, COUNT(i->at) - 1);
    i->at[i->n].var = var;
    i->at[i->n++].value = value;
}

/* Of an integer expression over these variables. */
static inline int64_t indices_value(const Indices *i, const Expr *e)
{
    if (e->op == EX_const)
        return e->v.i;
    for (uint32_t k = i->n; e->op == EX_var && k-- > 0;)
        if (i->at[k].var == e)
            return i->at[k].value;
    assert_in_range(e->n, 1, 3); /* not a variable without value */
    Scalar a[3];
    for (uint16_t k = 0; k < e->n; k++)
        a[k].i = indices_value(i, e->a[k]);
    return scalar_op((ExprOp)e->op, (DType)e->dt, (DType)e->a[e->op == EX_select]->dt, a).i;
}

#endif

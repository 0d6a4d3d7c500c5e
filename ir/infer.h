/* SPDX-License-Identifier: Apache-2.0
 * What the files of inference share: operands of a row's signature, the checks of a node, the values of its outputs. */
#ifndef MLCC_INFER_H
#define MLCC_INFER_H

#include "op.h"

enum { MAX_OPERANDS = 32 }; /* named in one signature */

/* One operand of a signature: name and type are spans of the row. */
typedef struct Operand {
    const char *name, *type;
    int nname, ntype;
    bool optional, variadic;
} Operand;

/* infer.c: the operand at *s, which moves behind it; false at "->" or at the end. */
bool next_operand(const char **s, Operand *o);
/* op_attr.c: every attribute of the node is in the row, once and of the row's type; required ones are there. */
bool check_attrs(const OpCtx *c);
/* value.c: sets Tensor.value of small outputs whose elements are expressions over symbols. False after a diagnostic. */
bool find_values(OpCtx *c);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * Prototypes of the functions of every structural operator, from the rows of op.def. */
#ifndef MLCC_OP_PROTO_H
#define MLCC_OP_PROTO_H

#include "../op.h"

#define ELT(domain, name, sig, types, attrs, flags, expr)
#define OP(domain, name, sig, types, attrs, flags) bool infer_##name(OpCtx *c); bool lower_##name(OpCtx *c);
#include "../op.def"
#undef OP
#undef ELT

#endif

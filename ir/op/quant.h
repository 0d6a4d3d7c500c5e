/* SPDX-License-Identifier: Apache-2.0
 *
 * Quantized values, real = (q - zero) * scale, q = saturate(rint(real / scale) + zero): shared by quant.c, qlinear.c.
 */
#ifndef MLCC_OP_QUANT_H
#define MLCC_OP_QUANT_H

#include "../op.h"

/* Operand k, if there, is one element. Diagnostic "quant-scalar". */
bool check_single(const OpCtx *c, int k);
/* That element in its compute type. */
const Expr *load_single(OpCtx *c, int k);
/* Real value, f32, of element v (compute type) of a tensor with scalar scale and zero operands (zero may be absent). */
const Expr *to_real(OpCtx *c, const Expr *v, int scale, int zero);
/* v, already divided by the scale, as a value of dt: rounded half to even, moved by zero (NULL: none), saturated. To
 * narrow floats the conversion itself rounds; saturate is theirs alone. */
const Expr *to_quant(OpCtx *c, DType dt, const Expr *v, const Expr *zero, bool saturate);
/* v, a real value in f32, in the type of output 0 with scalar scale and zero operands (zero may be absent). */
const Expr *from_real(OpCtx *c, const Expr *v, int scale, int zero);

#endif

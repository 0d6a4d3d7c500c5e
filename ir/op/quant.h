/* SPDX-License-Identifier: Apache-2.0
 *
 * Quantized values, real = (q - zero) * scale, q = saturate(rint(real / scale) + zero): shared by quant.c, qlinear.c.
 */
#ifndef MLCC_OP_QUANT_H
#define MLCC_OP_QUANT_H

#include "dot.h"
#include "requant.h"

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

/* Operands of a product by number; xz, wz, b may be absent. Element k of w belongs to channel k / inner % channels. bytes: what
 * is not bytes without its zero points is left alone, for dots of bytes as they are stored. */
typedef struct WeightOf {
    int x, xz, w, wz, b;
    int64_t channels, inner;
    bool bytes;
} WeightOf;

/* Zero points and bias b of a product with a constant weight, put together: with sum over x * weight, of stored x,
 * sum + bias[m] lies in span[m] and is what the operands say. */
typedef struct Folded {
    int64_t channels;
    uint32_t weight, bias;
    Span *span;
} Folded;

/* False: something is not a constant, a sum may leave i32, or the weight is left alone. bias 0: all are 0. */
bool fold_weight(OpCtx *c, const WeightOf *o, Folded *f);
const Expr *folded_sum(OpCtx *c, const Folded *f, const Expr *sum, const Expr *channel);

#endif

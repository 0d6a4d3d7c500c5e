/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the integer pass share: parameters of quantization, and constants by evaluation.
 */
#ifndef MLCC_PASS_INTEGER_H
#define MLCC_PASS_INTEGER_H

#include "../rewrite.h"

/* Of a QuantizeLinear or DequantizeLinear with one scale: real = (q - zero) * scale. */
typedef struct Quant {
    double scale;
    int64_t zero;
    DType dt;                   /* of q: i8, u8, i16 or u16 */
    TensorId at_scale, at_zero; /* operands; at_zero may be none */
} Quant;

/* False: not of this form. */
bool quant_of(Rw *rw, NodeId n, Quant *q);
/* The Quant of the DequantizeLinear that makes t. */
bool quant_behind(Rw *rw, TensorId t, Quant *q);
bool same_quant(const Quant *p, const Quant *q);
/* The integer tensor that t is made from by DequantizeLinear; id 0: it is not. */
TensorId dequantized(const Rw *rw, TensorId t);

/* Its zero point, or a new constant 0 in its place. */
TensorId zero_of(Rw *rw, const Quant *q);

bool is_byte(const Rw *rw, TensorId t); /* what ConvInteger takes: i8 or u8, not four bits */

/* A DequantizeLinear of a weight or bias: one scale, or one for each of n along `axis`. Without a scale: real numbers. */
typedef struct Vector {
    TensorId data, scale, zero;
    int64_t n;
} Vector;

bool vector_of(Rw *rw, NodeId id, int64_t n, int axis, Vector *v); /* false: not of this form */
double vector_element(const Rw *rw, TensorId t, int64_t k);        /* of one of its operands; absent: 0 */
double vector_value(const Rw *rw, const Vector *v, int64_t k);      /* real */
TensorId vector_zero(Rw *rw, const Vector *v);
/* t as a constant bias of n columns: real or dequantized, one value for each or one for all. */
bool bias_of(Rw *rw, TensorId t, int64_t n, Vector *b);

/* integer_product.c. The rules of products. */
bool integer_conv(Rw *rw, const Match *m);
bool integer_gemm(Rw *rw, const Match *m);
bool integer_matmul_bias(Rw *rw, const Match *m);
bool integer_matmul(Rw *rw, const Match *m);

/* integer_real.c. The rules of products whose result stays real, and of a normalisation behind one. */
bool integer_norm(Rw *rw, const Match *m);
bool integer_conv_real(Rw *rw, const Match *m);
bool integer_matmul_real(Rw *rw, const Match *m);
bool integer_gemm_real(Rw *rw, const Match *m);

/* integer_table.c. Nodes of g from tensors `leaf` (constants in `value`) to the first result of `top`, evaluated. */
const Blob *integer_evaluate(Rw *rw, NodeId top, TensorId leaf, const Blob *value);
/* The rules of elementwise functions of one quantized tensor, and of constants. */
bool integer_table(Rw *rw, const Match *m);
bool integer_constant(Rw *rw, const Match *m);

#endif

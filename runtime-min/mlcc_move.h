/* SPDX-License-Identifier: 0BSD
 *
 * Selections whose number of elements only the data tells. On entry out[0].dim[0] is the most there is room for; the
 * function sets it to the number found, at most that.
 */
#ifndef MLCC_MOVE_H
#define MLCC_MOVE_H

#include "mlcc.h"

/* Steps from start to limit, exclusive: ceil((limit - start) / delta), at most `most`; 0 when delta is 0. */
static inline int64_t mlcc_steps_i(int64_t start, int64_t limit, int64_t delta, int64_t most)
{
    const uint64_t way = delta < 0 ? (uint64_t)start - (uint64_t)limit : (uint64_t)limit - (uint64_t)start;
    const uint64_t step = delta < 0 ? 0 - (uint64_t)delta : (uint64_t)delta;
    if (delta == 0 || (delta < 0 ? start <= limit : start >= limit)) return 0;
    const uint64_t n = (way - 1) / step + 1;
    return n > (uint64_t)most ? most : (int64_t)n;
}

static inline int64_t mlcc_steps_f(double start, double limit, double delta, int64_t most)
{
    const double n = (limit - start) / delta;
    if (!(n > 0) || delta == 0) return 0;
    if (n >= (double)most) return most;
    return (int64_t)n + ((double)(int64_t)n < n);
}

/* Element 0 of a float tensor (ONNX types 1 f32, 11 f64). */
static inline double mlcc_scalar_f(const mlcc_tensor *t)
{
    return t->dtype == 11 ? *(const double *)t->data : (double)*(const float *)t->data;
}

/* Element 0 of an integer tensor (2 u8, 3 i8, 4 u16, 5 i16, 6 i32, 7 i64, 12 u32, 13 u64; one per byte: 21 u4, 22 i4, 25 u2, 26 i2). */
static inline int64_t mlcc_scalar_i(const mlcc_tensor *t)
{
    switch (t->dtype) {
    case 2: case 21: case 25: return *(const uint8_t *)t->data;
    case 3: case 22: case 26: return *(const int8_t *)t->data;
    case 4: return *(const uint16_t *)t->data;
    case 5: return *(const int16_t *)t->data;
    case 6: return *(const int32_t *)t->data;
    case 12: return *(const uint32_t *)t->data;
    default: return *(const int64_t *)t->data;
    }
}

/* in: start, limit, delta, scalars of one type, of floats f32 or f64. out[0]: u8, only its extent is set; one more than it had room for when there
 * are more steps than that. */
static inline void mlcc_range_count(const mlcc_tensor *in, mlcc_tensor *out, const int64_t *arg, void *scratch)
{
    const int32_t t = in[0].dtype;
    const int64_t most = out[0].dim[0] + 1;
    (void)arg, (void)scratch;
    if (t == 1 || t == 11)
        out[0].dim[0] = mlcc_steps_f(mlcc_scalar_f(&in[0]), mlcc_scalar_f(&in[1]), mlcc_scalar_f(&in[2]), most);
    else
        out[0].dim[0] = mlcc_steps_i(mlcc_scalar_i(&in[0]), mlcc_scalar_i(&in[1]), mlcc_scalar_i(&in[2]), most);
}

/* in: bool vector. arg[0]: elements of it that count. out[0]: i64, places of the true ones in order, 0 behind them. */
static inline void mlcc_compress(const mlcc_tensor *in, mlcc_tensor *out, const int64_t *arg, void *scratch)
{
    const uint8_t *on = (const uint8_t *)in[0].data;
    int64_t *at = (int64_t *)out[0].data;
    const int64_t most = out[0].dim[0], end = in[0].dim[0] < arg[0] ? in[0].dim[0] : arg[0];
    int64_t n = 0;
    (void)scratch;
    for (int64_t k = 0; k < end && n < most; k++) {
        if (on[k]) at[n++] = k;
    }
    out[0].dim[0] = n;
    for (; n < most; n++) at[n] = 0;
}

#endif

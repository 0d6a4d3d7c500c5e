/* SPDX-License-Identifier: Apache-2.0
 * Element types: facts from dtype.def. Sub-byte types take one byte per element in memory; only files pack them. */
#ifndef MLCC_DTYPE_H
#define MLCC_DTYPE_H

#include "base.h"

typedef enum DType {
    DT_none,
#define DTYPE(name, onnx, bits, cls, ctype, what) DT_##name,
#include "dtype.def"
#undef DTYPE
    DT_count
} DType;

typedef enum DClass { DC_none, DC_F, DC_I, DC_U, DC_B, DC_S, DC_C, DC_X } DClass;

typedef struct DTypeInfo {
    const char *name, *ctype;
    uint8_t onnx, bits, bytes; /* bytes: of one element in memory */
    DClass cls;
} DTypeInfo;

const DTypeInfo *dtype_info(DType dt);
DType dtype_by_name(const char *name);  /* DT_none when there is none */
DType dtype_by_onnx(int64_t number);    /* DT_none when there is none */
static inline size_t dtype_bytes(DType dt) { return dtype_info(dt)->bytes; }
static inline bool dtype_is_float(DType dt) { return dtype_info(dt)->cls == DC_F; }
static inline bool dtype_is_narrow_float(DType dt) { return dtype_is_float(dt) && dt != DT_f32 && dt != DT_f64; }
static inline bool dtype_is_byte(DType dt) { return dt == DT_i8 || dt == DT_u8; }
static inline bool dtype_is_int(DType dt) { DClass c = dtype_info(dt)->cls; return c == DC_I || c == DC_U; }
/* Type in which values of dt are computed: f32 for the narrow floats, i32 for the narrow integers, dt otherwise. */
DType dtype_compute(DType dt);
/* Range of an integer or bool type; u64's maximum saturates at INT64_MAX. */
int64_t dtype_min(DType dt), dtype_max(DType dt);
/* One element in memory to double or int64 and back, with the type's own rounding (half to even) and C's wrap-around. */
double dtype_get_f(DType dt, const void *p);
int64_t dtype_get_i(DType dt, const void *p);
void dtype_put_f(DType dt, void *p, double v);
void dtype_put_i(DType dt, void *p, int64_t v);
void dtype_put_f_sat(DType dt, void *p, double v); /* out of range: the nearest value of 8-bit floats and integers */

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts of element types from dtype.def, and single elements to and from double and int64.
 *
 * The conversions are those of runtime-min, which emitted code includes too, so constant folding, the interpreter and
 * generated programs agree to the bit. Text and complex types have no value that is one number.
 */
#include "dtype.h"

#include "runtime-min/mlcc_float.h"
#include "runtime-min/mlcc_int.h"

static const DTypeInfo info[DT_count] = {
    [DT_none] = {"none", "void", 0, 0, 0, DC_none},
#define DTYPE(name, onnx, bits, cls, ctype, what) [DT_##name] = {#name, ctype, onnx, bits, (bits + 7) / 8, DC_##cls},
#include "dtype.def"
#undef DTYPE
};

/* Low `bits` bits of v, extended by their sign when the type has one. */
static int64_t wrap(const DTypeInfo *t, int64_t v)
{
    if (t->bits == 64)
        return v;
    const uint64_t mask = (UINT64_C(1) << t->bits) - 1, sign = t->cls == DC_U ? 0 : UINT64_C(1) << (t->bits - 1);
    return (int64_t)((((uint64_t)v & mask) ^ sign) - sign);
}

static bool is_integer(const DTypeInfo *t)
{
    return t->cls == DC_I || t->cls == DC_U || t->cls == DC_X;
}

/* An integer or bool element by its size; the upper bits of u64 become the sign. */
static int64_t load_int(const DTypeInfo *t, const void *p)
{
    uint64_t v8;
    uint32_t v4;
    uint16_t v2;
    switch (t->bytes) {
    case 8: memcpy(&v8, p, 8); return (int64_t)v8;
    case 4: memcpy(&v4, p, 4); return wrap(t, v4);
    case 2: memcpy(&v2, p, 2); return wrap(t, v2);
    default: return t->cls == DC_B ? *(const uint8_t *)p != 0 : wrap(t, *(const uint8_t *)p);
    }
}

static void store_int(const DTypeInfo *t, void *p, int64_t v)
{
    const uint64_t v8 = (uint64_t)(t->cls == DC_B ? v != 0 : wrap(t, v));
    const uint32_t v4 = (uint32_t)v8;
    const uint16_t v2 = (uint16_t)v8;
    switch (t->bytes) {
    case 8: memcpy(p, &v8, 8); break;
    case 4: memcpy(p, &v4, 4); break;
    case 2: memcpy(p, &v2, 2); break;
    default: *(uint8_t *)p = (uint8_t)v8;
    }
}

static double load_f64(const void *p)
{
    double v;
    memcpy(&v, p, sizeof v);
    return v;
}

static float load_f32(const void *p)
{
    float v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint16_t load_u16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static void store_u16(void *p, uint16_t v)
{
    memcpy(p, &v, sizeof v);
}

static void store_f32(void *p, double v)
{
    const float f = (float)v;
    memcpy(p, &f, sizeof f);
}

/* The 8-bit floats and f4e2m1: one byte per element. */
typedef struct ByteFloat {
    float (*get)(uint8_t);
    uint8_t (*put)(float), (*put_sat)(float);
} ByteFloat;

static const ByteFloat byte_float[DT_count] = {
    [DT_f8e4m3fn] = {mlcc_f32_of_f8e4m3fn, mlcc_f8e4m3fn_of_f32, mlcc_f8e4m3fn_of_f32_sat},
    [DT_f8e4m3fnuz] = {mlcc_f32_of_f8e4m3fnuz, mlcc_f8e4m3fnuz_of_f32, mlcc_f8e4m3fnuz_of_f32_sat},
    [DT_f8e5m2] = {mlcc_f32_of_f8e5m2, mlcc_f8e5m2_of_f32, mlcc_f8e5m2_of_f32_sat},
    [DT_f8e5m2fnuz] = {mlcc_f32_of_f8e5m2fnuz, mlcc_f8e5m2fnuz_of_f32, mlcc_f8e5m2fnuz_of_f32_sat},
    [DT_f8e8m0] = {mlcc_f32_of_f8e8m0, mlcc_f8e8m0_of_f32, mlcc_f8e8m0_of_f32_sat},
    [DT_f4e2m1] = {mlcc_f32_of_f4e2m1, mlcc_f4e2m1_of_f32, mlcc_f4e2m1_of_f32},
};

NORETURN static void no_number(DType dt)
{
    ICE("an element of type %s is not one number", info[dt].name);
}

/* As C converts: fraction dropped; saturated at 32 or 64 bits, NaN 0; narrower types take the low bits. */
static int64_t int_of_f64(DType dt, double v)
{
    if (info[dt].cls == DC_B)
        return v != 0;
    if (info[dt].bits == 64)
        return info[dt].cls == DC_U ? (int64_t)mlcc_trunc_u64(v) : mlcc_trunc_i64(v);
    return dt == DT_u32 ? (int64_t)mlcc_trunc_u32(v) : mlcc_trunc_i32(v);
}

/* v rounded to odd at 2^11 when a double may not hold it, so that rounding to a narrow float rounds once. */
static double odd_f64(int64_t v)
{
    const int64_t exact = INT64_C(1) << 53, low = 0x7ff;
    if (v >= -exact && v <= exact)
        return (double)v;
    return (double)((v & ~low) | (v & low ? low + 1 : 0));
}

const DTypeInfo *dtype_info(DType dt)
{
    return &info[dt];
}

DType dtype_by_name(const char *name)
{
    for (DType dt = 1; dt < DT_count; dt++) {
        if (strcmp(info[dt].name, name) == 0)
            return dt;
    }
    return DT_none;
}

DType dtype_by_onnx(int64_t number)
{
    for (DType dt = 1; number > 0 && dt < DT_count; dt++) {
        if (info[dt].onnx == number)
            return dt;
    }
    return DT_none;
}

DType dtype_compute(DType dt)
{
    if (info[dt].cls == DC_F && info[dt].bits < 32)
        return DT_f32;
    return dtype_is_int(dt) && info[dt].bits < 32 ? DT_i32 : dt;
}

int64_t dtype_min(DType dt)
{
    const DTypeInfo *t = &info[dt];
    if (!is_integer(t) && t->cls != DC_B)
        no_number(dt);
    return t->cls == DC_U || t->cls == DC_B ? 0 : INT64_MIN >> (64 - t->bits);
}

int64_t dtype_max(DType dt)
{
    const DTypeInfo *t = &info[dt];
    if (!is_integer(t) && t->cls != DC_B)
        no_number(dt);
    if (t->cls == DC_B)
        return 1;
    const int width = t->cls == DC_U && t->bits < 64 ? t->bits : t->bits - 1;
    return (int64_t)((UINT64_C(1) << width) - 1);
}

/* Exact except for 64-bit integers, which are rounded. Not for text and complex types. */
double dtype_get_f(DType dt, const void *p)
{
    const DTypeInfo *t = &info[dt];
    if (is_integer(t) || t->cls == DC_B)
        return dt == DT_u64 ? (double)(uint64_t)load_int(t, p) : (double)load_int(t, p);
    if (byte_float[dt].get)
        return byte_float[dt].get(*(const uint8_t *)p);
    switch (dt) {
    case DT_f64: return load_f64(p);
    case DT_f32: return load_f32(p);
    case DT_f16: return mlcc_f32_of_f16(load_u16(p));
    case DT_bf16: return mlcc_f32_of_bf16(load_u16(p));
    default: no_number(dt);
    }
}

/* Integers as they are, u64 above INT64_MAX as its negative twin; floats as mlcc_trunc_i64 has it. */
int64_t dtype_get_i(DType dt, const void *p)
{
    const DTypeInfo *t = &info[dt];
    return is_integer(t) || t->cls == DC_B ? load_int(t, p) : mlcc_trunc_i64(dtype_get_f(dt, p));
}

/* Floats: one rounding to nearest, half to even; overflow gives what the format has for it (mlcc_float.h).
 * Integers: towards zero, see mlcc_int.h; bool: is it not zero. */
void dtype_put_f(DType dt, void *p, double v)
{
    const DTypeInfo *t = &info[dt];
    if (is_integer(t) || t->cls == DC_B) {
        store_int(t, p, int_of_f64(dt, v));
    } else if (byte_float[dt].put) {
        *(uint8_t *)p = byte_float[dt].put(mlcc_odd_f32(v));
    } else {
        switch (dt) {
        case DT_f64: memcpy(p, &v, sizeof v); break;
        case DT_f32: store_f32(p, v); break;
        case DT_f16: store_u16(p, mlcc_f16_of_f32(mlcc_odd_f32(v))); break;
        case DT_bf16: store_u16(p, mlcc_bf16_of_f32(mlcc_odd_f32(v))); break;
        default: no_number(dt);
        }
    }
}

/* Integers take the low bits of v, bool whether it is not zero, floats the nearest value. */
void dtype_put_i(DType dt, void *p, int64_t v)
{
    const DTypeInfo *t = &info[dt];
    if (is_integer(t) || t->cls == DC_B) {
        store_int(t, p, v);
    } else if (dt == DT_f32) {
        const float f = (float)v;
        memcpy(p, &f, sizeof f);
    } else {
        dtype_put_f(dt, p, dt == DT_f64 ? (double)v : odd_f64(v));
    }
}

/* As dtype_put_f, but what is out of range becomes the nearest value of an 8-bit float (ONNX's Cast with saturate = 1)
 * or of an integer type. */
void dtype_put_f_sat(DType dt, void *p, double v)
{
    if (byte_float[dt].put_sat)
        *(uint8_t *)p = byte_float[dt].put_sat(mlcc_odd_f32(v));
    else if (is_integer(&info[dt]) && info[dt].bits < 32)
        store_int(&info[dt], p, min_i64(max_i64(mlcc_trunc_i32(v), dtype_min(dt)), dtype_max(dt)));
    else
        dtype_put_f(dt, p, v);
}

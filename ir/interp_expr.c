/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations of the interpreter over lanes. Each is scalar_op lane by lane; those that make up the bulk of a network have
 * loops of their own, written as rows for each layout of a slot and equal to the rows of expr_eval.c.
 */
#include "interp.h"

#include <math.h>

typedef const char *String;

/* ---- slots ---- */

Rep rep_of(DType dt)
{
    switch (dt) {
    case DT_f64: return RP_f64;
    case DT_u32: return RP_u32;
    case DT_u64: return RP_u64;
    case DT_i64: case DT_ix: return RP_i64;
    case DT_bool: return RP_bool;
    case DT_str: return RP_str;
    default: return dtype_is_float(dt) ? RP_f32 : RP_i32;
    }
}

Scalar rep_get(Rep r, const void *slot, int32_t lane)
{
    switch (r) {
    case RP_f32: return (Scalar){.f32 = ((const float *)slot)[lane]};
    case RP_f64: return (Scalar){.f64 = ((const double *)slot)[lane]};
    case RP_i32: return (Scalar){.i = ((const int32_t *)slot)[lane]};
    case RP_u32: return (Scalar){.u = ((const uint32_t *)slot)[lane]};
    case RP_u64: return (Scalar){.u = ((const uint64_t *)slot)[lane]};
    case RP_bool: return (Scalar){.i = ((const uint8_t *)slot)[lane]};
    case RP_str: return (Scalar){.s = ((const char *const *)slot)[lane]};
    default: return (Scalar){.i = ((const int64_t *)slot)[lane]};
    }
}

void rep_put(Rep r, void *slot, int32_t lane, Scalar v)
{
    switch (r) {
    case RP_f32: ((float *)slot)[lane] = v.f32; return;
    case RP_f64: ((double *)slot)[lane] = v.f64; return;
    case RP_i32: ((int32_t *)slot)[lane] = (int32_t)v.i; return;
    case RP_u32: ((uint32_t *)slot)[lane] = (uint32_t)v.u; return;
    case RP_u64: ((uint64_t *)slot)[lane] = v.u; return;
    case RP_bool: ((uint8_t *)slot)[lane] = v.i != 0; return;
    case RP_str: ((const char **)slot)[lane] = v.s; return;
    default: ((int64_t *)slot)[lane] = v.i; return;
    }
}

/* ---- any operation ---- */

static DType operand_type(const Ins *i, int k)
{
    return i->op == EX_select && k == 0 ? DT_bool : (DType)i->from;
}

static void generic(const Ins *i, int32_t n)
{
    const int arity = expr_info((ExprOp)i->op)->arity;
    const Rep to = rep_of((DType)i->dt);
    for (int32_t l = 0; l < n; l++) {
        Scalar a[3];
        for (int k = 0; k < arity; k++)
            a[k] = rep_get(rep_of(operand_type(i, k)), i->a[k], i->each[k] ? l : 0);
        rep_put(to, i->dst, l, scalar_op((ExprOp)i->op, (DType)i->dt, (DType)i->from, a));
    }
}

/* ---- operations with loops of their own ---- */

#define BINARY(name, T, R, value)                                  \
    static void name(const Ins *i, int32_t n)                      \
    {                                                              \
        R *d = i->dst;                                             \
        const T *p = i->a[0], *q = i->a[1];                        \
        if (!i->each[1]) {                                         \
            const T b = *q;                                        \
            for (int32_t l = 0; l < n; l++) {                      \
                const T a = p[l];                                  \
                d[l] = (R)(value);                                 \
            }                                                      \
        } else if (!i->each[0]) {                                  \
            const T a = *p;                                        \
            for (int32_t l = 0; l < n; l++) {                      \
                const T b = q[l];                                  \
                d[l] = (R)(value);                                 \
            }                                                      \
        } else {                                                   \
            for (int32_t l = 0; l < n; l++) {                      \
                const T a = p[l], b = q[l];                        \
                d[l] = (R)(value);                                 \
            }                                                      \
        }                                                          \
    }

/* What networks do most, a block of lanes at a time: the address sanitizer looks at each access. */
enum { BLOCK = 8 };

#define ARITHMETIC(name, T, op)                                                                         \
    static void name(const Ins *i, int32_t n)                                                           \
    {                                                                                                   \
        typedef T Block __attribute__((vector_size(BLOCK * sizeof(T)), aligned(_Alignof(T)), may_alias)); \
        T *d = i->dst;                                                                                  \
        const T *p = i->a[0], *q = i->a[1];                                                             \
        const bool each = i->each[0] && i->each[1], left = i->each[0];                                  \
        int32_t l = 0;                                                                                  \
        for (; l + BLOCK <= n && each; l += BLOCK)                                                      \
            *(Block *)(d + l) = *(const Block *)(p + l) op *(const Block *)(q + l);                     \
        for (const T b = *q; l + BLOCK <= n && left; l += BLOCK)                                        \
            *(Block *)(d + l) = *(const Block *)(p + l) op b;                                           \
        for (const T a = *p; l + BLOCK <= n; l += BLOCK)                                                \
            *(Block *)(d + l) = a op *(const Block *)(q + l);                                           \
        for (; l < n; l++)                                                                              \
            d[l] = p[left ? l : 0] op q[i->each[1] ? l : 0];                                            \
    }

#define UNARY(name, T, R, value)                                   \
    static void name(const Ins *i, int32_t n)                      \
    {                                                              \
        R *d = i->dst;                                             \
        const T *p = i->a[0];                                      \
        for (int32_t l = 0; l < n; l++) {                          \
            const T a = p[l];                                      \
            d[l] = (R)(value);                                     \
        }                                                          \
    }

#define FLOAT_KERNELS(T, size, root)                               \
    ARITHMETIC(add_##T, T, +)                                      \
    ARITHMETIC(sub_##T, T, -)                                      \
    ARITHMETIC(mul_##T, T, *)                                      \
    BINARY(div_##T, T, T, a / b)                                   \
    BINARY(min_##T, T, T, (b < a || b != b) ? b : a)               \
    BINARY(max_##T, T, T, (b > a || b != b) ? b : a)               \
    UNARY(neg_##T, T, T, -a)                                       \
    UNARY(abs_##T, T, T, size(a))                                  \
    UNARY(root_##T, T, T, root(a))                                \
    COMPARE_KERNELS(T)

#define COMPARE_KERNELS(T)                                         \
    BINARY(eq_##T, T, uint8_t, a == b)                             \
    BINARY(ne_##T, T, uint8_t, a != b)                             \
    BINARY(lt_##T, T, uint8_t, a < b)                              \
    BINARY(le_##T, T, uint8_t, a <= b)

/* Low bits do not depend on the sign. */
#define WRAP_KERNELS(T)                                            \
    ARITHMETIC(add_##T, T, +)                                      \
    ARITHMETIC(sub_##T, T, -)                                      \
    ARITHMETIC(mul_##T, T, *)                                      \
    BINARY(band_##T, T, T, a & b)                                  \
    BINARY(bor_##T, T, T, a | b)                                   \
    BINARY(bxor_##T, T, T, a ^ b)

#define ORDER_KERNELS(T)                                           \
    BINARY(min_##T, T, T, b < a ? b : a)                           \
    BINARY(max_##T, T, T, b > a ? b : a)                           \
    COMPARE_KERNELS(T)

#define CHOICE(name, T)                                            \
    static void name(const Ins *i, int32_t n)                      \
    {                                                              \
        T *d = i->dst;                                             \
        const uint8_t *c = i->a[0];                                \
        const T *p = i->a[1], *q = i->a[2];                        \
        for (int32_t l = 0; l < n; l++) {                          \
            const T x = p[i->each[1] ? l : 0], y = q[i->each[2] ? l : 0]; \
            d[l] = c[i->each[0] ? l : 0] ? x : y;                  \
        }                                                          \
    }

static int64_t fdiv_ix(int64_t a, int64_t b)
{
    return b == 0 ? 0 : b == -1 ? (int64_t)(0 - (uint64_t)a) : floor_div(a, b);
}

static int64_t mod_ix(int64_t a, int64_t b)
{
    return b == 0 || b == -1 ? 0 : floor_mod(a, b);
}

FLOAT_KERNELS(float, fabsf, sqrtf)
FLOAT_KERNELS(double, fabs, sqrt)
WRAP_KERNELS(uint32_t)
WRAP_KERNELS(uint64_t)
ORDER_KERNELS(int32_t)
ORDER_KERNELS(uint32_t)
ORDER_KERNELS(int64_t)
ORDER_KERNELS(uint64_t)
COMPARE_KERNELS(uint8_t)
BINARY(fdiv_int64_t, int64_t, int64_t, fdiv_ix(a, b))
BINARY(mod_int64_t, int64_t, int64_t, mod_ix(a, b))
BINARY(and_uint8_t, uint8_t, uint8_t, a & b)
BINARY(or_uint8_t, uint8_t, uint8_t, a | b)
BINARY(xor_uint8_t, uint8_t, uint8_t, a ^ b)
UNARY(not_uint8_t, uint8_t, uint8_t, a ^ 1)
CHOICE(select_bool, uint8_t)
CHOICE(select_f32, float)
CHOICE(select_f64, double)
CHOICE(select_i32, int32_t)
CHOICE(select_i64, int64_t)
CHOICE(select_str, String)

#define FLOATS(r, T)                                                                                                   \
    [EX_add][r] = add_##T, [EX_sub][r] = sub_##T, [EX_mul][r] = mul_##T, [EX_div][r] = div_##T, [EX_min][r] = min_##T, \
    [EX_max][r] = max_##T, [EX_neg][r] = neg_##T, [EX_abs][r] = abs_##T, [EX_sqrt][r] = root_##T, COMPARES(r, T)
#define COMPARES(r, T) [EX_eq][r] = eq_##T, [EX_ne][r] = ne_##T, [EX_lt][r] = lt_##T, [EX_le][r] = le_##T
#define INTEGERS(r, U, T)                                                                                         \
    [EX_add][r] = add_##U, [EX_sub][r] = sub_##U, [EX_mul][r] = mul_##U, [EX_band][r] = band_##U,                 \
    [EX_bor][r] = bor_##U, [EX_bxor][r] = bxor_##U, [EX_min][r] = min_##T, [EX_max][r] = max_##T, COMPARES(r, T)

/* By operation and layout of the operands; NULL: the generic kernel. */
static const Kernel own[EX_count][RP_count] = {
    FLOATS(RP_f32, float),
    FLOATS(RP_f64, double),
    INTEGERS(RP_i32, uint32_t, int32_t),
    INTEGERS(RP_u32, uint32_t, uint32_t),
    INTEGERS(RP_i64, uint64_t, int64_t),
    INTEGERS(RP_u64, uint64_t, uint64_t),
    COMPARES(RP_bool, uint8_t),
    [EX_fdiv][RP_i64] = fdiv_int64_t, [EX_mod][RP_i64] = mod_int64_t,
    [EX_and][RP_bool] = and_uint8_t, [EX_or][RP_bool] = or_uint8_t, [EX_xor][RP_bool] = xor_uint8_t, [EX_not][RP_bool] = not_uint8_t,
    [EX_select] = {select_f32, select_f64, select_i32, select_i32, select_i64, select_i64, select_bool, select_str},
};

/* ---- conversions ---- */

UNARY(same_bool, uint8_t, uint8_t, a)
UNARY(same_f32, float, float, a)
UNARY(same_f64, double, double, a)
UNARY(same_i32, int32_t, int32_t, a)
UNARY(same_i64, int64_t, int64_t, a)
UNARY(i32_f32, int32_t, float, a)
UNARY(i32_f64, int32_t, double, a)
UNARY(i32_i64, int32_t, int64_t, a)
UNARY(i64_f32, int64_t, float, a)
UNARY(i64_i32, int64_t, int32_t, (uint32_t)(uint64_t)a)
UNARY(f32_f64, float, double, a)
UNARY(f64_f32, double, float, a)
UNARY(bool_i32, uint8_t, int32_t, a)
UNARY(bool_i64, uint8_t, int64_t, a)
UNARY(bool_f32, uint8_t, float, a)

static const Kernel same_of[RP_count] = {same_f32, same_f64, same_i32, same_i32, same_i64, same_i64, same_bool, NULL};

/* By layout, for results of a compute type. */
static const Kernel convert[RP_count][RP_count] = {
    [RP_i32] = {[RP_f32] = i32_f32, [RP_f64] = i32_f64, [RP_i64] = i32_i64},
    [RP_i64] = {[RP_f32] = i64_f32, [RP_i32] = i64_i32},
    [RP_f32] = {[RP_f64] = f32_f64},
    [RP_f64] = {[RP_f32] = f64_f32},
    [RP_bool] = {[RP_i32] = bool_i32, [RP_i64] = bool_i64, [RP_f32] = bool_f32},
};

static Kernel kernel_cast(DType to, DType from)
{
    const Rep r = rep_of(from), s = rep_of(to);
    if (dtype_compute(to) != to)
        return to == from ? same_of[r] : generic;
    const Kernel k = r == s ? same_of[r] : convert[r][s];
    return k ? k : generic;
}

Kernel kernel_op(ExprOp op, DType dt, DType from)
{
    if (op == EX_cast)
        return kernel_cast(dt, from);
    if (op == EX_castsat || op == EX_bitcast)
        return generic;
    const Kernel k = own[op][rep_of(from)];
    return k ? k : generic;
}

/* ---- memory ---- */

static NORETURN void outside(const Memory *m, int64_t at)
{
    ICE("element %lld of buffer '%s', which has %lld", (long long)at, m->name, (long long)m->count);
}

static void check(const Memory *m, int64_t at)
{
    if ((uint64_t)at >= (uint64_t)m->count)
        outside(m, at);
}

/* All lanes at once when their offsets are measured; false: each is to be checked. */
static bool checked(const Ins *i, int64_t base, const Offsets *o)
{
    if (i->mask || !o->measured)
        return false;
    check(i->mem, base + o->low);
    check(i->mem, base + o->high);
    return true;
}

/* Elements are T in memory, `value` of v in the slot; same: those are the same bytes, which are copied where they lie side by side. */
#define LOAD(name, T, R, value, same)                                                            \
    static void name(const Ins *i, int32_t n)                                                    \
    {                                                                                            \
        R *d = i->dst;                                                                           \
        const int64_t base = *(const int64_t *)i->a[0];                                          \
        const Offsets *o = i->a[1];                                                              \
        const char *m = i->mem->data;                                                            \
        T v;                                                                                     \
        if (!o) {                                                                                \
            check(i->mem, base);                                                                 \
            memcpy(&v, m + base * (int64_t)sizeof v, sizeof v);                                  \
            d[0] = (R)(value);                                                                   \
        } else if (checked(i, base, o)) {                                                        \
            const char *from = m + (base + o->at[0]) * (int64_t)sizeof v;                        \
            if ((same) && o->step == 1)                                                          \
                memcpy(d, from, (size_t)n * sizeof v);                                           \
            for (int32_t l = 0; l < n && o->step == 1 && !(same); l++) {                         \
                memcpy(&v, from + l * (int64_t)sizeof v, sizeof v);                              \
                d[l] = (R)(value);                                                               \
            }                                                                                    \
            for (int32_t l = 0; l < n && o->step != 1; l++) {                                    \
                memcpy(&v, m + (base + o->at[l]) * (int64_t)sizeof v, sizeof v);                 \
                d[l] = (R)(value);                                                               \
            }                                                                                    \
        } else {                                                                                 \
            for (int32_t l = 0; l < n; l++) {                                                    \
                if (i->mask && !i->mask[l]) {                                                    \
                    d[l] = 0;                                                                    \
                    continue;                                                                    \
                }                                                                                \
                check(i->mem, base + o->at[l]);                                                  \
                memcpy(&v, m + (base + o->at[l]) * (int64_t)sizeof v, sizeof v);                 \
                d[l] = (R)(value);                                                               \
            }                                                                                    \
        }                                                                                        \
    }

LOAD(load_f32, float, float, v, true)
LOAD(load_f64, double, double, v, true)
LOAD(load_i32, int32_t, int32_t, v, true)
LOAD(load_i64, int64_t, int64_t, v, true)
LOAD(load_str, String, String, v, true)
LOAD(load_i8, int8_t, int32_t, v, false)
LOAD(load_u8, uint8_t, int32_t, v, false)
LOAD(load_i16, int16_t, int32_t, v, false)
LOAD(load_u16, uint16_t, int32_t, v, false)
LOAD(load_bool, uint8_t, uint8_t, v != 0, false)

static bool lane_is_on(const Ins *i, int32_t l) { return !i->mask || i->mask[l]; }

static int64_t place(const Ins *i, int32_t l)
{
    const Offsets *o = i->a[1];
    const int64_t at = *(const int64_t *)i->a[0] + (o ? o->at[l] : 0);
    check(i->mem, at);
    return at;
}

static void load_any(const Ins *i, int32_t n)
{
    const DType dt = (DType)i->dt;
    for (int32_t l = 0; l < n; l++)
        if (lane_is_on(i, l))
            rep_put(rep_of(dt), i->dst, l, scalar_load(dt, i->mem->data + place(i, l) * (int64_t)dtype_bytes(dt)));
        else
            rep_put(rep_of(dt), i->dst, l, (Scalar){.u = 0});
}

static void store_any(const Ins *i, int32_t n)
{
    const DType dt = (DType)i->dt;
    for (int32_t l = 0; l < n; l++)
        if (lane_is_on(i, l))
            scalar_store(dt, i->mem->data + place(i, l) * (int64_t)dtype_bytes(dt), rep_get(rep_of(dt), i->a[2], i->each[2] ? l : 0));
}

#define STORE(name, T, R)                                                                \
    static void name(const Ins *i, int32_t n)                                            \
    {                                                                                    \
        const R *v = i->a[2];                                                            \
        for (int32_t l = 0; l < n; l++) {                                                \
            const T e = (T)v[i->each[2] ? l : 0];                                        \
            if (lane_is_on(i, l))                                                        \
                memcpy(i->mem->data + place(i, l) * (int64_t)sizeof e, &e, sizeof e);    \
        }                                                                                \
    }

STORE(store_bool, uint8_t, uint8_t)
STORE(store_f32, float, float)
STORE(store_f64, double, double)
STORE(store_i32, int32_t, int32_t)
STORE(store_i64, int64_t, int64_t)
STORE(store_str, String, String)
STORE(store_i8, uint8_t, int32_t)
STORE(store_i16, uint16_t, int32_t)

typedef struct Access { Kernel load, store; } Access;

static const Access access_of[DT_count] = {
    [DT_f32] = {load_f32, store_f32},   [DT_f64] = {load_f64, store_f64},    [DT_i32] = {load_i32, store_i32},
    [DT_u32] = {load_i32, store_i32},   [DT_i64] = {load_i64, store_i64},    [DT_u64] = {load_i64, store_i64},
    [DT_str] = {load_str, store_str},   [DT_bool] = {load_bool, store_bool}, [DT_i8] = {load_i8, store_i8},
    [DT_u8] = {load_u8, store_i8},      [DT_i16] = {load_i16, store_i16},    [DT_u16] = {load_u16, store_i16},
};

Kernel kernel_load(DType dt)
{
    return access_of[dt].load ? access_of[dt].load : load_any;
}

Kernel kernel_store(DType dt)
{
    return access_of[dt].store ? access_of[dt].store : store_any;
}

/* ---- registers and masks ---- */

#define COPY(name, T)                                      \
    static void name(const Ins *i, int32_t n)              \
    {                                                      \
        T *d = i->dst;                                     \
        const T *p = i->a[0];                              \
        for (int32_t l = 0; l < n; l++)                    \
            if (lane_is_on(i, l))                          \
                d[l] = p[i->each[0] ? l : 0];              \
    }

COPY(copy_bool, uint8_t)
COPY(copy_f32, float)
COPY(copy_f64, double)
COPY(copy_i32, int32_t)
COPY(copy_i64, int64_t)
COPY(copy_str, String)

Kernel kernel_copy(DType dt)
{
    static const Kernel by[RP_count] = {copy_f32, copy_f64, copy_i32, copy_i32, copy_i64, copy_i64, copy_bool, copy_str};
    return by[rep_of(dt)];
}

void kernel_mask(const Ins *i, int32_t n)
{
    uint8_t *d = i->dst;
    const uint8_t *c = i->a[0], *all = i->a[1];
    for (int32_t l = 0; l < n; l++)
        d[l] = (uint8_t)((c[l] == i->sense) & (all ? all[l] : 1));
}

void kernel_measure(const Ins *i, int32_t n)
{
    Offsets *o = i->dst;
    o->low = o->high = o->at[0];
    o->step = n > 1 ? o->at[1] - o->at[0] : 1;
    o->measured = true;
    for (int32_t l = 1; l < n; l++) {
        o->low = min_i64(o->low, o->at[l]);
        o->high = max_i64(o->high, o->at[l]);
        if (o->at[l] - o->at[l - 1] != o->step)
            o->step = UNEVEN;
    }
}

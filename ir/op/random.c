/* SPDX-License-Identifier: Apache-2.0
 *
 * Random tensors from a counter: element k is a hash of k and the seed, so any target and any order of computing gives
 * the same numbers. Without a seed the compiler makes one from the name of the result: different nodes draw different
 * numbers, and a compiled model draws the same ones in every run.
 */
#include "proto.h"
#include "red.h"
#include "sample.h"

#define U(v) ex_const_i(c->x, DT_u32, (int64_t)(v))

/* Bits of the seed of this node. */
static uint32_t seed_of(const OpCtx *c)
{
    const char *name = out_t(c, 0)->name;
    const double seed = attr_has(c, "seed") ? attr_f(c, "seed") : 0;
    const uint64_t h = attr_has(c, "seed") ? hash_bytes(1, &seed, sizeof seed) : hash_bytes(2, name, strlen(name));
    return (uint32_t)(h ^ h >> 32);
}

/* Austin Appleby's finaliser of MurmurHash3: each bit of v changes each bit of the result with probability 1/2. */
static const Expr *mix(OpCtx *c, const Expr *v)
{
    static const struct {
        int shift;
        uint32_t factor;
    } step[] = {{16, 0x85ebca6b}, {13, 0xc2b2ae35}};
    for (size_t k = 0; k < COUNT(step); k++) {
        v = ex_binary(c->x, EX_bxor, v, ex_binary(c->x, EX_shr, v, U(step[k].shift)));
        v = MUL(v, U(step[k].factor));
    }
    return ex_binary(c->x, EX_bxor, v, ex_binary(c->x, EX_shr, v, U(16)));
}

/* Number in [0, 1) with 24 random bits for element i of a tensor; `stream` numbers are independent of each other. */
static const Expr *uniform(OpCtx *c, int rank, const Expr *const *dim, const Expr *const *i, uint32_t stream)
{
    const Expr *k = U(0);
    for (int d = 0; d < rank; d++) k = ADD(MUL(k, CAST(DT_u32, dim[d])), CAST(DT_u32, i[d]));
    const Expr *h = mix(c, ADD(mix(c, ADD(k, U(seed_of(c) + 0x9e3779b9u * stream))), U(0x7f4a7c15)));
    return MUL(CAST(DT_f32, ex_binary(c->x, EX_shr, h, U(8))), NUM(DT_f32, 0x1p-24));
}

static const Expr *uniform_out(OpCtx *c, const Expr *const *i, uint32_t stream)
{
    return uniform(c, out_t(c, 0)->rank, out_t(c, 0)->dim, i, stream);
}

/* ---- shapes and types ---- */

static bool random_type(const OpCtx *c)
{
    const bool given = attr_has(c, "dtype");
    const DType dt = given ? dtype_by_onnx(attr_i(c, "dtype")) : in_t(c, 0)->dt;
    const DClass cls = dtype_info(dt)->cls;
    if (dt != DT_none && (cls == DC_F || cls == DC_I || cls == DC_U || cls == DC_B)) return set_type(c, 0, dt);
    return op_error(c, NO_OPERAND, "attribute-value", "the result cannot have the type that dtype asks for");
}

static bool infer_shaped(OpCtx *c)
{
    uint32_t n;
    const int64_t *v = attr_is(c, "shape", &n);
    const Expr *dim[MAX_RANK];
    if (n > MAX_RANK) return op_error(c, NO_OPERAND, "rank", "shape has %u dimensions", n);
    for (uint32_t d = 0; d < n; d++) {
        if (v[d] < 0 || v[d] > INT32_MAX)
            return op_error(c, NO_OPERAND, "attribute-value", "dimension %u of shape is %lld", d, (long long)v[d]);
        dim[d] = IX(v[d]);
    }
    return random_type(c) && set_shape(c, 0, (int)n, dim);
}

static bool infer_like(OpCtx *c)
{
    return random_type(c) && same_shape(c, 0, 0);
}

bool infer_RandomUniform(OpCtx *c)
{
    return infer_shaped(c);
}
bool infer_RandomNormal(OpCtx *c)
{
    return infer_shaped(c);
}
bool infer_RandomUniformLike(OpCtx *c)
{
    return infer_like(c);
}
bool infer_RandomNormalLike(OpCtx *c)
{
    return infer_like(c);
}
bool infer_Bernoulli(OpCtx *c)
{
    return infer_like(c);
}

bool infer_Multinomial(OpCtx *c)
{
    const int64_t n = attr_i(c, "sample_size");
    if (!in_rank(c, 0, 2, 2)) return false;
    if (n < 0 || n > INT32_MAX) return op_error(c, NO_OPERAND, "attribute-value", "sample_size is %lld", (long long)n);
    if (ex_is_int(in_t(c, 0)->dim[1], 0)) return op_error(c, 0, "multinomial-classes", "there are no classes");
    const Expr *dim[] = {in_t(c, 0)->dim[0], IX(n)};
    return random_type(c) && set_shape(c, 0, 2, dim);
}

/* ---- values ---- */

/* low + u * (high - low) */
static bool lower_uniform(OpCtx *c)
{
    const double low = attr_f(c, "low"), high = attr_f(c, "high");
    const Expr *i[MAX_RANK];
    out_vars(c, 0, i);
    return def_map(c, out_ten(c, 0), i, ADD(MUL(uniform_out(c, i, 0), NUM(DT_f32, high - low)), NUM(DT_f32, low)));
}

/* Box and Muller: sqrt(-2 log(1 - u)) cos(2 pi v) */
static bool lower_normal(OpCtx *c)
{
    const Expr *i[MAX_RANK];
    out_vars(c, 0, i);
    const Expr *far = UN(sqrt, MUL(NUM(DT_f32, -2), UN(log, SUB(NUM(DT_f32, 1), uniform_out(c, i, 0)))));
    const Expr *v = MUL(far, UN(cos, MUL(NUM(DT_f32, 6.283185307179586), uniform_out(c, i, 1))));
    v = ADD(MUL(v, NUM(DT_f32, attr_f(c, "scale"))), NUM(DT_f32, attr_f(c, "mean")));
    return def_map(c, out_ten(c, 0), i, v);
}

bool lower_RandomUniform(OpCtx *c)
{
    return lower_uniform(c);
}
bool lower_RandomUniformLike(OpCtx *c)
{
    return lower_uniform(c);
}
bool lower_RandomNormal(OpCtx *c)
{
    return lower_normal(c);
}
bool lower_RandomNormalLike(OpCtx *c)
{
    return lower_normal(c);
}

/* 1 with the probability in the input. */
bool lower_Bernoulli(OpCtx *c)
{
    const Expr *i[MAX_RANK];
    out_vars(c, 0, i);
    const Expr *hit = LT(uniform_out(c, i, 0), CAST(DT_f32, load_at(c, in_ten(c, 0), i)));
    const DType dt = dtype_compute(out_t(c, 0)->dt);
    return def_map(c, out_ten(c, 0), i, dt == DT_bool ? hit : SEL(hit, NUM(dt, 1), NUM(dt, 0)));
}

/* t[b,s,c] = x[b,c] - log(-log(u)): where it is greatest is a class with the probability that log-probabilities x
 * give. */
static uint32_t perturbed(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    const Expr *dim[] = {x->dim[0], out_t(c, 0)->dim[1], x->dim[1]}, *i[3];
    const uint32_t t = temp_ten(c, "gumbel", DT_f32, 3, dim);
    vars_for(c, "bsc", 3, dim, i);
    const Expr *at[] = {i[0], i[2]}, *u = ADD(uniform(c, 3, dim, i, 0), NUM(DT_f32, 0x1p-25));
    const Expr *noise = UN(neg, UN(log, UN(neg, UN(log, u))));
    def_map(c, t, i, ADD(CAST(DT_f32, load_at(c, in_ten(c, 0), at)), noise));
    return t;
}

/* The first class at the maximum; inside the classes also when nothing equals it (NaN). */
bool lower_Multinomial(OpCtx *c)
{
    const uint32_t t = perturbed(c);
    const Axes a = axes_one(3, ten(c->te, t)->dim, 2);
    const Expr *i[2];
    Sweep s;
    sweep(c, &a, &s);
    const uint32_t max = sweep_temp(c, "max", &a, &s, RED_max, load_at(c, t, s.at));
    sweep(c, &a, &s);
    const Expr *last = CAST(DT_i64, SUB(a.red[0], IX(1)));
    const Expr *hit = EQ(load_at(c, t, s.at), load_at(c, max, s.i));
    const uint32_t first = sweep_temp(c, "first", &a, &s, RED_min, SEL(hit, CAST(DT_i64, s.r[0]), last));
    out_vars(c, 0, i);
    return def_map(c, out_ten(c, 0), i, load_at(c, first, i));
}

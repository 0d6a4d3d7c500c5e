/* SPDX-License-Identifier: Apache-2.0
 *
 * Scaled sums of integers in floats:
 *
 *   sat_u8(i32((i64(sum + bias[m])*factor[m] + c) >> s))
 *   becomes   sat_u8(bits_i32(fma(f32(sum + bias[m]), scale[m], 1.5*2^23)) - c')
 *
 * A float of 1.5 * 2^23 and more has no fraction, so the fma rounds the exact product half to even and leaves the whole number in
 * its low bits. Twice as many floats as 64-bit integers are in a vector, and the shift and both halves of the product go. Both
 * forms grow with the sum, so they are equal everywhere when they are equal on both sides of each of the result's 255 steps, which
 * is tried for every m with constants that are searched for.
 *
 * Where 24 bits of a scale are too few for a factor of 31, what is scaled is a multiple of the sum, so that both numbers together
 * are as fine. Where additions run beside multiplications it is made by an addition, of the sum with another exponent:
 *
 *   f32(sum + bias[m])   becomes   a + bits_f32(bits_i32(a) + power[m])   a = f32(sum + bias[m]), power = d << 23: a * (1 + 2^d)
 *
 * else, and where none of 25 exponents will do, by a multiplication, for which gains up to 12 bits are tried: a sum has fewer bits than a float.
 *
 *   f32(sum + bias[m])   becomes   fma(f32(sum), gain[m], gain[m]*bias[m])
 *
 * A sum below 2^22 that starts with the bits of 1.5*2^23, and its bias, is a float already, where a tile has the sum, whose
 * accumulators start with that. Both offsets are exact: a gain has 12 bits.
 *
 *   f32(sum + bias[m])                        becomes   bits_f32(sum + start[m]) - 1.5*2^23   start = bits_i32(1.5*2^23) + bias
 *   fma(f32(sum), gain[m], gain[m]*bias[m])   becomes   fma(bits_f32(sum + start[m]), gain[m], -1.5*2^23*gain[m])
 *
 * and all at once, where each channel may start with another whole number, start = bits_i32(1.5*2^23) + bias[m] + moved[m],
 *
 *   fma(f32(sum + bias[m]), scale[m], 1.5*2^23)   becomes   fma(bits_f32(sum + start[m]), scale[m], offset[m])
 *
 * offset being 1.5*2^23 - (1.5*2^23 + moved)*scale, so nearly a whole number that its error does not matter (auto_scale_proof.c).
 */
#include <math.h>

#include "auto_scale.h"

enum { MOST_ADDED = 3 }; /* constants that are added to a sum: of zero points, and a bias */
enum { MOST_STARTED = 1 << 22 };

/* ---- the integer form ---- */

static bool is_vector(const Auto *g, const Expr *e)
{
    return e->op == EX_load && e->n == 1 && ten(g->te, e->v.ref)->kind == TEN_const && dtype_is_int((DType)e->dt);
}

/* Whether e is a literal or a vector over the index of the others. */
static bool take_constant(const Auto *g, Scaled *s, const Expr *e)
{
    if (ex_is_const(e))
        return true;
    if (!is_vector(g, e) || (s->at && s->at != e->a[0]))
        return false;
    const Blob *b = ten(g->te, e->v.ref)->data;
    s->at = e->a[0];
    s->dim = ten(g->te, e->v.ref)->dim[0];
    s->n = b->count;
    return true;
}

static bool take_factor(const Auto *g, Scaled *s, const Expr *e)
{
    s->factor = e->op == EX_cast ? e->a[0] : e;
    return take_constant(g, s, s->factor);
}

/* What is added to a sum. */
typedef struct Added { const Expr *e[MOST_ADDED]; bool less[MOST_ADDED]; int n; } Added;

/* A map of a sum in its place. */
static const Expr *seen_through(const Auto *g, const Expr *e)
{
    const Ten *t = e->op == EX_load ? ten(g->te, e->v.ref) : NULL;
    const Stage *s = t && t->kind == TEN_stage ? g->te->stage.at[t->stage] : NULL;
    if (!s || s->kind != ST_map || t->dt != DT_i32)
        return e;
    const Expr *body = auto_element(g, s, e->a);
    return body->op == EX_add || body->op == EX_sub ? body : e;
}

/* What is left of e without a constant that is added to it or taken from it; NULL: there is none. */
static const Expr *less_constant(const Auto *g, Scaled *s, const Expr *e, Added *all)
{
    const bool sum = (e->op == EX_add || e->op == EX_sub) && all->n < MOST_ADDED, second = sum && take_constant(g, s, e->a[1]);
    if (!second && !(sum && e->op == EX_add && take_constant(g, s, e->a[0])))
        return NULL;
    all->less[all->n] = e->op == EX_sub;
    all->e[all->n++] = e->a[second];
    return e->a[!second];
}

static const Expr *less_constants(const Auto *g, Scaled *s, const Expr *e, Added *all)
{
    for (const Expr *rest = e; rest; rest = less_constant(g, s, seen_through(g, e), all))
        e = rest;
    return e;
}

static int64_t constant_at(const Auto *g, const Expr *e, int64_t k)
{
    return !e ? 0 : ex_is_const(e) ? e->v.i : blob_i(ten(g->te, e->v.ref)->data, k);
}

/* A vector over the index of the others, or a literal. */
static const Expr *whole_constant(Auto *g, const Scaled *s, const char *what, const int32_t *v)
{
    if (!s->at)
        return ex_const_i(g->x, DT_i32, v[0]);
    const uint32_t t = auto_tensor(g, str_fmt(g->a, "%s%u", what, g->te->ten.n), TEN_const, 1, &s->dim);
    ten(g->te, t)->dt = DT_i32;
    ten(g->te, t)->data = blob_make(g->a, DT_i32, s->n, v);
    return ex_load(g->x, DT_i32, t, 1, &s->at);
}

/* All that is added as one constant. */
static const Expr *joined(Auto *g, const Scaled *s, const Added *all)
{
    if (all->n == 0 || (all->n == 1 && !all->less[0]))
        return all->n ? all->e[0] : NULL;
    int32_t *v = NEWN(g->a, int32_t, s->n);
    for (int64_t k = 0; k < s->n; k++) {
        uint32_t sum = 0; /* as the model's, modulo 2^32 */
        for (int q = 0; q < all->n; q++)
            sum += (uint32_t)(all->less[q] ? -constant_at(g, all->e[q], k) : constant_at(g, all->e[q], k));
        v[k] = (int32_t)sum;
    }
    return whole_constant(g, s, "bias", v);
}

static void take_sum(Auto *g, Scaled *s, const Expr *e)
{
    Added all = {0};
    s->sum = less_constants(g, s, e, &all);
    s->bias = joined(g, s, &all);
}

/* i64(e), e of at most 32 bits with a sign, or narrower. */
static bool is_widened(const Expr *e)
{
    return e->op == EX_cast && dtype_is_int((DType)e->a[0]->dt) && dtype_max((DType)e->a[0]->dt) <= INT32_MAX;
}

/* i64(sum + bias) * factor */
static bool take_product(Auto *g, Scaled *s, const Expr *e)
{
    for (int k = 0; k < 2 && e->op == EX_mul; k++) {
        const Expr *v = e->a[k];
        if (!is_widened(v) || is_vector(g, v->a[0]) || !take_factor(g, s, e->a[1 - k]))
            continue;
        take_sum(g, s, ex_cast(g->x, DT_i32, v->a[0]));
        return true;
    }
    return false;
}

/* (v >> shift) & 1 */
static bool is_last_bit(const Expr *e, const Expr *v, int shift)
{
    return e->op == EX_band && ex_is_int(e->a[1], 1) && e->a[0]->op == EX_shr && e->a[0]->a[0] == v && ex_is_int(e->a[0]->a[1], shift);
}

/* product + c, or product + its last bit + c */
static bool take_rounding(Auto *g, Scaled *s, const Expr *e)
{
    if (e->op != EX_add || !ex_is_const(e->a[1]))
        return false;
    s->add = e->a[1]->v.i;
    const Expr *v = e->a[0];
    for (int k = 0; k < 2 && v->op == EX_add; k++)
        if (is_last_bit(v->a[k], v->a[1 - k], s->shift)) {
            s->even = true;
            return take_product(g, s, v->a[1 - k]);
        }
    return take_product(g, s, v);
}

static bool find_scaled(Auto *g, const Expr *e, Scaled *s)
{
    *s = (Scaled){.dt = (DType)e->dt, .n = 1};
    if (e->op != EX_castsat || !dtype_is_byte((DType)e->dt))
        return false;
    const Expr *v = e->a[0]->op == EX_cast && e->a[0]->dt == DT_i32 ? e->a[0]->a[0] : e->a[0];
    if (v->op != EX_shr || v->dt != DT_i64 || !ex_is_const(v->a[1]) || v->a[1]->v.i < 1 || v->a[1]->v.i > 62)
        return false;
    s->shift = (int)v->a[1]->v.i;
    return take_rounding(g, s, v->a[0]);
}

/* ---- the form in floats ---- */

static const Expr *float_constant(Auto *g, const Scaled *s, const char *what, const float *v) { return auto_floats(g, what, s->n, v, s->dim, s->at); }

/* Vectors of the numbers. */
typedef struct Table { float *gain, *offset, *scale; int32_t *power, *moved; } Table;

static bool fill_table(const Auto *g, const Scaled *s, const Table *t, Form form)
{
    Channel c;
    for (int64_t k = 0; k < s->n; k++) {
        Floats f;
        c.factor = constant_at(g, s->factor, k);
        c.bias = constant_at(g, s->bias, k);
        if (c.factor <= 0)
            return false;
        if (!find_floats(s, &c, form, &f))
            return false;
        t->gain[k] = f.gain;
        t->offset[k] = f.offset;
        t->scale[k] = f.scale;
        t->power[k] = f.power;
        t->moved[k] = f.moved;
    }
    return true;
}

/* What a sum starts with, for each channel. */
static const Expr *start_of(Auto *g, const Scaled *s, const Table *t)
{
    int32_t *v = NEWN(g->a, int32_t, s->n);
    for (int64_t k = 0; k < s->n; k++)
        v[k] = (int32_t)(AUTO_ROUNDER_BITS + constant_at(g, s->bias, k) + t->moved[k]);
    return whole_constant(g, s, "start", v);
}

/* 1.5*2^23 + the sum with its bias, moved, as a float whose bits a tile has. */
static const Expr *started_sum(Auto *g, const Scaled *s, const Table *t) { return ex_bitcast(g->x, DT_f32, ex_add(g->x, s->sum, start_of(g, s, t))); }

static const Expr *float_sum(Auto *g, const Scaled *s, const Table *t)
{
    Exprs *x = g->x;
    if (s->starts)
        return ex_sub(x, started_sum(g, s, t), ex_const_f(x, DT_f32, AUTO_ROUNDER));
    return ex_cast(x, DT_f32, s->bias ? ex_add(x, s->sum, s->bias) : s->sum);
}

static const Expr *power_sum(Auto *g, const Scaled *s, const Table *t)
{
    Exprs *x = g->x;
    const Expr *sum = float_sum(g, s, t), *power = whole_constant(g, s, "power", t->power);
    return ex_add(x, sum, ex_bitcast(x, DT_f32, ex_add(x, ex_bitcast(x, DT_i32, sum), power)));
}

static const Expr *gained_sum(Auto *g, const Scaled *s, const Table *t)
{
    Exprs *x = g->x;
    const Expr *gain = float_constant(g, s, "gain", t->gain), *sum = s->starts ? started_sum(g, s, t) : ex_cast(x, DT_f32, s->sum);
    return s->starts || s->bias ? ex_fma(x, sum, gain, float_constant(g, s, "offset", t->offset)) : ex_mul(x, sum, gain);
}

/* What is scaled, in floats; moved where it is so. */
static const Expr *multiple_of_sum(Auto *g, const Scaled *s, const Table *t, Form form)
{
    switch (form) {
    case FORM_moved: return started_sum(g, s, t);
    case FORM_plain: return float_sum(g, s, t);
    case FORM_power: return power_sum(g, s, t);
    default: return gained_sum(g, s, t);
    }
}

/* Whether a tile of vectors may have it. Tiles of a matrix unit would have to be loaded, which costs more than it saves (ResNet-50 on AMX
 * 1.04 of the time), so what one may make is left as it is. */
static bool is_reduced(const Auto *g, const Expr *sum)
{
    const Ten *t = sum->op == EX_load ? ten(g->te, sum->v.ref) : NULL;
    Dot d;
    if (!t || t->kind != TEN_stage || g->te->stage.at[t->stage]->kind != ST_reduce)
        return false;
    return !g->m->amx || !dot_of(g, t->stage, &d) || d.row < 0 || d.lane < 0 || d.group != extent_of(g, t->dim[d.lane]) || left_to_vectors(g, g->te->stage.at[t->stage], &d);
}

/* Neither the sum nor what is rounded leads out of its type. */
static bool in_reach(const Auto *g, Scaled *s)
{
    const bool may_start = is_reduced(g, s->sum);
    const Reach sum = may_start ? auto_sums(g, s->sum) : auto_reach(g, s->sum), bias = s->bias ? auto_reach(g, s->bias) : (Reach){0, 0};
    const double most = fmax(-sum.lo, sum.hi), all = most + fmax(-bias.lo, bias.hi);
    double top = 0;
    for (int64_t k = 0; k < s->n; k++)
        top = fmax(top, ldexp((double)constant_at(g, s->factor, k), -s->shift));
    s->most = all < 0x1p31 ? (int64_t)most : 0;
    s->starts = may_start && sum.lo + bias.lo >= -MOST_STARTED && sum.hi + bias.hi < MOST_STARTED;
    s->down = s->starts ? (int64_t)floor(MOST_STARTED + (sum.lo + bias.lo)) : 0;
    s->up = s->starts ? (int64_t)floor(MOST_STARTED - 1 - (sum.hi + bias.hi)) : 0;
    return s->most > 0 && all * top < AUTO_REACH && whole_part(s) > -(1 << 20) && whole_part(s) < 1 << 20;
}

static const Expr *in_floats(void *ctx, const Expr *e)
{
    Auto *g = ctx;
    Exprs *x = g->x;
    Scaled s;
    if (!find_scaled(g, e, &s) || !in_reach(g, &s))
        return e;
    const Table t = {NEWN(g->a, float, s.n), NEWN(g->a, float, s.n), NEWN(g->a, float, s.n), NEWN(g->a, int32_t, s.n), NEWN(g->a, int32_t, s.n)};
    Form form = s.starts ? FORM_moved : FORM_plain;
    while (form < FORMS && ((form == FORM_power && !g->m->adds_apart) || !fill_table(g, &s, &t, form)))
        form++;
    if (form == FORMS)
        return e;
    const Expr *sum = multiple_of_sum(g, &s, &t, form), *scale = float_constant(g, &s, "scale", t.scale);
    const Expr *rounder = form == FORM_moved ? float_constant(g, &s, "offset", t.offset) : ex_const_f(x, DT_f32, AUTO_ROUNDER);
    const Expr *rounded = ex_fma(x, sum, scale, rounder);
    return ex_castsat(x, s.dt, auto_rounded(x, rounded, whole_part(&s)));
}

const Expr *auto_rounded(Exprs *x, const Expr *sum, int64_t add)
{
    return ex_sub(x, ex_bitcast(x, DT_i32, sum), ex_const_i(x, DT_i32, AUTO_ROUNDER_BITS - add));
}

void auto_scale(Auto *g)
{
    auto_map_bodies(g, in_floats);
}

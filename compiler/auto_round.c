/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes on their way between floats, once placement has put what makes them and what reads them into one expression:
 *
 *   f32(i32(sat_u8(bits_i32(r) - c)) - z)   becomes   min(max(r - r', -z), 255 - z)                 r' the float of bits c + z
 *   sat_u8(rint(y) + z)                     becomes   sat_u8(bits_i32(y + 1.5*2^23) - c')           |y| < 2^21
 *   i8(i32(sat_u8(v)) - 128)                becomes   sat_i8(v - 128)
 *   x*(f + 1)*c                             becomes   h*f + h, h = x*c                               f approximated
 *   x/s                                     becomes   x*(1/s), s alike in what lies side by side     x not exact
 *
 * r is a sum with 1.5 * 2^23 (AUTO_ROUNDER), whose low bits are the whole number that is meant, and as a float it is that number, too:
 * the byte between them need not be made. Vectors of whole numbers saturate when they are stored, vectors of floats beforehand. All
 * but the last two are the same bits; those are not done in -ffp=strict.
 *
 * A byte that is scaled and moved by what depends on the channel alone, and becomes a byte again, is one multiply-add where that gives
 * the same byte for each of its 256 values in every channel (q, f32 of a whole number):
 *
 *   sat_u8(rint((q*s + bias[m])/s') + z)    becomes   sat_u8(bits_i32(fma(q, s/s', bias'[m]) + 1.5*2^23) - c')
 */
#include <math.h>

#include "auto_tile.h"

enum { VALUES = 256, MOST_WHOLE = 1 << 20 }; /* of a byte; numbers that are added to one */
enum { MOST_STEPS = 8, NUDGES = 16 };        /* operations between two bytes; units by which an offset is moved, either way */
enum { FUNCTION_COST = 10, SEEN_STAGES = 4 }; /* cost of functions that are approximated; maps that are looked through for them */
#define ERFQ_OFF   0x1p-17 /* by which the short form of erf is off */
#define LEAST_STEP 0x1p-6  /* of a byte's step, by which what is rounded may be off for that */

/* e + a whole number, taken apart. */
static const Expr *less_constant(const Expr *e, int64_t *by)
{
    *by = 0;
    if ((e->op != EX_add && e->op != EX_sub) || !ex_is_const(e->a[1]))
        return e;
    const double v = dtype_is_float((DType)e->dt) ? e->a[1]->v.f : (double)e->a[1]->v.i;
    if (!(fabs(v) < 0x1p31) || v != rint(v))
        return e;
    *by = e->op == EX_add ? (int64_t)v : -(int64_t)v;
    return e->a[0];
}

/* Whether a sum that ends with AUTO_ROUNDER has no fraction: a multiply-add is the scheduler's own, which has proved it; a model may
 * add that number to anything. */
static bool is_rounded(const Auto *g, const Expr *sum)
{
    const Reach r = auto_reach(g, sum);
    return sum->op == EX_fma || (sum->op == EX_add && r.lo >= 0x1p23 && r.hi < 0x1p24);
}

/* The sum with AUTO_ROUNDER of whose bits e is the whole number, plus `add`; NULL: it is no such number. */
static const Expr *rounder_of(const Auto *g, const Expr *e, int64_t *add)
{
    const Expr *bits = less_constant(e, add);
    if (bits->op != EX_bitcast || bits->dt != DT_i32 || bits->a[0]->dt != DT_f32)
        return NULL;
    const Expr *sum = bits->a[0], *last = sum->n ? sum->a[sum->n - 1] : NULL;
    *add += AUTO_ROUNDER_BITS;
    return last && ex_is_const(last) && last->v.f == AUTO_ROUNDER && fabs((double)*add) < MOST_WHOLE && is_rounded(g, sum) ? sum : NULL;
}

/* The saturated byte of which e is the value, plus `off`; NULL: it is none. */
static const Expr *byte_of(const Expr *e, int64_t *off)
{
    e = less_constant(e, off);
    while (e->op == EX_cast && (e->dt == DT_i32 || e->dt == DT_i64))
        e = e->a[0];
    return e->op == EX_castsat && dtype_is_byte((DType)e->dt) && fabs((double)*off) <= VALUES ? e : NULL;
}

/* ---- bytes that are read as floats ---- */

static const Expr *byte_as_float(const Auto *g, const Expr *e)
{
    Exprs *x = g->x;
    int64_t off, add;
    const Expr *byte = byte_of(e->a[0], &off), *sum = byte ? rounder_of(g, byte->a[0], &add) : NULL;
    if (!sum)
        return e;
    const Expr *whole = ex_sub(x, sum, ex_const_f(x, DT_f32, AUTO_ROUNDER - (double)(add + off)));
    const int64_t lo = dtype_min((DType)byte->dt) + off, hi = dtype_max((DType)byte->dt) + off;
    return ex_binary(x, EX_min, ex_binary(x, EX_max, whole, ex_const_f(x, DT_f32, (double)lo)), ex_const_f(x, DT_f32, (double)hi));
}

/* ---- a byte to a byte ---- */

/* What is done to q, in order: an operation with a number or a vector over the channels. */
typedef struct Step { ExprOp op; const Expr *by; } Step;

typedef struct Line { const Expr *q, *at, *dim; int64_t n, lo, hi; uint8_t steps; Step step[MOST_STEPS]; } Line;

/* A number, or a vector over the index of the others. */
static bool take_constant(const Auto *g, Line *l, const Expr *e)
{
    if (ex_is_const(e))
        return true;
    if (e->op != EX_load || e->n != 1 || e->dt != DT_f32 || ten(g->te, e->v.ref)->kind != TEN_const || (l->at && l->at != e->a[0]))
        return false;
    l->at = e->a[0];
    l->dim = ten(g->te, e->v.ref)->dim[0];
    l->n = ten(g->te, e->v.ref)->data->count;
    return true;
}

/* Whole numbers of a byte's range as floats: q. */
static bool is_byte(const Auto *g, Line *l, const Expr *e)
{
    const Reach r = auto_reach(g, e);
    int64_t off;
    const bool clamped = e->op == EX_min && e->a[0]->op == EX_max && less_constant(e->a[0]->a[0], &off)->op == EX_fma;
    if ((!clamped && (e->op != EX_cast || !dtype_is_int((DType)e->a[0]->dt))) || !(r.hi - r.lo < VALUES) || r.lo != rint(r.lo))
        return false;
    l->q = e;
    l->lo = (int64_t)r.lo;
    l->hi = (int64_t)r.hi;
    return true;
}

/* e as steps from q on, the last one first. */
static bool find_steps(const Auto *g, Line *l, const Expr *e)
{
    while (!is_byte(g, l, e)) {
        const bool by_second = e->op == EX_add || e->op == EX_sub || e->op == EX_mul || e->op == EX_div, second = by_second && take_constant(g, l, e->a[1]);
        if (l->steps == MOST_STEPS || !by_second || !(second || ((e->op == EX_add || e->op == EX_mul) && take_constant(g, l, e->a[0]))))
            return false;
        l->step[l->steps++] = (Step){(ExprOp)e->op, e->a[second]};
        e = e->a[!second];
    }
    return true;
}

/* The numbers of one channel, first step first. */
typedef struct Channel { float by[MOST_STEPS]; double slope, offset; } Channel;

static Channel channel_of(const Auto *g, const Line *l, int64_t k)
{
    Channel c = {.slope = 1};
    for (uint8_t q = 0; q < l->steps; q++) {
        const Step *s = &l->step[l->steps - 1 - q];
        const double v = ex_is_const(s->by) ? s->by->v.f : blob_f(ten(g->te, s->by->v.ref)->data, k), f = s->op == EX_mul ? v : s->op == EX_div ? 1 / v : 1;
        c.by[q] = (float)v;
        c.slope *= f;
        c.offset = c.offset * f + (s->op == EX_add ? v : s->op == EX_sub ? -v : 0);
    }
    return c;
}

/* As the model says it: each step rounded. */
static float value_of(const Line *l, const Channel *c, int64_t q)
{
    volatile float v = (float)q; /* not for the compiler to fuse */
    for (uint8_t k = 0; k < l->steps; k++) {
        const ExprOp op = l->step[l->steps - 1 - k].op;
        const float by = c->by[k], was = v;
        v = op == EX_add ? was + by : op == EX_sub ? was - by : op == EX_mul ? was * by : was / by;
    }
    return v;
}

static double clamped(double v, DType dt, int64_t add) { return fmax(fmin(rint(v) + (double)add, (double)dtype_max(dt)), (double)dtype_min(dt)); }

static bool agrees(const Line *l, const double *want, float slope, float offset, DType dt, int64_t add)
{
    for (int64_t q = l->lo; q <= l->hi; q++)
        if (clamped((double)fmaf((float)q, slope, offset), dt, add) != want[q - l->lo])
            return false;
    return true;
}

/* Offset of a channel with this slope: the nearest first. */
static bool find_offset(const Line *l, const Channel *c, float slope, DType dt, int64_t add, float *offset)
{
    double want[VALUES];
    for (int64_t q = l->lo; q <= l->hi; q++)
        want[q - l->lo] = clamped((double)value_of(l, c, q), dt, add);
    for (int k = 0; k <= 2 * NUDGES; k++) {
        *offset = (float)(c->offset + (k % 2 ? (k + 1) / 2 : -k / 2) * 0x1p-17);
        if (agrees(l, want, slope, *offset, dt, add))
            return true;
    }
    return false;
}

/* Of one slope for all channels the offset for each; NULL: there are none. */
static const Expr *find_offsets(Auto *g, const Line *l, double slope, DType dt, int64_t add)
{
    float *offset = NEWN(g->a, float, l->n);
    for (int64_t k = 0; k < l->n; k++) {
        const Channel c = channel_of(g, l, k);
        if (c.slope != slope || !(fabs(slope) * VALUES + fabs(c.offset) < AUTO_REACH) || !find_offset(l, &c, (float)slope, dt, add, &offset[k]))
            return NULL;
    }
    return auto_floats(g, "moved", l->n, offset, l->dim, l->at);
}

/* What the offsets of these steps are known by. */
static const char *key_of(const Auto *g, const Line *l, DType dt, int64_t add)
{
    Text t = {.arena = g->a};
    text_add(&t, "moved %lld %lld %d %lld", (long long)l->lo, (long long)l->hi, (int)dt, (long long)add);
    for (uint8_t q = 0; q < l->steps; q++)
        text_add(&t, ex_is_const(l->step[q].by) ? " %d=%a" : " %d:%.0f", (int)l->step[q].op, ex_is_const(l->step[q].by) ? l->step[q].by->v.f : (double)l->step[q].by->v.ref);
    return text_str(&t);
}

/* NULL: it is none. The proof takes its time, so blocks of a product (auto_strassen.c) share it, and the vector. */
static const Expr *as_one_step(Auto *g, const Line *l, DType dt, int64_t add)
{
    const double slope = channel_of(g, l, 0).slope;
    const char *key = key_of(g, l, dt, add);
    const uint64_t *known = map_str(g->made, key, false);
    const Expr *moved = known ? (const Expr *)(uintptr_t)*known : find_offsets(g, l, slope, dt, add);
    if (!known)
        *map_str(g->made, key, true) = (uint64_t)(uintptr_t)moved;
    if (moved && moved->op == EX_load)
        moved = ex_load(g->x, DT_f32, moved->v.ref, 1, &l->at); /* at this block's place */
    return moved ? ex_fma(g->x, l->q, ex_const_f(g->x, DT_f32, (double)(float)slope), moved) : NULL;
}

/* ---- products with what is approximated ---- */

static bool is_approximated(const Expr *e) { return e->op == EX_erf || e->op == EX_tanh; }

static bool is_one(const Expr *e) { return ex_is_const(e) && e->dt == DT_f32 && e->v.f == 1; }

/* h*f + h */
static const Expr *scaled_twice(const Auto *g, const Expr *h, const Expr *f)
{
    Exprs *x = g->x;
    return g->m->fma ? ex_fma(x, h, f, h) : ex_add(x, ex_mul(x, h, f), h);
}

/* h and f of h*f + h */
static bool is_scaled_twice(const Expr *e, const Expr **h, const Expr **f)
{
    const Expr *product = e->op == EX_add ? e->a[0] : e;
    if ((e->op != EX_fma && (e->op != EX_add || product->op != EX_mul)) || e->dt != DT_f32 || e->a[e->n - 1] != product->a[0] || !is_approximated(product->a[1]))
        return false;
    *h = product->a[0];
    *f = product->a[1];
    return true;
}

/* h*erf + h where a step of the byte that it becomes is far more than erf's short form is off by. */
static const Expr *short_form(const Auto *g, const Expr *e)
{
    const Expr *h, *f;
    if (!is_scaled_twice(e, &h, &f) || f->op != EX_erf || !(auto_magnitude(g, h) * ERFQ_OFF < LEAST_STEP))
        return e;
    return scaled_twice(g, h, ex_unary(g->x, EX_erfq, f->a[0]));
}

static const Expr *times(Exprs *x, const Expr *e, double c)
{
    const bool scaled = e->op == EX_mul && ex_is_const(e->a[1]) && isnormal((float)(e->a[1]->v.f * c));
    return ex_mul(x, scaled ? e->a[0] : e, ex_const_f(x, DT_f32, scaled ? e->a[1]->v.f * c : c));
}

static const Expr *product(const Auto *g, const Expr *e)
{
    const Expr *h, *f;
    for (int k = 0; k < 2 && e->op == EX_mul; k++) {
        const Expr *sum = e->a[k];
        for (int q = 0; q < 2 && sum->op == EX_add; q++)
            if (is_one(sum->a[q]) && is_approximated(sum->a[1 - q]))
                return scaled_twice(g, e->a[1 - k], sum->a[1 - q]);
    }
    const double by = ex_is_const(e->a[1]) ? e->a[1]->v.f : 0, c = e->op == EX_div ? 1 / by : by;
    if (!isnormal((float)c) || !is_scaled_twice(e->a[0], &h, &f))
        return e;
    return scaled_twice(g, times(g->x, h, c), f);
}

/* ---- bytes that floats become ---- */

static const Expr *byte_of_float(Auto *g, const Expr *e)
{
    int64_t add;
    const Expr *round = less_constant(e->a[0], &add);
    if (round->op != EX_rint || round->dt != DT_f32 || fabs((double)add) > VALUES)
        return e;
    Line l = {.n = 1};
    const Expr *y = round->a[0];
    const Expr *line = g->m->fma && find_steps(g, &l, y) && l.steps > 1 ? as_one_step(g, &l, (DType)e->dt, add) : NULL;
    if (!line && !(auto_magnitude(g, y) < AUTO_REACH))
        return e;
    if (!line && g->te->cx->fp != FP_strict)
        y = short_form(g, y);
    const Expr *sum = ex_add(g->x, line ? line : y, ex_const_f(g->x, DT_f32, AUTO_ROUNDER));
    return ex_castsat(g->x, (DType)e->dt, auto_rounded(g->x, sum, add));
}

/* i8(i32(sat_u8(v)) - 128), and the other way round. */
static const Expr *byte_of_byte(const Auto *g, const Expr *e)
{
    int64_t off, add;
    const Expr *byte = byte_of(e->a[0], &off);
    const bool whole = byte && dtype_min((DType)byte->dt) + off == dtype_min((DType)e->dt);
    const Expr *sum = whole ? rounder_of(g, byte->a[0], &add) : NULL;
    return sum ? ex_castsat(g->x, (DType)e->dt, auto_rounded(g->x, sum, add + off)) : e;
}

/* ---- quotients ---- */

/* Whether the last bit of a value says nothing: functions are approximated, sums of floats reassociated. Seen through what is loaded. */
typedef struct Inexact { const Auto *g; bool yes; int depth; } Inexact;

static void find_inexact(void *ctx, const Expr *e)
{
    Inexact *f = ctx;
    const Ten *t = e->op == EX_load || e->op == EX_loadp ? ten(f->g->te, e->v.ref) : NULL;
    f->yes = f->yes || (e->dt == DT_f32 && expr_info((ExprOp)e->op)->cost >= FUNCTION_COST);
    if (f->yes || f->depth == 0 || !t || t->kind != TEN_stage || t->dt != DT_f32)
        return;
    const Stage *s = f->g->te->stage.at[t->stage];
    if (s->kind == ST_reduce && s->op == RED_sum)
        f->yes = true;
    if (s->kind != ST_map)
        return;
    f->depth--;
    ex_walk(f->g->body[t->stage], find_inexact, f);
    f->depth++;
}

static bool is_inexact(const Auto *g, const Expr *e)
{
    Inexact f = {g, false, SEEN_STAGES};
    ex_walk(e, find_inexact, &f);
    return f.yes;
}

/* The quotient c/s of x*(c/s), which is alike in what lies side by side; NULL: e is something else. */
static const Expr *common_quotient(const Expr *e, const Expr *along)
{
    const Expr *f = e->op == EX_mul ? e->a[1] : NULL;
    return f && f->op == EX_div && ex_is_const(f->a[0]) && !ex_uses(f, along) ? f : NULL;
}

/* x/s of an x that is not exact anyway: times a reciprocal, which of `along`, the variable of what lies side by side, is found once. */
static const Expr *quotient(const Auto *g, const Expr *e, const Expr *along)
{
    Exprs *x = g->x;
    const Expr *by = e->a[1], *f = common_quotient(e->a[0], along);
    const double c = ex_is_const(by) ? 1 / by->v.f : 1, both = f ? f->a[0]->v.f * c : c;
    if (!isnormal((float)c) || !isnormal((float)both) || ex_uses(by, along) || !is_inexact(g, e->a[0]))
        return e;
    if (!ex_is_const(by))
        return ex_mul(x, e->a[0], ex_binary(x, EX_div, ex_const_f(x, DT_f32, 1), by));
    return f ? ex_mul(x, e->a[0]->a[0], ex_binary(x, EX_div, ex_const_f(x, DT_f32, both), f->a[1])) : times(x, e->a[0], c);
}

/* ---- all of a body ---- */

typedef struct Body { Auto *g; const Expr *along; } Body;

static const Expr *by_floats(void *ctx, const Expr *e)
{
    const Body *b = ctx;
    Auto *g = b->g;
    if (e->op == EX_cast && e->dt == DT_f32 && dtype_is_int((DType)e->a[0]->dt))
        return byte_as_float(g, e);
    if (e->op == EX_castsat && dtype_is_byte((DType)e->dt) && e->a[0]->dt == DT_f32)
        return byte_of_float(g, e);
    if (e->op == EX_cast && dtype_is_byte((DType)e->dt) && dtype_is_int((DType)e->a[0]->dt))
        return byte_of_byte(g, e);
    if ((e->op != EX_mul && e->op != EX_div) || e->dt != DT_f32 || g->te->cx->fp == FP_strict)
        return e;
    const Expr *p = product(g, e);
    return p->op == EX_div && b->along ? quotient(g, p, b->along) : p;
}

/* The schedule's layouts, too, are by tensor. */
static void add_layouts(Auto *g, uint32_t had)
{
    Layout *layout = NEWN(g->a, Layout, g->te->ten.n + 1);
    memcpy(layout, g->s->layout, had * sizeof *layout);
    g->s->layout = layout;
}

void auto_round(Auto *g)
{
    const uint32_t had = g->te->ten.n;
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        const Stage *s = g->te->stage.at[k];
        if (s->kind != ST_map || g->s->stage[k].place == PL_inline)
            continue;
        const uint8_t rank = ten(g->te, s->out)->rank;
        Body b = {g, rank ? s->var[order_of(g, s->out).at[rank - 1]] : NULL};
        const Expr *body = ex_map(g->x, g->body[k], by_floats, &b);
        if (body != g->body[k])
            g->body[k] = auto_replace(g, k, body)->body;
    }
    add_layouts(g, had);
    auto_bodies(g);
}

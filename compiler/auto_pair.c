/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums of two scaled bytes in floats:
 *
 *   sat_u8((a*m + b*n + c) >> s)   becomes   sat_u8(rint(a*m' + (b*n' + c')))        m' = m/2^s, n' = n/2^s, c' = c/2^s - 1/2
 *
 * A vector holds twice as many floats as 64-bit integers, and they have a multiply-add. Both sides are evaluated for all pairs
 * of bytes that can occur: the form is taken where they agree everywhere, with constants that may differ by a few units of their
 * last place. Where the machine multiplies and adds with one rounding the form says so; elsewhere products are tried rounded and
 * not, as compilers may do.
 */
#include <math.h>

#include "auto.h"

enum { MOST = 512, NUDGES = 12, SIDE = 5 }; /* values of a term; units by which the constant is moved; of each factor tried */

/* factor * (i32(byte) - zero) */
typedef struct Scaled { const Expr *byte; int64_t factor, lo, hi; } Scaled;

typedef struct Pair { Scaled t[2]; uint8_t n; int64_t constant, shift; DType dt; } Pair;

typedef struct Floats { float m, n, c; } Floats;

/* ---- the integer form ---- */

/* factor * i64(e), e a byte or a byte less a number. */
static bool add_term(Pair *p, Exprs *x, const Expr *e, int64_t factor)
{
    if (e->op != EX_cast || e->dt != DT_i64)
        return false;
    e = ex_cast(x, DT_i32, e->a[0]);
    if (e->op == EX_sub && e->dt == DT_i32 && ex_is_const(e->a[1])) {
        p->constant -= factor * e->a[1]->v.i;
        e = e->a[0];
    }
    const bool byte = e->op == EX_cast && e->dt == DT_i32 && dtype_bytes((DType)e->a[0]->dt) == 1;
    if (p->n == 2 || !byte || factor < 0 || factor > INT32_MAX)
        return false;
    Scaled *t = &p->t[p->n++];
    *t = (Scaled){.byte = e, .factor = factor};
    return ex_range(x, e, &t->lo, &t->hi) && t->hi - t->lo < MOST;
}

static bool add_sum(Pair *p, Exprs *x, const Expr *e)
{
    if (e->op == EX_add)
        return add_sum(p, x, e->a[0]) && add_sum(p, x, e->a[1]);
    if (ex_is_const(e)) {
        p->constant += e->v.i;
        return p->constant > INT64_MIN / 4 && p->constant < INT64_MAX / 4;
    }
    return e->op == EX_mul && e->dt == DT_i64 && ex_is_const(e->a[1]) && add_term(p, x, e->a[0], e->a[1]->v.i);
}

static bool find_pair(Pair *p, Exprs *x, const Expr *e)
{
    *p = (Pair){.dt = (DType)e->dt};
    if (e->op != EX_castsat || (e->dt != DT_u8 && e->dt != DT_i8))
        return false;
    const Expr *s = e->a[0]->op == EX_cast && e->a[0]->dt == DT_i32 ? e->a[0]->a[0] : e->a[0];
    if (s->op != EX_shr || s->dt != DT_i64 || !ex_is_const(s->a[1]) || s->a[1]->v.i < 1 || s->a[1]->v.i > 52)
        return false;
    p->shift = s->a[1]->v.i;
    return add_sum(p, x, s->a[0]) && p->n == 2;
}

static int64_t integer_value(const Pair *p, int64_t a, int64_t b)
{
    const int64_t v = (p->t[0].factor * a + p->t[1].factor * b + p->constant) >> p->shift;
    return max_i64(min_i64(v, dtype_max(p->dt)), dtype_min(p->dt));
}

/* ---- the proof ---- */

static bool rounds_to(const Pair *p, float v, int64_t want)
{
    const float r = rintf(v), lo = (float)dtype_min(p->dt), hi = (float)dtype_max(p->dt);
    return (r < lo ? lo : r > hi ? hi : r) == (float)want;
}

static bool agrees(const Pair *p, const Floats *f, bool fused)
{
    const int ways = fused ? 1 : 2;
    for (int64_t b = p->t[1].lo; b <= p->t[1].hi; b++) {
        const volatile float product = (float)b * f->n; /* rounded: not for the compiler to fuse */
        const float inner[] = {fmaf((float)b, f->n, f->c), product + f->c};
        for (int64_t a = p->t[0].lo; a <= p->t[0].hi; a++) {
            const int64_t want = integer_value(p, a, b);
            const volatile float outer = (float)a * f->m;
            for (int k = 0; k < ways; k++)
                if (!rounds_to(p, fmaf((float)a, f->m, inner[k]), want) || (!fused && !rounds_to(p, outer + inner[k], want)))
                    return false;
        }
    }
    return true;
}

static float nudged(float v, int steps)
{
    for (; steps; steps += steps < 0 ? 1 : -1)
        v = nextafterf(v, steps < 0 ? -INFINITY : INFINITY);
    return v;
}

/* The constants nearest to the quotients first. */
static bool find_floats(const Pair *p, bool fused, Floats *f)
{
    const double unit = ldexp(1, -(int)p->shift);
    const Floats near = {(float)((double)p->t[0].factor * unit), (float)((double)p->t[1].factor * unit), (float)((double)p->constant * unit - 0.5)};
    if (!((double)MOST * ((double)near.m + (double)near.n) + fabs((double)near.c) < AUTO_REACH))
        return false;
    for (int c = 0; c <= 2 * NUDGES; c++)
        for (int s = 0; s < SIDE * SIDE; s++) {
            static const int order[SIDE] = {0, 1, -1, 2, -2};
            *f = (Floats){nudged(near.m, order[s % SIDE]), nudged(near.n, order[s / SIDE]), near.c + (float)(c % 2 ? (c + 1) / 2 : -c / 2) * 0x1p-19f};
            if (agrees(p, f, fused))
                return true;
        }
    return false;
}

/* byte * factor + c */
static const Expr *scaled(const Auto *g, const Expr *byte, float factor, const Expr *c)
{
    Exprs *x = g->x;
    const Expr *b = ex_cast(x, DT_f32, byte), *f = ex_const_f(x, DT_f32, (double)factor);
    return g->m->fma ? ex_fma(x, b, f, c) : ex_add(x, ex_mul(x, b, f), c);
}

static const Expr *as_floats(void *ctx, const Expr *e)
{
    const Auto *g = ctx;
    Exprs *x = g->x;
    Pair p;
    Floats f;
    if (!find_pair(&p, x, e) || !find_floats(&p, g->m->fma, &f))
        return e;
    const Expr *sum = scaled(g, p.t[0].byte, f.m, scaled(g, p.t[1].byte, f.n, ex_const_f(x, DT_f32, (double)f.c)));
    return ex_castsat(x, p.dt, auto_rounded(x, ex_add(x, sum, ex_const_f(x, DT_f32, AUTO_ROUNDER)), 0));
}

void auto_pair(Auto *g)
{
    auto_map_bodies(g, as_floats);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Dots: tiles whose innermost reduction is over the quads of bytes or pairs of 16 bits that one instruction takes, or over two floats or pairs that
 * lie side by side in a vector (ctile_twin.c).
 */
#include "ctile.h"

/* The load behind a factor; NULL: it is none that dots take. */
static const Expr *factor_load(const Expr *e)
{
    if (e->op == EX_load && e->dt == DT_f32)
        return e;
    const Expr *load = e->op == EX_cast ? e->a[0] : NULL;
    const bool fits =
        load && (e->dt == DT_i32 ? dtype_is_byte((DType)load->dt) || load->dt == DT_i16 : e->dt == DT_f32 && load->dt == DT_bf16);
    return fits && load->op == EX_load ? load : NULL;
}

/* Whether elements of a load lie side by side along the quad, and its lanes behind each other. */
static bool lies_by_quads(const Tile *t, const Expr *flat, bool lanes)
{
    const Expr *q = t->rvar[t->nr - 1];
    bool linear[2];
    const bool side = ex_coef(flat, q, &linear[0]) == 1 && ex_coef(flat, t->lane, &linear[1]) == (lanes ? t->rext[t->nr - 1]->v.i : 0);
    return side && linear[0] && linear[1];
}

/* x is the same in all lanes, or lies as w does. */
static bool fits_dot(const CGen *g, const Tile *t, DotForm *d)
{
    const Expr *x = flat_index(g, buf(g->u, d->x->v.ref), d->x->a), *w = flat_index(g, buf(g->u, d->w->v.ref), d->w->a);
    d->lanes = ex_uses(x, t->lane);
    return lies_by_quads(t, w, true) && lies_by_quads(t, x, d->lanes) && !(d->lanes && (d->twins || d->widens));
}

/* Steps that one dot takes: those in four bytes, of floats and of bf16 also twice as many. */
static int64_t steps_of(DType dt) { return 4 / (int64_t)dtype_bytes(dt); }

static bool are_twins(const Tile *t, DType dt) { return dtype_is_float(dt) && ex_is_int(t->rext[t->nr - 1], TWIN * steps_of(dt)); }

bool v_find_dot(const CGen *g, const Tile *t, DotForm *d)
{
    if (t->across || t->red != RED_sum || t->nr == 0 || t->body->op != EX_mul)
        return false;
    const Expr *p = factor_load(t->body->a[0]), *q = factor_load(t->body->a[1]);
    if (!p || !q)
        return false;
    const bool swap = ex_uses(p, t->lane);
    d->x = swap ? q : p;
    d->w = swap ? p : q;
    const DType dt = (DType)d->x->dt;
    d->widens = dt == DT_i16 && dtype_is_byte((DType)d->w->dt);
    d->twins = are_twins(t, dt);
    if (!d->widens && dtype_bytes(dt) != dtype_bytes((DType)d->w->dt))
        return false;
    if (!d->twins && (dt == DT_f32 || !ex_is_int(t->rext[t->nr - 1], steps_of(dt))))
        return false;
    d->name = dt == DT_f32 ? "FMA" : dt == DT_bf16 ? "DOTBF" : dt == DT_i16 ? "DOTI16" : d->x->dt != d->w->dt ? "DOTUS" : d->x->dt == DT_u8 ? "DOTUU" : "DOTSS";
    d->clipped = t->clipped && t->nr > 1 && ex_is_int(t->rext[t->nr - 2], TWIN) && d->x->dt == DT_u8 && d->w->dt == DT_i8;
    return fits_dot(g, t, d);
}

/* The first lane of vector q, whose lanes are those in use now. */
static int64_t begin_vector(VGen *v, const DotForm *d, int64_t q)
{
    if (d->twins)
        v_set_count(v, TWIN * (int64_t)v->t->lanes - q * v->width);
    else
        v_set_vector(v, q);
    return q * v->width / (d->twins ? TWIN : 1);
}

/* Of accumulator q of point p, n variables of the reduction substituted. */
typedef struct Operands { const char *x, *w; } Operands;

static Operands operands(VGen *v, const Sums *sums, int32_t p, int32_t q, const Subst *given, uint32_t ngiven)
{
    CGen *g = v->g;
    const DotForm *d = &sums->dot;
    Subst s[2 * MAX_RANK + 3];
    uint32_t n = v_place(v, p, ex_int(g->x, begin_vector(v, d, q)), s);
    for (uint32_t k = 0; k < ngiven; k++)
        s[n++] = given[k];
    const char *x = v_quad(v, ex_subst(g->x, d->x, s, n), d->lanes, d->twins);
    const Expr *load = ex_subst(g->x, d->w, s, n);
    return (Operands){x, d->widens ? v_words(v, load) : v_quad(v, load, true, d->twins)};
}

static void dot(VGen *v, const Sums *sums, int32_t p, int32_t q, const Subst *given, uint32_t ngiven)
{
    const DotForm *d = &sums->dot;
    const Operands of = operands(v, sums, p, q, given, ngiven);
    const bool swap = d->x->dt == DT_i8 && d->w->dt == DT_u8;
    const char *name = sums->acc[p * sums->nv + q].name;
    ln(v->g->o, "%s = V%d_%s(%s, %s, %s);", name, v->width, d->name, swap ? of.w : of.x, swap ? of.x : of.w, name);
}

/* Two quads of a clipped constant, which are the values of the variable in front of the quad's. */
static void dots_by_two(VGen *v, const Sums *sums, int32_t p, int32_t q, const Subst *given, uint32_t ngiven)
{
    CGen *g = v->g;
    const Tile *t = v->t;
    Operands of[TWIN];
    Subst s[MAX_RANK + 2] = {{t->rvar[t->nr - 1], ex_int(g->x, 0)}};
    for (uint32_t k = 0; k < ngiven; k++)
        s[2 + k] = given[k];
    for (int h = 0; h < TWIN; h++) {
        s[1] = (Subst){t->rvar[v->tap], ex_int(g->x, h)};
        of[h] = operands(v, sums, p, q, s, 2 + ngiven);
    }
    const char *name = sums->acc[p * sums->nv + q].name;
    ln(g->o, "%s = V%d_DOTUS2(%s, %s, %s, %s, %s);", name, v->width, of[0].x, of[0].w, of[1].x, of[1].w, name);
}

/* Of a vector of lanes that have an x of their own all points follow each other, and of a point its taps. */
void v_dot_step(VGen *v, const Sums *sums, Points at, const Subst *given, uint32_t ngiven)
{
    const Tile *t = v->t;
    if (sums->dot.clipped) {
        for (int32_t i = 0; i < at.count * sums->nv; i++)
            dots_by_two(v, sums, at.first + i / sums->nv, i % sums->nv, given, ngiven);
        return;
    }
    const int64_t taps = v->tap < 0 ? 1 : t->rext[v->tap]->v.i;
    const int32_t nv = sums->nv, count = at.count * nv;
    const bool lanes = sums->dot.lanes;
    const uint32_t fixed = v->tap < 0 ? 1 : 2;
    Subst s[MAX_RANK + 2] = {{t->rvar[t->nr - 1], ex_int(v->g->x, 0)}};
    for (uint32_t k = 0; k < ngiven; k++)
        s[fixed + k] = given[k];
    for (int32_t i = 0; i < count; i++)
        for (int64_t k = 0; k < taps; k++) {
            if (v->tap >= 0)
                s[1] = (Subst){t->rvar[v->tap], ex_int(v->g->x, k)};
            dot(v, sums, at.first + (lanes ? i % at.count : i / nv), lanes ? i / at.count : i % nv, s, fixed + ngiven);
        }
}

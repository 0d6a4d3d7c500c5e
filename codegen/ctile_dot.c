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

/* Elements side by side along the quad; lanes of w side by side too, x the same in all lanes. */
static bool fits_dot(const CGen *g, const Tile *t, const Expr *x, const Expr *w)
{
    const Expr *q = t->rvar[t->nr - 1], *xf = flat_index(g, buf(g->u, x->v.ref), x->a),
               *wf = flat_index(g, buf(g->u, w->v.ref), w->a);
    bool linear[3];
    const bool side = ex_coef(xf, q, &linear[0]) == 1 && ex_coef(wf, q, &linear[1]) == 1 &&
                      ex_coef(wf, t->lane, &linear[2]) == t->rext[t->nr - 1]->v.i;
    return side && linear[0] && linear[1] && linear[2] && !ex_uses(xf, t->lane);
}

/* Steps that one dot takes: those in four bytes, of floats and of bf16 also twice as many. */
static int64_t steps_of(DType dt) { return 4 / (int64_t)dtype_bytes(dt); }

static bool are_twins(const Tile *t, DType dt) { return dtype_is_float(dt) && ex_is_int(t->rext[t->nr - 1], TWIN * steps_of(dt)); }

bool v_find_dot(const CGen *g, const Tile *t, DotForm *d)
{
    if (t->across || t->red != RED_sum || t->nr == 0 || t->body->op != EX_mul)
        return false;
    const Expr *p = factor_load(t->body->a[0]), *q = factor_load(t->body->a[1]);
    if (!p || !q || dtype_bytes((DType)p->dt) != dtype_bytes((DType)q->dt))
        return false;
    d->twins = are_twins(t, (DType)p->dt);
    if (!d->twins && (p->dt == DT_f32 || !ex_is_int(t->rext[t->nr - 1], steps_of((DType)p->dt))))
        return false;
    const bool swap = ex_uses(p, t->lane);
    d->x = swap ? q : p;
    d->w = swap ? p : q;
    d->name = p->dt == DT_f32 ? "FMA" : p->dt == DT_bf16 ? "DOTBF" : p->dt == DT_i16 ? "DOTI16" : d->x->dt != d->w->dt ? "DOTUS" : d->x->dt == DT_u8 ? "DOTUU" : "DOTSS";
    return fits_dot(g, t, d->x, d->w);
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

void v_dot_step(VGen *v, const Sums *sums, Points at, const Subst *given, uint32_t ngiven)
{
    CGen *g = v->g;
    const DotForm *d = &sums->dot;
    const Subst first = {v->t->rvar[v->t->nr - 1], ex_int(g->x, 0)};
    for (int32_t p = at.first; p < at.first + at.count; p++)
        for (int32_t q = 0; q < sums->nv; q++) {
            Subst s[2 * MAX_RANK + 3];
            uint32_t n = v_place(v, p, ex_int(g->x, begin_vector(v, d, q)), s);
            s[n++] = first;
            for (uint32_t k = 0; k < ngiven; k++)
                s[n++] = given[k];
            const char *x = v_quad(v, ex_subst(g->x, d->x, s, n), false, d->twins),
                       *w = v_quad(v, ex_subst(g->x, d->w, s, n), true, d->twins);
            const bool swap = d->x->dt == DT_i8 && d->w->dt == DT_u8;
            const char *name = sums->acc[p * sums->nv + q].name;
            ln(g->o, "%s = V%d_%s(%s, %s, %s);", name, v->width, d->name, swap ? w : x, swap ? x : w, name);
        }
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Where vectors lie: how many lanes are in use, and pointers that loops of a tile need not compute again.
 */
#include "cvec_part.h"

/* ---- lanes in use ---- */

void v_set_count(VGen *v, int64_t n)
{
    v->count = (int32_t)min_i64(n, v->width);
    v->lane = v->count == v->width ? v->full : v->part;
    v->some = NULL;
}

void v_set_vector(VGen *v, int64_t q)
{
    CGen *g = v->g;
    v_set_count(v, v->t->lanes - q * v->width);
    if (!v->t->open)
        return;
    const Expr *left = ex_sub(g->x, v->t->open, ex_int(g->x, q * v->width));
    const Expr *n = ex_binary(g->x, EX_max, ex_binary(g->x, EX_min, left, ex_int(g->x, v->width)), ex_int(g->x, 0));
    const bool known = map_u64(&v->counts, (uint64_t)q, false) != NULL;
    v->count = v->width;
    v->lane = v->full;
    v->some = c_name(g, &v->counts, (uint64_t)q, "some", "some");
    if (!known)
        ln(&v->head, "const int %s = %s%s;", v->some, g->wide ? "(int)" : "",
           c_expr_prec(g, n, g->wide ? P_UNARY : P_ANY));
}

bool v_is_whole(const VGen *v) { return !v->some && v->count == v->width; }

const char *v_count_text(const VGen *v) { return v->some ? v->some : str_fmt(v->g->a, "%d", v->count); }

/* ---- pointers ---- */

bool v_varies(const VGen *v, const Expr *atom)
{
    for (int k = 0; k < v->t->nr; k++)
        if (ex_uses(atom, v->t->rvar[k]))
            return true;
    return ex_uses(atom, v->lane) || (v->strip && ex_uses(atom, v->strip));
}

/* Offset of the element with the lane at 0: what is fixed during the reduction, and what moves. */
static const Expr *split_offset(VGen *v, const Expr *flat, const Expr **moving)
{
    Exprs *x = v->g->x;
    const Subst zero = {v->lane, ex_int(x, 0)};
    const Expr *fixed = ex_int(x, 0);
    const Affine f = ex_affine(v->g->a, ex_subst(x, flat, &zero, 1));
    *moving = fixed;
    for (uint32_t k = 0; k < f.n; k++) {
        const Expr **part = v_varies(v, f.t[k].atom) ? moving : &fixed;
        *part = ex_add(x, *part, ex_mul(x, f.t[k].atom, ex_int(x, f.t[k].coef)));
    }
    *moving = ex_add(x, *moving, ex_int(x, f.c));
    return fixed;
}

/* Of a place that is read, or stored to: of one buffer, each has a pointer of its own. */
static uint64_t pointer_key(uint32_t id, const Expr *fixed, bool store) { return (uint64_t)store << 63 | (uint64_t)id << 32 | fixed->id; }

const char *v_address(VGen *v, uint32_t id, const Expr *flat, bool store)
{
    CGen *g = v->g;
    const Expr *moving, *fixed = split_offset(v, flat, &moving);
    const char *base = buf_name(g, id);
    if (!ex_is_int(fixed, 0)) {
        const uint64_t key = pointer_key(id, fixed, store);
        const bool known = map_u64(&v->pointer, key, false) != NULL;
        const char *name = c_name(g, &v->pointer, key, "p", "p");
        if (!known)
            ln(&v->head, "%s%s *%s = %s + %s;", store ? "" : "const ", dtype_info(buf(g->u, id)->dt)->ctype, name, base,
               c_expr_prec(g, fixed, P_ADD + 1));
        base = name;
    }
    if (ex_is_const(moving) && moving->v.i <= 0)
        return moving->v.i ? str_fmt(g->a, "%s - %lld", base, (long long)-moving->v.i) : base;
    return str_fmt(g->a, "%s + %s", base, c_expr_prec(g, moving, P_ADD));
}

/* A pointer that is declared already and has all of `fixed` but one term, which then moves: where it points, NULL when there is none. */
static const char *pointer_beside(VGen *v, uint32_t id, const Expr *fixed, const Expr **moving)
{
    CGen *g = v->g;
    const Affine f = ex_affine(g->a, fixed);
    for (uint32_t k = 0; k < f.n; k++) {
        const Expr *term = ex_mul(g->x, f.t[k].atom, ex_int(g->x, f.t[k].coef));
        const uint64_t key = pointer_key(id, ex_sub(g->x, fixed, term), false);
        if (!map_u64(&v->pointer, key, false))
            continue;
        *moving = ex_add(g->x, *moving, term);
        return c_name(g, &v->pointer, key, "p", "p");
    }
    return NULL;
}

void v_fetch(VGen *v, const Fetch *f, const Subst *s, uint32_t n)
{
    CGen *g = v->g;
    const Expr *at = ex_subst(g->x, f->at, s, n), *when = f->when ? ex_subst(g->x, f->when, s, n) : NULL;
    const Expr *moving, *fixed = split_offset(v, at, &moving);
    const uint64_t key = pointer_key(f->buf, fixed, false);
    const char *base = map_u64(&v->pointer, key, false) ? c_name(g, &v->pointer, key, "p", "p") : pointer_beside(v, f->buf, fixed, &moving);
    const char *only = when && !ex_is_int(when, 0) ? str_fmt(g->a, "if (%s == 0) ", c_expr_prec(g, when, P_EQ + 1)) : "";
    ln(g->o, "%sMLCC_FETCH%s(%s, %s);", only, f->far ? "2" : "", base ? base : buf_name(g, f->buf), c_expr(g, base ? moving : at));
}

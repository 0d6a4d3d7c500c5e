/* SPDX-License-Identifier: Apache-2.0
 *
 * Index arithmetic. An ix value is kept as a sum c + coef * atom + .., atoms ordered by id. An atom is anything that is
 * no sum and no constant: a variable, fdiv, mod, min, .., or a monomial, the product of atoms and of whole sums. As a
 * tree: ((k1*a1 + k2*a2) + ..) + c, a coefficient of 1 being left out; a monomial is ((f1*f2)*f3), sums first.
 *
 * Division. With x = k*q + r the quotient is q + fdiv(r, k) and the remainder mod(r, k); what has no place in q are the
 * terms whose coefficient k does not divide. If some divisor g of k splits r into g*s + t with t inside one multiple of
 * g, then fdiv(r, k) = fdiv(s, k/g) and mod(r, k) = g*mod(s, k/g) + t. So x = 12*i + 3*j + l, l < 3, comes apart for
 * k = 3, 6, 12, which is what reshapes ask for. In sums the way back is taken where the parts meet again:
 *
 *   k*fdiv(x,k) + mod(x,k) = x      x - k*fdiv(x,k) = mod(x,k)      b*mod(fdiv(x,b),a) + mod(x,b) = mod(x,a*b)
 *
 * ix never overflows by contract; coefficients wrap so that nothing here is undefined for hostile sizes.
 */
#include "expr_pool.h"

enum { FEW = 16, MAX_FACTORS = 32, MAX_REJOIN = 8, MAX_REJOINED = 64 };

/* A sum being worked on. Large ones take arena memory, of the order of the nodes that their expression needs. */
typedef struct Sum { Affine f; Term few[FEW]; } Sum;

static int64_t wrap_add(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static int64_t wrap_mul(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a * (uint64_t)b);
}

/* ------------------------------------------------------------------------------------------------- sums and trees */

static bool is_op(const Expr *e, ExprOp op)
{
    return e->op == op;
}

static bool is_scaled(const Expr *e)
{
    return is_op(e, EX_mul) && ex_is_const(e->a[0]);
}

static bool is_sum(const Expr *e)
{
    return is_op(e, EX_add) || is_scaled(e) || ex_is_const(e);
}

static void sum_init(Exprs *x, Sum *s, uint32_t room)
{
    s->f = (Affine){.t = room <= FEW ? s->few : NEWN(x->arena, Term, room)};
}

static uint32_t count_terms(const Expr *e)
{
    uint32_t n = 1;
    for (; is_op(e, EX_add); e = e->a[0]) n++;
    return n;
}

static Term term_of(const Expr *e)
{
    return is_scaled(e) ? (Term){e->a[1], e->a[0]->v.i} : (Term){e, 1};
}

/* Adds a term of the next atom in order; atoms of which one value is left go into the constant. */
static void append(Affine *f, const Expr *atom, int64_t coef)
{
    Range r = range_of(atom);
    if (range_is_point(r)) f->c = wrap_add(f->c, wrap_mul(coef, r.lo));
    else if (coef) f->t[f->n++] = (Term){atom, coef};
}

/* Fills f, whose t has room for count_terms(e): from the end of the tree, then in order. */
static void read_sum(const Expr *e, Affine *f)
{
    uint32_t n = count_terms(e);
    for (uint32_t at = n; at > 0; at--) {
        const Expr *part = at > 1 ? e->a[1] : e;
        f->t[at - 1] = ex_is_const(part) ? (Term){part, 1} : term_of(part);
        if (at > 1) e = e->a[0]; /* the first part may be a leaf without operands */
    }
    f->n = 0;
    for (uint32_t i = 0; i < n; i++) append(f, f->t[i].atom, f->t[i].coef);
}

static void sum_read(Exprs *x, Sum *s, const Expr *e)
{
    sum_init(x, s, count_terms(e));
    read_sum(e, &s->f);
}

static void sum_copy(Sum *to, const Sum *from)
{
    *to = *from;
    if (from->f.t == from->few) to->f.t = to->few;
}

/* r = a*ka + b*kb */
static void combine(Exprs *x, Sum *r, const Affine *a, int64_t ka, const Affine *b, int64_t kb)
{
    uint32_t i = 0, j = 0;
    sum_init(x, r, a->n + b->n);
    r->f.c = wrap_add(wrap_mul(a->c, ka), wrap_mul(b->c, kb));
    while (i < a->n || j < b->n) {
        bool left = j == b->n || (i < a->n && a->t[i].atom->id <= b->t[j].atom->id);
        bool right = i == a->n || (j < b->n && b->t[j].atom->id <= a->t[i].atom->id);
        const Expr *atom = left ? a->t[i].atom : b->t[j].atom;
        int64_t coef = left ? wrap_mul(a->t[i++].coef, ka) : 0;
        if (right) coef = wrap_add(coef, wrap_mul(b->t[j++].coef, kb));
        append(&r->f, atom, coef);
    }
}

static void add_scaled(Exprs *x, Sum *s, const Expr *e, int64_t k)
{
    Sum b, old;
    sum_copy(&old, s);
    sum_read(x, &b, e);
    combine(x, s, &old.f, 1, &b.f, k);
}

static const Expr *node(Exprs *x, ExprOp op, const Expr *a, const Expr *b)
{
    const Expr *both[] = {a, b};
    return pool_node(x, op, DT_ix, 2, both);
}

static const Expr *sum_tree(Exprs *x, const Affine *f)
{
    const Expr *e = NULL;
    for (uint32_t i = 0; i < f->n; i++) {
        const Expr *t = f->t[i].coef == 1 ? f->t[i].atom : node(x, EX_mul, ex_int(x, f->t[i].coef), f->t[i].atom);
        e = e ? node(x, EX_add, e, t) : t;
    }
    if (!e) return ex_int(x, f->c);
    return f->c ? node(x, EX_add, e, ex_int(x, f->c)) : e;
}

static Range sum_range(const Affine *f)
{
    Range r = {f->c, f->c};
    for (uint32_t i = 0; i < f->n; i++) r = range_add(r, range_scale(range_of(f->t[i].atom), f->t[i].coef));
    return r;
}

/* ---------------------------------------------------------------------------------------- quotients that meet again */

static bool is_quotient(const Expr *e, ExprOp op)
{
    return is_op(e, op) && range_of(e->a[1]).lo >= 1;
}

static bool any_quotient(const Affine *f)
{
    bool any = false;
    for (uint32_t i = 0; i < f->n; i++)
        any |= is_quotient(f->t[i].atom, EX_fdiv) || is_quotient(f->t[i].atom, EX_mod);
    return any && f->n > 1 && f->n <= MAX_REJOINED;
}

/* Whether every term of p*k is a term of s. */
static bool contains(const Affine *s, const Affine *p, int64_t k)
{
    uint32_t i = 0;
    for (uint32_t j = 0; j < p->n; j++, i++) {
        while (i < s->n && s->t[i].atom->id < p->t[j].atom->id) i++;
        if (i == s->n || s->t[i].atom != p->t[j].atom || s->t[i].coef != wrap_mul(p->t[j].coef, k)) return false;
    }
    return p->n > 0;
}

/* s += k * (to - from) */
static bool exchange(Exprs *x, Sum *s, const Expr *from, const Expr *to, int64_t k)
{
    add_scaled(x, s, from, wrap_mul(k, -1));
    add_scaled(x, s, to, k);
    return true;
}

/* c*d*fdiv(y,d) + c*mod(y,d) = c*y */
static bool join_whole(Exprs *x, Sum *s, Term t)
{
    Sum p;
    const Expr *y = t.atom->a[0], *d = t.atom->a[1], *rest = ix_mul(x, d, ix_fdiv(x, y, d));
    sum_read(x, &p, rest);
    if (!contains(&s->f, &p.f, t.coef)) return false;
    add_scaled(x, s, rest, wrap_mul(t.coef, -1));
    return exchange(x, s, t.atom, y, t.coef);
}

/* c*b*mod(fdiv(y,b),a) + c*mod(y,b) = c*mod(y,a*b); t is the second, o perhaps the first */
static bool join_digits(Exprs *x, Sum *s, Term t, Term o)
{
    int64_t k, b;
    const Expr *y = t.atom->a[0];
    if (!ex_is_const(t.atom->a[1]) || !is_quotient(o.atom, EX_mod) || !ex_is_const(o.atom->a[1])) return false;
    b = t.atom->a[1]->v.i;
    if (o.coef != wrap_mul(t.coef, b) || !mul_i64(b, o.atom->a[1]->v.i, &k)) return false;
    if (ix_fdiv(x, y, t.atom->a[1]) != o.atom->a[0]) return false;
    add_scaled(x, s, o.atom, wrap_mul(o.coef, -1));
    return exchange(x, s, t.atom, ix_mod(x, y, ex_int(x, k)), t.coef);
}

/* m*y - m*k*fdiv(y,k) = m*mod(y,k); t is the second */
static bool split_whole(Exprs *x, Sum *s, Term t)
{
    Sum y;
    int64_t k = t.atom->a[1]->v.i;
    if (!ex_is_const(t.atom->a[1]) || t.coef % k) return false;
    int64_t m = wrap_mul(t.coef / k, -1);
    sum_read(x, &y, t.atom->a[0]);
    if (!contains(&s->f, &y.f, m)) return false;
    add_scaled(x, s, t.atom, wrap_mul(t.coef, -1));
    return exchange(x, s, t.atom->a[0], ix_mod(x, t.atom->a[0], t.atom->a[1]), m);
}

/* m*fdiv(y,a) - m*b*fdiv(y,a*b) = m*mod(fdiv(y,a),b); t is the second, o perhaps the first */
static bool split_digits(Exprs *x, Sum *s, Term t, Term o)
{
    if (!is_quotient(o.atom, EX_fdiv) || o.atom->a[0] != t.atom->a[0]) return false;
    if (!ex_is_const(o.atom->a[1]) || !ex_is_const(t.atom->a[1])) return false;
    int64_t a = o.atom->a[1]->v.i, ab = t.atom->a[1]->v.i;
    if (ab <= a || ab % a || t.coef != wrap_mul(wrap_mul(o.coef, ab / a), -1)) return false;
    add_scaled(x, s, t.atom, wrap_mul(t.coef, -1));
    return exchange(x, s, o.atom, ix_mod(x, o.atom, ex_int(x, ab / a)), o.coef);
}

static bool rejoin_term(Exprs *x, Sum *s, Term t)
{
    bool is_mod = is_quotient(t.atom, EX_mod), is_fdiv = is_quotient(t.atom, EX_fdiv);
    if (is_mod && join_whole(x, s, t)) return true;
    if (is_fdiv && split_whole(x, s, t)) return true;
    for (uint32_t j = 0; (is_mod || is_fdiv) && j < s->f.n; j++) {
        if (is_mod && join_digits(x, s, t, s->f.t[j])) return true;
        if (is_fdiv && split_digits(x, s, t, s->f.t[j])) return true;
    }
    return false;
}

/* Looking for partners divides again, and so may look for partners of what is inside; that ends at MAX_REJOIN. */
static bool rejoin(Exprs *x, Sum *s)
{
    bool done = false;
    if (x->rejoining == MAX_REJOIN || !any_quotient(&s->f)) return false;
    x->rejoining++;
    for (uint32_t i = 0; i < s->f.n && !done; i++) done = rejoin_term(x, s, s->f.t[i]);
    x->rejoining--;
    return done;
}

static const Expr *sum_expr(Exprs *x, Sum *s)
{
    while (rejoin(x, s)) {
    }
    return sum_tree(x, &s->f);
}

/* a*k */
static const Expr *scaled(Exprs *x, const Expr *a, int64_t k)
{
    Sum s;
    sum_init(x, &s, 0);
    add_scaled(x, &s, a, k);
    return sum_expr(x, &s);
}

/* ------------------------------------------------------------------------------------------------------- products */

typedef struct Factors { const Expr *at[MAX_FACTORS]; uint32_t n; } Factors;

/* Factors of an atom in their order; false when there are too many. */
static bool factors_of(const Expr *e, Factors *f)
{
    uint32_t n = 1;
    for (const Expr *p = e; is_op(p, EX_mul); p = p->a[0]) n++;
    f->n = n;
    if (n > MAX_FACTORS) return false;
    for (; n > 1; e = e->a[0]) f->at[--n] = e->a[1];
    f->at[0] = e;
    return true;
}

static bool before(const Expr *a, const Expr *b)
{
    return is_sum(a) != is_sum(b) ? is_sum(a) : a->id < b->id;
}

static const Expr *factors_tree(Exprs *x, const Factors *f)
{
    const Expr *e = f->at[0];
    for (uint32_t i = 1; i < f->n; i++) e = node(x, EX_mul, e, f->at[i]);
    return e;
}

/* Product of two monomials; beyond MAX_FACTORS it stays a product of the two. */
static const Expr *monomial(Exprs *x, const Expr *a, const Expr *b)
{
    Factors p, q, r = {.n = 0};
    bool fits = factors_of(a, &p) && factors_of(b, &q) && p.n + q.n <= MAX_FACTORS;
    if (!fits) return a->id < b->id ? node(x, EX_mul, a, b) : node(x, EX_mul, b, a);
    for (uint32_t i = 0, j = 0; i < p.n || j < q.n;) {
        bool left = j == q.n || (i < p.n && !before(q.at[j], p.at[i]));
        r.at[r.n++] = left ? p.at[i++] : q.at[j++];
    }
    return factors_tree(x, &r);
}

static int64_t content(const Affine *f)
{
    int64_t g = gcd_i64(f->c, 0);
    for (uint32_t i = 0; i < f->n; i++) g = gcd_i64(g, f->t[i].coef);
    return g ? g : 1;
}

/* Takes the common divisor out of a sum, and the sign of its first term. */
static int64_t take_content(Affine *f)
{
    int64_t g = content(f), sign = f->t[0].coef < 0 ? -1 : 1;
    f->c = wrap_mul(f->c / g, sign);
    for (uint32_t i = 0; i < f->n; i++) f->t[i].coef = wrap_mul(f->t[i].coef / g, sign);
    return wrap_mul(g, sign);
}

static bool single(const Affine *f)
{
    return f->n == 1 && f->c == 0;
}

static bool begins_with_sum(const Expr *atom)
{
    while (is_op(atom, EX_mul)) atom = atom->a[0];
    return is_sum(atom);
}

/* k*atom times a sum: term by term, but a product of sums takes it as one more factor. */
static const Expr *distribute(Exprs *x, Term t, Affine *f)
{
    Sum s;
    if (begins_with_sum(t.atom) && !single(f)) {
        int64_t k = wrap_mul(t.coef, take_content(f));
        return scaled(x, monomial(x, t.atom, sum_tree(x, f)), k);
    }
    sum_init(x, &s, 0);
    add_scaled(x, &s, t.atom, wrap_mul(t.coef, f->c));
    for (uint32_t i = 0; i < f->n; i++)
        add_scaled(x, &s, monomial(x, t.atom, f->t[i].atom), wrap_mul(t.coef, f->t[i].coef));
    return sum_expr(x, &s);
}

static const Expr *product_of_sums(Exprs *x, Sum *a, Sum *b)
{
    int64_t k = wrap_mul(take_content(&a->f), take_content(&b->f));
    const Expr *p = sum_tree(x, &a->f), *q = sum_tree(x, &b->f);
    return scaled(x, p->id < q->id ? node(x, EX_mul, p, q) : node(x, EX_mul, q, p), k);
}

/* ---------------------------------------------------------------------------------------- division by a constant */

/* Of x by k0: fdiv = q + fdiv(r, k), mod = g*mod(r, k) + t, g*k = k0. */
typedef struct Division { Sum q, r, t; int64_t k, g; } Division;

/* f = g*whole + rest; the constant is in rest. */
static void partition(Exprs *x, const Affine *f, int64_t g, Sum *whole, Sum *rest)
{
    sum_init(x, whole, f->n);
    sum_init(x, rest, f->n);
    rest->f.c = f->c;
    for (uint32_t i = 0; i < f->n; i++) {
        Term t = f->t[i];
        if (t.coef % g == 0) append(&whole->f, t.atom, t.coef / g);
        else append(&rest->f, t.atom, t.coef);
    }
}

/* s += k*f */
static void add_affine(Exprs *x, Sum *s, const Affine *f, int64_t k)
{
    Sum old;
    sum_copy(&old, s);
    combine(x, s, &old.f, 1, f, k);
}

/* Takes the factor g out of the division if what g does not divide stays inside one multiple of g. */
static bool take_factor(Exprs *x, Division *d, int64_t g)
{
    Sum whole, rest;
    partition(x, &d->r.f, g, &whole, &rest);
    Range r = sum_range(&rest.f);
    if (r.lo == INT64_MIN || r.hi == INT64_MAX || floor_div(r.lo, g) != floor_div(r.hi, g)) return false;
    int64_t m = floor_div(r.lo, g);
    whole.f.c = wrap_add(whole.f.c, m);
    rest.f.c = wrap_add(rest.f.c, wrap_mul(m, -g));
    add_affine(x, &d->t, &rest.f, d->g);
    sum_copy(&d->r, &whole);
    d->g *= g;
    d->k /= g;
    return true;
}

static void take_multiples(Exprs *x, Division *d)
{
    Sum whole, rest;
    partition(x, &d->r.f, d->k, &whole, &rest);
    whole.f.c = wrap_add(whole.f.c, floor_div(rest.f.c, d->k));
    rest.f.c = floor_mod(rest.f.c, d->k);
    add_affine(x, &d->q, &whole.f, 1);
    sum_copy(&d->r, &rest);
}

/* Greatest common divisor of k and a coefficient that is below `limit`; 1 when there is none. */
static int64_t next_factor(const Affine *f, int64_t k, int64_t limit)
{
    int64_t best = 1;
    for (uint32_t i = 0; i < f->n; i++) {
        int64_t g = gcd_i64(f->t[i].coef, k);
        if (g < limit) best = max_i64(best, g);
    }
    return best;
}

static bool take_some_factor(Exprs *x, Division *d)
{
    int64_t g = d->k;
    while ((g = next_factor(&d->r.f, d->k, g)) > 1)
        if (take_factor(x, d, g)) return true;
    return false;
}

static void divide(Exprs *x, Division *d, const Expr *a, int64_t k)
{
    sum_init(x, &d->q, 0);
    sum_init(x, &d->t, 0);
    sum_read(x, &d->r, a);
    d->k = k;
    d->g = 1;
    while (d->k > 1 && !take_factor(x, d, d->k)) {
        take_multiples(x, d);
        if (!take_some_factor(x, d)) return;
    }
    add_affine(x, &d->q, &d->r.f, 1);
    sum_init(x, &d->r, 0);
}

/* --------------------------------------------------------------------------------------------------- quotient atoms */

/* Whether no value of the product of two divisors leaves int64. */
static bool product_fits(const Expr *a, const Expr *b)
{
    int64_t p, ha = range_of(a).hi, hb = range_of(b).hi;
    return ha != INT64_MAX && hb != INT64_MAX && mul_i64(ha, hb, &p);
}

/* The modulus of mod(y, m) when k divides it. */
static bool is_mod_of_multiple(const Expr *e, const Expr *k)
{
    return is_quotient(e, EX_mod) && ex_is_const(e->a[1]) && ex_is_const(k) && e->a[1]->v.i % k->v.i == 0;
}

/* fdiv(r, k) to which only rules for quotients of quotients may apply; k >= 1. */
static const Expr *fdiv_atom(Exprs *x, Affine *r, const Expr *k)
{
    bool plain = r->n == 1 && r->t[0].coef == 1;
    const Expr *e = plain ? r->t[0].atom : NULL, *d = e && e->n == 2 ? e->a[1] : NULL;
    /* fdiv(fdiv(y,d) + c, k) = fdiv(y + c*d, d*k) */
    if (plain && is_quotient(e, EX_fdiv) && product_fits(d, k))
        return ix_fdiv(x, ix_linear(x, e->a[0], 1, d, r->c, 0), ix_mul(x, d, k));
    /* fdiv(mod(y,a*k), k) = mod(fdiv(y,k), a) */
    if (plain && r->c == 0 && is_mod_of_multiple(e, k))
        return ix_mod(x, ix_fdiv(x, e->a[0], k), ex_int(x, d->v.i / k->v.i));
    return node(x, EX_fdiv, sum_tree(x, r), k);
}

/* mod(r, k), k >= 1 */
static const Expr *mod_atom(Exprs *x, Affine *r, const Expr *k)
{
    bool plain = r->n == 1 && r->t[0].coef == 1 && r->c == 0;
    if (plain && is_mod_of_multiple(r->t[0].atom, k)) return ix_mod(x, r->t[0].atom->a[0], k);
    return node(x, EX_mod, sum_tree(x, r), k);
}

static const Expr *fdiv_const(Exprs *x, const Expr *a, int64_t k)
{
    Division d;
    divide(x, &d, a, k);
    if (d.k > 1) add_scaled(x, &d.q, fdiv_atom(x, &d.r.f, ex_int(x, d.k)), 1);
    return sum_expr(x, &d.q);
}

static const Expr *mod_const(Exprs *x, const Expr *a, int64_t k)
{
    Division d;
    divide(x, &d, a, k);
    if (d.k > 1) add_scaled(x, &d.t, mod_atom(x, &d.r.f, ex_int(x, d.k)), d.g);
    return sum_expr(x, &d.t);
}

/* -------------------------------------------------------------------------------------------------- symbolic bounds */

/* What a value without a constant bound is below: the extent of an index, the divisor of a remainder; or NULL. */
static const Expr *bound_of(const Exprs *x, const Expr *atom)
{
    if (is_op(atom, EX_var)) return ex_var_info(x, atom)->below;
    return is_quotient(atom, EX_mod) && !ex_is_const(atom->a[1]) ? atom->a[1] : NULL;
}

/* The youngest factor with a symbolic bound in a product that grows with it; NULL: none. */
static const Expr *bounded_factor(const Exprs *x, Term t)
{
    Factors f;
    const Expr *best = NULL;
    if (t.coef <= 0 || !factors_of(t.atom, &f)) return NULL;
    for (uint32_t i = 0; i < f.n; i++) {
        if (range_of(f.at[i]).lo < 0) return NULL;
        if (bound_of(x, f.at[i]) && (!best || f.at[i]->id > best->id)) best = f.at[i];
    }
    return best;
}

/* Takes the factors of d out of f; false when they are not all there. */
static bool take_factors(Factors *f, const Factors *d)
{
    Factors rest = {.n = 0};
    uint32_t j = 0;
    for (uint32_t i = 0; i < f->n; i++) {
        if (j < d->n && f->at[i] == d->at[j]) j++;
        else rest.at[rest.n++] = f->at[i];
    }
    *f = rest;
    return j == d->n;
}

/* atom / by when `by` is among its factors; NULL when not. */
static const Expr *cancel(Exprs *x, const Expr *atom, const Expr *by)
{
    Factors f, d;
    const Expr *q = ex_int(x, 1);
    if (!factors_of(atom, &f) || !factors_of(by, &d) || !take_factors(&f, &d)) return NULL;
    for (uint32_t i = 0; i < f.n; i++) q = ix_mul(x, q, f.at[i]);
    return q;
}

/* Replaces one factor of one term by its greatest value, bound - 1. */
static bool raise_term(Exprs *x, Sum *s)
{
    for (uint32_t i = s->f.n; i-- > 0;) {
        Term t = s->f.t[i];
        const Expr *v = bounded_factor(x, t);
        if (!v) continue;
        const Expr *most = ix_linear(x, bound_of(x, v), 1, v, 0, -1);
        return exchange(x, s, t.atom, ix_mul(x, cancel(x, t.atom, v), most), t.coef);
    }
    return false;
}

/* An upper bound of a sum. Bounds name older nodes only, so raising ends; the limit is for sums that grow by it. */
static int64_t sum_upper(Exprs *x, const Sum *f)
{
    Sum s;
    sum_copy(&s, f);
    int64_t best = sum_range(&s.f).hi;
    for (int fuel = 16; fuel > 0 && raise_term(x, &s); fuel--) best = min_i64(best, sum_range(&s.f).hi);
    return best;
}

/* Bounds of a - b; symbolic ones let i < n and i*n + j < m*n be seen for indices i below m and j below n. */
Range ix_difference(Exprs *x, const Expr *a, const Expr *b)
{
    Sum p, q, d, e;
    sum_read(x, &p, a);
    sum_read(x, &q, b);
    combine(x, &d, &p.f, 1, &q.f, -1);
    combine(x, &e, &q.f, 1, &p.f, -1);
    int64_t hi = sum_upper(x, &d), minus_lo = sum_upper(x, &e);
    return (Range){minus_lo == INT64_MAX ? INT64_MIN : -minus_lo, hi};
}

/* ---------------------------------------------------------------------------------------- division by an expression */

/* a = q*d + r */
typedef struct Quotient { const Expr *q, *r; } Quotient;

/* Takes one multiple of d out of s: a term that the first term of d divides. */
static bool take_term(Exprs *x, Sum *s, const Expr *d, Term lead, Sum *q)
{
    for (uint32_t i = 0; i < s->f.n; i++) {
        Term t = s->f.t[i];
        const Expr *m = t.coef % lead.coef ? NULL : cancel(x, t.atom, lead.atom);
        if (!m) continue;
        add_scaled(x, q, m, t.coef / lead.coef);
        add_scaled(x, s, ix_mul(x, m, d), wrap_mul(t.coef / lead.coef, -1));
        return true;
    }
    return false;
}

/* Splits off multiples of d, whose terms are few. The remainder may be anything. */
static Quotient take_terms(Exprs *x, const Expr *a, const Expr *d)
{
    Sum s, q, div;
    sum_read(x, &s, a);
    sum_read(x, &div, d);
    sum_init(x, &q, 0);
    if (div.f.n == 0 || div.f.t[0].coef == -1) return (Quotient){ex_int(x, 0), a};
    for (uint32_t fuel = s.f.n; fuel > 0 && take_term(x, &s, d, div.f.t[0], &q); fuel--) {
    }
    return (Quotient){sum_expr(x, &q), sum_expr(x, &s)};
}

static bool is_remainder(Exprs *x, const Expr *r, const Expr *d)
{
    return range_of(r).lo >= 0 && ix_difference(x, r, d).hi < 0;
}

/* a = q*d + r with 0 <= r < d proved; d >= 1 */
static bool divides(Exprs *x, const Expr *a, const Expr *d, Quotient *r)
{
    if (ex_is_const(d)) {
        Division v;
        divide(x, &v, a, d->v.i);
        *r = (Quotient){sum_expr(x, &v.q), sum_expr(x, &v.t)};
        return v.k == 1;
    }
    *r = take_terms(x, a, d);
    return is_remainder(x, r->r, d);
}

/* Factors that d may have, largest first: the numbers in it, and the symbols of its first term. */
static uint32_t factor_list(Exprs *x, const Expr *a, const Expr *d, const Expr **list)
{
    Sum s, div;
    Factors f;
    uint32_t n = 0;
    sum_read(x, &s, a);
    sum_read(x, &div, d);
    if (div.f.t[0].coef < 1 || !factors_of(div.f.t[0].atom, &f)) return 0;
    int64_t k = content(&div.f), g = gcd_i64(k, content(&s.f));
    if (k > 1) list[n++] = ex_int(x, k);
    if (g > 1 && g < k) list[n++] = ex_int(x, g);
    for (uint32_t i = 0; i < f.n; i++)
        if (range_of(f.at[i]).lo >= 1 && f.at[i] != d) list[n++] = f.at[i];
    return n;
}

/* For d = f*e and a = f*w + t with 0 <= t < f: fdiv(a,d) = fdiv(w,e), mod(a,d) = f*mod(w,e) + t. */
static bool take_common(Exprs *x, const Expr *a, const Expr *d, const Expr **f, Quotient *w, const Expr **e)
{
    const Expr *list[MAX_FACTORS + 2];
    uint32_t n = factor_list(x, a, d, list);
    for (uint32_t i = 0; i < n; i++) {
        Quotient rest;
        *f = list[i];
        if (!divides(x, d, *f, &rest) || !ex_is_int(rest.r, 0) || !divides(x, a, *f, w)) continue;
        *e = rest.q;
        return true;
    }
    return false;
}

/* fdiv or mod by an expression that is at least 1. */
static const Expr *divide_symbolic(Exprs *x, ExprOp op, const Expr *a, const Expr *d)
{
    Quotient v, w;
    Sum r;
    const Expr *f, *e, *rest;
    if (divides(x, a, d, &v)) return op == EX_fdiv ? v.q : v.r;
    if (is_op(d, EX_add)) v = (Quotient){ex_int(x, 0), a};
    if (take_common(x, v.r, d, &f, &w, &e)) {
        if (op == EX_fdiv) return ix_linear(x, v.q, 1, ix_fdiv(x, w.q, e), 1, 0);
        return ix_linear(x, ix_mul(x, f, ix_mod(x, w.q, e)), 1, w.r, 1, 0);
    }
    sum_read(x, &r, v.r);
    rest = op == EX_fdiv ? fdiv_atom(x, &r.f, d) : mod_atom(x, &r.f, d);
    return op == EX_fdiv ? ix_linear(x, v.q, 1, rest, 1, 0) : rest;
}

/* An index variable and its own extent, which may be 0: then the variable has no value and the quotient is 0 by definition. */
static bool is_below(const Exprs *x, const Expr *a, const Expr *b)
{
    return a->op == EX_var && ex_var_info(x, a)->lo >= 0 && ex_var_info(x, a)->below == b;
}

const Expr *ix_fdiv(Exprs *x, const Expr *a, const Expr *b)
{
    Range r = range_of(b);
    if (is_below(x, a, b)) return ex_int(x, 0);
    int64_t k = range_is_point(r) ? r.lo : 0;
    if (r.lo == 0 && r.hi == 0) return ex_int(x, 0);
    if (k > 0) return fdiv_const(x, a, k);
    if (k < 0 && k != INT64_MIN) return fdiv_const(x, scaled(x, a, -1), -k);
    return r.lo >= 1 ? divide_symbolic(x, EX_fdiv, a, b) : node(x, EX_fdiv, a, b);
}

const Expr *ix_mod(Exprs *x, const Expr *a, const Expr *b)
{
    Range r = range_of(b);
    if (is_below(x, a, b)) return a;
    int64_t k = range_is_point(r) ? r.lo : 0;
    if (r.lo == 0 && r.hi == 0) return ex_int(x, 0);
    if (k > 0) return mod_const(x, a, k);
    if (k < 0 && k != INT64_MIN) return scaled(x, mod_const(x, scaled(x, a, -1), -k), -1);
    return r.lo >= 1 ? divide_symbolic(x, EX_mod, a, b) : node(x, EX_mod, a, b);
}

const Expr *ix_mul(Exprs *x, const Expr *a, const Expr *b)
{
    Sum p, q;
    sum_read(x, &p, a);
    sum_read(x, &q, b);
    if (p.f.n == 0) return scaled(x, b, p.f.c);
    if (q.f.n == 0) return scaled(x, a, q.f.c);
    if (single(&p.f)) return distribute(x, p.f.t[0], &q.f);
    if (single(&q.f)) return distribute(x, q.f.t[0], &p.f);
    return product_of_sums(x, &p, &q);
}

/* a*ka + b*kb + c */
const Expr *ix_linear(Exprs *x, const Expr *a, int64_t ka, const Expr *b, int64_t kb, int64_t c)
{
    Sum p, q, r;
    sum_read(x, &p, a);
    sum_read(x, &q, b);
    combine(x, &r, &p.f, ka, &q.f, kb);
    r.f.c = wrap_add(r.f.c, c);
    return sum_expr(x, &r);
}

/* View of e as a sum; the terms are in `a`. */
Affine ex_affine(Arena *a, const Expr *e)
{
    if (e->dt != DT_ix) ICE("an affine view of %s", dtype_info((DType)e->dt)->name);
    Affine f = {.t = NEWN(a, Term, count_terms(e))};
    read_sum(e, &f);
    return f;
}

const Expr *ex_from_affine(Exprs *x, const Affine *f)
{
    Sum s, none;
    sum_init(x, &none, 0);
    combine(x, &s, f, 1, &none.f, 0);
    return sum_expr(x, &s);
}

/* Coefficient of var; *linear is false when it also occurs inside an atom. */
int64_t ex_coef(const Expr *e, const Expr *var, bool *linear)
{
    int64_t coef = 0;
    *linear = true;
    for (bool more = true; more; e = more ? e->a[0] : e) {
        more = is_op(e, EX_add);
        Term t = term_of(more ? e->a[1] : e);
        if (t.atom == var) coef = t.coef;
        else if (ex_uses(t.atom, var)) *linear = false;
    }
    return coef;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The bounds proof of finished nests. It trusts no pass: that index -lo <= i < dim + hi holds follows here from nothing
 * but the loops around the access, the conditions on its way, and the bounds of symbols.
 *
 * What is to be shown is e >= 0 for an index expression e. Loop variables are replaced by their least or greatest value,
 * innermost first, according to the sign of e's slope in them, so that extents meet extents: N - 1 - i with i < N ends as
 * 0. Minima, maxima and choices are split into cases, quotients and remainders replaced by what bounds them. Where that
 * does not do, a condition f >= 0 that holds here is used: k*e - m*f is shown not to be negative, k and m such that a term
 * cancels. A place whose conditions contradict each other is never reached, and nothing is to be shown there.
 */
#include "nest.h"

#include "call.h"

enum { MAX_FACTS = 3, MAX_STEPS = 1 << 14 };

typedef struct Bound { const Expr *var, *lo, *hi; } Bound; /* lo <= var <= hi */

/* Expressions whose accesses are proved under the conditions that hold now. */
typedef struct Seen Seen;
struct Seen { Seen *up; Map of; };

typedef struct Check {
    Arena *a;
    Exprs *x;
    const Unit *u;
    const Func *f;
    VEC(Bound) bound;         /* outermost first */
    VEC(const Expr *) fact;   /* each is at least 0 */
    VEC(Subst) value;         /* lets that are expressions over other variables */
    Seen *seen;
    int32_t steps;            /* left for the proof at hand */
    bool dead;                /* conditions contradict each other: this is never reached */
    const char *why;
} Check;

/* ---- proofs ---- */

static bool prove_with(Check *c, const Expr *e, int facts);
static void assume(Check *c, const Expr *e, bool holds);

static const Expr *replaced(Check *c, const Expr *e, const Expr *from, const Expr *to)
{
    const Subst s = {from, to};
    return ex_subst(c->x, e, &s, 1);
}

/* e with `by` instead of the atom of one term. */
static const Expr *with_term(Check *c, const Expr *e, Term t, const Expr *by)
{
    return ex_add(c->x, e, ex_mul(c->x, ex_int(c->x, t.coef), ex_sub(c->x, by, t.atom)));
}

static const Expr *plus(Check *c, const Expr *e, int64_t k) { return ex_add(c->x, e, ex_int(c->x, k)); }

static bool is_split(const Expr *e) { return e->op == EX_min || e->op == EX_max || e->op == EX_select; }

/* Whether conditions that hold here, from number n on, contradict what else does: f >= 0 does where f <= -1 is shown. */
static bool refuted(Check *c, uint32_t n, int facts)
{
    bool yes = c->dead;
    for (uint32_t k = n; k < c->fact.n && !yes; k++)
        yes = prove_with(c, plus(c, ex_sub(c->x, ex_int(c->x, 0), c->fact.at[k]), -1), facts);
    return yes;
}

/* e >= 0 where cond is `holds`, which may never be. */
static bool prove_case(Check *c, const Expr *cond, bool holds, const Expr *e, int facts)
{
    const uint32_t n = c->fact.n;
    const bool dead = c->dead;
    assume(c, cond, holds);
    const bool ok = c->dead || prove_with(c, e, facts) || refuted(c, n, 0);
    c->fact.n = n;
    c->dead = dead;
    return ok;
}

/* An atom that is one of two expressions: either bounds e when it does so from the good side; otherwise both cases. */
static bool split(Check *c, const Expr *e, Term t, int facts)
{
    const bool choice = t.atom->op == EX_select, least = t.atom->op == EX_min;
    const Expr *p = t.atom->a[choice], *q = t.atom->a[choice + 1];
    if (!choice && least != (t.coef > 0) && (prove_with(c, with_term(c, e, t, p), facts) || prove_with(c, with_term(c, e, t, q), facts)))
        return true;
    const Expr *first = choice ? t.atom->a[0] : least ? ex_binary(c->x, EX_le, p, q) : ex_binary(c->x, EX_le, q, p);
    return prove_case(c, first, true, replaced(c, e, t.atom, p), facts) && prove_case(c, first, false, replaced(c, e, t.atom, q), facts);
}

/* e with the variable at the end of its range where e is least; NULL: the slope is not known to have one sign. */
static const Expr *at_extreme(Check *c, const Expr *e, const Bound *b)
{
    const Expr *slope = ex_sub(c->x, replaced(c, e, b->var, plus(c, b->var, 1)), e);
    int64_t lo, hi;
    if (ex_uses(slope, b->var) || !ex_range(c->x, slope, &lo, &hi) || (lo < 0 && hi > 0))
        return NULL;
    return replaced(c, e, b->var, lo >= 0 ? b->lo : b->hi);
}

/* k*fdiv(x,k) lies in x-k+1 .. x; k*e >= r proves e >= 0 when r >= 1-k, as e is an integer. */
static const Expr *without_quotient(Check *c, const Expr *e, Term t)
{
    const Expr *k = t.atom->a[1], *less = plus(c, k, -1);
    const Expr *x = t.coef > 0 ? ex_sub(c->x, t.atom->a[0], less) : t.atom->a[0];
    const Expr *rest = ex_sub(c->x, e, ex_mul(c->x, ex_int(c->x, t.coef), t.atom));
    return ex_add(c->x, ex_add(c->x, ex_mul(c->x, rest, k), ex_mul(c->x, x, ex_int(c->x, t.coef))), less);
}

/* e at the end of a variable whose range ends at the same atom, which goes away with it; NULL: there is none. */
static const Expr *without_split(Check *c, const Expr *e, const Expr *atom)
{
    for (uint32_t k = c->bound.n; k-- > 0;) {
        const Expr *end = ex_uses(e, c->bound.at[k].var) && ex_uses(c->bound.at[k].hi, atom) ? at_extreme(c, e, &c->bound.at[k]) : NULL;
        if (end && !ex_uses(end, atom))
            return end;
    }
    return NULL;
}

/* The same where the variable is divided: fdiv(i,3) with i < 3*max(n,0) is less than max(n,0). */
static const Expr *without_split_quotient(Check *c, const Expr *e, const Affine *f, const Expr *atom)
{
    const Expr *end = NULL;
    for (uint32_t t = 0; t < f->n && !end; t++)
        if (f->t[t].atom->op == EX_fdiv && ex_is_const(f->t[t].atom->a[1]) && f->t[t].atom->a[1]->v.i > 0)
            end = without_split(c, without_quotient(c, e, f->t[t]), atom);
    return end;
}

static bool is_least(const Check *c, const Expr *e, int64_t least)
{
    int64_t lo, hi;
    return ex_range(c->x, e, &lo, &hi) && lo >= least;
}

/* mod(x,k) lies in 0 .. k-1, for k = 0 it is 0. Where x is not negative and k is positive, both lie in 0 .. x. */
static bool relax(Check *c, const Expr *e, Term t, int facts)
{
    const Expr *x = t.atom->a[0], *k = t.atom->a[1];
    const bool mod = t.atom->op == EX_mod, from_above = t.coef < 0, known = is_least(c, k, 0), proved = from_above || !mod || !known;
    const bool positive = is_least(c, k, 1) || (proved && facts > 0 && prove_with(c, plus(c, k, -1), facts));
    if (!positive && (!mod || !known))
        return false;
    if (mod && !from_above)
        return prove_with(c, with_term(c, e, t, ex_int(c->x, 0)), facts);
    if (prove_with(c, mod ? with_term(c, e, t, positive ? plus(c, k, -1) : k) : without_quotient(c, e, t), facts))
        return true;
    if (!mod && ex_is_const(k))
        return false;
    return prove_with(c, x, facts) && prove_with(c, with_term(c, e, t, from_above ? x : ex_int(c->x, 0)), facts);
}

static bool is_relaxed(const Expr *e) { return e->op == EX_fdiv || e->op == EX_mod; }

/* Whether p = mod(y,a*b) and q = mod(fdiv(y,a),b), so that p - a*q = mod(y,a), which becomes *low. */
static bool is_digit(Check *c, const Expr *p, const Expr *q, int64_t a, const Expr **low)
{
    int64_t ab;
    if (p->op != EX_mod || q->op != EX_mod || a < 1 || !is_least(c, q->a[1], 1) || !ex_is_const(q->a[1]) || !mul_i64(a, q->a[1]->v.i, &ab))
        return false;
    *low = ex_mod(c->x, p->a[0], ex_int(c->x, a));
    return ex_is_int(p->a[1], ab) && ex_fdiv(c->x, p->a[0], ex_int(c->x, a)) == q->a[0];
}

/* e with n*mod(y,a) for n*mod(y,a*b) - n*a*mod(fdiv(y,a),b): steps in steps of a tail; NULL where there are no such two. */
static const Expr *without_digit(Check *c, const Expr *e, const Affine *f)
{
    const Expr *low;
    for (uint32_t t = 0; t < f->n; t++)
        for (uint32_t q = 0; q < f->n; q++) {
            const int64_t n = f->t[t].coef, m = f->t[q].coef;
            if (q != t && n > 0 && m > -INT64_MAX && m % n == 0 && is_digit(c, f->t[t].atom, f->t[q].atom, -(m / n), &low))
                return with_term(c, with_term(c, e, f->t[q], ex_int(c->x, 0)), f->t[t], low);
        }
    return NULL;
}

/* Whether e >= 0 follows from the bounds of the variables, and up to `facts` conditions for what is put in their place.
 * rest: e with variables at the ends of their ranges, as far as that went. */
static bool eliminate(Check *c, const Expr *e, int facts, const Expr **rest)
{
    int64_t lo, hi;
    *rest = e;
    if (ex_range(c->x, e, &lo, &hi) && lo >= 0)
        return true;
    if (c->steps-- <= 0 || ex_is_const(e))
        return false;
    const Affine f = ex_affine(c->a, e);
    for (uint32_t t = 0; t < f.n; t++)
        if (is_split(f.t[t].atom)) {
            const Expr *end = without_split(c, e, f.t[t].atom), *quotient = end ? NULL : without_split_quotient(c, e, &f, f.t[t].atom);
            if (quotient && prove_with(c, quotient, facts))
                return true;
            return end ? eliminate(c, end, facts, rest) : split(c, e, f.t[t], facts);
        }
    for (uint32_t k = c->bound.n; k-- > 0;) {
        const Expr *end = ex_uses(e, c->bound.at[k].var) ? at_extreme(c, e, &c->bound.at[k]) : NULL;
        if (end && end != e)
            return eliminate(c, end, facts, rest);
    }
    const Expr *low = without_digit(c, e, &f);
    if (low)
        return eliminate(c, low, facts, rest);
    for (uint32_t t = 0; t < f.n; t++)
        if (is_relaxed(f.t[t].atom) && relax(c, e, f.t[t], facts))
            return true;
    return false;
}

static int64_t divisor(int64_t a, int64_t b)
{
    while (b) {
        const int64_t r = a % b;
        a = b;
        b = r;
    }
    return a < 0 ? -a : a;
}

/* Shows k*e - m*f >= 1-k with k, m > 0 such that the term t of f cancels one of e; e is an integer. */
static bool prove_by(Check *c, const Expr *e, const Affine *ef, const Expr *f, Term t, int facts)
{
    for (uint32_t q = 0; q < ef->n; q++) {
        if (ef->t[q].atom != t.atom || (ef->t[q].coef > 0) != (t.coef > 0))
            continue;
        const int64_t g = divisor(ef->t[q].coef, t.coef), k = max_i64(t.coef / g, -(t.coef / g)), m = max_i64(ef->t[q].coef / g, -(ef->t[q].coef / g));
        const Expr *ke = ex_mul(c->x, e, ex_int(c->x, k)), *mf = ex_mul(c->x, f, ex_int(c->x, m));
        if (prove_with(c, plus(c, ex_sub(c->x, ke, mf), k - 1), facts - 1))
            return true;
    }
    return false;
}

static bool prove_by_any(Check *c, const Expr *e, int facts)
{
    const Affine ef = ex_affine(c->a, e);
    for (uint32_t k = c->fact.n; k-- > 0;) {
        const Affine f = ex_affine(c->a, c->fact.at[k]);
        for (uint32_t t = 0; t < f.n; t++)
            if (prove_by(c, e, &ef, c->fact.at[k], f.t[t], facts))
                return true;
    }
    return false;
}

/* Conditions are used on e as it is, or on what is left of it, where extents have taken the place of variables. */
static bool prove_with(Check *c, const Expr *e, int facts)
{
    const Expr *rest;
    if (eliminate(c, e, facts, &rest))
        return true;
    return facts > 0 && c->steps > 0 && (prove_by_any(c, e, facts) || (rest != e && prove_by_any(c, rest, facts)));
}

/* With few conditions before many, as most proofs need none. */
static bool prove(Check *c, const Expr *e)
{
    for (int facts = 0; facts <= MAX_FACTS; facts++) {
        c->steps = MAX_STEPS;
        if (prove_with(c, e, facts))
            return true;
    }
    return false;
}

/* ---- conditions ---- */

/* e over variables that have bounds: lets are put in, the last first. */
static const Expr *resolved(Check *c, const Expr *e)
{
    for (uint32_t k = c->value.n; k-- > 0;)
        if (ex_uses(e, c->value.at[k].from))
            e = ex_subst(c->x, e, &c->value.at[k], 1);
    return e;
}

/* From f >= 0 follows k*f >= 0 with the quotient fdiv(x,k) replaced by what is no less: k*fdiv(x,k) <= x, >= x-k+1. */
static const Expr *weaker(Check *c, const Expr *f, Term t)
{
    const int64_t k = t.atom->a[1]->v.i;
    const Expr *x = t.coef > 0 ? t.atom->a[0] : plus(c, t.atom->a[0], 1 - k);
    const Expr *rest = ex_sub(c->x, f, ex_mul(c->x, ex_int(c->x, t.coef), t.atom));
    return ex_add(c->x, ex_mul(c->x, rest, ex_int(c->x, k)), ex_mul(c->x, x, ex_int(c->x, t.coef)));
}

/* A product of factors that are not negative is at least 1: so is each of them. */
static void assume_factors(Check *c, const Expr *e)
{
    if (e->op != EX_mul) {
        PUSH(c->a, &c->fact, plus(c, e, -1));
    } else if (is_least(c, e->a[0], 0) && is_least(c, e->a[1], 0)) {
        assume_factors(c, e->a[0]);
        assume_factors(c, e->a[1]);
    }
}

static void assume_least(Check *c, const Expr *e)
{
    int64_t lo, hi;
    const Expr *fact = resolved(c, e);
    const Affine f = ex_affine(c->a, fact);
    PUSH(c->a, &c->fact, fact);
    for (uint32_t t = 0; t < f.n; t++)
        if (f.t[t].atom->op == EX_fdiv && ex_is_const(f.t[t].atom->a[1]) && is_least(c, f.t[t].atom->a[1], 1))
            PUSH(c->a, &c->fact, weaker(c, fact, f.t[t]));
    if (f.n == 1 && f.t[0].coef > 0 && f.c < 0 && f.t[0].atom->op == EX_mul)
        assume_factors(c, f.t[0].atom);
    c->dead = c->dead || (ex_range(c->x, fact, &lo, &hi) && hi < 0);
}

/* Signed integers as ix, which holds all their values; NULL: not of such a type. */
static const Expr *as_ix(Check *c, const Expr *e)
{
    const DClass cls = dtype_info((DType)e->dt)->cls;
    return e->dt == DT_ix ? e : cls == DC_I ? ex_cast(c->x, DT_ix, e) : NULL;
}

/* a - b >= k */
static void assume_apart(Check *c, const Expr *a, const Expr *b, int64_t k)
{
    const Expr *p = as_ix(c, a), *q = as_ix(c, b);
    if (p && q)
        assume_least(c, plus(c, ex_sub(c->x, p, q), -k));
}

static void assume(Check *c, const Expr *e, bool holds)
{
    switch ((ExprOp)e->op) {
    case EX_const:
        c->dead = c->dead || (e->v.i != 0) != holds;
        return;
    case EX_and: case EX_or:
        if ((e->op == EX_and) == holds) {
            assume(c, e->a[0], holds);
            assume(c, e->a[1], holds);
        }
        return;
    case EX_not:
        assume(c, e->a[0], !holds);
        return;
    case EX_le:
        assume_apart(c, e->a[holds], e->a[!holds], !holds);
        return;
    case EX_lt:
        assume_apart(c, e->a[holds], e->a[!holds], holds);
        return;
    case EX_eq: case EX_ne:
        if ((e->op == EX_eq) == holds) {
            assume_apart(c, e->a[0], e->a[1], 0);
            assume_apart(c, e->a[1], e->a[0], 0);
        }
        return;
    default:
        return;
    }
}

/* ---- accesses ---- */

static const char *ref_name(void *ctx, const Expr *e)
{
    const Check *c = ctx;
    return e->op == EX_var ? ex_var_info(c->x, e)->name : buf(c->u, e->v.ref)->name;
}

static const char *expr_text(Check *c, const Expr *e)
{
    Text t = {.arena = c->a};
    ex_print(&t, c->x, e, ref_name, c);
    return text_str(&t);
}

/* e >= 0, or this is never reached. */
static bool holds_here(Check *c, const Expr *e)
{
    if (prove(c, e))
        return true;
    c->steps = MAX_STEPS;
    c->dead = refuted(c, 0, 1);
    return c->dead;
}

static void check_access(Check *c, uint32_t id, const Expr *const *idx, const char *what)
{
    const Buf *b = buf(c->u, id);
    for (uint8_t d = 0; d < b->rank && !c->why && !c->dead; d++) {
        const Expr *i = resolved(c, idx[d]), *last = plus(c, resolved(c, b->dim[d]), (int64_t)b->hi[d] - 1);
        if (!holds_here(c, plus(c, i, b->lo[d])))
            c->why = str_fmt(c->a, "%s: %s '%s', dimension %u: index %s may be below %d", c->f->name, what, b->name, d, expr_text(c, i), -b->lo[d]);
        else if (!holds_here(c, ex_sub(c->x, last, i)))
            c->why = str_fmt(c->a, "%s: %s '%s', dimension %u: index %s may be above %s", c->f->name, what, b->name, d, expr_text(c, i), expr_text(c, last));
    }
}

static void check_expr(Check *c, const Expr *e);

/* e where cond is `holds`. */
static void check_where(Check *c, const Expr *cond, bool holds, const Expr *e)
{
    const uint32_t facts = c->fact.n;
    const bool dead = c->dead;
    Seen seen = {.up = c->seen, .of = {.arena = c->a}};
    assume(c, cond, holds);
    c->seen = &seen;
    check_expr(c, e);
    c->seen = seen.up;
    c->fact.n = facts;
    c->dead = dead;
}

static bool is_seen(const Check *c, const Expr *e)
{
    for (Seen *s = c->seen; s; s = s->up)
        if (map_u64(&s->of, e->id, false))
            return true;
    return false;
}

static void check_expr(Check *c, const Expr *e)
{
    if (c->why || is_seen(c, e))
        return;
    *map_u64(&c->seen->of, e->id, true) = 1;
    if (e->op == EX_select) {
        check_expr(c, e->a[0]);
        check_where(c, e->a[0], true, e->a[1]);
        check_where(c, e->a[0], false, e->a[2]);
        return;
    }
    if (e->op == EX_and || e->op == EX_or) {
        check_expr(c, e->a[0]);
        check_where(c, e->a[0], e->op == EX_and, e->a[1]);
        return;
    }
    for (uint16_t k = 0; k < e->n; k++)
        check_expr(c, e->a[k]);
    if (e->op == EX_load)
        check_access(c, e->v.ref, e->a, "load of");
}

static void check_root(Check *c, const Expr *e)
{
    Seen seen = {.of = {.arena = c->a}};
    c->seen = &seen;
    check_expr(c, e);
    c->seen = NULL;
}

static void check_store(Check *c, const Store *s)
{
    check_root(c, s->value);
    for (uint8_t d = 0; d < buf(c->u, s->buf)->rank; d++)
        check_root(c, s->idx[d]);
    check_access(c, s->buf, s->idx, "store to");
}

/* ---- variables ---- */

/* What the pool believes about a variable, and simplified by, must be true. */
static void check_declared(Check *c, const Expr *var, const Expr *lo, const Expr *hi)
{
    const VarInfo *v = ex_var_info(c->x, var);
    bool ok = v->lo == INT64_MIN || prove(c, plus(c, lo, -v->lo));
    ok = ok && (v->hi == INT64_MAX || prove(c, ex_sub(c->x, ex_int(c->x, v->hi), hi)));
    ok = ok && (!v->below || prove(c, plus(c, ex_sub(c->x, resolved(c, v->below), hi), -1)));
    if (!ok && !c->dead && !c->why)
        c->why = str_fmt(c->a, "%s: variable '%s', declared as %lld to %lld, takes values from %s to %s", c->f->name, v->name,
                         (long long)v->lo, (long long)v->hi, expr_text(c, lo), expr_text(c, hi));
}

/* var runs over lo .. lo+extent-1, at least once where its body is concerned. */
static void open_loop(Check *c, const Expr *var, const Expr *lo, const Expr *extent)
{
    const Expr *first = resolved(c, lo), *n = resolved(c, extent), *last = plus(c, ex_add(c->x, first, n), -1);
    if (!is_least(c, n, 1))
        assume_least(c, plus(c, n, -1));
    check_declared(c, var, first, last);
    PUSH(c->a, &c->bound, ((Bound){var, first, last}));
}

static bool has_memory(const Expr *e)
{
    if (e->op == EX_load || e->op == EX_loadp)
        return true;
    for (uint16_t k = 0; k < e->n; k++)
        if (has_memory(e->a[k]))
            return true;
    return false;
}

/* An index that comes from data has no bounds of its own, only conditions. */
static void check_let(Check *c, const Nest *n)
{
    check_root(c, n->expr);
    const VarInfo *v = ex_var_info(c->x, n->var);
    if (v->kind != VK_INDEX)
        return;
    const Expr *e = resolved(c, n->expr);
    if (v->lo != INT64_MIN || v->hi != INT64_MAX || v->below)
        check_declared(c, n->var, e, e);
    if (!has_memory(e))
        PUSH(c->a, &c->value, ((Subst){n->var, e}));
}

/* ---- statements ---- */

static void check_nest(Check *c, const Nest *n);

typedef struct Mark { uint32_t bound, fact, value; bool dead; } Mark;

static Mark mark(const Check *c) { return (Mark){c->bound.n, c->fact.n, c->value.n, c->dead}; }

static void back_to(Check *c, Mark m)
{
    c->bound.n = m.bound;
    c->fact.n = m.fact;
    c->value.n = m.value;
    c->dead = m.dead;
}

static void check_list(Check *c, Nest *const *list, uint32_t n)
{
    const Mark m = mark(c);
    for (uint32_t k = 0; k < n && !c->why; k++)
        check_nest(c, list[k]);
    back_to(c, m);
}

/* A step asks once, for all points and lanes. */
static void check_fetch(Check *c, const Tile *t, const Fetch *f)
{
    bool once = !t->lane || t->across || !ex_uses(f->at, t->lane);
    for (uint8_t k = 0; k < t->np; k++)
        once = once && !ex_uses(f->at, t->pvar[k]) && !(f->when && ex_uses(f->when, t->pvar[k]));
    if (!once && !c->why)
        c->why = str_fmt(c->a, "%s: a hint for '%s' depends on the point of its tile", c->f->name, buf(c->u, f->buf)->name);
    check_root(c, f->at);
    if (f->when)
        check_root(c, f->when);
}

static void check_tile(Check *c, const Tile *t)
{
    const Expr *zero = ex_int(c->x, 0);
    const Mark outside = mark(c);
    for (uint8_t k = 0; k < t->np; k++)
        open_loop(c, t->pvar[k], zero, ex_int(c->x, t->pext[k]));
    if (t->lane && !t->across)
        open_loop(c, t->lane, zero, tile_lanes(c->x, t));
    if (t->init)
        check_root(c, t->init);
    const Mark point = mark(c);
    for (uint8_t k = 0; k < t->nr; k++)
        open_loop(c, t->rvar[k], zero, t->rext[k]);
    if (t->body)
        check_root(c, t->body);
    for (uint8_t k = 0; k < t->nfetch; k++)
        check_fetch(c, t, &t->fetch[k]);
    back_to(c, point);
    for (uint8_t k = 0; k < t->nstore; k++)
        check_store(c, &t->store[k]);
    back_to(c, outside);
}

static void check_for(Check *c, const Nest *n)
{
    const Mark m = mark(c);
    check_root(c, n->lo);
    check_root(c, n->extent);
    if (nest_is_shared(n) && !n->share.times && !prove(c, ex_sub(c->x, ex_int(c->x, n->share.of - n->share.at), resolved(c, n->extent))))
        c->why = str_fmt(c->a, "%s: the loop of parts over '%s' has more iterations than units", c->f->name, ex_var_info(c->x, n->var)->name);
    open_loop(c, n->var, n->lo, n->extent);
    check_list(c, n->body.at, n->body.n);
    back_to(c, m);
}

static void check_if(Check *c, const Nest *n)
{
    const Mark m = mark(c);
    check_root(c, n->expr);
    assume(c, n->expr, true);
    check_list(c, n->body.at, n->body.n);
    back_to(c, m);
    assume(c, n->expr, false);
    check_list(c, n->other.at, n->other.n);
    back_to(c, m);
}

static void check_nest(Check *c, const Nest *n)
{
    switch (n->op) {
    case NS_block: check_list(c, n->body.at, n->body.n); return;
    case NS_for: check_for(c, n); return;
    case NS_let: check_let(c, n); return;
    case NS_set: check_root(c, n->expr); return;
    case NS_store: check_store(c, &n->store); return;
    case NS_if: check_if(c, n); return;
    case NS_tile: check_tile(c, n->tile); return;
    case NS_call:
        for (uint8_t k = 0; k < n->call->narg; k++)
            check_root(c, n->arg[k]);
        return;
    }
}

const char *func_check(Arena *a, const Unit *u, const Func *f)
{
    Arena *work = arena_child(a);
    Check c = {.a = work, .x = u->cx->x, .u = u, .f = f};
    check_nest(&c, f->body);
    const char *why = c.why ? str_dup(a, c.why) : NULL;
    arena_free(work);
    return why;
}

const char *nest_check(Arena *a, const Unit *u)
{
    const char *why = NULL;
    for (uint32_t k = 0; k < u->func.n && !why; k++)
        why = func_check(a, u, u->func.at[k]);
    return why;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Zero points leave the contractions of bytes, so that these are dots of what is stored:
 *
 *   y = sum(k) (x - p)*(w - q)   becomes   d = sum(k) x*w,  y = d - p*sum(k) w - q*sum(k) x + K*p*q
 *
 * Exact, since i32 wraps. The sums have only the variables that their operand has (one for each column, each row); those of
 * a constant are a constant. y is a map, and as such the epilogue of d or part of one.
 */
#include "auto.h"

enum { MIN_STEPS = 8 }; /* shorter sums are not worth those of rows and columns */

static bool reduces_over(const Stage *s, const Expr *e)
{
    for (uint8_t q = 0; q < s->nr; q++)
        if (ex_uses(e, s->rvar[q]))
            return true;
    return false;
}

static bool factor_of(const Stage *s, const Expr *e, Factor *f)
{
    f->zero = e->op == EX_sub ? e->a[1] : NULL;
    if (f->zero)
        e = e->a[0];
    f->load = e->op == EX_cast && e->dt == DT_i32 ? e->a[0] : NULL;
    if (!f->load || (f->load->dt != DT_i8 && f->load->dt != DT_u8) || (f->zero && reduces_over(s, f->zero)))
        return false;
    return f->load->op == EX_load || f->load->op == EX_loadp;
}

static const Expr *wide(Exprs *x, const Factor *f) { return ex_cast(x, DT_i32, f->load); }

/* Steps of the reduction; 0: not known. */
static int64_t steps_of(const Stage *s)
{
    int64_t n = 1;
    for (uint8_t q = 0; q < s->nr; q++)
        n = ex_is_const(s->rext[q]) && mul_i64(n, s->rext[q]->v.i, &n) ? n : 0;
    return n;
}

/* Whether stage k without zero points is a product of rows and columns, which dots can make. */
static bool is_product_of(Auto *g, uint32_t k, const Expr *product, Dot *d)
{
    const Expr *body = g->body[k];
    g->body[k] = product;
    const bool yes = dot_of(g, k, d) && d->lane >= 0 && d->group;
    g->body[k] = body;
    return yes;
}

static const Expr *stored_product(Exprs *x, const Factor *p, const Factor *q) { return ex_mul(x, wide(x, p), wide(x, q)); }

bool byte_product(Auto *g, uint32_t k, Factor *p, Factor *q, Dot *d)
{
    const Stage *s = g->te->stage.at[k];
    const Expr *b = s->body ? g->body[k] : NULL;
    if (s->kind != ST_reduce || s->op != RED_sum || b->op != EX_mul || b->dt != DT_i32 || ten(g->te, s->out)->dt != DT_i32)
        return false;
    return factor_of(s, b->a[0], p) && factor_of(s, b->a[1], q) && steps_of(s) >= MIN_STEPS && is_product_of(g, k, stored_product(g->x, p, q), d);
}

/* ---- sums of an operand ---- */

bool auto_walks(const Auto *g, const Expr *load, const Expr *const *var, const Expr *const *extent, uint8_t n, ElementWalk *walk, int64_t *at)
{
    const Ten *w = ten(g->te, load->v.ref);
    const Expr *flat = ex_int(g->x, 0);
    int64_t stride = 1;
    for (int d = w->rank - 1; d >= 0; stride *= w->dim[d--]->v.i)
        flat = ex_add(g->x, flat, ex_mul(g->x, load->a[d], ex_int(g->x, stride)));
    for (uint8_t q = 0; q < n; q++) {
        bool linear;
        walk[q] = (ElementWalk){extent[q]->v.i, ex_coef(flat, var[q], &linear)};
        if (!linear)
            return false;
        flat = ex_sub(g->x, flat, ex_mul(g->x, var[q], ex_int(g->x, walk[q].stride)));
    }
    *at = ex_is_const(flat) ? flat->v.i : 0;
    return ex_is_const(flat);
}

/* Sums over the last walks, `steps` values each, times a factor; they wrap. */
static const Blob *sum_constant(Auto *g, const Blob *from, const ElementWalk *walk, uint8_t n, int64_t at, int64_t count, int64_t steps, uint32_t factor)
{
    uint32_t *sum = NEWN(g->a, uint32_t, count);
    Arena *scratch = arena_child(g->a);
    from = blob_held(from, scratch);
    for (int64_t i = 0; i < count * steps; i++) {
        int64_t rest = i, p = at;
        for (uint8_t q = n; q-- > 0; rest /= walk[q].extent)
            p += rest % walk[q].extent * walk[q].stride;
        sum[i / steps] += factor * (uint32_t)blob_i(from, p);
    }
    arena_free(scratch);
    Blob *b = NEW(g->a, Blob);
    *b = (Blob){.dt = DT_i32, .count = count, .data = sum};
    return b;
}

/* The sum over the reduction of stage s, as a stage and its tensor or as a constant. */
typedef struct Sum { Stage s; const Expr *dim[MAX_RANK]; uint8_t rank, used[MAX_RANK]; } Sum;

static void sum_over(Auto *g, const Stage *s, const Expr *load, Sum *sum)
{
    const Ten *t = ten(g->te, s->out);
    Subst sub[2 * MAX_RANK];
    uint8_t n = 0;
    *sum = (Sum){.s = {.kind = ST_reduce, .op = RED_sum, .nr = s->nr, .node = s->node}};
    for (uint8_t v = 0; v < t->rank; v++) {
        if (!ex_uses(load, s->var[v]))
            continue;
        sum->used[sum->rank] = v;
        sum->dim[sum->rank] = t->dim[v];
        sum->s.var[sum->rank] = ex_index(g->x, ex_var_info(g->x, s->var[v])->name, t->dim[v]);
        sub[n++] = (Subst){s->var[v], sum->s.var[sum->rank++]};
    }
    for (uint8_t q = 0; q < s->nr; q++) {
        sum->s.rext[q] = s->rext[q];
        sum->s.rvar[q] = ex_index(g->x, ex_var_info(g->x, s->rvar[q])->name, s->rext[q]);
        sub[n++] = (Subst){s->rvar[q], sum->s.rvar[q]};
    }
    sum->s.body = ex_cast(g->x, DT_i32, ex_subst(g->x, load, sub, n));
}

static const Blob *constant_sum(Auto *g, const Expr *load, const Sum *sum, int64_t steps, uint32_t factor)
{
    const Expr *var[2 * MAX_RANK], *extent[2 * MAX_RANK];
    ElementWalk walk[2 * MAX_RANK];
    int64_t count = 1, at;
    uint8_t n = 0;
    if (ten(g->te, load->v.ref)->kind != TEN_const || load->op != EX_load)
        return NULL;
    for (uint8_t v = 0; v < sum->rank; v++, n++) {
        var[n] = sum->s.var[v];
        extent[n] = sum->dim[v];
        if (!ex_is_const(extent[n]) || !mul_i64(count, extent[n]->v.i, &count))
            return NULL;
    }
    for (uint8_t q = 0; q < sum->s.nr; q++, n++) {
        var[n] = sum->s.rvar[q];
        extent[n] = sum->s.rext[q];
    }
    const Ten *w = ten(g->te, load->v.ref);
    return auto_walks(g, sum->s.body->a[0], var, extent, n, walk, &at) ? sum_constant(g, w->data, walk, n, at, count, steps, factor) : NULL;
}

/* zero times the sum of a factor's load, which is added before stage k and read at `at`, values of the variables of the stage.
 * *k moves on. */
static const Expr *zero_sum(Auto *g, uint32_t *k, const Stage *s, const Expr *zero, const Factor *f, const char *what, const Expr *const *at)
{
    Sum sum;
    sum_over(g, s, f->load, &sum);
    const Blob *data = constant_sum(g, f->load, &sum, steps_of(s), ex_is_const(zero) ? (uint32_t)zero->v.i : 1);
    const char *name = str_fmt(g->a, "%s.%s", ten(g->te, s->out)->name, what);
    const uint32_t t = auto_tensor(g, name, data ? TEN_const : TEN_stage, sum.rank, sum.dim);
    ten(g->te, t)->dt = DT_i32;
    ten(g->te, t)->data = data;
    g->pinned.at[t] = false;
    if (!data) {
        sum.s.out = t;
        auto_insert(g, (*k)++, arena_copy(g->a, &sum.s, sizeof sum.s));
    }
    const Expr *index[MAX_RANK];
    for (uint8_t v = 0; v < sum.rank; v++)
        index[v] = at[sum.used[v]];
    const Expr *e = ex_load(g->x, DT_i32, t, sum.rank, index);
    return data && ex_is_const(zero) ? e : ex_mul(g->x, zero, e);
}

/* ---- the stage, rewritten ---- */

/* d before stage k; *k moves on. */
static const Expr *add_product(Auto *g, uint32_t *k, const Stage *s, const Expr *product, const Expr *const *at)
{
    const Ten *y = ten(g->te, s->out);
    const uint32_t t = auto_tensor(g, str_fmt(g->a, "%s.stored", y->name), TEN_stage, y->rank, y->dim);
    ten(g->te, t)->dt = DT_i32;
    g->pinned.at[t] = false;
    Stage *d = arena_copy(g->a, s, sizeof *s);
    d->out = t;
    d->body = product;
    auto_insert(g, (*k)++, d);
    return ex_load(g->x, DT_i32, t, y->rank, at);
}

/* Number of stages added before stage k. */
static uint32_t rewrite(Auto *g, uint32_t k, const Factor *x, const Factor *w, const Expr *product)
{
    const Stage *s = g->te->stage.at[k];
    const Ten *y = ten(g->te, s->out);
    const uint32_t first = k;
    Stage *map = NEW(g->a, Stage);
    *map = (Stage){.kind = ST_map, .out = s->out, .node = s->node};
    Subst sub[MAX_RANK];
    for (uint8_t v = 0; v < y->rank; v++) {
        map->var[v] = ex_index(g->x, ex_var_info(g->x, s->var[v])->name, y->dim[v]);
        sub[v] = (Subst){s->var[v], map->var[v]};
    }
    const Expr *p = x->zero ? ex_subst(g->x, x->zero, sub, y->rank) : NULL, *q = w->zero ? ex_subst(g->x, w->zero, sub, y->rank) : NULL;
    const Expr *e = add_product(g, &k, s, product, map->var);
    if (p)
        e = ex_sub(g->x, e, zero_sum(g, &k, s, p, w, "wsum", map->var));
    if (q)
        e = ex_sub(g->x, e, zero_sum(g, &k, s, q, x, "xsum", map->var));
    if (p && q)
        e = ex_add(g->x, e, ex_mul(g->x, ex_const_i(g->x, DT_i32, steps_of(s)), ex_mul(g->x, p, q)));
    map->body = e;
    g->te->stage.at[k] = map;
    return k - first;
}

void auto_zero(Auto *g)
{
    auto_views(g);
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        Factor x, w;
        Dot d;
        if (!byte_product(g, k, &x, &w, &d) || (!x.zero && !w.zero))
            continue;
        k += rewrite(g, k, &x, &w, stored_product(g->x, &x, &w));
        auto_views(g);
    }
}

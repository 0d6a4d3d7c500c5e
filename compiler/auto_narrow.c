/* SPDX-License-Identifier: Apache-2.0
 *
 * -ffp=bf16: operands of contractions are stored as bfloat16 where that is faster; sums, epilogues, statistics
 * and everything else stay f32.
 *
 *   y[m,n] = sum(k) x[m,k]*w[k,n]   becomes   y[m,n] = sum(k) f32(x'[m,k])*f32(w'[k,n])
 *
 * A constant of which each element serves a few outputs only is waited for: half the bytes are half the time, on any machine,
 * and x stays as it is. Of denser products both operands are narrow where the machine multiplies pairs of bf16. A tensor of the
 * scheduler's own is stored so itself, and whoever else reads it reads what was rounded; of a tensor that must keep its type
 * (inputs and outputs of the model, operands and results of functions of runtime-min) contractions get a copy. When it is
 * known what is stored at all, large tensors that are only added, chosen from and the like become narrow too (residuals). What a
 * depthwise product reads stays f32: its few taps cancel where a picture is smooth, and what rounding leaves is ten times the
 * error of a text detector.
 */
#include "auto.h"

#include "runtime-min/mlcc_float.h"

enum { PAIR = 2, STREAM_ROWS = 8 }; /* outputs that share an element of a constant: so many do not hide the wait for it */

typedef struct Product { Dot d; bool both; } Product; /* both: not w alone becomes narrow */

typedef struct Narrow {
    Auto *g;
    bool *exact;     /* by tensor: compared with others for being equal, as the places of a MaxPool are found */
    uint32_t *as;    /* by tensor: what pairs are read from; the tensor itself where it is stored as bf16; 0: not wanted */
} Narrow;

/* ---- which contractions ---- */

/* The dimension that v alone moves, when no other depends on it; -1: none. */
static int moved_dim(const Expr *load, const Expr *v)
{
    int found = -1, uses = 0;
    for (int d = 0; d < ex_load_rank(load); d++) {
        bool linear;
        uses += ex_uses(load->a[d], v);
        found = ex_coef(load->a[d], v, &linear) == 1 && linear ? d : found;
    }
    return uses == 1 ? found : -1;
}

/* No variable of the stage has a part in the index of dimension d: v walks it alone, from wherever it begins. */
static bool alone(const Auto *g, const Stage *s, const Expr *load, int d)
{
    bool any = false;
    for (uint8_t v = 0; v < ten(g->te, s->out)->rank; v++)
        any = any || ex_uses(load->a[d], s->var[v]);
    return !any;
}

/* Some variable of the reduction has an even extent and walks a dimension of both operands by itself, so that it can be
 * innermost in memory. Of windows only those along the last dimension are there already. What is packed at run time (an
 * activation with the lanes) need not walk one, and then an odd extent is filled up. */
bool has_pairs(const Auto *g, const Stage *s, const Dot *d)
{
    for (int r = 0; r < s->nr; r++) {
        const Expr *v = s->rvar[r];
        const int xd = moved_dim(d->x, v), wd = moved_dim(d->w, v);
        const bool walks_w = is_constant_load(g, d->w) ? wd >= 0 && d->w->a[wd] == v : index_uses(d->w, v);
        const bool own = xd >= 0 && alone(g, s, d->x, xd), walks_x = own || (xd >= 0 && xd == ex_load_rank(d->x) - 1) || stride_of(g, d->x, v) == 1;
        const int64_t n = ex_is_const(s->rext[r]) ? s->rext[r]->v.i : 0;
        if (walks_x && walks_w && n > 0 && (n % PAIR == 0 || (n > PAIR && own && !is_constant_load(g, d->w))))
            return true;
    }
    return false;
}

bool multiplies_pairs(const Machine *m) { return m->amx || m->dot_bf16 >= 1; }

/* Where both operands go with the lane (depthwise) each is used but a few times, and would have to be widened as often.
 * Between two activations one is packed, which takes but a part of what pairs give. */
static bool product_of(const Auto *g, uint32_t k, Product *p)
{
    const Stage *s = g->te->stage.at[k];
    if (!dot_of(g, k, &p->d) || p->d.lane < 0 || !p->d.group)
        return false;
    if (p->d.x->dt != DT_f32 || p->d.w->dt != DT_f32 || p->d.w->op != EX_load)
        return false;
    const bool pairs = multiplies_pairs(g->m) && is_zero_outside(p->d.x) && has_pairs(g, s, &p->d);
    if (!is_constant_load(g, p->d.w))
        return p->both = pairs && ten(g->te, p->d.w->v.ref)->kind == TEN_stage && may_pack_at_run_time(g, s, p->d.w);
    const bool streams = points_sharing(g, s, p->d.w) <= STREAM_ROWS;
    p->both = !streams && pairs;
    return p->both || streams;
}

/* ---- storage ---- */

static void mark_load(void *ctx, const Expr *e)
{
    const Narrow *n = ctx;
    if (e->op == EX_load || e->op == EX_loadp)
        n->exact[e->v.ref] = true;
}

static bool compares_floats(const Expr *e) { return (e->op == EX_eq || e->op == EX_ne) && dtype_is_float((DType)e->a[0]->dt); }

static void find_compared(void *ctx, const Expr *e)
{
    if (compares_floats(e))
        ex_walk(e, mark_load, ctx);
}

static void choose_storage(Narrow *n, uint32_t t)
{
    Auto *g = n->g;
    const Ten *x = ten(g->te, t);
    const bool itself = layout_free(g, t) && !n->exact[t];
    if (!n->as[t])
        n->as[t] = itself ? t : auto_tensor(g, str_fmt(g->a, "%s.bf16", x->name), TEN_stage, x->rank, x->dim);
    ten(g->te, n->as[t])->dt = DT_bf16;
}

static void make_rounded(const Recipe *r, const char *from, int64_t first, int64_t n, char *out)
{
    (void)r;
    for (int64_t k = 0; k < n; k++) {
        float v;
        memcpy(&v, from + (size_t)(first + k) * sizeof v, sizeof v);
        const uint16_t bits = mlcc_bf16_of_f32(v);
        memcpy(out + (size_t)k * sizeof bits, &bits, sizeof bits);
    }
}

static const Blob *rounded(Auto *g, const Blob *from)
{
    if (from->fill) {
        Blob *b = NEW(g->a, Blob);
        void *one = arena_alloc(g->a, sizeof(uint16_t), sizeof(uint16_t));
        dtype_put_f(DT_bf16, one, blob_f(from, 0));
        *b = (Blob){.dt = DT_bf16, .count = from->count, .fill = true, .data = one};
        return b;
    }
    Recipe *r = NEW(g->a, Recipe);
    *r = (Recipe){.arena = g->a, .from = from, .unit = 1, .make = make_rounded};
    return blob_made(g->a, DT_bf16, from->count, r);
}

/* ---- the stages, rewritten ---- */

static const Expr *read_stored(void *ctx, const Expr *e)
{
    const Narrow *n = ctx;
    if ((e->op != EX_load && e->op != EX_loadp) || e->dt != DT_f32 || n->as[e->v.ref] != e->v.ref)
        return e;
    return ex_cast(n->g->x, DT_f32, auto_load_from(n->g, e, DT_bf16, e->v.ref));
}

static const Expr *narrow_constant(Auto *g, const Expr *load)
{
    const Ten *w = ten(g->te, load->v.ref);
    const uint32_t to = auto_tensor(g, str_fmt(g->a, "%s.bf16", w->name), TEN_const, w->rank, w->dim);
    ten(g->te, to)->dt = DT_bf16;
    ten(g->te, to)->data = rounded(g, w->data);
    return ex_cast(g->x, DT_f32, auto_load_from(g, load, DT_bf16, to));
}

static const Expr *narrow_operand(const Narrow *n, const Expr *load)
{
    return ex_cast(n->g->x, DT_f32, auto_load_from(n->g, load, DT_bf16, n->as[load->v.ref]));
}

static const Expr *product_body(Narrow *n, const Product *p)
{
    Exprs *x = n->g->x;
    const Expr *other = p->both ? narrow_operand(n, p->d.x) : ex_map(x, p->d.x, read_stored, n);
    return ex_mul(x, other, is_constant_load(n->g, p->d.w) ? narrow_constant(n->g, p->d.w) : narrow_operand(n, p->d.w));
}

/* A copy of stage k that reads what is stored as bf16, and makes it. */
static Stage *store_narrow(Narrow *n, uint32_t k)
{
    Auto *g = n->g;
    Stage *s = arena_copy(g->a, g->te->stage.at[k], sizeof *s);
    if (s->body)
        s->body = ex_map(g->x, s->body, read_stored, n);
    if (s->init)
        s->init = ex_map(g->x, s->init, read_stored, n);
    if (s->kind == ST_map && n->as[s->out] == s->out)
        s->body = ex_cast(g->x, DT_bf16, s->body);
    return g->te->stage.at[k] = s;
}

static void narrow_stage(Narrow *n, uint32_t k)
{
    Product p;
    const bool product = product_of(n->g, k, &p);
    Stage *s = store_narrow(n, k);
    if (product)
        s->body = product_body(n, &p);
}

void auto_narrow(Auto *g)
{
    auto_views(g);
    if (multiplies_pairs(g->m))
        auto_flatten(g, PAIR);
    const uint32_t count = g->te->ten.n;
    Narrow n = {.g = g, .exact = NEWN(g->a, bool, count), .as = NEWN(g->a, uint32_t, count)};
    Product p;
    for (uint32_t k = 0; k < g->te->stage.n; k++)
        if (g->body[k])
            ex_walk(g->body[k], find_compared, &n);
    for (uint32_t k = 0; k < g->te->stage.n; k++)
        if (product_of(g, k, &p) && p.both) {
            choose_storage(&n, p.d.x->v.ref);
            if (!is_constant_load(g, p.d.w))
                choose_storage(&n, p.d.w->v.ref);
        }
    for (uint32_t k = 0; k < g->te->stage.n; k++)
        narrow_stage(&n, k);
    for (uint32_t t = 1; t < count; t++)
        if (n.as[t] && n.as[t] != t)
            auto_cast_copy(g, t, n.as[t]);
}

/* ---- what nothing multiplies, once it is known what is stored ---- */

static void magnifies(void *ctx, const Expr *e)
{
    bool *yes = ctx;
    const bool square = e->op == EX_mul && e->a[0] == e->a[1];
    *yes = *yes || square || compares_floats(e) || e->op == EX_exp || e->op == EX_log || e->op == EX_div || e->op == EX_sqrt;
}

/* Sums, products and choices of what t holds; no statistics of rows, no operand of a dot, which would be widened as often as it is
 * read, and no output in another order, which is as fine as the caller's type. */
static bool reads_gently(const Auto *g, uint32_t k, uint32_t t)
{
    Dot d;
    bool harsh = false;
    walk_scheduled(g->s, g->body, k, magnifies, &harsh);
    harsh = harsh || (g->body[k]->op == EX_load && ten(g->te, g->te->stage.at[k]->out)->output >= 0);
    return !harsh && g->s->stage[k].place != PL_at && !(dot_of(g, k, &d) && (d.x->v.ref == t || d.w->v.ref == t));
}

static bool may_store(const Auto *g, uint32_t k)
{
    const Stage *s = g->te->stage.at[k];
    const uint32_t t = s->out;
    if (g->s->stage[k].place != PL_root || (s->kind != ST_map && s->kind != ST_reduce) || ten(g->te, t)->dt != DT_f32)
        return false;
    if (!layout_free(g, t) || g->layout.at[t].within || layout_holds(g, t) || points_of_tensor(g, t) * (int64_t)sizeof(float) <= g->m->l2_bytes / 8)
        return false;
    for (uint32_t q = 0; q < g->nreader[t]; q++)
        if (!reads_gently(g, g->reader[t][q], t))
            return false;
    return true;
}

void auto_narrow_rest(Auto *g)
{
    Narrow n = {.g = g, .as = NEWN(g->a, uint32_t, g->te->ten.n)};
    if (!multiplies_pairs(g->m))
        return;
    for (uint32_t k = 0; k < g->te->stage.n; k++)
        if (may_store(g, k))
            n.as[g->te->stage.at[k]->out] = g->te->stage.at[k]->out;
    for (uint32_t k = 0; k < g->te->stage.n; k++)
        store_narrow(&n, k);
    for (uint32_t t = 1; t < g->te->ten.n; t++)
        if (n.as[t])
            ten(g->te, t)->dt = DT_bf16;
    auto_bodies(g);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Signs of bytes. Some machines multiply unsigned with signed bytes only (VNNI; before it by clipped constants), others bytes of the same sign only (sdot). A
 * tensor of the scheduler's own may be stored with the other sign, 128 less or more, so that contractions become such dots:
 *
 *   sum(k) (x - p)*(w - q)   becomes   sum(k) (x - p)*(w' - (q - 128))       w' = i8(w - 128)
 *
 * and auto_zero.c takes the zero points out, those of 128 with a constant's sum into a constant. Whoever else reads the tensor
 * adds what was taken away. An input of the model, which is as it is, is copied for that.
 */
#include "auto.h"

enum { HALF = 128 };

typedef struct Signs { Auto *g; bool *other; } Signs; /* by tensor: stored with the other sign */

static DType other_sign(DType dt) { return dt == DT_u8 ? DT_i8 : DT_u8; }

static bool may_change(const Auto *g, const Expr *load)
{
    const uint32_t t = load->v.ref;
    return layout_free(g, t) && g->te->stage.at[ten(g->te, t)->stage]->kind == ST_map;
}

static DType stored(const Signs *n, const Expr *load)
{
    return n->other[load->v.ref] ? other_sign((DType)load->dt) : (DType)load->dt;
}

/* Changes the sign of one operand, w rather than x, where dots become half as fast again or more. */
static void choose(Signs *n, const Expr *x, const Expr *w)
{
    const Auto *g = n->g;
    const DType dx = stored(n, x), dw = stored(n, w);
    const bool cx = !n->other[x->v.ref] && may_change(g, x), cw = !n->other[w->v.ref] && may_change(g, w) && w->v.ref != x->v.ref;
    const double enough = 1.5 * byte_dot_rate(g->m, dx, dw);
    const bool one = byte_dot_rate(g->m, dx, other_sign(dw)) > enough;
    n->other[w->v.ref] = n->other[w->v.ref] || (cw && one);
    n->other[x->v.ref] = n->other[x->v.ref] || (cx && !cw && one);
}

/* What none but products read as i8 that may have clipped constants, which are for unsigned bytes (auto_clip.c). */
static void choose_clipped(Signs *n)
{
    const Auto *g = n->g;
    bool *other = NEWN(g->a, bool, g->te->ten.n), *stays = NEWN(g->a, bool, g->te->ten.n);
    Factor x, w;
    Dot d;
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        if (!byte_product(n->g, k, &x, &w, &d))
            continue;
        const bool fits = d.x->dt == DT_i8 && may_change(g, d.x) && may_be_clipped(g, g->te->stage.at[k], &d);
        *(fits ? &other[d.x->v.ref] : &stays[d.x->v.ref]) = true;
        stays[d.w->v.ref] = true;
    }
    for (uint32_t t = 1; t < g->te->ten.n; t++)
        n->other[t] = n->other[t] || (other[t] && !stays[t]);
}

/* ---- inputs of the model ---- */

/* What dots with a constant read as the model takes it, with a sign that makes them less than two thirds as fast. Of one row they wait
 * for the constant. */
static bool is_slow_input(const Auto *g, const Dot *d)
{
    const DType dx = (DType)d->x->dt, dw = (DType)d->w->dt;
    return d->row >= 0 && ten(g->te, d->x->v.ref)->kind == TEN_input && is_constant_load(g, d->w) && byte_dot_rate(g->m, other_sign(dx), dw) > 1.5 * byte_dot_rate(g->m, dx, dw);
}

/* Such an input is read from one copy, for all products. */
static void copy_inputs(Auto *g)
{
    uint32_t *copy = NEWN(g->a, uint32_t, g->te->ten.n);
    Factor x, w;
    Dot d;
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        if (!byte_product(g, k, &x, &w, &d) || !is_slow_input(g, &d))
            continue;
        const uint32_t from = d.x->v.ref;
        if (!copy[from]) {
            copy[from] = auto_copy(g, k, from, NULL, g->te->stage.at[k]->node);
            k++;
            auto_views(g);
        }
        auto_exchange(g, k, d.x, auto_load_from(g, d.x, (DType)d.x->dt, copy[from]));
    }
}

/* ---- the stages, rewritten ---- */

/* What is added to the bytes that are stored. */
static int64_t added(const Expr *load) { return load->dt == DT_u8 ? HALF : -HALF; }

static const Expr *shifted(Exprs *x, DType to, const Expr *e, int64_t by)
{
    return ex_cast(x, to, ex_add(x, ex_cast(x, DT_i32, e), ex_const_i(x, DT_i32, by)));
}

static const Expr *stored_load(Exprs *x, const Expr *e)
{
    const DType dt = other_sign((DType)e->dt);
    if (e->op == EX_load)
        return ex_load(x, dt, e->v.ref, e->n, e->a);
    const uint16_t rank = (uint16_t)(e->n - 1);
    return ex_loadp(x, dt, e->v.ref, rank, e->a, shifted(x, dt, e->a[rank], -added(e)));
}

static const Expr *read_stored(void *ctx, const Expr *e)
{
    const Signs *n = ctx;
    if ((e->op != EX_load && e->op != EX_loadp) || !n->other[e->v.ref])
        return e;
    return shifted(n->g->x, (DType)e->dt, stored_load(n->g->x, e), added(e));
}

/* The factor of a contraction with a zero point for what is stored. */
static const Expr *factor_stored(const Signs *n, const Factor *f)
{
    Exprs *x = n->g->x;
    const bool other = n->other[f->load->v.ref];
    const Expr *zero = f->zero, *byte = ex_cast(x, DT_i32, other ? stored_load(x, f->load) : f->load);
    if (other) {
        const Expr *half = ex_const_i(x, DT_i32, added(f->load));
        zero = zero ? ex_sub(x, zero, half) : ex_const_i(x, DT_i32, -added(f->load));
    }
    return zero ? ex_sub(x, byte, zero) : byte;
}

static const Expr *body_stored(Signs *n, uint32_t k)
{
    Auto *g = n->g;
    const Stage *s = g->te->stage.at[k];
    Factor x, w;
    Dot d;
    if (byte_product(g, k, &x, &w, &d))
        return ex_mul(g->x, factor_stored(n, &x), factor_stored(n, &w));
    const Expr *e = s->body ? ex_map(g->x, s->body, read_stored, n) : NULL;
    return s->kind == ST_map && n->other[s->out] ? shifted(g->x, other_sign((DType)e->dt), e, e->dt == DT_u8 ? -HALF : HALF) : e;
}

static void rewrite(Signs *n, uint32_t k)
{
    Auto *g = n->g;
    Stage *s = arena_copy(g->a, g->te->stage.at[k], sizeof *s);
    s->body = body_stored(n, k);
    s->init = s->init ? ex_map(g->x, s->init, read_stored, n) : NULL;
    for (uint8_t d = 0; s->kind == ST_scatter && d < ten(g->te, s->out)->rank; d++)
        s->at[d] = ex_map(g->x, s->at[d], read_stored, n);
    g->te->stage.at[k] = s;
}

void auto_sign(Auto *g)
{
    Factor x, w;
    Dot d;
    bool any = false;
    if (g->m->amx || (g->m->dot_us8 < 1 && g->m->dot_ss8 < 1 && g->m->dot_clip8 <= 0)) /* a matrix unit takes all signs */
        return;
    auto_views(g);
    copy_inputs(g);
    auto_views(g);
    Signs n = {g, NEWN(g->a, bool, g->te->ten.n)};
    for (uint32_t k = 0; k < g->te->stage.n; k++)
        if (byte_product(g, k, &x, &w, &d))
            choose(&n, d.x, d.w);
    choose_clipped(&n);
    for (uint32_t t = 1; t < g->te->ten.n; t++)
        any = any || n.other[t];
    for (uint32_t k = 0; any && k < g->te->stage.n; k++)
        rewrite(&n, k);
    for (uint32_t t = 1; t < g->te->ten.n; t++)
        if (n.other[t]) {
            ten(g->te, t)->dt = other_sign(ten(g->te, t)->dt);
            g->pinned.at[t] = false; /* a copy, which is none any more */
        }
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes as numbers of 16 bits: x86 before VNNI has no dot of bytes that is exact, but one of pairs of 16 bits (pmaddwd), and a dot of
 * four bytes made of two of those spends as much again on taking bytes apart, for each row and vector. So
 *
 *   y[m,n] = sum(k) i32(x[m,k])*i32(w[k,n])   becomes   y[m,n] = sum(k) i32(x'[m,k])*i32(w[k,n])      x' i16, w a constant of bytes
 *
 * and a product of two activations has both in 16 bits. As in auto_narrow.c a tensor of the scheduler's own is stored so itself, and
 * whoever else reads it reads the same numbers; of a tensor that must keep its type products get a copy. Exact: the sum of a pair has
 * 18 bits at most. A model whose constants the second-level cache keeps is one for small memories, where bytes stay bytes, and one row waits
 * for its constant.
 */
#include "auto.h"

typedef struct Words {
    Auto *g;
    uint32_t *as;    /* by tensor: what pairs are read from; the tensor itself where it is stored in 16 bits; 0: not wanted */
    bool *bytes;     /* by tensor: a product reads it as bytes (auto_clip.c) */
} Words;

/* ---- which contractions ---- */

bool multiplies_words(const Auto *g, DType x, DType w)
{
    return !g->m->amx && 2 * g->m->dot_i16 > 4 * byte_dot_rate(g->m, x, w) && may_store_words(g);
}

bool may_store_words(const Auto *g) { return !g->te->cx->small && all_constants(g) > g->m->l2_bytes; }

static bool is_product_of_bytes(const Auto *g, uint32_t k, Dot *d)
{
    if (is_clipped(g, g->te->stage.at[k]) || !dot_of(g, k, d) || d->lane < 0 || d->row < 0 || !d->group || !dtype_is_byte((DType)d->x->dt) || !dtype_is_byte((DType)d->w->dt) || d->w->op != EX_load)
        return false;
    return multiplies_words(g, (DType)d->x->dt, (DType)d->w->dt);
}

static bool product_of(const Auto *g, uint32_t k, Dot *d)
{
    const Stage *s = g->te->stage.at[k];
    if (!is_product_of_bytes(g, k, d) || !has_pairs(g, s, d))
        return false;
    if (is_constant_load(g, d->w))
        return !ten(g->te, d->w->v.ref)->data->fill;
    return ten(g->te, d->w->v.ref)->kind == TEN_stage && may_pack_at_run_time(g, s, d->w);
}

/* ---- storage ---- */

static void choose_storage(Words *n, uint32_t t)
{
    Auto *g = n->g;
    const Ten *x = ten(g->te, t);
    if (n->as[t])
        return;
    n->as[t] = layout_free(g, t) && !n->bytes[t] ? t : auto_tensor(g, str_fmt(g->a, "%s.words", x->name), TEN_stage, x->rank, x->dim);
}

/* ---- the stages, rewritten ---- */

/* e: the byte that a number of 16 bits is. */
static bool is_stored(const Words *n, const Expr *e)
{
    const Expr *load = e->op == EX_cast && (e->a[0]->op == EX_load || e->a[0]->op == EX_loadp) ? e->a[0] : NULL;
    return load && load->dt == DT_i16 && n->as[load->v.ref] == load->v.ref && e->dt == ten(n->g->te, load->v.ref)->dt;
}

/* The number itself where what reads it is no byte either. */
static const Expr *read_stored(void *ctx, const Expr *e)
{
    const Words *n = ctx;
    if ((e->op == EX_load || e->op == EX_loadp) && dtype_is_byte((DType)e->dt) && n->as[e->v.ref] == e->v.ref)
        return ex_cast(n->g->x, (DType)e->dt, auto_load_from(n->g, e, DT_i16, e->v.ref));
    if (e->op == EX_cast && is_stored(n, e->a[0]))
        return ex_cast(n->g->x, (DType)e->dt, e->a[0]->a[0]);
    return e;
}

/* Bytes of a constant are widened as they are loaded, which all rows of a tile share. */
static const Expr *factor(const Words *n, const Expr *load)
{
    Exprs *x = n->g->x;
    return ex_cast(x, DT_i32, is_constant_load(n->g, load) ? load : auto_load_from(n->g, load, DT_i16, n->as[load->v.ref]));
}

static void store_words(Words *n, uint32_t k)
{
    Auto *g = n->g;
    Dot d;
    const bool product = product_of(g, k, &d);
    Stage *s = arena_copy(g->a, g->te->stage.at[k], sizeof *s);
    if (product)
        s->body = ex_mul(g->x, factor(n, d.x), factor(n, d.w));
    else if (s->body)
        s->body = ex_map(g->x, s->body, read_stored, n);
    if (s->init)
        s->init = ex_map(g->x, s->init, read_stored, n);
    for (uint8_t q = 0; s->kind == ST_scatter && q < ten(g->te, s->out)->rank; q++)
        s->at[q] = ex_map(g->x, s->at[q], read_stored, n);
    if (s->kind == ST_map && n->as[s->out] == s->out)
        s->body = ex_cast(g->x, DT_i16, s->body);
    g->te->stage.at[k] = s;
}

/* The operand of a window over few channels, whose steps are no pairs, as rows; of an input as rows of a copy. */
static uint32_t insert_rows(Auto *g, uint32_t k, Dot *d)
{
    uint32_t added = 0;
    if (ten(g->te, d->x->v.ref)->kind == TEN_input) {
        const uint32_t copy = auto_copy(g, k, d->x->v.ref, NULL, g->te->stage.at[k]->node);
        g->layout.at[copy] = (Layout){0}; /* stored as rows are made of it */
        auto_views(g);
        auto_exchange(g, k + ++added, d->x, auto_load_from(g, d->x, (DType)d->x->dt, copy));
        auto_views(g);
        (void)dot_of(g, k + added, d);
    }
    const Layout last = layout_channels_last(g, d->x->v.ref, channel_dim(g, g->te->stage.at[k + added], d));
    return added + auto_rows(g, k + added, d, &last);
}

static void make_rows(Auto *g)
{
    Dot d;
    auto_views(g);
    for (uint32_t k = 0; k < g->te->stage.n; k++)
        if (is_product_of_bytes(g, k, &d) && g->te->stage.at[k]->nr > 1 && !has_pairs(g, g->te->stage.at[k], &d))
            k += insert_rows(g, k, &d);
}

void auto_words(Auto *g)
{
    Dot d;
    make_rows(g);
    const uint32_t count = g->te->ten.n;
    Words n = {.g = g, .as = NEWN(g->a, uint32_t, count), .bytes = NEWN(g->a, bool, count)};
    for (uint32_t k = 0; k < g->te->stage.n; k++)
        if (is_clipped(g, g->te->stage.at[k]) && dot_of(g, k, &d))
            n.bytes[d.x->v.ref] = true;
    for (uint32_t k = 0; k < g->te->stage.n; k++)
        if (product_of(g, k, &d)) {
            choose_storage(&n, d.x->v.ref);
            if (!is_constant_load(g, d.w))
                choose_storage(&n, d.w->v.ref);
        }
    for (uint32_t k = 0; k < g->te->stage.n; k++)
        store_words(&n, k);
    for (uint32_t t = 1; t < count; t++)
        if (n.as[t]) {
            ten(g->te, n.as[t])->dt = DT_i16;
            if (n.as[t] != t)
                auto_cast_copy(g, t, n.as[t]);
        }
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Operands of contractions in the form that register tiles want: a lane variable with stride one in the constant (packed
 * in blocks of a tile's lanes, in the order of the reduction) or, between two activations, in a transposed copy; the
 * reduced dimension of the other operand innermost (channels last); a halo where reads are padded. Layouts are wishes
 * recorded per tensor; copies are stages of their own, made only where the tensor itself cannot have the layout.
 */
#include "auto.h"

/* ---- the reduction ---- */

/* Whether a window moves along the index of x: by a variable of what is made, but for lanes and what w follows, too. */
static bool moves_window(const Auto *g, const Stage *s, const Dot *d, const Expr *index)
{
    bool yes = false;
    for (uint8_t v = 0; v < ten(g->te, s->out)->rank; v++)
        yes = yes || (v != d->lane && ex_uses(index, s->var[v]) && !index_uses(d->w, s->var[v]));
    return yes;
}

/* Whether lanes walk along the index of x. */
static bool moves_lanes(const Stage *s, const Dot *d, const Expr *index)
{
    bool linear;
    return d->lane >= 0 && ex_coef(index, s->var[d->lane], &linear) != 0 && linear;
}

/* Reduction order: window positions outside, the variable that walks memory in x innermost, unless lanes do. */
static void order_reduction(Auto *g, uint32_t k, const Dot *d)
{
    const Stage *old = g->te->stage.at[k];
    Stage *s = auto_replace(g, k, old->body);
    int inner = -1;
    for (uint8_t q = 0; q < s->nr; q++) {
        bool window = ex_is_int(s->rext[q], 1);
        for (uint16_t e = 0; e < d->x->n; e++)
            window = window || (ex_uses(d->x->a[e], s->rvar[q]) && (moves_window(g, s, d, d->x->a[e]) || moves_lanes(s, d, d->x->a[e])));
        if (!window && !ex_is_int(s->rext[q], 1))
            inner = q;
    }
    if (inner < 0)
        return;
    const Expr *v = s->rvar[inner], *e = s->rext[inner];
    for (int q = inner; q + 1 < s->nr; q++) {
        s->rvar[q] = s->rvar[q + 1];
        s->rext[q] = s->rext[q + 1];
    }
    s->rvar[s->nr - 1] = v;
    s->rext[s->nr - 1] = e;
}

static const Expr *add_digit(Auto *g, Stage *s, const char *name, int64_t extent)
{
    s->rext[s->nr] = ex_int(g->x, extent);
    s->rvar[s->nr] = ex_index(g->x, name, s->rext[s->nr]);
    return s->rvar[s->nr++];
}

/* A dot of quads, pairs or twins: the innermost reduction variable k becomes 4*k + q; x is padded where four do not divide its extent. Quads of clipped
 * constants go two by two, 8*k + 4*h + q. */
static void split_reduction(Auto *g, uint32_t k, const Dot *d)
{
    const uint8_t last = (uint8_t)(g->te->stage.at[k]->nr - 1);
    const int64_t n = g->te->stage.at[k]->rext[last]->v.i;
    if (n % d->quad && d->x->op == EX_load)
        auto_exchange(g, k, d->x, ex_loadp(g->x, (DType)d->x->dt, d->x->v.ref, d->x->n, d->x->a, ex_num(g->x, (DType)d->x->dt, 0)));
    Stage *s = auto_replace(g, k, g->body[k]);
    const int64_t side = is_clipped(g, s) ? TWIN : 1, all = side * d->quad;
    const Expr *k_all = s->rvar[last];
    s->nr = last;
    const Expr *step = ex_mul(g->x, add_digit(g, s, ex_var_info(g->x, k_all)->name, (n + all - 1) / all), ex_int(g->x, all));
    if (side > 1)
        step = ex_add(g->x, step, ex_mul(g->x, add_digit(g, s, "h", side), ex_int(g->x, d->quad)));
    const Subst sub = {k_all, ex_add(g->x, step, add_digit(g, s, "q", d->quad))};
    s->body = ex_subst(g->x, s->body, &sub, 1);
    g->body[k] = s->body;
}

/* ---- the operands ---- */

int channel_dim(const Auto *g, const Stage *s, const Dot *d)
{
    const Ten *t = ten(g->te, d->x->v.ref);
    int best = -1;
    for (uint8_t q = 0; q < t->rank; q++) {
        bool lane = d->lane >= 0 && ex_uses(d->x->a[q], s->var[d->lane]);
        for (uint8_t r = 0; r < s->nr; r++)
            lane = lane || ex_uses(d->x->a[q], s->rvar[r]);
        if (lane && !moves_window(g, s, d, d->x->a[q]) && (best < 0 || extent_of(g, t->dim[q]) >= extent_of(g, t->dim[best])))
            best = q;
    }
    return best;
}

static double fill_of(const Expr *loadp)
{
    const Expr *fill = loadp->a[loadp->n - 1];
    return dtype_is_float((DType)fill->dt) ? fill->v.f : (double)fill->v.i;
}

static int64_t elements_of(const Auto *g, uint32_t t, const Layout *l)
{
    const Ten *n = ten(g->te, t);
    int64_t count = 1;
    for (uint8_t d = 0; d < n->rank; d++)
        count *= extent_of(g, n->dim[d]) + (l ? l->lo[d] + l->hi[d] : 0);
    return count;
}

/* Where guards cost little, between vectors of channels, a halo must not decide how much memory the program needs: it is
 * small, or the tensor with it no larger than the largest one without. */
static bool affordable(const Auto *g, const Dot *d, const Layout *want)
{
    const uint32_t x = d->x->v.ref;
    const int64_t plain = elements_of(g, x, NULL), padded = elements_of(g, x, want);
    int64_t most = 0;
    for (uint32_t t = 1; t < g->te->ten.n; t++)
        if (ten(g->te, t)->kind == TEN_stage && dtype_is_byte(ten(g->te, t)->dt))
            most = max_i64(most, elements_of(g, t, NULL));
    return !dtype_is_byte((DType)d->x->dt) || d->group || padded <= plain + plain / 4 || padded <= most;
}

/* The layout that x should have, by itself or by a copy in front of the stage. Returns the number of stages added. */
static uint32_t prepare_x(Auto *g, uint32_t k, const Dot *d)
{
    const Stage *s = g->te->stage.at[k];
    const uint32_t t = d->x->v.ref;
    const Ten *n = ten(g->te, t);
    if (s->nr && stride_of(g, d->x, s->rvar[s->nr - 1]) == 1)
        return 0;
    if (g->rows.at[t] || dots_lanes(d)) /* made as it should be */
        return 0;
    const int c = channel_dim(g, s, d);
    const Layout last = layout_channels_last(g, t, c);
    Layout want = last;
    if (d->x->op == EX_loadp && ex_is_const(d->x->a[n->rank]) && layout_may_pad(g, t, fill_of(d->x)))
        layout_want_halo(g, d->x, &want);
    if (!affordable(g, d, &want))
        want = last;
    want.pad = layout_has_halo(&want, n->rank) ? fill_of(d->x) : g->layout.at[t].pad;
    if (layout_is_plain(&want, n->rank))
        return 0;
    if (layout_free(g, t)) {
        layout_merge(g, t, &want);
        return 0;
    }
    const uint32_t copy = auto_copy(g, k, t, NULL, s->node);
    layout_merge(g, copy, &want);
    const Expr *load = d->x->op == EX_load ? ex_load(g->x, n->dt, copy, n->rank, d->x->a) : ex_loadp(g->x, n->dt, copy, n->rank, d->x->a, d->x->a[n->rank]);
    auto_views(g);
    auto_exchange(g, k + 1, d->x, load);
    return 1;
}

/* Between activations: the operand with the lane variable gets it innermost, in a transposed copy when it has not, unless rows are few. */
static uint32_t transpose_activation(Auto *g, uint32_t k, const Dot *d)
{
    const Stage *s = g->te->stage.at[k];
    const Ten *n = ten(g->te, d->w->v.ref);
    const int dim = d->lane >= 0 ? dim_of(d->w, s->var[d->lane]) : -1;
    if (dim < 0 || dim == n->rank - 1 || d->w->op != EX_load || is_folded(g, s, d))
        return 0;
    uint8_t perm[MAX_RANK], at = 0;
    const Expr *index[MAX_RANK];
    for (uint8_t q = 0; q < n->rank; q++)
        if (q != dim)
            perm[at++] = q;
    perm[at] = (uint8_t)dim;
    const uint32_t copy = auto_copy(g, k, d->w->v.ref, perm, s->node);
    for (uint8_t q = 0; q < n->rank; q++)
        index[q] = d->w->a[perm[q]];
    auto_views(g);
    auto_exchange(g, k + 1, d->w, ex_load(g->x, n->dt, copy, n->rank, index));
    return 1;
}

/* The same for dots of groups, in blocks of lanes. */
static uint32_t pack_activation(Auto *g, uint32_t k, const Dot *d)
{
    const Expr *packed;
    const uint32_t added = auto_pack(g, k, d, &packed);
    auto_views(g);
    auto_exchange(g, k + added, d->w, packed);
    return added;
}

static uint32_t prepare_w(Auto *g, uint32_t k, const Dot *d)
{
    if (g->panel.at[d->w->v.ref])
        return 0;
    if (!is_constant_load(g, d->w))
        return d->quad > 1 ? pack_activation(g, k, d) : transpose_activation(g, k, d);
    const Expr *packed = auto_constant(g, k, d);
    const int lines = dot_lines(d);
    for (int q = 0; packed && q < lines; q++)
        auto_exchange(g, k, lines == 1 ? d->w : constant_line(g, d->w, q), lines == 1 ? packed : constant_line(g, packed, q));
    return 0;
}

/* Outputs of contractions, and maps between channels-last tensors, follow: lanes innermost. */
static void want_output(Auto *g, uint32_t k, const Dot *d)
{
    const uint32_t t = g->te->stage.at[k]->out;
    const uint8_t rank = ten(g->te, t)->rank;
    if (d->lane >= 0 && rank >= 3 && layout_free(g, t) && !g->layout.at[t].set)
        layout_innermost(&g->layout.at[t], rank, d->lane);
}

/* The form of contraction k, one step after the other: each looks at what the last has left. Returns the number of stages added. */
static uint32_t prepare_dot(Auto *g, uint32_t k, Dot *d)
{
    const uint32_t first = k;
    const Stage *s = g->te->stage.at[k];
    g->lane.at[s->out] = d->lane >= 0 ? s->var[d->lane] : NULL;
    order_reduction(g, k, d);
    (void)dot_of(g, k, d);
    const Layout last = layout_channels_last(g, d->x->v.ref, channel_dim(g, g->te->stage.at[k], d));
    k += dots_lanes(d) ? 0 : auto_rows(g, k, d, &last);
    (void)dot_of(g, k, d);
    g->twins.at[g->te->stage.at[k]->out] = takes_twins(g, g->te->stage.at[k], d);
    (void)dot_of(g, k, d);
    if (d->quad > 1 && !dots_lanes(d))
        split_reduction(g, k, d);
    (void)dot_of(g, k, d);
    k += prepare_x(g, k, d);
    (void)dot_of(g, k, d);
    (void)auto_matrix(g, k, d);
    k += prepare_w(g, k, d);
    want_output(g, k, d);
    return k - first;
}

void auto_prepare(Auto *g)
{
    if (g->m->lanes_f32 > 1 && !g->te->cx->small)
        auto_outputs_apart(g);
    auto_views(g);
    if (g->te->cx->fp == FP_fast)
        auto_winograd(g);
    if (g->m->lanes_f32 > 1)
        auto_picture(g);
    if (g->m->lanes_f32 > 1 && !g->te->cx->small) {
        auto_fuse(g);
        auto_phases(g);
        auto_split(g);
        auto_strassen(g);
        auto_thirds(g);
    }
    if (g->m->lanes_f32 > 1)
        auto_slim(g);
    g->constants = all_constants(g);
    g->outgrown = g->constants > g->m->l2_bytes;
    for (uint32_t k = 0; k < g->te->stage.n && g->m->lanes_f32 > 1; k++) {
        Dot d;
        if (dot_of(g, k, &d))
            k += prepare_dot(g, k, &d);
    }
    for (uint32_t k = 0; k < g->te->stage.n && g->m->lanes_f32 > 1 && !g->te->cx->small; k++)
        k += auto_windows(g, k);
    auto_drop_unread(g);
    auto_views(g);
    if (g->m->lanes_f32 < 2)
        auto_scalar(g);
    layout_parts(g);
    layout_follow(g);
}

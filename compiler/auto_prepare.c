/* SPDX-License-Identifier: Apache-2.0
 *
 * Operands of contractions in the form that register tiles want: a lane variable with stride one in the constant (packed
 * in blocks of a tile's lanes, in the order of the reduction) or, between two activations, in a transposed copy; the
 * reduced dimension of the other operand innermost (channels last); a halo where reads are padded. Layouts are wishes
 * recorded per tensor; copies are stages of their own, made only where the tensor itself cannot have the layout.
 */
#include "auto.h"

enum { QUAD = 4, PAIR = 2 };

static bool is_byte_type(DType dt) { return dt == DT_i8 || dt == DT_u8; }
static bool is_byte(const Expr *load) { return is_byte_type((DType)load->dt); }

/* The load behind a factor; NULL: it is something else. */
static const Expr *factor_load(const Expr *e)
{
    const bool wide = e->op == EX_cast && (e->dt == DT_i32 || e->dt == DT_f32);
    const Expr *load = wide ? e->a[0] : e;
    const bool fits = wide ? (e->dt == DT_i32 ? is_byte(load) : load->dt == DT_bf16) : e->dt == DT_f32;
    return fits && (load->op == EX_load || load->op == EX_loadp) ? load : NULL;
}

/* The lane variable is an index variable that the second operand has and the first has not (columns of a product, output
 * channels); failing that one that both have (depthwise). The longest counts. */
static int choose_lane(const Auto *g, const Stage *s, const Expr *x, const Expr *w)
{
    const Ten *t = ten(g->te, s->out);
    int best = -1;
    for (int both = 0; both < 2 && best < 0; both++)
        for (uint8_t v = 0; v < t->rank; v++) {
            const bool fits = index_uses(w, s->var[v]) && index_uses(x, s->var[v]) == (both == 1);
            if (fits && (best < 0 || extent_of(g, t->dim[v]) >= extent_of(g, t->dim[best])))
                best = v;
        }
    return best;
}

static int choose_row(const Auto *g, const Stage *s, const Expr *x, int lane)
{
    int best = -1;
    const Ten *t = ten(g->te, s->out);
    for (uint8_t v = 0; v < t->rank; v++)
        if (v != lane && index_uses(x, s->var[v]) && !ex_is_int(t->dim[v], 1))
            best = v;
    return best;
}

typedef struct Group { Exprs *x; const Expr *var, *quotient; } Group;

static void find_quotient(void *ctx, const Expr *e)
{
    Group *f = ctx;
    if (e->op == EX_fdiv && e->a[0] == f->var && ex_is_const(e->a[1]))
        f->quotient = e;
}

/* k when x depends on the lane variable as fdiv(lane, k) alone; all lanes when it does not at all, 0 otherwise. */
static int64_t group_of(const Auto *g, const Expr *x, const Expr *var, int64_t lanes)
{
    Group f = {.x = g->x, .var = var};
    ex_walk(x, find_quotient, &f);
    if (!f.quotient)
        return index_uses(x, var) ? 0 : lanes;
    const Subst s = {f.quotient, ex_int(g->x, 0)};
    const int64_t k = f.quotient->a[1]->v.i;
    return lanes % k || ex_uses(ex_subst(g->x, x, &s, 1), var) ? 0 : k;
}

/* Whether v indexes a dimension of the load that no variable of the stage shares, as the window's do. */
static bool walks_alone(const Auto *g, const Stage *s, const Expr *load, const Expr *v)
{
    for (uint8_t d = 0; d < ten(g->te, load->v.ref)->rank; d++) {
        bool shared = false;
        for (uint8_t q = 0; q < ten(g->te, s->out)->rank; q++)
            shared = shared || ex_uses(load->a[d], s->var[q]);
        if (ex_uses(load->a[d], v))
            return !shared;
    }
    return false;
}

/* Whether v alone moves the last dimension of the load, one element a step: side by side as they are. */
static bool walks_last(const Auto *g, const Expr *load, const Expr *v)
{
    const int last = ten(g->te, load->v.ref)->rank - 1;
    bool linear;
    const Layout *l = &g->layout.at[load->v.ref];
    return last >= 0 && (!l->set || l->order[last] == last) && ex_coef(load->a[last], v, &linear) == 1 && linear;
}

/* Whether both operands are narrow, and w a constant or worth packing at run time. */
static bool has_groups(const Auto *g, const Stage *s, const Dot *d)
{
    const bool narrow = (is_byte(d->x) && is_byte(d->w)) || (d->x->dt == DT_bf16 && d->w->dt == DT_bf16);
    if (!narrow || !d->group || d->lane < 0 || s->nr == 0 || !ex_is_const(s->rext[s->nr - 1]) || !ex_is_const(ten(g->te, s->out)->dim[d->lane]))
        return false;
    if (!is_constant_load(g, d->w))
        return may_pack_at_run_time(g, s, d->w);
    return d->w->op == EX_load && !ten(g->te, d->w->v.ref)->data->fill;
}

/* Steps of the innermost reduction variable that one dot takes: four bytes or two bf16 side by side in x. It may be split
 * already: then its last part has that extent. Where x walks a dimension of its own it may be padded (three colours). */
static int64_t quad_of(const Auto *g, const Stage *s, const Dot *d)
{
    if (!has_groups(g, s, d))
        return 1;
    const Expr *v = s->rvar[s->nr - 1];
    const int64_t size = is_byte(d->x) ? QUAD : PAIR, n = s->rext[s->nr - 1]->v.i;
    const bool alone = walks_alone(g, s, d->x, v), pads = alone && is_byte(d->x) && n >= QUAD - 1;
    const bool beside = alone || walks_last(g, d->x, v) || stride_of(g, d->x, v) == 1;
    return index_uses(d->w, v) && beside && (n % size == 0 || pads) ? size : 1;
}

/* How much rather an operand is w than x: factors have no order of their own. What is padded must be x. */
static int serves_lanes(const Auto *g, const Expr *load)
{
    return is_constant_load(g, load) ? 3 : g->packed.at[load->v.ref] ? 2 : load->dt == DT_f32 || load->op == EX_load;
}

bool dot_of(const Auto *g, uint32_t k, Dot *d)
{
    const Stage *s = g->te->stage.at[k];
    const Expr *b = s->body ? g->body[k] : NULL;
    if (s->kind != ST_reduce || s->op != RED_sum || b->op != EX_mul || b->a[0] == b->a[1] || !factor_load(b->a[0]) || !factor_load(b->a[1]))
        return false;
    d->x = factor_load(b->a[0]);
    d->w = factor_load(b->a[1]);
    if (serves_lanes(g, d->x) > serves_lanes(g, d->w)) {
        d->w = factor_load(b->a[0]);
        d->x = factor_load(b->a[1]);
    }
    d->lane = choose_lane(g, s, d->x, d->w);
    if (d->lane < 0 && !is_constant_load(g, d->w)) { /* perhaps the other way round */
        const Expr *t = d->x;
        d->x = d->w;
        d->w = t;
        d->lane = choose_lane(g, s, d->x, d->w);
    }
    d->row = choose_row(g, s, d->x, d->lane);
    d->group = d->lane >= 0 ? group_of(g, d->x, s->var[d->lane], extent_of(g, ten(g->te, s->out)->dim[d->lane])) : 0;
    d->quad = quad_of(g, s, d);
    return true;
}

/* ---- new tensors and stages ---- */

uint32_t auto_tensor(Auto *g, const char *name, TenKind kind, uint8_t rank, const Expr *const *dim)
{
    const uint32_t t = te_tensor(g->te, name, DT_f32, kind, rank, dim);
    PUSH(g->a, &g->pinned, kind == TEN_stage);
    PUSH(g->a, &g->layout, ((Layout){0}));
    PUSH(g->a, &g->packed, false);
    PUSH(g->a, &g->matrix, NULL);
    PUSH(g->a, &g->rows, 0);
    return t;
}

/* Puts a map stage before stage k and renumbers. */
void auto_insert(Auto *g, uint32_t k, Stage *s)
{
    PUSH(g->a, &g->te->stage, s);
    for (uint32_t q = g->te->stage.n - 1; q > k; q--)
        g->te->stage.at[q] = g->te->stage.at[q - 1];
    g->te->stage.at[k] = s;
    for (uint32_t q = 0; q < g->te->stage.n; q++)
        for (uint8_t o = 0; o < max_i64(g->te->stage.at[q]->nout, 1); o++)
            ten(g->te, g->te->stage.at[q]->kind == ST_call ? g->te->stage.at[q]->outs[o] : g->te->stage.at[q]->out)->stage = q;
}

/* Stage k with another body (and reduction order): stages are never changed, so it is a new one. */
static Stage *replace_stage(Auto *g, uint32_t k, const Expr *body)
{
    Stage *s = NEW(g->a, Stage);
    *s = *g->te->stage.at[k];
    s->body = body;
    return g->te->stage.at[k] = s;
}

typedef struct Swap { Exprs *x; const Expr *from, *to; } Swap;

static const Expr *swap_load(void *ctx, const Expr *e)
{
    const Swap *s = ctx;
    return e == s->from ? s->to : e;
}

static void exchange_operand(Auto *g, uint32_t k, const Expr *from, const Expr *to)
{
    Swap s = {g->x, from, to};
    (void)replace_stage(g, k, ex_map(g->x, g->body[k], swap_load, &s));
    g->body[k] = g->te->stage.at[k]->body;
}

/* ---- constants ---- */

/* Whether the lane variable indexes one dimension alone. */
static bool lane_apart(const Expr *w, const Expr *lane, int lane_dim)
{
    for (uint16_t d = 0; d < w->n; d++)
        if (d != lane_dim && ex_uses(w->a[d], lane))
            return false;
    return true;
}

/* Dimensions of the constant in storage order: what the reduction does not walk, then the reduction's, lanes left out. */
static uint8_t storage_order(const Stage *s, const Expr *load, uint8_t rank, int lane_dim, uint8_t *order)
{
    uint8_t n = 0;
    bool reduced[MAX_RANK] = {false};
    for (uint8_t q = 0; q < s->nr; q++)
        if (index_uses(load, s->rvar[q]))
            reduced[dim_using(load, s->rvar[q])] = true;
    for (uint8_t q = 0; q < rank; q++)
        if (q != lane_dim && !reduced[q])
            order[n++] = q;
    for (uint8_t q = 0; q < s->nr; q++) {
        const int d = dim_using(load, s->rvar[q]);
        if (d >= 0 && reduced[d])
            order[n++] = (uint8_t)d;
        if (d >= 0)
            reduced[d] = false; /* the parts of a split variable share one */
    }
    return n;
}

/* -Os: what other stages read as it is would be stored twice. */
static bool may_pack(const Auto *g, const Dot *d) { return !g->te->cx->small || g->nreader[d->w->v.ref] == 1; }

static void pack_constant(Auto *g, uint32_t k, const Dot *d)
{
    const Stage *s = g->te->stage.at[k];
    const Ten *w = ten(g->te, d->w->v.ref);
    const int lane_dim = d->lane >= 0 ? dim_of(d->w, s->var[d->lane]) : -1;
    if (w->data->fill || !may_pack(g, d) || d->w->op != EX_load || lane_dim < 0 || !ex_is_const(ten(g->te, s->out)->dim[d->lane]) || w->rank + 3 > MAX_RANK || !lane_apart(d->w, s->var[d->lane], lane_dim))
        return;
    const int64_t n = w->dim[lane_dim]->v.i, group = d->group ? d->group : n, block = min_i64(lanes_per_tile(g, d, k), group);
    const Expr *lane = s->var[d->lane], *size = ex_int(g->x, group), *in_group = ex_mod(g->x, lane, size);
    Packing p = {.w = w, .lane_dim = lane_dim, .group = group, .block = block, .quad = d->quad};
    p.no = storage_order(s, d->w, w->rank, lane_dim, p.order);
    const Expr *dim[MAX_RANK], *index[MAX_RANK], *quad = ex_int(g->x, d->quad);
    uint8_t rank = 0;
    dim[rank] = ex_int(g->x, n / group);
    index[rank++] = ex_fdiv(g->x, lane, size);
    dim[rank] = ex_int(g->x, (group + block - 1) / block);
    index[rank++] = ex_fdiv(g->x, in_group, ex_int(g->x, block));
    for (int q = 0; q < p.no; q++) {
        const Expr *at = d->w->a[p.order[q]];
        dim[rank] = ex_int(g->x, packed_extent(&p, q));
        index[rank++] = q == p.no - 1 ? ex_fdiv(g->x, at, quad) : at;
    }
    dim[rank] = ex_int(g->x, block);
    index[rank++] = ex_mod(g->x, in_group, ex_int(g->x, block));
    if (d->quad > 1) {
        dim[rank] = quad;
        index[rank++] = ex_mod(g->x, d->w->a[p.order[p.no - 1]], quad);
    }
    const uint32_t t = auto_tensor(g, str_fmt(g->a, "%s.packed%u", w->name, g->te->ten.n), TEN_const, rank, dim);
    ten(g->te, t)->dt = w->dt;
    ten(g->te, t)->data = auto_constant(g->a, &p);
    exchange_operand(g, k, d->w, ex_load(g->x, w->dt, t, rank, index));
}

/* Reduction order: window positions outside, the variable that walks memory in x innermost. */
static void order_reduction(Auto *g, uint32_t k, const Dot *d)
{
    const Stage *old = g->te->stage.at[k];
    const uint8_t rank = ten(g->te, old->out)->rank;
    Stage *s = replace_stage(g, k, old->body);
    int inner = -1;
    for (uint8_t q = 0; q < s->nr; q++) {
        bool window = ex_is_int(s->rext[q], 1);
        for (uint16_t e = 0; e < d->x->n; e++)
            for (uint8_t v = 0; v < rank; v++)
                window = window || (ex_uses(d->x->a[e], s->rvar[q]) && v != d->lane && ex_uses(d->x->a[e], s->var[v]));
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

/* A dot of quads: the innermost reduction variable k becomes 4*k + q; x is padded where four do not divide its extent. */
static void split_reduction(Auto *g, uint32_t k, const Dot *d)
{
    Stage *s = replace_stage(g, k, g->body[k]);
    const uint8_t last = (uint8_t)(s->nr - 1);
    const int64_t n = s->rext[last]->v.i;
    const Expr *size = ex_int(g->x, d->quad), *extent = ex_int(g->x, (n + d->quad - 1) / d->quad);
    const Expr *outer = ex_index(g->x, ex_var_info(g->x, s->rvar[last])->name, extent), *inner = ex_index(g->x, "q", size);
    const Subst sub = {s->rvar[last], ex_add(g->x, ex_mul(g->x, outer, size), inner)};
    Swap pad = {g->x, d->x, d->x};
    if (n % d->quad && d->x->op == EX_load)
        pad.to = ex_loadp(g->x, (DType)d->x->dt, d->x->v.ref, d->x->n, d->x->a, ex_const_i(g->x, (DType)d->x->dt, 0));
    s->body = ex_subst(g->x, ex_map(g->x, s->body, swap_load, &pad), &sub, 1);
    s->rvar[last] = outer;
    s->rext[last] = extent;
    s->rvar[s->nr] = inner;
    s->rext[s->nr++] = size;
    g->body[k] = s->body;
}

/* ---- activations ---- */

/* Dimension of x that the reduction or the lanes walk without a window: the channel. */
static int channel_dim(const Auto *g, const Stage *s, const Dot *d)
{
    const Ten *t = ten(g->te, d->x->v.ref);
    const uint8_t rank = ten(g->te, s->out)->rank;
    int best = -1;
    for (uint8_t q = 0; q < t->rank; q++) {
        bool lane = d->lane >= 0 && ex_uses(d->x->a[q], s->var[d->lane]), other = false;
        for (uint8_t r = 0; r < s->nr; r++)
            lane = lane || ex_uses(d->x->a[q], s->rvar[r]);
        for (uint8_t v = 0; v < rank; v++)
            other = other || (v != d->lane && ex_uses(d->x->a[q], s->var[v]));
        if (lane && !other && (best < 0 || extent_of(g, t->dim[q]) >= extent_of(g, t->dim[best])))
            best = q;
    }
    return best;
}

static void innermost(Layout *l, uint8_t rank, int d)
{
    uint8_t n = 0;
    for (uint8_t q = 0; q < rank; q++)
        if (q != d)
            l->order[n++] = q;
    l->order[n] = (uint8_t)d;
    l->set = true;
}

/* Dimension c (-1: none) innermost where there are rows and columns beside it. */
Layout layout_channels_last(const Auto *g, uint32_t t, int c)
{
    const uint8_t rank = ten(g->te, t)->rank;
    Layout l = {0};
    for (uint8_t q = 0; q < rank; q++)
        l.order[q] = q;
    if (c >= 0 && rank >= 3)
        innermost(&l, rank, c);
    return l;
}

/* Halo that makes a zero-padded load plain. */
void layout_want_halo(const Auto *g, const Expr *load, Layout *l)
{
    if (load->op != EX_loadp)
        return;
    const Ten *t = ten(g->te, load->v.ref);
    for (uint8_t d = 0; d < t->rank; d++) {
        int64_t lo, hi, unused;
        const Expr *past = ex_sub(g->x, load->a[d], ex_sub(g->x, t->dim[d], ex_int(g->x, 1)));
        if (!ex_range(g->x, load->a[d], &lo, &unused) || !ex_range(g->x, past, &unused, &hi) || lo < -64 || hi > 64)
            continue;
        l->lo[d] = (int32_t)max_i64(l->lo[d], -lo);
        l->hi[d] = (int32_t)max_i64(l->hi[d], hi);
    }
}

bool layout_has_halo(const Layout *l, uint8_t rank)
{
    for (uint8_t d = 0; d < rank; d++)
        if (l->lo[d] || l->hi[d])
            return true;
    return false;
}

static double fill_of(const Expr *loadp)
{
    const Expr *fill = loadp->a[loadp->n - 1];
    return dtype_is_float((DType)fill->dt) ? fill->v.f : (double)fill->v.i;
}

/* A tensor has one halo: of zeros where floats are read, of the first reader's zero point where bytes are. */
static bool may_pad(const Auto *g, uint32_t t, double fill)
{
    const Layout *l = &g->layout.at[t];
    return (fill == 0 || ten(g->te, t)->dt != DT_f32) && (fill == l->pad || !layout_has_halo(l, ten(g->te, t)->rank));
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
        if (ten(g->te, t)->kind == TEN_stage && is_byte_type(ten(g->te, t)->dt))
            most = max_i64(most, elements_of(g, t, NULL));
    return !is_byte(d->x) || d->group || padded <= plain + plain / 4 || padded <= most;
}

static bool layout_plain(const Layout *l, uint8_t rank)
{
    for (uint8_t d = 0; d < rank; d++)
        if (l->order[d] != d || l->lo[d] || l->hi[d])
            return false;
    return true;
}

/* A tensor of our own making may be stored as we like; inputs, outputs and constants may not. */
bool layout_free(const Auto *g, uint32_t t)
{
    const Ten *n = ten(g->te, t);
    return n->kind == TEN_stage && n->output < 0 && g->te->stage.at[n->stage]->kind != ST_call && g->te->stage.at[n->stage]->kind != ST_scatter;
}

static uint32_t copy_of(Auto *g, uint32_t k, uint32_t from, uint8_t rank, const uint8_t *perm)
{
    const Ten *n = ten(g->te, from);
    const Expr *dim[MAX_RANK], *index[MAX_RANK];
    Stage *s = NEW(g->a, Stage);
    for (uint8_t d = 0; d < rank; d++)
        dim[d] = n->dim[perm[d]];
    const uint32_t t = auto_tensor(g, str_fmt(g->a, "%s.copy%u", n->name, g->te->ten.n), TEN_stage, rank, dim);
    s->kind = ST_map;
    s->out = t;
    s->node = g->te->stage.at[k]->node;
    for (uint8_t d = 0; d < rank; d++) {
        s->var[d] = ex_var(g->x, VK_INDEX, DT_ix, (const char *const[]){"i", "j", "k", "l", "m", "n"}[d % 6], 0, extent_of(g, dim[d]) - 1);
        index[perm[d]] = s->var[d];
    }
    s->body = ex_load(g->x, n->dt, from, rank, index);
    ten(g->te, t)->dt = n->dt;
    auto_insert(g, k, s);
    for (uint8_t d = 0; d < rank; d++) /* made for its order: it follows no other */
        g->layout.at[t].order[d] = d;
    g->layout.at[t].set = true;
    return t;
}

void layout_merge(Auto *g, uint32_t t, const Layout *want)
{
    Layout *into = &g->layout.at[t];
    const uint8_t rank = ten(g->te, t)->rank;
    memcpy(into->order, want->order, rank);
    into->set = true;
    into->pad = want->pad;
    for (uint8_t d = 0; d < rank; d++) {
        into->lo[d] = (int32_t)max_i64(into->lo[d], want->lo[d]);
        into->hi[d] = (int32_t)max_i64(into->hi[d], want->hi[d]);
    }
}

/* The layout that x should have, by itself or by a copy in front of the stage. Returns the number of stages added. */
static uint32_t prepare_x(Auto *g, uint32_t k, const Dot *d)
{
    const Stage *s = g->te->stage.at[k];
    const uint32_t t = d->x->v.ref;
    const Ten *n = ten(g->te, t);
    if (s->nr && stride_of(g, d->x, s->rvar[s->nr - 1]) == 1)
        return 0;
    if (g->rows.at[t]) /* made as it should be */
        return 0;
    const int c = channel_dim(g, s, d);
    const Layout last = layout_channels_last(g, t, c);
    Layout want = last;
    if (d->x->op == EX_loadp && ex_is_const(d->x->a[n->rank]) && may_pad(g, t, fill_of(d->x)))
        layout_want_halo(g, d->x, &want);
    if (!affordable(g, d, &want))
        want = last;
    want.pad = layout_has_halo(&want, n->rank) ? fill_of(d->x) : g->layout.at[t].pad;
    if (layout_plain(&want, n->rank))
        return 0;
    if (layout_free(g, t)) {
        layout_merge(g, t, &want);
        return 0;
    }
    uint8_t same[MAX_RANK];
    for (uint8_t q = 0; q < n->rank; q++)
        same[q] = q;
    const uint32_t copy = copy_of(g, k, t, n->rank, same);
    layout_merge(g, copy, &want);
    const Expr *load = d->x->op == EX_load ? ex_load(g->x, n->dt, copy, n->rank, d->x->a) : ex_loadp(g->x, n->dt, copy, n->rank, d->x->a, d->x->a[n->rank]);
    auto_views(g);
    exchange_operand(g, k + 1, d->x, load);
    return 1;
}

/* Between activations: the operand with the lane variable gets it innermost, in a transposed copy when it has not. */
static uint32_t prepare_w(Auto *g, uint32_t k, const Dot *d)
{
    const Stage *s = g->te->stage.at[k];
    const Ten *n = ten(g->te, d->w->v.ref);
    const int dim = d->lane >= 0 ? dim_of(d->w, s->var[d->lane]) : -1;
    if (dim < 0 || dim == n->rank - 1 || d->w->op != EX_load)
        return 0;
    uint8_t perm[MAX_RANK], at = 0;
    const Expr *index[MAX_RANK];
    for (uint8_t q = 0; q < n->rank; q++)
        if (q != dim)
            perm[at++] = q;
    perm[at] = (uint8_t)dim;
    const uint32_t copy = copy_of(g, k, d->w->v.ref, n->rank, perm);
    for (uint8_t q = 0; q < n->rank; q++)
        index[q] = d->w->a[perm[q]];
    auto_views(g);
    exchange_operand(g, k + 1, d->w, ex_load(g->x, n->dt, copy, n->rank, index));
    return 1;
}

/* The same for dots of groups, in blocks of lanes. */
static uint32_t pack_activation(Auto *g, uint32_t k, const Dot *d)
{
    const Expr *packed;
    const uint32_t added = auto_pack(g, k, d, &packed);
    auto_views(g);
    exchange_operand(g, k + added, d->w, packed);
    return added;
}

/* Outputs of contractions, and maps between channels-last tensors, follow: lanes innermost. */
static void want_output(Auto *g, uint32_t k, const Dot *d)
{
    const uint32_t t = g->te->stage.at[k]->out;
    const uint8_t rank = ten(g->te, t)->rank;
    if (d->lane >= 0 && rank >= 3 && layout_free(g, t) && !g->layout.at[t].set)
        innermost(&g->layout.at[t], rank, d->lane);
}

typedef struct Follow { Auto *g; const Stage *s; uint8_t order[MAX_RANK]; bool found; } Follow;

/* Which variable of the stage, alone or shifted, is the index of dimension d; -1: none, -2: several. */
static int variable_of(const Follow *f, const Expr *e, uint8_t d)
{
    int found = -1;
    for (uint8_t v = 0; v < ten(f->g->te, f->s->out)->rank; v++)
        if (ex_uses(e->a[d], f->s->var[v]))
            found = found == -1 ? v : -2;
    return found;
}

/* The variables in the order in which the load walks memory; it must have all that take more than one value. */
static void follow_load(void *ctx, const Expr *e)
{
    Follow *f = ctx;
    if ((e->op != EX_load && e->op != EX_loadp) || !f->g->layout.at[e->v.ref].set)
        return;
    const uint8_t rank = ten(f->g->te, f->s->out)->rank, from = ten(f->g->te, e->v.ref)->rank;
    uint8_t order[MAX_RANK], n = 0;
    uint32_t seen = 0;
    for (int q = from - 1; q >= 0; q--) {
        const int v = variable_of(f, e, f->g->layout.at[e->v.ref].order[q]);
        if (v == -2 || (v >= 0 && (seen >> v & 1)))
            return;
        if (v >= 0)
            order[rank - ++n] = (uint8_t)v;
        seen |= v >= 0 ? 1u << v : 0;
    }
    for (int v = rank - 1; v >= 0; v--) {
        if (seen >> v & 1)
            continue;
        if (!ex_is_int(ten(f->g->te, f->s->out)->dim[v], 1))
            return;
        order[rank - ++n] = (uint8_t)v;
    }
    memcpy(f->order, order, rank);
    f->found = true;
}

/* Tensors that are read or made element by element beside one with a layout take its order. */
static void propagate(Auto *g)
{
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        const Stage *s = g->te->stage.at[k];
        const uint8_t rank = ten(g->te, s->out)->rank;
        if (!s->body || !layout_free(g, s->out) || g->layout.at[s->out].set || rank < 3)
            continue;
        Follow f = {.g = g, .s = s};
        ex_walk(g->body[k], follow_load, &f);
        if (f.found) {
            memcpy(g->layout.at[s->out].order, f.order, rank);
            g->layout.at[s->out].set = true;
        }
    }
}

/* ---- what nothing reads any more ---- */

static void mark_read(void *ctx, const Expr *e)
{
    bool *read = ctx;
    if (e->op == EX_load || e->op == EX_loadp)
        read[e->v.ref] = true;
}

static bool is_needed(const Te *te, const Stage *s, const bool *read)
{
    bool yes = ten(te, s->out)->output >= 0 || read[s->out];
    for (uint8_t q = 0; q < s->nout; q++)
        yes = yes || ten(te, s->outs[q])->output >= 0 || read[s->outs[q]] || s->nresult;
    return yes;
}

/* Drops stages that nothing needs: views whose readers were given substituted bodies. */
static void drop_unread(Auto *g)
{
    Te *te = g->te;
    bool *read = NEWN(g->a, bool, te->ten.n), *keep = NEWN(g->a, bool, te->stage.n + 1);
    uint32_t n = 0;
    for (uint32_t k = te->stage.n; k-- > 0;) {
        const Stage *s = te->stage.at[k];
        keep[k] = is_needed(te, s, read);
        if (keep[k])
            walk_stage(te, s, s->body, mark_read, read);
        for (uint8_t q = 0; keep[k] && q < s->nin; q++)
            read[s->in[q]] = true;
    }
    for (uint32_t k = 0; k < te->stage.n; k++) {
        Stage *s = te->stage.at[k];
        for (uint8_t q = 0; q < s->nout; q++)
            ten(te, s->outs[q])->stage = keep[k] ? n : NO_STAGE;
        ten(te, s->out)->stage = keep[k] ? n : NO_STAGE;
        if (keep[k])
            te->stage.at[n++] = s;
    }
    te->stage.n = n;
}

void auto_prepare(Auto *g)
{
    auto_views(g);
    if (g->m->lanes_f32 > 1 && g->te->cx->fp == FP_fast && !g->te->cx->small)
        auto_winograd(g);
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        Dot d;
        if (!dot_of(g, k, &d) || g->m->lanes_f32 < 2)
            continue;
        order_reduction(g, k, &d);
        (void)dot_of(g, k, &d);
        const Layout last = layout_channels_last(g, d.x->v.ref, channel_dim(g, g->te->stage.at[k], &d));
        k += auto_rows(g, k, &d, &last);
        (void)dot_of(g, k, &d);
        if (d.quad > 1)
            split_reduction(g, k, &d);
        (void)dot_of(g, k, &d);
        k += prepare_x(g, k, &d);
        (void)dot_of(g, k, &d);
        (void)auto_matrix(g, k, &d);
        if (is_constant_load(g, d.w))
            pack_constant(g, k, &d);
        else
            k += d.quad > 1 ? pack_activation(g, k, &d) : prepare_w(g, k, &d);
        want_output(g, k, &d);
    }
    drop_unread(g);
    auto_views(g);
    if (g->m->lanes_f32 < 2)
        auto_scalar(g);
    propagate(g);
}

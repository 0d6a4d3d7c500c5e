/* SPDX-License-Identifier: Apache-2.0
 *
 * Operands of contractions in the form that register tiles want: a lane variable with stride one in the constant (packed
 * in blocks of a tile's lanes, in the order of the reduction) or, between two activations, in a transposed copy; the
 * reduced dimension of the other operand innermost (channels last); a halo where reads are padded. Layouts are wishes
 * recorded per tensor; copies are stages of their own, made only where the tensor itself cannot have the layout.
 */
#include "auto.h"

static bool is_load(const Expr *e) { return (e->op == EX_load || e->op == EX_loadp) && e->dt == DT_f32; }

static bool index_uses(const Expr *load, const Expr *v)
{
    const uint16_t rank = (uint16_t)(load->n - (load->op == EX_loadp));
    for (uint16_t d = 0; d < rank; d++)
        if (ex_uses(load->a[d], v))
            return true;
    return false;
}

static bool is_const(const Auto *g, const Expr *load) { return ten(g->te, load->v.ref)->kind == TEN_const; }

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

bool dot_of(const Auto *g, uint32_t k, Dot *d)
{
    const Stage *s = g->te->stage.at[k];
    const Expr *b = s->body ? g->body[k] : NULL;
    if (s->kind != ST_reduce || s->op != RED_sum || b->op != EX_mul || b->a[0] == b->a[1] || !is_load(b->a[0]) || !is_load(b->a[1]))
        return false;
    d->x = b->a[0];
    d->w = b->a[1];
    const bool swap = is_const(g, d->x) && !is_const(g, d->w);
    if (swap) {
        d->w = b->a[0];
        d->x = b->a[1];
    }
    d->lane = choose_lane(g, s, d->x, d->w);
    if (d->lane < 0 && !is_const(g, d->w)) { /* perhaps the other way round */
        const Expr *t = d->x;
        d->x = d->w;
        d->w = t;
        d->lane = choose_lane(g, s, d->x, d->w);
    }
    d->row = choose_row(g, s, d->x, d->lane);
    d->group = d->lane >= 0 ? group_of(g, d->x, s->var[d->lane], extent_of(g, ten(g->te, s->out)->dim[d->lane])) : 0;
    return true;
}

/* ---- new tensors and stages ---- */

uint32_t auto_tensor(Auto *g, const char *name, TenKind kind, uint8_t rank, const Expr *const *dim)
{
    const uint32_t t = te_tensor(g->te, name, DT_f32, kind, rank, dim);
    PUSH(g->a, &g->pinned, kind == TEN_stage);
    PUSH(g->a, &g->layout, ((Layout){0}));
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

static int dim_of(const Expr *load, const Expr *v)
{
    const uint16_t rank = (uint16_t)(load->n - (load->op == EX_loadp));
    for (uint16_t d = 0; d < rank; d++)
        if (load->a[d] == v)
            return d;
    return -1;
}


/* Dimensions of the constant in storage order: what the reduction does not walk, then the reduction's, lanes left out. */
static uint8_t storage_order(const Stage *s, const Expr *load, uint8_t rank, int lane_dim, uint8_t *order)
{
    uint8_t n = 0;
    bool reduced[MAX_RANK] = {false};
    for (uint8_t q = 0; q < s->nr; q++)
        if (dim_of(load, s->rvar[q]) >= 0)
            reduced[dim_of(load, s->rvar[q])] = true;
    for (uint8_t q = 0; q < rank; q++)
        if (q != lane_dim && !reduced[q])
            order[n++] = q;
    for (uint8_t q = 0; q < s->nr; q++)
        if (dim_of(load, s->rvar[q]) >= 0)
            order[n++] = (uint8_t)dim_of(load, s->rvar[q]);
    return n;
}

/* Blocks of lanes, each with all the other dimensions: [groups][blocks][others..][block]. Lanes past the end are 0. */
static const Blob *pack(Auto *g, const Ten *w, int lane_dim, const uint8_t *order, uint8_t no, int64_t group, int64_t block)
{
    int64_t stride[MAX_RANK], run = 1, inner = 1;
    for (int q = w->rank - 1; q >= 0; run *= w->dim[q--]->v.i)
        stride[q] = run;
    for (uint8_t q = 0; q < no; q++)
        inner *= w->dim[order[q]]->v.i;
    const int64_t per_group = (group + block - 1) / block, blocks = w->dim[lane_dim]->v.i / group * per_group;
    float *to = NEWN(g->a, float, blocks * inner * block), *from = NEWN(g->a, float, w->data->count);
    blob_get(w->data, 0, w->data->count, from);
    for (int64_t row = 0; row < blocks * inner; row++) {
        const int64_t b = row / inner, in_group = b % per_group * block;
        int64_t at = (b / per_group * group + in_group) * stride[lane_dim], rest = row % inner;
        for (int q = no - 1; q >= 0; rest /= w->dim[order[q]]->v.i, q--)
            at += rest % w->dim[order[q]]->v.i * stride[order[q]];
        for (int64_t l = 0; l < min_i64(block, group - in_group); l++)
            to[row * block + l] = from[at + l * stride[lane_dim]];
    }
    Blob *data = NEW(g->a, Blob);
    *data = (Blob){.dt = DT_f32, .count = blocks * inner * block, .data = to};
    return data;
}

static void pack_constant(Auto *g, uint32_t k, const Dot *d)
{
    const Stage *s = g->te->stage.at[k];
    const Ten *w = ten(g->te, d->w->v.ref);
    const int lane_dim = d->lane >= 0 ? dim_of(d->w, s->var[d->lane]) : -1;
    if (w->data->fill || d->w->op != EX_load || lane_dim < 0 || !ex_is_const(ten(g->te, s->out)->dim[d->lane]) || w->rank + 2 > MAX_RANK || !lane_apart(d->w, s->var[d->lane], lane_dim))
        return;
    const int64_t n = w->dim[lane_dim]->v.i, group = d->group ? d->group : n, block = min_i64(lanes_per_tile(g, d, k), group);
    const Expr *lane = s->var[d->lane], *size = ex_int(g->x, group), *in_group = ex_mod(g->x, lane, size);
    uint8_t order[MAX_RANK];
    const uint8_t no = storage_order(s, d->w, w->rank, lane_dim, order);
    const Expr *dim[MAX_RANK], *index[MAX_RANK];
    dim[0] = ex_int(g->x, n / group);
    index[0] = ex_fdiv(g->x, lane, size);
    dim[1] = ex_int(g->x, (group + block - 1) / block);
    index[1] = ex_fdiv(g->x, in_group, ex_int(g->x, block));
    for (uint8_t q = 0; q < no; q++) {
        dim[q + 2] = w->dim[order[q]];
        index[q + 2] = d->w->a[order[q]];
    }
    dim[no + 2] = ex_int(g->x, block);
    index[no + 2] = ex_mod(g->x, in_group, ex_int(g->x, block));
    const uint32_t t = auto_tensor(g, str_fmt(g->a, "%s.packed%u", w->name, g->te->ten.n), TEN_const, (uint8_t)(no + 3), dim);
    ten(g->te, t)->data = pack(g, w, lane_dim, order, no, group, block);
    exchange_operand(g, k, d->w, ex_load(g->x, DT_f32, t, (uint16_t)(no + 3), index));
}

/* Reduction order: window positions outside, the variable that walks memory in x innermost. */
static void order_reduction(Auto *g, uint32_t k, const Dot *d)
{
    const Stage *old = g->te->stage.at[k];
    const uint8_t rank = ten(g->te, old->out)->rank;
    Stage *s = replace_stage(g, k, old->body);
    int inner = -1;
    for (uint8_t q = 0; q < s->nr; q++) {
        bool window = false;
        for (uint16_t e = 0; e < d->x->n; e++)
            for (uint8_t v = 0; v < rank; v++)
                window = window || (ex_uses(d->x->a[e], s->rvar[q]) && v != d->lane && ex_uses(d->x->a[e], s->var[v]));
        if (!window)
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
    s->body = ex_load(g->x, DT_f32, from, rank, index);
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
    const int c = channel_dim(g, s, d);
    Layout want = layout_channels_last(g, t, c);
    if (d->x->op == EX_loadp && ex_is_const(d->x->a[n->rank]) && d->x->a[n->rank]->v.f == 0)
        layout_want_halo(g, d->x, &want);
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
    const Expr *load = d->x->op == EX_load ? ex_load(g->x, DT_f32, copy, n->rank, d->x->a) : ex_loadp(g->x, DT_f32, copy, n->rank, d->x->a, d->x->a[n->rank]);
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
    exchange_operand(g, k + 1, d->w, ex_load(g->x, DT_f32, copy, n->rank, index));
    return 1;
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
    if (g->m->lanes_f32 > 1 && g->te->cx->fp == FP_fast)
        auto_winograd(g);
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        Dot d;
        if (!dot_of(g, k, &d) || g->m->lanes_f32 < 2)
            continue;
        order_reduction(g, k, &d);
        k += prepare_x(g, k, &d);
        (void)dot_of(g, k, &d);
        if (is_const(g, d.w))
            pack_constant(g, k, &d);
        else
            k += prepare_w(g, k, &d);
        want_output(g, k, &d);
    }
    drop_unread(g);
    auto_views(g);
    if (g->m->lanes_f32 < 2)
        auto_scalar(g);
    propagate(g);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Constants in the order in which register tiles read them, as recipes: rows are gathered when the weights are written.
 * A row holds the lanes of one block at one place of the other dimensions, a quad of the last of these together.
 */
#include <inttypes.h>

#include "auto.h"

/* ---- the recipe ---- */

/* Constant w in blocks of lanes. */
typedef struct Packing {
    const Ten *w;
    int lane_dim;
    uint8_t order[MAX_RANK], no, batch; /* the others in storage order; of these so many that are not reduced */
    int64_t first[MAX_RANK], count[MAX_RANK]; /* by dimension: what the product walks of it */
    int64_t group, block, quad;
} Packing;

typedef struct Pack {
    Recipe r;
    Packing p;
    int64_t stride[MAX_RANK];  /* of w, in elements */
    int64_t inner, blocks, per_group; /* rows of a block, blocks in all, of a group */
    int64_t last;              /* extent of the last of the others; 1: there are none */
} Pack;

/* Of the q-th of the others. */
static int64_t packed_extent(const Packing *p, int q)
{
    const int64_t n = p->count[p->order[q]];
    return q == p->no - 1 ? (n + p->quad - 1) / p->quad : n;
}

/* Where in w the first element of row `row` of a block of batch `batch` is; *left: how many of its quad there are. */
static int64_t row_source(const Pack *k, int64_t batch, int64_t row, int64_t *left)
{
    int64_t at = 0;
    *left = 1;
    for (int q = k->p.no - 1; q >= 0; q--) {
        row = q == k->p.batch - 1 ? batch : row;
        const int64_t n = packed_extent(&k->p, q), i = row % n * (q == k->p.no - 1 ? k->p.quad : 1);
        if (q == k->p.no - 1)
            *left = min_i64(k->last - i, k->p.quad);
        at += (i + k->p.first[k->p.order[q]]) * k->stride[k->p.order[q]];
        row /= n;
    }
    return at;
}

/* One row; the size of an element is a number where this is called, so that copying one is a move. */
static inline void pack_row(const Pack *k, size_t size, const char *from, int64_t lanes, int64_t left, char *to)
{
    const int64_t by_lane = k->stride[k->p.lane_dim], by_last = k->p.no ? k->stride[k->p.order[k->p.no - 1]] : 0;
    for (int64_t l = 0; l < lanes; l++)
        for (int64_t q = 0; q < left; q++)
            memcpy(to + (size_t)(l * k->p.quad + q) * size, from + (size_t)(l * by_lane + q * by_last) * size, size);
}

static void pack_any_row(const Pack *k, size_t size, const char *from, int64_t lanes, int64_t left, char *to)
{
    switch (size) {
    case 1: pack_row(k, 1, from, lanes, left, to); break;
    case 2: pack_row(k, 2, from, lanes, left, to); break;
    case 4: pack_row(k, 4, from, lanes, left, to); break;
    default: pack_row(k, size, from, lanes, left, to); break;
    }
}

static void make_packed(const Recipe *r, const char *from, int64_t first, int64_t n, char *out)
{
    const Pack *k = (const Pack *)r;
    const size_t size = dtype_bytes(k->p.w->dt);
    memset(out, 0, (size_t)n * size);
    for (int64_t row = first / r->unit; row < (first + n) / r->unit; row++, out += (size_t)r->unit * size) {
        const int64_t b = row / k->inner % k->blocks, in_group = b % k->per_group * k->p.block;
        const int64_t lane = b / k->per_group * k->p.group + in_group, lanes = min_i64(k->p.block, k->p.group - in_group);
        int64_t left;
        const int64_t at = row_source(k, row / k->inner / k->blocks, row % k->inner, &left) + lane * k->stride[k->p.lane_dim];
        pack_any_row(k, size, from + (size_t)at * size, lanes, left, out);
    }
}

static const Blob *recipe_of(Arena *a, const Packing *p)
{
    Pack *k = NEW(a, Pack);
    *k = (Pack){.r = {.arena = a, .from = p->w->data, .unit = p->block * p->quad, .make = make_packed}, .p = *p, .inner = 1, .last = 1};
    int64_t run = 1;
    for (int d = p->w->rank - 1; d >= 0; run *= p->w->dim[d--]->v.i)
        k->stride[d] = run;
    int64_t batches = 1;
    for (int q = 0; q < p->no; q++) {
        *(q < p->batch ? &batches : &k->inner) *= packed_extent(p, q);
        k->last = p->count[p->order[q]];
    }
    k->per_group = (p->group + p->block - 1) / p->block;
    k->blocks = p->w->dim[p->lane_dim]->v.i / p->group * k->per_group;
    return blob_made(a, p->w->dt, batches * k->blocks * k->inner * k->r.unit, &k->r);
}

/* ---- what is packed ---- */

/* Whether the lane variable indexes one dimension alone. */
static bool lane_apart(const Expr *w, const Expr *lane, int lane_dim)
{
    for (uint16_t d = 0; d < w->n; d++)
        if (d != lane_dim && ex_uses(w->a[d], lane))
            return false;
    return true;
}

/* Dimensions of the constant in storage order: what the reduction does not walk, then the reduction's, of several lines a step their number, lanes left out. */
static uint8_t storage_order(const Stage *s, const Dot *d, int lane_dim, uint8_t *order, uint8_t *batch)
{
    const Expr *load = d->w;
    const uint8_t rank = (uint8_t)ex_load_rank(load);
    uint8_t n = 0;
    bool reduced[MAX_RANK] = {false};
    if (dot_lines(d) > 1)
        reduced[rank - 2] = true;
    for (uint8_t q = 0; q < s->nr; q++)
        if (index_uses(load, s->rvar[q]))
            reduced[dim_using(load, s->rvar[q])] = true;
    for (uint8_t q = 0; q < rank; q++)
        if (q != lane_dim && !reduced[q])
            order[n++] = q;
    *batch = n;
    for (uint8_t q = 0; q < s->nr; q++) {
        const int by = dim_using(load, s->rvar[q]);
        if (by >= 0 && reduced[by])
            order[n++] = (uint8_t)by;
        if (by >= 0)
            reduced[by] = false; /* the parts of a split variable share one */
    }
    if (dot_lines(d) > 1)
        order[n++] = (uint8_t)(rank - 2);
    return n;
}

/* Of each dimension what the load walks, which is a part of it where a sum is made in pieces. */
static void walked(const Auto *g, const Dot *dot, Packing *p)
{
    const Expr *load = dot->w;
    for (uint8_t d = 0; d < p->w->rank; d++) {
        const int64_t size = p->w->dim[d]->v.i;
        int64_t lo, hi;
        const bool all = dot_lines(dot) > 1 && d == p->w->rank - 2, known = !all && ex_range(g->x, load->a[d], &lo, &hi) && lo >= 0 && hi < size;
        p->first[d] = known ? lo : 0;
        p->count[d] = known ? hi - lo + 1 : size;
    }
}

/* -Os: what other stages read as it is would be stored twice. */
static bool may_pack(const Auto *g, const Dot *d) { return !g->te->cx->small || g->nreader[d->w->v.ref] == 1; }

bool may_pack_constant(const Auto *g, const Stage *s, const Dot *d)
{
    const Ten *w = ten(g->te, d->w->v.ref);
    const int lane_dim = d->lane >= 0 ? dim_of(d->w, s->var[d->lane]) : -1;
    if (w->data->fill || !may_pack(g, d) || d->w->op != EX_load || w->rank + 3 > MAX_RANK)
        return false;
    return lane_dim >= 0 && ex_is_const(ten(g->te, s->out)->dim[d->lane]) && lane_apart(d->w, s->var[d->lane], lane_dim);
}

/* Whether w can be packed, and how. Lanes of a group that share x are blocks of their own. */
static bool packing_of(const Auto *g, uint32_t k, const Dot *d, Packing *p)
{
    const Stage *s = g->te->stage.at[k];
    const Ten *w = ten(g->te, d->w->v.ref);
    if (!may_pack_constant(g, s, d))
        return false;
    const int lane_dim = dim_of(d->w, s->var[d->lane]);
    const int64_t group = d->group ? d->group : w->dim[lane_dim]->v.i;
    *p = (Packing){.w = w, .lane_dim = lane_dim, .group = group, .block = min_i64(lanes_per_block(g, d, k), group), .quad = d->quad};
    p->no = storage_order(s, d, lane_dim, p->order, &p->batch);
    walked(g, d, p);
    return true;
}

typedef struct Packed { const Expr *dim[MAX_RANK], *index[MAX_RANK]; uint8_t rank; } Packed;

static void add_dim(Auto *g, Packed *p, int64_t extent, const Expr *index)
{
    p->dim[p->rank] = ex_int(g->x, extent);
    p->index[p->rank++] = index;
}

/* Dimensions of the packed constant, and their indices in the product. */
static Packed dims_of(Auto *g, const Packing *p, const Expr *w, const Expr *lane)
{
    const int64_t blocks = (p->group + p->block - 1) / p->block;
    const Expr *group = ex_int(g->x, p->group), *block = ex_int(g->x, p->block), *quad = ex_int(g->x, p->quad), *in_group = ex_mod(g->x, lane, group);
    Packed to = {.rank = 0};
    const Expr *at[MAX_RANK], *last = NULL;
    for (int q = 0; q < p->no; q++)
        at[q] = last = ex_sub(g->x, w->a[p->order[q]], ex_int(g->x, p->first[p->order[q]]));
    for (int q = 0; q < p->batch; q++)
        add_dim(g, &to, packed_extent(p, q), at[q]);
    add_dim(g, &to, p->w->dim[p->lane_dim]->v.i / p->group, ex_fdiv(g->x, lane, group));
    add_dim(g, &to, blocks, ex_fdiv(g->x, in_group, block));
    for (int q = p->batch; q < p->no; q++)
        add_dim(g, &to, packed_extent(p, q), q == p->no - 1 ? ex_fdiv(g->x, at[q], quad) : at[q]);
    add_dim(g, &to, p->block, ex_mod(g->x, in_group, block));
    if (p->quad > 1)
        add_dim(g, &to, p->quad, ex_mod(g->x, last, quad));
    return to;
}

/* What a packing of tensor w is known by. */
static const char *key_of(const Auto *g, uint32_t w, const Packing *p)
{
    Text t = {.arena = g->a};
    text_add(&t, "pack %u %d %d %" PRId64 " %" PRId64 " %" PRId64, w, p->lane_dim, p->batch, p->group, p->block, p->quad);
    for (int q = 0; q < p->no; q++)
        text_add(&t, " %d:%" PRId64 "+%" PRId64, p->order[q], p->first[p->order[q]], p->count[p->order[q]]);
    return text_str(&t);
}

const Expr *auto_constant(Auto *g, uint32_t k, const Dot *d)
{
    Packing p;
    if (!packing_of(g, k, d, &p))
        return NULL;
    const Packed to = dims_of(g, &p, d->w, g->te->stage.at[k]->var[d->lane]);
    uint64_t *t = map_str(g->made, key_of(g, d->w->v.ref, &p), true);
    if (!*t) {
        *t = auto_tensor(g, str_fmt(g->a, "%s.packed%u", p.w->name, g->te->ten.n), TEN_const, to.rank, to.dim);
        ten(g->te, (uint32_t)*t)->dt = p.w->dt;
        ten(g->te, (uint32_t)*t)->data = recipe_of(g->a, &p);
    }
    return ex_load(g->x, p.w->dt, (uint32_t)*t, to.rank, to.index);
}

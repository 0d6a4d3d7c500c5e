/* SPDX-License-Identifier: Apache-2.0
 *
 * Constants in the order in which register tiles read them, as recipes: rows are gathered when the weights are written.
 * A row holds the lanes of one block at one place of the other dimensions, a quad of the last of these together.
 */
#include "auto.h"

typedef struct Pack {
    Recipe r;
    Packing p;
    int64_t stride[MAX_RANK];  /* of w, in elements */
    int64_t inner, per_group;  /* rows of a block, blocks of a group */
    int64_t last;              /* extent of the last of the others; 1: there are none */
} Pack;

int64_t packed_extent(const Packing *p, int q)
{
    const int64_t n = p->w->dim[p->order[q]]->v.i;
    return q == p->no - 1 ? (n + p->quad - 1) / p->quad : n;
}

/* Where in w the first element of row `row` of a block is; *left: how many of its quad there are. */
static int64_t row_source(const Pack *k, int64_t row, int64_t *left)
{
    int64_t at = 0;
    *left = 1;
    for (int q = k->p.no - 1; q >= 0; q--) {
        const int64_t n = packed_extent(&k->p, q), i = row % n * (q == k->p.no - 1 ? k->p.quad : 1);
        if (q == k->p.no - 1)
            *left = min_i64(k->last - i, k->p.quad);
        at += i * k->stride[k->p.order[q]];
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
        const int64_t b = row / k->inner, in_group = b % k->per_group * k->p.block;
        const int64_t lane = b / k->per_group * k->p.group + in_group, lanes = min_i64(k->p.block, k->p.group - in_group);
        int64_t left;
        const int64_t at = row_source(k, row % k->inner, &left) + lane * k->stride[k->p.lane_dim];
        pack_any_row(k, size, from + (size_t)at * size, lanes, left, out);
    }
}

const Blob *auto_constant(Arena *a, const Packing *p)
{
    Pack *k = NEW(a, Pack);
    *k = (Pack){.r = {.arena = a, .from = p->w->data, .unit = p->block * p->quad, .make = make_packed}, .p = *p, .inner = 1, .last = 1};
    int64_t run = 1;
    for (int d = p->w->rank - 1; d >= 0; run *= p->w->dim[d--]->v.i)
        k->stride[d] = run;
    for (int q = 0; q < p->no; q++) {
        k->inner *= packed_extent(p, q);
        k->last = p->w->dim[p->order[q]]->v.i;
    }
    k->per_group = (p->group + p->block - 1) / p->block;
    return blob_made(a, p->w->dt, p->w->dim[p->lane_dim]->v.i / p->group * k->per_group * k->inner * k->r.unit, &k->r);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The halo of a buffer: strips around its logical extents that hold the value which padded reads expect.
 */
#include "build.h"

/* Strips of the halo of dimension d: dimensions before d over the extent of what is made, later ones with their halo. */
static void fill_strip(Build *b, Nest *in, uint32_t id, const Box *made, uint8_t d, int64_t from, int32_t n)
{
    const Buf *p = buf(b->u, id);
    const Expr *index[MAX_RANK];
    for (uint8_t q = 0; q < p->rank; q++) {
        const uint8_t e = p->order[q];
        const Expr *lo = e == d ? ex_int(b->x, from) : e > d ? ex_sub(b->x, made->lo[e], ex_int(b->x, p->lo[e])) : made->lo[e];
        const Expr *ext = e == d ? ex_int(b->x, n) : e > d ? ex_add(b->x, made->ext[e], ex_int(b->x, p->lo[e] + p->hi[e])) : made->ext[e];
        const Expr *v = ex_index(b->x, "z", ext);
        if (!ex_is_int(ext, 1))
            in = nest_for(b->a, in, v, ex_int(b->x, 0), ext);
        index[e] = ex_is_int(ext, 1) ? lo : ex_add(b->x, v, lo);
        if (e == d && from > 0) /* behind the end */
            index[e] = ex_add(b->x, index[e], ex_sub(b->x, p->dim[d], ex_int(b->x, from)));
    }
    nest_store(b->a, in, id, p->rank, index, ex_num(b->x, p->dt, p->pad));
}

void fill_halo(Build *b, Nest *in, uint32_t t)
{
    const uint32_t id = buffer_of(b, t);
    const Buf *p = buf(b->u, id);
    const bool within = b->s->layout[t].within;
    Box made = {0};
    for (uint8_t d = 0; d < p->rank; d++) {
        made.lo[d] = ex_int(b->x, 0);
        made.ext[d] = within ? ten(b->te, t)->dim[d] : p->dim[d];
    }
    shift_within(b, t, made.lo);
    for (uint8_t d = 0; d < p->rank; d++) {
        if (p->lo[d])
            fill_strip(b, in, id, &made, d, -p->lo[d], p->lo[d]);
        if (p->hi[d])
            fill_strip(b, in, id, &made, d, 1, p->hi[d]);
    }
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The halo of a buffer: strips around its logical extents that hold the value which padded reads expect.
 */
#include "build.h"

void box_loops(Build *b, Nest **in, const Buf *p, const Box *box, const Expr **index)
{
    for (uint8_t q = 0; q < p->rank; q++) {
        const uint8_t d = p->order[q];
        index[d] = loop_over(b, in, ex_index(b->x, "z", box->ext[d]), box->lo[d], box->ext[d]);
    }
}

/* A strip of the halo of dimension d, n from `from` on: dimensions before d over the extent of what is made, later ones with their halo. */
static void fill_strip(Build *b, Nest *in, uint32_t id, const Box *made, uint8_t d, const Expr *from, int32_t n)
{
    const Buf *p = buf(b->u, id);
    const Expr *index[MAX_RANK];
    Box strip = *made;
    for (uint8_t e = (uint8_t)(d + 1); e < p->rank; e++) {
        strip.lo[e] = ex_sub(b->x, made->lo[e], ex_int(b->x, p->lo[e]));
        strip.ext[e] = ex_add(b->x, made->ext[e], ex_int(b->x, p->lo[e] + p->hi[e]));
    }
    strip.lo[d] = from;
    strip.ext[d] = ex_int(b->x, n);
    box_loops(b, &in, p, &strip, index);
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
            fill_strip(b, in, id, &made, d, ex_int(b->x, -p->lo[d]), p->lo[d]);
        if (p->hi[d])
            fill_strip(b, in, id, &made, d, p->dim[d], p->hi[d]);
    }
}

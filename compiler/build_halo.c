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

/* Whether columns of dimension d's strip, which lie apart in memory, are made in lanes, as those of the tensor are: one byte after the other
 * took two thirds of the time in which the picture itself was quantized (224x224, three channels of four). */
static bool is_apart(Build *b, uint32_t t, const Box *strip, uint8_t d)
{
    const Buf *p = buf(b->u, buffer_of(b, t));
    const Ten *n = ten(b->te, t);
    const bool lanes = n->kind == TEN_stage && plan_of(b, n->stage)->lane >= 0;
    return lanes && p->rank > 1 && d == p->order[p->rank - 1] && dtype_bytes(p->dt) == 1 && ex_is_const(strip->ext[p->order[p->rank - 2]]);
}

static void fill_apart(Build *b, Nest *in, uint32_t id, Box *strip)
{
    const Buf *p = buf(b->u, id);
    const uint8_t column = p->order[p->rank - 2];
    Tile *t = NEW(b->a, Tile);
    t->lane = ex_index(b->x, "z", strip->ext[column]);
    t->lanes = (int32_t)strip->ext[column]->v.i;
    t->nstore = 1;
    t->store = NEW(b->a, Store);
    t->store->buf = id;
    t->store->value = ex_num(b->x, p->dt, p->pad);
    strip->lo[column] = ex_add(b->x, strip->lo[column], t->lane);
    strip->ext[column] = ex_int(b->x, 1);
    box_loops(b, &in, p, strip, t->store->idx);
    nest_tile(b->a, in, t);
}

/* A strip of the halo of dimension order[at], n from `from` on: dimensions outside it over the extent of what is made, those inside, whose
 * elements lie side by side, with their halo. */
static void fill_strip(Build *b, Nest *in, uint32_t t, const Box *made, uint8_t at, const Expr *from, int32_t n)
{
    const uint32_t id = buffer_of(b, t);
    const Buf *p = buf(b->u, id);
    const Expr *index[MAX_RANK];
    Box strip = *made;
    for (uint8_t q = (uint8_t)(at + 1); q < p->rank; q++) {
        const uint8_t e = p->order[q];
        strip.lo[e] = ex_sub(b->x, made->lo[e], ex_int(b->x, p->lo[e]));
        strip.ext[e] = ex_add(b->x, made->ext[e], ex_int(b->x, p->lo[e] + p->hi[e]));
    }
    strip.lo[p->order[at]] = from;
    strip.ext[p->order[at]] = ex_int(b->x, n);
    if (is_apart(b, t, &strip, p->order[at])) {
        fill_apart(b, in, id, &strip);
        return;
    }
    box_loops(b, &in, p, &strip, index);
    nest_store(b->a, in, id, p->rank, index, ex_num(b->x, p->dt, p->pad));
}

/* What lies within another tensor has those strips that it meets. */
void fill_halo(Build *b, Nest *in, uint32_t t)
{
    const Buf *p = buf(b->u, buffer_of(b, t));
    const bool within = b->s->layout[t].within;
    Box made = {0};
    for (uint8_t d = 0; d < p->rank; d++) {
        made.lo[d] = ex_int(b->x, 0);
        made.ext[d] = within ? ten(b->te, t)->dim[d] : p->dim[d];
    }
    shift_within(b, t, made.lo);
    for (uint8_t q = 0; q < p->rank; q++) {
        const uint8_t d = p->order[q];
        if (p->lo[d] && ex_is_int(made.lo[d], 0))
            fill_strip(b, in, t, &made, q, ex_int(b->x, -p->lo[d]), p->lo[d]);
        if (p->hi[d] && ex_add(b->x, made.lo[d], made.ext[d]) == p->dim[d])
            fill_strip(b, in, t, &made, q, p->dim[d], p->hi[d]);
    }
}

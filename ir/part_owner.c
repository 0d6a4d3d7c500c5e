/* SPDX-License-Identifier: Apache-2.0
 *
 * See part.h. What a part touches of a block is taken as all from the first byte to the last.
 */
#include "part.h"

typedef struct Span { int64_t lo, hi; } Span; /* hi < lo: nothing */
typedef struct Own { Span written, touched; } Own;

/* own: by block, of each part at each count; every: so many. */
typedef struct Owners { Arena *a; const Unit *u; const uint32_t *block; uint32_t every; Own *own; } Owners;

static void reach(Span *s, int64_t lo, int64_t hi)
{
    s->lo = min_i64(s->lo, lo);
    s->hi = max_i64(s->hi, hi);
}

static void add_touch(const Owners *o, const Touch *t, uint32_t place)
{
    const Buf *b = buf(o->u, t->buf);
    Own *own = &o->own[o->block[t->buf] * o->every + place];
    int64_t lo = 0, hi = 0;
    for (uint8_t d = 0; d < b->rank; d++) {
        const int64_t stride = ex_upper(o->u->cx->x, b->stride[d]);
        lo += (t->lo[d] + b->lo[d]) * stride;
        hi += (t->hi[d] + b->lo[d]) * stride;
    }
    const int64_t each = (int64_t)dtype_bytes(b->dt), first = lo * each, last = (hi + 1) * each - 1;
    reach(&own->touched, first, last);
    if (t->write)
        reach(&own->written, first, last);
}

static void add_function(const Owners *o, const Func *f)
{
    Arena *work = arena_child(o->a);
    const Accesses *of = part_accesses(work, o->u, f);
    for (uint32_t c = 0, place = 0; c < o->u->threads.n; c++)
        for (int32_t p = 0; p < o->u->threads.at[c]; p++, place++) {
            const Touches t = part_touches(work, of, p, o->u->threads.at[c]);
            for (uint32_t k = 0; k < t.v.n; k++)
                if (buf(o->u, t.v.at[k].buf)->cls == BC_arena)
                    add_touch(o, &t.v.at[k], place);
        }
    arena_free(work);
}

static bool first_parts_alone(const Owners *o, uint32_t block)
{
    for (uint32_t c = 0, place = 0; c < o->u->threads.n; c++)
        for (int32_t p = 0; p < o->u->threads.at[c]; p++, place++)
            if (p > 0 && o->own[block * o->every + place].touched.hi >= 0)
                return false;
    return true;
}

static bool same_owners(const Owners *o, uint32_t p, uint32_t q)
{
    return memcmp(&o->own[p * o->every], &o->own[q * o->every], o->every * sizeof *o->own) == 0;
}

/* The number of an earlier block with the same owners; 0: there is none. */
static uint32_t known(const Owners *o, const uint32_t *number, uint32_t block)
{
    for (uint32_t q = 1; q < block; q++)
        if (number[q] > OWNED_BY_FIRST && same_owners(o, q, block))
            return number[q];
    return 0;
}

uint32_t *part_owners(Arena *a, const Unit *u, const uint32_t *block)
{
    Owners o = {.a = a, .u = u, .block = block};
    uint32_t *number = NEWN(a, uint32_t, u->buf.n), last = OWNED_BY_FIRST;
    for (uint32_t c = 0; c < u->threads.n; c++)
        o.every += (uint32_t)u->threads.at[c];
    o.own = NEWN(a, Own, (size_t)u->buf.n * o.every);
    for (size_t k = 0; k < (size_t)u->buf.n * o.every; k++)
        o.own[k] = (Own){{INT64_MAX, -1}, {INT64_MAX, -1}};
    for (uint32_t f = 0; f < u->func.n; f++)
        add_function(&o, u->func.at[f]);
    for (uint32_t k = 1; k < u->buf.n; k++) {
        if (block[k] != k || buf(u, k)->cls != BC_arena)
            continue;
        number[k] = first_parts_alone(&o, k) ? OWNED_BY_FIRST : known(&o, number, k);
        number[k] = number[k] ? number[k] : ++last;
    }
    return number;
}

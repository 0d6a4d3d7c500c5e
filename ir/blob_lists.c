/* SPDX-License-Identifier: Apache-2.0
 *
 * Constants of bytes of which few are not 0, as lists that runtime-min/mlcc_lists.h multiplies: where the list of each row begins, in quads, then the quads
 * of all rows. Neighbours of a quad, 0 and 1, 2 and 3, of one sign add up to LIST_SUM at most; a 0 takes the place of one that would be too much.
 */
#include "graph.h"

enum { LIST_QUAD = 4, LIST_SUM = 128, LIST_COLUMNS = UINT16_MAX + 1 };

typedef struct Quad { uint16_t k[LIST_QUAD]; int8_t w[LIST_QUAD]; } Quad;

_Static_assert(sizeof(Quad) == LIST_QUAD_BYTES, "as runtime-min reads them");

typedef struct Lists { Arena *a; VEC(Quad) quad; VEC(uint32_t) first; int n; } Lists; /* n: elements of the last quad */

static bool fits_beside(int p, int q)
{
    const int sum = p + q;
    return (p > 0) != (q > 0) || (sum <= LIST_SUM && sum >= -LIST_SUM);
}

static void put(Lists *l, uint16_t k, int8_t w)
{
    Quad *q = l->n < LIST_QUAD ? &l->quad.at[l->quad.n - 1] : NULL;
    if (!q) {
        PUSH(l->a, &l->quad, ((Quad){{k, k, k, k}, {0}}));
        q = &l->quad.at[l->quad.n - 1];
        l->n = 0;
    }
    q->k[l->n] = k;
    q->w[l->n++] = w;
}

static void add(Lists *l, uint16_t k, int8_t w)
{
    if (l->n % 2 && !fits_beside(l->quad.at[l->quad.n - 1].w[l->n - 1], w))
        put(l, k, 0);
    put(l, k, w);
}

static const Blob *written(Lists *l)
{
    const size_t starts = (size_t)l->first.n * sizeof *l->first.at, quads = (size_t)l->quad.n * sizeof *l->quad.at;
    char *all = arena_alloc(l->a, starts + quads, 64);
    memcpy(all, l->first.at, starts);
    if (quads)
        memcpy(all + starts, l->quad.at, quads);
    Blob *b = NEW(l->a, Blob);
    *b = (Blob){.dt = DT_i8, .count = (int64_t)(starts + quads), .data = all};
    return b;
}

const Blob *blob_lists(Arena *a, const Blob *w, int64_t rows, int64_t columns)
{
    if (w->dt != DT_i8 || columns > LIST_COLUMNS || rows < 1 || columns < 1 || w->count / columns != rows || w->count % columns)
        return NULL;
    Arena *scratch = arena_child(a);
    const int8_t *from = blob_all(w, scratch);
    Lists l = {.a = a};
    for (int64_t r = 0; r < rows; r++, from += columns) {
        PUSH(a, &l.first, l.quad.n);
        l.n = LIST_QUAD;
        for (int64_t k = 0; k < columns; k++)
            if (from[k])
                add(&l, (uint16_t)k, from[k]);
    }
    PUSH(a, &l.first, l.quad.n);
    arena_free(scratch);
    return written(&l);
}

/* SPDX-License-Identifier: Apache-2.0
 * See parallel_cost.h. */
#include "parallel_cost.h"

#include <math.h>

#include "../ir/call.h"

enum { BYTES_PER_CYCLE = 8 };

static double share_of(const Cost *s, const Nest *n, int32_t part, int32_t parts)
{
    const int64_t extent = ex_upper(s->u->cx->x, n->extent);
    if (n->kind != FOR_parallel)
        return (double)extent;
    const int64_t first = max_i64(part_first(n->of, part, parts) - n->at, 0), end = min_i64(part_first(n->of, part + 1, parts) - n->at, extent);
    return (double)max_i64(end - first, 0);
}

static double tile_cycles(const Cost *s, const Tile *t)
{
    double points = 1, steps = 1, stores = 0;
    for (uint8_t k = 0; k < t->np; k++)
        points *= t->pext[k];
    for (uint8_t k = 0; k < t->nr; k++)
        steps *= (double)ex_upper(s->u->cx->x, t->rext[k]);
    for (uint8_t k = 0; k < t->nstore; k++)
        stores += ex_cost(t->store[k].value) + 1;
    const double vectors = t->lane ? ceil((double)t->lanes / s->lanes) : 1;
    if (t->across)
        steps *= vectors / t->lanes;
    else
        points *= vectors;
    return points * ((t->red ? steps * fmax(ex_cost(t->body) - 2, 1) : 0) + stores) / 2;
}

static double call_cycles(const Cost *s, const Nest *n)
{
    double bytes = 0;
    for (uint8_t k = 0; k < n->call->nin + n->call->nout; k++)
        bytes += n->buf[k] ? (double)buf(s->u, n->buf[k])->bytes : 0;
    return bytes;
}

static double cycles(const Cost *s, const Nest *n, int32_t part, int32_t parts)
{
    double sum = n->expr ? ex_cost(n->expr) : 0;
    sum += n->op == NS_store ? ex_cost(n->store.value) + 1 : 0;
    sum += n->op == NS_tile ? tile_cycles(s, n->tile) : n->op == NS_call ? call_cycles(s, n) : 0;
    for (uint32_t k = 0; k < n->body.n; k++)
        sum += cycles(s, n->body.at[k], part, parts);
    for (uint32_t k = 0; k < n->other.n; k++)
        sum += cycles(s, n->other.at[k], part, parts);
    return n->op == NS_for ? share_of(s, n, part, parts) * (sum + 1) : sum;
}

double part_cycles(const Cost *s, const Func *f, const Accesses *of, int32_t parts)
{
    double most = 0;
    for (int32_t p = 0; p < (f->split ? parts : 1); p++) {
        Arena *work = arena_child(s->a);
        const Touches t = part_touches(work, of, p, parts);
        most = fmax(most, fmax(cycles(s, f->body, p, parts), touched_bytes(s->u, &t) / BYTES_PER_CYCLE));
        arena_free(work);
    }
    return most;
}

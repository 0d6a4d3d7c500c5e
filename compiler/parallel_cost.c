/* SPDX-License-Identifier: Apache-2.0
 * See parallel_cost.h. */
#include "parallel_cost.h"

#include <math.h>

#include "../ir/call.h"

enum { BYTES_PER_CYCLE = 8 };

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

typedef struct Scope { const Cost *s; int32_t part, parts; const Piece *piece; } Scope; /* piece: of the outer loop around */

static double cycles(const Scope *at, const Nest *n);

static double cycles_inside(const Scope *at, const Nest *n)
{
    double sum = 0;
    for (uint32_t k = 0; k < n->body.n; k++)
        sum += cycles(at, n->body.at[k]);
    for (uint32_t k = 0; k < n->other.n; k++)
        sum += cycles(at, n->other.at[k]);
    return sum;
}

static double length(Run r) { return r.last < r.first ? 0 : (double)(r.last - r.first + 1); }

static double parallel_cycles(const Scope *at, const Nest *n)
{
    const Exprs *x = at->s->u->cx->x;
    Piece own[PIECES];
    double sum = 0;
    if (at->piece)
        return length(part_inner_run(x, n, at->piece)) * (cycles_inside(at, n) + 1);
    const int pieces = part_pieces(&n->share, at->part, at->parts, own);
    for (int k = 0; k < pieces; k++) {
        Scope in = *at;
        in.piece = n->share.each > 1 ? &own[k] : NULL;
        sum += length(n->share.each > 1 ? part_outer_run(x, n, &own[k]) : part_inner_run(x, n, &own[k])) * (cycles_inside(&in, n) + 1);
    }
    return sum;
}

static double cycles(const Scope *at, const Nest *n)
{
    const Cost *s = at->s;
    if (n->op == NS_for && n->kind == FOR_parallel)
        return parallel_cycles(at, n);
    double sum = n->expr ? ex_cost(n->expr) : 0;
    sum += n->op == NS_store ? ex_cost(n->store.value) + 1 : 0;
    sum += n->op == NS_tile ? tile_cycles(s, n->tile) : n->op == NS_call ? call_cycles(s, n) : 0;
    sum += cycles_inside(at, n);
    return n->op == NS_for ? (double)ex_upper(s->u->cx->x, n->extent) * (sum + 1) : sum;
}

double slowest_cycles(const Cost *s, const Func *f, const Touches *touched, int32_t parts)
{
    double most = 0;
    for (int32_t p = 0; p < (f->split ? parts : 1); p++) {
        const Scope at = {s, p, parts, NULL};
        most = fmax(most, fmax(cycles(&at, f->body), touched_bytes(s->u, &touched[p]) / BYTES_PER_CYCLE));
    }
    return most;
}

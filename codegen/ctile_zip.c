/* SPDX-License-Identifier: Apache-2.0
 *
 * Zipped stores: points whose elements lie side by side, with those of the next lane behind them, as the channels of pixels do and pairs of
 * pixels whose channels go in lanes. One store takes the place of as many that are spread.
 */
#include "ctile.h"
#include "cvec_part.h"

enum { MOST_ZIPPED = 4 };

int32_t v_zipped(VGen *v, const Expr *base, int32_t first)
{
    const Tile *t = v->t;
    if (t->nstore != 1 || !v_is_whole(v))
        return 0;
    const Expr *flat = flat_index(v->g, buf(v->g->u, t->store->buf), t->store->idx), *begin = NULL;
    bool linear;
    const int64_t stride = ex_coef(flat, t->lane, &linear), count = linear && v_zips(v, t->store, stride) ? stride : 0;
    bool side = count && first + count <= tile_points(t);
    for (int32_t p = 0; side && p < count; p++) {
        Subst s[MAX_RANK + 1];
        const uint32_t n = v_place(v, first + p, base, s);
        const Expr *at = ex_subst(v->g->x, flat, s, n);
        begin = p ? begin : at;
        side = ex_is_int(ex_sub(v->g->x, at, begin), p);
    }
    return side ? (int32_t)count : 0;
}

void v_zip(VGen *v, const Expr *base, int32_t first, int32_t count, const char *(*value)(VGen *v, const void *ctx, int32_t p), const void *ctx)
{
    const char *part[MOST_ZIPPED];
    Subst s[MAX_RANK + 1];
    for (int32_t p = 0; p < count; p++)
        part[p] = value(v, ctx, first + p);
    const uint32_t n = v_place(v, first, base, s);
    v_store_zipped(v, v->t->store, s, n, part, count);
}

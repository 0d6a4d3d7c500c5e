/* SPDX-License-Identifier: Apache-2.0
 *
 * Tiles of products with constants that are stored as lists (auto_clip.c): their lanes are all rows at once (runtime-min/mlcc_lists.h).
 */
#include "auto_tile.h"

bool tile_listed(Auto *g, uint32_t k)
{
    StagePlan *p = &g->s->stage[k];
    if (g->te->stage.at[k]->kind != ST_reduce || !te_reads_lists(g->te, g->body[k]))
        return false;
    p->tiled = true;
    p->lane = 1;
    add_loop(p, 0, 1);
    return true;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The loops around tiles of a matrix unit. Four products take 64 cycles and read two tiles of x and two of the constant, 4 KB; the
 * second-level cache gives three quarters of that meanwhile at best. So one operand has to come from the first: the rows of a tile stay there while a
 * group of blocks of the constant passes by it, from the second, which holds the group until all rows have met it.
 */
#include "auto_tile.h"

enum {
    GROUPS = 8, /* of which the second-level cache has room for one beside the next, the operand and the result; 4: BERT-base 1.08, 16: 0.99 to 1.01 */
    SUMS = 8192, /* bytes of those of two tiles, which lie in the first-level cache, too */
    EACH = 4    /* groups of a tile of rows for each part, of which one more or less is little */
};

/* Blocks of lanes in a group: as many as divide all, if that is at least half of what there is room for. */
static int64_t blocks_in_group(const Auto *g, int64_t block, int64_t all)
{
    const int64_t most = max_i64(min_i64(g->m->l2_bytes / GROUPS / block, all), 1);
    for (int64_t n = most; 2 * n > most; n--)
        if (all % n == 0)
            return n;
    return most;
}

/* Tiles of rows that meet one block of lanes after the other where lanes go outside: all of a constant that is walked once, else those
 * of one value of the outer variables. */
static int64_t tiles_inside(const Auto *g, const Stage *s, const Dot *d, const MatrixShape *m)
{
    const int64_t rows = is_stream(g, d) ? points_sharing(g, s, d->w) : extent_of(g, ten(g->te, s->out)->dim[d->row]) * m->down;
    return (rows + m->down * m->rows - 1) / (m->down * m->rows);
}

/* Nobody has fetched a part's first group, and where it comes from memory the part waits for it: BERT-base in bf16 on two threads 1.02,
 * ViT-B/16 1.03; MiniLM, all of whose weights the last level keeps, 0.94. In bytes groups gain and lose there (BERT-base 0.97, with dynamic
 * scales 1.03, ResNet-50 0.99, MiniLM 1.01). */
static bool is_cold(const Auto *g, const Dot *d)
{
    return g->parts > 1 && (dtype_is_byte((DType)d->w->dt) || g->constants > g->m->l3_bytes);
}

/* Whether parts find enough to share where groups of so many blocks go outside the rows: MiniLM in bf16 on 16 threads 1.19. */
static bool divides_well(const Auto *g, const Stage *s, const Dot *d, const MatrixShape *m, int64_t blocks, int64_t all)
{
    const int64_t rows = m->down * m->rows, tiles = (points_sharing(g, s, d->w) + rows - 1) / rows, groups = (all + blocks - 1) / blocks;
    return g->parts == 1 || tiles * groups >= EACH * g->parts;
}

/* How the constant is walked: blocks of lanes inside the rows of a tile, so many in a group, or outside; past the first-level cache? */
typedef struct Walk { bool inside; int64_t blocks; bool bypass; } Walk;

static Walk walk_of(const Auto *g, const Stage *s, const Dot *d, const MatrixShape *m, int64_t block, int64_t all)
{
    const int64_t l1 = g->m->l1_bytes, tiles = tiles_inside(g, s, d, m), blocks = blocks_in_group(g, block, all);
    const bool once = points_sharing(g, s, d->w) <= m->down * m->rows, stays = tiles > 1 && block + m->x_bytes * tiles <= l1;
    if (once || stays || m->x_bytes > l1 || block * blocks + m->x_bytes <= l1)
        return (Walk){false, 1, false};
    const bool inside = blocks > 1 && !is_cold(g, d) && divides_well(g, s, d, m, blocks, all);
    return (Walk){inside, inside ? blocks : 1, (inside || m->again) && block + m->x_bytes + SUMS > l1};
}

/* Batches outside, then a group of the constant, rows, which may be those of two variables, and the blocks of the group; or a block and all rows. */
void tile_matrix(const Auto *g, uint32_t host, const Stage *s, const Order *order, const Dot *d, const TileVars *v, const MatrixShape *m)
{
    StagePlan *p = &g->s->stage[host];
    const Ten *t = ten(g->te, g->te->stage.at[host]->out);
    const int32_t down = matrix_down(g, s, d, m);
    const int64_t lanes = extent_of(g, t->dim[v->lane]), block = reduction_steps(g, s) * m->lanes * (int64_t)dtype_bytes((DType)d->w->dt);
    const Walk walk = walk_of(g, s, d, m, block, (lanes + m->lanes - 1) / m->lanes);
    const uint32_t batch = batch_of(g, host, s, d);
    const bool outside = walk.inside ? walk.blocks * m->lanes < lanes : is_stream(g, d);
    p->matrix = true;
    p->bypass = walk.bypass;
    p->kind = m->kind;
    loops_over(p, t, order, v, down, batch);
    if (outside)
        add_loop(p, v->lane, walk.blocks * m->lanes);
    loops_over(p, t, order, v, down, ~batch);
    if (!outside && !walk.inside)
        add_loop(p, v->lane, m->lanes);
    add_loop(p, v->row, m->rows);
    if (walk.inside)
        add_loop(p, v->lane, m->lanes);
    p->far = fetch_distance(g, d, walk.blocks * block);
}

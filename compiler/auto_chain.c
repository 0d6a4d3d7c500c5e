/* SPDX-License-Identifier: Apache-2.0
 *
 * A depthwise product whose operand is made by blocks of channels (auto_lanes.c) goes by bands of rows too where one block and
 * what it is made of do not fit in the second-level cache together, and a dense product of its result, as the last of an
 * inverted residual block, takes it band by band:
 *
 *     for each band of rows:
 *         for each block of channels:  t[band + window, block] = act(sum(c) x w);  y[band, block] = act(sum(r,s) t w')
 *         z[band, all] = sum(c) y w''
 *
 * Only x and z are whole. The first and the last band, which meet the border of t, have code of their own: everywhere else the window
 * lies inside. Bands are two rows, and the rows of t that two bands share stay in a ring, all channels of them. Where the border of t
 * allows none these rows are made twice, block by block of channels, and bands are as high as the cache allows. Such divide badly among
 * the parts of a run, for which there are rings alone.
 */
#include "auto.h"

/* Of a band with a ring. With one the taps come from the second-level cache, 1.07 of the time without a ring; four are no better than two. */
enum { RING_ROWS = 2 };
enum { MANY_BANDS = 6 }; /* of a part: what it makes once more where it begins is a sixth of the rows of the first product then, or less */

typedef struct Chain {
    uint32_t wide, maker, last; /* stages in whose tiles the products are: depthwise, of its operand, of its result or NO_STAGE */
    Dot d, made;
    int row, row_dim, last_row; /* variable of wide that moves the window, the dimension of t it moves in, variable of last */
    int64_t stride, first, last_of_first; /* rows of t from row to row of the result; which of them the first row reads, both included */
} Chain;

static uint32_t out_of(const Auto *g, uint32_t k) { return g->te->stage.at[k]->out; }
static int64_t extent_in(const Auto *g, uint32_t t, int d) { return extent_of(g, ten(g->te, t)->dim[d]); }

/* Rows of the operand that the first row of the product reads. */
static bool find_window(const Auto *g, Chain *c, const Expr *row)
{
    return ex_range(g->x, ex_sub(g->x, c->d.x->a[c->row_dim], ex_mul(g->x, row, ex_int(g->x, c->stride))), &c->first, &c->last_of_first);
}

/* Rows of t that neighbouring rows of the result share. */
static int64_t shared_rows(const Chain *c) { return c->last_of_first - c->first + 1 - c->stride; }

/* The outermost variable of the depthwise product, which moves a window over dimension row_dim of its operand. */
static bool find_row(const Auto *g, Chain *c)
{
    const Stage *p = g->te->stage.at[product_in(g, c->wide)];
    const Ten *y = ten(g->te, p->out);
    const Layout *l = &g->layout.at[p->out];
    int v = 0;
    for (uint8_t q = 0; q < y->rank; q++) {
        v = l->set ? l->order[q] : q;
        if (!ex_is_int(y->dim[v], 1))
            break;
    }
    bool linear = false;
    c->row = v;
    c->row_dim = sole_dim(c->d.x, p->var[v]);
    if (v == c->d.lane || v == c->d.row || c->row_dim < 0 || !ex_is_const(y->dim[v]) || !ex_is_const(ten(g->te, c->d.x->v.ref)->dim[c->row_dim]))
        return false;
    c->stride = ex_coef(c->d.x->a[c->row_dim], p->var[v], &linear);
    return linear && c->stride > 0 && find_window(g, c, p->var[v]);
}

/* The stage whose tile holds the one dense product of what the depthwise one makes, row by row. */
static uint32_t last_of(const Auto *g, Chain *c)
{
    const uint32_t y = out_of(g, c->wide);
    const StagePlan *p = g->nreader[y] == 1 ? &g->s->stage[g->reader[y][0]] : NULL;
    Dot d;
    if (!p || ten(g->te, y)->output >= 0 || g->pinned.at[y] || !dot_of(g, g->reader[y][0], &d))
        return NO_STAGE;
    const uint32_t k = g->reader[y][0], host = p->place == PL_register ? p->host : k;
    const Stage *s = g->te->stage.at[k];
    if (g->s->stage[host].place != PL_root || g->block[host] || g->band[host].step || !same_variables(g, host, k))
        return NO_STAGE;
    if (d.x->v.ref != y || d.x->op != EX_load || d.lane < 0 || d.group != extent_in(g, s->out, d.lane) || bytes_of_tensor(g, d.w->v.ref) > g->m->l2_bytes / 4)
        return NO_STAGE;
    const bool row = is_pure_var(d.x->a[c->row], s->var, ten(g->te, s->out)->rank, &c->last_row);
    return row && c->last_row != d.row && c->last_row != d.lane && extent_in(g, s->out, c->last_row) == extent_in(g, y, c->row) ? host : NO_STAGE;
}

/* Bytes that one row of the depthwise result takes in all that a band holds. */
static int64_t row_bytes(const Auto *g, const Chain *c)
{
    const uint32_t t = out_of(g, c->maker), y = out_of(g, c->wide);
    const int64_t lanes = extent_in(g, t, c->made.lane), t_rows = extent_in(g, t, c->row_dim), y_rows = extent_in(g, y, c->row);
    const int64_t made = bytes_of_tensor(g, t) / lanes * g->block[c->wide] + bytes_of_tensor(g, c->made.x->v.ref), kept = bytes_of_tensor(g, y) + (c->last != NO_STAGE ? bytes_of_tensor(g, out_of(g, c->last)) : 0);
    return c->stride * made / t_rows + kept / y_rows;
}

/* Rows of a band; 0: all of it fits. */
static int64_t rows_of(const Auto *g, const Chain *c)
{
    const int64_t rows = extent_in(g, out_of(g, c->wide), c->row), all = rows * row_bytes(g, c), room = g->m->l2_bytes / 2;
    if (all <= g->m->l2_bytes)
        return 0;
    const int64_t bands = max_i64((all + room - 1) / room, 2);
    return (rows + bands - 1) / bands;
}

/* Whether the rows that bands share can stay in a ring, which holds the border above and below t, too. Only the first and the last band
 * may reach it. */
static bool slides(const Auto *g, const Chain *c)
{
    const uint32_t t = out_of(g, c->maker);
    const Layout *l = &g->layout.at[t];
    const int64_t rows = extent_in(g, out_of(g, c->wide), c->row), last = rows % RING_ROWS ? rows % RING_ROWS : RING_ROWS;
    const int64_t above = max_i64(-c->first, 0), below = (rows - 1) * c->stride + c->last_of_first + 1 - extent_in(g, t, c->row_dim);
    const bool padded = l->lo[c->row_dim] == above && l->hi[c->row_dim] >= below && below <= last * c->stride && above <= RING_ROWS * c->stride;
    return shared_rows(c) > 0 && rows > 2 * RING_ROWS && (c->d.x->op == EX_load || padded);
}

static bool divides(const Auto *g, const Chain *c)
{
    return g->parts == 1 || (slides(g, c) && extent_in(g, out_of(g, c->wide), c->row) / RING_ROWS >= MANY_BANDS * g->parts);
}

/* Rows with borders (auto_rows.c) that the maker reads are made for one band, when it has one block. */
static void place_rows(Auto *g, const Chain *c)
{
    const uint32_t f = c->made.x->v.ref;
    if (!g->rows.at[f] || g->nreader[f] != 1 || g->block[c->wide] < extent_in(g, out_of(g, c->maker), c->made.lane))
        return;
    StagePlan *p = &g->s->stage[ten(g->te, f)->stage];
    p->place = PL_at;
    p->host = c->maker;
    p->level = 0;
}

static void place_chain(Auto *g, const Chain *c, int64_t rows)
{
    const Layout *l = &g->layout.at[out_of(g, c->maker)];
    StagePlan *maker = &g->s->stage[c->maker];
    const uint32_t host = c->last != NO_STAGE ? c->last : c->wide;
    const int var = c->last != NO_STAGE ? c->last_row : c->row;
    const bool ring = slides(g, c);
    const int apart = (ring || l->lo[c->row_dim] ? APART_first : 0) | (l->hi[c->row_dim] ? APART_last : 0);
    g->band[host] = (LoopStep){(uint8_t)var, (int32_t)(ring ? RING_ROWS : rows), (uint8_t)apart};
    g->host[host] = true;
    place_rows(g, c);
    if (ring) {
        maker->slide = (uint8_t)(c->row_dim + 1);
        maker->keep = (int32_t)shared_rows(c);
    }
    maker->level = (uint8_t)((ring ? 0 : 1) + (host == c->wide));
    if (host == c->wide)
        return;
    StagePlan *p = &g->s->stage[c->wide];
    p->place = PL_at;
    p->host = host;
    p->level = 1;
}

void auto_chain(Auto *g)
{
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        Chain c = {.wide = k, .maker = 0};
        while (g->block[k] && !(g->s->stage[c.maker].place == PL_at && g->s->stage[c.maker].host == k))
            c.maker++;
        if (!g->block[k] || !dot_of(g, product_in(g, k), &c.d) || !dot_of(g, product_in(g, c.maker), &c.made) || !find_row(g, &c))
            continue;
        c.last = last_of(g, &c);
        const int64_t rows = rows_of(g, &c);
        if (rows && divides(g, &c))
            place_chain(g, &c, rows);
    }
}

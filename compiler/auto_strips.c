/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolutions that are made of products by tiles (auto_winograd.c) go by strips of a picture where the second-level cache holds less than all
 * that lies between the transforms:
 *
 *     for each strip, some rows of tiles:
 *         V[z, q, c] = input transform of x;  M[z, q, m] = sum(c) V U;  y[m, rows, j] = output transform of M
 *
 * V and M are scratch of one strip, and only the constant comes by again for each. Nothing is made twice. Seen from the stages: y is a map that
 * chooses by position and alone reads a product, whose operand is made by a map that it alone reads. By thirds (auto_thirds.c) y reads the map in
 * whose registers the product is, and the rows of its operand lie between that and V.
 */
#include "auto_tile.h"

enum { SMALL_PART = 2 }; /* of the second-level cache: what takes no more stays there by itself */

typedef struct Strips {
    uint32_t map, product, made; /* stages of y, M and V */
    const ThirdsRows *thirds;    /* between M and V; NULL: nothing is */
    Dot d;
    int row;                     /* variable of y that moves the rows of tiles */
    int64_t tile, count;         /* rows of y in one row of tiles, and how many of those there are */
} Strips;

/* A load of a product, in the body of a map, or of the result of one by thirds; NULL: there is none. */
typedef struct Found { const Auto *g; const Expr *load; uint32_t product; } Found;

static void find_product(void *ctx, const Expr *e)
{
    Found *f = ctx;
    const Auto *g = f->g;
    if (e->op != EX_load || ten(g->te, e->v.ref)->kind != TEN_stage)
        return;
    const uint32_t k = ten(g->te, e->v.ref)->stage, in = product_in(g, k);
    if (is_product(g, g->te->stage.at[k]) || (in != NO_STAGE && g->thirds.at[g->te->stage.at[in]->out])) {
        f->load = e;
        f->product = in;
    }
}

/* Whether tensor t is memory of its own that so many stages read. */
static bool lies_between(const Auto *g, uint32_t t, uint32_t readers)
{
    const Ten *n = ten(g->te, t);
    return n->kind == TEN_stage && n->output < 0 && g->nreader[t] == readers && g->s->stage[n->stage].place == PL_root && !g->layout.at[t].within;
}

/* Between V and the product: V is read for its largest values and for its rows, those by the product and for their pairs. */
static bool thirds_lie_between(const Auto *g, const ThirdsRows *r)
{
    bool yes = lies_between(g, r->x, 2) && lies_between(g, r->made[ROW_SCALED], r->left ? 3 : 2);
    for (int q = 0; q < ROW_TENSORS; q++)
        yes = yes && g->s->stage[ten(g->te, r->made[q])->stage].place == PL_root;
    return yes;
}

/* The outermost variable along which a map chooses by position. */
static bool find_rows(const Auto *g, Strips *s)
{
    const uint32_t out = g->te->stage.at[s->map]->out;
    const Order order = order_of(g, out);
    for (uint8_t q = 0; q < ten(g->te, out)->rank; q++) {
        s->row = order.at[q];
        s->tile = positions_of(g, s->map, s->row);
        if (s->tile > 1)
            break;
        if (!ex_is_int(ten(g->te, out)->dim[s->row], 1))
            return false;
    }
    const Expr *rows = ten(g->te, out)->dim[s->row];
    s->count = s->tile > 1 && ex_is_const(rows) ? (rows->v.i + s->tile - 1) / s->tile : 0;
    return s->count > 1;
}

/* Whether the tiles of some rows lie side by side: those of several pictures do not. */
static bool is_one_piece(const Auto *g, const Strips *s, const Expr *load)
{
    const Stage *y = g->te->stage.at[s->map];
    const int d = dim_using(load, y->var[s->row]);
    bool one = d >= 0;
    for (uint8_t v = 0; v < ten(g->te, y->out)->rank && one; v++)
        one = v == s->row || !ex_uses(load->a[d], y->var[v]) || positions_of(g, s->map, v) > 1;
    return one;
}

static bool find_strips(const Auto *g, uint32_t k, Strips *s)
{
    Found f = {.g = g, .product = NO_STAGE};
    *s = (Strips){.map = k};
    if (g->te->stage.at[k]->kind != ST_map || g->s->stage[k].place != PL_root || g->host[k] || !find_rows(g, s))
        return false;
    ex_walk(g->body[k], find_product, &f);
    if (!f.load || !is_one_piece(g, s, f.load))
        return false;
    s->product = ten(g->te, f.load->v.ref)->stage;
    if (f.product == NO_STAGE || !dot_of(g, f.product, &s->d) || !lies_between(g, f.load->v.ref, 1))
        return false;
    s->thirds = g->thirds.at[g->te->stage.at[f.product]->out];
    if (s->thirds ? !thirds_lie_between(g, s->thirds) : !lies_between(g, s->d.x->v.ref, 1) || g->host[s->product])
        return false;
    s->made = ten(g->te, s->thirds ? s->thirds->x : s->d.x->v.ref)->stage;
    return g->te->stage.at[s->made]->kind == ST_map && !g->host[s->made] && is_constant_load(g, s->d.w);
}

/* Rows of tiles of a strip: with the constant the cache holds what they take, and the parts of a run have as many strips each. 0: not by strips. */
static int64_t rows_of_strip(const Auto *g, const Strips *s)
{
    const int64_t between = bytes_of_tensor(g, g->te->stage.at[s->product]->out) + bytes_of_tensor(g, s->d.x->v.ref), rows = s->thirds ? bytes_of_tensor(g, s->thirds->x) : 0;
    const int64_t constant = bytes_of_tensor(g, s->d.w->v.ref);
    int64_t best = 0;
    if (between <= g->m->l2_bytes / SMALL_PART)
        return 0;
    for (int64_t n = 1; n < s->count; n++)
        best = s->count % (n * g->parts) == 0 && constant + n * ((between + rows) / s->count) <= g->m->l2_bytes ? n : best;
    return best;
}

void auto_strips(Auto *g)
{
    Strips s;
    for (uint32_t k = 0; k < g->te->stage.n && g->m->lanes_f32 > 1; k++) {
        const int64_t rows = find_strips(g, k, &s) ? rows_of_strip(g, &s) : 0;
        if (!rows)
            continue;
        g->band[k] = (LoopStep){(uint8_t)s.row, (int32_t)(rows * s.tile), 0};
        g->host[k] = true;
        place_in_band(g, s.product, k);
        place_in_band(g, s.made, k);
        for (int q = 0; s.thirds && q < ROW_TENSORS; q++)
            place_in_band(g, ten(g->te, s.thirds->made[q])->stage, k);
    }
}

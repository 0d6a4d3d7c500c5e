/* SPDX-License-Identifier: Apache-2.0
 *
 * The statements of a register tile on the matrix unit: products, then the stores on their sums. Where tiles follow
 * each other in loops with nothing between, they are taken in turns: while one is multiplied, the rows of the one
 * before are stored, so that vectors and the matrix unit work side by side. That moves loads of products before
 * stores that the nest has first, which a nest allows (ir/nest.h), unless they are of the same buffer.
 */
#include "camx.h"

enum { LINE = 64, MAX_LOOPS = 16, PIECE = 64, AHEAD = 192 }; /* bytes of a cache line; loops around a tile; operations on vectors */

typedef struct Place { Subst s[MAX_LOOPS + 4]; uint32_t n; } Place;

/* ---- sums: [turn][row][lane] ---- */

static int32_t rows_of(const Matrix *m) { return m->nrow > 2 ? m->nrow * m->rows[0] : m->rows[0] + m->rows[1]; }

/* The array is a buffer of the unit like others, so that the stores, a tile of their own, can load from it. */
static uint32_t sums_buf(CGen *g, const Tile *t, const Matrix *m, int turns)
{
    const Expr *const dim[] = {ex_int(g->x, turns), ex_int(g->x, rows_of(m)), ex_int(g->x, (int64_t)m->nlane * SIDE)};
    const uint32_t sums = unit_buf(g->u, "sums", (DType)t->acc->dt, BC_scratch, 3, dim);
    Buf *b = buf(g->u, sums);
    buf_layout(g->u, b);
    b->on_stack = true;
    g->array_bytes = max_i64(g->array_bytes, b->bytes);
    ln(g->o, "MLCC_ALIGN(64) %s %s[%lld];", c_type(g, b->dt), buf_name(g, sums), (long long)(b->bytes / 4));
    return sums;
}

static void take_sums(CGen *g, const Matrix *m, uint32_t sums, const Expr *turn)
{
    const int32_t width = m->nlane * SIDE;
    for (int32_t r = 0; r < m->nrow; r++)
        for (int32_t l = 0; l < m->nlane; l++) {
            const Expr *const at[] = {turn, ex_int(g->x, r * m->rows[0]), ex_int(g->x, l * SIDE)};
            const Expr *flat = flat_index(g, buf(g->u, sums), at);
            ln(g->o, "AMX_ST(&%s, %d, %s, %d);", g->amx, r * m->nlane + l, c_pointer(g, sums, flat), 4 * width);
        }
}

/* ---- the stores ---- */

/* The tile's stores for one row of the sums, all lanes: they fill lines of the cache together. `loops` says where
 * the loops around the tile stood. */
static void store_row(CGen *g, const Tile *t, const Matrix *m, uint32_t sums, const Expr *turn, const Expr *row,
                      const Place *loops)
{
    Tile *map = NEW(g->a, Tile);
    map->lanes = m->lanes;
    map->lane = ex_index(g->x, "l", ex_int(g->x, map->lanes));
    const Expr *n = ex_int(g->x, m->run);
    Place p = *loops;
    if (m->row)
        p.s[p.n++] = (Subst){m->row, m->part ? ex_mod(g->x, row, n) : row};
    if (m->part)
        p.s[p.n++] = (Subst){m->part, ex_fdiv(g->x, row, n)};
    p.s[p.n++] = (Subst){t->lane, map->lane};
    p.s[p.n++] =
        (Subst){t->acc, ex_load(g->x, (DType)t->acc->dt, sums, 3, (const Expr *const[]){turn, row, map->lane})};
    map->nstore = t->nstore;
    map->store = arena_copy(g->a, t->store, t->nstore * sizeof *t->store);
    for (int k = 0; k < t->nstore; k++) {
        Store *s = &map->store[k];
        s->value = ex_subst(g->x, s->value, p.s, p.n);
        for (uint8_t d = 0; d < buf(g->u, s->buf)->rank; d++)
            s->idx[d] = ex_subst(g->x, s->idx[d], p.s, p.n);
    }
    Nest *one = nest_block(g->a);
    nest_tile(g->a, one, map);
    c_nest(g, one);
}

/* ---- the tile before ---- */

/* The state between two of them: the array of sums has room for two. */
struct Turns {
    const Tile *tile;
    Matrix m;                 /* its form */
    uint32_t sums;
    const Expr *turn, *last;  /* the half of the sums that is next, and the other */
    const Expr *rows;         /* of the other: how many are not stored yet */
    const Expr *row;          /* the next of them, while a tile is multiplied */
    const Expr *var[MAX_LOOPS], *before[MAX_LOOPS]; /* loops around it that its stores ask for; where they stood */
    uint32_t n;
};

static Place loops_before(const struct Turns *q)
{
    Place p = {.n = q->n};
    for (uint32_t k = 0; k < q->n; k++)
        p.s[k] = (Subst){q->var[k], q->before[k]};
    return p;
}

static int64_t count_steps(const Tile *t, const Matrix *m)
{
    int64_t n = t->rext[t->nr - 2]->v.i / m->step;
    for (int k = 0; k < t->nr - 2; k++)
        n *= t->rext[k]->v.i;
    return n;
}

static void store_before(CGen *g, const struct Turns *q)
{
    const Place loops = loops_before(q);
    store_row(g, q->tile, &q->m, q->sums, q->last, q->row, &loops);
}

/* Number of a product in the order of the loops; inner: of those of the innermost loop, which are `count`. */
static const Expr *number_of(CGen *g, const Tile *t, const Expr *inner, int64_t count)
{
    const Expr *n = ex_int(g->x, 0);
    for (int r = 0; r < t->nr - 2; r++)
        n = ex_add(g->x, ex_mul(g->x, n, t->rext[r]), t->rvar[r]);
    return ex_add(g->x, ex_mul(g->x, n, ex_int(g->x, count)), inner);
}

/* Rows that go with each step, so many that all are stored when the products are done. */
static int64_t rows_each(const struct Turns *q)
{
    const int64_t steps = count_steps(q->tile, &q->m);
    return (rows_of(&q->m) + steps - 1) / steps;
}

/* The rows of a step come in pieces between its products, each of PIECE operations on vectors or more, where a core does not see past
 * the rows of a tile: it looks some hundred instructions ahead. Pieces of 48 were as good, of 32 and 128 up to 2 % worse. */
static int32_t pieces_of(const struct Turns *q)
{
    const int64_t each = rows_each(q);
    int64_t row = 0;
    for (int k = 0; k < q->tile->nstore; k++)
        row += q->m.nlane * ex_cost(q->tile->store[k].value);
    if (row * rows_of(&q->m) < AHEAD)
        return 1;
    return (int32_t)max_i64(min_i64(min_i64(q->m.nrow * q->m.nlane, each), each * row / PIECE), 1);
}

/* Piece number `piece` of those of step `number`; where there are fewer rows than steps, one row with each of `apart` steps: the
 * unit of vectors is in use all the while, for after 128 products without it Sapphire Rapids puts it to sleep, and to wake it takes
 * the time of 60 more. */
static void rows_before(CGen *g, const struct Turns *q, const Expr *number, int32_t piece)
{
    const int64_t each = rows_each(q), apart = max_i64(count_steps(q->tile, &q->m) / rows_of(&q->m), 1);
    const int32_t pieces = pieces_of(q);
    const Expr *done = ex_fdiv(g->x, ex_add(g->x, number, ex_int(g->x, 1)), ex_int(g->x, apart));
    const Expr *rest = ex_int(g->x, each - (each * piece + pieces - 1) / pieces);
    const char *row = var_ident(g, q->row), *end = c_expr(g, ex_sub(g->x, ex_mul(g->x, done, ex_int(g->x, each)), rest));
    open_block(g->o, "for (; %s < %s && %s < %s; %s++)", row, end, row, var_ident(g, q->rows), row);
    store_before(g, q);
    close_block(g->o, "");
}

/* ---- products ---- */

/* Tile r down and l along, at its first row, lane and element of a group. */
static Place place_of(CGen *g, const Tile *t, const Matrix *m, int32_t r, int32_t l)
{
    Place p = {.n = 0};
    if (m->row)
        p.s[p.n++] = (Subst){m->row, ex_int(g->x, (m->joined ? r : r % m->cuts) * m->rows[0])};
    if (m->part)
        p.s[p.n++] = (Subst){m->part, ex_int(g->x, m->joined ? 0 : r / m->cuts)};
    p.s[p.n++] = (Subst){t->lane, ex_int(g->x, (int64_t)l * SIDE)};
    p.s[p.n++] = (Subst){t->rvar[t->nr - 1], ex_int(g->x, 0)};
    return p;
}

static const char *pointer(CGen *g, const Expr *load, const Place *p)
{
    return c_pointer(g, load->v.ref, ex_subst(g->x, amx_flat(g, load), p->s, p->n));
}

static void load_tile(CGen *g, const Matrix *m, const Place *p, int32_t number, bool x)
{
    ln(g->o, "AMX_LD%s(&%s, %d, %s, %lld);", m->bypass && !x ? "2" : "", g->amx, number, pointer(g, x ? m->x : m->w, p),
       (long long)(x ? m->row_bytes : m->group_bytes));
}

static Place at_step(CGen *g, const Tile *t, const Matrix *m, const Expr *step, int32_t r, int32_t l)
{
    Place p = place_of(g, t, m, r, l);
    p.s[p.n++] = (Subst){t->rvar[t->nr - 2], step};
    return p;
}

/* Lines of the cache that hint f names in one product. */
static int64_t hint_lines(const Tile *t, const Matrix *m, const Fetch *f)
{
    const int64_t stride = amx_along(f->at, t->rvar[t->nr - 2]) * m->size;
    return (stride * m->step + LINE - 1) / LINE;
}

/* Hints for `step` and those that go with it in one product, a line of the cache once: those of them that go with product number
 * n of `all`, for many at once are waited for (128 x 768 x 3072 of bytes: 3 %). */
static void fetch(CGen *g, const Tile *t, const Matrix *m, const Expr *step, int32_t n, int32_t all)
{
    const Subst first[] = {{t->rvar[t->nr - 1], ex_int(g->x, 0)}, {t->rvar[t->nr - 2], step}};
    int64_t lines = 0, number = 0;
    for (uint8_t k = 0; k < t->nfetch; k++)
        lines += hint_lines(t, m, &t->fetch[k]);
    for (uint8_t k = 0; k < t->nfetch; k++) {
        const Fetch *f = &t->fetch[k];
        const Expr *at = ex_subst(g->x, f->at, first, 2);
        for (int64_t q = 0; q < hint_lines(t, m, f); q++)
            if (number++ * all / lines == n)
                ln(g->o, "MLCC_FETCH%s(%s, %s);", f->far ? "2" : "", buf_name(g, f->buf), c_expr(g, ex_add(g->x, at, ex_int(g->x, q * LINE / m->size))));
    }
}

/* Loads stand where they are needed first, so that they pass beside the products before them. Behind each product come its
 * hints, behind each share of the products a piece of the rows of the tile before. */
static void multiply(CGen *g, const Tile *t, const Matrix *m, const Expr *step, const struct Turns *q, const Expr *number)
{
    const int32_t all = m->nrow * m->nlane, pieces = q ? pieces_of(q) : 0;
    int32_t n = 0;
    for (int32_t r = 0; r < m->nrow; r++)
        for (int32_t l = 0; l < m->nlane; l++) {
            const Place p = at_step(g, t, m, step, r, l);
            if (r == 0)
                load_tile(g, m, &p, amx_w(m, l), false);
            if (l == 0)
                load_tile(g, m, &p, amx_x(r), true);
            ln(g->o, "AMX_%s(&%s, %d, %d, %d);", m->dot, g->amx, r * m->nlane + l, amx_x(r), amx_w(m, l));
            fetch(g, t, m, step, n, all);
            const int32_t before = n++ * pieces / all;
            if (n < all && n * pieces / all > before)
                rows_before(g, q, number, n * pieces / all);
        }
}

static void products(CGen *g, const Tile *t, const Matrix *m, const struct Turns *q)
{
    const int64_t steps = t->rext[t->nr - 2]->v.i / m->step;
    const Expr *count = ex_int(g->x, steps), *k = ex_index(g->x, ex_var_info(g->x, t->rvar[t->nr - 2])->name, count);
    for (int r = 0; r < t->nr - 2; r++)
        c_open_loop(g, t->rvar[r], t->rext[r]);
    if (steps > 1)
        c_open_loop(g, k, count);
    const Expr *step = steps > 1 ? ex_mul(g->x, k, ex_int(g->x, m->step)) : ex_int(g->x, 0);
    const Expr *number = number_of(g, t, steps > 1 ? k : ex_int(g->x, 0), steps);
    multiply(g, t, m, step, q, number);
    if (q)
        rows_before(g, q, number, pieces_of(q));
    if (steps > 1)
        c_close_loop(g, k);
    for (int r = t->nr - 2; r-- > 0;)
        c_close_loop(g, t->rvar[r]);
}

/* A stride of zero repeats one row in all. */
static void starts(CGen *g, const Tile *t, const Matrix *m)
{
    for (int32_t r = 0; r < m->nrow; r++)
        for (int32_t l = 0; l < m->nlane; l++) {
            const Place p = place_of(g, t, m, r, l);
            if (t->init && t->init->op == EX_load)
                ln(g->o, "AMX_LD(&%s, %d, %s, 0);", g->amx, r * m->nlane + l, pointer(g, t->init, &p));
            else
                ln(g->o, "AMX_ZERO(&%s, %d);", g->amx, r * m->nlane + l);
        }
}

/* ---- tiles in turns ---- */

static void tile_in_turn(CGen *g, struct Turns *q)
{
    const Tile *t = q->tile;
    const Matrix *m = &q->m;
    q->row = ex_index(g->x, "row", ex_int(g->x, rows_of(m)));
    const char *row = var_ident(g, q->row), *turn = var_ident(g, q->turn), *last = var_ident(g, q->last);
    ln(g->o, "%s %s = 0;", c_type(g, DT_ix), row);
    starts(g, t, m);
    products(g, t, m, q);
    take_sums(g, m, q->sums, q->turn);
    ln(g->o, "%s = %s;", last, turn);
    ln(g->o, "%s = 1 - %s;", turn, turn);
    ln(g->o, "%s = %d;", var_ident(g, q->rows), rows_of(m));
    for (uint32_t k = 0; k < q->n; k++)
        ln(g->o, "%s = %s;", var_ident(g, q->before[k]), var_ident(g, q->var[k]));
    c_release(g, row);
}

static bool stores_use(const CGen *g, const Tile *t, const Expr *var)
{
    bool yes = false;
    for (int k = 0; k < t->nstore; k++) {
        yes = yes || ex_uses(t->store[k].value, var);
        for (uint8_t d = 0; d < buf(g->u, t->store[k].buf)->rank; d++)
            yes = yes || ex_uses(t->store[k].idx[d], var);
    }
    return yes;
}

/* The tile that is all there is in the loops of n, which go round more than once; NULL: it is another nest. */
static const Tile *sole_tile(const Nest *n)
{
    uint32_t loops = 0;
    bool again = false;
    for (; n->op != NS_tile; n = n->body.at[0]) {
        if ((n->op != NS_for && n->op != NS_block) || n->body.n != 1)
            return NULL;
        again = again || (n->op == NS_for && !ex_is_int(n->extent, 1));
        loops += n->op == NS_for;
    }
    return again && loops <= MAX_LOOPS ? n->tile : NULL;
}

/* Where a loop around the tile stood, if the stores ask for it. */
static void declare_before(CGen *g, struct Turns *q, const Expr *var)
{
    const VarInfo *v = ex_var_info(g->x, var);
    if (!stores_use(g, q->tile, var))
        return;
    const Expr *before = ex_var(g->x, VK_INDEX, DT_ix, str_fmt(g->a, "%s_before", v->name), v->lo, v->hi);
    ln(g->o, "%s %s = 0;", c_type(g, DT_ix), var_ident(g, before));
    q->var[q->n] = var;
    q->before[q->n++] = before;
}

static void declare_turns(CGen *g, struct Turns *q, const Nest *n)
{
    const char *type = c_type(g, DT_ix);
    q->sums = sums_buf(g, q->tile, &q->m, 2);
    q->turn = ex_index(g->x, "turn", ex_int(g->x, 2));
    q->rows = ex_index(g->x, "rows", ex_int(g->x, rows_of(&q->m) + 1));
    q->last = ex_index(g->x, "last", ex_int(g->x, 2));
    const char *turn = var_ident(g, q->turn), *last = var_ident(g, q->last);
    ln(g->o, "%s %s = 0, %s = 1; /* halves of the sums: of this tile, of the one before */", type, turn, last);
    ln(g->o, "%s %s = 0; /* of the tile before, stored while this one is multiplied */", type, var_ident(g, q->rows));
    for (; n->op != NS_tile; n = n->body.at[0])
        if (n->op == NS_for)
            declare_before(g, q, n->var);
}

/* Whether products of the next tile may come before the stores of this one. */
static bool is_apart(const Tile *t, const Matrix *m)
{
    bool apart = true;
    for (int k = 0; k < t->nstore; k++)
        apart = apart && t->store[k].buf != m->x->v.ref && t->store[k].buf != m->w->v.ref &&
                !(t->init && t->init->op == EX_load && t->init->v.ref == t->store[k].buf);
    for (int k = 0; k < t->nr; k++)
        apart = apart && ex_is_const(t->rext[k]);
    return apart;
}

bool amx_open_turns(CGen *g, const Nest *n)
{
    struct Turns q = {.tile = g->amx && !g->turns ? sole_tile(n) : NULL};
    if (!q.tile || !amx_form(g, q.tile, &q.m) || !is_apart(q.tile, &q.m))
        return false;
    open_block(g->o, "%s", "");
    declare_turns(g, &q, n);
    g->turns = arena_copy(g->a, &q, sizeof q);
    return true;
}

static void release_turns(CGen *g, const struct Turns *q)
{
    const Expr *const own[] = {q->turn, q->last, q->rows};
    for (size_t k = 0; k < COUNT(own); k++)
        c_release(g, var_ident(g, own[k]));
    for (uint32_t k = 0; k < q->n; k++)
        c_release(g, var_ident(g, q->before[k]));
    c_release(g, buf_name(g, q->sums));
}

/* The rows of the last tile, if there was one: a part may have had none. */
void amx_close_turns(CGen *g)
{
    struct Turns *q = g->turns;
    q->row = ex_index(g->x, "row", ex_int(g->x, rows_of(&q->m)));
    c_open_loop(g, q->row, q->rows);
    store_before(g, q);
    c_close_loop(g, q->row);
    close_block(g->o, "");
    release_turns(g, q);
    g->turns = NULL;
}

/* ---- one by one ---- */

static void tile_alone(CGen *g, const Tile *t, const Matrix *m)
{
    const uint32_t sums = sums_buf(g, t, m, 1);
    const Expr *row = ex_index(g->x, "row", ex_int(g->x, rows_of(m))), *turn = ex_int(g->x, 0);
    starts(g, t, m);
    products(g, t, m, NULL);
    take_sums(g, m, sums, turn);
    c_open_loop(g, row, ex_int(g->x, rows_of(m)));
    store_row(g, t, m, sums, turn, row, &(Place){.n = 0});
    c_close_loop(g, row);
    c_release(g, buf_name(g, sums));
}

bool c_matrix_tile(CGen *g, const Tile *t)
{
    Matrix m;
    if (!amx_form(g, t, &m))
        return false;
    open_block(g->o, "%s", "");
    if (g->turns && g->turns->tile == t)
        tile_in_turn(g, g->turns);
    else
        tile_alone(g, t, &m);
    close_block(g->o, "");
    return true;
}

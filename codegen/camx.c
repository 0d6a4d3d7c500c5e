/* SPDX-License-Identifier: Apache-2.0
 *
 * Register tiles that the schedule gave to the matrix unit, on tiles of AMX (runtime-min/mlcc_amx.h). Up to four sums of
 * 16 x 16 stay in tmm0..3, rows of x come to tmm4..5 as they lie in memory, groups of w (four bytes, two bf16) to tmm6..7:
 *
 *   sum(.., k, q) wide(x[row, .., G*k + q]) * wide(w[.., k, lane, q])        q < G, lanes of w side by side
 *
 * The sums go to an array, from which the stores of the tile read them. Shapes of tiles are a state of the thread that is
 * dear to change, so a function sets them outside its loops, as far out as all tiles inside agree.
 */
#include "cgen.h"

enum { SIDE = 16, FIRST_X = 4, FIRST_W = 6, TILES = 8, LINE = 64 }; /* LINE: bytes of a cache line */
enum { MODEL_BYTES = 8256 };                      /* sizeof(mlcc_amx) where tiles are a model in plain C */
#define AMX_NAMES (UINT64_C(1) << 40)             /* ids of names beside those of buffers */

typedef struct Matrix {
    const Expr *x, *w;       /* loads */
    const char *dot;         /* which product */
    int32_t size, group;     /* bytes of an element, elements of a group: together four bytes */
    int32_t nrow, nlane;     /* tiles down and along; at most four together */
    int32_t rows[2], lanes;  /* of the tiles down; in all */
    int32_t step;            /* groups of one product: 4 * step bytes of a row of x */
    const Expr *row, *part;  /* point along the rows of a tile; point that tells the tiles down apart, NULL: rows follow */
    int64_t row_bytes, group_bytes; /* from row to row of x, from group to group of w */
} Matrix;

/* ---- which tiles ---- */

typedef struct Product { DType x, w, sum; const char *name; int32_t group; } Product;

static const Product product[] = {
    {DT_u8, DT_i8, DT_i32, "DPUS", 4}, {DT_i8, DT_i8, DT_i32, "DPSS", 4}, {DT_i8, DT_u8, DT_i32, "DPSU", 4},
    {DT_u8, DT_u8, DT_i32, "DPUU", 4}, {DT_bf16, DT_bf16, DT_f32, "DPBF", 2},
};

static const Expr *widened(const Expr *e)
{
    return e->op == EX_cast && e->a[0]->op == EX_load ? e->a[0] : NULL;
}

static bool find_product(Matrix *m, const Tile *t)
{
    if (t->body->op != EX_mul || !widened(t->body->a[0]) || !widened(t->body->a[1]))
        return false;
    m->x = widened(t->body->a[0]);
    m->w = widened(t->body->a[1]);
    if (ex_uses(m->x, t->lane)) {
        const Expr *swap = m->x;
        m->x = m->w;
        m->w = swap;
    }
    for (size_t k = 0; k < COUNT(product); k++)
        if (m->x->dt == product[k].x && m->w->dt == product[k].w && t->body->dt == product[k].sum) {
            m->dot = product[k].name;
            m->group = product[k].group;
            m->size = 4 / m->group;
            return true;
        }
    return false;
}

static const Expr *flat(const CGen *g, const Expr *load) { return flat_index(g, buf(g->u, load->v.ref), load->a); }

/* The coefficient of var, or -1: not linear, or negative. */
static int64_t along(const Expr *e, const Expr *var)
{
    bool linear;
    const int64_t c = ex_coef(e, var, &linear);
    return linear && c >= 0 ? c : -1;
}

/* Rows: one point variable, cut into two tiles where it is long, or two of which the first tells the tiles apart. */
static bool find_rows(Matrix *m, const Tile *t, const Expr *x)
{
    if (t->np > 2 || (t->np == 2 && (t->pext[0] > 2 || t->pext[1] > SIDE)) || (t->np && t->pext[t->np - 1] > 2 * SIDE))
        return false;
    const int32_t n = t->np ? t->pext[t->np - 1] : 1;
    m->row = t->np ? t->pvar[t->np - 1] : NULL;
    m->part = t->np == 2 ? t->pvar[0] : NULL;
    m->nrow = m->part ? t->pext[0] : n > SIDE ? 2 : 1;
    m->rows[0] = m->part || m->nrow == 1 ? n : (n + 1) / 2;
    m->rows[1] = m->nrow == 1 ? 0 : m->part ? n : n - m->rows[0];
    const int64_t stride = m->row ? along(x, m->row) : 0;
    m->row_bytes = stride * m->size;
    return stride >= 0 && (!m->part || along(x, m->part) >= 0);
}

static bool find_lanes(Matrix *m, const Tile *t)
{
    m->lanes = t->lanes;
    m->nlane = (t->lanes + SIDE - 1) / SIDE;
    return m->nrow * m->nlane <= 4 && (m->nlane <= 2 || t->lanes % SIDE == 0);
}

/* Products take as many groups as go into all of them without a rest. */
static bool find_steps(Matrix *m, const Tile *t, const Expr *x, const Expr *w)
{
    const Expr *inner = t->rvar[t->nr - 1], *outer = t->rvar[t->nr - 2];
    if (!ex_is_int(t->rext[t->nr - 1], m->group) || !ex_is_const(t->rext[t->nr - 2]))
        return false;
    const int64_t groups = t->rext[t->nr - 2]->v.i, next = along(w, outer);
    for (m->step = SIDE; groups % m->step; m->step--)
        continue;
    m->group_bytes = next * m->size;
    return along(x, inner) == 1 && along(w, inner) == 1 && along(x, outer) == m->group && along(w, t->lane) == m->group && next >= 0;
}

/* The tile's sums start at zero or, the same for all points, at what an array has for each lane. */
static bool plain_start(const CGen *g, const Tile *t)
{
    if (!t->init || (ex_is_const(t->init) && (t->init->dt == DT_i32 ? t->init->v.i == 0 : t->init->v.f == 0)))
        return true;
    if (t->init->op != EX_load || along(flat(g, t->init), t->lane) != 1)
        return false;
    for (int k = 0; k < t->np; k++)
        if (ex_uses(t->init, t->pvar[k]))
            return false;
    return true;
}

static bool find_matrix(const CGen *g, const Tile *t, Matrix *m)
{
    *m = (Matrix){0};
    if (!t->matrix || t->red != RED_sum || !t->lane || t->across || t->open || t->nr < 2 || !find_product(m, t))
        return false;
    const Expr *x = flat(g, m->x), *w = flat(g, m->w);
    for (int k = 0; k < t->np; k++)
        if (ex_uses(w, t->pvar[k]))
            return false;
    return !ex_uses(x, t->lane) && find_rows(m, t, x) && find_lanes(m, t) && find_steps(m, t, x, w) && plain_start(g, t);
}

/* ---- shapes ---- */

static int32_t lanes_of(const Matrix *m, int32_t l) { return min_i64(m->lanes - l * SIDE, SIDE) > 0 ? (int32_t)min_i64(m->lanes - l * SIDE, SIDE) : 0; }

static TileShapes shapes_of(const Matrix *m)
{
    TileShapes s = {0};
    for (int32_t r = 0; r < m->nrow; r++) {
        s.rows[FIRST_X + r] = (uint8_t)m->rows[r];
        s.bytes[FIRST_X + r] = (uint8_t)(4 * m->step);
        for (int32_t l = 0; l < m->nlane; l++) {
            s.rows[r * m->nlane + l] = (uint8_t)m->rows[r];
            s.bytes[r * m->nlane + l] = (uint8_t)(4 * lanes_of(m, l));
        }
    }
    for (int32_t l = 0; l < m->nlane && l < 2; l++) {
        s.rows[FIRST_W + l] = (uint8_t)m->step;
        s.bytes[FIRST_W + l] = (uint8_t)(4 * lanes_of(m, l));
    }
    return s;
}

/* Adds the shapes of `more`; false: some tile has another one already. */
static bool merge(TileShapes *s, const TileShapes *more)
{
    for (int k = 0; k < TILES; k++) {
        if (!more->rows[k])
            continue;
        if (s->rows[k] && (s->rows[k] != more->rows[k] || s->bytes[k] != more->bytes[k]))
            return false;
        s->rows[k] = more->rows[k];
        s->bytes[k] = more->bytes[k];
    }
    return true;
}

typedef struct Collect { const CGen *g; TileShapes s; bool any, agree; } Collect;

static void collect(void *ctx, Nest *n)
{
    Collect *c = ctx;
    Matrix m;
    if (n->op != NS_tile || !find_matrix(c->g, n->tile, &m))
        return;
    const TileShapes s = shapes_of(&m);
    c->any = true;
    c->agree = c->agree && merge(&c->s, &s);
}

static const char *numbers(const CGen *g, const uint8_t *v)
{
    Text t = {.arena = g->a};
    for (int k = 0; k < TILES; k++)
        text_add(&t, "%s%d", k ? ", " : "", v[k]);
    return text_str(&t);
}

static void configure(CGen *g, const TileShapes *s)
{
    const char *name = c_name(g, &g->param, AMX_NAMES + 1, "shapes", "shapes");
    open_block(g->o, "%s", "");
    ln(g->o, "static const mlcc_tilecfg %s = {1, 0, {0}, {%s}, {%s}};", name, numbers(g, s->bytes), numbers(g, s->rows));
    ln(g->o, "AMX_CONFIG(&%s, &%s);", g->amx, name);
    close_block(g->o, "");
    g->shapes = *s;
}

static Collect tiles_in(const CGen *g, Nest *n)
{
    Collect c = {.g = g, .agree = true};
    nest_walk(n, collect, &c);
    return c;
}

/* Sets the shapes of the tiles in n when they agree and are not set. Where they do not, the statements inside set theirs. */
bool amx_shapes(CGen *g, Nest *n)
{
    const Collect c = tiles_in(g, n);
    TileShapes all = g->shapes;
    if (!c.agree)
        g->shapes = (TileShapes){0};
    else if (c.any && (!merge(&all, &c.s) || memcmp(&all, &g->shapes, sizeof all) != 0))
        configure(g, &c.s);
    return c.agree;
}

int64_t amx_open(CGen *g, const Func *f)
{
    g->shapes = (TileShapes){0};
    g->amx = NULL;
    if (!tiles_in(g, f->body).any)
        return 0;
    g->uses_amx = true;
    g->amx = c_name(g, &g->param, AMX_NAMES, "amx", "amx");
    ln(g->o, "mlcc_amx %s;", g->amx);
    (void)amx_shapes(g, f->body);
    return MODEL_BYTES;
}

void amx_close(CGen *g)
{
    if (g->amx)
        ln(g->o, "AMX_RELEASE(&%s);", g->amx);
}

/* ---- the product ---- */

typedef struct Place { Subst s[MAX_RANK + 4]; uint32_t n; } Place;

/* Tile r down and l along, at its first row, lane and element of a group. */
static Place place_of(CGen *g, const Tile *t, const Matrix *m, int32_t r, int32_t l)
{
    Place p = {.n = 0};
    if (m->row)
        p.s[p.n++] = (Subst){m->row, ex_int(g->x, m->part ? 0 : r * m->rows[0])};
    if (m->part)
        p.s[p.n++] = (Subst){m->part, ex_int(g->x, r)};
    p.s[p.n++] = (Subst){t->lane, ex_int(g->x, (int64_t)l * SIDE)};
    p.s[p.n++] = (Subst){t->rvar[t->nr - 1], ex_int(g->x, 0)};
    return p;
}

static const char *pointer(CGen *g, const Expr *load, const Place *p)
{
    const Expr *at = ex_subst(g->x, flat(g, load), p->s, p->n);
    const char *base = buf_name(g, load->v.ref);
    return ex_is_int(at, 0) ? base : str_fmt(g->a, "%s + %s", base, c_expr_prec(g, at, P_ADD + 1));
}

static void load_tile(CGen *g, const Matrix *m, const Place *p, int32_t number, bool x)
{
    ln(g->o, "AMX_LD(&%s, %d, %s, %lld);", g->amx, number, pointer(g, x ? m->x : m->w, p), (long long)(x ? m->row_bytes : m->group_bytes));
}

static Place at_step(CGen *g, const Tile *t, const Matrix *m, const Expr *step, int32_t r, int32_t l)
{
    Place p = place_of(g, t, m, r, l);
    p.s[p.n++] = (Subst){t->rvar[t->nr - 2], step};
    return p;
}

/* Loads stand where they are needed first, so that they pass beside the products before them. */
static void multiply(CGen *g, const Tile *t, const Matrix *m, const Expr *step)
{
    for (int32_t r = 0; r < m->nrow; r++)
        for (int32_t l = 0; l < m->nlane; l++) {
            const Place p = at_step(g, t, m, step, r, l);
            if (r == 0)
                load_tile(g, m, &p, FIRST_W + l % 2, false);
            if (l == 0)
                load_tile(g, m, &p, FIRST_X + r, true);
            ln(g->o, "AMX_%s(&%s, %d, %d, %d);", m->dot, g->amx, r * m->nlane + l, FIRST_X + r, FIRST_W + l % 2);
        }
}

/* Hints for `step` and those that go with it in one product: a line of the cache once. */
static void fetch(CGen *g, const Tile *t, const Matrix *m, const Expr *step)
{
    const Subst first[] = {{t->rvar[t->nr - 1], ex_int(g->x, 0)}, {t->rvar[t->nr - 2], step}};
    for (uint8_t k = 0; k < t->nfetch; k++) {
        const Fetch *f = &t->fetch[k];
        const int64_t stride = along(f->at, t->rvar[t->nr - 2]) * m->size, lines = (stride * m->step + LINE - 1) / LINE;
        const Expr *at = ex_subst(g->x, f->at, first, 2);
        for (int64_t q = 0; q < lines; q++)
            ln(g->o, "MLCC_FETCH%s(%s, %s);", f->far ? "2" : "", buf_name(g, f->buf), c_expr(g, ex_add(g->x, at, ex_int(g->x, q * LINE / m->size))));
    }
}

static void open_loop(CGen *g, const Expr *var, const Expr *extent)
{
    const char *i = var_ident(g, var);
    open_block(g->o, "for (%s %s = 0; %s < %s; %s++)", c_type(g, DT_ix), i, i, c_expr_prec(g, extent, P_LT + 1), i);
}

static void close_loop(CGen *g, const Expr *var)
{
    close_block(g->o, "");
    c_release(g, var_ident(g, var));
}

static void products(CGen *g, const Tile *t, const Matrix *m)
{
    const int64_t steps = t->rext[t->nr - 2]->v.i / m->step;
    const Expr *count = ex_int(g->x, steps), *k = ex_index(g->x, ex_var_info(g->x, t->rvar[t->nr - 2])->name, count);
    for (int q = 0; q < t->nr - 2; q++)
        open_loop(g, t->rvar[q], t->rext[q]);
    if (steps > 1)
        open_loop(g, k, count);
    const Expr *step = steps > 1 ? ex_mul(g->x, k, ex_int(g->x, m->step)) : ex_int(g->x, 0);
    multiply(g, t, m, step);
    fetch(g, t, m, step);
    if (steps > 1)
        close_loop(g, k);
    for (int q = t->nr - 2; q-- > 0;)
        close_loop(g, t->rvar[q]);
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

static void take_sums(CGen *g, const Matrix *m, const char *sums)
{
    const int32_t width = m->nlane * SIDE;
    for (int32_t r = 0; r < m->nrow; r++)
        for (int32_t l = 0; l < m->nlane; l++) {
            const int32_t at = r * m->rows[0] * width + l * SIDE;
            ln(g->o, "AMX_ST(&%s, %d, %s%s, %d);", g->amx, r * m->nlane + l, sums, at ? str_fmt(g->a, " + %d", at) : "", 4 * width);
        }
}

/* ---- the stores ---- */

/* The tile's stores for row `at` of the array, as a tile without a reduction. */
static Tile *stores_of(CGen *g, const Tile *t, const Matrix *m, uint32_t sums, const Expr *at, const Place *row)
{
    Tile *map = NEW(g->a, Tile);
    map->lanes = m->lanes;
    map->lane = ex_index(g->x, "l", ex_int(g->x, map->lanes));
    Place p = *row;
    p.s[p.n++] = (Subst){t->lane, map->lane};
    p.s[p.n++] = (Subst){t->acc, ex_load(g->x, (DType)t->acc->dt, sums, 2, (const Expr *const[]){at, map->lane})};
    map->nstore = t->nstore;
    map->store = arena_copy(g->a, t->store, t->nstore * sizeof *t->store);
    for (int k = 0; k < t->nstore; k++) {
        Store *s = &map->store[k];
        s->value = ex_subst(g->x, s->value, p.s, p.n);
        for (uint8_t d = 0; d < buf(g->u, s->buf)->rank; d++)
            s->idx[d] = ex_subst(g->x, s->idx[d], p.s, p.n);
    }
    return map;
}

/* Down the rows, all lanes of one after the other: they fill lines of the cache together. */
static void store_sums(CGen *g, const Tile *t, const Matrix *m, uint32_t sums)
{
    const int32_t n = m->part || m->nrow == 1 ? m->rows[0] : m->rows[0] + m->rows[1];
    Nest *all = nest_block(g->a);
    for (int32_t part = 0; part < (m->part ? m->nrow : 1); part++) {
        const Expr *row = ex_index(g->x, "p", ex_int(g->x, n));
        Place p = {.n = 0};
        if (m->row)
            p.s[p.n++] = (Subst){m->row, row};
        if (m->part)
            p.s[p.n++] = (Subst){m->part, ex_int(g->x, part)};
        Nest *in = nest_for(g->a, all, row, ex_int(g->x, 0), ex_int(g->x, n));
        nest_tile(g->a, in, stores_of(g, t, m, sums, ex_add(g->x, row, ex_int(g->x, (int64_t)part * n)), &p));
    }
    c_nest(g, all);
}

bool c_matrix_tile(CGen *g, const Tile *t)
{
    Matrix m;
    if (!find_matrix(g, t, &m))
        return false;
    const Expr *const dim[] = {ex_int(g->x, m.rows[0] + m.rows[1]), ex_int(g->x, (int64_t)m.nlane * SIDE)};
    const uint32_t sums = unit_buf(g->u, "sums", (DType)t->acc->dt, BC_scratch, 2, dim);
    Buf *b = buf(g->u, sums);
    buf_layout(g->u, b);
    b->on_stack = true;
    g->array_bytes = max_i64(g->array_bytes, b->bytes);
    open_block(g->o, "%s", "");
    ln(g->o, "MLCC_ALIGN(64) %s %s[%lld];", c_type(g, b->dt), buf_name(g, sums), (long long)b->bytes / 4);
    starts(g, t, &m);
    products(g, t, &m);
    take_sums(g, &m, buf_name(g, sums));
    store_sums(g, t, &m, sums);
    close_block(g->o, "");
    c_release(g, buf_name(g, sums));
    return true;
}

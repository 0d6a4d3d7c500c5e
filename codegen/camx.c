/* SPDX-License-Identifier: Apache-2.0
 *
 * Register tiles that the schedule gave to the matrix unit, on tiles of AMX (runtime-min/mlcc_amx.h). Up to four
 * sums of 16 x 16 stay in tmm0..3, rows of x come to tmm4..5 as they lie in memory, groups of w (four bytes, two
 * bf16) to tmm6..7, or rows to tmm4..6 and groups to tmm7:
 *
 *   sum(.., k, q) wide(x[row, .., G*k + q]) * wide(w[.., k, lane, q])        q < G, lanes of w side by side
 *
 * The sums go to an array, from which the stores of the tile read them. Shapes of tiles are a state of the thread
 * that is dear to change, so a function sets them outside its loops, as far out as all tiles inside agree.
 */
#include "camx.h"

enum { MODEL_BYTES = 8256 };                      /* sizeof(mlcc_amx) where tiles are a model in plain C */
#define AMX_NAMES (UINT64_C(1) << 40)             /* ids of names beside those of buffers */

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

const Expr *amx_flat(const CGen *g, const Expr *load) { return flat_index(g, buf(g->u, load->v.ref), load->a); }

/* The coefficient of var, or -1: not linear, or negative. */
int64_t amx_along(const Expr *e, const Expr *var)
{
    bool linear;
    const int64_t c = ex_coef(e, var, &linear);
    return linear && c >= 0 ? c : -1;
}

/* Rows of one point variable, or of two that lie as those of one would, are cut into tiles where they are many.
 * Otherwise the outer variable tells tiles apart, and the rows of each are cut. More than two tiles are alike. */
static bool find_rows(Matrix *m, const Tile *t, const Expr *x)
{
    if (t->np > 2)
        return false;
    m->row = t->np ? t->pvar[t->np - 1] : NULL;
    m->part = t->np == 2 ? t->pvar[0] : NULL;
    m->run = t->np ? t->pext[t->np - 1] : 1;
    const int32_t parts = t->np == 2 ? t->pext[0] : 1;
    const int64_t stride = m->row ? amx_along(x, m->row) : 0, outer = m->part ? amx_along(x, m->part) : 0;
    m->joined = !m->part || outer == stride * m->run;
    const int32_t n = m->joined ? m->run * parts : m->run;
    m->cuts = (n + SIDE - 1) / SIDE;
    m->nrow = m->joined ? m->cuts : m->cuts * parts;
    m->rows[0] = (n + m->cuts - 1) / m->cuts;
    m->rows[1] = m->nrow == 1 ? 0 : m->joined ? n - m->rows[0] : m->rows[0];
    m->row_bytes = stride * m->size;
    return stride >= 0 && outer >= 0 && ((m->joined && m->nrow <= 2) || n % m->cuts == 0);
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
    const int64_t groups = t->rext[t->nr - 2]->v.i, next = amx_along(w, outer);
    for (m->step = SIDE; groups % m->step; m->step--)
        continue;
    m->group_bytes = next * m->size;
    return amx_along(x, inner) == 1 && amx_along(w, inner) == 1 && amx_along(x, outer) == m->group &&
           amx_along(w, t->lane) == m->group && next >= 0;
}

/* The tile's sums start at zero or, the same for all points, at what an array has for each lane. */
static bool plain_start(const CGen *g, const Tile *t)
{
    if (!t->init || (ex_is_const(t->init) && (t->init->dt == DT_i32 ? t->init->v.i == 0 : t->init->v.f == 0)))
        return true;
    if (t->init->op != EX_load || amx_along(amx_flat(g, t->init), t->lane) != 1)
        return false;
    for (int k = 0; k < t->np; k++)
        if (ex_uses(t->init, t->pvar[k]))
            return false;
    return true;
}

bool amx_form(const CGen *g, const Tile *t, Matrix *m)
{
    *m = (Matrix){.bypass = t->bypass};
    if (!t->matrix || t->red != RED_sum || !t->lane || t->across || t->open || t->nr < 2 || !find_product(m, t))
        return false;
    const Expr *x = amx_flat(g, m->x), *w = amx_flat(g, m->w);
    for (int k = 0; k < t->np; k++)
        if (ex_uses(w, t->pvar[k]))
            return false;
    return !ex_uses(x, t->lane) && find_rows(m, t, x) && find_lanes(m, t) && find_steps(m, t, x, w) &&
           plain_start(g, t);
}

/* ---- shapes ---- */

static int32_t lanes_of(const Matrix *m, int32_t l)
{
    return (int32_t)max_i64(min_i64(m->lanes - l * SIDE, SIDE), 0);
}

static TileShapes shapes_of(const Matrix *m)
{
    TileShapes s = {0};
    for (int32_t r = 0; r < m->nrow; r++) {
        s.rows[amx_x(r)] = (uint8_t)amx_rows(m, r);
        s.bytes[amx_x(r)] = (uint8_t)(4 * m->step);
        for (int32_t l = 0; l < m->nlane; l++) {
            s.rows[r * m->nlane + l] = (uint8_t)amx_rows(m, r);
            s.bytes[r * m->nlane + l] = (uint8_t)(4 * lanes_of(m, l));
        }
    }
    for (int32_t l = 0; l < m->nlane && l < 2; l++) {
        s.rows[amx_w(m, l)] = (uint8_t)m->step;
        s.bytes[amx_w(m, l)] = (uint8_t)(4 * lanes_of(m, l));
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
    if (n->op != NS_tile || !amx_form(c->g, n->tile, &m))
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
    ln(g->o, "static const mlcc_tilecfg %s = {1, 0, {0}, {%s}, {%s}};", name, numbers(g, s->bytes),
       numbers(g, s->rows));
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

/* Sets the shapes of the tiles in n when they agree and are not set. Where they do not, the statements inside set
 * theirs. */
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

/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows and columns of a small picture as one variable. A product with a constant walks 7 x 7 pixels in tiles of 4 and 3 where it could have nine
 * of 5 and one of 4: with 16 registers a tile of 5 x 2 vectors has 7 loads for 10 multiply-adds, one of 3 x 2 has 5 for 6, and fewer sums than fill
 * the units.
 *
 *   y[m, i, j] = sum(c) x[c, i, j] * w[m, c]                                              i < H, j < W
 *   t[m, p] = sum(c) x[c, p / W, p % W] * w[m, c],   y[m, i, j] = t[m, W*i + j]           p < H*W
 *
 * The last is a view of memory as it lies, and so is x where nobody wants a border around it. Maps of y are made of t in its place, as far as they go
 * element by element.
 */
#include "auto.h"

enum { MOST_MAPS = 8 }; /* behind a product */
#define LEAST_GAIN 0.95 /* of the cost as it is */

/* Dimension `row` of y is i, the next one j; y and what maps make of it. */
typedef struct Fused { uint8_t row; int64_t width; uint32_t t[MOST_MAPS]; int n; } Fused;

/* ---- which ---- */

/* Whether tensor t may lie as we like, and nobody reads beyond it. */
static bool may_fuse(const Auto *g, uint32_t t) { return layout_free(g, t) && layout_home(g, t) == t && !layout_holds(g, t) && !is_guarded(g, t); }

/* The map that alone reads tensor t, element for element; NO_STAGE: none. */
static uint32_t map_of(const Auto *g, uint32_t t)
{
    const uint32_t k = g->nreader[t] == 1 ? g->reader[t][0] : NO_STAGE;
    const Stage *s = k == NO_STAGE ? NULL : g->te->stage.at[k];
    const Expr *load = s && s->kind == ST_map && layout_free(g, s->out) ? ex_sole_load(g->body[k], t) : NULL;
    if (!load || load->op != EX_load || load == g->body[k] || ten(g->te, s->out)->rank != ten(g->te, t)->rank)
        return NO_STAGE;
    return loads_element(g, load, s->var) ? k : NO_STAGE;
}

/* The tensors that such maps make of y, y being the first; returns how many there are. */
static int chain_of(const Auto *g, uint32_t y, uint32_t *t)
{
    int n = 0;
    t[n++] = y;
    for (uint32_t m = map_of(g, y); m != NO_STAGE && n < MOST_MAPS; m = map_of(g, t[n - 1]))
        t[n++] = g->te->stage.at[m]->out;
    return n;
}

/* One constant for all rows, whose sums begin with nothing that lies elsewhere. */
static bool is_alone(const Auto *g, const Dot *d, const Stage *s)
{
    const Ten *y = ten(g->te, s->out);
    bool alone = is_constant_load(g, d->w) && d->group == extent_of(g, y->dim[d->lane]) && !y->clipped && !g->start.at[s->out];
    for (uint8_t v = 0; v < y->rank && alone; v++)
        alone = v == d->lane || !index_uses(d->w, s->var[v]);
    return alone;
}

static bool find_fused(const Auto *g, uint32_t k, Fused *f)
{
    const Stage *s = g->te->stage.at[k];
    const Ten *y = ten(g->te, s->out);
    Dot d;
    if (!dot_of(g, k, &d) || d.lane < 0 || d.row < 1 || !is_alone(g, &d, s) || !layout_free(g, s->out))
        return false;
    const int outer = outer_rows(s, y, &d);
    if (outer < 0 || outer != d.row - 1 || !ex_is_const(y->dim[outer]) || !ex_is_const(y->dim[d.row]) || !ex_is_const(y->dim[d.lane]))
        return false;
    *f = (Fused){.row = (uint8_t)outer, .width = y->dim[d.row]->v.i};
    f->n = chain_of(g, s->out, f->t);
    if (fused_rows_cost(g, &d, s) >= LEAST_GAIN || sole_dim(d.x, s->var[outer]) < 0 || sole_dim(d.x, s->var[d.row]) < 0)
        return false;
    return rows_join(g, s, &d, outer) && may_fuse(g, d.x->v.ref) && may_fuse(g, f->t[f->n - 1]);
}

/* ---- stages ---- */

/* A stage like s whose variables of rows and columns are one, and a tensor for it. */
static Stage *with_fused(Auto *g, const Stage *s, const Fused *f, Subst *of)
{
    const Ten *t = ten(g->te, s->out);
    const Expr *dim[MAX_RANK], *width = ex_int(g->x, f->width);
    Stage *c = arena_copy(g->a, s, sizeof *s);
    uint8_t n = 0;
    for (uint8_t v = 0; v < t->rank; v++, n++) {
        dim[n] = v == f->row ? ex_mul(g->x, t->dim[v], width) : t->dim[v];
        c->var[n] = ex_index(g->x, v == f->row ? "p" : ex_var_info(g->x, s->var[v])->name, dim[n]);
        of[v] = (Subst){s->var[v], c->var[n]};
        if (v != f->row)
            continue;
        of[v].to = ex_fdiv(g->x, c->var[n], width);
        v++;
        of[v] = (Subst){s->var[v], ex_mod(g->x, c->var[n], width)};
    }
    c->out = auto_tensor(g, str_fmt(g->a, "%s.fused%u", t->name, g->te->ten.n), TEN_stage, n, dim);
    ten(g->te, c->out)->dt = t->dt;
    g->pinned.at[c->out] = false;
    return c;
}

/* Stage k becomes a view of tensor t. */
static void become_view(Auto *g, uint32_t k, uint32_t t, const Fused *f)
{
    const Stage *s = g->te->stage.at[k];
    const Expr *index[MAX_RANK];
    uint8_t n = 0;
    for (uint8_t v = 0; v < ten(g->te, s->out)->rank; v++, n++) {
        index[n] = s->var[v];
        if (v == f->row) {
            index[n] = ex_add(g->x, ex_mul(g->x, s->var[v], ex_int(g->x, f->width)), s->var[v + 1]);
            v++;
        }
    }
    auto_view(g, k, t, index);
}

/* The stage of tensor y with one variable, before it. What it reads at W*i + j it reads at p then. */
static void fuse_stage(Auto *g, uint32_t y, const Fused *f)
{
    const uint32_t k = ten(g->te, y)->stage;
    Subst of[MAX_RANK];
    Stage *c = with_fused(g, g->te->stage.at[k], f, of);
    c->body = ex_subst(g->x, g->body[k], of, ten(g->te, y)->rank);
    auto_insert(g, k, c);
    become_view(g, k + 1, c->out, f);
    auto_views(g);
}

void auto_fuse(Auto *g)
{
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        Fused f;
        if (!find_fused(g, k, &f))
            continue;
        for (int q = 0; q < f.n; q++)
            fuse_stage(g, f.t[q], &f);
        auto_drop_unread(g);
        auto_views(g);
    }
}

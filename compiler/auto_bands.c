/* SPDX-License-Identifier: Apache-2.0
 *
 * Bands: where rows with borders (auto_rows.c) are made. Nothing but one contraction reads f, so f is made at a few rows of y, in
 * scratch that the first-level cache holds: the rows that two windows share are copied again, which costs less than a pass over
 * all of f through the second level. Where memory has no room for a border around x, f is made row by row.
 */
#include "auto.h"

enum { MOST_ROWS = 16 }; /* of y made of one block of f */

/* A slower part has fewer of them than the others. */
static int64_t few_blocks(const Auto *g) { return max_i64(FEW_BLOCKS, 2 * (int64_t)g->parts); }

/* Rows of f that so many rows of y read. */
typedef struct Band { uint32_t f, product, host; int var; int64_t step, taps, row_bytes; bool tight; } Band;

int variable_of_host(const Auto *g, uint32_t host, uint32_t k, int v)
{
    const Stage *h = g->te->stage.at[host];
    int at = v;
    if (host == k)
        return v;
    const Expr *load = ex_sole_load(g->body[host], g->te->stage.at[k]->out);
    return load && is_pure_var(load->a[v], h->var, ten(g->te, h->out)->rank, &at) ? at : -1;
}

/* The variable of the host that moves the rows of f, by way of that of the product. */
static bool find_rows(const Auto *g, Band *b)
{
    const Stage *p = g->te->stage.at[b->product];
    const Ten *f = ten(g->te, b->f);
    const Expr *at = ex_sole_load(g->body[b->product], b->f)->a[f->rank - 2];
    int64_t least, most;
    bool linear = false;
    int v = 0;
    while (v < ten(g->te, p->out)->rank && !ex_uses(at, p->var[v]))
        v++;
    if (v == ten(g->te, p->out)->rank || !ex_is_const(ten(g->te, p->out)->dim[v]))
        return false;
    const Subst first = {p->var[v], ex_int(g->x, 0)};
    b->step = ex_coef(at, p->var[v], &linear);
    if (!linear || b->step < 1 || !ex_range(g->x, ex_subst(g->x, at, &first, 1), &least, &most))
        return false;
    b->taps = most - least + 1;
    b->row_bytes = bytes_of_tensor(g, b->f) / extent_of(g, f->dim[f->rank - 2]);
    b->var = variable_of_host(g, b->host, b->product, v);
    return b->var >= 0;
}

static int64_t scratch_of(const Band *b, int64_t rows) { return ((rows - 1) * b->step + b->taps) * b->row_bytes; }

static void find_float_load(void *ctx, const Expr *e)
{
    bool *found = ctx;
    *found = *found || ((e->op == EX_load || e->op == EX_loadp) && e->dt == DT_f32);
}

bool makes_bytes(const Auto *g, uint32_t k)
{
    const DType out = ten(g->te, g->te->stage.at[k]->out)->dt;
    bool floats = false;
    ex_walk(g->body[k], find_float_load, &floats);
    return floats && (dtype_is_byte(out) || out == DT_i16);
}

/* Scratch that leaves room in the first-level cache: more where what two bands share is no copy. */
static int64_t near_bytes(const Auto *g, const Band *b) { return g->m->l1_bytes / (makes_bytes(g, ten(g->te, b->f)->stage) ? 2 : 4); }

/* Rows of y of one band: copying least, in scratch that leaves room in the first-level cache or, where a row is too long for it, in
 * the second; the smallest where memory is what counts. 0: f whole is as small. */
static int64_t rows_of_band(const Auto *g, const Band *b)
{
    const MatrixShape *m = g->matrix.at[g->te->stage.at[b->product]->out];
    const int64_t n = extent_of(g, ten(g->te, g->te->stage.at[b->host]->out)->dim[b->var]), unit = m ? m->down : 1, near = near_bytes(g, b);
    const int64_t room = scratch_of(b, unit) <= near ? near : g->m->l2_bytes / 8;
    int64_t best = 0;
    if (!b->tight && bytes_of_tensor(g, b->f) <= room)
        return 0;
    if (b->tight)
        return n > unit && scratch_of(b, unit) <= room ? unit : 0;
    for (int64_t r = unit; r <= min_i64(n / few_blocks(g), MOST_ROWS); r += unit)
        best = n % r == 0 && scratch_of(b, r) <= room ? r : best;
    return best;
}

/* Whether the constant of a product stays in the second-level cache from band to band. */
static bool constant_stays(const Auto *g, const Dot *d)
{
    return bytes_of_tensor(g, d->w->v.ref) <= g->m->l2_bytes / 2;
}

void place_in_band(Auto *g, uint32_t k, uint32_t host)
{
    StagePlan *p = &g->s->stage[k];
    p->place = PL_at;
    p->host = host;
    p->level = 1;
}

static void place_rows(Auto *g, uint32_t f)
{
    Band b = {.f = f, .product = g->reader[f][0], .tight = layout_free(g, g->rows.at[f])};
    StagePlan *p = &g->s->stage[b.product];
    b.host = p->place == PL_register ? p->host : b.product;
    Dot d;
    if (g->nreader[f] != 1 || g->s->stage[b.host].place != PL_root || g->block[b.host] || !dot_of(g, b.product, &d) || d.x->v.ref != f || !constant_stays(g, &d))
        return;
    const int64_t rows = find_rows(g, &b) ? rows_of_band(g, &b) : 0;
    if (!rows)
        return;
    g->band[b.host] = (LoopStep){(uint8_t)b.var, (int32_t)rows, 0};
    g->host[b.host] = true;
    place_in_band(g, ten(g->te, f)->stage, b.host);
}

/* ---- rows of thirds ---- */

/* The variable of the host for the outermost dimension of y that product k reads at more than one place; -1: there is none such. *d: that dimension. */
static int outermost_rows(const Auto *g, uint32_t k, uint32_t host, const Expr *y, uint8_t *d)
{
    const Stage *s = g->te->stage.at[k];
    const Ten *t = ten(g->te, y->v.ref);
    int v = -1;
    for (*d = 0; *d + 1 < t->rank && ex_is_int(t->dim[*d], 1);)
        ++*d;
    if (*d + 1 == t->rank || !is_pure_var(y->a[*d], s->var, ten(g->te, s->out)->rank, &v))
        return -1;
    return variable_of_host(g, host, k, v);
}

/* Values of a row variable that are made at a time: as many as the first-level cache has room for, or one in the second. 0: all are as near, or
 * so few that parts would share them unevenly. A part that makes its own rows has no meeting more. */
static int64_t rows_of_thirds(const Auto *g, uint32_t y, uint8_t d)
{
    const int64_t n = extent_of(g, ten(g->te, y)->dim[d]), each = bytes_of_tensor(g, y) / n;
    int64_t best = each <= g->m->l2_bytes / 8;
    if (g->parts == 1 ? n * each <= g->m->l1_bytes / 2 : n < FEW_BLOCKS && n * each <= g->m->l2_bytes / 8)
        return 0;
    for (int64_t r = 2; r <= n / (g->parts > 1 ? few_blocks(g) : 2); r++)
        best = n % r == 0 && r * each <= g->m->l1_bytes / 2 ? r : best;
    return best;
}

static void place_thirds(Auto *g, uint32_t k)
{
    const StagePlan *p = &g->s->stage[k];
    const uint32_t host = p->place == PL_register ? p->host : k;
    uint8_t dim;
    Dot d;
    if (!dot_of(g, k, &d) || g->s->stage[host].place != PL_root || g->block[host] || g->band[host].step || !constant_stays(g, &d))
        return;
    const int var = outermost_rows(g, k, host, d.x, &dim);
    const int64_t rows = var < 0 ? 0 : rows_of_thirds(g, d.x->v.ref, dim);
    if (!rows)
        return;
    g->band[host] = (LoopStep){(uint8_t)var, (int32_t)rows, 0};
    g->host[host] = true;
    for (int q = 0; q < ROW_TENSORS; q++)
        place_in_band(g, ten(g->te, g->thirds.at[g->te->stage.at[k]->out]->made[q])->stage, host);
}

void auto_bands(Auto *g)
{
    for (uint32_t k = 0; k < g->te->stage.n; k++)
        if (g->thirds.at[g->te->stage.at[k]->out])
            place_thirds(g, k);
    for (uint32_t t = 1; t < g->te->ten.n; t++)
        if (g->rows.at[t] && g->nreader[t])
            place_rows(g, t);
}

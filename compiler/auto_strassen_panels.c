/* SPDX-License-Identifier: Apache-2.0
 *
 * The constant of a product by halves (auto_strassen.c) as panels, some columns at all steps one after the other: sums of its blocks as recipes, and
 * differences of those, made for a panel at a time where the loop over columns of their product begins.
 */
#include <inttypes.h>

#include "auto_strassen.h"
#include "auto_tile.h"

/* ---- constants ---- */

/* A sum of blocks as panels, [columns / block][steps / quad][block * quad], quads of steps side by side; columns past the end are 0. */
typedef struct Panels { Recipe r; Terms of; DType dt; ElementWalk step, lane; int64_t at, steps, lanes, block, quad; } Panels;

/* Element k; those of other types than f32 are bytes. Floats by dtype_get_f and dtype_put_f would take BERT-base 2.35 s of mlcc for 1.8. */
static double number_at(DType dt, const char *from, int64_t k)
{
    float v;
    if (dt != DT_f32)
        return dtype_get_f(dt, from + k);
    memcpy(&v, from + (size_t)k * sizeof v, sizeof v);
    return (double)v;
}

static void put_number(DType dt, char *to, int64_t k, double v)
{
    const float f = (float)v;
    if (dt == DT_f32)
        memcpy(to + (size_t)k * sizeof f, &f, sizeof f);
    else
        dtype_put_f(dt, to + k, v);
}

/* sum += sign * block q of w at this step, n columns from `lane` on. */
static void add_block(const Panels *p, const char *w, int q, int64_t step, int64_t lane, int64_t n, double *sum)
{
    const int64_t by = p->lane.stride, at = p->at + (step + q / HALF * p->steps) * p->step.stride + (lane + q % HALF * p->lanes) * by;
    for (int64_t l = 0; l < n; l++)
        sum[l] += p->of.sign[q] * number_at(p->dt, w, at + l * by);
}

/* n columns of a panel, from `lane` on, at one step: every quad-th element from `out` on. */
static void make_columns(const Panels *p, const char *from, int64_t step, int64_t lane, int64_t n, char *out)
{
    double sum[COLUMN_STRIP] = {0};
    for (int q = 0; q < BLOCKS; q++)
        if (p->of.sign[q])
            add_block(p, from, q, step, lane, min_i64(n, p->lanes - lane), sum);
    for (int64_t l = 0; l < n; l++)
        put_number(p->dt, out, l * p->quad, sum[l]);
}

static void make_panels(const Recipe *r, const char *from, int64_t first, int64_t n, char *out)
{
    const Panels *p = (const Panels *)r;
    const int64_t rows = p->steps / p->quad, size = (int64_t)dtype_bytes(p->dt);
    for (int64_t row = first / r->unit; row < (first + n) / r->unit; row++, out += r->unit * size)
        for (int64_t l = 0; l < p->block; l += COLUMN_STRIP)
            for (int64_t q = 0; q < p->quad; q++)
                make_columns(p, from, row % rows * p->quad + q, row / rows * p->block + l, min_i64(COLUMN_STRIP, p->block - l), out + (l * p->quad + q) * size);
}

enum { PANEL_RANK = 3 };

/* Extents of panels, and where they have element (k, lane) of p. */
static void panel_index(const Auto *g, const Blocks *b, const Place *p, const Expr **dim, const Expr **index)
{
    const Expr *block = ex_int(g->x, b->block), *quad = ex_int(g->x, b->p.d.quad), *lane = p->var[b->p.d.lane];
    const Expr *const dims[] = {ex_int(g->x, (b->lanes + b->block - 1) / b->block), ex_int(g->x, b->steps / b->p.d.quad), ex_mul(g->x, block, quad)};
    const Expr *const at[] = {ex_fdiv(g->x, lane, block), ex_fdiv(g->x, p->k, quad), ex_add(g->x, ex_mul(g->x, ex_mod(g->x, lane, block), quad), ex_mod(g->x, p->k, quad))};
    memcpy(dim, dims, sizeof dims);
    memcpy(index, at, sizeof at);
}

static uint32_t panels_of(Auto *g, const Blocks *b, const Terms *t, const Expr *const *dim)
{
    const uint32_t w = b->p.w->v.ref;
    const char *key = str_fmt(g->a, "%s %u %" PRId64 " %" PRId64 "*%" PRId64 " %" PRId64 "*%" PRId64 " %" PRId64, t->name, w, b->p.at, b->steps, b->p.walk[0].stride, b->lanes, b->p.walk[1].stride, b->block);
    uint64_t *made = map_str(g->made, key, true);
    if (*made)
        return (uint32_t)*made;
    Panels *p = NEW(g->a, Panels);
    *p = (Panels){.r = {.arena = g->a, .from = ten(g->te, w)->data, .unit = b->block * b->p.d.quad, .make = make_panels}, .of = *t, .dt = (DType)b->p.w->dt,
                  .step = b->p.walk[0], .lane = b->p.walk[1], .at = b->p.at, .steps = b->steps, .lanes = b->lanes, .block = b->block, .quad = b->p.d.quad};
    *made = auto_tensor(g, str_fmt(g->a, "%s.%s%u", ten(g->te, w)->name, t->name, g->te->ten.n), TEN_const, PANEL_RANK, dim);
    ten(g->te, (uint32_t)*made)->dt = p->dt;
    ten(g->te, (uint32_t)*made)->data = blob_made(g->a, p->dt, dim[0]->v.i * b->steps * b->block, &p->r);
    return (uint32_t)*made;
}

const Expr *strassen_constant(Auto *g, const Blocks *b, const Place *p, const Terms *t)
{
    const Expr *dim[PANEL_RANK], *index[PANEL_RANK];
    panel_index(g, b, p, dim, index);
    return ex_load(g->x, (DType)b->p.w->dt, panels_of(g, b, t, dim), PANEL_RANK, index);
}

const Expr *strassen_panel(Auto *g, const Blocks *b, const Place *at, uint32_t *k, const Terms *t, const Terms *of)
{
    Place p = {.rank = PANEL_RANK};
    const Expr *index[PANEL_RANK], *term[TERMS] = {NULL};
    panel_index(g, b, at, p.dim, index);
    for (uint8_t d = 0; d < p.rank; d++)
        p.var[d] = ex_index(g->x, (const char *const[]){"o", "k", "l"}[d], p.dim[d]);
    for (int q = 0; q < BLOCKS; q++)
        if (t->sign[q])
            term[q] = ex_load(g->x, (DType)b->p.w->dt, panels_of(g, b, &of[q], p.dim), p.rank, p.var);
    Stage *s = strassen_stage(g, b, t->name, &p);
    ten(g->te, s->out)->dt = b->dt;
    s->body = strassen_sum(g, b, t, term);
    g->packed.at[s->out] = g->panel.at[s->out] = true;
    auto_insert(g, (*k)++, s);
    return ex_load(g->x, b->dt, s->out, p.rank, index);
}

/* ---- where they are made ---- */

static void find_constant(void *ctx, const Expr *e)
{
    if (e->op == EX_load)
        *(const Expr **)ctx = e;
}

int64_t panel_bytes(const Auto *g, uint32_t t)
{
    const Expr *from = NULL;
    ex_walk(g->body[ten(g->te, t)->stage], find_constant, &from);
    const Ten *c = ten(g->te, from->v.ref);
    return bytes_of_tensor(g, from->v.ref) / extent_of(g, c->dim[0]);
}

static void place_panel(Auto *g, uint32_t t)
{
    const uint32_t k = g->nreader[t] == 1 ? g->reader[t][0] : NO_STAGE;
    Dot d;
    if (k == NO_STAGE || !dot_of(g, k, &d) || d.w->v.ref != t)
        return;
    const uint32_t host = g->s->stage[k].place == PL_register ? g->s->stage[k].host : k;
    const int lane = variable_of_host(g, host, k, d.lane);
    if (g->s->stage[host].place != PL_root || g->block[host] || g->band[host].step || lane < 0)
        return;
    g->band[host] = (LoopStep){(uint8_t)lane, (int32_t)lanes_per_tile(g, &d, k), 0};
    g->host[host] = true;
    place_in_band(g, ten(g->te, t)->stage, host);
}

void auto_panels(Auto *g)
{
    for (uint32_t t = 1; t < g->te->ten.n; t++)
        if (g->panel.at[t])
            place_panel(g, t);
}

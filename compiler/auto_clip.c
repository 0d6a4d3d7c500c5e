/* SPDX-License-Identifier: Apache-2.0
 *
 * Products of unsigned bytes (auto_sign.c) and a constant of signed ones where x86 has no exact dot of bytes. pmaddubsw multiplies 32 of them at once, but adds two
 * neighbours in 16 bits, which saturate. So the constant is clipped, and what is cut off it, few elements, makes a product of its own:
 *
 *   y[m,n] = sum(k) x[m,k]*w[k,n]   becomes   y[m,n] = sum(k) x[m,k]*a[k,n] + sum(k) x[m,k]*r[k,n]      w = a + r
 *
 * Of eight steps of a column, 0, 1, 4, 5 and 2, 3, 6, 7 are what one lane of 16 bits adds up in two instructions: those of one sign are at most 128 together
 * in a, which 255 times as much leaves below 2^15. Exact, whatever x is. Of weights as large as their channel allows 4 to 6 in a hundred are cut.
 *
 * r is held as lists (ir/blob_lists.c). Their lanes are rows of x, which is turned over once for all products that read it; what they add up to is made for
 * some columns at a time, where the loop over columns of the other product begins, turned back, and what its accumulators start with.
 */
#include <inttypes.h>
#include <math.h>

#include "auto_clip.h"
#include "auto_tile.h"
#include "parallel_cost.h"

enum { STEPS = 16 /* turned over together */, LEAST_STEPS = 192 /* fewer have no room for what is cut */, LEAST_ROWS = 32 /* of a vector of lists */ };

/* What is done for each element of r and row of x, of x that is turned over, and of y, in multiply-adds of a lane of floats. Zen 3: 128 rows of 384 to 1536
 * columns take 0.0217 ns, 0.04 (0.11 of 784 rows) and 0.15 to 0.2, of which it does 51.8 in one; the strides of ResNet-50 1.5 and 1.7 for each byte moved. */
#define OF_LISTED 1.2
#define OF_TURNED 3.0
#define OF_MOVED  80.0 /* of x whose rows lie apart, as those of a stride do: one byte after the other */
#define OF_ADDED  10.0
#define LEAST     0.9 /* of the time of pairs of 16 bits, whose products by halves (auto_strassen.c) take 0.88 to 0.98 */

/* ---- which products ---- */

/* Whether the rows of x lie one after the other as those of the product are counted: each of its other dimensions is one variable, all of it, or one place. */
static bool has_plain_rows(const Auto *g, const Clip *c)
{
    const Ten *x = ten(g->te, c->p.x->v.ref), *y = ten(g->te, c->p.s->out);
    int last = -1, v;
    for (uint8_t d = 0; d < x->rank; d++) {
        if (d == c->step || ex_is_const(c->p.x->a[d]))
            continue;
        if (!is_pure_var(c->p.x->a[d], c->p.s->var, y->rank, &v) || v <= last || extent_of(g, y->dim[v]) != extent_of(g, x->dim[d]))
            return false;
        last = v;
    }
    return true;
}

/* How much longer the part of a run takes that has most columns than one that has its share: they are dealt out by tiles. */
static double unevenness(const Auto *g, uint32_t k, const Clip *c)
{
    const int64_t tile = lanes_per_tile(g, &c->p.d, k), tiles = (c->lanes + tile - 1) / tile, turns = (tiles + g->parts - 1) / g->parts;
    return (double)(turns * g->parts) / (double)tiles;
}

/* What parts do for each other, in multiply-adds: a meeting, and each takes all of what is turned over from those that made it. */
static double shared_work(const Auto *g, const Clip *c)
{
    const double rate = g->m->fma_rate * g->m->lanes_f32, taken = (double)(c->p.steps * c->rows) * (g->parts - 1) / g->parts / g->m->pull_rate;
    return (meet_cycles(g->parts - 1, g->parts) + taken) * g->parts * rate;
}

/* By output. Lists have vectors of 32 bytes at most. */
static bool pays(const Auto *g, uint32_t k, const Clip *c)
{
    const double steps = (double)c->p.steps, lanes = (double)c->lanes, pairs = steps / (2 * g->m->dot_i16), octs = steps / (4 * g->m->dot_clip8);
    const double uneven = unevenness(g, k, c), narrow = fmax(1, g->m->lanes_f32 / 8.0), whole = (double)align_up(c->rows, LEAST_ROWS) / (double)c->rows;
    const double room = (LEAST * pairs - shared_work(g, c) / (lanes * (double)c->rows)) / uneven - octs - narrow * ((c->plain ? OF_TURNED : OF_MOVED) * steps / lanes + OF_ADDED);
    return room > 0 && whole * narrow * OF_LISTED * (double)clip_count(g, c) <= room * lanes;
}

bool may_be_clipped(const Auto *g, const Stage *s, const Dot *d)
{
    int walked = 0;
    for (uint8_t q = 0; q < s->nr; q++)
        walked += !ex_is_int(s->rext[q], 1);
    const bool fits = walked == 1 && d->w->dt == DT_i8 && is_constant_load(g, d->w) && reduction_steps(g, s) >= LEAST_STEPS && points_sharing(g, s, d->w) >= LEAST_ROWS;
    return g->m->dot_clip8 > 0 && fits && may_store_words(g);
}

static bool find_clip(const Auto *g, uint32_t k, Clip *c)
{
    if (g->m->dot_clip8 <= 0 || !auto_product_of_bytes(g, k, &c->p) || !may_be_clipped(g, c->p.s, &c->p.d))
        return false;
    const Ten *y = ten(g->te, c->p.s->out);
    c->lanes = extent_of(g, y->dim[c->p.d.lane]);
    c->rows = points_of_tensor(g, c->p.s->out) / c->lanes;
    c->step = dim_of(c->p.x, c->p.k);
    const bool fits = !c->p.nbatch && c->p.steps % STEPS == 0 && c->p.steps <= UINT16_MAX && c->lanes % g->m->lanes_f32 == 0 && c->rows >= LEAST_ROWS;
    c->plain = fits && has_plain_rows(g, c);
    return fits && c->step >= 0 && pays(g, k, c);
}

/* ---- tensors ---- */

static Stage *map_stage(Auto *g, const Clip *c, uint32_t t, const Expr *const *var, uint8_t rank, const Expr *body)
{
    Stage *s = NEW(g->a, Stage);
    *s = (Stage){.kind = ST_map, .out = t, .node = c->p.s->node, .body = body};
    memcpy(s->var, var, rank * sizeof *var);
    ten(g->te, t)->dt = (DType)body->dt;
    for (uint8_t d = 0; d < rank; d++) /* made for its order: it follows no other */
        g->layout.at[t].order[d] = d;
    g->layout.at[t].set = true;
    return s;
}

/* The number of the row that the product's variables are at. */
static const Expr *row_number(const Auto *g, const Clip *c)
{
    const Ten *y = ten(g->te, c->p.s->out);
    const Expr *n = ex_int(g->x, 0);
    for (uint8_t v = 0; v < y->rank; v++)
        if (v != c->p.d.lane)
            n = ex_add(g->x, ex_mul(g->x, n, y->dim[v]), c->p.s->var[v]);
    return n;
}

/* The variables of the product but for its lanes, of which each row has others: in one number where x lies so. */
typedef struct Rows { const Expr *dim[MAX_RANK], *var[MAX_RANK]; uint8_t n; } Rows;

static Rows rows_of(const Auto *g, const Clip *c)
{
    const Ten *y = ten(g->te, c->p.s->out);
    Rows r = {.dim = {ex_int(g->x, c->rows)}, .n = 1};
    if (!c->plain) {
        r.n = 0;
        for (uint8_t v = 0; v < y->rank; v++)
            if (v != c->p.d.lane)
                r.dim[r.n++] = y->dim[v];
    }
    for (uint8_t d = 0; d < r.n; d++)
        r.var[d] = ex_index(g->x, "p", r.dim[d]);
    return r;
}

/* The digits of row number `row` in such extents, the last of which counts ones. */
static void digits(const Auto *g, const Expr *row, const Expr *const *dim, int n, const Expr **digit)
{
    for (int d = n - 1; d >= 0; d--) {
        digit[d] = d ? ex_mod(g->x, row, dim[d]) : row;
        row = ex_fdiv(g->x, row, dim[d]);
    }
}

/* x at step k of those rows. */
static const Expr *x_of_row(const Auto *g, const Clip *c, const Rows *r, const Expr *k)
{
    const Ten *y = ten(g->te, c->p.s->out);
    const Expr *dim[MAX_RANK], *digit[MAX_RANK];
    Subst of[MAX_RANK + 1] = {{c->p.k, k}};
    int n = 0;
    for (uint8_t v = 0; v < y->rank; v++)
        if (v != c->p.d.lane) {
            dim[n] = y->dim[v];
            of[1 + n++].from = c->p.s->var[v];
        }
    if (r->n == 1)
        digits(g, r->var[0], dim, n, digit);
    for (int d = 0; d < n; d++)
        of[1 + d].to = r->n == 1 ? digit[d] : r->var[d];
    return ex_subst(g->x, c->p.x, of, (uint32_t)n + 1);
}

/* What x turned over is known by: where its first element is, and how far each variable moves along each dimension; NULL: not always as far. */
static const char *key_of_x(const Auto *g, const Clip *c)
{
    const Ten *y = ten(g->te, c->p.s->out);
    Subst first[MAX_RANK + 1] = {{c->p.k, ex_int(g->x, 0)}};
    Text t = {.arena = g->a};
    bool linear = true;
    text_add(&t, "turned %u %" PRId64, c->p.x->v.ref, c->p.steps);
    for (uint8_t v = 0; v < y->rank; v++)
        first[v + 1] = (Subst){c->p.s->var[v], ex_int(g->x, 0)};
    for (uint16_t d = 0; d < c->p.x->n && linear; d++) {
        const Expr *at = ex_subst(g->x, c->p.x->a[d], first, y->rank + 1u);
        linear = ex_is_const(at);
        text_add(&t, " : %" PRId64, linear ? at->v.i : 0);
        for (uint8_t v = 0; v <= y->rank; v++) {
            bool one;
            text_add(&t, " %" PRId64, ex_coef(c->p.x->a[d], first[v].from, &one));
            linear = linear && one;
        }
    }
    for (uint8_t v = 0; v < y->rank; v++)
        text_add(&t, " %" PRId64, v == c->p.d.lane ? 0 : extent_of(g, y->dim[v]));
    return linear ? text_str(&t) : NULL;
}

/* x'[k, row..], which is made before stage *k, which moves on, unless another product has it. */
static uint32_t turned(Auto *g, uint32_t *k, const Clip *c)
{
    const char *key = key_of_x(g, c);
    uint64_t *made = key ? map_str(g->made, key, true) : NULL;
    if (made && *made)
        return (uint32_t)*made;
    const Rows r = rows_of(g, c);
    const Expr *dim[MAX_RANK] = {ex_int(g->x, c->p.steps)}, *var[MAX_RANK] = {ex_index(g->x, "k", dim[0])};
    memcpy(dim + 1, r.dim, r.n * sizeof *dim);
    memcpy(var + 1, r.var, r.n * sizeof *var);
    const Expr *x = x_of_row(g, c, &r, var[0]);
    const uint32_t t = auto_tensor(g, str_fmt(g->a, "%s.turned", ten(g->te, x->v.ref)->name), TEN_stage, (uint8_t)(1 + r.n), dim);
    if (made)
        *made = t;
    auto_insert(g, (*k)++, map_stage(g, c, t, var, (uint8_t)(1 + r.n), x));
    return t;
}

/* Its element at step k of row number `row`. */
static const Expr *turned_at(const Auto *g, uint32_t t, const Expr *k, const Expr *row)
{
    const Ten *x = ten(g->te, t);
    const Expr *index[MAX_RANK] = {k};
    digits(g, row, x->dim + 1, x->rank - 1, index + 1);
    return ex_load(g->x, DT_u8, t, x->rank, index);
}

/* ---- stages ---- */

/* sum(k) r[n, k] * x'[k, row], and the same turned back. */
static uint32_t listed(Auto *g, uint32_t *k, const Clip *c)
{
    const char *name = ten(g->te, c->p.s->out)->name;
    const uint32_t x = turned(g, k, c), r = clip_rest(g, c);
    const Expr *dim[] = {ex_int(g->x, c->lanes), ex_int(g->x, c->rows)}, *var[] = {ex_index(g->x, "n", dim[0]), ex_index(g->x, "p", dim[1])};
    const Expr *step = ex_index(g->x, "k", ex_int(g->x, c->p.steps)), *const at_r[] = {var[0], step};
    const uint32_t sum = auto_tensor(g, str_fmt(g->a, "%s.listed", name), TEN_stage, 2, dim);
    Stage *s = map_stage(g, c, sum, var, 2, ex_mul(g->x, ex_cast(g->x, DT_i32, ex_load(g->x, DT_i8, r, 2, at_r)), ex_cast(g->x, DT_i32, turned_at(g, x, step, var[1]))));
    s->kind = ST_reduce;
    s->op = RED_sum;
    s->nr = 1;
    s->rvar[0] = step;
    s->rext[0] = ex_int(g->x, c->p.steps);
    auto_insert(g, (*k)++, s);
    const Expr *back_dim[] = {dim[1], dim[0]}, *back[] = {ex_index(g->x, "p", dim[1]), ex_index(g->x, "n", dim[0])}, *const at[] = {back[1], back[0]};
    const uint32_t t = auto_tensor(g, str_fmt(g->a, "%s.start", name), TEN_stage, 2, back_dim);
    auto_insert(g, (*k)++, map_stage(g, c, t, back, 2, ex_load(g->x, DT_i32, sum, 2, at)));
    return t;
}

/* The product with a, of start; y is the sum of both. Returns the number of stages put before it. */
static uint32_t take(Auto *g, uint32_t k, const Clip *c)
{
    const uint32_t first = k, y = c->p.s->out, start = listed(g, &k, c);
    const uint32_t a = clip_constant(g, c);
    const uint32_t t = auto_tensor(g, str_fmt(g->a, "%s.clipped", ten(g->te, y)->name), TEN_stage, ten(g->te, y)->rank, ten(g->te, y)->dim);
    Stage *s = arena_copy(g->a, c->p.s, sizeof *s);
    s->out = t;
    s->body = ex_mul(g->x, ex_cast(g->x, DT_i32, c->p.d.x), ex_cast(g->x, DT_i32, auto_load_from(g, c->p.d.w, DT_i8, a)));
    ten(g->te, t)->dt = DT_i32;
    g->pinned.at[t] = false;
    ten(g->te, t)->clipped = true;
    g->start.at[t] = start;
    auto_insert(g, k++, s);
    const Expr *const at[] = {row_number(g, c), c->p.s->var[c->p.d.lane]};
    const Expr *sum = ex_add(g->x, ex_load(g->x, DT_i32, t, ten(g->te, y)->rank, s->var), ex_load(g->x, DT_i32, start, 2, at));
    g->te->stage.at[k] = product_result(g, &c->p, sum);
    const Reach *known = auto_known_sums(g, y);
    if (known)
        auto_know_total(g, sum, known);
    return k - first;
}

void auto_clip(Auto *g)
{
    Clip c;
    auto_views(g);
    for (uint32_t k = 0; k < g->te->stage.n; k++)
        if (find_clip(g, k, &c)) {
            k += take(g, k, &c);
            auto_views(g);
        }
}

/* ---- where they are made ---- */

static void place_start(Auto *g, uint32_t k)
{
    const StagePlan *p = &g->s->stage[k];
    const uint32_t start = g->start.at[g->te->stage.at[k]->out], back = ten(g->te, start)->stage, sum = ten(g->te, g->body[back]->v.ref)->stage;
    Dot d;
    if (p->place != PL_register || !dot_of(g, k, &d) || g->nreader[start] != 1 || g->reader[start][0] != p->host)
        return;
    const int lane = variable_of_host(g, p->host, k, d.lane);
    if (g->s->stage[p->host].place != PL_root || g->block[p->host] || g->band[p->host].step || lane < 0)
        return;
    g->band[p->host] = (LoopStep){(uint8_t)lane, (int32_t)lanes_per_tile(g, &d, k), 0};
    place_in_band(g, sum, p->host);
    place_in_band(g, back, p->host);
}

void auto_starts(Auto *g)
{
    for (uint32_t k = 0; k < g->te->stage.n; k++)
        if (g->start.at[g->te->stage.at[k]->out])
            place_start(g, k);
}

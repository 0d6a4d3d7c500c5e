/* SPDX-License-Identifier: Apache-2.0
 *
 * Windows over pairs of columns (auto_columns.h).
 */
#include <math.h>

#include "auto_columns.h"

enum { PAIR = COLUMNS, MOST_TAPS = 8, MOST_WEIGHTS = 1 << 12 }; /* in a row, of a lane */

/* ---- which ---- */

/* What remains of the index of the column less a variable and a tap: a number. */
static bool find_tap(const Auto *g, Window *w)
{
    const Expr *e = ex_sub(g->x, w->d.x->a[w->column], ex_mul(g->x, w->s->var[w->var], ex_int(g->x, w->step)));
    for (w->tap = 0; w->tap < w->s->nr; w->tap++) {
        const Expr *rest = ex_sub(g->x, e, w->s->rvar[w->tap]);
        if (!ex_is_const(rest) || sole_dim(w->d.x, w->s->rvar[w->tap]) != w->column)
            continue;
        w->at = rest->v.i;
        w->taps = w->s->rext[w->tap]->v.i;
        return w->taps <= MOST_TAPS;
    }
    return false;
}

/* Taps of a pair's first element before the first tap of the window: of column p of a pair where the step is 1. */
static int64_t lead(const Window *w, int64_t p) { return (p + w->at) & 1; }

/* Pairs that the window of one column spans. */
static int64_t pairs_of(const Window *w) { return ((w->step == 1 ? 1 : lead(w, 0)) + w->taps - 1) / PAIR + 1; }

/* Whether k has an element for each lane and tap, and no others. */
static bool has_weights(const Auto *g, const Window *w)
{
    const uint8_t rank = ten(g->te, w->s->out)->rank;
    bool yes = is_constant_load(g, w->d.w) && w->d.w->op == EX_load && w->s->nr + 6 <= MAX_RANK;
    for (uint8_t v = 0; v < rank; v++)
        yes = yes && (v == w->d.lane || !index_uses(w->d.w, w->s->var[v]));
    for (uint8_t r = 0; r < w->s->nr; r++)
        yes = yes && (index_uses(w->d.w, w->s->rvar[r]) || ex_is_int(w->s->rext[r], 1));
    return yes;
}

bool find_window(const Auto *g, uint32_t k, Window *w)
{
    bool linear;
    *w = (Window){.s = g->te->stage.at[k]};
    if (!dot_of(g, k, &w->d) || w->d.lane < 0 || w->d.group || w->d.row < 0)
        return false;
    w->var = w->d.row;
    w->column = sole_dim(w->d.x, w->s->var[w->var]);
    w->step = w->column < 0 ? 0 : ex_coef(w->d.x->a[w->column], w->s->var[w->var], &linear);
    if ((w->step != 1 && w->step != PAIR) || !linear || !has_known_extents(g, w->s) || !has_weights(g, w) || !find_tap(g, w))
        return false;
    const Expr *lane = w->s->var[w->d.lane];
    w->pairs = pairs_of(w);
    return dim_of(w->d.x, lane) >= 0 && sole_dim(w->d.x, lane) >= 0;
}

bool window_splits(const Auto *g, const Window *w)
{
    const uint32_t v = w->d.x->v.ref;
    const Ten *t = ten(g->te, v);
    const bool tight = g->tight && v < g->ntight && g->tight[v], own = t->kind == TEN_stage && layout_free(g, v) && g->nreader[v] == 1;
    return own && !tight && t->rank < MAX_RANK && ex_is_const(t->dim[w->column]) && t->dim[w->column]->v.i % PAIR == 0;
}

bool window_follows(const Auto *g, const Window *w, uint32_t k, const Dot *d)
{
    const Expr *column = g->te->stage.at[k]->var[w->column];
    return sole_dim(d->x, column) >= 0 && !index_uses(d->w, column);
}

uint32_t window_reader(const Auto *g, const Window *w)
{
    const uint32_t y = w->s->out, k = g->nreader[y] == 1 ? g->reader[y][0] : NO_STAGE;
    const Stage *s = k == NO_STAGE ? NULL : g->te->stage.at[k];
    const Expr *load = s && s->kind == ST_map ? ex_sole_load(s->body, y) : NULL;
    const bool columns = w->step != 1 || (s && layout_free(g, s->out) && ten(g->te, y)->dim[w->var]->v.i % PAIR == 0);
    return load && load->op == EX_load && columns && layout_free(g, y) ? k : NO_STAGE;
}

/* ---- constants ---- */

bool find_window_weights(const Auto *g, const Window *w, WindowWeights *k)
{
    const Expr *var[MAX_RANK + 2] = {w->s->var[w->d.lane]}, *extent[MAX_RANK + 2] = {ten(g->te, w->s->out)->dim[w->d.lane]};
    *k = (WindowWeights){.from = blob_held(ten(g->te, w->d.w->v.ref)->data, g->a), .n = 1, .lanes = extent[0]->v.i, .places = 1, .taps = w->taps};
    for (uint8_t r = 0; r < w->s->nr; r++)
        if (r != w->tap) {
            var[k->n] = w->s->rvar[r];
            extent[k->n++] = w->s->rext[r];
            k->places *= w->s->rext[r]->v.i;
        }
    var[k->n] = w->s->rvar[w->tap];
    extent[k->n++] = w->s->rext[w->tap];
    return k->places * k->taps <= MOST_WEIGHTS && auto_walks(g, w->d.w, var, extent, k->n, k->walk, &k->at);
}

double window_weight(const WindowWeights *k, int64_t lane, int64_t i)
{
    int64_t at = k->at + lane * k->walk[0].stride;
    for (uint8_t q = k->n; q-- > 1; i /= k->walk[q].extent)
        at += i % k->walk[q].extent * k->walk[q].stride;
    return blob_f(k->from, k->from->fill ? 0 : at);
}

/* k'[m, p, places.., e, u] */
static void fill_weights(const Window *w, const WindowWeights *k, int64_t columns, const double *step, int16_t *out, int64_t *zero)
{
    for (int64_t m = 0; m < k->lanes; m++)
        for (int64_t p = 0; p < columns; p++) {
            int64_t sum = 0;
            for (int64_t i = 0; i < k->places; i++)
                for (int64_t e = 0; e < w->pairs * PAIR; e++) {
                    const int64_t tap = e - lead(w, p);
                    const int64_t v = tap < 0 || tap >= k->taps ? 0 : llrint(window_weight(k, m, i * k->taps + tap) / (step ? step[m] : 1));
                    *out++ = (int16_t)v;
                    sum += v;
                }
            if (zero)
                zero[m] = sum;
        }
}

/* Variables of pair and element in what is read, and the column of a pair that is summed; NULL: there is one. */
typedef struct Inside { const Expr *pair, *element, *column; } Inside;

/* Dimensions of a constant, and where it is read. */
typedef struct Place { const Expr *dim[MAX_RANK + 2], *at[MAX_RANK + 2]; uint8_t n; } Place;

static void add_dim(Place *p, const Expr *size, const Expr *at)
{
    p->dim[p->n] = size;
    p->at[p->n++] = at;
}

static const Expr *load_weights(Auto *g, const Window *w, const Inside *in, int64_t count, const int16_t *v)
{
    Place p = {.n = 0};
    add_dim(&p, ten(g->te, w->s->out)->dim[w->d.lane], w->s->var[w->d.lane]);
    if (in->column)
        add_dim(&p, ex_int(g->x, PAIR), in->column);
    for (uint8_t r = 0; r < w->s->nr; r++)
        if (r != w->tap)
            add_dim(&p, w->s->rext[r], w->s->rvar[r]);
    add_dim(&p, ex_int(g->x, w->pairs), in->pair);
    add_dim(&p, ex_int(g->x, PAIR), in->element);
    const uint32_t t = auto_tensor(g, str_fmt(g->a, "%s.columns%u", ten(g->te, w->d.w->v.ref)->name, g->te->ten.n), TEN_const, p.n, p.dim);
    ten(g->te, t)->dt = DT_i16;
    ten(g->te, t)->data = blob_make(g->a, DT_i16, count, v);
    return ex_load(g->x, DT_i16, t, p.n, p.at);
}

/* k', and its sums. */
static const Expr *constants(Auto *g, const Window *w, const WindowWeights *k, const Inside *in, const double *step, int64_t *zero)
{
    const int64_t columns = in->column ? PAIR : 1, count = k->lanes * columns * k->places * w->pairs * PAIR;
    int16_t *v = NEWN(g->a, int16_t, count);
    fill_weights(w, k, columns, step, v, zero);
    return load_weights(g, w, in, count, v);
}

/* ---- stages ---- */

uint32_t split_columns(Auto *g, const Window *w, uint32_t product)
{
    const Phase p = {w->column, 0, PAIR};
    const uint32_t pairs = auto_phase_product(g, product, &p);
    auto_views(g);
    return auto_phase_maps(g, pairs, &p);
}

/* The load of what tensor t holds by pairs, at the window's place. */
static const Expr *load_pairs(Auto *g, const Window *w, uint32_t t, const Inside *in, int64_t pad)
{
    const Expr *x = w->d.x, *at[MAX_RANK], *v = w->s->var[w->var], *first = ex_int(g->x, (w->at - lead(w, 0)) / PAIR);
    const uint8_t rank = ten(g->te, t)->rank;
    uint8_t n = 0;
    first = ex_add(g->x, first, in->column ? ex_fdiv(g->x, v, ex_int(g->x, PAIR)) : v);
    if (in->column && lead(w, 0))
        first = ex_add(g->x, first, in->column);
    for (uint8_t d = 0; d + 1 < rank; d++) {
        at[n++] = d == w->column ? ex_add(g->x, first, in->pair) : x->a[d];
        if (d == w->column)
            at[n++] = in->element;
    }
    return ex_loadp(g->x, DT_i16, t, rank, at, ex_const_i(g->x, DT_i16, pad));
}

/* Lanes hold pairs: columns, channels, elements of a pair. */
static void set_layout(Auto *g, const Window *w, const Expr *load, int64_t pad)
{
    Layout *l = &g->layout.at[load->v.ref];
    const int lane = dim_of(w->d.x, w->s->var[w->d.lane]), element = w->column + 1, channel = lane > w->column ? lane + 1 : lane;
    uint8_t n = 0;
    for (uint8_t d = 0; d < ten(g->te, load->v.ref)->rank; d++)
        if (d != channel && d != element)
            l->order[n++] = d;
    l->order[n++] = (uint8_t)channel;
    l->order[n] = (uint8_t)element;
    l->set = true;
    l->pad = (double)pad;
    layout_want_halo(g, load, l);
}

static Inside inside(Auto *g, const Window *w)
{
    const Expr *two = ex_int(g->x, PAIR);
    return (Inside){ex_index(g->x, "e", ex_int(g->x, w->pairs)), ex_index(g->x, "u", two), w->step == 1 ? ex_mod(g->x, w->s->var[w->var], two) : NULL};
}

/* n, a stage before that of y; returns its tensor. */
static uint32_t add_sum(Auto *g, const Window *w, const Inside *in, const Expr *body)
{
    Stage *s = arena_copy(g->a, w->s, sizeof *s);
    const Ten *y = ten(g->te, w->s->out);
    for (uint8_t r = (uint8_t)w->tap; r + 1 < s->nr; r++) {
        s->rvar[r] = s->rvar[r + 1];
        s->rext[r] = s->rext[r + 1];
    }
    s->rvar[s->nr - 1] = in->pair;
    s->rext[s->nr - 1] = ex_int(g->x, w->pairs);
    s->rvar[s->nr] = in->element;
    s->rext[s->nr++] = ex_int(g->x, PAIR);
    s->out = auto_tensor(g, str_fmt(g->a, "%s.columns%u", y->name, g->te->ten.n), TEN_stage, y->rank, y->dim);
    s->body = body;
    ten(g->te, s->out)->dt = DT_i32;
    g->pinned.at[s->out] = false;
    auto_insert(g, y->stage, s);
    return s->out;
}

uint32_t sum_columns(Auto *g, const Window *w, const WindowWeights *k, uint32_t t, int64_t pad, const double *step, int64_t *zero)
{
    const Inside in = inside(g, w);
    const Expr *load = load_pairs(g, w, t, &in, pad), *weights = constants(g, w, k, &in, step, zero);
    set_layout(g, w, load, pad);
    return add_sum(g, w, &in, ex_mul(g->x, ex_cast(g->x, DT_i32, load), ex_cast(g->x, DT_i32, weights)));
}

uint32_t split_sums(Auto *g, const Window *w, uint32_t n)
{
    const Phase columns = {w->var, 0, PAIR};
    auto_drop_unread(g);
    auto_views(g);
    if (w->step != 1)
        return n;
    const uint32_t sum = auto_phase_product(g, ten(g->te, n)->stage, &columns);
    auto_views(g);
    (void)auto_phase_maps(g, sum, &columns);
    return sum;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Fetch hints of dot tiles. The hardware follows a stream within a page only, and the constant of a large product is one
 * long stream, so a tile asks for its own vectors some steps ahead (near), in each of the blocks that it walks, and its row tiles
 * together for as much as their block of lanes has, a share each, at one distance for all functions (far): behind the last block of one
 * layer lies the first of the next, so each function fetches what it and those that follow need. Where that is a line every step or
 * two it is walked at several places, in turn or, by a matrix unit, at once. Figures of Sapphire Rapids, for every machine, until others are measured.
 */
#include "build.h"

enum { LINE = 64, PAGE = 4096 }; /* bytes of a cache line, and of what the hardware follows */
/* Lines that are asked for every step or two come with less waiting in turn from several places; steps of one product of a matrix unit. */
enum { STREAMS = 4, DENSE = 2, PRODUCT_STEPS = 16, MATRIX_STREAMS = 8 };

/* The constant of a tile lies in blocks of lanes, of which the tile has one, several, or at the end a part of one; most: lanes of a
 * whole tile. by_lane, run: elements of it from one lane to the next, and from one value of reduction variable `step`, which has so many lines of
 * a block. among: it is one of several. */
typedef struct Stream { Build *b; const Tile *t; int64_t most, block; const Expr *load, *flat; int64_t by_lane, run, lines; int step; bool among; } Stream;

/* Element offset in the buffer of a load. */
static const Expr *flat_of(Build *b, const Expr *load)
{
    const Buf *p = buf(b->u, load->v.ref);
    const Expr *e = ex_int(b->x, 0);
    for (uint8_t d = 0; d < p->rank; d++)
        e = ex_add(b->x, e, ex_mul(b->x, ex_add(b->x, load->a[d], ex_int(b->x, p->lo[d])), p->stride[d]));
    return e;
}

/* Whether the lanes of a block, at least so many and at most, lie side by side and its reduction steps run after run. */
static bool has_blocks(Stream *s, const Expr *flat, int64_t least, int64_t most)
{
    Exprs *x = s->b->x;
    const Expr *l = ex_index(x, "l", ex_int(x, least));
    const Subst first = {s->t->lane, l};
    const Expr *in_first = ex_subst(x, flat, &first, 1);
    bool linear, again;
    s->by_lane = ex_coef(in_first, l, &linear);
    for (s->step = s->t->nr - 1; linear && s->by_lane > 0 && s->step >= 0; s->step--) {
        s->run = ex_coef(in_first, s->t->rvar[s->step], &again);
        s->lines = s->run == LINES * most * s->by_lane ? LINES : 1;
        s->block = s->run / s->by_lane / s->lines;
        if (again && s->run % s->by_lane == 0 && s->block >= least && s->block <= most)
            return true;
    }
    return false;
}

typedef struct Divisor { const Expr *lane; int64_t n; } Divisor;

static void find_divisor(void *ctx, const Expr *e)
{
    Divisor *d = ctx;
    if (e->op == EX_fdiv && ex_is_const(e->a[1]) && ex_uses(e->a[0], d->lane))
        d->n = e->a[1]->v.i;
}

static void find_stream(void *ctx, const Expr *e)
{
    Stream *s = ctx;
    if (s->load || e->op != EX_load || buf(s->b->u, e->v.ref)->cls != BC_const)
        return;
    const Expr *flat = flat_of(s->b, e);
    for (uint8_t k = 0; k < s->t->np; k++)
        if (ex_uses(flat, s->t->pvar[k])) /* points of several constants are no one stream */
            return;
    Divisor several = {s->t->lane, 0};
    ex_walk(flat, find_divisor, &several);
    if (several.n ? has_blocks(s, flat, several.n, several.n) : has_blocks(s, flat, s->t->lanes, s->most)) {
        s->load = e;
        s->flat = flat;
    }
}

/* ---- a constant that is made in scratch (auto_strassen.c) ---- */

enum { MOST_SOURCES = 4 };

/* The constants that it is made of, element for element, as the tile walks it; load: that of the scratch. */
typedef struct Sources { Stream like; const Expr *load; uint32_t tensor; Stream at[MOST_SOURCES]; uint8_t n; } Sources;

static void find_made(void *ctx, const Expr *e)
{
    Sources *s = ctx;
    Build *b = s->like.b;
    for (uint32_t t = 1; t < b->te->ten.n && e->op == EX_load && !s->load; t++)
        if (b->buf_of[t] == e->v.ref && place_of(b, t) == PL_at && ex_uses(flat_of(b, e), s->like.t->lane)) {
            s->load = e;
            s->tensor = t;
        }
}

static void add_source(void *ctx, const Expr *e)
{
    Sources *s = ctx;
    Build *b = s->like.b;
    const Stage *made = b->te->stage.at[ten(b->te, s->tensor)->stage];
    Subst at[MAX_RANK];
    if (e->op != EX_load || ten(b->te, e->v.ref)->kind != TEN_const || s->n == MOST_SOURCES)
        return;
    const uint8_t rank = ten(b->te, s->tensor)->rank;
    for (uint8_t d = 0; d < rank; d++)
        at[d] = (Subst){made->var[d], ex_add(b->x, s->load->a[d], b->made[s->tensor].lo[d])};
    Stream *to = &s->at[s->n];
    *to = s->like;
    to->load = nest_expr(b, e, at, rank);
    to->flat = flat_of(b, to->load);
    to->among = true;
    s->n += has_blocks(to, to->flat, to->t->lanes, to->most);
}

static void find_sources(Sources *s)
{
    ex_walk(s->like.t->body, find_made, s);
    if (s->load)
        ex_walk(s->like.b->body[ten(s->like.b->te, s->tensor)->stage], add_source, s);
}

/* flat of lane `lane`, the tile's reduction variables from number `from` on being 0. */
static const Expr *offset(const Stream *s, int64_t lane, int from)
{
    Exprs *x = s->b->x;
    Subst sub[MAX_RANK + 1] = {{s->t->lane, ex_int(x, lane)}};
    uint32_t n = 1;
    for (int k = from; k < s->t->nr; k++)
        sub[n++] = (Subst){s->t->rvar[k], ex_int(x, 0)};
    return ex_subst(x, s->flat, sub, n);
}

static void fetch_near(const Stream *s, int64_t steps, Fetch *f, uint8_t *n)
{
    Exprs *x = s->b->x;
    const int64_t line = LINE / (int64_t)dtype_bytes((DType)s->load->dt);
    for (int64_t first = 0; first < s->t->lanes; first += s->block) {
        const Expr *at = ex_add(x, offset(s, first, s->step + 1), ex_int(x, steps * s->run));
        const int64_t each = (s->by_lane * min_i64(s->block, s->t->lanes - first) + line - 1) / line;
        for (int64_t q = 0; q < each * s->lines && *n < UINT8_MAX; q++)
            f[(*n)++] = (Fetch){s->load->v.ref, ex_add(x, at, ex_int(x, q / each * s->by_lane * s->block + q % each * line)), NULL, false};
    }
}

typedef struct Follows { const Expr *flat; bool yes; } Follows;

static void find_follows(void *ctx, const Expr *e)
{
    Follows *f = ctx;
    f->yes = f->yes || (e->op == EX_var && ex_uses(f->flat, e));
}

/* Whether another place along a dimension has another constant, as another product of a batch. */
static bool is_batch(const Stream *s, const Expr *place)
{
    Follows f = {s->flat, false};
    ex_walk(place, find_follows, &f);
    return f.yes;
}

/* Values of dimension d that a whole tile has: those of the innermost loop over it, or all. */
static int64_t values_of_tile(const StagePlan *p, uint8_t d, int64_t all)
{
    int64_t n = all;
    for (uint8_t q = 0; q < p->nloop; q++)
        n = p->loop[q].var == d ? p->loop[q].step : n;
    return n;
}

/* The row tiles that share a block of the constant, numbered in the order of the output's dimensions. */
typedef struct Tiles { const Expr *number; int64_t count; } Tiles;

static Tiles tiles_of(const Stream *s, const StagePlan *p, const Ten *t, const Box *box)
{
    Exprs *x = s->b->x;
    Tiles r = {ex_int(x, 0), 1};
    for (uint8_t d = 0; d < t->rank; d++) {
        if (p->lane == (int8_t)d || is_batch(s, box->lo[d]))
            continue;
        const int64_t all = max_i64(ex_upper(x, t->dim[d]), 1), rows = max_i64(values_of_tile(p, d, all), 1), count = (all + rows - 1) / rows;
        r.number = ex_add(x, ex_mul(x, r.number, ex_int(x, count)), ex_fdiv(x, box->lo[d], ex_int(x, rows)));
        r.count *= count;
    }
    return r;
}

/* How the hints of a tile follow each other: `stride` elements for each step. What all tiles ask for together is walked at `streams` places,
 * by each tile a bit further: one after the other they would ask for lines of one or two pages at a time, which come more slowly. */
typedef struct Pace { int64_t stride, streams; } Pace;

/* Steps of a tile's reduction from its variable `from` on, as far as the constant's run goes; 0: not known. */
static int64_t steps_from(const Stream *s, int from)
{
    int64_t n = 1;
    for (int d = from; d <= s->step; d++)
        n *= ex_is_const(s->t->rext[d]) ? s->t->rext[d]->v.i : 0;
    return n;
}

static void add_far(const Stream *s, const Expr *at, const Expr *when, Fetch *f, uint8_t *n)
{
    if (*n < UINT8_MAX)
        f[(*n)++] = (Fetch){s->load->v.ref, at, when, true};
}

/* Number of a step among those of its tile. */
static const Expr *step_number(const Stream *s)
{
    const Expr *e = ex_int(s->b->x, 0);
    for (int d = 0; d <= s->step; d++)
        e = ex_add(s->b->x, ex_mul(s->b->x, e, s->t->rext[d]), s->t->rvar[d]);
    return e;
}

/* ---- tiles of vectors: a line every step or every few ---- */

/* Steps for which one line is enough. */
static int64_t steps_of_line(const Stream *s, int64_t stride)
{
    int64_t every = 1;
    while (2 * every * stride * (int64_t)dtype_bytes((DType)s->load->dt) <= LINE && steps_from(s, s->step) % (2 * every) == 0)
        every *= 2;
    return every;
}

static Pace vector_pace(const Stream *s, int64_t tiles)
{
    Pace p = {(s->run + tiles - 1) / tiles, 1};
    const int64_t every = steps_of_line(s, p.stride), n = steps_from(s, s->step), bytes = n * p.stride * tiles * (int64_t)dtype_bytes((DType)s->load->dt);
    while (every <= DENSE && 2 * p.streams <= STREAMS && n % (2 * p.streams * every) == 0 && bytes >= 2 * p.streams * PAGE)
        p.streams *= 2;
    return p;
}

/* As many lines from there on as a step has. */
static void add_lines(const Stream *s, const Pace *p, const Expr *at, const Expr *when, Fetch *f, uint8_t *n)
{
    const int64_t line = LINE / (int64_t)dtype_bytes((DType)s->load->dt);
    for (int64_t q = 0; q == 0 || q < p->stride; q += line)
        add_far(s, ex_add(s->b->x, at, ex_int(s->b->x, q)), when, f, n);
}

/* One place: a tile's share after the other. */
static void fetch_in_order(const Stream *s, const Pace *p, const Tiles *rows, const Expr *start, Fetch *f, uint8_t *n)
{
    Exprs *x = s->b->x;
    const Expr *share = ex_mul(x, rows->number, ex_int(x, steps_from(s, 0) * s->run / rows->count));
    add_lines(s, p, ex_add(x, ex_add(x, start, share), ex_mul(x, step_number(s), ex_int(x, p->stride))), NULL, f, n);
}

/* Along the innermost variable k the places take turns; hints that would name a line again are left out then. */
static void fetch_in_turns(const Stream *s, const Pace *p, const Tiles *rows, const Expr *start, Fetch *f, uint8_t *n)
{
    Exprs *x = s->b->x;
    const Expr *k = s->t->rvar[s->step];
    const int64_t every = steps_of_line(s, p->stride), share = steps_from(s, 0) * p->stride / p->streams; /* of a tile, at one place */
    const Expr *first = ex_add(x, start, ex_mul(x, rows->number, ex_int(x, share)));
    const Expr *outer = ex_fdiv(x, ex_mul(x, ex_sub(x, step_number(s), k), ex_int(x, p->stride)), ex_int(x, p->streams));
    const Expr *turn = ex_mod(x, ex_fdiv(x, k, ex_int(x, every)), ex_int(x, p->streams)), *line = ex_fdiv(x, k, ex_int(x, every * p->streams));
    const Expr *inner = ex_add(x, ex_mul(x, line, ex_int(x, every * p->stride)), ex_mul(x, turn, ex_int(x, share * rows->count)));
    add_lines(s, p, ex_add(x, ex_add(x, first, outer), inner), every > 1 ? ex_mod(x, k, ex_int(x, every)) : NULL, f, n);
}

static void fetch_vectors(const Stream *s, const Tiles *rows, const Expr *start, Fetch *f, uint8_t *n)
{
    const Pace p = vector_pace(s, rows->count);
    (p.streams > 1 || s->among ? fetch_in_turns : fetch_in_order)(s, &p, rows, start, f, n);
}

/* ---- tiles of a matrix unit: lines for each product ---- */

/* Blocks of lanes that lie inside the loops over the rows, so that each row tile walks them all; at: which of them. */
typedef struct Group { const Expr *at; int64_t blocks; } Group;

static Group group_of(const Stream *s, const StagePlan *p, const Expr *first)
{
    Exprs *x = s->b->x;
    int64_t all = s->most; /* lanes that the outermost loop over them passes at a time */
    for (uint8_t q = 0; q < p->nloop; q++)
        all = p->loop[q].var == (uint8_t)p->lane ? max_i64(all, p->loop[q].step) : all;
    return (Group){ex_fdiv(x, ex_mod(x, first, ex_int(x, all)), ex_int(x, s->most)), all / s->most};
}

/* Whole lines for each product of a tile, of which `rows` share a block and `tiles` the group; as many places as divide the lines and
 * have pages of their own. */
static Pace matrix_pace(const Stream *s, int64_t rows, int64_t tiles)
{
    const int64_t size = (int64_t)dtype_bytes((DType)s->load->dt), line = max_i64(LINE / (PRODUCT_STEPS * size), 1);
    Pace p = {((s->run + rows - 1) / rows + line - 1) / line * line, 1};
    for (int64_t q = 2; q <= MATRIX_STREAMS; q++)
        if (p.stride / line % q == 0 && steps_from(s, 0) * p.stride * tiles * size >= q * PAGE)
            p.streams = q;
    return p;
}

/* All places at once, for as much as the group has. */
static void fetch_matrix(const Stream *s, const Tiles *rows, Group group, const Expr *start, Fetch *f, uint8_t *n)
{
    Exprs *x = s->b->x;
    const int64_t tiles = rows->count * group.blocks, steps = steps_from(s, 0);
    const Pace pace = matrix_pace(s, rows->count, tiles);
    const int64_t each = pace.stride / pace.streams, apart = tiles * steps * each;
    const Expr *first = ex_sub(x, start, ex_mul(x, group.at, ex_int(x, steps * s->run)));
    const Expr *number = ex_add(x, ex_mul(x, rows->number, ex_int(x, group.blocks)), group.at);
    const Expr *at = ex_add(x, ex_add(x, first, ex_mul(x, number, ex_int(x, steps * each))), ex_mul(x, step_number(s), ex_int(x, each)));
    for (int64_t q = 0; q < pace.streams; q++)
        add_far(s, ex_add(x, at, ex_int(x, q * apart)), NULL, f, n);
}

/* A tile's share of as much as its block of lanes has, from so many bytes further on. */
static void fetch_far(const Stream *s, const Box *box, uint32_t k, Fetch *f, uint8_t *n)
{
    Build *b = s->b;
    Exprs *x = b->x;
    const StagePlan *p = plan_of(b, k);
    const Tiles tiles = tiles_of(s, p, out_of(b, b->te->stage.at[k]), box);
    const Expr *start = ex_add(x, offset(s, 0, 0), ex_int(x, p->far / (int64_t)dtype_bytes((DType)s->load->dt)));
    if (p->matrix)
        fetch_matrix(s, &tiles, group_of(s, p, box->lo[p->lane]), start, f, n);
    else
        fetch_vectors(s, &tiles, start, f, n);
}

/* ---- what sums are added to ---- */

typedef struct Added { Build *b; Tile *t; } Added;

/* Its lines at one point, before the sum begins. */
static void fetch_point(const Added *a, uint32_t buf, const Expr *flat, int64_t point, int64_t line)
{
    Exprs *x = a->b->x;
    Tile *t = a->t;
    Subst at[MAX_RANK + 1] = {{t->lane, NULL}};
    for (uint8_t k = t->np; k-- > 0; point /= t->pext[k])
        at[k + 1] = (Subst){t->pvar[k], ex_int(x, point % t->pext[k])};
    for (int64_t lane = 0; lane < t->lanes && t->nfetch < UINT8_MAX; lane += line) {
        at[0].to = ex_int(x, lane);
        t->fetch[t->nfetch++] = (Fetch){buf, ex_subst(x, flat, at, t->np + 1u), t->rvar[0], false};
    }
}

/* A tensor that the result takes rows of, one element for each of its own. */
static void fetch_added(void *ctx, const Expr *e)
{
    const Added *a = ctx;
    bool linear;
    if (e->op != EX_load || buf(a->b->u, e->v.ref)->cls != BC_arena)
        return;
    const Expr *flat = flat_of(a->b, e);
    if (ex_coef(flat, a->t->lane, &linear) != 1 || !linear || !ex_uses(flat, a->t->pvar[a->t->np - 1]))
        return;
    for (int32_t p = 0; p < tile_points(a->t); p++)
        fetch_point(a, e->v.ref, flat, p, LINE / (int64_t)dtype_bytes((DType)e->dt));
}

static void fetch_all_added(Build *b, Tile *t)
{
    Added a = {b, t};
    if (t->matrix || !t->np)
        return;
    for (uint8_t k = 0; k < t->nstore; k++)
        ex_walk(t->store[k].value, fetch_added, &a);
}

/* Of its constant, or of those that this is made of. */
static void fetch_constants(const StagePlan *p, Stream *s, const Box *box, uint32_t k, Tile *t)
{
    Sources sources = {.like = *s};
    ex_walk(t->body, find_stream, s);
    if (s->load && p->near)
        fetch_near(s, p->near, t->fetch, &t->nfetch);
    if (s->load && p->far)
        fetch_far(s, box, k, t->fetch, &t->nfetch);
    if (s->load || !p->far)
        return;
    find_sources(&sources);
    for (uint8_t q = 0; q < sources.n; q++)
        fetch_far(&sources.at[q], box, k, t->fetch, &t->nfetch);
}

void tile_fetches(Build *b, Tile *t, uint32_t k, const Box *box)
{
    const StagePlan *p = plan_of(b, k);
    Stream s = {.b = b, .t = t, .most = p->lane >= 0 ? values_of_tile(p, (uint8_t)p->lane, t->lanes) : t->lanes};
    if ((!p->near && !p->far && !p->added) || !t->lane || t->across || t->red == RED_none)
        return;
    t->fetch = NEWN(b->a, Fetch, UINT8_MAX + 1);
    if (p->added)
        fetch_all_added(b, t);
    fetch_constants(p, &s, box, k, t);
}

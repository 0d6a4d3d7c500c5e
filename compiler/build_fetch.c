/* SPDX-License-Identifier: Apache-2.0
 *
 * Fetch hints of dot tiles. The hardware follows a stream within a page only, and the constant of a large product is one
 * long stream, so a tile asks for its own vectors some steps ahead (near), and its row tiles together for as much as their block
 * of lanes has, an even share each, at one distance for all functions (far): behind the last block of one layer lies the first
 * of the next, so each function fetches what it and those that follow need, and nothing twice.
 */
#include "build.h"

enum { LINE = 64 }; /* bytes of a cache line */

typedef struct Stream { Build *b; const Tile *t; const Expr *load, *flat; int64_t run; int step; } Stream;

/* Element offset in the buffer of a load. */
static const Expr *flat_of(Build *b, const Expr *load)
{
    const Buf *p = buf(b->u, load->v.ref);
    const Expr *e = ex_int(b->x, 0);
    for (uint8_t d = 0; d < p->rank; d++)
        e = ex_add(b->x, e, ex_mul(b->x, ex_add(b->x, load->a[d], ex_int(b->x, p->lo[d])), p->stride[d]));
    return e;
}

/* The constant whose lanes lie side by side and whose reduction steps lie run after run: run elements each, of the
 * reduction variable `step`. */
static void find_stream(void *ctx, const Expr *e)
{
    Stream *s = ctx;
    if (s->load || e->op != EX_load || buf(s->b->u, e->v.ref)->cls != BC_const)
        return;
    bool linear, again;
    const Expr *flat = flat_of(s->b, e);
    const int64_t lane = ex_coef(flat, s->t->lane, &linear);
    for (int k = s->t->nr; linear && lane > 0 && k-- > 0;)
        if (ex_coef(flat, s->t->rvar[k], &again) == lane * s->t->lanes && again) {
            *s = (Stream){s->b, s->t, e, flat, lane * s->t->lanes, k};
            return;
        }
}

/* flat of the first lane, the tile's reduction variables from number `from` on being 0. */
static const Expr *offset(const Stream *s, int from)
{
    Exprs *x = s->b->x;
    Subst sub[MAX_RANK + 1] = {{s->t->lane, ex_int(x, 0)}};
    uint32_t n = 1;
    for (int k = from; k < s->t->nr; k++)
        sub[n++] = (Subst){s->t->rvar[k], ex_int(x, 0)};
    return ex_subst(x, s->flat, sub, n);
}

static void fetch_near(const Stream *s, int64_t steps, Fetch *f, uint8_t *n)
{
    const int64_t line = LINE / (int64_t)dtype_bytes((DType)s->load->dt);
    const Expr *at = ex_add(s->b->x, offset(s, s->step + 1), ex_int(s->b->x, steps * s->run));
    for (int64_t q = 0; q * line < s->run && *n < UINT8_MAX; q++)
        f[(*n)++] = (Fetch){s->load->v.ref, ex_add(s->b->x, at, ex_int(s->b->x, q * line)), false};
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

/* The rows that share a block of the constant, numbered in the order of the output's dimensions. */
typedef struct Rows { const Expr *first; int64_t here, all; } Rows;

static Rows rows_of(const Stream *s, const StagePlan *p, const Ten *t, const Box *box)
{
    Exprs *x = s->b->x;
    Rows r = {ex_int(x, 0), 1, 1};
    for (uint8_t d = 0; d < t->rank; d++) {
        if (p->lane == (int8_t)d || is_batch(s, box->lo[d]))
            continue;
        r.first = ex_add(x, ex_mul(x, r.first, t->dim[d]), box->lo[d]);
        r.all *= ex_upper(x, t->dim[d]);
        r.here *= ex_upper(x, box->ext[d]);
    }
    return r;
}

/* A tile's share of as much as its block of lanes has, from so many bytes further on: rows of the host are numbered, a tile with
 * `here` of all `rows` fetches here / rows of it. */
static void fetch_far(const Stream *s, const Box *box, uint32_t k, Fetch *f, uint8_t *n)
{
    Build *b = s->b;
    Exprs *x = b->x;
    const StagePlan *p = plan_of(b, k);
    const Rows r = rows_of(s, p, out_of(b, b->te->stage.at[k]), box);
    int64_t steps = 1;
    const Expr *step = ex_int(x, 0);
    for (uint8_t d = 0; d <= s->step; d++) {
        step = ex_add(x, ex_mul(x, step, s->t->rext[d]), s->t->rvar[d]);
        steps *= ex_upper(x, s->t->rext[d]);
    }
    const int64_t stride = (s->run * r.here + r.all - 1) / r.all, distance = p->far / (int64_t)dtype_bytes((DType)s->load->dt);
    const Expr *start = ex_add(x, ex_add(x, offset(s, 0), ex_int(x, distance)), ex_mul(x, r.first, ex_int(x, stride * steps / r.here)));
    f[(*n)++] = (Fetch){s->load->v.ref, ex_add(x, start, ex_mul(x, step, ex_int(x, stride))), true};
}

void tile_fetches(Build *b, Tile *t, uint32_t k, const Box *box)
{
    const StagePlan *p = plan_of(b, k);
    Stream s = {.b = b, .t = t};
    if ((!p->near && !p->far) || !t->lane || t->across || t->red == RED_none)
        return;
    ex_walk(t->body, find_stream, &s);
    if (!s.load)
        return;
    t->fetch = NEWN(b->a, Fetch, UINT8_MAX + 1);
    if (p->near)
        fetch_near(&s, p->near, t->fetch, &t->nfetch);
    if (p->far && t->nfetch < UINT8_MAX)
        fetch_far(&s, box, k, t->fetch, &t->nfetch);
}

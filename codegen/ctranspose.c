/* SPDX-License-Identifier: Apache-2.0
 *
 * Tiles that copy across: the source contiguous along some points and the target along the lanes, or the other way round. Elements are
 * words of four bytes: floats, or groups of bytes and halves that lie side by side in both, as points of their own.
 * Where the source is contiguous along the points, as many as a vector has lanes, they become square blocks turned over in registers,
 * and a plain loop over the lanes behind the last whole block. Where the points are a group, whose elements come from rows that lie
 * along the lanes, rows are zipped (runtime-min/mlcc_transpose.h). Bytes, 16 points of them, become blocks of 16, the last of which lies over the one before.
 */
#include "cgen.h"

enum { BYTES = 16 }; /* a side of a block of them */

/* group: elements of a word, as the last point; fs, ts: from one lane to the next in the source, from one point in the target; bytes: words are bytes. */
typedef struct Across { CGen *g; const Tile *t; const Expr *from, *to, *fs, *ts; int32_t points, group; bool bytes; } Across;

/* Elements from one value of v to the next; NULL: not always as many. */
static const Expr *stride(const Across *c, const Expr *e, const Expr *v)
{
    Exprs *x = c->g->x;
    const Subst next = {v, ex_add(x, v, ex_int(x, 1))};
    const Expr *s = ex_sub(x, ex_subst(x, e, &next, 1), e);
    bool fixed = !ex_uses(s, c->t->lane);
    for (int k = 0; k < c->t->np; k++)
        fixed = fixed && !ex_uses(s, c->t->pvar[k]);
    return fixed ? s : NULL;
}

static bool is_stride(const Across *c, const Expr *e, const Expr *v, int64_t n)
{
    const Expr *s = stride(c, e, v);
    return s && ex_is_int(s, n);
}

static bool find_copy(Across *c)
{
    const Tile *t = c->t;
    if (t->red != RED_none || t->nstore != 1 || t->np == 0 || !t->lane || t->open)
        return false;
    const Store *s = t->store;
    if (s->value->op != EX_load || s->value->dt != buf(c->g->u, s->buf)->dt)
        return false;
    const int32_t last = t->pext[t->np - 1];
    const size_t bytes = dtype_bytes((DType)s->value->dt);
    c->from = flat_index(c->g, buf(c->g->u, s->value->v.ref), s->value->a);
    c->to = flat_index(c->g, buf(c->g->u, s->buf), s->idx);
    c->bytes = bytes == 1 && t->np == 1 && last == BYTES && t->lanes >= BYTES;
    c->group = bytes < 4 && bytes * (size_t)last == 4 && is_stride(c, c->to, t->pvar[t->np - 1], 1) ? last : 1;
    return (c->group > 1 || bytes == 4 || c->bytes) && is_stride(c, c->to, t->lane, c->group);
}

/* In words; NULL: not whole ones. */
static const Expr *words(const Across *c, const Expr *elements)
{
    if (!elements || c->group == 1)
        return elements;
    return ex_is_const(elements) && elements->v.i % c->group == 0 ? ex_int(c->g->x, elements->v.i / c->group) : NULL;
}

static bool find_blocks(Across *c)
{
    const Tile *t = c->t;
    const bool grouped = c->group > 1;
    if (t->np != 1 + grouped || (grouped && !is_stride(c, c->from, t->pvar[1], 1)) || !is_stride(c, c->from, t->pvar[0], c->group))
        return false;
    c->points = t->pext[0];
    c->fs = words(c, stride(c, c->from, t->lane));
    c->ts = words(c, stride(c, c->to, t->pvar[0]));
    const bool width = c->points == 4 || c->points == 8 || c->points == 16;
    return width && (c->bytes || c->points <= c->g->lanes) && t->lanes >= c->points && c->fs && c->ts && !ex_is_int(c->fs, 1);
}

static bool find_rows(Across *c)
{
    if (c->group == 1 || c->t->np != 1 || !is_stride(c, c->from, c->t->lane, 1))
        return false;
    c->fs = stride(c, c->from, c->t->pvar[0]);
    return c->fs != NULL;
}

static const char *place(CGen *g, uint32_t id, const Expr *flat, const Tile *t, const Expr *lane)
{
    Subst s[MAX_RANK + 1];
    for (int k = 0; k < t->np; k++)
        s[k] = (Subst){t->pvar[k], ex_int(g->x, 0)};
    s[t->np] = (Subst){t->lane, lane};
    return c_pointer(g, id, ex_subst(g->x, flat, s, t->np + 1u));
}

static void block_at(const Across *c, const Expr *q)
{
    CGen *g = c->g;
    const Store *s = c->t->store;
    ln(g->o, "%s(%s, %s, %s, %s);", c->bytes ? "mlcc_turn16" : str_fmt(g->a, "V%d_TRANSPOSE", c->points), place(g, s->value->v.ref, c->from, c->t, q), c_expr(g, c->fs),
       place(g, s->buf, c->to, c->t, q), c_expr(g, c->ts));
}

static void blocks(const Across *c, int64_t whole)
{
    CGen *g = c->g;
    const int32_t width = c->points;
    const Expr *q = whole > width ? ex_var(g->x, VK_INDEX, DT_ix, "l", 0, whole - width) : ex_int(g->x, 0);
    const char *i = whole > width ? var_ident(g, q) : NULL;
    if (i)
        open_block(g->o, "for (%s %s = 0; %s < %lld; %s += %d)", c_type(g, DT_ix), i, i, (long long)whole, i, width);
    block_at(c, q);
    if (!i)
        return;
    close_block(g->o, "");
    c_release(g, i);
}

/* The lanes behind the blocks, point by point. */
static void rest(const Across *c, int64_t from)
{
    CGen *g = c->g;
    const Tile *t = c->t;
    Nest *root = nest_block(g->a), *in = root;
    for (int k = 0; k < t->np; k++)
        in = nest_for(g->a, in, t->pvar[k], ex_int(g->x, 0), ex_int(g->x, t->pext[k]));
    const Expr *q = ex_var(g->x, VK_INDEX, DT_ix, "l", 0, t->lanes - from - 1);
    in = nest_for(g->a, in, q, ex_int(g->x, 0), ex_int(g->x, t->lanes - from));
    const Subst s = {t->lane, ex_add(g->x, q, ex_int(g->x, from))};
    const Expr *idx[MAX_RANK];
    const uint8_t rank = buf(g->u, t->store->buf)->rank;
    for (uint8_t d = 0; d < rank; d++)
        idx[d] = ex_subst(g->x, t->store->idx[d], &s, 1);
    nest_store(g->a, in, t->store->buf, rank, idx, ex_subst(g->x, t->store->value, &s, 1));
    c_nest(g, root);
}

static void zip(const Across *c)
{
    CGen *g = c->g;
    const Store *s = c->t->store;
    const Expr *first = ex_int(g->x, 0);
    ln(g->o, "mlcc_zip%d(%s, %s, %s, %d);", c->group, place(g, s->value->v.ref, c->from, c->t, first), c_expr(g, c->fs),
       place(g, s->buf, c->to, c->t, first), c->t->lanes);
}

bool c_transpose_tile(CGen *g, const Tile *t)
{
    Across c = {.g = g, .t = t};
    if (g->lanes < 4 || !find_copy(&c))
        return false;
    const bool rows = find_rows(&c);
    if (!rows && !find_blocks(&c))
        return false;
    const int64_t whole = rows ? t->lanes : t->lanes / c.points * c.points;
    open_block(g->o, "%s", "");
    if (rows)
        zip(&c);
    else
        blocks(&c, whole);
    if (whole < t->lanes && c.bytes)
        block_at(&c, ex_int(g->x, t->lanes - BYTES));
    else if (whole < t->lanes)
        rest(&c, whole);
    close_block(g->o, "");
    return true;
}

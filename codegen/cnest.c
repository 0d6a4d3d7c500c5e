/* SPDX-License-Identifier: Apache-2.0
 *
 * Loop nests as statements of C. Printing decides nothing: loops, order and placement are the nest's.
 */
#include "cgen.h"

#include <stdio.h>

#include "../ir/call.h"

/* ---- statements ---- */

/* Value as stored: comparisons are int in C, a bool is one byte. */
static const char *stored(CGen *g, const Expr *v)
{
    if (v->dt == DT_bool && v->op != EX_load && v->op != EX_const)
        return str_fmt(g->a, "(uint8_t)%s", c_expr_prec(g, v, P_UNARY));
    return c_expr(g, v);
}

static void c_store(CGen *g, const Store *s)
{
    const Buf *b = buf(g->u, s->buf);
    const Expr *all[MAX_RANK + 1];
    uint32_t n = 0;
    for (uint8_t d = 0; d < b->rank; d++)
        all[n++] = s->idx[d];
    all[n++] = s->value;
    c_temporaries(g, all, n);
    ln(g->o, "%s[%s] = %s;", buf_name(g, s->buf), c_expr(g, flat_index(g, b, s->idx)), stored(g, s->value));
    c_forget(g);
}

/* acc = acc + e is written acc += e. */
static void c_set(CGen *g, const Nest *n)
{
    c_temporaries(g, &n->expr, 1);
    const char *name = var_ident(g, n->var);
    const Expr *e = n->expr;
    const bool sum = e->op == EX_add && (dtype_is_float((DType)e->dt) || e->dt == DT_u32 || e->dt == DT_u64);
    if (sum && e->a[0] == n->var)
        ln(g->o, "%s += %s;", name, c_expr(g, e->a[1]));
    else
        ln(g->o, "%s = %s;", name, c_expr(g, e));
    c_forget(g);
}

static void find_set(void *ctx, Nest *n)
{
    const Expr **v = ctx;
    if (n->op == NS_set && n->var == *v)
        *v = NULL;
}

/* A let is constant unless something later in its block sets it. */
static bool is_changed(const Nest *block, uint32_t from, const Expr *var)
{
    for (uint32_t k = from; k < block->body.n && var; k++)
        nest_walk(block->body.at[k], find_set, &var);
    return var == NULL;
}

static void c_let(CGen *g, const Nest *n, bool changed)
{
    c_temporaries(g, &n->expr, 1);
    ln(g->o, "%s%s %s = %s;", changed ? "" : "const ", c_type(g, (DType)n->var->dt), var_ident(g, n->var),
       c_expr(g, n->expr));
    c_forget(g);
}

typedef struct Mention { const Expr *var; bool yes; } Mention;

static void find_mention(void *ctx, const Nest *at, const Expr *e, bool store)
{
    (void)at;
    (void)store;
    Mention *m = ctx;
    m->yes = m->yes || ex_uses(e, m->var);
}

/* Unit `at` of those of the outer iteration around: "4*(i + 2) + at". */
static const char *unit_at(const CGen *g, int64_t at)
{
    if (!g->units_base)
        return str_fmt(g->a, "%lld", (long long)at);
    return at ? str_fmt(g->a, "%s + %lld", g->units_base, (long long)at) : g->units_base;
}

/* All units that are dealt out. */
static long long all_units(const CGen *g, const Share *s) { return (long long)(g->units_base ? g->units : s->of * s->each); }

/* Expressions for the first iteration of a part and for what follows the last. */
static void own(CGen *g, const Nest *n, const char **first, const char **end)
{
    const Share *s = &n->share;
    const long long all = all_units(g, s);
    const char *extent = c_expr(g, n->extent);
    if (s->each > 1) {
        const char *rest = str_fmt(g->a, "%s, %s, %lld, %lld, part, parts", extent, unit_at(g, s->at * s->each), (long long)s->each, all);
        *first = str_fmt(g->a, "mlcc_own_outer(%s)", rest);
        *end = str_fmt(g->a, "mlcc_own_outer_end(%s)", rest);
    } else if (s->times) {
        const char *rest = str_fmt(g->a, "%s, %lld, %lld, part, parts", unit_at(g, 0), (long long)s->of, all);
        *first = str_fmt(g->a, "mlcc_need(%s, %lld, %lld, %s)", extent, (long long)s->times,
                         (long long)(s->below + s->at), rest);
        *end = str_fmt(g->a, "mlcc_need_end(%s, %lld, %lld, %s)", extent, (long long)s->times,
                       (long long)(s->above - s->at), rest);
    } else {
        const char *rest = str_fmt(g->a, "%s, %s, %lld", extent, unit_at(g, s->at), all);
        *first = str_fmt(g->a, "mlcc_own(%s, part, parts)", rest);
        *end = str_fmt(g->a, "mlcc_own(%s, part + 1, parts)", rest);
    }
}

/* "4*(i + 2)", behind what the loops around have before. iteration NULL: the only one. */
static const char *units_before(const CGen *g, const Share *s, const char *iteration)
{
    const long long at = (long long)s->at, each = (long long)s->each;
    const char *units = !iteration ? str_fmt(g->a, "%lld", at * each)
                        : at       ? str_fmt(g->a, "%lld*(%s + %lld)", each, iteration, at)
                                   : str_fmt(g->a, "%lld*%s", each, iteration);
    return g->units_base ? str_fmt(g->a, "%s + %s", g->units_base, units) : units;
}

/* What an iteration runs; the loops inside see which one of an outer loop it is. NULL: the only one. */
static void c_own(CGen *g, const Nest *n, const char *iteration)
{
    const char *around = g->units_base;
    if (n->share.each > 1) {
        g->units = all_units(g, &n->share);
        g->units_base = units_before(g, &n->share, iteration);
    }
    c_nest(g, n);
    g->units_base = around;
}

/* The iteration of the first unit that a part owns. */
static void c_lead(CGen *g, const Nest *n)
{
    const char *first, *end, *i = var_ident(g, n->var);
    own(g, n, &first, &end);
    open_block(g->o, "if (mlcc_leads(%s, %lld, %lld, part, parts))", c_expr(g, n->extent), (long long)n->share.at, (long long)n->share.of);
    ln(g->o, "const %s %s = %s;", c_type(g, DT_ix), i, first);
    c_nest(g, n);
    close_block(g->o, "");
    c_release(g, i);
}

/* A single iteration is a question of who owns it. The end of several is kept: gcc divides for it again before each. */
static void c_parallel(CGen *g, const Nest *n)
{
    Mention m = {.var = n->var};
    nest_exprs(n, find_mention, &m);
    const char *first, *end;
    own(g, n, &first, &end);
    if (ex_is_int(n->extent, 1) && !m.yes) {
        const bool plain = n->share.each == 1 && !n->share.times;
        if (plain)
            open_block(g->o, "if (mlcc_owns(%s, %lld, part, parts))", unit_at(g, n->share.at), all_units(g, &n->share));
        else
            open_block(g->o, "if (%s < %s)", first, end);
        c_own(g, n, NULL);
        close_block(g->o, "");
        return;
    }
    const char *i = var_ident(g, n->var),
               *lo = ex_is_int(n->lo, 0) ? "" : str_fmt(g->a, "%s + ", c_expr_prec(g, n->lo, P_ADD));
    Map own_name = {.arena = g->a};
    const char *past = c_name(g, &own_name, 0, str_fmt(g->a, "%s_end", i), "end");
    open_block(g->o, "for (%s %s = %s%s, %s = %s%s; %s < %s; %s++)", c_type(g, DT_ix), i, lo, first, past, lo, end, i, past, i);
    const char *from_0 = *lo ? str_fmt(g->a, "(%s - %s)", i, c_expr_prec(g, n->lo, P_ADD + 1)) : i;
    c_own(g, n, g->wide ? str_fmt(g->a, "(int)%s", from_0) : from_0);
    close_block(g->o, "");
    c_release(g, past);
    c_release(g, i);
}

static void c_serial(CGen *g, const Nest *n)
{
    const char *i = var_ident(g, n->var);
    const char *lo = c_expr(g, n->lo), *end = c_expr_prec(g, ex_add(g->x, n->lo, n->extent), P_LT + 1);
    open_block(g->o, "for (%s %s = %s; %s < %s; %s++)", c_type(g, DT_ix), i, lo, i, end, i);
    c_nest(g, n);
    close_block(g->o, "");
    c_release(g, i);
}

static void c_for(CGen *g, const Nest *n)
{
    const bool turns = amx_open_turns(g, n);
    if (n->kind == FOR_parallel)
        c_parallel(g, n);
    else if (n->kind == FOR_lead)
        c_lead(g, n);
    else
        c_serial(g, n);
    if (turns)
        amx_close_turns(g);
}

static void c_if(CGen *g, const Nest *n)
{
    open_block(g->o, "if (%s)", c_expr(g, n->expr));
    c_nest(g, n);
    close_block(g->o, "");
    if (!n->other.n)
        return;
    open_block(g->o, "else");
    for (uint32_t k = 0; k < n->other.n; k++) {
        const Nest one = {.op = NS_block, .body = {.at = &n->other.at[k], .n = 1, .cap = 1}};
        c_nest(g, &one);
    }
    close_block(g->o, "");
}

/* ---- register tiles ---- */

/* Plain loops with the tile's meaning. */
static Nest *tile_as_nest(CGen *g, const Tile *t)
{
    Nest *root = nest_block(g->a), *in = root;
    for (int k = 0; k < t->np; k++)
        in = nest_for(g->a, in, t->pvar[k], ex_int(g->x, 0), ex_int(g->x, t->pext[k]));
    if (t->lane && !t->across)
        in = nest_for(g->a, in, t->lane, ex_int(g->x, 0), tile_lanes(g->x, t));
    if (t->red != RED_none) {
        nest_let(g->a, in, t->acc, t->init ? t->init : red_identity(g->x, t->red, (DType)t->acc->dt));
        Nest *inner = in;
        for (int k = 0; k < t->nr; k++)
            inner = nest_for(g->a, inner, t->rvar[k], ex_int(g->x, 0), t->rext[k]);
        nest_set(g->a, inner, t->acc, red_combine(g->x, t->red, t->acc, t->body));
    }
    for (int k = 0; k < t->nstore; k++)
        nest_store(g->a, in, t->store[k].buf, buf(g->u, t->store[k].buf)->rank, t->store[k].idx, t->store[k].value);
    return root;
}

static void c_tile(CGen *g, const Tile *t)
{
    if (c_listed_tile(g, t) || c_matrix_tile(g, t) || c_transpose_tile(g, t) || c_vector_tile(g, t))
        return;
    const Nest *n = tile_as_nest(g, t);
    open_block(g->o, "%s", "");
    c_nest(g, n);
    close_block(g->o, "");
}

/* ---- calls of runtime-min ---- */

/* An extent that this very call decides is at its bound before it. */
static const Expr *extent_before(CGen *g, const Nest *n, const Expr *e)
{
    for (uint8_t k = 0; k < n->call->nresult; k++)
        if (ex_uses(e, n->result[k]))
            return ex_int(g->x, ex_upper(g->x, e));
    return e;
}

static void c_tensor(CGen *g, const Nest *n, uint8_t k, bool input)
{
    const uint32_t id = n->buf[input ? k : n->call->nin + k];
    const char *array = input ? "in" : "out";
    const Buf *b = buf(g->u, id);
    Text dims = {.arena = g->a};
    for (uint8_t d = 0; d < b->rank; d++)
        text_add(&dims, "%s%s", d ? ", " : "", c_expr(g, extent_before(g, n, b->dim[d])));
    if (!b->rank)
        text_add(&dims, "0");
    ln(g->o, "%s[%u] = (mlcc_tensor){%s%s, %u, %u, {%s}};", array, k, input ? "(void *)(uintptr_t)" : "",
       buf_name(g, id), dtype_info(b->dt)->onnx, b->rank, text_str(&dims));
}

static void c_call(CGen *g, const Nest *n)
{
    const CallInfo *c = n->call;
    open_block(g->o, "%s", "");
    ln(g->o, "mlcc_tensor in[%d], out[%d];", c->nin ? c->nin : 1, c->nout);
    for (uint8_t k = 0; k < c->nin; k++) {
        if (n->buf[k])
            c_tensor(g, n, k, true);
        else
            ln(g->o, "in[%u] = (mlcc_tensor){0};", k);
    }
    for (uint8_t k = 0; k < c->nout; k++)
        c_tensor(g, n, k, false);
    Text args = {.arena = g->a};
    for (uint8_t k = 0; k < c->narg; k++)
        text_add(&args, "%s%s", k ? ", " : "", c_expr(g, n->arg[k]));
    ln(g->o, "const int64_t arg[%d] = {%s};", c->narg ? c->narg : 1, c->narg ? text_str(&args) : "0");
    ln(g->o, "mlcc_%s(in, out, arg, %s);", c->name, n->scratch ? buf_name(g, n->scratch) : "NULL");
    const char *where = c->result;
    for (uint8_t k = 0; k < c->nresult; k++) {
        int o = 0, d = 0, used = 0;
        if (sscanf(where, " %d.%d%n", &o, &d, &used) == 2)
            where += used;
        if (!ex_is_const(n->result[k])) /* the model may declare an extent that others find at run time */
            ln(g->o, "*%s = (%s)out[%d].dim[%d];", var_ident(g, n->result[k]), c_type(g, DT_ix), o, d);
    }
    close_block(g->o, "");
}

/* ---- blocks ---- */

static void c_statement(CGen *g, const Nest *n)
{
    if (n->note)
        ln(g->o, "/* %s */", n->note);
    switch (n->op) {
    case NS_block:
        c_nest(g, n);
        return;
    case NS_for:
        c_for(g, n);
        return;
    case NS_set:
        c_set(g, n);
        return;
    case NS_store:
        c_store(g, &n->store);
        return;
    case NS_if:
        c_if(g, n);
        return;
    case NS_tile:
        c_tile(g, n->tile);
        return;
    case NS_call:
        c_call(g, n);
        return;
    case NS_let:
        ICE("a let outside a block");
    }
}

/* A let's name ends with its block; a second block in one function gets braces of its own. */
void c_nest(CGen *g, const Nest *n)
{
    for (uint32_t k = 0; k < n->body.n; k++) {
        Nest *s = n->body.at[k];
        const bool known = amx_shapes(g, s);
        if (s->op == NS_let)
            c_let(g, s, is_changed(n, k + 1, s->var));
        else
            c_statement(g, s);
        if (!known)
            g->shapes = (TileShapes){0};
    }
    for (uint32_t k = 0; k < n->body.n; k++)
        if (n->body.at[k]->op == NS_let)
            c_release(g, var_ident(g, n->body.at[k]->var));
}

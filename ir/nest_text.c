/* SPDX-License-Identifier: Apache-2.0
 *
 * Units as text; the form is described in nest_text.h. The order of a sum depends on the age of its parts, so what is
 * printed are copies in a pool of their own, made in the order in which the parser will make them: variables by age, then
 * expressions as they come. Hence a unit and what its text is parsed to print the same.
 */
#include "nest_text.h"

#include <inttypes.h>
#include <stdlib.h>

#include "call.h"

typedef struct Printer {
    Text *out;
    const Unit *u;
    Exprs *from, *x;          /* the unit's pool, the copies' */
    Arena *a;
    Map copy;                 /* expression id -> its copy */
    Map names;                /* taken, of symbols and of the function's variables */
    Map text;                 /* id of a variable's copy -> name */
    Map seen;                 /* variables in `var` */
    VEC(const Expr *) var;    /* of the function */
    Map scratch;              /* buffers that the function uses */
    int depth;
} Printer;

/* ---- names ---- */

/* Letters, digits and _ of a name, at least one, no digit first. */
static const char *word_of(Arena *a, const char *s)
{
    Text t = {.arena = a};
    if (!*s || (*s >= '0' && *s <= '9'))
        text_add(&t, "_");
    for (; *s; s++) {
        const bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9');
        text_put(&t, plain ? s : "_", 1);
    }
    return text_str(&t);
}

static void name_var(Printer *p, const Expr *var)
{
    const char *base = word_of(p->a, ex_var_info(p->x, var)->name), *name = base;
    for (int k = 2; map_str(&p->names, name, false); k++)
        name = str_fmt(p->a, "%s_%d", base, k);
    *map_str(&p->names, name, true) = 1;
    *map_u64(&p->text, var->id, true) = (uint64_t)(uintptr_t)name;
}

static const char *var_name(const Printer *p, const Expr *copy)
{
    return (const char *)(uintptr_t)*map_u64((Map *)&p->text, copy->id, false);
}

static const Expr *copy_of(Printer *p, const Expr *e);

static const Expr *copy_var(Printer *p, const Expr *e)
{
    const VarInfo *v = ex_var_info(p->from, e);
    const Expr *c = v->below   ? ex_index(p->x, v->name, copy_of(p, v->below))
                    : v->whole ? ex_multiple(p->x, v->name, v->lo, v->hi, v->times, v->whole)
                               : ex_var(p->x, (VarKind)v->kind, (DType)v->dt, v->name, v->lo, v->hi);
    name_var(p, c);
    return c;
}

static const Expr *copy_of(Printer *p, const Expr *e)
{
    const uint64_t *known = map_u64(&p->copy, e->id, false);
    if (known)
        return (const Expr *)(uintptr_t)*known;
    const Expr **a = NEWN(p->a, const Expr *, e->n + 1), *c;
    for (uint16_t k = 0; k < e->n; k++)
        a[k] = copy_of(p, e->a[k]);
    if (e->op == EX_const)
        c = dtype_is_float((DType)e->dt) ? ex_const_f(p->x, (DType)e->dt, e->v.f) : ex_const_i(p->x, (DType)e->dt, e->v.i);
    else
        c = e->op == EX_var ? copy_var(p, e) : ex_make(p->x, e, a);
    *map_u64(&p->copy, e->id, true) = (uint64_t)(uintptr_t)c;
    return c;
}

static const char *own_name(Printer *p, const Expr *var) { return var_name(p, copy_of(p, var)); }

static const char *buf_name(Printer *p, uint32_t id)
{
    return id ? str_fmt(p->a, "%u.%s", id, word_of(p->a, buf(p->u, id)->name)) : "_";
}

static const char *ref_name(void *ctx, const Expr *e)
{
    return e->op == EX_var ? var_name(ctx, e) : buf_name(ctx, e->v.ref);
}

static void print_expr(Printer *p, const Expr *e) { ex_print(p->out, p->x, copy_of(p, e), ref_name, p); }

static void print_list(Printer *p, const Expr *const *e, int n)
{
    for (int k = 0; k < n; k++) {
        text_add(p->out, "%s", k ? "," : "");
        print_expr(p, e[k]);
    }
}

/* ---- buffers ---- */

static void print_order(Printer *p, const Buf *b)
{
    bool plain = true;
    for (uint8_t d = 0; d < b->rank; d++)
        plain = plain && b->order[d] == d;
    if (plain)
        return;
    text_add(p->out, " order ");
    for (uint8_t d = 0; d < b->rank; d++)
        text_add(p->out, "%s%u", d ? "," : "", b->order[d]);
}

static void print_halo(Printer *p, const Buf *b)
{
    bool any = false;
    for (uint8_t d = 0; d < b->rank; d++)
        any = any || b->lo[d] || b->hi[d];
    if (!any)
        return;
    text_add(p->out, " halo ");
    for (uint8_t d = 0; d < b->rank; d++)
        text_add(p->out, "%s%d+%d", d ? "," : "", b->lo[d], b->hi[d]);
    const Blob pad = {.dt = DT_f64, .count = 1, .data = &b->pad};
    text_add(p->out, " pad ");
    blob_print(p->out, &pad, 0);
}

static void print_buf(Printer *p, uint32_t id)
{
    const Buf *b = buf(p->u, id);
    text_add(p->out, "%*sbuf %%%s %s ", p->depth * 2, "", buf_name(p, id), buf_class_name[b->cls]);
    if (b->cls == BC_input || b->cls == BC_output)
        text_add(p->out, "%d ", b->io);
    if (b->on_stack)
        text_add(p->out, "stack ");
    text_add(p->out, "%s[", dtype_info(b->dt)->name);
    print_list(p, b->dim, b->rank);
    text_add(p->out, "]");
    print_order(p, b);
    print_halo(p, b);
    if (b->offset >= 0)
        text_add(p->out, " at %" PRId64 " pool %d", b->offset, b->pool);
    if (b->alias)
        text_add(p->out, " alias %%%s", buf_name(p, b->alias));
    if (b->data) {
        text_add(p->out, b->lists ? " listed " : " ");
        blob_print(p->out, b->data, NEST_INLINE_DATA);
    }
    text_add(p->out, "\n");
}

/* ---- statements ---- */

static void print_nest(Printer *p, const Nest *n);

static void begin(Printer *p, const char *word) { text_add(p->out, "%*s%s", p->depth * 2, "", word); }

static void print_block(Printer *p, Nest *const *list, uint32_t n, const char *close)
{
    text_add(p->out, " {\n");
    p->depth++;
    for (uint32_t k = 0; k < n; k++)
        print_nest(p, list[k]);
    p->depth--;
    begin(p, close);
}

static void print_assignment(Printer *p, const char *word, const Expr *var, const Expr *e)
{
    begin(p, word);
    text_add(p->out, "%s = ", own_name(p, var));
    print_expr(p, e);
    text_add(p->out, "\n");
}

static void print_store(Printer *p, const Store *s)
{
    begin(p, "%");
    text_add(p->out, "%s[", buf_name(p, s->buf));
    print_list(p, s->idx, buf(p->u, s->buf)->rank);
    text_add(p->out, "] = ");
    print_expr(p, s->value);
    text_add(p->out, "\n");
}

static void print_share(Printer *p, const Share *s)
{
    text_add(p->out, " %" PRId64 " of %" PRId64, s->at, s->of);
    if (s->each > 1)
        text_add(p->out, " each %" PRId64, s->each);
    if (s->times)
        text_add(p->out, " needed %" PRId64 " below %" PRId64 " above %" PRId64, s->times, s->below, s->above);
}

static void print_for(Printer *p, const Nest *n)
{
    begin(p, "for ");
    text_add(p->out, "%s = ", own_name(p, n->var));
    print_expr(p, n->lo);
    text_add(p->out, ", ");
    print_expr(p, n->extent);
    text_add(p->out, "%s%s", n->kind ? " " : "", for_kind_name[n->kind]);
    if (nest_is_shared(n))
        print_share(p, &n->share);
    print_block(p, n->body.at, n->body.n, "}\n");
}

static void print_if(Printer *p, const Nest *n)
{
    begin(p, "if ");
    print_expr(p, n->expr);
    print_block(p, n->body.at, n->body.n, n->other.n ? "} else" : "}\n");
    if (n->other.n)
        print_block(p, n->other.at, n->other.n, "}\n");
}

static void print_points(Printer *p, const Tile *t)
{
    if (!t->np)
        return;
    begin(p, "point ");
    for (uint8_t k = 0; k < t->np; k++)
        text_add(p->out, "%s%s %d", k ? ", " : "", own_name(p, t->pvar[k]), t->pext[k]);
    text_add(p->out, "\n");
}

static void print_reduction(Printer *p, const Tile *t)
{
    begin(p, red_op_name[t->red]);
    for (uint8_t k = 0; k < t->nr; k++) {
        text_add(p->out, "%s%s ", k ? ", " : " ", own_name(p, t->rvar[k]));
        print_expr(p, t->rext[k]);
    }
    text_add(p->out, "\n");
    begin(p, "acc ");
    text_add(p->out, "%s%s", own_name(p, t->acc), t->init ? " = " : "");
    if (t->init)
        print_expr(p, t->init);
    text_add(p->out, "\n");
    begin(p, "body ");
    print_expr(p, t->body);
    text_add(p->out, "\n");
    for (uint8_t k = 0; k < t->nfetch; k++) {
        begin(p, t->fetch[k].far ? "fetch far " : "fetch ");
        text_add(p->out, "%%%s ", buf_name(p, t->fetch[k].buf));
        print_expr(p, t->fetch[k].at);
        if (t->fetch[k].when) {
            text_add(p->out, " when ");
            print_expr(p, t->fetch[k].when);
        }
        text_add(p->out, "\n");
    }
}

static void print_tile(Printer *p, const Tile *t)
{
    begin(p, "tile ");
    text_add(p->out, "%s", t->fence ? "fence " : "");
    if (t->tail)
        text_add(p->out, "tail %d ", t->tail);
    text_add(p->out, "%s%s%s{\n", t->clipped ? "clipped " : "", t->matrix ? "matrix " : "", t->bypass ? "bypass " : "");
    p->depth++;
    print_points(p, t);
    if (t->lane) {
        begin(p, t->across ? "across " : "lane ");
        text_add(p->out, "%s %d", own_name(p, t->lane), t->lanes);
        if (t->open) {
            text_add(p->out, " open ");
            print_expr(p, t->open);
        }
        text_add(p->out, "\n");
    }
    if (t->red != RED_none)
        print_reduction(p, t);
    for (uint8_t k = 0; k < t->nstore; k++)
        print_store(p, &t->store[k]);
    p->depth--;
    begin(p, "}\n");
}

static void print_call(Printer *p, const Nest *n)
{
    begin(p, "call ");
    text_add(p->out, "%s(", n->call->name);
    for (int k = 0; k < n->call->nin + n->call->nout; k++)
        text_add(p->out, "%s%s%s", k ? ", " : "", n->buf[k] ? "%" : "", buf_name(p, n->buf[k]));
    text_add(p->out, "; ");
    print_list(p, n->arg, n->call->narg);
    text_add(p->out, "; ");
    print_list(p, n->result, n->call->nresult);
    text_add(p->out, "; %s%s)\n", n->scratch ? "%" : "", buf_name(p, n->scratch));
}

static void print_nest(Printer *p, const Nest *n)
{
    if (n->note) {
        begin(p, "note ");
        text_add(p->out, "%s\n", printable(p->a, n->note));
    }
    switch (n->op) {
    case NS_block:
        begin(p, "block");
        print_block(p, n->body.at, n->body.n, "}\n");
        return;
    case NS_for: print_for(p, n); return;
    case NS_let: print_assignment(p, "let ", n->var, n->expr); return;
    case NS_set: print_assignment(p, "", n->var, n->expr); return;
    case NS_store: print_store(p, &n->store); return;
    case NS_if: print_if(p, n); return;
    case NS_tile: print_tile(p, n->tile); return;
    case NS_call: print_call(p, n); return;
    }
}

/* ---- functions ---- */

static void note_leaf(void *ctx, const Expr *e)
{
    Printer *p = ctx;
    if (e->op == EX_load || e->op == EX_loadp)
        *map_u64(&p->scratch, e->v.ref, true) = 1;
    if (e->op != EX_var || ex_var_info(p->from, e)->kind == VK_SYM || map_u64(&p->seen, e->id, false))
        return;
    *map_u64(&p->seen, e->id, true) = 1;
    PUSH(p->a, &p->var, e);
}

static void note_expr(void *ctx, const Nest *at, const Expr *e, bool store)
{
    (void)at;
    (void)store;
    ex_walk(e, note_leaf, ctx);
}

/* Variables and buffers that no expression mentions. */
static void note_nest(void *ctx, Nest *n)
{
    Printer *p = ctx;
    if (n->var)
        note_leaf(p, n->var);
    if (n->op == NS_store)
        *map_u64(&p->scratch, n->store.buf, true) = 1;
    for (int k = 0; n->call && k < n->call->nin + n->call->nout; k++)
        *map_u64(&p->scratch, n->buf[k], true) = 1;
    if (n->call)
        *map_u64(&p->scratch, n->scratch, true) = 1;
    const Tile *t = n->op == NS_tile ? n->tile : NULL;
    for (int k = 0; t && k < t->np; k++)
        note_leaf(p, t->pvar[k]);
    for (int k = 0; t && k < t->nr; k++)
        note_leaf(p, t->rvar[k]);
    for (int k = 0; t && k < t->nstore; k++)
        *map_u64(&p->scratch, t->store[k].buf, true) = 1;
    for (int k = 0; t && k < t->nfetch; k++)
        *map_u64(&p->scratch, t->fetch[k].buf, true) = 1;
    if (t && t->lane)
        note_leaf(p, t->lane);
    if (t && t->acc)
        note_leaf(p, t->acc);
}

static int by_age(const void *a, const void *b)
{
    const uint32_t p = (*(const Expr *const *)a)->id, q = (*(const Expr *const *)b)->id;
    return (p > q) - (p < q);
}

static void print_var(Printer *p, const Expr *var)
{
    const VarInfo *v = ex_var_info(p->from, var);
    text_add(p->out, "%s ", own_name(p, var));
    if (v->kind == VK_REG)
        text_add(p->out, "%s", dtype_info((DType)v->dt)->name);
    else if (v->below) {
        text_add(p->out, "< ");
        print_expr(p, v->below);
    } else if (v->lo == INT64_MIN && v->hi == INT64_MAX)
        text_add(p->out, "any");
    else
        text_add(p->out, "%" PRId64 "..%" PRId64, v->lo, v->hi);
}

static void print_vars(Printer *p)
{
    if (!p->var.n)
        return;
    qsort(p->var.at, p->var.n, sizeof *p->var.at, by_age);
    begin(p, "var ");
    for (uint32_t k = 0; k < p->var.n; k++) {
        text_add(p->out, "%s", k ? ", " : "");
        print_var(p, p->var.at[k]);
    }
    text_add(p->out, "\n");
}

/* Scratch belongs to one function; its extents may name the function's variables. */
static void note_scratch(Printer *p)
{
    for (uint32_t k = 1; k < p->u->buf.n; k++)
        if (buf(p->u, k)->cls == BC_scratch && map_u64(&p->scratch, k, false))
            for (uint8_t d = 0; d < buf(p->u, k)->rank; d++)
                ex_walk(buf(p->u, k)->dim[d], note_leaf, p);
}

static Map map_copy(Arena *a, const Map *m)
{
    Map c = {.arena = a};
    for (uint32_t k = 0; k < m->slot.n; k++)
        if (m->slot.at[k].str)
            *map_str(&c, m->slot.at[k].str, true) = m->slot.at[k].val;
        else
            *map_u64(&c, m->slot.at[k].key, true) = m->slot.at[k].val;
    return c;
}

static void print_body(Printer *p, const Func *f)
{
    nest_walk(f->body, note_nest, p);
    nest_exprs(f->body, note_expr, p);
    note_scratch(p);
    text_add(p->out, "func %s macs %" PRIu64 "%s%s", f->name, f->macs, f->split ? " split" : "", f->meet ? " meet" : "");
    for (uint32_t k = 0; k < p->u->threads.n && f->meet; k++)
        text_add(p->out, " %d", f->meet[k]);
    for (uint32_t k = 0; k < p->u->threads.n && f->shares; k++)
        text_add(p->out, "%s %d", k ? "" : " shares", f->shares[k]);
    text_add(p->out, "\n");
    p->depth = 1;
    for (uint32_t k = 0; k < f->note.n; k++)
        text_add(p->out, "  note %s\n", printable(p->a, f->note.at[k]));
    print_vars(p);
    for (uint32_t k = 1; k < p->u->buf.n; k++)
        if (buf(p->u, k)->cls == BC_scratch && map_u64(&p->scratch, k, false))
            print_buf(p, k);
    for (uint32_t k = 0; k < f->body->body.n; k++)
        print_nest(p, f->body->body.at[k]);
    p->depth = 0;
}

/* Names and variables are the function's own; those of symbols stay. */
static void print_func(const Printer *all, const Func *f)
{
    Printer p = *all;
    p.names = map_copy(p.a, &all->names);
    p.text = map_copy(p.a, &all->text);
    p.copy = map_copy(p.a, &all->copy);
    p.seen = p.scratch = (Map){.arena = p.a};
    print_body(&p, f);
}

/* ---- units ---- */

static void print_symbol(Printer *p, uint32_t k)
{
    const Expr *s = p->u->sym.at[k];
    if (s->op != EX_var)
        return;
    const VarInfo *v = ex_var_info(p->from, s);
    ex_print_symbol(p->out, own_name(p, s), v);
    if (p->u->sym_input.at[k] < 0)
        text_add(p->out, " = call\n");
    else
        text_add(p->out, " = input %d %d\n", p->u->sym_input.at[k], p->u->sym_dim.at[k]);
}

/* Appends u as text. */
void unit_print(Text *out, const Unit *u)
{
    Arena *a = arena_child(u->cx->arena);
    Printer p = {.out = out, .u = u, .from = u->cx->x, .x = exprs_new(a), .a = a, .copy = {.arena = a}, .names = {.arena = a}, .text = {.arena = a}};
    text_add(out, "unit %s\n", printable(a, u->name));
    for (uint32_t k = 0; k < u->sym.n; k++)
        print_symbol(&p, k);
    if (u->arena_bytes)
        text_add(out, "arena %" PRId64 " bound %" PRId64 "%s%s align %d\n", u->arena_bytes, u->arena_bound, u->arena_optimal ? " proven" : "",
                 u->apart_bytes ? str_fmt(a, " apart %" PRId64, u->apart_bytes) : "", u->arena_align);
    for (uint32_t k = 0; k < u->threads.n; k++)
        text_add(out, "%s%d%s%s", k ? " " : "threads ", u->threads.at[k], k + 1 == u->awake ? " awake" : "",
                 k + 1 < u->threads.n ? "" : str_fmt(a, " scratch %" PRId64 "\n", u->part_bytes));
    for (uint32_t k = 1; k < u->buf.n; k++)
        if (buf(u, k)->cls != BC_scratch)
            print_buf(&p, k);
    for (uint32_t k = 0; k < u->func.n; k++)
        print_func(&p, u->func.at[k]);
    arena_free(a);
}

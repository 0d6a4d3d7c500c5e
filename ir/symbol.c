/* SPDX-License-Identifier: Apache-2.0
 *
 * Dimensions that a call decides: a symbol of the model, or a multiple of one. The user says by the model's name what is
 * known of them (-D, --max, --multiple).
 */
#include "graph.h"

enum { MAX_NAMES = 8, MAX_MULTIPLE = 1 << 20 };

/* A name of letters, digits and single underscores made from any text, starting with a letter. */
static const char *identifier(Arena *a, const char *s)
{
    Text t = {.arena = a};
    for (; *s; s++) {
        const bool letter = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z'), digit = *s >= '0' && *s <= '9';
        if (digit && !t.n) text_put(&t, "n", 1);
        if (letter || digit)
            text_put(&t, s, 1);
        else if (t.n && t.at[t.n - 1] != '_')
            text_put(&t, "_", 1);
    }
    const char *name = t.n ? text_str(&t) : "n";
    return strcmp(name, "true") && strcmp(name, "false") ? name : str_fmt(a, "%s_", name);
}

static bool symbol_named(const Ctx *cx, const char *name)
{
    for (uint32_t i = 0; i < cx->symbol.slot.n; i++) {
        const Expr *sym = ex_symbol_of(cx->x, (const Expr *)(uintptr_t)cx->symbol.slot.at[i].val);
        const VarInfo *v = sym ? ex_var_info(cx->x, sym) : NULL;
        if (v && (!strcmp(v->name, name) || (v->whole && !strcmp(v->whole, name)))) return true;
    }
    return false;
}

/* An identifier that no symbol has. */
static const char *symbol_name(const Ctx *cx, const char *like)
{
    const char *base = identifier(cx->arena, like), *id = base;
    for (uint32_t k = 2; symbol_named(cx, id); k++) id = str_fmt(cx->arena, "%s_%u", base, k);
    return id;
}

static const Expr *add_dimension(Ctx *cx, const char *name, const Expr *dim, bool assumed)
{
    *map_str(&cx->symbol, str_dup(cx->arena, name), true) = (uint64_t)(uintptr_t)dim;
    if (assumed)
        PUSH(cx->arena, &cx->assumed, dim);
    return dim;
}

/* The dimension symbol that the model calls `name` (any text). A new one has bounds lo..hi and an identifier, unique
 * among the symbols, as its printed name; an existing one keeps its bounds. */
const Expr *graph_symbol(Ctx *cx, const char *name, int64_t lo, int64_t hi)
{
    const uint64_t *known = map_str(&cx->symbol, name, false);
    if (known) return (const Expr *)(uintptr_t)*known;
    const Expr *e = ex_var(cx->x, VK_SYM, DT_ix, symbol_name(cx, name), lo, hi ? hi : max_i64(lo, cx->default_max));
    return add_dimension(cx, name, e, hi == 0);
}

const Expr *graph_multiple(Ctx *cx, const char *name, int64_t times, int64_t lo, int64_t hi, const char *sym)
{
    const uint64_t *known = map_str(&cx->symbol, name, false);
    if (known) return (const Expr *)(uintptr_t)*known;
    const char *whole = symbol_name(cx, name);
    const char *id = symbol_name(cx, sym ? sym : str_fmt(cx->arena, "%s_by_%lld", whole, (long long)times));
    const Expr *e = ex_multiple(cx->x, id, lo, hi ? hi : max_i64(lo + 1, cx->default_max / times), times, whole);
    return add_dimension(cx, name, ex_dimension(cx->x, e), hi == 0);
}

bool symbol_assumed(const Ctx *cx, const Expr *e)
{
    for (uint32_t k = 0; k < cx->assumed.n; k++)
        if (cx->assumed.at[k] == e) return true;
    return false;
}

const char *dimension_name(const Ctx *cx, const Expr *dim)
{
    for (uint32_t k = 0; k < cx->symbol.slot.n; k++)
        if ((const Expr *)(uintptr_t)cx->symbol.slot.at[k].val == dim) return cx->symbol.slot.at[k].str;
    return NULL;
}

const char *dimension_names(const Ctx *cx, Arena *a)
{
    Text t = {.arena = a};
    uint32_t n = 0;
    for (uint32_t k = 0; k < cx->symbol.slot.n; k++) {
        if (!ex_symbol_of(cx->x, (const Expr *)(uintptr_t)cx->symbol.slot.at[k].val)) continue;
        if (n < MAX_NAMES) text_add(&t, "%s'%s'", n ? ", " : "it has ", cx->symbol.slot.at[k].str);
        n++;
    }
    if (n > MAX_NAMES) text_add(&t, " and %u more", n - MAX_NAMES);
    return n ? text_str(&t) : "none of its dimensions is free";
}

/* ---- what multiples would help ---- */

/* The one symbol of two expressions, and what they divide by. */
typedef struct Division {
    const Exprs *x;
    const Expr *sym;
    bool several;
    int64_t by;
} Division;

static void look_at_division(void *ctx, const Expr *e)
{
    Division *q = ctx;
    if (e->op == EX_var) {
        q->several |= q->sym && q->sym != e;
        q->sym = e;
    }
    if ((e->op != EX_fdiv && e->op != EX_mod) || !ex_is_const(e->a[1]) || e->a[1]->v.i < 1) return;
    const int64_t k = e->a[1]->v.i;
    if (!mul_i64(q->by / gcd_i64(q->by, k), k, &q->by) || q->by > MAX_MULTIPLE) q->several = true;
}

int64_t multiple_that_equals(Exprs *x, const Expr *a, const Expr *b, const Expr **dim)
{
    Division q = {.x = x, .by = 1};
    ex_walk(a, look_at_division, &q);
    ex_walk(b, look_at_division, &q);
    if (!q.sym || q.several || q.by == 1 || ex_var_info(x, q.sym)->kind != VK_SYM) return 0;
    const int64_t most = max_i64(ex_var_info(x, q.sym)->hi / q.by, 2);
    const Subst s = {q.sym, ex_mul(x, ex_int(x, q.by), ex_var(x, VK_SYM, DT_ix, "k", 1, most))};
    if (ex_subst(x, a, &s, 1) != ex_subst(x, b, &s, 1)) return 0;
    *dim = ex_dimension(x, q.sym);
    return q.by * var_times(ex_var_info(x, q.sym));
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Identifiers of an emitted function. A name belongs to what has it until the block around its declaration ends;
 * then it is free again. No block declares a name that one around it has.
 */
#include <stdlib.h>

#include "cgen.h"

static bool is_taken(CGen *g, const char *name)
{
    const uint64_t *t = map_str(&g->taken, name, false);
    return t && *t;
}

/* Where the number behind a stem begins. */
static size_t stem_length(const char *name)
{
    size_t n = strlen(name);
    while (n && name[n - 1] >= '0' && name[n - 1] <= '9')
        n--;
    return n && name[n - 1] == '_' ? n - 1 : n;
}

void c_release(CGen *g, const char *name)
{
    const size_t n = stem_length(name);
    uint64_t *tried = map_str(&g->tried, str_ndup(g->a, name, n), false);
    const uint64_t k = strtoul(name + n + (name[n] == '_'), NULL, 10);
    if (tried && k < *tried)
        *tried = k;
    *map_str(&g->taken, name, true) = 0;
}

const char *c_name(CGen *g, Map *m, uint64_t id, const char *hint, const char *otherwise)
{
    uint64_t *known = map_u64(m, id, false);
    if (known)
        return (const char *)(uintptr_t)*known;
    const char *stem = ident(g->a, hint, 24, otherwise), *name = stem;
    uint64_t k = *map_str(&g->tried, stem, true);
    for (k = k < 2 ? 2 : k; is_taken(g, name) || ident_reserved(name); k++)
        name = str_fmt(g->a, "%s%s%u", stem, stem[strlen(stem) - 1] <= '9' ? "_" : "", (unsigned)k);
    *map_str(&g->tried, stem, true) = k;
    *map_str(&g->taken, name, true) = 1;
    *map_u64(m, id, true) = (uint64_t)(uintptr_t)name;
    return name;
}

const char *buf_name(CGen *g, uint32_t id)
{
    return c_name(g, &g->param, id, buf(g->u, id)->name, "t");
}

const char *var_ident(CGen *g, const Expr *v)
{
    return c_name(g, &g->var, v->id, ex_var_info(g->x, v)->name, "v");
}

void c_open_loop(CGen *g, const Expr *var, const Expr *extent)
{
    const char *i = var_ident(g, var);
    open_block(g->o, "for (%s %s = 0; %s < %s; %s++)", c_type(g, DT_ix), i, i, c_expr_prec(g, extent, P_LT + 1), i);
}

void c_close_loop(CGen *g, const Expr *var)
{
    close_block(g->o, "");
    c_release(g, var_ident(g, var));
}

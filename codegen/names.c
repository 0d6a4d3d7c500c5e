/* SPDX-License-Identifier: Apache-2.0
 * See names.h. */
#include "names.h"

#include <ctype.h>

#include "out.h"

static const char *unique(Arena *a, Map *taken, const char *stem)
{
    const char *name = stem;
    for (int k = 2; ident_reserved(name) || map_str(taken, name, false); k++)
        name = str_fmt(a, "%s_%d", stem, k);
    *map_str(taken, name, true) = 1;
    return name;
}

const char *uppercase(Arena *a, const char *s)
{
    char *r = (char *)(uintptr_t)str_dup(a, s);
    for (char *p = r; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    return r;
}

const char *shape_text(Arena *a, const Unit *u, const Buf *b)
{
    Text t = {.arena = a};
    text_add(&t, "%s[", dtype_info(b->dt)->name);
    for (uint8_t d = 0; d < b->rank; d++) {
        text_add(&t, "%s", d ? "," : "");
        ex_print(&t, u->cx->x, b->dim[d], NULL, NULL);
    }
    text_add(&t, "]");
    return text_str(&t);
}

typedef struct Free { const Unit *u; bool yes; } Free;

static void check_free(void *ctx, const Expr *e)
{
    Free *f = ctx;
    for (uint32_t k = 0; k < f->u->sym.n; k++)
        f->yes = f->yes || (f->u->sym.at[k] == e && f->u->sym_input.at[k] < 0);
}

bool has_free_extent(const Unit *u, uint32_t id)
{
    Free f = {.u = u};
    for (uint8_t d = 0; d < buf(u, id)->rank; d++)
        ex_walk(buf(u, id)->dim[d], check_free, &f);
    return f.yes;
}

Names names_make(Arena *a, const Unit *u, const EmitOptions *opt)
{
    Names n = {.upper = uppercase(a, opt->prefix)};
    Map taken = {.arena = a};
    n.input = NEWN(a, const char *, u->input.n + 1);
    n.output = NEWN(a, const char *, u->output.n + 1);
    n.sym = NEWN(a, const char *, u->sym.n + 1);
    n.dim = NEWN(a, const char *, u->sym.n + 1);
    for (uint32_t k = 0; k < u->input.n; k++)
        n.input[k] = unique(a, &taken, ident(a, buf(u, u->input.at[k])->name, 40, "x"));
    for (uint32_t k = 0; k < u->output.n; k++)
        n.output[k] = unique(a, &taken, ident(a, buf(u, u->output.at[k])->name, 40, "y"));
    n.pool = NEWN(a, const char *, u->npool + 1);
    for (uint32_t k = 1; k <= u->npool; k++)
        n.pool[k] = unique(a, &taken, str_fmt(a, "pool_%s", ident(a, u->pool_name[k], 32, "more")));
    for (uint32_t k = 0; k < u->sym.n; k++) {
        const VarInfo *v = ex_var_info(u->cx->x, u->sym.at[k]);
        n.sym[k] = unique(a, &taken, ident(a, v->name, 40, "n"));
        n.dim[k] = v->whole ? unique(a, &taken, ident(a, v->whole, 40, "n")) : n.sym[k];
    }
    return n;
}

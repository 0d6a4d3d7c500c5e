/* SPDX-License-Identifier: Apache-2.0
 * A graph in text form (.nn) as the model. */
#include "import.h"
#include "sha256.h"
#include "verb.h"

const Expr *pinned_dim(Ctx *cx, const OnnxPin *p)
{
    if (p->fixed || p->max == 1)
        return ex_int(cx->x, max_i64(p->fixed, 1));
    return p->times > 1 ? graph_multiple(cx, p->name, p->times, 1, p->max / p->times, NULL) : graph_symbol(cx, p->name, 1, p->max);
}

/* What a text says of a dimension, whatever else is wrong with it, read in a context of its own. False: diagnostic. */
static bool find_dimension(Ctx *cx, const char *text, const char *name, OnnxPin *said)
{
    Arena *a = arena_child(cx->arena);
    Diags quiet = {.arena = a};
    Ctx probe = {.arena = a, .x = exprs_new(a), .diags = &quiet, .symbol = {.arena = a}, .default_max = cx->default_max, .max_elements = cx->max_elements};
    (void)graph_parse(&probe, str_dup(a, text));
    const uint64_t *known = map_str(&probe.symbol, name, false);
    const Expr *dim = known ? (const Expr *)(uintptr_t)*known : NULL, *sym = dim ? ex_symbol_of(probe.x, dim) : NULL;
    const bool found = quiet.errors || sym || (dim && ex_is_const(dim));
    if (sym)
        *said = (OnnxPin){.max = symbol_assumed(&probe, dim) ? 0 : ex_upper(probe.x, dim), .times = var_times(ex_var_info(probe.x, sym))};
    if (!found)
        (void)diag_error(cx->diags, "symbol-option", "the model has no dimension called '%s'; %s", name, dimension_names(&probe, a));
    arena_free(a);
    return found;
}

/* A symbol that is known before the text is read keeps its bounds; one that is a number stands for it. */
static bool pin(Ctx *cx, const char *text, OnnxPin p)
{
    OnnxPin said = {0};
    if (!find_dimension(cx, text, p.name, &said))
        return false;
    p.times = p.times ? p.times : said.times;
    p.max = p.max ? p.max : said.max;
    const Expr *dim = pinned_dim(cx, &p);
    *map_str(&cx->symbol, p.name, true) = (uint64_t)(uintptr_t)dim;
    return true;
}

static Graph *parse(Ctx *cx, const char *text, const OnnxOptions *opt)
{
    if (opt->shape.n || opt->bind.n)
        (void)diag_error(cx->diags, "text-option", "--shape and --bind are for ONNX files; write the shape or the constant into the text");
    for (uint32_t k = 0; k < opt->pin.n; k++)
        (void)pin(cx, text, opt->pin.at[k]);
    Graph *g = cx->diags->errors ? NULL : graph_parse(cx, text);
    if (g && opt->max_nodes && g->order.n > opt->max_nodes) {
        (void)diag_error(cx->diags, "limit", "the model has more than %u nodes; raise --limits nodes=", opt->max_nodes);
        return NULL;
    }
    return g;
}

Graph *load_text(Ctx *cx, const char *path, const OnnxOptions *opt, OnnxFile *info, bool *io_error)
{
    Maps *maps = maps_new(cx->arena);
    Bytes b;
    Graph *g = NULL;
    if (maps_open(maps, cx->diags, path, &b, io_error)) {
        sha256_hex(b.p, b.n, NULL, NULL, info->sha256);
        PUSH(cx->arena, &info->files, path);
        if (memchr(b.p, 0, b.n))
            (void)diag_error(cx->diags, "text", "the file holds a zero byte, so it is not text");
        else
            g = parse(cx, str_ndup(cx->arena, (const char *)b.p, b.n), opt);
    }
    onnx_unmap(maps);
    return g;
}

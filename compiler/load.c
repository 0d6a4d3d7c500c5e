/* SPDX-License-Identifier: Apache-2.0
 * A graph in text form (.nn) as the model. */
#include "import.h"
#include "sha256.h"
#include "verb.h"

/* The symbols that a text uses, whatever else is wrong with it, in a context of its own. */
static bool has_symbol(Ctx *cx, const char *text, const char *name)
{
    Arena *a = arena_child(cx->arena);
    Diags quiet = {.arena = a};
    Ctx probe = {.arena = a, .x = exprs_new(a), .diags = &quiet, .symbol = {.arena = a}, .default_max = cx->default_max, .max_elements = cx->max_elements};
    (void)graph_parse(&probe, str_dup(a, text));
    const bool found = quiet.errors || map_str(&probe.symbol, name, false);
    arena_free(a);
    return found;
}

/* A symbol that is known before the text is read keeps its bounds; one that is a number stands for it. */
static bool pin(Ctx *cx, const char *text, const OnnxPin *p)
{
    if (!has_symbol(cx, text, p->name))
        return diag_error(cx->diags, "symbol-option", "the model has no dimension called '%s'", p->name);
    if (p->lo == p->hi)
        *map_str(&cx->symbol, p->name, true) = (uint64_t)(uintptr_t)ex_int(cx->x, p->hi);
    else
        (void)graph_symbol(cx, p->name, p->lo, p->hi);
    return true;
}

static Graph *parse(Ctx *cx, const char *text, const OnnxOptions *opt)
{
    if (opt->shape.n || opt->bind.n)
        (void)diag_error(cx->diags, "text-option", "--shape and --bind are for ONNX files; write the shape or the constant into the text");
    for (uint32_t k = 0; k < opt->pin.n; k++)
        (void)pin(cx, text, &opt->pin.at[k]);
    return cx->diags->errors ? NULL : graph_parse(cx, text);
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

/* SPDX-License-Identifier: Apache-2.0
 * A graph in text form (.nn) as the model. */
#include "import.h"
#include "sha256.h"
#include "verb.h"

/* The graph in the file at path; info gets its digest and name. NULL: diagnostics, or *io_error. */
Graph *load_text(Ctx *cx, const char *path, OnnxFile *info, bool *io_error)
{
    Maps *maps = maps_new(cx->arena);
    Bytes b;
    Graph *g = NULL;
    if (maps_open(maps, cx->diags, path, &b, io_error)) {
        sha256_hex(b.p, b.n, info->sha256);
        PUSH(cx->arena, &info->files, path);
        if (memchr(b.p, 0, b.n))
            (void)diag_error(cx->diags, "text", "the file holds a zero byte, so it is not text");
        else
            g = graph_parse(cx, str_ndup(cx->arena, (const char *)b.p, b.n));
    }
    onnx_unmap(maps);
    return g;
}

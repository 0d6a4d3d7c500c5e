/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer target: the whole importer on any bytes. A model is either refused with a diagnostic, or becomes a graph
 * that the verifier finds sound. Start it with small models as a corpus (corpus.py). */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "compiler/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void run(Arena *a, const char *path, Maps **maps)
{
    Diags diags = {.arena = a, .file = "fuzz"};
    Ctx cx = {.arena = a,
              .x = exprs_new(a),
              .diags = &diags,
              .symbol = {.arena = a},
              .default_max = 64,
              .max_elements = 1 << 16};
    const OnnxOptions opt = {.max_bytes = 1 << 26, .max_nodes = 2000};
    OnnxFile info;
    bool io_error;
    const Graph *g = onnx_load(&cx, path, &opt, &info, maps, &io_error);
    const char *fault = g ? graph_verify(a, g) : NULL;
    if (fault) fprintf(stderr, "not sound: %s\n", fault);
    if (fault || (!g && !diags.errors)) abort();
    Text out = {.arena = a};
    diag_print(&diags, &out, "text");
    diag_print(&diags, &out, "json");
    if (g) graph_print(&out, g, 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char path[32];
    const int fd = memfd_create("model", 0);
    if (fd < 0 || write(fd, data, n) != (ssize_t)n) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    jmp_buf oom;
    Arena *a = arena_new((size_t)1 << 28, &oom);
    Maps *volatile maps = NULL;
    if (setjmp(oom) == 0) run(a, path, (Maps **)&maps);
    onnx_unmap(maps);
    arena_free(a);
    close(fd);
    return 0;
}

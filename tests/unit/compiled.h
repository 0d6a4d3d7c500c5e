/* SPDX-License-Identifier: Apache-2.0
 *
 * For tests of what the passes make of a graph: the whole compilation up to C, from text.
 */
#ifndef MLCC_TEST_COMPILED_H
#define MLCC_TEST_COMPILED_H

#include "context.h"
#include "compiler/pass.h"

/* For up to so many threads. The test fails when there are errors. */
static inline Program compiled_for(const char *graph, int level, const char *march, int32_t threads)
{
    Options *o = NEW(arena, Options);
    Text *log = NEW(arena, Text);
    log->arena = arena;
    *o = (Options){.level = level, .always = threads > 1};
    Program p = {.cx = &cx, .opt = o, .name = "test", .log = log, .graph = graph_parse(&cx, graph)};
    if (threads > 1)
        PUSH(arena, &p.threads, threads);
    if (!p.graph || !machine_for(&diags, "host", march, &p.machine) || !passes_run(&p, NULL))
        fail_msg("%s", problems());
    return p;
}

static inline Program compiled(const char *graph, int level, const char *march) { return compiled_for(graph, level, march, 1); }
#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * What tests that read text begin with: an arena, a context and its diagnostics, made anew for each test and freed after it.
 */
#ifndef MLCC_TEST_CONTEXT_H
#define MLCC_TEST_CONTEXT_H

#include "ir/graph.h"

#include <stdlib.h>

#include <cmocka.h>

static Arena *arena;
static Diags diags;
static Ctx cx;

static int setup(void **state)
{
    (void)state;
    arena = arena_new(0, NULL);
    diags = (Diags){.arena = arena, .file = "test"};
    cx = (Ctx){.arena = arena, .x = exprs_new(arena), .diags = &diags, .default_max = 64, .max_elements = 1 << 20};
    cx.symbol.arena = arena;
    srand(5);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static inline const char *problems(void)
{
    Text out = {.arena = arena};
    diag_print(&diags, &out, "text");
    return text_str(&out);
}
#endif

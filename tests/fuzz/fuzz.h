/* SPDX-License-Identifier: Apache-2.0
 *
 * What the libFuzzer targets share. A target is a function from any bytes to nothing: either the input is refused with a
 * diagnostic, or what comes of it is sound. A broken invariant of mlcc itself aborts (ICE), which the fuzzer reports.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "ir/graph.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* One compile: limits are low, so that an input that asks for much is refused and does not cost the fuzzer its time. */
typedef struct Fuzz {
    Arena *a;
    Diags diags;
    Ctx cx;
} Fuzz;

static inline void fuzz_require(int ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "not sound: %s\n", what);
    abort();
}

static inline void fuzz_start(Fuzz *f, Arena *a)
{
    f->a = a;
    f->diags = (Diags){.arena = a, .file = "fuzz"};
    f->cx = (Ctx){.arena = a, .x = exprs_new(a), .diags = &f->diags, .symbol = {.arena = a}, .default_max = 8, .max_elements = 1 << 14};
}

/* A refusal has a reason, and reasons can be printed. */
static inline void fuzz_end(Fuzz *f, int refused)
{
    Text out = {.arena = f->a};
    fuzz_require(!refused || f->diags.errors, "refused without a diagnostic");
    diag_print(&f->diags, &out, "text");
    diag_print(&f->diags, &out, "json");
    diag_print(&f->diags, &out, "sarif");
}

/* Runs body(f, text, n) in an arena of its own; running out of its budget is a fair end. */
static inline int fuzz_run(const uint8_t *data, size_t n, void (*body)(Fuzz *f, const char *text, size_t n))
{
    jmp_buf oom;
    Fuzz f;
    Arena *a = arena_new((size_t)1 << 28, &oom);
    if (a && setjmp(oom) == 0) {
        fuzz_start(&f, a);
        body(&f, str_ndup(a, (const char *)data, n), n);
    }
    arena_free(a);
    return 0;
}

#endif

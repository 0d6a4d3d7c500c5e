/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer target: loop nests in text form. What parses prints as text that prints the same again, and the bounds proof
 * has an answer for it. */
#include "fuzz.h"

#include "ir/nest.h"

static const char *printed(Fuzz *f, const Unit *u)
{
    Text out = {.arena = f->a};
    unit_print(&out, u);
    return text_str(&out);
}

static void print_again(const char *text)
{
    jmp_buf oom;
    Fuzz f;
    Arena *a = arena_new((size_t)1 << 28, &oom);
    if (a && setjmp(oom) == 0) {
        fuzz_start(&f, a);
        const Unit *u = unit_parse(&f.cx, text);
        fuzz_require(u != NULL, "the printed unit does not parse");
        fuzz_require(strcmp(printed(&f, u), text) == 0, "the printed unit prints differently");
    }
    arena_free(a);
}

static void run(Fuzz *f, const char *text, size_t n)
{
    (void)n;
    const Unit *u = unit_parse(&f->cx, text);
    fuzz_end(f, u == NULL);
    if (!u) return;
    print_again(printed(f, u));
    (void)nest_check(f->a, u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    return fuzz_run(data, n, run);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer target: tensor expressions in text form, and behind a line "--" a schedule for them. What is sound prints as
 * text that prints the same again; a schedule that is accepted can be built. */
#include "fuzz.h"

#include "compiler/schedule.h"
#include "ir/te.h"

static const char *printed(Fuzz *f, const Te *t)
{
    Text out = {.arena = f->a};
    te_print(&out, t, 0);
    return text_str(&out);
}

static void print_again(const char *text)
{
    jmp_buf oom;
    Fuzz f;
    Arena *a = arena_new((size_t)1 << 28, &oom);
    if (a && setjmp(oom) == 0) {
        fuzz_start(&f, a);
        const Te *t = te_parse(&f.cx, text);
        fuzz_require(t != NULL, "the printed stages do not parse");
        fuzz_require(strcmp(printed(&f, t), text) == 0, "the printed stages print differently");
    }
    arena_free(a);
}

static void run(Fuzz *f, const char *text, size_t n)
{
    (void)n;
    const char *cut = strstr(text, "\n--\n");
    const char *schedule = cut ? cut + 4 : "";
    const Te *t = te_parse(&f->cx, cut ? str_ndup(f->a, text, (size_t)(cut - text) + 1) : text);
    if (!t) {
        fuzz_end(f, 1);
        return;
    }
    if (te_verify(f->a, t)) return; /* of the right form, but means nothing */
    print_again(printed(f, t));
    Schedule *s = schedule_O0(f->a, t);
    const bool ok = schedule_parse(s, &f->diags, schedule);
    fuzz_end(f, !ok);
    if (ok && !f->diags.errors) {
        Text out = {.arena = f->a};
        schedule_print(&out, s);
        const Unit *u = build_nests(&f->cx, s, "fuzz");
        fuzz_end(f, u == NULL);
        if (u) unit_print(&out, u);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    return fuzz_run(data, n, run);
}

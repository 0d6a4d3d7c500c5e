/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer target: graphs in text form. What parses prints as text that prints the same again; what inference accepts is
 * compiled to C at a level that the length of the text decides. */
#include "fuzz.h"

#include "codegen/emit.h"
#include "compiler/driver.h"
#include "compiler/pass.h"

static const char *printed(Fuzz *f, const Graph *g)
{
    Text out = {.arena = f->a};
    graph_print(&out, g, 0);
    return text_str(&out);
}

static void print_again(const char *text)
{
    jmp_buf oom;
    Fuzz f;
    Arena *a = arena_new((size_t)1 << 28, &oom);
    if (a && setjmp(oom) == 0) {
        fuzz_start(&f, a);
        const Graph *g = graph_parse(&f.cx, text);
        fuzz_require(g != NULL, "the printed graph does not parse");
        fuzz_require(strcmp(printed(&f, g), text) == 0, "the printed graph prints differently");
    }
    arena_free(a);
}

static void compile(Fuzz *f, Graph *g, int level)
{
    Options o = {.level = level, .max_ram = -1, .max_flash = -1, .max_stack = -1, .emit = "c", .weights = "auto", .rounding = "exact", .fp = "fast"};
    Program p = {.cx = &f->cx, .opt = &o, .name = "fuzz", .graph = g, .log = NEW(f->a, Text), .pool = NEW(f->a, PlanPool)};
    p.log->arena = f->a;
    (void)machine_for(&f->diags, "host", level ? "x86-64-v3" : "generic", &p.machine);
    if (!passes_run(&p, NULL) || f->diags.errors) {
        fuzz_end(f, 1);
        return;
    }
    EmitOptions e = {.prefix = "fuzz", .file = "fuzz", .source = "fuzz.nn", .sha256 = "", .version = mlcc_version, .weights = WM_array, .lanes = p.machine.lanes_f32};
    EmitFiles files = {.arena = f->a};
    weights_layout(p.unit);
    emit_c(p.unit, &e, &files);
}

static void run(Fuzz *f, const char *text, size_t n)
{
    Graph *g = graph_parse(&f->cx, text);
    if (!g) {
        fuzz_end(f, 1);
        return;
    }
    const char *why = graph_verify(f->a, g);
    fuzz_require(!why, why);
    print_again(printed(f, g));
    compile(f, g, n % 2 ? 3 : 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    return fuzz_run(data, n, run);
}

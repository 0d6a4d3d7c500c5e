/* SPDX-License-Identifier: Apache-2.0
 *
 * For tests of what is emitted for a nest: its text as C, compiled and run against the interpreter.
 */
#ifndef MLCC_TEST_EMITTED_H
#define MLCC_TEST_EMITTED_H

#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

#include "context.h"
#include "codegen/emit.h"
#include "sanitized.h"

static char folder[] = "/tmp/mlcc-emitted-XXXXXX";

static int setup_folder(void **state)
{
    (void)setup(state);
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown_folder(void **state)
{
    (void)teardown(state);
    char line[64];
    (void)snprintf(line, sizeof line, "rm -r '%s'", folder);
    return system(line);
}

static Unit *parsed(const char *text)
{
    Unit *u = unit_parse(&cx, text);
    if (!u) fail_msg("%s", text);
    const char *why = nest_check(arena, u);
    if (why) fail_msg("%s\n%s", why, text);
    return u;
}

static void *random_data(const Buf *b)
{
    const int64_t n = b->bytes / (int64_t)dtype_bytes(b->dt);
    char *p = arena_alloc(arena, (size_t)b->bytes, 64);
    for (int64_t k = 0; k < n; k++) {
        if (b->dt == DT_bf16 || b->dt == DT_f32) /* whole numbers, whose sums are exact in any order */
            dtype_put_f(b->dt, p + k * (int64_t)dtype_bytes(b->dt), rand() % 17 - 8);
        else if (b->dt == DT_i32)
            ((int32_t *)(void *)p)[k] = rand() % 2001 - 1000;
        else
            p[k] = (char)rand();
    }
    return p;
}

static void random_inputs(const Unit *u, mlcc_tensor *in)
{
    for (uint32_t k = 0; k < u->input.n; k++) {
        const Buf *b = buf(u, u->input.at[k]);
        in[k] = (mlcc_tensor){.data = random_data(b), .dtype = dtype_info(b->dt)->onnx, .rank = b->rank};
        for (uint8_t d = 0; d < b->rank; d++)
            in[k].dim[d] = b->dim[d]->v.i;
    }
}

/* Writes the file; returns its text. */
static const char *write_file(const char *name, const EmitFile *from)
{
    FILE *f = fopen(str_fmt(arena, "%s/%s%s", folder, name, from->suffix), "w");
    Text t = {.arena = arena};
    const Sink to = text_sink(&t);
    assert_non_null(f);
    emit_put(&from->part, arena, &to);
    assert_int_equal(fwrite(text_str(&t), 1, t.n, f), t.n);
    assert_int_equal(fclose(f), 0);
    return text_str(&t);
}

/* Writes the files of a unit for vectors of so many floats; returns the text of the first. */
static const char *emitted(Unit *u, const char *name, int32_t lanes)
{
    EmitFiles files = {.arena = arena};
    const EmitOptions e = {.prefix = name, .file = name, .source = "", .sha256 = "", .version = "", .lanes = lanes, .weights = WM_array};
    weights_layout(u);
    emit_c(u, &e, &files);
    const char *code = write_file(name, &files.file.at[0]);
    for (uint32_t k = 1; k < files.file.n; k++)
        (void)write_file(name, &files.file.at[k]);
    return code;
}

static const mlcc_model_info *compiled(const char *name, const char *options)
{
    const char *cc = getenv("CC") ? getenv("CC") : "cc";
    const char *line = str_fmt(arena, "cd '%s' && %s -std=c99 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -O1 -shared -fPIC %s -o %s.so %s.c -lm",
                               folder, cc, options, name, name);
    if (system(line) != 0) fail_msg("%s", line);
    void *lib = dlopen(str_fmt(arena, "%s/%s.so", folder, name), RTLD_NOW | RTLD_LOCAL);
    if (!lib) fail_msg("%s", dlerror());
    return dlsym(lib, str_fmt(arena, "%s_info", name));
}

/* The C of `name`, compiled with these options, gives `want`, or where it is optional, says that it cannot. Where mlcc is sanitized the C, which
 * is not, has been tried without. */
static void run_as(const Unit *u, const char *name, const char *options, const mlcc_tensor *in, const mlcc_tensor *want, bool optional)
{
    const Buf *y = buf(u, u->output.at[0]);
    mlcc_tensor out = {.data = arena_alloc(arena, (size_t)y->bytes, 64)};
    if (SANITIZED)
        return;
    void *memory = u->arena_bytes ? arena_alloc(arena, (size_t)u->arena_bytes, 64) : NULL;
    const int status = compiled(name, options)->call(in, &out, memory);
    if (optional && status == MLCC_BAD_CPU) {
        print_message("skipped: this processor or system cannot run %s with %s\n", name, options);
        return;
    }
    assert_int_equal(status, MLCC_OK);
    if (memcmp(out.data, want->data, (size_t)y->bytes) != 0) fail_msg("%s with %s differs", name, options);
}

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer target: everything from the bytes of an ONNX file to the files that would be written, as mlcc does it; the
 * length of the file decides the level. */
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include "compiler/driver.h"

static void compile(Arena *a, jmp_buf *oom, const char *path, bool fast)
{
    Diags d = {.arena = a, .file = "fuzz"};
    char level[] = "-O3";
    level[2] = fast ? '3' : '0';
    char *arg[] = {(char[]){"mlcc"}, (char *)(uintptr_t)path, (char[]){"-o"}, (char[]){"fuzz.c"}, level, (char[]){"-march=x86-64-v3"},
                   (char[]){"--limits"}, (char[]){"mem=64M,nodes=200,elements=16K"}, NULL};
    Options o;
    Outputs out = {.log = "", .text = ""};
    fuzz_require(options_parse(a, &d, COUNT(arg) - 1, arg, &o), "options");
    const Outcome outcome = drive(a, oom, &d, &o, &out);
    fuzz_require(outcome == OUT_ok || d.errors, "refused without a diagnostic");
    fuzz_require(outcome != OUT_ok || out.file.n >= 2, "accepted without files");
    Text said = {.arena = a}, written = {.arena = a};
    const Sink to = text_sink(&written);
    for (uint32_t k = 0; k < out.file.n; k++)
        emit_put(&out.file.at[k].part, a, &to);
    drive_end(&out);
    diag_print(&d, &said, "json");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char path[32];
    const int fd = memfd_create("model", 0);
    if (fd < 0 || write(fd, data, n) != (ssize_t)n) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    jmp_buf oom;
    Arena *a = arena_new((size_t)1 << 28, &oom);
    if (a && setjmp(oom) == 0) compile(a, &oom, path, n % 2);
    arena_free(a);
    close(fd);
    return 0;
}

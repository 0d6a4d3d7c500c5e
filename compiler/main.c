/* SPDX-License-Identifier: Apache-2.0
 *
 * The program: arguments, files and exit status. The only place that exits, reads argv or opens output files.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "driver.h"

enum { EXIT_MODEL = 1, EXIT_USAGE = 2, EXIT_IO = 3, EXIT_INTERNAL = 4 };

static void print_diags(const Diags *d, const char *format, Arena *a)
{
    Text t = {.arena = a};
    diag_print(d, &t, format);
    fwrite(text_str(&t), 1, t.n, stderr);
}

/* Writes beside the target and renames, so a failure leaves nothing half-written; equal contents are left alone. */
static bool same_contents(const char *path, const char *data, size_t n)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    bool same = true;
    char bytes[1 << 14];
    size_t at = 0, got;
    while (same && (got = fread(bytes, 1, sizeof bytes, f)) > 0) {
        same = at + got <= n && memcmp(bytes, data + at, got) == 0;
        at += got;
    }
    fclose(f);
    return same && at == n;
}

static bool write_file(Arena *a, Diags *d, const char *path, const char *data, size_t n)
{
    if (same_contents(path, data, n))
        return true;
    const char *part = str_fmt(a, "%s.%ld.part", path, (long)getpid());
    FILE *f = fopen(part, "wb");
    bool ok = f != NULL;
    if (f) {
        ok = fwrite(data, 1, n, f) == n;
        ok = fclose(f) == 0 && ok;
    }
    ok = ok && rename(part, path) == 0;
    if (ok)
        return true;
    const char *why = strerror(errno);
    (void)remove(part);
    return diag_error(d, "output", "cannot write '%s': %s", path, why);
}

static bool write_all(Arena *a, Diags *d, const Outputs *o)
{
    for (uint32_t k = 0; k < o->file.n; k++)
        if (!write_file(a, d, o->file.at[k].path, o->file.at[k].data, o->file.at[k].n)) {
            for (uint32_t q = 0; q < k; q++)
                (void)remove(o->file.at[q].path);
            return false;
        }
    return true;
}

static int information(const Options *o, Arena *a)
{
    Text t = {.arena = a};
    if (o->version)
        text_add(&t, "mlcc %s\n", mlcc_version);
    else
        options_help(&t);
    return fputs(text_str(&t), stdout) < 0 ? EXIT_IO : EXIT_SUCCESS;
}

static int finish(Arena *a, Diags *d, const Options *o, Outcome outcome, const Outputs *out)
{
    if (outcome == OUT_ok && o->verb == VERB_run && o->output_dir)
        (void)mkdir(o->output_dir, 0777); /* where it cannot, writing says why */
    if (outcome == OUT_ok && !write_all(a, d, out))
        outcome = OUT_io;
    if (outcome == OUT_ok && o->werror && d->warnings) {
        (void)diag_error(d, "werror", "%u warnings are errors", d->warnings);
        outcome = OUT_rejected;
    }
    print_diags(d, o->diag_format, a);
    fputs(out->log, stderr);
    fputs(out->text, stdout);
    static const int status[] = {[OUT_ok] = EXIT_SUCCESS, [OUT_rejected] = EXIT_MODEL, [OUT_usage] = EXIT_USAGE, [OUT_io] = EXIT_IO};
    return status[outcome];
}

/* man and completion pages are made at build time: mlcc --generate=man|bash|zsh|fish */
static bool generate(Arena *a, const char *what)
{
    Text t = {.arena = a};
    if (strcmp(what, "man") == 0)
        options_man(&t);
    else
        options_completion(&t, what);
    return fputs(text_str(&t), stdout) >= 0;
}

int main(int argc, char **argv)
{
    jmp_buf oom;
    Arena *volatile a = arena_new(0, &oom);
    if (!a || setjmp(oom)) {
        fputs("mlcc: error: out of memory; raise --limits mem= or use a smaller model [out-of-memory]\n", stderr);
        arena_free(a);
        return EXIT_MODEL;
    }
    if (argc == 2 && strncmp(argv[1], "--generate=", 11) == 0)
        return generate(a, argv[1] + 11) ? EXIT_SUCCESS : EXIT_IO;
    Options o;
    Diags d = {.arena = a, .file = "mlcc"};
    int status = EXIT_USAGE;
    if (!options_parse(a, &d, argc, argv, &o)) {
        print_diags(&d, "text", a);
    } else if (o.help || o.version) {
        status = information(&o, a);
    } else {
        Outputs out = {.log = "", .text = ""};
        d.file = o.model;
        const Outcome outcome = drive(a, &oom, &d, &o, &out);
        status = finish(a, &d, &o, outcome, &out);
    }
    arena_free(a);
    return status;
}

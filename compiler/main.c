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
#include "warning.h"

enum { EXIT_MODEL = 1, EXIT_USAGE = 2, EXIT_IO = 3, EXIT_INTERNAL = 4 };

static void print_diags(const Diags *d, const char *format, Arena *a)
{
    Text t = {.arena = a};
    diag_print(d, &t, format);
    fwrite(text_str(&t), 1, t.n, stderr);
}

/* Files are written beside their targets and renamed, so a failure leaves nothing half-written; equal contents are left
 * alone. */
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

static const char *part_name(Arena *a, const char *path)
{
    return str_fmt(a, "%s.%ld.part", path, (long)getpid());
}

static bool write_part(Arena *a, const OutputFile *o)
{
    FILE *f = fopen(part_name(a, o->path), "wb");
    if (!f)
        return false;
    const bool ok = fwrite(o->data, 1, o->n, f) == o->n && fflush(f) == 0;
    const int saved = errno;
    const bool closed = fclose(f) == 0;
    errno = ok ? errno : saved;
    return ok && closed;
}

/* All are written before the first takes its place, so that a full disk leaves what was there. */
static bool write_all(Arena *a, Diags *d, const Outputs *o)
{
    const char *bad = NULL;
    for (uint32_t k = 0; k < o->file.n && !bad; k++)
        if (!same_contents(o->file.at[k].path, o->file.at[k].data, o->file.at[k].n) && !write_part(a, &o->file.at[k]))
            bad = o->file.at[k].path;
    for (uint32_t k = 0; k < o->file.n && !bad; k++)
        if (rename(part_name(a, o->file.at[k].path), o->file.at[k].path) != 0 && errno != ENOENT)
            bad = o->file.at[k].path;
    if (!bad)
        return true;
    (void)diag_error(d, "output", "cannot write '%s': %s", bad, strerror(errno));
    for (uint32_t k = 0; k < o->file.n; k++)
        (void)remove(part_name(a, o->file.at[k].path));
    return false;
}

static int information(const Options *o, Arena *a)
{
    Text t = {.arena = a};
    if (o->version)
        text_add(&t, "mlcc %s\n", mlcc_version);
    else
        options_help(&t);
    return fputs(text_str(&t), stdout) < 0 || fflush(stdout) != 0 ? EXIT_IO : EXIT_SUCCESS;
}

static int finish(Arena *a, Diags *d, const Options *o, Outcome outcome, const Outputs *out)
{
    if (outcome == OUT_ok && o->verb == VERB_run && o->output_dir)
        (void)mkdir(o->output_dir, 0777); /* where it cannot, writing says why */
    if (warnings_apply(d, o) && outcome == OUT_ok)
        outcome = OUT_rejected;
    if (outcome == OUT_ok && !write_all(a, d, out))
        outcome = OUT_io;
    if ((fputs(out->text, stdout) < 0 || fflush(stdout) != 0) && outcome == OUT_ok) {
        (void)diag_error(d, "output", "cannot write to the standard output: %s", strerror(errno));
        outcome = OUT_io;
    }
    print_diags(d, o->diag_format, a);
    fputs(out->log, stderr);
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

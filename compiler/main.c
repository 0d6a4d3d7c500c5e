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
 * alone. Contents are compared with what is there while they are written, as large ones are computed meanwhile. */
typedef struct Part {
    const Outputs *o;
    FILE *to, *old;  /* old: NULL when there is none, or it was found to differ */
    int error;
    size_t unseen;   /* bytes since the pages of the model's files were given back */
} Part;

enum { RELEASE = 1 << 23 };

static bool same_bytes(FILE *old, const char *p, size_t n)
{
    char bytes[1 << 14];
    for (size_t at = 0; at < n;) {
        const size_t want = n - at < sizeof bytes ? n - at : sizeof bytes;
        if (fread(bytes, 1, want, old) != want || memcmp(bytes, p + at, want) != 0)
            return false;
        at += want;
    }
    return true;
}

static void close_old(Part *f)
{
    if (f->old)
        fclose(f->old);
    f->old = NULL;
}

static void put_bytes(void *part, const void *p, size_t n)
{
    Part *f = part;
    if (!f->error && fwrite(p, 1, n, f->to) != n)
        f->error = errno;
    if (f->old && !same_bytes(f->old, p, n))
        close_old(f);
    f->unseen += n;
    if (f->unseen >= RELEASE) {
        drive_release(f->o);
        f->unseen = 0;
    }
}

static bool write_part(Arena *a, const Outputs *o, const OutputFile *file)
{
    Part f = {.o = o, .to = fopen(file->temporary, "wb")};
    if (!f.to)
        return false;
    f.old = fopen(file->path, "rb");
    emit_put(&file->part, a, &(Sink){put_bytes, &f});
    const bool same = f.old && getc(f.old) == EOF;
    close_old(&f);
    if (fflush(f.to) != 0 && !f.error)
        f.error = errno;
    if (fclose(f.to) != 0 && !f.error)
        f.error = errno;
    if (!f.error && same)
        (void)remove(file->temporary);
    errno = f.error;
    return !f.error;
}

static void remove_parts(const Outputs *o)
{
    for (uint32_t k = 0; o && k < o->file.n; k++)
        if (o->file.at[k].temporary)
            (void)remove(o->file.at[k].temporary);
}

/* All are written before the first takes its place, so that a full disk leaves what was there. */
static bool write_all(Arena *a, Diags *d, const Outputs *o)
{
    const char *bad = NULL;
    for (uint32_t k = 0; k < o->file.n; k++)
        o->file.at[k].temporary = str_fmt(a, "%s.%ld.part", o->file.at[k].path, (long)getpid());
    for (uint32_t k = 0; k < o->file.n && !bad; k++)
        if (!write_part(a, o, &o->file.at[k]))
            bad = o->file.at[k].path;
    for (uint32_t k = 0; k < o->file.n && !bad; k++)
        if (rename(o->file.at[k].temporary, o->file.at[k].path) != 0 && errno != ENOENT)
            bad = o->file.at[k].path;
    if (!bad)
        return true;
    (void)diag_error(d, "output", "cannot write '%s': %s", bad, strerror(errno));
    remove_parts(o);
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
    Outputs *volatile out = NULL;
    if (!a || setjmp(oom)) {
        remove_parts(out);
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
        out = NEW(a, Outputs);
        *out = (Outputs){.log = "", .text = ""};
        d.file = o.model;
        const Outcome outcome = drive(a, &oom, &d, &o, out);
        status = finish(a, &d, &o, outcome, out);
        drive_end(out);
    }
    arena_free(a);
    return status;
}

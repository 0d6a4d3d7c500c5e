/* SPDX-License-Identifier: Apache-2.0
 *
 * The program: arguments, files and exit status. The only place that exits, reads argv or opens output files.
 *
 * The compile runs in a child process, so that whatever ends it, the parent is whole: it saves what repeats an internal
 * error, and says when a limit of time was hit.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "driver.h"
#include "files.h"
#include "repro.h"
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

/* Tells the parent, which removes it when this process cannot. */
static void tell(int fd, const char *temporary)
{
    if (fd && write(fd, temporary, strlen(temporary) + 1) < 0)
        return; /* nobody listens any more */
}

/* All are written before the first takes its place, so that a full disk leaves what was there. */
static bool write_all(Arena *a, Diags *d, const Outputs *o, int parent)
{
    const char *bad = NULL;
    for (uint32_t k = 0; k < o->file.n; k++) {
        o->file.at[k].temporary = str_fmt(a, "%s.%ld.part", o->file.at[k].path, (long)getpid());
        tell(parent, o->file.at[k].temporary);
    }
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
    if (outcome == OUT_ok && !write_all(a, d, out, o->reads))
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

/* ---- the child ---- */

/* It does not outlive its parent, and not its time. */
static void be_child(const Options *o)
{
    const rlim_t seconds = (rlim_t)o->limit.time;
#ifdef __linux__
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    if (o->limit.time > 0)
        (void)setrlimit(RLIMIT_CPU, &(struct rlimit){seconds, seconds + 1});
}

/* With an arena of its own, because the other one is used up. */
static int out_of_memory(const char *format)
{
    jmp_buf none_left;
    Arena *volatile a = arena_new(0, &none_left);
    if (!a || setjmp(none_left)) {
        fputs("mlcc: error: out of memory [out-of-memory]\n", stderr);
    } else {
        Diags d = {.arena = a, .file = "mlcc"};
        (void)diag_error(&d, "out-of-memory", "out of memory; raise --limits mem= or use a smaller model");
        print_diags(&d, format, a);
    }
    arena_free(a);
    return EXIT_MODEL;
}

static int compile(const Options *o)
{
    jmp_buf oom;
    Arena *volatile a = arena_new((size_t)max_i64(o->limit.mem, 0), &oom);
    Outputs *volatile out = NULL;
    if (!a || setjmp(oom)) {
        remove_parts(out);
        arena_free(a);
        return out_of_memory(o->diag_format);
    }
    Diags d = {.arena = a, .file = o->model};
    out = NEW(a, Outputs);
    *out = (Outputs){.log = "", .text = ""};
    const Outcome outcome = drive(a, &oom, &d, o, out);
    const int status = finish(a, &d, o, outcome, out);
    drive_end(out);
    arena_free(a);
    return status;
}

/* ---- the parent ---- */

/* The child died while it wrote: its temporary files go; they are the names that end in ".PID.part". */
static void forget_parts(Arena *a, pid_t child, StrList *names)
{
    const char *suffix = str_fmt(a, ".%ld.part", (long)child);
    uint32_t kept = 0;
    for (uint32_t k = 0; k < names->v.n; k++) {
        const char *name = names->v.at[k];
        const size_t n = strlen(name), m = strlen(suffix);
        if (n >= m && strcmp(name + n - m, suffix) == 0)
            (void)remove(name);
        else
            names->v.at[kept++] = name;
    }
    names->v.n = kept;
}

/* Names of files, each with a zero byte behind it, until the child closes its end. */
static void read_names(Arena *a, int fd, StrList *names)
{
    Text t = {.arena = a};
    char bytes[4096];
    for (ssize_t n; (n = read(fd, bytes, sizeof bytes)) > 0 || (n < 0 && errno == EINTR);)
        text_put(&t, bytes, n > 0 ? (size_t)n : 0);
    const char *s = text_str(&t);
    for (size_t at = 0; at < t.n; at += strlen(s + at) + 1)
        PUSH(a, &names->v, s + at);
}

static void make_folders(Arena *a, const char *path, size_t from)
{
    for (const char *s = path + from; (s = strchr(s, '/')) != NULL; s++)
        (void)mkdir(str_ndup(a, path, (size_t)(s - path)), 0700); /* where it cannot, writing says why */
}

static bool save(Arena *a, Diags *d, const Options *o, const StrList *reads, const char **folder)
{
    Outputs out = {.log = ""};
    *folder = folder_temporary(a);
    if (!*folder || !repro_make(a, o, reads, *folder, &out))
        return false;
    for (uint32_t k = 0; k < out.file.n; k++)
        make_folders(a, out.file.at[k].path, strlen(*folder) + 1);
    return write_all(a, d, &out, 0);
}

static int internal_error(Arena *a, Diags *d, const Options *o, const StrList *reads, int signal_number)
{
    const char *folder;
    const bool saved = save(a, d, o, reads, &folder);
    Diag *g = diag_add(d, SEV_ERROR, "internal-error", NULL, "this is a bug in mlcc %s, which was stopped by signal %d (%s)", mlcc_version, signal_number, strsignal(signal_number));
    if (saved)
        diag_help(d, g, "what repeats it is in '%s': run mlcc @options there, and send that folder with a report", folder);
    else
        diag_note(d, g, "what repeats it could not be saved%s%s", folder ? " in " : "", folder ? folder : "");
    print_diags(d, o->diag_format, a);
    return EXIT_INTERNAL;
}

/* What the end of the child means. Signals from outside end the parent in the same way. */
static int ended(Arena *a, Diags *d, const Options *o, const StrList *reads, int state)
{
    if (WIFEXITED(state))
        return WEXITSTATUS(state);
    const int number = WTERMSIG(state);
    if (number == SIGXCPU) {
        (void)diag_error(d, "limit", "the compile took more than %lld s of processor time; raise --limits time=", (long long)o->limit.time);
        print_diags(d, o->diag_format, a);
        return EXIT_MODEL;
    }
    static const int own[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGTRAP};
    for (size_t k = 0; k < COUNT(own); k++)
        if (number == own[k])
            return internal_error(a, d, o, reads, number);
    (void)signal(number, SIG_DFL);
    (void)raise(number);
    return EXIT_INTERNAL;
}

static int supervise(Arena *a, Diags *d, Options *o)
{
    int ends[2], state = 0;
    StrList reads = {0};
    if (pipe(ends) != 0)
        return compile(o);
    const pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        o->reads = ends[1];
        be_child(o);
        return compile(o);
    }
    close(ends[1]);
    read_names(a, ends[0], &reads);
    close(ends[0]);
    if (child < 0)
        return compile(o);
    while (waitpid(child, &state, 0) < 0 && errno == EINTR)
        continue;
    if (WIFSIGNALED(state))
        forget_parts(a, child, &reads);
    return ended(a, d, o, &reads, state);
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
        arena_free(a);
        return out_of_memory("text");
    }
    Options o;
    Diags d = {.arena = a, .file = "mlcc"};
    int status = EXIT_USAGE;
    if (argc == 2 && strncmp(argv[1], "--generate=", 11) == 0)
        status = generate(a, argv[1] + 11) ? EXIT_SUCCESS : EXIT_IO;
    else if (!options_parse(a, &d, argc, argv, &o))
        print_diags(&d, "text", a);
    else if (o.help || o.version)
        status = information(&o, a);
    else
        status = supervise(a, &d, &o);
    arena_free(a);
    return status;
}

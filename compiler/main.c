/* SPDX-License-Identifier: Apache-2.0
 *
 * The program: arguments, files and exit status. The only place that exits, reads argv or opens output files.
 *
 * The compile runs in a child process, so that whatever ends it, the parent is whole: it saves what repeats an internal
 * error, and says when a limit of time was hit. What the child says on its way out (an internal error, a sanitizer) passes
 * through the parent, which makes it part of its own diagnostic.
 */
#include <errno.h>
#include <poll.h>
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

enum { RELEASE = 1 << 23, WIDE = 1 << 18 };

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

/* Weights may be hundreds of megabytes, which the system takes sooner in large pieces (ResNet-50 with a literal of 466 MB: 1.7 s for 2.1). */
static void widen(Arena *a, FILE *f) { (void)setvbuf(f, arena_alloc(a, WIDE, 1), _IOFBF, WIDE); }

static bool write_part(Arena *a, const Outputs *o, const OutputFile *file)
{
    Part f = {.o = o, .to = fopen(file->temporary, "wb")};
    if (!f.to)
        return false;
    f.old = fopen(file->path, "rb");
    widen(a, f.to);
    if (f.old)
        widen(a, f.old);
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

/* A command line that cannot be read. */
static int usage(const Options *o, const Diags *d, Arena *a)
{
    print_diags(d, o->diag_format, a);
    return o->unread ? EXIT_IO : EXIT_USAGE;
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

/* What the child tells: names of files, each with a zero byte behind it, and what is for the standard error. */
enum { CH_names, CH_said, CH_count };
typedef struct Channel { int ends[2]; Text text; } Channel;

static bool open_channels(Arena *a, Channel *c)
{
    for (int k = 0; k < CH_count; k++) {
        c[k] = (Channel){.text.arena = a};
        if (pipe(c[k].ends) != 0)
            return false;
    }
    return true;
}

static void close_ends(const Channel *c, int end)
{
    for (int k = 0; k < CH_count; k++)
        close(c[k].ends[end]);
}

/* False: the other end is closed. */
static bool receive(Channel *c)
{
    char bytes[4096];
    const ssize_t n = read(c->ends[0], bytes, sizeof bytes);
    text_put(&c->text, bytes, n > 0 ? (size_t)n : 0);
    return n > 0 || (n < 0 && errno == EINTR);
}

/* Both are read as they come, until the child has closed its ends: it must not wait for room in one of them. */
static void receive_all(Channel *c)
{
    struct pollfd p[CH_count];
    for (int k = 0; k < CH_count; k++)
        p[k] = (struct pollfd){.fd = c[k].ends[0], .events = POLLIN};
    for (int left = CH_count; left > 0;) {
        (void)poll(p, CH_count, -1);
        for (int k = 0; k < CH_count; k++)
            if (p[k].fd >= 0 && p[k].revents && !receive(&c[k])) {
                p[k].fd = -1;
                left--;
            }
    }
}

static StrList names_told(Arena *a, Channel *c)
{
    StrList names = {0};
    const char *s = text_str(&c->text);
    for (size_t at = 0; at < c->text.n; at += strlen(s + at) + 1)
        PUSH(a, &names.v, s + at);
    return names;
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

/* A note of every line. */
static void note_lines(Arena *a, Diags *d, Diag *g, const char *text)
{
    for (size_t n; *text; text += n + (text[n] != 0)) {
        n = strcspn(text, "\n");
        if (n)
            diag_note(d, g, "%s", str_ndup(a, text, n));
    }
}

static int internal_error(Arena *a, Diags *d, const Options *o, const StrList *reads, const char *said, int signal_number)
{
    const char *folder;
    const bool saved = save(a, d, o, reads, &folder);
    Diag *g = diag_add(d, SEV_ERROR, "internal-error", NULL, "this is a bug in mlcc %s, which was stopped by signal %d (%s)", mlcc_version, signal_number, strsignal(signal_number));
    note_lines(a, d, g, said);
    if (saved)
        diag_help(d, g, "what repeats it is in '%s': run mlcc @options there, and send that folder with a report", folder);
    else
        diag_note(d, g, "what repeats it could not be saved%s%s", folder ? " in " : "", folder ? folder : "");
    print_diags(d, o->diag_format, a);
    return EXIT_INTERNAL;
}

/* What the end of the child means. Signals from outside end the parent in the same way. */
static int ended(Arena *a, Diags *d, const Options *o, const StrList *reads, const char *said, int state)
{
    static const int own[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGTRAP};
    const int number = WIFSIGNALED(state) ? WTERMSIG(state) : 0;
    for (size_t k = 0; k < COUNT(own); k++)
        if (number == own[k])
            return internal_error(a, d, o, reads, said, number);
    fputs(said, stderr);
    if (number == 0)
        return WEXITSTATUS(state);
    if (number == SIGXCPU) {
        (void)diag_error(d, "limit", "the compile took more than %lld s of processor time; raise --limits time=", (long long)o->limit.time);
        print_diags(d, o->diag_format, a);
        return EXIT_MODEL;
    }
    (void)signal(number, SIG_DFL);
    (void)raise(number);
    return EXIT_INTERNAL;
}

static void become_child(Options *o, const Channel *c)
{
    close_ends(c, 0);
    o->reads = c[CH_names].ends[1];
    (void)dup2(c[CH_said].ends[1], STDERR_FILENO);
    close(c[CH_said].ends[1]);
    be_child(o);
}

static int supervise(Arena *a, Diags *d, Options *o)
{
    Channel c[CH_count];
    int state = 0;
    if (!open_channels(a, c))
        return compile(o);
    const pid_t child = fork();
    if (child == 0) {
        become_child(o, c);
        return compile(o);
    }
    close_ends(c, 1);
    receive_all(c);
    close_ends(c, 0);
    if (child < 0)
        return compile(o);
    while (waitpid(child, &state, 0) < 0 && errno == EINTR)
        continue;
    StrList reads = names_told(a, &c[CH_names]);
    if (WIFSIGNALED(state))
        forget_parts(a, child, &reads);
    return ended(a, d, o, &reads, text_str(&c[CH_said].text), state);
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
        status = usage(&o, &d, a);
    else if (o.help || o.version)
        status = information(&o, a);
    else
        status = supervise(a, &d, &o);
    arena_free(a);
    return status;
}

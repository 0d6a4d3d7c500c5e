/* SPDX-License-Identifier: Apache-2.0
 *
 * Beside main.c the one place that writes files, all of them below a temporary folder. Commands are run without a shell.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"
#include "trial.h"

enum { ROUNDS = 5, SAID = 600 };
static const char *const SECONDS = "0.3"; /* of one round of one model */

static const char main_text[] =
    "#include \"" TRIAL_PREFIX ".h\"\n\n#include \"" TRIAL_PREFIX "_profile.h\"\n\n"
    "int main(int argc, char **argv)\n{\n    return argc == 2 ? mlcc_profile_model(&" TRIAL_PREFIX "_info, atof(argv[1]), stdout) : 2;\n}\n";

typedef VEC(const char *) Words;
typedef struct Bench { Arena *a; Diags *d; const char *folder; Words made; } Bench; /* made: paths in the order to remove them backwards */

static const char *made(Bench *b, const char *path)
{
    PUSH(b->a, &b->made, path);
    return path;
}

static bool failed(Bench *b, const char *what, const char *path)
{
    return diag_error(b->d, "tune", "cannot %s '%s': %s", what, path, strerror(errno));
}

/* ---- files ---- */

static void put(void *file, const void *p, size_t n)
{
    if (fwrite(p, 1, n, file) != n)
        return; /* ferror tells */
}

static bool write_file(Bench *b, const char *path, const EmitParts *part)
{
    FILE *f = fopen(made(b, path), "wb");
    if (!f)
        return failed(b, "write", path);
    emit_put(part, b->a, &(Sink){put, f});
    const bool bad = ferror(f);
    return (fclose(f) == 0 && !bad) || failed(b, "write", path);
}

static bool write_text(Bench *b, const char *path, const char *s)
{
    Text t = {.arena = b->a};
    text_add(&t, "%s", s);
    const EmitParts part = emit_part(b->a, &t);
    return write_file(b, path, &part);
}

static bool is_source(const char *name)
{
    const size_t n = strlen(name);
    return n >= 2 && strcmp(name + n - 2, ".c") == 0;
}

/* What cc takes of one trial, written into a folder of its own. */
static bool write_trial(Bench *b, const Trial *t, const char *folder, Words *sources)
{
    if (mkdir(made(b, folder), 0700) != 0)
        return failed(b, "make", folder);
    for (uint32_t k = 0; k < t->files.file.n; k++) {
        const EmitFile *f = &t->files.file.at[k];
        const char *path = str_fmt(b->a, "%s/%s%s", folder, TRIAL_PREFIX, f->suffix);
        if (!write_file(b, path, &f->part))
            return false;
        if (is_source(f->suffix))
            PUSH(b->a, sources, path);
    }
    const char *program = str_fmt(b->a, "%s/main.c", folder);
    PUSH(b->a, sources, program);
    return write_text(b, program, main_text);
}

static const char *text_of(Bench *b, const char *path)
{
    Text t = {.arena = b->a};
    return file_read(path, &t) ? text_str(&t) : "";
}

/* ---- commands ---- */

/* In the child: standard output to the file, errors beside it. */
static void redirect(const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
        _exit(127);
}

/* Runs word[0] with what follows, NULL behind the last; its output goes to the file. */
static bool command(Bench *b, Words *word, const char *output)
{
    int state = 0;
    made(b, output);
    PUSH(b->a, word, NULL);
    const pid_t child = fork();
    if (child == 0) {
        redirect(output);
        execvp(word->at[0], (char *const *)(uintptr_t)word->at);
        fprintf(stderr, "%s: %s\n", word->at[0], strerror(errno));
        _exit(127);
    }
    if (child < 0)
        return failed(b, "start", word->at[0]);
    while (waitpid(child, &state, 0) < 0 && errno == EINTR)
        continue;
    if (WIFEXITED(state) && WEXITSTATUS(state) == 0)
        return true;
    const char *said = text_of(b, output);
    return diag_error(b->d, "tune", "'%s' failed, so nothing was measured; it said: %.*s", word->at[0], SAID, printable(b->a, said));
}

static const char *c_compiler(void)
{
    const char *cc = getenv("CC");
    return cc && *cc ? cc : "cc";
}

static void machine_options(Bench *b, const Machine *m, Words *w)
{
    for (const char *s = m->flags; *s; s += strspn(s, " ")) {
        const size_t n = strcspn(s, " ");
        PUSH(b->a, w, str_ndup(b->a, s, n));
        s += n;
    }
}

static bool build(Bench *b, const Machine *m, const Trial *t, const char *folder)
{
    Words w = {0}, sources = {0};
    if (!write_trial(b, t, folder, &sources))
        return false;
    const char *const first[] = {c_compiler(), "-std=gnu11", "-O2", "-w", "-D_GNU_SOURCE", "-DMLCC_PROFILE", str_fmt(b->a, "-I%s", folder), str_fmt(b->a, "-Wa,-I,%s", folder)};
    for (size_t k = 0; k < COUNT(first); k++)
        PUSH(b->a, &w, first[k]);
    machine_options(b, m, &w);
    for (uint32_t k = 0; k < sources.n; k++)
        PUSH(b->a, &w, sources.at[k]);
    const char *const last[] = {"-o", made(b, str_fmt(b->a, "%s/trial", folder)), "-lm"};
    for (size_t k = 0; k < COUNT(last); k++)
        PUSH(b->a, &w, last[k]);
    return command(b, &w, str_fmt(b->a, "%s/cc.log", folder));
}

/* ---- times ---- */

/* Lines {"function": "n000_Conv", "us": 12.345, ...}, one for each function of a run. */
static bool take_times(Bench *b, Trial *t, const char *path)
{
    uint32_t k = 0;
    for (const char *s = text_of(b, path); k < t->n && (s = strstr(s, "\"us\": ")) != NULL; k++, s++) {
        const double us = strtod(s + 6, NULL);
        t->us[k] = t->us[k] > 0 && t->us[k] < us ? t->us[k] : us;
    }
    return k == t->n || diag_error(b->d, "tune", "the trial timed %u functions of %u", k, t->n);
}

static bool round_of(Bench *b, Trial *t, const char *folder)
{
    Words w = {0};
    const char *times = str_fmt(b->a, "%s/times", folder);
    PUSH(b->a, &w, str_fmt(b->a, "%s/trial", folder));
    PUSH(b->a, &w, SECONDS);
    return command(b, &w, times) && take_times(b, t, times);
}

static bool run_all(Bench *b, const Machine *m, Trial *t, uint32_t n)
{
    const char **folder = NEWN(b->a, const char *, n);
    for (uint32_t k = 0; k < n; k++) {
        folder[k] = str_fmt(b->a, "%s/%u", b->folder, k);
        t[k].us = NEWN(b->a, double, t[k].n);
        if (!build(b, m, &t[k], folder[k]))
            return false;
    }
    for (int r = 0; r < ROUNDS; r++)
        for (uint32_t k = 0; k < n; k++)
            if (!round_of(b, &t[k], folder[k]))
                return false;
    return true;
}

bool trial_run(Arena *a, Diags *d, const Machine *m, Trial *t, uint32_t n)
{
    Bench b = {.a = a, .d = d, .folder = folder_temporary(a)};
    if (!b.folder)
        return failed(&b, "make", "a folder for the trials");
    made(&b, b.folder);
    const bool ok = run_all(&b, m, t, n);
    for (uint32_t k = b.made.n; k-- > 0;)
        (void)remove(b.made.at[k]); /* folders last, as they were made first */
    return ok;
}

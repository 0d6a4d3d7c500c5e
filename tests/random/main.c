/* SPDX-License-Identifier: Apache-2.0
 *
 * random_graphs [--seed N] [--count N] [--networks] [--cc CC] [--folder DIR] [--no-cc] [--print] [--verbose] [FILE.nn ...]
 *
 * Makes graphs, or reads them from files, and checks them (random.h). Everything that may crash happens in a child process. A failing graph is
 * shrunk while it fails in the same way, and printed as text that mlcc reads. Graphs that passed on the interpreter are
 * joined, so that the C compiler is started once for many; when the joint graph fails, each is compiled alone.
 */
#include "random.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ir/op.h"

enum { ROOM = 1 << 22, ROWS = 2048, BATCH = 24, NETWORKS = 3, FILE_WAYS = 32, SECONDS = 20, CC_SECONDS = 120 };

/* What a child hands back. */
typedef struct Shared {
    char text[ROOM], trace[ROOM], why[2048];
    bool accepted[ROWS];
    Verdict verdict;
} Shared;

typedef enum What { W_generate, W_trace, W_levels, W_emitted, W_cut_node, W_cut_output } What;

typedef struct Job {
    What what;
    uint64_t seed;
    const char *text;
    uint32_t k;       /* cut: number of the node or output */
    bool typed;       /* cut: the text has all types; inference is what crashes */
} Job;

typedef struct Runner {
    Shared *shared;
    const char *cc, *folder;
    bool verbose, print, no_cc, networks;
    uint64_t seed, count;
    char **file;      /* graphs to check instead, or NULL */
    uint64_t passed, failed, rejected;
} Runner;

/* ---- jobs, in the child ---- */

/* The graph without outputs that are not wanted, and without what then is not needed. */
static void keep_needed(Arena *a, Graph *g)
{
    graph_sweep(g);
    const uint32_t *uses = graph_uses(g, a);
    uint32_t kept = 0;
    for (uint32_t k = 0; k < g->input.n; k++)
        if (uses[g->input.at[k].i]) g->input.at[kept++] = g->input.at[k];
    g->input.n = kept;
}

/* The results of a node become inputs. */
static bool cut_node(Arena *a, Graph *g, uint32_t k)
{
    if (k >= g->order.n) return false;
    const NodeId id = g->order.at[k];
    const Node *n = node(g, id);
    graph_remove(g, id);
    for (uint16_t q = 0; q < n->nout; q++) {
        if (is_none(n->out[q])) continue;
        tensor(g, n->out[q])->kind = TK_INPUT;
        tensor(g, n->out[q])->value = NULL;
        PUSH(a, &g->input, n->out[q]);
    }
    uint32_t kept = 0;
    for (uint32_t q = 0; q < g->output.n; q++)
        if (tensor(g, g->output.at[q])->kind == TK_ACT) g->output.at[kept++] = g->output.at[q];
    g->output.n = kept;
    return kept > 0;
}

static bool cut_output(Graph *g, uint32_t k)
{
    if (k >= g->output.n || g->output.n < 2) return false;
    for (uint32_t q = k + 1; q < g->output.n; q++) g->output.at[q - 1] = g->output.at[q];
    g->output.n--;
    return true;
}

/* The smaller text; V_rejected: there is no such node or output. */
static Verdict cut(Arena *a, const Job *j, Shared *s)
{
    const char *why = "";
    Graph *g = read_graph(a, j->text, !j->typed, &why);
    if (!g || !(j->what == W_cut_node ? cut_node(a, g, j->k) : cut_output(g, j->k))) return V_rejected;
    if (!j->typed) keep_needed(a, g);
    Text t = {.arena = a};
    if (j->typed) graph_print(&t, g, 0);
    snprintf(s->text, ROOM, "%s", j->typed ? text_str(&t) : bare_text(a, g));
    return V_agree;
}

static Verdict work(Runner *r, Arena *a, const Job *j, const char **why)
{
    Shared *s = r->shared;
    const Trace trace = {s->trace, ROOM};
    switch (j->what) {
    case W_generate:
    case W_trace:
        snprintf(s->text, ROOM, "%s", r->networks ? random_network(a, j->seed) : random_graph(a, j->seed, s->accepted, j->what == W_trace ? &trace : NULL));
        return V_agree;
    case W_levels: return check_levels(a, j->text, j->seed, why);
    case W_emitted: return check_emitted(a, j->text, j->seed, r->cc, r->folder, why);
    case W_cut_node:
    case W_cut_output: return cut(a, j, s);
    }
    return V_rejected;
}

static NORETURN void child(Runner *r, const Job *j, int said)
{
    dup2(said, STDOUT_FILENO);
    dup2(said, STDERR_FILENO);
    alarm(j->what == W_emitted ? CC_SECONDS : SECONDS);
    jmp_buf oom;
    Arena *a = arena_new((size_t)1 << 30, &oom);
    if (!a || setjmp(oom)) ICE("out of memory");
    const char *why = "";
    r->shared->verdict = work(r, a, j, &why);
    snprintf(r->shared->why, sizeof r->shared->why, "%s", why);
    _exit(0);
}

/* ---- isolation ---- */

/* "crash at FILE:LINE: text" of an internal error, otherwise the signal. */
static void describe_crash(Shared *s, int status, char *said)
{
    static const char mark[] = "internal error at ";
    char *at = strstr(said, mark);
    if (at) at[strcspn(at, "\n")] = 0;
    if (at) snprintf(s->why, sizeof s->why, "crash at %.400s", at + strlen(mark));
    else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) snprintf(s->why, sizeof s->why, "timeout: no end");
    else snprintf(s->why, sizeof s->why, "signal %d: %.300s", WIFSIGNALED(status) ? WTERMSIG(status) : -1, said);
    s->verdict = V_differ;
}

static Verdict isolated(Runner *r, const Job *j)
{
    int said[2];
    char text[4096];
    size_t n = 0;
    fflush(stdout);
    if (pipe(said) != 0) ICE("no pipe");
    const pid_t pid = fork();
    if (pid < 0) ICE("cannot fork");
    if (pid == 0) child(r, j, said[1]);
    close(said[1]);
    for (ssize_t got; n < sizeof text - 1 && (got = read(said[0], text + n, sizeof text - 1 - n)) > 0;) n += (size_t)got;
    text[n] = 0;
    close(said[0]);
    int status;
    waitpid(pid, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) describe_crash(r->shared, status, text);
    return r->shared->verdict;
}

/* ---- shrinking ---- */

/* A failure's kind is what stands before ": ". */
static bool same_kind(const char *p, const char *q)
{
    const char *end = strstr(p, ": ");
    const size_t n = end ? (size_t)(end - p) : strlen(p);
    return strncmp(p, q, n) == 0;
}

/* One cut, when the graph still fails in the same way. */
static bool try_cut(Runner *r, What what, uint32_t k, Job *failing, char *kind, size_t room)
{
    const Job j = {.what = what, .seed = failing->seed, .text = failing->text, .k = k, .typed = failing->typed};
    if (isolated(r, &j) != V_agree) return false;
    char *text = strdup(r->shared->text);
    Job again = *failing;
    again.text = text;
    if (isolated(r, &again) != V_differ || !same_kind(kind, r->shared->why)) {
        free(text);
        return false;
    }
    snprintf(kind, room, "%s", r->shared->why);
    free((void *)(uintptr_t)failing->text);
    failing->text = text;
    return true;
}

static uint32_t line_count(const char *s)
{
    uint32_t n = 0;
    for (; *s; s++) n += *s == '\n';
    return n;
}

/* Fewer outputs first, then fewer nodes, from the end; there are no more of either than lines. */
static void shrink(Runner *r, Job *failing, char *kind, size_t room)
{
    for (bool any = true; any;) {
        any = false;
        for (uint32_t k = line_count(failing->text); k-- > 0;) any |= try_cut(r, W_cut_output, k, failing, kind, room);
        for (uint32_t k = line_count(failing->text); k-- > 0;) any |= try_cut(r, W_cut_node, k, failing, kind, room);
    }
}

static void report(Runner *r, What what, uint64_t seed, const char *text, bool typed)
{
    char kind[2048];
    snprintf(kind, sizeof kind, "%s", r->shared->why);
    Job failing = {.what = what, .seed = seed, .text = strdup(text), .typed = typed};
    shrink(r, &failing, kind, sizeof kind);
    r->failed++;
    printf("FAIL seed %llu, %s: %s\n%s\n", (unsigned long long)seed, what == W_levels ? "interpreter" : "emitted C", kind, failing.text);
    fflush(stdout);
    free((void *)(uintptr_t)failing.text);
}

/* ---- graphs ---- */

static char *file_text(const char *path)
{
    char *text = calloc(1, ROOM);
    FILE *f = fopen(path, "rb");
    if (!f || !text || fread(text, 1, ROOM - 1, f) == 0) ICE("cannot read %s", path);
    fclose(f);
    return text;
}

/* The graph of a seed. *crashed: making it did, and this is how far it came. */
static char *graph_text(Runner *r, uint64_t seed, bool *crashed)
{
    Job j = {.what = W_generate, .seed = seed};
    *crashed = isolated(r, &j) != V_agree;
    if (*crashed) {
        j.what = W_trace;
        (void)isolated(r, &j);
    }
    return strdup(*crashed ? r->shared->trace : r->shared->text);
}

/* Of a file, which failed on some machine once, for several machines, modes, levels and inputs, which it may refuse; j->seed: of what differs. */
static Verdict check_ways(Runner *r, Job *j)
{
    const Verdict v = isolated(r, j);
    for (int k = 1; r->file && v == V_agree && k < FILE_WAYS; k++) {
        j->seed += r->count;
        if (isolated(r, j) == V_differ) return V_differ;
    }
    return v;
}

/* A graph that agrees on the interpreter, or NULL. The caller frees it. */
static char *sound_graph(Runner *r, uint64_t seed)
{
    bool crashed = false;
    char *text = r->file ? file_text(r->file[seed]) : graph_text(r, seed, &crashed);
    if (r->print) printf("# seed %llu\n%s\n", (unsigned long long)seed, text);
    Job j = {.what = W_levels, .seed = seed, .text = text};
    const Verdict v = check_ways(r, &j);
    if (v == V_agree && !crashed) return text;
    if (v == V_rejected) {
        r->rejected++;
        if (r->verbose) printf("rejected seed %llu: %s\n%s\n", (unsigned long long)seed, r->shared->why, text);
    } else {
        report(r, W_levels, j.seed, text, crashed);
    }
    free(text);
    return NULL;
}

/* What stands behind the line "graph NAME". */
static const char *behind_name(const char *s)
{
    while (strncmp(s, "graph ", 6) != 0 && strchr(s, '\n')) s = strchr(s, '\n') + 1;
    const char *end = strchr(s, '\n');
    return end ? end + 1 : s + strlen(s);
}

static bool emitted_agrees(Runner *r, uint64_t seed, const char *text)
{
    const Job j = {.what = W_emitted, .seed = seed, .text = text};
    return isolated(r, &j) == V_agree;
}

static void check_joint(Runner *r, uint64_t seed, const uint64_t *seeds, char **text, size_t n)
{
    Arena *a = arena_new(0, NULL);
    Text all = {.arena = a};
    text_add(&all, "graph random\n");
    for (size_t k = 0; k < n; k++) text_add(&all, "%s", behind_name(text[k]));
    const char *joint = text_str(&all);
    const uint64_t before = r->failed;
    if (n && !emitted_agrees(r, seed, joint)) {
        for (size_t k = 0; k < n; k++)
            if (!emitted_agrees(r, seeds[k], text[k])) report(r, W_emitted, seeds[k], text[k], false);
        if (r->failed == before && !emitted_agrees(r, seed, joint)) report(r, W_emitted, seed, joint, false);
    }
    const uint64_t bad = r->failed - before;
    r->passed += bad < n ? n - bad : 0;
    arena_free(a);
}

static void check_all(Runner *r)
{
    const uint64_t batch = r->file ? 1 : r->networks ? NETWORKS : BATCH; /* names of files may be the same; what a network becomes depends on the machine of its batch */
    for (uint64_t at = 0; at < r->count; at += batch) {
        char *text[BATCH];
        uint64_t seeds[BATCH];
        size_t n = 0;
        for (uint64_t k = at; k < r->count && k < at + batch; k++) {
            seeds[n] = r->seed + k;
            text[n] = sound_graph(r, seeds[n]);
            n += text[n] != NULL;
        }
        if (r->no_cc) r->passed += n;
        else check_joint(r, r->seed + at, seeds, text, n);
        while (n) free(text[--n]);
    }
}

/* Rows of the operator table for which no node was made. */
static uint64_t say_missing(const Runner *r)
{
    uint64_t rows = 0, missing = 0;
    while (op_at((uint32_t)rows)) rows++;
    for (uint32_t k = 0; k < rows && r->count >= rows && !r->file && !r->networks; k++) {
        if (r->shared->accepted[k] || (op_at(k)->flags & OF_RANDOM)) continue;
        printf("skipped %s: no proposed node was accepted\n", op_at(k)->name);
        missing++;
    }
    return missing;
}

static bool flag(Runner *r, const char *arg)
{
    const struct { const char *name; bool *at; } all[] = {{"--no-cc", &r->no_cc}, {"--print", &r->print}, {"--verbose", &r->verbose}, {"--networks", &r->networks}};
    for (size_t k = 0; k < COUNT(all); k++)
        if (strcmp(arg, all[k].name) == 0) return *all[k].at = true;
    return false;
}

static bool setting(Runner *r, const char *arg, const char *value)
{
    if (strcmp(arg, "--seed") == 0) r->seed = strtoull(value, NULL, 10);
    else if (strcmp(arg, "--count") == 0) r->count = strtoull(value, NULL, 10);
    else if (strcmp(arg, "--cc") == 0) r->cc = value;
    else if (strcmp(arg, "--folder") == 0) r->folder = value;
    else return false;
    return true;
}

static bool options(Runner *r, char **arg)
{
    for (; *arg && **arg == '-'; arg++)
        if (!flag(r, *arg) && (!arg[1] || !setting(r, *arg, *(arg + 1)) || !*++arg)) return false;
    if (!*arg) return true;
    r->file = arg;
    r->seed = 0;
    for (r->count = 0; arg[r->count]; r->count++) {}
    return true;
}

int main(int argc, char **argv)
{
    Runner r = {.cc = "gcc", .folder = ".", .count = 100};
    r.shared = mmap(NULL, sizeof *r.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (r.shared == MAP_FAILED || !options(&r, argv + (argc > 0))) {
        fputs("usage: random_graphs [--seed N] [--count N] [--networks] [--cc CC] [--folder DIR] [--no-cc] [--print] [--verbose] [FILE.nn ...]\n", stderr);
        return 2;
    }
    check_all(&r);
    const uint64_t skipped = r.rejected + say_missing(&r);
    printf("%llu passed, %llu failed, %llu skipped\n", (unsigned long long)r.passed, (unsigned long long)r.failed, (unsigned long long)skipped);
    return r.failed != 0;
}

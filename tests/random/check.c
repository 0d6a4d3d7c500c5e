/* SPDX-License-Identifier: Apache-2.0
 *
 * Differentials. The same graph is computed in two ways on the same inputs: by the interpreter at -O0 and at -O3 or -Os, or
 * by the interpreter and by emitted C.
 *
 * Integers must be equal, floats within the rounding that another order of summation may bring. Rounding can be blown up
 * by what follows it (a comparison, a division by a difference). So a difference counts only when the reference itself
 * stays calm: it is run again with inputs and constants moved by a few units in the last place, and a result that moves as
 * much as the difference is no evidence. Half of the emitted code is made for three and seven threads, too, and must give the same bytes
 * whichever part runs first. A quarter of the graphs is compiled with -ffp=bf16, whose rounding of what
 * contractions read is compared with -O0, which rounds nothing: allowed and moved is then what bfloat16 cannot tell apart.
 */
#include "random.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "codegen/emit.h"
#include "compiler/driver.h"
#include "ir/op.h"
#include "runtime-min/mlcc_parallel.h"

enum { GUARD = 256, TRIALS = 6, CALM = 32 };
static const unsigned char poisons[] = {0x00, 0xA5};

/* One way to compute a graph. */
typedef struct Side {
    Arena *a;
    Ctx cx;
    Diags diags;
    Options opt;
    Program p;
    uint64_t seed;
    mlcc_tensor *in, *out;
} Side;

/* ---- compiling ---- */

static const char *first_error(Arena *a, const Diags *d)
{
    for (uint32_t k = 0; k < d->list.n; k++)
        if (d->list.at[k].sev == SEV_ERROR)
            return str_fmt(a, "%s: %s [%s]", d->list.at[k].subject ? d->list.at[k].subject : "", d->list.at[k].text, d->list.at[k].slug);
    return "rejected without a diagnostic";
}

static Side *side_new(Arena *a, uint64_t seed, int narg, char **arg)
{
    Side *s = NEW(a, Side);
    s->a = a;
    s->seed = seed;
    s->diags = (Diags){.arena = a, .file = "random"};
    s->cx = (Ctx){.arena = a, .x = exprs_new(a), .diags = &s->diags, .symbol = {.arena = a}, .default_max = 8, .max_elements = UINT64_C(1) << 24};
    if (!options_parse(a, &s->diags, narg, arg, &s->opt)) ICE("options: %s", first_error(a, &s->diags));
    s->p = (Program){.cx = &s->cx, .opt = &s->opt, .name = "random", .log = NEW(a, Text)};
    s->p.log->arena = a;
    s->cx.fp = options_fp(&s->opt);
    if (!driver_threads(a, &s->diags, &s->opt, &s->p)) ICE("threads: %s", first_error(a, &s->diags));
    if (!machine_for(&s->diags, s->opt.target, s->opt.march, &s->p.machine)) ICE("target: %s", first_error(a, &s->diags));
    return s;
}

/* The narrowest type that floats of type dt may pass through. */
static DType narrowest(FpMode fp, DType dt)
{
    return fp == FP_bf16 ? DT_bf16 : dt;
}

/* Floats moved by a few units in the last place of type `as`. */
static void jitter(Rng *r, DType dt, DType as, int64_t count, void *data)
{
    const double unit = as == DT_f64 ? 0x1p-50 : as == DT_f32 ? 0x1p-21 : as == DT_f16 ? 0x1p-9 : 0x1p-6;
    for (int64_t k = 0; dtype_is_float(dt) && k < count; k++) {
        void *at = (char *)data + (size_t)k * dtype_bytes(dt);
        dtype_put_f(dt, at, dtype_get_f(dt, at) * (1 + unit * (double)rng_range(r, -4, 4) / 4));
    }
}

static void jitter_constants(Side *s, Rng *r)
{
    for (uint32_t k = 1; k < graph_ntensors(s->p.graph); k++) {
        Tensor *t = tensor(s->p.graph, (TensorId){k});
        if (t->kind != TK_CONST || !dtype_is_float(t->dt)) continue;
        const int64_t n = t->data->count;
        char *data = arena_alloc(s->a, (size_t)n * dtype_bytes(t->dt) + 1, 16);
        blob_get(t->data, 0, n, data);
        jitter(r, t->dt, narrowest(s->cx.fp, t->dt), n, data);
        t->data = blob_make(s->a, t->dt, n, data);
    }
}

static bool side_compile(Side *s, const char *text, Rng *shake)
{
    s->p.graph = graph_parse(&s->cx, text);
    if (!s->p.graph) return false;
    if (shake) jitter_constants(s, shake);
    return passes_run(&s->p, NULL) && s->diags.errors == 0;
}

Graph *read_graph(Arena *a, const char *text, bool infer, const char **why)
{
    char *arg[] = {(char[]){"mlcc"}, (char[]){"-"}, NULL};
    Side *s = side_new(a, 0, 2, arg);
    Graph *g = graph_parse(&s->cx, text);
    if (g && (!infer || infer_graph(g))) return g;
    *why = first_error(a, &s->diags);
    return NULL;
}

/* ---- memory ---- */

static int64_t extent_of(const Side *s, const Expr *e)
{
    if (e->op == EX_const) return e->v.i;
    const VarInfo *v = e->op == EX_var ? ex_var_info(s->cx.x, e) : NULL;
    if (v) {
        Rng r = rng_of(s->seed, v->name);
        return rng_range(&r, v->lo, v->hi);
    }
    Scalar a[3];
    for (uint16_t k = 0; k < e->n && k < 3; k++) a[k].i = extent_of(s, e->a[k]);
    return scalar_op((ExprOp)e->op, (DType)e->dt, (DType)e->a[e->op == EX_select]->dt, a).i;
}

static int64_t count_of(const mlcc_tensor *t)
{
    int64_t n = 1;
    for (int32_t d = 0; d < t->rank; d++) n *= t->dim[d];
    return n;
}

/* Inputs by their names, so that they stay as they are when the graph shrinks. */
static void make_inputs(Side *s, Rng *shake)
{
    const Unit *u = s->p.unit;
    s->in = NEWN(s->a, mlcc_tensor, u->input.n + 1);
    for (uint32_t k = 0; k < u->input.n; k++) {
        const Buf *b = buf(u, u->input.at[k]);
        mlcc_tensor *t = &s->in[k];
        *t = (mlcc_tensor){.dtype = dtype_info(b->dt)->onnx, .rank = b->rank};
        for (uint8_t d = 0; d < b->rank; d++) t->dim[d] = extent_of(s, b->dim[d]);
        t->data = arena_alloc(s->a, (size_t)count_of(t) * dtype_bytes(b->dt) + 1, 64);
        Rng r = rng_of(s->seed, tensor(s->p.graph, s->p.graph->input.at[k])->name);
        random_values(&r, b->dt, count_of(t), t->data);
        if (shake) jitter(shake, b->dt, narrowest(s->cx.fp, b->dt), count_of(t), t->data);
    }
}

static bool side_run(Side *s, Rng *shake)
{
    const Unit *u = s->p.unit;
    make_inputs(s, shake);
    s->out = NEWN(s->a, mlcc_tensor, u->output.n + 1);
    for (uint32_t k = 0; k < u->output.n; k++)
        s->out[k].data = arena_alloc(s->a, (size_t)buf(u, u->output.at[k])->bytes + 1, 64);
    return unit_run(s->a, u, s->in, s->out);
}

/* ---- comparing ---- */

typedef struct Gap { double far; bool any; int64_t at; } Gap; /* greatest difference of two tensors; far: infinite when not a distance */

static double tolerance(DType dt)
{
    return dt == DT_f64 ? 1e-11 : dt == DT_f32 ? 2e-5 : dt == DT_f16 ? 4e-3 : 4e-2;
}

/* How far two elements are apart beyond what is allowed. */
static double element_gap(DType dt, const void *p, const void *q, double allowed, double scale)
{
    if (dt == DT_str) return strcmp(*(const char *const *)p, *(const char *const *)q) ? INFINITY : 0;
    if (!dtype_is_float(dt)) return dtype_get_i(dt, p) == dtype_get_i(dt, q) ? 0 : INFINITY;
    const double x = dtype_get_f(dt, p), y = dtype_get_f(dt, q);
    if (x == y || (isnan(x) && isnan(y))) return 0;
    if (!isfinite(x) || !isfinite(y)) return INFINITY;
    return fabs(x - y) <= allowed * fmax(fmax(fabs(x), fabs(y)), scale) ? 0 : fabs(x - y);
}

static double scale_of(DType dt, int64_t n, const char *data)
{
    double most = 0;
    for (int64_t k = 0; dtype_is_float(dt) && k < n; k++) {
        const double v = fabs(dtype_get_f(dt, data + (size_t)k * dtype_bytes(dt)));
        if (isfinite(v)) most = fmax(most, v);
    }
    return fmin(most, 1);
}

static bool same_shape_now(const mlcc_tensor *p, const mlcc_tensor *q)
{
    return p->dtype == q->dtype && p->rank == q->rank && memcmp(p->dim, q->dim, (size_t)p->rank * sizeof p->dim[0]) == 0;
}

static Gap gap_of(FpMode fp, const mlcc_tensor *p, const mlcc_tensor *q)
{
    Gap g = {.far = same_shape_now(p, q) ? 0 : INFINITY, .any = !same_shape_now(p, q)};
    DType dt = dtype_by_onnx(p->dtype);
    int64_t n = g.any ? 0 : count_of(p);
    if (dt == DT_c64 || dt == DT_c128) {
        dt = dt == DT_c64 ? DT_f32 : DT_f64;
        n *= 2;
    }
    const double scale = scale_of(dt, n, p->data), allowed = tolerance(narrowest(fp, dt));
    for (int64_t k = 0; k < n; k++) {
        const size_t at = (size_t)k * dtype_bytes(dt);
        const double far = element_gap(dt, (char *)p->data + at, (char *)q->data + at, allowed, scale);
        if (far <= g.far) continue;
        g = (Gap){far, true, k};
    }
    return g;
}

/* The greatest difference that a few units in the last place of inputs and constants make in output k. */
static double unrest(const Side *calm, const char *text, int narg, char **arg, uint32_t k)
{
    double most = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
        Arena *a = arena_child(calm->a);
        Rng shake = rng_of(calm->seed + (uint64_t)trial, "shake");
        Side *s = side_new(a, calm->seed, narg, arg);
        if (side_compile(s, text, &shake) && side_run(s, &shake)) most = fmax(most, gap_of(s->cx.fp, &calm->out[k], &s->out[k]).far);
        arena_free(a);
    }
    return most;
}

static void print_value(Text *t, const mlcc_tensor *v, int64_t k)
{
    const DType dt = dtype_by_onnx(v->dtype);
    const char *at = (const char *)v->data + (size_t)k * dtype_bytes(dt);
    if (dt == DT_str) text_add(t, "'%s'", *(const char *const *)(const void *)at);
    else if (dtype_is_float(dt)) text_add(t, "%.9g", dtype_get_f(dt, at));
    else if (dtype_is_int(dt) || dt == DT_bool) text_add(t, "%lld", (long long)dtype_get_i(dt, at));
}

static const char *describe(Arena *a, const char *name, const mlcc_tensor *want, const mlcc_tensor *got, Gap g)
{
    Text t = {.arena = a};
    text_add(&t, "values: output '%s' of type %s, ", name, dtype_info(dtype_by_onnx(want->dtype))->name);
    if (!same_shape_now(want, got)) {
        text_add(&t, "extents");
        for (int32_t d = 0; d < want->rank; d++) text_add(&t, " %lld/%lld", (long long)got->dim[d], (long long)want->dim[d]);
        return text_str(&t);
    }
    text_add(&t, "element %lld of %lld: ", (long long)g.at, (long long)count_of(want));
    print_value(&t, got, g.at);
    text_add(&t, " instead of ");
    print_value(&t, want, g.at);
    return text_str(&t);
}

/* want: of the calm side, whose text and options are given. */
static Verdict compare(const Side *calm, const mlcc_tensor *got, const char *text, int narg, char **arg, const char **why)
{
    for (uint32_t k = 0; k < calm->p.unit->output.n; k++) {
        const Gap g = gap_of(calm->cx.fp, &calm->out[k], &got[k]);
        if (!g.any || CALM * unrest(calm, text, narg, arg, k) >= g.far) continue;
        *why = describe(calm->a, tensor(calm->p.graph, calm->p.graph->output.at[k])->name, &calm->out[k], &got[k], g);
        return V_differ;
    }
    return V_agree;
}

/* ---- -O0 and -O3 or -Os on the interpreter ---- */

static char *random_machine(Arena *a, uint64_t seed)
{
    static const char *const march[] = {"-march=generic",   "-march=x86-64-v3", "-march=x86-64-v4",       "--target=scalar",
                                        "-march=znver3",    "-march=znver4",    "-march=x86-64-v4-vnni",  "-march=sapphirerapids",
                                        "-march=neon-i8mm", "-march=x86-64-v2", "-march=x86-64-v3-vnni"};
    Rng r = rng_of(seed, "machine");
    return (char *)(uintptr_t)str_dup(a, march[rng_next(&r) % COUNT(march)]);
}

static char *random_mode(Arena *a, uint64_t seed)
{
    static const char *const mode[] = {"-ffp=fast", "-ffp=fast", "-ffp=strict", "-ffp=bf16"};
    Rng r = rng_of(seed, "mode");
    return (char *)(uintptr_t)str_dup(a, mode[rng_next(&r) % COUNT(mode)]);
}

/* -Os for one graph of four. */
static char *random_level(Arena *a, uint64_t seed)
{
    Rng r = rng_of(seed, "size");
    return (char *)(uintptr_t)str_dup(a, rng_chance(&r, 25) ? "-Os" : "-O3");
}

/* Caches so small, for two graphs of three, that what large models do is done for small ones. */
static void shrink_caches(Machine *m, uint64_t seed)
{
    static const int32_t parts[] = {1, 64, 1024};
    Rng r = rng_of(seed, "caches");
    const int32_t part = parts[rng_next(&r) % COUNT(parts)];
    m->l1_bytes /= part;
    m->l2_bytes /= part;
    m->l3_bytes /= part;
}

/* A program that ran, or NULL: *why. */
static Side *made(Arena *a, const char *text, uint64_t seed, int narg, char **arg, const char **why)
{
    Side *s = side_new(a, seed, narg, arg);
    shrink_caches(&s->p.machine, seed);
    if (side_compile(s, text, NULL) && side_run(s, NULL)) return s;
    *why = first_error(a, &s->diags);
    return NULL;
}

Verdict check_levels(Arena *a, const char *text, uint64_t seed, const char **why)
{
    char *mode = random_mode(a, seed);
    char *calm[] = {(char[]){"mlcc"}, (char[]){"-"}, (char[]){"-O0"}, (char[]){"--target=scalar"}, mode, NULL};
    char *fast[] = {(char[]){"mlcc"}, (char[]){"-"}, random_level(a, seed), random_machine(a, seed), mode, NULL};
    const Side *p = made(a, text, seed, 5, calm, why);
    if (!p) return V_rejected;
    const char *reason = "";
    const Side *q = made(a, text, seed, 5, fast, &reason);
    if (!q) {
        *why = str_fmt(a, "rejected at %s only: %s", fast[2], reason);
        return V_differ;
    }
    return compare(p, q->out, text, 5, calm, why);
}

/* ---- interpreter and emitted C ---- */

/* Bytes between two guard bands, all filled with one value. */
typedef struct Guarded { unsigned char *raw, *at; size_t size; unsigned char fill; } Guarded;

static Guarded guarded(Arena *a, size_t size, unsigned char fill)
{
    Guarded g = {.size = size, .fill = fill};
    g.raw = arena_alloc(a, size + 2 * GUARD, 64);
    memset(g.raw, fill, size + 2 * GUARD);
    g.at = g.raw + GUARD;
    return g;
}

static bool intact(const Guarded *g)
{
    bool same = true;
    for (size_t k = 0; k < GUARD; k++) same &= g->raw[k] == g->fill && g->at[g->size + k] == g->fill;
    return same;
}

static void put_bytes(void *file, const void *p, size_t n)
{
    (void)fwrite(p, 1, n, file);
}

static bool write_files(Arena *a, const EmitFiles *files, const char *folder, const char *name)
{
    bool ok = true;
    for (uint32_t k = 0; k < files->file.n; k++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s%s", folder, name, files->file.at[k].suffix);
        FILE *f = fopen(path, "wb");
        if (f) emit_put(&files->file.at[k].part, a, &(Sink){put_bytes, f});
        ok = ok && f && !ferror(f);
        if (f) fclose(f);
    }
    return ok;
}

/* What a command says first, or "" when it succeeds: "error unused variable: " and the text, which starts with its kind. */
static const char *command(Arena *a, const char *line)
{
    char said[1024] = "";
    FILE *f = popen(line, "r");
    if (!f) return "cannot run it";
    const size_t n = fread(said, 1, sizeof said - 1, f);
    char rest[4096];
    while (fread(rest, 1, sizeof rest, f) > 0) {}
    said[n] = 0;
    const bool ok = pclose(f) == 0;
    const char *error = strstr(said, "error: ");
    if (ok || !error) return ok ? "" : str_fmt(a, "failed: %s", said);
    const char *rest_of = error + strlen("error: ");
    return str_fmt(a, "error %.*s: %s", (int)strcspn(rest_of, ":'\xe2\n"), rest_of, rest_of);
}

/* The emitted files that a compiler takes. */
static const char *sources(Arena *a, const EmitFiles *files, const char *name)
{
    Text t = {.arena = a};
    for (uint32_t k = 0; k < files->file.n; k++) {
        const char *suffix = files->file.at[k].suffix, *dot = strrchr(suffix, '.');
        if (strcmp(dot, ".c") == 0 || strcmp(dot, ".S") == 0 || strcmp(dot, ".o") == 0) text_add(&t, " %s%s", name, suffix);
    }
    return text_str(&t);
}

static const char *build(Side *s, const char *cc, const char *folder, const char *name)
{
    Rng r = rng_of(s->seed, "emit");
    EmitOptions e = {.prefix = name, .file = name, .source = "random.nn", .sha256 = "", .version = mlcc_version, .lanes = s->p.machine.lanes_f32};
    EmitFiles files = {.arena = s->a};
    weights_layout(s->p.unit);
    e.weights = rng_chance(&r, 50) ? WM_array : WM_string;
    e.threads = s->p.threads.n > 0;
    s->p.unit->ram_with_io = ram_with_io(s->p.unit);
    emit_c(s->p.unit, &e, &files);
    if (!write_files(s->a, &files, folder, name)) ICE("cannot write to %s", folder);
    const char *checks = rng_chance(&r, 50) ? "-fsanitize=undefined -fsanitize-undefined-trap-on-error" : "";
    return command(s->a, str_fmt(s->a, "cd '%s' && %s -std=c11 -fPIC -shared -O1 -march=native -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror %s%s -o %s.so -lm 2>&1",
                                 folder, cc, checks, sources(s->a, &files, name), name));
}

typedef int ThreadsCall(const mlcc_tensor *in, mlcc_tensor *out, void *arena, const mlcc_parallel *parallel);

/* An emitted model; its call for threads is NULL where it has none. */
typedef struct Model { const mlcc_model_info *info; ThreadsCall *on_threads; } Model;

/* run of mlcc_parallel: one part after the other in some order. */
static int run_shuffled(void *user, void (*fn)(void *arg, int part, int parts), void *arg, int parts)
{
    int *order = calloc((size_t)parts, sizeof *order);
    if (!order) return -1;
    for (int k = 0; k < parts; k++) {
        const int at = (int)rng_range(user, 0, k);
        order[k] = order[at];
        order[at] = k;
    }
    for (int k = 0; k < parts; k++) fn(arg, order[k], parts);
    free(order);
    return 0;
}

/* parallel NULL: as for one thread. */
static const char *call_once(const Side *s, const Model *m, const mlcc_parallel *parallel, unsigned char fill, mlcc_tensor *out)
{
    const Unit *u = s->p.unit;
    const Guarded arena = guarded(s->a, m->info->arena_bytes + (parallel ? (size_t)(parallel->parts - 1) * (size_t)u->part_bytes : 0), fill);
    Guarded *room = NEWN(s->a, Guarded, u->output.n + 1);
    for (uint32_t k = 0; k < u->output.n; k++) {
        room[k] = guarded(s->a, (size_t)buf(u, u->output.at[k])->bytes, fill);
        out[k] = (mlcc_tensor){.data = room[k].at, .dtype = s->out[k].dtype, .rank = s->out[k].rank};
    }
    const int status = parallel ? m->on_threads(s->in, out, arena.at, parallel) : m->info->call(s->in, out, arena.at);
    if (status) return str_fmt(s->a, "status: the call returned %d", status);
    if (!intact(&arena)) return "guard: the call wrote outside the arena";
    for (uint32_t k = 0; k < u->output.n; k++)
        if (!intact(&room[k])) return str_fmt(s->a, "guard: the call wrote outside output %u", k);
    return NULL;
}

static bool same_bytes(const mlcc_tensor *p, const mlcc_tensor *q)
{
    return same_shape_now(p, q) && memcmp(p->data, q->data, (size_t)count_of(p) * dtype_bytes(dtype_by_onnx(p->dtype))) == 0;
}

/* NULL: all outputs have the same bytes. */
static const char *changed(const Side *s, const mlcc_tensor *p, const mlcc_tensor *q, const char *what)
{
    for (uint32_t k = 0; k < s->p.unit->output.n; k++)
        if (!same_bytes(&p[k], &q[k])) return str_fmt(s->a, "%s: output %u", what, k);
    return NULL;
}

static const char *call_parts(const Side *s, const Model *m, const mlcc_tensor *want)
{
    Rng r = rng_of(s->seed, "parts");
    const char *why = s->p.unit->threads.n && !m->on_threads ? "link: no call for threads" : NULL;
    for (uint32_t k = 0; k < s->p.unit->threads.n && !why; k++) {
        mlcc_tensor *out = NEWN(s->a, mlcc_tensor, s->p.unit->output.n + 1);
        const mlcc_parallel parallel = {.user = &r, .parts = s->p.unit->threads.at[k], .run = run_shuffled};
        why = call_once(s, m, &parallel, poisons[k % COUNT(poisons)], out);
        why = why ? why : changed(s, want, out, str_fmt(s->a, "parts: %d of them change", parallel.parts));
    }
    return why;
}

static Verdict call_all(const Side *s, const char *text, int narg, char **arg, const Model *m, const char **why)
{
    mlcc_tensor *out[COUNT(poisons)];
    *why = NULL;
    for (size_t k = 0; k < COUNT(poisons) && !*why; k++) {
        out[k] = NEWN(s->a, mlcc_tensor, s->p.unit->output.n + 1);
        *why = call_once(s, m, NULL, poisons[k], out[k]);
    }
    *why = *why ? *why : changed(s, out[0], out[1], "poison: what the arena or the output held before changes");
    *why = *why ? *why : call_parts(s, m, out[0]);
    return *why ? V_differ : compare(s, out[0], text, narg, arg, why);
}

Verdict check_emitted(Arena *a, const char *text, uint64_t seed, const char *cc, const char *folder, const char **why)
{
    static char calm[] = "-O0", one[] = "--threads=1", several[] = "--threads=3,7", always[] = "--threads-always";
    Rng r = rng_of(seed, "level");
    char *at = rng_chance(&r, 25) ? calm : random_level(a, seed), *threads = rng_chance(&r, 50) ? several : one;
    char *arg[] = {(char[]){"mlcc"}, (char[]){"-"}, at, random_machine(a, seed), random_mode(a, seed), threads, threads == one ? one : always, NULL};
    Side *s = made(a, text, seed, 7, arg, why);
    if (!s) return V_rejected;
    const char *name = str_fmt(a, "r%llu", (unsigned long long)seed), *said = build(s, cc, folder, name);
    if (*said) {
        *why = str_fmt(a, "cc %s", said);
        return V_differ;
    }
    void *lib = dlopen(str_fmt(a, "%s/%s.so", folder, name), RTLD_NOW);
    Model m = {.info = lib ? dlsym(lib, str_fmt(a, "%s_info", name)) : NULL};
    if (!m.info) {
        *why = str_fmt(a, "link: %s", dlerror());
        return V_differ;
    }
    *(void **)&m.on_threads = dlsym(lib, str_fmt(a, "%s_call_threads", name)); /* as POSIX has it */
    return call_all(s, text, 7, arg, &m, why);
}

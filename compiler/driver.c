/* SPDX-License-Identifier: Apache-2.0
 * See driver.h. */
#include "driver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../codegen/out.h"
#include "files.h"
#include "onnx.h"
#include "pass.h"
#include "tune.h"
#include "../targets/target.h"
#include "verb.h"
#include "warning.h"

enum { MAX_THREADS = 64 }; /* as runtime-min/mlcc_threads.h */

const char mlcc_version[] = "0.1.0";

/* ---- options to what the stages take ---- */

/* "name=rest": false without a name or '='. */
static bool split(Arena *a, const char *s, const char **name, const char **rest)
{
    const char *eq = strrchr(s, '=');
    if (!eq || eq == s)
        return false;
    *name = str_ndup(a, s, (size_t)(eq - s));
    *rest = eq + 1;
    return true;
}

static bool bad_option(Diags *d, const char *option, const char *value, const char *form)
{
    return diag_error(d, "option-value", "'%s' of %s cannot be read; write %s", value, option, form);
}

static OnnxPin *pin_of(Arena *a, OnnxOptions *to, const char *name)
{
    for (uint32_t k = 0; k < to->pin.n; k++)
        if (strcmp(to->pin.at[k].name, name) == 0)
            return &to->pin.at[k];
    PUSH(a, &to->pin, ((OnnxPin){.name = name}));
    return &to->pin.at[to->pin.n - 1];
}

/* "*=N" of --max: the bound of dimensions without one. Takes it out of the list. */
static void take_default(OnnxOptions *to, Ctx *cx)
{
    uint32_t kept = 0;
    for (uint32_t k = 0; k < to->pin.n; k++) {
        const OnnxPin *p = &to->pin.at[k];
        if (strcmp(p->name, "*") == 0 && p->max && !p->times) {
            cx->default_max = p->max;
            cx->default_given = true;
        } else {
            to->pin.at[kept++] = *p;
        }
    }
    to->pin.n = kept;
}

static bool pin_list(Arena *a, Diags *d, const StrList *from, const char *option, size_t field, OnnxOptions *to)
{
    for (uint32_t k = 0; k < from->v.n; k++) {
        const char *name, *n;
        int64_t v;
        if (!split(a, from->v.at[k], &name, &n) || !parse_size(n, &v) || v < 1)
            return bad_option(d, option, from->v.at[k], "NAME=N with N at least 1");
        *(int64_t *)(void *)((char *)pin_of(a, to, name) + field) = v;
    }
    return true;
}

static bool check_pin(Diags *d, const OnnxPin *p)
{
    const long long fixed = p->fixed, max = p->max, times = p->times;
    if (fixed && max)
        return diag_error(d, "option-conflict", "-D fixes '%s' at %lld, so that --max %lld bounds nothing; give one of them", p->name, fixed, max);
    if (fixed && times && fixed % times)
        return diag_error(d, "option-conflict", "-D fixes '%s' at %lld, which is no multiple of %lld (--multiple)", p->name, fixed, times);
    return !max || times <= max || diag_error(d, "option-conflict", "'%s' has no value: --max is %lld, and the least multiple of %lld is above (--multiple)", p->name, max, times);
}

static bool pins(Arena *a, Diags *d, const Options *o, OnnxOptions *to)
{
    if (!pin_list(a, d, &o->define, "-D", offsetof(OnnxPin, fixed), to) || !pin_list(a, d, &o->max, "--max", offsetof(OnnxPin, max), to) ||
        !pin_list(a, d, &o->multiple, "--multiple", offsetof(OnnxPin, times), to))
        return false;
    for (uint32_t k = 0; k < to->pin.n; k++)
        if (!check_pin(d, &to->pin.at[k]))
            return false;
    return true;
}

/* "1x3x?x224" */
static bool read_shape(const char *text, OnnxShape *s)
{
    do {
        char *end;
        errno = 0;
        const bool open = *text == '?', digit = *text >= '0' && *text <= '9';
        const int64_t n = digit ? strtoll(text, &end, 10) : -1;
        if ((!open && !digit) || errno || s->rank == MAX_RANK)
            return false;
        s->dim[s->rank++] = n;
        text = digit ? end : text + 1;
    } while (*text++ == 'x');
    return text[-1] == 0;
}

static bool shapes(Arena *a, Diags *d, const StrList *from, OnnxOptions *to)
{
    for (uint32_t k = 0; k < from->v.n; k++) {
        OnnxShape s = {0};
        const char *dims;
        if (!split(a, from->v.at[k], &s.name, &dims) || (*dims && !read_shape(dims, &s)))
            return bad_option(d, "--shape", from->v.at[k], "INPUT=1x3x224x224, ? for an extent that stays");
        PUSH(a, &to->shape, s);
    }
    return true;
}

static bool binds(Arena *a, Diags *d, const StrList *from, OnnxOptions *to)
{
    for (uint32_t k = 0; k < from->v.n; k++) {
        OnnxBind b;
        if (!split(a, from->v.at[k], &b.name, &b.file))
            return bad_option(d, "--bind", from->v.at[k], "INPUT=FILE");
        PUSH(a, &to->bind, b);
    }
    return true;
}

/* NAME=BYTES or NAME=BYTES@fast. */
static bool pool(Arena *a, const char *text, PlanPool *q, bool *fast)
{
    const char *size, *at = strchr(text, '@');
    *fast = at != NULL;
    return split(a, at ? str_ndup(a, text, (size_t)(at - text)) : text, &q->name, &size) && parse_size(size, &q->capacity) && (!at || strcmp(at, "@fast") == 0);
}

/* Fast ones first, otherwise in the order given. */
static bool pools(Arena *a, Diags *d, const Options *o, Program *p)
{
    p->pool = NEWN(a, PlanPool, o->pool.v.n + 1);
    for (int want = 1; want >= 0; want--)
        for (uint32_t k = 0; k < o->pool.v.n; k++) {
            PlanPool q;
            bool fast;
            if (!pool(a, o->pool.v.at[k], &q, &fast))
                return bad_option(d, "--pool", o->pool.v.at[k], "NAME=BYTES or NAME=BYTES@fast");
            if (fast == want)
                p->pool[p->npool++] = q;
        }
    return true;
}

static bool bad_threads(Diags *d, const char *value)
{
    return bad_option(d, "--threads", value, "N[,N..], ascending, each 1 to 64");
}

bool driver_threads(Arena *a, Diags *d, const Options *o, Program *p)
{
    int64_t n, last = 0;
    for (const char *s = o->threads; *s || last == 0; last = n) {
        char *end;
        n = strtoll(s, &end, 10);
        if (end == s || n <= last || n > MAX_THREADS || (*end && (*end != ',' || !end[1])))
            return bad_threads(d, o->threads);
        if (n > 1)
            PUSH(a, &p->threads, (int32_t)n);
        s = end + (*end == ',');
    }
    if (p->threads.n && o->pool.v.n)
        return diag_error(d, "option-conflict", "--threads above 1 and --pool exclude each other: parts share one arena");
    return true;
}

static void limits(const Options *o, Ctx *cx, OnnxOptions *to)
{
    to->max_bytes = (uint64_t)max_i64(o->limit.mem, 0);
    to->max_nodes = (uint32_t)min_i64(max_i64(o->limit.nodes, 0), UINT32_MAX);
    if (o->limit.elements > 0)
        cx->max_elements = (uint64_t)o->limit.elements;
    to->reads = o->reads;
}

/* ---- names ---- */

static const char *stem(Arena *a, const char *path)
{
    const char *base = file_base(path), *dot = strrchr(base, '.');
    return dot && dot != base ? str_ndup(a, base, (size_t)(dot - base)) : base;
}

/* File names come from the output, symbols from --prefix or the output's base name. */
const char *beside(Arena *a, const char *output, const char *suffix)
{
    const char *base = file_base(output), *dot = strrchr(base, '.');
    const size_t n = dot && dot != base ? (size_t)(dot - output) : strlen(output);
    return str_fmt(a, "%.*s%s", (int)n, output, suffix);
}

static bool choose_prefix(Arena *a, Diags *d, const Options *o, const char **prefix)
{
    const char *want = o->prefix ? o->prefix : stem(a, o->output ? o->output : o->model);
    *prefix = ident(a, want, 64, "model");
    if (o->prefix && strcmp(*prefix, o->prefix) != 0)
        return diag_error(d, "prefix", "--prefix '%s' is not a C identifier; '%s' would be one", printable(a, o->prefix), *prefix);
    if (ident_reserved(*prefix))
        *prefix = str_fmt(a, "%s_model", *prefix);
    return true;
}

/* The output's name stands in an #include and in .incbin. */
static bool check_output(Arena *a, Diags *d, const Options *o)
{
    if (!options_write_files(o))
        return true;
    if (!o->output)
        return diag_error(d, "option-output", "no output is named; add -o FILE.c");
    for (const char *f = stem(a, o->output); *f; f++)
        if (*f < ' ' || *f == '"' || *f == '\\' || *f == 127)
            return diag_error(d, "option-output", "the name '%s' cannot be written in an #include; choose one without quotes, backslashes and control characters", printable(a, o->output));
    return true;
}

/* ---- dependency file ---- */

/* A name as make and ninja read it: space, # and : escaped by a backslash, which doubles those in front of it, $ by
 * itself; other backslashes stand for themselves. A line break cannot be said: NULL. */
static const char *make_name(Arena *a, const char *s)
{
    Text t = {.arena = a};
    for (size_t slashes = 0; *s; slashes = *s == '\\' ? slashes + 1 : 0, s++) {
        if (*s == '\n' || *s == '\r')
            return NULL;
        if (strchr(" \t#:", *s))
            for (size_t k = 0; k < slashes + 1; k++)
                text_put(&t, "\\", 1);
        else if (*s == '$')
            text_put(&t, "$", 1);
        text_put(&t, s, 1);
    }
    return text_str(&t);
}

/* What a compile reads beside the model: files of options, and those that options name. */
static void name_inputs(Arena *a, const Options *o, OnnxFile *info)
{
    for (uint32_t k = 0; k < o->file.v.n; k++)
        PUSH(a, &info->files, o->file.v.at[k]);
    if (o->schedule)
        PUSH(a, &info->files, o->schedule);
    if (o->tuning)
        PUSH(a, &info->files, o->tuning);
}

static bool add_dependencies(Arena *a, Diags *d, const Options *o, const OnnxFile *info, Outputs *out)
{
    Text t = {.arena = a};
    const char *target = o->deptarget ? o->deptarget : make_name(a, o->output);
    if (!target)
        return diag_error(d, "depfile-name", "the output's name holds a line break, which a dependency file cannot say");
    text_add(&t, "%s:", target);
    for (uint32_t k = 0; k < info->files.n; k++) {
        const char *s = make_name(a, info->files.at[k]);
        if (!s)
            return diag_error(d, "depfile-name", "the name '%s' holds a line break, which a dependency file cannot say", printable(a, info->files.at[k]));
        text_add(&t, " \\\n  %s", s);
    }
    text_add(&t, "\n");
    for (uint32_t k = 0; o->depphony && k < info->files.n; k++)
        text_add(&t, "\n%s:\n", make_name(a, info->files.at[k]));
    const char *path = o->depname ? o->depname : beside(a, o->output, ".d");
    PUSH(a, &out->file, ((OutputFile){.path = path, .part = emit_part(a, &t)}));
    return true;
}

/* ---- verbs ---- */

static WeightsMode asked_mode(const char *s)
{
    static const char *const name[] = {[WM_auto] = "auto", [WM_array] = "array", [WM_string] = "string", [WM_incbin] = "incbin", [WM_object] = "object", [WM_file] = "file"};
    for (size_t k = 0; k < COUNT(name); k++)
        if (strcmp(s, name[k]) == 0)
            return (WeightsMode)k;
    return WM_auto;
}

static bool take_files(Arena *a, Diags *d, const Options *o, const EmitFiles *files, const OnnxFile *info, Outputs *out)
{
    for (uint32_t k = 0; k < files->file.n; k++) {
        const EmitFile *f = &files->file.at[k];
        const bool is_report = strcmp(f->suffix, ".json") == 0, is_code = strcmp(f->suffix, ".c") == 0;
        const char *path = is_report && o->report ? o->report : is_code ? o->output : beside(a, o->output, f->suffix);
        PUSH(a, &out->file, ((OutputFile){.path = path, .part = f->part}));
    }
    return !o->depfile || add_dependencies(a, d, o, info, out);
}

static EmitOptions emit_options(Arena *a, const Program *p, const OnnxFile *info)
{
    const Options *o = p->opt;
    return (EmitOptions){.source = file_base(o->model), .sha256 = info->sha256, .version = mlcc_version, .isa = p->machine.isa, .lanes = p->machine.lanes_f32,
                         .prefix = p->prefix, .file = stem(a, o->output), .threads = p->threads.n > 0};
}

/* Files of one planned unit, in memory. */
static void emit_unit(Program *p, EmitOptions *e, EmitFiles *files)
{
    weights_layout(p->unit);
    e->weights = weights_mode(p->unit, asked_mode(p->opt->weights));
    p->unit->ram_with_io = ram_with_io(p->unit);
    emit_c(p->unit, e, files);
}

static bool emit(Arena *a, Diags *d, Program *p, const OnnxFile *info, Outputs *out)
{
    EmitOptions e = emit_options(a, p, info);
    EmitFiles files = {.arena = a};
    emit_unit(p, &e, &files);
    save_temps(p, "", REP_graph, out);
    return within_budget(d, p->opt, p->unit) && take_files(a, d, p->opt, &files, info, out);
}

/* ---- several levels ---- */

/* Last pass whose representation is rep. */
static const char *last_pass(Rep rep)
{
    const char *name = NULL;
    for (uint32_t k = 0; pass_at(k); k++)
        if (pass_at(k)->rep == rep)
            name = pass_at(k)->name;
    return name;
}

static bool fits_levels(Diags *d, const Options *o)
{
    if (o->pool.v.n)
        return diag_error(d, "option-conflict", "--pool places buffers of one machine; name one machine with -march=");
    if (strcmp(o->weights, "file") == 0)
        return diag_error(d, "option-conflict", "--weights=file has one layout, levels differ in theirs; use --weights=auto, or one machine with -march=");
    if (o->tune || o->tuning)
        return diag_error(d, "option-conflict", "%s is for one machine; name one with -march=", o->tune ? "--tune" : "--tuning");
    return !o->schedule || diag_error(d, "option-conflict", "--schedule is for one machine; name one with -march=");
}

/* The program from its tensor expressions on, for one machine. */
static bool make_level(Arena *a, Program p, const Machine *m, const OnnxFile *info, Level *l, Outputs *out)
{
    p.machine = *m;
    l->name = m->name;
    l->files.arena = a;
    l->opt = emit_options(a, &p, info);
    l->opt.cpu = *m->cpu ? m->cpu : NULL;
    l->opt.prefix = str_fmt(a, "%s_%s", p.prefix, m->name);
    l->opt.file = str_fmt(a, "%s_%s", l->opt.file, m->name);
    if (!passes_resume(&p, REP_schedule))
        return false;
    l->unit = p.unit;
    emit_unit(&p, &l->opt, &l->files);
    save_temps(&p, str_fmt(a, "_%s", m->name), REP_schedule, out);
    return true;
}

static bool compile_levels(Arena *a, Diags *d, Program *p, const Machine *m, uint32_t n, const OnnxFile *info, Outputs *out)
{
    Level level[MAX_LEVELS] = {0};
    if (!fits_levels(d, p->opt) || !passes_run(p, last_pass(REP_te)))
        return false;
    for (uint32_t k = 0; k < n; k++)
        if (!make_level(a, *p, &m[k], info, &level[k], out))
            return false;
    save_temps(p, "", REP_graph, out);
    EmitOptions e = emit_options(a, p, info);
    EmitFiles files = {.arena = a};
    const Unit *all = emit_levels(level, n, &e, &files);
    return within_budget(d, p->opt, all) && take_files(a, d, p->opt, &files, info, out);
}

/* ---- tuning ---- */

static bool compile_tuned(Arena *a, Diags *d, Program *p, const OnnxFile *info, Outputs *out)
{
    const EmitOptions like = emit_options(a, p, info);
    if (p->opt->tuning)
        return diag_error(d, "option-conflict", "--tune writes what --tuning reads; give one of them");
    if (!passes_run(p, last_pass(REP_te)) || !tune(a, d, p, &like) || !passes_resume(p, REP_schedule))
        return false;
    Text t = {.arena = a};
    tuning_print(&t, p->tuning, &p->machine);
    PUSH(a, &out->file, ((OutputFile){.path = p->opt->tune, .part = emit_part(a, &t)}));
    return emit(a, d, p, info, out);
}

static Rep asked_rep(const char *emit_kind)
{
    Rep rep = REP_graph;
    while (rep < REP_nest && strcmp(emit_kind, rep_name[rep]) != 0)
        rep++;
    return rep;
}

static bool find_pass(Diags *d, const char *name, Rep *rep)
{
    for (uint32_t k = 0; pass_at(k); k++)
        if (strcmp(pass_at(k)->name, name) == 0) {
            *rep = pass_at(k)->rep;
            return true;
        }
    return diag_error(d, "option-value", "there is no pass '%s'", name);
}

static bool are_passes(Diags *d, const StrList *l)
{
    Rep rep;
    for (uint32_t k = 0; k < l->v.n; k++)
        if (strcmp(l->v.at[k], "all") != 0 && !find_pass(d, l->v.at[k], &rep))
            return false;
    return true;
}

/* Passes that options name are there. */
static bool check_passes(Diags *d, const Options *o)
{
    Rep rep;
    return are_passes(d, &o->dump_after) && are_passes(d, &o->disable) && (!o->stop_after || find_pass(d, o->stop_after, &rep)) &&
           (!o->crash_after || find_pass(d, o->crash_after, &rep));
}

static bool print_program(Program *p, Diags *d, Outputs *out)
{
    Rep rep = asked_rep(p->opt->emit);
    if (p->opt->stop_after)
        (void)find_pass(d, p->opt->stop_after, &rep);
    if (!passes_run(p, p->opt->stop_after ? p->opt->stop_after : last_pass(rep)))
        return false;
    Text t = {.arena = p->cx->arena};
    program_print(&t, p, rep);
    out->text = text_str(&t);
    return true;
}

typedef struct Machines { Machine at[MAX_LEVELS]; uint32_t n; } Machines;

static bool compile(Arena *a, Diags *d, Program *p, const Machines *m, const OnnxFile *info, Outputs *out)
{
    if (!options_write_files(p->opt))
        return print_program(p, d, out);
    if (m->n > 1)
        return compile_levels(a, d, p, m->at, m->n, info, out);
    if (p->opt->tune)
        return compile_tuned(a, d, p, info, out);
    return passes_run(p, NULL) && emit(a, d, p, info, out);
}

static Graph *load(Ctx *cx, const Options *o, const OnnxOptions *opt, OnnxFile *info, Maps **maps, bool *io)
{
    const size_t n = strlen(o->model);
    if (n > 3 && strcmp(o->model + n - 3, ".nn") == 0)
        return load_text(cx, o->model, opt, info, io);
    return onnx_load(cx, o->model, opt, info, maps, io);
}

Outcome drive(Arena *a, jmp_buf *oom, Diags *d, const Options *o, Outputs *out)
{
    (void)oom;
    Text log = {.arena = a};
    Ctx *cx = NEW(a, Ctx); /* weights are computed with it when they are written */
    *cx = (Ctx){.arena = a, .x = exprs_new(a), .diags = d, .symbol = {.arena = a}, .default_max = 1024, .tflite_rounding = strcmp(o->rounding, "tflite") == 0,
                .fp = options_fp(o), .small = o->small,
                .max_elements = UINT64_C(1) << 32};
    Program p = {.cx = cx, .opt = o, .name = stem(a, o->model), .log = &log};
    OnnxOptions opt = {0};
    OnnxFile info = {0};
    Machines machines;
    if (!pins(a, d, o, &opt) || !shapes(a, d, &o->shape, &opt) ||
        !binds(a, d, &o->bind, &opt) || !pools(a, d, o, &p) || !driver_threads(a, d, o, &p) || !machines_for(d, o->target, o->march, machines.at, &machines.n) ||
        !choose_prefix(a, d, o, &p.prefix) || !check_output(a, d, o) || !check_passes(d, o))
        return OUT_usage;
    p.machine = machines.at[0];
    limits(o, cx, &opt);
    take_default(&opt, cx);
    warn_options(d, o);
    if (o->dry) {
        out->text = show_plan(a, &p, machines.at, machines.n);
        return OUT_ok;
    }
    p.graph = load(cx, o, &opt, &info, &out->maps, &p.io_error);
    p.maps = out->maps;
    name_inputs(a, o, &info);
    bool ok = p.graph != NULL;
    if (ok)
        warn_inputs(p.graph);
    if (ok)
        ok = o->verb == VERB_check ? verb_check(&p, out) : o->verb == VERB_run ? verb_run(&p, out) : compile(a, d, &p, &machines, &info, out);
    if (ok)
        warn_lengths(p.graph);
    ok = ok && d->errors == 0;
    out->log = text_str(&log);
    return ok ? OUT_ok : p.io_error ? OUT_io : OUT_rejected;
}

void drive_release(const Outputs *out)
{
    onnx_release(out->maps);
}

void drive_end(Outputs *out)
{
    onnx_unmap(out->maps);
    out->maps = NULL;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * One artefact for several instruction-set levels: each level is a complete model of its own (code, header, weights,
 * report), and the files of the public name hand every call to the best level that the processor has. Asking which
 * that is costs a few loads (runtime-min/mlcc_cpu.h).
 */
#include "writer.h"

typedef struct Levels {
    const Level *at;
    uint32_t n;
    const EmitOptions *opt;
    Unit *all;
    Names names;
    Out o;
    Arena *a;
} Levels;

/* Functions of one level, without what is said of its own counts of parts. */
static void forget_shares(Arena *a, Unit *all)
{
    const Unit *of = arena_copy(a, all, sizeof *all);
    memset(&all->func, 0, sizeof all->func);
    for (uint32_t k = 0; k < of->func.n; k++) {
        Func *f = arena_copy(a, of->func.at[k], sizeof *f);
        f->slowest = NULL;
        f->meet = f->shares = NULL;
        PUSH(a, &all->func, f);
    }
}

static bool has_count(const Unit *u, int32_t count)
{
    for (uint32_t k = 0; k < u->threads.n; k++)
        if (u->threads.at[k] == count)
            return true;
    return false;
}

/* Every count of parts that some level is made for, ascending. */
static void join_counts(Arena *a, Unit *all, const Level *at, uint32_t n)
{
    memset(&all->threads, 0, sizeof all->threads);
    all->awake = 0; /* each asks for itself */
    for (int32_t count = 2, left = 1; left; count++) {
        bool any = false;
        left = 0;
        for (uint32_t k = 0; k < n; k++) {
            const Unit *u = at[k].unit;
            any = any || has_count(u, count);
            left = left || (u->threads.n && u->threads.at[u->threads.n - 1] > count);
        }
        if (any)
            PUSH(a, &all->threads, count);
    }
}

/* What a caller must provide for whichever level runs; the rest is that of the level with the largest arena. */
static Unit *envelope(Arena *a, const Level *at, uint32_t n)
{
    const Unit *most = at[0].unit;
    int32_t align = most->arena_align;
    int64_t stack = 0, weights = 0, part = 0;
    for (uint32_t k = 0; k < n; k++) {
        const Unit *u = at[k].unit;
        most = u->arena_bytes > most->arena_bytes ? u : most;
        align = u->arena_align > align ? u->arena_align : align;
        stack = max_i64(stack, u->stack_bytes);
        part = max_i64(part, u->part_bytes);
        weights += u->weight_bytes;
    }
    Unit *all = arena_copy(a, most, sizeof *most);
    all->arena_align = align;
    all->stack_bytes = stack + (int64_t)sizeof(void *) * 32;
    all->weight_bytes = weights;
    all->part_bytes = part;
    forget_shares(a, all);
    join_counts(a, all, at, n);
    return all;
}

static void banner(Levels *l)
{
    const char *file = comment_text(l->a, l->opt->file);
    ln(&l->o, "/* %s.c - made by mlcc %s from %s; read %s.h first. Free of any condition (0BSD).", file,
       l->opt->version, comment_text(l->a, l->opt->source), file);
    ln(&l->o, " *");
    ln(&l->o, " * Hands each call to the first of these levels that the processor has:");
    for (uint32_t k = 0; k < l->n; k++)
        ln(&l->o, " *   %-16s %s.c%s%s", l->at[k].name, comment_text(l->a, l->at[k].opt.file),
           l->at[k].opt.cpu ? "  " : "", l->at[k].opt.cpu ? l->at[k].opt.cpu : "");
    ln(&l->o, " */");
}

/* Opens the block of a level; levels without a condition run anywhere. */
static void open_level(Levels *l, const Level *at)
{
    const char *condition = feature_condition(&at->opt, l->a);
    if (condition)
        open_block(&l->o, "if (%s)", condition);
    else
        open_block(&l->o, "%s", "");
}

/* Ends the block with a call; a level that finds out itself that it cannot run leaves the call to the next. */
static void close_level(Levels *l, const Level *at, const char *type, const char *call)
{
    if (feature_needs_leave(&at->opt)) {
        ln(&l->o, "const %s status = %s;", type, call);
        ln(&l->o, "if (status != MLCC_BAD_CPU)");
        ln(&l->o, "    return status;");
    } else {
        ln(&l->o, "return %s;", call);
    }
    close_block(&l->o, "");
}

static void end(Levels *l, const char *cast)
{
    if (l->at[l->n - 1].opt.cpu)
        ln(&l->o, "return %sMLCC_BAD_CPU;", cast);
    close_block(&l->o, "");
    blank(&l->o);
}

static void copy(Levels *l, const char *field) { ln(&l->o, "level.%s = io->%s;", field, field); }

/* The structures of all levels have the fields of the public one. */
static void copy_fields(Levels *l)
{
    const Unit *u = l->all;
    for (uint32_t k = 0; k < u->sym.n; k++)
        if (u->sym_input.at[k] >= 0)
            copy(l, l->names.dim[k]);
    for (uint32_t k = 0; k < u->input.n; k++)
        copy(l, l->names.input[k]);
    for (uint32_t k = 0; k < u->output.n; k++) {
        copy(l, l->names.output[k]);
        if (has_free_extent(u, u->output.at[k]))
            copy(l, str_fmt(l->a, "%s_dim", l->names.output[k]));
    }
    if (!u->input.n && !u->output.n)
        copy(l, "unused");
}

/* threads: the form that takes a parallel-for. */
static void run(Levels *l, bool threads)
{
    const char *p = l->opt->prefix, *form = threads ? "_threads" : "", *arg = threads ? ", parallel" : "";
    ln(&l->o, "mlcc_status %s_run%s(const struct %s_io *io, void *arena%s)", p, form, p,
       threads ? ", const mlcc_parallel *parallel" : "");
    ln(&l->o, "{");
    l->o.depth++;
    for (uint32_t k = 0; k < l->n; k++) {
        open_level(l, &l->at[k]);
        ln(&l->o, "struct %s_io level;", l->at[k].opt.prefix);
        copy_fields(l);
        close_level(l, &l->at[k], "mlcc_status",
                    str_fmt(l->a, "%s_run%s(&level, arena%s)", l->at[k].opt.prefix, form, arg));
    }
    end(l, "");
}

static void call(Levels *l, bool threads)
{
    const char *form = threads ? "_threads" : "", *arg = threads ? ", parallel" : "";
    ln(&l->o, "int %s_call%s(const mlcc_tensor *in, mlcc_tensor *out, void *arena%s)", l->opt->prefix, form,
       threads ? ", const mlcc_parallel *parallel" : "");
    ln(&l->o, "{");
    l->o.depth++;
    for (uint32_t k = 0; k < l->n; k++) {
        open_level(l, &l->at[k]);
        close_level(l, &l->at[k], "int", str_fmt(l->a, "%s_call%s(in, out, arena%s)", l->at[k].opt.prefix, form, arg));
    }
    end(l, "(int)");
}

static bool has_image(const Level *at) { return at->unit->weight_bytes > 0 && at->opt.weights != WM_array; }

/* The function behind weights of PREFIX_info: the image of the level that a call goes to. Returns its name; NULL: no level has one. */
static const char *image(Levels *l)
{
    const char *name = str_fmt(l->a, "%s_image", l->opt->prefix);
    bool any = false;
    for (uint32_t k = 0; k < l->n; k++)
        any = any || has_image(&l->at[k]);
    if (!any)
        return NULL;
    ln(&l->o, "static const void *%s(size_t *bytes)", name);
    ln(&l->o, "{");
    l->o.depth++;
    ln(&l->o, "const void *at = NULL;");
    ln(&l->o, "*bytes = 0;");
    for (uint32_t k = 0; k < l->n; k++) {
        const char *condition = feature_condition(&l->at[k].opt, l->a);
        if (!has_image(&l->at[k]))
            continue;
        ln(&l->o, "if (!at%s%s)", condition ? " && " : "", condition ? condition : "");
        ln(&l->o, "    at = %s_info.weights(bytes);", l->at[k].opt.prefix);
    }
    ln(&l->o, "return at;");
    close_block(&l->o, "");
    blank(&l->o);
    return name;
}

/* What the application includes beside the public header is there for all levels. */
static void add_files(EmitFiles *files, const Level *at)
{
    for (uint32_t f = 0; f < at->files.file.n; f++) {
        const EmitFile *e = &at->files.file.at[f];
        if (strcmp(e->suffix, "_threads.h") != 0 && strcmp(e->suffix, "_pages.h") != 0)
            PUSH(files->arena, &files->file,
                 ((EmitFile){str_fmt(files->arena, "_%s%s", at->name, e->suffix), e->part}));
    }
}

/* The functions that choose, behind what they ask the processor by. Returns the name of that for the image, or NULL. */
static const char *functions(Levels *l)
{
    const Out before = l->o;
    out_init(&l->o, l->a);
    for (int threads = 0; threads <= l->opt->threads; threads++) {
        run(l, threads);
        call(l, threads);
    }
    const char *name = image(l);
    const char *body = text_str(&l->o.text);
    l->o = before;
    text_add(&l->o.text, "%s%s", paste_runtime(l->a, body), body);
    return name;
}

const Unit *emit_levels(const Level *at, uint32_t n, const EmitOptions *opt, EmitFiles *files)
{
    Arena *a = files->arena;
    Levels l = {.at = at, .n = n, .opt = opt, .all = envelope(a, at, n), .a = a};
    l.names = names_make(a, l.all, opt);
    out_init(&l.o, a);
    banner(&l);
    ln(&l.o, "#include \"%s.h\"", opt->file);
    for (uint32_t k = 0; k < n; k++)
        ln(&l.o, "#include \"%s.h\"", at[k].opt.file);
    const char *weights = functions(&l);
    emit_info(l.all, opt, weights, a, &l.o);
    for (uint32_t k = 0; k < n; k++)
        add_files(files, &at[k]);
    emit_text(files, ".c", &l.o.text);
    emit_header(l.all, opt, files);
    emit_threads(opt, files);
    emit_pages(l.all, files);
    emit_report(l.all, opt, files);
    return l.all;
}

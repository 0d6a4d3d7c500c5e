/* SPDX-License-Identifier: Apache-2.0
 * model.h: what a person includes. Sizes as exact constants, a typed struct of inputs and outputs, two entry points. */
#include <inttypes.h>

#include "names.h"
#include "out.h"
#include "runtime_text.h"

typedef struct Api { const Unit *u; const EmitOptions *opt; Names names; Out o; Arena *a; } Api;

static void banner_tensors(Api *p, const char *kind, const uint32_t *id, uint32_t n, const char *const *field)
{
    for (uint32_t k = 0; k < n; k++) {
        const Buf *b = buf(p->u, id[k]);
        ln(&p->o, " * %-4s %-20s %s  '%s'", kind, field[k], shape_text(p->a, p->u, b), comment_text(p->a, b->name));
    }
}

static void banner_symbol(Api *p, uint32_t k)
{
    const VarInfo *v = ex_var_info(p->u->cx->x, p->u->sym.at[k]);
    const char *sym = p->names.sym[k], *dim = p->names.dim[k],
               *why = p->u->sym_input.at[k] < 0 ? ", decided by the data" : "";
    if (v->whole)
        ln(&p->o, " * %s is %" PRId64 "..%" PRId64 ", a multiple of %" PRId64 "; %s is %s / %" PRId64, dim,
           v->lo * v->times, v->hi * v->times, v->times, sym, dim, v->times);
    else
        ln(&p->o, " * %s is %" PRId64 "..%" PRId64 "%s", sym, v->lo, v->hi, why);
}

static void banner(Api *p)
{
    const Unit *u = p->u;
    const char *file = comment_text(p->a, p->opt->file), *source = comment_text(p->a, p->opt->source);
    ln(&p->o, "/* %s.h - made by mlcc %s from %s. Free of any condition (0BSD).", file, p->opt->version, source);
    ln(&p->o, " *");
    banner_tensors(p, "in", u->input.at, u->input.n, p->names.input);
    banner_tensors(p, "out", u->output.at, u->output.n, p->names.output);
    for (uint32_t k = 0; k < u->sym.n; k++)
        banner_symbol(p, k);
    ln(&p->o, " */");
}

static int64_t arena_of(const Unit *u, int32_t parts) { return u->arena_bytes + (parts - 1) * u->part_bytes; }

static void thread_sizes(Api *p)
{
    const Unit *u = p->u;
    if (!p->opt->threads)
        return;
    const int32_t most = u->threads.n ? u->threads.at[u->threads.n - 1] : 1;
    ln(&p->o, "#define %s_THREADS      %d /* at most%s */", p->names.upper, most,
       u->threads.n ? "" : "; the model is too small to share");
    for (uint32_t k = 0; k < u->threads.n; k++)
        ln(&p->o, "#define %s_ARENA_BYTES_%d %" PRId64 "u /* with %d threads */", p->names.upper, u->threads.at[k],
           arena_of(u, u->threads.at[k]), u->threads.at[k]);
    ln(&p->o, "#define %s_THREADS_ARENA_BYTES %" PRId64 "u /* with any number of threads */", p->names.upper,
       arena_of(u, most));
}

static void sizes(Api *p)
{
    const Unit *u = p->u;
    uint64_t macs = 0;
    for (uint32_t k = 0; k < u->func.n; k++)
        macs += u->func.at[k]->macs;
    const char *up = p->names.upper;
    const char *how = u->arena_optimal ? "exact; proven optimal for this order of functions"
                                       : str_fmt(p->a, "exact; lower bound %" PRId64, u->arena_bound);
    if (u->apart_bytes)
        how = str_fmt(p->a, "%s; %" PRId64 " keep the lines of parts apart", how, u->apart_bytes);
    ln(&p->o, "#define %s_ABI          1", up);
    ln(&p->o, "#define %s_ARENA_BYTES  %" PRId64 "u /* %s */", up, u->arena_bytes, how);
    for (uint32_t k = 1; k <= u->npool; k++)
        ln(&p->o, "#define %s_%s_BYTES %" PRId64 "u /* memory pool '%s' */", up, uppercase(p->a, p->names.pool[k]),
           u->pool_bytes[k], comment_text(p->a, u->pool_name[k]));
    thread_sizes(p);
    ln(&p->o, "#define %s_ARENA_ALIGN  %du", up, u->arena_align);
    ln(&p->o, "#define %s_STACK_BYTES  %" PRId64 "u /* upper bound below %s_run */", up, u->stack_bytes,
       p->opt->prefix);
    ln(&p->o, "#define %s_WEIGHT_BYTES %" PRId64 "u", up, u->weight_bytes);
    ln(&p->o, "#define %s_MACS         UINT64_C(%" PRIu64 ")", up, macs);
}

static void field(Api *p, uint32_t id, const char *name, bool input)
{
    const Buf *b = buf(p->u, id);
    const char *constant = input && b->dt != DT_str ? "const " : "";
    ln(&p->o, "    %s%s%s; /* %s */", constant, pointer_to(p->a, b->dt), name, shape_text(p->a, p->u, b));
}

static void io_struct(Api *p)
{
    const Unit *u = p->u;
    ln(&p->o, "struct %s_io {", p->opt->prefix);
    for (uint32_t k = 0; k < u->sym.n; k++)
        if (u->sym_input.at[k] >= 0)
            ln(&p->o, "    int64_t %s;", p->names.dim[k]);
    for (uint32_t k = 0; k < u->input.n; k++)
        field(p, u->input.at[k], p->names.input[k], true);
    for (uint32_t k = 0; k < u->output.n; k++) {
        field(p, u->output.at[k], p->names.output[k], false);
        if (has_free_extent(u, u->output.at[k]))
            ln(&p->o, "    int64_t *%s_dim; /* receives the extents; may be null */", p->names.output[k]);
    }
    for (uint32_t k = 1; k <= u->npool; k++)
        ln(&p->o, "    void *%s; /* %s_%s_BYTES bytes, aligned as the arena */", p->names.pool[k], p->names.upper,
           uppercase(p->a, p->names.pool[k]));
    if (p->opt->weights == WM_file && u->weight_bytes)
        ln(&p->o,
           "    const unsigned char *weights; /* contents of %s_weights.bin, aligned to 8 at least; 64 is best */",
           comment_text(p->a, p->opt->file));
    if (!u->input.n && !u->output.n)
        ln(&p->o, "    int unused;");
    ln(&p->o, "};");
}

static void thread_entries(Api *p)
{
    const char *prefix = p->opt->prefix, *up = p->names.upper;
    ln(&p->o,
       "/* The same on as many threads as `parallel` has, up to %s_THREADS; null is one. The results are the same bits.",
       up);
    ln(&p->o, " * arena has %s_THREADS_ARENA_BYTES bytes. A pool of threads is in %s_threads.h. */", up,
       comment_text(p->a, p->opt->file));
    ln(&p->o, "mlcc_status %s_run_threads(const struct %s_io *io, void *arena, const mlcc_parallel *parallel);", prefix,
       prefix);
    ln(&p->o,
       "int %s_call_threads(const mlcc_tensor *in, mlcc_tensor *out, void *arena, const mlcc_parallel *parallel);",
       prefix);
    blank(&p->o);
}

/* A header for the application, with the one of ours that it includes in place. */
static void with_include(EmitFiles *files, const char *suffix, const char *header, const char *name, const char *included)
{
    const char *include = str_fmt(files->arena, "#include \"%s\"\n", name), *at = strstr(header, include);
    if (!at)
        ICE("the header behind %s does not include %s", suffix, name);
    Text t = {.arena = files->arena};
    text_put(&t, header, (size_t)(at - header));
    text_put(&t, included, strlen(included));
    text_add(&t, "%s", at + strlen(include));
    emit_text(files, suffix, &t);
}

void emit_threads(const EmitOptions *opt, EmitFiles *files)
{
    if (opt->threads)
        with_include(files, "_threads.h", runtime_mlcc_threads_h, "mlcc_parallel.h", runtime_mlcc_parallel_h);
}

void emit_profile(EmitFiles *files)
{
    with_include(files, "_profile.h", runtime_mlcc_profile_h, "mlcc_pages.h", runtime_mlcc_pages_h);
}

/* Whether the weights certainly hold a whole huge page, or the arena fills at least half of one. */
static bool has_pages(const Unit *u) { return u->weight_bytes >= 2 * HUGE_PAGE || u->arena_bytes >= HUGE_PAGE / 2; }

void emit_pages(const Unit *u, EmitFiles *files)
{
    Text t = {.arena = files->arena};
    if (!has_pages(u))
        return;
    text_add(&t, "%s", runtime_mlcc_pages_h);
    emit_text(files, "_pages.h", &t);
}

static void paste(Api *p, const char *header)
{
    text_put(&p->o.text, header, strlen(header));
    blank(&p->o);
}

static void entries(Api *p)
{
    Out *o = &p->o;
    const char *prefix = p->opt->prefix, *up = p->names.upper;
    ln(o,
       "/* Runs one inference. arena has %s_ARENA_BYTES bytes aligned to %s_ARENA_ALIGN and holds nothing between calls;",
       up, up);
    ln(o, " * it may be null when that is 0. Reentrant: two threads may run with two arenas. */");
    if (has_pages(p->u))
        ln(o, "/* On Linux it runs faster with arena and weights in huge pages: mlcc_pages_new, mlcc_pages_move; and at first by mlcc_pages_ready. */");
    ln(o, "mlcc_status %s_run(const struct %s_io *io, void *arena);", prefix, prefix);
    blank(o);
    ln(o, "/* The same through untyped tensors in model order, for bindings and servers; 0 or a status. */");
    ln(o, "int %s_call(const mlcc_tensor *in, mlcc_tensor *out, void *arena);", prefix);
    blank(o);
    if (p->opt->threads)
        thread_entries(p);
    ln(o, "extern const mlcc_model_info %s_info;", prefix);
    blank(o);
}

/* What has C's linkage in C++, too. */
static void declarations(Api *p)
{
    Out *o = &p->o;
    ln(o, "#ifdef __cplusplus");
    ln(o, "extern \"C\" {");
    ln(o, "#endif");
    blank(o);
    io_struct(p);
    blank(o);
    entries(p);
    ln(o, "#ifdef __cplusplus");
    ln(o, "}");
    ln(o, "#endif");
}

void emit_header(Unit *u, const EmitOptions *opt, EmitFiles *files)
{
    Arena *a = files->arena;
    Api p = {.u = u, .opt = opt, .names = names_make(a, u, opt), .a = a};
    out_init(&p.o, a);
    banner(&p);
    ln(&p.o, "#ifndef %s_H", p.names.upper);
    ln(&p.o, "#define %s_H", p.names.upper);
    blank(&p.o);
    paste(&p, runtime_mlcc_h);
    if (opt->threads)
        paste(&p, runtime_mlcc_parallel_h);
    sizes(&p);
    blank(&p.o);
    declarations(&p);
    ln(&p.o, "#endif");
    emit_text(files, ".h", &p.o.text);
}

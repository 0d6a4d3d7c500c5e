/* SPDX-License-Identifier: Apache-2.0
 *
 * model.c: banner with the memory plan, the runtime functions in use, the weights when they are small, one function per
 * root stage, the run function as a list of calls, and the untyped twin for bindings.
 */
#include <inttypes.h>

#include "cgen.h"
#include "names.h"

typedef struct Writer {
    Unit *u;
    const EmitOptions *opt;
    Names names;
    CGen g;
    Out o;
    Arena *a;
} Writer;

static const char *shape_text(Writer *w, const Buf *b)
{
    Text t = {.arena = w->a};
    text_add(&t, "%s[", dtype_info(b->dt)->name);
    for (uint8_t d = 0; d < b->rank; d++) {
        text_add(&t, "%s", d ? "," : "");
        ex_print(&t, w->u->cx->x, b->dim[d], NULL, NULL);
    }
    text_add(&t, "]");
    return text_str(&t);
}

static bool in_arena(const Buf *b)
{
    return b->offset >= 0 && (b->cls == BC_arena || (b->cls == BC_scratch && !b->on_stack));
}

/* First and last function that uses a buffer. */
static void life(const Unit *u, uint32_t id, uint32_t *first, uint32_t *last)
{
    *first = UINT32_MAX;
    *last = 0;
    for (uint32_t f = 0; f < u->func.n; f++)
        for (uint32_t p = 0; p < u->func.at[f]->param.n; p++)
            if (u->func.at[f]->param.at[p] == id) {
                *first = *first == UINT32_MAX ? f : *first;
                *last = f;
            }
}

static const char *const fp_meaning[] = {
    [FP_fast] = "-ffp=fast, f32; sums are reassociated, 3x3 convolutions may be filtered (Winograd), exp, log, tanh and erf are polynomials where loops are vectors",
    [FP_strict] = "-ffp=strict, f32 as the model writes it; sums are reassociated, functions are libm's",
    [FP_bf16] = "-ffp=bf16, what products with constants read may be rounded to bfloat16; sums and epilogues are f32, functions as with fast",
};

static void banner(Writer *w)
{
    Out *o = &w->o;
    const char *file = comment_text(w->a, w->opt->file);
    ln(o, "/* %s.c - made by mlcc %s from %s; read %s.h first. Free of any condition (0BSD).", file, w->opt->version, comment_text(w->a, w->opt->source), file);
    ln(o, " * Floats: %s.", fp_meaning[w->u->cx->fp]);
    ln(o, " *");
    if (w->u->arena_bytes) {
        ln(o, " * arena   offset     bytes  lives      what");
        for (uint32_t k = 1; k < w->u->buf.n; k++) {
            const Buf *b = buf(w->u, k);
            uint32_t first, last;
            life(w->u, k, &first, &last);
            if (in_arena(b) && first != UINT32_MAX)
                ln(o, " *     %10" PRId64 " %9" PRId64 "  n%u-n%u  t%u  %s  %s", b->offset, b->bytes, first, last, k, shape_text(w, b), comment_text(w->a, b->name));
        }
    } else {
        ln(o, " * No arena is needed.");
    }
    ln(o, " */");
}

/* "amx-tile" -> __AMX_TILE__, with no `dash` __AMXTILE__ as clang 14 has it. */
static const char *feature_macro(Arena *a, const char *feature, size_t n, const char *dash)
{
    Text t = {.arena = a};
    for (const char *s = uppercase(a, str_ndup(a, feature, n)); *s; s++)
        text_add(&t, "%s", *s == '.' ? "_" : *s == '-' ? dash : str_fmt(a, "%c", *s));
    return str_fmt(a, "__%s__", text_str(&t));
}

/* Of a level among several: tells gcc which instructions it may use, and other compilers' users how to. */
static void target(Writer *w)
{
    Out *o = &w->o;
    if (!w->opt->cpu)
        return;
    Text list = {.arena = w->a}, have = {.arena = w->a};
    for (const char *s = w->opt->cpu; *s; s += strcspn(s, " "), s += *s == ' ') {
        const size_t n = strcspn(s, " ");
        text_add(&list, "%s%.*s", list.n ? "," : "", (int)n, s);
        const char *macro = feature_macro(w->a, s, n, "_"), *other = feature_macro(w->a, s, n, "");
        text_add(&have, "%s", have.n ? " || " : "");
        text_add(&have, strcmp(macro, other) == 0 ? "!defined(%s)" : "!(defined(%s) || defined(%s))", macro, other);
    }
    ln(o, "#if defined(__GNUC__) && !defined(__clang__)");
    ln(o, "#pragma GCC target(\"%s\")", text_str(&list));
    ln(o, "#elif %s", text_str(&have));
    ln(o, "#error \"compile this file for a processor with %s\"", w->opt->cpu);
    ln(o, "#endif");
    blank(o);
}

static bool apart(const Writer *w) { return w->opt->weights != WM_array; }

static void offsets(Writer *w)
{
    Out *o = &w->o;
    for (int pass = 0; pass < 2; pass++) {
        bool any = false;
        for (uint32_t k = 1; k < w->u->buf.n; k++) {
            const Buf *b = buf(w->u, k);
            if (pass == 0 ? !in_arena(b) : !(weights_stored(b) && b->dt != DT_str && apart(w)))
                continue;
            if (!any)
                ln(o, pass == 0 ? "enum { /* byte offsets in the arena */" : "enum { /* byte offsets in the weights */");
            any = true;
            ln(o, "    %c%03u = %" PRId64 ", /* %s %s */", pass == 0 ? 'T' : 'W', k, b->offset, shape_text(w, b), comment_text(w->a, b->name));
        }
        if (any)
            ln(o, "};");
        if (any)
            blank(o);
    }
}

/* ---- weights as readable arrays ---- */

static const char *element_text(Writer *w, const Buf *b, int64_t k)
{
    if (b->dt == DT_f32)
        return f32_literal(w->a, blob_f(b->data, k));
    if (b->dt == DT_f64)
        return f64_literal(w->a, blob_f(b->data, k));
    if (b->dt == DT_str) {
        const char *s;
        blob_get(b->data, k, 1, (void *)&s);
        return c_string(w->a, s);
    }
    if (dtype_is_float(b->dt)) {
        uint16_t bits = 0;
        blob_get(b->data, k, 1, &bits);
        return str_fmt(w->a, "0x%x", bits);
    }
    return int_literal(w->a, b->dt, blob_i(b->data, k));
}

static void array(Writer *w, uint32_t id)
{
    const Buf *b = buf(w->u, id);
    const char *type = dtype_info(b->dt)->ctype;
    ln(&w->o, "static const MLCC_ALIGN(64) %s%sW%03u[%" PRId64 "] = { /* %s %s */", b->dt == DT_str ? "char *const" : type, " ", id,
       b->data->count, shape_text(w, b), comment_text(w->a, b->name));
    Text line = {.arena = w->a};
    for (int64_t k = 0; k < b->data->count; k++) {
        const char *s = element_text(w, b, k);
        if (line.n + strlen(s) > 110) {
            ln(&w->o, "    %s", text_str(&line));
            line = (Text){.arena = w->a};
        }
        text_add(&line, "%s%s,", line.n ? " " : "", s);
    }
    ln(&w->o, "    %s", text_str(&line));
    ln(&w->o, "};");
}

static void weights(Writer *w)
{
    bool any = false;
    for (uint32_t k = 1; k < w->u->buf.n; k++)
        if (weights_stored(buf(w->u, k)) && (!apart(w) || buf(w->u, k)->dt == DT_str)) {
            array(w, k);
            any = true;
        }
    if (any)
        blank(&w->o);
    if (apart(w) && w->u->weight_bytes && w->opt->weights != WM_file) {
        ln(&w->o, "extern const unsigned char %s_weights[]; /* %" PRId64 " bytes */", w->opt->prefix, w->u->weight_bytes);
        blank(&w->o);
    }
}

/* ---- the run function ---- */

static int io_number(const Unit *u, uint32_t id)
{
    for (uint32_t k = 0; k < u->input.n; k++)
        if (u->input.at[k] == id)
            return (int)k;
    for (uint32_t k = 0; k < u->output.n; k++)
        if (u->output.at[k] == id)
            return (int)k;
    ICE("buffer '%s' has no place", buf(u, id)->name);
}

/* own: of scratch, what belongs to the part at hand. */
static const char *pointer(Writer *w, uint32_t id, bool own)
{
    const Buf *b = buf(w->u, id);
    const char *type = dtype_info(b->dt)->ctype, *space = type[strlen(type) - 1] == '*' ? "" : " ";
    if (b->cls == BC_input)
        return str_fmt(w->a, "io->%s", w->names.input[io_number(w->u, id)]);
    if (b->cls == BC_output)
        return str_fmt(w->a, "io->%s", w->names.output[io_number(w->u, id)]);
    if (b->cls == BC_const && b->bytes == 0) /* a constant without elements has no place */
        return "NULL";
    if (b->cls == BC_const && (!apart(w) || b->dt == DT_str))
        return str_fmt(w->a, b->dt == DT_str ? "(const char **)(uintptr_t)W%03u" : "W%03u", id);
    if (b->cls == BC_const)
        return str_fmt(w->a, "(const %s%s*)(const void *)(w + W%03u)", type, space, id);
    const char *place = own && b->cls == BC_scratch ? " + (size_t)part * PART" : "";
    return str_fmt(w->a, "(%s%s*)(void *)(%s + T%03u%s)", type, space, b->pool ? w->names.pool[b->pool] : "a", id, place);
}

/* A symbol's value: a variable of the run function, or a field of what the parts of a run share. */
static const char *local_sym(const Writer *w, uint32_t k)
{
    return w->u->threads.n ? str_fmt(w->a, "f->%s", w->names.sym[k]) : w->names.sym[k];
}

static const char *sym_name(const Writer *w, const Expr *s)
{
    for (uint32_t k = 0; k < w->u->sym.n; k++)
        if (w->u->sym.at[k] == s)
            return local_sym(w, k);
    ICE("symbol '%s' has no source", ex_var_info(w->u->cx->x, s)->name);
}

static void call(Writer *w, const Func *f)
{
    Text t = {.arena = w->a};
    const char *comma = f->split ? ", " : "";
    text_add(&t, "%s", f->split ? "part, parts" : "");
    for (uint32_t k = 0; k < f->sym.n; k++, comma = ", ")
        text_add(&t, "%s%s", comma, sym_name(w, f->sym.at[k]));
    for (uint32_t k = 0; k < f->param.n; k++, comma = ", ")
        text_add(&t, "%s%s", comma, pointer(w, f->param.at[k], f->split));
    for (uint32_t k = 0; k < f->defines.n; k++, comma = ", ")
        text_add(&t, "%s&%s", comma, sym_name(w, f->defines.at[k]));
    if (!w->u->threads.n)
        ln(&w->o, "MLCC_NODE(\"%s\")", f->name);
    if (!f->split && w->u->threads.n)
        ln(&w->o, "if (part == 0)");
    ln(&w->o, "%s%s(%s);", !f->split && w->u->threads.n ? "    " : "", f->name, text_str(&t));
}

static bool uses_pool(const Writer *w, int32_t pool)
{
    for (uint32_t k = 1; k < w->u->buf.n; k++)
        if (in_arena(buf(w->u, k)) && buf(w->u, k)->pool == pool)
            return true;
    return false;
}

static void check_pools(Writer *w)
{
    for (uint32_t k = 1; k <= w->u->npool; k++) {
        if (!uses_pool(w, (int32_t)k))
            continue;
        ln(&w->o, "unsigned char *%s = io->%s;", w->names.pool[k], w->names.pool[k]);
        ln(&w->o, "if (!mlcc_aligned(%s, %s_ARENA_ALIGN))", w->names.pool[k], w->names.upper);
        ln(&w->o, "    return MLCC_BAD_ARENA;");
    }
}

static bool uses_weights(const Writer *w)
{
    return apart(w) && w->u->weight_bytes > 0;
}

static bool may_be_negative(const Unit *u, const Expr *extent)
{
    int64_t lo, hi;
    return !ex_range(u->cx->x, extent, &lo, &hi) || lo < 0;
}

/* Whether a function or the extents of an output need the symbol's value. */
static bool symbol_needed(const Unit *u, const Expr *sym)
{
    for (uint32_t k = 0; k < u->func.n; k++)
        for (uint32_t q = 0; q < u->func.at[k]->sym.n; q++)
            if (u->func.at[k]->sym.at[q] == sym)
                return true;
    for (uint32_t k = 0; k < u->output.n; k++)
        for (uint8_t d = 0; d < buf(u, u->output.at[k])->rank; d++)
            if (ex_uses(buf(u, u->output.at[k])->dim[d], sym) && (has_free_extent(u, u->output.at[k]) || may_be_negative(u, buf(u, u->output.at[k])->dim[d])))
                return true;
    return false;
}

static void check_symbols(Writer *w)
{
    const Unit *u = w->u;
    for (uint32_t k = 0; k < u->sym.n; k++) {
        const VarInfo *v = ex_var_info(u->cx->x, u->sym.at[k]);
        const char *type = c_type(&w->g, DT_ix), *name = w->names.sym[k], *declare = u->threads.n ? "" : str_fmt(w->a, "%s ", type);
        if (u->sym_input.at[k] < 0) {
            ln(&w->o, "%s%s = 0;", declare, local_sym(w, k));
            continue;
        }
        ln(&w->o, "if (io->%s < %" PRId64 " || io->%s > %" PRId64 ")", name, v->lo, name, v->hi);
        ln(&w->o, "    return MLCC_BAD_SHAPE;");
        if (symbol_needed(u, u->sym.at[k]))
            ln(&w->o, "%s%s%s = (%s)io->%s;", u->threads.n ? "" : "const ", declare, local_sym(w, k), type, name);
    }
}

/* Extents of an output as expressions over the symbols of the run function. */
static void sym_names(Writer *w)
{
    w->g.var = (Map){.arena = w->a};
    w->g.taken = w->g.tried = (Map){.arena = w->a};
    for (uint32_t k = 0; k < w->u->sym.n; k++)
        *map_u64(&w->g.var, w->u->sym.at[k]->id, true) = (uint64_t)(uintptr_t)local_sym(w, k);
}

/* Extents that some inputs within their bounds would make negative. */
static void check_outputs(Writer *w)
{
    const Unit *u = w->u;
    sym_names(w);
    for (uint32_t k = 0; k < u->output.n; k++) {
        const Buf *b = buf(u, u->output.at[k]);
        for (uint8_t d = 0; d < b->rank && !has_free_extent(u, u->output.at[k]); d++) {
            if (!may_be_negative(u, b->dim[d]))
                continue;
            ln(&w->o, "if (%s < 0)", c_expr_prec(&w->g, b->dim[d], P_LT + 1));
            ln(&w->o, "    return MLCC_BAD_SHAPE;");
        }
    }
}

static void report_extents(Writer *w)
{
    sym_names(w);
    for (uint32_t k = 0; k < w->u->output.n; k++) {
        const Buf *b = buf(w->u, w->u->output.at[k]);
        if (!has_free_extent(w->u, w->u->output.at[k]))
            continue;
        open_block(&w->o, "if (io->%s_dim)", w->names.output[k]);
        for (uint8_t d = 0; d < b->rank; d++)
            ln(&w->o, "io->%s_dim[%u] = %s;", w->names.output[k], d, c_expr(&w->g, b->dim[d]));
        close_block(&w->o, "");
    }
}

/* Without a function that touches a tensor of the caller, and without a symbol, nothing reads the structure. */
static bool uses_io(const Writer *w)
{
    const Unit *u = w->u;
    bool uses = u->npool > 0 || (uses_weights(w) && w->opt->weights == WM_file);
    for (uint32_t f = 0; f < u->func.n; f++)
        for (uint32_t k = 0; k < u->func.at[f]->param.n; k++)
            uses = uses || buf(u, u->func.at[f]->param.at[k])->cls == BC_input || buf(u, u->func.at[f]->param.at[k])->cls == BC_output;
    for (uint32_t k = 0; k < u->sym.n; k++)
        uses = uses || u->sym_input.at[k] >= 0;
    for (uint32_t k = 0; k < u->output.n; k++)
        uses = uses || has_free_extent(u, u->output.at[k]);
    return uses;
}

/* Arena, pools, weights, symbols: checked, and where the functions find them. */
static void prologue(Writer *w)
{
    Out *o = &w->o;
    const bool shared = w->u->threads.n > 0;
    if (uses_pool(w, 0)) {
        ln(o, shared ? "f->a = arena;" : "unsigned char *a = arena;");
        ln(o, "if (!mlcc_aligned(arena, %s_ARENA_ALIGN))", w->names.upper);
        ln(o, "    return MLCC_BAD_ARENA;");
    } else {
        ln(o, "(void)arena;");
    }
    if (!uses_io(w) && !shared)
        ln(o, "(void)io;");
    check_pools(w);
    const char *weights = w->opt->weights == WM_file ? "io->weights" : str_fmt(w->a, "%s_weights", w->opt->prefix);
    if (uses_weights(w))
        ln(o, "%s = %s;", shared ? "f->w" : "const unsigned char *w", weights);
    if (uses_weights(w) && w->opt->weights == WM_file) {
        ln(o, "if (!mlcc_aligned(%s, 8))", shared ? "f->w" : "w");
        ln(o, "    return MLCC_BAD_INPUT;");
    }
    if (w->g.uses_amx) {
        ln(o, "if (!mlcc_amx_usable())");
        ln(o, "    return MLCC_BAD_CPU;");
    }
    check_symbols(w);
    check_outputs(w);
}

static void run(Writer *w)
{
    Out *o = &w->o;
    ln(o, "mlcc_status %s_run(const struct %s_io *io, void *arena)", w->opt->prefix, w->opt->prefix);
    ln(o, "{");
    o->depth++;
    prologue(w);
    for (uint32_t k = 0; k < w->u->func.n; k++)
        call(w, w->u->func.at[k]);
    report_extents(w);
    ln(o, "return MLCC_OK;");
    close_block(o, "");
    blank(o);
}

/* ---- runs of several parts ---- */

/* From one meeting to the next is a step. */
static uint32_t count_steps(const Unit *u)
{
    uint32_t n = u->func.n > 0;
    for (uint32_t k = 1; k < u->func.n; k++)
        n += u->func.at[k]->meet != MEET_none;
    return n;
}

static void frame(Writer *w)
{
    Out *o = &w->o;
    if (w->u->part_bytes)
        ln(o, "enum { PART = %" PRId64 " }; /* bytes of scratch of one part */", w->u->part_bytes);
    if (w->u->part_bytes)
        blank(o);
    ln(o, "struct %s_frame { /* what the parts of a run share */", w->opt->prefix);
    o->depth++;
    ln(o, "const struct %s_io *io;", w->opt->prefix);
    ln(o, "const mlcc_parallel *parallel;");
    if (uses_pool(w, 0))
        ln(o, "unsigned char *a;");
    if (uses_weights(w))
        ln(o, "const unsigned char *w;");
    for (uint32_t k = 0; k < w->u->sym.n; k++)
        ln(o, "%s %s;", c_type(&w->g, DT_ix), w->names.sym[k]);
    ln(o, "int step;");
    o->depth--;
    ln(o, "};");
    blank(o);
}

static void step_function(Writer *w)
{
    Out *o = &w->o;
    ln(o, "/* What lies between two meetings of the parts. */");
    ln(o, "static void %s_step(struct %s_frame *f, int step, int part, int parts)", w->opt->prefix, w->opt->prefix);
    ln(o, "{");
    o->depth++;
    if (uses_io(w))
        ln(o, "const struct %s_io *io = f->io;", w->opt->prefix);
    if (uses_pool(w, 0))
        ln(o, "unsigned char *a = f->a;");
    if (uses_weights(w))
        ln(o, "const unsigned char *w = f->w;");
    ln(o, "switch (step) {");
    uint32_t step = 0;
    for (uint32_t k = 0; k < w->u->func.n; k++) {
        const bool begins = k == 0 || w->u->func.at[k]->meet;
        if (begins && k)
            ln(o, "    break;");
        if (begins)
            ln(o, "case %u:", step++);
        o->depth++;
        call(w, w->u->func.at[k]);
        o->depth--;
    }
    ln(o, "    break;");
    ln(o, "default:");
    ln(o, "    break;");
    ln(o, "}");
    close_block(o, "");
    blank(o);
}

static void meetings(Writer *w)
{
    Text t = {.arena = w->a};
    bool near = false;
    for (uint32_t k = 0; k < w->u->func.n; k++) {
        const Meet meet = w->u->func.at[k]->meet;
        near = near || meet == MEET_near;
        if (k == 0 || meet)
            text_add(&t, "%s%d", k ? ", " : "", meet == MEET_near);
    }
    ln(&w->o, "/* Before a step parts wait for those beside them (1) or for all (0). */");
    ln(&w->o, "static const unsigned char %s_near[] = {%s};", w->opt->prefix, text_str(&t));
    blank(&w->o);
}

static const char steps_text[] =
    "/* All steps of one part, for a parallel-for whose parts can wait for each other. */\n"
    "static void @_together(void *arg, int part, int parts)\n"
    "{\n"
    "    struct @_frame *f = arg;\n"
    "    for (int step = 0; step < #; step++) {\n"
    "        if (step > 0)\n"
    "            f->parallel->meet(f->parallel->user, part, parts, step, @_near[step]);\n"
    "        @_step(f, step, part, parts);\n"
    "    }\n"
    "}\n"
    "\n"
    "static void @_apart(void *arg, int part, int parts)\n"
    "{\n"
    "    struct @_frame *f = arg;\n"
    "    @_step(f, f->step, part, parts);\n"
    "}\n"
    "\n"
    "static int @_share(struct @_frame *f, int parts)\n"
    "{\n"
    "    const mlcc_parallel *p = f->parallel;\n"
    "    int bad = 0;\n"
    "    if (parts > 1 && p->meet)\n"
    "        return p->run(p->user, @_together, f, parts);\n"
    "    for (f->step = 0; f->step < # && !bad; f->step++) {\n"
    "        if (parts > 1)\n"
    "            bad = p->run(p->user, @_apart, f, parts);\n"
    "        else\n"
    "            @_step(f, f->step, 0, 1);\n"
    "    }\n"
    "    return bad;\n"
    "}\n\n";

/* @: the prefix; #: the number of steps. */
static void fill_in(Writer *w, const char *text)
{
    for (const char *s = text; *s; s++)
        if (*s == '@')
            text_add(&w->o.text, "%s", w->opt->prefix);
        else if (*s == '#')
            text_add(&w->o.text, "%u", count_steps(w->u));
        else
            text_put(&w->o.text, s, 1);
}

static void run_threads(Writer *w)
{
    Out *o = &w->o;
    const char *p = w->opt->prefix;
    ln(o, "static mlcc_status %s_begin(struct %s_frame *f, const struct %s_io *io, void *arena, const mlcc_parallel *parallel)", p, p, p);
    ln(o, "{");
    o->depth++;
    ln(o, "f->io = io;");
    ln(o, "f->parallel = parallel;");
    prologue(w);
    ln(o, "return MLCC_OK;");
    close_block(o, "");
    blank(o);
    ln(o, "mlcc_status %s_run_threads(const struct %s_io *io, void *arena, const mlcc_parallel *parallel)", p, p);
    ln(o, "{");
    o->depth++;
    Text parts = {.arena = w->a};
    for (uint32_t k = w->u->threads.n; k-- > 0;)
        text_add(&parts, "most >= %d ? %d : ", w->u->threads.at[k], w->u->threads.at[k]);
    ln(o, "struct %s_frame frame = {0}, *f = &frame;", p);
    ln(o, "const int most = parallel ? parallel->parts : 1, parts = %s1;", text_str(&parts));
    ln(o, "const mlcc_status status = %s_begin(f, io, arena, parallel);", p);
    ln(o, "if (status != MLCC_OK)");
    ln(o, "    return status;");
    ln(o, "if (%s_share(f, parts) != 0)", p);
    ln(o, "    return (mlcc_status)MLCC_BAD_PARALLEL;");
    report_extents(w);
    ln(o, "return MLCC_OK;");
    close_block(o, "");
    blank(o);
}

static void run_shared(Writer *w)
{
    const char *p = w->opt->prefix;
    frame(w);
    step_function(w);
    meetings(w);
    fill_in(w, steps_text);
    run_threads(w);
    ln(&w->o, "mlcc_status %s_run(const struct %s_io *io, void *arena)", p, p);
    ln(&w->o, "{");
    ln(&w->o, "    return %s_run_threads(io, arena, NULL);", p);
    ln(&w->o, "}");
    blank(&w->o);
}

/* A model too small to share takes threads and leaves them alone. */
static void run_alone(Writer *w)
{
    const char *p = w->opt->prefix;
    run(w);
    if (!w->opt->threads)
        return;
    ln(&w->o, "mlcc_status %s_run_threads(const struct %s_io *io, void *arena, const mlcc_parallel *parallel)", p, p);
    ln(&w->o, "{");
    ln(&w->o, "    (void)parallel;");
    ln(&w->o, "    return %s_run(io, arena);", p);
    ln(&w->o, "}");
    blank(&w->o);
}

/* ---- the untyped twin ---- */

static void call_symbols(Writer *w)
{
    const Unit *u = w->u;
    for (uint32_t k = 0; k < u->sym.n; k++)
        if (u->sym_input.at[k] >= 0)
            ln(&w->o, "io.%s = in[%d].dim[%d];", w->names.sym[k], u->sym_input.at[k], u->sym_dim.at[k]);
    bool any = false;
    for (uint32_t k = 0; k < u->sym.n; k++)
        any = any || u->sym_input.at[k] >= 0;
    if (!any)
        return;
    for (uint32_t k = 0; k < u->sym.n; k++) {
        const VarInfo *v = ex_var_info(u->cx->x, u->sym.at[k]);
        if (u->sym_input.at[k] < 0)
            continue;
        ln(&w->o, "if (io.%s < %" PRId64 " || io.%s > %" PRId64 ")", w->names.sym[k], v->lo, w->names.sym[k], v->hi);
        ln(&w->o, "    return (int)MLCC_BAD_SHAPE;");
    }
}

/* Every extent of every input against what the symbols say. */
static void call_checks(Writer *w)
{
    const Unit *u = w->u;
    for (uint32_t k = 0; k < u->sym.n; k++)
        *map_u64(&w->g.var, u->sym.at[k]->id, true) = (uint64_t)(uintptr_t)str_fmt(w->a, u->sym_input.at[k] < 0 ? "%s" : "io.%s", w->names.sym[k]);
    const bool wide = w->g.wide;
    w->g.wide = true;
    for (uint32_t k = 0; k < u->input.n; k++) {
        const Buf *b = buf(u, u->input.at[k]);
        Text t = {.arena = w->a};
        text_add(&t, "in[%u].dtype != %u || in[%u].rank != %u", k, dtype_info(b->dt)->onnx, k, b->rank);
        for (uint8_t d = 0; d < b->rank; d++)
            if (ex_is_const(b->dim[d]))
                text_add(&t, " || in[%u].dim[%u] != %" PRId64, k, d, b->dim[d]->v.i);
            else
                text_add(&t, " || in[%u].dim[%u] != %s", k, d, c_expr_prec(&w->g, b->dim[d], P_EQ + 1));
        ln(&w->o, "if (%s)", text_str(&t));
        ln(&w->o, "    return (int)MLCC_BAD_SHAPE;");
    }
    w->g.wide = wide;
}

static void call_outputs(Writer *w)
{
    const Unit *u = w->u;
    const bool wide = w->g.wide;
    w->g.wide = true;
    for (uint32_t k = 0; k < u->output.n; k++) {
        const Buf *b = buf(u, u->output.at[k]);
        ln(&w->o, "out[%u].dtype = %u;", k, dtype_info(b->dt)->onnx);
        ln(&w->o, "out[%u].rank = %u;", k, b->rank);
        for (uint8_t d = 0; d < b->rank && !has_free_extent(u, u->output.at[k]); d++)
            ln(&w->o, "out[%u].dim[%u] = %s;", k, d, c_expr(&w->g, b->dim[d]));
    }
    w->g.wide = wide;
}

static void untyped(Writer *w)
{
    Out *o = &w->o;
    const Unit *u = w->u;
    const bool threads = w->opt->threads;
    ln(o, "int %s_call%s(const mlcc_tensor *in, mlcc_tensor *out, void *arena%s)", w->opt->prefix, threads ? "_threads" : "", threads ? ", const mlcc_parallel *parallel" : "");
    ln(o, "{");
    o->depth++;
    ln(o, "struct %s_io io;", w->opt->prefix);
    if (!u->input.n && !u->npool && w->opt->weights != WM_file)
        ln(o, "(void)in;");
    if (!u->output.n)
        ln(o, "(void)out;");
    w->g.var = (Map){.arena = w->a};
    w->g.taken = w->g.tried = (Map){.arena = w->a};
    call_symbols(w);
    call_checks(w);
    for (uint32_t k = 0; k < u->input.n; k++)
        ln(o, "io.%s = in[%u].data;", w->names.input[k], k);
    for (uint32_t k = 0; k < u->output.n; k++)
        ln(o, "io.%s = out[%u].data;", w->names.output[k], k);
    for (uint32_t k = 0; k < u->output.n; k++)
        if (has_free_extent(u, u->output.at[k]))
            ln(o, "io.%s_dim = out[%u].dim;", w->names.output[k], k);
    for (uint32_t k = 1; k <= u->npool; k++)
        ln(o, "io.%s = in[%u].data;", w->names.pool[k], u->input.n + k - 1);
    if (uses_weights(w) && w->opt->weights == WM_file)
        ln(o, "io.weights = in[%u].data;", u->input.n + u->npool);
    call_outputs(w);
    ln(o, "return (int)%s_run%s(&io, arena%s);", w->opt->prefix, threads ? "_threads" : "", threads ? ", parallel" : "");
    close_block(o, "");
    blank(o);
    if (!threads)
        return;
    ln(o, "int %s_call(const mlcc_tensor *in, mlcc_tensor *out, void *arena)", w->opt->prefix);
    ln(o, "{");
    ln(o, "    return %s_call_threads(in, out, arena, NULL);", w->opt->prefix);
    ln(o, "}");
    blank(o);
}

static void info_row(Writer *w, uint32_t id, const char *comma)
{
    const Buf *b = buf(w->u, id);
    Text dims = {.arena = w->a};
    uint32_t free_dims = 0;
    for (uint8_t d = 0; d < b->rank; d++) {
        text_add(&dims, "%s%" PRId64, d ? ", " : "", ex_upper(w->u->cx->x, b->dim[d]));
        free_dims |= (uint32_t)!ex_is_const(b->dim[d]) << d;
    }
    ln(&w->o, "    {%s, %u, %u, {%s}, %uu}%s", c_string(w->a, b->name), dtype_info(b->dt)->onnx, b->rank, b->rank ? text_str(&dims) : "0", free_dims, comma);
}

/* What the caller passes besides the model's inputs: further pools, and the weights with --weights=file. */
static uint32_t extra_inputs(const Writer *w)
{
    return w->u->npool + (w->opt->weights == WM_file && uses_weights(w));
}

static void extra_rows(Writer *w)
{
    const unsigned u8 = dtype_info(DT_u8)->onnx;
    for (uint32_t k = 1; k <= w->u->npool; k++)
        ln(&w->o, "    {\"%s\", %u, 1, {%" PRId64 "}, 0u},", w->names.pool[k], u8, w->u->pool_bytes[k]);
    if (extra_inputs(w) > w->u->npool)
        ln(&w->o, "    {\"weights\", %u, 1, {%" PRId64 "}, 0u},", u8, w->u->weight_bytes);
}

static void info_table(Writer *w, const char *kind, const uint32_t *id, uint32_t n, bool extra)
{
    if (!n && !(extra && extra_inputs(w)))
        return;
    ln(&w->o, "static const mlcc_tensor_info %s_%s[] = {", w->opt->prefix, kind);
    for (uint32_t k = 0; k < n; k++)
        info_row(w, id[k], ",");
    if (extra)
        extra_rows(w);
    ln(&w->o, "};");
    blank(&w->o);
}

static void info(Writer *w)
{
    Out *o = &w->o;
    const Unit *u = w->u;
    const char *p = w->opt->prefix, *up = w->names.upper;
    info_table(w, "in", u->input.at, u->input.n, true);
    info_table(w, "out", u->output.at, u->output.n, false);
    const uint32_t nin = u->input.n + extra_inputs(w);
    ln(o, "const mlcc_model_info %s_info = {", p);
    ln(o, "    sizeof(mlcc_model_info), %s_ABI, \"%s\", \"mlcc %s\",", up, p, w->opt->version);
    ln(o, "    \"%s\",", w->opt->sha256);
    ln(o, "    %s_ARENA_BYTES, %s_STACK_BYTES, %s_WEIGHT_BYTES, %s_MACS,", up, up, up, up);
    ln(o, "    %s_ARENA_ALIGN, %u, %u,", up, nin, u->output.n);
    ln(o, "    %s, %s, %s_call", nin ? str_fmt(w->a, "%s_in", p) : "NULL", u->output.n ? str_fmt(w->a, "%s_out", p) : "NULL", p);
    ln(o, "};");
}

void emit_info(Unit *u, const EmitOptions *opt, Arena *a, Out *o)
{
    Writer w = {.u = u, .opt = opt, .names = names_make(a, u, opt), .a = a, .o = *o};
    info(&w);
    *o = w.o;
}

static void find_far(void *ctx, const Expr *e)
{
    bool *far = ctx;
    *far = *far || (e->op == EX_const && e->dt == DT_ix && (e->v.i > INT32_MAX || e->v.i < INT32_MIN));
}

static void find_far_in(void *ctx, const Nest *at, const Expr *e, bool store)
{
    (void)at;
    (void)store;
    ex_walk(e, find_far, ctx);
}

/* Index arithmetic needs 64 bits when some buffer has more elements than int counts, or a number in it is no int. */
static bool needs_wide(const Unit *u)
{
    bool far = false;
    for (uint32_t k = 1; k < u->buf.n; k++)
        if (buf(u, k)->bytes / (int64_t)dtype_bytes(buf(u, k)->dt) > INT32_MAX / 2)
            return true;
    for (uint32_t k = 0; k < u->func.n && !far; k++)
        nest_exprs(u->func.at[k]->body, find_far_in, &far);
    return far;
}

/* Files of a unit: code, header, weights and report. The unit must be planned. */
void emit_c(Unit *u, const EmitOptions *opt, EmitFiles *files)
{
    Arena *a = files->arena;
    Writer w = {.u = u, .opt = opt, .names = names_make(a, u, opt), .a = a};
    out_init(&w.o, a);
    w.g = (CGen){.u = u, .o = &w.o, .a = a, .x = u->cx->x, .wide = needs_wide(u), .lanes = opt->lanes};
    Out body;
    out_init(&body, a);
    w.g.o = &body;
    for (uint32_t k = 0; k < u->func.n; k++)
        c_function(&w.g, u->func.at[k]);
    u->stack_bytes = stack_bound(u);
    Out head = w.o;
    out_init(&w.o, a);
    w.g.o = &w.o;
    offsets(&w);
    weights(&w);
    text_put(&w.o.text, text_str(&body.text), body.text.n);
    if (u->threads.n)
        run_shared(&w);
    else
        run_alone(&w);
    untyped(&w);
    info(&w);
    const char *rest = text_str(&w.o.text), *runtime = paste_runtime(a, rest);
    const size_t n = w.o.text.n;
    w.o = head;
    banner(&w);
    target(&w);
    ln(&w.o, "#include \"%s.h\"", opt->file);
    blank(&w.o);
    text_put(&w.o.text, runtime, strlen(runtime));
    text_put(&w.o.text, rest, n);
    PUSH(a, &files->file, ((EmitFile){".c", text_str(&w.o.text), w.o.text.n}));
    emit_header(u, opt, files);
    emit_threads(opt, files);
    emit_weights(u, opt, files);
    emit_report(u, opt, files);
}

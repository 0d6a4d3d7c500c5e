/* SPDX-License-Identifier: Apache-2.0
 *
 * model.c: banner with the memory plan, the runtime functions in use, the weights when they are small, one function per
 * root stage, the run function as a list of calls, and the untyped twin for bindings.
 */
#include <inttypes.h>

#include "writer.h"

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

/* First and last function that uses a buffer; UINT32_MAX: none does. */
typedef struct Life { uint32_t first, last; } Life;

static Life *lives(Arena *a, const Unit *u)
{
    Life *of = NEWN(a, Life, u->buf.n);
    for (uint32_t k = 0; k < u->buf.n; k++)
        of[k].first = UINT32_MAX;
    for (uint32_t f = 0; f < u->func.n; f++)
        for (uint32_t p = 0; p < u->func.at[f]->param.n; p++) {
            Life *l = &of[u->func.at[f]->param.at[p]];
            l->first = l->first == UINT32_MAX ? f : l->first;
            l->last = f;
        }
    return of;
}

static const char *const fp_meaning[] = {
    [FP_fast] = "-ffp=fast, f32; sums are reassociated, 3x3 convolutions may be filtered (Winograd), exp, log, tanh and erf are polynomials where loops are vectors",
    [FP_strict] = "-ffp=strict, f32 as the model writes it; sums are reassociated, functions are libm's",
    [FP_bf16] = "-ffp=bf16, what products read may be rounded to bfloat16; sums and epilogues are f32, sigmoid and erf within 2^-12",
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
        const Life *of = lives(w->a, w->u);
        for (uint32_t k = 1; k < w->u->buf.n; k++) {
            const Buf *b = buf(w->u, k);
            if (in_arena(b) && of[k].first != UINT32_MAX)
                ln(o, " *     %10" PRId64 " %9" PRId64 "  n%u-n%u  t%u  %s  %s", b->offset, b->bytes, of[k].first, of[k].last, k, shape_text(w, b), comment_text(w->a, b->name));
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

bool writer_apart(const Writer *w) { return w->opt->weights != WM_array; }

static bool has_offset(const Writer *w, const Buf *b, bool weights)
{
    return weights ? weights_stored(b) && b->dt != DT_str && writer_apart(w) : in_arena(b);
}

/* Constants of an enum are int; where one does not fit, all are macros. */
static void offsets_of(Writer *w, bool weights)
{
    Out *o = &w->o;
    int64_t most = -1;
    for (uint32_t k = 1; k < w->u->buf.n; k++)
        if (has_offset(w, buf(w->u, k), weights))
            most = max_i64(most, buf(w->u, k)->offset);
    if (most < 0)
        return;
    const bool macros = most > INT32_MAX;
    ln(o, macros ? "/* byte offsets in the %s */" : "enum { /* byte offsets in the %s */", weights ? "weights" : "arena");
    for (uint32_t k = 1; k < w->u->buf.n; k++) {
        const Buf *b = buf(w->u, k);
        if (has_offset(w, b, weights))
            ln(o, macros ? "#define %c%03u %" PRId64 " /* %s %s */" : "    %c%03u = %" PRId64 ", /* %s %s */", weights ? 'W' : 'T', k, b->offset, shape_text(w, b),
               comment_text(w->a, b->name));
    }
    if (!macros)
        ln(o, "};");
    blank(o);
}

static void offsets(Writer *w)
{
    offsets_of(w, false);
    offsets_of(w, true);
}

/* Ends a part of the file, behind which `make` writes. */
static void end_part(Writer *w, void (*make)(const void *ctx, Arena *a, const Sink *to), const void *ctx)
{
    PUSH(w->a, &w->part, ((EmitPart){text_str(&w->o.text), w->o.text.n, make, ctx}));
    w->o.text = (Text){.arena = w->a};
}

static void array(Writer *w, uint32_t id)
{
    const Buf *b = buf(w->u, id);
    const char *type = dtype_info(b->dt)->ctype;
    ln(&w->o, "static const MLCC_ALIGN(64) %s%sW%03u[%" PRId64 "] = { /* %s %s */", b->dt == DT_str ? "char *const" : type, " ", id,
       b->data->count, shape_text(w, b), comment_text(w->a, b->name));
    end_part(w, array_put, b->data);
    ln(&w->o, "};");
}

static void weights(Writer *w)
{
    bool any = false;
    for (uint32_t k = 1; k < w->u->buf.n; k++)
        if (weights_stored(buf(w->u, k)) && (!writer_apart(w) || buf(w->u, k)->dt == DT_str)) {
            array(w, k);
            any = true;
        }
    if (any)
        blank(&w->o);
    if (writer_apart(w) && w->u->weight_bytes && w->opt->weights != WM_file) {
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
    if (b->cls == BC_const && (!writer_apart(w) || b->dt == DT_str))
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

/* An extent that data decides may be more than memory was planned for, where its bound was a guess. Such units are not cut
 * for threads. */
static void check_defined(Writer *w, const Expr *sym)
{
    if (!symbol_assumed(w->u->cx, sym))
        return;
    ln(&w->o, "if (%s > %" PRId64 ")", sym_name(w, sym), ex_var_info(w->u->cx->x, sym)->hi);
    ln(&w->o, "    return MLCC_BAD_SHAPE;");
}

void writer_call(Writer *w, const Func *f)
{
    Text t = {.arena = w->a};
    const char *comma = f->split ? ", " : "";
    text_add(&t, "%s", f->split ? "share, shares" : "");
    for (uint32_t k = 0; k < f->sym.n; k++, comma = ", ")
        text_add(&t, "%s%s", comma, sym_name(w, f->sym.at[k]));
    for (uint32_t k = 0; k < f->param.n; k++, comma = ", ")
        text_add(&t, "%s%s", comma, pointer(w, f->param.at[k], f->split));
    for (uint32_t k = 0; k < f->defines.n; k++, comma = ", ")
        text_add(&t, "%s&%s", comma, sym_name(w, f->defines.at[k]));
    ln(&w->o, w->u->threads.n ? "MLCC_PART_NODE(share, \"%s\")" : "MLCC_NODE(\"%s\")", f->name);
    if (!f->split && w->u->threads.n)
        ln(&w->o, "if (share == 0)");
    ln(&w->o, "%s%s(%s);", !f->split && w->u->threads.n ? "    " : "", f->name, text_str(&t));
    for (uint32_t k = 0; k < f->defines.n; k++)
        check_defined(w, f->defines.at[k]);
}

bool writer_uses_pool(const Writer *w, int32_t pool)
{
    for (uint32_t k = 1; k < w->u->buf.n; k++)
        if (in_arena(buf(w->u, k)) && buf(w->u, k)->pool == pool)
            return true;
    return false;
}

static void check_pools(Writer *w)
{
    for (uint32_t k = 1; k <= w->u->npool; k++) {
        if (!writer_uses_pool(w, (int32_t)k))
            continue;
        ln(&w->o, "unsigned char *%s = io->%s;", w->names.pool[k], w->names.pool[k]);
        ln(&w->o, "if (!mlcc_aligned(%s, %s_ARENA_ALIGN))", w->names.pool[k], w->names.upper);
        ln(&w->o, "    return MLCC_BAD_ARENA;");
    }
}

bool writer_uses_weights(const Writer *w)
{
    return writer_apart(w) && w->u->weight_bytes > 0;
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

/* The condition under which no value of symbol k is behind the dimension `dim`. */
static const char *outside(const Writer *w, uint32_t k, const char *dim)
{
    const VarInfo *v = ex_var_info(w->u->cx->x, w->u->sym.at[k]);
    const int64_t times = var_times(v);
    const char *bounds = str_fmt(w->a, "%s < %" PRId64 " || %s > %" PRId64, dim, v->lo * times, dim, v->hi * times);
    return v->whole ? str_fmt(w->a, "%s || %s %% %" PRId64 " != 0", bounds, dim, times) : bounds;
}

void writer_check_dim(Writer *w, uint32_t k, const char *io, const char *status)
{
    ln(&w->o, "if (%s)", outside(w, k, str_fmt(w->a, "%s%s", io, w->names.dim[k])));
    ln(&w->o, "    return %s;", status);
}

static void check_symbols(Writer *w)
{
    const Unit *u = w->u;
    for (uint32_t k = 0; k < u->sym.n; k++) {
        const VarInfo *v = ex_var_info(u->cx->x, u->sym.at[k]);
        const char *type = c_type(&w->g, DT_ix), *declare = u->threads.n ? "" : str_fmt(w->a, "%s ", type);
        if (u->sym_input.at[k] < 0) {
            ln(&w->o, "%s%s = 0;", declare, local_sym(w, k));
            continue;
        }
        writer_check_dim(w, k, "io->", "MLCC_BAD_SHAPE");
        const char *value = v->whole ? str_fmt(w->a, "(io->%s / %" PRId64 ")", w->names.dim[k], v->times) : str_fmt(w->a, "io->%s", w->names.dim[k]);
        if (symbol_needed(u, u->sym.at[k]))
            ln(&w->o, "%s%s%s = (%s)%s;", u->threads.n ? "" : "const ", declare, local_sym(w, k), type, value);
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

void writer_extents(Writer *w)
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
bool writer_uses_io(const Writer *w)
{
    const Unit *u = w->u;
    bool uses = u->npool > 0 || (writer_uses_weights(w) && w->opt->weights == WM_file);
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
void writer_prologue(Writer *w)
{
    Out *o = &w->o;
    const bool shared = w->u->threads.n > 0;
    if (writer_uses_pool(w, 0)) {
        ln(o, shared ? "f->a = arena;" : "unsigned char *a = arena;");
        ln(o, "if (!mlcc_aligned(arena, %s_ARENA_ALIGN))", w->names.upper);
        ln(o, "    return MLCC_BAD_ARENA;");
    } else {
        ln(o, "(void)arena;");
    }
    if (!writer_uses_io(w) && !shared)
        ln(o, "(void)io;");
    check_pools(w);
    const char *weights = w->opt->weights == WM_file ? "io->weights" : str_fmt(w->a, "%s_weights", w->opt->prefix);
    if (writer_uses_weights(w))
        ln(o, "%s = %s;", shared ? "f->w" : "const unsigned char *w", weights);
    if (writer_uses_weights(w) && w->opt->weights == WM_file) {
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
    writer_prologue(w);
    for (uint32_t k = 0; k < w->u->func.n; k++)
        writer_call(w, w->u->func.at[k]);
    writer_extents(w);
    ln(o, "return MLCC_OK;");
    close_block(o, "");
    blank(o);
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

/* The runtime functions that the parts use, and the headers that they and the elements of arrays need, which come later. */
static const char *runtime_of(const Writer *w)
{
    Text all = {.arena = w->a};
    for (uint32_t k = 0; k < w->part.n; k++)
        text_put(&all, w->part.at[k].data, w->part.at[k].n);
    if (w->part.n > 1)
        text_add(&all, "/* of elements: NAN, INFINITY */");
    return paste_runtime(w->a, text_str(&all));
}

static void functions(Writer *w)
{
    w->g.o = &w->o;
    for (uint32_t k = 0; k < w->u->func.n; k++)
        c_function(&w->g, w->u->func.at[k]);
    w->u->stack_bytes = stack_bound(w->u);
}

/* What comes behind the runtime functions. */
static void model(Writer *w, const Out *body)
{
    offsets(w);
    weights(w);
    text_put(&w->o.text, body->text.at, body->text.n);
    if (w->u->threads.n)
        emit_run_shared(w);
    else
        run_alone(w);
    emit_untyped(w);
    emit_info_tables(w);
    end_part(w, NULL, NULL);
}

/* Files of a unit: code, header, weights and report. The unit must be planned. */
void emit_c(Unit *u, const EmitOptions *opt, EmitFiles *files)
{
    Arena *a = files->arena;
    Writer w = {.u = u, .opt = opt, .names = names_make(a, u, opt), .a = a};
    w.g = (CGen){.u = u, .a = a, .x = u->cx->x, .wide = needs_wide(u), .lanes = opt->lanes};
    out_init(&w.o, a);
    functions(&w);
    const Out body = w.o;
    out_init(&w.o, a);
    model(&w, &body);
    const char *runtime = runtime_of(&w);
    banner(&w);
    target(&w);
    ln(&w.o, "#include \"%s.h\"", opt->file);
    blank(&w.o);
    text_put(&w.o.text, runtime, strlen(runtime));
    EmitFile f = {".c", emit_part(a, &w.o.text)};
    for (uint32_t k = 0; k < w.part.n; k++)
        PUSH(a, &f.part, w.part.at[k]);
    PUSH(a, &files->file, f);
    emit_header(u, opt, files);
    emit_threads(opt, files);
    emit_weights(u, opt, files);
    emit_report(u, opt, files);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The run function of a model made for one thread, and the pieces of it that the one for several has too
 * (threads.c): what is checked first, where buffers and symbols are found, the call of each function, the extents
 * that the caller is told.
 */
#include <inttypes.h>

#include "writer.h"

bool writer_apart(const Writer *w) { return w->opt->weights != WM_array; }

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
    const char *type = pointer_to(w->a, b->dt);
    if (b->cls == BC_input)
        return str_fmt(w->a, "io->%s", w->names.input[io_number(w->u, id)]);
    if (b->cls == BC_output)
        return str_fmt(w->a, "io->%s", w->names.output[io_number(w->u, id)]);
    if (b->cls == BC_const && b->bytes == 0) /* a constant without elements has no place */
        return "NULL";
    if (b->cls == BC_const && (!writer_apart(w) || b->dt == DT_str))
        return str_fmt(w->a, b->dt == DT_str ? "(const char **)(uintptr_t)W%03u" : "W%03u", id);
    if (b->cls == BC_const)
        return str_fmt(w->a, "(const %s)(const void *)(w + W%03u)", type, id);
    const char *place = own && b->cls == BC_scratch ? " + (size_t)part * PART" : "";
    return str_fmt(w->a, "(%s)(void *)(%s + T%03u%s)", type, b->pool ? w->names.pool[b->pool] : "a", id, place);
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

/* An extent that data decides may be more than memory was planned for, where its bound was a guess. Such units are
 * not cut for threads. */
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
    for (uint32_t k = 0; k < f->number.n; k++, comma = ", ")
        text_add(&t, "%s%s", comma, f->number.at[k]);
    ln(&w->o, w->u->threads.n ? "MLCC_PART_NODE(share, \"%s\")" : "MLCC_NODE(\"%s\")", f->name);
    if (!f->split && w->u->threads.n)
        ln(&w->o, "if (share == 0)");
    ln(&w->o, "%s%s(%s);", !f->split && w->u->threads.n ? "    " : "", f->code, text_str(&t));
    for (uint32_t k = 0; k < f->defines.n; k++)
        check_defined(w, f->defines.at[k]);
}

bool writer_uses_pool(const Writer *w, int32_t pool)
{
    for (uint32_t k = 1; k < w->u->buf.n; k++)
        if (buf_planned(buf(w->u, k)) && buf(w->u, k)->pool == pool)
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

static bool func_takes(const Func *f, const Expr *sym)
{
    for (uint32_t k = 0; k < f->sym.n; k++)
        if (f->sym.at[k] == sym)
            return true;
    return false;
}

/* Whether the run function tells or checks an extent of the output with it. */
static bool output_asks(const Unit *u, uint32_t id, const Expr *sym)
{
    const Buf *b = buf(u, id);
    for (uint8_t d = 0; d < b->rank; d++)
        if (ex_uses(b->dim[d], sym) && (has_free_extent(u, id) || may_be_negative(u, b->dim[d])))
            return true;
    return false;
}

static bool symbol_needed(const Unit *u, const Expr *sym)
{
    for (uint32_t k = 0; k < u->func.n; k++)
        if (func_takes(u->func.at[k], sym))
            return true;
    for (uint32_t k = 0; k < u->output.n; k++)
        if (output_asks(u, u->output.at[k], sym))
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
        const char *value = v->whole ? str_fmt(w->a, "(io->%s / %" PRId64 ")", w->names.dim[k], v->times)
                                     : str_fmt(w->a, "io->%s", w->names.dim[k]);
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

bool writer_passes_io(const Writer *w)
{
    const Unit *u = w->u;
    bool uses = false;
    for (uint32_t f = 0; f < u->func.n; f++)
        for (uint32_t k = 0; k < u->func.at[f]->param.n; k++)
            uses = uses || buf(u, u->func.at[f]->param.at[k])->cls == BC_input ||
                   buf(u, u->func.at[f]->param.at[k])->cls == BC_output;
    return uses;
}

/* Without a function that touches a tensor of the caller, and without a symbol, nothing reads the structure. */
bool writer_uses_io(const Writer *w)
{
    const Unit *u = w->u;
    bool uses = writer_passes_io(w) || u->npool > 0 || (writer_uses_weights(w) && w->opt->weights == WM_file);
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
void emit_run(Writer *w)
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

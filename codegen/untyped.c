/* SPDX-License-Identifier: Apache-2.0
 *
 * The untyped twin of the run function, for bindings and servers, and the tables that describe the model to them.
 */
#include <inttypes.h>

#include "writer.h"

/* ---- PREFIX_call ---- */

static void call_symbols(Writer *w)
{
    const Unit *u = w->u;
    for (uint32_t k = 0; k < u->sym.n; k++)
        if (u->sym_input.at[k] >= 0)
            ln(&w->o, "io.%s = in[%d].dim[%d];", w->names.dim[k], u->sym_input.at[k], u->sym_dim.at[k]);
    for (uint32_t k = 0; k < u->sym.n; k++)
        if (u->sym_input.at[k] >= 0)
            writer_check_dim(w, k, "io.", "(int)MLCC_BAD_SHAPE");
}

/* A symbol's value, from the field that holds its dimension. */
static const char *call_symbol(const Writer *w, uint32_t k)
{
    const VarInfo *v = ex_var_info(w->u->cx->x, w->u->sym.at[k]);
    if (w->u->sym_input.at[k] < 0)
        return w->names.sym[k];
    return v->whole ? str_fmt(w->a, "(io.%s / %" PRId64 ")", w->names.dim[k], v->times)
                    : str_fmt(w->a, "io.%s", w->names.dim[k]);
}

/* An extent of an input. */
static const char *call_extent(Writer *w, const Expr *dim)
{
    const Expr *sym = ex_symbol_of(w->u->cx->x, dim);
    for (uint32_t k = 0; k < w->u->sym.n; k++)
        if (w->u->sym.at[k] == sym)
            return str_fmt(w->a, "io.%s", w->names.dim[k]);
    return c_expr_prec(&w->g, dim, P_EQ + 1);
}

/* Every extent of every input against what the symbols say. */
static void call_checks(Writer *w)
{
    const Unit *u = w->u;
    for (uint32_t k = 0; k < u->sym.n; k++)
        *map_u64(&w->g.var, u->sym.at[k]->id, true) = (uint64_t)(uintptr_t)call_symbol(w, k);
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
                text_add(&t, " || in[%u].dim[%u] != %s", k, d, call_extent(w, b->dim[d]));
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

/* What the caller passes besides the model's inputs: further pools, and the weights with --weights=file. */
static uint32_t extra_inputs(const Writer *w)
{
    return w->u->npool + (w->opt->weights == WM_file && writer_uses_weights(w));
}

/* The fields of the structure that are pointers: inputs, outputs, then what extra_rows lists. */
static void call_fields(Writer *w)
{
    Out *o = &w->o;
    const Unit *u = w->u;
    for (uint32_t k = 0; k < u->input.n; k++)
        ln(o, "io.%s = in[%u].data;", w->names.input[k], k);
    for (uint32_t k = 0; k < u->output.n; k++)
        ln(o, "io.%s = out[%u].data;", w->names.output[k], k);
    for (uint32_t k = 0; k < u->output.n; k++)
        if (has_free_extent(u, u->output.at[k]))
            ln(o, "io.%s_dim = out[%u].dim;", w->names.output[k], k);
    for (uint32_t k = 1; k <= u->npool; k++)
        ln(o, "io.%s = in[%u].data;", w->names.pool[k], u->input.n + k - 1);
    if (extra_inputs(w) > u->npool)
        ln(o, "io.weights = in[%u].data;", u->input.n + u->npool);
}

/* threads: the form that takes a parallel-for. */
static void call(Writer *w, bool threads)
{
    Out *o = &w->o;
    const Unit *u = w->u;
    const char *p = w->opt->prefix, *form = threads ? "_threads" : "", *arg = threads ? ", parallel" : "";
    ln(o, "int %s_call%s(const mlcc_tensor *in, mlcc_tensor *out, void *arena%s)", p, form,
       threads ? ", const mlcc_parallel *parallel" : "");
    ln(o, "{");
    o->depth++;
    ln(o, "struct %s_io io;", p);
    if (!u->input.n && !u->npool && w->opt->weights != WM_file)
        ln(o, "(void)in;");
    if (!u->output.n)
        ln(o, "(void)out;");
    w->g.var = (Map){.arena = w->a};
    w->g.taken = w->g.tried = (Map){.arena = w->a};
    call_symbols(w);
    call_checks(w);
    call_fields(w);
    call_outputs(w);
    ln(o, "return (int)%s_run%s(&io, arena%s);", p, form, arg);
    close_block(o, "");
    blank(o);
}

void emit_untyped(Writer *w)
{
    call(w, w->opt->threads);
    if (!w->opt->threads)
        return;
    ln(&w->o, "int %s_call(const mlcc_tensor *in, mlcc_tensor *out, void *arena)", w->opt->prefix);
    ln(&w->o, "{");
    ln(&w->o, "    return %s_call_threads(in, out, arena, NULL);", w->opt->prefix);
    ln(&w->o, "}");
    blank(&w->o);
}

/* ---- PREFIX_info ---- */

static void info_row(Writer *w, uint32_t id, const char *comma)
{
    const Buf *b = buf(w->u, id);
    Text dims = {.arena = w->a};
    uint32_t free_dims = 0;
    for (uint8_t d = 0; d < b->rank; d++) {
        text_add(&dims, "%s%" PRId64, d ? ", " : "", ex_upper(w->u->cx->x, b->dim[d]));
        free_dims |= (uint32_t)!ex_is_const(b->dim[d]) << d;
    }
    ln(&w->o, "    {%s, %u, %u, {%s}, %uu}%s", c_string(w->a, b->name), dtype_info(b->dt)->onnx, b->rank,
       b->rank ? text_str(&dims) : "0", free_dims, comma);
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

/* The function behind weights of PREFIX_info: its name, or NULL where there is no image to name. */
static const char *image(Writer *w)
{
    Out *o = &w->o;
    const char *name = str_fmt(w->a, "%s_image", w->opt->prefix);
    if (!writer_uses_weights(w) || w->opt->weights == WM_file)
        return NULL;
    ln(o, "static const void *%s(size_t *bytes)", name);
    ln(o, "{");
    if (w->g.uses_amx) {
        ln(o, "    *bytes = 0;");
        ln(o, "    if (!mlcc_amx_usable())");
        ln(o, "        return NULL;");
    }
    ln(o, "    *bytes = %s_WEIGHT_BYTES;", w->names.upper);
    ln(o, "    return %s_weights;", w->opt->prefix);
    ln(o, "}");
    blank(o);
    return name;
}

static void info(Writer *w, const char *weights)
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
    ln(o, "    %s, %s, %s_call, %s", nin ? str_fmt(w->a, "%s_in", p) : "NULL",
       u->output.n ? str_fmt(w->a, "%s_out", p) : "NULL", p, weights ? weights : "NULL");
    ln(o, "};");
}

void emit_info_tables(Writer *w) { info(w, image(w)); }

void emit_info(Unit *u, const EmitOptions *opt, const char *weights, Arena *a, Out *o)
{
    Writer w = {.u = u, .opt = opt, .names = names_make(a, u, opt), .a = a, .o = *o};
    info(&w, weights);
    *o = w.o;
}

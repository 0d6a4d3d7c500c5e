/* SPDX-License-Identifier: Apache-2.0
 *
 * Constants apart from code. All modes hold the same bytes in the same order: execution order, each tensor aligned.
 */
#include <inttypes.h>

#include "emit.h"
#include "out.h"

enum { WEIGHT_ALIGN = 64, ARRAY_LIMIT = 1 << 16, STRING_LIMIT = 1 << 23, ROW = 1024 };

/* A fill that no call needs as memory is printed as a literal by the nest builder, so its buffer is never used. */
bool weights_stored(const Buf *b)
{
    return b->cls == BC_const && b->offset >= 0 && b->bytes > 0;
}

static void mark_used(Unit *u, bool *used)
{
    for (uint32_t f = 0; f < u->func.n; f++)
        for (uint32_t p = 0; p < u->func.at[f]->param.n; p++)
            used[u->func.at[f]->param.at[p]] = true;
}

void weights_layout(Unit *u)
{
    bool *used = NEWN(u->cx->arena, bool, u->buf.n), *done = NEWN(u->cx->arena, bool, u->buf.n);
    mark_used(u, used);
    int64_t at = 0;
    for (uint32_t f = 0; f < u->func.n; f++)
        for (uint32_t p = 0; p < u->func.at[f]->param.n; p++) {
            const uint32_t id = u->func.at[f]->param.at[p];
            Buf *b = buf(u, id);
            if (b->cls != BC_const || done[id])
                continue;
            done[id] = true;
            b->offset = b->dt == DT_str ? 0 : at;
            at = b->dt == DT_str ? at : align_up(at + b->bytes, WEIGHT_ALIGN);
        }
    u->weight_bytes = at;
}

WeightsMode weights_mode(const Unit *u, WeightsMode asked)
{
    if (asked != WM_auto)
        return asked;
    return u->weight_bytes <= ARRAY_LIMIT ? WM_array : u->weight_bytes <= STRING_LIMIT ? WM_string : WM_incbin;
}

static const char *image(const Unit *u, Arena *a)
{
    char *bytes = arena_alloc(a, (size_t)u->weight_bytes + 1, WEIGHT_ALIGN);
    for (uint32_t k = 1; k < u->buf.n; k++) {
        const Buf *b = buf(u, k);
        if (weights_stored(b) && b->dt != DT_str)
            blob_get(b->data, 0, b->data->count, bytes + b->offset);
    }
    return bytes;
}

static void banner(Out *o, const EmitOptions *opt, const char *what)
{
    ln(o, "/* %s_weights.%s - made by mlcc %s from %s. Free of any condition (0BSD). */", comment_text(o->arena, opt->file), what, opt->version, comment_text(o->arena, opt->source));
}

static char octal(unsigned char c, int shift) { return (char)('0' + (c >> shift & 7)); }

/* Rows of string literals: a compiler reads them many times faster than a list of numbers. */
static void add_string(Text *t, const char *p, size_t n)
{
    text_put(t, "    \"", 5);
    for (size_t k = 0; k < n; k++) {
        const unsigned char c = (unsigned char)p[k];
        const char digits[4] = {'\\', octal(c, 6), octal(c, 3), octal(c, 0)};
        if (c >= 32 && c < 127 && c != '"' && c != '\\' && c != '?')
            text_put(t, &p[k], 1);
        else
            text_put(t, digits, 4);
    }
    text_put(t, "\",\n", 3);
}

static void as_string(const Unit *u, const EmitOptions *opt, EmitFiles *files)
{
    Out o;
    out_init(&o, files->arena);
    const char *bytes = image(u, files->arena);
    const int64_t rows = (u->weight_bytes + ROW - 1) / ROW;
    banner(&o, opt, "c");
    ln(&o, "#include \"%s.h\"", opt->file);
    blank(&o);
    ln(&o, "extern const unsigned char %s_weights[%" PRId64 "][%d];", opt->prefix, rows, ROW);
    blank(&o);
    ln(&o, "MLCC_ALIGN(64) const unsigned char %s_weights[%" PRId64 "][%d] = {", opt->prefix, rows, ROW);
    for (int64_t r = 0; r < rows; r++)
        add_string(&o.text, bytes + r * ROW, (size_t)min_i64(ROW, u->weight_bytes - r * ROW));
    ln(&o, "};");
    PUSH(files->arena, &files->file, ((EmitFile){"_weights.c", text_str(&o.text), o.text.n}));
}

static void as_binary(const Unit *u, EmitFiles *files)
{
    PUSH(files->arena, &files->file, ((EmitFile){"_weights.bin", image(u, files->arena), (size_t)u->weight_bytes}));
}

/* GNU assembly inside C: the assembler reads the file, so the C compiler never sees the data. */
static void as_incbin(const Unit *u, const EmitOptions *opt, EmitFiles *files)
{
    Out o;
    out_init(&o, files->arena);
    banner(&o, opt, "c");
    ln(&o, "/* %s_weights.bin is looked for in the assembler's folder and include path (-Wa,-I,folder). */", comment_text(o.arena, opt->file));
    ln(&o, "#include \"%s.h\"", opt->file);
    blank(&o);
    ln(&o, "extern const unsigned char %s_weights[];", opt->prefix);
    blank(&o);
    ln(&o, "__asm__(\".section .rodata\\n\"");
    ln(&o, "        \".balign 64\\n\"");
    ln(&o, "        \".globl %s_weights\\n\"", opt->prefix);
    ln(&o, "        \".hidden %s_weights\\n\"", opt->prefix);
    ln(&o, "        \"%s_weights:\\n\"", opt->prefix);
    ln(&o, "        \".incbin \\\"%s_weights.bin\\\"\\n\"", opt->file);
    ln(&o, "        \".text\\n\");");
    PUSH(files->arena, &files->file, ((EmitFile){"_weights.c", text_str(&o.text), o.text.n}));
    as_binary(u, files);
}

void emit_weights(const Unit *u, const EmitOptions *opt, EmitFiles *files)
{
    if (!u->weight_bytes || opt->weights == WM_array)
        return;
    if (opt->weights == WM_string)
        as_string(u, opt, files);
    else if (opt->weights == WM_incbin)
        as_incbin(u, opt, files);
    else if (opt->weights == WM_object)
        weights_object(u, opt, image(u, files->arena), files);
    else
        as_binary(u, files);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Constants apart from code. All modes hold the same bytes in the same order: execution order, each tensor aligned.
 */
#include <inttypes.h>

#include "emit.h"
#include "out.h"

enum { WEIGHT_ALIGN = 64, MANY_PAGES = 32, ARRAY_LIMIT = 1 << 16, STRING_LIMIT = 1 << 23, ROW = 1024 };

/* A fill that no call needs as memory is printed as a literal by the nest builder, so its buffer is never used. */
bool weights_stored(const Buf *b)
{
    return b->cls == BC_const && b->offset >= 0 && b->bytes > 0;
}

typedef struct Ids { VEC(uint32_t) v; } Ids;

/* Constants that functions take, in the order in which they do. */
static Ids in_order(const Unit *u, Arena *a)
{
    Ids ids = {0};
    bool *done = NEWN(a, bool, u->buf.n);
    for (uint32_t f = 0; f < u->func.n; f++)
        for (uint32_t p = 0; p < u->func.at[f]->param.n; p++) {
            const uint32_t id = u->func.at[f]->param.at[p];
            if (buf(u, id)->cls == BC_const && !done[id])
                PUSH(a, &ids.v, id);
            done[id] = true;
        }
    return ids;
}

void weights_layout(Unit *u)
{
    const Ids ids = in_order(u, u->cx->arena);
    int64_t at = 0;
    for (uint32_t k = 0; k < ids.v.n; k++) {
        Buf *b = buf(u, ids.v.at[k]);
        b->offset = b->dt == DT_str ? 0 : at;
        at = b->dt == DT_str ? at : align_up(at + buf_stored_bytes(b), WEIGHT_ALIGN);
    }
    u->weight_bytes = at;
}

int32_t weights_align(const Unit *u) { return u->weight_bytes < MANY_PAGES * (int64_t)HUGE_PAGE ? WEIGHT_ALIGN : HUGE_PAGE; }

WeightsMode weights_mode(const Unit *u, WeightsMode asked)
{
    if (asked != WM_auto)
        return asked;
    return u->weight_bytes <= ARRAY_LIMIT ? WM_array : u->weight_bytes <= STRING_LIMIT ? WM_string : WM_incbin;
}

void weights_put(const void *unit, Arena *a, const Sink *to)
{
    static const char zero[WEIGHT_ALIGN];
    const Unit *u = unit;
    Arena *scratch = arena_child(a);
    const Ids ids = in_order(u, scratch);
    int64_t at = 0;
    for (uint32_t k = 0; k < ids.v.n; k++) {
        const Buf *b = buf(u, ids.v.at[k]);
        if (!weights_stored(b) || b->dt == DT_str)
            continue;
        sink_put(to, zero, (size_t)(b->offset - at));
        blob_put(buf_stored(b), scratch, to);
        at = b->offset + buf_stored_bytes(b);
    }
    sink_put(to, zero, (size_t)(u->weight_bytes - at));
    arena_free(scratch);
}

static void banner(Out *o, const EmitOptions *opt, const char *what)
{
    ln(o, "/* %s_weights.%s - made by mlcc %s from %s. Free of any condition (0BSD). */",
       comment_text(o->arena, opt->file), what, opt->version, comment_text(o->arena, opt->source));
}

/* A row of the image as a string literal: a compiler reads them many times faster than a list of numbers. */
typedef struct Spelled { char text[4]; uint8_t n; } Spelled; /* a byte in a literal */
typedef struct Rows { const Sink *to; size_t n; char row[ROW]; Spelled of[UINT8_MAX + 1]; } Rows;

static Spelled spell(unsigned char c)
{
    if (c >= 32 && c < 127 && c != '"' && c != '\\' && c != '?')
        return (Spelled){{(char)c}, 1};
    Spelled s = {{'\\'}, 4};
    for (int d = 0; d < 3; d++)
        s.text[1 + d] = (char)('0' + (c >> (6 - 3 * d) & 7));
    return s;
}

/* Four characters are written for each byte, of which those of the next take what is too much: which bytes are printable follows no rule. */
static void end_row(Rows *r)
{
    char text[4 * ROW + 16] = "    \"", *at = text + 5;
    for (size_t k = 0; k < r->n; k++) {
        const Spelled *s = &r->of[(unsigned char)r->row[k]];
        memcpy(at, s->text, sizeof s->text);
        at += s->n;
    }
    memcpy(at, "\",\n", 3);
    sink_put(r->to, text, (size_t)(at + 3 - text));
    r->n = 0;
}

static void put_rows(void *rows, const void *p, size_t n)
{
    Rows *r = rows;
    for (size_t at = 0; at < n;) {
        const size_t more = (size_t)min_i64((int64_t)(n - at), (int64_t)(ROW - r->n));
        memcpy(r->row + r->n, (const char *)p + at, more);
        r->n += more;
        at += more;
        if (r->n == ROW)
            end_row(r);
    }
}

static void put_literals(const void *unit, Arena *a, const Sink *to)
{
    Rows r = {.to = to};
    for (int c = 0; c <= UINT8_MAX; c++)
        r.of[c] = spell((unsigned char)c);
    weights_put(unit, a, &(Sink){put_rows, &r});
    if (r.n)
        end_row(&r);
}

static void as_string(const Unit *u, const EmitOptions *opt, EmitFiles *files)
{
    Out o;
    out_init(&o, files->arena);
    const int64_t rows = (u->weight_bytes + ROW - 1) / ROW;
    banner(&o, opt, "c");
    ln(&o, "#include \"%s.h\"", opt->file);
    blank(&o);
    ln(&o, "extern const unsigned char %s_weights[%" PRId64 "][%d];", opt->prefix, rows, ROW);
    blank(&o);
    ln(&o, "MLCC_ALIGN(64) const unsigned char %s_weights[%" PRId64 "][%d] = {", opt->prefix, rows, ROW);
    EmitFile f = {.suffix = "_weights.c"};
    PUSH(files->arena, &f.part, ((EmitPart){text_str(&o.text), o.text.n, put_literals, u}));
    PUSH(files->arena, &f.part, ((EmitPart){.data = "};\n", .n = 3}));
    PUSH(files->arena, &files->file, f);
}

static void as_binary(const Unit *u, EmitFiles *files)
{
    EmitFile f = {.suffix = "_weights.bin"};
    PUSH(files->arena, &f.part, ((EmitPart){"", 0, weights_put, u}));
    PUSH(files->arena, &files->file, f);
}

/* GNU assembly inside C: the assembler reads the file, so the C compiler never sees the data. */
static void as_incbin(const Unit *u, const EmitOptions *opt, EmitFiles *files)
{
    Out o;
    out_init(&o, files->arena);
    banner(&o, opt, "c");
    ln(&o, "/* %s_weights.bin is looked for in the assembler's folder and include path (-Wa,-I,folder). */",
       comment_text(o.arena, opt->file));
    ln(&o, "#include \"%s.h\"", opt->file);
    blank(&o);
    ln(&o, "extern const unsigned char %s_weights[];", opt->prefix);
    blank(&o);
    ln(&o, "__asm__(\".section .rodata\\n\"");
    ln(&o, "        \".balign %" PRId32 "\\n\"", weights_align(u));
    ln(&o, "        \".globl %s_weights\\n\"", opt->prefix);
    ln(&o, "        \".hidden %s_weights\\n\"", opt->prefix);
    ln(&o, "        \"%s_weights:\\n\"", opt->prefix);
    ln(&o, "        \".incbin \\\"%s_weights.bin\\\"\\n\"", opt->file);
    ln(&o, "        \".text\\n\");");
    emit_text(files, "_weights.c", &o.text);
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
        weights_object(u, opt, files);
    else
        as_binary(u, files);
}

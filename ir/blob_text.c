/* SPDX-License-Identifier: Apache-2.0
 *
 * Constant data as text: "(1, 2, 3)", "(fill 0)" for a fill, "(...#hash)" for what is left out. Complex elements are
 * two numbers, strings are quoted with \" \\ and \xHH. Floats have the fewest digits that read back as the same value.
 */
#include "graph.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* ---- printing ---- */

static void print_quoted(Text *out, const char *s)
{
    text_add(out, "\"");
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            text_add(out, "\\%c", *s);
        else if (*s >= ' ' && *s <= '~')
            text_add(out, "%c", *s);
        else
            text_add(out, "\\x%02X", (unsigned char)*s);
    }
    text_add(out, "\"");
}

/* The type of the parts of a complex type. */
static DType part_type(DType dt)
{
    return dt == DT_c64 ? DT_f32 : DT_f64;
}

static void print_element(Text *out, const Blob *b, int64_t k)
{
    char both[16];
    const DType part = part_type(b->dt);
    const char *s;
    switch (dtype_info(b->dt)->cls) {
    case DC_F: text_add_real(out, blob_f(b, k), b->dt != DT_f64); return;
    case DC_U: text_add(out, "%" PRIu64, (uint64_t)blob_i(b, k)); return;
    case DC_S:
        blob_get(b, k, 1, &s);
        print_quoted(out, s);
        return;
    case DC_C:
        blob_get(b, k, 1, both);
        text_add_real(out, dtype_get_f(part, both), part == DT_f32);
        text_add(out, " ");
        text_add_real(out, dtype_get_f(part, both + dtype_bytes(part)), part == DT_f32);
        return;
    default: text_add(out, "%" PRId64, blob_i(b, k)); return;
    }
}

/* Of the bytes in memory, which are little-endian (tensor_proto.c), or of the text of strings: their pointers differ. */
static uint64_t hash_data(const Blob *b)
{
    if (b->dt != DT_str) return hash_bytes(0, b->data, (size_t)b->count * dtype_bytes(b->dt));
    uint64_t h = 0;
    for (int64_t k = 0; k < b->count; k++) {
        const char *s;
        blob_get(b, k, 1, &s);
        h = hash_bytes(h, s, strlen(s));
    }
    return h;
}

/* ---- parsing ---- */

static int hex_digit(char c)
{
    const char *at = c ? strchr("0123456789ABCDEF", c) : NULL;
    return at ? (int)(at - "0123456789ABCDEF") : -1;
}

/* The character at *s of a quoted string; -1: a backslash with nothing it may stand before. */
static int quoted_char(const char **s)
{
    const char c = *(*s)++;
    if (c != '\\') return (unsigned char)c;
    if (**s == '"' || **s == '\\') return *(*s)++;
    const int high = **s == 'x' ? hex_digit((*s)[1]) : -1, low = high >= 0 ? hex_digit((*s)[2]) : -1;
    if (low < 0) return -1;
    *s += 3;
    return high * 16 + low;
}

static const char *parse_quoted(Arena *a, const char **s)
{
    Text t = {.arena = a};
    if (**s != '"') return NULL;
    ++*s;
    while (**s && **s != '"' && **s != '\n') {
        const int c = quoted_char(s);
        if (c <= 0) return NULL;
        text_put(&t, &(char){(char)c}, 1);
    }
    if (**s != '"') return NULL;
    ++*s;
    return text_str(&t);
}

static bool parse_float(const char **s, DType dt, void *at)
{
    char *end;
    const double v = strtod(*s, &end);
    if (end == *s) return false;
    *s = end;
    dtype_put_f(dt, at, v);
    return true;
}

static bool parse_int(const char **s, DType dt, void *at)
{
    char *end;
    errno = 0;
    const bool big = dt == DT_u64 && **s != '-';
    const int64_t v = big ? (int64_t)strtoull(*s, &end, 10) : strtoll(*s, &end, 10);
    if (end == *s || errno || (!big && (v < dtype_min(dt) || v > dtype_max(dt)))) return false;
    *s = end;
    dtype_put_i(dt, at, v);
    return true;
}

static bool parse_element(Arena *a, const char **s, DType dt, char *at)
{
    const DType part = part_type(dt);
    const char *text;
    *s += strspn(*s, " ");
    switch (dtype_info(dt)->cls) {
    case DC_F: return parse_float(s, dt, at);
    case DC_C: return parse_float(s, part, at) && parse_float(s, part, at + dtype_bytes(part));
    case DC_S:
        text = parse_quoted(a, s);
        memcpy(at, &text, sizeof text);
        return text != NULL;
    default: return parse_int(s, dt, at);
    }
}

static bool accept(const char **s, const char *token)
{
    const size_t n = strlen(token);
    *s += strspn(*s, " ");
    if (strncmp(*s, token, n)) return false;
    *s += n;
    return true;
}

static void print_data(Text *out, const Blob *b, int64_t inline_max)
{
    const bool all = !inline_max || b->count <= inline_max;
    if (!all) text_add(out, "...#%016" PRIx64, hash_data(b));
    for (int64_t k = 0; all && k < b->count; k++) {
        text_add(out, "%s", k ? ", " : "");
        print_element(out, b, k);
    }
}

/* Data of more than inline_max elements that is not a fill is left out; 0: none is. */
void blob_print(Text *out, const Blob *b, int64_t inline_max)
{
    text_add(out, "(");
    if (b->fill && b->count > 0) {
        text_add(out, "fill ");
        print_element(out, b, 0);
    } else if (!b->fill) {
        Arena *scratch = arena_child(out->arena);
        print_data(out, blob_held(b, scratch), inline_max);
        arena_free(scratch);
    }
    text_add(out, ")");
}

/* Reads `count` elements of type dt at *s, which ends up behind them; NULL: at the place of *error (static text). */
const Blob *blob_parse(Arena *a, const char **s, DType dt, int64_t count, const char **error)
{
    *error = "expected elements in parentheses";
    if (!accept(s, "(")) return NULL;
    Blob *b = NEW(a, Blob);
    *b = (Blob){.dt = dt, .count = count, .fill = accept(s, "fill ")};
    const int64_t n = b->fill ? 1 : count;
    *error = accept(s, "...") ? "the elements were left out of the text" : "expected more elements";
    if (count < 0 || **s == '#' || (uint64_t)n > strlen(*s)) return NULL;
    char *at = arena_alloc(a, (size_t)n * dtype_bytes(dt) + 1, 16);
    b->data = at;
    *error = "expected an element of the type";
    for (int64_t k = 0; k < n; k++, at += dtype_bytes(dt)) {
        if ((k && !accept(s, ",")) || !parse_element(a, s, dt, at)) return NULL;
    }
    *error = "expected ')'";
    return accept(s, ")") ? b : NULL;
}

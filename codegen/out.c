/* SPDX-License-Identifier: Apache-2.0
 *
 * See out.h. Numbers are printed by code that does not look at the locale's decimal point.
 */
#include <ctype.h>
#include "out.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void out_init(Out *o, Arena *a)
{
    *o = (Out){.arena = a, .text = {.arena = a}};
}

/* An empty line has no indentation. */
static void vline(Out *o, const char *fmt, va_list ap)
{
    Text *t = &o->text;
    const size_t start = t->n;
    text_add(t, "%*s", 4 * o->depth, "");
    const size_t margin = t->n;
    text_vadd(t, fmt, ap);
    if (t->n == margin)
        t->n = start;
}

static void open_brace(Out *o, bool bare)
{
    text_add(&o->text, "%*s{\n", bare ? 4 * o->depth : 1, "");
    o->depth++;
}

void ln(Out *o, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vline(o, fmt, ap);
    va_end(ap);
    text_put(&o->text, "\n", 1);
}

void open_block(Out *o, const char *fmt, ...)
{
    const size_t start = o->text.n;
    va_list ap;
    va_start(ap, fmt);
    vline(o, fmt, ap);
    va_end(ap);
    open_brace(o, o->text.n == start);
}

void close_block(Out *o, const char *tail)
{
    o->depth--;
    ln(o, "}%s", tail);
}

void blank(Out *o)
{
    text_put(&o->text, "\n", 1);
}

const char *comment_text(Arena *a, const char *s)
{
    Text t = {.arena = a};
    for (const char *p = printable(a, s); *p; p++) {
        const bool breaks =
            (p[0] == '*' && p[1] == '/') || (p[0] == '/' && p[1] == '*') || (p[0] == '?' && p[1] == '?');
        text_put(&t, p, 1);
        if (breaks)
            text_put(&t, " ", 1);
        else if (p[0] == '\\')
            text_put(&t, ".", 1);
    }
    return text_str(&t);
}

const char *ident(Arena *a, const char *s, size_t max, const char *otherwise)
{
    Text t = {.arena = a};
    for (; *s && t.n < max; s++) {
        const bool letter = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z'), digit = *s >= '0' && *s <= '9';
        if (digit && t.n == 0)
            text_put(&t, "t", 1);
        if (letter || digit)
            text_put(&t, s, 1);
        else if (t.n && t.at[t.n - 1] != '_')
            text_put(&t, "_", 1);
    }
    while (t.n && t.at[t.n - 1] == '_')
        t.n--;
    return t.n ? text_str(&t) : otherwise;
}

bool ident_char(char c) { return isalnum((unsigned char)c) || c == '_'; }

bool ident_occurs(const char *text, const char *name)
{
    const size_t n = strlen(name);
    const char *at = strstr(text, name);
    while (at && (ident_char(at[n]) || (at > text && ident_char(at[-1]))))
        at = strstr(at + n, name);
    return at;
}

bool ident_reserved(const char *s)
{
    static const char *const word[] = {
        "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern",
        "float", "for", "goto", "if", "inline", "int", "long", "register", "restrict", "return", "short", "signed",
        "sizeof", "static", "struct", "switch", "typedef", "union", "unsigned", "void", "volatile", "while", "asm",
        "bool", "true", "false", "NULL", "INFINITY", "NAN", "isnan", "isinf", "memcpy", "memset", "memmove", "exp",
        "log", "sin", "cos", "tan", "pow", "sqrt", "floor", "ceil", "rint", "round", "trunc", "fabs", "erf", "gamma",
        "j0", "j1", "jn", "y0", "y1", "yn", "index", "div", "abs", "arena", "io", "a", "w", "in", "out", "linux",
        "unix", "i386", "class", "new", "delete", "this", "template", "private", "public", "operator", "namespace",
        "and", "or", "not", "xor", "main", "errno", "assert", "signbit", "fmin", "fmax", "fma", "tanh", "sinh", "cosh",
        "asin", "acos", "atan", "remainder", "logb", "scalb", "ldexp", "frexp", "modf", "ceilf", "min", "max",
        "thread_local", "nullptr", "constexpr", "typeof", "alignas", "alignof", "static_assert"};
    for (size_t k = 0; k < COUNT(word); k++)
        if (strcmp(word[k], s) == 0)
            return true;
    return false;
}

const char *pointer_to(Arena *a, DType dt)
{
    const char *type = dtype_info(dt)->ctype;
    return str_fmt(a, "%s%s*", type, type[strlen(type) - 1] == '*' ? "" : " ");
}

const char *c_string(Arena *a, const char *s)
{
    Text t = {.arena = a};
    text_put(&t, "\"", 1);
    for (; *s; s++) {
        const unsigned char c = (unsigned char)*s;
        if (c < 32 || c > 126 || c == '"' || c == '\\' || c == '?')
            text_add(&t, "\\%03o", c);
        else
            text_put(&t, s, 1);
    }
    text_put(&t, "\"", 1);
    return text_str(&t);
}

/* printf's decimal point follows the locale; a literal's does not. */
static const char *with_point(Arena *a, const char *digits, const char *suffix)
{
    char *s = (char *)(uintptr_t)str_dup(a, digits);
    bool real = false;
    for (char *p = s; *p; p++) {
        if (*p == ',')
            *p = '.';
        real = real || *p == '.' || *p == 'e';
    }
    return str_fmt(a, "%s%s%s", s, real ? "" : ".0", suffix);
}

static const char *special(double v)
{
    if (isnan(v))
        return "NAN";
    return v > 0 ? "INFINITY" : "-INFINITY";
}

const char *f32_literal(Arena *a, double v)
{
    if (!isfinite(v))
        return special(v);
    char s[64];
    for (int digits = 1; digits <= 9; digits++) {
        (void)snprintf(s, sizeof s, "%.*g", digits, v);
        if (strtof(s, NULL) == (float)v)
            break;
    }
    return with_point(a, s, "f");
}

const char *f64_literal(Arena *a, double v)
{
    if (!isfinite(v))
        return str_fmt(a, "(double)%s", special(v));
    char s[64];
    for (int digits = 1; digits <= 17; digits++) {
        (void)snprintf(s, sizeof s, "%.*g", digits, v);
        if (strtod(s, NULL) == v)
            break;
    }
    return with_point(a, s, "");
}

const char *int_literal(Arena *a, DType dt, int64_t v)
{
    if (dt == DT_u64)
        return str_fmt(a, "UINT64_C(%" PRIu64 ")", (uint64_t)v);
    if (dt == DT_u32)
        return str_fmt(a, "%" PRIu32 "u", (uint32_t)v);
    if (v == INT64_MIN)
        return "INT64_MIN";
    if (v == INT32_MIN)
        return "INT32_MIN";
    if (v < INT32_MIN || v > INT32_MAX)
        return str_fmt(a, "INT64_C(%" PRId64 ")", v);
    return str_fmt(a, "%" PRId64, v);
}

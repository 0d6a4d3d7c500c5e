/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of runtime-min that one emitted file needs. A header is a sequence of blocks separated by blank lines (a
 * conditional from #if to its #endif is one block); a block is taken when the text uses a name that it defines, and
 * then what the block itself uses is taken too. Blocks keep the order of the headers.
 */
#include <ctype.h>

#include "emit.h"
#include "out.h"
#include "runtime_text.h"

typedef struct Block { const char *at; size_t n; bool used; } Block;
typedef struct Paste { Arena *a; VEC(Block) block; Map owner; } Paste; /* owner: name -> block number + 1 */

static bool starts(const char *line, const char *word) { return strncmp(line, word, strlen(word)) == 0; }

static size_t line_length(const char *s)
{
    const char *end = strchr(s, '\n');
    return end ? (size_t)(end - s) + 1 : strlen(s);
}

/* Lines that make no block: guards, includes. The guard is an #ifndef ..._H with its #define and the last #endif. */
static bool is_frame(const char *line, const char *rest)
{
    const size_t n = line_length(line);
    const bool guard = (starts(line, "#ifndef MLCC_") || starts(line, "#define MLCC_")) && n > 3 &&
                       line[n - 2] == 'H' && line[n - 3] == '_';
    return guard || starts(line, "#include") || (starts(line, "#endif") && *rest == 0);
}

static void define(Paste *p, const char *s, size_t n, uint32_t block)
{
    uint64_t *v = map_str(&p->owner, str_ndup(p->a, s, n), true);
    if (!*v)
        *v = block + 1;
}

/* Where a type that is defined in one line, struct { int a; } name;, has its name. */
static const char *behind_members(const char *line, size_t n)
{
    const char *open = memchr(line, '{', n), *shut = open ? memchr(open, '}', n - (size_t)(open - line)) : NULL;
    return shut ? shut : line;
}

/* Names a block defines: macros, functions (the name before the first parenthesis), types. */
static void define_line(Paste *p, const char *line, size_t n, uint32_t block)
{
    if (starts(line, "#define ") || starts(line, "# define ")) {
        const char *s = line + (line[1] == ' ' ? 9 : 8), *e;
        for (e = s; ident_char(*e); e++)
            continue;
        define(p, s, (size_t)(e - s), block);
        return;
    }
    if (!starts(line, "static ") && !starts(line, "typedef ") && line[0] != '}' && !starts(line, "enum "))
        return;
    const char stop = starts(line, "static ") ? '(' : ';', *s;
    const char *from = stop == ';' ? behind_members(line, n) : line, *e = memchr(from, stop, n - (size_t)(from - line));
    const char *attr = starts(line, "typedef ") ? strstr(line, " __attribute__") : NULL;
    if (attr && attr < line + n)
        e = attr;
    for (; e && e > line && !ident_char(e[-1]); e--)
        continue;
    for (s = e; s && s > line && ident_char(s[-1]); s--)
        continue;
    if (e && s < e)
        define(p, s, (size_t)(e - s), block);
}

static void close(Paste *p, const char *from, const char *to)
{
    while (from < to && *from == '\n')
        from++;
    if (from >= to)
        return;
    PUSH(p->a, &p->block, ((Block){.at = from, .n = (size_t)(to - from)}));
    for (const char *s = from; s < to; s += line_length(s))
        define_line(p, s, line_length(s), p->block.n - 1);
}

/* Splits one header; its first comment (what the header is) is dropped. */
static void split(Paste *p, const char *text)
{
    const char *s = strstr(text, "*/");
    s = s ? s + 2 : text;
    s += line_length(s);
    const char *from = s;
    int depth = 0;
    for (; *s; s += line_length(s)) {
        const char *next = s + line_length(s);
        if (depth == 0 && (*s == '\n' || is_frame(s, next))) {
            close(p, from, s);
            from = next;
            continue;
        }
        depth += starts(s, "#if");
        depth -= starts(s, "#endif");
    }
    close(p, from, s);
}

static void need(Paste *p, const char *text, size_t n);

static void take(Paste *p, const char *name, size_t n)
{
    const uint64_t *v = map_str(&p->owner, str_ndup(p->a, name, n), false);
    if (!v || !*v || p->block.at[*v - 1].used)
        return;
    Block *b = &p->block.at[*v - 1];
    b->used = true;
    need(p, b->at, b->n);
}

static void need(Paste *p, const char *text, size_t n)
{
    for (size_t k = 0; k < n;) {
        if (text[k] == '/' && k + 1 < n && text[k + 1] == '*') { /* a comment may speak of what is not used */
            const char *end = strstr(text + k, "*/");
            k = end ? (size_t)(end - text) + 2 : n;
            continue;
        }
        size_t e = k;
        while (e < n && ident_char(text[e]))
            e++;
        if (e > k && !isdigit((unsigned char)text[k]))
            take(p, text + k, e - k);
        k = e > k ? e : k + 1;
    }
}

static bool mentions(const char *text, const char *const *word, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (strstr(text, word[k]))
            return true;
    return false;
}

/* Standard headers that the code needs besides those of mlcc.h. */
static void standard(Text *out, const char *text)
{
    static const char *const math[] = {"f(",     "isnan(", "isinf(", "INFINITY", "NAN",    "fmod(", "pow(",
                                       "exp(",   "log(",   "log1p(", "sin(",     "cos(",   "tan(",  "sinh(",
                                       "cosh(",  "tanh(",  "erf(",   "sqrt(",    "floor(", "ceil(", "rint(",
                                       "trunc(", "fabs(",  "atan2(", "copysign("};
    static const char *const memory[] = {"memcpy(", "memset(", "memmove(", "strcmp(", "strlen("};
    if (mentions(text, math, COUNT(math)))
        text_add(out, "#include <math.h>\n");
    if (mentions(text, memory, COUNT(memory)))
        text_add(out, "#include <string.h>\n");
}

const char *paste_runtime(Arena *a, const char *text)
{
    Paste p = {.a = a, .owner = {.arena = a}};
    Text out = {.arena = a}, all = {.arena = a};
    for (int h = 0; h < RUNTIME_HEADERS; h++)
        split(&p, runtime_header[h]);
    need(&p, text, strlen(text));
    for (uint32_t k = 0; k < p.block.n; k++)
        if (p.block.at[k].used) {
            text_put(&all, p.block.at[k].at, p.block.at[k].n);
            text_put(&all, "\n", 1);
        }
    const char *code = text_str(&all);
    standard(&out, str_fmt(a, "%s%s", code, text));
    text_add(&out, "\n%s", *code ? "/* ---- from mlcc's runtime ---- */\n\n" : "");
    text_put(&out, code, all.n);
    text_add(&out, "%s", *code ? "/* ---- the model ---- */\n\n" : "");
    return text_str(&out);
}

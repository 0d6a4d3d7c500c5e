/* SPDX-License-Identifier: Apache-2.0
 *
 * Diagnostics: collected as values, printed once, as text for people or as JSON or SARIF for machines.
 *
 * The text has clang's shape: one line with file, severity, subject, message and slug; the line of the graph with the
 * operand underlined; notes and the one thing to try. Names in a message come from a model, that is from a stranger,
 * so every string is printed by way of printable(), and underlines count the columns of what was printed.
 */
#include "base.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_ERRORS = 20, MAX_COLUMNS = 200 };

static const char *const severity_name[] = {"note", "warning", "error"}; /* SARIF's levels too */

static uint32_t max_errors(const Diags *d)
{
    return d->max_errors ? d->max_errors : MAX_ERRORS;
}

/* A diagnostic beyond the limit is lent the place after the last one; its texts are not made. */
static bool is_kept(const Diags *d, const Diag *g)
{
    return g != d->list.at + d->list.n;
}

static Diag *diag_vadd(Diags *d, Severity sev, const char *slug, const char *subject, const char *fmt, va_list ap)
{
    const bool keep = sev != SEV_ERROR || d->errors < max_errors(d);
    d->errors += sev == SEV_ERROR;
    d->warnings += sev == SEV_WARNING;
    vec_reserve(d->arena, (void **)(void *)&d->list.at, &d->list.cap, d->list.n, sizeof *d->list.at);
    Diag *g = d->list.at + d->list.n;
    *g = (Diag){.sev = sev, .slug = slug, .subject = subject, .mark = -1};
    if (keep) {
        g->text = str_vfmt(d->arena, fmt, ap);
        d->list.n++;
    }
    return g;
}

/* Where the marked columns [*at, *at + *n) of the raw line are in its printable form. */
static void printed_columns(Arena *a, const Diag *g, size_t *at, size_t *n)
{
    const int64_t len = (int64_t)strlen(g->line), mark = min_i64(g->mark, len);
    const int64_t width = min_i64(max_i64(g->width, 1), len - mark);
    *at = strlen(printable(a, str_ndup(a, g->line, (size_t)mark)));
    *n = strlen(printable(a, str_ndup(a, g->line + mark, (size_t)width)));
}

/* The line, cut to a window that shows the mark when it is long, and the underline. */
static void print_line(const Diags *d, const Diag *g, Text *out)
{
    const char *line = printable(d->arena, g->line);
    size_t at = 0, n = 0;
    if (g->mark >= 0)
        printed_columns(d->arena, g, &at, &n);
    const size_t len = strlen(line), from = at > MAX_COLUMNS / 2 ? at - MAX_COLUMNS / 4 : 0;
    const size_t shown = len - from > MAX_COLUMNS ? MAX_COLUMNS : len - from;
    const char *head = from ? "..." : "";
    text_add(out, "  %s%.*s%s\n", head, (int)shown, line + from, from + shown < len ? "..." : "");
    if (g->mark < 0)
        return;
    text_add(out, "  %*s^", (int)(at - from + strlen(head)), "");
    for (size_t i = 1; i < n && at - from + i < shown; i++)
        text_put(out, "~", 1);
    text_add(out, "%s%s\n", g->label ? " " : "", g->label ? printable(d->arena, g->label) : "");
}

static void text_diag(const Diags *d, const Diag *g, Text *out)
{
    Arena *a = d->arena;
    text_add(out, "%s: %s: ", printable(a, d->file ? d->file : "mlcc"), severity_name[g->sev]);
    if (g->subject)
        text_add(out, "%s: ", printable(a, g->subject));
    text_add(out, "%s [%s]\n", printable(a, g->text), printable(a, g->slug));
    if (g->line)
        print_line(d, g, out);
    for (uint32_t i = 0; i < g->note.n; i++)
        text_add(out, "  note: %s\n", printable(a, g->note.at[i]));
    if (g->help)
        text_add(out, "  help: %s\n", printable(a, g->help));
}

static uint32_t not_shown(const Diags *d)
{
    return d->errors > max_errors(d) ? d->errors - max_errors(d) : 0;
}

static void print_text(const Diags *d, Text *out)
{
    for (uint32_t i = 0; i < d->list.n; i++)
        text_diag(d, &d->list.at[i], out);
    const uint32_t more = not_shown(d);
    if (more)
        text_add(out, "%s: note: %u more error%s not shown\n", printable(d->arena, d->file ? d->file : "mlcc"), more,
                 more > 1 ? "s" : "");
}

/* s as a JSON string. */
static void json_str(Arena *a, Text *out, const char *s)
{
    text_put(out, "\"", 1);
    for (s = printable(a, s); *s; s++) {
        if (*s == '"' || *s == '\\')
            text_put(out, "\\", 1);
        text_put(out, s, 1);
    }
    text_put(out, "\"", 1);
}

/* A member after the first of an object; left out when there is no value. */
static void json_member(Arena *a, Text *out, const char *key, const char *val)
{
    if (!val)
        return;
    text_add(out, ", \"%s\": ", key);
    json_str(a, out, val);
}

static void json_diag(const Diags *d, const Diag *g, Text *out)
{
    Arena *a = d->arena;
    text_add(out, "{\"severity\": \"%s\"", severity_name[g->sev]);
    json_member(a, out, "id", g->slug);
    json_member(a, out, "subject", g->subject);
    json_member(a, out, "message", g->text);
    json_member(a, out, "line", g->line);
    if (g->line && g->mark >= 0) {
        size_t at, n;
        printed_columns(a, g, &at, &n);
        text_add(out, ", \"column\": %zu, \"width\": %zu", at, n);
    }
    json_member(a, out, "label", g->label);
    json_member(a, out, "help", g->help);
    text_add(out, ", \"notes\": [");
    for (uint32_t i = 0; i < g->note.n; i++) {
        text_add(out, "%s", i ? ", " : "");
        json_str(a, out, g->note.at[i]);
    }
    text_add(out, "]}");
}

static void print_json(const Diags *d, Text *out)
{
    text_add(out, "{\"version\": 1");
    json_member(d->arena, out, "file", d->file);
    text_add(out, ", \"errors\": %u, \"warnings\": %u, \"diagnostics\": [", d->errors, d->warnings);
    for (uint32_t i = 0; i < d->list.n; i++) {
        text_add(out, i ? ",\n  " : "\n  ");
        json_diag(d, &d->list.at[i], out);
    }
    text_add(out, "]}\n");
}

/* A path as a URI reference: what RFC 3986 does not allow in a path is percent-encoded. */
static const char *uri(Arena *a, const char *path)
{
    Text t = {.arena = a};
    for (; *path; path++) {
        const unsigned char c = (unsigned char)*path;
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        text_add(&t, plain || (c < 128 && strchr("-._~/", c)) ? "%c" : "%%%02X", c);
    }
    return text_str(&t);
}

/* Subject, text, notes and help in one message, as SARIF has no place for them apart. */
static const char *sarif_message(Arena *a, const Diag *g)
{
    Text t = {.arena = a};
    text_add(&t, "%s%s%s", g->subject ? g->subject : "", g->subject ? ": " : "", g->text);
    for (uint32_t i = 0; i < g->note.n; i++)
        text_add(&t, "; note: %s", g->note.at[i]);
    if (g->help)
        text_add(&t, "; help: %s", g->help);
    return text_str(&t);
}

static void sarif_result(const Diags *d, const Diag *g, Text *out)
{
    Arena *a = d->arena;
    text_add(out, "{\"level\": \"%s\"", severity_name[g->sev]);
    json_member(a, out, "ruleId", g->slug);
    text_add(out, ", \"message\": {\"text\": ");
    json_str(a, out, sarif_message(a, g));
    text_add(out, "}, \"locations\": [{\"physicalLocation\": {\"artifactLocation\": {\"uri\": ");
    json_str(a, out, uri(a, d->file ? d->file : "mlcc"));
    text_add(out, "}}");
    if (g->subject) {
        text_add(out, ", \"logicalLocations\": [{\"name\": ");
        json_str(a, out, g->subject);
        text_add(out, "}]");
    }
    text_add(out, "}]}");
}

static void sarif_rules(const Diags *d, Text *out)
{
    Map seen = {.arena = d->arena};
    for (uint32_t i = 0; i < d->list.n; i++) {
        uint64_t *place = map_str(&seen, d->list.at[i].slug, true);
        if ((*place)++)
            continue;
        text_add(out, "%s{\"id\": ", seen.slot.n > 1 ? ", " : "");
        json_str(d->arena, out, d->list.at[i].slug);
        text_add(out, "}");
    }
}

static void print_sarif(const Diags *d, Text *out)
{
    text_add(out, "{\"$schema\": \"https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/"
                  "sarif-schema-2.1.0.json\", \"version\": \"2.1.0\", \"runs\": [{\n"
                  " \"tool\": {\"driver\": {\"name\": \"mlcc\", \"rules\": [");
    sarif_rules(d, out);
    text_add(out, "]}},\n \"results\": [");
    for (uint32_t i = 0; i < d->list.n; i++) {
        text_add(out, i ? ",\n  " : "\n  ");
        sarif_result(d, &d->list.at[i], out);
    }
    text_add(out, "]}]}\n");
}

/* Adds one and returns it for more: set line, mark, width, label; diag_note and diag_help add the rest. The pointer is
 * valid until the next diag_add or diag_error. slug must outlive the list; subject is not copied either. */
Diag *diag_add(Diags *d, Severity sev, const char *slug, const char *subject, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    Diag *g = diag_vadd(d, sev, slug, subject, fmt, ap);
    va_end(ap);
    return g;
}

/* An error of the whole file; false, so that a check can end with `return diag_error(...)`. */
bool diag_error(Diags *d, const char *slug, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    diag_vadd(d, SEV_ERROR, slug, NULL, fmt, ap);
    va_end(ap);
    return false;
}

void diag_note(Diags *d, Diag *g, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (is_kept(d, g))
        PUSH(d->arena, &g->note, str_vfmt(d->arena, fmt, ap));
    va_end(ap);
}

void diag_help(Diags *d, Diag *g, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (is_kept(d, g))
        g->help = str_vfmt(d->arena, fmt, ap);
    va_end(ap);
}

/* Appends all diagnostics to out in one of the formats "text", "json" (an object with an array of diagnostics; column
 * counts from 0) and "sarif" (2.1.0). Any other format is the caller's bug. */
void diag_print(const Diags *d, Text *out, const char *format)
{
    static const struct { const char *name; void (*print)(const Diags *, Text *); } formats[] = {
        {"text", print_text}, {"json", print_json}, {"sarif", print_sarif},
    };
    for (size_t i = 0; i < COUNT(formats); i++) {
        if (strcmp(format, formats[i].name) == 0) {
            formats[i].print(d, out);
            return;
        }
    }
    ICE("no diagnostics format '%s'", format);
}

/* s with every byte outside ' '..'~' written as \xHH; s itself when there is none. */
const char *printable(Arena *a, const char *s)
{
    const char *odd = s;
    while (*odd >= ' ' && *odd <= '~')
        odd++;
    if (!*odd)
        return s;
    Text t = {.arena = a};
    for (; *s; s++)
        text_add(&t, *s >= ' ' && *s <= '~' ? "%c" : "\\x%02X", (unsigned char)*s);
    return text_str(&t);
}

void ice(const char *file, int line, const char *fmt, ...)
{
    const char *slash = strrchr(file, '/');
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "mlcc: internal error at %s:%d: ", slash ? slash + 1 : file, line);
    vfprintf(stderr, fmt, ap);
    fputs("\n", stderr);
    va_end(ap);
    abort();
}

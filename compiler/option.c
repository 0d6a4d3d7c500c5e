/* SPDX-License-Identifier: Apache-2.0
 * See option.h. */
#include "option.h"
#include "files.h"
#include "warning.h"

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

typedef enum OptKind { K_FLAG, K_STR, K_INT, K_SIZE, K_LIST, K_O, K_OS } OptKind;
typedef struct OptInfo { const char *spelling; OptKind kind; size_t at; OptValue value; const char *arg, *help; } OptInfo;

static const OptInfo table[] = {
#define OPT(spelling, kind, field, value, arg, help) {spelling, K_##kind, offsetof(Options, field), OV_##value, arg, help},
#include "option.def"
#undef OPT
};

static const struct { const char *name, *arg, *help; Verb verb; } verbs[] = {
    {"check", "MODEL", "report every problem of a model, its operators, parameters and memory", VERB_check},
    {"run", "MODEL", "run a model on the reference interpreter", VERB_run},
};

bool parse_size(const char *s, int64_t *v)
{
    char *end;
    errno = 0;
    const long long n = strtoll(s, &end, 10);
    const int shift = *end == 'K' || *end == 'k' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (end == s || errno || n < 0 || end[shift != 0] || n > INT64_MAX >> shift)
        return false;
    *v = (int64_t)n << shift;
    return true;
}

/* Whether the option's argument is part of its spelling. */
static bool is_level(const OptInfo *i) { return i->kind == K_O || i->kind == K_OS; }

/* Argument joined to the spelling, or NULL when `arg` is not this option or has none joined. */
static const OptInfo *match(const char *arg, const char **joined)
{
    const OptInfo *best = NULL;
    *joined = NULL;
    for (size_t k = 0; k < COUNT(table); k++) {
        const char *s = table[k].spelling;
        const size_t n = strlen(s);
        if (strcmp(arg, s) == 0) {
            *joined = NULL;
            return &table[k];
        }
        const bool glued = table[k].arg && (s[n - 1] == '=' || n == 2) && !is_level(&table[k]);
        const bool equals = table[k].arg && s[1] == '-' && strncmp(arg, s, n) == 0 && arg[n] == '=';
        if (equals || (glued && strncmp(arg, s, n) == 0)) {
            best = &table[k];
            *joined = arg + n + equals;
        }
    }
    return best;
}

static bool set(Arena *a, Diags *d, Options *o, const OptInfo *i, const char *value)
{
    char *field = (char *)o + i->at;
    PUSH(a, &o->given, ((OptionWord){i->spelling, value, i->value}));
    switch (i->kind) {
    case K_FLAG:
        *(bool *)field = true;
        return true;
    case K_STR:
        *(const char **)(void *)field = value;
        return true;
    case K_LIST: {
        StrList *list = (StrList *)(void *)field;
        PUSH(a, &list->v, value);
        return true;
    }
    case K_O:
    case K_OS:
        *(int64_t *)(void *)field = atoi(i->arg);
        o->small = i->kind == K_OS;
        return true;
    case K_INT:
    case K_SIZE:
        if (parse_size(value, (int64_t *)(void *)field))
            return true;
        return diag_error(d, "option-value", "'%s' of %s is not a size; write bytes, or a number with K, M or G", value, i->spelling);
    }
    return false;
}

static bool operand(Diags *d, Options *o, const char *arg)
{
    for (size_t k = 0; k < COUNT(verbs) && !o->model && o->verb == VERB_compile; k++)
        if (strcmp(arg, verbs[k].name) == 0) {
            o->verb = verbs[k].verb;
            return true;
        }
    if (o->model)
        return diag_error(d, "option-model", "two models are named: '%s' and '%s'; expected one", o->model, arg);
    o->model = arg;
    return true;
}

/* The words of a command line, files of options in place. */
typedef struct Words { StrList args, file; bool unread; } Words;

static bool words(Arena *a, Diags *d, Words *w, const char *arg, int depth);

/* Options separated by white space; double quotes keep it, a backslash keeps any one character. */
static bool split_words(Arena *a, Diags *d, Words *w, const char *s, int depth)
{
    Text word = {.arena = a};
    bool quoted = false, any = false, ok = true;
    for (;; s++) {
        const bool space = *s == 0 || (!quoted && strchr(" \t\r\n", *s));
        if (*s == '\\' && s[1]) {
            text_put(&word, ++s, 1);
            any = true;
        } else if (*s == '"') {
            quoted = !quoted;
            any = true;
        } else if (!space) {
            text_put(&word, s, 1);
            any = true;
        } else if (any) {
            ok = words(a, d, w, text_str(&word), depth + 1) && ok;
            word = (Text){.arena = a};
            any = false;
        }
        if (*s == 0)
            return ok;
    }
}

static bool response(Arena *a, Diags *d, Words *w, const char *path, int depth)
{
    Text t = {.arena = a};
    if (!file_read(path, &t)) {
        w->unread = true;
        return diag_error(d, "option-file", "cannot read the options in '%s': %s", printable(a, path), strerror(errno));
    }
    if (memchr(text_str(&t), 0, t.n))
        return diag_error(d, "option-file", "cannot read the options in '%s': it holds a zero byte, so it is not text", printable(a, path));
    PUSH(a, &w->file.v, str_dup(a, path));
    return split_words(a, d, w, text_str(&t), depth);
}

static bool words(Arena *a, Diags *d, Words *w, const char *arg, int depth)
{
    if (arg[0] == '@' && arg[1]) {
        if (depth > 8)
            return diag_error(d, "option-file", "option files include each other more than 8 deep, at '%s'", arg + 1);
        return response(a, d, w, arg + 1, depth);
    }
    PUSH(a, &w->args.v, str_dup(a, arg));
    return true;
}

static bool choice(Diags *d, const char *option, const char *value, const char *allowed)
{
    const size_t n = strlen(value);
    for (const char *s = allowed; *s;) {
        const size_t m = strcspn(s, " ");
        if (m == n && strncmp(s, value, n) == 0)
            return true;
        s += m + (s[m] != 0);
    }
    return diag_error(d, "option-value", "'%s' is not a value of %s; expected one of: %s", value, option, allowed);
}

static bool limits(Diags *d, Options *o)
{
    const struct { const char *key; int64_t *value; } row[] = {
        {"mem", &o->limit.mem}, {"nodes", &o->limit.nodes}, {"elements", &o->limit.elements}, {"time", &o->limit.time},
    };
    for (const char *s = o->limits; s && *s; s += strcspn(s, ",") + (s[strcspn(s, ",")] != 0)) {
        char key[16] = "", value[32] = "";
        int64_t v = 0;
        size_t k = 0;
        const bool read = sscanf(s, "%15[a-z]=%31[0-9KMGkmg]", key, value) == 2 && parse_size(value, &v) && v > 0;
        while (k < COUNT(row) && strcmp(key, row[k].key) != 0)
            k++;
        if (!read || k == COUNT(row))
            return diag_error(d, "option-value", "'%s' of --limits cannot be read; write mem=4G,nodes=1000000,elements=4G,time=60", o->limits);
        *row[k].value = v;
    }
    return true;
}

/* Also of a command line that cannot be read the problems are said in the format that it asks for. */
static bool check_format(Diags *d, Options *o)
{
    if (choice(d, "--diagnostics-format", o->diag_format, "text json sarif"))
        return true;
    o->diag_format = "text";
    return false;
}

static bool check_regex(Diags *d, const char *option, const char *value)
{
    regex_t re;
    char why[96];
    const int error = value ? regcomp(&re, value, REG_EXTENDED | REG_NOSUB) : 0;
    if (error) {
        regerror(error, &re, why, sizeof why);
        return diag_error(d, "option-value", "'%s' of %s is no regular expression: %s", value, option, why);
    }
    if (value)
        regfree(&re);
    return true;
}

static bool check_values(Diags *d, Options *o)
{
    bool ok = choice(d, "--emit=", o->emit, "c graph te schedule nest");
    ok = choice(d, "--weights=", o->weights, "auto array string incbin object file") && ok;
    ok = choice(d, "--int-rounding=", o->rounding, "exact tflite") && ok;
    ok = choice(d, "-ffp=", o->fp, "fast strict bf16") && ok;
    ok = choice(d, "--target=", o->target, "host scalar") && ok;
    ok = check_regex(d, "-Rpass=", o->rpass) && ok;
    ok = check_regex(d, "-Rpass-missed=", o->rmissed) && ok;
    return check_format(d, o) && ok;
}

bool options_write_files(const Options *o)
{
    return o->verb == VERB_compile && !o->stop_after && strcmp(o->emit, "c") == 0;
}

FpMode options_fp(const Options *o)
{
    FpMode m = FP_fast;
    while (strcmp(fp_name(m), o->fp) != 0)
        m++;
    return m;
}

bool options_parse(Arena *a, Diags *d, int argc, char **argv, Options *o)
{
    *o = (Options){.level = 3, .max_ram = -1, .max_flash = -1, .max_stack = -1, .emit = "c", .weights = "auto", .rounding = "exact", .fp = "fast", .threads = "1", .target = "host",
                   .march = "native", .diag_format = "text", .limit = {-1, -1, -1, -1}};
    Words w = {0};
    bool ok = true;
    for (int k = 1; k < argc; k++)
        ok = words(a, d, &w, argv[k], 0) && ok;
    o->file = w.file;
    o->unread = w.unread;
    const StrList args = w.args;
    for (uint32_t k = 0; k < args.v.n; k++) {
        const char *arg = args.v.at[k], *joined;
        if (arg[0] != '-' || !arg[1]) {
            ok = operand(d, o, arg) && ok;
            continue;
        }
        const OptInfo *i = match(arg, &joined);
        if (!i) {
            ok = diag_error(d, "option-unknown", "there is no option '%s'; mlcc --help lists them", arg);
            continue;
        }
        if (i->arg && !is_level(i) && !joined && ++k == args.v.n) {
            ok = diag_error(d, "option-value", "%s needs an argument: %s", i->spelling, i->arg);
            break;
        }
        ok = set(a, d, o, i, joined ? joined : i->kind == K_FLAG || is_level(i) ? NULL : args.v.at[k]) && ok;
    }
    ok = check_values(d, o) && ok;
    ok = warnings_parse(d, o) && ok;
    ok = limits(d, o) && ok;
    if (ok && !o->model && !o->help && !o->version)
        ok = diag_error(d, "option-model", "no model is named; write: mlcc model.onnx -o model.c");
    return ok;
}

void options_help(Text *out)
{
    text_add(out, "usage: mlcc [VERB] MODEL.onnx [OPTIONS]\n\nCompiles a neural network to C.\n\nverbs:\n");
    for (size_t k = 0; k < COUNT(verbs); k++)
        text_add(out, "  %-28s %s\n", str_fmt(out->arena, "%s %s", verbs[k].name, verbs[k].arg), verbs[k].help);
    text_add(out, "\noptions:\n");
    for (size_t k = 0; k < COUNT(table); k++) {
        const bool glued = table[k].spelling[strlen(table[k].spelling) - 1] == '=';
        const char *arg = table[k].arg && !is_level(&table[k]) ? table[k].arg : "";
        text_add(out, "  %-28s %s\n", str_fmt(out->arena, "%s%s%s", table[k].spelling, *arg && !glued ? " " : "", arg), table[k].help);
    }
    text_add(out, "\nwarnings:\n");
    const char *slug, *what;
    bool on;
    for (uint32_t k = 0; warning_at(k, &slug, &what, &on); k++)
        text_add(out, "  %-28s %s%s\n", slug, what, on ? "" : " (off without -Wall)");
    text_add(out, "\nexit status: 0 ok, 1 model rejected, 2 usage, 3 input or output, 4 internal error\n");
}

static void troff(Text *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '-' || *s == '\\')
            text_put(out, "\\", 1);
        text_put(out, s, 1);
    }
}

void options_man(Text *out)
{
    text_add(out, ".TH MLCC 1\n.SH NAME\nmlcc \\- compile a neural network to C\n.SH SYNOPSIS\n.B mlcc\n[\\fIVERB\\fR] \\fIMODEL.onnx\\fR [\\fIOPTIONS\\fR]\n.SH VERBS\n");
    for (size_t k = 0; k < COUNT(verbs); k++)
        text_add(out, ".TP\n.B %s \\fI%s\\fR\n%s\n", verbs[k].name, verbs[k].arg, verbs[k].help);
    text_add(out, ".SH OPTIONS\n");
    for (size_t k = 0; k < COUNT(table); k++) {
        text_add(out, ".TP\n.B ");
        troff(out, table[k].spelling);
        text_add(out, "%s%s\n", table[k].arg && !is_level(&table[k]) ? " " : "", table[k].arg && !is_level(&table[k]) ? table[k].arg : "");
        troff(out, table[k].help);
        text_add(out, "\n");
    }
    text_add(out, ".SH WARNINGS\n");
    const char *slug, *what;
    bool on;
    for (uint32_t k = 0; warning_at(k, &slug, &what, &on); k++) {
        text_add(out, ".TP\n.B ");
        troff(out, slug);
        text_add(out, "\n%s%s\n", what, on ? "" : " (off without \\-Wall)");
    }
    text_add(out, ".SH EXIT STATUS\n0 ok, 1 model rejected, 2 usage, 3 input or output, 4 internal error\n");
}

void options_completion(Text *out, const char *shell)
{
    const bool fish = strcmp(shell, "fish") == 0, zsh = strcmp(shell, "zsh") == 0;
    if (zsh)
        text_add(out, "#compdef mlcc\n");
    text_add(out, fish ? "" : zsh ? "_arguments" : "complete -f -o plusdirs -X '!*.onnx' -W \"check run");
    for (size_t k = 0; k < COUNT(table); k++) {
        const char *s = table[k].spelling;
        if (fish)
            text_add(out, "complete -c mlcc -o '%s' -d '%s'\n", s + 1, table[k].help);
        else if (zsh)
            text_add(out, " \\\n  '%s[%s]'", s, table[k].help);
        else
            text_add(out, " %s", s);
    }
    text_add(out, fish ? "" : zsh ? " \\\n  '*:model:_files -g \"*.onnx\"'\n" : "\" mlcc\n");
}

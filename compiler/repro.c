/* SPDX-License-Identifier: Apache-2.0
 * See repro.h. Files that the model names keep their place beneath its folder; those that options name are numbered. */
#include "repro.h"
#include "files.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { MAX_COPY = 256 << 20 }; /* bytes in all */

typedef struct Repro {
    Arena *a;
    const char *folder;
    Outputs *out;
    size_t copied;
    uint32_t numbered;
    Text options;
    bool ok;
} Repro;

/* One word of the option file. */
static void word(Repro *r, const char *spelling, const char *value)
{
    text_put(&r->options, "\"", 1);
    for (int part = 0; part < 2; part++)
        for (const char *s = part ? value : spelling; *s; s++)
            text_add(&r->options, *s == '"' || *s == '\\' ? "\\%c" : "%c", *s);
    text_put(&r->options, "\"\n", 2);
}

static void add(Repro *r, const char *name, Text *t)
{
    PUSH(r->a, &r->out->file, ((OutputFile){.path = str_fmt(r->a, "%s/%s", r->folder, name), .part = emit_part(r->a, t)}));
}

static size_t size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? (size_t)st.st_size : 0;
}

static const char *whole_path(Repro *r, const char *path)
{
    char whole[PATH_MAX];
    return realpath(path, whole) ? str_dup(r->a, whole) : path;
}

/* Copies a file to `name` in the folder, or leaves it where it is. Returns what the options should call it. */
static const char *copy(Repro *r, const char *path, const char *name)
{
    Text t = {.arena = r->a};
    if (size_of(path) > MAX_COPY - r->copied)
        return whole_path(r, path);
    if (!file_read(path, &t)) {
        r->ok = false;
        return path;
    }
    r->copied += t.n;
    add(r, name, &t);
    return str_fmt(r->a, "./%s", name);
}

static const char *copy_numbered(Repro *r, const char *path)
{
    return copy(r, path, str_fmt(r->a, "%u-%s", ++r->numbered, file_base(path)));
}

/* "NAME=FILE" with FILE copied. */
static const char *copy_named(Repro *r, const char *value)
{
    const char *eq = strrchr(value, '=');
    return eq ? str_fmt(r->a, "%.*s%s", (int)(eq + 1 - value), value, copy_numbered(r, eq + 1)) : value;
}

/* The argument of an option as it is in the folder. */
static const char *translated(Repro *r, const OptionWord *w)
{
    switch (w->is) {
    case OV_none: return "";
    case OV_in_file: return copy_numbered(r, w->value);
    case OV_in_named: return copy_named(r, w->value);
    case OV_out_file: return file_base(w->value);
    case OV_out_folder: return "out";
    default: return w->value;
    }
}

static void write_options(Repro *r, const Options *o)
{
    for (uint32_t k = 0; k < o->given.n; k++) {
        const OptionWord *w = &o->given.at[k];
        const size_t n = strlen(w->spelling);
        if (w->is == OV_out_name)
            continue;
        const char *value = translated(r, w);
        const bool apart = w->value && w->spelling[n - 1] != '=' && n != 2;
        word(r, w->spelling, apart ? "" : value);
        if (apart)
            word(r, "", value);
    }
}

static bool is_bound(const Options *o, const char *path)
{
    for (uint32_t k = 0; k < o->bind.v.n; k++) {
        const char *eq = strrchr(o->bind.v.at[k], '=');
        if (eq && strcmp(eq + 1, path) == 0)
            return true;
    }
    return false;
}

/* The model, and with it the files that it names: those beneath its folder, but for the ones that options name. All of
 * them or none. Returns what to call the model. */
static const char *copy_model(Repro *r, const Options *o, const StrList *reads)
{
    const char *base = file_base(o->model);
    const size_t n = (size_t)(base - o->model);
    StrList beneath = {0};
    size_t bytes = size_of(o->model);
    for (uint32_t k = 0; k < reads->v.n; k++) {
        const char *path = reads->v.at[k];
        if (strcmp(path, o->model) == 0 || strncmp(path, n ? o->model : "./", n ? n : 2) != 0 || is_bound(o, path))
            continue;
        bytes += size_of(path);
        PUSH(r->a, &beneath.v, path);
    }
    if (bytes > MAX_COPY)
        return whole_path(r, o->model);
    for (uint32_t k = 0; k < beneath.v.n; k++)
        (void)copy(r, beneath.v.at[k], beneath.v.at[k] + (n ? n : 2));
    return copy(r, o->model, base);
}

static const char *const verb_word[] = {[VERB_compile] = NULL, [VERB_check] = "check", [VERB_run] = "run"};

bool repro_make(Arena *a, const Options *o, const StrList *reads, const char *folder, Outputs *out)
{
    Repro r = {.a = a, .folder = folder, .out = out, .options.arena = a, .ok = true};
    if (verb_word[o->verb])
        word(&r, verb_word[o->verb], "");
    word(&r, copy_model(&r, o, reads), "");
    write_options(&r, o);
    add(&r, "options", &r.options);
    return r.ok;
}

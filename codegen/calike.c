/* SPDX-License-Identifier: Apache-2.0
 *
 * The functions of a unit, those that are alike once. Two are when their texts differ in names that they declare and in
 * numbers alone: layers of one shape. What numbers differ in is passed to them.
 *
 * A name is what it was where it is declared, so giving each its place in the order of first use is a renaming without
 * collisions, and texts that are equal then mean the same. A number may be a variable of its value wherever c_number
 * marks one.
 */
#include "cgen.h"
#include "emit.h"

/* Around a number in the text of a function: '\1' and so on, by its type, and behind it. */
static const DType marked[] = {DT_f32, DT_i32, DT_i64};
enum { MARKS = COUNT(marked), NUMBER_END };

const char *c_number(CGen *g, DType dt, const char *text)
{
    for (size_t k = 0; k < MARKS; k++)
        if (marked[k] == dt)
            return str_fmt(g->a, "%c%s%c", (char)(k + 1), text, NUMBER_END);
    return text;
}

static bool is_mark(char c) { return c >= 1 && c <= MARKS; }

static const char *mark_in(const char *s)
{
    while (*s && !is_mark(*s))
        s++;
    return s;
}

static const char *type_of(const CGen *g, const char *number) { return c_type(g, marked[number[0] - 1]); }

/* ---- what functions that are alike have in common ---- */

/* Bytes of the token at s: a number with its marks, a comment, a string, a word or what C takes for one, or a character. */
static size_t token(const char *s)
{
    if (is_mark(*s))
        return (size_t)(strchr(s, NUMBER_END) + 1 - s);
    if (s[0] == '/' && s[1] == '*')
        return (size_t)(strstr(s, "*/") + 2 - s);
    if (*s == '"')
        return (size_t)(strchr(s + 1, '"') + 1 - s);
    size_t n = 0;
    while (ident_char(s[n]))
        n++;
    return n ? n : 1;
}

/* A member of a structure is called as it is. */
static bool is_member(const char *text, const char *at)
{
    return at > text && (at[-1] == '.' || (at[-1] == '>' && at - 1 > text && at[-2] == '-'));
}

/* A name by its place among those declared; place: name -> 0 as long as it has none, "" -> how many have one. */
static void add_word(Text *key, Map *place, const char *word)
{
    uint64_t *k = map_str(place, word, false);
    if (!k) {
        text_add(key, "%s", word);
        return;
    }
    if (!*k)
        *k = ++*map_str(place, "", false);
    text_add(key, "$%u", (unsigned)*k);
}

/* Numbers of `text` go to those of f, in order, and all else to the key. */
static void add_key(CText *f, Text *key, Map *place, const char *text)
{
    size_t n;
    for (const char *s = text; *s; s += n) {
        n = token(s);
        if (is_mark(*s)) {
            PUSH(key->arena, &f->number, str_ndup(key->arena, s, n - 1));
            text_put(key, s, 1);
        } else if (ident_char(*s) && !is_member(text, s)) {
            add_word(key, place, str_ndup(place->arena, s, n));
        } else if (strncmp(s, "/*", 2) != 0) {
            text_put(key, s, n);
        }
    }
}

CText c_text(const CGen *g, Arena *a, const char *params, const char *body, int64_t arrays)
{
    CText f = {.params = str_dup(a, params), .body = str_dup(a, body), .names = g->taken.slot.n, .arrays = arrays};
    Map place = {.arena = g->a};
    *map_str(&place, "", true) = 0;
    for (uint32_t k = 0; k < g->taken.slot.n; k++)
        *map_str(&place, g->taken.slot.at[k].str, true) = 0;
    Text key = {.arena = a};
    add_key(&f, &key, &place, params);
    text_put(&key, "{", 1);
    add_key(&f, &key, &place, body);
    f.key = text_str(&key);
    return f;
}

/* ---- one function for all that are alike ---- */

/* The functions with one key, in order, and what stands for each of their numbers: itself, or what is passed. */
typedef struct Alike {
    VEC(uint32_t) func;
    const char **number;
    VEC(uint32_t) passed; /* the first of the numbers that each further parameter is */
} Alike;

/* Whether numbers p and q of all functions in it are the same. */
static bool go_together(const Alike *l, const CText *of, uint32_t p, uint32_t q)
{
    for (uint32_t k = 0; k < l->func.n; k++)
        if (strcmp(of[l->func.at[k]].number.at[p], of[l->func.at[k]].number.at[q]) != 0)
            return false;
    return true;
}

static bool is_same_in_all(const Alike *l, const CText *of, uint32_t p)
{
    for (uint32_t k = 1; k < l->func.n; k++)
        if (strcmp(of[l->func.at[k]].number.at[p], of[l->func.at[0]].number.at[p]) != 0)
            return false;
    return true;
}

/* A name that the function does not have, for a further parameter. */
static const char *free_name(CGen *g, const CText *f, uint32_t *tried)
{
    const char *name;
    do
        name = str_fmt(g->a, "k%u", (unsigned)++*tried);
    while (ident_occurs(f->params, name) || ident_occurs(f->body, name));
    return name;
}

static void choose_passed(CGen *g, Alike *l, const CText *of)
{
    const CText *f = &of[l->func.at[0]];
    uint32_t tried = 0;
    l->number = NEWN(g->a, const char *, f->number.n);
    for (uint32_t p = 0; p < f->number.n; p++) {
        if (is_same_in_all(l, of, p))
            l->number[p] = f->number.at[p] + 1;
        for (uint32_t k = 0; k < l->passed.n && !l->number[p]; k++)
            if (go_together(l, of, l->passed.at[k], p))
                l->number[p] = l->number[l->passed.at[k]];
        if (l->number[p])
            continue;
        l->number[p] = free_name(g, f, &tried);
        PUSH(g->a, &l->passed, p);
    }
}

/* What calls it, and with which numbers. */
static void tell_callers(CGen *g, const Alike *l, const CText *of)
{
    for (uint32_t k = 0; k < l->func.n; k++) {
        Func *f = g->u->func.at[l->func.at[k]];
        f->code = g->u->func.at[l->func.at[0]]->name;
        f->frame_bytes = frame_bound(of[l->func.at[k]].names + l->passed.n, g->lanes > 1 ? 4 * g->lanes : 0, of[l->func.at[k]].arrays);
        for (uint32_t q = 0; q < l->passed.n; q++)
            PUSH(g->a, &f->number, of[l->func.at[k]].number.at[l->passed.at[q]] + 1);
    }
}

static void put_comment(CGen *g, const Alike *l)
{
    const Func *f = g->u->func.at[l->func.at[0]];
    Text also = {.arena = g->a};
    for (uint32_t k = 1; k < l->func.n; k++)
        text_add(&also, "%s%s", k > 1 ? ", " : "for others, too: ", g->u->func.at[l->func.at[k]]->name);
    const uint32_t lines = f->note.n + (also.n > 0);
    for (uint32_t k = 0; k < lines; k++)
        ln(g->o, "%s%s%s", k ? " * " : "/* ", k < f->note.n ? comment_text(g->a, f->note.at[k]) : text_str(&also), k + 1 == lines ? " */" : "");
}

static void put_head(CGen *g, const Alike *l, const CText *f)
{
    Text t = {.arena = g->a};
    text_add(&t, "%s", f->params);
    for (uint32_t k = 0; k < l->passed.n; k++)
        text_add(&t, "%s%s %s", t.n ? ", " : "", type_of(g, f->number.at[l->passed.at[k]]), l->number[l->passed.at[k]]);
    ln(g->o, "MLCC_APART static void %s(%s)", g->u->func.at[l->func.at[0]]->name, t.n ? text_str(&t) : "void");
}

static void put_body(CGen *g, const Alike *l, const char *body)
{
    const char *const *number = l->number;
    for (const char *s = body, *mark; *s; s = mark) {
        mark = mark_in(s);
        text_put(&g->o->text, s, (size_t)(mark - s));
        if (*mark) {
            text_add(&g->o->text, "%s", *number++);
            mark += token(mark);
        }
    }
}

static void put_alike(CGen *g, Alike *l, const CText *of)
{
    const CText *f = &of[l->func.at[0]];
    choose_passed(g, l, of);
    tell_callers(g, l, of);
    put_comment(g, l);
    put_head(g, l, f);
    put_body(g, l, f->body);
    blank(g->o);
}

void c_functions(CGen *g)
{
    CText *of = NEWN(g->a, CText, g->u->func.n);
    Alike *all = NEWN(g->a, Alike, g->u->func.n);
    Map known = {.arena = g->a};
    for (uint32_t k = 0; k < g->u->func.n; k++) {
        of[k] = c_function(g, g->u->func.at[k]);
        uint64_t *number = map_str(&known, of[k].key, true);
        *number = *number ? *number : known.slot.n;
        PUSH(g->a, &all[*number - 1].func, k);
    }
    for (uint32_t k = 0; k < known.slot.n; k++)
        put_alike(g, &all[k], of);
}

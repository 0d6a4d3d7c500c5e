/* SPDX-License-Identifier: Apache-2.0
 *
 * Attributes: those of a node, checked against the schema column of its operator's row, which also holds the defaults.
 * A schema is "name:type=default name:type! ..."; defaults of lists are separated by commas.
 */
#include "infer.h"

#include <stdlib.h>

typedef struct Schema {
    const char *name, *def; /* spans; def NULL: no default */
    int nname, ndef;
    AttrType type;
    bool required;
} Schema;

static const char *const type_names[] = {
    [AT_none] = "none", [AT_i] = "i",   [AT_f] = "f",   [AT_s] = "s",   [AT_t] = "t",
    [AT_g] = "g",       [AT_is] = "is", [AT_fs] = "fs", [AT_ss] = "ss",
};
static const char *const type_words[] = {
    [AT_none] = "nothing",
    [AT_i] = "an integer",
    [AT_f] = "a float",
    [AT_s] = "a string",
    [AT_t] = "a tensor",
    [AT_g] = "a graph",
    [AT_is] = "a list of integers",
    [AT_fs] = "a list of floats",
    [AT_ss] = "a list of strings",
};

static AttrType type_named(const char *s, size_t n)
{
    for (size_t k = 1; k < COUNT(type_names); k++) {
        if (strlen(type_names[k]) == n && !memcmp(type_names[k], s, n)) return (AttrType)k;
    }
    return AT_none;
}

/* The entry at *s, which moves behind it; false at the end. */
static bool next_schema(const OpInfo *op, const char **s, Schema *a)
{
    const char *p = *s + strspn(*s, " ");
    if (!*p) return false;
    *a = (Schema){.name = p, .nname = (int)strcspn(p, ":")};
    p += a->nname + (p[a->nname] == ':');
    const size_t n = strcspn(p, "=! ");
    a->type = type_named(p, n);
    if (a->type == AT_none) ICE("row %s: attributes '%s' at '%s'", op->name, op->attrs, p);
    p += n;
    a->required = *p == '!';
    if (*p == '=') {
        a->def = p + 1;
        a->ndef = (int)strcspn(a->def, " ");
    }
    *s = p + strcspn(p, " ");
    return true;
}

static bool find_schema(const OpInfo *op, const char *name, Schema *a)
{
    const char *s = op->attrs;
    while (next_schema(op, &s, a)) {
        if ((int)strlen(name) == a->nname && !memcmp(name, a->name, (size_t)a->nname)) return true;
    }
    return false;
}

/* The row's entry for an attribute that an operator's function asks for; asking for another type is its mistake. */
static Schema schema_of(const OpCtx *c, const char *name, AttrType type)
{
    Schema a;
    if (!find_schema(c->n->op, name, &a) || a.type != type)
        ICE("row %s has no attribute '%s' that is %s", c->n->op->name, name, type_words[type]);
    return a;
}

/* An empty list says nothing about the type of its elements. */
static bool has_type(const Attr *a, AttrType want)
{
    const bool list = a->type >= AT_is, list_wanted = want >= AT_is;
    return a->type == want || (list && list_wanted && a->n == 0);
}

/* What the operator does have, for the note of "attribute-unknown". */
static const char *schema_names(const OpCtx *c)
{
    Text t = {.arena = c->a};
    const char *s = c->n->op->attrs;
    Schema a;
    while (next_schema(c->n->op, &s, &a)) text_add(&t, "%s%.*s", t.n ? ", " : "", a.nname, a.name);
    return t.n ? text_str(&t) : "none";
}

static bool unknown(const OpCtx *c, const char *name)
{
    return op_error(c, NO_OPERAND, "attribute-unknown", "it has no attribute '%s'; there is %s", name, schema_names(c));
}

static bool check_attr(const OpCtx *c, uint16_t k)
{
    const Attr *a = &c->n->attr[k];
    Schema s;
    if (!find_schema(c->n->op, a->name, &s)) return unknown(c, a->name);
    for (uint16_t j = 0; j < k; j++) {
        if (!strcmp(c->n->attr[j].name, a->name))
            return op_error(c, NO_OPERAND, "attribute-twice", "attribute '%s' is given twice", a->name);
    }
    if (has_type(a, s.type)) return true;
    return op_error(c, NO_OPERAND, "attribute-type", "attribute '%s' is %s, expected %s", a->name, type_words[a->type],
                    type_words[s.type]);
}

static uint32_t count_items(const Schema *s)
{
    uint32_t n = s->ndef > 0;
    for (int k = 0; k < s->ndef; k++) n += s->def[k] == ',';
    return n;
}

bool check_attrs(const OpCtx *c)
{
    for (uint16_t k = 0; k < c->n->nattr; k++) {
        if (!check_attr(c, k)) return false;
    }
    const char *s = c->n->op->attrs;
    Schema a;
    while (next_schema(c->n->op, &s, &a)) {
        if (a.required && !attr_find(c, str_ndup(c->a, a.name, (size_t)a.nname)))
            return op_error(c, NO_OPERAND, "attribute-missing", "attribute '%.*s' is required", a.nname, a.name);
    }
    return true;
}

const Attr *attr_find(const OpCtx *c, const char *name)
{
    for (uint16_t k = 0; k < c->n->nattr; k++) {
        if (!strcmp(c->n->attr[k].name, name)) return &c->n->attr[k];
    }
    return NULL;
}

bool attr_has(const OpCtx *c, const char *name)
{
    Schema s;
    return attr_find(c, name) || (find_schema(c->n->op, name, &s) && s.def);
}

/* 0 when there is neither a value nor a default. */
int64_t attr_i(const OpCtx *c, const char *name)
{
    const Schema s = schema_of(c, name, AT_i);
    const Attr *a = attr_find(c, name);
    return a ? a->v.i : s.def ? strtoll(s.def, NULL, 10) : 0;
}

/* 0 when there is neither a value nor a default. */
double attr_f(const OpCtx *c, const char *name)
{
    const Schema s = schema_of(c, name, AT_f);
    const Attr *a = attr_find(c, name);
    return a ? a->v.f : s.def ? strtod(s.def, NULL) : 0;
}

/* "" when there is neither a value nor a default. */
const char *attr_s(const OpCtx *c, const char *name)
{
    const Schema s = schema_of(c, name, AT_s);
    const Attr *a = attr_find(c, name);
    return a ? a->v.s : s.def ? str_ndup(c->a, s.def, (size_t)s.ndef) : "";
}

const int64_t *attr_is(const OpCtx *c, const char *name, uint32_t *n)
{
    const Schema s = schema_of(c, name, AT_is);
    const Attr *a = attr_find(c, name);
    *n = a ? a->n : count_items(&s);
    if (a || !*n) return a && *n ? a->v.is : NULL;
    int64_t *v = NEWN(c->a, int64_t, *n);
    char *p = (char *)(uintptr_t)s.def;
    for (uint32_t k = 0; k < *n; k++, p++) v[k] = strtoll(p, &p, 10);
    return v;
}

const double *attr_fs(const OpCtx *c, const char *name, uint32_t *n)
{
    const Schema s = schema_of(c, name, AT_fs);
    const Attr *a = attr_find(c, name);
    *n = a ? a->n : count_items(&s);
    if (a || !*n) return a && *n ? a->v.fs : NULL;
    double *v = NEWN(c->a, double, *n);
    char *p = (char *)(uintptr_t)s.def;
    for (uint32_t k = 0; k < *n; k++, p++) v[k] = strtod(p, &p);
    return v;
}

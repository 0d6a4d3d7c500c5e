/* SPDX-License-Identifier: Apache-2.0
 *
 * Parsing graphs; the format is described in graph_text.h. The text may come from anyone: sizes are checked against the
 * limits and against the length of the text before memory is taken, and nesting is bounded. The first error ends it.
 */
#include "graph_text.h"

#include <errno.h>
#include <stdlib.h>

enum { MAX_DEPTH = 16 };

typedef struct Parser {
    Ctx *cx;
    Graph *g;
    const char *start, *s;
    int depth;
} Parser;

/* ---- tokens ---- */

static bool fail(const Parser *p, const char *slug, const char *fmt, ...) PRINTF(3, 4);

/* Reports an error at the place reached; always false. */
static bool fail(const Parser *p, const char *slug, const char *fmt, ...)
{
    const char *line = p->s;
    int number = 1;
    while (line > p->start && line[-1] != '\n') line--;
    for (const char *s = p->start; s < line; s++) number += *s == '\n';
    Diags *d = p->cx->diags;
    va_list ap;
    va_start(ap, fmt);
    const char *text = str_vfmt(d->arena, fmt, ap);
    va_end(ap);
    const char *subject = str_fmt(d->arena, "line %d, column %d", number, (int)(p->s - line) + 1);
    Diag *g = diag_add(d, SEV_ERROR, slug, subject, "%s", text);
    g->line = str_ndup(d->arena, line, strcspn(line, "\n"));
    g->mark = (int32_t)(p->s - line);
    g->width = 1;
    return false;
}

static void blanks(Parser *p)
{
    p->s += strspn(p->s, " \t\r");
    if (*p->s == '#') p->s += strcspn(p->s, "\n");
}

/* Blanks, comments and ends of lines. */
static void empty_lines(Parser *p)
{
    for (blanks(p); *p->s == '\n'; blanks(p)) p->s++;
}

static bool accept(Parser *p, const char *token)
{
    blanks(p);
    const size_t n = strlen(token);
    if (strncmp(p->s, token, n)) return false;
    p->s += n;
    return true;
}

/* A word that is not the beginning of a longer name. */
static bool accept_word(Parser *p, const char *word)
{
    blanks(p);
    const size_t n = strlen(word);
    if (strncmp(p->s, word, n) || is_name_char(p->s[n])) return false;
    p->s += n;
    return true;
}

static bool expect(Parser *p, const char *token)
{
    return accept(p, token) || fail(p, "text", "expected '%s'", token);
}

static bool end_line(Parser *p)
{
    blanks(p);
    return !*p->s || *p->s == '\n' || *p->s == '}' || fail(p, "text", "expected the end of the line");
}

static int hex_digit(char c)
{
    const char *at = c ? strchr("0123456789ABCDEF", c) : NULL;
    return at ? (int)(at - "0123456789ABCDEF") : -1;
}

/* The character behind a backslash at p->s, which moves behind it; -1: there is none. */
static int escaped(Parser *p)
{
    const char c = *p->s;
    if (c == '"' || c == '\\') {
        p->s++;
        return c;
    }
    const int high = c == 'x' ? hex_digit(p->s[1]) : -1, low = high >= 0 ? hex_digit(p->s[2]) : -1;
    if (low < 0) return -1;
    p->s += 3;
    return high * 16 + low;
}

/* The string in quotes at p->s; *n: its length, as it may hold NULs. */
static const char *quoted(Parser *p, uint32_t *n)
{
    Text t = {.arena = p->cx->arena};
    if (!expect(p, "\"")) return NULL;
    while (*p->s && *p->s != '"' && *p->s != '\n') {
        int c = (unsigned char)*p->s++;
        if (c == '\\' && (c = escaped(p)) < 0) {
            fail(p, "text", "expected \\\", \\\\ or \\xHH");
            return NULL;
        }
        text_put(&t, &(char){(char)c}, 1);
    }
    *n = (uint32_t)t.n;
    return expect(p, "\"") ? text_str(&t) : NULL;
}

static const char *name(Parser *p)
{
    uint32_t n = 0;
    blanks(p);
    if (*p->s == '"') {
        const char *s = quoted(p, &n);
        if (!s || strlen(s) == n) return s;
        fail(p, "text", "a name cannot hold a NUL");
        return NULL;
    }
    while (is_name_char(p->s[n])) n++;
    if (!n) {
        fail(p, "text", "expected a name");
        return NULL;
    }
    p->s += n;
    return str_ndup(p->cx->arena, p->s - n, n);
}

/* A number's text, not longer than any number is; NULL: none here. */
static const char *number(Parser *p)
{
    blanks(p);
    const size_t n = strspn(p->s, "+-.0123456789abcdefinxABCDEFX");
    if (n && n < 64) {
        p->s += n;
        return str_ndup(p->cx->arena, p->s - n, n);
    }
    fail(p, "text", "expected a number");
    return NULL;
}

static bool is_float_text(const char *s)
{
    return strpbrk(s, ".ein") != NULL;
}

static bool to_float(Parser *p, const char *s, double *v)
{
    char *end;
    *v = strtod(s, &end);
    return !*end || fail(p, "text", "expected a number, found '%s'", s);
}

static bool to_int(Parser *p, const char *s, int64_t *v)
{
    char *end;
    errno = 0;
    *v = strtoll(s, &end, 10);
    return (!*end && !errno) || fail(p, "text", "expected an integer, found '%s'", s);
}

/* ---- types and data ---- */

static const Expr *symbol(void *ctx, const char *word, size_t n)
{
    Ctx *cx = ctx;
    const char *key = str_ndup(cx->arena, word, n);
    for (uint32_t i = 0; i < cx->symbol.slot.n && !map_str(&cx->symbol, key, false); i++) {
        const Expr *e = ex_symbol_of(cx->x, (const Expr *)(uintptr_t)cx->symbol.slot.at[i].val);
        if (e && !strcmp(ex_var_info(cx->x, e)->name, key)) return e;
    }
    return graph_symbol(cx, key, 1, 0);
}

static bool no_tensor(void *ctx, const char *word, size_t n, uint32_t *ref, DType *dt, uint16_t *rank)
{
    (void)ctx, (void)word, (void)n, (void)ref, (void)dt, (void)rank;
    return false;
}

static const Expr *expression(Parser *p)
{
    const ExprScope scope = {symbol, no_tensor, DT_ix, p->cx};
    const char *error = "expected an expression";
    const Expr *e = ex_parse(p->cx->x, &p->s, &scope, &error);
    if (!e) fail(p, "text", "%s", error);
    return e;
}

static bool dimension(Parser *p, const Expr **dim)
{
    int64_t lo, hi;
    *dim = NULL;
    if (accept(p, "?")) return true;
    *dim = expression(p);
    if (!*dim) return false;
    if ((*dim)->dt != DT_ix) return fail(p, "text", "expected an index expression");
    return (ex_range(p->cx->x, *dim, &lo, &hi) && hi >= 0 && hi < INT64_MAX) ||
           fail(p, "text", "expected a dimension with an upper bound of at least 0");
}

static bool dtype(Parser *p, DType *dt)
{
    blanks(p);
    const char *at = p->s;
    *dt = DT_none;
    if (accept(p, "?")) return true;
    const char *word = name(p);
    if (!word) return false;
    *dt = dtype_by_name(word);
    if (*dt != DT_none && *dt != DT_ix) return true;
    p->s = at;
    return fail(p, "text", "expected an element type");
}

static bool shape(Parser *p, Tensor *t)
{
    if (*p->s != '[') return true; /* no blank between type and shape */
    p->s++;
    t->ranked = true;
    for (t->rank = 0; !accept(p, "]"); t->rank++) {
        if (t->rank && !expect(p, ",")) return false;
        if (t->rank == MAX_RANK) return fail(p, "text", "expected at most %d dimensions", MAX_RANK);
        if (!dimension(p, &t->dim[t->rank])) return false;
    }
    return true;
}

/* The number of elements of a constant, or of values, which the text must hold in full. */
static bool count_static(Parser *p, const Tensor *t, int64_t *n)
{
    if (!tensor_static(t)) return fail(p, "text", "expected constant dimensions before elements");
    *n = t->rank ? 0 : 1;
    for (uint8_t d = 0; d < t->rank; d++) {
        const int64_t extent = t->dim[d]->v.i;
        if (!mul_i64(d ? *n : 1, extent, n) || (uint64_t)*n > p->cx->max_elements)
            return fail(p, "text", "the tensor has more than %llu elements", (unsigned long long)p->cx->max_elements);
    }
    return true;
}

static bool values(Parser *p, Tensor *t)
{
    int64_t n;
    if (!accept(p, "<")) return true;
    if (!count_static(p, t, &n)) return false;
    if (n > MAX_VALUE) return fail(p, "text", "at most %d elements can have values", MAX_VALUE);
    t->value = NEWN(p->cx->arena, const Expr *, n);
    for (int64_t k = 0; k < n; k++) {
        if (k && !expect(p, ",")) return false;
        t->value[k] = expression(p);
        if (!t->value[k]) return false;
        if (t->value[k]->dt != DT_ix && t->value[k]->dt != t->dt)
            return fail(p, "text", "the value is not of the tensor's type");
    }
    return expect(p, ">");
}

static bool type(Parser *p, Tensor *t)
{
    return dtype(p, &t->dt) && shape(p, t) && values(p, t);
}

/* Elements in parentheses; NULL after a diagnostic. */
static const Blob *data(Parser *p, const Tensor *t)
{
    int64_t count;
    const char *error;
    if (!count_static(p, t, &count)) return NULL;
    if (t->dt == DT_none) {
        fail(p, "text", "expected an element type before elements");
        return NULL;
    }
    blanks(p);
    const bool elided = !strncmp(p->s, "(...", 4);
    const Blob *b = elided ? NULL : blob_parse(p->cx->arena, &p->s, t->dt, count, &error);
    if (elided)
        fail(p, "text-elided", "the elements of this tensor were left out of the text");
    else if (!b)
        fail(p, "text", "%s", error);
    return b;
}

/* ---- attributes ---- */

static bool graph_lines(Parser *p, Graph *g, Graph **made);

static bool string_list(Parser *p, Attr *a)
{
    VEC(const char *) v = {0};
    uint32_t n;
    a->type = AT_ss;
    do {
        const char *s = quoted(p, &n);
        if (!s) return false;
        PUSH(p->cx->arena, &v, s);
    } while (accept(p, ","));
    a->n = v.n;
    a->v.ss = v.at;
    return expect(p, "]");
}

static bool number_list(Parser *p, Attr *a)
{
    VEC(int64_t) is = {0};
    VEC(double) fs = {0};
    bool floats = false;
    do {
        int64_t i = 0;
        double f = 0;
        const char *s = number(p);
        if (!s || !to_float(p, s, &f) || (!is_float_text(s) && !to_int(p, s, &i))) return false;
        floats |= is_float_text(s);
        PUSH(p->cx->arena, &is, i);
        PUSH(p->cx->arena, &fs, f);
    } while (accept(p, ","));
    a->type = floats ? AT_fs : AT_is;
    a->n = is.n;
    if (floats)
        a->v.fs = fs.at;
    else
        a->v.is = is.at;
    return expect(p, "]");
}

static bool list(Parser *p, Attr *a)
{
    a->type = AT_is;
    if (accept(p, "]")) return true;
    blanks(p);
    return *p->s == '"' ? string_list(p, a) : number_list(p, a);
}

static bool subgraph(Parser *p, Attr *a)
{
    a->type = AT_g;
    if (p->depth == MAX_DEPTH) return fail(p, "text", "expected at most %d graphs inside each other", MAX_DEPTH);
    const char *inner = name(p);
    if (!inner || !expect(p, "{")) return false;
    p->depth++;
    const bool ok = graph_lines(p, graph_new(p->cx, inner, p->g), &a->v.g) && expect(p, "}");
    p->depth--;
    return ok;
}

static bool tensor_attr(Parser *p, Attr *a)
{
    Tensor t = {0};
    a->type = AT_t;
    if (!dtype(p, &t.dt) || !shape(p, &t)) return false;
    a->v.t.blob = data(p, &t);
    if (!a->v.t.blob) return false;
    int64_t *dim = NEWN(p->cx->arena, int64_t, t.rank);
    for (uint8_t d = 0; d < t.rank; d++) dim[d] = t.dim[d]->v.i;
    a->v.t.rank = t.rank;
    a->v.t.dim = dim;
    return true;
}

static bool number_attr(Parser *p, Attr *a)
{
    const char *s = number(p);
    if (!s) return false;
    a->type = is_float_text(s) ? AT_f : AT_i;
    return a->type == AT_f ? to_float(p, s, &a->v.f) : to_int(p, s, &a->v.i);
}

/* Whether a type and '[' stand here, so a tensor. */
static bool at_type(const Parser *p)
{
    size_t n = 0;
    while (is_name_char(p->s[n])) n++;
    return p->s[n] == '[' && dtype_by_name(str_ndup(p->cx->arena, p->s, n)) != DT_none;
}

static bool attribute(Parser *p, Attr *a)
{
    *a = (Attr){.name = name(p)};
    if (!a->name || !expect(p, "=")) return false;
    if (accept_word(p, "graph")) return subgraph(p, a);
    if (accept(p, "[")) return list(p, a);
    if (*p->s != '"') return at_type(p) ? tensor_attr(p, a) : number_attr(p, a);
    a->type = AT_s;
    a->v.s = quoted(p, &a->n);
    return a->v.s != NULL;
}

/* ---- lines ---- */

typedef struct Line {
    VEC(TensorId) in, out;
    VEC(Attr) attr;
} Line;

/* A tensor that this line defines; id 0 after a diagnostic. */
static TensorId define(Parser *p)
{
    const char *at = p->s, *text = name(p);
    if (!text || !text[0]) return (TensorId){0};
    const TensorId id = graph_tensor(p->g, text);
    const Tensor *t = tensor(p->g, id);
    if (t->kind == TK_ACT && !t->producer.i && t->dt == DT_none && !t->ranked) return id;
    p->s = at;
    fail(p, "name-twice", "'%s' is defined twice", text);
    return (TensorId){0};
}

/* Digits only: the ".." of bounds must not be taken for a part of a number. */
static bool bound(Parser *p, int64_t *v)
{
    blanks(p);
    const size_t n = strspn(p->s, "0123456789");
    const char *s = str_ndup(p->cx->arena, p->s, n);
    if (!n) return fail(p, "text", "expected a number");
    if (!to_int(p, s, v)) return false;
    p->s += n;
    return true;
}

/* "times 32 as h": the dimension h is 32 times the symbol. The user may have given it bounds, or a number. */
static bool multiple(Parser *p, const char *sym, int64_t lo, int64_t hi)
{
    int64_t times, most;
    if (!bound(p, &times) || !expect(p, "as")) return false;
    if (times < 2 || !mul_i64(hi, times, &most)) return fail(p, "text", "expected a multiple of at least 2 that stays within 64 bits");
    const char *text = name(p);
    if (!text) return false;
    Exprs *x = p->cx->x;
    const Expr *dim = graph_multiple(p->cx, text, times, lo, hi, sym), *n = ex_int(x, times);
    if (!ex_is_int(ex_mod(x, dim, n), 0)) return fail(p, "text", "the options make '%s' no multiple of %lld", text, (long long)times);
    *map_str(&p->cx->symbol, sym, true) = (uint64_t)(uintptr_t)ex_fdiv(x, dim, n);
    return true;
}

static bool sym_line(Parser *p)
{
    int64_t lo, hi;
    const char *text = name(p);
    if (!text || !bound(p, &lo) || !expect(p, "..") || !bound(p, &hi)) return false;
    if (hi < lo || hi < 1) return fail(p, "text", "expected bounds with 0 <= lower <= upper");
    if (accept_word(p, "times")) return multiple(p, text, lo, hi);
    graph_symbol(p->cx, text, lo, hi);
    return true;
}

static bool input_line(Parser *p)
{
    const TensorId id = expect(p, "%") ? define(p) : (TensorId){0};
    if (is_none(id)) return false;
    tensor(p->g, id)->kind = TK_INPUT;
    PUSH(p->cx->arena, &p->g->input, id);
    return type(p, tensor(p->g, id));
}

static bool const_line(Parser *p)
{
    const TensorId id = expect(p, "%") ? define(p) : (TensorId){0};
    if (is_none(id)) return false;
    Tensor *t = tensor(p->g, id);
    t->kind = TK_CONST;
    if (!type(p, t)) return false;
    t->data = data(p, t);
    return t->data != NULL;
}

static bool output_line(Parser *p)
{
    const char *text = expect(p, "%") ? name(p) : NULL;
    if (!text) return false;
    if (!text[0]) return fail(p, "text", "expected a name");
    PUSH(p->cx->arena, &p->g->output, graph_tensor(p->g, text));
    return true;
}

static bool results(Parser *p, Line *l)
{
    do {
        TensorId id = {0};
        if (!accept_word(p, "_")) {
            id = expect(p, "%") ? define(p) : id;
            if (is_none(id) || !type(p, tensor(p->g, id))) return false;
        }
        for (uint32_t k = 0; k < l->out.n; k++) {
            if (id.i && l->out.at[k].i == id.i)
                return fail(p, "name-twice", "'%s' is defined twice", tensor(p->g, id)->name);
        }
        PUSH(p->cx->arena, &l->out, id);
    } while (accept(p, ","));
    return expect(p, "=");
}

static const OpInfo *operator(Parser *p)
{
    blanks(p);
    const char *at = p->s, *text = name(p);
    if (!text) return NULL;
    const char *colon = strrchr(text, ':');
    const char *domain = colon ? str_ndup(p->cx->arena, text, (size_t)(colon - text)) : "";
    const OpInfo *op = op_find(domain, colon ? colon + 1 : text);
    if (op) return op;
    p->s = at;
    fail(p, "operator-unsupported", "operator '%s' is not supported", text);
    return NULL;
}

static bool operands(Parser *p, Line *l)
{
    for (;;) {
        TensorId id = {0};
        if (accept(p, "%")) {
            const char *text = name(p);
            if (!text) return false;
            id = graph_tensor(p->g, text);
        } else if (!accept_word(p, "_")) {
            return true;
        }
        PUSH(p->cx->arena, &l->in, id);
    }
}

static bool attributes(Parser *p, Line *l)
{
    Attr a;
    if (!accept(p, "{")) return true;
    do {
        if (!attribute(p, &a)) return false;
        PUSH(p->cx->arena, &l->attr, a);
    } while (accept(p, ","));
    return expect(p, "}");
}

static bool node_text(Parser *p)
{
    Line l = {0};
    if (!results(p, &l)) return false;
    const OpInfo *op = operator(p);
    if (!op || !operands(p, &l) || !attributes(p, &l)) return false;
    const char *text = accept(p, "@") ? name(p) : "";
    if (!text) return false;
    if (l.in.n > UINT16_MAX || l.out.n > OUT(0) || l.attr.n > UINT16_MAX)
        return fail(p, "text", "the node has too many operands");
    graph_node(p->g, op, text, (uint16_t)l.in.n, l.in.at, (uint16_t)l.out.n, l.out.at, (uint16_t)l.attr.n, l.attr.at);
    return true;
}

static bool one_line(Parser *p)
{
    static const struct {
        const char *word;
        bool (*parse)(Parser *);
    } lines[] = {
        {"sym", sym_line},
        {"input", input_line},
        {"const", const_line},
        {"output", output_line},
    };
    for (size_t k = 0; k < COUNT(lines); k++) {
        if (accept_word(p, lines[k].word)) return lines[k].parse(p) && end_line(p);
    }
    return node_text(p) && end_line(p);
}

/* Everything an operand or output names is defined, here or around here. */
static bool check_defined(const Graph *g)
{
    bool ok = true;
    for (uint32_t i = 1; i < graph_ntensors(g); i++) {
        const Tensor *t = tensor(g, (TensorId){i});
        if (g->parent || t->kind != TK_ACT || t->producer.i) continue;
        ok = diag_error(g->cx->diags, "name-undefined", "nothing defines '%s'", t->name);
    }
    return ok;
}

/* Lines up to the end of the text or of a subgraph. */
static bool graph_lines(Parser *p, Graph *g, Graph **made)
{
    Graph *outer = p->g;
    p->g = *made = g;
    bool ok = true;
    for (empty_lines(p); ok && *p->s && *p->s != '}'; empty_lines(p)) ok = one_line(p);
    p->g = outer;
    return ok && check_defined(g) && graph_sort(g);
}

/* The graph that text describes, its nodes in topological order; symbols that cx knows keep their bounds. */
Graph *graph_parse(Ctx *cx, const char *text)
{
    Parser p = {.cx = cx, .start = text, .s = text};
    Graph *g = NULL;
    empty_lines(&p);
    if (!accept_word(&p, "graph")) {
        fail(&p, "text", "expected 'graph'");
        return NULL;
    }
    const char *title = name(&p);
    if (!title || !end_line(&p) || !graph_lines(&p, graph_new(cx, title, NULL), &g)) return NULL;
    if (!*p.s) return g;
    fail(&p, "text", "expected the end of the text");
    return NULL;
}

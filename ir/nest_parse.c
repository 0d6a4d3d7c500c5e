/* SPDX-License-Identifier: Apache-2.0
 *
 * Units from text; the form is described in nest_text.h. Types are checked, bounds are not: that is nest_check's task.
 */
#include "nest_text.h"

#include <errno.h>
#include <stdlib.h>

#include "call.h"

enum { MAX_BUFFERS = 1 << 20, MAX_DEPTH = 200 };

typedef struct Parser {
    Ctx *cx;
    Unit *u;
    Exprs *x;
    Arena *a;
    const char *start, *s;
    Map symbol, var, buffer; /* names -> symbol, variable of the function, number of the buffer */
    int depth;
} Parser;

/* ---- tokens ---- */

/* Reports an error at the place reached; always false. */
static bool fail(const Parser *p, const char *what)
{
    const char *line = p->s;
    int number = 1;
    while (line > p->start && line[-1] != '\n')
        line--;
    for (const char *s = p->start; s < line; s++)
        number += *s == '\n';
    const int32_t column = (int32_t)(p->s - line);
    Diag *d = diag_add(p->cx->diags, SEV_ERROR, "text", str_fmt(p->cx->diags->arena, "line %d, column %d", number, column + 1), "%s", what);
    d->line = str_ndup(p->cx->diags->arena, line, strcspn(line, "\n"));
    d->mark = column;
    d->width = 1;
    return false;
}

static void blanks(Parser *p)
{
    p->s += strspn(p->s, " \t\r");
    if (*p->s == '#')
        p->s += strcspn(p->s, "\n");
}

static void empty_lines(Parser *p)
{
    for (blanks(p); *p->s == '\n'; blanks(p))
        p->s++;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* A word or punctuation that ends where it ends. */
static bool accept(Parser *p, const char *token)
{
    const size_t n = strlen(token);
    blanks(p);
    if (strncmp(p->s, token, n) != 0 || (is_word(token[n - 1]) && is_word(p->s[n])))
        return false;
    p->s += n;
    return true;
}

static bool expect(Parser *p, const char *token)
{
    return accept(p, token) || fail(p, str_fmt(p->a, "expected '%s'", token));
}

static bool end_line(Parser *p)
{
    blanks(p);
    if (*p->s && *p->s != '\n')
        return fail(p, "expected the end of the line");
    p->s += *p->s == '\n';
    return true;
}

static const char *rest_of_line(Parser *p)
{
    p->s += strspn(p->s, " ");
    const size_t n = strcspn(p->s, "\n");
    const char *text = str_ndup(p->a, p->s, n);
    p->s += n;
    return text;
}

/* NULL after a diagnostic; dots: of buffers. */
static const char *word(Parser *p, bool dots)
{
    size_t n = 0;
    blanks(p);
    while (is_word(p->s[n]) || (dots && p->s[n] == '.'))
        n++;
    p->s += n;
    if (n)
        return str_ndup(p->a, p->s - n, n);
    (void)fail(p, "expected a name");
    return NULL;
}

static bool integer(Parser *p, int64_t lo, int64_t hi, int64_t *v)
{
    char *end;
    blanks(p);
    errno = 0;
    *v = strtoll(p->s, &end, 10);
    if (end == p->s || errno || *v < lo || *v > hi)
        return fail(p, str_fmt(p->a, "expected an integer from %lld to %lld", (long long)lo, (long long)hi));
    p->s = end;
    return true;
}

static bool int32(Parser *p, int64_t lo, int32_t *v)
{
    int64_t n = 0;
    const bool ok = integer(p, lo, INT32_MAX, &n);
    *v = (int32_t)n;
    return ok;
}

static bool dtype(Parser *p, DType *dt)
{
    const char *name = word(p, false);
    *dt = name ? dtype_by_name(name) : DT_none;
    return *dt != DT_none || (name && fail(p, "expected an element type"));
}

/* ---- expressions ---- */

static const Expr *known(Map *m, const char *name)
{
    const uint64_t *e = map_str(m, name, false);
    return e ? (const Expr *)(uintptr_t)*e : NULL;
}

static const Expr *find_var(void *ctx, const char *name, size_t n)
{
    Parser *p = ctx;
    const char *s = str_ndup(p->a, name, n);
    const Expr *e = known(&p->var, s);
    return e ? e : known(&p->symbol, s);
}

static bool find_buffer(void *ctx, const char *name, size_t n, uint32_t *ref, DType *dt, uint16_t *rank)
{
    Parser *p = ctx;
    const uint64_t *id = map_str(&p->buffer, str_ndup(p->a, name, n), false);
    if (!id)
        return false;
    *ref = (uint32_t)*id;
    *dt = buf(p->u, *ref)->dt;
    *rank = buf(p->u, *ref)->rank;
    return true;
}

/* NULL after a diagnostic; of type dt unless that is DT_none. */
static const Expr *expression(Parser *p, DType dt)
{
    const ExprScope scope = {find_var, find_buffer, DT_ix, p};
    const char *error = "expected an expression";
    blanks(p);
    const Expr *e = ex_parse(p->x, &p->s, &scope, &error);
    if (e && (dt == DT_none || e->dt == dt))
        return e;
    (void)fail(p, e ? str_fmt(p->a, "expected a value of type %s", dtype_info(dt)->name) : error);
    return NULL;
}

/* Index expressions up to `close`, which is read too. */
static bool index_list(Parser *p, const char *close, const Expr **e, int most, int *n)
{
    for (*n = 0; !accept(p, close); ++*n) {
        if (*n == most)
            return fail(p, "the list is too long");
        if ((*n && !expect(p, ",")) || !(e[*n] = expression(p, DT_ix)))
            return false;
    }
    return true;
}

static bool exactly(Parser *p, const char *close, const Expr **e, int count)
{
    int n;
    return index_list(p, close, e, count, &n) && (n == count || fail(p, "the list is too short"));
}

static const Expr *variable(Parser *p, VarKind kind)
{
    const char *name = word(p, false);
    const Expr *v = name ? known(&p->var, name) : NULL;
    if (v && (VarKind)ex_var_info(p->x, v)->kind == kind)
        return v;
    if (name)
        (void)fail(p, "expected a variable of this kind that the function declares");
    return NULL;
}

/* ---- buffers ---- */

/* "_" or "%name"; false after a diagnostic. */
static bool buffer_ref(Parser *p, bool optional, uint32_t *id)
{
    *id = 0;
    if (optional && accept(p, "_"))
        return true;
    const char *name = expect(p, "%") ? word(p, true) : NULL;
    const uint64_t *at = name ? map_str(&p->buffer, name, false) : NULL;
    if (at)
        *id = (uint32_t)*at;
    return at || (name && fail(p, "this buffer is not declared"));
}

/* "%number.hint": the place for a new buffer. */
static Buf *new_buffer(Parser *p)
{
    int64_t id;
    if (!expect(p, "%"))
        return NULL;
    const char *at = p->s;
    if (!integer(p, 1, MAX_BUFFERS, &id) || !expect(p, "."))
        return NULL;
    const char *hint = word(p, false);
    while (p->u->buf.n <= id)
        PUSH(p->a, &p->u->buf, NULL);
    if (!hint || p->u->buf.at[id]) {
        (void)(hint && fail(p, "this buffer has been declared"));
        return NULL;
    }
    Buf *b = NEW(p->a, Buf);
    *b = (Buf){.name = hint, .offset = -1, .io = -1};
    p->u->buf.at[id] = b;
    *map_str(&p->buffer, str_ndup(p->a, at, (size_t)(p->s - at)), true) = (uint64_t)id;
    return b;
}

static bool buffer_class(Parser *p, Buf *b)
{
    int cls = 0;
    while (cls < (int)COUNT(buf_class_name) && !accept(p, buf_class_name[cls]))
        cls++;
    if (cls == (int)COUNT(buf_class_name))
        return fail(p, "expected input, output, const, arena or scratch");
    b->cls = (BufClass)cls;
    if (b->cls == BC_input || b->cls == BC_output)
        return int32(p, 0, &b->io);
    b->on_stack = b->cls == BC_scratch && accept(p, "stack");
    return true;
}

static bool extents(Parser *p, Buf *b)
{
    int rank;
    if (!dtype(p, &b->dt) || !expect(p, "[") || !index_list(p, "]", b->dim, MAX_RANK, &rank))
        return false;
    b->rank = (uint8_t)rank;
    for (uint8_t d = 0; d < b->rank; d++)
        b->order[d] = d;
    return true;
}

static bool order(Parser *p, Buf *b)
{
    uint32_t seen = 0;
    for (uint8_t d = 0; d < b->rank; d++) {
        int64_t v;
        if ((d && !expect(p, ",")) || !integer(p, 0, b->rank - 1, &v))
            return false;
        b->order[d] = (uint8_t)v;
        seen |= 1u << v;
    }
    return seen == (1u << b->rank) - 1 || fail(p, "expected every dimension once");
}

static bool halo(Parser *p, Buf *b)
{
    for (uint8_t d = 0; d < b->rank; d++)
        if ((d && !expect(p, ",")) || !int32(p, 0, &b->lo[d]) || !expect(p, "+") || !int32(p, 0, &b->hi[d]))
            return false;
    const char *error;
    if (!expect(p, "pad"))
        return false;
    blanks(p);
    const Blob *pad = blob_parse(p->a, &p->s, DT_f64, 1, &error);
    b->pad = pad ? blob_f(pad, 0) : 0;
    return pad || fail(p, error);
}

/* Bytes at the upper bounds must be known before the layout is made. */
static bool sized(Parser *p, const Buf *b, int64_t *count)
{
    int64_t bytes = (int64_t)dtype_bytes(b->dt), lo, hi;
    *count = 1;
    for (uint8_t d = 0; d < b->rank; d++) {
        if (!ex_range(p->x, b->dim[d], &lo, &hi) || hi < 0 || hi == INT64_MAX)
            return fail(p, "an extent has no upper bound of at least 0");
        if (!mul_i64(*count, hi, count) || !add_i64(hi, (int64_t)b->lo[d] + b->hi[d], &hi) || !mul_i64(bytes, hi, &bytes))
            return fail(p, "the buffer is larger than memory");
    }
    return true;
}

static bool lists(Parser *p, Buf *b)
{
    b->lists = b->rank == 2 ? blob_lists(p->a, b->data, b->dim[0]->v.i, b->dim[1]->v.i) : NULL;
    return b->lists || fail(p, "lists are of rows of i8");
}

static bool data(Parser *p, Buf *b, int64_t count)
{
    const char *error;
    for (uint8_t d = 0; d < b->rank; d++)
        if (!ex_is_const(b->dim[d]))
            return fail(p, "the extents of a constant are numbers");
    const bool listed = accept(p, "listed");
    blanks(p);
    b->data = blob_parse(p->a, &p->s, b->dt, count, &error);
    return b->data ? !listed || lists(p, b) : fail(p, error);
}

static bool buffer_line(Parser *p)
{
    Buf *b = new_buffer(p);
    int64_t count;
    if (!b || !buffer_class(p, b) || !extents(p, b))
        return false;
    if ((accept(p, "order") && !order(p, b)) || (accept(p, "halo") && !halo(p, b)) || !sized(p, b, &count))
        return false;
    buf_layout(p->u, b);
    if (accept(p, "at") && (!integer(p, 0, INT64_MAX - b->bytes, &b->offset) || !expect(p, "pool") || !int32(p, 0, &b->pool)))
        return false;
    if (accept(p, "alias") && !buffer_ref(p, false, &b->alias))
        return false;
    return b->cls != BC_const || data(p, b, count);
}

/* ---- statements ---- */

static bool statement(Parser *p, Nest *in);

/* Statements up to "}", which is read too. */
static bool body(Parser *p, Nest *in)
{
    if (!expect(p, "{") || !end_line(p))
        return false;
    if (++p->depth > MAX_DEPTH)
        return fail(p, "statements are nested too deeply");
    for (empty_lines(p); *p->s && *p->s != '}'; empty_lines(p))
        if (!statement(p, in))
            return false;
    p->depth--;
    return expect(p, "}");
}

static bool share(Parser *p, Share *s)
{
    s->each = 1;
    if (!integer(p, 0, MAX_SHARE_UNITS, &s->at) || !expect(p, "of") || !integer(p, 1, MAX_SHARE_UNITS, &s->of))
        return false;
    if (accept(p, "each") && !integer(p, 2, MAX_SHARE_UNITS / s->of, &s->each))
        return false;
    return !accept(p, "needed") || (integer(p, 1, MAX_SHARE_UNITS, &s->times) && expect(p, "below") && integer(p, -MAX_SHARE_UNITS, MAX_SHARE_UNITS, &s->below) &&
                                    expect(p, "above") && integer(p, -MAX_SHARE_UNITS, MAX_SHARE_UNITS, &s->above));
}

static bool for_statement(Parser *p, Nest *in)
{
    const Expr *var = variable(p, VK_INDEX);
    const Expr *lo = var && expect(p, "=") ? expression(p, DT_ix) : NULL;
    const Expr *extent = lo && expect(p, ",") ? expression(p, DT_ix) : NULL;
    if (!extent)
        return false;
    Nest *n = nest_for(p->a, in, var, lo, extent);
    for (uint8_t k = FOR_unroll; k < COUNT(for_kind_name) && n->kind == FOR_serial; k++)
        n->kind = accept(p, for_kind_name[k]) ? (ForKind)k : FOR_serial;
    if (nest_is_shared(n) && !share(p, &n->share))
        return false;
    if (n->kind == FOR_lead && (n->share.each > 1 || n->share.times))
        return fail(p, "a lead has plain units");
    return body(p, n) && end_line(p);
}

static bool if_statement(Parser *p, Nest *in)
{
    const Expr *c = expression(p, DT_bool);
    if (!c)
        return false;
    Nest *n = nest_if(p->a, in, c), *other = nest_block(p->a);
    if (!body(p, n) || (accept(p, "else") && !body(p, other)))
        return false;
    for (uint32_t k = 0; k < other->body.n; k++)
        PUSH(p->a, &n->other, other->body.at[k]);
    return end_line(p);
}

static bool let_statement(Parser *p, Nest *in)
{
    const char *name = word(p, false);
    const Expr *var = name ? known(&p->var, name) : NULL;
    if (!var)
        return name && fail(p, "the function does not declare this variable");
    const Expr *e = expect(p, "=") ? expression(p, (DType)var->dt) : NULL;
    if (e)
        nest_let(p->a, in, var, e);
    return e && end_line(p);
}

static bool set_statement(Parser *p, Nest *in)
{
    const Expr *var = variable(p, VK_REG);
    const Expr *e = var && expect(p, "=") ? expression(p, (DType)var->dt) : NULL;
    if (e)
        nest_set(p->a, in, var, e);
    return e && end_line(p);
}

static bool store(Parser *p, Store *s)
{
    if (!buffer_ref(p, false, &s->buf) || !expect(p, "[") || !exactly(p, "]", s->idx, buf(p->u, s->buf)->rank) || !expect(p, "="))
        return false;
    s->value = expression(p, buf(p->u, s->buf)->dt);
    return s->value && end_line(p);
}

static bool store_statement(Parser *p, Nest *in)
{
    Store s = {0};
    if (!store(p, &s))
        return false;
    nest_store(p->a, in, s.buf, buf(p->u, s.buf)->rank, s.idx, s.value);
    return true;
}

static bool points(Parser *p, Tile *t)
{
    do {
        if (t->np == MAX_RANK)
            return fail(p, "there are too many points");
        if (!(t->pvar[t->np] = variable(p, VK_INDEX)) || !int32(p, 1, &t->pext[t->np]))
            return false;
        t->np++;
    } while (accept(p, ","));
    return end_line(p);
}

static bool lane(Parser *p, Tile *t)
{
    t->lane = variable(p, VK_INDEX);
    if (!t->lane || !int32(p, 1, &t->lanes))
        return false;
    if (accept(p, "open") && !(t->open = expression(p, DT_ix)))
        return false;
    return end_line(p);
}

static bool domain(Parser *p, Tile *t)
{
    for (blanks(p); *p->s && *p->s != '\n'; blanks(p)) {
        if (t->nr == MAX_RANK)
            return fail(p, "there are too many reduction variables");
        if ((t->nr && !expect(p, ",")) || !(t->rvar[t->nr] = variable(p, VK_INDEX)) || !(t->rext[t->nr] = expression(p, DT_ix)))
            return false;
        t->nr++;
    }
    return end_line(p);
}

static bool fetches(Parser *p, Tile *t)
{
    VEC(Fetch) list = {0};
    while (accept(p, "fetch")) {
        Fetch f = {.far = accept(p, "far")};
        if (list.n == UINT8_MAX)
            return fail(p, "there are too many fetches");
        if (!buffer_ref(p, false, &f.buf) || !(f.at = expression(p, DT_ix)))
            return false;
        if ((accept(p, "when") && !(f.when = expression(p, DT_ix))) || !end_line(p))
            return false;
        PUSH(p->a, &list, f);
    }
    t->fetch = list.at;
    t->nfetch = (uint8_t)list.n;
    return true;
}

/* Lines behind "sum r 3": "acc a", perhaps "= init", "body e", and perhaps fetches. */
static bool reduction(Parser *p, Tile *t)
{
    if (!domain(p, t) || !expect(p, "acc") || !(t->acc = variable(p, VK_REG)))
        return false;
    if (accept(p, "=") && !(t->init = expression(p, (DType)t->acc->dt)))
        return false;
    if (!end_line(p) || !expect(p, "body"))
        return false;
    t->body = expression(p, (DType)t->acc->dt);
    return t->body && end_line(p) && fetches(p, t);
}

static RedOp reduction_name(Parser *p)
{
    for (int op = RED_sum; op <= RED_max; op++)
        if (accept(p, red_op_name[op]))
            return (RedOp)op;
    return RED_none;
}

static bool tile_stores(Parser *p, Tile *t)
{
    VEC(Store) list = {0};
    for (empty_lines(p); !accept(p, "}"); empty_lines(p)) {
        Store s = {0};
        if (list.n == UINT8_MAX)
            return fail(p, "there are too many stores");
        if (!store(p, &s))
            return false;
        PUSH(p->a, &list, s);
    }
    t->store = list.at;
    t->nstore = (uint8_t)list.n;
    return end_line(p);
}

static bool tile_statement(Parser *p, Nest *in)
{
    Tile *t = NEW(p->a, Tile);
    t->fence = accept(p, "fence");
    if (accept(p, "tail") && !int32(p, 1, &t->tail))
        return false;
    t->clipped = accept(p, "clipped");
    t->matrix = accept(p, "matrix");
    t->bypass = t->matrix && accept(p, "bypass");
    if (!expect(p, "{") || !end_line(p))
        return false;
    empty_lines(p);
    if (accept(p, "point") && !points(p, t))
        return false;
    t->across = accept(p, "across");
    if ((t->across || accept(p, "lane")) && !lane(p, t))
        return false;
    t->red = reduction_name(p);
    if ((t->red != RED_none && !reduction(p, t)) || !tile_stores(p, t))
        return false;
    nest_tile(p->a, in, t);
    return true;
}

static bool call_statement(Parser *p, Nest *in)
{
    const char *name = word(p, false);
    const CallInfo *c = name ? call_find(name) : NULL;
    if (!c)
        return name && fail(p, "there is no such function");
    Nest *n = nest_call(p->a, in, c);
    n->buf = NEWN(p->a, uint32_t, c->nin + c->nout);
    n->arg = NEWN(p->a, const Expr *, c->narg + 1);
    n->result = NEWN(p->a, const Expr *, c->nresult + 1);
    if (!expect(p, "("))
        return false;
    for (int k = 0; k < c->nin + c->nout; k++)
        if ((k && !expect(p, ",")) || !buffer_ref(p, k < c->nin, &n->buf[k]))
            return false;
    return expect(p, ";") && exactly(p, ";", n->arg, c->narg) && exactly(p, ";", n->result, c->nresult) &&
           buffer_ref(p, true, &n->scratch) && expect(p, ")") && end_line(p);
}

static bool block_statement(Parser *p, Nest *in)
{
    Nest *n = nest_block(p->a);
    PUSH(p->a, &in->body, n);
    return body(p, n) && end_line(p);
}

typedef struct Form { const char *word; bool (*parse)(Parser *p, Nest *in); } Form;

static const Form forms[] = {
    {"for", for_statement}, {"if", if_statement},     {"let", let_statement},
    {"tile", tile_statement}, {"call", call_statement}, {"block", block_statement},
};

static bool plain_statement(Parser *p, Nest *in)
{
    for (size_t k = 0; k < COUNT(forms); k++)
        if (accept(p, forms[k].word))
            return forms[k].parse(p, in);
    return *p->s == '%' ? store_statement(p, in) : set_statement(p, in);
}

static bool statement(Parser *p, Nest *in)
{
    const char *note = NULL;
    if (accept(p, "note")) {
        note = rest_of_line(p);
        empty_lines(p);
    }
    const uint32_t before = in->body.n;
    if (!plain_statement(p, in))
        return false;
    in->body.at[before]->note = note;
    return true;
}

/* ---- functions and units ---- */

static const Expr *declared(Parser *p, const char *name)
{
    int64_t lo, hi;
    if (accept(p, "<")) {
        const Expr *extent = expression(p, DT_ix);
        return extent ? ex_index(p->x, name, extent) : NULL;
    }
    if (accept(p, "any"))
        return ex_var(p->x, VK_INDEX, DT_ix, name, INT64_MIN, INT64_MAX);
    blanks(p);
    DType dt;
    if (*p->s != '-' && (*p->s < '0' || *p->s > '9'))
        return dtype(p, &dt) ? ex_var(p->x, VK_REG, dt, name, 0, 0) : NULL;
    return integer(p, INT64_MIN, INT64_MAX, &lo) && expect(p, "..") && integer(p, lo, INT64_MAX, &hi) ? ex_var(p->x, VK_INDEX, DT_ix, name, lo, hi) : NULL;
}

static bool var_line(Parser *p)
{
    do {
        const char *name = word(p, false);
        const Expr *v = name ? declared(p, name) : NULL;
        if (!v)
            return false;
        *map_str(&p->var, name, true) = (uint64_t)(uintptr_t)v;
    } while (accept(p, ","));
    return end_line(p);
}

static bool starts_function(Parser *p)
{
    return strncmp(p->s, "func ", 5) == 0;
}

/* A number for each count of parts, at most so many times the count; NULL: something is wrong. */
static int32_t *by_count(Parser *p, int64_t most)
{
    int64_t n;
    int32_t *r = NEWN(p->a, int32_t, p->u->threads.n + 1);
    for (uint32_t k = 0; k < p->u->threads.n; k++) {
        if (!integer(p, 0, min_i64(most * p->u->threads.at[k], INT32_MAX), &n))
            return NULL;
        r[k] = (int32_t)n;
    }
    return p->u->threads.n > 0 || fail(p, "parts meet, but the unit has no counts of threads") ? r : NULL;
}

/* Notes at the head are the function's; variables and scratch follow, then statements. */
static bool func_line(Parser *p)
{
    int64_t macs;
    Func *f = NEW(p->a, Func);
    f->body = nest_block(p->a);
    if (!(f->name = word(p, false)) || !expect(p, "macs") || !integer(p, 0, INT64_MAX, &macs))
        return false;
    f->split = accept(p, "split");
    if ((accept(p, "meet") && !(f->meet = by_count(p, 1))) || (accept(p, "shares") && !(f->shares = by_count(p, INT32_MAX))))
        return false;
    if (!end_line(p))
        return false;
    f->macs = (uint64_t)macs;
    PUSH(p->a, &p->u->func, f);
    p->var = (Map){.arena = p->a};
    for (empty_lines(p); accept(p, "note"); empty_lines(p)) {
        const char *note = rest_of_line(p);
        PUSH(p->a, &f->note, note);
    }
    if (accept(p, "var") && !var_line(p))
        return false;
    for (empty_lines(p); accept(p, "buf"); empty_lines(p))
        if (!buffer_line(p) || !end_line(p))
            return false;
    for (empty_lines(p); *p->s && !starts_function(p); empty_lines(p))
        if (!statement(p, f->body))
            return false;
    return true;
}

/* Where the value comes from follows from the inputs and calls (unit_finish); the words are for readers. */
static bool symbol_line(Parser *p)
{
    int64_t lo, hi, from, times = 1;
    const char *name = word(p, false), *whole = NULL;
    if (!name || !integer(p, 0, INT64_MAX, &lo) || !expect(p, "..") || !integer(p, lo, INT64_MAX, &hi))
        return false;
    if (accept(p, "times") && (!integer(p, 2, INT64_MAX / max_i64(hi, 1), &times) || !expect(p, "as") || !(whole = word(p, false))))
        return false;
    if (map_str(&p->symbol, name, false))
        return fail(p, "this symbol has been declared");
    const Expr *sym = whole ? ex_multiple(p->x, name, lo, hi, times, whole) : ex_var(p->x, VK_SYM, DT_ix, name, lo, hi);
    *map_str(&p->symbol, name, true) = (uint64_t)(uintptr_t)sym;
    if (!expect(p, "="))
        return false;
    if (accept(p, "input"))
        return integer(p, 0, INT32_MAX, &from) && integer(p, 0, MAX_RANK, &from) && end_line(p);
    return expect(p, "call") && end_line(p);
}

static bool arena_line(Parser *p)
{
    Unit *u = p->u;
    if (!integer(p, 0, INT64_MAX, &u->arena_bytes) || !expect(p, "bound") || !integer(p, 0, INT64_MAX, &u->arena_bound))
        return false;
    u->arena_optimal = accept(p, "proven");
    if (accept(p, "apart") && !integer(p, 0, INT64_MAX, &u->apart_bytes))
        return false;
    return expect(p, "align") && int32(p, 1, &u->arena_align) && end_line(p);
}

static bool threads_line(Parser *p)
{
    int32_t last = 1;
    while (!accept(p, "scratch")) {
        if (!int32(p, last + 1, &last))
            return false;
        PUSH(p->a, &p->u->threads, last);
        p->u->awake = !p->u->awake && accept(p, "awake") ? p->u->threads.n : p->u->awake;
    }
    return integer(p, 0, INT64_MAX, &p->u->part_bytes) && end_line(p);
}

static bool unit_line(Parser *p)
{
    if (accept(p, "sym"))
        return symbol_line(p);
    if (accept(p, "arena"))
        return arena_line(p);
    if (accept(p, "threads"))
        return threads_line(p);
    if (accept(p, "buf"))
        return buffer_line(p) && end_line(p);
    if (accept(p, "func"))
        return func_line(p);
    return fail(p, "expected sym, arena, threads, buf or func");
}

/* Buffers of class cls in the order of their numbers as inputs or outputs. */
static bool collect(Parser *p, BufClass cls, bool output)
{
    uint32_t count = 0;
    for (uint32_t k = 1; k < p->u->buf.n; k++)
        count += buf(p->u, k)->cls == cls;
    for (uint32_t number = 0; number < count; number++) {
        uint32_t id = 1;
        while (id < p->u->buf.n && !(buf(p->u, id)->cls == cls && buf(p->u, id)->io == (int32_t)number))
            id++;
        if (id == p->u->buf.n)
            return fail(p, "inputs and outputs are not numbered from 0");
        if (output)
            PUSH(p->a, &p->u->output, id);
        else
            PUSH(p->a, &p->u->input, id);
    }
    return true;
}

static bool complete(Parser *p)
{
    for (uint32_t k = 1; k < p->u->buf.n; k++)
        if (!buf(p->u, k))
            return fail(p, str_fmt(p->a, "buffer %u is not declared", k));
    const bool *used = unit_used(p->u);
    for (uint32_t k = 1; k < p->u->buf.n; k++) /* scratch of no function would be printed nowhere */
        if (buf(p->u, k)->cls == BC_scratch && !used[k])
            return fail(p, str_fmt(p->a, "no function uses the scratch buffer %u", k));
    return collect(p, BC_input, false) && collect(p, BC_output, true);
}

static bool has_symbol(const Unit *u, const Expr *sym)
{
    uint32_t k = 0;
    while (k < u->sym.n && u->sym.at[k] != sym)
        k++;
    return k < u->sym.n;
}

/* Every symbol declared is one of the finished unit; another would have no value, and be printed nowhere. */
static bool symbols_given(Parser *p)
{
    for (uint32_t k = 0; k < p->symbol.slot.n; k++) {
        const MapSlot *slot = &p->symbol.slot.at[k];
        if (!has_symbol(p->u, (const Expr *)(uintptr_t)slot->val))
            return fail(p, str_fmt(p->a, "no input has the extent %s and no call defines it", slot->str));
    }
    return true;
}

/* The unit that the text says, finished; NULL after a diagnostic. */
Unit *unit_parse(Ctx *cx, const char *text)
{
    Parser p = {.cx = cx, .x = cx->x, .a = cx->arena, .start = text, .s = text};
    p.symbol.arena = p.var.arena = p.buffer.arena = cx->arena;
    p.u = unit_new(cx, "", NULL);
    empty_lines(&p);
    if (!expect(&p, "unit"))
        return NULL;
    p.u->name = rest_of_line(&p);
    for (empty_lines(&p); *p.s; empty_lines(&p))
        if (!unit_line(&p))
            return NULL;
    if (!complete(&p))
        return NULL;
    unit_finish(p.u);
    return symbols_given(&p) ? p.u : NULL;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Tensor-expression programs as text; one line per symbol, given tensor, stage and output, "#" begins a comment:
 *
 *     sym N 1..512
 *     input 0 %x f32[N,3,8]
 *     const %w f32[2] (1.0, 2.0)
 *     %y f32[i:N,j:3] = sum(r:8) %x[i,j,r]                    reduce; sum, prod, min, max
 *     %z f32[i:N,j:3] = max(%y[i,j], 0f32)                    map
 *     %c f32[i:N,j:3] = scan sum(j) %z[i,j]                   scan along j
 *     %s f32[i:N] = 0f32; for(r:4) %s[r] += %v[r]             scatter: init; domain, place, = += *= min= max=, value
 *     %p i64[M] = call compress(%b; 10; M)                    tensors; arguments; extents it sets
 *     output 0 %z
 *
 * A name of a variable stands for its extent and scope: the stage. The parser gives a program with the same print.
 */
#include "call.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static const char *const red_name[] = {[RED_sum] = "sum", [RED_prod] = "prod", [RED_min] = "min", [RED_max] = "max"};
static const char *const assign_text[] = {
    [RED_none] = "=", [RED_sum] = "+=", [RED_prod] = "*=", [RED_min] = "min=", [RED_max] = "max="};

/* ---- printing ---- */

typedef struct Printer {
    Text *out;
    const Te *t;
    Exprs *x;
    Arena *a;
    Map names; /* of the stage's variables and of all symbols */
    Map text;  /* variable of the stage (its id) -> name */
    VEC(const Expr *) symbol;
} Printer;

static const char *ref_name(void *ctx, const Expr *e)
{
    const Printer *p = ctx;
    if (e->op != EX_var) return ten(p->t, e->v.ref)->name;
    const uint64_t *name = map_u64((Map *)&p->text, e->id, false);
    return name ? (const char *)(uintptr_t)*name : ex_var_info(p->x, e)->name;
}

static void print_expr(Printer *p, const Expr *e)
{
    ex_print(p->out, p->x, e, ref_name, p);
}

static void print_list(Printer *p, const Expr *const *e, int n)
{
    for (int k = 0; k < n; k++) {
        text_add(p->out, "%s", k ? "," : "");
        print_expr(p, e[k]);
    }
}

static void print_type(Printer *p, const Ten *t)
{
    text_add(p->out, "%%%s %s[", t->name, dtype_info(t->dt)->name);
    print_list(p, t->dim, t->rank);
    text_add(p->out, "]");
}

/* A name of its own within the stage. */
static const char *name_var(Printer *p, const Expr *var)
{
    const char *base = ex_var_info(p->x, var)->name, *name = base;
    for (int k = 2; map_str(&p->names, name, false); k++) name = str_fmt(p->a, "%s%d", base, k);
    map_str(&p->names, name, true);
    *map_u64(&p->text, var->id, true) = (uint64_t)(uintptr_t)name;
    return name;
}

static void print_domain(Printer *p, const Expr *const *var, const Expr *const *extent, int n)
{
    for (int k = 0; k < n; k++) {
        text_add(p->out, "%s%s:", k ? "," : "", name_var(p, var[k]));
        print_expr(p, extent[k]);
    }
}

static void print_refs(Printer *p, const uint32_t *id, int n)
{
    for (int k = 0; k < n; k++) text_add(p->out, "%s%%%s", k ? ", " : "", ten(p->t, id[k])->name);
}

static void print_call(Printer *p, const Stage *s)
{
    for (int k = 0; k < s->nout; k++) {
        text_add(p->out, "%s", k ? ", " : "");
        print_type(p, ten(p->t, s->outs[k]));
    }
    text_add(p->out, " = call %s(", s->call->name);
    print_refs(p, s->in, s->nin);
    text_add(p->out, ";%s", s->narg ? " " : "");
    print_list(p, s->arg, s->narg);
    text_add(p->out, ";%s", s->nresult ? " " : "");
    print_list(p, s->result, s->nresult);
    text_add(p->out, ")");
}

static void print_scatter(Printer *p, const Stage *s)
{
    const Ten *out = ten(p->t, s->out);
    print_expr(p, s->init);
    text_add(p->out, "; for(");
    print_domain(p, s->rvar, s->rext, s->nr);
    text_add(p->out, ") %%%s[", out->name);
    print_list(p, s->at, out->rank);
    text_add(p->out, "] %s ", assign_text[s->op]);
    print_expr(p, s->body);
}

static void print_stage(Printer *p, const Stage *s)
{
    const Ten *out = ten(p->t, s->out);
    text_add(p->out, "%%%s %s[", out->name, dtype_info(out->dt)->name);
    print_domain(p, s->var, out->dim, out->rank);
    text_add(p->out, "] = ");
    if (s->kind == ST_scatter) {
        print_scatter(p, s);
        return;
    }
    if (s->kind == ST_reduce) {
        text_add(p->out, "%s(", red_name[s->op]);
        print_domain(p, s->rvar, s->rext, s->nr);
        text_add(p->out, ") ");
    } else if (s->kind == ST_scan) {
        text_add(p->out, "scan %s(%s) ", red_name[s->op], ref_name(p, s->var[s->axis]));
    }
    print_expr(p, s->body);
}

static void note_symbol(void *ctx, const Expr *e)
{
    Printer *p = ctx;
    if (e->op != EX_var || ex_var_info(p->x, e)->kind != VK_SYM || map_u64(&p->text, e->id, false)) return;
    map_u64(&p->text, e->id, true);
    PUSH(p->a, &p->symbol, e);
}

static void note_symbols(Printer *p, const Expr *const *e, int n)
{
    for (int k = 0; k < n; k++) ex_walk(e[k], note_symbol, p);
}

static int by_age(const void *a, const void *b)
{
    const uint32_t p = (*(const Expr *const *)a)->id, q = (*(const Expr *const *)b)->id;
    return (p > q) - (p < q);
}

/* Every symbol the program mentions, the oldest first: the order of sums depends on it. */
static void print_symbols(Printer *p)
{
    for (uint32_t k = 1; k < p->t->ten.n; k++) note_symbols(p, ten(p->t, k)->dim, ten(p->t, k)->rank);
    for (uint32_t k = 0; k < p->t->stage.n; k++) {
        const Stage *s = p->t->stage.at[k];
        note_symbols(p, s->rext, s->nr);
        note_symbols(p, &s->body, s->body != NULL);
        note_symbols(p, &s->init, s->init != NULL);
        note_symbols(p, s->at, s->kind == ST_scatter ? ten(p->t, s->out)->rank : 0);
        note_symbols(p, s->arg, s->narg);
        note_symbols(p, s->result, s->nresult);
    }
    if (p->symbol.n) qsort(p->symbol.at, p->symbol.n, sizeof *p->symbol.at, by_age);
    for (uint32_t k = 0; k < p->symbol.n; k++) {
        const VarInfo *v = ex_var_info(p->x, p->symbol.at[k]);
        ex_print_symbol(p->out, v->name, v);
        text_add(p->out, "\n");
    }
}

/* Names of the stage to come: only the symbols' are taken. */
static void open_scope(Printer *p)
{
    p->text = p->names = (Map){.arena = p->a};
    for (uint32_t k = 0; k < p->symbol.n; k++) map_str(&p->names, ex_var_info(p->x, p->symbol.at[k])->name, true);
}

static void print_given(Printer *p, const Ten *t, int64_t inline_max)
{
    if (t->kind == TEN_input)
        text_add(p->out, "input %d ", t->input);
    else
        text_add(p->out, "const ");
    print_type(p, t);
    if (t->data) {
        text_add(p->out, " ");
        blob_print(p->out, t->data, inline_max);
    }
    text_add(p->out, "\n");
}

/* The whole program. Data of more than inline_max elements is left out (such text does not parse); 0: none is. */
void te_print(Text *out, const Te *t, int64_t inline_max)
{
    Printer p = {.out = out, .t = t, .x = t->cx->x, .a = out->arena};
    p.names.arena = p.text.arena = out->arena;
    print_symbols(&p);
    open_scope(&p);
    for (uint32_t k = 1; k < t->ten.n; k++) {
        if (ten(t, k)->kind != TEN_stage) print_given(&p, ten(t, k), inline_max);
    }
    for (uint32_t k = 0; k < t->stage.n; k++) {
        const Stage *s = t->stage.at[k];
        open_scope(&p);
        if (s->kind == ST_call)
            print_call(&p, s);
        else
            print_stage(&p, s);
        text_add(out, "\n");
    }
    for (uint32_t k = 1; k < t->ten.n; k++) {
        if (ten(t, k)->output >= 0) text_add(out, "output %d %%%s\n", ten(t, k)->output, ten(t, k)->name);
    }
}

/* ---- parsing ---- */

typedef struct Local {
    const char *name;
    const Expr *var;
} Local;

typedef struct Parser {
    Ctx *cx;
    Te *t;
    Exprs *x;
    Arena *a;
    const char *start, *s;
    Map symbol, tensor;        /* name -> symbol; name -> tensor id */
    Local local[2 * MAX_RANK]; /* variables of the stage being read */
    int nlocal;
} Parser;

/* Reports an error at the place reached; always false. */
static bool fail(const Parser *p, const char *what)
{
    const char *line = p->s;
    int number = 1;
    while (line > p->start && line[-1] != '\n') line--;
    for (const char *s = p->start; s < line; s++) number += *s == '\n';
    Arena *a = p->cx->diags->arena;
    const int32_t column = (int32_t)(p->s - line);
    Diag *d = diag_add(p->cx->diags, SEV_ERROR, "text", str_fmt(a, "line %d, column %d", number, (int)column + 1), "%s",
                       what);
    d->line = str_ndup(a, line, strcspn(line, "\n"));
    d->mark = column;
    d->width = 1;
    return false;
}

static void blanks(Parser *p)
{
    p->s += strspn(p->s, " \t\r");
    if (*p->s == '#') p->s += strcspn(p->s, "\n");
}

static bool accept(Parser *p, const char *token)
{
    blanks(p);
    const size_t n = strlen(token);
    if (strncmp(p->s, token, n)) return false;
    p->s += n;
    return true;
}

static bool expect(Parser *p, const char *token)
{
    return accept(p, token) || fail(p, str_fmt(p->a, "expected '%s'", token));
}

static bool is_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.';
}

/* A name, NULL after a diagnostic. dots: whether it may hold them. */
static const char *word(Parser *p, bool dots)
{
    size_t n = 0;
    blanks(p);
    while (is_name_char(p->s[n]) && (dots || p->s[n] != '.')) n++;
    if (n == 0) {
        fail(p, "expected a name");
        return NULL;
    }
    p->s += n;
    return str_ndup(p->a, p->s - n, n);
}

static bool integer(Parser *p, int64_t *v)
{
    char *end;
    blanks(p);
    errno = 0;
    *v = strtoll(p->s, &end, 10);
    if (end == p->s || errno) return fail(p, "expected an integer");
    p->s = end;
    return true;
}

static const Expr *find_var(void *ctx, const char *name, size_t n)
{
    Parser *p = ctx;
    for (int k = p->nlocal - 1; k >= 0; k--) {
        if (strlen(p->local[k].name) == n && !memcmp(p->local[k].name, name, n)) return p->local[k].var;
    }
    const uint64_t *sym = map_str(&p->symbol, str_ndup(p->a, name, n), false);
    return sym ? (const Expr *)(uintptr_t)*sym : NULL;
}

static bool find_tensor(void *ctx, const char *name, size_t n, uint32_t *ref, DType *dt, uint16_t *rank)
{
    Parser *p = ctx;
    const uint64_t *id = map_str(&p->tensor, str_ndup(p->a, name, n), false);
    if (!id) return false;
    *ref = (uint32_t)*id;
    *dt = ten(p->t, *ref)->dt;
    *rank = ten(p->t, *ref)->rank;
    return true;
}

static const Expr *expression(Parser *p)
{
    const ExprScope scope = {find_var, find_tensor, DT_ix, p};
    const char *error = "expected an expression";
    const Expr *e = ex_parse(p->x, &p->s, &scope, &error);
    if (!e) fail(p, error);
    return e;
}

static const Expr *index_expression(Parser *p)
{
    const Expr *e = expression(p);
    if (!e || e->dt == DT_ix) return e;
    fail(p, "expected an index expression");
    return NULL;
}

static const Expr *extent(Parser *p)
{
    int64_t lo, hi;
    const Expr *e = index_expression(p);
    if (!e || (ex_range(p->x, e, &lo, &hi) && hi >= 0)) return e;
    fail(p, "expected an extent with an upper bound of at least 0");
    return NULL;
}

/* Index expressions up to `close`, which is read too. */
static bool index_list(Parser *p, const char *close, const Expr **e, int most, int *n)
{
    for (*n = 0; !accept(p, close); ++*n) {
        if (*n == most) return fail(p, "the list is too long");
        if (*n && !expect(p, ",")) return false;
        if (!(e[*n] = index_expression(p))) return false;
    }
    return true;
}

/* "name:extent, .." up to `close`: variables that the rest of the stage may use. */
static bool domain(Parser *p, const char *close, const Expr **var, const Expr **ext, int *n)
{
    const int before = p->nlocal;
    for (*n = 0; !accept(p, close); ++*n) {
        if (*n == MAX_RANK) return fail(p, "there are too many dimensions");
        if (*n && !expect(p, ",")) return false;
        const char *name = word(p, false);
        if (!name || !expect(p, ":") || !(ext[*n] = extent(p))) return false;
        var[*n] = ex_index(p->x, name, ext[*n]);
        p->local[before + *n] = (Local){name, var[*n]};
    }
    p->nlocal = before + *n;
    return true;
}

static bool dtype(Parser *p, DType *dt)
{
    const char *name = word(p, false);
    if (!name) return false;
    *dt = dtype_by_name(name);
    return (*dt != DT_none && *dt != DT_ix) || fail(p, "expected an element type");
}

/* The place of a name that is new; NULL after a diagnostic. */
static const char *new_name(Parser *p)
{
    const char *name = expect(p, "%") ? word(p, true) : NULL;
    if (!name || !map_str(&p->tensor, name, false)) return name;
    fail(p, "this tensor has been defined");
    return NULL;
}

static uint32_t add_tensor(Parser *p, const char *name, DType dt, TenKind kind, int rank, const Expr *const *dim)
{
    const uint32_t id = te_tensor(p->t, name, dt, kind, (uint8_t)rank, dim);
    *map_str(&p->tensor, name, true) = id;
    return id;
}

/* "%name type[extents]"; 0 after a diagnostic. */
static uint32_t plain_tensor(Parser *p, TenKind kind)
{
    const Expr *dim[MAX_RANK];
    const char *name = new_name(p);
    DType dt;
    int rank;
    if (!name || !dtype(p, &dt) || !expect(p, "[") || !index_list(p, "]", dim, MAX_RANK, &rank)) return 0;
    int64_t lo, hi;
    for (int k = 0; k < rank; k++) {
        if (ex_range(p->x, dim[k], &lo, &hi) && hi >= 0) continue;
        fail(p, "an extent has no upper bound of at least 0");
        return 0;
    }
    return add_tensor(p, name, dt, kind, rank, dim);
}

static bool symbol_line(Parser *p)
{
    int64_t lo, hi;
    const char *name = word(p, false);
    if (!name || !integer(p, &lo) || !expect(p, "..") || !integer(p, &hi)) return false;
    if (lo > hi || lo < 0) return fail(p, "expected bounds in order, from 0");
    uint64_t *sym = map_str(&p->symbol, name, true);
    if (!accept(p, "times")) {
        *sym = (uint64_t)(uintptr_t)ex_var(p->x, VK_SYM, DT_ix, name, lo, hi);
        return true;
    }
    int64_t times, most;
    if (!integer(p, &times) || !expect(p, "as")) return false;
    if (times < 2 || !mul_i64(hi, times, &most)) return fail(p, "expected a multiple of at least 2 that stays within 64 bits");
    const char *whole = word(p, false);
    *sym = whole ? (uint64_t)(uintptr_t)ex_multiple(p->x, name, lo, hi, times, whole) : 0;
    return whole != NULL;
}

static bool input_line(Parser *p)
{
    int64_t number;
    if (!integer(p, &number)) return false;
    const uint32_t id = plain_tensor(p, TEN_input);
    if (id) ten(p->t, id)->input = (int32_t)number;
    return id != 0;
}

static bool const_line(Parser *p)
{
    const uint32_t id = plain_tensor(p, TEN_const);
    int64_t n = 1;
    if (!id) return false;
    const Ten *t = ten(p->t, id);
    for (int k = 0; k < t->rank; k++) {
        if (!ex_is_const(t->dim[k]) || !mul_i64(n, t->dim[k]->v.i, &n)) return fail(p, "expected constant extents");
    }
    const char *error;
    ten(p->t, id)->data = blob_parse(p->a, &p->s, t->dt, n, &error);
    return t->data || fail(p, error);
}

/* The name of a tensor that has been defined, behind its sigil. */
static bool known_tensor(Parser *p, uint32_t *id)
{
    const char *name = word(p, true);
    const uint64_t *known = name ? map_str(&p->tensor, name, false) : NULL;
    if (known) *id = (uint32_t)*known;
    return known || (name && fail(p, "this tensor has not been defined"));
}

static bool output_line(Parser *p)
{
    int64_t number;
    if (!integer(p, &number) || !expect(p, "%")) return false;
    uint32_t id;
    if (!known_tensor(p, &id)) return false;
    ten(p->t, id)->output = (int32_t)number;
    return true;
}

/* ---- stages ---- */

/* "sum(" and so on; RED_none when none stands here. */
static RedOp reduction(Parser *p)
{
    for (int op = RED_sum; op <= RED_max; op++) {
        const char *before = p->s;
        const size_t n = strlen(red_name[op]);
        blanks(p);
        if (!strncmp(p->s, red_name[op], n) && p->s[n] == '(') {
            p->s += n + 1;
            return (RedOp)op;
        }
        p->s = before;
    }
    return RED_none;
}

/* Whether "(name:" follows a reduction's name; min(a,b) and max(a,b) are expressions. */
static bool at_domain(const char *s)
{
    s += strspn(s, " ");
    if (*s == ')') return true;
    while (isalnum((unsigned char)*s) || *s == '_') s++;
    return *s == ':';
}

static bool body(Parser *p, Stage *s)
{
    s->body = expression(p);
    return s->body != NULL;
}

static bool scan_stage(Parser *p, Stage *s, int rank)
{
    s->kind = ST_scan;
    s->op = reduction(p);
    if (s->op == RED_none) return fail(p, "expected sum, prod, min or max");
    const char *name = word(p, false);
    if (!name) return false;
    const Expr *var = find_var(p, name, strlen(name));
    int axis = 0;
    while (axis < rank && s->var[axis] != var) axis++;
    if (axis == rank) return fail(p, "expected a variable of the tensor");
    s->axis = (uint8_t)axis;
    return expect(p, ")") && body(p, s);
}

static bool assignment(Parser *p, RedOp *op)
{
    for (*op = RED_none; *op <= RED_max; ++*op) {
        if (accept(p, assign_text[*op])) return true;
    }
    return fail(p, "expected =, +=, *=, min= or max=");
}

/* Behind "init;": "for(domain) %name[place] op body". */
static bool scatter_rest(Parser *p, Stage *s, const char *name, int rank)
{
    int nr, nat;
    s->kind = ST_scatter;
    s->init = s->body;
    p->nlocal = 0;
    if (!expect(p, "for") || !expect(p, "(") || !domain(p, ")", s->rvar, s->rext, &nr)) return false;
    s->nr = (uint8_t)nr;
    if (!expect(p, "%")) return false;
    const char *again = word(p, true);
    if (!again) return false;
    if (strcmp(again, name)) return fail(p, "expected the tensor that the stage defines");
    if (!expect(p, "[") || !index_list(p, "]", s->at, MAX_RANK, &nat)) return false;
    if (nat != rank) return fail(p, "expected one index for each dimension");
    return assignment(p, &s->op) && body(p, s);
}

static bool right_side(Parser *p, Stage *s, const char *name, int rank)
{
    int nr;
    const char *before = p->s;
    if (accept(p, "scan ")) return scan_stage(p, s, rank);
    s->op = reduction(p);
    if (s->op != RED_none && at_domain(p->s)) {
        s->kind = ST_reduce;
        if (!domain(p, ")", s->rvar, s->rext, &nr)) return false;
        s->nr = (uint8_t)nr;
        return body(p, s);
    }
    p->s = before;
    s->op = RED_none;
    return body(p, s) && (!accept(p, ";") || scatter_rest(p, s, name, rank));
}

/* "%name type[domain] = ..": the name is known only behind the stage, which cannot read its own tensor. */
static bool plain_stage(Parser *p)
{
    Stage s = {.kind = ST_map};
    const Expr *dim[MAX_RANK];
    const char *name = new_name(p);
    DType dt;
    int rank;
    p->nlocal = 0;
    if (!name || !dtype(p, &dt) || !expect(p, "[") || !domain(p, "]", s.var, dim, &rank)) return false;
    if (!expect(p, "=") || !right_side(p, &s, name, rank)) return false;
    s.out = add_tensor(p, name, dt, TEN_stage, rank, dim);
    te_stage(p->t, &s);
    return true;
}

static bool call_operands(Parser *p, Stage *s)
{
    s->in = NEWN(p->a, uint32_t, s->call->nin);
    s->nin = s->call->nin;
    for (int k = 0; k < s->nin; k++) {
        if ((k && !expect(p, ",")) || !expect(p, "%")) return false;
        if (!known_tensor(p, &s->in[k])) return false;
    }
    return expect(p, ";");
}

/* "%a type[extents], .. = call name(tensors; arguments; extents)" */
static bool call_stage(Parser *p)
{
    Stage s = {.kind = ST_call};
    VEC(uint32_t) outs = {0};
    int n;
    do {
        const uint32_t id = plain_tensor(p, TEN_stage);
        if (!id) return false;
        PUSH(p->a, &outs, id);
    } while (accept(p, ","));
    if (!expect(p, "=") || !expect(p, "call")) return false;
    const char *name = word(p, false);
    if (!name) return false;
    s.call = call_find(name);
    if (!s.call || s.call->nout != outs.n) return fail(p, "expected a function with so many results");
    s.outs = outs.at;
    s.out = outs.at[0];
    s.nout = (uint8_t)outs.n;
    s.arg = NEWN(p->a, const Expr *, s.call->narg);
    s.result = NEWN(p->a, const Expr *, s.call->nresult);
    if (!expect(p, "(") || !call_operands(p, &s)) return false;
    if (!index_list(p, ";", s.arg, s.call->narg, &n)) return false;
    if (n != s.call->narg) return fail(p, "expected the arguments of the function");
    if (!index_list(p, ")", s.result, s.call->nresult, &n)) return false;
    if (n != s.call->nresult) return fail(p, "expected the extents of the function");
    s.narg = s.call->narg;
    s.nresult = s.call->nresult;
    te_stage(p->t, &s);
    return true;
}

/* A stage is a call when "= call" stands in its line. */
static bool stage_line(Parser *p)
{
    const char *end = p->s + strcspn(p->s, "\n"), *is = strstr(p->s, "] = call ");
    return is && is < end ? call_stage(p) : plain_stage(p);
}

static bool line(Parser *p)
{
    p->nlocal = 0;
    if (*p->s == '%') return stage_line(p);
    if (accept(p, "sym ")) return symbol_line(p);
    if (accept(p, "input ")) return input_line(p);
    if (accept(p, "const ")) return const_line(p);
    if (accept(p, "output ")) return output_line(p);
    return fail(p, "expected sym, input, const, output or a tensor");
}

/* The program that the text says; NULL after a diagnostic. It need not be sound: see te_verify. */
Te *te_parse(Ctx *cx, const char *text)
{
    Parser p = {.cx = cx, .t = te_new(cx, NULL), .x = cx->x, .a = cx->arena, .start = text, .s = text};
    p.symbol.arena = p.tensor.arena = cx->arena;
    for (blanks(&p); *p.s; blanks(&p)) {
        if (*p.s == '\n') {
            p.s++;
            continue;
        }
        if (!line(&p)) return NULL;
        blanks(&p);
        if (*p.s && *p.s != '\n') {
            fail(&p, "expected the end of the line");
            return NULL;
        }
    }
    return p.t;
}

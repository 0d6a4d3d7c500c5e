/* SPDX-License-Identifier: Apache-2.0
 *
 * Text of expressions, both ways. Precedence and names come from expr.def, types from dtype.def.
 *
 *   expr    = unary { infix unary }            infix by precedence, left to right; | is last, and not inside [ ]
 *   unary   = ( "-" | "~" ) unary | primary
 *   primary = literal | "true" | "false" | name | name "(" expr { "," expr } ")" | "(" expr ")"
 *           | "%" tensor "[" [ expr { "," expr } [ "|" expr ] ] "]"
 *   literal = number [ type ] | "nan" type | "inf" type
 *   name    = [A-Za-z_][A-Za-z0-9_.]* [ "#" digits ]          tensor = any but blank , ( ) [ |
 *
 * Functions are the operations of expr.def by name, gt and ge, a type for a cast, sat_type and bits_type. The printer
 * works from a stack of its own, as expressions may be deep; the parser refuses nesting beyond MAX_DEPTH. A sum prints
 * with its signs (i - 2*j - 1), and parsing it makes the same sum again.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "expr.h"

enum { MAX_DEPTH = 256, MAX_NAME = 31, LOOSEST = 0, INDEX_PREC = 3 };

void ex_print_symbol(Text *out, const char *name, const VarInfo *v)
{
    text_add(out, "sym %s %" PRId64 "..%" PRId64, name, v->lo, v->hi);
    if (v->whole) text_add(out, " times %" PRId64 " as %s", v->times, v->whole);
}

static bool is_infix(ExprOp op)
{
    return expr_info(op)->prec > 0 && expr_info(op)->arity == 2;
}

static bool is_prefix(ExprOp op)
{
    return expr_info(op)->prec > 0 && expr_info(op)->arity == 1;
}

/* -------------------------------------------------------------------------------------------------------- printing */

/* Something left to print: text, or an expression in a place that binds with `prec`. */
typedef struct Item {
    const char *text;
    const Expr *e;
    uint8_t prec;
    bool tight;  /* no blanks, inside an index */
    bool negate; /* print -e instead, which is shorter */
} Item;

typedef struct Printer {
    Text *out;
    const Exprs *x;
    RefName name;
    void *ctx;
    Map names;         /* of variables: 1 + index of the only one, or SHARED */
    VEC(Item) stack;
} Printer;

#define SHARED UINT64_MAX

static void push_text(Printer *p, const char *s)
{
    PUSH(p->out->arena, &p->stack, ((Item){.text = s}));
}

static void push_expr(Printer *p, const Expr *e, int prec, bool tight, bool negate)
{
    PUSH(p->out->arena, &p->stack, ((Item){.e = e, .prec = (uint8_t)prec, .tight = tight, .negate = negate}));
}

static void note_name(void *ctx, const Expr *e)
{
    Printer *p = ctx;
    if (e->op != EX_var) return;
    uint64_t *v = map_str(&p->names, ex_var_info(p->x, e)->name, true);
    *v = *v == 0 || *v == e->v.ref + UINT64_C(1) ? e->v.ref + UINT64_C(1) : SHARED;
}

static void print_var(Printer *p, const Expr *e)
{
    const char *name = p->name ? p->name(p->ctx, e) : ex_var_info(p->x, e)->name;
    text_add(p->out, "%s", name);
    if (!p->name && *map_str(&p->names, name, true) == SHARED) text_add(p->out, "#%" PRIu32, e->v.ref);
}

static void print_float(Text *out, DType dt, double v)
{
    char s[REAL_DIGITS];
    const char *type = dtype_info(dt)->name;
    if (isnan(v) || isinf(v)) {
        text_add(out, "%s%s%s", v < 0 ? "-" : "", isnan(v) ? "nan" : "inf", type);
        return;
    }
    real_digits(s, v, dt == DT_f32);
    text_add(out, "%s%s", s, type);
}

static void print_const(Printer *p, const Expr *e, bool negate)
{
    DType dt = (DType)e->dt;
    const char *type = dt == DT_ix ? "" : dtype_info(dt)->name;
    if (dtype_is_float(dt)) print_float(p->out, dt, e->v.f);
    else if (dt == DT_bool) text_add(p->out, "%s", e->v.i ? "true" : "false");
    else if (dt == DT_u64) text_add(p->out, "%" PRIu64 "%s", (uint64_t)e->v.i, type);
    else if (negate) text_add(p->out, "%" PRIu64 "%s", 0 - (uint64_t)e->v.i, type);
    else text_add(p->out, "%" PRId64 "%s", e->v.i, type);
}

static bool is_scaled(const Expr *e)
{
    return e->dt == DT_ix && e->op == EX_mul && ex_is_const(e->a[0]);
}

/* A term of an index sum that prints with a minus. */
static bool is_negative(const Expr *e)
{
    if (e->dt != DT_ix) return false;
    return (ex_is_const(e) && e->v.i < 0) || (is_scaled(e) && e->a[0]->v.i < 0);
}

/* -1*a is -a, and a where it is subtracted. */
static void print_minus_one(Printer *p, const Item *it)
{
    if (!it->negate) text_add(p->out, "-");
    push_expr(p, it->e->a[1], it->negate ? it->prec : expr_info(EX_neg)->prec, it->tight, false);
}

static void print_infix(Printer *p, const Item *it)
{
    const Expr *e = it->e;
    const ExprInfo *info = expr_info((ExprOp)e->op);
    bool parens = info->prec < it->prec, tight = it->tight || info->prec == expr_info(EX_mul)->prec;
    bool minus = e->op == EX_add && is_negative(e->a[1]);
    if (parens) push_text(p, ")");
    push_expr(p, e->a[1], info->prec + 1, it->tight, minus);
    if (!tight) push_text(p, " ");
    push_text(p, minus ? expr_info(EX_sub)->text : info->text);
    if (!tight) push_text(p, " ");
    push_expr(p, e->a[0], info->prec, it->tight, it->negate);
    if (parens) push_text(p, "(");
}

static void push_list(Printer *p, const Expr *const *a, int n, int prec, bool tight)
{
    for (int i = n; i-- > 0;) {
        push_expr(p, a[i], prec, tight, false);
        if (i) push_text(p, tight ? "," : ", ");
    }
}

static void print_load(Printer *p, const Expr *e)
{
    const int rank = ex_load_rank(e);
    if (p->name) text_add(p->out, "%%%s[", p->name(p->ctx, e));
    else text_add(p->out, "%%%" PRIu32 "[", e->v.ref);
    push_text(p, "]");
    if (rank < e->n) {
        push_expr(p, e->a[rank], LOOSEST, false, false);
        push_text(p, " | ");
    }
    push_list(p, e->a, rank, INDEX_PREC, true);
}

static void print_call(Printer *p, const Item *it)
{
    const Expr *e = it->e;
    const char *type = dtype_info((DType)e->dt)->name, *text = expr_info((ExprOp)e->op)->text;
    if (e->op == EX_cast) text_add(p->out, "%s(", type);
    else if (e->op == EX_castsat || e->op == EX_bitcast) text_add(p->out, "%s_%s(", text, type);
    else text_add(p->out, "%s(", text);
    push_text(p, ")");
    push_list(p, e->a, e->n, LOOSEST, it->tight);
}

static void print_item(Printer *p, const Item *it)
{
    const Expr *e = it->e;
    ExprOp op = (ExprOp)e->op;
    if (op == EX_const) {
        print_const(p, e, it->negate);
    } else if (op == EX_var) {
        print_var(p, e);
    } else if (op == EX_load || op == EX_loadp) {
        print_load(p, e);
    } else if (is_scaled(e) && e->a[0]->v.i == -1) {
        print_minus_one(p, it);
    } else if (is_infix(op)) {
        print_infix(p, it);
    } else if (is_prefix(op)) {
        text_add(p->out, "%s", expr_info(op)->text);
        push_expr(p, e->a[0], expr_info(op)->prec, it->tight, false);
    } else {
        print_call(p, it);
    }
}

/* --------------------------------------------------------------------------------------------------------- parsing */

typedef struct Parser {
    Exprs *x;
    const char *s;
    const ExprScope *scope;
    const char *error;
    DType bare;
    int depth;
} Parser;

typedef struct Name { const char *at; size_t n; char text[MAX_NAME + 1]; } Name; /* text is "" when it is too long */

static const Expr *parse_expr(Parser *p, int prec);

static const Expr *fail(Parser *p, const char *at, const char *why)
{
    if (!p->error) {
        p->error = why;
        p->s = at;
    }
    return NULL;
}

static char peek(Parser *p)
{
    while (*p->s == ' ' || *p->s == '\t') p->s++;
    return *p->s;
}

static bool take(Parser *p, char c)
{
    if (peek(p) != c) return false;
    p->s++;
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || is_digit(c);
}

static Name take_name(Parser *p)
{
    Name r = {.at = p->s};
    while (is_word(*p->s) || *p->s == '.') p->s++;
    if (*p->s == '#' && is_digit(p->s[1]))
        for (p->s++; is_digit(*p->s);) p->s++;
    r.n = (size_t)(p->s - r.at);
    if (r.n <= MAX_NAME) memcpy(r.text, r.at, r.n);
    return r;
}

/* A type that expressions compute with or convert to. */
static DType number_type(const char *name)
{
    DType dt = dtype_by_name(name);
    DClass c = dtype_info(dt)->cls;
    return c == DC_F || c == DC_I || c == DC_U || c == DC_B || c == DC_X ? dt : DT_none;
}

/* The type behind a number; what a literal without one has otherwise. */
static DType take_suffix(Parser *p)
{
    char name[MAX_NAME + 1] = "";
    size_t n = 0;
    if (!is_word(*p->s)) return p->bare;
    while (is_word(p->s[n]) && n < MAX_NAME) n++;
    memcpy(name, p->s, n);
    DType dt = number_type(name);
    if (dt != DT_none) p->s += n;
    return dt;
}

/* Digits of a decimal integer; false: it has a fraction, an exponent or a 0x. */
static bool is_whole(const char *s)
{
    if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) return false;
    while (is_digit(*s)) s++;
    bool exponent = (*s == 'e' || *s == 'E') && (is_digit(s[1]) || ((s[1] == '+' || s[1] == '-') && is_digit(s[2])));
    return *s != '.' && !exponent;
}

/* The magnitude may be one more than the greatest value of a signed type, as a minus may come before it. */
static const Expr *int_literal(Parser *p, const char *at, DType dt, uint64_t v, bool overflow)
{
    uint64_t max = dt == DT_u64 ? UINT64_MAX : dt == DT_ix ? INT64_MAX : (uint64_t)dtype_max(dt);
    if (dtype_info(dt)->cls != DC_U) max++;
    if (overflow || v > max) return fail(p, at, "the literal does not fit its type");
    return ex_const_i(p->x, dt, (int64_t)v);
}

static const Expr *parse_number(Parser *p)
{
    const char *at = p->s;
    char *end;
    bool whole = is_whole(at), overflow = false;
    double real = strtod(at, &end);
    uint64_t v = 0;
    if (end == at) return fail(p, at, "a number is expected");
    for (; whole && is_digit(*p->s); p->s++) {
        uint64_t digit = (uint64_t)(*p->s - '0');
        overflow |= v > (UINT64_MAX - digit) / 10;
        v = v * 10 + digit;
    }
    if (!whole) p->s = end;
    DType dt = take_suffix(p);
    if (dt == DT_none || dt == DT_bool) return fail(p, p->s, "the literal's type is not a number type");
    if (dtype_is_float(dt)) return ex_const_f(p->x, dt, real);
    return whole ? int_literal(p, at, dt, v, overflow) : fail(p, at, "a literal with a fraction needs a float type");
}

/* true, false, nanT and infT; NULL: something else. */
static const Expr *literal_word(Parser *p, const char *name)
{
    bool is_true = strcmp(name, "true") == 0;
    if (is_true || strcmp(name, "false") == 0) return ex_const_i(p->x, DT_bool, is_true);
    bool is_nan = strncmp(name, "nan", 3) == 0;
    if (!is_nan && strncmp(name, "inf", 3) != 0) return NULL;
    DType dt = dtype_by_name(name + 3);
    return dtype_is_float(dt) ? ex_const_f(p->x, dt, is_nan ? (double)NAN : (double)INFINITY) : NULL;
}

static const Expr *make_cast(Parser *p, const char *at, ExprOp op, DType dt, const Expr *a)
{
    DType from = (DType)a->dt;
    DClass c = dtype_info(from)->cls;
    if (c == DC_S || c == DC_C) return fail(p, at, "the operand is not a number");
    if (op == EX_cast) return ex_cast(p->x, dt, a);
    if (op == EX_castsat) return ex_castsat(p->x, dt, a);
    bool same = dtype_info(dt)->bits == dtype_info(from)->bits && dt != DT_ix && from != DT_ix;
    return same || dt == from ? ex_bitcast(p->x, dt, a) : fail(p, at, "bits are taken from a type of the same width");
}

static const Expr *make_select(Parser *p, const char *at, const Expr *const *a)
{
    if (a[0]->dt != DT_bool) return fail(p, at, "the condition is not of type bool");
    if (a[1]->dt != a[2]->dt) return fail(p, at, "the two sides have different types");
    return ex_select(p->x, a[0], a[1], a[2]);
}

static const Expr *make_op(Parser *p, const char *at, ExprOp op, const Expr *const *a)
{
    const int arity = expr_info(op)->arity;
    for (int i = 1; i < arity; i++)
        if (a[0]->dt != a[i]->dt) return fail(p, at, "the operands have different types");
    if (!expr_accepts(op, (DType)a[0]->dt)) return fail(p, at, "the operation is not defined on this type");
    if (arity == 3) return ex_fma(p->x, a[0], a[1], a[2]);
    return arity == 2 ? ex_binary(p->x, op, a[0], a[1]) : ex_unary(p->x, op, a[0]);
}

/* What a function name stands for. */
typedef struct Callee { ExprOp op; DType dt; bool swap; } Callee;

static bool find_callee(const char *name, Callee *c)
{
    bool sat = strncmp(name, "sat_", 4) == 0, bits = strncmp(name, "bits_", 5) == 0;
    *c = (Callee){.op = sat ? EX_castsat : bits ? EX_bitcast : EX_cast};
    c->dt = number_type(name + (sat ? 4 : bits ? 5 : 0));
    if (c->dt != DT_none) return true;
    c->swap = strcmp(name, "gt") == 0 || strcmp(name, "ge") == 0;
    if (c->swap) name = name[1] == 't' ? "lt" : "le";
    for (c->op = EX_select; c->op < EX_count; c->op++)
        if (strcmp(expr_info(c->op)->name, name) == 0) return true;
    return false;
}

/* Up to three operands and the closing parenthesis; their number, or -1. */
static int parse_operands(Parser *p, const Expr **a)
{
    for (int n = 0; n < 3;) {
        a[n] = parse_expr(p, LOOSEST);
        if (!a[n++]) return -1;
        if (take(p, ')')) return n;
        if (!take(p, ',')) break;
    }
    fail(p, p->s, "a closing parenthesis is expected");
    return -1;
}

static const Expr *parse_call(Parser *p, const Name *name)
{
    Callee c;
    const Expr *a[3];
    if (!find_callee(name->text, &c)) return fail(p, name->at, "the function is not known");
    DType bare = p->bare;
    int n = parse_operands(p, a);
    p->bare = bare;
    if (n < 0) return NULL;
    if (n != expr_info(c.op)->arity) return fail(p, name->at, "the function has another number of operands");
    if (c.dt != DT_none) return make_cast(p, name->at, c.op, c.dt, a[0]);
    if (c.op == EX_select) return make_select(p, name->at, a);
    const Expr *swapped[] = {a[1], a[0]};
    return make_op(p, name->at, c.op, c.swap ? swapped : a);
}

static const Expr *parse_name(Parser *p)
{
    Name name = take_name(p);
    const Expr *e = literal_word(p, name.text);
    if (e) return e;
    if (take(p, '(')) return parse_call(p, &name);
    e = p->scope->var ? p->scope->var(p->scope->ctx, name.at, name.n) : NULL;
    return e ? e : fail(p, name.at, "the variable is not known");
}

static bool ends_tensor(char c)
{
    return c == '\0' || strchr(" \t\r\n[,()|", c);
}

static bool parse_index(Parser *p, uint16_t rank, const Expr **index)
{
    for (uint16_t i = 0; i < rank; i++) {
        if (i && !take(p, ',')) return fail(p, p->s, "the tensor has more dimensions");
        peek(p);
        const char *at = p->s;
        index[i] = parse_expr(p, INDEX_PREC);
        if (!index[i]) return false;
        if (index[i]->dt != DT_ix) return fail(p, at, "an index is of type ix");
    }
    return true;
}

static const Expr *parse_fill(Parser *p, DType dt)
{
    p->bare = dt;
    peek(p);
    const char *at = p->s;
    const Expr *fill = parse_expr(p, LOOSEST);
    return fill && fill->dt != dt ? fail(p, at, "the fill has not the type of the tensor") : fill;
}

static const Expr *parse_elements(Parser *p, DType dt, uint32_t ref, uint16_t rank)
{
    const Expr *index[MAX_RANK], *fill = NULL;
    DType bare = p->bare;
    p->bare = DT_ix;
    if (!parse_index(p, rank, index)) return NULL;
    if (take(p, '|') && !(fill = parse_fill(p, dt))) return NULL;
    p->bare = bare;
    if (!take(p, ']')) return fail(p, p->s, "a closing bracket is expected");
    return fill ? ex_loadp(p->x, dt, ref, rank, index, fill) : ex_load(p->x, dt, ref, rank, index);
}

static const Expr *parse_load(Parser *p)
{
    const char *at = p->s++;
    uint32_t ref;
    DType dt;
    uint16_t rank;
    while (!ends_tensor(*p->s)) p->s++;
    size_t n = (size_t)(p->s - at - 1);
    bool known = n && p->scope->tensor && p->scope->tensor(p->scope->ctx, at + 1, n, &ref, &dt, &rank);
    if (!known || rank > MAX_RANK) return fail(p, at, "the tensor is not known");
    return take(p, '[') ? parse_elements(p, dt, ref, rank) : fail(p, p->s, "an index in brackets is expected");
}

static const Expr *parse_primary(Parser *p)
{
    char c = peek(p);
    if (is_digit(c) || c == '.') return parse_number(p);
    if (is_word(c)) return parse_name(p);
    if (c == '%') return parse_load(p);
    if (!take(p, '(')) return fail(p, p->s, "an expression is expected");
    const Expr *e = parse_expr(p, LOOSEST);
    if (!e || take(p, ')')) return e;
    return fail(p, p->s, "a closing parenthesis is expected");
}

/* A minus belongs to the literal behind it in types without arithmetic. */
static const Expr *make_prefix(Parser *p, const char *at, ExprOp op, const Expr *a)
{
    DType dt = (DType)a->dt;
    if (op == EX_bnot || !ex_is_const(a) || dtype_compute(dt) == dt) return make_op(p, at, op, &a);
    if (dtype_is_float(dt)) return ex_const_f(p->x, dt, -a->v.f);
    return ex_const_i(p->x, dt, -a->v.i);
}

static const Expr *parse_unary(Parser *p)
{
    char c = peek(p);
    const char *at = p->s;
    if (p->depth >= MAX_DEPTH) return fail(p, at, "the expression is nested too deeply");
    p->depth++;
    const Expr *e;
    if (c == '-' || c == '~') {
        p->s++;
        e = parse_unary(p);
        if (e) e = make_prefix(p, at, c == '-' ? EX_neg : EX_bnot, e);
    } else {
        e = parse_primary(p);
    }
    p->depth--;
    return e;
}

/* The infix operation that comes next; EX_count: none. */
static ExprOp peek_infix(Parser *p)
{
    char c = peek(p);
    for (ExprOp op = EX_add; op < EX_count && c; op++)
        if (is_infix(op) && expr_info(op)->text[0] == c) return op;
    return EX_count;
}

/* An expression whose operators bind at least as `prec`. */
static const Expr *parse_expr(Parser *p, int prec)
{
    const Expr *a[2];
    a[0] = parse_unary(p);
    while (a[0]) {
        ExprOp op = peek_infix(p);
        if (op == EX_count || expr_info(op)->prec < prec) break;
        const char *at = p->s++;
        a[1] = parse_expr(p, expr_info(op)->prec + 1);
        a[0] = a[1] ? make_op(p, at, op, a) : NULL;
    }
    return a[0];
}

/* Prints e as an operand of nothing. `name` gives the names of variables and tensors; without it tensors print as their
 * number and variables by their own name, with #index where two of e share one. */
void ex_print(Text *out, const Exprs *x, const Expr *e, RefName name, void *ctx)
{
    Printer p = {.out = out, .x = x, .name = name, .ctx = ctx, .names = {.arena = out->arena}};
    if (!name) ex_walk(e, note_name, &p);
    push_expr(&p, e, LOOSEST, false, false);
    while (p.stack.n) {
        Item it = p.stack.at[--p.stack.n];
        if (it.text) text_put(out, it.text, strlen(it.text));
        else print_item(&p, &it);
    }
}

/* Accepts what ex_print writes and stops behind the expression, at whatever follows. NULL: *error says why (a literal),
 * *s is where. Nothing in the text can do more than fail. */
const Expr *ex_parse(Exprs *x, const char **s, const ExprScope *scope, const char **error)
{
    Parser p = {.x = x, .s = *s, .scope = scope, .bare = scope->bare == DT_none ? DT_ix : scope->bare};
    const Expr *e = parse_expr(&p, LOOSEST);
    *s = p.s;
    *error = p.error;
    return e;
}

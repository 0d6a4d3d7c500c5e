/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix products: MatMul, Gemm, Einsum, and the determinant. Sums are kept in the compute type, so a narrow float is
 * rounded once, behind scaling and bias. Einsum contracts its operands two at a time from the left; what neither a
 * later operand nor the output names is summed at once.
 */
#include "../op.h"
#include "proto.h"
#include "../call.h"
#include "dot.h"

bool infer_MatMul(OpCtx *c)
{
    Product p = {.a = 0, .b = 1, .az = NO_ZERO, .bz = NO_ZERO};
    return product_read(c, &p) && set_shape(c, 0, p.rank, p.dim);
}

bool lower_MatMul(OpCtx *c)
{
    Product p = {.a = 0, .b = 1, .az = NO_ZERO, .bz = NO_ZERO};
    return product_read(c, &p) && product_sum(c, out_ten(c, 0), &p, dtype_compute(out_t(c, 0)->dt));
}

/* ---- Gemm: Y = alpha * A' B' + beta * C ---- */

static bool whole_factor(OpCtx *c, const char *name)
{
    const double v = attr_f(c, name);
    if (dtype_is_float(in_t(c, 0)->dt) || (v >= INT32_MIN && v <= INT32_MAX && (double)(int32_t)v == v)) return true;
    return op_error(c, NO_OPERAND, "unsupported-gemm-factor", "%s is %g, only whole numbers are supported for integers",
                    name, v);
}

/* C broadcasts to [M,N], never the other way. */
static bool check_bias(OpCtx *c, const Expr *const *dim)
{
    if (!has_in(c, 2)) return true;
    if (!in_rank(c, 2, 0, 2)) return false;
    const Tensor *t = in_t(c, 2);
    for (int d = 0; d < t->rank; d++) {
        const Expr *want = dim[2 - t->rank + d];
        if (!ex_is_int(t->dim[d], 1) && !require_dim(c, 2, d, want, "gemm-bias")) return false;
    }
    return true;
}

bool infer_Gemm(OpCtx *c)
{
    if (!in_rank(c, 0, 2, 2) || !in_rank(c, 1, 2, 2)) return false;
    const Tensor *a = in_t(c, 0), *b = in_t(c, 1);
    const int ta = attr_i(c, "transA") != 0, tb = attr_i(c, "transB") != 0;
    const Expr *dim[] = {a->dim[ta], b->dim[!tb]};
    return require_dim(c, 1, tb, a->dim[!ta], "gemm-inner") && whole_factor(c, "alpha") && whole_factor(c, "beta") &&
           check_bias(c, dim) && set_shape(c, 0, 2, dim);
}

static const Expr *gemm_load(OpCtx *c, int k, bool transposed, const Expr *row, const Expr *col)
{
    const Expr *at[] = {transposed ? col : row, transposed ? row : col};
    return load_at(c, in_ten(c, k), at);
}

bool lower_Gemm(OpCtx *c)
{
    const Tensor *a = in_t(c, 0), *y = out_t(c, 0);
    const DType dt = dtype_compute(y->dt);
    const bool ta = attr_i(c, "transA") != 0, tb = attr_i(c, "transB") != 0;
    const bool plain = !has_in(c, 2) && attr_f(c, "alpha") == 1;
    const Expr *inner = a->dim[!ta], *i[MAX_RANK];
    const uint32_t t = plain ? out_ten(c, 0) : temp_ten(c, "dot", dt, 2, y->dim);
    out_vars(c, 0, i);
    const Expr *k = red_var(c, "k", inner);
    const Expr *x = gemm_load(c, 0, ta, i[0], k), *w = gemm_load(c, 1, tb, k, i[1]);
    if (!def_reduce(c, t, i, RED_sum, 1, &k, &inner, MUL(x, w)) || plain) return true;
    out_vars(c, 0, i);
    const Expr *v = MUL(load_at(c, t, i), NUM(dt, attr_f(c, "alpha")));
    if (has_in(c, 2)) v = ADD(v, MUL(load_bcast(c, 2, i, 2), NUM(dt, attr_f(c, "beta"))));
    return def_map(c, out_ten(c, 0), i, v);
}

/* ---- Einsum ---- */

/* Letters A-Z, a-z are labels 0..51, in the order in which an implicit output has them; 52.. are the dimensions of the
 * ellipsis, counted from its right end backwards. */
enum { LABEL_dots = 52, LABELS = LABEL_dots + MAX_RANK };

typedef struct ETerm {
    int rank;
    uint8_t label[MAX_RANK];
    uint32_t ten;
} ETerm;

typedef struct Equation {
    ETerm *in, out;
    int dots; /* dimensions of the longest ellipsis */
    const Expr *dim[LABELS];
} Equation;

static int letter(char ch)
{
    if (ch >= 'A' && ch <= 'Z') return ch - 'A';
    if (ch >= 'a' && ch <= 'z') return ch - 'a' + 26;
    return -1;
}

static bool bad_equation(const OpCtx *c, const char *why)
{
    return op_error(c, NO_OPERAND, "einsum-equation", "equation '%s' %s", printable(c->a, attr_s(c, "equation")), why);
}

/* Labels of one term up to ',' or '-' or the end. `dots` dimensions stand for "..."; *seen: whether there was one. */
static bool read_term(OpCtx *c, const char **s, int dots, ETerm *t, bool *seen)
{
    *seen = false;
    for (; **s != '\0' && **s != ',' && **s != '-'; (*s)++) {
        const int l = letter(**s);
        if (**s == ' ') continue;
        if (l >= 0) {
            if (t->rank == MAX_RANK) return bad_equation(c, "has too many labels in one term");
            t->label[t->rank++] = (uint8_t)l;
        } else if (!*seen && strncmp(*s, "...", 3) == 0) {
            if (dots < 0 || t->rank + dots > MAX_RANK) return bad_equation(c, "does not fit the ranks of its operands");
            for (int d = dots - 1; d >= 0; d--) t->label[t->rank++] = (uint8_t)(LABEL_dots + d);
            *seen = true;
            *s += 2;
        } else {
            return bad_equation(c, "holds a character that is no label");
        }
    }
    return true;
}

/* Number of letters of the term at s. */
static int count_letters(const char *s)
{
    int n = 0;
    for (; *s != '\0' && *s != ',' && *s != '-'; s++) n += letter(*s) >= 0;
    return n;
}

static bool read_inputs(OpCtx *c, const char **s, Equation *e)
{
    for (int k = 0; k < c->n->nin; k++) {
        const Tensor *x = in_t(c, k);
        const int dots = x->rank - count_letters(*s);
        bool seen;
        if (!read_term(c, s, dots, &e->in[k], &seen)) return false;
        if (seen && dots > e->dots) e->dots = dots;
        if (e->in[k].rank != x->rank) {
            return op_error(c, k, "einsum-rank", "equation has %d labels, input has rank %d", e->in[k].rank, x->rank);
        }
        if ((**s == ',') != (k + 1 < c->n->nin)) return bad_equation(c, "does not have one term for each input");
        if (**s == ',') (*s)++;
    }
    return true;
}

/* A dimension of 1 goes with any other of the same label. */
static bool merge_dims(OpCtx *c, Equation *e)
{
    for (int k = 0; k < c->n->nin; k++) {
        for (int d = 0; d < e->in[k].rank; d++) {
            const Expr **dim = &e->dim[e->in[k].label[d]], *own = in_t(c, k)->dim[d];
            if (!*dim || ex_is_int(*dim, 1)) *dim = own;
            if (!ex_is_int(own, 1) && !require_dim(c, k, d, *dim, "einsum-dim")) return false;
        }
    }
    return true;
}

static int count_label(const OpCtx *c, const Equation *e, int label)
{
    int n = 0;
    for (int k = 0; k < c->n->nin; k++) {
        for (int d = 0; d < e->in[k].rank; d++) n += e->in[k].label[d] == label;
    }
    return n;
}

static bool implicit_output(OpCtx *c, Equation *e)
{
    for (int d = e->dots - 1; d >= 0; d--) e->out.label[e->out.rank++] = (uint8_t)(LABEL_dots + d);
    for (int l = 0; l < LABEL_dots; l++) {
        if (count_label(c, e, l) != 1) continue;
        if (e->out.rank == MAX_RANK) return bad_equation(c, "has too many labels in its output");
        e->out.label[e->out.rank++] = (uint8_t)l;
    }
    return true;
}

static bool has_label(const ETerm *t, int label)
{
    return memchr(t->label, label, (size_t)t->rank) != NULL;
}

static bool check_output(OpCtx *c, const Equation *e)
{
    for (int d = 0; d < e->out.rank; d++) {
        if (memchr(e->out.label, e->out.label[d], (size_t)d)) return bad_equation(c, "names an output dimension twice");
        if (!e->dim[e->out.label[d]]) return bad_equation(c, "names an output dimension that no input has");
    }
    return true;
}

static bool read_equation(OpCtx *c, Equation *e)
{
    const char *s = attr_s(c, "equation");
    bool seen;
    *e = (Equation){.in = NEWN(c->a, ETerm, c->n->nin)};
    if (!read_inputs(c, &s, e) || !merge_dims(c, e)) return false;
    if (*s == '\0') return implicit_output(c, e);
    if (s[0] != '-' || s[1] != '>') return bad_equation(c, "has no '->' behind its inputs");
    s += 2;
    if (!read_term(c, &s, e->dots, &e->out, &seen)) return false;
    return *s == '\0' ? check_output(c, e) : bad_equation(c, "goes on behind its output");
}

bool infer_Einsum(OpCtx *c)
{
    Equation e;
    const Expr *dim[MAX_RANK];
    if (c->n->nin == 0) return op_error(c, NO_OPERAND, "einsum-equation", "there is no input, expected 1 or more");
    if (!read_equation(c, &e)) return false;
    for (int d = 0; d < e.out.rank; d++) dim[d] = e.dim[e.out.label[d]];
    return set_shape(c, 0, e.out.rank, dim);
}

typedef struct Contraction {
    const Expr *var[LABELS]; /* of each label met so far */
    const Expr *r[MAX_RANK], *extent[MAX_RANK];
    int nr;
} Contraction;

/* Variables are called as in the equation; dimensions of the ellipsis are all e. */
static char label_name(int label)
{
    return (char)(label < 26 ? 'A' + label : label < LABEL_dots ? 'a' + label - 26 : 'e');
}

/* Variables for the labels of t that are not output labels. */
static bool add_sums(OpCtx *c, const Equation *e, const ETerm *t, Contraction *k)
{
    for (int d = 0; d < t->rank; d++) {
        const int l = t->label[d];
        if (k->var[l]) continue;
        if (k->nr == MAX_RANK) {
            return op_error(c, NO_OPERAND, "unsupported-einsum", "more than %d dimensions are summed at once",
                            MAX_RANK);
        }
        k->extent[k->nr] = e->dim[l];
        k->r[k->nr++] = k->var[l] = red_var(c, str_fmt(c->a, "%c", label_name(l)), e->dim[l]);
    }
    return true;
}

static const Expr *load_term(OpCtx *c, const ETerm *t, const Contraction *k)
{
    const Expr *at[MAX_RANK];
    const Ten *p = ten(c->te, t->ten);
    for (int d = 0; d < t->rank; d++) at[d] = ex_is_int(p->dim[d], 1) ? IX(0) : k->var[t->label[d]];
    return load_at(c, t->ten, at);
}

/* Defines to->ten = sum of x (times y) over what `to` does not name. */
static bool contract(OpCtx *c, const Equation *e, const ETerm *x, const ETerm *y, const ETerm *to)
{
    Contraction k = {.nr = 0};
    const Expr *i[MAX_RANK];
    char names[MAX_RANK + 1] = "";
    for (int d = 0; d < to->rank; d++) names[d] = label_name(to->label[d]);
    vars_for(c, names, to->rank, ten(c->te, to->ten)->dim, i);
    for (int d = 0; d < to->rank; d++) k.var[to->label[d]] = i[d];
    if (!add_sums(c, e, x, &k) || (y && !add_sums(c, e, y, &k))) return false;
    const Expr *body = load_term(c, x, &k);
    if (y) body = MUL(body, load_term(c, y, &k));
    if (k.nr == 0) return def_map(c, to->ten, i, body);
    return def_reduce(c, to->ten, i, RED_sum, k.nr, k.r, k.extent, body);
}

/* Labels of t that the output or an input from `next` on names, added to *to. */
static bool keep_labels(OpCtx *c, const Equation *e, const ETerm *t, int next, ETerm *to)
{
    for (int d = 0; d < t->rank; d++) {
        const int l = t->label[d];
        bool wanted = has_label(&e->out, l);
        for (int k = next; k < c->n->nin && !wanted; k++) wanted = has_label(&e->in[k], l);
        if (!wanted || has_label(to, l)) continue;
        if (to->rank == MAX_RANK) {
            return op_error(c, NO_OPERAND, "unsupported-einsum", "a partial product has more than %d dimensions",
                            MAX_RANK);
        }
        to->label[to->rank++] = (uint8_t)l;
    }
    return true;
}

/* *acc becomes the product of *acc and input k. */
static bool fold_input(OpCtx *c, const Equation *e, int k, ETerm *acc)
{
    ETerm to = {.rank = 0};
    const Expr *dim[MAX_RANK];
    if (!keep_labels(c, e, acc, k + 1, &to) || !keep_labels(c, e, &e->in[k], k + 1, &to)) return false;
    for (int d = 0; d < to.rank; d++) dim[d] = e->dim[to.label[d]];
    to.ten = temp_ten(c, "part", dtype_compute(out_t(c, 0)->dt), to.rank, dim);
    if (!contract(c, e, acc, &e->in[k], &to)) return false;
    *acc = to;
    return true;
}

bool lower_Einsum(OpCtx *c)
{
    Equation e;
    if (!read_equation(c, &e)) return false;
    const int n = c->n->nin;
    for (int k = 0; k < n; k++) e.in[k].ten = in_ten(c, k);
    e.out.ten = out_ten(c, 0);
    ETerm acc = e.in[0];
    for (int k = 1; k + 1 < n; k++) {
        if (!fold_input(c, &e, k, &acc)) return false;
    }
    return contract(c, &e, &acc, n > 1 ? &e.in[n - 1] : NULL, &e.out);
}

/* ---- Det ---- */

bool infer_Det(OpCtx *c)
{
    if (!in_rank(c, 0, 2, MLCC_MAX_RANK)) return false;
    const Tensor *x = in_t(c, 0);
    return require_dim(c, 0, x->rank - 1, x->dim[x->rank - 2], "det-square") && set_shape(c, 0, x->rank - 2, x->dim);
}

/* Elimination with pivoting is no stage: a function in double, between two conversions. */
bool lower_Det(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    const Expr *i[MAX_RANK];
    const uint32_t wide = temp_ten(c, "matrix", DT_f64, x->rank, x->dim);
    const uint32_t det = temp_ten(c, "det", DT_f64, x->rank - 2, x->dim);
    vars_for(c, "", x->rank, x->dim, i);
    def_map(c, wide, i, CAST(DT_f64, load_at(c, in_ten(c, 0), i)));
    def_call(c, "det", 1, &wide, 1, &det, 0, NULL, 0, NULL);
    out_vars(c, 0, i);
    return def_map(c, out_ten(c, 0), i, load_at(c, det, i));
}

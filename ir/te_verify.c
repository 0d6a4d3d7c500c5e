/* SPDX-License-Identifier: Apache-2.0
 *
 * The invariants of a tensor-expression program, one check each: types, ranks, which variables may stand where,
 * producers before consumers, and reads that are certainly outside their tensor. A failure is a bug of mlcc. It shares
 * nothing with the code that builds programs.
 */
#include "call.h"

#include "../runtime-min/mlcc.h"

typedef struct Verify {
    Arena *a;
    const Te *t;
    Exprs *x;
    uint32_t at; /* stage under check */
    const Stage *s;
    bool rvars; /* whether the expression under check may use reduction or scatter variables */
    bool vars;  /* whether it may use the variables of the tensor */
    Map seen;   /* expressions checked, by id; twice over: unconditional or not */
    const char *error;
} Verify;

static bool is_symbol(const Verify *v, const Expr *e)
{
    return e->op == EX_var && ex_var_info(v->x, e)->kind == VK_SYM;
}

static bool among(const Expr *e, const Expr *const *list, int n)
{
    int k = 0;
    while (k < n && list[k] != e) k++;
    return k < n;
}

static int out_rank(const Verify *v)
{
    return v->s->kind == ST_call ? 0 : ten(v->t, v->s->out)->rank;
}

static bool may_use(const Verify *v, const Expr *var)
{
    return is_symbol(v, var) || (v->vars && among(var, v->s->var, out_rank(v))) ||
           (v->rvars && among(var, v->s->rvar, v->s->nr));
}

static bool is_defined(const Verify *v, uint32_t id)
{
    if (id == 0 || id >= v->t->ten.n) return false;
    const Ten *p = ten(v->t, id);
    return p->kind != TEN_stage || p->stage < v->at;
}

/* An index of which no value lies inside the dimension, which itself is not empty. */
static bool is_outside(const Verify *v, const Expr *i, const Expr *dim)
{
    int64_t lo, hi;
    if (!ex_range(v->x, i, &lo, &hi)) return false;
    if (hi < 0) return true;
    int64_t dlo, dhi;
    return ex_range(v->x, dim, &dlo, &dhi) && dhi > 0 && lo >= dhi;
}

static const char *check_load(const Verify *v, const Expr *e, bool certain)
{
    const int rank = e->op == EX_loadp ? e->n - 1 : e->n;
    if (!is_defined(v, e->v.ref)) return str_fmt(v->a, "tensor %u is read before it is defined", e->v.ref);
    const Ten *p = ten(v->t, e->v.ref);
    if (p->rank != rank) return str_fmt(v->a, "%%%s has rank %d, it is read with %d indices", p->name, p->rank, rank);
    if (e->dt != p->dt) return str_fmt(v->a, "%%%s is read as %s", p->name, dtype_info((DType)e->dt)->name);
    for (int k = 0; k < rank; k++) {
        if (e->a[k]->dt != DT_ix) return str_fmt(v->a, "index %d of %%%s is not an index expression", k, p->name);
        if (certain && e->op == EX_load && is_outside(v, e->a[k], p->dim[k]))
            return str_fmt(v->a, "index %d of %%%s is always outside", k, p->name);
    }
    if (e->op == EX_loadp && e->a[rank]->dt != p->dt)
        return str_fmt(v->a, "the fill of %%%s has another type", p->name);
    return NULL;
}

static const char *check_node(const Verify *v, const Expr *e, bool certain)
{
    if (e->op == EX_load || e->op == EX_loadp) return check_load(v, e, certain);
    if (e->op == EX_var && !may_use(v, e))
        return str_fmt(v->a, "variable '%s' does not belong here", ex_var_info(v->x, e)->name);
    return NULL;
}

/* `certain`: evaluated whenever the expression is. Arms of select and second operands of and, or are not. */
static void check_expr(Verify *v, const Expr *e, bool certain)
{
    uint64_t *seen = map_u64(&v->seen, (uint64_t)e->id * 2 + certain, true);
    if (*seen || v->error) return;
    *seen = 1;
    v->error = check_node(v, e, certain);
    const bool lazy = e->op == EX_select || e->op == EX_and || e->op == EX_or;
    for (int k = 0; k < e->n; k++) {
        const bool fill = e->op == EX_loadp && k == e->n - 1;
        check_expr(v, e->a[k], certain && !fill && !(lazy && k > 0));
    }
}

/* An expression of a stage over the variables named; `empty`: it may be that it is never evaluated. */
static const char *verify_expr(Verify *v, const Expr *e, bool vars, bool rvars, bool empty)
{
    v->vars = vars;
    v->rvars = rvars;
    v->seen = (Map){.arena = v->a};
    check_expr(v, e, !empty);
    return v->error;
}

static const char *verify_dims(Verify *v, const Expr *const *dim, int n)
{
    int64_t lo, hi;
    for (int k = 0; k < n; k++) {
        if (!dim[k]) return "an extent is missing";
        if (dim[k]->dt != DT_ix) return "an extent is not an index expression";
        if (!ex_range(v->x, dim[k], &lo, &hi)) return "an extent has no upper bound";
        if (verify_expr(v, dim[k], false, false, true)) return "an extent depends on more than symbols";
    }
    return NULL;
}

static bool has_empty(const Verify *v, const Expr *const *dim, int n)
{
    int64_t lo, hi;
    for (int k = 0; k < n; k++) {
        if (ex_range(v->x, dim[k], &lo, &hi) && hi <= 0) return true;
    }
    return false;
}

/* ---- tensors ---- */

static const char *verify_data(const Ten *p)
{
    int64_t n = 1;
    if (p->kind != TEN_const) return p->data ? "it has data but is not a constant" : NULL;
    if (!p->data) return "a constant has no data";
    for (int k = 0; k < p->rank; k++) {
        if (!ex_is_const(p->dim[k]) || !mul_i64(n, p->dim[k]->v.i, &n)) return "a constant's shape is not constant";
    }
    if (p->data->dt != p->dt) return "type and type of the data differ";
    return p->data->count == n ? NULL : "shape and number of elements differ";
}

static const char *verify_ten(Verify *v, const Ten *p)
{
    if (!p->name || !*p->name) return "it has no name";
    if (p->dt == DT_none || p->dt >= DT_ix) return "it has no element type";
    if (p->rank > MAX_RANK) return "its rank is too large";
    const bool unused = p->stage == NO_STAGE && p->output < 0; /* a pass removed its stage; loads of it are found out of order */
    if (p->kind == TEN_stage && p->stage >= v->t->stage.n && !unused) return "nothing defines it";
    if (p->kind != TEN_stage && p->stage != NO_STAGE) return "it is given and defined by a stage";
    const char *e = verify_data(p);
    return e ? e : verify_dims(v, p->dim, p->rank);
}

static const char *verify_tens(Verify *v)
{
    Map names = {.arena = v->a};
    v->at = 0;
    for (uint32_t k = 1; k < v->t->ten.n; k++) {
        const Ten *p = ten(v->t, k);
        const char *e = verify_ten(v, p);
        if (e) return str_fmt(v->a, "tensor %%%s: %s", p->name ? p->name : "", e);
        if (map_str(&names, p->name, false)) return str_fmt(v->a, "tensor %%%s: its name is not unique", p->name);
        map_str(&names, p->name, true);
    }
    return NULL;
}

/* ---- stages ---- */

/* Variables that have values 0..upper bound of the extent - 1, each used once. */
static const char *verify_vars(const Verify *v, const Expr *const *var, const Expr *const *extent, int n)
{
    for (int k = 0; k < n; k++) {
        if (!var[k] || var[k]->op != EX_var) return "a variable is missing";
        const VarInfo *i = ex_var_info(v->x, var[k]);
        if (i->kind != VK_INDEX || i->dt != DT_ix) return str_fmt(v->a, "variable '%s' is not an index", i->name);
        if (among(var[k], var, k)) return str_fmt(v->a, "variable '%s' is used for two dimensions", i->name);
        if (i->lo != 0 || i->hi < ex_upper(v->x, extent[k]) - 1)
            return str_fmt(v->a, "variable '%s' does not cover its extent", i->name);
    }
    return NULL;
}

static const char *verify_domain(Verify *v)
{
    const Stage *s = v->s;
    const Ten *p = ten(v->t, s->out);
    if (s->nr > MAX_RANK) return "there are too many reduction variables";
    if (s->nr && s->kind != ST_reduce && s->kind != ST_scatter) return "it has reduction variables";
    for (int k = 0; k < s->nr; k++) {
        if (among(s->rvar[k], s->var, p->rank)) return "a variable is of the tensor and of the reduction";
    }
    const char *e = verify_vars(v, s->var, p->dim, p->rank);
    if (!e) e = verify_dims(v, s->rext, s->nr);
    return e ? e : verify_vars(v, s->rvar, s->rext, s->nr);
}

static const char *verify_body(Verify *v)
{
    const Stage *s = v->s;
    const Ten *p = ten(v->t, s->out);
    const bool empty = has_empty(v, p->dim, p->rank) || has_empty(v, s->rext, s->nr);
    if (!s->body) return "it has no body";
    const bool folds = s->kind == ST_reduce || s->kind == ST_scan;
    if (folds && dtype_compute((DType)s->body->dt) != s->body->dt) return "its body has no compute type";
    if (!folds && s->body->dt != p->dt)
        return str_fmt(v->a, "its body has type %s", dtype_info((DType)s->body->dt)->name);
    return verify_expr(v, s->body, s->kind != ST_scatter, s->kind != ST_scan, empty);
}

static const char *verify_scatter(Verify *v)
{
    const Stage *s = v->s;
    const Ten *p = ten(v->t, s->out);
    if (!s->init || s->init->dt != p->dt) return "its initial value has another type";
    const char *e = verify_expr(v, s->init, true, false, has_empty(v, p->dim, p->rank));
    for (int k = 0; k < p->rank && !e; k++) {
        if (!s->at[k] || s->at[k]->dt != DT_ix) return str_fmt(v->a, "target index %d is not an index expression", k);
        e = verify_expr(v, s->at[k], false, true, has_empty(v, s->rext, s->nr));
    }
    return e;
}

static const char *verify_call(Verify *v)
{
    const Stage *s = v->s;
    const CallInfo *f = s->call;
    if (!f) return "it calls nothing";
    if (s->nin != f->nin || s->nout != f->nout || s->narg != f->narg || s->nresult != f->nresult)
        return str_fmt(v->a, "it does not give %s what it takes", f->name);
    for (int k = 0; k < s->nin; k++) {
        if (!is_defined(v, s->in[k])) return str_fmt(v->a, "operand %d is not defined", k);
        if (ten(v->t, s->in[k])->rank > MLCC_MAX_RANK) return str_fmt(v->a, "operand %d has too many dimensions", k);
    }
    for (int k = 0; k < s->nout; k++) {
        if (ten(v->t, s->outs[k])->rank > MLCC_MAX_RANK) return str_fmt(v->a, "result %d has too many dimensions", k);
    }
    for (int k = 0; k < s->narg; k++) {
        if (s->arg[k]->dt != DT_ix || verify_expr(v, s->arg[k], false, false, true))
            return str_fmt(v->a, "argument %d is not one over symbols", k);
    }
    for (int k = 0; k < s->nresult; k++) {
        if (!ex_is_const(s->result[k]) && !is_symbol(v, s->result[k]))
            return str_fmt(v->a, "extent %d is not a symbol", k);
    }
    return NULL;
}

/* The tensors that name this stage as theirs are those it names. */
static const char *verify_outs(const Verify *v)
{
    const Stage *s = v->s;
    const int n = s->kind == ST_call ? s->nout : 1;
    for (int k = 0; k < n; k++) {
        const uint32_t id = s->kind == ST_call ? s->outs[k] : s->out;
        if (id == 0 || id >= v->t->ten.n) return "it defines no tensor";
        const Ten *p = ten(v->t, id);
        if (p->kind != TEN_stage || p->stage != v->at) return str_fmt(v->a, "%%%s is not its tensor", p->name);
    }
    return s->kind == ST_call && s->out != s->outs[0] ? "its first tensor is not its result 0" : NULL;
}

static const char *verify_stage(Verify *v)
{
    const Stage *s = v->s;
    const char *e = verify_outs(v);
    if (e || s->kind == ST_call) return e ? e : verify_call(v);
    if (s->op > RED_max) return "its operation does not exist";
    if ((s->kind == ST_reduce || s->kind == ST_scan) && s->op == RED_none) return "it has no operation";
    if (s->kind == ST_scan && s->axis >= ten(v->t, s->out)->rank) return "its axis does not exist";
    e = verify_domain(v);
    if (!e) e = verify_body(v);
    return e || s->kind != ST_scatter ? e : verify_scatter(v);
}

/* NULL when the program is sound, else what is wrong, in arena a. */
const char *te_verify(Arena *a, const Te *t)
{
    Verify v = {.a = a, .t = t, .x = t->cx->x};
    const char *e = verify_tens(&v);
    for (uint32_t k = 0; k < t->stage.n && !e; k++) {
        v.at = k;
        v.s = t->stage.at[k];
        const char *what = verify_stage(&v);
        if (what) e = str_fmt(a, "stage %u: %s", k, what);
    }
    return e;
}

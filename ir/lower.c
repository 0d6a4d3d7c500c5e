/* SPDX-License-Identifier: Apache-2.0
 *
 * Lowering: from the nodes of a graph to stages. Structural operators bring a function (ir/op); elementwise ones are
 * lowered here from the expression in their row. The helpers of op.h that those functions build stages with stand here
 * too. Loads of elements known at compile time (constants at constant places, fills, shape arithmetic) become literals.
 */
#include "call.h"
#include "infer.h"

/* ---- variables ---- */

/* Variable k is called names[k]; behind the end of `names` they are v<k>. */
void vars_for(OpCtx *c, const char *names, int rank, const Expr *const *dim, const Expr **i)
{
    const int n = (int)strlen(names);
    for (int k = 0; k < rank; k++) {
        const char *name = k < n ? str_ndup(c->a, names + k, 1) : str_fmt(c->a, "v%d", k);
        i[k] = ex_index(c->x, name, dim[k]);
    }
}

void out_vars(OpCtx *c, int out, const Expr **i)
{
    const Tensor *t = out_t(c, out);
    vars_for(c, "ijklmnopquvw", t->rank, t->dim, i);
}

const Expr *red_var(OpCtx *c, const char *name, const Expr *extent)
{
    return ex_index(c->x, name, extent);
}

/* ---- tensors ---- */

uint32_t in_ten(OpCtx *c, int k)
{
    return te_of(c->te, c->n->in[k]);
}

uint32_t out_ten(OpCtx *c, int k)
{
    return te_of(c->te, c->n->out[k]);
}

/* Name of the first output that is there: nodes themselves may have none. */
static const char *node_name(const OpCtx *c)
{
    int k = 0;
    while (k < c->n->nout && !has_out(c, k)) k++;
    return k < c->n->nout ? out_t(c, k)->name : c->n->op->name;
}

/* A tensor of the lowering's own, called <output>.<hint>. */
uint32_t temp_ten(OpCtx *c, const char *hint, DType dt, int rank, const Expr *const *dim)
{
    return te_tensor(c->te, str_fmt(c->a, "%s.%s", node_name(c), hint), dt, TEN_stage, (uint8_t)rank, dim);
}

/* ---- loads ---- */

static const Expr *blob_element(Exprs *x, const Blob *b, int64_t k)
{
    switch (dtype_info(b->dt)->cls) {
    case DC_F: return ex_const_f(x, b->dt, blob_f(b, k));
    case DC_I:
    case DC_U:
    case DC_B: return ex_const_i(x, b->dt, blob_i(b, k));
    default: return NULL;
    }
}

/* Row-major position of a constant index inside the tensor; -1: not constant. */
static int64_t const_position(const Ten *t, const Expr *const *i)
{
    int64_t at = 0;
    for (int k = 0; k < t->rank; k++) {
        if (!ex_is_const(i[k]) || !ex_is_const(t->dim[k])) return -1;
        if (i[k]->v.i < 0 || i[k]->v.i >= t->dim[k]->v.i) return -1;
        at = at * t->dim[k]->v.i + i[k]->v.i;
    }
    return at;
}

/* The element as an expression of the tensor's type when it is known at compile time; NULL otherwise. */
static const Expr *known_element(Exprs *x, const Ten *t, const Expr *const *i)
{
    const int64_t at = const_position(t, i);
    if (t->data && t->data->count > 0 && (t->data->fill || at >= 0))
        return blob_element(x, t->data, t->data->fill ? 0 : at);
    if (!t->value || at < 0) return NULL;
    return t->dt == DT_bool ? ex_binary(x, EX_ne, t->value[at], ex_int(x, 0)) : ex_cast(x, t->dt, t->value[at]);
}

static bool is_clamped(const Expr *e)
{
    bool found = e->op == EX_max;
    for (uint16_t k = 0; k < e->n && !found; k++) found = is_clamped(e->a[k]);
    return found;
}

typedef struct Moving { const Exprs *x; bool yes; } Moving;

static void find_moving(void *ctx, const Expr *e)
{
    Moving *m = ctx;
    m->yes = m->yes || (e->op == EX_var && ex_var_info(m->x, e)->kind == VK_INDEX && ex_var_info(m->x, e)->hi > 0);
}

/* Whether a read that is done for some extents, but not for all, may be outside for the others: a clamp, or one place, as of a slice that has one
 * element or none. Loops of more steps end in time. */
static bool may_be_outside(OpCtx *c, const Expr *dim, const Expr *i)
{
    int64_t lo, hi;
    Moving m = {c->x, false};
    if (ex_is_const(dim) && dim->v.i > 0) return false;
    ex_walk(i, find_moving, &m);
    if (m.yes) return (!ex_range(c->x, dim, &lo, &hi) || lo < 1) && is_clamped(i);
    return !ex_range(c->x, SUB(SUB(dim, IX(1)), i), &lo, &hi) || lo < 0 || !ex_range(c->x, i, &lo, &hi) || lo < 0;
}

/* What a read gives where it may be outside, as where the tensor has no elements: a clamp into 0..extent-1 has no value then. *always: there are
 * never any. NULL: every index is inside wherever the read is done at all. */
static const Expr *when_empty(OpCtx *c, const Ten *p, const Expr *const *i, bool *always)
{
    const DClass cls = dtype_info(p->dt)->cls;
    bool guard = false;
    *always = false;
    for (int k = 0; k < p->rank; k++) {
        *always |= ex_is_int(p->dim[k], 0);
        guard |= may_be_outside(c, p->dim[k], i[k]);
    }
    if ((!guard && !*always) || cls == DC_S || cls == DC_C) return NULL;
    return cls == DC_F ? ex_const_f(c->x, p->dt, 0) : ex_const_i(c->x, p->dt, 0);
}

const Expr *load_raw(OpCtx *c, uint32_t t, const Expr *const *i)
{
    const Ten *p = ten(c->te, t);
    const Expr *e = known_element(c->x, p, i);
    if (e) return e;
    bool always;
    const Expr *none = when_empty(c, p, i, &always);
    if (none) return always ? none : ex_loadp(c->x, p->dt, t, p->rank, i, none);
    return ex_load(c->x, p->dt, t, p->rank, i);
}

const Expr *load_at(OpCtx *c, uint32_t t, const Expr *const *i)
{
    return CAST(dtype_compute(ten(c->te, t)->dt), load_raw(c, t, i));
}

/* A lower bound of e: index variables are put at the end of their extents, which may be symbols, where e is least. */
static const Expr *least(OpCtx *c, const Expr *e)
{
    const Affine f = ex_affine(c->a, e);
    const Expr *r = IX(f.c);
    for (uint32_t k = 0; k < f.n; k++) {
        const Expr *atom = f.t[k].atom;
        const Expr *below = atom->op == EX_var ? ex_var_info(c->x, atom)->below : NULL;
        if (below) atom = f.t[k].coef > 0 ? IX(0) : SUB(below, IX(1));
        r = ADD(r, MUL(IX(f.t[k].coef), atom));
    }
    return r;
}

static bool never_negative(OpCtx *c, const Expr *e)
{
    int64_t lo, hi;
    return ex_range(c->x, least(c, e), &lo, &hi) && lo >= 0;
}

/* Whether 0 <= i < dim for all values of the variables and symbols. */
static bool is_inside(OpCtx *c, const Expr *i, const Expr *dim)
{
    return never_negative(c, i) && never_negative(c, SUB(SUB(dim, IX(1)), i));
}

const Expr *load_pad(OpCtx *c, uint32_t t, const Expr *const *i, const Expr *fill)
{
    const Ten *p = ten(c->te, t);
    bool inside = true;
    for (int k = 0; k < p->rank && inside; k++) inside = is_inside(c, i[k], p->dim[k]);
    if (inside) return load_at(c, t, i);
    return CAST(dtype_compute(p->dt), ex_loadp(c->x, p->dt, t, p->rank, i, CAST(p->dt, fill)));
}

const Expr *load_bcast(OpCtx *c, int k, const Expr *const *i, int rank)
{
    const Expr *at[MAX_RANK];
    const Tensor *s = in_t(c, k);
    for (int d = 0; d < s->rank; d++) at[d] = ex_is_int(s->dim[d], 1) ? IX(0) : i[rank - s->rank + d];
    return load_at(c, in_ten(c, k), at);
}

/* Whether some element may be negative; only constants are known not to have any. */
static bool may_be_negative(const Ten *t)
{
    if (dtype_info(t->dt)->cls == DC_U) return false;
    if (!t->data) return true;
    const int64_t n = t->data->fill ? 1 : t->data->count;
    for (int64_t k = 0; k < n; k++) {
        if (blob_i(t->data, k) < 0) return true;
    }
    return false;
}

const Expr *load_index(OpCtx *c, uint32_t t, const Expr *const *i, const Expr *extent)
{
    const Expr *v = CAST(DT_ix, load_raw(c, t, i));
    if (may_be_negative(ten(c->te, t))) v = SEL(LT(v, IX(0)), ADD(v, extent), v);
    return MAX(MIN(v, SUB(extent, IX(1))), IX(0));
}

/* ---- definitions ---- */

static Stage stage_for(const OpCtx *c, StageKind kind, RedOp op, uint32_t t, const Expr *const *i)
{
    Stage s = {.kind = kind, .op = op, .out = t, .node = c->id};
    const uint8_t rank = ten(c->te, t)->rank;
    if (rank) memcpy(s.var, i, rank * sizeof *i);
    return s;
}

static void set_domain(Stage *s, int nr, const Expr *const *r, const Expr *const *extent)
{
    s->nr = (uint8_t)nr;
    if (nr == 0) return;
    memcpy(s->rvar, r, (size_t)nr * sizeof *r);
    memcpy(s->rext, extent, (size_t)nr * sizeof *extent);
}

/* Whether the variables are in order of age, those of the tensor first. */
static bool in_order(const Stage *s, int rank)
{
    uint32_t last = 0;
    for (int k = 0; k < rank + s->nr; k++) {
        const Expr *v = k < rank ? s->var[k] : s->rvar[k - rank];
        if (v->id < last) return false;
        last = v->id;
    }
    return true;
}

static const Expr *renew_var(OpCtx *c, Subst *s, const Expr *var, const Expr *extent)
{
    *s = (Subst){var, ex_index(c->x, ex_var_info(c->x, var)->name, extent)};
    return s->to;
}

/* New variables in order: sums are sorted by age, which must not depend on the order in which a lowering makes them. */
static void renew_vars(OpCtx *c, Stage *s, const Ten *t)
{
    Subst new[2 * MAX_RANK];
    const uint32_t n = (uint32_t)t->rank + s->nr;
    for (int k = 0; k < t->rank; k++) s->var[k] = renew_var(c, &new[k], s->var[k], t->dim[k]);
    for (int k = 0; k < s->nr; k++) s->rvar[k] = renew_var(c, &new[t->rank + k], s->rvar[k], s->rext[k]);
    s->body = ex_subst(c->x, s->body, new, n);
    if (s->kind != ST_scatter) return;
    s->init = ex_subst(c->x, s->init, new, n);
    for (int k = 0; k < t->rank; k++) s->at[k] = ex_subst(c->x, s->at[k], new, n);
}

static bool add_stage(OpCtx *c, Stage *s)
{
    const Ten *t = ten(c->te, s->out);
    if (s->kind != ST_call && !in_order(s, t->rank)) renew_vars(c, s, t);
    te_stage(c->te, s);
    return true;
}

bool def_map(OpCtx *c, uint32_t t, const Expr *const *i, const Expr *body)
{
    Stage s = stage_for(c, ST_map, RED_none, t, i);
    s.body = CAST(ten(c->te, t)->dt, body);
    return add_stage(c, &s);
}

bool def_reduce(OpCtx *c, uint32_t t, const Expr *const *i, RedOp op, int nr, const Expr *const *r,
                const Expr *const *extent, const Expr *body)
{
    Stage s = stage_for(c, ST_reduce, op, t, i);
    for (int d = 0; d < nr; d++)
        if (ex_is_int(extent[d], 0)) return def_map(c, t, i, red_identity(c->x, op, dtype_compute((DType)body->dt)));
    set_domain(&s, nr, r, extent);
    s.body = CAST(dtype_compute((DType)body->dt), body);
    return add_stage(c, &s);
}

bool def_scan(OpCtx *c, uint32_t t, const Expr *const *i, RedOp op, int axis, const Expr *body)
{
    Stage s = stage_for(c, ST_scan, op, t, i);
    s.axis = (uint8_t)axis;
    s.body = CAST(dtype_compute((DType)body->dt), body);
    return add_stage(c, &s);
}

bool def_scatter(OpCtx *c, uint32_t t, const Expr *const *i, const Expr *init, int nr, const Expr *const *r,
                 const Expr *const *extent, const Expr *const *at, RedOp op, const Expr *body)
{
    const Ten *p = ten(c->te, t);
    Stage s = stage_for(c, ST_scatter, op, t, i);
    set_domain(&s, nr, r, extent);
    s.init = CAST(p->dt, init);
    s.body = CAST(p->dt, body);
    if (p->rank) memcpy(s.at, at, p->rank * sizeof *at);
    return add_stage(c, &s);
}

static void *copy_list(Arena *a, const void *list, int n, size_t size)
{
    return n ? arena_copy(a, list, (size_t)n * size) : NULL;
}

bool def_call(OpCtx *c, const char *fn, int nin, const uint32_t *in, int nout, const uint32_t *out, int narg,
              const Expr *const *arg, int nresult, const Expr *const *result)
{
    Stage s = {.kind = ST_call, .out = out[0], .call = call_find(fn), .node = c->id};
    if (!s.call) ICE("lower: there is no function '%s'", fn);
    for (int k = 0; k < nin + nout; k++) {
        const Ten *p = ten(c->te, k < nin ? in[k] : out[k - nin]);
        if (p->rank > MLCC_MAX_RANK)
            return op_error(c, NO_OPERAND, "unsupported-rank", "'%s' has %d dimensions, %s handles at most %d", p->name,
                            p->rank, c->n->op->name, MLCC_MAX_RANK);
    }
    s.nin = (uint8_t)nin;
    s.nout = (uint8_t)nout;
    s.narg = (uint8_t)narg;
    s.nresult = (uint8_t)nresult;
    s.in = copy_list(c->a, in, nin, sizeof *in);
    s.outs = copy_list(c->a, out, nout, sizeof *out);
    s.arg = copy_list(c->a, arg, narg, sizeof *arg);
    s.result = copy_list(c->a, result, nresult, sizeof *result);
    return add_stage(c, &s);
}

/* ---- reshape ---- */

/* Dimensions other than 1 in order: their places in the shape. */
static int real_dims(int n, const Expr *const *dim, int *place)
{
    int m = 0;
    for (int k = 0; k < n; k++) {
        if (!ex_is_int(dim[k], 1)) place[m++] = k;
    }
    return m;
}

static const Expr *product(OpCtx *c, const Expr *const *dim, const int *place, int first, int end)
{
    const Expr *p = IX(1);
    for (int k = first; k < end; k++) p = MUL(p, dim[place[k]]);
    return p;
}

typedef struct Side {
    const Expr *const *dim;
    int place[MAX_RANK], n, first, end;
} Side;

/* Smallest ends behind the firsts so that both groups hold equally many elements; else all that is left. */
static void next_group(OpCtx *c, Side *p, Side *q)
{
    for (p->end = p->first + 1; p->end <= p->n; p->end++) {
        const Expr *want = product(c, p->dim, p->place, p->first, p->end);
        for (q->end = q->first + 1; q->end <= q->n; q->end++) {
            if (product(c, q->dim, q->place, q->first, q->end) == want) return;
        }
    }
    p->end = p->n;
    q->end = q->n;
}

/* Row-major position inside the group of `to`, taken apart by the dimensions of the group of `from`. */
static void split_group(OpCtx *c, const Side *to, const Side *from, const Expr *const *i, const Expr **j)
{
    const Expr *at = IX(0);
    for (int k = to->first; k < to->end; k++) at = ADD(MUL(at, to->dim[to->place[k]]), i[to->place[k]]);
    for (int k = from->end - 1; k >= from->first; k--) {
        const Expr *dim = from->dim[from->place[k]];
        j[from->place[k]] = k == from->first ? at : MOD(at, dim);
        if (k > from->first) at = FDIV(at, dim);
    }
}

void reshape_index(OpCtx *c, int nto, const Expr *const *to, const Expr *const *i, int nfrom, const Expr *const *from,
                   const Expr **j)
{
    Side p = {.dim = to}, q = {.dim = from};
    p.n = real_dims(nto, to, p.place);
    q.n = real_dims(nfrom, from, q.place);
    for (int k = 0; k < nfrom; k++) j[k] = IX(0);
    while (p.first < p.n || q.first < q.n) {
        next_group(c, &p, &q);
        split_group(c, &p, &q, i, j);
        p.first = p.end;
        q.first = q.end;
    }
}

/* ---- elementwise operators ---- */

typedef struct Elt {
    OpCtx *c;
    const Expr *i[MAX_RANK];
    int rank;
    DType t;             /* compute type of the letter T */
    const Expr *acc, *x; /* of a fold */
    const char *expr;
} Elt;

static bool is_word(const char *word, const char *name, size_t n)
{
    return strlen(word) == n && memcmp(word, name, n) == 0;
}

/* An absent optional operand counts as the identity of addition, which for floats is -0. */
static const Expr *elt_operand(Elt *e, int k)
{
    if (has_in(e->c, k)) return load_bcast(e->c, k, e->i, e->rank);
    return ex_num(e->c->x, e->t, dtype_is_float(e->t) ? -0.0 : 0.0);
}

static const Expr *elt_attr(Elt *e, const char *name, size_t n)
{
    const char *key = str_ndup(e->c->a, name, n);
    if (!attr_has(e->c, key)) return NULL;
    const char *at = strstr(e->c->n->op->attrs, str_fmt(e->c->a, "%s:f", key));
    return ex_num(e->c->x, e->t, at ? attr_f(e->c, key) : (double)attr_i(e->c, key));
}

static const Expr *elt_name(void *ctx, const char *name, size_t n)
{
    Elt *e = ctx;
    if (e->acc && is_word("acc", name, n)) return e->acc;
    if (e->x && is_word("x", name, n)) return e->x;
    if (e->acc && is_word("n", name, n)) return ex_num(e->c->x, e->t, e->c->n->nin);
    const char *s = e->c->n->op->sig;
    Operand o;
    for (int k = 0; next_operand(&s, &o); k++) {
        if ((size_t)o.nname == n && memcmp(o.name, name, n) == 0) return elt_operand(e, k);
    }
    return elt_attr(e, name, n);
}

/* The expression at *s, up to ';' or the end. A row that does not parse is a mistake in mlcc. */
static const Expr *elt_parse(Elt *e, const char **s)
{
    const ExprScope scope = {.var = elt_name, .bare = e->t, .ctx = e};
    const char *error = NULL;
    const Expr *r = ex_parse(e->c->x, s, &scope, &error);
    if (!r) ICE("%s: '%s' does not parse: %s at '%s'", e->c->n->op->name, e->expr, error, *s);
    *s += strspn(*s, " ");
    return r;
}

/* acc = operand 0; acc = expr(acc, x) for the others; then what follows ';', over acc and n. */
static const Expr *elt_fold(Elt *e)
{
    const char *s = e->expr;
    e->acc = elt_operand(e, 0);
    for (int k = 1; k < e->c->n->nin; k++) {
        s = e->expr;
        e->x = elt_operand(e, k);
        e->acc = elt_parse(e, &s);
    }
    s = strchr(e->expr, ';');
    if (!s) return e->acc;
    s++;
    return elt_parse(e, &s);
}

/* Compute type of the first operand whose letter is T, else of the first operand. */
static DType elt_type(const OpCtx *c, bool *variadic)
{
    const char *s = c->n->op->sig;
    DType t = DT_none;
    Operand o;
    for (int k = 0; next_operand(&s, &o); k++) {
        *variadic = o.variadic;
        if (t == DT_none && has_in(c, k) && o.ntype == 1 && *o.type == 'T') t = in_t(c, k)->dt;
    }
    return dtype_compute(t == DT_none ? in_t(c, 0)->dt : t);
}

bool lower_elt(OpCtx *c, const char *expr)
{
    bool variadic = false;
    Elt e = {.c = c, .rank = out_t(c, 0)->rank, .t = elt_type(c, &variadic), .expr = expr};
    out_vars(c, 0, e.i);
    const char *s = expr;
    const Expr *body = variadic ? elt_fold(&e) : elt_parse(&e, &s);
    return def_map(c, out_ten(c, 0), e.i, body);
}

/* ---- programs ---- */

/* Operands that are computed get their tensors first: ids must not depend on C's order of evaluating arguments. */
bool te_lower_node(Te *t, Graph *g, NodeId id)
{
    OpCtx c = {.cx = t->cx, .g = g, .id = id, .n = node(g, id), .x = t->cx->x, .a = t->cx->arena, .te = t};
    for (int k = 0; k < c.n->nin; k++) {
        if (has_in(&c, k) && in_t(&c, k)->kind != TK_CONST) in_ten(&c, k);
    }
    return c.n->op->lower ? c.n->op->lower(&c) : lower_elt(&c, c.n->op->expr);
}

/* Graph outputs that no stage of their own defines (inputs, constants, a tensor given out twice) become copies. */
static void copy_outputs(Te *t, Graph *g)
{
    OpCtx c = {.cx = t->cx, .g = g, .x = t->cx->x, .a = t->cx->arena, .te = t};
    for (uint32_t k = 0; k < g->output.n; k++) {
        const uint32_t from = te_of(t, g->output.at[k]);
        if (from == 0 || ten(t, from)->output == (int32_t)k) continue;
        const Ten *p = ten(t, from);
        const uint32_t to = te_tensor(t, p->name, p->dt, TEN_stage, p->rank, p->dim);
        const Expr *i[MAX_RANK];
        ten(t, to)->output = (int32_t)k;
        vars_for(&c, "ijklmnopquvw", p->rank, p->dim, i);
        def_map(&c, to, i, load_raw(&c, from, i));
    }
}

Te *te_lower(Ctx *cx, Graph *g)
{
    Te *t = te_new(cx, g);
    bool ok = true;
    for (uint32_t k = 0; k < g->input.n; k++) te_of(t, g->input.at[k]);
    for (uint32_t k = 0; k < g->order.n; k++) {
        if (!node(g, g->order.at[k])->dead) ok &= te_lower_node(t, g, g->order.at[k]);
    }
    if (!ok) return NULL;
    copy_outputs(t, g);
    return t;
}

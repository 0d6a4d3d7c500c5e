/* SPDX-License-Identifier: Apache-2.0
 *
 * Constant folding on stages. A map whose body is one constant becomes a fill (never expanded in memory); every other
 * stage that reads constants alone is evaluated by the interpreter, all of them in one run of a small program. Stages
 * whose results would dwarf what they read are left to run time, so a model cannot make the compiler write terabytes.
 */
#include "../pass.h"

enum { MAX_GROWTH = 16, SMALL = 1 << 20 };
#define MAX_STEPS (INT64_C(1) << 32)

typedef struct Fold { Te *te; Arena *a; Exprs *x; bool *fold; /* by stage */ } Fold;

/* ---- fills ---- */

static const Expr *fill_element(void *ctx, const Expr *e)
{
    const Fold *f = ctx;
    if (e->op != EX_load || ten(f->te, e->v.ref)->kind != TEN_const)
        return e;
    const Blob *b = ten(f->te, e->v.ref)->data;
    if (!b->fill || b->count == 0 || b->dt == DT_str)
        return e;
    return dtype_is_float(b->dt) ? ex_const_f(f->x, b->dt, blob_f(b, 0)) : ex_const_i(f->x, b->dt, blob_i(b, 0));
}

static bool dims_known(const Ten *t)
{
    for (uint8_t d = 0; d < t->rank; d++)
        if (!ex_is_const(t->dim[d]))
            return false;
    return true;
}

static int64_t count_of(const Ten *t)
{
    int64_t n = 1;
    for (uint8_t d = 0; d < t->rank; d++)
        n *= t->dim[d]->v.i;
    return n;
}

static void become_constant(Ten *t, const Blob *b)
{
    t->kind = TEN_const;
    t->stage = NO_STAGE;
    t->data = b;
}

static bool try_fill(Fold *f, uint32_t k)
{
    const Stage *s = f->te->stage.at[k];
    Ten *t = ten(f->te, s->out);
    if (s->kind != ST_map || t->output >= 0 || t->dt == DT_str || !dims_known(t))
        return false;
    const Expr *e = ex_map(f->x, s->body, fill_element, f);
    if (!ex_is_const(e))
        return false;
    Blob *b = NEW(f->a, Blob);
    void *value = arena_alloc(f->a, 16, 16);
    if (dtype_is_float(t->dt))
        dtype_put_f(t->dt, value, e->v.f);
    else
        dtype_put_i(t->dt, value, e->v.i);
    *b = (Blob){.dt = t->dt, .count = count_of(t), .data = value, .fill = true};
    become_constant(t, b);
    return true;
}

/* ---- evaluation ---- */

typedef struct Reads { const Fold *f; bool constant; int64_t elements; } Reads;

static void read_constant(void *ctx, const Expr *e)
{
    Reads *r = ctx;
    if (e->op == EX_var && ex_var_info(r->f->x, e)->kind == VK_SYM)
        r->constant = false;
    if (e->op != EX_load && e->op != EX_loadp)
        return;
    const Ten *t = ten(r->f->te, e->v.ref);
    r->constant = r->constant && (t->kind == TEN_const || (t->kind == TEN_stage && r->f->fold[t->stage]));
    r->elements += r->constant && dims_known(t) ? count_of(t) : 0;
}

static bool small_work(const Stage *s, const Ten *t)
{
    int64_t steps = count_of(t);
    for (uint8_t d = 0; d < s->nr; d++)
        if (!ex_is_const(s->rext[d]) || !mul_i64(steps, max_i64(s->rext[d]->v.i, 1), &steps))
            return false;
    return steps <= MAX_STEPS;
}

static bool can_evaluate(const Fold *f, uint32_t k)
{
    const Stage *s = f->te->stage.at[k];
    const Ten *t = ten(f->te, s->out);
    if (s->kind == ST_call || t->output >= 0 || t->dt == DT_str || !dims_known(t) || !small_work(s, t))
        return false;
    Reads r = {f, true, 1};
    ex_walk(s->body, read_constant, &r);
    if (s->init)
        ex_walk(s->init, read_constant, &r);
    for (uint8_t d = 0; s->kind == ST_scatter && d < t->rank; d++)
        ex_walk(s->at[d], read_constant, &r);
    return r.constant && (count_of(t) <= SMALL || count_of(t) / MAX_GROWTH <= r.elements);
}

typedef struct Needed { const Fold *f; bool *needed; } Needed;

static void mark_needed(void *ctx, const Expr *e)
{
    const Needed *n = ctx;
    if ((e->op == EX_load || e->op == EX_loadp) && ten(n->f->te, e->v.ref)->kind == TEN_stage && n->f->fold[ten(n->f->te, e->v.ref)->stage])
        n->needed[e->v.ref] = true;
}

/* Folded tensors that something at run time reads. */
static bool *results(const Fold *f)
{
    Needed n = {f, NEWN(f->a, bool, f->te->ten.n)};
    for (uint32_t k = 0; k < f->te->stage.n; k++) {
        const Stage *s = f->te->stage.at[k];
        if (f->fold[k])
            continue;
        if (s->body)
            ex_walk(s->body, mark_needed, &n);
        if (s->init)
            ex_walk(s->init, mark_needed, &n);
        for (uint8_t d = 0; s->kind == ST_scatter && d < ten(f->te, s->out)->rank; d++)
            ex_walk(s->at[d], mark_needed, &n);
        for (uint8_t q = 0; q < s->nin; q++)
            if (s->in[q] && ten(f->te, s->in[q])->kind == TEN_stage && f->fold[ten(f->te, s->in[q])->stage])
                n.needed[s->in[q]] = true;
    }
    return n.needed;
}

/* The folded stages as a program of their own, whose outputs are the needed tensors. */
static Te *constant_program(const Fold *f, const bool *needed, uint32_t *nout)
{
    Te *te = NEW(f->a, Te);
    te->cx = f->te->cx;
    *nout = 0;
    for (uint32_t k = 0; k < f->te->ten.n; k++) {
        Ten *t = k ? arena_copy(f->a, ten(f->te, k), sizeof(Ten)) : NULL;
        if (t && t->kind == TEN_input)
            t->kind = TEN_const;
        if (t)
            t->output = needed[k] ? (int32_t)(*nout)++ : -1;
        PUSH(f->a, &te->ten, t);
    }
    for (uint32_t k = 0; k < f->te->stage.n; k++)
        if (f->fold[k]) {
            ten(te, f->te->stage.at[k]->out)->stage = te->stage.n;
            PUSH(f->a, &te->stage, f->te->stage.at[k]);
        }
    return te;
}

static bool evaluate(Fold *f, const bool *needed)
{
    uint32_t nout;
    const Te *te = constant_program(f, needed, &nout);
    const Unit *u = build_nests(f->te->cx, schedule_O0(f->a, te), "constants");
    mlcc_tensor *out = NEWN(f->a, mlcc_tensor, nout + 1);
    for (uint32_t k = 0; k < nout; k++)
        out[k].data = arena_alloc(f->a, (size_t)buf(u, u->output.at[k])->bytes + 1, 64);
    if (!unit_run(f->a, u, NULL, out))
        return false;
    for (uint32_t k = 1; k < te->ten.n; k++)
        if (needed[k]) {
            Ten *t = ten(f->te, k);
            become_constant(t, blob_make(f->a, t->dt, count_of(t), out[ten(te, k)->output].data));
        }
    return true;
}

/* Drops the stages whose tensors became constants or are read by nothing any more. */
static void drop_stages(Fold *f, const bool *folded)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < f->te->stage.n; k++) {
        Stage *s = f->te->stage.at[k];
        if (folded[k]) {
            ten(f->te, s->out)->stage = NO_STAGE;
            continue;
        }
        for (uint8_t o = 0; s->kind == ST_call && o < s->nout; o++)
            ten(f->te, s->outs[o])->stage = n;
        ten(f->te, s->out)->stage = n;
        f->te->stage.at[n++] = s;
    }
    f->te->stage.n = n;
}

bool pass_fold(Program *p)
{
    Fold f = {p->te, p->cx->arena, p->cx->x, NEWN(p->cx->arena, bool, p->te->stage.n + 1)};
    bool *gone = NEWN(f.a, bool, p->te->stage.n + 1), any = false;
    for (uint32_t k = 0; k < p->te->stage.n; k++) {
        if (try_fill(&f, k)) {
            gone[k] = true;
            continue;
        }
        f.fold[k] = gone[k] = can_evaluate(&f, k);
        any = any || f.fold[k];
    }
    const bool *needed = results(&f);
    if (any && !evaluate(&f, needed))
        return false;
    drop_stages(&f, gone);
    for (uint32_t k = 0; k < p->te->stage.n; k++)
        remark(p, "fold", false, "'%s' is computed at run time", ten(p->te, p->te->stage.at[k]->out)->name);
    return true;
}

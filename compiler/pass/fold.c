/* SPDX-License-Identifier: Apache-2.0
 *
 * Constant folding on stages. A map whose body is one constant becomes a fill (never expanded in memory); every other
 * stage that reads constants alone is evaluated by the interpreter: what is small at once, in one run of a small program,
 * a weight when it is asked for, in a run of its own, so that only one is in memory. Stages whose results would dwarf what
 * they read are left to run time, so a model cannot make the compiler write terabytes.
 */
#include "../auto.h"
#include "../pass.h"

enum { MAX_GROWTH = 16, SMALL = 1 << 20, LARGE = 1 << 16 };
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

/* ---- which stages ---- */

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

/* ---- evaluation ---- */

typedef struct Marks { const Te *te; bool *marked; } Marks;

static void mark_load(void *ctx, const Expr *e)
{
    const Marks *m = ctx;
    if (e->op == EX_load || e->op == EX_loadp)
        m->marked[e->v.ref] = true;
}

/* By tensor: folded ones that something at run time reads. */
static bool *results(const Fold *f)
{
    const Te *te = f->te;
    Marks m = {te, NEWN(f->a, bool, te->ten.n)};
    for (uint32_t k = 0; k < te->stage.n; k++) {
        const Stage *s = te->stage.at[k];
        if (f->fold[k])
            continue;
        walk_stage(te, s, s->body, mark_load, &m);
        for (uint8_t q = 0; q < s->nin; q++)
            m.marked[s->in[q]] = true;
    }
    for (uint32_t t = 1; t < te->ten.n; t++)
        m.marked[t] = m.marked[t] && ten(te, t)->kind == TEN_stage && f->fold[ten(te, t)->stage];
    return m.marked;
}

/* The stages that the wanted tensors rest on, as a program of its own with these as outputs. Inputs are not read. */
static Te *constant_program(Ctx *cx, const Te *all, const bool *wanted)
{
    Arena *a = cx->arena;
    Te *te = NEW(a, Te);
    Marks m = {all, arena_copy(a, wanted, all->ten.n * sizeof *wanted)};
    bool *run = NEWN(a, bool, all->stage.n);
    int32_t nout = 0;
    te->cx = cx;
    for (uint32_t k = 0; k < all->ten.n; k++) {
        Ten *t = k ? arena_copy(a, ten(all, k), sizeof(Ten)) : NULL;
        if (t && t->kind == TEN_input)
            t->kind = TEN_const;
        if (t)
            t->output = wanted[k] ? nout++ : -1;
        PUSH(a, &te->ten, t);
    }
    for (uint32_t k = all->stage.n; k-- > 0;) {
        const Stage *s = all->stage.at[k];
        run[k] = s->kind != ST_call && m.marked[s->out];
        if (run[k])
            walk_stage(all, s, s->body, mark_load, &m);
    }
    for (uint32_t k = 0; k < all->stage.n; k++)
        if (run[k]) {
            ten(te, all->stage.at[k]->out)->stage = te->stage.n;
            PUSH(a, &te->stage, all->stage.at[k]);
        }
    return te;
}

/* Runs the wanted tensors' program; result(ctx, tensor, elements) of each. cx: of the whole compile. */
static bool evaluate(const Ctx *cx, const Te *all, const bool *wanted, void (*result)(void *ctx, uint32_t t, const void *data), void *ctx)
{
    Ctx scratch = *cx;
    Arena *a = scratch.arena = arena_child(cx->arena);
    const Te *te = constant_program(&scratch, all, wanted);
    const Unit *u = build_nests(&scratch, schedule_O0(a, te), "constants");
    mlcc_tensor *out = NEWN(a, mlcc_tensor, u->output.n + 1);
    for (uint32_t k = 0; k < u->output.n; k++)
        out[k].data = arena_alloc(a, (size_t)buf(u, u->output.at[k])->bytes + 1, 64);
    const bool ok = unit_run(a, u, NULL, out);
    for (uint32_t t = 1; ok && t < te->ten.n; t++)
        if (wanted[t])
            result(ctx, t, out[ten(te, t)->output].data);
    arena_free(a);
    return ok;
}

static void keep_result(void *ctx, uint32_t t, const void *data)
{
    const Fold *f = ctx;
    Ten *to = ten(f->te, t);
    become_constant(to, blob_make(f->a, to->dt, count_of(to), data));
}

/* ---- large results: evaluated when they are asked for ---- */

typedef struct Folded { Recipe r; const Ctx *cx; const Te *all; uint32_t t; } Folded;
typedef struct Into { char *out; size_t bytes; } Into;

static void copy_result(void *ctx, uint32_t t, const void *data)
{
    const Into *to = ctx;
    (void)t;
    memcpy(to->out, data, to->bytes);
}

static void make_folded(const Recipe *r, const char *from, int64_t first, int64_t n, char *out)
{
    const Folded *f = (const Folded *)r;
    Arena *scratch = arena_child(r->arena);
    bool *wanted = NEWN(scratch, bool, f->all->ten.n);
    Into to = {out, (size_t)n * dtype_bytes(ten(f->all, f->t)->dt)};
    (void)from;
    (void)first;
    wanted[f->t] = true;
    if (!evaluate(f->cx, f->all, wanted, copy_result, &to))
        ICE("'%s' was to be computed from constants", ten(f->all, f->t)->name);
    arena_free(scratch);
}

/* The program as it is before anything becomes a constant. */
static const Te *snapshot(const Fold *f)
{
    Te *te = NEW(f->a, Te);
    te->cx = f->te->cx;
    for (uint32_t k = 0; k < f->te->ten.n; k++)
        PUSH(f->a, &te->ten, k ? arena_copy(f->a, ten(f->te, k), sizeof(Ten)) : NULL);
    for (uint32_t k = 0; k < f->te->stage.n; k++)
        PUSH(f->a, &te->stage, f->te->stage.at[k]);
    return te;
}

static bool evaluate_all(Fold *f, const bool *needed)
{
    const Te *all = snapshot(f);
    bool *now = NEWN(f->a, bool, all->ten.n), any = false;
    for (uint32_t t = 1; t < all->ten.n; t++) {
        const int64_t count = needed[t] ? count_of(ten(all, t)) : 0;
        now[t] = needed[t] && count <= LARGE;
        any = any || now[t];
        if (count <= LARGE)
            continue;
        Folded *r = NEW(f->a, Folded);
        *r = (Folded){{.arena = f->a, .unit = count, .make = make_folded}, f->te->cx, all, t};
        become_constant(ten(f->te, t), blob_made(f->a, ten(all, t)->dt, count, &r->r));
    }
    return !any || evaluate(f->te->cx, all, now, keep_result, f);
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
    if (any && !evaluate_all(&f, needed))
        return false;
    drop_stages(&f, gone);
    for (uint32_t k = 0; k < p->te->stage.n; k++)
        remark(p, "fold", false, "'%s' is computed at run time", ten(p->te, p->te->stage.at[k]->out)->name);
    return true;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Schedule to loop nests. Every root stage becomes one function; inline stages are substituted into their readers,
 * register stages become the accumulators of their host's tile, `at` stages are produced inside their host's loops into
 * scratch whose size and place follow from the region that the host reads (bounds inference).
 *
 * A stage is built over a box: for each index variable a lower bound (affine in outer loop variables) and an extent.
 * Loops of the schedule shrink the box, with a tail where the step does not divide; what is left is the tile's.
 */
#include "schedule.h"

#include <stdio.h>

#include "../codegen/out.h"
#include "../ir/call.h"
#include "../ir/op.h"

enum { MAX_CUTS = 64 }; /* of one stage into parts, each with loops of its own */

typedef struct Box { const Expr *lo[MAX_RANK], *ext[MAX_RANK]; bool known; } Box;

typedef struct Build {
    Ctx *cx;
    Exprs *x;
    Arena *a;
    const Schedule *s;
    const Te *te;
    Unit *u;
    const Expr **body;  /* by stage: body with inline tensors substituted */
    uint32_t *buf_of;   /* by tensor: buffer, 0: none yet */
    Box *made;          /* by tensor: region that an `at` tensor holds now */
    const Expr **acc;   /* by tensor: register that holds a register stage's value, NULL otherwise */
    Func *f;
} Build;

static const Ten *out_of(const Build *b, const Stage *s) { return ten(b->te, s->out); }
static const StagePlan *plan_of(const Build *b, uint32_t stage) { return &b->s->stage[stage]; }

static Placement place_of(const Build *b, uint32_t t)
{
    const Ten *n = ten(b->te, t);
    return n->kind == TEN_stage ? plan_of(b, n->stage)->place : PL_root;
}

/* ---- inlining ---- */

static const Expr *substitute_stage(Build *b, const Stage *s, const Expr *body, const Expr *const *index)
{
    Subst sub[MAX_RANK];
    const uint8_t rank = out_of(b, s)->rank;
    for (uint8_t d = 0; d < rank; d++)
        sub[d] = (Subst){s->var[d], index[d]};
    return ex_subst(b->x, body, sub, rank);
}

static const Expr *inside(Build *b, const Ten *t, const Expr *const *index)
{
    const Expr *in = ex_const_i(b->x, DT_bool, 1);
    for (uint8_t d = 0; d < t->rank; d++) {
        in = ex_binary(b->x, EX_and, in, ex_binary(b->x, EX_le, ex_int(b->x, 0), index[d]));
        in = ex_binary(b->x, EX_and, in, ex_binary(b->x, EX_lt, index[d], t->dim[d]));
    }
    return in;
}

static bool always_inside(const Build *b, const Ten *t, const Expr *const *index, uint8_t d)
{
    int64_t lo, hi;
    const Expr *room = ex_sub(b->x, ex_sub(b->x, t->dim[d], ex_int(b->x, 1)), index[d]);
    return ex_range(b->x, index[d], &lo, &hi) && lo >= 0 && ex_range(b->x, room, &lo, &hi) && lo >= 0;
}

/* Dimension of the tensor behind a view that is dimension d of the view, both of one extent; -1: none. */
static int same_dimension(const Build *b, const Stage *view, const Expr *load, uint8_t d)
{
    const Ten *t = out_of(b, view), *behind = ten(b->te, load->v.ref);
    for (uint8_t q = 0; q < behind->rank; q++)
        if (load->a[q] == view->var[d] && behind->dim[q] == t->dim[d])
            return q;
    return -1;
}

/* A guarded read of a view as a guarded read of what is behind it: where the guard can fail, both have the same
 * dimension; everywhere else the index is inside anyway. NULL: the guard has to be written out. */
static const Expr *guard_through(Build *b, const Stage *view, const Expr *body, const Expr *e)
{
    const Ten *t = out_of(b, view);
    if (body->op != EX_load)
        return NULL;
    for (uint8_t d = 0; d < t->rank; d++)
        if (!always_inside(b, t, e->a, d) && same_dimension(b, view, body, d) < 0)
            return NULL;
    const Expr *index[MAX_RANK];
    for (uint16_t q = 0; q < body->n; q++)
        index[q] = substitute_stage(b, view, body->a[q], e->a);
    return ex_loadp(b->x, (DType)body->dt, body->v.ref, body->n, index, e->a[t->rank]);
}

static const Expr *inline_load(void *ctx, const Expr *e)
{
    Build *b = ctx;
    if ((e->op != EX_load && e->op != EX_loadp) || place_of(b, e->v.ref) != PL_inline)
        return e;
    const Ten *t = ten(b->te, e->v.ref);
    const Stage *view = b->te->stage.at[t->stage];
    const Expr *through = e->op == EX_loadp ? guard_through(b, view, b->body[t->stage], e) : NULL;
    if (through)
        return through;
    const Expr *v = substitute_stage(b, view, b->body[t->stage], e->a);
    return e->op == EX_load ? v : ex_select(b->x, inside(b, t, e->a), v, e->a[t->rank]);
}

static void inline_bodies(Build *b)
{
    b->body = NEWN(b->a, const Expr *, b->te->stage.n);
    for (uint32_t k = 0; k < b->te->stage.n; k++) {
        const Stage *s = b->te->stage.at[k];
        if (s->body)
            b->body[k] = ex_map(b->x, s->body, inline_load, b);
    }
}

/* Bodies by stage with the inline tensors of s substituted; NULL where a stage has none. */
const Expr **schedule_bodies(Arena *a, Ctx *cx, const Schedule *s)
{
    Build b = {.cx = cx, .x = cx->x, .a = a, .s = s, .te = s->te};
    inline_bodies(&b);
    return b.body;
}

/* ---- buffers ---- */

static void apply_layout(Build *b, Buf *buffer, uint32_t t)
{
    const Layout *l = &b->s->layout[t];
    if (l->set) {
        memcpy(buffer->order, l->order, sizeof l->order);
        memcpy(buffer->lo, l->lo, sizeof l->lo);
        memcpy(buffer->hi, l->hi, sizeof l->hi);
        buffer->pad = l->pad;
    }
    buf_layout(b->u, buffer);
}

static BufClass class_of(const Ten *t)
{
    if (t->kind == TEN_input)
        return BC_input;
    if (t->kind == TEN_const)
        return BC_const;
    return t->output >= 0 ? BC_output : BC_arena;
}

/* Constant in the storage order of its layout. */
static const Blob *reordered(Build *b, const Buf *to, const Blob *from)
{
    bool same = true;
    for (uint8_t d = 0; d < to->rank; d++)
        same = same && to->order[d] == d;
    if (same || from->fill)
        return from;
    const size_t size = dtype_bytes(to->dt);
    char *src = arena_alloc(b->a, (size_t)to->bytes, 64), *dst = arena_alloc(b->a, (size_t)to->bytes, 64);
    blob_get(from, 0, from->count, src);
    int64_t at[MAX_RANK] = {0};
    for (int64_t k = 0; k < from->count; k++) {
        int64_t place = 0;
        for (uint8_t d = 0; d < to->rank; d++)
            place += at[d] * to->stride[d]->v.i;
        memcpy(dst + (size_t)place * size, src + (size_t)k * size, size);
        for (int d = to->rank - 1; d >= 0 && ++at[d] == to->dim[d]->v.i; d--)
            at[d] = 0;
    }
    Blob *r = NEW(b->a, Blob);
    *r = (Blob){.dt = from->dt, .count = from->count, .data = dst};
    return r;
}

static uint32_t buffer_of(Build *b, uint32_t t)
{
    if (b->buf_of[t])
        return b->buf_of[t];
    const Ten *n = ten(b->te, t);
    const uint32_t id = unit_buf(b->u, n->name, n->dt, class_of(n), n->rank, n->dim);
    Buf *buffer = buf(b->u, id);
    apply_layout(b, buffer, t);
    buffer->ten = t;
    buffer->io = n->kind == TEN_input ? n->input : n->output;
    if (n->kind == TEN_const)
        buffer->data = reordered(b, buffer, n->data);
    return b->buf_of[t] = id;
}

/* ---- expressions of the nest ---- */

/* Index into the buffer: `at` scratch starts at its region's lower bound. */
static void shift_index(const Build *b, uint32_t t, const Expr *const *index, uint8_t rank, const Expr **r)
{
    for (uint8_t d = 0; d < rank; d++)
        r[d] = place_of(b, t) == PL_at ? ex_sub(b->x, index[d], b->made[t].lo[d]) : index[d];
}

static bool pad_holds(const Buf *p, const Expr *fill)
{
    for (uint8_t d = 0; d < p->rank; d++)
        if (p->lo[d] || p->hi[d])
            return ex_is_const(fill) && (dtype_is_float((DType)fill->dt) ? fill->v.f : (double)fill->v.i) == p->pad;
    return true;
}

/* A guarded load needs no guard when the index stays inside the buffer, its halo included. */
static bool guard_proved(const Build *b, const Buf *p, const Expr *const *index, const Expr *fill)
{
    if (!pad_holds(p, fill))
        return false;
    for (uint8_t d = 0; d < p->rank; d++) {
        const Expr *room = ex_sub(b->x, ex_add(b->x, p->dim[d], ex_int(b->x, p->hi[d] - 1)), index[d]);
        int64_t lo, hi;
        if (!ex_range(b->x, index[d], &lo, &hi) || lo < -p->lo[d] || !ex_range(b->x, room, &lo, &hi) || lo < 0)
            return false;
    }
    return true;
}

/* Element of a constant fill. */
static const Expr *fill_value(Build *b, const Expr *e, const Blob *data)
{
    const DType dt = (DType)e->dt;
    return dtype_is_float(dt) ? ex_const_f(b->x, dt, blob_f(data, 0)) : ex_const_i(b->x, dt, blob_i(data, 0));
}

/* On a load, while tensors become buffers: it names a buffer already. When an operation around it vanishes (a select whose
 * condition is now known), the rewriting meets it again. */
#define IS_BUFFER 0x80000000u

static const Expr *to_buffer(void *ctx, const Expr *e)
{
    Build *b = ctx;
    if ((e->op != EX_load && e->op != EX_loadp) || (e->v.ref & IS_BUFFER))
        return e;
    const uint32_t t = e->v.ref;
    const Ten *n = ten(b->te, t);
    if (e->op == EX_load && n->kind == TEN_const && n->data->fill && n->data->count > 0 && n->dt != DT_str)
        return fill_value(b, e, n->data);
    if (b->acc[t])
        return ex_cast(b->x, (DType)e->dt, b->acc[t]);
    const uint32_t id = buffer_of(b, t);
    const uint8_t rank = n->rank;
    const Expr *index[MAX_RANK];
    shift_index(b, t, e->a, rank, index);
    if (e->op == EX_load || guard_proved(b, buf(b->u, id), index, e->a[rank]))
        return ex_load(b->x, (DType)e->dt, id | IS_BUFFER, rank, index);
    return ex_loadp(b->x, (DType)e->dt, id | IS_BUFFER, rank, index, e->a[rank]);
}

static const Expr *unmark(void *ctx, const Expr *e)
{
    const Build *b = ctx;
    if ((e->op != EX_load && e->op != EX_loadp) || !(e->v.ref & IS_BUFFER))
        return e;
    const uint32_t id = e->v.ref & ~IS_BUFFER;
    if (e->op == EX_load)
        return ex_load(b->x, (DType)e->dt, id, e->n, e->a);
    return ex_loadp(b->x, (DType)e->dt, id, (uint16_t)(e->n - 1), e->a, e->a[e->n - 1]);
}

static const Expr *nest_expr(Build *b, const Expr *e, const Subst *sub, uint32_t n)
{
    return e ? ex_map(b->x, ex_map(b->x, ex_subst(b->x, e, sub, n), to_buffer, b), unmark, b) : NULL;
}

/* ---- bounds inference ---- */

typedef struct Region { Build *b; uint32_t t; Box box; const Expr **inner, **last; uint32_t ninner; } Region;

/* Extreme of e over inner variables (each 0..last around a base that is already substituted). */
static const Expr *extreme(Region *r, const Expr *e, bool upper)
{
    for (uint32_t k = 0; k < r->ninner; k++) {
        bool linear;
        const int64_t c = ex_coef(e, r->inner[k], &linear);
        if (!linear)
            return NULL;
        const Subst s = {r->inner[k], (c > 0) == upper ? r->last[k] : ex_int(r->b->x, 0)};
        e = ex_subst(r->b->x, e, &s, 1);
    }
    return e;
}

static void grow(Region *r, uint8_t d, const Expr *lo, const Expr *hi)
{
    Exprs *x = r->b->x;
    const Expr *n = ex_add(x, ex_sub(x, hi, lo), ex_int(x, 1));
    if (!r->box.lo[d]) {
        r->box.lo[d] = lo;
        r->box.ext[d] = n;
        return;
    }
    const Expr *old_end = ex_add(x, r->box.lo[d], r->box.ext[d]), *end = ex_add(x, lo, n);
    const Expr *low = ex_binary(x, EX_min, r->box.lo[d], lo);
    r->box.ext[d] = ex_sub(x, ex_binary(x, EX_max, old_end, end), low);
    r->box.lo[d] = low;
}

/* A guarded load may reach beyond the tensor, where there is nothing to compute. False: it is not known how far it reaches. */
static bool clip(const Expr *dim, Exprs *x, const Expr **lo, const Expr **hi)
{
    int64_t least, most;
    const Expr *room = ex_sub(x, ex_sub(x, dim, ex_int(x, 1)), *hi);
    if (ex_range(x, *lo, &least, &most) && least >= 0 && ex_range(x, room, &least, &most) && least >= 0)
        return true;
    if (!ex_is_const(*lo) || !ex_is_const(*hi) || !ex_is_const(dim))
        return false;
    *lo = ex_int(x, max_i64((*lo)->v.i, 0));
    *hi = ex_int(x, min_i64((*hi)->v.i, dim->v.i - 1));
    return (*hi)->v.i >= (*lo)->v.i;
}

static void region_load(void *ctx, const Expr *e)
{
    Region *r = ctx;
    if ((e->op != EX_load && e->op != EX_loadp) || e->v.ref != r->t)
        return;
    const Ten *t = ten(r->b->te, r->t);
    for (uint8_t d = 0; d < t->rank; d++) {
        const Expr *lo = extreme(r, e->a[d], false), *hi = extreme(r, e->a[d], true);
        if (!lo || !hi || (e->op == EX_loadp && !clip(t->dim[d], r->b->x, &lo, &hi))) { /* not affine: the whole dimension */
            lo = ex_int(r->b->x, 0);
            hi = ex_sub(r->b->x, t->dim[d], ex_int(r->b->x, 1));
        }
        grow(r, d, lo, hi);
    }
    r->box.known = true;
}

static const Expr *inner_var(Region *r, const Expr *extent)
{
    Exprs *x = r->b->x;
    r->last[r->ninner] = ex_sub(x, extent, ex_int(x, 1));
    return r->inner[r->ninner++] = ex_index(x, "q", extent);
}

/* Adds what stage k, computed over `box`, reads of the region's tensor. */
static void region_of_stage(Region *r, uint32_t k, const Box *box)
{
    Build *b = r->b;
    const Stage *s = b->te->stage.at[k];
    const uint8_t rank = out_of(b, s)->rank;
    Subst sub[2 * MAX_RANK];
    const Expr *inner[2 * MAX_RANK], *last[2 * MAX_RANK];
    r->inner = inner;
    r->last = last;
    r->ninner = 0;
    for (uint8_t d = 0; d < rank; d++)
        sub[d] = (Subst){s->var[d], ex_add(b->x, box->lo[d], inner_var(r, box->ext[d]))};
    for (uint8_t d = 0; d < s->nr; d++)
        sub[rank + d] = (Subst){s->rvar[d], inner_var(r, s->rext[d])};
    ex_walk(ex_subst(b->x, b->body[k], sub, (uint32_t)rank + s->nr), region_load, r);
}

/* Region of tensor t that its readers inside host need while the host covers `box`: readers are the host itself, its
 * register stages, and `at` stages whose own region is known (they are visited from the host backwards). Not known: this
 * part of the host reads nothing of it. */
static Box region(Build *b, uint32_t t, uint32_t host, const Box *box)
{
    Region r = {.b = b, .t = t};
    region_of_stage(&r, host, box);
    for (uint32_t k = b->te->stage.n; k-- > 0;) {
        const StagePlan *p = plan_of(b, k);
        const uint32_t out = b->te->stage.at[k]->out;
        if (p->place == PL_at && p->host == host && out != t && b->made[out].known)
            region_of_stage(&r, k, &b->made[out]);
        else if (p->place == PL_register && p->host == host)
            region_of_stage(&r, k, box);
    }
    return r.box;
}

/* ---- plain loops ---- */

static const char *var_name(const Build *b, const Expr *v) { return ex_var_info(b->x, v)->name; }

/* Loop over a box dimension; returns the expression that the index variable stands for. */
static const Expr *loop_over(Build *b, Nest **in, const Expr *v, const Expr *lo, const Expr *ext)
{
    if (ex_is_int(ext, 1))
        return lo;
    const Expr *q = ex_index(b->x, var_name(b, v), ext);
    *in = nest_for(b->a, *in, q, ex_int(b->x, 0), ext);
    return ex_add(b->x, lo, q);
}

static void store_out(Build *b, Nest *in, const Stage *s, const Subst *sub, const Expr *value)
{
    const Ten *t = out_of(b, s);
    const Expr *logical[MAX_RANK], *index[MAX_RANK];
    for (uint8_t d = 0; d < t->rank; d++)
        logical[d] = sub[d].to;
    shift_index(b, s->out, logical, t->rank, index);
    nest_store(b->a, in, buffer_of(b, s->out), t->rank, index, ex_cast(b->x, t->dt, value));
}

/* Register for the reduction of `body` over `count` steps. Of an integer sum the range is known when the body's is, so
 * that emission can see that nothing wraps. */
static const Expr *accumulator(Build *b, RedOp op, const Expr *body, int64_t count)
{
    const DType dt = (DType)body->dt;
    int64_t lo = dtype_is_float(dt) ? 0 : dtype_min(dt), hi = dtype_is_float(dt) ? 0 : dtype_max(dt), l, h;
    if (dtype_is_int(dt) && op == RED_sum && ex_range(b->x, body, &l, &h) && mul_i64(l, count, &l) && mul_i64(h, count, &h) && l > lo / 2 && h < hi / 2) {
        lo = min_i64(l, 0);
        hi = max_i64(h, 0);
    }
    return ex_var(b->x, VK_REG, dt, "acc", lo, hi);
}

static int64_t step_count(const Build *b, const Stage *s)
{
    int64_t n = 1;
    for (uint8_t d = 0; d < s->nr; d++)
        if (!mul_i64(n, ex_upper(b->x, s->rext[d]), &n))
            return INT64_MAX;
    return n;
}

/* acc = identity; for r..: acc = op(acc, body); the nest goes on behind with the sum in the register returned. */
static const Expr *reduce_loops(Build *b, Nest *in, const Stage *s, const Expr *body, Subst *sub, uint32_t nsub)
{
    const Expr *acc = accumulator(b, s->op, body, step_count(b, s));
    nest_let(b->a, in, acc, red_identity(b->x, s->op, (DType)body->dt));
    Nest *inner = in;
    for (uint8_t d = 0; d < s->nr; d++)
        sub[nsub + d] = (Subst){s->rvar[d], loop_over(b, &inner, s->rvar[d], ex_int(b->x, 0), s->rext[d])};
    const Expr *e = nest_expr(b, body, sub, nsub + s->nr);
    nest_set(b->a, inner, acc, red_combine(b->x, s->op, acc, e));
    return acc;
}

static void plain_scan(Build *b, Nest *in, uint32_t k, Subst *sub, uint8_t rank)
{
    const Stage *s = b->te->stage.at[k];
    const Expr *acc = accumulator(b, s->op, s->body, ex_upper(b->x, out_of(b, s)->dim[s->axis]));
    nest_let(b->a, in, acc, red_identity(b->x, s->op, (DType)s->body->dt));
    sub[s->axis].to = loop_over(b, &in, s->var[s->axis], ex_int(b->x, 0), out_of(b, s)->dim[s->axis]);
    nest_set(b->a, in, acc, red_combine(b->x, s->op, acc, nest_expr(b, b->body[k], sub, rank)));
    store_out(b, in, s, sub, acc);
}

static void plain_body(Build *b, Nest *in, uint32_t k, Subst *sub, uint8_t rank)
{
    const Stage *s = b->te->stage.at[k];
    if (s->kind == ST_map)
        store_out(b, in, s, sub, nest_expr(b, b->body[k], sub, rank));
    else if (s->kind == ST_reduce)
        store_out(b, in, s, sub, reduce_loops(b, in, s, b->body[k], sub, rank));
    else
        plain_scan(b, in, k, sub, rank);
}

/* Loops in storage order, so that the innermost walks memory. */
static void plain_stage(Build *b, Nest *in, uint32_t k, const Box *box)
{
    const Stage *s = b->te->stage.at[k];
    const uint8_t rank = out_of(b, s)->rank;
    const uint8_t *order = buf(b->u, buffer_of(b, s->out))->order;
    Subst sub[3 * MAX_RANK];
    for (uint8_t q = 0; q < rank; q++) {
        const uint8_t d = order[q];
        const bool later = s->kind == ST_scan && d == s->axis;
        sub[d] = (Subst){s->var[d], later ? NULL : loop_over(b, &in, s->var[d], box->lo[d], box->ext[d])};
    }
    plain_body(b, in, k, sub, rank);
}

/* ---- register tiles ---- */

static void tile_points(Build *b, Tile *t, const StagePlan *p, const Stage *s, const Box *box, Subst *sub)
{
    const uint8_t rank = out_of(b, s)->rank;
    for (uint8_t d = 0; d < rank; d++) {
        const int64_t n = ex_upper(b->x, box->ext[d]);
        const Expr *at = box->lo[d];
        if (n > 1) {
            const Expr *q = ex_index(b->x, var_name(b, s->var[d]), box->ext[d]);
            at = ex_add(b->x, at, q);
            if (p->lane == (int8_t)d) {
                t->lane = q;
                t->lanes = (int32_t)n;
                t->open = ex_is_const(box->ext[d]) ? NULL : box->ext[d];
            } else {
                t->pvar[t->np] = q;
                t->pext[t->np++] = (int32_t)n;
            }
        }
        sub[d] = (Subst){s->var[d], at};
    }
}

static void tile_reduction(Build *b, Tile *t, const Stage *r, int lane, const Expr *body, Subst *sub, uint32_t nsub)
{
    for (uint8_t d = 0; d < r->nr; d++) {
        if (ex_is_int(r->rext[d], 1) && lane != d) {
            sub[nsub++] = (Subst){r->rvar[d], ex_int(b->x, 0)};
            continue;
        }
        const Expr *q = ex_index(b->x, var_name(b, r->rvar[d]), r->rext[d]);
        sub[nsub++] = (Subst){r->rvar[d], q};
        t->rvar[t->nr] = q;
        t->rext[t->nr++] = r->rext[d];
        if (lane == d) {
            t->lane = q;
            t->lanes = (int32_t)ex_upper(b->x, r->rext[d]);
            t->open = ex_is_const(r->rext[d]) ? NULL : r->rext[d];
            t->across = true;
        }
    }
    t->red = r->op;
    t->body = nest_expr(b, body, sub, nsub);
    t->acc = accumulator(b, r->op, t->body, step_count(b, r));
}

static void tile_store(Build *b, Tile *t, const Stage *s, const Subst *sub, const Expr *value)
{
    const Ten *o = out_of(b, s);
    const Expr *logical[MAX_RANK];
    for (uint8_t d = 0; d < o->rank; d++)
        logical[d] = sub[d].to;
    t->nstore = 1;
    t->store = NEW(b->a, Store);
    t->store->buf = buffer_of(b, s->out);
    t->store->value = ex_cast(b->x, o->dt, value);
    shift_index(b, s->out, logical, o->rank, t->store->idx);
}

/* The register stage of host k, or -1. */
static int64_t register_stage(const Build *b, uint32_t k)
{
    for (uint32_t r = 0; r < b->te->stage.n; r++)
        if (plan_of(b, r)->place == PL_register && plan_of(b, r)->host == k)
            return r;
    return -1;
}

typedef struct FindLoad { uint32_t ref; const Expr *at; } FindLoad;

static void find_load(void *ctx, const Expr *e)
{
    FindLoad *f = ctx;
    if ((e->op == EX_load || e->op == EX_loadp) && e->v.ref == f->ref) {
        if (f->at && f->at != e)
            ICE("a register stage is read at two places");
        f->at = e;
    }
}

/* What the variables of register stage r stand for where those of its host k stand for sub. Returns how many. */
static uint8_t register_vars(Build *b, uint32_t k, uint32_t r, const Subst *sub, Subst *inner)
{
    const Stage *s = b->te->stage.at[k], *red = b->te->stage.at[r];
    FindLoad f = {.ref = red->out};
    ex_walk(b->body[k], find_load, &f);
    if (!f.at)
        ICE("'%s' does not read its register stage", out_of(b, s)->name);
    const uint8_t rank = out_of(b, red)->rank;
    for (uint8_t d = 0; d < rank; d++)
        inner[d] = (Subst){red->var[d], ex_subst(b->x, f.at->a[d], sub, out_of(b, s)->rank)};
    return rank;
}

static void tile_register(Build *b, Tile *t, uint32_t k, uint32_t r, Subst *sub, uint8_t rank)
{
    const Stage *s = b->te->stage.at[k], *red = b->te->stage.at[r];
    Subst inner[3 * MAX_RANK];
    tile_reduction(b, t, red, -1, b->body[r], inner, register_vars(b, k, r, sub, inner));
    b->acc[red->out] = t->acc;
    tile_store(b, t, s, sub, nest_expr(b, b->body[k], sub, rank));
    b->acc[red->out] = NULL;
}

static void tile_stage(Build *b, Nest *in, uint32_t k, const Box *box)
{
    const Stage *s = b->te->stage.at[k];
    const uint8_t rank = out_of(b, s)->rank;
    const StagePlan *p = plan_of(b, k);
    const int64_t r = register_stage(b, k);
    Tile *t = NEW(b->a, Tile);
    Subst sub[3 * MAX_RANK];
    tile_points(b, t, p, s, box, sub);
    if (r >= 0) {
        tile_register(b, t, k, (uint32_t)r, sub, rank);
    } else if (s->kind == ST_reduce) {
        tile_reduction(b, t, s, p->lane - rank, b->body[k], sub, rank);
        tile_store(b, t, s, sub, t->acc);
    } else {
        tile_store(b, t, s, sub, nest_expr(b, b->body[k], sub, rank));
    }
    t->fence = t->red == RED_sum && !t->across && t->np > 0 && t->body->op == EX_mul;
    nest_tile(b->a, in, t);
}

/* ---- one stage over a box ---- */

static void build_stage(Build *b, Nest *in, uint32_t k, const Box *box, uint8_t level);

static uint32_t scratch_for(Build *b, uint32_t t, const Box *need)
{
    const Ten *n = ten(b->te, t);
    const uint32_t id = unit_buf(b->u, n->name, n->dt, BC_scratch, n->rank, need->ext);
    apply_layout(b, buf(b->u, id), t);
    buf(b->u, id)->ten = t;
    return b->buf_of[t] = id;
}

/* Where a comparison with one index variable changes its outcome inside a box: cut before value `at` of variable d. */
typedef struct Cut { Build *b; const Box *box; const Expr *inner[MAX_RANK]; uint8_t rank, d; int lane; int64_t at; } Cut;

/* First value of q, counted from the box, for which f < 0 (of one term +-q) is not what it is for the value before. */
static int64_t turning_point(const Affine *f)
{
    return f->t[0].coef == 1 ? -f->c : f->t[0].coef == -1 ? f->c + 1 : 0;
}

static bool cut_at(Cut *c, uint8_t d, int64_t at)
{
    if (!ex_is_const(c->box->ext[d]) || at <= 0 || at >= c->box->ext[d]->v.i)
        return false;
    c->d = d;
    c->at = at;
    return true;
}

/* Vectors cannot hold a guard that differs between lanes: cut where it begins or ceases to hold for all that is read. */
static void cut_guard(Cut *c, const Expr *load)
{
    Exprs *x = c->b->x;
    const Ten *t = ten(c->b->te, load->v.ref);
    int64_t lo, hi, least, unused;
    for (uint8_t d = 0; d < t->rank; d++) {
        bool linear;
        if (ex_coef(load->a[d], c->inner[c->lane], &linear) != 1 || !linear)
            continue;
        const Expr *rest = ex_sub(x, load->a[d], c->inner[c->lane]);
        if (ex_range(x, rest, &lo, &hi) && ex_range(x, t->dim[d], &least, &unused) && (cut_at(c, (uint8_t)c->lane, -lo) || cut_at(c, (uint8_t)c->lane, least - hi)))
            return;
    }
}

static void find_cut(void *ctx, const Expr *e)
{
    Cut *c = ctx;
    if (e->op == EX_loadp && c->lane >= 0 && !c->at)
        cut_guard(c, e);
    if ((e->op != EX_lt && e->op != EX_le) || e->a[0]->dt != DT_ix || c->at)
        return;
    Exprs *x = c->b->x;
    const Affine f = ex_affine(c->b->a, ex_sub(x, ex_sub(x, e->a[0], e->a[1]), ex_int(x, e->op == EX_le)));
    for (uint8_t d = 0; d < c->rank && f.n == 1; d++)
        if (f.t[0].atom == c->inner[d] && cut_at(c, d, turning_point(&f)))
            return;
}

static void find_cuts(Cut *c, uint32_t k, const Subst *sub)
{
    Build *b = c->b;
    const int64_t r = register_stage(b, k);
    Subst inner[MAX_RANK];
    ex_walk(ex_subst(b->x, b->body[k], sub, c->rank), find_cut, c);
    if (r >= 0)
        ex_walk(ex_subst(b->x, b->body[r], inner, register_vars(b, k, (uint32_t)r, sub, inner)), find_cut, c);
}

/* Builds the stage part by part, so that in each part choices by position (concatenation, padding) are decided. */
static void build_parts(Build *b, Nest *in, uint32_t k, const Box *box, int *left)
{
    const Stage *s = b->te->stage.at[k];
    Cut c = {.b = b, .box = box, .rank = out_of(b, s)->rank, .lane = -1};
    if (plan_of(b, k)->lane < c.rank)
        c.lane = plan_of(b, k)->lane;
    Subst sub[MAX_RANK];
    for (uint8_t d = 0; d < c.rank; d++) {
        c.inner[d] = ex_index(b->x, "q", box->ext[d]);
        sub[d] = (Subst){s->var[d], ex_add(b->x, box->lo[d], c.inner[d])};
    }
    if (plan_of(b, k)->parts && *left > 0)
        find_cuts(&c, k, sub);
    if (!c.at) {
        build_stage(b, in, k, box, 0);
        return;
    }
    --*left;
    Box part = *box;
    part.ext[c.d] = ex_int(b->x, c.at);
    build_parts(b, in, k, &part, left);
    part.lo[c.d] = ex_add(b->x, box->lo[c.d], part.ext[c.d]);
    part.ext[c.d] = ex_int(b->x, box->ext[c.d]->v.i - c.at);
    build_parts(b, in, k, &part, left);
}

static void produce(Build *b, Nest *in, uint32_t k, const Box *need)
{
    const uint32_t t = b->te->stage.at[k]->out;
    int cuts = MAX_CUTS;
    (void)scratch_for(b, t, need);
    build_parts(b, in, k, need, &cuts);
}

/* `at` stages of host k at this level: regions from the host backwards, then code in order. */
static void produce_at(Build *b, Nest *in, uint32_t k, const Box *box, uint8_t level)
{
    for (uint32_t q = b->te->stage.n; q-- > 0;) {
        const StagePlan *p = plan_of(b, q);
        if (p->place == PL_at && p->host == k && p->level >= level) {
            const uint32_t t = b->te->stage.at[q]->out;
            b->made[t] = (Box){0};
            b->made[t] = region(b, t, k, box);
        }
    }
    for (uint32_t q = 0; q < b->te->stage.n; q++) {
        const StagePlan *p = plan_of(b, q);
        if (p->place == PL_at && p->host == k && p->level == level && b->made[b->te->stage.at[q]->out].known) {
            const Box need = b->made[b->te->stage.at[q]->out];
            produce(b, in, q, &need);
        }
    }
}

/* Loop with steps of `n` over a constant extent: whole steps, then the tail as a box of its own. */
static void split_const(Build *b, Nest *in, uint32_t k, const Box *box, uint8_t level, uint8_t d, int64_t n)
{
    const int64_t total = box->ext[d]->v.i, whole = total / n, rest = total % n;
    const char *name = var_name(b, b->te->stage.at[k]->var[d]);
    Box part = *box;
    if (whole) {
        Nest *inner = in;
        part.ext[d] = ex_int(b->x, n);
        if (whole > 1) {
            const Expr *q = ex_var(b->x, VK_INDEX, DT_ix, name, 0, whole - 1);
            inner = nest_for(b->a, in, q, ex_int(b->x, 0), ex_int(b->x, whole));
            part.lo[d] = ex_add(b->x, box->lo[d], ex_mul(b->x, q, ex_int(b->x, n)));
        }
        build_stage(b, inner, k, &part, (uint8_t)(level + 1));
    }
    if (rest) {
        part.lo[d] = ex_add(b->x, box->lo[d], ex_int(b->x, whole * n));
        part.ext[d] = ex_int(b->x, rest);
        build_stage(b, in, k, &part, (uint8_t)(level + 1));
    }
}

/* Whole steps, then what is left: lanes as one tile of which some are in use, other values in shorter steps. */
static void split_symbolic(Build *b, Nest *in, uint32_t k, const Box *box, uint8_t level, uint8_t d, int64_t n)
{
    const Expr *step = ex_int(b->x, n), *whole = ex_fdiv(b->x, box->ext[d], step), *rest = ex_mod(b->x, box->ext[d], step);
    const char *name = var_name(b, b->te->stage.at[k]->var[d]);
    Box part = *box;
    const Expr *q = ex_index(b->x, name, whole);
    part.lo[d] = ex_add(b->x, box->lo[d], ex_mul(b->x, q, step));
    part.ext[d] = step;
    build_stage(b, nest_for(b->a, in, q, ex_int(b->x, 0), whole), k, &part, (uint8_t)(level + 1));
    part.lo[d] = ex_add(b->x, box->lo[d], ex_mul(b->x, whole, step));
    part.ext[d] = rest;
    if (n > 1 && plan_of(b, k)->lane == (int8_t)d)
        build_stage(b, nest_if(b->a, in, ex_binary(b->x, EX_lt, ex_int(b->x, 0), rest)), k, &part, (uint8_t)(level + 1));
    else if (n > 1)
        split_symbolic(b, in, k, &part, level, d, max_i64(n / 3, 1));
}

/* A new Build context for tail copies would see other extents: `at` scratch is made anew by each copy. */
static void build_stage(Build *b, Nest *in, uint32_t k, const Box *box, uint8_t level)
{
    const StagePlan *p = plan_of(b, k);
    produce_at(b, in, k, box, level);
    if (level < p->nloop) {
        const uint8_t d = p->loop[level].var;
        if (ex_is_const(box->ext[d]))
            split_const(b, in, k, box, level, d, p->loop[level].step);
        else
            split_symbolic(b, in, k, box, level, d, p->loop[level].step);
    } else if (p->tiled) {
        tile_stage(b, in, k, box);
    } else {
        plain_stage(b, in, k, box);
    }
}

/* ---- scatter and calls ---- */

static void scatter_update(Build *b, Nest *in, uint32_t k)
{
    const Stage *s = b->te->stage.at[k];
    const Ten *t = out_of(b, s);
    Subst sub[MAX_RANK];
    for (uint8_t d = 0; d < s->nr; d++)
        sub[d] = (Subst){s->rvar[d], loop_over(b, &in, s->rvar[d], ex_int(b->x, 0), s->rext[d])};
    const Expr *index[MAX_RANK];
    for (uint8_t d = 0; d < t->rank; d++) {
        index[d] = ex_var(b->x, VK_INDEX, DT_ix, "at", INT64_MIN, INT64_MAX);
        nest_let(b->a, in, index[d], nest_expr(b, ex_map(b->x, s->at[d], inline_load, b), sub, s->nr));
    }
    Nest *then = nest_if(b->a, in, inside(b, t, index));
    const uint32_t id = buffer_of(b, s->out);
    const Expr *v = nest_expr(b, b->body[k], sub, s->nr);
    const DType dt = dtype_compute(t->dt);
    if (s->op != RED_none)
        v = red_combine(b->x, s->op, ex_cast(b->x, dt, ex_load(b->x, t->dt, id, t->rank, index)), ex_cast(b->x, dt, v));
    nest_store(b->a, then, id, t->rank, index, ex_cast(b->x, t->dt, v));
}

static void build_scatter(Build *b, Nest *in, uint32_t k)
{
    const Stage *s = b->te->stage.at[k];
    const Ten *t = out_of(b, s);
    Subst sub[MAX_RANK];
    Nest *inner = in;
    for (uint8_t d = 0; d < t->rank; d++)
        sub[d] = (Subst){s->var[d], loop_over(b, &inner, s->var[d], ex_int(b->x, 0), t->dim[d])};
    store_out(b, inner, s, sub, nest_expr(b, ex_map(b->x, s->init, inline_load, b), sub, t->rank));
    scatter_update(b, in, k);
}

/* Names n<k> (elements of input k at its bound) and a<k> (argument k) in the scratch formula of a call. */
typedef struct ScratchScope { Build *b; const Stage *s; } ScratchScope;

static const Expr *scratch_name(void *ctx, const char *name, size_t n)
{
    const ScratchScope *c = ctx;
    const unsigned long k = n > 1 ? (unsigned long)(name[1] - '0') : 99;
    if (name[0] == 'a' && k < c->s->narg)
        return c->s->arg[k];
    if (name[0] != 'n' || k >= c->s->nin)
        return NULL;
    const Ten *t = ten(c->b->te, c->s->in[k]);
    const Expr *count = ex_int(c->b->x, 1);
    for (uint8_t d = 0; d < t->rank; d++)
        count = ex_mul(c->b->x, count, t->dim[d]);
    return count;
}

static uint32_t call_scratch(Build *b, const Stage *s)
{
    ScratchScope scope = {b, s};
    const ExprScope names = {.var = scratch_name, .bare = DT_ix, .ctx = &scope};
    const char *text = s->call->scratch, *error = NULL;
    const Expr *bytes = ex_parse(b->x, &text, &names, &error);
    if (!bytes)
        ICE("scratch formula of %s: %s", s->call->name, error);
    if (ex_is_int(bytes, 0))
        return 0;
    const uint32_t id = unit_buf(b->u, "scratch", DT_u8, BC_scratch, 1, &bytes);
    buf_layout(b->u, buf(b->u, id));
    return id;
}

static void build_call(Build *b, Nest *in, uint32_t k)
{
    const Stage *s = b->te->stage.at[k];
    Nest *n = nest_call(b->a, in, s->call);
    n->buf = NEWN(b->a, uint32_t, s->nin + s->nout);
    for (uint8_t q = 0; q < s->nin; q++)
        n->buf[q] = s->in[q] ? buffer_of(b, s->in[q]) : 0;
    for (uint8_t q = 0; q < s->nout; q++)
        n->buf[s->nin + q] = buffer_of(b, s->outs[q]);
    n->arg = s->arg;
    n->result = s->result;
    n->scratch = call_scratch(b, s);
}

/* ---- halo ---- */

/* Strips of the halo of dimension d: dimensions before d over their logical extent, later ones with their halo. */
static void fill_strip(Build *b, Nest *in, uint32_t id, uint8_t d, int64_t from, int32_t n)
{
    const Buf *p = buf(b->u, id);
    const Expr *index[MAX_RANK];
    for (uint8_t q = 0; q < p->rank; q++) {
        const uint8_t e = p->order[q];
        const int64_t lo = e == d ? from : e > d ? -p->lo[e] : 0;
        const Expr *ext = e == d ? ex_int(b->x, n) : e > d ? ex_add(b->x, p->dim[e], ex_int(b->x, p->lo[e] + p->hi[e])) : p->dim[e];
        const Expr *v = ex_index(b->x, "z", ext);
        if (!ex_is_int(ext, 1))
            in = nest_for(b->a, in, v, ex_int(b->x, 0), ext);
        index[e] = ex_is_int(ext, 1) ? ex_int(b->x, lo) : ex_add(b->x, v, ex_int(b->x, lo));
        if (e == d && from > 0) /* behind the end */
            index[e] = ex_add(b->x, index[e], ex_sub(b->x, p->dim[d], ex_int(b->x, from)));
    }
    nest_store(b->a, in, id, p->rank, index, ex_num(b->x, p->dt, p->pad));
}

static void fill_halo(Build *b, Nest *in, uint32_t id)
{
    const Buf *p = buf(b->u, id);
    for (uint8_t d = 0; d < p->rank; d++) {
        if (p->lo[d])
            fill_strip(b, in, id, d, -p->lo[d], p->lo[d]);
        if (p->hi[d])
            fill_strip(b, in, id, d, 1, p->hi[d]);
    }
}

/* ---- functions ---- */

enum { NOTE_NODES = 120 }; /* of an expression shown in a comment */

static const char *ref_name(void *ctx, const Expr *e)
{
    const Build *b = ctx;
    return e->op == EX_var ? var_name(b, e) : ten(b->te, e->v.ref)->name;
}

/* Nodes of e written out as a tree; sharing makes that exponential, so it stops counting past a limit. */
static int tree_size(const Expr *e, int left)
{
    int n = 1;
    for (uint16_t k = 0; k < e->n && n < left; k++)
        n += tree_size(e->a[k], left - n);
    return n;
}

static void note_stage(Build *b, uint32_t k, const char *how)
{
    static const char *const op[] = {[RED_none] = "", [RED_sum] = "sum", [RED_prod] = "prod", [RED_min] = "min", [RED_max] = "max"};
    const Stage *s = b->te->stage.at[k];
    const Ten *t = out_of(b, s);
    Text line = {.arena = b->a};
    text_add(&line, "%s[", t->name);
    for (uint8_t d = 0; d < t->rank && s->kind != ST_call; d++)
        text_add(&line, "%s%s", d ? "," : "", var_name(b, s->var[d]));
    text_add(&line, "] = ");
    if (s->kind == ST_call) {
        text_add(&line, "%s(..)", s->call->name);
    } else {
        text_add(&line, "%s", op[s->op]);
        for (uint8_t d = 0; d < s->nr; d++)
            text_add(&line, "%s%s", d ? "," : "(", var_name(b, s->rvar[d]));
        text_add(&line, "%s", s->nr ? ") " : s->op ? " " : "");
        if (tree_size(s->body, NOTE_NODES) < NOTE_NODES)
            ex_print(&line, b->x, s->body, ref_name, b);
        else
            text_add(&line, "...");
    }
    text_add(&line, "%s%s", *how ? "    " : "", how);
    PUSH(b->a, &b->f->note, text_str(&line));
}

static bool in_host(const Build *b, uint32_t k, uint32_t host)
{
    const StagePlan *p = plan_of(b, k);
    return k == host || ((p->place == PL_register || p->place == PL_at) && p->host == host);
}

/* Graph nodes first, then what is computed and where. Inline stages belong to the function of their first reader. */
static void describe(Build *b, uint32_t host)
{
    static const char *const how[] = {[PL_root] = "", [PL_inline] = "(inline)", [PL_register] = "(register)", [PL_at] = "(at)"};
    uint32_t last = 0;
    for (uint32_t k = 0; k < b->te->stage.n; k++) {
        const NodeId n = b->te->stage.at[k]->node;
        if (in_host(b, k, host) && n.i && n.i != last && b->te->g) {
            int32_t mark;
            PUSH(b->a, &b->f->note, node_line(b->a, b->te->g, n, &mark, NO_OPERAND));
            last = n.i;
        }
    }
    for (uint32_t k = 0; k < b->te->stage.n; k++)
        if (in_host(b, k, host))
            note_stage(b, k, how[plan_of(b, k)->place]);
}

static uint64_t stage_macs(const Build *b, uint32_t k)
{
    const Stage *s = b->te->stage.at[k];
    if (s->kind != ST_reduce || !s->body || s->body->op != EX_mul)
        return 0;
    uint64_t n = 1;
    for (uint8_t d = 0; d < out_of(b, s)->rank; d++)
        n *= (uint64_t)ex_upper(b->x, out_of(b, s)->dim[d]);
    for (uint8_t d = 0; d < s->nr; d++)
        n *= (uint64_t)ex_upper(b->x, s->rext[d]);
    return n;
}

static bool is_empty(const Ten *t)
{
    bool empty = false;
    for (uint8_t d = 0; d < t->rank; d++)
        empty = empty || ex_is_int(t->dim[d], 0);
    return empty;
}

static void build_root(Build *b, uint32_t k)
{
    const Stage *s = b->te->stage.at[k];
    const Ten *t = out_of(b, s);
    if (s->kind != ST_call && is_empty(t)) /* nothing to compute */
        return;
    const NodeId from = s->node;
    b->f = unit_func(b->u, from.i && b->te->g ? node(b->te->g, from)->op->name : ident(b->a, t->name, 24, "stage"));
    describe(b, k);
    for (uint32_t q = 0; q < b->te->stage.n; q++)
        b->f->macs += in_host(b, q, k) ? stage_macs(b, q) : 0;
    if (s->kind == ST_call) {
        build_call(b, b->f->body, k);
        return;
    }
    fill_halo(b, b->f->body, buffer_of(b, s->out));
    if (s->kind == ST_scatter) {
        build_scatter(b, b->f->body, k);
        return;
    }
    Box all = {0};
    int cuts = MAX_CUTS;
    for (uint8_t d = 0; d < t->rank; d++) {
        all.lo[d] = ex_int(b->x, 0);
        all.ext[d] = t->dim[d];
    }
    build_parts(b, b->f->body, k, &all, &cuts);
}

static void collect_io(Build *b)
{
    uint32_t nin = 0, nout = 0;
    for (uint32_t t = 1; t < b->te->ten.n; t++) {
        nin += ten(b->te, t)->kind == TEN_input;
        nout += ten(b->te, t)->output >= 0;
    }
    for (uint32_t k = 0; k < nin; k++)
        for (uint32_t t = 1; t < b->te->ten.n; t++)
            if (ten(b->te, t)->kind == TEN_input && ten(b->te, t)->input == (int32_t)k)
                PUSH(b->a, &b->u->input, buffer_of(b, t));
    for (uint32_t k = 0; k < nout; k++)
        for (uint32_t t = 1; t < b->te->ten.n; t++)
            if (ten(b->te, t)->output == (int32_t)k)
                PUSH(b->a, &b->u->output, buffer_of(b, t));
}

/* Loop nests of the whole program under schedule s. Stages are built in order, so `at` and register stages, whose
 * readers come later, must have hosts; ICE when a schedule contradicts itself (schedule_parse has checked a user's). */
Unit *build_nests(Ctx *cx, const Schedule *s, const char *name)
{
    Build b = {.cx = cx, .x = cx->x, .a = cx->arena, .s = s, .te = s->te};
    b.u = unit_new(cx, name, s->te);
    b.buf_of = NEWN(cx->arena, uint32_t, s->te->ten.n);
    b.made = NEWN(cx->arena, Box, s->te->ten.n);
    b.acc = NEWN(cx->arena, const Expr *, s->te->ten.n);
    inline_bodies(&b);
    collect_io(&b);
    for (uint32_t k = 0; k < s->te->stage.n; k++)
        if (plan_of(&b, k)->place == PL_root)
            build_root(&b, k);
    unit_finish(b.u);
    return b.u;
}

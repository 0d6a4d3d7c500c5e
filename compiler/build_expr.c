/* SPDX-License-Identifier: Apache-2.0
 *
 * Expressions of stages as expressions of a nest: inline stages are substituted into their readers, tensors become
 * buffers in the layout that the schedule gives them, registers stand for register stages, guards that hold are dropped.
 */
#include "build.h"

/* ---- inlining ---- */

static const Expr *substitute_stage(const Te *te, const Stage *s, const Expr *body, const Expr *const *index)
{
    Subst sub[MAX_RANK];
    const uint8_t rank = ten(te, s->out)->rank;
    for (uint8_t d = 0; d < rank; d++)
        sub[d] = (Subst){s->var[d], index[d]};
    return ex_subst(te->cx->x, body, sub, rank);
}

const Expr *index_inside(Build *b, const Ten *t, const Expr *const *index)
{
    const Expr *in = ex_const_i(b->x, DT_bool, 1);
    for (uint8_t d = 0; d < t->rank; d++) {
        in = ex_binary(b->x, EX_and, in, ex_binary(b->x, EX_le, ex_int(b->x, 0), index[d]));
        in = ex_binary(b->x, EX_and, in, ex_binary(b->x, EX_lt, index[d], t->dim[d]));
    }
    return in;
}

static bool always_inside(Exprs *x, const Ten *t, const Expr *const *index, uint8_t d)
{
    int64_t lo, hi;
    const Expr *room = ex_sub(x, ex_sub(x, t->dim[d], ex_int(x, 1)), index[d]);
    return ex_range(x, index[d], &lo, &hi) && lo >= 0 && ex_range(x, room, &lo, &hi) && lo >= 0;
}

/* Dimension of the tensor behind a view that is dimension d of the view, both of one extent; -1: none. */
static int same_dimension(const Te *te, const Stage *view, const Expr *load, uint8_t d)
{
    const Ten *t = ten(te, view->out), *behind = ten(te, load->v.ref);
    for (uint8_t q = 0; q < behind->rank; q++)
        if (load->a[q] == view->var[d] && behind->dim[q] == t->dim[d])
            return q;
    return -1;
}

/* Where the guard can fail, both have the same dimension; everywhere else the index is inside anyway. */
const Expr *guard_through(const Te *te, const Stage *view, const Expr *body, const Expr *e)
{
    Exprs *x = te->cx->x;
    const Ten *t = ten(te, view->out);
    if (body->op != EX_load)
        return NULL;
    for (uint8_t d = 0; d < t->rank; d++)
        if (!always_inside(x, t, e->a, d) && same_dimension(te, view, body, d) < 0)
            return NULL;
    const Expr *index[MAX_RANK];
    for (uint16_t q = 0; q < body->n; q++)
        index[q] = substitute_stage(te, view, body->a[q], e->a);
    return ex_loadp(x, (DType)body->dt, body->v.ref, body->n, index, e->a[t->rank]);
}

const Expr *inline_load(void *ctx, const Expr *e)
{
    Build *b = ctx;
    if ((e->op != EX_load && e->op != EX_loadp) || place_of(b, e->v.ref) != PL_inline)
        return e;
    const Ten *t = ten(b->te, e->v.ref);
    const Stage *view = b->te->stage.at[t->stage];
    const Expr *through = e->op == EX_loadp ? guard_through(b->te, view, b->body[t->stage], e) : NULL;
    if (through)
        return through;
    const Expr *v = substitute_stage(b->te, view, b->body[t->stage], e->a);
    return e->op == EX_load ? v : ex_select(b->x, index_inside(b, t, e->a), v, e->a[t->rank]);
}

void inline_bodies(Build *b)
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

typedef struct Reorder { Recipe r; uint8_t rank; DType dt; int64_t dim[MAX_RANK], stride[MAX_RANK]; } Reorder;

static void make_reordered(const Recipe *r, const char *from, int64_t first, int64_t n, char *out)
{
    const Reorder *o = (const Reorder *)r;
    const size_t size = dtype_bytes(o->dt);
    int64_t at[MAX_RANK] = {0};
    for (int64_t k = first; k < n; k++) {
        int64_t place = 0;
        for (uint8_t d = 0; d < o->rank; d++)
            place += at[d] * o->stride[d];
        memcpy(out + (size_t)place * size, from + (size_t)k * size, size);
        for (int d = o->rank - 1; d >= 0 && ++at[d] == o->dim[d]; d--)
            at[d] = 0;
    }
}

/* Constant in the storage order of its layout. */
static const Blob *reordered(Build *b, const Buf *to, const Blob *from)
{
    bool same = true;
    for (uint8_t d = 0; d < to->rank; d++)
        same = same && to->order[d] == d;
    if (same || from->fill || from->count == 0)
        return from;
    Reorder *o = NEW(b->a, Reorder);
    *o = (Reorder){.r = {.arena = b->a, .from = from, .unit = from->count, .make = make_reordered}, .rank = to->rank, .dt = to->dt};
    for (uint8_t d = 0; d < to->rank; d++) {
        o->dim[d] = to->dim[d]->v.i;
        o->stride[d] = to->stride[d]->v.i;
    }
    return blob_made(b->a, from->dt, from->count, &o->r);
}

uint32_t buffer_of(Build *b, uint32_t t)
{
    if (b->buf_of[t])
        return b->buf_of[t];
    if (b->s->layout[t].within)
        return b->buf_of[t] = buffer_of(b, b->s->layout[t].within);
    const Ten *n = ten(b->te, t);
    const uint32_t id = unit_buf(b->u, n->name, n->dt, class_of(n), n->rank, n->dim);
    Buf *buffer = buf(b->u, id);
    apply_layout(b, buffer, t);
    buffer->ten = t;
    buffer->io = n->kind == TEN_input ? n->input : n->output;
    if (n->kind == TEN_const)
        buffer->data = reordered(b, buffer, n->data);
    buffer->lists = n->lists;
    return b->buf_of[t] = id;
}

static bool is_positive(const Build *b, const Expr *e)
{
    int64_t least, most;
    return ex_range(b->x, e, &least, &most) && least > 0;
}

/* A border of the tensor is one of the scratch where the region reaches it. */
static void trim_halo(const Build *b, Buf *p, const Ten *t, const Box *need)
{
    for (uint8_t d = 0; d < t->rank; d++) {
        p->lo[d] = is_positive(b, need->lo[d]) ? 0 : p->lo[d];
        p->hi[d] = is_positive(b, ex_sub(b->x, t->dim[d], ex_add(b->x, need->lo[d], need->ext[d]))) ? 0 : p->hi[d];
    }
    buf_layout(b->u, p);
}

uint32_t scratch_for(Build *b, uint32_t t, const Box *need)
{
    const Ten *n = ten(b->te, t);
    const uint32_t id = unit_buf(b->u, n->name, n->dt, BC_scratch, n->rank, need->ext);
    apply_layout(b, buf(b->u, id), t);
    trim_halo(b, buf(b->u, id), n, need);
    buf(b->u, id)->ten = t;
    return b->buf_of[t] = id;
}

/* ---- expressions of the nest ---- */

void shift_within(const Build *b, uint32_t t, const Expr **index)
{
    for (const Layout *l = &b->s->layout[t]; l->within; l = &b->s->layout[l->within])
        index[l->along] = ex_add(b->x, index[l->along], ex_int(b->x, l->at));
}

/* Index into the buffer: `at` scratch starts at its region's lower bound or is a ring of rows, others lie within a tensor. */
void shift_index(const Build *b, uint32_t t, const Expr *const *index, uint8_t rank, const Expr **r)
{
    for (uint8_t d = 0; d < rank; d++)
        r[d] = place_of(b, t) == PL_at ? ex_sub(b->x, index[d], b->made[t].lo[d]) : index[d];
    if (in_ring(b, t))
        r[ring_dim(b, t)] = ring_index(b, t, index[ring_dim(b, t)]);
    shift_within(b, t, r);
}

bool is_pad(const Expr *fill, double pad)
{
    return ex_is_const(fill) && (dtype_is_float((DType)fill->dt) ? fill->v.f : (double)fill->v.i) == pad;
}

static bool pad_holds(const Buf *p, const Expr *fill)
{
    for (uint8_t d = 0; d < p->rank; d++)
        if (p->lo[d] || p->hi[d])
            return is_pad(fill, p->pad);
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

/* Whether no index of a guarded load of tensor t is inside. */
static bool never_inside(const Build *b, const Ten *t, const Expr *load)
{
    bool outside = false;
    for (uint8_t d = 0; d < t->rank; d++) {
        int64_t lo, hi, most;
        const bool below = ex_range(b->x, load->a[d], &lo, &hi) && hi < 0;
        outside = outside || below || (ex_range(b->x, ex_sub(b->x, t->dim[d], load->a[d]), &lo, &most) && most <= 0);
    }
    return outside;
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
    if (e->op == EX_loadp && never_inside(b, n, e)) /* a buffer that nothing reads is no operand */
        return ex_cast(b->x, (DType)e->dt, e->a[n->rank]);
    if (b->acc[t])
        return ex_cast(b->x, (DType)e->dt, b->acc[t]);
    const uint32_t id = buffer_of(b, t);
    const uint8_t rank = n->rank;
    const Expr *index[MAX_RANK];
    shift_index(b, t, e->a, rank, index);
    if (e->op == EX_loadp && in_ring(b, t))
        ring_guards(b, t, e->a[ring_dim(b, t)], e->a[rank]);
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

const Expr *nest_expr(Build *b, const Expr *e, const Subst *sub, uint32_t n)
{
    return e ? ex_map(b->x, ex_map(b->x, ex_subst(b->x, e, sub, n), to_buffer, b), unmark, b) : NULL;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Schedule to loop nests. Every root stage becomes one function; inline stages are substituted into their readers,
 * register stages become the accumulators of their host's tile, `at` stages are produced inside their host's loops into
 * scratch whose size and place follow from the region that the host reads (bounds inference).
 *
 * A stage is built over a box: for each index variable a lower bound (affine in outer loop variables) and an extent.
 * Loops of the schedule shrink the box, with a tail where the step does not divide; what is left is the tile's.
 */
#include "auto.h"
#include "build.h"
#include "slices.h"

#include <stdio.h>

#include "../codegen/out.h"
#include "../ir/call.h"
#include "../ir/op.h"

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
        const Expr *at = nest_expr(b, ex_map(b->x, s->at[d], inline_load, b), sub, s->nr);
        index[d] = ex_is_const(at) ? at : ex_var(b->x, VK_INDEX, DT_ix, "at", INT64_MIN, INT64_MAX);
        if (index[d] != at)
            nest_let(b->a, in, index[d], at);
    }
    Nest *then = nest_if(b->a, in, index_inside(b, t, index));
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

/* Graph nodes first, then what is computed and where. Inline stages belong to the function of their first reader. */
static void describe(Build *b, uint32_t host)
{
    static const char *const how[] = {[PL_root] = "", [PL_inline] = "(inline)", [PL_register] = "(register)", [PL_at] = "(at)"};
    uint32_t last = 0;
    for (uint32_t q = b->nest.first[host]; q < b->nest.first[host + 1]; q++) {
        const NodeId n = b->te->stage.at[b->nest.at[q]]->node;
        if (n.i && n.i != last && b->te->g) {
            int32_t mark;
            PUSH(b->a, &b->f->note, node_line(b->a, b->te->g, n, &mark, NO_OPERAND));
            last = n.i;
        }
    }
    for (uint32_t q = b->nest.first[host]; q < b->nest.first[host + 1]; q++)
        note_stage(b, b->nest.at[q], how[plan_of(b, b->nest.at[q])->place]);
}

static uint64_t stage_macs(const Build *b, uint32_t k)
{
    const Stage *s = b->te->stage.at[k];
    if (s->kind != ST_reduce || !s->body || s->body->op != EX_mul || te_reads_lists(b->te, s->body)) /* which are part of a product that is counted */
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

/* Whether all that stage k puts side by side was made in its place. */
static bool is_made(Build *b, uint32_t k)
{
    Slices parts;
    if (!slices_of(b->a, b->te, b->te->stage.at[k], b->body[k], &parts))
        return false;
    for (uint32_t q = 0; q < parts.v.n; q++)
        if (!parts.v.at[q].t || b->s->layout[parts.v.at[q].t].within != b->te->stage.at[k]->out)
            return false;
    return true;
}

static void build_elements(Build *b, uint32_t k)
{
    const Ten *t = out_of(b, b->te->stage.at[k]);
    Box all = {0};
    int cuts = MAX_CUTS;
    for (uint8_t d = 0; d < t->rank; d++) {
        all.lo[d] = ex_int(b->x, 0);
        all.ext[d] = t->dim[d];
    }
    build_parts(b, b->f->body, k, &all, &cuts);
}

static void build_root(Build *b, uint32_t k)
{
    const Stage *s = b->te->stage.at[k];
    const Ten *t = out_of(b, s);
    const bool empty = s->kind != ST_call && is_empty(t);
    if (empty && !layout_has_halo(&b->s->layout[s->out], t->rank)) /* nothing to compute, and no pad value that is read */
        return;
    if (s->kind == ST_map && is_made(b, k)) {
        describe(b, k); /* in the function before it, which has none of its own */
        return;
    }
    const NodeId from = s->node;
    b->f = unit_func(b->u, from.i && b->te->g ? node(b->te->g, from)->op->name : ident(b->a, t->name, 24, "stage"));
    b->f->ten = s->out;
    describe(b, k);
    for (uint32_t q = b->nest.first[k]; q < b->nest.first[k + 1]; q++) {
        const StagePlan *p = plan_of(b, b->nest.at[q]);
        b->f->macs += stage_macs(b, b->nest.at[q]);
        if (p->kind)
            PUSH(b->a, &b->f->kind, p->kind);
    }
    if (s->kind == ST_call) {
        build_call(b, b->f->body, k);
        return;
    }
    if (s->kind == ST_scatter) {
        fill_halo(b, b->f->body, s->out);
        build_scatter(b, b->f->body, k);
        return;
    }
    if (!empty)
        build_elements(b, k);
    fill_halo(b, b->f->body, s->out); /* last: operands may lie there until they are read */
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

static Unit *build_all(Build *b, Ctx *cx, const Schedule *s, const char *name)
{
    *b = (Build){.cx = cx, .x = cx->x, .a = cx->arena, .s = s, .te = s->te, .says = b->says, .unkept = NO_STAGE};
    b->u = unit_new(cx, name, s->te);
    b->buf_of = NEWN(cx->arena, uint32_t, s->te->ten.n);
    b->made = NEWN(cx->arena, Box, s->te->ten.n);
    b->ring = NEWN(cx->arena, Ring, s->te->ten.n);
    b->acc = NEWN(cx->arena, const Expr *, s->te->ten.n);
    inline_bodies(b);
    b->guest = schedule_guests(cx->arena, s);
    b->nest = schedule_nests(cx->arena, s);
    b->reader = schedule_readers(cx->arena, s, b->body);
    collect_io(b);
    for (uint32_t k = 0; k < s->te->stage.n; k++)
        if (plan_of(b, k)->place == PL_root)
            build_root(b, k);
    if (b->unkept != NO_STAGE)
        return NULL;
    unit_finish(b->u);
    return b->u;
}

/* Stages are built in order, so `at` and register stages, whose readers come later, must have hosts; ICE when a schedule contradicts
 * itself (schedule_parse has checked a user's). */
Unit *build_nests(Ctx *cx, const Schedule *s, const char *name)
{
    Build b = {.says = true};
    return build_all(&b, cx, s, name);
}

Unit *build_loosely(Ctx *cx, Schedule *s, const char *name)
{
    Build b = {0};
    for (;;) {
        Unit *u = build_all(&b, cx, s, name);
        if (u)
            return u;
        s->stage[b.unkept].slide = 0;
        s->stage[b.unkept].keep = 0;
    }
}

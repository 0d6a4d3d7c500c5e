/* SPDX-License-Identifier: Apache-2.0
 *
 * One stage over a box: `at` stages are produced inside their host's loops into scratch, the loops of the schedule shrink
 * the box, with a tail where the step does not divide, and a tile or plain loops cover what is left. Where choices by
 * position change (concatenation, padding) the box is cut first, so that in each part they are decided.
 */
#include "build.h"

/* ---- plain loops ---- */

/* Loop over a box dimension; returns the expression that the index variable stands for. */
const Expr *loop_over(Build *b, Nest **in, const Expr *v, const Expr *lo, const Expr *ext)
{
    if (ex_is_int(ext, 1))
        return lo;
    const Expr *q = ex_index(b->x, var_name(b, v), ext);
    *in = nest_for(b->a, *in, q, ex_int(b->x, 0), ext);
    return ex_add(b->x, lo, q);
}

void store_out(Build *b, Nest *in, const Stage *s, const Subst *sub, const Expr *value)
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
const Expr *accumulator(Build *b, RedOp op, const Expr *body, int64_t count)
{
    const DType dt = (DType)body->dt;
    int64_t lo = dtype_is_float(dt) ? 0 : dtype_min(dt), hi = dtype_is_float(dt) ? 0 : dtype_max(dt), l, h;
    if (dtype_is_int(dt) && op == RED_sum && ex_range(b->x, body, &l, &h) && mul_i64(l, count, &l) && mul_i64(h, count, &h) && l > lo / 2 && h < hi / 2) {
        lo = min_i64(l, 0);
        hi = max_i64(h, 0);
    }
    return ex_var(b->x, VK_REG, dt, "acc", lo, hi);
}

int64_t step_count(const Build *b, const Stage *s)
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
    if (s->kind == ST_reduce)
        store_out(b, in, s, sub, reduce_loops(b, in, s, b->body[k], sub, rank));
    else
        plain_scan(b, in, k, sub, rank);
}

/* Loops in storage order, so that the innermost walks memory. */
static void plain_reduction(Build *b, Nest *in, uint32_t k, const Box *box)
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

/* Plain loops of a map, in storage order: q of them are open, their variables are in sub, by dimension and in that order. */
typedef struct MapLoops { Build *b; const Stage *s; const Box *box; const uint8_t *order; uint8_t rank; Subst sub[MAX_RANK], open[MAX_RANK]; } MapLoops;

/* A choice by position that is the same for all loops that are not open yet. */
static bool is_choice(const MapLoops *m, const Expr *body, uint8_t q)
{
    if (body->op != EX_select || body->a[0]->n != 2 || body->a[0]->a[0]->dt != DT_ix || q == m->rank)
        return false;
    for (; q < m->rank; q++)
        if (ex_uses(body->a[0], m->s->var[m->order[q]]))
            return false;
    return true;
}

static void map_loops(MapLoops *m, Nest *in, const Expr *body, uint8_t q)
{
    Build *b = m->b;
    while (q < m->rank && !is_choice(m, body, q)) {
        const uint8_t d = m->order[q];
        m->sub[d] = m->open[q] = (Subst){m->s->var[d], loop_over(b, &in, m->s->var[d], m->box->lo[d], m->box->ext[d])};
        q++;
    }
    if (q == m->rank) {
        store_out(b, in, m->s, m->sub, nest_expr(b, body, m->open, q));
        return;
    }
    const Expr *c = nest_expr(b, body->a[0], m->open, q);
    if (ex_is_const(c)) {
        map_loops(m, in, body->a[c->v.i ? 1 : 2], q);
        return;
    }
    Nest *other = nest_block(b->a), *n = nest_if(b->a, in, c);
    map_loops(m, n, body->a[1], q);
    map_loops(m, other, body->a[2], q);
    nest_else(n, other);
}

static void plain_stage(Build *b, Nest *in, uint32_t k, const Box *box)
{
    const Stage *s = b->te->stage.at[k];
    if (s->kind != ST_map) {
        plain_reduction(b, in, k, box);
        return;
    }
    MapLoops m = {.b = b, .s = s, .box = box, .order = buf(b->u, buffer_of(b, s->out))->order, .rank = out_of(b, s)->rank};
    map_loops(&m, in, b->body[k], 0);
}

/* Whether e is the element itself, as others have made it in its place. */
static bool is_in_place(Build *b, const Stage *s, const Expr *e, const Subst *at)
{
    const Ten *t = out_of(b, s);
    const Expr *logical[MAX_RANK], *to[MAX_RANK], *from[MAX_RANK];
    if (e->op != EX_load || !b->s->layout[e->v.ref].within || buffer_of(b, e->v.ref) != buffer_of(b, s->out))
        return false;
    for (uint8_t d = 0; d < t->rank; d++)
        logical[d] = at[d].to;
    shift_index(b, s->out, logical, t->rank, to);
    shift_index(b, e->v.ref, e->a, t->rank, from);
    for (uint8_t d = 0; d < t->rank; d++)
        if (to[d] != from[d] && !ex_is_int(t->dim[d], 1))
            return false;
    return true;
}

/* ---- one stage over a box ---- */

static void build_stage(Build *b, Nest *in, uint32_t k, const Box *box, uint8_t level);

/* Where a comparison with one index variable changes its outcome inside a box: cut before value `at` of variable d. */
typedef struct Cut {
    Build *b;
    const Box *box;
    const Expr *inner[MAX_RANK], *point[MAX_RANK]; /* the variable is inner, or turn*inner + point */
    int64_t turn[MAX_RANK];
    uint8_t rank, d;
    int lane;
    int64_t at;
} Cut;

/* First value of q, counted from the box, for which coef*q + c < 0 is not what it is for the value before; 0: coef is neither 1 nor -1. */
static int64_t turning_point(int64_t coef, int64_t c) { return coef == 1 ? -c : coef == -1 ? c + 1 : 0; }

/* The same of f < 0 for the inner variable of d; 0: there is none. All points of a turn must agree. */
static int64_t turning_inner(const Cut *c, uint8_t d, const Affine *f)
{
    const Expr *q = c->inner[d];
    if (f->n == 1)
        return f->t[0].atom == q ? turning_point(f->t[0].coef, f->c) : 0;
    const Term *of = f->t, *point = of + 1;
    if (f->n == 2 && of->atom == c->point[d])
        of = point--;
    if (f->n != 2 || of->atom != q || point->atom != c->point[d] || of->coef != c->turn[d] * point->coef)
        return 0;
    const int64_t at = turning_point(point->coef, f->c);
    return at % c->turn[d] == 0 ? at / c->turn[d] : 0;
}

static bool cut_at(Cut *c, uint8_t d, int64_t at)
{
    if (!ex_is_const(c->box->ext[d]) || at <= 0 || at >= c->box->ext[d]->v.i / c->turn[d])
        return false;
    c->d = d;
    c->at = at * c->turn[d];
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
    for (uint8_t d = 0; d < c->rank; d++)
        if (cut_at(c, d, turning_inner(c, d, &f)))
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
void build_parts(Build *b, Nest *in, uint32_t k, const Box *box, int *left)
{
    const Stage *s = b->te->stage.at[k];
    Cut c = {.b = b, .box = box, .rank = out_of(b, s)->rank, .lane = -1};
    if (plan_of(b, k)->lane < c.rank)
        c.lane = plan_of(b, k)->lane;
    Subst sub[MAX_RANK];
    for (uint8_t d = 0; d < c.rank; d++) {
        c.turn[d] = lane_turn(plan_of(b, k), d, box->ext[d]);
        const Expr *turn = ex_int(b->x, c.turn[d]);
        c.point[d] = ex_index(b->x, "p", turn);
        c.inner[d] = ex_index(b->x, "q", c.turn[d] > 1 ? ex_fdiv(b->x, box->ext[d], turn) : box->ext[d]);
        sub[d] = (Subst){s->var[d], ex_add(b->x, box->lo[d], ex_add(b->x, ex_mul(b->x, c.inner[d], turn), c.point[d]))};
    }
    if (plan_of(b, k)->parts && *left > 0)
        find_cuts(&c, k, sub);
    if (!c.at) {
        if (!b->body[k] || !is_in_place(b, s, ex_subst(b->x, b->body[k], sub, c.rank), sub))
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
    if (in_ring(b, t)) {
        const Box fresh = ring_rows(b, in, t, need);
        if (fresh.known)
            build_parts(b, in, k, &fresh, &cuts);
        return;
    }
    (void)scratch_for(b, t, need);
    fill_halo(b, in, t);
    build_parts(b, in, k, need, &cuts);
}

/* Regions of the `at` stages of host k from this level on, from the host backwards. */
static void find_regions(Build *b, uint32_t k, const Box *box, uint8_t level)
{
    for (uint32_t g = b->guest.first[k + 1]; g-- > b->guest.first[k];) {
        const StagePlan *p = plan_of(b, b->guest.at[g]);
        if (p->place == PL_at && p->level >= level) {
            const uint32_t t = b->te->stage.at[b->guest.at[g]]->out;
            b->made[t] = (Box){0};
            b->made[t] = region(b, t, k, box);
        }
    }
}

static bool is_made_at(const Build *b, uint32_t q, uint8_t level)
{
    return plan_of(b, q)->place == PL_at && plan_of(b, q)->level == level && b->made[b->te->stage.at[q]->out].known;
}

/* `at` stages of host k at this level, in order. */
static void produce_at(Build *b, Nest *in, uint32_t k, const Box *box, uint8_t level)
{
    find_regions(b, k, box, level);
    for (uint32_t g = b->guest.first[k]; g < b->guest.first[k + 1]; g++) {
        const uint32_t q = b->guest.at[g];
        if (is_made_at(b, q, level)) {
            const Box need = b->made[b->te->stage.at[q]->out];
            produce(b, in, q, &need);
        }
    }
}

/* `count` iterations of the loop of this level, the first of them at step `from`. */
static void split_steps(Build *b, Nest *in, uint32_t k, const Box *box, uint8_t level, int64_t from, int64_t count)
{
    const LoopStep *l = &plan_of(b, k)->loop[level];
    const Expr *step = ex_int(b->x, from);
    Box part = *box;
    if (count < 1)
        return;
    if (count > 1) {
        const Expr *q = ex_var(b->x, VK_INDEX, DT_ix, var_name(b, b->te->stage.at[k]->var[l->var]), 0, count - 1);
        in = nest_for(b->a, in, q, ex_int(b->x, 0), ex_int(b->x, count));
        step = ex_add(b->x, q, step);
    }
    part.lo[l->var] = ex_add(b->x, box->lo[l->var], ex_mul(b->x, step, ex_int(b->x, l->step)));
    part.ext[l->var] = ex_int(b->x, l->step);
    build_stage(b, in, k, &part, (uint8_t)(level + 1));
}

/* ---- parts of a run ---- */

/* Rows in rings as the iteration of `box` finds them. to: in place of the variable that boxes move with, the lead's. */
static void produce_leads(Build *b, Nest *in, uint32_t k, const Box *box, uint8_t level, const Subst *to)
{
    find_regions(b, k, box, level);
    for (uint32_t g = b->guest.first[k]; g < b->guest.first[k + 1]; g++) {
        const uint32_t q = b->guest.at[g], t = b->te->stage.at[q]->out;
        if (!is_made_at(b, q, level))
            continue;
        Box need = b->made[t];
        if (!in_ring(b, t)) {
            produce_leads(b, in, q, &need, 0, to);
            continue;
        }
        int cuts = MAX_CUTS;
        for (uint8_t d = 0; d < ten(b->te, t)->rank; d++)
            need.lo[d] = ex_subst(b->x, need.lo[d], to, 1);
        need = ring_lead(b, in, t, &need);
        build_parts(b, in, q, &need, &cuts);
    }
}

/* For parts that begin behind the first of all iterations. Boxes are known of the `inside` following ones, which meet no border; what the
 * last one finds in rings is as far behind them. */
static void lead_in(Build *b, Nest *in, uint32_t k, const Box *box, uint8_t level, int64_t inside, int64_t all)
{
    const LoopStep *l = &plan_of(b, k)->loop[level];
    const char *name = var_name(b, b->te->stage.at[k]->var[l->var]);
    const Expr *q = ex_var(b->x, VK_INDEX, DT_ix, name, 0, inside - 1);
    const Subst to = {q, ex_var(b->x, VK_INDEX, DT_ix, name, 0, all - 2)};
    Box part = *box;
    part.lo[l->var] = ex_add(b->x, box->lo[l->var], ex_mul(b->x, ex_add(b->x, q, ex_int(b->x, 1)), ex_int(b->x, l->step)));
    part.ext[l->var] = ex_int(b->x, l->step);
    Nest *body = nest_block(b->a);
    produce_leads(b, body, k, &part, (uint8_t)(level + 1), &to);
    if (!body->body.n)
        return;
    Nest *loop = nest_for(b->a, in, to.to, ex_int(b->x, 0), ex_int(b->x, all - 1));
    loop->kind = FOR_lead;
    loop->share = (Share){.at = 1, .of = all, .each = 1};
    loop->body = body->body;
}

/* An iteration in code of its own: a loop, so that one part has it. */
static Nest *apart(Build *b, Nest *in)
{
    return b->s->parts == 1 ? in : nest_for(b->a, in, ex_var(b->x, VK_INDEX, DT_ix, "once", 0, 0), ex_int(b->x, 0), ex_int(b->x, 1));
}

/* Loop over a constant extent: whole steps, then the tail as a box of its own. An iteration that is apart is a box of its own
 * too: there a window meets the border, and everywhere else none. */
static void split_const(Build *b, Nest *in, uint32_t k, const Box *box, uint8_t level)
{
    const LoopStep *l = &plan_of(b, k)->loop[level];
    const int64_t total = box->ext[l->var]->v.i, whole = total / l->step, rest = total % l->step;
    const int64_t first = whole > 1 && (l->apart & APART_first), last = !rest && whole > 1 + first && (l->apart & APART_last);
    const int64_t inside = whole - first - last;
    Box part = *box;
    if (first)
        split_steps(b, apart(b, in), k, box, level, 0, first);
    if (first && inside > 0 && b->s->parts > 1)
        lead_in(b, in, k, box, level, inside, whole + (rest > 0));
    split_steps(b, in, k, box, level, first, inside);
    if (last)
        split_steps(b, apart(b, in), k, box, level, whole - last, last);
    if (!rest)
        return;
    if (l->apart)
        in = apart(b, in);
    part.lo[l->var] = ex_add(b->x, box->lo[l->var], ex_int(b->x, whole * l->step));
    part.ext[l->var] = ex_int(b->x, rest);
    build_stage(b, in, k, &part, (uint8_t)(level + 1));
}

/* Whole steps, then what is left: lanes as one tile of which some are in use, other values in shorter steps. Neither is
 * made where its extent is known to be 0. */
static void split_symbolic(Build *b, Nest *in, uint32_t k, const Box *box, uint8_t level, uint8_t d, int64_t n)
{
    const Expr *step = ex_int(b->x, n), *whole = ex_fdiv(b->x, box->ext[d], step), *rest = ex_mod(b->x, box->ext[d], step);
    const Expr *any = ex_binary(b->x, EX_lt, ex_int(b->x, 0), rest);
    const char *name = var_name(b, b->te->stage.at[k]->var[d]);
    Box part = *box;
    if (!ex_is_int(whole, 0)) {
        const Expr *q = ex_index(b->x, name, whole);
        part.lo[d] = ex_add(b->x, box->lo[d], ex_mul(b->x, q, step));
        part.ext[d] = step;
        build_stage(b, nest_for(b->a, in, q, ex_int(b->x, 0), whole), k, &part, (uint8_t)(level + 1));
    }
    part.lo[d] = ex_add(b->x, box->lo[d], ex_mul(b->x, whole, step));
    part.ext[d] = rest;
    if (n == 1 || ex_is_int(any, 0))
        return;
    if (plan_of(b, k)->lane == (int8_t)d)
        build_stage(b, nest_if(b->a, in, any), k, &part, (uint8_t)(level + 1));
    else
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
            split_const(b, in, k, box, level);
        else
            split_symbolic(b, in, k, box, level, d, p->loop[level].step);
    } else if (p->tiled) {
        tile_stage(b, in, k, box);
    } else {
        plain_stage(b, in, k, box);
    }
}

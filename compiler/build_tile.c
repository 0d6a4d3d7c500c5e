/* SPDX-License-Identifier: Apache-2.0
 *
 * One stage over a box as a register tile: index variables become points and lanes, the reduction its steps, the host
 * of a register stage its stores.
 */
#include "build.h"

int64_t lane_turn(const StagePlan *p, uint8_t d, const Expr *extent)
{
    return p->lane == (int8_t)d && p->turn > 1 && ex_is_const(extent) && extent->v.i % p->turn == 0 ? p->turn : 1;
}

static void add_point(Tile *t, const Expr *q, int64_t n)
{
    t->pvar[t->np] = q;
    t->pext[t->np++] = (int32_t)n;
}

static void add_points(Build *b, Tile *t, const StagePlan *p, const Stage *s, const Box *box, Subst *sub)
{
    const uint8_t rank = out_of(b, s)->rank;
    for (uint8_t d = 0; d < rank; d++) {
        const int64_t n = ex_upper(b->x, box->ext[d]);
        const Expr *at = box->lo[d];
        if (n > 1) {
            const int64_t turn = lane_turn(p, d, box->ext[d]);
            const Expr *q = ex_index(b->x, var_name(b, s->var[d]), turn > 1 ? ex_int(b->x, n / turn) : box->ext[d]);
            at = ex_add(b->x, at, ex_mul(b->x, q, ex_int(b->x, turn)));
            if (p->lane == (int8_t)d) {
                t->lane = q;
                t->lanes = (int32_t)(n / turn);
                t->open = ex_is_const(box->ext[d]) ? NULL : box->ext[d];
            } else {
                add_point(t, q, n);
            }
            if (turn > 1) {
                const Expr *point = ex_index(b->x, var_name(b, s->var[d]), ex_int(b->x, turn));
                at = ex_add(b->x, at, point);
                add_point(t, point, turn);
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
int64_t register_stage(const Build *b, uint32_t k)
{
    for (uint32_t g = b->guest.first[k]; g < b->guest.first[k + 1]; g++)
        if (plan_of(b, b->guest.at[g])->place == PL_register)
            return b->guest.at[g];
    return -1;
}

/* What the variables of register stage r stand for where those of its host k stand for sub. Returns how many. */
uint8_t register_vars(Build *b, uint32_t k, uint32_t r, const Subst *sub, Subst *inner)
{
    const Stage *s = b->te->stage.at[k], *red = b->te->stage.at[r];
    const Expr *load = ex_sole_load(b->body[k], red->out);
    if (!load)
        ICE("'%s' does not read its register stage at one place", out_of(b, s)->name);
    const uint8_t rank = out_of(b, red)->rank;
    for (uint8_t d = 0; d < rank; d++)
        inner[d] = (Subst){red->var[d], ex_subst(b->x, load->a[d], sub, out_of(b, s)->rank)};
    return rank;
}

/* acc + e, where e is an element of a constant, a bias, or of what was made for the tile (auto_clip.c). */
typedef struct Bias { const Build *b; const Expr *acc, *sum, *value; } Bias;

static bool may_start(const Build *b, const Expr *load)
{
    const BufClass cls = load->op == EX_load ? buf(b->u, load->v.ref)->cls : BC_arena;
    return cls == BC_const || (cls == BC_scratch && load->dt == DT_i32);
}

static void find_bias(void *ctx, const Expr *e)
{
    Bias *f = ctx;
    for (int k = 0; e->op == EX_add && k < 2; k++)
        if (e->a[k] == f->acc && may_start(f->b, e->a[!k])) {
            f->sum = e;
            f->value = e->a[!k];
        }
}

/* Register for a sum that starts with such whole numbers; of floats acc itself. */
static const Expr *started(Build *b, const Expr *acc, const Expr *value)
{
    const VarInfo *v = ex_var_info(b->x, acc);
    const Blob *from = buf(b->u, value->v.ref)->data;
    int64_t lo = from ? INT32_MAX : INT32_MIN, hi = from ? INT32_MIN : INT32_MAX;
    if (acc->dt != DT_i32)
        return acc;
    for (int64_t k = 0; from && k < from->count; k++) {
        lo = min_i64(lo, blob_i(from, k));
        hi = max_i64(hi, blob_i(from, k));
    }
    const bool wraps = lo + v->lo < INT32_MIN || hi + v->hi > INT32_MAX;
    return ex_var(b->x, VK_REG, DT_i32, "acc", wraps ? INT32_MIN : lo + v->lo, wraps ? INT32_MAX : hi + v->hi);
}

/* What is added to the sum first is what it starts with: one operation less for each element, but on a matrix unit. */
static void start_with_bias(Build *b, Tile *t)
{
    Bias f = {.b = b, .acc = t->acc};
    if (t->red != RED_sum || (t->acc->dt != DT_f32 && t->acc->dt != DT_i32) || t->matrix || t->across)
        return;
    ex_walk(t->store->value, find_bias, &f);
    if (!f.sum || ex_uses(ex_subst(b->x, t->store->value, &(Subst){f.sum, f.value}, 1), t->acc))
        return;
    t->init = f.value;
    t->acc = started(b, t->acc, f.value);
    t->store->value = ex_subst(b->x, t->store->value, &(Subst){f.sum, t->acc}, 1);
}

static void tile_register(Build *b, Tile *t, uint32_t k, uint32_t r, Subst *sub, uint8_t rank)
{
    const Stage *s = b->te->stage.at[k], *red = b->te->stage.at[r];
    Subst inner[3 * MAX_RANK];
    tile_reduction(b, t, red, -1, b->body[r], inner, register_vars(b, k, r, sub, inner));
    b->acc[red->out] = t->acc;
    tile_store(b, t, s, sub, nest_expr(b, b->body[k], sub, rank));
    b->acc[red->out] = NULL;
    if (!ex_uses(t->store->value, t->acc)) { /* a part that is chosen otherwise, as what a mask hides */
        t->red = RED_none;
        t->acc = t->body = NULL;
        t->nr = 0;
    }
}

/* A sum of products whose one operand is shared by all lanes; depthwise products share loads between points instead. Of several
 * products in a step the first. */
static bool is_dot(const Tile *t)
{
    if (t->red != RED_sum || t->across || t->np == 0)
        return false;
    const Expr *e = t->body;
    while (ex_adds_products(e))
        e = e->a[0];
    if (e->op != EX_mul)
        return false;
    return !t->lane || !ex_uses(e->a[0], t->lane) || !ex_uses(e->a[1], t->lane);
}

void tile_stage(Build *b, Nest *in, uint32_t k, const Box *box)
{
    const Stage *s = b->te->stage.at[k];
    const uint8_t rank = out_of(b, s)->rank;
    const StagePlan *p = plan_of(b, k);
    const int64_t r = register_stage(b, k);
    Tile *t = NEW(b->a, Tile);
    Subst sub[3 * MAX_RANK];
    add_points(b, t, p, s, box, sub);
    if (r >= 0) {
        tile_register(b, t, k, (uint32_t)r, sub, rank);
    } else if (s->kind == ST_reduce) {
        tile_reduction(b, t, s, p->lane - rank, b->body[k], sub, rank);
        tile_store(b, t, s, sub, t->acc);
    } else {
        tile_store(b, t, s, sub, nest_expr(b, b->body[k], sub, rank));
    }
    t->matrix = p->matrix && t->red == RED_sum;
    t->bypass = t->matrix && p->bypass;
    t->fence = is_dot(t);
    t->clipped = t->red != RED_none && out_of(b, r >= 0 ? b->te->stage.at[r] : s)->clipped;
    t->tail = t->fence && !t->matrix ? p->tail : 0;
    start_with_bias(b, t);
    tile_fetches(b, t, k, box);
    nest_tile(b->a, in, t);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Dots: what of a contraction goes along the lanes of a register tile and down its rows, and how many steps of its reduction
 * one instruction takes. Read from the indices of its two operands.
 */
#include "auto.h"

enum { QUAD = 4, PAIR = 2 };

static bool is_byte(const Expr *load) { return dtype_is_byte((DType)load->dt); }

/* The load behind a factor; NULL: it is something else. slim: floats may be whole numbers, or what is above a byte of them. */
static const Expr *factor_load(const Expr *e, bool slim)
{
    const bool wide = e->op == EX_cast && (e->dt == DT_i32 || e->dt == DT_f32);
    const Expr *load = wide ? e->a[0] : e;
    if (slim && load->op == EX_band)
        load = load->a[0];
    const bool fits = wide ? (e->dt == DT_i32 ? is_byte(load) || load->dt == DT_i16 : load->dt == DT_bf16 || (slim && load->dt == DT_i32)) : e->dt == DT_f32;
    return fits && (load->op == EX_load || load->op == EX_loadp) ? load : NULL;
}

/* Columns that share pairs (auto_fixed.c) are two, and no lanes. */
static bool shares_pairs(const Expr *x, const Expr *extent) { return x->dt == DT_i16 && ex_is_int(extent, PAIR); }

/* The lane variable is an index variable that the second operand has and the first has not (columns of a product, output
 * channels); failing that one that both have (depthwise). The longest counts. */
static int choose_lane(const Auto *g, const Stage *s, const Expr *x, const Expr *w)
{
    const Ten *t = ten(g->te, s->out);
    int best = -1;
    for (int both = 0; both < 2 && best < 0; both++)
        for (uint8_t v = 0; v < t->rank; v++) {
            const bool fits = index_uses(w, s->var[v]) && index_uses(x, s->var[v]) == (both == 1) && !shares_pairs(x, t->dim[v]);
            if (fits && (best < 0 || extent_of(g, t->dim[v]) >= extent_of(g, t->dim[best])))
                best = v;
        }
    return best;
}

static int choose_row(const Auto *g, const Stage *s, const Expr *x, int lane)
{
    int best = -1;
    const Ten *t = ten(g->te, s->out);
    for (uint8_t v = 0; v < t->rank; v++)
        if (v != lane && index_uses(x, s->var[v]) && !ex_is_int(t->dim[v], 1))
            best = v;
    return best;
}

typedef struct Group { Exprs *x; const Expr *var, *quotient; } Group;

static void find_quotient(void *ctx, const Expr *e)
{
    Group *f = ctx;
    if (e->op == EX_fdiv && e->a[0] == f->var && ex_is_const(e->a[1]))
        f->quotient = e;
}

/* k when x depends on the lane variable as fdiv(lane, k) alone; all lanes when it does not at all, 0 otherwise. */
static int64_t group_of(const Auto *g, const Expr *x, const Expr *var, int64_t lanes)
{
    Group f = {.x = g->x, .var = var};
    ex_walk(x, find_quotient, &f);
    if (!f.quotient)
        return index_uses(x, var) ? 0 : lanes;
    const Subst s = {f.quotient, ex_int(g->x, 0)};
    const int64_t k = f.quotient->a[1]->v.i;
    return lanes % k || ex_uses(ex_subst(g->x, x, &s, 1), var) ? 0 : k;
}

/* Whether v indexes a dimension of the load that no variable of the stage shares, as the window's do. */
static bool walks_alone(const Auto *g, const Stage *s, const Expr *load, const Expr *v)
{
    for (uint8_t d = 0; d < ten(g->te, load->v.ref)->rank; d++) {
        bool shared = false;
        for (uint8_t q = 0; q < ten(g->te, s->out)->rank; q++)
            shared = shared || ex_uses(load->a[d], s->var[q]);
        if (ex_uses(load->a[d], v))
            return !shared;
    }
    return false;
}

/* Whether v alone moves the last dimension of the load, one element a step: side by side as they are. */
static bool walks_last(const Auto *g, const Expr *load, const Expr *v)
{
    const int last = ten(g->te, load->v.ref)->rank - 1;
    bool linear;
    const Layout *l = &g->layout.at[load->v.ref];
    return last >= 0 && (!l->set || l->order[last] == last) && ex_coef(load->a[last], v, &linear) == 1 && linear;
}

/* Whether steps of v lie side by side in x, or will once it has the layout that products ask for. */
bool steps_lie_beside(const Auto *g, const Stage *s, const Expr *x, const Expr *v)
{
    return walks_alone(g, s, x, v) || walks_last(g, x, v) || stride_of(g, x, v) == 1;
}

/* Whether both operands are narrow, and w a constant, which may be of bytes where x has 16 bits, or worth packing at run time. */
static bool has_groups(const Auto *g, const Stage *s, const Dot *d)
{
    const bool bytes = is_byte(d->w) && (is_byte(d->x) || (d->x->dt == DT_i16 && is_constant_load(g, d->w)));
    const bool narrow = bytes || (d->x->dt == d->w->dt && (d->x->dt == DT_bf16 || d->x->dt == DT_i16));
    if (!narrow || !d->group || d->lane < 0 || s->nr == 0 || !ex_is_const(s->rext[s->nr - 1]) || !ex_is_const(ten(g->te, s->out)->dim[d->lane]))
        return false;
    if (!is_constant_load(g, d->w))
        return may_pack_at_run_time(g, s, d->w);
    return d->w->op == EX_load && !ten(g->te, d->w->v.ref)->data->fill;
}

/* Whether each lane has pairs of its own of both operands, as auto_fixed.c makes them. */
static bool are_pairs_of_lanes(const Auto *g, const Stage *s, const Dot *d)
{
    const Expr *v = s->nr ? s->rvar[s->nr - 1] : NULL;
    const bool depthwise = d->lane >= 0 && !d->group && d->x->dt == DT_i16 && d->w->dt == DT_i16;
    return depthwise && is_constant_load(g, d->w) && ex_is_int(s->rext[s->nr - 1], PAIR) && dim_of(d->x, v) >= 0 && dim_of(d->w, v) >= 0;
}

double byte_dot_rate(const Machine *m, DType x, DType w) { return x == w ? m->dot_ss8 : m->dot_us8; }

/* Whether v walks a dimension of w by ones, or one that holds groups. A constant is brought into groups by its dimensions, anything else by variables. */
static bool walks_by_ones(const Auto *g, const Expr *w, const Expr *v)
{
    const int by = dim_using(w, v);
    bool linear;
    return by >= 0 && (!is_constant_load(g, w) || ex_coef(w->a[by], v, &linear) == 1 || !linear);
}

/* Steps of the innermost reduction variable that one dot takes: four bytes or two numbers of 16 bits side by side in x, or two floats or two pairs (auto_twin.c).
 * It may be split already: then its last part has that extent. Where both walk dimensions of their own it may be padded (three colours; an odd number of
 * tokens behind a product that is packed at run time). */
static int64_t quad_of(const Auto *g, const Stage *s, const Dot *d)
{
    const int64_t side = g->twins.at[s->out] ? TWIN : 1;
    if (are_pairs_of_lanes(g, s, d))
        return PAIR;
    if (!has_groups(g, s, d))
        return side;
    const Expr *v = s->rvar[s->nr - 1];
    const int64_t size = side * (is_byte(d->x) ? QUAD : PAIR), n = s->rext[s->nr - 1]->v.i;
    const bool alone = walks_alone(g, s, d->x, v) && walks_alone(g, s, d->w, v), constant = is_constant_load(g, d->w);
    const bool pads = alone && (!constant || may_pack_constant(g, s, d)) && (is_byte(d->x) ? n >= QUAD - 1 : n > PAIR && !constant);
    return walks_by_ones(g, d->w, v) && steps_lie_beside(g, s, d->x, v) && (n % size == 0 || pads) ? size : 1;
}

/* How much rather an operand is w than x: factors have no order of their own. What is padded must be x. */
static int serves_lanes(const Auto *g, const Expr *load)
{
    const bool constant = is_constant_load(g, load) && (load->op == EX_load || load->dt == DT_f32);
    return constant ? 3 : g->packed.at[load->v.ref] ? 2 : load->dt == DT_f32 || load->op == EX_load;
}

/* Whether p is w rather than q. What is prepared stays so: a copy in the place of one may change places with the other. */
static bool is_second(const Auto *g, const Stage *s, const Expr *p, const Expr *q)
{
    const Expr *lane = g->lane.at[s->out];
    if (lane && index_uses(p, lane) != index_uses(q, lane))
        return index_uses(p, lane);
    return serves_lanes(g, p) > serves_lanes(g, q);
}

static bool is_load(const Expr *e) { return e->op == EX_load || e->op == EX_loadp; }

/* Whether both factors are of one tensor and share all variables: nothing is used twice. */
static bool are_of_one_row(const Stage *s, const Expr *p, const Expr *q)
{
    bool alike = is_load(p) && is_load(q) && p->v.ref == q->v.ref;
    for (uint8_t v = 0; alike && v < MAX_RANK && s->var[v]; v++)
        alike = index_uses(p, s->var[v]) == index_uses(q, s->var[v]);
    return alike;
}

bool multiplies_row(const Stage *s)
{
    const bool sum = s->kind == ST_reduce && s->op == RED_sum && s->body->op == EX_mul && s->body->a[0] != s->body->a[1];
    return sum && are_of_one_row(s, s->body->a[0], s->body->a[1]);
}

/* The product in the body of a reduction, of several steps that of the first; NULL: it is no sum of them. */
static const Expr *product_of(const Auto *g, const Stage *s, const Expr *body)
{
    const Expr *e = body;
    while ((g->thirds.at[s->out] || g->slim.at[s->out]) && e->op == EX_add)
        e = e->a[0];
    return s->op == RED_sum && e->op == EX_mul && e->a[0] != e->a[1] && !are_of_one_row(s, e->a[0], e->a[1]) ? e : NULL;
}

bool is_product(const Auto *g, const Stage *s) { return s->kind == ST_reduce && product_of(g, s, s->body); }

bool dot_of(const Auto *g, uint32_t k, Dot *d)
{
    const Stage *s = g->te->stage.at[k];
    const Expr *b = s->kind == ST_reduce ? product_of(g, s, g->body[k]) : NULL;
    const bool slim = g->slim.at[s->out];
    const Expr *p = b ? factor_load(b->a[0], slim) : NULL, *q = b ? factor_load(b->a[1], slim) : NULL;
    if (!p || !q)
        return false;
    if (ten(g->te, p->v.ref)->lists || ten(g->te, q->v.ref)->lists)
        return false;
    const bool swap = is_second(g, s, p, q);
    *d = (Dot){.x = swap ? q : p, .w = swap ? p : q, .thirds = g->thirds.at[s->out], .slim = slim};
    d->lane = choose_lane(g, s, d->x, d->w);
    if (d->lane < 0 && !is_constant_load(g, d->w)) { /* perhaps the other way round */
        const Expr *t = d->x;
        d->x = d->w;
        d->w = t;
        d->lane = choose_lane(g, s, d->x, d->w);
    }
    d->row = choose_row(g, s, d->x, d->lane);
    d->group = d->lane >= 0 ? group_of(g, d->x, s->var[d->lane], extent_of(g, ten(g->te, s->out)->dim[d->lane])) : 0;
    d->quad = quad_of(g, s, d);
    return true;
}

int64_t points_sharing(const Auto *g, const Stage *s, const Expr *load)
{
    const Ten *t = ten(g->te, s->out);
    int64_t n = 1;
    for (uint8_t v = 0; v < t->rank; v++)
        n *= ex_uses(load, s->var[v]) ? 1 : extent_of(g, t->dim[v]);
    return n;
}

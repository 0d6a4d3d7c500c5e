/* SPDX-License-Identifier: Apache-2.0
 *
 * Products of floats with a constant, and constants made of its columns, as recipes: some lanes at a time, when the weights are written.
 */
#include "auto_product.h"

#include <inttypes.h>
#include <math.h>

/* ---- which products ---- */

/* The one reduction variable of more than one value; false: there are several. The others are 0 in the operands. */
static bool find_step(const Auto *g, Product *p)
{
    Subst zero[MAX_RANK];
    uint32_t n = 0;
    for (uint8_t q = 0; q < p->s->nr; q++) {
        const bool trivial = ex_is_int(p->s->rext[q], 1);
        if (!ex_is_const(p->s->rext[q]) || (!trivial && p->k))
            return false;
        if (trivial)
            zero[n++] = (Subst){p->s->rvar[q], ex_int(g->x, 0)};
        else {
            p->k = p->s->rvar[q];
            p->steps = p->s->rext[q]->v.i;
        }
    }
    p->x = ex_subst(g->x, p->d.x, zero, n);
    p->w = ex_subst(g->x, p->d.w, zero, n);
    return p->k && p->x->op == EX_load && p->w->op == EX_load;
}

/* The batches along variable v. Where v has no multiple in an index of w, that index is their number: some may share their columns (auto_winograd.c). */
static Batch batch_of(const Auto *g, Product *p, uint8_t v)
{
    const Ten *w = ten(g->te, p->w->v.ref);
    const int d = dim_using(p->w, p->s->var[v]);
    const Expr *index = p->w->a[d], *at[MAX_RANK];
    bool multiple;
    (void)ex_coef(index, p->s->var[v], &multiple);
    if (multiple || ex_uses(index, p->k) || ex_uses(index, p->s->var[p->d.lane]))
        return (Batch){p->s->var[v], p->s->var[v], ten(g->te, p->s->out)->dim[v]};
    memcpy(at, p->w->a, w->rank * sizeof *at);
    at[d] = ex_index(g->x, "b", w->dim[d]);
    p->w = ex_load(g->x, (DType)p->w->dt, p->w->v.ref, w->rank, at);
    return (Batch){at[d], index, w->dim[d]};
}

static void find_variables(const Auto *g, Product *p)
{
    for (uint8_t v = 0; v < ten(g->te, p->s->out)->rank; v++)
        if (v != p->d.lane && (ex_uses(p->x, p->s->var[v]) || ex_uses(p->w, p->s->var[v]))) {
            p->row[p->nrow++] = v;
            if (ex_uses(p->w, p->s->var[v]))
                p->batch[p->nbatch++] = batch_of(g, p, v);
        }
}

/* How the constant is walked; false: it is no sum of multiples of the variables. */
static bool find_walk(const Auto *g, Product *p)
{
    const Expr *var[MAX_RANK + 2], *extent[MAX_RANK + 2];
    uint8_t n = 0;
    for (; n < p->nbatch; n++) {
        var[n] = p->batch[n].number;
        extent[n] = p->batch[n].extent;
    }
    var[n] = p->k;
    extent[n++] = ex_int(g->x, p->steps);
    var[n] = p->s->var[p->d.lane];
    extent[n++] = ten(g->te, p->s->out)->dim[p->d.lane];
    return auto_walks(g, p->w, var, extent, n, p->walk, &p->at);
}

static bool is_of_floats(const Dot *d) { return d->quad == 1 && d->x->dt == DT_f32 && d->w->dt == DT_f32; }

static bool is_of_words(const Dot *d) { return d->x->dt == DT_i16 && dtype_is_byte((DType)d->w->dt); }

static bool find_product(const Auto *g, uint32_t k, Product *p, bool (*is_of)(const Dot *d))
{
    *p = (Product){.s = g->te->stage.at[k]};
    if (!dot_of(g, k, &p->d) || p->d.lane < 0 || dot_lines(&p->d) != 1 || !is_of(&p->d))
        return false;
    const Ten *t = ten(g->te, p->s->out);
    if (!is_constant_load(g, p->d.w) || ten(g->te, p->d.w->v.ref)->data->fill || !has_known_extents(g, p->s) || p->d.group != extent_of(g, t->dim[p->d.lane]))
        return false;
    if (!find_step(g, p))
        return false;
    find_variables(g, p);
    return find_walk(g, p);
}

bool auto_product(const Auto *g, uint32_t k, Product *p) { return find_product(g, k, p, is_of_floats); }

static bool is_of_bytes(const Dot *d) { return d->x->dt == DT_u8 && d->w->dt == DT_i8; }

bool auto_product_of_bytes(const Auto *g, uint32_t k, Product *p)
{
    if (!find_product(g, k, p, is_of_bytes))
        return false;
    p->d.quad = QUAD_STEPS;
    return true;
}

bool auto_product_of_words(const Auto *g, uint32_t k, Product *p)
{
    if (!find_product(g, k, p, is_of_words))
        return false;
    p->d.quad = PAIR_STEPS; /* of its one variable of steps, whichever that was among those of the stage */
    return true;
}

/* ---- columns ---- */

/* By bits, among which those of NaN are the largest. */
void largest_of_columns(const Columns *c, float *most)
{
    uint32_t bits[COLUMN_STRIP] = {0};
    for (int64_t k = 0; k < c->step.extent; k++)
        for (int64_t l = 0; l < c->count; l++) {
            const float v = fabsf(column_at(c, l, k));
            uint32_t b;
            memcpy(&b, &v, sizeof b);
            bits[l] = b > bits[l] ? b : bits[l];
        }
    memcpy(most, bits, (size_t)c->count * sizeof *most);
}

/* Batches of columns: `unit` elements are made of each. */
typedef struct Made { Recipe r; MakeColumns make; const void *how; ElementWalk step, lane, batch[MAX_RANK]; int64_t nbatch, at; } Made;

static Made made_of(const Product *p)
{
    Made m = {.step = p->walk[p->nbatch], .lane = p->walk[p->nbatch + 1], .nbatch = p->nbatch, .at = p->at};
    memcpy(m.batch, p->walk, p->nbatch * sizeof *m.batch);
    return m;
}

static int64_t batches_of(const Made *m)
{
    int64_t n = 1;
    for (int64_t q = 0; q < m->nbatch; q++)
        n *= m->batch[q].extent;
    return n;
}

/* As many as lie side by side, or places of memory that share no set of a cache too many. */
static int64_t strip_of_lanes(const Made *m) { return m->lane.stride == 1 ? COLUMN_STRIP : COLUMN_STRIP / 8; }

/* The strip of batch b of the constant at `from` that begins at lane `first`. */
static Columns strip_of(const Made *m, const char *from, int64_t b, int64_t first)
{
    int64_t at = m->at, rest = b;
    for (int64_t q = m->nbatch; q-- > 0; rest /= m->batch[q].extent)
        at += rest % m->batch[q].extent * m->batch[q].stride;
    return (Columns){.how = m->how, .w = from + (size_t)at * sizeof(float), .step = m->step, .lane = m->lane, .batch = b,
                     .first = first, .count = min_i64(strip_of_lanes(m), m->lane.extent - first)};
}

static void make_batches(const Recipe *r, const char *from, int64_t first, int64_t n, char *out)
{
    const Made *m = (const Made *)r;
    for (int64_t b = first / r->unit; b < (first + n) / r->unit; b++, out += (size_t)r->unit * sizeof(float))
        for (int64_t lane = 0; lane < m->lane.extent; lane += strip_of_lanes(m)) {
            const Columns c = strip_of(m, from, b, lane);
            m->make(&c, out);
        }
}

/* What a table of the product's constant is known by. */
static const char *key_of(const Auto *g, const Product *p, const char *what)
{
    Text t = {.arena = g->a};
    text_add(&t, "%s %u %" PRId64, what, p->w->v.ref, p->at);
    for (int q = 0; q < p->nbatch + 2; q++)
        text_add(&t, " %" PRId64 "*%" PRId64, p->walk[q].extent, p->walk[q].stride);
    return text_str(&t);
}

/* A tensor of n dimensions of such extents between those of the batch and the lane, and its load at these indices. Made once: its data are
 * still to come, or those of another product with that constant. */
static const Expr *table_of(Auto *g, const Product *p, const char *what, DType dt, const Expr *const *at, const int64_t *extent, uint8_t n)
{
    const Expr *dim[MAX_RANK], *index[MAX_RANK];
    const Ten *out = ten(g->te, p->s->out);
    uint8_t rank = 0;
    for (; rank < p->nbatch; rank++) {
        dim[rank] = p->batch[rank].extent;
        index[rank] = p->batch[rank].index;
    }
    for (uint8_t q = 0; q < n; q++, rank++) {
        dim[rank] = ex_int(g->x, extent[q]);
        index[rank] = at[q];
    }
    dim[rank] = out->dim[p->d.lane];
    index[rank++] = p->s->var[p->d.lane];
    uint64_t *t = map_str(g->made, key_of(g, p, what), true);
    if (!*t)
        *t = auto_tensor(g, str_fmt(g->a, "%s.%s%u", ten(g->te, p->w->v.ref)->name, what, g->te->ten.n), TEN_const, rank, dim);
    ten(g->te, (uint32_t)*t)->dt = dt;
    return ex_load(g->x, dt, (uint32_t)*t, rank, index);
}

const Expr *product_constant(Auto *g, const Product *p, const char *what, DType dt, MakeColumns make, const void *how, const Expr *const *at, const int64_t *extent, uint8_t n)
{
    const Expr *load = table_of(g, p, what, dt, at, extent, n);
    Ten *t = ten(g->te, load->v.ref);
    if (t->data)
        return load;
    int64_t unit = p->walk[p->nbatch + 1].extent;
    for (uint8_t q = 0; q < n; q++)
        unit *= extent[q];
    Made *m = NEW(g->a, Made);
    *m = made_of(p);
    m->r = (Recipe){.arena = g->a, .from = ten(g->te, p->w->v.ref)->data, .unit = unit, .make = make_batches};
    m->make = make;
    m->how = how;
    t->data = blob_made(g->a, dt, batches_of(m) * unit, &m->r);
    return load;
}

int64_t count_columns(const Product *p)
{
    const Made m = made_of(p);
    return batches_of(&m) * m.lane.extent;
}

const Expr *product_table(Auto *g, const Product *p, const char *what, const float *v)
{
    const Expr *load = table_of(g, p, what, DT_f32, NULL, NULL, 0);
    Ten *t = ten(g->te, load->v.ref);
    t->data = t->data ? t->data : blob_view(g->a, DT_f32, count_columns(p), v);
    return load;
}

const Expr *constant_line(const Auto *g, const Expr *first, int q)
{
    const Expr *index[MAX_RANK];
    memcpy(index, first->a, first->n * sizeof *index);
    index[first->n - 2] = ex_int(g->x, q);
    return ex_load(g->x, (DType)first->dt, first->v.ref, first->n, index);
}

Stage *product_result(Auto *g, const Product *p, const Expr *value)
{
    Stage *s = NEW(g->a, Stage);
    *s = (Stage){.kind = ST_map, .out = p->s->out, .node = p->s->node, .body = value};
    memcpy(s->var, p->s->var, sizeof s->var);
    return s;
}

void product_columns(const Auto *g, const Product *p, SeeColumns fn, void *ctx)
{
    const Made m = made_of(p);
    Arena *scratch = arena_child(g->a);
    const Blob *from = blob_held(ten(g->te, p->w->v.ref)->data, scratch);
    for (int64_t b = 0; b < batches_of(&m); b++)
        for (int64_t lane = 0; lane < m.lane.extent; lane += strip_of_lanes(&m)) {
            const Columns c = strip_of(&m, from->data, b, lane);
            fn(&c, ctx);
        }
    arena_free(scratch);
}

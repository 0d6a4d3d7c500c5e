/* SPDX-License-Identifier: Apache-2.0
 *
 * Scratch that slides. Boxes of neighbouring iterations of the loop outside share rows (windows do), and what the plan keeps is not made
 * again: the rows lie in a ring, row i at (i + lo) mod R where the tensor has a border of lo rows, which the ring holds like others. The
 * first box, which has code of its own, is made whole; of the following ones what is new. Where parts of a run begin with another one
 * (FOR_lead), the rows that the one before it would have left there are made before.
 */
#include "build.h"

uint8_t ring_dim(const Build *b, uint32_t t) { return (uint8_t)(plan_of(b, ten(b->te, t)->stage)->slide - 1); }

static int64_t kept_rows(const Build *b, uint32_t t) { return plan_of(b, ten(b->te, t)->stage)->keep; }

bool in_ring(const Build *b, uint32_t t) { return place_of(b, t) == PL_at && plan_of(b, ten(b->te, t)->stage)->slide > 0; }

const Expr *ring_index(const Build *b, uint32_t t, const Expr *row)
{
    return ex_mod(b->x, ex_add(b->x, row, ex_int(b->x, b->s->layout[t].lo[ring_dim(b, t)])), ex_int(b->x, b->ring[t].rows));
}

static void ring_fails(Build *b, uint32_t t, const char *why)
{
    if (b->unkept == NO_STAGE && b->says)
        (void)diag_error(b->cx->diags, "schedule", "%%%s cannot keep rows: %s", ten(b->te, t)->name, why);
    b->unkept = ten(b->te, t)->stage;
}

void ring_guards(Build *b, uint32_t t, const Expr *row, const Expr *fill)
{
    const uint8_t d = ring_dim(b, t);
    const Layout *l = &b->s->layout[t];
    int64_t lo, hi;
    const int64_t end = ex_upper(b->x, ten(b->te, t)->dim[d]);
    const bool known = ex_range(b->x, row, &lo, &hi), inside = known && lo >= 0 && hi < end;
    if (!inside && !(known && is_pad(fill, l->pad) && lo >= -l->lo[d] && hi < end + l->hi[d]))
        ring_fails(b, t, "it is read beyond its border");
}

/* ---- borders ---- */

static void fill_box(Build *b, Nest *in, uint32_t t, const Box *box)
{
    const Buf *p = buf(b->u, b->buf_of[t]);
    const Expr *logical[MAX_RANK], *index[MAX_RANK];
    box_loops(b, &in, p, box, logical);
    shift_index(b, t, logical, p->rank, index);
    nest_store(b->a, in, b->buf_of[t], p->rank, index, ex_num(b->x, p->dt, p->pad));
}

/* The border before or behind dimension d of box, as wide as `n`; of the other dimensions as much as box has. */
static void fill_side(Build *b, Nest *in, uint32_t t, const Box *box, uint8_t d, int64_t from, int64_t n)
{
    Box side = *box;
    side.lo[d] = ex_int(b->x, from);
    side.ext[d] = ex_int(b->x, n);
    if (n > 0)
        fill_box(b, in, t, &side);
}

/* Beside the new rows, above the first and below the last one there is: there as much as the ring has room for beside the rows of the
 * box, which is as much as the box would have of it. */
static void fill_borders(Build *b, Nest *in, uint32_t t, const Box *need, const Box *fresh, bool first)
{
    const Layout *l = &b->s->layout[t];
    const Ten *n = ten(b->te, t);
    const uint8_t ring = ring_dim(b, t);
    Box wide = *fresh;
    for (uint8_t d = 0; d < n->rank; d++) {
        const Buf *p = buf(b->u, b->buf_of[t]);
        if (d == ring)
            continue;
        fill_side(b, in, t, &wide, d, -p->lo[d], p->lo[d]);
        fill_side(b, in, t, &wide, d, ex_upper(b->x, n->dim[d]), p->hi[d]);
        wide.lo[d] = ex_sub(b->x, wide.lo[d], ex_int(b->x, p->lo[d]));
        wide.ext[d] = ex_add(b->x, wide.ext[d], ex_int(b->x, p->lo[d] + p->hi[d]));
    }
    if (first)
        fill_side(b, in, t, &wide, ring, -l->lo[ring], l->lo[ring]);
    if (ex_is_const(need->lo[ring]) && b->ring[t].end == ex_upper(b->x, n->dim[ring]))
        fill_side(b, in, t, &wide, ring, b->ring[t].end, min_i64(l->hi[ring], b->ring[t].rows - need->ext[ring]->v.i));
}

/* ---- rows ---- */

static void begin_ring(Build *b, uint32_t t, const Box *need)
{
    const uint8_t d = ring_dim(b, t);
    const Layout *l = &b->s->layout[t];
    const int64_t end = need->lo[d]->v.i + need->ext[d]->v.i, below = end == ex_upper(b->x, ten(b->te, t)->dim[d]) ? l->hi[d] : 0;
    Box whole = *need;
    b->ring[t] = (Ring){.rows = l->lo[d] + need->ext[d]->v.i + below, .end = end, .first = *need};
    whole.ext[d] = ex_int(b->x, b->ring[t].rows);
    Buf *p = buf(b->u, scratch_for(b, t, &whole));
    p->lo[d] = p->hi[d] = 0;
    buf_layout(b->u, p);
}

static bool is_fixed(const Build *b, uint32_t t, const Box *need)
{
    bool fixed = true;
    for (uint8_t d = 0; d < ten(b->te, t)->rank; d++)
        fixed = fixed && ex_is_const(need->lo[d]) && ex_is_const(need->ext[d]);
    return fixed;
}

/* Whether box follows what was made last, in each iteration of the loop around it, and the ring holds it: in other dimensions it is
 * the same. */
static bool follows(Build *b, uint32_t t, const Box *need)
{
    const uint8_t d = ring_dim(b, t);
    Ring *r = &b->ring[t];
    int64_t least, most;
    for (uint8_t q = 0; q < ten(b->te, t)->rank; q++)
        if (q != d && (need->lo[q] != r->first.lo[q] || need->ext[q] != r->first.ext[q]))
            return false;
    if (!ex_is_const(need->ext[d]) || !ex_range(b->x, need->lo[d], &least, &most) || least != r->end - kept_rows(b, t))
        return false;
    const int64_t rows = need->ext[d]->v.i;
    const Affine f = ex_affine(b->a, need->lo[d]);
    r->end = most + rows;
    return rows <= r->rows && (f.n == 0 || (f.n == 1 && f.t[0].coef == rows - kept_rows(b, t)));
}

/* Whether stage k, or what lies in the registers of its tile, reads tensor t. */
static bool reads(const Build *b, uint32_t k, uint32_t t)
{
    bool yes = false;
    for (uint32_t q = b->reader.first[t]; q < b->reader.first[t + 1]; q++) {
        const StagePlan *p = plan_of(b, b->reader.at[q]);
        yes = yes || b->reader.at[q] == k || (p->place == PL_register && p->host == k);
    }
    return yes;
}

Box ring_lead(Build *b, Nest *in, uint32_t t, const Box *need)
{
    const uint32_t k = ten(b->te, t)->stage, host = plan_of(b, k)->host;
    const uint8_t d = ring_dim(b, t);
    Box kept = *need;
    for (uint32_t g = b->guest.first[host]; g < b->guest.first[host + 1]; g++)
        if (reads(b, k, b->te->stage.at[b->guest.at[g]]->out))
            ring_fails(b, t, "on several threads it must not read what else is made in its host");
    kept.ext[d] = ex_int(b->x, kept_rows(b, t));
    fill_borders(b, in, t, need, &kept, false);
    b->ring[t].led = true;
    return kept;
}

Box ring_rows(Build *b, Nest *in, uint32_t t, const Box *need)
{
    const uint8_t d = ring_dim(b, t);
    const bool first = !b->ring[t].rows;
    Box fresh = *need;
    if (first ? !is_fixed(b, t, need) : !follows(b, t, need)) {
        ring_fails(b, t, "what its host reads does not follow row after row on a first part in code of its own (loop .. first)");
        b->ring[t].rows = max_i64(b->ring[t].rows, 1);
        return (Box){0};
    }
    if (first) {
        begin_ring(b, t, need);
    } else {
        if (b->s->parts > 1 && !b->ring[t].led)
            ring_fails(b, t, "on several threads each band must be one iteration of its host's outermost loop, behind a first one");
        const Expr *keep = ex_int(b->x, kept_rows(b, t));
        fresh.lo[d] = ex_add(b->x, need->lo[d], keep);
        fresh.ext[d] = ex_sub(b->x, need->ext[d], keep);
    }
    fresh.known = fresh.ext[d]->v.i > 0;
    fill_borders(b, in, t, need, &fresh, first);
    return fresh;
}

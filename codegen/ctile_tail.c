/* SPDX-License-Identifier: Apache-2.0
 *
 * Long epilogues beside dots. What follows a sum of bytes (requantisation, GELU) uses units that dots leave idle, but a core does not
 * see from the one to the other past hundreds of operations. So the last steps of the reduction are made for a few points at a time,
 * each beside the epilogue of the points before, line by line.
 */
#include "ctile.h"

enum { TAIL_SUMS = 8 }; /* at a time: more than a dot takes cycles, so that none waits for the one before */

static int32_t points_at_once(const Sums *sums) { return max_i32(TAIL_SUMS / sums->nv, 1); }

/* The innermost loop; -1: there is none, or the extent of one is not constant. */
static int innermost_loop(const VGen *v, int loops)
{
    int inner = -1;
    for (int k = 0; k < loops; k++) {
        if (!ex_is_const(v->t->rext[k]))
            return -1;
        inner = k == v->tap ? inner : k;
    }
    return inner;
}

void v_find_tail(const VGen *v, Sums *sums)
{
    const Tile *t = v->t;
    const int cost = v_cost(t), inner = innermost_loop(v, t->nr - sums->quads);
    const bool pays = inner >= 0 && cost >= LONG_EPILOGUE && sums->np > points_at_once(sums);
    sums->tail = pays ? min_i64(min_i64(cost, t->tail), t->rext[inner]->v.i - 1) : 0;
    sums->inner = sums->tail > 0 ? inner : -1;
}

/* Whether the loops outside the innermost one are in their last iterations; "": there are none. */
static const char *outside_at_end(const VGen *v, const Sums *sums)
{
    Text text = {.arena = v->g->a};
    for (int k = 0; k < sums->inner; k++)
        text_add(&text, "%s%s == %lld", text.n ? " && " : "", var_ident(v->g, v->t->rvar[k]), (long long)v->t->rext[k]->v.i - 1);
    return text.n ? text_str(&text) : "";
}

void v_open_short_loop(VGen *v, const Sums *sums)
{
    const char *i = var_ident(v->g, v->t->rvar[sums->inner]), *last = outside_at_end(v, sums);
    const long long all = v->t->rext[sums->inner]->v.i, some = all - sums->tail;
    const char *end = *last ? str_fmt(v->g->a, "(%s ? %lld : %lld)", last, some, all) : str_fmt(v->g->a, "%lld", some);
    open_block(v->g->o, "for (%s %s = 0; %s < %s; %s++)", c_type(v->g, DT_ix), i, i, end, i);
}

static void last_steps(VGen *v, const Sums *sums, Points at)
{
    const Tile *t = v->t;
    Subst end[MAX_RANK];
    for (int k = 0; k <= sums->inner; k++)
        end[k] = (Subst){t->rvar[k], ex_int(v->g->x, t->rext[k]->v.i - 1)};
    for (int64_t left = sums->tail; left > 0; left--) {
        end[sums->inner].to = ex_int(v->g->x, t->rext[sums->inner]->v.i - left);
        v_sum_step(v, sums, at, end, (uint32_t)sums->inner + 1);
        v_forget(v, false);
    }
}

static uint64_t lines_of(const char *s)
{
    uint64_t n = 0;
    for (; *s; s++)
        n += *s == '\n';
    return n;
}

/* The lines of both, each spread evenly over those of the other. */
static void spread(Out *o, Out *a, Out *b)
{
    const char *s[2] = {a->text.n ? text_str(&a->text) : "", b->text.n ? text_str(&b->text) : ""};
    const uint64_t all[2] = {lines_of(s[0]), lines_of(s[1])};
    for (uint64_t done[2] = {0, 0}; *s[0] || *s[1];) {
        const int k = !*s[0] || (*s[1] && done[0] * all[1] > done[1] * all[0]);
        const size_t length = (size_t)(strchr(s[k], '\n') - s[k]) + 1;
        text_put(&o->text, s[k], length);
        s[k] += length;
        done[k]++;
    }
}

void v_tail(VGen *v, const Sums *sums)
{
    CGen *g = v->g;
    Out *outer = g->o;
    const int32_t count = points_at_once(sums);
    for (int32_t p = 0; p < sums->np + count; p += count) {
        Out steps, stores;
        v_begin_turn(v, &steps, outer);
        if (p < sums->np)
            last_steps(v, sums, (Points){p, min_i32(count, sums->np - p)});
        v_begin_turn(v, &stores, outer);
        if (p > 0)
            v_epilogue(v, sums->acc, (Points){p - count, min_i32(count, sums->np - p + count)}, sums->nv);
        g->o = outer;
        spread(outer, &steps, &stores);
    }
}

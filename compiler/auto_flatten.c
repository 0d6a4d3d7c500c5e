/* SPDX-License-Identifier: Apache-2.0
 *
 * Few channels: the first convolution of a network of images reduces over three of them and over the columns of a window,
 * x[c, 2*i+r, 2*j+s]. Where products take operands in groups (pairs of bf16 and more), reductions over three are too short, so
 * columns and their channels become one (auto_run.h):
 *
 *   y[m,i,j] = sum(c:3,r:7,s:7) x[c,2*i+r-3,2*j+s-3 | 0] * w[m,c,r,s]
 *
 *   f[i,p] = x[p mod 4, i, p div 4 - 3 | 0]                          channels padded with zeros, columns with the border
 *   y[m,i,j] = sum(r:7,e:28) f[2*i+r-3, 8*j+e | 0] * w'[m,r,e]       e = 4*s + c
 */
#include "auto_run.h"

enum { MOST_CHANNELS = 8 };

/* Columns and channels among the dimensions of x: the last that can be columns. */
static bool find_dims(const Auto *g, int64_t group, Run *r)
{
    const Ten *x = ten(g->te, r->x->v.ref);
    for (r->channel = 0; r->channel < x->rank; r->channel++)
        for (r->column = x->rank - 1; r->column >= 0; r->column--) {
            const bool apart = r->column != r->channel && ex_is_const(x->dim[r->column]);
            if (apart && run_of(g, r, group, 1) && r->taps > 1 && r->channels > 1 && r->channels <= MOST_CHANNELS)
                return true;
        }
    return false;
}

static bool find_run(const Auto *g, uint32_t k, int64_t group, Run *r)
{
    Dot d;
    if (!dot_of(g, k, &d) || d.lane < 0 || !d.group || d.w->op != EX_load || d.w->dt != DT_f32 || !is_constant_load(g, d.w) || ten(g->te, d.w->v.ref)->data->fill)
        return false;
    *r = (Run){.s = g->te->stage.at[k], .x = d.x, .w = d.w, .row = -1};
    return is_zero_outside(d.x) && find_dims(g, group, r);
}

void auto_flatten(Auto *g, int64_t group)
{
    for (uint32_t k = 0; k < g->te->stage.n; k++) {
        Run r;
        if (!find_run(g, k, group, &r))
            continue;
        const Ten *x = ten(g->te, r.x->v.ref), *w = ten(g->te, r.w->v.ref);
        const Expr *body = g->body[k], *index[MAX_RANK];
        const uint32_t constant = run_constant(g, &r, str_fmt(g->a, "%s.flat", w->name));
        Stage *copy = run_copy(g, &r, str_fmt(g->a, "%s.flat", x->name), (const char *const[]){"n", "i", "j", "k"}, index);
        copy->body = ex_loadp(g->x, DT_f32, r.x->v.ref, x->rank, index, ex_const_f(g->x, DT_f32, 0));
        auto_insert(g, k++, copy);
        g->te->stage.at[k] = run_product(g, &r, body, copy->out, constant);
        auto_views(g);
    }
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums of floats that take two steps side by side (compiler/auto_twin.c): a vector holds both for half as many lanes as it has,
 *
 *   twin[2*l + q] = sum(k) x[2*k + q] * w[k, l, q]        q < 2
 *
 * (of bf16 each step is a pair), and an accumulator of the tile is what it begins with and both halves of two such vectors.
 */
#include "ctile.h"

int32_t v_twin_vectors(const VGen *v) { return (TWIN * v->t->lanes + v->width - 1) / v->width; }

void v_declare_twins(VGen *v, Acc *twin, int32_t np)
{
    CGen *g = v->g;
    const int32_t nv = v_twin_vectors(v);
    for (int32_t k = 0; k < np * nv; k++) {
        twin[k].var = v_register(v, "c");
        twin[k].name = c_name(g, &g->var, twin[k].var->id, str_fmt(g->a, "s%d_%d", k / nv, k % nv), "s");
        ln(g->o, "%s %s = %s;", v_type(v, DT_f32), twin[k].name, v_set(v, ex_const_f(g->x, DT_f32, 0)));
    }
}

void v_join_twins(VGen *v, const Acc *twin, Acc *acc, int32_t np, int32_t nv)
{
    CGen *g = v->g;
    const int32_t twins = v_twin_vectors(v);
    for (int32_t k = 0; k < np * nv; k++) {
        const int32_t p = k / nv, q = k % nv, first = TWIN * q, second = min_i32(first + 1, twins - 1);
        const char *sum = str_fmt(g->a, "V%d_TWINS(%s, %s)", v->width, twin[p * twins + first].name, twin[p * twins + second].name);
        acc[k].var = v_register(v, "c");
        acc[k].name = c_name(g, &g->var, acc[k].var->id, str_fmt(g->a, "c%d_%d", p, q), "c");
        const char *value = v->t->init ? str_fmt(g->a, "V%d_ADD(%s, %s)", v->width, sum, v_start(v, p, q)) : sum;
        ln(g->o, "const %s %s = %s;", v_type(v, DT_f32), acc[k].name, value);
    }
    v_forget(v, false);
}

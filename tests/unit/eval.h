/* SPDX-License-Identifier: Apache-2.0
 *
 * For tests of graph passes: graphs from text, and their outputs on random inputs by the interpreter, unscheduled.
 */
#ifndef MLCC_TEST_EVAL_H
#define MLCC_TEST_EVAL_H

#include "context.h"
#include "compiler/pass.h"
#include "ir/op.h"

static Options options;
static Text remarks;

static int setup_passes(void **state)
{
    (void)setup(state);
    options = (Options){.rpass = ".", .level = 3};
    remarks = (Text){.arena = arena};
    return 0;
}

static void fail_with_problems(void) { fail_msg("%s", problems()); }

static Graph *parsed(const char *text)
{
    Graph *g = graph_parse(&cx, str_fmt(arena, "graph g\n%s", text));
    if (!g || !infer_graph(g)) fail_with_problems();
    return g;
}

static Program program(Graph *g)
{
    return (Program){.cx = &cx, .opt = &options, .name = "test", .graph = g, .log = &remarks};
}

typedef struct Values {
    uint32_t n;
    mlcc_tensor *at;
    size_t *bytes;
} Values;

/* Random elements: small integers of integer types, reals in -3..3 with some zeros of both signs. */
static void randomize(DType dt, void *to)
{
    const int r = rand();
    if (!dtype_is_float(dt))
        dtype_put_i(dt, to, dt == DT_bool ? r & 1 : r % 201 - (dtype_min(dt) ? 100 : 0));
    else
        dtype_put_f(dt, to, r % 16 == 0 ? 0.0 : r % 16 == 1 ? -0.0 : (r % 6001 - 3000) / 1000.0);
}

static size_t buffer_bytes(const Unit *u, uint32_t id)
{
    return (size_t)buf(u, id)->bytes;
}

static mlcc_tensor *random_inputs(const Graph *g, const Unit *u)
{
    mlcc_tensor *in = NEWN(arena, mlcc_tensor, g->input.n + 1);
    for (uint32_t k = 0; k < g->input.n; k++) {
        const Tensor *t = tensor(g, g->input.at[k]);
        const size_t size = dtype_bytes(t->dt);
        in[k] = (mlcc_tensor){.dtype = dtype_info(t->dt)->onnx, .rank = t->rank};
        in[k].data = arena_alloc(arena, buffer_bytes(u, u->input.at[k]) + 1, 64);
        for (uint8_t d = 0; d < t->rank; d++) in[k].dim[d] = t->dim[d]->v.i;
        for (int64_t e = 0; e < tensor_count(g, t); e++) randomize(t->dt, (char *)in[k].data + (size_t)e * size);
    }
    return in;
}

/* Evaluates g; *in: inputs to use, made when NULL. */
static Values evaluate(Graph *g, mlcc_tensor **in)
{
    Te *te = te_lower(&cx, g);
    const Unit *u = te ? build_nests(&cx, schedule_O0(arena, te), "g") : NULL;
    if (!u) fail_with_problems();
    if (!*in) *in = random_inputs(g, u);
    Values v = {u->output.n, NEWN(arena, mlcc_tensor, u->output.n), NEWN(arena, size_t, u->output.n)};
    for (uint32_t k = 0; k < v.n; k++) {
        v.bytes[k] = buffer_bytes(u, u->output.at[k]);
        v.at[k].data = arena_alloc(arena, v.bytes[k] + 1, 64);
    }
    if (!unit_run(arena, u, *in, v.at)) fail_with_problems();
    return v;
}
#endif

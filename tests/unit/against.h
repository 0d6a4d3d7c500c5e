/* SPDX-License-Identifier: Apache-2.0
 *
 * For tests of what a schedule computes: a compiled unit on the interpreter, and against the plain nests of the same graph.
 */
#ifndef MLCC_TEST_AGAINST_H
#define MLCC_TEST_AGAINST_H

#include "compiled.h"
#include "sanitized.h"

#include <math.h>
#include <stdlib.h>

/* -1 .. 1 */
static inline double value(void) { return (rand() % 2001 - 1000) / 1000.0; }

/* Whether a unit is run. Where mlcc is sanitized only if it has few multiplications: more of them show no more of mlcc, and what they give
 * is looked at where it is not. */
static inline bool is_run(const Unit *u)
{
    enum { FEW = 1 << 22 };
    uint64_t macs = 0;
    for (uint32_t k = 0; k < u->func.n; k++)
        macs += u->func.at[k]->macs;
    return !SANITIZED || macs <= FEW;
}

/* What a unit of one output makes of its inputs. */
static inline float *output_of(const Unit *u, const mlcc_tensor *in)
{
    mlcc_tensor out = {.data = arena_alloc(arena, (size_t)buf(u, u->output.at[0])->bytes, 64)};
    assert_true(unit_run(arena, u, in, &out));
    return out.data;
}

/* Largest difference to the plain nests, of the largest value, on made-up values of the input `in`; 0 where they are not run. */
static inline double error_of(const char *graph, const Unit *u, mlcc_tensor in)
{
    const Unit *plain = compiled(graph, 0, "generic").unit;
    if (!is_run(plain))
        return 0;
    const int64_t n = buf(u, u->output.at[0])->bytes / 4, count = buf(u, u->input.at[0])->bytes / 4;
    float *x = NEWN(arena, float, (size_t)count);
    for (int64_t k = 0; k < count; k++)
        x[k] = (float)value();
    in.data = x;
    const float *want = output_of(plain, &in), *got = output_of(u, &in);
    double most = 0, off = 0;
    for (int64_t k = 0; k < n; k++) {
        most = fmax(most, fabs((double)want[k]));
        off = fmax(off, fabs((double)want[k] - (double)got[k]));
    }
    return off / most;
}

/* ---- to the bit ---- */

/* Random bytes for every input. */
static inline mlcc_tensor *inputs_of(const Unit *u)
{
    mlcc_tensor *in = NEWN(arena, mlcc_tensor, u->input.n);
    for (uint32_t k = 0; k < u->input.n; k++) {
        const Buf *b = buf(u, u->input.at[k]);
        char *data = arena_alloc(arena, (size_t)b->bytes + 1, 64);
        for (int64_t e = 0; e < b->bytes; e++)
            data[e] = (char)rand();
        in[k] = (mlcc_tensor){.data = data, .dtype = dtype_info(b->dt)->onnx, .rank = b->rank};
        for (uint8_t d = 0; d < b->rank; d++)
            in[k].dim[d] = b->dim[d]->v.i;
    }
    return in;
}

/* Of units that are run. */
static inline void assert_same_results(const Unit *p, const Unit *q, const mlcc_tensor *in)
{
    if (!is_run(p))
        return;
    mlcc_tensor *x = NEWN(arena, mlcc_tensor, p->output.n), *y = NEWN(arena, mlcc_tensor, p->output.n);
    for (uint32_t k = 0; k < p->output.n; k++) {
        x[k].data = arena_alloc(arena, (size_t)buf(p, p->output.at[k])->bytes + 1, 64);
        y[k].data = arena_alloc(arena, (size_t)buf(p, p->output.at[k])->bytes + 1, 64);
    }
    assert_true(unit_run(arena, p, in, x) && unit_run(arena, q, in, y));
    for (uint32_t k = 0; k < p->output.n; k++)
        assert_memory_equal(x[k].data, y[k].data, (size_t)buf(p, p->output.at[k])->bytes);
}

/* The same of the plain nests of the graph, on random bytes with many of the largest. */
static inline void assert_as_plain(const char *graph, const Unit *u)
{
    const Unit *plain = compiled(graph, 0, "generic").unit;
    mlcc_tensor *in = inputs_of(plain);
    memset(in[0].data, 255, 1000);
    assert_null(nest_check(arena, u));
    assert_same_results(plain, u, in);
}

/* A constant of random bytes, i8 or u8, as a line of a graph. */
static inline const char *byte_constant(const char *name, const char *type, int rows, int columns)
{
    Text t = {.arena = arena};
    text_add(&t, "const %%%s %s[%d,%d] (", name, type, rows, columns);
    for (int k = 0; k < rows * columns; k++)
        text_add(&t, "%s%d", k ? ", " : "", rand() % 256 - (type[0] == 'i' ? 128 : 0));
    text_add(&t, ")\n");
    return text_str(&t);
}

/* Lines of a graph that make its constants more than a second-level cache holds, with which operands may have 16 bits. */
#define MANY_CONSTANTS "input %t i32[300000]\nconst %n0 i64[] (0)\nconst %n1 i64[] (300000)\nconst %n2 i64[] (1)\n%r ? = Range %n0 %n1 %n2\n" \
    "%ri ? = Cast %r {to=6}\n%u i32 = Add %t %ri\noutput %u\n"

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * For tests of what a schedule computes: a compiled unit on the interpreter, and against the plain nests of the same graph.
 */
#ifndef MLCC_TEST_AGAINST_H
#define MLCC_TEST_AGAINST_H

#include "compiled.h"

#include <math.h>

/* -1 .. 1 */
static inline double value(void) { return (rand() % 2001 - 1000) / 1000.0; }

/* What a unit of one output makes of its inputs. */
static inline float *output_of(const Unit *u, const mlcc_tensor *in)
{
    mlcc_tensor out = {.data = arena_alloc(arena, (size_t)buf(u, u->output.at[0])->bytes, 64)};
    assert_true(unit_run(arena, u, in, &out));
    return out.data;
}

/* Largest difference to the plain nests, of the largest value, on made-up values of the input `in`. */
static inline double error_of(const char *graph, const Unit *u, mlcc_tensor in)
{
    const Unit *plain = compiled(graph, 0, "generic").unit;
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
#endif

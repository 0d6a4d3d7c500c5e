/* SPDX-License-Identifier: Apache-2.0
 * --tune: which of the shapes that the cost model ranks are the fastest here. */
#ifndef MLCC_TUNE_H
#define MLCC_TUNE_H

#include "pass.h"
#include "../codegen/emit.h"

/* p: a program as far as its tensor expressions. Emits it with the best, the second and the third shape of every tile, times
 * the functions, and makes the fastest shape of each kind of tile p's tuning. False: a diagnostic. */
bool tune(Arena *a, Diags *d, Program *p, const EmitOptions *like);

#endif

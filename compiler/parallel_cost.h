/* SPDX-License-Identifier: Apache-2.0
 *
 * What a function costs a part of a run, and the one that has most of it to do: cycles of one core, elements and steps by lanes, or
 * what its bytes take at the rate of the caches that hold the model when that is more.
 */
#ifndef MLCC_PARALLEL_COST_H
#define MLCC_PARALLEL_COST_H

#include "../ir/part.h"
#include "../targets/target.h"

/* Bytes a cycle: of tensors; of constants, which a run reads again when it has come through all others. */
typedef struct Cost { const Unit *u; const Machine *m; double rate, constant_rate; } Cost;

Cost cost_on(const Unit *u, const Machine *m);
double share_cycles(const Cost *s, const Func *f, const Touches *touched, int32_t share, int32_t shares); /* touched: by it */
double constant_cycles(const Cost *s, const Touches *constants); /* beside that, the first time */
bool constants_stay(const Cost *s, const Touches *constants);    /* in the second-level cache, for the next share that reads them */
double take_cycles(int32_t parts); /* of a share that a part takes */
double meet_cycles(int32_t reach, int32_t parts); /* of a meeting of those at most so far away; 0: of none */

/* Cores are not alike (parallel_deal.c). Units that a function deals out, and those of them whose shares do nothing twice; what a slower core
 * costs a step whose longest part takes so many cycles, of units that so many parts can take in shares. */
static const double SLOWER = 0.125; /* assumed, not measured: how far cores are apart between two meetings */
int64_t units_dealt(const Func *f);
int64_t units_dealt_well(const Func *f);
double uneven_cycles(double cycles, int64_t units, int32_t parts);

#endif

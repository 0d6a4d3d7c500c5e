/* SPDX-License-Identifier: Apache-2.0
 * What a run moves: bytes read and written of every buffer, from the loops around each access. */
#ifndef MLCC_TRAFFIC_H
#define MLCC_TRAFFIC_H

#include "nest.h"

/* By buffer, at the upper bounds of extents. */
int64_t *unit_traffic(Arena *a, const Unit *u);

/* What one function moves at least: of each buffer all that it has, or no more than it reads and writes of it. Of a large table of which a
 * few rows are looked up that is these rows. */
int64_t least_traffic(const Unit *u, const Func *f);

#endif

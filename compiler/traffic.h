/* SPDX-License-Identifier: Apache-2.0
 * What a run moves: bytes read and written of every buffer, from the loops around each access. */
#ifndef MLCC_TRAFFIC_H
#define MLCC_TRAFFIC_H

#include "../ir/nest.h"

int64_t *unit_traffic(Arena *a, const Unit *u); /* by buffer; at the upper bounds of extents */

#endif

/* SPDX-License-Identifier: Apache-2.0
 * The order of a unit's functions that needs least memory at once. */
#ifndef MLCC_ORDER_H
#define MLCC_ORDER_H

#include "../ir/nest.h"

/* Puts u->func in another order when that lowers what is live at most; says in u->load what it found. */
void order_functions(Unit *u);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The proof that a memory plan is sound. It shares no code with the planner, only the description of the problem.
 */
#ifndef MLCC_PLAN_CHECK_H
#define MLCC_PLAN_CHECK_H

#include "plan_pack.h"

bool plan_check(const PlanBuf *b, uint32_t n, const PlanPool *pool, uint32_t npool, const PlanPlace *at,
                const int64_t *peak, char *why, size_t n_why) MUST_USE;

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The order of steps that lowers the load of memory: a buffer is live from the first step that touches it to the last,
 * and the load of a step is what is live then. Uses no clock and no random source: equal input, equal order.
 */
#ifndef MLCC_PLAN_ORDER_H
#define MLCC_PLAN_ORDER_H

#include "../ir/base.h"

/* Bytes that are saved when buffer `in` is touched last where `out` is touched first. */
typedef struct OrderSaving { uint32_t in, out; int64_t bytes; } OrderSaving;

typedef struct OrderStep {
    VEC(uint32_t) touch;      /* buffers */
    VEC(uint32_t) before;     /* steps that come before this one, each of a lower number */
    VEC(OrderSaving) saving;  /* of outs that no other step of the list shares */
} OrderStep;

typedef struct OrderProblem {
    const OrderStep *step;    /* their numbers are a possible order */
    uint32_t n;
    const int64_t *bytes;     /* by buffer */
    uint32_t nbuf;
} OrderProblem;

typedef struct OrderResult {
    int64_t given;            /* greatest load of the order 0, 1, 2, .. */
    int64_t peak;             /* of the order found, not above given */
    int64_t bound;            /* no order has less */
} OrderResult;

/* Sets order[0..n-1] to steps: another order than the given one only when its peak is lower. */
OrderResult plan_order(Arena *a, const OrderProblem *p, uint32_t *order);
int64_t order_load(Arena *a, const OrderProblem *p, const uint32_t *order);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * What hardware is: rows of target.def. */
#ifndef MLCC_TARGET_H
#define MLCC_TARGET_H

#include "../ir/base.h"

typedef struct Machine {
    const char *name;
    int32_t lanes_f32; /* 1: scalar code */
    int32_t vregs;
    int32_t l1_bytes, l2_bytes;
    const char *cpu;   /* processor features, apart by spaces */
} Machine;

enum { MAX_LEVELS = 8 };

/* target: "host" or "scalar"; march: "native" or a row's name with - for _. False: diagnostic. */
bool machine_for(Diags *d, const char *target, const char *march, Machine *m);

/* The same for names apart by commas, the most capable first. *n: how many, at most MAX_LEVELS. */
bool machines_for(Diags *d, const char *target, const char *march, Machine *m, uint32_t *n);

#endif

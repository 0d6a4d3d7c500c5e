/* SPDX-License-Identifier: Apache-2.0
 * Trials of --tune: emitted models, compiled with the host's C compiler and timed function by function, in a folder of their
 * own that is gone afterwards. */
#ifndef MLCC_TRIAL_H
#define MLCC_TRIAL_H

#include "../codegen/emit.h"
#include "../targets/target.h"

#define TRIAL_PREFIX "model" /* EmitOptions.prefix and .file of what is tried */

typedef struct Trial {
    EmitFiles files;
    uint32_t n;     /* functions of a run, in order */
    double *us;     /* least time of each, in microseconds */
} Trial;

/* Times n models; rounds of all of them follow each other, so that what disturbs the machine disturbs all alike. The compiler
 * is $CC or cc. False: a diagnostic, with the first lines of what the command said. */
bool trial_run(Arena *a, Diags *d, const Machine *m, Trial *t, uint32_t n);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Functions of runtime-min that stages may call: what is not a map, reduction, scan or scatter. One calling convention
 * for all, so the interpreter runs the very text that the emitter pastes:
 *
 *     static void mlcc_<name>(const mlcc_tensor *in, mlcc_tensor *out, const int64_t *arg, void *scratch)
 *
 * in, out: tensors with their actual extents; the function sets the data-dependent extents of out[].dim and reports them
 * in the order of `result` columns. Every index read from data is clamped or checked: any input value is safe.
 */
#ifndef MLCC_CALL_H
#define MLCC_CALL_H

#include "te.h"
#include "../runtime-min/mlcc.h"

struct CallInfo {
    const char *name;
    const char *header;       /* of runtime-min that defines it */
    uint8_t nin, nout, narg, nresult;
    const char *result;       /* "0.1 1.0": output.dimension (one digit each) of each result; "": none */
    const char *scratch;      /* bytes of scratch as an expression over n0 (elements of in[0] at its bound), a0.. (args); "0" */
    void (*fn)(const mlcc_tensor *in, mlcc_tensor *out, const int64_t *arg, void *scratch);
};

const CallInfo *call_find(const char *name); /* from call.def; NULL */
const CallInfo *call_at(uint32_t k);         /* k-th row; NULL at the end */

#endif

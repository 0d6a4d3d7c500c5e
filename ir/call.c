/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of functions that stages call, made from call.def. It holds the functions themselves, so what the
 * interpreter runs is the text that the emitter pastes.
 */
#include "call.h"

#include "../runtime-min/mlcc_attention.h"
#include "../runtime-min/mlcc_det.h"
#include "../runtime-min/mlcc_move.h"
#include "../runtime-min/mlcc_roi.h"
#include "../runtime-min/mlcc_select.h"
#include "../runtime-min/mlcc_tree.h"

static const CallInfo calls[] = {
#define CALL(name, header, nin, nout, narg, result, scratch)                                                           \
    {#name, header, nin, nout, narg, sizeof(result) / 4, result, scratch, mlcc_##name},
#include "call.def"
#undef CALL
};

const CallInfo *call_find(const char *name)
{
    for (size_t k = 0; k < COUNT(calls); k++) {
        if (!strcmp(calls[k].name, name)) return &calls[k];
    }
    return NULL;
}

const CallInfo *call_at(uint32_t k)
{
    return k < COUNT(calls) ? &calls[k] : NULL;
}

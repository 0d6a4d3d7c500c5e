/* SPDX-License-Identifier: Apache-2.0
 * What the Python harness calls: facts of emitted models by number, and the call itself. models.h is made for each shared
 * object; it includes the models' headers and lists them as MODEL(prefix). Only names of mlcc_model_info's fields are
 * relied on here, never its layout. */
#include "models.h"

#define MODEL(prefix) &prefix##_info,
static const mlcc_model_info *const model[] = {MODELS};

uint64_t harness_fact(int m, int what);
int harness_tensor(int m, int out, int k, int64_t *dim);
int harness_call(int m, const mlcc_tensor *in, mlcc_tensor *out, void *arena);

uint64_t harness_fact(int m, int what)
{
    const mlcc_model_info *const i = model[m];
    const uint64_t fact[] = {i->arena_bytes, i->arena_align, i->stack_bytes, i->weight_bytes, i->nin, i->nout};
    return fact[what];
}

/* dim[0..7]: declared extents, dim[8]: rank. Returns the element type. */
int harness_tensor(int m, int out, int k, int64_t *dim)
{
    const mlcc_tensor_info *const t = (out ? model[m]->out : model[m]->in) + k;
    for (int d = 0; d < 8; d++)
        dim[d] = t->dim[d];
    dim[8] = t->rank;
    return (int)t->dtype;
}

int harness_call(int m, const mlcc_tensor *in, mlcc_tensor *out, void *arena)
{
    return (int)model[m]->call(in, out, arena);
}

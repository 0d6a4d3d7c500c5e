/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of operators, made from op.def; the only place where rows become data.
 */
#include "op.h"

#include "op/proto.h"

/* clang-format off */
static const OpInfo ops[] = {
#define ELT(domain, name, sig, types, attrs, flags, expr) {domain, #name, sig, types, attrs, expr, (flags) | OF_ELT, NULL, NULL},
#define OP(domain, name, sig, types, attrs, flags) {domain, #name, sig, types, attrs, NULL, (flags), infer_##name, lower_##name},
#include "op.def"
#undef OP
#undef ELT
};
/* clang-format on */

/* The row of an operator; domain "ai.onnx" is "". A few hundred rows are scanned once per node of a model. */
const OpInfo *op_find(const char *domain, const char *name)
{
    if (strcmp(domain, "ai.onnx") == 0)
        domain = "";
    for (size_t i = 0; i < COUNT(ops); i++) {
        if (strcmp(ops[i].name, name) == 0 && strcmp(ops[i].domain, domain) == 0)
            return &ops[i];
    }
    return NULL;
}

const OpInfo *op_at(uint32_t k)
{
    return k < COUNT(ops) ? &ops[k] : NULL;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Small helpers of the families that read numbers and words from hostile attributes and operands: sample, attention,
 * loss, select, signal.
 */
#ifndef MLCC_OP_SAMPLE_H
#define MLCC_OP_SAMPLE_H

#include "../op.h"

/* Number of the word that string attribute `name` holds, among n; -1 after diagnostic "attribute-value". */
int attr_word(const OpCtx *c, const char *name, int n, const char *const *words);
/* Constant elements of float (or integer) input k as doubles in c->a; false, without diagnostic, when not known. */
bool in_floats(const OpCtx *c, int k, uint32_t *n, const double **v);
/* Element `at` of vector input k in its compute type. */
const Expr *load_item(OpCtx *c, int k, int64_t at);
/* Constant extent that the model declares for dimension d of output `out`; NULL: none. */
const Expr *declared_dim(const OpCtx *c, int out, int rank, int d);

#endif

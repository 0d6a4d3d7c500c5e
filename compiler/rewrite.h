/* SPDX-License-Identifier: Apache-2.0
 *
 * Pattern rewriting on the graph. A rule is a row: a name, a pattern, an action.
 *
 *   (Op x y)   node with these operands      x   any tensor; the same letter twice: the same tensor
 *   #w         constant tensor               ?b  may be absent (and #?b: constant or absent)
 *   Op!        its result is used once       Op:C  captured as node C
 *   _          any operand, not captured; operands beyond those written must be absent
 *   *          any further operands, not captured (the last one of a node)
 *
 * Laws. (1) The type and shape of the root's result are kept. (2) Matching changes nothing; actions change the graph
 * through rw_* alone. (3) Every rule lowers a measure, so rewriting ends: first, the sum of what stands between each
 * DequantizeLinear and the outputs, what stands between the inputs and each QuantizeLinear, divisions, and constants on
 * the left; then the number of nodes. A limit on firings (fuel) turns a mistake into an internal error. (4) An action may
 * decline, by returning false before its first rw_* call. (5) The algebra of an action stands above it as a comment.
 * (6) On its own result a rule does not fire again. tests/unit/rule_case.h holds every rule to them, on graphs that are
 * evaluated before and after; a rule without such a graph fails there. -Rpass=rewrite is the trace of what fired.
 * Order of the rows is priority. Source of the form: LuaJIT's fold rules and MLIR's match-then-mutate.
 */
#ifndef MLCC_REWRITE_H
#define MLCC_REWRITE_H

#include "../ir/op.h"
#include "pass.h"

typedef struct Match { TensorId t[128]; NodeId n[128]; NodeId root; } Match; /* by letter */

typedef struct Rw {
    Program *p;
    Graph *g;
    Arena *a;
    VEC(uint32_t) uses;  /* by tensor */
    const char *rule;
    uint64_t fired;
} Rw;

typedef struct Rule {
    const char *name, *pattern;
    bool (*action)(Rw *rw, const Match *m);
} Rule;

extern const Rule rules_algebra[], rules_fuse[], rules_layout[], rules_integer[], rules_integer_real[]; /* each ends with a row of NULL */

/* Pattern of one rule against node n. */
bool rule_matches(const Rw *rw, const char *pattern, NodeId n, Match *m);
const char *rule_check(Arena *a, const Rule *r); /* NULL, or what is wrong with the row: names, operand counts */
bool rewrite(Program *p, const Rule *const *sets, uint32_t nsets);

/* Reading. */
Tensor *rw_tensor(const Rw *rw, TensorId t);
Node *rw_node(const Rw *rw, NodeId n);
OpCtx rw_ctx(const Rw *rw, NodeId n);           /* for attr_* */
bool rw_floats(const Rw *rw, TensorId t, int64_t n, double *v); /* n elements of a real constant; one element repeats */
/* Root BatchNormalization of n channels, with the constants s o m v, as z*s + o: s = scale/sqrt(var + e), o = offset - mean*s. */
bool rule_norm_affine(Rw *rw, const Match *m, int64_t n, double *s, double *o);

/* Changing. */
TensorId rw_const(Rw *rw, const char *hint, uint8_t rank, const int64_t *dim, const Blob *data); /* keeps data */
TensorId rw_const_f32(Rw *rw, const char *hint, uint8_t rank, const int64_t *dim, const float *v);
TensorId rw_add(Rw *rw, NodeId before, const OpInfo *op, uint16_t nin, const TensorId *in, uint16_t nattr, const Attr *attr, const Tensor *like); /* new node; type and shape of like */
void rw_become(Rw *rw, NodeId n, const OpInfo *op, uint16_t nin, const TensorId *in, uint16_t nattr, const Attr *attr); /* same results, other computation */
bool rw_forward(Rw *rw, NodeId n, TensorId t);  /* n's first result is t from now on; false: it is a graph output */

#endif

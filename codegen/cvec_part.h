/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files share that print expressions in vectors: form (cvec_form.c), place (cvec_place.c), value (cvec.c)
 * and store (cvec_store.c). Others include cvec.h.
 */
#ifndef MLCC_CVEC_PART_H
#define MLCC_CVEC_PART_H

#include "cvec.h"

/* Elements in memory: their lanes, words around LD and ST, whether stores may saturate. */
typedef struct Element { DType dt; LaneKind kind; const char *prefix, *suffix; bool saturates; } Element;

/* cvec_form.c */
const Element *v_element(DType dt);                           /* NULL: vectors have no such elements */
/* word of the dialect for an operation; NULL: it has none */
const char *v_op_name(const Expr *e);
bool v_is_each(const Expr *e);
const Expr *v_looked_up(const CGen *g, const Expr *e, int64_t *by);
bool v_by_lane(const Expr *e, const Expr *lane, const Expr *acc); /* its value differs between lanes */
/* what a guarded load gives outside, in the type of its lanes */
const Expr *v_outside(const CGen *g, const Expr *loadp);
/* a value of 32 bits as the factor of a 64-bit product; NULL: it is none */
const Expr *v_factor(Exprs *x, const Expr *e);
bool v_is_long_product(const CGen *g, const Expr *e);         /* both of its factors are */

/* cvec_place.c */
bool v_is_whole(const VGen *v);                               /* all lanes of a vector are in use */
const char *v_count_text(const VGen *v);                      /* how many are */
/* during the reduction, along lanes or from strip to strip */
bool v_varies(const VGen *v, const Expr *atom);
/* a pointer that is fixed during the reduction, plus what moves */
const char *v_address(VGen *v, uint32_t id, const Expr *flat, bool store);

/* cvec.c */
const char *v_call1(const VGen *v, const char *op, const char *a);                /* V8_<op>(a) */
const char *v_call2(const VGen *v, const char *op, const char *a, const char *b); /* V8_<op>(a, b) */
/* a temporary that is e, of that value; keep: it stays in its register */
const char *v_temp(VGen *v, const Expr *e, const char *value, bool keep);

#endif

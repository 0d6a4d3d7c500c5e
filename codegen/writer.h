/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files that print model.c share: the state of one unit's emission, and the pieces that both run functions have,
 * that of one thread (unit.c) and that of several (threads.c).
 */
#ifndef MLCC_WRITER_H
#define MLCC_WRITER_H

#include "cgen.h"
#include "names.h"

typedef struct Writer {
    Unit *u;
    const EmitOptions *opt;
    Names names;
    CGen g;
    Out o;
    Arena *a;
    EmitParts part;   /* of model.c, so far, behind the runtime functions */
} Writer;

/* arrays.c: the elements of a blob as numbers that C reads, between the braces of an array. */
void array_put(const void *blob, Arena *a, const Sink *to);

/* unit.c */
bool writer_apart(const Writer *w);                   /* weights are not arrays of model.c */
bool writer_uses_pool(const Writer *w, int32_t pool);
bool writer_uses_weights(const Writer *w);
bool writer_uses_io(const Writer *w);                 /* anything reads the structure of inputs and outputs */
void writer_prologue(Writer *w);                      /* arena, pools, weights, symbols: checked, and where functions find them */
void writer_check_dim(Writer *w, uint32_t k, const char *io, const char *status); /* returns it where no value of symbol k is behind its field */
void writer_call(Writer *w, const Func *f);           /* the call of one function */
void writer_extents(Writer *w);                       /* tells the caller the extents that the run has decided */

void emit_run_shared(Writer *w); /* threads.c: the run functions of a unit whose parts share the work */
void emit_untyped(Writer *w);    /* untyped.c: PREFIX_call */
void emit_info_tables(Writer *w); /* untyped.c: PREFIX_info */

#endif

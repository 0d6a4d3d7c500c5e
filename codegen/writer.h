/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files that print model.c share: the state of one unit's emission. unit.c calls the others; run.c has the run
 * function for one thread and what that for several (threads.c) and the untyped twin (untyped.c) take of it.
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

/* run.c */
bool writer_apart(const Writer *w);                   /* weights are not arrays of model.c */
bool writer_uses_pool(const Writer *w, int32_t pool);
bool writer_uses_weights(const Writer *w);
bool writer_uses_io(const Writer *w);                 /* anything reads the structure of inputs and outputs */
bool writer_passes_io(const Writer *w);               /* some function has one of them as a parameter */
/* arena, pools, weights, symbols: checked, and where functions find them */
void writer_prologue(Writer *w);
/* prints a return of `status` where the field of symbol k, behind `io`, holds none of its values */
void writer_check_dim(Writer *w, uint32_t k, const char *io, const char *status);
void writer_call(Writer *w, const Func *f);           /* the call of one function */
void writer_extents(Writer *w);                       /* tells the caller the extents that the run has decided */

void emit_run(Writer *w);              /* run functions of a unit that one part runs */

void emit_run_shared(Writer *w);       /* threads.c: those of a unit whose parts share the work */

/* untyped.c */
void emit_untyped(Writer *w);          /* PREFIX_call */
void emit_info_tables(Writer *w);      /* PREFIX_info */
/* the same where there is no writer: of several levels; weights: the function of its last field, or NULL */
void emit_info(Unit *u, const EmitOptions *opt, const char *weights, Arena *a, Out *o);

/* feature.c: of a level among several, by the features that opt->cpu names */
/* tells gcc which instructions it may use, and other compilers' users how to */
void feature_target(const EmitOptions *opt, Arena *a, Out *o);
/* asks the processor, in terms of mlcc_cpu.h; NULL: the level runs anywhere */
const char *feature_condition(const EmitOptions *opt, Arena *a);
/* the system may refuse what the processor has: the level itself asks for leave, and returns MLCC_BAD_CPU without it */
bool feature_needs_leave(const EmitOptions *opt);

#endif

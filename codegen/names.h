/* SPDX-License-Identifier: Apache-2.0
 *
 * Public names of one emitted unit, made once so that header, code and report agree.
 */
#ifndef MLCC_NAMES_H
#define MLCC_NAMES_H

#include "emit.h"

typedef struct Names {
    const char *upper;       /* PREFIX */
    const char **input;      /* field of struct <prefix>_io by number */
    const char **output;
    const char **pool;       /* by pool number; 0 is the arena and has none */
    const char **sym;        /* variable of each symbol of the unit */
    /* field with the dimension that a symbol comes from: the symbol or, of a multiple, a name of its own */
    const char **dim;
} Names;

const char *uppercase(Arena *a, const char *s);
const char *shape_text(Arena *a, const Unit *u, const Buf *b); /* "f32[1,n,8]" */
Names names_make(Arena *a, const Unit *u, const EmitOptions *opt);
bool has_free_extent(const Unit *u, uint32_t buf); /* an extent of it is decided by a call */

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The writer of emitted text: lines with depth, safe names, literals that round-trip, comments that cannot be left.
 */
#ifndef MLCC_OUT_H
#define MLCC_OUT_H

#include "../ir/nest.h"

typedef struct Out { Arena *arena; Text text; int depth; } Out;

void out_init(Out *o, Arena *a);
void ln(Out *o, const char *fmt, ...) PRINTF(2, 3);   /* one line at the current depth */
void open_block(Out *o, const char *fmt, ...) PRINTF(2, 3); /* line ending in " {", then deeper */
void close_block(Out *o, const char *tail);           /* "}" and tail */
void blank(Out *o);

/* Model text inside a comment: printable ASCII, no comment end or start, no trigraph, no backslash at a line's end. */
const char *comment_text(Arena *a, const char *s);
/* Identifier from model text: [a-z0-9_], starts with a letter, at most `max` characters; "" gives `otherwise`. */
const char *ident(Arena *a, const char *s, size_t max, const char *otherwise);
bool ident_char(char c);                              /* one that identifiers are made of */
bool ident_occurs(const char *text, const char *name); /* as a whole word */
bool ident_reserved(const char *s);                   /* keyword or libc name that emitted code must not shadow */
const char *pointer_to(Arena *a, DType dt);           /* "float *", of strings "const char **" */
const char *c_string(Arena *a, const char *s);        /* quoted literal */
const char *f32_literal(Arena *a, double v);          /* shortest decimal that reads back the same, with suffix */
const char *f64_literal(Arena *a, double v);
const char *int_literal(Arena *a, DType dt, int64_t v);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * What one part of a run touches. A run of several parts executes every split function on each part; a parallel loop
 * gives part p the iterations whose units it owns (Share), everything outside of parallel loops runs on all parts.
 * Functions that are not split run on part 0 alone. Shares of a dealt step are to it what parts are to others. Touches leave out scratch and constants: each part has scratch of its
 * own, of which it must have written what it reads, and nobody writes a constant.
 */
#ifndef MLCC_PART_H
#define MLCC_PART_H

#include "nest.h"

/* Elements lo .. hi, in each dimension, of a buffer: a hull of what one load or store reaches. */
typedef struct Touch { uint32_t buf; bool write; int64_t lo[MAX_RANK], hi[MAX_RANK]; } Touch;
typedef struct Touches { VEC(Touch) v; } Touches;

/* Loads and stores in a function, as they follow from the part. */
typedef struct Accesses Accesses;
Accesses *part_accesses(Arena *a, const Unit *u, const Func *f);
Touches part_touches(Arena *a, const Accesses *of, int32_t part, int32_t parts);
Touches part_constants(Arena *a, const Accesses *of, int32_t part, int32_t parts); /* which those leave out; of a table, one of the rows that are looked up */
uint32_t part_unfilled(Arena *a, const Accesses *of, int32_t part, int32_t parts); /* scratch of which it reads what it has not written; 0: none */
bool touches_clash(const Unit *u, const Touches *p, const Touches *q); /* an element that both touch and one of them writes */

bool loop_carries(const Nest *loop); /* an iteration sets a register that is not its own: the next may read it */

/* part_bytes.c, about: of each buffer once; of buffer id what is read and not written by any of by[0 .. n-1]. */
double touched_bytes(const Unit *u, const Touches *t);
double touched_missing(const Unit *u, const Touches *t, uint32_t id, const Touches *const *by, uint32_t n);

/* Between function f and a later one g at the count-th number of parts: part p enters g when those at most so many away
 * have left f. Distances of meetings add up: who is met has met others. */
int32_t part_reach(const Unit *u, uint32_t f, uint32_t g, uint32_t count);
int32_t part_reach_on(const Unit *u, int32_t reach, uint32_t g, uint32_t count); /* that of f and g, of that of f and the function before g */
bool part_ordered(const Unit *u, uint32_t f, uint32_t g); /* all parts have left f before any enters g, at each count */

/* part_share.c: buffers of one layout in one place. name: by buffer, what they all are called, 0 for the others; may_share:
 * parts that have not met do not disturb each other there. */
bool buf_same_layout(const Buf *p, const Buf *q);
void touches_rename(Touches *t, const uint32_t *name);
bool part_may_share(Arena *a, const Unit *u, const uint32_t *name);

/* part_owner.c: by block, a number that blocks have in common whose bytes the same parts write, and the same ones read, at each
 * count; 0 for other buffers. block: by buffer, the one that stands for all that lie in its place. */
enum { OWNED_BY_FIRST = 1 }; /* nobody but part 0 */
uint32_t *part_owners(Arena *a, const Unit *u, const uint32_t *block);

/* part_deal.c: what lies between two places where parts meet, at whichever count, is a step: functions f .. step_end - 1. One
 * that is dealt out at a count (Func.shares) is cut into so many shares instead of parts, and parts take them one after the
 * other. So all parts meet before it and behind it, each share has the scratch of the part that runs it, and no two shares
 * may disturb each other. */
enum { MAX_SHARES = UINT16_MAX };
uint32_t step_end(const Unit *u, uint32_t f);
bool shares_clash(Arena *a, const Unit *u, const Touches *by_share, int32_t shares, int32_t pair[2]); /* pair: two that do */
/* NULL, or why functions f .. end-1 cannot be dealt out together in so many shares; of: their accesses; name: as below. */
const char *deal_fault(Arena *a, const Unit *u, uint32_t f, uint32_t end, Accesses *const *of, int32_t shares, const uint32_t *name);

/* Units from .. end-1 of those that a loop deals out. Of an outer loop they are runs of iterations first .. last, counted from
 * unit 0 of the loop, in each of which the part owns units from .. end-1: the rest of one, those between, the beginning of another. */
enum { PIECES = 3 };
typedef struct Units { int64_t from, end; } Units;
typedef struct Piece { int64_t first, last; Units in; } Piece;
typedef struct Run { int64_t first, last; } Run; /* iterations from 0; last < first: none */
bool nest_same_outer(const Nest *p, const Nest *q); /* the same loop, or single iterations of the same units */
Units part_units(const Share *s, int32_t part, int32_t parts); /* s: of the outermost loop */
int units_pieces(const Share *s, Units own, Piece piece[PIECES]); /* s: of an outer loop */
Run part_outer_run(const Exprs *x, const Nest *outer, const Piece *p);
Run part_inner_run(const Exprs *x, const Nest *inner, Units own);

/* part_check.c: the proof that parts do not disturb each other, on the planned unit. For every count of parts: two parts
 * never touch one element, at whichever buffer's name its bytes are known, that one of them writes, unless they have met
 * in between. NULL, or what could not be proved. */
const char *part_check(Arena *a, const Unit *u);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files share that print register tiles in vectors.
 */
#ifndef MLCC_CTILE_H
#define MLCC_CTILE_H

#include "cvec.h"

enum { MOST_PACKED = 4 };                    /* vectors that one store packs */
enum { MOST_TURNS = 7 };                     /* values computed by turns: four, and what is stored with the last */

/* An accumulator: the register that the epilogue reads, and its name. */
typedef struct Acc { const Expr *var; const char *name; } Acc;

/* A product of quads: the operand that is the same in all lanes, the other, the word of the dialect; twins: two floats or pairs, in a vector
 * of half as many lanes; lanes: each lane has an x of its own (depthwise). */
typedef struct DotForm { const Expr *x, *w; const char *name; bool twins, lanes, widens, clipped; } DotForm; /* widens: w is of bytes, x of 16 bits; clipped: two quads have 16 bits (Tile) */
enum { TWIN = 2 };

/* Points of a tile, from the first one on. */
typedef struct Points { int32_t first, count; } Points;

/* The accumulators of a tile, np points x nv vectors, and how its sum is made: dots of quads or as it stands; the last `tail` steps of
 * reduction variable `inner` are made apart (ctile_tail.c; none where tail is 0). */
typedef struct Sums { const Acc *acc; int32_t np, nv; bool quads; DotForm dot; int inner; int64_t tail; } Sums;

/* ctile_point.c */
/* tap loop that is unrolled, in front of `inner` variables that a dot takes: short, of a tile whose loads its neighbours share (depthwise);
 * -1: there is none */
int tile_tap(const Tile *t, int inner);
/* point p, and the lane variable from lane_base on, NULL: as it is */
uint32_t v_place(VGen *v, int32_t p, const Expr *lane_base, Subst *s);
const Expr *v_register(VGen *v, const char *name); /* one of its own with what is known of the tile's accumulator */
int32_t v_packs_all(VGen *v);                      /* vectors that every store of the tile packs (v_packs) */

/* ctile_dot.c */
bool v_find_dot(const CGen *g, const Tile *t, DotForm *d); /* false: t has another form */
void v_dot_step(VGen *v, const Sums *sums, Points at, const Subst *given, uint32_t ngiven);

/* ctile_acc.c: one step of the sums of some points, n variables of its loops taken as given; the stores of some
 * points with nv vectors each, of which several are computed by turns where their values take LONG_EPILOGUE operations or more */
enum { LONG_EPILOGUE = 8 };
const char *v_start(VGen *v, int32_t p, int32_t q);    /* what accumulator q of point p begins with */
void v_sum_step(VGen *v, const Sums *sums, Points at, const Subst *given, uint32_t n);
void v_epilogue(VGen *v, const Acc *acc, Points at, int32_t nv);

/* ctile_twin.c */
int32_t v_twin_vectors(const VGen *v);                 /* of one point */
void v_declare_twins(VGen *v, Acc *twin, int32_t np);
void v_join_twins(VGen *v, const Acc *twin, Acc *acc, int32_t np, int32_t nv); /* declares acc */

/* ctile_tail.c: the last steps of the sums of a few points beside the stores of those before */
void v_find_tail(const VGen *v, Sums *sums);           /* sets inner and tail */
void v_open_short_loop(VGen *v, const Sums *sums);     /* the innermost loop without those steps */
void v_tail(VGen *v, const Sums *sums);

bool v_is_fold(CGen *g, const Tile *t, int32_t width); /* ctile_fold.c: both operands lie along the reduction */

/* ctile_map.c: values that take long are computed by turns, so that a core, which does not look past a few such chains of operations,
 * has work while one waits. Operations of what t stores; the statements that follow go to `part`; a line of each of n parts in turn. */
int v_cost(const Tile *t);
void v_begin_turn(VGen *v, Out *part, const Out *outer);
void v_interleave(Out *o, Out *part, int32_t n);

/* ctile_turn.c: loads whose points lie side by side and whose lanes do not, of four points from p on where p begins four such, lanes from
 * `base` on: declares their names, which what is printed next uses; whether a tile without a reduction has such loads. */
void v_turn_loads(VGen *v, int32_t p, const Expr *base);
bool v_turns_loads(VGen *v);

/* ctile_zip.c: how many points from `first` on are stored together, lanes from `base` on; 0: none. And their store, value(v, ctx, p) being the
 * text of what point p stores. */
int32_t v_zipped(VGen *v, const Expr *base, int32_t first);
void v_zip(VGen *v, const Expr *base, int32_t first, int32_t count, const char *(*value)(VGen *v, const void *ctx, int32_t p), const void *ctx);

/* The statements of a tile. */
void v_accumulator_tile(VGen *v);                  /* ctile_acc.c */
void v_across_tile(VGen *v);                       /* ctile_across.c */
void v_fold_tile(VGen *v);                         /* ctile_fold.c */
void v_map_tile(VGen *v);                          /* ctile_map.c */
/* ctile_map.c: as many strips as the tile may have, each with the lanes that are in use */
void v_open_map_tile(VGen *v);

#endif

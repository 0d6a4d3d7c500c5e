/* SPDX-License-Identifier: Apache-2.0
 *
 * Schedules: how stages are made, apart from what they mean. One entry per stage, printable and editable.
 *
 *     %y  root     loop n 1; loop i 1; loop m 48; tile j 8, m 48        the stage has loops and a buffer of its own
 *     %g  root     loop m 48; loop j 8; tile m; fetch 5 far 65536       vectors are fetched 5 steps ahead, and constants 64 KB
 *     %i  root     loop m 48; loop j 8; tile m; fetch 0 added           and what its sums are added to, before they begin
 *     %e  root     loop m 64; loop j 6; tile m; tail 16                 the last 16 steps beside the stores of the points before
 *     %h  root     loop m 32; loop j 28; tile m; matrix                 on the matrix unit; "matrix bypass": its constant past the first-level cache
 *     %a  inline                                                        substituted into its readers
 *     %c  register %y                                                   accumulators of the tile of %y
 *     %s  at %y 2                                                       made inside the second loop of %y, scratch
 *     %t  at %y 0  loop i 1; keep i 2                                   two i stay for the next time; what is new is made beside them
 *     %f  root     loop i 1; parts; tile p by 4                         lanes at p = 0, 4, 8, .., for each of 4 points
 *     %d  root     loop i 8 first last; tile m                          the first and the last 8 i have code of their own
 *     layout %y n i j m halo i 1 1 j 1 1                                storage order, halo
 *     layout %u n i j m within %y m 16                                  %u lies in the memory of %y, from m = 16 on
 */
#ifndef MLCC_SCHEDULE_H
#define MLCC_SCHEDULE_H

#include "../ir/nest.h"
#include "../targets/target.h"
#include "tuning.h"

enum { LINES = 3 }; /* of a constant that one step reads: three steps by two multiplications (auto_thirds.c), four of 24 bits (auto_slim.c) */

typedef enum Placement { PL_root, PL_inline, PL_register, PL_at } Placement;

enum { APART_first = 1, APART_last = 2 };
typedef struct LoopStep { uint8_t var; int32_t step; uint8_t apart; } LoopStep; /* index variable of the stage, values per iteration; iterations with code of their own */

typedef struct StagePlan { /* of one stage */
    Placement place;
    uint32_t host;                      /* register, at: the stage whose nest it is part of */
    uint8_t level;                      /* at: number of host loops around it */
    uint8_t nloop;
    LoopStep loop[2 * MAX_RANK];        /* outside in; what remains of each variable is the tile's */
    uint8_t slide;                      /* at: variable along which neighbouring boxes share values, plus one; 0: there is none */
    int32_t keep;                       /* so many values of it */
    bool parts;                         /* loops are cut where choices by position change (concatenation, padding) */
    bool tiled;
    int16_t near;                       /* steps of the tile's reduction by which its vectors are fetched ahead; 0: not */
    int32_t far;                        /* bytes from its constant to what is fetched meanwhile, as much as it has; 0: nothing is */
    bool added;                         /* what its sums are added to is fetched before they begin */
    int16_t tail;                       /* last steps of the tile's reduction that are made beside its stores, at most; 0: none */
    bool matrix;                        /* the tile is sized for a matrix unit */
    bool bypass;                        /* its constant is loaded past the first-level cache */
    int8_t lane;                        /* variable along vectors: 0..rank-1, or rank+k for reduction variable k; -1 none */
    uint8_t turn;                       /* so many values of the lane variable in a row are points, lanes are that far apart; 0: 1 */
    const char *why;                    /* reason, for -Rpass and -Rpass-missed; NULL */
    const char *kind;                   /* of its tile, for tuning; NULL: nothing was chosen */
} StagePlan;

/* A tensor that lies within another one has neither an order nor a halo of its own: what it has here says what its readers want. */
typedef struct Layout {
    uint8_t order[MAX_RANK];
    int32_t lo[MAX_RANK], hi[MAX_RANK];
    double pad;
    bool set;
    uint32_t within; /* tensor whose elements it makes; 0: none */
    uint8_t along;   /* those from `at` of this dimension on */
    int64_t at;
} Layout;

typedef struct Schedule {
    const Te *te;
    int32_t parts;     /* the most that a run is cut into */
    StagePlan *stage;  /* by stage number */
    Layout *layout;    /* by tensor id */
} Schedule;


Schedule *schedule_new(Arena *a, const Te *te);                              /* every stage at root */
Schedule *schedule_O0(Arena *a, const Te *te);                              /* every stage at root, plain loops */
/* Over a copy of te with packing and copy stages, for runs of so many parts at most; t: NULL, or the choices of tiles. */
Schedule *schedule_auto(Arena *a, const Te *te, const Machine *m, Tuning *t, int32_t parts);
void schedule_print(Text *out, const Schedule *s);
bool schedule_parse(Schedule *s, Diags *d, const char *text);               /* entries replace those of s */
bool schedule_plainer(Schedule *s, uint32_t k);                              /* root stage k with less done to it; false: it is plain */
/* A guarded read e of a view, of that body, as one of what is behind it. NULL: the guard has to be written out. */
const Expr *guard_through(const Te *te, const Stage *view, const Expr *body, const Expr *e);
const Expr **schedule_bodies(Arena *a, Ctx *cx, const Schedule *s);         /* by stage, inline tensors substituted */

/* Whether it is made inside the nest of its host. */
static inline bool is_guest(const StagePlan *p) { return p->place == PL_register || p->place == PL_at; }

/* schedule_lists.c: stages by a number, ascending: those of k are at[first[k]] to at[first[k + 1] - 1]. */
typedef struct Lists { uint32_t *at, *first; } Lists;
Lists schedule_guests(Arena *a, const Schedule *s);                         /* by stage: what has it as host */
Lists schedule_nests(Arena *a, const Schedule *s);                          /* by root stage: what its nest makes, itself too */
Lists schedule_readers(Arena *a, const Schedule *s, const Expr *const *body); /* by tensor: whose body reads it, once for each load; but the inline ones */

/* Loop nests of the whole program. NULL: diagnostics, of a schedule that somebody wrote; rows that the scheduler wanted to keep and
 * cannot are made again instead, and s says so. */
Unit *build_nests(Ctx *cx, const Schedule *s, const char *name);
Unit *build_loosely(Ctx *cx, Schedule *s, const char *name);

#endif

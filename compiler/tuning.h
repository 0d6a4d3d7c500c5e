/* SPDX-License-Identifier: Apache-2.0
 *
 * Measured choices. The cost model ranks the shapes of every register tile; where its best few are close, a measurement on
 * the machine itself knows better. Choices are a text, one line for each kind of tile, that a person can read, check in and
 * edit; with it a compile is reproducible anywhere:
 *
 *     mlcc tuning 1 x86_64_v4
 *     dense f32 49x512x4608: 1x7x32    # us 530.1 548.0 600.2
 *
 * A kind says what the tile computes: unit, type, rows x lanes x steps. A shape is down x rows x lanes (down: values of a
 * second row variable, 1 where there is none). Behind # are the times of the shapes as the model ranks them.
 */
#ifndef MLCC_TUNING_H
#define MLCC_TUNING_H

#include "../targets/target.h"

enum { RANKS = 3 };

typedef struct TileShape { int32_t down, rows, lanes; double cost; } TileShape;
typedef struct ShapeList { TileShape at[RANKS]; int n; } ShapeList; /* least cost first */

typedef struct TunedTile {
    const char *kind;
    ShapeList list;      /* what the scheduler chose from; n is 0 while it has not met the kind */
    TileShape pick;      /* of a file; rows is 0 when no file says */
    double us[RANKS];    /* measured, by rank; 0: not */
    int best;            /* rank that is written */
} TunedTile;

typedef struct Tuning {
    Arena *a;
    int rank;              /* shape taken where no file says: the best, or the next ones for a trial */
    Map index;             /* kind -> number in tile + 1 */
    VEC(TunedTile) tile;   /* in the order met */
} Tuning;

void shapes_add(ShapeList *l, TileShape s); /* equal costs, within a thousandth: the earlier is better */

/* The shape for that kind of tile. t may be NULL: the best. */
TileShape tuning_choose(Tuning *t, const char *kind, const ShapeList *l);
TunedTile *tuning_find(const Tuning *t, const char *kind); /* NULL: never met */

/* Text of a file. Read: false with a diagnostic for what cannot be read or is of another machine. */
bool tuning_read(Arena *a, Diags *d, const char *path, const char *text, const Machine *m, Tuning *t);
void tuning_print(Text *out, const Tuning *t, const Machine *m);

/* Picks of a file that are no longer among the shapes that the scheduler ranks: warnings. */
void tuning_stale(Diags *d, const Tuning *t);

#endif

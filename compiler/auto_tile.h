/* SPDX-License-Identifier: Apache-2.0
 * What the files auto_tile*.c share: loops of a stage in storage order, and the tiles of each kind of stage. */
#ifndef MLCC_AUTO_TILE_H
#define MLCC_AUTO_TILE_H

#include "auto.h"

enum { LINE = 64, PAGE = 4096 }; /* bytes of a cache line, and of memory that lies side by side for the caches */
enum { SUM_VECTORS = 4 }; /* of a reduction along which sums do not depend on each other */

typedef struct Order { uint8_t at[MAX_RANK]; } Order; /* dimensions as they are stored */

Order order_of(const Auto *g, uint32_t t);
int innermost_dim(const Ten *t, const Order *order);   /* as stored, those of one element apart; -1: none */
bool may_lane(const Auto *g, const Ten *t, int v);
void add_loop(StagePlan *p, int v, int64_t step);
/* One value per iteration of what is not the tile's: neither lane nor row. */
void outer_loops(StagePlan *p, const Ten *t, const Order *order, int lane, int row);
void open_lanes(const Auto *g, StagePlan *p, const Ten *t, int lane); /* lanes that only run time knows: a vector at a time */

/* Half cycles of so many multiply-adds of vectors, and of loads of single elements and of vectors. */
static inline double fma_cost(const Auto *g, int64_t n) { return 2 / g->m->fma_rate * (double)n; }
static inline double load_cost(const Auto *g, int64_t elements, int64_t vectors) { return g->m->element_cost * (double)elements + fma_cost(g, vectors); }

/* auto_shape.c */
TileShape shape_of_tile(const Auto *g, const Dot *d, const Stage *s, int64_t lanes, const char **kind);

TileShape shape_of_fold(const Auto *g);                 /* auto_fold.c */

/* auto_fetch.c: bytes of the constant of a product, 0 when it has none. */
int64_t constant_bytes(const Auto *g, const Dot *d);
/* How far ahead of it others are fetched while it is walked: a block of its lanes, or what the second-level cache takes beside
 * all else. 0: not, it is a trifle, or that cache keeps all constants from run to run. */
int32_t fetch_distance(const Auto *g, const Dot *d, int64_t block);
/* Of tiles of vectors, so many of the shape's lanes. */
void plan_fetches(const Auto *g, StagePlan *p, const Dot *d, const Stage *s, const TileShape *shape, int64_t lanes);
void plan_added(const Auto *g, uint32_t host, const Stage *s); /* of sum s */

void tile_dot(Auto *g, uint32_t host, uint32_t k, const Dot *d); /* auto_tile_dot.c: contraction k in registers of host, or itself */
bool has_lanes(const Auto *g, uint32_t k);                       /* auto_tile_map.c: elements that vectors hold */
void tile_map(Auto *g, uint32_t k);                              /* a map or a plain reduction */
bool tile_listed(Auto *g, uint32_t k);                           /* auto_tile_lists.c: a product with lists; false: k is none */
bool tile_pack(Auto *g, uint32_t k, const Order *order);         /* auto_tile_pack.c: a copy into groups; false: k is none */
bool tile_bytes(Auto *g, uint32_t k, const Order *order);        /* the same of a copy of bytes that are turned over */

/* auto_tile_dot.c: variables of a contraction's host that go along the lanes and down the rows of its tile, and further rows; -1: none. */
typedef struct TileVars { int lane, row, outer; } TileVars;
/* Variables of the host, as bits, of which each value has a constant of its own: products of a batch. */
uint32_t batch_of(const Auto *g, uint32_t host, const Stage *s, const Dot *d);
/* Loops over the variables in `which`, in storage order, but those of lanes and rows; `down` values of further rows at a time. */
void loops_over(StagePlan *p, const Ten *t, const Order *order, const TileVars *v, int32_t down, uint32_t which);
/* Constants that do not fit in half of the second-level cache are walked once, outside the rows. */
static inline bool is_stream(const Auto *g, const Dot *d) { return constant_bytes(g, d) > g->m->l2_bytes / 2; }

/* auto_tile_matrix.c: of a matrix unit */
void tile_matrix(const Auto *g, uint32_t host, const Stage *s, const Order *order, const Dot *d, const TileVars *v, const MatrixShape *m);

static inline bool is_depthwise(const Dot *d) { return d->lane >= 0 && !d->group; }

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files that turn a schedule into loop nests share: the state of one build, and boxes.
 */
#ifndef MLCC_BUILD_H
#define MLCC_BUILD_H

#include "schedule.h"

enum { MAX_CUTS = 64 }; /* of one stage into parts, each with loops of its own */

/* Part of a stage or tensor: by dimension a lower bound (affine in loop variables) and an extent. */
typedef struct Box { const Expr *lo[MAX_RANK], *ext[MAX_RANK]; bool known; } Box;

/* Of an `at` tensor that slides: rows that its scratch holds; 0: none yet. Where those made last end; the first box. */
typedef struct Ring { int64_t rows, end; Box first; bool led; } Ring; /* led: a part may begin anywhere */

typedef struct Build {
    Ctx *cx;
    Exprs *x;
    Arena *a;
    const Schedule *s;
    const Te *te;
    Unit *u;
    const Expr **body;  /* by stage: body with inline tensors substituted */
    Lists guest, nest, reader; /* of the schedule; readers of tensors by body */
    uint32_t *buf_of;   /* by tensor: buffer, 0: none yet */
    Box *made;          /* by tensor: region that an `at` tensor holds now */
    Ring *ring;         /* by tensor */
    bool says;          /* errors in the schedule are a user's */
    uint32_t unkept;    /* stage whose rows cannot be kept; NO_STAGE: none yet */
    const Expr **acc;   /* by tensor: register that holds a register stage's value, NULL otherwise */
    Func *f;
} Build;

static inline const Ten *out_of(const Build *b, const Stage *s) { return ten(b->te, s->out); }
static inline const StagePlan *plan_of(const Build *b, uint32_t stage) { return &b->s->stage[stage]; }
static inline const char *var_name(const Build *b, const Expr *v) { return ex_var_info(b->x, v)->name; }

static inline Placement place_of(const Build *b, uint32_t t)
{
    const Ten *n = ten(b->te, t);
    return n->kind == TEN_stage ? plan_of(b, n->stage)->place : PL_root;
}

/* build_expr.c: expressions of stages as expressions of the nest. */
void inline_bodies(Build *b);                             /* fills body */
const Expr *inline_load(void *ctx, const Expr *e);        /* for ex_map: loads of inline tensors become their bodies */
const Expr *index_inside(Build *b, const Ten *t, const Expr *const *index); /* condition: index lies in t */
uint32_t buffer_of(Build *b, uint32_t t);                 /* made on demand */
uint32_t scratch_for(Build *b, uint32_t t, const Box *need); /* a fresh buffer for what an `at` tensor holds now */
void shift_within(const Build *b, uint32_t t, const Expr **index); /* from an index into t to one into the tensor in whose memory t lies */
void shift_index(const Build *b, uint32_t t, const Expr *const *index, uint8_t rank, const Expr **r);
bool is_pad(const Expr *fill, double pad);                /* what a guarded load gives outside is the value that a border holds */
const Expr *nest_expr(Build *b, const Expr *e, const Subst *sub, uint32_t n); /* loads name buffers; NULL stays NULL */

/* build_halo.c: every strip of the halo of tensor t, in its buffer, gets the pad value. */
void fill_halo(Build *b, Nest *in, uint32_t t);
void box_loops(Build *b, Nest **in, const Buf *p, const Box *box, const Expr **index); /* loops over box in storage order */

/* build_ring.c: scratch whose rows slide. Its dimension; where in the scratch a row is; the rows of box `need` that are to be made (none:
 * it is not known), whose borders are filled. */
bool in_ring(const Build *b, uint32_t t);
uint8_t ring_dim(const Build *b, uint32_t t);
const Expr *ring_index(const Build *b, uint32_t t, const Expr *row);
void ring_guards(Build *b, uint32_t t, const Expr *row, const Expr *fill); /* a guarded load of that row needs no guard, or the build fails */
Box ring_rows(Build *b, Nest *in, uint32_t t, const Box *need);
Box ring_lead(Build *b, Nest *in, uint32_t t, const Box *need); /* those of them that were there, had the box before been made */

/* build_region.c: what the stages of host's nest read of tensor t while the host covers box. */
Box region(Build *b, uint32_t t, uint32_t host, const Box *box);

/* build_tile.c: a stage as one register tile, with its register stage when it hosts one. */
int64_t register_stage(const Build *b, uint32_t k);       /* of host k, or -1 */
uint8_t register_vars(Build *b, uint32_t k, uint32_t r, const Subst *sub, Subst *inner);
void tile_stage(Build *b, Nest *in, uint32_t k, const Box *box);
int64_t lane_turn(const StagePlan *p, uint8_t d, const Expr *extent); /* points in a row of variable d over that extent; 1: it is a lane or a point */

/* build_fetch.c: the hints that the plan of stage k asks for. */
void tile_fetches(Build *b, Tile *t, uint32_t k, const Box *box);

/* build_stage.c: a stage over a box, by its loops. */
const Expr *loop_over(Build *b, Nest **in, const Expr *v, const Expr *lo, const Expr *ext);
void store_out(Build *b, Nest *in, const Stage *s, const Subst *sub, const Expr *value);
const Expr *accumulator(Build *b, RedOp op, const Expr *body, int64_t count);
int64_t step_count(const Build *b, const Stage *s);
void build_parts(Build *b, Nest *in, uint32_t k, const Box *box, int *left); /* left: cuts that may still be made */

#endif

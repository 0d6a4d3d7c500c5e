/* SPDX-License-Identifier: Apache-2.0
 *
 * Loop nests: how it is computed. A Unit is the whole program: buffers, and one function per root stage, run in order.
 *
 * A Buf says where values live: element type, logical extents, strides, halo. Loads in nest expressions name buffers
 * (EX_load ref = buffer id) with one index per logical dimension; indices may reach into the halo, -lo .. dim+hi-1.
 * No neural-network knowledge is here. The register tile is one node with a plain meaning (below), so verifier,
 * interpreter, cost model and every target see it whole; how it becomes vectors is the emitter's business.
 */
#ifndef MLCC_NEST_H
#define MLCC_NEST_H

#include "te.h"

typedef enum BufClass {
    BC_input,   /* caller's, read only */
    BC_output,  /* caller's; may be read back */
    BC_const,   /* weights */
    BC_arena,   /* planned */
    BC_scratch  /* lives inside one function call; placed in the arena by the planner, or on the stack when small */
} BufClass;

typedef struct Buf {
    const char *name;             /* printable hint, not unique */
    DType dt;
    BufClass cls;
    uint8_t rank;
    const Expr *dim[MAX_RANK];    /* logical extents, over symbols */
    int32_t lo[MAX_RANK], hi[MAX_RANK]; /* halo before and behind */
    uint8_t order[MAX_RANK];      /* storage order: order[rank-1] is the innermost dimension */
    const Expr *stride[MAX_RANK]; /* elements, by logical dimension */
    int64_t bytes;                /* at the upper bounds, halo included */
    double pad;                   /* value that the halo holds */
    uint32_t ten;                 /* te tensor, 0: scratch of the schedule */
    const Blob *data;             /* BC_const, already in storage order */
    const Blob *lists;            /* what is stored of it: lists of what is not 0 (blob_lists), which tiles of products alone read; NULL: data */
    int32_t io;                   /* number of the input or output */
    uint32_t alias;               /* buffer whose memory it shares by construction, 0: none */
    bool on_stack;                /* BC_scratch */
    int64_t offset;               /* arena: byte offset from the plan, -1 before it; const: offset in the weights */
    int32_t pool;
} Buf;

typedef enum NestOp {
    NS_block,  /* body in order */
    NS_for,    /* for var in lo .. lo+extent-1 */
    NS_let,    /* var (VK_INDEX or VK_REG) is expr from here to the end of the block */
    NS_set,    /* register var = expr; declared by a let before */
    NS_store,  /* buf[idx] = expr, cast to the buffer's type by the expression itself */
    NS_if,     /* expr: body, otherwise other */
    NS_tile,   /* register tile */
    NS_call    /* function of runtime-min */
} NestOp;

typedef enum ForKind { FOR_serial, FOR_unroll, FOR_parallel, FOR_lead } ForKind;

/* FOR_parallel: which iterations a part runs. Units of a function are dealt out in blocks, part by part (part_first); an
 * iteration, counted from 0, belongs to units:
 *   plain    unit at + k of `of`
 *   outer    each > 1: units (at + k)*each and what follows, `each` of them, of of*each; the parallel loops inside deal them out
 *   inner    inside an outer loop: units of those that the outer iteration has, of*each of them; up to OUTER_LOOPS such loops stand in each other
 *   needed   times > 0, plain or inner: wherever the part owns a unit v with v*times - below <= at + k <= v*times + above. Parts
 *            may run the same iteration: it stores to scratch alone, which each part has for itself
 * FOR_lead: iteration k stands for unit at + k of `of`, and a part runs the one of the first unit that it owns, if at all: it makes in the
 * part's scratch what the unit before would have left there. So one part alone, which begins with unit 0, runs none. */
typedef struct Share { int64_t at, of, each, times, below, above; } Share;
enum { MAX_SHARE_UNITS = 1 << 30 /* emitted code counts them in int */, OUTER_LOOPS = 2 /* around one whose iterations are single units */ };

typedef struct Store { uint32_t buf; const Expr *idx[MAX_RANK]; const Expr *value; } Store;

/* Hint of a tile: at each reduction step where `when` is 0 the cache line of one element is asked for, into the first-level cache
 * or, far, into the second. at: element offset over loop and reduction variables; it may lie outside the buffer. */
typedef struct Fetch { uint32_t buf; const Expr *at, *when; bool far; } Fetch; /* when NULL: at all */

/* Register tile. Meaning, in this order of evaluation for each accumulator:
 *   for p in points, for l in 0..lanes-1 (var lane):
 *       acc = init;  for r.. in rext: acc = red(acc, body);  then every store
 * When `lane` is one of rvar (across is true) there is one accumulator per point and the lanes of the last reduction
 * variable are combined in the fixed order of runtime-min (mlcc_vec.h). red RED_none: body is not there, stores only.
 * Emission may take points and lanes in any order, and load earlier than is said here, never later: a result may lie over
 * an operand (compiler/overlap.h). */
typedef struct Tile {
    const Expr *lane;             /* NULL: no lane variable */
    int32_t lanes;
    const Expr *open;             /* lanes in use, at most `lanes`, where only run time knows; NULL: all */
    bool across;
    uint8_t np, nr, nstore, nfetch;
    const Expr *pvar[MAX_RANK];
    int32_t pext[MAX_RANK];       /* points: unrolled */
    RedOp red;
    const Expr *rvar[MAX_RANK], *rext[MAX_RANK];
    const Expr *acc;              /* VK_REG variable that stores read */
    const Expr *init;             /* NULL: identity of red */
    const Expr *body;
    Store *store;
    Fetch *fetch;                 /* of tiles with a reduction */
    bool fence;                   /* dot tile: keep the order of loads (prototype: FENCE between steps) */
    int32_t tail;                 /* last steps of the reduction, at most, that emission may make beside the stores of other points; 0: none */
    bool clipped;                 /* dot tile over (r.., 2, 4): its constant leaves 16 bits enough for two quads of unsigned bytes and signed ones (auto_clip.c) */
    bool matrix;                  /* sized for a matrix unit, where the target has one and the operands fit */
    bool bypass;                  /* of a matrix unit: the operand with lanes is loaded past the first-level cache, which keeps the other one */
} Tile;

static inline int32_t tile_points(const Tile *t)
{
    int32_t n = 1;
    for (uint8_t k = 0; k < t->np; k++)
        n *= t->pext[k];
    return n;
}

typedef struct Nest Nest;
struct Nest {
    NestOp op;
    ForKind kind;
    Share share;                  /* FOR_parallel, FOR_lead */
    const char *note;             /* comment printed above, or NULL */
    const Expr *var, *lo, *extent, *expr;
    Store store;
    Tile *tile;
    const CallInfo *call;
    uint32_t *buf;                /* call: inputs then outputs */
    const Expr **arg, **result;   /* call: integer arguments; variables that get data-dependent extents */
    uint32_t scratch;             /* call: buffer of scratch bytes, 0: none */
    VEC(Nest *) body, other;
};

typedef struct Func {
    const char *name;             /* identifier hint, unique: n012_conv1 */
    VEC(const char *) note;       /* lines of the comment above: graph nodes, expression, placements */
    Nest *body;                   /* NS_block */
    uint32_t ten;                 /* tensor of the te that it makes, 0: of none */
    VEC(uint32_t) param;          /* buffers it uses, outputs last; filled by unit_finish */
    VEC(const Expr *) sym;        /* symbols it uses */
    VEC(const Expr *) defines;    /* symbols that its calls define, passed by pointer */
    uint64_t macs;
    VEC(const char *) kind;       /* of its register tiles whose shape was chosen, as a tuning file names them */
    bool split;                   /* has parallel loops: every part runs it; otherwise part 0 alone does */
    int32_t *meet;                /* by count of parts: before it each waits for those at most so many away; NULL: for none */
    int32_t *shares;              /* by count of parts: cut into so many shares, which parts take while they run; 0: into parts; NULL: always */
    double cycles;                /* what it is expected to take on one part; 0: not known */
    double *slowest;              /* and the part that has most to do, by count of parts */
    int64_t frame_bytes;          /* stack of the emitted function at most; set by emission */
    const char *code;             /* the emitted function, which others that are alike may share; set by emission */
    VEC(const char *) number;     /* that it takes behind all else, where those differ in numbers; set by emission */
} Func;

typedef struct Unit {
    Ctx *cx;
    const char *name;
    const Te *te;
    VEC(Buf *) buf;               /* id 0 is none */
    VEC(Func *) func;             /* run in order */
    VEC(uint32_t) input, output;  /* buffers by number */
    VEC(const Expr *) sym;        /* every symbol; value from input dims (sym_input, sym_dim; the extent is the symbol's dimension) or from a call (-1) */
    VEC(int32_t) sym_input;
    VEC(int32_t) sym_dim;
    int64_t arena_bytes, arena_bound, ram_with_io, weight_bytes, stack_bytes;
    int32_t arena_align;
    bool arena_optimal;
    int64_t load_given, load, load_bound; /* bytes live at most: in the order of the model, in that of the functions, in any order */
    VEC(int32_t) threads;         /* counts of parts above 1 that it is made for, ascending; none: it runs on one thread */
    uint32_t awake;               /* so many of them, the first, are for threads that are awake: to wake one costs more than they gain */
    int64_t part_bytes;           /* scratch of one part: at arena_bytes, those of the others follow */
    int64_t apart_bytes;          /* of arena_bytes, what keeps the lines of parts apart in front of it */
    uint32_t npool;               /* further memory pools beside the arena (pool 0), passed by the caller */
    const char **pool_name;       /* by pool, 0 included */
    int64_t *pool_bytes, *pool_bound;
} Unit;

/* A constant as it is stored, and its bytes. */
static inline const Blob *buf_stored(const Buf *b) { return b->lists ? b->lists : b->data; }
static inline int64_t buf_stored_bytes(const Buf *b) { return b->lists ? b->lists->count : b->bytes; }

static inline bool nest_is_shared(const Nest *n) { return n->op == NS_for && (n->kind == FOR_parallel || n->kind == FOR_lead); }

/* nest.c */
Unit *unit_new(Ctx *cx, const char *name, const Te *te);
uint32_t unit_buf(Unit *u, const char *name, DType dt, BufClass cls, uint8_t rank, const Expr *const *dim);
void buf_layout(Unit *u, Buf *b);               /* strides and bytes from dim, halo and order; ICE on overflow is a diagnostic before */
static inline Buf *buf(const Unit *u, uint32_t id) { return u->buf.at[id]; }
Func *unit_func(Unit *u, const char *hint);
Nest *nest_block(Arena *a);
Nest *nest_for(Arena *a, Nest *in, const Expr *var, const Expr *lo, const Expr *extent); /* appends; returns its body block */
Nest *nest_let(Arena *a, Nest *in, const Expr *var, const Expr *value);
Nest *nest_set(Arena *a, Nest *in, const Expr *var, const Expr *value);
Nest *nest_store(Arena *a, Nest *in, uint32_t buf, uint8_t rank, const Expr *const *idx, const Expr *value);
Nest *nest_if(Arena *a, Nest *in, const Expr *cond);
void nest_else(Nest *n, const Nest *block);     /* what is done where the condition of n does not hold */
Nest *nest_tile(Arena *a, Nest *in, Tile *t);
static inline const Expr *tile_lanes(Exprs *x, const Tile *t) { return t->open ? t->open : ex_int(x, t->lanes); }
Nest *nest_call(Arena *a, Nest *in, const CallInfo *call);
const Expr *red_combine(Exprs *x, RedOp op, const Expr *p, const Expr *q);
const Expr *buf_offset(Exprs *x, const Buf *b, const Expr *const *idx); /* elements before the one at idx */
const bool *unit_used(Unit *u);                 /* by buffer: some function mentions it */
void unit_finish(Unit *u);                      /* params, symbols, sizes of every function */
void nest_walk(Nest *n, void (*pre)(void *ctx, Nest *n), void *ctx);
void nest_exprs(const Nest *n, void (*fn)(void *ctx, const Nest *at, const Expr *e, bool store), void *ctx); /* every expression once */

static inline int32_t func_meet(const Func *f, uint32_t count) { return f->meet ? f->meet[count] : 0; } /* at threads.at[count] parts */

static inline int32_t func_shares(const Func *f, uint32_t count) { return f->shares ? f->shares[count] : 0; }

/* Unit that part `part` of `parts` owns first: ceil(of * part / parts). A single unit is part 0's. */
static inline int64_t part_first(int64_t of, int32_t part, int32_t parts) { return (of * part + parts - 1) / parts; }

/* nest_text.c */
void unit_print(Text *out, const Unit *u);
Unit *unit_parse(Ctx *cx, const char *text);

/* nest_check.c: the bounds proof, a pass of its own over the finished nest. Every load and store of every function stays
 * inside its buffer for all values of loop variables and symbols (guarded loads, ifs and selects taken into account).
 * Returns NULL, or what could not be proved. */
const char *nest_check(Arena *a, const Unit *u);
const char *func_check(Arena *a, const Unit *u, const Func *f);   /* of one function */

/* interp.c: runs a unit. in[k].data are the inputs with actual extents; out[k].data must have room for the bounds of
 * the output, its dim is filled. consts come from the buffers. False: out of memory budget, with diagnostic. */
#include "../runtime-min/mlcc.h"
bool unit_run(Arena *a, const Unit *u, const mlcc_tensor *in, mlcc_tensor *out);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Tensor expressions: what the model computes. A graph lowers to stages; a stage defines the elements of one tensor.
 *
 *   map      t[v..] = body                                              views, elementwise
 *   reduce   t[v..] = op(r..) body                                      convolutions, products, pooling, statistics
 *   scan     t[v..] = op(t[.., v_axis - 1, ..], body)                   running sums; identity before the first element
 *   scatter  t[v..] = init; then for r.. in order: t[at..] = op(t[at..], body); an `at` outside t is skipped
 *   call     t, .. = function of runtime-min                            sorting, selection: not of the forms above
 *
 * Bodies are expressions (expr.h) whose loads name tensors of the same program. A stage is meaning only: scheduling
 * never changes it. Reading a tensor outside its bounds is an error of the lowering unless it is a guarded load.
 */
#ifndef MLCC_TE_H
#define MLCC_TE_H

#include "graph.h"

typedef enum RedOp { RED_none, RED_sum, RED_prod, RED_min, RED_max } RedOp; /* min, max: NaN wins */
typedef enum StageKind { ST_map, ST_reduce, ST_scan, ST_scatter, ST_call } StageKind;
typedef enum TenKind { TEN_input, TEN_const, TEN_stage } TenKind;

typedef struct Ten {
    const char *name;          /* printable, unique in the program */
    DType dt;
    TenKind kind;
    uint8_t rank;
    const Expr *dim[MAX_RANK]; /* over symbols */
    const Blob *data;          /* TEN_const */
    bool clipped;              /* TEN_stage: a sum of products of bytes, of which 16 bits hold those of two quads (compiler/auto_clip.c) */
    const Blob *lists;         /* the same as lists (blob_lists), where it is stored so; NULL: as it is */
    const Expr *const *value;  /* elements known as ix expressions over symbols (Tensor.value); NULL: not known */
    uint32_t stage;            /* TEN_stage: index of the stage that defines it, NO_STAGE until then */
    int32_t output;            /* number of the graph output it is, -1 otherwise */
    int32_t input;             /* TEN_input: number of the graph input */
} Ten;

#define NO_STAGE UINT32_MAX

typedef struct CallInfo CallInfo; /* call.h */

typedef struct Stage {
    StageKind kind;
    RedOp op;                    /* reduce, scan; scatter: RED_none assigns */
    uint32_t out;                /* tensor defined; of a call: the first */
    const Expr *var[MAX_RANK];   /* one index variable per dimension of out */
    uint8_t nr, axis;            /* axis: of scan */
    const Expr *rvar[MAX_RANK], *rext[MAX_RANK]; /* reduction or scatter variables and their extents */
    const Expr *body;            /* type: the tensor's, or for reduce and scan the compute type of op (then cast to the tensor's) */
    const Expr *init;            /* scatter, over var; body and init have the tensor's type, op its compute type */
    const Expr *at[MAX_RANK];    /* scatter: target index, over rvar */
    const CallInfo *call;        /* call: operands and integer arguments */
    uint32_t *in, *outs;         /* call: tensors */
    const Expr **arg;            /* call: ix */
    const Expr **result;         /* call: symbols that get data-dependent extents, in the order of the function; a
                                    constant where the model declares the extent: what the function says is not used */
    uint8_t nin, nout, narg, nresult;
    NodeId node;                 /* where it comes from */
} Stage;

typedef struct Te {
    Ctx *cx;
    const Graph *g;
    VEC(Ten *) ten;              /* id 0 is none */
    VEC(Stage *) stage;          /* producers before consumers */
    Map of;                      /* graph tensor id -> tensor id; absent: not mentioned yet */
    Map names;                   /* of tensors, to keep them unique */
} Te;

Te *te_new(Ctx *cx, const Graph *g);           /* g NULL: a program without a graph */
static inline Ten *ten(const Te *t, uint32_t id) { return t->ten.at[id]; }
uint32_t te_tensor(Te *t, const char *name, DType dt, TenKind kind, uint8_t rank, const Expr *const *dim);
uint32_t te_of(Te *t, TensorId id);            /* the graph tensor's, made on demand (input, constant, or to be defined) */
uint32_t te_stage(Te *t, const Stage *s);      /* adds a copy and makes it define s->out (of a call: s->outs) */
bool te_reads_lists(const Te *t, const Expr *e); /* whether a load of a constant that is stored as lists is in e */
bool te_lower_node(Te *t, Graph *g, NodeId n); /* lower.c: one node of g; operands need not be defined */
Te *te_lower(Ctx *cx, Graph *g);               /* lower.c: all nodes in order; NULL: diagnostics */
const Expr *red_identity(Exprs *x, RedOp op, DType dt); /* what a reduction over nothing gives */
const char *te_verify(Arena *a, const Te *t);  /* types, ranks, scopes, order; NULL: sound */
void te_print(Text *out, const Te *t, int64_t inline_max); /* te_text.c */
Te *te_parse(Ctx *cx, const char *text);

#endif

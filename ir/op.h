/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators: the table (op.def), and what an operator's infer and lower functions (ir/op) work with.
 *
 * infer sets dtype and shape of the outputs (dtypes that follow from the signature are set before it is called) and
 * reports what is wrong with the node. lower defines the outputs by stages (te.h); it is called only after infer
 * succeeded, with every shape known. Both return false after a diagnostic. The value of small integer tensors
 * (Tensor.value) is found by evaluating the lowered stage symbolically, so shape operators need nothing special.
 *
 * The expression of an elementwise row is in the syntax of expr.h over the operands (broadcast, in their compute types)
 * and the numeric attributes, which like literals without suffix have the compute type of T (of the first operand where
 * no operand is a T). An absent optional operand is the identity of +. A variadic row folds its operands in order: the
 * expression over `acc` and `x` gives the next `acc`; what follows ';' is applied to the last one and may use `n`, the
 * number of operands: "acc + x; acc / n".
 */
#ifndef MLCC_OP_H
#define MLCC_OP_H

#include "te.h"

enum OpFlag {
    OF_COMM = 1,   /* operands may be swapped */
    OF_MAC = 2,    /* counts as multiply-accumulates */
    OF_VIEW = 4,   /* moves data only */
    OF_RANDOM = 8, /* not a function of its inputs */
    OF_ELT = 16    /* defined by an expression */
};

typedef struct OpCtx OpCtx;

struct OpInfo {
    const char *domain; /* "" is ai.onnx */
    const char *name;
    const char *sig;    /* "X:T, W:T, B?:T -> Y:T": ? optional, * variadic; a letter stands for one type */
    const char *types;  /* "T=f32|f16 I=int": what letters may be; classes: any num float int bool str */
    const char *attrs;  /* "axis:i=1 mode:s=linear pads:is kernel_shape:is! value:t": ! required */
    const char *expr;   /* of an elementwise operator; NULL */
    uint32_t flags;
    bool (*infer)(OpCtx *c); /* NULL with expr: numpy broadcasting */
    bool (*lower)(OpCtx *c);
};

const OpInfo *op_find(const char *domain, const char *name); /* NULL: not supported */
const OpInfo *op_at(uint32_t k);                             /* k-th row; NULL at the end */

struct OpCtx {
    Ctx *cx;
    Graph *g;
    NodeId id;
    Node *n;
    Exprs *x;
    Arena *a;
    Te *te;             /* NULL while inferring */
    uint32_t nsym;      /* symbols of cx before this node was inferred */
};

/* infer.c */
bool op_takes(const OpInfo *op, int operand, DType dt); /* whether the row allows this type there */
bool infer_node(Graph *g, NodeId n);      /* checks operands, attributes, types; calls infer; finds values */
bool infer_graph(Graph *g);               /* every node; a node after a failed one is skipped silently */

/* Attributes: the node's, or the row's default. `attr_has`: present in the node or has a default. */
bool attr_has(const OpCtx *c, const char *name);
int64_t attr_i(const OpCtx *c, const char *name);
double attr_f(const OpCtx *c, const char *name);
const char *attr_s(const OpCtx *c, const char *name);
const int64_t *attr_is(const OpCtx *c, const char *name, uint32_t *n); /* NULL, *n = 0 when absent */
const double *attr_fs(const OpCtx *c, const char *name, uint32_t *n);
const Attr *attr_find(const OpCtx *c, const char *name);               /* as given in the node; NULL */

/* Operands. */
static inline bool has_in(const OpCtx *c, int k) { return k < c->n->nin && !is_none(c->n->in[k]); }
static inline bool has_out(const OpCtx *c, int k) { return k < c->n->nout && !is_none(c->n->out[k]); }
static inline Tensor *in_t(const OpCtx *c, int k) { return tensor(c->g, c->n->in[k]); }
static inline Tensor *out_t(const OpCtx *c, int k) { return tensor(c->g, c->n->out[k]); }
bool op_error(const OpCtx *c, int operand, const char *slug, const char *fmt, ...) PRINTF(4, 5); /* always false */
/* Values of a small integer input. in_ints: constants; in_dims: expressions over symbols. When they are not known at
 * compile time: diagnostic "value-unknown", false. in_float: single element of a constant float input. */
bool in_ints(const OpCtx *c, int k, uint32_t *n, const int64_t **v);
bool in_dims(const OpCtx *c, int k, uint32_t *n, const Expr *const **v);
bool in_float(const OpCtx *c, int k, double *v);
bool in_known(const OpCtx *c, int k);  /* in_dims would succeed; reports nothing */
bool in_rank(const OpCtx *c, int k, int lo, int hi); /* diagnostic "rank" when outside */

/* Shapes. */
bool set_shape(const OpCtx *c, int out, int rank, const Expr *const *dim);
bool set_type(const OpCtx *c, int out, DType dt);
bool same_shape(const OpCtx *c, int out, int in);         /* shape of input `in` */
bool norm_axis(const OpCtx *c, int64_t axis, int rank, int *r); /* -rank..rank-1 to 0..rank-1; diagnostic "axis" */
bool norm_axes(const OpCtx *c, const int64_t *v, uint32_t n, int rank, bool *is_axis); /* duplicates are errors */
bool broadcast_shape(const OpCtx *c, int n, const int *in, int *rank, const Expr **dim); /* diagnostic "broadcast" */
bool dim_equal(const OpCtx *c, const Expr *a, const Expr *b); /* provably equal; two symbols that must be equal are not */
bool require_dim(const OpCtx *c, int operand, int d, const Expr *want, const char *slug); /* diagnostic unless provably equal */
const Expr *fresh_symbol(const OpCtx *c, const char *hint, int64_t lo, int64_t hi); /* data-dependent extent */

/* Lowering. Index arrays hold MAX_RANK entries, ix expressions. */
void out_vars(OpCtx *c, int out, const Expr **i);          /* fresh index variables over output `out` */
void vars_for(OpCtx *c, const char *names, int rank, const Expr *const *dim, const Expr **i); /* fresh ones over dims; names "ijk" */
const Expr *red_var(OpCtx *c, const char *name, const Expr *extent);
uint32_t in_ten(OpCtx *c, int k), out_ten(OpCtx *c, int k);
uint32_t temp_ten(OpCtx *c, const char *hint, DType dt, int rank, const Expr *const *dim);
const Expr *load_raw(OpCtx *c, uint32_t t, const Expr *const *i);  /* element in the tensor's own type */
const Expr *load_at(OpCtx *c, uint32_t t, const Expr *const *i);   /* cast to its compute type */
const Expr *load_pad(OpCtx *c, uint32_t t, const Expr *const *i, const Expr *fill); /* guarded, compute type; fill of compute type */
const Expr *load_bcast(OpCtx *c, int k, const Expr *const *i, int rank); /* input k at numpy-broadcast index, compute type */
const Expr *load_index(OpCtx *c, uint32_t t, const Expr *const *i, const Expr *extent); /* integer element as ix; negative
                                                            counts from extent; clamped into 0..extent-1, so it is safe */
/* Definitions; the body is cast to the tensor's element type. */
bool def_map(OpCtx *c, uint32_t t, const Expr *const *i, const Expr *body);
bool def_reduce(OpCtx *c, uint32_t t, const Expr *const *i, RedOp op, int nr, const Expr *const *r, const Expr *const *extent, const Expr *body);
bool def_scan(OpCtx *c, uint32_t t, const Expr *const *i, RedOp op, int axis, const Expr *body);
bool def_scatter(OpCtx *c, uint32_t t, const Expr *const *i, const Expr *init, int nr, const Expr *const *r, const Expr *const *extent, const Expr *const *at, RedOp op, const Expr *body);
bool def_call(OpCtx *c, const char *fn, int nin, const uint32_t *in, int nout, const uint32_t *out, int narg, const Expr *const *arg, int nresult, const Expr *const *result);
/* Output 0 by an expression as of an elementwise row; broadcasting, compute type and cast as described above. */
bool lower_elt(OpCtx *c, const char *expr);
/* Reshape: index into a row-major tensor of shape `from` that the element i of shape `to` comes from. Splits by common
 * factors, so div and mod appear only where the factors do not divide. */
void reshape_index(OpCtx *c, int nto, const Expr *const *to, const Expr *const *i, int nfrom, const Expr *const *from, const Expr **j);

/* Short names for bodies: every file of ir/op has its OpCtx in `c`. */
#define ADD(p, q) ex_binary(c->x, EX_add, (p), (q))
#define SUB(p, q) ex_binary(c->x, EX_sub, (p), (q))
#define MUL(p, q) ex_binary(c->x, EX_mul, (p), (q))
#define DIV(p, q) ex_binary(c->x, EX_div, (p), (q))
#define FDIV(p, q) ex_binary(c->x, EX_fdiv, (p), (q))
#define MOD(p, q) ex_binary(c->x, EX_mod, (p), (q))
#define MIN(p, q) ex_binary(c->x, EX_min, (p), (q))
#define MAX(p, q) ex_binary(c->x, EX_max, (p), (q))
#define LT(p, q) ex_binary(c->x, EX_lt, (p), (q))
#define LE(p, q) ex_binary(c->x, EX_le, (p), (q))
#define EQ(p, q) ex_binary(c->x, EX_eq, (p), (q))
#define NE(p, q) ex_binary(c->x, EX_ne, (p), (q))
#define AND(p, q) ex_binary(c->x, EX_and, (p), (q))
#define OR(p, q) ex_binary(c->x, EX_or, (p), (q))
#define NOT(p) ex_unary(c->x, EX_not, (p))
#define UN(op, p) ex_unary(c->x, EX_##op, (p))
#define SEL(q, p, r) ex_select(c->x, (q), (p), (r))
#define CAST(dt, p) ex_cast(c->x, (dt), (p))
#define IX(v) ex_int(c->x, (v))
#define NUM(dt, v) ex_num(c->x, (dt), (v))

#endif

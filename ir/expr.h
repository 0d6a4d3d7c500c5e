/* SPDX-License-Identifier: Apache-2.0
 *
 * Expressions: the one language for tensor bodies, index arithmetic, dimensions and loop bounds.
 *
 * Nodes are immutable and interned in a pool, so equal expressions are the same pointer. Constructors simplify: index
 * arithmetic (dtype ix) is kept as a canonical sum of coefficient * atom + constant (atoms ordered by id), floor
 * division and modulo split by common factors and use the ranges of variables, so that reshape of reshape disappears.
 * Float arithmetic is never reassociated; only rules exact for every value (x*1, x+(-0), select of a constant, casts to
 * the same type, constant operands) apply.
 *
 * Types: arithmetic happens in compute types only (f32, f64, i32, i64, u32, u64, bool, ix; see dtype_compute). A load
 * has its tensor's element type; cast it to compute. ix is mlcc's own signed index type, wide enough for every offset;
 * `cast` converts between ix and integer types.
 */
#ifndef MLCC_EXPR_H
#define MLCC_EXPR_H

#include "dtype.h"

enum { MAX_RANK = 12 }; /* of tensors and stages; graph inputs and outputs have at most 8 (mlcc_tensor) */

typedef enum ExprOp {
#define EXPR(name, arity, kind, prec, cost, text, what) EX_##name,
#include "expr.def"
#undef EXPR
    EX_count
} ExprOp;

typedef struct ExprInfo { const char *name, *text; int8_t arity; char kind; uint8_t prec, cost; } ExprInfo;
const ExprInfo *expr_info(ExprOp op);
bool expr_accepts(ExprOp op, DType operand); /* whether an operation of kind T, B or L is defined on this type */

typedef struct Expr Expr;
struct Expr {
    uint8_t op;   /* ExprOp */
    uint8_t dt;   /* DType of the value */
    uint16_t n;   /* number of operands; of load: rank; of loadp: rank + 1, the last is the fill */
    uint32_t id;  /* order of creation: the deterministic order of atoms */
    union {
        int64_t i;    /* const of an integer type, bool or ix (u64: the bits) */
        double f;     /* const of a float type, already rounded to it */
        uint32_t ref; /* var: index into Exprs.var; load: tensor or buffer id */
    } v;
    const Expr *a[];
};

typedef enum VarKind {
    VK_SYM,   /* dimension symbol of the model: runtime value lo..hi */
    VK_INDEX, /* index or reduction variable of a stage, loop variable of a nest */
    VK_REG,   /* scalar or accumulator of a nest */
    VK_HOLE   /* placeholder of a template */
} VarKind;

typedef struct VarInfo {
    const char *name; /* not unique; printing adds #id where two of one scope share a name */
    uint8_t kind, dt;
    int64_t lo, hi;   /* inclusive bounds of the value (ix variables) */
    const Expr *below; /* ix: the value is less than this, which may name symbols; NULL: only hi is known */
    int64_t times;     /* VK_SYM: the model's dimension is called `whole` and is this multiple of the value; */
    const char *whole; /* NULL: the value is the dimension */
} VarInfo;

typedef struct Exprs Exprs; /* the pool */
Exprs *exprs_new(Arena *a);
Arena *exprs_arena(Exprs *x);
const Expr *ex_var(Exprs *x, VarKind kind, DType dt, const char *name, int64_t lo, int64_t hi); /* always a new one */
const Expr *ex_index(Exprs *x, const char *name, const Expr *extent); /* new VK_INDEX variable of 0 .. extent - 1 */
const Expr *ex_multiple(Exprs *x, const char *name, int64_t lo, int64_t hi, int64_t times, const char *whole); /* new VK_SYM variable of which
                                                                                      the dimension `whole` is a multiple */
const VarInfo *ex_var_info(const Exprs *x, const Expr *var);
const Expr *ex_dimension(Exprs *x, const Expr *sym);             /* what the model calls a dimension: the symbol, or its multiple */
const Expr *ex_symbol_of(const Exprs *x, const Expr *dim);       /* the symbol that dim is the dimension of; NULL: none */
static inline int64_t var_times(const VarInfo *v) { return v->whole ? v->times : 1; }

/* Leaves. */
const Expr *ex_int(Exprs *x, int64_t v);                  /* ix */
const Expr *ex_const_i(Exprs *x, DType dt, int64_t v);    /* integer types and bool: wrapped into dt */
const Expr *ex_const_f(Exprs *x, DType dt, double v);     /* float types: rounded to dt; NaN is canonical */
const Expr *ex_num(Exprs *x, DType dt, double v);         /* literal of whatever compute type dt is */
const Expr *ex_load(Exprs *x, DType dt, uint32_t ref, uint16_t rank, const Expr *const *index);
const Expr *ex_loadp(Exprs *x, DType dt, uint32_t ref, uint16_t rank, const Expr *const *index, const Expr *fill);
static inline uint16_t ex_load_rank(const Expr *load) { return (uint16_t)(load->n - (load->op == EX_loadp)); } /* its indices come first in a */

/* Any operation of expr.def but the leaves. Operand types must be as its row says (ICE otherwise). */
const Expr *ex_unary(Exprs *x, ExprOp op, const Expr *a);
const Expr *ex_binary(Exprs *x, ExprOp op, const Expr *a, const Expr *b);
const Expr *ex_fma(Exprs *x, const Expr *a, const Expr *b, const Expr *c);
const Expr *ex_select(Exprs *x, const Expr *c, const Expr *a, const Expr *b);
const Expr *ex_cast(Exprs *x, DType dt, const Expr *a);   /* no-op when a has type dt */
const Expr *ex_castsat(Exprs *x, DType dt, const Expr *a);
const Expr *ex_bitcast(Exprs *x, DType dt, const Expr *a);
const Expr *ex_make(Exprs *x, const Expr *like, const Expr *const *operands); /* the operation of `like` on others, simplified */
static inline const Expr *ex_add(Exprs *x, const Expr *a, const Expr *b) { return ex_binary(x, EX_add, a, b); }
static inline const Expr *ex_sub(Exprs *x, const Expr *a, const Expr *b) { return ex_binary(x, EX_sub, a, b); }
static inline const Expr *ex_mul(Exprs *x, const Expr *a, const Expr *b) { return ex_binary(x, EX_mul, a, b); }
static inline const Expr *ex_fdiv(Exprs *x, const Expr *a, const Expr *b) { return ex_binary(x, EX_fdiv, a, b); }
static inline const Expr *ex_mod(Exprs *x, const Expr *a, const Expr *b) { return ex_binary(x, EX_mod, a, b); }

/* Questions. */
static inline bool ex_is_const(const Expr *e) { return e->op == EX_const; }
static inline bool ex_is_int(const Expr *e, int64_t v) { return e->op == EX_const && !dtype_is_float((DType)e->dt) && e->v.i == v; }
/* p*q + r*s + .. of floats: one multiply-add for each product. */
static inline bool ex_adds_products(const Expr *e)
{
    const bool sum = e->op == EX_add && e->dt == DT_f32 && e->a[1]->op == EX_mul;
    return sum && (e->a[0]->op == EX_mul || ex_adds_products(e->a[0]));
}
bool ex_uses(const Expr *e, const Expr *var);
bool ex_reads_data(const Expr *e);                               /* whether a load is in it */
int ex_cost(const Expr *e);                                      /* sum of the costs of distinct nodes */
bool ex_range(const Exprs *x, const Expr *e, int64_t *lo, int64_t *hi); /* of integer and ix values; false: unknown */
int64_t ex_upper(const Exprs *x, const Expr *e);                 /* upper bound of a dimension; ICE when there is none */

/* View of an ix expression as sum of coef * atom + c. Atoms are never sums or constants. */
typedef struct Term { const Expr *atom; int64_t coef; } Term;
typedef struct Affine { int64_t c; uint32_t n; Term *t; } Affine; /* t in the arena given, ordered by atom id */
Affine ex_affine(Arena *a, const Expr *e);
const Expr *ex_from_affine(Exprs *x, const Affine *f);
int64_t ex_coef(const Expr *e, const Expr *var, bool *linear);   /* of var in e; *linear false: var occurs inside an atom */

/* Rewriting bottom-up through the constructors (so results are simplified). */
typedef struct Subst { const Expr *from, *to; } Subst;
const Expr *ex_subst(Exprs *x, const Expr *e, const Subst *s, uint32_t n);
typedef const Expr *(*ExprFn)(void *ctx, const Expr *e); /* gets a node whose operands are rewritten; returns its replacement */
const Expr *ex_map(Exprs *x, const Expr *e, ExprFn fn, void *ctx);
void ex_walk(const Expr *e, void (*fn)(void *ctx, const Expr *e), void *ctx); /* each distinct node once, operands first */
void ex_always(Map *ids, const Expr *e); /* adds the ids of the nodes that are evaluated whenever e is */
const Expr *ex_sole_load(const Expr *e, uint32_t ref);          /* the one load (guarded or not) of tensor ref in e; NULL: none, or several */

/* expr_eval.c: one scalar operation, the definition that the interpreter, constant folding and emitted C must equal.
 * Values are held in a union wide enough for every compute type. */
typedef union Scalar { double f64; float f32; int64_t i; uint64_t u; const char *s; } Scalar;
/* i: i32, i64 (sign extended), bool, ix, narrow integers; u: u32, u64; f32; f64; narrow floats as f32 (after rounding). */
Scalar scalar_op(ExprOp op, DType result, DType operand, const Scalar *a);
Scalar scalar_load(DType dt, const void *p);
void scalar_store(DType dt, void *p, Scalar v);

/* expr_text.c. Syntax: infix + - * / & | ^ ~ and functions as named in expr.def; variables by name; loads %name[i,j] and
 * %name[i,j | fill]; casts f32(x), sat_i8(x), bits_i32(x); literals: 3 is ix, others carry their type: 3i32, 1.5f32,
 * -0x1.8p3f64 is accepted too, nanf32, inff32, true, false. parse(print(e)) is the same pointer in the same pool. */
typedef const char *(*RefName)(void *ctx, const Expr *load_or_var);
void ex_print(Text *out, const Exprs *x, const Expr *e, RefName name, void *ctx); /* name may be NULL: %<ref> and var names */
typedef struct ExprScope {           /* what names mean while parsing */
    const Expr *(*var)(void *ctx, const char *name, size_t n);           /* NULL: not known */
    bool (*tensor)(void *ctx, const char *name, size_t n, uint32_t *ref, DType *dt, uint16_t *rank);
    DType bare;                      /* type of a literal without suffix: DT_ix, or T inside an operator row */
    void *ctx;
} ExprScope;
void ex_print_symbol(Text *out, const char *name, const VarInfo *v); /* "sym k 1..30 times 32 as h", without the end of the line */
/* Parses one expression from *s and moves *s behind it; NULL and *error (static text), *s at the place, when it cannot. */
const Expr *ex_parse(Exprs *x, const char **s, const ExprScope *scope, const char **error);

#endif

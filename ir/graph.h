/* SPDX-License-Identifier: Apache-2.0
 *
 * The graph: what a model says. Nodes and tensors of ONNX at one canonical opset (the newest), in topological order.
 *
 * References are typed 32-bit ids, 0 is "none". Entities live in chunks that never move: a pointer got from tensor() or
 * node() stays valid while the graph grows. What a pass learns goes into arrays of its own indexed by id, never here.
 * A dimension is an Expr of dtype ix over symbols (VK_SYM).
 */
#ifndef MLCC_GRAPH_H
#define MLCC_GRAPH_H

#include "expr.h"

typedef struct { uint32_t i; } TensorId;
typedef struct { uint32_t i; } NodeId;
typedef struct Graph Graph;
typedef struct OpInfo OpInfo; /* op.h */

/* How far float arithmetic may be from what the model writes (-ffp=). Sums may be reassociated in each mode, and a product that
 * is added to a sum may be rounded with it (fused multiply-add). */
typedef enum FpMode {
    FP_fast,   /* and exp, log, tanh, erf are polynomials, within the bounds that mlcc_vec.h states; convolutions may be filtered
                  (Winograd), which reassociates the sums of several outputs; a real bias of a product of integers is rounded
                  to the unit of their sum (compiler/pass/integer_product.c) */
    FP_strict, /* nothing else: functions are libm's */
    FP_bf16    /* as fast, and what contractions read is rounded to bfloat16 where that is faster; sums and
                  epilogues stay f32; erf and sigmoid are within 2^-12 */
} FpMode;

const char *fp_name(FpMode m); /* as in the option: "fast", "strict", "bf16" */

/* What one compile shares. */
typedef struct Ctx {
    Arena *arena;
    Exprs *x;
    Diags *diags;
    Map symbol;             /* dimensions of the model by name -> const Expr *: a symbol, a multiple of one, or a number */
    int64_t default_max;    /* upper bound of a symbol without --max */
    bool default_given;     /* the user gave it */
    VEC(const Expr *) assumed; /* dimensions that have it: of inputs, and extents that data decides without any bound */
    bool tflite_rounding;   /* --int-rounding=tflite */
    FpMode fp;              /* -ffp= */
    bool small;             /* -Os: bytes of code and weights come before time */
    uint64_t max_elements;  /* limit for one tensor (--limits) */
} Ctx;

/* Constant data. Elements are in memory form (sub-byte types one per byte; strings as pointers). */
typedef struct Blob {
    DType dt;
    int64_t count;
    const void *data;  /* count elements, or one when fill; may be a view of the mapped file, possibly unaligned */
    bool fill;         /* every element equals data[0] */
    const struct Recipe *recipe; /* data is NULL: elements are made from others whenever they are asked for; NULL: data is there */
} Blob;

/* Elements as a function of those of another blob: what is folded, transformed and packed at compile time takes no memory of
 * its own until it is written. Stands first in a structure that holds what else `make` needs. */
typedef struct Recipe {
    Arena *arena;      /* for scratch memory while elements are made */
    const Blob *from;  /* NULL: it knows itself what from */
    int64_t unit;      /* elements that are made together */
    /* Writes elements first..first+n-1, whole units. from: all elements of `from`, possibly unaligned. */
    void (*make)(const struct Recipe *r, const char *from, int64_t first, int64_t n, char *out);
} Recipe;

typedef enum TensorKind { TK_ACT, TK_CONST, TK_INPUT } TensorKind;

typedef struct Tensor {
    const char *name;         /* as in the model: hostile text, unique in its graph */
    DType dt;                 /* DT_none: not inferred yet, or a sequence/optional */
    TensorKind kind;
    bool ranked;              /* rank and dims are known */
    uint8_t rank;
    const Expr *dim[MAX_RANK];
    const Blob *data;         /* TK_CONST */
    const Expr **value;       /* integer or bool tensor of at most MAX_VALUE elements whose values are known as
                                 expressions over symbols (ix), row-major; NULL: not known. Shape arithmetic lives here.
                                 A float tensor of at most MAX_RANK elements may have values of its own type. */
    NodeId producer;          /* of TK_ACT */
    uint16_t slot;            /* output number at the producer */
} Tensor;
enum { MAX_VALUE = 256 };

typedef enum AttrType { AT_none, AT_i, AT_f, AT_s, AT_t, AT_g, AT_is, AT_fs, AT_ss } AttrType;

typedef struct Attr {
    const char *name;
    AttrType type;
    uint32_t n;                /* of is, fs, ss; length of s */
    union {
        int64_t i;
        double f;
        const char *s;
        const int64_t *is;
        const double *fs;
        const char *const *ss;
        struct { const Blob *blob; uint8_t rank; const int64_t *dim; } t;
        Graph *g;
    } v;
} Attr;

typedef struct Node {
    const OpInfo *op;
    const char *name;          /* as in the model, may be "" */
    uint16_t nin, nout, nattr;
    TensorId *in, *out;        /* an absent optional operand is id 0 */
    Attr *attr;                /* as given; defaults come from the operator's row (op.h) */
    uint32_t src;              /* position in the model file, for diagnostics */
    int32_t opset;             /* of the model, before upgrading; for diagnostics */
    bool dead;                 /* removed */
} Node;

struct Graph {
    Ctx *cx;
    const char *name;
    Graph *parent;             /* of a subgraph: outer names resolve there */
    VEC(TensorId) input, output;
    VEC(NodeId) order;         /* live nodes, producers before consumers */
    struct { void **chunk; uint32_t n; } tensors, nodes; /* use the accessors */
    Map by_name;               /* tensor name -> id */
};

/* graph.c */
Graph *graph_new(Ctx *cx, const char *name, Graph *parent);
Tensor *tensor(const Graph *g, TensorId id);
Node *node(const Graph *g, NodeId id);
TensorId graph_tensor(Graph *g, const char *name);        /* finds or adds; "" gives id 0 */
TensorId graph_find(const Graph *g, const char *name);    /* id 0 when absent */
TensorId graph_temp(Graph *g, const char *hint, DType dt, uint8_t rank, const Expr *const *dim); /* fresh unique name */
TensorId graph_const(Graph *g, const char *hint, DType dt, uint8_t rank, const int64_t *dim, const void *data); /* copies */
TensorId graph_const_of(Graph *g, const char *hint, uint8_t rank, const int64_t *dim, const Blob *data); /* of its type; keeps data */
/* Adds a node behind the last one (the order must stay topological) and sets producers of its outputs. */
NodeId graph_node(Graph *g, const OpInfo *op, const char *name, uint16_t nin, const TensorId *in, uint16_t nout, const TensorId *out, uint16_t nattr, const Attr *attr);
NodeId graph_node_before(Graph *g, NodeId pos, const OpInfo *op, const char *name, uint16_t nin, const TensorId *in, uint16_t nout, const TensorId *out, uint16_t nattr, const Attr *attr);
void graph_remove(Graph *g, NodeId n);                    /* its outputs must have no uses */
void graph_replace(Graph *g, TensorId from, TensorId to); /* in every operand of every node, and in the graph outputs */
void graph_sweep(Graph *g);                               /* drops dead nodes from order, and nodes no output needs */
bool graph_sort(Graph *g);                                /* makes order topological; diagnostic "graph-cycle" otherwise */
/* Uses of each tensor: number of operands plus graph outputs; arrays indexed by TensorId.i, in arena a. */
uint32_t *graph_uses(const Graph *g, Arena *a);
uint32_t graph_ntensors(const Graph *g); /* ids 1..n-1 are valid */
uint32_t graph_nnodes(const Graph *g);
bool tensor_static(const Tensor *t);                      /* every dimension is a constant */
int64_t tensor_count(const Graph *g, const Tensor *t);    /* elements at the upper bounds */
static inline bool is_none(TensorId t) { return t.i == 0; }

/* symbol.c */
const Expr *graph_symbol(Ctx *cx, const char *name, int64_t lo, int64_t hi); /* finds or makes; hi 0: cx->default_max */
/* The same for a dimension that is `times` a symbol of lo..hi. sym: what to call that; NULL: after the dimension. */
const Expr *graph_multiple(Ctx *cx, const char *name, int64_t times, int64_t lo, int64_t hi, const char *sym);
bool symbol_assumed(const Ctx *cx, const Expr *e); /* the upper bound of dimension e is cx->default_max for want of another */
const char *dimension_name(const Ctx *cx, const Expr *dim); /* the model's; NULL: it has none of its own */
const char *dimension_names(const Ctx *cx, Arena *a);      /* "it has 'N', 'seq'", of those that are free */
/* The number of which *dim must be a multiple to make extents a and b, which are not equal, equal; 0: there is none. */
int64_t multiple_that_equals(Exprs *x, const Expr *a, const Expr *b, const Expr **dim);

/* blob.c */
const Blob *blob_make(Arena *a, DType dt, int64_t count, const void *data); /* copies; notices fills */
const Blob *blob_view(Arena *a, DType dt, int64_t count, const void *data); /* keeps data; notices fills */
/* A blob that r makes; what stands behind r is kept. Large ones only: whether elements are alike is not looked at. */
const Blob *blob_made(Arena *a, DType dt, int64_t count, const Recipe *r);
/* Such a one of floats: alpha * w[q] * k[channel of q], rounded once, of n channels, each `each` elements before the next one's come. */
const Blob *blob_scaled(Arena *a, const Blob *w, double alpha, const double *k, int64_t n, int64_t each);
enum { LIST_QUAD_BYTES = 12 };
/* blob_lists.c: rows of so many columns as lists, bytes as i8; NULL: w is not of i8, or has other rows, or more columns than 16 bits count. */
const Blob *blob_lists(Arena *a, const Blob *w, int64_t rows, int64_t columns);
int64_t blob_i(const Blob *b, int64_t k);  /* element as integer; of a recipe: for few elements, otherwise blob_held first */
double blob_f(const Blob *b, int64_t k);
void blob_get(const Blob *b, int64_t first, int64_t n, void *out); /* n elements in memory form */
const void *blob_all(const Blob *b, Arena *a);  /* all elements, possibly unaligned: where they are, or made in a */
const Blob *blob_held(const Blob *b, Arena *a); /* the same blob with its elements in memory */
void blob_put(const Blob *b, Arena *a, const Sink *to); /* all elements in order and in pieces, which live in `a` one at a time */
/* blob_text.c: "(1, 2)", "(fill 0)"; more than inline_max elements (0: no limit) as "(...#hash)", which does not parse. */
void blob_print(Text *out, const Blob *b, int64_t inline_max);
const Blob *blob_parse(Arena *a, const char **s, DType dt, int64_t count, const char **error);

/* graph_text.c. One line per entity; parse(print(g)) prints the same. Data of more than `inline_max` elements that is
 * not a fill is printed as "...#<hash>" (such text parses only for inspection); 0: everything in full. */
void graph_print(Text *out, const Graph *g, int64_t inline_max);
const char *node_line(Arena *a, const Graph *g, NodeId n, int32_t *mark, int32_t operand); /* text of one node; mark: column of operand */
Graph *graph_parse(Ctx *cx, const char *text);            /* NULL: diagnostics with line and column */
void type_print(Text *out, const Exprs *x, const Tensor *t); /* type and shape: f32[N,3,?]; "?" where not known */

/* graph_verify.c: every invariant of the graph, one check each; ICE text on failure names pass and node. */
const char *graph_verify(Arena *a, const Graph *g);       /* NULL: sound */

/* Problem of a node: operand >= 0 input, OUT(k) output, NO_OPERAND none. Always false. */
enum { NO_OPERAND = -1 };
#define OUT(k) (1000 + (k))
bool node_error(const Graph *g, NodeId n, int operand, const char *slug, const char *fmt, ...) PRINTF(5, 6);
Diag *node_diag(const Graph *g, NodeId n, int operand, Severity sev, const char *slug, const char *fmt, va_list ap);

#endif

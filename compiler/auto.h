/* SPDX-License-Identifier: Apache-2.0
 *
 * The automatic scheduler in three steps: prepare (operands of contractions get the form that tiles want), place (inline,
 * register, at, root), tile (loops and register tiles from a cost model). All decisions come from the structure of the
 * stages and the machine's row; nothing here knows an operator.
 */
#ifndef MLCC_AUTO_H
#define MLCC_AUTO_H

#include "schedule.h"

typedef struct Auto {
    Arena *a;
    Exprs *x;
    Te *te;              /* the scheduler's own copy: packing and copy stages are added */
    const Machine *m;
    Tuning *tuning;      /* choices of tiles; NULL: the model's */
    int32_t parts;       /* the most that a run is cut into */
    Map *sums, *totals;  /* bounds of auto_sums, by tensor, and by the tensors that add up to one */
    Map *made;           /* by what is said of them: constants made of others, which several stages may read */
    Schedule *s;
    VEC(bool) pinned;    /* by tensor: stays at root (copies made on purpose) */
    VEC(bool) packed;    /* by tensor: an operand brought into groups at run time */
    VEC(bool) panel;     /* by tensor: the same of a constant, made for a few columns at a time (auto_strassen.c) */
    VEC(const Expr *) lane; /* by tensor: the variable that the lanes of its product are, once it is prepared; NULL: not yet */
    VEC(bool) twins;     /* by tensor: a product that takes two steps side by side */
    VEC(const struct ThirdsRows *) thirds; /* by tensor: the rows of a product that takes three steps by two multiplications (auto_thirds.c); NULL: it does not */
    VEC(Layout) layout;  /* by tensor: wanted */
    VEC(uint32_t) start; /* by tensor: what is added to a product whose constant is clipped (auto_clip.c); 0: it is none */
    VEC(bool) slim;      /* by tensor: a product whose constant has four steps in three lines (auto_slim.c) */
    VEC(bool) scaled;    /* by tensor: made of the rows of a product's operand (auto_thirds.c), which it reads from memory in the product's place */
    const Expr **body;   /* by stage: with inline tensors substituted */
    uint32_t **reader;   /* by tensor: stages whose substituted bodies read it */
    uint32_t *nreader;
    int64_t constants;   /* bytes of those that the program walks, as products read them */
    bool outgrown;       /* they come from memory in each run: the second-level cache does not hold all */
    bool *host;          /* by stage: others live in its registers or rows */
    int64_t *block;      /* by stage: lanes of its outermost loop, inside which its operand is made; 0: it is not */
    VEC(uint32_t) rows;  /* by tensor: the one of which it holds rows with their borders (auto_rows.c); 0: it does not */
    const bool *tight;   /* by tensor, the first ntight: memory has no room for its border; NULL: for all */
    uint32_t ntight;
    const bool *sole;    /* by tensor, the first nsole: memory has no room for it before it is complete, so it holds no others; NULL: for all */
    uint32_t nsole;
    LoopStep *band;      /* by stage: its outermost loop, in which such rows are made; step 0: none */
    VEC(const struct MatrixShape *) matrix; /* by tensor: how the matrix unit makes it; NULL: it does not */
} Auto;

/* A reduction of products: sum(r..) x * w, both plain or guarded loads of f32, or of bytes or i16 widened to i32. */
typedef struct Dot {
    const Expr *x, *w;   /* loads in the stage's substituted body; w is a constant when there is one */
    int lane;            /* variable along vectors (of the stage), -1: none */
    int row;             /* variable whose values share w: the points of the tile; -1: none */
    int64_t quad;        /* steps of the innermost reduction that one dot takes: 4 of bytes and of bf16 as twins, 2 of bf16, of i16 or of floats as twins, 1 */
    bool thirds;         /* three steps by two multiplications: x and w are those of the first (auto_thirds.c) */
    bool slim;           /* four steps of a constant of 24 bits, the same (auto_slim.c) */
    int64_t group;       /* lanes that share x (the outputs of a group of channels); the extent of the lane variable: all */
} Dot;

/* Tile for a matrix unit: `rows` values of the row variable and `down` of variable `outer` (-1: there is none), so many lanes. It
 * reads x_bytes of x, and by windows some of them again. */
typedef struct MatrixShape { int32_t down, rows, lanes; int outer; int64_t x_bytes; bool again; const char *kind; } MatrixShape;

/* ---- what the steps ask ---- */

/* auto_dot.c */
bool dot_of(const Auto *g, uint32_t stage, Dot *d);
static inline int dot_lines(const Dot *d) { return d->thirds || d->slim ? LINES : 1; } /* loads of the constant in a step */
/* Dots of bytes for each multiply-add of floats. Machines that multiply signed bytes so multiply unsigned ones, too. */
double byte_dot_rate(const Machine *m, DType x, DType w);
static inline bool is_clipped(const Auto *g, const Stage *s) { return ten(g->te, s->out)->clipped; }
static inline bool dots_lanes(const Dot *d) { return d->lane >= 0 && !d->group && d->quad > 1; } /* each lane has pairs of its own (auto_fixed.c) */
bool is_product(const Auto *g, const Stage *s);         /* a contraction; a sum of squares is a statistic */
int64_t points_sharing(const Auto *g, const Stage *s, const Expr *load); /* outputs that read the same element of it */
bool multiplies_row(const Stage *s);                    /* a sum of products of each row's elements by others of it: a statistic */
bool steps_lie_beside(const Auto *g, const Stage *s, const Expr *x, const Expr *v);

enum { TWIN = 2 };   /* steps that go side by side */
bool takes_twins(const Auto *g, const Stage *s, const Dot *d);           /* auto_twin.c: of a product that is not prepared yet */

/* auto_reads.c. walk_stage calls fn for every node of a stage, whose body may be a substituted one; walk_scheduled also for what is
 * inline in a scatter's first values and places, body holding the substituted bodies of all stages. */
int64_t extent_of(const Auto *g, const Expr *e);       /* upper bound */
int64_t points_of_tensor(const Auto *g, uint32_t t);
int64_t bytes_of_tensor(const Auto *g, uint32_t t);    /* without a halo */
int64_t points_of_stage(const Auto *g, uint32_t k);    /* elements that it defines */
int64_t reduction_steps(const Auto *g, const Stage *s);
bool has_known_extents(const Auto *g, const Stage *s); /* its variables and those of its reduction are constant */
int64_t steps_of_stage(const Auto *g, uint32_t k);     /* elements x reduction steps */
bool is_operand_of_call(const Te *te, uint32_t t);     /* a function of runtime-min reads its memory */
bool is_pure_var(const Expr *e, const Expr *const *var, int n, int *which);
void walk_stage(const Te *te, const Stage *s, const Expr *body, void (*fn)(void *ctx, const Expr *e), void *ctx);
void walk_scheduled(const Schedule *s, const Expr *const *body, uint32_t k, void (*fn)(void *ctx, const Expr *e), void *ctx);
bool is_guarded(const Auto *g, uint32_t t);            /* some stage reads beside t, which then may get a border */
/* The rows of both variables, the outer one and that of rows, are all of two dimensions of x, one after the other, which may lie so. */
bool rows_join(const Auto *g, const Stage *s, const Dot *d, int outer);
void auto_bodies(Auto *g);                             /* body and reader from the placements in s */

/* auto_load.c: of a load, the first dimension whose index uses v; whose index is v itself; and that alone uses v. -1: none. */
int dim_using(const Expr *load, const Expr *v);
bool index_uses(const Expr *load, const Expr *v);
int dim_of(const Expr *load, const Expr *v);
int sole_dim(const Expr *load, const Expr *v);
bool loads_element(const Auto *g, const Expr *load, const Expr *const *index); /* whether it is at these indices; dimensions of one element may be left at 0 */
bool is_constant_load(const Auto *g, const Expr *load);
bool has_affine_indices(const Expr *load);             /* neither quotients and remainders nor data in them */
bool is_zero_outside(const Expr *load);                /* of floats: padded with zero, or not at all */

/* auto_join.c: elements of memory that v moves a plain load by, 0 when that is not always the same; whether its offset is affine. */
int64_t stride_of(const Auto *g, const Expr *load, const Expr *v);
bool walks_memory(const Auto *g, const Expr *load);

/* auto_lanes.c: the product whose values live in registers of stage k, or k itself when it is a contraction at root; NO_STAGE:
 * none. And whether the variables of a host are those of its register stage, place by place; dimensions of one element may be left at 0. */
uint32_t product_in(const Auto *g, uint32_t k);
bool same_variables(const Auto *g, uint32_t host, uint32_t k);

const Expr *choice_by_position(const Expr *e);         /* auto_tile_map.c: the index that e compares to a number to choose; NULL: it does not */
int64_t positions_of(const Auto *g, uint32_t k, int v);  /* values of variable v after which those of map k repeat, when they are few; 1: it has none */
bool runs_across(const Auto *g, uint32_t k);           /* a reduction over what lies side by side, by vectors */
int outer_rows(const Stage *s, const Ten *t, const Dot *d); /* auto_shape.c: variable outside the rows whose values share w too; -1: none */
bool turns_over(const Auto *g, uint32_t k);            /* a copy of blocks that are turned over in registers */
int64_t all_constants(const Auto *g);                  /* auto_fetch.c: bytes of those that the whole program walks */
bool is_folded(const Auto *g, const Stage *s, const Dot *d); /* auto_fold.c: sums in vectors along the reduction, w as it lies */
double fused_rows_cost(const Auto *g, const Dot *d, const Stage *s); /* auto_shape.c: of tiles whose rows are those of its outer variable too, for what they cost apart */
int64_t lanes_per_tile(const Auto *g, const Dot *d, uint32_t stage); /* auto_shape.c: lanes of the best tile */
int64_t lanes_per_block(const Auto *g, const Dot *d, uint32_t stage); /* those of its constant that lie together; a tile may have several such blocks */

/* ---- what they change ---- */

/* auto_stage.c: tensors and stages of the scheduler's own. */
uint32_t auto_tensor(Auto *g, const char *name, TenKind kind, uint8_t rank, const Expr *const *dim);
const Expr *auto_floats(Auto *g, const char *what, int64_t n, const float *v, const Expr *dim, const Expr *at); /* element `at` of a vector of them; a literal where all are alike */
/* The load of constant w where n dimensions of these sizes, at these indices, are in the place of dimension dim: the same elements. */
const Expr *auto_unfold(Auto *g, const Expr *w, int dim, const char *what, uint8_t n, const Expr *const *size, const Expr *const *index);
void auto_insert(Auto *g, uint32_t k, Stage *s);       /* before stage k */
uint32_t auto_copy(Auto *g, uint32_t k, uint32_t from, const uint8_t *perm, NodeId node); /* before stage k: a tensor that lies plain, dimension d of it perm[d] of from (NULL: d) */
const Expr *auto_load_from(const Auto *g, const Expr *e, DType dt, uint32_t to); /* load e as one of tensor `to`, which holds the same in type dt */
void auto_cast_copy(Auto *g, uint32_t t, uint32_t to); /* to[v..] = t[v..] in the type of to, behind the stage that makes t */
Stage *auto_replace(Auto *g, uint32_t k, const Expr *body); /* stage k with another body: stages are never changed, so it is a new one */
void auto_view(Auto *g, uint32_t k, uint32_t t, const Expr *const *index); /* stage k becomes what tensor t holds at these indices */
const Expr *auto_element(const Auto *g, const Stage *s, const Expr *const *index); /* of a map: its body there */
void auto_exchange(Auto *g, uint32_t k, const Expr *from, const Expr *to); /* an operand of stage k, whose substituted body becomes its own */
void auto_map_bodies(Auto *g, const Expr *(*fn)(void *g, const Expr *e)); /* every map's, by fn at each node */
void auto_drop_unread(Auto *g);                        /* views whose readers were given substituted bodies */

/* auto_layout.c */
bool layout_free(const Auto *g, uint32_t t);           /* may be stored as we like: no input, output or constant, and no function of runtime-min makes or reads it */
Layout layout_channels_last(const Auto *g, uint32_t t, int c); /* dimension c (-1: none) innermost where there are rows and columns beside it */
void layout_innermost(Layout *l, uint8_t rank, int d);
bool layout_is_plain(const Layout *l, uint8_t rank);
bool layout_has_halo(const Layout *l, uint8_t rank);
void layout_want_halo(const Auto *g, const Expr *load, Layout *l); /* that makes a padded load plain */
bool layout_may_pad(const Auto *g, uint32_t t, double fill); /* a tensor has one halo */
void layout_merge(Auto *g, uint32_t t, const Layout *want);
uint32_t layout_home(const Auto *g, uint32_t t);       /* the tensor in whose memory it lies: itself, or what it lies within */
bool layout_holds(const Auto *g, uint32_t t);          /* another lies within it */
void layout_parts(Auto *g); /* what is put beside something else, and read by nobody else, takes the order of the whole */
void layout_follow(Auto *g); /* tensors made or read element by element beside one with a layout take its order */

/* ---- rewrites of stages ---- */

void auto_guard(Auto *g);                              /* views that windows read beyond become tensors, constants get zeros */
void auto_group(Auto *g);                              /* sums over groups of channels, when layouts are known */
void auto_side(Auto *g);                               /* reductions over rows that lie side by side, over one variable */
void auto_spread(Auto *g);                             /* what groups of channels share, for maps whose lanes they would cut */
void auto_join(Auto *g);                               /* layouts in which views that join dimensions are free */
bool multiplies_words(const Auto *g, DType x, DType w); /* auto_words.c: products of bytes are of 16 bits, which is faster */
bool may_store_words(const Auto *g);                   /* the same: bytes may take 16 bits */
bool has_pairs(const Auto *g, const Stage *s, const Dot *d); /* auto_narrow.c: whether both operands can have two steps side by side */
void auto_words(Auto *g);                              /* operands of products of bytes in 16 bits, where dots of bytes are slow */
bool may_be_clipped(const Auto *g, const Stage *s, const Dot *d); /* auto_clip.c: whether that may pay, x being unsigned */
void auto_clip(Auto *g);                               /* products of bytes with clipped constants and lists, where that is faster than 16 bits */
void auto_taps(Auto *g);                               /* what windows of bytes read in 16 bits by pairs of columns */
bool multiplies_pairs(const Machine *m);               /* auto_narrow.c: of bf16, faster than floats */
void auto_narrow(Auto *g);                             /* -ffp=bf16: operands of contractions as bfloat16 */
void auto_narrow_rest(Auto *g);                        /* after placement: large tensors that no contraction reads */
void auto_fixed(Auto *g);                              /* -ffp=bf16: what clips bound and depthwise products read in 16 bits, by pairs of columns */
void auto_flatten(Auto *g, int64_t group);             /* columns and few channels of a first convolution as one reduction, in groups */
void auto_pair(Auto *g);                               /* sums of two scaled bytes in floats */
void auto_scale(Auto *g);                              /* scaled sums of integers in floats */
/* A float of 1.5 * 2^23 and more has no fraction: a real below AUTO_REACH that is added to AUTO_ROUNDER is rounded half to even.
 * auto_rounded: that whole number, plus `add`, from the bits of the sum. */
#define AUTO_ROUNDER 0x1.8p23
#define AUTO_REACH   0x1p21
enum { AUTO_ROUNDER_BITS = 0x4b400000 };
const Expr *auto_rounded(Exprs *x, const Expr *sum, int64_t add);
/* auto_zero.c: how variables, 0 .. extent - 1 each, move in the load of a constant: its element offset is *at + the sum of variable * stride;
 * false: it is no such sum. */
typedef struct ElementWalk { int64_t extent, stride; } ElementWalk;
bool auto_walks(const Auto *g, const Expr *load, const Expr *const *var, const Expr *const *extent, uint8_t n, ElementWalk *walk, int64_t *at);
/* auto_reach.c: bounds of a value, infinite where none are known, and of its magnitude. */
typedef struct Reach { double lo, hi; } Reach;
Reach auto_reach(const Auto *g, const Expr *e);
double auto_magnitude(const Auto *g, const Expr *e);
Reach auto_sums(const Auto *g, const Expr *sum);      /* auto_sums.c: of one with a constant closer ones, at the price of a walk over it */
const Reach *auto_known_sums(const Auto *g, uint32_t t); /* those of tensor t once it has been walked for; NULL: it has not */
/* Of a total whose parts, loads of one place, have none alone: in whatever order they are added. r stays; NULL: nothing is known. */
void auto_know_total(Auto *g, const Expr *total, const Reach *r);
const Reach *auto_known_total(const Auto *g, const Expr *e);
void auto_round(Auto *g);                              /* after placement: bytes on their way between floats */
void auto_sign(Auto *g);                               /* bytes with the sign that dots of the machine take */
void auto_zero(Auto *g);                               /* zero points out of contractions of bytes */
void auto_outputs_apart(Auto *g);                      /* outputs become copies, so that what is computed lies as it is made */
void auto_outputs(Auto *g);                            /* what an output copies is made there, once layouts are known */
void auto_phases(Auto *g);                             /* transposed convolutions of large strides as products of each phase */
/* Variable v of a stage, (v + a) = p * f + r, as two. The product of stage k, put before it, which becomes a view: its tensor. Then, when
 * bodies are known, those maps, one after the other, that alone read what tensor t holds so and in which nothing else follows from v:
 * the last one's. */
typedef struct Phase { int v; int64_t a, p; } Phase;
uint32_t auto_phase_product(Auto *g, uint32_t k, const Phase *p);
uint32_t auto_phase_maps(Auto *g, uint32_t t, const Phase *p);
void auto_fuse(Auto *g);                               /* rows and columns of small pictures as one variable */
void auto_picture(Auto *g);                            /* products with a flattened picture walk its dimensions */
void auto_split(Auto *g);                              /* long sums in pieces, of which the second-level cache keeps what is read again */
/* Tensors that a product by thirds reads, or that those are made of: of each row of x the bits of its largest magnitude and the scale, the row
 * over that, and the sum of its pairs. left: the result reads that row, too. */
typedef enum RowTensor { ROW_LARGEST, ROW_SCALE, ROW_SCALED, ROW_PAIRS, ROW_TENSORS } RowTensor;
typedef struct ThirdsRows { uint32_t x, made[ROW_TENSORS]; bool left; } ThirdsRows;
const Expr *constant_line(const Auto *g, const Expr *first, int q); /* auto_product.c: of a load of the first line of a step, that of another: their number is the dimension before the lanes */
bool takes_thirds(const Auto *g, uint32_t k);          /* whether product k will */
void auto_thirds(Auto *g);                             /* products of floats by fewer multiplications and more additions, which run beside them */
enum { SLIM_STEPS = LINES + 1 };                       /* in LINES lines */
/* Registers for numbers of so many vectors of 24 bits that rows share, a quarter of all to make them in: with less gcc kept some of 3 x 4 and 5 x 3
 * vectors on the stack (AVX-512). */
static inline int64_t slim_registers(const Machine *m, int64_t vectors) { return SLIM_STEPS * vectors + m->vregs / 4; }
bool takes_strassen(const Auto *g, uint32_t k);        /* whether product k will */
void auto_strassen(Auto *g);                           /* products by halves with seven multiplications for eight */
void auto_slim(Auto *g);                               /* constants of 24 bits, where a product waits for its constant */
void auto_winograd(Auto *g);                           /* 3x3 convolutions by fewer multiplications, where it pays */
void auto_winograd_bytes(Auto *g);                     /* exact, before zero points leave the sums */

/* auto_zero.c: whether stage k sums products of bytes less zero points that dots can make of what is stored; its factors in
 * any order, and the operands of the dot. */
typedef struct Factor { const Expr *load, *zero; } Factor; /* i32(load) - zero; zero NULL: there is none */
bool byte_product(Auto *g, uint32_t k, Factor *p, Factor *q, Dot *d);

/* ---- operands ---- */

void auto_prepare(Auto *g);
int channel_dim(const Auto *g, const Stage *s, const Dot *d); /* of x, that the reduction or the lanes walk without a window; -1: none */
uint32_t auto_rows(Auto *g, uint32_t k, const Dot *d, const Layout *last); /* stages put before contraction k; 0: it is as it was */
void auto_scalar(Auto *g);                             /* layouts for machines without vectors */
uint32_t auto_windows(Auto *g, uint32_t k);            /* channels of windows that no product reads become lanes; stages put before k */
/* auto_matrix.c: whether a matrix unit is to make contraction k; its shape is in g. Then, when layouts are known: how many values of
 * the outer variable of rows a tile has; of rows that do not join in memory, as many as there are sums for. */
bool auto_matrix(Auto *g, uint32_t k, const Dot *d);
bool left_to_vectors(const Auto *g, const Stage *s, const Dot *d); /* a product of few rows */
bool fills_matrix(const Auto *g, const Stage *s, const Dot *d); /* its sums are as long as a row of a tile, or longer */
int32_t matrix_down(const Auto *g, const Stage *s, const Dot *d, const MatrixShape *m);

/* auto_pack.c: whether products of stage s are worth bringing w into groups at run time; the stage that does it, before
 * stage k, and the load that replaces d->w. Returns the number of stages added. */
bool may_pack_at_run_time(const Auto *g, const Stage *s, const Expr *w);
uint32_t auto_pack(Auto *g, uint32_t k, const Dot *d, const Expr **packed);

/* auto_constant.c: the load of constant d->w in blocks of lanes, [groups][blocks][others..][block], or, where dots take a quad,
 * [groups][blocks][others.., K/quad][block][quad] with K the last of the others; lanes and K past the end are 0. NULL: it stays. */
const Expr *auto_constant(Auto *g, uint32_t k, const Dot *d);
bool may_pack_constant(const Auto *g, const Stage *s, const Dot *d); /* whether it would be one */

/* ---- placement, in this order, and loops ---- */

void auto_views(Auto *g);                              /* auto_inline.c: only what is free wherever it is read is inline; bodies */
void auto_place(Auto *g);
void auto_inline(Auto *g);                             /* cheap maps too; bodies */
void auto_within(Auto *g);                             /* what is put side by side is made there */
bool is_put_beside(const Auto *g, uint32_t t);         /* some stage puts all of t beside something else */
void auto_lanes(Auto *g);                              /* what depthwise products read, at blocks of channels */
void auto_chain(Auto *g);                              /* and by bands of rows */
enum { FEW_BLOCKS = 8 };                               /* of rows that parts of a run can share */
void place_in_band(Auto *g, uint32_t k, uint32_t host); /* auto_bands.c: stage k, in the outermost loop of another */
/* The variable of the host that is variable v of product k, which is in its registers or the host itself; -1: it is not one alone. */
int variable_of_host(const Auto *g, uint32_t host, uint32_t k, int v);
void auto_bands(Auto *g);                              /* what auto_rows made, at a few rows of its reader */
bool makes_bytes(const Auto *g, uint32_t k);           /* auto_bands.c: stage k computes bytes, or 16 bits, of floats, as a quantization does */
int64_t panel_bytes(const Auto *g, uint32_t t);        /* auto_strassen_panels.c: of one constant that panel t is made of */
void auto_starts(Auto *g);                             /* auto_clip.c: what is added to products, in the outermost loop of each */
void auto_panels(Auto *g);                             /* the same: columns of constants that are made, in the outermost loop of their product */
void auto_strips(Auto *g);                             /* what lies between transforms, at a few rows of tiles */
void auto_statistics(Auto *g);                         /* statistics of rows, at the rows of their reader */
void auto_tile(Auto *g);

/* ---- what memory says of it (auto_memory.c), by the first count tensors; NULL: nothing ---- */

bool *auto_early(const Auto *g, uint32_t count);       /* in whose memory others must not be made, since the program would need more */
bool *auto_tight(const Auto *g, uint32_t count);       /* whose borders make the largest load larger */
/* Of those, all but the ones of which rows are made whole, which takes more than a border; NULL: there are none such. */
bool *auto_tight_rest(const Auto *g, const bool *tight, uint32_t count);

#endif

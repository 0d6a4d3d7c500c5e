/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files that print C share: the state of one function's emission.
 */
#ifndef MLCC_CGEN_H
#define MLCC_CGEN_H

#include "out.h"

/* Rows and bytes of a row of tiles of the matrix unit, 0: not used (camx.c). */
typedef struct TileShapes { uint8_t rows[8], bytes[8]; } TileShapes;

typedef struct CGen {
    Unit *u;
    Out *o;
    Arena *a;
    Exprs *x;
    bool wide;              /* index type is int64_t, not int */
    int32_t lanes;          /* float lanes of the target's vectors; 1: scalar code */
    Map var, param;         /* expression id, buffer id -> identifier */
    Map taken;              /* identifiers of the function */
    Map tried;              /* stem of an identifier -> numbers below this one are taken behind it */
    Map temp;               /* expression id -> temporary of the statement being printed */
    const char *amx;        /* name of the state of tiles, NULL: the function uses none */
    TileShapes shapes;      /* of tiles where the statement being printed stands, as far as known */
    bool uses_amx;          /* some function so far */
    /* loops around a tile of which each stores the rows of the one before (camx_tile.c), NULL: none */
    struct Turns *turns;
    const char *units_base; /* units before those of the outer iteration around (Share), NULL: stands in none */
    int64_t units;          /* all that are dealt out there */
    int64_t array_bytes;    /* of the largest array that a statement of the function declares */
} CGen;

/* A function behind its name, numbers in it marked. */
typedef struct CText {
    const char *params, *body;
    const char *key;            /* what those have in common that are alike */
    VEC(const char *) number;   /* as they come */
    uint32_t names;             /* that it declares */
    int64_t arrays;             /* bytes of its arrays */
} CText;

/* cfunc.c: of a function of a unit; g->o stays as it is. */
CText c_function(CGen *g, const Func *f);

/* calike.c */
void c_functions(CGen *g);                                  /* prints those of a unit, and sets what calls of them need */
CText c_text(const CGen *g, Arena *a, const char *params, const char *body, int64_t arrays); /* g->taken: names in it */
const char *c_number(CGen *g, DType dt, const char *text);  /* marks a literal that a variable could stand for */

/* cnest.c: statements of a block. A block has tiles, and what a form of a tile leaves to plain statements is a block
 * again: the lanes behind the last vector, the stores behind a matrix product. So c_nest and the forms call each
 * other; it ends, because no such block has a tile of the form that left it. */
void c_nest(CGen *g, const Nest *block);

/* Forms of a register tile. False: t is not of this form, nothing is printed. */
bool c_matrix_tile(CGen *g, const Tile *t);    /* camx_tile.c: products of the matrix unit */
bool c_transpose_tile(CGen *g, const Tile *t); /* ctranspose.c: a copy across */
bool c_listed_tile(CGen *g, const Tile *t);    /* clisted.c: a product with a constant that is stored as lists */
bool c_vector_tile(CGen *g, const Tile *t);    /* ctile.c */

/* camx_tile.c; around loops n: true when the tile in them is printed in turns, then the second follows them. */
bool amx_open_turns(CGen *g, const Nest *n);
void amx_close_turns(CGen *g);

/* camx.c */
int64_t amx_open(CGen *g, const Func *f);   /* declares the state of tiles where f uses them; bytes of stack */
void amx_close(CGen *g);
bool amx_shapes(CGen *g, Nest *n);          /* before n; false: which shapes are set behind n is not known */

/* cexpr.c */
const char *c_type(const CGen *g, DType dt);
/* full expression, no outer parentheses needed as a statement or argument */
const char *c_expr(CGen *g, const Expr *e);
const char *c_libm(ExprOp op); /* function of doubles; NULL: C has none */
const char *c_expr_prec(CGen *g, const Expr *e, int prec);    /* parenthesised when it binds weaker than prec */
/* the second operand of e as a number, with which compilers shift and divide integers in fewer steps; NULL: it is none, or no help */
const char *c_known(CGen *g, const Expr *e);
const char *c_pointer(CGen *g, uint32_t id, const Expr *flat); /* where element `flat` of a buffer is: "x + 4*i" */
/* condition under which it is inside; NULL: it always is */
const Expr *c_guard(CGen *g, const Expr *loadp);
const Expr *flat_index(const CGen *g, const Buf *b, const Expr *const *idx); /* element offset */
/* declares, in order, what n expressions use more than once and always evaluate */
void c_temporaries(CGen *g, const Expr *const *e, uint32_t n);
void c_forget(CGen *g);                                       /* temporaries go out of scope */
/* how tightly an operator of C binds */
enum { P_ANY, P_COND, P_OR, P_AND, P_BOR, P_BXOR, P_BAND, P_EQ, P_LT, P_SHIFT, P_ADD, P_MUL, P_UNARY, P_POST };

/* cscope.c */
const char *c_name(CGen *g, Map *m, uint64_t id, const char *hint, const char *otherwise); /* unique identifier of id */
void c_release(CGen *g, const char *name);                    /* its scope ended: the name is free again */
const char *buf_name(CGen *g, uint32_t id);
const char *var_ident(CGen *g, const Expr *v);
void c_open_loop(CGen *g, const Expr *var, const Expr *extent); /* for (int i = 0; i < extent; i++) { */
void c_close_loop(CGen *g, const Expr *var);                  /* its name is free again */

#endif

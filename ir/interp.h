/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the interpreter: code of straight lines over lanes, and steps that nest it.
 *
 * A value lives in a slot: one element, or LANES of them when it differs between the iterations of the loops that run
 * side by side (a band). One instruction does one operation of an expression for all lanes of a slot, so its dispatch is
 * paid once per strip. interp_expr.c has the operations, interp_code.c makes the code, interp.c runs it.
 */
#ifndef MLCC_INTERP_H
#define MLCC_INTERP_H

#include "nest.h"

enum { LANES = 256 };

/* How elements of a type lie in a slot: integers below 32 bits as i32, floats below 32 bits as f32, ix as i64. */
typedef enum Rep { RP_f32, RP_f64, RP_i32, RP_u32, RP_i64, RP_u64, RP_bool, RP_str, RP_count } Rep;
Rep rep_of(DType dt);
Scalar rep_get(Rep r, const void *slot, int32_t lane);
void rep_put(Rep r, void *slot, int32_t lane, Scalar v);

/* Slot of element offsets. One that stays the same for a whole strip is measured: between which values it lies, and the
 * distance of neighbours when it is the same for all (otherwise UNEVEN). */
typedef struct Offsets { int64_t at[LANES], low, high, step; bool measured; } Offsets;
#define UNEVEN INT64_MIN

/* Memory of a buffer. */
typedef struct Memory { char *data; int64_t count; const char *name; } Memory;

typedef struct Ins Ins;
typedef void (*Kernel)(const Ins *i, int32_t n);
struct Ins {
    Kernel run;
    void *dst;
    const void *a[3];        /* operands; of load: first the uniform offset, then the Offsets or NULL; of store: and the value */
    bool each[3];            /* operand k has a value per lane */
    bool lanes;              /* done for every lane, otherwise once */
    uint8_t op, dt, from;    /* of the generic kernel: operation, type of the result, type of the operands */
    const uint8_t *mask;     /* load, store, copy: lanes that take part; NULL: all */
    const Memory *mem;       /* load, store */
    uint32_t skip;           /* no kernel: instructions to pass over when no lane of a[0] is `sense` */
    bool sense;
};
typedef struct Code { VEC(Ins) ins; } Code;

Kernel kernel_op(ExprOp op, DType dt, DType from); /* from: type of the operands; of select, that of the choices */
Kernel kernel_load(DType dt);
Kernel kernel_store(DType dt);
Kernel kernel_copy(DType dt);    /* respects the mask */
void kernel_measure(const Ins *i, int32_t n);
void kernel_mask(const Ins *i, int32_t n); /* dst = (a[0] == sense) & a[1]; a[1] NULL: all */

typedef enum StepOp { SP_code, SP_loop, SP_band, SP_if, SP_call } StepOp;
typedef struct Step Step;
typedef struct Steps { VEC(Step *) v; } Steps;
struct Step {
    StepOp op;
    Code code;                /* code: what to do; loop, band: what each iteration (strip) begins with */
    uint8_t n;                /* band: loops */
    const int64_t *lo[MAX_RANK * 2], *extent[MAX_RANK * 2];
    int64_t *var[MAX_RANK * 2];
    const uint8_t *cond[2];   /* if: whether to run body, other; masks when `each` */
    bool each;
    const Nest *call;
    const int64_t **arg;
    Steps body, other;
};

/* What code is made from. memory[b]: of buffer b. sym: id of a symbol -> where its value is (int64_t *). */
typedef struct Machinery { const Unit *u; const Memory *memory; Map *sym; } Machinery;
Steps code_of(Arena *a, const Machinery *m, const Func *f, Code *head); /* head: to run before the steps */

#endif

/* SPDX-License-Identifier: Apache-2.0
 * What hardware is: rows of target.def. */
#ifndef MLCC_TARGET_H
#define MLCC_TARGET_H

#include "../ir/base.h"

/* Instruction sets, for what is an object and not C. */
typedef enum Isa { ISA_host, ISA_x86_64, ISA_aarch64 } Isa;

typedef struct Machine {
    const char *name;
    Isa isa; /* host: whatever the C compiler makes code for; objects are for the machine that mlcc runs on */
    int32_t lanes_f32; /* 1: scalar code */
    int32_t vregs;
    int32_t l1_bytes, l2_bytes, l3_bytes; /* the last: what a model may count on of a cache that others use too */
    /* Vector dot products for each FMA of floats that the core could do instead: bytes in quads (u8 x i8, i8 x i8), bf16 and
     * 16-bit integers in pairs. 1: one instruction, as fast as an FMA; less: more or slower instructions; 0: not worth a dot. */
    double dot_us8, dot_ss8, dot_bf16, dot_i16;
    double dot_clip8;  /* of u8 x i8 in quads, two by two, where the constant leaves 16 bits room for both (compiler/auto_clip.c) */
    bool amx;          /* tile registers, 16 rows of 64 bytes */
    double amx_gain;   /* dots on them for each of vectors in the same time */
    bool fma;          /* multiplies and adds with one rounding */
    double fma_rate;   /* multiply-adds of whole vectors in a cycle */
    double element_cost; /* half cycles of a load that spreads one element over a vector */
    bool adds_apart;   /* additions of floats run beside multiplications and dots */
    double l2_rate, l3_rate, ram_rate; /* bytes a cycle for one core, of what lies in the second level, the last, and neither */
    double pull_rate; /* bytes a cycle of what another core has written: over, and back when its place is written again */
    int32_t fetch_ahead; /* bytes from what is read of a stream to what is asked for */
    int32_t tail_steps; /* steps of a dot of bytes, the last, that are made beside what a tile stores; 0: this gains nothing */
    int32_t hint_cycles; /* of a line that a hint asks for, which other work beside it does not hide; 0: nothing of it shows */
    const char *cpu;   /* processor features, apart by spaces */
    const char *flags; /* options of a C compiler for such a processor, apart by spaces */
} Machine;

enum { MAX_LEVELS = 8 };

/* target: "host" or "scalar"; march: "native" or a row's name with - for _. False: diagnostic. */
bool machine_for(Diags *d, const char *target, const char *march, Machine *m);

/* The same for names apart by commas, the most capable first. *n: how many, at most MAX_LEVELS. */
bool machines_for(Diags *d, const char *target, const char *march, Machine *m, uint32_t *n);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * One compile from options to the files to write; opens only inputs. */
#ifndef MLCC_DRIVER_H
#define MLCC_DRIVER_H

#include "../codegen/emit.h"
#include "option.h"

typedef struct Maps Maps;
struct Program;

extern const char mlcc_version[];

typedef enum Outcome { OUT_ok, OUT_rejected, OUT_usage, OUT_io } Outcome;
typedef struct OutputFile { const char *path; EmitParts part; const char *temporary; } OutputFile; /* temporary: where main.c writes it first */
typedef struct Outputs {
    VEC(OutputFile) file; /* of weights only where they come from: they are computed while they are written */
    Maps *maps;           /* the files that they come from; NULL: none */
    const char *log;   /* for stderr: remarks, dumps, times */
    const char *text;  /* for stdout */
} Outputs;

/* Runs the verb of o. Diagnostics go to d; nothing is written to disk. drive_end follows when the outputs are written. */
Outcome drive(Arena *a, jmp_buf *oom, Diags *d, const Options *o, Outputs *out);
bool driver_threads(Arena *a, Diags *d, const Options *o, struct Program *p); /* counts that --threads= asks for, into p */
void drive_release(const Outputs *out); /* gives back pages of the mapped files that were read; they are read again if need be */
void drive_end(Outputs *out);

#endif

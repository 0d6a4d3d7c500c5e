/* SPDX-License-Identifier: Apache-2.0
 * One compile from options to the files to write; opens only inputs. */
#ifndef MLCC_DRIVER_H
#define MLCC_DRIVER_H

#include "option.h"

extern const char mlcc_version[];

typedef enum Outcome { OUT_ok, OUT_rejected, OUT_usage, OUT_io } Outcome;
typedef struct OutputFile { const char *path, *data; size_t n; } OutputFile;
typedef struct Outputs {
    VEC(OutputFile) file;
    const char *log;   /* for stderr: remarks, dumps, times */
    const char *text;  /* for stdout */
} Outputs;

/* Runs the verb of o. Diagnostics go to d; nothing is written to disk. */
Outcome drive(Arena *a, jmp_buf *oom, Diags *d, const Options *o, Outputs *out);

#endif

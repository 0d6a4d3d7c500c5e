/* SPDX-License-Identifier: Apache-2.0
 * The verbs besides compiling, and the reader of text graphs. */
#ifndef MLCC_VERB_H
#define MLCC_VERB_H

#include "driver.h"
#include "onnx.h"
#include "pass.h"

/* check.c: every problem of the model, and on success a table of operators, parameters, multiply-accumulates, memory. */
bool verb_check(Program *p, Outputs *out);
/* run.c: the model on the nest interpreter; inputs from files, outputs as files to write. */
bool verb_run(Program *p, Outputs *out);
/* load.c: a graph in text form (.nn); of opt the dimensions that -D and --max name, the rest is refused. */
Graph *load_text(Ctx *cx, const char *path, const OnnxOptions *opt, OnnxFile *info, bool *io_error);
/* budget.c: whether a planned and emitted unit stays within the --max options. */
bool within_budget(Diags *d, const Options *o, const Unit *u);

/* driver.c: a file beside the output, FILE.c -> FILE + suffix. */
const char *beside(Arena *a, const char *output, const char *suffix);
/* show.c: the text of -###, for n machines; and --save-temps: the program at each stage from `from` on, FILE + level + its name. */
const char *show_plan(Arena *a, const Program *p, const Machine *m, uint32_t n);
void save_temps(Program *p, const char *level, Rep from, Outputs *out);

#endif

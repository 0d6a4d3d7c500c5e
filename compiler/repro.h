/* SPDX-License-Identifier: Apache-2.0
 * What repeats a compile that ended with an internal error: the files that it read and an option file, in one folder. */
#ifndef MLCC_REPRO_H
#define MLCC_REPRO_H

#include "driver.h"

/* Files for `folder` such that `mlcc @options` in it does again what o asked for. reads: names of the files that the model
 * led to, the model first, as Options.reads was told them. What is too large to copy stays where it is and is named by its
 * whole path. False: a file could not be read. */
bool repro_make(Arena *a, const Options *o, const StrList *reads, const char *folder, Outputs *out);

#endif

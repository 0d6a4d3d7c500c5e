/* SPDX-License-Identifier: 0BSD
 * What one part of a model made for several threads computes: `of` units are dealt out in blocks, part by part. */
#ifndef MLCC_PART_H
#define MLCC_PART_H

#include <stdint.h>

/* First of n iterations, for units at .. at+n-1 of `of`, that `part` of `parts` runs; those of part + 1 follow. */
static inline int mlcc_own(int n, int at, int of, int part, int parts)
{
    const int64_t first = ((int64_t)of * part + parts - 1) / parts - at;
    return first < 0 ? 0 : first > n ? n : (int)first;
}

/* Whether the part owns unit `at`. */
static inline int mlcc_owns(int at, int of, int part, int parts)
{
    return mlcc_own(1, at, of, part, parts) < mlcc_own(1, at, of, part + 1, parts);
}

#endif

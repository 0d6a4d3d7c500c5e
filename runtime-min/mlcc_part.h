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

/* Whether one of these iterations is that of the first unit that the part owns. */
static inline int mlcc_leads(int n, int at, int of, int part, int parts)
{
    const int64_t first = ((int64_t)of * part + parts - 1) / parts - at, end = ((int64_t)of * (part + 1) + parts - 1) / parts - at;
    return first >= 0 && first < n && first < end;
}

/* Of n iterations that have `each` units apiece, unit `at` of `of` and what follows: the first that has a unit of the part, and
 * what follows the last. */
static inline int mlcc_own_outer(int n, int at, int each, int of, int part, int parts)
{
    const int64_t first = (((int64_t)of * part + parts - 1) / parts - at) / each;
    return first < 0 ? 0 : first > n ? n : (int)first;
}

static inline int mlcc_own_outer_end(int n, int at, int each, int of, int part, int parts)
{
    const int64_t first = ((int64_t)of * part + parts - 1) / parts, end = ((int64_t)of * (part + 1) + parts - 1) / parts;
    const int64_t last = first < end && end > at ? (end - at + each - 1) / each : 0;
    return last > n ? n : (int)last;
}

/* Of n iterations those from v*times - below to v*times + above for some v, where the part owns unit at + v of `of` and v is
 * below `each`. Parts may need the same. */
static inline int mlcc_need(int n, int times, int below, int at, int each, int of, int part, int parts)
{
    const int64_t first = (int64_t)mlcc_own(each, at, of, part, parts) * times - below;
    return first < 0 ? 0 : first > n ? n : (int)first;
}

static inline int mlcc_need_end(int n, int times, int above, int at, int each, int of, int part, int parts)
{
    const int first = mlcc_own(each, at, of, part, parts), last = mlcc_own(each, at, of, part + 1, parts) - 1;
    const int64_t end = first <= last ? (int64_t)last * times + above + 1 : 0;
    return end < 0 ? 0 : end > n ? n : (int)end;
}

/* Whether the part owns unit `at`. */
static inline int mlcc_owns(int at, int of, int part, int parts)
{
    return mlcc_own(1, at, of, part, parts) < mlcc_own(1, at, of, part + 1, parts);
}

#endif

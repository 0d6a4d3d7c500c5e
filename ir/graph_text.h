/* SPDX-License-Identifier: Apache-2.0
 *
 * The text form of graphs, for its printer and its parser.
 *
 *     graph NAME
 *     sym N 1..1024                                      dimension symbol and its bounds
 *     input %x f32[N,3,?]                                "?": not known; a type without [] has no known rank
 *     const %w f32[2,2] (1, 2, 3, 4)                     elements, or (fill 0)
 *     %y f32[N,3], _ = Split %x %w {axis=1} @name        outputs, operator, operands ("_": absent), attributes, name
 *     %s i64[2] <N,3> = Shape %y                         with the values that inference found
 *     output %y
 *
 * A line per entity, "#" starts a comment. Names of letters, digits and _ . / : - stand as they are, others in quotes
 * with \xHH. Operators of other domains are domain:Name. Attributes are 3, 1.5, "s", [1,2], [1.5], ["s"], a type with
 * elements, or graph NAME { lines }. A float always has a point, an exponent or a name.
 */
#ifndef MLCC_GRAPH_TEXT_H
#define MLCC_GRAPH_TEXT_H

#include "op.h"

static inline bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("_./:-", c));
}

#endif

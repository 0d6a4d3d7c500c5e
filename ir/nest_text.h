/* SPDX-License-Identifier: Apache-2.0
 *
 * The text form of units, for its printer (nest_text.c) and its parser (nest_parse.c).
 *
 *     unit NAME
 *     sym N 1..64 = input 0 1                           bounds; the input and dimension that its value comes from
 *     sym M 0..9 = call                                 or the call
 *     arena 4096 bound 4096 proven align 64             the plan's figures
 *     buf %1.x input 0 f32[1,N]                         number and hint of its name, class, type, extents
 *     buf %2.w const f32[2,3] order 1,0 (1.0, ..)       storage order when it is not 0,1,..; elements
 *     buf %3.t arena f32[8,8] halo 0+0,1+1 pad 0.0 at 64 pool 0 alias %1
 *     threads 2 awake 4 scratch 4096                    counts of parts, those before "awake" for threads that are; scratch of one part
 *     func n000_Conv macs 123 split meet 1 3            every part runs it; before it, by count, those so far apart meet
 *       note any text
 *       var i 0..7, k < N, acc f32                      index with its bounds, index below an extent, register
 *       buf %4.s scratch stack f32[16]                  scratch of this function
 *       for i = 0, 8 unroll {                           first value, number of values; "parallel 0 of 8": by units,
 *                                                       "each 4" of inner ones, "needed 2 below 1 above 1" (nest.h)
 *         let acc = 0f32
 *         acc = acc + %1.x[0,i]
 *         %3.t[0,i] = acc
 *         if i < 4 { .. } else { .. }
 *         tile fence {                                  "tail 16", "matrix", "matrix bypass" (nest.h)
 *           point p 6, q 2
 *           lane l 16                                   "across l 16": the lanes of reduction variable l
 *           sum r 3, s N                                reduction variables and their extents
 *           acc a = 0f32                                register, and what it starts with unless that is the identity
 *           body %1.x[r,l]
 *           %3.t[p,l] = a
 *         }
 *         call compress(%1.x, %5.y; 3; M; %6.s)         inputs and outputs ("_": none); arguments; extents; scratch
 *       }
 *
 * A line per statement, "#" starts a comment. Data of more than 64 elements that is no fill is left out; such text does
 * not parse.
 */
#ifndef MLCC_NEST_TEXT_H
#define MLCC_NEST_TEXT_H

#include "nest.h"

enum { NEST_INLINE_DATA = 64 };

static const char *const buf_class_name[] = {
    [BC_input] = "input", [BC_output] = "output", [BC_const] = "const", [BC_arena] = "arena", [BC_scratch] = "scratch"};
static const char *const red_op_name[] = {[RED_none] = "", [RED_sum] = "sum", [RED_prod] = "prod", [RED_min] = "min", [RED_max] = "max"};
static const char *const for_kind_name[] = {[FOR_serial] = "", [FOR_unroll] = "unroll", [FOR_parallel] = "parallel", [FOR_lead] = "lead"};

#endif

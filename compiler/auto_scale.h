/* SPDX-License-Identifier: Apache-2.0
 *
 * Scaled sums of integers in floats: what auto_scale.c reads and makes, and the numbers that auto_scale_proof.c finds for it.
 */
#ifndef MLCC_AUTO_SCALE_H
#define MLCC_AUTO_SCALE_H

#include "auto.h"

enum { STEPS = 255 }; /* of a byte */

/* What is scaled: the sum from another start; the sum; with itself at another exponent; times a whole number. In the order in which they are tried. */
typedef enum Form { FORM_moved, FORM_plain, FORM_power, FORM_gain, FORMS } Form;

/* The integer form; constants are loads of vectors over one index, or literals. */
typedef struct Scaled {
    const Expr *sum, *bias, *factor; /* i32, i32 or NULL, i64 */
    const Expr *at;                  /* index of the vectors; NULL: there are none */
    const Expr *dim;                 /* their extent */
    int64_t n, add, most;            /* channels, c, and the largest magnitude of sum */
    int shift;
    bool starts;                     /* it can start with 1.5*2^23 and its bias, */
    int64_t down, up;                /* and with so much less or more */
    bool even;                       /* half to even: bit `shift` of the product is added, too */
    DType dt;
} Scaled;

/* step[q]: the least sum, with its bias, above result q */
typedef struct Channel { int64_t factor, bias; int64_t step[STEPS]; } Channel;

/* offset: gain * apart, which the float that is multiplied has less than the sum, or what a moved sum needs */
typedef struct Floats { Form form; float gain, offset, scale; int64_t apart; int32_t power, moved; } Floats;

int64_t whole_part(const Scaled *s); /* what the floats add behind the rounding */

/* The numbers of a form by which channel c, of a positive factor and with a bias, has every result that the integers have; false: none were found. */
bool find_floats(const Scaled *s, Channel *c, Form form, Floats *f);

#endif

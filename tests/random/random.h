/* SPDX-License-Identifier: Apache-2.0
 *
 * Random graphs: what the generator (gen.c), the differentials (check.c) and the program (main.c) share.
 *
 * A case is a text graph and a seed. Everything that is drawn later (inputs, symbols, options) is a function of the seed
 * and of names, so a case that lost some of its nodes still runs on the same values.
 */
#ifndef RANDOM_H
#define RANDOM_H

#include "compiler/pass.h"

typedef struct Rng { uint64_t state; } Rng;
uint64_t rng_next(Rng *r);
int64_t rng_range(Rng *r, int64_t lo, int64_t hi); /* inclusive */
bool rng_chance(Rng *r, int percent);
Rng rng_of(uint64_t seed, const char *name);
int64_t rng_one_of(Rng *r, const int64_t *v, size_t n);
#define ONE_OF(r, ...) rng_one_of((r), (const int64_t[]){__VA_ARGS__}, COUNT(((const int64_t[]){__VA_ARGS__})))

/* gen.c. The text of a graph of 1 to 12 nodes, whose names start with a prefix made from the seed, so that several such
 * texts are one graph when they are joined. Its first node is of row `seed` of the operator table, where one can be
 * found. accepted (or NULL): by row of the table, set where a node was made. trace (or NULL): receives the graph before
 * each node is tried, for the case that inference crashes. */
typedef struct Trace { char *text; size_t room; } Trace;
const char *random_graph(Arena *a, uint64_t seed, bool *accepted, const Trace *trace);
/* network.c. The same of a network of bytes. */
const char *random_network(Arena *a, uint64_t seed);
/* Random elements of a type in memory form. */
void random_values(Rng *r, DType dt, int64_t count, void *data);
/* Text of g whose inferred types are left to inference again. */
const char *bare_text(Arena *a, Graph *g);

/* check.c. Whether -O0 and -O3 agree on the interpreter; with folder, whether emitted C (compiled by cc there) agrees with
 * the interpreter. */
typedef enum Verdict { V_agree, V_rejected, V_differ } Verdict;
Verdict check_levels(Arena *a, const char *text, uint64_t seed, const char **why);
Verdict check_emitted(Arena *a, const char *text, uint64_t seed, const char *cc, const char *folder, const char **why);

/* The graph of a text, with types and shapes when `infer` is set; NULL: *why says why not. */
Graph *read_graph(Arena *a, const char *text, bool infer, const char **why);

#endif

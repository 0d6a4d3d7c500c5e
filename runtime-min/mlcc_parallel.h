/* SPDX-License-Identifier: 0BSD
 *
 * How a model that was made with --threads= gets its threads. The caller passes an mlcc_parallel to NAME_run_threads: its
 * own parallel-for, or the pool of mlcc_threads.h.
 */
#ifndef MLCC_PARALLEL_H
#define MLCC_PARALLEL_H

enum { MLCC_BAD_PARALLEL = 5 }; /* a further mlcc_status: run of mlcc_parallel said that it failed */

/* run calls fn(arg, part, parts) once for every part of 0 .. parts-1, in any order, on any thread, and returns when all
 * have returned: 0, or not 0 when some part was not run.
 *
 * meet may be NULL; the model then calls run for each of its steps. Long ones are cut into more parts than the field `parts`
 * says, so that threads which are slower than others may do fewer of them.
 *
 * Where meet is not NULL, there is one call of run, with at most `parts` parts. It must give every part a thread of its own
 * for as long as the call takes, and parts wait for each other inside: meet says that `part` has finished all before `step`
 * and returns when those at most `reach` away, part-reach .. part+reach, have too.
 *
 * take is for runs with meet and may be NULL. It says which share of a long step `part` does next, one of 0 .. shares-1 that
 * it has given to nobody in this step of this run, as an atomic fetch-and-add on a counter of the step would; `shares` or
 * more: none is left. All parts meet before such a step and behind it. Where take is NULL, each part does as many.
 *
 * awake may be NULL. It says how many of `parts` parts, the caller's own among them, could begin at once. A model that gains less
 * than it costs to wake a thread asks it before a run, and takes no more parts than it says; where it is NULL, one. What it says
 * need not hold: results are the same on any number of parts. */
typedef struct mlcc_parallel {
    void *user;
    int parts; /* at most */
    int (*run)(void *user, void (*fn)(void *arg, int part, int parts), void *arg, int parts);
    void (*meet)(void *user, int part, int parts, int step, int reach);
    int (*take)(void *user, int part, int parts, int step, int shares);
    int (*awake)(void *user, int parts);
} mlcc_parallel;

/* MLCC_NODE in a run of several parts: called where the first share is done, by one thread at a time, so the time to the next
 * call is the function's, with the wait for parts that have more to do. */
#if defined(MLCC_PROFILE)
#define MLCC_PART_NODE(share, name) \
    if ((share) == 0)               \
        mlcc_profile_node(name);
#else
#define MLCC_PART_NODE(share, name)
#endif

#endif

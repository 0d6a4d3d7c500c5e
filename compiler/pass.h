/* SPDX-License-Identifier: Apache-2.0
 *
 * The pipeline as a table (pass.def) and its runner: which passes run, what they need, dumps, and a verifier after each.
 */
#ifndef MLCC_PASS_H
#define MLCC_PASS_H

#include "memory.h"
#include "order.h"
#include "option.h"
#include "schedule.h"

enum PassFact { F_NONE = 0, F_SHAPES = 1 };
typedef enum Rep { REP_graph, REP_te, REP_schedule, REP_nest } Rep;

/* One program on its way. Each representation stays available after the next is made. */
typedef struct Program {
    Ctx *cx;
    const Options *opt;
    const char *name;
    const char *prefix; /* of public symbols */
    Machine machine;
    Tuning *tuning;     /* choices of tiles that were measured or are being tried; NULL: none */
    PlanPool *pool;
    uint32_t npool;
    VEC(int32_t) threads; /* counts above 1 asked for, ascending */
    struct Maps *maps;  /* of the model's files: what a pass has read of them need not stay in memory; NULL: none */
    Graph *graph;
    Te *te;
    Schedule *schedule;
    Unit *unit;
    uint32_t facts;   /* PassFact that hold */
    Text *log;        /* dumps and remarks, for stderr */
    bool io_error;    /* a file that the user named could not be read */
} Program;

typedef struct PassInfo {
    const char *name;
    Rep rep;
    int level;
    uint32_t needs, breaks;
    const char *what;
    bool (*run)(Program *p);
} PassInfo;

const PassInfo *pass_at(uint32_t k); /* NULL at the end */
bool pass_wanted(const Program *p, const PassInfo *i); /* by level and --disable */
extern const char *const rep_name[]; /* by Rep, as --emit= calls it */
bool passes_run(Program *p, const char *until); /* until: stop behind this pass, NULL: all. False: diagnostics */
bool passes_resume(Program *p, Rep from);       /* the passes that make `from` and what comes after it */
void program_print(Text *out, const Program *p, Rep rep);

/* The passes, one function each, named by the table. */
#define PASS(name, rep, level, needs, breaks, what) bool pass_##name(Program *p);
#include "pass.def"
#undef PASS

/* Remark of a pass for -Rpass (done) or -Rpass-missed: printed when its name matches the option's expression. */
void remark(Program *p, const char *pass, bool done, const char *fmt, ...) PRINTF(4, 5);

#endif

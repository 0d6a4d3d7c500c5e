/* SPDX-License-Identifier: Apache-2.0
 * The command line as data: option.def makes the parser, --help, the man page and the completions. */
#ifndef MLCC_OPTION_H
#define MLCC_OPTION_H

#include "../ir/graph.h"

typedef struct StrList { VEC(const char *) v; } StrList;
typedef enum Verb { VERB_compile, VERB_check, VERB_run } Verb;

/* --limits: -1 where the option does not say. */
typedef struct Limits { int64_t mem, nodes, elements, time; } Limits;

/* What the argument of an option is. */
typedef enum OptValue {
    OV_none,       /* there is no argument */
    OV_text,       /* says nothing about files */
    OV_in_file,    /* a file that is read */
    OV_in_named,   /* NAME=FILE, a file that is read */
    OV_out_file,   /* a file that is written */
    OV_out_folder, /* a folder that files are written to */
    OV_out_name    /* what another file calls the output */
} OptValue;

/* One option as it was given; value: NULL for a flag. */
typedef struct OptionWord { const char *spelling, *value; OptValue is; } OptionWord;

typedef struct Options {
    Verb verb;
    const char *model;
    const char *output, *march, *target, *prefix, *emit, *weights, *rounding, *fp, *threads, *schedule, *tune, *tuning, *limits, *stop_after, *crash_after, *rpass, *rmissed, *depname,
        *deptarget, *report, *output_dir, *diag_format;
    StrList define, max, multiple, shape, bind, pool, dump_after, disable, input, warn, werror_slug;
    int64_t level, max_ram, max_flash, max_stack; /* sizes: -1 when not given */
    bool small, always, depfile, depphony, save_temps, werror, dry, verbose, version, help;
    Limits limit;            /* what limits says */
    VEC(OptionWord) given;   /* all, in order */
    StrList file;            /* files of options that were read, @FILE */
    bool unread;             /* one of them could not be */
    int reads;               /* file descriptor that is told the name of each file as it is opened; 0: none */
} Options;

/* Reads argv (with @file); false after diagnostics. Strings live in the arena. */
bool options_parse(Arena *a, Diags *d, int argc, char **argv, Options *o);
FpMode options_fp(const Options *o);
bool options_write_files(const Options *o); /* C and what belongs to it; otherwise text on the standard output, or values */
void options_help(Text *out);
void options_man(Text *out);                           /* troff, section 1 */
void options_completion(Text *out, const char *shell); /* bash, zsh or fish */
bool parse_size(const char *s, int64_t *v);            /* "128K" */

#endif

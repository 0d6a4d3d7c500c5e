/* SPDX-License-Identifier: Apache-2.0
 *
 * A planned unit to files: model.c, model.h, weights apart from code when they are large, model.json.
 */
#ifndef MLCC_EMIT_H
#define MLCC_EMIT_H

#include "../ir/nest.h"
#include "../targets/target.h"

typedef enum WeightsMode { WM_auto, WM_array, WM_string, WM_incbin, WM_object, WM_file } WeightsMode;

typedef struct EmitOptions {
    const char *prefix;   /* C identifier: of every public symbol */
    const char *file;     /* base name of the emitted files without suffix */
    const char *source;   /* base name of the model file, for banners */
    const char *sha256;   /* of the model file */
    const char *version;  /* of mlcc */
    WeightsMode weights;  /* never WM_auto: see weights_mode */
    bool threads;         /* the caller may bring threads, whether or not the unit can use them */
    Isa isa;              /* of the target */
    int32_t lanes;        /* float lanes of the target's vectors, 1: scalar code */
    /* of a level among several: processor features it needs, "avx2 fma"; NULL: none to be named */
    const char *cpu;
} EmitOptions;

/* Contents of a file: of each part n bytes at `data`, then what `make` writes, where there is such. */
typedef struct EmitPart {
    const char *data;
    size_t n;
    void (*make)(const void *ctx, Arena *a, const Sink *to); /* a: for scratch memory */
    const void *ctx;
} EmitPart;
typedef struct EmitParts { EmitPart *at; uint32_t n, cap; } EmitParts;
/* suffix behind the prefix: ".c", "_weights.bin" */
typedef struct EmitFile { const char *suffix; EmitParts part; } EmitFile;
typedef struct EmitFiles { Arena *arena; VEC(EmitFile) file; } EmitFiles;

/* One instruction-set level of an artefact that has several, emitted under a prefix and a file name of its own. */
typedef struct Level { const char *name; Unit *unit; EmitOptions opt; EmitFiles files; } Level;

void emit_c(Unit *u, const EmitOptions *opt, EmitFiles *files);            /* unit.c */
/* levels.c: best first. Returns a unit whose sizes are what the caller of any of them must provide. */
const Unit *emit_levels(const Level *at, uint32_t n, const EmitOptions *opt, EmitFiles *files);
void emit_header(Unit *u, const EmitOptions *opt, EmitFiles *files);       /* api.c */
/* api.c: the pool of threads, to include beside the model */
void emit_threads(const EmitOptions *opt, EmitFiles *files);
/* api.c: memory in huge pages for a model that has use for it, to include beside it */
void emit_pages(const Unit *u, EmitFiles *files);
/* api.c: what times the functions of a model, to include behind it */
void emit_profile(EmitFiles *files);
void emit_report(const Unit *u, const EmitOptions *opt, EmitFiles *files); /* report.c: model.json */
void emit_weights(const Unit *u, const EmitOptions *opt, EmitFiles *files); /* weights.c: what is not in model.c */

/* files.c */
EmitParts emit_part(Arena *a, Text *t);                             /* contents that are one text */
void emit_text(EmitFiles *files, const char *suffix, Text *t);       /* adds a file of such */
void emit_put(const EmitParts *p, Arena *a, const Sink *to);         /* in order; weights are computed meanwhile */

/* Whether it lies in the arena or in a pool. */
static inline bool buf_planned(const Buf *b)
{
    return b->offset >= 0 && (b->cls == BC_arena || (b->cls == BC_scratch && !b->on_stack));
}

/* weights.c */
WeightsMode weights_mode(const Unit *u, WeightsMode asked); /* resolves WM_auto by size */
/* a constant that takes room: not a fill that became a literal */
bool weights_stored(const Buf *b);
/* offsets in execution order, 64-byte aligned; sets weight_bytes */
void weights_layout(Unit *u);
/* A page that the system can map in one piece, where it has such. */
enum { HUGE_PAGE = 2 << 20 };

/* Of their first byte in an executable, after weights_layout: a page of 2 MB where there are many, which the system can then map
 * as such (Linux: files whose folios are that large). */
int32_t weights_align(const Unit *u);

void weights_put(const void *unit, Arena *a, const Sink *to); /* the image, piece by piece */

/* elf.c */
void weights_object(const Unit *u, const EmitOptions *opt, EmitFiles *files);

/* paste.c: the functions of runtime-min that `text` uses, with what they use, and the standard headers they need. */
const char *paste_runtime(Arena *a, const char *text);

/* stack.c: proven upper bound in bytes of the emitted code's stack, called from the run function. */
int64_t stack_bound(const Unit *u);
int64_t frame_bound(int64_t names, int64_t vector_bytes, int64_t array_bytes);

#endif

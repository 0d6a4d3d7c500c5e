/* SPDX-License-Identifier: Apache-2.0
 *
 * What every file of mlcc leans on: regions of memory, growable arrays, checked sizes.
 *
 * A compiler never frees single objects, it drops regions. Every allocation comes from an Arena, is zeroed, and lives
 * until the arena is freed. An arena has a byte budget: when it is exceeded (or malloc fails) the arena jumps to its
 * `oom` point, set once by whoever owns the compile, so no allocation needs a check at the call site.
 */
#ifndef MLCC_BASE_H
#define MLCC_BASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define NORETURN __attribute__((noreturn))
#define MUST_USE __attribute__((warn_unused_result))
#else
#define PRINTF(f, a)
#define NORETURN
#define MUST_USE
#endif

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* arena.c */
typedef struct Arena Arena;

Arena *arena_new(size_t budget, jmp_buf *oom); /* budget 0: no limit; NULL when malloc fails */
Arena *arena_child(Arena *parent);             /* shares budget and oom point; freed with the parent or before it */
void arena_free(Arena *a);                     /* NULL is fine */
void *arena_alloc(Arena *a, size_t n, size_t align) MUST_USE;
void *arena_copy(Arena *a, const void *p, size_t n) MUST_USE; /* 16-byte aligned */
size_t arena_used(const Arena *a);             /* bytes handed out, children included */

#define NEW(a, T) ((T *)arena_alloc((a), sizeof(T), _Alignof(T)))
#define NEWN(a, T, n) ((T *)arena_alloc((a), mul_size_or_oom((a), (size_t)(n), sizeof(T)), _Alignof(T)))
size_t mul_size_or_oom(Arena *a, size_t x, size_t y); /* jumps to the oom point on overflow */

/* Growable array: declare as struct { T *at; uint32_t n, cap; }, add with PUSH. Old storage stays in the arena. */
#define VEC(T) struct { T *at; uint32_t n, cap; }
#define PUSH(a, v, x) (vec_reserve((a), (void **)(void *)&(v)->at, &(v)->cap, (v)->n, sizeof *(v)->at), (v)->at[(v)->n++] = (x))
void vec_reserve(Arena *a, void **at, uint32_t *cap, uint32_t n, size_t size); /* room for one more than n */

/* str.c: strings are NUL-terminated, in arenas, never changed after they are made */
const char *str_dup(Arena *a, const char *s);
const char *str_ndup(Arena *a, const char *s, size_t n); /* stops at an embedded NUL */
const char *str_fmt(Arena *a, const char *fmt, ...) PRINTF(2, 3);
const char *str_vfmt(Arena *a, const char *fmt, va_list ap);
uint64_t hash_bytes(uint64_t seed, const void *p, size_t n);

/* Text builder. */
typedef struct Text { Arena *arena; char *at; size_t n, cap; } Text;
void text_add(Text *t, const char *fmt, ...) PRINTF(2, 3);
enum { REAL_DIGITS = 32 };
/* The fewest digits of a finite v that read back as v, or as its float where that is enough; the same with a point or an exponent,
 * or as nan, inf, -inf. */
void real_digits(char s[REAL_DIGITS], double v, bool as_float);
void text_add_real(Text *t, double v, bool as_float);
void text_vadd(Text *t, const char *fmt, va_list ap);
void text_put(Text *t, const char *s, size_t n);
const char *text_str(Text *t); /* NUL-terminated contents; valid until the next addition */

/* Where bytes go that are made piece by piece. */
typedef struct Sink { void (*put)(void *ctx, const void *p, size_t n); void *ctx; } Sink;
static inline void sink_put(const Sink *s, const void *p, size_t n) { s->put(s->ctx, p, n); }
Sink text_sink(Text *t);

/* Map from string or 64-bit key to a 64-bit value; iteration is by insertion order. Zeroed is empty. */
typedef struct MapSlot { const char *str; uint64_t key; uint64_t val; } MapSlot;
typedef struct Map { Arena *arena; uint32_t *index; uint32_t mask; VEC(MapSlot) slot; } Map;
uint64_t *map_str(Map *m, const char *key, bool add); /* value place, NULL when absent and !add; key is not copied */
uint64_t *map_u64(Map *m, uint64_t key, bool add);

/* Checked arithmetic for sizes that come from a file: false on overflow, *r unspecified then. */
static inline bool mul_i64(int64_t a, int64_t b, int64_t *r) { return !__builtin_mul_overflow(a, b, r); }
static inline bool add_i64(int64_t a, int64_t b, int64_t *r) { return !__builtin_add_overflow(a, b, r); }
static inline bool mul_size(size_t a, size_t b, size_t *r) { return !__builtin_mul_overflow(a, b, r); }

static inline int64_t align_up(int64_t n, int64_t a) { return (n + a - 1) / a * a; }
static inline int32_t min_i32(int32_t a, int32_t b) { return a < b ? a : b; }
static inline int32_t max_i32(int32_t a, int32_t b) { return a > b ? a : b; }
static inline int64_t min_i64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t max_i64(int64_t a, int64_t b) { return a > b ? a : b; }
int64_t gcd_i64(int64_t a, int64_t b); /* of magnitudes: at least 0; 1 where it is 2^63 */
/* Division that rounds to minus infinity, and its remainder (sign of the divisor); b != 0. */
static inline int64_t floor_div(int64_t a, int64_t b) { return a / b - ((a % b != 0) & ((a ^ b) < 0)); }
static inline int64_t floor_mod(int64_t a, int64_t b) { return a % b + (a % b != 0 && (a ^ b) < 0 ? b : 0); }

/* diag.c: problems found, as values. See Diag below for what one holds. */
typedef enum Severity { SEV_NOTE, SEV_WARNING, SEV_ERROR } Severity;

typedef struct Diag {
    Severity sev;
    const char *slug;    /* stable id, e.g. "conv-channels" */
    const char *subject; /* "Conv 'backbone/conv1'"; NULL for the whole file */
    const char *text;    /* lower case, no full stop; names the value found and the value expected */
    const char *line;    /* the node's text form, or a line of a text file; NULL when there is none */
    int32_t mark, width; /* columns of `line` to underline; mark < 0: none */
    const char *label;   /* printed after the underline */
    const char *help;    /* the one thing to try, or NULL */
    VEC(const char *) note;
} Diag;

typedef struct Diags {
    Arena *arena;
    const char *file;    /* prefix of every line */
    VEC(Diag) list;
    uint32_t errors, warnings;
    uint32_t max_errors; /* further ones are counted, not kept; 0: 20 */
} Diags;

/* Adds one; returns it for notes and help (never NULL). Error texts of one compile are kept up to max_errors. */
Diag *diag_add(Diags *d, Severity sev, const char *slug, const char *subject, const char *fmt, ...) PRINTF(5, 6);
bool diag_error(Diags *d, const char *slug, const char *fmt, ...) PRINTF(3, 4); /* always false */
void diag_note(Diags *d, Diag *g, const char *fmt, ...) PRINTF(3, 4);
void diag_help(Diags *d, Diag *g, const char *fmt, ...) PRINTF(3, 4);
void diag_print(const Diags *d, Text *out, const char *format); /* "text", "json" or "sarif" */
/* Model text made safe for a terminal, a comment and a log: printable ASCII, others as \xHH. */
const char *printable(Arena *a, const char *s);
/* A broken invariant of mlcc itself: prints where and aborts. Never reachable from any input. */
NORETURN void ice(const char *file, int line, const char *fmt, ...) PRINTF(3, 4);
#define ICE(...) ice(__FILE__, __LINE__, __VA_ARGS__)

#endif

/* SPDX-License-Identifier: Apache-2.0
 * Runs a model made with --threads= in every way it can be: on one thread, on pools of several, where parts take what is
 * dealt out, one is late, or each keeps its own, and by a parallel-for that runs one part after the other, the last first. All must give the same bytes.
 * With -DAWAKE=2,3, its counts, it is one for threads that are awake alone, and runs must be on as many as are. Prints what differs. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"
#include "net_threads.h"

enum { MAX_IO = 32, POISON = 0xA5, GUARD = 256 };

typedef struct Io { mlcc_tensor t[MAX_IO]; size_t bytes[MAX_IO]; unsigned n; } Io;

/* Bytes of one element by ONNX type number; types below a byte take one. */
static size_t element(int dtype)
{
    static const unsigned char bytes[] = {0, 4, 1, 1, 2, 2, 4, 8, 8, 1, 2, 8, 4, 8, 8, 16, 2};
    return dtype < (int)sizeof bytes ? bytes[dtype] : 1;
}

/* Floats of -1 to 1, integers 0 or 1. */
static void fill(void *data, int dtype, size_t count)
{
    unsigned seed = 12345;
    for (size_t k = 0; k < count; k++) {
        seed = seed * 1664525u + 1013904223u;
        const float f = (float)(seed >> 8) / 8388608.0f - 1.0f;
        unsigned char *at = (unsigned char *)data + k * element(dtype);
        if (dtype == 1)
            memcpy(at, &f, sizeof f);
        else
            at[0] = (unsigned char)(seed >> 31);
    }
}

static void make(Io *io, const mlcc_tensor_info *info, unsigned n, int with_data)
{
    io->n = n;
    for (unsigned k = 0; k < n; k++) {
        mlcc_tensor t = {NULL, info[k].dtype, info[k].rank, {0}};
        size_t count = 1;
        for (int d = 0; d < t.rank; d++)
            count *= (size_t)(t.dim[d] = info[k].dim[d]);
        io->bytes[k] = count * element(t.dtype);
        t.data = aligned_alloc(64, (io->bytes[k] + 127) / 64 * 64);
        if (with_data)
            fill(t.data, t.dtype, count);
        io->t[k] = t;
    }
}

/* Made with -DMLCC_PROFILE, the model calls it before each of its functions, on one part alone. */
static unsigned nodes, nodes_of_one;

#if defined(MLCC_PROFILE)
void mlcc_profile_node(const char *name) { nodes += name != NULL; }
#endif

static int last_first(void *user, void (*fn)(void *arg, int part, int parts), void *arg, int parts)
{
    (void)user;
    for (int part = parts; part-- > 0;)
        fn(arg, part, parts);
    return 0;
}

static int refuses(void *user, void (*fn)(void *arg, int part, int parts), void *arg, int parts)
{
    (void)user, (void)fn, (void)arg, (void)parts;
    return 1;
}

static int all_awake(void *user, int parts)
{
    (void)user;
    return parts;
}

/* A run over memory that holds a pattern; 0 when all went well, nothing behind the arena was written, and the hook was called
 * as often as on one thread. */
static int run(const Io *in, Io *out, const mlcc_parallel *p)
{
    const size_t bytes = NET_THREADS_ARENA_BYTES;
    unsigned char *arena = aligned_alloc(64, (bytes + GUARD + 63) / 64 * 64);
    memset(arena, POISON, bytes + GUARD);
    for (unsigned k = 0; k < out->n; k++)
        memset(out->t[k].data, POISON, out->bytes[k]);
    nodes = 0;
    int bad = net_call_threads(in->t, out->t, arena, p);
    nodes_of_one = p ? nodes_of_one : nodes;
    bad |= !bad && nodes != nodes_of_one;
    for (size_t k = bytes; k < bytes + GUARD; k++)
        bad |= arena[k] != POISON;
    free(arena);
    return bad;
}

static int differs(const Io *a, const Io *b)
{
    for (unsigned k = 0; k < a->n; k++)
        if (memcmp(a->t[k].data, b->t[k].data, a->bytes[k]) != 0 || memcmp(a->t[k].dim, b->t[k].dim, sizeof a->t[k].dim) != 0)
            return 1;
    return 0;
}

/* Part 0 is so slow that the others do all that is dealt out. */
static int late_take(void *user, int part, int parts, int step, int shares)
{
    while (part == 0 && parts > 1 && mlcc_fullest(user, parts, step, shares) >= 0)
        (void)sched_yield();
    return mlcc_pool_take(user, part, parts, step, shares);
}

static int with_pool(const Io *in, const Io *want, Io *out, int threads, int runs)
{
    static mlcc_pool pool;
    int bad = mlcc_pool_start(&pool, threads);
    const mlcc_parallel as_it_is = mlcc_pool_parallel(&pool);
    mlcc_parallel late = as_it_is, fixed = as_it_is;
    late.take = late_take;
    fixed.take = NULL;
    const mlcc_parallel *way[] = {&as_it_is, &late, &fixed};
    for (int k = 0; k < 3 * runs && !bad; k++)
        bad = run(in, out, way[k % 3]) || differs(want, out);
    mlcc_pool_stop(&pool);
    if (bad)
        printf("a pool of %d gives other results\n", threads);
    return bad;
}

#if defined(AWAKE)
/* A pool that says how many of its threads are awake, and notes on how many a run was. */
typedef struct Some { mlcc_parallel pool; int awake, had; } Some;

static int some_run(void *user, void (*fn)(void *arg, int part, int parts), void *arg, int parts)
{
    Some *s = user;
    s->had = parts;
    return s->pool.run(s->pool.user, fn, arg, parts);
}

static void some_meet(void *user, int part, int parts, int step, int reach)
{
    const Some *s = user;
    s->pool.meet(s->pool.user, part, parts, step, reach);
}

static int some_awake(void *user, int parts)
{
    const Some *s = user;
    return parts > 0 ? s->awake : 0;
}

static int had_other(const Some *s, int most)
{
    static const int count[] = {AWAKE};
    int want = 1;
    for (size_t k = 0; k < sizeof count / sizeof *count; k++)
        want = count[k] <= most ? count[k] : want;
    if (s->had != want)
        printf("%d of %d threads awake: a run is on %d\n", s->awake, s->pool.parts, s->had);
    return s->had != want;
}

/* As many threads as say that they are awake, where nothing is known one, and as it is: whatever the pool says, back to back. */
static int with_some(const Io *in, const Io *want, Io *out, int threads)
{
    static mlcc_pool pool;
    int bad = mlcc_pool_start(&pool, threads);
    Some some = {mlcc_pool_parallel(&pool), 0, 1};
    mlcc_parallel p = {&some, threads, some_run, some_meet, NULL, some_awake};
    for (; some.awake <= NET_THREADS + 1 && !bad; some.awake++) {
        some.had = 1;
        bad = run(in, out, &p) || differs(want, out) || had_other(&some, some.awake < threads ? some.awake : threads);
    }
    p.awake = NULL;
    some.had = 1;
    bad = bad || run(in, out, &p) || differs(want, out) || had_other(&some, 1);
    for (int k = 0; k < 3 * MLCC_REFUSALS && !bad; k++)
        bad = run(in, out, &some.pool) || differs(want, out);
    mlcc_pool_stop(&pool);
    if (bad)
        printf("a pool of %d of whose threads some are awake gives other results\n", threads);
    return bad;
}
#else
static int with_some(const Io *in, const Io *want, Io *out, int threads)
{
    (void)in, (void)want, (void)out, (void)threads;
    return 0;
}
#endif

int main(int argc, char **argv)
{
    static Io in, want, out;
    const int runs = argc > 1 ? atoi(argv[1]) : 1;
    int bad = 0;
    make(&in, net_info.in, net_info.nin, 1);
    make(&want, net_info.out, net_info.nout, 0);
    make(&out, net_info.out, net_info.nout, 0);
    if (run(&in, &want, NULL) != 0) {
        printf("the run on one thread fails\n");
        return 1;
    }
    for (int parts = 1; parts <= NET_THREADS + 1; parts++) {
        const mlcc_parallel p = {NULL, parts, last_first, NULL, NULL, all_awake}, no = {NULL, parts, refuses, NULL, NULL, all_awake};
        if (run(&in, &out, &p) != 0 || differs(&want, &out)) {
            printf("%d parts, the last first, give other results\n", parts);
            bad = 1;
        }
        if (NET_THREADS > 1 && parts > 2 && run(&in, &out, &no) == 0) {
            printf("a parallel-for that fails is not noticed\n");
            bad = 1;
        }
        bad |= with_pool(&in, &want, &out, parts, runs) || with_some(&in, &want, &out, parts);
    }
    return bad;
}

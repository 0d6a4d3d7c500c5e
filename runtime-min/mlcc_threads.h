/* SPDX-License-Identifier: 0BSD
 *
 * A pool of threads for models made with --threads=, for C11 with POSIX threads. The caller owns the pool:
 *
 *   static mlcc_pool pool;
 *   if (mlcc_pool_start(&pool, 4) != 0) ...
 *   const mlcc_parallel par = mlcc_pool_parallel(&pool);
 *   NAME_run_threads(&io, arena, &par);                       as often as wanted
 *   mlcc_pool_stop(&pool);
 *
 * The thread that calls run is part 0; the others wait for work, for up to a hundred microseconds by looking, then asleep, so
 * between runs they cost nothing. Parts wait for each other in the same way: when there are more threads than processors,
 * who waits soon gives way. One run at a time on one pool; several pools may run at once.
 */
#ifndef MLCC_THREADS_H
#define MLCC_THREADS_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "mlcc_parallel.h"

enum {
    MLCC_THREADS_MAX = 64,
    MLCC_COUNTERS = 2 * MLCC_THREADS_MAX + 1,
    MLCC_FEW = 4,               /* parts that had better look at each other than at one that all look at */
    MLCC_SPINS = 2000,          /* looks before sleep: a pause of the processor between two takes 10 to 50 ns, to be woken 50 us */
    MLCC_REFUSALS = 500,        /* runs without threads that sleep, before they are woken: it takes a caller 2 to 20 us */
    MLCC_DONE = 1 << 30         /* step of a part whose function has returned */
};

/* A number that one thread writes and who sleeps until it grows, on cache lines of its own (two of 64 bytes are fetched together). */
typedef struct mlcc_counter {
    atomic_uint n, sleepers;
    pthread_cond_t changed;
    char apart[128 - 2 * sizeof(atomic_uint) - sizeof(pthread_cond_t)];
} mlcc_counter;

/* Shares that a part has left of those that it begins a step with, in one word: step + 1, the first, what follows the last.
 * A word of another step means: all of them. So nobody has to reset it; all meet between two steps that are dealt out. */
typedef struct mlcc_hand {
    atomic_ullong left;
    char apart[128 - sizeof(atomic_ullong)];
} mlcc_hand;

typedef struct mlcc_worker {
    struct mlcc_pool *pool;
    int part;
    pthread_t thread;
} mlcc_worker;

typedef struct mlcc_pool {
    int threads; /* the caller's included */
    int parts;   /* of the run at hand */
    void (*fn)(void *arg, int part, int parts); /* NULL: the workers end */
    void *arg;
    unsigned refusals; /* by awake; the caller's alone */
    pthread_mutex_t mutex;
    mlcc_counter go[MLCC_THREADS_MAX]; /* by part: runs begun */
    mlcc_counter at[MLCC_THREADS_MAX]; /* by part: steps of this run that it has finished */
    mlcc_counter all;                  /* steps of this run that part 0 knows all others to have finished */
    mlcc_hand hand[MLCC_THREADS_MAX];  /* by part */
    mlcc_worker worker[MLCC_THREADS_MAX];
} mlcc_pool;

static inline void mlcc_pause(void)
{
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
    __builtin_ia32_pause();
#elif defined(__GNUC__) && defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

/* Whether a counter, which may have wrapped around, is at least n. */
static inline int mlcc_has(mlcc_counter *c, unsigned n)
{
    return (int)(atomic_load(&c->n) - n) >= 0;
}

/* Who sleeps has announced it before the last look at the counter, and who counts looks for sleepers afterwards: in the
 * one order of all these operations one of the two sees the other. Workers that a run has no part for sleep at counters that
 * nobody touches meanwhile. */
static inline void mlcc_sleep(mlcc_pool *p, mlcc_counter *c, unsigned n)
{
    (void)pthread_mutex_lock(&p->mutex);
    (void)atomic_fetch_add(&c->sleepers, 1);
    if (!mlcc_has(c, n))
        (void)pthread_cond_wait(&c->changed, &p->mutex);
    (void)atomic_fetch_sub(&c->sleepers, 1);
    (void)pthread_mutex_unlock(&p->mutex);
}

static inline int mlcc_look(mlcc_counter *c, unsigned n)
{
    for (int k = 0; k < MLCC_SPINS; k++) {
        if (mlcc_has(c, n))
            return 1;
        mlcc_pause();
    }
    return 0;
}

/* Who was woken looks again for as long as at first: there may be more to come soon. */
static inline void mlcc_await(mlcc_pool *p, mlcc_counter *c, unsigned n)
{
    while (!mlcc_look(c, n))
        mlcc_sleep(p, c, n);
}

static inline void mlcc_wake(mlcc_pool *p, mlcc_counter *c)
{
    if (atomic_load(&c->sleepers) == 0)
        return;
    (void)pthread_mutex_lock(&p->mutex);
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&p->mutex);
}

static inline void mlcc_count(mlcc_pool *p, mlcc_counter *c, unsigned n)
{
    atomic_store(&c->n, n);
    mlcc_wake(p, c);
}

static inline void *mlcc_worker_main(void *arg)
{
    const mlcc_worker *w = arg;
    mlcc_pool *p = w->pool;
    for (unsigned run = 1;; run++) {
        mlcc_await(p, &p->go[w->part], run);
        if (!p->fn)
            return NULL;
        p->fn(p->arg, w->part, p->parts);
        mlcc_count(p, &p->at[w->part], MLCC_DONE);
    }
}

/* Starts fn on the workers of parts 1 .. parts-1. */
static inline void mlcc_pool_begin(mlcc_pool *p, void (*fn)(void *arg, int part, int parts), void *arg, int parts)
{
    p->fn = fn;
    p->arg = arg;
    p->parts = parts;
    atomic_store(&p->all.n, 0);
    for (int k = 0; k < parts; k++) {
        atomic_store(&p->at[k].n, 0);
        atomic_store(&p->hand[k].left, 0);
    }
    for (int k = 1; k < parts; k++)
        mlcc_count(p, &p->go[k], atomic_load(&p->go[k].n) + 1);
}

/* run of mlcc_parallel; EINVAL: more parts than threads. */
static inline int mlcc_pool_run(void *user, void (*fn)(void *arg, int part, int parts), void *arg, int parts)
{
    mlcc_pool *p = user;
    if (parts < 1 || parts > p->threads)
        return EINVAL;
    mlcc_pool_begin(p, fn, arg, parts);
    fn(arg, 0, parts);
    for (int k = 1; k < parts; k++)
        mlcc_await(p, &p->at[k], MLCC_DONE);
    return 0;
}

static inline void mlcc_await_range(mlcc_pool *p, int first, int last, unsigned step)
{
    for (int k = first; k <= last; k++)
        mlcc_await(p, &p->at[k], step);
}

/* meet of mlcc_parallel. Where many meet, part 0 looks at the others and they at what it says: 0.63 us for 16 parts where looking at
 * each other takes 1.1 (Emerald Rapids; 8 parts 0.49 and 0.61, 4 parts 0.42 and 0.40). */
static inline void mlcc_pool_meet(void *user, int part, int parts, int step, int reach)
{
    mlcc_pool *p = user;
    const unsigned n = (unsigned)step;
    mlcc_count(p, &p->at[part], n);
    if (reach < parts - 1 || parts <= MLCC_FEW) {
        mlcc_await_range(p, part > reach ? part - reach : 0, reach < parts - part ? part + reach : parts - 1, n);
    } else if (part > 0) {
        mlcc_await(p, &p->all, n);
    } else {
        mlcc_await_range(p, 1, parts - 1, n);
        mlcc_count(p, &p->all, n);
    }
}

typedef struct mlcc_range {
    int first, end;
} mlcc_range;

static inline mlcc_range mlcc_in_hand(unsigned long long left, int part, int parts, int step, int shares)
{
    const mlcc_range all = {shares * part / parts, shares * (part + 1) / parts};
    const mlcc_range rest = {(int)(left >> 16 & 0xffff), (int)(left & 0xffff)};
    return left >> 32 == (unsigned)step + 1 ? rest : all;
}

/* A share from the hand of part `of`: its first for itself, its last for another. `shares`: it has none. */
static inline int mlcc_take_from(mlcc_pool *p, int of, int parts, int step, int shares, int last)
{
    unsigned long long left = atomic_load(&p->hand[of].left), next;
    mlcc_range r;
    do {
        r = mlcc_in_hand(left, of, parts, step, shares);
        if (r.first >= r.end)
            return shares;
        next = (unsigned long long)(step + 1) << 32 | (unsigned)(r.first + !last) << 16 | (unsigned)(r.end - last);
    } while (!atomic_compare_exchange_weak(&p->hand[of].left, &left, next));
    return last ? r.end - 1 : r.first;
}

/* Part that has most left; -1: nobody has any. */
static inline int mlcc_fullest(mlcc_pool *p, int parts, int step, int shares)
{
    int most = 0, who = -1;
    for (int k = 0; k < parts; k++) {
        const mlcc_range r = mlcc_in_hand(atomic_load(&p->hand[k].left), k, parts, step, shares);
        who = r.end - r.first > most ? k : who;
        most = r.end - r.first > most ? r.end - r.first : most;
    }
    return who;
}

/* take of mlcc_parallel, for at most 65535 shares: what a part would have without it, then the last of who has most left. */
static inline int mlcc_pool_take(void *user, int part, int parts, int step, int shares)
{
    mlcc_pool *p = user;
    int share = mlcc_take_from(p, part, parts, step, shares, 0);
    for (int from; share == shares && (from = mlcc_fullest(p, parts, step, shares)) >= 0;)
        share = mlcc_take_from(p, from, parts, step, shares, 1);
    return share;
}

/* awake of mlcc_parallel. A thread that is about to sleep counts as awake: a run then wakes it. Short runs without threads that sleep
 * would never wake any, so now and then they are woken without a run: when calls come one after the other they find work in time and
 * stay awake, when calls are rare they sleep again. */
static inline int mlcc_pool_awake(void *user, int parts)
{
    mlcc_pool *p = user;
    const int all = parts < p->threads ? parts : p->threads;
    int n = 1;
    while (n < all && atomic_load(&p->go[n].sleepers) == 0)
        n++;
    if (n < all && ++p->refusals % MLCC_REFUSALS == 0)
        for (int k = n; k < all; k++)
            mlcc_wake(p, &p->go[k]);
    return n;
}

static inline mlcc_counter *mlcc_pool_counter(mlcc_pool *p, int k)
{
    return k == 0 ? &p->all : k <= MLCC_THREADS_MAX ? &p->go[k - 1] : &p->at[k - 1 - MLCC_THREADS_MAX];
}

static inline void mlcc_pool_drop(mlcc_pool *p, int counters)
{
    for (int k = 0; k < counters; k++)
        (void)pthread_cond_destroy(&mlcc_pool_counter(p, k)->changed);
    (void)pthread_mutex_destroy(&p->mutex);
}

/* 0, or an errno value, with nothing left to drop. */
static inline int mlcc_pool_make(mlcc_pool *p)
{
    int error = pthread_mutex_init(&p->mutex, NULL);
    if (error)
        return error;
    for (int k = 0; k < MLCC_COUNTERS; k++) {
        mlcc_counter *c = mlcc_pool_counter(p, k);
        atomic_init(&c->n, 0);
        atomic_init(&c->sleepers, 0);
        error = pthread_cond_init(&c->changed, NULL);
        if (error) {
            mlcc_pool_drop(p, k);
            return error;
        }
    }
    for (int k = 0; k < MLCC_THREADS_MAX; k++)
        atomic_init(&p->hand[k].left, 0);
    return 0;
}

/* Ends the workers; the pool may be started again. */
static inline void mlcc_pool_stop(mlcc_pool *p)
{
    mlcc_pool_begin(p, NULL, NULL, p->threads);
    for (int k = 1; k < p->threads; k++)
        (void)pthread_join(p->worker[k].thread, NULL);
    mlcc_pool_drop(p, MLCC_COUNTERS);
}

/* A pool of `threads`, the caller's among them. 0, or an errno value, with nothing left to stop. */
static inline int mlcc_pool_start(mlcc_pool *p, int threads)
{
    int error = threads < 1 || threads > MLCC_THREADS_MAX ? EINVAL : mlcc_pool_make(p);
    if (error)
        return error;
    p->refusals = 0;
    for (p->threads = 1; p->threads < threads && !error; p->threads += !error) {
        mlcc_worker *w = &p->worker[p->threads];
        w->pool = p;
        w->part = p->threads;
        error = pthread_create(&w->thread, NULL, mlcc_worker_main, w);
    }
    if (error)
        mlcc_pool_stop(p);
    return error;
}

static inline mlcc_parallel mlcc_pool_parallel(mlcc_pool *p)
{
    const mlcc_parallel r = {p, p->threads, mlcc_pool_run, mlcc_pool_meet, mlcc_pool_take, mlcc_pool_awake};
    return r;
}

#endif

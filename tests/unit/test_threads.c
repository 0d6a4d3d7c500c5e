/* SPDX-License-Identifier: Apache-2.0
 * The pool of runtime-min/mlcc_threads.h: every part runs once, parts meet, more threads than processors come to an end. */
#include "ir/base.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include <cmocka.h>

/* How often a thread was put to sleep while it had a part, and how often sleepers were woken. */
static atomic_int naps, calls;
static _Thread_local bool has_part;

/* Who was woken is held before its next look while `hold` says so. */
static atomic_bool hold;
static _Thread_local bool was_woken;

static int wait_counted(pthread_cond_t *c, pthread_mutex_t *m)
{
    (void)atomic_fetch_add(&naps, has_part);
    was_woken = true;
    return pthread_cond_wait(c, m);
}

static int unlock_held(pthread_mutex_t *m)
{
    const int error = pthread_mutex_unlock(m);
    while (was_woken && atomic_load(&hold))
        (void)sched_yield();
    was_woken = false;
    return error;
}

static int broadcast_counted(pthread_cond_t *c)
{
    (void)atomic_fetch_add(&calls, 1);
    return pthread_cond_broadcast(c);
}

#define pthread_cond_wait wait_counted
#define pthread_cond_broadcast broadcast_counted
#define pthread_mutex_unlock unlock_held
#include "runtime-min/mlcc_threads.h"

enum { STEPS = 40 };

typedef struct Job { mlcc_parallel par; int done[MLCC_THREADS_MAX], seen_late, reach; } Job;

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void once(void *arg, int part, int parts)
{
    Job *j = arg;
    j->done[part] += parts;
}

static void every_part_runs_once(void **state)
{
    (void)state;
    static mlcc_pool pool;
    assert_int_equal(mlcc_pool_start(&pool, 5), 0);
    const mlcc_parallel par = mlcc_pool_parallel(&pool);
    Job j = {.par = par};
    for (int parts = 1; parts <= 5; parts++)
        for (int k = 0; k < 200; k++)
            assert_int_equal(par.run(par.user, once, &j, parts), 0);
    for (int part = 0; part < 5; part++) {
        int want = 0;
        for (int parts = part + 1; parts <= 5; parts++)
            want += 200 * parts;
        assert_int_equal(j.done[part], want);
    }
    assert_int_not_equal(par.run(par.user, once, &j, 6), 0);
    assert_int_not_equal(par.run(par.user, once, &j, 0), 0);
    mlcc_pool_stop(&pool);
}

/* done[] is plain memory: each part reads what those within reach wrote before the meeting, and none is behind. */
static void steps(void *arg, int part, int parts)
{
    Job *j = arg;
    for (int step = 1; step <= STEPS; step++) {
        j->done[part] = step;
        j->par.meet(j->par.user, part, parts, 2 * step - 1, j->reach);
        const int first = part > j->reach ? part - j->reach : 0, last = part + j->reach < parts ? part + j->reach : parts - 1;
        for (int k = first; k <= last; k++)
            if (j->done[k] != step)
                j->seen_late = 1;
        j->par.meet(j->par.user, part, parts, 2 * step, j->reach);
    }
}

static void meet_with(int threads, int runs, int reach)
{
    static mlcc_pool pool;
    assert_int_equal(mlcc_pool_start(&pool, threads), 0);
    Job j = {.par = mlcc_pool_parallel(&pool), .reach = reach};
    for (int k = 0; k < runs; k++)
        assert_int_equal(j.par.run(j.par.user, steps, &j, threads), 0);
    assert_int_equal(j.seen_late, 0);
    mlcc_pool_stop(&pool);
}

static void parts_meet(void **state)
{
    (void)state;
    for (int reach = 1; reach < 5; reach++) {
        meet_with(1, 2, reach);
        meet_with(2, 100, reach);
        meet_with(3, 50, reach);
        meet_with(4, 20, reach);
        meet_with(6, 10, reach + 1);
    }
}

/* Spinning alone would need a time slice of the scheduler for nearly every one of the 24 * 80 waits of a run. */
static void more_threads_than_processors(void **state)
{
    (void)state;
    const double start = seconds();
    meet_with(24, 4, 23);
    meet_with(24, 4, 1);
    assert_true(seconds() - start < 20);
}

/* ---- shares ---- */

enum { SHARES = 60, DEALS = 12 };

typedef struct Deal { mlcc_parallel par; int shares; atomic_int had[SHARES], by[MLCC_THREADS_MAX]; atomic_int wrong, gate; } Deal;

/* Two steps in three are dealt out, with what the other ones lack: a meeting before and behind. */
static void deals(void *arg, int part, int parts)
{
    Deal *d = arg;
    for (int step = 1; step <= DEALS; step++) {
        d->par.meet(d->par.user, part, parts, step, parts - 1);
        for (int share; step % 3 && (share = d->par.take(d->par.user, part, parts, step, d->shares)) < d->shares;) {
            const int before = atomic_fetch_add(&d->had[share], 1);
            if (before != step - 1 - step / 3)
                atomic_store(&d->wrong, 1);
        }
    }
}

static void deal_with(int threads, int shares, int runs)
{
    static mlcc_pool pool;
    assert_int_equal(mlcc_pool_start(&pool, threads), 0);
    for (int k = 0; k < runs; k++) {
        Deal d = {.par = mlcc_pool_parallel(&pool), .shares = shares};
        assert_int_equal(d.par.run(d.par.user, deals, &d, threads), 0);
        assert_int_equal(atomic_load(&d.wrong), 0);
        for (int s = 0; s < shares; s++)
            assert_int_equal(atomic_load(&d.had[s]), DEALS - DEALS / 3);
    }
    mlcc_pool_stop(&pool);
}

static void every_share_is_taken_once(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++)
        for (int shares = threads; shares <= SHARES; shares += 7)
            deal_with(threads, shares, 20);
    deal_with(24, SHARES, 4);
}

/* Alone, a part takes first what would be its own, in order, and from the ends of the others then. */
static void own_shares_come_first(void **state)
{
    (void)state;
    static mlcc_pool pool;
    static const int order[] = {4, 5, 6, 7, 3, 11, 2, 10, 1, 9, 0, 8, 12, 12};
    assert_int_equal(mlcc_pool_start(&pool, 3), 0);
    for (size_t k = 0; k < sizeof order / sizeof *order; k++)
        assert_int_equal(mlcc_pool_take(&pool, 1, 3, 7, 12), order[k]);
    assert_int_equal(mlcc_pool_take(&pool, 2, 3, 7, 12), 12);
    assert_int_equal(mlcc_pool_take(&pool, 2, 3, 8, 12), 8);
    mlcc_pool_stop(&pool);
}

/* Part 0 does not come back from its first share before the others have done all that is left. */
static void one_late(void *arg, int part, int parts)
{
    Deal *d = arg;
    d->par.meet(d->par.user, part, parts, 1, parts - 1);
    for (int share; (share = d->par.take(d->par.user, part, parts, 1, d->shares)) < d->shares;) {
        atomic_fetch_add(&d->by[part], 1);
        atomic_fetch_add(&d->gate, 1);
        const double deadline = seconds() + 20;
        while (part == 0 && atomic_load(&d->gate) < d->shares && seconds() < deadline)
            mlcc_pause();
    }
}

static void nobody_waits_for_a_slow_part(void **state)
{
    (void)state;
    static mlcc_pool pool;
    for (int threads = 2; threads <= 4; threads++) {
        assert_int_equal(mlcc_pool_start(&pool, threads), 0);
        Deal d = {.par = mlcc_pool_parallel(&pool), .shares = SHARES};
        assert_int_equal(d.par.run(d.par.user, one_late, &d, threads), 0);
        int sum = 0;
        for (int k = 0; k < threads; k++)
            sum += atomic_load(&d.by[k]);
        assert_int_equal(sum, SHARES);
        assert_true(atomic_load(&d.by[0]) <= 1);
        mlcc_pool_stop(&pool);
    }
}

/* Waits until so many workers sleep, for a while; how many do. */
static unsigned await_sleepers(mlcc_pool *p, unsigned want)
{
    const double deadline = seconds() + 20;
    unsigned n = 0;
    while (n < want && seconds() < deadline) {
        n = 0;
        for (int k = 1; k < p->threads; k++)
            n += atomic_load(&p->go[k].sleepers);
    }
    return n;
}

/* Workers that have gone to sleep between runs wake up again. */
static void workers_sleep_between_runs(void **state)
{
    (void)state;
    static mlcc_pool pool;
    assert_int_equal(mlcc_pool_start(&pool, 3), 0);
    Job j = {.par = mlcc_pool_parallel(&pool)};
    for (int k = 0; k < 3; k++) {
        assert_int_equal(await_sleepers(&pool, 2), 2);
        assert_int_equal(j.par.run(j.par.user, once, &j, 3), 0);
    }
    assert_int_equal(j.done[2], 9);
    mlcc_pool_stop(&pool);
}

static void meet_often(void *arg, int part, int parts)
{
    Job *j = arg;
    has_part = true;
    for (int step = 1; step <= STEPS; step++)
        j->par.meet(j->par.user, part, parts, step, parts);
    has_part = false;
}

/* Two parts of a pool whose other workers are asleep wake none but each other: once for a nap, or twice where one ends late, and
 * at the beginning and the end of the run. */
static void meetings_leave_sleepers_alone(void **state)
{
    (void)state;
    static mlcc_pool pool;
    assert_int_equal(mlcc_pool_start(&pool, 6), 0);
    Job j = {.par = mlcc_pool_parallel(&pool)};
    assert_true(await_sleepers(&pool, 4) >= 4);
    atomic_store(&naps, 0);
    atomic_store(&calls, 0);
    assert_int_equal(j.par.run(j.par.user, meet_often, &j, 2), 0);
    assert_true(atomic_load(&calls) <= 2 * atomic_load(&naps) + 3);
    mlcc_pool_stop(&pool);
}

/* Runs that find threads asleep wake those that they asked for now and then, without a run, and nobody else. */
static void sleepers_are_woken_now_and_then(void **state)
{
    (void)state;
    static mlcc_pool pool;
    assert_int_equal(mlcc_pool_start(&pool, 4), 0);
    Job j = {.par = mlcc_pool_parallel(&pool)};
    assert_int_equal(await_sleepers(&pool, 3), 3);
    atomic_store(&hold, true);
    atomic_store(&calls, 0);
    for (int k = 1; k < MLCC_REFUSALS; k++)
        assert_int_equal(j.par.awake(j.par.user, 3), 1);
    assert_int_equal(atomic_load(&calls), 0);
    assert_int_equal(j.par.awake(j.par.user, 3), 1);
    assert_int_equal(atomic_load(&calls), 2);
    const double deadline = seconds() + 20;
    while (j.par.awake(j.par.user, 3) < 3 && seconds() < deadline)
        (void)sched_yield();
    assert_int_equal(j.par.awake(j.par.user, 3), 3);
    assert_int_equal(j.par.awake(j.par.user, 2), 2);
    assert_int_equal(j.par.awake(j.par.user, 9), 3);
    atomic_store(&hold, false);
    assert_int_equal(await_sleepers(&pool, 3), 3);
    assert_int_equal(j.done[1] + j.done[2], 0);
    assert_int_equal(j.par.run(j.par.user, once, &j, 3), 0);
    assert_int_equal(j.done[1] + j.done[2], 6);
    mlcc_pool_stop(&pool);
}

static void a_pool_starts_again(void **state)
{
    (void)state;
    static mlcc_pool pool;
    assert_int_not_equal(mlcc_pool_start(&pool, 0), 0);
    assert_int_not_equal(mlcc_pool_start(&pool, MLCC_THREADS_MAX + 1), 0);
    for (int k = 0; k < 20; k++) {
        assert_int_equal(mlcc_pool_start(&pool, 1 + k % 4), 0);
        mlcc_pool_stop(&pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_part_runs_once),       cmocka_unit_test(parts_meet),          cmocka_unit_test(more_threads_than_processors),
        cmocka_unit_test(workers_sleep_between_runs), cmocka_unit_test(a_pool_starts_again), cmocka_unit_test(every_share_is_taken_once),
        cmocka_unit_test(own_shares_come_first),      cmocka_unit_test(nobody_waits_for_a_slow_part),
        cmocka_unit_test(meetings_leave_sleepers_alone), cmocka_unit_test(sleepers_are_woken_now_and_then),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

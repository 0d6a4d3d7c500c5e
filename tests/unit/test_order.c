/* SPDX-License-Identifier: Apache-2.0
 * The order of steps (compiler/plan_order.c) against every order of small random programs; large ones for what must hold
 * in any case. */
#include "compiler/plan_order.h"
#include "sanitized.h"

#include <cmocka.h>

enum { MOST = 600 };

typedef struct Program {
    Arena *a;
    OrderStep step[MOST];
    int64_t bytes[4 * MOST];
    OrderProblem p;
} Program;

static uint32_t next_random(uint64_t *seed, uint32_t below)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33) % below;
}

/* Step k makes buffer k from those of up to `fan` steps among the `reach` before it, and has scratch now and then. */
static void random_program(Program *g, uint64_t *seed, uint32_t n, uint32_t fan, uint32_t reach)
{
    memset(g->step, 0, sizeof g->step);
    g->p = (OrderProblem){.step = g->step, .n = n, .bytes = g->bytes, .nbuf = 2 * n};
    for (uint32_t k = 0; k < n; k++) {
        OrderStep *s = &g->step[k];
        g->bytes[k] = 1 + next_random(seed, 20);
        g->bytes[n + k] = next_random(seed, 10);
        PUSH(g->a, &s->touch, k);
        if (next_random(seed, 3) == 0)
            PUSH(g->a, &s->touch, n + k);
        for (uint32_t q = next_random(seed, fan + 1); q > 0 && k > 0; q--) {
            const uint32_t from = k - 1 - next_random(seed, k < reach ? k : reach);
            bool twice = false;
            for (uint32_t t = 0; t < s->before.n; t++)
                twice = twice || s->before.at[t] == from;
            if (twice)
                continue;
            PUSH(g->a, &s->before, from);
            PUSH(g->a, &s->touch, from);
            if (next_random(seed, 2))
                PUSH(g->a, &s->saving, ((OrderSaving){from, k, min_i64(g->bytes[from], g->bytes[k])}));
        }
    }
}

static bool possible(const Program *g, const uint32_t *order)
{
    bool done[MOST] = {false};
    for (uint32_t k = 0; k < g->p.n; k++) {
        const OrderStep *s = &g->step[order[k]];
        for (uint32_t q = 0; q < s->before.n; q++)
            if (!done[s->before.at[q]])
                return false;
        if (done[order[k]])
            return false;
        done[order[k]] = true;
    }
    return true;
}

static int64_t brute(const Program *g, uint32_t *order, uint32_t done, uint32_t n, int64_t best)
{
    if (n == g->p.n)
        return min_i64(best, order_load(g->a, &g->p, order));
    for (uint32_t f = 0; f < g->p.n; f++) {
        bool ready = !(done >> f & 1);
        for (uint32_t q = 0; q < g->step[f].before.n; q++)
            ready = ready && (done >> g->step[f].before.at[q] & 1);
        order[n] = f;
        if (ready)
            best = brute(g, order, done | 1u << f, n + 1, best);
    }
    return best;
}

static void test_against_every_order(void **state)
{
    (void)state;
    static Program g;
    uint64_t seed = 3;
    int better = 0;
    for (int i = 0; i < 150; i++) {
        g.a = arena_new(0, NULL);
        random_program(&g, &seed, 3 + next_random(&seed, 5), 3, 1 + next_random(&seed, 6));
        uint32_t order[8], any[8];
        const OrderResult r = plan_order(g.a, &g.p, order);
        const int64_t best = brute(&g, any, 0, 0, INT64_MAX);
        assert_true(possible(&g, order));
        assert_int_equal(r.peak, best);
        assert_int_equal(r.bound, best);
        assert_int_equal(order_load(g.a, &g.p, order), best);
        better += r.peak < r.given;
        arena_free(g.a);
    }
    assert_true(better > 20);
}

/* A head of n branches, each of which swells and shrinks, and a step that puts their ends together. */
static void branches(Program *g, uint32_t n, int64_t end)
{
    const uint32_t last = 1 + 2 * n;
    memset(g->step, 0, sizeof g->step);
    g->p = (OrderProblem){.step = g->step, .n = last + 1, .bytes = g->bytes, .nbuf = last + 1};
    for (uint32_t k = 0; k <= last; k++) {
        g->bytes[k] = k == 0 || k > n ? 10 : 1000;
        PUSH(g->a, &g->step[k].touch, k);
    }
    g->bytes[last] = end;
    for (uint32_t k = 1; k <= n; k++) {
        PUSH(g->a, &g->step[k].before, 0);
        PUSH(g->a, &g->step[k].touch, 0);
        PUSH(g->a, &g->step[n + k].before, k);
        PUSH(g->a, &g->step[n + k].touch, k);
        PUSH(g->a, &g->step[last].before, n + k);
        PUSH(g->a, &g->step[last].touch, n + k);
    }
}

/* The order found for n branches and an end of so many bytes needs `least`, and no order less. */
static void check_branches(uint32_t n, int64_t end, int64_t least)
{
    static Program g;
    uint32_t order[MOST];
    g.a = arena_new(0, NULL);
    branches(&g, n, end);
    const OrderResult r = plan_order(g.a, &g.p, order);
    assert_true(possible(&g, order));
    assert_int_equal(r.given, 10 + n * 1000);
    assert_int_equal(r.peak, least);
    assert_int_equal(r.bound, least);
    arena_free(g.a);
}

/* One after the other, not all at once. */
static void test_branches(void **state)
{
    (void)state;
    check_branches(8, 10, 8 * 10 + 1000);
}

/* Too many orders to look at, and the last step needs as much as any: what needs no more is found, and no better one is looked for. */
static void test_least(void **state)
{
    (void)state;
    check_branches(40, 1010, 40 * 10 + 1010);
}

static void test_large(void **state)
{
    (void)state;
    enum { PROGRAMS = SANITIZED ? 2 : 6 };
    static Program g;
    static uint32_t order[MOST], again[MOST];
    uint64_t seed = 9;
    int better = 0;
    for (int i = 0; i < PROGRAMS; i++) {
        g.a = arena_new(0, NULL);
        random_program(&g, &seed, MOST, 2, i % 2 ? 4 : 40);
        const OrderResult r = plan_order(g.a, &g.p, order), s = plan_order(g.a, &g.p, again);
        assert_true(possible(&g, order));
        assert_true(r.bound <= r.peak && r.peak <= r.given && s.peak == r.peak);
        assert_memory_equal(order, again, g.p.n * sizeof *order);
        better += r.peak < r.given;
        arena_free(g.a);
    }
    assert_true(3 * better >= 2 * PROGRAMS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_every_order), cmocka_unit_test(test_branches), cmocka_unit_test(test_least), cmocka_unit_test(test_large)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

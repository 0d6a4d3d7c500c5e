/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory planner against brute force on small random problems, against instances whose optimum is known by
 * construction, and the checker against plans with one seeded fault each. Every plan made here is checked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../compiler/plan_check.h"

enum { MAX_BUF = 512 };

typedef struct Problem {
    PlanBuf buf[MAX_BUF];
    uint32_t n;
    PlanPool pool[3];
    uint32_t npool;
    PlanPlace at[MAX_BUF];
    int64_t peak[3], bound[3];
    bool optimal;
    uint64_t nodes;
} Problem;

static uint32_t next_random(uint64_t *seed, uint32_t below)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33) % below;
}

static void add(Problem *p, int64_t bytes, int32_t first, int32_t last)
{
    p->buf[p->n++] = (PlanBuf){.bytes = bytes, .align = 1, .first = first, .last = last, .pools = 1, .fixed = -1};
}

static Problem *one_pool(Problem *p)
{
    *p = (Problem){.pool = {{"ram", 0}}, .npool = 1};
    return p;
}

/* Plans and, when it fits, proves the plan sound. */
static bool plan(Problem *p, uint64_t nodes)
{
    Arena *a = arena_new(0, NULL);
    PlanResult r;
    const bool fits = plan_pack(a, p->buf, p->n, p->pool, p->npool, nodes, p->at, &r);
    memcpy(p->peak, r.peak, p->npool * sizeof *r.peak);
    memcpy(p->bound, r.bound, p->npool * sizeof *r.bound);
    p->optimal = r.optimal;
    p->nodes = r.nodes;
    arena_free(a);
    char why[200] = "";
    if (fits && !plan_check(p->buf, p->n, p->pool, p->npool, p->at, p->peak, why, sizeof why)) fail_msg("%s", why);
    return fits;
}

/* Least peak by trying all orders of offset: each buffer goes on top of those before it that are live with it. */
static int64_t brute(const Problem *p, int64_t *off, uint32_t placed, int64_t peak, int64_t best)
{
    if (placed == (1u << p->n) - 1) return min_i64(peak, best);
    for (uint32_t j = 0; j < p->n; j++) {
        const PlanBuf *b = &p->buf[j];
        int64_t at = 0;
        if (placed >> j & 1) continue;
        for (uint32_t k = 0; k < p->n; k++)
            if (placed >> k & 1 && p->buf[k].first <= b->last && b->first <= p->buf[k].last)
                at = max_i64(at, off[k] + p->buf[k].bytes);
        at = align_up(at, b->align);
        if (b->fixed >= 0 && (at > b->fixed || b->fixed % b->align != 0)) continue;
        off[j] = b->fixed >= 0 ? b->fixed : at;
        const int64_t end = max_i64(peak, off[j] + b->bytes);
        if (end < best) best = brute(p, off, placed | 1u << j, end, best);
    }
    return best;
}

typedef struct Shape {
    uint32_t size, steps, aligns, fixed_in;
} Shape; /* fixed_in: one in so many is fixed; 0: none */

static void random_problem(Problem *p, uint64_t *seed, const Shape *s)
{
    static const int64_t align[] = {1, 4, 16, 2, 64, 3, 12};
    one_pool(p);
    const uint32_t n = 2 + next_random(seed, 6);
    for (uint32_t i = 0; i < n; i++) {
        const int32_t first = (int32_t)next_random(seed, s->steps);
        add(p, 1 + next_random(seed, s->size), first, first + (int32_t)next_random(seed, s->steps));
        p->buf[i].align = align[next_random(seed, s->aligns)];
        if (s->fixed_in && next_random(seed, s->fixed_in) == 0)
            p->buf[i].fixed = next_random(seed, 8) * p->buf[i].align;
    }
}

static void test_against_brute_force(void **state)
{
    (void)state;
    static const Shape shape[] = {{6, 4, 1, 0},  {100, 6, 1, 0}, {9, 3, 3, 0},  {70, 5, 5, 0},
                                  {40, 4, 7, 0}, {20, 4, 1, 3},  {40, 5, 4, 3}, {90, 3, 7, 4}};
    static Problem p;
    uint64_t seed = 1;
    for (size_t s = 0; s < COUNT(shape); s++)
        for (int i = 0; i < 150; i++) {
            int64_t off[8] = {0};
            random_problem(&p, &seed, &shape[s]);
            const bool fits = plan(&p, 0);
            const int64_t best = brute(&p, off, 0, 0, INT64_MAX);
            assert_int_equal(fits, best < INT64_MAX);
            if (!fits) {
                assert_int_equal(p.bound[0], INT64_MAX);
                continue;
            }
            assert_int_equal(p.peak[0], best);
            assert_int_equal(p.bound[0], best);
            assert_true(p.optimal);
        }
}

static void test_capacity_is_decided_exactly(void **state)
{
    (void)state;
    static const Shape shape = {40, 4, 5, 5};
    static Problem p;
    uint64_t seed = 5;
    for (int i = 0; i < 150; i++) {
        int64_t off[8] = {0};
        random_problem(&p, &seed, &shape);
        const int64_t best = brute(&p, off, 0, 0, INT64_MAX);
        if (best == INT64_MAX) continue;
        p.pool[0].capacity = best;
        assert_true(plan(&p, 0));
        p.pool[0].capacity = best - 1;
        if (best > 1) assert_false(plan(&p, 0));
        assert_true(best == 1 || p.bound[0] >= best);
    }
}

/* Cuts a rectangle of time and bytes into n pieces: a packing without any waste exists. */
static void cut(Problem *p, uint64_t *seed, int32_t first, int32_t steps, int64_t bytes, uint32_t n)
{
    if (n <= 1 || (steps < 2 && bytes < 2)) {
        add(p, bytes, first, first + steps - 1);
        return;
    }
    const uint32_t part = (n + 1) / 3 + next_random(seed, n / 3 + 1);
    if (bytes < 2 || (steps >= 2 && next_random(seed, 2))) {
        const int32_t at = 1 + (int32_t)next_random(seed, (uint32_t)steps - 1);
        cut(p, seed, first, at, bytes, part);
        cut(p, seed, first + at, steps - at, bytes, n - part);
    } else {
        const int64_t at = 1 + next_random(seed, (uint32_t)bytes - 1);
        cut(p, seed, first, steps, at, part);
        cut(p, seed, first, steps, bytes - at, n - part);
    }
}

static void shuffle(Problem *p, uint64_t *seed)
{
    for (uint32_t i = p->n - 1; i > 0; i--) {
        const uint32_t k = next_random(seed, i + 1);
        const PlanBuf b = p->buf[i];
        p->buf[i] = p->buf[k];
        p->buf[k] = b;
    }
}

static void test_perfect_packings(void **state)
{
    (void)state;
    static Problem p;
    uint64_t seed = 3;
    for (uint32_t n = 10; n <= 80; n += 10) {
        one_pool(&p);
        cut(&p, &seed, 0, 60, 4096, n);
        shuffle(&p, &seed);
        assert_true(plan(&p, 0));
        assert_int_equal(p.peak[0], 4096);
        assert_true(p.optimal);
    }
}

/* MobileNet v1 0.25 at 96 x 96: a chain of tensors, each live from its maker to its reader. Greedy by size takes
 * 64512 bytes, the load is 55296. */
static void test_chain_where_greedy_loses(void **state)
{
    (void)state;
    static const int64_t bytes[] = {27648, 18432, 18432, 36864, 9216, 18432, 18432, 18432, 4608, 9216, 9216,
                                    9216,  2304,  4608,  4608,  4608, 4608,  4608,  4608,  4608, 4608, 4608,
                                    4608,  4608,  1152,  2304,  2304, 2304,  256,   2,     2};
    static Problem p;
    one_pool(&p);
    for (size_t i = 0; i < COUNT(bytes); i++) add(&p, bytes[i], (int32_t)i, (int32_t)i + 1);
    for (uint32_t i = 0; i < p.n; i++) p.buf[i].align = 16;
    assert_true(plan(&p, 0));
    assert_int_equal(p.peak[0], 55296);
    assert_true(p.optimal);
    assert_true(p.nodes < 10000);
}

static void test_equal_input_gives_equal_plan(void **state)
{
    (void)state;
    static Problem p, q;
    uint64_t seed = 7;
    one_pool(&p);
    cut(&p, &seed, 0, 100, 1 << 20, 100);
    shuffle(&p, &seed);
    q = p;
    assert_int_equal(plan(&p, 3000), plan(&q, 3000));
    assert_memory_equal(p.at, q.at, sizeof p.at);
    assert_int_equal(p.nodes, q.nodes);
}

static void test_node_limit_holds(void **state)
{
    (void)state;
    static Problem p;
    uint64_t seed = 11;
    one_pool(&p);
    cut(&p, &seed, 0, 200, 1 << 20, 200);
    shuffle(&p, &seed);
    assert_true(plan(&p, 100));
    assert_true(p.nodes <= 100);
    assert_true(p.peak[0] >= p.bound[0]);
    assert_int_equal(p.optimal, p.peak[0] == p.bound[0]);
}

static void test_corner_cases(void **state)
{
    (void)state;
    static Problem p;
    assert_true(plan(one_pool(&p), 0));
    assert_int_equal(p.peak[0], 0);
    assert_true(p.optimal);
    add(&p, 0, 0, 5);
    add(&p, 7, INT32_MIN, INT32_MAX);
    add(&p, INT64_C(1) << 50, 0, 0);
    assert_true(plan(&p, 0));
    assert_int_equal(p.peak[0], (INT64_C(1) << 50) + 7);
    assert_true(p.optimal);
    add(&p, INT64_MAX - 3, 3, 3);
    assert_false(plan(&p, 0));
    assert_int_equal(p.bound[0], INT64_MAX);
}

/* Many buffers that all live together need more than the plain sum when alignments differ. */
static void test_mixed_alignment_is_proven(void **state)
{
    (void)state;
    static Problem p;
    one_pool(&p);
    for (int i = 0; i < 6; i++) {
        add(&p, 20, 0, 1);
        p.buf[p.n - 1].align = 64;
        add(&p, 24, 0, 1);
        p.buf[p.n - 1].align = 8;
    }
    assert_true(plan(&p, 0));
    assert_int_equal(p.peak[0], 5 * 64 + 24 + 24); /* each 20 is followed by a 24 in the padding it would leave */
    assert_true(p.optimal);
}

static void two_pools(Problem *p, int64_t capacity)
{
    *p = (Problem){.pool = {{"fast", capacity}, {"slow", 0}}, .npool = 2};
}

static void test_all_in_fast_pool_when_it_fits(void **state)
{
    (void)state;
    static Problem p;
    two_pools(&p, 100);
    for (int32_t i = 0; i < 5; i++) add(&p, 50, i, i + 1);
    for (uint32_t i = 0; i < p.n; i++) p.buf[i].pools = 3;
    assert_true(plan(&p, 0));
    for (uint32_t i = 0; i < p.n; i++) assert_int_equal(p.at[i].pool, 0);
    assert_int_equal(p.peak[0], 100);
    assert_int_equal(p.peak[1], 0);
    assert_true(p.optimal);
}

static void test_most_useful_stays_in_fast_pool(void **state)
{
    (void)state;
    static Problem p;
    two_pools(&p, 100);
    add(&p, 60, 0, 9);
    add(&p, 60, 0, 9);
    add(&p, 40, 0, 9);
    add(&p, 30, 0, 9);
    for (uint32_t i = 0; i < p.n; i++) p.buf[i].pools = 3;
    p.buf[1].traffic = 100000;
    p.buf[3].pools = 2;
    assert_true(plan(&p, 0));
    assert_int_equal(p.at[0].pool, 1);
    assert_int_equal(p.at[1].pool, 0);
    assert_int_equal(p.at[2].pool, 0);
    assert_int_equal(p.at[3].pool, 1);
    p.buf[0].pools = 1; /* now it must be in the fast pool, and the useful one has to leave */
    assert_true(plan(&p, 0));
    assert_int_equal(p.at[0].pool, 0);
    assert_int_equal(p.at[1].pool, 1);
    p.buf[1].pools = 1;
    assert_false(plan(&p, 0));
    assert_true(p.bound[0] > 100);
    p.buf[1].pools = 4; /* a pool there is not */
    assert_false(plan(&p, 0));
    assert_int_equal(p.at[1].pool, -1);
}

/* Whatever the capacity, a plan comes out: what the fast pool cannot take is in the slow one. */
static void test_what_cannot_be_packed_moves_on(void **state)
{
    (void)state;
    static const Shape shape = {30, 4, 3, 6};
    static Problem p;
    uint64_t seed = 17;
    uint32_t spilled = 0;
    for (int i = 0; i < 200; i++) {
        int64_t off[8] = {0};
        random_problem(&p, &seed, &shape);
        const int64_t best = brute(&p, off, 0, 0, INT64_MAX);
        bool fixed = false;
        for (uint32_t k = 0; k < p.n; k++) {
            p.buf[k].pools = 3;
            fixed = fixed || p.buf[k].fixed >= 0;
        }
        if (fixed) continue;
        p.npool = 2;
        p.pool[1] = (PlanPool){"slow", 0};
        p.pool[0].capacity = max_i64(best - 1 - (int64_t)next_random(&seed, 8), 1);
        assert_true(plan(&p, 0));
        for (uint32_t k = 0; k < p.n; k++) spilled += p.at[k].pool == 1;
        assert_true(p.peak[1] > 0);
    }
    assert_true(spilled > 0);
}

/* --- the checker ------------------------------------------------------------------------------------------------ */

static void sound_problem(Problem *p)
{
    two_pools(p, 64);
    add(p, 32, 0, 2);
    add(p, 32, 1, 3);
    add(p, 16, 3, 4);
    add(p, 16, 0, 4);
    p->buf[1].align = 16;
    p->buf[2].fixed = 8;
    p->buf[3].pools = 2;
    const PlanPlace at[] = {{0, 0}, {0, 32}, {0, 8}, {1, 0}};
    memcpy(p->at, at, sizeof at);
    p->peak[0] = 64;
    p->peak[1] = 16;
}

static bool is_sound(Problem *p, const char *word)
{
    char why[200] = "";
    const bool sound = plan_check(p->buf, p->n, p->pool, p->npool, p->at, p->peak, why, sizeof why);
    if (!sound && !strstr(why, word)) fail_msg("'%s' does not speak of '%s'", why, word);
    return sound;
}

static void test_checker_sees_each_fault(void **state)
{
    (void)state;
    static Problem p;
    sound_problem(&p);
    assert_true(is_sound(&p, ""));
    p.at[1].offset = 16;
    assert_false(is_sound(&p, "0 and 1 overlap in step 1"));
    sound_problem(&p);
    p.buf[0].last = 3; /* 0 and 2 now meet in step 3 */
    assert_false(is_sound(&p, "0 and 2 overlap in step 3"));
    sound_problem(&p);
    p.at[1].offset = 24;
    assert_false(is_sound(&p, "not a multiple of 16"));
    sound_problem(&p);
    p.at[2].offset = 0;
    assert_false(is_sound(&p, "prescribed is 8"));
    sound_problem(&p);
    p.at[3] = (PlanPlace){0, 48};
    assert_false(is_sound(&p, "does not allow"));
    p.at[3].pool = 2;
    assert_false(is_sound(&p, "does not allow"));
    p.at[3].pool = -1;
    assert_false(is_sound(&p, "does not allow"));
    sound_problem(&p);
    p.at[3].offset = 16;
    assert_false(is_sound(&p, "above the peak of 16"));
    sound_problem(&p);
    p.at[0].offset = -1;
    assert_false(is_sound(&p, "not a multiple"));
    sound_problem(&p);
    p.at[1].offset = 48;
    p.peak[0] = 100;
    assert_false(is_sound(&p, "above the 64 bytes of pool 'fast'"));
    p.at[1].offset = INT64_MAX - 15;
    p.pool[0].capacity = 0;
    assert_false(is_sound(&p, "above"));
}

/* Moving one buffer by one byte into another one is found whichever of the neighbours it is. */
static void test_checker_sees_random_overlaps(void **state)
{
    (void)state;
    static Problem p;
    uint64_t seed = 23;
    one_pool(&p);
    cut(&p, &seed, 0, 50, 5000, 60);
    assert_true(plan(&p, 0));
    for (uint32_t i = 0; i < p.n; i++) {
        const int64_t off = p.at[i].offset;
        if (off > 0) { /* there is no waste: something lies right below */
            p.at[i].offset = off - 1;
            assert_false(is_sound(&p, "overlap"));
        }
        p.at[i].offset = off;
    }
    assert_true(is_sound(&p, ""));
}

/* ---- results over operands ---- */

static bool may_meet(const PlanBuf *b, const int64_t *off, uint32_t in, uint32_t out)
{
    return b[in].over == out + 1 && off[in] - off[out] >= b[in].gap;
}

/* Least peak by trying every offset. */
static int64_t brute_overlap(const Problem *p, int64_t *off, uint32_t j, int64_t peak, int64_t best)
{
    if (j == p->n) return min_i64(peak, best);
    const PlanBuf *b = &p->buf[j];
    for (off[j] = 0; max_i64(peak, off[j] + b->bytes) < best; off[j]++) {
        bool fits = true;
        for (uint32_t k = 0; k < j && fits; k++) {
            const PlanBuf *c = &p->buf[k];
            const bool apart = off[j] + b->bytes <= off[k] || off[k] + c->bytes <= off[j];
            fits = apart || c->first > b->last || b->first > c->last || may_meet(p->buf, off, j, k) || may_meet(p->buf, off, k, j);
        }
        if (fits) best = brute_overlap(p, off, j + 1, max_i64(peak, off[j] + b->bytes), best);
    }
    return best;
}

static void random_overlaps(Problem *p, uint64_t *seed)
{
    one_pool(p);
    const uint32_t n = 3 + next_random(seed, 3);
    for (uint32_t i = 0; i < n; i++) {
        const int32_t first = (int32_t)next_random(seed, 4);
        add(p, 1 + next_random(seed, 7), first, first + (int32_t)next_random(seed, 3));
    }
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < n; k++)
            if (p->buf[i].last == p->buf[k].first && p->buf[i].first < p->buf[k].first && !p->buf[i].over) {
                p->buf[i].over = k + 1;
                p->buf[i].gap = (int64_t)next_random(seed, 12) - 4;
            }
}

/* What the plan says is checked by plan(): here that it is as low as can be, nearly always, and the bound true. */
static void test_overlaps_against_brute_force(void **state)
{
    (void)state;
    static Problem p;
    uint64_t seed = 5;
    int missed = 0;
    for (int i = 0; i < 400; i++) {
        int64_t off[8] = {0};
        random_overlaps(&p, &seed);
        assert_true(plan(&p, 0));
        const int64_t best = brute_overlap(&p, off, 0, 0, INT64_MAX / 2);
        assert_true(p.peak[0] >= best && p.bound[0] <= best);
        assert_int_equal(p.optimal, p.peak[0] == p.bound[0]);
        missed += p.peak[0] > best;
    }
    assert_true(missed <= 4);
}

static void test_chain_of_overlaps(void **state)
{
    (void)state;
    static Problem p;
    one_pool(&p);
    for (int32_t i = 0; i < 9; i++) {
        add(&p, 8000, i, i + 1);
        p.buf[i].over = i < 8 ? (uint32_t)i + 2 : 0;
        p.buf[i].gap = 400;
    }
    assert_true(plan(&p, 0));
    assert_int_equal(p.peak[0], 8000 + 8 * 400); /* each lies 400 bytes above the next */
    p.buf[3].gap = 8000;
    assert_true(plan(&p, 0));
    assert_int_equal(p.peak[0], 16000);
    p.at[4].offset = p.at[3].offset; /* the checker sees what may not lie there */
    char why[100];
    assert_false(plan_check(p.buf, p.n, p.pool, 1, p.at, p.peak, why, sizeof why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_brute_force),
        cmocka_unit_test(test_capacity_is_decided_exactly),
        cmocka_unit_test(test_perfect_packings),
        cmocka_unit_test(test_chain_where_greedy_loses),
        cmocka_unit_test(test_equal_input_gives_equal_plan),
        cmocka_unit_test(test_node_limit_holds),
        cmocka_unit_test(test_corner_cases),
        cmocka_unit_test(test_mixed_alignment_is_proven),
        cmocka_unit_test(test_all_in_fast_pool_when_it_fits),
        cmocka_unit_test(test_most_useful_stays_in_fast_pool),
        cmocka_unit_test(test_what_cannot_be_packed_moves_on),
        cmocka_unit_test(test_checker_sees_each_fault),
        cmocka_unit_test(test_checker_sees_random_overlaps),
        cmocka_unit_test(test_overlaps_against_brute_force),
        cmocka_unit_test(test_chain_of_overlaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

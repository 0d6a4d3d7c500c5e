/* SPDX-License-Identifier: Apache-2.0
 *
 * Scaled sums of integers in floats: the schedule of a machine with fused multiply-adds against the integers of the plain one,
 * for every sum of 16 bits (where mlcc is sanitized one in 16) and factors, biases, shifts and zero points at random; ties, and what has
 * no form in floats. Sums of two scaled bytes for all pairs, also without such multiply-adds.
 */
#include "sanitized.h"
#include "scheduled.h"

enum { SUMS = SANITIZED ? 1 << 12 : 1 << 16 };
enum { APART = (1 << 16) / SUMS, PAIRS = 1 << 16, CHANNELS = 24, WIDE = 9 };

static int64_t pick(int64_t lo, int64_t hi) { return lo + rand() % (hi - lo + 1); }

/* sat((i64(x + b[m])*f[m] + c) >> shift), f such that f / 2^shift is about 2^-down, c with half and the zero point. */
typedef struct Form { const char *dt; int shift, down, zero, bias; bool even, same, less, wide; } Form;
/* less: x less another vector, as a map; wide: x times WIDE */

static const char *program_of(const Form *f)
{
    Text t = {.arena = arena};
    text_add(&t, "input 0 %%x i16[%d]\nconst %%f i64[%d] (", SUMS, CHANNELS);
    for (int m = 0; m < CHANNELS; m++) {
        const int64_t one = (int64_t)1 << (f->shift - f->down);
        text_add(&t, "%s%lld", m ? ", " : "", (long long)(f->same ? one : pick(one / 2, 2 * one - 1)));
    }
    text_add(&t, ")\nconst %%b i32[%d] (", CHANNELS);
    for (int m = 0; m < CHANNELS; m++)
        text_add(&t, "%s%lld", m ? ", " : "", (long long)(f->bias ? pick(-f->bias, f->bias) : 0));
    const char *x = f->less ? "%d[m,i]" : f->wide ? str_fmt(arena, "(i32(%%x[i])*%di32)", WIDE) : "i32(%x[i])";
    const char *sum = f->bias ? str_fmt(arena, "(%s + %%b[m])", x) : x;
    const char *product = str_fmt(arena, "i64(i32(%s))*i64(%%f[m])", sum);
    const int64_t add = f->zero * ((int64_t)1 << f->shift) + ((int64_t)1 << (f->shift - 1)) - f->even;
    const char *bit = f->even ? str_fmt(arena, " + (shr(%s, %di64) & 1i64)", product, f->shift) : "";
    text_add(&t, ")\n");
    if (f->less) {
        text_add(&t, "const %%l i32[%d] (", CHANNELS);
        for (int m = 0; m < CHANNELS; m++)
            text_add(&t, "%s%lld", m ? ", " : "", (long long)pick(-900, 900));
        text_add(&t, ")\n%%d i32[m:%d,i:%d] = i32(%%x[i]) - %%l[m]\n", CHANNELS, SUMS);
    }
    text_add(&t, "%%y %s[m:%d,i:%d] = sat_%s(i32(shr(%s%s + %lldi64, %di64)))\noutput 0 %%y\n", f->dt, CHANNELS, SUMS, f->dt, product,
             bit, (long long)add, f->shift);
    return text_str(&t);
}

static bool uses(const Unit *u, const char *what)
{
    Text t = {.arena = arena};
    unit_print(&t, u);
    return strstr(text_str(&t), what) != NULL;
}

static unsigned char *results(const Unit *u, int16_t *x)
{
    const mlcc_tensor in = {x, 5, 1, {SUMS}};
    mlcc_tensor out = {.data = arena_alloc(arena, SUMS * CHANNELS, 64)};
    assert_true(unit_run(arena, u, &in, &out));
    return out.data;
}

/* The program's unit for the machine, which gives what the integers of the plain one give. */
static const Unit *checked(const char *text, const char *march)
{
    int16_t *x = NEWN(arena, int16_t, SUMS);
    for (int k = 0; k < SUMS; k++)
        x[k] = (int16_t)((k - SUMS / 2) * APART);
    const Unit *plain = scheduled(text, "generic"), *fast = scheduled(text, march);
    const unsigned char *want = results(plain, x), *got = results(fast, x);
    assert_false(uses(plain, "fma("));
    for (int k = 0; k < SUMS * CHANNELS; k++)
        if (want[k] != got[k])
            fail_msg("%s, %s: sum %d gives %d, not %d", text, march, x[k % SUMS], got[k], want[k]);
    return fast;
}

/* Whether there is a form in floats. */
static bool check_form(const Form *f) { return uses(checked(program_of(f), "x86-64-v3"), "fma("); }

static void test_random(void **state)
{
    (void)state;
    int found = 0;
    for (int k = 0; k < 16; k++) {
        const Form f = {k % 2 ? "u8" : "i8", (int)pick(26, 34), (int)pick(4, 8), (int)pick(-100, 100), k % 3 ? 5000 : 0, k % 5 == 0, false, false, false};
        found += check_form(&f);
    }
    assert_int_equal(found, 16);
}

/* Where a scale alone is too coarse, a machine whose additions run beside multiplications adds a sum to itself at another exponent, and
 * others multiply it. */
static void test_powers(void **state)
{
    (void)state;
    int found = 0;
    for (int k = 0; k < 12; k++) {
        const Form f = {k % 2 ? "u8" : "i8", (int)pick(39, 40), (int)pick(9, 10), (int)pick(-100, 100), k % 3 ? 50000 : 0, k % 4 == 0, false, false, true};
        const char *text = program_of(&f);
        const Unit *multiplied = checked(text, "x86-64-v4-vnni"), *added = checked(text, "znver4");
        assert_false(uses(multiplied, "power"));
        assert_true(!uses(added, "power") || uses(multiplied, "gain"));
        found += uses(added, "power") && !uses(added, "gain");
    }
    assert_in_range(found, 6, 12);
}

/* Powers of two, whose ties are sums; an odd zero point does not change which way they go. */
static void test_ties(void **state)
{
    (void)state;
    for (int k = 0; k < 8; k++)
        assert_true(check_form(&(Form){k % 2 ? "u8" : "i8", 31, k, k, k % 4 ? 300 : 0, true, true, false, false}));
}

/* Ties that go up: a scale a little larger takes them there, where sums are few. */
static void test_ties_up(void **state)
{
    (void)state;
    assert_true(check_form(&(Form){"u8", 31, 4, 0, 0, false, true, false, false}));
}

/* What zero points take from a sum is part of the bias, wherever it is subtracted. */
static void test_less(void **state)
{
    (void)state;
    for (int k = 0; k < 4; k++) {
        const Form f = {k % 2 ? "u8" : "i8", 30, 6, 7, k > 1 ? 5000 : 0, false, false, true, false};
        assert_true(check_form(&f));
        assert_false(uses(scheduled(program_of(&f), "x86-64-v3"), ".l["));
    }
}

/* What would leave the floats without a fraction. */
static void test_refused(void **state)
{
    (void)state;
    assert_false(check_form(&(Form){"u8", 20, -8, 0, 0, false, true, false, false}));
}

/* sat((a - p)*m + (b - q)*n + c >> 20): whether the schedule for the machine does it in floats; it gives what the integers give. */
static bool check_pair(const char *march, int64_t m, int64_t n, int64_t zero)
{
    unsigned char *a = NEWN(arena, unsigned char, PAIRS), *b = NEWN(arena, unsigned char, PAIRS);
    for (int k = 0; k < PAIRS; k++) {
        a[k] = (unsigned char)k;
        b[k] = (unsigned char)(k >> 8);
    }
    const char *text = str_fmt(arena,
                               "input 0 %%a u8[%d]\ninput 1 %%b u8[%d]\n%%y u8[i:%d] = sat_u8(i32(shr(i64(i32(%%a[i]) - 131i32)*%lldi64 + "
                               "i64(i32(%%b[i]) - 97i32)*%lldi64 + %lldi64, 20i64)))\noutput 0 %%y\n",
                               PAIRS, PAIRS, PAIRS, (long long)m, (long long)n, (long long)(zero * (1 << 20) + (1 << 19)));
    const mlcc_tensor in[] = {{a, 2, 1, {PAIRS}}, {b, 2, 1, {PAIRS}}};
    const Unit *unit[] = {scheduled(text, "generic"), scheduled(text, march)};
    mlcc_tensor out[] = {{.data = arena_alloc(arena, PAIRS, 64)}, {.data = arena_alloc(arena, PAIRS, 64)}};
    for (int k = 0; k < 2; k++)
        assert_true(unit_run(arena, unit[k], in, &out[k]));
    if (memcmp(out[0].data, out[1].data, PAIRS) != 0)
        fail_msg("%s: other values for %s", text, march);
    return uses(unit[1], "bits_i32(");
}

static void test_pairs(void **state)
{
    (void)state;
    int found[2] = {0};
    for (int k = 0; k < 12; k++) {
        const int64_t m = pick(1 << 18, 1 << 21), n = pick(1 << 18, 1 << 21), zero = pick(0, 255);
        found[0] += check_pair("x86-64-v3", m, n, zero);
        found[1] += check_pair("x86-64-v2", m, n, zero);
    }
    assert_int_equal(found[0], 12);
    assert_in_range(found[1], 6, 12);
}

/* ---- sums that start with what makes them floats ---- */

enum { ROWS = 24 };

/* sat_u8(((sum(k) x[i,k]*w[m,k] + b[m])*f[m] + half) >> 34) of so many steps. */
static const char *dense(int steps)
{
    Text t = {.arena = arena};
    text_add(&t, "input 0 %%x u8[%d,%d]\nconst %%f i64[%d] (", ROWS, steps, CHANNELS);
    for (int m = 0; m < CHANNELS; m++)
        text_add(&t, "%s%lld", m ? ", " : "", (long long)pick(1 << 20, 1 << 23));
    text_add(&t, ")\nconst %%b i32[%d] (", CHANNELS);
    for (int m = 0; m < CHANNELS; m++)
        text_add(&t, "%s%lld", m ? ", " : "", (long long)pick(-200000, 200000));
    text_add(&t, ")\nconst %%w i8[%d,%d] (", CHANNELS, steps);
    for (int k = 0; k < CHANNELS * steps; k++)
        text_add(&t, "%s%lld", k ? ", " : "", (long long)pick(-127, 127));
    text_add(&t, ")\n%%d i32[i:%d,m:%d] = sum(k:%d) i32(%%x[i,k])*i32(%%w[m,k])\n", ROWS, CHANNELS, steps);
    text_add(&t, "%%y u8[i:%d,m:%d] = sat_u8(i32(shr(i64(%%d[i,m] + %%b[m])*i64(%%f[m]) + %lldi64, 34i64)))\noutput 0 %%y\n", ROWS, CHANNELS, 1LL << 33);
    return text_str(&t);
}

enum { FEW_STEPS = 40 };

/* Whether sums start so; they give what the integers give, for rows at random and at both ends. */
static bool starts(const char *march, int steps)
{
    unsigned char *x = NEWN(arena, unsigned char, (size_t)(ROWS * steps));
    for (int k = 0; k < ROWS * steps; k++)
        x[k] = (unsigned char)(k / steps == 0 ? 0 : k / steps == 1 ? 255 : k / steps < 4 ? 255 * (rand() % 2) : rand());
    const char *text = dense(steps);
    const Unit *unit[] = {scheduled(text, "generic"), scheduled(text, march)};
    const mlcc_tensor in = {x, 2, 2, {ROWS, steps}};
    mlcc_tensor out[2];
    for (int k = 0; k < 2; k++) {
        out[k] = (mlcc_tensor){.data = arena_alloc(arena, ROWS * CHANNELS, 64)};
        assert_true(unit_run(arena, unit[k], &in, &out[k]));
    }
    if (memcmp(out[0].data, out[1].data, ROWS * CHANNELS) != 0)
        fail_msg("%s: other values for %s", text, march);
    const bool started = uses(unit[1], "acc acc = %") && uses(unit[1], "bits_f32(acc)");
    if (steps <= FEW_STEPS) /* their scales are fine enough for one multiply-add, behind a start that is found for each channel */
        assert_true(started && uses(unit[1], "offset") && !uses(unit[1], "gain") && !uses(unit[1], "power"));
    return started;
}

static void test_starts(void **state)
{
    (void)state;
    assert_true(starts("x86-64-v3", FEW_STEPS));
    assert_true(starts("znver4", FEW_STEPS));
    assert_true(starts("znver4", 300));
    assert_true(starts("x86-64-v4-vnni", 300)); /* as these weights are, not as large as they could be */
    assert_false(starts("x86-64-v4-vnni", 1200));
    assert_false(starts("sapphirerapids", 300)); /* left to the matrix unit */
}

static void find_start(void *ctx, Nest *n)
{
    const Tile **t = ctx;
    *t = n->op == NS_tile && n->tile->init ? n->tile : *t;
}

/* A sum that may wrap may do so from wherever it starts: nothing is known of it. */
static void test_wraps(void **state)
{
    (void)state;
    const Unit *u = scheduled("input 0 %x i32[4,64]\nconst %w i32[64,8] (fill 3)\nconst %b i32[8] (1, 2, 3, 4, 5, 6, 7, 8)\n"
                              "%d i32[i:4,m:8] = sum(k:64) %x[i,k]*%w[k,m]\n%y i32[i:4,m:8] = %d[i,m] + %b[m]\noutput 0 %y\n", "x86-64-v3");
    const Tile *t = NULL;
    nest_walk(u->func.at[0]->body, find_start, &t);
    assert_non_null(t);
    assert_int_equal(ex_var_info(cx.x, t->acc)->lo, INT32_MIN);
    assert_int_equal(ex_var_info(cx.x, t->acc)->hi, INT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_random, setup, teardown),
        cmocka_unit_test_setup_teardown(test_powers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ties, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ties_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_less, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_starts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wraps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pairs, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Scaled sums of integers in floats: the schedule of a machine with fused multiply-adds against the integers of the plain one,
 * for every sum of 16 bits and factors, biases, shifts and zero points at random; ties, and what has no form in floats.
 */
#include "context.h"
#include "compiler/schedule.h"

enum { SUMS = 1 << 16, CHANNELS = 24 };

static int64_t pick(int64_t lo, int64_t hi) { return lo + rand() % (hi - lo + 1); }

/* sat((i64(x + b[m])*f[m] + c) >> shift), f such that f / 2^shift is about 2^-down, c with half and the zero point. */
typedef struct Form { const char *dt; int shift, down, zero, bias; bool even, same; } Form;

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
    const char *sum = f->bias ? "(i32(%x[i]) + %b[m])" : "%x[i]";
    const char *product = str_fmt(arena, "i64(i32(%s))*i64(%%f[m])", sum);
    const int64_t add = f->zero * ((int64_t)1 << f->shift) + ((int64_t)1 << (f->shift - 1)) - f->even;
    const char *bit = f->even ? str_fmt(arena, " + (shr(%s, %di64) & 1i64)", product, f->shift) : "";
    text_add(&t, ")\n%%y %s[m:%d,i:%d] = sat_%s(i32(shr(%s%s + %lldi64, %di64)))\noutput 0 %%y\n", f->dt, CHANNELS, SUMS, f->dt, product,
             bit, (long long)add, f->shift);
    return text_str(&t);
}

static const Unit *scheduled(const char *text, const char *march)
{
    Machine m;
    const Te *te = te_parse(&cx, text);
    if (!te || te_verify(arena, te) || !machine_for(&diags, "host", march, &m))
        fail_msg("%s%s", text, problems());
    const Unit *u = build_nests(&cx, march[0] == 'g' ? schedule_O0(arena, te) : schedule_auto(arena, te, &m, NULL, 1), "test");
    assert_non_null(u);
    return u;
}

static bool uses_floats(const Unit *u)
{
    Text t = {.arena = arena};
    unit_print(&t, u);
    return strstr(text_str(&t), "fma(") != NULL;
}

static unsigned char *results(const Unit *u, int16_t *x)
{
    const mlcc_tensor in = {x, 5, 1, {SUMS}};
    mlcc_tensor out = {.data = arena_alloc(arena, SUMS * CHANNELS, 64)};
    assert_true(unit_run(arena, u, &in, &out));
    return out.data;
}

/* Whether there is a form in floats; it gives what the integers give. */
static bool check_form(const Form *f)
{
    int16_t *x = NEWN(arena, int16_t, SUMS);
    for (int k = 0; k < SUMS; k++)
        x[k] = (int16_t)(k - SUMS / 2);
    const char *text = program_of(f);
    const Unit *plain = scheduled(text, "generic"), *fast = scheduled(text, "x86-64-v3");
    const unsigned char *want = results(plain, x), *got = results(fast, x);
    assert_false(uses_floats(plain));
    for (int k = 0; k < SUMS * CHANNELS; k++)
        if (want[k] != got[k])
            fail_msg("%s: sum %d gives %d, not %d", text, x[k % SUMS], got[k], want[k]);
    return uses_floats(fast);
}

static void test_random(void **state)
{
    (void)state;
    int found = 0;
    for (int k = 0; k < 16; k++) {
        const Form f = {k % 2 ? "u8" : "i8", (int)pick(26, 34), (int)pick(4, 8), (int)pick(-100, 100), k % 3 ? 5000 : 0, k % 5 == 0, false};
        found += check_form(&f);
    }
    assert_int_equal(found, 16);
}

/* Powers of two, whose ties are sums; an odd zero point does not change which way they go. */
static void test_ties(void **state)
{
    (void)state;
    for (int k = 0; k < 8; k++)
        assert_true(check_form(&(Form){k % 2 ? "u8" : "i8", 31, k, k, k % 4 ? 300 : 0, true, true}));
}

/* Ties that go up: a scale a little larger takes them there, where sums are few. */
static void test_ties_up(void **state)
{
    (void)state;
    assert_true(check_form(&(Form){"u8", 31, 4, 0, 0, false, true}));
}

/* What would leave the floats without a fraction. */
static void test_refused(void **state)
{
    (void)state;
    assert_false(check_form(&(Form){"u8", 20, -8, 0, 0, false, true}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_random, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ties, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ties_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes on their way between floats: the schedule of a machine with vectors against the plain one, for all bytes and many channels.
 * What is said to be exact is compared to the bit; short forms by how many bytes differ, and by how much.
 */
#include <math.h>

#include "scheduled.h"

enum { SUMS = 1 << 12, CHANNELS = 40 };

static double uniform(double lo, double hi) { return lo + (hi - lo) * (rand() % 10001) / 10000; }

static bool uses(const Unit *u, const char *what)
{
    Text t = {.arena = arena};
    unit_print(&t, u);
    const char *body = strstr(text_str(&t), "\n  var"); /* behind the notes */
    return body && strstr(body, what) != NULL;
}

/* The program with a byte q[m,i] that is made of a sum of 16 bits, and y of q. `bias` is a vector over m. */
static const char *program(const char *type, double bias, const char *y)
{
    Text t = {.arena = arena};
    text_add(&t, "input 0 %%x i16[%d]\nconst %%bias f32[%d] (", SUMS, CHANNELS);
    for (int m = 0; m < CHANNELS; m++)
        text_add(&t, "%s%.9g", m ? ", " : "", uniform(-bias, bias));
    text_add(&t, ")\nconst %%f i64[%d] (", CHANNELS);
    for (int m = 0; m < CHANNELS; m++)
        text_add(&t, "%s%d", m ? ", " : "", (1 << 27) + rand() % (1 << 27));
    text_add(&t, ")\n%%q u8[m:%d,i:%d] = sat_u8(i32(shr(i64(i32(%%x[i]))*i64(%%f[m]) + %lldi64, 30i64)))\n", CHANNELS, SUMS, (120LL << 30) + (1LL << 29));
    text_add(&t, "%%y %s[m:%d,i:%d] = %s\noutput 0 %%y\n", type, CHANNELS, SUMS, y);
    return text_str(&t);
}

/* What both schedules give, as bytes or floats of so many bytes each. */
typedef struct Pair { const Unit *fast; const unsigned char *want, *got; } Pair;

static Pair both_on(const char *march, const char *text, int each)
{
    int16_t *x = NEWN(arena, int16_t, SUMS);
    for (int k = 0; k < SUMS; k++)
        x[k] = (int16_t)(k - SUMS / 2);
    const mlcc_tensor in = {x, 5, 1, {SUMS}};
    const Unit *unit[] = {scheduled(text, "generic"), scheduled(text, march)};
    unsigned char *data[2];
    for (int k = 0; k < 2; k++) {
        mlcc_tensor out = {.data = data[k] = arena_alloc(arena, (size_t)(SUMS * CHANNELS * each), 64)};
        assert_true(unit_run(arena, unit[k], &in, &out));
    }
    return (Pair){unit[1], data[0], data[1]};
}

static Pair both(const char *text, int each) { return both_on("x86-64-v3", text, each); }

static void assert_equal_bytes(const char *text, const Pair *p, int each)
{
    for (int k = 0; k < SUMS * CHANNELS * each; k++)
        if (p->want[k] != p->got[k])
            fail_msg("%s: at %d %d, not %d", text, k / each, p->got[k], p->want[k]);
}

/* A byte that is read as a float is never made. */
static void test_byte_as_float(void **state)
{
    (void)state;
    const char *text = program("f32", 1, "f32(i32(%q[m,i]) - 131i32)*0.0375f32");
    const Pair p = both(text, 4);
    assert_equal_bytes(text, &p, 4);
    assert_false(uses(p.fast, "sat_u8("));
    assert_true(uses(p.fast, "min(max("));
}

/* A sum that is added to itself at another exponent has bounds, too: what is made of it is rounded by an addition. */
static void test_power(void **state)
{
    (void)state;
    Text t = {.arena = arena};
    text_add(&t, "input 0 %%x i16[%d]\nconst %%f i64[%d] (", SUMS, CHANNELS);
    for (int m = 0; m < CHANNELS; m++)
        text_add(&t, "%s%d", m ? ", " : "", (1 << 29) + rand() % (1 << 29));
    text_add(&t, ")\n%%q u8[m:%d,i:%d] = sat_u8(i32(shr(i64(i32(%%x[i])*99i32)*i64(%%f[m]) + %lldi64, 40i64)))\n", CHANNELS, SUMS, (120LL << 40) + (1LL << 39));
    text_add(&t, "%%y u8[m:%d,i:%d] = sat_u8(rint(f32(i32(%%q[m,i]) - 131i32)*0.3f32) + 9f32)\noutput 0 %%y\n", CHANNELS, SUMS);
    const Pair p = both_on("znver4", text_str(&t), 1);
    assert_equal_bytes(text_str(&t), &p, 1);
    assert_true(uses(p.fast, "power"));
    assert_false(uses(p.fast, "rint("));
}

/* Scaled, moved by the channel, a byte again. */
static void test_line(void **state)
{
    (void)state;
    int lines = 0;
    for (int k = 0; k < 12; k++) {
        const double s = uniform(0.01, 0.05), to = s * uniform(0.7, 1.4);
        const int z = rand() % 200;
        const char *quantized = str_fmt(arena, "sat_u8(rint((f32(i32(%%q[m,i]) - %di32)*%.9gf32 + %%bias[m])/%.9gf32) + %d.0f32)", z, s, to, rand() % 200);
        const char *text = program(k % 2 ? "i8" : "u8", 0.8, k % 2 ? str_fmt(arena, "i8(i32(%s) - 128i32)", quantized) : quantized);
        const Pair p = both(text, 1);
        assert_equal_bytes(text, &p, 1);
        lines += uses(p.fast, "moved");
        assert_true(uses(p.fast, k % 2 ? "sat_i8(bits_i32(" : "sat_u8(bits_i32("));
    }
    assert_int_equal(lines, 12);
}

/* Ties: half of the quotients lie on a step, and go to even as the model's do. */
static void test_line_of_ties(void **state)
{
    (void)state;
    const char *text = program("u8", 0, "sat_u8(rint((f32(i32(%q[m,i]) - 100i32)*0.25f32 + 0.5f32)/0.5f32) + 7.0f32)");
    const Pair p = both(text, 1);
    assert_equal_bytes(text, &p, 1);
}

static const char *gelu(const char *x) { return str_fmt(arena, "sat_u8(rint(%s*(erf(%s/1.4142135f32) + 1.0f32)*0.5f32/0.019f32) + 9.0f32)", x, x); }

/* GELU: of a byte at most one step off, and that seldom; as the model says it in -ffp=strict. */
static void test_function(void **state)
{
    (void)state;
    const char *text = program("u8", 0.5, gelu("(f32(i32(%q[m,i]) - 131i32)*0.0375f32 + %bias[m])"));
    const Pair p = both(text, 1);
    int off = 0;
    for (int k = 0; k < SUMS * CHANNELS; k++) {
        assert_in_range(p.got[k] + 1 - p.want[k], 0, 2);
        off += p.got[k] != p.want[k];
    }
    assert_in_range(off, 0, SUMS * CHANNELS / 500);
    assert_true(uses(p.fast, "erfq("));
    cx.fp = FP_strict;
    const Pair strict = both(text, 1);
    assert_equal_bytes(text, &strict, 1);
    assert_false(uses(strict.fast, "erfq("));
}

/* Where nothing bounds a float, and it may not be a number, it saturates as a float. */
static void test_unbounded(void **state)
{
    (void)state;
    const Unit *u = scheduled("input 0 %x f32[64]\n%y u8[i:64] = sat_u8(rint(%x[i]*(erf(%x[i]) + 1.0f32)) + 3.0f32)\noutput 0 %y\n", "x86-64-v3");
    float x[64] = {NAN, INFINITY, -INFINITY, 1e30f, -1e30f};
    unsigned char y[64];
    const mlcc_tensor in = {x, 1, 1, {64}};
    mlcc_tensor out = {.data = y};
    assert_true(unit_run(arena, u, &in, &out));
    assert_false(uses(u, "bits_i32("));
    assert_int_equal(y[0], 0);
    assert_int_equal(y[1], 255);
    assert_int_equal(y[3], 255);
}

/* A model may round by that number itself, where it does not: its bytes are made as it says. */
static void test_no_rounder(void **state)
{
    (void)state;
    const char *text = "input 0 %x f32[64]\n%q u8[i:64] = sat_u8(bits_i32(%x[i] + 12582912.0f32) - 1262485504i32)\n"
                       "%y f32[i:64] = f32(%q[i])*0.5f32\noutput 0 %y\n";
    float x[64] = {-12582913.0f, -3e7f, 3e7f, -1, 200, 7.5f}, y[2][64];
    const mlcc_tensor in = {x, 1, 1, {64}};
    const Unit *unit[] = {scheduled(text, "generic"), scheduled(text, "x86-64-v3")};
    for (int k = 0; k < 2; k++)
        assert_true(unit_run(arena, unit[k], &in, &(mlcc_tensor){.data = y[k]}));
    assert_memory_equal(y[0], y[1], sizeof y[0]);
    assert_false(uses(unit[1], "min(max("));
}

/* What is not exact anyway is multiplied by one reciprocal; what is exact is divided. */
static void test_quotient(void **state)
{
    (void)state;
    const char *softmax = "input 0 %x f32[8,64]\n%e f32[i:8,j:64] = exp(%x[i,j])\n%s f32[i:8] = sum(r:64) %e[i,r]\n"
                          "%y u8[i:8,j:64] = sat_u8(rint(%e[i,j]/%s[i]/0.25f32))\noutput 0 %y\n";
    const char *exact = "input 0 %x f32[8,64]\ninput 1 %s f32[8]\n%y f32[i:8,j:64] = %x[i,j]/%s[i]/0.003f32\noutput 0 %y\n";
    assert_true(uses(scheduled(softmax, "x86-64-v3"), "*(4f32/"));
    assert_true(uses(scheduled(exact, "x86-64-v3"), "/0.003f32"));
    cx.fp = FP_strict;
    assert_true(uses(scheduled(softmax, "x86-64-v3"), "/0.25f32"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_byte_as_float, setup, teardown), cmocka_unit_test_setup_teardown(test_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_line_of_ties, setup, teardown),  cmocka_unit_test_setup_teardown(test_function, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_rounder, setup, teardown),    cmocka_unit_test_setup_teardown(test_power, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unbounded, setup, teardown),     cmocka_unit_test_setup_teardown(test_quotient, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Schedules that a person writes: what can be built is built, what contradicts itself is refused with the stage and why.
 */
#include "context.h"
#include "compiler/schedule.h"

/* A product, an epilogue, a sum of rows that two later stages read, two results side by side. */
static const char program[] =
    "input 0 %x f32[6,8]\n"
    "input 1 %w f32[8,5]\n"
    "%d f32[i:6,j:5] = sum(k:8) %x[i,k]*%w[k,j]\n"
    "%e f32[i:6,j:5] = max(%d[i,j], 0f32)\n"
    "%s f32[i:6] = sum(j:5) %e[i,j]\n"
    "%n f32[i:6,j:5] = %e[i,j]/%s[i]\n"
    "%m f32[i:6] = %s[i]*2f32\n"
    "%g f32[i:6,j:5] = %e[i,j]*3f32\n"
    "%c f32[i:6,j:10] = select(lt(j, 5), %e[i,j], %g[i,j-5])\n"
    "output 0 %n\n"
    "output 1 %m\n"
    "output 2 %c\n";

static Schedule *scheduled(const char *text, bool *ok)
{
    const Te *t = te_parse(&cx, program);
    if (!t || te_verify(arena, t))
        fail_msg("%s%s", problems(), t ? te_verify(arena, t) : "");
    Schedule *s = schedule_O0(arena, t);
    *ok = schedule_parse(s, &diags, text);
    return s;
}

static void test_good(void **state)
{
    (void)state;
    static const char *const good[] = {
        "",
        "%d register %e\n%e root loop i 2; tile j\n",
        "%e inline\n",
        "%d root loop i 1; loop j 5; tile j\n",
        "%d root loop i 1; loop j 5; tile j; fetch 3 far 4096\n",
        "%d root loop i 1; loop j 5; tile j; tail 16\n",
        "%d root loop i 1; loop j 5; tile j; matrix bypass\n",
        "%d root loop i 2 first last; loop j 5; tile j\n",
        "%d at %e 1 loop i 1\n%e root loop i 4 first; tile j\n",
        "layout %e 0 1 within %c 1 0\nlayout %g 0 1 within %c 1 5\n",
        "layout %e 0 1 within %c 1 0\nlayout %g 0 1 within %c 1 5\nlayout %c 0 1 halo 1 2 1\n",
        "layout %g 1 0 within %c 1 5\n%g root tile j\n",
    };
    for (size_t k = 0; k < COUNT(good); k++) {
        bool ok;
        diags = (Diags){.arena = arena, .file = "test"};
        const Schedule *s = scheduled(good[k], &ok);
        if (!ok)
            fail_msg("%s%s", good[k], problems());
        assert_non_null(build_nests(&cx, s, "test"));
    }
}

static void test_bad(void **state)
{
    (void)state;
    static const struct { const char *schedule, *what; } bad[] = {
        {"%q root", "expected the name of a tensor"},
        {"%e outside", "expected root, inline, register or at"},
        {"%e root loop z 1", "expected an index variable of the stage"},
        {"%e root loop i 0", "expected: loop VARIABLE STEP"},
        {"%d root tile j; fetch far", "expected: fetch STEPS"},
        {"%d root tile j; fetch 3 far", "expected: fetch STEPS"},
        {"%d root tile j; tail 0", "expected: tail STEPS, 1 to 127"},
        {"%s inline", "only a map that is no output can be inline"},
        {"%e register %s", "only a reduction can live in registers"},
        {"%e at %d 0", "its host must be a later stage at root"},
        {"%s at %n 0", "is read by %m, which is not made in its host"},
        {"%e at %n 0", "is read by %s, which is not made in its host"},
        {"%s register %n", "is read by %m, which is not made in its host"},
        {"%d register %e\n%e inline", "its host must be a later stage at root"},
        {"%d at %e 1", "its host has 0 loops, fewer than 1"},
        {"layout %e 0 1 within %c", "expected: within %TENSOR DIMENSION FIRST"},
        {"layout %e 0 1 within %c 2 0", "expected: within %TENSOR DIMENSION FIRST"},
        {"layout %e 0 1 within %c 1 5", "%e does not lie within %c from 5 of dimension 1 on"},
        {"layout %e 0 1 within %c 0 0", "%e does not lie within %c from 0 of dimension 0 on"},
        {"layout %n 0 1 within %c 1 0", "%n does not lie within %c"},
        {"layout %x 0 1 within %e 1 0", "%x does not lie within %e"},
        {"layout %e 0 1 within %c 1 0\n%e inline", "%e does not lie within %c"},
        {"layout %e 0 1 halo 1 0 1 within %c 1 0", "%e does not lie within %c"},
    };
    for (size_t k = 0; k < COUNT(bad); k++) {
        bool ok;
        diags = (Diags){.arena = arena, .file = "test"};
        (void)scheduled(bad[k].schedule, &ok);
        if (ok || !strstr(problems(), bad[k].what))
            fail_msg("%s: %s", bad[k].schedule, ok ? "accepted" : problems());
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

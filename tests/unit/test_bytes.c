/* SPDX-License-Identifier: Apache-2.0
 *
 * Arithmetic of bytes as it is scheduled against its plain meaning, to the bit: contractions with zero points
 * (compiler/auto_zero.c), with signs that the machine multiplies (auto_sign.c), of two activations (auto_pack.c) and of
 * joined heads (auto_join.c), of numbers of 16 bits (auto_words.c), sums of scaled bytes in floats (auto_pair.c); and that the forms are taken where they pay and
 * only there.
 */
#include "against.h"

/* Whether tiles multiply what is stored, and how many operands were packed at run time. */
typedef struct Forms { Exprs *x; bool plain; int packed; } Forms;

static void find_difference(void *ctx, Nest *n)
{
    Forms *f = ctx;
    const Expr *e = n->op == NS_tile && n->tile->red == RED_sum ? n->tile->body : NULL;
    if (e && e->op == EX_mul)
        f->plain = f->plain && e->a[0]->op == EX_cast && e->a[1]->op == EX_cast;
}

static Forms forms_of(const Unit *u)
{
    Forms f = {u->cx->x, true, 0};
    for (uint32_t k = 0; k < u->func.n; k++)
        nest_walk(u->func.at[k]->body, find_difference, &f);
    for (uint32_t k = 1; k < u->buf.n; k++)
        f.packed += buf(u, k)->cls == BC_arena && strstr(buf(u, k)->name, ".packed") != NULL;
    return f;
}

typedef struct Case { const char *graph; bool plain; int packed; } Case;

static void check(const Case *c, const char *march)
{
    const char *graph = str_fmt(arena, "graph g\n%s", c->graph);
    const Unit *plain = compiled(graph, 0, "generic").unit, *u = compiled(graph, 3, march).unit;
    const Forms f = forms_of(u);
    const mlcc_tensor *in = inputs_of(plain);
    const char *error = nest_check(arena, u);
    if (error)
        fail_msg("%s on %s: %s", c->graph, march, error);
    if (f.plain != c->plain || f.packed != c->packed)
        fail_msg("%s on %s: %s, %d operands packed", c->graph, march, f.plain ? "of what is stored" : "of differences", f.packed);
    assert_same_results(plain, u, in);
}

static void check_all(const Case *c, size_t n)
{
    static const char *const march[] = {"generic", "x86-64-v2", "x86-64-v3", "x86-64-v4-vnni", "sapphirerapids", "neon-dotprod"};
    for (size_t k = 0; k < n; k++)
        for (size_t m = 0; m < COUNT(march); m++)
            check(&c[k], march[m]);
}

static void test_constants(void **state)
{
    (void)state;
    const Case cases[] = {
        {str_fmt(arena, "input %%x u8[20,24]\ninput %%p u8[]\n%s%%y i32 = MatMulInteger %%x %%w %%p\noutput %%y\n", byte_constant("w", "i8", 24, 40)), true, 0},
        {str_fmt(arena, "input %%x i8[2,9,24]\ninput %%p i8[]\ninput %%q i8[40]\n%s%%y i32 = MatMulInteger %%x %%w %%p %%q\noutput %%y\n", byte_constant("w", "i8", 24, 40)), true, 0},
        {str_fmt(arena, "input %%x u8[20,22]\ninput %%p u8[20]\ninput %%q u8[40]\n%s%%y i32 = MatMulInteger %%x %%w %%p %%q\noutput %%y\n", byte_constant("w", "u8", 22, 40)), true, 0},
        {str_fmt(arena, "input %%x u8[20,4]\ninput %%p u8[]\n%s%%y i32 = MatMulInteger %%x %%w %%p\noutput %%y\n", byte_constant("w", "i8", 4, 40)), false, 0},
    };
    check_all(cases, COUNT(cases));
}

static void test_activations(void **state)
{
    (void)state;
    static const Case cases[] = {
        {"input %x u8[3,20,24]\ninput %w u8[3,24,70]\ninput %p u8[]\ninput %q u8[]\n%y i32 = MatMulInteger %x %w %p %q\noutput %y\n", true, 1},
        {"input %x u8[12,24]\ninput %w i8[24,33]\n%y i32 = MatMulInteger %x %w\noutput %y\n", true, 1},
        /* heads: K and the lanes are parts of a dimension */
        {"input %x u8[20,48]\ninput %w u8[24,48]\ninput %p u8[]\nconst %s i64[3] (0, 2, 24)\n%xs ? = Reshape %x %s\n%ws ? = Reshape %w %s\n"
         "%xt ? = Transpose %xs {perm=[1,0,2]}\n%wt ? = Transpose %ws {perm=[1,2,0]}\n%y i32 = MatMulInteger %xt %wt %p\noutput %y\n", true, 1},
        {"input %x u8[4,24]\ninput %w u8[24,33]\ninput %p u8[]\n%y i32 = MatMulInteger %x %w %p\noutput %y\n", true, 0}, /* few rows */
        {"input %x u8[20,26]\ninput %w u8[26,33]\ninput %q u8[]\n%y i32 = MatMulInteger %x %w %q\noutput %y\n", true, 1}, /* not in quads */
    };
    check_all(cases, COUNT(cases));
}

/* Heads that are joined again are read as they lie, and the product of them is one of dots. */
static void test_joined(void **state)
{
    (void)state;
    const Case cases[] = {
        {str_fmt(arena, "input %%x u8[3,20,24]\n%s%%p i32 = MatMulInteger %%x %%v\n%%b ? = Cast %%p {to=2}\n%%t ? = Transpose %%b {perm=[1,0,2]}\n"
                 "const %%s i64[2] (20, 60)\n%%j ? = Reshape %%t %%s\n%s%%y i32 = MatMulInteger %%j %%w\noutput %%y\n",
                 byte_constant("v", "i8", 24, 20), byte_constant("w", "i8", 60, 40)), true, 0},
    };
    check_all(cases, COUNT(cases));
    const char *text = str_fmt(arena, "graph g\n%s", cases[0].graph);
    assert_int_equal(compiled(text, 3, "x86-64-v4-vnni").unit->func.n, 2);
}

static void find_mixed(void *ctx, Nest *n)
{
    bool *mixed = ctx;
    const Expr *e = n->op == NS_tile && n->tile->red == RED_sum ? n->tile->body : NULL;
    if (e && e->op == EX_mul)
        *mixed = e->a[0]->a[0]->dt != e->a[1]->a[0]->dt;
}

/* Tensors of the scheduler's own get the sign that the machine's dots take; a second reader and padding see the same values. */
static void test_signs(void **state)
{
    (void)state;
    const char *weight = byte_constant("w", "i8", 24, 40);
    const struct { const char *graph, *march; bool mixed; } cases[] = {
        {"input %p i32[3,20,24]\ninput %q i32[3,24,33]\ninput %z u8[]\n%a ? = Cast %p {to=2}\n%b ? = Cast %q {to=2}\n%y i32 = MatMulInteger %a %b %z\noutput %y\n", "x86-64-v4-vnni", true},
        {str_fmt(arena, "input %%p i32[20,24]\n%s%%a ? = Cast %%p {to=3}\n%%y i32 = MatMulInteger %%a %%w\n%%n ? = Neg %%a\noutput %%y\noutput %%n\n", weight), "x86-64-v4-vnni", true},
        {str_fmt(arena, "input %%p i32[20,24]\n%s%%a ? = Cast %%p {to=2}\n%%y i32 = MatMulInteger %%a %%w\noutput %%y\n", weight), "neon-dotprod", false},
        {str_fmt(arena, "input %%p i32[1,8,6,6]\n%sconst %%s i64[4] (20, 8, 3, 2)\n%%f ? = Reshape %%w %%s\n%%a ? = Cast %%p {to=3}\n"
                 "%%y i32 = ConvInteger %%a %%f {pads=[1,1,1,1]}\noutput %%y\n", weight), "x86-64-v4-vnni", true},
        {str_fmt(arena, "input %%a i8[20,24]\n%s%%y i32 = MatMulInteger %%a %%w\noutput %%y\n", weight), "x86-64-v4-vnni", true}, /* the caller's, copied */
        {str_fmt(arena, "input %%a i8[1,6,6,3]\nconst %%s i64[4] (40, 3, 2, 2)\n%s%%f ? = Reshape %%w %%s\n%%t ? = Transpose %%a {perm=[0,3,1,2]}\n"
                 "%%y i32 = ConvInteger %%t %%f {pads=[1,1,1,1]}\noutput %%y\n", byte_constant("w", "i8", 12, 40)), "x86-64-v4-vnni", true}, /* rows of a picture */
    };
    for (size_t k = 0; k < COUNT(cases); k++) {
        const char *graph = str_fmt(arena, "graph g\n%s", cases[k].graph);
        const Unit *plain = compiled(graph, 0, "generic").unit, *u = compiled(graph, 3, cases[k].march).unit;
        const mlcc_tensor *in = inputs_of(plain);
        bool mixed = false;
        for (uint32_t f = 0; f < u->func.n; f++)
            nest_walk(u->func.at[f]->body, find_mixed, &mixed);
        if (mixed != cases[k].mixed)
            fail_msg("case %zu multiplies bytes of %s", k, mixed ? "both signs" : "one sign");
        assert_same_results(plain, u, in);
    }
}

/* Operands in 16 bits where a machine multiplies pairs of those (compiler/auto_words.c): copies of inputs, tensors that others read, too, rows of
 * three channels; an odd number of steps stays as it is, and so does a model of few constants. */
static void test_words(void **state)
{
    (void)state;
    const char *weight = byte_constant("w", "i8", 24, 40), *odd = byte_constant("w", "u8", 25, 40), *taps = byte_constant("w", "i8", 12, 40);
    const struct { const char *graph; bool words; } cases[] = {
        {str_fmt(arena, "input %%x u8[20,24]\ninput %%p u8[]\n%s%%y i32 = MatMulInteger %%x %%w %%p\noutput %%y\n", weight), true},
        {str_fmt(arena, "input %%p i32[20,24]\n%s%%a ? = Cast %%p {to=2}\n%%y i32 = MatMulInteger %%a %%w\n%%b ? = Cast %%a {to=1}\n"
                 "%%c ? = Cast %%a {to=3}\n%%d ? = Cast %%c {to=1}\noutput %%y\noutput %%b\noutput %%d\n", weight), true},
        {"input %x u8[3,20,24]\ninput %q i32[3,24,70]\n%w ? = Cast %q {to=2}\n%y i32 = MatMulInteger %x %w\noutput %y\n", true},
        {str_fmt(arena, "input %%a u8[1,3,6,7]\nconst %%s i64[4] (40, 3, 2, 2)\nconst %%z u8[] (77)\n%s%%f ? = Reshape %%w %%s\n"
                 "%%y i32 = ConvInteger %%a %%f %%z {pads=[1,1,1,1]}\noutput %%y\n", taps), true},
        {str_fmt(arena, "input %%x i8[20,25]\n%s%%y i32 = MatMulInteger %%x %%w\noutput %%y\n", odd), false},
    };
    static const struct { const char *march; bool pairs; } machines[] = {{"x86-64-v2", true}, {"x86-64-v3", true}, {"znver3", true}, {"x86-64-v4", true}, {"x86-64-v3-vnni", false}};
    for (size_t k = 0; k < COUNT(cases); k++)
        for (size_t m = 0; m < COUNT(machines); m++) {
            const char *graph = str_fmt(arena, "graph g\n%s%s", cases[k].graph, MANY_CONSTANTS);
            const Unit *plain = compiled(graph, 0, "generic").unit, *u = compiled(graph, 3, machines[m].march).unit;
            int words = 0;
            for (uint32_t b = 1; b < u->buf.n; b++)
                words += buf(u, b)->dt == DT_i16;
            if ((words > 0) != (cases[k].words && machines[m].pairs))
                fail_msg("case %zu on %s has %d buffers of 16 bits", k, machines[m].march, words);
            assert_same_results(plain, u, inputs_of(plain));
        }
    const Unit *few = compiled(str_fmt(arena, "graph g\n%s", cases[0].graph), 3, "x86-64-v3").unit;
    for (uint32_t b = 1; b < few->buf.n; b++)
        assert_true(buf(few, b)->dt != DT_i16);
}

/* Windows of pairs of 16 bits (compiler/auto_taps.c), behind a border of the zero point, are scaled as other sums are: as far as their numbers reach. */
static void test_taps(void **state)
{
    (void)state;
    static const char *const marches[] = {"x86-64-v3", "x86-64-v4-vnni"};
    for (int stride = 1; stride <= 2; stride++)
        for (size_t m = 0; m < COUNT(marches); m++) {
            const char *graph = str_fmt(arena, "graph g\ninput %%x u8[1,8,8,8]\n%s%s%sconst %%s f32[] (0.047)\nconst %%z u8[] (3)\nconst %%zw i8[] (0)\nconst %%ys f32[] (0.53)\n"
                                        "const %%s1 i64[4] (16, 8, 1, 1)\nconst %%s2 i64[4] (16, 1, 3, 3)\nconst %%s3 i64[4] (8, 16, 1, 1)\n"
                                        "%%f1 ? = Reshape %%w1 %%s1\n%%f2 ? = Reshape %%w2 %%s2\n%%f3 ? = Reshape %%w3 %%s3\n%%a ? = QLinearConv %%x %%s %%z %%f1 %%s %%zw %%ys %%z\n"
                                        "%%b ? = QLinearConv %%a %%ys %%z %%f2 %%s %%zw %%ys %%z {group=16, pads=[1,1,1,1], strides=[%d,%d]}\n"
                                        "%%y ? = QLinearConv %%b %%ys %%z %%f3 %%s %%zw %%ys %%z\noutput %%y\n%s",
                                        byte_constant("w1", "i8", 16, 8), byte_constant("w2", "i8", 16, 9), byte_constant("w3", "i8", 8, 16), stride, stride, MANY_CONSTANTS);
            const Unit *plain = compiled(graph, 0, "generic").unit, *u = compiled(graph, 3, marches[m]).unit;
            Text text = {.arena = arena};
            unit_print(&text, u);
            assert_non_null(strstr(text_str(&text), ".columns"));
            if (strstr(text_str(&text), "i64("))
                fail_msg("stride %d, %s: sums are scaled as integers", stride, marches[m]);
            assert_same_results(plain, u, inputs_of(plain));
        }
}

/* The sum of all pairs of bytes, in floats where the machine has vectors. */
static void test_sums(void **state)
{
    (void)state;
    static const struct { const char *type; double a, b, y; int za, zb, zy; bool floats; } cases[] = {
        {"u8", 0.0471, 0.0208, 0.0512, 140, 0, 128, true},
        {"u8", 0.01, 0.02, 0.015, 3, 250, 0, true},
        {"i8", 0.11, 0.07, 0.09, -20, 5, -128, true},
        {"u8", 0.5, 0.25, 1, 0, 0, 0, false}, /* half of all sums are ties, which have an integer form of their own */
    };
    for (size_t k = 0; k < COUNT(cases); k++) {
        const char *t = cases[k].type;
        const char *graph = str_fmt(arena, "graph g\ninput %%a %s[256,1]\ninput %%b %s[1,256]\nconst %%as f32[] (%g)\nconst %%bs f32[] (%g)\nconst %%ys f32[] (%g)\n"
                                    "const %%az %s[] (%d)\nconst %%bz %s[] (%d)\nconst %%yz %s[] (%d)\n"
                                    "%%y ? = com.microsoft:QLinearAdd %%a %%as %%az %%b %%bs %%bz %%ys %%yz\noutput %%y\n",
                                    t, t, cases[k].a, cases[k].b, cases[k].y, t, cases[k].za, t, cases[k].zb, t, cases[k].zy);
        const Unit *plain = compiled(graph, 0, "generic").unit, *u = compiled(graph, 3, "x86-64-v4").unit;
        const mlcc_tensor *in = inputs_of(plain);
        for (int e = 0; e < 256; e++)
            ((uint8_t *)in[0].data)[e] = ((uint8_t *)in[1].data)[e] = (uint8_t)e;
        assert_same_results(plain, u, in);
        Text text = {.arena = arena};
        unit_print(&text, u);
        if ((strstr(text_str(&text), "i64") == NULL) != cases[k].floats)
            fail_msg("case %zu is not summed as expected", k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_constants, setup, teardown),
        cmocka_unit_test_setup_teardown(test_activations, setup, teardown),
        cmocka_unit_test_setup_teardown(test_joined, setup, teardown),
        cmocka_unit_test_setup_teardown(test_signs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_words, setup, teardown),
        cmocka_unit_test_setup_teardown(test_taps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sums, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

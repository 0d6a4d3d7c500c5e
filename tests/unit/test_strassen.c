/* SPDX-License-Identifier: Apache-2.0
 *
 * Products by halves with seven multiplications for eight against the plain sum, on the interpreter: of floats and, to the bit, of bytes, an odd number of
 * rows, images, strides, epilogues that read other tensors and what is read again; where the form is taken; and what it keeps in memory.
 */
#include "against.h"

static void put_values(Text *t, const char *name, const char *shape, int n)
{
    text_add(t, "const %%%s f32[%s] (", name, shape);
    for (int k = 0; k < n; k++)
        text_add(t, "%s%.3f", k ? ", " : "", value());
    text_add(t, ")\n");
}

static const char *matmul(int rows, int depth, int lanes, const char *tail)
{
    Text t = {.arena = arena};
    text_add(&t, "graph g\ninput %%x f32[%d,%d]\n", rows, depth);
    put_values(&t, "w", str_fmt(arena, "%d,%d", depth, lanes), depth * lanes);
    put_values(&t, "b", str_fmt(arena, "%d", lanes), lanes);
    text_add(&t, "%%a f32 = Abs %%x\n%%p f32 = MatMul %%a %%w\n%s\noutput %%y\n", tail);
    return text_str(&t);
}

typedef struct Picture { int images, h, w, stride; } Picture;

static const char *convolution(const Picture *p, int in, int out, const char *tail)
{
    Text t = {.arena = arena};
    text_add(&t, "graph g\ninput %%x f32[%d,%d,%d,%d]\n", p->images, in, p->h, p->w);
    put_values(&t, "w", str_fmt(arena, "%d,%d,1,1", out, in), in * out);
    put_values(&t, "b", str_fmt(arena, "%d", out), out);
    text_add(&t, "%%a f32 = Abs %%x\n%%p f32 = Conv %%a %%w %%b {strides=[%d,%d]}\n%s\noutput %%y\n", p->stride, p->stride, tail);
    return text_str(&t);
}

static const Buf *buffer(const Unit *u, const char *part)
{
    for (uint32_t k = 1; k < u->buf.n; k++)
        if (strstr(buf(u, k)->name, part))
            return buf(u, k);
    return NULL;
}

static bool by_halves(const Unit *u) { return buffer(u, ".t4") != NULL; }

static void expect(const char *graph, const char *machine, mlcc_tensor x)
{
    const Unit *u = compiled(graph, 3, machine).unit;
    assert_true(by_halves(u));
    assert_null(nest_check(arena, u));
    const double error = error_of(graph, u, x);
    if (!(error < 4e-6))
        fail_msg("%s: off by %g of its largest value", machine, error);
}

static void test_values(void **state)
{
    (void)state;
    static const struct { int rows; const char *tail; } tails[] = {
        {192, "%y f32 = Relu %p"},
        {193, "%c f32 = Add %p %b\n%s f32 = Sigmoid %c\n%m f32 = Mul %c %s\n%y f32 = Neg %m"},  /* read twice */
        {192, "%c f32 = Add %p %b\n%s f32 = Softmax %c\n%y f32 = Add %c %s"},                   /* by rows and again */
        {195, "%t f32 = Transpose %p {perm=[1,0]}\n%y f32 = Neg %t"},
        {192, "%y f32 = Identity %p"},
    };
    cx.max_elements = 1 << 22;
    for (size_t k = 0; k < COUNT(tails); k++)
        expect(matmul(tails[k].rows, 768, 448, tails[k].tail), k % 2 ? "generic" : "znver3", (mlcc_tensor){NULL, 1, 2, {tails[k].rows, 768}});
}

/* The last one is read with a border, which its blocks have, too. */
static void test_pictures(void **state)
{
    (void)state;
    static const struct { Picture p; const char *tail; } pictures[] = {
        {{1, 14, 14, 1}, "%y f32 = Relu %p"}, {{2, 10, 10, 1}, "%y f32 = Relu %p"}, {{1, 27, 28, 2}, "%y f32 = Relu %p"},
        {{1, 14, 14, 1}, "%r f32 = Relu %p\nconst %k f32[400,1,3,3] (fill 0.125)\n%y f32 = Conv %r %k {group=400,pads=[1,1,1,1]}"},
    };
    cx.max_elements = 1 << 22;
    for (size_t k = 0; k < COUNT(pictures); k++) {
        const Picture *p = &pictures[k].p;
        expect(convolution(p, 768, 400, pictures[k].tail), k % 2 ? "neon" : "znver3", (mlcc_tensor){NULL, 1, 4, {p->images, 768, p->h, p->w}});
    }
}

static void test_choice(void **state)
{
    (void)state;
    static const struct { int rows, depth, lanes; bool taken; } cases[] = {
        {192, 768, 400, true}, {64, 768, 400, false}, {192, 128, 400, false}, {192, 768, 64, false}, {192, 767, 400, false}, {192, 768, 408, false}, {1, 768, 400, false},
    };
    cx.max_elements = 1 << 22;
    for (size_t k = 0; k < COUNT(cases); k++)
        if (by_halves(compiled(matmul(cases[k].rows, cases[k].depth, cases[k].lanes, "%y f32 = Relu %p"), 3, "znver3").unit) != cases[k].taken)
            fail_msg("case %zu", k);
    const char *graph = matmul(192, 768, 400, "%y f32 = Relu %p");
    assert_false(by_halves(compiled(graph, 3, "scalar").unit));
    assert_false(by_halves(compiled(graph, 3, "x86-64-v4").unit)); /* what is added takes more of a core that multiplies twice as fast */
    assert_true(by_halves(compiled(matmul(1024, 1024, 768, "%y f32 = Relu %p"), 3, "x86-64-v4").unit));
    assert_false(by_halves(compiled(graph, 3, "znver4").unit)); /* by thirds, which gain more */
    assert_false(by_halves(compiled(graph, 0, "znver3").unit));
    cx.fp = FP_strict;
    assert_false(by_halves(compiled(graph, 3, "znver3").unit));
    cx.fp = FP_bf16;
    assert_false(by_halves(compiled(graph, 3, "sapphirerapids").unit));
}

/* ---- bytes in 16 bits ---- */

/* x u8 and w i8, or the other way round, and constants that the second level does not hold. */
static const char *bytes(int rows, int depth, int lanes, bool sign, const char *tail)
{
    Text t = {.arena = arena};
    text_add(&t, "graph g\ninput %%x %s[%d,%d]\nconst %%z %s[] (3)\n", sign ? "i8" : "u8", rows, depth, sign ? "i8" : "u8");
    text_add(&t, "%s", byte_constant("w", sign ? "u8" : "i8", depth, lanes));
    put_values(&t, "b", str_fmt(arena, "%d", lanes), lanes);
    text_add(&t, "const %%s f32[] (0.043)\nconst %%sw f32[] (0.0017)\nconst %%sy f32[] (0.061)\nconst %%zw %s[] (0)\n%s\noutput %%y\n", sign ? "u8" : "i8", tail);
    text_add(&t, "%s", MANY_CONSTANTS);
    return text_str(&t);
}

#define PRODUCT "%p ? = QLinearMatMul %x %s %z %w %sw %zw %sy %z\n"

/* Bytes, integers, and floats that are made of such. */
static void expect_same(const char *graph, const char *machine)
{
    const Unit *u = compiled(graph, 3, machine).unit;
    assert_true(by_halves(u));
    assert_as_plain(graph, u);
}

static void test_bytes(void **state)
{
    (void)state;
    static const struct { int rows; bool sign; const char *tail, *machine; } cases[] = {
        {128, false, "%y i32 = MatMulInteger %x %w %z", "znver3"},
        {131, true, PRODUCT "%y ? = Identity %p", "znver3"},
        {128, false, PRODUCT "%d f32 = DequantizeLinear %p %sy %z\n%a f32 = Add %d %b\n%q ? = QuantizeLinear %a %sy %z\n%y f32 = DequantizeLinear %q %sy %z", "znver3"},
        {133, false, PRODUCT "%y ? = Transpose %p {perm=[1,0]}", "znver3"},
    };
    cx.max_elements = 1 << 22;
    for (size_t k = 0; k < COUNT(cases); k++)
        expect_same(bytes(cases[k].rows, 384, 400, cases[k].sign, cases[k].tail), cases[k].machine);
}

/* Whole numbers are exact, so the form is taken in all modes, on machines that multiply pairs of 16 bits. */
static void test_choice_of_bytes(void **state)
{
    (void)state;
    static const struct { int rows, depth, lanes; bool taken; } cases[] = {
        {128, 384, 400, true}, {48, 384, 400, false}, {128, 96, 400, false}, {128, 384, 64, false}, {128, 386, 400, false}, {128, 384, 408, false},
    };
    cx.max_elements = 1 << 22;
    for (size_t k = 0; k < COUNT(cases); k++)
        if (by_halves(compiled(bytes(cases[k].rows, cases[k].depth, cases[k].lanes, false, PRODUCT "%y ? = Identity %p"), 3, "znver3").unit) != cases[k].taken)
            fail_msg("case %zu", k);
    const char *graph = bytes(128, 384, 400, false, PRODUCT "%y ? = Identity %p");
    assert_false(by_halves(compiled(graph, 3, "x86-64-v3-vnni").unit));
    assert_false(by_halves(compiled(graph, 3, "znver4").unit));
    assert_false(by_halves(compiled(graph, 0, "znver3").unit));
    cx.fp = FP_strict;
    assert_true(by_halves(compiled(graph, 3, "znver3").unit));
}

/* A total of three parts is scaled as one sum was: how far it reaches is known. Bytes of the constant stay bytes. */
static void test_reach(void **state)
{
    (void)state;
    cx.max_elements = 1 << 22;
    const Unit *u = compiled(bytes(128, 384, 400, false, PRODUCT "%d f32 = DequantizeLinear %p %sy %z\n%a f32 = Add %d %b\n%y ? = QuantizeLinear %a %sy %z"), 3, "znver3").unit;
    Text text = {.arena = arena};
    unit_print(&text, u);
    assert_true(by_halves(u));
    assert_null(strstr(text_str(&text), "i64("));
    assert_null(strstr(text_str(&text), "rint("));
    int64_t constants = 0;
    for (uint32_t k = 1; k < u->buf.n; k++)
        constants += buf(u, k)->cls == BC_const && strstr(buf(u, k)->name, "w.w") ? buf(u, k)->bytes : 0;
    assert_in_range(constants, 384 * 400, 384 * 416);
    assert_int_equal(buffer(u, ".t2")->dt, DT_i16);
}

/* The constant is as large as it was, and a panel of few of its columns. */
static void test_memory(void **state)
{
    (void)state;
    cx.max_elements = 1 << 22;
    const Unit *u = compiled(matmul(192, 768, 400, "%y f32 = Relu %p"), 3, "znver3").unit;
    int64_t constants = 0;
    for (uint32_t k = 1; k < u->buf.n; k++)
        constants += buf(u, k)->cls == BC_const ? buf(u, k)->bytes : 0;
    assert_int_equal(buffer(u, ".t4")->cls, BC_scratch);
    assert_in_range(buffer(u, ".t4")->bytes, 384 * 8 * 4, 384 * 16 * 4);
    assert_in_range(constants, 768 * 400 * 4, 768 * 416 * 4); /* 200 columns of a half are no whole panels */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pictures, setup, teardown),
        cmocka_unit_test_setup_teardown(test_choice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_choice_of_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reach, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Long sums in pieces against the plain sum, on the interpreter; which are cut, and that each piece packs its part of the constant only.
 */
#include "against.h"

static void add_constant(Text *t, const char *head, int n)
{
    text_add(t, "const %s (", head);
    for (int k = 0; k < n; k++)
        text_add(t, "%s%.3f", k ? ", " : "", value());
    text_add(t, ")\n");
}

typedef struct Case { int rows, steps, lanes; const char *tail; } Case;

static const char *product(const Case *c)
{
    Text t = {.arena = arena};
    text_add(&t, "graph g\ninput %%x f32[%d,%d]\n", c->rows, c->steps);
    add_constant(&t, str_fmt(arena, "%%w f32[%d,%d]", c->steps, c->lanes), c->steps * c->lanes);
    text_add(&t, "%%p f32 = MatMul %%x %%w\n%s\noutput %%y\n", c->tail);
    return text_str(&t);
}

/* A 1x1 convolution in front, so that the scheduler may store the input of the 3x3 one as it likes. */
static const char *convolution(int channels, int lanes, int side)
{
    Text t = {.arena = arena};
    text_add(&t, "graph g\ninput %%x f32[1,1,%d,%d]\n", side, side);
    add_constant(&t, str_fmt(arena, "%%k f32[%d,1,1,1]", channels), channels);
    add_constant(&t, str_fmt(arena, "%%w f32[%d,%d,3,3]", lanes, channels), 9 * channels * lanes);
    text_add(&t, "%%a f32 = Conv %%x %%k\n%%p f32 = Conv %%a %%w {pads=[1,1,1,1],strides=[2,2]}\n%%y f32 = Relu %%p\noutput %%y\n");
    return text_str(&t);
}

/* Pieces that the sum is made in, 1 when it is whole; bytes of the constants. */
static int pieces_in(const Unit *u, int64_t *constants)
{
    int n = 1;
    *constants = 0;
    for (uint32_t k = 1; k < u->buf.n; k++) {
        n += strstr(buf(u, k)->name, ".part") != NULL;
        *constants += buf(u, k)->cls == BC_const ? buf(u, k)->bytes : 0;
    }
    return n;
}

static void test_products(void **state)
{
    (void)state;
    static const struct { Case c; int pieces; } cases[] = {
        {{32, 2048, 24, "%y f32 = Relu %p"}, 4},
        {{18, 1536, 32, "%b f32 = Neg %p\n%y f32 = Mul %b %p"}, 2},
        {{32, 1000, 48, "%y f32 = Relu %p"}, 2},
        {{64, 500, 96, "%y f32 = Relu %p"}, 1},  /* no piece would be worth it */
        {{8, 2048, 24, "%y f32 = Relu %p"}, 1},  /* the constant is walked once in any case */
        {{32, 1024, 8, "%y f32 = Relu %p"}, 1},  /* and kept here */
    };
    for (size_t k = 0; k < COUNT(cases); k++) {
        const char *graph = product(&cases[k].c);
        const Unit *u = compiled(graph, 3, "generic").unit;
        int64_t constants;
        assert_int_equal(pieces_in(u, &constants), cases[k].pieces);
        assert_int_equal(constants, (int64_t)cases[k].c.steps * cases[k].c.lanes * 4);
        assert_null(nest_check(arena, u));
        const mlcc_tensor in = {NULL, 1, 2, {cases[k].c.rows, cases[k].c.steps}};
        const double error = error_of(graph, u, in);
        if (!(error < 1e-5))
            fail_msg("case %zu is off by %g of its largest value", k, error);
    }
}

static void test_convolution(void **state)
{
    (void)state;
    const char *graph = convolution(128, 32, 14);
    const Unit *u = compiled(graph, 3, "generic").unit;
    int64_t constants;
    assert_int_equal(pieces_in(u, &constants), 2);
    assert_int_equal(constants, 4 * (128 + 9 * 128 * 32));
    assert_null(nest_check(arena, u));
    assert_true(error_of(graph, u, (mlcc_tensor){NULL, 1, 4, {1, 1, 14, 14}}) < 1e-5);
}

/* Pieces that parts make side by side, 1 when the sum is whole. */
static int64_t pieces_beside(const Unit *u)
{
    for (uint32_t k = 1; k < u->buf.n; k++)
        if (strstr(buf(u, k)->name, ".partial"))
            return ex_upper(cx.x, buf(u, k)->dim[0]);
    return 1;
}

static void test_beside(void **state)
{
    (void)state;
    static const struct { Case c; int32_t threads; int64_t pieces; } cases[] = {
        {{32, 2048, 96, "%y f32 = Relu %p"}, 2, 2},
        {{33, 2048, 100, "%b f32 = Neg %p\n%y f32 = Mul %b %p"}, 4, 4},
        {{32, 2048, 96, "%y f32 = Relu %p"}, 3, 1},  /* three do not divide it */
        {{32, 1000, 96, "%y f32 = Relu %p"}, 2, 1},  /* no piece would be worth it */
        {{32, 2048, 24, "%y f32 = Relu %p"}, 2, 1},  /* rows are dealt out: x is larger than the constant */
        {{18, 1024, 1024, "%y f32 = Relu %p"}, 2, 1}, /* partial sums are as large as what they save */
    };
    for (size_t k = 0; k < COUNT(cases); k++) {
        const char *graph = product(&cases[k].c);
        const Unit *u = compiled_for(graph, 3, "generic", cases[k].threads).unit;
        assert_int_equal(pieces_beside(u), cases[k].pieces);
        assert_null(nest_check(arena, u));
        const double error = error_of(graph, u, (mlcc_tensor){NULL, 1, 2, {cases[k].c.rows, cases[k].c.steps}});
        if (!(error < 1e-5))
            fail_msg("case %zu is off by %g of its largest value", k, error);
    }
}

/* The channels of a piece are walked innermost, as those of a whole sum. */
static void test_convolution_beside(void **state)
{
    (void)state;
    const char *graph = convolution(128, 32, 14);
    const Unit *u = compiled_for(graph, 3, "generic", 2).unit;
    int64_t constants;
    (void)pieces_in(u, &constants);
    assert_int_equal(pieces_beside(u), 2);
    assert_int_equal(constants, 4 * (128 + 9 * 128 * 32));
    assert_null(nest_check(arena, u));
    assert_true(error_of(graph, u, (mlcc_tensor){NULL, 1, 4, {1, 1, 14, 14}}) < 1e-5);
}

/* Sums of a picture to one value a channel: in groups of rows. */
static void test_pictures(void **state)
{
    (void)state;
    static const struct { int channels, rows, columns; int32_t threads; int64_t pieces; } cases[] = {
        {16, 64, 64, 2, 2},
        {17, 56, 80, 16, 8}, /* sixteen do not divide 56 rows */
        {16, 64, 64, 3, 1},
        {16, 65, 64, 2, 1},
        {16, 32, 64, 2, 1}, /* too small */
        {16, 64, 64, 1, 1},
    };
    for (size_t k = 0; k < COUNT(cases); k++) {
        const char *graph = str_fmt(arena, "graph g\ninput %%x f32[1,%d,%d,%d]\n%%a f32 = Relu %%x\n%%y f32 = GlobalAveragePool %%a\noutput %%y\n", cases[k].channels, cases[k].rows, cases[k].columns);
        const Unit *u = compiled_for(graph, 3, "generic", cases[k].threads).unit;
        assert_int_equal(pieces_beside(u), cases[k].pieces);
        assert_null(nest_check(arena, u));
        assert_true(error_of(graph, u, (mlcc_tensor){NULL, 1, 4, {1, cases[k].channels, cases[k].rows, cases[k].columns}}) < 1e-5);
    }
}

/* -Os keeps one copy of the code. */
static void test_small(void **state)
{
    (void)state;
    int64_t constants;
    cx.small = true;
    assert_int_equal(pieces_in(compiled(product(&(Case){32, 2048, 24, "%y f32 = Relu %p"}), 3, "generic").unit, &constants), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_products, setup, teardown),
        cmocka_unit_test_setup_teardown(test_convolution, setup, teardown),
        cmocka_unit_test_setup_teardown(test_beside, setup, teardown),
        cmocka_unit_test_setup_teardown(test_convolution_beside, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pictures, setup, teardown),
        cmocka_unit_test_setup_teardown(test_small, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * 3x3 convolutions of both strides by minimal filtering against the plain sum, on the interpreter: sides that tiles divide and that they do
 * not, batches, borders, epilogues; and that the form is taken where it pays and only there.
 */
#include "against.h"

typedef struct Case { int n, in, out, h, w, top, bottom; const char *tail; int stride, first; } Case; /* stride 0: 1; first: channel of x that the 3x3 begins with */

/* A 1x1 convolution in front, so that the scheduler may store the input of the 3x3 one as it likes. */
static const char *graph_of(const Case *c)
{
    Text t = {.arena = arena};
    text_add(&t, "graph g\ninput %%x f32[%d,%d,%d,%d]\nconst %%k f32[%d,%d,1,1] (", c->n, c->in, c->h, c->w, c->in, c->in);
    for (int k = 0; k < c->in * c->in; k++)
        text_add(&t, "%s%.3f", k ? ", " : "", value());
    text_add(&t, ")\nconst %%w f32[%d,%d,3,3] (", c->out, c->in - c->first);
    for (int k = 0; k < c->out * (c->in - c->first) * 9; k++)
        text_add(&t, "%s%.3f", k ? ", " : "", value());
    text_add(&t, ")\nconst %%from i64[1] (%d)\nconst %%to i64[1] (%d)\nconst %%axis i64[1] (1)\n%%a f32 = Conv %%x %%k\n%%b f32 = Slice %%a %%from %%to %%axis\n", c->first, c->in);
    text_add(&t, "%%c f32 = Conv %%b %%w {pads=[%d,1,%d,1], strides=[%d,%d]}\n%s\noutput %%y\n", c->top, c->bottom, c->stride + !c->stride, c->stride + !c->stride, c->tail);
    return text_str(&t);
}

/* Points of the filtering that the unit uses, 0 when it sums directly. */
static int64_t points_used(const Unit *u)
{
    for (uint32_t k = 1; k < u->buf.n; k++)
        if (strstr(buf(u, k)->name, ".products"))
            return buf(u, k)->dim[0]->v.i;
    return 0;
}

static void test_values(void **state)
{
    (void)state;
    static const Case cases[] = {
        {1, 32, 32, 8, 8, 1, 1, "%y f32 = Relu %c", 0, 0},
        {1, 24, 20, 9, 14, 1, 1, "%y f32 = LeakyRelu %c", 0, 0},
        {2, 32, 32, 7, 5, 1, 1, "%r f32 = Add %c %a\n%y f32 = Relu %r", 0, 0},
        {1, 32, 32, 11, 13, 0, 2, "%y f32 = MaxPool %c {kernel_shape=[2,2]}", 0, 0},
        {8, 16, 32, 4, 4, 1, 0, "%y f32 = Neg %c", 0, 0},
        {1, 32, 32, 8, 8, 1, 1, "%s f32 = Sigmoid %c\n%y f32 = Mul %c %s", 0, 0},
        {1, 32, 32, 24, 24, 1, 1, "%y f32 = Relu %c", 2, 0},
        {1, 24, 40, 17, 18, 1, 1, "%y f32 = LeakyRelu %c", 2, 0},
        {2, 40, 32, 13, 12, 1, 0, "%y f32 = Relu %c", 2, 0},
        {8, 24, 40, 6, 5, 1, 1, "%y f32 = Relu %c", 2, 0},
        {2, 24, 24, 8, 31, 0, 2, "%y f32 = MaxPool %c {kernel_shape=[2,2]}", 2, 0},
        {1, 48, 32, 8, 8, 1, 1, "%s f32 = Add %a %x\n%r f32 = GlobalAveragePool %s\n%q f32 = Slice %r %from %to %axis\n%y f32 = Add %c %q", 0, 16},
    };
    for (size_t k = 0; k < COUNT(cases); k++) {
        const char *graph = graph_of(&cases[k]);
        const Unit *u = compiled(graph, 3, "generic").unit;
        if (!points_used(u))
            fail_msg("case %zu is summed directly", k);
        assert_null(nest_check(arena, u));
        const Case *c = &cases[k];
        const double error = error_of(graph, u, (mlcc_tensor){NULL, 1, 4, {c->n, c->in, c->h, c->w}});
        if (!(error < (points_used(u) == 36 || points_used(u) == 81 ? 8e-6 : 2e-6)))
            fail_msg("case %zu is off by %g of its largest value", k, error);
    }
}

static void test_choice(void **state)
{
    (void)state;
    static const struct { Case c; int64_t points; } cases[] = {
        {{1, 64, 64, 28, 28, 1, 1, "%y f32 = Relu %c", 0, 0}, 36}, /* tiles of 4 divide it */
        {{1, 64, 64, 6, 6, 1, 1, "%y f32 = Relu %c", 0, 0}, 16},   /* of 4 they would be mostly border */
        {{1, 8, 8, 28, 28, 1, 1, "%y f32 = Relu %c", 0, 0}, 0},    /* too few channels for the transforms to pay */
        {{1, 64, 64, 1, 1, 1, 1, "%y f32 = Relu %c", 0, 0}, 0},    /* one pixel */
        {{1, 64, 64, 32, 32, 1, 1, "%y f32 = Relu %c", 2, 0}, 81},
        {{1, 64, 64, 30, 30, 1, 1, "%y f32 = Relu %c", 2, 0}, 49},
        {{1, 64, 64, 20, 20, 1, 1, "%y f32 = Relu %c", 2, 0}, 25},
        {{1, 64, 64, 28, 28, 1, 1, "%y f32 = Relu %c", 3, 0}, 0},  /* taps do not overlap */
    };
    for (size_t k = 0; k < COUNT(cases); k++)
        assert_int_equal(points_used(compiled(graph_of(&cases[k].c), 3, "x86-64-v4").unit), cases[k].points);
    assert_int_equal(points_used(compiled(graph_of(&cases[0].c), 3, "scalar").unit), 0);
    assert_int_equal(points_used(compiled(graph_of(&cases[0].c), 0, "x86-64-v4").unit), 0);
    cx.fp = FP_strict;
    assert_int_equal(points_used(compiled(graph_of(&cases[0].c), 3, "x86-64-v4").unit), 0);
    cx.fp = FP_bf16;
    assert_int_equal(points_used(compiled(graph_of(&cases[0].c), 3, "znver4").unit), 16); /* whose rounding tiles of 4 would magnify */
    assert_int_equal(points_used(compiled(graph_of(&cases[0].c), 3, "sapphirerapids").unit), 0);
    assert_int_equal(points_used(compiled(graph_of(&cases[0].c), 3, "x86-64-v4").unit), 36); /* products of floats */
}

/* Rounded operands: a few times 2^-9, which a direct product has too, and not more. */
static void test_narrow(void **state)
{
    (void)state;
    for (int stride = 1; stride <= 2; stride++) {
        const Case c = {1, 64 * stride, 64, 28, 28, 1, 1, "%y f32 = Relu %c", stride, 0};
        const char *graph = graph_of(&c);
        cx.fp = FP_bf16;
        const Unit *u = compiled(graph, 3, "znver4").unit;
        const double error = error_of(graph, u, (mlcc_tensor){NULL, 1, 4, {c.n, c.in, c.h, c.w}});
        if (!(error < 8e-3) || !(SANITIZED || error > 1e-4) || !points_used(u))
            fail_msg("stride %d: off by %g of the largest value", stride, error);
    }
}

/* Three convolutions of bytes, one after the other, of `size` pixels a side. */
static const char *bytes_of(int channels, int size)
{
    Text t = {.arena = arena};
    text_add(&t, "graph g\ninput %%x f32[1,%d,%d,%d]\nconst %%s f32[] (0.02)\nconst %%z u8[] (3)\n%%q0 ? = QuantizeLinear %%x %%s %%z\n", channels, size, size);
    for (int k = 0; k < 3; k++) {
        text_add(&t, "const %%w%d i8[%d,%d,3,3] (", k, channels, channels);
        for (int q = 0; q < channels * channels * 9; q++)
            text_add(&t, "%s%d", q ? ", " : "", (int)(value() * 100));
        text_add(&t, ")\n%%c%d ? = ConvInteger %%q%d %%w%d %%z {pads=[1,1,1,1]}\n%%f%d ? = Cast %%c%d {to=1}\n", k, k, k, k, k);
        text_add(&t, "const %%s%d f32[] (%d)\n%%q%d ? = QuantizeLinear %%f%d %%s%d %%z\n", k, 100 * channels, k + 1, k, k);
    }
    text_add(&t, "output %%q3\n");
    return text_str(&t);
}

/* Constants get twice as large at most: of three convolutions one may grow by 2.6 times its own. */
static void test_room(void **state)
{
    (void)state;
    const Unit *u = compiled(bytes_of(64, 4), 3, "neon").unit;
    int filtered = 0;
    for (uint32_t k = 1; k < u->buf.n; k++)
        filtered += strstr(buf(u, k)->name, ".products") != NULL;
    assert_int_equal(points_used(u), 16);
    assert_int_equal(filtered, 1);
}

/* What follows element for element is made with the output: a function for each transform and one for the products, beside a copy of
 * the input and the two other convolutions. Of a larger picture, whose output is copied, too, all three are one function, which goes by strips. */
static void test_fused(void **state)
{
    (void)state;
    const Case small = {1, 64, 64, 12, 12, 1, 1, "%s f32 = Sigmoid %c\n%m f32 = Mul %c %s\n%y f32 = Conv %m %k", 0, 0};
    Case large = small;
    large.h = large.w = 28;
    const Unit *u = compiled(graph_of(&small), 3, "x86-64-v4").unit, *strips = compiled(graph_of(&large), 3, "x86-64-v4").unit;
    assert_int_equal(points_used(u), 36);
    assert_int_equal(u->func.n, 6);
    assert_int_equal(points_used(strips), 36);
    assert_int_equal(strips->func.n, 5);
}

/* The products of a strip take two multiplications for three steps where additions have units of their own; of the strip's rows what
 * they and their pairs read is made. */
static void test_thirds(void **state)
{
    (void)state;
    const Case c = {1, 96, 96, 52, 52, 1, 1, "%y f32 = Relu %c", 2, 0};
    const char *graph = graph_of(&c);
    const Program p = compiled(graph, 3, "znver4");
    Text t = {.arena = arena};
    schedule_print(&t, p.schedule);
    if (!strstr(text_str(&t), "\n%c.products.scaled        at %") || !strstr(text_str(&t), "\n%c.products.thirds        register %c.products\n"))
        fail_msg("no thirds in strips:\n%s", text_str(&t));
    assert_true(error_of(graph, p.unit, (mlcc_tensor){NULL, 1, 4, {c.n, c.in, c.h, c.w}}) < 8e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_choice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_narrow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_thirds, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

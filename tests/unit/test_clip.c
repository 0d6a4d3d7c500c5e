/* SPDX-License-Identifier: Apache-2.0
 *
 * Products with clipped constants and lists (compiler/auto_clip.c): on the interpreter to the bit against the plain sum; whether what is left of a constant
 * fits in 16 bits, and lists hold the rest of it; where the form is taken. What machines make of it is in tests/kernel.
 */
#include "against.h"

enum { ROWS = 40, DEPTH = 768, LANES = 264 };

/* Weights around 0, as wide as their channel allows; ends: one column of the largest alone; of any size. */
typedef enum Weights { NORMAL, ENDS, UNIFORM } Weights;

static int weight(Weights kind, int lane)
{
    int sum = 0;
    for (int k = 0; k < 12; k++)
        sum += rand() % 64;
    sum = (sum - 378) * 2 / 3;
    if (kind == UNIFORM)
        return rand() % 256 - 128;
    return kind == ENDS && lane == 5 ? (rand() % 2 ? 127 : -128) : sum > 127 ? 127 : sum < -128 ? -128 : sum;
}

static const char *weights(int depth, int lanes, Weights kind)
{
    Text t = {.arena = arena};
    text_add(&t, "const %%w i8[%d,%d] (", depth, lanes);
    for (int k = 0; k < depth * lanes; k++)
        text_add(&t, "%s%d", k ? ", " : "", weight(kind, k % lanes));
    text_add(&t, ")\n");
    return text_str(&t);
}

typedef struct Case { int rows, depth, lanes; Weights kind; const char *type, *tail; } Case;

#define SUM "%y i32 = MatMulInteger %x %w %z"
#define PRODUCT "%p ? = QLinearMatMul %x %s %z %w %sw %zw %sy %z\n"

static const char *product(const Case *c)
{
    Text t = {.arena = arena};
    text_add(&t, "graph g\ninput %%x %s[%d,%d]\nconst %%z %s[] (3)\n%s", c->type, c->rows, c->depth, c->type, weights(c->depth, c->lanes, c->kind));
    text_add(&t, "const %%s f32[] (0.043)\nconst %%sw f32[] (0.0017)\nconst %%sy f32[] (0.061)\nconst %%zw i8[] (0)\n%s\noutput %%y\n%s", c->tail, MANY_CONSTANTS);
    return text_str(&t);
}

static const Buf *listed(const Unit *u)
{
    for (uint32_t k = 1; k < u->buf.n; k++)
        if (buf(u, k)->lists)
            return buf(u, k);
    return NULL;
}

static void test_values(void **state)
{
    (void)state;
    static const Case cases[] = {
        {ROWS, DEPTH, LANES, ENDS, "u8", SUM},
        {61, 1024, LANES, ENDS, "u8", PRODUCT "%y ? = Identity %p"},
        {ROWS, DEPTH, LANES, ENDS, "u8", PRODUCT "%d f32 = DequantizeLinear %p %sy %z\n%q ? = QuantizeLinear %d %sw %z\n%y f32 = DequantizeLinear %q %sy %z"},
        {ROWS, DEPTH, LANES, ENDS, "u8", PRODUCT "%y ? = Transpose %p {perm=[1,0]}"},
    };
    cx.max_elements = 1 << 22;
    for (size_t k = 0; k < COUNT(cases); k++) {
        const char *graph = product(&cases[k]);
        const Unit *u = compiled(graph, 3, "znver3").unit;
        assert_non_null(listed(u));
        assert_as_plain(graph, u);
    }
}

static void test_choice(void **state)
{
    (void)state;
    static const struct { Case c; const char *machine; bool taken; } cases[] = {
        {{ROWS, DEPTH, LANES, ENDS, "u8", SUM}, "znver3", true},           {{ROWS, DEPTH, LANES, ENDS, "u8", SUM}, "x86-64-v3", true},
        {{ROWS, DEPTH, LANES, ENDS, "u8", SUM}, "x86-64-v3-vnni", false},  {{ROWS, DEPTH, LANES, ENDS, "u8", SUM}, "neon", false},
        {{31, DEPTH, LANES, ENDS, "u8", SUM}, "znver3", false},            {{ROWS, 100, LANES, ENDS, "u8", SUM}, "znver3", false},
        {{ROWS, 776, LANES, ENDS, "u8", SUM}, "znver3", false},            {{ROWS, DEPTH, 260, ENDS, "u8", SUM}, "znver3", false},
        {{ROWS, DEPTH, LANES, UNIFORM, "u8", SUM}, "znver3", false},           {{ROWS, DEPTH, LANES, ENDS, "i8", SUM}, "znver3", false},
    };
    cx.max_elements = 1 << 22;
    for (size_t k = 0; k < COUNT(cases); k++)
        if ((listed(compiled(product(&cases[k].c), 3, cases[k].machine).unit) != NULL) != cases[k].taken)
            fail_msg("case %zu", k);
}

/* Constant `part` of the unit. */
static const Buf *constant(const Unit *u, const char *part)
{
    for (uint32_t k = 1; k < u->buf.n; k++)
        if (buf(u, k)->cls == BC_const && strstr(buf(u, k)->name, part))
            return buf(u, k);
    return NULL;
}

/* Of [blocks][steps / 4][block][4]: neighbours of two quads that follow each other. */
static void expect_room(const int8_t *a, int64_t steps, int64_t block, int sign)
{
    for (int64_t k = 0; k < steps / 8; k++)
        for (int64_t at = 0; at < block * 4; at += 2) {
            int sum = 0;
            for (int q = 0; q < 4; q++)
                sum += sign * a[(2 * k + q / 2) * block * 4 + at + q % 2] > 0 ? sign * a[(2 * k + q / 2) * block * 4 + at + q % 2] : 0;
            assert_true(sum <= 128);
        }
}

static void test_room(void **state)
{
    (void)state;
    cx.max_elements = 1 << 22;
    const Unit *u = compiled(product(&(Case){ROWS, DEPTH, LANES, ENDS, "u8", SUM}), 3, "znver3").unit;
    const Buf *b = constant(u, "clipped");
    assert_non_null(b);
    const int64_t block = b->dim[b->rank - 2]->v.i, size = DEPTH * block;
    const int8_t *a = blob_all(b->data, arena);
    assert_int_equal(b->dim[b->rank - 1]->v.i, 4);
    for (int64_t at = 0; at < b->data->count; at += size)
        for (int sign = 1; sign >= -1; sign -= 2)
            expect_room(a + at, DEPTH, block, sign);
}

static void put_floats(Text *t, const char *name, double middle, double by)
{
    text_add(t, "const %%%s f32[%d] (", name, LANES);
    for (int k = 0; k < LANES; k++)
        text_add(t, "%s%.9g", k ? ", " : "", middle + by * value());
    text_add(t, ")\n");
}

/* What starts a sum counts rows in one number, the product in two: how far both reach is known all the same, so that nothing is divided or rounded on the way
 * to bytes. Steps so few that floats hold the sums, and scales of 24 bits. */
static void test_reach(void **state)
{
    (void)state;
    Text t = {.arena = arena}, nests = {.arena = arena};
    text_add(&t, "graph g\ninput %%x u8[2,%d,%d]\nconst %%z u8[] (3)\n%s", ROWS / 2, DEPTH / 2, weights(DEPTH / 2, LANES, NORMAL));
    text_add(&t, "const %%s f32[] (0.0431234)\nconst %%sy f32[] (0.0383327729)\nconst %%sz f32[] (0.0384839848)\nconst %%zw i8[%d] (fill 0)\n", LANES);
    put_floats(&t, "sw", 0.0015, 0.0005);
    put_floats(&t, "b", 0, 1);
    text_add(&t, "%s%s%s", PRODUCT, "%d f32 = DequantizeLinear %p %sy %z\n%a f32 = Add %d %b\n%y ? = QuantizeLinear %a %sz %z\noutput %y\n", MANY_CONSTANTS);
    const Unit *u = compiled(text_str(&t), 3, "znver3").unit;
    assert_non_null(listed(u));
    unit_print(&nests, u);
    assert_null(strstr(text_str(&nests), "rint("));
}

/* What a list says of row r, of n elements. */
static void read_list(const char *lists, int64_t rows, int64_t r, int8_t *to)
{
    uint32_t range[2];
    memcpy(range, lists + 4 * r, sizeof range);
    for (const char *p = lists + 4 * (rows + 1) + 12 * (size_t)range[0]; p < lists + 4 * (rows + 1) + 12 * (size_t)range[1]; p += 12) {
        int8_t w[4];
        memcpy(w, p + 8, sizeof w);
        for (int q = 0; q < 4; q++) {
            uint16_t k;
            memcpy(&k, p + 2 * q, sizeof k);
            to[k] = (int8_t)(to[k] + w[q]);
        }
        assert_true((w[0] > 0) != (w[1] > 0) || abs(w[0] + w[1]) <= 128);
        assert_true((w[2] > 0) != (w[3] > 0) || abs(w[2] + w[3]) <= 128);
    }
}

static void test_lists(void **state)
{
    (void)state;
    enum { LIST_ROWS = 50, COLUMNS = 90 };
    int8_t w[LIST_ROWS * COLUMNS];
    for (int k = 0; k < LIST_ROWS * COLUMNS; k++)
        w[k] = (int8_t)(rand() % 3 && k / COLUMNS % 7 ? 0 : rand() % 256 - 128);
    memset(w + 3 * COLUMNS, 127, COLUMNS);
    memset(w + 4 * COLUMNS, 0, COLUMNS);
    const Blob *lists = blob_lists(arena, blob_view(arena, DT_i8, LIST_ROWS * COLUMNS, w), LIST_ROWS, COLUMNS);
    assert_non_null(lists);
    for (int r = 0; r < LIST_ROWS; r++) {
        int8_t got[COLUMNS] = {0};
        read_list(lists->data, LIST_ROWS, r, got);
        assert_memory_equal(got, w + r * COLUMNS, COLUMNS);
    }
    assert_null(blob_lists(arena, blob_view(arena, DT_i8, 10, w), 3, 3));
    assert_null(blob_lists(arena, blob_view(arena, DT_u8, 9, w), 3, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values, setup, teardown), cmocka_unit_test_setup_teardown(test_choice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_room, setup, teardown), cmocka_unit_test_setup_teardown(test_reach, setup, teardown), cmocka_unit_test_setup_teardown(test_lists, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

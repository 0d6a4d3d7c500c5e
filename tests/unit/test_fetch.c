/* SPDX-License-Identifier: Apache-2.0
 *
 * What tiles ask for ahead, step by step: the row tiles of a block together as much as it has, no line left out, whatever the
 * order in which they walk it; tiles of few rows from each of the blocks that they walk at a time.
 */
#include "against.h"
#include "indices.h"

enum { LINE = 64, PAGE = 4096 }; /* bytes */

/* per_line: elements of the constant in one; places: pages in which a step asks for lines, at most. */
typedef struct Seen {
    const Unit *u;
    int64_t per_line;
    bool far;
    Indices at;
    uint8_t *line;
    int64_t lines, hints, unordered, places, last, in_step, before;
} Seen;

/* `first`: of a step; the others are behind it. */
static void hint(Seen *s, const Fetch *f, bool first)
{
    if (f->far != s->far || (f->when && indices_value(&s->at, f->when) != 0))
        return;
    const int64_t line = indices_value(&s->at, f->at) / s->per_line;
    if (line < s->lines) /* others are behind the last function's */
        s->line[line] = 1;
    s->in_step = first ? 1 : s->in_step + (llabs(line - s->before) >= PAGE / LINE);
    s->places = max_i64(s->places, s->in_step);
    s->before = line;
    if (!first || line == s->last)
        return;
    s->unordered += line < s->last;
    s->last = line;
    s->hints++;
}

static void steps(Seen *s, const Tile *t, uint8_t r)
{
    const uint32_t n = s->at.n;
    for (uint8_t k = 0; r == t->nr && k < t->nfetch; k++)
        hint(s, &t->fetch[k], k == 0 || t->fetch[k - 1].far != s->far);
    for (int64_t v = 0; r < t->nr && v < indices_value(&s->at, t->rext[r]); v++, s->at.n = n) {
        indices_push(&s->at, t->rvar[r], v);
        steps(s, t, (uint8_t)(r + 1));
    }
}

static void walk(Seen *s, const Nest *n)
{
    const uint32_t outside = s->at.n;
    const int64_t lo = n->op == NS_for ? indices_value(&s->at, n->lo) : 0, count = n->op == NS_for ? indices_value(&s->at, n->extent) : 1;
    if (n->op == NS_tile)
        steps(s, n->tile, 0);
    for (int64_t v = 0; v < count; v++, s->at.n = outside) {
        if (n->op == NS_for)
            indices_push(&s->at, n->var, lo + v);
        for (uint32_t k = 0; k < n->body.n; k++)
            walk(s, n->body.at[k]);
    }
}

/* of bytes: x unsigned, w signed */
static const char *product(int rows, int depth, int lanes, bool bytes)
{
    Text t = {.arena = arena};
    text_add(&t, "graph g\ninput %%x %s[%d,%d]\nconst %%w %s[%d,%d] (", bytes ? "u8" : "f32", rows, depth, bytes ? "i8" : "f32", depth, lanes);
    for (int k = 0; k < depth * lanes; k++)
        text_add(&t, "%s%d", k ? ", " : "", k % 7);
    text_add(&t, bytes ? ")\n%%p i32 = MatMulInteger %%x %%w\n%%y i32 = Neg %%p\noutput %%y\n" : ")\n%%p f32 = MatMul %%x %%w\n%%y f32 = Relu %%p\noutput %%y\n");
    return text_str(&t);
}

/* Where the schedule asks for blocks that are `far` elements ahead. */
static int64_t distance_in(const Unit *u)
{
    const Fetch *f = NULL;
    for (uint32_t k = 0; k < u->func.n && !f; k++)
        for (const Nest *n = u->func.at[k]->body; n && !f; n = n->body.n ? n->body.at[0] : NULL)
            for (uint8_t q = 0; n->op == NS_tile && q < n->tile->nfetch && !f; q++)
                f = n->tile->fetch[q].far ? &n->tile->fetch[q] : f;
    assert_non_null(f);
    return ex_affine(arena, f->at).c;
}

static void test_lines(void **state)
{
    (void)state;
    static const char vectors[] = "x86-64-v4-vnni";
    static const struct { int rows, depth, lanes; bool turns, bytes; int places; const char *machine; } cases[] = {
        {49, 512, 544, true, false, 1, vectors},  /* a line every second step: four places in turn */
        {28, 512, 544, true, false, 1, vectors},  /* every step */
        {16, 512, 576, true, false, 1, vectors},  /* several in a step */
        {196, 512, 544, false, false, 1, vectors}, /* every seventh */
        {50, 502, 560, false, false, 1, vectors}, /* steps that no such turns divide */
        {28, 1024, 1056, true, true, 1, vectors}, /* dots: a step is four of the depth */
        {60, 1024, 1056, true, true, 1, vectors}, /* a tile has less than a page for each place, all have more */
        {128, 768, 2880, false, true, 8, "sapphirerapids"}, /* groups of blocks, for whose tiles the next one is walked at several places at once */
        {128, 2048, 1056, false, true, 8, "sapphirerapids"}, /* blocks outside the rows */
    };
    cx.max_elements = 1 << 22;
    cx.fp = FP_strict; /* by halves (auto_strassen.c) a constant is four */
    for (size_t k = 0; k < COUNT(cases); k++) {
        const Unit *u = compiled(product(cases[k].rows, cases[k].depth, cases[k].lanes, cases[k].bytes), 3, cases[k].machine).unit;
        const int64_t far = distance_in(u), per_line = cases[k].bytes ? LINE : LINE / 4, lines = (far + cases[k].depth * cases[k].lanes) / per_line;
        Seen s = {.u = u, .per_line = per_line, .far = true, .line = NEWN(arena, uint8_t, (size_t)lines), .lines = lines};
        assert_true(far > 0);
        for (uint32_t f = 0; f < u->func.n; f++)
            walk(&s, u->func.at[f]->body);
        for (int64_t n = far / per_line; n < lines; n++)
            if (!s.line[n])
                fail_msg("case %zu: line %d of %d is not asked for", k, (int)n, (int)lines);
        assert_int_equal(s.unordered > s.hints / 8, cases[k].turns);
        assert_int_equal(s.places, cases[k].places);
    }
}

static const Buf *constant_of(const Unit *u)
{
    for (uint32_t k = 1; k < u->buf.n; k++)
        if (buf(u, k)->cls == BC_const)
            return buf(u, k);
    return NULL;
}

/* Rows that wait for their constant walk it at several places: blocks of so many lanes. (Those of 24 bits: tests/text/schedule_slim.nn.) */
static void test_few_rows(void **state)
{
    (void)state;
    static const struct { int rows, depth, lanes, block; } cases[] = {
        {1, 512, 576, 64}, {1, 512, 600, 64}, {2, 512, 576, 64}, {4, 520, 576, 32},
    };
    cx.fp = FP_strict;
    for (size_t k = 0; k < COUNT(cases); k++) {
        const int rows = cases[k].rows, depth = cases[k].depth;
        const char *graph = product(rows, depth, cases[k].lanes, false);
        const Unit *u = compiled(graph, 3, "x86-64-v4").unit, *plain = compiled(graph, 0, "x86-64-v4").unit;
        const Buf *w = constant_of(u);
        const int64_t lines = w->bytes / LINE, ahead = 1024 / LINE;
        Seen s = {.u = u, .per_line = LINE / 4, .line = NEWN(arena, uint8_t, (size_t)lines), .lines = lines};
        float *x = NEWN(arena, float, (size_t)(rows * depth));
        for (int q = 0; q < rows * depth; q++)
            x[q] = (float)(q % 5);
        assert_true(ex_is_int(w->dim[w->rank - 1], cases[k].block));
        assert_null(nest_check(arena, u));
        const mlcc_tensor in = {x, 1, 2, {rows, depth}};
        assert_memory_equal(output_of(u, &in), output_of(plain, &in), (size_t)(4 * rows * cases[k].lanes));
        for (uint32_t f = 0; f < u->func.n; f++)
            walk(&s, u->func.at[f]->body);
        for (int64_t n = ahead, block = depth * cases[k].block * 4 / LINE; n < cases[k].lanes / cases[k].block * block; n++)
            if (!s.line[n] && n % block >= ahead)
                fail_msg("case %zu: line %d is not asked for", k, (int)n);
    }
}

static bool has_products(const Nest *n)
{
    bool yes = n->op == NS_tile && n->tile->red == RED_sum && n->tile->np > 0;
    for (uint32_t k = 0; k < n->body.n; k++)
        yes = yes || has_products(n->body.at[k]);
    return yes;
}

/* Points whose constants differ, as the pixels between others of a transposed convolution: a step, which asks once for all of them, does
 * not for one. The other product makes the constants more than the second-level cache holds. */
static void test_points(void **state)
{
    (void)state;
    Text t = {.arena = arena};
    text_add(&t, "graph g\ninput %%x f32[1,32,14,14]\ninput %%z f32[16,256]\nconst %%w f32[32,32,2,2] (0");
    for (int k = 1; k < 32 * 32 * 2 * 2; k++)
        text_add(&t, ", %d", k % 7);
    text_add(&t, ")\nconst %%v f32[256,256] (0");
    for (int k = 1; k < 256 * 256; k++)
        text_add(&t, ", %d", k % 5);
    text_add(&t, ")\n%%y f32 = ConvTranspose %%x %%w {strides=[2,2]}\n%%q f32 = MatMul %%z %%v\noutput %%y\noutput %%q\n");
    static const char *const rows[] = {"generic", "x86-64-v3", "x86-64-v4", "znver4"};
    for (size_t k = 0; k < COUNT(rows); k++) {
        const Unit *u = compiled(text_str(&t), 3, rows[k]).unit;
        int products = 0; /* in plain loops where the check finds fault with the tile */
        for (uint32_t f = 0; f < u->func.n; f++)
            products += has_products(u->func.at[f]->body);
        assert_null(nest_check(arena, u));
        assert_int_equal(products, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_few_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_points, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

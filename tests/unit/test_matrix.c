/* SPDX-License-Identifier: Apache-2.0
 * Tiles for a matrix unit (codegen/camx.c): nests of every form that it takes, and of some that it leaves to others, as
 * emitted C against the interpreter, with the model of the instructions and, where there are any, with them. */
#include "emitted.h"

#define MLCC_AMX_SOFT
#include "runtime-min/mlcc_amx.h"

typedef struct Form {
    const char *x, *w, *sum;        /* types */
    int group, outer, down, rows, tail, taps, groups, lanes;
    bool start, amx, turns;         /* sums start at an array; AMX takes it; each tile stores the rows of the one before */
} Form;

/* outer: loop around; down: tiles told apart by a point of their own, 0: none; tail: rows of a second tile in the loop. */
static const Form forms[] = {
    {"u8", "i8", "i32", 4, 1, 0, 32, 0, 1, 16, 32, true, true, false},
    {"u8", "i8", "i32", 4, 2, 0, 28, 5, 3, 36, 32, true, true, false},   /* 14 + 14 rows, 12 groups a step, another shape behind */
    {"i8", "i8", "i32", 4, 2, 0, 16, 16, 1, 40, 32, false, true, false}, /* one shape for both */
    {"i8", "u8", "i32", 4, 1, 2, 7, 0, 3, 3, 24, false, true, false},    /* lanes 16 + 8 */
    {"u8", "u8", "i32", 4, 1, 0, 31, 0, 1, 17, 5, true, true, false},    /* 16 + 15 rows, one group a step */
    {"u8", "i8", "i32", 4, 3, 0, 9, 0, 2, 4, 64, true, true, true}, /* one tile down, four along */
    {"u8", "i8", "i32", 4, 5, 0, 32, 0, 1, 16, 32, true, true, true}, /* one product for all rows of the one before */
    {"u8", "i8", "i32", 4, 4, 0, 5, 0, 3, 52, 17, false, true, true}, /* more products than rows */
    {"bf16", "bf16", "f32", 2, 3, 2, 7, 0, 3, 5, 24, true, true, true}, /* two tiles down, 17 rows and more to five products */
    {"u8", "i8", "i32", 4, 1, 0, 1, 0, 1, 32, 48, true, true, false},
    {"u8", "i8", "i32", 4, 2, 2, 14, 3, 3, 8, 16, true, true, false},
    {"bf16", "bf16", "f32", 2, 2, 0, 32, 4, 1, 32, 32, true, true, false},
    {"bf16", "bf16", "f32", 2, 1, 2, 7, 0, 3, 5, 24, false, true, false},
    {"u8", "i8", "i32", 4, 2, 4, 7, 0, 1, 20, 32, true, true, true}, /* 4 x 7 rows that lie evenly: 14 + 14 */
    {"i8", "i8", "i32", 4, 3, 2, 8, 0, 1, 16, 64, false, true, true}, /* 2 x 8: one tile, four along */
    {"bf16", "bf16", "f32", 2, 1, 3, 7, 0, 1, 5, 24, true, true, false}, /* 3 x 7: 11 + 10 */
    {"u8", "i8", "i32", 4, 1, 4, 7, 0, 2, 4, 32, true, false, false}, /* a border between the parts, two along */
    {"u8", "i8", "i32", 4, 3, 0, 56, 0, 3, 20, 16, true, true, true},     /* 4 x 14 rows, one tile along */
    {"bf16", "bf16", "f32", 2, 2, 2, 28, 0, 3, 16, 16, true, true, true}, /* 2 x 14 of each of two parts */
    {"i8", "i8", "i32", 4, 2, 4, 14, 0, 3, 8, 16, false, true, true},     /* a tile of each of four */
    {"u8", "i8", "i32", 4, 2, 3, 9, 0, 3, 8, 12, false, true, true},      /* of each of three, 12 lanes */
    {"bf16", "bf16", "f32", 2, 2, 0, 48, 14, 1, 32, 16, true, true, false}, /* 3 x 16, and 14 behind */
    {"u8", "i8", "i32", 4, 1, 0, 33, 0, 1, 4, 32, true, false, false},   /* too many rows for two along */
    {"u8", "i8", "i32", 4, 1, 0, 50, 0, 1, 4, 16, true, false, false},   /* four tiles that are not alike */
    {"u8", "i8", "i32", 4, 1, 5, 9, 0, 3, 4, 16, true, false, false},    /* five parts */
    {"u8", "i8", "i32", 4, 1, 0, 16, 0, 1, 4, 72, true, false, false},   /* too many lanes */
    {"u8", "i8", "i32", 2, 1, 0, 16, 0, 1, 4, 16, true, false, false},   /* pairs of bytes */
};

static void add_tile(Text *t, const Form *f, int from, int rows, const char *names)
{
    const char p = names[0], q = names[1], l = names[2], s = names[3], k = names[4], e = names[5], a = names[6];
    const char *row = f->down ? str_fmt(arena, "%d*o + %c", f->down, p) : "o";
    text_add(t, "tile matrix {\npoint ");
    if (f->down) text_add(t, "%c %d, ", p, f->down);
    text_add(t, "%c %d\nlane %c %d\nsum %c %d, %c %d, %c %d\nacc %c%s\n", q, rows, l, f->lanes, s, f->taps, k, f->groups, e, f->group, a,
             f->start ? str_fmt(arena, " = %%3.b[%c]", l) : "");
    text_add(t, "body %s(%%1.x[%s, %c + %c + %d, %d*%c + %c])*%s(%%2.w[%c, %c, %c, %c])\n", f->sum, row, q, s, from, f->group, k, e, f->sum, s, k, l, e);
    text_add(t, "%%4.y[%s, %c + %d, %c] = %c\n}\n", row, q, from, l, a);
}

static void add_vars(Text *t, const Form *f, int rows, const char *names)
{
    text_add(t, ", %c < %d, %c < %d, %c < %d, %c < %d, %c < %d, %c < %d, %c %s", names[0], f->down ? f->down : 1, names[1], rows, names[2], f->lanes,
             names[3], f->taps, names[4], f->groups, names[5], f->group, names[6], f->sum);
}

static const char *nest_of(const Form *f)
{
    const int down = f->outer * (f->down ? f->down : 1), rows = f->rows + f->tail;
    Text t = {.arena = arena};
    text_add(&t, "unit m\nbuf %%1.x input 0 %s[%d,%d,%d]\n", f->x, down, rows + f->taps - 1, f->groups * f->group);
    text_add(&t, "buf %%2.w input 1 %s[%d,%d,%d,%d]\nbuf %%3.b input 2 %s[%d]\n", f->w, f->taps, f->groups, f->lanes, f->group, f->sum, f->lanes);
    text_add(&t, "buf %%4.y output 0 %s[%d,%d,%d]\nfunc n000_product macs 0\nvar o < %d", f->sum, down, rows, f->lanes, f->outer);
    add_vars(&t, f, f->rows, "pqlskea");
    if (f->tail) add_vars(&t, f, f->tail, "uvwxyzb");
    text_add(&t, "\nfor o = 0, %d {\n", f->outer);
    add_tile(&t, f, 0, f->rows, "pqlskea");
    if (f->tail) add_tile(&t, f, f->rows, f->tail, "uvwxyzb");
    text_add(&t, "}\n");
    return text_str(&t);
}

/* What was emitted as `name`, and once more for real tiles, against the interpreter. */
static void check_unit(Unit *u, const char *name, const mlcc_tensor *in, int64_t bytes)
{
    mlcc_tensor want = {.data = arena_alloc(arena, (size_t)bytes, 64)};
    assert_true(unit_run(arena, u, in, &want));
    run_as(u, name, "-DMLCC_AMX_SOFT", in, &want, false);
#if defined(__x86_64__) && defined(__linux__)
    (void)emitted(u, str_fmt(arena, "%sh", name), 16);
    run_as(u, str_fmt(arena, "%sh", name), "-DMLCC_AMX=1", in, &want, true);
#endif
}

static void check_form(const Form *f, int number)
{
    Unit *u = parsed(nest_of(f));
    mlcc_tensor in[3];
    random_inputs(u, in);
    const char *name = str_fmt(arena, "m%d", number), *code = emitted(u, name, 16);
    assert_int_equal(strstr(code, "AMX_RELEASE") != NULL, f->amx);
    assert_int_equal(strstr(code, "of the tile before") != NULL, f->turns);
    check_unit(u, name, in, buf(u, 4)->bytes);
}

static void test_forms(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(forms); k++)
        check_form(&forms[k], (int)k);
}

/* 12 products and 5 rows of the tile before: one with each second product, so that vectors are in use all the while. */
static void test_spreads_rows(void **state)
{
    (void)state;
    const Form f = {"u8", "i8", "i32", 4, 4, 0, 5, 0, 3, 52, 17, false, true, true};
    assert_non_null(strstr(emitted(parsed(nest_of(&f)), "spread", 16), " / 2 && row < rows;"));
}

/* One step of four products, each tile storing `value` of its sums in the turn of the next. */
static Unit *one_step(const char *value)
{
    return parsed(str_fmt(arena, "unit m\nbuf %%1.x input 0 u8[5,32,64]\nbuf %%2.w input 1 i8[16,32,4]\nbuf %%3.y output 0 i32[5,32,32]\n"
                                 "func n000_product macs 0\nvar o < 5, q < 32, l < 32, k < 16, e < 4, a i32\n"
                                 "for o = 0, 5 {\ntile matrix {\npoint q 32\nlane l 32\nsum k 16, e 4\nacc a\n"
                                 "body i32(%%1.x[o, q, 4*k + e])*i32(%%2.w[k, l, e])\n%%3.y[o, q, l] = %s\n}\n}\n", value));
}

/* 32 rows of the tile before, dear enough to be stored in four pieces: eight behind each product. */
static void test_rows_in_pieces(void **state)
{
    (void)state;
    Unit *u = one_step("max(min(a, 99i32), -99i32) + a*a");
    mlcc_tensor in[2];
    random_inputs(u, in);
    const char *at = emitted(u, "pieces", 16);
    for (int k = 0; k < 4; k++) {
        at = strstr(at, "AMX_DPUS");
        assert_non_null(at);
        at = strstr(at, str_fmt(arena, "; row < %d && row < rows;", 8 * (k + 1)));
        assert_non_null(at);
    }
    check_unit(u, "pieces", in, buf(u, 3)->bytes);
}

/* Cheap ones stay together, behind all products: a core sees the next of those past them. */
static void test_rows_together(void **state)
{
    (void)state;
    const char *at = emitted(one_step("a + 1i32"), "together", 16);
    for (int k = 0; k < 4; k++) {
        at = strstr(at + 1, "AMX_DPUS(");
        assert_non_null(at);
    }
    assert_non_null(strstr(at, "; row < 32 && row < rows;"));
    assert_null(strstr(at, "; row < 8 && row < rows;"));
}

/* Hints of a step go with its products, a share each; the operand with lanes is loaded past the first-level cache, the rows are not. */
static void test_hints_and_bypass(void **state)
{
    (void)state;
    Unit *u = parsed("unit m\nbuf %1.x input 0 u8[3,32,64]\nbuf %2.w input 1 i8[16,32,4]\nbuf %3.y output 0 i32[3,32,32]\n"
                     "func n000_product macs 0\nvar o < 3, q < 32, l < 32, k < 16, e < 4, a i32\n"
                     "for o = 0, 3 {\ntile matrix bypass {\npoint q 32\nlane l 32\nsum k 16, e 4\nacc a\n"
                     "body i32(%1.x[o, q, 4*k + e])*i32(%2.w[k, l, e])\nfetch far %2.w 32*k\n%3.y[o, q, l] = a\n}\n}\n");
    mlcc_tensor in[2];
    random_inputs(u, in);
    const char *code = emitted(u, "bypass", 16), *at = code;
    for (int k = 0; k < 4; k++) {
        at = strstr(at + 1, "AMX_DPUS(&amx");
        assert_non_null(at);
        const char *hint = strstr(at, "MLCC_FETCH2("), *next = strstr(at + 1, k < 3 ? "AMX_DPUS(&amx" : "AMX_ST(&amx");
        assert_true(hint && next && hint < next);
    }
    assert_non_null(strstr(code, "AMX_LD2(&amx, 6, "));
    assert_non_null(strstr(code, "AMX_LD2(&amx, 7, "));
    assert_non_null(strstr(code, "AMX_LD(&amx, 4, "));
    assert_non_null(strstr(code, "AMX_LD(&amx, 5, "));
    check_unit(u, "bypass", in, buf(u, 3)->bytes);
}

/* Rows that a product reads may be those that the tile before stores: then it waits for them. */
static void test_reads_what_was_stored(void **state)
{
    (void)state;
    Unit *u = parsed("unit m\nbuf %1.x input 0 u8[16,64]\nbuf %2.w input 1 i8[16,64,4]\nbuf %3.y output 0 u8[5,16,64]\n"
                     "func n000_product macs 0\nvar i < 16, j < 64, o < 4, q < 16, l < 64, k < 16, e < 4, a i32\n"
                     "for i = 0, 16 {\nfor j = 0, 64 {\n%3.y[0, i, j] = %1.x[i, j]\n}\n}\n"
                     "for o = 0, 4 {\ntile matrix {\npoint q 16\nlane l 64\nsum k 16, e 4\nacc a\n"
                     "body i32(%3.y[o, q, 4*k + e])*i32(%2.w[k, l, e])\n%3.y[o + 1, q, l] = u8(a)\n}\n}\n");
    mlcc_tensor in[2];
    random_inputs(u, in);
    const char *code = emitted(u, "chain", 16);
    assert_non_null(strstr(code, "AMX_RELEASE"));
    assert_null(strstr(code, "of the tile before"));
    check_unit(u, "chain", in, buf(u, 3)->bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_spreads_rows), cmocka_unit_test(test_rows_in_pieces), cmocka_unit_test(test_rows_together), cmocka_unit_test(test_hints_and_bypass),
                                       cmocka_unit_test(test_reads_what_was_stored)};
    return cmocka_run_group_tests(tests, setup_folder, teardown_folder);
}

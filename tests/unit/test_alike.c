/* SPDX-License-Identifier: Apache-2.0
 * Functions that are alike (codegen/calike.c): chains of two maps as emitted C, how many functions there are and what is passed, and
 * results against the interpreter. */
#include "emitted.h"

/* Of a map: where it stores, as it lies in memory, its loop's variable and extent, and what it stores of %x[%v]. */
typedef struct Step { const char *name; int at; const char *var; int extent; const char *value; } Step;

typedef struct Case {
    const char *what, *type;
    Step step[2];
    int functions;      /* of both */
    const char *head;   /* a part of the first one's parameters */
    const char *calls;  /* a part of the second call */
    bool vectors;       /* as tiles, too */
} Case;

enum { CELLS = 8 };

static const Case cases[] = {
    {"the same number", "f32", {{"t", 0, "i", 8, "%s[%s]*2.5f32"}, {"u", 64, "i", 8, "%s[%s]*2.5f32"}}, 1, "t)", "", true},
    {"other names", "f32", {{"t", 0, "i", 8, "%s[%s]*2.5f32"}, {"long_name", 64, "column", 8, "%s[%s]*2.5f32"}}, 1, "t)", "", false},
    {"another number", "f32", {{"t", 0, "i", 8, "%s[%s]*2.5f32"}, {"u", 64, "i", 8, "%s[%s]*0.75f32"}}, 1, "t, float k1)", ", 0.75f)", true},
    {"whole numbers", "i32", {{"t", 0, "i", 8, "%s[%s]*3i32"}, {"u", 64, "i", 8, "%s[%s]*12345i32"}}, 1, "t, int32_t k1)", ", 12345)", true},
    {"numbers that go together", "f32", {{"t", 0, "i", 8, "(%s[%s] + 2.5f32)*2.5f32"}, {"u", 64, "i", 8, "(%s[%s] + 3.5f32)*3.5f32"}}, 1, "t, float k1)", ", 3.5f)", false},
    {"numbers that do not", "f32", {{"t", 0, "i", 8, "(%s[%s] + 2.5f32)*2.5f32"}, {"u", 64, "i", 8, "(%s[%s] + 2.5f32)*3.5f32"}}, 1, "t, float k1)", ", 3.5f)", false},
    {"two numbers", "f32", {{"t", 0, "i", 8, "(%s[%s] + 1.5f32)*2.5f32"}, {"u", 64, "i", 8, "(%s[%s] + 3.5f32)*4.5f32"}}, 1, "t, float k1, float k2)", ", 3.5f, 4.5f)", true},
    {"a name that a number would have", "f32", {{"k1", 0, "i", 8, "%s[%s]*2.5f32"}, {"u", 64, "i", 8, "%s[%s]*0.75f32"}}, 1, "k1, float k2)", ", 0.75f)", false},
    {"a shift", "i32", {{"t", 0, "i", 8, "shr(%s[%s], 3i32)"}, {"u", 64, "i", 8, "shr(%s[%s], 5i32)"}}, 2, "t)", "", true},
    {"another operation", "f32", {{"t", 0, "i", 8, "%s[%s]*2.5f32"}, {"u", 64, "i", 8, "%s[%s] + 2.5f32"}}, 2, "t)", "", true},
    {"another extent", "f32", {{"t", 0, "i", 8, "%s[%s]*2.5f32"}, {"u", 64, "i", 7, "%s[%s]*2.5f32"}}, 2, "t)", "", false},
    {"memory that both use", "f32", {{"t", 0, "i", 8, "%s[%s]*2.5f32"}, {"u", 0, "i", 8, "%s[%s]*2.5f32"}}, 2, "*restrict t)", "", true},
};

/* A loop, or a tile of as many lanes. */
static void add_step(Text *t, const Step *s, bool lanes, const char *from, const char *to)
{
    const char *loop = str_fmt(arena, lanes ? "tile {\nlane %s %d" : "for %s = 0, %d {", s->var, s->extent);
    text_add(t, "func n_%s macs 0\nvar %s < %d\n%s\n%s[%s] = ", s->name, s->var, s->extent, loop, to, s->var);
    text_add(t, s->value, from, s->var);
    text_add(t, "\n}\n");
}

/* x -> the first -> the second -> y */
static const char *nest_of(const Case *c, bool lanes)
{
    const Step *p = &c->step[0], *q = &c->step[1], last = {"y", 0, "i", 7, "%s[%s]"};
    Text t = {.arena = arena};
    text_add(&t, "unit m\narena 128 bound 128 proven align 64\nbuf %%1.x input 0 %s[%d]\nbuf %%2.y output 0 %s[7]\n", c->type, CELLS, c->type);
    text_add(&t, "buf %%3.%s arena %s[%d] at %d pool 0\nbuf %%4.%s arena %s[%d] at %d pool 0\n", p->name, c->type, CELLS, p->at, q->name, c->type, CELLS, q->at);
    add_step(&t, p, lanes, "%1.x", str_fmt(arena, "%%3.%s", p->name));
    add_step(&t, q, lanes, str_fmt(arena, "%%3.%s", p->name), str_fmt(arena, "%%4.%s", q->name));
    add_step(&t, &last, lanes, str_fmt(arena, "%%4.%s", q->name), "%2.y");
    return text_str(&t);
}

static int count(const char *text, const char *of)
{
    int n = 0;
    for (const char *at = strstr(text, of); at; at = strstr(at + 1, of))
        n++;
    return n;
}

static void check_case(const Case *c, const char *name, int32_t lanes)
{
    Unit *u = parsed(nest_of(c, lanes > 1));
    const char *code = emitted(u, name, lanes), *head = strstr(code, "static void "), *second = strstr(code, str_fmt(arena, "MLCC_NODE(\"n_%s\")", c->step[1].name));
    if (count(code, "MLCC_APART static void ") != c->functions + 1 || !second) fail_msg("%s:\n%s", c->what, code);
    const char *end = strchr(head, '\n'), *call = strchr(second, ';');
    if (!strstr(str_ndup(arena, head, (size_t)(end - head)), c->head)) fail_msg("%s: not '%s':\n%s", c->what, c->head, code);
    if (!strstr(str_ndup(arena, second, (size_t)(call - second)), c->calls)) fail_msg("%s: not '%s':\n%s", c->what, c->calls, code);
    mlcc_tensor in, want = {.data = arena_alloc(arena, 64, 64)};
    random_inputs(u, &in);
    assert_true(unit_run(arena, u, &in, &want));
    run_as(u, name, "", &in, &want, false);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(cases); k++) {
        check_case(&cases[k], str_fmt(arena, "m%d", (int)k), 1);
        if (cases[k].vectors)
            check_case(&cases[k], str_fmt(arena, "v%d", (int)k), 4);
    }
}

/* What calls need of the stack, and what a function does, grows with what is passed. */
static void test_stack(void **state)
{
    (void)state;
    Unit *same = parsed(nest_of(&cases[0], false)), *other = parsed(nest_of(&cases[6], false));
    (void)emitted(same, "s", 1);
    (void)emitted(other, "o", 1);
    assert_string_equal(other->func.at[1]->code, other->func.at[0]->name);
    assert_int_equal(other->func.at[1]->number.n, 2);
    assert_int_equal(same->func.at[1]->number.n, 0);
    assert_true(other->func.at[0]->frame_bytes >= same->func.at[0]->frame_bytes);
    assert_true(other->stack_bytes > same->stack_bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_stack)};
    return cmocka_run_group_tests(tests, setup_folder, teardown_folder);
}

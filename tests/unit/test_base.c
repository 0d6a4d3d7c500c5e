/* SPDX-License-Identifier: Apache-2.0
 * Arenas, strings, maps and diagnostics (ir/base.h). */
#include "ir/base.h"

#include <stdlib.h>

#include <cmocka.h>

static void test_arena_zero_and_aligned(void **state)
{
    (void)state;
    Arena *a = arena_new(0, NULL);
    assert_non_null(a);
    for (size_t align = 1; align <= 256; align *= 2) {
        for (size_t n = 0; n < 20000; n = n * 3 + 1) {
            unsigned char *p = arena_alloc(a, n, align);
            assert_int_equal((uintptr_t)p % align, 0);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(p[i], 0);
            memset(p, 0xa5, n);
        }
    }
    arena_free(a);
    arena_free(NULL);
}

static void test_arena_apart(void **state)
{
    (void)state;
    enum { N = 500 };
    Arena *a = arena_new(0, NULL);
    unsigned char *p[N];
    for (int i = 0; i < N; i++) {
        p[i] = arena_alloc(a, (size_t)(i * 37 % 3000), (size_t)1 << i % 5);
        memset(p[i], i & 0xff, (size_t)(i * 37 % 3000));
    }
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < i * 37 % 3000; k++)
            assert_int_equal(p[i][k], i & 0xff);
    }
    arena_free(a);
}

static void take(Arena *a, size_t n)
{
    char *p = arena_alloc(a, n, 1);
    p[n - 1] = 1;
}

static void test_arena_budget(void **state)
{
    (void)state;
    jmp_buf oom;
    volatile int granted = 0;
    Arena *volatile a = arena_new(10000, &oom);
    if (setjmp(oom) == 0) {
        for (;; granted++)
            take(a, 1000);
    }
    assert_int_equal(granted, 10);
    assert_true(arena_used(a) <= 10000);
    arena_free(a);
}

static void test_arena_child(void **state)
{
    (void)state;
    jmp_buf oom;
    Arena *volatile a = arena_new(10000, &oom);
    volatile bool jumped = false;
    if (setjmp(oom) == 0) {
        for (int i = 0; i < 100; i++) { /* a child's bytes come back: 800000 in all, 8000 at a time */
            Arena *b = arena_child(a), *c = arena_child(b), *d = arena_child(a);
            assert_memory_equal(arena_copy(b, "x", 1), "x", 1);
            take(c, 8000);
            assert_int_equal(arena_used(a), 8001);
            assert_int_equal(arena_used(b), 8001);
            arena_free(i % 2 ? d : b);
            assert_int_equal(arena_used(a), i % 2 ? 8001 : 0);
            arena_free(i % 2 ? b : d);
            assert_int_equal(arena_used(a), 0);
        }
        Arena *b = arena_child(a);
        take(a, 6000);
        take(b, 6000);
        fail_msg("the budget of the parent did not hold for the child");
    } else {
        jumped = true;
    }
    assert_true(jumped);
    arena_free(a);
}

static void test_arena_overflow(void **state)
{
    (void)state;
    jmp_buf oom;
    Arena *volatile a = arena_new(0, &oom);
    volatile int jumps = 0;
    volatile int step = 0;
    if (setjmp(oom) != 0)
        jumps++;
    switch (step++) {
    case 0: assert_null(NEWN(a, uint64_t, SIZE_MAX / 4)); break; /* jumps instead */
    case 1: assert_null(arena_alloc(a, SIZE_MAX - 4, 1)); break;
    case 2: assert_null(arena_alloc(a, SIZE_MAX - 100, 64)); break;
    default: break;
    }
    assert_int_equal(jumps, 3);
    arena_free(a);
}

static void test_vec(void **state)
{
    (void)state;
    Arena *a = arena_new(0, NULL);
    VEC(uint64_t) v = {0};
    for (uint64_t i = 0; i < 10000; i++)
        PUSH(a, &v, i * i);
    assert_int_equal(v.n, 10000);
    for (uint64_t i = 0; i < 10000; i++)
        assert_int_equal(v.at[i], i * i);
    assert_true(arena_used(a) < 10000 * 8 * 5); /* doubling, not squaring */
    arena_free(a);
}

static void test_strings(void **state)
{
    (void)state;
    Arena *a = arena_new(0, NULL);
    char text[] = "weights";
    const char *s = str_dup(a, text);
    text[0] = 'W';
    assert_string_equal(s, "weights");
    assert_string_equal(str_ndup(a, "abcdef", 3), "abc");
    assert_string_equal(str_ndup(a, "ab\0def", 6), "ab");
    assert_string_equal(str_ndup(a, NULL, 0), "");
    assert_string_equal(str_fmt(a, "%d-%s", 42, "x"), "42-x");
    assert_int_equal(strlen(str_fmt(a, "%5000d", 7)), 5000);
    arena_free(a);
}

static void test_text(void **state)
{
    (void)state;
    Arena *a = arena_new(0, NULL);
    Text t = {.arena = a};
    assert_string_equal(text_str(&t), "");
    for (int i = 0; i < 1000; i++)
        text_add(&t, "%03d,", i);
    text_put(&t, "", 0);
    text_put(&t, "end", 3);
    assert_int_equal(t.n, 4003);
    const char *s = text_str(&t);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(atoi(s + 4 * i), i);
    assert_string_equal(s + 4000, "end");
    text_add(&t, "%s", "!");
    assert_string_equal(text_str(&t) + 4000, "end!");
    arena_free(a);
}

static void test_map(void **state)
{
    (void)state;
    Arena *a = arena_new(0, NULL);
    Map m = {.arena = a};
    assert_null(map_str(&m, "absent", false));
    for (uint64_t i = 0; i < 3000; i++) {
        *map_str(&m, str_fmt(a, "key%u", (unsigned)i), true) = i;
        *map_u64(&m, i << 32, true) = i + 1000000;
    }
    for (uint64_t i = 0; i < 3000; i++) {
        assert_int_equal(*map_str(&m, str_fmt(a, "key%u", (unsigned)i), false), i);
        assert_int_equal(*map_u64(&m, i << 32, false), i + 1000000);
        assert_string_equal(m.slot.at[2 * i].str, str_fmt(a, "key%u", (unsigned)i)); /* order of insertion */
        assert_int_equal(m.slot.at[2 * i + 1].key, i << 32);
    }
    assert_null(map_str(&m, "key3000", false));
    assert_null(map_u64(&m, 3, false));
    assert_int_equal(m.slot.n, 6000);
    *map_str(&m, "key7", true) = 99; /* present: no new entry */
    assert_int_equal(m.slot.n, 6000);
    assert_int_equal(*map_str(&m, "key7", false), 99);
    /* a string whose hash is used as a number is another key */
    assert_null(map_u64(&m, hash_bytes(0, "key7", 4), false));
    arena_free(a);
}

static void test_hash(void **state)
{
    (void)state;
    const char text[] = "the same on every host";
    char moved[40];
    memcpy(moved + 3, text, sizeof text);
    assert_int_equal(hash_bytes(1, text, sizeof text), hash_bytes(1, moved + 3, sizeof text));
    assert_int_not_equal(hash_bytes(1, text, 8), hash_bytes(2, text, 8));
    assert_int_not_equal(hash_bytes(0, "\0\0", 1), hash_bytes(0, "\0\0", 2));
    /* Every bit counts: flipping one of 22 bytes' bits changes the low 16 bits of the hash nearly always. */
    int same = 0;
    for (int bit = 0; bit < 22 * 8; bit++) {
        memcpy(moved, text, sizeof text);
        moved[bit / 8] = (char)(moved[bit / 8] ^ 1 << bit % 8);
        same += (uint16_t)hash_bytes(0, moved, 22) == (uint16_t)hash_bytes(0, text, 22);
    }
    assert_true(same <= 2);
}

static void test_checked(void **state)
{
    (void)state;
    int64_t r;
    size_t s;
    assert_true(mul_i64(INT64_C(3037000499), INT64_C(3037000499), &r));
    assert_false(mul_i64(INT64_C(3037000500), INT64_C(3037000500), &r));
    assert_false(add_i64(INT64_MAX, 1, &r));
    assert_false(mul_size(SIZE_MAX / 2 + 1, 2, &s));
    assert_int_equal(floor_div(-7, 2), -4);
    assert_int_equal(floor_div(7, -2), -4);
    assert_int_equal(floor_div(-8, 2), -4);
    assert_int_equal(floor_mod(-7, 3), 2);
    assert_int_equal(floor_mod(7, -3), -2);
    assert_int_equal(align_up(65, 64), 128);
}

static const char *print(Diags *d, const char *format)
{
    Text t = {.arena = d->arena};
    diag_print(d, &t, format);
    return text_str(&t);
}

/* The example of the style guide: a wrong weight, underlined. */
static void add_example(Diags *d)
{
    Diag *g = diag_add(d, SEV_ERROR, "conv-channels", "Conv 'backbone/conv1'",
                       "weight has %d input channels, input 'x' has %d", 3, 4);
    g->line = "%12 f32[1,32,112,112] = Conv %x %w1 {group=1}";
    g->mark = 32;
    g->width = 3;
    g->label = "f32[32,3,3,3]";
    diag_note(d, g, "node %d of graph 'main'", 0);
    diag_help(d, g, "transpose the weight");
}

static void test_diag_text(void **state)
{
    (void)state;
    Arena *a = arena_new(0, NULL);
    Diags d = {.arena = a, .file = "net.onnx"};
    add_example(&d);
    diag_add(&d, SEV_WARNING, "old-opset", NULL, "opset 6 is older than 7");
    assert_false(diag_error(&d, "no-outputs", "the graph has no outputs"));
    assert_string_equal(print(&d, "text"),
        "net.onnx: error: Conv 'backbone/conv1': weight has 3 input channels, input 'x' has 4 [conv-channels]\n"
        "  %12 f32[1,32,112,112] = Conv %x %w1 {group=1}\n"
        "                                  ^~~ f32[32,3,3,3]\n"
        "  note: node 0 of graph 'main'\n"
        "  help: transpose the weight\n"
        "net.onnx: warning: opset 6 is older than 7 [old-opset]\n"
        "net.onnx: error: the graph has no outputs [no-outputs]\n");
    assert_int_equal(d.errors, 2);
    assert_int_equal(d.warnings, 1);
    arena_free(a);
}

static void test_diag_hostile(void **state)
{
    (void)state;
    Arena *a = arena_new(0, NULL);
    Diags d = {.arena = a, .file = "a\nb"};
    Diag *g = diag_add(&d, SEV_NOTE, "s", "Op '\x1b[31m'", "name '%s'", "\xff");
    g->line = "\x01 %x y";
    g->mark = 2;
    g->width = 100; /* past the end */
    assert_string_equal(print(&d, "text"),
        "a\\x0Ab: note: Op '\\x1B[31m': name '\\xFF' [s]\n"
        "  \\x01 %x y\n"
        "       ^~~~\n");
    g->mark = 100;
    assert_non_null(strstr(print(&d, "text"), "^\n"));
    arena_free(a);
}

static void test_diag_long_line(void **state)
{
    (void)state;
    Arena *a = arena_new(0, NULL);
    Diags d = {.arena = a, .file = "f"};
    char line[2001];
    memset(line, 'a', 2000);
    line[1000] = 'M';
    line[2000] = 0;
    Diag *g = diag_add(&d, SEV_ERROR, "s", NULL, "t");
    g->line = line;
    g->mark = 1000;
    g->width = 1;
    const char *shown = strstr(print(&d, "text"), "\n") + 1, *below = strstr(shown, "\n") + 1;
    assert_true(below - shown < 220);
    assert_int_equal(strcspn(shown, "M"), strcspn(below, "^"));
    g->width = 1000;
    below = strstr(strstr(print(&d, "text"), "\n") + 1, "\n") + 1;
    assert_true(strlen(below) < 220);
    arena_free(a);
}

static void test_diag_limit(void **state)
{
    (void)state;
    Arena *a = arena_new(0, NULL);
    Diags d = {.arena = a, .file = "f", .max_errors = 3};
    for (int i = 0; i < 5; i++) {
        Diag *g = diag_add(&d, SEV_ERROR, "s", NULL, "e%d", i);
        diag_note(&d, g, "n%d", i);
        diag_help(&d, g, "h%d", i);
    }
    diag_add(&d, SEV_WARNING, "w", NULL, "kept");
    assert_int_equal(d.list.n, 4);
    assert_int_equal(d.errors, 5);
    assert_string_equal(print(&d, "text"),
        "f: error: e0 [s]\n  note: n0\n  help: h0\n"
        "f: error: e1 [s]\n  note: n1\n  help: h1\n"
        "f: error: e2 [s]\n  note: n2\n  help: h2\n"
        "f: warning: kept [w]\n"
        "f: note: 2 more errors not shown\n");
    Diags twenty = {.arena = a};
    for (int i = 0; i < 50; i++)
        diag_error(&twenty, "s", "x");
    assert_int_equal(twenty.list.n, 20);
    arena_free(a);
}

static void test_diag_json(void **state)
{
    (void)state;
    Arena *a = arena_new(0, NULL);
    Diags d = {.arena = a, .file = "net.onnx"};
    assert_string_equal(print(&d, "json"),
        "{\"version\": 1, \"file\": \"net.onnx\", \"errors\": 0, \"warnings\": 0, \"diagnostics\": []}\n");
    add_example(&d);
    diag_error(&d, "s", "a \"quoted\" \\ name\n");
    assert_string_equal(print(&d, "json"),
        "{\"version\": 1, \"file\": \"net.onnx\", \"errors\": 2, \"warnings\": 0, \"diagnostics\": [\n"
        "  {\"severity\": \"error\", \"id\": \"conv-channels\", \"subject\": \"Conv 'backbone/conv1'\", "
        "\"message\": \"weight has 3 input channels, input 'x' has 4\", "
        "\"line\": \"%12 f32[1,32,112,112] = Conv %x %w1 {group=1}\", \"column\": 32, \"width\": 3, "
        "\"label\": \"f32[32,3,3,3]\", \"help\": \"transpose the weight\", "
        "\"notes\": [\"node 0 of graph 'main'\"]},\n"
        "  {\"severity\": \"error\", \"id\": \"s\", \"message\": \"a \\\"quoted\\\" \\\\ name\\\\x0A\", "
        "\"notes\": []}]}\n");
    arena_free(a);
}

static void test_diag_sarif(void **state)
{
    (void)state;
    Arena *a = arena_new(0, NULL);
    Diags d = {.arena = a, .file = "my nets/a\"b.onnx"};
    add_example(&d);
    diag_add(&d, SEV_WARNING, "old", NULL, "w");
    diag_add(&d, SEV_ERROR, "conv-channels", NULL, "again");
    assert_string_equal(print(&d, "sarif"),
        "{\"$schema\": \"https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/"
        "sarif-schema-2.1.0.json\", \"version\": \"2.1.0\", \"runs\": [{\n"
        " \"tool\": {\"driver\": {\"name\": \"mlcc\", \"rules\": [{\"id\": \"conv-channels\"}, {\"id\": \"old\"}]}},\n"
        " \"results\": [\n"
        "  {\"level\": \"error\", \"ruleId\": \"conv-channels\", \"message\": {\"text\": \"Conv 'backbone/conv1': "
        "weight has 3 input channels, input 'x' has 4; note: node 0 of graph 'main'; help: transpose the weight\"}, "
        "\"locations\": [{\"physicalLocation\": {\"artifactLocation\": {\"uri\": \"my%20nets/a%22b.onnx\"}}, "
        "\"logicalLocations\": [{\"name\": \"Conv 'backbone/conv1'\"}]}]},\n"
        "  {\"level\": \"warning\", \"ruleId\": \"old\", \"message\": {\"text\": \"w\"}, "
        "\"locations\": [{\"physicalLocation\": {\"artifactLocation\": {\"uri\": \"my%20nets/a%22b.onnx\"}}}]},\n"
        "  {\"level\": \"error\", \"ruleId\": \"conv-channels\", \"message\": {\"text\": \"again\"}, "
        "\"locations\": [{\"physicalLocation\": {\"artifactLocation\": {\"uri\": \"my%20nets/a%22b.onnx\"}}}]}]}]}\n");
    arena_free(a);
}

static void test_printable(void **state)
{
    (void)state;
    Arena *a = arena_new(0, NULL);
    const char *plain = "plain ~ text";
    assert_ptr_equal(printable(a, plain), plain);
    assert_string_equal(printable(a, "a\tb\x7f\xc3\xa9"), "a\\x09b\\x7F\\xC3\\xA9");
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena_zero_and_aligned), cmocka_unit_test(test_arena_apart),
        cmocka_unit_test(test_arena_budget), cmocka_unit_test(test_arena_child),
        cmocka_unit_test(test_arena_overflow), cmocka_unit_test(test_vec), cmocka_unit_test(test_strings),
        cmocka_unit_test(test_text), cmocka_unit_test(test_map), cmocka_unit_test(test_hash),
        cmocka_unit_test(test_checked), cmocka_unit_test(test_diag_text), cmocka_unit_test(test_diag_hostile),
        cmocka_unit_test(test_diag_long_line), cmocka_unit_test(test_diag_limit), cmocka_unit_test(test_diag_json),
        cmocka_unit_test(test_diag_sarif), cmocka_unit_test(test_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

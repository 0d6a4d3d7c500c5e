/* SPDX-License-Identifier: Apache-2.0
 *
 * The wire scan against broken, hostile and unusual bytes, and the compact copy against what was written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "compiler/wire.h"
#include "pb.h"

/* A tree: Node { repeated Node child = 1; text name = 2; view data = 3; repeated int number = 4; Node one = 5; } */
static const WireMessage tree[] = {{"Node",
                                    100,
                                    5,
                                    {{"child", 1, WIRE_message, true, 8, 0},
                                     {"name", 2, WIRE_text, false, 8, 0},
                                     {"data", 3, WIRE_view, false, 16, 0},
                                     {"number", 4, WIRE_int, true, 8, 0},
                                     {"one", 5, WIRE_message, false, 8, 0}}}};

static const WireLimits wide = {1000000, 1000000, UINT64_C(1) << 32};

static Text bytes(Arena *a)
{
    return (Text){.arena = a};
}

static bool scan(Arena *a, const Text *t, const WireLimits *limits, WireScan *s)
{
    return wire_scan(a, tree, (const uint8_t *)t->at, t->n, limits, s);
}

static void assert_refused(const void *p, size_t n, const char *part)
{
    Arena *a = arena_new(0, NULL);
    WireScan s;
    assert_false(wire_scan(a, tree, p, n, &wide, &s));
    if (!strstr(s.error, part)) fail_msg("'%s' does not say '%s'", s.error, part);
    assert_true(s.at <= n);
    arena_free(a);
}

static void test_broken(void **state)
{
    (void)state;
    assert_refused("\x0a", 1, "cut off");                                           /* a key without a length */
    assert_refused("\x0a\x05\x12", 3, "its message only");                          /* a length beyond the end */
    assert_refused("\x0a\x02\x12\x05", 4, "its message only");                      /* the same inside a message */
    assert_refused("\x20\x80", 2, "cut off");                                       /* a varint without an end */
    assert_refused("\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11, "too long"); /* 65 bits */
    assert_refused("\x20\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12, "too long");
    assert_refused("\x12\x80\x80\x80\x80\x80\x00", 7, "6 bytes"); /* a length of six bytes */
    assert_refused("\x02\x00", 2, "field number 0");
    assert_refused("\x0b\x0c", 2, "wire type 3"); /* groups */
    assert_refused("\x0f\x00", 2, "wire type 7");
    assert_refused("\x3b\x3c", 2, "wire type 3"); /* also of a field that is not known */
    assert_refused("\x08\x00", 2, "wire type 0"); /* a message that is a number */
    assert_refused("\x21\x00\x00\x00\x00\x00\x00\x00\x00", 9, "wire type 1");
    assert_refused("\x39\x00\x00", 3, "cut off"); /* an unknown field of 8 bytes */
    assert_refused("\x22\x01\x80", 3, "broken");  /* a packed varint without an end */
    assert_refused("\x12\x03"
                   "a\0b",
                   5, "NUL");
    assert_refused("\x2a\x00\x2a\x00", 4, "given twice");
}

static void test_sound(void **state)
{
    (void)state;
    Arena *a = arena_new(0, NULL);
    Text t = bytes(a), child = bytes(a);
    pb_str(&child, 2, "leaf");
    pb_data(&child, 4, "\x01\x02\xac\x02", 4); /* 1, 2, 300 */
    pb_msg(&t, 1, &child);
    pb_msg(&t, 1, &child);
    pb_int(&t, 4, -1);
    WireScan s;
    assert_true(scan(a, &t, &wide, &s));
    assert_int_equal(s.messages, 3);
    assert_int_equal(s.text, 8);
    assert_int_equal(s.compact, t.n);
    assert_true(s.memory > 300);
    assert_true(wire_scan(a, tree, NULL, 0, &wide, &s)); /* an empty message is sound */
    arena_free(a);
}

static Text nested(Arena *a, int depth)
{
    Text t = bytes(a);
    for (int i = 1; i < depth; i++) {
        Text outer = bytes(a);
        pb_msg(&outer, 1, &t);
        t = outer;
    }
    return t;
}

static void test_limits(void **state)
{
    (void)state;
    Arena *a = arena_new(0, NULL);
    WireScan s;
    Text t = nested(a, WIRE_MAX_DEPTH);
    assert_true(scan(a, &t, &wide, &s));
    t = nested(a, WIRE_MAX_DEPTH + 1);
    assert_false(scan(a, &t, &wide, &s));
    assert_true(s.limit);
    t = bytes(a);
    for (int i = 0; i < 10; i++) text_put(&t, "\x0a\x00", 2);
    assert_true(scan(a, &t, &(WireLimits){11, 10, 100000}, &s));
    assert_false(scan(a, &t, &(WireLimits){10, 10, 100000}, &s) || !s.limit);
    assert_false(scan(a, &t, &(WireLimits){11, 9, 100000}, &s) || !s.limit);
    assert_false(scan(a, &t, &(WireLimits){11, 10, 1000}, &s) || !s.limit);
    arena_free(a);
}

/* Long views become references, unknown fields go, and lengths around them still fit. */
static void test_compact(void **state)
{
    (void)state;
    static const char data[300] = {1, 2, 3};
    Arena *a = arena_new(0, NULL);
    Text inner = bytes(a), t = bytes(a), want = bytes(a), want_inner = bytes(a);
    pb_str(&inner, 9, "unknown");
    pb_data(&inner, 3, data, sizeof data);
    pb_str(&inner, 2, "n");
    pb_msg(&t, 1, &inner);
    pb_data(&t, 3, data, WIRE_INLINE);
    WireScan s;
    assert_true(scan(a, &t, &wide, &s));
    uint8_t *out = NEWN(a, uint8_t, s.compact + 1);
    out[s.compact] = 0xee;
    wire_compact(tree, (const uint8_t *)t.at, t.n, out);
    assert_int_equal(out[s.compact], 0xee);
    const char *payload = memmem(t.at, t.n, data, sizeof data);
    const uint64_t ref[2] = {(uint64_t)(payload - t.at), sizeof data};
    pb_varint_to(&want_inner, 3 << 3 | 2);
    text_put(&want_inner, "\x91\x00", 2); /* 17 in the two bytes that 300 needs */
    text_put(&want_inner, "", 1);
    text_put(&want_inner, (const char *)ref, sizeof ref);
    pb_str(&want_inner, 2, "n");
    pb_varint_to(&want, 1 << 3 | 2);
    text_put(&want, &(char){(char)(want_inner.n | 0x80)}, 1);
    text_put(&want, "", 1);
    text_put(&want, want_inner.at, want_inner.n);
    pb_data(&want, 3, data, WIRE_INLINE);
    assert_int_equal(s.compact, want.n);
    assert_memory_equal(out, want.at, want.n);
    size_t n = WIRE_REF;
    const uint8_t *p = wire_view((const uint8_t *)t.at, out + 3 + 3, &n);
    assert_int_equal(n, sizeof data);
    assert_memory_equal(p, data, n);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_broken), cmocka_unit_test(test_sound),
                                       cmocka_unit_test(test_limits), cmocka_unit_test(test_compact)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

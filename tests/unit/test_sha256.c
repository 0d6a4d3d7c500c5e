/* SPDX-License-Identifier: Apache-2.0
 * The digest of a file. */
#include "onnx_case.h"

static void count_step(const void *ctx)
{
    ++*(int *)(uintptr_t)ctx;
}

static void test_sha256(void **state)
{
    (void)state;
    static const struct {
        const char *text, *hex;
    } vector[] = {{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
                  {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
                  {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                   "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"}};
    char hex[65], portable[65];
    for (size_t i = 0; i < COUNT(vector); i++) {
        sha256_hex(vector[i].text, strlen(vector[i].text), NULL, NULL, hex);
        sha256_hex_portable(vector[i].text, strlen(vector[i].text), portable);
        assert_string_equal(hex, vector[i].hex);
        assert_string_equal(portable, vector[i].hex);
    }
    unsigned char data[300];
    for (size_t n = 0; n < sizeof data; n++) {
        data[n] = (unsigned char)(n * 31);
        sha256_hex(data, n, NULL, NULL, hex);
        sha256_hex_portable(data, n, portable);
        assert_string_equal(hex, portable);
    }
    int steps = 0;
    char *million = malloc(1000000); /* FIPS 180-2, B.3 */
    assert_non_null(memset(million, 'a', 1000000));
    sha256_hex(million, 1000000, count_step, &steps, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    assert_true(steps > 1);
    free(million);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_sha256),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

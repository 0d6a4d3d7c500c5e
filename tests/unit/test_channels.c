/* SPDX-License-Identifier: Apache-2.0
 *
 * Dead channels: random networks, whole and quantized, with filters and columns of zeros compute the same bits with and
 * without the pass, and most of them lose something. What exactly goes is in tests/text/channels_*.nn.
 */
#include "eval.h"

enum { NETS = 60, MAX_CHANNELS = 5 };

/* ---- random networks as text ---- */

/* at: the tensor that the next layer reads. */
typedef struct Net {
    Text def, body;
    bool quantized;
    int layers, channels, at;
} Net;

static int pick(int n)
{
    return rand() % n;
}

/* Elements of a weight [m, c, taps]; now and then all of a result or input channel are `zero`. */
static void weight(Net *n, int m, int c, int taps, int zero)
{
    bool row[MAX_CHANNELS], column[MAX_CHANNELS];
    for (int k = 0; k < MAX_CHANNELS; k++) {
        row[k] = pick(3) == 0;
        column[k] = pick(4) == 0;
    }
    for (int k = 0; k < m * c * taps; k++) {
        const bool dead = row[k / taps / c] || (c > 1 && column[k / taps % c]);
        const int v = dead ? zero : pick(7) - 3;
        text_add(&n->def, n->quantized ? "%s%d" : "%s%d.0", k ? ", " : "", v);
    }
}

static void vector(Net *n, const char *name, int layer, const char *type, int count)
{
    text_add(&n->def, "const %%%s%d %s[%d] (", name, layer, type, count);
    for (int k = 0; k < count; k++) text_add(&n->def, n->quantized ? "%s%d" : "%s%d.0", k ? ", " : "", pick(81) - 40);
    text_add(&n->def, ")\n");
}

static void step(Net *n)
{
    n->at = n->layers++;
}

/* Convolution to m channels; m 0: depthwise. */
static void convolution(Net *n, int m)
{
    const int k = n->layers, depth = m == 0, out = depth ? n->channels : m, c = depth ? 1 : n->channels,
              kernel = 1 + 2 * pick(2);
    const char *attr =
        str_fmt(arena, "{group=%d, pads=[%d,0,0,%d]}", depth ? n->channels : 1, pick(4) == 0, pick(4) == 0);
    text_add(&n->def, "const %%w%d %s[%d,%d,%d,1] (", k, n->quantized ? "i8" : "f32", out, c, kernel);
    weight(n, out, c, kernel, n->quantized ? 1 : 0);
    text_add(&n->def, ")\n");
    vector(n, "b", k, n->quantized ? "i32" : "f32", out);
    if (n->quantized)
        text_add(&n->body, "%%t%d ? = QLinearConv %%t%d %%s %%z %%w%d %%ws %%wz %%s %%z %%b%d %s\n", k, n->at, k, k,
                 attr);
    else
        text_add(&n->body, "%%t%d ? = Conv %%t%d %%w%d %%b%d %s\n", k, n->at, k, k, attr);
    n->channels = out;
    step(n);
}

static void unary(Net *n)
{
    static const struct {
        const char *op, *rest;
    } real[] = {
        {"Relu", ""}, {"Clip", "%zero %six"}, {"MaxPool", "{kernel_shape=[2,1], pads=[1,0,1,0]}"}, {"Mul", "%six"}};
    static const struct {
        const char *op, *rest;
    } quantized[] = {
        {"MaxPool", "{kernel_shape=[2,1]}"},
        {"MaxPool", "{kernel_shape=[2,1], pads=[1,0,1,0]}"},
        {"com.microsoft:QLinearLeakyRelu", "%s %z %s %z"},
        {"com.microsoft:QLinearAveragePool", "%s %z %s %z {kernel_shape=[2,1], pads=[1,0,1,0], count_include_pad=1}"},
        {"mlcc:QTable", "%table"}};
    const int k = pick(n->quantized ? 5 : 4);
    text_add(&n->body, "%%t%d ? = %s %%t%d %s\n", n->layers, n->quantized ? quantized[k].op : real[k].op, n->at,
             n->quantized ? quantized[k].rest : real[k].rest);
    step(n);
}

/* t + t through a pointwise convolution beside it, so that two sums keep the same channels. */
static void residual(Net *n)
{
    const int from = n->at, c = n->channels, k = n->layers;
    text_add(&n->def, "const %%w%d %s[%d,%d,1,1] (", k, n->quantized ? "i8" : "f32", c, c);
    weight(n, c, c, 1, n->quantized ? 1 : 0);
    text_add(&n->def, ")\n");
    text_add(&n->body,
             n->quantized ? "%%t%d ? = QLinearConv %%t%d %%s %%z %%w%d %%ws %%wz %%s %%z\n"
                          : "%%t%d ? = Conv %%t%d %%w%d\n",
             k, from, k);
    step(n);
    text_add(&n->body,
             n->quantized ? "%%t%d ? = com.microsoft:QLinearAdd %%t%d %%s %%z %%t%d %%s %%z %%s %%z\n"
                          : "%%t%d ? = Add %%t%d %%t%d\n",
             n->layers, from, k);
    step(n);
}

static const char *network(bool quantized)
{
    Net n = {.def = {.arena = arena}, .body = {.arena = arena}, .quantized = quantized, .layers = 1, .channels = 2};
    text_add(&n.def, "input %%t0 %s[1,2,24,2]\nconst %%zero f32[] (0)\nconst %%six f32[] (6)\n",
             quantized ? "i8" : "f32");
    text_add(&n.def, "const %%s f32[] (0.5)\nconst %%z i8[] (%d)\nconst %%ws f32[] (0.25)\nconst %%wz i8[] (1)\n",
             pick(3) - 1);
    text_add(&n.def, "const %%table i8[256] (");
    for (int k = 0; k < 256; k++) text_add(&n.def, "%s%d", k ? ", " : "", pick(256) - 128);
    text_add(&n.def, ")\n");
    for (int k = 0; k < 5; k++) {
        convolution(&n, 1 + pick(MAX_CHANNELS));
        if (pick(2)) unary(&n);
        if (pick(3) == 0) convolution(&n, 0);
        if (pick(4) == 0) residual(&n);
    }
    convolution(&n, 2);
    return str_fmt(arena, "%s%soutput %%t%d\n", text_str(&n.def), text_str(&n.body), n.at);
}

/* ---- the pass ---- */

static bool same_bits(const Values *p, const Values *q)
{
    for (uint32_t k = 0; k < p->n; k++)
        if (p->bytes[k] != q->bytes[k] || memcmp(p->at[k].data, q->at[k].data, p->bytes[k]) != 0) return false;
    return p->n == q->n;
}

/* 1 when the pass changed the network. */
static int check(const char *text)
{
    mlcc_tensor *in = NULL;
    Graph *g = parsed(text);
    Program p = program(g);
    const Values want = evaluate(g, &in);
    remarks.n = 0;
    if (!pass_channels(&p)) fail_with_problems();
    const char *why = graph_verify(arena, g);
    if (why || !infer_graph(g)) fail_msg("%s\n%s", why ? why : "inference fails afterwards", text);
    const Values got = evaluate(g, &in);
    if (!same_bits(&want, &got)) fail_msg("outputs differ for\n%s", text);
    return remarks.n > 0;
}

static void check_many(bool quantized)
{
    int changed = 0;
    srand(quantized ? 7 : 8);
    for (int k = 0; k < NETS; k++) changed += check(network(quantized));
    assert_in_range(changed, NETS / 2, NETS);
}

static void integer_networks_keep_their_bits(void **state)
{
    (void)state;
    check_many(true);
}

static void real_networks_keep_their_bits(void **state)
{
    (void)state;
    check_many(false);
}

/* A bias that would leave i32 keeps the constant where it is. */
static void bias_does_not_overflow(void **state)
{
    (void)state;
    static const char text[] =
        "input %x i8[1,1,4,4]\nconst %s f32[] (1)\nconst %z i8[] (0)\nconst %w1 i8[2,1,1,1] (1, 0)\nconst %b1 i32[2] "
        "(1, 100)\n"
        "const %w2 i8[1,2,1,1] (1, 100)\nconst %b2 i32[1] (2147480000)\n"
        "%t ? = QLinearConv %x %s %z %w1 %s %z %s %z %b1\n%y ? = QLinearConv %t %s %z %w2 %s %z %s %z %b2\noutput %y\n";
    assert_int_equal(check(text), 0);
}

/* Stacks of matrices with equal extents look like one matrix; their second dimension is no channel. */
static void stacks_stay(void **state)
{
    (void)state;
    static const char text[] = "input %x f32[2,2,2]\nconst %w f32[2,2,2] (0, 0, 0, 0, 1, 2, 3, 4)\n%h ? = Relu %x\n"
                               "%t ? = MatMul %h %w\n%u ? = MatMul %t %w\n%y ? = Neg %u\noutput %y\n";
    assert_int_equal(check(text), 0);
}

/* A window with nothing but pads under it has a value of its own. */
static void windows_of_pads_count(void **state)
{
    (void)state;
    static const char text[] = "input %x i8[1,1,2,4]\nconst %s f32[] (1)\nconst %z i8[] (0)\nconst %w i8[2,1,1,1] (1, "
                               "0)\nconst %b i32[2] (0, 5)\n"
                               "const %v i8[1,2,1,1] (0, 1)\n%t ? = QLinearConv %x %s %z %w %s %z %s %z %b\n"
                               "%m ? = MaxPool %t {kernel_shape=[2,2], dilations=[4,1], pads=[2,0,2,0]}\n"
                               "%y ? = QLinearConv %m %s %z %v %s %z %s %z\noutput %y\n";
    (void)check(text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_passes, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(integer_networks_keep_their_bits), TEST(real_networks_keep_their_bits),
                                       TEST(bias_does_not_overflow), TEST(stacks_stay), TEST(windows_of_pads_count)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

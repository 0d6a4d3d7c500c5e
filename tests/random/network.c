/* SPDX-License-Identifier: Apache-2.0
 *
 * Random networks of bytes: chains of QLinearConv, dense and depthwise, with pools and results on the way. Their operands have to fit each other, which
 * random proposals (gen.c) do not find, and what the scheduler does for bytes is exact.
 */
#include "random.h"

#include <math.h>

enum { LEAST_LAYERS = 2, MOST_LAYERS = 5 };

typedef struct Network {
    Rng rng;
    Text *t;
    const char *prefix;
    int64_t channels, rows, columns;
    int at; /* layers so far: the last one made is %prefix_y<at> */
    bool dense; /* the last one was a product of all channels, which a depthwise one often follows */
} Network;

static void add_numbers(Network *n, int64_t count, int64_t lo, int64_t hi)
{
    for (int64_t k = 0; k < count; k++) text_add(n->t, "%s%lld", k ? ", " : "(", (long long)rng_range(&n->rng, lo, hi));
    text_add(n->t, ")\n");
}

/* Scales of the weights, of each channel or of all, by which sums of `steps` products become bytes; and a bias or none. */
static void add_scales(Network *n, int64_t channels, int64_t steps, bool bias)
{
    const int64_t each = rng_chance(&n->rng, 60) ? channels : 1;
    text_add(n->t, "const %%%s_s%d f32[%s] ", n->prefix, n->at, each > 1 ? str_fmt(n->t->arena, "%lld", (long long)each) : "");
    for (int64_t k = 0; k < each; k++)
        text_add(n->t, "%s%.9g", k ? ", " : "(", (double)rng_range(&n->rng, 30, 300) / 100 / (64 * sqrt((double)steps)));
    text_add(n->t, ")\nconst %%%s_z%d i8[] (0)\n", n->prefix, n->at);
    if (!bias) return;
    text_add(n->t, "const %%%s_b%d i32[%lld] ", n->prefix, n->at, (long long)channels);
    add_numbers(n, channels, -9000, 9000);
}

/* A convolution of `group` groups to so many channels by a window of k x k. */
static void add_conv(Network *n, int64_t to, int64_t group, int64_t k, int64_t stride)
{
    const int64_t from = n->channels / group, pad = k / 2;
    const bool bias = rng_chance(&n->rng, 50);
    text_add(n->t, "const %%%s_w%d i8[%lld,%lld,%lld,%lld] ", n->prefix, n->at, (long long)to, (long long)from, (long long)k, (long long)k);
    add_numbers(n, to * from * k * k, -127, 127);
    add_scales(n, to, from * k * k, bias);
    text_add(n->t, "%%%s_y%d ? = QLinearConv %%%s_y%d %%%s_one %%%s_zero %%%s_w%d %%%s_s%d %%%s_z%d %%%s_one %%%s_zero", n->prefix, n->at + 1, n->prefix, n->at, n->prefix,
             n->prefix, n->prefix, n->at, n->prefix, n->at, n->prefix, n->at, n->prefix, n->prefix);
    if (bias) text_add(n->t, " %%%s_b%d", n->prefix, n->at);
    text_add(n->t, " {group=%lld, pads=[%lld,%lld,%lld,%lld], strides=[%lld,%lld]}\n", (long long)group, (long long)pad, (long long)pad, (long long)pad, (long long)pad,
             (long long)stride, (long long)stride);
    n->at++;
    n->channels = to;
    n->rows = (n->rows - 1) / stride + 1;
    n->columns = (n->columns - 1) / stride + 1;
}

static void add_layer(Network *n)
{
    Rng *r = &n->rng;
    const int64_t stride = rng_chance(r, 30) ? 2 : 1, to = ONE_OF(r, 4, 8, 12, 16, 24, 33, 40);
    n->dense = !rng_chance(r, n->dense ? 75 : 20);
    if (!n->dense) add_conv(n, n->channels, n->channels, ONE_OF(r, 3, 3, 5), stride);
    else add_conv(n, to, 1, rng_chance(r, 60) ? 1 : 3, stride);
    if (rng_chance(r, 12)) text_add(n->t, "%%%s_p%d ? = MaxPool %%%s_y%d {kernel_shape=[2,2], strides=[1,1], pads=[0,0,1,1]}\noutput %%%s_p%d\n", n->prefix, n->at, n->prefix, n->at, n->prefix, n->at);
    if (rng_chance(r, 8)) text_add(n->t, "output %%%s_y%d\n", n->prefix, n->at);
}

const char *random_network(Arena *a, uint64_t seed)
{
    Text t = {.arena = a};
    Network n = {.rng = rng_of(seed, "network"), .t = &t, .prefix = str_fmt(a, "n%llu", (unsigned long long)seed)};
    n.channels = ONE_OF(&n.rng, 1, 3, 4, 8, 16);
    n.rows = rng_range(&n.rng, 3, 9);
    n.columns = 2 * rng_range(&n.rng, 2, 9) - rng_chance(&n.rng, 25);
    const bool sign = rng_chance(&n.rng, 40);
    const int64_t zero = ONE_OF(&n.rng, 0, 3, 128) - 128 * sign;
    const char *type = sign ? "i8" : "u8";
    text_add(&t, "graph random\ninput %%%s_y0 %s[1,%lld,%lld,%lld]\n", n.prefix, type, (long long)n.channels, (long long)n.rows, (long long)n.columns);
    text_add(&t, "const %%%s_one f32[] (1)\nconst %%%s_zero %s[] (%lld)\n", n.prefix, n.prefix, type, (long long)zero);
    for (int64_t k = rng_range(&n.rng, LEAST_LAYERS, MOST_LAYERS); k > 0; k--) add_layer(&n);
    text_add(&t, "output %%%s_y%d\n", n.prefix, n.at);
    return text_str(&t);
}

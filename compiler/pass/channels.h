/* SPDX-License-Identifier: Apache-2.0
 *
 * Dead channels, in three steps over side tables: what operators do to channels (channels_role.c), which channels hold
 * one constant everywhere (channels_value.c), and which must stay and how the others are cut out (channels.c).
 *
 * A channel is a place along dimension 1. Tensors whose channels correspond one to one form a class; they keep the same
 * channels.
 */
#ifndef MLCC_PASS_CHANNELS_H
#define MLCC_PASS_CHANNELS_H

#include "../../ir/op.h"
#include "../pass.h"

typedef enum ChannelRole {
    CR_none,
    CR_mix,    /* each result channel is a sum over all channels: Conv, Gemm */
    CR_depth,  /* convolution of each channel for itself */
    CR_each,   /* elementwise */
    CR_window, /* pooling */
    CR_view    /* dimensions of extent 1 come or go */
} ChannelRole;

/* An operator: operands by number, NO_CHANNEL_OPERAND where there is none. xz, wz: zero points; with them sums are
 * exact integers, so constants move into the bias b. w of an elementwise operator: a table. vectors: per-channel
 * operands have rank 1, else they broadcast. */
enum { NO_CHANNEL_OPERAND = -1 };
typedef struct ChannelRow {
    const char *domain, *name;
    ChannelRole role;
    int8_t x, w, b, xz, wz;
    bool vectors;
} ChannelRow;

typedef struct ChannelFacts { /* of one tensor */
    int64_t n;                /* channels; 0: not followed */
    bool *known;              /* by channel: it holds value[channel] everywhere; NULL: none is known */
    double *value;
    uint32_t up; /* towards the tensor that stands for the class */
    bool fixed;  /* of that tensor: all channels stay */
    bool *keep;  /* of that tensor, by channel */
} ChannelFacts;

typedef struct Channels {
    Program *p;
    Graph *g;
    Arena *a;
    ChannelFacts *of;       /* by tensor */
    ChannelRole *role;      /* by node */
    const ChannelRow **row; /* by node */
} Channels;

/* The weight of a mixing or depthwise node: w[m, c, taps..], or w[c, m] when swapped. */
typedef struct Weight {
    const Blob *w, *wz;
    int64_t m, c, taps;
    bool swapped;
} Weight;

/* channels_role.c: fills of[].n, classes, role and row. */
void channels_roles(Channels *k);
uint32_t channels_class(Channels *k, TensorId t);
OpCtx channels_ctx(const Channels *k, NodeId n);
Weight channels_weight(const Channels *k, NodeId n);
double channels_factor(const Weight *w, int64_t m, int64_t c, int64_t tap); /* w[m, c, tap] - wz[m] */
bool channels_reads(const Weight *w, int64_t m, int64_t c);                 /* w[m, c, ..] is not zero throughout */
int channels_axis(const Channels *k, NodeId n, TensorId t); /* channel dimension of constant operand t, -1: none */
bool channels_padded(const Channels *k, NodeId n);          /* windows reach outside the input */
double channels_zero(const Channels *k, NodeId n);          /* the input's zero point */
bool channels_joined(const Channels *k, TensorId in, TensorId out); /* activation of the class of out */

/* channels_value.c: fills of[].known and value. False: out of memory budget, with diagnostic. */
bool channels_values(Channels *k);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * Times each function of an emitted model compiled with -DMLCC_PROFILE: nodes SECONDS. Inputs are made up. Prints JSON: the
 * functions in the order of the run, each with the least and the median of its times in microseconds, and those of whole runs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model.h"

enum { MAX_IO = 64, MAX_RUNS = 2000 };

typedef struct Node { const char *name; float *us; } Node;
typedef struct Profile {
    Node *node;
    size_t n, cap, at; /* nodes known, room, node that runs (at - 1) */
    int run;
    double since;
} Profile;

static Profile profile;

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static void *need(void *p)
{
    if (!p)
        abort();
    return p;
}

static void add_node(Profile *p, const char *name)
{
    if (p->n == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 64;
        p->node = need(realloc(p->node, p->cap * sizeof *p->node));
    }
    p->node[p->n++] = (Node){name, need(calloc(MAX_RUNS, sizeof(float)))};
}

static void end_node(Profile *p)
{
    const double t = now_us();
    if (p->at > 0)
        p->node[p->at - 1].us[p->run] = (float)(t - p->since);
}

void mlcc_profile_node(const char *name)
{
    Profile *p = &profile;
    end_node(p);
    if (p->at == p->n)
        add_node(p, name);
    p->at++;
    p->since = now_us();
}

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void print(const char *name, float *us, int runs, const char *comma)
{
    qsort(us, (size_t)runs, sizeof *us, by_value);
    printf("  {\"function\": \"%s\", \"us\": %.3f, \"median_us\": %.3f}%s\n", name, (double)us[0], (double)us[runs / 2], comma);
}

static size_t elements(const mlcc_tensor_info *t)
{
    size_t n = 1;
    for (int d = 0; d < t->rank; d++)
        n *= (size_t)t->dim[d];
    return n;
}

static void make(mlcc_tensor *t, const mlcc_tensor_info *i, int fill)
{
    const size_t n = elements(i);
    *t = (mlcc_tensor){need(aligned_alloc(64, (16 * n + 127) / 64 * 64)), i->dtype, i->rank, {0}};
    memset(t->data, 0, 16 * n);
    for (size_t k = 0; fill && i->dtype == 1 && k < n; k++)
        ((float *)t->data)[k] = (float)(k * 2654435761u >> 8 & 0xffff) / 32768.0f - 1.0f;
    for (int d = 0; d < i->rank; d++)
        t->dim[d] = i->dim[d];
}

int main(int argc, char **argv)
{
    static float whole[MAX_RUNS];
    const mlcc_model_info *m = &model_info;
    mlcc_tensor in[MAX_IO], out[MAX_IO];
    if (argc != 2 || m->nin > MAX_IO || m->nout > MAX_IO)
        return 2;
    for (unsigned k = 0; k < m->nin; k++)
        make(&in[k], &m->in[k], 1);
    for (unsigned k = 0; k < m->nout; k++)
        make(&out[k], &m->out[k], 0);
    void *arena = need(aligned_alloc(4096, (m->arena_bytes + 8191) / 4096 * 4096));
    if (m->call(in, out, arena) != 0) /* pages and caches are warm from here on */
        return 1;
    const double end = now_us() + 1e6 * atof(argv[1]);
    int runs = 0;
    for (; runs < MAX_RUNS && (runs < 3 || now_us() < end); runs++) {
        profile.run = runs;
        profile.at = 0;
        const double t = now_us();
        (void)m->call(in, out, arena);
        end_node(&profile);
        whole[runs] = (float)(now_us() - t);
    }
    printf("{\"runs\": %d, \"nodes\": [\n", runs);
    for (size_t k = 0; k < profile.n; k++)
        print(profile.node[k].name, profile.node[k].us, runs, k + 1 < profile.n ? "," : "");
    printf("], \"whole\":\n");
    print("model", whole, runs, "");
    printf("}\n");
    return 0;
}

/* SPDX-License-Identifier: 0BSD
 *
 * Times each function of a model that was compiled with -DMLCC_PROFILE. For one file of a hosted program, behind the model's
 * header, compiled with -D_GNU_SOURCE:
 *
 *   int mlcc_profile_model(const mlcc_model_info *m, double seconds, FILE *to)
 *
 * runs the model on made-up inputs for so long and writes JSON: the functions in the order of the run, each with the least and
 * the median of its times in microseconds, and those of whole runs. Returns what the model does; 2: it has too many tensors.
 */
#ifndef MLCC_PROFILE_H
#define MLCC_PROFILE_H

#include "mlcc_pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MLCC_PROFILE_RUNS = 2000 };

typedef struct mlcc_profile_time { const char *name; float *us; } mlcc_profile_time;
typedef struct mlcc_profile {
    mlcc_profile_time *node;
    size_t n, cap, at; /* nodes known, room, node that runs (at - 1) */
    int run;
    double since;
} mlcc_profile;

static mlcc_profile mlcc_profiled;

static double mlcc_profile_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static void *mlcc_profile_need(void *p)
{
    if (!p)
        abort();
    return p;
}

static void mlcc_profile_add(mlcc_profile *p, const char *name)
{
    if (p->n == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 64;
        p->node = mlcc_profile_need(realloc(p->node, p->cap * sizeof *p->node));
    }
    p->node[p->n++] = (mlcc_profile_time){name, mlcc_profile_need(calloc(MLCC_PROFILE_RUNS, sizeof(float)))};
}

static void mlcc_profile_end(mlcc_profile *p)
{
    const double t = mlcc_profile_now();
    if (p->at > 0)
        p->node[p->at - 1].us[p->run] = (float)(t - p->since);
}

void mlcc_profile_node(const char *name)
{
    mlcc_profile *p = &mlcc_profiled;
    mlcc_profile_end(p);
    if (p->at == p->n)
        mlcc_profile_add(p, name);
    p->at++;
    p->since = mlcc_profile_now();
}

static int mlcc_profile_order(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void mlcc_profile_print(FILE *to, const char *name, float *us, int runs, const char *comma)
{
    qsort(us, (size_t)runs, sizeof *us, mlcc_profile_order);
    fprintf(to, "  {\"function\": \"%s\", \"us\": %.3f, \"median_us\": %.3f}%s\n", name, (double)us[0], (double)us[runs / 2], comma);
}

static size_t mlcc_profile_elements(const mlcc_tensor_info *t)
{
    size_t n = 1;
    for (int d = 0; d < t->rank; d++)
        n *= (size_t)t->dim[d];
    return n;
}

static void mlcc_profile_make(mlcc_tensor *t, const mlcc_tensor_info *i, int fill)
{
    const size_t n = mlcc_profile_elements(i);
    *t = (mlcc_tensor){mlcc_profile_need(aligned_alloc(64, (16 * n + 127) / 64 * 64)), i->dtype, i->rank, {0}};
    memset(t->data, 0, 16 * n);
    for (size_t k = 0; fill && i->dtype == 1 && k < n; k++)
        ((float *)t->data)[k] = (float)(k * 2654435761u >> 8 & 0xffff) / 32768.0f - 1.0f;
    for (int d = 0; d < i->rank; d++)
        t->dim[d] = i->dim[d];
}

/* Weights to huge pages: by the small ones that a file has, one process may be a tenth slower than the next. */
static void mlcc_profile_move(const mlcc_model_info *m)
{
    size_t bytes = 0;
    const int known = m->size > offsetof(mlcc_model_info, weights);
    const void *image = known && m->weights ? m->weights(&bytes) : NULL;
    (void)mlcc_pages_move(image, bytes);
}

static int mlcc_profile_model(const mlcc_model_info *m, double seconds, FILE *to)
{
    static float whole[MLCC_PROFILE_RUNS];
    mlcc_profile *p = &mlcc_profiled;
    mlcc_tensor in[64], out[64];
    if (m->nin > 64 || m->nout > 64)
        return 2;
    for (unsigned k = 0; k < m->nin; k++)
        mlcc_profile_make(&in[k], &m->in[k], 1);
    for (unsigned k = 0; k < m->nout; k++)
        mlcc_profile_make(&out[k], &m->out[k], 0);
    void *arena = mlcc_profile_need(mlcc_pages_new(m->arena_bytes + 1));
    mlcc_profile_move(m);
    const int status = m->call(in, out, arena); /* pages and caches are warm from here on */
    if (status != 0)
        return status;
    const double end = mlcc_profile_now() + 1e6 * seconds;
    int runs = 0;
    for (; runs < MLCC_PROFILE_RUNS && (runs < 3 || mlcc_profile_now() < end); runs++) {
        p->run = runs;
        p->at = 0;
        const double t = mlcc_profile_now();
        (void)m->call(in, out, arena);
        mlcc_profile_end(p);
        whole[runs] = (float)(mlcc_profile_now() - t);
    }
    fprintf(to, "{\"runs\": %d, \"nodes\": [\n", runs);
    for (size_t k = 0; k < p->n; k++)
        mlcc_profile_print(to, p->node[k].name, p->node[k].us, runs, k + 1 < p->n ? "," : "");
    fprintf(to, "], \"whole\":\n");
    mlcc_profile_print(to, "model", whole, runs, "");
    fprintf(to, "}\n");
    return 0;
}

#endif

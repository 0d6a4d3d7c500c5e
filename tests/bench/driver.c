/* SPDX-License-Identifier: Apache-2.0
 * Times an emitted model: bench INDIR OUTDIR SECONDS. Reads INDIR/in_K.bin, writes OUTDIR/out_K.bin, prints JSON.
 * The process gets the pages of the weights before the first result, which load_ms ends with; behind it they move to huge pages. Made
 * with -DTHREADS for a model made with --threads=, it takes one more argument: how many. */
#include "../../runtime-min/mlcc_pages.h"

#include <stdio.h>
#include <time.h>

#include "model.h"
#if defined(THREADS)
#include "model_threads.h"
#endif

enum { MAX_IO = 256, MAX_RUNS = 1 << 20 };

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* Bytes of one element by ONNX type number; types below a byte take one. */
static size_t element(int dtype)
{
    static const unsigned char bytes[] = {0, 4, 1, 1, 2, 2, 4, 8, 8, 1, 2, 8, 4, 8, 8, 16, 2};
    return dtype < (int)sizeof bytes ? bytes[dtype] : 1;
}

static size_t tensor_bytes(const mlcc_tensor_info *t)
{
    size_t n = element(t->dtype);
    for (int d = 0; d < t->rank; d++)
        n *= (size_t)t->dim[d];
    return n;
}

static void set(mlcc_tensor *t, const mlcc_tensor_info *i)
{
    *t = (mlcc_tensor){aligned_alloc(64, (tensor_bytes(i) + 127) / 64 * 64), i->dtype, i->rank, {0}};
    for (int d = 0; d < i->rank; d++)
        t->dim[d] = i->dim[d];
}

static int transfer(const char *folder, const char *kind, unsigned k, void *data, size_t n)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s_%u.bin", folder, kind, k);
    const int out = kind[0] == 'o';
    FILE *f = fopen(path, out ? "wb" : "rb");
    const size_t done = !f ? 0 : out ? fwrite(data, 1, n, f) : fread(data, 1, n, f);
    return f && fclose(f) == 0 && done == n;
}

#if defined(THREADS)
enum { ARGUMENTS = 5, ARENA = MODEL_THREADS_ARENA_BYTES };
static mlcc_pool pool;
static mlcc_parallel parallel;

static int begin(char **argv)
{
    const int error = mlcc_pool_start(&pool, atoi(argv[4]));
    parallel = mlcc_pool_parallel(&pool);
    return error;
}

static int infer(const mlcc_tensor *in, mlcc_tensor *out, void *arena)
{
    return model_call_threads(in, out, arena, &parallel);
}
#else
enum { ARGUMENTS = 4, ARENA = MODEL_ARENA_BYTES };

static int begin(char **argv)
{
    (void)argv;
    return 0;
}

static int infer(const mlcc_tensor *in, mlcc_tensor *out, void *arena)
{
    return model_call(in, out, arena);
}
#endif

/* As a server does: pages before its first run, and better ones before it works for long. */
static void with_weights(const mlcc_model_info *m, int (*what)(const void *image, size_t bytes))
{
    size_t bytes = 0;
    const void *image = m->weights ? m->weights(&bytes) : NULL;
    (void)what(image, bytes);
}

int main(int argc, char **argv)
{
    const mlcc_model_info *m = &model_info;
    mlcc_tensor in[MAX_IO], out[MAX_IO];
    if (argc != ARGUMENTS || begin(argv) != 0 || m->nin > MAX_IO || m->nout > MAX_IO)
        return 2;
    for (unsigned k = 0; k < m->nin; k++) {
        set(&in[k], &m->in[k]);
        if (!transfer(argv[1], "in", k, in[k].data, tensor_bytes(&m->in[k])))
            return 1;
    }
    const double t0 = now_ms();
    void *arena = mlcc_pages_new(ARENA + 1);
    with_weights(m, mlcc_pages_ready);
    for (unsigned k = 0; k < m->nout; k++)
        set(&out[k], &m->out[k]);
    if (infer(in, out, arena) != 0)
        return 1;
    const double load = now_ms() - t0;
    with_weights(m, mlcc_pages_move);
    const double end = now_ms() + 1e3 * atof(argv[3]);
    for (unsigned k = 0; k < m->nout; k++)
        if (!transfer(argv[2], "out", k, out[k].data, tensor_bytes(&m->out[k])))
            return 1;
    printf("{\"load_ms\": %.3f, \"ms\": [", load);
    for (int run = 0; run < MAX_RUNS && (run == 0 || now_ms() < end); run++) {
        const double t = now_ms();
        (void)infer(in, out, arena);
        printf("%s%.6f", run ? ", " : "", now_ms() - t);
    }
    printf("]}\n");
    return 0;
}

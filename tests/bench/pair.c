/* SPDX-License-Identifier: Apache-2.0
 * pair SECONDS MODEL.so ...: calls models that were made of one network by turns, in one process, so that what the machine does
 * meanwhile to its clock and its memory falls on all alike. Prints JSON: for each the least and the median of its milliseconds, and the
 * median of its time over that of the first in the same round. With -DTHREADS=N models run on a pool of N. */
#include <dlfcn.h>

#include "mlcc.h"

#include "mlcc_profile.h"

enum { MODELS = 8, TENSORS = 64, ROUNDS = 20000 };

typedef struct Model { const mlcc_model_info *info; void *arena; float *ms, *ratio; } Model;

#if defined(THREADS)
#include "mlcc_threads.h"

enum { SCRATCH = 256 << 20 }; /* of parts, above the arena of one */
typedef int (*Call)(const mlcc_tensor *in, mlcc_tensor *out, void *arena, const mlcc_parallel *p);

static mlcc_pool pool;
static mlcc_parallel parallel;
static Call call_of[MODELS];

static int start(void) { return mlcc_pool_start(&pool, THREADS) || (parallel = mlcc_pool_parallel(&pool), 0); }
static void find(void *so, int n) { *(void **)&call_of[n] = dlsym(so, "model_call_threads"); }
static int call(const Model *m, int n, const mlcc_tensor *in, mlcc_tensor *out) { return call_of[n](in, out, m[n].arena, &parallel); }
#else
enum { SCRATCH = 0 };

static int start(void) { return 0; }
static void find(void *so, int n) { (void)so, (void)n; }
static int call(const Model *m, int n, const mlcc_tensor *in, mlcc_tensor *out) { return m[n].info->call(in, out, m[n].arena); }
#endif

static Model load(const char *path, int n)
{
    void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    Model m = {so ? dlsym(so, "model_info") : NULL, NULL, mlcc_profile_need(calloc(ROUNDS, sizeof(float))), mlcc_profile_need(calloc(ROUNDS, sizeof(float)))};
    if (!m.info) {
        fprintf(stderr, "pair: %s\n", dlerror());
        exit(2);
    }
    find(so, n);
    m.arena = mlcc_profile_need(mlcc_pages_new(m.info->arena_bytes + SCRATCH + 1));
    mlcc_profile_move(m.info);
    return m;
}

static int rounds(Model *m, int count, double seconds, const mlcc_tensor *in, mlcc_tensor *out)
{
    const double end = mlcc_profile_now() + 1e6 * seconds;
    int n = 0;
    for (; n < ROUNDS && (n < 3 || mlcc_profile_now() < end); n++) {
        for (int k = 0; k < count; k++) {
            const int q = (k + n) % count;
            const double t = mlcc_profile_now();
            (void)call(m, q, in, out);
            m[q].ms[n] = (float)(1e-3 * (mlcc_profile_now() - t));
        }
        for (int k = 0; k < count; k++)
            m[k].ratio[n] = m[k].ms[n] / m[0].ms[n];
    }
    return n;
}

static float median(float *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, mlcc_profile_order);
    return v[n / 2];
}

int main(int argc, char **argv)
{
    static mlcc_tensor in[TENSORS], out[TENSORS];
    Model m[MODELS];
    const int count = argc - 2;
    if (count < 1 || count > MODELS || start() != 0)
        return 2;
    for (int k = 0; k < count; k++)
        m[k] = load(argv[2 + k], k);
    if (m[0].info->nin > TENSORS || m[0].info->nout > TENSORS)
        return 2;
    for (unsigned k = 0; k < m[0].info->nin; k++)
        mlcc_profile_make(&in[k], &m[0].info->in[k], 1);
    for (unsigned k = 0; k < m[0].info->nout; k++)
        mlcc_profile_make(&out[k], &m[0].info->out[k], 0);
    for (int k = 0; k < count; k++)
        if (call(m, k, in, out) != 0)
            return 3;
    const int n = rounds(m, count, atof(argv[1]), in, out);
    printf("{\"rounds\": %d, \"models\": [", n);
    for (int k = 0; k < count; k++) {
        const float middle = median(m[k].ms, n);
        printf("%s{\"least\": %.4f, \"median\": %.4f, \"ratio\": %.4f}", k ? ", " : "", (double)m[k].ms[0], (double)middle, (double)median(m[k].ratio, n));
    }
    printf("]}\n");
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 * nodes SECONDS [THREADS]: times each function of an emitted model compiled with -DMLCC_PROFILE, and prints JSON: the profile, and
 * what a loop of multiply-adds before each run of the model reaches: a core that works for long runs slower than one that begins. With
 * THREADS, for which it is made with -DTHREADS, the model runs on a pool of so many. */
#include "model.h"

#include "fma_loop.h"
#include "mlcc_profile.h"

enum { LOOP_STEPS = 20000 }; /* a sixth of a millisecond */

static mlcc_model_info info;
static float loop_us[MLCC_PROFILE_RUNS + 1];
static int loops;

static void time_loop(void)
{
    const double t = mlcc_profile_now();
    (void)fma_ops(LOOP_STEPS);
    if (loops <= MLCC_PROFILE_RUNS)
        loop_us[loops++] = (float)(mlcc_profile_now() - t);
}

#if defined(THREADS)
#include "model_threads.h"

static mlcc_pool pool;
static mlcc_parallel parallel;

static int call(const mlcc_tensor *in, mlcc_tensor *out, void *arena)
{
    time_loop();
    return model_call_threads(in, out, arena, &parallel);
}

static int start(int threads)
{
    info.arena_bytes = MODEL_THREADS_ARENA_BYTES;
    if (mlcc_pool_start(&pool, threads) != 0)
        return 2;
    parallel = mlcc_pool_parallel(&pool);
    return 0;
}

static void stop(void) { mlcc_pool_stop(&pool); }
#else
static int call(const mlcc_tensor *in, mlcc_tensor *out, void *arena)
{
    time_loop();
    return model_info.call(in, out, arena);
}

static int start(int threads) { return threads == 1 ? 0 : 2; }
static void stop(void) {}
#endif

int main(int argc, char **argv)
{
    info = model_info;
    info.call = call;
    if (argc < 2 || start(argc > 2 ? atoi(argv[2]) : 1) != 0)
        return 2;
    printf("{\"profile\":\n");
    const int status = mlcc_profile_model(&info, atof(argv[1]), stdout);
    stop();
    qsort(loop_us, (size_t)loops, sizeof *loop_us, mlcc_profile_order);
    const double us = (double)loop_us[loops / 2];
    printf(", \"loop\": {\"us\": %.3f, \"f32\": %.1f}}\n", us, 2.0 * WIDTH / 4 * CHAINS * LOOP_STEPS / us * 1e-3);
    return status;
}

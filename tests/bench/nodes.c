/* SPDX-License-Identifier: Apache-2.0
 * nodes SECONDS [THREADS]: times each function of an emitted model compiled with -DMLCC_PROFILE, and prints JSON. With
 * THREADS, for which it is made with -DTHREADS, the model runs on a pool of so many. */
#include "model.h"

#include "mlcc_profile.h"

#if defined(THREADS)
#include "model_threads.h"

static mlcc_pool pool;
static mlcc_parallel parallel;

static int call_pool(const mlcc_tensor *in, mlcc_tensor *out, void *arena)
{
    return model_call_threads(in, out, arena, &parallel);
}

int main(int argc, char **argv)
{
    mlcc_model_info info = model_info;
    info.call = call_pool;
    info.arena_bytes = MODEL_THREADS_ARENA_BYTES;
    if (argc != 3 || mlcc_pool_start(&pool, atoi(argv[2])) != 0)
        return 2;
    parallel = mlcc_pool_parallel(&pool);
    const int status = mlcc_profile_model(&info, atof(argv[1]), stdout);
    mlcc_pool_stop(&pool);
    return status;
}
#else
int main(int argc, char **argv)
{
    return argc == 2 ? mlcc_profile_model(&model_info, atof(argv[1]), stdout) : 2;
}
#endif

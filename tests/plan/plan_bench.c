/* SPDX-License-Identifier: Apache-2.0
 *
 * Packs the instances named on the command line and prints how well and how fast: plan_bench [-n NODES] [-c BYTES]
 * FILE.csv...; with -c it fails when a plan is higher than that.
 * A file has the columns id,lower,upper,size: a buffer of `size` bytes is live in [lower, upper). Plans are checked.
 */
#include "../../compiler/plan_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct Instance {
    VEC(PlanBuf) buf;
} Instance;

static bool read_instance(Arena *a, const char *path, Instance *in)
{
    FILE *f = fopen(path, "r");
    char line[256];
    if (!f) return false;
    while (fgets(line, sizeof line, f)) {
        int32_t lower, upper;
        int64_t size;
        if (sscanf(line, "%*[^,],%" SCNd32 ",%" SCNd32 ",%" SCNd64, &lower, &upper, &size) == 3)
            PUSH(a, &in->buf, ((PlanBuf){.bytes = size, .align = 1, .first = lower, .last = upper - 1, .pools = 1, .fixed = -1}));
    }
    fclose(f);
    return in->buf.n > 0;
}

static bool bench(const char *path, uint64_t nodes, int64_t capacity)
{
    Arena *a = arena_new(0, NULL);
    Instance in = {0};
    if (!read_instance(a, path, &in)) {
        fprintf(stderr, "%s: could not be read\n", path);
        arena_free(a);
        return false;
    }
    const PlanPool pool = {"ram", 0};
    PlanPlace *at = NEWN(a, PlanPlace, in.buf.n);
    PlanResult r;
    char why[256] = "";
    const clock_t start = clock();
    const bool fits = plan_pack(a, in.buf.at, in.buf.n, &pool, 1, nodes, at, &r);
    const double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    const bool sound = fits && plan_check(in.buf.at, in.buf.n, &pool, 1, at, r.peak, why, sizeof why);
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    printf("%-20s %7" PRIu32 " %12" PRId64 " %12" PRId64 " %+7.2f%% %-7s %9" PRIu64 " %8.3f%s%s\n", name, in.buf.n,
           r.bound[0], r.peak[0], 100.0 * (double)(r.peak[0] - r.bound[0]) / (double)max_i64(r.bound[0], 1),
           r.optimal ? "proven" : "-", r.nodes, seconds, sound ? "" : " UNSOUND ", why);
    const bool low = r.peak[0] <= capacity;
    arena_free(a);
    return sound && low;
}

int main(int argc, char **argv)
{
    int first = 1;
    uint64_t nodes = 0;
    int64_t capacity = INT64_MAX;
    for (; first + 1 < argc && argv[first][0] == '-'; first += 2) {
        if (strcmp(argv[first], "-n") == 0) nodes = strtoull(argv[first + 1], NULL, 10);
        if (strcmp(argv[first], "-c") == 0) capacity = strtoll(argv[first + 1], NULL, 10);
    }
    if (first >= argc) {
        fprintf(stderr, "usage: plan_bench [-n NODES] [-c BYTES] FILE.csv...\n");
        return 2;
    }
    bool ok = true;
    printf("%-20s %7s %12s %12s %8s %-7s %9s %8s\n", "instance", "buffers", "bound", "peak", "above", "proof", "nodes",
           "seconds");
    for (int i = first; i < argc; i++) ok = bench(argv[i], nodes, capacity) && ok;
    return ok ? 0 : 1;
}

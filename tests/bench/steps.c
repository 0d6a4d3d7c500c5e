/* SPDX-License-Identifier: Apache-2.0
 * steps INDIR SECONDS THREADS: what each part of a run does between two meetings. For a model made with --threads= and compiled with
 * -DMLCC_PROFILE. Stands between the model and the pool of threads: a clock before and behind each meeting and each share taken. Prints
 * JSON, microseconds, each the median of all runs:
 *
 *   span     from the last part's arrival at the meeting before to the last one's at this
 *   work     in shares, mean of the parts
 *   take     to be given shares, mean; an atomic operation also waits until what a share stored is in the cache
 *   wait     for the part that arrives last, mean
 *   longest  share of all; taken: shares that others than their parts did
 */
#include "../../runtime-min/mlcc_pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model.h"
#include "model_threads.h"

enum { MAX_IO = 64, MAX_STEPS = 4096, MAX_RUNS = 500, WARM = 20, NAME = 64 };

typedef struct { double arrived, left, work, take, longest, taken; } Entry; /* left: the meeting before the step; arrived: at the one behind */
typedef struct { Entry at[MAX_STEPS]; double begun; int step; char apart[128]; } Log;
typedef struct { float span[MAX_RUNS], work[MAX_RUNS], take[MAX_RUNS], wait[MAX_RUNS], longest[MAX_RUNS], taken[MAX_RUNS]; char name[NAME]; } Step;

static mlcc_pool pool;
static mlcc_parallel real;
static Log logs[MLCC_THREADS_MAX];
static Step steps[MAX_STEPS];
static _Thread_local Log *own; /* of the part that this thread is */
static int nsteps;             /* of a run; 0: not known yet */

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

void mlcc_profile_node(const char *name)
{
    if (own && !steps[own->step].name[0])
        (void)snprintf(steps[own->step].name, NAME, "%s", name);
}

/* ---- between the model and the pool ---- */

static void begin_share(Log *l) { l->begun = now_us(); }

static void end_share(Log *l)
{
    Entry *e = &l->at[l->step];
    const double took = l->begun ? now_us() - l->begun : 0;
    e->work += took;
    e->longest = took > e->longest ? took : e->longest;
    l->begun = 0;
}

static void enter(Log *l, int step)
{
    l->step = step < MAX_STEPS ? step : MAX_STEPS - 1;
    l->at[l->step].left = now_us();
    begin_share(l);
}

static void leave(Log *l)
{
    end_share(l);
    l->at[l->step].arrived = now_us();
}

static void logged_meet(void *user, int part, int parts, int step, int reach)
{
    Log *l = &logs[part];
    leave(l);
    real.meet(user, part, parts, step, reach);
    enter(l, step);
}

static int logged_take(void *user, int part, int parts, int step, int shares)
{
    Log *l = &logs[part];
    end_share(l);
    const double before = now_us();
    const int share = real.take(user, part, parts, step, shares);
    l->at[l->step].take += now_us() - before;
    l->at[l->step].taken += share < shares && (share < shares * part / parts || share >= shares * (part + 1) / parts);
    if (share < shares)
        begin_share(l);
    return share;
}

typedef struct { void (*fn)(void *arg, int part, int parts); void *arg; } Job;

static void logged_part(void *arg, int part, int parts)
{
    const Job *j = arg;
    own = &logs[part];
    memset(own->at, 0, (nsteps ? (size_t)nsteps : MAX_STEPS) * sizeof *own->at);
    enter(own, 0);
    j->fn(j->arg, part, parts);
    leave(own);
}

static int logged_run(void *user, void (*fn)(void *arg, int part, int parts), void *arg, int parts)
{
    Job j = {fn, arg};
    return real.run(user, logged_part, &j, parts);
}

/* ---- one run, then all ---- */

static void collect(int step, int parts, int run, double *before)
{
    Step *s = &steps[step];
    double last = 0, work = 0, take = 0, arrived = 0, longest = 0, taken = 0;
    for (int p = 0; p < parts; p++) {
        const Entry *e = &logs[p].at[step];
        last = e->arrived > last ? e->arrived : last;
        longest = e->longest > longest ? e->longest : longest;
        work += e->work;
        take += e->take;
        taken += e->taken;
        arrived += e->arrived;
    }
    s->span[run] = (float)(last - *before);
    s->work[run] = (float)(work / parts);
    s->take[run] = (float)(take / parts);
    s->wait[run] = (float)(last - arrived / parts);
    s->longest[run] = (float)longest;
    s->taken[run] = (float)taken;
    *before = last;
}

static int ascending(const void *p, const void *q)
{
    const float s = *(const float *)p, t = *(const float *)q;
    return (s > t) - (s < t);
}

static double median(float *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, ascending);
    return (double)v[n / 2];
}

static void print(Step *s, int runs, const char *behind)
{
    printf("{\"name\": \"%s\", \"span\": %.2f, \"work\": %.2f, \"take\": %.2f, \"wait\": %.2f, \"longest\": %.2f, \"taken\": %.0f}%s\n", s->name, median(s->span, runs),
           median(s->work, runs), median(s->take, runs), median(s->wait, runs), median(s->longest, runs), median(s->taken, runs), behind);
}

static size_t padded(const mlcc_tensor_info *t)
{
    size_t n = 16;
    for (int d = 0; d < t->rank; d++)
        n *= (size_t)t->dim[d];
    return (n + 127) / 64 * 64;
}

static int set(mlcc_tensor *t, const mlcc_tensor_info *i, const char *path)
{
    *t = (mlcc_tensor){aligned_alloc(64, padded(i)), i->dtype, i->rank, {0}};
    memcpy(t->dim, i->dim, sizeof t->dim);
    FILE *f = path ? fopen(path, "rb") : NULL;
    const int bad = !t->data || (path && (!f || (fread(t->data, 1, padded(i), f) == 0 && ferror(f))));
    return f && fclose(f) ? 1 : bad;
}

static int set_all(const mlcc_model_info *m, mlcc_tensor *in, mlcc_tensor *out, const char *folder)
{
    int bad = m->nin > MAX_IO || m->nout > MAX_IO;
    for (unsigned k = 0; k < m->nin && !bad; k++) {
        char path[4096];
        (void)snprintf(path, sizeof path, "%s/in_%u.bin", folder, k);
        bad = set(&in[k], &m->in[k], path);
    }
    for (unsigned k = 0; k < m->nout && !bad; k++)
        bad = set(&out[k], &m->out[k], NULL);
    return bad;
}

int main(int argc, char **argv)
{
    const mlcc_model_info *m = &model_info;
    static mlcc_tensor in[MAX_IO], out[MAX_IO];
    const int parts = argc == 4 ? atoi(argv[3]) : 0;
    if (parts < 2 || mlcc_pool_start(&pool, parts) != 0 || set_all(m, in, out, argv[1]))
        return 2;
    real = mlcc_pool_parallel(&pool);
    mlcc_parallel logged = real;
    logged.run = logged_run;
    logged.meet = logged_meet;
    logged.take = logged_take;
    void *arena = mlcc_pages_new(MODEL_THREADS_ARENA_BYTES + 1);
    size_t bytes = 0;
    const void *image = m->weights ? m->weights(&bytes) : NULL;
    (void)mlcc_pages_move(image, bytes);
    static float whole[MAX_RUNS];
    int runs = 0;
    for (int k = 0; k < WARM; k++)
        (void)model_call_threads(in, out, arena, &logged);
    while (nsteps < MAX_STEPS && logs[0].at[nsteps].left > 0)
        nsteps++;
    for (const double end = now_us() + 1e6 * atof(argv[2]); runs < MAX_RUNS && (runs < 3 || now_us() < end); runs++) {
        double before = now_us();
        const double begun = before;
        if (model_call_threads(in, out, arena, &logged) != 0)
            return 1;
        whole[runs] = (float)(now_us() - begun);
        for (int s = 0; s < nsteps; s++)
            collect(s, parts, runs, &before);
    }
    printf("{\"runs\": %d, \"run\": %.2f, \"steps\": [\n", runs, median(whole, runs));
    for (int s = 0; s < nsteps; s++)
        print(&steps[s], runs, s + 1 < nsteps ? "," : "");
    printf("]}\n");
    mlcc_pool_stop(&pool);
    return 0;
}

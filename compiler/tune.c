/* SPDX-License-Identifier: Apache-2.0
 *
 * Tiles of one kind are one choice, so a network of a hundred contractions has perhaps twenty; every trial changes all of
 * them at once, since functions are timed apart. A shape must be faster by more than the noise to displace the model's.
 */
#include "trial.h"
#include "tune.h"

static const double GAIN = 0.98;

static bool make_trial(Arena *a, Program p, Tuning *t, const EmitOptions *like, Trial *out, Program *made)
{
    EmitOptions e = *like;
    Text unread = {.arena = a};
    p.tuning = t;
    p.log = &unread;
    p.threads.n = 0; /* functions are timed on one thread */
    e.threads = false;
    e.prefix = e.file = TRIAL_PREFIX;
    out->files.arena = a;
    if (!passes_resume(&p, REP_schedule))
        return false;
    weights_layout(p.unit);
    e.weights = weights_mode(p.unit, WM_auto);
    emit_c(p.unit, &e, &out->files);
    emit_profile(&out->files);
    out->n = p.unit->func.n;
    *made = p;
    return true;
}

static uint32_t tiles_of(const Func *f, const char *kind)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < f->kind.n; k++)
        n += strcmp(f->kind.at[k], kind) == 0;
    return n;
}

/* Tiles of the kind in u, and the time of the functions that have them. */
static uint32_t time_of(const Unit *u, const Trial *t, const char *kind, double *us)
{
    uint32_t sum = 0;
    *us = 0;
    for (uint32_t k = 0; k < u->func.n; k++) {
        const uint32_t n = tiles_of(u->func.at[k], kind);
        *us += n ? t->us[k] : 0;
        sum += n;
    }
    return sum;
}

/* A trial may have fewer tiles of a kind, where its shapes led to another placement: it says nothing of that kind. */
static void judge(TunedTile *tile, const Program *made, const Trial *t)
{
    const uint32_t n = time_of(made[0].unit, &t[0], tile->kind, &tile->us[0]);
    for (int r = 1; r < tile->list.n; r++)
        if (time_of(made[r].unit, &t[r], tile->kind, &tile->us[r]) != n)
            tile->us[r] = 0;
    tile->best = 0;
    for (int r = 1; r < tile->list.n; r++)
        if (tile->us[r] > 0 && tile->us[r] < tile->us[tile->best] * (tile->best ? 1 : GAIN))
            tile->best = r;
    tile->pick = tile->list.at[tile->best];
}

bool tune(Arena *a, Diags *d, Program *p, const EmitOptions *like)
{
    Trial trial[RANKS] = {0};
    Program made[RANKS];
    Tuning *t = NEWN(a, Tuning, RANKS);
    for (int r = 0; r < RANKS; r++) {
        t[r] = (Tuning){.a = a, .rank = r, .index = {.arena = a}};
        if (!make_trial(a, *p, &t[r], like, &trial[r], &made[r]))
            return false;
    }
    if (!trial_run(a, d, &p->machine, trial, RANKS))
        return false;
    for (uint32_t k = 0; k < t[0].tile.n; k++)
        judge(&t[0].tile.at[k], made, trial);
    p->tuning = &t[0];
    return true;
}

/* SPDX-License-Identifier: Apache-2.0
 * Schedules as text, and the plain one. See schedule.h. */
#include "auto.h"
#include "slices.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const placement[] = {[PL_root] = "root", [PL_inline] = "inline", [PL_register] = "register", [PL_at] = "at"};

Schedule *schedule_new(Arena *a, const Te *te)
{
    Schedule *s = NEW(a, Schedule);
    s->te = te;
    s->parts = 1;
    s->stage = NEWN(a, StagePlan, te->stage.n + 1);
    s->layout = NEWN(a, Layout, te->ten.n + 1);
    for (uint32_t k = 0; k < te->stage.n; k++)
        s->stage[k].lane = -1;
    return s;
}

Schedule *schedule_O0(Arena *a, const Te *te)
{
    return schedule_new(a, te);
}

static const char *var_name(const Schedule *s, const Stage *st, int v)
{
    const uint8_t rank = ten(s->te, st->out)->rank;
    const Expr *e = v < rank ? st->var[v] : st->rvar[v - rank];
    return ex_var_info(s->te->cx->x, e)->name;
}

static void print_loop(Text *out, const Schedule *s, const Stage *st, int q, const LoopStep *l)
{
    text_add(out, "%s loop %s %d%s%s", q ? ";" : " ", var_name(s, st, l->var), l->step, l->apart & APART_first ? " first" : "", l->apart & APART_last ? " last" : "");
}

static void print_stage(Text *out, const Schedule *s, uint32_t k)
{
    const Stage *st = s->te->stage.at[k];
    const StagePlan *p = &s->stage[k];
    text_add(out, "%%%-24s %s", ten(s->te, st->out)->name, placement[p->place]);
    if (p->place == PL_register || p->place == PL_at)
        text_add(out, " %%%s", ten(s->te, s->te->stage.at[p->host]->out)->name);
    if (p->place == PL_at)
        text_add(out, " %u", p->level);
    for (int q = 0; q < p->nloop; q++)
        print_loop(out, s, st, q, &p->loop[q]);
    if (p->slide)
        text_add(out, "%s keep %s %d", p->nloop ? ";" : " ", var_name(s, st, p->slide - 1), p->keep);
    if (p->parts)
        text_add(out, "%s parts", p->nloop || p->slide ? ";" : " ");
    if (p->tiled)
        text_add(out, "%s tile%s%s", p->nloop || p->slide || p->parts ? ";" : " ", p->lane >= 0 ? " " : "", p->lane >= 0 ? var_name(s, st, p->lane) : "");
    if (p->turn > 1)
        text_add(out, " by %u", p->turn);
    if (p->near || p->far || p->added)
        text_add(out, "; fetch %d", p->near);
    if (p->far)
        text_add(out, " far %d", p->far);
    if (p->added)
        text_add(out, " added");
    if (p->tail)
        text_add(out, "; tail %d", p->tail);
    if (p->matrix)
        text_add(out, "; matrix%s", p->bypass ? " bypass" : "");
    text_add(out, "%s%s\n", p->why ? "    # " : "", p->why ? p->why : "");
}

static void print_layout(Text *out, const Schedule *s, uint32_t t)
{
    const Ten *n = ten(s->te, t);
    const Layout *l = &s->layout[t];
    text_add(out, "layout %%%s", n->name);
    for (uint8_t d = 0; d < n->rank; d++)
        text_add(out, " %u", l->order[d]);
    for (uint8_t d = 0; d < n->rank; d++)
        if (l->lo[d] || l->hi[d])
            text_add(out, " halo %u %d %d", d, l->lo[d], l->hi[d]);
    if (l->pad != 0)
        text_add(out, " pad %.17g", l->pad);
    if (l->within)
        text_add(out, " within %%%s %u %lld", ten(s->te, l->within)->name, l->along, (long long)l->at);
    text_add(out, "\n");
}

void schedule_print(Text *out, const Schedule *s)
{
    for (uint32_t t = 1; t < s->te->ten.n; t++)
        if (s->layout[t].set)
            print_layout(out, s, t);
    for (uint32_t k = 0; k < s->te->stage.n; k++)
        print_stage(out, s, k);
}

/* ---- parsing ---- */

typedef struct Reader { Schedule *s; Diags *d; const char *at; int line; } Reader;

static bool fail(Reader *r, const char *what)
{
    return diag_error(r->d, "schedule", "line %d: %s", r->line, what);
}

static void skip(Reader *r)
{
    while (*r->at == ' ' || *r->at == '\t')
        r->at++;
}

static bool word(Reader *r, const char *w)
{
    skip(r);
    const size_t n = strlen(w);
    if (strncmp(r->at, w, n) != 0 || !(r->at[n] == 0 || strchr(" \t\n;#", r->at[n])))
        return false;
    r->at += n;
    return true;
}

static bool number(Reader *r, long *v)
{
    skip(r);
    char *end;
    *v = strtol(r->at, &end, 10);
    const bool ok = end != r->at;
    r->at = end;
    return ok;
}

static bool tensor_name(Reader *r, uint32_t *t)
{
    skip(r);
    const size_t n = strcspn(r->at, " \t\n;#");
    for (uint32_t k = 1; *r->at == '%' && k < r->s->te->ten.n; k++) {
        const char *name = ten(r->s->te, k)->name;
        if (strlen(name) + 1 == n && strncmp(name, r->at + 1, n - 1) == 0) {
            r->at += n;
            *t = k;
            return true;
        }
    }
    return fail(r, "expected the name of a tensor, as %name");
}

static bool stage_name(Reader *r, uint32_t *k)
{
    uint32_t t;
    if (!tensor_name(r, &t))
        return false;
    if (ten(r->s->te, t)->kind != TEN_stage)
        return fail(r, "the tensor is not the result of a stage");
    *k = ten(r->s->te, t)->stage;
    return true;
}

static bool variable(Reader *r, uint32_t k, int *v)
{
    const Stage *st = r->s->te->stage.at[k];
    const int n = ten(r->s->te, st->out)->rank + st->nr;
    skip(r);
    for (*v = 0; *v < n; ++*v)
        if (word(r, var_name(r->s, st, *v)))
            return true;
    return fail(r, "expected an index variable of the stage");
}

static bool read_loop(Reader *r, uint32_t k, StagePlan *p)
{
    int v;
    long step;
    if (!variable(r, k, &v))
        return false;
    if (!number(r, &step) || step < 1 || step > INT32_MAX || p->nloop == COUNT(p->loop) || v >= ten(r->s->te, r->s->te->stage.at[k]->out)->rank)
        return fail(r, "expected: loop VARIABLE STEP, with a step of at least 1");
    const int first = word(r, "first") ? APART_first : 0, last = word(r, "last") ? APART_last : 0;
    p->loop[p->nloop++] = (LoopStep){(uint8_t)v, (int32_t)step, (uint8_t)(first | last)};
    return true;
}

static bool read_keep(Reader *r, uint32_t k, StagePlan *p)
{
    int v;
    long keep;
    if (!variable(r, k, &v))
        return false;
    if (p->place != PL_at || v >= ten(r->s->te, r->s->te->stage.at[k]->out)->rank || !number(r, &keep) || keep < 1 || keep > INT32_MAX)
        return fail(r, "expected: keep VARIABLE COUNT, of a stage that is made at another");
    p->slide = (uint8_t)(v + 1);
    p->keep = (int32_t)keep;
    return true;
}

static bool read_fetch(Reader *r, StagePlan *p)
{
    long near, far = 0;
    if (!number(r, &near) || near < 0 || near > INT16_MAX || (word(r, "far") && (!number(r, &far) || far < 1 || far > INT32_MAX)))
        return fail(r, "expected: fetch STEPS, perhaps far BYTES, perhaps added");
    p->near = (int16_t)near;
    p->far = (int32_t)far;
    p->added = word(r, "added");
    return true;
}

static bool read_tile(Reader *r, uint32_t k, StagePlan *p)
{
    int v = -1;
    long turn;
    p->tiled = true;
    skip(r);
    if (*r->at && !strchr("\n;#", *r->at) && !variable(r, k, &v))
        return false;
    p->lane = (int8_t)v;
    if (!word(r, "by"))
        return true;
    if (v < 0 || v >= ten(r->s->te, r->s->te->stage.at[k]->out)->rank || !number(r, &turn) || turn < 2 || turn > UINT8_MAX)
        return fail(r, "expected: tile VARIABLE by POINTS, with 2 points to 255");
    p->turn = (uint8_t)turn;
    return true;
}

static bool read_tail(Reader *r, StagePlan *p)
{
    int64_t steps;
    if (!number(r, &steps) || steps < 1 || steps > INT8_MAX)
        return fail(r, "expected: tail STEPS, 1 to 127");
    p->tail = (int16_t)steps;
    return true;
}

static bool read_steps(Reader *r, uint32_t k, StagePlan *p)
{
    for (skip(r); *r->at && *r->at != '\n' && *r->at != '#'; skip(r)) {
        if (*r->at == ';') {
            r->at++;
        } else if (word(r, "loop")) {
            if (!read_loop(r, k, p))
                return false;
        } else if (word(r, "keep")) {
            if (!read_keep(r, k, p))
                return false;
        } else if (word(r, "parts")) {
            p->parts = true;
        } else if (word(r, "fetch")) {
            if (!read_fetch(r, p))
                return false;
        } else if (word(r, "tail")) {
            if (!read_tail(r, p))
                return false;
        } else if (word(r, "matrix")) {
            p->matrix = true;
            p->bypass = word(r, "bypass");
        } else if (word(r, "tile")) {
            if (!read_tile(r, k, p))
                return false;
        } else {
            return fail(r, "expected loop, keep, parts, tile, fetch, tail or matrix");
        }
    }
    return true;
}

static bool read_stage(Reader *r)
{
    uint32_t k, host = 0;
    long level = 0;
    StagePlan p = {.lane = -1};
    if (!stage_name(r, &k))
        return false;
    int place = 0;
    while (place < (int)COUNT(placement) && !word(r, placement[place]))
        place++;
    if (place == (int)COUNT(placement))
        return fail(r, "expected root, inline, register or at");
    p.place = (Placement)place;
    if ((p.place == PL_register || p.place == PL_at) && !stage_name(r, &host))
        return false;
    if (p.place == PL_at && (!number(r, &level) || level < 0 || level > 2 * MAX_RANK))
        return fail(r, "expected the number of host loops");
    p.host = host;
    p.level = (uint8_t)level;
    if (!read_steps(r, k, &p))
        return false;
    r->s->stage[k] = p;
    return true;
}

static bool read_within(Reader *r, uint8_t rank, Layout *l)
{
    long along, at;
    if (!tensor_name(r, &l->within))
        return false;
    if (!number(r, &along) || !number(r, &at) || along < 0 || along >= rank || at < 0)
        return fail(r, "expected: within %TENSOR DIMENSION FIRST");
    l->along = (uint8_t)along;
    l->at = at;
    return true;
}

static bool read_layout(Reader *r)
{
    uint32_t t;
    if (!tensor_name(r, &t))
        return false;
    Layout l = {.set = true};
    const uint8_t rank = ten(r->s->te, t)->rank;
    uint32_t seen = 0;
    for (uint8_t d = 0; d < rank; d++) {
        long v;
        if (!number(r, &v) || v < 0 || v >= rank || (seen >> v & 1))
            return fail(r, "expected each dimension of the tensor once");
        seen |= 1u << v;
        l.order[d] = (uint8_t)v;
    }
    while (word(r, "halo")) {
        long d, lo, hi;
        if (!number(r, &d) || !number(r, &lo) || !number(r, &hi) || d < 0 || d >= rank || lo < 0 || hi < 0 || lo > 1024 || hi > 1024)
            return fail(r, "expected: halo DIMENSION BEFORE BEHIND");
        l.lo[d] = (int32_t)lo;
        l.hi[d] = (int32_t)hi;
    }
    if (word(r, "pad"))
        l.pad = strtod(r->at, (char **)(uintptr_t)&r->at);
    if (word(r, "within") && !read_within(r, rank, &l))
        return false;
    r->s->layout[t] = l;
    return true;
}

/* Hosts read what is placed in them. They are at root, or placed in a host themselves. */
static bool may_host(const StagePlan *host)
{
    return host->place == PL_root || host->place == PL_at;
}

typedef struct Reads { uint32_t ref; const Expr *at; bool several; } Reads;

static void find_reads(void *ctx, const Expr *e)
{
    Reads *f = ctx;
    if ((e->op != EX_load && e->op != EX_loadp) || e->v.ref != f->ref)
        return;
    f->several = f->several || (f->at && f->at != e);
    f->at = e;
}

/* Where stage q, with what is inline substituted, reads the tensor; a function of runtime-min reads memory. */
static bool reads_of(const Schedule *s, uint32_t q, const Expr *const *body, Reads *f)
{
    const Stage *stage = s->te->stage.at[q];
    bool called = false;
    walk_scheduled(s, body, q, find_reads, f);
    for (uint8_t n = 0; n < stage->nin; n++)
        called = called || stage->in[n] == f->ref;
    return called || f->at;
}

/* The stage whose tile makes stage q: its host where it lies in registers. */
static uint32_t tile_of(const Schedule *s, uint32_t q)
{
    return s->stage[q].place == PL_register ? s->stage[q].host : q;
}

/* What lives in a host is read by it and by what lives there too; registers at one place, where nothing is guarded. */
static bool read_inside(Reader *r, uint32_t k, const Expr *const *body)
{
    const Schedule *s = r->s;
    const StagePlan *p = &s->stage[k];
    const uint32_t t = s->te->stage.at[k]->out;
    for (uint32_t q = 0; q < s->te->stage.n; q++) {
        Reads f = {.ref = t};
        const StagePlan *reader = &s->stage[q];
        if (reader->place == PL_inline || !reads_of(s, q, body, &f))
            continue;
        const StagePlan *tile = &s->stage[tile_of(s, q)];
        const bool inside = tile_of(s, q) == p->host || (tile->place == PL_at && tile->host == p->host);
        const char *name = ten(s->te, t)->name, *other = ten(s->te, s->te->stage.at[q]->out)->name;
        if (q != p->host && !(inside && p->place == PL_at))
            return diag_error(r->d, "schedule", "%%%s is read by %%%s, which is not made in its host", name, other);
        if (p->place == PL_register && (f.several || !f.at || f.at->op != EX_load))
            return diag_error(r->d, "schedule", "%%%s: its host must read it at one place, without a guard", name);
    }
    return true;
}

/* Its stage, at root and neither a function of runtime-min nor a scatter; NULL: it has none. */
static const Stage *root_stage(const Schedule *s, uint32_t t)
{
    const Ten *n = ten(s->te, t);
    const Stage *made = n->kind == TEN_stage && s->stage[n->stage].place == PL_root ? s->te->stage.at[n->stage] : NULL;
    return made && made->kind != ST_call && made->kind != ST_scatter ? made : NULL;
}

typedef struct Beside { const Te *te; uint32_t t; uint8_t along; bool yes; } Beside;

static void find_beside(void *ctx, const Expr *e)
{
    Beside *b = ctx;
    b->yes = b->yes || ((e->op == EX_load || e->op == EX_loadp) && e->v.ref == b->t && !load_stays_inside(b->te, e, b->along));
}

/* Nobody reads tensor t beside it, in dimension d. */
static bool is_read_inside(const Schedule *s, uint32_t t, uint8_t d, const Expr *const *body)
{
    Beside b = {s->te, t, d, is_operand_of_call(s->te, t)};
    for (uint32_t k = 0; k < s->te->stage.n && !b.yes; k++)
        walk_scheduled(s, body, k, find_beside, &b);
    return !b.yes;
}

/* Tensor t, made at root, is one that the stage it lies within puts just there. */
static bool lies_within(Reader *r, uint32_t t, const Expr *const *body)
{
    const Schedule *s = r->s;
    const Layout *l = &s->layout[t];
    const Stage *host = root_stage(s, l->within);
    Slices parts;
    int64_t at;
    bool ok = host && root_stage(s, t) && ten(s->te, t)->output < 0 && slices_of(r->d->arena, s->te, host, body[ten(s->te, l->within)->stage], &parts);
    ok = ok && parts.along == l->along && slices_hold(&parts, t, &at) && at == l->at && !l->lo[l->along] && !l->hi[l->along];
    if (ok && is_read_inside(s, t, l->along, body))
        return true;
    return diag_error(r->d, "schedule", "%%%s does not lie within %%%s from %lld of dimension %u on", ten(s->te, t)->name, ten(s->te, l->within)->name,
                      (long long)l->at, l->along);
}

/* Every stage in a host has readers there alone, and is made where the host has loops. */
static bool hosted_well(Reader *r)
{
    const Schedule *s = r->s;
    const Expr *const *body = schedule_bodies(r->d->arena, s->te->cx, s);
    for (uint32_t t = 1; t < s->te->ten.n; t++)
        if (s->layout[t].within && !lies_within(r, t, body))
            return false;
    for (uint32_t k = 0; k < s->te->stage.n; k++) {
        const StagePlan *p = &s->stage[k];
        if (p->place != PL_register && p->place != PL_at)
            continue;
        if (p->place == PL_at && p->level > s->stage[p->host].nloop)
            return diag_error(r->d, "schedule", "%%%s: its host has %u loops, fewer than %u", ten(s->te, s->te->stage.at[k]->out)->name,
                              s->stage[p->host].nloop, p->level);
        if (!read_inside(r, k, body))
            return false;
    }
    return true;
}

static bool consistent(Reader *r)
{
    for (uint32_t k = 0; k < r->s->te->stage.n; k++) {
        const StagePlan *p = &r->s->stage[k];
        const bool hosted = p->place == PL_register || p->place == PL_at;
        const bool map = r->s->te->stage.at[k]->kind == ST_map;
        const char *name = ten(r->s->te, r->s->te->stage.at[k]->out)->name;
        if (hosted && (p->host <= k || !may_host(&r->s->stage[p->host])))
            return diag_error(r->d, "schedule", "%%%s: its host must be a later stage at root", name);
        if (p->place == PL_inline && (!map || ten(r->s->te, r->s->te->stage.at[k]->out)->output >= 0))
            return diag_error(r->d, "schedule", "%%%s: only a map that is no output can be inline", name);
        if (p->place == PL_register && r->s->te->stage.at[k]->kind != ST_reduce)
            return diag_error(r->d, "schedule", "%%%s: only a reduction can live in registers", name);
    }
    return hosted_well(r);
}

bool schedule_parse(Schedule *s, Diags *d, const char *text)
{
    Reader r = {s, d, text, 1};
    for (; *r.at; r.at += strcspn(r.at, "\n"), r.at += *r.at != 0, r.line++) {
        skip(&r);
        if (*r.at == '\n' || *r.at == '#' || *r.at == 0)
            continue;
        if (!(word(&r, "layout") ? read_layout(&r) : read_stage(&r)))
            return false;
    }
    return consistent(&r);
}

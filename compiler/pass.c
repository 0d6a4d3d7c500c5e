/* SPDX-License-Identifier: Apache-2.0
 * See pass.h. */
#include "pass.h"

#include <errno.h>
#include <regex.h>
#include <time.h>

#include "../ir/op.h"
#include "../ir/part.h"
#include "files.h"
#include "onnx.h"

static const PassInfo table[] = {
#define PASS(name, rep, level, needs, breaks, what) {#name, REP_##rep, level, needs, breaks, what, pass_##name},
#include "pass.def"
#undef PASS
};

const char *const rep_name[] = {[REP_graph] = "graph", [REP_te] = "te", [REP_schedule] = "schedule", [REP_nest] = "nest"};

const PassInfo *pass_at(uint32_t k)
{
    return k < COUNT(table) ? &table[k] : NULL;
}

void program_print(Text *out, const Program *p, Rep rep)
{
    if (rep == REP_graph)
        graph_print(out, p->graph, 64);
    else if (rep == REP_te)
        te_print(out, p->te, 64);
    else if (rep == REP_schedule)
        schedule_print(out, p->schedule);
    else
        unit_print(out, p->unit);
}

static bool listed(const StrList *l, const char *name)
{
    for (uint32_t k = 0; k < l->v.n; k++)
        if (strcmp(l->v.at[k], name) == 0 || strcmp(l->v.at[k], "all") == 0)
            return true;
    return false;
}

void remark(Program *p, const char *pass, bool done, const char *fmt, ...)
{
    const char *want = done ? p->opt->rpass : p->opt->rmissed;
    regex_t re;
    if (!want || regcomp(&re, want, REG_EXTENDED | REG_NOSUB) != 0)
        return;
    if (regexec(&re, pass, 0, NULL, 0) == 0) {
        va_list ap;
        va_start(ap, fmt);
        const char *s = str_vfmt(p->cx->arena, fmt, ap);
        va_end(ap);
        text_add(p->log, "%s: remark: %s [-Rpass%s=%s]\n", p->name, printable(p->cx->arena, s), done ? "" : "-missed", pass);
    }
    regfree(&re);
}

/* A pass that leaves an unsound program behind is a mistake of mlcc, not of the model. */
static void verify(const Program *p, const PassInfo *i)
{
    Arena *a = arena_child(p->cx->arena);
    const char *why = i->rep == REP_graph ? graph_verify(a, p->graph) : i->rep == REP_te ? te_verify(a, p->te) : NULL;
    if (why)
        ICE("after pass %s: %s", i->name, why);
    arena_free(a);
}

bool pass_wanted(const Program *p, const PassInfo *i)
{
    return p->opt->level >= i->level && !listed(&p->opt->disable, i->name);
}

static bool run_one(Program *p, const PassInfo *i)
{
    const clock_t t0 = clock();
    if ((i->needs & ~p->facts & F_SHAPES) && !infer_graph(p->graph))
        return false;
    p->facts |= i->needs;
    if (!i->run(p))
        return false;
    p->facts &= ~i->breaks;
    onnx_release(p->maps);
    verify(p, i);
    if (p->opt->verbose)
        text_add(p->log, "%-10s %8.2f ms\n", i->name, (double)(clock() - t0) * 1e3 / CLOCKS_PER_SEC);
    if (listed(&p->opt->dump_after, i->name)) {
        text_add(p->log, "; after %s\n", i->name);
        program_print(p->log, p, i->rep);
    }
    if (p->opt->crash_after && strcmp(p->opt->crash_after, i->name) == 0)
        ICE("asked for by --crash-after %s", i->name);
    return true;
}

static bool run_from(Program *p, uint32_t first, const char *until)
{
    for (uint32_t k = first; k < COUNT(table); k++) {
        if (pass_wanted(p, &table[k]) && !run_one(p, &table[k]))
            return false;
        if (until && strcmp(until, table[k].name) == 0)
            return true;
    }
    return true;
}

bool passes_run(Program *p, const char *until)
{
    return run_from(p, 0, until);
}

static uint32_t first_of(Rep rep)
{
    uint32_t k = 0;
    while (table[k].rep != rep)
        k++;
    return k;
}

bool passes_resume(Program *p, Rep from)
{
    return run_from(p, first_of(from), NULL);
}

/* ---- passes of one call ---- */

bool pass_infer(Program *p)
{
    const bool ok = infer_graph(p->graph);
    p->facts |= F_SHAPES;
    return ok;
}

bool pass_sweep(Program *p)
{
    graph_sweep(p->graph);
    return true;
}

bool pass_lower(Program *p)
{
    p->te = te_lower(p->cx, p->graph);
    return p->te != NULL;
}

static uint32_t sliding(const Schedule *s)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < s->te->stage.n; k++)
        n += s->stage[k].slide > 0;
    return n;
}

bool pass_nest(Program *p)
{
    const uint32_t before = sliding(p->schedule);
    p->unit = p->opt->schedule ? build_nests(p->cx, p->schedule, p->name) : build_loosely(p->cx, p->schedule, p->name);
    if (sliding(p->schedule) < before)
        remark(p, "nest", false, "rows of %u stages cannot be kept from band to band", before - sliding(p->schedule));
    return p->unit != NULL;
}

bool pass_order(Program *p)
{
    order_functions(p->unit);
    return true;
}

static const Func *unproved(const Program *p, const char **why)
{
    for (uint32_t k = 0; k < p->unit->func.n; k++)
        if ((*why = func_check(p->cx->arena, p->unit, p->unit->func.at[k])) != NULL)
            return p->unit->func.at[k];
    return NULL;
}

/* What the proof does not follow is made in a plainer form, and the nests once more; a mistake of mlcc where nothing is
 * plainer. */
bool pass_check(Program *p)
{
    const char *why;
    for (const Func *f; (f = unproved(p, &why)) != NULL;) {
        const Ten *made = ten(p->schedule->te, f->ten);
        if (!made || !schedule_plainer(p->schedule, made->stage))
            ICE("bounds proof: %s", why);
        remark(p, "check", false, "'%s' is made in a plainer form: %s", made->name, why);
        if (!run_from(p, first_of(REP_nest), "parallel"))
            return false;
    }
    return true;
}

bool pass_plan(Program *p)
{
    return plan_memory(p->unit, p->pool, p->npool);
}

/* Half of the second-level caches of the fewest parts; not where memory is what counts. */
bool pass_lines(Program *p)
{
    const Unit *u = p->unit;
    const int64_t most = u->threads.n && !p->opt->small && p->opt->max_ram < 0 ? (int64_t)p->machine.l2_bytes * u->threads.at[0] / 2 : 0;
    const bool done = most && plan_lines(p->unit, most);
    if (u->threads.n)
        remark(p, "lines", done, done ? "%lld bytes more, and parts write where no other has been" : "%lld bytes that parts share stay packed", (long long)(done ? u->apart_bytes : u->arena_bytes - u->part_bytes));
    return true;
}

bool pass_parts(Program *p)
{
    const char *why = part_check(p->cx->arena, p->unit);
    if (why)
        ICE("proof of parts: %s", why);
    return true;
}

/* what: "schedule" or "tuning" */
static const char *read_text(Program *p, const char *what, const char *path)
{
    Arena *a = p->cx->arena;
    Text t = {.arena = a};
    p->io_error = !file_read(path, &t);
    const char *why = p->io_error ? strerror(errno) : memchr(text_str(&t), 0, t.n) ? "it holds a zero byte, so it is not text" : NULL;
    if (!why)
        return text_str(&t);
    (void)diag_error(p->cx->diags, str_fmt(a, "%s-file", what), "cannot read the %s '%s': %s", what, printable(a, path), why);
    return NULL;
}

static void say_placements(Program *p)
{
    static const char *const done[] = {[PL_root] = "is at root", [PL_inline] = "is inline", [PL_register] = "lives in registers of", [PL_at] = "is made in the rows of"};
    for (uint32_t k = 0; k < p->schedule->te->stage.n; k++) {
        const StagePlan *s = &p->schedule->stage[k];
        const bool hosted = s->place == PL_register || s->place == PL_at, fused = s->place != PL_root;
        const char *host = hosted ? ten(p->schedule->te, p->schedule->te->stage.at[s->host]->out)->name : "";
        if (fused || s->why)
            remark(p, "fuse", fused, "'%s' %s %s%s", ten(p->schedule->te, p->schedule->te->stage.at[k]->out)->name, done[s->place], host, fused || !s->why ? "" : s->why);
    }
}

/* What --tuning names, unless trials brought a tuning of their own. */
static bool find_tuning(Program *p)
{
    Arena *a = p->cx->arena;
    if (p->tuning || !p->opt->tuning)
        return true;
    const char *text = read_text(p, "tuning", p->opt->tuning);
    p->tuning = NEW(a, Tuning);
    *p->tuning = (Tuning){.a = a, .index = {.arena = a}};
    return text && tuning_read(a, p->cx->diags, p->opt->tuning, text, &p->machine, p->tuning);
}

bool pass_schedule(Program *p)
{
    if (!find_tuning(p))
        return false;
    p->schedule = p->opt->level < 2 ? schedule_O0(p->cx->arena, p->te) : schedule_auto(p->cx->arena, p->te, &p->machine, p->tuning, p->threads.n ? p->threads.at[p->threads.n - 1] : 1);
    say_placements(p);
    if (p->tuning)
        tuning_stale(p->cx->diags, p->tuning);
    if (!p->opt->schedule)
        return true;
    const char *text = read_text(p, "schedule", p->opt->schedule);
    return text && schedule_parse(p->schedule, p->cx->diags, text);
}

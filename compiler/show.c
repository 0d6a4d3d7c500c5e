/* SPDX-License-Identifier: Apache-2.0
 * What a compile would do (-###), and what it did between the stages (--save-temps). */
#include "verb.h"

static void show_machines(Text *t, const Machine *m, uint32_t n)
{
    for (uint32_t k = 0; k < n; k++)
        text_add(t, "machine  %s: %d float lanes, %d registers, caches of %d and %d KB%s%s%s%s\n", m[k].name, m[k].lanes_f32, m[k].vregs, m[k].l1_bytes / 1024, m[k].l2_bytes / 1024,
                 *m[k].cpu ? ", " : "", m[k].cpu, *m[k].flags ? ", " : "", m[k].flags);
}

static void show_passes(Text *t, const Program *p)
{
    for (uint32_t k = 0; pass_at(k); k++)
        text_add(t, "pass     %-10s %s%s\n", pass_at(k)->name, pass_at(k)->what, pass_wanted(p, pass_at(k)) ? "" : " (left out)");
}

static void show_files(Text *t, const Options *o)
{
    if (!options_write_files(o)) {
        text_add(t, "writes   %s\n", o->verb == VERB_run && o->output_dir ? printable(t->arena, o->output_dir) : "the standard output");
        return;
    }
    const char *const report = o->report ? o->report : beside(t->arena, o->output, ".json");
    const char *const name[] = {o->output, beside(t->arena, o->output, ".h"), report, o->depfile ? o->depname ? o->depname : beside(t->arena, o->output, ".d") : NULL, o->tune};
    for (size_t k = 0; k < COUNT(name); k++)
        if (name[k])
            text_add(t, "writes   %s\n", printable(t->arena, name[k]));
    text_add(t, "writes   weights beside them as --weights=%s says\n", o->weights);
}

const char *show_plan(Arena *a, const Program *p, const Machine *m, uint32_t n)
{
    Text t = {.arena = a};
    text_add(&t, "mlcc     %s\nmodel    %s\nprefix   %s\n", mlcc_version, printable(a, p->opt->model), p->prefix);
    show_machines(&t, m, n);
    show_passes(&t, p);
    show_files(&t, p->opt);
    return text_str(&t);
}

void save_temps(Program *p, const char *level, Rep from, Outputs *out)
{
    Arena *a = p->cx->arena;
    if (!p->opt->save_temps)
        return;
    const bool made[] = {[REP_graph] = p->graph, [REP_te] = p->te, [REP_schedule] = p->schedule, [REP_nest] = p->unit};
    for (Rep rep = from; rep <= REP_nest; rep++) {
        Text t = {.arena = a};
        if (!made[rep])
            continue;
        program_print(&t, p, rep);
        const char *path = beside(a, p->opt->output, str_fmt(a, "%s.%s", level, rep_name[rep]));
        PUSH(a, &out->file, ((OutputFile){.path = path, .part = emit_part(a, &t)}));
    }
}

/* SPDX-License-Identifier: Apache-2.0
 * See warning.h. */
#include "warning.h"

typedef struct State { bool on, error; } State;

static const struct { const char *slug, *what; bool on; } table[] = {
#define WARN(slug, on, what) {slug, what, on},
#include "warning.def"
#undef WARN
};

bool warning_at(uint32_t k, const char **slug, const char **what, bool *on)
{
    if (k >= COUNT(table))
        return false;
    *slug = table[k].slug;
    *what = table[k].what;
    *on = table[k].on;
    return true;
}

/* ---- -W ---- */

/* The rest of s behind a prefix, or NULL. */
static const char *behind(const char *s, const char *prefix)
{
    const size_t n = strlen(prefix);
    return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

static bool names(const char *what, size_t k)
{
    return strcmp(what, "all") == 0 || strcmp(what, table[k].slug) == 0;
}

/* One value of -W: [no-]NAME or [no-]error=NAME, NAME a slug or "all". An error is on; what is no longer one stays so.
 * False: it names nothing. */
static bool turn(State *s, const char *value)
{
    const char *no = behind(value, "no-"), *name = no ? no : value, *error = behind(name, "error=");
    bool known = false;
    for (size_t k = 0; k < COUNT(table); k++) {
        if (!names(error ? error : name, k))
            continue;
        known = true;
        if (error)
            s[k] = (State){s[k].on || !no, !no};
        else
            s[k].on = !no;
    }
    return known;
}

/* What the command line makes of the table; the last word on a warning counts. NULL, or the value that names none. */
static const char *states(Arena *a, const Options *o, State *s)
{
    for (size_t k = 0; k < COUNT(table); k++)
        s[k] = (State){table[k].on, o->werror};
    for (uint32_t k = 0; k < o->warn.v.n; k++)
        if (!turn(s, o->warn.v.at[k]))
            return o->warn.v.at[k];
    for (uint32_t k = 0; k < o->werror_slug.v.n; k++)
        if (!turn(s, str_fmt(a, "error=%s", o->werror_slug.v.at[k])))
            return o->werror_slug.v.at[k];
    return NULL;
}

bool warnings_parse(Diags *d, const Options *o)
{
    State s[COUNT(table)];
    const char *unknown = states(d->arena, o, s);
    if (!unknown)
        return true;
    Text known = {.arena = d->arena};
    for (size_t k = 0; k < COUNT(table); k++)
        text_add(&known, "%s%s", k ? ", " : "", table[k].slug);
    return diag_error(d, "option-value", "'%s' names no warning; there are all, %s", unknown, text_str(&known));
}

static const State *state_of(const State *s, const char *slug)
{
    size_t k = 0;
    while (k < COUNT(table) && strcmp(table[k].slug, slug) != 0)
        k++;
    if (k == COUNT(table))
        ICE("the warning '%s' is not in warning.def", slug);
    return &s[k];
}

bool warnings_apply(Diags *d, const Options *o)
{
    State s[COUNT(table)];
    uint32_t kept = 0, bad = 0;
    (void)states(d->arena, o, s); /* as warnings_parse left nothing unknown */
    for (uint32_t k = 0; k < d->list.n; k++) {
        const Diag *g = &d->list.at[k];
        const State *of = g->sev == SEV_WARNING ? state_of(s, g->slug) : NULL;
        bad += of && of->on && of->error;
        d->warnings -= of && !of->on;
        if (!of || of->on)
            d->list.at[kept++] = *g;
    }
    d->list.n = kept;
    if (bad)
        (void)diag_error(d, "werror", bad == 1 ? "%u warning is an error" : "%u warnings are errors", bad);
    return bad != 0;
}

/* ---- warnings ---- */

void warn_options(Diags *d, const Options *o)
{
    const bool run = o->verb == VERB_run, files = options_write_files(o);
    const struct { const char *option, *without; bool given, used; } row[] = {
        {"-MF", "-MD", o->depname, o->depfile},
        {"-MT", "-MD", o->deptarget, o->depfile},
        {"-MP", "-MD", o->depphony, o->depfile},
        {"-MD", "files of C", o->depfile, files},
        {"--tune", "files of C at -O2 or above", o->tune, files && o->level >= 2},
        {"--tuning", "-O2 or above", o->tuning, o->level >= 2},
        {"--report", "files of C", o->report, files},
        {"--input", "the verb run", o->input.v.n, run},
        {"--output-dir", "the verb run", o->output_dir, run},
        {"--threads-always", "--threads= above 1", o->always, strcmp(o->threads, "1") != 0},
    };
    for (size_t k = 0; k < COUNT(row); k++)
        if (row[k].given && !row[k].used)
            diag_add(d, SEV_WARNING, "unused-option", NULL, "%s changes nothing without %s", row[k].option, row[k].without);
}

/* Nobody gave its bound. */
static bool is_guess(const Ctx *cx, const Expr *dim)
{
    return !cx->default_given && symbol_assumed(cx, dim);
}

static void free_dimension(const Graph *g, const Tensor *t, const Expr *e)
{
    Ctx *cx = g->cx;
    const char *name = dimension_name(cx, e);
    const long long max = (long long)ex_upper(cx->x, e);
    Diag *w = diag_add(cx->diags, SEV_WARNING, "free-dimension", str_fmt(cx->arena, "input '%s'", t->name),
                       "dimension '%s' has no upper bound; memory is planned for %lld", name, max);
    diag_help(cx->diags, w, "--max '%s=%lld' keeps this bound, another number sets another, and -D '%s=N' fixes the dimension", name, max, name);
}

static bool is_of_input(const Graph *g, const Expr *e)
{
    for (uint32_t k = 0; k < g->input.n; k++)
        for (uint8_t d = 0; d < tensor(g, g->input.at[k])->rank; d++)
            if (tensor(g, g->input.at[k])->dim[d] == e)
                return true;
    return false;
}

static void warn_length(const Graph *g, const Tensor *t, const Expr *e)
{
    Diag *w = diag_add(g->cx->diags, SEV_WARNING, "free-dimension", str_fmt(g->cx->arena, "'%s'", t->name),
                       "the data decide its length; memory is planned for %lld elements, and a run that needs more is refused", (long long)ex_upper(g->cx->x, e));
    diag_help(g->cx->diags, w, "--max '*=N' plans for N, --bind makes the inputs that decide it constants");
}

void warn_lengths(const Graph *g)
{
    Map said = {.arena = g->cx->arena};
    for (uint32_t k = 0; k < g->order.n; k++) {
        const Node *n = node(g, g->order.at[k]);
        const Tensor *t = n->nout && !is_none(n->out[0]) ? tensor(g, n->out[0]) : NULL;
        for (uint8_t d = 0; t && t->ranked && d < t->rank; d++)
            if (is_guess(g->cx, t->dim[d]) && !is_of_input(g, t->dim[d]) && (*map_u64(&said, (uint64_t)(uintptr_t)t->dim[d], true))++ == 0)
                warn_length(g, t, t->dim[d]);
    }
}

void warn_inputs(const Graph *g)
{
    Map said = {.arena = g->cx->arena}; /* symbols */
    const uint32_t *uses = graph_uses(g, g->cx->arena);
    for (uint32_t k = 0; k < g->input.n; k++) {
        const Tensor *t = tensor(g, g->input.at[k]);
        if (uses[g->input.at[k].i] == 0)
            diag_add(g->cx->diags, SEV_WARNING, "unused-input", str_fmt(g->cx->arena, "input '%s'", t->name), "no node reads it");
        for (uint8_t d = 0; t->ranked && d < t->rank; d++)
            if (is_guess(g->cx, t->dim[d]) && (*map_u64(&said, (uint64_t)(uintptr_t)t->dim[d], true))++ == 0)
                free_dimension(g, t, t->dim[d]);
    }
}

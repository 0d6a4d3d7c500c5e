/* SPDX-License-Identifier: Apache-2.0
 *
 * The run function of a model made for several threads: a frame that the parts of a run have in common, one function
 * with the steps between meetings, and what hands them to the caller's parallel-for. A step has a share for each
 * part, or is dealt out: it has more, which parts take one after the other.
 */
#include <inttypes.h>

#include "../ir/part.h"
#include "writer.h"

/* From one meeting to the next is a step. */
static uint32_t count_steps(const Unit *u)
{
    uint32_t n = u->func.n > 0;
    for (uint32_t k = 1; k < u->func.n; k++)
        n += u->func.at[k]->meet != NULL;
    return n;
}

static void frame(Writer *w)
{
    Out *o = &w->o;
    if (w->u->part_bytes)
        ln(o, "enum { PART = %" PRId64 " }; /* bytes of scratch of one part */", w->u->part_bytes);
    if (w->u->part_bytes)
        blank(o);
    ln(o, "struct %s_frame { /* what the parts of a run have in common */", w->opt->prefix);
    o->depth++;
    ln(o, "const struct %s_io *io;", w->opt->prefix);
    ln(o, "const mlcc_parallel *parallel;");
    ln(o, "const unsigned char *reach;   /* by step: before it a part waits for those at most so far away */");
    ln(o, "const unsigned short *shares; /* by step: of those that are dealt out; 0: one for each part */");
    if (writer_uses_pool(w, 0))
        ln(o, "unsigned char *a;");
    if (writer_uses_weights(w))
        ln(o, "const unsigned char *w;");
    for (uint32_t k = 0; k < w->u->sym.n; k++)
        ln(o, "%s %s;", c_type(&w->g, DT_ix), w->names.sym[k]);
    ln(o, "int step;");
    o->depth--;
    ln(o, "};");
    blank(o);
}

static bool has_scratch(const Writer *w, const Func *f)
{
    for (uint32_t k = 0; k < f->param.n && f->split; k++)
        if (buf(w->u, f->param.at[k])->cls == BC_scratch && !buf(w->u, f->param.at[k])->on_stack)
            return true;
    return false;
}

static bool has_any_scratch(const Writer *w, uint32_t from, uint32_t end)
{
    for (; from < end; from++)
        if (has_scratch(w, w->u->func.at[from]))
            return true;
    return false;
}

static void step_function(Writer *w)
{
    Out *o = &w->o;
    ln(o, "/* A share of what lies between two meetings of the parts, in the scratch of a part. */");
    ln(o, "static void %s_step(struct %s_frame *f, int step, int part, int share, int shares)", w->opt->prefix,
       w->opt->prefix);
    ln(o, "{");
    o->depth++;
    if (writer_passes_io(w))
        ln(o, "const struct %s_io *io = f->io;", w->opt->prefix);
    if (writer_uses_pool(w, 0))
        ln(o, "unsigned char *a = f->a;");
    if (writer_uses_weights(w))
        ln(o, "const unsigned char *w = f->w;");
    if (!has_any_scratch(w, 0, w->u->func.n))
        ln(o, "(void)part;");
    ln(o, "switch (step) {");
    uint32_t step = 0;
    for (uint32_t k = 0; k < w->u->func.n; k++) {
        const bool begins = k == 0 || w->u->func.at[k]->meet;
        if (begins && k)
            ln(o, "    break;");
        if (begins)
            ln(o, "case %u:", step++);
        o->depth++;
        writer_call(w, w->u->func.at[k]);
        o->depth--;
    }
    ln(o, "    break;");
    ln(o, "default:");
    ln(o, "    break;");
    ln(o, "}");
    close_block(o, "");
    blank(o);
}

/* A row of numbers, one for each step, for each count of parts. */
static void by_count(Writer *w, const char *name, int32_t (*number)(const Func *f, uint32_t count))
{
    const Unit *u = w->u;
    ln(&w->o, "static const %s[%u][%u] = {", name, u->threads.n, count_steps(u));
    for (uint32_t t = 0; t < u->threads.n; t++) {
        Text line = {.arena = w->a};
        for (uint32_t k = 0; k < u->func.n; k++)
            if (k == 0 || u->func.at[k]->meet)
                text_add(&line, "%s%d", k ? ", " : "", number(u->func.at[k], t));
        ln(&w->o, "    {%s}, /* %d threads */", text_str(&line), u->threads.at[t]);
    }
    ln(&w->o, "};");
    blank(&w->o);
}

static void tables(Writer *w)
{
    Text line = {.arena = w->a};
    for (uint32_t k = 0, end; k < w->u->func.n; k = end) {
        end = step_end(w->u, k);
        text_add(&line, "%s%d", k ? ", " : "", has_any_scratch(w, k, end));
    }
    ln(&w->o, "/* Before a step a part waits for those at most so far away; 0: for none. */");
    by_count(w, str_fmt(w->a, "unsigned char %s_reach", w->opt->prefix), func_meet);
    ln(&w->o, "/* Shares of steps that are dealt out; 0: one for each part. */");
    by_count(w, str_fmt(w->a, "unsigned short %s_shares", w->opt->prefix), func_shares);
    ln(&w->o, "/* Whether a step needs scratch, which there is for each part but not for each share. */");
    ln(&w->o, "static const unsigned char %s_scratch[%u] = {%s};", w->opt->prefix, count_steps(w->u), text_str(&line));
    blank(&w->o);
}

static const char steps_text[] =
    "/* Without take, a part has the shares that lie where it would have one. */\n"
    "static void @_own(struct @_frame *f, int step, int part, int parts)\n"
    "{\n"
    "    const int shares = f->shares[step] ? f->shares[step] : parts;\n"
    "    for (int share = shares * part / parts; share < shares * (part + 1) / parts; share++)\n"
    "        @_step(f, step, part, share, shares);\n"
    "}\n"
    "\n"
    "static void @_take(struct @_frame *f, int step, int part, int parts)\n"
    "{\n"
    "    const mlcc_parallel *p = f->parallel;\n"
    "    const int shares = f->shares[step];\n"
    "    for (int share; (share = p->take(p->user, part, parts, step, shares)) < shares;)\n"
    "        @_step(f, step, part, share, shares);\n"
    "}\n"
    "\n"
    "/* All steps of one part, for a parallel-for whose parts can wait for each other. */\n"
    "static void @_together(void *arg, int part, int parts)\n"
    "{\n"
    "    struct @_frame *f = arg;\n"
    "    for (int step = 0; step < #; step++) {\n"
    "        if (f->reach[step] > 0)\n"
    "            f->parallel->meet(f->parallel->user, part, parts, step, f->reach[step]);\n"
    "        if (f->shares[step] && f->parallel->take)\n"
    "            @_take(f, step, part, parts);\n"
    "        else\n"
    "            @_own(f, step, part, parts);\n"
    "    }\n"
    "}\n"
    "\n"
    "static void @_apart(void *arg, int part, int parts)\n"
    "{\n"
    "    struct @_frame *f = arg;\n"
    "    @_own(f, f->step, part, parts);\n"
    "}\n"
    "\n"
    "static int @_all(struct @_frame *f, int parts)\n"
    "{\n"
    "    const mlcc_parallel *p = f->parallel;\n"
    "    int bad = 0;\n"
    "    if (parts > 1 && p->meet)\n"
    "        return p->run(p->user, @_together, f, parts);\n"
    "    for (f->step = 0; f->step < # && !bad; f->step++) {\n"
    "        const int shares = @_scratch[f->step] ? 0 : f->shares[f->step];\n"
    "        if (parts > 1)\n"
    "            bad = p->run(p->user, @_apart, f, shares ? shares : parts);\n"
    "        else\n"
    "            @_step(f, f->step, 0, 0, 1);\n"
    "    }\n"
    "    return bad;\n"
    "}\n\n";

/* @: the prefix; #: the number of steps. */
static void fill_in(Writer *w, const char *text)
{
    for (const char *s = text; *s; s++)
        if (*s == '@')
            text_add(&w->o.text, "%s", w->opt->prefix);
        else if (*s == '#')
            text_add(&w->o.text, "%u", count_steps(w->u));
        else
            text_put(&w->o.text, s, 1);
}

static void begin(Writer *w)
{
    Out *o = &w->o;
    const char *p = w->opt->prefix;
    ln(o,
       "static mlcc_status %s_begin(struct %s_frame *f, const struct %s_io *io, void *arena, const mlcc_parallel *parallel)",
       p, p, p);
    ln(o, "{");
    o->depth++;
    ln(o, "f->io = io;");
    ln(o, "f->parallel = parallel;");
    writer_prologue(w);
    ln(o, "return MLCC_OK;");
    close_block(o, "");
    blank(o);
}

/* The largest count that `most` allows. */
static const char *parts_within(const Writer *w)
{
    Text t = {.arena = w->a};
    for (uint32_t k = w->u->threads.n; k-- > 0;)
        text_add(&t, "most >= %d ? %d : ", w->u->threads.at[k], w->u->threads.at[k]);
    text_add(&t, "1");
    return text_str(&t);
}

/* How many parts a run may have where some counts are for threads that are awake. */
static void most_parts(Writer *w)
{
    Out *o = &w->o;
    const Unit *u = w->u;
    const char *worth = u->awake < u->threads.n ? str_fmt(w->a, " || parts >= %d", u->threads.at[u->awake]) : "";
    ln(o, "/* To wake a thread costs more than it gains%s: only those that are awake take part. */", *worth ? " where they are few" : "");
    ln(o, "static int %s_most(const mlcc_parallel *p)", w->opt->prefix);
    ln(o, "{");
    o->depth++;
    ln(o, "const int most = p ? p->parts : 1, parts = %s;", parts_within(w));
    ln(o, "if (parts < 2%s)", worth);
    ln(o, "    return parts;");
    ln(o, "const int awake = p->awake ? p->awake(p->user, parts) : 1;");
    ln(o, "return awake < parts ? awake : parts;");
    close_block(o, "");
    blank(o);
}

/* On as many parts as the caller has and the unit is made for; the tables of steps have a row for each count. */
static void run_threads(Writer *w)
{
    Out *o = &w->o;
    const char *p = w->opt->prefix;
    const char *most = w->u->awake ? str_fmt(w->a, "%s_most(parallel)", p) : "parallel ? parallel->parts : 1";
    Text count = {.arena = w->a};
    for (uint32_t k = w->u->threads.n; k-- > 0;)
        text_add(&count, k ? "most >= %d ? %u : " : "0", w->u->threads.at[k], k);
    ln(o, "mlcc_status %s_run_threads(const struct %s_io *io, void *arena, const mlcc_parallel *parallel)", p, p);
    ln(o, "{");
    o->depth++;
    ln(o, "struct %s_frame frame = {0}, *f = &frame;", p);
    ln(o, "const int most = %s, parts = %s;", most, parts_within(w));
    ln(o, "const mlcc_status status = %s_begin(f, io, arena, parallel);", p);
    ln(o, "if (status != MLCC_OK)");
    ln(o, "    return status;");
    ln(o, "f->reach = %s_reach[%s];", p, text_str(&count));
    ln(o, "f->shares = %s_shares[%s];", p, text_str(&count));
    ln(o, "if (%s_all(f, parts) != 0)", p);
    ln(o, "    return (mlcc_status)MLCC_BAD_PARALLEL;");
    writer_extents(w);
    ln(o, "return MLCC_OK;");
    close_block(o, "");
    blank(o);
}

void emit_run_shared(Writer *w)
{
    const char *p = w->opt->prefix;
    frame(w);
    step_function(w);
    tables(w);
    fill_in(w, steps_text);
    begin(w);
    if (w->u->awake)
        most_parts(w);
    run_threads(w);
    ln(&w->o, "mlcc_status %s_run(const struct %s_io *io, void *arena)", p, p);
    ln(&w->o, "{");
    ln(&w->o, "    return %s_run_threads(io, arena, NULL);", p);
    ln(&w->o, "}");
    blank(&w->o);
}

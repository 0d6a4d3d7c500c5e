/* SPDX-License-Identifier: Apache-2.0
 * model.json: what a build, a test harness or a dashboard reads. Version 1: fields are only added. */
#include <inttypes.h>

#include "../ir/traffic.h"
#include "names.h"
#include "out.h"

typedef struct Report { const Unit *u; Out o; Arena *a; } Report;

/* JSON string: model text is escaped byte by byte, so the file is ASCII whatever the model holds. */
static const char *json_string(Arena *a, const char *s)
{
    Text t = {.arena = a};
    text_put(&t, "\"", 1);
    for (; *s; s++) {
        const unsigned char c = (unsigned char)*s;
        if (c < 32 || c > 126 || c == '"' || c == '\\')
            text_add(&t, "\\u%04x", c);
        else
            text_put(&t, s, 1);
    }
    text_put(&t, "\"", 1);
    return text_str(&t);
}

static const char *extent(Report *r, const Expr *e)
{
    Text t = {.arena = r->a};
    ex_print(&t, r->u->cx->x, e, NULL, NULL);
    return json_string(r->a, text_str(&t));
}

static const char *dims(Report *r, const Buf *b)
{
    Text t = {.arena = r->a};
    for (uint8_t d = 0; d < b->rank; d++) {
        text_add(&t, "%s", d ? ", " : "");
        if (ex_is_const(b->dim[d]))
            text_add(&t, "%" PRId64, b->dim[d]->v.i);
        else
            text_add(&t, "{\"extent\": %s, \"max\": %" PRId64 "}", extent(r, b->dim[d]),
                     ex_upper(r->u->cx->x, b->dim[d]));
    }
    return text_str(&t);
}

static void tensors(Report *r, const char *key, const uint32_t *id, uint32_t n, const char *const *field)
{
    ln(&r->o, "  \"%s\": [", key);
    for (uint32_t k = 0; k < n; k++) {
        const Buf *b = buf(r->u, id[k]);
        ln(&r->o,
           "    {\"name\": %s, \"field\": \"%s\", \"dtype\": \"%s\", \"onnx_dtype\": %u, \"dims\": [%s], \"bytes\": %" PRId64
           "}%s",
           json_string(r->a, b->name), field[k], dtype_info(b->dt)->name, dtype_info(b->dt)->onnx, dims(r, b), b->bytes,
           k + 1 < n ? "," : "");
    }
    ln(&r->o, "  ],");
}

/* Dimensions that a call decides, by the model's names; assumed: nobody gave the bound. */
static void symbols(Report *r)
{
    const Ctx *cx = r->u->cx;
    const char *comma = "";
    ln(&r->o, "  \"symbols\": [");
    for (uint32_t k = 0; k < cx->symbol.slot.n; k++) {
        const Expr *e = (const Expr *)(uintptr_t)cx->symbol.slot.at[k].val;
        const Expr *sym = ex_symbol_of(cx->x, e);
        if (!sym)
            continue;
        ln(&r->o,
           "    %s{\"name\": %s, \"extent\": %s, \"max\": %" PRId64 ", \"multiple\": %" PRId64 ", \"assumed\": %s}",
           comma, json_string(r->a, cx->symbol.slot.at[k].str), extent(r, e), ex_upper(cx->x, e),
           var_times(ex_var_info(cx->x, sym)), !cx->default_given && symbol_assumed(cx, e) ? "true" : "false");
        comma = ", ";
    }
    ln(&r->o, "  ],");
}

static void plan(Report *r)
{
    const char *comma = "";
    ln(&r->o, "  \"plan\": [");
    for (uint32_t k = 1; k < r->u->buf.n; k++) {
        const Buf *b = buf(r->u, k);
        if (b->offset < 0 || b->cls == BC_const)
            continue;
        ln(&r->o, "    %s{\"buffer\": %u, \"name\": %s, \"offset\": %" PRId64 ", \"bytes\": %" PRId64 ", \"pool\": %d}",
           comma, k, json_string(r->a, b->name), b->offset, b->bytes, b->pool);
        comma = ", ";
    }
    ln(&r->o, "  ],");
}

static void pools(Report *r)
{
    const Unit *u = r->u;
    if (u->npool == 0)
        return;
    ln(&r->o, "  \"pools\": [");
    for (uint32_t k = 0; k <= u->npool; k++)
        ln(&r->o, "    {\"name\": %s, \"bytes\": %" PRId64 ", \"bound\": %" PRId64 "}%s",
           json_string(r->a, u->pool_name[k]), u->pool_bytes[k], u->pool_bound[k], k < u->npool ? "," : "");
    ln(&r->o, "  ],");
}

/* Type of what a function's products multiply: which of a machine's peaks it can be held against. */
static void operand_type(void *ctx, const Expr *e)
{
    DType *dt = ctx;
    if ((e->op == EX_load || e->op == EX_loadp) && (*dt == DT_none || dtype_bytes((DType)e->dt) < dtype_bytes(*dt)))
        *dt = (DType)e->dt;
}

static void product_type(void *ctx, Nest *n)
{
    if (n->op == NS_tile && n->tile->red == RED_sum && n->tile->body->op == EX_mul)
        ex_walk(n->tile->body, operand_type, ctx);
}

static const char *operands(const Func *f)
{
    DType dt = DT_none;
    nest_walk(f->body, product_type, &dt);
    return f->macs && dt != DT_none ? dtype_info(dt)->name : "";
}

static void on_matrix(void *ctx, Nest *n)
{
    bool *any = ctx;
    *any = *any || (n->op == NS_tile && n->tile->matrix);
}

/* Where the function's products are made. */
static const char *arithmetic(const Func *f)
{
    bool matrix = false;
    nest_walk(f->body, on_matrix, &matrix);
    return matrix ? "matrix" : "vector";
}

static void by_count(const Report *r, Text *t, const char *name, const Func *f,
                     int32_t (*number)(const Func *f, uint32_t count))
{
    text_add(t, " \"%s\": [", name);
    for (uint32_t k = 0; k < r->u->threads.n; k++)
        text_add(t, "%s%d", k ? ", " : "", number(f, k));
    text_add(t, "],");
}

/* Expected cycles, on one part and of the part that has most to do; how far away those are that a part meets before
 * it; shares where it is dealt out. */
static const char *share(Report *r, const Func *f)
{
    Text t = {.arena = r->a};
    if (!f->slowest)
        return "";
    text_add(&t, " \"cycles\": %.0f, \"slowest\": [", f->cycles);
    for (uint32_t k = 0; k < r->u->threads.n; k++)
        text_add(&t, "%s%.0f", k ? ", " : "", f->slowest[k]);
    text_add(&t, "],");
    by_count(r, &t, "meet", f, func_meet);
    by_count(r, &t, "shares", f, func_shares);
    text_add(&t, " \"split\": %s,", f->split ? "true" : "false");
    return text_str(&t);
}

static void functions(Report *r)
{
    ln(&r->o, "  \"nodes\": [");
    for (uint32_t k = 0; k < r->u->func.n; k++) {
        const Func *f = r->u->func.at[k];
        ln(&r->o,
           "    {\"function\": \"%s\", \"code\": \"%s\", \"macs\": %" PRIu64
           ", \"operands\": \"%s\", \"unit\": \"%s\", \"bytes\": %" PRId64 ", \"stack_bytes\": %" PRId64
           ",%s \"from\": %s}%s",
           f->name, f->code, f->macs, operands(f), arithmetic(f), least_traffic(r->u, f), f->frame_bytes, share(r, f),
           json_string(r->a, f->note.n ? f->note.at[0] : ""), k + 1 < r->u->func.n ? "," : "");
    }
    ln(&r->o, "  ],");
}

/* How often a part meets all others in a run, or some. */
static const char *meetings(Report *r, uint32_t t)
{
    const Unit *u = r->u;
    const int32_t parts = u->threads.at[t];
    uint32_t all = 0, near = 0;
    if (u->func.n && !u->func.at[0]->slowest) /* of several levels, which differ */
        return "";
    for (uint32_t k = 0; k < u->func.n; k++) {
        const int32_t reach = func_meet(u->func.at[k], t);
        all += reach >= parts - 1;
        near += reach > 0 && reach < parts - 1;
    }
    return str_fmt(r->a, ", \"meetings\": {\"all\": %u, \"near\": %u}", all, near);
}

static void threads(Report *r, const EmitOptions *opt)
{
    const Unit *u = r->u;
    uint32_t split = 0;
    if (!opt->threads)
        return;
    for (uint32_t k = 0; k < u->func.n; k++)
        split += u->func.at[k]->split;
    ln(&r->o, "  \"threads\": [");
    ln(&r->o, "    {\"count\": 1, \"arena_bytes\": %" PRId64 "}%s", u->arena_bytes, u->threads.n ? "," : "");
    for (uint32_t k = 0; k < u->threads.n; k++)
        ln(&r->o, "    {\"count\": %d, \"arena_bytes\": %" PRId64 "%s%s}%s", u->threads.at[k],
           u->arena_bytes + (u->threads.at[k] - 1) * u->part_bytes, k < u->awake ? ", \"awake\": true" : "", meetings(r, k),
           k + 1 < u->threads.n ? "," : "");
    ln(&r->o, "  ],");
    ln(&r->o, "  \"split_functions\": %u,", split);
}

static void origin(Report *r, const EmitOptions *opt)
{
    ln(&r->o, "  \"version\": 1,");
    ln(&r->o, "  \"prefix\": \"%s\",", opt->prefix);
    ln(&r->o, "  \"tool\": \"mlcc %s\",", opt->version);
    ln(&r->o, "  \"fp\": \"%s\",", fp_name(r->u->cx->fp));
    ln(&r->o, "  \"model\": %s,", json_string(r->a, opt->source));
    ln(&r->o, "  \"model_sha256\": \"%s\",", opt->sha256);
}

static void memory(Report *r, const EmitOptions *opt)
{
    const Unit *u = r->u;
    ln(&r->o, "  \"arena_bytes\": %" PRId64 ",", u->arena_bytes);
    ln(&r->o, "  \"arena_bound\": %" PRId64 ",", u->arena_bound);
    ln(&r->o, "  \"arena_optimal\": %s,", u->arena_optimal ? "true" : "false");
    if (u->threads.n)
        ln(&r->o, "  \"arena_apart\": %" PRId64 ",", u->apart_bytes);
    ln(&r->o, "  \"arena_align\": %d,", u->arena_align);
    threads(r, opt);
    ln(&r->o, "  \"ram_with_io_bytes\": %" PRId64 ",", u->ram_with_io);
    ln(&r->o, "  \"order\": {\"live_bytes\": %" PRId64 ", \"as_given\": %" PRId64 ", \"bound\": %" PRId64 "},", u->load,
       u->load_given, u->load_bound);
    pools(r);
    ln(&r->o, "  \"stack_bytes\": %" PRId64 ",", u->stack_bytes);
    ln(&r->o, "  \"weight_bytes\": %" PRId64 ",", u->weight_bytes);
}

/* The report is the last of the files, and names itself. */
static void names_of(Report *r, const EmitOptions *opt, const EmitFiles *files)
{
    ln(&r->o, "  \"files\": [");
    for (uint32_t k = 0; k < files->file.n; k++)
        ln(&r->o, "    %s,", json_string(r->a, str_fmt(r->a, "%s%s", opt->file, files->file.at[k].suffix)));
    ln(&r->o, "    %s", json_string(r->a, str_fmt(r->a, "%s.json", opt->file)));
    ln(&r->o, "  ]");
}

void emit_report(const Unit *u, const EmitOptions *opt, EmitFiles *files)
{
    Report r = {.u = u, .a = files->arena};
    const Names names = names_make(r.a, u, opt);
    out_init(&r.o, r.a);
    ln(&r.o, "{");
    origin(&r, opt);
    tensors(&r, "inputs", u->input.at, u->input.n, names.input);
    tensors(&r, "outputs", u->output.at, u->output.n, names.output);
    symbols(&r);
    memory(&r, opt);
    plan(&r);
    functions(&r);
    names_of(&r, opt, files);
    ln(&r.o, "}");
    emit_text(files, ".json", &r.o.text);
}

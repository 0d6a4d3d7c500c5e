/* SPDX-License-Identifier: Apache-2.0
 *
 * model.c: banner with the memory plan, the runtime functions in use, the weights when they are small, the functions of
 * root stages, and what others print behind them: the run function (run.c, threads.c) and the untyped twin for bindings.
 */
#include <inttypes.h>

#include "writer.h"

/* First and last function that uses a buffer; UINT32_MAX: none does. */
typedef struct Life { uint32_t first, last; } Life;

static Life *lives(Arena *a, const Unit *u)
{
    Life *of = NEWN(a, Life, u->buf.n);
    for (uint32_t k = 0; k < u->buf.n; k++)
        of[k].first = UINT32_MAX;
    for (uint32_t f = 0; f < u->func.n; f++)
        for (uint32_t p = 0; p < u->func.at[f]->param.n; p++) {
            Life *l = &of[u->func.at[f]->param.at[p]];
            l->first = l->first == UINT32_MAX ? f : l->first;
            l->last = f;
        }
    return of;
}

static const char *const fp_meaning[] = {
    [FP_fast] =
        "-ffp=fast, f32; sums are reassociated, 3x3 convolutions may be filtered (Winograd), constants of products of few rows may have 24 bits to the largest of a column, weights are not multiplied with the zeros beside a picture, real biases of integer products are rounded to units of the sum, exp, log, tanh and erf are polynomials where loops are vectors, and what is made of them and of sums is multiplied by reciprocals",
    [FP_strict] = "-ffp=strict, f32 as the model writes it; sums are reassociated, functions are libm's",
    [FP_bf16] =
        "-ffp=bf16, what products read may be rounded to bfloat16, or to 16 bits of fixed point; sums and epilogues are f32, sigmoid and erf within 2^-12",
};

static void banner(Writer *w)
{
    Out *o = &w->o;
    const char *file = comment_text(w->a, w->opt->file);
    ln(o, "/* %s.c - made by mlcc %s from %s; read %s.h first. Free of any condition (0BSD).", file, w->opt->version,
       comment_text(w->a, w->opt->source), file);
    ln(o, " * Floats: %s.", fp_meaning[w->u->cx->fp]);
    ln(o, " *");
    if (w->u->arena_bytes) {
        ln(o, " * arena   offset     bytes  lives      what");
        const Life *of = lives(w->a, w->u);
        for (uint32_t k = 1; k < w->u->buf.n; k++) {
            const Buf *b = buf(w->u, k);
            if (buf_planned(b) && of[k].first != UINT32_MAX)
                ln(o, " *     %10" PRId64 " %9" PRId64 "  n%u-n%u  t%u  %s  %s", b->offset, b->bytes, of[k].first,
                   of[k].last, k, shape_text(w->a, w->u, b), comment_text(w->a, b->name));
        }
    } else {
        ln(o, " * No arena is needed.");
    }
    ln(o, " */");
}

static bool has_offset(const Writer *w, const Buf *b, bool weights)
{
    return weights ? weights_stored(b) && b->dt != DT_str && writer_apart(w) : buf_planned(b);
}

/* Constants of an enum are int; where one does not fit, all are macros. */
static void offsets_of(Writer *w, bool weights)
{
    Out *o = &w->o;
    int64_t most = -1;
    for (uint32_t k = 1; k < w->u->buf.n; k++)
        if (has_offset(w, buf(w->u, k), weights))
            most = max_i64(most, buf(w->u, k)->offset);
    if (most < 0)
        return;
    const bool macros = most > INT32_MAX;
    ln(o, macros ? "/* byte offsets in the %s */" : "enum { /* byte offsets in the %s */",
       weights ? "weights" : "arena");
    for (uint32_t k = 1; k < w->u->buf.n; k++) {
        const Buf *b = buf(w->u, k);
        if (has_offset(w, b, weights))
            ln(o, macros ? "#define %c%03u %" PRId64 " /* %s %s */" : "    %c%03u = %" PRId64 ", /* %s %s */",
               weights ? 'W' : 'T', k, b->offset, shape_text(w->a, w->u, b), comment_text(w->a, b->name));
    }
    if (!macros)
        ln(o, "};");
    blank(o);
}

static void offsets(Writer *w)
{
    offsets_of(w, false);
    offsets_of(w, true);
}

/* Ends a part of the file, behind which `make` writes. */
static void end_part(Writer *w, void (*make)(const void *ctx, Arena *a, const Sink *to), const void *ctx)
{
    PUSH(w->a, &w->part, ((EmitPart){text_str(&w->o.text), w->o.text.n, make, ctx}));
    w->o.text = (Text){.arena = w->a};
}

static void array(Writer *w, uint32_t id)
{
    const Buf *b = buf(w->u, id);
    const char *type = dtype_info(b->dt)->ctype;
    ln(&w->o, "static const MLCC_ALIGN(64) %s W%03u[%" PRId64 "] = { /* %s %s */",
       b->dt == DT_str ? "char *const" : type, id, buf_stored(b)->count, shape_text(w->a, w->u, b),
       comment_text(w->a, b->name));
    end_part(w, array_put, buf_stored(b));
    ln(&w->o, "};");
}

static void weights(Writer *w)
{
    bool any = false;
    for (uint32_t k = 1; k < w->u->buf.n; k++)
        if (weights_stored(buf(w->u, k)) && (!writer_apart(w) || buf(w->u, k)->dt == DT_str)) {
            array(w, k);
            any = true;
        }
    if (any)
        blank(&w->o);
    if (writer_apart(w) && w->u->weight_bytes && w->opt->weights != WM_file) {
        ln(&w->o, "extern const unsigned char %s_weights[]; /* %" PRId64 " bytes */", w->opt->prefix,
           w->u->weight_bytes);
        blank(&w->o);
    }
}

static void find_far(void *ctx, const Expr *e)
{
    bool *far = ctx;
    *far = *far || (e->op == EX_const && e->dt == DT_ix && (e->v.i > INT32_MAX || e->v.i < INT32_MIN));
}

static void find_far_in(void *ctx, const Nest *at, const Expr *e, bool store)
{
    (void)at;
    (void)store;
    ex_walk(e, find_far, ctx);
}

/* Index arithmetic needs 64 bits when some buffer has more elements than int counts, or a number in it is no int. */
static bool needs_wide(const Unit *u)
{
    bool far = false;
    for (uint32_t k = 1; k < u->buf.n; k++)
        if (buf(u, k)->bytes / (int64_t)dtype_bytes(buf(u, k)->dt) > INT32_MAX / 2)
            return true;
    for (uint32_t k = 0; k < u->func.n && !far; k++)
        nest_exprs(u->func.at[k]->body, find_far_in, &far);
    return far;
}

/* The runtime functions that the parts use, and the headers that they and the elements of arrays need, which come
 * later. */
static const char *runtime_of(const Writer *w)
{
    Text all = {.arena = w->a};
    for (uint32_t k = 0; k < w->part.n; k++)
        text_put(&all, w->part.at[k].data, w->part.at[k].n);
    if (w->part.n > 1)
        text_add(&all, "/* of elements: NAN, INFINITY */");
    return paste_runtime(w->a, text_str(&all));
}

static void functions(Writer *w)
{
    w->g.o = &w->o;
    c_functions(&w->g);
    w->u->stack_bytes = stack_bound(w->u);
}

/* What comes behind the runtime functions. */
static void model(Writer *w, const Out *body)
{
    offsets(w);
    weights(w);
    text_put(&w->o.text, body->text.at, body->text.n);
    if (w->u->threads.n)
        emit_run_shared(w);
    else
        emit_run(w);
    emit_untyped(w);
    emit_info_tables(w);
    end_part(w, NULL, NULL);
}

/* Files of a unit: code, header, weights and report. The unit must be planned. */
void emit_c(Unit *u, const EmitOptions *opt, EmitFiles *files)
{
    Arena *a = files->arena;
    Writer w = {.u = u, .opt = opt, .names = names_make(a, u, opt), .a = a};
    w.g = (CGen){.u = u, .a = a, .x = u->cx->x, .wide = needs_wide(u), .lanes = opt->lanes};
    out_init(&w.o, a);
    functions(&w);
    const Out body = w.o;
    out_init(&w.o, a);
    model(&w, &body);
    const char *runtime = runtime_of(&w);
    banner(&w);
    feature_target(opt, a, &w.o);
    ln(&w.o, "#include \"%s.h\"", opt->file);
    blank(&w.o);
    text_put(&w.o.text, runtime, strlen(runtime));
    EmitFile f = {".c", emit_part(a, &w.o.text)};
    for (uint32_t k = 0; k < w.part.n; k++)
        PUSH(a, &f.part, w.part.at[k]);
    PUSH(a, &files->file, f);
    emit_header(u, opt, files);
    emit_threads(opt, files);
    emit_pages(u, files);
    emit_weights(u, opt, files);
    emit_report(u, opt, files);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * mlcc run: the compiled program on the nest interpreter, planned memory included. Inputs come from files; outputs go to
 * NAME.npy in a folder, or as text to stdout.
 */
#include "../ir/nest.h"
#include "npy.h"
#include "verb.h"

enum { TEXT_ELEMENTS = 64, NAME_CHARS = 100 };

typedef struct Runner {
    Program *p;
    Arena *a;
    Maps *maps;
} Runner;

static Diags *diags(const Runner *r) { return r->p->cx->diags; }

static const Buf *io_buf(const Runner *r, bool output, uint32_t k)
{
    return buf(r->p->unit, output ? r->p->unit->output.at[k] : r->p->unit->input.at[k]);
}

static const char *io_name(const Runner *r, bool output, uint32_t k)
{
    const Graph *g = r->p->graph;
    return tensor(g, output ? g->output.at[k] : g->input.at[k])->name;
}

/* ---- inputs ---- */

static const char *file_of(const Runner *r, const char *name)
{
    const StrList *list = &r->p->opt->input;
    const size_t n = strlen(name);
    for (uint32_t k = list->v.n; k-- > 0;)
        if (strncmp(list->v.at[k], name, n) == 0 && list->v.at[k][n] == '=')
            return list->v.at[k] + n + 1;
    return NULL;
}

/* Every --input must name an input of the model: a mistyped name is not passed over. */
static bool known_inputs(const Runner *r)
{
    const StrList *list = &r->p->opt->input;
    for (uint32_t k = 0; k < list->v.n; k++) {
        bool known = false;
        for (uint32_t q = 0; q < r->p->unit->input.n && !known; q++) {
            const char *name = io_name(r, false, q);
            known = strncmp(list->v.at[k], name, strlen(name)) == 0 && list->v.at[k][strlen(name)] == '=';
        }
        if (!known)
            (void)diag_error(diags(r), "input-name", "--input '%s' names no input of the model; write NAME=FILE", printable(r->a, list->v.at[k]));
    }
    return diags(r)->errors == 0;
}

static TensorValue expected(const Buf *b)
{
    TensorValue v = {.dt = b->dt, .rank = b->rank};
    for (uint8_t d = 0; d < b->rank; d++)
        v.dim[d] = ex_is_const(b->dim[d]) ? b->dim[d]->v.i : -1;
    return v;
}

static bool read_input(const Runner *r, uint32_t k, mlcc_tensor *t)
{
    const Buf *b = io_buf(r, false, k);
    const char *name = io_name(r, false, k), *file = file_of(r, name);
    if (!file)
        return diag_error(diags(r), "input-missing", "input '%s' has no value; add --input %s=FILE", printable(r->a, name), printable(r->a, name));
    const TensorValue want = expected(b);
    TensorValue v;
    if (!value_read(r->p->cx, r->maps, file, &want, &v, &r->p->io_error))
        return false;
    if (v.rank > MLCC_MAX_RANK)
        return diag_error(diags(r), "io-rank", "input '%s' has %u dimensions, at most %d are supported", printable(r->a, name), v.rank, MLCC_MAX_RANK);
    *t = (mlcc_tensor){.dtype = dtype_info(v.dt)->onnx, .rank = v.rank};
    memcpy(t->dim, v.dim, v.rank * sizeof *v.dim);
    t->data = arena_alloc(r->a, mul_size_or_oom(r->a, (size_t)v.blob->count, dtype_bytes(v.dt)) + 1, 64);
    blob_get(v.blob, 0, v.blob->count, t->data);
    return true;
}

/* ---- outputs ---- */

/* A name that is safe as part of a path, and no other output's. */
static const char *file_name(const Runner *r, Map *taken, const char *name)
{
    Text t = {.arena = r->a};
    for (const char *s = name; *s && t.n < NAME_CHARS; s++) {
        const bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || *s == '_' || *s == '-' || (*s == '.' && t.n);
        text_put(&t, plain ? s : "_", 1);
    }
    const char *base = t.n ? str_dup(r->a, text_str(&t)) : "output", *unique = base;
    for (uint32_t k = 2; map_str(taken, unique, false); k++)
        unique = str_fmt(r->a, "%s_%u", base, k);
    *map_str(taken, unique, true) = 1;
    return unique;
}

static TensorValue result(const Runner *r, const mlcc_tensor *t)
{
    TensorValue v = {.dt = dtype_by_onnx(t->dtype), .rank = (uint8_t)t->rank};
    int64_t count = 1;
    for (int32_t d = 0; d < t->rank; d++)
        count *= v.dim[d] = t->dim[d];
    v.blob = blob_view(r->a, v.dt, count, t->data);
    return v;
}

static void write_file(const Runner *r, Outputs *out, Map *taken, uint32_t k, const TensorValue *v)
{
    Text t = {.arena = r->a};
    npy_write(&t, v);
    const char *path = str_fmt(r->a, "%s/%s.npy", r->p->opt->output_dir, file_name(r, taken, io_name(r, true, k)));
    PUSH(r->a, &out->file, ((OutputFile){.path = path, .part = emit_part(r->a, &t)}));
}

static void write_text(const Runner *r, Text *t, uint32_t k, const TensorValue *v)
{
    text_add(t, "%s %s[", printable(r->a, io_name(r, true, k)), dtype_info(v->dt)->name);
    for (uint8_t d = 0; d < v->rank; d++)
        text_add(t, "%s%lld", d ? "," : "", (long long)v->dim[d]);
    text_add(t, "] ");
    blob_print(t, v->blob, TEXT_ELEMENTS);
    text_add(t, "\n");
}

static void give(const Runner *r, Outputs *out, const mlcc_tensor *value)
{
    Text text = {.arena = r->a};
    Map taken = {.arena = r->a};
    for (uint32_t k = 0; k < r->p->unit->output.n; k++) {
        const TensorValue v = result(r, &value[k]);
        if (r->p->opt->output_dir)
            write_file(r, out, &taken, k, &v);
        else
            write_text(r, &text, k, &v);
    }
    out->text = text_str(&text);
}

static bool execute(const Runner *r, Outputs *out)
{
    const Unit *u = r->p->unit;
    mlcc_tensor *in = NEWN(r->a, mlcc_tensor, u->input.n + 1), *value = NEWN(r->a, mlcc_tensor, u->output.n + 1);
    bool ok = known_inputs(r);
    for (uint32_t k = 0; k < u->input.n; k++)
        ok = read_input(r, k, &in[k]) && ok;
    for (uint32_t k = 0; k < u->output.n; k++) {
        if (io_buf(r, true, k)->rank > MLCC_MAX_RANK)
            ok = diag_error(diags(r), "io-rank", "output '%s' has more than %d dimensions", printable(r->a, io_name(r, true, k)), MLCC_MAX_RANK);
        value[k].data = arena_alloc(r->a, (size_t)io_buf(r, true, k)->bytes + 1, 64);
    }
    if (!ok || !unit_run(r->a, u, in, value))
        return false;
    give(r, out, value);
    return true;
}

/* Runs the model of p on the values that the options name; out gets a file for every output, or their text. */
bool verb_run(Program *p, Outputs *out)
{
    Arena *a = p->cx->arena;
    if (!passes_run(p, NULL))
        return false;
    const Runner r = {.p = p, .a = a, .maps = maps_new(a)};
    const bool ok = execute(&r, out);
    onnx_unmap(r.maps);
    return ok;
}

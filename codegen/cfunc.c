/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of the static function of a root stage.
 */
#include <stdlib.h>

#include "../ir/call.h"
#include "cgen.h"
#include "emit.h"

static void note_store(void *ctx, Nest *n)
{
    Map *written = ctx;
    if (n->op == NS_store)
        *map_u64(written, n->store.buf, true) = 1;
    for (int k = 0; n->op == NS_tile && k < n->tile->nstore; k++)
        *map_u64(written, n->tile->store[k].buf, true) = 1;
    for (int k = 0; n->op == NS_call && k < n->call->nout; k++)
        *map_u64(written, n->buf[n->call->nin + k], true) = 1;
    if (n->op == NS_call)
        *map_u64(written, n->scratch, true) = 1;
}

/* Buffers that the function stores to. */
static Map written_by(Arena *a, const Func *f)
{
    Map written = {.arena = a};
    nest_walk(f->body, note_store, &written);
    return written;
}

static bool shares(const Unit *u, const Func *f, uint32_t id)
{
    const Buf *b = buf(u, id);
    if (b->cls != BC_arena && b->cls != BC_scratch)
        return false;
    for (uint32_t k = 0; k < f->param.n; k++) {
        const Buf *o = buf(u, f->param.at[k]);
        const bool planned = o->cls == BC_arena || o->cls == BC_scratch;
        if (o != b && planned && o->pool == b->pool && o->offset < b->offset + max_i64(b->bytes, 1) &&
            b->offset < o->offset + max_i64(o->bytes, 1))
            return true;
    }
    return false;
}

/* "const float *restrict x"; buffers that the plan lets overlap in this call are not restrict. */
static const char *param_text(CGen *g, const Func *f, uint32_t id, bool written)
{
    const Buf *b = buf(g->u, id);
    const char *constant = written || b->dt == DT_str ? "" : "const ", *alone = shares(g->u, f, id) ? "" : "restrict ";
    return str_fmt(g->a, "%s%s%s%s", constant, pointer_to(g->a, b->dt), alone, buf_name(g, id));
}

/* Names of parameters are assigned. "const float *restrict x, float *restrict y" */
static const char *parameters(CGen *g, const Func *f)
{
    Text t = {.arena = g->a};
    Map written = written_by(g->a, f);
    const char *comma = f->split ? ", " : "";
    text_add(&t, "%s", f->split ? "int part, int parts" : "");
    for (uint32_t k = 0; k < f->sym.n; k++, comma = ", ")
        text_add(&t, "%s%s %s", comma, c_type(g, DT_ix), var_ident(g, f->sym.at[k]));
    for (uint32_t k = 0; k < f->param.n; k++, comma = ", ")
        text_add(&t, "%s%s", comma, param_text(g, f, f->param.at[k], map_u64(&written, f->param.at[k], false)));
    for (uint32_t k = 0; k < f->defines.n; k++, comma = ", ")
        text_add(&t, "%s%s *%s", comma, c_type(g, DT_ix), var_ident(g, f->defines.at[k]));
    return text_str(&t);
}

static int by_number(const void *a, const void *b)
{
    const uint64_t p = ((const MapSlot *)a)->key, q = ((const MapSlot *)b)->key;
    return (p > q) - (p < q);
}

static int64_t declare_scratch(CGen *g, const Func *f)
{
    int64_t bytes = 0;
    Map written = written_by(g->a, f);
    if (written.slot.n)
        qsort(written.slot.at, written.slot.n, sizeof *written.slot.at, by_number);
    for (uint32_t q = 0; q < written.slot.n; q++) {
        const uint32_t k = (uint32_t)written.slot.at[q].key;
        const Buf *b = k ? buf(g->u, k) : NULL;
        if (!b || b->cls != BC_scratch || !b->on_stack)
            continue;
        bytes += align_up(b->bytes, 64);
        ln(g->o, "MLCC_ALIGN(64) %s %s[%lld];", dtype_info(b->dt)->ctype, buf_name(g, k),
           (long long)(b->bytes / (int64_t)dtype_bytes(b->dt)));
    }
    return bytes;
}

static void start_function(CGen *g)
{
    g->var = (Map){.arena = g->a};
    g->param = (Map){.arena = g->a};
    g->taken = g->tried = (Map){.arena = g->a};
    c_forget(g);
}

/* A parameter that no statement needs after all: where every tap of a window lies beside the picture. */
static void void_unused(CGen *g, const Func *f)
{
    for (uint32_t k = 0; k < f->param.n; k++)
        if (!ident_occurs(text_str(&g->o->text), buf_name(g, f->param.at[k])))
            ln(g->o, "(void)%s;", buf_name(g, f->param.at[k]));
}

static CText function(CGen *g, const Func *f, Arena *all)
{
    start_function(g);
    if (f->split)
        *map_str(&g->taken, "part", true) = *map_str(&g->taken, "parts", true) = 1;
    const char *params = parameters(g, f);
    open_block(g->o, "%s", "");
    int64_t arrays = declare_scratch(g, f);
    g->array_bytes = 0;
    arrays += amx_open(g, f);
    c_nest(g, f->body);
    amx_close(g);
    void_unused(g, f);
    arrays += align_up(g->array_bytes, 64);
    close_block(g->o, "");
    return c_text(g, all, params, text_str(&g->o->text), arrays);
}

/* The words that it is put together from take many times the room of its text. */
CText c_function(CGen *g, const Func *f)
{
    Arena *all = g->a;
    Out *o = g->o, own;
    g->a = arena_child(all);
    out_init(&own, g->a);
    g->o = &own;
    const CText t = function(g, f, all);
    arena_free(g->a);
    g->a = all;
    g->o = o;
    start_function(g);
    return t;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Tensor-expression programs as a container: tensors with unique printable names, stages in the order they are added.
 * Tensors of the graph are made on demand, so a program holds exactly what its stages mention.
 */
#include "te.h"

#include <ctype.h>

/* Letters, digits, '_' and '.' only: what the text form, and later identifiers, can hold. */
static const char *plain_name(Arena *a, const char *name)
{
    char *s = arena_copy(a, name, strlen(name) + 1);
    for (char *p = s; *p; p++) {
        if (!isalnum((unsigned char)*p) && *p != '_' && *p != '.') *p = '_';
    }
    return *s ? s : "t";
}

static const char *unique_name(Te *t, const char *name)
{
    Arena *a = t->cx->arena;
    const char *base = plain_name(a, name), *s = base;
    uint64_t *uses = map_str(&t->names, base, true);
    while (*uses > 0) {
        s = str_fmt(a, "%s.%llu", base, (unsigned long long)*uses);
        *uses += 1;
        if (!map_str(&t->names, s, false)) break;
    }
    *map_str(&t->names, s, true) = 1;
    return s;
}

static int32_t position(const TensorId *at, uint32_t n, TensorId id)
{
    for (uint32_t k = 0; k < n; k++) {
        if (at[k].i == id.i) return (int32_t)k;
    }
    return -1;
}

static TenKind ten_kind(const Tensor *s)
{
    return s->kind == TK_CONST ? TEN_const : s->kind == TK_INPUT ? TEN_input : TEN_stage;
}

static void define(Te *t, uint32_t id, uint32_t stage)
{
    Ten *p = ten(t, id);
    if (id == 0 || p->kind != TEN_stage || p->stage != NO_STAGE) ICE("te: tensor %u is defined twice", id);
    p->stage = stage;
}

Te *te_new(Ctx *cx, const Graph *g)
{
    Te *t = NEW(cx->arena, Te);
    t->cx = cx;
    t->g = g;
    t->names.arena = t->of.arena = cx->arena;
    PUSH(cx->arena, &t->ten, NULL);
    return t;
}

/* A new tensor; the name is made printable and unique. */
uint32_t te_tensor(Te *t, const char *name, DType dt, TenKind kind, uint8_t rank, const Expr *const *dim)
{
    Ten *p = NEW(t->cx->arena, Ten);
    *p = (Ten){.name = unique_name(t, name),
               .dt = dt,
               .kind = kind,
               .rank = rank,
               .stage = NO_STAGE,
               .output = -1,
               .input = -1};
    if (rank) memcpy(p->dim, dim, rank * sizeof *dim);
    PUSH(t->cx->arena, &t->ten, p);
    return t->ten.n - 1;
}

/* The tensor that stands for a graph tensor with known type and shape; id 0 gives 0. */
uint32_t te_of(Te *t, TensorId id)
{
    if (is_none(id)) return 0;
    const uint64_t *known = map_u64(&t->of, id.i, false);
    if (known) return (uint32_t)*known;
    const Tensor *s = tensor(t->g, id);
    const uint32_t k = te_tensor(t, s->name, s->dt, ten_kind(s), s->rank, s->dim);
    Ten *p = ten(t, k);
    p->data = s->data;
    p->value = s->value;
    if (p->kind == TEN_input) p->input = position(t->g->input.at, t->g->input.n, id);
    if (p->kind == TEN_stage) p->output = position(t->g->output.at, t->g->output.n, id);
    *map_u64(&t->of, id.i, true) = k;
    return k;
}

uint32_t te_stage(Te *t, const Stage *s)
{
    Stage *p = arena_copy(t->cx->arena, s, sizeof *s);
    const uint32_t k = t->stage.n;
    if (p->kind == ST_call) {
        for (int j = 0; j < p->nout; j++) define(t, p->outs[j], k);
    } else {
        define(t, p->out, k);
    }
    PUSH(t->cx->arena, &t->stage, p);
    return k;
}

const Expr *red_identity(Exprs *x, RedOp op, DType dt)
{
    const bool real = dtype_is_float(dt);
    switch (op) {
    case RED_sum:
        return ex_num(x, dt, 0);
    case RED_prod:
        return ex_num(x, dt, 1);
    case RED_min:
        return real ? ex_const_f(x, dt, (double)__builtin_inff()) : ex_const_i(x, dt, dt == DT_u64 ? -1 : dtype_max(dt));
    case RED_max:
        return real ? ex_const_f(x, dt, -(double)__builtin_inff()) : ex_const_i(x, dt, dtype_min(dt));
    case RED_none:
        break;
    }
    ICE("no identity of reduction %d", (int)op);
}

typedef struct Listed { const Te *t; bool any; } Listed;

static void find_lists(void *ctx, const Expr *e)
{
    Listed *l = ctx;
    l->any = l->any || (e->op == EX_load && ten(l->t, e->v.ref)->lists);
}

bool te_reads_lists(const Te *t, const Expr *e)
{
    Listed l = {t, false};
    ex_walk(e, find_lists, &l);
    return l.any;
}

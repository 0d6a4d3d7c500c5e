/* SPDX-License-Identifier: Apache-2.0
 *
 * Random graphs made from the operator table: a new row is exercised with no further work.
 *
 * A node is proposed: types that the row allows, operands from what is there or new, random attributes. infer_node
 * accepts or refuses it. So that enough is accepted, proposals lean on what names say (axis, pads, kernel_shape) and on
 * the shapes that are there; nothing here knows an operator.
 */
#include "random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "ir/infer.h"

enum { MAX_NODES = 12, TRIES = 300, MAX_ELEMENTS = 3000, MAX_VARIADIC = 3, MAX_RANK_MADE = 5, MAX_NAMED = 16 };

typedef struct Gen {
    Rng rng;
    Arena *a;
    Diags diags;
    Ctx cx;
    Graph *g;
    const char *prefix;
    DType main;               /* most tensors have this type */
    uint32_t names;
    VEC(TensorId) pool;       /* what nodes may read */
    bool *accepted;
    const Trace *trace;
} Gen;

/* One proposal. */
typedef struct Proposal {
    Gen *g;
    const OpInfo *op;
    struct { char name[8]; DType dt; } bound[MAX_NAMED];
    int nbound;
    TensorId in[MAX_OPERANDS + MAX_VARIADIC], out[MAX_OPERANDS + MAX_VARIADIC];
    uint16_t nin, nout, nattr;
    Attr attr[MAX_OPERANDS];
} Proposal;

/* ---- random numbers: splitmix64 ---- */

uint64_t rng_next(Rng *r)
{
    uint64_t z = r->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

int64_t rng_range(Rng *r, int64_t lo, int64_t hi)
{
    return lo + (int64_t)(rng_next(r) % (uint64_t)(hi - lo + 1));
}

bool rng_chance(Rng *r, int percent)
{
    return rng_range(r, 0, 99) < percent;
}

Rng rng_of(uint64_t seed, const char *name)
{
    Rng r = {hash_bytes(seed, name, strlen(name))};
    (void)rng_next(&r);
    return r;
}

int64_t rng_one_of(Rng *r, const int64_t *v, size_t n)
{
    return v[rng_next(r) % n];
}

/* ---- values ---- */

/* Quarters: sums and products of few of them are exact in every type, so most reductions do not depend on their order. */
static double random_float(Rng *r, bool positive)
{
    if (positive) return (double)rng_range(r, 1, 16) / 8;
    const int64_t v = rng_range(r, -16, 16);
    return rng_chance(r, 1) ? (double)ONE_OF(r, 100, -1000, 0) + 0.1 : (double)v / 4;
}

static int64_t random_int(Rng *r, DType dt)
{
    const bool edge = rng_chance(r, 5);
    if (edge) return rng_chance(r, 50) ? dtype_max(dt) : dtype_min(dt);
    return rng_range(r, max_i64(dtype_min(dt), -9), min_i64(dtype_max(dt), 9));
}

void random_values(Rng *r, DType dt, int64_t count, void *data)
{
    static const char *const words[] = {"", "a", "b", "mlcc", "3", "-1.5"};
    const bool positive = rng_chance(r, 25);
    const DType part = dt == DT_c64 ? DT_f32 : dt == DT_c128 ? DT_f64 : dt;
    if (part != dt) count *= 2;
    for (int64_t k = 0; k < count; k++) {
        void *at = (char *)data + (size_t)k * dtype_bytes(part);
        if (dtype_is_float(part)) dtype_put_f(part, at, random_float(r, positive || part == DT_f8e8m0));
        else if (part == DT_str) memcpy(at, &words[rng_next(r) % COUNT(words)], sizeof words[0]);
        else dtype_put_i(part, at, part == DT_bool ? rng_range(r, 0, 1) : random_int(r, part));
    }
}

/* ---- tensors ---- */

static const char *fresh(Gen *g, const char *hint)
{
    return str_fmt(g->a, "%s_%s%u", g->prefix, hint, g->names++);
}

static Tensor *made(Gen *g, TensorId id)
{
    return tensor(g->g, id);
}

/* A new tensor that no node makes; an input enters the graph's list only when a node that reads it is accepted. */
static TensorId new_tensor(Gen *g, DType dt, uint8_t rank, const Expr *const *dim, bool input)
{
    const TensorId id = graph_temp(g->g, fresh(g, input ? "x" : "c"), dt, rank, dim);
    Tensor *t = made(g, id);
    t->kind = input ? TK_INPUT : TK_CONST;
    if (input) return id;
    const int64_t n = tensor_count(g->g, t);
    void *data = arena_alloc(g->a, (size_t)n * dtype_bytes(dt) + 1, 16);
    random_values(&g->rng, dt, n, data);
    t->data = blob_make(g->a, dt, n, data);
    return id;
}

static TensorId int_const(Gen *g, DType dt, uint8_t rank, uint32_t n, const int64_t *v)
{
    char data[MAX_RANK * 8];
    const int64_t dim[1] = {n};
    for (uint32_t k = 0; k < n; k++) dtype_put_i(dt, data + k * dtype_bytes(dt), v[k]);
    return graph_const(g->g, fresh(g, "k"), dt, rank, dim, data);
}

static const Expr *random_dim(Gen *g)
{
    if (rng_chance(&g->rng, 2)) return ex_int(g->cx.x, 0);
    if (rng_chance(&g->rng, 6)) return ex_int(g->cx.x, ONE_OF(&g->rng, 16, 17));
    return ex_int(g->cx.x, ONE_OF(&g->rng, 1, 1, 2, 3, 4, 5, 7, 8));
}

static const Expr *batch_dim(Gen *g)
{
    if (!rng_chance(&g->rng, 15)) return random_dim(g);
    const int64_t lo = rng_chance(&g->rng, 20) ? 0 : 1;
    return graph_symbol(&g->cx, str_fmt(g->a, "%s_N", g->prefix), lo, lo + 4);
}

static uint8_t random_shape(Gen *g, const Expr **dim)
{
    const uint8_t rank = (uint8_t)ONE_OF(&g->rng, 0, 1, 2, 2, 3, 3, 4, 4, 4, 5);
    for (uint8_t d = 0; d < rank; d++) dim[d] = d ? random_dim(g) : batch_dim(g);
    return rank;
}

static void shuffle(Rng *r, uint32_t n, const Expr **dim)
{
    for (uint32_t k = n; k > 1; k--) {
        const size_t q = rng_next(r) % k;
        const Expr *e = dim[k - 1];
        dim[k - 1] = dim[q];
        dim[q] = e;
    }
}

/* A shape that goes with that of `like`: the same, broadcast against it, one of its extents, or a mixture of them. */
static uint8_t related_shape(Gen *g, const Tensor *like, const Expr **dim)
{
    Rng *r = &g->rng;
    uint8_t rank = like->rank;
    memcpy(dim, like->dim, sizeof(Expr *) * rank);
    switch (rng_range(r, 0, 7)) {
    case 0:
    case 1: return rank;
    case 2: /* broadcast */
        for (uint8_t d = 0; d < rank; d++) dim[d] = rng_chance(r, 40) ? ex_int(g->cx.x, 1) : dim[d];
        return rank;
    case 3: /* the last extents */
        rank = (uint8_t)rng_range(r, 0, rank);
        memmove(dim, dim + like->rank - rank, sizeof(Expr *) * rank);
        return rank;
    case 4: /* one of them */
        if (!rank) return 0;
        dim[0] = dim[rank > 1 && rng_chance(r, 70) ? 1 : rng_range(r, 0, rank - 1)];
        return 1;
    case 5: shuffle(r, rank, dim); return rank;
    case 6: /* a filter: some outputs, these channels, small windows */
        for (uint8_t d = 0; d < rank; d++) dim[d] = d == 1 && rng_chance(r, 70) ? dim[d] : ex_int(g->cx.x, rng_range(r, 1, 3));
        return rank;
    default:
        for (uint8_t d = 0; d < rank; d++) dim[d] = rng_chance(r, 50) ? like->dim[rng_range(r, 0, rank - 1)] : random_dim(g);
        return rank;
    }
}

/* ---- types ---- */

static bool word_is(const char *s, size_t n, const char *word)
{
    return strlen(word) == n && memcmp(s, word, n) == 0;
}

static bool in_class(const char *s, size_t n, DType dt)
{
    static const struct { const char *name, *classes; } all[] = {{"any", "FIUBSC"}, {"num", "FIU"}, {"float", "F"}, {"int", "IU"}, {"bool", "B"}, {"str", "S"}};
    static const char letter[] = "?FIUBSC";
    for (size_t k = 0; k < COUNT(all); k++)
        if (word_is(s, n, all[k].name)) return dtype_info(dt)->cls < DC_X && strchr(all[k].classes, letter[dtype_info(dt)->cls]);
    return word_is(s, n, dtype_info(dt)->name);
}

/* Every type that "f32|i8|int" allows. */
static int allowed_types(const char *s, DType *dt)
{
    int n = 0;
    for (DType d = (DType)1; d < DT_ix; d++) {
        bool found = false;
        for (const char *p = s; !found; p += strcspn(p, "| ,") + 1) {
            const size_t len = strcspn(p, "| ,");
            found = in_class(p, len, d);
            if (p[len] != '|') break;
        }
        if (found) dt[n++] = d;
    }
    return n;
}

static const char *alternatives(const OpInfo *op, const char *var)
{
    const size_t n = strlen(var);
    for (const char *s = op->types; *s; s += strcspn(s, " ")) {
        s += strspn(s, " ");
        if (strncmp(s, var, n) == 0 && s[n] == '=') return s + n + 1;
    }
    return var;
}

/* What the row allows, and of that rather what the graph has. */
static DType choose_type(Gen *g, const OpInfo *op, const char *var)
{
    DType all[DT_count];
    const int n = allowed_types(alternatives(op, var), all);
    for (int k = 0; k < 4 && g->pool.n; k++) {
        const DType want = k && rng_chance(&g->rng, 60) ? g->main : made(g, g->pool.at[rng_next(&g->rng) % g->pool.n])->dt;
        for (int q = 0; q < n; q++)
            if (all[q] == want) return want;
    }
    return n ? all[rng_next(&g->rng) % (uint64_t)n] : DT_none;
}

static DType type_of(Proposal *p, const Operand *o)
{
    char var[8];
    snprintf(var, sizeof var, "%.*s", o->ntype, o->type);
    for (int k = 0; k < p->nbound; k++)
        if (strcmp(p->bound[k].name, var) == 0) return p->bound[k].dt;
    const DType dt = choose_type(p->g, p->op, var);
    const bool variable = alternatives(p->op, var) != var;
    if (variable && p->nbound < MAX_NAMED) {
        memcpy(p->bound[p->nbound].name, var, sizeof var);
        p->bound[p->nbound++].dt = dt;
    }
    return dt;
}

/* ---- operands ---- */

/* One that is there, of this type; the newest are the most likely, so that chains grow. id 0: there is none. */
static TensorId existing(Gen *g, DType dt)
{
    for (uint32_t k = g->pool.n; k-- > 0;)
        if (made(g, g->pool.at[k])->dt == dt && rng_chance(&g->rng, 55)) return g->pool.at[k];
    for (uint32_t k = 0; k < g->pool.n; k++)
        if (made(g, g->pool.at[k])->dt == dt) return g->pool.at[k];
    return (TensorId){0};
}

/* Integers as a shape, axes, sizes, starts or repeats would be. */
static TensorId index_const(Gen *g, DType dt, const Tensor *like)
{
    Rng *r = &g->rng;
    int64_t v[MAX_RANK] = {0};
    const uint8_t rank = like ? like->rank : 2;
    const uint32_t n = (uint32_t)(rng_chance(r, 50) ? rank : rng_chance(r, 30) ? min_i64(2 * rank, MAX_RANK) : rng_range(r, 0, 4));
    const int64_t mode = rng_range(r, 0, 4);
    for (uint32_t k = 0; k < n; k++) {
        v[k] = mode == 0 && like && k < rank && ex_is_const(like->dim[k]) ? like->dim[k]->v.i : mode <= 1 ? rng_range(r, 1, 3) : mode == 2 ? (int64_t)k : rng_range(r, -2, 4);
        if (mode == 0 && rng_chance(r, 10)) v[k] = -1;
    }
    for (uint32_t k = 1; k < n && (mode == 0 || mode == 2) && rng_chance(r, 40); k++) {
        const int64_t swap = v[k];
        v[k] = v[k - 1];
        v[k - 1] = swap;
    }
    if (n && rng_chance(r, 25)) return int_const(g, dt, 0, 1, v);
    return int_const(g, dt, 1, n, v);
}

static TensorId new_operand(Proposal *p, DType dt)
{
    Gen *g = p->g;
    const Tensor *first = p->nin && !is_none(p->in[0]) ? made(g, p->in[0]) : NULL;
    const Tensor *last = p->nin && !is_none(p->in[p->nin - 1]) ? made(g, p->in[p->nin - 1]) : first;
    const Expr *dim[MAX_RANK];
    if (first && (dt == DT_i64 || dt == DT_i32) && first->dt != dt && rng_chance(&g->rng, 80)) return index_const(g, dt, first);
    if (dt == DT_i64 && rng_chance(&g->rng, 30)) return index_const(g, dt, first);
    const uint8_t rank = first && rng_chance(&g->rng, 92) ? related_shape(g, rng_chance(&g->rng, 40) ? last : first, dim) : random_shape(g, dim);
    bool fixed = true;
    for (uint8_t d = 0; d < rank; d++) fixed &= ex_is_const(dim[d]);
    for (uint8_t d = 0; d < rank; d++)
        if (!fixed && dim[d]->op != EX_var && !ex_is_const(dim[d])) dim[d] = random_dim(g);
    return new_tensor(g, dt, rank, dim, !fixed || rng_chance(&g->rng, 30));
}

static TensorId operand(Proposal *p, const Operand *o)
{
    const DType dt = type_of(p, o);
    const TensorId id = rng_chance(&p->g->rng, p->nin ? 35 : 85) ? existing(p->g, dt) : (TensorId){0};
    return dt == DT_none || !is_none(id) ? id : new_operand(p, dt);
}

static void propose_inputs(Proposal *p)
{
    const char *s = p->op->sig;
    for (Operand o; next_operand(&s, &o);) {
        const int64_t n = o.variadic ? rng_range(&p->g->rng, 1, MAX_VARIADIC) : 1;
        for (int64_t k = 0; k < n; k++) {
            const bool absent = o.optional && rng_chance(&p->g->rng, 45);
            const TensorId id = absent ? (TensorId){0} : operand(p, &o);
            p->in[p->nin++] = id;
        }
    }
    while (p->nin && is_none(p->in[p->nin - 1])) p->nin--;
}

static void propose_outputs(Proposal *p)
{
    const char *s = strstr(p->op->sig, "->") + 2;
    for (Operand o; next_operand(&s, &o);) {
        const int64_t n = o.variadic ? rng_range(&p->g->rng, 1, MAX_VARIADIC) : 1;
        for (int64_t k = 0; k < n; k++) {
            const bool absent = o.optional && rng_chance(&p->g->rng, 60);
            p->out[p->nout++] = absent ? (TensorId){0} : graph_tensor(p->g->g, fresh(p->g, "t"));
        }
    }
    while (p->nout && is_none(p->out[p->nout - 1])) p->nout--;
}

/* ---- attributes ---- */

static int64_t int_attr(Gen *g, const char *name, const Tensor *like)
{
    Rng *r = &g->rng;
    const int64_t rank = like ? like->rank : 2;
    if (strstr(name, "axis") || strcmp(name, "batch_dims") == 0) return rng_range(r, -rank, rank);
    if (strcmp(name, "to") == 0 || strstr(name, "dtype")) return rng_chance(r, 30) ? dtype_info(g->main)->onnx : rng_range(r, 1, 26);
    if ((strcmp(name, "group") == 0 || strstr(name, "num")) && rank > 1 && ex_is_const(like->dim[1]) && rng_chance(r, 60)) return like->dim[1]->v.i;
    return ONE_OF(r, 0, 1, 1, 1, 2, 3);
}

/* Strings that models hold, by attribute; a row's default is drawn too. */
static const struct { const char *name, *value; } strings[] = {
    {"mode", "constant reflect edge wrap DCR CRD nearest linear cubic circular bilinear avg max bicubic"},
    {"auto_pad", "NOTSET SAME_UPPER SAME_LOWER VALID"},
    {"reduction", "none add mul min max sum mean"},
    {"direction", "LEFT RIGHT forward reverse bidirectional"},
    {"approximate", "none tanh"},
    {"equation", "ij,jk->ik bij,bjk->bik ij->ji ij->i ii->i ij,ij-> ...ij,...jk->...ik i,j->ij bhij,bhjk->bhik ij,kj abc->cb"},
    {"coordinate_transformation_mode", "half_pixel half_pixel_symmetric pytorch_half_pixel align_corners asymmetric tf_crop_and_resize"},
    {"nearest_mode", "round_prefer_floor round_prefer_ceil floor ceil"},
    {"keep_aspect_ratio_policy", "stretch not_larger not_smaller"},
    {"padding_mode", "zeros border reflection"},
    {"round_mode", "up down nearest"},
};

static const char *word_at(Arena *a, const char *s, uint64_t pick)
{
    uint64_t n = 1;
    for (const char *p = s; *p; p++) n += *p == ' ';
    for (pick %= n; pick; pick--) s = strchr(s, ' ') + 1;
    return str_ndup(a, s, strcspn(s, " "));
}

static const char *string_attr(Gen *g, const char *name, const char *otherwise)
{
    for (size_t k = 0; k < COUNT(strings); k++)
        if (strcmp(strings[k].name, name) == 0 && rng_chance(&g->rng, 85)) return word_at(g->a, strings[k].value, rng_next(&g->rng));
    return otherwise;
}

/* By what lists of this name mean: axes, a permutation, or numbers for each of the window's dimensions. */
static const int64_t *list_attr(Gen *g, const char *name, const Tensor *like, uint32_t *n)
{
    Rng *r = &g->rng;
    const int64_t rank = like ? like->rank : 2, window = max_i64(rank - 2, 1);
    const bool perm = strcmp(name, "perm") == 0, axes = strcmp(name, "axes") == 0, pads = strcmp(name, "pads") == 0, kernel = strstr(name, "shape") != NULL;
    int64_t *v = NEWN(g->a, int64_t, 2 * MAX_RANK);
    *n = (uint32_t)(perm ? rank : axes ? rng_range(r, 0, rank) : pads ? 2 * window : window);
    const int64_t turn = rng_range(r, 0, max_i64(rank - 1, 0));
    for (uint32_t k = 0; k < *n; k++)
        v[k] = perm || axes ? (turn + k) % max_i64(rank, 1) : pads ? rng_range(r, 0, 2) : kernel ? rng_range(r, 1, 3) : ONE_OF(r, 1, 1, 2, 3);
    if (perm && *n > 1 && rng_chance(r, 50)) {
        const int64_t swap = v[0];
        v[0] = v[*n - 1];
        v[*n - 1] = swap;
    }
    return v;
}

static void tensor_attr(Gen *g, Attr *a)
{
    const int64_t one[1] = {1};
    const DType dt = rng_chance(&g->rng, 60) ? g->main : DT_i64;
    char *data = arena_alloc(g->a, 16, 16);
    random_values(&g->rng, dt, 1, data);
    a->v.t.blob = blob_make(g->a, dt, 1, data);
    a->v.t.rank = 1;
    a->v.t.dim = arena_copy(g->a, one, sizeof one);
}

static double float_attr(Rng *r)
{
    static const double v[] = {0, 0.5, 1, 1e-5, 2, -1, 0.25};
    return v[rng_next(r) % COUNT(v)];
}

static void one_attr(Proposal *p, AttrType type, const char *name, const char *otherwise)
{
    Gen *g = p->g;
    const Tensor *like = p->nin && !is_none(p->in[0]) ? made(g, p->in[0]) : NULL;
    Attr *a = &p->attr[p->nattr++];
    *a = (Attr){.name = name, .type = type, .n = 1};
    switch (type) {
    case AT_i: a->v.i = int_attr(g, name, like); break;
    case AT_f: a->v.f = float_attr(&g->rng); break;
    case AT_s: a->v.s = string_attr(g, name, otherwise); a->n = (uint32_t)strlen(a->v.s); break;
    case AT_is: a->v.is = list_attr(g, name, like, &a->n); break;
    case AT_fs: a->v.fs = arena_copy(g->a, (const double[]){0.5}, sizeof(double)); break;
    case AT_ss: a->v.ss = arena_copy(g->a, &name, sizeof name); break;
    case AT_t: tensor_attr(g, a); break;
    default: p->nattr--; break; /* subgraphs are not made */
    }
}

static AttrType attr_type(const char *s, size_t n)
{
    static const char *const name[] = {[AT_i] = "i", [AT_f] = "f", [AT_s] = "s", [AT_t] = "t", [AT_g] = "g", [AT_is] = "is", [AT_fs] = "fs", [AT_ss] = "ss"};
    for (size_t k = AT_i; k < COUNT(name); k++)
        if (word_is(s, n, name[k])) return (AttrType)k;
    return AT_none;
}

/* "axis:i=1 mode:s=linear kernel_shape:is!" */
static void propose_attrs(Proposal *p)
{
    const int often = (int)ONE_OF(&p->g->rng, 15, 50, 80);
    for (const char *s = p->op->attrs; *(s += strspn(s, " ")); s += strcspn(s, " ")) {
        const size_t n = strcspn(s, ":");
        const char *type = s + n + 1, *end = type + strcspn(type, "=! ");
        const char *otherwise = *end == '=' ? str_ndup(p->g->a, end + 1, strcspn(end + 1, " ")) : "none";
        if ((*end == '!' || rng_chance(&p->g->rng, often)) && p->nattr < COUNT(p->attr))
            one_attr(p, attr_type(type, (size_t)(end - type)), str_ndup(p->g->a, s, n), otherwise);
    }
}

/* ---- nodes ---- */

static bool small_enough(Gen *g, const Node *n)
{
    for (uint16_t k = 0; k < n->nout; k++) {
        const Tensor *t = is_none(n->out[k]) ? NULL : made(g, n->out[k]);
        if (t && (t->rank > MAX_RANK_MADE || tensor_count(g->g, t) > MAX_ELEMENTS)) return false;
    }
    return true;
}

static void record(Gen *g)
{
    if (!g->trace) return;
    Text t = {.arena = g->a};
    graph_print(&t, g->g, 0);
    snprintf(g->trace->text, g->trace->room, "%s", text_str(&t));
}

static bool in_pool(const Gen *g, TensorId id)
{
    for (uint32_t k = 0; k < g->pool.n; k++)
        if (g->pool.at[k].i == id.i) return true;
    return false;
}

static void adopt(Gen *g, const Node *n)
{
    for (uint16_t k = 0; k < n->nin; k++) {
        if (is_none(n->in[k]) || in_pool(g, n->in[k])) continue;
        if (made(g, n->in[k])->kind == TK_INPUT) PUSH(g->a, &g->g->input, n->in[k]);
        PUSH(g->a, &g->pool, n->in[k]);
    }
    for (uint16_t k = 0; k < n->nout; k++)
        if (!is_none(n->out[k])) PUSH(g->a, &g->pool, n->out[k]);
}

static bool try_node(Gen *g, const OpInfo *op)
{
    Proposal p = {.g = g, .op = op};
    propose_inputs(&p);
    propose_attrs(&p);
    propose_outputs(&p);
    const NodeId id = graph_node(g->g, op, "", p.nin, p.in, p.nout, p.out, p.nattr, p.attr);
    record(g);
    g->diags.errors = 0;
    g->diags.list.n = 0;
    if (infer_node(g->g, id) && small_enough(g, node(g->g, id))) {
        adopt(g, node(g->g, id));
        return true;
    }
    graph_remove(g->g, id);
    g->g->order.n--;
    return false;
}

static uint32_t row_count(void)
{
    uint32_t n = 0;
    while (op_at(n)) n++;
    return n;
}

static bool wanted(const OpInfo *op, uint32_t flags)
{
    return !(op->flags & OF_RANDOM) && (!flags || (op->flags & flags));
}

/* Half of the nodes are of any row; the others are what fusion and layout work on. */
static uint32_t choose_row(Gen *g)
{
    const uint32_t n = row_count();
    const uint32_t flags = (uint32_t)ONE_OF(&g->rng, 0, 0, 0, OF_ELT, OF_ELT, OF_MAC, OF_VIEW);
    for (int k = 0; k < 1000; k++) {
        const uint32_t row = (uint32_t)(rng_next(&g->rng) % n);
        if (wanted(op_at(row), flags)) return row;
    }
    return 0;
}

static bool add_node(Gen *g, uint32_t row, int tries)
{
    for (int k = 0; k < tries; k++)
        if (try_node(g, op_at(row))) {
            if (g->accepted) g->accepted[row] = true;
            return true;
        }
    return false;
}

static void add_inputs(Gen *g)
{
    const Expr *dim[MAX_RANK];
    for (int64_t k = rng_range(&g->rng, 1, 2); k > 0; k--) {
        const TensorId id = new_tensor(g, g->main, random_shape(g, dim), dim, true);
        PUSH(g->a, &g->g->input, id);
        PUSH(g->a, &g->pool, id);
    }
}

/* Results that nobody reads, and a few others. */
static void choose_outputs(Gen *g)
{
    const uint32_t *uses = graph_uses(g->g, g->a);
    for (uint32_t k = 0; k < g->g->order.n; k++) {
        const Node *n = node(g->g, g->g->order.at[k]);
        for (uint16_t q = 0; q < n->nout; q++) {
            if (is_none(n->out[q]) || (uses[n->out[q].i] && !rng_chance(&g->rng, 10))) continue;
            PUSH(g->a, &g->g->output, n->out[q]);
        }
    }
}

const char *bare_text(Arena *a, Graph *g)
{
    for (uint32_t k = 0; k < g->order.n; k++) {
        const Node *n = node(g, g->order.at[k]);
        for (uint16_t q = 0; q < n->nout; q++) {
            if (is_none(n->out[q])) continue;
            Tensor *t = tensor(g, n->out[q]);
            t->dt = DT_none;
            t->ranked = false;
            t->value = NULL;
        }
    }
    Text t = {.arena = a};
    graph_print(&t, g, 0);
    return text_str(&t);
}

const char *random_graph(Arena *a, uint64_t seed, bool *accepted, const Trace *trace)
{
    Gen g = {.rng = rng_of(seed, "graph"), .a = a, .accepted = accepted, .trace = trace};
    g.diags = (Diags){.arena = a, .file = "random"};
    g.cx = (Ctx){.arena = a, .x = exprs_new(a), .diags = &g.diags, .symbol = {.arena = a}, .default_max = 8, .max_elements = 1 << 20};
    g.prefix = str_fmt(a, "g%llu", (unsigned long long)seed);
    g.g = graph_new(&g.cx, "random", NULL);
    DType all[DT_count];
    const int n = allowed_types("num|bool", all);
    g.main = rng_chance(&g.rng, 65) ? DT_f32 : all[rng_next(&g.rng) % (uint64_t)n];
    add_inputs(&g);
    const uint32_t first = (uint32_t)(seed % row_count());
    if (wanted(op_at(first), 0)) (void)add_node(&g, first, 5 * TRIES);
    const int64_t nodes = ONE_OF(&g.rng, 1, 2, 3, 4, 5, 6, 8, 10, MAX_NODES);
    for (int64_t k = 0; k < 2 * nodes && g.g->order.n < nodes; k++) (void)add_node(&g, choose_row(&g), TRIES / 8);
    choose_outputs(&g);
    return bare_text(a, g.g);
}

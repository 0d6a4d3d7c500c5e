/* SPDX-License-Identifier: Apache-2.0
 * The graph: store and edits, text form, verifier, operator table, inference, values, diagnostics of nodes. */
#include "ir/infer.h"

#include <stdlib.h>

#include <cmocka.h>

typedef struct Env {
    Ctx cx;
    Diags diags;
} Env;

static int setup(void **state)
{
    Env *e = calloc(1, sizeof *e);
    if (!e) return -1;
    Arena *a = arena_new(0, NULL);
    e->diags = (Diags){.arena = a, .file = "t.nn"};
    e->cx = (Ctx){.arena = a,
                  .x = exprs_new(a),
                  .diags = &e->diags,
                  .symbol = {.arena = a},
                  .default_max = 512,
                  .max_elements = 1u << 20};
    *state = e;
    return 0;
}

static int teardown(void **state)
{
    Env *e = *state;
    arena_free(e->cx.arena);
    free(e);
    return 0;
}

static const char *messages(Env *e)
{
    Text t = {.arena = e->cx.arena};
    diag_print(&e->diags, &t, "text");
    return text_str(&t);
}

static Graph *parse(Env *e, const char *text)
{
    Graph *g = graph_parse(&e->cx, text);
    if (!g) fail_msg("%s", messages(e));
    const char *what = graph_verify(e->cx.arena, g);
    if (what) fail_msg("%s", what);
    return g;
}

static Graph *infer(Env *e, const char *text)
{
    Graph *g = parse(e, text);
    if (!infer_graph(g)) fail_msg("%s", messages(e));
    const char *what = graph_verify(e->cx.arena, g);
    if (what) fail_msg("%s", what);
    return g;
}

static const char *print(Env *e, const Graph *g, int64_t inline_max)
{
    Text t = {.arena = e->cx.arena};
    graph_print(&t, g, inline_max);
    return text_str(&t);
}

static const char *last_slug(const Env *e)
{
    return e->diags.list.n ? e->diags.list.at[e->diags.list.n - 1].slug : "none";
}

static TensorId temp(Graph *g, const char *name)
{
    return graph_temp(g, name, DT_f32, 0, NULL);
}

static NodeId relu(Graph *g, TensorId in, TensorId out)
{
    return graph_node(g, op_find("", "Relu"), "", 1, &in, 1, &out, 0, NULL);
}

/* ---- store ---- */

static void test_entities_stay(void **state)
{
    Env *e = *state;
    Graph *g = graph_new(&e->cx, "g", NULL);
    enum { N = 3000 };
    Tensor *first = tensor(g, graph_tensor(g, "t0"));
    for (int k = 1; k < N; k++) assert_int_equal(graph_tensor(g, str_fmt(e->cx.arena, "t%d", k)).i, k + 1);
    assert_ptr_equal(tensor(g, graph_find(g, "t0")), first);
    for (int k = 0; k < N; k++) {
        const char *name = str_fmt(e->cx.arena, "t%d", k);
        assert_string_equal(tensor(g, graph_tensor(g, name))->name, name);
    }
    assert_int_equal(graph_ntensors(g), N + 1);
    assert_true(is_none(graph_tensor(g, "")));
    assert_true(is_none(graph_find(g, "absent")));
}

static void test_fresh_names(void **state)
{
    Env *e = *state;
    Graph *g = graph_new(&e->cx, "g", NULL);
    const TensorId a = temp(g, "x"), b = temp(g, "x"), c = temp(g, "");
    assert_string_equal(tensor(g, a)->name, "x");
    assert_string_not_equal(tensor(g, b)->name, "x");
    assert_true(tensor(g, c)->name[0]);
    assert_int_equal(graph_find(g, tensor(g, b)->name).i, b.i);
}

static void test_order(void **state)
{
    Env *e = *state;
    Graph *g = graph_new(&e->cx, "g", NULL);
    const TensorId a = temp(g, "a"), b = temp(g, "b"), c = temp(g, "c");
    const NodeId second = relu(g, b, c);
    const NodeId first = graph_node_before(g, second, op_find("", "Relu"), "", 1, &a, 1, &b, 0, NULL);
    assert_int_equal(g->order.n, 2);
    assert_int_equal(g->order.at[0].i, first.i);
    assert_int_equal(g->order.at[1].i, second.i);
    assert_int_equal(tensor(g, b)->producer.i, first.i);
}

static void test_replace_keeps_output_name(void **state)
{
    Env *e = *state;
    Graph *g = parse(e, "graph g\ninput %x f32[2]\n%a f32[2] = Relu %x\n%y f32[2] = Neg %a\n%z f32[2] = Abs %y\noutput "
                        "%y\noutput %z\n");
    const TensorId a = graph_find(g, "a"), y = graph_find(g, "y"), x = graph_find(g, "x");
    graph_replace(g, y, a);
    assert_string_equal(tensor(g, a)->name, "y");
    assert_int_equal(g->output.at[0].i, a.i);
    assert_int_equal(node(g, g->order.at[2])->in[0].i, a.i);
    graph_sweep(g);
    assert_int_equal(g->order.n, 2);
    assert_null(graph_verify(e->cx.arena, g));
    graph_replace(g, a, x); /* x keeps its own name */
    assert_string_equal(tensor(g, g->output.at[0])->name, "x");
}

static void test_sweep(void **state)
{
    Env *e = *state;
    Graph *g =
        parse(e, "graph g\ninput %x f32[2]\n%a f32[2] = Relu %x\n%b f32[2] = Neg %a\n%y f32[2] = Abs %x\noutput %y\n");
    graph_sweep(g);
    assert_int_equal(g->order.n, 1);
    assert_string_equal(node(g, g->order.at[0])->op->name, "Abs");
    const uint32_t *uses = graph_uses(g, e->cx.arena);
    assert_int_equal(uses[graph_find(g, "x").i], 1);
    assert_int_equal(uses[graph_find(g, "a").i], 0);
}

static void test_sort_is_stable(void **state)
{
    Env *e = *state;
    Graph *g = parse(e, "graph g\ninput %x f32[2]\n%c f32[2] = Relu %b\n%p f32[2] = Abs %x\n%b f32[2] = Neg %a\n%a "
                        "f32[2] = Exp %x\noutput %c\noutput %p\n");
    static const char *const want[] = {"Exp", "Neg", "Relu", "Abs"};
    assert_int_equal(g->order.n, COUNT(want));
    for (uint32_t k = 0; k < COUNT(want); k++) assert_string_equal(node(g, g->order.at[k])->op->name, want[k]);
}

static void test_deep_chain_sorts(void **state)
{
    Env *e = *state;
    Graph *g = graph_new(&e->cx, "g", NULL);
    enum { N = 50000 };
    TensorId *t = NEWN(e->cx.arena, TensorId, N + 1);
    for (int k = 0; k <= N; k++) t[k] = temp(g, str_fmt(e->cx.arena, "v%d", k));
    tensor(g, t[0])->kind = TK_INPUT;
    PUSH(e->cx.arena, &g->input, t[0]);
    for (int k = N; k > 0; k--) relu(g, t[k - 1], t[k]);
    assert_true(graph_sort(g));
    assert_int_equal(g->order.n, N);
    for (uint32_t k = 0; k < N; k++) assert_int_equal(node(g, g->order.at[k])->in[0].i, t[k].i);
}

static void test_symbols(void **state)
{
    Env *e = *state;
    const Expr *a = graph_symbol(&e->cx, "batch size*2", 1, 0), *b = graph_symbol(&e->cx, "batch_size 2", 1, 8);
    assert_ptr_equal(graph_symbol(&e->cx, "batch size*2", 5, 5), a);
    assert_ptr_not_equal(a, b);
    assert_string_equal(ex_var_info(e->cx.x, a)->name, "batch_size_2");
    assert_string_not_equal(ex_var_info(e->cx.x, b)->name, "batch_size_2");
    assert_int_equal(ex_upper(e->cx.x, a), 512);
    assert_int_equal(ex_upper(e->cx.x, b), 8);
    assert_string_equal(ex_var_info(e->cx.x, graph_symbol(&e->cx, "3d", 1, 0))->name, "n3d");
}

static void test_blob(void **state)
{
    Env *e = *state;
    const int16_t mixed[] = {-3, 7, 7}, same[] = {7, 7, 7};
    int16_t out[2];
    const Blob *m = blob_make(e->cx.arena, DT_i16, 3, mixed), *s = blob_make(e->cx.arena, DT_i16, 3, same);
    assert_false(m->fill);
    assert_true(s->fill);
    assert_int_equal(blob_i(m, 0), -3);
    assert_int_equal(blob_i(s, 2), 7);
    assert_true(blob_f(m, 0) == -3.0);
    blob_get(m, 0, 2, out);
    assert_int_equal(out[0], -3);
    blob_get(s, 1, 2, out);
    assert_int_equal(out[1], 7);
    const float whole[] = {1.5f, 0};
    char raw[9] = {0};
    memcpy(raw + 1, whole, sizeof whole);
    const Blob view = {.dt = DT_f32, .count = 2, .data = raw + 1}; /* unaligned, as in a mapped file */
    assert_true(blob_f(&view, 0) == 1.5);
    assert_false(blob_make(e->cx.arena, DT_i16, 0, mixed)->fill);
}

typedef struct Doubling {
    Recipe r;
    int calls;
} Doubling;

/* out[k] = 2*from[k] */
static void make_double(const Recipe *r, const char *from, int64_t first, int64_t n, char *out)
{
    ((Doubling *)(uintptr_t)r)->calls++;
    assert_int_equal(first % r->unit, 0);
    assert_int_equal(n % r->unit, 0);
    for (int64_t k = 0; k < n; k++) {
        int32_t v;
        memcpy(&v, from + (size_t)(first + k) * sizeof v, sizeof v);
        v *= 2;
        memcpy(out + (size_t)k * sizeof v, &v, sizeof v);
    }
}

typedef struct Pieces {
    Text all;
    size_t largest;
} Pieces;

static void take_piece(void *ctx, const void *p, size_t n)
{
    Pieces *to = ctx;
    text_put(&to->all, p, n);
    to->largest = n > to->largest ? n : to->largest;
}

static const Blob *doubled(Arena *a, const Blob *from, int64_t unit, Doubling *d)
{
    *d = (Doubling){.r = {.arena = a, .from = from, .unit = unit, .make = make_double}};
    return blob_made(a, DT_i32, from->count, &d->r);
}

/* Elements of a recipe of a recipe, one by one, in ranges that cut units, all, and in pieces. */
static void test_recipe(void **state)
{
    Env *e = *state;
    enum { N = 300000 };
    int32_t *v = NEWN(e->cx.arena, int32_t, N), range[5];
    for (int k = 0; k < N; k++) v[k] = k - 1000;
    Doubling once, twice;
    const Blob *b = doubled(e->cx.arena, blob_view(e->cx.arena, DT_i32, N, v), 1, &once);
    const Blob *c = doubled(e->cx.arena, b, 3, &twice);
    assert_int_equal(blob_i(b, 7), 2 * v[7]);
    assert_true(blob_f(c, N - 1) == 4.0 * v[N - 1]);
    blob_get(c, 4, 5, range);
    for (int k = 0; k < 5; k++) assert_int_equal(range[k], 4 * v[4 + k]);
    Pieces out = {.all = {.arena = e->cx.arena}};
    const size_t used = arena_used(e->cx.arena);
    twice.calls = 0;
    blob_put(c, e->cx.arena, &(Sink){take_piece, &out});
    assert_true(twice.calls > 1 && out.largest < sizeof *v * N / 2);
    assert_int_equal(out.all.n, sizeof *v * N);
    const int32_t *held = blob_held(c, e->cx.arena)->data;
    assert_memory_equal(out.all.at, held, out.all.n);
    assert_true(arena_used(e->cx.arena) < used + 6 * sizeof *v * N); /* the text, as it grew, and what is held */
    for (int k = 0; k < N; k++) assert_int_equal(held[k], 4 * v[k]);
}

/* ---- text ---- */

static const char everything[] =
    "graph \"a model\"\n"
    "sym N 1..64\n"
    "input %x f32[N,3,4]\n"
    "input %\"odd name\\x0A\\\"\" i64[2]\n"
    "const %w f32[2,2] (1.0, -0.5, 0.1, inf)\n"
    "const %h f16[2] (65504.0, nan)\n"
    "const %u u64[1] (18446744073709551615)\n"
    "const %s str[2] (\"a\\\\b\", \"\")\n"
    "const %z f32[3,4] (fill 0.0)\n"
    "%y f32[N,3,4] = Add %x %z @/layer.0/add\n"
    "%c ? = Clip %y _ %x\n"
    "%v i64[3] <N,3,4> = Shape %x {start=0}\n"
    "%q f32[?,2], _ = Split %c %\"odd name\\x0A\\\"\" {axis=-1} @\"two words\"\n"
    "%k f32 = Constant {value=f32[2] (1.0, 2.0), value_float=1e+30, value_floats=[0.5,-3.0], value_ints=[1,-2], "
    "value_string=\"\\x00\", value_strings=[\"p\",\"q\"]}\n"
    "%i f32[2] = If %x {body=graph inner {\n"
    "    input %p f32[2]\n"
    "    %r f32[2] = Add %p %w\n"
    "    output %r\n"
    "}}\n"
    "%o f32[2*N,4] = Relu %h\n"
    "%o2 f32[2] = Concat %w %u %s\n"
    "output %y\n"
    "output %x\n";

static void test_text_round_trip(void **state)
{
    Env *e = *state;
    const char *text = everything;
    if (!op_find("", "If")) { /* any operator may carry a graph in text */
        const char *at = strstr(text, "= If");
        text = str_fmt(e->cx.arena, "%.*s= Abs%s", (int)(at - text), text, at + 4);
    }
    const char *once = print(e, parse(e, text), 0);
    assert_string_equal(once, text);
}

static void test_text_elided(void **state)
{
    Env *e = *state;
    Graph *g = parse(e, "graph g\nconst %w f32[3] (1.0, 2.0, 3.0)\n%y f32[3] = Relu %w\noutput %y\n");
    const char *text = print(e, g, 2);
    assert_non_null(strstr(text, "const %w f32[3] (...#"));
    assert_string_equal(text, print(e, g, 2));
    assert_null(graph_parse(&e->cx, text));
    assert_string_equal(last_slug(e), "text-elided");
}

static void test_text_errors(void **state)
{
    static const struct {
        const char *text, *slug;
    } cases[] = {
        {"", "text"},
        {"graph", "text"},
        {"graph g\ninput %x f32[2", "text"},
        {"graph g\ninput %x f99[2]\n", "text"},
        {"graph g\ninput %x ix[2]\n", "text"},
        {"graph g\ninput %x f32[-1]\n", "text"},
        {"graph g\ninput %x f32[1.5f32]\n", "text"},
        {"graph g\ninput %x f32[2] f32\n", "text"},
        {"graph g\ninput %x f32[1,1,1,1,1,1,1,1,1,1,1,1,1]\n", "text"},
        {"graph g\ninput %x f32[2]\ninput %x f32[2]\n", "name-twice"},
        {"graph g\ninput %x f32[2]\n%y f32[2], %y f32[2] = Split %x\n", "name-twice"},
        {"graph g\nconst %w i8[1] (128)\n", "text"},
        {"graph g\nconst %w i8[2] (1)\n", "text"},
        {"graph g\nconst %w i8[1] (1, 2)\n", "text"},
        {"graph g\nconst %w i8[1000000000000] (1)\n", "text"},
        {"graph g\nconst %w i8[65536,65536,65536,65536] (1)\n", "text"},
        {"graph g\nconst %w i8[100000] (1)\n", "text"},
        {"graph g\nconst %w ?[1] (1)\n", "text"},
        {"graph g\nconst %w str[1] (\"abc)\n", "text"},
        {"graph g\nconst %w str[1] (\"\\q\")\n", "text"},
        {"graph g\nsym N 5..2\n", "text"},
        {"graph g\nsym N 1..2 times 1 as n\n", "text"},
        {"graph g\nsym N 1..2 times 4\n", "text"},
        {"graph g\nsym N 1..4611686018427387904 times 2 as n\n", "text"},
        {"graph g\nsym N 1..2 times 4 as n\nsym M 1..2 times 3 as n\n", "text"},
        {"graph g\n%y f32[2] = Nope %x\n", "operator-unsupported"},
        {"graph g\n%y f32[2] = some.domain:Relu %x\n", "operator-unsupported"},
        {"graph g\n%y f32[2] = Relu %x\noutput %y\n", "name-undefined"},
        {"graph g\n%a f32[2] = Relu %b\n%b f32[2] = Relu %a\noutput %b\n", "graph-cycle"},
        {"graph g\n%a f32[2] = Relu %a\noutput %a\n", "graph-cycle"},
        {"graph g\ninput %x f32[2]\n%y f32[2] = Relu %x {a=}\n", "text"},
        {"graph g\ninput %x f32[2]\n%y f32[2] = Relu %x {a=[1,}\n", "text"},
        {"graph g\ninput %x f32[2]\n%y f32[2] = Relu %x {a=graph b {\n", "text"},
        {"graph g\ninput %x i64[2] <1>\n", "text"},
        {"graph g\ninput %x i64[N] <1>\n", "text"},
    };
    (void)state;
    for (size_t k = 0; k < COUNT(cases); k++) {
        void *env;
        setup(&env);
        Env *e = env;
        if (graph_parse(&e->cx, cases[k].text)) fail_msg("case %zu parses: %s", k, cases[k].text);
        if (strcmp(last_slug(e), cases[k].slug)) fail_msg("case %zu gives %s", k, messages(e));
        teardown(&env);
    }
}

static void test_text_nesting_is_bounded(void **state)
{
    Env *e = *state;
    Text t = {.arena = e->cx.arena};
    text_add(&t, "graph g\n");
    for (int k = 0; k < 10000; k++) text_add(&t, "%%y f32[2] = Relu {a=graph g {\n");
    assert_null(graph_parse(&e->cx, text_str(&t)));
    assert_string_equal(last_slug(e), "text");
}

static void test_captures(void **state)
{
    Env *e = *state;
    Graph *g = parse(e, "graph g\ninput %x f32[2]\n%a f32[2] = Neg %x\n%b f32[2] = Exp %x\n"
                        "%y f32[2] = Relu %x {body=graph inner {\n%r f32[2] = Abs %a\n%q f32[2] = Add %r %b\noutput "
                        "%q\n}}\noutput %y\n");
    const TensorId a = graph_find(g, "a"), b = graph_find(g, "b");
    assert_int_equal(graph_uses(g, e->cx.arena)[a.i], 1);
    graph_sweep(g);
    assert_int_equal(g->order.n, 3);
    graph_replace(g, a, b);
    graph_sweep(g);
    assert_int_equal(g->order.n, 2);
    assert_non_null(strstr(print(e, g, 0), "Abs %b"));
    assert_null(graph_verify(e->cx.arena, g));
}

/* ---- verifier ---- */

static void break_kind(Graph *g)
{
    tensor(g, graph_find(g, "x"))->kind = TK_ACT;
}
static void break_data(Graph *g)
{
    tensor(g, graph_find(g, "w"))->data = NULL;
}
static void break_shape(Graph *g)
{
    tensor(g, graph_find(g, "w"))->dim[0] = ex_int(g->cx->x, 3);
}
static void break_type(Graph *g)
{
    tensor(g, graph_find(g, "w"))->dt = DT_i32;
}
static void break_dim(Graph *g)
{
    tensor(g, graph_find(g, "a"))->dim[0] = ex_var(g->cx->x, VK_INDEX, DT_ix, "i", 0, 3);
}
static void break_producer(Graph *g)
{
    tensor(g, graph_find(g, "a"))->producer = g->order.at[1];
}
static void break_name(Graph *g)
{
    tensor(g, graph_find(g, "a"))->name = "x";
}
static void break_rank(Graph *g)
{
    tensor(g, graph_find(g, "a"))->rank = MAX_RANK + 1;
}
static void break_output(Graph *g)
{
    g->output.at[0].i = 0;
}
static void break_op(Graph *g)
{
    node(g, g->order.at[0])->op = NULL;
}
static void break_order(Graph *g)
{
    const NodeId n = g->order.at[0];
    g->order.at[0] = g->order.at[1];
    g->order.at[1] = n;
}

static void test_verify(void **state)
{
    static void (*const breakages[])(Graph *) = {
        break_kind, break_data, break_shape,  break_type, break_dim,   break_producer,
        break_name, break_rank, break_output, break_op,   break_order,
    };
    (void)state;
    for (size_t k = 0; k < COUNT(breakages); k++) {
        void *env;
        setup(&env);
        Env *e = env;
        Graph *g = parse(e, "graph g\ninput %x f32[2]\nconst %w f32[2] (1.0, 2.0)\n%a f32[2] = Add %x %w\n%y f32[2] = "
                            "Relu %a\noutput %y\n");
        breakages[k](g);
        if (!graph_verify(e->cx.arena, g)) fail_msg("breakage %zu is not found", k);
        teardown(&env);
    }
}

/* ---- operators ---- */

static void test_op_rows(void **state)
{
    Env *e = *state;
    for (uint32_t k = 0; op_at(k); k++) {
        const OpInfo *op = op_at(k);
        assert_ptr_equal(op_find(op->domain, op->name), op); /* no row twice */
        int n = 0;
        Operand o;
        for (const char *s = op->sig, *after; (after = s, next_operand(&after, &o)) || (n < 100 && strstr(s, "->"));
             s = after, n++) {
            if (after == s) {
                after = strstr(s, "->") + 2;
                continue;
            }
            if (!o.nname || !o.ntype) fail_msg("%s: operand %d of '%s'", op->name, n, op->sig);
        }
        Graph *g = graph_new(&e->cx, "g", NULL);
        const TensorId out = temp(g, "y");
        const Attr bogus = {.name = "no such attribute", .type = AT_i};
        OpCtx c = {.cx = &e->cx, .g = g, .x = e->cx.x, .a = e->cx.arena};
        c.id = graph_node(g, op, "", 0, NULL, 1, &out, 1, &bogus);
        c.n = node(g, c.id);
        assert_false(check_attrs(&c)); /* reads the whole schema */
        assert_string_equal(last_slug(e), k < 20 ? "attribute-unknown" : last_slug(e));
    }
    assert_null(op_find("", "NoSuchOperator"));
    assert_null(op_find("no.domain", "Relu"));
    assert_ptr_equal(op_find("ai.onnx", "Relu"), op_find("", "Relu"));
}

/* ---- inference ---- */

static void test_infer_errors(void **state)
{
    static const struct {
        const char *line, *slug;
    } cases[] = {
        {"%y ? = Add %x", "operand-count"},
        {"%y ? = Relu %x %x", "operand-count"},
        {"%y ?, %z ? = Relu %x", "operand-count"},
        {"%y ? = Relu _", "operand-missing"},
        {"%y ? = Relu %s", "operand-type"},
        {"%y ? = Add %x %i", "operand-types"},
        {"%y ? = Relu %x {alpha=1.0}", "attribute-unknown"},
        {"%y ? = Concat %x %x {axis=1.0}", "attribute-type"},
        {"%y ? = Concat %x %x {axis=0, axis=1}", "attribute-twice"},
        {"%y ? = Concat %x %x", "attribute-missing"},
        {"%y ? = Concat %x %x {axis=2}", "axis"},
        {"%y ? = Add %x %w", "broadcast"},
        {"%y ? = Add %x %m", "broadcast"},
        {"%y i32 = Relu %x", "type-mismatch"},
        {"%y f32[N,3] = Relu %w", "shape-mismatch"},
        {"%y f32[5] = Relu %w", "shape-mismatch"},
        {"%y f32[600,4] = Relu %x", "shape-mismatch"},
        {"%y ? = Reshape %x %i", "value-unknown"},
        {"%y ? = Expand %w %big", "tensor-too-large"},
    };
    (void)state;
    for (size_t k = 0; k < COUNT(cases); k++) {
        void *env;
        setup(&env);
        Env *e = env;
        Graph *g =
            parse(e, str_fmt(e->cx.arena,
                             "graph g\ninput %%x f32[N,4]\ninput %%m f32[M,4]\ninput %%w f32[3]\ninput %%i i64[2]\n"
                             "input %%s str[2]\nconst %%big i64[3] (100000, 100000, 3)\n%s\noutput %%y\n",
                             cases[k].line));
        if (infer_graph(g)) fail_msg("%s: no error", cases[k].line);
        if (strcmp(last_slug(e), cases[k].slug)) fail_msg("%s: %s", cases[k].line, messages(e));
        assert_int_equal(e->diags.errors, 1);
        teardown(&env);
    }
}

static void test_errors_do_not_cascade(void **state)
{
    Env *e = *state;
    Graph *g = parse(e, "graph g\ninput %x f32[2]\ninput %w f32[3]\n%a f32[2] = Add %x %w\n%b ? = Relu %a\n%c ? = Add "
                        "%w %x\noutput %b\noutput %c\n");
    assert_false(infer_graph(g));
    assert_int_equal(e->diags.errors, 2);
}

static void test_unnamed_results(void **state)
{
    Env *e = *state;
    Graph *g = infer(
        e, "graph g\ninput %x f32[2,4]\ninput %w f32[4]\n_, %m ? = LayerNormalization %x %w {axis=-1}\noutput %m\n");
    assert_string_equal(print(e, g, 0), "graph g\ninput %x f32[2,4]\ninput %w f32[4]\n"
                                        "%Y f32[2,4], %m f32[2,1] = LayerNormalization %x %w {axis=-1}\noutput %m\n");
}

static void test_inputs_need_shapes(void **state)
{
    Env *e = *state;
    Graph *g = parse(e, "graph g\ninput %x f32\ninput %z f32[?]\n%y ? = Add %x %z\noutput %y\n");
    assert_false(infer_graph(g));
    assert_int_equal(e->diags.errors, 2);
    assert_string_equal(last_slug(e), "input-shape");
}

static void test_capture_is_bound(void **state)
{
    Env *e = *state;
    Graph *g = parse(e, "graph g\ninput %x f32[2]\nconst %w f32[1] (2.0)\n%y f32[2] = Relu %x {body=graph inner {\n%r "
                        "? = Mul %x %w\noutput %r\n}}\noutput %y\n");
    Graph *inner = node(g, g->order.at[0])->attr[0].v.g;
    assert_true(infer_graph(inner));
    assert_string_equal(print(e, inner, 0), "graph inner\nconst %w f32[1] (2.0)\n%r f32[2] = Mul %x %w\noutput %r\n");
}

/* What inference finds for %y of the lines given, as text. */
static const char *found(Env *e, const char *lines)
{
    Graph *g = infer(
        e, str_fmt(e->cx.arena, "graph g\nsym N 1..64\nsym M 2..64\ninput %%x f32[N,M,6]\n%s\noutput %%y\n", lines));
    int32_t mark;
    const NodeId n = tensor(g, graph_find(g, "y"))->producer;
    const char *line = node_line(e->cx.arena, g, n, &mark, NO_OPERAND);
    return str_ndup(e->cx.arena, line, (size_t)(strstr(line, " = ") - line));
}

static const struct {
    const char *lines, *want;
} value_cases[] = {
    {"%y ? = Shape %x", "%y i64[3] <N,M,6>"},
    {"%y ? = Shape %x {start=1}", "%y i64[2] <M,6>"},
    {"%y ? = Size %x", "%y i64[] <6*(N*M)>"},
    {"%s ? = Shape %x\nconst %k i64[1] (-1)\n%y ? = Gather %s %k", "%y i64[1] <6>"},
    {"%s ? = Shape %x\nconst %k i64[] (1)\n%g ? = Gather %s %k\nconst %two i64[] (2)\n%y ? = Mul %g %two",
     "%y i64[] <2*M>"},
    {"%s ? = Shape %x\nconst %k i64[] (1)\n%g ? = Gather %s %k\nconst %two i64[] (2)\n%y ? = Div %g %two",
     "%y i64[] <fdiv(M, 2)>"},
    {"%s ? = Shape %x\n%f ? = Cast %s {to=1}\nconst %h f32[] (2.0)\n%m ? = Mul %f %h\n%c ? = Floor %m\n%y ? = Cast %c "
     "{to=7}",
     "%y i64[3] <2*N,2*M,12>"},
    {"%s ? = Shape %x\nconst %m i64[] (-1)\n%e ? = Equal %s %m\nconst %o i64[3] (1, 1, 1)\n%y ? = Where %e %o %s",
     "%y i64[3] <N,M,6>"},
    {"%s ? = Shape %x\nconst %a i64[1] (0)\nconst %b i64[1] (9223372036854775807)\n%t ? = Slice %s %a %b\n%y ? = "
     "Concat %t %b {axis=0}",
     "%y i64[4] <N,M,6,9223372036854775807>"},
    {"%s ? = Shape %x\n%y ? = ReduceProd %s {keepdims=0}", "%y i64[] <6*(N*M)>"},
    {"%s ? = Shape %x\nconst %i i64[1] (1)\nconst %u i64[1] (7)\n%y ? = ScatterElements %s %i %u", "%y i64[3] <N,7,6>"},
    {"const %a i64[] (0)\nconst %b i64[] (5)\nconst %d i64[] (2)\n%y ? = Range %a %b %d", "%y i64[3] <0,2,4>"},
    {"%s ? = Shape %x\nconst %a i64[] (0)\n%c ? = CumSum %s %a\n%y ? = Identity %c", "%y i64[3] <N,N + M,N + M + 6>"},
    {"const %k i64[2] (3, 4)\n%y ? = Cast %k {to=9}", "%y bool[2] <1,1>"},
    {"const %k i64[2] (-1, 6)\n%y ? = Reshape %x %k", "%y f32[N*M,6]"},
    {"%y ? = Relu %x", "%y f32[N,M,6]"},
    {"%y ? = Cast %x {to=7}", "%y i64[N,M,6]"},
};

static void test_values(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(value_cases); k++) {
        void *env;
        setup(&env);
        const char *got = found(env, value_cases[k].lines);
        if (strcmp(got, value_cases[k].want)) fail_msg("case %zu: %s, not %s", k, got, value_cases[k].want);
        teardown(&env);
    }
}

/* Inference over symbols, the symbols then replaced by numbers, is inference over the numbers. */
static void test_values_agree_with_numbers(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(value_cases); k++) {
        void *env;
        setup(&env);
        Env *e = env;
        Exprs *x = e->cx.x;
        Graph *g =
            infer(e, str_fmt(e->cx.arena, "graph g\nsym N 1..64\nsym M 2..64\ninput %%x f32[N,M,6]\n%s\noutput %%y\n",
                             value_cases[k].lines));
        Graph *h =
            infer(e, str_fmt(e->cx.arena, "graph h\ninput %%x f32[7,11,6]\n%s\noutput %%y\n", value_cases[k].lines));
        const Subst s[] = {{graph_symbol(&e->cx, "N", 1, 0), ex_int(x, 7)},
                           {graph_symbol(&e->cx, "M", 1, 0), ex_int(x, 11)}};
        const Tensor *a = tensor(g, graph_find(g, "y")), *b = tensor(h, graph_find(h, "y"));
        assert_int_equal(a->rank, b->rank);
        for (uint8_t d = 0; d < a->rank; d++) assert_ptr_equal(ex_subst(x, a->dim[d], s, 2), b->dim[d]);
        assert_true(!a->value == !b->value);
        for (int64_t i = 0; a->value && i < tensor_count(g, a); i++)
            assert_ptr_equal(ex_subst(x, a->value[i], s, 2), b->value[i]);
        teardown(&env);
    }
}

static void test_infer_again(void **state)
{
    Env *e = *state;
    Graph *g = infer(e, "graph g\ninput %x f32[8,2]\ninput %c bool[8]\n%n ? = Compress %x %c {axis=0}\n%y ? = "
                        "Transpose %n\noutput %y\n");
    const char *once = print(e, g, 0);
    assert_true(infer_graph(g));
    assert_string_equal(print(e, g, 0), once);
}

static void test_declared_extent_decides(void **state)
{
    Env *e = *state;
    Graph *g =
        infer(e, "graph g\ninput %x f32[2,8]\ninput %c bool[8]\n%y f32[2,5] = Compress %x %c {axis=1}\noutput %y\n");
    assert_true(ex_is_int(tensor(g, graph_find(g, "y"))->dim[1], 5));
}

static void test_node_diagnostic(void **state)
{
    Env *e = *state;
    Graph *g =
        parse(e, "graph net\ninput %x f32[2]\nconst %w f32[3] (fill 1.0)\n%y ? = Add %x %w @block/add\noutput %y\n");
    assert_false(infer_graph(g));
    assert_string_equal(messages(e), "t.nn: error: Add 'block/add': dimension 0 of 'w' is 3, that of 'x' is 2; they "
                                     "must be equal or one of them 1 [broadcast]\n"
                                     "  %y f32 = Add %x %w\n"
                                     "                  ^~ f32[3]\n"
                                     "  note: node 0 of graph 'net'; 'w' is an initializer\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_entities_stay),
        TEST(test_fresh_names),
        TEST(test_order),
        TEST(test_replace_keeps_output_name),
        TEST(test_sweep),
        TEST(test_sort_is_stable),
        TEST(test_deep_chain_sorts),
        TEST(test_symbols),
        TEST(test_blob),
        TEST(test_recipe),
        TEST(test_text_round_trip),
        TEST(test_text_elided),
        TEST(test_text_errors),
        TEST(test_text_nesting_is_bounded),
        TEST(test_captures),
        TEST(test_verify),
        TEST(test_op_rows),
        TEST(test_infer_errors),
        TEST(test_errors_do_not_cascade),
        TEST(test_unnamed_results),
        TEST(test_inputs_need_shapes),
        TEST(test_capture_is_bound),
        TEST(test_values),
        TEST(test_values_agree_with_numbers),
        TEST(test_infer_again),
        TEST(test_declared_extent_decides),
        TEST(test_node_diagnostic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

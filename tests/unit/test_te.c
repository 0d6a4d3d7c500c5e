/* SPDX-License-Identifier: Apache-2.0
 * Tensor expressions: lowering (ir/lower.c, ir/op/elt, shape, move), verifier, text form, called functions. */
#include "context.h"
#include "ir/call.h"
#include "ir/op.h"

static const char *printed(const Te *t)
{
    Text out = {.arena = arena};
    te_print(&out, t, 0);
    return text_str(&out);
}

/* ---- lowering: graph text to stage text ---- */

typedef struct Case {
    const char *graph, *te;
} Case;

static Te *lowered(const char *graph)
{
    Graph *g = graph_parse(&cx, str_fmt(arena, "graph g\n%s", graph));
    Te *t = g && infer_graph(g) ? te_lower(&cx, g) : NULL;
    if (!t) fail_msg("%s", problems());
    const char *error = te_verify(arena, t);
    if (error) fail_msg("%s\n%s", error, printed(t));
    return t;
}

static const Case lowerings[] = {
    /* rows: broadcasting, literals, attributes, narrow types, comparison */
    {"input %x f32[2,3]\ninput %y f32[3]\n%z ? = Add %x %y\noutput %z\n",
     "input 0 %x f32[2,3]\ninput 1 %y f32[3]\n%z f32[i:2,j:3] = %x[i,j] + %y[j]\noutput 0 %z\n"},
    {"input %x f32[4]\n%z ? = LeakyRelu %x {alpha=0.5}\noutput %z\n",
     "input 0 %x f32[4]\n%z f32[i:4] = select(lt(%x[i], 0f32), 0.5f32*%x[i], %x[i])\noutput 0 %z\n"},
    {"input %x u8[4]\n%z ? = Add %x %x\noutput %z\n",
     "input 0 %x u8[4]\n%z u8[i:4] = u8(i32(%x[i]) + i32(%x[i]))\noutput 0 %z\n"},
    {"input %x i32[1]\ninput %y i32[5]\n%z ? = Less %x %y\noutput %z\n",
     "input 0 %x i32[1]\ninput 1 %y i32[5]\n%z bool[i:5] = lt(%x[0], %y[i])\noutput 0 %z\n"},
    /* variadic rows */
    {"input %x f32[2]\n%z ? = Mean %x %x %x\noutput %z\n",
     "input 0 %x f32[2]\n%z f32[i:2] = (%x[i] + %x[i] + %x[i])/3f32\noutput 0 %z\n"},
    {"input %x f32[2]\n%z ? = Sum %x\noutput %z\n", "input 0 %x f32[2]\n%z f32[i:2] = %x[i]\noutput 0 %z\n"},
    /* constants at constant places and fills become literals */
    {"input %x f32[3]\nconst %lo f32[] (0.0)\n%z ? = Clip %x %lo\noutput %z\n",
     "input 0 %x f32[3]\nconst %lo f32[] (0.0)\n%z f32[i:3] = max(%x[i], 0f32)\noutput 0 %z\n"},
    {"input %x f32[3]\nconst %k f32[3] (fill 2.0)\n%z ? = Mul %x %k\noutput %z\n",
     "input 0 %x f32[3]\nconst %k f32[3] (fill 2.0)\n%z f32[i:3] = %x[i]*2f32\noutput 0 %z\n"},
    {"input %x f32[3]\nconst %k f32[] (2.0)\n%z ? = Pow %x %k\noutput %z\n",
     "input 0 %x f32[3]\nconst %k f32[] (2.0)\n%z f32[i:3] = %x[i]*%x[i]\noutput 0 %z\n"},
    /* reshapes: groups of equal size are split apart, div and mod only where factors do not divide */
    {"sym N 1..64\ninput %x f32[N,4,6]\nconst %s i64[3] (0, 2, -1)\n%z ? = Reshape %x %s\noutput %z\n",
     "sym N 1..64\ninput 0 %x f32[N,4,6]\n%z f32[i:N,j:2,k:12] = %x[i,2*j+fdiv(k,6),mod(k,6)]\noutput 0 %z\n"},
    {"sym N 1..64\ninput %x f32[N,8]\nconst %s i64[3] (-1, 2, 4)\n%z ? = Reshape %x %s\noutput %z\n",
     "sym N 1..64\ninput 0 %x f32[N,8]\n%z f32[i:N,j:2,k:4] = %x[i,4*j+k]\noutput 0 %z\n"},
    {"sym H 1..30 times 8 as height\ninput %x f32[8*H,3]\nconst %s i64[3] (-1, 4, 3)\n%z ? = Reshape %x %s\noutput %z\n",
     "sym H 1..30 times 8 as height\ninput 0 %x f32[8*H,3]\n%z f32[i:2*H,j:4,k:3] = %x[4*i+j,k]\noutput 0 %z\n"},
    {"sym N 1..64\ninput %x f32[N,1,5]\n%z ? = Squeeze %x\noutput %z\n",
     "sym N 1..64\ninput 0 %x f32[N,1,5]\n%z f32[i:N,j:5] = %x[i,0,j]\noutput 0 %z\n"},
    {"input %x f32[2,3,4]\n%z ? = Flatten %x {axis=2}\noutput %z\n",
     "input 0 %x f32[2,3,4]\n%z f32[i:6,j:4] = %x[fdiv(i,3),mod(i,3),j]\noutput 0 %z\n"},
    /* views */
    {"input %x f32[2,3,4]\n%z ? = Transpose %x {perm=[2,0,1]}\noutput %z\n",
     "input 0 %x f32[2,3,4]\n%z f32[i:4,j:2,k:3] = %x[j,k,i]\noutput 0 %z\n"},
    {"input %x f32[10]\nconst %b i64[1] (-1)\nconst %e i64[1] (-11)\nconst %a i64[1] (0)\nconst %t i64[1] (-2)\n%z ? = "
     "Slice %x %b %e %a %t\noutput %z\n",
     "input 0 %x f32[10]\n%z f32[i:5] = %x[-2*i+9]\noutput 0 %z\n"},
    {"input %x f32[3]\ninput %y f32[2]\n%z ? = Concat %x %y {axis=0}\noutput %z\n",
     "input 0 %x f32[3]\ninput 1 %y f32[2]\n%z f32[i:5] = select(lt(i, 3), %x[i], %y[i-3])\noutput 0 %z\n"},
    {"input %x f32[7]\n%y ?, %z ? = Split %x {num_outputs=2}\noutput %y\noutput %z\n",
     "input 0 %x f32[7]\n%y f32[i:4] = %x[i]\n%z f32[i:3] = %x[i+4]\noutput 0 %y\noutput 1 %z\n"},
    {"input %x f32[4]\nconst %p i64[2] (1, 2)\n%z ? = Pad %x %p\noutput %z\n",
     "input 0 %x f32[4]\n%z f32[i:7] = %x[i-1 | 0f32]\noutput 0 %z\n"},
    {"sym N 1..64\ninput %x f32[N,3]\n%s ? = Shape %x\n%z ? = Expand %o %s\nconst %o f32[1] (1.0)\noutput %z\n",
     "sym N 1..64\ninput 0 %x f32[N,3]\nconst %o f32[1] (1.0)\n%s i64[i:2] = i64(select(eq(i, 0), N, 3))\n%z "
     "f32[i:N,j:3] = 1f32\noutput 0 %z\n"},
    /* indices that are data */
    {"input %x f32[5]\ninput %k i64[2]\n%z ? = Gather %x %k\noutput %z\n",
     "input 0 %x f32[5]\ninput 1 %k i64[2]\n"
     "%z f32[i:2] = %x[max(min(select(lt(ix(%k[i]),0),ix(%k[i])+5,ix(%k[i])),4),0)]\noutput 0 %z\n"},
    {"input %x f32[5]\ninput %k i64[2]\ninput %u f32[2]\n%z ? = ScatterElements %x %k %u {reduction=\"add\"}\noutput "
     "%z\n",
     "input 0 %x f32[5]\ninput 1 %k i64[2]\ninput 2 %u f32[2]\n"
     "%z f32[i:5] = %x[i]; for(r:2) %z[select(lt(ix(%k[r]), 0), ix(%k[r]) + 5, ix(%k[r]))] += %u[r]\noutput 0 %z\n"},
    {"input %x f32[5]\ninput %c bool[5]\n%z ? = Compress %x %c\noutput %z\n",
     "sym compress_0 0..5\ninput 0 %x f32[5]\ninput 1 %c bool[5]\n%z.places i64[compress_0] = call compress(%c; 5; "
     "compress_0)\n"
     "%z f32[i:compress_0] = %x[max(min(ix(%z.places[i]),4),0)]\noutput 0 %z\n"},
    /* outputs without a stage of their own */
    {"input %x f32[2]\noutput %x\n", "input 0 %x f32[2]\n%x.1 f32[i:2] = %x[i]\noutput 0 %x.1\n"},
};

static void test_lowering(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(lowerings); k++) {
        setup(state);
        assert_string_equal(printed(lowered(lowerings[k].graph)), lowerings[k].te);
        teardown(state);
    }
}

/* ---- reshape_index ---- */

typedef struct Shape {
    int n;
    int64_t dim[5];
} Shape;

static int64_t count(const Shape *s)
{
    int64_t n = 1;
    for (int k = 0; k < s->n; k++) n *= s->dim[k];
    return n;
}

/* Row-major position of an index whose expressions are constants after the substitution. */
static int64_t position(const Shape *s, const Expr *const *i, const Subst *at, uint32_t n)
{
    int64_t p = 0;
    for (int k = 0; k < s->n; k++) {
        const Expr *e = ex_subst(cx.x, i[k], at, n);
        assert_true(ex_is_const(e) && e->v.i >= 0 && e->v.i < s->dim[k]);
        p = p * s->dim[k] + e->v.i;
    }
    return p;
}

static void check_reshape(OpCtx *c, const Shape *to, const Shape *from)
{
    const Expr *dto[5], *dfrom[5], *i[MAX_RANK], *j[MAX_RANK];
    Subst at[5];
    for (int k = 0; k < to->n; k++) dto[k] = ex_int(cx.x, to->dim[k]);
    for (int k = 0; k < from->n; k++) dfrom[k] = ex_int(cx.x, from->dim[k]);
    vars_for(c, "ijklm", to->n, dto, i);
    reshape_index(c, to->n, dto, i, from->n, dfrom, j);
    for (int64_t p = 0; p < count(to); p++) {
        int64_t rest = p;
        for (int k = to->n - 1; k >= 0; k--) {
            at[k] = (Subst){i[k], ex_int(cx.x, rest % to->dim[k])};
            rest /= to->dim[k];
        }
        assert_int_equal(position(from, j, at, (uint32_t)to->n), p);
    }
}

/* Every element keeps its row-major position, whatever the shapes. */
static void test_reshape_index(void **state)
{
    static const Shape shapes[] = {
        {1, {60}},       {2, {6, 10}},      {2, {10, 6}},       {2, {15, 4}},         {3, {3, 4, 5}},
        {3, {5, 4, 3}},  {4, {2, 2, 3, 5}}, {4, {1, 60, 1, 1}}, {5, {5, 1, 2, 3, 2}}, {5, {2, 3, 1, 1, 10}},
        {3, {12, 1, 5}},
    };
    (void)state;
    OpCtx c = {.cx = &cx, .x = cx.x, .a = arena, .te = te_new(&cx, NULL)};
    for (size_t k = 0; k < COUNT(shapes); k++) {
        for (size_t m = 0; m < COUNT(shapes); m++) check_reshape(&c, &shapes[k], &shapes[m]);
    }
}

/* ---- guarded loads ---- */

/* A guard stays only where the index can leave the tensor. */
static void test_load_pad(void **state)
{
    (void)state;
    OpCtx c = {.cx = &cx, .x = cx.x, .a = arena, .te = te_new(&cx, NULL)};
    const Expr *n = graph_symbol(&cx, "N", 1, 8), *dim[1] = {n}, *i[1], *fill = ex_const_f(cx.x, DT_f32, 0);
    const Expr *outs[1] = {ex_sub(cx.x, n, ex_int(cx.x, 2))};
    const uint32_t t = te_tensor(c.te, "x", DT_f32, TEN_input, 1, dim);
    const Expr *r = red_var(&c, "r", ex_int(cx.x, 3));
    vars_for(&c, "i", 1, outs, i);
    const Expr *at = ex_add(cx.x, i[0], r), *before = ex_sub(cx.x, at, ex_int(cx.x, 1)),
               *behind = ex_add(cx.x, at, ex_int(cx.x, 1));
    assert_int_equal(load_pad(&c, t, &at, fill)->op, EX_load);
    assert_int_equal(load_pad(&c, t, &before, fill)->op, EX_loadp);
    assert_int_equal(load_pad(&c, t, &behind, fill)->op, EX_loadp);
}

/* ---- what inference refuses ---- */

static const struct {
    const char *graph, *slug;
} refusals[] = {
    {"input %x f32[2,3]\nconst %s i64[1] (5)\n%z ? = Reshape %x %s\noutput %z\n", "reshape-size"},
    {"input %x f32[2,3]\nconst %s i64[2] (4, -1)\n%z ? = Reshape %x %s\noutput %z\n", "reshape-size"},
    {"input %x f32[2,3]\nconst %s i64[2] (-1, -1)\n%z ? = Reshape %x %s\noutput %z\n", "reshape-target"},
    {"input %x f32[2,3]\nconst %s i64[2] (-2, 3)\n%z ? = Reshape %x %s\noutput %z\n", "reshape-target"},
    {"input %x f32[0,3]\nconst %s i64[2] (0, -1)\n%z ? = Reshape %x %s\noutput %z\n", "reshape-size"},
    {"input %x f32[2]\nconst %s i64[3] (4294967296, 4294967296, -1)\n%z ? = Reshape %x %s\noutput %z\n",
     "reshape-size"},
    {"input %x f32[2,3]\n%z ? = Flatten %x {axis=3}\noutput %z\n", "axis"},
    {"input %x f32[2,3]\n%z ? = Transpose %x {perm=[0,0]}\noutput %z\n", "transpose-perm"},
    {"input %x f32[2,3]\n%z ? = Transpose %x {perm=[0]}\noutput %z\n", "transpose-perm"},
    {"input %x f32[2,3]\nconst %a i64[1] (0)\n%z ? = Squeeze %x %a\noutput %z\n", "squeeze-extent"},
    {"input %x f32[2]\nconst %a i64[12] (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)\n%z ? = Unsqueeze %x %a\noutput %z\n",
     "rank"},
    {"input %x f32[2]\nconst %s i64[1] (3)\n%z ? = Expand %x %s\noutput %z\n", "broadcast"},
    {"input %x f32[2]\ninput %s i64[1]\n%z ? = Expand %x %s\noutput %z\n", "value-unknown"},
    {"const %s i64[1] (1099511627776)\n%z ? = ConstantOfShape %s\noutput %z\n", "tensor-too-large"},
    {"const %s i64[1] (-1)\n%z ? = ConstantOfShape %s\noutput %z\n", "dimension-negative"},
    {"const %a i64[] (0)\nconst %b i64[] (9)\nconst %d i64[] (0)\n%z ? = Range %a %b %d\noutput %z\n", "range-delta"},
    {"input %x f32[1,6,2,2]\n%z ? = DepthToSpace %x {blocksize=2}\noutput %z\n", "block-extent"},
    {"input %x f32[1,4,2,2]\n%z ? = DepthToSpace %x {blocksize=0}\noutput %z\n", "block-size"},
    {"input %x f32[1,4,3,2]\n%z ? = SpaceToDepth %x {blocksize=2}\noutput %z\n", "block-extent"},
    {"input %x f32[2,3]\ninput %y f32[2,4]\n%z ? = Concat %x %y {axis=0}\noutput %z\n", "concat-extent"},
    {"input %x f32[6]\nconst %s i64[2] (2, 3)\n%y ?, %z ? = Split %x %s\noutput %z\n", "split-sum"},
    {"input %x f32[6]\n%y ?, %z ? = Split %x {num_outputs=3}\noutput %z\n", "split-outputs"},
    {"input %x f32[6]\nconst %b i64[1] (0)\nconst %e i64[1] (3)\nconst %a i64[1] (0)\nconst %t i64[1] (0)\n%z ? = "
     "Slice %x %b %e %a %t\noutput %z\n",
     "slice-step"},
    {"input %x f32[6]\nconst %b i64[1] (0)\nconst %e i64[2] (3, 4)\n%z ? = Slice %x %b %e\noutput %z\n",
     "element-count"},
    {"input %x f32[6]\nconst %p i64[2] (1, 1)\n%z ? = Pad %x %p {mode=\"mirror\"}\noutput %z\n", "attribute-value"},
    {"input %x f32[2]\nconst %p i64[2] (-3, 1)\n%z ? = Pad %x %p {mode=\"edge\"}\noutput %z\n", "pad-empty"},
    {"input %x f32[2]\nconst %p i64[2] (9223372036854775807, 1)\n%z ? = Pad %x %p\noutput %z\n", "pad-size"},
    {"input %x f32[2]\nconst %r i64[1] (-2)\n%z ? = Tile %x %r\noutput %z\n", "tile-repeats"},
    {"input %x f32[0]\ninput %k i64[2]\n%z ? = Gather %x %k\noutput %z\n", "gather-empty"},
    {"input %x f32[2,3]\ninput %k i64[2,5]\n%z ? = GatherElements %x %k\noutput %z\n", "index-extent"},
    {"input %x f32[2,3]\ninput %k i64[2,3]\n%z ? = GatherND %x %k\noutput %z\n", "index-tuple"},
    {"input %x f32[2]\ninput %k i64[1]\ninput %u f32[2]\n%z ? = ScatterElements %x %k %u\noutput %z\n",
     "scatter-updates"},
    {"input %x bool[2]\ninput %k i64[1]\ninput %u bool[1]\n%z ? = ScatterElements %x %k %u {reduction=\"add\"}\noutput "
     "%z\n",
     "unsupported-scatter-type"},
    {"input %x i64[2]\nconst %d i64[] (-4)\ninput %v f32[2]\n%z ? = OneHot %x %d %v\noutput %z\n",
     "dimension-negative"},
    {"input %x f32[2,3]\ninput %l i64[4]\n%z ? = ReverseSequence %x %l\noutput %z\n", "sequence-lens"},
    {"input %x f32[2]\n%z ? = Cast %x {to=99}\noutput %z\n", "cast-type"},
    {"input %x f32[2]\n%z ? = Cast %x {to=0}\noutput %z\n", "cast-type"},
    {"%z ? = Constant\noutput %z\n", "constant-value"},
    {"%z ? = Constant {value=f32[1,1,1,1,1,1,1,1,1,1,1,1] (0.0), value_int=3}\noutput %z\n", "constant-value"},
    {"input %x f32[2]\n%z ? = Cast %x {to=8}\noutput %z\n", "unsupported-string-cast"},
    {"input %x f32[2]\n%z ? = BitCast %x {to=11}\noutput %z\n", "bitcast-width"},
    {"input %x f32[2]\ninput %s f32[3,2]\n%z ? = PRelu %x %s\noutput %z\n", "broadcast"},
    {"input %x f32[2]\nconst %r f32[] (0.5)\nconst %t bool[] (1)\n%z ? = Dropout %x %r %t\noutput %z\n",
     "unsupported-training"},
    {"input %x u8[2]\n%z ? = BitShift %x %x {direction=\"UP\"}\noutput %z\n", "attribute-value"},
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(refusals); k++) {
        setup(state);
        Graph *g = graph_parse(&cx, str_fmt(arena, "graph g\n%s", refusals[k].graph));
        if (!g) fail_msg("%s", problems());
        if (infer_graph(g)) fail_msg("accepted: %s", refusals[k].graph);
        assert_int_equal(diags.errors, 1);
        assert_string_equal(diags.list.at[0].slug, refusals[k].slug);
        teardown(state);
    }
}

/* ---- text ---- */

static const char every_form[] = "sym N 1..512\n"
                                 "sym M 0..8\n"
                                 "input 0 %x f32[N,3,8]\n"
                                 "const %w f32[8] (1.5, -2.0, 0.1, 1e-10, inf, nan, -0.0, 3.0)\n"
                                 "const %v i64[2,2] (fill 9223372036854775807)\n"
                                 "const %u c64[1] (1.0 -2.0)\n"
                                 "const %s str[2] (\"a\\\"b\", \"\\x0A\")\n"
                                 "%y f32[i:N,j:3] = sum(r:8) %x[i,j,r] * %w[r]\n"
                                 "%m f16[i:N] = f16(max(f32(f16(%y[i,0])), 0f32))\n"
                                 "%c f32[i:N,j:3] = scan prod(i) %y[i,j]\n"
                                 "%a f32[] = min(r:N,q:2 * N) %y[r,mod(q, 3)]\n"
                                 "%t f32[i:4,j:2] = 0f32; for(r:4) %t[r,-1] max= %w[r]\n"
                                 "%b bool[i:N] = lt(%a[], %y[i,1])\n"
                                 "%p i64[M] = call compress(%b; N; M)\n"
                                 "%z f32[i:M] = %y[max(min(ix(%p[i]), N - 1), 0),0]\n"
                                 "output 0 %z\n"
                                 "output 1 %c\n";

static void test_text_round_trip(void **state)
{
    (void)state;
    Te *t = te_parse(&cx, every_form);
    if (!t) fail_msg("%s", problems());
    assert_null(te_verify(arena, t));
    const char *first = printed(t);
    Te *u = te_parse(&cx, first);
    assert_non_null(u);
    assert_string_equal(printed(u), first);
    assert_int_equal(u->stage.n, 8);
    assert_non_null(strstr(first, "(1.5, -2.0, 0.1, 1e-10, inf, nan, -0.0, 3.0)"));
    assert_non_null(strstr(first, "scan prod(i) %y[i,j]"));
}

/* Two variables of one name, or of a symbol's name, are told apart. */
static void test_text_names(void **state)
{
    (void)state;
    Te *t = te_new(&cx, NULL);
    const Expr *n = graph_symbol(&cx, "i", 1, 4), *dim[2] = {n, n};
    const uint32_t id = te_tensor(t, "a b/c", DT_i64, TEN_stage, 2, dim),
                   other = te_tensor(t, "a_b_c", DT_f32, TEN_input, 0, NULL);
    assert_string_equal(ten(t, id)->name, "a_b_c");
    assert_string_equal(ten(t, other)->name, "a_b_c.1");
    Stage s = {.kind = ST_map, .out = id};
    for (int k = 0; k < 2; k++) s.var[k] = ex_var(cx.x, VK_INDEX, DT_ix, "i", 0, 3);
    s.body = ex_cast(cx.x, DT_i64, ex_sub(cx.x, s.var[0], ex_mul(cx.x, s.var[1], n)));
    te_stage(t, &s);
    const char *first = printed(t);
    assert_non_null(strstr(first, "%a_b_c i64[i2:i,i3:i] = "));
    Te *u = te_parse(&cx, first);
    if (!u) fail_msg("%s", problems());
    assert_string_equal(printed(u), first);
}

static const char *const bad_texts[] = {
    "%y f32[i:4] = %x[i]\n",                      /* not known */
    "input 0 %x f32[4]\n%y f32[i:4] = %x[i,0]\n", /* rank */
    "input 0 %x f32[4]\ninput 1 %x f32[4]\n",     /* twice */
    "input 0 %x f99[4]\n",
    "input 0 %x f32[4\n",
    "input 0 %x f32[-4]\n",
    "input %x f32[4]\n",
    "const %w f32[2] (1)\n",
    "const %w i8[1] (128)\n",
    "const %w f32[4] (...#0123456789abcdef)\n",
    "sym N 4..1\n",
    "output 0 %x\n",
    "input 0 %x f32[4]\n%y f32[i:4] = %x[i] %x[i]\n",
    "input 0 %x f32[4]\n%y f32[i:4] = scan sum(j) %x[i]\n",
    "input 0 %x f32[4]\n%y f32[i:4] = %x[i]; for(r:2) %x[r] += %x[r]\n",
    "input 0 %x f32[4]\n%y f32[i:4] = %x[i]; for(r:2) %y[r,r] += %x[r]\n",
    "input 0 %x bool[4]\n%y i64[4] = call nothing(%x; 4; 4)\n",
    "input 0 %x bool[4]\n%y i64[4] = call compress(%x; 4, 4; 4)\n",
    "blah\n",
};

static void test_text_errors(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(bad_texts); k++) {
        setup(state);
        if (te_parse(&cx, bad_texts[k])) fail_msg("parsed: %s", bad_texts[k]);
        assert_int_equal(diags.errors, 1);
        assert_non_null(strstr(diags.list.at[0].subject, "line "));
        teardown(state);
    }
}

/* ---- verifier ---- */

static Te *sound(void)
{
    Te *t = te_parse(&cx, every_form);
    assert_non_null(t);
    assert_null(te_verify(arena, t));
    return t;
}

static void break_order(Te *t)
{
    Stage *s = t->stage.at[0];
    t->stage.at[0] = t->stage.at[1];
    t->stage.at[1] = s;
    ten(t, t->stage.at[0]->out)->stage = 0;
    ten(t, t->stage.at[1]->out)->stage = 1;
}

static void break_name(Te *t)
{
    ten(t, 2)->name = ten(t, 1)->name;
}
static void break_type(Te *t)
{
    ten(t, t->stage.at[1]->out)->dt = DT_f32;
}
static void break_data(Te *t)
{
    ten(t, 2)->data = NULL;
}
static void break_stage(Te *t)
{
    ten(t, t->stage.at[0]->out)->stage = 3;
}
static void break_var(Te *t)
{
    t->stage.at[0]->var[1] = t->stage.at[0]->var[0];
}
static void break_scope(Te *t)
{
    t->stage.at[1]->body = t->stage.at[0]->body;
}
static void break_extent(Te *t)
{
    t->stage.at[0]->rext[0] = ex_int(cx.x, 9);
}
static void break_axis(Te *t)
{
    t->stage.at[2]->axis = 2;
}
static void break_op(Te *t)
{
    t->stage.at[3]->op = RED_none;
}
static void break_target(Te *t)
{
    t->stage.at[4]->at[0] = t->stage.at[4]->var[0];
}
static void break_call(Te *t)
{
    t->stage.at[6]->narg = 0;
}
static void break_result(Te *t)
{
    t->stage.at[6]->result[0] = ex_add(cx.x, t->stage.at[6]->result[0], ex_int(cx.x, 1));
}
static void break_dim(Te *t)
{
    ten(t, 1)->dim[1] = t->stage.at[0]->var[0];
}

static void break_bounds(Te *t)
{
    const Expr *i[3] = {t->stage.at[0]->var[0], ex_int(cx.x, 3), ex_int(cx.x, 0)};
    t->stage.at[0]->body = ex_load(cx.x, DT_f32, 1, 3, i);
}

static void test_verify(void **state)
{
    static void (*const breaks[])(Te *) = {
        break_order, break_name, break_type,   break_data, break_stage,  break_var, break_scope,  break_extent,
        break_axis,  break_op,   break_target, break_call, break_result, break_dim, break_bounds,
    };
    (void)state;
    for (size_t k = 0; k < COUNT(breaks); k++) {
        setup(state);
        Te *t = sound();
        breaks[k](t);
        if (!te_verify(arena, t)) fail_msg("defect %zu is not found", k);
        teardown(state);
    }
}

/* ---- called functions ---- */

static void test_call_table(void **state)
{
    (void)state;
    for (uint32_t k = 0; call_at(k); k++) {
        const CallInfo *f = call_at(k);
        assert_ptr_equal(call_find(f->name), f);
        assert_int_equal(f->nresult, strlen(f->result) == 0 ? 0 : (strlen(f->result) + 1) / 4);
        for (int r = 0; r < f->nresult; r++) {
            assert_true(f->result[4 * r] >= '0' && f->result[4 * r] < '0' + f->nout);
            assert_int_equal(f->result[4 * r + 1], '.');
        }
        assert_non_null(f->fn);
    }
    assert_null(call_find("nothing"));
}

static mlcc_tensor vector(DType dt, void *data, int64_t n)
{
    return (mlcc_tensor){.data = data, .dtype = dtype_info(dt)->onnx, .rank = 1, .dim = {n}};
}

static void test_compress(void **state)
{
    (void)state;
    uint8_t on[] = {0, 1, 1, 0, 1, 1};
    int64_t at[4] = {-1, -1, -1, -1}, extent = 5;
    const mlcc_tensor in = vector(DT_bool, on, 6);
    mlcc_tensor out = vector(DT_i64, at, 4);
    call_find("compress")->fn(&in, &out, &extent, NULL);
    assert_int_equal(out.dim[0], 3);
    assert_memory_equal(at, ((int64_t[]){1, 2, 4, 0}), sizeof at);
    out.dim[0] = 2;
    call_find("compress")->fn(&in, &out, &extent, NULL);
    assert_int_equal(out.dim[0], 2);
}

static int64_t steps(DType dt, void *start, void *limit, void *delta)
{
    const mlcc_tensor in[3] = {vector(dt, start, 1), vector(dt, limit, 1), vector(dt, delta, 1)};
    mlcc_tensor out = vector(DT_u8, NULL, 1000);
    call_find("range_count")->fn(in, &out, NULL, NULL);
    return out.dim[0];
}

static void test_range_count(void **state)
{
    (void)state;
    static const struct {
        int64_t start, limit, delta, n;
    } whole[] = {
        {0, 10, 3, 4},
        {0, 9, 3, 3},
        {10, 4, -2, 3},
        {10, 3, -2, 4},
        {0, 10, -1, 0},
        {10, 0, 1, 0},
        {0, 10, 0, 0},
        {5, 5, 1, 0},
        {INT64_MIN, INT64_MAX, INT64_MAX, 3},
        {INT64_MAX, INT64_MIN, INT64_MIN, 2},
        {INT64_MIN, INT64_MAX, 1, 1001}, /* one more than there is room for */
    };
    static const struct {
        float start, limit, delta;
        int64_t n;
    } real[] = {
        {0, 1, 0.25f, 4}, {0, 1.1f, 0.25f, 5}, {1, 0, -0.5f, 2}, {0, 1, 0, 0}, {0, 1, -1, 0}, {0, 1, 1e-30f, 1001},
    };
    for (size_t k = 0; k < COUNT(whole); k++) {
        int64_t v[3] = {whole[k].start, whole[k].limit, whole[k].delta};
        assert_int_equal(steps(DT_i64, &v[0], &v[1], &v[2]), whole[k].n);
    }
    for (size_t k = 0; k < COUNT(real); k++) {
        float v[3] = {real[k].start, real[k].limit, real[k].delta};
        assert_int_equal(steps(DT_f32, &v[0], &v[1], &v[2]), real[k].n);
    }
    int16_t h[3] = {-3, 4, 2};
    assert_int_equal(steps(DT_i16, &h[0], &h[1], &h[2]), 4);
    int8_t b[9] = {-3, -1, -1, 4, -1, -1, 2, -1, -1}; /* one per byte: what lies behind is not read */
    assert_int_equal(steps(DT_i4, &b[0], &b[3], &b[6]), 4);
    assert_int_equal(steps(DT_i2, &b[0], &b[3], &b[6]), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lowering),
        cmocka_unit_test_setup_teardown(test_reshape_index, setup, teardown),
        cmocka_unit_test_setup_teardown(test_load_pad, setup, teardown),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test_setup_teardown(test_text_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_text_names, setup, teardown),
        cmocka_unit_test(test_text_errors),
        cmocka_unit_test(test_verify),
        cmocka_unit_test_setup_teardown(test_call_table, setup, teardown),
        cmocka_unit_test(test_compress),
        cmocka_unit_test(test_range_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Rewriting: the rows are well formed, patterns match what they say, every rule keeps the laws on graphs on which it
 * fires (rule_case.h), and rules that never end are caught. test_rules_integer.c has the cases of the integer pass.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rule_case.h"

static const Rule *const sets[] = {rules_algebra, rules_fuse, rules_layout};
static const Rule *const all_sets[] = {rules_algebra, rules_fuse, rules_layout, rules_integer, rules_integer_real};

/* ---- patterns ---- */

static bool matches(const char *text, const char *pattern, Match *m)
{
    Graph *g = parsed(text);
    Program p = program(g);
    Rw rw = {.p = &p, .g = g, .a = arena};
    const uint32_t *uses = graph_uses(g, arena);
    for (uint32_t t = 0; t < graph_ntensors(g); t++) PUSH(arena, &rw.uses, uses[t]);
    return rule_matches(&rw, pattern, g->order.at[g->order.n - 1], m);
}

static void patterns_match(void **state)
{
    (void)state;
    static const struct {
        const char *graph, *pattern;
        bool want;
    } row[] = {
        {"input %a f32[2]\ninput %b f32[2]\n%y ? = Add %a %b\noutput %y\n", "(Add x y)", true},
        {"input %a f32[2]\ninput %b f32[2]\n%y ? = Add %a %b\noutput %y\n", "(Add x x)", false},
        {"input %a f32[2]\n%y ? = Add %a %a\noutput %y\n", "(Add x x)", true},
        {"input %a f32[2]\ninput %b f32[2]\n%y ? = Add %a %b\noutput %y\n", "(Add x #y)", false},
        {"input %a f32[2]\nconst %b f32[2] (1, 2)\n%y ? = Add %a %b\noutput %y\n", "(Add x #y)", true},
        {"input %a f32[2]\ninput %b f32[2]\n%y ? = Add %a %b\noutput %y\n", "(Sub x y)", false},
        {"input %a f32[2]\ninput %b f32[2]\n%y ? = Add %a %b\noutput %y\n", "(Add x)", false},
        {"input %a f32[2]\n%y ? = Clip %a\noutput %y\n", "(Clip x)", true},
        {"input %a f32[2]\n%y ? = Clip %a\noutput %y\n", "(Clip x y)", false},
        {"input %a f32[2]\n%y ? = Clip %a\noutput %y\n", "(Clip x #?l ?h)", true},
        {"input %a f32[2]\n%y ? = Clip %a\noutput %y\n", "(Clip x _ _)", true},
        {"input %a f32[2]\nconst %l f32[] (1)\n%y ? = Clip %a %l\noutput %y\n", "(Clip x #?l #?h)", true},
        {"input %a f32[2]\n%t ? = Relu %a\n%y ? = Exp %t\noutput %y\n", "(Exp (Relu! x))", true},
        {"input %a f32[2]\n%t ? = Relu %a\n%y ? = Exp %t\noutput %t\noutput %y\n", "(Exp (Relu! x))", false},
        {"input %a f32[2]\n%t ? = Relu %a\n%y ? = Exp %t\noutput %t\noutput %y\n", "(Exp (Relu:R x))", true},
        {"input %a f32[2]\n%t ? = Relu %a\n%y ? = Add %t %t\noutput %y\n", "(Add (Relu x) (Relu x))", true},
        {"input %a f32[2]\n%t ? = com.microsoft:Gelu %a\n%y ? = Exp %t\noutput %y\n", "(Exp (Gelu x))", false},
    };
    for (size_t k = 0; k < COUNT(row); k++) {
        Match m;
        if (matches(row[k].graph, row[k].pattern, &m) != row[k].want)
            fail_msg("%s on\n%s", row[k].pattern, row[k].graph);
    }
}

static void captures_name_tensors_and_nodes(void **state)
{
    (void)state;
    Match m;
    assert_true(matches("input %a f32[2]\n%t ? = Relu %a\n%y ? = Exp %t\noutput %y\n", "(Exp (Relu:R x))", &m));
    assert_true(m.t['x'].i != 0);
    assert_true(m.n['R'].i != 0 && m.n['R'].i != m.root.i);
    assert_int_equal(m.t['y'].i, 0);
}

/* ---- rows ---- */

static void rows_are_well_formed(void **state)
{
    (void)state;
    for (size_t s = 0; s < COUNT(all_sets); s++)
        for (const Rule *r = all_sets[s]; r->name; r++) {
            const char *why = rule_check(arena, r);
            if (why) fail_msg("%s: %s", r->name, why);
        }
}

static void bad_rows_are_found(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "Add x y", "(Ad x y)", "(Add x y", "(Add x y) z", "(Add (Relu x y)", "(Relu x y)", "(Relu (Add x y z))"};
    for (size_t k = 0; k < COUNT(bad); k++) {
        const Rule r = {"bad", bad[k], NULL};
        if (!rule_check(arena, &r)) fail_msg("'%s' was taken", bad[k]);
    }
}

static void names_are_unique(void **state)
{
    (void)state;
    Map seen = {.arena = arena};
    for (size_t s = 0; s < COUNT(all_sets); s++)
        for (const Rule *r = all_sets[s]; r->name; r++)
            if ((*map_str(&seen, r->name, true))++) fail_msg("two rules are called %s", r->name);
}

/* ---- values ---- */

#define NHWC "const %s f32[] (0.5)\nconst %z i8[] (3)\ninput %x f32[2,2,3,2]\n%t ? = Transpose %x {perm=[0,2,3,1]}\n"
#define BACK "%y ? = Transpose %e {perm=[0,3,1,2]}\noutput %y\n"
#define CONV                                                                                                           \
    "input %x f32[1,2,3,3]\nconst %w f32[2,2,2,2] (1, 2, -1, 0.5, 0.25, 3, -2, 1, 1, 1, 0.5, -0.75, 2, -1, 0.125, "    \
    "1)\nconst %b f32[2] (0.5, -1.5)\n"                                                                                \
    "const %c f32[2,1,1] (1.5, -0.75)\n%t ? = Conv %x %w %b\n"
#define NORM                                                                                                           \
    "const %s f32[2] (1.5, -0.5)\nconst %o f32[2] (0.25, 1)\nconst %m f32[2] (0.5, -0.5)\nconst %v f32[2] (1, 2.5)\n"
#define DENSE "input %x f32[2,3]\nconst %w f32[3,2] (1, 2, -1, 0.5, 0.25, 3)\nconst %b f32[2] (0.5, -1.5)\n"

static const Case cases[] = {
    {"identity", 0, "input %x f32[3]\n%t ? = Identity %x\n%y ? = Exp %t\noutput %y\n"},
    {"dropout", 0, "input %x f32[3]\n%t ? = Dropout %x\n%y ? = Exp %t\noutput %y\n"},
    {"dropout-ratio", 0, "input %x f32[3]\nconst %r f32[] (0.5)\n%t ? = Dropout %x %r\n%y ? = Exp %t\noutput %y\n"},
    {"cast-same", 0, "input %x f32[3]\n%t ? = Cast %x {to=1}\n%y ? = Exp %t\noutput %y\n"},
    {"add-right", 0, "input %x f32[3]\nconst %c f32[3] (1, 2, 3)\n%y ? = Add %c %x\noutput %y\n"},
    {"mul-right", 0, "input %x f32[3]\nconst %c f32[3] (1, 2, 3)\n%y ? = Mul %c %x\noutput %y\n"},
    {"mul-one", 0, "input %x f32[3]\nconst %c f32[] (1)\n%t ? = Mul %x %c\n%y ? = Neg %t\noutput %y\n"},
    {"div-one", 0, "input %x f32[3]\nconst %c f32[3] (fill 1)\n%t ? = Div %x %c\n%y ? = Neg %t\noutput %y\n"},
    {"sub-zero", 0, "input %x f32[3]\nconst %c f32[] (0)\n%t ? = Sub %x %c\n%y ? = Neg %t\noutput %y\n"},
    {"add-zero", 0, "input %x f32[9]\nconst %c f32[] (-0.0)\n%t ? = Add %x %c\n%y ? = Neg %t\noutput %y\n"},
    {"div-exact", 0, "input %x f32[3]\nconst %c f32[3] (2, -0.5, 1024)\n%y ? = Div %x %c\noutput %y\n"},
    {"relu-relu", 0, "input %x f32[20]\n%t ? = Relu %x\n%y ? = Relu %t\noutput %y\n"},
    {"clip-relu", 0,
     "input %x f32[20]\nconst %l f32[] (-1)\nconst %h f32[] (2)\n%t ? = Relu %x\n%y ? = Clip %t %l %h\noutput %y\n"},
    {"relu-clip", 0,
     "input %x f32[20]\nconst %l f32[] (-1)\nconst %h f32[] (2)\n%t ? = Clip %x %l %h\n%y ? = Relu %t\noutput %y\n"},
    {"clip-clip", 0,
     "input %x f32[20]\nconst %a f32[] (-1)\nconst %b f32[] (0.5)\nconst %h f32[] (2)\n%t ? = Clip %x %a %b\n%y ? = "
     "Clip %t _ %h\noutput %y\n"},
    {"clip-clip", 0,
     "input %x f32[40]\nconst %b f32[] (-0.5)\nconst %l f32[] (0.25)\nconst %h f32[] (0.125)\n%t ? = Clip %x _ %b\n%u "
     "? = Clip %t %l\n%y ? = Clip %u %h\noutput %y\n"},
    {"conv-bn", 1e-5, CONV NORM "%y ? = BatchNormalization %t %s %o %m %v\noutput %y\n"},
    {"conv-add", 1e-5, CONV "%y ? = Add %t %c\noutput %y\n"},
    {"conv-mul", 1e-5, CONV "%y ? = Mul %t %c\noutput %y\n"},
    {"conv-sub", 1e-5, CONV "%y ? = Sub %t %c\noutput %y\n"},
    {"conv-div", 1e-5, CONV "%y ? = Div %t %c\noutput %y\n"},
    {"gemm-bn", 1e-5,
     "input %x f32[2,3]\nconst %w f32[2,3] (1, 2, -1, 0.5, 0.25, 3)\nconst %b f32[2] (0.5, -1.5)\n" NORM
     "%t ? = Gemm %x %w %b {transB=1, alpha=0.5, beta=2.0}\n%y ? = BatchNormalization %t %s %o %m %v\noutput %y\n"},
    {"matmul-bn", 1e-5, DENSE NORM "%t ? = MatMul %x %w\n%y ? = BatchNormalization %t %s %o %m %v\noutput %y\n"},
    {"matmul-add", 0, DENSE "%t ? = MatMul %x %w\n%y ? = Add %t %b\noutput %y\n"},
    {"transpose-transpose", 0,
     "input %x f32[2,3,4]\n%t ? = Transpose %x {perm=[1,2,0]}\n%y ? = Transpose %t {perm=[0,2,1]}\noutput %y\n"},
    {"reshape-reshape", 0,
     "input %x f32[2,6]\nconst %p i64[2] (3, 4)\nconst %q i64[3] (2, 2, 3)\n%t ? = Reshape %x %p\n%y ? = Reshape %t "
     "%q\noutput %y\n"},
    {"transpose-reshape", 0,
     "input %x f32[1,4,1,3]\nconst %q i64[2] (2, 6)\n%t ? = Transpose %x {perm=[2,1,3,0]}\n%y ? = Reshape %t %q\n"
     "output %y\n"},
    {"transpose-elementwise", 0, NHWC "%e ? = Relu %t\n" BACK},
    {"transpose-elementwise", 0, NHWC "%e ? = LeakyRelu %t {alpha=0.25}\n" BACK},
    {"transpose-elementwise", 0, NHWC "%e ? = Sigmoid %t\n" BACK},
    {"transpose-elementwise", 0, NHWC "%e ? = Tanh %t\n" BACK},
    {"transpose-elementwise", 0, NHWC "%e ? = HardSwish %t\n" BACK},
    {"transpose-elementwise", 0, NHWC "%e ? = Clip %t %s\n" BACK},
    {"transpose-elementwise", 0, NHWC "%e ? = QuantizeLinear %t %s %z\n" BACK},
    {"transpose-elementwise", 0,
     "const %s f32[] (0.5)\nconst %z i8[] (3)\ninput %x i8[2,2,3,2]\n%t ? = Transpose %x {perm=[0,2,3,1]}\n%e ? = "
     "DequantizeLinear %t %s %z\n" BACK},
    {"transpose-elementwise", 0, NHWC "const %c f32[2] (1.5, -0.75)\n%e ? = Add %t %c\n" BACK},
    {"transpose-elementwise", 0, NHWC "%e ? = Mul %t %s\n" BACK},
    {"transpose-elementwise", 0,
     NHWC "input %x2 f32[2,2,3,2]\n%u ? = Transpose %x2 {perm=[0,2,3,1]}\n%e ? = Add %t %u\n" BACK},
    {"transpose-elementwise", 0,
     NHWC "input %x2 f32[2,2,3,2]\n%u ? = Transpose %x2 {perm=[0,2,3,1]}\n%e ? = Mul %t %u\n" BACK},
    {"transpose-elementwise", 0,
     NHWC "input %x2 f32[2,2,3,1]\nconst %c f32[2] (1.5, -0.75)\n%u ? = Transpose %x2 {perm=[0,2,3,1]}\n%a ? = Add %t "
          "%u\n%b ? = Sub %c %a\n"
          "%r ? = Relu %b\n%f ? = QuantizeLinear %r %s %z\n%d ? = DequantizeLinear %f %s %z\n%g ? = Sigmoid %t\n%e ? = "
          "Mul %d %g\n" BACK},
    {"pad-conv", 0,
     "input %x f32[1,1,3,4]\nconst %p i64[8] (0, 0, 1, 0, 0, 0, 2, 1)\nconst %w f32[1,1,2,2] (1, 2, -1, 0.5)\n%t ? = "
     "Pad %x %p\n"
     "%y ? = Conv %t %w {pads=[0,1,0,1], strides=[2,1]}\noutput %y\n"},
    {"pad-average", 0,
     "input %x f32[1,2,3,4]\nconst %p i64[8] (0, 0, 1, 0, 0, 0, 2, 1)\n%t ? = Pad %x %p\n%y ? = AveragePool %t "
     "{kernel_shape=[2,3]}\noutput %y\n"},
};

static void every_rule_keeps_its_laws(void **state)
{
    (void)state;
    check_rules(sets, COUNT(sets), cases, COUNT(cases));
}

/* ---- what rules must leave alone ---- */

static const Case declined[] = {
    {"mul-one", 0, "input %x f32[1]\nconst %c f32[3] (fill 1)\n%t ? = Mul %x %c\n%y ? = Neg %t\noutput %y\n"},
    {"identity", 0, "input %x f32[3]\n%y ? = Identity %x\noutput %y\n"},
    {"add-zero", 0, "input %x f32[3]\nconst %c f32[] (0.0)\n%t ? = Add %x %c\n%y ? = Neg %t\noutput %y\n"},
    {"sub-zero", 0, "input %x f32[3]\nconst %c f32[] (-0.0)\n%t ? = Sub %x %c\n%y ? = Neg %t\noutput %y\n"},
    {"div-exact", 0, "input %x f32[2]\nconst %c f32[2] (2, 3)\n%y ? = Div %x %c\noutput %y\n"},
    {"div-exact", 0, "input %x f32[1]\nconst %c f32[] (1e-38)\n%y ? = Div %x %c\noutput %y\n"},
    {"div-exact", 0, "input %x f32[1]\nconst %c f32[] (0)\n%y ? = Div %x %c\noutput %y\n"},
    {"clip-relu", 0, "input %x f32[2]\nconst %l f32[] (-0.0)\n%t ? = Relu %x\n%y ? = Clip %t %l\noutput %y\n"},
    {"clip-relu", 0, "input %x f32[2]\nconst %l f32[] (nan)\n%t ? = Relu %x\n%y ? = Clip %t %l\noutput %y\n"},
    {"clip-relu", 0, "input %x i32[2]\nconst %l i32[] (1)\n%t ? = Relu %x\n%y ? = Clip %t %l\noutput %y\n"},
    {"conv-add", 0, CONV "const %d f32[2] (1, 2)\n%y ? = Add %t %d\noutput %y\n"},
    {"conv-div", 0, CONV "const %d f32[] (0)\n%y ? = Div %t %d\noutput %y\n"},
    {"conv-add", 0, CONV "%y ? = Add %t %c\noutput %t\noutput %y\n"},
    {"matmul-add", 0, DENSE "const %d f32[2,1] (1, 2)\n%t ? = MatMul %x %w\n%y ? = Add %t %d\noutput %y\n"},
    {"reshape-reshape", 0,
     "input %x f32[2,6]\nconst %p i64[2] (3, 4)\nconst %q i64[3] (0, 2, 2)\n%t ? = Reshape %x %p\n%y ? = Reshape %t "
     "%q\noutput %y\n"},
    {"transpose-reshape", 0,
     "input %x f32[1,4,1,3]\nconst %q i64[2] (2, 6)\n%t ? = Transpose %x {perm=[2,3,1,0]}\n%y ? = Reshape %t %q\n"
     "output %y\n"},
    {"transpose-elementwise", 0, NHWC "%e ? = Relu %t\n%y ? = Transpose %e {perm=[0,3,2,1]}\noutput %y\n"},
    {"transpose-elementwise", 0, NHWC "%e ? = Relu %t\noutput %e\n" BACK},
    {"transpose-elementwise", 0, NHWC "input %o f32[2,3,2,2]\n%e ? = Add %t %o\n" BACK},
    {"transpose-elementwise", 0, NHWC "%e ? = Softmax %t {axis=3}\n" BACK},
    {"transpose-elementwise", 0, NHWC "const %k f32[3,2,1] (1, 2, 3, 4, 5, 6)\n%e ? = Add %t %k\n" BACK},
    {"pad-conv", 0,
     "input %x f32[1,1,3,4]\nconst %p i64[8] (0, 0, 1, 0, 0, 0, 2, 1)\nconst %v f32[] (1)\nconst %w f32[1,1,2,2] (1, "
     "2, -1, 0.5)\n"
     "%t ? = Pad %x %p %v\n%y ? = Conv %t %w\noutput %y\n"},
    {"pad-conv", 0,
     "input %x f32[1,1,3,4]\nconst %p i64[8] (0, 1, 1, 0, 0, 0, 2, 1)\nconst %w f32[1,2,2,2] (1, 2, -1, 0.5, 1, 2, 3, "
     "4)\n%t ? = Pad %x %p\n"
     "%y ? = Conv %t %w\noutput %y\n"},
    {"pad-conv", 0,
     "input %x f32[1,1,4,4]\nconst %p i64[8] (0, 0, 1, 0, 0, 0, -1, 1)\nconst %w f32[1,1,2,2] (1, 2, -1, 0.5)\n%t ? = "
     "Pad %x %p\n"
     "%y ? = Conv %t %w\noutput %y\n"},
    {"pad-conv", 0,
     "input %x f32[1,1,4,4]\nconst %p i64[8] (0, 0, 1, 0, 0, 0, 1, 1)\nconst %w f32[1,1,2,2] (1, 2, -1, 0.5)\n%t ? = "
     "Pad %x %p {mode=\"edge\"}\n"
     "%y ? = Conv %t %w\noutput %y\n"},
    {"pad-average", 0,
     "input %x f32[1,2,3,4]\nconst %p i64[8] (0, 0, 1, 0, 0, 0, 2, 1)\n%t ? = Pad %x %p\n%y ? = AveragePool %t "
     "{kernel_shape=[2,3], "
     "pads=[1,1,1,1]}\noutput %y\n"},
};

static void rules_decline(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(declined); k++) check_declined(sets, COUNT(sets), &declined[k]);
}

static void unused_nodes_go(void **state)
{
    (void)state;
    Program p = program(parsed(CONV "%y ? = Add %t %c\noutput %y\n"));
    assert_true(rewrite(&p, sets, COUNT(sets)));
    assert_int_equal(p.graph->order.n, 1);
    assert_string_equal(node(p.graph, p.graph->order.at[0])->op->name, "Conv");
    assert_string_equal(tensor(p.graph, p.graph->output.at[0])->name, "y");
}

/* ---- fuel ---- */

static bool swap(Rw *rw, const Match *m)
{
    const Node *n = rw_node(rw, m->root);
    const TensorId in[] = {m->t['y'], m->t['x']};
    rw_become(rw, m->root, n->op, 2, in, 0, NULL);
    return true;
}

static void rewrite_forever(void)
{
    static const Rule endless[] = {{"endless", "(Add x y)", swap}, {0}};
    const Rule *const set[] = {endless};
    Program p = program(parsed("input %a f32[2]\ninput %b f32[2]\n%y ? = Add %a %b\noutput %y\n"));
    (void)rewrite(&p, set, 1);
}

static void rules_that_never_end_are_caught(void **state)
{
    (void)state;
    int status = 0;
    fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr)) _exit(2);
        rewrite_forever();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_passes, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(patterns_match),
        TEST(captures_name_tensors_and_nodes),
        TEST(rows_are_well_formed),
        TEST(bad_rows_are_found),
        TEST(names_are_unique),
        TEST(every_rule_keeps_its_laws),
        TEST(rules_decline),
        TEST(unused_nodes_go),
        TEST(rules_that_never_end_are_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules of the integer pass, each on a graph on which it fires: laws and values (rule_case.h). Scales are powers of
 * two, so that the float arithmetic of the model is exact, and so must be the integers: to the bit.
 */
#include "rule_case.h"

static const Rule *const sets[] = {rules_integer}, *const real_sets[] = {rules_integer_real};

/* x, quantized by 1/2 and 3; results by 1/4 and -5. */
#define PARAMS    "const %a f32[] (0.5)\nconst %b i8[] (3)\nconst %s f32[] (0.25)\nconst %z i8[] (-5)\n"
#define X(shape)  PARAMS "input %x i8[" shape "]\n%dx ? = DequantizeLinear %x %a %b\n"
#define F(shape)  PARAMS "input %x f32[" shape "]\n"
#define RESULT    "%y ? = QuantizeLinear %t %s %z\noutput %y\n"
#define DOWN(op)  "%y ? = " op "\noutput %y\n"
#define UP(op)    "%t ? = " op "\n" RESULT
#define WEIGHT    "const %c f32[] (0.125)\n%dw ? = DequantizeLinear %w %c\n"
#define BIAS(n)   "const %f f32[] (0.0625)\nconst %e i32[" n "\n%db ? = DequantizeLinear %e %f\n"
#define REAL(n)   "const %db f32[" n "\n"
#define CHANNELS  "const %c f32[3] (0.125, 0.5, 0.25)\nconst %d i8[3] (0, 0, 0)\n%dw ? = DequantizeLinear %w %c %d {axis=0}\n"
#define COLUMNS   "const %c f32[3] (0.125, 0.5, 0.25)\n%dw ? = DequantizeLinear %w %c {axis=-1}\n"
#define NORM      "const %p f32[3] (0.5, -2, 1)\nconst %o f32[3] (1.5, -3, 0.25)\nconst %m f32[3] (2, -1, 0.5)\nconst %v f32[3] (4, 1, 0.25)\n"
#define CONV_W    "const %w i8[3,2,2,2] (1, -2, 3, 4, -5, 6, 7, -8, 9, 10, -11, 12, 13, -14, 15, 16, -17, 18, 19, -20, 21, 22, 23, -24)\n"
#define DENSE_W   "const %w i8[4,3] (1, -2, 3, 4, -5, 6, 7, -8, 9, 10, -11, 12)\n"
#define LONG_W(shape) "const %w i8[" shape "] (" \
    "-76, -48, 81, -78, -117, 34, -25, 70, 51, -30, -112, 95, -86, -21, -39, -106, 61, 92, 51, 124, -113, 13, -18, 28, " \
    "124, 100, 54, 74, 69, 75, -116, 88, -110, 127, -90, 124, -92, -82, 37, -9, 110, 12, 103, -53, -3, 55, 112, -6)\n"
#define LONG_X(shape) "const %a f32[] (0.5)\nconst %b u8[] (117)\ninput %x u8[" shape "]\n%dx ? = DequantizeLinear %x %a %b\n"
#define LONG_OTHER    "input %w i8[16,5]\nconst %c f32[] (0.25)\nconst %d i8[] (-7)\n%dw ? = DequantizeLinear %w %c %d\n"
#define OTHER     "input %w i8[2,4]\nconst %c f32[] (0.25)\nconst %d i8[] (-7)\n%dw ? = DequantizeLinear %w %c %d\n"

static const Case cases[] = {
    {"constant-quantize", 0, PARAMS "input %x i8[3]\nconst %c f32[3] (1.5, -0.5, 0.25)\n%t ? = QuantizeLinear %c %s %z\n%y ? = Max %x %t\noutput %y\n"},
    {"constant-transpose", 0, "input %x i8[3,2]\nconst %c i8[2,3] (1, -2, 3, 4, -5, 6)\n%t ? = Transpose %c {perm=[1,0]}\n%y ? = Max %x %t\noutput %y\n"},
    {"constant-reshape", 0, "input %x i8[3,2]\nconst %c i8[2,3] (1, -2, 3, 4, -5, 6)\nconst %r i64[2] (3, 2)\n%t ? = Reshape %c %r\n%y ? = Max %x %t\noutput %y\n"},
    {"pair", 0, X("2,8") "%y ? = QuantizeLinear %dx %s %z\noutput %y\n"},
    {"pair", 0, X("2,8") "%t ? = QuantizeLinear %dx %a %b\n%y ? = Max %t %z\noutput %y\n"},
    {"pair", 0, X("2,8") "%y ? = QuantizeLinear %dx %a %b\noutput %y\n"},
    {"relu-up", 0, F("40") UP("Relu %x")},
    {"relu-up", 0, "const %s f32[] (0.25)\nconst %z u8[] (0)\ninput %x f32[40]\n" UP("Relu %x")},
    {"clip-up", 0, F("40") "const %l f32[] (-0.75)\nconst %h f32[] (1.25)\n" UP("Clip %x %l %h")},
    {"clip-up", 0, F("40") "const %h f32[] (1.25)\n" UP("Clip %x _ %h")},
    {"conv", 0, X("1,2,4,4") CONV_W WEIGHT UP("Conv %dx %dw {pads=[1,0,1,0]}")},
    {"conv", 0, X("1,2,4,4") CONV_W CHANNELS UP("Conv %dx %dw {strides=[2,1]}")},
    {"conv", 0, X("1,2,4,4") CONV_W WEIGHT BIAS("3] (10, -20, 5)") UP("Conv %dx %dw %db")},
    {"conv", 0, X("1,2,4,4") CONV_W WEIGHT "const %f f32[] (0.5)\nconst %g i8[] (-1)\nconst %e i8[3] (1, 2, 3)\n%db ? = DequantizeLinear %e %f %g\n" UP("Conv %dx %dw %db")},
    {"conv", 0, X("1,2,4,4") CONV_W CHANNELS REAL("3] (0.625, -1.25, 3)") UP("Conv %dx %dw %db")},
    {"conv-norm", 0, X("1,2,4,4") CONV_W CHANNELS NORM "%u ? = Conv %dx %dw {pads=[1,0,1,0]}\n" UP("BatchNormalization %u %p %o %m %v {epsilon=0.0}")},
    {"conv-norm", 1e-6, X("1,2,4,4") CONV_W WEIGHT NORM "%u ? = Conv %dx %dw\n" DOWN("BatchNormalization %u %p %o %m %v")},
    {"conv-norm", 0, X("1,2,4,4") CONV_W WEIGHT BIAS("3] (10, -20, 5)") NORM "%u ? = Conv %dx %dw %db\n" UP("BatchNormalization %u %p %o %m %v {epsilon=0.0}")},
    {"conv-norm", 0, X("1,2,4,4") CONV_W CHANNELS REAL("3] (0.375, 1.3125, -2)") NORM "%u ? = Conv %dx %dw %db\n" UP("BatchNormalization %u %p %o %m %v {epsilon=0.0}")},
    {"gemm", 0, X("2,4") DENSE_W WEIGHT UP("Gemm %dx %dw")},
    {"gemm", 0, X("2,4") DENSE_W WEIGHT BIAS("3] (10, -20, 5)") UP("Gemm %dx %dw %db")},
    {"gemm", 0, X("2,4") DENSE_W WEIGHT REAL("1,3] (0.625, -1.25, 3)") UP("Gemm %dx %dw %db")},
    {"gemm", 0, X("2,4") DENSE_W WEIGHT REAL("] (0.625)") UP("Gemm %dx %dw %db")},
    {"matmul", 0, X("2,4") DENSE_W WEIGHT UP("MatMul %dx %dw")},
    {"matmul", 0, X("4,2") OTHER UP("MatMul %dx %dw")},
    {"matmul-bias", 0, X("2,4") DENSE_W WEIGHT BIAS("3] (10, -20, 5)") "%u ? = MatMul %dx %dw\n" UP("Add %u %db")},
    {"matmul-bias", 0, X("2,4") DENSE_W WEIGHT REAL("1,3] (0.625, -1.25, 3)") "%u ? = MatMul %dx %dw\n" UP("Add %u %db")},
    {"bias-matmul", 0, X("2,4") DENSE_W WEIGHT BIAS("3] (10, -20, 5)") "%u ? = MatMul %dx %dw\n" UP("Add %db %u")},
    {"bias-matmul", 0, X("2,4") DENSE_W WEIGHT REAL("1] (-1.25)") "%u ? = MatMul %dx %dw\n" UP("Add %db %u")},
    {"add", 0, X("2,4") OTHER UP("Add %dx %dw")},
    {"mul", 0, X("2,4") OTHER UP("Mul %dx %dw")},
    {"average-pool", 0, X("1,2,4,4") UP("AveragePool %dx {kernel_shape=[2,2]}")},
    {"global-average-pool", 0, X("1,2,4,4") UP("GlobalAveragePool %dx")},
    {"concat", 0, X("2,4") OTHER UP("Concat %dx %dw {axis=1}")},
    {"table", 0, X("2,40") UP("Sigmoid %dx")},
    {"table", 0, X("2,40") "const %k f32[] (0.75)\n%u ? = Mul %dx %k\n%v ? = Tanh %u\n" UP("Add %v %dx")},
    {"relu-down", 0, X("2,20") DOWN("Relu %dx")},
    {"concat-down", 0, X("2,4") "input %w i8[2,3]\n%dw ? = DequantizeLinear %w %a %b\n" DOWN("Concat %dx %dw {axis=1}")},
    {"transpose-down", 0, X("2,3,4") DOWN("Transpose %dx {perm=[2,0,1]}")},
    {"transpose-down", 0, X("2,3") "%t ? = Transpose %dx {perm=[1,0]}\n%u ? = Neg %dx\noutput %t\noutput %u\n"},
    {"transpose-weight", 0, "input %x f32[3,4]\n" DENSE_W COLUMNS "%t ? = Transpose %dw\n%y ? = Add %x %t\noutput %y\n"},
    {"transpose-weight", 0, "input %x f32[2,2,3,2]\n" CONV_W CHANNELS "%t ? = Transpose %dw {perm=[1,2,0,3]}\n%y ? = Add %x %t\noutput %y\n"},
    {"reshape-down", 0, X("2,3,4") "const %r i64[2] (6, -1)\n" DOWN("Reshape %dx %r")},
    {"flatten-down", 0, X("2,3,4") DOWN("Flatten %dx")},
    {"squeeze-down", 0, X("2,1,4") "const %r i64[1] (1)\n" DOWN("Squeeze %dx %r")},
    {"unsqueeze-down", 0, X("2,4") "const %r i64[1] (1)\n" DOWN("Unsqueeze %dx %r")},
    {"expand-down", 0, X("2,1") "const %r i64[2] (2, 5)\n" DOWN("Expand %dx %r")},
    {"tile-down", 0, X("2,3") "const %r i64[2] (1, 3)\n" DOWN("Tile %dx %r")},
    {"slice-down", 0, X("4,5") "const %l i64[1] (1)\nconst %h i64[1] (4)\n" DOWN("Slice %dx %l %h")},
    {"gather-down", 0, X("4,5") "const %r i64[3] (1, -1, 0)\n" DOWN("Gather %dx %r")},
    {"pad-down", 0, X("2,3") "const %p i64[4] (1, 0, 0, 2)\n" DOWN("Pad %dx %p")},
    {"pad-down", 0, X("2,3") "const %p i64[4] (1, 0, 0, 2)\n" DOWN("Pad %dx %p {mode=\"edge\"}")},
    {"depth-to-space-down", 0, X("1,4,2,3") DOWN("DepthToSpace %dx {blocksize=2}")},
    {"space-to-depth-down", 0, X("1,2,4,6") DOWN("SpaceToDepth %dx {blocksize=2}")},
    {"resize-down", 0, X("1,2,3,4") "const %r f32[4] (1, 1, 2, 1.5)\n" DOWN("Resize %dx _ %r {mode=\"nearest\"}")},
    {"max-pool-down", 0, X("1,2,4,4") DOWN("MaxPool %dx {kernel_shape=[2,3], pads=[1,1,0,0]}")},
    {"global-max-pool-down", 0, X("1,2,4,4") DOWN("GlobalMaxPool %dx")},
    {"transpose-up", 0, F("2,3,4") UP("Transpose %x {perm=[2,0,1]}")},
    {"reshape-up", 0, F("2,3,4") "const %r i64[2] (6, -1)\n" UP("Reshape %x %r")},
    {"flatten-up", 0, F("2,3,4") UP("Flatten %x")},
    {"squeeze-up", 0, F("2,1,4") "const %r i64[1] (1)\n" UP("Squeeze %x %r")},
    {"unsqueeze-up", 0, F("2,4") "const %r i64[1] (1)\n" UP("Unsqueeze %x %r")},
    {"max-pool-up", 0, F("1,2,4,4") UP("MaxPool %x {kernel_shape=[2,3], pads=[1,1,0,0]}")},
};

static void every_rule_keeps_its_laws(void **state)
{
    (void)state;
    check_rules(sets, COUNT(sets), cases, COUNT(cases));
}

/* Products whose result stays real. */
static const Case real_cases[] = {
    {"conv-real", 0, LONG_X("1,2,4,6") LONG_W("3,2,2,4") CHANNELS DOWN("Conv %dx %dw {pads=[1,0,1,2]}")},
    {"conv-real", 0, LONG_X("1,2,4,6") LONG_W("3,2,2,4") WEIGHT BIAS("3] (10, -20, 5)") DOWN("Conv %dx %dw %db {strides=[2,1]}")},
    {"conv-real", 0, LONG_X("2,2,9") LONG_W("3,2,8") CHANNELS REAL("3] (0.625, -1.25, 3)") DOWN("Conv %dx %dw %db")},
    {"matmul-real", 0, LONG_X("2,16") LONG_W("16,3") COLUMNS DOWN("MatMul %dx %dw")},
    {"matmul-real", 0, LONG_X("2,3,16") LONG_W("16,3") WEIGHT DOWN("MatMul %dx %dw")},
    {"matmul-real", 0, LONG_X("16") LONG_W("16,3") COLUMNS DOWN("MatMul %dx %dw")},
    {"matmul-real", 0, LONG_X("2,3,16") LONG_OTHER DOWN("MatMul %dx %dw")},
    {"gemm-real", 0, LONG_X("2,16") LONG_W("16,3") COLUMNS DOWN("Gemm %dx %dw")},
    {"gemm-real", 0, LONG_X("2,16") LONG_W("3,16") CHANNELS BIAS("3] (10, -20, 5)") DOWN("Gemm %dx %dw %db {transB=1}")},
    {"gemm-real", 0, LONG_X("2,16") LONG_W("16,3") WEIGHT "input %e f32[2,1]\n" DOWN("Gemm %dx %dw %e")},
};

static void rules_of_real_results_keep_their_laws(void **state)
{
    (void)state;
    check_rules(real_sets, COUNT(real_sets), real_cases, COUNT(real_cases));
}

static const Case declined[] = {
    {"pair", 0, X("2,8") "const %u u8[] (3)\n%y ? = QuantizeLinear %dx %s %u\noutput %y\n"},
    {"pair", 0, "const %a f32[4] (1, 2, 3, 4)\nconst %b i8[4] (0, 0, 0, 0)\ninput %x i8[4,2]\n%dx ? = DequantizeLinear %x %a %b {axis=0}\n"
                "%y ? = QuantizeLinear %dx %a %b {axis=0}\noutput %y\n"},
    {"relu-up", 0, F("40") "%t ? = Relu %x\n%y ? = QuantizeLinear %t %s %z\noutput %y\noutput %t\n"},
    {"clip-up", 0, F("40") "input %l f32[]\n" UP("Clip %x %l")},
    {"conv", 0, X("1,2,4,4") CONV_W WEIGHT "const %f f32[] (1e9)\nconst %e i32[3] (1, 2, 3)\n%db ? = DequantizeLinear %e %f\n" UP("Conv %dx %dw %db")},
    {"conv", 0, X("1,2,4,4") CONV_W WEIGHT REAL("3] (1, nan, 3)") UP("Conv %dx %dw %db")},
    {"conv", 0, X("1,2,4,4") CONV_W WEIGHT "input %db f32[3]\n" UP("Conv %dx %dw %db")},
    {"gemm", 0, X("3,4") DENSE_W WEIGHT REAL("3,1] (1, 2, 3)") UP("Gemm %dx %dw %db")},
    {"matmul-bias", 0, X("2,4") DENSE_W WEIGHT REAL("1,1,3] (1, 2, 3)") "%u ? = MatMul %dx %dw\n" UP("Add %u %db")},
    {"gemm", 0, X("2,4") DENSE_W WEIGHT UP("Gemm %dx %dw {alpha=2.0}")},
    {"gemm", 0, X("4,2") DENSE_W WEIGHT UP("Gemm %dx %dw {transA=1}")},
    {"add", 0, X("2,4") "input %w u8[2,4]\n%dw ? = DequantizeLinear %w %a\n" UP("Add %dx %dw")},
    {"concat-down", 0, X("2,4") OTHER DOWN("Concat %dx %dw {axis=1}")},
    {"pad-down", 0, X("2,3") "const %p i64[4] (1, 0, 0, 2)\nconst %v f32[] (1)\n" DOWN("Pad %dx %p %v")},
    {"resize-down", 0, X("1,2,3,4") "const %r f32[4] (1, 1, 2, 2)\n" DOWN("Resize %dx _ %r {mode=\"linear\"}")},
    {"max-pool-down", 0, X("1,2,4,4") "%y ?, %i ? = MaxPool %dx {kernel_shape=[2,3]}\noutput %y\noutput %i\n"},
    {"max-pool-down", 0, "const %a f32[] (0.5)\ninput %x i16[1,2,4,4]\n%dx ? = DequantizeLinear %x %a\n" DOWN("MaxPool %dx {kernel_shape=[2,2]}")},
    {"max-pool-up", 0, "const %s f32[] (0.5)\nconst %z i16[] (3)\ninput %x f32[1,2,4,4]\n" UP("MaxPool %x {kernel_shape=[2,2]}")},
    {"transpose-weight", 0, "input %x f32[3,4]\n" "const %w i16[4,3] (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)\n" COLUMNS "%t ? = Transpose %dw\n%y ? = Add %x %t\noutput %y\n"},
    {"table", 0, X("2,4") OTHER UP("Add %dx %dw")},
    {"constant-transpose", 0, "input %x f32[3,2]\nconst %c f32[2,3] (1, -2, 3, 4, -5, 6)\n%t ? = Transpose %c {perm=[1,0]}\n%y ? = Max %x %t\noutput %y\n"},
};

static const Case real_declined[] = {
    {"conv-real", 0, LONG_X("1,4,2,4") LONG_W("6,2,1,4") WEIGHT DOWN("Conv %dx %dw {group=2}")},
    {"conv-real", 0, LONG_X("1,1,4,4") LONG_W("3,1,4,4") WEIGHT DOWN("Conv %dx %dw")},
    {"conv-real", 0, LONG_X("1,4,2,2") LONG_W("4,4,1,3") WEIGHT DOWN("Conv %dx %dw {pads=[0,1,0,1]}")},
    {"conv-real", 0, LONG_X("1,2,4,6") LONG_W("3,2,2,4") "const %c f32[] (0.125)\nconst %d i8[] (20)\n%dw ? = DequantizeLinear %w %c %d\n" DOWN("Conv %dx %dw")},
    {"conv-real", 0, LONG_X("1,2,4,6") LONG_W("3,2,2,4") WEIGHT "input %db f32[3]\n" DOWN("Conv %dx %dw %db")},
    {"matmul-real", 0, LONG_X("2,12") LONG_W("12,4") WEIGHT DOWN("MatMul %dx %dw")},
    {"matmul-real", 0, LONG_X("2,48") LONG_W("48,1") WEIGHT DOWN("MatMul %dx %dw")},
    {"matmul-real", 0, LONG_X("2,48") LONG_W("48") WEIGHT DOWN("MatMul %dx %dw")},
    {"matmul-real", 0, LONG_X("2,16") LONG_W("16,3") "const %c f32[3] (1, 1e-45, 1)\n%dw ? = DequantizeLinear %w %c {axis=1}\n" DOWN("MatMul %dx %dw")},
    {"matmul-real", 0, LONG_X("2,16") "const %c f32[16] (1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7)\n" LONG_W("16,3") "%dw ? = DequantizeLinear %w %c {axis=0}\n" DOWN("MatMul %dx %dw")},
    {"gemm-real", 0, LONG_X("2,16") LONG_W("16,3") WEIGHT DOWN("Gemm %dx %dw {alpha=2.0}")},
    {"gemm-real", 0, LONG_X("2,16") LONG_W("16,3") WEIGHT REAL("3] (1, 2, 3)") DOWN("Gemm %dx %dw %db {beta=2.0}")},
    {"gemm-real", 0, LONG_X("16,2") LONG_W("16,3") WEIGHT DOWN("Gemm %dx %dw {transA=1}")},
};

static void rules_decline(void **state)
{
    (void)state;
    static const Rule *const all[] = {rules_integer, rules_integer_real};
    for (size_t k = 0; k < COUNT(declined); k++) check_declined(sets, COUNT(sets), &declined[k]);
    for (size_t k = 0; k < COUNT(real_declined); k++) check_declined(all, COUNT(all), &real_declined[k]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_passes, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(every_rule_keeps_its_laws), TEST(rules_of_real_results_keep_their_laws), TEST(rules_decline)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

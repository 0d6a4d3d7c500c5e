/* SPDX-License-Identifier: Apache-2.0
 * Loop nests: text form both ways (ir/nest_text.c, ir/nest_parse.c), and the bounds proof (ir/nest_check.c). */
#include "context.h"
#include "ir/call.h"
#include "ir/nest.h"

static const char *printed(const Unit *u)
{
    Text out = {.arena = arena};
    unit_print(&out, u);
    return text_str(&out);
}

static Unit *parsed(const char *text)
{
    Unit *u = unit_parse(&cx, text);
    if (!u)
        fail_msg("%s%s", problems(), text);
    return u;
}

/* ---- text ---- */

/* Every form of the language, in the printer's spelling. */
static const char all_forms[] =
    "unit every form\n"
    "sym N 1..64 = input 0 1\n"
    "sym C 0..9 = call\n"
    "arena 4096 bound 4000 proven align 64\n"
    "threads 2 awake 4 scratch 128\n"
    "buf %1.x input 0 f32[2,N]\n"
    "buf %2.w const f32[2,3] order 1,0 (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)\n"
    "buf %3.zero const i8[1000] (fill 0)\n"
    "buf %4.t arena f32[2,N] order 1,0 halo 1+0,0+2 pad (-inf) at 64 pool 1\n"
    "buf %5.places arena i64[C] at 0 pool 0 alias %4.t\n"
    "buf %6.on arena bool[9] at 0 pool 0\n"
    "buf %7.y output 0 f32[2,N]\n"
    "buf %10.few const i8[2,3] listed (0, 5, -3, 0, 0, 1)\n"
    "func n000_first macs 12 split meet 1 3 shares 0 12\n"
    "  note %y = Everything %x\n"
    "  note and more\n"
    "  var i < 2, j < N, i_2 0..3, acc f32, at any\n"
    "  buf %8.row scratch stack f32[4]\n"
    "  buf %9.big scratch f32[N,i + 1] at 128 pool 0\n"
    "  for i = 0, 2 unroll {\n"
    "    for j = 0, N parallel 0 of 64 each 2 {\n"
    "      let acc = 0f32\n"
    "      note inner\n"
    "      for i_2 = 0, 3 parallel 0 of 2 needed 1 below -1 above 1 {\n"
    "        acc = acc + %1.x[i,j | 0f32]*%2.w[i,i_2]\n"
    "      }\n"
    "      let at = i + 2*j\n"
    "      if and(le(0, at), lt(at, N)) {\n"
    "        %4.t[i,at] = acc\n"
    "      } else {\n"
    "        %4.t[i,j] = -acc\n"
    "      }\n"
    "    }\n"
    "    block {\n"
    "      %8.row[2*i] = f32(%3.zero[i])\n"
    "      %9.big[0,i] = 1f32\n"
    "    }\n"
    "  }\n"
    "func n001_tiles macs 0\n"
    "  var p 0..1, q 0..2, l 0..15, r 0..7, s 0..2, a f32, b f32\n"
    "  tile fence tail 2 clipped matrix bypass {\n"
    "    point p 2, q 3\n"
    "    lane l 16\n"
    "    sum r 8, s 3\n"
    "    acc a = 1f32\n"
    "    body %1.x[p,r+s]\n"
    "    fetch %1.x r + s + 8\n"
    "    fetch far %1.x 16*r + s + 100\n"
    "    fetch far %1.x 4*r + 100 when mod(r, 4)\n"
    "    %7.y[p,l] = a\n"
    "    %4.t[p,q] = a*2f32\n"
    "  }\n"
    "  tile {\n"
    "    across r 8\n"
    "    max r 8\n"
    "    acc b\n"
    "    body %1.x[0,r]\n"
    "    %7.y[0,0] = b\n"
    "  }\n"
    "  tile {\n"
    "    lane l 16 open N\n"
    "    %7.y[0,l] = 0f32\n"
    "  }\n"
    "func n002_call macs 0\n"
    "  call compress(%6.on, %5.places; 9; C; _)\n";

static void test_forms(void **state)
{
    (void)state;
    const Unit *u = parsed(all_forms);
    assert_string_equal(printed(u), all_forms);
    assert_int_equal(u->buf.n, 11);
    assert_int_equal(buf_stored_bytes(buf(u, 10)), 3 * 4 + 2 * 12); /* where lists begin, and a quad in each */
    assert_int_equal(u->func.n, 3);
    assert_int_equal(u->input.n, 1);
    assert_int_equal(u->sym_input.at[1], -1);
    assert_int_equal(buf(u, 4)->bytes, 3 * 66 * 4);
    assert_true(ex_is_int(buf(u, 4)->stride[0], 1));
    assert_true(ex_is_int(buf(u, 4)->stride[1], 3));
    assert_int_equal(u->func.at[0]->defines.n, 0);
    assert_ptr_equal(u->func.at[2]->defines.at[0], u->sym.at[1]);
}

/* A dimension that is a multiple of its symbol. */
static void test_multiple(void **state)
{
    static const char text[] = "unit u\nsym k 1..30 times 32 as h = input 0 0\nbuf %1.x input 0 f32[32*k]\nbuf %2.y output 0 f32[k]\n"
                               "func f macs 0\n  var i < k\n  for i = 0, k {\n    %2.y[i] = %1.x[32*i]\n  }\n";
    (void)state;
    const Unit *u = parsed(text);
    assert_string_equal(printed(u), text);
    assert_string_equal(ex_var_info(cx.x, u->sym.at[0])->whole, "h");
    assert_int_equal(var_times(ex_var_info(cx.x, u->sym.at[0])), 32);
}

/* Names that variables share, or that are none in this language, get spellings of their own, also in sums. */
static void test_names(void **state)
{
    (void)state;
    Unit *u = unit_new(&cx, "n", NULL);
    const Expr *dim = ex_int(cx.x, 9);
    const uint32_t y = unit_buf(u, "3 odd/name", DT_f32, BC_output, 1, &dim);
    buf(u, y)->io = 0;
    buf_layout(u, buf(u, y));
    PUSH(arena, &u->output, y);
    Func *f = unit_func(u, "f");
    const Expr *one = ex_index(cx.x, "i", ex_int(cx.x, 3)), *two = ex_index(cx.x, "i", ex_int(cx.x, 3)), *three = ex_index(cx.x, "i.j", ex_int(cx.x, 3));
    Nest *in = nest_for(arena, f->body, three, ex_int(cx.x, 0), ex_int(cx.x, 3));
    in = nest_for(arena, nest_for(arena, in, two, ex_int(cx.x, 0), ex_int(cx.x, 3)), one, ex_int(cx.x, 0), ex_int(cx.x, 3));
    const Expr *at = ex_add(cx.x, ex_add(cx.x, two, three), one);
    nest_store(arena, in, y, 1, &at, ex_num(cx.x, DT_f32, 1));
    unit_finish(u);
    const char *text = printed(u);
    assert_non_null(strstr(text, "%1._3_odd_name[i + i_2 + i_j] = 1f32"));
    assert_string_equal(printed(parsed(text)), text);
}

/* Text around a mistake, and what is said about it. */
typedef struct Bad { const char *line, *what; } Bad;

static const Bad bad_lines[] = {
    {"bug %9.q arena f32[1]", "expected sym, arena, threads, buf or func"},
    {"buf %1.again arena f32[1]", "this buffer has been declared"},
    {"buf %9.q heap f32[1]", "expected input, output, const, arena or scratch"},
    {"buf %9.q arena f33[1]", "expected an element type"},
    {"buf %9.q arena f32[M]", "the variable is not known"},
    {"buf %9.q arena f32[3000000000,3000000000]", "the buffer is larger than memory"},
    {"buf %9.q arena f32[-1]", "an extent has no upper bound of at least 0"},
    {"buf %9.q arena f32[2,2] order 0,0", "expected every dimension once"},
    {"buf %9.q arena f32[2,2] halo 1+1 pad (0.0)", "expected ','"},
    {"buf %9.q arena f32[2] alias %8.q", "this buffer is not declared"},
    {"buf %9.q const f32[2] (...#0123456789abcdef)", "the elements were left out of the text"},
    {"buf %9.q arena f32[2]", "buffer 3 is not declared"},
    {"buf %3.q input 2 f32[2]", "inputs and outputs are not numbered from 0"},
    {"func f macs 0\nbuf %3.q scratch f32[2]", "no function uses the scratch buffer 3"},
    {"sym M 1..4 = call", "no input has the extent M and no call defines it"},
    {"sym M 1..4 = input 0 0", "no input has the extent M and no call defines it"},
    {"sym M 1..4 = call\nsym M 1..4 = call", "this symbol has been declared"},
    {"func f macs 0\nvar i 5..2", "expected an integer from 5"},
    {"func f macs 0\nfor i = 0, 3 {", "expected a variable of this kind"},
    {"func f macs 0\nvar i < 3\nfor i = 0, 3 {\n", "expected '}'"},
    {"func f macs 0\nvar i < 3\nfor i = 0, true {\n}", "expected a value of type ix"},
    {"func f macs 0\nvar i < 3\ni = 2", "expected a variable of this kind"},
    {"func f macs 0\n%2.y[0] = 1i32", "expected a value of type f32"},
    {"func f macs 0\n%2.y[0,0] = 1f32", "the list is too long"},
    {"func f macs 0\n%2.y[] = 1f32", "the list is too short"},
    {"func f macs 0\nif 3 {\n}", "expected a value of type bool"},
    {"func f macs 0\ncall nothing(%1.x; ; ; _)", "there is no such function"},
    {"func f macs 0\ncall compress(%1.x, %2.y; ; ; _)", "the list is too short"},
    {"func f macs 0\nvar l < 3\ntile {\nlane l 0\n}", "expected an integer from 1"},
    {"func f macs 0\ntile {\nsum\nacc q\n}", "expected a variable of this kind"},
};

static void test_bad_text(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(bad_lines); k++) {
        const char *text = str_fmt(arena, "unit u\nbuf %%1.x input 0 f32[4]\nbuf %%2.y output 0 f32[4]\n%s\n", bad_lines[k].line);
        diags = (Diags){.arena = arena, .file = "test"};
        assert_null(unit_parse(&cx, text));
        assert_int_equal(diags.errors, 1);
        if (!strstr(problems(), bad_lines[k].what))
            fail_msg("%s\n%s", bad_lines[k].line, problems());
    }
}

/* ---- bounds ---- */

/* Functions over x f32[N,M], N and M from 1 to 40, y f32[9] with halo 2+1, i i64[9], z f32[4*N*M], w f32[N + 3]. */
static const char head[] =
    "unit u\nsym N 1..40 = input 0 0\nsym M 1..40 = input 0 1\nbuf %1.x input 0 f32[N,M]\n"
    "buf %2.y arena f32[9] halo 2+1 pad (0.0)\nbuf %3.i input 1 i64[9]\nbuf %4.z output 0 f32[4*N*M]\nbuf %5.w output 1 f32[N + 3]\nfunc f macs 0\n";

static const char *const sound[] = {
    "var i < N, j < M\nfor i = 0, N {\nfor j = 0, M {\n%4.z[4*(i*M + j) + 3] = %1.x[i,j]\n}\n}\n",
    "var i 0..11\nfor i = 0, 12 {\n%2.y[i - 2] = 0f32\n}\n",
    /* whole steps and the rest */
    ("var q 0..1, l 0..15, t 0..14\nfor q = 0, fdiv(N, 16) {\nfor l = 0, 16 {\n%5.w[16*q + l] = %1.x[16*q + l,0]\n}\n}\n"
     "for t = 0, mod(N, 16) {\n%5.w[16*fdiv(N, 16) + t] = %1.x[16*fdiv(N, 16) + t,M - 1]\n}\n"),
    /* quotients and remainders by a symbol */
    "var k 0..6399\nfor k = 0, 4*N*M {\n%4.z[k] = %1.x[fdiv(fdiv(k, 4), M),mod(fdiv(k, 4), M)]\n}\n",
    /* conditions on the way: if, select, and, not, or, comparisons of other types */
    "var i any\nlet i = ix(%3.i[0])\nif and(le(0, i), lt(i, 9)) {\n%2.y[i] = 1f32\n%2.y[i - 2] = 1f32\n}\n",
    "var i any\nlet i = ix(%3.i[0])\nif or(lt(i, 0), le(9, i)) {\n} else {\n%2.y[i] = 1f32\n}\n",
    "var i < 20\nfor i = 0, 20 {\n%5.w[0] = select(lt(i, 9), %2.y[i], select(not(lt(i, 18)), 0f32, %2.y[i - 9]))\n}\n",
    "%5.w[0] = select(and(and(le(0i64, %3.i[1]), lt(%3.i[1], 9i64)), lt(0f32, %2.y[ix(%3.i[1])])), 1f32, 2f32)\n",
    "var i any\nlet i = ix(%3.i[0])\nif and(le(0, i), lt(2*i, 20)) {\n%2.y[i] = 1f32\n}\n",
    "%5.w[0] = %2.y[max(min(ix(%3.i[2]), 8), 0)]\n",
    /* an index reflected at the ends: both sides of a minimum are needed */
    "var j < 30\nfor j = 0, 30 {\n%5.w[0] = %2.y[min(mod(j, 16), 16 - mod(j, 16))]\n}\n",
    /* a loop that runs has a first value; one that does not run has no accesses */
    "var i < N\nfor i = 0, N - 1 {\n%5.w[i + 1] = %1.x[i + 1,0]\n}\n",
    "var i any\nlet i = ix(%3.i[0])\nfor i = 0, 0 {\n%2.y[100] = 0f32\n}\n",
    "var r 0..39, k < 3\nfor r = 0, N {\nfor k = 0, min(3, N - r) {\n%5.w[r + k] = %1.x[r + k,0]\n}\n}\n",
    /* conditions that contradict each other */
    "if false {\n%2.y[100] = 0f32\n}\n",
    "var i 0..9\nfor i = 0, fdiv(max(min(M, 1) - min(M, 3), 0) + 1, 2) {\n%5.w[N + 5] = 0f32\n}\n",
    /* steps within the steps of a rest */
    "var k 0..2, l < 2\nfor k = 0, mod(fdiv(N, 2), 3) {\nfor l = 0, 2 {\n%5.w[0] = %1.x[6*fdiv(N, 6) + 2*k + l,0]\n}\n}\n",
    /* a divisor that is positive where the loop runs */
    "var j 0..116\nfor j = 0, 3*(N - 1) {\n%5.w[fdiv(j, N - 1)] = 0f32\n}\n",
    /* factors of an extent, where it is not 0; a divisor that is one */
    "var j 0..1399\nfor j = 0, max(N - 5, 0)*M {\n%5.w[0] = %1.x[mod(j, max(N - 5, 0)),fdiv(j, max(N - 5, 0))]\n}\n",
    "var j 0..38\nfor j = 0, N - 1 {\n%5.w[fdiv(j, fdiv(N - 1, N - 1))] = 0f32\n}\n",
    /* a quotient of a variable whose extent is a choice */
    "var j 0..41\nfor j = 0, 3*max(min(fdiv(N + 2, 3), N - 2*fdiv(N + 2, 3)), 0) {\n%5.w[N + 3 - max(min(fdiv(N + 2, 3), N - 2*fdiv(N + 2, 3)), 0) + fdiv(j, 3)] = 0f32\n}\n",
    /* an extent that the number of steps bounds */
    "var q 0..1, l < 4, r < N\nfor q = 0, fdiv(10 - N, 4) {\nfor l = 0, 4 {\nfor r = 0, N {\n%2.y[l + r] = 0f32\n}\n}\n}\n",
    /* a guarded load needs no proof */
    "%5.w[0] = %2.y[ix(%3.i[3]) | 0f32]\n",
    /* tiles: the store sees no reduction variable */
    "var p 0..2, l 0..2, r < M, a f32\ntile {\npoint p 3\nlane l 3\nsum r M\nacc a\nbody %1.x[0,r]\n%2.y[3*p + l] = a\n}\n",
};

/* The access that must be named. */
static const Bad unsound[] = {
    {"var i < 10\nfor i = 0, 10 {\n%2.y[i + 1] = 0f32\n}\n", "f: store to 'y', dimension 0: index i + 1 may be above 9"},
    {"var i < 3\nfor i = 0, 3 {\n%2.y[i - 3] = 0f32\n}\n", "store to 'y', dimension 0: index i - 3 may be below -2"},
    {"var i < N, j < M\nfor i = 0, N {\nfor j = 0, M {\n%5.w[j] = %1.x[i,j]\n}\n}\n", "store to 'w', dimension 0: index j may be above N + 2"},
    {"var i < N\nfor i = 0, N {\n%5.w[i] = %1.x[0,i]\n}\n", "load of 'x', dimension 1: index i may be above M - 1"},
    {"var q 0..2, l 0..15\nfor q = 0, fdiv(N + 15, 16) {\nfor l = 0, 16 {\n%5.w[16*q + l] = 0f32\n}\n}\n", "store to 'w', dimension 0"},
    {"var k 0..6399\nfor k = 0, 4*N*M {\n%4.z[k] = %1.x[fdiv(k, M),0]\n}\n", "load of 'x', dimension 0"},
    {"var k 0..1600\nfor k = 0, N*M + 1 {\n%5.w[0] = %1.x[fdiv(k, M),0]\n}\n", "load of 'x', dimension 0"},
    {"var k 0..640\nfor k = 0, 16*N + 1 {\n%5.w[0] = %1.x[fdiv(k, 16),0]\n}\n", "load of 'x', dimension 0"},
    {"%5.w[0] = %2.y[ix(%3.i[0])]\n", "load of 'y', dimension 0: index ix(%i[0]) may be below -2"},
    {"var i any\nlet i = ix(%3.i[0])\nif and(le(0, i), lt(2*i, 21)) {\n%2.y[i] = 1f32\n}\n", "may be above 9"},
    {"var i any\nlet i = ix(%3.i[0])\nif lt(i, 9) {\n%2.y[i] = 1f32\n}\n", "may be below -2"},
    {"var i any\nlet i = ix(%3.i[0])\nif and(le(0, i), lt(i, 9)) {\n}\n%2.y[i] = 1f32\n", "store to 'y'"},
    {"var i any\nlet i = ix(%3.i[0])\nif le(0, i) {\n} else {\n%2.y[i] = 1f32\n}\n", "store to 'y'"},
    {"var i < 20\nfor i = 0, 20 {\n%5.w[0] = select(lt(i, 9), 0f32, %2.y[i])\n}\n", "load of 'y', dimension 0: index i may be above 9"},
    {"var i < 20\nfor i = 0, 20 {\n%5.w[0] = select(and(lt(0f32, %2.y[i]), lt(i, 9)), 0f32, 1f32)\n}\n", "load of 'y'"},
    {"var i < 20\nfor i = 0, 20 {\n%5.w[0] = select(lt(i, 9), %2.y[i], 1f32) + %2.y[i]\n}\n", "load of 'y'"},
    {"var i < 3\nfor i = 0, 4 {\n%2.y[i] = 0f32\n}\n", "variable 'i', declared as 0 to 2, takes values from 0 to 3"},
    {"var i 1..9\nfor i = 0, 9 {\n%2.y[i] = 0f32\n}\n", "variable 'i', declared as 1 to 9"},
    {"var i < 3\nlet i = ix(%3.i[0])\n%2.y[i] = 0f32\n", "variable 'i', declared as 0 to 2"},
    {"var l 0..9, r < M, a f32\ntile {\nlane l 10\nsum r M\nacc a\nbody %1.x[0,r]\n%2.y[l] = a\n%2.y[l + 1] = a\n}\n", "index l + 1 may be above 9"},
    {"if true {\n%2.y[100] = 0f32\n}\n", "store to 'y'"},
    {"var i 0..9\nfor i = 0, fdiv(max(min(M, 3) - min(M, 1), 0) + 1, 2) {\n%5.w[N + 5] = 0f32\n}\n", "store to 'w'"},
    {"var k 0..2, l < 3\nfor k = 0, mod(fdiv(N, 2), 3) {\nfor l = 0, 3 {\n%5.w[0] = %1.x[6*fdiv(N, 6) + 2*k + l,0]\n}\n}\n", "load of 'x', dimension 0"},
    {"var k 0..2, l < 2\nfor k = 0, mod(fdiv(N, 3), 3) {\nfor l = 0, 2 {\n%5.w[0] = %1.x[6*fdiv(N, 6) + 2*k + l,0]\n}\n}\n", "load of 'x', dimension 0"},
    {"var j 0..479\nfor j = 0, 12*N {\n%2.y[fdiv(j, N - 1)] = 0f32\n}\n", "store to 'y'"},
    {"var j 0..1400\nfor j = 0, max(N - 5, 0)*M + 1 {\n%5.w[0] = %1.x[0,fdiv(j, max(N - 5, 0))]\n}\n", "load of 'x', dimension 1"},
    {"var j 0..42\nfor j = 0, 3*max(min(fdiv(N + 2, 3), N - 2*fdiv(N + 2, 3)), 0) + 1 {\n%5.w[N + 3 - max(min(fdiv(N + 2, 3), N - 2*fdiv(N + 2, 3)), 0) + fdiv(j, 3)] = 0f32\n}\n", "store to 'w'"},
    {"var j 0..38\nfor j = 0, N - 1 {\n%2.y[fdiv(j + 5, N - 1) - 3] = 0f32\n}\n", "index fdiv(j + 5, N - 1) - 3 may be below -2"},
    {"var j 0..8\nfor j = 0, 9 {\n%2.y[mod(j, N - 20)] = 0f32\n}\n", "index mod(j, N - 20) may be below -2"},
    {"var q 0..2, l < 4, r < N\nfor q = 0, fdiv(12 - N, 4) {\nfor l = 0, 4 {\nfor r = 0, N {\n%2.y[l + r] = 0f32\n}\n}\n}\n", "index l + r may be above 9"},
    {"var r 0..40, a f32\ntile {\nsum r M + 1\nacc a\nbody %1.x[0,r]\n%2.y[0] = a\n}\n", "load of 'x', dimension 1: index r may be above M - 1"},
};

static void test_sound(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(sound); k++) {
        const char *why = nest_check(arena, parsed(str_fmt(arena, "%s%s", head, sound[k])));
        if (why)
            fail_msg("%s\n%s", sound[k], why);
    }
}

static void test_unsound(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(unsound); k++) {
        const char *why = nest_check(arena, parsed(str_fmt(arena, "%s%s", head, unsound[k].line)));
        if (!why || !strstr(why, unsound[k].what))
            fail_msg("%s\n%s", unsound[k].line, why ? why : "no problem was found");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_forms, setup, teardown),
        cmocka_unit_test_setup_teardown(test_multiple, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_text, setup, teardown), cmocka_unit_test_setup_teardown(test_sound, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unsound, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * The proof that parts do not disturb each other (ir/part_check.c): units that are sound pass, and each of them with one
 * thing made wrong is refused for the right reason. */
#include "context.h"
#include "ir/nest.h"
#include "ir/part.h"

/* text with every `from` replaced, which must be there. */
static const char *changed(const char *text, const char *from, const char *to)
{
    Text t = {.arena = arena};
    const char *at = strstr(text, from);
    if (!at)
        fail_msg("'%s' is not in the text", from);
    for (; at; text = at + strlen(from), at = strstr(text, from)) {
        text_put(&t, text, (size_t)(at - text));
        text_add(&t, "%s", to);
    }
    text_add(&t, "%s", text);
    return text_str(&t);
}

static const char *verdict(const char *text)
{
    Unit *u = unit_parse(&cx, text);
    if (!u)
        fail_msg("%s%s", problems(), text);
    return part_check(arena, u);
}

/* why NULL: the changed text is sound. */
typedef struct Change { const char *from, *to, *why; } Change;

static void judge(const char *text, const Change *c, size_t n)
{
    const char *why = verdict(text);
    if (why)
        fail_msg("sound, but: %s\n%s", why, text);
    for (size_t k = 0; k < n; k++) {
        why = verdict(changed(text, c[k].from, c[k].to));
        if (!c[k].why && why)
            fail_msg("'%s' is sound, but: %s", c[k].to, why);
        if (c[k].why && (!why || !strstr(why, c[k].why)))
            fail_msg("'%s' is refused with '%s' instead of '%s'", c[k].to, why ? why : "nothing", c[k].why);
    }
}

/* Rows of %2 from those of %1; then each row of %3 from the rows of %2 around it; then a sum over all, on one part. */
static const char window[] =
    "unit window\n"
    "arena 832 bound 832 align 64\n"
    "threads 2 4 scratch 64\n"
    "buf %1.x input 0 f32[8,16]\n"
    "buf %2.t arena f32[8,16] halo 1+1,0+0 pad (0.0) at 0 pool 0\n"
    "buf %3.u arena f32[8,4] at 640 pool 0\n"
    "buf %4.y output 0 f32[1]\n"
    "func n000_rows macs 0 split\n"
    "  var once < 1, last < 1, j < 16, j_2 < 16, i < 8, j_3 < 16\n"
    "  for once = 0, 1 parallel 0 of 8 {\n"
    "    for j = 0, 16 {\n"
    "      %2.t[-1,j] = 0f32\n"
    "    }\n"
    "  }\n"
    "  for last = 0, 1 parallel 7 of 8 {\n"
    "    for j_2 = 0, 16 {\n"
    "      %2.t[8,j_2] = 0f32\n"
    "    }\n"
    "  }\n"
    "  for i = 0, 8 parallel 0 of 8 {\n"
    "    for j_3 = 0, 16 {\n"
    "      %2.t[i,j_3] = %1.x[i,j_3]\n"
    "    }\n"
    "  }\n"
    "func n001_window macs 0 split meet 1 1\n"
    "  var i < 8, j < 4, r < 3, acc f32\n"
    "  buf %5.row scratch f32[4] at 768 pool 0\n"
    "  for i = 0, 8 parallel 0 of 8 {\n"
    "    for j = 0, 4 {\n"
    "      let acc = 0f32\n"
    "      for r = 0, 3 {\n"
    "        acc = acc + %2.t[i + r - 1,4*j]\n"
    "      }\n"
    "      %5.row[j] = acc\n"
    "      %3.u[i,j] = %5.row[j]\n"
    "    }\n"
    "  }\n"
    "func n002_sum macs 0 meet 1 3\n"
    "  var i < 8, acc f32\n"
    "  let acc = 0f32\n"
    "  for i = 0, 8 {\n"
    "    acc = acc + %3.u[i,0]\n"
    "  }\n"
    "  %4.y[0] = acc\n";

static void test_window(void **state)
{
    (void)state;
    static const Change change[] = {
        {"func n001_window macs 0 split meet 1 1", "func n001_window macs 0 split meet 1 3", NULL},
        /* a meeting removed, or too weak */
        {"func n001_window macs 0 split meet 1 1", "func n001_window macs 0 split", "in n000_rows and part"},
        {"func n002_sum macs 0 meet 1 3", "func n002_sum macs 0", "in n001_window and part"},
        {"func n002_sum macs 0 meet 1 3", "func n002_sum macs 0 meet 1 1", "part 0 in n002_sum touch the same element"},
        {"%2.t[i + r - 1,4*j]", "%2.t[7 - i,4*j + r]", "part 3 in n001_window"},
        /* the next part's rows, two parts away with four parts: a unit may be sound for some counts only */
        {"%2.t[i + r - 1,4*j]", "%2.t[min(i + 2*r, 7),4*j]", "of 4 in n000_rows"},
        /* boxes that overlap within a function */
        {"for once = 0, 1 parallel 0 of 8", "for once = 0, 1", "in n000_rows and part 1 in n000_rows"},
        {"parallel 0 of 8 {\n    for j_3", "parallel 0 of 8 needed 1 below 0 above 1 {\n    for j_3", "in n000_rows and part"},
        {"%2.t[i,j_3] = %1.x[i,j_3]", "%2.t[min(i, 3),j_3] = %1.x[i,j_3]", "in n000_rows and part"},
        {"%2.t[i,j_3] = %1.x[i,j_3]", "%2.t[i,j_3] = %2.t[i - 1,j_3]", "in n000_rows and part"},
        {"%3.u[i,j] = %5.row[j]", "%3.u[0,j] = %5.row[j]", "in n001_window and part"},
        {"for i = 0, 8 parallel 0 of 8 {\n    for j = 0, 4", "for i = 0, 8 parallel 8 of 16 {\n    for j = 0, 4", "in n001_window"},
        /* cut otherwise than the function before: the next row is still with the neighbour */
        {"for i = 0, 8 parallel 0 of 8 {\n    for j = 0, 4", "for i = 0, 8 parallel 0 of 9 {\n    for j = 0, 4", NULL},
        /* bytes under two names while parts have not met */
        {"%3.u arena f32[8,4] at 640", "%3.u arena f32[8,4] at 576", "buffers 3 and 2 share bytes"},
        /* scratch that is not a part's own, and what is shared among what is */
        {"%5.row scratch f32[4] at 768", "%5.row scratch f32[4] at 640", "buffer 5 lies on the border"},
        {"%5.row scratch f32[4] at 768", "%5.row scratch f32[4] at 832", "buffer 5 lies on the border"},
        {"%3.u arena f32[8,4] at 640", "%3.u arena f32[8,4] at 704", "buffer 3 lies on the border"},
        /* every part writes what is not in a parallel loop of a split function */
        {"func n002_sum macs 0 meet 1 3", "func n002_sum macs 0 split meet 1 3", "in n002_sum and part 1 in n002_sum"},
    };
    judge(window, change, COUNT(change));
}

/* Meetings of neighbours add up: two of them order what is two parts apart. */
static const char chain[] =
    "unit chain\n"
    "arena 768 bound 768 align 64\n"
    "threads 4 scratch 0\n"
    "buf %1.x input 0 f32[4]\n"
    "buf %2.t arena f32[4] halo 0+2 pad (0.0) at 0 pool 0\n"
    "buf %3.u arena f32[4] at 64 pool 0\n"
    "buf %4.y output 0 f32[4]\n"
    "func n000_a macs 0 split\n"
    "  var i < 4\n"
    "  for i = 0, 4 parallel 0 of 4 {\n"
    "    %2.t[i] = %1.x[i]\n"
    "  }\n"
    "func n001_b macs 0 split meet 1\n"
    "  var i < 4\n"
    "  for i = 0, 4 parallel 0 of 4 {\n"
    "    %3.u[i] = %2.t[i + 1]\n"
    "  }\n"
    "func n002_c macs 0 split meet 1\n"
    "  var i < 4\n"
    "  for i = 0, 4 parallel 0 of 4 {\n"
    "    %4.y[i] = %2.t[i + 2]\n"
    "  }\n";

static void test_chain(void **state)
{
    (void)state;
    static const Change change[] = {
        {"func n002_c macs 0 split meet 1", "func n002_c macs 0 split", "in n000_a and part 0 in n002_c"},
        {"func n001_b macs 0 split meet 1", "func n001_b macs 0 split", "in n000_a and part 0 in n001_b"},
        {"%4.y[i] = %2.t[i + 2]", "%4.y[i] = %2.t[3 - i]", "part 0 of 4 in n000_a and part 3 in n002_c"},
        {"%4.y[i] = %2.t[i + 2]", "%4.y[i] = %2.t[i]", NULL},
        /* written again before those who read it have been met */
        {"%3.u[i] = %2.t[i + 1]", "%2.t[3 - i] = %1.x[i]", "in n000_a and part"},
    };
    judge(chain, change, COUNT(change));
}

/* Sums of two rows from a ring of two: who begins in the middle makes the row that the unit before would have left there. */
static const char ring[] =
    "unit ring\n"
    "arena 64 bound 64 align 64\n"
    "threads 2 5 scratch 64\n"
    "buf %1.x input 0 f32[6]\n"
    "buf %2.y output 0 f32[5]\n"
    "func n000_sums macs 0 split\n"
    "  var once 0..0, i 0..3, i_2 0..3\n"
    "  buf %3.r scratch f32[2] at 0 pool 0\n"
    "  for once = 0, 1 parallel 0 of 5 {\n"
    "    %3.r[0] = %1.x[0]\n"
    "    %3.r[1] = %1.x[1]\n"
    "    %2.y[0] = %3.r[0] + %3.r[1]\n"
    "  }\n"
    "  for i = 0, 4 lead 1 of 5 {\n"
    "    %3.r[mod(i + 1, 2)] = %1.x[i + 1]\n"
    "  }\n"
    "  for i_2 = 0, 4 parallel 1 of 5 {\n"
    "    %3.r[mod(i_2, 2)] = %1.x[i_2 + 2]\n"
    "    %2.y[i_2 + 1] = %3.r[0] + %3.r[1]\n"
    "  }\n";

static void test_ring(void **state)
{
    (void)state;
    static const Change change[] = {
        {"lead 1 of 5", "lead 2 of 5", "buffer 3"},
        {"for i = 0, 4 lead 1 of 5", "for i = 0, 3 lead 1 of 5", "buffer 3"},
        {"%3.r[mod(i + 1, 2)]", "%3.r[mod(i, 2)]", "buffer 3"},
    };
    judge(ring, change, COUNT(change));
}

/* An extent that a call decides is known to part 0 alone until parts have met. */
static const char extent[] =
    "unit extent\n"
    "sym C 0..8 = call\n"
    "arena 64 bound 64 align 64\n"
    "threads 2 scratch 0\n"
    "buf %1.on input 0 bool[8]\n"
    "buf %2.places arena i64[C] at 0 pool 0\n"
    "buf %3.x input 1 f32[8]\n"
    "buf %4.y output 0 f32[8]\n"
    "func n000_call macs 0\n"
    "  call compress(%1.on, %2.places; 8; C; _)\n"
    "func n001_use macs 0 split meet 1\n"
    "  var i < 8\n"
    "  for i = 0, 8 parallel 0 of 8 {\n"
    "    if lt(i, C) {\n"
    "      %4.y[i] = %3.x[i]\n"
    "    }\n"
    "  }\n";

static void test_extent(void **state)
{
    (void)state;
    static const Change change[] = {
        {"func n001_use macs 0 split meet 1", "func n001_use macs 0 split", "n001_use uses an extent that n000_call decides"},
        {"func n001_use macs 0 split meet 1", "func n001_use macs 0 split meet 0", "n001_use uses an extent that n000_call decides"},
        {"func n000_call macs 0", "func n000_call macs 0 shares 4", "n000_call is dealt out but not cut"},
    };
    judge(extent, change, COUNT(change));
}

/* Blocks of channels times rows; scratch has the rows that a part needs, which are one more than those it makes. */
static const char pairs[] =
    "unit pairs\n"
    "arena 640 bound 640 align 64\n"
    "threads 2 3 4 scratch 640\n"
    "buf %1.x input 0 f32[3,8,4]\n"
    "buf %2.y output 0 f32[3,8,4]\n"
    "func n000_rows macs 0 split\n"
    "  var c < 3, z < 4, k < 8, j < 4, i < 8, j_2 < 4, r < 2, acc f32\n"
    "  buf %3.row scratch f32[8,4] halo 0+1,0+0 pad (0.0) at 0 pool 0\n"
    "  for c = 0, 3 parallel 0 of 3 each 8 {\n"
    "    for z = 0, 4 {\n"
    "      %3.row[8,z] = 0f32\n"
    "    }\n"
    "    for k = 0, 8 parallel 0 of 8 needed 1 below 0 above 1 {\n"
    "      for j = 0, 4 {\n"
    "        %3.row[k,j] = %1.x[c,k,j]\n"
    "      }\n"
    "    }\n"
    "    for i = 0, 8 parallel 0 of 8 {\n"
    "      for j_2 = 0, 4 {\n"
    "        let acc = 0f32\n"
    "        for r = 0, 2 {\n"
    "          acc = acc + %3.row[i + r,j_2]\n"
    "        }\n"
    "        %2.y[c,i,j_2] = acc\n"
    "      }\n"
    "    }\n"
    "  }\n";

static void test_pairs(void **state)
{
    (void)state;
    static const Change change[] = {
        {"needed 1 below 0 above 1", "needed 1 below 1 above 2", NULL},
        /* a row too few, at either end, or half of the rows */
        {"needed 1 below 0 above 1", "needed 1 below 0 above 0", "reads of buffer 3 what it has not written"},
        {"needed 1 below 0 above 1", "needed 1 below -1 above 1", "reads of buffer 3 what it has not written"},
        {"needed 1 below 0 above 1", "needed 2 below 0 above 1", "reads of buffer 3 what it has not written"},
        {"%3.row[8,z] = 0f32", "%3.row[7,z] = 0f32", "reads of buffer 3 what it has not written"},
        {"parallel 0 of 8 needed 1 below 0 above 1", "parallel 0 of 8", "reads of buffer 3 what it has not written"},
        /* the units inside are not those that are dealt out */
        {"of 3 each 8", "of 3 each 7", "of other units than the loop around it has"},
        {"of 3 each 8", "of 3", "inside one that deals out the same units"},
        {"for z = 0, 4 {", "for z = 0, 4 parallel 0 of 4 each 3 {", "of other units than the loop around it has"},
        {"for z = 0, 4 {", "for z = 0, 4 parallel 0 of 4 each 2 {", "reads of buffer 3 what it has not written"},
        {"macs 0 split", "macs 0", "in a function that part 0 alone runs"},
        /* a row of a block is shared by two parts, so all of it is both's */
        {"%2.y[c,i,j_2] = acc", "%2.y[c,i - mod(i,2),j_2] = acc", "in n000_rows and part"},
        {"%2.y[c,i,j_2] = acc", "%2.y[0,i,j_2] = acc", "in n000_rows and part"},
    };
    judge(pairs, change, COUNT(change));
}

/* A sum that grows along a row, and all rows. */
static const char running[] =
    "unit running\n"
    "arena 0 bound 0 align 64\n"
    "threads 2 3 scratch 0\n"
    "buf %1.x input 0 f32[4,8]\n"
    "buf %2.y output 0 f32[4,8]\n"
    "func n000_sums macs 0 split\n"
    "  var i < 4, acc f32, j < 8\n"
    "  for i = 0, 4 parallel 0 of 4 {\n"
    "    let acc = 0f32\n"
    "    for j = 0, 8 {\n"
    "      acc = acc + %1.x[i,j]\n"
    "      %2.y[i,j] = acc\n"
    "    }\n"
    "  }\n";

static void test_running(void **state)
{
    (void)state;
    static const Change change[] = {
        {"  for i = 0, 4 parallel 0 of 4 {\n    let acc = 0f32\n    for j = 0, 8 {", "  for i = 0, 4 parallel 0 of 4 each 8 {\n    let acc = 0f32\n    for j = 0, 8 parallel 0 of 8 {",
         "hands a register on from one iteration to the next"},
        {"  for i = 0, 4 parallel 0 of 4 {\n    let acc = 0f32\n", "  let acc = 0f32\n  for i = 0, 4 parallel 0 of 4 {\n", "hands a register on from one iteration to the next"},
    };
    judge(running, change, COUNT(change));
}

/* Columns of rows of pieces: units of three loops. Each part makes the rows of scratch that it has units in. */
static const char triples[] =
    "unit triples\n"
    "arena 640 bound 640 align 64\n"
    "threads 2 3 5 7 scratch 640\n"
    "buf %1.x input 0 f32[2,3,4]\n"
    "buf %2.y output 0 f32[2,3,4]\n"
    "func n000_columns macs 0 split\n"
    "  var p < 2, i < 3, z < 4, j < 4\n"
    "  buf %3.row scratch f32[4] at 0 pool 0\n"
    "  for p = 0, 2 parallel 0 of 2 each 12 {\n"
    "    for i = 0, 3 parallel 0 of 3 each 4 {\n"
    "      for z = 0, 4 {\n"
    "        %3.row[z] = %1.x[p,i,z]\n"
    "      }\n"
    "      for j = 0, 4 parallel 0 of 4 {\n"
    "        %2.y[p,i,j] = %3.row[j]\n"
    "      }\n"
    "    }\n"
    "  }\n";

static void test_triples(void **state)
{
    (void)state;
    static const Change change[] = {
        {"for z = 0, 4 {", "for z = 0, 4 parallel 0 of 4 {", NULL},
        {"%3.row[j]", "%3.row[min(j,1)]", NULL},
        /* the row made from those of a part's own columns, of which it reads another */
        {"for z = 0, 4 {\n        %3.row[z] = %1.x[p,i,z]\n      }\n      for j = 0, 4 parallel 0 of 4 {\n        %2.y[p,i,j] = %3.row[j]",
         "for z = 0, 4 parallel 0 of 4 {\n        %3.row[z] = %1.x[p,i,z]\n      }\n      for j = 0, 4 parallel 0 of 4 {\n        %2.y[p,i,j] = %3.row[3 - j]", "reads of buffer 3 what it has not written"},
        {"%3.row[z] = %1.x[p,i,z]", "%3.row[min(z,2)] = %1.x[p,i,z]", "reads of buffer 3 what it has not written"},
        /* units that are not those of the loops around */
        {"of 2 each 12", "of 2 each 11", "of other units than the loop around it has"},
        {"of 3 each 4", "of 3 each 3", "of other units than the loop around it has"},
        {"of 3 each 4", "of 4 each 3", "of other units than the loop around it has"},
        {"for z = 0, 4 {", "for z = 0, 4 parallel 0 of 2 each 2 {", "inside one that deals out the same units"},
        /* a column, a row and a piece that two parts write */
        {"%2.y[p,i,j] = ", "%2.y[p,i,j - mod(j,2)] = ", "in n000_columns and part"},
        {"%2.y[p,i,j] = ", "%2.y[p,max(i - 1,0),j] = ", "in n000_columns and part"},
        {"%2.y[p,i,j] = ", "%2.y[0,i,j] = ", "in n000_columns and part"},
    };
    judge(triples, change, COUNT(change));
}

/* %3 lies where %2 does: each element is written by the part that has read it there. */
static const char in_place[] =
    "unit in place\n"
    "arena 64 bound 64 align 64\n"
    "threads 2 4 scratch 0\n"
    "buf %1.x input 0 f32[8]\n"
    "buf %2.t arena f32[8] at 0 pool 0\n"
    "buf %3.u arena f32[8] at 0 pool 0\n"
    "buf %4.y output 0 f32[8]\n"
    "func n000_a macs 0 split\n"
    "  var i < 8\n"
    "  for i = 0, 8 parallel 0 of 8 {\n"
    "    %2.t[i] = %1.x[i]\n"
    "  }\n"
    "func n001_b macs 0 split\n"
    "  var i < 8\n"
    "  for i = 0, 8 parallel 0 of 8 {\n"
    "    %3.u[i] = %2.t[i]\n"
    "  }\n"
    "func n002_c macs 0 split meet 1 3\n"
    "  var i < 8\n"
    "  for i = 0, 8 parallel 0 of 8 {\n"
    "    %4.y[i] = %3.u[7 - i]\n"
    "  }\n";

static void test_in_place(void **state)
{
    (void)state;
    static const Change change[] = {
        {"func n002_c macs 0 split meet 1 3", "func n002_c macs 0 split", "in n000_a and part"},
        {"%3.u[i] = %2.t[i]", "%3.u[i] = %2.t[max(i - 1, 0)]", "in n000_a and part"},
        {"%3.u[i] = %2.t[i]", "%3.u[7 - i] = %1.x[i]", "in n000_a and part"},
        {"%3.u[i] = %2.t[i]", "%3.u[7 - i] = %2.t[7 - i]", "in n000_a and part"},
        {"%3.u arena f32[8] at 0", "%3.u arena f32[8] halo 0+1 pad (0.0) at 0", "buffers 3 and 2 share bytes"},
        {"%3.u arena f32[8] at 0", "%3.u arena f32[8] at 64", "buffer 3 lies on the border"},
    };
    judge(in_place, change, COUNT(change));
}

/* Rows in five shares and in eight, taken by two parts and by four: each with its row of scratch, both functions of a step by
 * the share. */
static const char dealt[] =
    "unit dealt\n"
    "arena 640 bound 640 align 64\n"
    "threads 2 4 scratch 64\n"
    "buf %1.x input 0 f32[8,16]\n"
    "buf %2.t arena f32[8,16] at 0 pool 0\n"
    "buf %3.u arena f32[8,16] at 0 pool 0\n"
    "buf %4.y output 0 f32[8,16]\n"
    "func n000_rows macs 0 split shares 5 8\n"
    "  var i < 8, j < 16, j_2 < 16\n"
    "  buf %5.row scratch f32[16] at 576 pool 0\n"
    "  for i = 0, 8 parallel 0 of 8 {\n"
    "    for j = 0, 16 {\n"
    "      %5.row[j] = %1.x[i,j]\n"
    "    }\n"
    "    for j_2 = 0, 16 {\n"
    "      %2.t[i,j_2] = %5.row[j_2]\n"
    "    }\n"
    "  }\n"
    "func n001_more macs 0 split shares 5 8\n"
    "  var i < 8, j < 16\n"
    "  for i = 0, 8 parallel 0 of 8 {\n"
    "    for j = 0, 16 {\n"
    "      %3.u[i,j] = -%2.t[i,j]\n"
    "    }\n"
    "  }\n"
    "func n002_turn macs 0 split meet 1 3\n"
    "  var i < 8, j < 16\n"
    "  for i = 0, 8 parallel 0 of 8 {\n"
    "    for j = 0, 16 {\n"
    "      %4.y[i,j] = %3.u[7 - i,j]\n"
    "    }\n"
    "  }\n";

static void test_dealt(void **state)
{
    (void)state;
    static const Change change[] = {
        {"func n002_turn macs 0 split meet 1 3", "func n002_turn macs 0 split meet 1 3 shares 8 0", NULL},
        /* somebody may still have a share, or have none yet */
        {"func n002_turn macs 0 split meet 1 3", "func n002_turn macs 0 split meet 1 1", "part"},
        {"func n001_more macs 0 split", "func n001_more macs 0 split meet 1 1", "n000_rows is dealt out where not all parts meet"},
        {"func n001_more macs 0 split", "func n001_more macs 0 split meet 1 3", NULL},
        {"func n002_turn macs 0 split meet 1 3", "func n002_turn macs 0 split meet 0 3", "part"},
        /* one step, one deal */
        {"func n001_more macs 0 split shares 5 8", "func n001_more macs 0 split shares 5 4", "n001_more is cut into other shares than n000_rows"},
        {"func n001_more macs 0 split shares 5 8", "func n001_more macs 0 split", "n001_more is cut into other shares than n000_rows"},
        {"shares 5 8", "shares 5 3", "n000_rows is dealt out in 3 shares"},
        {"shares 5 8", "shares 70000 8", "n000_rows is dealt out in 70000 shares"},
        /* sound for parts, which have four rows or two each, not for shares, which have one or two */
        {"%3.u[i,j] = -%2.t[i,j]", "%3.u[2*fdiv(i,2),j] = -%2.t[2*fdiv(i,2),j]", "of 5 in n000_rows touch the same element"},
        {"%2.t[i,j_2] = %5.row[j_2]", "%2.t[2*fdiv(i,2),j_2] = %5.row[j_2]", "shares 2 and 3 of 5 in n000_rows touch the same element"},
        {"%2.t[i,j_2] = %5.row[j_2]", "%2.t[i,j_2] = %2.t[2*fdiv(i,2),j_2]", "shares 2 and 3 of 5 in n000_rows touch the same element"},
        {"shares 5 8", "shares 2 4", NULL},
        {"%5.row scratch f32[16] at 576", "%5.row scratch f32[16] at 512", "buffer 5 lies on the border"},
    };
    judge(dealt, change, COUNT(change));
}

/* A share fills itself what it needs, the row behind its last one too. Three parts have a block each and no such row. */
static void test_dealt_scratch(void **state)
{
    (void)state;
    static const Change sound[] = {{"macs 0 split", "macs 0 split shares 8 9 12", NULL}, {"macs 0 split", "macs 0 split shares 24 24 24", NULL}};
    static const Change less[] = {{"macs 0 split", "macs 0 split shares 24", "share 0 of 24 in n000_rows reads of buffer 3 what it has not written"}};
    judge(pairs, sound, COUNT(sound));
    judge(changed(changed(pairs, "threads 2 3 4", "threads 3"), "above 1", "above 0"), less, COUNT(less));
}

/* A part of two has written four rows and the border beside them, and reads one row that it has not: columns 0 to 12. */
static void test_missing(void **state)
{
    (void)state;
    const Unit *u = unit_parse(&cx, window);
    assert_non_null(u);
    for (int32_t part = 0; part < 2; part++) {
        const Touches reads = part_touches(arena, part_accesses(arena, u, u->func.at[1]), part, 2);
        const Touches rows = part_touches(arena, part_accesses(arena, u, u->func.at[0]), part, 2), *const own[] = {&rows};
        assert_int_equal((int)touched_missing(u, &reads, 2, own, 1), 52);
        assert_int_equal((int)touched_missing(u, &reads, 2, own, 0), 6 * 52);
        assert_int_equal((int)touched_missing(u, &reads, 1, own, 1), 0);
    }
}

/* Four units of four lanes: each reads its column of w, and all of v. */
static const char product[] =
    "unit product\n"
    "arena 0 bound 0 align 64\n"
    "threads 2 4 scratch 0\n"
    "buf %1.y output 0 f32[16]\n"
    "buf %2.w const f32[3,16] (fill 1.0)\n"
    "buf %3.v const f32[3] (fill 1.0)\n"
    "func n000_product macs 48 split\n"
    "  var j < 4, l < 4, k < 3, acc f32\n"
    "  for j = 0, 4 parallel 0 of 4 {\n"
    "    for l = 0, 4 {\n"
    "      let acc = 0f32\n"
    "      for k = 0, 3 {\n"
    "        acc = acc + %2.w[k,4*j + l]*%3.v[k]\n"
    "      }\n"
    "      %1.y[4*j + l] = acc\n"
    "    }\n"
    "  }\n";

static void test_constants(void **state)
{
    (void)state;
    const Unit *u = unit_parse(&cx, product);
    if (!u)
        fail_msg("%s", problems());
    const Accesses *of = part_accesses(arena, u, u->func.at[0]);
    for (int32_t parts = 1; parts <= 4; parts *= 2)
        for (int32_t part = 0; part < parts; part++) {
            const Touches constants = part_constants(arena, of, part, parts), others = part_touches(arena, of, part, parts);
            assert_int_equal((int)touched_bytes(u, &constants), 4 * (3 * 16 / parts + 3));
            assert_int_equal((int)touched_bytes(u, &others), 4 * 16 / parts);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_window, setup, teardown),
        cmocka_unit_test_setup_teardown(test_chain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ring, setup, teardown),
        cmocka_unit_test_setup_teardown(test_extent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pairs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_running, setup, teardown),
        cmocka_unit_test_setup_teardown(test_triples, setup, teardown),
        cmocka_unit_test_setup_teardown(test_in_place, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dealt, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dealt_scratch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_constants, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

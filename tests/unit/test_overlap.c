/* SPDX-License-Identifier: Apache-2.0
 * Results over operands (compiler/overlap.c, overlap_seen.c) against every access of small nests, byte by byte: at the gap
 * no load meets a byte that is written already, in whatever order the points of a tile come; below it, where all is
 * plain loops, one does. */
#include "indices.h"
#include "compiler/overlap.h"
#include "compiler/schedule.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- every access of a function ---- */

typedef enum Order { AS_WRITTEN, LOADS_FIRST, BACKWARDS } Order; /* of the points of a tile */

typedef struct Trace {
    const Unit *u;
    uint32_t in, out;
    int64_t distance;
    Order order;
    Indices at;
    char *written;    /* bytes from the beginning of out on */
    int64_t bytes;
    bool loads, stores; /* which of the accesses count in this pass over a tile */
    bool clash;
} Trace;

/* Byte of the element, -1 outside the buffer. */
static int64_t byte_of(const Trace *t, const Buf *b, const Expr *const *idx)
{
    int64_t at = 0;
    for (uint8_t d = 0; d < b->rank; d++) {
        const int64_t i = indices_value(&t->at, idx[d]);
        if (i < -b->lo[d] || i >= b->dim[d]->v.i + b->hi[d])
            return -1;
        at += (i + b->lo[d]) * b->stride[d]->v.i;
    }
    return at * (int64_t)dtype_bytes(b->dt);
}

static void load(void *ctx, const Expr *e)
{
    Trace *t = ctx;
    if ((e->op != EX_load && e->op != EX_loadp) || e->v.ref != t->in)
        return;
    const int64_t at = byte_of(t, buf(t->u, t->in), e->a), size = (int64_t)dtype_bytes(buf(t->u, t->in)->dt);
    for (int64_t k = at + t->distance; at >= 0 && k < at + t->distance + size; k++)
        t->clash = t->clash || (k >= 0 && k < t->bytes && t->written[k]);
}

/* A choice takes the side that it takes. */
static void loads(Trace *t, const Expr *e)
{
    if (!e)
        return;
    if (e->op == EX_select && e->a[0]->a[0]->dt == DT_ix) {
        loads(t, indices_value(&t->at, e->a[0]) ? e->a[1] : e->a[2]);
        return;
    }
    load(t, e);
    const uint16_t n = e->op == EX_load ? 0 : e->op == EX_loadp ? 0 : e->n;
    for (uint16_t k = 0; k < n; k++)
        loads(t, e->a[k]);
}

static void store(Trace *t, const Store *s)
{
    if (t->loads)
        loads(t, s->value);
    if (!t->stores || s->buf != t->out)
        return;
    const int64_t at = byte_of(t, buf(t->u, t->out), s->idx);
    memset(t->written + at, 1, dtype_bytes(buf(t->u, t->out)->dt));
}

static void reduce(Trace *t, const Tile *tile, int k)
{
    if (k == tile->nr) {
        loads(t, tile->body);
        return;
    }
    for (int64_t i = 0; i < tile->rext[k]->v.i; i++, t->at.n--) {
        indices_push(&t->at, tile->rvar[k], i);
        reduce(t, tile, k + 1);
    }
}

static void element(Trace *t, const Tile *tile)
{
    if (t->loads)
        reduce(t, tile, 0);
    for (int k = 0; k < tile->nstore; k++)
        store(t, &tile->store[k]);
}

static void points(Trace *t, const Tile *tile, int k, bool backwards)
{
    const bool lane = k == tile->np;
    if (lane && (!tile->lane || tile->across)) {
        element(t, tile);
        return;
    }
    if (k > tile->np) {
        element(t, tile);
        return;
    }
    const int32_t n = lane ? tile->lanes : tile->pext[k];
    for (int32_t i = 0; i < n; i++, t->at.n--) {
        indices_push(&t->at, lane ? tile->lane : tile->pvar[k], backwards ? n - 1 - i : i);
        points(t, tile, k + 1, backwards);
    }
}

static void pass(Trace *t, const Tile *tile, bool with_loads, bool with_stores, bool backwards)
{
    t->loads = with_loads;
    t->stores = with_stores;
    points(t, tile, 0, backwards);
    t->loads = t->stores = true;
}

static void run(Trace *t, const Nest *n)
{
    if (n->op == NS_for) {
        for (int64_t i = 0; i < n->extent->v.i; i++, t->at.n--) {
            indices_push(&t->at, n->var, i);
            for (uint32_t k = 0; k < n->body.n; k++)
                run(t, n->body.at[k]);
        }
        return;
    }
    loads(t, n->expr);
    if (n->op == NS_store)
        store(t, &n->store);
    if (n->op == NS_tile && t->order == LOADS_FIRST) {
        pass(t, n->tile, true, false, false);
        pass(t, n->tile, false, true, false);
    } else if (n->op == NS_tile) {
        pass(t, n->tile, true, true, t->order == BACKWARDS);
    }
    for (uint32_t k = 0; k < n->body.n; k++)
        run(t, n->body.at[k]);
}

static bool clashes(const Unit *u, const Func *f, uint32_t in, uint32_t out, int64_t distance, Order order)
{
    Trace t = {.u = u, .in = in, .out = out, .distance = distance, .order = order, .bytes = buf(u, out)->bytes, .loads = true, .stores = true};
    t.written = calloc((size_t)t.bytes, 1);
    run(&t, f->body);
    free(t.written);
    return t.clash;
}

/* ---- programs ---- */

static uint32_t next_random(uint64_t *seed, uint32_t below)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33) % below;
}

static Unit *built(const char *te, const char *schedule)
{
    Te *t = te_parse(&cx, te);
    if (!t)
        fail_msg("%s%s", problems(), te);
    Schedule *s = schedule_new(arena, t);
    if (!schedule_parse(s, &diags, schedule))
        fail_msg("%s%s\n%s", problems(), te, schedule);
    Unit *u = build_nests(&cx, s, "test");
    if (!u)
        fail_msg("%s%s\n%s", problems(), te, schedule);
    return u;
}

typedef struct Case { int32_t c, m, h, w, k, stride, pad; const char *xt, *yt; } Case;

/* Sums over a window, of all channels or of one each; maxima; a sum with an element beside it. */
static const char *program(const Case *c, int kind)
{
    const int32_t oh = (c->h + 2 * c->pad - c->k) / c->stride + 1, ow = (c->w + 2 * c->pad - c->k) / c->stride + 1;
    const char *x = str_fmt(arena, "f32(%%x[0,%s,%d*i+r-%d,%d*j+s-%d | 0%s])", kind == 0 ? "c" : "m", c->stride, c->pad, c->stride, c->pad, c->xt);
    const char *sum = kind == 0 ? str_fmt(arena, "sum(c:%d,r:%d,s:%d) %s*%%w[m,c,r,s]", c->c, c->k, c->k, x) : str_fmt(arena, "sum(r:%d,s:%d) %s*%%w[m,0,r,s]", c->k, c->k, x);
    if (kind == 2)
        sum = str_fmt(arena, "max(r:%d,s:%d) %s", c->k, c->k, x);
    const int32_t m = kind == 0 ? c->m : c->c;
    return str_fmt(arena,
                   "input 0 %%x %s[1,%d,%d,%d]\ninput 1 %%w f32[%d,%d,%d,%d]\n"
                   "%%t f32[n:1,m:%d,i:%d,j:%d] = %s\n%%y %s[n:1,m:%d,i:%d,j:%d] = %s(%%t[0,m,i,j])\noutput 0 %%y\n",
                   c->xt, c->c, c->h, c->w, m, kind == 0 ? c->c : 1, c->k, c->k, m, oh, ow, sum, c->yt, m, oh, ow, c->yt[0] == 'i' ? "sat_i8" : "f32");
}

static const char *random_schedule(uint64_t *seed, bool tile)
{
    static const char *const order[] = {"ijm", "imj", "mij", "jim"};
    static const char *const layout[] = {"0 2 3 1", "0 1 2 3", "0 2 1 3"};
    static const char *const lane[] = {"", " m", " j"};
    const uint32_t o = next_random(seed, 4), l = next_random(seed, 3), steps = tile ? 4 : 1;
    Text loops = {.arena = arena};
    for (const char *v = order[o]; *v; v++)
        text_add(&loops, "loop %c %d; ", *v, 1 + (int)next_random(seed, *v == 'i' ? steps / 2 + 1 : steps));
    return str_fmt(arena, "%%t register %%y\n%%y root %stile%s\nlayout %%x %s\nlayout %%y %s halo 2 %d %d\n", text_str(&loops), tile ? lane[next_random(seed, 3)] : "",
                   layout[l], layout[next_random(seed, 4) ? l : next_random(seed, 3)], (int)next_random(seed, 2), (int)next_random(seed, 2));
}

static Case random_case(uint64_t *seed)
{
    static const char *const type[] = {"f32", "i8"};
    Case c = {.c = 1 + (int32_t)next_random(seed, 5), .m = 1 + (int32_t)next_random(seed, 6), .k = 1 + (int32_t)next_random(seed, 3), .stride = 1 + (int32_t)next_random(seed, 2)};
    c.h = c.k + (int32_t)next_random(seed, 5);
    c.w = c.k + (int32_t)next_random(seed, 5);
    c.pad = (int32_t)next_random(seed, (uint32_t)c.k);
    c.xt = type[next_random(seed, 2)];
    c.yt = type[next_random(seed, 2)];
    return c;
}

static void check_case(uint64_t *seed, bool tile, int *gained)
{
    const Case c = random_case(seed);
    const char *te = program(&c, (int)next_random(seed, 3)), *schedule = random_schedule(seed, tile);
    const Unit *u = built(te, schedule);
    const uint32_t in = u->input.at[0], out = u->output.at[0];
    const Func *f = u->func.at[0];
    const Overlap o = overlap_of(u, f, in, out);
    const int64_t seen = overlap_seen(u, f, in, out), bytes = buf(u, out)->bytes;
    *gained += o.gap < bytes;
    for (int order = AS_WRITTEN; order <= BACKWARDS; order++) {
        for (int64_t d = o.gap; d <= bytes; d += d == o.gap ? 1 : 7)
            if (clashes(u, f, in, out, d, (Order)order))
                fail_msg("distance %lld, order %d, gap %lld\n%s%s", (long long)d, order, (long long)o.gap, te, schedule);
        if (clashes(u, f, in, out, seen, (Order)order))
            fail_msg("seen %lld, order %d\n%s%s", (long long)seen, order, te, schedule);
        if (o.in_place && clashes(u, f, in, out, 0, (Order)order))
            fail_msg("in place, order %d\n%s%s", order, te, schedule);
    }
    if (!tile && c.pad == 0 && o.gap > -buf(u, in)->bytes && !clashes(u, f, in, out, o.gap - 1, AS_WRITTEN))
        fail_msg("the gap %lld could be less\n%s%s", (long long)o.gap, te, schedule);
}

static void test_plain_loops(void **state)
{
    (void)state;
    uint64_t seed = 7;
    int gained = 0;
    for (int k = 0; k < 300; k++)
        check_case(&seed, false, &gained);
    assert_true(gained > 100);
}

static void test_tiles(void **state)
{
    (void)state;
    uint64_t seed = 11;
    int gained = 0;
    for (int k = 0; k < 300; k++)
        check_case(&seed, true, &gained);
    assert_true(gained > 80);
}

/* ---- known distances ---- */

static Overlap of(const char *te, const char *schedule)
{
    const Unit *u = built(te, schedule);
    return overlap_of(u, u->func.at[0], u->input.at[0], u->output.at[0]);
}

static void test_known(void **state)
{
    (void)state;
    static const char map[] = "input 0 %x f32[8,4]\n%y f32[i:8,j:4] = %x[i,j]*2f32\noutput 0 %y\n";
    assert_true(of(map, "").in_place);
    assert_int_equal(of(map, "").gap, 0);
    assert_true(of(map, "%y root loop i 1; tile j\n").in_place);
    static const char back[] = "input 0 %x f32[8]\n%y f32[i:8] = %x[7-i]\noutput 0 %y\n";
    assert_false(of(back, "").in_place);
    assert_int_equal(of(back, "").gap, 4 * 7);
    static const char twice[] = "input 0 %x f32[8]\n%y f32[i:8,j:2] = %x[i]\noutput 0 %y\n";
    assert_int_equal(of(twice, "").gap, 4 * 8); /* each element is read again after its first copy is written */
    static const char types[] = "input 0 %x i32[8]\n%y f32[i:8] = f32(%x[i])\noutput 0 %y\n";
    assert_false(of(types, "").in_place); /* C takes the two to be apart */
    static const char beside[] = "input 0 %x f32[4]\ninput 1 %a f32[4,3]\n%t f32[i:4] = sum(k:3) %a[i,k]*%a[i,k]\n%y f32[i:4] = %t[i] + %x[i]\noutput 0 %y\n";
    assert_true(of(beside, "%t register %y\n%y root loop i 2; tile\n").in_place);
    static const char cut[] = "input 0 %x f32[4,9]\ninput 1 %a f32[4,9]\n%t f32[i:4,j:9] = sum(k:3) %a[i,j+k-1 | 0f32]*%a[i,j]\n%y f32[i:4,j:9] = %t[i,j] + %x[i,j]\noutput 0 %y\n";
    static const char columns[] = "%t register %y\n%y root loop i 1; loop j 4; parts; tile j\n"; /* the first, the last, and those between */
    assert_true(of(cut, columns).in_place);
    assert_true(of(cut, columns).gap > 0);
    const Unit *u = built(cut, columns);
    assert_false(clashes(u, u->func.at[0], u->input.at[0], u->output.at[0], 0, BACKWARDS));
    assert_true(clashes(u, u->func.at[0], u->input.at[0], u->output.at[0], 4, AS_WRITTEN));
    static const char both[] = "input 0 %x f32[4]\ninput 1 %a f32[4,4]\n%t f32[i:4] = sum(k:4) %a[i,k]*%x[k]\n%y f32[i:4] = %t[i] + %x[i]\noutput 0 %y\n";
    assert_false(of(both, "%t register %y\n%y root loop i 2; tile\n").in_place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_known, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plain_loops, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tiles, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

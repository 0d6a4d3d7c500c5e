/* SPDX-License-Identifier: Apache-2.0
 *
 * See memory.h. Time is the number of the function in the run. A buffer lives from the first function that has it as a
 * parameter to the last; in a run of several parts, to the last that one part may have entered while another is still in
 * that; scratch lives in one function. A function that reads each element of an input only where it
 * writes the same element of its output may do so in place when that input dies there: both then are one block. Where it
 * reads elsewhere too, the output may still lie over that input as far as overlap.h says.
 */
#include "memory_blocks.h"

#include "../ir/part.h"
#include "../ir/traffic.h"
#include "overlap.h"
#include "plan_check.h"

enum { REPORT_NODES = 1 << 14 }; /* search effort for a figure that nothing depends on */

/* By function: the last one that some part may have entered before all have left this. */
static int32_t *ends(const Unit *u, Arena *a)
{
    int32_t *t = NEWN(a, int32_t, u->func.n + 1);
    for (uint32_t f = 0, g = 0; f < u->func.n; f++) {
        for (g = g > f ? g : f; u->threads.n && g + 1 < u->func.n && !part_ordered(u, f, g + 1);)
            g++;
        t[f] = (int32_t)g;
    }
    return t;
}

static Life *lifetimes(const Unit *u, Arena *a)
{
    Life *life = NEWN(a, Life, u->buf.n);
    for (uint32_t k = 0; k < u->buf.n; k++)
        life[k] = (Life){INT32_MAX, -1};
    for (uint32_t f = 0; f < u->func.n; f++)
        for (uint32_t p = 0; p < u->func.at[f]->param.n; p++) {
            Life *l = &life[u->func.at[f]->param.at[p]];
            l->first = l->first < (int32_t)f ? l->first : (int32_t)f;
            l->last = (int32_t)f;
        }
    return life;
}

/* Parts that are behind still use what others have done with. */
static void outlive(const Unit *u, Arena *a, Life *life)
{
    const int32_t *end = ends(u, a);
    for (uint32_t k = 0; k < u->buf.n; k++)
        if (life[k].last >= 0)
            life[k].last = end[life[k].last];
}

bool memory_plans(const Buf *b)
{
    return b->cls == BC_arena || (b->cls == BC_scratch && !b->on_stack);
}

/* ---- in place ---- */

static uint32_t output_of(const Func *f) { return f->param.n ? f->param.at[f->param.n - 1] : 0; }

static bool dies_at(const Unit *u, const Life *life, uint32_t in, uint32_t f)
{
    return buf(u, in)->cls == BC_arena && life[in].last == (int32_t)f && life[in].first < (int32_t)f;
}

/* Whether parts may write `out` where `in` and what shares its block lie: what one of them has not read yet another does
 * not write over, as the elements of both are the same parts'. */
static bool parts_may_share(const Unit *u, Arena *a, const uint32_t *root, uint32_t in, uint32_t out)
{
    if (!u->threads.n)
        return true;
    uint32_t *name = NEWN(a, uint32_t, u->buf.n);
    for (uint32_t k = 1; k < u->buf.n; k++)
        name[k] = root[k] == root[in] || k == out ? in : 0;
    return buf_same_layout(buf(u, in), buf(u, out)) && part_may_share(a, u, name);
}

/* root[k]: the buffer whose block k uses. */
static uint32_t *share(const Unit *u, Arena *a, Life *life)
{
    uint32_t *root = NEWN(a, uint32_t, u->buf.n);
    for (uint32_t k = 0; k < u->buf.n; k++)
        root[k] = k;
    for (uint32_t f = 0; f < u->func.n; f++) {
        const Func *fn = u->func.at[f];
        const uint32_t out = output_of(fn);
        for (uint32_t p = 0; out && buf(u, out)->cls == BC_arena && root[out] == out && p + 1 < fn->param.n; p++) {
            const uint32_t in = fn->param.at[p];
            const int64_t more = buf(u, in)->bytes - buf(u, out)->bytes;
            if (!dies_at(u, life, in, f) || life[out].first != (int32_t)f || more < 0)
                continue;
            const Overlap v = overlap_of(u, fn, in, out);
            if (!v.in_place || (more > 0 && v.gap <= 0)) /* a shorter one takes its place without holding all of it */
                continue;
            if (!parts_may_share(u, a, root, in, out))
                continue;
            root[out] = root[in];
            life[root[in]].last = life[out].last;
        }
    }
    return root;
}

/* ---- packing ---- */

static void no_room(const Unit *u, const PlanPool *pool, uint32_t npool, const PlanResult *r)
{
    Diag *g = diag_add(u->cx->diags, SEV_ERROR, "pool-full", NULL, "the activations do not fit in the memory pools");
    for (uint32_t k = 0; k < npool; k++)
        diag_note(u->cx->diags, g, "pool '%s' has %lld bytes, the plan needs %lld", pool[k].name, (long long)pool[k].capacity, (long long)r->peak[k]);
    diag_help(u->cx->diags, g, "enlarge a pool, or add a slower one behind it");
}

static Blocks no_blocks(const Unit *u, Arena *a)
{
    return (Blocks){.b = NEWN(a, PlanBuf, u->buf.n), .at = NEWN(a, PlanPlace, u->buf.n), .id = NEWN(a, uint32_t, u->buf.n)};
}

static void add_block(const Unit *u, Blocks *j, uint32_t id, Life life)
{
    j->b[j->n] = (PlanBuf){.bytes = buf(u, id)->bytes, .align = u->arena_align, .first = life.first, .last = life.last, .pools = 1, .fixed = -1};
    j->id[j->n++] = id;
}

Blocks memory_blocks(const Unit *u, Arena *a)
{
    Blocks j = no_blocks(u, a);
    j.life = lifetimes(u, a);
    j.root = share(u, a, j.life);
    outlive(u, a, j.life);
    for (uint32_t k = 1; k < u->buf.n; k++)
        if (memory_plans(buf(u, k)) && j.root[k] == k && j.life[k].last >= 0 && !(u->threads.n && buf(u, k)->cls == BC_scratch))
            add_block(u, &j, k, j.life[k]);
    return j;
}

void memory_place(Unit *u, const Blocks *j)
{
    for (uint32_t k = 0; k < j->n; k++) {
        buf(u, j->id[k])->offset = j->at[k].offset;
        buf(u, j->id[k])->pool = j->at[k].pool;
    }
    for (uint32_t k = 1; k < u->buf.n; k++)
        if (memory_plans(buf(u, k)) && j->root[k] != k) {
            buf(u, k)->offset = buf(u, j->root[k])->offset;
            buf(u, k)->pool = buf(u, j->root[k])->pool;
        }
}

/* ---- overlaps ---- */

/* Function f may write block `out` over block `in`, which dies there; both by number in the jobs. */
typedef struct Pair { uint32_t f, in, out; uint32_t in_buf, out_buf; int64_t gap; } Pair;

typedef struct Pairs { const Unit *u; Blocks *j; int64_t *load, *saving; VEC(Pair) v; } Pairs;

static void find_pairs(Pairs *p, Arena *a)
{
    const Unit *u = p->u;
    uint32_t *job = NEWN(a, uint32_t, u->buf.n); /* by block, plus one */
    for (uint32_t k = 0; k < p->j->n; k++)
        job[p->j->id[k]] = k + 1;
    for (uint32_t f = 0; f < u->func.n; f++) {
        const Func *fn = u->func.at[f];
        const uint32_t out = output_of(fn), to = out ? job[p->j->root[out]] : 0;
        for (uint32_t q = 0; to && buf(u, out)->cls == BC_arena && q + 1 < fn->param.n; q++) {
            const uint32_t in = fn->param.at[q], from = job[p->j->root[in]];
            if (from && from != to && buf(u, in)->cls == BC_arena && p->j->b[from - 1].last == (int32_t)f && p->j->b[from - 1].first < (int32_t)f && p->j->b[to - 1].first == (int32_t)f)
                PUSH(a, &p->v, ((Pair){f, from - 1, to - 1, in, out, -p->j->b[from - 1].bytes}));
        }
    }
}

static void find_loads(Pairs *p)
{
    for (uint32_t k = 0; k < p->j->n; k++)
        for (int32_t f = p->j->b[k].first; f <= p->j->b[k].last; f++)
            p->load[f] += p->j->b[k].bytes;
}

/* Least height that the functions need when every pair overlaps as far as is known by now. */
static int64_t least_height(Pairs *p)
{
    int64_t least = 0;
    memset(p->saving, 0, p->u->func.n * sizeof *p->saving);
    for (uint32_t k = 0; k < p->v.n; k++) {
        const Pair *q = &p->v.at[k];
        const int64_t in = p->j->b[q->in].bytes, out = p->j->b[q->out].bytes;
        p->saving[q->f] += max_i64(min_i64(min_i64(in, out), out - max_i64(q->gap, 0)), 0);
        p->saving[q->f] = min_i64(p->saving[q->f], out);
    }
    for (uint32_t f = 0; f < p->u->func.n; f++)
        least = max_i64(least, p->load[f] - p->saving[f]);
    return least;
}

/* Only functions whose buffers stand higher than that gain by an overlap; it costs the others what `restrict` says. */
static void add_overlaps(const Unit *u, Arena *a, Blocks *j)
{
    if (u->threads.n) /* one part may still read what another writes over */
        return;
    Pairs p = {.u = u, .j = j, .load = NEWN(a, int64_t, u->func.n + 1), .saving = NEWN(a, int64_t, u->func.n + 1)};
    find_pairs(&p, a);
    find_loads(&p);
    for (int pass = 0; pass < 2; pass++) {
        const int64_t enough = least_height(&p);
        for (uint32_t k = 0; k < p.v.n; k++) {
            Pair *q = &p.v.at[k];
            const Func *f = u->func.at[q->f];
            if (p.load[q->f] <= enough)
                q->gap = j->b[q->out].bytes;
            else
                q->gap = max_i64(q->gap, pass ? overlap_seen(u, f, q->in_buf, q->out_buf) : overlap_of(u, f, q->in_buf, q->out_buf).gap);
        }
    }
    for (uint32_t k = 0; k < p.v.n; k++)
        p.v.at[k].gap = p.v.at[k].gap > 0 ? align_up(p.v.at[k].gap, j->b[p.v.at[k].in].align) : p.v.at[k].gap;
    for (uint32_t k = 0; k < p.v.n; k++)
        if (p.v.at[k].gap < j->b[p.v.at[k].out].bytes) {
            j->b[p.v.at[k].in].over = p.v.at[k].out + 1; /* both are aligned, so is their distance */
            j->b[p.v.at[k].in].gap = p.v.at[k].gap;
        }
}

/* Of a block: of all buffers that lie there. */
static void add_traffic(const Unit *u, Arena *a, Blocks *j)
{
    const int64_t *bytes = unit_traffic(a, u);
    int64_t *of_block = NEWN(a, int64_t, u->buf.n);
    for (uint32_t k = 1; k < u->buf.n; k++)
        of_block[j->root[k]] += bytes[k];
    for (uint32_t k = 0; k < j->n; k++)
        j->b[k].traffic = of_block[j->id[k]];
}

void memory_prove(const Blocks *j, const PlanPool *pool, uint32_t npool, const PlanResult *r)
{
    char why[256];
    if (!plan_check(j->b, j->n, pool, npool, j->at, r->peak, why, sizeof why))
        ICE("memory plan: %s", why);
}

/* ---- scratch of parts ---- */

/* Each part has a block for its scratch behind what is shared; here it runs the functions in order. */
static void plan_scratch(Unit *u, Arena *a)
{
    static const PlanPool block = {"scratch", 0};
    Blocks j = no_blocks(u, a);
    for (uint32_t f = 0; f < u->func.n; f++)
        for (uint32_t p = 0; p < u->func.at[f]->param.n; p++) {
            const uint32_t id = u->func.at[f]->param.at[p];
            if (memory_plans(buf(u, id)) && buf(u, id)->cls == BC_scratch)
                add_block(u, &j, id, (Life){(int32_t)f, (int32_t)f});
        }
    PlanResult r = {0};
    if (!j.n || !plan_pack(a, j.b, j.n, &block, 1, 0, j.at, &r))
        return;
    memory_prove(&j, &block, 1, &r);
    const int64_t shared = align_up(u->arena_bytes, u->arena_align);
    for (uint32_t k = 0; k < j.n; k++)
        buf(u, j.id[k])->offset = shared + j.at[k].offset;
    u->part_bytes = align_up(r.peak[0], u->arena_align);
    u->arena_bytes = shared + u->part_bytes;
    u->arena_bound = align_up(u->arena_bound, u->arena_align) + r.bound[0];
    u->arena_optimal = u->arena_optimal && r.optimal;
}

bool plan_memory(Unit *u, const PlanPool *pool, uint32_t npool)
{
    static const PlanPool unlimited = {"arena", 0};
    Arena *a = u->cx->arena;
    pool = npool ? pool : &unlimited;
    npool = npool ? npool : 1;
    Blocks j = memory_blocks(u, a);
    for (uint32_t k = 0; k < j.n; k++)
        j.b[k].pools = npool >= 32 ? UINT32_MAX : (1u << npool) - 1;
    if (npool > 1)
        add_traffic(u, a, &j);
    add_overlaps(u, a, &j);
    PlanResult r = {0};
    const bool fits = plan_pack(a, j.b, j.n, pool, npool, 0, j.at, &r);
    if (!fits) {
        no_room(u, pool, npool, &r);
        return false;
    }
    memory_prove(&j, pool, npool, &r);
    memory_place(u, &j);
    u->npool = npool - 1;
    u->pool_name = NEWN(a, const char *, npool);
    u->pool_bytes = arena_copy(a, r.peak, npool * sizeof *r.peak);
    u->pool_bound = arena_copy(a, r.bound, npool * sizeof *r.bound);
    for (uint32_t k = 0; k < npool; k++)
        u->pool_name[k] = pool[k].name;
    u->arena_bytes = r.peak[0];
    u->arena_bound = r.bound[0];
    u->arena_optimal = r.optimal;
    if (u->threads.n)
        plan_scratch(u, a);
    return true;
}

int64_t ram_with_io(Unit *u)
{
    Arena *a = arena_child(u->cx->arena);
    Blocks j = memory_blocks(u, a);
    const Life *life = j.life;
    for (uint32_t k = 0; k < j.n; k++)
        j.b[k].align = 1;
    for (uint32_t k = 1; k < u->buf.n; k++) {
        const Buf *b = buf(u, k);
        const int32_t end = u->func.n ? (int32_t)u->func.n - 1 : 0;
        if (b->cls == BC_input && life[k].last >= 0)
            j.b[j.n++] = (PlanBuf){.bytes = b->bytes, .align = 1, .first = 0, .last = life[k].last, .pools = 1, .fixed = -1};
        else if (b->cls == BC_output && life[k].last >= 0)
            j.b[j.n++] = (PlanBuf){.bytes = b->bytes, .align = 1, .first = life[k].first, .last = end, .pools = 1, .fixed = -1};
    }
    add_overlaps(u, a, &j);
    static const PlanPool one = {"ram", 0};
    PlanResult r = {0};
    const int64_t peak = plan_pack(a, j.b, j.n, &one, 1, REPORT_NODES, j.at, &r) ? r.peak[0] + u->apart_bytes + u->part_bytes : -1;
    arena_free(a);
    return peak;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Loads of a map tile whose lanes lie apart and whose points lie side by side (a picture whose channels come first, read by lanes of
 * channels): four points at a time are rows of four elements, one for each lane, turned over in registers, instead of a gather for each.
 */
#include "cvec_part.h"
#include "ctile.h"

enum { TURNED = 4 }; /* points of one turn: runtime-min/mlcc_transpose.h */

/* What is turned over: points p and the three behind it, whose lanes begin at `base`. */
typedef struct Turn { VGen *v; int32_t p; const Expr *base; bool emit, any; Map always; } Turn;

static const Expr *at_point(const Turn *t, const Expr *load, int32_t k)
{
    Subst s[MAX_RANK + 1];
    const uint32_t n = v_place(t->v, t->p + k, t->base, s);
    return ex_subst(t->v->g->x, load, s, n);
}

static const Expr *flat_at(const Turn *t, const Expr *load) { return flat_index(t->v->g, buf(t->v->g->u, load->v.ref), load->a); }

static bool is_turned(const Turn *t, const Expr *load)
{
    CGen *g = t->v->g;
    int64_t stride;
    const Expr *first = at_point(t, load, 0);
    if ((load->dt != DT_f32 && load->dt != DT_i32 && load->dt != DT_u8 && load->dt != DT_i8) || !v_is_whole(t->v) || !v_stride(g, first, t->v->lane, &stride) ||
        stride < TURNED || stride > 1 << 24)
        return false;
    const Expr *from = flat_at(t, first);
    for (int32_t k = 1; k < TURNED; k++)
        if (!ex_is_int(ex_sub(g->x, flat_at(t, at_point(t, load, k)), from), k))
            return false;
    return true;
}

static void turn_load(void *ctx, const Expr *load)
{
    Turn *t = ctx;
    VGen *v = t->v;
    if (load->op != EX_load || !map_u64(&t->always, load->id, false) || !is_turned(t, load))
        return;
    t->any = true;
    const Expr *first = at_point(t, load, 0);
    if (!t->emit || map_u64(&v->memo, first->id, false))
        return;
    CGen *g = v->g;
    int64_t stride;
    (void)v_stride(g, first, v->lane, &stride);
    const char *name[TURNED], *at = v_address(v, load->v.ref, flat_at(t, first), false);
    for (int32_t k = 0; k < TURNED; k++)
        name[k] = c_name(g, &v->memo, at_point(t, load, k)->id, "r", "r");
    ln(g->o, "%s %s, %s, %s, %s;", v_type(v, (DType)load->dt), name[0], name[1], name[2], name[3]);
    ln(g->o, "V%d_TURN%s(%s, %lld, &%s, &%s, &%s, &%s);", v->width, load->dt == DT_i32 ? "I" : v_element((DType)load->dt)->suffix, at, (long long)stride, name[0], name[1],
       name[2], name[3]);
}

static bool turn_all(VGen *v, int32_t p, const Expr *base, bool emit)
{
    const Tile *t = v->t;
    Turn turn = {v, p, base, emit, false, {.arena = v->g->a}};
    if (t->np == 0 || p % t->pext[t->np - 1] % TURNED || p % t->pext[t->np - 1] + TURNED > t->pext[t->np - 1])
        return false;
    for (int k = 0; k < t->nstore; k++)
        ex_always(&turn.always, t->store[k].value);
    for (int k = 0; k < t->nstore; k++)
        ex_walk(t->store[k].value, turn_load, &turn);
    return turn.any;
}

void v_turn_loads(VGen *v, int32_t p, const Expr *base) { (void)turn_all(v, p, base, true); }

bool v_turns_loads(VGen *v) { return turn_all(v, 0, ex_int(v->g->x, 0), false); }

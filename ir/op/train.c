/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps of optimisers: Adagrad, Adam, Momentum. The variadic operand holds n tensors to be optimised, then their n
 * gradients, then n of each state; the results are the tensors and states after the step, in the same order.
 */
#include "proto.h"
#include "sample.h"

enum { TR_rate, TR_count, TR_first };

/* states: kinds of state, 1 or 2. */
static bool infer_step(OpCtx *c, int states)
{
    const int n = (c->n->nin - TR_first) / (states + 2);
    if (n < 1 || c->n->nin != TR_first + n * (states + 2) || c->n->nout != n * (states + 1))
        return op_error(c, NO_OPERAND, "operand-count",
                        "%d inputs and %d outputs do not belong to any number of tensors", c->n->nin, c->n->nout);
    for (int k = 0; k < 2; k++) {
        if (tensor_count(c->g, in_t(c, k)) != 1)
            return op_error(c, k, "train-scalar", "'%s' must be a single value", in_t(c, k)->name);
    }
    for (int k = TR_first; k < c->n->nin; k++) {
        const Tensor *x = in_t(c, TR_first + (k - TR_first) % n);
        if (!in_rank(c, k, x->rank, x->rank)) return false;
        for (int d = 0; d < x->rank; d++) {
            if (!require_dim(c, k, d, x->dim[d], "train-shape")) return false;
        }
    }
    for (int k = 0; k < c->n->nout; k++) {
        if (!same_shape(c, k, TR_first + k % n)) return false;
    }
    return true;
}

/* One tensor's step at element i: rate, count, its value, regularised gradient and states, in its compute type. */
typedef struct Step {
    int n, which;
    DType dt;
    const Expr *i[MAX_RANK], *rate, *count, *x, *g, *state[2];
} Step;

#define V(v)    NUM(s->dt, (v))
#define A(name) NUM(s->dt, attr_f(c, (name)))

static const Expr *load_one(OpCtx *c, int k)
{
    const Expr *zero[MAX_RANK];
    for (int d = 0; d < in_t(c, k)->rank; d++) zero[d] = IX(0);
    return load_at(c, in_ten(c, k), zero);
}

/* kind: 0 tensor, 1 gradient, 2 and 3 states. */
static const Expr *load_kind(OpCtx *c, const Step *s, int kind)
{
    return load_at(c, in_ten(c, TR_first + kind * s->n + s->which), s->i);
}

static void begin(OpCtx *c, Step *s, int out)
{
    out_vars(c, out, s->i);
    s->dt = dtype_compute(out_t(c, out)->dt);
    s->which = out % s->n;
    s->rate = CAST(s->dt, load_one(c, TR_rate));
    s->count = CAST(s->dt, load_one(c, TR_count));
    s->x = load_kind(c, s, 0);
    s->g = ADD(MUL(A("norm_coefficient"), s->x), load_kind(c, s, 1));
}

/* Value of result `kind` (0 tensor, 1 and 2 states) of one step. */
typedef const Expr *(*StepFn)(OpCtx *c, const Step *s, int kind);

static bool lower_step(OpCtx *c, int states, StepFn fn)
{
    Step s = {.n = (c->n->nin - TR_first) / (states + 2)};
    for (int k = 0; k < c->n->nout; k++) {
        if (!has_out(c, k)) continue;
        begin(c, &s, k);
        for (int q = 0; q < states; q++) s.state[q] = load_kind(c, &s, 2 + q);
        def_map(c, out_ten(c, k), s.i, fn(c, &s, k / s.n));
    }
    return true;
}

/* h' = h + g^2; x' = x - rate / (1 + t decay) g / (sqrt(h') + epsilon) */
static const Expr *adagrad(OpCtx *c, const Step *s, int kind)
{
    const Expr *h = ADD(s->state[0], MUL(s->g, s->g));
    if (kind == 1) return h;
    const Expr *rate = DIV(s->rate, ADD(V(1), MUL(s->count, A("decay_factor"))));
    return SUB(s->x, DIV(MUL(rate, s->g), ADD(UN(sqrt, h), A("epsilon"))));
}

/* 1 - base^t */
static const Expr *bias(OpCtx *c, const Step *s, const Expr *base)
{
    return SUB(V(1), ex_binary(c->x, EX_pow, base, s->count));
}

/* v' = a v + (1 - a) g; h' = b h + (1 - b) g^2; x' = (1 - post) (x - rate' v' / (sqrt(h') + epsilon)), where
 * rate' = rate sqrt(1 - b^t) / (1 - a^t), or rate for t = 0 */
static const Expr *adam(OpCtx *c, const Step *s, int kind)
{
    const Expr *a = A("alpha"), *b = A("beta");
    const Expr *v = ADD(MUL(a, s->state[0]), MUL(SUB(V(1), a), s->g));
    const Expr *h = ADD(MUL(b, s->state[1]), MUL(SUB(V(1), b), MUL(s->g, s->g)));
    if (kind) return kind == 1 ? v : h;
    const Expr *rate = DIV(MUL(s->rate, UN(sqrt, bias(c, s, b))), bias(c, s, a));
    rate = SEL(LT(V(0), s->count), rate, s->rate);
    const Expr *x = SUB(s->x, MUL(rate, DIV(v, ADD(UN(sqrt, h), A("epsilon")))));
    return MUL(SUB(V(1), A("norm_coefficient_post")), x);
}

/* v' = a v + b g, b being 1 in the first step; x' = x - rate v', or Nesterov's x - rate (g + a v') */
static const Expr *momentum(OpCtx *c, const Step *s, int kind)
{
    const Expr *b = SEL(LT(V(0), s->count), A("beta"), V(1)), *a = A("alpha");
    const Expr *v = ADD(MUL(a, s->state[0]), MUL(b, s->g));
    if (kind == 1) return v;
    const bool plain = !strcmp(attr_s(c, "mode"), "standard");
    return SUB(s->x, MUL(s->rate, plain ? v : ADD(s->g, MUL(a, v))));
}

bool infer_Adagrad(OpCtx *c)
{
    return infer_step(c, 1);
}
bool lower_Adagrad(OpCtx *c)
{
    return lower_step(c, 1, adagrad);
}
bool infer_Adam(OpCtx *c)
{
    return infer_step(c, 2);
}
bool lower_Adam(OpCtx *c)
{
    return lower_step(c, 2, adam);
}
bool infer_Momentum(OpCtx *c)
{
    static const char *const modes[] = {"standard", "nesterov"};
    return attr_word(c, "mode", COUNT(modes), modes) >= 0 && infer_step(c, 1);
}
bool lower_Momentum(OpCtx *c)
{
    return lower_step(c, 1, momentum);
}

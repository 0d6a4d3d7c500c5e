/* SPDX-License-Identifier: Apache-2.0
 *
 * Losses over class scores [n,classes,d..] and targets [n,d..]: the negative score of the target class times its
 * weight, then no reduction, a sum, or a mean in which each place counts as much as its weight. Places whose target is
 * ignore_index have weight 0; a target outside the classes is brought into them.
 */
#include "proto.h"
#include "red.h"
#include "sample.h"

enum { X_score, X_target, X_weight };
enum { SUM_none, SUM_all, SUM_mean, SUM_count };

static const char *const reduction_words[] = {"none", "sum", "mean"};

/* Extents of a target from those of the scores: without the classes. */
static int place_dims(const OpCtx *c, const Expr **dim)
{
    const Tensor *x = in_t(c, X_score);
    int n = 0;
    for (int d = 0; d < x->rank; d++) {
        if (d != 1) dim[n++] = x->dim[d];
    }
    return n;
}

static bool infer_loss(OpCtx *c)
{
    const Tensor *x = in_t(c, X_score);
    const Expr *dim[MAX_RANK];
    const int reduction = attr_word(c, "reduction", SUM_count, reduction_words);
    if (reduction < 0 || !in_rank(c, X_score, 2, MAX_RANK)) return false;
    const int rank = place_dims(c, dim);
    if (ex_is_int(x->dim[1], 0)) return op_error(c, X_score, "loss-classes", "there are no classes");
    if (!in_rank(c, X_target, rank, rank)) return false;
    for (int d = 0; d < rank; d++) {
        if (!require_dim(c, X_target, d, dim[d], "loss-target")) return false;
    }
    if (has_in(c, X_weight) && (!in_rank(c, X_weight, 1, 1) || !require_dim(c, X_weight, 0, x->dim[1], "loss-weight")))
        return false;
    return set_shape(c, 0, reduction == SUM_none ? rank : 0, dim);
}

bool infer_NegativeLogLikelihoodLoss(OpCtx *c)
{
    return infer_loss(c);
}

bool infer_SoftmaxCrossEntropyLoss(OpCtx *c)
{
    return infer_loss(c) && (!has_out(c, 1) || same_shape(c, 1, X_score));
}

/* Weight of the place i, in the compute type dt. */
static const Expr *weight_of(OpCtx *c, DType dt, const Expr *const *i)
{
    const Expr *w = NUM(dt, 1);
    if (has_in(c, X_weight)) {
        const Expr *k = load_index(c, in_ten(c, X_target), i, in_t(c, X_score)->dim[1]);
        w = load_at(c, in_ten(c, X_weight), &k);
    }
    if (!attr_has(c, "ignore_index")) return w;
    const Expr *t = CAST(DT_i64, load_at(c, in_ten(c, X_target), i));
    return SEL(EQ(t, NUM(DT_i64, (double)attr_i(c, "ignore_index"))), NUM(dt, 0), w);
}

/* Loss of the place i: -score[target] * weight; places without weight do not look at the score. */
static const Expr *loss_of(OpCtx *c, uint32_t score, const Expr *const *i)
{
    const Ten *x = ten(c->te, score);
    const DType dt = dtype_compute(x->dt);
    const Expr *at[MAX_RANK] = {i[0], load_index(c, in_ten(c, X_target), i, x->dim[1])}, *w = weight_of(c, dt, i);
    memcpy(at + 2, i + 1, (size_t)(x->rank - 2) * sizeof *at);
    const Expr *v = MUL(UN(neg, load_at(c, score, at)), w);
    return attr_has(c, "ignore_index") ? SEL(EQ(w, NUM(dt, 0)), NUM(dt, 0), v) : v;
}

/* Sum over all places: of their losses, or of their weights. */
static uint32_t total(OpCtx *c, const char *hint, uint32_t score, bool weights)
{
    const DType dt = dtype_compute(ten(c->te, score)->dt);
    const Expr *dim[MAX_RANK];
    const int rank = place_dims(c, dim);
    const Axes all = axes_from(rank, dim, 0);
    Sweep s;
    sweep(c, &all, &s);
    return sweep_temp(c, hint, &all, &s, RED_sum, weights ? weight_of(c, dt, s.at) : loss_of(c, score, s.at));
}

static bool lower_loss(OpCtx *c, uint32_t score)
{
    const int reduction = attr_word(c, "reduction", SUM_count, reduction_words);
    const Expr *i[MAX_RANK];
    out_vars(c, 0, i);
    if (reduction == SUM_none) return def_map(c, out_ten(c, 0), i, loss_of(c, score, i));
    const Expr *v = load_at(c, total(c, "losses", score, false), i);
    if (reduction == SUM_mean) v = DIV(v, load_at(c, total(c, "weights", score, true), i));
    return def_map(c, out_ten(c, 0), i, v);
}

bool lower_NegativeLogLikelihoodLoss(OpCtx *c)
{
    return lower_loss(c, in_ten(c, X_score));
}

/* log(sum(exp(x - max))) of each place; *max: the row maxima. */
static uint32_t log_sum(OpCtx *c, const Axes *classes, uint32_t *max)
{
    const uint32_t x = in_ten(c, X_score);
    const DType dt = dtype_compute(ten(c->te, x)->dt);
    const uint32_t t = temp_ten(c, "log", dt, classes->nkept, classes->kept);
    const Expr *i[MAX_RANK];
    Sweep s;
    sweep(c, classes, &s);
    *max = sweep_temp(c, "max", classes, &s, RED_max, load_at(c, x, s.at));
    sweep(c, classes, &s);
    const Expr *far = SUB(load_at(c, x, s.at), load_at(c, *max, s.i));
    const uint32_t sum = sweep_temp(c, "sum", classes, &s, RED_sum, UN(exp, far));
    vars_for(c, "nijk", classes->nkept, classes->kept, i);
    def_map(c, t, i, UN(log, load_at(c, sum, i)));
    return t;
}

/* log_prob = (x - max) - log(sum(exp(x - max))) over the classes */
bool lower_SoftmaxCrossEntropyLoss(OpCtx *c)
{
    const Tensor *x = in_t(c, X_score);
    const Axes classes = axes_one(x->rank, x->dim, 1);
    const uint32_t score = temp_ten(c, "logp", dtype_compute(x->dt), x->rank, x->dim);
    const Expr *i[MAX_RANK], *kept[MAX_RANK];
    uint32_t max;
    const uint32_t shift = log_sum(c, &classes, &max);
    vars_for(c, "ncijk", x->rank, x->dim, i);
    axes_keep(&classes, i, kept);
    const Expr *far = SUB(load_at(c, in_ten(c, X_score), i), load_at(c, max, kept));
    def_map(c, score, i, SUB(far, load_at(c, shift, kept)));
    if (has_out(c, 1)) {
        out_vars(c, 1, i);
        def_map(c, out_ten(c, 1), i, load_at(c, score, i));
    }
    return lower_loss(c, score);
}

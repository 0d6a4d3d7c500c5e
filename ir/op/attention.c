/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention and its relatives. Attention is stages of the usual forms: a product per head, a map that scales, caps and
 * masks, row maximum, exponentials, row sum, a second product, and a division at the end; placement makes one loop of
 * them. Heads that share keys are index arithmetic, packed heads too. Letters: b batch, h head, i query, j key, d, e
 * width of a head. LinearAttention is a recurrence over time whose state is a matrix: a call (mlcc_attention.h).
 */
#include "../call.h"
#include "proto.h"
#include "dot.h"
#include "red.h"
#include "sample.h"

/* ---- heads ---- */

/* An operand of heads: [b,heads,length,width], or packed [b,length,heads*width]. */
typedef struct Heads {
    bool packed;
    const Expr *batch, *heads, *length, *width;
} Heads;

/* count: attribute with the number of heads of packed operands; NULL: they cannot be packed. */
static bool read_heads(const OpCtx *c, int k, const char *count, Heads *h)
{
    const Tensor *x = in_t(c, k);
    const int64_t n = count && attr_has(c, count) ? attr_i(c, count) : 0;
    if (!in_rank(c, k, count ? 3 : 4, 4)) return false;
    h->packed = x->rank == 3;
    h->batch = x->dim[0];
    h->length = x->dim[h->packed ? 1 : 2];
    h->heads = h->packed ? IX(n) : x->dim[1];
    h->width = x->dim[3 - h->packed];
    if (!h->packed) return true;
    if (n < 1 || n > INT32_MAX || !ex_is_int(MOD(h->width, IX(n)), 0))
        return op_error(c, k, "attention-heads", "dimension 2 of '%s' does not divide evenly into %s=%lld", x->name,
                        count, (long long)n);
    h->width = FDIV(h->width, IX(n));
    return true;
}

static const Expr *load_head(OpCtx *c, uint32_t t, const Heads *h, const Expr *const *at)
{
    const Expr *packed[] = {at[0], at[2], ADD(MUL(at[1], h->width), at[3])};
    return load_at(c, t, h->packed ? packed : at);
}

/* ---- Attention ---- */

enum { A_q, A_k, A_v, A_mask, A_past_key, A_past_value, A_lengths };
enum { QK_product, QK_capped, QK_masked, QK_softmax, QK_count };

typedef struct Attention {
    Heads q, k, v;
    const Expr *past, *total; /* keys that came before; all keys */
    const Expr *share;        /* query heads for each key head */
    DType dt;
    bool masked; /* the operator has the operands behind V */
} Attention;

/* Past keys or values [b,heads,past,width]. */
static bool check_past(const OpCtx *c, int k, const Heads *h, const Expr *past)
{
    return in_rank(c, k, 4, 4) && require_dim(c, k, 0, h->batch, "attention-past") &&
           require_dim(c, k, 1, h->heads, "attention-past") && require_dim(c, k, 2, past, "attention-past") &&
           require_dim(c, k, 3, h->width, "attention-past");
}

static bool read_past(const OpCtx *c, Attention *a)
{
    a->past = IX(0);
    a->total = a->k.length;
    if (!a->masked || (!has_in(c, A_past_key) && !has_in(c, A_past_value))) return true;
    if (!has_in(c, A_past_key) || !has_in(c, A_past_value))
        return op_error(c, NO_OPERAND, "attention-past", "past_key and past_value must be given together");
    if (!in_rank(c, A_past_key, 4, 4)) return false;
    a->past = in_t(c, A_past_key)->dim[2];
    a->total = ADD(a->past, a->k.length);
    return check_past(c, A_past_key, &a->k, a->past) && check_past(c, A_past_value, &a->v, a->past);
}

/* The mask broadcasts to [b,h,i,j]; its last dimension may be shorter. */
static bool check_mask(const OpCtx *c, const Attention *a)
{
    if (!a->masked) return true;
    if (has_in(c, A_lengths) &&
        (!in_rank(c, A_lengths, 1, 1) || !require_dim(c, A_lengths, 0, a->q.batch, "attention-lengths")))
        return false;
    if (!has_in(c, A_mask)) return true;
    const Tensor *m = in_t(c, A_mask);
    const Expr *want[] = {a->q.batch, a->q.heads, a->q.length, a->total};
    if (!in_rank(c, A_mask, 2, 4)) return false;
    for (int d = 0; d + 1 < m->rank; d++) {
        if (!ex_is_int(m->dim[d], 1) && !require_dim(c, A_mask, d, want[4 - m->rank + d], "attention-mask"))
            return false;
    }
    return true;
}

static bool read_attention(const OpCtx *c, Attention *a, bool masked)
{
    const char *few = masked ? "kv_num_heads" : NULL;
    a->masked = masked;
    if (!read_heads(c, A_q, masked ? "q_num_heads" : NULL, &a->q) || !read_heads(c, A_k, few, &a->k) ||
        !read_heads(c, A_v, few, &a->v))
        return false;
    const bool match = dim_equal(c, a->q.width, a->k.width) && dim_equal(c, a->q.batch, a->k.batch) &&
                       dim_equal(c, a->v.batch, a->k.batch) && dim_equal(c, a->v.length, a->k.length) &&
                       dim_equal(c, a->v.heads, a->k.heads);
    if (!match) return op_error(c, A_k, "attention-shape", "batch, heads, length or width of Q, K and V do not agree");
    if (ex_is_int(a->k.heads, 0) || !ex_is_int(MOD(a->q.heads, a->k.heads), 0))
        return op_error(c, A_k, "attention-heads", "the heads of Q are not a multiple of those of K");
    a->share = FDIV(a->q.heads, a->k.heads);
    a->dt = dtype_compute(in_t(c, A_q)->dt);
    if (attr_has(c, "softmax_precision") && dtype_by_onnx(attr_i(c, "softmax_precision")) == DT_f64) a->dt = DT_f64;
    return read_past(c, a) && check_mask(c, a);
}

/* y[b,h,i,e], or packed as Q is. */
static bool attention_shape(const OpCtx *c, const Attention *a)
{
    const Expr *packed[] = {a->q.batch, a->q.length, MUL(a->q.heads, a->v.width)};
    const Expr *dim[] = {a->q.batch, a->q.heads, a->q.length, a->v.width};
    return set_shape(c, 0, a->q.packed ? 3 : 4, a->q.packed ? packed : dim);
}

bool infer_Attention(OpCtx *c)
{
    Attention a;
    if (!read_attention(c, &a, true)) return false;
    const int64_t mode = attr_i(c, "qk_matmul_output_mode");
    if (mode < 0 || mode >= QK_count)
        return op_error(c, NO_OPERAND, "attribute-value", "qk_matmul_output_mode is %lld, expected 0 to 3",
                        (long long)mode);
    const Expr *key[] = {a.k.batch, a.k.heads, a.total, a.k.width},
               *value[] = {a.v.batch, a.v.heads, a.total, a.v.width};
    const Expr *qk[] = {a.q.batch, a.q.heads, a.q.length, a.total};
    return attention_shape(c, &a) && (!has_out(c, 1) || set_shape(c, 1, 4, key)) &&
           (!has_out(c, 2) || set_shape(c, 2, 4, value)) && (!has_out(c, 3) || set_shape(c, 3, 4, qk));
}

/* Keys or values with what came before: output `out`, or a temporary; an operand without past stays what it is. */
static uint32_t present(OpCtx *c, const Attention *a, int k, int past, int out, Heads *h)
{
    const bool wanted = a->masked && has_out(c, out), joined = a->masked && has_in(c, past);
    const Expr *dim[] = {h->batch, h->heads, a->total, h->width}, *i[4], *at[4], *before[4];
    if (!wanted && !joined) return in_ten(c, k);
    const uint32_t t = wanted ? out_ten(c, out) : temp_ten(c, k == A_k ? "keys" : "values", in_t(c, k)->dt, 4, dim);
    vars_for(c, "bhjd", 4, dim, i);
    memcpy(at, i, sizeof at);
    memcpy(before, i, sizeof before);
    at[2] = SUB(i[2], a->past);
    const Expr *v = load_head(c, in_ten(c, k), h, at);
    if (joined) v = SEL(LT(i[2], a->past), load_at(c, in_ten(c, past), before), v);
    def_map(c, t, i, v);
    if (!joined) return in_ten(c, k);
    h->packed = false;
    return t;
}

/* The head of keys that query head h reads. */
static const Expr *key_head(OpCtx *c, const Attention *a, const Expr *h)
{
    return ex_is_int(a->share, 1) ? h : FDIV(h, a->share);
}

/* s[b,h,i,j] = sum(d) q[b,h,i,d] * k[b,h/share,j,d] */
static uint32_t score(OpCtx *c, const Attention *a, uint32_t keys)
{
    const Expr *dim[] = {a->q.batch, a->q.heads, a->q.length, a->total}, *i[4], *d = red_var(c, "d", a->q.width);
    const uint32_t t = temp_ten(c, "qk", a->dt, 4, dim);
    vars_for(c, "bhij", 4, dim, i);
    const Expr *q[] = {i[0], i[1], i[2], d}, *k[] = {i[0], key_head(c, a, i[1]), i[3], d};
    def_reduce(c, t, i, RED_sum, 1, &d, &a->q.width,
               MUL(CAST(a->dt, load_head(c, in_ten(c, A_q), &a->q, q)), CAST(a->dt, load_head(c, keys, &a->k, k))));
    return t;
}

/* The attribute, or 1 / sqrt(width of a head). */
static const Expr *scale_of(OpCtx *c, const Attention *a)
{
    if (attr_has(c, "scale")) return NUM(a->dt, attr_f(c, "scale"));
    return DIV(NUM(a->dt, 1), UN(sqrt, CAST(a->dt, a->q.width)));
}

/* Score v of query i and key j with the mask added; -inf where the pair takes no part. */
static const Expr *mask(OpCtx *c, const Attention *a, const Expr *v, const Expr *const *i)
{
    const Expr *never = NUM(a->dt, -1.0 / 0.0), *at[4], *length[1];
    if (!a->masked) return v;
    if (has_in(c, A_mask)) {
        const Tensor *m = in_t(c, A_mask);
        for (int d = 0; d < m->rank; d++) {
            const bool one = d + 1 < m->rank && ex_is_int(m->dim[d], 1);
            at[d] = one ? IX(0) : i[4 - m->rank + d];
        }
        const DType dt = dtype_compute(m->dt);
        const Expr *e = load_pad(c, in_ten(c, A_mask), at, dt == DT_bool ? NUM(dt, 0) : NUM(dt, -1.0 / 0.0));
        v = dt == DT_bool ? SEL(e, v, never) : ADD(v, CAST(a->dt, e));
    }
    if (attr_i(c, "is_causal")) v = SEL(LE(i[3], ADD(i[2], a->past)), v, never);
    if (!has_in(c, A_lengths)) return v;
    length[0] = load_at(c, in_ten(c, A_lengths), &i[0]);
    return SEL(LT(CAST(DT_i64, i[3]), length[0]), v, never);
}

/* The optional output of what stands before, between or behind: mode `now` of its value v at i. */
static void give_qk(OpCtx *c, const Attention *a, int64_t now, uint32_t t)
{
    const Expr *i[4];
    if (!a->masked || !has_out(c, 3) || attr_i(c, "qk_matmul_output_mode") != now) return;
    out_vars(c, 3, i);
    def_map(c, out_ten(c, 3), i, load_at(c, t, i));
}

/* A stage over [b,h,i,j] that is a function of s. */
typedef const Expr *(*ScoreFn)(OpCtx *c, const Attention *a, const Expr *v, const Expr *const *i);

static uint32_t score_map(OpCtx *c, const Attention *a, const char *hint, uint32_t s, ScoreFn fn)
{
    const Expr *const *dim = ten(c->te, s)->dim, *i[4];
    const uint32_t t = temp_ten(c, hint, a->dt, 4, dim);
    vars_for(c, "bhij", 4, dim, i);
    def_map(c, t, i, fn(c, a, load_at(c, s, i), i));
    return t;
}

static const Expr *scale_score(OpCtx *c, const Attention *a, const Expr *v, const Expr *const *i)
{
    (void)i;
    return MUL(v, scale_of(c, a));
}

static const Expr *cap_score(OpCtx *c, const Attention *a, const Expr *v, const Expr *const *i)
{
    (void)i;
    const Expr *cap = NUM(a->dt, attr_f(c, "softcap"));
    return MUL(UN(tanh, DIV(v, cap)), cap);
}

/* Scaled, capped and masked scores. */
static uint32_t adjusted(OpCtx *c, const Attention *a, uint32_t s)
{
    s = score_map(c, a, "scaled", s, scale_score);
    give_qk(c, a, QK_product, s);
    if (a->masked && attr_f(c, "softcap") > 0) s = score_map(c, a, "capped", s, cap_score);
    give_qk(c, a, QK_capped, s);
    if (a->masked) s = score_map(c, a, "masked", s, mask);
    give_qk(c, a, QK_masked, s);
    return s;
}

/* Exponentials of the rows of s shifted by their maximum; *sum: their row sums. */
static uint32_t row_exp(OpCtx *c, uint32_t s, uint32_t *sum)
{
    const Ten *p = ten(c->te, s);
    const Axes rows = axes_one(4, p->dim, 3);
    const uint32_t t = temp_ten(c, "exp", p->dt, 4, p->dim);
    const Expr *i[4];
    Sweep w;
    sweep(c, &rows, &w);
    const uint32_t max = sweep_temp(c, "max", &rows, &w, RED_max, load_at(c, s, w.at));
    vars_for(c, "bhij", 4, p->dim, i);
    def_map(c, t, i, UN(exp, SUB(load_at(c, s, i), load_at(c, max, i))));
    sweep(c, &rows, &w);
    *sum = sweep_temp(c, "sum", &rows, &w, RED_sum, load_at(c, t, w.at));
    return t;
}

static void give_softmax(OpCtx *c, const Attention *a, uint32_t e, uint32_t sum)
{
    const Expr *i[4];
    if (!a->masked || !has_out(c, 3) || attr_i(c, "qk_matmul_output_mode") != QK_softmax) return;
    out_vars(c, 3, i);
    def_map(c, out_ten(c, 3), i, DIV(load_at(c, e, i), load_at(c, sum, i)));
}

/* t[b,h,i,e] = sum(j) p[b,h,i,j] * v[b,h/share,j,e] */
static uint32_t weigh(OpCtx *c, const Attention *a, uint32_t p, uint32_t values)
{
    const Expr *dim[] = {a->q.batch, a->q.heads, a->q.length, a->v.width}, *i[4], *j = red_var(c, "j", a->total);
    const uint32_t t = temp_ten(c, "pv", a->dt, 4, dim);
    vars_for(c, "bhie", 4, dim, i);
    const Expr *pat[] = {i[0], i[1], i[2], j}, *vat[] = {i[0], key_head(c, a, i[1]), j, i[3]};
    def_reduce(c, t, i, RED_sum, 1, &j, &a->total,
               MUL(load_at(c, p, pat), CAST(a->dt, load_head(c, values, &a->v, vat))));
    return t;
}

static bool lower_heads(OpCtx *c, Attention *a)
{
    const uint32_t keys = present(c, a, A_k, A_past_key, 1, &a->k);
    const uint32_t values = present(c, a, A_v, A_past_value, 2, &a->v);
    uint32_t sum;
    const uint32_t e = row_exp(c, adjusted(c, a, score(c, a, keys)), &sum);
    give_softmax(c, a, e, sum);
    const uint32_t t = weigh(c, a, e, values);
    const Expr *i[MAX_RANK], *at[4];
    out_vars(c, 0, i);
    memcpy(at, i, sizeof at);
    if (a->q.packed) {
        at[1] = FDIV(i[2], a->v.width);
        at[2] = i[1];
        at[3] = MOD(i[2], a->v.width);
    }
    return def_map(c, out_ten(c, 0), i, DIV(load_at(c, t, at), load_at(c, sum, at)));
}

bool lower_Attention(OpCtx *c)
{
    Attention a;
    return read_attention(c, &a, true) && lower_heads(c, &a);
}

/* ---- FlexAttention: attention whose scores subgraphs may change ---- */

bool infer_FlexAttention(OpCtx *c)
{
    Attention a;
    if (attr_find(c, "score_mod") || attr_find(c, "prob_mod"))
        return op_error(c, NO_OPERAND, "unsupported-flexattention", "score_mod and prob_mod are not supported");
    return read_attention(c, &a, false) && attention_shape(c, &a);
}

bool lower_FlexAttention(OpCtx *c)
{
    Attention a;
    return read_attention(c, &a, false) && lower_heads(c, &a);
}

/* ---- RotaryEmbedding ---- */

enum { RO_x, RO_cos, RO_sin, RO_position };

/* turn: how many elements of a head are turned, in pairs of halves. */
static bool read_rotary(const OpCtx *c, Heads *h, const Expr **turn)
{
    const int64_t n = attr_i(c, "rotary_embedding_dim");
    int64_t lo, hi;
    if (!read_heads(c, RO_x, "num_heads", h)) return false;
    *turn = n ? IX(n) : h->width;
    if (n < 0 || !ex_is_int(MOD(*turn, IX(2)), 0) || !ex_range(c->x, SUB(h->width, *turn), &lo, &hi) || lo < 0)
        return op_error(c, RO_x, "rotary-width", "rotary_embedding_dim=%lld is not even or wider than a head",
                        (long long)n);
    return true;
}

/* cos, sin: [positions,turn/2] with positions given, otherwise [b,length,turn/2]. */
static bool check_cache(const OpCtx *c, int k, const Heads *h, const Expr *half)
{
    const bool given = has_in(c, RO_position);
    const int rank = given ? 2 : 3;
    if (!in_rank(c, k, rank, rank) || !require_dim(c, k, rank - 1, half, "rotary-cache")) return false;
    if (given) return !ex_is_int(in_t(c, k)->dim[0], 0) || op_error(c, k, "rotary-cache", "the cache is empty");
    return require_dim(c, k, 0, h->batch, "rotary-cache") && require_dim(c, k, 1, h->length, "rotary-cache");
}

bool infer_RotaryEmbedding(OpCtx *c)
{
    Heads h;
    const Expr *turn;
    if (!read_rotary(c, &h, &turn)) return false;
    const Expr *half = FDIV(turn, IX(2));
    if (!check_cache(c, RO_cos, &h, half) || !check_cache(c, RO_sin, &h, half)) return false;
    if (has_in(c, RO_position) &&
        (!in_rank(c, RO_position, 2, 2) || !require_dim(c, RO_position, 0, h.batch, "rotary-positions") ||
         !require_dim(c, RO_position, 1, h.length, "rotary-positions")))
        return false;
    return same_shape(c, 0, RO_x);
}

/* cos or sin for pair `pair` at position i of batch b. */
static const Expr *load_cache(OpCtx *c, int k, const Expr *b, const Expr *i, const Expr *pair)
{
    const Expr *at[] = {b, i, pair};
    if (!has_in(c, RO_position)) return load_at(c, in_ten(c, k), at);
    const Expr *row[] = {load_index(c, in_ten(c, RO_position), at, in_t(c, k)->dim[0]), pair};
    return load_at(c, in_ten(c, k), row);
}

/* Of a pair (p, q): p' = cos*p - sin*q, q' = cos*q + sin*p. */
bool lower_RotaryEmbedding(OpCtx *c)
{
    const bool woven = attr_i(c, "interleaved") != 0;
    Heads h;
    const Expr *turn, *i[MAX_RANK], *j[MAX_RANK];
    if (!read_rotary(c, &h, &turn)) return false;
    out_vars(c, 0, i);
    memcpy(j, i, sizeof j);
    const int last = h.packed ? 2 : 3;
    const Expr *half = FDIV(turn, IX(2)), *d = h.packed ? MOD(i[2], h.width) : i[3];
    const Expr *second = woven ? EQ(MOD(d, IX(2)), IX(1)) : LE(half, d);
    const Expr *pair = woven ? MIN(FDIV(d, IX(2)), SUB(half, IX(1))) : MOD(d, half);
    const Expr *other = woven ? SUB(ADD(d, IX(1)), MUL(MOD(d, IX(2)), IX(2))) : MOD(ADD(d, half), turn);
    j[last] = ADD(SUB(i[last], d), other);
    j[last] = MAX(MIN(j[last], SUB(in_t(c, RO_x)->dim[last], IX(1))), IX(0)); /* for the proof of bounds alone */
    const Expr *at = i[h.packed ? 1 : 2], *x = load_at(c, in_ten(c, RO_x), i), *y = load_at(c, in_ten(c, RO_x), j);
    const Expr *turned = ADD(MUL(load_cache(c, RO_cos, i[0], at, pair), x),
                             MUL(load_cache(c, RO_sin, i[0], at, pair), SEL(second, y, UN(neg, y))));
    if (turn != h.width) turned = SEL(LT(d, turn), turned, x);
    return def_map(c, out_ten(c, 0), i, turned);
}

/* ---- LinearAttention ---- */

enum { L_q, L_k, L_v, L_past, L_decay, L_beta, L_inputs };
enum { RULE_linear, RULE_gated, RULE_delta, RULE_gated_delta, RULE_count };

static const char *const rule_words[] = {"linear", "gated", "delta", "gated_delta"};

/* Operand k is there exactly when the rule uses it, of shape [b,t,last] with `last` one of two extents. */
static bool check_gate(const OpCtx *c, int k, bool used, const Expr *one, const Expr *other)
{
    const Tensor *q = in_t(c, L_q);
    if (has_in(c, k) != used)
        return op_error(c, has_in(c, k) ? k : NO_OPERAND, "linear-attention-rule", "update_rule '%s' %s '%s'",
                        attr_s(c, "update_rule"), used ? "needs" : "does not use", k == L_decay ? "decay" : "beta");
    if (!used) return true;
    return in_rank(c, k, 3, 3) && require_dim(c, k, 0, q->dim[0], "linear-attention-shape") &&
           require_dim(c, k, 1, q->dim[1], "linear-attention-shape") &&
           (dim_equal(c, in_t(c, k)->dim[2], other) || require_dim(c, k, 2, one, "linear-attention-shape"));
}

typedef struct Linear {
    Heads q, k, v;
    int rule;
} Linear;

static bool read_linear(const OpCtx *c, Linear *l)
{
    for (int k = L_q; k <= L_v; k++) {
        if (!in_rank(c, k, 3, 3)) return false;
    }
    if (!read_heads(c, L_q, "q_num_heads", &l->q) || !read_heads(c, L_k, "kv_num_heads", &l->k) ||
        !read_heads(c, L_v, "kv_num_heads", &l->v))
        return false;
    l->rule = attr_word(c, "update_rule", RULE_count, rule_words);
    if (l->rule < 0) return false;
    for (int k = L_k; k <= L_v; k++) {
        if (!require_dim(c, k, 0, l->q.batch, "linear-attention-shape") ||
            !require_dim(c, k, 1, l->q.length, "linear-attention-shape"))
            return false;
    }
    if (!dim_equal(c, l->q.width, l->k.width) || !ex_is_int(MOD(l->q.heads, l->k.heads), 0))
        return op_error(c, L_k, "attention-heads", "heads or their width in query and key do not agree");
    const bool gated = l->rule & RULE_gated, delta = l->rule & RULE_delta;
    return check_gate(c, L_decay, gated, l->k.heads, MUL(l->k.heads, l->k.width)) &&
           check_gate(c, L_beta, delta, l->k.heads, IX(1));
}

bool infer_LinearAttention(OpCtx *c)
{
    Linear l;
    if (!read_linear(c, &l)) return false;
    const Expr *state[] = {l.q.batch, l.k.heads, l.k.width, l.v.width};
    const Expr *dim[] = {l.q.batch, l.q.length, MUL(l.q.heads, l.v.width)};
    if (has_in(c, L_past)) {
        if (!in_rank(c, L_past, 4, 4)) return false;
        for (int d = 0; d < 4; d++) {
            if (!require_dim(c, L_past, d, state[d], "linear-attention-state")) return false;
        }
    }
    const DType dt = has_in(c, L_past) ? in_t(c, L_past)->dt : in_t(c, L_q)->dt;
    return set_type(c, 1, dt) && set_shape(c, 0, 3, dim) && set_shape(c, 1, 4, state);
}

/* Input k as f32. */
static uint32_t as_f32(OpCtx *c, int k)
{
    const Expr *i[MAX_RANK];
    const Tensor *x = in_t(c, k);
    if (x->dt == DT_f32) return in_ten(c, k);
    const uint32_t t = temp_ten(c, "wide", DT_f32, x->rank, x->dim);
    vars_for(c, "bthd", x->rank, x->dim, i);
    def_map(c, t, i, load_at(c, in_ten(c, k), i));
    return t;
}

/* Output k is t times a factor. */
static bool give(OpCtx *c, int k, uint32_t t, const Expr *factor)
{
    const Expr *i[MAX_RANK];
    out_vars(c, k, i);
    return def_map(c, out_ten(c, k), i, MUL(load_at(c, t, i), factor));
}

bool lower_LinearAttention(OpCtx *c)
{
    Linear l;
    uint32_t in[L_inputs], out[2];
    int64_t given = 0;
    if (!read_linear(c, &l)) return false;
    for (int k = 0; k < L_inputs; k++) {
        given |= (int64_t)has_in(c, k) << k;
        in[k] = has_in(c, k) ? as_f32(c, k) : in[L_q];
    }
    for (int k = 0; k < 2; k++) {
        const Tensor *y = out_t(c, k);
        out[k] = temp_ten(c, k ? "state" : "read", DT_f32, y->rank, y->dim);
    }
    const Expr *arg[] = {l.q.heads, l.k.heads, l.k.width, l.v.width, IX(given)};
    const double scale = attr_f(c, "scale");
    const Expr *factor = scale != 0 ? NUM(DT_f32, scale) : DIV(NUM(DT_f32, 1), UN(sqrt, CAST(DT_f32, l.q.width)));
    return def_call(c, "linear_attention", L_inputs, in, 2, out, 5, arg, 0, NULL) && give(c, 0, out[0], factor) &&
           give(c, 1, out[1], NUM(DT_f32, 1));
}

/* ---- CausalConvWithState: y[b,c,l] = sum(r) p[b,c,l+r] * w[c,0,r], p the past state and then the input ---- */

enum { CC_x, CC_w, CC_bias, CC_past };

bool infer_CausalConvWithState(OpCtx *c)
{
    static const char *const words[] = {"none", "silu", "swish"};
    if (attr_word(c, "activation", COUNT(words), words) < 0 || !in_rank(c, CC_x, 3, 3) || !in_rank(c, CC_w, 3, 3))
        return false;
    const Tensor *x = in_t(c, CC_x), *w = in_t(c, CC_w);
    if (!require_dim(c, CC_w, 0, x->dim[1], "causal-conv-weight") ||
        !require_dim(c, CC_w, 1, IX(1), "causal-conv-weight"))
        return false;
    if (ex_is_int(w->dim[2], 0)) return op_error(c, CC_w, "causal-conv-weight", "the kernel is empty");
    const Expr *state[] = {x->dim[0], x->dim[1], SUB(w->dim[2], IX(1))};
    for (int d = 0; has_in(c, CC_past) && d < 3; d++) {
        if (!in_rank(c, CC_past, 3, 3) || !require_dim(c, CC_past, d, state[d], "causal-conv-state")) return false;
    }
    return check_channel(c, CC_bias, x->dim[1]) && same_shape(c, 0, CC_x) && set_shape(c, 1, 3, state);
}

/* Input with the state before it: p[b,c,l]; without a past state the input, of which places before it count as zero. */
static uint32_t with_past(OpCtx *c, const Expr *before)
{
    const Tensor *x = in_t(c, CC_x);
    const Expr *dim[] = {x->dim[0], x->dim[1], ADD(x->dim[2], before)}, *i[3], *at[3];
    const uint32_t t = temp_ten(c, "padded", x->dt, 3, dim);
    vars_for(c, "bcl", 3, dim, i);
    memcpy(at, i, sizeof at);
    at[2] = SUB(i[2], before);
    const Expr *v = load_raw(c, in_ten(c, CC_x), at);
    def_map(c, t, i, SEL(LT(i[2], before), load_raw(c, in_ten(c, CC_past), i), v));
    return t;
}

/* Element l of p, which begins `before` places before the input. */
static const Expr *load_padded(OpCtx *c, uint32_t t, const Expr *before, const Expr *const *i)
{
    const Expr *at[] = {i[0], i[1], has_in(c, CC_past) ? i[2] : SUB(i[2], before)};
    return load_pad(c, t, at, NUM(dtype_compute(ten(c->te, t)->dt), 0));
}

static bool activate(OpCtx *c, uint32_t sum)
{
    const DType dt = dtype_compute(in_t(c, CC_x)->dt);
    const Expr *i[3];
    vars_for(c, "bcl", 3, out_t(c, 0)->dim, i);
    const Expr *v = load_at(c, sum, i);
    if (has_in(c, CC_bias)) v = ADD(v, load_channel(c, CC_bias, i[1]));
    if (strcmp(attr_s(c, "activation"), "none")) v = DIV(v, ADD(NUM(dt, 1), UN(exp, UN(neg, v))));
    return def_map(c, out_ten(c, 0), i, v);
}

bool lower_CausalConvWithState(OpCtx *c)
{
    const Tensor *x = in_t(c, CC_x), *w = in_t(c, CC_w);
    const Expr *before = SUB(w->dim[2], IX(1)), *i[3], *r = red_var(c, "r", w->dim[2]);
    const uint32_t p = has_in(c, CC_past) ? with_past(c, before) : in_ten(c, CC_x);
    const uint32_t sum = temp_ten(c, "dot", dtype_compute(x->dt), 3, x->dim);
    vars_for(c, "bcl", 3, x->dim, i);
    const Expr *at[] = {i[0], i[1], ADD(i[2], r)}, *wat[] = {i[1], IX(0), r};
    def_reduce(c, sum, i, RED_sum, 1, &r, w->dim + 2,
               MUL(load_padded(c, p, before, at), load_at(c, in_ten(c, CC_w), wat)));
    out_vars(c, 1, i);
    const Expr *last[] = {i[0], i[1], ADD(i[2], x->dim[2])};
    return def_map(c, out_ten(c, 1), i, load_padded(c, p, before, last)) && activate(c, sum);
}

/* ---- SkipLayerNormalization: LayerNormalization of input + skip + bias over the last dimension ---- */

enum { S_x, S_skip, S_gamma, S_beta, S_bias };

bool infer_SkipLayerNormalization(OpCtx *c)
{
    const Tensor *x = in_t(c, S_x);
    if (!in_rank(c, S_x, 2, 3) || !in_rank(c, S_skip, 2, x->rank)) return false;
    const int first = x->rank - in_t(c, S_skip)->rank;
    for (int d = first; d < x->rank; d++) {
        if (d == 0 && ex_is_int(in_t(c, S_skip)->dim[0], 1)) continue;
        if (!require_dim(c, S_skip, d - first, x->dim[d], "norm-skip")) return false;
    }
    for (int k = S_gamma; k <= S_bias; k++) {
        if (!has_in(c, k)) continue;
        if (!in_rank(c, k, 1, 1) || !require_dim(c, k, 0, x->dim[x->rank - 1], "norm-scale")) return false;
    }
    const Expr *dim[MAX_RANK];
    memcpy(dim, x->dim, sizeof dim);
    dim[x->rank - 1] = IX(1);
    for (int k = 1; k <= 2; k++) {
        if (has_out(c, k) && !set_shape(c, k, x->rank, dim)) return false;
    }
    return same_shape(c, 0, S_x) && (!has_out(c, 3) || same_shape(c, 3, S_x));
}

/* input + skip + bias: the fourth output, or a temporary. */
static uint32_t skip_sum(OpCtx *c)
{
    const Tensor *x = in_t(c, S_x);
    const uint32_t t = temp_ten(c, "residual", dtype_compute(x->dt), x->rank, x->dim);
    const Expr *i[MAX_RANK];
    vars_for(c, "ijk", x->rank, x->dim, i);
    const Expr *v = ADD(load_bcast(c, S_x, i, x->rank), load_bcast(c, S_skip, i, x->rank));
    if (has_in(c, S_bias)) v = ADD(v, load_bcast(c, S_bias, i, x->rank));
    def_map(c, t, i, v);
    if (!has_out(c, 3)) return t;
    out_vars(c, 3, i);
    def_map(c, out_ten(c, 3), i, load_at(c, t, i));
    return t;
}

bool lower_SkipLayerNormalization(OpCtx *c)
{
    const Tensor *x = in_t(c, S_x);
    const DType dt = dtype_compute(x->dt);
    const uint32_t v = skip_sum(c);
    const Axes a = axes_one(x->rank, x->dim, x->rank - 1);
    const Moments m = moments(c, &a, v, dt);
    const uint32_t rstd = temp_ten(c, "rstd", dt, a.nkept, a.kept);
    const Expr *i[MAX_RANK];
    vars_for(c, "ij", a.nkept, a.kept, i);
    def_map(c, rstd, i, DIV(NUM(dt, 1), UN(sqrt, ADD(load_at(c, m.var, i), NUM(dt, attr_f(c, "epsilon"))))));
    for (int k = 1; k <= 2; k++) {
        if (!has_out(c, k)) continue;
        out_vars(c, k, i);
        def_map(c, out_ten(c, k), i, load_at(c, k == 1 ? m.mean : rstd, i));
    }
    out_vars(c, 0, i);
    const Expr *y = MUL(SUB(load_at(c, v, i), load_at(c, m.mean, i)), load_at(c, rstd, i));
    y = MUL(y, load_bcast(c, S_gamma, i, x->rank));
    return def_map(c, out_ten(c, 0), i, has_in(c, S_beta) ? ADD(y, load_bcast(c, S_beta, i, x->rank)) : y);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators of ai.onnx.ml on numbers: features picked, scaled, mapped, and a linear model. What the attributes list
 * becomes constant tensors. Features are the last dimension.
 */
#include "proto.h"
#include "red.h"
#include "sample.h"

/* ---- constants from attributes ---- */

static uint32_t const_ten(OpCtx *c, const char *hint, int rank, const Expr *const *dim, const Blob *b)
{
    const char *name = str_fmt(c->a, "%s.%s", out_t(c, 0)->name, hint);
    const uint32_t t = te_tensor(c->te, name, b->dt, TEN_const, (uint8_t)rank, dim);
    ten(c->te, t)->data = b;
    return t;
}

/* The list of numbers that attribute `name` holds, of type dt; NULL: there is none. */
static const Blob *list_of(const OpCtx *c, const char *name, DType dt)
{
    const Attr *a = attr_find(c, name);
    if (!a || a->n == 0) return a && a->type == AT_t ? a->v.t.blob : NULL;
    if (a->type == AT_ss) return dt == DT_str ? blob_make(c->a, dt, a->n, a->v.ss) : NULL;
    unsigned char *data = NEWN(c->a, unsigned char, (size_t)a->n *dtype_bytes(dt));
    for (uint32_t k = 0; k < a->n; k++) {
        void *p = data + (size_t)k * dtype_bytes(dt);
        if (a->type == AT_is)
            dtype_put_i(dt, p, a->v.is[k]);
        else if (a->type == AT_fs)
            dtype_put_f(dt, p, a->v.fs[k]);
        else
            return NULL;
    }
    return blob_make(c->a, dt, a->n, data);
}

/* Element of a list that holds one value, or one for each feature. */
static const Expr *per_feature(OpCtx *c, const char *hint, const Blob *b, const Expr *feature)
{
    const Expr *n = IX(b->count), *at = b->count == 1 ? IX(0) : feature;
    return load_at(c, const_ten(c, hint, 1, &n, b), &at);
}

static const Expr *features(const OpCtx *c)
{
    return in_t(c, 0)->dim[in_t(c, 0)->rank - 1];
}

/* A list has one value, or one for each feature. */
static bool check_features(const OpCtx *c, const char *name, const Blob *b)
{
    if (!b || b->count == 1 || ex_is_int(features(c), b->count)) return true;
    return op_error(c, NO_OPERAND, "ml-list", "%s has %lld values, expected 1 or one for each feature", name,
                    (long long)b->count);
}

/* ---- ArrayFeatureExtractor ---- */

bool infer_ArrayFeatureExtractor(OpCtx *c)
{
    const Tensor *x = in_t(c, 0), *y = in_t(c, 1);
    const Expr *dim[MAX_RANK] = {IX(1)}, *n = IX(1);
    if (!in_rank(c, 0, 1, MAX_RANK)) return false;
    if (ex_is_int(features(c), 0)) return op_error(c, 0, "gather-empty", "'%s' has no features", x->name);
    for (int d = 0; d < y->rank; d++) n = MUL(n, y->dim[d]);
    if (x->rank > 1) memcpy(dim, x->dim, sizeof dim);
    const int rank = x->rank > 1 ? x->rank : 2;
    dim[rank - 1] = n;
    return set_shape(c, 0, rank, dim);
}

bool lower_ArrayFeatureExtractor(OpCtx *c)
{
    const Tensor *x = in_t(c, 0), *y = in_t(c, 1), *z = out_t(c, 0);
    const Expr *i[MAX_RANK], *j[MAX_RANK], *at[MAX_RANK];
    out_vars(c, 0, i);
    reshape_index(c, 1, z->dim + z->rank - 1, i + z->rank - 1, y->rank, y->dim, j);
    memcpy(at, i, sizeof at);
    at[x->rank - 1] = load_index(c, in_ten(c, 1), j, features(c));
    return def_map(c, out_ten(c, 0), i, load_raw(c, in_ten(c, 0), at));
}

/* ---- Binarizer, Scaler, Imputer ---- */

bool infer_Binarizer(OpCtx *c)
{
    return same_shape(c, 0, 0);
}

bool lower_Binarizer(OpCtx *c)
{
    const Expr *i[MAX_RANK];
    out_vars(c, 0, i);
    const Expr *x = load_at(c, in_ten(c, 0), i);
    const DType dt = (DType)x->dt, wide = dtype_is_float(dt) ? dt : DT_f64;
    return def_map(c, out_ten(c, 0), i,
                   SEL(LT(NUM(wide, attr_f(c, "threshold")), CAST(wide, x)), NUM(dt, 1), NUM(dt, 0)));
}

bool infer_Scaler(OpCtx *c)
{
    return in_rank(c, 0, 1, MAX_RANK) && check_features(c, "offset", list_of(c, "offset", DT_f32)) &&
           check_features(c, "scale", list_of(c, "scale", DT_f32)) && same_shape(c, 0, 0);
}

/* y = (x - offset) * scale */
bool lower_Scaler(OpCtx *c)
{
    const Blob *offset = list_of(c, "offset", DT_f32), *scale = list_of(c, "scale", DT_f32);
    const Expr *i[MAX_RANK];
    out_vars(c, 0, i);
    const Expr *v = CAST(DT_f32, load_at(c, in_ten(c, 0), i)), *feature = i[in_t(c, 0)->rank - 1];
    if (offset) v = SUB(v, per_feature(c, "offset", offset, feature));
    if (scale) v = MUL(v, per_feature(c, "scale", scale, feature));
    return def_map(c, out_ten(c, 0), i, v);
}

/* The values put in, as the input's type wants them. */
static const Blob *imputed(const OpCtx *c)
{
    const DType dt = in_t(c, 0)->dt;
    return list_of(c, dtype_is_float(dt) ? "imputed_value_floats" : "imputed_value_int64s", dt);
}

bool infer_Imputer(OpCtx *c)
{
    if (!in_rank(c, 0, 1, MAX_RANK)) return false;
    if (!imputed(c)) return op_error(c, NO_OPERAND, "ml-list", "there are no imputed values of the input's kind");
    return check_features(c, "imputed_value", imputed(c)) && same_shape(c, 0, 0);
}

bool lower_Imputer(OpCtx *c)
{
    const Expr *i[MAX_RANK];
    out_vars(c, 0, i);
    const Expr *x = load_at(c, in_ten(c, 0), i), *missing;
    const double f = attr_f(c, "replaced_value_float");
    if (!dtype_is_float((DType)x->dt))
        missing = EQ(x, ex_const_i(c->x, (DType)x->dt, attr_i(c, "replaced_value_int64")));
    else if (f != f)
        missing = UN(isnan, x);
    else
        missing = EQ(x, NUM((DType)x->dt, f));
    return def_map(c, out_ten(c, 0), i,
                   SEL(missing, per_feature(c, "imputed", imputed(c), i[in_t(c, 0)->rank - 1]), x));
}

/* ---- Normalizer ---- */

enum { NORM_max, NORM_l1, NORM_l2, NORM_count };

static const char *const norm_words[] = {"MAX", "L1", "L2"};

bool infer_Normalizer(OpCtx *c)
{
    return attr_word(c, "norm", NORM_count, norm_words) >= 0 && in_rank(c, 0, 1, MAX_RANK) && same_shape(c, 0, 0);
}

/* y = x / max(norm of the row, 1e-30) */
bool lower_Normalizer(OpCtx *c)
{
    const Tensor *x = in_t(c, 0);
    const int norm = attr_word(c, "norm", NORM_count, norm_words);
    const Axes rows = axes_one(x->rank, x->dim, x->rank - 1);
    const Expr *i[MAX_RANK];
    Sweep s;
    sweep(c, &rows, &s);
    const Expr *v = CAST(DT_f32, load_at(c, in_ten(c, 0), s.at));
    v = norm == NORM_l2 ? MUL(v, v) : UN(abs, v);
    const uint32_t t = sweep_temp(c, "norm", &rows, &s, norm == NORM_max ? RED_max : RED_sum, v);
    const uint32_t by = temp_ten(c, "divisor", DT_f32, rows.nkept, rows.kept);
    vars_for(c, "ijk", rows.nkept, rows.kept, i);
    v = load_at(c, t, i);
    def_map(c, by, i, MAX(norm == NORM_l2 ? UN(sqrt, v) : v, NUM(DT_f32, 1e-30)));
    out_vars(c, 0, i);
    return def_map(c, out_ten(c, 0), i, DIV(CAST(DT_f32, load_at(c, in_ten(c, 0), i)), load_at(c, by, i)));
}

/* ---- LabelEncoder ---- */

typedef struct Labels {
    const Blob *keys, *values;
    DType dt;          /* of the values */
    const Blob *other; /* for what is no key, one element */
} Labels;

/* First of the lists called stem_floats, stem_int64s, stem_strings, stem_tensor; *dt: type of its elements. */
static const Blob *label_list(const OpCtx *c, const char *stem, DType *dt)
{
    static const struct {
        const char *suffix;
        DType dt;
    } kind[] = {{"floats", DT_f32}, {"int64s", DT_i64}, {"strings", DT_str}, {"tensor", DT_none}};
    for (size_t k = 0; k < COUNT(kind); k++) {
        const Blob *b = list_of(c, str_fmt(c->a, "%s_%s", stem, kind[k].suffix), kind[k].dt);
        if (!b || b->count == 0) continue;
        *dt = b->dt;
        return b;
    }
    return NULL;
}

/* What stands for all other inputs: default_tensor, or the default of the values' type. */
static const Blob *label_default(const OpCtx *c, DType dt)
{
    const Attr *a = attr_find(c, "default_tensor");
    unsigned char one[16] = {0};
    if (a && a->v.t.blob->count == 1 && a->v.t.blob->dt == dt) return a->v.t.blob;
    const char *text = attr_s(c, "default_string");
    if (dt == DT_str) return blob_make(c->a, dt, 1, &text);
    if (dtype_is_float(dt))
        dtype_put_f(dt, one, attr_f(c, "default_float"));
    else
        dtype_put_i(dt, one, attr_i(c, "default_int64"));
    return blob_make(c->a, dt, 1, one);
}

static bool read_labels(const OpCtx *c, Labels *l)
{
    DType key;
    l->keys = label_list(c, "keys", &key);
    l->values = label_list(c, "values", &l->dt);
    if (!l->keys || !l->values || l->keys->count != l->values->count)
        return op_error(c, NO_OPERAND, "label-lists", "there must be as many values as keys");
    const DClass cls = dtype_info(l->dt)->cls;
    if (key != in_t(c, 0)->dt || (cls != DC_F && cls != DC_I && cls != DC_S))
        return op_error(c, 0, "label-types", "the keys must have the type of '%s', values be numbers or strings",
                        in_t(c, 0)->name);
    l->other = label_default(c, l->dt);
    return true;
}

bool infer_LabelEncoder(OpCtx *c)
{
    Labels l;
    return read_labels(c, &l) && set_type(c, 0, l.dt) && same_shape(c, 0, 0);
}

/* place[i] = last k with keys[k] = x[i], else -1; two NaN are equal here. */
static uint32_t label_places(OpCtx *c, const Labels *l)
{
    const Tensor *x = in_t(c, 0);
    const uint32_t t = temp_ten(c, "place", DT_i32, x->rank, x->dim);
    const Expr *n = IX(l->keys->count), *i[MAX_RANK];
    const uint32_t keys = const_ten(c, "keys", 1, &n, l->keys);
    vars_for(c, "ijk", x->rank, x->dim, i);
    const Expr *r = red_var(c, "r", n), *v = load_at(c, in_ten(c, 0), i), *key = load_at(c, keys, &r);
    const Expr *hit = EQ(v, key);
    if (dtype_is_float((DType)v->dt)) hit = OR(hit, AND(UN(isnan, v), UN(isnan, key)));
    def_reduce(c, t, i, RED_max, 1, &r, &n, SEL(hit, CAST(DT_i32, r), NUM(DT_i32, -1)));
    return t;
}

bool lower_LabelEncoder(OpCtx *c)
{
    Labels l;
    const Expr *i[MAX_RANK], *zero = IX(0), *one = IX(1);
    if (!read_labels(c, &l)) return false;
    const Expr *n = IX(l.values->count);
    const uint32_t place = label_places(c, &l), values = const_ten(c, "values", 1, &n, l.values);
    const uint32_t other = const_ten(c, "default", 1, &one, l.other);
    out_vars(c, 0, i);
    const Expr *at = load_index(c, place, i, n), *found = LE(NUM(DT_i32, 0), load_at(c, place, i));
    return def_map(c, out_ten(c, 0), i, SEL(found, load_at(c, values, &at), load_at(c, other, &zero)));
}

/* ---- LinearRegressor: y[n,t] = sum(f) x[n,f] * coefficients[t,f] + intercepts[t] ---- */

bool infer_LinearRegressor(OpCtx *c)
{
    static const char *const none[] = {"NONE"};
    const Blob *w = list_of(c, "coefficients", DT_f32), *b = list_of(c, "intercepts", DT_f32);
    const int64_t targets = attr_i(c, "targets");
    if (attr_word(c, "post_transform", COUNT(none), none) < 0 || !in_rank(c, 0, 2, 2)) return false;
    if (targets < 1 || targets > INT32_MAX || !w || !dim_equal(c, IX(w->count), MUL(IX(targets), features(c))))
        return op_error(c, NO_OPERAND, "ml-list", "there must be a coefficient for each feature of each target");
    if (b && b->count != 1 && b->count != targets)
        return op_error(c, NO_OPERAND, "ml-list", "there are %lld intercepts for %lld targets", (long long)b->count,
                        (long long)targets);
    const Expr *dim[] = {in_t(c, 0)->dim[0], IX(targets)};
    return set_shape(c, 0, 2, dim);
}

bool lower_LinearRegressor(OpCtx *c)
{
    const Tensor *y = out_t(c, 0);
    const Blob *b = list_of(c, "intercepts", DT_f32);
    const Expr *dim[] = {y->dim[1], features(c)}, *i[2], *f = red_var(c, "f", features(c));
    const uint32_t w = const_ten(c, "coefficients", 2, dim, list_of(c, "coefficients", DT_f32));
    const uint32_t sum = temp_ten(c, "dot", DT_f32, 2, y->dim);
    vars_for(c, "nt", 2, y->dim, i);
    const Expr *xat[] = {i[0], f}, *wat[] = {i[1], f};
    const Expr *body = MUL(CAST(DT_f32, load_at(c, in_ten(c, 0), xat)), load_at(c, w, wat));
    def_reduce(c, sum, i, RED_sum, 1, &f, dim + 1, body);
    out_vars(c, 0, i);
    const Expr *v = load_at(c, sum, i);
    return def_map(c, out_ten(c, 0), i, b ? ADD(v, per_feature(c, "intercepts", b, i[1])) : v);
}

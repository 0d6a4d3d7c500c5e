/* SPDX-License-Identifier: Apache-2.0
 *
 * The one accessor for every way in which ONNX stores a tensor: raw bytes, typed fields, other files, sparse, packed
 * sub-byte elements, strings. Whoever needs the elements of a tensor comes here, so what is checked here is checked.
 *
 * Bytes in memory form (whole elements, little-endian, bool 0 or 1) stay views of the file; others are converted.
 */
#include "import.h"

#include "wire.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are views of little-endian files");

enum {
    DENSE_MAX = 1 << 28, /* elements that a sparse tensor may have when the user set no limit */
    MAX_SHARING = 16     /* tensors of a model may use the bytes of an external file so often on average */
};

static const char *tensor_name(const RawTensor *t)
{
    return t->name ? t->name : "";
}

static bool error(Import *im, const RawTensor *t, const char *slug, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *text = str_vfmt(im->scratch, fmt, ap);
    va_end(ap);
    return diag_error(im->cx->diags, slug, "tensor '%s': %s", tensor_name(t), text);
}

/* Type and shape; *count: number of elements. */
static bool read_type(Import *im, const RawTensor *t, size_t rank, const int64_t *dim, TensorValue *v, int64_t *count)
{
    *v = (TensorValue){.dt = t->type > 0 ? dtype_by_onnx(t->type) : DT_none};
    *count = 1;
    if (v->dt == DT_none) return error(im, t, "unsupported-type", "element type %lld is not known", (long long)t->type);
    if (rank > MAX_RANK) return error(im, t, "rank", "rank %zu, at most %d is supported", rank, MAX_RANK);
    v->rank = (uint8_t)rank;
    for (size_t d = 0; d < rank; d++) {
        v->dim[d] = dim[d];
        if (dim[d] < 0 || !mul_i64(*count, dim[d], count) || *count > INT64_MAX / 16)
            return error(im, t, "tensor-size", "dimension %zu is %lld", d, (long long)dim[d]);
    }
    return true;
}

/* Bytes of count elements in a file, where sub-byte elements are packed. */
static size_t file_bytes(DType dt, int64_t count)
{
    const size_t bits = dtype_info(dt)->bits, n = (size_t)count;
    return bits >= 8 ? n * (bits / 8) : (n + 8 / bits - 1) / (8 / bits);
}

static bool size_error(Import *im, const RawTensor *t, size_t found, size_t expected)
{
    return error(im, t, "tensor-size", "%zu bytes of data, its type and shape need %zu", found, expected);
}

/* One element per byte from elements packed from the low bits up; signed ones are extended. */
static const void *unpack_bits(Arena *a, DType dt, int64_t count, const uint8_t *p)
{
    const unsigned bits = dtype_info(dt)->bits, per = 8 / bits, mask = (1u << bits) - 1;
    const unsigned sign = dtype_info(dt)->cls == DC_I ? 1u << (bits - 1) : 0;
    uint8_t *out = NEWN(a, uint8_t, count);
    for (size_t i = 0; i < (size_t)count; i++) {
        const unsigned v = (unsigned)p[i / per] >> (i % per * bits) & mask;
        out[i] = (uint8_t)((v ^ sign) - sign);
    }
    return out;
}

static const void *normal_bools(Arena *a, const uint8_t *p, size_t n)
{
    size_t i = 0;
    while (i < n && p[i] <= 1) i++;
    if (i == n) return p;
    uint8_t *out = NEWN(a, uint8_t, n);
    for (i = 0; i < n; i++) out[i] = p[i] != 0;
    return out;
}

/* Elements in file form to a blob. */
static bool from_bytes(Import *im, const RawTensor *t, TensorValue *v, int64_t count, Bytes b)
{
    Arena *a = im->cx->arena;
    const size_t need = file_bytes(v->dt, count);
    if (b.n != need) return size_error(im, t, b.n, need);
    if (v->dt == DT_str) return error(im, t, "tensor-size", "strings cannot be stored as raw bytes");
    const void *p = b.n > WIRE_INLINE ? b.p : arena_copy(a, b.p, b.n); /* short payloads lie in scratch memory */
    if (dtype_info(v->dt)->bits < 8)
        p = unpack_bits(a, v->dt, count, p);
    else if (v->dt == DT_bool)
        p = normal_bools(a, p, b.n);
    v->blob = blob_view(a, v->dt, count, p);
    return true;
}

static bool from_strings(Import *im, const RawTensor *t, TensorValue *v, int64_t count)
{
    if (t->string.n != (size_t)count)
        return error(im, t, "tensor-size", "%zu strings, its shape needs %lld", t->string.n, (long long)count);
    const char **s = NEWN(im->cx->arena, const char *, count);
    for (size_t i = 0; i < t->string.n; i++) {
        const Bytes b = t->string.at[i];
        if (b.n && memchr(b.p, 0, b.n)) return error(im, t, "text", "string %zu holds a NUL byte", i);
        s[i] = str_ndup(im->cx->arena, (const char *)b.p, b.n);
    }
    v->blob = blob_view(im->cx->arena, v->dt, count, s);
    return true;
}

static size_t chunk_bytes(const BytesList *list)
{
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) n += list->at[i].n;
    return n;
}

/* Float and double fields hold the elements as they are in memory. */
static bool from_floats(Import *im, const RawTensor *t, const BytesList *list, TensorValue *v, int64_t count)
{
    if (list->n == 1) return from_bytes(im, t, v, count, list->at[0]);
    const size_t n = chunk_bytes(list);
    uint8_t *all = NEWN(im->cx->arena, uint8_t, n), *at = all;
    for (size_t i = 0; i < list->n; i++) {
        memcpy(at, list->at[i].p, list->at[i].n);
        at += list->at[i].n;
    }
    return from_bytes(im, t, v, count, (Bytes){all, n});
}

/* Integer fields hold one varint per element, or per byte of packed elements. */
static bool from_varints(Import *im, const RawTensor *t, const BytesList *list, TensorValue *v, int64_t count)
{
    const size_t width = dtype_info(v->dt)->bits < 8 ? 1 : dtype_bytes(v->dt), need = file_bytes(v->dt, count);
    if (chunk_bytes(list) < need / width) return size_error(im, t, chunk_bytes(list), need);
    uint8_t *out = NEWN(im->cx->arena, uint8_t, need), *at = out;
    for (size_t i = 0; i < list->n; i++) {
        const uint8_t *p = list->at[i].p, *end = p + list->at[i].n;
        for (uint64_t value; p < end; at += width) {
            if (at == out + need || !wire_varint(&p, end, &value))
                return error(im, t, "tensor-size", "its integers do not match its shape");
            memcpy(at, &value, width);
        }
    }
    return from_bytes(im, t, v, count, (Bytes){out, (size_t)(at - out)});
}

static bool from_typed(Import *im, const RawTensor *t, TensorValue *v, int64_t count)
{
    static const uint8_t field[DT_count] = {
        [DT_f32] = TYPED_float,        [DT_c64] = TYPED_float,        [DT_f64] = TYPED_double,
        [DT_c128] = TYPED_double,      [DT_i64] = TYPED_int64,        [DT_u32] = TYPED_uint64,
        [DT_u64] = TYPED_uint64,       [DT_i32] = TYPED_int32,        [DT_u8] = TYPED_int32,
        [DT_i8] = TYPED_int32,         [DT_u16] = TYPED_int32,        [DT_i16] = TYPED_int32,
        [DT_bool] = TYPED_int32,       [DT_f16] = TYPED_int32,        [DT_bf16] = TYPED_int32,
        [DT_u4] = TYPED_int32,         [DT_i4] = TYPED_int32,         [DT_u2] = TYPED_int32,
        [DT_i2] = TYPED_int32,         [DT_f4e2m1] = TYPED_int32,     [DT_f8e8m0] = TYPED_int32,
        [DT_f8e4m3fn] = TYPED_int32,   [DT_f8e4m3fnuz] = TYPED_int32, [DT_f8e5m2] = TYPED_int32,
        [DT_f8e5m2fnuz] = TYPED_int32,
    };
    const uint8_t which = field[v->dt];
    const BytesList *list = &t->typed[which];
    const bool floats = which == TYPED_float || which == TYPED_double;
    return floats ? from_floats(im, t, list, v, count) : from_varints(im, t, list, v, count);
}

/* A byte count in an external_data entry: decimal digits, nothing else. */
static bool parse_bytes(const char *s, uint64_t *n)
{
    *n = 0;
    for (const char *p = s; *p; p++) {
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(*n, 10u, n) ||
            __builtin_add_overflow(*n, (unsigned)(*p - '0'), n))
            return false;
    }
    return *s != 0;
}

typedef struct External {
    const char *location;
    uint64_t offset, length;
    bool has_length;
} External;

static bool external_key(Import *im, const RawTensor *t, External *e, const char *key, const char *val)
{
    if (strcmp(key, "location") == 0) {
        e->location = val;
    } else if (strcmp(key, "offset") == 0) {
        if (!parse_bytes(val, &e->offset))
            return error(im, t, "external-data", "offset '%s' is not a number of bytes", val);
    } else if (strcmp(key, "length") == 0) {
        e->has_length = true;
        if (!parse_bytes(val, &e->length))
            return error(im, t, "external-data", "length '%s' is not a number of bytes", val);
    } else if (strcmp(key, "checksum") != 0) {
        return error(im, t, "external-data", "the entry '%s' is not known", key);
    }
    return true;
}

/* The part of another file that holds the tensor. */
static bool external_bytes(Import *im, const RawTensor *t, size_t need, Bytes *b)
{
    External e = {0};
    for (size_t i = 0; i < t->nkeys; i++) {
        if (!external_key(im, t, &e, t->key[i], t->val[i])) return false;
    }
    if (!e.location) return error(im, t, "external-data", "no file is named");
    const char *model = im->maps->file.at[0].path;
    if (!maps_beneath(im->maps, im->cx->diags, model, e.location, tensor_name(t), b)) return false;
    const uint64_t length = e.has_length ? e.length : need;
    if (e.offset > b->n || length > b->n - e.offset)
        return error(im, t, "external-data", "bytes %llu + %llu of '%s', which has %zu", (unsigned long long)e.offset,
                     (unsigned long long)length, e.location, b->n);
    im->external += length;
    if (im->external / MAX_SHARING > im->maps->bytes)
        return error(im, t, "limit", "the model's tensors use each byte of external data more than %d times",
                     MAX_SHARING);
    *b = (Bytes){b->n ? b->p + e.offset : NULL, (size_t)length};
    return true;
}

/* Adds element i of a sparse tensor to the dense one; indices are linear, or one row of `rank` per element. */
static bool sparse_index(const TensorValue *index, size_t i, size_t rank, const int64_t *dim, int64_t count,
                         int64_t *at)
{
    if (index->rank == 1) {
        *at = blob_i(index->blob, (int64_t)i);
        return *at >= 0 && *at < count;
    }
    *at = 0;
    for (size_t d = 0; d < rank; d++) {
        const int64_t k = blob_i(index->blob, (int64_t)(i * rank + d));
        if (k < 0 || k >= dim[d]) return false;
        *at = *at * dim[d] + k;
    }
    return true;
}

static bool check_sparse(Import *im, const RawTensor *t, size_t rank, const TensorValue *values,
                         const TensorValue *index)
{
    const bool linear = index->rank == 1 && index->dim[0] == values->dim[0];
    const bool rows = index->rank == 2 && index->dim[0] == values->dim[0] && index->dim[1] == (int64_t)rank;
    if (values->dt == DT_str) return error(im, t, "unsupported-type", "sparse tensors of strings are not supported");
    if (values->rank != 1 || index->dt != DT_i64 || !(linear || rows))
        return error(im, t, "tensor-size", "the indices of a sparse tensor do not match its values");
    return true;
}

bool tensor_read(Import *im, const RawTensor *t, TensorValue *v)
{
    int64_t count;
    Bytes b = t->raw;
    if (!read_type(im, t, t->rank, t->dim, v, &count)) return false;
    if (t->external && !external_bytes(im, t, file_bytes(v->dt, count), &b)) return false;
    if (t->external || t->has_raw) return from_bytes(im, t, v, count, b);
    return v->dt == DT_str ? from_strings(im, t, v, count) : from_typed(im, t, v, count);
}

bool tensor_read_sparse(Import *im, const RawTensor *values, const RawTensor *indices, size_t rank, const int64_t *dim,
                        TensorValue *v)
{
    TensorValue val, index;
    int64_t count;
    const uint64_t limit = im->cx->max_elements ? im->cx->max_elements : DENSE_MAX;
    if (!tensor_read(im, values, &val) || !tensor_read(im, indices, &index) ||
        !read_type(im, values, rank, dim, v, &count) || !check_sparse(im, values, rank, &val, &index))
        return false;
    if ((uint64_t)count > limit)
        return error(im, values, "limit", "%lld elements, limit %llu", (long long)count, (unsigned long long)limit);
    const size_t size = dtype_bytes(v->dt);
    char *out = NEWN(im->cx->arena, char, mul_size_or_oom(im->scratch, (size_t)count, size));
    for (int64_t i = 0; i < val.dim[0]; i++) {
        int64_t at;
        if (!sparse_index(&index, (size_t)i, rank, dim, count, &at))
            return error(im, values, "tensor-size", "index %lld of a sparse tensor is outside its shape", (long long)i);
        blob_get(val.blob, i, 1, out + (size_t)at * size);
    }
    v->blob = blob_view(im->cx->arena, v->dt, count, out);
    return true;
}

void tensor_set(Graph *g, TensorId id, const TensorValue *v)
{
    Tensor *t = tensor(g, id);
    t->kind = TK_CONST;
    t->dt = v->dt;
    t->ranked = true;
    t->rank = v->rank;
    t->data = v->blob;
    for (uint8_t d = 0; d < v->rank; d++) t->dim[d] = ex_int(g->cx->x, v->dim[d]);
}

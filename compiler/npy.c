/* SPDX-License-Identifier: Apache-2.0
 *
 * Tensor files. The header of a .npy file is a Python dictionary of three entries; only that form is understood, never
 * evaluated. NumPy has no narrow floats and no sub-byte integers: those travel as their bits in unsigned integers.
 */
#include "npy.h"

#include <stdlib.h>

#include "import.h"

typedef struct NpyType {
    char kind;
    uint8_t size;
    DType dt;
} NpyType;

/* What a type code of NumPy is. */
static const NpyType npy_types[] = {
    {'f', 2, DT_f16}, {'f', 4, DT_f32},  {'f', 8, DT_f64}, {'i', 1, DT_i8},    {'i', 2, DT_i16},
    {'i', 4, DT_i32}, {'i', 8, DT_i64},  {'u', 1, DT_u8},  {'u', 2, DT_u16},   {'u', 4, DT_u32},
    {'u', 8, DT_u64}, {'b', 1, DT_bool}, {'c', 8, DT_c64}, {'c', 16, DT_c128},
};

typedef struct NpyHeader {
    char kind;    /* 'f', 'i', 'u', 'b', 'c', 'V', 'U' or 'S' */
    int64_t size; /* bytes of an element; of 'U': code points */
    bool big_endian, fortran;
    size_t rank;
    int64_t dim[MAX_RANK];
} NpyHeader;

typedef struct Reader {
    Import im;
    const char *path;
    const TensorValue *expect;
} Reader;

static bool error(Reader *r, const char *slug, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *text = str_vfmt(r->im.scratch, fmt, ap);
    va_end(ap);
    return diag_error(r->im.cx->diags, slug, "'%s': %s", r->path, text);
}

static const char *skip(const char *s, const char *set)
{
    return s + strspn(s, set);
}

/* The text behind 'key': in the dictionary; NULL when it is not there. */
static const char *dict_value(const char *dict, const char *key)
{
    const char *at = strstr(dict, key);
    return at ? skip(at + strlen(key), "'\" :") : NULL;
}

static bool parse_descr(const char *s, NpyHeader *h)
{
    h->big_endian = *s == '>';
    if (*s && strchr("<>|=", *s)) s++;
    h->kind = *s;
    char *end = NULL;
    h->size = *s ? strtoll(s + 1, &end, 10) : 0;
    return *s && end != s + 1 && h->size >= 0 && h->size <= 1 << 20;
}

static bool parse_shape(const char *s, NpyHeader *h)
{
    if (!s || *s != '(') return false;
    for (s = skip(s + 1, " ,"); *s >= '0' && *s <= '9'; s = skip(s, " ,L")) {
        char *end;
        if (h->rank == MAX_RANK) return false;
        h->dim[h->rank++] = strtoll(s, &end, 10);
        s = end;
    }
    return *s == ')';
}

/* The header at the front of b, which then starts at the data. */
static bool parse_header(Reader *r, Bytes *b, NpyHeader *h)
{
    if (b->n < 12 || memcmp(b->p, "\x93NUMPY", 6) != 0) return error(r, "npy", "not a .npy file");
    const size_t wide = b->p[6] >= 2, start = wide ? 12 : 10;
    size_t n = b->p[8] | (size_t)b->p[9] << 8;
    if (wide) n |= (size_t)b->p[10] << 16 | (size_t)b->p[11] << 24;
    if (n > b->n - start) return error(r, "npy", "the header is cut off");
    const char *dict = str_ndup(r->im.scratch, (const char *)b->p + start, n);
    const char *descr = dict_value(dict, "'descr'"), *order = dict_value(dict, "'fortran_order'");
    if (!descr || !order || !parse_descr(descr, h) || !parse_shape(dict_value(dict, "'shape'"), h))
        return error(r, "npy", "the header is not understood: %s", dict);
    h->fortran = strncmp(order, "True", 4) == 0;
    *b = (Bytes){b->p + start + n, b->n - start - n};
    return true;
}

/* The element type: NumPy's own, or the expected one where NumPy has only a place for its bits. */
static DType npy_dtype(const Reader *r, const NpyHeader *h)
{
    const DType want = r->expect ? r->expect->dt : DT_none;
    DType found = h->kind == 'U' || h->kind == 'S' ? DT_str : DT_none;
    for (size_t i = 0; i < COUNT(npy_types); i++) {
        if (npy_types[i].kind == h->kind && npy_types[i].size == h->size) found = npy_types[i].dt;
    }
    const bool bits = h->kind == 'V' || h->kind == 'u' || (h->kind == 'i' && dtype_is_int(want));
    const bool foreign =
        want != DT_none && (dtype_info(want)->bits < 8 || (dtype_is_float(want) && dtype_bytes(want) < 4));
    return bits && foreign && (size_t)h->size == dtype_bytes(want) ? want : found;
}

static size_t put_utf8(char *out, uint32_t c)
{
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    const size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6) out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(n == 1 ? c : lead[n] | c);
    return n;
}

/* Fixed-size text: code points of 4 bytes ('U') or bytes ('S'), filled up with zeros. */
static const char *npy_string(Arena *a, const NpyHeader *h, const uint8_t *p)
{
    char *s = NEWN(a, char, 4 * h->size + 1);
    size_t n = 0;
    for (int64_t i = 0; i < h->size; i++) {
        uint32_t c = p[i];
        if (h->kind == 'U') memcpy(&c, p + 4 * i, sizeof c);
        if (c == 0 || c > 0x10ffff) break;
        if (h->kind == 'S')
            s[n++] = (char)c;
        else
            n += put_utf8(s + n, c);
    }
    return s;
}

static const Blob *npy_strings(Arena *a, const NpyHeader *h, int64_t count, const uint8_t *p)
{
    const size_t bytes = (size_t)h->size * (h->kind == 'U' ? 4 : 1);
    const char **s = NEWN(a, const char *, count);
    for (int64_t i = 0; i < count; i++) s[i] = npy_string(a, h, p + (size_t)i * bytes);
    return blob_view(a, DT_str, count, s);
}

/* Elements in memory form from a file that may hold anything: bool and sub-byte elements are forced into range. */
static const Blob *number_blob(Arena *a, DType dt, int64_t count, const uint8_t *p)
{
    const DTypeInfo *t = dtype_info(dt);
    if (t->bits >= 8 && dt != DT_bool) return blob_view(a, dt, count, p);
    const unsigned mask = (1u << t->bits) - 1, sign = t->cls == DC_I ? 1u << (t->bits - 1) : 0;
    uint8_t *out = NEWN(a, uint8_t, count);
    for (int64_t i = 0; i < count; i++) out[i] = dt == DT_bool ? p[i] != 0 : (uint8_t)(((p[i] & mask) ^ sign) - sign);
    return blob_view(a, dt, count, out);
}

static bool count_of(size_t rank, const int64_t *dim, int64_t *count)
{
    *count = 1;
    for (size_t d = 0; d < rank; d++) {
        if (dim[d] < 0 || !mul_i64(*count, dim[d], count) || *count > INT64_MAX >> 24) return false;
    }
    return true;
}

static bool read_npy(Reader *r, Bytes b, TensorValue *v)
{
    NpyHeader h = {0};
    int64_t count;
    if (!parse_header(r, &b, &h)) return false;
    *v = (TensorValue){.dt = npy_dtype(r, &h), .rank = (uint8_t)h.rank};
    memcpy(v->dim, h.dim, sizeof v->dim);
    if (v->dt == DT_none)
        return error(r, "unsupported-type", "elements of NumPy type '%c%lld' are not supported", h.kind,
                     (long long)h.size);
    if (h.big_endian || (h.fortran && h.rank > 1))
        return error(r, "unsupported-npy", "only little-endian arrays in C order are supported");
    const size_t size = (size_t)h.size * (h.kind == 'U' ? 4 : 1);
    if (!count_of(h.rank, h.dim, &count) || b.n != (size_t)count * size)
        return error(r, "npy", "%zu bytes of data do not match the header", b.n);
    Arena *a = r->im.cx->arena;
    v->blob = v->dt == DT_str ? npy_strings(a, &h, count, b.p) : number_blob(a, v->dt, count, b.p);
    return true;
}

/* Raw numbers take type and shape from what is expected; one open dimension follows from the size. */
static bool read_raw(Reader *r, Bytes b, TensorValue *v)
{
    if (!r->expect || r->expect->dt == DT_none || r->expect->dt == DT_str)
        return error(r, "value-type", "a raw file needs a known numeric type; use .npy or .pb");
    *v = *r->expect;
    int open = -1;
    for (uint8_t d = 0; d < v->rank; d++) {
        if (v->dim[d] >= 0) continue;
        if (open >= 0) return error(r, "value-shape", "a raw file leaves only one dimension open; use .npy or .pb");
        open = d;
        v->dim[d] = 1;
    }
    int64_t count;
    if (!count_of(v->rank, v->dim, &count)) return error(r, "value-shape", "the expected shape is too large");
    const size_t step = (size_t)count * dtype_bytes(v->dt);
    if (open >= 0 && step && b.n % step == 0) {
        v->dim[open] = (int64_t)(b.n / step);
        count *= v->dim[open];
    }
    if (b.n != (size_t)count * dtype_bytes(v->dt)) return error(r, "value-shape", "%zu bytes, expected %zu", b.n, step);
    v->blob = number_blob(r->im.cx->arena, v->dt, count, b.p);
    return true;
}

static bool as_expected(Reader *r, const TensorValue *v)
{
    const TensorValue *e = r->expect;
    if (!e) return true;
    if (e->dt != DT_none && e->dt != v->dt)
        return error(r, "value-type", "elements are %s, expected %s", dtype_info(v->dt)->name, dtype_info(e->dt)->name);
    if (e->rank != v->rank) return error(r, "value-shape", "rank is %u, expected %u", v->rank, e->rank);
    for (uint8_t d = 0; d < v->rank; d++) {
        if (e->dim[d] >= 0 && e->dim[d] != v->dim[d])
            return error(r, "value-shape", "dimension %u is %lld, expected %lld", d, (long long)v->dim[d],
                         (long long)e->dim[d]);
    }
    return true;
}

static bool has_suffix(const char *path, const char *suffix)
{
    const size_t n = strlen(path), m = strlen(suffix);
    return n >= m && strcmp(path + n - m, suffix) == 0;
}

static bool read_any(Reader *r, TensorValue *v)
{
    Bytes b;
    if (has_suffix(r->path, ".pb")) return tensor_file(&r->im, r->path, v);
    if (!maps_open(r->im.maps, r->im.cx->diags, r->path, &b, r->im.io_error)) return false;
    return has_suffix(r->path, ".npy") ? read_npy(r, b, v) : read_raw(r, b, v);
}

bool value_read(Ctx *cx, Maps *maps, const char *path, const TensorValue *expect, TensorValue *v, bool *io_error)
{
    Arena *scratch = arena_child(cx->arena);
    Reader r = {
        .im = {.cx = cx, .scratch = scratch, .maps = maps, .io_error = io_error}, .path = path, .expect = expect};
    const bool ok = read_any(&r, v) && as_expected(&r, v);
    arena_free(scratch);
    return ok;
}

/* Longest string, for NumPy's fixed-size text; code points are at most as many as bytes. */
static size_t longest(const Blob *b)
{
    size_t n = 1;
    for (int64_t i = 0; i < b->count; i++) {
        const char *s;
        blob_get(b, i, 1, &s);
        n = strlen(s) > n ? strlen(s) : n;
    }
    return n;
}

/* The code point at *s, which moves behind it; a byte that starts none stands for itself. */
static uint32_t get_utf8(const char **s)
{
    const uint8_t *p = (const uint8_t *)*s;
    const int more = p[0] >= 0xf0 ? 3 : p[0] >= 0xe0 ? 2 : p[0] >= 0xc0 ? 1 : 0;
    uint32_t c = more ? p[0] & (0x3fu >> more) : p[0];
    for (int i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            ++*s;
            return p[0];
        }
        c = c << 6 | (p[i] & 0x3f);
    }
    *s += more + 1;
    return c;
}

static void put_strings(Text *out, const Blob *b, size_t width)
{
    for (int64_t i = 0; i < b->count; i++) {
        const char *s;
        blob_get(b, i, 1, &s);
        for (size_t k = 0; k < width; k++) {
            const uint32_t c = *s ? get_utf8(&s) : 0;
            text_put(out, (const char *)&c, sizeof c);
        }
    }
}

/* All elements in memory form. */
static void put_elements(Text *out, const Blob *b)
{
    const size_t size = dtype_bytes(b->dt);
    if (!b->fill) {
        text_put(out, b->data, (size_t)b->count * size);
        return;
    }
    for (int64_t i = 0; i < b->count; i++) text_put(out, b->data, size);
}

static const char *npy_descr(Arena *a, const TensorValue *v)
{
    for (size_t i = 0; i < COUNT(npy_types); i++) {
        if (npy_types[i].dt == v->dt)
            return str_fmt(a, "%c%c%u", npy_types[i].size == 1 ? '|' : '<', npy_types[i].kind, npy_types[i].size);
    }
    return str_fmt(a, "%cu%zu", dtype_bytes(v->dt) == 1 ? '|' : '<', dtype_bytes(v->dt));
}

void npy_write(Text *out, const TensorValue *v)
{
    const size_t width = v->dt == DT_str ? longest(v->blob) : 0;
    Text h = {.arena = out->arena};
    text_add(&h, "{'descr': '%s', 'fortran_order': False, 'shape': (",
             width ? str_fmt(h.arena, "<U%zu", width) : npy_descr(h.arena, v));
    for (uint8_t d = 0; d < v->rank; d++) text_add(&h, "%lld,%s", (long long)v->dim[d], d + 1 < v->rank ? " " : "");
    text_add(&h, "), }");
    while ((10 + h.n + 1) % 64) text_put(&h, " ", 1);
    text_put(&h, "\n", 1);
    const char head[10] = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, (char)(h.n & 0xff), (char)(h.n >> 8)};
    text_put(out, head, sizeof head);
    text_put(out, text_str(&h), h.n);
    if (width)
        put_strings(out, v->blob, width);
    else
        put_elements(out, v->blob);
}

static void pb_varint(Text *out, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) text_put(out, &(char){(char)(v | 0x80)}, 1);
    text_put(out, &(char){(char)v}, 1);
}

static void pb_bytes(Text *out, unsigned field, const char *p, size_t n)
{
    pb_varint(out, field << 3 | 2);
    pb_varint(out, n);
    text_put(out, p, n);
}

/* Sub-byte elements are packed from the low bits up. */
static void put_packed(Text *out, const Blob *b)
{
    const unsigned bits = dtype_info(b->dt)->bits, per = 8 / bits;
    for (int64_t i = 0; i < b->count; i += per) {
        unsigned byte = 0;
        for (unsigned k = 0; k < per && i + k < b->count; k++) {
            uint8_t e;
            blob_get(b, i + k, 1, &e);
            byte |= (e & ((1u << bits) - 1)) << (k * bits);
        }
        text_put(out, &(char){(char)byte}, 1);
    }
}

void pb_write(Text *out, const char *name, const TensorValue *v)
{
    for (uint8_t d = 0; d < v->rank; d++) {
        pb_varint(out, 1 << 3);
        pb_varint(out, (uint64_t)v->dim[d]);
    }
    pb_varint(out, 2 << 3);
    pb_varint(out, dtype_info(v->dt)->onnx);
    pb_bytes(out, 8, name, strlen(name));
    if (v->dt == DT_str) {
        for (int64_t i = 0; i < v->blob->count; i++) {
            const char *s;
            blob_get(v->blob, i, 1, &s);
            pb_bytes(out, 6, s, strlen(s));
        }
        return;
    }
    Text raw = {.arena = out->arena};
    if (dtype_info(v->dt)->bits < 8)
        put_packed(&raw, v->blob);
    else
        put_elements(&raw, v->blob);
    pb_bytes(out, 9, text_str(&raw), raw.n);
}

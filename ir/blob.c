/* SPDX-License-Identifier: Apache-2.0
 *
 * Constant data: elements in memory form, one element that stands for all of them, or a recipe that makes them.
 *
 * Models are full of constants that repeat one value (zero biases, masks); a fill keeps them symbolic from import to
 * emission. Data may be a view of a mapped file at any address, so elements are only read by way of dtype.h.
 *
 * A recipe is evaluated as often as it is asked for and nothing is kept: its operand is held in memory whole, be it a
 * recipe itself, and the elements are made in pieces. So a chain of recipes takes the room of two operands, never that
 * of all constants.
 */
#include "graph.h"

enum { PIECE = 1 << 18, ELEMENT_MAX = 16 }; /* bytes */

static const char *element(const Blob *b, int64_t k)
{
    if (k < 0 || k >= b->count) ICE("element %lld of %lld", (long long)k, (long long)b->count);
    return (const char *)b->data + (b->fill ? 0 : (size_t)k * dtype_bytes(b->dt));
}

/* Bytes equal to themselves moved by one element are all the same element. */
static bool is_fill(const char *data, int64_t count, size_t size)
{
    return count > 1 && memcmp(data, data + size, ((size_t)count - 1) * size) == 0;
}

/* A blob of count elements copied from data. */
const Blob *blob_make(Arena *a, DType dt, int64_t count, const void *data)
{
    const size_t size = dtype_bytes(dt);
    Blob *b = NEW(a, Blob);
    *b = (Blob){.dt = dt, .count = count, .fill = is_fill(data, count, size)};
    b->data = arena_copy(a, data, b->fill ? size : mul_size_or_oom(a, (size_t)count, size));
    return b;
}

/* A blob of the count elements at data, which must live as long as the arena. */
const Blob *blob_view(Arena *a, DType dt, int64_t count, const void *data)
{
    Blob *b = NEW(a, Blob);
    *b = (Blob){.dt = dt, .count = count, .data = data, .fill = is_fill(data, count, dtype_bytes(dt))};
    return b;
}

const Blob *blob_made(Arena *a, DType dt, int64_t count, const Recipe *r)
{
    Blob *b = NEW(a, Blob);
    *b = (Blob){.dt = dt, .count = count, .recipe = r};
    return b;
}

typedef struct Scaled {
    Recipe r;
    double alpha;
    const double *k; /* of n channels, each of so many elements before the next one's come */
    int64_t n, each;
} Scaled;

/* alpha * w[q] * k[channel of q], one rounding in the end. */
static void make_scaled(const Recipe *r, const char *from, int64_t first, int64_t n, char *out)
{
    const Scaled *s = (const Scaled *)r;
    for (int64_t q = first, end; q < first + n; q = end) {
        const double k = s->k[q / s->each % s->n];
        end = min_i64((q / s->each + 1) * s->each, first + n);
        for (int64_t e = q; e < end; e++) {
            float v;
            memcpy(&v, from + (size_t)e * sizeof v, sizeof v);
            v = (float)(s->alpha * (double)v * k);
            memcpy(out + (size_t)(e - first) * sizeof v, &v, sizeof v);
        }
    }
}

const Blob *blob_scaled(Arena *a, const Blob *w, double alpha, const double *k, int64_t n, int64_t each)
{
    Scaled *s = NEW(a, Scaled);
    *s = (Scaled){.r = {.arena = a, .from = blob_held(w, a), .unit = 1, .make = make_scaled},
                  .alpha = alpha, .k = arena_copy(a, k, (size_t)n * sizeof *k), .n = n, .each = each};
    return blob_made(a, DT_f32, w->count, &s->r);
}

/* Elements that begin or end inside a unit: of the units around them. */
static void make_inside(const Blob *b, Arena *a, const char *from, int64_t first, int64_t n, char *out)
{
    const Recipe *r = b->recipe;
    const int64_t lo = first / r->unit * r->unit, hi = align_up(first + n, r->unit);
    const size_t size = dtype_bytes(b->dt);
    char *whole = arena_alloc(a, mul_size_or_oom(a, (size_t)(hi - lo), size), 64);
    r->make(r, from, lo, hi - lo, whole);
    memcpy(out, whole + (size_t)(first - lo) * size, (size_t)n * size);
}

static const char *operand(const Recipe *r, Arena *a)
{
    return r->from ? blob_all(r->from, a) : NULL;
}

static void make_elements(const Blob *b, int64_t first, int64_t n, char *out)
{
    const Recipe *r = b->recipe;
    const bool whole = first % r->unit == 0 && n % r->unit == 0;
    if (whole && r->from && r->from->data && !r->from->fill) {
        r->make(r, r->from->data, first, n, out);
        return;
    }
    Arena *a = arena_child(r->arena);
    const char *from = operand(r, a);
    if (whole)
        r->make(r, from, first, n, out);
    else
        make_inside(b, a, from, first, n, out);
    arena_free(a);
}

int64_t blob_i(const Blob *b, int64_t k)
{
    char one[ELEMENT_MAX];
    if (!b->recipe) return dtype_get_i(b->dt, element(b, k));
    blob_get(b, k, 1, one);
    return dtype_get_i(b->dt, one);
}

double blob_f(const Blob *b, int64_t k)
{
    char one[ELEMENT_MAX];
    if (!dtype_is_float(b->dt)) return (double)blob_i(b, k);
    if (!b->recipe) return dtype_get_f(b->dt, element(b, k));
    blob_get(b, k, 1, one);
    return dtype_get_f(b->dt, one);
}

/* Elements first..first+n-1 in memory form to out. */
void blob_get(const Blob *b, int64_t first, int64_t n, void *out)
{
    const size_t size = dtype_bytes(b->dt);
    if (first < 0 || n < 0 || n > b->count - first)
        ICE("elements %lld + %lld of %lld", (long long)first, (long long)n, (long long)b->count);
    if (!n) return;
    if (b->recipe)
        make_elements(b, first, n, out);
    else if (!b->fill)
        memcpy(out, element(b, first), (size_t)n * size);
    else
        for (int64_t k = 0; k < n; k++) memcpy((char *)out + (size_t)k * size, b->data, size);
}

const void *blob_all(const Blob *b, Arena *a)
{
    if (!b->recipe && !b->fill) return b->data;
    void *all = arena_alloc(a, mul_size_or_oom(a, (size_t)b->count, dtype_bytes(b->dt)), 64);
    blob_get(b, 0, b->count, all);
    return all;
}

const Blob *blob_held(const Blob *b, Arena *a)
{
    if (!b->recipe) return b;
    Blob *held = NEW(a, Blob);
    *held = (Blob){.dt = b->dt, .count = b->count, .data = blob_all(b, a)};
    return held;
}

/* What is in memory goes out as it lies, in pieces too: whoever takes them may let go of pages behind each. */
static void put_data(const Blob *b, const Sink *to)
{
    const char *p = b->data;
    const size_t bytes = (size_t)b->count * dtype_bytes(b->dt);
    for (size_t at = 0; at < bytes; at += PIECE) sink_put(to, p + at, (size_t)min_i64(PIECE, (int64_t)(bytes - at)));
}

/* Elements of a piece: whole units. */
static int64_t piece_of(const Blob *b)
{
    const int64_t unit = b->recipe ? b->recipe->unit : 1, units = PIECE / (int64_t)dtype_bytes(b->dt) / unit;
    return min_i64(b->count, max_i64(units, 1) * unit);
}

void blob_put(const Blob *b, Arena *a, const Sink *to)
{
    if (!b->recipe && !b->fill) {
        put_data(b, to);
        return;
    }
    Arena *scratch = arena_child(a);
    const size_t size = dtype_bytes(b->dt);
    const int64_t most = piece_of(b);
    const char *from = b->recipe ? operand(b->recipe, scratch) : NULL;
    char *piece = arena_alloc(scratch, mul_size_or_oom(scratch, (size_t)most, size), 64);
    for (int64_t at = 0; at < b->count; at += most) {
        const int64_t n = min_i64(most, b->count - at);
        if (b->recipe)
            b->recipe->make(b->recipe, from, at, n, piece);
        else
            blob_get(b, at, n, piece);
        sink_put(to, piece, (size_t)n * size);
    }
    arena_free(scratch);
}

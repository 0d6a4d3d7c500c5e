/* SPDX-License-Identifier: Apache-2.0
 *
 * Constant data: elements in memory form, or one element that stands for all of them.
 *
 * Models are full of constants that repeat one value (zero biases, masks); a fill keeps them symbolic from import to
 * emission. Data may be a view of a mapped file at any address, so elements are only read by way of dtype.h.
 */
#include "graph.h"

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

int64_t blob_i(const Blob *b, int64_t k)
{
    return dtype_get_i(b->dt, element(b, k));
}

double blob_f(const Blob *b, int64_t k)
{
    return dtype_is_float(b->dt) ? dtype_get_f(b->dt, element(b, k)) : (double)dtype_get_i(b->dt, element(b, k));
}

/* Elements first..first+n-1 in memory form to out. */
void blob_get(const Blob *b, int64_t first, int64_t n, void *out)
{
    const size_t size = dtype_bytes(b->dt);
    if (first < 0 || n < 0 || n > b->count - first)
        ICE("elements %lld + %lld of %lld", (long long)first, (long long)n, (long long)b->count);
    if (!n) return;
    if (!b->fill) {
        memcpy(out, element(b, first), (size_t)n * size);
        return;
    }
    for (int64_t k = 0; k < n; k++) memcpy((char *)out + (size_t)k * size, b->data, size);
}

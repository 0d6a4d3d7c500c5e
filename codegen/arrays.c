/* SPDX-License-Identifier: Apache-2.0
 * Weights as readable arrays of model.c. They are computed and printed while the file is written. */
#include "writer.h"

enum { WIDTH = 110 };

static const char *element_text(Arena *a, const Blob *b, int64_t k)
{
    if (b->dt == DT_f32)
        return f32_literal(a, blob_f(b, k));
    if (b->dt == DT_f64)
        return f64_literal(a, blob_f(b, k));
    if (b->dt == DT_str) {
        const char *s;
        blob_get(b, k, 1, (void *)&s);
        return c_string(a, s);
    }
    if (dtype_is_float(b->dt)) {
        uint16_t bits = 0;
        blob_get(b, k, 1, &bits);
        return str_fmt(a, "0x%x", bits);
    }
    return int_literal(a, b->dt, blob_i(b, k));
}

/* One line of elements from number k on; returns the number of the first that it does not hold. */
static int64_t put_line(const Blob *b, int64_t k, Arena *a, const Sink *to)
{
    Text line = {.arena = a};
    text_add(&line, "    ");
    const size_t margin = line.n;
    for (; k < b->count; k++) {
        const char *s = element_text(a, b, k);
        if (line.n > margin && line.n - margin + strlen(s) > WIDTH)
            break;
        text_add(&line, "%s%s,", line.n > margin ? " " : "", s);
    }
    text_add(&line, "\n");
    sink_put(to, line.at, line.n);
    return k;
}

void array_put(const void *blob, Arena *a, const Sink *to)
{
    Arena *whole = arena_child(a);
    const Blob *b = blob_held(blob, whole);
    for (int64_t k = 0; k < b->count;) {
        Arena *line = arena_child(whole);
        k = put_line(b, k, line, to);
        arena_free(line);
    }
    arena_free(whole);
}

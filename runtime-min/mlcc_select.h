/* SPDX-License-Identifier: 0BSD
 *
 * Order statistics and selections: the greatest elements, distinct rows, boxes that do not overlap. Elements of every
 * type are compared through 64-bit keys in the same order, so each algorithm exists once; equal keys keep the order of
 * their places. Sorting is by heap: no recursion, no storage beyond the scratch, the same time for any data.
 */
#ifndef MLCC_SELECT_H
#define MLCC_SELECT_H

#include "mlcc.h"
#include "mlcc_float.h"

#include <string.h>

/* Key of a float: order of the keys is order of the values; -0 equals 0, NaN of either sign is greatest. */
static inline uint64_t mlcc_key_f(double v)
{
    uint64_t u;
    const uint64_t top = (uint64_t)1 << 63;
    if (v != v) return UINT64_MAX;
    v += 0.0;
    memcpy(&u, &v, sizeof u);
    return u & top ? ~u : u | top;
}

static inline uint64_t mlcc_key_i(int64_t v)
{
    return (uint64_t)v ^ (uint64_t)1 << 63;
}

/* Key of element k (ONNX types 1 f32, 2 u8, 3 i8, 4 u16, 5 i16, 6 i32, 7 i64, 9 bool, 10 f16, 11 f64, 12 u32, 13 u64,
 * 16 bf16, 21 u4, 22 i4, 25 u2, 26 i2: one element per byte). */
static inline uint64_t mlcc_key(const mlcc_tensor *t, int64_t k)
{
    switch (t->dtype) {
    case 1: return mlcc_key_f((double)((const float *)t->data)[k]);
    case 3: return mlcc_key_i(((const int8_t *)t->data)[k]);
    case 4: return ((const uint16_t *)t->data)[k];
    case 5: return mlcc_key_i(((const int16_t *)t->data)[k]);
    case 6: return mlcc_key_i(((const int32_t *)t->data)[k]);
    case 7: return mlcc_key_i(((const int64_t *)t->data)[k]);
    case 10: return mlcc_key_f((double)mlcc_f32_of_f16(((const uint16_t *)t->data)[k]));
    case 11: return mlcc_key_f(((const double *)t->data)[k]);
    case 12: return ((const uint32_t *)t->data)[k];
    case 13: return ((const uint64_t *)t->data)[k];
    case 16: return mlcc_key_f((double)mlcc_f32_of_bf16(((const uint16_t *)t->data)[k]));
    case 22: case 26: return mlcc_key_i(((const int8_t *)t->data)[k]);
    default: return ((const uint8_t *)t->data)[k];
    }
}

/* A place with its key. */
typedef struct mlcc_ranked {
    uint64_t key;
    int64_t at;
} mlcc_ranked;

/* Whether a comes before b: greater key, or the same and an earlier place. */
static inline int mlcc_before(mlcc_ranked a, mlcc_ranked b)
{
    return a.key > b.key || (a.key == b.key && a.at < b.at);
}

/* Heap of n with the last in order on top: moves the element at k down to its level. */
static inline void mlcc_sink(mlcc_ranked *h, int64_t n, int64_t k)
{
    const mlcc_ranked v = h[k];
    for (int64_t child = 2 * k + 1; child < n; child = 2 * k + 1) {
        if (child + 1 < n && mlcc_before(h[child], h[child + 1])) child++;
        if (!mlcc_before(v, h[child])) break;
        h[k] = h[child];
        k = child;
    }
    h[k] = v;
}

static inline void mlcc_heap(mlcc_ranked *h, int64_t n)
{
    for (int64_t k = n / 2 - 1; k >= 0; k--) mlcc_sink(h, n, k);
}

/* A heap becomes a list in order, first ones first. */
static inline void mlcc_unheap(mlcc_ranked *h, int64_t n)
{
    for (int64_t k = n - 1; k > 0; k--) {
        const mlcc_ranked last = h[0];
        h[0] = h[k];
        h[k] = last;
        mlcc_sink(h, k, 0);
    }
}

/* Extents of a tensor before, along and behind an axis; axis -1: all elements in one row. */
typedef struct mlcc_line {
    int64_t outer, n, inner;
} mlcc_line;

static inline mlcc_line mlcc_line_of(const mlcc_tensor *t, int64_t axis)
{
    mlcc_line l = {1, 1, 1};
    for (int64_t d = 0; d < t->rank; d++) {
        if (axis < 0 || d == axis)
            l.n *= t->dim[d];
        else if (d < axis)
            l.outer *= t->dim[d];
        else
            l.inner *= t->dim[d];
    }
    return l;
}

/* in: x. arg: axis, 1 for the greatest or 0 for the least, k. out[0]: i64, x's shape with k along the axis: places of
 * the k first in order; 0 where x has fewer. Keeps the best k seen in a heap with the worst of them on top. */
static inline void mlcc_topk(const mlcc_tensor *in, mlcc_tensor *out, const int64_t *arg, void *scratch)
{
    const mlcc_line l = mlcc_line_of(in, arg[0]);
    const uint64_t flip = arg[1] ? 0 : UINT64_MAX;
    const int64_t k = arg[2], most = k < l.n ? k : l.n;
    int64_t *at = (int64_t *)out[0].data;
    mlcc_ranked *h = (mlcc_ranked *)scratch;
    for (int64_t row = 0; row < l.outer * l.inner; row++) {
        const int64_t first = row / l.inner * l.n * l.inner + row % l.inner;
        int64_t *y = at + row / l.inner * k * l.inner + row % l.inner;
        for (int64_t i = 0; i < l.n; i++) {
            const mlcc_ranked v = {mlcc_key(in, first + i * l.inner) ^ flip, i};
            if (i < most)
                h[i] = v;
            else if (most > 0 && mlcc_before(v, h[0])) {
                h[0] = v;
                mlcc_sink(h, most, 0);
            }
            if (i == most - 1) mlcc_heap(h, most);
        }
        mlcc_unheap(h, most);
        for (int64_t i = 0; i < k; i++) y[i * l.inner] = i < most ? h[i].at : 0;
    }
}

/* Order of rows p and q of x by their elements in turn: negative, 0 or positive. */
static inline int mlcc_compare_rows(const mlcc_tensor *x, mlcc_line l, int64_t p, int64_t q)
{
    for (int64_t o = 0; o < l.outer; o++) {
        for (int64_t i = 0; i < l.inner; i++) {
            const uint64_t a = mlcc_key(x, (o * l.n + p) * l.inner + i), b = mlcc_key(x, (o * l.n + q) * l.inner + i);
            if (a != b) return a < b ? -1 : 1;
        }
    }
    return 0;
}

/* Whether row p stands before row q when rows are sorted upwards, equal ones in order of their places. */
static inline int mlcc_row_before(const mlcc_tensor *x, mlcc_line l, int64_t p, int64_t q)
{
    const int order = mlcc_compare_rows(x, l, p, q);
    return order < 0 || (order == 0 && p < q);
}

static inline void mlcc_sink_row(const mlcc_tensor *x, mlcc_line l, int64_t *h, int64_t n, int64_t k)
{
    const int64_t v = h[k];
    for (int64_t child = 2 * k + 1; child < n; child = 2 * k + 1) {
        if (child + 1 < n && mlcc_row_before(x, l, h[child], h[child + 1])) child++;
        if (!mlcc_row_before(x, l, v, h[child])) break;
        h[k] = h[child];
        k = child;
    }
    h[k] = v;
}

/* h becomes the numbers of the rows of x in ascending order. */
static inline void mlcc_sort_rows(const mlcc_tensor *x, mlcc_line l, int64_t *h)
{
    for (int64_t k = 0; k < l.n; k++) h[k] = k;
    for (int64_t k = l.n / 2 - 1; k >= 0; k--) mlcc_sink_row(x, l, h, l.n, k);
    for (int64_t k = l.n - 1; k > 0; k--) {
        const int64_t last = h[0];
        h[0] = h[k];
        h[k] = last;
        mlcc_sink_row(x, l, h, k, 0);
    }
}

/* group[r]: number of the group of equal rows that row r belongs to, groups in ascending order. Returns their count. */
static inline int64_t mlcc_group_rows(const mlcc_tensor *x, mlcc_line l, const int64_t *order, int64_t *group)
{
    int64_t n = 0;
    for (int64_t k = 0; k < l.n; k++) {
        if (k && mlcc_compare_rows(x, l, order[k - 1], order[k])) n++;
        group[order[k]] = n;
    }
    return l.n ? n + 1 : 0;
}

/* in: x. arg: rows, axis or -1, 1 to have groups in ascending order or 0 for the order in which they appear. out, i64:
 * first row of each group [groups], group of each row [rows], rows in each group [groups]. */
static inline void mlcc_unique(const mlcc_tensor *in, mlcc_tensor *out, const int64_t *arg, void *scratch)
{
    const mlcc_line l = mlcc_line_of(in, arg[1]);
    const int64_t most = out[0].dim[0];
    int64_t *order = (int64_t *)scratch, *group = order + l.n, *number = group + l.n;
    int64_t *first = (int64_t *)out[0].data, *inverse = (int64_t *)out[1].data, *count = (int64_t *)out[2].data;
    mlcc_sort_rows(in, l, order);
    const int64_t n = mlcc_group_rows(in, l, order, group);
    int64_t seen = 0;
    for (int64_t k = 0; k < n; k++) number[k] = arg[2] ? k : -1;
    for (int64_t k = 0; k < most; k++) first[k] = count[k] = 0;
    for (int64_t r = 0; r < l.n; r++) {
        int64_t *g = &number[group[r]];
        if (*g < 0) *g = seen++;
        inverse[r] = *g;
        if (*g >= most) continue;
        if (count[*g]++ == 0) first[*g] = r;
    }
    out[0].dim[0] = out[2].dim[0] = n < most ? n : most;
}

/* An interval; its ends may come in either order. */
typedef struct mlcc_span {
    float lo, hi;
} mlcc_span;

static inline mlcc_span mlcc_span_of(float a, float b, int center)
{
    if (center) return (mlcc_span){a - b / 2, a + b / 2};
    return a < b ? (mlcc_span){a, b} : (mlcc_span){b, a};
}

static inline float mlcc_overlap(mlcc_span a, mlcc_span b)
{
    return (a.hi < b.hi ? a.hi : b.hi) - (a.lo > b.lo ? a.lo : b.lo);
}

/* Whether the intersection of boxes a and b is more than `most` of their union. Boxes are two corners, or with `center`
 * x, y, width and height. */
static inline int mlcc_overlaps(const float *a, const float *b, int center, float most)
{
    const mlcc_span ax = mlcc_span_of(a[0], a[2], center), ay = mlcc_span_of(a[1], a[3], center);
    const mlcc_span bx = mlcc_span_of(b[0], b[2], center), by = mlcc_span_of(b[1], b[3], center);
    const float w = mlcc_overlap(ax, bx), h = mlcc_overlap(ay, by);
    if (!(w > 0) || !(h > 0)) return 0;
    const float area_a = (ax.hi - ax.lo) * (ay.hi - ay.lo), area_b = (bx.hi - bx.lo) * (by.hi - by.lo);
    const float both = w * h, any = area_a + area_b - both;
    if (!(both > 0) || !(area_a > 0) || !(area_b > 0) || !(any > 0)) return 0;
    return both / any > most;
}

/* What mlcc_nms looks at: boxes [n,4] and scores [n] of one batch and class. */
typedef struct mlcc_boxes {
    const float *box;
    int64_t n;
    int center;
    float most;
} mlcc_boxes;

/* Whether box k overlaps one of the boxes chosen: rows of three numbers, the last one that of the box. */
static inline int mlcc_suppressed(const mlcc_boxes *b, int64_t k, const int64_t *chosen, int64_t n)
{
    for (int64_t j = 0; j < n; j++) {
        if (mlcc_overlaps(b->box + 4 * k, b->box + 4 * chosen[3 * j + 2], b->center, b->most)) return 1;
    }
    return 0;
}

/* Fills h with the boxes whose score is above the threshold (NULL: all), in order of their scores; their number. */
static inline int64_t mlcc_candidates(const float *score, int64_t n, const float *threshold, mlcc_ranked *h)
{
    int64_t count = 0;
    for (int64_t k = 0; k < n; k++) {
        if (!threshold || score[k] > *threshold) h[count++] = (mlcc_ranked){mlcc_key_f((double)score[k]), k};
    }
    mlcc_heap(h, count);
    mlcc_unheap(h, count);
    return count;
}

/* in: boxes [batch,n,4], scores [batch,class,n], most boxes per class i64, intersection-over-union threshold, score
 * threshold, the last three of one element. arg: n, 1 for center and size boxes, and bit k set when in[k] is given:
 * in[2] to in[4] need not be. out[0]: i64 [selected,3] of batch, class, box. */
static inline void mlcc_nms(const mlcc_tensor *in, mlcc_tensor *out, const int64_t *arg, void *scratch)
{
    const int64_t batches = in[1].dim[0], classes = in[1].dim[1], n = in[1].dim[2], most = out[0].dim[0];
    const int64_t limit = arg[2] & 4 ? *(const int64_t *)in[2].data : 0;
    const float *score = (const float *)in[1].data, *threshold = arg[2] & 16 ? (const float *)in[4].data : NULL;
    mlcc_boxes b = {(const float *)in[0].data, n, arg[1] != 0, arg[2] & 8 ? *(const float *)in[3].data : 0.0f};
    mlcc_ranked *h = (mlcc_ranked *)scratch;
    int64_t *y = (int64_t *)out[0].data, total = 0;
    for (int64_t row = 0; row < batches * classes; row++) {
        const int64_t count = mlcc_candidates(score + row * n, n, threshold, h);
        const int64_t begin = total;
        b.box = (const float *)in[0].data + row / classes * n * 4;
        for (int64_t k = 0; k < count && total - begin < limit && total < most; k++) {
            if (mlcc_suppressed(&b, h[k].at, y + 3 * begin, total - begin)) continue;
            y[3 * total] = row / classes;
            y[3 * total + 1] = row % classes;
            y[3 * total + 2] = h[k].at;
            total++;
        }
    }
    for (int64_t k = 3 * total; k < 3 * most; k++) y[k] = 0;
    out[0].dim[0] = total;
}

#endif

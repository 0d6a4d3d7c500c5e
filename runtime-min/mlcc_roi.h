/* SPDX-License-Identifier: 0BSD
 *
 * Pooling over regions of interest: a region x1, y1, x2, y2 in elements is divided into bins, and how many elements or
 * samples lie in a bin depends on data. A region larger than the image is sampled as densely as one of its size.
 */
#ifndef MLCC_ROI_H
#define MLCC_ROI_H

#include "mlcc.h"

#include <math.h>

/* Places along one side of a region: the first bin begins at `begin`, bins are `size` apart, with n samples each. */
typedef struct mlcc_bins {
    float begin, size;
    int64_t n;
} mlcc_bins;

/* Bins of the side from..to of an image side of `extent`. ratio: samples to a bin, 0: as many as elements. aligned: the
 * centre of element k lies at k + 0.5; otherwise at k, and no side is shorter than 1. */
static inline mlcc_bins mlcc_bins_of(float from, float to, int64_t count, int64_t extent, int64_t ratio, int aligned)
{
    const float shift = aligned ? 0.5f : 0.0f, most = 2.0f * (float)extent + 1.0f;
    mlcc_bins b = {from - shift, to - from, ratio};
    if (!aligned && !(b.size >= 1.0f)) b.size = 1.0f;
    b.size /= (float)count;
    if (ratio == 0) b.n = b.size > 0.0f ? (int64_t)ceilf(b.size < most ? b.size : most) : 0;
    return b;
}

/* Two neighbours along one side and the weight of the second; inside is 0 where the place is off the image. */
typedef struct mlcc_near {
    int64_t a, b;
    float part;
    int inside;
} mlcc_near;

static inline mlcc_near mlcc_near_of(const mlcc_bins *b, int64_t bin, int64_t k, int64_t extent)
{
    float v = b->begin + (float)bin * b->size + ((float)k + 0.5f) * b->size / (float)b->n;
    mlcc_near r = {0, 0, 0.0f, v >= -1.0f && v <= (float)extent};
    if (!r.inside) return r;
    if (v < 0.0f) v = 0.0f;
    r.a = (int64_t)v;
    if (r.a >= extent - 1) {
        r.a = r.b = extent - 1;
        return r;
    }
    r.b = r.a + 1;
    r.part = v - (float)r.a;
    return r;
}

/* The sample between four elements of image x of width w: their weighted sum, or with `max` the greatest product. */
static inline float mlcc_sample(const float *x, int64_t w, mlcc_near row, mlcc_near col, int max)
{
    if (!row.inside || !col.inside) return 0.0f;
    const float p[4] = {(1.0f - row.part) * (1.0f - col.part) * x[row.a * w + col.a],
                        (1.0f - row.part) * col.part * x[row.a * w + col.b],
                        row.part * (1.0f - col.part) * x[row.b * w + col.a],
                        row.part * col.part * x[row.b * w + col.b]};
    const float low = p[0] > p[1] ? p[0] : p[1], high = p[2] > p[3] ? p[2] : p[3];
    if (max) return low > high ? low : high;
    return p[0] + p[1] + p[2] + p[3];
}

/* One bin: mean or maximum of its samples. */
static inline float mlcc_roi_bin(const float *x, int64_t h, int64_t w, const mlcc_bins *rows, const mlcc_bins *cols,
                                 int64_t i, int64_t j, int max)
{
    const int64_t count = rows->n * cols->n;
    float y = 0.0f;
    for (int64_t k = 0; k < count; k++) {
        const mlcc_near row = mlcc_near_of(rows, i, k / cols->n, h), col = mlcc_near_of(cols, j, k % cols->n, w);
        const float v = mlcc_sample(x, w, row, col, max);
        if (max)
            y = k == 0 || v > y ? v : y;
        else
            y += v;
    }
    return max || count == 0 ? y : y / (float)count;
}

/* in: images f32 [n,c,h,w], regions f32 [r,4], image of each region i64 [r]. arg: samples to a bin or 0, 1 for the
 * maximum, 1 for centres at half. out[0]: f32 [r,c,bins,bins]. */
static inline void mlcc_roi_align(const mlcc_tensor *in, mlcc_tensor *out, const int64_t *arg, void *scratch)
{
    const int64_t c = in[0].dim[1], h = in[0].dim[2], w = in[0].dim[3], ph = out[0].dim[2], pw = out[0].dim[3];
    const float *x = (const float *)in[0].data, *roi = (const float *)in[1].data;
    const int64_t *image = (const int64_t *)in[2].data;
    float *y = (float *)out[0].data;
    (void)scratch;
    for (int64_t k = 0; k < in[1].dim[0] * c; k++) {
        const float *r = roi + k / c * 4;
        const mlcc_bins rows = mlcc_bins_of(r[1], r[3], ph, h, arg[0], arg[2] != 0);
        const mlcc_bins cols = mlcc_bins_of(r[0], r[2], pw, w, arg[0], arg[2] != 0);
        const float *from = x + (image[k / c] * c + k % c) * h * w;
        for (int64_t b = 0; b < ph * pw; b++)
            *y++ = mlcc_roi_bin(from, h, w, &rows, &cols, b / pw, b % pw, arg[1] != 0);
    }
}

/* Nearest whole number to v within 0..most. */
static inline int64_t mlcc_whole(float v, int64_t most)
{
    v = floorf(v + 0.5f);
    if (!(v > 0.0f)) return 0;
    return v < (float)most ? (int64_t)v : most;
}

/* Maximum of the elements of one bin of rows i0..i1-1, columns j0..j1-1; 0 when there are none. */
static inline float mlcc_bin_max(const float *x, int64_t w, int64_t i0, int64_t i1, int64_t j0, int64_t j1)
{
    float y = 0.0f;
    for (int64_t i = i0; i < i1; i++) {
        for (int64_t j = j0; j < j1; j++) {
            if ((i == i0 && j == j0) || x[i * w + j] > y) y = x[i * w + j];
        }
    }
    return y;
}

/* First element of bin k of `count` along the whole side from..to, cut to the image; k + 1 with `up` its end. */
static inline int64_t mlcc_bin_edge(float from, float to, int64_t k, int64_t count, int64_t extent, int up)
{
    const float begin = floorf(from + 0.5f), size = floorf(to + 0.5f) - begin + 1.0f;
    const float step = (size > 1.0f ? size : 1.0f) / (float)count, v = (float)k * step;
    return mlcc_whole((up ? ceilf(v) : floorf(v)) + begin, extent);
}

/* in: as of mlcc_roi_align, both corners belonging to the region. out[0]: f32 [r,c,bins,bins]. */
static inline void mlcc_roi_max(const mlcc_tensor *in, mlcc_tensor *out, const int64_t *arg, void *scratch)
{
    const int64_t c = in[0].dim[1], h = in[0].dim[2], w = in[0].dim[3], ph = out[0].dim[2], pw = out[0].dim[3];
    const float *x = (const float *)in[0].data, *roi = (const float *)in[1].data;
    const int64_t *image = (const int64_t *)in[2].data;
    float *y = (float *)out[0].data;
    (void)arg, (void)scratch;
    for (int64_t k = 0; k < in[1].dim[0] * c; k++) {
        const float *r = roi + k / c * 4, *from = x + (image[k / c] * c + k % c) * h * w;
        for (int64_t b = 0; b < ph * pw; b++) {
            const int64_t i = b / pw, j = b % pw;
            *y++ = mlcc_bin_max(from, w, mlcc_bin_edge(r[1], r[3], i, ph, h, 0),
                                mlcc_bin_edge(r[1], r[3], i + 1, ph, h, 1), mlcc_bin_edge(r[0], r[2], j, pw, w, 0),
                                mlcc_bin_edge(r[0], r[2], j + 1, pw, w, 1));
        }
    }
}

#endif

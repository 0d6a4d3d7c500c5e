/* SPDX-License-Identifier: 0BSD
 *
 * Determinants by elimination with partial pivoting, which chooses its order from the data.
 */
#ifndef MLCC_DET_H
#define MLCC_DET_H

#include "mlcc.h"

#include <math.h>
#include <string.h>

/* Row of the largest element of column k at or below row k. */
static inline int64_t mlcc_pivot_row(const double *m, int64_t n, int64_t k)
{
    int64_t p = k;
    for (int64_t i = k + 1; i < n; i++) {
        if (fabs(m[i * n + k]) > fabs(m[p * n + k])) p = i;
    }
    return p;
}

static inline void mlcc_swap_rows(double *m, int64_t n, int64_t a, int64_t b)
{
    for (int64_t j = 0; j < n; j++) {
        const double t = m[a * n + j];
        m[a * n + j] = m[b * n + j];
        m[b * n + j] = t;
    }
}

/* Determinant of m, n x n; m is overwritten. */
static inline double mlcc_det_of(double *m, int64_t n)
{
    double det = 1;
    for (int64_t k = 0; k < n; k++) {
        const int64_t p = mlcc_pivot_row(m, n, k);
        if (p != k) {
            mlcc_swap_rows(m, n, p, k);
            det = -det;
        }
        const double top = m[k * n + k];
        det *= top;
        if (top == 0) return det;
        for (int64_t i = k + 1; i < n; i++) {
            const double f = m[i * n + k] / top;
            for (int64_t j = k + 1; j < n; j++) m[i * n + j] -= f * m[k * n + j];
        }
    }
    return det;
}

/* in: f64 [.., n, n]. out: f64 [..]. scratch: one matrix. */
static inline void mlcc_det(const mlcc_tensor *in, mlcc_tensor *out, const int64_t *arg, void *scratch)
{
    const int64_t n = in[0].dim[in[0].rank - 1];
    int64_t count = 1;
    (void)arg;
    for (int32_t d = 0; d + 2 < in[0].rank; d++) count *= in[0].dim[d];
    for (int64_t k = 0; k < count; k++) {
        if (n > 0 && scratch) memcpy(scratch, (const double *)in[0].data + k * n * n, (size_t)(n * n) * sizeof(double));
        ((double *)out[0].data)[k] = mlcc_det_of((double *)scratch, n);
    }
}

#endif

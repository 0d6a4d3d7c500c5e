/* SPDX-License-Identifier: 0BSD
 *
 * Linear attention: a recurrence over time with a matrix per head as its state,
 *
 *     S = S * exp(decay);  v = beta * (v - S'k) when it corrects;  S = S + k v';  o = S'q
 *
 * so time can be neither mapped nor summed over.
 */
#ifndef MLCC_ATTENTION_H
#define MLCC_ATTENTION_H

#include "mlcc.h"

#include <math.h>
#include <string.h>

/* One step of one head: s [dk,dv] decays by exp(g[d * gstep]) (g NULL: not at all), then takes in key k and value v.
 * fresh: room for dv values. */
static inline void mlcc_linear_step(float *s, const float *k, const float *v, const float *g, int64_t gstep,
                                    const float *beta, int64_t dk, int64_t dv, float *fresh)
{
    for (int64_t d = 0; g && d < dk; d++) {
        const float keep = expf(g[d * gstep]);
        for (int64_t e = 0; e < dv; e++) s[d * dv + e] *= keep;
    }
    memcpy(fresh, v, (size_t)dv * sizeof *fresh);
    for (int64_t d = 0; beta && d < dk; d++) {
        for (int64_t e = 0; e < dv; e++) fresh[e] -= s[d * dv + e] * k[d];
    }
    for (int64_t e = 0; beta && e < dv; e++) fresh[e] *= *beta;
    for (int64_t d = 0; d < dk; d++) {
        for (int64_t e = 0; e < dv; e++) s[d * dv + e] += k[d] * fresh[e];
    }
}

/* o[e] = sum over d of q[d] * s[d,e] */
static inline void mlcc_linear_read(const float *s, const float *q, int64_t dk, int64_t dv, float *o)
{
    for (int64_t e = 0; e < dv; e++) o[e] = 0.0f;
    for (int64_t d = 0; d < dk; d++) {
        for (int64_t e = 0; e < dv; e++) o[e] += q[d] * s[d * dv + e];
    }
}

/* in, all f32: query [b,t,hq*dk], key [b,t,h*dk], value [b,t,h*dv], state before [b,h,dk,dv], decay [b,t,h or h*dk],
 * beta [b,t,h or 1]. arg: hq, h, dk, dv, and bit k set when in[k] is given: in[3] to in[5] need not be. out, f32:
 * [b,t,hq*dv], state behind. */
static inline void mlcc_linear_attention(const mlcc_tensor *in, mlcc_tensor *out, const int64_t *arg, void *scratch)
{
    const int64_t batches = in[0].dim[0], steps = in[0].dim[1], hq = arg[0], h = arg[1], dk = arg[2], dv = arg[3];
    const int64_t share = hq / h, gates = in[4].dim[2], rates = in[5].dim[2], size = batches * h * dk * dv;
    const float *q = (const float *)in[0].data, *k = (const float *)in[1].data, *v = (const float *)in[2].data;
    const float *g = arg[4] & 16 ? (const float *)in[4].data : NULL;
    const float *beta = arg[4] & 32 ? (const float *)in[5].data : NULL;
    float *o = (float *)out[0].data, *state = (float *)out[1].data;
    for (int64_t n = 0; n < size; n++) state[n] = arg[4] & 8 ? ((const float *)in[3].data)[n] : 0.0f;
    for (int64_t bt = 0; bt < batches * steps; bt++) {
        for (int64_t head = 0; head < h; head++) {
            float *s = state + (bt / steps * h + head) * dk * dv;
            mlcc_linear_step(s, k + (bt * h + head) * dk, v + (bt * h + head) * dv,
                             g ? g + bt * gates + head * (gates / h) : NULL, gates == h ? 0 : 1,
                             beta ? beta + bt * rates + (rates == 1 ? 0 : head) : NULL, dk, dv, (float *)scratch);
            for (int64_t r = head * share; r < (head + 1) * share; r++)
                mlcc_linear_read(s, q + (bt * hq + r) * dk, dk, dv, o + (bt * hq + r) * dv);
        }
    }
}

#endif

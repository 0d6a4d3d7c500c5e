#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Emitted code is safe for all values. Operators whose values decide where they read and write, and those whose arithmetic can
overflow, run on indices from one end of their type to the other, on NaN, infinities and subnormals, built with the address and
undefined-behaviour sanitizers; inputs, outputs and arena are blocks of exactly the declared sizes.

    wild.py BUILD_DIR [OPERATOR ...]
"""
import concurrent.futures
import json
import pathlib
import shutil
import sys

import onnx

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import models, report, tool

PLACES = ['Gather', 'GatherElements', 'GatherND', 'Scatter', 'ScatterElements', 'ScatterND', 'OneHot', 'TopK', 'ArgMax', 'ArgMin', 'NonZero', 'NonMaxSuppression',
          'Compress', 'ReverseSequence', 'RoiAlign', 'GridSample', 'AffineGrid', 'DeformConv', 'MaxUnpool', 'MaxPool', 'Resize', 'Unique', 'Range', 'Slice', 'TensorScatter',
          'ArrayFeatureExtractor', 'TreeEnsemble', 'LabelEncoder', 'NegativeLogLikelihoodLoss', 'SoftmaxCrossEntropyLoss', 'Attention', 'Where', 'CumSum', 'EyeLike',
          'RotaryEmbedding', 'Hardmax', 'Upsample', 'Trilu']
VALUES = ['Cast', 'CastLike', 'QuantizeLinear', 'DequantizeLinear', 'DynamicQuantizeLinear', 'QLinearMatMul', 'QLinearConv', 'MatMulInteger', 'ConvInteger', 'Div', 'Mod',
          'Pow', 'BitShift', 'Add', 'Sub', 'Mul', 'Neg', 'Abs', 'Round', 'Ceil', 'Clip', 'ReduceSum', 'ReduceProd', 'ReduceLogSumExp', 'Softmax', 'LayerNormalization', 'Det', 'Sign']
REFUSED = 77  # status of a program whose calls all failed
EACH = 3  # cases of one operator, spread over those there are
FLAGS = ['-std=gnu11', '-O1', '-g', '-march=native', '-fsanitize=address,undefined,float-cast-overflow', '-fno-sanitize-recover=all', '-w', '-U_FORTIFY_SOURCE', '-fno-stack-protector']

# Values of one pattern: the ends of every type, what is just beside them, and anything. Bytes are little-endian.
DRIVER = r'''
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "net.h"

static uint64_t state = 1;
static uint64_t next(void) { state ^= state << 13; state ^= state >> 7; state ^= state << 17; return state; }

static double real(int pattern)
{
    static const double ends[] = {0, -0.0, 1, -1, 0.5, 1e-320, 1e-40, 3e38, -3e38, 1e300, -1e300, 2147483648.0, -2147483649.0, 9.3e18, -9.3e18, 255.5, -128.5};
    if (pattern == 0) return (double)NAN_;
    if (pattern == 1) return INF_;
    if (pattern == 2) return -INF_;
    if (pattern < 6) return ends[next() % (sizeof ends / sizeof *ends)];
    return (double)(int64_t)next() / 9223372036854775808.0 * (pattern % 2 ? 10 : 1e6);
}

static uint64_t whole(int pattern, int bits, int is_signed)
{
    const uint64_t top = is_signed ? (UINT64_C(1) << (bits - 1)) - 1 : bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1, low = is_signed ? ~top : 0;
    const uint64_t ends[] = {top, low, (uint64_t)-1, 0, 1, top - 1, low + 1, (uint64_t)-2};
    if (pattern < 8) return ends[pattern];
    return pattern % 3 == 0 ? next() : pattern % 3 == 1 ? next() % 9 - 4 : ends[next() % 8];
}

static void fill(unsigned char *p, int dtype, int64_t n, int pattern)
{
    for (int64_t k = 0; k < n; k++) {
        const int kind = pattern > 9 && next() % 4 == 0 ? (int)(next() % 10) : pattern;
        const double d = real(kind);
        const float f = (float)(d > 3.4e38 && d < INF_ ? 3.4e38 : d < -3.4e38 && d > -INF_ ? -3.4e38 : d);
        uint64_t w = 0;
        switch (dtype) {
        case 1: memcpy(p + 4 * k, &f, 4); break;
        case 11: memcpy(p + 8 * k, &d, 8); break;
        case 9: p[k] = next() & 1; break;
        case 2: case 3: w = whole(kind, 8, dtype == 3); memcpy(p + k, &w, 1); break;
        case 4: case 5: w = whole(kind, 16, dtype == 5); memcpy(p + 2 * k, &w, 2); break;
        case 6: case 12: w = whole(kind, 32, dtype == 6); memcpy(p + 4 * k, &w, 4); break;
        case 7: case 13: w = whole(kind, 64, dtype == 7); memcpy(p + 8 * k, &w, 8); break;
        case 10: case 16: w = next(); memcpy(p + 2 * k, &w, 2); break;
        case 21: p[k] = next() & 15; break;
        case 22: p[k] = (unsigned char)((int)(next() & 15) - 8); break;
        case 25: p[k] = next() & 3; break;
        case 26: p[k] = (unsigned char)((int)(next() & 3) - 2); break;
        case 23: p[k] = next() & 15; break;
        default: p[k] = (unsigned char)next(); break;
        }
    }
}

int main(void)
{
    static const struct { int dtype; int64_t count, bytes; int rank; int64_t dim[8]; } in[] = {INPUTS}, out[] = {OUTPUTS};
    enum { NIN = NINPUTS, NOUT = NOUTPUTS };
    int accepted = 0;
    for (int pattern = 0; pattern < 60; pattern++) {
        mlcc_tensor x[NIN + 1] = {0}, y[NOUT + 1] = {0};
        void *arena = NET_ARENA_BYTES ? aligned_alloc(NET_ARENA_ALIGN, (NET_ARENA_BYTES + NET_ARENA_ALIGN - 1) / NET_ARENA_ALIGN * NET_ARENA_ALIGN) : NULL;
        for (int k = 0; k < NIN; k++) {
            x[k] = (mlcc_tensor){.data = malloc((size_t)in[k].bytes), .dtype = in[k].dtype, .rank = in[k].rank};
            memcpy(x[k].dim, in[k].dim, sizeof x[k].dim);
            fill(x[k].data, in[k].dtype, in[k].count, (pattern + 7 * k) % 60);
        }
        for (int k = 0; k < NOUT; k++) {
            y[k] = (mlcc_tensor){.data = malloc((size_t)out[k].bytes), .dtype = out[k].dtype, .rank = out[k].rank};
            memcpy(y[k].dim, out[k].dim, sizeof y[k].dim);
        }
        accepted += net_call(x, y, arena) == 0;
        for (int k = 0; k < NIN; k++) free(x[k].data);
        for (int k = 0; k < NOUT; k++) free(y[k].data);
        free(arena);
    }
    return accepted ? 0 : 77;
}
'''


def chosen(names):
    """{operator: [folders of cases]} of the ONNX suite."""
    found = {}
    for folder in sorted(models.NODE.iterdir()):
        if folder.name.endswith('_expanded') or not (folder / 'model.onnx').exists():
            continue
        graph = onnx.load(folder / 'model.onnx').graph
        if len(graph.node) == 1 and graph.node[0].op_type in names:
            found.setdefault(graph.node[0].op_type, []).append(folder)
    return {op: group[::max(1, len(group) // EACH)][:EACH] for op, group in found.items()}


def declared(tensors):
    rows = []
    for t in tensors:
        dims = [d if isinstance(d, int) else d['max'] for d in t['dims']]
        count = 1
        for d in dims:
            count *= d
        rows.append(f'{{{t["onnx_dtype"]}, {count}, {t["bytes"]}, {len(dims)}, {{{", ".join(map(str, dims)) or 0}}}}}')
    return ', '.join(rows) or '{0}'


def driver(about):
    text = DRIVER.replace('NINPUTS', str(len(about['inputs']))).replace('NOUTPUTS', str(len(about['outputs'])))
    text = text.replace('INPUTS', declared(about['inputs'])).replace('OUTPUTS', declared(about['outputs']))
    return text.replace('(double)NAN_', '__builtin_nan("")').replace('INF_', '__builtin_inf()')


def bindings(source):
    """Every input but the first as a constant: shapes and axes that mlcc must know."""
    inputs = onnx.load(source / 'model.onnx').graph.input
    pairs = [(inputs[k].name, source / 'test_data_set_0' / f'input_{k}.pb') for k in range(1, len(inputs))]
    return [word for name, path in pairs for word in ('--bind', f'{name}={path}')]


def fault(mlcc, source, folder):
    """('' or what a sanitizer said, or None where mlcc does not take the case as it is)."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [mlcc, source / 'model.onnx', '-o', folder / 'net.c', '--weights=array']
    rc, _, err = tool.run(command, 60)
    if rc == 1:
        rc, _, err = tool.run([*command, *bindings(source)], 60)
    if rc:
        return None if rc == 1 else f'status {rc}: {err[:200]}'
    about = json.loads((folder / 'net.json').read_text())
    if any(t['dtype'] == 'str' for t in about['inputs'] + about['outputs']):
        return None
    (folder / 'main.c').write_text(driver(about))
    rc, _, err = tool.run(['gcc', *FLAGS, folder / 'main.c', folder / 'net.c', '-lm', '-o', folder / 'net'], 300)
    if rc:
        return f'does not compile: {err[:300]}'
    rc, out, err = tool.run([folder / 'net'], 120)
    if rc == REFUSED:
        return 'no call succeeds, so nothing was tried'
    lines = [line for line in (out + err).splitlines() if 'runtime error' in line or 'ERROR:' in line or ' #0 ' in line or ' #1 ' in line]
    shutil.rmtree(folder)
    return '' if rc == 0 else f'status {rc}: {" | ".join(lines[:3])[:400]}'


def control(folder):
    """'' when the sanitizers find what they are there for; this suite could not fail otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'control.c').write_text('#include <stdlib.h>\nint main(int n, char **v) { (void)v; char *p = malloc((size_t)n); return p[n * 9 - 8 + n]; }\n')
    rc, _, err = tool.run(['gcc', *FLAGS, folder / 'control.c', '-o', folder / 'control'], 60)
    if rc:
        return err.strip()[:200]
    return '' if tool.run([folder / 'control'], 60)[0] else 'a read behind a block is not noticed'


def main():
    build, r, names = pathlib.Path(sys.argv[1]).resolve(), report.Report(), sys.argv[2:] or PLACES + VALUES
    if why := control(build / 'emit' / 'wild'):
        r.skip('wild', f'no sanitizers: {why}')
        r.finish()
    cases = chosen(names)
    with concurrent.futures.ThreadPoolExecutor(tool.JOBS) as pool:
        jobs = {op: [(c.name, pool.submit(fault, build / 'mlcc', c, build / 'emit' / 'wild' / c.name)) for c in group] for op, group in cases.items()}
        for op in names:
            results = [(name, job.result()) for name, job in jobs.get(op, [])]
            tried = [(name, why) for name, why in results if why is not None]
            bad = [f'{name}: {why}' for name, why in tried if why]
            if tried:
                r.check(f'wild/{op}', '\n     '.join(bad))
            else:
                r.skip(f'wild/{op}', 'no case of the ONNX suite compiles')
    r.finish()


if __name__ == '__main__':
    main()

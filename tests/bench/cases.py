#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What share of the core's arithmetic peak single blocks of real networks reach.

    cases.py BUILD_DIR [CASE ..] [--type f32|bf16|i8 ..] [--seconds S] [--json FILE] [--detail] [-- MLCC OPTIONS]

A model at batch 1 also waits for its weights, which are read once. Here are chains of four blocks of ResNet-50 and of MobileNetV2 at
the sizes at which they occur, whose weights stay in cache, and the products of a layer of BERT-base. Each runs on one thread;
shares are of the peak for the type (that of the matrix unit where it is used, as -march= decides; of vector dots else) at the clock
that the core keeps meanwhile, medians of many runs: `whole`, with the copies into and out of the caller's order, and `products`, the
functions that multiply. Convolutions of 3x3 may take fewer multiplications than they are counted for (-ffp=fast).
"""
import argparse
import json
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from bench import nodes
from kernel.blocks import Graph

CHAIN = 4  # blocks one behind the other, each with weights of its own


class Quantized(Graph):
    """The same of bytes: operands are dequantized, results quantized; what clamps is in the rounding."""

    def __init__(self):
        super().__init__()
        self.bytes = set()
        self.scale, self.zero = self.const(np.float32(0.02)), self.const(np.uint8(128))

    def node(self, op, *inputs, **attributes):
        if op in ('Relu', 'Clip') and inputs[0] in self.bytes:
            return inputs[0]
        real = [super(Quantized, self).node('DequantizeLinear', i, self.scale, self.zero) if i in self.bytes else i for i in inputs]
        y = super().node('QuantizeLinear', super().node(op, *real, **attributes), self.scale, self.zero)
        self.bytes.add(y)
        return y

    def weight(self, axis, *shape):
        n = shape[axis]
        scales = self.const(self.rng.uniform(0.5, 1, n).astype(np.float32) / 3000)
        w = self.const(self.rng.integers(-127, 127, shape, endpoint=True).astype(np.int8))
        return super().node('DequantizeLinear', w, scales, self.const(np.zeros(n, np.int8)), axis=axis)

    def conv(self, x, cin, cout, k=1, stride=1, group=1):
        return self.node('Conv', x, self.weight(0, cout, cin // group, k, k), self.normal(cout), pads=[k // 2] * 4, strides=[stride] * 2, group=group)

    def linear(self, x, n, m):
        real = super().node('DequantizeLinear', x, self.scale, self.zero)
        return self.node('Add', super().node('MatMul', real, self.weight(1, n, m)), self.normal(m))


def bottlenecks(g, x, c, mid):
    for _ in range(CHAIN):
        y = g.node('Relu', g.conv(x, c, mid))
        y = g.node('Relu', g.conv(y, mid, mid, 3))
        x = g.node('Relu', g.node('Add', g.conv(y, mid, c), x))
    return x


def inverted(g, x, c, mid):
    lo, hi = g.const(np.float32(0)), g.const(np.float32(6))
    for _ in range(CHAIN):
        y = g.node('Clip', g.conv(x, c, mid), lo, hi)
        y = g.node('Clip', g.conv(y, mid, mid, 3, group=mid), lo, hi)
        x = g.node('Add', g.conv(y, mid, c), x)
    return x


def stem(g, x, c, out):
    return g.node('MaxPool', g.node('Relu', g.conv(x, c, out, 7, 2)), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)


def dense(g, x, n, m):
    return g.linear(x, n, m)


def gelu(g, x, n, m):
    return g.node('Gelu', g.linear(x, n, m))


# name: what it is, shape of the input, channels
CASES = {
    'resnet56': (bottlenecks, [1, 256, 56, 56], 256, 64),
    'resnet28': (bottlenecks, [1, 512, 28, 28], 512, 128),
    'resnet14': (bottlenecks, [1, 1024, 14, 14], 1024, 256),
    'stem': (stem, [1, 3, 224, 224], 3, 64),
    'mobile112': (inverted, [1, 16, 112, 112], 16, 96),
    'mobile56': (inverted, [1, 24, 56, 56], 24, 144),
    'mobile28': (inverted, [1, 32, 28, 28], 32, 192),
    'mobile14': (inverted, [1, 64, 14, 14], 64, 384),
    'mobile7': (inverted, [1, 160, 7, 7], 160, 960),
    'query': (dense, [128, 768], 768, 768),
    'ffn1': (gelu, [128, 768], 768, 3072),
    'ffn2': (dense, [128, 3072], 3072, 768),
}


def make(name, kind, folder):
    build, shape, *channels = CASES[name]
    g = Quantized() if kind == 'i8' else Graph()
    return g.save(folder / f'{name}_{kind}.onnx', {'x': shape}, [build(g, g.node('Relu', 'x'), *channels)])


def run_case(build, name, kind, seconds, options, peak):
    folder = build / 'bench' / 'cases'
    path = make(name, kind, folder)
    report, measured, running = nodes.measure(build / 'mlcc', path, folder, [*(['-ffp=bf16'] if kind == 'bf16' else []), *options], seconds, 1)
    now = nodes.at_clock(peak, running)
    rows = [nodes.judged(fact, time, now, 1) for fact, time in zip(report['nodes'], measured['nodes'], strict=True)]
    us, macs = measured['whole']['median_us'], sum(r['macs'] for r in rows)
    matrix = any(fact['unit'] == 'matrix' for fact in report['nodes'])
    rate, products = now[f'{kind}_matrix' if matrix else kind], sum(r['median_us'] for r in rows if r['macs'])
    return {'case': name, 'type': kind, 'us': us, 'peak': rate, 'whole': 2 * macs / us / 1e3 / rate, 'products': 2 * macs / products / 1e3 / rate, 'nodes': rows}


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('build', type=pathlib.Path)
    p.add_argument('case', nargs='*', choices=[[], *CASES])
    p.add_argument('--type', nargs='+', choices=('f32', 'bf16', 'i8'), default=['f32'])
    p.add_argument('--seconds', type=float, default=1)
    p.add_argument('--json', type=pathlib.Path)
    p.add_argument('--detail', action='store_true', help='every function of each case')
    cut = sys.argv.index('--') if '--' in sys.argv else len(sys.argv)
    args = p.parse_args(sys.argv[1:cut])
    build = args.build.resolve()
    (build / 'bench' / 'cases').mkdir(parents=True, exist_ok=True)
    peak, done = nodes.peaks(build / 'bench' / 'cases'), []
    print(f'{"case":12} {"type":5} {"us":>10} {"peak Gop/s":>11} {"whole":>6} {"products":>9}')
    for kind in args.type:
        for name in args.case or CASES:
            done.append(run_case(build, name, kind, args.seconds, sys.argv[cut + 1:], peak))
            r = done[-1]
            print(f'{name:12} {kind:5} {r["us"]:10.1f} {r["peak"]:11.1f} {100 * r["whole"]:5.0f}% {100 * r["products"]:8.0f}%', flush=True)
            if args.detail:
                nodes.table(r['nodes'])
    if args.json:
        args.json.write_text(json.dumps(done, indent=1) + '\n')


if __name__ == '__main__':
    main()

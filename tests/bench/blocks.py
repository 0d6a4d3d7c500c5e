#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Blocks that networks have in common, beside ONNX Runtime on one thread: what loses by much has fallen out of vectors.

    blocks.py BUILD_DIR [NAME ...] [--int8] [--seconds S] [-- MLCC OPTIONS]

Each block is a small model, most of them an operator between two 1x1 convolutions, so that it meets its input as it does in a network.
Prints how many times faster mlcc is, both times in us (least), and how far results are apart (against the largest), the worst ratio first.
--int8 quantizes the blocks first (QDQ, by onnxruntime.quantization with random inputs); what that cannot do is left out.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import time

import numpy as np
import onnxruntime

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from kernel.blocks import Graph

HERE = pathlib.Path(__file__).resolve().parent
PICTURE = [1, 64, 56, 56]
SMALL = [1, 64, 28, 28]
BLOCKS = {}


def ints(*v):
    return np.array(v, np.int64)


def real(v):
    return np.float32(v)


def between(name, fn, shape=PICTURE, channels=0):
    """The block `name`: what fn(graph, x) makes of a picture, between two 1x1 convolutions; channels: that it has then, if others."""
    def make(g):
        y = fn(g, g.node('Relu', g.conv('x', shape[1], shape[1])))
        return {'x': shape}, [g.conv(y, channels or shape[1], 16)]
    BLOCKS[name] = make


def op(kind, *more, **attributes):
    """fn(graph, x) of one operator with further constant inputs."""
    return lambda g, x: g.node(kind, x, *[g.const(m) for m in more], **attributes)


def block(make):
    BLOCKS[make.__name__] = make


between('nothing', lambda g, x: x)
for kind in ('HardSwish', 'HardSigmoid', 'Gelu', 'Elu', 'Selu', 'Celu', 'Mish', 'Softplus', 'Softsign', 'ThresholdedRelu', 'LeakyRelu', 'Erf', 'Tanh',
             'Sqrt', 'Reciprocal', 'Round', 'Floor', 'Sign', 'Sin', 'Atan', 'GlobalMaxPool'):
    between(kind, op(kind))
between('SiLU', lambda g, x: g.node('Mul', x, g.node('Sigmoid', x)))
between('PRelu', lambda g, x: g.node('PRelu', x, g.normal(64, 1, 1)))
between('Pow 2.2', lambda g, x: g.node('Pow', x, g.const(real(2.2))))
between('Softmax of channels', op('Softmax', axis=1))
between('MaxPool 3x3/2', op('MaxPool', kernel_shape=[3, 3], pads=[1] * 4, strides=[2, 2]))
between('MaxPool 5x5', op('MaxPool', kernel_shape=[5, 5], pads=[2] * 4), [1, 64, 20, 20])
between('AveragePool 3x3', op('AveragePool', kernel_shape=[3, 3], pads=[1] * 4))
between('InstanceNormalization', lambda g, x: g.node('InstanceNormalization', x, g.normal(64), g.normal(64)))
between('Pad reflect', op('Pad', ints(0, 0, 1, 1, 0, 0, 1, 1), mode='reflect'))
between('DepthToSpace', op('DepthToSpace', blocksize=2), channels=16)
between('SpaceToDepth', op('SpaceToDepth', blocksize=2), [1, 16, 112, 112], 64)
for size, more in ((2, {}), (3, {'pads': [1] * 4, 'output_padding': [1, 1]}), (4, {'pads': [1] * 4})):
    between(f'ConvTranspose {size}x{size}/2',
            lambda g, x, size=size, more=more: g.node('ConvTranspose', x, g.normal(64, 32, size, size), g.normal(32), strides=[2, 2], **more), SMALL, 32)
for mode in ('nearest', 'linear'):
    between(f'Resize {mode}', lambda g, x, mode=mode: g.node('Resize', x, '', g.const(np.array([1, 1, 2, 2], np.float32)), mode=mode), SMALL)
for channels in (1, 2, 3, 21):
    between(f'3x3 to {channels}', lambda g, x, channels=channels: g.node('Sigmoid', g.conv(x, 64, channels, 3)), channels=channels)
between('depthwise 3x3', lambda g, x: g.node('Relu', g.conv(x, 64, 64, 3, group=64)))
between('depthwise 7x7', lambda g, x: g.conv(x, 64, 64, 7, group=64))
between('groups of 32', lambda g, x: g.conv(x, 64, 64, 3, group=32))


def squeeze(g, x):
    s = g.node('Relu', g.conv(g.node('GlobalAveragePool', x), 64, 16))
    return g.node('Mul', x, g.node('Sigmoid', g.conv(s, 16, 64)))


def group_norm(g, x, groups=8):
    y = g.node('InstanceNormalization', g.node('Reshape', x, g.const(ints(0, groups, -1))), g.const(np.ones(groups, np.float32)), g.const(np.zeros(groups, np.float32)))
    y = g.node('Reshape', y, g.const(ints(*PICTURE)))
    return g.node('Add', g.node('Mul', y, g.normal(64, 1, 1)), g.normal(64, 1, 1))


def bare_group_norm(g, x, groups=8):
    y = g.node('InstanceNormalization', g.node('Reshape', x, g.const(ints(0, groups, -1))), g.normal(groups), g.normal(groups))
    return g.node('Reshape', y, g.const(ints(*PICTURE)))


def norm_of_channels(g, x):
    d = g.node('Sub', x, g.node('ReduceMean', x, g.const(ints(1))))
    v = g.node('ReduceMean', g.node('Mul', d, d), g.const(ints(1)))
    return g.node('Mul', g.node('Div', d, g.node('Sqrt', g.node('Add', v, g.const(real(1e-6))))), g.normal(64, 1, 1))


def attention_of_places(g, x):
    both = g.node('Concat', g.node('ReduceMean', x, g.const(ints(1))), g.node('ReduceMax', x, g.const(ints(1))), axis=1)
    return g.node('Mul', x, g.node('Sigmoid', g.conv(both, 2, 1, 7)))


def pools_side_by_side(g, x):
    return g.node('Concat', x, *[g.node('MaxPool', x, kernel_shape=[k, k], pads=[k // 2] * 4) for k in (5, 9, 13)], axis=1)


def gated(g, x):
    a, b = (g.node('Slice', x, g.const(ints(k)), g.const(ints(k + 32)), g.const(ints(1))) for k in (0, 32))
    return g.node('Mul', a, g.node('Sigmoid', b))


between('squeeze and excite', squeeze)
between('GroupNorm', group_norm)
between('GroupNorm alone', bare_group_norm)
between('LayerNorm of channels', norm_of_channels)
between('spatial attention', attention_of_places)
between('pyramid of pools', pools_side_by_side, [1, 64, 20, 20], 256)
between('gated half', gated, channels=32)


def given(name, fn, shape=PICTURE, **more):
    """What fn(graph, x) makes of an input alone, which has channels first as the result has; more: further inputs."""
    def make(g):
        return {'x': shape, **more}, [fn(g, 'x')]
    BLOCKS[name] = make


given('AveragePool of an input', op('AveragePool', kernel_shape=[3, 3], pads=[1] * 4))
given('AveragePool 2x2/2 of an input', op('AveragePool', kernel_shape=[2, 2], strides=[2, 2]))
given('MaxPool 3x3/2 of an input', op('MaxPool', kernel_shape=[3, 3], pads=[1] * 4, strides=[2, 2]), [1, 64, 112, 112])
given('GlobalAveragePool of an input', op('GlobalAveragePool'))
given('InstanceNorm of an input', lambda g, x: g.node('InstanceNormalization', x, g.normal(64), g.normal(64)))
given('SpaceToDepth of an input', op('SpaceToDepth', blocksize=2))
given('GridSample', lambda g, x: g.node('GridSample', x, 'grid'), [1, 32, 56, 56], grid=[1, 56, 56, 2])


@block
def signal_from_frames(g):
    return {'x': [1, 514, 100]}, [g.node('ConvTranspose', 'x', g.normal(514, 1, 512), strides=[128])]


@block
def keyword_input(g):
    x = g.node('Reshape', 'x', g.const(ints(1, 1, 49, 10)))
    return {'x': [1, 490]}, [g.node('Relu', g.node('Conv', x, g.normal(64, 1, 10, 4), g.normal(64), pads=[4, 1, 5, 1], strides=[2, 2]))]


@block
def tokens_as_picture(g):
    x = g.node('Reshape', g.node('Transpose', g.linear('x', 64, 256), perm=[0, 2, 1]), g.const(ints(1, 256, 28, 28)))
    x = g.node('Reshape', g.conv(x, 256, 256, 3, group=256), g.const(ints(1, 256, 784)))
    return {'x': [1, 784, 64]}, [g.linear(g.node('Gelu', g.node('Transpose', x, perm=[0, 2, 1])), 256, 64)]


@block
def windows_of_attention(g, side=28, c=96, w=7):
    x = g.node('Reshape', 'x', g.const(ints(1, side // w, w, side // w, w, c)))
    x = g.node('Reshape', g.node('Transpose', x, perm=[0, 1, 3, 2, 4, 5]), g.const(ints(-1, w * w, c)))
    x = g.node('Transpose', g.node('Reshape', g.linear(x, c, 3 * c), g.const(ints(-1, w * w, 3, 3, c // 3))), perm=[2, 0, 3, 1, 4])
    q, k, v = (g.node('Gather', x, g.const(np.int64(n)), axis=0) for n in range(3))
    a = g.node('Softmax', g.node('Add', g.node('MatMul', q, g.node('Transpose', k, perm=[0, 1, 3, 2])), g.normal(1, 3, w * w, w * w)), axis=-1)
    x = g.node('Reshape', g.node('Transpose', g.node('MatMul', a, v), perm=[0, 2, 1, 3]), g.const(ints(-1, w * w, c)))
    return {'x': [1, side, side, c]}, [g.linear(x, c, c)]


@block
def vector_product(g):
    return {'x': [512, 512]}, [g.node('MatMul', 'x', g.normal(512, 1))]


@block
def conformer(g):
    t = g.node('Conv', g.node('Transpose', 'x', perm=[0, 2, 1]), g.normal(256, 256, 1), g.normal(256))
    t = g.node('Conv', t, g.normal(256, 1, 31), g.normal(256), pads=[15, 15], group=256)
    return {'x': [1, 200, 256]}, [g.node('Transpose', g.node('Mul', t, g.node('Sigmoid', t)), perm=[0, 2, 1])]


@block
def vocoder(g):
    return {'x': [1, 128, 100]}, [g.node('LeakyRelu', g.node('ConvTranspose', 'x', g.normal(128, 64, 16), g.normal(64), strides=[8], pads=[4, 4]), alpha=0.1)]


# ---- times ----


class Random:
    """Inputs to calibrate with."""

    def __init__(self, shapes):
        rng = np.random.default_rng(1)
        self.left = [{n: rng.standard_normal(s).astype(np.float32) for n, s in shapes.items()} for _ in range(3)]

    def get_next(self):
        return self.left.pop() if self.left else None


def quantized(path, shapes):
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    CalibrationDataReader.register(Random)
    to = path.with_name(f'{path.stem}-int8.onnx')
    quantize_static(path, to, Random(shapes), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
    return to


def other(path, inputs, seconds):
    """(us, outputs) of ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    bound = session.io_binding()
    for name, value in inputs.items():
        bound.bind_cpu_input(name, value)
    for o in session.get_outputs():
        bound.bind_output(o.name)
    session.run_with_iobinding(bound)
    least, end = 1e9, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        session.run_with_iobinding(bound)
        least = min(least, time.perf_counter() - start)
    return least * 1e6, bound.copy_outputs_to_cpu()


def ours(mlcc, path, folder, inputs, seconds, options):
    """(us, outputs) of mlcc, by the row of the peer benchmark."""
    for k, value in enumerate(inputs.values()):
        value.tofile(folder / f'in_{k}.bin')
    command = [sys.executable, HERE / 'peer_row.py', mlcc, path, '1', folder, folder, str(seconds), *options]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError((run.stderr.splitlines() or ['peer_row.py failed'])[-1])
    return min(json.loads(run.stdout.splitlines()[-1])['ms']) * 1e3, lambda k: np.fromfile(folder / f'out_{k}.bin', np.float32)


def compare(mlcc, name, args):
    folder = args.build.resolve() / 'bench' / 'blocks' / name.replace(' ', '-').replace('/', '-')
    folder.mkdir(parents=True, exist_ok=True)
    g = Graph(3)
    shapes, outputs = BLOCKS[name](g)
    path = g.save(folder / 'block.onnx', shapes, outputs)
    path = quantized(path, shapes) if args.int8 else path
    inputs = {n: np.random.default_rng(0).uniform(-1, 1, s).astype(np.float32) for n, s in shapes.items()}
    theirs, want = other(path, inputs, args.seconds)
    us, got = ours(mlcc, path, folder, inputs, args.seconds, args.options)
    off = max(float(np.abs(got(k) - w.ravel()).max()) / max(float(np.abs(w).max()), 1e-9) for k, w in enumerate(want))
    return theirs / us, us, theirs, off


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('build', type=pathlib.Path)
    p.add_argument('names', nargs='*', metavar='NAME')
    p.add_argument('--int8', action='store_true')
    p.add_argument('--seconds', type=float, default=0.4)
    cut = sys.argv.index('--') if '--' in sys.argv else len(sys.argv)
    args = p.parse_intermixed_args(sys.argv[1:cut])
    args.options = sys.argv[cut + 1:]
    rows = []
    for name in args.names or BLOCKS:
        try:
            rows.append((*compare(args.build.resolve() / 'mlcc', name, args), name))
        except Exception as failed:  # a block that one of the two cannot make is said and left out
            print(f'{name}: {failed}', file=sys.stderr)
    for ratio, us, theirs, off, name in sorted(rows):
        print(f'{ratio:7.2f} {name:24} mlcc {us:9.1f} us, ONNX Runtime {theirs:9.1f} us, apart {off:.1e}')


if __name__ == '__main__':
    main()

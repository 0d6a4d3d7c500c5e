#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Quantized products whose bias is real numbers, or integers on a scale of their own, against ONNX Runtime without optimisation,
which computes them in floats: they are products of integers here, and hardly any result is off, none by more than one step. With
-ffp=strict, or a bias that no integers can hold, the bias is added in floats.

    bias.py BUILD_DIR
"""
import pathlib
import shutil
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import native, report, tool

ROWS, INNER, COLUMNS, SIDE = 12, 24, 20, 9
SHARE = 0.005  # of the results, those that may be off by one step
STEP, ZERO = np.float32(0.03), np.uint8(117)  # of x


class Net:
    """The parts of a model under construction; `far` and `tiny` make the bias or the weights of the last channel hostile."""
    def __init__(self, rng, far=False, tiny=False):
        self.rng, self.far, self.tiny, self.nodes, self.constants = rng, far, tiny, [], []

    def const(self, value):
        self.constants.append(numpy_helper.from_array(np.asarray(value), f'c{len(self.constants)}'))
        return self.constants[-1].name

    def node(self, op, *operands, **attrs):
        self.nodes.append(helper.make_node(op, operands, [f'n{len(self.nodes)}'], **attrs))
        return self.nodes[-1].output[0]

    def x(self):
        return self.node('DequantizeLinear', 'x', self.const(STEP), self.const(ZERO))

    def weight(self, shape, axis):
        n = shape[axis]
        scale = (self.rng.uniform(0.2, 2, n) / 100).astype(np.float32)
        if self.tiny:
            scale[-1] = 1e-12
        return self.node('DequantizeLinear', self.const(self.rng.integers(-127, 128, shape, np.int8)), self.const(scale), self.const(np.zeros(n, np.int8)), axis=axis)

    def bias(self, *shape):
        value = self.rng.standard_normal(shape).astype(np.float32)
        if self.far:
            value.reshape(-1)[-1] = 1e30
        return self.const(value)

    def narrow_bias(self, n):
        return self.node('DequantizeLinear', self.const(self.rng.integers(-128, 128, n, np.int8)), self.const(np.float32(0.013)), self.const(np.int8(5)))


def conv(g):
    return g.node('Conv', g.x(), g.weight((COLUMNS, INNER, 3, 3), 0), g.bias(COLUMNS), pads=[1] * 4)


PICTURE, MATRIX = (1, INNER, SIDE, SIDE), (ROWS, INNER)
CASES = {  # shape of x, what is made of it, the operator of integers
    'conv': (PICTURE, conv, 'QLinearConv'),
    'relu': (PICTURE, lambda g: g.node('Relu', conv(g)), 'QLinearConv'),
    'clip': (PICTURE, lambda g: g.node('Clip', conv(g), g.const(np.float32(0)), g.const(np.float32(6))), 'QLinearConv'),
    'depthwise': (PICTURE, lambda g: g.node('Conv', g.x(), g.weight((INNER, 1, 3, 3), 0), g.bias(INNER), group=INNER), 'QLinearConv'),
    'narrow': (PICTURE, lambda g: g.node('Conv', g.x(), g.weight((COLUMNS, INNER, 1, 1), 0), g.narrow_bias(COLUMNS)), 'QLinearConv'),
    'gemm': (MATRIX, lambda g: g.node('Gemm', g.x(), g.weight((COLUMNS, INNER), 0), g.bias(COLUMNS), transB=1), 'QGemm'),
    'gemm_row': (MATRIX, lambda g: g.node('Gemm', g.x(), g.weight((INNER, COLUMNS), 1), g.bias(1, COLUMNS)), 'QGemm'),
    'matmul': (MATRIX, lambda g: g.node('Add', g.node('MatMul', g.x(), g.weight((INNER, COLUMNS), 1)), g.bias(COLUMNS)), 'QGemm'),
    'matmul_left': (MATRIX, lambda g: g.node('Add', g.bias(1, COLUMNS), g.node('MatMul', g.x(), g.weight((INNER, COLUMNS), 1))), 'QGemm'),
}
WAYS = {'plain': ['-O0'], 'optimised': [], 'scalar': ['--target=scalar'], 'strict': ['-ffp=strict']}
HOSTILE = {'far': {'far': True}, 'tiny': {'tiny': True}}


def save(path, g, x, y, shape):
    info = lambda name, kind, dims: helper.make_tensor_value_info(name, kind, dims)
    kind = onnx.TensorProto.UINT8 if g.nodes[-1].op_type == 'QuantizeLinear' else onnx.TensorProto.FLOAT
    graph = helper.make_graph(g.nodes, 'g', [info('x', onnx.TensorProto.UINT8, shape)], [info(y, kind, None)], g.constants)
    onnx.save(onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)), path)
    return peer(path, x)


def peer(path, x):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider']).run(None, {'x': x})[0]


def network(path, shape, make, hostile):
    """Writes the model, with steps of its result that span the usual ones of its real results; returns an input and what is right."""
    rng = np.random.default_rng(4)
    x, g = rng.integers(0, 256, shape, np.uint8), Net(rng, **hostile)
    real = make(g)
    low, high = np.percentile(save(path, g, x, real, shape), [1, 90])
    step = np.float32((high - low) / 255)
    y = g.node('QuantizeLinear', real, g.const(step), g.const(np.uint8(np.clip(round(-low / step), 0, 255))))
    return x, save(path, g, x, y, shape)


def fault(mlcc, folder, source, options, x, want, integer):
    """integer: the operator that must, or must not, stand in the graph."""
    name, expected = integer
    graph = tool.run([mlcc, source, '--emit=graph', '--stop-after=integer', *options], 60)[1]
    if (name in graph) != expected:
        return f'is {"not " if expected else ""}{name}'
    built = tool.compile_model(mlcc, source, folder, 'net', options)
    if built.rc:
        return f'{built.message} [{built.slug}]'
    got = native.Model(native.load(native.library('cc', built, 'net', ['-O2', '-march=native'])), 0).call([x])[0]
    off = np.abs(got.astype(int) - want)
    return '' if off.max() <= 1 and off.mean() <= SHARE else f'{off.mean():.1%} of the results are off, one by {off.max()}'


def main():
    build, r = pathlib.Path(sys.argv[1]).resolve(), report.Report()
    top = build / 'emit' / 'bias'
    shutil.rmtree(top, ignore_errors=True)
    top.mkdir(parents=True)
    tasks = [(f'{name}/{way}', *CASES[name], {}, way) for name in CASES for way in WAYS]
    tasks += [(f'{name}/{kind}', *CASES[name], HOSTILE[kind], 'optimised') for name in ('conv', 'gemm', 'matmul') for kind in HOSTILE]
    for name, shape, make, operator, hostile, way in tasks:
        source = top / f'{name.replace("/", "_")}.onnx'
        x, want = network(source, shape, make, hostile)
        try:
            r.check(f'bias/{name}', fault(build / 'mlcc', source.with_suffix(''), source, WAYS[way], x, want, (operator, way != 'strict' and not hostile)))
        except native.Broken as e:
            r.check(f'bias/{name}', str(e))
    r.finish()


if __name__ == '__main__':
    main()

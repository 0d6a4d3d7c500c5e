#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Products of dequantized operands whose result stays real, against an evaluation of the same network in doubles: they are sums of
integers here, at every level, and results are within 1e-5 of the largest. Behind a quantization none is off by more than one step.

    real.py BUILD_DIR
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
FAR = 100000               # products, whose sum is near the end of i32
NEAR, SHARE = 1e-5, 0.005  # of the largest result; of the quantized results, those that may be off by one step
STEP = np.float32(0.03)    # of quantized results
U8, I8 = (np.uint8, 117), (np.int8, -5)  # of activations: type and zero point


class Net:
    """The parts of a network under construction; wide: in doubles, DequantizeLinear written out. Both draw the same numbers."""
    def __init__(self, wide):
        self.wide, self.rng, self.nodes, self.constants, self.inputs = wide, np.random.default_rng(6), [], [], {}

    def const(self, value):
        value = np.asarray(value)
        value = value.astype(np.float64) if self.wide and value.dtype == np.float32 else value
        self.constants.append(numpy_helper.from_array(value, f'c{len(self.constants)}'))
        return self.constants[-1].name

    def node(self, op, *operands, **attrs):
        self.nodes.append(helper.make_node(op, operands, [f'n{len(self.nodes)}'], **attrs))
        return self.nodes[-1].output[0]

    def real(self, *shape):
        return self.const(self.rng.standard_normal(shape).astype(np.float32))

    def given(self, value):
        """A new input, of which this is a value."""
        name = f'x{len(self.inputs)}'
        self.inputs[name] = value.astype(np.float64) if self.wide and value.dtype == np.float32 else value
        return name

    def dequantized(self, q, scale, zero, axis=0, rank=0):
        if not self.wide:
            return self.node('DequantizeLinear', q, self.const(scale), self.const(zero), axis=axis)
        along = [-1 if d == axis else 1 for d in range(rank)] if np.ndim(scale) else []
        real = self.node('Sub', self.node('Cast', q, to=onnx.TensorProto.DOUBLE), self.const(zero.astype(np.float32).reshape(along)))
        return self.node('Mul', real, self.const(scale.reshape(along)))

    def x(self, shape, kind):
        """An input of bytes, dequantized."""
        dtype, zero = kind
        info = np.iinfo(dtype)
        return self.dequantized(self.given(self.rng.integers(info.min, info.max + 1, shape, dtype)), np.float32(0.03), np.asarray(zero, dtype))

    def weight(self, shape, axis, zero=0, dtype=np.int8):
        """A constant of bytes, dequantized with a scale for each element of an axis, or one (None)."""
        n, info = () if axis is None else shape[axis], np.iinfo(dtype)
        scale = np.asarray(self.rng.uniform(0.002, 0.02, n), np.float32)
        return self.dequantized(self.const(self.rng.integers(info.min, info.max + 1, shape, dtype)), scale, np.full(n, zero, dtype), axis or 0, len(shape))


def linear(g, rank, kind, **weight):
    return g.node('MatMul', g.x((2, ROWS, INNER)[3 - rank:], kind), g.weight((INNER, COLUMNS), 1, **weight))


def biased(g):
    return g.node('Add', linear(g, 3, U8), g.real(COLUMNS))


def turned(g):
    return g.node('MatMul', g.x((2, ROWS, INNER), U8), g.node('Transpose', g.weight((COLUMNS, INNER), 0), perm=[1, 0]))


def attention(g, q, k):
    keys = g.node('Transpose', g.x((2, 3, ROWS + 1, INNER), k), perm=[0, 1, 3, 2])
    return g.node('Softmax', g.node('Mul', g.node('MatMul', g.x((2, 3, ROWS, INNER), q), keys), g.const(np.float32(0.25))))


def conv(g, kind=U8, bias=True, **weight):
    picture, w = g.x((1, INNER, SIDE, SIDE), kind), g.weight((COLUMNS, INNER, 3, 3), 0, **weight)
    return g.node('Conv', picture, w, *[g.real(COLUMNS)] * bias, pads=[1] * 4)


def residual(g, **options):
    return g.node('Add', conv(g, **options), g.given(g.rng.standard_normal((1, COLUMNS, SIDE, SIDE)).astype(np.float32)))


def picture_bias(g):
    return g.node('Add', conv(g, bias=False), g.real(1, COLUMNS, 1, 1))


def gemm(g, kind, rows, *bias):
    w = g.weight((COLUMNS, INNER), 0) if rows else g.weight((INNER, COLUMNS), 1)
    return g.node('Gemm', g.x((ROWS, INNER), kind), w, g.real(*bias), transB=int(rows))


def far(g, x, w, axis):
    """Dequantized operands, all at the ends of their types: sums of what is stored leave i32, those without zero points do not."""
    picture = g.dequantized(g.given(np.full(x, 255, np.uint8)), np.float32(0.03), np.asarray(128, np.uint8))
    return picture, g.dequantized(g.const(np.full(w, 100, np.int8)), np.full(w[axis], 0.01, np.float32), np.zeros(w[axis], np.int8), axis, len(w))


def long(g):
    return g.node('MatMul', *far(g, (2, FAR), (FAR, COLUMNS), 1))


def long_conv(g):
    return g.node('Conv', *far(g, (1, FAR, 1, 2), (COLUMNS, FAR, 1, 1), 0))


CASES = {  # what is made, whether it is quantized again, the operator of integers
    'matrix': (lambda g: linear(g, 2, U8), False, 'MatMulInteger'),
    'signed': (lambda g: linear(g, 2, I8), False, 'MatMulInteger'),
    'stack': (lambda g: linear(g, 3, I8), False, 'MatMulInteger'),
    'zeros': (lambda g: linear(g, 3, U8, zero=9), False, 'MatMulInteger'),
    'bytes': (lambda g: linear(g, 3, I8, zero=117, dtype=np.uint8), False, 'MatMulInteger'),
    'turned': (turned, False, 'MatMulInteger'),
    'gelu': (lambda g: g.node('Gelu', biased(g)), False, 'MatMulInteger'),
    'quantized': (biased, True, 'MatMulInteger'),
    'attention': (lambda g: attention(g, U8, U8), False, 'MatMulInteger'),
    'attention_signs': (lambda g: attention(g, I8, U8), False, 'MatMulInteger'),
    'residual': (residual, False, 'ConvInteger'),
    'residual_signed': (lambda g: residual(g, kind=I8), False, 'ConvInteger'),
    'residual_bytes': (lambda g: residual(g, zero=128, dtype=np.uint8), False, 'ConvInteger'),
    'picture_bias': (picture_bias, True, 'ConvInteger'),
    'gemm': (lambda g: gemm(g, U8, False, COLUMNS), False, 'MatMulInteger'),
    'gemm_rows': (lambda g: gemm(g, I8, True, 1, COLUMNS), False, 'MatMulInteger'),
    'gemm_matrix': (lambda g: gemm(g, U8, True, ROWS, COLUMNS), False, 'MatMulInteger'),
    'long': (long, False, 'MatMulInteger'),
    'long_conv': (long_conv, False, 'ConvInteger'),
}
WAYS = {'plain': ['-O0'], 'optimised': [], 'scalar': ['--target=scalar'], 'strict': ['-ffp=strict']}


def model(g, y, kind):
    info = lambda name, v: helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
    graph = helper.make_graph(g.nodes, 'g', [info(name, v) for name, v in g.inputs.items()], [helper.make_tensor_value_info(y, kind, None)], g.constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 20)], ir_version=9)


def exact(make):
    """The results in doubles."""
    from onnx.reference import ReferenceEvaluator
    g = Net(True)
    y = make(g)
    return ReferenceEvaluator(model(g, y, onnx.TensorProto.DOUBLE)).run(None, g.inputs)[0]


def network(path, make, quantized):
    """Writes the model; returns inputs and what is right."""
    g, want = Net(False), exact(make)
    y, kind = make(g), onnx.TensorProto.FLOAT
    if quantized:
        y, kind = g.node('QuantizeLinear', y, g.const(STEP), g.const(np.uint8(128))), onnx.TensorProto.UINT8
        want = np.clip(np.rint(want / STEP) + 128, 0, 255)
    onnx.save(model(g, y, kind), path)
    return list(g.inputs.values()), want


def fault(mlcc, folder, source, options, inputs, want, quantized, operator):
    if operator not in tool.run([mlcc, source, '--emit=graph', '--stop-after=integer', *options], 60)[1]:
        return f'is not {operator}'
    built = tool.compile_model(mlcc, source, folder, 'net', options)
    if built.rc:
        return f'{built.message} [{built.slug}]'
    got = native.Model(native.load(native.library('cc', built, 'net', ['-O2', '-march=native'])), 0).call(inputs)[0]
    off = np.abs(got.astype(np.float64) - want)
    if quantized:
        return '' if off.max() <= 1 and off.mean() <= SHARE else f'{off.mean():.1%} of the results are off, one by {off.max()}'
    return '' if off.max() <= NEAR * np.abs(want).max() else f'a result is off by {off.max() / np.abs(want).max():.1e} of the largest'


def main():
    build, r = pathlib.Path(sys.argv[1]).resolve(), report.Report()
    top = build / 'emit' / 'real'
    shutil.rmtree(top, ignore_errors=True)
    top.mkdir(parents=True)
    for name, (make, quantized, operator) in CASES.items():
        source = top / f'{name}.onnx'
        inputs, want = network(source, make, quantized)
        for way, options in WAYS.items():
            try:
                r.check(f'real/{name}/{way}', fault(build / 'mlcc', top / f'{name}_{way}', source, options, inputs, want, quantized, operator))
            except native.Broken as e:
                r.check(f'real/{name}/{way}', str(e))
    r.finish()


if __name__ == '__main__':
    main()

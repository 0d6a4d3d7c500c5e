#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Register tiles at every tail, on every machine row that runs here or under emulation, against the plain nest.

    run.py BUILD_DIR [MODEL ..]

Each model holds many contractions side by side, of sizes around the multiples that tiles like: rows, lanes and steps of 1, of a
few, of one more and one less. What -O3 emits for a row must equal what -O0 emits: integers to the bit, floats within the bound
of a sum taken in another order. Guard bands lie round the arena and every output. A row for which the same C comes out as for one
before it, preprocessed for each, is not run again. For speed see tests/bench/nodes.py, which takes the same models from
BUILD_DIR/kernel.
"""
import pathlib
import subprocess
import sys

import numpy as np
from onnx import TensorProto

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import machines, models, native, report, tool
from kernel.blocks import Graph

ROWS = [1, 3, 6, 7, 14, 15, 17, 33]
LANES = [1, 3, 8, 15, 16, 17, 33, 49, 64, 65]
STEPS = [1, 2, 3, 4, 5, 16, 31, 64, 67]
PREFIX = 'net'
UNIT = 2.0 ** -23


def triples():
    """Every value of each list several times, in combinations that differ: a Latin walk instead of the whole product."""
    n = len(ROWS) * len(LANES)
    return [(ROWS[k % len(ROWS)], LANES[(k * 7 + k // len(ROWS)) % len(LANES)], STEPS[(k * 5 + k // len(LANES)) % len(STEPS)]) for k in range(n)]


def matmul_f32(path):
    g = Graph(2)
    for k, (m, n, s) in enumerate(triples()):
        x = g.const(g.rng.standard_normal((m, s)).astype(np.float32)) if k % 9 == 0 else g.node('Slice', 'x', *slices(g, m, s))
        y = g.node('MatMul', x, g.normal(s, n))
        g.node('Relu', g.node('Add', y, g.normal(n))) if k % 2 else None
    return g.save(path, {'x': [max(ROWS), max(STEPS)]}, leaves(g))


def twins_f32(path):
    """Lanes that leave half of a vector empty, whose steps are taken two at a time, or one short of that; with a bias and without."""
    g = Graph(9)
    for k, lanes in enumerate([9, 10, 11, 12, 13, 17, 20, 23, 24, 25, 33, 36, 40, 41, 49, 56, 57, 88]):
        rows, steps = (8, 9, 15, 33)[k % 4], (2, 4, 10, 66, 67)[k % 5]
        y = g.node('MatMul', g.node('Slice', 'x', *slices(g, rows, steps)), g.normal(steps, lanes))
        g.node('Relu', g.node('Add', y, g.normal(lanes))) if k % 3 else None
    for k, (cin, cout, size, stride) in enumerate([(6, 24, 1, 1), (16, 24, 3, 1), (24, 40, 1, 2), (8, 12, 1, 1), (10, 20, 3, 2)]):
        x = g.node('Relu', g.node('Slice', 'y', *slices(g, 1, cin, 9, 11)))
        y = g.conv(x, cin, cout, size, stride)
        g.node('Neg', y) if k % 2 else g.node('Clip', g.conv(g.node('Relu', y), cout, cout), g.const(np.float32(0)), g.const(np.float32(6)))
    return g.save(path, {'x': [33, 67], 'y': [1, 24, 9, 11]}, leaves(g))


def thirds_f32(path):
    """Sums long enough for two multiplications in three steps, with tails in rows, lanes and steps; rows and columns of very different size,
    each brought back to one size behind the product; rows of zeros; several products of one operand; pictures, with a step and put side by side."""
    g = Graph(18)
    for k, (m, n, s) in enumerate([(9, 64, 96), (15, 65, 64), (33, 80, 67), (40, 130, 100), (25, 64, 401), (17, 96, 512), (50, 64, 528)]):
        x = g.node('Slice', 'x', *slices(g, m, s))
        if k % 3:
            size = np.exp2(g.rng.integers(-45, 45, (m, 1))).astype(np.float32)
            size[::7] = 0
            x = g.node('Mul', x, g.const(size))
        column = np.exp2(g.rng.integers(-20, 20, n)).astype(np.float32)
        y = g.node('MatMul', x, g.const((g.rng.standard_normal((s, n)) * column).astype(np.float32)))
        y = g.node('Mul', y, g.const(np.where(size, 1 / np.where(size, size, 1), 0).astype(np.float32))) if k % 3 else y
        g.node('Relu', g.node('Add', g.node('Mul', y, g.const(1 / column)), g.normal(n)))
    both = g.node('Abs', 'x')
    for n in (260, 272):
        g.node('Mul', g.node('MatMul', both, g.normal(528, n)), g.const(np.float32(0.01)))
    for k, (cin, cout, size, stride) in enumerate([(64, 64, 1, 1), (96, 80, 1, 2), (70, 72, 1, 1)]):
        x = g.node('Relu', g.node('Slice', 'y', *slices(g, 1, cin, 13, 11)))
        g.node('Add', g.conv(x, cin, cout, size, stride), g.normal(cout, 1, 1)) if k % 2 else g.node('Relu', g.conv(x, cin, cout, size, stride))
    halves = [g.node('Tanh', g.node('Slice', 'y', *slices(g, 1, c, 13, 11))) for c in (48, 64)]
    g.node('Relu', g.conv(g.node('Concat', *halves, axis=1), 112, 64, 1, 1))
    return g.save(path, {'x': [50, 528], 'y': [1, 96, 13, 11]}, leaves(g))


HALVES = ((197, 768, 448), (301, 1280, 512))  # rows, steps, columns; the second for machines whose last level is slow, too


def halves_f32(path):
    """Products by halves: odd rows, epilogues of other tensors, columns that are no whole panels, of the second half, too; pictures of an even side, with a step."""
    g = Graph(20)
    for m, s, n in HALVES:
        x = g.node('Abs', g.node('Slice', 'x', *slices(g, m, s)))
        y = g.node('Add', g.node('MatMul', x, g.normal(s, n)), g.normal(n))
        g.node('Add', g.node('Mul', y, g.node('Sigmoid', y)), g.node('Slice', 'x', *slices(g, m, n)))
        g.node('Neg', g.node('MatMul', x, g.normal(s, n - 48))) # of the same rows
    for images, h, w, stride in ((1, 14, 14, 1), (2, 20, 19, 2)):
        x = g.node('Relu', g.node('Slice', 'y', *slices(g, images, 768, h, w)))
        g.node('Relu', g.conv(x, 768, 448, 1, stride))
    return g.save(path, {'x': [301, 1280], 'y': [2, 768, 20, 19]}, leaves(g))


def halves_i8(path):
    """The same of bytes in 16 bits: of both signs, behind zero points, as bytes, floats and sums; values of an attention, whose blocks lie turned over; a
    picture that a window with a border reads."""
    g = Graph(21)
    unit, out = g.const(np.float32(0.02)), g.const(np.float32(3))
    for k, (m, s, n) in enumerate(((131, 512, 512), (224, 1024, 640), (128, 768, 528))):
        z, other = g.const((np.uint8(3), np.int8(-7))[k % 2]), (np.int8, np.uint8)[k % 2]
        x = g.node('QuantizeLinear', g.node('Slice', 'x', *slices(g, m, s)), unit, z)
        w, scales = bytes_of(g, s, n, dtype=other), g.const(g.rng.uniform(0.01, 0.03, n).astype(np.float32))
        y = g.node('QLinearMatMul', x, unit, z, w, scales, g.const(np.full(n, 3 * (k % 2), other)), out, z)
        d = g.node('Add', g.node('DequantizeLinear', y, out, z), g.normal(n))
        g.node('QuantizeLinear', g.node('Mul', d, g.node('Sigmoid', d)), out, z)
        g.node('MatMulInteger', x, bytes_of(g, s, n, dtype=other), z)
        heads = g.node('Transpose', g.node('Reshape', g.node('QLinearMatMul', x, unit, z, bytes_of(g, s, 512, dtype=other), unit, g.const(other(0)), out, z), g.const(np.array([m, 8, 64], np.int64))), perm=[1, 0, 2])
        scores = g.node('QuantizeLinear', g.node('Slice', 'y', *slices(g, 8, 16, m)), unit, g.const(np.uint8(0)))
        g.node('QLinearMatMul', scores, unit, g.const(np.uint8(0)), heads, unit, z, out, z)
    z, zw = g.const(np.uint8(131)), g.const(np.int8(0))
    x = g.node('QuantizeLinear', g.node('Slice', 'z', *slices(g, 1, 640, 14, 14)), unit, z)
    bias = g.const(g.rng.integers(-2000, 2000, 512).astype(np.int32))
    y = g.node('QLinearConv', x, unit, z, bytes_of(g, 512, 640, 1, 1), unit, zw, out, z, bias)
    g.node('QLinearConv', y, out, z, bytes_of(g, 32, 512, 3, 3), unit, zw, g.const(np.float32(90)), z, pads=[1] * 4)
    return g.save(path, {'x': [224, 1024], 'y': [8, 16, 224], 'z': [1, 640, 14, 14]}, leaves(g))


# Products whose constants are clipped: (rows, steps, columns, type of what they multiply)
LISTED = ((64, 768, 256, np.uint8), (61, 1024, 264, np.uint8), (197, 512, 200, np.int8), (49, 768, 400, np.uint8), (64, 2048, 128, np.uint8))


def lists_i8(path):
    """Bytes, the largest among them, by constants of normal weights: columns of nothing but the largest, of which most is cut; behind zero points, with
    epilogues, as sums; operands that others read, turned over once for several and read by a product of few rows, too; pictures of 1x1, in a row, the last with a step; bytes and
    integers turned over."""
    g = Graph(23)
    unit, out, zero, zw = g.const(np.float32(0.02)), g.const(np.float32(3)), g.const(np.uint8(131)), g.const(np.int8(0))

    def normal(steps, columns):
        w = g.rng.standard_normal((steps, columns))
        w = np.rint(w / np.abs(w).max(0) * 127).astype(np.int8)
        w[:, 3], w[:, 5], w[:, columns - 1], w[::3, 4] = 127, -128, 0, 127
        return w
    for k, (m, s, n, dtype) in enumerate(LISTED):
        x = g.node('QuantizeLinear', g.node('Clip', g.node('Slice', 'x', *slices(g, m, s)), g.const(np.float32(-1)), g.const(np.float32(2))), g.const(np.float32(0.01)), g.const(dtype(100)))
        scales, z = g.const(g.rng.uniform(0.01, 0.03, n).astype(np.float32)), g.const(dtype(100 if k % 2 else 0))
        y = g.node('QLinearMatMul', x, unit, z, g.const(normal(s, n)), scales, g.const(np.zeros(n, np.int8)), out, zero)
        d = g.node('Add', g.node('DequantizeLinear', y, out, zero), g.normal(n))
        g.node('QuantizeLinear', g.node('Mul', d, g.node('Sigmoid', d)) if k % 2 else d, out, zero)
        g.node('MatMulInteger', x, g.const(normal(s, n)), z)
        if k == 1:
            g.node('Transpose', x, perm=[1, 0])
            g.node('Transpose', g.node('MatMulInteger', x, bytes_of(g, s, 40), z), perm=[1, 0])
        if k == 0:
            g.node('MatMulInteger', g.node('Slice', x, *slices(g, 3, s)), bytes_of(g, s, 40), z)
            g.node('MatMulInteger', x, bytes_of(g, s, 48), z)
    x = g.node('QuantizeLinear', g.node('Slice', 'y', *slices(g, 1, 512, 13, 15)), unit, zero)
    for cin, cout, stride in ((512, 256, 1), (256, 512, 1), (512, 640, 2)):
        scales, bias = g.const(g.rng.uniform(0.01, 0.02, cout).astype(np.float32)), g.const(g.rng.integers(-2000, 2000, cout).astype(np.int32))
        x = g.node('QLinearConv', x, unit, zero, g.const(normal(cin, cout).T.reshape(cout, cin, 1, 1).copy()), scales, g.const(np.zeros(cout, np.int8)), unit, zero, bias, strides=[stride] * 2)
    return g.save(path, {'x': [197, 2048], 'y': [1, 512, 13, 15]}, leaves(g))


SLIM = ((1, 640, 256), (1, 100, 260), (2, 65, 512), (3, 33, 600), (4, 96, 128), (5, 70, 256), (1, 17, 1024), (1, 1000, 64), (1, 512, 256), (1, 64, 255))


def slim_f32(path, cases=SLIM):
    """Few rows of constants that take more than the second level, 24 bits of each number: tails of lanes, columns of very different size, each
    brought back to one size behind the product; columns of zeros, and whole numbers, which 24 bits hold; a batch; a sum that four do not divide."""
    g = Graph(19)
    for k, (m, n, s) in enumerate(cases):
        column = np.exp2(g.rng.integers(-40, 40, n)).astype(np.float32)
        column[::9] = 0
        w = g.rng.integers(-2 ** 22, 2 ** 22, (s, n)) if k % 4 == 1 else g.rng.standard_normal((s, n))
        y = g.node('MatMul', g.node('Slice', 'x', *slices(g, m, s)), g.const((w * column).astype(np.float32)))
        y = g.node('Mul', y, g.const((1 / np.where(column, column, 1) / np.abs(w).max()).astype(np.float32)))
        g.node('Relu', g.node('Add', y, g.normal(n))) if k % 2 else None
    g.node('MatMul', g.node('Reshape', g.node('Slice', 'x', *slices(g, 3, 256)), g.const(np.array([3, 1, 256]))), g.normal(3, 256, 72))
    return g.save(path, {'x': [5, 1024]}, leaves(g))


def scores_f32(path):
    """Queries against keys that lie along the reduction as they do, keys shared by heads, scaled or not; also rows beyond few."""
    g, heads = Graph(8), 3
    for k, (m, n, s) in enumerate(triples()):
        shared = k % 3 == 0
        q = g.node('Slice', 'q', *slices(g, heads, (1, 2, 3, 5, 7, 9)[k % 6], s))
        keys = g.node('Slice', 'k', *slices(g, 1 if shared else heads, n, s))
        y = g.node('MatMul', q, g.node('Transpose', g.node('Tanh', keys), perm=[0, 2, 1]))
        g.node('Mul', y, g.const(np.float32(0.125))) if k % 2 else None
    return g.save(path, {'q': [heads, 9, max(STEPS)], 'k': [heads, max(LANES), max(STEPS)]}, leaves(g))


def slices(g, *ends):
    zeros = np.zeros(len(ends), np.int64)
    return g.const(zeros), g.const(np.array(ends, np.int64)), g.const(np.arange(len(ends), dtype=np.int64))


def leaves(g):
    """Results that nothing reads."""
    read = {i for n in g.nodes for i in n.input}
    return [n.output[0] for n in g.nodes if n.output[0] not in read]


def conv_f32(path):
    """(channels in, channels out, side, kernel, stride, group)"""
    cases = [(1, 1, 5, 1, 1, 1), (3, 8, 9, 3, 2, 1), (3, 17, 11, 7, 2, 1), (16, 33, 7, 1, 1, 1), (24, 24, 9, 3, 1, 24), (33, 33, 8, 5, 2, 33),
             (17, 17, 7, 3, 1, 17), (32, 48, 7, 3, 1, 1), (20, 40, 6, 3, 1, 4), (8, 16, 13, 3, 1, 2), (65, 15, 4, 1, 2, 1), (48, 49, 3, 1, 1, 1)]
    g = Graph(3)
    for cin, cout, side, k, stride, group in cases:
        x = g.node('Relu', g.node('Slice', 'x', *slices(g, 1, cin, side, side)))
        x = g.conv(x, cin, cout, k, stride, group)
        g.node('Neg', g.node('Relu', g.conv(x, cout, 9)))
    return g.save(path, {'x': [1, 65, 13, 13]}, leaves(g))


def bytes_of(g, *shape, dtype=np.int8):
    info = np.iinfo(dtype)
    return g.const(g.rng.integers(info.min, info.max, shape, endpoint=True).astype(dtype))


def matmul_i8(path):
    g = Graph(4)
    for k, (m, n, s) in enumerate(triples()[::2]):
        x = g.node('Slice', 'x', *slices(g, m, s))
        zero = g.const(np.uint8(131))
        x = g.node('QuantizeLinear', x, g.const(np.float32(0.02)), zero)
        if k % 3 == 0:
            g.node('MatMulInteger', x, bytes_of(g, s, n), zero)
        else:
            scales = g.rng.uniform(0.001, 0.01, n).astype(np.float32)
            g.node('QLinearMatMul', x, g.const(np.float32(0.02)), zero, bytes_of(g, s, n), g.const(scales), g.const(np.zeros(n, np.int8)),
                   g.const(np.float32(0.03)), g.const(np.uint8(120)))
    return g.save(path, {'x': [max(ROWS), max(STEPS)]}, leaves(g))


# (heads, rows, keys, depth of a head)
HEADS = [(2, 13, 48, 64), (3, 16, 33, 32), (1, 9, 64, 16), (2, 17, 40, 24), (2, 12, 31, 20), (1, 15, 49, 36)]


def attention_i8(path):
    """Queries against keys and weights against values, made of rows of all heads: operands that are packed when they are there."""
    g, zero = Graph(10), {}
    for dtype in (np.uint8, np.int8):
        zero[dtype] = g.const(dtype(np.iinfo(dtype).max // 2))
    for heads, rows, keys, depth in HEADS:
        def split(n, dtype, perm):
            x = g.node('QuantizeLinear', g.node('Slice', 'x', *slices(g, n, heads * depth)), g.const(np.float32(0.03)), zero[dtype])
            return g.node('Transpose', g.node('Reshape', x, g.const(np.array([n, heads, depth], np.int64))), perm=perm)
        scores = g.node('MatMulInteger', split(rows, np.uint8, [1, 0, 2]), split(keys, np.int8, [1, 2, 0]), zero[np.uint8], zero[np.int8])
        weights = g.node('QuantizeLinear', g.node('Mul', g.node('Cast', scores, to=TensorProto.FLOAT), g.const(np.float32(0.01))), g.const(np.float32(0.5)), zero[np.uint8])
        g.node('MatMulInteger', weights, split(keys, np.int8, [1, 0, 2]), zero[np.uint8], zero[np.int8])
    return g.save(path, {'x': [64, 128]}, leaves(g))


def conv_i8(path):
    cases = [(3, 8, 9, 3, 2, 1), (16, 33, 7, 1, 1, 1), (24, 24, 9, 3, 1, 24), (17, 17, 7, 5, 2, 17), (32, 48, 7, 3, 1, 1), (20, 40, 6, 3, 1, 4), (64, 64, 5, 3, 1, 1),
             (64, 1, 5, 3, 1, 1), (48, 1, 7, 1, 1, 1), (16, 1, 9, 3, 2, 1), (12, 1, 6, 3, 1, 1)]
    g = Graph(5)
    for dtype, zero in ((np.int8, -7), (np.uint8, 128)):
        for cin, cout, side, k, stride, group in cases:
            z = g.const(dtype(zero))
            x = g.node('QuantizeLinear', g.node('Slice', 'x', *slices(g, 1, cin, side, side)), g.const(np.float32(0.02)), z)
            scales = g.const(g.rng.uniform(0.0005, 0.005, cout).astype(np.float32))
            x = g.node('QLinearConv', x, g.const(np.float32(0.02)), z, bytes_of(g, cout, cin // group, k, k), scales, g.const(np.zeros(cout, np.int8)),
                       g.const(np.float32(0.04)), z, g.const(g.rng.integers(-2000, 2000, cout).astype(np.int32)),
                       pads=[k // 2] * 4, strides=[stride] * 2, group=group)
            y = g.node('DequantizeLinear', x, g.const(np.float32(0.04)), z)
            if cout in (33, 40, 48): # means at borders, of both forms; bytes moved in pieces of a few channels
                mean = g.node('AveragePool', y, kernel_shape=[3, 3], pads=[1] * 4)
                g.node('QuantizeLinear', mean, g.const(np.float32(0.05 if cout == 40 else 0.04)), z)
                g.node('SpaceToDepth', g.node('Slice', x, *slices(g, 1, cout, 4, 2)), blocksize=2)
    return g.save(path, {'x': [1, 64, 9, 9]}, leaves(g))


# 3x3 that are made of fewer products where those are faster: (channels in, out, images, height, width, borders, weights and values at their largest, stride)
FILTERED = [(16, 16, 1, 8, 8, [1, 1, 1, 1], False, 1), (16, 40, 2, 9, 7, [1, 1, 1, 1], False, 1), (32, 17, 1, 13, 6, [0, 0, 0, 0], False, 1), (64, 64, 1, 28, 28, [1, 1, 1, 1], False, 1),
            (18, 24, 3, 6, 5, [2, 0, 1, 3], True, 1), (112, 16, 1, 9, 9, [1, 1, 1, 1], True, 1), (128, 16, 1, 8, 9, [1, 1, 1, 1], True, 1), (48, 40, 1, 28, 27, [1, 1, 1, 1], False, 2),
            (32, 48, 2, 12, 18, [0, 0, 1, 1], False, 2), (64, 64, 1, 40, 39, [1, 1, 1, 1], True, 2)]


def filtered_i8(path):
    """Bytes of both signs; sums as large as they get, too large for that form from 116 channels on; beside another product."""
    g = Graph(16)
    for k, (cin, cout, images, h, w, pads, largest, stride) in enumerate(FILTERED):
        dtype, zero = ((np.int8, -7), (np.uint8, 128), (np.uint8, 0))[k % 3]
        z, unit = g.const(dtype(zero)), g.const(np.float32(0.02))
        x = g.node('QuantizeLinear', g.node('Slice', 'x', *slices(g, images, cin, h, w)), g.const(np.float32(0.002 if largest else 0.02)), z)
        weights = g.const(np.full((cout, cin, 3, 3), 127, np.int8) - np.eye(cout, cin, dtype=np.int8)[:, :, None, None]) if largest else bytes_of(g, cout, cin, 3, 3)

        def conv(weights, pads):
            scales = g.const(g.rng.uniform(0.0005, 0.005, cout).astype(np.float32))
            return g.node('QLinearConv', x, unit, z, weights, scales, g.const(np.zeros(cout, np.int8)), g.const(np.float32(2 if largest else 0.04)), z,
                          g.const(g.rng.integers(-2000, 2000, cout).astype(np.int32)), pads=pads, strides=[stride] * 2)
        y = conv(weights, pads)
        if k < 2:
            sides = [g.node('DequantizeLinear', v, unit, z) for v in (y, conv(bytes_of(g, cout, cin, 1, 1), [0] * 4))]
            g.node('QuantizeLinear', g.node('Relu', g.node('Add', *sides)), g.const(np.float32(0.03)), z)
        if k % 3 == 2:
            g.node('ConvInteger', x, weights, z, pads=pads, strides=[stride] * 2)
    g.node('MatMul', g.node('Slice', 'y', *slices(g, 4, 768)), g.normal(768, 1024)) # of few constants a model has no such forms
    return g.save(path, {'x': [3, 128, 40, 40], 'y': [4, 768]}, leaves(g))


# What clips bound, behind 1x1 and 3x3: (channels in, of the clip, rows, columns, window, stride, borders, top of the clip, factor of what is clipped: when it is large of the bias alone). Pairs
# of columns are made where their number is even and the top says how large values get.
CLIPPED = [(8, 16, 6, 8, 3, 1, [1, 1, 1, 1], 6, 2), (16, 40, 9, 28, 3, 2, [1, 1, 1, 1], 6, 2), (24, 33, 5, 14, 5, 1, [2, 2, 2, 2], 1, 1), (20, 17, 8, 16, 5, 2, [1, 2, 2, 1], 6, 2),
           (8, 8, 7, 7, 3, 1, [1, 1, 1, 1], 6, 2), (8, 64, 4, 30, 3, 1, [0, 0, 0, 0], 6, 1e12), (16, 48, 6, 12, 3, 2, [0, 0, 1, 1], 24, 10), (8, 16, 6, 10, 2, 1, [0, 1, 0, 1], 6, 2),
           (16, 96, 112, 112, 3, 2, [1, 1, 1, 1], 6, 2), (24, 144, 56, 56, 3, 1, [1, 1, 1, 1], 6, 2), (12, 24, 6, 8, 3, 1, [1, 1, 1, 1], 1e5, 2)]


def clipped_f32(path):
    """In one product after the other, as in inverted residuals, with and without what is added (of one sum it decides alone) and clipped again, and read by others too."""
    g = Graph(18)
    for k, (cin, c, h, w, size, stride, pads, top, factor) in enumerate(CLIPPED):
        least, most = g.const(np.float32(0)), g.const(np.float32(top))
        bias = [g.const((g.rng.standard_normal(c) * factor).astype(np.float32))] * (k != 2)
        x, side = g.node('Relu', g.node('Slice', 'x', *slices(g, 1 + k % 2, cin, h, w))), 3 if k in (0, 3) else 1
        x = g.node('Conv', x, g.const((g.rng.standard_normal((c, cin, side, side)) * min(factor, 100) / side).astype(np.float32)), *bias, pads=[side // 2] * 4)
        x = g.node('Clip', x, least, most)
        added = [g.const((g.rng.standard_normal(c) * (1e4 if k == 1 else 1)).astype(np.float32))] * (k % 3 > 0)
        y = g.node('Conv', x, g.normal(c, 1, size, size), *added, pads=pads, strides=[stride] * 2, group=c)
        y = g.node('Clip', y, least, most) if k % 4 else y
        g.node('Neg', g.conv(y, c, 24, 5 if k == 3 else 1) if k % 2 else y)
        g.node('Neg', x if k == 7 else y) if k in (5, 7) else None
    x = g.node('Clip', g.conv(g.node('Relu', g.node('Slice', 'x', *slices(g, 1, 8, 6, 8))), 8, 32), least, most)
    x = g.node('Slice', x, *(g.const(np.array([v], np.int64)) for v in (8, 24, 1))) # channels that do not begin where the clip's do
    g.node('Neg', g.node('Clip', g.conv(x, 16, 16, 3, group=16), least, most))
    return g.save(path, {'x': [2, 24, 112, 112]}, leaves(g))


# Small pictures, whose rows and columns are one where tiles of so many rows leave fewer over: (channels in and out, height, width).
PIXELS = [(64, 160, 7, 7), (31, 33, 7, 7), (48, 40, 5, 7), (96, 24, 3, 5), (64, 64, 7, 2), (40, 320, 4, 4), (20, 17, 2, 3), (70, 48, 7, 6)]


def pixels_f32(path):
    """1x1 convolutions of one another, with maps behind them, what is added, of one to more images, and readers of other kinds."""
    g = Graph(23)
    for k, (cin, cout, h, w) in enumerate(PIXELS):
        x = g.node('Relu', g.node('Slice', 'x', *slices(g, 1 + k % 2, cin, h, w)))
        y = g.conv(x, cin, cout)
        y = g.node('Mul', y, g.node('Sigmoid', y)) if k % 3 else y
        z = g.node('Add', g.conv(y, cout, cin), x)
        z = g.node('Relu', z) if k % 2 else z
        g.node('Neg', g.conv(z, cin, cout, 3 if k % 4 == 3 else 1))
        g.node('GlobalAveragePool', g.conv(z, cin, cout))
        g.node('Neg', g.node('Add', g.conv(z, cin, cout), g.normal(2, cout, 1, 1))) if k % 2 == 0 else None
    return g.save(path, {'x': [2, 96, 7, 7]}, leaves(g))


def filtered_f32(path):
    """In strips of a picture, whose last tiles are cut or not, and of batches; what follows element for element is made there."""
    g = Graph(17)
    for cin, cout, images, h, w, stride in [(16, 16, 1, 64, 60, 1), (20, 24, 1, 47, 58, 1), (16, 16, 2, 40, 36, 1), (48, 64, 1, 64, 60, 2), (40, 32, 1, 47, 58, 2), (48, 40, 2, 20, 36, 2)]:
        y = g.conv(g.node('Relu', g.node('Slice', 'x', *slices(g, images, cin, h, w))), cin, cout, 3, stride)
        g.node('Mul', y, g.node('Sigmoid', y))
        part = g.node('Slice', y, *(g.const(np.array([v], np.int64)) for v in (cout // 2, cout, 1)))
        g.node('Neg', g.conv(part, cout // 2, cout, 3)) if cout > 24 else None
    return g.save(path, {'x': [2, 48, 64, 60]}, leaves(g))


# Windows of few channels on inputs that have channels last, and floats also first: (channels in and out, height, width, window's two sides, stride). Some
# are made whole, some in bands of rows.
WINDOWS = [(3, 8, 48, 52, 3, 3, 2), (1, 17, 49, 10, 10, 4, 2), (3, 16, 64, 64, 3, 3, 1), (2, 5, 7, 9, 3, 1, 1), (5, 33, 80, 31, 2, 5, 3), (7, 24, 9, 6, 3, 2, 1), (3, 9, 64, 96, 7, 7, 2)]


def borders(kh, kw):
    return [kh // 2, (kw - 1) // 2, (kh - 1) // 2, kw // 2]


def windows_f32(path):
    g = Graph(6)
    for k, (cin, cout, _, _, kh, kw, stride) in enumerate(WINDOWS):
        for x in (g.node('Transpose', f'x{k}', perm=[0, 3, 1, 2]), f'y{k}'):
            g.node('Relu', g.node('Conv', x, g.normal(cout, cin, kh, kw), g.normal(cout), pads=borders(kh, kw), strides=[stride] * 2))
    last = {f'x{k}': [1, h, w, cin] for k, (cin, _, h, w, *_) in enumerate(WINDOWS)}
    first = {f'y{k}': [1, cin, h, w] for k, (cin, _, h, w, *_) in enumerate(WINDOWS)}
    return g.save(path, last | first, leaves(g))


def windows_i8(path):
    g = Graph(7)
    for k, (cin, cout, _, _, kh, kw, stride) in enumerate(WINDOWS):
        z, scales = g.const(np.int8(-7)), g.const(g.rng.uniform(0.0005, 0.005, cout).astype(np.float32))
        x = g.node('Transpose', f'x{k}', perm=[0, 3, 1, 2])
        g.node('QLinearConv', x, g.const(np.float32(0.02)), z, bytes_of(g, cout, cin, kh, kw), scales, g.const(np.zeros(cout, np.int8)),
               g.const(np.float32(0.04)), z, g.const(g.rng.integers(-2000, 2000, cout).astype(np.int32)), pads=borders(kh, kw), strides=[stride] * 2)
    return g.save(path, {f'x{k}': [1, h, w, cin] for k, (cin, _, h, w, *_) in enumerate(WINDOWS)}, leaves(g), TensorProto.INT8)


# (channels of the parts, height, width, axis, window of who else reads the first part; 0: nobody does)
BESIDE = [([8, 16, 5], 18, 20, 1, 3), ([3, 4], 7, 9, 1, 0), ([16, 16], 5, 17, 1, 5), ([17, 1, 30], 14, 14, 1, 1), ([12, 12], 6, 33, 2, 3), ([9, 9, 9], 8, 16, 3, 3),
          ([32, 64], 15, 15, 1, 3)]


def beside_f32(path):
    """Tensors side by side, of which others read some: an input, products with epilogues, poolings, a concatenation in another, one that
    is an output."""
    g = Graph(9)
    for k, (parts, h, w, axis, window) in enumerate(BESIDE):
        made = []
        for q, c in enumerate(parts):
            x = g.node('Relu', g.conv(g.node('Slice', 'x', *slices(g, 1, 7 + k, h, w)), 7 + k, c))
            made.append(g.node('MaxPool', x, kernel_shape=[3, 3], pads=[1] * 4) if q % 3 == 2 else g.node('Sigmoid', x) if q % 3 else x)
        c = parts[0]
        if window:
            y = g.conv(made[0], c, c, window, group=c if k % 2 else 1)
            made.append(g.node('Add', y, made[0]))
        both = g.node('Concat', *made, axis=axis)
        if k % 3 == 0:
            both = g.node('Concat', both, g.node('Slice', 'x', *slices(g, 1, 5, h, w)), axis=1)
        if k % 3 == 1:
            g.node('Neg', g.node('AveragePool', both, kernel_shape=[3, 3], pads=[1] * 4))
        if axis == 1:
            g.node('Relu', g.conv(both, sum(parts) + (c if window else 0) + (5 if k % 3 == 0 else 0), 24, 1 if k % 2 else 3, 1 if k % 2 else 2))
        g.node('Softmax', g.node('GlobalMaxPool', made[-1]), axis=1)
    return g.save(path, {'x': [1, 16, 20, 33]}, leaves(g))


def columns_f32(path):
    """Products of one column, of steps that are whole vectors and not: rows of a matrix, a convolution to one channel."""
    g = Graph(10)
    for k, steps in enumerate([16, 32, 24, 48, 33, 64, 8, 4]):
        y = g.node('MatMul', g.node('Slice', 'x', *slices(g, (1, 7, 33)[k % 3], steps)), g.normal(steps, 1))
        g.node('Sigmoid', g.node('Add', y, g.normal(1))) if k % 2 else None
    for k, (cin, size, stride) in enumerate([(16, 3, 1), (32, 1, 1), (24, 5, 2), (3, 3, 1), (48, 3, 2)]):
        x = g.node('Slice', 'y', *slices(g, 1, cin, 9, 11))
        g.node('Tanh', g.conv(g.node('Relu', g.conv(x, cin, cin)) if k % 2 else x, cin, 1, size, stride))
    return g.save(path, {'x': [33, 67], 'y': [1, 48, 9, 11]}, leaves(g))


# (channels in, out, groups, window, stride, border, rows and columns more at the end)
TRANSPOSED = [(8, 17, 1, 3, 2, 1, 1), (16, 16, 1, 5, 2, 2, 1), (12, 9, 1, 5, 3, 0, 0), (8, 8, 8, 3, 2, 1, 1), (16, 8, 2, 7, 2, 3, 1), (5, 33, 1, 3, 2, 0, 0), (8, 16, 1, 2, 3, 0, 1),
              (8, 17, 1, 8, 4, 2, 0), (16, 1, 1, 10, 5, 2, 1), (8, 16, 1, 5, 4, 0, 0), (16, 8, 2, 8, 4, 2, 0), (6, 33, 1, 16, 8, 4, 3)]


def behind_f32(path):
    """Windows beyond views and beyond constants: tokens that have become a picture, a flat input, transposed convolutions whose window is no
    multiple of the stride; choices between what is loaded, and functions."""
    g = Graph(12)
    for k, (c, h, w) in enumerate([(16, 7, 9), (5, 12, 12), (33, 6, 5)]):
        x = g.node('Slice', 'x', *slices(g, 1, h * w, c))
        x = g.node('Reshape', g.node('Transpose', g.node('Relu', x) if k % 2 else x, perm=[0, 2, 1]), g.const(np.array([1, c, h, w], np.int64)))
        g.node('Relu', g.conv(x, c, c, 3, group=c))
        g.conv(x, c, 17, 3, 2)
        g.node('MaxPool', x, kernel_shape=[3, 3], pads=[1] * 4)
        g.node('PRelu', g.conv(x, c, 16), g.normal(16, 1, 1))
    for k, table in enumerate([g.normal(7), g.const(np.arange(256, dtype=np.int8)), g.const(np.arange(9, 0, -1, dtype=np.int64))]): # looked up at what a product is
        x = g.node('Clip', g.conv(g.node('Slice', 'z', *slices(g, 1, 16, 7, 6)), 16, 24), g.const(np.float32(0)), g.const(np.float32(6)))
        g.node('Cast', g.node('Gather', table, g.node('Cast', x, to=TensorProto.INT64)), to=TensorProto.FLOAT)
    x = g.node('Reshape', g.node('Relu', 'y'), g.const(np.array([1, 1, 24, 24], np.int64)))
    g.conv(x, 1, 16, 5, 2)
    g.conv(x, 1, 3, 3)
    for k, (cin, cout, group, size, stride, border, more) in enumerate(TRANSPOSED):
        y = g.node('Slice', 'z', *slices(g, 1, cin, 7, 6))
        y = g.node('ConvTranspose', y, g.normal(cin, cout // group, size, size), g.normal(cout), group=group, strides=[stride] * 2, pads=[border] * 4, output_padding=[more] * 2)
        g.node('Mul', y, g.node('Tanh', g.node('Softplus', y))) if k % 2 else g.node('PRelu', y, g.normal(cout, 1, 1))
    return g.save(path, {'x': [1, 144, 33], 'y': [1, 576], 'z': [1, 16, 7, 6]}, leaves(g))


def groups_f32(path):
    """Normalisation over groups of channels, as a Reshape and an InstanceNormalization, of pictures from products and from inputs."""
    g = Graph(14)
    for k, (c, groups, h, w) in enumerate([(32, 4, 7, 9), (48, 2, 12, 5), (16, 16, 6, 6), (24, 1, 5, 5), (10, 5, 8, 3)]):
        x = g.node('Slice', 'x', *slices(g, 1, c, h, w))
        x = x if k == 4 else g.node('Relu', g.conv(x, c, c))
        if k % 2:
            byte = [g.const(np.float32(0.03)), g.const(np.uint8(70 * (k // 2)))]
            x = g.node('DequantizeLinear', g.node('QuantizeLinear', x, *byte), *byte)
        y = g.node('InstanceNormalization', g.node('Reshape', x, g.const(np.array([0, groups, -1], np.int64))), g.normal(groups), g.normal(groups))
        y = g.node('Reshape', y, g.const(np.array([1, c, h, w], np.int64)))
        g.conv(g.node('Add', g.node('Mul', y, g.normal(c, 1, 1)), g.normal(c, 1, 1)) if k < 3 else y, c, 8)
        g.node('ReduceMean', g.node('Reshape', x, g.const(np.array([1, groups, -1], np.int64))), g.const(np.array([2], np.int64)))
        g.node('Mul', x, g.node('GlobalMaxPool', x))
        other = g.node('Tanh', g.conv(x, c, c)) # a sum of two pictures, in each group
        g.node('MatMul', *[g.node('Reshape', p, g.const(np.array(shape, np.int64))) for p, shape in ((x, [groups, 1, -1]), (other, [groups, -1, 1]))])
    return g.save(path, {'x': [1, 48, 12, 9]}, leaves(g))


def turned_f32(path):
    """What is computed on the way from channels first to channels last and back, of floats and of bytes."""
    g = Graph(15)
    for k, (c, h, w) in enumerate([(48, 18, 21), (24, 5, 16), (33, 7, 8), (16, 16, 4), (64, 3, 3)]):
        x = g.node('Slice', 'x', *slices(g, 1, c, h, w))
        for order in ([0, 2, 3, 1], [0, 3, 1, 2]):
            g.node('Tanh', g.node('Transpose', g.node('Add', g.node('Mul', x, g.normal(c, 1, 1)), g.normal(w)), perm=order))
            for byte in (np.uint8(120), np.int8(-3)):
                bytes_ = g.node('QuantizeLinear', g.node('Transpose', x, perm=order), g.const(np.float32(0.02)), g.const(byte))
                g.node('Identity', bytes_)
                g.node('DequantizeLinear', g.node('Transpose', bytes_, perm=order), g.const(np.float32(0.02)), g.const(byte))
        g.node('Where', g.node('Less', g.node('Transpose', x, perm=[0, 2, 3, 1]), g.const(np.float32(0))), g.normal(c), g.node('Transpose', x, perm=[0, 2, 3, 1]))
    return g.save(path, {'x': [1, 64, 18, 21]}, leaves(g))


def behind_i8(path):
    """The flat input of a keyword spotter."""
    g = Graph(13)
    z = g.const(np.int8(-7))
    for k, (cout, kh, kw, stride) in enumerate([(64, 10, 4, 2), (8, 3, 3, 1)]):
        x = g.node('Reshape', g.node('Relu', 'x') if k else 'x', g.const(np.array([1, 1, 49, 10], np.int64)))
        g.node('QLinearConv', x, g.const(np.float32(0.02)), z, bytes_of(g, cout, 1, kh, kw), g.const(g.rng.uniform(0.0005, 0.005, cout).astype(np.float32)),
               g.const(np.zeros(cout, np.int8)), g.const(np.float32(0.04)), z, g.const(g.rng.integers(-2000, 2000, cout).astype(np.int32)), pads=borders(kh, kw), strides=[stride] * 2)
    return g.save(path, {'x': [1, 490]}, leaves(g), TensorProto.INT8)


# What a dense product of bytes makes for a window: (channels in, of the window, rows, columns, window, stride, borders). Pairs of columns are made
# where their number is even.
TAPS = [(8, 16, 6, 8, 3, 1, [1, 1, 1, 1]), (16, 40, 9, 28, 3, 2, [1, 1, 1, 1]), (24, 33, 5, 14, 5, 1, [2, 2, 2, 2]), (20, 17, 8, 16, 5, 2, [1, 2, 2, 1]), (8, 8, 7, 7, 3, 1, [1, 1, 1, 1]),
        (8, 64, 4, 30, 3, 1, [0, 0, 0, 0]), (16, 96, 28, 28, 3, 2, [1, 1, 1, 1]), (72, 144, 14, 14, 3, 1, [1, 1, 1, 1]), (8, 16, 6, 10, 2, 1, [0, 1, 0, 1])]


def taps_i8(path):
    """Of both signs, of one channel's scale and of all; read by a dense product, as they are, and by others too."""
    g = Graph(19)
    for k, (cin, c, h, w, size, stride, pads) in enumerate(TAPS):
        z = g.const((np.uint8(0), np.int8(-7), np.uint8(131))[k % 3])
        unit = g.const(np.float32(0.02))

        def conv(x, cout, cin, size, **attributes):
            scales = g.const(g.rng.uniform(0.0005, 0.005, cout).astype(np.float32))
            return g.node('QLinearConv', x, unit, z, bytes_of(g, cout, cin, size, size), scales, g.const(np.zeros(cout, np.int8)), g.const(np.float32(0.04)), z,
                          g.const(g.rng.integers(-2000, 2000, cout).astype(np.int32)), **attributes)
        x = conv(g.node('QuantizeLinear', g.node('Slice', 'x', *slices(g, 1 + k % 2, cin, h, w)), unit, z), c, cin, 1)
        y = conv(x, c, 1, size, pads=pads, strides=[stride] * 2, group=c)
        conv(y, 24, c, 1) if k % 4 else None
        g.node('MaxPool', x, kernel_shape=[2, 2]) if k == 5 else None
    g.node('MatMul', g.node('Slice', 'y', *slices(g, 4, 768)), g.normal(768, 1024)) # of few constants a model keeps bytes
    return g.save(path, {'x': [2, 72, 28, 30], 'y': [4, 768]}, leaves(g))


def partial_i8(path):
    """Channels that leave part of a vector, of odd numbers of points whose whole vectors are stored in 16 bits, two points together."""
    g = Graph(24)
    unit, z, zw = g.const(np.float32(0.02)), g.const(np.uint8(3)), g.const(np.int8(0))
    for cout, h, w in ((12, 9, 5), (12, 14, 14), (20, 13, 11), (28, 7, 7)):
        x, cin = g.node('QuantizeLinear', g.node('Slice', 'x', *slices(g, 1, 8, h, w)), unit, z), 8
        for c in (8, cout, 8):
            x, cin = g.node('QLinearConv', x, unit, z, bytes_of(g, c, cin, 3, 3), unit, zw, unit, z, pads=[1] * 4), c
    g.node('MatMul', g.node('Slice', 'y', *slices(g, 4, 768)), g.normal(768, 1024)) # of few constants a model keeps bytes
    return g.save(path, {'x': [1, 8, 14, 14], 'y': [4, 768]}, leaves(g))


MODELS = {'matmul-f32': matmul_f32, 'twins-f32': twins_f32, 'thirds-f32': thirds_f32, 'halves-f32': halves_f32, 'halves-i8': halves_i8, 'lists-i8': lists_i8, 'slim-f32': slim_f32, 'scores-f32': scores_f32, 'conv-f32': conv_f32, 'matmul-i8': matmul_i8, 'attention-i8': attention_i8, 'conv-i8': conv_i8, 'filtered-f32': filtered_f32, 'filtered-i8': filtered_i8, 'windows-f32': windows_f32,
          'windows-i8': windows_i8, 'beside-f32': beside_f32, 'columns-f32': columns_f32, 'behind-f32': behind_f32, 'groups-f32': groups_f32, 'turned-f32': turned_f32, 'behind-i8': behind_i8, 'clipped-f32': clipped_f32, 'pixels-f32': pixels_f32,
          'taps-i8': taps_i8, 'partial-i8': partial_i8}


NARROW = {'twins-f32': 'bf16', 'clipped-f32': 'vnni'}  # with -ffp=bf16, too, where a row has such dots


def emitted(mlcc, model, folder, options):
    built, why = models.build(mlcc, model, folder, PREFIX, options)
    if why:
        raise native.Broken(why)
    return built


def outputs(built, way, level='-O2'):
    net = native.Model(way.load(way.library(built, PREFIX, level)), 0)
    rng = np.random.default_rng(11)
    draw = {TensorProto.FLOAT: lambda shape: rng.standard_normal(shape).astype(np.float32),
            TensorProto.INT8: lambda shape: rng.integers(-128, 127, shape, endpoint=True).astype(np.int8)}
    return net.call([draw[dtype](shape) for dtype, shape in net.inputs])


def differs(k, got, want, narrow):
    """'' when output k is what it should be; narrow: of operands that were rounded to bfloat16."""
    if got.dtype.kind != 'f':
        return '' if (got == want).all() else f'output {k}: {int((got != want).sum())} of {got.size} integers differ'
    bound = (2.0 ** -6 if narrow else 4 * max(STEPS) * UNIT) * max(1.0, float(np.abs(want).max()))
    off = float(np.abs(got - want).max()) if got.size else 0.0
    return '' if off <= bound else f'output {k} {list(got.shape)} is off by {off:.3g}, more than {bound:.3g}'


def check(built, way, want, narrow=False):
    try:
        got = outputs(built, way)
    except native.Broken as broken:
        return str(broken)
    return next((why for k, (a, b) in enumerate(zip(got, want, strict=True)) if (why := differs(k, a, b, narrow))), '')


def check_row(mlcc, model, folder, march, way, want, narrow, seen):
    """'' or what is wrong; seen: {program: the same} of other rows."""
    try:
        built = emitted(mlcc, model, folder / f'{march}{"-bf16" * narrow}', [f'-march={march}', *['-ffp=bf16'] * narrow])
        program = way.cc, narrow, tool.program(way.cc, built.sources, way.flags)
    except (native.Broken, subprocess.CalledProcessError) as broken:
        return str(broken)
    if program not in seen:
        seen[program] = check(built, way, want, narrow)
    return seen[program]


def main():
    build, r = pathlib.Path(sys.argv[1]).resolve(), report.Report()
    for name, make in MODELS.items():
        if not any(name.startswith(only) for only in sys.argv[2:] or ['']):
            continue
        folder = build / 'kernel' / name
        model = make(build / 'kernel' / f'{name}.onnx')
        try:
            want = outputs(emitted(build / 'mlcc', model, folder / 'O0', ['-O0']), machines.here(flags=()), '-O1')
        except native.Broken as broken:
            r.check(f'kernel/{name} -O0', str(broken))
            continue
        seen = {}
        for march, row in machines.rows().items():
            way, why = machines.way(march)
            for narrow in [False, True] if name in NARROW and any(NARROW[name] in feature for feature in row.needs) else [False]:
                label = f'kernel/{name} {march}{" -ffp=bf16" * narrow}'
                if way:
                    r.check(label, check_row(build / 'mlcc', model, folder, march, way, want, narrow, seen))
                else:
                    r.skip(label, why)
    r.finish()


if __name__ == '__main__':
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Modes of float arithmetic: each is named in the report and the banner, and does what it says.

    fp.py BUILD_DIR

strict calls the functions of libm, so that along vectors as along single values every bit is theirs; fast and bf16 take
polynomials, within a few units in the last place.
"""
import ctypes
import json
import pathlib
import re
import sys

import numpy as np
import onnx
from onnx import helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import models, native, report

FUNCTIONS = {'Exp': 'expf', 'Log': 'logf', 'Tanh': 'tanhf', 'Erf': 'erff'}
POLYNOMIAL = re.compile(r'\bV\d+_(EXP|LOG|TANH|ERF|SIGMOID)B?\(')
LANES = 37  # vectors and a tail
ULPS = {'fast': 4, 'bf16': 2**12}  # those that bf16 shortens are within 2^-12
FLAGS = ['-O2', '-march=native']


def float_tensor(name, shape):
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


def save(path, nodes, inputs, outputs, constants=()):
    graph = helper.make_graph(nodes, 'g', inputs, outputs, list(constants))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 21)], ir_version=10), path)
    return path


def function_model(path, op):
    return save(path, [helper.make_node(op, ['x'], ['y'])], [float_tensor('x', [LANES])], [float_tensor('y', [LANES])])


def libm(name, x):
    f = getattr(ctypes.CDLL('libm.so.6'), name)
    f.restype, f.argtypes = ctypes.c_float, [ctypes.c_float]
    return np.array([f(float(v)) for v in x], np.float32)


def exact(op, x):
    """What strict must be to the bit: functions of libm, and what the model makes of them."""
    return np.float32(1) / (np.float32(1) + libm('expf', -x)) if op == 'Sigmoid' else libm(FUNCTIONS[op], x)


def ulps(got, want):
    return float(np.abs((got.astype(np.float64) - want) / np.spacing(np.abs(want))).max())


def mode_fault(built, mode):
    """What the report and the banner say."""
    said = json.loads(built.header.with_suffix('.json').read_text()).get('fp')
    if said != mode:
        return f'the report says {said}'
    return '' if f'-ffp={mode}' in built.sources[0].read_text().partition('*/')[0] else 'the banner does not say so'


def function_fault(mlcc, folder, op, mode):
    folder.mkdir(parents=True, exist_ok=True)
    built, why = models.build(mlcc, function_model(folder / 'f.onnx', op), folder, 'net', [f'-ffp={mode}'])
    why = why or mode_fault(built, mode)
    if why:
        return why
    if (mode == 'strict') == bool(POLYNOMIAL.search(built.sources[0].read_text())):
        return 'a polynomial is called' if mode == 'strict' else 'no polynomial is called'
    x = np.exp(np.random.default_rng(1).uniform(-6, 2, LANES)).astype(np.float32)
    y, want = native.Model(native.load(native.library('cc', built, 'net', FLAGS)), 0).call([x])[0], exact(op, x)
    if mode == 'strict':
        return '' if y.tobytes() == want.tobytes() else f'off by {ulps(y, want):.2g} ulp'
    return '' if ulps(y, want) <= ULPS[mode] else f'off by {ulps(y, want):.2g} ulp'


def results(mlcc, folder, model, x, options, wanted, flags=()):
    """([what -O0 gives, what the options give], ''), or (None, why not). wanted: what the code of the options must hold, and what to say if not."""
    got = []
    for name, chosen in ('plain', ['-O0']), ('net', options):
        (folder / name).mkdir(exist_ok=True)
        built, why = models.build(mlcc, model, folder / name, 'net', chosen)
        if not why and name == 'net' and not re.search(wanted[0], built.sources[0].read_text()):
            why = wanted[1]
        if why:
            return None, why
        got.append(native.Model(native.load(native.library('cc', built, 'net', [*FLAGS, *flags])), 0).call([x])[0])
    return got, ''


def clamp_fault(mlcc, folder):
    """Clamps by a number keep what is none, in vectors as in single values, and the sign of a zero that is not moved."""
    folder.mkdir(parents=True, exist_ok=True)
    nodes = [helper.make_node('Neg', ['x'], ['n']), helper.make_node('Clip', ['n', 'lo', 'hi'], ['y'])]
    constants = [onnx.numpy_helper.from_array(np.array(v, np.float32), name) for name, v in (('lo', 0), ('hi', 6))]
    model = save(folder / 'f.onnx', nodes, [float_tensor('x', [LANES])], [float_tensor('y', [LANES])], constants)
    x = np.resize(np.array([np.nan, -np.nan, 0.0, -0.0, np.inf, -np.inf, -3, 3, -7, 1e-40], np.float32), LANES)
    got, why = results(mlcc, folder, model, x, [], (r'\bV\d+_MAX\(', 'no clamp is in vectors'))
    if why:
        return why
    same = (got[0].view(np.uint32) == got[1].view(np.uint32)) | (np.isnan(got[0]) & np.isnan(got[1]))
    return '' if same.all() else f'{x[~same][0]} gives {got[1][~same][0]}, not {got[0][~same][0]}'


def picture_model(path):
    """A picture that is scaled, so that the border of its convolution is no border of what the model reads, and whose channels
    and columns become one, filled up with zeros."""
    rng = np.random.default_rng(2)
    nodes = [helper.make_node('Mul', ['x', 's'], ['n']), helper.make_node('Conv', ['n', 'w'], ['y'], pads=[3] * 4, strides=[2, 2])]
    constants = [onnx.numpy_helper.from_array(v.astype(np.float32), name) for name, v in
                 (('s', np.array(0.3)), ('w', rng.standard_normal((32, 3, 7, 7)) / 12))]
    return save(path, nodes, [float_tensor('x', [1, 3, 24, 40])], [float_tensor('y', [1, 32, 12, 20])], constants)


def attention_model(path):
    """An odd number of tokens: pairs of them are filled up, in what is stored and in what is packed."""
    nodes = [helper.make_node('Relu', ['x'], ['q']), helper.make_node('Transpose', ['q'], ['k'], perm=[0, 2, 1]), helper.make_node('MatMul', ['q', 'k'], ['s']),
             helper.make_node('Softmax', ['s'], ['p']), helper.make_node('MatMul', ['p', 'q'], ['y'])]
    return save(path, nodes, [float_tensor('x', [3, 37, 48])], [float_tensor('y', [3, 37, 48])])


def bf16_fault(mlcc, folder, make):
    """Products on the matrix unit are near what -O0 makes, which rounds nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    model = make(folder / 'f.onnx')
    shape = [d.dim_value for d in onnx.load(model).graph.input[0].type.tensor_type.shape.dim]
    x = np.random.default_rng(3).uniform(0, 1, shape).astype(np.float32)
    got, why = results(mlcc, folder, model, x, ['-ffp=bf16', '-march=sapphirerapids'], (r'\bAMX_DPBF\(', 'no product is on the matrix unit'), ['-DMLCC_AMX_SOFT'])
    if why:
        return why
    off = np.abs(got[1] - got[0]).max() / np.abs(got[0]).max()
    return '' if 0 < off < 0.01 else f'off by {off:.2g} of the largest'


def mean_fault(mlcc, folder):
    """Means of bytes are quotients of whole numbers, whose ties -ffp=bf16 keeps, too: a reciprocal of 14 misses that of -3563 / 14."""
    folder.mkdir(parents=True, exist_ok=True)
    byte = onnx.TensorProto.UINT8
    nodes = [helper.make_node('Transpose', ['x'], ['t'], perm=[0, 3, 1, 2]), helper.make_node('Cast', ['t'], ['b'], to=byte), helper.make_node('DequantizeLinear', ['b', 's', 'z'], ['d']),
             helper.make_node('AveragePool', ['d'], ['m'], kernel_shape=[2, 7], pads=[0, 3, 0, 3]), helper.make_node('QuantizeLinear', ['m', 's', 'z'], ['q']),
             helper.make_node('Cast', ['q'], ['f'], to=onnx.TensorProto.FLOAT), helper.make_node('Transpose', ['f'], ['y'], perm=[0, 2, 3, 1])]
    constants = [onnx.numpy_helper.from_array(v, name) for name, v in (('s', np.array(0.5, np.float32)), ('z', np.array(255, np.uint8)))]
    model = save(folder / 'f.onnx', nodes, [float_tensor('x', [1, 9, 40, 32])], [float_tensor('y', [1, 8, 40, 32])], constants)
    x = np.random.default_rng(4).integers(0, 2, [1, 9, 40, 32]).astype(np.float32)
    got, why = results(mlcc, folder, model, x, ['-ffp=bf16'], (r'V\d+_IADD\(', 'no mean is in vectors'))
    return why or ('' if (got[0] == got[1]).all() else f'{int((got[0] != got[1]).sum())} of {got[0].size} bytes differ')


def border_fault(mlcc, folder):
    """What lies beside a picture as narrow as a tile is not multiplied, but by -ffp=strict, where an infinite weight makes NaN of it."""
    w = np.random.default_rng(5).standard_normal((32, 1, 3, 3)).astype(np.float32)
    w[3, 0, :, 0] = np.inf
    nodes = [helper.make_node('Relu', ['x'], ['r']), helper.make_node('Conv', ['r', 'w'], ['c'], pads=[1] * 4, group=32), helper.make_node('Tanh', ['c'], ['y'])]
    x = np.random.default_rng(6).uniform(0.5, 1, [1, 32, 6, 5]).astype(np.float32)
    at = {}
    for mode in 'strict', 'fast':
        (folder / mode).mkdir(parents=True, exist_ok=True)
        model = save(folder / 'f.onnx', nodes, [float_tensor('x', x.shape)], [float_tensor('y', x.shape)], [onnx.numpy_helper.from_array(w, 'w')])
        built, why = models.build(mlcc, model, folder / mode, 'net', [f'-ffp={mode}'])
        if why:
            return why
        at[mode] = native.Model(native.load(native.library('cc', built, 'net', FLAGS)), 0).call([x])[0].reshape(x.shape)[0, 3, :, 0]
    if not np.isnan(at['strict']).all():
        return 'strict leaves out what the model multiplies'
    return '' if np.isfinite(at['fast']).all() else 'fast multiplies what lies beside the picture'


def part_fault(mlcc, folder):
    """A sum whose last elements make no whole vector: an infinite factor of all makes an infinity, not what it makes of lanes that are not there."""
    folder.mkdir(parents=True, exist_ok=True)
    nodes = [helper.make_node('Slice', ['x', 'zero', 'one', 'last'], ['s']), helper.make_node('Mul', ['x', 's'], ['m']), helper.make_node('ReduceSum', ['m', 'last'], ['y'], keepdims=0)]
    constants = [onnx.numpy_helper.from_array(np.array([v], np.int64), name) for name, v in (('zero', 0), ('one', 1), ('last', 1))]
    model = save(folder / 'f.onnx', nodes, [float_tensor('x', [3, LANES])], [float_tensor('y', [3])], constants)
    x = np.random.default_rng(7).uniform(1, 2, [3, LANES]).astype(np.float32)
    x[1, 0] = np.inf
    got, why = results(mlcc, folder, model, x, ['-march=native'], (r'V\d+_HSUM\(', 'no sum is in vectors'))
    return why or ('' if np.allclose(got[0], got[1], rtol=1e-5) else f'{got[1]}, not {got[0]}')


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    r = report.Report()
    for mode in ['fast', 'strict', 'bf16']:
        for op in [*FUNCTIONS, 'Sigmoid']:
            r.check(f'fp/{op} {mode}', function_fault(build / 'mlcc', build / 'emit' / 'fp' / f'{op}_{mode}', op, mode))
    r.check('fp/clamp', clamp_fault(build / 'mlcc', build / 'emit' / 'fp' / 'clamp'))
    r.check('fp/border', border_fault(build / 'mlcc', build / 'emit' / 'fp' / 'border'))
    r.check('fp/part', part_fault(build / 'mlcc', build / 'emit' / 'fp' / 'part'))
    r.check('fp/mean', mean_fault(build / 'mlcc', build / 'emit' / 'fp' / 'mean'))
    for make in picture_model, attention_model:
        r.check(f'fp/{make.__name__} bf16', bf16_fault(build / 'mlcc', build / 'emit' / 'fp' / make.__name__, make))
    r.finish()


if __name__ == '__main__':
    main()

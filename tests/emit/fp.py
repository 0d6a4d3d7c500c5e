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


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    r = report.Report()
    for mode in ['fast', 'strict', 'bf16']:
        for op in [*FUNCTIONS, 'Sigmoid']:
            r.check(f'fp/{op} {mode}', function_fault(build / 'mlcc', build / 'emit' / 'fp' / f'{op}_{mode}', op, mode))
    r.finish()


if __name__ == '__main__':
    main()

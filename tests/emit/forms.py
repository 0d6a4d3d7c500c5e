#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Forms of the same network must compute the same: every way to ship the weights, every level, and mlcc's own interpreter; and a
network with a symbolic extent must serve every length up to the bound and refuse what lies beyond.

    forms.py BUILD_DIR
"""
import pathlib
import struct
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import isolate, machines, models, native, report, tool, values

WEIGHTS = ['array', 'string', 'incbin', 'object', 'file', 'auto']
LEVELS = ['-O0', '-O1', '-O2', '-O3', '-Os']
MAX_LENGTH = 9
SECONDS = 60


def pictures():
    records = np.fromfile(tool.ROOT / 'samples' / 'digits' / 'digits_test.bin', np.uint8).reshape(-1, 65)
    return records[:20, 1:].astype(np.float32).reshape(-1, 1, 1, 8, 8)


def build(mlcc, model, folder, args):
    """(shared object, weights array or None); raises native.Broken."""
    built, why = models.build(mlcc, model, folder, 'net', args)
    if why:
        raise native.Broken(why)
    data = sorted(folder.glob('net*.bin'))
    weights = np.fromfile(data[0], np.uint8) if '--weights=file' in args and data else None
    return native.library('cc', built, 'net', ['-O2']), weights


def outputs_of(path, inputs, extra):
    model = native.Model(native.load(path), 0)
    return [model.call([x, *extra]) for x in inputs]


def compare(a, b, rtol):
    for x, y in zip(a, b):
        why = values.difference(x[0], y[0], rtol, 1e-6)
        if why:
            return why
    return ''


def isolated(function):
    """'' or the complaint of function(), called where it may crash."""
    def call(_, __):
        try:
            return 'done', function()
        except native.Broken as e:
            return 'done', str(e)
    status, detail = isolate.each([0], call, SECONDS)[0]
    return detail if status == 'done' else f'{status}: {detail}'


def form_fault(mlcc, model, folder, plain, args, rtol):
    """Compares one form with the default one."""
    other, weights = build(mlcc, model, folder / args[0].strip('-').replace('=', '_'), args)
    return compare(outputs_of(other, pictures(), [] if weights is None else [weights]), outputs_of(plain, pictures(), []), rtol)


def interpreter_fault(mlcc, model, folder, plain):
    """mlcc run against the emitted code, on one picture."""
    picture = pictures()[0]
    np.save(folder / 'x.npy', picture)
    rc, out, err = tool.run([mlcc, 'run', model, '--input', f'x={folder}/x.npy', '--output-dir', folder / 'run'], SECONDS)
    if rc:
        return f'mlcc run: status {rc}: {(out + err).strip()[:200]}'
    return compare([[np.load(folder / 'run' / 'probs.npy')]], outputs_of(plain, [picture], []), 1e-4)


def symbolic_model(path):
    """softmax(x @ w) over x[seq,4], for any seq."""
    w = np.random.default_rng(3).standard_normal((4, 5)).astype(np.float32)
    x = helper.make_tensor_value_info('x', onnx.TensorProto.FLOAT, ['seq', 4])
    y = helper.make_tensor_value_info('y', onnx.TensorProto.FLOAT, ['seq', 5])
    nodes = [helper.make_node('MatMul', ['x', 'w'], ['z']), helper.make_node('Softmax', ['z'], ['y'], axis=0)]
    graph = helper.make_graph(nodes, 'symbolic', [x], [y], [numpy_helper.from_array(w, 'w')])
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8), path)
    return w


def symbolic_fault(mlcc, folder):
    w = symbolic_model(folder / 'symbolic.onnx')
    path, _ = build(mlcc, folder / 'symbolic.onnx', folder, ['--max', f'seq={MAX_LENGTH}'])
    model = native.Model(native.load(path), 0)
    for length in range(1, MAX_LENGTH + 1):
        x = np.random.default_rng(length).standard_normal((length, 4)).astype(np.float32)
        e = np.exp(x @ w - (x @ w).max(0))
        why = values.difference(model.call([x])[0], e / e.sum(0), 1e-4, 1e-6)
        if why:
            return f'length {length}: {why}'
    try:
        model.call([np.zeros((MAX_LENGTH + 1, 4), np.float32)])
    except native.Broken as e:
        return '' if 'status 2' in str(e) else f'beyond the bound: {e}'
    return 'takes an input beyond the bound'


def special_fault(mlcc, folder):
    """Numbers that have no digits, in an array of the code."""
    w = np.array([[1, np.inf, -np.inf], [np.nan, -0.0, 1e-40]], np.float32)
    x, y = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2, 3]) for name in 'xy')
    graph = helper.make_graph([helper.make_node('Mul', ['x', 'w'], ['y'])], 'special', [x], [y], [numpy_helper.from_array(w, 'w')])
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8), folder / 'special.onnx')
    path, _ = build(mlcc, folder / 'special.onnx', folder, ['--weights=array', '--target=scalar'])
    return values.difference(native.Model(native.load(path), 0).call([np.ones((2, 3), np.float32)])[0], w, 0, 0)


def decided_fault(mlcc, folder, args):
    """A length that data decides, up to the bound that mlcc assumed, and not a number beyond it."""
    scalar = lambda name: helper.make_tensor_value_info(name, onnx.TensorProto.INT64, [])
    graph = helper.make_graph([helper.make_node('Range', ['a', 'b', 'c'], ['y'])], 'decided', [scalar(n) for n in 'abc'],
                              [helper.make_tensor_value_info('y', onnx.TensorProto.INT64, ['n'])])
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8), folder / 'decided.onnx')
    path, _ = build(mlcc, folder / 'decided.onnx', folder, args)
    model = native.Model(native.load(path), 0)
    call = lambda n: model.call([np.array(v, np.int64) for v in (7, 7 + 2 * n, 2)])[0]
    wrong = [n for n in (0, 1, 5, 1024) if call(n).tolist() != list(range(7, 7 + 2 * n, 2))]
    if wrong:
        return f'wrong values for lengths {wrong}'
    for n in (1025, 1 << 40):
        try:
            call(n)
        except native.Broken as e:
            if 'status 2' in str(e):
                continue
        return f'takes a length of {n}'
    return ''


def pinned_fault(mlcc, folder):
    symbolic_model(folder / 'symbolic.onnx')
    path, _ = build(mlcc, folder / 'symbolic.onnx', folder, ['-D', 'seq=3'])
    shape = native.Model(native.load(path), 0).outputs[0][1]
    return '' if shape == [3, 5] else f'output has shape {shape}, expected [3, 5]'


def object_fault(mlcc, model, folder, row, way):
    """An object is for the target, whatever mlcc itself runs on."""
    want = outputs_of(build(mlcc, model, folder / 'here', [])[0], pictures(), [])
    built, why = models.build(mlcc, model, folder / row, 'net', ['--weights=object', f'-march={row}'])
    if why:
        return why
    net = native.Model(way.load(way.library(built, 'net')), 0)
    return compare([net.call([x]) for x in pictures()], want, 1e-4)


def segment_alignment(path):
    """The largest of a 64-bit ELF file (System V ABI, program header)."""
    image = path.read_bytes()
    at, = struct.unpack_from('<Q', image, 32)
    size, count = struct.unpack_from('<HH', image, 54)
    heads = [struct.unpack_from('<II6Q', image, at + k * size) for k in range(count)]
    return max(h[7] for h in heads if h[0] == 1)


def page_fault(mlcc, folder, args):
    """Many weights begin a page of 2 MB, few do not."""
    for rows, want in [(5500, True), (500, False)]:  # of 24 bits, 68 MB
        graph = helper.make_graph([helper.make_node('MatMul', ['x', 'w'], ['y'])], 'large', [helper.make_tensor_value_info('x', onnx.TensorProto.FLOAT, [1, rows])],
                                  [helper.make_tensor_value_info('y', onnx.TensorProto.FLOAT, [1, 4096])],
                                  [numpy_helper.from_array(np.random.default_rng(1).standard_normal((rows, 4096), np.float32), 'w')])
        model = folder / f'large{rows}.onnx'
        folder.mkdir(parents=True, exist_ok=True)
        onnx.save(helper.make_model(graph), model)
        path, _ = build(mlcc, model, folder / f'{rows}', args)
        found = segment_alignment(pathlib.Path(path))
        model.unlink()
        if (found >= 2 << 20) != want:
            return f'{rows} rows of weights: segments are aligned to {found}'
    return ''


def main():
    build_dir = pathlib.Path(sys.argv[1]).resolve()
    mlcc, top = build_dir / 'mlcc', build_dir / 'emit' / 'forms'
    r = report.Report()
    for name, model in models.samples().items():
        plain, _ = build(mlcc, model, top / name / 'plain', [])
        for args, rtol in [(f'--weights={w}', 0) for w in WEIGHTS] + [(level, 1e-4) for level in LEVELS]:
            r.check(f'forms/{name} {args}', isolated(lambda: form_fault(mlcc, model, top / name, plain, [args], rtol)))
        r.check(f'forms/{name} interpreter', isolated(lambda: interpreter_fault(mlcc, model, top / name, plain)))
    for row in machines.emulated():
        way, why = machines.way(row)
        if way:
            r.check(f'forms/object {row}', isolated(lambda: object_fault(mlcc, models.samples()['digits'], top / 'object', row, way)))
        else:
            r.skip(f'forms/object {row}', why)
    r.check('forms/symbolic', isolated(lambda: symbolic_fault(mlcc, top / 'symbolic')))
    r.check('forms/special', isolated(lambda: special_fault(mlcc, top / 'special')))
    for args in ([], ['-O0'], ['--threads=2']):
        r.check(f'forms/decided by data {args}', isolated(lambda args=args: decided_fault(mlcc, top / 'decided', args)))
    for way in ['incbin', 'object']:
        r.check(f'forms/pages {way}', isolated(lambda way=way: page_fault(mlcc, top / 'pages' / way, [f'--weights={way}'])))
    r.check('forms/pinned', isolated(lambda: pinned_fault(mlcc, top / 'pinned')))
    r.finish()


if __name__ == '__main__':
    main()

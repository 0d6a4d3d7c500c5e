#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""-Os: code and constants that gcc -Os makes of a model are never larger than those of -O3, a constant that two products read
is stored once, and the outputs are those of -O3.

    small.py BUILD_DIR
"""
import pathlib
import re
import subprocess
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import machines, models, native, report, tool

SECTION = re.compile(r'^\.(?:text|rodata)\S*\s+(\d+)', re.MULTILINE)
TOLERANCE = {'rtol': 1e-4, 'atol': 1e-5}  # of floats, to the largest value of an output
SHARED = (64, 96)  # of the constant of shared_model


def shared_model(path):
    """Two products of different shapes with one constant."""
    rng = np.random.default_rng(3)
    w = numpy_helper.from_array(rng.standard_normal(SHARED).astype(np.float32), 'w')
    info = helper.make_tensor_value_info
    f32 = onnx.TensorProto.FLOAT
    graph = helper.make_graph([helper.make_node('MatMul', [x, 'w'], [y]) for x, y in (('a', 'c'), ('b', 'd'))], 'g',
                              [info('a', f32, [1, SHARED[0]]), info('b', f32, [40, SHARED[0]])],
                              [info('c', f32, [1, SHARED[1]]), info('d', f32, [40, SHARED[1]])], [w])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 21)], ir_version=10), path)
    return path


def objects(built, march):
    """What gcc -Os makes of the emitted sources; raises Broken."""
    flags = ['-Os', f'-Wa,-I,{built.header.parent}', *([f'-march={march}'] if march.startswith('x86') else [])]
    made = [tool.compile_object('gcc', source, flags) for source in built.sources]
    for obj, why in made:
        if obj is None:
            raise native.Broken(why)
    return [obj for obj, _ in made]


def size(made):
    """Bytes of instructions and constants of objects."""
    out = subprocess.run(['size', '-A', *made], capture_output=True, text=True, check=True).stdout
    return sum(int(n) for n in SECTION.findall(out))


def outputs(folder, made):
    path, why = native.link('gcc', folder, 'lib', {'net': made})
    if path is None:
        raise native.Broken(why)
    model = native.Model(native.load(path), 0)
    rng = np.random.default_rng(7)
    inputs = [(rng.standard_normal(shape) * (1 if dtype == 1 else 40)).astype({1: np.float32, 2: np.uint8, 3: np.int8}[dtype])
              for dtype, shape in model.inputs]
    return model.call(inputs, native.POISONS[:1])


def same(a, b):
    if a.dtype != np.float32:
        return (a == b).all()
    return np.allclose(a, b, rtol=TOLERANCE['rtol'], atol=TOLERANCE['atol'] * max(1, np.abs(a).max()))


def fault(mlcc, model, folder, name, march, runs):
    made = {}
    try:
        for level in ('-O3', '-Os'):
            place = '--target=scalar' if march == 'scalar' else f'-march={march}'
            home = folder / f'{name}-{march}{level}'
            built, why = models.build(mlcc, model, home, 'net', [level, place])
            if why:
                return why
            made[home] = objects(built, march)
        big, small = map(size, made.values())
        if small > big:
            return f'{small} bytes, -O3 has {big}'
        if name == 'shared' and small > 1.5 * 4 * SHARED[0] * SHARED[1]:
            return f'{small} bytes for a constant of {4 * SHARED[0] * SHARED[1]}'
        if runs and not all(same(a, b) for a, b in zip(*(outputs(*each) for each in made.items()), strict=True)):
            return 'the outputs differ from those of -O3'
    except native.Broken as broken:
        return str(broken)
    print(f'{name} {march}: {big} bytes, -Os {small}', flush=True)
    return ''


def main():
    build, r, can = pathlib.Path(sys.argv[1]).resolve(), report.Report(), machines.runnable()
    folder = build / 'emit' / 'small'
    folder.mkdir(parents=True, exist_ok=True)
    all_models = {'shared': shared_model(folder / 'shared.onnx')} | models.networks()
    for name, model in all_models.items():
        for march in ('scalar', *(['x86-64-v3'] if 'x86-64-v3' in can else ['generic'])):
            r.check(f'small/{name} {march}', fault(build / 'mlcc', model, folder, name, march, march == 'scalar' or march in can))
    r.finish()


if __name__ == '__main__':
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A network whose height and width are free multiples of 8: one artefact serves every size up to the bound, in each way to make
it, and returns MLCC_BAD_SHAPE for a size that is none.

    multiple.py BUILD_DIR
"""
import pathlib
import shutil
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import native, report, tool

FREE = ['--max', 'height=64', '--max', 'width=50', '--multiple', 'height=8', '--multiple', 'width=8']
WAYS = {'plain': ['-O0'], 'optimised': [], 'threads': ['--threads=2', '--threads-always'], 'levels': ['-march=x86-64-v2,generic'], 'scalar': ['--target=scalar']}
GOOD = [(8, 8), (64, 48), (16, 40), (56, 8)]
BAD = [(12, 8), (8, 20), (4, 8), (72, 8), (8, 56), (0, 8), (-8, 8)]
BAD_SHAPE = 2
MAIN = r'''
#include <stdio.h>
#include "net.h"
int main(void)
{
    struct net_io io = {.height = 12, .width = 8};
    static unsigned char arena[NET_ARENA_BYTES + 1];
    printf("%d\n", (int)net_run(&io, arena));
    return 0;
}
'''


def network(path):
    """Three convolutions of stride 2, each brought back to the size before by nearest scaling and added, as in a feature pyramid."""
    rng = np.random.default_rng(3)
    nodes, constants, channels = [], [numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), 'twice')], 2
    nodes.append(helper.make_node('Relu', ['x'], ['d0']))
    for k in range(3):
        constants.append(numpy_helper.from_array(rng.standard_normal((channels, channels, 3, 3)).astype(np.float32) / 3, f'w{k}'))
        nodes.append(helper.make_node('Conv', [f'd{k}', f'w{k}'], [f'd{k + 1}'], strides=[2, 2], pads=[1, 1, 1, 1]))
    top = 'd3'
    for k in reversed(range(3)):
        nodes.append(helper.make_node('Resize', [top, '', 'twice'], [f'u{k}'], mode='nearest', coordinate_transformation_mode='asymmetric', nearest_mode='floor'))
        nodes.append(helper.make_node('Add', [f'u{k}', f'd{k}'], [f's{k}']))
        top = f's{k}'
    float_info = lambda name: helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, channels, 'height', 'width'])
    graph = helper.make_graph(nodes, 'g', [float_info('x')], [float_info(top)], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8), path)


def picture(size):
    return np.random.default_rng(5).standard_normal((1, 2, *size)).astype(np.float32)


def refused(model, size):
    """Whether the call says MLCC_BAD_SHAPE."""
    memory = model.lib.memory()
    data = np.zeros(1 << 16, np.float32)
    tensor = lambda shape: native.describe(memory, [(memory.address(memory.put(data)), 1, shape)])[0]
    arena = native.Guarded(memory, model.arena_bytes, 64, 0)
    return model.lib.call(model.number, memory, tensor((1, 2, *size)), tensor((1, 2, 64, 48)), arena.address) == BAD_SHAPE


def fault(mlcc, folder, source, options, want):
    built = tool.compile_model(mlcc, source, folder, 'net', [*FREE, *options])
    if built.rc:
        return f'{built.message} [{built.slug}]'
    model = native.Model(native.load(native.library('cc', built, 'net', ['-O2', *(['-march=native'] if not options else [])])), 0)
    for size in GOOD:
        off = float(np.abs(model.call([picture(size)])[0] - want[size]).max())
        if not off <= 1e-5:
            return f'{size}: off by {off:.3g}'
    taken = [size for size in BAD if not refused(model, size)]
    return f'takes {taken}' if taken else ''


def typed_fault(folder):
    """The typed call of what `fault` has built checks for itself."""
    (folder / 'main.c').write_text(MAIN)
    rc, _, err = tool.run(['cc', '-std=c11', '-o', folder / 'main', folder / 'main.c', *folder.glob('net*.c'), '-lm'], 60)
    return err[:300] if rc else '' if tool.run([folder / 'main'], 10)[1] == '2\n' else 'takes a height of 12'


def run_fault(mlcc, folder, source):
    """mlcc run says what it wants."""
    np.save(folder / 'x.npy', picture((12, 8)))
    rc, _, err = tool.run([mlcc, 'run', source, *FREE, '--input', f'x={folder / "x.npy"}'], 60)
    return '' if rc == 1 and '[input-shape]' in err and 'multiple of 8 from 8 to 64' in err else f'status {rc}: {err[:200]}'


def help_fault(mlcc, source):
    """Without the option, the refusal names it."""
    rc, _, err = tool.run([mlcc, 'check', source, *FREE[:4]], 60)
    return '' if rc == 1 and "--multiple 'height=8'" in err else f'status {rc}: {err[:300]}'


def main():
    import onnxruntime
    build, r = pathlib.Path(sys.argv[1]).resolve(), report.Report()
    folder = build / 'emit' / 'multiple'
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source = folder / 'net.onnx'
    network(source)
    session = onnxruntime.InferenceSession(str(source), providers=['CPUExecutionProvider'])
    want = {size: session.run(None, {'x': picture(size)})[0] for size in GOOD}
    for name, options in WAYS.items():
        try:
            r.check(f'multiple/{name}', fault(build / 'mlcc', folder / name, source, options, want))
        except native.Broken as e:
            r.check(f'multiple/{name}', str(e))
    r.check('multiple/typed', typed_fault(folder / 'scalar'))
    r.check('multiple/run', run_fault(build / 'mlcc', folder, source))
    r.check('multiple/help', help_fault(build / 'mlcc', source))
    r.finish()


if __name__ == '__main__':
    main()

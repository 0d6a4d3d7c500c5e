#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long mlcc takes and how much memory, in processor time and at its peak: small networks and one of the size of ResNet-50 with
all its weights; and how long gcc takes for what it emitted.

Times are in yards. A yard is what this machine takes at that moment for a known piece of work of the same kind (yard.py: bytes read,
put as text and written), measured by turns with what is judged: other processes and other machines change both. Both are the least of
some rounds, of more where they are over a limit: the kernel takes 0.3 to 1.9 s for one and the same 400 MB, as it finds pages.

    speed.py BUILD_DIR
"""
import os
import pathlib
import subprocess
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import report

LIGHT = pathlib.Path(onnx.__file__).parent / 'backend' / 'test' / 'data' / 'light' / 'light_resnet50.onnx'
YARD = pathlib.Path(__file__).with_name('yard.py')
LIGHT_YARDS, LARGE_YARDS, CC_YARDS, PRINT_YARDS = 2, 8, 50, 8 # LARGE_YARDS: for each machine, whose code and weights are made one after the other
ROUNDS, MOST_ROUNDS = 3, 12
LARGE_MEMORY = 1.5  # times the weights
LARGE_FORMS = {'': [], ' bf16': ['-ffp=bf16', '-march=sapphirerapids'], ' levels': ['-march=x86-64-v3,x86-64-v4'], ' scalar': ['-march=generic'],
               ' string': ['--weights=string'], ' object': ['--weights=object'], ' file': ['--weights=file']}
PRODUCTS, PRODUCT_SIZE = 6, 1536
BLOCKS = [(64, 3), (128, 4), (256, 6), (512, 3)]  # ResNet-50: channels inside a block, and how many blocks


class Net:
    """A residual network of bottleneck blocks, its weights random numbers."""

    def __init__(self):
        self.rng, self.nodes, self.weights, self.bytes = np.random.default_rng(5), [], [], 0

    def weight(self, *shape):
        w = (self.rng.standard_normal(shape, np.float32) * np.float32(0.05))
        self.weights.append(numpy_helper.from_array(w, f'w{len(self.weights)}'))
        self.bytes += w.nbytes
        return self.weights[-1].name

    def node(self, op, inputs, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [f't{len(self.nodes)}'], **attributes))
        return self.nodes[-1].output[0]

    def conv(self, x, cin, cout, size, stride=1):
        return self.node('Conv', [x, self.weight(cout, cin, size, size), self.weight(cout)], pads=[size // 2] * 4, strides=[stride] * 2)

    def block(self, x, cin, c, stride):
        y = self.node('Relu', [self.conv(x, cin, c, 1)])
        y = self.node('Relu', [self.conv(y, c, c, 3, stride)])
        y = self.conv(y, c, 4 * c, 1)
        side = self.conv(x, cin, 4 * c, 1, stride) if cin != 4 * c else x
        return self.node('Relu', [self.node('Add', [y, side])])

    def products(self, path):
        """Weights that the compiler must compute: each a transpose, halved."""
        x, half = 'x', self.weight(1)
        for _ in range(PRODUCTS):
            w = self.node('Mul', [self.node('Transpose', [self.weight(PRODUCT_SIZE, PRODUCT_SIZE)], perm=[1, 0]), half])
            x = self.node('Relu', [self.node('MatMul', [x, w])])
        self.write(path, x, [16, PRODUCT_SIZE], [16, PRODUCT_SIZE])

    def convolutions(self, path):
        x, channels = self.node('Relu', [self.conv('x', 3, 64, 7, 2)]), 64
        x = self.node('MaxPool', [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
        for c, count in BLOCKS:
            for k in range(count):
                x, channels = self.block(x, channels, c, 2 if k == 0 and c > 64 else 1), 4 * c
        x = self.node('Flatten', [self.node('GlobalAveragePool', [x])])
        y = self.node('Gemm', [x, self.weight(channels, 1000), self.weight(1000)])
        self.write(path, y, [1, 3, 224, 224], [1, 1000])

    def write(self, path, y, taken, given):
        info, f32 = helper.make_tensor_value_info, onnx.TensorProto.FLOAT
        graph = helper.make_graph(self.nodes, 'g', [info('x', f32, taken)], [info(y, f32, given)], self.weights)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 21)], ir_version=10), path)


def cost(command):
    """(status, seconds of the processor in user mode and the kernel, bytes of memory at the peak) of a command."""
    p = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    return p.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024


def over(what, found, limit):
    print(f'{what}: {found:.2f}, at most {limit}', flush=True)
    return '' if found <= limit else f'{what}: {found:.2f}, at most {limit}'


class Judge:
    """Costs of commands in yards."""

    def __init__(self, report, model):
        self.report, self.yard = report, [sys.executable, YARD, model, model.with_suffix('.yard')]

    def costs(self, command, yards, rounds, most):
        """(yards, peak of memory in bytes) of a command, None when it fails: of some rounds the least, of `most` at most while it is over so many yards."""
        found, ratio = [], yards
        while len(found) < rounds or (ratio > yards and len(found) < most):
            found.append((cost(self.yard), cost(command)))
            if any(status for status, _, _ in found[-1]):
                return None
            yard, seconds = (min(pair[k][1] for pair in found) for k in range(2))
            ratio = seconds / yard
        print(f'yard {yard:.2f} s, command {seconds:.2f} s, {len(found)} rounds', flush=True)
        return ratio, min(c[2] for _, c in found)

    def compile(self, name, command, yards, memory=None, weights=1):
        found = self.costs(command, yards, ROUNDS, MOST_ROUNDS)
        why = over(f'{name} yards', found[0], yards) if found else 'mlcc fails'
        self.report.check(f'speed/{name}', why or (over(f'{name} memory over weights', found[1] / weights, memory) if memory else ''))

    def cc(self, name, source):
        command = ['gcc', '-std=c11', '-O2', '-march=native', '-c', source, f'-I{source.parent}', '-o', source.with_suffix('.o')]
        found = self.costs(command, CC_YARDS, 1, ROUNDS)
        self.report.check(f'speed/{name} cc', over(f'{name} yards of gcc -O2', found[0], CC_YARDS) if found else 'gcc fails')


def make(kind, path):
    """In a process of its own: a child's peak starts at what its parent holds."""
    net = Net()
    getattr(net, kind)(path)
    print(net.bytes)


def made(kind, path):
    """Bytes of the weights of a network written to path."""
    p = subprocess.run([sys.executable, __file__, '--make', kind, path], capture_output=True, text=True, check=True)
    return int(p.stdout)


def main():
    build, r = pathlib.Path(sys.argv[1]).resolve(), report.Report()
    folder, mlcc = build / 'emit' / 'speed', build / 'mlcc'
    folder.mkdir(parents=True, exist_ok=True)
    large, folded = folder / 'large.onnx', folder / 'folded.onnx'
    weights, judge = made('convolutions', large), Judge(r, large)
    judge.compile('light', [mlcc, LIGHT, '-o', folder / 'light.c'], LIGHT_YARDS)
    judge.cc('light', folder / 'light.c')
    judge.compile('folded', [mlcc, folded, '-o', folder / 'big.c'], LARGE_YARDS, LARGE_MEMORY, made('products', folded))
    for name, args in LARGE_FORMS.items():
        machines = 1 + sum(word.count(',') for word in args)
        judge.compile(f'large{name}', [mlcc, large, '-o', folder / 'big.c', *args], LARGE_YARDS * machines, LARGE_MEMORY, weights)
    judge.cc('large', folder / 'big.c')
    judge.compile('graph', [mlcc, large, '--emit=graph'], PRINT_YARDS)
    for file in [large, large.with_suffix('.yard'), folded, *folder.glob('big*')]:
        file.unlink()
    r.finish()


if __name__ == '__main__':
    make(*sys.argv[2:]) if sys.argv[1] == '--make' else main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every row of compiler/option.def does something: a case runs mlcc with the option and without it, and what it looks for must
be there with the option and not without. A row that no case is for, and a case for no row, are failures.

    options.py BUILD_DIR
"""
import json
import os
import pathlib
import re
import shutil
import sys
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import models, report, tool

ROW = re.compile(r'^OPT\("([^"]+)"', re.MULTILINE)
OUT = ['-o', 'net.c']
CHAIN = 'graph g\nsym N 1..5\ninput %x f32[N,64]\n%i ? = Identity %x\n%s ? = Neg %i\n%y ? = Exp %s\noutput %y\n'


@dataclass
class Result:
    """What one run of mlcc left: its status, what it said, and the text of the files it wrote."""
    rc: int
    out: str
    err: str
    files: dict = field(default_factory=dict)

    def file(self, name):
        return self.files.get(name, '')

    @property
    def report(self):
        return json.loads(self.file('net.json') or '{}')


@dataclass
class Case:
    """mlcc BASE OPTION: `shows` must hold of the result, and must not hold of that of mlcc BASE. Words of the option follow its
    spelling as they are, joined to it where that ends in '='."""
    option: str
    words: list
    base: list
    shows: object

    def command(self):
        joined = self.option.endswith('=')
        return [self.option + self.words[0]] if joined else [self.option, *self.words]


def float_tensor(name, shape):
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


def save(path, nodes, inputs, shape, opset=21):
    graph = helper.make_graph(nodes, 'g', inputs, [float_tensor('y', shape)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', opset)], ir_version=10 if opset > 8 else 3), path)


def write_inputs(folder):
    """The models and values that cases name."""
    (folder / 'chain.nn').write_text(CHAIN)
    (folder / 'fused.txt').write_text('%s root\n')
    (folder / 'noise.onnx').write_bytes(bytes(range(256)) * 8)
    save(folder / 'free.onnx', [helper.make_node('Neg', ['x'], ['y'])], [float_tensor('x', ['A', 4])], ['A', 4])
    to = helper.make_tensor_value_info('to', onnx.TensorProto.INT64, [1])
    save(folder / 'reshape.onnx', [helper.make_node('Reshape', ['x', 'to'], ['y'])], [float_tensor('x', [2, 4]), to], [8])
    np.save(folder / 'to.npy', np.array([8], np.int64))
    np.save(folder / 'x.npy', np.ones((2, 64), np.float32))
    train = helper.make_node('Dropout', ['x'], ['y'], is_test=0)
    save(folder / 'spare.onnx', [helper.make_node('Neg', ['x'], ['y'])], [float_tensor('x', [4]), float_tensor('spare', [4])], [4])
    save(folder / 'train.onnx', [train], [float_tensor('x', [4])], [4], opset=6)


def is_json(text):
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def warned(slug):
    return lambda r: r.rc == 0 and re.search(rf'warning: .*\[{slug}\]$', r.err, re.MULTILINE)


def rejected(slug):
    return lambda r: r.rc == 1 and f'[{slug}]' in r.err


def cases():
    samples = models.samples()
    digits = [samples['digits'], *OUT]
    graph, schedule = ['chain.nn', '--emit=graph'], ['chain.nn', '--emit=schedule', '-march=generic']
    run = ['run', 'chain.nn', '--output-dir', 'values']
    depend = [*digits, '-MD']
    return [
        Case('-o', ['net.c'], ['chain.nn'], lambda r: 'net.c' in r.files),
        Case('-O0', [], schedule, lambda r: 'root' in r.out and 'inline' not in r.out),
        Case('-O1', [], [*graph, '-O0'], lambda r: 'Neg' in r.out and 'Identity' not in r.out),
        Case('-O2', [], [*schedule, '-O0'], lambda r: 'inline' in r.out),
        Case('-O3', [], [*schedule, '-O0'], lambda r: 'inline' in r.out),
        Case('-Os', [], [samples['digits'], '--emit=schedule', '-march=x86-64-v3'], lambda r: 'loop j 8; loop l 4' in r.out),
        Case('-march=', ['x86-64-v3'], [*digits, '-march=generic'], lambda r: 'V8_ADD' in r.file('net.c')),
        Case('--target=', ['scalar'], ['chain.nn', '--emit=schedule'], lambda r: '%y' in r.out and 'tile' not in r.out),
        Case('-D', ['N=2'], graph, lambda r: 'f32[2,64]' in r.out),
        Case('--max', ['N=3'], graph, lambda r: 'sym N 1..3' in r.out),
        Case('--multiple', ['N=2'], graph, lambda r: 'f32[2*N_by_2,64]' in r.out),
        Case('--shape', ['x=2x4'], ['free.onnx', '--emit=graph'], lambda r: 'f32[2,4]' in r.out),
        Case('--bind', ['to=to.npy'], ['reshape.onnx', *OUT], lambda r: r.rc == 0),
        Case('--prefix', ['other'], digits, lambda r: 'OTHER_ARENA_BYTES' in r.file('net.h')),
        Case('--emit=', ['te'], ['chain.nn', *OUT], lambda r: r.out and not r.files),
        Case('--weights=', ['file'], digits, lambda r: 'net_weights.bin' in r.files),
        Case('--int-rounding=', ['tflite'], [samples['digits_int8'], '--emit=te'], lambda r: '.right ' in r.out),
        Case('-ffp=', ['strict'], ['chain.nn', *OUT, '-march=generic'], lambda r: r.report.get('fp') == 'strict' and 'V4_EACH(expf' in r.file('net.c')),
        Case('--schedule', ['fused.txt'], schedule, lambda r: re.search(r'^%s +root', r.out, re.MULTILINE)),
        Case('--tune', ['net.tune'], digits, lambda r: r.file('net.tune').startswith('mlcc tuning 1 ')),
        Case('--tuning', ['net.tune'], digits, lambda r: r.rc == 3 and '[tuning-file]' in r.err),
        Case('--threads=', ['2'], digits, lambda r: 'net_threads.h' in r.files),
        Case('--threads-always', [], [*digits, '--threads=2'], lambda r: r.report.get('split_functions', 0) > 0),
        Case('--pool', ['dtcm=4K@fast'], [*digits, '--pool', 'ram=1M'], lambda r: any(b['pool'] for b in r.report['plan'])),
        Case('--max-ram', ['16'], digits, rejected('budget')),
        Case('--max-flash', ['16'], digits, rejected('budget')),
        Case('--max-stack', ['1'], digits, rejected('budget')),
        Case('--limits', ['nodes=1'], digits, lambda r: r.rc == 1),
        Case('--limits', ['elements=8'], digits, lambda r: r.rc == 1),
        Case('--limits', ['mem=1K'], digits, lambda r: r.rc == 1),
        Case('--crash-after', ['lower'], ['chain.nn', *OUT], lambda r: r.rc == 4 and '[internal-error]' in r.err),
        Case('--dump-after', ['infer'], ['chain.nn', *OUT], lambda r: '; after infer' in r.err and 'Identity' in r.err),
        Case('--stop-after', ['infer'], ['chain.nn', *OUT], lambda r: 'Identity' in r.out),
        Case('--disable', ['rewrite'], graph, lambda r: 'Identity' in r.out),
        Case('-Rpass=', ['fuse'], ['chain.nn', *OUT], lambda r: "'s' is inline" in r.err),
        Case('-Rpass=', ['rewrite'], ['chain.nn', *OUT], lambda r: "identity: Identity 'i' becomes its operand [-Rpass=rewrite]" in r.err),
        Case('-Rpass-missed=', ['fold'], ['chain.nn', *OUT], lambda r: 'remark' in r.err),
        Case('-MD', [], digits, lambda r: 'digits.onnx' in r.file('net.d')),
        Case('-MF', ['other.dep'], depend, lambda r: r.file('other.dep').startswith('net.c:')),
        Case('-MT', ['aim'], depend, lambda r: r.file('net.d').startswith('aim:')),
        Case('-MP', [], depend, lambda r: re.search(r'digits\.onnx:$', r.file('net.d'), re.MULTILINE)),
        Case('--save-temps', [], digits, lambda r: all(r.file(f'net.{stage}') for stage in ('graph', 'te', 'schedule', 'nest'))),
        Case('--save-temps', [], [*digits, '-march=generic,x86-64-v2'], lambda r: {'net.te', 'net_generic.nest'} <= set(r.files)),
        Case('--report', ['facts.json'], digits, lambda r: is_json(r.file('facts.json'))),
        Case('--input', ['x=x.npy'], [*run, '-D', 'N=2'], lambda r: r.rc == 0),
        Case('--output-dir', ['there'], ['run', 'chain.nn', '-D', 'N=2', '--input', 'x=x.npy'], lambda r: 'there/y.npy' in r.files),
        Case('--diagnostics-format', ['json'], ['noise.onnx', *OUT], lambda r: is_json(r.err)),
        Case('--diagnostics-format', ['sarif'], ['noise.onnx', *OUT], lambda r: is_json(r.err) and 'runs' in r.err),
        Case('-W', ['all'], ['spare.onnx', *OUT], warned('unused-input')),
        Case('-W', ['error=unused-input'], ['spare.onnx', *OUT], rejected('werror')),
        Case('-W', ['no-unused-input'], ['spare.onnx', *OUT, '-Wall'], lambda r: 'unused-input' not in r.err),
        Case('-W', ['no-error=training-mode'], ['train.onnx', *OUT, '-Werror'], lambda r: r.rc == 0 and 'training-mode' in r.err),
        Case('-W', ['no-all'], ['free.onnx', *OUT], lambda r: r.rc == 0 and not r.err),
        Case('-Werror', [], ['train.onnx', *OUT], rejected('werror')),
        Case('-Werror=', ['training-mode'], ['train.onnx', *OUT, '-Werror=free-dimension'], rejected('werror')),
        Case('-###', [], ['chain.nn', *OUT], lambda r: 'pass     lower' in r.out and 'net.h' in r.out and not r.files),
        Case('-v', [], ['chain.nn', *OUT], lambda r: re.search(r'^lower .* ms$', r.err, re.MULTILINE)),
        Case('--version', [], ['chain.nn', *OUT], lambda r: re.match(r'mlcc \d', r.out)),
        Case('--help', [], ['chain.nn', *OUT], lambda r: all(spelling in r.out for spelling in rows())),
    ]


def rows():
    return ROW.findall((tool.ROOT / 'compiler' / 'option.def').read_text())


def mlcc_run(mlcc, folder, words):
    """A Result of mlcc in a folder that holds the inputs and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_inputs(folder)
    given = set(folder.rglob('*'))
    (folder / 'tmp').mkdir()
    rc, out, err = tool.run([mlcc, *words], 60, cwd=folder, env={**os.environ, 'TMPDIR': 'tmp'})
    made = [p for p in folder.rglob('*') if p not in given and p.is_file()]
    return Result(rc, out, err, {str(p.relative_to(folder)): p.read_text(errors='replace') for p in made})


def fault(mlcc, folder, case):
    with_it = mlcc_run(mlcc, folder / 'with', [*case.base, *case.command()])
    without = mlcc_run(mlcc, folder / 'without', case.base)
    if with_it.rc < 0 or without.rc < 0:
        return 'mlcc crashed'
    if not case.shows(with_it):
        return f'shows nothing (status {with_it.rc}): {with_it.err.strip()[:200]}'
    return 'the same shows without the option' if case.shows(without) else ''


def main():
    build, r, all_cases = pathlib.Path(sys.argv[1]).resolve(), report.Report(), cases()
    for case in all_cases:
        folder = build / 'emit' / 'options'
        r.check(f'options/{" ".join(str(w) for w in case.command())}', fault(build / 'mlcc', folder, case))
    for spelling in sorted(set(rows()) ^ {case.option for case in all_cases}):
        r.check(f'options/{spelling}', 'is not both in compiler/option.def and among the cases')
    r.finish()


if __name__ == '__main__':
    main()

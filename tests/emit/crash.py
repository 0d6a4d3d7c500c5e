#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An internal error ends with status 4, writes no output, and leaves one folder in which `mlcc @options` does the same again:
the same error, and without --crash-after the same bytes that the original command writes.

    crash.py BUILD_DIR
"""
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import models, report, tool

SAVED = re.compile(r"what repeats it is in '([^']+)'")
CRASH = ['--crash-after', 'schedule']


def external_model(folder, elements=8, part='weights/w.bin'):
    """x + w, with w in a file of a folder beneath, and a shape that --bind gives. A large w is a hole in its file."""
    (folder / part).parent.mkdir(parents=True, exist_ok=True)
    with open(folder / part, 'wb') as f:
        if elements > 1000:
            f.truncate(4 * elements)
        else:
            f.write(np.arange(elements, dtype=np.float32).tobytes())
    w = onnx.TensorProto(name='w', data_type=onnx.TensorProto.FLOAT, dims=[elements], data_location=onnx.TensorProto.EXTERNAL)
    w.external_data.add(key='location', value=part)
    make = lambda name, kind, shape: helper.make_tensor_value_info(name, kind, shape)
    nodes = [helper.make_node('Add', ['x', 'w'], ['t']), helper.make_node('Reshape', ['t', 'to'], ['y'])]
    inputs = [make('x', onnx.TensorProto.FLOAT, ['N']), make('to', onnx.TensorProto.INT64, [1])]
    graph = helper.make_graph(nodes, 'g', inputs, [make('y', onnx.TensorProto.FLOAT, [elements])], [w])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8), folder / 'model.onnx')
    np.save(folder / 'to.npy', np.array([elements], np.int64))
    return ['-D', f'N={elements}', '--bind', 'to=to.npy']


def plain(folder):
    shutil.copy(models.samples()['digits'], folder / 'model.onnx')
    return []


def scheduled(folder):
    (folder / 'model.nn').write_text('graph g\ninput %x f32[64]\n%s ? = Neg %x\n%y ? = Exp %s\noutput %y\n')
    (folder / 'plain.txt').write_text('%s root\n')
    return ['--schedule', 'plain.txt', '-march=x86-64-v3', '-Wno-all', '-Wall']


def awkward(folder):
    name = '-a "b" \\ $c.onnx'
    shutil.copy(models.samples()['digits'], folder / name)
    return ['--prefix', 'net', f'./{name}']


def run_verb(folder):
    scheduled(folder)
    np.save(folder / 'x.npy', np.ones(64, np.float32))
    return ['run', 'model.nn', '--input', 'x=x.npy', '--output-dir', 'values']


CASES = {'plain': plain, 'external data': external_model, 'schedule': scheduled, 'awkward name': awkward, 'run': run_verb}


def command(folder, words):
    """Cases that do not name the model take model.onnx or model.nn, and those that do not run write net.c."""
    named = any(w.endswith(('.onnx', '.nn')) for w in words)
    model = [] if named else [next(p.name for p in folder.glob('model.*'))]
    return [*model, *words, *([] if 'run' in words else ['-o', 'net.c', '-MD'])]


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob('*') if p.is_file()}


def made(mlcc, folder, words):
    """Status, what was said, and the files that appeared."""
    before = contents(folder)
    rc, _, err = tool.run([mlcc, *words], 120, cwd=folder, env={**os.environ, 'TMPDIR': str(folder.parent / 'tmp')})
    return rc, err, {name: data for name, data in contents(folder).items() if name not in before}


def without_crash(folder):
    text = (folder / 'options').read_text()
    (folder / 'options').write_text(text.replace('"--crash-after"\n"schedule"\n', ''))
    return text != (folder / 'options').read_text()


def values_of(files):
    """What a compile means: dependency files name folders, so they are left out."""
    return {pathlib.Path(name).name: data for name, data in files.items() if not name.endswith('.d')}


def fault(mlcc, place, make):
    folder = place / 'here'
    folder.mkdir(parents=True)
    (place / 'tmp').mkdir()
    words = command(folder, make(folder))
    _, _, good = made(mlcc, folder, words)
    for name in good:
        (folder / name).unlink()
    rc, err, files = made(mlcc, folder, [*words, *CRASH])
    found = SAVED.search(err)
    if rc != 4 or tool.diagnostic(rc, err)[0] != 'internal-error' or not found:
        return f'status {rc}: {err.strip()[:300]}'
    if files:
        return f'wrote {sorted(files)} in spite of the error'
    saved = pathlib.Path(found.group(1))
    shutil.rmtree(folder)
    rc, again, _ = made(mlcc, saved, ['@options'])
    if rc != 4 or again.splitlines()[:2] != err.splitlines()[:2]:
        return f'does not repeat (status {rc}): {again.strip()[:300]}'
    if not without_crash(saved):
        return 'the options do not hold --crash-after'
    rc, err, repeated = made(mlcc, saved, ['@options'])
    return '' if rc == 0 and values_of(repeated) == values_of(good) else f'status {rc}, {sorted(repeated)} and not {sorted(good)}: {err[:300]}'


def large_fault(mlcc, place):
    """A model whose files are too large to copy is named where it is."""
    folder = place / 'here'
    folder.mkdir(parents=True)
    (place / 'tmp').mkdir()
    words = command(folder, external_model(folder, elements=80 << 20))
    rc, err, _ = made(mlcc, folder, [*words, '--crash-after', 'infer'])
    found = SAVED.search(err)
    if rc != 4 or not found:
        return f'status {rc}: {err.strip()[:300]}'
    saved = pathlib.Path(found.group(1))
    held = sum(p.stat().st_size for p in saved.rglob('*'))
    again = made(mlcc, saved, ['@options'])[0]
    return '' if held < 1 << 20 and again == 4 else f'{held} bytes were copied; repeated with status {again}'


def json_fault(mlcc, place):
    """The error has the format that was asked for, and nothing else is said; the place in mlcc is a note."""
    place.mkdir(parents=True)
    plain(place)
    rc, err, _ = made(mlcc, place, ['model.onnx', '-o', 'net.c', *CRASH, '--diagnostics-format=json'])
    said = json.loads(err)['diagnostics'][0]
    return '' if rc == 4 and said['id'] == 'internal-error' and 'pass.c:' in said['notes'][0] else err[:300]


def sarif_fault(mlcc, place):
    place.mkdir(parents=True)
    plain(place)
    rc, err, _ = made(mlcc, place, ['model.onnx', '-o', 'net.c', *CRASH, '--diagnostics-format', 'sarif'])
    said = json.loads(err)['runs'][0]['results'][0]
    return '' if rc == 4 and said['ruleId'] == 'internal-error' and 'pass.c:' in said['message']['text'] else err[:300]


def time_fault(mlcc, place):
    """--limits time= ends a long compile as a rejection, with nothing written."""
    place.mkdir(parents=True)
    count = 120000
    lines = ['graph g', 'input %v0 f32[4]', *(f'%v{k + 1} ? = Sin %v{k}' for k in range(count)), f'output %v{count}', '']
    (place / 'long.nn').write_text('\n'.join(lines))
    rc, err, files = made(mlcc, place, ['long.nn', '-o', 'net.c', '--limits', 'time=1'])
    return '' if rc == 1 and tool.diagnostic(rc, err)[0] == 'limit' and not files else f'status {rc}: {err.strip()[:300]}'


def killed_fault(mlcc, place):
    """A compile that a signal ends while it writes leaves what was there, and ends its parent in the same way."""
    place.mkdir(parents=True)
    plain(place)
    (place / 'net.h').write_text('older\n')
    before = contents(place)
    small = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    rc, _, err = tool.run([mlcc, 'model.onnx', '-o', 'net.c'], 60, cwd=place, preexec_fn=small)
    left = {name for name, data in contents(place).items() if before.get(name) != data}
    return '' if rc == -signal.SIGXFSZ and not left else f'status {rc}, left {sorted(left)}: {err[:200]}'


def main():
    build, r = pathlib.Path(sys.argv[1]).resolve(), report.Report()
    place = build / 'emit' / 'crash'
    shutil.rmtree(place, ignore_errors=True)
    for name, make in CASES.items():
        r.check(f'crash/{name}', fault(build / 'mlcc', place / name, make))
    for name, check in {'large': large_fault, 'json': json_fault, 'sarif': sarif_fault, 'time': time_fault, 'killed': killed_fault}.items():
        r.check(f'crash/{name}', check(build / 'mlcc', place / name))
    shutil.rmtree(place, ignore_errors=True)
    r.finish()


if __name__ == '__main__':
    main()

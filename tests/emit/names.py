#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile names. In a model they may be any bytes: the emitted C must compile, keep to its prefix, and run nothing of them. In a
path, -MD must write a dependency file that ninja reads right: the output is out of date when, and only when, the model changed.

    names.py BUILD_DIR
"""
import os
import pathlib
import shutil
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import models, report, symbols, tool

NAMES = ['int', '*/ #error "out" /*', 'a"b\\', 'x.y', 'x_y', 'x-y', '1st', 'ünï', '', 'main', 'a' * 3000, '%s%n', '\n#error "line"\n',
         '??/', '\\\n', '__attribute__', 'NULL', '/* nested', '// line \\', 'tab\there', '\x1b[31m', '$(touch hacked)', 'errno', 'restrict']
# Ninja's reader of dependency files has no way to write the others: quote, semicolon, star, ampersand.
PATHS = ['plain.onnx', 'two words.onnx', 'dollar$x.onnx', 'hash#1.onnx', 'per%cent.onnx', 'ünïcode.onnx', 'back\\slash.onnx',
         '(paren).onnx', ' leading.onnx', '-dash.onnx', 'equals=,+.onnx']


def named_model(name, path):
    """Relu(x + w) with every name of the model made of one hostile name."""
    x, y = name + 'in', name + 'out'
    make = lambda n: helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [2, 3])
    nodes = [helper.make_node('Add', [x, name + 'w'], [name + 't'], name), helper.make_node('Relu', [name + 't'], [y], name)]
    weights = [numpy_helper.from_array(np.ones((2, 3), np.float32), name + 'w')]
    graph = helper.make_graph(nodes, name or 'g', [make(x)], [make(y)], weights, doc_string=name)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8, producer_name=name)
    model.metadata_props.append(onnx.StringStringEntryProto(key=name, value=name))
    onnx.save(model, path)


def check_name(mlcc, name, folder, known):
    folder.mkdir(parents=True, exist_ok=True)
    named_model(name, folder / 'hostile.onnx')
    built, why = models.build(mlcc, folder / 'hostile.onnx', folder, 'net')
    if why:
        return why
    for source in built.sources:
        obj, why = tool.compile_object('gcc', source, ['-O1', '-Wcomment', '-Wtrigraphs'])
        why = why or symbols.violations({obj: 'net'}, known).get(obj, '')
        if why:
            return why
    plain = all(32 <= b < 127 or b == 10 for p in [*built.sources, built.header] for b in p.read_bytes())
    return '' if plain else 'emitted text holds bytes that are not printable ASCII'


def ninja_path(path):
    return path.replace('$', '$$').replace(' ', '$ ').replace(':', '$:')


def shell_word(path):
    return "'" + path.replace("'", "'\\''").replace('$', '$$') + "'"


def out_of_date(folder):
    """Whether ninja would run anything; a string when it fails."""
    rc, out, err = tool.run(['ninja', '-C', folder, '-n'], 60)
    return 'no work to do' not in out if rc == 0 else (out + err).strip()[-200:]


def check_path(mlcc, name, folder):
    """Builds by ninja with the model only in the dependency file, never in build.ninja's own list of inputs."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model = folder / name
    shutil.copyfile(models.samples()['digits'], model)
    command = f'{mlcc} {shell_word("./" + name)} -o net.c -MD -MF net.d'
    (folder / 'build.ninja').write_text(f'rule mlcc\n  command = {command}\n  depfile = net.d\nbuild net.c: mlcc\n')
    rc, out, err = tool.run(['ninja', '-C', folder], 120)
    if rc:
        return (out + err).strip()[-300:]
    if (first := out_of_date(folder)) is not False:
        return f'out of date right after it was built: {first}'
    later = (folder / 'net.c').stat().st_mtime + 5
    os.utime(model, (later, later))
    return '' if out_of_date(folder) is True else 'still up to date after the model changed'


def check_inputs(mlcc, folder):
    """Files of options and those that options name are dependencies as the model is."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copyfile(models.samples()['digits'], folder / 'm.onnx')
    (folder / 'a schedule').write_text('')
    (folder / 'net.opt').write_text('-o net.c -MD\n"--schedule=a schedule"\n')
    rc, _, err = tool.run([mlcc, 'm.onnx', '@net.opt'], 60, cwd=folder)
    said = (folder / 'net.d').read_text() if rc == 0 else err
    return '' if said.split() == ['net.c:', '\\', 'm.onnx', '\\', 'net.opt', '\\', 'a\\', 'schedule'] else said


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    r, known = report.Report(), symbols.allowed()
    for k, name in enumerate(NAMES):
        r.check(f'names/{ascii(name[:20])}', check_name(build / 'mlcc', name, build / 'emit' / 'names' / str(k), known))
    for k, name in enumerate(PATHS):
        r.check(f'depfile/{ascii(name)}', check_path(build / 'mlcc', name, build / 'emit' / 'paths' / str(k)))
    r.check('depfile/inputs', check_inputs(build / 'mlcc', build / 'emit' / 'inputs'))
    r.finish()


if __name__ == '__main__':
    main()

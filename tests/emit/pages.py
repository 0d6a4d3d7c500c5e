#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Models with memory enough for huge pages: the header for it lies beside them, once, and does what it says (pages.c); small models
have none. Where the system gives no huge pages, that weights move there is not tested.

    pages.py BUILD_DIR
"""
import pathlib
import platform
import shutil
import sys

import numpy
import onnx

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import models, report, tool

DRIVER = pathlib.Path(__file__).with_name('pages.c')
INSIDE, OUTSIDE, NO_PAGES = 1024, 2100, 77
HUGE_KB = 2048


def large(path):
    """8 MB of weights."""
    info, helper = onnx.TensorProto.FLOAT, onnx.helper
    w = numpy.sin(numpy.arange(INSIDE * OUTSIDE, dtype=numpy.float32)).reshape(INSIDE, OUTSIDE)
    graph = helper.make_graph([helper.make_node('MatMul', ['x', 'w'], ['y'])], 'large', [helper.make_tensor_value_info('x', info, [4, INSIDE])],
                              [helper.make_tensor_value_info('y', info, [4, OUTSIDE])], [onnx.numpy_helper.from_array(w, 'w')])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 20)], ir_version=10), path)
    return path


def moves(r, name, folder, built, compilers):
    """Compiles the driver, for any processor, and runs it."""
    for cc in filter(shutil.which, compilers):
        program = folder / f'pages-{cc}'
        rc, _, err = tool.run([cc, '-std=c11', '-O2', '-pthread', *tool.WARNINGS, f'-Wa,-I,{folder}', f'-I{folder}', DRIVER, *built.sources, '-o', program, '-lm'], 300)
        if rc:
            r.check(f'pages/{name} {cc}', (err.splitlines() or [f'status {rc}'])[0])
            continue
        rc, out, _ = tool.run([program], 60)
        if rc == NO_PAGES:
            r.skip(f'pages/{name} {cc}', 'the system gives no huge pages')
        else:
            r.check(f'pages/{name} {cc}', out.strip() or f'status {rc}' if rc else '' if int(out) >= HUGE_KB else f'{int(out)} kB of the weights are in huge pages')


def compiled(r, build, name, model, args, compilers=('gcc', 'clang')):
    folder = build / 'emit' / 'pages' / name.replace(' ', '-')
    built, why = models.build(build / 'mlcc', model, folder, 'net', args)
    found = sorted(p.name for p in folder.glob('*_pages.h'))
    if why or found != ['net_pages.h']:
        r.check(f'pages/{name}', why or f'headers of pages: {found}')
    else:
        moves(r, name, folder, built, compilers)
    return folder


def too_late(folder):
    """Behind the system's headers, in a strict mode of the language, it says what to do."""
    source = folder / 'late.c'
    source.write_text('#include <stdint.h>\n#include "net_pages.h"\nint main(void) { return 0; }\n')
    rc, _, err = tool.run(['gcc', '-std=c11', '-c', f'-I{folder}', source, '-o', folder / 'late.o'], 60)
    return '' if rc and '-D_GNU_SOURCE' in err else f'status {rc} without the advice'


def small(build):
    folder = build / 'emit' / 'pages' / 'small'
    _, why = models.build(build / 'mlcc', models.samples()['digits'], folder, 'net', [])
    if why:
        return why
    return 'net_pages.h is written' if (folder / 'net_pages.h').exists() else '' if 'net_call, NULL\n' in (folder / 'net.c').read_text() else 'weights of no use have an image'


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    r = report.Report()
    if platform.system() != 'Linux':
        r.skip('pages', 'not Linux')
        return r.finish()
    work = build / 'emit' / 'pages'
    work.mkdir(parents=True, exist_ok=True)
    model = large(work / 'large.onnx')
    folder = compiled(r, build, 'incbin', model, ['--weights=incbin'])
    compiled(r, build, 'string', model, ['--weights=string'])
    if platform.machine() == 'x86_64':
        compiled(r, build, 'several levels', model, ['-march=x86-64-v2,x86-64-v3'], ['gcc'])  # clang wants flags for each file
    else:
        r.skip('pages/several levels', 'not an x86-64 machine')
    r.check('pages/included too late', too_late(folder))
    r.check('pages/none for small models', small(build))
    return r.finish()


if __name__ == '__main__':
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Emitted objects at every level: compiled by gcc and clang as C99 and C11, for any processor and for this one, without a warning;
no writable data, no name without the prefix, and nothing used that runtime-min/README.md does not list. The headers must also be
usable from C++.

    symbols.py BUILD_DIR
"""
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import models, report, symbols, tool

DIALECTS = [('gcc', '-std=c99'), ('gcc', '-std=c11'), ('clang', '-std=c99'), ('clang', '-std=c11')]
FOR_HOST = [('gcc', '-std=c99', '-O0'), ('gcc', '-std=c11', '-O2'), ('clang', '-std=c99', '-O1')]  # some intrinsics are macros at -O0
LEVELS = ['-O0', '-O2', '-O3']


def compile_all(built, cc, flags):
    """(objects, '') or (None, why not)."""
    objects = []
    for source in built.sources:
        obj, why = tool.compile_object(cc, source, [*flags, '-pedantic-errors'])
        if obj is None:
            return None, f'{cc} {" ".join(flags)}: {why}'
        objects.append(obj)
    return objects, ''


def check(built, known, dialects):
    for cc, *flags in dialects:
        objects, why = compile_all(built, cc, flags)
        if objects is None:
            return why
        bad = symbols.violations({o: 'net' for o in objects}, known)
        if bad:
            return f'{cc} {" ".join(flags)}: {next(iter(bad.values()))}'
    return ''


def header_in_cxx(built, folder):
    source = folder / 'header.cc'
    source.write_text(f'#include "{built.header.name}"\nint main() {{ return net_info.call == nullptr; }}\n')
    rc, _, err = tool.run(['clang++', '-std=c++17', '-Wall', '-Wextra', '-Werror', '-fsyntax-only', source], 60)
    return '' if rc == 0 else f'header in C++: {err.splitlines()[0] if err else rc}'


def large_model(folder):
    """Two results of 3.2 GB each in the arena at once: offsets that are no int."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / 'large.nn'
    path.write_text('graph g\ninput %x f32[40000,20000]\n%s ? = Neg %x\n%t ? = Exp %s\n%y ? = Add %s %t\noutput %y\n')
    return path


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    dialects = [(cc, std, '-O1') for cc, std in DIALECTS] + [(*d, '-march=native') for d in FOR_HOST]
    dialects = [d for d in dialects if shutil.which(d[0])]
    r, known = report.Report(), symbols.allowed()
    for name, model in (models.samples() | models.cases()).items():
        for level in LEVELS if name in models.samples() else ['-O3']:
            folder = build / 'emit' / 'symbols' / f'{name}{level}'
            built, why = models.build(build / 'mlcc', model, folder, 'net', [level])
            why = why or check(built, known, dialects) or (header_in_cxx(built, folder) if shutil.which('clang++') else '')
            r.check(f'symbols/{name} {level}', why)
    folder = build / 'emit' / 'symbols' / 'large'
    built, why = models.build(build / 'mlcc', large_model(folder), folder, 'net', ['-O0'])
    r.check('symbols/large arena', why or check(built, known, dialects))
    r.finish()


if __name__ == '__main__':
    main()

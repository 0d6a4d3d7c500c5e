#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rules of the tree that no compiler checks: licence lines, clean text, who may include whom, and that every source is built.

    run.py [BUILD_DIR]
"""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import report, tool

FOLDERS = ['runtime-min', 'ir', 'targets', 'codegen', 'compiler']  # each may include those before it, and itself
SUFFIXES = {'.c', '.h', '.def', '.py', '.build', '.md', '.txt', '.cu', '.cuh'}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
HIDDEN = re.compile('[\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]')


def sources():
    """Every text file of ours: not what is built, fetched or generated."""
    for top in [*FOLDERS, 'tests', 'samples']:
        for path in sorted((tool.ROOT / top).rglob('*')):
            if path.suffix in SUFFIXES and '__pycache__' not in path.parts:
                yield path


def text_fault(path, text):
    """What is wrong with the characters of a file, or ''."""
    for k, line in enumerate(text.split('\n'), 1):
        if '\t' in line or '\r' in line or line != line.rstrip():
            return f'line {k}: tab, carriage return or space at the end'
        if HIDDEN.search(line):
            return f'line {k}: invisible character'
    return '' if text.endswith('\n') and not text.endswith('\n\n') else 'must end with exactly one line end'


def licence_fault(path, text):
    if path.suffix not in {'.c', '.h', '.py', '.build'} or path.name == '__init__.py' and not text:
        return ''
    wanted = '0BSD' if path.is_relative_to(tool.ROOT / 'runtime-min') else 'Apache-2.0'
    return '' if f'SPDX-License-Identifier: {wanted}' in text[:200] else f'no line SPDX-License-Identifier: {wanted} at the top'


def include_fault(path, text):
    """A file of one folder may include only from folders that stand before it."""
    relative = path.relative_to(tool.ROOT)
    if relative.parts[0] not in FOLDERS:
        return ''
    for name in INCLUDE.findall(text):
        target = (path.parent / name).resolve()
        target = target if target.exists() else tool.ROOT / name
        if not target.exists():
            continue  # generated
        folder = target.relative_to(tool.ROOT).parts[0]
        if FOLDERS.index(folder) > FOLDERS.index(relative.parts[0]):
            return f'includes {folder}/{target.name}'
    return ''


def built_fault(path, text):
    """Every C file of the compiler stands in its folder's meson.build."""
    relative = path.relative_to(tool.ROOT)
    if path.suffix != '.c' or relative.parts[0] not in FOLDERS or relative.as_posix() == 'compiler/main.c':
        return ''
    beside = next(p for p in path.parents if (p / 'meson.build').exists())
    listed = f"'{path.relative_to(beside).as_posix()}'" in (beside / 'meson.build').read_text()
    return '' if listed else f'is not listed in {(beside / "meson.build").relative_to(tool.ROOT)}'


def main():
    r = report.Report()
    texts = [(path, path.read_text(encoding='utf-8', errors='replace')) for path in sources()]
    for rule in (text_fault, licence_fault, include_fault, built_fault):
        found = [f'{path.relative_to(tool.ROOT)}: {why}' for path, text in texts if (why := rule(path, text))]
        r.check(f'style/{rule.__name__}', '\n     '.join(found))
    r.finish()


if __name__ == '__main__':
    main()

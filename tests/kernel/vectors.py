#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Blocks of real networks are in vectors: no function that -O3 emits for them multiplies and adds one number after the other, gathers
what it multiplies, or asks for each vector whether it is there.

    vectors.py BUILD_DIR [MODEL ...]     without models: the blocks of blocks.py

What has no vector form falls back to plain loops, which are right and 10 to 100 times slower; no other suite notices.
"""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import report, tool
from kernel import blocks

LEVELS = ['x86-64-v3', 'x86-64-v4', 'neon']
FUNCTION = re.compile(r'^(?:MLCC_APART )?static void (n\d+_\w+)\(.*?^}', re.MULTILINE | re.DOTALL)
PLAIN = re.compile(r'^\s*acc\w* \+= .*\*.*;$|^.*_GATHER.*_KEEP.*$|^.*\? V\d+_LD.*$', re.MULTILINE)


def check(mlcc, model, folder, level):
    built = tool.compile_model(mlcc, model, folder, 'net', [f'-march={level}'])
    if built.rc:
        return built.message
    functions = [m for source in built.sources if source.suffix == '.c' for m in FUNCTION.finditer(source.read_text())]
    plain = [f'{m.group(1)}: {found.group(0).strip()}' for m in functions if (found := PLAIN.search(m.group(0)))]
    return plain[0] if plain else '' if functions else 'no function was found to look at'


def main():
    build, r = pathlib.Path(sys.argv[1]).resolve(), report.Report()
    models = [pathlib.Path(m) for m in sys.argv[2:]] or list(blocks.blocks(build / 'kernel').values())
    for model in models:
        for level in LEVELS:
            r.check(f'vectors/{model.stem} {level}', check(build / 'mlcc', model.resolve(), build / 'kernel' / f'{model.stem}-{level}-text', level))
    r.finish()


if __name__ == '__main__':
    main()

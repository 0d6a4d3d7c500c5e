#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""samples/digits as a user would build it, by Meson and by CMake: the program runs, classifies well, and is rebuilt when the model
changes. The int8 network must do as well, by hand.

    samples.py BUILD_DIR
"""
import os
import pathlib
import re
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import models, report, tool

ACCURACY = 97.0  # per cent of the test pictures
MESON = [['meson', 'setup', 'out'], ['meson', 'compile', '-C', 'out'], ['out/digits', 'digits_test.bin']]
CMAKE = [['cmake', '-G', 'Ninja', '-B', 'out'], ['cmake', '--build', 'out'], ['out/digits', 'digits_test.bin']]


def run_all(commands, folder, env):
    """(output of the last command, '') or (None, why not)."""
    out = ''
    for command in commands:
        rc, out, err = tool.run(command, 300, cwd=folder, env=env)
        if rc:
            return None, f'{" ".join(map(str, command))}: status {rc}: {(out + err).strip()[-300:]}'
    return out, ''


def accuracy_fault(out):
    found = re.search(r'accuracy ([\d.]+) %', out)
    return '' if found and float(found.group(1)) >= ACCURACY else f'accuracy below {ACCURACY} %: {out.strip()}'


def copy_of_sample(build, name):
    folder = build / 'emit' / 'samples' / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(tool.ROOT / 'samples' / 'digits', folder)
    return folder


def by_build_system(build, name, commands):
    folder = copy_of_sample(build, name)
    env = {**os.environ, 'PATH': f'{build}:{os.environ["PATH"]}'}
    out, why = run_all(commands, folder, env)
    if why or (why := accuracy_fault(out)):
        return why
    idle = ['ninja', '-C', 'out', '-n']
    if 'no work to do' not in run_all([idle], folder, env)[0]:
        return 'not up to date right after the build'
    later = (folder / 'out' / 'digits').stat().st_mtime + 5
    os.utime(folder / 'digits.onnx', (later, later))
    return '' if 'no work to do' not in run_all([idle], folder, env)[0] else 'still up to date after the model changed'


def by_hand(build, model):
    folder = copy_of_sample(build, f'hand_{model.stem}')
    built, why = models.build(build / 'mlcc', model, folder / 'out', 'digits')
    if why:
        return why
    sources = [*built.sources, folder / 'main.c']
    out, why = run_all([['cc', '-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', f'-I{folder}/out', *sources, '-lm', '-o', 'digits'],
                        ['./digits', 'digits_test.bin']], folder, None)
    return why or accuracy_fault(out)


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    r = report.Report()
    for name, model in models.samples().items():
        r.check(f'samples/{name}', by_hand(build, model))
    for name, commands in [('meson', MESON), ('cmake', CMAKE)]:
        if shutil.which(name):
            r.check(f'samples/{name}', by_build_system(build, name, commands))
        else:
            r.skip(f'samples/{name}', f'{name} is not installed')
    r.finish()


if __name__ == '__main__':
    main()

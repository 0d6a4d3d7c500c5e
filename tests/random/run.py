#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random graphs: -O0 against -O3 on the interpreter, and the interpreter against emitted C.

    run.py BUILD_DIR [--seed N] [--count N] [--networks]

Every run without options checks the same graphs; those under tests/random/found failed once and come first.
"""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import report

HERE = pathlib.Path(__file__).resolve().parent
DEFAULT = ['--seed', '1', '--count', '240']
NETWORKS = ['--networks', '--seed', '1', '--count', '48']
TOTALS = re.compile(r'^(\d+) passed, (\d+) failed, (\d+) skipped$')


def checked(program, folder, arguments, counts):
    """Runs the program and passes on what it says; adds its totals to counts."""
    p = subprocess.run([program, '--folder', folder, *arguments], stdout=subprocess.PIPE, text=True)
    *lines, last = p.stdout.splitlines() or ['']
    totals = TOTALS.match(last)
    if lines:
        print('\n'.join(lines), flush=True)
    for k in range(3):
        counts[k] += int(totals.group(k + 1)) if totals else k == 1


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    if subprocess.run(['ninja', '-C', build, 'tests/random_graphs'], stdout=subprocess.DEVNULL).returncode:
        result = report.Report()
        result.check('random_graphs', 'cannot be built')
        result.finish()
    folder = build / 'random'
    folder.mkdir(exist_ok=True)
    for old in folder.glob('r*'):
        old.unlink()
    counts = [0, 0, 0]
    if len(sys.argv) == 2:
        checked(build / 'tests' / 'random_graphs', folder, sorted((HERE / 'found').glob('*.nn')), counts)
        checked(build / 'tests' / 'random_graphs', folder, NETWORKS, counts)
    checked(build / 'tests' / 'random_graphs', folder, sys.argv[2:] or DEFAULT, counts)
    print('{} passed, {} failed, {} skipped'.format(*counts))
    sys.exit(counts[1] != 0)


if __name__ == '__main__':
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How the time of a compile grows with the number of nodes: four times as many may take eight times as long, where what is
looked for again for every node makes that sixteen.

    growth.py BUILD_DIR
"""
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import report

TIMES, MOST, TRIES, NOISE = 4, 8, 2, 0.05  # NOISE: seconds that a compile may take for reasons of its own
LONGEST = 100  # seconds, for what doubles with each node
WEIGHTS = 'const %w f32[64,64] (fill 0.1)\n'
CHAINS = {'Sin': (10000, '', 'Sin %v{0}', []), 'Softmax': (150, '', 'Softmax %v{0}', []), 'MatMul': (1500, WEIGHTS, 'MatMul %v{0} %w', []),
          'Add of what is shared': (10, '', 'Add %v{0} %v{0}', []), 'MatMul for two threads': (300, WEIGHTS, 'MatMul %v{0} %w', ['--threads=2'])}


def write(path, count, constants, node):
    lines = (f'%v{k + 1} ? = {node.format(k)}\n' for k in range(count))
    path.write_text(f'graph g\ninput %v0 f32[4,64]\n{constants}{"".join(lines)}output %v{count}\n')


def seconds(mlcc, path, options):
    """Of the processor, the least of some tries; None when mlcc fails or does not end."""
    took = []
    for _ in range(TRIES):
        before = os.times()
        try:
            subprocess.run([mlcc, path, '-o', path.with_suffix('.c'), *options], stderr=subprocess.DEVNULL, timeout=LONGEST, check=True)
        except subprocess.SubprocessError:
            return None
        after = os.times()
        took.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return min(took)


def fault(mlcc, folder, name):
    count, constants, node, options = CHAINS[name]
    took = []
    for n in (count, TIMES * count):
        path = folder / f'{name.split()[0]}{n}.nn'
        write(path, n, constants, node)
        took.append(seconds(mlcc, path, options))
    if None in took:
        return 'mlcc fails, or does not end'
    return '' if took[1] <= MOST * (took[0] + NOISE) else f'{took[0]:.2f} s for {count} nodes, {took[1]:.2f} s for {TIMES} times as many'


def main():
    build, r = pathlib.Path(sys.argv[1]).resolve(), report.Report()
    folder = build / 'emit' / 'growth'
    folder.mkdir(parents=True, exist_ok=True)
    for name in CHAINS:
        r.check(f'growth/{name}', fault(build / 'mlcc', folder, name))
    r.finish()


if __name__ == '__main__':
    main()

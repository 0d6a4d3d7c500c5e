#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where the parts of a run on several threads wait: each step between two meetings, by a clock in each part.

    steps.py MLCC MODEL [--threads N] [--seconds S] [--worst N] [--inputs DIR] [--arg ...]

A row is a step (steps.c says what its columns are, microseconds): its first function, span, mean work of the parts, to take
shares, wait for the last part, the longest share, shares that others took. What span is more than work, take and wait is late starts. Work
of a step is to be set against its time on one thread (nodes.py): what it has more is clock, caches and what parts read of each other.
--worst: only those that lose most to waiting. The clock itself costs 2 to 4 %.
"""
import argparse
import json
import pathlib
import subprocess
import tempfile

from scaling import FLAGS, HERE, RUNTIME, make_inputs

COLUMNS = ['span', 'work', 'take', 'wait', 'longest']


def measured(args, folder):
    subprocess.run([args.mlcc, args.model, '-o', folder / 'model.c', '--prefix', 'model', f'--threads={args.threads}', *args.arg], check=True)
    facts = json.loads((folder / 'model.json').read_text())
    if not any(t['count'] == args.threads for t in facts['threads']):
        raise SystemExit(f'steps.py: {args.model} gains nothing from {args.threads} threads')
    sources = [p for p in sorted(folder.glob('model*')) if p.suffix in ('.c', '.S', '.o')]
    subprocess.run(['gcc', *FLAGS, '-DMLCC_PROFILE', f'-Wa,-I,{folder}', f'-I{folder}', f'-I{RUNTIME}', HERE / 'steps.c', *sources, '-o', folder / 'steps', '-lm'], check=True)
    inputs = args.inputs or make_inputs(facts, folder / 'in')
    p = subprocess.run([folder / 'steps', inputs, str(args.seconds), str(args.threads)], check=True, capture_output=True, text=True)
    return json.loads(p.stdout)


def show(args, result):
    steps = [dict(s, number=k) for k, s in enumerate(result['steps'])]
    totals = {c: sum(s[c] for s in steps) for c in COLUMNS}
    print(f'{pathlib.Path(args.model).name}, {args.threads} threads: {result["run"]:.0f} us, median of {result["runs"]} runs; steps take {totals["span"]:.0f}, '
          f'{totals["work"] / totals["span"]:.1%} of it work, {totals["take"] / totals["span"]:.1%} to take shares, {totals["wait"] / totals["span"]:.1%} waiting for the last part')
    print(f'{"step":>5} {"from":30}' + ''.join(f'{c:>9}' for c in COLUMNS) + f'{"taken":>7}')
    worst = sorted(sorted(steps, key=lambda s: -s['wait'])[:args.worst], key=lambda s: s['number'])
    for s in worst:
        print(f'{s["number"]:5} {s["name"]:30.30}' + ''.join(f'{s[c]:9.1f}' for c in COLUMNS) + f'{s["taken"]:7.0f}')


def main():
    p = argparse.ArgumentParser()
    p.add_argument('mlcc')
    p.add_argument('model')
    p.add_argument('--threads', type=int, default=2)
    p.add_argument('--seconds', type=float, default=2.0)
    p.add_argument('--worst', type=int)
    p.add_argument('--inputs', type=pathlib.Path)
    p.add_argument('--arg', action='append', default=[], help='a further argument of mlcc')
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        show(args, measured(args, pathlib.Path(tmp)))


if __name__ == '__main__':
    main()

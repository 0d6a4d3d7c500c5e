#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two or more builds of mlcc, or sets of its options, against each other on one network.

    pair.py MODEL [--seconds S] [--threads N] MLCC[:OPTION[:OPTION..]] ...

Each makes a shared library of the model; pair.c calls them by turns in one process and compares round by round, which tells one
hundredth where times themselves vary by ten. Which pages of memory a library gets stays the same for a process and makes it up to
three hundredths faster or slower (huge ones, which arenas and weights move to, are not always to be had), so there are several
processes, in which another library is loaded first: the ratio is the median of theirs, beside the least and the largest. Inputs are
made up. The first choice is what the others are set against.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
RUNTIME = HERE.parents[1] / 'runtime-min'
CC = ['gcc', '-std=gnu11', '-D_GNU_SOURCE', '-O2', '-march=native', f'-I{RUNTIME}']


def library(choice, model, threads, folder):
    mlcc, *options = choice.split(':')
    folder.mkdir()
    subprocess.run([mlcc, model, '-o', folder / 'model.c', '--prefix', 'model', f'--threads={threads}', *options], check=True)
    subprocess.run([*CC, '-fPIC', '-shared', '-Wl,-Bsymbolic', '-pthread', f'-Wa,-I,{folder}', f'-I{folder}', *folder.glob('*.c'), '-lm', '-o', folder / 'model.so'],
                   check=True)
    return folder / 'model.so'


def rotated(v, k):
    return [*v[k:], *v[:k]]


def measured(program, models, seconds, first):
    """What one process finds, with `first` loaded first: figures of each in the order of models, ratios to the first of them."""
    order = rotated(list(range(len(models))), first % len(models))
    ran = subprocess.run([program, str(seconds), *[models[k] for k in order]], capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(f'pair.py: status {ran.returncode}: {ran.stderr.strip()}')
    result = json.loads(ran.stdout)
    of = dict(zip(order, result['models'], strict=True))
    return result['rounds'], [{**of[k], 'ratio': of[k]['ratio'] / of[0]['ratio']} for k in range(len(models))]


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('model', type=pathlib.Path)
    p.add_argument('choice', nargs='+')
    p.add_argument('--seconds', type=float, default=12, help='in all')
    p.add_argument('--processes', type=int, default=6)
    p.add_argument('--threads', type=int, default=1)
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as d:
        folder = pathlib.Path(d)
        models = [library(choice, args.model, args.threads, folder / str(k)) for k, choice in enumerate(args.choice)]
        several = [f'-DTHREADS={args.threads}', '-pthread'] if args.threads > 1 else []
        subprocess.run([*CC, *several, HERE / 'pair.c', '-ldl', '-lm', '-o', folder / 'pair'], check=True)
        runs = [measured(folder / 'pair', models, args.seconds / args.processes, k) for k in range(args.processes)]
    print(f'{args.model.stem}, {args.threads} threads, {sum(n for n, _ in runs)} rounds in {len(runs)} processes: ms least, median; ratio to the first, from, to')
    for k, choice in enumerate(args.choice):
        of = [found[k] for _, found in runs]
        ratios = [m['ratio'] for m in of]
        print(f'{min(m["least"] for m in of):10.3f} {statistics.median(m["median"] for m in of):10.3f} {statistics.median(ratios):8.4f} {min(ratios):7.3f} {max(ratios):7.3f}  {choice}')


if __name__ == '__main__':
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two or more builds of mlcc, or sets of its options, against each other on one network.

    pair.py MODEL [--seconds S] [--threads N] MLCC[:OPTION[:OPTION..]] ...

Each makes a shared library of the model; pair.c calls them by turns in one process and compares round by round, which tells one
hundredth where times themselves vary by ten. Inputs are made up. The first is what the others are set against.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
RUNTIME = HERE.parents[1] / 'runtime-min'
CC = ['gcc', '-std=gnu11', '-O2', '-march=native', f'-I{RUNTIME}']


def library(choice, model, threads, folder):
    mlcc, *options = choice.split(':')
    folder.mkdir()
    subprocess.run([mlcc, model, '-o', folder / 'model.c', '--prefix', 'model', f'--threads={threads}', *options], check=True)
    subprocess.run([*CC, '-fPIC', '-shared', '-Wl,-Bsymbolic', '-pthread', f'-Wa,-I,{folder}', f'-I{folder}', *folder.glob('*.c'), '-lm', '-o', folder / 'model.so'],
                   check=True)
    return folder / 'model.so'


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('model', type=pathlib.Path)
    p.add_argument('choice', nargs='+')
    p.add_argument('--seconds', type=float, default=10)
    p.add_argument('--threads', type=int, default=1)
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as d:
        folder = pathlib.Path(d)
        models = [library(choice, args.model, args.threads, folder / str(k)) for k, choice in enumerate(args.choice)]
        several = [f'-DTHREADS={args.threads}', '-pthread'] if args.threads > 1 else []
        subprocess.run([*CC, *several, f'-I{folder / "0"}', HERE / 'pair.c', '-ldl', '-lm', '-o', folder / 'pair'], check=True)
        ran = subprocess.run([folder / 'pair', str(args.seconds), *models], capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(f'pair.py: status {ran.returncode}: {ran.stderr.strip()}')
    result = json.loads(ran.stdout)
    print(f'{args.model.stem}, {args.threads} threads, {result["rounds"]} rounds: ms least, median, ratio to the first')
    for choice, m in zip(args.choice, result['models'], strict=True):
        print(f'{m["least"]:10.3f} {m["median"]:10.3f} {m["ratio"]:8.4f}  {choice}')


if __name__ == '__main__':
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How a model scales with threads, beside what the machine itself gains: a loop of multiply-adds in registers.

    scaling.py MLCC MODEL [--inputs DIR] [--threads 1,2,4,8,16] [--seconds S] [--rounds N] [--cc gcc] [--arg ...]

One artefact is compiled for all counts; every round times each count once, interleaved, beside a loop that on one thread takes as
long as the model: on cores that others use too, a shorter one finds all of them free more often. The row of a count: milliseconds
(least, median), how many times faster than one thread, the same of the loop, the share of that reached (of the least, of the
medians), and whether the outputs are those of one thread byte for byte. Needs a C compiler and nothing else. Without --inputs,
inputs are made up: floats -1..1, integers 0 or 1.
"""
import argparse
import array
import filecmp
import json
import os
import pathlib
import random
import statistics
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
RUNTIME = HERE.parents[1] / 'runtime-min'
STEPS = 1000000  # of the loop, to find out how long they take
FLAGS = ['-std=gnu11', '-O2', '-march=native', '-pthread']


def build(args, folder):
    counts = ','.join(str(n) for n in args.threads)
    subprocess.run([args.mlcc, args.model, '-o', folder / 'model.c', '--prefix', 'model', f'--threads={counts}', *args.arg], check=True)
    sources = [p for p in sorted(folder.glob('model*')) if p.suffix in ('.c', '.S', '.o')]
    subprocess.run([args.cc, *FLAGS, '-DTHREADS', f'-Wa,-I,{folder}', f'-I{folder}', HERE / 'driver.c', *sources, '-o', folder / 'bench', '-lm'], check=True)
    subprocess.run([args.cc, *FLAGS, '-ffp-contract=fast', f'-I{RUNTIME}', HERE / 'fma.c', '-o', folder / 'fma'], check=True)
    return json.loads((folder / 'model.json').read_text())


def make_inputs(facts, folder):
    folder.mkdir()
    numbers = random.Random(1)
    for k, t in enumerate(facts['inputs']):
        if t['dtype'] == 'f32':
            data = array.array('f', (numbers.uniform(-1, 1) for _ in range(t['bytes'] // 4))).tobytes()
        else:
            size = 8 if t['dtype'].endswith('64') else 4 if t['dtype'].endswith('32') else 2 if t['dtype'].endswith('16') else 1
            data = b''.join(numbers.randrange(2).to_bytes(size, 'little') for _ in range(t['bytes'] // size))
        (folder / f'in_{k}.bin').write_bytes(data)
    return folder


def run_model(folder, inputs, count, seconds):
    out = folder / f'out{count}'
    out.mkdir(exist_ok=True)
    p = subprocess.run([folder / 'bench', inputs, out, str(seconds), str(count)], check=True, capture_output=True, text=True)
    return json.loads(p.stdout)['ms']


def run_loop(folder, count, seconds, steps):
    """[least, median] milliseconds"""
    p = subprocess.run([folder / 'fma', str(count), str(seconds), str(steps)], check=True, capture_output=True, text=True)
    return [float(ms) for ms in p.stdout.split()]


def measure(args, folder, inputs):
    model, loop = {n: [] for n in args.threads}, {n: [] for n in args.threads}
    steps = int(STEPS * min(run_model(folder, inputs, 1, args.seconds)) / run_loop(folder, 1, args.seconds, STEPS)[0])
    for _ in range(args.rounds):
        for n in args.threads:
            model[n] += run_model(folder, inputs, n, args.seconds)
            loop[n].append(run_loop(folder, n, args.seconds, steps))
    return model, loop


def same_outputs(folder, first, count):
    names = [p.name for p in (folder / f'out{first}').iterdir()]
    return not any(filecmp.cmpfiles(folder / f'out{first}', folder / f'out{count}', names, shallow=False)[1:])


def show(args, folder, facts, model, loop):
    first = args.threads[0]
    print(f'{pathlib.Path(args.model).name}: {facts.get("split_functions", 0)} of {len(facts["nodes"])} functions are cut')
    print(f'made for {[t["count"] for t in facts["threads"]]} threads, meetings {[t.get("meetings") for t in facts["threads"]]}; {os.cpu_count()} processors')
    print('threads   least ms  median ms   times   loop times   of the loop   of medians   bytes')
    least = {n: (min(model[n]), min(t for t, _ in loop[n])) for n in args.threads}
    middle = {n: (statistics.median(model[n]), statistics.median(t for _, t in loop[n])) for n in args.threads}
    for n in args.threads:
        times, ideal = (a / b for a, b in zip(least[first], least[n]))
        of_medians = middle[first][0] / middle[n][0] / (middle[first][1] / middle[n][1])
        same = 'same' if same_outputs(folder, first, n) else 'DIFFERENT'
        print(f'{n:7} {least[n][0]:10.3f} {middle[n][0]:10.3f} {times:7.2f} {ideal:12.2f} {times / ideal:12.0%} {of_medians:12.0%}   {same}')


def main():
    p = argparse.ArgumentParser()
    p.add_argument('mlcc')
    p.add_argument('model')
    p.add_argument('--inputs', type=pathlib.Path)
    p.add_argument('--threads', type=lambda s: [int(n) for n in s.split(',')], default=[1, 2, 4, 8, 16])
    p.add_argument('--seconds', type=float, default=1.0)
    p.add_argument('--rounds', type=int, default=5)
    p.add_argument('--cc', default='gcc')
    p.add_argument('--arg', action='append', default=[], help='a further argument of mlcc')
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        folder = pathlib.Path(tmp)
        facts = build(args, folder)
        inputs = args.inputs or make_inputs(facts, folder / 'in')
        show(args, folder, facts, *measure(args, folder, inputs))


if __name__ == '__main__':
    main()

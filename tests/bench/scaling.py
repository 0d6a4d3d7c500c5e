#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How a model scales with threads, beside what the machine itself gains: a loop of multiply-adds in registers.

    scaling.py MLCC MODEL [--inputs DIR] [--threads 1,2,4,8,16] [--seconds S] [--rounds N] [--copies] [--cc gcc] [--arg ...]

One artefact is compiled for all counts; every round times each count once, interleaved, beside a loop that on one thread takes as
long as the model: on cores that others use too, a shorter one finds all of them free more often. The row of a count: milliseconds
(least, median), how many times faster than one thread, the same of the loop, the share of that reached (of the least, of the
medians), and whether the outputs are those of one thread byte for byte. A loop in registers shares neither the front end of a core
nor caches with its neighbours: with --copies, as many processes of one thread each run together, too, which have nothing in
common. How many times the work of one alone they do (medians) is what the machine has for this code; beside it the share that
threads reached. Needs a C compiler and nothing else. Without --inputs, inputs are made up: floats -1..1, integers 0 or 1.
"""
import argparse
import array
import concurrent.futures
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


def run_model(folder, inputs, count, seconds, to=None):
    out = folder / (to or f'out{count}')
    out.mkdir(exist_ok=True)
    p = subprocess.run([folder / 'bench', inputs, out, str(seconds), str(count)], check=True, capture_output=True, text=True)
    return json.loads(p.stdout)['ms']


def run_copies(folder, inputs, count, seconds):
    """Runs per millisecond of `count` processes of one thread each, together."""
    with concurrent.futures.ThreadPoolExecutor(count) as together:
        runs = together.map(lambda k: run_model(folder, inputs, 1, seconds, f'copy{k}'), range(count))
        return sum(1 / statistics.median(ms) for ms in runs)


def run_loop(folder, count, seconds, steps):
    """[least, median] milliseconds"""
    p = subprocess.run([folder / 'fma', str(count), str(seconds), str(steps)], check=True, capture_output=True, text=True)
    return [float(ms) for ms in p.stdout.split()]


def measure(args, folder, inputs):
    model, loop, copies = ({n: [] for n in args.threads} for _ in range(3))
    steps = int(STEPS * min(run_model(folder, inputs, 1, args.seconds)) / run_loop(folder, 1, args.seconds, STEPS)[0])
    for _ in range(args.rounds):
        for n in args.threads:
            model[n] += run_model(folder, inputs, n, args.seconds)
            loop[n].append(run_loop(folder, n, args.seconds, steps))
            if args.copies:
                copies[n].append(run_copies(folder, inputs, n, args.seconds))
    return model, loop, copies


def same_outputs(folder, first, count):
    names = [p.name for p in (folder / f'out{first}').iterdir()]
    return not any(filecmp.cmpfiles(folder / f'out{first}', folder / f'out{count}', names, shallow=False)[1:])


def show(args, folder, facts, model, loop, copies):
    first = args.threads[0]
    print(f'{pathlib.Path(args.model).name}: {facts.get("split_functions", 0)} of {len(facts["nodes"])} functions are cut')
    print(f'made for {[t["count"] for t in facts["threads"]]} threads, meetings {[t.get("meetings") for t in facts["threads"]]}; {os.cpu_count()} processors')
    print('threads   least ms  median ms   times   loop times   of the loop   of medians   bytes' + ('   copies times   of copies' if args.copies else ''))
    least = {n: (min(model[n]), min(t for t, _ in loop[n])) for n in args.threads}
    middle = {n: (statistics.median(model[n]), statistics.median(t for t, _ in loop[n])) for n in args.threads}
    for n in args.threads:
        times, ideal = (a / b for a, b in zip(least[first], least[n]))
        by_median, loop_by_median = (a / b for a, b in zip(middle[first], middle[n]))
        same = 'same' if same_outputs(folder, first, n) else 'DIFFERENT'
        row = f'{n:7} {least[n][0]:10.3f} {middle[n][0]:10.3f} {times:7.2f} {ideal:12.2f} {times / ideal:12.0%} {by_median / loop_by_median:12.0%}   {same}'
        if args.copies:
            together = statistics.median(copies[n]) / statistics.median(copies[first])
            row += f' {together:14.2f} {by_median / together:11.0%}'
        print(row)


def main():
    p = argparse.ArgumentParser()
    p.add_argument('mlcc')
    p.add_argument('model')
    p.add_argument('--inputs', type=pathlib.Path)
    p.add_argument('--threads', type=lambda s: [int(n) for n in s.split(',')], default=[1, 2, 4, 8, 16])
    p.add_argument('--seconds', type=float, default=1.0)
    p.add_argument('--rounds', type=int, default=5)
    p.add_argument('--copies', action='store_true', help='also as many processes of one thread, which need memory for their weights each')
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

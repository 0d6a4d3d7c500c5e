#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where the time of a model goes: every function against what the core could do at most.

    nodes.py BUILD_DIR MODEL [--seconds S] [--threads N] [--top N] [--json FILE] [--svg FILE] [--history FILE] [-- MLCC OPTIONS]

The model is compiled with -DMLCC_PROFILE and run alone, on one thread or N: then a bound is that of N such cores, and the time of
a function includes that the first part waits for the others. For each function: time (median of many runs, and the least), billions
of operations a second, bytes it must move at least, the roofline bound (the larger of operations over the peak for their type
and bytes over the bandwidth of the level that holds them), and the share of that bound that the median reached. The peaks are measured
by peak.c just before; those of arithmetic are scaled to the clock that the core keeps while it runs the model, which a loop of
multiply-adds between runs tells. The worst functions are those that lose most time to their bound. --history appends one line per run
and compares with the best line of the same model, options and machine, so a regression shows.
"""
import argparse
import json
import pathlib
import platform
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import tool

HERE = pathlib.Path(__file__).resolve().parent
CC = ['gcc', '-std=gnu11', '-D_GNU_SOURCE', '-O2', '-march=native']
L1, L2 = 32 << 10, 1 << 20  # bytes that a level surely holds beside what else is in use
SLOWER = 1.05               # of the best run before, from where on it is called a regression


def run(command):
    rc, out, err = tool.run(command, 900)
    if rc:
        sys.exit(f'nodes.py: {command[0]}: {err.strip() or out.strip() or f"status {rc}"}')
    return out


def machine():
    """What the processor calls itself."""
    lines = pathlib.Path('/proc/cpuinfo').read_text().splitlines() if pathlib.Path('/proc/cpuinfo').exists() else []
    return next((line.partition(':')[2].strip() for line in lines if line.startswith('model name')), platform.machine())


def peaks(folder):
    run([*CC, f'-I{tool.ROOT}', HERE / 'peak.c', '-o', folder / 'peak'])
    return json.loads(run([folder / 'peak']))


def measure(mlcc, model, folder, options, seconds, threads):
    """(report of the compiler, what the program measured)"""
    built = tool.compile_model(mlcc, model, folder, 'model', ['--prefix', 'model', f'--threads={threads}', *options], 600)
    if built.rc:
        sys.exit(f'nodes.py: {built.message}')
    several = ['-DTHREADS', '-pthread'] if threads > 1 else []
    run([*CC, '-DMLCC_PROFILE', *several, f'-Wa,-I,{folder}', f'-I{folder}', f'-I{tool.ROOT}/runtime-min', HERE / 'nodes.c', *built.sources, '-lm', '-o', folder / 'nodes'])
    ran = json.loads(run([folder / 'nodes', str(seconds), *([str(threads)] if several else [])]))
    for key in ('us', 'median_us'):  # a run of the model begins with the loop
        ran['profile']['whole'][key] -= ran['loop']['us']
    return json.loads((folder / 'model.json').read_text()), ran['profile'], ran['loop']['f32']


def at_clock(peak, f32):
    """Peaks of arithmetic where multiply-adds reach f32."""
    ratio = min(f32 / peak['f32'], 1)
    return {k: v if k.endswith('_gbs') else v * ratio for k, v in peak.items()}


def bandwidth(peak, n):
    return peak['l1_gbs'] if n <= L1 else peak['l2_gbs'] if n <= L2 else peak['memory_gbs']


def judged(fact, time, peak, threads):
    """One function with its bound, of so many cores: dict of what is printed and stored."""
    kind = {'i8': 'i8', 'u8': 'i8', 'bf16': 'bf16', 'i16': 'i16'}.get(fact['operands'], 'f32')
    matrix = fact['unit'] == 'matrix' and peak.get(f'{kind}_matrix')
    rate = matrix or max(peak['f32'], peak[kind], peak['i16'] if kind == 'i8' else 0) # bytes as pairs of 16 bits where those are faster
    compute = 2 * fact['macs'] / rate / 1e3
    move = fact['bytes'] / bandwidth(peak, fact['bytes']) / 1e3
    bound = max(compute, move) / threads
    us = max(time['median_us'], 1e-3)
    return {'function': fact['function'], 'from': fact['from'], 'us': time['us'], 'median_us': time['median_us'], 'macs': fact['macs'],
            'bytes': fact['bytes'], 'gops': 2 * fact['macs'] / us / 1e3, 'gbs': fact['bytes'] / us / 1e3, 'bound_us': bound,
            'limit': f'{kind} arithmetic' if compute >= move else 'bytes', 'share': bound / us, 'lost_us': max(us - bound, 0)}


def reason(row):
    """What kind of loss it is, from the figures alone."""
    if row['share'] >= 0.85:
        return 'near its bound'
    if row['macs'] == 0:
        return f'{row["gbs"]:.1f} GB/s: moves data below bandwidth, or computes functions'
    if row['limit'] == 'bytes':
        return f'{row["gbs"]:.1f} GB/s: weights or activations do not stream'
    return f'{row["gops"]:.0f} Gop/s: short loops, tails or loads keep the multipliers waiting'


def table(rows):
    print(f'{"function":28} {"us":>10} {"least":>10} {"Gop/s":>8} {"GB/s":>7} {"bound us":>10} {"share":>6}  limit')
    for r in rows:
        print(f'{r["function"]:28.28} {r["median_us"]:10.2f} {r["us"]:10.2f} {r["gops"]:8.1f} {r["gbs"]:7.1f} {r["bound_us"]:10.2f} {100 * r["share"]:5.0f}%  {r["limit"]}')


def worst(rows, top):
    print(f'\nmost time lost to the bound, {top} functions:')
    for r in sorted(rows, key=lambda r: -r['lost_us'])[:top]:
        print(f'  {r["function"]:28.28} {r["lost_us"]:9.2f} us of {r["median_us"]:.2f}; {reason(r)}\n      {r["from"][:110]}')


def by_limit(rows):
    """What functions of one kind reach together."""
    print()
    for limit in sorted({r['limit'] for r in rows}):
        some = [r for r in rows if r['limit'] == limit]
        us, bound = sum(r['median_us'] for r in some), sum(r['bound_us'] for r in some)
        print(f'{len(some)} functions that {limit} bounds: {us:.1f} us, {100 * bound / us:.0f} % of it')


def picture(rows, path, title):
    """A bar for each function: time, and of it what the bound takes."""
    wide, high, left = 700, 14, 220
    most = max(r['median_us'] for r in rows)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + wide + 120}" height="{high * len(rows) + 40}" font-family="monospace" font-size="10">',
           f'<text x="4" y="14">{title}: time in us, dark what the roofline asks for</text>']
    for k, r in enumerate(rows):
        y = 24 + k * high
        out.append(f'<text x="4" y="{y + 10}">{r["function"][:32]}</text>')
        out.append(f'<rect x="{left}" y="{y}" width="{wide * r["median_us"] / most:.1f}" height="{high - 3}" fill="#c9d6e8"/>')
        out.append(f'<rect x="{left}" y="{y}" width="{wide * min(r["bound_us"], r["median_us"]) / most:.1f}" height="{high - 3}" fill="#2a4d7c"/>')
        out.append(f'<text x="{left + wide * r["median_us"] / most + 4:.1f}" y="{y + 10}">{r["median_us"]:.1f} ({100 * r["share"]:.0f} %)</text>')
    path.write_text('\n'.join([*out, '</svg>', '']))


def remember(path, entry):
    """Appends to the history and says how this run compares with the best before it."""
    key = ('model', 'options', 'machine')
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    before = [e['us'] for e in lines if all(e[k] == entry[k] for k in key)]
    with path.open('a') as f:
        f.write(json.dumps(entry) + '\n')
    if not before:
        return print('\nno earlier run of this model, options and machine')
    ratio = entry['us'] / min(before)
    print(f'\n{ratio:.3f} of the best of {len(before)} earlier runs{": SLOWER" if ratio > SLOWER else ""}')


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('build', type=pathlib.Path)
    p.add_argument('model', type=pathlib.Path)
    p.add_argument('--seconds', type=float, default=2)
    p.add_argument('--threads', type=int, default=1)
    p.add_argument('--top', type=int, default=10)
    p.add_argument('--json', type=pathlib.Path)
    p.add_argument('--svg', type=pathlib.Path)
    p.add_argument('--history', type=pathlib.Path)
    cut = sys.argv.index('--') if '--' in sys.argv else len(sys.argv)
    args = p.parse_args(sys.argv[1:cut])
    args.options = sys.argv[cut + 1:]
    build = args.build.resolve()
    folder = build / 'bench' / args.model.stem
    folder.mkdir(parents=True, exist_ok=True)
    peak = peaks(folder)
    report, measured, running = measure(build / 'mlcc', args.model.resolve(), folder, args.options, args.seconds, args.threads)
    now = at_clock(peak, running)
    rows = [judged(fact, time, now, args.threads) for fact, time in zip(report['nodes'], measured['nodes'], strict=True)]
    table(rows)
    by_limit(rows)
    worst(rows, args.top)
    us, median, bound = measured['whole']['us'], measured['whole']['median_us'], sum(r['bound_us'] for r in rows)
    print(f'\n{args.model.stem}: {median:.1f} us (least {us:.1f}), bounds add up to {bound:.1f} us: {100 * bound / median:.0f} %')
    print('peaks: ' + ', '.join(f'{k} {v}' for k, v in peak.items()) + f'; f32 between runs of the model {running}')
    entry = {'model': args.model.stem, 'options': [*args.options, *([f'--threads={args.threads}'] if args.threads > 1 else [])], 'machine': machine(), 'us': us, 'bound_us': bound, 'peak': peak}
    if args.json:
        args.json.write_text(json.dumps({**entry, 'nodes': rows}, indent=1) + '\n')
    if args.svg:
        picture(rows, args.svg, args.model.stem)
    if args.history:
        remember(args.history, entry)


if __name__ == '__main__':
    main()
